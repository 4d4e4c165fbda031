//! `cargo xtask openapi`: remakes `crates/schema/data/` from a running kube-apiserver.
//!
//! The server gives discovery and OpenAPI. What OpenAPI does not say, and the server's answers depend on, is how Go
//! writes a field to JSON (`omitempty`, pointers) and how decode errors name its type: these facts are read from the
//! struct tags of the published `k8s.io/api` modules of the same release.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value, json};
use sluice_schema::schema::Schema;
use sluice_schema::schema::build::{Builder, GO};
use sluice_schema::tables::discovery;
use sluice_schema::tables::openapi::Document;

/// Where to read from and to write to.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Kubeconfig of a kube-apiserver without custom resources.
    #[arg(long)]
    kubeconfig: PathBuf,
    /// The kubectl to ask with.
    #[arg(long, default_value = "kubectl")]
    kubectl: PathBuf,
    /// Go module cache that holds k8s.io/api, apimachinery, apiextensions-apiserver and kube-aggregator.
    #[arg(long)]
    modules: PathBuf,
    /// Version of these modules.
    #[arg(long, default_value = "v0.36.3")]
    version: String,
    /// Folder to write to.
    #[arg(long, default_value = "crates/schema/data")]
    out: PathBuf,
}

/// Reads the server and writes the tables.
///
/// # Errors
/// If the server or the modules cannot be read, or say something that the tables have no place for.
pub fn run(args: &Args) -> Result<()> {
    fs::create_dir_all(&args.out)?;
    write_discovery(args)?;
    let documents = write_openapi(args)?;
    let schema = build_schema(args, &documents)?;
    let bytes = schema.encode();
    ensure!(
        Schema::decode(&bytes)? == schema,
        "the compact form does not read back"
    );
    fs::write(args.out.join("types.zst"), pack(&bytes)?)?;
    println!("{} types of {} kinds", schema.len(), schema.kinds().count());
    Ok(())
}

