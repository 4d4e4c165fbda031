//! How fields are written: the rules of Go's `omitempty`, which every client of
//! these kinds assumes.
//!
//! An empty string, list or map and a `false` mean the same as an absent field,
//! and are not written. Where that is not so (a field that is a pointer in the
//! published types, such as `spec.ignore`), the field does not use these helpers.

use serde::{Deserialize, Deserializer};

/// Whether a flag is unset, for `skip_serializing_if`.
pub(crate) fn is_false(flag: &bool) -> bool {
    !flag
}

/// Reads an optional text in which empty means absent.
pub(crate) fn non_empty<'de, D>(deserializer: D) -> Result<Option<String>, D::Error>
where
    D: Deserializer<'de>,
{
    Ok(Option::<String>::deserialize(deserializer)?.filter(|text| !text.is_empty()))
}

/// Removes the bit width from an integer's schema: the published types use Go's
/// `int` there, which has none.
pub(crate) fn plain_integer(schema: &mut schemars::Schema) {
    schema.remove("format");
}

/// Defines an enumeration of texts that keeps a text that it does not know.
///
/// The schema lists the known values only, so an API server with these CRDs
/// refuses others. Reading does not: a cluster may run newer CRDs, and one
/// object with a new value must not make a whole list unreadable.
macro_rules! wire_enum {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident {
            $($(#[$variant_meta:meta])* $variant:ident = $text:literal,)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis enum $name {
            $($(#[$variant_meta])* $variant,)+
            /// A value that this version does not know, kept as it is. Empty in
            /// a default value.
            Other(String),
        }

        impl $name {
            /// The values that the schema admits, as written.
            pub const VALUES: &'static [&'static str] = &[$($text),+];

            /// The value as written in an object.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Other(text) => text,
                }
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::Other(String::new())
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $($text => Self::$variant,)+
                    other => Self::Other(other.to_owned()),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Ok(Self::from(String::deserialize(deserializer)?.as_str()))
            }
        }

        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "enum": Self::VALUES })
            }
        }
    };
}

pub(crate) use wire_enum;
