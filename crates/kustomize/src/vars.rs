//! Variables: `$(NAME)` in certain fields, from fields of other objects.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::config::Config;
use crate::fieldspec::{Create, Path, walk};
use crate::growth::Allowance;
use crate::id::Gvk;
use crate::kustomization::Var;
use crate::node::{Node, Scalar};
use crate::resmap::ResMap;
use crate::schema::Schema;

/// The variables that are known so far.
#[derive(Debug, Default)]
pub(crate) struct Vars {
    list: Vec<Var>,
    names: HashSet<String>,
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
            self.check_new(var)?;
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
            self.names.insert(var.name.clone());
            self.list.push(var.clone());
        }
        Ok(())
    }

    fn check_new(&self, var: &Var) -> Result<(), String> {
        if self.names.contains(&var.name) {
            return Err(format!("var '{}' already encountered", var.name));
        }
        Ok(())
    }

    /// Takes over the variables of another layer.
    ///
    /// # Errors
    /// A name occurs in both.
    pub(crate) fn absorb(&mut self, other: Vars) -> Result<(), String> {
        for var in other.list {
            self.check_new(&var)?;
            self.names.insert(var.name.clone());
            self.list.push(var);
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
        let mut read: HashMap<&str, usize> = HashMap::new();
        for (at, resource) in objects.resources.iter().enumerate() {
            for name in &resource.variables {
                read.entry(name).or_insert(at);
            }
        }
        for var in &self.list {
            let Some(&at) = read.get(var.name.as_str()) else {
                return Err(format!(
                    "var '{}' cannot be mapped to a field in the set of known resources",
                    show(var)
                ));
            };
            let resource = &objects.resources[at];
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
        drop(read);
        let mut replacer = Replacer {
            values: &values,
            used: BTreeSet::new(),
            allowance: std::mem::take(&mut objects.allowance),
        };
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
                    |node| replacer.replace_all(node),
                )
                .map_err(|error| error.0)?;
            }
        }
        objects.touch();
        Ok(values
            .keys()
            .filter(|name| !replacer.used.contains(**name))
            .map(|name| (*name).to_owned())
            .collect())
    }
}

/// Objects with an id that the variable names.
fn matching(var: &Var, objects: &mut ResMap, schema: &Schema) -> Vec<usize> {
    let gvk = gvk_of(var);
    let wanted = schema.id(gvk, &var.objref.name, &var.objref.namespace);
    let namespace = var.objref.namespace.as_str();
    let mut found = objects.named(&wanted.name, schema);
    found.retain(|&at| {
        let ids = objects.resources[at].all_ids(schema);
        ids.iter().any(|id| {
            id.gvk == wanted.gvk
                    && id.name == wanted.name
                    // Nothing of a cluster-scoped type is in the namespace that is given.
                    && (namespace.is_empty() || id.effective_namespace() == namespace)
        })
    });
    found
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

/// Replaces the variables in fields.
struct Replacer<'v> {
    values: &'v BTreeMap<&'v str, Option<Scalar>>,
    /// Names that occurred.
    used: BTreeSet<String>,
    allowance: Allowance,
}

impl Replacer<'_> {
    fn replace_all(&mut self, node: &mut Node) -> Result<(), String> {
        match node {
            Node::Scalar(scalar) => self.replace(scalar),
            Node::Map(map) => map.pairs.iter_mut().try_for_each(|(_, value)| match value {
                Node::Scalar(scalar) => self.replace(scalar),
                _ => Ok(()),
            }),
            Node::Seq(items) => items.iter_mut().try_for_each(|item| match item {
                Node::Scalar(scalar) => self.replace(scalar),
                _ => Ok(()),
            }),
        }
    }

    fn replace(&mut self, scalar: &mut Scalar) -> Result<(), String> {
        if !scalar.text.contains('$') {
            return Ok(());
        }
        let whole = scalar
            .text
            .strip_prefix("$(")
            .and_then(|rest| rest.strip_suffix(')'));
        if let Some((name, Some(value))) = whole.and_then(|name| self.values.get_key_value(name)) {
            self.used.insert((*name).to_owned());
            self.allowance.spend(value.text.len())?;
            *scalar = value.clone();
            return Ok(());
        }
        let text = self.expand(&scalar.text)?;
        if text != scalar.text {
            *scalar = Scalar::string(text);
        }
        Ok(())
    }

    /// Expands `$(NAME)`; `$$` is a dollar, what is unknown stays.
    fn expand(&mut self, text: &str) -> Result<String, String> {
        let mut out = String::with_capacity(text.len());
        let last = text.rfind(')').unwrap_or(0);
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some(after) = rest.strip_prefix("$$") {
                out.push('$');
                rest = after;
                continue;
            }
            // Nothing ends a reference behind the last parenthesis.
            let reference = rest
                .strip_prefix("$(")
                .filter(|_| text.len() - rest.len() < last)
                .and_then(|inner| inner.split_once(')'));
            match reference {
                Some((name, after)) => {
                    match self.values.get(name) {
                        Some(Some(value)) => {
                            self.used.insert(name.to_owned());
                            self.allowance.spend(value.text.len())?;
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
        Ok(out)
    }
}
