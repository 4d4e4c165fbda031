//! From an authorized request to its outcome.

pub mod body;
pub mod delete;
mod protobuf;
pub mod read;
pub mod scale;
pub mod selector;
pub mod special;

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use crate::app::App;
use crate::auth::User;
use crate::http::request::{Query, ResourcePath, Verb};
use crate::objects::{self, Body, DryRun, FieldValidation, Force, PatchType, Write};
use crate::registry::Resource;
use crate::status::{Cause, Result, Status};
use crate::store::Object;
use body::Media;
use delete::{DeleteOptions, Deleted};
use selector::Selector;

/// One authorized request for a resource.
pub struct Call {
    /// The user.
    pub user: User,
    /// The path.
    pub path: ResourcePath,
    /// The verb.
    pub verb: Verb,
    /// The query.
    pub query: Query,
    /// The body.
    pub body: Bytes,
    /// The media type of the body.
    pub content_type: String,
    /// The client's name.
    pub user_agent: String,
    /// The resource.
    pub resource: Arc<Resource>,
}

/// What a request came to.
pub enum Outcome {
    /// A stored object, or one that a dry run shows.
    Object(u16, Arc<Object>),
    /// An object that is not stored.
    Value(u16, Value),
    /// Many objects.
    List(read::Listed),
    /// Changes.
    Watch(read::WatchStart),
    /// Plain text.
    Text(String),
}

/// An outcome with what is to be told beside it.
pub struct Done {
    /// The outcome.
    pub outcome: Outcome,
    /// `Warning` headers.
    pub warnings: Vec<String>,
}

impl Call {
    fn namespace(&self) -> Option<&str> {
        self.path.namespace.as_deref()
    }

    fn name(&self) -> &str {
        self.path.name.as_deref().unwrap_or_default()
    }

    fn subresource(&self) -> &str {
        self.path.subresource.as_deref().unwrap_or_default()
    }

    /// The field manager: what the query says, or the first word of the client's name.
    fn manager(&self) -> Result<String> {
        if let Some(manager) = self.query.get("fieldManager") {
            if manager.len() > 128 {
                let cause = Cause {
                    reason: "FieldValueTooLong".into(),
                    message: "Too long: may not be more than 128 bytes".into(),
                    field: "fieldManager".into(),
                };
                return Err(Status::invalid(
                    "meta.k8s.io",
                    self.options_kind(),
                    "",
                    vec![cause],
                ));
            }
            return Ok(manager.to_owned());
        }
        let name = self.user_agent.split('/').next().unwrap_or_default();
        let printable: String = name.chars().filter(|c| !c.is_control()).take(128).collect();
        Ok(if printable.is_empty() {
            "unknown".into()
        } else {
            printable
        })
    }

    fn options_kind(&self) -> &'static str {
        match self.verb {
            Verb::Create => "CreateOptions",
            Verb::Update => "UpdateOptions",
            Verb::Patch => "PatchOptions",
            _ => "DeleteOptions",
        }
    }

    /// Whether nothing is to be stored, by the query or the `dryRun` of delete options.
    fn dry_run(&self, options: &[String]) -> Result<DryRun> {
        let values: Vec<&str> = self
            .query
            .all("dryRun")
            .iter()
            .chain(options)
            .map(String::as_str)
            .filter(|v| !v.is_empty())
            .collect();
        match values.as_slice() {
            [] => Ok(DryRun::No),
            all if all.iter().all(|value| *value == "All") => Ok(DryRun::All),
            all => {
                let listed: Vec<String> = all.iter().map(|value| format!("{value:?}")).collect();
                let cause = Cause {
                    reason: "FieldValueNotSupported".into(),
                    message: format!(
                        "Unsupported value: [{}]: supported values: \"All\"",
                        listed.join(",")
                    ),
                    field: "dryRun".into(),
                };
                Err(Status::invalid(
                    "meta.k8s.io",
                    self.options_kind(),
                    "",
                    vec![cause],
                ))
            }
        }
    }

    fn validation(&self) -> Result<FieldValidation> {
        match self.query.get("fieldValidation") {
            None | Some("Warn") => Ok(FieldValidation::Warn),
            Some("Ignore") => Ok(FieldValidation::Ignore),
            Some("Strict") => Ok(FieldValidation::Strict),
            Some(other) => {
                let cause = Cause {
                    reason: "FieldValueNotSupported".into(),
                    message: format!(
                        "Unsupported value: {other:?}: supported values: \"\", \"Ignore\", \"Strict\", \"Warn\""
                    ),
                    field: "fieldValidation".into(),
                };
                Err(Status::invalid(
                    "meta.k8s.io",
                    self.options_kind(),
                    "",
                    vec![cause],
                ))
            }
        }
    }

    fn write<'a>(&'a self, app: &'a App, manager: &'a str) -> Result<Write<'a>> {
        Ok(Write {
            app,
            resource: &self.resource,
            namespace: self.namespace(),
            name: self.name(),
            subresource: self.subresource(),
            manager,
            user: &self.user,
            dry_run: self.dry_run(&[])?,
            validation: self.validation()?,
            warnings: Vec::new(),
        })
    }

    fn selector(&self) -> Result<Selector> {
        Selector::parse(
            &self.resource,
            self.query.get("labelSelector"),
            self.query.get("fieldSelector"),
        )
    }
}

