//! One commit of a store on the local disk: what it says, and its tree as the layout of an artifact.
//! Nothing is checked out. All functions block.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use git2::{ObjectType, Oid, Repository};
use sluice_artifact::layout::{Dir, File, FileMode, MAX_DEPTH, Node};
use sluice_artifact::pack::Content;

use crate::error::{Error, TransportError};
use crate::reference::Tag;

/// Largest `.gitmodules` that is read, in bytes.
const MAX_GITMODULES: usize = 1 << 20;
/// Largest commit or tag object that is read, in bytes.
const MAX_META: usize = 4 << 20;

/// A commit in a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The repository with its objects.
    pub store: PathBuf,
    /// The commit.
    pub commit: Oid,
    /// The tag that led to it.
    pub tag: Option<Tag>,
}

/// Who wrote something, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Name, with what is no UTF-8 replaced.
    pub name: String,
    /// Mail address.
    pub email: String,
    /// Seconds since the epoch.
    pub seconds: i64,
}

/// What a commit says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its hash.
    pub id: Oid,
    /// Who wrote the change.
    pub author: Person,
    /// Who committed it.
    pub committer: Person,
    /// The message, with what is no UTF-8 replaced.
    pub message: String,
    /// The signature and what it signs, if there is one.
    pub signature: Option<Signed>,
}

impl Commit {
    /// The first line of the message, cut to 50 characters as in Flux's events.
    pub fn subject(&self) -> String {
        let line = self.message.lines().next().unwrap_or_default();
        match line.char_indices().nth(50) {
            Some((cut, _)) => format!("{}...", &line[..cut]),
            None => line.to_owned(),
        }
    }
}

/// What an annotated tag says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagObject {
    /// Its hash.
    pub id: Oid,
    /// The signature and what it signs, if there is one.
    pub signature: Option<Signed>,
}

/// A signature with the bytes that it was made over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The armored signature.
    pub signature: String,
    /// The object's bytes without it.
    pub payload: Vec<u8>,
}

/// Where the bytes of a file in a [`Dir`] made here are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blob {
    /// An object in the store of the snapshot with this number.
    Object {
        /// Which of the snapshots.
        store: usize,
        /// The blob.
        id: Oid,
    },
    /// Made up here.
    Text(String),
}

/// A submodule as a tree and its `.gitmodules` describe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gitlink {
    /// Where it is mounted, as names.
    pub path: Vec<Vec<u8>>,
    /// The commit that belongs there.
    pub commit: Oid,
}

/// The beginnings of signatures at the end of a tag's message.
const ARMORS: [&[u8]; 3] = [
    b"-----BEGIN PGP SIGNATURE-----",
    b"-----BEGIN SSH SIGNATURE-----",
    b"-----BEGIN SIGNED MESSAGE-----",
];

impl Snapshot {
    fn open(&self) -> Result<Repository, Error> {
        open_store(&self.store)
    }

