//! `sluice kustomize build` beside `kubectl kustomize`: the same overlays, process against process, in turns.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

/// Arguments of `cargo xtask bench kustomize`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How often each figure is taken
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Objects of the overlays that are built beside kubectl, which takes minutes for thousands
    #[arg(long, value_delimiter = ',', default_value = "1,100,1000,4000")]
    compared: Vec<usize>,
}

/// Objects of the overlays by which the growth is told.
const GROWTH: [usize; 5] = [500, 1000, 2000, 4000, 8000];
/// Builds at once, and the objects of each.
const AT_ONCE: (usize, usize) = (20, 1000);

/// Runs and prints the tables.
///
/// # Errors
/// A build fails, or the two do not print the same.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let sluice = super::binary("sluice")?;
    let kubectl = crate::goldens::kubectl()?;
    let folder = tempfile::tempdir()?;
    growth(&sluice, folder.path(), args.runs)?;
    at_once(&sluice, folder.path(), args.runs)?;
    println!(
        "| objects | kubectl | sluice | times faster | kubectl MiB | sluice MiB | share |\n|---|---|---|---|---|---|---|"
    );
    for &objects in &args.compared {
        let overlay = overlay(folder.path(), objects)?;
        compare(&kubectl, &sluice, &overlay, objects, args.runs)?;
    }
    Ok(())
}

fn command(program: &Path, overlay: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg("kustomize");
    if program.ends_with("sluice") {
        command.arg("build");
    }
    command
        .arg(overlay)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn compare(
    kubectl: &Path,
    sluice: &Path,
    overlay: &Path,
    objects: usize,
    runs: usize,
) -> anyhow::Result<()> {
    let print = |program: &Path| -> anyhow::Result<Vec<u8>> {
        let output = command(program, overlay).stdout(Stdio::piped()).output()?;
        ensure!(output.status.success(), "`{}` fails", program.display());
        Ok(output.stdout)
    };
    ensure!(
        print(kubectl)? == print(sluice)?,
        "{objects} objects are not printed the same"
    );
    // A small build takes less than the noise of one run.
    let runs = if objects < 100 { runs * 10 } else { runs };
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        theirs.push(seconds(command(kubectl, overlay))?);
        ours.push(seconds(command(sluice, overlay))?);
    }
    let (their_time, our_time) = (median(&mut theirs), median(&mut ours));
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        theirs.push(peak(command(kubectl, overlay))?);
        ours.push(peak(command(sluice, overlay))?);
    }
    let (their_peak, our_peak) = (median(&mut theirs), median(&mut ours));
    println!(
        "| {objects} | {:.1} ms | {:.1} ms | {:.1} | {their_peak:.1} | {our_peak:.1} | 1/{:.1} |",
        their_time * 1e3,
        our_time * 1e3,
        their_time / our_time,
        their_peak / our_peak
    );
    Ok(())
}

/// How the time grows with the objects: the slope of a line through the logarithms.
fn growth(sluice: &Path, folder: &Path, runs: usize) -> anyhow::Result<()> {
    let mut points = Vec::new();
    for objects in GROWTH {
        let overlay = overlay(folder, objects)?;
        let mut times = Vec::new();
        for _ in 0..runs {
            times.push(seconds(command(sluice, &overlay))?);
        }
        let time = median(&mut times);
        println!("\n{objects} objects: {:.1} ms", time * 1e3);
        points.push(((objects as f64).ln(), time.ln()));
    }
    let count = points.len() as f64;
    let mean = |pick: fn(&(f64, f64)) -> f64| points.iter().map(pick).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let above: f64 = points
        .iter()
        .map(|point| (point.0 - x) * (point.1 - y))
        .sum();
    let below: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    println!("\nexponent of growth: {:.2}", above / below);
    Ok(())
}

/// Many builds at once, on one core and on two.
fn at_once(sluice: &Path, folder: &Path, runs: usize) -> anyhow::Result<()> {
    let (builds, objects) = AT_ONCE;
    let overlay = overlay(folder, objects)?;
    let together = |cores: &str| -> anyhow::Result<f64> {
        let started = Instant::now();
        let mut children: Vec<Child> = Vec::new();
        for _ in 0..builds {
            let build = command(sluice, &overlay);
            let mut pinned = Command::new("taskset");
            pinned
                .args(["-c", cores])
                .arg(build.get_program())
                .args(build.get_args())
                .stdin(Stdio::null())
                .stdout(Stdio::null());
            children.push(pinned.spawn().context("running `taskset` of util-linux")?);
        }
        for mut child in children {
            ensure!(child.wait()?.success(), "a build fails");
        }
        Ok(started.elapsed().as_secs_f64())
    };
    let (mut one, mut two) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        one.push(together("0")?);
        two.push(together("0,1")?);
    }
    let (one, two) = (median(&mut one), median(&mut two));
    println!(
        "\n{builds} builds of {objects} objects at once: {:.0} ms on one core, {:.0} ms on two, {:.2} times faster",
        one * 1e3,
        two * 1e3,
        one / two
    );
    Ok(())
}

fn seconds(mut command: Command) -> anyhow::Result<f64> {
    let started = Instant::now();
    let status = command.status()?;
    let elapsed = started.elapsed();
    ensure!(status.success(), "{command:?} fails");
    Ok(elapsed.as_secs_f64())
}

