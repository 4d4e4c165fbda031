//! The text of a record: JSON with Helm's keys in Helm's order.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::Value as Json;

use super::{ApplyMethod, Info, RecordedChart, Release, Status};
use crate::chart::{Dependency, File, Lock, Metadata, ModTime};
use crate::manifest::{Hook, HookEvent, HookRun};
use crate::ordered::Ordered;
use crate::values::Table;

/// What Go writes for no time at all.
const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

type Fields = Vec<(&'static str, Ordered)>;

fn push_text(fields: &mut Fields, key: &'static str, text: &str) {
    if !text.is_empty() {
        fields.push((key, text.into()));
    }
}

fn texts<'t>(list: impl IntoIterator<Item = &'t str>) -> Ordered {
    Ordered::List(list.into_iter().map(Ordered::from).collect())
}

const NULL: Ordered = Ordered::Plain(Json::Null);

/// Writes a record as text.
pub fn encode_json(release: &Release) -> String {
    let mut fields: Fields = Vec::new();
    push_text(&mut fields, "name", &release.name);
    fields.push(("info", info(&release.info)));
    fields.push(("chart", chart(&release.chart)));
    if !release.config.is_empty() {
        let config = Json::Object(release.config.clone());
        fields.push(("config", Ordered::Plain(config)));
    }
    push_text(&mut fields, "manifest", &release.manifest);
    if !release.hooks.is_empty() {
        let hooks = release.hooks.iter().map(hook).collect();
        fields.push(("hooks", Ordered::List(hooks)));
    }
    if release.version != 0 {
        fields.push(("version", Ordered::Plain(release.version.into())));
    }
    push_text(&mut fields, "namespace", &release.namespace);
    if let Some(method) = release.apply_method {
        fields.push(("apply_method", method.as_str().into()));
    }
    Ordered::Struct(fields).text()
}

fn info(info: &Info) -> Ordered {
    let mut fields: Fields = Vec::new();
    push_text(&mut fields, "first_deployed", &info.first_deployed);
    push_text(&mut fields, "last_deployed", &info.last_deployed);
    push_text(&mut fields, "deleted", &info.deleted);
    push_text(&mut fields, "description", &info.description);
    push_text(&mut fields, "status", info.status.as_str());
    push_text(&mut fields, "notes", &info.notes);
    Ordered::Struct(fields)
}

fn chart(chart: &RecordedChart) -> Ordered {
    let values = match &chart.values {
        Some(values) => Ordered::Plain(Json::Object(values.clone())),
        None => NULL,
    };
    let (schema, schema_time) = match &chart.schema {
        Some(schema) => (base64(&schema.data), time(schema.modified)),
        None => (NULL, time(None)),
    };
    Ordered::Struct(vec![
        ("metadata", chart.metadata.to_ordered()),
        ("lock", chart.lock.as_ref().map_or(NULL, lock)),
        ("templates", files(&chart.templates)),
        ("values", values),
        ("schema", schema),
        ("schemamodtime", schema_time),
        ("files", files(&chart.files)),
        ("modtime", time(chart.modified)),
    ])
}

fn lock(lock: &Lock) -> Ordered {
    let dependencies = lock.dependencies.iter().flatten().flatten();
    let dependencies: Vec<Ordered> = dependencies.map(Dependency::to_ordered).collect();
    Ordered::Struct(vec![
        ("generated", lock.generated.as_str().into()),
        ("digest", lock.digest.as_str().into()),
        (
            "dependencies",
            if dependencies.is_empty() {
                NULL
            } else {
                Ordered::List(dependencies)
            },
        ),
    ])
}

fn base64(bytes: &[u8]) -> Ordered {
    Ordered::Plain(Json::String(STANDARD.encode(bytes)))
}

fn files(files: &[File]) -> Ordered {
    if files.is_empty() {
        return NULL;
    }
    let one = |file: &File| {
        Ordered::Struct(vec![
            ("name", file.name.as_str().into()),
            ("data", base64(&file.data)),
            ("modtime", time(file.modified)),
        ])
    };
    Ordered::List(files.iter().map(one).collect())
}