    /// Reads the commit.
    ///
    /// # Errors
    /// When it is damaged or missing.
    pub fn read_commit(&self) -> Result<Commit, Error> {
        let repository = self.open()?;
        check_size(&repository, self.commit)?;
        let commit = repository.find_commit(self.commit)?;
        let signature = match repository.extract_signature(&self.commit, None) {
            Ok((signature, payload)) => Some(Signed {
                signature: String::from_utf8_lossy(&signature).into_owned(),
                payload: payload.to_vec(),
            }),
            Err(error) if error.code() == git2::ErrorCode::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        Ok(Commit {
            id: self.commit,
            author: person(&commit.author()),
            committer: person(&commit.committer()),
            message: String::from_utf8_lossy(commit.message_bytes()).into_owned(),
            signature,
        })
    }

    /// Reads the annotated tag that led to the commit; `None` for a lightweight tag, or none at all.
    ///
    /// # Errors
    /// When it is damaged or missing.
    pub fn read_tag(&self) -> Result<Option<TagObject>, Error> {
        let Some(tag) = self.tag.as_ref().filter(|tag| tag.object != self.commit) else {
            return Ok(None);
        };
        let repository = self.open()?;
        check_size(&repository, tag.object)?;
        let odb = repository.odb()?;
        let object = odb.read(tag.object)?;
        if object.kind() != ObjectType::Tag {
            return Ok(None);
        }
        let signature = split_signature(object.data()).map(|at| {
            let (payload, signature) = object.data().split_at(at);
            Signed {
                signature: String::from_utf8_lossy(signature).into_owned(),
                payload: payload.to_vec(),
            }
        });
        Ok(Some(TagObject {
            id: tag.object,
            signature,
        }))
    }

    /// The commit's tree, with an empty folder where a submodule is mounted. `store` is the number
    /// that the files' handles carry.
    ///
    /// # Errors
    /// When an object is damaged or missing, or a name cannot be one.
    pub fn layout(&self, store: usize) -> Result<(Dir<Blob>, Vec<Gitlink>), Error> {
        let repository = self.open()?;
        let root = repository.find_commit(self.commit)?.tree_id();
        let mut walk = Walk {
            repository: &repository,
            store,
            gitlinks: Vec::new(),
            path: Vec::new(),
        };
        let dir = walk.dir(root)?;
        Ok((dir, walk.gitlinks))
    }

    /// The text of `.gitmodules`, if there is one of a reasonable size.
    ///
    /// # Errors
    /// When an object is damaged or missing.
    pub fn gitmodules(&self) -> Result<Option<String>, Error> {
        let repository = self.open()?;
        let tree = repository.find_commit(self.commit)?.tree()?;
        let Some(entry) = tree.get_name(".gitmodules") else {
            return Ok(None);
        };
        if entry.kind() != Some(ObjectType::Blob) {
            return Ok(None);
        }
        let odb = repository.odb()?;
        let (size, _) = odb.read_header(entry.id())?;
        if size > MAX_GITMODULES {
            return Ok(None);
        }
        Ok(Some(
            String::from_utf8_lossy(odb.read(entry.id())?.data()).into_owned(),
        ))
    }
}

pub(crate) fn open_store(path: &Path) -> Result<Repository, Error> {
    Repository::open(path).map_err(|error| Error::Clone {
        url: format!("file://{}", path.display()),
        cause: TransportError::Local {
            path: path.display().to_string(),
            reason: error.message().to_owned(),
        },
    })
}

fn check_size(repository: &Repository, id: Oid) -> Result<(), Error> {
    let (size, _) = repository.odb()?.read_header(id)?;
    if size > MAX_META {
        return Err(Error::InvalidTree(format!(
            "object `{id}` is too large to be a commit or a tag"
        )));
    }
    Ok(())
}

fn person(signature: &git2::Signature<'_>) -> Person {
    Person {
        name: String::from_utf8_lossy(signature.name_bytes()).into_owned(),
        email: String::from_utf8_lossy(signature.email_bytes()).into_owned(),
        seconds: signature.when().seconds(),
    }
}

/// Where the signature of a tag begins: at the last line that opens an armor.
fn split_signature(data: &[u8]) -> Option<usize> {
    let mut at = 0;
    let mut found = None;
    for line in data.split_inclusive(|b| *b == b'\n') {
        if ARMORS.iter().any(|armor| line.starts_with(armor)) {
            found = Some(at);
        }
        at += line.len();
    }
    found
}

struct Walk<'r> {
    repository: &'r Repository,
    store: usize,
    gitlinks: Vec<Gitlink>,
    path: Vec<Vec<u8>>,
}

