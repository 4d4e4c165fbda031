//! Services: load balancer addresses, Endpoints and EndpointSlices.

use std::sync::Arc;

use serde_json::{Value, json};

use super::workload::{Context, is_ready};
use super::{Next, Outcome};
use crate::status::Result;
use crate::store::{Object, key};
use crate::verbs::delete::DeleteOptions;
use crate::verbs::selector::Selector;

const SERVICES: &str = "services";
const ENDPOINTS: &str = "endpoints";
const SLICES: &str = "endpointslices.discovery.k8s.io";
const TRIGGER: &str = "endpoints.kubernetes.io/last-change-trigger-time";

/// Looks at one Service.
pub(super) fn reconcile(cx: &Context<'_>, service_key: &str) -> Outcome {
    let table = cx.app.store.table(SERVICES);
    let Some(object) = table.get(service_key) else {
        return forget(cx, service_key);
    };
    let service = object.value();
    if object.deleting {
        return Ok(Next::Done);
    }
    balance(cx, &object, &service)?;
    let selector = &service["spec"]["selector"];
    if selector.as_object().is_none_or(serde_json::Map::is_empty)
        || service["spec"]["type"] == "ExternalName"
    {
        return Ok(Next::Done);
    }
    let prefix = format!("{}/", object.namespace().unwrap_or_default());
    let selector = Selector::of_map(selector);
    let all = cx
        .app
        .store
        .table("pods")
        .list(&prefix, None, None)
        .map(|all| all.objects)
        .unwrap_or_default();
    let pods: Vec<Value> = all
        .iter()
        .filter(|pod| selector.matches(pod))
        .map(|pod| pod.value())
        .filter(|pod| {
            pod["status"]["podIP"].is_string()
                && !matches!(
                    pod["status"]["phase"].as_str(),
                    Some("Succeeded" | "Failed")
                )
        })
        .collect();
    write_endpoints(cx, &object, &service, &pods)?;
    write_slice(cx, &object, &service, &pods)?;
    Ok(Next::Done)
}

/// The Endpoints of a Service that is gone go too; EndpointSlices have an owner.
fn forget(cx: &Context<'_>, service_key: &str) -> Outcome {
    if let Some(found) = cx.app.store.table(ENDPOINTS).get(service_key)
        && found.label("endpoints.kubernetes.io/managed-by") == Some("endpoint-controller")
    {
        cx.actor.delete(
            cx.actor.resource(ENDPOINTS)?,
            &found,
            &DeleteOptions::default(),
        )?;
    }
    Ok(Next::Done)
}

/// A load balancer gets its address at once.
fn balance(cx: &Context<'_>, object: &Object, service: &Value) -> Result<()> {
    let wanted =
        service["spec"]["type"] == "LoadBalancer" && service["spec"]["loadBalancerClass"].is_null();
    let has = service["status"]["loadBalancer"]["ingress"].is_array();
    if wanted == has {
        return Ok(());
    }
    let bits = object.uid.bytes().fold(7u32, |hash, byte| {
        hash.wrapping_mul(31).wrapping_add(u32::from(byte))
    });
    let asked = service["spec"]["loadBalancerIP"]
        .as_str()
        .filter(|ip| !ip.is_empty())
        .map(str::to_owned);
    let ip = asked.unwrap_or_else(|| format!("172.18.{}.{}", bits >> 8 & 0xff, 1 + bits % 254));
    cx.actor.update(
        SERVICES,
        object.namespace(),
        object.name(),
        "status",
        &|service: &mut Value| {
            service["status"]["loadBalancer"] = if wanted {
                json!({"ingress": [{"ip": ip, "ipMode": "VIP"}]})
            } else {
                json!({})
            };
            Ok(())
        },
    )?;
    Ok(())
}

