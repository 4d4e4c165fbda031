//! `sluice kustomize build`: the engine of the kustomize-controller, with the flags of the kustomize command.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use sluice_kustomize::{Build, DiskFs, LoadRestrictions, Options, Reorder, Resource};

use crate::error::{Failure, Outcome};
use crate::terminal::Terminal;

/// `sluice kustomize`.
#[derive(Subcommand, Debug)]
pub enum Kustomize {
    /// Print the objects that a directory with a kustomization file describes
    Build(BuildArgs),
}

/// The options of `kustomize build`.
#[derive(Args, Debug)]
pub struct BuildArgs {
    /// Directory with a kustomization file
    #[arg(default_value = ".")]
    dir: String,
    /// File to write to, or a directory that gets one file for each object
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// Which files a kustomization may read
    #[arg(long, value_enum, default_value = "LoadRestrictionsRootOnly")]
    load_restrictor: LoadRestrictor,
    /// Order of the objects, unless the kustomization says it
    #[arg(long, value_enum, default_value = "legacy")]
    reorder: Order,
    /// Add the label app.kubernetes.io/managed-by
    #[arg(long)]
    enable_managedby_label: bool,
    /// Render the charts that the kustomization names
    #[arg(long)]
    enable_helm: bool,
    /// Accepted for compatibility: functions in containers are not run
    #[arg(long)]
    as_current_user: bool,
    /// Accepted for compatibility: functions in containers are not run
    #[arg(short, long)]
    env: Vec<String>,
}

/// Values of `--load-restrictor`.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum LoadRestrictor {
    /// In or below the directory of the kustomization
    #[value(name = "LoadRestrictionsRootOnly")]
    RootOnly,
    /// Anywhere
    #[value(name = "LoadRestrictionsNone")]
    None,
}

/// Values of `--reorder`.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// By kind, in the order in which objects can be created
    Legacy,
    /// As they were read
    None,
}

impl Kustomize {
    /// Builds and prints.
    ///
    /// # Errors
    /// The build fails, or the output cannot be written.
    pub fn run(&self, terminal: &mut Terminal) -> Outcome {
        let Self::Build(args) = self;
        if args.enable_helm {
            return Err(Failure::new(
                "charts cannot be rendered by `kustomize build` yet: build without --enable-helm",
            ));
        }
        let options = Options {
            load_restrictions: match args.load_restrictor {
                LoadRestrictor::RootOnly => LoadRestrictions::RootOnly,
                LoadRestrictor::None => LoadRestrictions::None,
            },
            reorder: match args.reorder {
                Order::Legacy => Reorder::Legacy,
                Order::None => Reorder::None,
            },
            managed_by_label: args.enable_managedby_label,
            ..Options::default()
        };
        let dir = std::path::absolute(&args.dir)?;
        let built = sluice_kustomize::build(&DiskFs::default(), &dir.to_string_lossy(), &options)
            .map_err(|errors| Failure::new(errors.to_string()))?;
        for warning in &built.warnings {
            eprintln!("{warning}");
        }
        write(&built, args.output.as_deref(), terminal)
    }
}

fn write(built: &Build, output: Option<&Path>, terminal: &mut Terminal) -> Outcome {
    let yaml = |built: &Build| {
        built
            .to_yaml()
            .map_err(|errors| Failure::new(errors.to_string()))
    };
    let Some(output) = output else {
        return Ok(terminal.print(&yaml(built)?)?);
    };
    if !output.is_dir() {
        return Ok(std::fs::write(output, yaml(built)?)?);
    }
    for resource in &built.resources {
        let text = sluice_yaml::to_string(&resource.object)?;
        std::fs::write(output.join(file_name(resource)), text)?;
    }
    Ok(())
}

/// `namespace_group_version_kind_name.yaml` in lower case, without the parts that are empty.
fn file_name(resource: &Resource) -> String {
    let text = |pointer: &str| {
        resource
            .object
            .pointer(pointer)
            .and_then(serde_json::Value::as_str)
            .unwrap_or_default()
    };
    let kind = format!(
        "{}_{}",
        text("/apiVersion").replace('/', "_"),
        text("/kind")
    );
    let parts = [text("/metadata/namespace"), &kind, text("/metadata/name")];
    let parts: Vec<_> = parts.into_iter().filter(|p| !p.is_empty()).collect();
    format!("{}.yaml", parts.join("_").to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_file_is_named_after_its_object() {
        let name = |object| {
            file_name(&Resource {
                object,
                origin: Default::default(),
            })
        };
        assert_eq!(
            name(
                json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "Shop"}})
            ),
            "shop_apps_v1_deployment_web.yaml"
        );
        assert_eq!(
            name(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})),
            "v1_namespace_shop.yaml"
        );
    }
}
