//! Charts in OCI registries: the little of the distribution protocol that it
//! takes to have one. Nothing is pushed and nothing is kept.

use std::cell::RefCell;
use std::path::PathBuf;

use base64::Engine as _;
use reqwest::StatusCode;
use reqwest::blocking::Response;
use reqwest::header::{ACCEPT, LINK, WWW_AUTHENTICATE};
use serde_json::Value as Json;
use sluice_helm::chart::MAX_ARCHIVE_BYTES;
use sluice_helm::package::sha256;
use sluice_version::{Constraint, Version};

use super::repositories::{Fetcher, body, told};
use super::{Done, Environment, HelmError, fail};

/// What an address in a registry starts with.
pub(super) const SCHEME: &str = "oci://";
/// Most bytes of a manifest, a page of tags or a token.
const MAX_TEXT_BYTES: u64 = 4 << 20;
/// Most pages of tags that are read.
const MAX_PAGES: usize = 100;
/// What a registry may answer a request for a manifest with.
const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, \
                         application/vnd.docker.distribution.manifest.v2+json";
const CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";
const CONTENT: [&str; 2] = [
    "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
    "application/tar+gzip",
];

/// A place in a registry: `host/path[:tag][@digest]`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Reference {
    host: String,
    repository: String,
    tag: String,
    digest: String,
}

impl Reference {
    fn parse(text: &str) -> Done<Self> {
        let wrong = |what: String| fail(format!("invalid reference: {what}"));
        let rest = text.strip_prefix(SCHEME).unwrap_or(text);
        let (rest, digest) = rest.split_once('@').unwrap_or((rest, ""));
        let Some((host, path)) = rest.split_once('/') else {
            return wrong("missing registry or repository".to_owned());
        };
        let (repository, tag) = path.split_once(':').unwrap_or((path, ""));
        let is_word = |part: &str| {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
            part.starts_with(plain)
                && part.ends_with(plain)
                && part.chars().all(|c| plain(c) || "._-".contains(c))
        };
        if host.is_empty() || host.contains(['?', '#', '\\']) {
            return wrong(format!("invalid registry {host:?}"));
        }
        if !repository.split('/').all(is_word) {
            return wrong(format!("invalid repository {repository:?}"));
        }
        let is_tag = |c: char| c.is_ascii_alphanumeric() || "_.-+".contains(c);
        if !tag.chars().all(is_tag) || tag.starts_with(['.', '-', '+']) || tag.len() > 128 {
            return wrong(format!("invalid tag {tag:?}"));
        }
        let hex = digest.strip_prefix("sha256:").unwrap_or_default();
        if !digest.is_empty() && (hex.len() != 64 || !hex.chars().all(|c| c.is_ascii_hexdigit())) {
            return wrong(format!("invalid digest {digest:?}"));
        }
        Ok(Reference {
            host: host.to_owned(),
            repository: repository.to_owned(),
            tag: tag.to_owned(),
            digest: digest.to_owned(),
        })
    }

    /// What is asked for, as Helm shows it.
    fn shown(&self) -> String {
        let Reference {
            host,
            repository,
            tag,
            digest,
        } = self;
        match digest.is_empty() {
            true => format!("{host}/{repository}:{tag}"),
            false => format!("{host}/{repository}@{digest}"),
        }
    }
}

/// A registry, and who asks it.
struct Registry<'f> {
    fetcher: &'f Fetcher,
    address: String,
    credentials: Option<(String, String)>,
    token: RefCell<Option<String>>,
}

impl<'f> Registry<'f> {
    fn new(fetcher: &'f Fetcher, host: &str, env: &Environment<'_>) -> Self {
        let scheme = match fetcher.plain_http {
            true => "http",
            false => "https",
        };
        Registry {
            fetcher,
            address: format!("{scheme}://{host}/v2/"),
            credentials: fetcher.credentials().or_else(|| saved(host, env)),
            token: RefCell::new(None),
        }
    }

