//! Addresses of remotes: `http(s)://`, `ssh://`, scp form, `file://` and paths.

use std::fmt;
use std::path::{Path, PathBuf};

/// Where a repository is.
#[derive(Clone, PartialEq, Eq)]
pub enum RemoteUrl {
    /// Smart HTTP.
    Http(url::Url),
    /// Git over SSH.
    Ssh(SshUrl),
    /// A work tree or bare repository on the local disk.
    Local(PathBuf),
}

/// The parts of an SSH address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshUrl {
    /// The user in the address.
    pub user: Option<String>,
    /// Name or address of the host, without brackets.
    pub host: String,
    /// The port, 22 unless told otherwise.
    pub port: u16,
    /// The repository's path as the server has to get it.
    pub path: String,
}

/// An address cannot be read. The text is the one of Go's URL parser where the fault is known to it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("parse \"{url}\": {reason}")]
pub struct UrlError {
    /// The address, without its password.
    pub url: String,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Debug for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteUrl({self})")
    }
}

/// Without the password.
impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RemoteUrl::Http(url) => f.write_str(&redact(url.as_str())),
            RemoteUrl::Ssh(url) => url.fmt(f),
            RemoteUrl::Local(path) => write!(f, "file://{}", path.display()),
        }
    }
}

impl fmt::Display for SshUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ssh://")?;
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        if self.port != 22 {
            write!(f, ":{}", self.port)?;
        }
        write!(f, "/{}", self.path.trim_start_matches('/'))
    }
}

impl RemoteUrl {
    /// Parses an address with a scheme: `http`, `https`, `ssh` or `file`.
    ///
    /// # Errors
    /// When the address has another scheme or none, or cannot be read.
    pub fn parse(text: &str) -> Result<RemoteUrl, UrlError> {
        let fail = |reason: String| UrlError {
            url: redact(text),
            reason,
        };
        if let Some(reason) = go_complaint(text) {
            return Err(fail(reason));
        }
        let url = url::Url::parse(text).map_err(|error| fail(error.to_string()))?;
        let host = || match url.host() {
            Some(url::Host::Ipv6(address)) => Ok(address.to_string()),
            Some(host) => Ok(host.to_string()),
            None => Err(fail("no host in address".to_owned())),
        };
        match url.scheme() {
            "http" | "https" => {
                host()?;
                Ok(RemoteUrl::Http(url))
            }
            "ssh" => {
                let path = decode(url.path());
                Ok(RemoteUrl::Ssh(SshUrl {
                    user: Some(decode(url.username())).filter(|user| !user.is_empty()),
                    host: host()?,
                    port: url.port().unwrap_or(22),
                    // `/~user/x` means that user's home, which the server wants without the slash.
                    path: if path.starts_with("/~") {
                        path[1..].to_owned()
                    } else {
                        path
                    },
                }))
            }
            "file" => match url.to_file_path() {
                Ok(path) => Ok(RemoteUrl::Local(path)),
                Err(()) => Err(fail("not a local path".to_owned())),
            },
            other => Err(fail(format!("unsupported scheme `{other}`"))),
        }
    }

    /// Parses whatever `git clone` takes: an address, the scp form `[user@]host:path`, or a path.
    ///
    /// # Errors
    /// As [`RemoteUrl::parse`].
    pub fn parse_lenient(text: &str) -> Result<RemoteUrl, UrlError> {
        if text.contains("://") {
            return RemoteUrl::parse(text);
        }
        if let Some(scp) = parse_scp(text) {
            return Ok(RemoteUrl::Ssh(scp));
        }
        if text.is_empty() {
            return Err(UrlError {
                url: String::new(),
                reason: "empty url".to_owned(),
            });
        }
        Ok(RemoteUrl::Local(PathBuf::from(text)))
    }

    /// Whether both spell the same repository: scheme, user, port, a trailing `.git` or slash, and
    /// the case of the host do not matter.
    pub fn same_repository(&self, other: &RemoteUrl) -> bool {
        self.identity() == other.identity()
    }

    fn identity(&self) -> (String, String) {
        let (host, path) = match self {
            RemoteUrl::Http(url) => (
                url.host_str().unwrap_or_default().to_lowercase(),
                decode(url.path()),
            ),
            RemoteUrl::Ssh(ssh) => (ssh.host.to_lowercase(), ssh.path.clone()),
            RemoteUrl::Local(path) => (String::new(), canonical(path)),
        };
        let path = path.trim_matches('/');
        (
            host,
            path.strip_suffix(".git")
                .unwrap_or(path)
                .trim_end_matches('/')
                .to_owned(),
        )
    }
}

fn canonical(path: &Path) -> String {
    // A work tree and its `.git` folder are one repository.
    let path = if path.ends_with(".git") {
        path.parent().unwrap_or(path)
    } else {
        path
    };
    path.to_string_lossy().into_owned()
}

