//! Schemas by their addresses, and what references lead to.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::Value as Json;
use url::Url;

/// The address of a chart's own schema.
pub(super) const ROOT: &str = "file:///values.schema.json";

/// How deep schemas may nest.
const MAX_DEPTH: usize = 200;

/// Which edition of JSON Schema a schema follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Draft {
    D4,
    D6,
    D7,
    D2019,
    D2020,
}

/// Why another document is not loaded.
pub(super) fn refusal(address: &str) -> String {
    let quoted = sluice_gotemplate::strconv::quote(address.as_bytes());
    let loads = ["http://", "https://", "file://"];
    match loads.iter().any(|scheme| address.starts_with(scheme)) {
        true => format!("failing loading {quoted}: loading of other documents is not allowed"),
        false => format!("failing loading {quoted}: no URLLoader registered for {quoted}"),
    }
}

impl Draft {
    /// Recognises `$schema`, with or without the fragment.
    pub(super) fn from_url(url: &str) -> Option<Draft> {
        let bare = url.strip_suffix('#').unwrap_or(url);
        let bare = bare
            .strip_prefix("https://")
            .or_else(|| bare.strip_prefix("http://"))
            .unwrap_or(bare);
        Some(match bare {
            "json-schema.org/draft-04/schema" => Draft::D4,
            "json-schema.org/draft-06/schema" => Draft::D6,
            "json-schema.org/draft-07/schema" => Draft::D7,
            "json-schema.org/draft/2019-09/schema" => Draft::D2019,
            "json-schema.org/draft/2020-12/schema" | "json-schema.org/schema" => Draft::D2020,
            _ => return None,
        })
    }

    /// The address of the schema that schemas of this edition must satisfy.
    pub(super) fn metaschema(self) -> &'static str {
        match self {
            Draft::D4 => "http://json-schema.org/draft-04/schema",
            Draft::D6 => "http://json-schema.org/draft-06/schema",
            Draft::D7 => "http://json-schema.org/draft-07/schema",
            Draft::D2019 => "https://json-schema.org/draft/2019-09/schema",
            Draft::D2020 => "https://json-schema.org/draft/2020-12/schema",
        }
    }

    fn id_keyword(self) -> &'static str {
        match self {
            Draft::D4 => "id",
            _ => "$id",
        }
    }
}

macro_rules! metaschemas {
    ($($url:literal => $file:literal,)*) => {
        &[$(($url, include_str!(concat!("metaschemas/", $file)))),*]
    };
}

/// The schemas of schemas, as json-schema.org publishes them.
const METASCHEMAS: &[(&str, &str)] = metaschemas! {
    "http://json-schema.org/draft-04/schema" => "draft4.json",
    "http://json-schema.org/draft-06/schema" => "draft6.json",
    "http://json-schema.org/draft-07/schema" => "draft7.json",
    "https://json-schema.org/draft/2019-09/schema" => "2019-09/schema.json",
    "https://json-schema.org/draft/2019-09/meta/core" => "2019-09/core.json",
    "https://json-schema.org/draft/2019-09/meta/applicator" => "2019-09/applicator.json",
    "https://json-schema.org/draft/2019-09/meta/validation" => "2019-09/validation.json",
    "https://json-schema.org/draft/2019-09/meta/meta-data" => "2019-09/meta-data.json",
    "https://json-schema.org/draft/2019-09/meta/format" => "2019-09/format.json",
    "https://json-schema.org/draft/2019-09/meta/content" => "2019-09/content.json",
    "https://json-schema.org/draft/2020-12/schema" => "2020-12/schema.json",
    "https://json-schema.org/draft/2020-12/meta/core" => "2020-12/core.json",
    "https://json-schema.org/draft/2020-12/meta/applicator" => "2020-12/applicator.json",
    "https://json-schema.org/draft/2020-12/meta/unevaluated" => "2020-12/unevaluated.json",
    "https://json-schema.org/draft/2020-12/meta/validation" => "2020-12/validation.json",
    "https://json-schema.org/draft/2020-12/meta/meta-data" => "2020-12/meta-data.json",
    "https://json-schema.org/draft/2020-12/meta/format-annotation" => "2020-12/format-annotation.json",
    "https://json-schema.org/draft/2020-12/meta/format-assertion" => "2020-12/format-assertion.json",
    "https://json-schema.org/draft/2020-12/meta/content" => "2020-12/content.json",
};

