//! Holds the engine to what a real kube-apiserver 1.36 answered: the requests of `conversations/*.yaml` are given to
//! [`sluice_schema::write`] over a map of objects, and each answer is compared with the recorded one.
//!
//! `cargo xtask conversations --kubeconfig FILE` records them again.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use sluice_schema::builtin;
use sluice_schema::custom::{CustomKind, CustomTypes};
use sluice_schema::failure::Failure;
use sluice_schema::patch::PatchType;
use sluice_schema::read::{Body, FieldValidation};
use sluice_schema::tables::discovery;
use sluice_schema::write::{Hooks, Resource, Write, Written};

/// A server without a network, controllers or time.
#[derive(Default)]
struct Server {
    /// Objects by path.
    objects: BTreeMap<String, Value>,
    version: u64,
    numbers: Numbers,
}

#[derive(Default, Clone)]
struct Numbers {
    warnings: Vec<String>,
    uids: usize,
    addresses: usize,
    ports: usize,
}

impl Hooks for Numbers {
    fn warn(&mut self, text: String) {
        if !self.warnings.contains(&text) {
            self.warnings.push(text);
        }
    }

    fn uid(&mut self) -> String {
        self.uids += 1;
        format!("00000000-0000-0000-0000-{:012}", self.uids - 1)
    }

    fn name_suffix(&mut self) -> String {
        "abcde".into()
    }

    fn admit(&mut self, object: &mut Value, old: Option<&Value>) -> Result<(), Failure> {
        let kind = object["kind"].as_str().unwrap_or_default();
        if let (Some(finalizer), None) = (builtin::object_protection_finalizer(kind), old) {
            match object["metadata"]["finalizers"].as_array_mut() {
                Some(list) => list.push(finalizer.into()),
                None => object["metadata"]["finalizers"] = json!([finalizer]),
            }
        }
        if object["kind"] == "Node" && old.is_none() {
            builtin::taint_new_node(object);
        }
        if object["kind"] == "Pod" && old.is_none() {
            builtin::default_tolerations(object);
            builtin::priority_defaults(object, 0, "PreemptLowerPriority");
            object["spec"]["serviceAccountName"] = "default".into();
            object["spec"]["serviceAccount"] = "default".into();
        }
        Ok(())
    }

    fn allocate(&mut self, object: &mut Value, old: Option<&Value>) -> Result<(), Failure> {
        if object["kind"] != "Service" {
            return Ok(());
        }
        let spec = &mut object["spec"];
        let kind = spec["type"].as_str().unwrap_or_default().to_owned();
        if kind == "ExternalName" {
            return Ok(());
        }
        let old = old.map_or(&Value::Null, |old| &old["spec"]);
        for name in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            if spec[name].is_null() && !old[name].is_null() {
                spec[name] = old[name].clone();
            }
        }
        if spec["clusterIP"].is_null() {
            self.addresses += 1;
            spec["clusterIP"] = format!("10.0.0.{}", self.addresses).into();
        }
        if spec["clusterIPs"].is_null() {
            spec["clusterIPs"] = json!([spec["clusterIP"]]);
        }
        if spec["ipFamilies"].is_null() {
            spec["ipFamilies"] = json!(["IPv4"]);
        }
        if spec["ipFamilyPolicy"].is_null() {
            spec["ipFamilyPolicy"] = "SingleStack".into();
        }
        if kind == "NodePort"
            || (kind == "LoadBalancer" && spec["allocateLoadBalancerNodePorts"] != false)
        {
            for port in spec["ports"].as_array_mut().into_iter().flatten() {
                let known = old["ports"].as_array().into_iter().flatten();
                let mut known = known.filter(|known| known["port"] == port["port"]);
                if port["nodePort"].is_null() {
                    port["nodePort"] = match known.next().map(|known| &known["nodePort"]) {
                        Some(number) if !number.is_null() => number.clone(),
                        _ => {
                            self.ports += 1;
                            (30000 + self.ports - 1).into()
                        }
                    };
                }
            }
        }
        Ok(())
    }
}

