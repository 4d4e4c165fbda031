//! `sluice build` and `sluice diff` beside a running fleet: a preview says what the controller then does.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, ensure};
use sluice_tests::{Host, WorkTree, World};

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("nobody panics with it")).into_owned()
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut buffer = self.0.lock().expect("nobody panics with it");
        buffer.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What a command printed, and how it ended.
struct Ended {
    data: String,
    progress: String,
    code: ExitCode,
}

async fn sluice(words: &[&str]) -> anyhow::Result<Ended> {
    let (data, progress) = (Buffer::default(), Buffer::default());
    let words: Vec<_> = ["sluice"].iter().chain(words).map(Into::into).collect();
    let streams: (Box<Buffer>, Box<Buffer>) = (Box::new(data.clone()), Box::new(progress.clone()));
    let run = move || sluice::run_with(words, streams.0, streams.1);
    let code = tokio::task::spawn_blocking(run).await?;
    Ok(Ended {
        data: data.text(),
        progress: progress.text(),
        code,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_says_what_the_controller_then_does() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let tree = WorkTree::example(&folder.path().join("fleet"))?;
    let first = tree.commit("first", &[("README.md", "A fleet.\n")], &[])?;
    let state = folder.path().join("state");
    let world = World::start(&Host::Up, &tree, "./clusters/local", &state).await?;
    world.ready_at(&first).await?;
    let kubeconfig = World::kubeconfig(&state).display().to_string();
    let here = tree.folder().display().to_string();
    let sources = format!("GitRepository/flux-system/flux-system={here}");

    let root = format!("{here}/clusters/local");
    let diff = [
        "diff",
        "ks",
        "flux-system",
        "--path",
        &root,
        "-r",
        "--local-sources",
        &sources,
        "--kubeconfig",
        &kubeconfig,
    ];
    let quiet = sluice(&diff).await?;
    ensure!(
        quiet.code == ExitCode::SUCCESS,
        "{}{}",
        quiet.data,
        quiet.progress
    );
    ensure!(quiet.data.is_empty(), "nothing changed: {}", quiet.data);

    let path = "apps/production/shop/kustomization.yaml";
    let file = tree.folder().join(path);
    let text = std::fs::read_to_string(&file).context(path)?;
    let extra = "extra.yaml";
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra}\ndata: {where: \"${region:-here}\"}\n";
    write(
        &file,
        &text.replace("resources:", &format!("resources:\n  - {extra}")),
    )?;
    write(&file.with_file_name(extra), map)?;
    let changed = sluice(&diff).await?;
    ensure!(
        changed.code == ExitCode::from(1),
        "{}{}",
        changed.data,
        changed.progress
    );
    let expected = "📁 Kustomization/flux-system/production-shop changed\n\
                    ► ConfigMap/production/extra created\n";
    ensure!(changed.data == expected, "{}", changed.data);
    ensure!(
        changed.progress == "⚠️ identified at least one change, exiting with non-zero exit code\n",
        "{}",
        changed.progress
    );

    let shop = format!("{here}/apps/production/shop");
    let built = sluice(&[
        "build",
        "ks",
        "production-shop",
        "--path",
        &shop,
        "--kubeconfig",
        &kubeconfig,
    ])
    .await?;
    ensure!(built.data.contains("name: extra\n"), "{}", built.data);
    ensure!(
        built
            .data
            .contains("kustomize.toolkit.fluxcd.io/name: production-shop\n"),
        "{}",
        built.data
    );

    write(
        &file.with_file_name(extra),
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: [}\n",
    )?;
    let broken = sluice(&diff).await?;
    ensure!(
        broken.code == ExitCode::from(2),
        "{}{}",
        broken.data,
        broken.progress
    );
    ensure!(
        broken.progress.contains("apps/production/shop/extra.yaml"),
        "names the file: {}",
        broken.progress
    );
    world.stop().await
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| path.display().to_string())
}