/// Carries out a request.
///
/// # Errors
/// The Status of the answer.
pub fn run(app: &App, call: &Call) -> Result<Done> {
    let resource = &call.resource;
    let plain = |outcome| Done {
        outcome,
        warnings: Vec::new(),
    };
    if !call.subresource().is_empty() {
        let sub = call.subresource().split('/').next().unwrap_or_default();
        let known = resource
            .subresource(sub)
            .ok_or_else(Status::unknown_resource)?;
        let verb = if call.verb == Verb::DeleteCollection {
            "delete"
        } else {
            call.verb.name()
        };
        if !known.verbs.iter().any(|served| served == verb) {
            return Err(Status::method_not_allowed());
        }
        match sub {
            "status" | "finalize" | "approval" | "ephemeralcontainers" | "resize" => {}
            "scale" => return scale::run(app, call),
            _ => return special::subresource(app, call, sub),
        }
    } else if !resource.serves(call.verb.name()) {
        return Err(Status::method_not_allowed());
    } else if special::is_virtual(resource) {
        return special::virtual_resource(app, call);
    }
    match call.verb {
        Verb::Get => read::get(resource, call.namespace(), call.name())
            .map(|o| plain(Outcome::Object(200, o))),
        Verb::List => {
            let listed = read::list(
                app,
                resource,
                call.namespace(),
                &call.selector()?,
                &call.query,
            )?;
            Ok(plain(Outcome::List(listed)))
        }
        Verb::Watch => {
            let start = read::watch(
                app,
                resource,
                call.namespace(),
                call.selector()?,
                &call.query,
            )?;
            Ok(plain(Outcome::Watch(start)))
        }
        Verb::Create => create(app, call),
        Verb::Update => replace(app, call),
        Verb::Patch => patch(app, call),
        Verb::Delete => {
            let options = delete_options(call)?;
            let manager = call.manager()?;
            let mut write = call.write(app, &manager)?;
            write.dry_run = call.dry_run(&options.dry_run)?;
            let outcome = match delete::delete(&mut write, &options)? {
                Deleted::Gone(object) if !delete::returns_object(&resource.table.name) => {
                    Outcome::Value(200, delete::success(&write, &object))
                }
                Deleted::Gone(object) | Deleted::Going(object) => Outcome::Object(200, object),
            };
            Ok(Done {
                outcome,
                warnings: write.warnings,
            })
        }
        Verb::DeleteCollection => {
            if resource.namespaced && call.namespace().is_none() {
                return Err(Status::method_not_allowed());
            }
            let options = delete_options(call)?;
            let manager = call.manager()?;
            let mut write = call.write(app, &manager)?;
            write.dry_run = call.dry_run(&options.dry_run)?;
            let objects = delete::delete_collection(&mut write, &call.selector()?, &options)?;
            let version = app.store.latest();
            let listed = read::Listed {
                objects,
                version,
                next: None,
                remaining: None,
            };
            Ok(Done {
                outcome: Outcome::List(listed),
                warnings: write.warnings,
            })
        }
    }
}

