//! Runs the templates of a chart and of everything below it.
//!
//! All templates share one namespace. They are parsed and run with the deepest
//! paths first, so that a chart overrides what charts below it define.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;
use sluice_gotemplate::{
    ANY_SLICE, Delimiters, Limit, Limits, List, Map, Method, MissingKey, Named, ParseError, Run,
    STRING_MAP, TemplateSet, Type, Under, Value,
};

use crate::capabilities::Capabilities;
use crate::chart::{Chart, Dependency, Metadata};
use crate::files::Files;
use crate::funcs::{self, without_no_value};
use crate::schema::{SchemaError, has_schema, validate_values};
use crate::session::{Mode, Session, World};
use crate::stack::on_deep_stack;
use crate::trace::template_error;
use crate::values::{Nulls, Table, ValuesError, coalesce_shared, from_template};

/// The release that templates see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseInfo {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its revision, from 1.
    pub revision: i64,
    /// Whether it is installed or upgraded.
    pub action: Action,
}

/// What is being done with a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is new.
    Install,
    /// It exists.
    Upgrade,
    /// Neither: the chart is linted.
    Lint,
}

/// Whether values are held against the charts' schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Schemas {
    /// They are.
    #[default]
    Check,
    /// They are not.
    Skip,
}

/// Options of a rendering.
#[derive(Debug, Clone, Copy)]
pub struct RenderOptions {
    /// How nulls in values are treated.
    pub nulls: Nulls,
    /// Whether values are held against the charts' schemas.
    pub schemas: Schemas,
    /// What templates may use.
    pub limits: Limits,
    /// Whether `required` and `fail` end the rendering.
    pub mode: Mode,
    /// Whether a missing key is an error.
    pub missing_keys: MissingKey,
}

impl Default for RenderOptions {
    fn default() -> Self {
        RenderOptions {
            nulls: Nulls::default(),
            schemas: Schemas::default(),
            limits: Limits::default(),
            mode: Mode::Strict,
            missing_keys: MissingKey::Zero,
        }
    }
}

/// Why templates could not be rendered. The texts are Helm's.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RenderError {
    /// Values do not fit the chart.
    #[error(transparent)]
    Values(#[from] ValuesError),
    /// Values do not satisfy a schema.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// A template does not parse.
    #[error("parse error at ({file}:{line}): {problem}", problem = .message.rsplit(": ").next().unwrap_or(.message))]
    Parse {
        /// The template's file.
        file: String,
        /// The line that was being read.
        line: usize,
        /// Everything that Go says about it.
        message: String,
    },
    /// A template failed while it ran.
    #[error("{text}")]
    Exec {
        /// Helm's text, which may span lines.
        text: String,
        /// The limit that was hit, if that was the reason.
        limit: Option<Limit>,
        /// What had been noted by then, as in [`Rendered::noted`].
        noted: Vec<String>,
    },
}

impl From<ParseError> for RenderError {
    fn from(error: ParseError) -> Self {
        RenderError::Parse {
            file: error.file,
            line: error.line,
            message: error.message,
        }
    }
}

/// What came out of the templates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rendered {
    /// Rendered files by their full name, `app/templates/x.yaml`.
    pub files: BTreeMap<String, Vec<u8>>,
    /// What Helm would have logged about the values.
    pub warnings: Vec<String>,
    /// What `required` and `fail` had to say in [`Mode::Lint`], as Helm logs it.
    pub noted: Vec<String>,
}

static VALUES: Named = Named {
    name: "common.Values",
    under: Under::Type(sluice_gotemplate::ANY_MAP),
    text: None,
    action_text: None,
    methods: || VALUES_METHODS,
};

const VALUES_TYPE: Type = Type::Named(&VALUES);

/// What no value of a template is.
static WRITER: Named = Named {
    name: "io.Writer",
    under: Under::Struct,
    text: None,
    action_text: None,
    methods: || &[],
};

