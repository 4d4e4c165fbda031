//! The object store of one remote between two fetches: a bare repository, and a note of what is
//! complete in it.
//!
//! The note is what a fetch relies on. It is replaced after the objects are in place, so a crash at
//! any moment costs a repeated download at most; a store that does not fit its note, or another
//! remote, is thrown away. All functions block.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use git2::{Oid, Repository};

use crate::error::{Error, TransportError};
use crate::protocol::{Depth, Preamble};

/// Name of the note.
const NOTE: &str = "complete";
/// Beginning of the note; other forms are thrown away.
const FORMAT: &str = "sluice-git-1";
/// Fetched tips that are remembered; each is offered to the server as common ground.
const MAX_TIPS: usize = 16;
/// Packs after which the store is started afresh, so that what is not needed any more goes.
const MAX_PACKS: usize = 24;

/// The store of one remote.
pub struct Cache {
    dir: PathBuf,
    repository: Repository,
    note: Note,
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache")
            .field("dir", &self.dir)
            .field("note", &self.note)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Note {
    remote: String,
    depth: Depth,
    /// Youngest last.
    tips: Vec<Oid>,
    shallow: Vec<Oid>,
}

impl Cache {
    /// Opens the store in `dir` for `remote` (any text that names it without secrets), or makes it.
    ///
    /// What is there is kept only if it belongs to the same remote and depth and is whole.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn open(dir: &Path, remote: &str, depth: Depth) -> Result<Cache, Error> {
        if let Some(cache) = Cache::reuse(dir, remote, depth) {
            return Ok(cache);
        }
        Cache::start_afresh(dir, remote, depth)
    }

    /// Throws away what is there and makes an empty store.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn start_afresh(dir: &Path, remote: &str, depth: Depth) -> Result<Cache, Error> {
        remove(dir)?;
        fs::create_dir_all(dir)?;
        let repository = Repository::init_bare(dir.join("store"))?;
        let note = Note {
            remote: remote.to_owned(),
            depth,
            tips: vec![],
            shallow: vec![],
        };
        Ok(Cache {
            dir: dir.to_owned(),
            repository,
            note,
        })
    }

    fn reuse(dir: &Path, remote: &str, depth: Depth) -> Option<Cache> {
        let note = Note::parse(&fs::read_to_string(dir.join(NOTE)).ok()?)?;
        if note.remote != remote || note.depth != depth {
            return None;
        }
        let store = dir.join("store");
        let packs = fs::read_dir(store.join("objects/pack")).ok()?.count();
        if packs > 2 * MAX_PACKS {
            return None;
        }
        let repository = Repository::open_bare(&store).ok()?;
        let whole = {
            let odb = repository.odb().ok()?;
            note.tips.iter().all(|tip| odb.exists(*tip))
        };
        whole.then(|| Cache {
            dir: dir.to_owned(),
            repository,
            note,
        })
    }

    /// The bare repository.
    pub fn store(&self) -> PathBuf {
        self.dir.join("store")
    }

    /// Whether an object is here with all that it needs.
    pub fn is_complete(&self, object: Oid) -> bool {
        self.note.tips.contains(&object)
    }

    /// Objects to tell the server that are here.
    pub fn haves(&self) -> Vec<Oid> {
        self.note.tips.iter().rev().copied().collect()
    }

    /// Commits without their parents.
    pub fn shallow(&self) -> Vec<Oid> {
        self.note.shallow.clone()
    }

    /// Starts to take in a pack.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn pack_writer(&self) -> Result<PackWriter, Error> {
        let directory = self.store().join("objects/pack");
        let indexer = git2::Indexer::new(None, &directory, 0o444, false)?;
        Ok(PackWriter {
            indexer,
            written: 0,
        })
    }

    /// Notes that `wants` are complete now.
    ///
    /// # Errors
    /// When the note cannot be written.
    pub fn complete(&mut self, wants: &[Oid], preamble: &Preamble) -> Result<(), Error> {
        let mut note = self.note.clone();
        note.tips.retain(|tip| !wants.contains(tip));
        note.tips.extend_from_slice(wants);
        let surplus = note.tips.len().saturating_sub(MAX_TIPS.max(wants.len()));
        note.tips.drain(..surplus);
        note.shallow
            .retain(|commit| !preamble.unshallow.contains(commit));
        for commit in &preamble.shallow {
            if !note.shallow.contains(commit) {
                note.shallow.push(*commit);
            }
        }
        // For libgit2, which walks histories by it.
        let shallow: String = note
            .shallow
            .iter()
            .map(|commit| format!("{commit}\n"))
            .collect();
        replace(&self.store().join("shallow"), shallow.as_bytes())?;
        replace(&self.dir.join(NOTE), note.text().as_bytes())?;
        self.note = note;
        self.repository.odb()?.refresh()?;
        Ok(())
    }

    /// Whether `commit` is in the history of one of `tips`, all of which are here in full.
    ///
    /// # Errors
    /// When the store is damaged.
    pub fn reaches(&self, tips: &[Oid], commit: Oid) -> Result<bool, Error> {
        if !self.repository.odb()?.exists(commit) {
            return Ok(false);
        }
        for tip in tips {
            let tip = self
                .repository
                .find_object(*tip, None)?
                .peel_to_commit()?
                .id();
            if tip == commit || self.repository.graph_descendant_of(tip, commit)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Takes in one pack.
pub struct PackWriter {
    indexer: git2::Indexer<'static>,
    written: u64,
}

impl std::fmt::Debug for PackWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PackWriter")
            .field("written", &self.written)
            .finish_non_exhaustive()
    }
}

