//! Role-based access control.
//!
//! Roles and bindings are kept parsed and indexed by subject; the index follows every write of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;

use super::{MASTERS, User, split_service_account};
use crate::store::{Change, ChangeKind, Store, Table};

/// What is asked of the authorizer.
#[derive(Debug, Clone, Copy)]
pub struct Attributes<'a> {
    /// Verb.
    pub verb: &'a str,
    /// API group.
    pub group: &'a str,
    /// Plural name of the resource; empty for a path.
    pub resource: &'a str,
    /// Subresource, or empty.
    pub subresource: &'a str,
    /// Namespace, or empty.
    pub namespace: &'a str,
    /// Name, or empty.
    pub name: &'a str,
    /// The path, where no resource is asked for.
    pub path: &'a str,
}

impl Attributes<'_> {
    /// The sentence of a refusal.
    pub fn refusal(&self, user: &User) -> String {
        if self.resource.is_empty() {
            return format!(
                "User {:?} cannot {} path {:?}",
                user.name, self.verb, self.path
            );
        }
        let resource = self.full_resource();
        let scope = match self.namespace {
            "" => "at the cluster scope".to_owned(),
            namespace => format!("in the namespace {namespace:?}"),
        };
        format!(
            "User {:?} cannot {} resource {resource:?} in API group {:?} {scope}",
            user.name, self.verb, self.group
        )
    }

    /// `RESOURCE/SUBRESOURCE`.
    pub fn full_resource(&self) -> String {
        match self.subresource {
            "" => self.resource.to_owned(),
            sub => format!("{}/{sub}", self.resource),
        }
    }
}

/// The authorizer's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Allowed, with the reason that a SubjectAccessReview shows.
    Allow(String),
    /// No rule allows it; what went wrong on the way, or empty.
    NoOpinion(String),
}

/// One rule of a role.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule {
    /// Verbs.
    pub verbs: Vec<String>,
    /// API groups.
    pub groups: Vec<String>,
    /// Resources.
    pub resources: Vec<String>,
    /// Names; empty for all.
    pub names: Vec<String>,
    /// Paths.
    pub paths: Vec<String>,
}

fn strings(value: &Value) -> Vec<String> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

/// The rules of a Role or ClusterRole.
pub fn rules_of(role: &Value) -> Vec<Rule> {
    let rule = |rule: &Value| Rule {
        verbs: strings(&rule["verbs"]),
        groups: strings(&rule["apiGroups"]),
        resources: strings(&rule["resources"]),
        names: strings(&rule["resourceNames"]),
        paths: strings(&rule["nonResourceURLs"]),
    };
    role["rules"]
        .as_array()
        .into_iter()
        .flatten()
        .map(rule)
        .collect()
}

fn holds(list: &[String], item: &str) -> bool {
    list.iter().any(|known| known == "*" || known == item)
}

impl Rule {
    /// Whether the rule allows it.
    pub fn allows(&self, asked: &Attributes<'_>) -> bool {
        if !holds(&self.verbs, asked.verb) {
            return false;
        }
        if asked.resource.is_empty() {
            let matches = |path: &String| {
                path == "*"
                    || path == asked.path
                    || path
                        .strip_suffix('*')
                        .is_some_and(|prefix| asked.path.starts_with(prefix))
            };
            return self.paths.iter().any(matches);
        }
        let resource = |known: &String| {
            known == "*"
                || match asked.subresource {
                    "" => known == asked.resource,
                    sub => known.split_once('/').is_some_and(|(resource, own)| {
                        own == sub && (resource == "*" || resource == asked.resource)
                    }),
                }
        };
        holds(&self.groups, asked.group)
            && self.resources.iter().any(resource)
            && (self.names.is_empty() || self.names.iter().any(|name| name == asked.name))
    }
}

/// A role that a binding refers to: the namespace of a Role, or none for a ClusterRole, and the name.
type RoleKey = (Option<String>, String);
/// The namespace of a RoleBinding, or none, and the name.
type BindingKey = (Option<String>, String);

struct Binding {
    role: RoleKey,
    subjects: Vec<String>,
}

#[derive(Default)]
struct Index {
    roles: HashMap<RoleKey, Arc<Vec<Rule>>>,
    bindings: HashMap<BindingKey, Binding>,
    by_subject: HashMap<String, BTreeSet<BindingKey>>,
}

/// The roles and bindings of the store, ready for questions.
#[derive(Default)]
pub struct Rbac {
    index: RwLock<Index>,
}

const ROLES: &str = "roles.rbac.authorization.k8s.io";
const CLUSTER_ROLES: &str = "clusterroles.rbac.authorization.k8s.io";
const ROLE_BINDINGS: &str = "rolebindings.rbac.authorization.k8s.io";
const CLUSTER_ROLE_BINDINGS: &str = "clusterrolebindings.rbac.authorization.k8s.io";

impl Rbac {
    /// Reads what the store holds.
    pub fn new(store: &Store) -> Self {
        let rbac = Rbac::default();
        for name in [ROLES, CLUSTER_ROLES, ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS] {
            let table = store.table(name);
            for object in table.all() {
                let version = object.version;
                rbac.follow(
                    &table,
                    &Change {
                        version,
                        kind: ChangeKind::Put,
                        before: None,
                        object,
                    },
                );
            }
        }
        rbac
    }

