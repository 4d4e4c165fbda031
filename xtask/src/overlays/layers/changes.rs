//! What a layer does to objects: patches, replacements, replicas and variables.

use serde_json::{Value, json};

use super::super::objects::{self, Known};
use super::super::patches;
use super::super::paths;
use super::super::writer::{self, Style};
use super::Maker;

impl Maker {
    /// A pattern for names or kinds.
    pub(super) fn pattern(&mut self, text: &str) -> String {
        match self.random.below(8) {
            0 => ".*".to_owned(),
            1 => format!("{}.*", &text[..text.len().min(2)]),
            2 => format!("{text}|other"),
            _ => text.to_owned(),
        }
    }

    pub(super) fn selector(&mut self, known: &Known) -> Value {
        let mut it = json!({});
        if self.random.chance(75) {
            let kind = self.pattern(&known.kind);
            it["kind"] = json!(kind);
        }
        if self.random.chance(60) {
            let name = self.pattern(&known.name);
            it["name"] = json!(name);
        }
        if self.random.chance(15) {
            it["namespace"] = json!(self.random.word(&["default", "prod", "", ".*"]));
        }
        if self.random.chance(15) {
            let (group, version) = known.api.split_once('/').unwrap_or(("", &known.api));
            it["version"] = json!(version);
            it["group"] = json!(group);
        }
        if self.random.chance(12) {
            it["labelSelector"] = json!(self.random.word(&[
                "app",
                "app=web",
                "app!=web",
                "tier in (web,db)",
                "!env",
                "app=web,tier=db",
                "app.kubernetes.io/name=web"
            ]));
        }
        if self.random.chance(6) {
            it["annotationSelector"] =
                json!(
                    self.random
                        .word(&["app", "note", "!env", "tier notin (db)"])
                );
        }
        if self.wild(3) {
            it["name"] = json!(self.random.word(&["(", "[a", "a{,", "*"]));
        }
        it
    }

    pub(super) fn inline(&mut self, documents: &[Value]) -> String {
        let style = Style::new(&mut self.random);
        let texts: Vec<_> = documents
            .iter()
            .map(|document| writer::document(document, style, &mut self.random))
            .collect();
        texts.join("---\n")
    }

    pub(super) fn operations_text(&mut self, known: &Known) -> String {
        let wild = self.wild;
        let operations = patches::operations(known, &mut self.random, wild);
        if self.random.chance(30) {
            return operations.to_string().replace("\\u0001", "");
        }
        self.inline(&[operations])
    }

    pub(super) fn patches(&mut self, dir: &str, known: &[Known]) -> Value {
        self.list(1, 3, |maker| {
            let at = maker.random.below(known.len());
            let object = known[at].clone();
            let mut it = json!({});
            let as_json = maker.random.chance(35);
            let text = if as_json {
                maker.operations_text(&object)
            } else {
                let mut documents = vec![patches::merge(&object, &mut maker.random)];
                if maker.random.chance(15) {
                    let other = known[maker.random.below(known.len())].clone();
                    documents.push(patches::merge(&other, &mut maker.random));
                }
                maker.inline(&documents)
            };
            if as_json || maker.random.chance(40) {
                it["target"] = maker.selector(&object);
            }
            if maker.random.chance(40) {
                let name = format!("p{}.yaml", maker.number());
                maker.files.insert(format!("{dir}/{name}"), text);
                it["path"] = json!(name);
            } else {
                it["patch"] = json!(text);
            }
            if maker.random.chance(10) {
                // The hashes of objects that change their kind are their own.
                let kinds = known
                    .iter()
                    .any(|k| matches!(k.kind.as_str(), "ConfigMap" | "Secret"));
                let kind = maker.random.chance(30) && !kinds;
                it["options"] =
                    json!({"allowNameChange": maker.random.chance(50), "allowKindChange": kind});
            }
            it
        })
    }

    pub(super) fn strategic_merge(&mut self, dir: &str, known: &[Known]) -> Value {
        self.list(1, 2, |maker| {
            let object = known[maker.random.below(known.len())].clone();
            let patch = patches::merge(&object, &mut maker.random);
            if maker.random.chance(50) {
                return json!(maker.inline(&[patch]));
            }
            let name = format!("p{}.yaml", maker.number());
            maker.write(&format!("{dir}/{name}"), &[patch]);
            json!(name)
        })
    }

    pub(super) fn json6902(&mut self, dir: &str, known: &[Known]) -> Value {
        self.list(1, 2, |maker| {
            let object = known[maker.random.below(known.len())].clone();
            let (group, version) = object.api.split_once('/').unwrap_or(("", &object.api));
            let mut target = json!({"kind": object.kind, "name": object.name, "version": version});
            if !group.is_empty() {
                target["group"] = json!(group);
            }
            if !object.namespace.is_empty() {
                target["namespace"] = json!(object.namespace);
            }
            let text = maker.operations_text(&object);
            if maker.random.chance(50) {
                return json!({"target": target, "patch": text});
            }
            let name = format!("p{}.yaml", maker.number());
            maker.files.insert(format!("{dir}/{name}"), text);
            json!({"target": target, "path": name})
        })
    }

