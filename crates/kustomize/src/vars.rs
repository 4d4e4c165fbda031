//! Variables: `$(NAME)` in certain fields, from fields of other objects.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::Config;
use crate::fieldspec::{Create, Path, walk};
use crate::id::Gvk;
use crate::kustomization::Var;
use crate::node::{Node, Scalar};
use crate::resmap::ResMap;
use crate::schema::Schema;

/// The variables that are known so far.
#[derive(Debug, Default)]
pub(crate) struct Vars {
    list: Vec<Known>,
}

#[derive(Debug)]
struct Known {
    var: Var,
}

fn gvk_of(var: &Var) -> Gvk {
    if var.objref.api_version.is_empty() {
        return Gvk {
            group: var.objref.group.clone(),
            version: var.objref.version.clone(),
            kind: var.objref.kind.clone(),
        };
    }
    Gvk::from_api_version(&var.objref.api_version, &var.objref.kind)
}

fn field_path(var: &Var) -> &str {
    if var.fieldref.fieldpath.is_empty() {
        "metadata.name"
    } else {
        &var.fieldref.fieldpath
    }
}

fn show(var: &Var) -> String {
    format!(
        "'{{{} {}/{}.{} {{{}}}}}'",
        var.name,
        gvk_of(var),
        var.objref.name,
        if var.objref.namespace.is_empty() {
            "[noNs]"
        } else {
            &var.objref.namespace
        },
        field_path(var)
    )
}

impl Vars {
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Adds the variables of a layer and marks the objects that they read.
    ///
    /// # Errors
    /// A name occurs twice, or several objects match.
    pub(crate) fn add(
        &mut self,
        vars: &[Var],
        objects: &mut ResMap,
        schema: &Schema,
    ) -> Result<(), String> {
        for var in vars {
            if self.list.iter().any(|known| known.var.name == var.name) {
                return Err(format!("var '{}' already encountered", var.name));
            }
            let found = matching(var, objects, schema);
            if found.len() > 1 {
                return Err(format!(
                    "found {} resId matches for var {} (unable to disambiguate)",
                    found.len(),
                    show(var).trim_matches('\'')
                ));
            }
            self.list.push(Known { var: var.clone() });
        }
        Ok(())
    }

    /// Takes over the variables of another layer.
    ///
    /// # Errors
    /// A name occurs in both.
    pub(crate) fn absorb(&mut self, other: Vars) -> Result<(), String> {
        for known in other.list {
            if self.list.iter().any(|own| own.var.name == known.var.name) {
                return Err(format!("var '{}' already encountered", known.var.name));
            }
            self.list.push(known);
        }
        Ok(())
    }

    /// Replaces every variable; returns the names of those that occur nowhere.
    ///
    /// # Errors
    /// A variable reads no object, or a field that is not there.
    pub(crate) fn resolve(
        &self,
        objects: &mut ResMap,
        config: &Config,
        schema: &Schema,
    ) -> Result<Vec<String>, String> {
        let mut values: BTreeMap<&str, Scalar> = BTreeMap::new();
        for known in &self.list {
            let var = &known.var;
            let found = matching(var, objects, schema);
            let Some(&at) = found.first() else {
                return Err(format!(
                    "var {} cannot be mapped to a field in the set of known resources",
                    show(var)
                ));
            };
            let missing = || {
                format!(
                    "field specified in var {} not found in corresponding resource",
                    show(var)
                )
            };
            let path = field_parts(field_path(var));
            let node = look_up(&objects.resources[at].root, &path).ok_or_else(missing)?;
            let Node::Scalar(scalar) = node else {
                return Err(missing());
            };
            values.insert(&var.name, scalar.clone());
        }
        let mut used = BTreeSet::new();
        for resource in &mut objects.resources {
            let gvk = resource.gvk();
            let id = resource.current_id(schema);
            for field in &config.var_reference {
                if !gvk.is_selected(&field.gvk) {
                    continue;
                }
                let path = Path::parse(&field.path);
                walk(
                    &mut resource.root,
                    &path,
                    Create::No,
                    || id.clone(),
                    |node| replace_all(node, &values, &mut used),
                )
                .map_err(|error| error.0)?;
            }
        }
        objects.touch();
        Ok(values
            .keys()
            .filter(|name| !used.contains(**name))
            .map(|name| (*name).to_owned())
            .collect())
    }
}

