//! kube-rs as a client of the embedded server.

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams,
};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::wait::{await_condition, conditions};
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, Config};
use serde_json::json;
use sluice_apiserver::Server;

async fn client(server: &Server) -> Client {
    let kubeconfig = Kubeconfig::from_yaml(&server.kubeconfig()).expect("a kubeconfig");
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .expect("a usable kubeconfig");
    Client::try_from(config).expect("a client")
}

async fn start() -> (Server, Client) {
    let server = Server::start(sluice_apiserver::Config::default())
        .await
        .expect("the server starts");
    let client = client(&server).await;
    (server, client)
}

fn config_map(name: &str, text: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name}, "data": {"text": text}}))
        .expect("a ConfigMap")
}

#[tokio::test]
async fn objects_are_created_read_changed_and_deleted() {
    let (server, client) = start().await;
    let api: Api<ConfigMap> = Api::namespaced(client, "default");
    let made = api
        .create(&PostParams::default(), &config_map("a", "1"))
        .await
        .unwrap();
    assert!(made.metadata.uid.is_some() && made.metadata.creation_timestamp.is_some());
    let again = api
        .create(&PostParams::default(), &config_map("a", "1"))
        .await
        .unwrap_err();
    assert!(
        again
            .to_string()
            .contains("configmaps \"a\" already exists"),
        "{again}"
    );
    let patch = Patch::Merge(json!({"data": {"more": "2"}}));
    let patched = api
        .patch("a", &PatchParams::default(), &patch)
        .await
        .unwrap();
    assert_eq!(patched.data.unwrap().len(), 2);
    let stale = api
        .replace("a", &PostParams::default(), &made)
        .await
        .unwrap_err();
    assert!(
        stale.to_string().contains("the object has been modified"),
        "{stale}"
    );
    api.delete("a", &DeleteParams::default()).await.unwrap();
    assert!(api.get_opt("a").await.unwrap().is_none());
    server.shutdown().await;
}

#[tokio::test]
async fn watchers_of_both_kinds_see_every_change() {
    let (server, client) = start().await;
    let api: Api<ConfigMap> = Api::namespaced(client, "default");
    for config in [
        watcher::Config::default(),
        watcher::Config::default().streaming_lists(),
    ] {
        let config = config.labels("!none");
        let mut events = watcher::watcher(api.clone(), config).boxed();
        let mut next = async || loop {
            match events.next().await.unwrap().unwrap() {
                Event::Init => {}
                Event::InitApply(object) => {
                    return format!("init {}", object.metadata.name.unwrap());
                }
                Event::InitDone => return "ready".to_owned(),
                Event::Apply(object) => {
                    let text = object
                        .data
                        .unwrap_or_default()
                        .remove("text")
                        .unwrap_or_default();
                    return format!("apply {} {text}", object.metadata.name.unwrap());
                }
                Event::Delete(object) => {
                    return format!("delete {}", object.metadata.name.unwrap());
                }
            }
        };
        assert_eq!(next().await, "init kube-root-ca.crt");
        assert_eq!(next().await, "ready");
        api.create(&PostParams::default(), &config_map("w", "1"))
            .await
            .unwrap();
        assert_eq!(next().await, "apply w 1");
        let patch = Patch::Merge(json!({"data": {"text": "2"}}));
        api.patch("w", &PatchParams::default(), &patch)
            .await
            .unwrap();
        assert_eq!(next().await, "apply w 2");
        let leave = Patch::Merge(json!({"metadata": {"labels": {"none": "x"}}}));
        api.patch("w", &PatchParams::default(), &leave)
            .await
            .unwrap();
        assert_eq!(next().await, "delete w");
        api.delete("w", &DeleteParams::default()).await.unwrap();
    }
    server.shutdown().await;
}

#[tokio::test]
async fn lists_are_consistent_across_pages() {
    let (server, client) = start().await;
    let api: Api<ConfigMap> = Api::namespaced(client, "default");
    for name in ["a", "b", "c", "d"] {
        api.create(&PostParams::default(), &config_map(name, "1"))
            .await
            .unwrap();
    }
    let first = api.list(&ListParams::default().limit(2)).await.unwrap();
    assert_eq!(first.metadata.remaining_item_count, Some(3));
    api.delete("c", &DeleteParams::default()).await.unwrap();
    api.create(&PostParams::default(), &config_map("bb", "1"))
        .await
        .unwrap();
    let token = first.metadata.continue_.unwrap();
    let rest = api
        .list(&ListParams::default().limit(10).continue_token(&token))
        .await
        .unwrap();
    let names: Vec<_> = rest
        .items
        .into_iter()
        .filter_map(|map| map.metadata.name)
        .collect();
    assert_eq!(names, ["c", "d", "kube-root-ca.crt"]);
    assert_eq!(
        rest.metadata.resource_version,
        first.metadata.resource_version
    );
    server.shutdown().await;
}