fn get(args: &Args, path: &str) -> Result<Vec<u8>> {
    let output = Command::new(&args.kubectl)
        .arg("--kubeconfig")
        .arg(&args.kubeconfig)
        .args(["get", "--raw", path])
        .output()
        .context("cannot run kubectl")?;
    ensure!(
        output.status.success(),
        "GET {path}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(output.stdout)
}

fn get_json(args: &Args, path: &str) -> Result<Value> {
    serde_json::from_slice(&get(args, path)?).with_context(|| format!("{path} is not JSON"))
}

fn pack(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 22)?;
    encoder.window_log(27)?;
    encoder.long_distance_matching(true)?;
    std::io::Write::write_all(&mut encoder, bytes)?;
    Ok(encoder.finish()?)
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value, key: &str) -> Vec<String> {
    value[key]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

fn write_discovery(args: &Args) -> Result<()> {
    let mut groups = vec![discovery::Group {
        name: String::new(),
        versions: vec![version("v1", &get_json(args, "/api/v1")?)?],
    }];
    let list = get_json(args, "/apis")?;
    for group in list["groups"].as_array().into_iter().flatten() {
        let name = text(group, "name");
        let versions = group["versions"].as_array().into_iter().flatten();
        let versions = versions
            .map(|known| {
                let name_of = text(known, "version");
                version(
                    &name_of,
                    &get_json(args, &format!("/apis/{name}/{name_of}"))?,
                )
            })
            .collect::<Result<_>>()?;
        groups.push(discovery::Group { name, versions });
    }
    fs::write(
        args.out.join("discovery.json"),
        serde_json::to_string_pretty(&groups)? + "\n",
    )?;
    Ok(())
}

fn version(name: &str, list: &Value) -> Result<discovery::Version> {
    let mut resources: Vec<discovery::Resource> = Vec::new();
    for resource in list["resources"].as_array().into_iter().flatten() {
        let path = text(resource, "name");
        let verbs = texts(resource, "verbs");
        let Some((parent, sub)) = path.split_once('/') else {
            resources.push(discovery::Resource {
                name: path,
                singular: text(resource, "singularName"),
                kind: text(resource, "kind"),
                namespaced: resource["namespaced"] == true,
                verbs,
                short_names: texts(resource, "shortNames"),
                categories: texts(resource, "categories"),
                storage_version_hash: text(resource, "storageVersionHash"),
                subresources: Vec::new(),
            });
            continue;
        };
        let subresource = discovery::Subresource {
            name: sub.to_owned(),
            kind: text(resource, "kind"),
            group: resource["group"].as_str().map(str::to_owned),
            version: resource["version"].as_str().map(str::to_owned),
            verbs,
        };
        match resources.iter_mut().find(|known| known.name == parent) {
            Some(resource) => resource.subresources.push(subresource),
            None => bail!("{path} has no parent in {name}"),
        }
    }
    Ok(discovery::Version {
        name: name.to_owned(),
        resources,
    })
}

/// Writes the archive; returns the documents.
fn write_openapi(args: &Args) -> Result<Vec<Value>> {
    let index = get_json(args, "/openapi/v3")?;
    let (mut archive, mut entries, mut documents) = (Vec::new(), Vec::new(), Vec::new());
    for (path, entry) in index["paths"].as_object().into_iter().flatten() {
        let url = text(entry, "serverRelativeURL");
        let hash = url
            .split_once("?hash=")
            .map(|(_, hash)| hash)
            .unwrap_or_default();
        let bytes = get(args, &url)?;
        documents.push(serde_json::from_slice(&bytes)?);
        entries.push(Document::new(
            path,
            hash,
            archive.len() as u64,
            bytes.len() as u64,
        ));
        archive.extend(bytes);
    }
    let bytes = get(args, "/openapi/v2")?;
    entries.push(Document::new(
        "",
        &sha512(&bytes)?,
        archive.len() as u64,
        bytes.len() as u64,
    ));
    archive.extend(bytes);
    fs::write(args.out.join("openapi.zst"), pack(&archive)?)?;
    fs::write(
        args.out.join("openapi.json"),
        serde_json::to_string_pretty(&entries)? + "\n",
    )?;
    Ok(documents)
}

/// The entity tag of the version 2 document, which its address does not name.
fn sha512(bytes: &[u8]) -> Result<String> {
    use std::io::Write as _;
    let mut child = Command::new("sha512sum")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .context("cannot run sha512sum")?;
    child.stdin.take().context("no pipe")?.write_all(bytes)?;
    let output = child.wait_with_output()?;
    let text = String::from_utf8(output.stdout)?;
    Ok(text.split(' ').next().unwrap_or_default().to_uppercase())
}

fn build_schema(args: &Args, documents: &[Value]) -> Result<Schema> {
    let mut definitions: BTreeMap<&String, Value> = BTreeMap::new();
    for document in documents {
        for (name, definition) in document["components"]["schemas"]
            .as_object()
            .into_iter()
            .flatten()
        {
            definitions
                .entry(name)
                .or_insert_with(|| definition.clone());
        }
    }
    let facts = GoFacts::read(args)?;
    let mut builder = Builder::new();
    let mut unknown = Vec::new();
    for (name, mut definition) in definitions {
        match facts.package(name) {
            Some((package, kind)) => facts.annotate(&package, kind, &mut definition, &mut unknown),
            None => unknown.push(name.clone()),
        }
        builder.define(name, &definition);
    }
    for name in unknown {
        println!("no Go facts for {name}");
    }
    Ok(builder.finish())
}

/// Struct tags and type names of the modules: import path, type name, facts.
struct GoFacts {
    structs: BTreeMap<(String, String), Vec<GoField>>,
    /// Named types that are not structs: what they are.
    named: BTreeMap<(String, String), String>,
}

struct GoField {
    /// Name in JSON; empty for an embedded struct.
    json: String,
    /// The Go type with full import paths.
    kind: String,
    omit: &'static str,
}

impl GoFacts {
    fn read(args: &Args) -> Result<Self> {
        let mut facts = GoFacts {
            structs: BTreeMap::new(),
            named: BTreeMap::new(),
        };
        for (module, folder) in [
            ("k8s.io/api", ""),
            ("k8s.io/apimachinery", "pkg/apis/meta/v1"),
            ("k8s.io/apimachinery", "pkg/version"),
            ("k8s.io/apimachinery", "pkg/runtime"),
            ("k8s.io/apimachinery", "pkg/util/intstr"),
            ("k8s.io/apimachinery", "pkg/api/resource"),
            (
                "k8s.io/apiextensions-apiserver",
                "pkg/apis/apiextensions/v1",
            ),
            ("k8s.io/kube-aggregator", "pkg/apis/apiregistration/v1"),
        ] {
            let root = args
                .modules
                .join(format!("{module}@{}", args.version))
                .join(folder);
            ensure!(
                root.is_dir(),
                "{} is missing: run go mod download {module}@{}",
                root.display(),
                args.version
            );
            let import = if folder.is_empty() {
                module.to_owned()
            } else {
                format!("{module}/{folder}")
            };
            facts.read_folder(&root, &import)?;
        }
        Ok(facts)
    }

    fn read_folder(&mut self, folder: &Path, import: &str) -> Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if path.is_dir() {
                self.read_folder(&path, &format!("{import}/{name}"))?;
            } else if name.ends_with(".go")
                && !name.ends_with("_test.go")
                && !name.starts_with("zz_")
            {
                self.read_file(&fs::read_to_string(&path)?, import);
            }
        }
        Ok(())
    }

    fn read_file(&mut self, source: &str, import: &str) {
        let mut imports: BTreeMap<String, String> = BTreeMap::new();
        let mut lines = source.lines();
        while let Some(line) = lines.next() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                [path] | ["import", path] if path.starts_with('"') => {
                    let path = path.trim_matches('"');
                    imports.insert(
                        path.rsplit('/').next().unwrap_or_default().into(),
                        path.into(),
                    );
                }
                [alias, path] | ["import", alias, path] if path.starts_with('"') => {
                    imports.insert((*alias).into(), path.trim_matches('"').into());
                }
                ["type", name, "struct", "{"] if !line.starts_with(char::is_whitespace) => {
                    let fields = lines.by_ref().take_while(|line| !line.starts_with('}'));
                    let fields = fields
                        .filter_map(|line| go_field(line, import, &imports))
                        .collect();
                    self.structs.insert((import.into(), (*name).into()), fields);
                }
                ["type", name, kind, ..]
                    if !line.starts_with(char::is_whitespace) && !kind.starts_with("struct") =>
                {
                    self.named.insert(
                        (import.into(), (*name).into()),
                        qualified(kind, import, &imports),
                    );
                }
                _ => {}
            }
        }
    }

    /// The import path and type name of a definition.
    fn package<'a>(&self, name: &'a str) -> Option<(String, &'a str)> {
        let (package, kind) = name.rsplit_once('.')?;
        let package = package.strip_prefix("io.k8s.")?;
        let package = format!("k8s.io/{}", package.replace('.', "/"));
        let known =
            |key: &(String, String)| self.structs.contains_key(key) || self.named.contains_key(key);
        known(&(package.clone(), kind.to_owned())).then_some((package, kind))
    }

    fn annotate(
        &self,
        package: &str,
        kind: &str,
        definition: &mut Value,
        unknown: &mut Vec<String>,
    ) {
        definition[GO] = json!({ "type": printed(&format!("{package}.{kind}")) });
        let Some(properties) = definition["properties"].as_object_mut() else {
            return;
        };
        for (name, property) in properties {
            match self.field(package, kind, name) {
                Some((field, via)) => Self::annotate_field(field, &via, property),
                None => unknown.push(format!("{package}.{kind}.{name}")),
            }
        }
    }

    fn annotate_field(field: &GoField, via: &str, property: &mut Value) {
        let bare = field.kind.trim_start_matches('*');
        property[GO] = json!({
            "type": printed(bare),
            "pointer": bare.len() < field.kind.len(),
            "omit": field.omit,
        });
        if !via.is_empty() {
            property[GO]["via"] = via.into();
        }
        annotate_members(bare, property);
    }

    /// The field of a struct, looked for in embedded structs too, with the names of those.
    fn field(&self, package: &str, kind: &str, name: &str) -> Option<(&GoField, String)> {
        let fields = self.structs.get(&(package.to_owned(), kind.to_owned()))?;
        let own = fields.iter().find(|field| field.json == name);
        own.map(|field| (field, String::new())).or_else(|| {
            fields
                .iter()
                .filter(|field| field.json.is_empty())
                .find_map(|embedded| {
                    let (package, kind) = embedded.kind.trim_start_matches('*').rsplit_once('.')?;
                    let (field, via) = self.field(package, kind, name)?;
                    let via = if via.is_empty() {
                        kind.to_owned()
                    } else {
                        format!("{kind}.{via}")
                    };
                    Some((field, via))
                })
        })
    }
}

