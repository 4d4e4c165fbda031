//! Whether inventories and the cluster say the same.

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use futures::stream::{StreamExt as _, TryStreamExt as _};
use kube::api::{Api, DynamicObject, ListParams};
use kube::discovery::{ApiResource, Discovery, verbs};
use kube::{Client, ResourceExt as _};
use sluice_api::inventory::ObjectId;
use sluice_api::key::KUSTOMIZE_NAME;

use crate::objects::{at, kustomizations};

/// The kinds of a cluster that can be listed; asked for once, since that takes a while.
pub struct Auditor {
    client: Client,
    kinds: Vec<ApiResource>,
}

impl Auditor {
    /// Learns the kinds.
    ///
    /// # Errors
    /// The API server does not answer.
    pub async fn new(client: Client) -> anyhow::Result<Self> {
        let discovery = Discovery::new(client.clone()).run_aggregated().await?;
        let kinds = discovery
            .groups()
            .flat_map(|group| group.recommended_resources())
            .filter(|(_, capabilities)| capabilities.supports_operation(verbs::LIST))
            .map(|(kind, _)| kind)
            // Copies of a Service's labels, made by the cluster.
            .filter(|kind| !matches!(kind.kind.as_str(), "Endpoints" | "EndpointSlice"))
            .collect();
        Ok(Self { client, kinds })
    }

    /// The objects that carry a Kustomization's label, those aside that another object owns.
    ///
    /// # Errors
    /// The API server does not answer.
    pub async fn labelled(&self) -> anyhow::Result<BTreeSet<String>> {
        let params = ListParams::default().labels(KUSTOMIZE_NAME);
        let lists = self.kinds.iter().map(|kind| {
            let api: Api<DynamicObject> = Api::all_with(self.client.clone(), kind);
            let params = &params;
            async move {
                let list = api.list(params).await;
                list.with_context(|| kind.kind.clone())
                    .map(|list| (kind, list.items))
            }
        });
        let lists: Vec<_> = futures::stream::iter(lists)
            .buffer_unordered(8)
            .try_collect()
            .await?;
        let mut ids = BTreeSet::new();
        for (kind, list) in lists {
            for object in list {
                let leaving = object.metadata.deletion_timestamp.is_some();
                if !leaving && object.owner_references().is_empty() {
                    let id = ObjectId {
                        namespace: object.namespace().unwrap_or_default(),
                        name: object.name_any(),
                        group: kind.group.clone(),
                        kind: kind.kind.clone(),
                    };
                    ids.insert(id.to_string());
                }
            }
        }
        Ok(ids)
    }

    /// The objects in the inventories.
    ///
    /// # Errors
    /// The API server does not answer.
    pub async fn inventories(&self) -> anyhow::Result<BTreeSet<String>> {
        let listed = kustomizations(&self.client, "")
            .list(&ListParams::default())
            .await?;
        let mut ids = BTreeSet::new();
        for kustomization in &listed {
            let entries = at(kustomization, "/status/inventory/entries").as_array();
            for entry in entries.into_iter().flatten() {
                ids.insert(entry["id"].as_str().context("an id")?.to_owned());
            }
        }
        Ok(ids)
    }

    /// What is managed is in an inventory, and what is in an inventory is there.
    ///
    /// # Errors
    /// It is not so: names what is lost and what is leaked.
    pub async fn check(&self) -> anyhow::Result<()> {
        let (labelled, inventories) = (self.labelled().await?, self.inventories().await?);
        let leaked: Vec<_> = labelled.difference(&inventories).collect();
        let lost: Vec<_> = inventories.difference(&labelled).collect();
        ensure!(leaked.is_empty(), "managed by nobody: {leaked:?}");
        ensure!(lost.is_empty(), "not in the cluster: {lost:?}");
        Ok(())
    }
}
