//! `urlParse` and `urlJoin`: Go's net/url.

use sluice_gotemplate::strconv::quote;
use sluice_gotemplate::{ANY_MAP, CallError, Value};

use super::convert::{STRING, map, string, utf8};
use super::{Entry, fail, fixed};

pub(crate) const TABLE: &[Entry] = &[
    fixed("urlParse", &[STRING], ANY_MAP, |_, a| {
        let text = utf8(&a[0]);
        let url = Url::parse(&text).map_err(|why| {
            CallError::new(format!("unable to parse url: {}", url_error(&text, &why)))
        })?;
        let hostname = url.hostname();
        let userinfo = url.user.map_or_else(String::new, |u| u.text());
        Ok(Value::map([
            ("scheme", Value::from(url.scheme)),
            ("host", Value::from(url.host)),
            ("hostname", Value::from(hostname)),
            ("query", Value::from(url.query)),
            ("opaque", Value::from(url.opaque)),
            ("fragment", Value::from(url.fragment)),
            ("path", Value::from(url.path)),
            ("userinfo", Value::from(userinfo)),
        ]))
    }),
    fixed("urlJoin", &[ANY_MAP], STRING, |_, a| {
        let parts = map(&a[0]);
        let part = |key: &str| match parts.get(key.as_bytes()) {
            None => Ok(String::new()),
            Some(Value::Str(s)) => Ok(s.to_string()),
            Some(other) => fail(format!(
                "unable to parse {key} key, must be of type string, but {} found",
                other.kind()
            )),
        };
        let mut url = Url {
            scheme: part("scheme")?,
            host: part("host")?,
            path: part("path")?,
            query: part("query")?,
            opaque: part("opaque")?,
            fragment: part("fragment")?,
            ..Url::default()
        };
        let userinfo = part("userinfo")?;
        if !userinfo.is_empty() {
            let text = format!("proto://{userinfo}@host");
            url.user = Url::parse(&text)
                .map_err(|why| {
                    CallError::new(format!(
                        "unable to parse userinfo in dict: {}",
                        url_error(&text, &why)
                    ))
                })?
                .user;
        }
        string(url.text())
    }),
];

/// Checks that a text is a URL or the relative form of one; Go's text if not.
pub(crate) fn check(text: &str) -> Result<(), String> {
    Url::parse(text)
        .map(|_| ())
        .map_err(|why| url_error(text, &why))
}

/// Whether a URL has a scheme.
pub(crate) fn is_absolute(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| !url.scheme.is_empty())
}

fn url_error(text: &str, why: &str) -> String {
    format!("parse {}: {why}", quote(text.as_bytes()))
}

#[derive(Debug, Default)]
struct Url {
    scheme: String,
    opaque: String,
    user: Option<User>,
    host: String,
    path: String,
    raw_path: String,
    force_query: bool,
    query: String,
    fragment: String,
    raw_fragment: String,
    omit_host: bool,
}

#[derive(Debug)]
struct User {
    name: String,
    password: Option<String>,
}

impl User {
    fn text(&self) -> String {
        let name = escape(&self.name, Part::User);
        match &self.password {
            None => name,
            Some(password) => format!("{name}:{}", escape(password, Part::User)),
        }
    }
}

/// Where a text stands in a URL, which rules what is escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Path,
    User,
    Host,
    Zone,
    Fragment,
}

impl Url {
    fn parse(text: &str) -> Result<Url, String> {
        let (body, fragment) = match text.split_once('#') {
            Some((body, fragment)) => (body, Some(fragment)),
            None => (text, None),
        };
        let mut url = Url::parse_without_fragment(body)?;
        if let Some(raw) = fragment.filter(|f| !f.is_empty()) {
            url.fragment = unescape(raw, Part::Fragment)?;
            if escape(&url.fragment, Part::Fragment) != raw {
                url.raw_fragment = raw.to_owned();
            }
        }
        Ok(url)
    }

