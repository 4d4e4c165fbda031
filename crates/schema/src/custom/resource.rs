//! Custom resources as kinds: what a CustomResourceDefinition makes of their objects.

use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value, json};

use super::schema::{Structural, Trail};
use super::{embedded, rules, shape, values};
use crate::builtin::NameRule;
use crate::builtin::meta;
use crate::builtin::tools::{Errors, items, text};
use crate::failure::{Failure, FieldError, FieldErrorKind};
use crate::fields::Set;
use crate::gofmt;
use crate::gvk::{GroupVersionKind, split_api_version};
use crate::managed::Kind;
use crate::read::{self, Body, Decoded, FieldValidation, Read, strict_error};
use crate::schema::build::Builder;
use crate::schema::{Schema, TypeId};
use crate::tables;
use crate::write::Resource;

const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// Where the scale subresource finds its numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct ScalePaths {
    /// `specReplicasPath`.
    pub spec: String,
    /// `statusReplicasPath`.
    pub status: String,
    /// `labelSelectorPath`.
    pub selector: Option<String>,
}

/// The structural types of all versions of a custom resource, built on first use.
#[derive(Debug)]
pub struct CustomTypes {
    group: String,
    kind: String,
    /// Version and `openAPIV3Schema` of each.
    versions: Vec<(String, Value)>,
    schema: OnceLock<Schema>,
}

impl CustomTypes {
    /// The types of a CustomResourceDefinition.
    pub fn of(definition: &Value) -> Self {
        let spec = &definition["spec"];
        let version = |version: &Value| {
            (
                text(&version["name"]).to_owned(),
                version["schema"]["openAPIV3Schema"].clone(),
            )
        };
        CustomTypes {
            group: text(&spec["group"]).to_owned(),
            kind: text(&spec["names"]["kind"]).to_owned(),
            versions: items(&spec["versions"]).iter().map(version).collect(),
            schema: OnceLock::new(),
        }
    }

    /// Whether the versions and their schemas are the same.
    pub fn same(&self, other: &CustomTypes) -> bool {
        self.versions == other.versions
    }

    /// The types; every version is a kind of them.
    pub fn schema(&self) -> &Schema {
        self.schema.get_or_init(|| {
            let mut builder = Builder::extending(tables::builtin(), &[OBJECT_META]);
            for (version, schema) in &self.versions {
                let mut schema = schema.clone();
                if !schema.is_object() {
                    schema =
                        json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
                }
                schema["x-kubernetes-embedded-resource"] = true.into();
                complete_embedded(&mut schema);
                let id = builder.define(version, &schema);
                builder.kind(GroupVersionKind::new(&self.group, version, &self.kind), id);
            }
            builder.finish()
        })
    }

    /// The type of one version.
    pub fn type_of(&self, api_version: &str) -> Option<TypeId> {
        let (group, version) = split_api_version(api_version);
        self.schema().kind(group, version, &self.kind)
    }
}

/// Adds what every object has to the schemas of objects.
fn complete_embedded(schema: &mut Value) {
    if schema["x-kubernetes-embedded-resource"] == true {
        if !schema["properties"].is_object() {
            schema["properties"] = json!({});
        }
        schema["properties"]["apiVersion"] = json!({"type": "string"});
        schema["properties"]["kind"] = json!({"type": "string"});
        schema["properties"]["metadata"] = json!({"$ref": format!("#/definitions/{OBJECT_META}")});
    }
    let members = schema.get_mut("properties").and_then(Value::as_object_mut);
    members
        .into_iter()
        .flat_map(Map::values_mut)
        .for_each(complete_embedded);
    for name in ["items", "additionalProperties"] {
        if let Some(member) = schema.get_mut(name).filter(|member| member.is_object()) {
            complete_embedded(member);
        }
    }
}

