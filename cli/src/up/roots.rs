//! Finds the objects in a repository that make a cluster run it: the GitRepository and Kustomization that
//! `flux bootstrap` wrote. They are adopted, so that what `sluice up` creates and what the repository says
//! about itself are the same objects.

use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::repository::Repository;

/// A pair of objects that makes a cluster follow the repository.
#[derive(Debug, Clone, PartialEq)]
pub struct Root {
    /// The GitRepository.
    pub source: Value,
    /// The Kustomization.
    pub kustomization: Value,
    /// File that they were found in, if any.
    pub file: Option<String>,
}

impl Root {
    /// `spec.path` of the Kustomization without `./` and slashes at its ends.
    fn path(&self) -> String {
        normal(text(&self.kustomization, "/spec/path"))
    }
}

/// What the user asked for.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Path in the repository.
    pub path: Option<String>,
    /// Branch.
    pub branch: Option<String>,
    /// Tag.
    pub tag: Option<String>,
    /// Namespace of the objects to create.
    pub namespace: String,
    /// Namespace of everything that a new Kustomization applies.
    pub target_namespace: Option<String>,
}

const NAME: &str = "flux-system";

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn normal(path: &str) -> String {
    let parts: Vec<_> = path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    parts.join("/")
}

/// Chooses the root: the one that the repository holds for the wanted path, or a new one.
///
/// # Errors
/// The repository holds several and no path says which; what is wanted does not exist in it.
pub fn choose(repository: &Repository, wanted: &Wanted) -> anyhow::Result<Root> {
    let found = match &repository.local {
        Some(folder) => find(folder, repository, wanted)?,
        None => Vec::new(),
    };
    let root = pick(found, repository, wanted)?;
    Ok(with_ref(root, repository, wanted))
}

fn pick(found: Vec<Root>, repository: &Repository, wanted: &Wanted) -> anyhow::Result<Root> {
    if let Some(path) = &wanted.path {
        let same = |root: &Root| root.path() == normal(path);
        return Ok(found
            .into_iter()
            .find(same)
            .unwrap_or_else(|| new(repository, wanted, path)));
    }
    let mut found = found;
    match found.len() {
        0 => Ok(new(repository, wanted, "./")),
        1 => Ok(found.remove(0)),
        _ => {
            let mut paths: Vec<_> = found
                .iter()
                .map(|r| format!("--path {}", r.path()))
                .collect();
            paths.sort();
            bail!(
                "the repository describes {} clusters; say which one to run:\n  {}",
                paths.len(),
                paths.join("\n  ")
            )
        }
    }
}

fn new(repository: &Repository, wanted: &Wanted, path: &str) -> Root {
    let namespace = &wanted.namespace;
    let path = match normal(path) {
        path if path.is_empty() => "./".to_owned(),
        path => format!("./{path}"),
    };
    let mut root = Root {
        source: serde_json::json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "GitRepository",
            "metadata": {"name": NAME, "namespace": namespace},
            "spec": {"interval": "1m0s", "url": repository.url},
        }),
        kustomization: serde_json::json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "metadata": {"name": NAME, "namespace": namespace},
            "spec": {
                "interval": "10m0s", "path": path, "prune": true,
                "sourceRef": {"kind": "GitRepository", "name": NAME},
            },
        }),
        file: None,
    };
    if let Some(target) = &wanted.target_namespace {
        root.kustomization["spec"]["targetNamespace"] = target.as_str().into();
    }
    root
}

/// Puts the branch or tag into the source; without either, a new source follows what is checked out.
fn with_ref(mut root: Root, repository: &Repository, wanted: &Wanted) -> Root {
    let reference = match (&wanted.tag, &wanted.branch) {
        (Some(tag), _) => serde_json::json!({"tag": tag}),
        (None, Some(branch)) => serde_json::json!({"branch": branch}),
        (None, None) if root.file.is_some() => return root,
        (None, None) => {
            serde_json::json!({"branch": repository.branch.as_deref().unwrap_or("main")})
        }
    };
    root.source["spec"]["ref"] = reference;
    root
}

