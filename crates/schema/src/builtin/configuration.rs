//! ConfigMap, Secret and ServiceAccount.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Rules;
use super::meta;
use super::tools::{Errors, Path, check, entries, fill, has, same, text};
use crate::failure::FieldError;
use crate::names;

/// All values of an object together, in bytes.
const MAX_SIZE: usize = 1024 * 1024;

pub(super) const CONFIG_MAP: Rules = Rules {
    validate: validate_config_map,
    validate_update: |new, old, errors| {
        meta::validate_update(new, old, errors);
        check_immutability(new, old, &["data", "binaryData"], errors);
        validate_config_map(new, errors);
    },
    ..Rules::COMMON
};

pub(super) const SECRET: Rules = Rules {
    defaults: |value| {
        write_string_data(value);
        if let Some(map) = value.as_object_mut() {
            fill(map, "type", "Opaque");
        }
    },
    prepare_update: |new, old| {
        // A type that is left out is kept.
        if text(&new["type"]).is_empty() {
            new["type"] = old["type"].clone();
        }
    },
    validate: validate_secret,
    validate_update: |new, old, errors| {
        meta::validate_update(new, old, errors);
        if !same(&new["type"], &old["type"]) {
            errors.push(FieldError::invalid(
                "type",
                &new["type"],
                "field is immutable",
            ));
        }
        check_immutability(new, old, &["data"], errors);
        validate_secret(new, errors);
    },
    ..Rules::COMMON
};

pub(super) const SERVICE_ACCOUNT: Rules = Rules {
    prepare_create: |value| {
        // The server fills them in.
        if let Some(map) = value.as_object_mut() {
            map.retain(|_, value| !value.as_array().is_some_and(Vec::is_empty));
        }
    },
    ..Rules::COMMON
};

/// `stringData` is a convenience of writing: it ends up in `data`.
fn write_string_data(value: &mut Value) {
    let Some(map) = value.as_object_mut() else {
        return;
    };
    let Some(Value::Object(texts)) = map.remove("stringData") else {
        return;
    };
    let data = super::tools::object(map, "data");
    for (key, value) in texts {
        data.insert(key, STANDARD.encode(text(&value)).into());
    }
}

fn check_immutability(new: &Value, old: &Value, fields: &[&str], errors: &mut Errors) {
    if old["immutable"] != true {
        return;
    }
    let why = "field is immutable when `immutable` is set";
    if new["immutable"] != true {
        errors.push(FieldError::forbidden("immutable", why));
    }
    for field in fields {
        if !same(&new[field], &old[field]) {
            errors.push(FieldError::forbidden(field, why));
        }
    }
}

fn validate_config_map(object: &Value, errors: &mut Errors) {
    let mut size = 0;
    for (key, value) in entries(&object["data"]) {
        check(
            errors,
            &Path::new("data").key(key),
            &key.into(),
            names::config_map_key(key),
        );
        if has(&object["binaryData"][key]) {
            let path = Path::new("data").key(key);
            errors.push(FieldError::invalid(
                path,
                &key.into(),
                "duplicate of key present in binaryData",
            ));
        }
        size += text(value).len();
    }
    for (key, value) in entries(&object["binaryData"]) {
        check(
            errors,
            &Path::new("binaryData").key(key),
            &key.into(),
            names::config_map_key(key),
        );
        size += decoded_length(value);
    }
    if size > MAX_SIZE {
        errors.push(FieldError::too_long("", MAX_SIZE));
    }
}

fn decoded_length(value: &Value) -> usize {
    let text = text(value);
    text.len() / 4 * 3 - text.bytes().rev().take_while(|byte| *byte == b'=').count()
}

fn decoded(object: &Value, key: &str) -> Option<Vec<u8>> {
    STANDARD.decode(object["data"][key].as_str()?).ok()
}

fn validate_secret(object: &Value, errors: &mut Errors) {
    let data = Path::new("data");
    let mut size = 0;
    for (key, value) in entries(&object["data"]) {
        check(
            errors,
            &data.key(key),
            &key.into(),
            names::config_map_key(key),
        );
        size += decoded_length(value);
    }
    if size > MAX_SIZE {
        errors.push(FieldError::too_long(&data, MAX_SIZE));
    }
    let present = |key: &str| decoded(object, key).is_some();
    let require = |key: &str, errors: &mut Errors| {
        if !present(key) {
            errors.push(FieldError::required(data.key(key), ""));
        }
    };
    match text(&object["type"]) {
        "kubernetes.io/service-account-token" => {
            let annotation = "kubernetes.io/service-account.name";
            if text(&object["metadata"]["annotations"][annotation]).is_empty() {
                let path = Path::new("metadata").child("annotations").key(annotation);
                errors.push(FieldError::required(path, ""));
            }
        }
        "kubernetes.io/dockercfg" => validate_json(object, ".dockercfg", errors),
        "kubernetes.io/dockerconfigjson" => validate_json(object, ".dockerconfigjson", errors),
        "kubernetes.io/basic-auth" => {
            if !present("username") && !present("password") {
                errors.push(FieldError::required(data.key("username"), ""));
                errors.push(FieldError::required(data.key("password"), ""));
            }
        }
        "kubernetes.io/ssh-auth" => {
            if decoded(object, "ssh-privatekey").is_none_or(|key| key.is_empty()) {
                errors.push(FieldError::required(data.key("ssh-privatekey"), ""));
            }
        }
        "kubernetes.io/tls" => {
            require("tls.crt", errors);
            require("tls.key", errors);
        }
        _ => {}
    }
}

fn validate_json(object: &Value, key: &str, errors: &mut Errors) {
    let path = Path::new("data").key(key);
    match decoded(object, key) {
        None => errors.push(FieldError::required(path, "")),
        Some(bytes) => {
            if let Err(error) = crate::read::parse(&bytes) {
                errors.push(FieldError::invalid(
                    path,
                    &json!("<secret contents redacted>"),
                    error,
                ));
            }
        }
    }
}