/// Writes a time as Go does: as many digits behind the second as it takes.
fn time(time: Option<ModTime>) -> Ordered {
    let stamp =
        time.and_then(|(seconds, nanos)| Timestamp::new(seconds, i32::try_from(nanos).ok()?).ok());
    match stamp {
        Some(stamp) => Ordered::Plain(Json::String(stamp.to_string())),
        None => ZERO_TIME.into(),
    }
}

fn hook(hook: &Hook) -> Ordered {
    let mut fields: Fields = Vec::new();
    push_text(&mut fields, "name", &hook.name);
    push_text(&mut fields, "kind", &hook.kind);
    push_text(&mut fields, "path", &hook.path);
    push_text(&mut fields, "manifest", &hook.manifest);
    if !hook.events.is_empty() {
        fields.push(("events", texts(hook.events.iter().map(|e| e.as_str()))));
    }
    let mut run: Fields = Vec::new();
    push_text(&mut run, "started_at", &hook.last_run.started_at);
    push_text(&mut run, "completed_at", &hook.last_run.completed_at);
    run.push(("phase", hook.last_run.phase.as_str().into()));
    fields.push(("last_run", Ordered::Struct(run)));
    if hook.weight != 0 {
        fields.push(("weight", Ordered::Plain(hook.weight.into())));
    }
    for (key, policies) in [
        ("delete_policies", &hook.delete_policies),
        ("output_log_policies", &hook.output_log_policies),
    ] {
        if !policies.is_empty() {
            fields.push((key, texts(policies.iter().map(String::as_str))));
        }
    }
    Ordered::Struct(fields)
}

/// Reads the text of a record; fields that nobody knows are left out.
///
/// # Errors
/// What is wrong with it; never with parts of it, which may be secret.
pub fn decode_json(text: &[u8]) -> Result<Release, String> {
    let json: Json = serde_json::from_slice(text).map_err(|e| {
        format!(
            "the record is no JSON at line {} column {}",
            e.line(),
            e.column()
        )
    })?;
    let root = Reader {
        json: Some(&json),
        path: "release",
    };
    root.object()?;
    let chart_json = root.field("chart");
    let info = root.field("info");
    Ok(Release {
        name: root.text("name")?,
        info: Info {
            first_deployed: info.time("first_deployed")?,
            last_deployed: info.time("last_deployed")?,
            deleted: info.time("deleted")?,
            description: info.text("description")?,
            status: Status::from_name(&info.text("status")?),
            notes: info.text("notes")?,
        },
        chart: read_chart(&chart_json)?,
        config: root.field("config").table()?.unwrap_or_default(),
        manifest: root.text("manifest")?,
        hooks: root.field("hooks").list(read_hook)?,
        version: root.integer("version")?,
        namespace: root.text("namespace")?,
        apply_method: match root.text("apply_method")?.as_str() {
            "ssa" => Some(ApplyMethod::ServerSide),
            "csa" => Some(ApplyMethod::ClientSide),
            _ => None,
        },
        labels: Default::default(),
    })
}

/// Reads one value of a record.
struct Reader<'j> {
    json: Option<&'j Json>,
    path: &'j str,
}

impl<'j> Reader<'j> {
    fn field(&self, key: &'j str) -> Reader<'j> {
        Reader {
            json: self
                .json
                .and_then(|json| json.get(key))
                .filter(|json| !json.is_null()),
            path: key,
        }
    }

    fn wrong<T>(&self, wanted: &str) -> Result<T, String> {
        Err(format!("`{}` of the record is no {wanted}", self.path))
    }

    fn object(&self) -> Result<(), String> {
        match self.json {
            Some(Json::Object(_)) => Ok(()),
            _ => self.wrong("object"),
        }
    }

    fn as_text(&self) -> Result<&'j str, String> {
        match self.json {
            None => Ok(""),
            Some(Json::String(text)) => Ok(text),
            Some(_) => self.wrong("text"),
        }
    }

    fn text(&self, key: &'j str) -> Result<String, String> {
        self.field(key).as_text().map(str::to_owned)
    }

