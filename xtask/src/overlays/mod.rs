//! Compares builds of random kustomizations with the real kustomize.
//!
//! Every build has a seed of its own, which makes the same tree in every run.

mod layers;
mod objects;
mod patches;
mod paths;
mod random;
mod shrink;
mod writer;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args as ClapArgs;
use sluice_kustomize::{LoadRestrictions, MemoryFs, Options, Reorder, build};

use crate::goldens::{self, cases};
use cases::{Case, Content, File};
use layers::Tree;

/// `cargo xtask fuzz-overlays`.
#[derive(ClapArgs)]
pub struct Args {
    /// How many trees
    #[arg(long, default_value_t = 1000)]
    builds: u64,
    /// The seed of the first tree; the next ones have the next numbers
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Stop after so many differences
    #[arg(long, default_value_t = 20)]
    stop_after: usize,
    /// Print trees as they were made
    #[arg(long)]
    whole: bool,
    /// Where the trees that differ are put, as golden cases
    #[arg(long)]
    keep: Option<PathBuf>,
    /// Tell of failures with another text too
    #[arg(long)]
    texts: bool,
    /// Where kustomize's answers are kept, so that a run after a change of ours
    /// need not ask again
    #[arg(long)]
    answers: Option<PathBuf>,
    /// Compare the cases of this file instead, which is one of golden cases
    #[arg(long)]
    cases: Option<PathBuf>,
}

/// How two builds compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Same,
    /// Both fail, and ours does not say what kustomize says.
    OtherText,
    /// One fails and the other does not.
    OtherResult,
    OtherBytes,
    OtherWarnings,
    /// Ours panics.
    Panic,
    /// kustomize itself panics.
    TheirCrash,
}

/// What came of one build.
#[derive(serde::Serialize, serde::Deserialize)]
struct Outcome {
    result: Result<String, String>,
    warnings: String,
}

/// Runs the comparison.
///
/// # Errors
/// The judge cannot be run, or builds differ.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let kubectl = goldens::kubectl()?;
    if let Some(path) = &args.cases {
        return compare_cases(&kubectl, path);
    }
    let mut failures = 0_u64;
    let mut texts = 0;
    let mut crashes = 0;
    let mut different = 0;
    std::panic::set_hook(Box::new(|_| {}));
    for seed in args.seed..args.seed + args.builds {
        let tree = layers::tree(seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
        let case = case(&tree, seed);
        let judged = remembered(args.answers.as_deref(), &tree, || judge(&kubectl, &case))?;
        failures += u64::from(judged.result.is_err());
        let verdict = compare(&judged, &ours(&tree));
        if verdict == Verdict::Same {
            continue;
        }
        if verdict == Verdict::TheirCrash {
            crashes += 1;
            continue;
        }
        if verdict == Verdict::OtherText {
            texts += 1;
            if !args.texts {
                continue;
            }
        }
        if !is_stable(&kubectl, &case, &judged)? {
            println!("seed {seed}: kustomize itself gives several answers");
            continue;
        }
        different += 1;
        let mut smallest = tree.clone();
        if !args.whole {
            smallest = shrink::shrink(&tree, 150, |tree| {
                judge(&kubectl, &self::case(tree, seed))
                    .is_ok_and(|judged| compare(&judged, &ours(tree)) == verdict)
            });
        }
        report(&kubectl, &smallest, seed, verdict, args)?;
        if different >= args.stop_after {
            println!("stopped at seed {seed}");
            break;
        }
    }
    println!(
        "{} builds ({failures} of them failures), {different} different, {texts} failures with another text, {crashes} crashes of kustomize",
        args.builds
    );
    if different > 0 {
        bail!("{different} builds differ from kustomize");
    }
    Ok(())
}

