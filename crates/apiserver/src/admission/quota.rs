//! ResourceQuota: a write that would use more than a quota of its namespace allows is refused; what it uses is taken
//! from the quota before the object is stored. The controller puts right what a failed write has taken.

use serde_json::{Value, json};
use sluice_schema::quantity::Quantity;

use crate::objects::{DryRun, Write, meta};
use crate::quota::{Amounts, amounts, is_in_scope, listed, usage};
use crate::status::{Result, Status};
use crate::store::{Expect, Object};

const QUOTAS: &str = "resourcequotas";
/// How often a quota is read again when another write changes it first.
const ATTEMPTS: usize = 64;

/// Takes what a valid object uses from the quotas of its namespace.
///
/// # Errors
/// 403 where a quota does not allow it.
pub(super) fn check(write: &Write<'_>, value: &Value, old: Option<&Value>) -> Result<()> {
    let Some(namespace) = write.own_namespace() else {
        return Ok(());
    };
    if !write.subresource.is_empty() {
        return Ok(());
    }
    let table: &str = &write.resource.table.name;
    // Of changes only those of services and claims can use more.
    if old.is_some() && !matches!(table, "services" | "persistentvolumeclaims") {
        return Ok(());
    }
    let quotas = write.app.store.table(QUOTAS);
    if quotas.is_empty() {
        return Ok(());
    }
    let all = quotas
        .list(&format!("{namespace}/"), None, None)
        .map(|all| all.objects)
        .unwrap_or_default();
    for quota in &all {
        take(write, quota, table, value, old)?;
    }
    Ok(())
}

fn refuse(write: &Write<'_>, value: &Value, why: &str) -> Status {
    let resource = write.resource;
    let name = match meta::text(value, "name") {
        "" => meta::text(value, "generateName"),
        name => name,
    };
    Status::forbidden(&resource.group, &resource.plural, name, why)
}

fn take(
    write: &Write<'_>,
    quota: &Object,
    table: &str,
    value: &Value,
    old: Option<&Value>,
) -> Result<()> {
    let store = &write.app.store;
    let quotas = store.table(QUOTAS);
    let name = quota.name();
    for _ in 0..ATTEMPTS {
        let Some(current) = quotas.get(&quota.key) else {
            return Ok(());
        };
        let mut changed = current.value();
        if !is_in_scope(&changed, table, value) {
            return Ok(());
        }
        let hard = amounts(&changed["spec"]["hard"]);
        if table == "pods" {
            demand_values(write, value, name, &hard)?;
        }
        let requested = delta(table, value, old, &hard);
        if requested.values().all(Quantity::is_zero) {
            return Ok(());
        }
        let mut used = amounts(&changed["status"]["used"]);
        let known = requested.keys().all(|resource| used.contains_key(resource));
        if !known {
            used = crate::controllers::quota_usage(store, &changed, quota.namespace());
        }
        let amount =
            |all: &Amounts, resource: &String| all.get(resource).copied().unwrap_or(Quantity::ZERO);
        let exceeded: Amounts = requested
            .iter()
            .filter(|(resource, wanted)| {
                wanted > &&Quantity::ZERO
                    && amount(&used, resource).plus(**wanted) > amount(&hard, resource)
            })
            .map(|(resource, wanted)| (resource.clone(), *wanted))
            .collect();
        if !exceeded.is_empty() {
            let only = |all: &Amounts| -> Amounts {
                let pick = |resource: &String| (resource.clone(), amount(all, resource));
                exceeded.keys().map(pick).collect()
            };
            let why = format!(
                "exceeded quota: {name}, requested: {}, used: {}, limited: {}",
                listed(exceeded.iter()),
                listed(only(&used).iter()),
                listed(only(&hard).iter())
            );
            return Err(refuse(write, value, &why));
        }
        if write.dry_run == DryRun::All {
            return Ok(());
        }
        for (resource, wanted) in &requested {
            let sum = amount(&used, resource).plus(*wanted);
            used.insert(resource.clone(), sum);
        }
        changed["status"]["hard"] = changed["spec"]["hard"].clone();
        let shown =
            |(name, amount): (&String, &Quantity)| (name.clone(), json!(amount.to_string()));
        changed["status"]["used"] = Value::Object(used.iter().map(shown).collect());
        if store
            .put(
                &quotas,
                &quota.key,
                Expect::Version(current.version),
                changed,
            )
            .is_ok()
        {
            return Ok(());
        }
    }
    Err(Status::modified("", QUOTAS, name))
}

/// What the write uses more than before, of what the quota limits.
fn delta(table: &str, value: &Value, old: Option<&Value>, hard: &Amounts) -> Amounts {
    let before = old.map(|old| usage(table, old)).unwrap_or_default();
    usage(table, value)
        .into_iter()
        .filter(|(resource, _)| hard.contains_key(resource))
        .map(|(resource, amount)| {
            let known = before.get(&resource).copied().unwrap_or(Quantity::ZERO);
            (resource, amount.minus(known))
        })
        .collect()
}

/// A quota of compute resources wants every container to say what it needs.
fn demand_values(write: &Write<'_>, pod: &Value, quota: &str, hard: &Amounts) -> Result<()> {
    let mut missing = Vec::new();
    for limited in hard.keys() {
        let (what, resource) = match limited.split_once('.') {
            Some((what @ ("requests" | "limits"), resource)) => (what, resource),
            None if matches!(limited.as_str(), "cpu" | "memory") => ("requests", limited.as_str()),
            _ => continue,
        };
        if !matches!(resource, "cpu" | "memory") {
            continue;
        }
        if amounts(&pod["spec"]["resources"][what]).contains_key(resource) {
            continue;
        }
        let mut names: Vec<&str> = ["containers", "initContainers"]
            .iter()
            .flat_map(|list| pod["spec"][*list].as_array().into_iter().flatten())
            .filter(|container| !amounts(&container["resources"][what]).contains_key(resource))
            .filter_map(|container| container["name"].as_str())
            .collect();
        names.sort_unstable();
        if !names.is_empty() {
            missing.push(format!("{limited} for: {}", names.join(",")));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let why = format!("failed quota: {quota}: must specify {}", missing.join("; "));
    Err(refuse(write, pod, &why))
}
