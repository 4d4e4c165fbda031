//! What objects use of a ResourceQuota: counts, and the resources of pods and claims.

use std::collections::BTreeMap;

use serde_json::Value;
use sluice_schema::quantity::Quantity;

/// Amounts by the name of the resource.
pub type Amounts = BTreeMap<String, Quantity>;

/// Kinds that are counted by their plain name too.
const PLAIN: &[&str] = &[
    "configmaps",
    "persistentvolumeclaims",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
];

/// Reads a map of quantities; what is none is left out.
pub fn amounts(value: &Value) -> Amounts {
    value
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.clone(), quantity(value)?)))
        .collect()
}

/// A quantity of a manifest: a text or a number.
pub fn quantity(value: &Value) -> Option<Quantity> {
    match value {
        Value::String(text) => Quantity::parse(text).ok(),
        Value::Number(number) => Quantity::parse(&number.to_string()).ok(),
        _ => None,
    }
}

/// Adds amounts to a sum.
pub fn add(sum: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        let known = sum.get(name).copied().unwrap_or(Quantity::ZERO);
        sum.insert(name.clone(), known.plus(*amount));
    }
}

/// `a=1,b=2`, as the server's messages list amounts.
pub fn listed<'a>(all: impl Iterator<Item = (&'a String, &'a Quantity)>) -> String {
    let pairs: Vec<String> = all
        .map(|(name, amount)| format!("{name}={amount}"))
        .collect();
    pairs.join(",")
}

/// What one object uses, by the table that it is in (`pods`, `deployments.apps`). A pod that is over uses nothing but
/// its `count/pods`.
pub fn usage(table: &str, object: &Value) -> Amounts {
    let one = Quantity::whole(1);
    let mut used = Amounts::new();
    used.insert(format!("count/{table}"), one);
    if PLAIN.contains(&table) {
        used.insert(table.to_owned(), one);
    }
    match table {
        "pods" => pod(object, &mut used),
        "services" => service(object, &mut used),
        "persistentvolumeclaims" => claim(object, &mut used),
        _ => {}
    }
    used
}

fn service(service: &Value, used: &mut Amounts) {
    let ports = service["spec"]["ports"].as_array().map_or(0, Vec::len) as i64;
    let one = Quantity::whole(1);
    match service["spec"]["type"].as_str() {
        Some("NodePort") => {
            used.insert("services.nodeports".into(), Quantity::whole(ports));
        }
        Some("LoadBalancer") => {
            used.insert("services.loadbalancers".into(), one);
            let allocates = service["spec"]["allocateLoadBalancerNodePorts"] != false;
            let ports = if allocates { ports } else { 0 };
            used.insert("services.nodeports".into(), Quantity::whole(ports));
        }
        _ => {}
    }
}

fn claim(claim: &Value, used: &mut Amounts) {
    let class = claim["spec"]["storageClassName"]
        .as_str()
        .unwrap_or_default();
    let of_class = |name: &str| format!("{class}.storageclass.storage.k8s.io/{name}");
    if !class.is_empty() {
        used.insert(of_class("persistentvolumeclaims"), Quantity::whole(1));
    }
    if let Some(storage) = quantity(&claim["spec"]["resources"]["requests"]["storage"]) {
        used.insert("requests.storage".into(), storage);
        if !class.is_empty() {
            used.insert(of_class("requests.storage"), storage);
        }
    }
}

/// Whether a pod's containers have all ended.
fn is_over(pod: &Value) -> bool {
    matches!(
        pod["status"]["phase"].as_str(),
        Some("Failed" | "Succeeded")
    )
}

fn pod(pod: &Value, used: &mut Amounts) {
    if is_over(pod) {
        return;
    }
    used.insert("pods".into(), Quantity::whole(1));
    for (name, amount) in pod_resources(pod, "requests") {
        if !name.contains('/') {
            used.insert(name.clone(), amount);
        }
        used.insert(format!("requests.{name}"), amount);
    }
    for (name, amount) in pod_resources(pod, "limits") {
        if !name.contains('/') {
            used.insert(format!("limits.{name}"), amount);
        }
    }
}

/// The requests or limits of a whole pod: of its containers together or of the largest init container, with those that
/// keep running, and its overhead.
pub fn pod_resources(pod: &Value, what: &str) -> Amounts {
    let spec = &pod["spec"];
    let mut sum = Amounts::new();
    let mut largest = Amounts::new();
    let list = |name: &str| {
        spec[name]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default()
            .iter()
    };
    for container in list("containers") {
        add(&mut sum, &amounts(&container["resources"][what]));
    }
    let mut running = Amounts::new();
    for container in list("initContainers") {
        let mut own = amounts(&container["resources"][what]);
        if container["restartPolicy"] == "Always" {
            add(&mut running, &own);
            add(&mut sum, &own);
            own = running.clone();
        } else {
            add(&mut own, &running);
        }
        for (name, amount) in own {
            let known = largest.entry(name).or_insert(amount);
            *known = (*known).max(amount);
        }
    }
    for (name, amount) in largest {
        let known = sum.entry(name).or_insert(amount);
        *known = (*known).max(amount);
    }
    add(&mut sum, &amounts(&spec["overhead"]));
    sum
}