/// Passes the type of items and map values on to the inlined schemas below.
fn annotate_members(kind: &str, schema: &mut Value) {
    let member = match kind.strip_prefix("[]") {
        Some(item) => Some(("items", item)),
        None => kind
            .strip_prefix("map[")
            .and_then(|rest| Some(("additionalProperties", rest.split_once(']')?.1))),
    };
    if let Some((key, kind)) = member
        && let Some(member) = schema.get_mut(key).and_then(Value::as_object_mut)
    {
        let bare = kind.trim_start_matches('*');
        member.insert(GO.into(), json!({ "type": printed(bare) }));
        let mut inner = Value::Object(std::mem::replace(member, Map::new()));
        annotate_members(bare, &mut inner);
        schema[key] = inner;
    }
}

fn go_field(line: &str, import: &str, imports: &BTreeMap<String, String>) -> Option<GoField> {
    let (before, tag) = line.trim().split_once('`')?;
    let tag = tag.split_once("json:\"")?.1.split_once('"')?.0;
    let words: Vec<&str> = before.split_whitespace().collect();
    let kind = words.last()?;
    let (name, options) = tag.split_once(',').unwrap_or((tag, ""));
    let has = |word: &str| options.split(',').any(|option| option == word);
    let omit = if has("omitzero") {
        "zero"
    } else if has("omitempty") {
        "empty"
    } else {
        "never"
    };
    let json = if has("inline") { "" } else { name };
    (name != "-").then(|| GoField {
        json: json.into(),
        kind: qualified(kind, import, imports),
        omit,
    })
}

