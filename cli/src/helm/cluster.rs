//! The cluster behind `--validate`: what it can do, and what it holds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use http::Request;
use kube::Client;
use serde_json::Value as Json;
use sluice_helm::{Capabilities, KubeVersion, Lookup};

use super::{Done, Environment, HelmError};

/// A cluster that answers.
pub(super) struct Live {
    /// What it can do.
    pub(super) capabilities: Capabilities,
    /// What templates ask it.
    pub(super) lookup: Arc<dyn Lookup>,
}

/// Connects and asks what the cluster can do.
///
/// # Errors
/// There is no cluster, or it does not answer.
pub(super) fn connect(env: &Environment<'_>) -> Done<Live> {
    sluice_runtime::client::install_tls();
    let unreachable = |text: String| HelmError(format!("Kubernetes cluster unreachable: {text}"));
    let mut args = env.global.cluster.clone();
    let helm = env.helm;
    if helm.kube_context.is_some() {
        args.context.clone_from(&helm.kube_context);
    }
    if helm.kube_apiserver.is_some() {
        args.server.clone_from(&helm.kube_apiserver);
    }
    if helm.kube_token.is_some() {
        args.token.clone_from(&helm.kube_token);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let (client, capabilities) = runtime
        .block_on(async {
            let client = sluice_runtime::client::connect(args.config().await?)?;
            let capabilities = capabilities(&client).await?;
            anyhow::Ok((client, capabilities))
        })
        .map_err(|error| unreachable(format!("{error:#}")))?;
    Ok(Live {
        capabilities,
        lookup: Arc::new(Objects {
            runtime,
            client,
            resources: Mutex::new(HashMap::new()),
        }),
    })
}

async fn capabilities(client: &Client) -> anyhow::Result<Capabilities> {
    let version = client.apiserver_version().await?;
    let mut api_versions = Vec::new();
    for core in client.list_core_api_versions().await?.versions {
        let list = client.list_core_api_resources(&core).await?;
        push_kinds(&mut api_versions, &core, &list);
    }
    for group in client.list_api_groups().await?.groups {
        for version in group.versions {
            let list = client
                .list_api_group_resources(&version.group_version)
                .await?;
            push_kinds(&mut api_versions, &version.group_version, &list);
        }
    }
    Ok(Capabilities {
        kube_version: KubeVersion::reported(&version.git_version, &version.major, &version.minor),
        api_versions,
    })
}

fn push_kinds(
    found: &mut Vec<String>,
    api_version: &str,
    list: &k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResourceList,
) {
    found.push(api_version.to_owned());
    for resource in &list.resources {
        // Resources below others may belong to another group.
        let owner = match (&resource.group, &resource.version) {
            (Some(group), Some(version)) if !group.is_empty() => format!("{group}/{version}"),
            (_, Some(version)) if !version.is_empty() && !api_version.contains('/') => {
                version.clone()
            }
            _ => api_version.to_owned(),
        };
        let kind = format!("{owner}/{}", resource.kind);
        if !found.contains(&kind) {
            found.push(kind);
        }
    }
}

/// Where the objects of a kind are.
#[derive(Clone)]
struct Place {
    plural: String,
    namespaced: bool,
}

struct Objects {
    runtime: tokio::runtime::Runtime,
    client: Client,
    resources: Mutex<HashMap<(String, String), Place>>,
}

impl Lookup for Objects {
    fn lookup(
        &self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Json>, String> {
        let place = self.place(api_version, kind)?;
        let mut path = root(api_version);
        if place.namespaced && !namespace.is_empty() {
            path.push_str(&format!("/namespaces/{namespace}"));
        }
        path.push_str(&format!("/{}", place.plural));
        if !name.is_empty() {
            path.push_str(&format!("/{name}"));
        }
        self.get(&path)
    }
}

fn root(api_version: &str) -> String {
    let api = if api_version.contains('/') {
        "apis"
    } else {
        "api"
    };
    format!("/{api}/{api_version}")
}

impl Objects {
    fn get(&self, path: &str) -> Result<Option<Json>, String> {
        let request = Request::get(path)
            .body(Vec::new())
            .map_err(|e| e.to_string())?;
        match self.runtime.block_on(self.client.request::<Json>(request)) {
            Ok(object) => Ok(Some(object)),
            Err(error) if crate::error::is_not_found(&error) => Ok(None),
            Err(error) => Err(crate::error::describe(&error)),
        }
    }

    fn place(&self, api_version: &str, kind: &str) -> Result<Place, String> {
        let key = (api_version.to_owned(), kind.to_owned());
        let known = self
            .resources
            .lock()
            .map_err(|e| e.to_string())?
            .get(&key)
            .cloned();
        if let Some(place) = known {
            return Ok(place);
        }
        let list = self.get(&root(api_version))?;
        let resources = list.as_ref().and_then(|l| l.get("resources"));
        let found = resources
            .and_then(Json::as_array)
            .into_iter()
            .flatten()
            .find(|r| {
                let text = |field: &str| r.get(field).and_then(Json::as_str).unwrap_or_default();
                text("kind") == kind && !text("name").contains('/')
            });
        let Some(resource) = found else {
            return Err(format!(
                "unable to get apiresource from unstructured: {api_version}, Kind={kind}: no \
                 matches for kind {kind:?} in version {api_version:?}"
            ));
        };
        let place = Place {
            plural: resource
                .get("name")
                .and_then(Json::as_str)
                .unwrap_or_default()
                .to_owned(),
            namespaced: resource.get("namespaced") == Some(&Json::Bool(true)),
        };
        let mut resources = self.resources.lock().map_err(|e| e.to_string())?;
        resources.insert(key, place.clone());
        Ok(place)
    }
}
