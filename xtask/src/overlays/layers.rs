//! Random trees of kustomizations.

mod changes;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::objects::{self, Known, NAMES, NAMESPACES};
use super::patches;
use super::paths;
use super::random::Random;
use super::writer::{self, Style, raw};

/// Files below a directory, and which of its directories is built.
#[derive(Clone)]
pub struct Tree {
    pub files: BTreeMap<String, String>,
    pub target: String,
    /// More arguments of the command.
    pub args: Vec<String>,
}

/// Makes a tree.
pub struct Maker {
    random: Random,
    files: BTreeMap<String, String>,
    /// Things that are likely errors are done too.
    wild: bool,
    next: usize,
}

/// A tree of a seed.
pub fn tree(seed: u64) -> Tree {
    let mut random = Random::new(seed);
    let wild = random.chance(25);
    let depth = random.between(0, 2);
    let mut maker = Maker {
        random,
        files: BTreeMap::new(),
        wild,
        next: 0,
    };
    let (target, _) = maker.layer(depth, true);
    let mut args = Vec::new();
    if maker.random.chance(8) {
        args.push("--reorder=none".to_owned());
    }
    if maker.random.chance(3) {
        args.push("--enable-managedby-label".to_owned());
    }
    if maker.random.chance(5) {
        args.push("--load-restrictor=LoadRestrictionsNone".to_owned());
    }
    Tree {
        files: maker.files,
        target,
        args,
    }
}

impl Maker {
    fn number(&mut self) -> usize {
        self.next += 1;
        self.next
    }

    fn wild(&mut self, percent: usize) -> bool {
        self.wild && self.random.chance(percent)
    }

    /// Writes a file of documents.
    fn write(&mut self, path: &str, documents: &[Value]) {
        let style = Style::new(&mut self.random);
        let mut text = String::new();
        if self.random.chance(10) {
            text.push_str(&self.random.word(&[
                "# head\n",
                "---\n",
                "\n",
                "---\n# head\n",
                "\u{feff}",
            ]));
        }
        for (at, document) in documents.iter().enumerate() {
            if at > 0 {
                text.push_str(&self.random.word(&[
                    "---\n",
                    "---\n",
                    "---\n",
                    "--- # next\n",
                    "---\n---\n",
                    "---\n# nothing\n---\n",
                ]));
            }
            text.push_str(&writer::document(document, style, &mut self.random));
        }
        if self.random.chance(4) {
            text = text.replace('\n', "\r\n");
        }
        if self.wild(2) {
            text.push_str(&self.random.word(&[
                "a: [\n",
                "\t- x\n",
                "---\nfoo\n",
                "a: b: c\n",
                "---x\nkind: A\n",
                "? x\n",
            ]));
        }
        self.files.insert(path.to_owned(), text);
    }

    /// Makes a layer; its directory and what it holds.
    fn layer(&mut self, depth: usize, is_target: bool) -> (String, Vec<Known>) {
        let dir = format!(
            "{}{}",
            self.random.word(&["base", "over", "l"]),
            self.number()
        );
        let mut file = Map::new();
        let mut known: Vec<Known> = Vec::new();
        self.resources(&dir, depth, &mut file, &mut known);
        if depth > 0 && self.random.chance(35) {
            let mut components = Vec::new();
            for _ in 0..self.random.between(1, 2) {
                let name = self.component(&mut known);
                components.push(json!(format!("../{name}")));
            }
            file.insert("components".to_owned(), Value::Array(components));
        }
        self.fields(&dir, &mut file, &mut known, is_target);
        if self.random.chance(60) {
            file.insert(
                "apiVersion".to_owned(),
                json!("kustomize.config.k8s.io/v1beta1"),
            );
            file.insert("kind".to_owned(), json!("Kustomization"));
        }
        self.kustomization(&dir, file);
        (dir, known)
    }

    fn component(&mut self, known: &mut Vec<Known>) -> String {
        let dir = format!("comp{}", self.number());
        let mut file = Map::new();
        file.insert(
            "apiVersion".to_owned(),
            json!("kustomize.config.k8s.io/v1alpha1"),
        );
        file.insert("kind".to_owned(), json!("Component"));
        if self.random.chance(60) {
            self.resources(&dir, 0, &mut file, known);
        }
        self.fields(&dir, &mut file, known, false);
        self.kustomization(&dir, file);
        dir
    }