/// A custom resource in one version.
#[derive(Debug)]
pub struct CustomKind {
    gvk: GroupVersionKind,
    plural: String,
    namespaced: bool,
    has_status: bool,
    scale: Option<ScalePaths>,
    preserve_unknown: bool,
    types: Arc<CustomTypes>,
    source: Value,
    schema: OnceLock<Structural>,
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

impl CustomKind {
    /// The kind of a version, which is one of `spec.versions` of the definition.
    pub fn new(definition: &Value, version: &Value, types: Arc<CustomTypes>) -> Self {
        let spec = &definition["spec"];
        let scale = &version["subresources"]["scale"];
        CustomKind {
            gvk: GroupVersionKind::new(
                text(&spec["group"]),
                text(&version["name"]),
                text(&spec["names"]["kind"]),
            ),
            plural: text(&spec["names"]["plural"]).to_owned(),
            namespaced: spec["scope"] == "Namespaced",
            has_status: version["subresources"]["status"].is_object(),
            scale: scale.is_object().then(|| ScalePaths {
                spec: text(&scale["specReplicasPath"]).to_owned(),
                status: text(&scale["statusReplicasPath"]).to_owned(),
                selector: scale["labelSelectorPath"].as_str().map(str::to_owned),
            }),
            preserve_unknown: spec["preserveUnknownFields"] == true,
            types,
            source: version["schema"]["openAPIV3Schema"].clone(),
            schema: OnceLock::new(),
        }
    }

    /// Whether two kinds treat their objects alike.
    pub fn same(&self, other: &CustomKind) -> bool {
        self.gvk == other.gvk
            && self.namespaced == other.namespaced
            && self.preserve_unknown == other.preserve_unknown
            && self.has_status == other.has_status
            && self.scale == other.scale
            && self.source == other.source
    }

    /// Where the scale subresource finds its numbers, if there is one.
    pub fn scale(&self) -> Option<&ScalePaths> {
        self.scale.as_ref()
    }

    fn structural(&self) -> &Structural {
        self.schema.get_or_init(|| Structural::root(&self.source))
    }

    /// Brings an object of this kind into its form: without unknown fields, with metadata of the server's type, with
    /// defaults. Gives the strict errors.
    fn shape(&self, object: &mut Value) -> Result<Vec<String>, String> {
        let mut unknown = Vec::new();
        if let Some(metadata) = object.get_mut("metadata") {
            unknown.extend(embedded::read_metadata(metadata, "metadata")?);
        }
        if object["kind"] == self.gvk.kind.as_str() {
            let schema = self.structural();
            if !self.preserve_unknown {
                unknown.extend(shape::prune(object, schema));
                shape::remove_nulls(object, schema);
            }
            unknown.extend(embedded::read_all(schema, object, &Trail::ROOT)?);
            shape::fill_defaults(object, schema);
        }
        let text = |field: String| format!("unknown field {}", gofmt::quote(&field));
        Ok(unknown.into_iter().map(text).collect())
    }

    /// What an object of the store looks like under the schema of today, which may not be that of its last write.
    pub fn refresh(&self, object: &mut Value) {
        let schema = self.structural();
        if !self.preserve_unknown {
            shape::prune(object, schema);
            shape::remove_nulls(object, schema);
        }
        shape::fill_defaults(object, schema);
    }

