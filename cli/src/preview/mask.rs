//! What of Secrets is never shown: ciphertext that only the cluster can decrypt, and values.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// What stands for a value that only the cluster can decrypt.
const MASK: &str = "**SOPS**";
/// What stands for a value that is the same on both sides.
const SAME: &str = "*****";
/// The fields of a Secret that hold values.
const FIELDS: [&str; 2] = ["data", "stringData"];

fn is_secret(object: &Value) -> bool {
    object["apiVersion"] == "v1" && object["kind"] == "Secret"
}

/// What stands for a decrypted value in a Secret of a type.
fn mask(field: &str, object: &Value) -> String {
    let plain = match object["type"].as_str() {
        Some("kubernetes.io/dockerconfigjson") => json!({ "mask": MASK }).to_string(),
        _ => MASK.to_owned(),
    };
    match field {
        "data" => STANDARD.encode(plain),
        _ => plain,
    }
}

/// Puts a mask in the place of everything encrypted in a Secret.
///
/// With a `sops` block every value is; without, those that say so themselves.
pub fn ciphertext(object: &mut Value) {
    if !is_secret(object) {
        return;
    }
    let is_sealed = object.pointer("/sops/mac").is_some();
    if is_sealed && let Some(map) = object.as_object_mut() {
        map.remove("sops");
    }
    for field in FIELDS {
        let mask = mask(field, object);
        let values = object.get_mut(field).and_then(Value::as_object_mut);
        for (_, value) in values.into_iter().flatten() {
            if is_sealed || holds_ciphertext(field, value) {
                *value = Value::from(mask.as_str());
            }
        }
    }
}

fn holds_ciphertext(field: &str, value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    let decoded = match field {
        "data" => String::from_utf8_lossy(&STANDARD.decode(text).unwrap_or_default()).into_owned(),
        _ => text.to_owned(),
    };
    // A whole file in one of SOPS's formats, or one of its values.
    decoded.contains("ENC[AES256_GCM,data:") || decoded.contains("\"sops\":")
}

/// Hides the values of a Secret as it is and as it would be, so that they still tell whether they are
/// the same. A value that only the cluster can decrypt counts as the same.
pub fn values(before: &mut Value, after: &mut Value) {
    if !is_secret(after) {
        return;
    }
    let mask = mask("data", after);
    let [old, new] = [&before, &after].map(|object| object["data"].as_object().cloned());
    let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
    let hide = |own: &Map<String, Value>, other: &Map<String, Value>, side: &str| {
        let hidden = own.iter().map(|(key, value)| {
            let other = other.get(key);
            let is_sealed = [Some(value), other]
                .into_iter()
                .flatten()
                .any(|value| value.as_str() == Some(&mask));
            let shown = match other {
                Some(other) if other != value && !is_sealed => format!("*** ({side})"),
                _ => SAME.to_owned(),
            };
            (key.clone(), Value::from(shown))
        });
        hidden.collect::<Map<_, _>>()
    };
    for (object, data) in [
        (before, hide(&old, &new, "before")),
        (after, hide(&new, &old, "after")),
    ] {
        if let Some(map) = object
            .as_object_mut()
            .filter(|map| map.contains_key("data"))
        {
            map.insert("data".to_owned(), Value::Object(data));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(data: Value) -> Value {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "data": data})
    }

    #[test]
    fn a_sealed_secret_keeps_its_keys_only() {
        let mut object = secret(json!({"a": "ENC[AES256_GCM,data:x]"}));
        object["sops"] = json!({"mac": "x"});
        object["stringData"] = json!({"b": "plain"});
        ciphertext(&mut object);
        let mut expected = secret(json!({"a": STANDARD.encode(MASK)}));
        expected["stringData"] = json!({"b": MASK});
        assert_eq!(object, expected);
    }

    #[test]
    fn registry_credentials_stay_json() {
        let mut object = secret(json!({".dockerconfigjson": "x"}));
        object["type"] = json!("kubernetes.io/dockerconfigjson");
        object["sops"] = json!({"mac": "x"});
        ciphertext(&mut object);
        assert_eq!(
            object["data"][".dockerconfigjson"],
            STANDARD.encode(r#"{"mask":"**SOPS**"}"#)
        );
    }

    #[test]
    fn without_a_block_only_ciphertext_is_masked() {
        let hidden = STANDARD.encode("password: ENC[AES256_GCM,data:x,iv:y]");
        let mut object = secret(json!({"a": hidden, "b": "MQ=="}));
        ciphertext(&mut object);
        assert_eq!(
            object,
            secret(json!({"a": STANDARD.encode(MASK), "b": "MQ=="}))
        );
    }

    #[test]
    fn values_are_hidden_and_still_tell_whether_they_changed() {
        let sealed = STANDARD.encode(MASK);
        let mut before =
            secret(json!({"same": "MQ==", "other": "MQ==", "old": "MQ==", "sealed": "MQ=="}));
        let mut after =
            secret(json!({"same": "MQ==", "other": "Mg==", "new": "Mg==", "sealed": sealed}));
        values(&mut before, &mut after);
        assert_eq!(
            before["data"],
            json!({"same": "*****", "other": "*** (before)", "old": "*****", "sealed": "*****"})
        );
        assert_eq!(
            after["data"],
            json!({"same": "*****", "other": "*** (after)", "new": "*****", "sealed": "*****"})
        );
    }
}