/// The parts of a request's address.
struct Address<'a> {
    group: &'a str,
    version: &'a str,
    namespace: &'a str,
    plural: &'a str,
    name: &'a str,
    subresource: &'a str,
    query: BTreeMap<&'a str, &'a str>,
    /// The path of the object.
    object: String,
}

impl<'a> Address<'a> {
    fn parse(path: &'a str) -> Self {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => panic!("strange path {path}"),
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            rest => ("", rest),
        };
        let part = |at: usize| rest.get(at).copied().unwrap_or_default();
        let whole = ["status", "scale"].iter().fold(path, |path, sub| {
            path.strip_suffix(&format!("/{sub}")).unwrap_or(path)
        });
        Address {
            group,
            version,
            namespace,
            plural: part(0),
            name: part(1),
            subresource: part(2),
            query: query
                .split('&')
                .filter_map(|pair| pair.split_once('='))
                .collect(),
            object: whole.to_owned(),
        }
    }

    fn of(&self, key: &str) -> &'a str {
        self.query.get(key).copied().unwrap_or_default()
    }
}

impl Server {
    fn answer(&mut self, step: &Value, clock: usize) -> Value {
        let methods = ["post", "put", "patch", "delete", "get"];
        let (method, path) = methods
            .iter()
            .find_map(|method| Some((*method, step.get(*method)?.as_str()?)))
            .expect("a method");
        let address = Address::parse(path);
        let custom = self.custom(&address);
        let listed = discovery::resource(address.group, address.version, address.plural);
        let resource: &dyn Resource = match (&custom, listed) {
            (Some(custom), _) => custom,
            (None, Some(listed)) => builtin::find(address.group, address.version, &listed.kind)
                .expect("a built-in kind"),
            (None, None) => panic!("no resource {path}"),
        };
        let now = format!("2000-01-01T00:00:{clock:02}Z");
        self.numbers.warnings.clear();
        if method == "get" {
            return self.read(resource, &address);
        }
        let before = self.numbers.clone();
        let written = self.write(resource, &address, method, step, &now);
        let warnings = std::mem::take(&mut self.numbers.warnings);
        if written.is_err() {
            self.numbers = before;
        }
        match written {
            Ok(written) => {
                let code = if written.created { 201 } else { 200 };
                let mut object = written.object;
                if !address.query.contains_key("dryRun") {
                    let name = object["metadata"]["name"]
                        .as_str()
                        .unwrap_or_default()
                        .to_owned();
                    let at = if method == "post" {
                        format!("{}/{name}", address.object)
                    } else {
                        address.object
                    };
                    if written.created || written.changed {
                        self.version += 1;
                        object["metadata"]["resourceVersion"] = self.version.to_string().into();
                    }
                    self.objects.insert(at, object.clone());
                }
                object["metadata"]
                    .as_object_mut()
                    .map(|meta| meta.remove("resourceVersion"));
                with_warnings(json!({ "code": code, "body": object }), warnings)
            }
            Err(failure) => with_warnings(refusal(failure), warnings),
        }
    }

    /// The kind that a stored definition makes of an address.
    fn custom(&self, address: &Address<'_>) -> Option<CustomKind> {
        let path = format!(
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{}.{}",
            address.plural, address.group
        );
        let definition = self.objects.get(&path)?;
        let version = definition["spec"]["versions"]
            .as_array()?
            .iter()
            .find(|version| version["name"] == address.version)?;
        let types = Arc::new(CustomTypes::of(definition));
        Some(CustomKind::new(definition, version, types))
    }

    fn read(&self, resource: &dyn Resource, address: &Address<'_>) -> Value {
        match self.objects.get(&address.object) {
            Some(object) => {
                let mut object = object.clone();
                resource.store_form(&mut object);
                if let Some(meta) = object["metadata"].as_object_mut() {
                    meta.remove("resourceVersion");
                }
                json!({ "code": 200, "body": object })
            }
            None => refusal(Failure::not_found(
                address.group,
                address.plural,
                address.name,
            )),
        }
    }

