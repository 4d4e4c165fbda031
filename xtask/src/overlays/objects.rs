//! Random objects of the kinds that kustomize knows something about, and of some that it does not.

use serde_json::{Map, Value, json};

use super::random::Random;
use super::writer::raw;

/// Few names, so that objects refer to each other.
pub const NAMES: [&str; 8] = ["app", "web", "db", "cfg", "sec", "sa", "svc", "my.app-1"];
pub const NAMESPACES: [&str; 4] = ["default", "prod", "ns1", "kube-system"];
pub const IMAGES: [&str; 9] = [
    "nginx",
    "nginx:1.7.9",
    "nginx:latest",
    "docker.io/library/nginx:1.2",
    "registry:5000/team/app:v1",
    "registry:5000/team/app",
    "app@sha256:abcdef0123",
    "app:v1@sha256:abcdef0123",
    "busybox:1.36-musl",
];
pub const LABELS: [&str; 7] = [
    "app",
    "tier",
    "app.kubernetes.io/name",
    "env",
    "team",
    "example.com/long-label.key",
    "z",
];
const TEXTS: [&str; 22] = [
    "plain",
    "two words",
    "1",
    "true",
    "yes",
    "0755",
    "1.50",
    "null",
    "",
    " leading",
    "trailing ",
    "a: b",
    "a #b",
    "line one\nline two\n",
    "line one\nline two",
    "no end\n\n",
    "tab\there",
    "emoji \u{1f600} here",
    "日本語",
    "{\"a\": 1, \"b\": [1, 2, {\"c\": \"d\"}]}",
    "a: 1\nb:\n  c: d\nlist:\n- x: 1\n- x: 2\n",
    "http://example.com:8080/path/to/app?x=1&y=2",
];
const RAWS: [&str; 34] = [
    "1",
    "0",
    "-1",
    "+5",
    "1.5",
    "1.50",
    "1e3",
    "1.0",
    "0755",
    "0o17",
    "0x1F",
    "0b11",
    "1_000",
    "true",
    "false",
    "True",
    "yes",
    "no",
    "on",
    "y",
    "null",
    "~",
    "",
    "2020-01-01",
    ".5",
    "1:30",
    "!!str 5",
    "!!int \"5\"",
    "1234567.5",
    "12345678901234567890",
    "99999999999999999999",
    "'1'",
    "\"true\"",
    "'' # empty",
];
const LONG: &str = "this is a text that is long enough to be folded by an emitter that folds at eighty columns, with 'quotes' and more words";

/// A text that people write, or one that they should not.
pub fn text(random: &mut Random) -> String {
    match random.below(20) {
        0 => LONG.to_owned(),
        1 => format!("{LONG}: {LONG}"),
        2 => {
            let words = [
                "a", "-", ":", "#", "'", "\"", "x y", "\\", "%", "@", "&", "*", "?", "|", ">", "!",
                "{", "}", "[", "]", ",", "=", "~", " ", "1", "é",
            ];
            (0..random.between(1, 6))
                .map(|_| random.word(&words))
                .collect()
        }
        _ => random.word(&TEXTS),
    }
}

/// A scalar of any type, written in any way.
pub fn scalar(random: &mut Random) -> Value {
    match random.below(10) {
        0..=3 => raw(&random.word(&RAWS)),
        4 => json!(random.below(100_000)),
        5 => json!(random.chance(50)),
        _ => Value::String(text(random)),
    }
}

/// Any value, not too deep.
pub fn value(random: &mut Random, depth: usize) -> Value {
    match random.below(if depth == 0 { 1 } else { 4 }) {
        1 => {
            let mut map = Map::new();
            for _ in 0..random.below(4) {
                let key = random.word(&[
                    "a", "b", "name", "key", "spec", "value", "x-y", "k1", "k10", "k9",
                ]);
                map.insert(key, value(random, depth - 1));
            }
            Value::Object(map)
        }
        2 => (0..random.below(4))
            .map(|_| value(random, depth - 1))
            .collect(),
        _ => scalar(random),
    }
}

