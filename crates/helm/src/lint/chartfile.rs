//! What `helm lint` asks of Chart.yaml.

use std::sync::LazyLock;

use serde_json::Value as Json;
use sluice_gotemplate::regexp::Regexp;
use sluice_gotemplate::strconv::quote;
use sluice_version::Version;

use super::{Linted, Linter, Severity, file};
use crate::chart::{Metadata, Read};
use crate::funcs::is_absolute_url;
use crate::values::show_type;

const NAME: &str = "Chart.yaml";

pub(super) fn check(linter: &mut Linter, linted: &Linted) {
    let data: &[u8] = file(linted, NAME).map_or(&[], |f| &f.data);
    let mut metadata = Metadata::default();
    if let Err(problem) = metadata.read_over(data) {
        linter.add(
            Severity::Error,
            NAME,
            format!("unable to parse YAML\n\t{problem}"),
        );
        return;
    }
    if let Err(problem) = Metadata::read_strictly(data) {
        linter.add(
            Severity::Warning,
            NAME,
            format!("failed to strictly parse chart metadata file\n\t{problem}"),
        );
    }
    let types = crate::values::read_table(data).unwrap_or_default();
    let errors = [
        name(&metadata),
        api_version(&metadata),
        is_text(types.get("version"), "version"),
        version(&metadata),
        is_text(types.get("appVersion"), "appVersion"),
        maintainers(&metadata),
        sources(&metadata),
    ];
    for outcome in errors {
        linter.check(Severity::Error, NAME, outcome);
    }
    if metadata.icon.is_empty() {
        linter.add(Severity::Info, NAME, "icon is recommended");
    } else if !is_request_url(&metadata.icon) {
        let text = format!("invalid icon URL '{}'", metadata.icon);
        linter.add(Severity::Error, NAME, text);
    }
    let v2_only = |what: &str| {
        Err(format!(
            "{what} valid in apiVersion 'v2'",
            what = what.replace("%", &metadata.api_version)
        ))
    };
    if !metadata.chart_type.is_empty() && metadata.api_version != "v2" {
        let outcome = v2_only("chart type is not valid in apiVersion '%'. It is");
        linter.check(Severity::Error, NAME, outcome);
    }
    let has_dependencies = metadata.dependencies.iter().flatten().next().is_some();
    if has_dependencies && metadata.api_version != "v2" {
        let outcome =
            v2_only("dependencies are not valid in the Chart file with apiVersion '%'. They are");
        linter.check(Severity::Error, NAME, outcome);
    }
    if Version::parse_strict(&metadata.version).is_err() {
        let text = format!("version '{}' is not a valid SemVerV2", metadata.version);
        linter.add(Severity::Warning, NAME, text);
    }
}

fn name(metadata: &Metadata) -> Read<()> {
    let name = &metadata.name;
    if name.is_empty() {
        return Err("name is required".to_owned());
    }
    if crate::funcs::base_name(name) != *name {
        return Err(format!("chart name {} is invalid", quote(name.as_bytes())));
    }
    Ok(())
}

fn api_version(metadata: &Metadata) -> Read<()> {
    const ALLOWED: &str = "The value must be either \"v1\" or \"v2\"";
    match metadata.api_version.as_str() {
        "" => Err(format!("apiVersion is required. {ALLOWED}")),
        "v1" | "v2" => Ok(()),
        other => Err(format!("apiVersion '{other}' is not valid. {ALLOWED}")),
    }
}

fn is_text(value: Option<&Json>, name: &str) -> Read<()> {
    match value {
        None | Some(Json::String(_)) => Ok(()),
        Some(other) => Err(format!(
            "{name} should be of type string but it's of type {}",
            show_type(other)
        )),
    }
}

fn version(metadata: &Metadata) -> Read<()> {
    let version = &metadata.version;
    if version.is_empty() {
        return Err("version is required".to_owned());
    }
    match Version::parse(version) {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("version '{version}' is not a valid SemVer")),
    }
}

fn maintainers(metadata: &Metadata) -> Read<()> {
    static EMAIL: LazyLock<Regexp> = LazyLock::new(|| {
        Regexp::new(
            r"^(?i)([a-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*|\x22[^\x22]+\x22)@([a-z0-9]([a-z0-9._~-]*[a-z0-9])?\.)+([a-z]|[a-z][a-z0-9._~-]*[a-z])\.?$",
        )
        .expect("the constant is a regular expression")
    });
    for maintainer in &metadata.maintainers {
        let Some(maintainer) = maintainer else {
            return Err("a maintainer entry is empty".to_owned());
        };
        if maintainer.name.is_empty() {
            return Err("each maintainer requires a name".to_owned());
        }
        let (email, url, name) = (&maintainer.email, &maintainer.url, &maintainer.name);
        if !email.is_empty() && !EMAIL.is_match(email.as_bytes()) {
            return Err(format!("invalid email '{email}' for maintainer '{name}'"));
        }
        if !url.is_empty() && !is_url(url) {
            return Err(format!("invalid url '{url}' for maintainer '{name}'"));
        }
    }
    Ok(())
}

fn sources(metadata: &Metadata) -> Read<()> {
    match metadata.sources.iter().find(|s| !is_request_url(s)) {
        None => Ok(()),
        Some(source) => Err(format!("invalid source URL '{source}'")),
    }
}

/// Whether a text is a URL with a scheme.
fn is_request_url(text: &str) -> bool {
    is_absolute_url(text)
}

/// Whether a text is an address of the web, the scheme of which may be left
/// out.
fn is_url(text: &str) -> bool {
    if text.len() <= 3 || text.len() >= 2083 || text.starts_with('.') {
        return false;
    }
    let full = match text.split_once("://") {
        Some(("http" | "https" | "ftp" | "tcp" | "udp" | "ws" | "wss", _)) => text.to_owned(),
        Some(_) => return false,
        None => format!("http://{text}"),
    };
    url::Url::parse(&full).is_ok_and(|url| {
        url.host_str()
            .is_some_and(|host| host.contains('.') || host == "localhost" || host.contains(':'))
    })
}
