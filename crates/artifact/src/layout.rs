//! The folder that an artifact is made of, before it is packed: names, the exec bit, and handles to
//! contents that are read only when an archive is written.
//!
//! A source builds a [`Dir`] from whatever it has (a Git tree, an unpacked layer, a list of objects)
//! without writing a single file; includes and sparse selections are edits of this value.

use std::collections::BTreeMap;

/// Deepest nesting that a layout accepts; deeper trees are hostile, not real.
pub const MAX_DEPTH: usize = 255;

/// A folder. Entries are kept sorted bytewise by name, the order of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dir<C> {
    entries: BTreeMap<Box<[u8]>, Node<C>>,
}

/// What a name in a folder stands for. Links and special files have no place in an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node<C> {
    /// A folder, perhaps empty.
    Dir(Dir<C>),
    /// A regular file.
    File(File<C>),
}

/// A regular file: its mode and a handle to its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File<C> {
    /// Whether any exec bit is set.
    pub mode: FileMode,
    /// Whatever the source needs to read the bytes later.
    pub content: C,
}

/// The only part of a file's mode that survives in an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileMode {
    /// Archived as 0600.
    Regular,
    /// Archived as 0700.
    Executable,
}

/// Why an edit of a layout is impossible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// A file stands where a folder is needed.
    #[error("`{0}` is not a directory")]
    NotADirectory(String),
    /// The destination is a folder with something in it, or a file.
    #[error("`{0}` exists and is not an empty directory")]
    Occupied(String),
    /// The tree is nested deeper than [`MAX_DEPTH`].
    #[error("directories are nested deeper than {MAX_DEPTH} levels at `{0}`")]
    TooDeep(String),
}

impl<C> Default for Dir<C> {
    fn default() -> Self {
        Dir {
            entries: BTreeMap::new(),
        }
    }
}

impl<C> Dir<C> {
    /// An empty folder.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Entries in bytewise order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Node<C>)> {
        self.entries.iter().map(|(name, node)| (&**name, node))
    }

    /// Entries in bytewise order of their names, handed over.
    pub fn into_entries(self) -> impl Iterator<Item = (Box<[u8]>, Node<C>)> {
        self.entries.into_iter()
    }

    /// All files called `name`, each with the names of the folders it lies in: a folder's own first,
    /// then those of the folders below in the order of their names. `.git` folders are skipped.
    pub fn files_named(&self, name: &[u8]) -> Vec<(Vec<&[u8]>, &File<C>)> {
        let mut found = Vec::new();
        self.find_named(name, &mut Vec::new(), &mut found);
        found
    }

    fn find_named<'a>(
        &'a self,
        name: &[u8],
        path: &mut Vec<&'a [u8]>,
        found: &mut Vec<(Vec<&'a [u8]>, &'a File<C>)>,
    ) {
        if let Some(Node::File(file)) = self.entries.get(name) {
            found.push((path.clone(), file));
        }
        for (below, node) in &self.entries {
            if let Node::Dir(dir) = node
                && **below != *b".git"
            {
                path.push(below);
                dir.find_named(name, path, found);
                path.pop();
            }
        }
    }

    /// Puts a node under a single name, replacing what was there.
    pub fn set(&mut self, name: &[u8], node: Node<C>) {
        self.entries.insert(name.into(), node);
    }

    /// Looks a path up; the empty path is not a node.
    pub fn get<'p>(&self, path: impl IntoIterator<Item = &'p [u8]>) -> Option<&Node<C>> {
        let mut dir = Some(self);
        let mut node = None;
        for name in path {
            node = Some(dir?.entries.get(name)?);
            dir = match node {
                Some(Node::Dir(d)) => Some(d),
                _ => None,
            };
        }
        node
    }

    /// Puts `node` at `path`, making the folders above it, and replacing an empty folder there.
    ///
    /// # Errors
    /// When a file is in the way, the destination holds something, or the path is too deep.
    pub fn place(&mut self, path: &[&[u8]], node: Node<C>) -> Result<(), LayoutError> {
        let text = || String::from_utf8_lossy(&path.join(&b'/')).into_owned();
        if path.len() > MAX_DEPTH {
            return Err(LayoutError::TooDeep(text()));
        }
        let Some((last, parents)) = path.split_last() else {
            return match node {
                Node::Dir(dir) if self.is_empty() => {
                    *self = dir;
                    Ok(())
                }
                _ => Err(LayoutError::Occupied(".".to_owned())),
            };
        };
        let mut dir = self;
        for name in parents {
            let below = dir
                .entries
                .entry((*name).into())
                .or_insert_with(|| Node::Dir(Dir::new()));
            dir = match below {
                Node::Dir(d) => d,
                Node::File(_) => return Err(LayoutError::NotADirectory(text())),
            };
        }
        match dir.entries.get(*last) {
            None => {}
            Some(Node::Dir(d)) if d.is_empty() => {}
            Some(_) => return Err(LayoutError::Occupied(text())),
        }
        dir.set(last, node);
        Ok(())
    }

    /// Takes the node at `path` out.
    pub fn take(&mut self, path: &[&[u8]]) -> Option<Node<C>> {
        let (last, parents) = path.split_last()?;
        let mut dir = self;
        for name in parents {
            dir = match dir.entries.get_mut(*name)? {
                Node::Dir(d) => d,
                Node::File(_) => return None,
            };
        }
        dir.entries.remove(*last)
    }

    /// Turns every content handle into another kind of handle.
    pub fn map<D>(self, f: &mut impl FnMut(C) -> D) -> Dir<D> {
        let entries = self
            .entries
            .into_iter()
            .map(|(name, node)| (name, node.map(f)))
            .collect();
        Dir { entries }
    }
}

impl<C> Node<C> {
    /// Turns every content handle into another kind of handle.
    pub fn map<D>(self, f: &mut impl FnMut(C) -> D) -> Node<D> {
        match self {
            Node::Dir(dir) => Node::Dir(dir.map(f)),
            Node::File(file) => Node::File(File {
                mode: file.mode,
                content: f(file.content),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &'static str) -> Node<&'static str> {
        Node::File(File {
            mode: FileMode::Regular,
            content: text,
        })
    }

    #[test]
    fn a_node_lands_only_where_nothing_or_an_empty_folder_is() {
        let mut root = Dir::new();
        root.place(&[b"a", b"b"], file("1")).unwrap();
        assert_eq!(root.get([&b"a"[..], b"b"]), Some(&file("1")));
        assert_eq!(
            root.place(&[b"a"], file("2")),
            Err(LayoutError::Occupied("a".into()))
        );
        assert_eq!(
            root.place(&[b"a", b"b", b"c"], file("2")),
            Err(LayoutError::NotADirectory("a/b/c".into()))
        );
        root.set(b".git", Node::Dir(Dir::new()));
        root.place(&[b".git", b"b"], file("no")).unwrap();
        root.place(&[b"b"], file("0")).unwrap();
        let named: Vec<_> = root
            .files_named(b"b")
            .iter()
            .map(|(path, f)| (path.concat(), f.content))
            .collect();
        assert_eq!(named, [(b"".to_vec(), "0"), (b"a".to_vec(), "1")]);
        root.set(b"empty", Node::Dir(Dir::new()));
        root.place(&[b"empty"], file("3")).unwrap();
        assert_eq!(root.take(&[b"a", b"b"]), Some(file("1")));
        root.place(&[b"a"], file("4")).unwrap();
    }
}
