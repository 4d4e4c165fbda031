//! Values copied from one object's field into fields of others.

use crate::fieldpath::{self, CreateKind};
use crate::growth::{Allowance, weight};
use crate::kustomization::{self, FieldOptions, Selector, SourceSelector};
use crate::node::{Node, Scalar};
use crate::resmap::ResMap;
use crate::resource::{PreviousId, Resource};
use crate::schema::Schema;
use crate::selector::Compiled;
use crate::structured::{self, Outcome};

/// A replacement, complete or with what is wrong with it, which is told when
/// it is its turn to run.
#[derive(Debug)]
pub(crate) struct Replacement(Result<Checked, String>);

#[derive(Debug)]
struct Checked {
    value: Source,
    /// What is wrong with a target is told when it is its turn.
    targets: Vec<Result<Target, String>>,
}

#[derive(Debug)]
enum Source {
    Literal(String),
    Field(SourceSelector),
}

#[derive(Debug)]
struct Target {
    /// `None`: the entry names nothing to select.
    select: Option<Selected>,
    reject: Vec<Selected>,
    field_paths: Vec<String>,
    options: Option<FieldOptions>,
}

#[derive(Debug)]
struct Selected(Compiled);

impl Replacement {
    pub(crate) fn new(field: &kustomization::ReplacementField) -> Self {
        Replacement(Checked::new(field))
    }

    /// Copies the value.
    ///
    /// # Errors
    /// The replacement is incomplete, its source is not unique or has no
    /// value, or a target lacks the field.
    pub(crate) fn run(&self, objects: &mut ResMap, schema: &Schema) -> Result<(), String> {
        let checked = self.0.as_ref().map_err(Clone::clone)?;
        if objects.resources.iter().any(has_torn_history) {
            return Err("error getting node IDs: number of previous names, number of previous namespaces, number of previous kinds not equal".to_owned());
        }
        let mut source = match &checked.value {
            Source::Literal(text) => Live {
                value: match text.as_str() {
                    "" => Node::string(""),
                    text => Node::Scalar(Scalar::untagged(text)),
                },
                place: None,
            },
            Source::Field(source) => value_of(source, objects, schema)?,
        };
        for target in &checked.targets {
            let target = target.as_ref().map_err(Clone::clone)?;
            let Some(select) = &target.select else {
                return Err("target must specify resources to select".to_owned());
            };
            // Selectors of labels are asked first, even when no name can match.
            let name = select.0.literal_name().filter(|_| !target.asks_metadata());
            for at in objects.candidates(name, schema) {
                let resource = &mut objects.resources[at];
                if !target.takes(select, resource, schema)? {
                    continue;
                }
                let before = resource.current_id(schema);
                write(at, resource, &mut source, target, &mut objects.allowance)?;
                resource.sync_shared();
                objects.changed(at, &before, schema);
            }
        }
        Ok(())
    }
}

/// True when kustomize, which joins what it records with commas, cannot take it
/// apart again.
fn has_torn_history(resource: &Resource) -> bool {
    let commas = |text: &str| text.matches(',').count();
    let count = |pick: fn(&PreviousId) -> &str| -> usize {
        resource.previous.iter().map(|id| commas(pick(id))).sum()
    };
    let names = count(|id| &id.name);
    names != count(|id| &id.namespace) || names != count(|id| &id.kind)
}

impl Checked {
    fn new(field: &kustomization::ReplacementField) -> Result<Self, String> {
        let incomplete =
            || Err("replacements must specify a source and at least one target".to_owned());
        let value = match (&field.source, &field.source_value) {
            (Some(_), Some(_)) => {
                return Err("value and resource selectors are mutually exclusive".to_owned());
            }
            (Some(source), None) => Source::Field(source.clone()),
            (None, Some(text)) => Source::Literal(text.clone()),
            (None, None) => return incomplete(),
        };
        let Some(targets) = &field.targets else {
            return incomplete();
        };
        let targets = targets
            .iter()
            .map(|target| {
                let compile = |selector: &Selector| {
                    Compiled::new(selector)
                        .map(Selected)
                        .map_err(|error| format!("error creating target selector: {error}"))
                };
                Ok(Target {
                    select: target.select.as_ref().map(compile).transpose()?,
                    reject: target
                        .reject
                        .iter()
                        .map(compile)
                        .collect::<Result<Vec<_>, String>>()?,
                    field_paths: if target.field_paths.is_empty() {
                        vec!["metadata.name".to_owned()]
                    } else {
                        target.field_paths.clone()
                    },
                    options: target.options.clone(),
                })
            })
            .collect();
        Ok(Checked { value, targets })
    }
}