    fn write(
        &mut self,
        resource: &dyn Resource,
        address: &Address<'_>,
        method: &str,
        step: &Value,
        now: &str,
    ) -> Result<Written, Failure> {
        let mut live = self.objects.get(&address.object).cloned();
        live.iter_mut().for_each(|live| resource.store_form(live));
        let file = step["file"].as_str().map(|path| {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
            let text = std::fs::read_to_string(root.join(path)).expect("a file of the repository");
            sluice_yaml::from_str(&text).expect("YAML").to_string()
        });
        let body = match (step.get("text"), step.get("body")) {
            _ if file.is_some() => file.unwrap_or_default(),
            (Some(text), _) => text.as_str().unwrap_or_default().to_owned(),
            (None, Some(body)) => {
                let text = |key: &str| {
                    live.as_ref()
                        .and_then(|live| live["metadata"][key].as_str())
                        .unwrap_or_default()
                };
                body.to_string()
                    .replace("$rv", text("resourceVersion"))
                    .replace("$uid", text("uid"))
            }
            (None, None) => String::new(),
        };
        let write = Write {
            resource,
            namespace: address.namespace,
            name: address.name,
            subresource: address.subresource,
            manager: address.of("fieldManager"),
            validation: FieldValidation::parse(address.of("fieldValidation"))
                .expect("a known value"),
            now,
        };
        let hooks = &mut self.numbers;
        let bytes = body.as_bytes();
        match (method, step["as"].as_str()) {
            ("post", _) => write.create(Body::Json(bytes), hooks),
            ("put", _) => write.replace(live.as_ref(), Body::Json(bytes), hooks),
            ("patch", Some("merge")) => write.patch(live.as_ref(), PatchType::Merge, bytes, hooks),
            ("patch", Some("json")) => write.patch(live.as_ref(), PatchType::Json, bytes, hooks),
            ("patch", Some("strategic")) => {
                write.patch(live.as_ref(), PatchType::Strategic, bytes, hooks)
            }
            ("patch", Some("apply")) => {
                let config = serde_json::from_str(&body).expect("JSON");
                let force = address.of("force") == "true";
                write.apply(live.as_ref(), &config, &[], force, hooks)
            }
            other => panic!("strange request {other:?}"),
        }
    }
}

/// A refusal as the server answers it.
fn refusal(failure: Failure) -> Value {
    let mut body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": failure.message, "code": failure.code,
    });
    if !failure.reason.is_empty() {
        body["reason"] = failure.reason.into();
    }
    if let Some(details) = failure.details {
        body["details"] = details;
    }
    json!({ "code": failure.code, "body": body })
}

fn with_warnings(mut answer: Value, warnings: Vec<String>) -> Value {
    if !warnings.is_empty() {
        answer["warnings"] = warnings.into();
    }
    answer
}

/// Where two values differ.
fn differences(path: &str, ours: &Value, theirs: &Value, found: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))) {
                let missing = Value::String("<nothing>".into());
                let (ours, theirs) = (
                    a.get(key).unwrap_or(&missing),
                    b.get(key).unwrap_or(&missing),
                );
                differences(&format!("{path}.{key}"), ours, theirs, found);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (at, (a, b)) in a.iter().zip(b).enumerate() {
                differences(&format!("{path}[{at}]"), a, b, found);
            }
        }
        _ if ours != theirs => found.push(format!(
            "{path}\n      ours   {ours}\n      theirs {theirs}"
        )),
        _ => {}
    }
}

