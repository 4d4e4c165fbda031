//! From files to the objects to apply.
//!
//! ```text
//! files ─ kfile ─ kustomize build ─ substitute ─ digest ─ flatten ─ prepare ─> items
//! ```

pub mod files;
pub mod kfile;
pub mod variables;

use std::collections::HashMap;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use sluice_api::kustomize::Kustomization;
use sluice_objects::ignore::{RuleError, Rules};
use sluice_objects::normalise::{self, Common, Encrypted};
use sluice_objects::object::{self, Gvk};
use sluice_objects::prune::Owner;
use sluice_objects::risk::Summary;
use sluice_objects::selector::Target;
use sluice_objects::stage::{CustomKinds, stage_of};
use sluice_objects::switches::Switches;

use crate::cluster::Scope;
use crate::plan::Item;
use files::{Files, Overlay};
use sluice_kustomize::{FileSystem, LoadRestrictions, Options, RemoteLoader, Reorder};
use variables::Variables;

/// What is built, and how.
pub struct Source<'a, F> {
    /// The files.
    pub files: F,
    /// The directory that places in errors are told from.
    pub root: &'a str,
    /// The directory that is built.
    pub dir: &'a str,
    /// Which paths a generated kustomization file leaves out.
    pub skips: &'a dyn Fn(&str) -> bool,
    /// Fetches remote bases; none refuses them.
    pub remote: Option<&'a dyn RemoteLoader>,
}

/// Builds the directory that a Kustomization names in an artifact: completes its kustomization file,
/// runs kustomize, substitutes, seals. Takes all the time of a thread.
///
/// # Errors
/// The text for the status.
pub fn build(
    ks: &Kustomization,
    files: Files,
    dir: &str,
    variables: Option<&Variables>,
) -> Result<Built, String> {
    let root = files.root().to_owned();
    let source = Source {
        files,
        root: &root,
        dir,
        skips: &|_| false,
        remote: None,
    };
    let documents = documents(ks, source)?;
    seal(documents, variables, ks.spec.decryption.is_some())
}

/// The objects of a build, before variables are substituted.
///
/// # Errors
/// The text for the status.
pub fn documents<F: FileSystem>(
    ks: &Kustomization,
    source: Source<'_, F>,
) -> Result<Vec<Value>, String> {
    let mut files = Overlay::new(source.files);
    kfile::complete(&mut files, source.dir, &ks.spec, source.skips)?;
    let options = Options {
        load_restrictions: LoadRestrictions::None,
        reorder: Reorder::None,
        remote: source.remote,
        ..Options::default()
    };
    let built = sluice_kustomize::build(&files, source.dir, &options).map_err(|errors| {
        format!(
            "kustomize build failed: {errors}{}",
            places(&errors, source.root)
        )
    })?;
    let documents = built.resources.into_iter().map(|resource| resource.object);
    Ok(documents.collect())
}

/// Where the problems are, as ` (file:line)` for each that is known, below the root.
fn places(errors: &sluice_kustomize::Errors, root: &str) -> String {
    let place = |error: &sluice_kustomize::Error| {
        let file = error.file.as_deref()?;
        let file = file.strip_prefix(root).unwrap_or(file);
        let file = file.trim_start_matches('/');
        error.line.map(|line| format!(" ({file}:{line})"))
    };
    errors.errors.iter().filter_map(place).collect()
}

/// What a build yields.
#[derive(Debug, Clone, PartialEq)]
pub struct Built {
    /// `sha256:<hex>` of the objects as YAML.
    pub digest: String,
    /// The objects, as built.
    pub objects: Vec<Value>,
}

/// Substitutes in built objects, and seals them with their digest.
///
/// # Errors
/// The text for the status: an object without identity, or a substitution that failed.
pub fn seal(
    documents: Vec<Value>,
    variables: Option<&Variables>,
    is_decrypting: bool,
) -> Result<Built, String> {
    let mut sealed = Vec::with_capacity(documents.len());
    for document in documents {
        if Gvk::of(&document).is_none() || object::name(&document).is_empty() {
            let text = sluice_yaml::to_string(&document).unwrap_or_default();
            return Err(format!(
                "failed to decode Kubernetes apiVersion, kind and name from: {}",
                text.trim_end()
            ));
        }
        if is_decrypting {
            refuse_ciphertext(&document)?;
        }
        sealed.push(match variables {
            Some(variables) => variables.apply(document)?,
            None => document,
        });
    }
    let yaml = sluice_yaml::write_documents(&sealed).map_err(|error| error.to_string())?;
    let digest = format!("sha256:{}", hex::encode(Sha256::digest(yaml.as_bytes())));
    Ok(Built {
        digest,
        objects: object::flatten(sealed),
    })
}

