//! All other groups: networking, storage, access, admission, scheduling.

use jiff::Timestamp;
use serde_json::Value;

use super::Cells;
use super::format::{age, human_duration, items, joined, name, number, or, selector, size, text};

pub(super) fn printer(plural: &str) -> Option<Cells> {
    Some(match plural {
        "ingresses" => ingress,
        "ingressclasses" => |o, now| {
            let parameters = &o["spec"]["parameters"];
            let shown = if parameters.is_object() {
                let group = text(&parameters["apiGroup"]);
                let group = if group.is_empty() {
                    String::new()
                } else {
                    format!(".{group}")
                };
                format!(
                    "{}{group}/{}",
                    text(&parameters["kind"]),
                    text(&parameters["name"])
                )
            } else {
                "<none>".to_owned()
            };
            vec![
                name(o),
                text(&o["spec"]["controller"]).into(),
                shown.into(),
                age(o, now),
            ]
        },
        "networkpolicies" => |o, now| {
            vec![
                name(o),
                selector(&o["spec"]["podSelector"]).into(),
                age(o, now),
            ]
        },
        "ipaddresses" => |o, _| {
            let parent = &o["spec"]["parentRef"];
            let group = text(&parent["group"]);
            let resource = text(&parent["resource"]);
            let resource = if group.is_empty() {
                resource.to_owned()
            } else {
                format!("{resource}.{group}")
            };
            let parts = [
                resource,
                text(&parent["namespace"]).to_owned(),
                text(&parent["name"]).to_owned(),
            ];
            vec![
                name(o),
                joined(parts.into_iter().filter(|part| !part.is_empty()), "/").into(),
            ]
        },
        "servicecidrs" => |o, now| {
            vec![
                name(o),
                joined(
                    items(&o["spec"]["cidrs"]).map(|one| text(one).to_owned()),
                    ",",
                )
                .into(),
                age(o, now),
            ]
        },
        "poddisruptionbudgets" => |o, now| {
            let limit = |key: &str| match &o["spec"][key] {
                Value::Null => "N/A".to_owned(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            vec![
                name(o),
                limit("minAvailable").into(),
                limit("maxUnavailable").into(),
                number(&o["status"]["disruptionsAllowed"]),
                age(o, now),
            ]
        },
        "rolebindings" | "clusterrolebindings" => binding,
        "storageclasses" => |o, now| {
            let default = o["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"]
                == "true";
            let shown = if default {
                format!("{} (default)", text(&o["metadata"]["name"]))
            } else {
                text(&o["metadata"]["name"]).into()
            };
            vec![
                shown.into(),
                text(&o["provisioner"]).into(),
                or(&o["reclaimPolicy"], "Delete").into(),
                or(&o["volumeBindingMode"], "<unset>").into(),
                o["allowVolumeExpansion"].as_bool().unwrap_or(false).into(),
                age(o, now),
            ]
        },
        "csidrivers" => |o, now| {
            let spec = &o["spec"];
            let flag = |key: &str, default: bool| spec[key].as_bool().unwrap_or(default).into();
            let tokens = joined(
                items(&spec["tokenRequests"]).map(|one| text(&one["audience"]).to_owned()),
                ",",
            );
            let modes = joined(
                items(&spec["volumeLifecycleModes"]).map(|one| text(one).to_owned()),
                ",",
            );
            vec![
                name(o),
                flag("attachRequired", true),
                flag("podInfoOnMount", false),
                flag("storageCapacity", false),
                if tokens.is_empty() {
                    "<unset>".into()
                } else {
                    tokens.into()
                },
                flag("requiresRepublish", false),
                if modes.is_empty() {
                    "<none>".into()
                } else {
                    modes.into()
                },
                age(o, now),
            ]
        },
        "csinodes" => |o, now| vec![name(o), size(&o["spec"]["drivers"]), age(o, now)],
        "volumeattachments" => |o, now| {
            let spec = &o["spec"];
            vec![
                name(o),
                text(&spec["attacher"]).into(),
                text(&spec["source"]["persistentVolumeName"]).into(),
                text(&spec["nodeName"]).into(),
                o["status"]["attached"].as_bool().unwrap_or(false).into(),
                age(o, now),
            ]
        },
        "volumeattributesclasses" => {
            |o, now| vec![name(o), text(&o["driverName"]).into(), age(o, now)]
        }
        "mutatingwebhookconfigurations" | "validatingwebhookconfigurations" => {
            |o, now| vec![name(o), size(&o["webhooks"]), age(o, now)]
        }
        "validatingadmissionpolicies" => |o, now| admission(o, "validations", now),
        "mutatingadmissionpolicies" => |o, now| admission(o, "mutations", now),
        "validatingadmissionpolicybindings" | "mutatingadmissionpolicybindings" => |o, now| {
            let reference = &o["spec"]["paramRef"];
            let shown = match (reference.is_object(), text(&reference["name"])) {
                (false, _) => "<unset>".to_owned(),
                (true, "") => selector(&reference["selector"]),
                (true, name) => match text(&reference["namespace"]) {
                    "" => format!("*/{name}"),
                    namespace => format!("{namespace}/{name}"),
                },
            };
            vec![
                name(o),
                text(&o["spec"]["policyName"]).into(),
                shown.into(),
                age(o, now),
            ]
        },
        "priorityclasses" => |o, now| {
            vec![
                name(o),
                number(&o["value"]),
                o["globalDefault"].as_bool().unwrap_or(false).into(),
                age(o, now),
                text(&o["preemptionPolicy"]).into(),
            ]
        },
        "leases" => |o, now| {
            vec![
                name(o),
                text(&o["spec"]["holderIdentity"]).into(),
                age(o, now),
            ]
        },
        "runtimeclasses" => |o, now| vec![name(o), text(&o["handler"]).into(), age(o, now)],
        "endpointslices" => endpoint_slice,
        "deviceclasses" | "resourceclaimtemplates" => |o, now| vec![name(o), age(o, now)],
        "resourceclaims" => |o, now| {
            let status = &o["status"];
            let mut states = Vec::new();
            if o["metadata"]["deletionTimestamp"].is_string() {
                states.push("deleted");
            }
            if status["allocation"].is_null() {
                if o["metadata"]["deletionTimestamp"].is_null() {
                    states.push("pending");
                }
            } else {
                states.push("allocated");
                let reserved = items(&status["reservedFor"]).next().is_some();
                states.extend(reserved.then_some("reserved"));
            }
            vec![name(o), states.join(",").into(), age(o, now)]
        },
        "resourceslices" => |o, now| {
            let spec = &o["spec"];
            let node = or(
                &spec["nodeName"],
                if spec["allNodes"] == true {
                    "<all>"
                } else {
                    "<unset>"
                },
            );
            vec![
                name(o),
                node.into(),
                text(&spec["driver"]).into(),
                text(&spec["pool"]["name"]).into(),
                age(o, now),
            ]
        },
        "apiservices" => |o, now| {
            let service = &o["spec"]["service"];
            let shown = match text(&service["name"]) {
                "" => "Local".to_owned(),
                name => format!("{}/{name}", text(&service["namespace"])),
            };
            let available =
                items(&o["status"]["conditions"]).find(|one| one["type"] == "Available");
            let state = available.map_or("Unknown".to_owned(), |one| {
                match (text(&one["status"]), text(&one["reason"])) {
                    ("True", _) => "True".to_owned(),
                    (status, reason) => format!("{status} ({reason})"),
                }
            });
            vec![name(o), shown.into(), state.into(), age(o, now)]
        },
        "certificatesigningrequests" => |o, now| {
            let spec = &o["spec"];
            let duration = spec["expirationSeconds"]
                .as_i64()
                .map_or("<none>".to_owned(), human_duration);
            let kinds: Vec<&str> = items(&o["status"]["conditions"])
                .map(|one| text(&one["type"]))
                .collect();
            let state = match kinds
                .iter()
                .rfind(|kind| matches!(**kind, "Approved" | "Denied"))
            {
                Some(kind) => (*kind).to_owned(),
                None => "Pending".to_owned(),
            };
            let failed = if kinds.contains(&"Failed") {
                ",Failed"
            } else {
                ""
            };
            let issued = if text(&o["status"]["certificate"]).is_empty() {
                ""
            } else {
                ",Issued"
            };
            vec![
                name(o),
                age(o, now),
                or(&spec["signerName"], "<none>").into(),
                text(&spec["username"]).into(),
                duration.into(),
                format!("{state}{failed}{issued}").into(),
            ]
        },
        "flowschemas" => |o, now| {
            let spec = &o["spec"];
            let dangling = items(&o["status"]["conditions"]).find(|one| one["type"] == "Dangling");
            vec![
                name(o),
                text(&spec["priorityLevelConfiguration"]["name"]).into(),
                number(&spec["matchingPrecedence"]),
                or(&spec["distinguisherMethod"]["type"], "<none>").into(),
                age(o, now),
                dangling.map_or("?", |one| text(&one["status"])).into(),
            ]
        },
        "prioritylevelconfigurations" => |o, now| {
            let limited = &o["spec"]["limited"];
            let queuing = &limited["limitResponse"]["queuing"];
            let shown = |value: &Value| {
                value
                    .as_i64()
                    .map_or_else(|| Value::from("<none>"), Value::from)
            };
            vec![
                name(o),
                text(&o["spec"]["type"]).into(),
                shown(&limited["nominalConcurrencyShares"]),
                shown(&queuing["queues"]),
                shown(&queuing["handSize"]),
                shown(&queuing["queueLengthLimit"]),
                age(o, now),
            ]
        },
        _ => return None,
    })
}

fn ingress(o: &Value, now: Timestamp) -> Vec<Value> {
    let spec = &o["spec"];
    let hosts: Vec<String> = items(&spec["rules"])
        .map(|rule| text(&rule["host"]).to_owned())
        .filter(|host| !host.is_empty())
        .collect();
    let hosts = match hosts.len() {
        0 => "*".to_owned(),
        count if count > 3 => format!("{} + {} more...", hosts[..3].join(","), count - 3),
        _ => hosts.join(","),
    };
    let address = joined(
        items(&o["status"]["loadBalancer"]["ingress"]).map(|one| {
            one["ip"]
                .as_str()
                .unwrap_or_else(|| text(&one["hostname"]))
                .to_owned()
        }),
        ",",
    );
    let secure = items(&spec["tls"]).next().is_some();
    vec![
        name(o),
        or(&spec["ingressClassName"], "<none>").into(),
        hosts.into(),
        address.into(),
        if secure {
            "80, 443".into()
        } else {
            "80".into()
        },
        age(o, now),
    ]
}

fn binding(o: &Value, now: Timestamp) -> Vec<Value> {
    let subjects = |kind: &str| {
        let own = items(&o["subjects"]).filter(|one| one["kind"] == kind);
        joined(
            own.map(|one| match kind {
                "ServiceAccount" => format!("{}/{}", text(&one["namespace"]), text(&one["name"])),
                _ => text(&one["name"]).to_owned(),
            }),
            ", ",
        )
    };
    let role = format!(
        "{}/{}",
        text(&o["roleRef"]["kind"]),
        text(&o["roleRef"]["name"])
    );
    vec![
        name(o),
        role.into(),
        age(o, now),
        subjects("User").into(),
        subjects("Group").into(),
        subjects("ServiceAccount").into(),
    ]
}

fn admission(o: &Value, key: &str, now: Timestamp) -> Vec<Value> {
    let kind = &o["spec"]["paramKind"];
    let shown = if kind.is_object() {
        format!("{}/{}", text(&kind["apiVersion"]), text(&kind["kind"]))
    } else {
        "<unset>".to_owned()
    };
    vec![name(o), size(&o["spec"][key]), shown.into(), age(o, now)]
}

fn endpoint_slice(o: &Value, now: Timestamp) -> Vec<Value> {
    let ports: Vec<String> = items(&o["ports"])
        .map(|port| match &port["port"] {
            Value::Null => "*".to_owned(),
            number => number.to_string(),
        })
        .collect();
    let ports = match ports.len() {
        0 => "<unset>".to_owned(),
        count if count > 3 => format!("{} + {} more...", ports[..3].join(","), count - 3),
        _ => ports.join(","),
    };
    let mut addresses: Vec<String> = Vec::new();
    let (mut seen, mut total) = (false, 0);
    for endpoint in items(&o["endpoints"]) {
        seen = true;
        total += items(&endpoint["addresses"]).count();
        addresses.extend(items(&endpoint["addresses"]).map(|one| text(one).to_owned()));
    }
    let shown = match total {
        _ if !seen => "<unset>".to_owned(),
        count if count > 3 => format!("{} + {} more...", addresses[..3].join(","), count - 3),
        _ => addresses.join(","),
    };
    vec![
        name(o),
        text(&o["addressType"]).into(),
        ports.into(),
        shown.into(),
        age(o, now),
    ]
}
