//! `cargo xtask kubectl`: has the conversations of `tests/kubectl/` with kubectl and a server, and compares
//! what kubectl prints with what it printed when the real control plane answered.
//!
//! Each file is a transcript (see [`transcript`]) that starts in a namespace of its own, named as the file,
//! beside a copy of `tests/kubectl/inputs/`.

mod mask;
mod transcript;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use transcript::{Mode, Outcome, Transcript};

/// With whom, and about what.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A real control plane; without it, the embedded server
    #[arg(long)]
    kubeconfig: Option<PathBuf>,
    /// Only the conversations whose name contains this
    #[arg(long, default_value = "")]
    only: String,
    /// Records what the real control plane does instead of comparing
    #[arg(long, requires = "kubeconfig")]
    update: bool,
    /// Leaves the namespaces of the conversations alone afterwards
    #[arg(long)]
    keep: bool,
}

/// Where the conversations are, from the root of the repository.
const FOLDER: &str = "tests/kubectl";

/// How long a preparation may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Has the conversations.
///
/// # Errors
/// One differs, or cannot be had.
pub fn run(args: &Args) -> anyhow::Result<()> {
    match &args.kubeconfig {
        Some(kubeconfig) => converse(args, kubeconfig),
        None => {
            let server = Embedded::start()?;
            converse(args, &server.kubeconfig())
        }
    }
}

/// The end-to-end suite: the embedded server, and the real one that has to say the same still.
///
/// # Errors
/// As [`run`].
pub fn both(kubeconfig: &Path) -> anyhow::Result<()> {
    let with = |kubeconfig: Option<&Path>| {
        run(&Args {
            kubeconfig: kubeconfig.map(Path::to_owned),
            only: String::new(),
            update: false,
            keep: false,
        })
    };
    let embedded = with(None).context("the embedded server");
    let real = with(Some(kubeconfig)).context("the real control plane");
    real.and(embedded)
}

/// The embedded server as a process of its own; it ends when this is dropped.
struct Embedded {
    process: Child,
    state: tempfile::TempDir,
}

