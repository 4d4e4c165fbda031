//! The operations of a JSON patch, as lenient as the server's library: `replace` sets members that are not there, and
//! indices may count from the end.

use serde_json::Value;

/// The patch does not apply.
pub(super) struct Misfit;

type Result<T> = std::result::Result<T, Misfit>;

/// Applies one operation.
pub(super) fn apply(document: &mut Value, operation: &Value) -> Result<()> {
    let text = |key: &str| operation[key].as_str().ok_or(Misfit);
    let value = || operation.get("value").cloned().unwrap_or_default();
    let path = text("path")?;
    match text("op")? {
        "add" => add(document, path, value()),
        "remove" => remove(document, path).map(|_| ()),
        "replace" => replace(document, path, value()),
        "move" => {
            let moved = remove(document, text("from")?)?;
            add(document, path, moved)
        }
        "copy" => {
            let copied = find(document, text("from")?)?.cloned().unwrap_or_default();
            add(document, path, copied)
        }
        "test" => {
            let found = find(document, path)?.cloned().unwrap_or_default();
            if found == value() {
                Ok(())
            } else {
                Err(Misfit)
            }
        }
        _ => Err(Misfit),
    }
}

fn unescape(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

/// The container of a path, and the last token.
fn container<'a>(document: &'a mut Value, path: &str) -> Result<(&'a mut Value, String)> {
    let path = path.strip_prefix('/').ok_or(Misfit)?;
    let mut tokens: Vec<&str> = path.split('/').collect();
    let last = unescape(tokens.pop().ok_or(Misfit)?);
    let container = tokens.into_iter().try_fold(document, |value, token| {
        let token = unescape(token);
        match value {
            Value::Object(map) => map.get_mut(&token).ok_or(Misfit),
            Value::Array(items) => {
                let at = index(&token, items.len(), items.len())?;
                items.get_mut(at).ok_or(Misfit)
            }
            _ => Err(Misfit),
        }
    })?;
    Ok((container, last))
}

/// A position below `limit`; negative ones count from the end.
fn index(token: &str, length: usize, limit: usize) -> Result<usize> {
    let number: i64 = token.parse().map_err(|_| Misfit)?;
    let number = if number < 0 {
        number + length as i64
    } else {
        number
    };
    usize::try_from(number)
        .ok()
        .filter(|at| *at < limit)
        .ok_or(Misfit)
}

fn add(document: &mut Value, path: &str, value: Value) -> Result<()> {
    if path.is_empty() {
        *document = value;
        return Ok(());
    }
    let (container, key) = container(document, path)?;
    match container {
        Value::Object(map) => {
            map.insert(key, value);
        }
        Value::Array(items) if key == "-" => items.push(value),
        Value::Array(items) => {
            let at = index(
                &key,
                items.len() + usize::from(key.starts_with('-')),
                items.len() + 1,
            )?;
            items.insert(at, value);
        }
        _ => return Err(Misfit),
    }
    Ok(())
}

fn replace(document: &mut Value, path: &str, value: Value) -> Result<()> {
    if path.is_empty() {
        *document = value;
        return Ok(());
    }
    let (container, key) = container(document, path)?;
    match container {
        Value::Object(map) => {
            map.insert(key, value);
        }
        Value::Array(items) => {
            let at = index(&key, items.len(), items.len())?;
            items[at] = value;
        }
        _ => return Err(Misfit),
    }
    Ok(())
}

fn remove(document: &mut Value, path: &str) -> Result<Value> {
    let (container, key) = container(document, path)?;
    match container {
        Value::Object(map) => map.remove(&key).ok_or(Misfit),
        Value::Array(items) => {
            let at = index(&key, items.len(), items.len())?;
            Ok(items.remove(at))
        }
        _ => Err(Misfit),
    }
}

/// The value at a path; None where the last member is not there.
fn find<'a>(document: &'a mut Value, path: &str) -> Result<Option<&'a Value>> {
    if path.is_empty() {
        return Ok(Some(document));
    }
    let (container, key) = container(document, path)?;
    match container {
        Value::Object(map) => Ok(map.get(&key)),
        Value::Array(items) => Ok(Some(&items[index(&key, items.len(), items.len())?])),
        _ => Err(Misfit),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn operations_apply_or_do_not() {
        let start = json!({"a": [1, 2], "b": {"c/d": 1}});
        let table = [
            (
                json!({"op": "add", "path": "/a/-", "value": 3}),
                Some(json!({"a": [1, 2, 3], "b": {"c/d": 1}})),
            ),
            (
                json!({"op": "add", "path": "/a/1", "value": 3}),
                Some(json!({"a": [1, 3, 2], "b": {"c/d": 1}})),
            ),
            (json!({"op": "add", "path": "/a/3", "value": 3}), None),
            (
                json!({"op": "replace", "path": "/x", "value": 3}),
                Some(json!({"a": [1, 2], "b": {"c/d": 1}, "x": 3})),
            ),
            (
                json!({"op": "replace", "path": "/a/-1", "value": 3}),
                Some(json!({"a": [1, 3], "b": {"c/d": 1}})),
            ),
            (json!({"op": "replace", "path": "/x/y", "value": 3}), None),
            (
                json!({"op": "remove", "path": "/b/c~1d"}),
                Some(json!({"a": [1, 2], "b": {}})),
            ),
            (json!({"op": "remove", "path": "/x"}), None),
            (
                json!({"op": "move", "from": "/a/0", "path": "/z"}),
                Some(json!({"a": [2], "b": {"c/d": 1}, "z": 1})),
            ),
            (
                json!({"op": "copy", "from": "/a", "path": "/b"}),
                Some(json!({"a": [1, 2], "b": [1, 2]})),
            ),
            (
                json!({"op": "test", "path": "/a/0", "value": 1}),
                Some(start.clone()),
            ),
            (json!({"op": "test", "path": "/a/0", "value": 2}), None),
            (
                json!({"op": "test", "path": "/none", "value": null}),
                Some(start.clone()),
            ),
            (json!({"op": "none", "path": "/a"}), None),
        ];
        for (operation, expected) in table {
            let mut document = start.clone();
            let result = apply(&mut document, &operation).ok().map(|()| document);
            assert_eq!(result, expected, "{operation}");
        }
    }
}
