//! `sluice build`: what the controller would apply, printed.

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::error::{Failure, Outcome};
use crate::preview::{Absent, Cluster, Preview, PreviewArgs};
use crate::session::Session;

/// `sluice build`.
#[derive(Subcommand, Debug)]
pub enum Build {
    /// Print the objects that a Kustomization would apply from a folder
    #[command(visible_alias = "ks")]
    Kustomization(BuildArgs),
}

/// The options of `build kustomization`.
#[derive(Args, Debug)]
pub struct BuildArgs {
    #[command(flatten)]
    preview: PreviewArgs,
    /// Ask no cluster: variables from ConfigMaps and Secrets are left out
    #[arg(long)]
    dry_run: bool,
}

/// How deep Kustomizations are followed.
const MAX_DEPTH: usize = 20;

impl Build {
    /// Builds and prints.
    pub async fn run(&self, session: &mut Session) -> Outcome {
        let Self::Kustomization(args) = self;
        let cluster = match args.dry_run {
            true => Cluster::LeftOut,
            false => Cluster::Asked,
        };
        let preview = args
            .preview
            .preview(session, cluster, Absent::Refuse)
            .await?;
        let objects = args.collect(session, preview, cluster).await?;
        let yaml = sluice_yaml::write_documents(&objects)?;
        Ok(session.terminal.print(&yaml)?)
    }
}

impl BuildArgs {
    /// The objects of a Kustomization, and after them those of the Kustomizations among them.
    async fn collect(
        &self,
        session: &mut Session,
        root: Preview,
        cluster: Cluster,
    ) -> Outcome<Vec<Value>> {
        let mut all = Vec::new();
        let mut waiting = vec![(root, 0)];
        while let Some((preview, depth)) = waiting.pop() {
            let objects = self.preview.objects(session, &preview, cluster).await?;
            let mut children = Vec::new();
            for object in objects.iter().filter(|_| self.preview.is_recursive()) {
                if let Some(child) = self.preview.child(object)? {
                    if child.is_same(&preview) {
                        continue;
                    }
                    if depth >= MAX_DEPTH {
                        return Err(Failure::new(format!(
                            "Kustomizations are nested more than {MAX_DEPTH} levels deep"
                        )));
                    }
                    children.push((child, depth + 1));
                }
            }
            waiting.extend(children.into_iter().rev());
            all.extend(objects);
        }
        Ok(all)
    }
}
