//! Host keys in the form of an OpenSSH `known_hosts` file. Pure.
//!
//! Hosts are matched by the name that the address has, with the port; entries may be hashed, hold
//! lists with `*`, `?` and `!`, and be marked `@cert-authority` or `@revoked`. Of several keys of one
//! type for a host the first counts.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use russh::keys::{Algorithm, Certificate, PublicKey};

/// Lines that are looked at; a real file has far fewer.
const MAX_LINES: usize = 100_000;

/// A line cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("knownhosts: line {line}: {reason}")]
pub struct LineError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// A parsed file.
#[derive(Debug, Clone, Default)]
pub struct KnownHosts {
    lines: Vec<Line>,
}

#[derive(Debug, Clone)]
struct Line {
    marker: Marker,
    hosts: Hosts,
    key: PublicKey,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marker {
    None,
    CertAuthority,
    Revoked,
}

#[derive(Debug, Clone)]
enum Hosts {
    Hashed { salt: Vec<u8>, hash: Vec<u8> },
    Patterns(Vec<Pattern>),
}

#[derive(Debug, Clone)]
struct Pattern {
    negated: bool,
    host: String,
    port: u16,
}

/// What the file says about a host's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the host's key.
    Trusted,
    /// Nothing is known about the host.
    Unknown,
    /// The host has other keys.
    Mismatch,
    /// The key must not be trusted any more.
    Revoked,
}

impl Verdict {
    /// What Go's library says, for what is not trusted.
    pub fn complaint(self) -> Option<&'static str> {
        match self {
            Verdict::Trusted => None,
            Verdict::Unknown => Some("knownhosts: key is unknown"),
            Verdict::Mismatch => Some("knownhosts: key mismatch"),
            Verdict::Revoked => Some("knownhosts: key is revoked"),
        }
    }
}

impl KnownHosts {
    /// Parses a file's text. Empty lines and comments are skipped.
    ///
    /// # Errors
    /// At the first line that makes no sense: dropping it could hide a key that a host has.
    pub fn parse(text: &str) -> Result<KnownHosts, LineError> {
        let mut lines = Vec::new();
        for (at, line) in text.lines().enumerate().take(MAX_LINES) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            lines.push(parse_line(line).map_err(|reason| LineError {
                line: at + 1,
                reason,
            })?);
        }
        Ok(KnownHosts { lines })
    }

    /// Judges a plain host key.
    pub fn check(&self, host: &str, port: u16, key: &PublicKey) -> Verdict {
        if self.revokes(key) {
            return Verdict::Revoked;
        }
        let mut known = false;
        for line in self.matching(Marker::None, host, port) {
            known = true;
            if line.key.algorithm() == key.algorithm() {
                return if line.key.key_data() == key.key_data() {
                    Verdict::Trusted
                } else {
                    Verdict::Mismatch
                };
            }
        }
        if known {
            Verdict::Mismatch
        } else {
            Verdict::Unknown
        }
    }

    /// Judges a host certificate: signed by an authority that is marked for the host, valid at
    /// `now` (seconds since the epoch), and made out to the host.
    pub fn check_certificate(
        &self,
        host: &str,
        port: u16,
        certificate: &Certificate,
        now: u64,
    ) -> Verdict {
        let signer = certificate.signature_key();
        let signer_key = PublicKey::new(signer.clone(), "");
        let subject = PublicKey::new(certificate.public_key().clone(), "");
        if self.revokes(&signer_key) || self.revokes(&subject) {
            return Verdict::Revoked;
        }
        let mut authorities = self.matching(Marker::CertAuthority, host, port).peekable();
        if authorities.peek().is_none() {
            return Verdict::Unknown;
        }
        let fingerprint = signer.fingerprint(russh::keys::HashAlg::Sha256);
        let made_out = certificate.valid_principals().is_empty()
            || certificate
                .valid_principals()
                .iter()
                .any(|principal| principal == host);
        let trusted = authorities.any(|line| line.key.key_data() == signer)
            && certificate.cert_type() == russh::keys::ssh_key::certificate::CertType::Host
            && made_out
            && certificate.validate_at(now, [&fingerprint]).is_ok();
        if trusted {
            Verdict::Trusted
        } else {
            Verdict::Mismatch
        }
    }

    fn revokes(&self, key: &PublicKey) -> bool {
        self.lines
            .iter()
            .any(|line| line.marker == Marker::Revoked && line.key.key_data() == key.key_data())
    }

    fn matching<'a>(
        &'a self,
        marker: Marker,
        host: &'a str,
        port: u16,
    ) -> impl Iterator<Item = &'a Line> {
        self.lines
            .iter()
            .filter(move |line| line.marker == marker && line.hosts.cover(host, port))
    }

    /// Types of all keys in the file, each once, in the order of the file: what to ask servers for.
    pub fn key_types(&self) -> Vec<Algorithm> {
        self.types_of(|marker| marker == Marker::None)
    }

    /// Whether the file names a certificate authority.
    pub fn has_authorities(&self) -> bool {
        self.lines
            .iter()
            .any(|line| line.marker == Marker::CertAuthority)
    }

    fn types_of(&self, which: impl Fn(Marker) -> bool) -> Vec<Algorithm> {
        let mut types = Vec::new();
        for line in self.lines.iter().filter(|line| which(line.marker)) {
            let algorithm = line.key.algorithm();
            if !types.contains(&algorithm) {
                types.push(algorithm);
            }
        }
        types
    }
}

