//! What a real kube-apiserver publishes about its built-in kinds, committed as compact data.
//!
//! `cargo xtask openapi` reads a running server and writes the files in `data/`; nothing here is written by hand.
//! Everything is read on demand: a process that never serves OpenAPI never unpacks it.

pub mod discovery;
pub mod openapi;

use std::sync::OnceLock;

use crate::schema::Schema;

/// The structural types of all built-in kinds, unpacked on first use.
pub fn builtin() -> &'static Schema {
    static SCHEMA: OnceLock<Schema> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let packed = include_bytes!("../../data/types.zst");
        let bytes =
            zstd::decode_all(packed.as_slice()).expect("the committed file is a zstd frame");
        Schema::decode(&bytes).expect("the committed file was written by Schema::encode")
    })
}

#[cfg(test)]
mod tests {
    use super::{builtin, discovery, openapi};
    use crate::schema::{Format, JsonField, ListKind, Omit, Scalar};

    #[test]
    fn a_deployment_has_the_types_of_its_go_struct() {
        let schema = builtin();
        let deployment = schema
            .kind("apps", "v1", "Deployment")
            .expect("a built-in kind");
        let at = |path: &[&str]| schema.node(schema.at(deployment, path).expect("a field"));
        assert_eq!(at(&["spec"]).struct_name(), "DeploymentSpec");
        assert_eq!(at(&["spec", "replicas"]).format, Format::Int32);
        assert_eq!(
            &*at(&["spec", "template", "spec", "containers"]).go,
            "[]v1.Container"
        );
        let ports = at(&["spec", "template", "spec", "containers", "0", "ports"])
            .list
            .clone()
            .expect("a list");
        assert_eq!(
            ports.kind,
            ListKind::Map(vec!["containerPort".into(), "protocol".into()])
        );
        let protocol = schema
            .node(ports.element)
            .map
            .as_ref()
            .and_then(|map| map.field("protocol"))
            .cloned();
        assert_eq!(protocol.and_then(|field| field.default), Some("TCP".into()));
        let status = schema
            .node(deployment)
            .map
            .as_ref()
            .and_then(|map| map.field("status"))
            .cloned();
        let json = status.and_then(|field| field.json);
        assert_eq!(
            json,
            Some(JsonField {
                pointer: false,
                omit: Omit::Empty
            })
        );
        assert!(
            at(&["spec", "selector"])
                .map
                .as_ref()
                .is_some_and(|map| map.atomic)
        );
        let quantity = at(&[
            "spec",
            "template",
            "spec",
            "containers",
            "0",
            "resources",
            "limits",
            "cpu",
        ]);
        assert_eq!(
            (quantity.format, quantity.scalar),
            (Format::Quantity, Some(Scalar::Untyped))
        );
    }

    #[test]
    fn every_listed_resource_has_a_type() {
        for group in discovery::groups() {
            for version in &group.versions {
                for resource in &version.resources {
                    let found = builtin().kind(&group.name, &version.name, &resource.kind);
                    assert!(
                        found.is_some(),
                        "{}/{} {}",
                        group.name,
                        version.name,
                        resource.kind
                    );
                }
            }
        }
        let deployments =
            discovery::resource("apps", "v1", "deployments").expect("a built-in resource");
        assert_eq!(deployments.short_names, ["deploy"]);
        assert_eq!(
            deployments
                .subresource("scale")
                .map(|scale| scale.kind.as_str()),
            Some("Scale")
        );
    }

    #[test]
    fn documents_unpack_to_json() {
        let apps = openapi::v3_document("apis/apps/v1")
            .expect("a document")
            .read();
        let apps: serde_json::Value = serde_json::from_slice(&apps).expect("JSON");
        assert_eq!(apps["openapi"], "3.0.0");
        let v2: serde_json::Value = serde_json::from_slice(&openapi::v2().read()).expect("JSON");
        assert_eq!(v2["swagger"], "2.0");
    }
}
