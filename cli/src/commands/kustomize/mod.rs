//! `sluice kustomize build`: the engine of the kustomize-controller, with the flags of the kustomize command.

mod charts;
mod remotes;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};
use kustomize_controller::desired::files::Files;
use sluice_kustomize::{
    Build, DiskFs, Errors, FileSystem, Gvk, HelmInflator, LoadRestrictions, Options, Reorder,
    ResId, Resource,
};

use self::charts::Charts;
use self::remotes::Remotes;
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
    /// Directory with a kustomization file, URL of a Git repository, tar.gz archive, or `-` for an
    /// archive on standard input [default: .]
    #[arg(value_name = "DIR")]
    targets: Vec<String>,
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
    /// Accepted for compatibility: charts are rendered in the process
    #[arg(long, default_value = "helm")]
    helm_command: String,
    /// API versions that charts are told of
    #[arg(long)]
    helm_api_versions: Vec<String>,
    /// Kubernetes version that charts are told of
    #[arg(long, default_value = "")]
    helm_kube_version: String,
    /// Accepted for compatibility
    #[arg(long)]
    helm_debug: bool,
    /// Refused: plugins that are programs are not run
    #[arg(long)]
    enable_alpha_plugins: bool,
    /// Refused: functions that are programs are not run
    #[arg(long)]
    enable_exec: bool,
    /// Refused: functions that are Starlark programs are not run
    #[arg(long)]
    enable_star: bool,
    /// Accepted for compatibility: functions in containers are not run
    #[arg(long)]
    network: bool,
    /// Accepted for compatibility: functions in containers are not run
    #[arg(long, default_value = "bridge")]
    network_name: String,
    /// Accepted for compatibility: functions in containers are not run
    #[arg(long)]
    mount: Vec<String>,
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
        args.refuse_programs()?;
        let target = match args.targets.as_slice() {
            [] => ".",
            [target] => target,
            _ => return Err(Failure::new("specify one path to kustomization.yaml")),
        };
        let charts = Charts {
            api_versions: args.helm_api_versions.clone(),
            kube_version: args.helm_kube_version.clone(),
        };
        let remotes = Remotes;
        let options = Options {
            load_restrictions: match args.load_restrictor {
                LoadRestrictor::RootOnly => LoadRestrictions::RootOnly,
                LoadRestrictor::None => LoadRestrictions::None,
            },
            reorder: match args.reorder {
                Order::Legacy => Reorder::Legacy,
                Order::None => Reorder::None,
            },
            managed_by_label: args.enable_managedby_label || managed_by_environment(),
            remote: Some(&remotes),
            helm: args.enable_helm.then_some(&charts as &dyn HelmInflator),
            ..Options::default()
        };
        let (files, dir) = source(target)?;
        let failed = |errors: Errors| Failure::new(errors.to_string());
        let warn = |warnings: &[String]| {
            for warning in warnings {
                eprintln!("{warning}");
            }
        };
        let output = args.output.as_deref();
        if let Some(folder) = output.filter(|output| output.is_dir()) {
            let built = sluice_kustomize::build(files.as_ref(), &dir, &options).map_err(failed)?;
            warn(&built.warnings);
            return write_files(&built, folder);
        }
        let built = sluice_kustomize::build_text(files.as_ref(), &dir, &options).map_err(failed)?;
        warn(&built.warnings);
        match output {
            Some(file) => std::fs::write(file, &built.yaml)?,
            None => terminal.print(&built.yaml)?,
        }
        // The process ends now: to free every object would only take time.
        std::mem::forget(built);
        Ok(())
    }
}

impl BuildArgs {
    fn refuse_programs(&self) -> Outcome {
        let flag = if self.enable_alpha_plugins {
            "--enable-alpha-plugins"
        } else if self.enable_exec {
            "--enable-exec"
        } else if self.enable_star {
            "--enable-star"
        } else {
            return Ok(());
        };
        Err(Failure::new(format!(
            "plugins and functions that are programs, scripts or containers are not run: build without {flag}"
        )))
    }
}

/// kustomize's own switch for the label.
fn managed_by_environment() -> bool {
    std::env::var("KUSTOMIZE_ENABLE_MANAGEDBY_LABEL").is_ok_and(|value| value == "on")
}

/// Where an archive's files lie while they are built.
const ARCHIVE_ROOT: &str = "/archive";

/// The files that a target names, and the path or URL to build in them.
fn source(target: &str) -> Result<(Box<dyn FileSystem>, String), Failure> {
    if target == "-" {
        let files = archive(std::io::stdin().lock(), "standard input")?;
        return Ok((Box::new(files), ARCHIVE_ROOT.to_owned()));
    }
    let disk: Box<dyn FileSystem> = Box::new(DiskFs::default());
    let path = Path::new(target);
    if !path.exists() && sluice_kustomize::RepoSpec::parse(target).is_some() {
        return Ok((disk, target.to_owned()));
    }
    if path.is_file() {
        let file = std::io::BufReader::new(std::fs::File::open(path)?);
        return Ok((Box::new(archive(file, target)?), ARCHIVE_ROOT.to_owned()));
    }
    let dir = std::path::absolute(target)?;
    Ok((disk, dir.to_string_lossy().into_owned()))
}

fn archive(input: impl std::io::BufRead, name: &str) -> Result<Files, Failure> {
    let tree = sluice_artifact::unpack(input, &sluice_artifact::Limits::default())
        .map_err(|error| Failure::new(format!("`{name}` is no tar.gz archive: {error}")))?;
    Ok(Files::new(Arc::new(tree), ARCHIVE_ROOT))
}

/// Writes a file for each object.
fn write_files(built: &Build, folder: &Path) -> Outcome {
    let namespaces: BTreeSet<String> = built.resources.iter().filter_map(namespace).collect();
    for resource in &built.resources {
        let text = sluice_yaml::to_string(&resource.object)?;
        let namespace = namespace(resource).filter(|_| namespaces.len() > 1);
        std::fs::write(folder.join(file_name(resource, namespace)), text)?;
    }
    Ok(())
}

fn text<'r>(resource: &'r Resource, pointer: &str) -> &'r str {
    let value = resource.object.pointer(pointer);
    value
        .and_then(serde_json::Value::as_str)
        .unwrap_or_default()
}

/// The namespace that an object is in; none for those that cannot be in one.
fn namespace(resource: &Resource) -> Option<String> {
    let gvk = Gvk::from_api_version(text(resource, "/apiVersion"), text(resource, "/kind"));
    let id = ResId::new(gvk, "", text(resource, "/metadata/namespace"));
    (!id.cluster_scoped).then(|| id.effective_namespace().to_owned())
}

/// `namespace_group_version_kind_name.yaml` in lower case, without the parts that are empty.
fn file_name(resource: &Resource, namespace: Option<String>) -> String {
    let api_version = text(resource, "/apiVersion").replace('/', "_");
    let parts = [
        namespace.as_deref().unwrap_or_default(),
        &api_version,
        text(resource, "/kind"),
        text(resource, "/metadata/name"),
    ];
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    // A name is no path.
    format!("{}.yaml", parts.join("_").to_lowercase().replace('/', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_file_is_named_after_its_object() {
        let name = |object| {
            let resource = Resource {
                object,
                origin: Default::default(),
            };
            file_name(&resource, namespace(&resource))
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
