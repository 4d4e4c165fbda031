//! What a text defines.

use std::collections::HashMap;

use crate::ast::Tree;
use crate::text::Str;

/// How many trees are looked through one by one.
const FEW_TREES: usize = 8;

/// The trees of a text in the order in which their names came.
#[derive(Default)]
pub(super) struct Trees {
    pub(super) list: Vec<Tree>,
    /// Where each stands, once there are more than a few.
    places: HashMap<Str, usize>,
}

impl Trees {
    pub(super) fn find(&self, name: &Str) -> Option<usize> {
        if self.list.len() <= FEW_TREES {
            return self.list.iter().position(|tree| tree.name == *name);
        }
        self.places.get(name).copied()
    }

    pub(super) fn push(&mut self, tree: Tree) {
        self.list.push(tree);
        if self.list.len() > FEW_TREES {
            for at in self.places.len()..self.list.len() {
                self.places.insert(self.list[at].name.clone(), at);
            }
        }
    }
}
