//! What a Kustomization would apply, built from a folder on this machine: the common part of
//! `sluice build` and `sluice diff`.
//!
//! The controller's own functions build, substitute and label, so that a preview and a reconciliation
//! cannot differ. Nothing is written to the folder.

pub mod mask;
pub mod report;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use kustomize_controller::desired::variables::Variables;
use kustomize_controller::desired::{self, Source};
use kustomize_controller::edge;
use serde_json::Value;
use sluice_api::kinds::KUSTOMIZE_GROUP;
use sluice_api::kustomize::Kustomization;
use sluice_artifact::sourceignore::{Kind, Rules};
use sluice_envsubst::Undefined;
use sluice_kustomize::DiskFs;
use sluice_objects::object::{self, Gvk};

use crate::error::{Failure, Outcome, is_not_found};
use crate::session::Session;

/// The options that `build kustomization` and `diff kustomization` share.
#[derive(Args, Debug)]
pub struct PreviewArgs {
    /// Name of the Kustomization
    name: Option<String>,
    /// Folder to build
    #[arg(long, default_value = "", hide_default_value = true)]
    path: PathBuf,
    /// File with the Kustomization, in place of the one in the cluster
    #[arg(long)]
    kustomization_file: Option<PathBuf>,
    /// Patterns of files that a generated kustomization file leaves out
    #[arg(long, value_delimiter = ',')]
    ignore_paths: Vec<String>,
    /// Refuse variables that are not defined and have no default
    #[arg(long)]
    strict_substitute: bool,
    /// Go on with the Kustomizations that are found in the output
    #[arg(short, long)]
    recursive: bool,
    /// Folders of the sources of those, as Kind/namespace/name=path
    #[arg(long, value_delimiter = ',')]
    local_sources: Vec<String>,
    /// Accepted for compatibility: files are never touched
    #[arg(long)]
    in_memory_build: bool,
}

/// Whether the cluster is asked for what is not in the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cluster {
    /// For the live Kustomization and for variables.
    Asked,
    /// Never.
    LeftOut,
}

/// What to do about a Kustomization that is given as a file and not in the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// It is taken from the file.
    Accept,
    /// It is an error.
    Refuse,
}

/// A Kustomization and the folder that it is built from.
#[derive(Debug, Clone)]
pub struct Preview {
    /// The Kustomization; with the status of the live one, if there is one.
    pub ks: Kustomization,
    dir: PathBuf,
}

impl Preview {
    /// Whether both are of the same Kustomization: one that applies itself is no child of its own.
    pub fn is_same(&self, other: &Self) -> bool {
        let key = |ks: &Kustomization| (ks.metadata.namespace.clone(), ks.metadata.name.clone());
        key(&self.ks) == key(&other.ks)
    }
}

impl PreviewArgs {
    /// What is asked for.
    ///
    /// # Errors
    /// A missing name, a folder or file that is not there, no such Kustomization.
    pub async fn preview(
        &self,
        session: &mut Session,
        cluster: Cluster,
        absent: Absent,
    ) -> Outcome<Preview> {
        let Some(name) = &self.name else {
            return Err(Failure::new("kustomization name is required"));
        };
        let shown = self.path.display().to_string();
        if !self.path.is_dir() {
            return Err(Failure::new(format!("invalid resource path {shown:?}")));
        }
        let dir = std::path::absolute(&self.path)?;
        let namespace = session.namespace.clone();
        let given = match &self.kustomization_file {
            None => None,
            Some(file) => Some(from_file(file, &namespace, name)?),
        };
        let live = match cluster {
            Cluster::LeftOut => None,
            Cluster::Asked => live(session, &namespace, name).await?,
        };
        let ks = match (given, live) {
            (Some(mut given), Some(live)) => {
                given.status = live.status;
                given
            }
            (Some(given), None) if cluster == Cluster::LeftOut || absent == Absent::Accept => given,
            (None, Some(live)) => live,
            (None, None) if cluster == Cluster::LeftOut => {
                return Err(Failure::new("dry-run mode requires a kustomization file"));
            }
            _ => {
                return Err(Failure::new(format!(
                    "failed to get kustomization object: kustomizations.{KUSTOMIZE_GROUP} {name:?} not found"
                )));
            }
        };
        Ok(Preview { ks, dir })
    }

    /// Whether to go on with Kustomizations in the output.
    pub fn is_recursive(&self) -> bool {
        self.recursive
    }

    /// Builds the objects of a Kustomization, with variables in their places and without anything that
    /// is encrypted.
    ///
    /// # Errors
    /// The text of the controller's condition.
    pub async fn objects(
        &self,
        session: &mut Session,
        preview: &Preview,
        cluster: Cluster,
    ) -> Outcome<Vec<Value>> {
        let variables = self.variables(session, &preview.ks, cluster).await?;
        let dir = preview.dir.to_string_lossy();
        let root = std::env::current_dir()?;
        let patterns = self.ignore_paths.join("\n");
        let rules = Rules::from_user([], Some(&patterns));
        let source = Source {
            files: DiskFs::default(),
            root: &root.to_string_lossy(),
            dir: &dir,
            skips: &|path| is_ignored(&rules, &dir, path),
            remote: None,
        };
        let documents = desired::documents(&preview.ks, source).map_err(Failure::new)?;
        let built = desired::seal(documents, variables.as_ref(), false).map_err(Failure::new)?;
        let mut objects = built.objects;
        let owner = desired::owner(&preview.ks);
        let common = preview.ks.spec.common_metadata.clone().unwrap_or_default();
        for object in &mut objects {
            mask::ciphertext(object);
            object::set_labels(object, owner.labels());
            object::set_labels(object, texts(&common.labels));
            object::set_annotations(object, texts(&common.annotations));
        }
        Ok(objects)
    }