    /// Asks once, and again with credentials if the registry wants some.
    fn ask(&self, url: &str, accept: &str) -> Done<Response> {
        let send = || {
            let mut request = self.fetcher.client.get(url);
            if !accept.is_empty() {
                request = request.header(ACCEPT, accept);
            }
            match (&*self.token.borrow(), &self.credentials) {
                (Some(token), _) if !token.is_empty() => request = request.bearer_auth(token),
                (Some(_), Some((name, word))) => request = request.basic_auth(name, Some(word)),
                _ => {}
            }
            request.send().map_err(|e| HelmError(told(url, &e)))
        };
        let response = send()?;
        if response.status() != StatusCode::UNAUTHORIZED || self.token.borrow().is_some() {
            return Ok(response);
        }
        let challenge = response.headers().get(WWW_AUTHENTICATE);
        let challenge = challenge.and_then(|text| text.to_str().ok()).unwrap_or("");
        let token = match challenge.split_once(' ') {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => self.token(rest)?,
            // The name and password themselves.
            _ if self.credentials.is_some() => String::new(),
            _ => return Ok(response),
        };
        *self.token.borrow_mut() = Some(token);
        send()
    }

    /// Has a token from where a challenge says.
    fn token(&self, challenge: &str) -> Done<String> {
        let parameter = |name: &str| {
            let at = challenge.find(&format!("{name}=\""))? + name.len() + 2;
            challenge[at..].split('"').next()
        };
        let realm = parameter("realm").unwrap_or_default();
        let mut url = url::Url::parse(realm)?;
        if url.scheme() != "https" && !self.fetcher.plain_http {
            return fail(format!("{realm}: tokens are only had over https"));
        }
        for name in ["scope", "service"] {
            if let Some(value) = parameter(name) {
                url.query_pairs_mut().append_pair(name, value);
            }
        }
        let mut request = self.fetcher.client.get(url.clone());
        if let Some((name, word)) = &self.credentials {
            request = request.basic_auth(name, Some(word));
        }
        let response = request.send().map_err(|e| HelmError(told(realm, &e)))?;
        let answer: Json =
            serde_json::from_slice(&body(realm, accepted(response)?, MAX_TEXT_BYTES)?)?;
        let token = answer.get("token").or_else(|| answer.get("access_token"));
        match token.and_then(Json::as_str) {
            Some(token) if !token.is_empty() => Ok(token.to_owned()),
            _ => fail(format!("{realm}: empty token returned")),
        }
    }

    /// The tags that are versions, the highest first, each as a version.
    fn versions(&self, repository: &str) -> Done<Vec<Version>> {
        let mut versions = Vec::new();
        let mut next = Some(format!("{}{repository}/tags/list", self.address));
        for _ in 0..MAX_PAGES {
            let Some(url) = next.take() else { break };
            let response = accepted(self.ask(&url, "")?)?;
            next = following(&url, &response);
            let page: Json = serde_json::from_slice(&body(&url, response, MAX_TEXT_BYTES)?)?;
            let tags = page.get("tags").and_then(Json::as_array);
            let tags = tags.into_iter().flatten().filter_map(Json::as_str);
            versions
                .extend(tags.filter_map(|tag| Version::parse_strict(&tag.replace('_', "+")).ok()));
        }
        versions.sort_by(|a, b| b.cmp(a));
        Ok(versions)
    }

    /// As [`choose`].
    fn choose(&self, repository: &str, version: &str) -> Done<String> {
        if Version::parse(version).is_ok() {
            return Ok(version.to_owned());
        }
        let versions = self.versions(repository)?;
        let constraint = Constraint::parse(if version.is_empty() { "*" } else { version })?;
        match versions.iter().find(|v| constraint.check(v)) {
            Some(found) => Ok(found.original().to_owned()),
            None => fail(format!(
                "could not locate a version matching provided version string {version}"
            )),
        }
    }