    /// Takes note of a write.
    pub fn follow(&self, table: &Table, change: &Change) {
        let cluster = match &*table.name {
            ROLES | ROLE_BINDINGS => false,
            CLUSTER_ROLES | CLUSTER_ROLE_BINDINGS => true,
            _ => return,
        };
        let object = &change.object;
        let key = (
            object.namespace().map(str::to_owned),
            object.name().to_owned(),
        );
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        if table.name.contains("bindings.") {
            if let Some(old) = index.bindings.remove(&key) {
                for subject in old.subjects {
                    if let Some(keys) = index.by_subject.get_mut(&subject) {
                        keys.remove(&key);
                        if keys.is_empty() {
                            index.by_subject.remove(&subject);
                        }
                    }
                }
            }
            if change.kind == ChangeKind::Put {
                let binding = read_binding(&object.value(), cluster, object.namespace());
                for subject in &binding.subjects {
                    index
                        .by_subject
                        .entry(subject.clone())
                        .or_default()
                        .insert(key.clone());
                }
                index.bindings.insert(key, binding);
            }
        } else if change.kind == ChangeKind::Put {
            index.roles.insert(key, Arc::new(rules_of(&object.value())));
        } else {
            index.roles.remove(&key);
        }
    }

    /// Whether `user` may do what is asked.
    pub fn authorize(&self, user: &User, asked: &Attributes<'_>) -> Decision {
        if user.in_group(MASTERS) {
            return Decision::Allow(String::new());
        }
        let mut missing = Vec::new();
        let mut reason = None;
        self.visit(
            user,
            asked.namespace,
            &mut missing,
            |binding, role, subject, rules| {
                if rules.iter().any(|rule| rule.allows(asked)) {
                    reason = Some(reason_text(binding, role, subject));
                }
                reason.is_none()
            },
        );
        match reason {
            Some(reason) => Decision::Allow(reason),
            None if missing.is_empty() => Decision::NoOpinion(String::new()),
            None if missing.len() == 1 => Decision::NoOpinion(format!("RBAC: {}", missing[0])),
            None => Decision::NoOpinion(format!("RBAC: [{}]", missing.join(", "))),
        }
    }

    /// Every rule that the user has in the namespace, and those of the whole cluster.
    pub fn rules(&self, user: &User, namespace: &str) -> Vec<Rule> {
        let mut all = Vec::new();
        self.visit(user, namespace, &mut Vec::new(), |_, _, _, rules| {
            all.extend(rules.iter().cloned());
            true
        });
        all
    }

    /// The rules of a role, if it exists.
    pub fn role(&self, namespace: Option<&str>, name: &str) -> Option<Arc<Vec<Rule>>> {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        let key = (namespace.map(str::to_owned), name.to_owned());
        index.roles.get(&key).cloned()
    }

    /// Calls `visitor` for each binding of the user, those of the cluster first, until it says false.
    fn visit(
        &self,
        user: &User,
        namespace: &str,
        missing: &mut Vec<String>,
        mut visitor: impl FnMut(&BindingKey, &RoleKey, &str, &[Rule]) -> bool,
    ) {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        let mut subjects = vec![format!("User:{}", user.name)];
        if let Some((namespace, name)) = split_service_account(&user.name) {
            subjects.push(format!("ServiceAccount:{namespace}:{name}"));
        }
        subjects.extend(user.groups.iter().map(|group| format!("Group:{group}")));
        let mut keys: BTreeMap<&BindingKey, &str> = BTreeMap::new();
        for subject in &subjects {
            for key in index.by_subject.get(subject).into_iter().flatten() {
                keys.entry(key).or_insert(subject);
            }
        }
        for (key, subject) in keys {
            if key.0.as_deref().is_some_and(|own| own != namespace) {
                continue;
            }
            let Some(binding) = index.bindings.get(key) else {
                continue;
            };
            match index.roles.get(&binding.role) {
                Some(rules) => {
                    if !visitor(key, &binding.role, subject, rules) {
                        return;
                    }
                }
                None => {
                    let kind = if binding.role.0.is_some() {
                        "role"
                    } else {
                        "clusterrole"
                    };
                    let name = &binding.role.1;
                    missing.push(format!(
                        "{kind}.rbac.authorization.k8s.io {name:?} not found"
                    ));
                }
            }
        }
    }
}