fn parse_line(line: &str) -> Result<Line, &'static str> {
    let mut fields = line.split_ascii_whitespace();
    let mut first = fields.next().ok_or("missing host pattern")?;
    let marker = match first {
        "@cert-authority" => Marker::CertAuthority,
        "@revoked" => Marker::Revoked,
        other if other.starts_with('@') => return Err("unknown marker"),
        _ => Marker::None,
    };
    if marker != Marker::None {
        first = fields.next().ok_or("missing host pattern")?;
    }
    let kind = fields.next().ok_or("missing key type pattern")?;
    let key = fields.next().ok_or("missing key blob")?;
    let key = PublicKey::from_openssh(&format!("{kind} {key}")).map_err(|_| "invalid key")?;
    let hosts = if first.starts_with('|') {
        parse_hashed(first)?
    } else {
        parse_patterns(first)?
    };
    Ok(Line { marker, hosts, key })
}

fn parse_hashed(field: &str) -> Result<Hosts, &'static str> {
    let malformed = "cannot read hashed host";
    let mut parts = field.split('|').skip(1);
    if parts.next() != Some("1") {
        return Err("unsupported hash type");
    }
    let mut part = || {
        parts
            .next()
            .and_then(|text| STANDARD.decode(text).ok())
            .ok_or(malformed)
    };
    Ok(Hosts::Hashed {
        salt: part()?,
        hash: part()?,
    })
}

fn parse_patterns(field: &str) -> Result<Hosts, &'static str> {
    let mut patterns = Vec::new();
    for text in field.split(',').filter(|text| !text.is_empty()) {
        let (negated, text) = match text.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']').ok_or("missing `]` in host pattern")?;
                match after.strip_prefix(':') {
                    Some(port) => (
                        host,
                        port.parse().map_err(|_| "invalid port in host pattern")?,
                    ),
                    None => (host, 22),
                }
            }
            None => (text, 22),
        };
        patterns.push(Pattern {
            negated,
            host: host.to_lowercase(),
            port,
        });
    }
    if patterns.is_empty() {
        Err("empty host pattern")
    } else {
        Ok(Hosts::Patterns(patterns))
    }
}

impl Hosts {
    fn cover(&self, host: &str, port: u16) -> bool {
        let host = host.to_lowercase();
        match self {
            Hosts::Hashed { salt, hash } => {
                let name = if port == 22 {
                    host
                } else {
                    format!("[{host}]:{port}")
                };
                let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
                hmac::verify(&key, name.as_bytes(), hash).is_ok()
            }
            Hosts::Patterns(patterns) => {
                let hit =
                    |p: &&Pattern| p.port == port && wildcard(p.host.as_bytes(), host.as_bytes());
                let denied = patterns.iter().filter(|p| p.negated).any(|p| hit(&p));
                !denied && patterns.iter().filter(|p| !p.negated).any(|p| hit(&p))
            }
        }
    }
}

