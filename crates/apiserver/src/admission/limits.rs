//! LimitRanger: the defaults and bounds that the LimitRanges of a namespace give its pods and claims.

use serde_json::{Map, Value, json};
use sluice_schema::quantity::Quantity;

use crate::objects::{Write, meta};
use crate::quota::{Amounts, amounts, quantity};
use crate::status::{Result, Status};

/// The items of all LimitRanges of the namespace.
fn items(write: &Write<'_>) -> Vec<Value> {
    let table = write.app.store.table("limitranges");
    let Some(namespace) = write.own_namespace().filter(|_| !table.is_empty()) else {
        return Vec::new();
    };
    let all = table.list(&format!("{namespace}/"), None, None);
    let all = all.map(|all| all.objects).unwrap_or_default();
    all.iter()
        .filter_map(|range| range.value()["spec"]["limits"].as_array().cloned())
        .flatten()
        .collect()
}

fn refuse(write: &Write<'_>, object: &Value, errors: &[String]) -> Result<()> {
    let why = match errors {
        [] => return Ok(()),
        [one] => one.clone(),
        all => format!("[{}]", all.join(", ")),
    };
    let name = match meta::text(object, "name") {
        "" => meta::text(object, "generateName"),
        name => name,
    };
    let plural = &write.resource.plural;
    Err(Status::forbidden("", plural, name, &why))
}

/// Gives a new pod its defaults and checks its bounds.
///
/// # Errors
/// 403.
pub(super) fn complete_pod(write: &Write<'_>, pod: &mut Value) -> Result<()> {
    let items = items(write);
    if items.is_empty() {
        return Ok(());
    }
    let of_container = |name: &str| {
        let mut found = Map::new();
        for item in items.iter().filter(|item| item["type"] == "Container") {
            for (resource, value) in item[name].as_object().into_iter().flatten() {
                found.entry(resource.clone()).or_insert(value.clone());
            }
        }
        found
    };
    let (requests, limits) = (of_container("defaultRequest"), of_container("default"));
    let mut notes = Vec::new();
    for (list, kind) in [
        ("containers", "container"),
        ("initContainers", "init container"),
    ] {
        for container in pod["spec"][list].as_array_mut().into_iter().flatten() {
            let name = container["name"].as_str().unwrap_or_default().to_owned();
            for (what, word, defaults) in [
                ("requests", "request", &requests),
                ("limits", "limit", &limits),
            ] {
                let set = fill(&mut container["resources"], what, defaults);
                if !set.is_empty() {
                    notes.push(format!("{} {word} for {kind} {name}", set.join(", ")));
                }
            }
        }
    }
    if !notes.is_empty() {
        let note = format!("LimitRanger plugin set: {}", notes.join("; "));
        pod["metadata"]["annotations"]["kubernetes.io/limit-ranger"] = note.into();
    }
    let mut errors = Vec::new();
    for item in &items {
        match item["type"].as_str() {
            Some("Container") => {
                let lists = ["containers", "initContainers"];
                let all = lists.iter().flat_map(|list| pod["spec"][*list].as_array());
                for container in all.flatten() {
                    let resources = &container["resources"];
                    let (requests, limits) = (
                        amounts(&resources["requests"]),
                        amounts(&resources["limits"]),
                    );
                    bounds(item, "Container", &requests, &limits, &mut errors);
                }
            }
            Some("Pod") => {
                let sum = |what| crate::quota::pod_resources(pod, what);
                bounds(item, "Pod", &sum("requests"), &sum("limits"), &mut errors);
            }
            _ => {}
        }
    }
    refuse(write, pod, &errors)
}

/// Adds the defaults that are missing; their names.
fn fill(resources: &mut Value, what: &str, defaults: &Map<String, Value>) -> Vec<String> {
    let mut set = Vec::new();
    for (name, value) in defaults {
        if resources[what].get(name).is_none() {
            if !resources.is_object() {
                *resources = json!({});
            }
            resources[what][name] = value.clone();
            set.push(name.clone());
        }
    }
    if resources[what].is_null()
        && let Some(map) = resources.as_object_mut()
    {
        map.remove(what);
    }
    set
}

/// Checks a claim.
///
/// # Errors
/// 403.
pub(super) fn check_claim(write: &Write<'_>, claim: &Value) -> Result<()> {
    let requests = amounts(&claim["spec"]["resources"]["requests"]);
    let mut errors = Vec::new();
    for item in items(write) {
        if item["type"] != "PersistentVolumeClaim" {
            continue;
        }
        // A claim has no limits: both bounds are of what it requests.
        for (resource, least) in &amounts(&item["min"]) {
            below(
                resource,
                "PersistentVolumeClaim",
                least,
                requests.get(resource),
                &mut errors,
            );
        }
        for (resource, most) in &amounts(&item["max"]) {
            let start = format!("maximum {resource} usage per PersistentVolumeClaim is {most}");
            match requests.get(resource) {
                None => errors.push(format!("{start}.  No request is specified")),
                Some(given) if given > most => {
                    errors.push(format!("{start}, but request is {given}"));
                }
                Some(_) => {}
            }
        }
    }
    refuse(write, claim, &errors)
}