/// `[user@]host:path`; a colon after a slash makes a path of it.
fn parse_scp(text: &str) -> Option<SshUrl> {
    let (user, rest) = match text.split_once('@') {
        Some((user, rest)) if !user.contains(['/', ':']) => (Some(user.to_owned()), rest),
        _ => (None, text),
    };
    let (host, path) = match rest.strip_prefix('[') {
        Some(bracketed) => {
            let (host, path) = bracketed.split_once("]:")?;
            (host, path)
        }
        None => rest.split_once(':')?,
    };
    // One letter is a drive on other systems and never a host in practice.
    if host.is_empty() || host.contains('/') || host.len() == 1 || path.is_empty() {
        return None;
    }
    Some(SshUrl {
        user,
        host: host.to_owned(),
        port: 22,
        path: path.to_owned(),
    })
}

/// What Go's URL parser says about an authority, for the faults that it finds first.
fn go_complaint(text: &str) -> Option<String> {
    if text.bytes().any(|b| b < 0x20 || b == 0x7f) {
        return Some("net/url: invalid control character in URL".to_owned());
    }
    let (_, rest) = text.split_once("://")?;
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let port = match host.rfind(']') {
        Some(end) => &host[end + 1..],
        None => host.find(':').map_or("", |colon| &host[colon..]),
    };
    let valid_port = port.is_empty()
        || port
            .strip_prefix(':')
            .is_some_and(|p| p.bytes().all(|b| b.is_ascii_digit()));
    if !valid_port {
        return Some(format!("invalid port \"{port}\" after host"));
    }
    host.chars()
        .find(|c| {
            matches!(
                c,
                ' ' | '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}'
            )
        })
        .map(|c| format!("invalid character {:?} in host name", c.to_string()))
}

/// An address with its password replaced, by text, so that it works for addresses that cannot be
/// parsed too.
pub fn redact(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rsplit_once('@') {
        Some((userinfo, host)) => match userinfo.split_once(':') {
            Some((user, _)) => format!("{scheme}://{user}:xxxxx@{host}{}", &rest[end..]),
            None => text.to_owned(),
        },
        None => text.to_owned(),
    }
}

/// Percent-decodes; what is no valid escape stays.
pub(crate) fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = bytes
            .get(at + 1..at + 3)
            .filter(|_| bytes[at] == b'%')
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        match escape {
            Some(byte) => {
                out.push(byte);
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spellings_of_a_repository_are_one() {
        let all = [
            "https://github.com/org/app",
            "https://GitHub.com/org/app.git",
            "https://user:token@github.com/org/app.git/",
            "ssh://git@github.com/org/app.git",
            "ssh://git@github.com:22/org/app",
            "git@github.com:org/app.git",
            "github.com:org/app",
        ];
        let first = RemoteUrl::parse_lenient(all[0]).unwrap();
        for other in all {
            assert!(
                first.same_repository(&RemoteUrl::parse_lenient(other).unwrap()),
                "{other}"
            );
        }
        for other in [
            "https://github.com/org/app2",
            "https://gitlab.com/org/app",
            "/org/app",
        ] {
            assert!(
                !first.same_repository(&RemoteUrl::parse_lenient(other).unwrap()),
                "{other}"
            );
        }
        let local = RemoteUrl::parse_lenient("/srv/app").unwrap();
        assert!(local.same_repository(&RemoteUrl::parse("file:///srv/app/.git").unwrap()));
    }

    #[test]
    fn ssh_addresses_give_what_the_server_needs() {
        let ssh = |text| match RemoteUrl::parse_lenient(text).unwrap() {
            RemoteUrl::Ssh(ssh) => ssh,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            ssh("ssh://git@[::1]:2222/a%20b.git"),
            SshUrl {
                user: Some("git".into()),
                host: "::1".into(),
                port: 2222,
                path: "/a b.git".into()
            }
        );
        assert_eq!(ssh("ssh://host/~me/x").path, "~me/x");
        assert_eq!(ssh("me@host:x/y").path, "x/y");
        assert_eq!(ssh("[::1]:x").host, "::1");
        assert!(matches!(
            RemoteUrl::parse_lenient("./a:b"),
            Ok(RemoteUrl::Local(_))
        ));
        assert!(matches!(
            RemoteUrl::parse_lenient("c:/x"),
            Ok(RemoteUrl::Local(_))
        ));
    }

    #[test]
    fn faults_are_told_as_flux_tells_them_and_without_passwords() {
        let fault = |text| RemoteUrl::parse(text).unwrap_err().to_string();
        assert_eq!(
            fault("http://exa mple.com:x/app.git"),
            "parse \"http://exa mple.com:x/app.git\": invalid port \":x\" after host"
        );
        assert_eq!(
            fault("http://exa mple.com/app.git"),
            "parse \"http://exa mple.com/app.git\": invalid character \" \" in host name"
        );
        assert_eq!(
            fault("https://u:secret@host:x/"),
            "parse \"https://u:xxxxx@host:x/\": invalid port \":x\" after host"
        );
        assert!(fault("ftp://host/x").contains("unsupported scheme `ftp`"));
        assert_eq!(
            RemoteUrl::parse("https://u:secret@host/x")
                .unwrap()
                .to_string(),
            "https://u:xxxxx@host/x"
        );
    }

    proptest! {
        #[test]
        fn no_text_can_panic(text in "(https?|ssh|file)?(://)?[a-z:@/%\\[\\] é.]{0,20}") {
            let _ = RemoteUrl::parse(&text);
            if let Ok(url) = RemoteUrl::parse_lenient(&text) {
                let _ = url.to_string();
                prop_assert!(url.same_repository(&url));
            }
        }
    }
}