    fn kustomization(&mut self, dir: &str, mut file: Map<String, Value>) {
        if self.wild(3) {
            let key = self.random.word(&[
                "unknown",
                "Resources",
                "resource",
                "metadata",
                "commonLabels",
            ]);
            file.insert(key, objects::value(&mut self.random, 2));
        }
        let name = match self.random.below(12) {
            0 => "kustomization.yml",
            1 => "Kustomization",
            _ => "kustomization.yaml",
        };
        self.write(&format!("{dir}/{name}"), &[Value::Object(file)]);
    }

    fn resources(
        &mut self,
        dir: &str,
        depth: usize,
        file: &mut Map<String, Value>,
        known: &mut Vec<Known>,
    ) {
        let mut entries = Vec::new();
        let low = usize::from(depth == 0);
        for _ in 0..self.random.between(low, 3) {
            let name = format!("r{}.yaml", self.number());
            let mut documents = Vec::new();
            for _ in 0..self.random.between(1, 3) {
                let object = objects::object(&mut self.random);
                let same = |k: &Known| {
                    k.kind == object.kind && k.name == object.name && k.api == object.api
                };
                if known.iter().any(same) && !self.wild(5) {
                    continue;
                }
                documents.push(object.value.clone());
                known.push(object);
            }
            if documents.len() > 1 && self.random.chance(10) {
                documents = vec![json!({"apiVersion": "v1", "kind": "List", "items": documents})];
            }
            self.write(&format!("{dir}/{name}"), &documents);
            let name = if self.random.chance(5) {
                format!("./{name}")
            } else {
                name
            };
            entries.push(json!(name));
        }
        if depth > 0 {
            for _ in 0..self.random.between(1, 2) {
                let (name, below) = self.layer(depth - 1, false);
                let clash = below
                    .iter()
                    .any(|b| known.iter().any(|k| k.kind == b.kind && k.name == b.name));
                if clash && !self.wild(10) {
                    continue;
                }
                known.extend(below);
                entries.push(json!(format!("../{name}")));
            }
            self.random.shuffle(&mut entries);
        }
        if self.wild(3) {
            entries.push(json!(self.random.word(&[
                "missing.yaml",
                "../nowhere",
                ".",
                "..",
                "",
                "https://"
            ])));
        }
        if !entries.is_empty() || self.random.chance(20) {
            let key = if self.random.chance(4) {
                "bases"
            } else {
                "resources"
            };
            file.insert(key.to_owned(), Value::Array(entries));
        }
    }

    /// The other fields of a kustomization.
    fn fields(
        &mut self,
        dir: &str,
        file: &mut Map<String, Value>,
        known: &mut Vec<Known>,
        is_target: bool,
    ) {
        macro_rules! some {
            ($percent:expr, $key:expr, $make:expr) => {
                if self.random.chance($percent) {
                    let value = $make;
                    file.insert($key.to_owned(), value);
                }
            };
        }
        some!(
            18,
            "configMapGenerator",
            self.generators(dir, known, "ConfigMap")
        );
        some!(12, "secretGenerator", self.generators(dir, known, "Secret"));
        some!(8, "generatorOptions", self.generator_options());
        some!(
            22,
            "namePrefix",
            json!(self.random.word(&["p-", "pre.", "1", "x"]))
        );
        some!(
            18,
            "nameSuffix",
            json!(self.random.word(&["-s", "-v1", "2"]))
        );
        some!(22, "namespace", json!(self.random.word(&NAMESPACES)));
        some!(14, "commonLabels", objects::pairs(&mut self.random, false));
        some!(
            14,
            "commonAnnotations",
            objects::pairs(&mut self.random, false)
        );
        some!(16, "labels", self.labels());
        some!(16, "images", self.images());
        some!(12, "configurations", self.configurations(dir, known));
        if known.is_empty() {
            return;
        }
        some!(30, "patches", self.patches(dir, known));
        some!(
            12,
            "patchesStrategicMerge",
            self.strategic_merge(dir, known)
        );
        some!(10, "patchesJson6902", self.json6902(dir, known));
        some!(20, "replacements", self.replacements(dir, known));
        some!(10, "replicas", self.replicas(known));
        some!(8, "vars", self.vars(known));
        some!(10, "transformers", self.transformers(dir, known));
        some!(5, "generators", self.generator_plugins(dir));
        some!(4, "crds", self.crds(dir));
        some!(3, "openapi", self.openapi(dir));
        if is_target {
            some!(12, "sortOptions", self.sort_options());
            some!(12, "buildMetadata", {
                let all = [
                    "managedByLabel",
                    "originAnnotations",
                    "transformerAnnotations",
                    "unknown",
                ];
                (0..self.random.between(1, 2))
                    .map(|_| json!(self.random.word(&all)))
                    .collect()
            });
        }
    }