    fn parse_without_fragment(text: &str) -> Result<Url, String> {
        if text.bytes().any(|b| b < b' ' || b == 0x7f) {
            return Err("net/url: invalid control character in URL".to_owned());
        }
        let mut url = Url::default();
        if text == "*" {
            url.path = "*".to_owned();
            return Ok(url);
        }
        let (scheme, mut rest) = split_scheme(text)?;
        url.scheme = scheme.to_ascii_lowercase();
        if rest.ends_with('?') && rest.matches('?').count() == 1 {
            url.force_query = true;
            rest = &rest[..rest.len() - 1];
        } else if let Some((before, query)) = rest.split_once('?') {
            rest = before;
            url.query = query.to_owned();
        }
        if !rest.starts_with('/') {
            if !url.scheme.is_empty() {
                url.opaque = rest.to_owned();
                return Ok(url);
            }
            let first = rest.split('/').next().unwrap_or_default();
            if first.contains(':') {
                return Err("first path segment in URL cannot contain colon".to_owned());
            }
        }
        let has_authority =
            (!url.scheme.is_empty() || !rest.starts_with("///")) && rest.starts_with("//");
        if has_authority {
            let after = &rest[2..];
            let end = after.find('/').unwrap_or(after.len());
            url.read_authority(&after[..end])?;
            rest = &after[end..];
        } else if !url.scheme.is_empty() && rest.starts_with('/') {
            url.omit_host = true;
        }
        url.path = unescape(rest, Part::Path)?;
        if escape(&url.path, Part::Path) != rest {
            url.raw_path = rest.to_owned();
        }
        Ok(url)
    }

    fn read_authority(&mut self, authority: &str) -> Result<(), String> {
        let Some((userinfo, host)) = authority.rsplit_once('@') else {
            self.host = parse_host(authority)?;
            return Ok(());
        };
        self.host = parse_host(host)?;
        let valid = userinfo
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c));
        if !valid {
            return Err("net/url: invalid userinfo".to_owned());
        }
        self.user = Some(match userinfo.split_once(':') {
            None => User {
                name: unescape(userinfo, Part::User)?,
                password: None,
            },
            Some((name, password)) => User {
                name: unescape(name, Part::User)?,
                password: Some(unescape(password, Part::User)?),
            },
        });
        Ok(())
    }

    fn hostname(&self) -> String {
        let host = match self.host.rfind(':') {
            Some(at) if valid_port(&self.host[at..]) => &self.host[..at],
            _ => &self.host,
        };
        match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
            Some(inner) => inner.to_owned(),
            None => host.to_owned(),
        }
    }

    fn text(&self) -> String {
        let mut out = String::new();
        if !self.scheme.is_empty() {
            out.push_str(&self.scheme);
            out.push(':');
        }
        if self.opaque.is_empty() {
            let authority = !self.scheme.is_empty() || !self.host.is_empty() || self.user.is_some();
            let hidden = self.omit_host && self.host.is_empty() && self.user.is_none();
            if authority && !hidden {
                if !self.host.is_empty() || !self.path.is_empty() || self.user.is_some() {
                    out.push_str("//");
                }
                if let Some(user) = &self.user {
                    out.push_str(&user.text());
                    out.push('@');
                }
                out.push_str(&escape(&self.host, Part::Host));
            }
            let path = self.escaped_path();
            if !path.is_empty() && !path.starts_with('/') && !self.host.is_empty() {
                out.push('/');
            }
            if out.is_empty() {
                // A first segment with a colon would read as a scheme.
                let first = path.split('/').next().unwrap_or_default();
                if first.contains(':') {
                    out.push_str("./");
                }
            }
            out.push_str(&path);
        } else {
            out.push_str(&self.opaque);
        }
        if self.force_query || !self.query.is_empty() {
            out.push('?');
            out.push_str(&self.query);
        }
        if !self.fragment.is_empty() {
            out.push('#');
            if self.raw_fragment.is_empty() {
                out.push_str(&escape(&self.fragment, Part::Fragment));
            } else {
                out.push_str(&self.raw_fragment);
            }
        }
        out
    }

    fn escaped_path(&self) -> String {
        if !self.raw_path.is_empty() {
            return self.raw_path.clone();
        }
        if self.path == "*" {
            return "*".to_owned();
        }
        escape(&self.path, Part::Path)
    }
}

