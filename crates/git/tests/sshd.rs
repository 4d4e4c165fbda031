//! Fetching from a real OpenSSH server, with every kind of host key and client key. Needs `sshd`,
//! which a stranger's machine may not have: built with the feature `sshd-tests` only, in CI.

// Helpers of tests panic like tests.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod support;

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sluice_git::client::Options;
use sluice_git::ssh::Algorithms;
use sluice_git::{Client, Error, Reference, Remote, RemoteUrl, Secret, SshAuth};
use support::Fixture;

/// A running sshd with one host key of each type.
struct Sshd {
    child: Child,
    port: u16,
    dir: PathBuf,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes a key and returns the path of its private half.
fn keygen(dir: &Path, name: &str, arguments: &[&str], passphrase: &str) -> PathBuf {
    let path = dir.join(name);
    let status = Command::new("ssh-keygen")
        .args(["-q", "-N", passphrase, "-C", "test", "-f"])
        .arg(&path)
        .args(arguments)
        .status()
        .unwrap();
    assert!(status.success());
    path
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

fn public(path: &Path) -> String {
    read(&path.with_extension("pub"))
}

const HOST_KEYS: [(&str, &[&str]); 3] = [
    ("host_ed25519", &["-t", "ed25519"]),
    ("host_ecdsa", &["-t", "ecdsa", "-b", "256"]),
    ("host_rsa", &["-t", "rsa", "-b", "2048"]),
];

impl Sshd {
    fn start(dir: &Path, authorized: &str, extra: &str) -> Sshd {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        std::fs::write(dir.join("authorized"), authorized).unwrap();
        let mut config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nPidFile none\nStrictModes no\nUsePAM no\n\
             PasswordAuthentication no\nPermitRootLogin yes\nAuthorizedKeysFile {}\n{extra}\n",
            dir.join("authorized").display()
        );
        for (name, _) in HOST_KEYS {
            config.push_str(&format!("HostKey {}\n", dir.join(name).display()));
        }
        std::fs::write(dir.join("config"), config).unwrap();
        // Debian's sshd wants this folder when root runs it.
        let _ = std::fs::create_dir("/run/sshd");
        let child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(dir.join("config"))
            .stderr(Stdio::null())
            .spawn()
            .expect("sshd is installed");
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "sshd does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        Sshd {
            child,
            port,
            dir: dir.to_owned(),
        }
    }

    fn known_hosts(&self, keys: &[&str]) -> String {
        keys.iter()
            .map(|name| format!("[127.0.0.1]:{} {}", self.port, public(&self.dir.join(name))))
            .collect()
    }

    fn remote(&self, repository: &Path, identity: &Path, known_hosts: String) -> Remote {
        let user = Command::new("id").arg("-un").output().unwrap();
        let user = String::from_utf8(user.stdout).unwrap().trim().to_owned();
        let url = format!(
            "ssh://{user}@127.0.0.1:{}{}",
            self.port,
            repository.display()
        );
        let mut remote = Remote::new(RemoteUrl::parse(&url).unwrap());
        remote.ssh = Some(SshAuth {
            user,
            identity: Secret::new(read(identity)),
            passphrase: None,
            known_hosts,
        });
        remote
    }
}