fn read_binding(value: &Value, cluster: bool, namespace: Option<&str>) -> Binding {
    let reference = &value["roleRef"];
    let name = reference["name"].as_str().unwrap_or_default().to_owned();
    let role_namespace =
        (!cluster && reference["kind"] == "Role").then(|| namespace.unwrap_or_default().to_owned());
    let subject = |subject: &Value| {
        let name = subject["name"].as_str()?;
        Some(match subject["kind"].as_str()? {
            "ServiceAccount" => {
                let own = subject["namespace"]
                    .as_str()
                    .filter(|own| !own.is_empty())
                    .or(namespace)?;
                format!("ServiceAccount:{own}:{name}")
            }
            kind => format!("{kind}:{name}"),
        })
    };
    let subjects = value["subjects"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(subject)
        .collect();
    Binding {
        role: (role_namespace, name),
        subjects,
    }
}

fn reason_text(binding: &BindingKey, role: &RoleKey, subject: &str) -> String {
    let (kind, name) = match &binding.0 {
        Some(namespace) => ("RoleBinding", format!("{}/{namespace}", binding.1)),
        None => ("ClusterRoleBinding", binding.1.clone()),
    };
    let role_kind = if role.0.is_some() {
        "Role"
    } else {
        "ClusterRole"
    };
    let subject = match subject.split_once(':') {
        Some(("ServiceAccount", place)) => {
            let (namespace, name) = place.split_once(':').unwrap_or_default();
            format!("ServiceAccount \"{name}/{namespace}\"")
        }
        Some((kind, name)) => format!("{kind} {name:?}"),
        None => String::new(),
    };
    format!(
        "RBAC: allowed by {kind} {name:?} of {role_kind} {:?} to {subject}",
        role.1
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Expect, key};
    use serde_json::json;

    fn asked<'a>(
        verb: &'a str,
        resource: &'a str,
        namespace: &'a str,
        name: &'a str,
    ) -> Attributes<'a> {
        Attributes {
            verb,
            group: "",
            resource,
            subresource: "",
            namespace,
            name,
            path: "",
        }
    }

    fn put(
        store: &Store,
        rbac: &Rbac,
        table: &str,
        namespace: Option<&str>,
        name: &str,
        value: Value,
    ) {
        let table = store.table(table);
        let object = store
            .put(&table, &key(namespace, name), Expect::Absent, value)
            .unwrap();
        let version = object.version;
        rbac.follow(
            &table,
            &Change {
                version,
                kind: ChangeKind::Put,
                before: None,
                object,
            },
        );
    }

    #[test]
    fn role_binding_grants_in_its_own_namespace_only() {
        let store = Store::open(None).unwrap();
        let rbac = Rbac::new(&store);
        let role = json!({"metadata": {}, "rules": [{"apiGroups": [""], "resources": ["pods", "*/log"], "verbs": ["get"], "resourceNames": ["p"]}]});
        put(&store, &rbac, CLUSTER_ROLES, None, "reader", role);
        let binding = json!({"metadata": {}, "roleRef": {"kind": "ClusterRole", "name": "reader"},
            "subjects": [{"kind": "ServiceAccount", "name": "s"}, {"kind": "Group", "name": "g"}]});
        put(&store, &rbac, ROLE_BINDINGS, Some("n"), "b", binding);
        let account = User::service_account("n", "s", "");
        let may = |user: &User, asked: &Attributes<'_>| {
            matches!(rbac.authorize(user, asked), Decision::Allow(_))
        };
        assert!(may(&account, &asked("get", "pods", "n", "p")));
        assert!(may(
            &account,
            &Attributes {
                subresource: "log",
                ..asked("get", "pods", "n", "p")
            }
        ));
        assert!(!may(
            &account,
            &Attributes {
                subresource: "exec",
                ..asked("get", "pods", "n", "p")
            }
        ));
        assert!(!may(&account, &asked("get", "pods", "n", "q")));
        assert!(!may(&account, &asked("list", "pods", "n", "")));
        assert!(!may(&account, &asked("get", "pods", "m", "p")));
        assert!(!may(&account, &asked("get", "pods", "", "p")));
        let member = User {
            name: "jane".into(),
            groups: vec!["g".into()],
            ..User::default()
        };
        assert!(may(&member, &asked("get", "pods", "n", "p")));
        assert!(may(&User::admin(), &asked("delete", "nodes", "", "x")));
    }

    #[test]
    fn missing_role_is_named_in_the_refusal() {
        let store = Store::open(None).unwrap();
        let rbac = Rbac::new(&store);
        let binding = json!({"metadata": {}, "roleRef": {"kind": "ClusterRole", "name": "nope"},
            "subjects": [{"kind": "User", "name": "jane"}]});
        put(&store, &rbac, CLUSTER_ROLE_BINDINGS, None, "b", binding);
        let jane = User {
            name: "jane".into(),
            ..User::default()
        };
        let text = "RBAC: clusterrole.rbac.authorization.k8s.io \"nope\" not found".to_owned();
        assert_eq!(
            rbac.authorize(&jane, &asked("get", "pods", "n", "p")),
            Decision::NoOpinion(text)
        );
    }

    #[test]
    fn paths_match_by_prefix_only_with_a_star() {
        let rule = Rule {
            verbs: vec!["get".into()],
            paths: vec!["/healthz".into(), "/api/*".into()],
            ..Rule::default()
        };
        let may = |path| {
            rule.allows(&Attributes {
                path,
                ..asked("get", "", "", "")
            })
        };
        assert!(may("/healthz") && may("/api/") && may("/api/v1"));
        assert!(!may("/healthz/etcd") && !may("/api"));
    }
}