fn split_scheme(text: &str) -> Result<(&str, &str), String> {
    for (at, c) in text.char_indices() {
        match c {
            'a'..='z' | 'A'..='Z' => {}
            '0'..='9' | '+' | '-' | '.' if at > 0 => {}
            ':' => {
                if at == 0 {
                    return Err("missing protocol scheme".to_owned());
                }
                return Ok((&text[..at], &text[at + 1..]));
            }
            _ => break,
        }
    }
    Ok(("", text))
}

fn valid_port(port: &str) -> bool {
    port.is_empty()
        || port
            .strip_prefix(':')
            .is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
}

fn parse_host(host: &str) -> Result<String, String> {
    if let Some(rest) = host.strip_prefix('[') {
        let Some(close) = rest.rfind(']') else {
            return Err("missing ']' in host".to_owned());
        };
        let port = &rest[close + 1..];
        if !valid_port(port) {
            return Err(format!(
                "invalid port {} after host",
                quote(port.as_bytes())
            ));
        }
        if let Some(zone) = rest[..close].find("%25") {
            let address = unescape(&host[..zone + 1], Part::Host)?;
            let zone_text = unescape(&host[zone + 1..close + 1], Part::Zone)?;
            let tail = unescape(&host[close + 1..], Part::Host)?;
            return Ok(address + &zone_text + &tail);
        }
    } else if let Some(at) = host.rfind(':') {
        let port = &host[at..];
        if !valid_port(port) {
            return Err(format!(
                "invalid port {} after host",
                quote(port.as_bytes())
            ));
        }
    }
    unescape(host, Part::Host)
}

fn should_escape(b: u8, part: Part) -> bool {
    if b.is_ascii_alphanumeric() {
        return false;
    }
    if matches!(part, Part::Host | Part::Zone)
        && let b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':'
        | b'[' | b']' | b'<' | b'>' | b'"' = b
    {
        return false;
    }
    match b {
        b'-' | b'_' | b'.' | b'~' => false,
        b'$' | b'&' | b'+' | b',' | b'/' | b':' | b';' | b'=' | b'?' | b'@' => match part {
            Part::Path => b == b'?',
            Part::User => matches!(b, b'@' | b'/' | b'?' | b':'),
            Part::Fragment => false,
            Part::Host | Part::Zone => true,
        },
        b'!' | b'(' | b')' | b'*' => part != Part::Fragment,
        _ => true,
    }
}

fn escape(text: &str, part: Part) -> String {
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        if should_escape(b, part) {
            out.push_str(&format!("%{b:02X}"));
        } else {
            out.push(char::from(b));
        }
    }
    out
}

fn unescape(text: &str, part: Part) -> Result<String, String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&b) = bytes.get(at) {
        match b {
            b'%' => {
                let hex = bytes.get(at + 1..at + 3).and_then(|pair| {
                    let high = char::from(pair[0]).to_digit(16)?;
                    let low = char::from(pair[1]).to_digit(16)?;
                    u8::try_from(high * 16 + low).ok()
                });
                let Some(value) = hex else {
                    let end = (at + 3).min(bytes.len());
                    return Err(format!("invalid URL escape {}", quote(&bytes[at..end])));
                };
                let refused = match part {
                    Part::Host => value < 0x80 && &bytes[at..at + 3] != b"%25",
                    Part::Zone => {
                        &bytes[at..at + 3] != b"%25"
                            && value != b' '
                            && should_escape(value, Part::Host)
                    }
                    Part::Path | Part::User | Part::Fragment => false,
                };
                if refused {
                    return Err(format!("invalid URL escape {}", quote(&bytes[at..at + 3])));
                }
                out.push(value);
                at += 3;
            }
            _ => {
                if matches!(part, Part::Host | Part::Zone) && b < 0x80 && should_escape(b, part) {
                    return Err(format!(
                        "invalid character {} in host name",
                        quote(&bytes[at..at + 1])
                    ));
                }
                out.push(b);
                at += 1;
            }
        }
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}