/// Defines the kind Widget with this schema, waits until it is served, and gives its objects in `default`.
async fn define(client: &Client, schema: serde_json::Value) -> Api<DynamicObject> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let definition = json!({
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"kind": "Widget", "plural": "widgets", "singular": "widget", "listKind": "WidgetList"},
            "versions": [{
                "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": schema},
            }],
        },
    });
    let definition: CustomResourceDefinition =
        serde_json::from_value(definition).expect("a definition");
    definitions
        .create(&PostParams::default(), &definition)
        .await
        .expect("it is accepted");
    let established = conditions::is_crd_established();
    await_condition(definitions, "widgets.example.com", established)
        .await
        .expect("it is served");
    let kind = ApiResource {
        group: "example.com".into(),
        version: "v1".into(),
        api_version: "example.com/v1".into(),
        kind: "Widget".into(),
        plural: "widgets".into(),
    };
    Api::namespaced_with(client.clone(), "default", &kind)
}

#[tokio::test]
async fn custom_resources_get_the_defaults_of_their_schema_however_they_are_written() {
    let (server, client) = start().await;
    let schema = json!({"type": "object", "properties": {
        "spec": {"type": "object", "properties": {
            "size": {"type": "integer", "default": 1},
            "parts": {"type": "array", "items": {"type": "object", "properties": {
                "name": {"type": "string"}, "kind": {"type": "string", "default": "plain"},
            }}},
        }},
        "status": {"type": "object", "default": {"observedGeneration": -1}, "properties": {
            "observedGeneration": {"type": "integer"},
        }},
    }});
    let widgets = define(&client, schema).await;
    let want_status = json!({"observedGeneration": -1});
    let parts = json!([{"kind": "plain", "name": "a"}, {"kind": "odd", "name": "b"}]);
    let manifest = json!({
        "apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "created"},
        "spec": {"parts": [{"name": "a"}, {"name": "b", "kind": "odd"}]}, "status": {"observedGeneration": 7},
    });
    let object: DynamicObject = serde_json::from_value(manifest.clone()).unwrap();
    let made = widgets.create(&PostParams::default(), &object).await;
    let made = made.unwrap();
    assert_eq!(made.data["spec"], json!({"parts": parts, "size": 1}));
    assert_eq!(made.data["status"], want_status);
    let patch = Patch::Merge(json!({"spec": {"size": null}}));
    let params = PatchParams::default();
    let patched = widgets.patch("created", &params, &patch).await.unwrap();
    assert_eq!(patched.data["spec"], json!({"parts": parts, "size": 1}));
    let mut applied = manifest;
    applied["metadata"]["name"] = "applied".into();
    applied.as_object_mut().unwrap().remove("status");
    let params = PatchParams::apply("test");
    let patch = Patch::Apply(&applied);
    let applied = widgets.patch("applied", &params, &patch).await.unwrap();
    assert_eq!(applied.data["spec"], json!({"parts": parts, "size": 1}));
    assert_eq!(applied.data["status"], want_status);
    server.shutdown().await;
}

#[tokio::test]
async fn custom_resources_are_served_once_established() {
    let (server, client) = start().await;
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let widgets = define(&client, schema).await;
    let config = json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"size": 1}});
    let apply = PatchParams::apply("test");
    let made = widgets
        .patch("w", &apply, &Patch::Apply(&config))
        .await
        .unwrap();
    assert_eq!(made.metadata.generation, Some(1));
    let status = Patch::Merge(json!({"status": {"fine": true}, "spec": {"size": 2}}));
    let changed = widgets
        .patch_status("w", &PatchParams::default(), &status)
        .await
        .unwrap();
    assert_eq!(
        (changed.metadata.generation, &changed.data["spec"]["size"]),
        (Some(1), &json!(1))
    );
    assert_eq!(changed.data["status"]["fine"], true);
    definitions
        .delete("widgets.example.com", &DeleteParams::default())
        .await
        .unwrap();
    let uid = definitions
        .get_opt("widgets.example.com")
        .await
        .unwrap()
        .and_then(|found| found.metadata.uid);
    let uid = uid.unwrap_or_default();
    let gone = conditions::is_deleted(&uid);
    await_condition(definitions, "widgets.example.com", gone)
        .await
        .unwrap();
    assert!(
        widgets
            .get("w")
            .await
            .is_err_and(|error| error.to_string().contains("404"))
    );
    server.shutdown().await;
}

#[tokio::test]
async fn a_deleted_namespace_takes_its_content_along() {
    let (server, client) = start().await;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": "n"}})).unwrap();
    namespaces
        .create(&PostParams::default(), &namespace)
        .await
        .unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(client, "n");
    maps.create(&PostParams::default(), &config_map("a", "1"))
        .await
        .unwrap();
    let found = namespaces
        .delete("n", &DeleteParams::default())
        .await
        .unwrap()
        .left()
        .unwrap();
    assert_eq!(found.status.unwrap().phase.as_deref(), Some("Terminating"));
    let uid = found.metadata.uid.unwrap();
    let gone = conditions::is_deleted(&uid);
    await_condition(namespaces, "n", gone).await.unwrap();
    assert!(
        maps.list(&ListParams::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );
    server.shutdown().await;
}