/// A Go type with its package names replaced by import paths.
fn qualified(kind: &str, import: &str, imports: &BTreeMap<String, String>) -> String {
    for prefix in ["*", "[]"] {
        if let Some(rest) = kind.strip_prefix(prefix) {
            return format!("{prefix}{}", qualified(rest, import, imports));
        }
    }
    if let Some((key, value)) = kind
        .strip_prefix("map[")
        .and_then(|rest| rest.split_once(']'))
    {
        return format!(
            "map[{}]{}",
            qualified(key, import, imports),
            qualified(value, import, imports)
        );
    }
    match kind.split_once('.') {
        Some((alias, name)) => match imports.get(alias) {
            Some(path) => format!("{path}.{name}"),
            None => kind.to_owned(),
        },
        None if kind.starts_with(char::is_uppercase) => format!("{import}.{kind}"),
        None => kind.to_owned(),
    }
}

/// A Go type as reflection prints it: packages by their last name.
fn printed(kind: &str) -> String {
    if let Some(rest) = kind.strip_prefix("[]") {
        // `byte` is an alias.
        return format!(
            "[]{}",
            if rest == "byte" {
                "uint8".into()
            } else {
                printed(rest)
            }
        );
    }
    if let Some(rest) = kind.strip_prefix('*') {
        return format!("*{}", printed(rest));
    }
    if let Some((key, value)) = kind
        .strip_prefix("map[")
        .and_then(|rest| rest.split_once(']'))
    {
        return format!("map[{}]{}", printed(key), printed(value));
    }
    kind.rsplit('/').next().unwrap_or(kind).to_owned()
}
