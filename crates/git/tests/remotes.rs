//! The whole way from a remote to a layout, with the real `git` on the other side: over HTTP and
//! HTTPS against `git http-backend`, over SSH against `git upload-pack`, and from the disk.

// Helpers of tests panic like tests.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;

use russh::keys::{Algorithm, EcdsaCurve, ssh_key};
use sluice_artifact::layout::{Dir, FileMode, Node};
use sluice_git::client::{Checkout, Options, Purpose, Submodules};
use sluice_git::snapshot::{Blob, Stores};
use sluice_git::{
    Client, Error, HttpAuth, Reference, Remote, RemoteUrl, Resolved, Secret, Snapshot, SshAuth, Tls,
};
use support::http::{Access, ClientCertificate, Pki};
use support::{Fixture, http, ssh};

fn client() -> Client {
    Client::new(Options::default())
}

fn remote(url: &str) -> Remote {
    let mut remote = Remote::new(RemoteUrl::parse_lenient(url).unwrap());
    remote.given = url.to_owned();
    remote
}

fn branch(name: &str) -> Reference {
    Reference {
        branch: name.to_owned(),
        ..Reference::default()
    }
}

fn commit(hash: &str) -> Reference {
    Reference {
        commit: hash.to_owned(),
        ..Reference::default()
    }
}

async fn obtain(
    remote: &Remote,
    reference: &Reference,
    dir: &Path,
) -> Result<(Resolved, Snapshot), Error> {
    client().obtain(remote, reference, dir).await
}

async fn failure(remote: &Remote) -> String {
    let dir = tempfile::tempdir().unwrap();
    obtain(remote, &branch("main"), dir.path())
        .await
        .unwrap_err()
        .to_string()
}

/// `path=content` for files, with `*` after executable ones, and `path/` for folders.
fn listing(checkout: &Checkout) -> Vec<String> {
    fn walk(dir: &Dir<Blob>, stores: &Stores, above: &str, out: &mut Vec<String>) {
        for (name, node) in dir.iter() {
            let path = format!("{above}{}", String::from_utf8_lossy(name));
            match node {
                Node::Dir(dir) => {
                    out.push(format!("{path}/"));
                    walk(dir, stores, &format!("{path}/"), out);
                }
                Node::File(file) => {
                    let mut text = String::new();
                    let mut content = stores.content(&file.content).unwrap();
                    std::io::Read::read_to_string(&mut content.reader, &mut text).unwrap();
                    let mark = if file.mode == FileMode::Executable {
                        "*"
                    } else {
                        ""
                    };
                    out.push(format!("{path}{mark}={text}"));
                }
            }
        }
    }
    let stores = Stores::open(&checkout.snapshots, 1 << 20).unwrap();
    let mut out = Vec::new();
    walk(&checkout.layout, &stores, "", &mut out);
    out
}

