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
pub(crate) struct Vars(Vec<Var>);

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
    format!("{{{} {} {{{}}}}}", var.name, gvk_of(var), field_path(var))
}

/// Variables as they stand in the file.
pub(crate) fn show_raw(vars: &[Var]) -> String {
    let list: Vec<String> = vars
        .iter()
        .map(|var| {
            let gvk = Gvk {
                group: var.objref.group.clone(),
                version: var.objref.version.clone(),
                kind: var.objref.kind.clone(),
            };
            format!("{{{} {gvk} {{{}}}}}", var.name, var.fieldref.fieldpath)
        })
        .collect();
    format!("[{}]", list.join(" "))
}

impl Vars {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
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
            if self.0.iter().any(|known| known.name == var.name) {
                return Err(format!("var '{}' already encountered", var.name));
            }
            let found = matching(var, objects, schema);
            if found.len() > 1 {
                return Err(format!(
                    "found {} resId matches for var {{{} {} {{{}}}}} (unable to disambiguate)",
                    found.len(),
                    var.name,
                    gvk_of(var),
                    var.fieldref.fieldpath
                ));
            }
            if let [at] = found.as_slice() {
                objects.resources[*at].variables.push(var.name.clone());
            }
            self.0.push(var.clone());
        }
        Ok(())
    }

    /// Takes over the variables of another layer.
    ///
    /// # Errors
    /// A name occurs in both.
    pub(crate) fn absorb(&mut self, other: Vars) -> Result<(), String> {
        for var in other.0 {
            if self.0.iter().any(|own| own.name == var.name) {
                return Err(format!("var '{}' already encountered", var.name));
            }
            self.0.push(var);
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
        let mut values: BTreeMap<&str, Option<Scalar>> = BTreeMap::new();
        for var in &self.0 {
            let reads =
                |resource: &&crate::resource::Resource| resource.variables.contains(&var.name);
            let Some(resource) = objects.resources.iter().find(reads) else {
                return Err(format!(
                    "var '{}' cannot be mapped to a field in the set of known resources",
                    show(var)
                ));
            };
            let missing = || {
                format!(
                    "field specified in var '{}' not found in corresponding resource",
                    show(var)
                )
            };
            let path = field_parts(field_path(var));
            let node = look_up(&resource.root, &path).ok_or_else(missing)?;
            // Maps and lists cannot stand in a text; such a variable is known
            // but never replaced.
            values.insert(&var.name, node.as_scalar().cloned());
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
    let namespace = var.objref.namespace.as_str();
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
                    // Nothing of a cluster-scoped type is in the namespace that is given.
                    && (namespace.is_empty() || id.effective_namespace() == namespace)
            })
        })
        .map(|(at, _)| at)
        .collect()
}

/// Splits `a.b[0].c`.
fn field_parts(path: &str) -> Vec<String> {
    let mut out = Vec::new();
    for part in crate::fieldpath::split(path) {
        let indexed = part
            .strip_suffix(']')
            .and_then(|part| part.split_once('['))
            .filter(|(name, index)| {
                !name.is_empty() && !index.is_empty() && index.bytes().all(|b| b.is_ascii_digit())
            });
        match indexed {
            Some((name, index)) => out.extend([name.to_owned(), index.to_owned()]),
            None => out.push(part),
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
    values: &BTreeMap<&str, Option<Scalar>>,
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

fn replace(
    scalar: &mut Scalar,
    values: &BTreeMap<&str, Option<Scalar>>,
    used: &mut BTreeSet<String>,
) {
    if !scalar.text.contains('$') {
        return;
    }
    let whole = scalar
        .text
        .strip_prefix("$(")
        .and_then(|rest| rest.strip_suffix(')'));
    if let Some((name, Some(value))) = whole.and_then(|name| values.get_key_value(name)) {
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
fn expand(
    text: &str,
    values: &BTreeMap<&str, Option<Scalar>>,
    used: &mut BTreeSet<String>,
) -> String {
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
                    Some(Some(value)) => {
                        used.insert(name.to_owned());
                        out.push_str(&value.text);
                    }
                    _ => out.push_str(&rest[..name.len() + 3]),
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