/// The answer that is kept for a tree, or a new one.
fn remembered(
    answers: Option<&Path>,
    tree: &Tree,
    ask: impl FnOnce() -> anyhow::Result<Outcome>,
) -> anyhow::Result<Outcome> {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let Some(folder) = answers else {
        return ask();
    };
    let mut hasher = DefaultHasher::new();
    (&tree.files, &tree.target, &tree.args).hash(&mut hasher);
    let path = folder.join(format!("{:016x}.json", hasher.finish()));
    if let Ok(text) = std::fs::read(&path) {
        return Ok(serde_json::from_slice(&text)?);
    }
    let outcome = ask()?;
    std::fs::create_dir_all(folder)?;
    std::fs::write(&path, serde_json::to_vec(&outcome)?)?;
    Ok(outcome)
}

/// Shows what both make of the cases of a file.
fn compare_cases(kubectl: &Path, path: &Path) -> anyhow::Result<()> {
    for case in cases::parse(&std::fs::read_to_string(path)?) {
        let files = case.files.iter().filter_map(|file| match &file.content {
            Content::Bytes(bytes) => Some((
                file.path.clone(),
                String::from_utf8_lossy(bytes).into_owned(),
            )),
            _ => None,
        });
        let tree = Tree {
            files: files.collect(),
            target: case.target.clone(),
            args: case.args.clone(),
        };
        let (theirs, ours) = (judge(kubectl, &case)?, ours(&tree));
        let verdict = compare(&theirs, &ours);
        println!(
            "##### {}: {verdict:?}\n----- kustomize\n{}",
            case.name,
            show(&theirs)
        );
        if verdict != Verdict::Same {
            println!("----- ours\n{}", show(&ours));
        }
    }
    Ok(())
}

fn show(outcome: &Outcome) -> String {
    match &outcome.result {
        Ok(text) => format!("{text}{}", outcome.warnings),
        Err(text) => format!("ERROR {text}\n"),
    }
}

/// True when kustomize answers the same again.
fn is_stable(kubectl: &Path, case: &Case, judged: &Outcome) -> anyhow::Result<bool> {
    for _ in 0..3 {
        if judge(kubectl, case)?.result != judged.result {
            return Ok(false);
        }
    }
    Ok(true)
}

fn report(
    kubectl: &Path,
    tree: &Tree,
    seed: u64,
    verdict: Verdict,
    args: &Args,
) -> anyhow::Result<()> {
    let case = case(tree, seed);
    let theirs = judge(kubectl, &case)?;
    let ours = ours(tree);
    let mut text = format!("=== seed_{seed}\ntarget: {}\n", tree.target);
    if !tree.args.is_empty() {
        text.push_str(&format!("args: {}\n", tree.args.join(" ")));
    }
    for (path, content) in &tree.files {
        let (note, end) = if content.ends_with('\n') {
            ("", "")
        } else {
            (" (no newline)", "\n")
        };
        text.push_str(&format!("-- {path}{note} --\n{content}{end}"));
    }
    println!(
        "##### seed {seed}: {verdict:?}\n{text}----- kustomize\n{}----- ours\n{}",
        show(&theirs),
        show(&ours)
    );
    if let Some(path) = &args.keep {
        use std::io::Write as _;
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)?;
        file.write_all(text.as_bytes())?;
    }
    Ok(())
}

fn case(tree: &Tree, seed: u64) -> Case {
    Case {
        name: format!("seed_{seed}"),
        target: tree.target.clone(),
        args: tree.args.clone(),
        files: tree
            .files
            .iter()
            .map(|(path, content)| File {
                path: path.clone(),
                content: Content::Bytes(content.clone().into_bytes()),
            })
            .collect(),
        ..Case::default()
    }
}

fn judge(kubectl: &Path, case: &Case) -> anyhow::Result<Outcome> {
    let judged = goldens::judge(kubectl, case)?;
    Ok(Outcome {
        result: match (judged.out, judged.err) {
            (Some(out), _) => Ok(out),
            (None, err) => Err(err.unwrap_or_default().trim_end().to_owned()),
        },
        warnings: judged.warn.unwrap_or_default(),
    })
}

