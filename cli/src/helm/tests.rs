use std::path::Path;

use super::*;

struct Ran {
    out: String,
    error: Option<String>,
}

fn run_in(folder: &Path, arguments: &[&str]) -> Ran {
    let config = folder.join("repositories.yaml");
    let mut words = vec!["sluice", "helm"];
    words.extend(arguments);
    let config = config.to_string_lossy();
    words.extend(["--repository-config", &config]);
    let cli = crate::parse(words.iter().map(std::ffi::OsString::from)).expect("understood");
    let Some(crate::Command::Local(crate::LocalCommand::Helm(helm))) = &cli.command else {
        panic!("no helm command");
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let done = helm.command.run(&mut Environment {
        out: &mut out,
        err: &mut err,
        helm: &helm.global,
        global: &cli.global,
    });
    let text =
        |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).replace(&*folder.to_string_lossy(), "/R");
    Ran {
        out: text(out),
        error: done
            .err()
            .map(|HelmError(text)| text.replace(&*folder.to_string_lossy(), "/R")),
    }
}

fn lay_out(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        std::fs::write(path, text).expect("a file");
    }
    folder
}

const CHART: &str = "apiVersion: v2\nname: c\nversion: 0.1.0\n";
const LOCAL: &str = "apiVersion: v2\nname: c\nversion: 0.1.0\ndependencies:\n- {name: loc, version: \
                     \">=0\", repository: \"file://../loc\"}\n";

fn path(folder: &tempfile::TempDir, name: &str) -> String {
    folder.path().join(name).to_string_lossy().into_owned()
}

#[test]
fn template_prints_manifests_and_hooks() {
    let folder = lay_out(&[
        ("c/Chart.yaml", CHART),
        (
            "c/templates/a.yaml",
            "kind: A\nmetadata: {name: {{ .Release.Name }}-{{ .Release.Namespace }}-{{ .Values.x }}}\n",
        ),
        (
            "c/templates/h.yaml",
            "kind: H\nmetadata: {name: h, annotations: {helm.sh/hook: test}}\n",
        ),
    ]);
    let chart = path(&folder, "c");
    let ran = run_in(
        folder.path(),
        &["template", "r", &chart, "--set", "x=1", "-n", "ns"],
    );
    assert_eq!(ran.error, None);
    assert_eq!(
        ran.out,
        "---\n# Source: c/templates/a.yaml\nkind: A\nmetadata: {name: r-ns-1}\n---\n# Source: \
         c/templates/h.yaml\nkind: H\nmetadata: {name: h, annotations: {helm.sh/hook: test}}\n\n"
    );
    let ran = run_in(
        folder.path(),
        &["template", &chart, "-s", "templates/h.yaml", "--skip-tests"],
    );
    assert_eq!(
        ran.error.as_deref(),
        Some("could not find template templates/h.yaml in chart")
    );
    let ran = run_in(folder.path(), &["template", "R_", &chart]);
    assert!(
        ran.error
            .is_some_and(|e| e.starts_with("release name check failed: "))
    );
}

#[test]
fn lint_counts_what_failed() {
    let folder = lay_out(&[
        ("good/Chart.yaml", CHART),
        ("bad/Chart.yaml", "apiVersion: v2\nname: bad\n"),
    ]);
    let (good, bad) = (path(&folder, "good"), path(&folder, "bad"));
    let ran = run_in(folder.path(), &["lint", &good]);
    assert_eq!(
        ran.out,
        "==> Linting /R/good\n[INFO] Chart.yaml: icon is recommended\n[INFO] values.yaml: file \
         does not exist\n[WARNING] templates/: directory does not exist\n\n1 chart(s) linted, 0 \
         chart(s) failed\n"
    );
    let ran = run_in(folder.path(), &["lint", &good, &bad, "--quiet"]);
    assert_eq!(
        ran.error.as_deref(),
        Some("2 chart(s) linted, 1 chart(s) failed")
    );
    let ran = run_in(folder.path(), &["lint", &good, "--strict"]);
    assert_eq!(
        ran.error.as_deref(),
        Some("1 chart(s) linted, 1 chart(s) failed")
    );
    let ran = run_in(folder.path(), &["lint", &path(&folder, "no")]);
    assert!(
        ran.out
            .contains("Error unable to check Chart.yaml file in chart: stat /R/no/Chart.yaml")
    );
}

