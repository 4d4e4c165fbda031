//! Names that Kubernetes accepts, by kind.

/// Returns what is wrong with the name of an object of a kind, in the words of
/// the API server.
pub(super) fn problems(kind: &str, name: &str) -> Vec<String> {
    match kind.to_lowercase().as_str() {
        "role" | "clusterrole" | "rolebinding" | "clusterrolebinding" => path_segment(name),
        "certificatesigningrequest" => Vec::new(),
        "namespace" => label(name),
        "service" => service_label(name),
        _ => subdomain(name),
    }
}

fn path_segment(name: &str) -> Vec<String> {
    if matches!(name, "." | "..") {
        return vec![format!("may not be '{name}'")];
    }
    ["/", "%"]
        .into_iter()
        .filter(|mark| name.contains(mark))
        .map(|mark| format!("may not contain '{mark}'"))
        .collect()
}

fn is_inner(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'
}

fn is_label(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(is_inner) && !name.starts_with('-') && !name.ends_with('-')
}

fn too_long(name: &str, most: usize) -> Option<String> {
    (name.len() > most).then(|| format!("must be no more than {most} characters"))
}

fn label(name: &str) -> Vec<String> {
    let mut found: Vec<String> = too_long(name, 63).into_iter().collect();
    if !is_label(name) {
        if name.split('.').all(is_label) && name.contains('.') {
            found.push("must not contain dots".to_owned());
        } else {
            found.push(
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or \
                 '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or \
                 '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
                    .to_owned(),
            );
        }
    }
    found
}

fn service_label(name: &str) -> Vec<String> {
    let mut found: Vec<String> = too_long(name, 63).into_iter().collect();
    if !is_label(name) || !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        found.push(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start \
             with an alphabetic character, and end with an alphanumeric character (e.g. \
             'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
                .to_owned(),
        );
    }
    found
}

fn subdomain(name: &str) -> Vec<String> {
    let mut found: Vec<String> = too_long(name, 253).into_iter().collect();
    if !name.split('.').all(is_label) {
        found.push(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, \
             '-' or '.', and must start and end with an alphanumeric character (e.g. \
             'example.com', regex used for validation is \
             '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
                .to_owned(),
        );
    }
    found
}