fn below(
    resource: &str,
    kind: &str,
    least: &Quantity,
    request: Option<&Quantity>,
    errors: &mut Vec<String>,
) {
    let start = format!("minimum {resource} usage per {kind} is {least}");
    match request {
        None => errors.push(format!("{start}.  No request is specified")),
        Some(given) if given < least => errors.push(format!("{start}, but request is {given}")),
        Some(_) => {}
    }
}

/// What is wrong with the requests and limits of a container or a pod.
fn bounds(
    item: &Value,
    kind: &str,
    requests: &Amounts,
    limits: &Amounts,
    errors: &mut Vec<String>,
) {
    for (resource, least) in &amounts(&item["min"]) {
        let before = errors.len();
        below(resource, kind, least, requests.get(resource), errors);
        if let Some(limit) = limits.get(resource).filter(|limit| *limit < least)
            && errors.len() == before
        {
            errors.push(format!(
                "minimum {resource} usage per {kind} is {least}, but limit is {limit}"
            ));
        }
    }
    for (resource, most) in &amounts(&item["max"]) {
        let start = format!("maximum {resource} usage per {kind} is {most}");
        match (limits.get(resource), requests.get(resource)) {
            (None, _) => errors.push(format!("{start}.  No limit is specified")),
            (Some(limit), _) if limit > most => {
                errors.push(format!("{start}, but limit is {limit}"));
            }
            (_, Some(request)) if request > most => {
                errors.push(format!("{start}, but request is {request}"));
            }
            _ => {}
        }
    }
    for (resource, most) in item["maxLimitRequestRatio"]
        .as_object()
        .into_iter()
        .flatten()
    {
        let Some(most) = quantity(most) else { continue };
        let start = format!("{resource} max limit to request ratio per {kind} is {most}, but");
        let given = |all: &Amounts| all.get(resource).copied().filter(|given| !given.is_zero());
        match (given(requests), given(limits)) {
            (None, _) => errors.push(format!("{start} no request is specified or request is 0")),
            (_, None) => errors.push(format!("{start} no limit is specified or limit is 0")),
            (Some(request), Some(limit)) => {
                let ratio = limit.milli() as f64 / request.milli() as f64;
                if ratio > most.milli() as f64 / 1000.0 {
                    errors.push(format!("{start} provided ratio is {ratio:.6}"));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::add;

    fn errors(item: Value, resources: Value) -> Vec<String> {
        let mut found = Vec::new();
        let (requests, limits) = (
            amounts(&resources["requests"]),
            amounts(&resources["limits"]),
        );
        bounds(&item, "Container", &requests, &limits, &mut found);
        found
    }

    #[test]
    fn bounds_are_said_in_the_servers_words() {
        assert_eq!(
            errors(
                json!({"min": {"cpu": "100m"}}),
                json!({"requests": {"cpu": "50m"}})
            ),
            ["minimum cpu usage per Container is 100m, but request is 50m"]
        );
        assert_eq!(
            errors(json!({"max": {"cpu": "1"}}), json!({})),
            ["maximum cpu usage per Container is 1.  No limit is specified"]
        );
        assert_eq!(
            errors(
                json!({"maxLimitRequestRatio": {"cpu": "2"}}),
                json!({"requests": {"cpu": "100m"}, "limits": {"cpu": "500m"}})
            ),
            ["cpu max limit to request ratio per Container is 2, but provided ratio is 5.000000"]
        );
    }

    #[test]
    fn defaults_fill_what_is_missing() {
        let defaults = json!({"cpu": "1", "memory": "2"});
        let mut resources = json!({"limits": {"cpu": "3"}});
        let set = fill(&mut resources, "limits", defaults.as_object().unwrap());
        assert_eq!(set, ["memory"]);
        assert_eq!(resources, json!({"limits": {"cpu": "3", "memory": "2"}}));
        let mut nothing = Value::Null;
        fill(&mut nothing, "limits", &Map::new());
        assert_eq!(nothing, Value::Null);
    }

    #[test]
    fn sums_take_the_form_of_what_is_not_zero() {
        let mut sum = Amounts::new();
        add(&mut sum, &amounts(&json!({"memory": "512Mi"})));
        add(&mut sum, &amounts(&json!({"memory": "512Mi"})));
        assert_eq!(crate::quota::listed(sum.iter()), "memory=1Gi");
    }
}
