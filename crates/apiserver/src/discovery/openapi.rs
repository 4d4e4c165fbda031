//! OpenAPI: the documents of the built-in kinds as published, and those of custom resources made from their
//! definitions.

use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha512};
use sluice_schema::tables::openapi as published;

use crate::registry::{GroupVersion, Index, Resource};

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.";

/// One document with its entity tag.
pub struct Document {
    /// The entity tag, without quotes.
    pub hash: String,
    /// The JSON text.
    pub text: Arc<[u8]>,
}

/// The group versions of custom resources with their path below `/openapi/v3/`.
fn custom_versions(index: &Index) -> impl Iterator<Item = (String, &GroupVersion)> {
    index
        .groups
        .iter()
        .flat_map(|group| {
            group
                .versions
                .iter()
                .map(move |version| (format!("apis/{}/{}", group.name, version.version), version))
        })
        .filter(|(_, version)| {
            version
                .resources
                .iter()
                .any(|resource| resource.custom.is_some())
        })
}

/// `/openapi/v3`: where each document is.
pub fn index(index: &Index) -> Value {
    let mut paths = Map::new();
    let mut add = |path: &str, hash: &str| {
        let url = format!("/openapi/v3/{path}?hash={hash}");
        paths.insert(path.to_owned(), json!({ "serverRelativeURL": url }));
    };
    for document in published::v3() {
        add(&document.path, &document.hash);
    }
    for (path, version) in custom_versions(index) {
        add(&path, &hash(version));
    }
    json!({ "paths": paths })
}

/// The entity tag of the document of a group version: changes with the definitions in it.
fn hash(version: &GroupVersion) -> String {
    let mut all = Sha512::new();
    for custom in version
        .resources
        .iter()
        .filter_map(|resource| resource.custom.as_ref())
    {
        all.update(custom.digest());
    }
    hex::encode_upper(all.finalize())
}

/// The document of a path below `/openapi/v3/`.
pub fn v3(index: &Index, path: &str) -> Option<Document> {
    if let Some((_, version)) = custom_versions(index).find(|(known, _)| known == path) {
        let text = custom_document(version).to_string().into_bytes();
        return Some(Document {
            hash: hash(version),
            text: text.into(),
        });
    }
    let document = published::v3_document(path)?;
    Some(Document {
        hash: document.hash.clone(),
        text: document.read().into(),
    })
}

/// `/openapi/v2`, with the custom resources added.
pub fn v2(index: &Index) -> Document {
    let document = published::v2();
    let mut hasher = Sha512::new();
    hasher.update(&document.hash);
    let mut customs = custom_versions(index).peekable();
    if customs.peek().is_none() {
        return Document {
            hash: document.hash.clone(),
            text: document.read().into(),
        };
    }
    let mut all: Value = serde_json::from_slice(&document.read()).unwrap_or_default();
    for (_, version) in customs {
        hasher.update(hash(version));
        let mut own = custom_document(version);
        for (name, schema) in own["components"]["schemas"]
            .as_object_mut()
            .into_iter()
            .flatten()
        {
            if !name.starts_with("io.k8s.") {
                let text = schema
                    .to_string()
                    .replace("#/components/schemas/", "#/definitions/");
                all["definitions"][name] = serde_json::from_str(&text).unwrap_or_default();
            }
        }
    }
    Document {
        hash: hex::encode_upper(hasher.finalize()),
        text: all.to_string().into_bytes().into(),
    }
}

/// `com.example.v1.Widget`.
fn definition_name(resource: &Resource, kind: &str) -> String {
    let mut parts: Vec<&str> = resource.group.split('.').collect();
    parts.reverse();
    format!("{}.{}.{kind}", parts.join("."), resource.version)
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// The schemas of metadata, lists and Scale that every document carries, from the published ones.
fn shared_schemas() -> &'static Map<String, Value> {
    static SHARED: OnceLock<Map<String, Value>> = OnceLock::new();
    SHARED.get_or_init(|| {
        let text = published::v3_document("apis/apps/v1")
            .map(published::Document::read)
            .unwrap_or_default();
        let mut document: Value = serde_json::from_slice(&text).unwrap_or_default();
        let Some(all) = document["components"]["schemas"].as_object_mut() else {
            return Map::new();
        };
        let names = [
            "DeleteOptions",
            "FieldsV1",
            "ListMeta",
            "ManagedFieldsEntry",
            "ObjectMeta",
            "OwnerReference",
            "Patch",
            "Preconditions",
            "ShardInfo",
            "Status",
            "StatusCause",
            "StatusDetails",
            "Time",
        ];
        let meta = names.iter().map(|name| format!("{META}{name}"));
        let scale = ["Scale", "ScaleSpec", "ScaleStatus"]
            .iter()
            .map(|name| format!("io.k8s.api.autoscaling.v1.{name}"));
        meta.chain(scale)
            .filter_map(|name| all.remove_entry(&name))
            .collect()
    })
}