/// Reads every manifest of the commit that is to be run.
fn find(folder: &Path, repository: &Repository, wanted: &Wanted) -> anyhow::Result<Vec<Root>> {
    let git = git2::Repository::open(folder).context("repository")?;
    let name = match (&wanted.tag, &wanted.branch) {
        (Some(tag), _) => format!("refs/tags/{tag}"),
        (None, Some(branch)) => format!("refs/heads/{branch}"),
        (None, None) => "HEAD".to_owned(),
    };
    let tree = git
        .revparse_single(&name)
        .and_then(|object| object.peel_to_tree())
        .with_context(|| format!("the repository `{}` has no `{name}`", folder.display()))?;
    if let Some(path) = wanted.path.as_deref().map(normal)
        && !path.is_empty()
        && tree.get_path(Path::new(&path)).is_err()
    {
        bail!(
            "there is no path `{path}` in `{name}` of `{}`",
            folder.display()
        );
    }
    let mut sources = Vec::new();
    let mut kustomizations = Vec::new();
    let mut failed = None;
    let walk = tree.walk(git2::TreeWalkMode::PreOrder, |parent, entry| {
        let name = entry.name().unwrap_or_default();
        if !(name.ends_with(".yaml") || name.ends_with(".yml")) {
            return git2::TreeWalkResult::Ok;
        }
        let blob = match entry.to_object(&git).and_then(|o| o.peel_to_blob()) {
            Ok(blob) => blob,
            Err(error) => {
                failed = Some(error);
                return git2::TreeWalkResult::Abort;
            }
        };
        // A quick look spares parsing thousands of manifests that cannot be a root.
        let Ok(manifest) = std::str::from_utf8(blob.content()) else {
            return git2::TreeWalkResult::Ok;
        };
        if !manifest.contains("toolkit.fluxcd.io/") {
            return git2::TreeWalkResult::Ok;
        }
        let file = format!("{parent}{name}");
        // A file that is no valid YAML is reported by the build, with its place.
        for object in documents(manifest) {
            match text(&object, "/kind") {
                "GitRepository" => sources.push(object),
                "Kustomization"
                    if text(&object, "/apiVersion").starts_with("kustomize.toolkit") =>
                {
                    kustomizations.push((file.clone(), object));
                }
                _ => {}
            }
        }
        git2::TreeWalkResult::Ok
    });
    if let Some(error) = failed {
        return Err(error).context("cannot read the repository");
    }
    walk.context("cannot read the repository")?;
    Ok(pair(&sources, kustomizations, repository))
}

fn documents(manifest: &str) -> Vec<Value> {
    sluice_yaml::documents_from_str(manifest)
        .map(|documents| documents.into_iter().map(|(object, _)| object).collect())
        .unwrap_or_default()
}

