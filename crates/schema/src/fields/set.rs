//! Sets of field paths, as trees.

use std::cmp::Ordering;

use super::path::PathElement;

/// A set of field paths: what a manager owns, or what changed.
///
/// A tree whose nodes are sorted by path element. Membership of a path says nothing about the paths below it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Set<'a> {
    /// Sorted; each is a member or has children.
    entries: Vec<Entry<'a>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub element: PathElement<'a>,
    pub member: bool,
    pub children: Set<'a>,
}

impl Entry<'_> {
    fn is_empty(&self) -> bool {
        !self.member && self.children.is_empty()
    }
}

impl<'a> Set<'a> {
    /// The empty set.
    pub const fn new() -> Self {
        Set {
            entries: Vec::new(),
        }
    }

    /// The set of these paths of field names.
    pub fn of_names(paths: &[&[&'a str]]) -> Self {
        let mut set = Set::new();
        for path in paths {
            set.insert(path.iter().map(|name| PathElement::field(name)));
        }
        set
    }

    /// Whether no path is a member.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many paths are members.
    pub fn len(&self) -> usize {
        self.entries
            .iter()
            .map(|entry| usize::from(entry.member) + entry.children.len())
            .sum()
    }

    pub(super) fn entries(&self) -> &[Entry<'a>] {
        &self.entries
    }

    /// The elements that have members below them, with these.
    pub(crate) fn inner(&self) -> impl Iterator<Item = (&PathElement<'a>, &Set<'a>)> {
        self.entries
            .iter()
            .filter(|entry| !entry.children.is_empty())
            .map(|entry| (&entry.element, &entry.children))
    }

    fn find(&self, element: &PathElement<'_>) -> Result<usize, usize> {
        self.entries
            .binary_search_by(|entry| entry.element.cmp(element))
    }

    /// Adds a path; the empty path is no member of any set.
    pub fn insert(&mut self, path: impl IntoIterator<Item = PathElement<'a>>) {
        let mut path = path.into_iter();
        let Some(element) = path.next() else { return };
        let mut entry = self.entry(element);
        for element in path {
            entry = entry.children.entry(element);
        }
        entry.member = true;
    }

    fn entry(&mut self, element: PathElement<'a>) -> &mut Entry<'a> {
        let at = match self.find(&element) {
            Ok(at) => at,
            Err(at) => {
                self.entries.insert(
                    at,
                    Entry {
                        element,
                        member: false,
                        children: Set::new(),
                    },
                );
                at
            }
        };
        &mut self.entries[at]
    }

    /// Adds an element with what lies below it; nothing if it would be empty.
    pub(crate) fn add(&mut self, element: PathElement<'a>, member: bool, children: Set<'a>) {
        if !member && children.is_empty() {
            return;
        }
        if self
            .entries
            .last()
            .is_none_or(|last| last.element < element)
        {
            self.entries.push(Entry {
                element,
                member,
                children,
            });
            return;
        }
        let entry = self.entry(element);
        entry.member |= member;
        entry.children = match entry.children.is_empty() {
            true => children,
            false => std::mem::take(&mut entry.children).union(children),
        };
    }

    /// Whether the element alone is a member.
    pub fn has(&self, element: &PathElement<'_>) -> bool {
        self.find(element).is_ok_and(|at| self.entries[at].member)
    }

    /// Whether a path is a member.
    pub fn has_path(&self, path: &[PathElement<'_>]) -> bool {
        match path {
            [] => false,
            [element] => self.has(element),
            [element, rest @ ..] => self.below(element).is_some_and(|set| set.has_path(rest)),
        }
    }

    /// The members below an element.
    pub fn below(&self, element: &PathElement<'_>) -> Option<&Set<'a>> {
        let entry = &self.entries[self.find(element).ok()?];
        (!entry.children.is_empty()).then_some(&entry.children)
    }

    /// Every member, parents before children.
    pub fn paths(&self) -> Vec<Vec<PathElement<'a>>> {
        let (mut paths, mut path) = (Vec::new(), Vec::new());
        self.collect(&mut path, &mut paths);
        paths
    }

    fn collect(&self, path: &mut Vec<PathElement<'a>>, paths: &mut Vec<Vec<PathElement<'a>>>) {
        for entry in self.entries.iter().filter(|entry| entry.member) {
            path.push(entry.element.clone());
            paths.push(path.clone());
            path.pop();
        }
        for entry in &self.entries {
            path.push(entry.element.clone());
            entry.children.collect(path, paths);
            path.pop();
        }
    }

    /// The members of either.
    pub fn union(self, other: Set<'a>) -> Set<'a> {
        if self.is_empty() {
            return other;
        }
        if other.is_empty() {
            return self;
        }
        let mut entries = Vec::with_capacity(self.entries.len().max(other.entries.len()));
        let (mut left, mut right) = (
            self.entries.into_iter().peekable(),
            other.entries.into_iter().peekable(),
        );
        while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
            let order = a.element.cmp(&b.element);
            let a = if order.is_le() { left.next() } else { None };
            let b = if order.is_ge() { right.next() } else { None };
            entries.extend(match (a, b) {
                (Some(a), Some(b)) => Some(Entry {
                    element: a.element,
                    member: a.member || b.member,
                    children: a.children.union(b.children),
                }),
                (a, b) => a.or(b),
            });
        }
        entries.extend(left);
        entries.extend(right);
        Set { entries }
    }

    /// The members of both.
    pub fn intersection(&self, other: &Set<'_>) -> Set<'a> {
        let both = |a: &Entry<'a>, b: &Entry<'_>| Entry {
            element: a.element.clone(),
            member: a.member && b.member,
            children: a.children.intersection(&b.children),
        };
        let mut entries = Vec::new();
        let (mut i, mut j) = (0, 0);
        while let (Some(a), Some(b)) = (self.entries.get(i), other.entries.get(j)) {
            let order = a.element.cmp(&b.element);
            if order.is_eq() {
                entries.extend(Some(both(a, b)).filter(|entry| !entry.is_empty()));
            }
            i += usize::from(order.is_le());
            j += usize::from(order.is_ge());
        }
        Set { entries }
    }

    /// The members that `other` lacks.
    pub fn difference(self, other: &Set<'_>) -> Set<'a> {
        self.subtract(other, |a, b| Entry {
            member: a.member && !b.member,
            children: a.children.difference(&b.children),
            element: a.element,
        })
    }

    /// The members that neither are in `other` nor lie below one of its members.
    pub fn recursive_difference(self, other: &Set<'_>) -> Set<'a> {
        self.subtract(other, |a, b| Entry {
            member: a.member && !b.member,
            children: match b.member {
                true => Set::new(),
                false => a.children.recursive_difference(&b.children),
            },
            element: a.element,
        })
    }

    fn subtract(
        mut self,
        other: &Set<'_>,
        reduce: impl Fn(Entry<'a>, &Entry<'_>) -> Entry<'a>,
    ) -> Set<'a> {
        if other.is_empty() || self.is_empty() {
            return self;
        }
        let mut at = 0;
        let blank = || Entry {
            element: PathElement::Index(0),
            member: false,
            children: Set::new(),
        };
        self.entries.retain_mut(|entry| {
            let order = loop {
                match other.entries.get(at).map(|b| b.element.cmp(&entry.element)) {
                    Some(Ordering::Less) => at += 1,
                    order => break order,
                }
            };
            if order == Some(Ordering::Equal) {
                *entry = reduce(std::mem::replace(entry, blank()), &other.entries[at]);
            }
            !entry.is_empty()
        });
        self
    }

    /// Whether every member is a member of `other`.
    pub fn is_subset(&self, other: &Set<'_>) -> bool {
        let mut at = 0;
        self.entries.iter().all(|entry| {
            while other
                .entries
                .get(at)
                .is_some_and(|b| b.element < entry.element)
            {
                at += 1;
            }
            other
                .entries
                .get(at)
                .filter(|b| b.element == entry.element)
                .is_some_and(|b| {
                    (!entry.member || b.member) && entry.children.is_subset(&b.children)
                })
        })
    }

    /// The set without borrows.
    pub fn into_owned(self) -> Set<'static> {
        let own = |entry: Entry<'a>| Entry {
            element: entry.element.into_owned(),
            member: entry.member,
            children: entry.children.into_owned(),
        };
        Set {
            entries: self.entries.into_iter().map(own).collect(),
        }
    }

    /// The members that have no members below them.
    pub fn leaves(&self) -> Set<'a> {
        let leaf = |entry: &Entry<'a>| Entry {
            element: entry.element.clone(),
            member: entry.member && entry.children.is_empty(),
            children: entry.children.leaves(),
        };
        Set {
            entries: self.entries.iter().map(leaf).collect(),
        }
    }

    /// Makes elements members where they have members below them and `named` says that they are struct fields.
    ///
    /// `named` is asked with the context of a level; it returns whether the element is a named field, and the
    /// context of the level below.
    pub(crate) fn with_named<C: Copy>(
        self,
        context: C,
        named: &impl Fn(C, &PathElement<'_>) -> (bool, C),
    ) -> Set<'a> {
        let complete = |entry: Entry<'a>| {
            if entry.children.is_empty() {
                return entry;
            }
            let (is_named, below) = named(context, &entry.element);
            Entry {
                member: entry.member || is_named,
                children: entry.children.with_named(below, named),
                element: entry.element,
            }
        };
        Set {
            entries: self.entries.into_iter().map(complete).collect(),
        }
    }
}
