//! How a kind becomes a type: one macro instead of kube's `CustomResource`
//! derive.
//!
//! The published CRDs require no `spec`, so that an object without one can be
//! in a cluster. The derived type would not read it, and with it no list that
//! holds it: one such object would stop a controller. The types here read it as
//! an empty specification, as Flux does.

use crate::condition::Condition;

/// An object whose status has conditions.
pub trait HasConditions {
    /// The conditions, none if there is no status yet.
    fn conditions(&self) -> &[Condition];
}

/// Defines the type of a kind, its [`Kind`](crate::kinds::Kind) and kube's traits.
macro_rules! resource {
    (
        $(#[doc = $doc:literal])+
        $name:ident {
            spec: $spec:ident,
            $(status: $status:ident,)?
            kind: $kind:expr,
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, Default, PartialEq, serde::Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        pub struct $name {
            /// Name, namespace, labels and so on.
            pub metadata: k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
            /// What the user wants.
            pub spec: $spec,
            $(
            /// What the controller last saw and did.
            pub status: Option<$status>,
            )?
        }

        impl $name {
            /// What kind of object this is.
            pub const KIND: crate::kinds::Kind = $kind;

            /// An object of that name without a namespace, labels or status.
            pub fn new(name: &str, spec: $spec) -> Self {
                let mut object = Self { spec, ..Self::default() };
                object.metadata.name = Some(name.to_owned());
                object
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeStruct;
                let mut object = serializer.serialize_struct(stringify!($name), 5)?;
                object.serialize_field("apiVersion", &Self::KIND.api_version())?;
                object.serialize_field("kind", Self::KIND.kind)?;
                object.serialize_field("metadata", &self.metadata)?;
                object.serialize_field("spec", &self.spec)?;
                $(
                let status: Option<&$status> = self.status.as_ref();
                if let Some(status) = status {
                    object.serialize_field("status", status)?;
                }
                )?
                object.end()
            }
        }

        impl kube::core::Resource for $name {
            type DynamicType = ();
            type Scope = kube::core::NamespaceResourceScope;

            fn kind(_: &()) -> std::borrow::Cow<'_, str> {
                Self::KIND.kind.into()
            }

            fn group(_: &()) -> std::borrow::Cow<'_, str> {
                Self::KIND.group.into()
            }

            fn version(_: &()) -> std::borrow::Cow<'_, str> {
                Self::KIND.version.into()
            }

            fn plural(_: &()) -> std::borrow::Cow<'_, str> {
                Self::KIND.plural.into()
            }

            fn meta(&self) -> &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                &self.metadata
            }

            fn meta_mut(
                &mut self,
            ) -> &mut k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                &mut self.metadata
            }
        }

        impl crate::crd::Schema for $name {
            const DESCRIPTION: &'static str = concat!($($doc),+);

            fn spec(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                generator.subschema_for::<$spec>()
            }

            $(
            fn status(generator: &mut schemars::SchemaGenerator) -> Option<schemars::Schema> {
                Some(generator.subschema_for::<$status>())
            }
            )?
        }

        impl kube::core::object::HasSpec for $name {
            type Spec = $spec;

            fn spec(&self) -> &$spec {
                &self.spec
            }

            fn spec_mut(&mut self) -> &mut $spec {
                &mut self.spec
            }
        }

        $(
        impl kube::core::object::HasStatus for $name {
            type Status = $status;

            fn status(&self) -> Option<&$status> {
                self.status.as_ref()
            }

            fn status_mut(&mut self) -> &mut Option<$status> {
                &mut self.status
            }
        }

        impl crate::resource::HasConditions for $name {
            fn conditions(&self) -> &[crate::condition::Condition] {
                match &self.status {
                    Some(status) => &status.conditions,
                    None => &[],
                }
            }
        }
        )?
    };
}

pub(crate) use resource;
