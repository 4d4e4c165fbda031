//! Release records that we and the real Helm hand each other.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use serde_json::Value as Json;
use sluice_helm::release::{
    Driver, LabelSource, Release, Stamp, Status, encode_json, from_object, record_name, to_object,
};
use sluice_helm::template::{TemplateOptions, template};

use super::cases::world;

const CHART: &[(&str, &str)] = &[
    (
        "Chart.yaml",
        "apiVersion: v2\nname: c\nversion: 0.1.0\nappVersion: \"1 < 2\"\ndependencies:\n- {name: sub, \
         version: \"*\", repository: \"\", import-values: [data]}\n",
    ),
    ("values.yaml", "a: 1\nb: {c: null, d: 1.5, e: 1000000}\n"),
    (
        "charts/sub/Chart.yaml",
        "apiVersion: v2\nname: sub\nversion: 1.0.0\n",
    ),
    ("charts/sub/values.yaml", "exports: {data: {q: 1}}\n"),
    (
        "templates/a.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}-a}\ndata: {x: \"{{ \
         .Values.a }}<&>\"}\n",
    ),
    (
        "templates/h.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}-h, annotations: \
         {helm.sh/hook: \"pre-install,post-upgrade\", helm.sh/hook-weight: \"3\"}}\n",
    ),
    ("templates/NOTES.txt", "hello {{ .Release.Name }}\n"),
    ("README.md", "# c\n"),
];

/// The end-to-end suite: on a cluster, Helm reads and rolls back what we wrote,
/// and we read and write back what Helm wrote.
///
/// # Errors
/// One does not understand the other.
pub fn run(kubeconfig: &Path) -> anyhow::Result<()> {
    let helm = super::helm()?;
    let folder = tempfile::tempdir()?;
    for (name, text) in CHART {
        let path = folder.path().join("c").join(name);
        std::fs::create_dir_all(path.parent().context("a parent")?)?;
        std::fs::write(path, text)?;
    }
    for driver in [Driver::Secrets, Driver::ConfigMaps] {
        let cluster = Cluster {
            helm: &helm,
            folder: folder.path(),
            kubeconfig,
            driver,
        };
        cluster.helm_understands_us().context("records of ours")?;
        cluster.we_understand_helm().context("records of Helm's")?;
    }
    Ok(())
}

struct Cluster<'c> {
    helm: &'c Path,
    folder: &'c Path,
    kubeconfig: &'c Path,
    driver: Driver,
}