impl Target {
    /// True when labels or annotations count.
    fn asks_metadata(&self) -> bool {
        let selectors = self.select.iter().chain(&self.reject);
        selectors
            .into_iter()
            .any(|selected| selected.0.asks_metadata())
    }

    /// True for an object that is selected and not rejected.
    fn takes(
        &self,
        select: &Selected,
        resource: &Resource,
        schema: &Schema,
    ) -> Result<bool, String> {
        if !select.0.selects_metadata(resource)? {
            return Ok(false);
        }
        for reject in &self.reject {
            if reject.0.labels_match(resource)?.unwrap_or(false)
                || reject.0.annotations_match(resource)?.unwrap_or(false)
            {
                return Ok(false);
            }
        }
        let rejected =
            |reject: &Selected| reject.0.asks_for_id() && reject.matches_some_id(resource, schema);
        Ok(select.matches_some_id(resource, schema) && !self.reject.iter().any(rejected))
    }
}

impl Selected {
    /// Namespaces are compared as they are written: none is the empty text in
    /// the present id, and `default` in previous ones.
    fn matches_some_id(&self, resource: &Resource, schema: &Schema) -> bool {
        if let Some(name) = self.0.literal_name()
            && resource.name() != name
            && resource.previous.iter().all(|id| id.name != name)
        {
            return false;
        }
        let current = resource.current_id(schema);
        self.0
            .matches_id(&current.gvk, &current.name, &current.namespace)
            || resource
                .previous_ids(schema)
                .any(|id| self.0.matches_id(&id.gvk, &id.name, &id.namespace))
    }
}

/// The value of a source. Without a delimiter it stays the field itself, so
/// that a target that is the field changes what the next target gets.
struct Live {
    value: Node,
    place: Option<(usize, Vec<String>)>,
}

impl Live {
    /// Reads the field again after object `at` was written to.
    fn refresh(&mut self, at: usize, resource: &Resource) {
        let Some((own, path)) = &self.place else {
            return;
        };
        if *own == at
            && let Ok(Some(node)) = look_up(resource, path)
        {
            self.value = node;
        }
    }
}

/// The value that the source names.
fn value_of(
    source: &SourceSelector,
    objects: &mut ResMap,
    schema: &Schema,
) -> Result<Live, String> {
    let matches = |resource: &Resource| {
        let fits = |want: &str, have: &str| want.is_empty() || want == have;
        // Here the scope of a type does not count.
        resource.all_ids(schema).iter().any(|id| {
            fits(&source.group, &id.gvk.group)
                && fits(&source.version, &id.gvk.version)
                && fits(&source.kind, &id.gvk.kind)
                && fits(&source.name, &id.name)
                && (source.namespace.is_empty()
                    || effective(&source.namespace) == effective(&id.namespace))
        })
    };
    let name = Some(source.name.as_str()).filter(|name| !name.is_empty());
    let mut found = objects
        .candidates(name, schema)
        .into_iter()
        .map(|at| (at, &objects.resources[at]))
        .filter(|(_, resource)| matches(resource));
    let Some((at, resource)) = found.next() else {
        return Err(format!("nothing selected by {}", show_with_path(source)));
    };
    if found.next().is_some() {
        return Err(format!(
            "multiple matches for selector {}",
            show_with_path(source)
        ));
    }
    let path = if source.field_path.is_empty() {
        "metadata.name"
    } else {
        &source.field_path
    };
    let missing = || {
        format!(
            "fieldPath `{path}` is missing for replacement source {}",
            show(source)
        )
    };
    let parts = fieldpath::split(path);
    let found = look_up(resource, &parts)
        .map_err(|error| format!("error looking up replacement source: {error}"))?;
    let Some(node) = found.filter(|node| !node.is_nothing()) else {
        return Err(missing());
    };
    let options = source.options.as_ref();
    let is_part = options.is_some_and(|options| !options.delimiter.is_empty());
    Ok(Live {
        value: refine(node, options)?,
        place: (!is_part).then_some((at, parts)),
    })
}

/// The node at a path. Who copies all annotations gets kustomize's records too,
/// which are among them.
fn look_up(resource: &Resource, path: &[String]) -> Result<Option<Node>, String> {
    match path {
        [metadata] if metadata == "metadata" => {}
        [metadata, field] if metadata == "metadata" && field == "annotations" => {}
        _ => return fieldpath::get_in(&resource.root, path),
    }
    fieldpath::get_in(&crate::output::with_records(resource).root, path)
}

fn effective(namespace: &str) -> &str {
    if namespace.is_empty() {
        "default"
    } else {
        namespace
    }
}

