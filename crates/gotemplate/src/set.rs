//! Sets of parsed templates and tables of functions.

use std::collections::HashMap;
use std::sync::Arc;

use crate::ast::{FuncRef, Tree, is_empty};
use crate::builtins::{BUILTINS, Builtin};
use crate::error::{CallError, ParseError};
use crate::exec::Run;
use crate::lex::Delimiters;
use crate::parse;
use crate::text::Str;
use crate::types::Type;
use crate::value::Value;

/// What a map yields for a key that it does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissingKey {
    /// No value at all, Go's default.
    #[default]
    Invalid,
    /// The zero value of the element type, which Helm asks for.
    Zero,
    /// An error.
    Error,
}

/// Templates that can call each other by name.
///
/// A set is parsed once and run any number of times, from any thread. A child
/// set sees its parent's templates and may override them for itself: that is
/// how `tpl` parses a text without touching the set it runs in.
#[derive(Debug)]
pub struct TemplateSet {
    name: Str,
    parent: Option<Arc<TemplateSet>>,
    /// The tree that was added first: most texts of `tpl` have no other.
    first: Option<Arc<Tree>>,
    others: HashMap<Str, Arc<Tree>>,
    missing_key: MissingKey,
    delimiters: Arc<Delimiters>,
}

impl TemplateSet {
    /// Makes an empty set. `name` is what errors call the set.
    pub fn new(name: &str, missing_key: MissingKey, delimiters: Delimiters) -> Self {
        TemplateSet {
            name: name.into(),
            parent: None,
            first: None,
            others: HashMap::new(),
            missing_key,
            delimiters: Arc::new(delimiters),
        }
    }

    /// Makes a set on top of another, with the same options.
    pub fn child(parent: &Arc<TemplateSet>) -> Self {
        TemplateSet {
            name: parent.name.clone(),
            parent: Some(Arc::clone(parent)),
            first: None,
            others: HashMap::new(),
            missing_key: parent.missing_key,
            delimiters: Arc::clone(&parent.delimiters),
        }
    }

    /// Whether the set stands on no other.
    pub fn is_root(&self) -> bool {
        self.parent.is_none()
    }

    /// Returns the name given to the set.
    pub fn name(&self) -> &Str {
        &self.name
    }

    /// Parses a text and adds it as `name`, together with everything that it
    /// defines. What is defined again replaces the older one, unless the newer
    /// one prints nothing.
    ///
    /// # Errors
    /// [`ParseError`] with Go's text; the set is unchanged then.
    pub fn parse<H>(
        &mut self,
        name: impl Into<Str>,
        text: impl Into<Str>,
        functions: &Functions<H>,
    ) -> Result<(), ParseError> {
        let find = |name: &str| functions.find(name);
        let language = parse::Language {
            delimiters: &self.delimiters,
            function: &find,
            loop_words: functions.loop_words,
        };
        for tree in parse::parse(name.into(), text.into(), &language)? {
            let nothing = is_empty(&tree.root, &tree.source.text);
            if nothing && self.lookup(&tree.name).is_some() {
                continue;
            }
            let tree = Arc::new(tree);
            match &mut self.first {
                Some(first) if first.name != tree.name => {
                    self.others.insert(tree.name.clone(), tree);
                }
                first => *first = Some(tree),
            }
        }
        Ok(())
    }

    /// Whether a template of this name exists.
    pub fn contains(&self, name: &str) -> bool {
        self.lookup(name.as_bytes()).is_some()
    }

    pub(crate) fn lookup(&self, name: &[u8]) -> Option<&Arc<Tree>> {
        let mut set = self;
        loop {
            match &set.first {
                Some(first) if *first.name == *name => return Some(first),
                _ => {}
            }
            if !set.others.is_empty()
                && let Some(tree) = set.others.get(name)
            {
                return Some(tree);
            }
            set = set.parent.as_deref()?;
        }
    }

    pub(crate) fn missing_key(&self) -> MissingKey {
        self.missing_key
    }
}

/// A function that templates of a host `H` may call.
pub struct Function<H> {
    /// Its name.
    pub name: &'static str,
    /// Types of its parameters.
    pub params: &'static [Type],
    /// The type of further arguments, if any number of them may follow.
    pub variadic: Option<Type>,
    /// The type of its result.
    pub returns: Type,
    /// Its body. The arguments have the types of the parameters.
    pub call: fn(&mut Run<'_, H>, &[Value]) -> Result<Value, CallError>,
}

impl<H> Clone for Function<H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H> Copy for Function<H> {}

pub(crate) enum Callee<H> {
    Builtin(&'static Builtin),
    Host(Function<H>),
}

/// The functions that templates may call: Go's own, and those of the host.
pub struct Functions<H> {
    table: Vec<Callee<H>>,
    by_name: HashMap<&'static str, usize>,
    /// Whether `break` and `continue` are words of the language, and no names of
    /// functions.
    loop_words: bool,
}

impl<H> Functions<H> {
    /// Makes a table with Go's own functions.
    pub fn new() -> Self {
        let mut functions = Functions {
            table: Vec::new(),
            by_name: HashMap::new(),
            loop_words: true,
        };
        for builtin in BUILTINS {
            functions
                .by_name
                .insert(builtin.name, functions.table.len());
            functions.table.push(Callee::Builtin(builtin));
        }
        functions
    }

    /// Adds functions; one of the same name is replaced.
    pub fn add(&mut self, functions: impl IntoIterator<Item = Function<H>>) {
        for function in functions {
            self.loop_words &= !matches!(function.name, "break" | "continue");
            self.by_name.insert(function.name, self.table.len());
            self.table.push(Callee::Host(function));
        }
    }

    /// Returns all names, in no order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.by_name.keys().copied()
    }

    pub(crate) fn find(&self, name: &str) -> Option<FuncRef> {
        let (name, index) = self.by_name.get_key_value(name)?;
        Some(FuncRef {
            name,
            index: *index,
        })
    }

    pub(crate) fn get(&self, index: usize) -> Option<&Callee<H>> {
        self.table.get(index)
    }
}

impl<H> Default for Functions<H> {
    fn default() -> Self {
        Self::new()
    }
}
