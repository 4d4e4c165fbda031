//! `semver` and `semverCompare`.

use std::any::Any;
use std::cmp::Ordering;

use sluice_gotemplate::{CallError, Method, Named, Object, Serial, Type, UintType, Under, Value};
use sluice_version::{Constraint, Version, VersionError};

use super::convert::{BOOL, INT, NIL_POINTER, STRING, utf8};
use super::{Entry, fixed};

const POINTER: Type = Type::Named(&POINTER_TYPE);
const STRUCT: Type = Type::Named(&STRUCT_TYPE);

pub(crate) const TABLE: &[Entry] = &[
    fixed("semver", &[STRING], POINTER, |_, a| {
        let version = Version::parse(&utf8(&a[0])).map_err(|e| CallError::new(e.to_string()))?;
        Ok(value_of(version, &POINTER_TYPE))
    }),
    fixed("semverCompare", &[STRING, STRING], BOOL, |_, a| {
        let constraint =
            Constraint::parse(&utf8(&a[0])).map_err(|e| CallError::new(e.to_string()))?;
        let version = Version::parse(&utf8(&a[1])).map_err(|e| CallError::new(e.to_string()))?;
        Ok(Value::Bool(constraint.check(&version)))
    }),
];

/// A version that templates can ask for its parts.
struct VersionObject {
    version: Version,
    of: &'static Named,
}

impl Object for VersionObject {
    fn named(&self) -> &'static Named {
        self.of
    }

    fn serial(&self) -> Serial {
        Serial::Value(Value::from(self.version.to_string()))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn value_of(version: Version, of: &'static Named) -> Value {
    Value::object(VersionObject { version, of })
}

fn version(value: &Value) -> Result<Version, CallError> {
    match value {
        Value::Object(object) => object
            .as_any()
            .downcast_ref::<VersionObject>()
            .map(|v| v.version.clone())
            .ok_or_else(|| CallError::new(NIL_POINTER)),
        _ => Err(CallError::new(NIL_POINTER)),
    }
}

fn shown(value: &Value) -> String {
    version(value).map_or_else(|_| String::new(), |v| v.to_string())
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
            params: &[POINTER],
            variadic: None,
            returns: $returns,
            call: |value, args| {
                let $order = version(value)?.cmp(&version(&args[0])?);
                Ok($body)
            },
        }
    };
}

/// What `semver` returns.
static POINTER_TYPE: Named = Named {
    name: "*semver.Version",
    under: Under::Pointer,
    text: Some(shown),
    action_text: None,
    methods: || POINTER_METHODS,
};

/// What the increments return: no pointer, so fewer methods.
static STRUCT_TYPE: Named = Named {
    name: "semver.Version",
    under: Under::Struct,
    text: Some(shown),
    action_text: None,
    methods: || &POINTER_METHODS[..STRUCT_METHODS],
};

/// How many of the methods below also exist without a pointer.
const STRUCT_METHODS: usize = 11;

static POINTER_METHODS: &[Method] = &[
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
    part!("String", STRING, |v| Value::from(v.to_string())),
    part!("IncMajor", STRUCT, |v| value_of(
        v.inc_major(),
        &STRUCT_TYPE
    )),
    part!("IncMinor", STRUCT, |v| value_of(
        v.inc_minor(),
        &STRUCT_TYPE
    )),
    part!("IncPatch", STRUCT, |v| value_of(
        v.inc_patch(),
        &STRUCT_TYPE
    )),
    Method {
        name: "SetPrerelease",
        params: &[STRING],
        variadic: None,
        returns: STRUCT,
        call: |value, args| changed(version(value)?.with_prerelease(&utf8(&args[0]))),
    },
    Method {
        name: "SetMetadata",
        params: &[STRING],
        variadic: None,
        returns: STRUCT,
        call: |value, args| changed(version(value)?.with_metadata(&utf8(&args[0]))),
    },
    part!("Original", STRING, |v| Value::from(v.original())),
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

fn changed(version: Result<Version, VersionError>) -> Result<Value, CallError> {
    version
        .map(|v| value_of(v, &STRUCT_TYPE))
        .map_err(|e| CallError::new(e.to_string()))
}
