//! ResourceQuotas: what the objects of a namespace use.

use serde_json::{Value, json};
use sluice_schema::quantity::Quantity;

use super::workload::Context;
use super::{Next, Outcome};
use crate::quota::{self, Amounts};
use crate::store::Store;

pub(super) const QUOTAS: &str = "resourcequotas";

/// What the objects of a namespace use of all that a quota limits.
pub fn usage(store: &Store, quota: &Value, namespace: Option<&str>) -> Amounts {
    let hard = quota::amounts(&quota["spec"]["hard"]);
    let mut used: Amounts = hard
        .keys()
        .map(|name| (name.clone(), Quantity::ZERO))
        .collect();
    let mut tables: Vec<&str> = hard.keys().map(|name| quota::table_of(name)).collect();
    tables.sort_unstable();
    tables.dedup();
    let prefix = format!("{}/", namespace.unwrap_or_default());
    for table in tables {
        let Ok(all) = store.table(table).list(&prefix, None, None) else {
            continue;
        };
        for object in all.objects {
            let value = object.value();
            if !quota::is_in_scope(quota, table, &value) {
                continue;
            }
            let mut own = quota::usage(table, &value);
            own.retain(|name, _| hard.contains_key(name));
            quota::add(&mut used, &own);
        }
    }
    used
}

/// Looks at one quota.
pub(super) fn reconcile(cx: &Context<'_>, key: &str) -> Outcome {
    let Some(object) = cx.app.store.table(QUOTAS).get(key) else {
        return Ok(Next::Done);
    };
    let value = object.value();
    let used = usage(&cx.app.store, &value, object.namespace());
    let shown = |(name, amount): (&String, &Quantity)| (name.clone(), json!(amount.to_string()));
    let status = json!({
        "hard": value["spec"]["hard"],
        "used": Value::Object(used.iter().map(shown).collect()),
    });
    let same = quota::amounts(&value["status"]["hard"]) == quota::amounts(&status["hard"])
        && quota::amounts(&value["status"]["used"]) == used;
    if !same {
        cx.actor.update(
            QUOTAS,
            object.namespace(),
            object.name(),
            "status",
            &|quota: &mut Value| {
                quota["status"] = status.clone();
                Ok(())
            },
        )?;
    }
    Ok(Next::Done)
}
