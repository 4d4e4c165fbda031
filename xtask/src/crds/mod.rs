//! `cargo xtask crds`: the CRDs of `api/` as files, and how they compare with
//! those that Flux publishes.

mod compare;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::files;

/// What stands at the start of every file.
const HEADER: &str = "# Made from api/ by `cargo xtask crds`; do not edit.\n---\n";

/// The file that lists the others.
const KUSTOMIZATION: &str = "kustomization.yaml";

/// The options of `cargo xtask crds`.
#[derive(clap::Args)]
pub struct Args {
    /// Fail if the committed files are not up to date, and write nothing.
    #[arg(long)]
    check: bool,
    /// Print how the schemas differ from the CRDs in a folder, and fail if they do.
    #[arg(long, value_name = "DIR", conflicts_with = "check")]
    compare: Option<PathBuf>,
}

/// Writes, checks or compares.
pub fn run(args: &Args) -> anyhow::Result<()> {
    if let Some(folder) = &args.compare {
        return compare_with(folder);
    }
    let folder = crate::root().join("manifests/crds");
    let expected = rendered()?;
    if args.check {
        files::check(&folder, &expected, "cargo xtask crds")
    } else {
        files::write(&folder, &expected)
    }
}

/// The texts of all files by name: the CRDs, and the kustomization that lists them.
fn rendered() -> anyhow::Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for crd in &sluice_api::crd::all() {
        files.insert(file_name(crd)?, text_of(crd)?);
    }
    let names: Vec<_> = files.keys().cloned().collect();
    let kustomization = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": names,
    });
    files.insert(KUSTOMIZATION.to_owned(), text_of(&kustomization)?);
    Ok(files)
}

fn text_of(object: &Value) -> anyhow::Result<String> {
    Ok(format!("{HEADER}{}", sluice_yaml::to_string(object)?))
}

fn file_name(crd: &Value) -> anyhow::Result<String> {
    let group = crd["spec"]["group"].as_str();
    let plural = crd["spec"]["names"]["plural"].as_str();
    let (Some(group), Some(plural)) = (group, plural) else {
        bail!("a CRD lacks its group or plural name");
    };
    Ok(format!("{group}_{plural}.yaml"))
}

fn compare_with(folder: &Path) -> anyhow::Result<()> {
    let mut theirs = files::read(folder)?;
    theirs.remove(KUSTOMIZATION);
    let mut differences = Vec::new();
    for crd in sluice_api::crd::all() {
        let name = file_name(&crd)?;
        match theirs.remove(&name) {
            Some(text) => {
                let other = sluice_yaml::from_str(&text).with_context(|| name.clone())?;
                differences.extend(
                    compare::differences(&crd, &other)
                        .into_iter()
                        .map(|difference| format!("{name}: {difference}")),
                );
            }
            None => differences.push(format!("{name}: not in {}", folder.display())),
        }
    }
    differences.extend(theirs.keys().map(|name| format!("{name}: only there")));
    for difference in &differences {
        println!("{difference}");
    }
    if differences.is_empty() {
        return Ok(());
    }
    bail!("{} differences", differences.len())
}
