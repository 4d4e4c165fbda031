//! Nobody grants permissions that they do not have.

use serde_json::Value;

use crate::auth::{Attributes, Decision, MASTERS, Rule, User, rules_of};
use crate::objects::Write;
use crate::status::{Result, Status};

const GROUP: &str = "rbac.authorization.k8s.io";

/// Checks a new or changed role or binding.
///
/// # Errors
/// 403 where the user lacks what is granted, 404 where the role that is bound does not exist.
pub(super) fn check(write: &Write<'_>, before: Option<&Value>, after: &Value) -> Result<()> {
    if write.user.in_group(MASTERS) {
        return Ok(());
    }
    let namespace = write.namespace.unwrap_or_default();
    let name = after["metadata"]["name"].as_str().unwrap_or_default();
    let may = |verb: &str, resource: &str, name: &str| {
        let asked = Attributes {
            verb,
            group: GROUP,
            resource,
            subresource: "",
            namespace,
            name,
            path: "",
        };
        matches!(
            write.app.rbac.authorize(write.user, &asked),
            Decision::Allow(_)
        )
    };
    let granted = match write.resource.plural.as_str() {
        plural @ ("roles" | "clusterroles") => {
            if before.is_some_and(|before| before["rules"] == after["rules"])
                || may("escalate", plural, name)
            {
                return Ok(());
            }
            rules_of(after)
        }
        _ => {
            let reference = &after["roleRef"];
            if before.is_some_and(|before| {
                before["subjects"] == after["subjects"] && before["roleRef"] == *reference
            }) {
                return Ok(());
            }
            let role = reference["name"].as_str().unwrap_or_default();
            let cluster = reference["kind"] != "Role";
            if may("bind", if cluster { "clusterroles" } else { "roles" }, role) {
                return Ok(());
            }
            let own = (!cluster).then_some(namespace);
            let Some(rules) = write.app.rbac.role(own, role) else {
                return Err(Status::not_found(GROUP, &write.resource.plural, role));
            };
            rules.as_ref().clone()
        }
    };
    let held = write.app.rbac.rules(write.user, namespace);
    let missing = uncovered(&held, &granted);
    if missing.is_empty() {
        return Ok(());
    }
    Err(Status::forbidden(
        GROUP,
        &write.resource.plural,
        name,
        &refusal(write.user, &missing),
    ))
}

fn refusal(user: &User, missing: &[String]) -> String {
    let groups = quoted(user.groups.iter().map(String::as_str));
    format!(
        "user {:?} (groups={groups}) is attempting to grant RBAC permissions not currently held:\n{}",
        user.name,
        missing.join("\n")
    )
}

fn quoted<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    format!(
        "[{}]",
        texts
            .map(|text| format!("{text:?}"))
            .collect::<Vec<_>>()
            .join(" ")
    )
}

/// One permission: what is left of a rule when its lists have one item each.
struct Atom {
    group: String,
    resource: String,
    name: Option<String>,
    path: Option<String>,
    verbs: Vec<String>,
}

/// The permissions that no held rule covers, as texts, in order.
fn uncovered(held: &[Rule], granted: &[Rule]) -> Vec<String> {
    let mut atoms: Vec<Atom> = Vec::new();
    let mut add =
        |group: &str, resource: &str, name: Option<&String>, path: Option<&String>, verb: &str| {
            let same = atoms.iter_mut().find(|atom| {
                atom.group == group
                    && atom.resource == resource
                    && atom.name.as_ref() == name
                    && atom.path.as_ref() == path
            });
            match same {
                Some(atom) if atom.verbs.iter().any(|known| known == verb) => {}
                Some(atom) => atom.verbs.push(verb.to_owned()),
                None => atoms.push(Atom {
                    group: group.to_owned(),
                    resource: resource.to_owned(),
                    name: name.cloned(),
                    path: path.cloned(),
                    verbs: vec![verb.to_owned()],
                }),
            }
        };
    let listed =
        |list: &[String], item: &str| list.iter().any(|known| known == "*" || known == item);
    for rule in granted {
        for verb in &rule.verbs {
            for group in &rule.groups {
                for resource in &rule.resources {
                    let names: Vec<Option<&String>> = if rule.names.is_empty() {
                        vec![None]
                    } else {
                        rule.names.iter().map(Some).collect()
                    };
                    for name in names {
                        let sub = resource.split_once('/').map(|(_, sub)| format!("*/{sub}"));
                        let covered = held.iter().any(|own| {
                            let known = |known: &String| {
                                known == "*" || known == resource || Some(known) == sub.as_ref()
                            };
                            listed(&own.verbs, verb)
                                && listed(&own.groups, group)
                                && own.resources.iter().any(known)
                                && (own.names.is_empty()
                                    || name.is_some_and(|name| own.names.contains(name)))
                        });
                        if !covered {
                            add(group, resource, name, None, verb);
                        }
                    }
                }
            }
            for path in &rule.paths {
                let covers = |known: &String| {
                    known == path
                        || known
                            .strip_suffix('*')
                            .is_some_and(|prefix| path.starts_with(prefix))
                };
                let covered = held
                    .iter()
                    .any(|own| listed(&own.verbs, verb) && own.paths.iter().any(covers));
                if !covered {
                    add("", "", None, Some(path), verb);
                }
            }
        }
    }
    let mut texts: Vec<String> = atoms.iter().map(Atom::text).collect();
    texts.sort();
    texts
}

impl Atom {
    fn text(&self) -> String {
        let mut parts = Vec::new();
        let one = |text: &str| quoted(std::iter::once(text));
        match &self.path {
            Some(path) => parts.push(format!("NonResourceURLs:{}", one(path))),
            None => {
                parts.push(format!("APIGroups:{}", one(&self.group)));
                parts.push(format!("Resources:{}", one(&self.resource)));
                parts.extend(
                    self.name
                        .as_ref()
                        .map(|name| format!("ResourceNames:{}", one(name))),
                );
            }
        }
        parts.push(format!(
            "Verbs:{}",
            quoted(self.verbs.iter().map(String::as_str))
        ));
        format!("{{{}}}", parts.join(", "))
    }
}