/// Labels or annotations; texts only, unless `odd`.
pub fn pairs(random: &mut Random, odd: bool) -> Value {
    let mut map = Map::new();
    for _ in 0..random.between(1, 3) {
        let value = if odd && random.chance(15) {
            scalar(random)
        } else {
            Value::String(random.word(&["web", "db", "prod", "a-b", "v1.2", "x"]))
        };
        map.insert(random.word(&LABELS), value);
    }
    Value::Object(map)
}

fn name(random: &mut Random) -> String {
    random.word(&NAMES)
}

/// Sets a field in some of all cases.
fn maybe(
    random: &mut Random,
    percent: usize,
    map: &mut Value,
    key: &str,
    make: impl FnOnce(&mut Random) -> Value,
) {
    if random.chance(percent) {
        let value = make(random);
        map[key] = value;
    }
}

fn list(
    random: &mut Random,
    low: usize,
    high: usize,
    mut make: impl FnMut(&mut Random) -> Value,
) -> Value {
    (0..random.between(low, high))
        .map(|_| make(random))
        .collect()
}

fn env(random: &mut Random) -> Value {
    let env = random.word(&["FOO", "BAR", "BAZ", "QUX"]);
    match random.below(6) {
        0 => {
            json!({"name": env, "valueFrom": {"configMapKeyRef": {"name": name(random), "key": "k"}}})
        }
        1 => {
            json!({"name": env, "valueFrom": {"secretKeyRef": {"name": name(random), "key": "k"}}})
        }
        2 => {
            json!({"name": env, "value": random.word(&["$(NAME)", "http://$(NAME).$(NS):80", "$$(NAME)", "$(UNKNOWN)", "$(NAME"])})
        }
        3 => json!({"name": env, "value": scalar(random)}),
        _ => json!({"name": env, "value": text(random)}),
    }
}

fn container(random: &mut Random) -> Value {
    let mut it = json!({"name": random.word(&["main", "side", "log"])});
    maybe(random, 90, &mut it, "image", |r| json!(r.word(&IMAGES)));
    maybe(random, 45, &mut it, "env", |r| list(r, 0, 3, env));
    maybe(random, 20, &mut it, "envFrom", |r| {
        list(r, 1, 2, |r| {
            let kind = r.word(&["configMapRef", "secretRef"]);
            json!({kind: {"name": name(r)}})
        })
    });
    maybe(random, 40, &mut it, "ports", |r| {
        list(r, 0, 3, |r| {
            let mut port = json!({"containerPort": *r.pick(&[80, 443, 8080])});
            maybe(r, 30, &mut port, "name", |r| {
                json!(r.word(&["http", "https"]))
            });
            maybe(r, 30, &mut port, "protocol", |r| {
                json!(r.word(&["TCP", "UDP"]))
            });
            port
        })
    });
    maybe(random, 20, &mut it, "volumeMounts", |r| {
        list(
            r,
            1,
            2,
            |r| json!({"name": r.word(&["v1", "v2"]), "mountPath": r.word(&["/data", "/etc/$(NAME)", "/tmp"])}),
        )
    });
    maybe(random, 20, &mut it, "args", |r| {
        list(r, 0, 3, |r| {
            json!(r.word(&["--name=$(NAME)", "-v", "--x", "$(NS)", "$(PORT)"]))
        })
    });
    maybe(random, 10, &mut it, "command", |r| {
        list(r, 1, 2, |r| json!(r.word(&["sh", "-c", "echo $(NAME)"])))
    });
    maybe(
        random,
        15,
        &mut it,
        "resources",
        |r| json!({"limits": {"cpu": if r.chance(50) { json!("100m") } else { json!(1) }, "memory": "64Mi"}}),
    );
    it
}

fn volume(random: &mut Random) -> Value {
    let volume = random.word(&["v1", "v2", "v3"]);
    match random.below(7) {
        0 => json!({"name": volume, "configMap": {"name": name(random)}}),
        1 => json!({"name": volume, "secret": {"secretName": name(random)}}),
        2 => json!({"name": volume, "persistentVolumeClaim": {"claimName": name(random)}}),
        3 => {
            json!({"name": volume, "projected": {"sources": [{"configMap": {"name": name(random)}}, {"secret": {"name": name(random)}}]}})
        }
        4 => json!({"name": volume, "nfs": {"server": "$(NAME)", "path": "/"}}),
        5 => json!({"name": volume, "image": {"reference": random.word(&IMAGES)}}),
        _ => json!({"name": volume, "emptyDir": {}}),
    }
}