/// Returns the schemas of schemas, parsed once.
fn builtin() -> &'static HashMap<&'static str, Json> {
    static PARSED: LazyLock<HashMap<&'static str, Json>> = LazyLock::new(|| {
        METASCHEMAS
            .iter()
            .map(|(url, text)| {
                let json = serde_json::from_str(text).expect("the constant is JSON");
                (*url, json)
            })
            .collect()
    });
    &PARSED
}

/// A schema with an address of its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resource<'s> {
    pub root: &'s Json,
    pub draft: Draft,
}

/// Where a reference leads.
#[derive(Debug, Clone)]
pub(super) struct Target<'s> {
    pub schema: &'s Json,
    /// The address of the resource it is in.
    pub base: String,
    pub draft: Draft,
    /// The whole address, for errors.
    pub url: String,
}

/// All schemas that references may reach: the chart's and those built in.
#[derive(Debug)]
pub(super) struct Documents<'s> {
    resources: HashMap<String, Resource<'s>>,
    /// `resource#anchor` to the schema.
    anchors: HashMap<String, &'s Json>,
    dynamic: HashMap<String, &'s Json>,
}

/// Why a reference leads nowhere.
#[derive(Debug, Clone)]
pub(super) enum Unresolved {
    /// A name that stands for nothing here; Helm lets everything pass then.
    Urn,
    /// Helm's text.
    Error(String),
}

