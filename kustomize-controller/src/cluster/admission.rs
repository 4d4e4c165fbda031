//! Which kinds admission webhooks and policies look at, and so may refuse.
//!
//! Only resources and groups count; selectors and match conditions are taken as matching. A cluster
//! where this cannot be read may refuse anything.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock};

use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, NamedRuleWithOperations, RuleWithOperations,
    ValidatingAdmissionPolicy, ValidatingWebhookConfiguration,
};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::plan::Admission;

/// Groups and resources of one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    groups: Vec<String>,
    resources: Vec<String>,
}

impl Rule {
    fn new(
        groups: Option<Vec<String>>,
        resources: Option<Vec<String>>,
        operations: Option<Vec<String>>,
    ) -> Option<Self> {
        let is_write = |operation: &String| matches!(operation.as_str(), "*" | "CREATE" | "UPDATE");
        let writes = operations.is_none_or(|list| list.iter().any(is_write));
        writes.then(|| Self {
            groups: groups.unwrap_or_default(),
            resources: resources.unwrap_or_default(),
        })
    }

    fn matches(&self, group: &str, plural: &str) -> bool {
        let fits =
            |list: &[String], value: &str| list.iter().any(|entry| entry == "*" || entry == value);
        let resource = |entry: &String| entry == "*" || entry == "*/*" || entry == plural;
        fits(&self.groups, group) && self.resources.iter().any(resource)
    }
}

/// The rules of one kind of configuration, by name; `None` until they were listed.
type Rules = Option<HashMap<String, Vec<Rule>>>;

/// All rules of a cluster.
#[derive(Debug, Default)]
pub struct Policies {
    validating: RwLock<Rules>,
    mutating: RwLock<Rules>,
    policies: RwLock<Rules>,
}

impl Policies {
    /// Watches the rules of a cluster until `stop`.
    pub fn start(client: &Client, stop: &CancellationToken) -> Arc<Self> {
        let all = Arc::new(Self::default());
        follow(
            client,
            stop,
            all.clone(),
            |all| &all.validating,
            |object: ValidatingWebhookConfiguration| {
                of_webhooks(object.webhooks.into_iter().flatten().map(|w| w.rules))
            },
        );
        follow(
            client,
            stop,
            all.clone(),
            |all| &all.mutating,
            |object: MutatingWebhookConfiguration| {
                of_webhooks(object.webhooks.into_iter().flatten().map(|w| w.rules))
            },
        );
        follow(
            client,
            stop,
            all.clone(),
            |all| &all.policies,
            |object: ValidatingAdmissionPolicy| {
                let matches = object.spec.and_then(|spec| spec.match_constraints);
                matches
                    .and_then(|m| m.resource_rules)
                    .into_iter()
                    .flatten()
                    .filter_map(of_policy)
                    .collect()
            },
        );
        all
    }

    /// Who may refuse writes of a kind; its plural is unknown when its path is.
    pub fn admission(&self, group: &str, plural: Option<&str>) -> Admission {
        let refuses = |rules: &RwLock<Rules>| {
            let rules = rules.read().unwrap_or_else(PoisonError::into_inner);
            match (&*rules, plural) {
                (Some(rules), Some(plural)) => rules
                    .values()
                    .flatten()
                    .any(|rule| rule.matches(group, plural)),
                _ => true,
            }
        };
        let lists = [&self.validating, &self.mutating, &self.policies];
        match lists.into_iter().any(refuses) {
            true => Admission::Possible,
            false => Admission::None,
        }
    }
}

fn of_webhooks(rules: impl Iterator<Item = Option<Vec<RuleWithOperations>>>) -> Vec<Rule> {
    let rules = rules.flatten().flatten();
    rules
        .filter_map(|rule| Rule::new(rule.api_groups, rule.resources, rule.operations))
        .collect()
}