    pub(super) fn replacement(&mut self, known: &[Known]) -> Value {
        let from = known[self.random.below(known.len())].clone();
        let steps = paths::place(&from.value, &mut self.random);
        let mut source = json!({"kind": from.kind, "name": from.name});
        if self.random.chance(85) {
            let mut path = paths::field(&from.value, &steps, &mut self.random);
            if !self.wild {
                path = path.replace(".*", ".0");
            }
            source["fieldPath"] = json!(path);
        }
        if !from.namespace.is_empty() && self.random.chance(50) {
            source["namespace"] = json!(from.namespace);
        }
        let delimited = self.random.chance(15);
        if delimited {
            source["options"] = json!({"delimiter": self.random.word(&[":", ".", "-", "/"]), "index": if self.wild { self.random.below(3) } else { 0 }});
        }
        let targets = self.list(1, 2, |maker| {
            let to = known[maker.random.below(known.len())].clone();
            let fields = maker.list(1, 2, |m| {
                let steps = paths::place(&to.value, &mut m.random);
                let mut path = paths::field(&to.value, &steps, &mut m.random);
                // Renamed kinds have hashes of their own, see docs/compat.md.
                if path == "kind" && !m.wild {
                    path = "metadata.name".to_owned();
                }
                if m.random.chance(15) {
                    path.push_str(&m.random.word(&[
                        ".new",
                        ".a.b",
                        ".x.0",
                        ".[name=n]",
                        ".list.-",
                    ]));
                }
                json!(path)
            });
            let select = if maker.random.chance(60) {
                json!({"kind": to.kind, "name": to.name})
            } else {
                maker.selector(&to)
            };
            let mut it = json!({"select": select});
            if maker.random.chance(92) {
                it["fieldPaths"] = fields;
            }
            if maker.random.chance(20) {
                it["reject"] = json!([maker.selector(&known[0])]);
            }
            if maker.random.chance(40) {
                let mut options = json!({});
                if maker.random.chance(75) {
                    options["create"] = json!(true);
                }
                if maker.random.chance(25) {
                    options["delimiter"] = json!(maker.random.word(&[":", ".", "-", "/"]));
                    options["index"] = json!(maker.random.below(4) as i64 - 1);
                }
                it["options"] = options;
            }
            it
        });
        if self.random.chance(8) {
            return json!({"sourceValue": objects::text(&mut self.random), "targets": targets});
        }
        json!({"source": source, "targets": targets})
    }

    pub(super) fn replacements(&mut self, dir: &str, known: &[Known]) -> Value {
        self.list(1, 2, |maker| {
            let it = maker.replacement(known);
            if maker.random.chance(20) {
                let name = format!("rep{}.yaml", maker.number());
                let it = if maker.random.chance(50) {
                    json!([it])
                } else {
                    it
                };
                maker.write(&format!("{dir}/{name}"), &[it]);
                return json!({"path": name});
            }
            it
        })
    }

    pub(super) fn replicas(&mut self, known: &[Known]) -> Value {
        let names: Vec<_> = known
            .iter()
            .filter(|k| matches!(k.kind.as_str(), "Deployment" | "StatefulSet" | "ReplicaSet"))
            .map(|k| k.name.clone())
            .collect();
        if names.is_empty() || self.wild(10) {
            return if self.wild {
                json!([{"name": "nobody", "count": 1}])
            } else {
                json!([])
            };
        }
        self.list(
            1,
            2,
            |maker| json!({"name": maker.random.pick(&names), "count": maker.random.below(9)}),
        )
    }

    pub(super) fn vars(&mut self, known: &[Known]) -> Value {
        let number = self.number();
        self.list(1, 2, |maker| {
            let object = known[maker.random.below(known.len())].clone();
            let mut reference =
                json!({"apiVersion": object.api, "kind": object.kind, "name": object.name});
            if !object.namespace.is_empty() && maker.random.chance(50) {
                reference["namespace"] = json!(object.namespace);
            }
            let name = maker.random.word(&["NAME", "NS", "PORT"]);
            let name = if number > 30 {
                format!("{name}{number}")
            } else {
                name
            };
            let mut it = json!({"name": name, "objref": reference});
            if maker.random.chance(50) {
                let mut path = maker
                    .random
                    .word(&["metadata.name", "kind", "metadata.labels.app"]);
                if maker.random.chance(40) {
                    let steps = paths::place(&object.value, &mut maker.random);
                    path =
                        paths::field(&object.value, &steps, &mut maker.random).replace(".*", "[0]");
                }
                it["fieldref"] = json!({"fieldpath": path});
            }
            it
        })
    }
}