    /// The manifest of a chart, and its digest.
    fn manifest(&self, reference: &Reference) -> Done<(Json, String)> {
        let asked = match reference.digest.is_empty() {
            true => &reference.tag,
            false => &reference.digest,
        };
        let url = format!("{}{}/manifests/{asked}", self.address, reference.repository);
        let failed = |HelmError(text): HelmError| {
            HelmError(format!(
                "failed to perform \"FetchReference\" on source: {text}"
            ))
        };
        let response = self.ask(&url, MANIFESTS).map_err(failed)?;
        if response.status() == StatusCode::NOT_FOUND {
            return Err(failed(HelmError(format!(
                "{}: not found",
                reference.shown()
            ))));
        }
        let bytes = body(&url, accepted(response).map_err(failed)?, MAX_TEXT_BYTES)?;
        let found = format!("sha256:{}", sha256(&bytes));
        if !reference.digest.is_empty() && reference.digest != found {
            return Err(failed(HelmError(format!(
                "{}: mismatch digest: {found}",
                reference.shown()
            ))));
        }
        Ok((serde_json::from_slice(&bytes)?, found))
    }

    /// The archive that a manifest lists.
    fn archive(&self, reference: &Reference, manifest: &Json) -> Done<Vec<u8>> {
        let text = |value: &Json, key: &str| {
            let value = value.get(key).and_then(Json::as_str);
            value.unwrap_or_default().to_owned()
        };
        let config = manifest.get("config").map(|c| text(c, "mediaType"));
        if config.as_deref() != Some(CONFIG) {
            return fail(format!(
                "could not load config with mediatype {CONFIG}: {} is no chart",
                reference.shown()
            ));
        }
        let layers = manifest.get("layers").and_then(Json::as_array);
        let layer = layers
            .into_iter()
            .flatten()
            .find(|layer| CONTENT.contains(&&*text(layer, "mediaType")));
        let Some(layer) = layer else {
            return fail(format!(
                "manifest does not contain a layer with mediatype {}",
                CONTENT[0]
            ));
        };
        let wanted = text(layer, "digest");
        if !wanted.starts_with("sha256:") || wanted.contains('/') {
            return fail(format!(
                "{}: unsupported digest {wanted:?}",
                reference.shown()
            ));
        }
        let url = format!("{}{}/blobs/{wanted}", self.address, reference.repository);
        let bytes = body(&url, accepted(self.ask(&url, "")?)?, MAX_ARCHIVE_BYTES)?;
        match format!("sha256:{}", sha256(&bytes)) == wanted {
            true => Ok(bytes),
            false => fail(format!(
                "{url}: content is not what its digest {wanted} says"
            )),
        }
    }
}

/// Refuses an answer that is none, in the registry's words.
fn accepted(response: Response) -> Done<Response> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let mut url = response.url().clone();
    // Where a registry has sent us to, it may hold a signature.
    url.set_query(None);
    let text = body(url.as_str(), response, MAX_TEXT_BYTES).unwrap_or_default();
    let errors: Json = serde_json::from_slice(&text).unwrap_or_default();
    let told = errors.pointer("/errors/0").map(|error| {
        let part = |key: &str| error.get(key).and_then(Json::as_str).unwrap_or_default();
        let code = part("code").to_lowercase().replace('_', " ");
        format!("{code}: {}", part("message"))
    });
    let told = told.unwrap_or_else(|| status.canonical_reason().unwrap_or_default().to_owned());
    let code = status.as_u16();
    fail(format!(
        "GET {:?}: response status code {code}: {told}",
        url.as_str()
    ))
}

/// The next page, if the registry names one on itself.
fn following(url: &str, response: &Response) -> Option<String> {
    let link = response.headers().get(LINK)?.to_str().ok()?;
    let target = link.trim_start().strip_prefix('<')?.split('>').next()?;
    let here = url::Url::parse(url).ok()?;
    let next = here.join(target).ok()?;
    (next.origin() == here.origin()).then(|| next.into())
}

