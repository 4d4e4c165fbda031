//! What a request asks for, read from its method, path and query (`RequestInfo` of k8s.io/apiserver).

use std::collections::BTreeMap;

/// Which of the API's shapes a path has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `/api/...` or `/apis/...` with a resource.
    Resource(ResourcePath),
    /// Any other path: discovery, health, OpenAPI.
    Other,
}

/// A path that names a resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResourcePath {
    /// API group; empty for the core group.
    pub group: String,
    /// Version.
    pub version: String,
    /// Namespace, if the path has one.
    pub namespace: Option<String>,
    /// Plural name of the resource.
    pub resource: String,
    /// Object name.
    pub name: Option<String>,
    /// Subresource with what follows it.
    pub subresource: Option<String>,
}

/// What is done with a resource, as authorization names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Read one object.
    Get,
    /// Read many.
    List,
    /// Follow changes.
    Watch,
    /// POST.
    Create,
    /// PUT.
    Update,
    /// PATCH.
    Patch,
    /// DELETE of one object.
    Delete,
    /// DELETE of many.
    DeleteCollection,
}

impl Verb {
    /// The verb's name in rules and texts.
    pub fn name(self) -> &'static str {
        match self {
            Verb::Get => "get",
            Verb::List => "list",
            Verb::Watch => "watch",
            Verb::Create => "create",
            Verb::Update => "update",
            Verb::Patch => "patch",
            Verb::Delete => "delete",
            Verb::DeleteCollection => "deletecollection",
        }
    }
}

/// The decoded query of a request.
#[derive(Debug, Clone, Default)]
pub struct Query(BTreeMap<String, Vec<String>>);

impl Query {
    /// Reads a query string.
    pub fn parse(text: &str) -> Self {
        let mut map: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (key, value) in url::form_urlencoded::parse(text.as_bytes()) {
            map.entry(key.into_owned())
                .or_default()
                .push(value.into_owned());
        }
        Query(map)
    }

    /// The first value of a parameter, unless it is empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)?
            .first()
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// All values of a parameter.
    pub fn all(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whether a parameter is set to a true value, as Kubernetes reads booleans in queries.
    pub fn flag(&self, name: &str) -> bool {
        self.0
            .get(name)
            .and_then(|values| values.first())
            .is_some_and(|value| !matches!(value.as_str(), "false" | "0"))
    }
}

/// Decodes `%xx` in one path segment. None where the bytes are not UTF-8.
fn segment(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let hex = (first == b'%')
            .then(|| tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok()))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match hex {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

/// Reads a request path.
pub fn target(path: &str) -> Target {
    let mut parts = path.trim_matches('/').split('/').filter_map(segment);
    let group = match parts.next().as_deref() {
        Some("api") => String::new(),
        Some("apis") => match parts.next() {
            Some(group) => group,
            None => return Target::Other,
        },
        _ => return Target::Other,
    };
    let Some(version) = parts.next() else {
        return Target::Other;
    };
    let rest: Vec<String> = parts.collect();
    let mut found = ResourcePath {
        group,
        version,
        ..ResourcePath::default()
    };
    let rest = match rest.as_slice() {
        [] => return Target::Other,
        // Objects in a namespace, but not the namespace itself nor its own subresources.
        [first, namespace, third, ..]
            if first == "namespaces"
                && !(matches!(third.as_str(), "status" | "finalize") && rest.len() == 3) =>
        {
            found.namespace = Some(namespace.clone());
            &rest[2..]
        }
        all => all,
    };
    found.resource = rest[0].clone();
    found.name = rest.get(1).cloned();
    if rest.len() > 2 {
        found.subresource = Some(rest[2..].join("/"));
    }
    Target::Resource(found)
}

/// The verb of a method on a resource path.
pub fn verb(method: &http::Method, path: &ResourcePath, query: &Query) -> Option<Verb> {
    Some(match *method {
        http::Method::GET | http::Method::HEAD if path.name.is_some() => Verb::Get,
        http::Method::GET | http::Method::HEAD if query.flag("watch") => Verb::Watch,
        http::Method::GET | http::Method::HEAD => Verb::List,
        http::Method::POST => Verb::Create,
        http::Method::PUT => Verb::Update,
        http::Method::PATCH => Verb::Patch,
        http::Method::DELETE if path.name.is_some() => Verb::Delete,
        http::Method::DELETE => Verb::DeleteCollection,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_the_real_server_reads_them() {
        let read = |path: &str| match target(path) {
            Target::Other => "other".to_owned(),
            Target::Resource(p) => format!(
                "{}|{}|{}|{}|{}|{}",
                p.group,
                p.version,
                p.namespace.unwrap_or_default(),
                p.resource,
                p.name.unwrap_or_default(),
                p.subresource.unwrap_or_default()
            ),
        };
        let table = [
            ("/api/v1", "other"),
            ("/apis", "other"),
            ("/apis/apps/v1", "other"),
            ("/healthz/etcd", "other"),
            ("/api/v1/namespaces", "|v1||namespaces||"),
            ("/api/v1/namespaces/a", "|v1||namespaces|a|"),
            ("/api/v1/namespaces/a/status", "|v1||namespaces|a|status"),
            (
                "/api/v1/namespaces/a/finalize",
                "|v1||namespaces|a|finalize",
            ),
            ("/api/v1/namespaces/a/pods", "|v1|a|pods||"),
            ("/api/v1/namespaces/a/pods/p/log", "|v1|a|pods|p|log"),
            (
                "/api/v1/nodes/n/proxy/metrics/x",
                "|v1||nodes|n|proxy/metrics/x",
            ),
            (
                "/apis/apps/v1/namespaces/a/deployments/d/scale",
                "apps|v1|a|deployments|d|scale",
            ),
            (
                "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode",
                "rbac.authorization.k8s.io|v1||clusterroles|system:node|",
            ),
        ];
        for (path, expected) in table {
            assert_eq!(read(path), expected, "{path}");
        }
    }

    #[test]
    fn booleans_in_queries_are_true_unless_false_or_zero() {
        let query = Query::parse("watch=1&a=false&b=0&c=&pretty");
        assert!(query.flag("watch") && query.flag("c") && query.flag("pretty"));
        assert!(!query.flag("a") && !query.flag("b") && !query.flag("d"));
    }
}