impl Walk<'_> {
    fn dir(&mut self, tree: Oid) -> Result<Dir<Blob>, Error> {
        let tree = self.repository.find_tree(tree)?;
        let mut dir = Dir::new();
        for entry in &tree {
            let name = entry.name_bytes();
            self.check(name)?;
            match entry.filemode() {
                0o040_000 => {
                    self.path.push(name.to_vec());
                    let below = self.dir(entry.id())?;
                    self.path.pop();
                    dir.set(name, Node::Dir(below));
                }
                // A link: never followed, never made.
                0o120_000 => {}
                0o160_000 => {
                    let mut path = self.path.clone();
                    path.push(name.to_vec());
                    self.gitlinks.push(Gitlink {
                        path,
                        commit: entry.id(),
                    });
                    dir.set(name, Node::Dir(Dir::new()));
                }
                mode => {
                    let mode = if mode & 0o111 == 0 {
                        FileMode::Regular
                    } else {
                        FileMode::Executable
                    };
                    let content = Blob::Object {
                        store: self.store,
                        id: entry.id(),
                    };
                    dir.set(name, Node::File(File { mode, content }));
                }
            }
        }
        Ok(dir)
    }

    /// Git itself never makes such names; whoever does wants to leave the tree.
    fn check(&self, name: &[u8]) -> Result<(), Error> {
        let bad = name.is_empty()
            || name == b"."
            || name == b".."
            || name.eq_ignore_ascii_case(b".git")
            || name.iter().any(|b| matches!(b, b'/' | 0))
            || self.path.len() >= MAX_DEPTH - 1;
        if bad {
            let mut path = self.path.clone();
            path.push(name.to_vec());
            let path = String::from_utf8_lossy(&path.join(&b'/')).into_owned();
            return Err(Error::InvalidTree(format!("invalid path `{path}`")));
        }
        Ok(())
    }
}

/// Keeps what one of `prefixes` selects.
///
/// Selection goes by the beginning of the whole path, letter by letter, so that `charts` selects
/// `charts-old/a` too; a leading `./` of a prefix does not count.
///
/// # Errors
/// When a listed path is not there.
pub fn sparse<C>(root: Dir<C>, prefixes: &[String]) -> Result<Dir<C>, Error> {
    let stripped: Vec<&[u8]> = prefixes
        .iter()
        .map(|p| p.strip_prefix("./").unwrap_or(p).as_bytes())
        .collect();
    let kept = select(root, &stripped, &mut Vec::new());
    for prefix in prefixes {
        let mut names = prefix
            .split('/')
            .filter(|name| !name.is_empty() && *name != ".")
            .map(str::as_bytes)
            .peekable();
        if names.peek().is_some() && kept.get(names).is_none() {
            return Err(Error::SparseMissing(prefix.clone()));
        }
    }
    Ok(kept)
}

fn select<C>(dir: Dir<C>, prefixes: &[&[u8]], path: &mut Vec<u8>) -> Dir<C> {
    let mut kept = Dir::new();
    for (name, node) in dir.into_entries() {
        let length = path.len();
        path.extend_from_slice(&name);
        let selected = prefixes.iter().any(|prefix| path.starts_with(prefix));
        match node {
            node if selected => kept.set(&name, node),
            Node::Dir(below) => {
                path.push(b'/');
                let below = select(below, prefixes, path);
                if !below.is_empty() {
                    kept.set(&name, Node::Dir(below));
                }
            }
            Node::File(_) => {}
        }
        path.truncate(length);
    }
    kept
}

/// Opened stores, to read the files of a layout.
pub struct Stores {
    repositories: Vec<Repository>,
    /// Files larger than this are announced with their size but not read.
    max_file: u64,
}

impl Stores {
    /// Opens the stores of `snapshots`, numbered as they come.
    ///
    /// # Errors
    /// When one cannot be opened.
    pub fn open(snapshots: &[Snapshot], max_file: u64) -> Result<Stores, Error> {
        let mut opened: HashMap<&Path, usize> = HashMap::new();
        let mut repositories = Vec::new();
        for snapshot in snapshots {
            opened.insert(&snapshot.store, repositories.len());
            repositories.push(snapshot.open()?);
        }
        Ok(Stores {
            repositories,
            max_file,
        })
    }