    /// What the generation counts.
    fn body(&self, value: &Value) -> Map<String, Value> {
        let members = value.as_object().into_iter().flatten();
        let counted = |key: &str| {
            !matches!(key, "metadata" | "apiVersion" | "kind")
                && (key != "status" || !self.has_status)
        };
        members
            .filter(|(key, _)| counted(key))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    fn check_kind(&self, object: &Value, errors: &mut Errors) {
        if object["kind"] != self.gvk.kind.as_str() {
            let why = format!("must be {}", self.gvk.kind);
            errors.push(FieldError::invalid("kind", &object["kind"], why));
        }
    }

    /// Everything that the schema says of an object.
    fn check(
        &self,
        object: &Value,
        old: Option<&Value>,
        subresource: &str,
        errors: &mut Errors,
        tolerated: &mut Vec<String>,
    ) {
        let schema = self.structural();
        values::validate(schema, object, old, &Trail::ROOT, errors);
        if let Some(scale) = &self.scale {
            if subresource.is_empty() {
                check_replicas(object, &scale.spec, errors);
            }
            check_replicas(object, &scale.status, errors);
        }
        values::validate_embedded(schema, object, &Trail::ROOT, errors);
        let mut doubled = Errors::new();
        if let Some(old) = old {
            values::validate_lists(schema, old, &Trail::ROOT, &mut doubled);
        }
        if doubled.is_empty() {
            values::validate_lists(schema, object, &Trail::ROOT, errors);
        }
        if !schema.ruled && schema.rules.is_empty() {
            return;
        }
        let blocking = |error: &FieldError| {
            matches!(
                error.kind,
                FieldErrorKind::NotSupported
                    | FieldErrorKind::Required
                    | FieldErrorKind::TooLong
                    | FieldErrorKind::TooMany
                    | FieldErrorKind::TypeInvalid
            )
        };
        if errors.iter().any(blocking) {
            let why = "some validation rules were not checked because the object was invalid; correct the existing \
                       errors to complete validation";
            errors.push(FieldError::invalid("<nil>", &Value::Null, why));
            return;
        }
        let mut verdict = rules::Verdict { errors, tolerated };
        rules::validate(
            schema,
            object,
            old,
            &Trail::ROOT,
            rules::Level::Root,
            &mut verdict,
        );
    }
}

/// Numbers of replicas are whole and not negative.
fn check_replicas(object: &Value, path: &str, errors: &mut Errors) {
    let names: Vec<&str> = path.trim_start_matches('.').split('.').collect();
    let mut at = object;
    for (depth, name) in names.iter().enumerate() {
        let Some(map) = at.as_object() else {
            if !at.is_null() || depth == 0 {
                let why = accessor_error(path, at, "map[string]interface{}");
                errors.push(FieldError::invalid(path, &0.into(), why));
            }
            return;
        };
        match map.get(*name) {
            Some(member) => at = member,
            None => return,
        }
    }
    match at.as_i64() {
        Some(number) if number < 0 => {
            errors.push(FieldError::invalid(
                path,
                at,
                "should be a non-negative integer",
            ));
        }
        Some(number) if number > i64::from(i32::MAX) => {
            let why = format!("should be less than or equal to {}", i32::MAX);
            errors.push(FieldError::invalid(path, at, why));
        }
        Some(_) => {}
        None => {
            let why = accessor_error(path, at, "int64");
            errors.push(FieldError::invalid(path, &0.into(), why));
        }
    }
}

fn accessor_error(path: &str, value: &Value, wanted: &str) -> String {
    format!(
        "{path} accessor error: {} is of the type {}, expected {wanted}",
        gofmt::plain(value),
        gofmt::type_name(value)
    )
}

impl Kind for CustomKind {
    fn schema(&self) -> &Schema {
        self.types.schema()
    }

    fn type_of(&self, api_version: &str) -> Option<TypeId> {
        self.types.type_of(api_version)
    }

    fn convert(&self, object: &Value, api_version: &str) -> Option<Value> {
        self.type_of(api_version)?;
        let mut object = object.clone();
        object["apiVersion"] = api_version.into();
        Some(object)
    }

    fn reset_fields(&self, _: &str, subresource: &str) -> &Set<'static> {
        match (self.has_status, subresource) {
            (true, "") => &sets()[1],
            (true, "status") => &sets()[2],
            _ => &sets()[0],
        }
    }

    fn complete(&self, mut object: Value) -> Result<Value, String> {
        shape::fill_defaults(&mut object, self.structural());
        Ok(object)
    }

    fn empty(&self, api_version: &str) -> Value {
        json!({"apiVersion": api_version, "kind": self.gvk.kind})
    }
}

impl Resource for CustomKind {
    fn gvk(&self) -> &GroupVersionKind {
        &self.gvk
    }

    fn plural(&self) -> &str {
        &self.plural
    }

    fn namespaced(&self) -> bool {
        self.namespaced
    }