/// The number of a port in a pod: itself, or that of the named port.
fn port_number(target: &Value, port: &Value, pod: &Value) -> Option<i64> {
    match target {
        Value::Number(number) => number.as_i64(),
        Value::String(name) => {
            let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
            let mut ports = containers
                .flat_map(|container| container["ports"].as_array().into_iter().flatten());
            let found = ports.find(|known| known["name"] == **name)?;
            found["containerPort"].as_i64()
        }
        _ => port.as_i64(),
    }
}

/// The ports of a Service as they are in its pods.
fn ports(service: &Value, pod: Option<&Value>) -> Vec<Value> {
    let all = service["spec"]["ports"].as_array().into_iter().flatten();
    let empty = json!({});
    all.filter_map(|port| {
        let number = port_number(&port["targetPort"], &port["port"], pod.unwrap_or(&empty))?;
        let mut shown =
            json!({"port": number, "protocol": port["protocol"].as_str().unwrap_or("TCP")});
        for name in ["name", "appProtocol"] {
            if let Some(value) = port.get(name) {
                shown[name] = value.clone();
            }
        }
        Some(shown)
    })
    .collect()
}

fn target(pod: &Value) -> Value {
    let metadata = &pod["metadata"];
    json!({"kind": "Pod", "name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"]})
}

fn managed_labels(service: &Value, own: &[(&str, &str)]) -> Value {
    let mut labels = service["metadata"]["labels"].clone();
    if !labels.is_object() {
        labels = json!({});
    }
    for (key, value) in own {
        labels[*key] = (*value).into();
    }
    if service["spec"]["clusterIP"] == "None" {
        labels["service.kubernetes.io/headless"] = "".into();
    }
    labels
}

fn write_endpoints(
    cx: &Context<'_>,
    object: &Object,
    service: &Value,
    pods: &[Value],
) -> Result<()> {
    let address = |pod: &Value| json!({"ip": pod["status"]["podIP"], "nodeName": pod["spec"]["nodeName"], "targetRef": target(pod)});
    let publish_all = service["spec"]["publishNotReadyAddresses"] == true;
    let live = || {
        pods.iter()
            .filter(|pod| !pod["metadata"]["deletionTimestamp"].is_string())
    };
    let mut subset = json!({"ports": ports(service, pods.first())});
    let ready: Vec<Value> = live()
        .filter(|pod| publish_all || is_ready(pod))
        .map(address)
        .collect();
    let waiting: Vec<Value> = live()
        .filter(|pod| !publish_all && !is_ready(pod))
        .map(address)
        .collect();
    let any = !ready.is_empty() || !waiting.is_empty();
    if !ready.is_empty() {
        subset["addresses"] = ready.into();
    }
    if !waiting.is_empty() {
        subset["notReadyAddresses"] = waiting.into();
    }
    let subsets = any.then(|| json!([subset]));
    let labels = managed_labels(
        service,
        &[("endpoints.kubernetes.io/managed-by", "endpoint-controller")],
    );
    match cx.app.store.table(ENDPOINTS).get(&object.key) {
        None => {
            let mut endpoints = json!({
                "metadata": {
                    "name": object.name(), "namespace": object.namespace(), "labels": labels,
                    "annotations": {TRIGGER: service["metadata"]["creationTimestamp"]},
                },
            });
            if let Some(subsets) = subsets {
                endpoints["subsets"] = subsets;
            }
            match cx.actor.create(ENDPOINTS, object.namespace(), endpoints) {
                Err(status) if status.reason != "AlreadyExists" => Err(status),
                _ => Ok(()),
            }
        }
        Some(found) => {
            let value = found.value();
            if value.get("subsets") == subsets.as_ref() && value["metadata"]["labels"] == labels {
                return Ok(());
            }
            cx.actor.update(
                ENDPOINTS,
                object.namespace(),
                object.name(),
                "",
                &|value: &mut Value| {
                    value["metadata"]["labels"] = labels.clone();
                    value["metadata"]["annotations"][TRIGGER] = cx.now.as_str().into();
                    match (&subsets, value.as_object_mut()) {
                        (Some(subsets), Some(map)) => map.insert("subsets".into(), subsets.clone()),
                        (None, Some(map)) => map.remove("subsets"),
                        _ => None,
                    };
                    Ok(())
                },
            )?;
            Ok(())
        }
    }
}