    /// The content of a file.
    ///
    /// # Errors
    /// When the object is damaged or missing.
    pub fn content(&self, blob: &Blob) -> io::Result<Content<'static>> {
        let (store, id) = match blob {
            Blob::Text(text) => return Ok(Content::owned(text.clone().into_bytes())),
            Blob::Object { store, id } => (*store, *id),
        };
        let failed = |error: git2::Error| io::Error::other(error.message().to_owned());
        let repository = self
            .repositories
            .get(store)
            .ok_or(io::ErrorKind::NotFound)?;
        let odb = repository.odb().map_err(failed)?;
        let (size, _) = odb.read_header(id).map_err(failed)?;
        if size as u64 > self.max_file {
            return Ok(Content {
                size: size as u64,
                reader: Box::new(io::empty()),
            });
        }
        let object = odb.read(id).map_err(failed)?;
        Ok(Content::owned(object.data().to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(paths: &[&str]) -> Dir<String> {
        let mut root = Dir::new();
        for path in paths {
            let names: Vec<&[u8]> = path.split('/').map(str::as_bytes).collect();
            let file = File {
                mode: FileMode::Regular,
                content: (*path).to_owned(),
            };
            root.place(&names, Node::File(file)).unwrap();
        }
        root
    }

    #[test]
    fn a_sparse_selection_goes_by_the_beginning_of_the_path() {
        let all = layout(&[
            "charts/a",
            "charts-old/a",
            "docs/d",
            "root.yaml",
            ".sourceignore",
        ]);
        let chosen = |prefixes: &[&str]| {
            let prefixes: Vec<String> = prefixes.iter().map(|p| (*p).to_owned()).collect();
            sparse(all.clone(), &prefixes).map_err(|error| error.to_string())
        };
        assert_eq!(
            chosen(&["./charts", "docs"]),
            Ok(layout(&["charts/a", "charts-old/a", "docs/d"]))
        );
        assert_eq!(chosen(&["charts/"]), Ok(layout(&["charts/a"])));
        assert_eq!(chosen(&["root.yaml"]), Ok(layout(&["root.yaml"])));
        assert_eq!(
            chosen(&["charts", "nope"]),
            Err("failed to sparse checkout directories : sparse checkout dir 'nope' does not exist in repository".into())
        );
        assert_eq!(
            chosen(&["chart"]).unwrap_err().matches("'chart'").count(),
            1
        );
    }

    #[test]
    fn subjects_are_cut_as_in_events() {
        let mut commit = Commit {
            id: Oid::from_str(&"a".repeat(40)).unwrap(),
            author: Person {
                name: String::new(),
                email: String::new(),
                seconds: 0,
            },
            committer: Person {
                name: String::new(),
                email: String::new(),
                seconds: 0,
            },
            message: "short\n\nbody".into(),
            signature: None,
        };
        assert_eq!(commit.subject(), "short");
        commit.message = "é".repeat(50);
        assert_eq!(commit.subject(), "é".repeat(50));
        commit.message = "a subject of more than fifty characters is cut and dots follow".into();
        assert_eq!(
            commit.subject(),
            "a subject of more than fifty characters is cut and..."
        );
    }

    #[test]
    fn a_tags_signature_begins_at_its_last_armor() {
        let data = b"object x\n\nmessage\n-----BEGIN PGP SIGNATURE-----\nold\n-----BEGIN SSH SIGNATURE-----\nnew\n";
        let at = split_signature(data).unwrap();
        assert!(data[at..].starts_with(b"-----BEGIN SSH SIGNATURE-----"));
        assert_eq!(
            split_signature(b"object x\n\n see -----BEGIN PGP SIGNATURE-----"),
            None
        );
    }
}