static VALUES_METHODS: &[Method] = &[
    Method {
        name: "Encode",
        params: &[Type::Named(&WRITER)],
        variadic: None,
        returns: Type::Any,
        // Only a nil gets this far.
        call: |_, _| {
            Err(sluice_gotemplate::CallError::new(
                "runtime error: invalid memory address or nil pointer dereference",
            ))
        },
    },
    Method {
        name: "AsMap",
        params: &[],
        variadic: None,
        returns: sluice_gotemplate::ANY_MAP,
        call: |value, _| {
            let Value::Map(map) = value else {
                return Ok(Value::Map(Map::new()));
            };
            let entries = map.snapshot().into_iter().collect();
            Ok(Value::Map(Map::typed(sluice_gotemplate::ANY_MAP, entries)))
        },
    },
    Method {
        name: "YAML",
        params: &[],
        variadic: None,
        returns: Type::String,
        call: |value, _| Ok(Value::from(funcs::to_yaml(value)? + "\n")),
    },
    Method {
        name: "Table",
        params: &[Type::String],
        variadic: None,
        returns: VALUES_TYPE,
        call: |value, args| {
            let path = text(&args[0]);
            let missing = || {
                sluice_gotemplate::CallError::new(format!(
                    "{} is not a table",
                    sluice_gotemplate::strconv::quote(path.as_bytes())
                ))
            };
            path.split('.')
                .try_fold(value.clone(), |at, part| match at {
                    Value::Map(map) => map
                        .get(part.as_bytes())
                        .filter(|v| matches!(v, Value::Map(_))),
                    _ => None,
                })
                .ok_or_else(missing)
        },
    },
    Method {
        name: "PathValue",
        params: &[Type::String],
        variadic: None,
        returns: Type::Any,
        call: |value, args| {
            let path = text(&args[0]);
            path.split('.')
                .try_fold(value.clone(), |at, part| match at {
                    Value::Map(map) => map.get(part.as_bytes()),
                    _ => None,
                })
                .filter(|found| !matches!(found, Value::Map(_)))
                .ok_or_else(|| {
                    sluice_gotemplate::CallError::new(format!(
                        "{} is not a value",
                        sluice_gotemplate::strconv::quote(
                            path.rsplit('.').next().unwrap_or_default().as_bytes()
                        )
                    ))
                })
        },
    },
];

fn text(value: &Value) -> String {
    match value {
        Value::Str(s) => s.to_string(),
        _ => String::new(),
    }
}

/// One template file, ready to run.
struct Source<'c> {
    name: String,
    base: String,
    data: &'c Arc<[u8]>,
    context: Map,
}

/// Merges the values of the user with those of the chart, whose dependencies
/// must have been processed, and renders every template of the chart and of the
/// charts below it. The run happens on a thread of its own,
/// because templates may nest deeply.
///
/// # Errors
/// [`RenderError`] of the first template that fails.
pub fn render(
    chart: &Chart,
    user: &Table,
    release: &ReleaseInfo,
    capabilities: &Capabilities,
    world: World,
    options: &RenderOptions,
) -> Result<Rendered, RenderError> {
    let outcome = on_deep_stack(options.limits.depth, move || {
        render_here(chart, user, release, capabilities, world, options)
    });
    outcome.unwrap_or_else(|text| {
        Err(RenderError::Exec {
            text,
            limit: None,
            noted: Vec::new(),
        })
    })
}

/// As [`render`], on a thread that has stack for `options.limits.depth` levels.
pub(crate) fn render_here(
    chart: &Chart,
    user: &Table,
    release: &ReleaseInfo,
    capabilities: &Capabilities,
    world: World,
    options: &RenderOptions,
) -> Result<Rendered, RenderError> {
    let mut session = Session::new(world, options.mode);
    let mut rendered = Rendered::default();
    let values = coalesce_shared(chart, user, options.nulls, &mut rendered.warnings)?;
    if options.schemas == Schemas::Check && has_schema(chart) {
        validate_values(chart, &from_template(&values))?;
    }
    let shared = Shared {
        release: release_map(release),
        capabilities: capabilities.to_template(),
    };
    let root_values = values.as_type(VALUES_TYPE);
    let mut sources = Vec::new();
    collect(
        chart,
        chart.name(),
        &root_values,
        Root::Yes,
        &shared,
        &mut sources,
    );
    sources.sort_by(|a, b| {
        let slashes = |s: &Source<'_>| s.name.matches('/').count();
        (slashes(b), &b.name).cmp(&(slashes(a), &a.name))
    });
    let functions = funcs::table();
    let mut set = TemplateSet::new("gotpl", options.missing_keys, Delimiters::default());
    for source in &sources {
        set.parse(source.name.as_str(), Arc::clone(source.data), functions)?;
    }
    let mut run = Run::new(Arc::new(set), functions, &mut session, options.limits);
    for source in &sources {
        let base = source.name.rsplit('/').next().unwrap_or_default();
        if base.starts_with('_') {
            continue;
        }
        let template = Map::typed(
            VALUES_TYPE,
            [
                ("Name".into(), Value::from(source.name.as_str())),
                ("BasePath".into(), Value::from(source.base.as_str())),
            ]
            .into_iter()
            .collect(),
        );
        source.context.insert("Template", template);
        let mut out = Vec::with_capacity(source.data.len());
        let outcome = run.execute(
            source.name.as_bytes(),
            &Value::Map(source.context.clone()),
            &mut out,
        );
        if let Err(error) = outcome {
            drop(run);
            return Err(RenderError::Exec {
                limit: error.limit().cloned(),
                text: template_error(&error),
                noted: session.noted,
            });
        }
        let mut out = without_no_value(out);
        out.shrink_to_fit();
        rendered.files.insert(source.name.clone(), out);
    }
    drop(run);
    rendered.noted = std::mem::take(&mut session.noted);
    // Contexts of parents hold those of their children; values may hold each
    // other. Nothing outlives the rendering.
    for source in &sources {
        source.context.take();
    }
    Ok(rendered)
}

