//! URLs of repositories, as `resources` may name them.

/// A repository, a revision, and a directory in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepoSpec {
    /// The text as it was given.
    pub raw: String,
    /// Scheme, user and host, e.g. `https://github.com/`.
    pub host: String,
    /// The path of the repository on the host.
    pub repository: String,
    /// The directory in the repository; empty for the top.
    pub path: String,
    /// The revision; empty for the default branch.
    pub revision: String,
    /// How long fetching may take, in seconds.
    pub timeout_seconds: u64,
    /// Whether submodules are fetched.
    pub submodules: bool,
}

const DEFAULT_TIMEOUT: u64 = 27;

impl RepoSpec {
    /// What to clone.
    pub fn clone_url(&self) -> String {
        format!("{}{}", self.host, self.repository)
    }

    /// Reads a URL. `None` means that the text is none: a local path.
    ///
    /// The error of the inner result is that of a URL whose path climbs out
    /// of the repository.
    pub fn parse(text: &str) -> Option<Result<RepoSpec, String>> {
        if text.is_empty() || text.starts_with('/') {
            return None;
        }
        let (location, query) = text.split_once('?').unwrap_or((text, ""));
        let (host, rest) = split_host(location)?;
        let is_file = host.eq_ignore_ascii_case("file://");
        let (repository, path) = split_path(rest, is_file)?;
        if repository.trim_matches('/').is_empty() {
            return None;
        }
        if path == ".." || path.starts_with("../") {
            return Some(Err(format!("url path exits repo: {text}")));
        }
        let mut spec = RepoSpec {
            raw: text.to_owned(),
            host,
            repository,
            path,
            revision: String::new(),
            timeout_seconds: DEFAULT_TIMEOUT,
            submodules: true,
        };
        spec.read_query(query);
        Some(Ok(spec))
    }

    fn read_query(&mut self, query: &str) {
        let values = |name: &str| {
            query
                .split('&')
                .filter_map(|pair| pair.split_once('='))
                .filter(|(key, value)| *key == name && !value.is_empty())
                .map(|(_, value)| percent_decode(value))
                .next()
        };
        self.revision = values("ref")
            .or_else(|| values("version"))
            .unwrap_or_default();
        if let Some(timeout) = values("timeout") {
            let seconds = timeout
                .parse::<u64>()
                .ok()
                .or_else(|| duration_seconds(&timeout));
            if let Some(seconds) = seconds.filter(|seconds| *seconds > 0) {
                self.timeout_seconds = seconds;
            }
        }
        if let Some("false" | "0" | "f" | "F" | "FALSE" | "False") = values("submodules").as_deref()
        {
            self.submodules = false;
        }
    }
}

/// Splits the text behind scheme, user and host.
fn split_host(text: &str) -> Option<(String, &str)> {
    let strip = |text: &'_ str, prefix: &str| -> Option<usize> {
        let head = text.get(..prefix.len())?;
        head.eq_ignore_ascii_case(prefix).then_some(prefix.len())
    };
    let text = match strip(text, "git::") {
        Some(at) => &text[at..],
        None => text,
    };
    let mut rest = text;
    let mut scheme = "";
    for candidate in ["ssh://", "https://", "http://", "file://"] {
        if let Some(at) = strip(text, candidate) {
            scheme = candidate;
            rest = &text[at..];
            break;
        }
    }
    if scheme == "file://" {
        return Some((scheme.to_owned(), rest));
    }
    let (user, after_user) = match rest.split_once('@') {
        Some((user, after)) if is_user(user) => (Some(user), after),
        _ => (None, rest),
    };
    let github = ["github.com/", "github.com:"]
        .iter()
        .find_map(|prefix| strip(after_user, prefix));
    if let Some(at) = github {
        let path = &after_user[at..];
        let host = match (scheme, user) {
            ("ssh://", None) => "git@github.com:".to_owned(),
            (_, Some(user)) => format!("{user}@github.com:"),
            _ => "https://github.com/".to_owned(),
        };
        return Some((host, path));
    }
    if scheme.is_empty() {
        // `user@host:path`
        let user = user?;
        let (host, path) = after_user.split_once(':')?;
        if host.is_empty() || host.contains('/') {
            return None;
        }
        return Some((format!("{user}@{host}:"), path));
    }
    let at = after_user.find('/')?;
    let (host, path) = after_user.split_at(at + 1);
    let user = user.map(|user| format!("{user}@")).unwrap_or_default();
    Some((format!("{scheme}{user}{host}"), path))
}

fn is_user(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// Splits the path into the repository and the directory in it.
fn split_path(text: &str, is_file: bool) -> Option<(String, String)> {
    let inner = |path: &str| -> String {
        let cleaned = crate::fs::clean(path.trim_start_matches('/'));
        if cleaned == "." {
            String::new()
        } else {
            cleaned
        }
    };
    if let Some(at) = text.find("_git/") {
        let behind = at + "_git/".len();
        let end = text[behind..]
            .find('/')
            .map_or(text.len(), |slash| behind + slash);
        return Some((text[..end].to_owned(), inner(&text[end..])));
    }
    if let Some(at) = text.find("//") {
        return Some((text[..at].to_owned(), inner(&text[at + 2..])));
    }
    if let Some(at) = text.find(".git") {
        let end = at + ".git".len();
        if text[end..].is_empty() || text[end..].starts_with('/') {
            return Some((text[..end].to_owned(), inner(&text[end..])));
        }
    }
    if is_file {
        return Some((text.to_owned(), String::new()));
    }
    let mut slashes = text.match_indices('/').map(|(at, _)| at);
    let first = slashes.next()?;
    if first + 1 >= text.len() {
        return None;
    }
    let end = slashes.next().unwrap_or(text.len());
    Some((text[..end].to_owned(), inner(&text[end..])))
}

fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = |b: Option<&u8>| b.and_then(|b| (*b as char).to_digit(16));
        match bytes[at] {
            b'%' => {
                if let (Some(high), Some(low)) = (hex(bytes.get(at + 1)), hex(bytes.get(at + 2))) {
                    out.push((high * 16 + low) as u8);
                    at += 3;
                    continue;
                }
                out.push(b'%');
            }
            b'+' => out.push(b' '),
            other => out.push(other),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Go's durations, as far as whole seconds go: `1m30s`.
fn duration_seconds(text: &str) -> Option<u64> {
    let mut total = 0u64;
    let mut digits = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '0'..='9' => digits.push(c),
            'h' | 'm' | 's' => {
                let value: u64 = std::mem::take(&mut digits).parse().ok()?;
                let unit = match c {
                    'h' => 3600,
                    'm' if chars.as_str().starts_with('s') => return Some(total),
                    'm' => 60,
                    _ => 1,
                };
                total = total.checked_add(value.checked_mul(unit)?)?;
            }
            _ => return None,
        }
    }
    digits.is_empty().then_some(total)
}