#[test]
fn local_dependencies_are_packed_and_locked() {
    let folder = lay_out(&[
        ("c/Chart.yaml", LOCAL),
        (
            "loc/Chart.yaml",
            "apiVersion: v2\nname: loc\nversion: 0.3.0\n",
        ),
    ]);
    let chart = path(&folder, "c");
    let list = |status: &str| {
        format!(
            "NAME\tVERSION\tREPOSITORY   \tSTATUS{0}\nloc \t>=0    \tfile://../loc\t{status}{1}\n\n",
            " ".repeat(status.len().saturating_sub(6)),
            " ".repeat(6usize.saturating_sub(status.len())),
        )
    };
    let ran = run_in(folder.path(), &["dependency", "list", &chart]);
    assert_eq!(ran.out, list("missing"));
    let ran = run_in(folder.path(), &["dependency", "build", &chart]);
    assert_eq!(ran.error, None);
    assert_eq!(ran.out, "Saving 1 charts\nDeleting outdated charts\n");
    let lock = std::fs::read_to_string(folder.path().join("c/Chart.lock")).expect("a lock");
    assert!(
        lock.contains("sha256:3f40afd89824fbab86b5e0838fd84335595f66c8b9bc6ace1e4f7e9528743026")
    );
    let ran = run_in(folder.path(), &["dep", "ls", &chart]);
    assert_eq!(ran.out, list("ok"));
    let other = LOCAL.replace(">=0", ">9");
    std::fs::write(folder.path().join("c/Chart.yaml"), other).expect("writes");
    let ran = run_in(folder.path(), &["dependency", "build", &chart]);
    assert!(
        ran.error
            .is_some_and(|e| e.starts_with("the lock file (Chart.lock) is out of sync"))
    );
    let ran = run_in(folder.path(), &["dependency", "update", &chart]);
    assert_eq!(
        ran.error.as_deref(),
        Some(
            "can't get a valid version for 1 subchart(s): \"loc\" (repository \"file://../loc\", \
             version \">9\"). Make sure a matching chart version exists in the repo, or change the \
             version constraint in Chart.yaml"
        )
    );
    assert!(folder.path().join("c/charts/loc-0.3.0.tgz").exists());
}

/// Serves files over HTTP until the test ends.
fn serve(files: Vec<(String, Vec<u8>)>) -> String {
    use std::io::{BufRead as _, BufReader};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut lines = BufReader::new(&stream).lines();
            let request = lines.next().and_then(Result::ok).unwrap_or_default();
            for line in lines {
                if line.is_ok_and(|l| l.is_empty()) {
                    break;
                }
            }
            let wanted = request.split(' ').nth(1).unwrap_or_default();
            let (status, body) = match files.iter().find(|(name, _)| name == wanted) {
                Some((_, body)) => ("200 OK", body.clone()),
                None => ("404 Not Found", Vec::new()),
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(head.as_bytes());
            let _ = stream.write_all(&body);
        }
    });
    format!("http://{address}")
}