impl Cluster<'_> {
    fn helm(&self, args: &[&str]) -> anyhow::Result<String> {
        let output = Command::new(self.helm)
            .args(args)
            .current_dir(self.folder)
            .env("KUBECONFIG", self.kubeconfig)
            .env(
                "HELM_DRIVER",
                match self.driver {
                    Driver::Secrets => "secret",
                    Driver::ConfigMaps => "configmap",
                },
            )
            .env("HELM_CACHE_HOME", self.folder.join(".cache"))
            .env("HELM_CONFIG_HOME", self.folder.join(".config"))
            .env("HELM_DATA_HOME", self.folder.join(".data"))
            .env("TZ", "UTC")
            .output()
            .with_context(|| format!("running `{}`", self.helm.display()))?;
        ensure!(
            output.status.success(),
            "helm {}: {}",
            args.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn kubectl(&self, args: &[&str], input: &str) -> anyhow::Result<String> {
        let kubectl = crate::goldens::kubectl()?;
        let mut child = Command::new(&kubectl)
            .arg("--kubeconfig")
            .arg(self.kubeconfig)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .with_context(|| format!("running `{}`", kubectl.display()))?;
        let mut stdin = child.stdin.take().context("no input")?;
        stdin.write_all(input.as_bytes())?;
        drop(stdin);
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "kubectl {} failed", args.join(" "));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn kind(&self) -> &'static str {
        match self.driver {
            Driver::Secrets => "secret",
            Driver::ConfigMaps => "configmap",
        }
    }

    /// Two revisions of ours: Helm shows them, and rolls back to the first.
    fn helm_understands_us(&self) -> anyhow::Result<()> {
        let name = format!("ours-{}", self.kind());
        let mut first = self.render(&name, "one")?;
        first.info.status = Status::Superseded;
        first.info.description = "Install complete".to_owned();
        let mut second = self.render(&name, "two")?;
        second.version = 2;
        second.info.status = Status::Deployed;
        second.info.description = "Upgrade complete".to_owned();
        for release in [&first, &second] {
            let object = to_object(release, self.driver, Stamp::Created(1_700_000_000))?;
            self.kubectl(&["create", "-f", "-"], &object.to_string())?;
        }
        let manifest = self.helm(&["get", "manifest", &name])?;
        ensure!(
            manifest.trim_end() == second.manifest.trim_end(),
            "manifest: {manifest}"
        );
        let values = self.helm(&["get", "values", &name, "-o", "json"])?;
        ensure!(values.trim() == r#"{"a":"two"}"#, "values: {values}");
        let all = self.helm(&["get", "values", &name, "-o", "json", "--all"])?;
        let all: Json = serde_json::from_str(&all)?;
        ensure!(all["b"]["d"] == 1.5 && all["q"] == 1, "all values: {all}");
        let hooks = self.helm(&["get", "hooks", &name])?;
        ensure!(hooks.contains(&format!("{name}-h")), "hooks: {hooks}");
        let notes = self.helm(&["get", "notes", &name])?;
        ensure!(notes.contains(&format!("hello {name}")), "notes: {notes}");
        let status: Json = serde_json::from_str(&self.helm(&["status", &name, "-o", "json"])?)?;
        ensure!(status["info"]["status"] == "deployed", "status: {status}");
        let history: Json = serde_json::from_str(&self.helm(&["history", &name, "-o", "json"])?)?;
        let chart = |i: usize| (history[i]["chart"].clone(), history[i]["status"].clone());
        ensure!(
            chart(0) == ("c-0.1.0".into(), "superseded".into())
                && chart(1) == ("c-0.1.0".into(), "deployed".into()),
            "history: {history}"
        );
        // The objects of the release are adopted by the rollback.
        self.helm(&["rollback", &name, "1"])?;
        let third = self.stored(&name, 3)?;
        ensure!(
            third.manifest == first.manifest,
            "the rollback has another manifest"
        );
        ensure!(
            chart_text(&third) == chart_text(&first),
            "the rollback has another chart"
        );
        ensure!(
            third.info.status == Status::Deployed,
            "the rollback is not deployed"
        );
        self.helm(&["uninstall", &name])?;
        Ok(())
    }

    /// Two revisions of Helm's: we read them and write the same text.
    fn we_understand_helm(&self) -> anyhow::Result<()> {
        let name = format!("theirs-{}", self.kind());
        self.helm(&[
            "install", &name, "c", "--set", "a=one", "--labels", "team=x",
        ])?;
        self.helm(&["upgrade", &name, "c", "--set", "a=two,b.c=null"])?;
        for version in [1, 2] {
            let release = self.stored(&name, version)?;
            let object = to_object(&release, self.driver, Stamp::Modified(1_700_000_000))?;
            let again = from_object(&object, LabelSource::User)?;
            ensure!(again == release, "the record changed on the way");
            ensure!(
                release.labels.get("team").is_some_and(|t| t == "x"),
                "labels"
            );
            self.kubectl(&["replace", "-f", "-"], &object.to_string())?;
        }
        let ours = self.render(&name, "two")?;
        let theirs = self.stored(&name, 2)?;
        ensure!(
            ours.manifest == theirs.manifest,
            "our rendering differs from Helm's"
        );
        ensure!(
            chart_text(&ours) == chart_text(&theirs),
            "our record of the chart differs from Helm's"
        );
        self.helm(&["rollback", &name, "1"])?;
        self.helm(&["upgrade", &name, "c", "--reuse-values"])?;
        let last = self.stored(&name, 4)?;
        ensure!(
            last.config["a"] == "one",
            "values were not kept: {:?}",
            last.config
        );
        self.helm(&["uninstall", &name])?;
        Ok(())
    }

    fn stored(&self, name: &str, version: i64) -> anyhow::Result<Release> {
        let record = record_name(name, version);
        let text = self.kubectl(&["get", self.kind(), &record, "-o", "json"], "")?;
        let object: Json = serde_json::from_str(&text)?;
        let release = from_object(&object, LabelSource::User)?;
        let text = encode_json(&release);
        let reread = sluice_helm::release::decode_json(text.as_bytes());
        ensure!(
            reread.is_ok_and(|mut again| {
                again.labels.clone_from(&release.labels);
                again == release
            }),
            "the record does not survive"
        );
        Ok(release)
    }

    fn render(&self, name: &str, a: &str) -> anyhow::Result<Release> {
        let chart = sluice_helm::disk::load_chart(&self.folder.join("c"))?;
        let mut config = sluice_helm::values::Table::new();
        config.insert("a".to_owned(), a.into());
        let options = TemplateOptions::install(name, "default");
        let rendered = template(chart, &config, &options, world())?;
        Ok(Release::pending_install(
            name,
            "default",
            &rendered.chart,
            config,
            &rendered.output,
            "2026-01-01T00:00:00.5Z",
        ))
    }
}

/// What a record says about its chart.
fn chart_text(release: &Release) -> Option<String> {
    let text = encode_json(release);
    let (_, rest) = text.split_once("\"chart\":")?;
    let end = rest
        .find("\"config\":")
        .or_else(|| rest.find("\"manifest\":"))?;
    Some(rest[..end].to_owned())
}