/// The order of conflicts, and of errors about one document hangs on the order of Go's maps.
fn settle_order(answer: &mut Value, custom: bool) {
    // Patched documents are quoted in the order of Go's structs.
    let cut = |text: &mut Value| -> () {
        if let Some((head, tail)) = text
            .as_str()
            .and_then(|text| text.split_once("Invalid value: \"{"))
            && let Some((_, tail)) = tail.split_once("}\": ")
        {
            *text = format!("{head}Invalid value: ...: {tail}").into();
        }
    };
    answer["body"].get_mut("message").map(cut);
    if let Some(causes) = answer["body"]
        .pointer_mut("/details/causes")
        .and_then(Value::as_array_mut)
    {
        causes
            .iter_mut()
            .for_each(|cause| cut(&mut cause["message"]));
    }
    // The members of a custom resource are validated in the order of Go's maps.
    if answer["code"] == 422
        && custom
        && let Some((head, list)) = answer["body"]["message"]
            .as_str()
            .and_then(|text| text.split_once(" is invalid: ["))
    {
        let mut parts: Vec<&str> = list.trim_end_matches(']').split(", ").collect();
        parts.sort_unstable();
        let text = format!("{head} is invalid: [{}]", parts.join(", "));
        answer["body"]["message"] = text.into();
        let causes = answer["body"]["details"]["causes"].as_array_mut();
        causes
            .into_iter()
            .for_each(|causes| causes.sort_by_key(Value::to_string));
    }
    if answer["code"] == 409 {
        let causes = answer["body"]["details"]["causes"].as_array_mut();
        causes
            .into_iter()
            .for_each(|causes| causes.sort_by_key(Value::to_string));
    }
    if let Some((head, lines)) = answer["body"]["message"]
        .as_str()
        .and_then(|text| text.split_once("errors:\n"))
    {
        let mut lines: Vec<&str> = lines.lines().collect();
        lines.sort_unstable();
        let text = format!("{head}errors:\n{}", lines.join("\n"));
        answer["body"]["message"] = text.into();
    }
}

fn hold(path: &Path) -> Vec<String> {
    let name = path.file_stem().expect("a name").to_string_lossy();
    let script = std::fs::read_to_string(path).expect("a script");
    let steps = sluice_yaml::from_str(&script).expect("YAML");
    let recorded = std::fs::read_to_string(path.with_extension("jsonl")).expect("a recording");
    let recorded: Vec<Value> = recorded
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let steps = steps.as_array().expect("a list");
    assert_eq!(
        steps.len(),
        recorded.len(),
        "{name} was recorded from another script"
    );
    let mut server = Server {
        version: 1000,
        ..Server::default()
    };
    let mut failures = Vec::new();
    for (at, (step, mut theirs)) in steps.iter().zip(recorded).enumerate() {
        let clock = theirs["clock"].as_u64().expect("a clock") as usize;
        theirs.as_object_mut().map(|answer| answer.remove("clock"));
        let before = server.numbers.clone();
        let mut ours = server.answer(step, clock);
        if step["quiet"] == true {
            ours["body"] = Value::Null;
            server.numbers = before;
        }
        for answer in [&mut ours, &mut theirs] {
            settle_order(answer, name.starts_with("custom") || name == "flux");
        }
        let mut found = Vec::new();
        differences("", &ours, &theirs, &mut found);
        if !found.is_empty() {
            let what = step
                .as_object()
                .and_then(|step| step.iter().find(|(_, value)| value.is_string()));
            let what = what.map(|(_, path)| path.to_string()).unwrap_or_default();
            failures.push(format!(
                "{name} step {at} {what}\n    {}",
                found.join("\n    ")
            ));
        }
    }
    failures
}

#[test]
fn the_engine_answers_as_the_real_server() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conversations");
    let mut failures = Vec::new();
    let only = option_env!("ONLY_CONVERSATION").unwrap_or_default();
    for entry in std::fs::read_dir(folder).expect("the folder of conversations") {
        let path = entry.expect("an entry").path();
        if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
            && path.to_string_lossy().contains(only)
        {
            failures.extend(hold(&path));
        }
    }
    assert!(
        failures.is_empty(),
        "{} answers differ\n{}",
        failures.len(),
        failures.join("\n")
    );
}