/// Objects with an id that the variable names.
fn matching(var: &Var, objects: &ResMap, schema: &Schema) -> Vec<usize> {
    let gvk = gvk_of(var);
    let wanted = schema.id(gvk, &var.objref.name, &var.objref.namespace);
    let by_namespace = !var.objref.namespace.is_empty() || wanted.cluster_scoped;
    objects
        .resources
        .iter()
        .enumerate()
        .filter(|(_, resource)| {
            if resource.name() != wanted.name
                && resource.previous.iter().all(|id| id.name != wanted.name)
            {
                return false;
            }
            resource.all_ids(schema).iter().any(|id| {
                id.gvk == wanted.gvk
                    && id.name == wanted.name
                    && (!by_namespace || id.effective_namespace() == wanted.effective_namespace())
            })
        })
        .map(|(at, _)| at)
        .collect()
}

/// Splits `a.b[0].c[d=e]`.
fn field_parts(path: &str) -> Vec<String> {
    let mut out = Vec::new();
    for part in crate::fieldpath::split(path) {
        match part.find('[') {
            Some(at) if at > 0 && part.ends_with(']') => {
                out.push(part[..at].to_owned());
                for inner in part[at..].split_inclusive(']') {
                    let bare = inner.trim_matches(['[', ']']);
                    if bare.bytes().all(|b| b.is_ascii_digit()) {
                        out.push(bare.to_owned());
                    } else {
                        out.push(inner.to_owned());
                    }
                }
            }
            _ => out.push(part),
        }
    }
    out
}

fn look_up<'n>(root: &'n crate::node::Map, path: &[String]) -> Option<&'n Node> {
    let (first, rest) = path.split_first()?;
    let node = root.get(first)?;
    crate::fieldpath::get(node, rest).ok().flatten()
}

fn replace_all(
    node: &mut Node,
    values: &BTreeMap<&str, Scalar>,
    used: &mut BTreeSet<String>,
) -> Result<(), String> {
    match node {
        Node::Scalar(scalar) => {
            replace(scalar, values, used);
            Ok(())
        }
        Node::Map(map) => {
            for (_, value) in &mut map.pairs {
                if let Node::Scalar(scalar) = value {
                    replace(scalar, values, used);
                }
            }
            Ok(())
        }
        Node::Seq(items) => {
            for item in items.iter_mut() {
                if let Node::Scalar(scalar) = item {
                    replace(scalar, values, used);
                }
            }
            Ok(())
        }
    }
}

fn replace(scalar: &mut Scalar, values: &BTreeMap<&str, Scalar>, used: &mut BTreeSet<String>) {
    if !scalar.text.contains('$') {
        return;
    }
    let whole = scalar
        .text
        .strip_prefix("$(")
        .and_then(|rest| rest.strip_suffix(')'));
    if let Some((name, value)) = whole.and_then(|name| values.get_key_value(name)) {
        used.insert((*name).to_owned());
        *scalar = value.clone();
        return;
    }
    let text = expand(&scalar.text, values, used);
    if text != scalar.text {
        *scalar = Scalar::string(text);
    }
}

/// Expands `$(NAME)`; `$$` is a dollar, what is unknown stays.
fn expand(text: &str, values: &BTreeMap<&str, Scalar>, used: &mut BTreeSet<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix("$$") {
            out.push('$');
            rest = after;
            continue;
        }
        let reference = rest
            .strip_prefix("$(")
            .and_then(|inner| inner.split_once(')'));
        match reference {
            Some((name, after)) => {
                match values.get(name) {
                    Some(value) => {
                        used.insert(name.to_owned());
                        out.push_str(&value.text);
                    }
                    None => out.push_str(&rest[..name.len() + 3]),
                }
                rest = after;
            }
            None => {
                out.push('$');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}
