//! `sluice get`: tables of objects and their state.

use clap::{ArgMatches, Args, Command, FromArgMatches};
use futures::StreamExt as _;
use kube::api::{Api, ListParams, WatchParams};
use tokio::time::timeout_at;

use crate::error::{Failure, Outcome, is_not_found};
use crate::object::{self, Object};
use crate::resources::Shown;
use crate::resources::{self, Column, Place, Resource, Verb};
use crate::session::Session;
use crate::table::{self, Heading};
use crate::watch::{self, Change};

/// The options of `get`.
#[derive(Args, Debug, Clone)]
pub struct GetArgs {
    /// All namespaces
    #[arg(short = 'A', long, global = true)]
    all_namespaces: bool,
    /// No heading
    #[arg(long, global = true)]
    no_header: bool,
    /// Print every change until the timeout
    #[arg(short, long, global = true)]
    watch: bool,
    /// Objects with this status only, such as `ready=false`
    #[arg(long, global = true, value_name = "TYPE=STATUS")]
    status_selector: Option<String>,
    /// Objects with these labels only
    #[arg(short, long, global = true, value_name = "SELECTOR")]
    label_selector: Option<String>,
}

/// What a subcommand takes besides.
#[derive(Args, Debug, Clone)]
struct TargetArgs {
    /// Name of the object; all by default
    name: Option<String>,
}

/// Shows where objects come from.
#[derive(Args, Debug, Clone)]
struct SourceArgs {
    /// Show the source of each object
    #[arg(long)]
    show_source: bool,
}

/// `sluice get`.
#[derive(Debug)]
pub struct Get {
    args: GetArgs,
    target: Target,
    name: Option<String>,
    show_source: bool,
}

#[derive(Debug, Clone, Copy)]
enum Target {
    One(&'static Resource),
    Several(&'static [&'static Resource]),
}