impl Embedded {
    fn start() -> anyhow::Result<Self> {
        let root = crate::root();
        let package = ["--package", "sluice-apiserver", "--example", "serve"];
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet"])
            .args(package)
            .current_dir(&root)
            .status()?;
        ensure!(built.success(), "the embedded server does not build");
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        let state = tempfile::tempdir()?;
        let mut process = Command::new(target.join("debug/examples/serve"))
            .arg(state.path())
            .stderr(Stdio::piped())
            .spawn()
            .context("the embedded server cannot be run")?;
        let stderr = process.stderr.take().context("no standard error")?;
        let server = Self { process, state };
        let mut lines = BufReader::new(stderr).lines();
        let ready = lines.by_ref().map_while(Result::ok);
        ensure!(
            ready.into_iter().any(|line| line.contains("listening on")),
            "the embedded server does not start"
        );
        // Its complaints are ours.
        std::thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .for_each(|line| eprintln!("{line}"))
        });
        Ok(server)
    }

    fn kubeconfig(&self) -> PathBuf {
        self.state.path().join("kubeconfig")
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn converse(args: &Args, kubeconfig: &Path) -> anyhow::Result<()> {
    let folder = crate::root().join(FOLDER);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .with_context(|| format!("reading `{}`", folder.display()))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    let shell = Shell::new(kubeconfig, &folder.join("inputs"))?;
    let (mut count, mut different) = (0, 0);
    for path in files {
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if !name.contains(&args.only) {
            continue;
        }
        let began = Instant::now();
        let text = fs::read_to_string(&path)?;
        let mut transcript =
            Transcript::parse(&text).with_context(|| format!("reading `{}`", path.display()))?;
        let found = conversation(&shell, &name, &mut transcript, args)
            .with_context(|| path.display().to_string())?;
        if args.update {
            fs::write(&path, transcript.write())?;
        }
        count += transcript.steps.len();
        different += found;
        println!(
            "{name}: {} commands, {found} different, {:.1} s",
            transcript.steps.len(),
            began.elapsed().as_secs_f32()
        );
    }
    println!("{count} commands, {different} different");
    ensure!(count > 0, "there is no conversation `{}`", args.only);
    ensure!(
        different == 0 || args.update,
        "{different} commands of kubectl print something else"
    );
    Ok(())
}

/// Has one conversation; returns how many commands did something else, of which the transcript has the new
/// outcome then.
fn conversation(
    shell: &Shell,
    name: &str,
    transcript: &mut Transcript,
    args: &Args,
) -> anyhow::Result<usize> {
    let quiet = |command: &str| shell.until_it_succeeds(command, PATIENCE);
    quiet(&format!(
        "kubectl create namespace {name} -o name && kubectl config set-context --current --namespace={name}"
    ))?;
    quiet(&format!("kubectl get serviceaccount default -n {name}"))?;
    let mut different = 0;
    for step in &mut transcript.steps {
        match step.mode {
            Mode::Prepare => {
                if let Err(error) = quiet(&step.command) {
                    different += 1;
                    println!("{name}.txt:{}: {error:#}", step.line);
                }
            }
            Mode::Show => {
                let outcome = shell.run(&step.command)?;
                let outcome = Outcome {
                    out: mask::mask(&outcome.out),
                    err: mask::mask(&outcome.err),
                    code: outcome.code,
                };
                if outcome != step.outcome {
                    different += 1;
                    if !args.update {
                        println!("{name}.txt:{}: {}", step.line, step.command);
                        let (old, new) = (step.outcome.lines(), outcome.lines());
                        let diff = similar::TextDiff::from_lines(&old, &new);
                        print!("{}", diff.unified_diff().context_radius(2));
                    }
                    step.outcome = outcome;
                }
            }
        }
    }
    if !args.keep {
        quiet(&format!(
            "kubectl delete namespace {name} --wait=false --ignore-not-found"
        ))?;
    }
    Ok(different)
}

/// Where commands run: a folder with the inputs, and kubectl and a kubeconfig of its own.
struct Shell {
    folder: tempfile::TempDir,
    path: std::ffi::OsString,
}

impl Shell {
    fn new(kubeconfig: &Path, inputs: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let programs = folder.path().join("bin");
        let work = folder.path().join("work");
        fs::create_dir_all(&programs)?;
        fs::create_dir_all(&work)?;
        let kubectl = which(&crate::goldens::kubectl()?)?;
        std::os::unix::fs::symlink(kubectl, programs.join("kubectl"))?;
        fs::copy(kubeconfig, folder.path().join("kubeconfig"))
            .with_context(|| format!("reading `{}`", kubeconfig.display()))?;
        for entry in fs::read_dir(inputs)? {
            let entry = entry?;
            fs::copy(entry.path(), work.join(entry.file_name()))?;
        }
        let mut path = programs.into_os_string();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        Ok(Self { folder, path })
    }

    fn run(&self, command: &str) -> anyhow::Result<Outcome> {
        let output = Command::new("timeout")
            .args(["60", "sh", "-c", command])
            .current_dir(self.folder.path().join("work"))
            .env("PATH", &self.path)
            .env("HOME", self.folder.path())
            .env("KUBECONFIG", self.folder.path().join("kubeconfig"))
            .env("TZ", "UTC")
            .env("LC_ALL", "C")
            .env_remove("KUBE_EDITOR")
            .env_remove("EDITOR")
            .env_remove("KUBECTL_EXTERNAL_DIFF")
            .stdin(Stdio::null())
            .output()
            .context("running `timeout`")?;
        Ok(Outcome {
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code().unwrap_or(-1),
        })
    }

    fn until_it_succeeds(&self, command: &str, patience: Duration) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            let outcome = self.run(command)?;
            if outcome.code == 0 {
                return Ok(());
            }
            if began.elapsed() > patience {
                bail!("`{command}` never succeeds: {}{}", outcome.out, outcome.err);
            }
            // sleeps because: a cluster that only answers questions is asked
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// A program as an absolute path.
fn which(program: &Path) -> anyhow::Result<PathBuf> {
    if program.components().count() > 1 {
        return Ok(program.canonicalize()?);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|path| path.exists())
        .with_context(|| format!("there is no `{}`", program.display()))
}