#[test]
fn charts_come_from_repositories() {
    let folder = lay_out(&[(
        "loc/Chart.yaml",
        "apiVersion: v2\nname: loc\nversion: 0.3.0\n",
    )]);
    let ran = run_in(
        folder.path(),
        &[
            "package",
            &path(&folder, "loc"),
            "-d",
            &path(&folder, "out"),
        ],
    );
    assert_eq!(
        ran.out,
        "Successfully packaged chart and saved it to: /R/out/loc-0.3.0.tgz\n"
    );
    let archive = std::fs::read(folder.path().join("out/loc-0.3.0.tgz")).expect("an archive");
    let index = "apiVersion: v1\nentries:\n  loc:\n  - {apiVersion: v2, name: loc, version: 0.3.0, \
                 urls: [loc-0.3.0.tgz]}\n";
    let url = serve(vec![
        ("/index.yaml".to_owned(), index.as_bytes().to_vec()),
        ("/loc-0.3.0.tgz".to_owned(), archive),
    ]);
    let ran = run_in(folder.path(), &["show", "chart", "loc", "--repo", &url]);
    assert_eq!(ran.out, "apiVersion: v2\nname: loc\nversion: 0.3.0\n\n");
    let ran = run_in(folder.path(), &["show", "chart", "no", "--repo", &url]);
    let missing = format!("chart \"no\" not found in {url} repository");
    assert_eq!(ran.error.as_deref(), Some(missing.as_str()));

    std::fs::create_dir(folder.path().join("c")).expect("a folder");
    let remote = LOCAL.replace("file://../loc", &url);
    std::fs::write(folder.path().join("c/Chart.yaml"), remote).expect("writes");
    let ran = run_in(
        folder.path(),
        &["dependency", "update", &path(&folder, "c")],
    );
    assert_eq!(ran.error, None);
    assert_eq!(
        ran.out,
        format!(
            "Getting updates for unmanaged Helm repositories...\n...Successfully got an update \
             from the \"{url}\" chart repository\nSaving 1 charts\nDownloading loc from repo \
             {url}\nDeleting outdated charts\n"
        )
    );
    let names = format!("repositories:\n- {{name: r1, url: \"{url}\"}}\n");
    std::fs::write(folder.path().join("repositories.yaml"), names).expect("writes");
    let ran = run_in(folder.path(), &["show", "chart", "r1/loc"]);
    assert_eq!(ran.error, None);
    let ran = run_in(
        folder.path(),
        &["show", "chart", "r1/loc", "--version", "9"],
    );
    assert_eq!(
        ran.error.as_deref(),
        Some(
            "chart \"loc\" matching 9 not found in r1 index. (try 'helm repo update'): no chart \
             version found for loc-9"
        )
    );
}

#[test]
fn a_chart_with_missing_dependencies_is_not_packed() {
    let folder = lay_out(&[("c/Chart.yaml", LOCAL)]);
    let ran = run_in(folder.path(), &["package", &path(&folder, "c")]);
    assert_eq!(
        ran.error.as_deref(),
        Some("found in Chart.yaml, but missing in charts/ directory: loc")
    );
}

#[test]
fn archives_are_signed_and_verified() {
    let folder = lay_out(&[("c/Chart.yaml", CHART)]);
    let keys = |name: &str| {
        let data = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../crates/openpgp/src/testdata/"
        );
        format!("{data}{name}")
    };
    let (secret, public) = (keys("secret.gpg"), keys("public.gpg"));
    let (chart, out) = (path(&folder, "c"), path(&folder, "out"));
    let sign = [
        "package",
        &chart,
        "-d",
        &out,
        "--sign",
        "--keyring",
        &secret,
        "--key",
    ];
    let ran = run_in(folder.path(), &[&sign[..], &["Nobody"]].concat());
    assert_eq!(ran.error.as_deref(), Some("private key not found"));
    let ran = run_in(folder.path(), &[&sign[..], &["Helm Signer"]].concat());
    assert_eq!(ran.error, None);
    let archive = path(&folder, "out/c-0.1.0.tgz");
    let verify = ["verify", &archive, "--keyring", &public];
    let ran = run_in(folder.path(), &verify);
    assert_eq!(ran.error, None);
    assert!(
        ran.out
            .starts_with("Signed by: Helm Signer <signer@example.com>\nUsing Key With ")
    );
    let ran = run_in(
        folder.path(),
        &["show", "chart", &archive, "--verify", "--keyring", &public],
    );
    assert_eq!(ran.error, None);
    let mut bytes = std::fs::read(&archive).expect("an archive");
    bytes.push(0);
    std::fs::write(&archive, bytes).expect("writes");
    let ran = run_in(folder.path(), &verify);
    assert!(
        ran.error
            .is_some_and(|e| e.starts_with("sha256 sum does not match for c-0.1.0.tgz: "))
    );
}