fn of_policy(rule: NamedRuleWithOperations) -> Option<Rule> {
    Rule::new(rule.api_groups, rule.resources, rule.operations)
}

/// Keeps one list of rules current.
fn follow<K>(
    client: &Client,
    stop: &CancellationToken,
    all: Arc<Policies>,
    list: fn(&Policies) -> &RwLock<Rules>,
    rules_of: fn(K) -> Vec<Rule>,
) where
    K: Resource<DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static,
    K::DynamicType: Eq + Hash,
{
    use futures::StreamExt as _;
    let api: Api<K> = Api::all(client.clone());
    let stop = stop.clone();
    tokio::spawn(async move {
        let stream = watcher(api, watcher::Config::default().page_size(50)).default_backoff();
        let mut stream = std::pin::pin!(stream);
        let mut fresh = HashMap::new();
        let set = |change: &mut dyn FnMut(&mut Rules)| {
            change(&mut list(&all).write().unwrap_or_else(PoisonError::into_inner));
        };
        loop {
            let event = tokio::select! {
                () = stop.cancelled() => return,
                event = stream.next() => event,
            };
            match event {
                None => return,
                // A server without this kind has no rules of it; any other failure leaves them unknown.
                Some(Err(error)) if is_absent(&error) => {
                    set(&mut |rules| *rules = Some(HashMap::new()))
                }
                Some(Err(error)) => {
                    tracing::debug!(error = error.to_string(), "cannot watch admission rules");
                }
                Some(Ok(Event::Init)) => fresh.clear(),
                Some(Ok(Event::InitApply(object))) => {
                    fresh.insert(object.name_any(), rules_of(object));
                }
                Some(Ok(Event::InitDone)) => {
                    set(&mut |rules| *rules = Some(std::mem::take(&mut fresh)))
                }
                Some(Ok(Event::Apply(object))) => {
                    let (name, new) = (object.name_any(), rules_of(object));
                    set(&mut |rules| {
                        rules
                            .get_or_insert_default()
                            .insert(name.clone(), new.clone());
                    });
                }
                Some(Ok(Event::Delete(object))) => {
                    let name = object.name_any();
                    set(&mut |rules| {
                        rules.get_or_insert_default().remove(&name);
                    });
                }
            }
        }
    });
}

fn is_absent(error: &watcher::Error) -> bool {
    let code = match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => status.code,
        _ => return false,
    };
    code == 404
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(groups: &[&str], resources: &[&str], operations: &[&str]) -> Option<Rule> {
        let list = |texts: &[&str]| Some(texts.iter().map(|t| (*t).to_owned()).collect());
        Rule::new(list(groups), list(resources), list(operations))
    }

    fn policies(rules: Vec<Rule>) -> Policies {
        let policies = Policies::default();
        *policies.validating.write().unwrap() = Some([("a".to_owned(), rules)].into());
        *policies.mutating.write().unwrap() = Some(HashMap::new());
        *policies.policies.write().unwrap() = Some(HashMap::new());
        policies
    }

    #[test]
    fn rules_match_by_group_and_resource() {
        let ingress = rule(&["networking.k8s.io"], &["ingresses"], &["CREATE"]).unwrap();
        let policies = policies(vec![ingress]);
        assert_eq!(
            policies.admission("networking.k8s.io", Some("ingresses")),
            Admission::Possible
        );
        assert_eq!(
            policies.admission("apps", Some("deployments")),
            Admission::None
        );
        assert_eq!(
            policies.admission("networking.k8s.io", None),
            Admission::Possible
        );
        let all = rule(&["*"], &["*"], &["*"]).unwrap();
        assert!(all.matches("", "configmaps"));
        assert_eq!(rule(&["*"], &["*"], &["DELETE", "CONNECT"]), None);
    }

    #[test]
    fn what_is_not_known_may_refuse_anything() {
        assert_eq!(
            Policies::default().admission("", Some("configmaps")),
            Admission::Possible
        );
    }
}
