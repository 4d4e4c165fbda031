//! The kustomization file that is built: the user's own or a generated one, completed by the
//! Kustomization's spec.

use serde_json::Value;
use sluice_api::kustomize::KustomizationSpec;
use sluice_kustomize::{FILE_NAMES, FileSystem, Image, Kustomization, Patch, Selector};
use sluice_yaml::{Dialect, Documents, Limits, to_json};

use super::files::Files;

/// Most files of a directory without a kustomization file.
const MAX_FILES: usize = 50_000;
/// Deepest directory that is searched for files.
const MAX_DEPTH: usize = 100;

/// Completes the kustomization file of `dir` in `files`.
///
/// # Errors
/// The text for the status, as Flux has it.
pub fn complete(files: &mut Files, dir: &str, spec: &KustomizationSpec) -> Result<(), String> {
    let default = format!("{dir}/{}", FILE_NAMES[0]);
    if !files.is_dir(dir) {
        // In these words Flux fails to write its file, and then to remove it.
        return Err(format!(
            "open {default}: not a directory remove {default}: not a directory"
        ));
    }
    let candidates = FILE_NAMES.map(|name| format!("{dir}/{name}"));
    let found = candidates
        .into_iter()
        .find(|path| files.exists(path) && !files.is_dir(path));
    let (path, mut kustomization) = match found {
        Some(path) => {
            let content = files.read(&path).map_err(|error| error.to_string())?;
            let text = String::from_utf8_lossy(&content).into_owned();
            let mut own = Kustomization::parse_lenient(&text, &Limits::default())?;
            if own.resources.is_empty() {
                // Without any field it would count as an empty file.
                own.build_metadata = vec!["originAnnotations".to_owned()];
            }
            (path, own)
        }
        None => (default, generate(files, dir)?),
    };
    apply_spec(files, dir, &mut kustomization, spec)?;
    let text = kustomization.to_yaml().map_err(|error| error.to_string())?;
    files.write(&path, text.into_bytes());
    Ok(())
}

/// A file that names everything below a directory.
fn generate(files: &Files, dir: &str) -> Result<Kustomization, String> {
    let mut kustomization = Kustomization {
        api_version: sluice_kustomize::API_VERSION.to_owned(),
        kind: "Kustomization".to_owned(),
        ..Kustomization::default()
    };
    scan(files, dir, ".", 0, &mut kustomization.resources)?;
    if kustomization.resources.is_empty() {
        kustomization.namespace = "_placeholder".to_owned();
    }
    Ok(kustomization)
}

/// Collects manifests depth first. A directory with a kustomization file of its own is one resource.
fn scan(
    files: &Files,
    dir: &str,
    relative: &str,
    depth: usize,
    found: &mut Vec<String>,
) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(format!(
            "directories below {dir} are nested more than {MAX_DEPTH} levels deep"
        ));
    }
    for name in files.list(dir).map_err(|error| error.to_string())? {
        let (path, relative) = (format!("{dir}/{name}"), format!("{relative}/{name}"));
        if files.is_dir(&path) {
            let is_layer = FILE_NAMES
                .iter()
                .any(|file| files.exists(&format!("{path}/{file}")));
            if is_layer {
                found.push(relative);
            } else {
                scan(files, &path, &relative, depth + 1, found)?;
            }
        } else if name.ends_with(".yaml") || name.ends_with(".yml") {
            check_manifests(files, &path)?;
            found.push(relative);
        }
        if found.len() > MAX_FILES {
            return Err(format!("there are more than {MAX_FILES} files in {dir}"));
        }
    }
    Ok(())
}

/// Checks that a file holds Kubernetes objects only.
fn check_manifests(files: &Files, path: &str) -> Result<(), String> {
    let fail = |error: String| format!("failed to decode Kubernetes YAML from {path}: {error}");
    let content = files.read(path).map_err(|error| fail(error.to_string()))?;
    let text = sluice_yaml::decode(&content)
        .map_err(|error| fail(format!("MalformedYAMLError: {error}")))?;
    for document in Documents::new(&text, Dialect::GoYaml3, &Limits::default()) {
        let document = document.map_err(|error| fail(format!("MalformedYAMLError: {error}")))?;
        if document.is_empty() {
            continue;
        }
        let value =
            to_json(&document.root, Dialect::GoYaml3).map_err(|error| fail(error.to_string()))?;
        check_object(&value).map_err(fail)?;
    }
    Ok(())
}