/// `*` stands for any characters, `?` for one.
fn wildcard(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    t = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
    const B: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHVCGHzXJ6Tz2lSQ9X0Xk9nXb7vrBFOKFxdcZBGJPN7x";
    const E: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg=";

    fn key(text: &str) -> PublicKey {
        PublicKey::from_openssh(text).unwrap()
    }

    fn verdict(file: &str, host: &str, port: u16, with: &str) -> Verdict {
        KnownHosts::parse(file)
            .unwrap()
            .check(host, port, &key(with))
    }

    #[test]
    fn hosts_ports_patterns_and_markers_decide() {
        use Verdict::{Mismatch, Revoked, Trusted, Unknown};
        for (file, host, port, with, want) in [
            (format!("host {A}"), "host", 22, A, Trusted),
            (format!("host {A} a comment"), "HOST", 22, A, Trusted),
            (format!("host {A}"), "host", 22, B, Mismatch),
            (format!("host {A}"), "host", 22, E, Mismatch),
            (format!("host {A}"), "host", 2222, A, Unknown),
            (format!("[host]:2222 {A}"), "host", 2222, A, Trusted),
            (format!("[::1]:2222 {A}"), "::1", 2222, A, Trusted),
            (
                format!("*.example.com,!bad.example.com {A}"),
                "a.example.com",
                22,
                A,
                Trusted,
            ),
            (
                format!("*.example.com,!bad.example.com {A}"),
                "bad.example.com",
                22,
                A,
                Unknown,
            ),
            (format!("h?st {A}"), "hast", 22, A, Trusted),
            (format!("host {A}\nhost {B}"), "host", 22, B, Mismatch),
            (format!("host {E}\nhost {B}"), "host", 22, B, Trusted),
            (format!("host {A}\n@revoked * {A}"), "host", 22, A, Revoked),
            (format!("@cert-authority host {A}"), "host", 22, A, Unknown),
            (format!("# comment\n\n  host {A}\n"), "host", 22, A, Trusted),
            (String::new(), "host", 22, A, Unknown),
        ] {
            assert_eq!(
                verdict(&file, host, port, with),
                want,
                "{file} {host}:{port}"
            );
        }
    }

    #[test]
    fn hashed_hosts_are_found_with_their_port() {
        for (name, host, port) in [("host", "host", 22), ("[host]:2222", "host", 2222)] {
            let salt = [7; 20];
            let tag = hmac::sign(
                &hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &salt),
                name.as_bytes(),
            );
            let file = format!(
                "|1|{}|{} {A}",
                STANDARD.encode(salt),
                STANDARD.encode(tag.as_ref())
            );
            assert_eq!(verdict(&file, host, port, A), Verdict::Trusted);
            assert_eq!(verdict(&file, "other", port, A), Verdict::Unknown);
        }
        // Made by `ssh-keygen -H`.
        let openssh = format!("|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= {A}");
        assert!(KnownHosts::parse(&openssh).is_ok());
    }

    #[test]
    fn senseless_lines_are_named() {
        let fault = |file: &str| KnownHosts::parse(file).unwrap_err().to_string();
        assert_eq!(
            fault("\nhost ssh-ed25519 AAAA"),
            "knownhosts: line 2: invalid key"
        );
        assert_eq!(
            fault("host"),
            "knownhosts: line 1: missing key type pattern"
        );
        assert_eq!(
            fault(&format!("@other host {A}")),
            "knownhosts: line 1: unknown marker"
        );
        assert_eq!(
            fault(&format!("|2|x|y {A}")),
            "knownhosts: line 1: unsupported hash type"
        );
        assert_eq!(
            fault(&format!("[host {A}")),
            "knownhosts: line 1: missing `]` in host pattern"
        );
    }

    #[test]
    fn key_types_come_in_the_order_of_the_file() {
        let known = KnownHosts::parse(&format!("a {E}\nb {A}\nc {B}\n@revoked d {A}")).unwrap();
        let names: Vec<String> = known.key_types().iter().map(ToString::to_string).collect();
        assert_eq!(names, ["ecdsa-sha2-nistp256", "ssh-ed25519"]);
        assert!(!known.has_authorities());
    }

    proptest! {
        #[test]
        fn no_text_can_panic(text in "[|1@!\\[\\]:,*a-z =\n]{0,60}") {
            if let Ok(known) = KnownHosts::parse(&text) {
                known.check("host", 22, &key(A));
            }
        }
    }
}