/// A pack with nothing in it: header with zero objects and the hash of it.
const EMPTY_PACK_LEN: u64 = 32;

impl PackWriter {
    /// Adds bytes.
    ///
    /// # Errors
    /// When they make no sense as a pack, or cannot be written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), TransportError> {
        self.indexer
            .write_all(bytes)
            .map_err(|error| TransportError::Store(error.to_string()))?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Bytes so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Finishes the pack and its index.
    ///
    /// # Errors
    /// When the pack is damaged or not whole.
    pub fn finish(self) -> Result<(), TransportError> {
        if self.written <= EMPTY_PACK_LEN {
            // The server had nothing that was not here.
            return Ok(());
        }
        self.indexer
            .commit()
            .map_err(|error| TransportError::Store(error.message().to_owned()))?;
        Ok(())
    }
}

impl Note {
    fn text(&self) -> String {
        let depth = match self.depth {
            Depth::One => "one",
            Depth::Full => "full",
        };
        let mut text = format!(
            "{FORMAT}\nremote {}\ndepth {depth}\n",
            self.remote.replace('\n', " ")
        );
        for tip in &self.tips {
            text.push_str(&format!("tip {tip}\n"));
        }
        for commit in &self.shallow {
            text.push_str(&format!("shallow {commit}\n"));
        }
        text.push_str("end\n");
        text
    }

    fn parse(text: &str) -> Option<Note> {
        let mut lines = text.lines();
        if lines.next()? != FORMAT {
            return None;
        }
        let remote = lines.next()?.strip_prefix("remote ")?.to_owned();
        let depth = match lines.next()? {
            "depth one" => Depth::One,
            "depth full" => Depth::Full,
            _ => return None,
        };
        let mut note = Note {
            remote,
            depth,
            tips: vec![],
            shallow: vec![],
        };
        for line in lines {
            if line == "end" {
                return Some(note);
            }
            let (what, id) = line.split_once(' ')?;
            let id = Oid::from_str(id).ok()?;
            match what {
                "tip" => note.tips.push(id),
                "shallow" => note.shallow.push(id),
                _ => return None,
            }
        }
        // Without its end the note was cut off.
        None
    }
}

/// Removes a store, if there is one.
///
/// # Errors
/// When it is there and cannot be removed.
pub fn remove(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn replace(file: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = file.with_extension("new");
    fs::write(&temporary, content)?;
    fs::rename(&temporary, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_survives_and_a_damaged_one_does_not() {
        let oid = |digit: &str| Oid::from_str(&digit.repeat(40)).unwrap();
        let note = Note {
            remote: "https://host/app".into(),
            depth: Depth::One,
            tips: vec![oid("a"), oid("b")],
            shallow: vec![oid("c")],
        };
        let text = note.text();
        assert_eq!(Note::parse(&text), Some(note));
        for cut in 0..text.len() - 1 {
            assert_eq!(Note::parse(&text[..cut]), None, "{cut}");
        }
    }

    #[test]
    fn a_store_is_kept_for_its_own_remote_only() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("cache");
        let mut cache = Cache::open(&dir, "one", Depth::One).unwrap();
        let blob = Repository::open_bare(cache.store())
            .unwrap()
            .blob(b"x")
            .unwrap();
        cache.complete(&[blob], &Preamble::default()).unwrap();
        assert!(
            Cache::open(&dir, "one", Depth::One)
                .unwrap()
                .is_complete(blob)
        );
        assert!(
            !Cache::open(&dir, "one", Depth::Full)
                .unwrap()
                .is_complete(blob)
        );
        let mut cache = Cache::open(&dir, "two", Depth::One).unwrap();
        let missing = Oid::from_str(&"a".repeat(40)).unwrap();
        cache.complete(&[missing], &Preamble::default()).unwrap();
        assert!(
            !Cache::open(&dir, "two", Depth::One)
                .unwrap()
                .is_complete(missing)
        );
    }

    #[test]
    fn only_so_many_tips_are_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let mut cache = Cache::open(&dir.path().join("c"), "one", Depth::One).unwrap();
        let oid = |n: usize| Oid::from_str(&format!("{n:040x}")).unwrap();
        for n in 1..=30 {
            cache.complete(&[oid(n)], &Preamble::default()).unwrap();
        }
        assert_eq!(cache.haves().len(), MAX_TIPS);
        assert_eq!(cache.haves()[0], oid(30));
    }
}
