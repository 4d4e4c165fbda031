//! Repositories to measure with.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::ensure;

/// A repository with `units` Kustomizations of one folder, each with objects of its own.
pub struct Fleet {
    folder: PathBuf,
    units: u32,
}

impl Fleet {
    /// Writes and commits it.
    ///
    /// # Errors
    /// It cannot be written, or there is no git.
    pub fn create(folder: &Path, units: u32) -> anyhow::Result<Self> {
        let fleet = Self {
            folder: folder.to_owned(),
            units,
        };
        std::fs::create_dir_all(folder.join("cluster"))?;
        std::fs::create_dir_all(folder.join("app"))?;
        fleet.git(&["init", "--quiet", "--initial-branch", "main"])?;
        std::fs::write(folder.join("cluster/fleet.yaml"), fleet.cluster())?;
        fleet.commit(1)?;
        Ok(fleet)
    }

    /// The folder with the work tree.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Changes every object in one commit; returns the commit's hash.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn commit(&self, version: u32) -> anyhow::Result<String> {
        std::fs::write(self.folder.join("app/app.yaml"), unit(version))?;
        self.git(&["add", "--all"])?;
        let message = format!("version {version}");
        self.git(&[
            "-c",
            "user.name=bench",
            "-c",
            "user.email=bench@example.test",
            "commit",
            "--quiet",
            "--message",
            &message,
        ])?;
        self.git(&["rev-parse", "HEAD"])
    }

    fn git(&self, words: &[&str]) -> anyhow::Result<String> {
        let output = Command::new("git")
            .arg("-C")
            .arg(&self.folder)
            .args(words)
            .output()?;
        ensure!(
            output.status.success(),
            "git {}: {}",
            words.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    fn cluster(&self) -> String {
        let mut text = String::from(
            "apiVersion: v1\nkind: Namespace\nmetadata: {name: apps}\n---\n\
             apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: reconciler, namespace: apps}\n---\n\
             apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\n\
             metadata: {name: reconciler}\n\
             roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}\n\
             subjects: [{kind: ServiceAccount, name: reconciler, namespace: apps}]\n",
        );
        for unit in 0..self.units {
            let _ = write!(
                text,
                "---\napiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\n\
                 metadata: {{name: unit-{unit}, namespace: apps}}\n\
                 spec:\n  interval: 1h\n  path: ./app\n  prune: true\n  wait: true\n  timeout: 5m\n  \
                 serviceAccountName: reconciler\n  targetNamespace: apps\n  \
                 sourceRef: {{kind: GitRepository, name: flux-system, namespace: flux-system}}\n  \
                 postBuild: {{substitute: {{NAME: unit-{unit}, TEAM: team-{}, CPU: \"{}\"}}}}\n",
                unit % 7,
                unit % 4 + 1,
            );
        }
        text
    }
}

/// Four objects of a Kustomization.
fn unit(version: u32) -> String {
    format!(
        "apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: \"${{NAME}}\"}}\n---\n\
         apiVersion: v1\nkind: Service\nmetadata: {{name: \"${{NAME}}\", annotations: {{version: \"{version}\"}}}}\n\
         spec: {{clusterIP: None, selector: {{app: \"${{NAME}}\"}}, ports: [{{name: http, port: 80, targetPort: http}}]}}\n---\n\
         apiVersion: networking.k8s.io/v1\nkind: Ingress\n\
         metadata: {{name: \"${{NAME}}\", annotations: {{version: \"{version}\"}}}}\n\
         spec:\n  rules:\n  - host: \"${{NAME}}.example.test\"\n    http:\n      paths:\n      - path: /\n        \
         pathType: Prefix\n        backend: {{service: {{name: \"${{NAME}}\", port: {{number: 80}}}}}}\n---\n\
         apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: \"${{NAME}}\", labels: {{version: \"{version}\"}}}}\n\
         spec:\n  replicas: 0\n  selector: {{matchLabels: {{app: \"${{NAME}}\"}}}}\n  template:\n    \
         metadata: {{labels: {{app: \"${{NAME}}\"}}}}\n    spec:\n      serviceAccountName: \"${{NAME}}\"\n      \
         containers:\n      - name: app\n        image: \"registry.example.test/app:{version}\"\n        \
         env: [{{name: TEAM, value: \"${{TEAM}}\"}}, {{name: CPU, value: \"cpu-${{CPU:=1}}\"}}]\n"
    )
}
