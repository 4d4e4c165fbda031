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
fn an_output_folder_holds_a_file_per_template_and_each_manifest_is_told_of() {
    let folder = lay_out(&[
        ("c/Chart.yaml", CHART),
        (
            "c/templates/a.yaml",
            "kind: A\nmetadata: {name: one}\n---\nkind: A\nmetadata: {name: two}\n",
        ),
    ]);
    let (chart, to) = (path(&folder, "c"), path(&folder, "out"));
    let ran = run_in(
        folder.path(),
        &["template", "r", &chart, "--output-dir", &to],
    );
    assert_eq!(ran.error, None);
    let wrote = "wrote /R/out/c/templates/a.yaml\n";
    assert_eq!(ran.out, format!("{wrote}{wrote}\n"));
    let written = std::fs::read_to_string(folder.path().join("out/c/templates/a.yaml"));
    assert_eq!(
        written.expect("a file"),
        "---\n# Source: c/templates/a.yaml\nkind: A\nmetadata: {name: one}\n---\n# Source: \
         c/templates/a.yaml\nkind: A\nmetadata: {name: two}\n\n"
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
    serve_to("", files)
}

/// Serves files to who brings a token, which is to be had at `/token`; to all
/// when the token is empty.
fn serve_to(token: &'static str, files: Vec<(String, Vec<u8>)>) -> String {
    use std::io::{BufRead as _, BufReader};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut lines = BufReader::new(&stream).lines();
            let request = lines.next().and_then(Result::ok).unwrap_or_default();
            let headers: Vec<String> = lines
                .map_while(Result::ok)
                .take_while(|line| !line.is_empty())
                .collect();
            let known = format!("authorization: bearer {token}");
            let is_known = headers.iter().any(|h| h.eq_ignore_ascii_case(&known));
            let wanted = request.split(' ').nth(1).unwrap_or_default();
            let mut more = String::new();
            let (status, body) = if wanted.starts_with("/token?") {
                // User `u` with the password `w`.
                match headers.iter().any(|h| h.ends_with(" Basic dTp3")) {
                    true => ("200 OK", format!("{{\"token\":{token:?}}}").into_bytes()),
                    false => ("401 Unauthorized", Vec::new()),
                }
            } else if !token.is_empty() && !is_known {
                more = format!(
                    "WWW-Authenticate: Bearer realm=\"http://{address}/token\",service=\"s\"\r\n"
                );
                ("401 Unauthorized", Vec::new())
            } else {
                match files.iter().find(|(name, _)| name == wanted) {
                    Some((_, body)) => ("200 OK", body.clone()),
                    None => ("404 Not Found", Vec::new()),
                }
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\n{more}Connection: close\r\n\r\n",
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

/// What a registry holds that has one chart, `a/loc` 0.3.0.
fn registry(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let digest = format!("sha256:{}", sluice_helm::package::sha256(archive));
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "config": {"mediaType": "application/vnd.cncf.helm.config.v1+json"},
        "layers": [{
            "mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
            "digest": digest,
        }],
    });
    let tags = serde_json::json!({"tags": ["latest", "0.3.0", "0.2.0", "1.0.0-rc.1", "0.3.0_b"]});
    let lying = manifest
        .to_string()
        .replace(&digest, &format!("sha256:{}", "a".repeat(64)));
    let file = |name: &str, body: &[u8]| (format!("/v2/a/loc/{name}"), body.to_vec());
    vec![
        file("tags/list", tags.to_string().as_bytes()),
        file("manifests/0.3.0", manifest.to_string().as_bytes()),
        file("manifests/0.2.0", lying.as_bytes()),
        file("manifests/0.1.0", b"{}"),
        file(&format!("blobs/{digest}"), archive),
        file(&format!("blobs/sha256:{}", "a".repeat(64)), archive),
    ]
}

#[test]
fn charts_come_from_registries() {
    let folder = lay_out(&[(
        "loc/Chart.yaml",
        "apiVersion: v2\nname: loc\nversion: 0.3.0\n",
    )]);
    let loc = path(&folder, "loc");
    run_in(folder.path(), &["package", &loc, "-d", &path(&folder, "")]);
    let archive = std::fs::read(folder.path().join("loc-0.3.0.tgz")).expect("an archive");
    let open = serve(registry(&archive)).replace("http://", "oci://") + "/a/loc";
    let host = open.trim_start_matches("oci://").to_owned();
    let show = |reference: &str, more: &[&str]| {
        let arguments = [&["show", "chart", reference, "--plain-http"], more].concat();
        let ran = run_in(folder.path(), &arguments);
        match ran.error {
            Some(error) => error,
            None => ran.out.lines().next().unwrap_or_default().to_owned(),
        }
    };
    let pulled = format!("Pulled: {host}:0.3.0");
    for more in [&[][..], &["--version", "0.3.0"], &["--version", "^0.3"]] {
        assert_eq!(show(&open, more), pulled, "{more:?}");
    }
    let fetching = "failed to perform \"FetchReference\" on source";
    assert_eq!(
        show(&open, &["--version", "9.9.9"]),
        format!("{fetching}: {host}:9.9.9: not found")
    );
    assert_eq!(
        show(&open, &["--version", "^9"]),
        "could not locate a version matching provided version string ^9"
    );
    assert_eq!(
        show(&format!("{open}:0.3.0"), &["--version", "1"]),
        "chart reference and version mismatch: 1 is not 0.3.0"
    );
    assert!(show(&open, &["--version", "0.2.0"]).contains("is not what its digest"));
    assert!(show(&open, &["--version", "0.1.0"]).contains("is no chart"));

    let closed = serve_to("T0", registry(&archive)).replace("http://", "oci://") + "/a/loc";
    assert!(show(&closed, &[]).contains("response status code 401"));
    let named = show(&closed, &["--username", "u", "--password", "w"]);
    assert!(named.starts_with("Pulled: "), "{named}");
    let host = closed.split('/').nth(2).expect("a host");
    let saved = format!("{{\"auths\": {{{host:?}: {{\"auth\": \"dTp3\"}}}}}}");
    std::fs::write(folder.path().join("auth.json"), saved).expect("writes");
    let named = show(&closed, &["--registry-config", &path(&folder, "auth.json")]);
    assert!(named.starts_with("Pulled: "), "{named}");

    std::fs::create_dir(folder.path().join("c")).expect("a folder");
    let repository = open.trim_end_matches("/loc");
    let remote = LOCAL.replace("file://../loc", repository);
    std::fs::write(folder.path().join("c/Chart.yaml"), remote).expect("writes");
    let chart = path(&folder, "c");
    let ran = run_in(
        folder.path(),
        &["dependency", "update", &chart, "--plain-http"],
    );
    assert_eq!(ran.error, None);
    let told = format!("Saving 1 charts\nDownloading loc from repo {repository}\n{pulled}\n");
    assert!(ran.out.starts_with(&told), "{}", ran.out);
    assert!(folder.path().join("c/charts/loc-0.3.0.tgz").exists());
}

#[test]
fn updated_dependencies_may_have_other_names() {
    let folder = lay_out(&[
        ("c/Chart.yaml", &LOCAL.replace("name: loc", "name: other")),
        ("c/templates/a.yaml", "kind: A\n"),
        (
            "loc/Chart.yaml",
            "apiVersion: v2\nname: loc\nversion: 0.3.0\n",
        ),
    ]);
    let chart = path(&folder, "c");
    let ran = run_in(folder.path(), &["template", "r", &chart]);
    assert!(
        ran.error
            .is_some_and(|e| e.ends_with("in charts/ directory: other"))
    );
    let ran = run_in(
        folder.path(),
        &["template", "r", &chart, "--dependency-update"],
    );
    assert_eq!(ran.error, None);
    assert!(
        ran.out
            .ends_with("---\n# Source: c/templates/a.yaml\nkind: A\n")
    );
}

#[test]
fn post_renderers_are_plugins_that_are_not_there() {
    let folder = lay_out(&[("c/Chart.yaml", CHART)]);
    let chart = path(&folder, "c");
    let ran = run_in(
        folder.path(),
        &["template", "r", &chart, "--post-renderer", "p"],
    );
    assert_eq!(
        ran.error.as_deref(),
        Some(
            "invalid argument \"p\" for \"--post-renderer\" flag: plugin: {Name:p \
             Type:postrenderer/v1} not found"
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