/// What all charts of a rendering have in common.
struct Shared {
    release: Value,
    capabilities: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Root {
    Yes,
    No,
}

fn collect<'c>(
    chart: &'c Chart,
    path: &str,
    values: &Map,
    root: Root,
    shared: &Shared,
    sources: &mut Vec<Source<'c>>,
) -> Map {
    let children = Map::new();
    let context = Map::typed(
        VALUES_TYPE,
        [
            ("Chart", chart_map(&chart.metadata, root)),
            ("Files", Value::object(Files::new(&chart.files))),
            ("Release", shared.release.clone()),
            ("Capabilities", shared.capabilities.clone()),
            ("Values", Value::Map(values.clone())),
            ("Subcharts", Value::Map(children.clone())),
        ]
        .into_iter()
        .map(|(key, value)| (key.into(), value))
        .collect(),
    );
    for child in &chart.dependencies {
        let child_values = match values.get(child.name().as_bytes()) {
            Some(Value::Map(map)) => map.as_type(VALUES_TYPE),
            _ => Map::typed(VALUES_TYPE, sluice_gotemplate::Entries::new()),
        };
        let inner = format!("{path}/charts/{}", child.name());
        let child_context = collect(child, &inner, &child_values, Root::No, shared, sources);
        children.insert(child.name(), child_context);
    }
    for file in &chart.templates {
        let base = file.name.rsplit('/').next().unwrap_or_default();
        if chart.is_library() && !base.starts_with('_') {
            continue;
        }
        sources.push(Source {
            name: format!("{path}/{}", file.name),
            base: format!("{path}/templates"),
            data: &file.data,
            context: context.clone(),
        });
    }
    context
}

fn release_map(release: &ReleaseInfo) -> Value {
    Value::map([
        ("Name", Value::from(release.name.as_str())),
        ("Namespace", Value::from(release.namespace.as_str())),
        ("Revision", Value::int(release.revision)),
        ("Service", Value::from("Helm")),
        ("IsInstall", Value::Bool(release.action == Action::Install)),
        ("IsUpgrade", Value::Bool(release.action == Action::Upgrade)),
    ])
}

fn texts(list: &[String]) -> Value {
    Value::list(list.iter().map(|s| Value::from(s.as_str())).collect())
}

fn chart_map(metadata: &Metadata, root: Root) -> Value {
    let text = |s: &String| Value::from(s.as_str());
    let annotations = match &metadata.annotations {
        None => Map::nil(STRING_MAP),
        Some(map) => Map::typed(
            STRING_MAP,
            map.iter()
                .map(|(k, v)| (k.as_str().into(), Value::from(v.as_str())))
                .collect(),
        ),
    };
    let maintainers = metadata.maintainers.iter().flatten().map(|m| {
        Value::map([
            ("Name", text(&m.name)),
            ("Email", text(&m.email)),
            ("URL", text(&m.url)),
        ])
    });
    let dependencies = metadata.dependencies.iter().flatten().flatten();
    Value::map([
        ("Name", text(&metadata.name)),
        ("Home", text(&metadata.home)),
        ("Sources", texts(&metadata.sources)),
        ("Version", text(&metadata.version)),
        ("Description", text(&metadata.description)),
        ("Keywords", texts(&metadata.keywords)),
        ("Maintainers", Value::list(maintainers.collect())),
        ("Icon", text(&metadata.icon)),
        ("APIVersion", text(&metadata.api_version)),
        ("Condition", text(&metadata.condition)),
        ("Tags", text(&metadata.tags)),
        ("AppVersion", text(&metadata.app_version)),
        ("Deprecated", Value::Bool(metadata.deprecated)),
        ("Annotations", Value::Map(annotations)),
        ("KubeVersion", text(&metadata.kube_version)),
        (
            "Dependencies",
            Value::list(dependencies.map(dependency_map).collect()),
        ),
        ("Type", text(&metadata.chart_type)),
        ("IsRoot", Value::Bool(root == Root::Yes)),
    ])
}

fn dependency_map(dependency: &Dependency) -> Value {
    let text = |s: &String| Value::from(s.as_str());
    let imports = dependency.import_values.iter().map(|import| match import {
        Json::Object(map) => {
            let entries = map
                .iter()
                .map(|(k, v)| {
                    (
                        k.as_str().into(),
                        Value::from(v.as_str().unwrap_or_default()),
                    )
                })
                .collect();
            Value::Map(Map::typed(STRING_MAP, entries))
        }
        other => Value::from_json(other),
    });
    Value::map([
        ("Name", text(&dependency.name)),
        ("Version", text(&dependency.version)),
        ("Repository", text(&dependency.repository)),
        ("Condition", text(&dependency.condition)),
        ("Tags", texts(&dependency.tags)),
        ("Enabled", Value::Bool(dependency.enabled)),
        (
            "ImportValues",
            Value::List(List::typed(ANY_SLICE, imports.collect())),
        ),
        ("Alias", text(&dependency.alias)),
    ])
}