fn selector(random: &mut Random) -> Value {
    let pairs = pairs(random, false);
    json!({"labelSelector": {"matchLabels": pairs}, "topologyKey": "zone"})
}

/// The spec of a pod.
fn pod_spec(random: &mut Random) -> Value {
    let containers = list(random, 1, 3, container);
    let mut it = json!({"containers": containers});
    maybe(random, 20, &mut it, "initContainers", |r| {
        list(r, 1, 2, container)
    });
    maybe(random, 35, &mut it, "volumes", |r| list(r, 0, 3, volume));
    maybe(random, 25, &mut it, "serviceAccountName", |r| {
        json!(name(r))
    });
    maybe(random, 10, &mut it, "priorityClassName", |r| json!(name(r)));
    maybe(random, 15, &mut it, "imagePullSecrets", |r| {
        list(r, 1, 2, |r| json!({"name": name(r)}))
    });
    maybe(random, 10, &mut it, "nodeSelector", |r| pairs(r, true));
    maybe(random, 10, &mut it, "tolerations", |r| {
        list(
            r,
            1,
            2,
            |r| json!({"key": r.word(&["a", "b"]), "operator": "Exists"}),
        )
    });
    maybe(random, 8, &mut it, "hostAliases", |r| {
        list(
            r,
            1,
            2,
            |r| json!({"ip": r.word(&["1.1.1.1", "2.2.2.2"]), "hostnames": ["h"]}),
        )
    });
    maybe(random, 12, &mut it, "topologySpreadConstraints", |r| {
        list(r, 1, 3, |r| {
            let mut it = json!({"topologyKey": r.word(&["zone", "host"]), "maxSkew": 1});
            maybe(r, 80, &mut it, "whenUnsatisfiable", |r| {
                json!(r.word(&["DoNotSchedule", "ScheduleAnyway"]))
            });
            maybe(
                r,
                50,
                &mut it,
                "labelSelector",
                |r| json!({"matchLabels": pairs(r, false)}),
            );
            it
        })
    });
    maybe(random, 10, &mut it, "affinity", |r| {
        let side = r.word(&["podAffinity", "podAntiAffinity"]);
        if r.chance(50) {
            json!({side: {"requiredDuringSchedulingIgnoredDuringExecution": [selector(r)]}})
        } else {
            json!({side: {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": selector(r)}]}})
        }
    });
    maybe(random, 5, &mut it, "restartPolicy", |_| json!("Never"));
    it
}

/// A pod template.
fn template(random: &mut Random) -> Value {
    let mut metadata = json!({});
    maybe(random, 70, &mut metadata, "labels", |r| pairs(r, false));
    maybe(random, 25, &mut metadata, "annotations", |r| pairs(r, true));
    if random.chance(15) {
        metadata["creationTimestamp"] = Value::Null;
    }
    let spec = pod_spec(random);
    if metadata == json!({}) {
        return json!({"spec": spec});
    }
    json!({"metadata": metadata, "spec": spec})
}

fn workload(random: &mut Random, kind: &str) -> Value {
    let mut spec = json!({"template": template(random)});
    maybe(
        random,
        70,
        &mut spec,
        "selector",
        |r| json!({"matchLabels": pairs(r, false)}),
    );
    maybe(random, 60, &mut spec, "replicas", |r| json!(r.below(5)));
    if kind == "StatefulSet" {
        maybe(random, 60, &mut spec, "serviceName", |r| json!(name(r)));
        maybe(random, 40, &mut spec, "volumeClaimTemplates", |r| {
            list(r, 1, 2, |r| {
                let mut it =
                    json!({"metadata": {"name": "v1"}, "spec": {"storageClassName": name(r)}});
                maybe(r, 40, &mut it["metadata"], "labels", |r| pairs(r, false));
                it
            })
        });
    }
    if kind == "Deployment" {
        maybe(random, 20, &mut spec, "strategy", |r| {
            if r.chance(50) {
                json!({"type": "Recreate"})
            } else {
                json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": "25%"}})
            }
        });
    }
    let mut it = json!({"spec": spec});
    maybe(
        random,
        5,
        &mut it,
        "status",
        |_| json!({"conditions": [{"type": "Ready", "status": "True"}]}),
    );
    it
}

fn backend(random: &mut Random, api: &str) -> Value {
    if api.ends_with("v1beta1") {
        json!({"serviceName": name(random), "servicePort": 80})
    } else {
        json!({"service": {"name": name(random), "port": {"number": 80}}})
    }
}

fn subject(random: &mut Random) -> Value {
    let mut it = json!({
        "kind": random.word(&["ServiceAccount", "ServiceAccount", "User", "Group"]),
        "name": if random.chance(25) { "default".to_owned() } else { name(random) },
    });
    maybe(random, 50, &mut it, "namespace", |r| {
        json!(r.word(&NAMESPACES))
    });
    it
}

fn binding(random: &mut Random) -> Value {
    let mut it = json!({
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": random.word(&["Role", "ClusterRole"]), "name": name(random)},
    });
    maybe(random, 90, &mut it, "subjects", |r| list(r, 1, 3, subject));
    it
}

fn rules(random: &mut Random) -> Value {
    let rules = list(random, 1, 2, |r| {
        let mut it = json!({"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]});
        maybe(r, 50, &mut it, "resourceNames", |r| {
            list(r, 1, 2, |r| json!(name(r)))
        });
        it
    });
    json!({"rules": rules})
}

/// apiVersion, kind and how often.
const KINDS: [(&str, &str, usize); 44] = [
    ("apps/v1", "Deployment", 22),
    ("v1", "ConfigMap", 16),
    ("v1", "Service", 12),
    ("v1", "Secret", 8),
    ("apps/v1", "StatefulSet", 7),
    ("example.com/v1", "Foo", 7),
    ("v1", "Pod", 4),
    ("apps/v1", "DaemonSet", 3),
    ("apps/v1", "ReplicaSet", 2),
    ("v1", "ReplicationController", 2),
    ("batch/v1", "Job", 3),
    ("batch/v1", "CronJob", 4),
    ("batch/v1beta1", "CronJob", 1),
    ("v1", "PodTemplate", 1),
    ("extensions/v1beta1", "Deployment", 2),
    ("networking.k8s.io/v1", "Ingress", 4),
    ("networking.k8s.io/v1beta1", "Ingress", 1),
    ("v1", "ServiceAccount", 5),
    ("rbac.authorization.k8s.io/v1", "Role", 3),
    ("rbac.authorization.k8s.io/v1", "ClusterRole", 3),
    ("rbac.authorization.k8s.io/v1", "RoleBinding", 5),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", 4),
    ("v1", "Namespace", 3),
    ("v1", "PersistentVolumeClaim", 3),
    ("v1", "PersistentVolume", 2),
    ("storage.k8s.io/v1", "StorageClass", 2),
    ("autoscaling/v1", "HorizontalPodAutoscaler", 2),
    ("autoscaling/v2", "HorizontalPodAutoscaler", 2),
    ("policy/v1", "PodDisruptionBudget", 2),
    ("networking.k8s.io/v1", "NetworkPolicy", 3),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition", 2),
    ("apiregistration.k8s.io/v1", "APIService", 1),
    (
        "admissionregistration.k8s.io/v1",
        "ValidatingWebhookConfiguration",
        2,
    ),
    (
        "admissionregistration.k8s.io/v1",
        "MutatingWebhookConfiguration",
        1,
    ),
    ("scheduling.k8s.io/v1", "PriorityClass", 1),
    ("networking.k8s.io/v1", "IngressClass", 1),
    (
        "admissionregistration.k8s.io/v1",
        "ValidatingAdmissionPolicy",
        1,
    ),
    (
        "admissionregistration.k8s.io/v1",
        "ValidatingAdmissionPolicyBinding",
        1,
    ),
    ("serving.knative.dev/v1", "Service", 1),
    ("v1", "Node", 1),
    ("v1", "Endpoints", 1),
    ("v1", "LimitRange", 1),
    ("example.com/v1alpha1", "FooList", 1),
    ("other.org/v2", "Namespace", 1),
];

/// What stands beside the metadata of an object.
fn body(random: &mut Random, api: &str, kind: &str) -> Value {
    match kind {
        "ConfigMap" | "Secret" => {
            let mut it = json!({});
            maybe(random, 90, &mut it, "data", |r| {
                let mut map = Map::new();
                for _ in 0..r.below(4) {
                    let key =
                        r.word(&["k", "a", "key.yaml", "b", "config.json", "K1", "k10", "k9"]);
                    let value = if r.chance(85) {
                        Value::String(text(r))
                    } else {
                        scalar(r)
                    };
                    map.insert(key, value);
                }
                Value::Object(map)
            });
            if kind == "Secret" {
                maybe(random, 50, &mut it, "type", |_| json!("Opaque"));
                maybe(random, 20, &mut it, "stringData", |r| json!({"s": text(r)}));
            }
            maybe(random, 5, &mut it, "immutable", |_| json!(true));
            it
        }
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" => workload(random, kind),
        "ReplicationController" => {
            let template = template(random);
            let mut it = json!({"spec": {"template": template}});
            maybe(random, 60, &mut it["spec"], "selector", |r| pairs(r, false));
            it
        }
        "Job" => json!({"spec": {"template": template(random)}}),
        "CronJob" => {
            json!({"spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": template(random)}}}})
        }
        "Pod" => json!({"spec": pod_spec(random)}),
        "PodTemplate" => json!({"template": template(random)}),
        "Service" if api == "v1" => {
            let mut spec = json!({});
            maybe(random, 70, &mut spec, "selector", |r| pairs(r, false));
            maybe(random, 85, &mut spec, "ports", |r| {
                list(r, 0, 3, |r| {
                    let mut port = json!({"port": *r.pick(&[80, 443, 53])});
                    maybe(r, 50, &mut port, "targetPort", |r| {
                        if r.chance(50) {
                            json!(8080)
                        } else {
                            json!("http")
                        }
                    });
                    maybe(r, 40, &mut port, "protocol", |r| {
                        json!(r.word(&["TCP", "UDP"]))
                    });
                    maybe(r, 40, &mut port, "name", |r| {
                        json!(r.word(&["http", "dns"]))
                    });
                    port
                })
            });
            maybe(random, 20, &mut spec, "type", |_| json!("ClusterIP"));
            json!({"spec": spec})
        }
        "Service" => json!({"spec": {"template": {"spec": {"containers": [container(random)]}}}}),
        "Ingress" => {
            let paths = list(
                random,
                1,
                2,
                |r| json!({"path": "/", "backend": backend(r, api)}),
            );
            let mut spec = json!({"rules": [{"host": random.word(&["a.example.com", "$(NAME).example.com"]), "http": {"paths": paths}}]});
            maybe(
                random,
                30,
                &mut spec,
                "tls",
                |r| json!([{"hosts": ["a.example.com"], "secretName": name(r)}]),
            );
            maybe(random, 20, &mut spec, "ingressClassName", |r| {
                json!(name(r))
            });
            let field = if api.ends_with("v1beta1") {
                "backend"
            } else {
                "defaultBackend"
            };
            maybe(random, 20, &mut spec, field, |r| backend(r, api));
            json!({"spec": spec})
        }
        "ServiceAccount" => {
            let mut it = json!({});
            maybe(random, 30, &mut it, "imagePullSecrets", |r| {
                list(r, 1, 2, |r| json!({"name": name(r)}))
            });
            maybe(random, 20, &mut it, "secrets", |r| {
                list(r, 1, 2, |r| json!({"name": name(r)}))
            });
            it
        }
        "Role" | "ClusterRole" => rules(random),
        "RoleBinding" | "ClusterRoleBinding" => binding(random),
        "PersistentVolumeClaim" => {
            json!({"spec": {"volumeName": name(random), "storageClassName": name(random), "accessModes": ["ReadWriteOnce"]}})
        }
        "PersistentVolume" => {
            json!({"spec": {"storageClassName": name(random), "azureFile": {"secretName": name(random)}, "nfs": {"server": "$(NAME)"}}})
        }
        "StorageClass" => {
            json!({"provisioner": "x", "parameters": {"secretName": name(random), "adminSecretName": name(random)}})
        }
        "HorizontalPodAutoscaler" => {
            json!({"spec": {"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name(random)}}})
        }
        "PodDisruptionBudget" => {
            json!({"spec": {"minAvailable": 1, "selector": {"matchLabels": pairs(random, false)}}})
        }
        "NetworkPolicy" => {
            let peer = json!({"podSelector": {"matchLabels": pairs(random, false)}});
            json!({"spec": {"podSelector": {"matchLabels": pairs(random, false)}, "ingress": [{"from": [peer]}]}})
        }
        "CustomResourceDefinition" => {
            json!({"spec": {"group": "example.com", "names": {"kind": "Foo"}, "scope": "Namespaced", "conversion": {"strategy": "Webhook", "webhook": {"clientConfig": {"service": {"name": name(random), "namespace": "x"}}}}}})
        }
        "APIService" => {
            json!({"spec": {"service": {"name": name(random), "namespace": random.word(&NAMESPACES)}}})
        }
        "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration" => {
            let hooks = list(random, 1, 2, |r| {
                let mut service = json!({"name": name(r)});
                maybe(r, 80, &mut service, "namespace", |r| {
                    json!(r.word(&NAMESPACES))
                });
                json!({"name": r.word(&["h1", "h2"]), "clientConfig": {"service": service}})
            });
            json!({"webhooks": hooks})
        }
        "PriorityClass" => json!({"value": 1000}),
        "ValidatingAdmissionPolicyBinding" => json!({"spec": {"policyName": name(random)}}),
        "Endpoints" => json!({"subsets": [{"addresses": [{"ip": "1.2.3.4"}]}]}),
        "Foo" => {
            let mut spec = json!({"ref": name(random), "secretRef": {"name": name(random)}, "list": [{"name": "a", "v": 1}, {"name": "b", "v": 2}], "any": value(random, 3)});
            maybe(random, 30, &mut spec, "template", template);
            maybe(random, 20, &mut spec, "containers", |r| {
                list(r, 1, 2, container)
            });
            maybe(random, 20, &mut spec, "image", |r| json!(r.word(&IMAGES)));
            json!({"spec": spec})
        }
        _ => json!({"spec": {"x": scalar(random)}}),
    }
}

/// An object, and what names it.
#[derive(Clone)]
pub struct Known {
    pub api: String,
    pub kind: String,
    pub name: String,
    pub namespace: String,
    pub value: Value,
}

/// A random object.
pub fn object(random: &mut Random) -> Known {
    let total: usize = KINDS.iter().map(|(_, _, often)| often).sum();
    let mut at = random.below(total);
    let mut chosen = KINDS[0];
    for kind in KINDS {
        if at < kind.2 {
            chosen = kind;
            break;
        }
        at -= kind.2;
    }
    let (api, kind, _) = chosen;
    let mut value = body(random, api, kind);
    let name = name(random);
    let mut metadata = json!({"name": name});
    let mut namespace = String::new();
    if random.chance(25) {
        namespace = random.word(&NAMESPACES);
        metadata["namespace"] = json!(namespace);
    }
    maybe(random, 45, &mut metadata, "labels", |r| pairs(r, true));
    maybe(random, 25, &mut metadata, "annotations", |r| {
        let mut it = pairs(r, true);
        maybe(r, 8, &mut it, "config.kubernetes.io/local-config", |r| {
            json!(r.word(&["true", "false"]))
        });
        maybe(r, 10, &mut it, "note", scalar);
        maybe(
            r,
            10,
            &mut it,
            "nginx.ingress.kubernetes.io/auth-secret",
            |r| json!(self::name(r)),
        );
        it
    });
    maybe(random, 4, &mut metadata, "finalizers", |r| {
        list(r, 0, 3, |r| json!(r.word(&["a", "b", "c"])))
    });
    maybe(random, 3, &mut metadata, "creationTimestamp", |_| {
        Value::Null
    });
    value["apiVersion"] = json!(api);
    value["kind"] = json!(kind);
    value["metadata"] = metadata;
    Known {
        api: api.to_owned(),
        kind: kind.to_owned(),
        name,
        namespace,
        value,
    }
}
