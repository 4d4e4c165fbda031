//! `sluice tree`: what a Kustomization manages, and what that manages.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use sluice_api::inventory::ObjectId;
use sluice_api::kinds::KUSTOMIZE_GROUP;
use sluice_api::kustomize::Kustomization;

use crate::error::{Failure, Outcome};
use crate::object::Object;
use crate::resources;
use crate::session::Session;

/// The end of the names of the toolkit's groups.
const TOOLKIT: &str = ".toolkit.fluxcd.io";

/// `sluice tree`.
#[derive(Subcommand, Debug)]
pub enum Tree {
    /// What a Kustomization manages
    #[command(visible_alias = "ks")]
    Kustomization(TreeArgs),
}

/// The options of `tree kustomization`.
#[derive(Args, Debug)]
pub struct TreeArgs {
    /// Name of the Kustomization
    name: Option<String>,
    /// Objects of the toolkit only
    #[arg(long)]
    compact: bool,
    /// How to print the tree
    #[arg(short, long, value_enum)]
    output: Option<Format>,
}

/// A way to print the tree.
#[derive(ValueEnum, Debug, Clone, Copy)]
enum Format {
    Json,
    Yaml,
}

/// An object and what it manages.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Node {
    id: ObjectId,
    children: Vec<Node>,
}

impl Tree {
    /// Prints the tree.
    pub async fn run(&self, session: &mut Session) -> Outcome {
        let Self::Kustomization(args) = self;
        let Some(name) = &args.name else {
            return Err(Failure::new("kustomization name is required"));
        };
        let root = id_of(&session.namespace, name);
        let tree = grow(session, root, &mut Vec::new(), args.compact).await?;
        let text = match args.output {
            None => draw(&tree),
            Some(Format::Json) => {
                let json = serde_json::to_string_pretty(&to_value(&tree))
                    .map_err(|error| Failure::new(error.to_string()))?;
                format!("{json}\n")
            }
            Some(Format::Yaml) => sluice_yaml::to_string(&to_value(&tree))?,
        };
        Ok(session.terminal.print(&text)?)
    }
}

fn id_of(namespace: &str, name: &str) -> ObjectId {
    ObjectId {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        group: KUSTOMIZE_GROUP.to_owned(),
        kind: Kustomization::KIND.kind.to_owned(),
    }
}

/// Reads a Kustomization's inventory, and those of the Kustomizations in it.
///
/// `path` holds the Kustomizations above, so that a circle ends.
async fn grow(
    session: &mut Session,
    id: ObjectId,
    path: &mut Vec<ObjectId>,
    compact: bool,
) -> Outcome<Node> {
    let api = session
        .api(&resources::KUSTOMIZATION, &id.namespace)
        .await?;
    let object = api.get(&id.name).await?;
    let mut children = Vec::new();
    path.push(id.clone());
    for child in inventory(&object)? {
        if path.contains(&child) || (compact && !child.group.ends_with(TOOLKIT)) {
            continue;
        }
        let is_local = object.data.pointer("/spec/kubeConfig").is_none();
        let is_kustomization = child.group == id.group && child.kind == id.kind;
        children.push(match is_local && is_kustomization {
            true => Box::pin(grow(session, child, path, compact)).await?,
            false => Node {
                id: child,
                children: Vec::new(),
            },
        });
    }
    path.pop();
    Ok(Node { id, children })
}

fn inventory(object: &Object) -> Outcome<Vec<ObjectId>> {
    let entries = object.data.pointer("/status/inventory/entries");
    entries
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|entry| {
            let id = entry["id"].as_str().unwrap_or_default();
            id.parse().map_err(|error| Failure::new(format!("{error}")))
        })
        .collect()
}

fn label(id: &ObjectId) -> String {
    match id.namespace.as_str() {
        "" => format!("{}/{}", id.kind, id.name),
        namespace => format!("{}/{namespace}/{}", id.kind, id.name),
    }
}

/// Draws the tree with branches, and an empty line at its end.
fn draw(tree: &Node) -> String {
    let mut text = format!("{}\n", label(&tree.id));
    draw_children(&tree.children, "", &mut text);
    text.push('\n');
    text
}

fn draw_children(children: &[Node], indent: &str, text: &mut String) {
    for (index, child) in children.iter().enumerate() {
        let (branch, below) = match index + 1 == children.len() {
            true => ("└── ", "    "),
            false => ("├── ", "│   "),
        };
        text.push_str(&format!("{indent}{branch}{}\n", label(&child.id)));
        draw_children(&child.children, &format!("{indent}{below}"), text);
    }
}

fn to_value(tree: &Node) -> Value {
    let ObjectId {
        namespace,
        name,
        group,
        kind,
    } = &tree.id;
    let mut value = json!({
        "resource": {
            "Namespace": namespace,
            "Name": name,
            "GroupKind": { "Group": group, "Kind": kind },
        },
    });
    if !tree.children.is_empty() {
        value["resources"] = tree.children.iter().map(to_value).collect();
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(id: &str) -> Node {
        Node {
            id: id.parse().unwrap(),
            children: Vec::new(),
        }
    }

    fn tree() -> Node {
        Node {
            id: id_of("flux-system", "apps"),
            children: vec![
                leaf("_web__Namespace"),
                Node {
                    id: id_of("web", "inner"),
                    children: vec![
                        leaf("web_front_apps_Deployment"),
                        leaf("web_front__Service"),
                    ],
                },
                leaf("web_back_apps_Deployment"),
            ],
        }
    }

    #[test]
    fn a_tree_is_drawn_with_branches() {
        insta::assert_snapshot!(draw(&tree()), @r#"
        Kustomization/flux-system/apps
        ├── Namespace/web
        ├── Kustomization/web/inner
        │   ├── Deployment/web/front
        │   └── Service/web/front
        └── Deployment/web/back
        "#);
    }

    #[test]
    fn a_tree_has_the_fields_of_flux() {
        let mut tree = tree();
        tree.children.truncate(1);
        insta::assert_snapshot!(sluice_yaml::to_string(&to_value(&tree)).unwrap(), @r#"
        resource:
          GroupKind:
            Group: kustomize.toolkit.fluxcd.io
            Kind: Kustomization
          Name: apps
          Namespace: flux-system
        resources:
        - resource:
            GroupKind:
              Group: ""
              Kind: Namespace
            Name: web
            Namespace: ""
        "#);
    }
}
