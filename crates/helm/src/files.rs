//! `.Files`: a chart's other files, for its templates.

use std::any::Any;
use std::sync::Arc;

use regex::Regex;
use sluice_gotemplate::{
    BYTES, CallError, Entries, Map, Method, Named, Object, STRING_SLICE, Str, Type, Under, Value,
};

use crate::chart::File;
use crate::funcs::{base_name, to_yaml};

static FILES: Named = Named {
    name: "engine.files",
    under: Under::Type(Type::Map(&BYTES)),
    text: None,
    action_text: None,
    methods: || METHODS,
};

const FILES_TYPE: Type = Type::Named(&FILES);

static METHODS: &[Method] = &[
    Method {
        name: "Get",
        params: &[Type::String],
        variadic: None,
        returns: Type::String,
        call: |value, args| {
            Ok(Value::Str(
                find(value, &args[0]).map_or_else(Str::empty, |data| Str::from(Arc::clone(data))),
            ))
        },
    },
    Method {
        name: "GetBytes",
        params: &[Type::String],
        variadic: None,
        returns: BYTES,
        call: |value, args| {
            Ok(Value::Bytes(
                find(value, &args[0]).map_or_else(Str::empty, |data| Str::from(Arc::clone(data))),
            ))
        },
    },
    Method {
        name: "Glob",
        params: &[Type::String],
        variadic: None,
        returns: FILES_TYPE,
        call: |value, args| {
            let pattern = text(&args[0]);
            // What is no pattern matches everything, as in the original.
            let regex = glob_regex(&pattern);
            let kept = files(value)
                .iter()
                .filter(|file| regex.as_ref().is_none_or(|r| r.is_match(&file.name)))
                .cloned()
                .collect();
            Ok(Value::object(Files(kept)))
        },
    },
    Method {
        name: "AsConfig",
        params: &[],
        variadic: None,
        returns: Type::String,
        call: |value, _| {
            let pairs = files(value)
                .iter()
                .map(|file| (base_name(&file.name), Value::Str(content(file))));
            as_yaml(pairs.collect())
        },
    },
    Method {
        name: "AsSecrets",
        params: &[],
        variadic: None,
        returns: Type::String,
        call: |value, _| {
            use base64::Engine as _;
            let pairs = files(value).iter().map(|file| {
                let coded = base64::engine::general_purpose::STANDARD.encode(&file.data);
                (base_name(&file.name), Value::from(coded))
            });
            as_yaml(pairs.collect())
        },
    },
    Method {
        name: "Lines",
        params: &[Type::String],
        variadic: None,
        returns: STRING_SLICE,
        call: |value, args| lines(find(value, &args[0])),
    },
];

/// A chart's files as a template value.
#[derive(Clone)]
pub(crate) struct Files(Vec<Arc<File>>);

impl Files {
    /// Takes the files of a chart; of files with one name the last counts.
    pub(crate) fn new(files: &[File]) -> Self {
        let mut by_name = std::collections::BTreeMap::new();
        for file in files {
            by_name.insert(file.name.clone(), Arc::new(file.clone()));
        }
        Files(by_name.into_values().collect())
    }
}

impl Object for Files {
    fn named(&self) -> &'static Named {
        &FILES
    }

    fn plain(&self) -> Value {
        let entries: Entries = self
            .0
            .iter()
            .map(|file| (Str::from(file.name.as_str()), Value::Bytes(content(file))))
            .collect();
        Value::Map(Map::typed(Type::Map(&BYTES), entries))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn files(value: &Value) -> &[Arc<File>] {
    match value {
        Value::Object(object) => object
            .as_any()
            .downcast_ref::<Files>()
            .map_or(&[], |files| &files.0),
        _ => &[],
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Str(s) => s.to_string(),
        _ => String::new(),
    }
}

fn find<'v>(value: &'v Value, name: &Value) -> Option<&'v Arc<[u8]>> {
    let name = text(name);
    files(value)
        .iter()
        .find(|file| file.name == name)
        .map(|file| &file.data)
}

/// What is in a file, shared with it.
fn content(file: &File) -> Str {
    Str::from(Arc::clone(&file.data))
}

fn as_yaml(pairs: Vec<(String, Value)>) -> Result<Value, CallError> {
    if pairs.is_empty() {
        return Ok(Value::from("{}"));
    }
    Ok(to_yaml(&Value::map(
        pairs.iter().map(|(k, v)| (k.as_str(), v.clone())),
    ))
    .map_or_else(|_| Value::from(""), Value::from))
}

fn lines(data: Option<&Arc<[u8]>>) -> Result<Value, CallError> {
    let Some(data) = data else {
        return Ok(crate::funcs::string_list(Vec::new()));
    };
    let Some(last) = data.last() else {
        return Err(CallError::new("runtime error: index out of range [-1]"));
    };
    let body = if *last == b'\n' {
        &data[..data.len() - 1]
    } else {
        data
    };
    Ok(crate::funcs::string_list(
        body.split(|b| *b == b'\n').map(Str::from).collect(),
    ))
}

/// Translates a glob: `*` stops at slashes, `**` does not. `None` for a text
/// that is no glob.
fn glob_regex(pattern: &str) -> Option<Regex> {
    let mut out = String::from("(?s)^");
    let mut chars = pattern.chars().peekable();
    let mut braces = 0usize;
    while let Some(c) = chars.next() {
        match c {
            '*' if chars.peek() == Some(&'*') => {
                while chars.peek() == Some(&'*') {
                    chars.next();
                }
                out.push_str(".*");
            }
            '*' => out.push_str("[^/]*"),
            '?' => out.push_str("[^/]"),
            '[' => {
                let mut class = String::new();
                let negated = chars.next_if_eq(&'!').is_some();
                loop {
                    match chars.next()? {
                        ']' if !class.is_empty() => break,
                        '\\' => class.push_str(&regex::escape(&chars.next()?.to_string())),
                        '-' => class.push('-'),
                        other => class.push_str(&regex::escape(&other.to_string())),
                    }
                }
                out.push_str(if negated { "[^" } else { "[" });
                out.push_str(&class);
                out.push(']');
            }
            '{' => {
                braces += 1;
                out.push_str("(?:");
            }
            '}' if braces > 0 => {
                braces -= 1;
                out.push(')');
            }
            ',' if braces > 0 => out.push('|'),
            '\\' => out.push_str(&regex::escape(&chars.next()?.to_string())),
            other => out.push_str(&regex::escape(&other.to_string())),
        }
    }
    if braces > 0 {
        return None;
    }
    out.push('$');
    Regex::new(&out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_as_helms_do() {
        for (pattern, name, want) in [
            ("*.txt", "a.txt", true),
            ("*.txt", "d/a.txt", false),
            ("**.txt", "d/a.txt", true),
            ("d/*", "d/a", true),
            ("d/**", "d/e/a", true),
            ("{a,b}.txt", "b.txt", true),
            ("[ab].txt", "b.txt", true),
            ("[!ab].txt", "b.txt", false),
            ("[a-c]?", "bx", true),
            ("a.b", "axb", false),
        ] {
            let regex = glob_regex(pattern).expect(pattern);
            assert_eq!(regex.is_match(name), want, "{pattern} {name}");
        }
        assert!(glob_regex("[a").is_none());
        assert!(glob_regex("{a").is_none());
    }
}
