//! A write of one object, from its request to what goes into the store: what kube-apiserver does between admission
//! and etcd, in its order.
//!
//! ```text
//! body -> read, defaults -> (patch) -> managedFields -> admission -> metadata, strategy, validation -> store form
//! ```
//!
//! Pure: the stored object, time, names and uids come in as arguments; admission and what a server allocates are
//! [`Hooks`]. Looking up the object, resource versions, and writing are the caller's. A [`Resource`] is a built-in
//! kind or a custom one.

mod metadata;

use serde_json::Value;

use crate::failure::{Failure, FieldError, qualified};
use crate::gvk::GroupVersionKind;
use crate::managed::{self, ApplyError, ApplyRequest, Kind, Update, ignore_time_changes};
use crate::patch::{self, PatchType, Patched};
use crate::read::{Body, Decoded, FieldValidation, Read, strict_error};
use crate::schema::TypeId;

/// A kind with everything that writing its objects takes.
pub trait Resource: Kind {
    /// Group, version and kind of the request.
    fn gvk(&self) -> &GroupVersionKind;

    /// The plural name.
    fn plural(&self) -> &str;

    /// Whether its objects live in namespaces.
    fn namespaced(&self) -> bool;

    /// Whether PUT creates an object that does not exist.
    fn creates_on_update(&self) -> bool;

    /// Whether PUT needs no resource version.
    fn updates_unconditionally(&self) -> bool;

    /// Reads a body, with defaults.
    ///
    /// # Errors
    /// Code 400.
    fn read(&self, body: Body<'_>, validation: FieldValidation) -> Result<Read, Failure>;

    /// Reads a patched document, with defaults. `from_text` says whether the server reads JSON text here.
    ///
    /// # Errors
    /// The text of what cannot be read.
    fn reread(&self, document: Value, from_text: bool) -> Result<Decoded, String>;

    /// The type by which strategic merge patches go; None where there are none.
    fn strategic_type(&self) -> Option<TypeId>;

    /// Prepares a new object: status, generation.
    fn prepare_create(&self, object: &mut Value);

    /// Prepares a change: fields that the write may not touch, generation.
    fn prepare_update(&self, object: &mut Value, old: &Value, subresource: &str);

    /// The group that the answer to an invalid object names.
    fn invalid_group(&self) -> &str {
        &self.gvk().group
    }

    /// What is wrong with a new object.
    fn validate_create(&self, object: &Value) -> Vec<FieldError>;

    /// What is wrong with a change. What is only worth a warning goes to `warnings`.
    fn validate_update(
        &self,
        object: &Value,
        old: &Value,
        subresource: &str,
        warnings: &mut Vec<String>,
    ) -> Vec<FieldError>;

    /// What the server warns of.
    fn warnings(&self, object: &Value, old: Option<&Value>) -> Vec<String>;

    /// The object as it comes back from the store.
    fn store_form(&self, object: &mut Value);
}

/// What a server adds to a write.
pub trait Hooks {
    /// A new uid.
    fn uid(&mut self) -> String;

    /// The random end of a generated name: five letters or digits.
    fn name_suffix(&mut self) -> String;

    /// Takes a text for a `Warning` header; the answer may be a refusal all the same.
    fn warn(&mut self, _text: String) {}

    /// Mutating admission. `old` is None for a new object.
    ///
    /// # Errors
    /// What refuses the request.
    fn admit(&mut self, _object: &mut Value, _old: Option<&Value>) -> Result<(), Failure> {
        Ok(())
    }

    /// Validating admission: of an object that is valid otherwise. `old` is None for a new object.
    ///
    /// # Errors
    /// What refuses the request.
    fn check(&mut self, _object: &Value, _old: Option<&Value>) -> Result<(), Failure> {
        Ok(())
    }

    /// Gives out what only the server can, such as cluster IPs. Before validation.
    ///
    /// # Errors
    /// What refuses the request.
    fn allocate(&mut self, _object: &mut Value, _old: Option<&Value>) -> Result<(), Failure> {
        Ok(())
    }
}

/// A write request, apart from its body.
pub struct Write<'a> {
    /// The kind in the version of the request.
    pub resource: &'a dyn Resource,
    /// The namespace of the request; empty for kinds without.
    pub namespace: &'a str,
    /// The name in the URL; empty for a create.
    pub name: &'a str,
    /// The subresource; empty for the object itself.
    pub subresource: &'a str,
    /// The field manager: the parameter, or the first part of the user agent.
    pub manager: &'a str,
    /// The `fieldValidation` parameter.
    pub validation: FieldValidation,
    /// The time, as `2006-01-02T15:04:05Z`.
    pub now: &'a str,
}

