//! Which requests the rules of a policy or a webhook are about.

use serde_json::Value;

use crate::objects::Write;
use crate::verbs::selector::Selector;

/// What is asked of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Create,
    Update,
    Delete,
}

impl Operation {
    /// Its name in rules and reviews.
    pub fn name(self) -> &'static str {
        match self {
            Operation::Create => "CREATE",
            Operation::Update => "UPDATE",
            Operation::Delete => "DELETE",
        }
    }
}

/// One request as policies see it.
pub(super) struct Request<'a> {
    pub write: &'a Write<'a>,
    pub operation: Operation,
    /// The new object; None for a deletion.
    pub object: Option<&'a Value>,
    /// The stored object; None for a creation.
    pub old: Option<&'a Value>,
}

impl<'a> Request<'a> {
    /// A write with the object that it makes and the one that was there.
    pub fn of(write: &'a Write<'a>, object: Option<&'a Value>, old: Option<&'a Value>) -> Self {
        let operation = match (object, old) {
            (Some(_), None) => Operation::Create,
            (Some(_), Some(_)) => Operation::Update,
            (None, _) => Operation::Delete,
        };
        Request {
            write,
            operation,
            object,
            old,
        }
    }

    /// The name in the request; that of the object for a creation.
    pub fn name(&self) -> &str {
        match self.write.name {
            "" => self.object.map_or("", |object| {
                object["metadata"]["name"].as_str().unwrap_or_default()
            }),
            name => name,
        }
    }

    /// The namespace of the object, as it is stored.
    pub fn namespace_object(&self) -> Option<Value> {
        let namespace = self.write.own_namespace()?;
        let table = self.write.app.store.table("namespaces");
        table.get(namespace).map(|found| found.value())
    }

    /// Policies and webhooks are not asked about themselves.
    pub fn is_exempt(&self) -> bool {
        let resource = self.write.resource;
        resource.group == "admissionregistration.k8s.io" && resource.custom.is_none()
    }

    /// Whether a `matchConstraints`, `matchResources` or webhook is about the request; `rules` is the name of its
    /// rules. Without rules it is about everything.
    pub fn matches(&self, holder: &Value, rules: &str) -> bool {
        let equivalent = holder["matchPolicy"] != "Exact";
        let any = |name: &str| {
            let mut rules = holder[name].as_array().into_iter().flatten();
            rules.any(|rule| self.is_ruled(rule, equivalent))
        };
        let ruled = holder[rules].as_array().is_none_or(Vec::is_empty) || any(rules);
        ruled
            && !any("excludeResourceRules")
            && self.selects_namespace(&holder["namespaceSelector"])
            && self.selects_object(&holder["objectSelector"])
    }

    fn is_ruled(&self, rule: &Value, equivalent: bool) -> bool {
        let write = self.write;
        let resource = write.resource;
        let has = |name: &str, wanted: &dyn Fn(&str) -> bool| {
            let mut all = rule[name].as_array().into_iter().flatten();
            all.any(|value| value.as_str().is_some_and(wanted))
        };
        let names = rule["resourceNames"].as_array();
        let named =
            names.is_none_or(|names| names.is_empty() || names.contains(&self.name().into()));
        let scoped = match rule["scope"].as_str() {
            Some("Namespaced") => resource.namespaced,
            Some("Cluster") => !resource.namespaced,
            _ => true,
        };
        let version = |version: &str| {
            version == "*"
                || version == resource.version
                || equivalent && self.is_served_as(version)
        };
        let path = |path: &str| {
            let (plural, sub) = path.split_once('/').unwrap_or((path, ""));
            (plural == "*" || plural == resource.plural) && (sub == write.subresource || sub == "*")
        };
        named
            && scoped
            && has("operations", &|name| {
                name == "*" || name == self.operation.name()
            })
            && has("apiGroups", &|group| {
                group == "*" || group == resource.group
            })
            && has("apiVersions", &version)
            && has("resources", &path)
    }

    fn is_served_as(&self, version: &str) -> bool {
        let resource = self.write.resource;
        let index = self.write.app.registry.index();
        index
            .find(&resource.group, version, &resource.plural)
            .is_some()
    }

    /// Objects without a namespace are in none that could be left out; a Namespace is in itself.
    fn selects_namespace(&self, selector: &Value) -> bool {
        let selector = Selector::of_label_selector(selector);
        if selector.is_empty() {
            return true;
        }
        if &*self.write.resource.table.name == "namespaces" {
            return [self.object, self.old]
                .into_iter()
                .flatten()
                .next()
                .is_some_and(|object| selector.matches_map(&object["metadata"]["labels"]));
        }
        match self.namespace_object() {
            Some(namespace) => selector.matches_map(&namespace["metadata"]["labels"]),
            None => true,
        }
    }

    fn selects_object(&self, selector: &Value) -> bool {
        let selector = Selector::of_label_selector(selector);
        selector.is_empty()
            || [self.object, self.old]
                .into_iter()
                .flatten()
                .any(|object| selector.matches_map(&object["metadata"]["labels"]))
    }
}
