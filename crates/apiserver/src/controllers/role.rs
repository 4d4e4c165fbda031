//! Aggregated ClusterRoles: their rules are those of all ClusterRoles that they select.

use serde_json::Value;

use super::{Actor, Next, Outcome};
use crate::app::App;
use crate::verbs::selector::Selector;

const TABLE: &str = "clusterroles.rbac.authorization.k8s.io";

/// Looks at every aggregated ClusterRole; there are few.
pub(super) fn reconcile(app: &App) -> Outcome {
    let actor = Actor::new(app, "clusterrole-aggregation-controller");
    let table = app.store.table(TABLE);
    for object in table.all() {
        // Most have none: look before parsing.
        if object.deleting || !object.json().contains("\"aggregationRule\":{") {
            continue;
        }
        let role = object.value();
        let selectors: Vec<Selector> = role["aggregationRule"]["clusterRoleSelectors"]
            .as_array()
            .into_iter()
            .flatten()
            .map(Selector::of_label_selector)
            .collect();
        let mut rules: Vec<Value> = Vec::new();
        for other in table.all() {
            if other.name() != object.name()
                && selectors.iter().any(|selector| selector.matches(&other))
            {
                for rule in other.value()["rules"].as_array().into_iter().flatten() {
                    if !rules.contains(rule) {
                        rules.push(rule.clone());
                    }
                }
            }
        }
        let rules = if rules.is_empty() {
            Value::Null
        } else {
            Value::Array(rules)
        };
        if role["rules"] != rules {
            actor.update(TABLE, None, object.name(), "", &|role: &mut Value| {
                role["rules"] = rules.clone();
                Ok(())
            })?;
        }
    }
    Ok(Next::Done)
}
