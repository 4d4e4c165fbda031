//! `cargo xtask protobuf`: remakes `crates/apiserver/data/protobuf.gz`, the field numbers of the built-in kinds.
//!
//! Typed clients send the built-in kinds as protobuf. What a server needs to read that are the field numbers and types
//! of the published `generated.proto` files; which messages are inlined in JSON is told by the OpenAPI types.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use sluice_schema::schema::Map;
use sluice_schema::tables;

/// Where to read from and to write to.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Go module cache that holds k8s.io/api and k8s.io/apimachinery.
    #[arg(long)]
    modules: PathBuf,
    /// Version of these modules.
    #[arg(long, default_value = "v0.36.3")]
    version: String,
    /// File to write.
    #[arg(long, default_value = "crates/apiserver/data/protobuf.gz")]
    out: PathBuf,
}

/// A field: number, name, how often, type.
struct Field {
    number: u32,
    name: String,
    label: char,
    kind: String,
}

/// Messages whose JSON is not that of their fields; the server reads them by name.
const SPECIAL: &[&str] = &[
    "Time",
    "MicroTime",
    "Duration",
    "Quantity",
    "IntOrString",
    "RawExtension",
    "FieldsV1",
];

/// Reads the files and writes the table.
///
/// # Errors
/// If a file cannot be read, or says something that the table has no place for.
pub fn run(args: &Args) -> Result<()> {
    let mut messages: BTreeMap<String, Vec<Field>> = BTreeMap::new();
    for module in ["api", "apimachinery"] {
        read_folder(
            &args
                .modules
                .join(format!("k8s.io/{module}@{}", args.version)),
            &mut messages,
        )?;
    }
    let mut wanted: VecDeque<String> = VecDeque::new();
    let mut roots = BTreeMap::new();
    let extra = [
        (
            "",
            "v1",
            "DeleteOptions",
            "k8s.io.apimachinery.pkg.apis.meta.v1",
        ),
        ("policy", "v1", "Eviction", "k8s.io.api.policy.v1"),
        ("autoscaling", "v1", "Scale", "k8s.io.api.autoscaling.v1"),
        (
            "authentication.k8s.io",
            "v1",
            "TokenRequest",
            "k8s.io.api.authentication.v1",
        ),
    ];
    for (group, version, kind, package) in extra {
        roots.insert(
            format!("{group}/{version}/{kind}"),
            format!("{package}.{kind}"),
        );
    }
    for group in tables::discovery::groups() {
        let folder = match group.name.split('.').next() {
            None | Some("") => "core",
            Some(first) => first,
        };
        for version in &group.versions {
            for resource in &version.resources {
                let message = format!("k8s.io.api.{folder}.{}.{}", version.name, resource.kind);
                if messages.contains_key(&message) {
                    roots.insert(
                        format!("{}/{}/{}", group.name, version.name, resource.kind),
                        message,
                    );
                } else {
                    println!(
                        "no message for {}/{} {}",
                        group.name, version.name, resource.kind
                    );
                }
            }
        }
    }
    wanted.extend(roots.values().cloned());
    let mut kept: BTreeSet<String> = BTreeSet::new();
    while let Some(name) = wanted.pop_front() {
        if kept.insert(name.clone()) {
            let fields = messages
                .get(&name)
                .with_context(|| format!("no message `{name}`"))?;
            wanted.extend(
                fields
                    .iter()
                    .filter(|field| messages.contains_key(&field.kind))
                    .map(|field| field.kind.clone()),
            );
        }
    }
    let order: Vec<&String> = kept.iter().collect();
    let position = |name: &str| {
        order
            .binary_search_by(|known| known.as_str().cmp(name))
            .ok()
    };
    let mut text = String::new();
    for (root, message) in &roots {
        let at = position(message).with_context(|| format!("no message `{message}`"))?;
        text.push_str(&format!("@{root} {at}\n"));
    }
    for message in &order {
        let short = message.rsplit('.').next().unwrap_or_default();
        text.push_str(if SPECIAL.contains(&short) { short } else { "-" });
        let definition = message
            .strip_prefix("k8s.io.")
            .map(|rest| format!("io.k8s.{rest}"));
        let known = definition.and_then(|name| tables::builtin().definition(&name));
        let properties = known.and_then(|id| tables::builtin().node(id).map.as_ref());
        for field in messages.get(*message).into_iter().flatten() {
            let number = field.number;
            // A few names differ in their capitals.
            let properties = properties.filter(|map| !map.fields.is_empty());
            let same = properties.and_then(|map| property(map, &field.name));
            let name = same.unwrap_or(&field.name);
            let missing = properties.is_some_and(|map| map.field(name).is_none());
            let kind = match position(&field.kind) {
                Some(at) if missing => format!("<{at}"),
                Some(at) => at.to_string(),
                None => field.kind.clone(),
            };
            if missing && position(&field.kind).is_none() && !SPECIAL.contains(&short) {
                println!("{message}.{} is not in the OpenAPI type", field.name);
            }
            text.push_str(&format!(" {number}{}{name}:{kind}", field.label));
        }
        text.push('\n');
    }
    println!(
        "{} messages, {} kinds, {} bytes",
        order.len(),
        roots.len(),
        text.len()
    );
    let mut encoder = flate2::GzBuilder::new()
        .mtime(0)
        .write(Vec::new(), flate2::Compression::best());
    encoder.write_all(text.as_bytes())?;
    fs::write(&args.out, encoder.finish()?)?;
    Ok(())
}

/// The property of this name, whatever its capitals.
fn property<'a>(map: &'a Map, name: &str) -> Option<&'a str> {
    let mut names = map.fields.iter().map(|known| &*known.name);
    names.find(|known| known.eq_ignore_ascii_case(name))
}

fn read_folder(folder: &Path, messages: &mut BTreeMap<String, Vec<Field>>) -> Result<()> {
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot read `{}`", folder.display()))?
    {
        let path = entry?.path();
        if path.is_dir() {
            read_folder(&path, messages)?;
        } else if path
            .file_name()
            .is_some_and(|name| name == "generated.proto")
        {
            read_file(&fs::read_to_string(&path)?, messages);
        }
    }
    Ok(())
}

fn read_file(text: &str, messages: &mut BTreeMap<String, Vec<Field>>) {
    let mut package = "";
    let mut current: Option<(String, Vec<Field>)> = None;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("package ") {
            package = name.trim_end_matches(';');
        } else if let Some(name) = line.strip_prefix("message ") {
            current = Some((
                format!("{package}.{}", name.trim_end_matches(" {")),
                Vec::new(),
            ));
        } else if line == "}" {
            messages.extend(current.take());
        } else if let Some((_, fields)) = &mut current
            && let Some((head, number)) = line.split_once(" = ")
            && let Ok(number) = number.trim_end_matches(';').parse()
            && let Some((kind, name)) = head.rsplit_once(' ')
        {
            let (label, kind) = match kind.split_once(' ') {
                Some(("optional", kind)) => ('.', kind.to_owned()),
                Some(("repeated", kind)) => ('*', kind.to_owned()),
                // map<string, TYPE>
                _ => (
                    '%',
                    kind.trim_start_matches("map<string, ")
                        .trim_end_matches('>')
                        .to_owned(),
                ),
            };
            let kind = match kind.strip_prefix('.') {
                Some(full) => full.to_owned(),
                None if kind.starts_with(|c: char| c.is_ascii_uppercase()) => {
                    format!("{package}.{kind}")
                }
                None => kind,
            };
            fields.push(Field {
                number,
                name: name.to_owned(),
                label,
                kind,
            });
        }
    }
}