    fn list(&mut self, low: usize, high: usize, mut make: impl FnMut(&mut Self) -> Value) -> Value {
        (0..self.random.between(low, high))
            .map(|_| make(self))
            .collect()
    }

    fn generator_options(&mut self) -> Value {
        let mut it = json!({});
        if self.random.chance(40) {
            it["disableNameSuffixHash"] = json!(self.random.chance(80));
        }
        if self.random.chance(40) {
            it["labels"] = objects::pairs(&mut self.random, false);
        }
        if self.random.chance(30) {
            it["annotations"] = objects::pairs(&mut self.random, false);
        }
        if self.random.chance(20) {
            it["immutable"] = json!(true);
        }
        it
    }

    fn generators(&mut self, dir: &str, known: &mut Vec<Known>, kind: &str) -> Value {
        self.list(1, 2, |maker| maker.generator(dir, known, kind))
    }

    fn generator(&mut self, dir: &str, known: &mut Vec<Known>, kind: &str) -> Value {
        let old = known
            .iter()
            .filter(|k| k.kind == kind)
            .nth(self.random.below(3))
            .cloned();
        let mut it = json!({});
        match old {
            Some(old) if self.random.chance(70) => {
                it["name"] = json!(old.name);
                if !old.namespace.is_empty() {
                    it["namespace"] = json!(old.namespace);
                }
                it["behavior"] = json!(self.random.word(&["merge", "merge", "replace"]));
                if self.wild(20) {
                    it["behavior"] = json!("create");
                }
            }
            _ => {
                let name = self.random.word(&NAMES);
                let taken = known.iter().any(|k| k.kind == kind && k.name == name);
                let name = if taken && !self.wild(15) {
                    format!("gen{}", self.number())
                } else {
                    name
                };
                it["name"] = json!(name);
                let mut namespace = String::new();
                if self.random.chance(12) {
                    namespace = self.random.word(&NAMESPACES);
                    it["namespace"] = json!(namespace);
                }
                if self.random.chance(8) {
                    it["behavior"] = json!(self.random.word(&["create", "odd"]));
                }
                known.push(Known {
                    api: "v1".to_owned(),
                    kind: kind.to_owned(),
                    name: name.clone(),
                    namespace,
                    value: json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "data": {"k": "v"}}),
                });
            }
        }
        if self.random.chance(70) {
            let mut literals = Vec::new();
            for key in ["k", "a", "b.yaml", "Z"] {
                if self.random.chance(40) {
                    let text = objects::text(&mut self.random);
                    let text = match self.random.below(6) {
                        0 => format!("\"{text}\""),
                        1 => format!("'{text}'"),
                        _ => text,
                    };
                    literals.push(json!(format!("{key}={text}")));
                }
            }
            it["literals"] = Value::Array(literals);
        }
        if self.random.chance(25) {
            let name = format!("f{}.txt", self.number());
            let content = if self.random.chance(85) {
                objects::text(&mut self.random)
            } else {
                objects::text(&mut self.random).repeat(5)
            };
            self.files.insert(format!("{dir}/{name}"), content);
            let entry = if self.random.chance(50) {
                format!("file={name}")
            } else {
                name
            };
            it["files"] = json!([entry]);
        }
        if self.random.chance(15) {
            let name = format!("e{}.env", self.number());
            let content = (0..self.random.between(0, 4))
                .map(|_| {
                    self.random.word(&[
                        "E1=x\n",
                        "E2='q'\n",
                        "# c\n",
                        "\n",
                        " E3 = y \r\n",
                        "E4\n",
                        "E5=a=b\n",
                        "=x\n",
                    ])
                })
                .collect::<Vec<_>>();
            let mut content = content;
            content.sort();
            content.dedup();
            self.files.insert(format!("{dir}/{name}"), content.concat());
            let key = if self.random.chance(15) {
                "env"
            } else {
                "envs"
            };
            it[key] = if key == "env" {
                json!(name)
            } else {
                json!([name])
            };
        }
        if self.random.chance(20) {
            it["options"] = self.generator_options();
        }
        if kind == "Secret" && self.random.chance(30) {
            it["type"] = json!(self.random.word(&["Opaque", "kubernetes.io/tls"]));
        }
        it
    }

    fn field_spec(&mut self, known: &[Known]) -> Value {
        let mut it = json!({});
        let path = if known.is_empty() || self.random.chance(20) {
            self.random.word(&[
                "metadata/labels",
                "spec/x",
                "spec/ref",
                "metadata/annotations",
                "spec/selector",
                "spec/image",
                "metadata/name",
            ])
        } else {
            let at = self.random.below(known.len());
            let steps = paths::place(&known[at].value, &mut self.random);
            if self.random.chance(70) {
                it["kind"] = json!(known[at].kind);
            }
            if self.random.chance(20) {
                let (group, version) = known[at]
                    .api
                    .split_once('/')
                    .unwrap_or(("", &known[at].api));
                it["version"] = json!(version);
                it["group"] = json!(group);
            }
            paths::spec(&steps, &mut self.random)
        };
        it["path"] = json!(path);
        if self.random.chance(50) {
            it["create"] = json!(self.random.chance(70));
        }
        it
    }

    fn labels(&mut self) -> Value {
        self.list(1, 2, |maker| {
            let mut it = json!({"pairs": objects::pairs(&mut maker.random, false)});
            if maker.random.chance(35) {
                it["includeSelectors"] = json!(maker.random.chance(70));
            }
            if maker.random.chance(35) {
                it["includeTemplates"] = json!(maker.random.chance(70));
            }
            if maker.random.chance(15) {
                let fields = maker.list(1, 2, |m| {
                    let path = m.random.word(&[
                        "spec/labels",
                        "metadata/annotations",
                        "spec/template/metadata/labels",
                        "metadata/labels",
                    ]);
                    json!({"path": path, "create": m.random.chance(60)})
                });
                it["fields"] = fields;
            }
            it
        })
    }

    fn image(&mut self) -> Value {
        let mut it = json!({"name": self.random.word(&["nginx", "app", "registry:5000/team/app", "docker.io/library/nginx", "busybox", ".*x", "new/nginx"])});
        if self.random.chance(45) {
            it["newName"] = json!(self.random.word(&["new/nginx", "app", "r:5000/x"]));
        }
        match self.random.below(6) {
            0 => it["digest"] = json!("sha256:0123"),
            1..=3 => it["newTag"] = json!(self.random.word(&["v2", "1.2.3", "latest"])),
            4 => it["tagSuffix"] = json!("-suf"),
            _ => {}
        }
        if self.wild(5) {
            it["newTag"] = raw(&self.random.word(&["1.10", "1", "yes", "010"]));
        }
        it
    }

    fn images(&mut self) -> Value {
        self.list(1, 3, Self::image)
    }

    fn configurations(&mut self, dir: &str, known: &[Known]) -> Value {
        let name = format!("c{}.yaml", self.number());
        let mut config = Map::new();
        let keys = [
            "namePrefix",
            "nameSuffix",
            "namespace",
            "commonLabels",
            "labels",
            "templateLabels",
            "commonAnnotations",
            "varReference",
            "images",
            "replicas",
        ];
        for _ in 0..self.random.between(1, 2) {
            let key = self.random.word(&keys);
            let specs = self.list(1, 2, |m| {
                if m.wild(30) {
                    return m.field_spec(known);
                }
                let kind = m.random.word(&["Foo", "ConfigMap", "Deployment"]);
                let path = m.random.word(&[
                    "spec/x",
                    "spec/ref",
                    "spec/secretRef/name",
                    "data/k",
                    "spec/new/field",
                    "spec/template/spec/x",
                ]);
                json!({"kind": kind, "path": path, "create": m.random.chance(50)})
            });
            config.insert(key, specs);
        }
        if self.random.chance(50) {
            let referent =
                self.random
                    .word(&["ConfigMap", "Secret", "Service", "Foo", "Deployment"]);
            config.insert(
                "nameReference".to_owned(),
                json!([{"kind": referent, "fieldSpecs": [{"kind": "Foo", "path": "spec/ref"}, {"kind": "Foo", "path": "spec/secretRef/name"}]}]),
            );
        }
        self.write(&format!("{dir}/{name}"), &[Value::Object(config)]);
        json!([name])
    }

    fn transformer(&mut self, dir: &str, known: &[Known]) -> Value {
        let kind = self.random.word(&[
            "AnnotationsTransformer",
            "LabelTransformer",
            "NamespaceTransformer",
            "PrefixTransformer",
            "SuffixTransformer",
            "PrefixSuffixTransformer",
            "ImageTagTransformer",
            "ReplicaCountTransformer",
            "PatchTransformer",
            "PatchStrategicMergeTransformer",
            "PatchJson6902Transformer",
            "ReplacementTransformer",
            "HashTransformer",
            "ValueAddTransformer",
        ]);
        let mut it = json!({"apiVersion": "builtin", "kind": kind, "metadata": {"name": format!("t{}", self.number())}});
        let specs = match kind.as_str() {
            "LabelTransformer" => json!([{"path": "metadata/labels", "create": true}]),
            "AnnotationsTransformer" => json!([{"path": "metadata/annotations", "create": true}]),
            "ReplicaCountTransformer" => {
                json!([{"path": "spec/replicas", "kind": "Deployment", "create": true}])
            }
            "ImageTagTransformer" => json!([{"path": "spec/image"}]),
            _ => json!([{"path": "metadata/name"}]),
        };
        if !self.wild(15) {
            it["fieldSpecs"] = specs;
            if self.random.chance(30) {
                let more = self.field_spec(known);
                if let Some(list) = it["fieldSpecs"].as_array_mut() {
                    list.push(more);
                }
            }
        }
        let object = known[self.random.below(known.len())].clone();
        match kind.as_str() {
            "AnnotationsTransformer" => it["annotations"] = objects::pairs(&mut self.random, false),
            "LabelTransformer" => it["labels"] = objects::pairs(&mut self.random, false),
            "NamespaceTransformer" => {
                it["metadata"]["namespace"] = json!(self.random.word(&NAMESPACES));
                if self.random.chance(40) {
                    it["unsetOnly"] = json!(true);
                }
                if self.random.chance(50) {
                    it["setRoleBindingSubjects"] =
                        json!(
                            self.random
                                .word(&["defaultOnly", "none", "allServiceAccounts"])
                        );
                }
            }
            "PrefixTransformer" => it["prefix"] = json!("tp-"),
            "SuffixTransformer" => it["suffix"] = json!("-ts"),
            "PrefixSuffixTransformer" => {
                it["prefix"] = json!("tp-");
                it["suffix"] = json!("-ts");
            }
            "ImageTagTransformer" => it["imageTag"] = self.image(),
            "ReplicaCountTransformer" => it["replica"] = json!({"name": object.name, "count": 7}),
            "PatchTransformer" => {
                it["patch"] = json!(self.operations_text(&object));
                it["target"] = self.selector(&object);
            }
            "PatchStrategicMergeTransformer" => {
                let patch = patches::merge(&object, &mut self.random);
                let text = self.inline(&[patch]);
                if self.random.chance(50) {
                    it["patches"] = json!(text);
                } else {
                    let name = format!("p{}.yaml", self.number());
                    self.files.insert(format!("{dir}/{name}"), text);
                    it["paths"] = json!([name]);
                }
            }
            "PatchJson6902Transformer" => {
                let (group, version) = object.api.split_once('/').unwrap_or(("", &object.api));
                it["target"] = json!({"group": group, "version": version, "kind": object.kind, "name": object.name});
                it["jsonOp"] = json!(self.operations_text(&object));
            }
            "ReplacementTransformer" => it["replacements"] = json!([self.replacement(known)]),
            "ValueAddTransformer" => {
                it["value"] = json!("added");
                let steps = paths::place(&object.value, &mut self.random);
                let path = paths::spec(&steps, &mut self.random).replace("[]", "");
                let mut target = json!({"selector": {"kind": object.kind}, "fieldPath": path});
                if self.random.chance(40) {
                    target["filePathPosition"] = json!(self.random.below(4));
                }
                it["targets"] = json!([target]);
            }
            _ => {}
        }
        it
    }

    fn transformers(&mut self, dir: &str, known: &[Known]) -> Value {
        self.list(1, 2, |maker| {
            let it = maker.transformer(dir, known);
            if maker.random.chance(30) {
                return json!(maker.inline(&[it]));
            }
            let name = format!("t{}.yaml", maker.number());
            maker.write(&format!("{dir}/{name}"), &[it]);
            json!(name)
        })
    }

    fn generator_plugins(&mut self, dir: &str) -> Value {
        let kind = self.random.word(&[
            "ConfigMapGenerator",
            "SecretGenerator",
            "IAMPolicyGenerator",
        ]);
        let name = format!("plugged{}", self.number());
        let mut it = json!({"apiVersion": "builtin", "kind": kind, "metadata": {"name": name}});
        if kind == "IAMPolicyGenerator" {
            it["cloud"] = json!("gke");
            it["kubernetesService"] = json!({"namespace": "ns1", "name": "ksa"});
            it["serviceAccount"] = json!({"name": "gsa", "projectId": "p"});
        } else {
            it["literals"] = json!(["a=b", "c=1"]);
            if self.random.chance(30) {
                it["options"] = self.generator_options();
            }
        }
        if self.random.chance(50) {
            return json!([self.inline(&[it])]);
        }
        let file = format!("g{}.yaml", self.number());
        self.write(&format!("{dir}/{file}"), &[it]);
        json!([file])
    }

    fn crds(&mut self, dir: &str) -> Value {
        let name = format!("crd{}.json", self.number());
        let crd = json!({
            "example.com/v1.Foo": {"Schema": {"properties": {
                "apiVersion": {"type": "string"}, "kind": {"type": "string"},
                "metadata": {"$ref": "meta"},
                "spec": {"$ref": "example.com/v1.FooSpec"},
            }}},
            "example.com/v1.FooSpec": {"Schema": {"properties": {
                "ref": {"x-kubernetes-object-ref-api-version": "v1", "x-kubernetes-object-ref-kind": "ConfigMap", "type": "object"},
                "secretRef": {"x-kubernetes-object-ref-api-version": "v1", "x-kubernetes-object-ref-kind": "Secret", "type": "object"},
                "any": {"x-kubernetes-annotation": ""},
            }}},
        });
        self.files.insert(format!("{dir}/{name}"), crd.to_string());
        json!([name])
    }

    fn openapi(&mut self, dir: &str) -> Value {
        if self.random.chance(30) {
            return json!({"version": if self.wild { "v1.20.4" } else { "v1.21.2" }});
        }
        let name = format!("schema{}.json", self.number());
        let schema = json!({"definitions": {"v1.Foo": {
            "type": "object",
            "properties": {"spec": {"type": "object", "properties": {"list": {
                "type": "array", "items": {"type": "object"},
                "x-kubernetes-patch-merge-key": "name", "x-kubernetes-patch-strategy": "merge",
            }}}},
            "x-kubernetes-group-version-kind": [{"group": "example.com", "kind": "Foo", "version": "v1"}],
        }}});
        self.files
            .insert(format!("{dir}/{name}"), schema.to_string());
        json!({"path": name})
    }

    fn sort_options(&mut self) -> Value {
        match self.random.below(4) {
            0 => json!({"order": "legacy"}),
            1 => {
                json!({"order": "legacy", "legacySortOptions": {"orderFirst": ["Service", "Deployment"], "orderLast": ["Namespace"]}})
            }
            2 if self.wild => json!({"order": "other"}),
            _ => json!({"order": "fifo"}),
        }
    }
}