async fn fetch(client: &Client, remote: &Remote) -> Result<String, Error> {
    let cache = tempfile::tempdir().unwrap();
    let main = Reference {
        branch: "main".into(),
        ..Reference::default()
    };
    let (resolved, _) = client.obtain(remote, &main, cache.path()).await?;
    Ok(resolved.commit.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_key_works_against_openssh() {
    let fixture = Fixture::new();
    let commit = fixture.commit(
        "app",
        "main",
        &[("f", "1"), ("big", &"z".repeat(5_000_000))],
    );
    let repository = fixture.root().join("app.git");
    let dir = tempfile::tempdir().unwrap();
    for (name, arguments) in HOST_KEYS {
        keygen(dir.path(), name, arguments, "");
    }
    let clients = [
        keygen(dir.path(), "ed25519", &["-t", "ed25519"], ""),
        keygen(dir.path(), "ecdsa", &["-t", "ecdsa", "-b", "384"], ""),
        keygen(dir.path(), "rsa", &["-t", "rsa", "-b", "2048"], ""),
        keygen(
            dir.path(),
            "rsa_pem",
            &["-t", "rsa", "-b", "2048", "-m", "PEM"],
            "",
        ),
        keygen(dir.path(), "ecdsa_pem", &["-t", "ecdsa", "-m", "PEM"], ""),
        keygen(
            dir.path(),
            "rsa_pkcs8",
            &["-t", "rsa", "-b", "2048", "-m", "PKCS8"],
            "",
        ),
    ];
    let locked = [
        keygen(dir.path(), "locked", &["-t", "ed25519"], "open sesame"),
        keygen(
            dir.path(),
            "locked_pkcs8",
            &["-t", "rsa", "-b", "2048", "-m", "PKCS8"],
            "open sesame",
        ),
    ];
    let authorized: String = clients
        .iter()
        .chain(&locked)
        .map(|path| public(path))
        .collect();
    let sshd = Sshd::start(dir.path(), &authorized, "");
    let client = Client::new(Options::default());
    let all = sshd.known_hosts(&["host_ed25519", "host_ecdsa", "host_rsa"]);
    for identity in &clients {
        let remote = sshd.remote(&repository, identity, all.clone());
        assert_eq!(
            fetch(&client, &remote).await.unwrap(),
            commit,
            "{}",
            identity.display()
        );
    }
    for identity in &locked {
        let mut remote = sshd.remote(&repository, identity, all.clone());
        assert!(
            sluice_git::auth::is_encrypted(&read(identity)),
            "{}",
            identity.display()
        );
        remote.ssh.as_mut().unwrap().passphrase = Some(Secret::new("open sesame"));
        assert_eq!(
            fetch(&client, &remote).await.unwrap(),
            commit,
            "{}",
            identity.display()
        );
    }
    // The server is asked for the key that is known, whichever it is.
    for (name, _) in HOST_KEYS {
        let remote = sshd.remote(&repository, &clients[0], sshd.known_hosts(&[name]));
        assert_eq!(fetch(&client, &remote).await.unwrap(), commit, "{name}");
    }
    // As `ssh-keygen -H` hashes it.
    let hashed = dir.path().join("known");
    std::fs::write(&hashed, &all).unwrap();
    let status = Command::new("ssh-keygen")
        .args(["-q", "-H", "-f"])
        .arg(&hashed)
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success() && read(&hashed).starts_with("|1|"));
    let remote = sshd.remote(&repository, &clients[0], read(&hashed));
    assert_eq!(fetch(&client, &remote).await.unwrap(), commit);
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_algorithms_and_refusals_are_openssh_s() {
    let fixture = Fixture::new();
    let commit = fixture.commit("app", "main", &[("f", "1")]);
    let repository = fixture.root().join("app.git");
    let dir = tempfile::tempdir().unwrap();
    for (name, arguments) in HOST_KEYS {
        keygen(dir.path(), name, arguments, "");
    }
    let identity = keygen(dir.path(), "client", &["-t", "ed25519"], "");
    let authority = keygen(dir.path(), "ca", &["-t", "ed25519"], "");
    let status = Command::new("ssh-keygen")
        .args(["-q", "-h", "-I", "host", "-n", "127.0.0.1", "-s"])
        .arg(&authority)
        .arg(dir.path().join("host_ed25519.pub"))
        .status()
        .unwrap();
    assert!(status.success());
    let certificate = dir.path().join("host_ed25519-cert.pub");
    let extra = format!(
        "HostCertificate {}\nKexAlgorithms curve25519-sha256,diffie-hellman-group14-sha256",
        certificate.display()
    );
    let sshd = Sshd::start(dir.path(), &public(&identity), &extra);
    let client = Client::new(Options::default());

    let by_authority = format!(
        "@cert-authority [127.0.0.1]:{} {}",
        sshd.port,
        public(&authority)
    );
    let remote = sshd.remote(&repository, &identity, by_authority);
    assert_eq!(fetch(&client, &remote).await.unwrap(), commit);
    let revoked = format!(
        "@revoked * {}{}",
        public(&dir.path().join("host_ecdsa")),
        sshd.known_hosts(&["host_ecdsa"])
    );
    let failure = fetch(&client, &sshd.remote(&repository, &identity, revoked))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        failure.ends_with("ssh: handshake failed: knownhosts: key is revoked"),
        "{failure}"
    );

    let known = sshd.known_hosts(&["host_ecdsa", "host_rsa"]);
    let chosen = |kex: &str, host_key: &str| {
        let algorithms = Algorithms {
            kex: vec![kex.to_owned()],
            host_key: vec![host_key.to_owned()],
        };
        Client::new(Options {
            algorithms,
            ..Options::default()
        })
    };
    let remote = sshd.remote(&repository, &identity, known);
    let good = chosen("diffie-hellman-group14-sha256", "rsa-sha2-256");
    assert_eq!(fetch(&good, &remote).await.unwrap(), commit);
    let none_in_common = chosen("diffie-hellman-group16-sha512", "rsa-sha2-256");
    let failure = fetch(&none_in_common, &remote)
        .await
        .unwrap_err()
        .to_string();
    assert!(failure.contains("ssh: handshake failed: "), "{failure}");

    let missing = sshd.remote(
        &repository.with_extension("nope"),
        &identity,
        sshd.known_hosts(&["host_ecdsa"]),
    );
    let failure = fetch(&client, &missing).await.unwrap_err().to_string();
    assert!(
        failure.contains("repository not found: fatal: "),
        "{failure}"
    );
}