fn custom_document(version: &GroupVersion) -> Value {
    let (mut paths, mut schemas) = (Map::new(), shared_schemas().clone());
    for resource in version
        .resources
        .iter()
        .filter(|resource| resource.custom.is_some())
    {
        add_schemas(resource, &mut schemas);
        add_paths(resource, &mut paths);
    }
    json!({
        "openapi": "3.0.0", "info": {"title": "Kubernetes CRD Swagger", "version": "v0.1.0"},
        "paths": paths, "components": {"schemas": schemas},
    })
}

fn add_schemas(resource: &Resource, schemas: &mut Map<String, Value>) {
    let Some(custom) = &resource.custom else {
        return;
    };
    let kind_of =
        |kind: &str| json!([{"group": resource.group, "kind": kind, "version": resource.version}]);
    let described = |name: &str| {
        schemas
            .get(&format!("{META}Status"))
            .map(|status| json!({"description": status["properties"][name]["description"], "type": "string"}))
            .unwrap_or_else(|| json!({"type": "string"}))
    };
    let (api_version, kind) = (described("apiVersion"), described("kind"));
    let conventions = "More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md";
    let mut schema = plain(custom.schema());
    if !schema.is_object() {
        schema = json!({"type": "object"});
    }
    let properties = &mut schema["properties"];
    if !properties.is_object() {
        *properties = json!({});
    }
    properties["apiVersion"] = api_version.clone();
    properties["kind"] = kind.clone();
    properties["metadata"] = json!({
        "description": format!("Standard object's metadata. {conventions}#metadata"),
        "allOf": [reference(&format!("{META}ObjectMeta"))],
    });
    schema["x-kubernetes-group-version-kind"] = kind_of(&resource.kind);
    let name = definition_name(resource, &resource.kind);
    let list = json!({
        "description": format!("{} is a list of {}", resource.list_kind, resource.kind),
        "type": "object", "required": ["items"],
        "properties": {
            "apiVersion": api_version, "kind": kind,
            "items": {
                "description": format!("List of {}. {conventions}", resource.plural),
                "type": "array", "items": reference(&name),
            },
            "metadata": {
                "description": format!("Standard list metadata. {conventions}#types-kinds"),
                "allOf": [reference(&format!("{META}ListMeta"))],
            },
        },
        "x-kubernetes-group-version-kind": kind_of(&resource.list_kind),
    });
    let mut list = list;
    if !custom.selectable.is_empty() {
        let fields: Vec<Value> = custom
            .selectable
            .iter()
            .map(|path| json!({"fieldPath": path}))
            .collect();
        schema["x-kubernetes-selectable-fields"] = fields.clone().into();
        list["x-kubernetes-selectable-fields"] = fields.into();
    }
    schemas.insert(definition_name(resource, &resource.list_kind), list);
    schemas.insert(name, schema);
}

/// The schema as it is published: what only the API server uses stays.
fn plain(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Some(map) = schema.as_object_mut() {
        map.remove("x-kubernetes-embedded-resource");
    }
    schema
}