/// The name and password that `helm registry login` or `docker login` has saved
/// for a host. Programs that keep them elsewhere are not run.
fn saved(host: &str, env: &Environment<'_>) -> Option<(String, String)> {
    let helm = env.helm.registry_config.clone().or_else(|| {
        let config = super::repositories::config_folder()?;
        Some(config.join("registry/config.json"))
    });
    let docker = match std::env::var_os("DOCKER_CONFIG") {
        Some(folder) => Some(PathBuf::from(folder).join("config.json")),
        None => {
            std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".docker/config.json"))
        }
    };
    [helm, docker].into_iter().flatten().find_map(|path| {
        let file: Json = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
        let coded = file.get("auths")?.get(host)?.get("auth")?.as_str()?;
        let plain = base64::engine::general_purpose::STANDARD
            .decode(coded)
            .ok()?;
        let plain = String::from_utf8(plain).ok()?;
        let (name, word) = plain.split_once(':')?;
        Some((name.to_owned(), word.to_owned()))
    })
}

/// The address of a chart in a repository that is a registry.
pub(super) fn chart_address(repository: &str, name: &str) -> String {
    format!("{}/{name}", repository.trim_end_matches('/'))
}

/// Chooses the version of a chart that a registry has: `version` itself when it
/// is one, otherwise the highest that it allows.
///
/// # Errors
/// Helm's text: there is none, or the registry does not say.
pub(super) fn choose(
    fetcher: &Fetcher,
    env: &Environment<'_>,
    reference: &str,
    version: &str,
) -> Done<String> {
    let Reference {
        host, repository, ..
    } = Reference::parse(reference)?;
    Registry::new(fetcher, &host, env).choose(&repository, version)
}

/// Has the archive of a chart, and tells which one it was.
///
/// # Errors
/// Helm's text.
pub(super) fn pull(
    fetcher: &Fetcher,
    env: &mut Environment<'_>,
    reference: &str,
    version: &str,
) -> Done<Vec<u8>> {
    let mut parsed = Reference::parse(reference)?;
    if !parsed.tag.is_empty() && !version.is_empty() && parsed.tag != version {
        return fail(format!(
            "chart reference and version mismatch: {version} is not {}",
            parsed.tag
        ));
    }
    let registry = Registry::new(fetcher, &parsed.host, env);
    if parsed.digest.is_empty() {
        let wanted = if parsed.tag.is_empty() {
            version
        } else {
            &parsed.tag
        };
        let chosen = registry.choose(&parsed.repository, wanted)?;
        parsed.tag = chosen.replace('+', "_");
    }
    let (manifest, digest) = registry.manifest(&parsed)?;
    let bytes = registry.archive(&parsed, &manifest)?;
    let shown = parsed.shown();
    writeln!(env.out, "Pulled: {shown}\nDigest: {digest}")?;
    if shown.contains('_') {
        writeln!(
            env.out,
            "{shown} contains an underscore.\n\n\
             OCI artifact references (e.g. tags) do not support the plus sign (+). To support\n\
             storing semantic versions, Helm adopts the convention of changing plus (+) to\n\
             an underscore (_) in chart version tags when pushing to a registry and back to\n\
             a plus (+) when pulling from a registry."
        )?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_have_a_host_a_path_and_a_tag_or_digest() {
        let hex = "a".repeat(64);
        for (text, want) in [
            ("oci://h/a/b", Ok("h/a/b:")),
            ("oci://h:5000/a-b/c.d:1.0_x", Ok("h:5000/a-b/c.d:1.0_x")),
            ("oci://h", Err("missing registry or repository")),
            ("oci://h/A", Err("invalid repository \"A\"")),
            ("oci://h/a/../b", Err("invalid repository \"a/../b\"")),
            ("oci://h/a:x^", Err("invalid tag \"x^\"")),
            ("oci://h/a@sha256:aa", Err("invalid digest \"sha256:aa\"")),
        ] {
            let got = Reference::parse(text).map(|r| r.shown());
            let want = want.map(str::to_owned);
            let want = want.map_err(|e| format!("invalid reference: {e}"));
            assert_eq!(got.map_err(|HelmError(text)| text), want, "{text}");
        }
        let digest = Reference::parse(&format!("oci://h/a:1@sha256:{hex}")).expect("valid");
        assert_eq!(digest.shown(), format!("h/a@sha256:{hex}"));
    }
}
