//! The kustomization file that is built: the user's own or a generated one, completed by the
//! Kustomization's spec.

use serde_json::Value;
use sluice_api::kustomize::KustomizationSpec;
use sluice_kustomize::{FILE_NAMES, FileSystem, Image, Kustomization, Patch, Selector};
use sluice_yaml::{Dialect, Documents, Limits, to_json};

use super::files::Overlay;

/// Most files of a directory without a kustomization file.
const MAX_FILES: usize = 50_000;
/// Deepest directory that is searched for files.
const MAX_DEPTH: usize = 100;

/// Completes the kustomization file of `dir` in `files`. When there is none, the generated one leaves
/// out the files whose paths `skips`.
///
/// # Errors
/// The text for the status, as Flux has it.
pub fn complete<F: FileSystem>(
    files: &mut Overlay<F>,
    dir: &str,
    spec: &KustomizationSpec,
    skips: &dyn Fn(&str) -> bool,
) -> Result<(), String> {
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
        None => (default, generate(files, dir, skips)?),
    };
    apply_spec(files, dir, &mut kustomization, spec)?;
    let text = kustomization.to_yaml().map_err(|error| error.to_string())?;
    files.write(&path, text.into_bytes());
    Ok(())
}

/// A file that names everything below a directory.
fn generate(
    files: &dyn FileSystem,
    dir: &str,
    skips: &dyn Fn(&str) -> bool,
) -> Result<Kustomization, String> {
    let mut kustomization = Kustomization {
        api_version: sluice_kustomize::API_VERSION.to_owned(),
        kind: "Kustomization".to_owned(),
        ..Kustomization::default()
    };
    let scan = Scan { files, skips };
    scan.collect(dir, ".", 0, &mut kustomization.resources)?;
    if kustomization.resources.is_empty() {
        kustomization.namespace = "_placeholder".to_owned();
    }
    Ok(kustomization)
}

/// A search for manifests.
struct Scan<'a> {
    files: &'a dyn FileSystem,
    skips: &'a dyn Fn(&str) -> bool,
}

impl Scan<'_> {
    /// Collects manifests depth first. A directory with a kustomization file of its own is one
    /// resource.
    fn collect(
        &self,
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
        for name in self.files.list(dir).map_err(|error| error.to_string())? {
            let (path, relative) = (format!("{dir}/{name}"), format!("{relative}/{name}"));
            if (self.skips)(&path) {
                continue;
            }
            if self.files.is_dir(&path) {
                let is_layer = FILE_NAMES
                    .iter()
                    .any(|file| self.files.exists(&format!("{path}/{file}")));
                if is_layer {
                    found.push(relative);
                } else {
                    self.collect(&path, &relative, depth + 1, found)?;
                }
            } else if name.ends_with(".yaml") || name.ends_with(".yml") {
                check_manifests(self.files, &path)?;
                found.push(relative);
            }
            if found.len() > MAX_FILES {
                return Err(format!("there are more than {MAX_FILES} files in {dir}"));
            }
        }
        Ok(())
    }
}