/// Peak of the resident memory in MiB, read until the process is gone.
fn peak(mut command: Command) -> anyhow::Result<f64> {
    let mut child = command.spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let mut peak: f64 = 0.0;
    let ended = loop {
        if let Ok(text) = fs::read_to_string(&status) {
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<f64>().ok());
            peak = kib.map_or(peak, |kib| peak.max(kib / 1024.0));
        }
        if let Some(ended) = child.try_wait()? {
            break ended;
        }
        std::thread::park_timeout(Duration::from_micros(100));
    };
    ensure!(ended.success(), "{command:?} fails");
    Ok(peak)
}

fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// An overlay of so many objects that uses everything: prefix, namespace, labels, annotations, images, replicas,
/// patches of both sorts, generators and references to what they make.
fn overlay(folder: &Path, objects: usize) -> anyhow::Result<PathBuf> {
    let folder = folder.join(objects.to_string());
    let (base, overlay) = (folder.join("base"), folder.join("overlay"));
    if overlay.exists() {
        return Ok(overlay);
    }
    fs::create_dir_all(&base)?;
    fs::create_dir_all(&overlay)?;
    let generated = objects / 50;
    let mut list = String::from("resources:\n");
    for number in 0..objects - generated {
        let text = object(number, generated);
        let file = format!("{number}.yaml");
        fs::write(base.join(&file), text)?;
        let _ = writeln!(list, "- {file}");
    }
    if generated > 0 {
        list.push_str("configMapGenerator:\n");
        for number in 0..generated {
            let _ = writeln!(
                list,
                "- name: conf-{number}\n  literals: [KEY={number}, OTHER=value]"
            );
        }
    }
    fs::write(base.join("kustomization.yaml"), list)?;
    fs::write(overlay.join("kustomization.yaml"), kustomization(objects))?;
    Ok(overlay)
}

/// The objects by turns: a Deployment, its Service, its account, its Ingress, and settings.
fn object(number: usize, generated: usize) -> String {
    let app = number / 5;
    let settings = match generated {
        0 => String::new(),
        count => format!(
            "        envFrom:\n        - configMapRef: {{name: conf-{}}}\n",
            app % count
        ),
    };
    match number % 5 {
        0 => format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: app-{app}\n  labels: {{app: app-{app}}}\nspec:\n  replicas: 1\n  selector:\n    matchLabels: {{app: app-{app}}}\n  template:\n    metadata:\n      labels: {{app: app-{app}}}\n    spec:\n      serviceAccountName: app-{app}\n      containers:\n      - name: main\n        image: registry.example.com/team/app:1.0\n        args: [--listen=:8080, --name=app-{app}]\n        ports:\n        - containerPort: 8080\n          name: http\n        env:\n        - name: LEVEL\n          value: info\n{settings}        resources:\n          requests: {{cpu: 100m, memory: 64Mi}}\n          limits: {{memory: 128Mi}}\n        livenessProbe:\n          httpGet: {{path: /healthz, port: http}}\n      - name: proxy\n        image: proxy:2.3\n        volumeMounts:\n        - name: files\n          mountPath: /etc/files\n      volumes:\n      - name: files\n        configMap: {{name: files-{app}}}\n"
        ),
        1 => format!(
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: app-{app}\nspec:\n  selector: {{app: app-{app}}}\n  ports:\n  - name: http\n    port: 80\n    targetPort: http\n"
        ),
        2 => format!("apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: app-{app}\n"),
        3 => format!(
            "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: app-{app}\nspec:\n  rules:\n  - host: app-{app}.example.com\n    http:\n      paths:\n      - path: /\n        pathType: Prefix\n        backend:\n          service:\n            name: app-{app}\n            port: {{name: http}}\n"
        ),
        _ => format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: files-{app}\ndata:\n  settings.ini: |\n    [main]\n    name = app-{app}\n    level = info\n  motd: welcome\n"
        ),
    }
}

fn kustomization(objects: usize) -> String {
    let apps = (objects - objects / 50).div_ceil(5);
    let mut text = String::from(
        "resources: [../base]\nnamePrefix: prod-\nnamespace: production\nlabels:\n- pairs: {team: web, stage: prod}\n  includeSelectors: true\ncommonAnnotations: {contact: web@example.com}\nimages:\n- name: registry.example.com/team/app\n  newTag: \"2.0\"\n- name: proxy\n  newName: mirror.example.com/proxy\n",
    );
    text.push_str("replicas:\n");
    for app in (0..apps).step_by(10) {
        let _ = writeln!(text, "- name: app-{app}\n  count: 3");
    }
    text.push_str("patches:\n");
    for app in (0..apps).step_by(10) {
        let _ = writeln!(
            text,
            "- patch: |\n    apiVersion: apps/v1\n    kind: Deployment\n    metadata: {{name: app-{app}}}\n    spec:\n      template:\n        spec:\n          containers:\n          - name: main\n            env:\n            - name: LEVEL\n              value: warn"
        );
    }
    text.push_str(
        "- target: {kind: Deployment}\n  patch: |\n    - op: add\n      path: /spec/template/spec/priorityClassName\n      value: high\n",
    );
    if objects >= 50 {
        text.push_str(
            "configMapGenerator:\n- name: conf-0\n  behavior: merge\n  literals: [STAGE=prod]\n",
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlay_has_as_many_objects_as_it_says() {
        let folder = tempfile::tempdir().expect("a folder");
        for objects in [1, 7, 100] {
            let overlay = overlay(folder.path(), objects).expect("it can be written");
            let path = overlay.canonicalize().expect("it is there");
            let built = sluice_kustomize::build(
                &sluice_kustomize::DiskFs::default(),
                &path.to_string_lossy(),
                &sluice_kustomize::Options::default(),
            )
            .expect("it builds");
            assert_eq!(built.resources.len(), objects);
        }
    }
}