/// What every encrypted value begins with.
const CIPHERTEXT: &str = "ENC[AES256_GCM,data:";

/// Refuses an object that still holds encrypted values, for this version cannot decrypt.
fn refuse_ciphertext(document: &Value) -> Result<(), String> {
    fn is_encrypted(value: &Value) -> bool {
        match value {
            Value::String(text) => text.contains(CIPHERTEXT),
            Value::Array(items) => items.iter().any(is_encrypted),
            Value::Object(map) => map.values().any(is_encrypted),
            _ => false,
        }
    }
    let is_secret = document["kind"] == "Secret" && document["apiVersion"] == "v1";
    let hides_it = |value: &Value| {
        use base64::Engine as _;
        let decoded = value
            .as_str()
            .and_then(|text| base64::engine::general_purpose::STANDARD.decode(text).ok());
        decoded.is_some_and(|bytes| {
            bytes
                .windows(CIPHERTEXT.len())
                .any(|window| window == CIPHERTEXT.as_bytes())
        })
    };
    let data = document.get("data").and_then(Value::as_object);
    let is_hidden = is_secret && data.into_iter().flatten().any(|(_, value)| hides_it(value));
    if is_hidden || is_encrypted(document) {
        let gvk = Gvk::of(document)
            .map(|gvk| gvk.to_string())
            .unwrap_or_default();
        let name = object::name(document);
        return Err(format!(
            "decryption failed for '{gvk}/{name}': decryption with SOPS is not available in this version"
        ));
    }
    Ok(())
}

