//! The rules of custom resources.

use std::sync::OnceLock;

use serde_json::{Map, Value, json};
use sluice_schema::GroupVersionKind;
use sluice_schema::failure::{Failure, FieldError};
use sluice_schema::fields::Set;
use sluice_schema::managed::Kind;
use sluice_schema::read::{self, Body, Decoded, FieldValidation, Read};
use sluice_schema::schema::{Schema, TypeId};
use sluice_schema::write::Resource as Rules;

use crate::registry::{Custom, Resource};

/// A custom resource in one version.
pub(super) struct CustomKind<'a> {
    resource: &'a Resource,
    custom: &'a Custom,
    gvk: GroupVersionKind,
}

fn sets() -> &'static [Set<'static>; 3] {
    static SETS: OnceLock<[Set<'static>; 3]> = OnceLock::new();
    SETS.get_or_init(|| {
        [
            Set::new(),
            Set::of_names(&[&["status"]]),
            Set::of_names(&[&["metadata"], &["spec"]]),
        ]
    })
}

impl<'a> CustomKind<'a> {
    pub fn new(resource: &'a Resource, custom: &'a Custom) -> Self {
        let gvk = GroupVersionKind::new(&resource.group, &resource.version, &resource.kind);
        CustomKind {
            resource,
            custom,
            gvk,
        }
    }

    /// Fills in the defaults of the version's schema.
    fn default(&self, object: &mut Value) {
        fill_defaults(object, &self.custom.source["schema"]["openAPIV3Schema"]);
    }

    /// What the generation counts.
    fn body(&self, value: &Value) -> Map<String, Value> {
        let status = self.resource.has_status();
        let members = value.as_object().into_iter().flatten();
        let counted = |key: &str| {
            !matches!(key, "metadata" | "apiVersion" | "kind") && (key != "status" || !status)
        };
        members
            .filter(|(key, _)| counted(key))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }
}

/// Puts the defaults of a structural schema in place of members that are absent, or null where null is not
/// allowed, from the outside in.
fn fill_defaults(value: &mut Value, schema: &Value) {
    match value {
        Value::Object(members) => {
            let properties = schema["properties"].as_object();
            for (name, property) in properties.into_iter().flatten() {
                let Some(default) = property.get("default") else {
                    continue;
                };
                let is_absent = match members.get(name) {
                    None => true,
                    Some(Value::Null) => property["nullable"] != true,
                    Some(_) => false,
                };
                if is_absent {
                    members.insert(name.clone(), default.clone());
                }
            }
            for (name, member) in members.iter_mut() {
                match properties.and_then(|properties| properties.get(name)) {
                    Some(property) => fill_defaults(member, property),
                    None => fill_defaults(member, &schema["additionalProperties"]),
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                fill_defaults(item, &schema["items"]);
            }
        }
        _ => {}
    }
}

impl Kind for CustomKind<'_> {
    fn schema(&self) -> &Schema {
        self.custom.types.schema()
    }

    fn type_of(&self, api_version: &str) -> Option<TypeId> {
        self.custom.types.type_of(api_version)
    }

    fn convert(&self, object: &Value, api_version: &str) -> Option<Value> {
        self.type_of(api_version)?;
        let mut object = object.clone();
        object["apiVersion"] = api_version.into();
        Some(object)
    }

    fn reset_fields(&self, _: &str, subresource: &str) -> &Set<'static> {
        match (self.resource.has_status(), subresource) {
            (true, "") => &sets()[1],
            (true, "status") => &sets()[2],
            _ => &sets()[0],
        }
    }

    fn complete(&self, mut object: Value) -> Result<Value, String> {
        self.default(&mut object);
        Ok(object)
    }

    fn empty(&self, api_version: &str) -> Value {
        json!({"apiVersion": api_version, "kind": self.resource.kind})
    }
}

impl Rules for CustomKind<'_> {
    fn gvk(&self) -> &GroupVersionKind {
        &self.gvk
    }

    fn plural(&self) -> &str {
        &self.resource.plural
    }

    fn namespaced(&self) -> bool {
        self.resource.namespaced
    }

    fn creates_on_update(&self) -> bool {
        false
    }

    fn updates_unconditionally(&self) -> bool {
        false
    }

    fn read(&self, body: Body<'_>, _: FieldValidation) -> Result<Read, Failure> {
        let mut value = match body {
            Body::Value(value, _) => value,
            Body::Json(bytes) => read::parse(bytes).map_err(Failure::bad_request)?.value,
        };
        self.default(&mut value);
        Ok(Read {
            object: value,
            warnings: Vec::new(),
        })
    }

    fn reread(&self, mut document: Value, _: bool) -> Result<Decoded, String> {
        self.default(&mut document);
        Ok(Decoded {
            object: document,
            strict: Vec::new(),
        })
    }

    fn strategic_type(&self) -> Option<TypeId> {
        None
    }

    fn prepare_create(&self, object: &mut Value) {
        if self.resource.has_status()
            && let Some(map) = object.as_object_mut()
        {
            map.remove("status");
        }
        // A status that the client sent is dropped; that of the schema's default is not.
        self.default(object);
        object["metadata"]["generation"] = 1.into();
    }

    fn prepare_update(&self, object: &mut Value, old: &Value, subresource: &str) {
        if subresource == "status" {
            let (status, managed) = (
                object.get("status").cloned(),
                object["metadata"].get("managedFields").cloned(),
            );
            *object = old.clone();
            if let Some(map) = object.as_object_mut() {
                match status {
                    Some(status) => map.insert("status".into(), status),
                    None => map.remove("status"),
                };
            }
            match managed {
                Some(managed) => super::meta::of(object).insert("managedFields".into(), managed),
                None => super::meta::of(object).remove("managedFields"),
            };
            return;
        }
        if self.resource.has_status()
            && let Some(map) = object.as_object_mut()
        {
            match old.get("status") {
                Some(status) => map.insert("status".into(), status.clone()),
                None => map.remove("status"),
            };
        }
        if self.body(object) != self.body(old) {
            let generation = old["metadata"]["generation"].as_i64().unwrap_or(0);
            object["metadata"]["generation"] = (generation + 1).into();
        }
    }

    fn validate_create(&self, _: &Value) -> Vec<FieldError> {
        Vec::new()
    }

    fn validate_update(&self, _: &Value, _: &Value, _: &str) -> Vec<FieldError> {
        Vec::new()
    }

    fn warnings(&self, _: &Value, _: Option<&Value>) -> Vec<String> {
        Vec::new()
    }

    fn store_form(&self, _: &mut Value) {}
}
