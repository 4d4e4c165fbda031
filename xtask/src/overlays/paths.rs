//! Places in objects, as patches and field specs name them.

use serde_json::Value;

use super::random::Random;

/// A step down: a key or an index.
#[derive(Clone, Debug)]
pub enum Step {
    Key(String),
    Index(usize),
}

/// A random place in a value, never the value itself when it has something in it.
pub fn place(value: &Value, random: &mut Random) -> Vec<Step> {
    let mut at = value;
    let mut out = Vec::new();
    loop {
        match at {
            Value::Object(map) if !map.is_empty() => {
                let keys: Vec<_> = map.keys().collect();
                let key = (*random.pick(&keys)).clone();
                at = &map[&key];
                out.push(Step::Key(key));
            }
            Value::Array(items) if !items.is_empty() => {
                let index = random.below(items.len());
                at = &items[index];
                out.push(Step::Index(index));
            }
            _ => return out,
        }
        if random.chance(18) {
            return out;
        }
    }
}

/// As a JSON pointer.
pub fn pointer(steps: &[Step]) -> String {
    steps
        .iter()
        .map(|step| match step {
            Step::Key(key) => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
            Step::Index(index) => format!("/{index}"),
        })
        .collect()
}

/// As a path of a field spec, which has no indices.
pub fn spec(steps: &[Step], random: &mut Random) -> String {
    let mut parts: Vec<String> = Vec::new();
    for step in steps {
        match step {
            Step::Key(key) => parts.push(key.replace('/', "\\/")),
            Step::Index(_) if random.chance(50) => {
                if let Some(last) = parts.last_mut() {
                    last.push_str("[]");
                }
            }
            Step::Index(_) => {}
        }
    }
    parts.join("/")
}

/// As a path of a replacement, with matchers in some places.
pub fn field(value: &Value, steps: &[Step], random: &mut Random) -> String {
    let mut at = value;
    let mut parts: Vec<String> = Vec::new();
    for step in steps {
        match step {
            Step::Key(key) => {
                at = &at[key.as_str()];
                parts.push(match (key.contains('.'), random.chance(50)) {
                    (true, true) => format!("[{key}]"),
                    (true, false) => key.replace('.', "\\."),
                    (false, _) => key.clone(),
                });
            }
            Step::Index(index) => {
                at = &at[*index];
                let name = at.get("name").and_then(Value::as_str);
                parts.push(match (random.below(10), name, at) {
                    (0..=5, Some(name), _) => format!("[name={name}]"),
                    (6, _, _) => "*".to_owned(),
                    (7, _, _) => "-".to_owned(),
                    (0..=5, None, Value::String(text)) if !text.contains(['\u{1}', '.']) => {
                        format!("[={text}]")
                    }
                    _ => index.to_string(),
                });
            }
        }
    }
    parts.join(".")
}
