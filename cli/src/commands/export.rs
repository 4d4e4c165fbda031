//! `sluice export`: prints objects as YAML for use elsewhere.

use clap::{Args, Command};
use kube::api::{Api, ListParams};
use serde_json::{Map, Value, json};
use sluice_api::duration::GoDuration;

use crate::error::{Failure, Outcome};
use crate::object::{self, Object};
use crate::per_kind::{PerKind, VerbArgs};
use crate::resources::{Place, Resource, Verb};
use crate::session::Session;

/// The options of `export`.
#[derive(Args, Debug)]
pub struct ExportArgs {
    /// Name of the object
    name: Option<String>,
    /// All objects of the namespace
    #[arg(long)]
    all: bool,
    /// Print the Secret with the credentials as well
    #[arg(long)]
    with_credentials: bool,
}

impl VerbArgs for ExportArgs {
    const VERB: Verb = Verb::Export;

    fn about(resource: &Resource) -> String {
        format!("Print {} objects as YAML", resource.kind.kind)
    }

    fn tailor(resource: &Resource, command: Command) -> Command {
        command.mut_arg("with_credentials", |arg| {
            arg.hide(!has_credentials(resource))
        })
    }
}

fn has_credentials(resource: &Resource) -> bool {
    matches!(
        resource.place,
        Place::Source("git" | "oci" | "helm" | "bucket")
    )
}

/// Prints each object as a document.
pub async fn run(command: &PerKind<ExportArgs>, session: &mut Session) -> Outcome {
    let PerKind { resource, args } = command;
    if args.with_credentials && !has_credentials(resource) {
        return Err(Failure::new("unknown flag: --with-credentials"));
    }
    let namespace = session.namespace.clone();
    let api = session.api(resource, &namespace).await?;
    let objects = match (&args.name, args.all) {
        (_, true) => api.list(&ListParams::default()).await?.items,
        (Some(name), false) => vec![api.get(name).await?],
        (None, false) => return Err(Failure::new("name is required")),
    };
    if objects.is_empty() {
        return Err(Failure::new(format!(
            "no objects found in {namespace} namespace"
        )));
    }
    for object in &objects {
        let mut documents = vec![document(resource, object)?];
        if args.with_credentials {
            documents.extend(credentials(session, object).await?);
        }
        for document in &documents {
            let text = format!("---\n{}", sluice_yaml::to_string(document)?);
            session.terminal.print(&text)?;
        }
    }
    Ok(())
}

/// What of an object is of use elsewhere: identity, labels, annotations and
/// specification.
fn document(resource: &Resource, object: &Object) -> Outcome<Value> {
    let mut metadata = Map::new();
    metadata.insert("name".to_owned(), object::name(object).into());
    metadata.insert("namespace".to_owned(), object::namespace(object).into());
    for (key, values) in [
        ("labels", &object.metadata.labels),
        ("annotations", &object.metadata.annotations),
    ] {
        if let Some(values) = values.as_ref().filter(|values| !values.is_empty()) {
            metadata.insert(key.to_owned(), json!(values));
        }
    }
    let document = json!({
        "apiVersion": resource.kind.api_version(),
        "kind": resource.kind.kind,
        "metadata": metadata,
        "spec": object.data.get("spec").cloned().unwrap_or_else(|| json!({})),
    });
    let mut document =
        (resource.normalise)(document).map_err(|error| Failure::new(error.to_string()))?;
    spell_durations(&mut document["spec"]);
    Ok(document)
}

/// Writes durations as Go prints them, `10m` as `10m0s`, as `flux` does.
fn spell_durations(value: &mut Value) {
    const DURATIONS: [&str; 3] = ["interval", "retryInterval", "timeout"];
    // A release's values are the user's own.
    const FOREIGN: &str = "values";
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let duration = field
                    .as_str()
                    .filter(|_| DURATIONS.contains(&name.as_str()))
                    .and_then(|text| text.parse::<GoDuration>().ok());
                match duration {
                    Some(duration) => *field = duration.to_string().into(),
                    None if name == FOREIGN => {}
                    None => spell_durations(field),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(spell_durations),
        _ => {}
    }
}

/// The Secret that a source names, if it names one.
async fn credentials(session: &mut Session, object: &Object) -> Outcome<Option<Value>> {
    let name = object::text(object, "/spec/secretRef/name");
    if name.is_empty() {
        return Ok(None);
    }
    let client = session.client().await?;
    let secrets: Api<k8s_openapi::api::core::v1::Secret> =
        Api::namespaced(client, object::namespace(object));
    let secret = secrets.get(name).await?;
    let mut document = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": name, "namespace": object::namespace(object) },
    });
    if let Some(data) = &secret.data {
        document["data"] = json!(data);
    }
    if let Some(type_) = &secret.type_ {
        document["type"] = type_.as_str().into();
    }
    for (key, values) in [
        ("labels", &secret.metadata.labels),
        ("annotations", &secret.metadata.annotations),
    ] {
        if let Some(values) = values.as_ref().filter(|values| !values.is_empty()) {
            document["metadata"][key] = json!(values);
        }
    }
    Ok(Some(document))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources;

    #[test]
    fn an_export_has_the_fields_that_matter_in_the_spelling_of_flux() {
        let resource = resources::by_kind("HelmRelease").unwrap();
        let object: Object = serde_json::from_value(json!({
            "apiVersion": "helm.toolkit.fluxcd.io/v2",
            "kind": "HelmRelease",
            "metadata": {
                "name": "web",
                "namespace": "apps",
                "uid": "u",
                "resourceVersion": "1",
                "labels": { "team": "a" },
                "annotations": {},
            },
            "spec": {
                "interval": "90s",
                "suspend": false,
                "chartRef": { "kind": "OCIRepository", "name": "web", "namespace": "" },
                "install": { "timeout": "1h", "remediation": { "retries": 3 } },
                "values": { "interval": "90s", "debug": false },
            },
            "status": { "observedGeneration": 1 },
        }))
        .unwrap();
        let text = sluice_yaml::to_string(&document(resource, &object).unwrap()).unwrap();
        insta::assert_snapshot!(text, @r#"
        apiVersion: helm.toolkit.fluxcd.io/v2
        kind: HelmRelease
        metadata:
          labels:
            team: a
          name: web
          namespace: apps
        spec:
          chartRef:
            kind: OCIRepository
            name: web
          install:
            remediation:
              retries: 3
            timeout: 1h0m0s
          interval: 1m30s
          values:
            debug: false
            interval: 90s
        "#);
    }
}