    async fn variables(
        &self,
        session: &mut Session,
        ks: &Kustomization,
        cluster: Cluster,
    ) -> Outcome<Option<Variables>> {
        let Some(mut post_build) = ks.spec.post_build.clone() else {
            return Ok(None);
        };
        let loaded = match cluster {
            Cluster::Asked if !post_build.substitute_from.is_empty() => {
                edge::load(&session.client().await?, ks).await
            }
            _ => {
                post_build.substitute_from.clear();
                Vec::new()
            }
        };
        let undefined = match self.strict_substitute {
            true => Undefined::Refuse,
            false => Undefined::Empty,
        };
        Ok(Some(Variables::new(&post_build, &loaded, undefined)))
    }

    /// The Kustomization that an object is, with the folder that it is built from; `None` for other
    /// objects.
    ///
    /// # Errors
    /// It cannot be read, or no folder is given for its source.
    pub fn child(&self, object: &Value) -> Outcome<Option<Preview>> {
        if !is_kustomization(object) {
            return Ok(None);
        }
        let ks: Kustomization = serde_json::from_value(object.clone())
            .map_err(|error| Failure::new(format!("{}: {error}", subject(object))))?;
        let source = &ks.spec.source_ref;
        let namespace = source.namespace.clone().or(ks.metadata.namespace.clone());
        let key = format!(
            "{}/{}/{}",
            source.kind.as_str(),
            namespace.unwrap_or_default(),
            source.name
        );
        let folder = self.local_sources.iter().find_map(|pair| {
            let (known, folder) = pair.split_once('=')?;
            (known == key).then_some(folder)
        });
        let Some(folder) = folder else {
            return Err(Failure::new(format!(
                "{}: no folder is given for its source {key}: add --local-sources {key}=PATH",
                subject(object)
            )));
        };
        let below = ks.spec.path.clone().unwrap_or_default();
        let dir = std::path::absolute(folder)?;
        let below = sluice_kustomize::clean_path(&format!("/{below}"));
        let dir = dir.join(below.trim_start_matches('/'));
        if !dir.is_dir() {
            return Err(Failure::new(format!(
                "{}: kustomization path not found: stat {}: no such file or directory",
                subject(object),
                dir.display()
            )));
        }
        Ok(Some(Preview { ks, dir }))
    }
}

fn texts(map: &BTreeMap<String, String>) -> impl Iterator<Item = (&str, &str)> {
    map.iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
}

/// `Kind/namespace/name`.
pub fn subject(object: &Value) -> String {
    sluice_objects::subject(&object::id(object))
}

fn is_kustomization(object: &Value) -> bool {
    Gvk::of(object)
        .is_some_and(|gvk| gvk.group == KUSTOMIZE_GROUP && gvk.kind == Kustomization::KIND.kind)
}

fn is_ignored(rules: &Rules, dir: &str, path: &str) -> bool {
    let below = path.strip_prefix(dir).unwrap_or(path);
    let names: Vec<&str> = below.split('/').filter(|name| !name.is_empty()).collect();
    let kind = match Path::new(path).is_dir() {
        true => Kind::Dir,
        false => Kind::File,
    };
    !names.is_empty() && rules.excludes(&names, kind)
}

/// The Kustomization in the cluster, if it is there.
pub async fn live(
    session: &mut Session,
    namespace: &str,
    name: &str,
) -> Outcome<Option<Kustomization>> {
    let client = session.client().await?;
    match kube::Api::<Kustomization>::namespaced(client, namespace)
        .get(name)
        .await
    {
        Ok(ks) => Ok(Some(ks)),
        Err(error) if is_not_found(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The Kustomization of that name in a file with any number of documents. One without a namespace
/// is in `namespace`.
fn from_file(file: &Path, namespace: &str, name: &str) -> Outcome<Kustomization> {
    let shown = file.display().to_string();
    let content = std::fs::read(file)
        .map_err(|_| Failure::new(format!("invalid kustomization file {shown:?}")))?;
    let text = sluice_yaml::decode(&content)?;
    let documents = sluice_yaml::documents_from_str(&text)
        .map_err(|error| Failure::new(format!("{shown}: {error}")))?;
    let found = documents.into_iter().find(|(document, _)| {
        is_kustomization(document)
            && object::name(document) == name
            && ["", namespace].contains(&object::namespace(document))
    });
    let Some((document, _)) = found else {
        return Err(Failure::new(format!(
            "failed find kustomization with name '{name}' and namespace '{namespace}' in file '{shown}'"
        )));
    };
    let mut ks: Kustomization = serde_json::from_value(document)
        .map_err(|error| Failure::new(format!("{shown}: {error}")))?;
    ks.metadata.namespace = Some(namespace.to_owned());
    Ok(ks)
}