/// Checks that a file holds Kubernetes objects only.
fn check_manifests(files: &dyn FileSystem, path: &str) -> Result<(), String> {
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
    files: &dyn FileSystem,
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::files::tests::tree;
    use super::*;

    const DIR: &str = "/tmp/kustomization-1/app";

    fn completed(files: &[(&str, &str)], spec: Value) -> Result<String, String> {
        let mut base = json!({"interval": "1h", "prune": true, "sourceRef": {"kind": "GitRepository", "name": "a"}});
        json_patch::merge(&mut base, &spec);
        let spec: KustomizationSpec = serde_json::from_value(base).unwrap();
        let mut files = Overlay::new(tree(files));
        complete(&mut files, DIR, &spec, &|_| false)?;
        let content = files
            .read(&format!("{DIR}/kustomization.yaml"))
            .unwrap()
            .into_owned();
        Ok(String::from_utf8(content).unwrap())
    }

    const OBJECT: &str = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}";

    #[test]
    fn a_directory_without_a_file_gets_one_that_names_everything() {
        let files = [
            ("app/b.yaml", OBJECT),
            ("app/a.yml", OBJECT),
            ("app/.hidden/x.yaml", OBJECT),
            ("app/notes.txt", "no"),
            ("app/values.json", "{}"),
            ("app/layer/kustomization.yml", ""),
            ("app/layer/not-looked-at.yaml", "a: ["),
            ("app/empty.yaml", "# nothing\n"),
        ];
        insta::assert_snapshot!(completed(&files, json!({})).unwrap(), @r"
        apiVersion: kustomize.config.k8s.io/v1beta1
        kind: Kustomization
        resources:
        - ./.hidden/x.yaml
        - ./a.yml
        - ./b.yaml
        - ./empty.yaml
        - ./layer
        ");
        insta::assert_snapshot!(completed(&[("app/notes.txt", "no")], json!({})).unwrap(), @r"
        apiVersion: kustomize.config.k8s.io/v1beta1
        kind: Kustomization
        namespace: _placeholder
        ");
    }

    #[test]
    fn the_spec_goes_over_the_file() {
        let kfile = "
            namespace: own
            namePrefix: own-
            typo: dropped
            resources: [a.yaml]
            components: [part-a]
            patches: [{path: p.yaml}]
            images: [{name: a, newName: mirror/a, newTag: '1'}, {name: b, digest: 'sha256:1'}, {name: c, newTag: '1'}]
            buildMetadata: [managedByLabel]";
        let files = [
            ("app/kustomization.yaml", kfile),
            ("app/part-b/kustomization.yaml", ""),
        ];
        let spec = json!({
            "targetNamespace": "other", "nameSuffix": "-new",
            "components": ["part-b", "missing", "../../outside"], "ignoreMissingComponents": true,
            "patches": [{"patch": "[]", "target": {"kind": "X", "labelSelector": "a=b"}}],
            "images": [{"name": "a", "newTag": "2"}, {"name": "b", "newTag": "2"}, {"name": "c", "newName": "d"}, {"name": "e", "digest": "sha256:2"}],
            "buildMetadata": ["originAnnotations"],
        });
        insta::assert_snapshot!(completed(&files, spec).unwrap(), @r#"
        apiVersion: kustomize.config.k8s.io/v1beta1
        buildMetadata:
        - originAnnotations
        components:
        - part-a
        - part-b
        images:
        - name: a
          newName: mirror/a
          newTag: "2"
        - name: b
          newTag: "2"
        - name: c
          newName: d
          newTag: "1"
        - digest: sha256:2
          name: e
        kind: Kustomization
        namePrefix: own-
        nameSuffix: -new
        namespace: other
        patches:
        - path: p.yaml
        - patch: '[]'
          target:
            kind: X
            labelSelector: a=b
        resources:
        - a.yaml
        "#);
    }

    #[test]
    fn a_file_without_resources_is_never_empty() {
        let text = completed(&[("app/kustomization.yaml", "resources: []")], json!({})).unwrap();
        assert!(
            text.contains("buildMetadata:\n- originAnnotations\n"),
            "{text}"
        );
    }

    #[test]
    fn what_is_no_manifest_is_refused_in_flux_s_words() {
        let refused = |content: &str| completed(&[("app/a.yaml", content)], json!({})).unwrap_err();
        let head = format!("failed to decode Kubernetes YAML from {DIR}/a.yaml: ");
        for (content, error) in [
            ("replicas: 3", "missing Resource metadata"),
            (
                "a: [",
                "MalformedYAMLError: yaml: line 1: did not find expected node content",
            ),
            (
                "{apiVersion: v1, metadata: {name: a}}",
                "missing kind in object {{v1 } {{a } map[] map[]}}",
            ),
            (
                "{apiVersion: v1, kind: ConfigMap, metadata: {labels: {c: d, a: b}}}",
                "missing metadata.name in object {{v1 ConfigMap} {{ } map[a:b c:d] map[]}}",
            ),
        ] {
            assert_eq!(refused(content), format!("{head}{error}"), "{content}");
        }
        assert!(completed(&[("app/a.yaml", "{apiVersion: v1, kind: List}")], json!({})).is_ok());
    }

    #[test]
    fn components_are_local_and_relative() {
        let files = [("app/a.yaml", OBJECT)];
        for remote in [
            "https://example.com/c",
            "git@github.com:a/b",
            "GitHub.com/a/b",
            "/abs",
            "file:///abs",
        ] {
            assert_eq!(
                completed(&files, json!({"components": [remote]})).unwrap_err(),
                format!("component path '{remote}' must be local and relative")
            );
        }
        assert!(completed(&files, json!({"components": ["../x", "gh:"]})).is_ok());
    }

    #[test]
    fn wrong_types_and_a_file_as_directory_are_refused() {
        assert_eq!(
            completed(
                &[("app/kustomization.yaml", "resources: a.yaml")],
                json!({})
            )
            .unwrap_err(),
            "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal string into Go struct field \
             Kustomization.resources of type []string"
        );
        let error = completed(&[("app", OBJECT)], json!({})).unwrap_err();
        assert_eq!(
            error,
            format!(
                "open {DIR}/kustomization.yaml: not a directory remove {DIR}/kustomization.yaml: not a directory"
            )
        );
    }
}
