//! `semver` and `semverCompare`.

use std::any::Any;
use std::cmp::Ordering;

use sluice_gotemplate::{CallError, Method, Named, Object, Type, UintType, Under, Value};
use sluice_version::{Constraint, Version};

use super::convert::{BOOL, INT, NIL_POINTER, STRING, string, utf8};
use super::{Entry, fixed};

const VERSION: Type = Type::Named(&NAMED);

pub(crate) const TABLE: &[Entry] = &[
    fixed("semver", &[STRING], VERSION, |_, a| {
        let version = Version::parse(&utf8(&a[0])).map_err(|e| CallError::new(e.to_string()))?;
        Ok(Value::object(VersionObject(version)))
    }),
    fixed("semverCompare", &[STRING, STRING], BOOL, |_, a| {
        let constraint =
            Constraint::parse(&utf8(&a[0])).map_err(|e| CallError::new(e.to_string()))?;
        let version = Version::parse(&utf8(&a[1])).map_err(|e| CallError::new(e.to_string()))?;
        Ok(Value::Bool(constraint.check(&version)))
    }),
];

/// A version that templates can ask for its parts.
struct VersionObject(Version);

impl Object for VersionObject {
    fn named(&self) -> &'static Named {
        &NAMED
    }

    fn serial(&self) -> Value {
        Value::from(self.0.to_string())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn version(value: &Value) -> Result<Version, CallError> {
    match value {
        Value::Object(object) => object
            .as_any()
            .downcast_ref::<VersionObject>()
            .map(|v| v.0.clone())
            .ok_or_else(|| CallError::new(NIL_POINTER)),
        _ => Err(CallError::new(NIL_POINTER)),
    }
}

/// A method that asks the version alone.
macro_rules! part {
    ($name:literal, $returns:expr, |$v:ident| $body:expr) => {
        Method {
            name: $name,
            params: &[],
            variadic: None,
            returns: $returns,
            call: |value, _| {
                let $v = version(value)?;
                Ok($body)
            },
        }
    };
}

/// A method that compares with another version.
macro_rules! against {
    ($name:literal, $returns:expr, |$order:ident| $body:expr) => {
        Method {
            name: $name,
            params: &[VERSION],
            variadic: None,
            returns: $returns,
            call: |value, args| {
                let $order = version(value)?.cmp(&version(&args[0])?);
                Ok($body)
            },
        }
    };
}

static NAMED: Named = Named {
    name: "*semver.Version",
    under: Under::Pointer,
    text: Some(|value| version(value).map_or_else(|_| String::new(), |v| v.to_string())),
    action_text: None,
    methods: || NAMED_METHODS,
};

static NAMED_METHODS: &[Method] = &[
    part!("Major", Type::Uint64, |v| Value::Uint(
        UintType::Uint64,
        v.major()
    )),
    part!("Minor", Type::Uint64, |v| Value::Uint(
        UintType::Uint64,
        v.minor()
    )),
    part!("Patch", Type::Uint64, |v| Value::Uint(
        UintType::Uint64,
        v.patch()
    )),
    part!("Prerelease", STRING, |v| Value::from(v.prerelease())),
    part!("Metadata", STRING, |v| Value::from(v.metadata())),
    part!("Original", STRING, |v| Value::from(v.original())),
    part!("String", STRING, |v| string(v.to_string())?),
    part!("IncMajor", VERSION, |v| Value::object(VersionObject(
        v.inc_major()
    ))),
    part!("IncMinor", VERSION, |v| Value::object(VersionObject(
        v.inc_minor()
    ))),
    part!("IncPatch", VERSION, |v| Value::object(VersionObject(
        v.inc_patch()
    ))),
    against!("Compare", INT, |order| Value::int(order as i64)),
    against!("Equal", BOOL, |order| Value::Bool(order == Ordering::Equal)),
    against!("GreaterThan", BOOL, |order| Value::Bool(
        order == Ordering::Greater
    )),
    against!("GreaterThanEqual", BOOL, |order| Value::Bool(
        order != Ordering::Less
    )),
    against!("LessThan", BOOL, |order| Value::Bool(
        order == Ordering::Less
    )),
    against!("LessThanEqual", BOOL, |order| Value::Bool(
        order != Ordering::Greater
    )),
];
