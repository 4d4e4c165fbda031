//! Tells the source-controller of new commits in a local repository, as soon as a ref moves.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, ResourceExt as _};
use notify::{RecursiveMode, Watcher as _};
use sluice_api::key::RECONCILE_REQUEST;
use sluice_api::source::GitRepository;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::repository::Repository;

/// How long refs must be quiet: a `git commit` or `git rebase` moves several in a row.
const QUIET: Duration = Duration::from_millis(30);

/// Every ref of the repository with its target, in a comparable form.
fn refs(folder: &Path) -> Vec<(String, git2::Oid)> {
    let Ok(repository) = git2::Repository::open(folder) else {
        return Vec::new();
    };
    let Ok(references) = repository.references() else {
        return Vec::new();
    };
    let mut refs: Vec<_> = references
        .flatten()
        .filter_map(|reference| {
            let name = reference.name().ok()?.to_owned();
            Some((name, reference.target()?))
        })
        .collect();
    refs.sort();
    refs
}

/// Watches the refs of `repository` until `stop` and requests a reconciliation of the GitRepositories
/// that are read from it whenever one moves.
///
/// # Errors
/// The folder cannot be watched.
pub async fn follow(
    client: Client,
    repository: Arc<Repository>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let Some(folder) = repository.local.clone() else {
        return Ok(());
    };
    let moved = Arc::new(Notify::new());
    let _watcher = watch(&folder, moved.clone())
        .with_context(|| format!("cannot watch `{}` for new commits", folder.display()))?;
    let mut known = refs(&folder);
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = moved.notified() => {}
        }
        // More of the same operation follows at once; wait until nothing moves any more.
        while tokio::time::timeout(QUIET, moved.notified()).await.is_ok() {}
        let now = refs(&folder);
        if now == known {
            continue;
        }
        known = now;
        if let Err(error) = request(&client, &repository).await {
            tracing::error!(
                error = format!("{error:#}"),
                "cannot ask for a reconciliation"
            );
        }
    }
}

fn watch(folder: &Path, moved: Arc<Notify>) -> notify::Result<notify::RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !event.kind.is_access()) {
            moved.notify_one();
        }
    })?;
    // `packed-refs` and `HEAD` are in the folder itself; the objects below it are of no interest.
    watcher.watch(folder, RecursiveMode::NonRecursive)?;
    let refs: PathBuf = folder.join("refs");
    if refs.is_dir() {
        watcher.watch(&refs, RecursiveMode::Recursive)?;
    }
    Ok(watcher)
}

async fn request(client: &Client, repository: &Repository) -> anyhow::Result<()> {
    let all: Api<GitRepository> = Api::all(client.clone());
    let listed = all.list(&Default::default()).await?;
    let now = jiff::Timestamp::now().to_string();
    for source in listed {
        if repository.folder_for(&source.spec.url).is_none() {
            continue;
        }
        let namespace = source.namespace().unwrap_or_default();
        let api: Api<GitRepository> = Api::namespaced(client.clone(), &namespace);
        let patch = serde_json::json!({"metadata": {"annotations": {RECONCILE_REQUEST: now}}});
        api.patch(
            &source.name_any(),
            &PatchParams::apply(super::MANAGER),
            &Patch::Merge(&patch),
        )
        .await?;
    }
    Ok(())
}