    /// A time; Helm 3 writes an empty text and others write the zero time.
    fn time(&self, key: &'j str) -> Result<String, String> {
        let text = self.text(key)?;
        Ok(if text == ZERO_TIME {
            String::new()
        } else {
            text
        })
    }

    fn moment(&self, key: &'j str) -> Result<Option<ModTime>, String> {
        let text = self.time(key)?;
        if text.is_empty() {
            return Ok(None);
        }
        match text.parse::<Timestamp>() {
            Ok(stamp) => {
                let nanos = u32::try_from(stamp.subsec_nanosecond()).unwrap_or(0);
                Ok(Some((stamp.as_second(), nanos)))
            }
            Err(_) => self.field(key).wrong("time"),
        }
    }

    fn integer(&self, key: &'j str) -> Result<i64, String> {
        let field = self.field(key);
        match field.json {
            None => Ok(0),
            Some(json) => json.as_i64().map_or_else(|| field.wrong("integer"), Ok),
        }
    }

    fn table(&self) -> Result<Option<Table>, String> {
        match self.json {
            None => Ok(None),
            Some(Json::Object(table)) => Ok(Some(table.clone())),
            Some(_) => self.wrong("object"),
        }
    }

    fn list<T>(&self, read: fn(&Reader<'j>) -> Result<T, String>) -> Result<Vec<T>, String> {
        match self.json {
            None => Ok(Vec::new()),
            Some(Json::Array(items)) => items
                .iter()
                .map(|json| {
                    read(&Reader {
                        json: Some(json),
                        path: self.path,
                    })
                })
                .collect(),
            Some(_) => self.wrong("list"),
        }
    }

    fn bytes(&self, key: &'j str) -> Result<Vec<u8>, String> {
        let field = self.field(key);
        let text = field.as_text()?;
        STANDARD
            .decode(text)
            .or_else(|_| field.wrong("base64 text"))
    }
}

fn read_chart(reader: &Reader<'_>) -> Result<RecordedChart, String> {
    let mut metadata = Metadata::default();
    if let Some(json) = reader.field("metadata").json {
        // JSON is YAML.
        metadata
            .read_over(json.to_string().as_bytes())
            .or_else(|_| reader.field("metadata").wrong("chart metadata"))?;
    }
    let lock = match reader.field("lock").json {
        None => None,
        Some(json) => Some(
            Lock::read(json.to_string().as_bytes())
                .or_else(|_| reader.field("lock").wrong("lock"))?,
        ),
    };
    let schema = match reader.field("schema").json {
        None => None,
        Some(_) => Some(File {
            name: "values.schema.json".to_owned(),
            data: reader.bytes("schema")?.into(),
            modified: reader.moment("schemamodtime")?,
        }),
    };
    Ok(RecordedChart {
        metadata,
        lock,
        templates: reader.field("templates").list(read_file)?,
        values: reader.field("values").table()?,
        schema,
        files: reader.field("files").list(read_file)?,
        modified: reader.moment("modtime")?,
    })
}

fn read_file(reader: &Reader<'_>) -> Result<File, String> {
    Ok(File {
        name: reader.text("name")?,
        data: reader.bytes("data")?.into(),
        modified: reader.moment("modtime")?,
    })
}

fn read_hook(reader: &Reader<'_>) -> Result<Hook, String> {
    let run = reader.field("last_run");
    let words = |key| -> Result<Vec<String>, String> {
        let read = |one: &Reader<'_>| one.as_text().map(str::to_owned);
        reader.field(key).list(read)
    };
    let events = words("events")?;
    Ok(Hook {
        name: reader.text("name")?,
        kind: reader.text("kind")?,
        path: reader.text("path")?,
        manifest: reader.text("manifest")?,
        events: events
            .iter()
            .filter_map(|name| HookEvent::from_name(name))
            .collect(),
        last_run: HookRun {
            started_at: run.time("started_at")?,
            completed_at: run.time("completed_at")?,
            phase: run.text("phase")?,
        },
        weight: reader.integer("weight")?,
        delete_policies: words("delete_policies")?,
        output_log_policies: words("output_log_policies")?,
    })
}