    fn creates_on_update(&self) -> bool {
        false
    }

    fn updates_unconditionally(&self) -> bool {
        false
    }

    fn read(&self, body: Body<'_>, validation: FieldValidation) -> Result<Read, Failure> {
        let kind = &self.gvk.kind;
        let (mut value, mut strict, bytes) = read::document(body, kind)?;
        if text(&value["kind"]).is_empty() {
            let shown = String::from_utf8_lossy(&bytes).into_owned();
            let why = format!("Object 'Kind' is missing in '{shown}'");
            return Err(read::unreadable(kind, &bytes, &why));
        }
        if value["apiVersion"] != self.gvk.api_version().as_str() {
            return Err(Failure::bad_request(format!(
                "the API version in the data ({}) does not match the expected API version ({})",
                text(&value["apiVersion"]),
                self.gvk.api_version()
            )));
        }
        let refuse = |why: String| {
            Failure::bad_request(format!(
                "{kind} in version {} cannot be handled as a {kind}: {why}",
                gofmt::quote(&self.gvk.version)
            ))
        };
        strict.extend(self.shape(&mut value).map_err(refuse)?);
        match (validation, strict.is_empty()) {
            (FieldValidation::Strict, false) => Err(refuse(strict_error(&strict))),
            (FieldValidation::Warn, _) => Ok(Read {
                object: value,
                warnings: strict,
            }),
            _ => Ok(Read {
                object: value,
                warnings: Vec::new(),
            }),
        }
    }

    fn reread(&self, mut document: Value, _: bool) -> Result<Decoded, String> {
        let strict = self.shape(&mut document)?;
        Ok(Decoded {
            object: document,
            strict,
        })
    }

    fn strategic_type(&self) -> Option<TypeId> {
        None
    }

    fn prepare_create(&self, object: &mut Value) {
        if self.has_status
            && let Some(map) = object.as_object_mut()
        {
            map.remove("status");
        }
        object["metadata"]["generation"] = 1.into();
    }

    fn prepare_update(&self, object: &mut Value, old: &Value, subresource: &str) {
        let put = |object: &mut Value, name: &str, value: Option<&Value>| {
            if let Some(map) = object.as_object_mut() {
                match value {
                    Some(value) => map.insert(name.to_owned(), value.clone()),
                    None => map.remove(name),
                };
            }
        };
        if subresource == "status" {
            let status = object.get("status").cloned();
            let managed = object["metadata"].get("managedFields").cloned();
            *object = old.clone();
            put(object, "status", status.as_ref());
            put(&mut object["metadata"], "managedFields", managed.as_ref());
            return;
        }
        if self.has_status {
            put(object, "status", old.get("status"));
        }
        if self.body(object) != self.body(old) {
            let generation = old["metadata"]["generation"].as_i64().unwrap_or(0);
            object["metadata"]["generation"] = (generation + 1).into();
        }
    }

    fn validate_create(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Errors::new();
        self.check_kind(object, &mut errors);
        if errors.is_empty() {
            meta::validate(object, self.namespaced, NameRule::Subdomain, &mut errors);
            self.check(object, None, "", &mut errors, &mut Vec::new());
        }
        errors
    }

    fn validate_update(
        &self,
        object: &Value,
        old: &Value,
        subresource: &str,
        warnings: &mut Vec<String>,
    ) -> Vec<FieldError> {
        let mut errors = Errors::new();
        self.check_kind(object, &mut errors);
        if errors.is_empty() {
            // The server checks this for every kind, and for custom ones again.
            let rule = NameRule::PathSegment;
            meta::validate(object, self.namespaced, rule, &mut errors);
            meta::validate_update(object, old, &mut errors);
            meta::validate_update(object, old, &mut errors);
            self.check(object, Some(old), subresource, &mut errors, warnings);
        }
        errors
    }

    fn warnings(&self, _: &Value, _: Option<&Value>) -> Vec<String> {
        Vec::new()
    }

    fn store_form(&self, object: &mut Value) {
        self.refresh(object);
    }
}
