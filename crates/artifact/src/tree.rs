//! An unpacked artifact as consumers see it: an immutable folder tree that any number of
//! reconciles read at the same time.
//!
//! Contents lie one behind the other in one buffer, or in one unlinked temporary file when the tree
//! is large, so that a tree costs little more than its bytes and a read copies nothing or one
//! stretch of a file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use bytes::Bytes;

use crate::layout::FileMode;

/// A read-only folder tree.
///
/// Paths are relative with `/` between names; empty names and `.` are skipped, so `./a//b` is
/// `a/b`, and the empty path is the root. `..` names nothing: normalise before asking.
#[derive(Debug)]
pub struct Tree {
    nodes: Vec<TreeNode>,
    content: Content,
    bytes: u64,
}

#[derive(Debug)]
enum TreeNode {
    Dir(BTreeMap<Box<str>, usize>),
    File { range: Range<u64>, mode: FileMode },
}

#[derive(Debug)]
pub(crate) enum Content {
    Memory(Bytes),
    Spilled(File),
}

/// What a path in a [`Tree`] leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// A folder.
    Dir,
    /// A regular file.
    File {
        /// Length in bytes.
        size: u64,
        /// Whether it may be executed.
        mode: FileMode,
    },
}

/// A regular file stands where a folder is needed, or the other way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Clash;

impl Tree {
    /// A tree without entries, to be filled by the unpacker.
    pub(crate) fn empty() -> Tree {
        Tree {
            nodes: vec![TreeNode::Dir(BTreeMap::new())],
            content: Content::Memory(Bytes::new()),
            bytes: 0,
        }
    }

    /// Adds a folder and those above it; one that exists already is fine.
    pub(crate) fn add_dir(&mut self, path: &str) -> Result<usize, Clash> {
        let mut at = 0;
        for name in names(path) {
            let next = match &self.nodes[at] {
                TreeNode::Dir(entries) => entries.get(name).copied(),
                TreeNode::File { .. } => return Err(Clash),
            };
            at = match next {
                Some(next) => next,
                None => self.push(at, name, TreeNode::Dir(BTreeMap::new())),
            };
        }
        match self.nodes[at] {
            TreeNode::Dir(_) => Ok(at),
            TreeNode::File { .. } => Err(Clash),
        }
    }

    /// Adds a file whose content lies at `range` of the buffer; a file of that name is replaced.
    pub(crate) fn add_file(
        &mut self,
        path: &str,
        range: Range<u64>,
        mode: FileMode,
    ) -> Result<(), Clash> {
        let (parent, name) = match path.trim_end_matches('/').rsplit_once('/') {
            Some((parent, name)) => (parent, name),
            None => ("", path),
        };
        if name.is_empty() || name == "." {
            return Err(Clash);
        }
        let parent = self.add_dir(parent)?;
        let known = match &self.nodes[parent] {
            TreeNode::Dir(entries) => entries.get(name).copied(),
            TreeNode::File { .. } => None,
        };
        match known {
            Some(known) if matches!(self.nodes[known], TreeNode::Dir(_)) => return Err(Clash),
            Some(known) => self.nodes[known] = TreeNode::File { range, mode },
            None => {
                self.push(parent, name, TreeNode::File { range, mode });
            }
        }
        Ok(())
    }

    fn push(&mut self, parent: usize, name: &str, node: TreeNode) -> usize {
        let id = self.nodes.len();
        self.nodes.push(node);
        if let TreeNode::Dir(entries) = &mut self.nodes[parent] {
            entries.insert(name.into(), id);
        }
        id
    }

    /// Hands the buffer over once everything is added.
    pub(crate) fn fill(&mut self, content: Content, bytes: u64) {
        self.content = content;
        self.bytes = bytes;
    }

    fn node(&self, path: &str) -> Option<&TreeNode> {
        let mut at = 0;
        for name in names(path) {
            at = match &self.nodes[at] {
                TreeNode::Dir(entries) => *entries.get(name)?,
                TreeNode::File { .. } => return None,
            };
        }
        Some(&self.nodes[at])
    }

    /// What `path` leads to, or `None` when there is nothing.
    pub fn entry(&self, path: &str) -> Option<Entry> {
        self.node(path).map(TreeNode::entry)
    }

    /// Whether `path` leads to a file or a folder.
    pub fn exists(&self, path: &str) -> bool {
        self.node(path).is_some()
    }

    /// Whether `path` is a folder.
    pub fn is_dir(&self, path: &str) -> bool {
        matches!(self.node(path), Some(TreeNode::Dir(_)))
    }

    /// The content of the file at `path`.
    ///
    /// # Errors
    /// `NotFound`, `IsADirectory`, or what reading a spilled tree gave.
    pub fn read(&self, path: &str) -> io::Result<Bytes> {
        let range = match self.node(path) {
            None => return Err(io::ErrorKind::NotFound.into()),
            Some(TreeNode::Dir(_)) => return Err(io::ErrorKind::IsADirectory.into()),
            Some(TreeNode::File { range, .. }) => range,
        };
        let index = |n: u64| usize::try_from(n).map_err(io::Error::other);
        match &self.content {
            Content::Memory(bytes) => Ok(bytes.slice(index(range.start)?..index(range.end)?)),
            Content::Spilled(file) => {
                let mut bytes = vec![0; index(range.end - range.start)?];
                file.read_exact_at(&mut bytes, range.start)?;
                Ok(bytes.into())
            }
        }
    }

    /// The entries of the folder at `path` in bytewise order of their names.
    ///
    /// # Errors
    /// `NotFound`, or `NotADirectory`.
    pub fn list(&self, path: &str) -> io::Result<impl Iterator<Item = (&str, Entry)>> {
        match self.node(path) {
            None => Err(io::ErrorKind::NotFound.into()),
            Some(TreeNode::File { .. }) => Err(io::ErrorKind::NotADirectory.into()),
            Some(TreeNode::Dir(entries)) => Ok(entries
                .iter()
                .map(|(name, id)| (&**name, self.nodes[*id].entry()))),
        }
    }

    /// Sum of all contents in bytes, wherever they are kept.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Memory that the tree takes, in bytes, roughly.
    pub fn resident(&self) -> usize {
        let content = match &self.content {
            Content::Memory(bytes) => bytes.len(),
            Content::Spilled(_) => 0,
        };
        content + self.nodes.len() * 128
    }
}

impl TreeNode {
    fn entry(&self) -> Entry {
        match self {
            TreeNode::Dir(_) => Entry::Dir,
            TreeNode::File { range, mode } => Entry::File {
                size: range.end - range.start,
                mode: *mode,
            },
        }
    }
}

fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter(|name| !name.is_empty() && *name != ".")
}