/// The options of a delete: the body, or the query without one.
fn delete_options(call: &Call) -> Result<DeleteOptions> {
    let mut options = if call.body.is_empty() {
        DeleteOptions::default()
    } else {
        DeleteOptions::read(&body::value(
            &call.body,
            body::of(&call.content_type)?,
            "DeleteOptions",
        )?)?
    };
    if let Some(policy) = call.query.get("propagationPolicy") {
        options.propagation = Some(delete::policy_of(policy)?);
    }
    if let Some(grace) = call
        .query
        .get("gracePeriodSeconds")
        .and_then(|text| text.parse().ok())
    {
        options.grace = Some(grace);
    }
    Ok(options)
}

/// The body of a create or an update.
fn input(call: &Call) -> Result<Body<'_>> {
    match body::of(&call.content_type)? {
        Media::Json => Ok(Body::Json(&call.body)),
        media => body::value(&call.body, media, &call.resource.kind)
            .map(|value| Body::Value(value, Vec::new())),
    }
}

/// The body of a request for a resource without objects.
fn typed_body(app: &App, call: &Call) -> Result<Value> {
    let manager = call.manager()?;
    let mut write = call.write(app, &manager)?;
    objects::read(&mut write, input(call)?)
}

fn create(app: &App, call: &Call) -> Result<Done> {
    if call.path.name.is_some() && call.subresource().is_empty() {
        return Err(Status::method_not_allowed());
    }
    if call.resource.namespaced && call.namespace().is_none() {
        return Err(Status::method_not_allowed());
    }
    let manager = call.manager()?;
    let mut write = call.write(app, &manager)?;
    let object = objects::create(&mut write, input(call)?)?;
    Ok(Done {
        outcome: Outcome::Object(201, object),
        warnings: write.warnings,
    })
}

fn replace(app: &App, call: &Call) -> Result<Done> {
    if call.path.name.is_none() {
        return Err(Status::method_not_allowed());
    }
    let manager = call.manager()?;
    let mut write = call.write(app, &manager)?;
    let object = if call.subresource() == "finalize" {
        let body = objects::read(&mut write, input(call)?)?;
        let finalizers = body["spec"]["finalizers"].as_array().into_iter().flatten();
        let finalizers: Vec<String> = finalizers
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        objects::finalize(&mut write, &finalizers)?
    } else {
        objects::replace(&mut write, &input(call)?)?
    };
    Ok(Done {
        outcome: Outcome::Object(200, object),
        warnings: write.warnings,
    })
}

fn patch(app: &App, call: &Call) -> Result<Done> {
    let media = body::of_patch(&call.resource, &call.content_type)?;
    let manager = call.manager()?;
    let mut write = call.write(app, &manager)?;
    let kind = match media {
        Media::ApplyPatch => return apply(call, write),
        Media::JsonPatch => PatchType::Json,
        Media::StrategicPatch => PatchType::Strategic,
        _ => PatchType::Merge,
    };
    if call.query.get("force").is_some() {
        let cause = Cause {
            reason: "FieldValueForbidden".into(),
            message: "Forbidden: may not be specified for non-apply patch".into(),
            field: "force".into(),
        };
        return Err(Status::invalid(
            "meta.k8s.io",
            "PatchOptions",
            "",
            vec![cause],
        ));
    }
    let object = objects::patch(&mut write, kind, &call.body)?;
    Ok(Done {
        outcome: Outcome::Object(200, object),
        warnings: write.warnings,
    })
}

fn apply(call: &Call, mut write: Write<'_>) -> Result<Done> {
    if call.query.get("fieldManager").is_none() {
        let cause = Cause {
            reason: "FieldValueRequired".into(),
            message: "Required value: is required for apply patch".into(),
            field: "fieldManager".into(),
        };
        return Err(Status::invalid(
            "meta.k8s.io",
            "PatchOptions",
            "",
            vec![cause],
        ));
    }
    let (config, strict) = body::configuration(&call.body, &call.resource.kind)?;
    body::check_apply(&config)?;
    let force = if call.query.flag("force") {
        Force::Yes
    } else {
        Force::No
    };
    let existed = call
        .resource
        .table
        .get(&crate::store::key(write.own_namespace(), call.name()))
        .is_some();
    let object = objects::apply(&mut write, &config, &strict, force)?;
    let code = if existed { 200 } else { 201 };
    Ok(Done {
        outcome: Outcome::Object(code, object),
        warnings: write.warnings,
    })
}
