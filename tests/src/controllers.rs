//! The two controllers, in this process or as processes of their own, with the same flags.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use clap::Parser as _;
use kube::Config;
use source_controller::LocalRepositories;
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

/// One of the controllers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// source-controller.
    Source,
    /// kustomize-controller.
    Kustomize,
}

impl Which {
    /// The name of its binary, which is also its user agent.
    pub fn name(self) -> &'static str {
        match self {
            Self::Source => "source-controller",
            Self::Kustomize => "kustomize-controller",
        }
    }
}

/// Where the controllers keep what is theirs.
#[derive(Debug, Clone)]
pub struct Ground {
    folder: PathBuf,
    port: u16,
}

impl Ground {
    /// A place for both below `folder`; they share no other folder.
    ///
    /// # Errors
    /// The folder cannot be written, or there is no free port.
    pub fn new(folder: &Path) -> anyhow::Result<Self> {
        for name in ["source-controller/storage", "kustomize-controller"] {
            std::fs::create_dir_all(folder.join(name))?;
        }
        Ok(Self {
            folder: folder.to_owned(),
            port: same_port(&folder.join("port"))?,
        })
    }

    /// The folder of source-controller's artifacts.
    pub fn storage(&self) -> PathBuf {
        self.folder.join("source-controller/storage")
    }

    /// The flags of a controller.
    pub fn flags(&self, which: Which) -> Vec<String> {
        let mut flags: Vec<String> = ["--metrics-addr=0", "--health-addr=0", "--log-level=info"]
            .map(str::to_owned)
            .into();
        match which {
            Which::Source => {
                let storage = self.storage();
                flags.push(format!("--storage-path={}", storage.display()));
                flags.push(format!("--storage-addr=127.0.0.1:{}", self.port));
                flags.push("--concurrent=10".to_owned());
            }
            Which::Kustomize => {
                flags.push("--concurrent=20".to_owned());
                flags.push("--http-retry=2".to_owned());
            }
        }
        flags
    }
}

/// A free port, the same each time: the address of the artifacts outlives restarts, as a Service's does.
fn same_port(memory: &Path) -> anyhow::Result<u16> {
    if let Ok(text) = std::fs::read_to_string(memory) {
        return Ok(text.parse()?);
    }
    let free = std::net::TcpListener::bind("127.0.0.1:0")?;
    let port = free.local_addr()?.port();
    std::fs::write(memory, port.to_string())?;
    Ok(port)
}

/// Both controllers in this process.
pub struct Controllers {
    stop: CancellationToken,
    tasks: Vec<tokio::task::JoinHandle<anyhow::Result<()>>>,
}

impl Controllers {
    /// Starts them; `local` are the repositories that are read from the disk.
    ///
    /// # Errors
    /// A flag is wrong.
    pub fn start(
        ground: &Ground,
        config: &Config,
        local: LocalRepositories,
    ) -> anyhow::Result<Self> {
        let stop = CancellationToken::new();
        let arguments = |which: Which| {
            let program = std::iter::once(which.name().to_owned());
            program.chain(ground.flags(which))
        };
        let source = source_controller::SourceArgs::try_parse_from(arguments(Which::Source))?;
        let options = source_controller::Options {
            git_cache: ground.folder.join("source-controller/git"),
            local,
        };
        let kustomize = kustomize_controller::Args::try_parse_from(arguments(Which::Kustomize))?;
        let tasks = vec![
            tokio::spawn(source_controller::run(
                source,
                config.clone(),
                stop.clone(),
                options,
            )),
            tokio::spawn(kustomize_controller::run(
                kustomize,
                config.clone(),
                stop.clone(),
            )),
        ];
        Ok(Self { stop, tasks })
    }

    /// Stops them gracefully.
    ///
    /// # Errors
    /// One of them failed.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        for task in self.tasks {
            task.await??;
        }
        Ok(())
    }
}

/// The programs to start as processes.
#[derive(Debug, Clone)]
pub struct Programs {
    own: PathBuf,
    source: Option<PathBuf>,
    kustomize: Option<PathBuf>,
}

impl Programs {
    /// `own` is this package's program, which becomes either controller by its first argument. A binary that
    /// `SLUICE_TEST_SOURCE_CONTROLLER` or `SLUICE_TEST_KUSTOMIZE_CONTROLLER` names takes its place: another
    /// build, or the half of another toolkit that speaks the same API.
    pub fn choose(own: &str) -> Self {
        let named = |variable| std::env::var_os(variable).map(PathBuf::from);
        Self {
            own: own.into(),
            source: named("SLUICE_TEST_SOURCE_CONTROLLER"),
            kustomize: named("SLUICE_TEST_KUSTOMIZE_CONTROLLER"),
        }
    }

    /// Whether a controller is not the one that this package was built with.
    pub fn is_foreign(&self, which: Which) -> bool {
        self.binary(which).is_some()
    }

    fn binary(&self, which: Which) -> Option<&Path> {
        match which {
            Which::Source => self.source.as_deref(),
            Which::Kustomize => self.kustomize.as_deref(),
        }
    }

    fn command(&self, which: Which) -> Command {
        match self.binary(which) {
            Some(binary) => Command::new(binary),
            None => {
                let mut command = Command::new(&self.own);
                command.arg(which.name());
                command
            }
        }
    }
}

/// A controller as a process of its own. Dropping it kills it.
pub struct Process {
    /// Which one it is.
    pub which: Which,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it in a folder of its own, with nothing but its flags and a kubeconfig.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start(
        programs: &Programs,
        which: Which,
        ground: &Ground,
        kubeconfig: &Path,
    ) -> anyhow::Result<Self> {
        let folder = ground.folder.join(which.name());
        let temporary = folder.join("tmp");
        std::fs::create_dir_all(&temporary)?;
        let log = folder.join("log");
        let out = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&log)?;
        let mut command = programs.command(which);
        if programs.is_foreign(which) && which == Which::Kustomize {
            // Flux's looks for its dependencies this often; ours is woken.
            command.arg("--requeue-dependency=1s");
        }
        let child = command
            .args(ground.flags(which))
            .current_dir(&folder)
            .env("KUBECONFIG", kubeconfig)
            .env("TMPDIR", &temporary)
            .env("HOME", &folder)
            .env("RUNTIME_NAMESPACE", "flux-system")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(out)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", which.name()))?;
        Ok(Self { which, child, log })
    }

    /// Ends it without a chance to do anything more: `kill -9`.
    ///
    /// # Errors
    /// It had ended by itself: the end of its log.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        self.is_alive()?;
        self.child.kill().await?;
        Ok(())
    }

    /// Stops it gracefully.
    ///
    /// # Errors
    /// It had ended by itself or ends with an error: the end of its log.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.is_alive()?;
        let id = self.child.id().context("a process id")?;
        let asked = Command::new("sh")
            .args(["-c", &format!("kill {id}")])
            .status()
            .await?;
        ensure!(asked.success(), "cannot signal {}", self.which.name());
        let ended = self.child.wait().await?;
        ensure!(ended.success(), "{ended}: {}", self.last_words());
        Ok(())
    }

    /// # Errors
    /// It has ended: the end of its log.
    pub fn is_alive(&mut self) -> anyhow::Result<()> {
        if let Some(ended) = self.child.try_wait()? {
            let name = self.which.name();
            anyhow::bail!("{name} ended with {ended}: {}", self.last_words());
        }
        Ok(())
    }

    /// The end of its log.
    pub fn last_words(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }

    /// Its process id.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }
}