/// What becomes of a write.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// The object in the version of the request, with its metadata but for a new resource version.
    pub object: Value,
    /// Whether it did not exist before.
    pub created: bool,
    /// Whether anything differs from what is stored.
    pub changed: bool,
}

fn warn_all(hooks: &mut dyn Hooks, texts: impl IntoIterator<Item = String>) {
    for text in texts {
        hooks.warn(text);
    }
}

impl Write<'_> {
    fn group_kind(&self) -> (&str, &str) {
        (self.resource.invalid_group(), &self.resource.gvk().kind)
    }

    fn resource_name(&self) -> String {
        qualified(self.resource.plural(), &self.resource.gvk().group)
    }

    fn not_found(&self) -> Failure {
        Failure::not_found(
            &self.resource.gvk().group,
            self.resource.plural(),
            self.name,
        )
    }

    fn conflict(&self, why: &str) -> Failure {
        let mut failure = self.not_found();
        failure.code = 409;
        failure.reason = "Conflict";
        failure.message = format!(
            "Operation cannot be fulfilled on {} \"{}\": {why}",
            self.resource_name(),
            self.name
        );
        failure
    }

    /// POST.
    ///
    /// # Errors
    /// Whatever the server answers: 400, 403, 422.
    pub fn create(&self, body: Body<'_>, hooks: &mut dyn Hooks) -> Result<Written, Failure> {
        let read = self.resource.read(body, self.validation)?;
        let mut object = read.object;
        warn_all(hooks, read.warnings);
        metadata::wipe_system_fields(&mut object);
        self.settle_namespace(&mut object)?;
        warn_all(hooks, metadata::dedup_owners(&mut object));
        let empty = self.resource.empty(&self.resource.gvk().api_version());
        self.track(&empty, &mut object);
        hooks.admit(&mut object, None)?;
        metadata::fill_system_fields(&mut object, self.now, hooks);
        self.finish_create(object, hooks)
    }

    fn settle_namespace(&self, object: &mut Value) -> Result<(), Failure> {
        let expected = if self.resource.namespaced() {
            self.namespace
        } else {
            ""
        };
        metadata::settle_namespace(object, expected)
    }

    /// Owners of the fields after any write but an apply.
    fn track(&self, live: &Value, object: &mut Value) {
        let update = Update {
            live,
            manager: self.manager,
            subresource: self.subresource,
            now: self.now,
        };
        managed::update(self.resource, update, object);
    }

    /// From an object with uid and name to what is stored.
    fn finish_create(&self, mut object: Value, hooks: &mut dyn Hooks) -> Result<Written, Failure> {
        hooks.allocate(&mut object, None)?;
        self.resource.prepare_create(&mut object);
        let errors = self.resource.validate_create(&object);
        self.refuse(&object, &errors)?;
        warn_all(hooks, self.resource.warnings(&object, None));
        hooks.check(&object, None)?;
        metadata::remove_blank(&mut object);
        self.resource.store_form(&mut object);
        Ok(Written {
            object,
            created: true,
            changed: true,
        })
    }

    fn refuse(&self, object: &Value, errors: &[FieldError]) -> Result<(), Failure> {
        let (group, own) = self.group_kind();
        let kind = object["kind"].as_str().unwrap_or(own);
        match errors {
            [] => Ok(()),
            errors => {
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                Err(Failure::invalid(group, kind, name, errors))
            }
        }
    }

    /// PUT. `live` is the stored object in the version of the request.
    ///
    /// # Errors
    /// Whatever the server answers: 400, 403, 404, 409, 422.
    pub fn replace(
        &self,
        live: Option<&Value>,
        body: Body<'_>,
        hooks: &mut dyn Hooks,
    ) -> Result<Written, Failure> {
        let read = self.resource.read(body, self.validation)?;
        let mut object = read.object;
        warn_all(hooks, read.warnings);
        self.settle_namespace(&mut object)?;
        self.check_name(&object)?;
        warn_all(hooks, metadata::dedup_owners(&mut object));
        let Some(live) = live else {
            if !self.resource.creates_on_update() || !self.subresource.is_empty() {
                return Err(self.not_found());
            }
            let empty = self.resource.empty(&self.resource.gvk().api_version());
            self.track(&empty, &mut object);
            hooks.admit(&mut object, None)?;
            metadata::fill_system_fields(&mut object, self.now, hooks);
            return self.finish_create(object, hooks);
        };
        let uid = object["metadata"]["uid"].as_str().unwrap_or_default();
        let own = live["metadata"]["uid"].as_str().unwrap_or_default();
        if !uid.is_empty() && uid != own {
            return Err(self.conflict(&format!(
                "Precondition failed: UID in precondition: {uid}, UID in object meta: {own}"
            )));
        }
        self.track(live, &mut object);
        hooks.admit(&mut object, Some(live))?;
        self.check_version(&mut object, live)?;
        self.finish_update(object, live, hooks)
    }

    fn check_name(&self, object: &Value) -> Result<(), Failure> {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        if name.is_empty() {
            return Err(Failure::bad_request(format!(
                "the name of the object ({} based on URL) was undeterminable: name must be provided",
                self.name
            )));
        }
        if name != self.name {
            return Err(Failure::bad_request(format!(
                "the name of the object ({name}) does not match the name on the URL ({})",
                self.name
            )));
        }
        Ok(())
    }

    /// Optimistic concurrency.
    fn check_version(&self, object: &mut Value, live: &Value) -> Result<(), Failure> {
        let given = object["metadata"]["resourceVersion"]
            .as_str()
            .unwrap_or_default();
        let own = live["metadata"]["resourceVersion"]
            .as_str()
            .unwrap_or_default();
        if given.is_empty() {
            if !self.resource.updates_unconditionally() {
                let error = FieldError::invalid_printed(
                    "metadata.resourceVersion",
                    "0",
                    "must be specified for an update",
                );
                let group = &self.resource.gvk().group;
                return Err(Failure::invalid(
                    group,
                    self.resource.plural(),
                    self.name,
                    &[error],
                ));
            }
            object["metadata"]["resourceVersion"] = own.into();
        } else if given != own {
            let why = "the object has been modified; please apply your changes to the latest version and try again";
            return Err(self.conflict(why));
        }
        Ok(())
    }

    fn finish_update(
        &self,
        mut object: Value,
        live: &Value,
        hooks: &mut dyn Hooks,
    ) -> Result<Written, Failure> {
        hooks.allocate(&mut object, Some(live))?;
        self.settle_namespace(&mut object)?;
        metadata::keep_generation(&mut object, live);
        self.resource
            .prepare_update(&mut object, live, self.subresource);
        metadata::keep_system_fields(&mut object, live);
        let mut warnings = Vec::new();
        let errors = self
            .resource
            .validate_update(&object, live, self.subresource, &mut warnings);
        warn_all(hooks, warnings);
        self.refuse(&object, &errors)?;
        warn_all(hooks, self.resource.warnings(&object, Some(live)));
        hooks.check(&object, Some(live))?;
        ignore_time_changes(live, &mut object);
        metadata::remove_blank(&mut object);
        self.resource.store_form(&mut object);
        let changed = object != *live;
        Ok(Written {
            object,
            created: false,
            changed,
        })
    }

    /// PATCH other than apply. `live` is the stored object in the version of the request.
    ///
    /// # Errors
    /// Whatever the server answers: 400, 403, 404, 409, 413, 422.
    pub fn patch(
        &self,
        live: Option<&Value>,
        kind: PatchType,
        patch: &[u8],
        hooks: &mut dyn Hooks,
    ) -> Result<Written, Failure> {
        let Some(live) = live else {
            return Err(self.not_found());
        };
        let patched = match (kind, self.resource.strategic_type()) {
            (PatchType::Json, _) => patch::json_patch(live, patch, self.validation)?,
            (PatchType::Merge, _) => patch::merge_patch(live, patch)?,
            (PatchType::Strategic, Some(id)) => {
                patch::strategic_merge(self.resource.schema(), id, live, patch)?
            }
            (PatchType::Strategic, None) => {
                return Err(Failure {
                    code: 415,
                    reason: "UnsupportedMediaType",
                    message: "the body of the request was in an unknown format - accepted media types include: \
                              application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
                        .into(),
                    details: None,
                });
            }
        };
        let (mut object, warnings) = self.reread(patched, kind)?;
        warn_all(hooks, warnings);
        self.track(live, &mut object);
        self.settle_namespace(&mut object)?;
        self.check_name(&object)?;
        hooks.admit(&mut object, Some(live))?;
        warn_all(hooks, metadata::dedup_owners(&mut object));
        self.check_version(&mut object, live)?;
        self.finish_update(object, live, hooks)
    }

    fn reread(&self, patched: Patched, kind: PatchType) -> Result<(Value, Vec<String>), Failure> {
        let mut value = patched.value;
        let gvk = self.resource.gvk();
        if kind == PatchType::Strategic {
            value["apiVersion"] = gvk.api_version().into();
            value["kind"] = gvk.kind.as_str().into();
        }
        let refuse = |why: &str| {
            let error = FieldError::invalid("patch", &patched.printed.as_str().into(), why);
            Failure::invalid("", "", "", &[error])
        };
        let decoded = self
            .resource
            .reread(value, kind != PatchType::Strategic)
            .map_err(|text| refuse(&text))?;
        let mut strict = patched.strict;
        strict.extend(decoded.strict);
        match (self.validation, strict.is_empty()) {
            (FieldValidation::Strict, false) => Err(refuse(&strict_error(&strict))),
            (FieldValidation::Warn, _) => Ok((decoded.object, strict)),
            _ => Ok((decoded.object, Vec::new())),
        }
    }

    /// Server-side apply. `live` is the stored object in the version of the request; `strict` are errors of the
    /// text that strict field validation refuses, such as duplicate keys.
    ///
    /// # Errors
    /// Whatever the server answers: 400, 403, 404, 409, 422, 500.
    pub fn apply(
        &self,
        live: Option<&Value>,
        config: &Value,
        strict: &[String],
        force: bool,
        hooks: &mut dyn Hooks,
    ) -> Result<Written, Failure> {
        let empty;
        let before = match live {
            Some(live) => live,
            None if !self.subresource.is_empty() => return Err(self.not_found()),
            None => {
                empty = self.resource.empty(&self.resource.gvk().api_version());
                &empty
            }
        };
        let request = ApplyRequest {
            live: before,
            patch: config,
            kind: self.resource.gvk(),
            manager: self.manager,
            subresource: self.subresource,
            force,
            now: self.now,
        };
        let mut object = match managed::apply(self.resource, &request) {
            Ok(applied) => applied.object,
            Err(ApplyError::BadRequest(text)) => return Err(Failure::bad_request(text)),
            Err(ApplyError::Conflict(conflicts)) => {
                return Err(Failure::apply_conflict(&conflicts));
            }
            Err(error) => return Err(Failure::unclassified(error.to_string())),
        };
        if !strict.is_empty() {
            let text = strict.join("\n  ");
            match self.validation {
                FieldValidation::Strict => {
                    return Err(Failure::bad_request(format!(
                        "error strict decoding YAML: {text}"
                    )));
                }
                FieldValidation::Warn => hooks.warn(text),
                FieldValidation::Ignore => {}
            }
        }
        let Some(live) = live else {
            let uid = object["metadata"]["uid"].as_str().unwrap_or_default();
            if !uid.is_empty() {
                return Err(self.conflict(&format!(
                    "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
                )));
            }
            self.settle_namespace(&mut object)?;
            self.check_name(&object)?;
            hooks.admit(&mut object, None)?;
            warn_all(hooks, metadata::dedup_owners(&mut object));
            metadata::fill_system_fields(&mut object, self.now, hooks);
            return self.finish_create(object, hooks);
        };
        self.settle_namespace(&mut object)?;
        self.check_name(&object)?;
        hooks.admit(&mut object, Some(live))?;
        warn_all(hooks, metadata::dedup_owners(&mut object));
        self.check_version(&mut object, live)?;
        self.finish_update(object, live, hooks)
    }
}