async fn files(remote: &Remote, reference: &Reference, dir: &Path) -> Vec<String> {
    let client = client();
    let (_, snapshot) = client.obtain(remote, reference, dir).await.unwrap();
    listing(
        &client
            .check_out(remote, snapshot, Submodules::Skip, dir)
            .await
            .unwrap(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_comes_over_http_without_its_history_and_grows_by_what_is_new() {
    let fixture = Fixture::new();
    let big = "x".repeat(200_000);
    fixture.commit("app", "main", &[("big", &big), ("dir/run.sh", "old")]);
    std::os::unix::fs::symlink("big", fixture.work("app").join("link")).unwrap();
    let run = fixture.work("app").join("dir/run.sh");
    std::fs::set_permissions(&run, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let second = fixture.commit("app", "main", &[("dir/run.sh", "new")]);
    let server = http::serve(&fixture.root(), Access::Open, None).await;
    let remote = remote(&server.url("app"));
    let cache = tempfile::tempdir().unwrap();

    let (resolved, snapshot) = obtain(&remote, &branch("main"), cache.path())
        .await
        .unwrap();
    assert_eq!(resolved.revision, format!("main@sha1:{second}"));
    assert_eq!(server.count(), 2);
    let said = snapshot.read_commit().unwrap();
    assert_eq!(
        (said.subject(), said.author.name.as_str()),
        ("commit 2".into(), "Tester")
    );
    let checkout = client()
        .check_out(&remote, snapshot.clone(), Submodules::Skip, cache.path())
        .await
        .unwrap();
    assert_eq!(
        listing(&checkout),
        [
            format!("big={big}"),
            "dir/".into(),
            "dir/run.sh*=new".into()
        ]
    );
    // One commit, two trees, three blobs.
    assert_eq!(count(&snapshot.store), (1, 6), "packs, objects");

    // The same again costs the listing and nothing else.
    obtain(&remote, &branch("main"), cache.path())
        .await
        .unwrap();
    assert_eq!(server.count(), 3);

    let third = fixture.commit("app", "main", &[("dir/run.sh", "newer")]);
    let (resolved, snapshot) = obtain(&remote, &branch("main"), cache.path())
        .await
        .unwrap();
    assert_eq!(resolved.commit.to_string(), third);
    // One commit, two trees, one blob: what was here did not come again.
    assert_eq!(count(&snapshot.store), (2, 10));
}

fn count(store: &Path) -> (usize, usize) {
    let packs = std::fs::read_dir(store.join("objects/pack"))
        .unwrap()
        .filter(|entry| {
            entry
                .as_ref()
                .unwrap()
                .path()
                .extension()
                .is_some_and(|e| e == "pack")
        })
        .count();
    let objects = support::run(store, &["cat-file", "--batch-all-objects", "--batch-check"]);
    (packs, objects.lines().count())
}

#[tokio::test(flavor = "multi_thread")]
async fn listing_the_refs_is_one_round_trip_and_writes_nothing() {
    let fixture = Fixture::new();
    fixture.commit("app", "main", &[("f", "1")]);
    let server = http::serve(&fixture.root(), Access::Open, None).await;
    let session = client()
        .connect(&remote(&server.url("app")), Purpose::List)
        .await
        .unwrap();
    assert!(session.refs().target("refs/heads/main").is_some());
    session.close().await;
    assert_eq!(
        *server.seen.lock().unwrap(),
        ["GET /app.git/info/refs?service=git-upload-pack"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_off_the_tips_are_found_in_the_history_and_only_there() {
    let fixture = Fixture::new();
    let first = fixture.commit("app", "main", &[("f", "1")]);
    fixture.commit("app", "main", &[("f", "2")]);
    let aside = fixture.commit("app", "aside", &[("f", "3")]);
    fixture.git(
        "app",
        &[
            "push",
            "-q",
            "origin",
            "aside:refs/pull/1/head",
            ":refs/heads/aside",
        ],
    );
    let server = http::serve(&fixture.root(), Access::Open, None).await;
    let remote = remote(&server.url("app"));
    let cache = tempfile::tempdir().unwrap();

    assert_eq!(files(&remote, &commit(&first), cache.path()).await, ["f=1"]);
    let on_main = Reference {
        branch: "main".into(),
        ..commit(&first)
    };
    assert_eq!(files(&remote, &on_main, cache.path()).await, ["f=1"]);
    let pull = Reference {
        name: "refs/pull/1/head".into(),
        ..Reference::default()
    };
    let wrong = [
        pull.clone(),
        Reference {
            branch: "main".into(),
            ..commit(&aside)
        },
        commit(&"0".repeat(40)),
    ];
    for reference in wrong {
        let error = obtain(&remote, &reference, cache.path()).await.unwrap_err();
        assert!(matches!(error, Error::CommitNotFound(_)), "{error}");
    }
    // A server that serves any commit is asked for it directly.
    let bare = fixture.root().join("app.git");
    support::run(
        &bare,
        &["config", "uploadpack.allowReachableSHA1InWant", "true"],
    );
    assert_eq!(files(&remote, &pull, cache.path()).await, ["f=3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_lead_to_commits_and_equal_versions_to_the_youngest() {
    let fixture = Fixture::new();
    let first = fixture.commit("app", "main", &[("f", "1")]);
    fixture.git("app", &["tag", "-a", "-m", "message", "v1.0.0"]);
    fixture.git("app", &["tag", "v1.1.0+a"]);
    let second = fixture.commit("app", "main", &[("f", "2")]);
    fixture.git("app", &["tag", "v1.1.0+Z"]);
    fixture.git("app", &["push", "-q", "origin", "--tags"]);
    let server = http::serve(&fixture.root(), Access::Open, None).await;
    let remote = remote(&server.url("app"));
    let cache = tempfile::tempdir().unwrap();

    let tag = Reference {
        tag: "v1.0.0".into(),
        ..Reference::default()
    };
    let (resolved, snapshot) = obtain(&remote, &tag, cache.path()).await.unwrap();
    assert_eq!(resolved.revision, format!("v1.0.0@sha1:{first}"));
    let object = snapshot.read_tag().unwrap().unwrap();
    assert_eq!(
        object.id.to_string(),
        fixture.git("app", &["rev-parse", "v1.0.0"])
    );
    assert_eq!(object.signature, None);
    assert_eq!(files(&remote, &tag, cache.path()).await, ["f=1"]);

    let range = Reference {
        semver: "1.x".into(),
        ..Reference::default()
    };
    let (resolved, snapshot) = obtain(&remote, &range, cache.path()).await.unwrap();
    assert_eq!(resolved.revision, format!("v1.1.0+Z@sha1:{second}"));
    assert_eq!(snapshot.read_tag().unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn private_authorities_client_certificates_and_tokens_belong_to_one_remote() {
    let fixture = Fixture::new();
    fixture.commit("app", "main", &[("f", "1")]);
    let pki = Pki::new();
    let tls = Some((&pki, ClientCertificate::Required));
    let server = http::serve(&fixture.root(), Access::Bearer("token"), tls).await;
    let dir = tempfile::tempdir().unwrap();

    let stranger = remote(&server.url("app"));
    let text = failure(&stranger).await;
    assert!(
        text.ends_with("x509: certificate signed by unknown authority"),
        "{text}"
    );

    let mut friend = stranger.clone();
    friend.tls.ca = Some(pki.ca.clone().into_bytes());
    let text = failure(&friend).await;
    assert!(
        text.contains("ertificate") && text.contains("unable to clone"),
        "{text}"
    );

    let (certificate, key) = pki.issue("client");
    friend.tls.client = Some((certificate.into_bytes(), Secret::new(key)));
    friend.http = HttpAuth::Bearer(Secret::new("token"));
    assert_eq!(files(&friend, &branch("main"), dir.path()).await, ["f=1"]);

    friend.tls = Tls {
        ca: Some(b"rubbish".to_vec()),
        client: None,
    };
    let text = failure(&friend).await;
    assert!(
        text.ends_with("failed to parse CA certificate: no certificate in PEM form"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_come_from_the_secret_and_the_address() {
    let fixture = Fixture::new();
    fixture.commit("app", "main", &[("f", "1")]);
    let pki = Pki::new();
    let tls = Some((&pki, ClientCertificate::Needless));
    let server = http::serve(&fixture.root(), Access::Basic("user", "p@ss"), tls).await;
    let url = server.url("app");
    let basic = |username: &str, password: &str| HttpAuth::Basic {
        username: username.into(),
        password: Secret::new(password),
    };
    let with = |url: &str, auth: HttpAuth| {
        let mut remote = remote(url);
        remote.tls.ca = Some(pki.ca.clone().into_bytes());
        remote.http = auth;
        remote
    };
    let dir = tempfile::tempdir().unwrap();
    let in_url = url.replace("https://", "https://user:p%40ss@");
    let user_in_url = url.replace("https://", "https://user@");
    for good in [
        with(&url, basic("user", "p@ss")),
        with(&in_url, HttpAuth::None),
        with(&user_in_url, basic("", "p@ss")),
    ] {
        assert_eq!(files(&good, &branch("main"), dir.path()).await, ["f=1"]);
    }
    assert_eq!(
        failure(&with(&url, HttpAuth::None)).await,
        format!("unable to clone '{url}': authentication required: who are you?")
    );
    assert_eq!(
        failure(&with(&in_url.replace("p%40ss", "secret"), HttpAuth::None)).await,
        format!(
            "unable to clone '{}': authorization failed: not you",
            in_url.replace("p%40ss", "xxxxx")
        )
    );
    assert_eq!(
        failure(&with(&in_url, HttpAuth::Bearer(Secret::new("t")))).await,
        "basic auth and bearer token cannot be set at the same time"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_of_http_say_what_flux_says() {
    let fixture = Fixture::new();
    fixture.commit("app", "main", &[("f", "1")]);
    let server = http::serve(&fixture.root(), Access::Open, None).await;
    let (nope, app) = (server.url("nope"), server.url("app"));
    assert_eq!(
        failure(&remote(&nope)).await,
        format!("unable to clone '{nope}': repository not found: no such repository")
    );
    assert_eq!(
        failure(&remote("http://127.0.0.1:1/app.git")).await,
        "unable to clone 'http://127.0.0.1:1/app.git': Get \"http://127.0.0.1:1/app.git/info/refs?service=git-upload-pack\": \
         dial tcp 127.0.0.1:1: connect: connection refused"
    );
    server
        .instead
        .lock()
        .unwrap()
        .push_back((200, String::new()));
    assert_eq!(
        failure(&remote(&app)).await,
        format!("unable to clone '{app}': empty input")
    );
    server
        .instead
        .lock()
        .unwrap()
        .push_back((502, String::new()));
    assert_eq!(
        failure(&remote(&app)).await,
        format!(
            "unable to clone '{app}': unexpected client error: unexpected requesting \
             \"{app}/info/refs?service=git-upload-pack\" status code: 502"
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_followed_and_credentials_stay_behind() {
    let fixture = Fixture::new();
    fixture.commit("app", "main", &[("f", "1")]);
    let old = http::serve(&fixture.root(), Access::Open, None).await;
    let open = http::serve(&fixture.root(), Access::Open, None).await;
    let closed = http::serve(&fixture.root(), Access::Basic("user", "secret"), None).await;
    let dir = tempfile::tempdir().unwrap();
    let listing = "/info/refs?service=git-upload-pack";
    let mut remote = remote(&old.url("moved"));
    remote.http = HttpAuth::Basic {
        username: "user".into(),
        password: Secret::new("secret"),
    };
    old.instead
        .lock()
        .unwrap()
        .push_back((301, format!("{}{listing}", open.url("app"))));
    assert_eq!(files(&remote, &branch("main"), dir.path()).await, ["f=1"]);
    assert_eq!(open.count(), 2);
    old.instead
        .lock()
        .unwrap()
        .push_back((301, format!("{}{listing}", closed.url("app"))));
    let text = failure(&remote).await;
    assert!(
        text.ends_with("authentication required: who are you?"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_store_is_replaced_and_an_interrupted_fetch_leaves_it_usable() {
    let fixture = Fixture::new();
    fixture.commit("app", "main", &[("f", "1")]);
    let server = http::serve(&fixture.root(), Access::Open, None).await;
    let remote = remote(&server.url("app"));
    let cache = tempfile::tempdir().unwrap();
    let (_, snapshot) = obtain(&remote, &branch("main"), cache.path())
        .await
        .unwrap();
    let pack_dir = snapshot.store.join("objects/pack");

    // As after a kill while a pack came in, and between the pack and the note.
    std::fs::write(pack_dir.join("pack_git2_0123456789abcdef"), "half").unwrap();
    std::fs::remove_file(cache.path().join("main/complete")).unwrap();
    assert_eq!(files(&remote, &branch("main"), cache.path()).await, ["f=1"]);

    // Bit rot: the pack's objects are unreadable.
    for entry in std::fs::read_dir(&pack_dir).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "pack") {
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[20..].fill(0);
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, bytes).unwrap();
        }
    }
    assert_eq!(files(&remote, &branch("main"), cache.path()).await, ["f=1"]);

    // A caller that gives up.
    fixture.commit("app", "main", &[("f", "2")]);
    let (client, reference) = (client(), branch("main"));
    let abandoned = tokio::time::timeout(
        std::time::Duration::from_millis(1),
        client.obtain(&remote, &reference, cache.path()),
    );
    let _ = abandoned.await;
    assert_eq!(files(&remote, &branch("main"), cache.path()).await, ["f=2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_repository_says_so() {
    let fixture = Fixture::new();
    let server = http::serve(&fixture.root(), Access::Open, None).await;
    assert_eq!(
        failure(&remote(&server.url("app"))).await,
        "git repository is empty"
    );
    assert_eq!(
        failure(&remote(fixture.root().join("app.git").to_str().unwrap())).await,
        "git repository is empty"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn submodules_are_empty_folders_or_trees() {
    let fixture = Fixture::new();
    fixture.add("lib");
    let lib = fixture.commit("lib", "main", &[("lib.yaml", "l")]);
    // Off the tip, so that its history has to be looked through.
    fixture.commit("lib", "main", &[("lib.yaml", "later")]);
    let gitmodules = "[submodule \"lib\"]\n\tpath = vendor/lib\n\turl = ../lib.git\n";
    fixture.commit("app", "main", &[(".gitmodules", gitmodules), ("a", "a")]);
    fixture.git(
        "app",
        &[
            "update-index",
            "--add",
            "--cacheinfo",
            &format!("160000,{lib},vendor/lib"),
        ],
    );
    fixture.git("app", &["commit", "-q", "-m", "submodule"]);
    fixture.git("app", &["push", "-q", "origin", "main"]);
    let server = http::serve(&fixture.root(), Access::Open, None).await;
    let bare = fixture.root().join("app.git");
    for remote in [remote(&server.url("app")), remote(bare.to_str().unwrap())] {
        let cache = tempfile::tempdir().unwrap();
        let client = client();
        let (_, snapshot) = client
            .obtain(&remote, &branch("main"), cache.path())
            .await
            .unwrap();
        let mut listed = Vec::new();
        for submodules in [Submodules::Skip, Submodules::Recurse] {
            let checkout = client
                .check_out(&remote, snapshot.clone(), submodules, cache.path())
                .await
                .unwrap();
            listed.push(listing(&checkout)[1..].to_vec());
        }
        assert_eq!(listed[0], ["a=a", "vendor/", "vendor/lib/"]);
        assert_eq!(
            listed[1],
            [
                "a=a",
                "vendor/",
                "vendor/lib/",
                "vendor/lib/.git=gitdir: ../../.git/modules/lib\n",
                "vendor/lib/lib.yaml=l"
            ]
        );
    }
    std::fs::remove_dir_all(fixture.root().join("lib.git")).unwrap();
    let remote = remote(&server.url("app"));
    let cache = tempfile::tempdir().unwrap();
    let client = client();
    let (_, snapshot) = client
        .obtain(&remote, &branch("main"), cache.path())
        .await
        .unwrap();
    let error = client
        .check_out(&remote, snapshot, Submodules::Recurse, cache.path())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "unable to clone '{}': repository not found: no such repository",
            server.url("app")
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_repository_is_read_in_place() {
    let fixture = Fixture::new();
    let first = fixture.commit("app", "main", &[("f", "1")]);
    fixture.git("app", &["tag", "-a", "-m", "m", "v1.0.0"]);
    let second = fixture.commit("app", "main", &[("f", "2")]);
    std::fs::write(fixture.work("app").join("f"), "not committed").unwrap();
    let cache = tempfile::tempdir().unwrap();
    let unused = cache.path().join("unused");
    let work = fixture.work("app");
    for url in [
        work.to_str().unwrap().to_owned(),
        format!("file://{}", work.display()),
    ] {
        let remote = remote(&url);
        let (resolved, snapshot) = obtain(&remote, &branch("main"), &unused).await.unwrap();
        assert_eq!(resolved.revision, format!("main@sha1:{second}"));
        assert!(snapshot.store.starts_with(&work));
        assert_eq!(files(&remote, &branch("main"), &unused).await, ["f=2"]);
        assert_eq!(files(&remote, &commit(&first), &unused).await, ["f=1"]);
        let tag = Reference {
            tag: "v1.0.0".into(),
            ..Reference::default()
        };
        let (resolved, snapshot) = obtain(&remote, &tag, &unused).await.unwrap();
        assert_eq!(resolved.revision, format!("v1.0.0@sha1:{first}"));
        assert!(snapshot.read_tag().unwrap().is_some());
        let error = obtain(&remote, &commit(&"1".repeat(40)), &unused)
            .await
            .unwrap_err();
        assert!(matches!(error, Error::CommitNotFound(_)), "{error}");
    }
    assert!(!unused.exists());
    assert!(
        failure(&remote("/no/such/place"))
            .await
            .contains("repository not found")
    );
    let empty = tempfile::tempdir().unwrap();
    assert!(
        failure(&remote(empty.path().to_str().unwrap()))
            .await
            .contains("failed to open repository")
    );
}

fn ssh_remote(url: &str, key: &russh::keys::PrivateKey, known_hosts: String) -> Remote {
    let mut remote = remote(url);
    remote.ssh = Some(SshAuth {
        user: "git".into(),
        identity: Secret::new(key.to_openssh(ssh_key::LineEnding::LF).unwrap().to_string()),
        passphrase: None,
        known_hosts,
    });
    remote
}

#[tokio::test(flavor = "multi_thread")]
async fn ssh_fetches_with_known_hosts_and_refuses_without() {
    let fixture = Fixture::new();
    fixture.commit("app", "main", &[("f", "1")]);
    let key = ssh::key(Algorithm::Ed25519);
    let server = ssh::serve(&fixture.root(), key.public_key(), Algorithm::Ed25519).await;
    let url = server.url("app");
    let cache = tempfile::tempdir().unwrap();
    let remote = ssh_remote(&url, &key, server.known_hosts());
    assert_eq!(files(&remote, &branch("main"), cache.path()).await, ["f=1"]);
    fixture.commit(
        "app",
        "main",
        &[("f", "2"), ("big", &"y".repeat(3_000_000))],
    );
    assert_eq!(files(&remote, &branch("main"), cache.path()).await.len(), 2);
    let session = client().connect(&remote, Purpose::List).await.unwrap();
    session.close().await;

    let unknown = ssh_remote(&url, &key, format!("elsewhere {}", server.host_key));
    assert_eq!(
        failure(&unknown).await,
        format!("unable to clone '{url}': ssh: handshake failed: knownhosts: key is unknown")
    );
    let other = ssh::key(Algorithm::Ed25519)
        .public_key()
        .to_openssh()
        .unwrap();
    let changed = ssh_remote(&url, &key, format!("[localhost]:{} {other}", server.port));
    assert_eq!(
        failure(&changed).await,
        format!("unable to clone '{url}': ssh: handshake failed: knownhosts: key mismatch")
    );
    let stranger = ssh_remote(&url, &ssh::key(Algorithm::Ed25519), server.known_hosts());
    assert_eq!(
        failure(&stranger).await,
        format!(
            "unable to clone '{url}': ssh: handshake failed: ssh: unable to authenticate, \
             attempted methods [none publickey], no supported methods remain"
        )
    );
    let missing = ssh_remote(&server.url("nope"), &key, server.known_hosts());
    let text = failure(&missing).await;
    assert!(text.contains("repository not found: fatal: "), "{text}");
    let nobody = ssh_remote("ssh://git@127.0.0.1:1/app.git", &key, server.known_hosts());
    let text = failure(&nobody).await;
    assert!(
        text.ends_with("dial tcp 127.0.0.1:1: connect: connection refused"),
        "{text}"
    );
    let mut keyless = remote.clone();
    keyless.ssh.as_mut().unwrap().identity = Secret::new("x");
    assert_eq!(
        failure(&keyless).await,
        "unable to construct auth method with options: ssh: no key found"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ssh_asks_for_the_host_key_that_is_known_and_opens_encrypted_keys() {
    let fixture = Fixture::new();
    fixture.commit("app", "main", &[("f", "1")]);
    let curve = Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP256,
    };
    let key = ssh::key(curve.clone());
    let server = ssh::serve(&fixture.root(), key.public_key(), curve).await;
    let cache = tempfile::tempdir().unwrap();
    let mut remote = ssh_remote(&server.url("app"), &key, server.known_hosts());
    let locked = key
        .encrypt(&mut rand::rng(), "open sesame")
        .unwrap()
        .to_openssh(ssh_key::LineEnding::LF)
        .unwrap()
        .to_string();
    assert!(sluice_git::auth::is_encrypted(&locked));
    let auth = remote.ssh.as_mut().unwrap();
    auth.identity = Secret::new(locked);
    auth.passphrase = Some(Secret::new("open sesame"));
    assert_eq!(files(&remote, &branch("main"), cache.path()).await, ["f=1"]);
    remote.ssh.as_mut().unwrap().passphrase = Some(Secret::new("wrong"));
    let text = failure(&remote).await;
    assert!(
        text.starts_with(
            "unable to construct auth method with options: ssh: failed to parse private key"
        ),
        "{text}"
    );
}