fn add_paths(resource: &Resource, paths: &mut Map<String, Value>) {
    let root = format!("/apis/{}/{}", resource.group, resource.version);
    let scope = if resource.namespaced {
        "/namespaces/{namespace}"
    } else {
        ""
    };
    let collection = format!("{root}{scope}/{}", resource.plural);
    let one = format!("{collection}/{{name}}");
    let own = definition_name(resource, &resource.kind);
    let list = definition_name(resource, &resource.list_kind);
    let operations = |verbs: &[(&str, &str)], schema: &str, kind: &Value, name: &str| {
        let mut item = Map::new();
        for (method, action) in verbs {
            item.insert(
                (*method).to_owned(),
                operation(resource, method, action, schema, kind),
            );
        }
        let parameter = |name: &str| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "uniqueItems": true}});
        let mut parameters = Vec::new();
        if !name.is_empty() {
            parameters.push(parameter("name"));
        }
        if resource.namespaced {
            parameters.push(parameter("namespace"));
        }
        parameters.push(query("pretty", "string"));
        item.insert("parameters".into(), parameters.into());
        Value::Object(item)
    };
    let kind = json!({"group": resource.group, "version": resource.version, "kind": resource.kind});
    let mut both = operations(
        &[("get", "list"), ("delete", "deletecollection")],
        &list,
        &kind,
        "",
    );
    both["post"] = operation(resource, "post", "post", &own, &kind);
    paths.insert(collection, both);
    if resource.namespaced {
        let all = operations(&[("get", "list")], &list, &kind, "");
        paths.insert(format!("{root}/{}", resource.plural), all);
    }
    let whole = [
        ("get", "get"),
        ("put", "put"),
        ("patch", "patch"),
        ("delete", "delete"),
    ];
    paths.insert(one.clone(), operations(&whole, &own, &kind, "name"));
    for sub in &resource.subresources {
        let (schema, kind) = match &sub.group_version {
            Some((group, version)) => (
                "io.k8s.api.autoscaling.v1.Scale".to_owned(),
                json!({"group": group, "version": version, "kind": sub.kind}),
            ),
            None => (own.clone(), kind.clone()),
        };
        let item = operations(&whole[..3], &schema, &kind, "name");
        paths.insert(format!("{one}/{}", sub.name), item);
    }
}

fn query(name: &str, kind: &str) -> Value {
    json!({"name": name, "in": "query", "schema": {"type": kind, "uniqueItems": true}})
}

fn operation(resource: &Resource, method: &str, action: &str, schema: &str, kind: &Value) -> Value {
    let content = |schema: Value| json!({"application/json": {"schema": schema}, "application/yaml": {"schema": schema}});
    let names: &[(&str, &str)] = match action {
        "get" => &[("resourceVersion", "string")],
        "list" => &[
            ("allowWatchBookmarks", "boolean"),
            ("continue", "string"),
            ("fieldSelector", "string"),
            ("labelSelector", "string"),
            ("limit", "integer"),
            ("resourceVersion", "string"),
            ("resourceVersionMatch", "string"),
            ("sendInitialEvents", "boolean"),
            ("timeoutSeconds", "integer"),
            ("watch", "boolean"),
        ],
        "delete" | "deletecollection" => &[
            ("dryRun", "string"),
            ("gracePeriodSeconds", "integer"),
            ("orphanDependents", "boolean"),
            ("propagationPolicy", "string"),
        ],
        "patch" => &[
            ("dryRun", "string"),
            ("fieldManager", "string"),
            ("fieldValidation", "string"),
            ("force", "boolean"),
        ],
        _ => &[
            ("dryRun", "string"),
            ("fieldManager", "string"),
            ("fieldValidation", "string"),
        ],
    };
    let parameters: Vec<Value> = names.iter().map(|(name, kind)| query(name, kind)).collect();
    let answer = match action {
        "delete" | "deletecollection" => format!("{META}Status"),
        _ => schema.to_owned(),
    };
    let mut operation = json!({
        "tags": [format!("{}_{}", resource.group, resource.version)],
        "operationId": format!("{action}{}{}", resource.version, resource.kind),
        "parameters": parameters,
        "responses": {
            "200": {"description": "OK", "content": content(reference(&answer))},
            "401": {"description": "Unauthorized"},
        },
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": kind,
    });
    match method {
        "post" | "put" => {
            operation["requestBody"] =
                json!({"content": content(reference(schema)), "required": true})
        }
        "delete" => {
            operation["requestBody"] =
                json!({"content": content(reference(&format!("{META}DeleteOptions")))});
        }
        "patch" => {
            let patch = json!({"schema": reference(&format!("{META}Patch"))});
            operation["requestBody"] = json!({
                "content": {
                    "application/apply-patch+yaml": patch, "application/json-patch+json": patch,
                    "application/merge-patch+json": patch,
                },
                "required": true,
            });
        }
        _ => {}
    }
    operation
}
