//! Repositories made with the real `git`, and servers for them.

pub mod http;
pub mod ssh;

use std::path::{Path, PathBuf};
use std::process::Command;

/// A bare repository `app.git` below a temporary folder, and a work tree that pushes to it.
pub struct Fixture {
    pub dir: tempfile::TempDir,
    commits: std::cell::Cell<u32>,
}

impl Fixture {
    /// Makes an empty repository with the branch `main`.
    pub fn new() -> Fixture {
        let fixture = Fixture {
            dir: tempfile::tempdir().unwrap(),
            commits: std::cell::Cell::new(0),
        };
        fixture.add("app");
        fixture
    }

    /// The folder with all bare repositories.
    pub fn root(&self) -> PathBuf {
        self.dir.path().join("git")
    }

    /// A work tree.
    pub fn work(&self, name: &str) -> PathBuf {
        self.dir.path().join("work").join(name)
    }

    /// Makes another repository.
    pub fn add(&self, name: &str) {
        let bare = self.root().join(format!("{name}.git"));
        std::fs::create_dir_all(&bare).unwrap();
        run(&bare, &["init", "-q", "--bare", "-b", "main", "."]);
        run(&bare, &["config", "http.receivepack", "true"]);
        let work = self.work(name);
        std::fs::create_dir_all(&work).unwrap();
        run(&work, &["init", "-q", "-b", "main", "."]);
        run(&work, &["remote", "add", "origin", bare.to_str().unwrap()]);
    }

    /// Writes files, commits and pushes to a branch, and returns the commit's hash. Times are fixed
    /// and rise by one second a commit.
    pub fn commit(&self, repo: &str, branch: &str, files: &[(&str, &str)]) -> String {
        let work = self.work(repo);
        let current = run(&work, &["symbolic-ref", "--short", "HEAD"]);
        if current != branch {
            run(&work, &["checkout", "-q", "-b", branch]);
        }
        for (path, text) in files {
            let file = work.join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, text).unwrap();
        }
        run(&work, &["add", "-A"]);
        let n = self.commits.get() + 1;
        self.commits.set(n);
        run_at(
            &work,
            n,
            &[
                "commit",
                "-q",
                "--allow-empty",
                "-m",
                &format!("commit {n}"),
            ],
        );
        run(&work, &["push", "-q", "origin", branch]);
        run(&work, &["rev-parse", "HEAD"])
    }

    /// Runs git in a work tree.
    pub fn git(&self, repo: &str, args: &[&str]) -> String {
        run(&self.work(repo), args)
    }
}

/// Runs git in a folder, without anybody's configuration, and returns what it prints.
pub fn run(dir: &Path, args: &[&str]) -> String {
    run_at(dir, 0, args)
}

fn run_at(dir: &Path, second: u32, args: &[&str]) -> String {
    let date = format!("2026-01-01T00:00:{second:02}Z");
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
        .env("GIT_AUTHOR_DATE", &date)
        .env("GIT_COMMITTER_DATE", &date)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "git {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