fn write_slice(cx: &Context<'_>, object: &Object, service: &Value, pods: &[Value]) -> Result<()> {
    let publish_all = service["spec"]["publishNotReadyAddresses"] == true;
    let endpoint = |pod: &Value| {
        let terminating = pod["metadata"]["deletionTimestamp"].is_string();
        let serving = is_ready(pod);
        let mut shown = json!({
            "addresses": [pod["status"]["podIP"]],
            "conditions": {"ready": (serving && !terminating) || publish_all, "serving": serving, "terminating": terminating},
            "nodeName": pod["spec"]["nodeName"], "targetRef": target(pod),
        });
        if let Some(hostname) = pod["spec"]["hostname"]
            .as_str()
            .filter(|_| pod["spec"]["subdomain"] == object.name())
        {
            shown["hostname"] = hostname.into();
        }
        shown
    };
    let endpoints: Vec<Value> = pods.iter().map(endpoint).collect();
    let mut shown_ports = if pods.is_empty() {
        Vec::new()
    } else {
        ports(service, pods.first())
    };
    for port in &mut shown_ports {
        if port.get("name").is_none() {
            port["name"] = "".into();
        }
    }
    let endpoints = if endpoints.is_empty() {
        Value::Null
    } else {
        Value::Array(endpoints)
    };
    let shown_ports = if shown_ports.is_empty() {
        Value::Null
    } else {
        Value::Array(shown_ports)
    };
    let labels = managed_labels(
        service,
        &[
            (
                "endpointslice.kubernetes.io/managed-by",
                "endpointslice-controller.k8s.io",
            ),
            ("kubernetes.io/service-name", object.name()),
        ],
    );
    let known = cx.graph.dependents(cx.app, &object.uid, SLICES);
    match known.first() {
        None => {
            let slice = json!({
                "metadata": {
                    "generateName": format!("{}-", object.name()), "namespace": object.namespace(), "labels": labels,
                    "annotations": {TRIGGER: service["metadata"]["creationTimestamp"]},
                    "ownerReferences": [super::workload::reference(service)],
                },
                "addressType": "IPv4", "endpoints": endpoints, "ports": shown_ports,
            });
            cx.actor.create(SLICES, object.namespace(), slice)?;
        }
        Some(found) => {
            let value = found.value();
            if value["endpoints"] == endpoints
                && value["ports"] == shown_ports
                && value["metadata"]["labels"] == labels
            {
                return Ok(());
            }
            cx.actor.update(
                SLICES,
                object.namespace(),
                found.name(),
                "",
                &|value: &mut Value| {
                    value["endpoints"] = endpoints.clone();
                    value["ports"] = shown_ports.clone();
                    value["metadata"]["labels"] = labels.clone();
                    value["metadata"]["annotations"][TRIGGER] = cx.now.as_str().into();
                    Ok(())
                },
            )?;
        }
    }
    Ok(())
}

/// The Services of a namespace that select these labels.
pub(super) fn selecting(
    cx_store: &crate::store::Store,
    namespace: &str,
    pod: &Object,
) -> Vec<Arc<str>> {
    let all = cx_store
        .table(SERVICES)
        .list(&format!("{namespace}/"), None, None)
        .map(|all| all.objects);
    let selects = |service: &Arc<Object>| {
        let value = service.value();
        let selector = &value["spec"]["selector"];
        selector.as_object().is_some_and(|map| !map.is_empty())
            && Selector::of_map(selector).matches(pod)
    };
    all.unwrap_or_default()
        .iter()
        .filter(|service| selects(service))
        .map(|service| key(Some(namespace), service.name()))
        .collect()
}