/// A root is a Kustomization whose own file lies below its path and whose source is this repository.
fn pair(
    sources: &[Value],
    kustomizations: Vec<(String, Value)>,
    repository: &Repository,
) -> Vec<Root> {
    let mut roots = Vec::new();
    for (file, kustomization) in kustomizations {
        let path = normal(text(&kustomization, "/spec/path"));
        let below = path.is_empty() || file.starts_with(&format!("{path}/"));
        if !below || text(&kustomization, "/spec/sourceRef/kind") != "GitRepository" {
            continue;
        }
        let namespace = text(&kustomization, "/metadata/namespace");
        let source_namespace = match text(&kustomization, "/spec/sourceRef/namespace") {
            "" => namespace,
            other => other,
        };
        let source = sources.iter().find(|source| {
            text(source, "/metadata/name") == text(&kustomization, "/spec/sourceRef/name")
                && text(source, "/metadata/namespace") == source_namespace
        });
        let Some(source) = source else { continue };
        if repository.folder_for(text(source, "/spec/url")).is_none() {
            continue;
        }
        roots.push(Root {
            source: source.clone(),
            kustomization,
            file: Some(file),
        });
    }
    roots
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn repository() -> Repository {
        Repository {
            local: Some(PathBuf::from("/fleet")),
            url: "ssh://git@example.test/acme/fleet".into(),
            addresses: vec!["git@example.test:acme/fleet.git".into()],
            branch: Some("main".into()),
        }
    }

    fn sync(path: &str, url: &str) -> (Value, (String, Value)) {
        let source = serde_json::json!({
            "kind": "GitRepository",
            "metadata": {"name": "flux-system", "namespace": "flux-system"},
            "spec": {"url": url, "ref": {"branch": "main"}},
        });
        let kustomization = serde_json::json!({
            "kind": "Kustomization",
            "metadata": {"name": "flux-system", "namespace": "flux-system"},
            "spec": {"path": path, "sourceRef": {"kind": "GitRepository", "name": "flux-system"}},
        });
        let file = format!("{}/flux-system/gotk-sync.yaml", normal(path));
        (source, (file, kustomization))
    }

    fn wanted(path: Option<&str>) -> Wanted {
        Wanted {
            path: path.map(str::to_owned),
            namespace: "flux-system".into(),
            ..Wanted::default()
        }
    }

    #[test]
    fn a_bootstrapped_root_is_adopted_in_any_spelling_of_its_address() {
        let (source, kustomization) =
            sync("./clusters/local", "https://example.test/acme/fleet.git");
        let roots = pair(&[source], vec![kustomization], &repository());
        let root = pick(roots, &repository(), &wanted(None)).expect("one");
        assert_eq!(root.path(), "clusters/local");
        let root = with_ref(root, &repository(), &wanted(None));
        assert_eq!(text(&root.source, "/spec/ref/branch"), "main");
        assert_eq!(
            text(&root.source, "/spec/url"),
            "https://example.test/acme/fleet.git"
        );
    }

    #[test]
    fn a_root_of_another_repository_is_none() {
        let (source, kustomization) = sync("./clusters/local", "https://example.test/other");
        assert!(pair(&[source], vec![kustomization], &repository()).is_empty());
    }

    #[test]
    fn several_clusters_need_a_choice() {
        let (source, one) = sync("./clusters/staging", "https://example.test/acme/fleet");
        let (_, two) = sync("clusters/production/", "https://example.test/acme/fleet");
        let roots = pair(&[source], vec![one, two], &repository());
        let error = pick(roots.clone(), &repository(), &wanted(None)).expect_err("two");
        assert_eq!(
            error.to_string(),
            "the repository describes 2 clusters; say which one to run:\n  --path clusters/production\n  --path clusters/staging"
        );
        let chosen = pick(roots, &repository(), &wanted(Some("./clusters/production")));
        assert_eq!(chosen.expect("chosen").path(), "clusters/production");
    }

    #[test]
    fn a_repository_without_a_root_gets_one() {
        let wanted = wanted(Some("deploy"));
        let root = pick(Vec::new(), &repository(), &wanted).expect("new");
        let root = with_ref(root, &repository(), &wanted);
        assert_eq!(text(&root.kustomization, "/spec/path"), "./deploy");
        assert_eq!(text(&root.source, "/spec/ref/branch"), "main");
        assert_eq!(root.kustomization.pointer("/spec/targetNamespace"), None);
    }

    #[test]
    fn a_new_root_takes_the_target_namespace() {
        let wanted = Wanted {
            target_namespace: Some("web".into()),
            ..wanted(None)
        };
        let root = pick(Vec::new(), &repository(), &wanted).expect("new");
        assert_eq!(text(&root.kustomization, "/spec/targetNamespace"), "web");
    }
}
