//! The inventory: which objects a Kustomization or HelmRelease manages, in the
//! form that its status keeps them.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Objects that were applied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceInventory {
    /// One entry for each object.
    pub entries: Vec<ResourceRef>,
}

/// What finds an object in a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceRef {
    /// Identity of the object, in the form `<namespace>_<name>_<group>_<kind>`.
    pub id: String,
    /// API version of the object's kind, without the group.
    #[serde(rename = "v")]
    pub version: String,
}

impl ResourceRef {
    /// The entry of an object whose kind has that API version (without group).
    pub fn new(id: &ObjectId, version: &str) -> Self {
        Self {
            id: id.to_string(),
            version: version.to_owned(),
        }
    }

    /// The identity in parts.
    ///
    /// # Errors
    ///
    /// Fails when the id has fewer than four parts.
    pub fn object_id(&self) -> Result<ObjectId, ObjectIdError> {
        self.id.parse()
    }
}

/// An id that is none. The text is that of Flux.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unable to parse stored object metadata: {id}")]
pub struct ObjectIdError {
    /// The id as stored.
    pub id: String,
}

/// Which object of which kind, version aside.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId {
    /// The namespace, empty for an object of the cluster.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The API group, empty for the core group.
    pub group: String,
    /// The kind.
    pub kind: String,
}

const RBAC_GROUP: &str = "rbac.authorization.k8s.io";
const RBAC_KINDS: [&str; 4] = ["Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"];
/// Stands for `:` in a name, which only these kinds admit.
const COLON: &str = "__";

impl ObjectId {
    fn is_rbac(&self) -> bool {
        self.group == RBAC_GROUP && RBAC_KINDS.contains(&self.kind.as_str())
    }
}

impl fmt::Display for ObjectId {
    /// Writes the id as stored.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            namespace,
            name,
            group,
            kind,
        } = self;
        if self.is_rbac() {
            let name = name.replace(':', COLON);
            return write!(f, "{namespace}_{name}_{group}_{kind}");
        }
        write!(f, "{namespace}_{name}_{group}_{kind}")
    }
}

impl FromStr for ObjectId {
    type Err = ObjectIdError;

    /// Reads a stored id. A name may hold single underscores; double ones are
    /// colons, whatever the kind.
    fn from_str(id: &str) -> Result<Self, Self::Err> {
        let parts = || {
            let (namespace, rest) = id.split_once('_')?;
            let (rest, kind) = rest.rsplit_once('_')?;
            let (name, group) = rest.rsplit_once('_')?;
            Some(Self {
                namespace: namespace.to_owned(),
                name: name.replace(COLON, ":"),
                group: group.to_owned(),
                kind: kind.to_owned(),
            })
        };
        parts().ok_or_else(|| ObjectIdError { id: id.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(namespace: &str, name: &str, group: &str, kind: &str) -> ObjectId {
        ObjectId {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            group: group.to_owned(),
            kind: kind.to_owned(),
        }
    }

    #[test]
    fn ids_have_the_stored_form() {
        let rbac = "rbac.authorization.k8s.io";
        let cases = [
            (
                id("default", "podinfo", "", "Service"),
                "default_podinfo__Service",
            ),
            (id("", "my-ns", "", "Namespace"), "_my-ns__Namespace"),
            (
                id("", "foo", rbac, "ClusterRole"),
                "_foo_rbac.authorization.k8s.io_ClusterRole",
            ),
            (
                id("", "system:a:b", rbac, "ClusterRoleBinding"),
                "_system__a__b_rbac.authorization.k8s.io_ClusterRoleBinding",
            ),
            (
                id("ns", "a_b", rbac, "Role"),
                "ns_a_b_rbac.authorization.k8s.io_Role",
            ),
            (
                id("ns", "web", "apps", "Deployment"),
                "ns_web_apps_Deployment",
            ),
        ];
        for (id, text) in cases {
            assert_eq!(id.to_string(), text);
            assert_eq!(text.parse(), Ok(id));
        }
    }

    #[test]
    fn a_colon_of_another_kind_is_not_escaped_and_underscores_are_read_as_one() {
        assert_eq!(
            id("ns", "a:b", "example.com", "Thing").to_string(),
            "ns_a:b_example.com_Thing"
        );
        assert_eq!(
            "ns_a__b_example.com_Thing".parse(),
            Ok(id("ns", "a:b", "example.com", "Thing"))
        );
    }

    #[test]
    fn an_id_with_too_few_parts_is_refused() {
        for text in ["", "a", "a_b", "a_b_c"] {
            let error = text.parse::<ObjectId>().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("unable to parse stored object metadata: {text}")
            );
        }
    }

    proptest! {
        #[test]
        fn every_object_that_a_cluster_can_hold_comes_back(
            namespace in "[a-z0-9-]{0,8}",
            name in "[a-z0-9](_?[a-z0-9.-]){0,8}",
            group in "[a-z0-9.-]{0,12}",
            kind in "[A-Za-z0-9]{1,10}",
        ) {
            let id = id(&namespace, &name, &group, &kind);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }

        #[test]
        fn every_rbac_name_comes_back(
            namespace in "[a-z0-9-]{0,8}",
            name in "[a-z0-9]([:_]?[a-z0-9.-]){0,8}",
            kind in prop::sample::select(&RBAC_KINDS[..]),
        ) {
            let id = id(&namespace, &name, RBAC_GROUP, kind);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in ".{0,40}") {
            if let Ok(id) = text.parse::<ObjectId>() {
                prop_assert!(text.starts_with(&id.namespace));
                prop_assert!(text.ends_with(&id.kind));
            }
        }
    }
}