fn check_object(value: &Value) -> Result<(), String> {
    if value.is_null() {
        return Ok(());
    }
    let has_meta = ["apiVersion", "kind", "metadata"]
        .iter()
        .any(|field| value.get(field).is_some_and(|v| !v.is_null()));
    if !has_meta {
        return Err("missing Resource metadata".to_owned());
    }
    let text = |path: &[&str]| sluice_objects::object::text(value, path).to_owned();
    let kind = text(&["kind"]);
    if kind.is_empty() {
        return Err(format!("missing kind in object {}", printed(value)));
    }
    if !kind.ends_with("List") && text(&["metadata", "name"]).is_empty() {
        return Err(format!(
            "missing metadata.name in object {}",
            printed(value)
        ));
    }
    Ok(())
}

/// The metadata of an object as Go prints the structure that it is read into.
fn printed(value: &Value) -> String {
    let text = |path: &[&str]| sluice_objects::object::text(value, path).to_owned();
    let map = |field: &str| {
        let pairs =
            sluice_objects::object::at(value, &["metadata", field]).and_then(Value::as_object);
        let pairs = pairs
            .into_iter()
            .flatten()
            .map(|(k, v)| format!("{k}:{}", v.as_str().unwrap_or_default()));
        format!("map[{}]", pairs.collect::<Vec<_>>().join(" "))
    };
    let (name, namespace) = (
        text(&["metadata", "name"]),
        text(&["metadata", "namespace"]),
    );
    let (labels, annotations) = (map("labels"), map("annotations"));
    format!(
        "{{{{{} {}}} {{{{{name} {namespace}}} {labels} {annotations}}}}}",
        text(&["apiVersion"]),
        text(&["kind"])
    )
}

/// Puts what the spec asks for over what the file says.
fn apply_spec(
    files: &Files,
    dir: &str,
    file: &mut Kustomization,
    spec: &KustomizationSpec,
) -> Result<(), String> {
    if let Some(namespace) = &spec.target_namespace {
        file.namespace.clone_from(namespace);
    }
    if let Some(prefix) = &spec.name_prefix {
        file.name_prefix.clone_from(prefix);
    }
    if let Some(suffix) = &spec.name_suffix {
        file.name_suffix.clone_from(suffix);
    }
    for patch in &spec.patches {
        let target = patch.target.clone().map(|target| Selector {
            group: target.group.unwrap_or_default(),
            version: target.version.unwrap_or_default(),
            kind: target.kind.unwrap_or_default(),
            name: target.name.unwrap_or_default(),
            namespace: target.namespace.unwrap_or_default(),
            annotation_selector: target.annotation_selector.unwrap_or_default(),
            label_selector: target.label_selector.unwrap_or_default(),
        });
        file.patches.push(Patch {
            patch: patch.patch.clone(),
            target,
            ..Patch::default()
        });
    }
    for component in &spec.components {
        if !is_local(component) {
            return Err(format!(
                "component path '{component}' must be local and relative"
            ));
        }
        let path = sluice_kustomize::clean_path(&format!("{dir}/{component}"));
        if !spec.ignore_missing_components || files.exists(&path) {
            file.components.push(component.clone());
        }
    }
    for image in &spec.images {
        merge_image(&mut file.images, image);
    }
    if !spec.build_metadata.is_empty() {
        file.build_metadata = spec
            .build_metadata
            .iter()
            .map(|option| option.as_str().to_owned())
            .collect();
    }
    Ok(())
}

/// Whether a component is a relative path, not a URL.
fn is_local(component: &str) -> bool {
    const REMOTE: [&str; 8] = [
        "git::",
        "gh:",
        "ssh://",
        "https://",
        "http://",
        "git@",
        "github.com:",
        "github.com/",
    ];
    let lower = component.to_lowercase();
    let is_remote = REMOTE
        .iter()
        .any(|prefix| lower.starts_with(prefix) && lower.len() > prefix.len());
    let plain = component.strip_prefix("file://").unwrap_or(component);
    !is_remote && !component.starts_with('/') && !plain.starts_with('/')
}

/// Merges an image of the spec into those of the file, by exact name. A tag or digest of the spec
/// replaces both of the file.
fn merge_image(images: &mut Vec<Image>, image: &sluice_api::kustomize::Image) {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let (new_name, new_tag, digest) = (
        text(&image.new_name),
        text(&image.new_tag),
        text(&image.digest),
    );
    match images.iter_mut().find(|known| known.name == image.name) {
        Some(known) => {
            if !new_name.is_empty() {
                known.new_name = new_name;
            }
            if !new_tag.is_empty() || !digest.is_empty() {
                known.new_tag = new_tag;
                known.digest = digest;
            }
        }
        None => images.push(Image {
            name: image.name.clone(),
            new_name,
            new_tag,
            digest,
            ..Image::default()
        }),
    }
}