/// Why objects cannot be made ready to be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrepareError {
    /// A Secret is still encrypted.
    #[error(transparent)]
    Encrypted(#[from] Encrypted),
    /// An ignore rule cannot be used.
    #[error(transparent)]
    Ignore(#[from] RuleError),
}

/// Makes built objects ready to be applied, in the order of apply.
///
/// `scope` says whether a kind's objects are in namespaces; a namespace that does not belong is left
/// out, so that an object has one identity only.
///
/// # Errors
/// See [`PrepareError`].
pub fn items(
    ks: &Kustomization,
    mut objects: Vec<Value>,
    custom: &CustomKinds,
    scope: impl Fn(&Gvk) -> Option<Scope>,
) -> Result<Vec<Item>, PrepareError> {
    let common = ks.spec.common_metadata.clone().unwrap_or_default();
    let common = Common {
        labels: common.labels,
        annotations: common.annotations,
    };
    normalise::prepare(&mut objects, &owner(ks), &common)?;
    let rules = rules(ks)?;
    let mut items: Vec<Item> = Vec::with_capacity(objects.len());
    for mut manifest in objects {
        let Some(gvk) = Gvk::of(&manifest) else {
            continue;
        };
        if scope(&gvk) == Some(Scope::Cluster)
            && let Some(metadata) = manifest["metadata"].as_object_mut()
        {
            metadata.remove("namespace");
        }
        items.push(Item {
            id: object::id(&manifest),
            stage: stage_of(&gvk, custom),
            switches: Switches::of(&manifest),
            summary: Summary::of(&manifest),
            ignored: rules.of(&manifest),
            gvk,
            manifest,
        });
    }
    crate::plan::sort(&mut items);
    Ok(items)
}

/// The owner that the labels of managed objects name.
pub fn owner(ks: &Kustomization) -> Owner {
    Owner {
        namespace: ks.metadata.namespace.clone().unwrap_or_default(),
        name: ks.metadata.name.clone().unwrap_or_default(),
    }
}

fn rules(ks: &Kustomization) -> Result<Rules, RuleError> {
    Rules::compile(ks.spec.ignore.iter().map(|rule| {
        let target = rule.target.clone().unwrap_or_default();
        let target = Target {
            group: target.group.unwrap_or_default(),
            version: target.version.unwrap_or_default(),
            kind: target.kind.unwrap_or_default(),
            name: target.name.unwrap_or_default(),
            namespace: target.namespace.unwrap_or_default(),
            label_selector: target.label_selector.unwrap_or_default(),
            annotation_selector: target.annotation_selector.unwrap_or_default(),
        };
        (target, rule.paths.as_slice())
    }))
}

/// The scopes of kinds that the CRDs among the objects define.
pub fn defined_scopes(objects: &[Value]) -> HashMap<(String, String), Scope> {
    let is_definition = |object: &&Value| {
        Gvk::of(object).is_some_and(|gvk| {
            gvk.group == "apiextensions.k8s.io" && gvk.kind == "CustomResourceDefinition"
        })
    };
    let scope_of = |definition: &Value| {
        let text = |path: &[&str]| object::text(definition, path).to_owned();
        let scope = match object::text(definition, &["spec", "scope"]) {
            "Namespaced" => Scope::Namespaced,
            _ => Scope::Cluster,
        };
        (
            (text(&["spec", "group"]), text(&["spec", "names", "kind"])),
            scope,
        )
    };
    objects.iter().filter(is_definition).map(scope_of).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config_map(name: &str, value: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "apps"}, "data": {"k": value}})
    }

    #[test]
    fn the_digest_is_flux_s() {
        // Taken from what Flux 2.9 wrote for these objects.
        let built = seal(
            vec![config_map("a", "1"), config_map("b", "1")],
            None,
            false,
        )
        .unwrap();
        assert_eq!(
            built.digest,
            "sha256:517b119d0b5fa9511fbae14dada3f6eab213b5f8ec99875203d024a6645e6959"
        );
        let empty = seal(Vec::new(), None, false).unwrap();
        assert_eq!(
            empty.digest,
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn ciphertext_is_never_applied() {
        let secret = |field: &str, value: &str| {
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"},
            field: {"k": value}})
        };
        let text = "ENC[AES256_GCM,data:AA==,iv:AA==,tag:AA==,type:str]";
        let error = seal(vec![secret("stringData", text)], None, true).unwrap_err();
        assert_eq!(
            error,
            "decryption failed for 'Secret.v1.[noGrp]/a': decryption with SOPS is not available in this version"
        );
        use base64::Engine as _;
        let hidden = base64::engine::general_purpose::STANDARD.encode(format!("password={text}\n"));
        assert!(seal(vec![secret("data", &hidden)], None, true).is_err());
        assert!(seal(vec![secret("data", "MQ==")], None, true).is_ok());
    }

    #[test]
    fn a_failed_build_says_file_and_line() {
        let files = files::tests::tree(&[
            ("app/kustomization.yaml", "resources: [base]"),
            ("app/base/kustomization.yaml", "resources: [a.yaml]"),
            (
                "app/base/a.yaml",
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}}\n",
            ),
        ]);
        let ks: Kustomization = serde_json::from_value(json!({"metadata": {"name": "app", "namespace": "flux"},
            "spec": {"interval": "1h", "prune": true, "sourceRef": {"kind": "GitRepository", "name": "a"}}}))
        .unwrap();
        let dir = files.resolve("app");
        let error = build(&ks, files, &dir, None).unwrap_err();
        assert!(
            error.starts_with("kustomize build failed: accumulating resources: "),
            "{error}"
        );
        assert!(error.ends_with(" (app/base/a.yaml:3)"), "{error}");
    }

    #[test]
    fn an_object_without_identity_is_refused() {
        let error = seal(
            vec![json!({"kind": "ConfigMap", "metadata": {"name": "a"}})],
            None,
            false,
        )
        .unwrap_err();
        assert!(
            error.starts_with(
                "failed to decode Kubernetes apiVersion, kind and name from: kind: ConfigMap"
            ),
            "{error}"
        );
    }

    #[test]
    fn namespaces_of_cluster_wide_kinds_are_left_out() {
        let ks: Kustomization = serde_json::from_value(json!({"metadata": {"name": "app", "namespace": "flux"},
            "spec": {"interval": "1h", "prune": true, "sourceRef": {"kind": "GitRepository", "name": "a"}}}))
        .unwrap();
        let widget = json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": "apps"}});
        let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "widgets.example.com"}, "spec": {"group": "example.com", "scope": "Cluster", "names": {"kind": "Widget"}}});
        let objects = vec![widget, definition, config_map("a", "1")];
        let scopes = defined_scopes(&objects);
        let scope = |gvk: &Gvk| scopes.get(&(gvk.group.clone(), gvk.kind.clone())).copied();
        let items = items(&ks, objects, &CustomKinds::default(), scope).unwrap();
        let subjects: Vec<_> = items
            .iter()
            .map(|item| sluice_objects::subject(&item.id))
            .collect();
        assert_eq!(
            subjects,
            [
                "CustomResourceDefinition/widgets.example.com",
                "ConfigMap/apps/a",
                "Widget/w"
            ]
        );
    }
}
