//! The whole controller against an embedded API server and the real `git`: what users see, what a
//! poll costs, and that nothing is lost when the process is killed.

// Helpers of tests panic like tests.
#![allow(clippy::unwrap_used)]

#[path = "../../crates/git/tests/support/http.rs"]
#[allow(dead_code)]
mod http;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::Parser as _;
use k8s_openapi::api::core::v1::{Event, Namespace, Secret};
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, Config, ResourceExt as _};
use serde_json::{Value, json};
use sluice_api::condition::{self, Status};
use sluice_api::source::GitRepository;
use sluice_artifact::fetch::{Fetched, Fetcher, Options as FetchOptions};
use source_controller::{LocalRepositories, Options, SourceArgs, run};
use tokio_util::sync::CancellationToken;

/// A cluster in memory, a Git repository, and folders for the controller.
struct World {
    dir: tempfile::TempDir,
    server: sluice_apiserver::Server,
    config: Config,
    client: Client,
}

/// The controller in this process, or in one of its own.
enum Controller {
    Inside(
        CancellationToken,
        tokio::task::JoinHandle<anyhow::Result<()>>,
    ),
    Process(Child),
}

impl Controller {
    async fn stop(self) {
        match self {
            Controller::Inside(stop, task) => {
                stop.cancel();
                task.await.unwrap().unwrap();
            }
            Controller::Process(mut child) => {
                child.kill().unwrap();
                child.wait().unwrap();
            }
        }
    }
}

impl World {
    async fn new() -> World {
        sluice_runtime::client::install_tls();
        let dir = tempfile::tempdir().unwrap();
        let server = sluice_apiserver::Server::start(sluice_apiserver::Config::default())
            .await
            .unwrap();
        let kubeconfig = dir.path().join("kubeconfig");
        std::fs::write(&kubeconfig, server.kubeconfig()).unwrap();
        let cluster = sluice_runtime::client::Cluster {
            kubeconfig: Some(kubeconfig),
            context: None,
        };
        let config = cluster.config().await.unwrap();
        let client = sluice_runtime::client::connect(config.clone()).unwrap();
        let world = World {
            dir,
            server,
            config,
            client,
        };
        for folder in ["storage", "repo", "cache"] {
            std::fs::create_dir(world.path(folder)).unwrap();
        }
        world.git(&["init", "-q", "-b", "main", "."]);
        world.install().await;
        world
    }

