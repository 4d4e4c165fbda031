//! From a fetched commit to a published artifact: select, include, ignore, pack. All functions
//! block.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::sync::Arc;

use sluice_api::artifact::Artifact;
use sluice_api::condition::{FETCH_FAILED, STORAGE_OPERATION_FAILED};
use sluice_api::reason::{FAILED, source};
use sluice_api::source::GitRepositoryInclude;
use sluice_artifact::layout::Dir;
use sluice_artifact::pack::{Content as Packing, PackError, PackLimits, pack};
use sluice_artifact::sourceignore::{self, Rules};
use sluice_artifact::store::StoreError;
use sluice_artifact::tree::Tree;
use sluice_artifact::unpack::{Limits, unpack};
use sluice_artifact::{ArtifactPath, Store, Stored};
use sluice_git::client::Checkout;
use sluice_git::snapshot::{Blob, Stores, sparse};

use crate::common::failure::Failure;
use crate::git::include::{self, Content};

/// Bounds of a Git artifact. A file is read whole, so it may not be larger than what memory allows.
pub const LIMITS: PackLimits = PackLimits {
    file_bytes: 256 << 20,
    total_bytes: 2 << 30,
    entries: 500_000,
};

/// Largest `.sourceignore` file in bytes.
const MAX_IGNORE_FILE: u64 = 1 << 20;

/// What an artifact is made of.
#[derive(Debug)]
pub struct Plan {
    /// The fetched commit.
    pub checkout: Checkout,
    /// `spec.include` with their artifacts.
    pub includes: Vec<(GitRepositoryInclude, Artifact)>,
    /// `spec.ignore`.
    pub ignore: Option<String>,
    /// Where the artifact goes.
    pub path: ArtifactPath,
}

/// Keeps what `spec.sparseCheckout` selects.
///
/// # Errors
/// When a listed path is not in the commit.
pub fn select(checkout: Checkout, prefixes: &[String]) -> Result<Checkout, Failure> {
    if prefixes.is_empty() {
        return Ok(checkout);
    }
    let layout = sparse(checkout.layout, prefixes).map_err(|error| {
        Failure::retry(
            FETCH_FAILED,
            source::GIT_OPERATION_FAILED,
            error.to_string(),
        )
    })?;
    Ok(Checkout { layout, ..checkout })
}

/// Why no artifact was built.
#[derive(Debug)]
pub enum BuildError {
    /// The usual kind.
    Failed(Failure),
    /// An object of the commit cannot be read: the local object store is to blame.
    Damaged(Failure),
}

impl From<Failure> for BuildError {
    fn from(failure: Failure) -> Self {
        BuildError::Failed(failure)
    }
}

/// Packs and publishes.
///
/// # Errors
/// See [`BuildError`]; nothing is published then.
pub fn publish(plan: Plan, store: &Store) -> Result<Stored, BuildError> {
    let mut root: Dir<Content<Blob>> = plan.checkout.layout.map(&mut Content::Own);
    include_all(&mut root, &plan.includes, store)?;
    let objects = Stores::open(&plan.checkout.snapshots, LIMITS.file_bytes)
        .map_err(|error| BuildError::Damaged(archive(error.to_string())))?;
    let rules = rules(&root, plan.ignore.as_deref(), &objects)?;
    store
        .put(&plan.path, |out| {
            pack(&root, &rules, &LIMITS, out, |content| {
                open(content, &objects)
            })
            .map(|_| ())
        })
        .map_err(|error| match error {
            StoreError::CreateDir { .. } => Failure::retry(
                STORAGE_OPERATION_FAILED,
                source::DIR_CREATION_FAILED,
                format!("failed to create artifact directory: {error}"),
            )
            .into(),
            StoreError::Lock { .. } => Failure::plain(
                FAILED,
                format!("failed to acquire lock for artifact: {error}"),
            )
            .into(),
            StoreError::Content(PackError::Read { .. }) => {
                BuildError::Damaged(archive(error.to_string()))
            }
            StoreError::Content(_) | StoreError::Write { .. } => archive(error.to_string()).into(),
        })
}

fn archive(why: String) -> Failure {
    Failure::retry(
        STORAGE_OPERATION_FAILED,
        source::ARCHIVE_OPERATION_FAILED,
        format!("unable to archive artifact to storage: {why}"),
    )
}

fn include_all(
    root: &mut Dir<Content<Blob>>,
    includes: &[(GitRepositoryInclude, Artifact)],
    store: &Store,
) -> Result<(), Failure> {
    // Several paths of one repository are taken from one unpack.
    let mut trees: HashMap<&str, Arc<Tree>> = HashMap::new();
    for (include, artifact) in includes {
        let tree = match trees.get(artifact.path.as_str()) {
            Some(tree) => Arc::clone(tree),
            None => {
                let tree = Arc::new(read_artifact(artifact, store).map_err(|why| {
                    let message = format!(
                        "failed to copy '{}' include from {} to {}: {why}",
                        include.repository.name,
                        include.from_path.as_deref().unwrap_or_default(),
                        include.target()
                    );
                    Failure::retry(STORAGE_OPERATION_FAILED, source::COPY_FAILURE, message)
                })?);
                trees.insert(&artifact.path, Arc::clone(&tree));
                tree
            }
        };
        include::place(root, include, &tree)?;
    }
    Ok(())
}

fn read_artifact(artifact: &Artifact, store: &Store) -> Result<Tree, String> {
    let path: ArtifactPath = artifact
        .path
        .parse()
        .map_err(|error: sluice_artifact::store::PathError| error.to_string())?;
    let file =
        File::open(store.file(&path)).map_err(|error| format!("artifact `{path}`: {error}"))?;
    unpack(
        BufReader::with_capacity(64 * 1024, file),
        &Limits::default(),
    )
    .map_err(|error| error.to_string())
}

fn open<'c>(content: &'c Content<Blob>, objects: &Stores) -> io::Result<Packing<'c>> {
    match content {
        Content::Own(blob) => objects.content(blob),
        Content::Included(tree, path) => {
            let bytes = tree.read(path)?;
            Ok(Packing {
                size: bytes.len() as u64,
                reader: Box::new(io::Cursor::new(bytes)),
            })
        }
    }
}

/// The ignore rules of the composed tree.
fn rules(
    root: &Dir<Content<Blob>>,
    spec: Option<&str>,
    objects: &Stores,
) -> Result<Rules, Failure> {
    let mut files = Vec::new();
    for (folder, file) in root.files_named(sourceignore::FILE_NAME.as_bytes()) {
        let folder: Vec<String> = folder
            .iter()
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect();
        let text = read_text(&file.content, objects).map_err(|error| {
            let message = format!(
                "failed to load source ignore patterns from repository: `{}`: {error}",
                folder
                    .iter()
                    .map(String::as_str)
                    .chain([sourceignore::FILE_NAME])
                    .collect::<Vec<_>>()
                    .join("/")
            );
            Failure::plain(source::SOURCE_IGNORE_ERROR, message)
        })?;
        files.push((folder, text));
    }
    Ok(Rules::for_artifact(
        files
            .iter()
            .map(|(folder, text)| (folder.clone(), text.as_str())),
        spec,
    ))
}

fn read_text(content: &Content<Blob>, objects: &Stores) -> io::Result<String> {
    let packing = open(content, objects)?;
    if packing.size > MAX_IGNORE_FILE {
        return Err(io::Error::other(format!(
            "larger than {MAX_IGNORE_FILE} bytes"
        )));
    }
    let mut bytes = Vec::new();
    packing
        .reader
        .take(MAX_IGNORE_FILE)
        .read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
