//! Verbs with a subcommand for each kind: `sluice VERB KIND`.
//!
//! The subcommands are made from the table of kinds. Sources and images are one
//! level further down: `sluice VERB source git`.

use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};

use crate::resources::{self, Place, Resource, Verb};

/// The options of a verb, the same for all kinds.
pub trait VerbArgs: Args {
    /// The verb.
    const VERB: Verb;

    /// What the subcommand of a kind does, in one line.
    fn about(resource: &Resource) -> String;

    /// Hides options that a kind does not have.
    fn tailor(_: &Resource, command: Command) -> Command {
        command
    }
}

/// A verb's subcommand: the kind and the options.
#[derive(Debug)]
pub struct PerKind<A> {
    /// The kind.
    pub resource: &'static Resource,
    /// The options.
    pub args: A,
}

impl<A: VerbArgs> Subcommand for PerKind<A> {
    fn augment_subcommands(command: Command) -> Command {
        let below = |resource: &Resource, name: &'static str| {
            let below = A::augment_args(Command::new(name));
            A::tailor(resource, below).about(A::about(resource))
        };
        let mut sources = Command::new("source")
            .about("Sources")
            .subcommand_required(true)
            .arg_required_else_help(true);
        let mut images = Command::new("image")
            .about("Image scanning and updating")
            .subcommand_required(true)
            .arg_required_else_help(true);
        let mut command = command
            .subcommand_required(true)
            .arg_required_else_help(true);
        for resource in resources::ALL
            .iter()
            .filter(|resource| resource.has(A::VERB))
        {
            match resource.place {
                Place::Top { name, aliases, .. } => {
                    let subcommand = below(resource, name).visible_aliases(aliases.iter().copied());
                    command = command.subcommand(subcommand);
                }
                Place::Source(name) => sources = sources.subcommand(below(resource, name)),
                Place::Image(name) => images = images.subcommand(below(resource, name)),
            }
        }
        command.subcommand(sources).subcommand(images)
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        matches!(name, "source" | "image") || find(name, None).is_some()
    }
}

impl<A: VerbArgs> FromArgMatches for PerKind<A> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let missing = || clap::Error::new(clap::error::ErrorKind::MissingSubcommand);
        let (name, below) = matches.subcommand().ok_or_else(missing)?;
        let (resource, matches) = match below.subcommand() {
            Some((inner, matches)) => (find(name, Some(inner)), matches),
            None => (find(name, None), below),
        };
        Ok(Self {
            resource: resource.ok_or_else(missing)?,
            args: A::from_arg_matches(matches)?,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The kind whose subcommand has that name, below a group if `inner` is given.
fn find(name: &str, inner: Option<&str>) -> Option<&'static Resource> {
    resources::ALL
        .iter()
        .copied()
        .find(|resource| match (resource.place, name, inner) {
            (Place::Top { name: own, .. }, name, None) => own == name,
            (Place::Source(own), "source", Some(inner)) => own == inner,
            (Place::Image(own), "image", Some(inner)) => own == inner,
            _ => false,
        })
}
