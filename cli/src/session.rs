//! What every command has: the global options, the cluster, the terminal and
//! a deadline.

use std::time::Duration;

use clap::Args;
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use serde_json::Value;
use sluice_api::key;
use tokio::time::Instant;

use crate::cluster::ClusterArgs;
use crate::error::{Failure, Outcome, is_not_found};
use crate::object::Object;
use crate::resources::Resource;
use crate::terminal::Terminal;

/// The namespace that commands work in unless told otherwise.
const DEFAULT_NAMESPACE: &str = "flux-system";
/// How long a command may take unless told otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(300);
/// The variable that replaces that namespace.
const NAMESPACE_VARIABLE: &str = "FLUX_SYSTEM_NAMESPACE";
/// The variable that stands for `--ns-follows-kube-context`.
const FOLLOW_VARIABLE: &str = "FLUX_NS_FOLLOWS_KUBE_CONTEXT";

/// The options that all commands have.
#[derive(Args, Debug, Clone)]
pub struct GlobalArgs {
    /// Namespace to work in [default: flux-system]
    #[arg(short, long, global = true)]
    pub namespace: Option<String>,
    /// Work in the namespace of the kubeconfig's context
    #[arg(long, global = true)]
    pub ns_follows_kube_context: bool,
    /// How long the whole command may take [default: 5m0s]
    #[arg(long, global = true, value_parser = sluice_runtime::args::duration)]
    pub timeout: Option<Duration>,
    /// Print generated objects
    #[arg(long, global = true)]
    pub verbose: bool,
    /// How to reach the cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// A run of one command.
pub struct Session {
    /// The namespace to work in.
    pub namespace: String,
    /// Where to print.
    pub terminal: Terminal,
    /// When the command has to be done.
    pub deadline: Instant,
    /// Whether to print what is generated.
    pub verbose: bool,
    cluster: ClusterArgs,
    client: Option<Client>,
}

impl Session {
    /// Takes the global options.
    ///
    /// # Errors
    ///
    /// Fails when the namespace is not a valid name.
    pub fn new(args: &GlobalArgs, mut terminal: Terminal) -> Outcome<Self> {
        let namespace = namespace(args, &mut terminal);
        if !is_label(&namespace) {
            return Err(Failure::new(format!(
                "namespace must be a valid DNS label: {namespace:?}"
            )));
        }
        Ok(Self {
            namespace,
            terminal,
            deadline: Instant::now() + args.timeout.unwrap_or(DEFAULT_TIMEOUT),
            verbose: args.verbose,
            cluster: args.cluster.clone(),
            client: None,
        })
    }

    /// The client of the cluster, made when it is first asked for.
    ///
    /// # Errors
    ///
    /// Fails when there is no cluster to talk to.
    pub async fn client(&mut self) -> Outcome<Client> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        let config = self.cluster.config().await?;
        let client = sluice_runtime::client::connect(config)?;
        Ok(self.client.insert(client).clone())
    }

    /// The objects of a kind in a namespace.
    ///
    /// # Errors
    ///
    /// Fails when there is no cluster to talk to.
    pub async fn api(&mut self, resource: &Resource, namespace: &str) -> Outcome<Api<Object>> {
        let client = self.client().await?;
        Ok(Api::namespaced_with(
            client,
            namespace,
            &resource.api_resource(),
        ))
    }

    /// The objects of a kind in all namespaces.
    ///
    /// # Errors
    ///
    /// Fails when there is no cluster to talk to.
    pub async fn api_everywhere(&mut self, resource: &Resource) -> Outcome<Api<Object>> {
        let client = self.client().await?;
        Ok(Api::all_with(client, &resource.api_resource()))
    }

    /// An object, if it is there.
    ///
    /// # Errors
    ///
    /// Fails when the API server does not answer as it should.
    pub async fn find(
        &mut self,
        resource: &Resource,
        namespace: &str,
        name: &str,
    ) -> Outcome<Option<Object>> {
        let api = self.api(resource, namespace).await?;
        match api.get(name).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Changes an object by a merge patch.
    ///
    /// # Errors
    ///
    /// Fails when the API server refuses the patch or the object is not there.
    pub async fn patch(
        &mut self,
        resource: &Resource,
        namespace: &str,
        name: &str,
        patch: &Value,
    ) -> Outcome<Object> {
        let api = self.api(resource, namespace).await?;
        let params = PatchParams {
            field_manager: Some(key::CLI_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        Ok(api.patch(name, &params, &Patch::Merge(patch)).await?)
    }
}

/// The namespace to work in: the option, else that of the context if it is to
/// be followed, else the variable, else the default.
fn namespace(args: &GlobalArgs, terminal: &mut Terminal) -> String {
    if let Some(namespace) = &args.namespace {
        return namespace.clone();
    }
    let variable = |name| {
        std::env::var(name)
            .ok()
            .filter(|value: &String| !value.is_empty())
    };
    if (args.ns_follows_kube_context || variable(FOLLOW_VARIABLE).is_some())
        && let Some(namespace) = args.cluster.context_namespace()
    {
        return namespace;
    }
    match variable(NAMESPACE_VARIABLE) {
        Some(namespace) if is_label(&namespace) => namespace,
        Some(namespace) => {
            terminal.warning(&format!(
                " ignoring invalid {NAMESPACE_VARIABLE}: {namespace:?}"
            ));
            DEFAULT_NAMESPACE.to_owned()
        }
        None => DEFAULT_NAMESPACE.to_owned(),
    }
}

/// Whether a name is a DNS label by RFC 1123.
pub fn is_label(name: &str) -> bool {
    let inner = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    name.len() <= 63
        && !name.is_empty()
        && name.bytes().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::is_label;

    #[test]
    fn labels_are_those_of_rfc_1123() {
        for name in ["a", "flux-system", "0"] {
            assert!(is_label(name), "{name}");
        }
        for name in ["", "-a", "a-", "A", "a.b", "a_b", &"a".repeat(64)] {
            assert!(!is_label(name), "{name}");
        }
    }
}
