//! JSON pointers (RFC 6901) into manifests.

use serde_json::Value;

/// A parsed pointer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pointer(Vec<String>);

/// A text that is no pointer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no JSON pointer, it has to begin with `/`")]
pub struct InvalidPointer(pub String);

impl Pointer {
    /// Reads `/a/b~1c/0`. The empty text points to the whole document.
    ///
    /// # Errors
    /// A text that is not empty and does not begin with a slash.
    pub fn parse(text: &str) -> Result<Self, InvalidPointer> {
        if text.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let Some(rest) = text.strip_prefix('/') else {
            return Err(InvalidPointer(text.to_owned()));
        };
        let unescape = |part: &str| part.replace("~1", "/").replace("~0", "~");
        Ok(Self(rest.split('/').map(unescape).collect()))
    }

    /// The steps from the root.
    pub fn steps(&self) -> &[String] {
        &self.0
    }

    /// The value it points to.
    pub fn get<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        self.0.iter().try_fold(value, |value, step| match value {
            Value::Object(map) => map.get(step),
            Value::Array(items) => items.get(index(step)?),
            _ => None,
        })
    }

    /// Removes the value it points to; nothing happens where there is none.
    pub fn remove(&self, value: &mut Value) -> Option<Value> {
        let (last, path) = self.0.split_last()?;
        match parent(value, path)? {
            Value::Object(map) => map.remove(last),
            Value::Array(items) => {
                let index = index(last).filter(|i| *i < items.len())?;
                Some(items.remove(index))
            }
            _ => None,
        }
    }

    /// Replaces the value it points to. Returns whether there was one.
    pub fn replace(&self, value: &mut Value, new: Value) -> bool {
        let slot = match self.0.split_last() {
            None => Some(value),
            Some((last, path)) => parent(value, path).and_then(|parent| match parent {
                Value::Object(map) => map.get_mut(last),
                Value::Array(items) => items.get_mut(index(last)?),
                _ => None,
            }),
        };
        match slot {
            Some(slot) => {
                *slot = new;
                true
            }
            None => false,
        }
    }
}

fn parent<'v>(value: &'v mut Value, path: &[String]) -> Option<&'v mut Value> {
    path.iter().try_fold(value, |value, step| match value {
        Value::Object(map) => map.get_mut(step),
        Value::Array(items) => items.get_mut(index(step)?),
        _ => None,
    })
}

/// An index without sign or leading zeros.
fn index(step: &str) -> Option<usize> {
    let plain = step == "0" || (!step.starts_with('0') && step.bytes().all(|b| b.is_ascii_digit()));
    plain.then(|| step.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pointers_find_replace_and_remove() {
        let mut value = json!({"a": {"b/c": [1, {"~": 2}]}});
        let pointer = |text| Pointer::parse(text).unwrap();
        assert_eq!(pointer("/a/b~1c/1/~0").get(&value), Some(&json!(2)));
        assert_eq!(pointer("").get(&value), Some(&value));
        for text in [
            "/a/x",
            "/a/b~1c/2",
            "/a/b~1c/01",
            "/a/b~1c/-",
            "/a/b~1c/0/x",
        ] {
            assert_eq!(pointer(text).get(&value), None, "{text}");
            assert_eq!(pointer(text).remove(&mut value), None, "{text}");
            assert!(!pointer(text).replace(&mut value, json!(1)), "{text}");
        }
        assert!(pointer("/a/b~1c/0").replace(&mut value, json!(5)));
        assert_eq!(pointer("/a/b~1c/0").remove(&mut value), Some(json!(5)));
        assert_eq!(value, json!({"a": {"b/c": [{"~": 2}]}}));
        assert!(Pointer::parse("a/b").is_err());
    }
}