    async fn install(&self) {
        let crds: Api<k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition> =
            Api::all(self.client.clone());
        let params = PatchParams::apply("test").force();
        for crd in sluice_api::crd::all() {
            let name = crd["metadata"]["name"].as_str().unwrap().to_owned();
            if name == "gitrepositories.source.toolkit.fluxcd.io" {
                crds.patch(&name, &params, &Patch::Apply(&crd))
                    .await
                    .unwrap();
                let established = kube::runtime::conditions::is_crd_established();
                kube::runtime::wait::await_condition(crds.clone(), &name, established)
                    .await
                    .unwrap();
            }
        }
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let apps: Namespace =
            serde_json::from_value(json!({"metadata": {"name": "apps"}})).unwrap();
        namespaces
            .create(&PostParams::default(), &apps)
            .await
            .unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn git(&self, args: &[&str]) -> String {
        git(&self.path("repo"), args)
    }

    fn commit(&self, files: &[(&str, &str)]) -> String {
        for (path, text) in files {
            std::fs::write(self.path("repo").join(path), text).unwrap();
        }
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", "a commit"]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn flags(&self) -> Vec<String> {
        let storage = self.path("storage");
        [
            "source-controller",
            "--metrics-addr=0",
            "--health-addr=0",
            "--storage-addr=127.0.0.1:0",
            "--interval-jitter-percentage=0",
            "--min-retry-delay=50ms",
            &format!("--storage-path={}", storage.display()),
        ]
        .map(str::to_owned)
        .to_vec()
    }

    /// Starts the controller in this process; `https://local/app` is the repository on the disk.
    fn start(&self) -> Controller {
        let args = SourceArgs::try_parse_from(self.flags()).unwrap();
        let mut local = LocalRepositories::default();
        local.add("https://local/app", self.path("repo"));
        let stop = CancellationToken::new();
        let options = Options {
            git_cache: self.path("cache"),
            local,
        };
        Controller::Inside(
            stop.clone(),
            tokio::spawn(run(args, self.config.clone(), stop, options)),
        )
    }

    /// Starts the controller as a process of its own.
    fn spawn(&self) -> Controller {
        let child = Command::new(env!("CARGO_BIN_EXE_source-controller"))
            .args(&self.flags()[1..])
            .env("KUBECONFIG", self.path("kubeconfig"))
            .env("TMPDIR", self.path("cache"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Controller::Process(child)
    }

    fn api(&self) -> Api<GitRepository> {
        Api::namespaced(self.client.clone(), "apps")
    }

    async fn create(&self, name: &str, spec: Value) {
        let object = json!({"metadata": {"name": name, "namespace": "apps"}, "spec": spec});
        let object: GitRepository = serde_json::from_value(object).unwrap();
        self.api()
            .create(&PostParams::default(), &object)
            .await
            .unwrap();
    }

    async fn patch(&self, name: &str, patch: Value) {
        self.api()
            .patch(name, &PatchParams::default(), &Patch::Merge(&patch))
            .await
            .unwrap();
    }

    async fn request(&self, name: &str, token: &str) {
        let annotation =
            json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": token}}});
        self.patch(name, annotation).await;
    }

    /// Waits until the object is as described.
    async fn until(
        &self,
        name: &str,
        what: &str,
        reached: impl Fn(&GitRepository) -> bool,
    ) -> GitRepository {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let object = self.api().get(name).await.unwrap();
            if reached(&object) {
                return object;
            }
            let status = serde_json::to_string(&object.status).unwrap();
            assert!(
                Instant::now() < deadline,
                "`{name}` does not become {what}: {status}"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn until_revision(&self, name: &str, commit: &str) -> GitRepository {
        let revision = format!("main@sha1:{commit}");
        self.until(name, &revision, |object| {
            is_ready(object)
                && object
                    .status
                    .as_ref()
                    .and_then(|s| s.artifact.as_ref())
                    .is_some_and(|a| a.revision == revision)
        })
        .await
    }

    /// Downloads and unpacks what the status names.
    async fn read(&self, object: &GitRepository, path: &str) -> String {
        let artifact = object.status.as_ref().unwrap().artifact.as_ref().unwrap();
        let fetcher = Fetcher::new(FetchOptions {
            retries: 0,
            ..FetchOptions::default()
        })
        .unwrap();
        match fetcher
            .fetch(&artifact.url, &artifact.digest)
            .await
            .unwrap()
        {
            Fetched::Tree(tree) => String::from_utf8(tree.read(path).unwrap().to_vec()).unwrap(),
            Fetched::NotFound => panic!("`{}` is not there", artifact.url),
        }
    }
}

fn git(dir: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .args([
            "-c",
            "user.name=Tester",
            "-c",
            "user.email=tester@example.com",
            "-c",
            "commit.gpgsign=false",
        ])
        .args(args)
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "git {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn conditions(object: &GitRepository) -> &[condition::Condition] {
    object
        .status
        .as_ref()
        .map(|status| status.conditions.as_slice())
        .unwrap_or_default()
}

fn is_ready(object: &GitRepository) -> bool {
    let observed = object
        .status
        .as_ref()
        .and_then(|status| status.observed_generation);
    condition::is(conditions(object), condition::READY, Status::True)
        && observed == object.metadata.generation
}

fn message(object: &GitRepository) -> String {
    condition::find(conditions(object), condition::READY)
        .map(|c| c.message.clone())
        .unwrap_or_default()
}

fn local() -> Value {
    json!({"interval": "1h", "url": "https://local/app", "ref": {"branch": "main"}})
}

#[tokio::test(flavor = "multi_thread")]
async fn first_artifact_needs_one_pass() {
    let world = World::new().await;
    let first = world.commit(&[("f", "1")]);
    let controller = world.start();
    world.create("app", local()).await;
    let object = world.until_revision("app", &first).await;
    assert_eq!(world.read(&object, "f").await, "1");
    assert_eq!(object.finalizers(), ["finalizers.fluxcd.io"]);
    // Created, finalizer, status: nothing was written in between.
    let version =
        |object: &GitRepository| object.resource_version().unwrap().parse::<u64>().unwrap();
    let writes = version(&object);

    let second = world.commit(&[("f", "2")]);
    world.request("app", "one").await;
    let object = world.until_revision("app", &second).await;
    assert_eq!(world.read(&object, "f").await, "2");
    assert!(version(&object) > writes);
    assert_eq!(
        object
            .status
            .as_ref()
            .unwrap()
            .last_handled_reconcile_at
            .as_deref(),
        Some("one")
    );

    world
        .api()
        .delete("app", &Default::default())
        .await
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while world.api().get_opt("app").await.unwrap().is_some() {
        assert!(Instant::now() < deadline, "the object stays");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(
        !world
            .path("storage")
            .join("gitrepository/apps/app")
            .exists()
    );
    controller.stop().await;
    world.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_poll_is_one_request_and_no_write() {
    let world = World::new().await;
    let commit = world.commit(&[("f", "1")]);
    std::fs::create_dir(world.path("git")).unwrap();
    git(
        &world.path("git"),
        &[
            "clone",
            "-q",
            "--bare",
            world.path("repo").to_str().unwrap(),
            "app.git",
        ],
    );
    let remote = http::serve(
        &world.path("git"),
        http::Access::Basic("user", "secret"),
        None,
    )
    .await;
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), "apps");
    let secret = json!({"metadata": {"name": "auth"}, "data": {"username": "dXNlcg==", "password": "c2VjcmV0"}});
    secrets
        .create(
            &PostParams::default(),
            &serde_json::from_value(secret).unwrap(),
        )
        .await
        .unwrap();
    let controller = world.start();
    world
        .create("app", json!({"interval": "150ms", "url": remote.url("app"), "ref": {"branch": "main"}, "secretRef": {"name": "auth"}}))
        .await;
    let object = world.until_revision("app", &commit).await;
    let disk = snapshot(world.dir.path());
    let events = events(&world).await;
    let asked = remote.count();
    while remote.count() < asked + 5 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let polls: Vec<String> = remote.seen.lock().unwrap()[asked..].to_vec();
    assert!(
        polls
            .iter()
            .all(|request| request == "GET /app.git/info/refs?service=git-upload-pack"),
        "{polls:?}"
    );
    assert_eq!(
        world.api().get("app").await.unwrap().resource_version(),
        object.resource_version()
    );
    assert_eq!(snapshot(world.dir.path()), disk);
    assert_eq!(self::events(&world).await, events);
    controller.stop().await;
    world.server.shutdown().await;
}

async fn events(world: &World) -> usize {
    let api: Api<Event> = Api::namespaced(world.client.clone(), "apps");
    api.list(&ListParams::default()).await.unwrap().items.len()
}

/// All files with their times and sizes.
fn snapshot(dir: &Path) -> Vec<(PathBuf, u64, std::time::SystemTime)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        if metadata.is_dir() {
            found.extend(snapshot(&entry.path()));
        } else {
            found.push((entry.path(), metadata.len(), metadata.modified().unwrap()));
        }
    }
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn one_failing_source_says_why_and_delays_no_other() {
    let world = World::new().await;
    let commit = world.commit(&[("f", "1")]);
    let controller = world.start();
    // A server that accepts connections and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}/app.git", silent.local_addr().unwrap());
    for (name, url) in [
        ("unreachable", "http://127.0.0.1:1/app.git"),
        ("silent", silent.as_str()),
        ("malformed", "http://exa mple.com:x/app.git"),
    ] {
        world
            .create(name, json!({"interval": "1h", "timeout": "1s", "url": url}))
            .await;
    }
    world
        .create(
            "branch",
            json!({"interval": "1h", "url": "https://local/app", "ref": {"branch": "nope"}}),
        )
        .await;
    world.create("good", local()).await;
    world.until_revision("good", &commit).await;
    for (name, words) in [
        (
            "unreachable",
            "dial tcp 127.0.0.1:1: connect: connection refused",
        ),
        ("malformed", "invalid port \":x\" after host"),
        ("branch", "couldn't find remote ref \"refs/heads/nope\""),
    ] {
        let failed =
            |object: &GitRepository| condition::is(conditions(object), "FetchFailed", Status::True);
        let object = world.until(name, "a failure", failed).await;
        assert!(message(&object).contains(words), "{}", message(&object));
    }
    // It recovers without help when the cause goes away.
    world.git(&["branch", "nope"]);
    world.until("branch", "ready", is_ready).await;
    // A change of the object ends the work on the old one.
    world
        .patch(
            "silent",
            json!({"spec": {"url": "https://local/app", "ref": {"branch": "main"}}}),
        )
        .await;
    world.until_revision("silent", &commit).await;
    controller.stop().await;
    world.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gigabyte_blob_is_refused_and_the_old_artifact_stays() {
    let world = World::new().await;
    let commit = world.commit(&[("f", "1")]);
    let controller = world.start();
    world.create("app", local()).await;
    world.until_revision("app", &commit).await;
    // Sparse on the disk, and next to nothing once compressed.
    let big = std::fs::File::create(world.path("repo").join("big")).unwrap();
    big.set_len(300 << 20).unwrap();
    world.commit(&[]);
    world.request("app", "one").await;
    let failed = |object: &GitRepository| {
        condition::is(conditions(object), "StorageOperationFailed", Status::True)
    };
    let object = world.until("app", "a failure", failed).await;
    assert_eq!(
        message(&object),
        "unable to archive artifact to storage: `big` has 314572800 bytes, more than the 268435456 allowed for one file"
    );
    assert_eq!(world.read(&object, "f").await, "1");
    world
        .patch("app", json!({"spec": {"ignore": "/big"}}))
        .await;
    world.until("app", "ready", is_ready).await;
    controller.stop().await;
    world.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_controller_converges_wherever_it_was() {
    let world = World::new().await;
    std::fs::create_dir(world.path("git")).unwrap();
    world.commit(&[("f", "0")]);
    git(
        &world.path("git"),
        &[
            "clone",
            "-q",
            "--bare",
            world.path("repo").to_str().unwrap(),
            "app.git",
        ],
    );
    let bare = world.path("git").join("app.git");
    let remote = http::serve(&world.path("git"), http::Access::Open, None).await;
    world
        .create(
            "app",
            json!({"interval": "1h", "url": remote.url("app"), "ref": {"branch": "main"}}),
        )
        .await;
    // From before anything is done to after everything is: a pass takes some 40 ms here.
    for round in 0..12u64 {
        let text = format!("{round}");
        // Large enough for the fetch and the archive to take a moment.
        let noise: String = (0..20_000u64)
            .map(|n| format!("{:x}", n.wrapping_mul(round.wrapping_add(7))))
            .collect();
        let commit = world.commit(&[("f", &text), ("noise", &noise)]);
        world.git(&["push", "-q", bare.to_str().unwrap(), "main"]);
        let controller = world.spawn();
        let asked = remote.count();
        let deadline = Instant::now() + Duration::from_secs(10);
        while remote.count() == asked && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(round * 6)).await;
        controller.stop().await;

        let controller = world.spawn();
        let object = world.until_revision("app", &commit).await;
        // The status may be from the life before; the file server is a new one.
        let url = object
            .status
            .as_ref()
            .unwrap()
            .artifact
            .as_ref()
            .unwrap()
            .url
            .clone();
        let object = if remote_answers(&url).await {
            object
        } else {
            world
                .until("app", "served anew", |object| {
                    object
                        .status
                        .as_ref()
                        .and_then(|s| s.artifact.as_ref())
                        .is_some_and(|a| a.url != url)
                })
                .await
        };
        assert_eq!(world.read(&object, "f").await, text);
        controller.stop().await;
    }
    world.server.shutdown().await;
}

async fn remote_answers(url: &str) -> bool {
    reqwest::get(url).await.is_ok()
}