impl Args for Get {
    fn augment_args(command: Command) -> Command {
        let mut sources = group("sources", "source", "Sources");
        let mut images = group("images", "image", "Image scanning and updating");
        let mut command = GetArgs::augment_args(command)
            .subcommand_required(true)
            .arg_required_else_help(true)
            .subcommand(Command::new("all").about("Objects of all kinds"));
        for resource in resources::ALL.iter().filter(|r| r.has(Verb::Get)) {
            let below = |name: &'static str| {
                let mut below = TargetArgs::augment_args(Command::new(name));
                if resource
                    .columns
                    .iter()
                    .any(|c| c.shown == Shown::WithSource)
                {
                    below = SourceArgs::augment_args(below);
                }
                below.about(format!("{} objects", resource.kind.kind))
            };
            match resource.place {
                Place::Top {
                    plural,
                    plural_aliases,
                    ..
                } => {
                    let below = below(plural).visible_aliases(plural_aliases.iter().copied());
                    command = command.subcommand(below);
                }
                Place::Source(name) => sources = sources.subcommand(below(name)),
                Place::Image(name) => images = images.subcommand(below(name)),
            }
        }
        command.subcommand(sources).subcommand(images)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn group(name: &'static str, alias: &'static str, about: &'static str) -> Command {
    Command::new(name)
        .visible_alias(alias)
        .about(about)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(Command::new("all").about("Objects of all these kinds"))
}

impl FromArgMatches for Get {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let missing = || clap::Error::new(clap::error::ErrorKind::MissingSubcommand);
        let (name, below) = matches.subcommand().ok_or_else(missing)?;
        let (target, matches) = match (name, below.subcommand()) {
            ("all", _) => (Some(Target::Several(resources::GET_ALL)), below),
            ("sources", Some(("all", inner))) => (Some(Target::Several(resources::SOURCES)), inner),
            ("images", Some(("all", inner))) => (Some(Target::Several(resources::IMAGES)), inner),
            (group, Some((inner, matches))) => (find(group, Some(inner)), matches),
            (name, None) => (find(name, None), below),
        };
        let text = |id: &str| matches.try_get_one::<String>(id).ok().flatten().cloned();
        let flag = |id: &str| matches.try_get_one::<bool>(id).ok().flatten().copied();
        Ok(Self {
            args: GetArgs::from_arg_matches(matches)?,
            target: target.ok_or_else(missing)?,
            name: text("name"),
            show_source: flag("show_source").unwrap_or_default(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn find(name: &str, inner: Option<&str>) -> Option<Target> {
    resources::ALL
        .iter()
        .copied()
        .find(|resource| match (resource.place, name, inner) {
            (Place::Top { plural, .. }, name, None) => plural == name,
            (Place::Source(own), "sources", Some(inner)) => own == inner,
            (Place::Image(own), "images", Some(inner)) => own == inner,
            _ => false,
        })
        .map(Target::One)
}

/// Objects whose condition has, or has not, a status.
#[derive(Debug, Clone, PartialEq, Eq)]
struct StatusSelector {
    type_: String,
    status: String,
    wanted: bool,
}

impl StatusSelector {
    /// Reads `type=status` or `type!=status`.
    fn parse(text: &str) -> Outcome<Self> {
        let malformed = || {
            Failure::new(format!(
                "expected status selector in type=status format, but found: {text}"
            ))
        };
        let (type_, status, wanted) = match text.split_once("!=") {
            Some((type_, status)) => (type_, status, false),
            None => {
                let (type_, status) = text.split_once('=').ok_or_else(malformed)?;
                (type_, status, true)
            }
        };
        if type_.is_empty() || status.is_empty() || status.contains('=') {
            return Err(malformed());
        }
        Ok(Self {
            type_: type_.to_owned(),
            status: status.to_owned(),
            wanted,
        })
    }

    /// Whether an object is one of them. Letter case does not count; an object
    /// without the condition does not have the status.
    fn matches(&self, object: &Object) -> bool {
        let conditions = object.data.pointer("/status/conditions");
        let has = conditions
            .and_then(|c| c.as_array())
            .is_some_and(|conditions| {
                conditions.iter().any(|condition| {
                    let is = |key: &str, text: &str| {
                        condition[key]
                            .as_str()
                            .is_some_and(|own| own.eq_ignore_ascii_case(text))
                    };
                    is("type", &self.type_) && is("status", &self.status)
                })
            });
        has == self.wanted
    }
}

/// What a table looks like.
#[derive(Debug, Clone, Copy)]
struct Layout {
    /// Whether a column says the namespace.
    namespaces: bool,
    /// Whether the column of the source is there.
    show_source: bool,
    /// Whether names have the kind before them.
    kinds: bool,
    /// Whether there is a heading.
    heading: Heading,
}

fn columns(resource: &Resource, layout: Layout) -> impl Iterator<Item = &Column> {
    resource
        .columns
        .iter()
        .filter(move |column| layout.show_source || column.shown == Shown::Always)
}

/// Sets the table of some objects of a kind.
fn render(resource: &Resource, objects: &[Object], layout: Layout) -> String {
    let mut headings: Vec<_> = columns(resource, layout).map(|c| c.heading).collect();
    if layout.namespaces {
        headings.insert(0, "Namespace");
    }
    let rows: Vec<_> = objects
        .iter()
        .map(|object| {
            let mut row: Vec<_> = columns(resource, layout)
                .map(|column| (column.cell)(resource, object))
                .collect();
            if layout.kinds
                && let Some(name) = row.first_mut()
            {
                *name = format!("{}/{name}", resource.kind.singular());
            }
            if layout.namespaces {
                row.insert(0, object::namespace(object).to_owned());
            }
            row
        })
        .collect();
    table::render(&headings, &rows, layout.heading)
}

impl Get {
    /// Whether the command ends at the timeout and not before.
    pub fn is_stream(&self) -> bool {
        self.args.watch
    }

    /// Lists or watches.
    pub async fn run(&self, session: &mut Session) -> Outcome {
        let selector = match &self.args.status_selector {
            Some(text) => Some(StatusSelector::parse(text)?),
            None => None,
        };
        match (self.target, self.args.watch) {
            (Target::One(resource), false) => {
                let objects = self.list(session, resource, selector.as_ref()).await?;
                if objects.is_empty() {
                    return Err(Failure::new(self.nothing(session, resource)));
                }
                let table = render(resource, &objects, self.layout(KindPrefix::Absent));
                Ok(session.terminal.print(&table)?)
            }
            (Target::One(resource), true) => self.watch(session, resource, selector.as_ref()).await,
            (Target::Several(resources), false) => {
                for resource in resources {
                    self.list_one_of_several(session, resource, selector.as_ref())
                        .await?;
                }
                Ok(())
            }
            (Target::Several(_), true) => Err(Failure::new(
                "expected a single resource type, but found all",
            )),
        }
    }

    fn layout(&self, kinds: KindPrefix) -> Layout {
        Layout {
            namespaces: self.args.all_namespaces,
            show_source: self.show_source,
            kinds: kinds == KindPrefix::Shown,
            heading: match self.args.no_header {
                true => Heading::Hidden,
                false => Heading::Shown,
            },
        }
    }

    async fn api(&self, session: &mut Session, resource: &Resource) -> Outcome<Api<Object>> {
        match self.args.all_namespaces {
            true => session.api_everywhere(resource).await,
            false => {
                let namespace = session.namespace.clone();
                session.api(resource, &namespace).await
            }
        }
    }

    async fn list(
        &self,
        session: &mut Session,
        resource: &Resource,
        selector: Option<&StatusSelector>,
    ) -> Outcome<Vec<Object>> {
        let api = self.api(session, resource).await?;
        let params = ListParams {
            label_selector: self.args.label_selector.clone(),
            field_selector: self.field_selector(),
            ..ListParams::default()
        };
        let mut list = api
            .list(&params)
            .await
            .map_err(|error| match is_not_found(&error) {
                true => Failure::new(no_such_kind(resource)),
                false => error.into(),
            })?;
        list.items
            .retain(|object| selector.is_none_or(|selector| selector.matches(object)));
        Ok(list.items)
    }

    /// A kind without objects or without a CRD is passed over, and one that
    /// cannot be listed does not hide the others.
    async fn list_one_of_several(
        &self,
        session: &mut Session,
        resource: &Resource,
        selector: Option<&StatusSelector>,
    ) -> Outcome {
        match self.list(session, resource, selector).await {
            Ok(objects) if objects.is_empty() => Ok(()),
            Ok(objects) => {
                let table = render(resource, &objects, self.layout(KindPrefix::Shown));
                Ok(session.terminal.print(&format!("{table}\n"))?)
            }
            Err(Failure::Error(message)) if message == no_such_kind(resource) => Ok(()),
            Err(Failure::Error(message)) => {
                session.terminal.failure(&message);
                Ok(())
            }
            Err(other) => Err(other),
        }
    }

    fn field_selector(&self) -> Option<String> {
        self.name
            .as_ref()
            .map(|name| format!("metadata.name={name}"))
    }

    fn nothing(&self, session: &Session, resource: &Resource) -> String {
        let kind = resource.kind.kind;
        let place = match self.args.all_namespaces {
            true => "in any namespace".to_owned(),
            false => format!("in {:?} namespace", session.namespace),
        };
        match &self.name {
            Some(name) => format!("{kind} object '{name}' not found {place}"),
            None => format!("no {kind} objects found {place}"),
        }
    }

    /// Prints a row for every object and every change of one, until the timeout.
    async fn watch(
        &self,
        session: &mut Session,
        resource: &Resource,
        selector: Option<&StatusSelector>,
    ) -> Outcome {
        let api = self.api(session, resource).await?;
        let params = WatchParams {
            label_selector: self.args.label_selector.clone(),
            field_selector: self.field_selector(),
            ..WatchParams::default()
        };
        let mut layout = self.layout(KindPrefix::Absent);
        let mut changes = Box::pin(watch::changes(api, params));
        let deadline = session.deadline;
        while let Ok(Some(change)) = timeout_at(deadline, changes.next()).await {
            let (Change::Present(object) | Change::Gone(object)) = change?;
            if selector.is_none_or(|selector| selector.matches(&object)) {
                let row = render(resource, std::slice::from_ref(&object), layout);
                session.terminal.print(&row)?;
                layout.heading = Heading::Hidden;
            }
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KindPrefix {
    Shown,
    Absent,
}

fn no_such_kind(resource: &Resource) -> String {
    format!(
        "no matches for kind {:?} in version {:?}",
        resource.kind.kind,
        resource.kind.api_version()
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kustomization(name: &str, status: serde_json::Value) -> Object {
        serde_json::from_value(json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "metadata": { "name": name, "namespace": "apps" },
            "spec": {
                "suspend": name == "paused",
                "sourceRef": { "kind": "GitRepository", "name": "fleet", "namespace": "flux-system" },
            },
            "status": status,
        }))
        .unwrap()
    }

    fn objects() -> Vec<Object> {
        let revision = format!("main@sha1:{}", "67e2c98a".repeat(5));
        let ready = |status: &str, message: String| json!([{ "type": "Ready", "status": status, "message": message }]);
        vec![
            kustomization(
                "good",
                json!({
                    "lastAppliedRevision": revision,
                    "conditions": ready("True", format!("Applied revision: {revision}")),
                }),
            ),
            kustomization("new", json!({ "observedGeneration": -1 })),
            kustomization(
                "paused",
                json!({ "conditions": ready("False", "first\nsecond".to_owned()) }),
            ),
        ]
    }

    fn layout() -> Layout {
        Layout {
            namespaces: false,
            show_source: false,
            kinds: false,
            heading: Heading::Shown,
        }
    }

    fn visible(layout: Layout) -> String {
        let resource = resources::by_kind("Kustomization").unwrap();
        table::visible(&render(resource, &objects(), layout))
    }

    #[test]
    fn kustomizations_have_the_columns_of_flux() {
        insta::assert_snapshot!(visible(layout()), @r#"
        NAME  |REVISION          |SUSPENDED|READY|MESSAGE                             $
        good  |main@sha1:67e2c98a|False    |True |Applied revision: main@sha1:67e2c98a|$
        new   |                  |False    |False|waiting to be reconciled            |$
        paused|                  |True     |False|first                               |$
              |                  |         |     |second                              |$
        "#);
    }

    #[test]
    fn namespace_source_and_kind_are_shown_on_demand() {
        let layout = Layout {
            namespaces: true,
            show_source: true,
            kinds: true,
            heading: Heading::Hidden,
        };
        insta::assert_snapshot!(visible(layout), @r#"
        apps|kustomization/good  |GitRepository/flux-system/fleet|main@sha1:67e2c98a|False|True |Applied revision: main@sha1:67e2c98a|$
        apps|kustomization/new   |GitRepository/flux-system/fleet|                  |False|False|waiting to be reconciled            |$
        apps|kustomization/paused|GitRepository/flux-system/fleet|                  |True |False|first                               |$
            |                    |                               |                  |     |     |second                              |$
        "#);
    }

    #[test]
    fn a_status_selector_does_not_mind_letter_case() {
        let objects = objects();
        let names = |text: &str| -> Vec<_> {
            let selector = StatusSelector::parse(text).unwrap();
            let chosen = objects.iter().filter(|object| selector.matches(object));
            chosen
                .map(|object| object::name(object).to_owned())
                .collect()
        };
        assert_eq!(names("ready=true"), ["good"]);
        assert_eq!(names("Ready=False"), ["paused"]);
        assert_eq!(names("READY!=true"), ["new", "paused"]);
        for text in ["ready", "=true", "ready=", "a=b=c"] {
            let error = StatusSelector::parse(text).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("expected status selector in type=status format, but found: {text}")
            );
        }
    }

    #[test]
    fn static_kinds_are_ready_by_being_there() {
        let alert: Object = serde_json::from_value(json!({
            "metadata": { "name": "a" }, "spec": {},
        }))
        .unwrap();
        let resource = resources::by_kind("alert").unwrap();
        insta::assert_snapshot!(table::visible(&render(resource, &[alert], layout())), @r#"
        NAME|SUSPENDED|READY|MESSAGE       $
        a   |False    |True |Alert is Ready|$
        "#);
    }
}
