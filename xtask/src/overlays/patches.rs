//! Random patches of known objects.

use serde_json::{Map, Value, json};

use super::objects::{self, Known};
use super::paths::{self, Step};
use super::random::Random;
use super::writer::raw;

/// The fields by which elements of lists are told apart.
const ELEMENT_KEYS: [&str; 10] = [
    "name",
    "type",
    "containerPort",
    "port",
    "protocol",
    "mountPath",
    "ip",
    "topologyKey",
    "whenUnsatisfiable",
    "uid",
];

/// A strategic-merge patch of an object, with its identity.
pub fn merge(known: &Known, random: &mut Random) -> Value {
    let mut patch = match partial(&known.value, random) {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    patch.insert("apiVersion".to_owned(), json!(known.api));
    patch.insert("kind".to_owned(), json!(known.kind));
    let mut metadata = match patch.remove("metadata") {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    };
    metadata.insert("name".to_owned(), json!(known.name));
    metadata.remove("namespace");
    if !known.namespace.is_empty() {
        metadata.insert("namespace".to_owned(), json!(known.namespace));
    }
    patch.insert("metadata".to_owned(), Value::Object(metadata));
    if random.chance(4) {
        patch.insert(
            "$patch".to_owned(),
            json!(random.word(&["delete", "delete", "replace", "merge"])),
        );
    }
    Value::Object(patch)
}

fn partial(value: &Value, random: &mut Random) -> Value {
    match value {
        Value::Object(map) => {
            let mut out = Map::new();
            let keys: Vec<_> = map.keys().collect();
            for _ in 0..random.between(1, 3) {
                if keys.is_empty() {
                    break;
                }
                let key = (*random.pick(&keys)).clone();
                let changed = match random.below(20) {
                    0 => raw("null"),
                    1 => objects::value(random, 2),
                    _ => partial(&map[&key], random),
                };
                out.insert(key, changed);
            }
            if random.chance(12) {
                let key = random.word(&["new", "added", "a", "k2", "data"]);
                out.insert(key, objects::value(random, 2));
            }
            if random.chance(3) {
                out.insert(
                    "$patch".to_owned(),
                    json!(random.word(&["delete", "replace", "merge"])),
                );
            }
            Value::Object(out)
        }
        Value::Array(items) if items.iter().any(Value::is_object) || items.is_empty() => {
            let mut out = Vec::new();
            for _ in 0..random.between(0, 2) {
                out.push(match items.get(random.below(items.len().max(1))) {
                    Some(item) => element(item, random),
                    None => json!({"name": random.word(&["main", "x", "v1", "FOO"])}),
                });
            }
            if random.chance(12) {
                out.push(json!({"name": random.word(&["main", "x", "v1", "FOO"]), "image": random.word(&objects::IMAGES)}));
            }
            if random.chance(4) {
                out.push(json!({"$patch": random.word(&["delete", "replace", "merge"])}));
            }
            random.shuffle(&mut out);
            Value::Array(out)
        }
        Value::Array(_) => (0..random.below(4))
            .map(|_| json!(random.word(&["a", "b", "c", "x"])))
            .collect(),
        _ => objects::scalar(random),
    }
}

/// An element of a list, with what tells it apart.
fn element(item: &Value, random: &mut Random) -> Value {
    let Value::Object(all) = item else {
        return item.clone();
    };
    let mut out = match partial(item, random) {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    for key in ELEMENT_KEYS {
        match all.get(key) {
            Some(value) if random.chance(96) => {
                out.insert(key.to_owned(), value.clone());
            }
            _ => {}
        }
    }
    if random.chance(10) {
        out.insert(
            "$patch".to_owned(),
            json!(random.word(&["delete", "delete", "replace", "merge"])),
        );
    }
    Value::Object(out)
}

/// The operations of a JSON patch.
pub fn operations(known: &Known, random: &mut Random, wild: bool) -> Value {
    (0..random.between(1, 3))
        .map(|_| operation(known, random, wild))
        .collect()
}

fn operation(known: &Known, random: &mut Random, wild: bool) -> Value {
    let mut steps = paths::place(&known.value, random);
    let protected =
        matches!(steps.first(), Some(Step::Key(key)) if key == "apiVersion" || key == "kind");
    if (protected || paths::pointer(&steps) == "/metadata/name") && !(wild && random.chance(30)) {
        steps = vec![
            Step::Key("metadata".to_owned()),
            Step::Key("labels".to_owned()),
        ];
        return json!({"op": "add", "path": paths::pointer(&steps), "value": objects::pairs(random, true)});
    }
    let mut path = paths::pointer(&steps);
    if let Some(Step::Index(_)) = steps.last()
        && random.chance(40)
    {
        let parent = paths::pointer(&steps[..steps.len() - 1]);
        path = format!("{parent}/{}", random.word(&["-", "0", "-1"]));
        if path.ends_with('-') || wild {
            return json!({"op": "add", "path": path, "value": objects::value(random, 2)});
        }
    }
    if wild && random.chance(25) {
        path.push_str(&random.word(&["/x", "/0", "/a/b", "~1", "/"]));
    }
    match random.below(12) {
        0 | 1 => json!({"op": "remove", "path": path}),
        2..=5 => json!({"op": "replace", "path": path, "value": objects::value(random, 2)}),
        // Copies of all metadata show records of kustomize's own, see docs/compat.md.
        6 if !path.starts_with("/metadata") || wild => {
            let to = paths::place(&known.value, random);
            json!({"op": random.word(&["copy", "move"]), "from": path, "path": paths::pointer(&to)})
        }
        7 if wild => {
            json!({"op": random.word(&["test", "noop"]), "path": path, "value": objects::scalar(random)})
        }
        _ => json!({"op": "add", "path": path, "value": objects::value(random, 2)}),
    }
}