/// The selector with the path that it names, if it names one.
fn show_with_path(source: &SourceSelector) -> String {
    if source.field_path.is_empty() {
        return show(source);
    }
    format!("{}:{}", show(source), source.field_path)
}

fn show(source: &SourceSelector) -> String {
    let gvk = crate::id::Gvk {
        group: source.group.clone(),
        version: source.version.clone(),
        kind: source.kind.clone(),
    };
    let or = |text: &str, none: &'static str| {
        if text.is_empty() {
            none.to_owned()
        } else {
            text.to_owned()
        }
    };
    format!(
        "{gvk}/{}.{}",
        or(&source.name, "[noName]"),
        or(&source.namespace, "[noNs]")
    )
}

/// Takes the part of the value that the options name.
fn refine(node: Node, options: Option<&FieldOptions>) -> Result<Node, String> {
    let Some(options) = options.filter(|options| !options.delimiter.is_empty()) else {
        return Ok(node);
    };
    let Node::Scalar(scalar) = node else {
        return Err("delimiter option can only be used with scalar nodes".to_owned());
    };
    let parts: Vec<&str> = scalar.text.split(options.delimiter.as_str()).collect();
    let part = usize::try_from(options.index)
        .ok()
        .and_then(|index| parts.get(index));
    match part {
        Some(part) => Ok(Node::Scalar(Scalar {
            text: (*part).to_owned(),
            ..scalar
        })),
        None => Err(format!(
            "options.index {} is out of bounds for value {}",
            options.index, scalar.text
        )),
    }
}

/// Writes the value into every field of an object.
fn write(
    at: usize,
    resource: &mut Resource,
    source: &mut Live,
    target: &Target,
    allowance: &mut Allowance,
) -> Result<(), String> {
    for path_text in &target.field_paths {
        source.refresh(at, resource);
        let value = &source.value;
        let size = weight(value);
        let create = target
            .options
            .as_ref()
            .filter(|options| options.create)
            .map(|_| CreateKind::of(value));
        let path = fieldpath::split(path_text);
        let what = if create.is_some() {
            "find or create"
        } else {
            "find"
        };
        let missing = format!(
            "unable to {what} field {} in replacement target",
            crate::output::go_quote(path_text)
        );
        let in_text = match structured::write(&mut resource.root, &path, value, create, allowance) {
            Outcome::Written => continue,
            Outcome::NoField => Some(missing.clone()),
            Outcome::Failed(problem) => Some(format!("{missing}: {problem}")),
            Outcome::NotStructured => None,
        };
        // An element that is a text itself is not looked into after all.
        let by_element = |part: &String| part.starts_with("[=");
        if let Some(problem) = &in_text
            && !path.iter().any(by_element)
        {
            return Err(problem.clone());
        }
        let root = std::mem::take(&mut resource.root);
        let mut node = Node::Map(root);
        let mut count = 0;
        let walked = fieldpath::visit(&mut node, &path, create, &mut |field| {
            count += 1;
            allowance.spend(size)?;
            set(field, value, target.options.as_ref())
        });
        if let Node::Map(root) = node {
            resource.root = root;
        }
        match walked {
            Ok(()) if count > 0 => {}
            Err(fieldpath::VisitError::Field(problem)) => return Err(problem),
            Ok(()) => return Err(in_text.unwrap_or(missing)),
            Err(fieldpath::VisitError::Path(problem)) => {
                return Err(in_text.unwrap_or_else(|| format!("{missing}: {problem}")));
            }
        }
    }
    Ok(())
}

fn set(field: &mut Node, value: &Node, options: Option<&FieldOptions>) -> Result<(), String> {
    if let Some(options) = options.filter(|options| !options.delimiter.is_empty()) {
        let Node::Scalar(field) = field else {
            return Err("delimiter option can only be used with scalar nodes".to_owned());
        };
        let text = value.text().unwrap_or_default();
        let mut parts: Vec<&str> = field.text.split(options.delimiter.as_str()).collect();
        match usize::try_from(options.index) {
            Err(_) => parts.insert(0, text),
            Ok(index) if index >= parts.len() => parts.push(text),
            Ok(index) => parts[index] = text,
        }
        field.text = parts.join(&options.delimiter);
        field.share.touched = true;
        return Ok(());
    }
    match (field, value) {
        (Node::Scalar(field), value) => {
            // A map or list has no text.
            let text = value.text().unwrap_or_default();
            if field.text != text {
                field.text = text.to_owned();
                field.share.touched = true;
            }
        }
        (field, value) => *field = value.unshared(),
    }
    Ok(())
}