impl<'s> Documents<'s> {
    /// Reads the addresses in a chart's schema.
    pub(super) fn new(root: &'s Json, draft: Draft) -> Result<Documents<'s>, String> {
        let mut documents = Documents {
            resources: HashMap::new(),
            anchors: HashMap::new(),
            dynamic: HashMap::new(),
        };
        documents.add(ROOT, root, draft)?;
        for (url, schema) in builtin() {
            let draft = match url {
                u if u.contains("draft-04") => Draft::D4,
                u if u.contains("draft-06") => Draft::D6,
                u if u.contains("draft-07") => Draft::D7,
                u if u.contains("2019-09") => Draft::D2019,
                _ => Draft::D2020,
            };
            documents.add(url, schema, draft)?;
        }
        Ok(documents)
    }

    fn add(&mut self, url: &str, root: &'s Json, draft: Draft) -> Result<(), String> {
        self.resources
            .insert(url.to_owned(), Resource { root, draft });
        self.scan(root, url, draft, true, 0)
    }

    /// Notes the resources and anchors below a schema.
    fn scan(
        &mut self,
        schema: &'s Json,
        base: &str,
        draft: Draft,
        is_root: bool,
        depth: usize,
    ) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!("schema nests deeper than {MAX_DEPTH} levels"));
        }
        match schema {
            Json::Array(items) => {
                for item in items {
                    self.scan(item, base, draft, false, depth + 1)?;
                }
            }
            Json::Object(object) => {
                let mut base = base.to_owned();
                let mut draft = draft;
                if let Some(own) = object.get("$schema").and_then(Json::as_str) {
                    draft = Draft::from_url(own).unwrap_or(draft);
                }
                if let Some(id) = object.get(draft.id_keyword()).and_then(Json::as_str) {
                    match id.strip_prefix('#') {
                        Some(anchor) if draft < Draft::D2019 && !anchor.is_empty() => {
                            self.anchors.insert(format!("{base}#{anchor}"), schema);
                        }
                        _ => {
                            let url = join(&base, id);
                            let bare = url.split('#').next().unwrap_or_default().to_owned();
                            let resource = Resource {
                                root: schema,
                                draft,
                            };
                            // The root stays reachable under both addresses.
                            self.resources.entry(bare.clone()).or_insert(resource);
                            base = bare;
                        }
                    }
                }
                if draft >= Draft::D2019 {
                    for keyword in ["$anchor", "$dynamicAnchor"] {
                        if let Some(name) = object.get(keyword).and_then(Json::as_str) {
                            self.anchors.insert(format!("{base}#{name}"), schema);
                            if keyword == "$dynamicAnchor" {
                                self.dynamic.insert(format!("{base}#{name}"), schema);
                            }
                        }
                    }
                    if draft == Draft::D2019
                        && object.get("$recursiveAnchor") == Some(&Json::Bool(true))
                    {
                        self.dynamic.insert(format!("{base}#"), schema);
                    }
                }
                let _ = is_root;
                for (key, value) in object {
                    if !matches!(key.as_str(), "enum" | "const" | "default" | "examples") {
                        self.scan(value, &base, draft, false, depth + 1)?;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Returns the address of a schema's resource, given that of what is around
    /// it.
    pub(super) fn base_of(&self, schema: &Json, around: &str, draft: Draft) -> String {
        match schema.get(draft.id_keyword()).and_then(Json::as_str) {
            Some(id) if !(draft < Draft::D2019 && id.starts_with('#')) => join(around, id)
                .split('#')
                .next()
                .unwrap_or_default()
                .to_owned(),
            _ => around.to_owned(),
        }
    }

    /// Whether a resource has a dynamic anchor of this name.
    pub(super) fn dynamic_anchor(&self, base: &str, name: &str) -> Option<&'s Json> {
        self.dynamic.get(&format!("{base}#{name}")).copied()
    }

    /// Follows a reference.
    pub(super) fn resolve(&self, base: &str, reference: &str) -> Result<Target<'s>, Unresolved> {
        let url = join(base, reference);
        let (address, fragment) = url.split_once('#').unwrap_or((&url, ""));
        let known = self.resources.get(address).or_else(|| {
            // Both schemes name the same schemas of schemas.
            let other = match address.strip_prefix("https://json-schema.org/draft-") {
                Some(rest) => format!("http://json-schema.org/draft-{rest}"),
                None => address.replacen(
                    "http://json-schema.org/draft/",
                    "https://json-schema.org/draft/",
                    1,
                ),
            };
            self.resources.get(&other)
        });
        let Some(resource) = known else {
            if address.starts_with("urn:") {
                return Err(Unresolved::Urn);
            }
            return Err(Unresolved::Error(refusal(address)));
        };
        let shown = || {
            if address.is_empty() { ROOT } else { address }
        };
        let fragment = percent_decoded(fragment);
        if fragment.is_empty() {
            return Ok(Target {
                schema: resource.root,
                base: address.to_owned(),
                draft: resource.draft,
                url: format!("{}#", shown()),
            });
        }
        if !fragment.starts_with('/') {
            return match self.anchors.get(&format!("{address}#{fragment}")) {
                Some(schema) => Ok(Target {
                    schema,
                    base: address.to_owned(),
                    draft: resource.draft,
                    url: format!("{}#{fragment}", shown()),
                }),
                None => Err(Unresolved::Error(format!(
                    "anchor in {} not found in schema {}",
                    sluice_gotemplate::strconv::quote(format!("{}#{fragment}", shown()).as_bytes()),
                    sluice_gotemplate::strconv::quote(shown().as_bytes())
                ))),
            };
        }
        let mut at = resource.root;
        let mut inner_base = address.to_owned();
        for token in fragment[1..].split('/') {
            let token = token.replace("~1", "/").replace("~0", "~");
            let next = match at {
                Json::Object(object) => object.get(&token),
                Json::Array(items) => token.parse::<usize>().ok().and_then(|i| items.get(i)),
                _ => None,
            };
            let Some(next) = next else {
                return Err(Unresolved::Error(format!(
                    "json-pointer in {} not found",
                    sluice_gotemplate::strconv::quote(format!("{}#{fragment}", shown()).as_bytes())
                )));
            };
            at = next;
            inner_base = self.base_of(at, &inner_base, resource.draft);
        }
        Ok(Target {
            schema: at,
            base: inner_base,
            draft: resource.draft,
            url: format!("{}#{fragment}", shown()),
        })
    }
}

/// Resolves an address against another.
fn join(base: &str, reference: &str) -> String {
    if let Some(fragment) = reference.strip_prefix('#') {
        let bare = base.split('#').next().unwrap_or_default();
        return format!("{bare}#{fragment}");
    }
    match Url::parse(base).and_then(|base| base.join(reference)) {
        Ok(url) => url.to_string(),
        Err(_) => reference.to_owned(),
    }
}

fn percent_decoded(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match hex {
            Some(b) => {
                out.push(b);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