fn ours(tree: &Tree) -> Outcome {
    let mut fs = MemoryFs::new();
    fs.make_dir("/R");
    for (path, content) in &tree.files {
        fs.write(&format!("/R/{path}"), content.clone());
    }
    let has = |arg: &str| tree.args.iter().any(|known| known == arg);
    let options = Options {
        load_restrictions: match has("--load-restrictor=LoadRestrictionsNone") {
            true => LoadRestrictions::None,
            false => LoadRestrictions::RootOnly,
        },
        reorder: match has("--reorder=none") {
            true => Reorder::None,
            false => Reorder::Legacy,
        },
        managed_by_label: has("--enable-managedby-label"),
        ..Options::default()
    };
    let target = format!("/R/{}", tree.target);
    let run = || match build(&fs, &target, &options) {
        Ok(built) => {
            let warnings = built
                .warnings
                .iter()
                .map(|line| format!("{line}\n"))
                .collect();
            let result = built
                .to_yaml()
                .map_err(|errors| errors.errors[0].message.clone());
            Outcome { result, warnings }
        }
        Err(errors) => Outcome {
            result: Err(errors.errors[0].message.trim_end().to_owned()),
            warnings: String::new(),
        },
    };
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| Outcome {
        result: Err(format!(
            "PANIC {:?}",
            panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or(panic.downcast_ref::<&str>().copied())
        )),
        warnings: String::new(),
    })
}

/// An error without the addresses of Go's objects in it.
fn without_dumps(text: &str) -> &str {
    text.split("\n\n--\n&resource.Resource")
        .next()
        .unwrap_or(text)
}

/// Warnings with the names of variables in order: kustomize's have a random one.
fn sorted(warnings: &str) -> Vec<Vec<&str>> {
    warnings
        .lines()
        .map(|line| {
            let mut parts: Vec<&str> = line.split([',', ' ']).collect();
            if line.starts_with("well-defined vars") {
                parts.sort_unstable();
            }
            parts
        })
        .collect()
}

/// Output in which names that were generated for a ConfigMap or a Secret, whose
/// object then got another kind, lack their hashes: those of other kinds depend
/// on places in kustomize's memory of the source (see `docs/compat.md`).
fn without_odd_hashes(yaml: &str) -> String {
    const LETTERS: &str = "2456789bcdfghkmt";
    let mut out = yaml.to_owned();
    for document in yaml.split("---\n") {
        let field = |start: &str| document.lines().find_map(|line| line.strip_prefix(start));
        if matches!(field("kind: "), Some("ConfigMap" | "Secret")) {
            continue;
        }
        let Some((stem, hash)) = field("  name: ").and_then(|name| name.rsplit_once('-')) else {
            continue;
        };
        if hash.len() == 10 && hash.chars().all(|c| LETTERS.contains(c)) {
            out = out.replace(&format!("{stem}-{hash}"), stem);
        }
    }
    out
}

fn compare(theirs: &Outcome, ours: &Outcome) -> Verdict {
    match (&theirs.result, &ours.result) {
        (_, Err(text)) if text.starts_with("PANIC") => Verdict::Panic,
        (Err(text), _) if text.starts_with("panic: ") => Verdict::TheirCrash,
        (Ok(a), Ok(b)) if a != b && without_odd_hashes(a) != without_odd_hashes(b) => {
            Verdict::OtherBytes
        }
        (Ok(_), Ok(_)) if sorted(&theirs.warnings) != sorted(&ours.warnings) => {
            Verdict::OtherWarnings
        }
        (Ok(_), Ok(_)) => Verdict::Same,
        (Err(a), Err(b)) if b.contains(without_dumps(a)) => Verdict::Same,
        (Err(_), Err(_)) => Verdict::OtherText,
        _ => Verdict::OtherResult,
    }
}