/// Whether a quota counts an object: scopes narrow it to some pods (and claims by their class).
pub fn is_in_scope(quota: &Value, table: &str, object: &Value) -> bool {
    let spec = &quota["spec"];
    let plain = spec["scopes"].as_array().into_iter().flatten();
    let selected = spec["scopeSelector"]["matchExpressions"]
        .as_array()
        .into_iter()
        .flatten();
    let mut all = plain
        .map(|scope| (scope.as_str().unwrap_or_default(), None))
        .chain(selected.map(|expression| {
            let name = expression["scopeName"].as_str().unwrap_or_default();
            (name, Some(expression))
        }))
        .peekable();
    if all.peek().is_none() {
        return true;
    }
    table == "pods" && all.all(|(name, expression)| pod_is_in(name, expression, object))
}

fn pod_is_in(scope: &str, expression: Option<&Value>, pod: &Value) -> bool {
    let best_effort = || pod_is_best_effort(pod);
    let ends = pod["spec"]["activeDeadlineSeconds"]
        .as_i64()
        .is_some_and(|seconds| seconds >= 0);
    match scope {
        "Terminating" => ends,
        "NotTerminating" => !ends,
        "BestEffort" => best_effort(),
        "NotBestEffort" => !best_effort(),
        "PriorityClass" => {
            let class = pod["spec"]["priorityClassName"]
                .as_str()
                .unwrap_or_default();
            let Some(expression) = expression else {
                return !class.is_empty();
            };
            let mut values = expression["values"].as_array().into_iter().flatten();
            match expression["operator"].as_str() {
                Some("In") => values.any(|value| value == class),
                Some("NotIn") => !values.any(|value| value == class),
                Some("DoesNotExist") => class.is_empty(),
                _ => !class.is_empty(),
            }
        }
        "CrossNamespacePodAffinity" => {
            let text = pod["spec"]["affinity"].to_string();
            text.contains("\"namespaces\"") || text.contains("\"namespaceSelector\"")
        }
        _ => false,
    }
}

fn pod_is_best_effort(pod: &Value) -> bool {
    let spec = &pod["spec"];
    ["containers", "initContainers"].iter().all(|list| {
        let containers = spec[*list].as_array().into_iter().flatten();
        containers.into_iter().all(|container| {
            ["requests", "limits"].iter().all(|what| {
                let resources = amounts(&container["resources"][*what]);
                ["cpu", "memory"]
                    .iter()
                    .all(|name| resources.get(*name).is_none_or(Quantity::is_zero))
            })
        })
    })
}

/// The table whose objects a name of a quota counts, if it is a count of one kind: `count/deployments.apps`,
/// `configmaps`, `pods`.
pub fn table_of(name: &str) -> &str {
    if let Some(table) = name.strip_prefix("count/") {
        return table;
    }
    match name {
        "services.nodeports" | "services.loadbalancers" => "services",
        "requests.storage" => "persistentvolumeclaims",
        _ if PLAIN.contains(&name) => name,
        _ if name.contains(".storageclass.storage.k8s.io/") => "persistentvolumeclaims",
        _ => "pods",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(all: &Amounts) -> String {
        listed(all.iter())
    }

    #[test]
    fn a_pod_uses_what_its_containers_ask_for_together() {
        let resources = |cpu: &str| json!({"resources": {"requests": {"cpu": cpu}, "limits": {"memory": "1Gi"}}});
        let pod = json!({"spec": {
            "containers": [resources("100m"), resources("0.2")],
            "initContainers": [resources("1")],
        }});
        assert_eq!(
            text(&usage("pods", &pod)),
            "count/pods=1,cpu=1,limits.memory=2Gi,pods=1,requests.cpu=1"
        );
    }

    #[test]
    fn a_pod_that_is_over_is_only_counted_as_an_object() {
        let pod = json!({"spec": {"containers": []}, "status": {"phase": "Failed"}});
        assert_eq!(text(&usage("pods", &pod)), "count/pods=1");
    }

    #[test]
    fn services_and_claims_use_ports_and_storage() {
        let service = json!({"spec": {"type": "LoadBalancer", "ports": [{}, {}]}});
        assert_eq!(
            text(&usage("services", &service)),
            "count/services=1,services=1,services.loadbalancers=1,services.nodeports=2"
        );
        let claim = json!({"spec": {"storageClassName": "fast", "resources": {"requests": {"storage": "1Gi"}}}});
        assert_eq!(
            text(&usage("persistentvolumeclaims", &claim)),
            "count/persistentvolumeclaims=1,fast.storageclass.storage.k8s.io/persistentvolumeclaims=1,\
             fast.storageclass.storage.k8s.io/requests.storage=1Gi,persistentvolumeclaims=1,requests.storage=1Gi"
        );
    }

    #[test]
    fn scopes_choose_pods() {
        let quota = |scope: &str| json!({"spec": {"scopes": [scope]}});
        let pod = json!({"spec": {"containers": [{}], "activeDeadlineSeconds": 5}});
        for (scope, expected) in [
            ("Terminating", true),
            ("NotTerminating", false),
            ("BestEffort", true),
            ("NotBestEffort", false),
            ("PriorityClass", false),
        ] {
            assert_eq!(
                is_in_scope(&quota(scope), "pods", &pod),
                expected,
                "{scope}"
            );
        }
        assert!(!is_in_scope(&quota("BestEffort"), "configmaps", &json!({})));
    }
}
