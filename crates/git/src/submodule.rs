//! `.gitmodules`: which repositories are mounted where, and at which addresses. Pure.

use crate::url::RemoteUrl;

/// Submodules in submodules are followed this deep.
pub const MAX_NESTING: usize = 10;
/// Entries that are looked at.
const MAX_ENTRIES: usize = 10_000;

/// One entry of `.gitmodules`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submodule {
    /// Its name, which need not be its path.
    pub name: String,
    /// Where it is mounted.
    pub path: String,
    /// Its address, perhaps relative to the parent's.
    pub url: String,
}

/// Reads the entries of a `.gitmodules` file; ones without a path or address are left out.
pub fn parse(text: &str) -> Vec<Submodule> {
    let mut found: Vec<Submodule> = Vec::new();
    let mut within = false;
    for line in joined_lines(text) {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(header) = line.strip_prefix('[') {
            let name = section_name(header);
            within = name.is_some() && found.len() < MAX_ENTRIES;
            if let Some(name) = name.filter(|_| within) {
                found.push(Submodule {
                    name,
                    path: String::new(),
                    url: String::new(),
                });
            }
            continue;
        }
        let Some(current) = found.last_mut().filter(|_| within) else {
            continue;
        };
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        match key.trim().to_ascii_lowercase().as_str() {
            "path" => current.path = parse_value(value),
            "url" => current.url = parse_value(value),
            _ => {}
        }
    }
    found.retain(|submodule| !submodule.path.is_empty() && !submodule.url.is_empty());
    found
}

/// Lines, with those that end in a backslash continued.
fn joined_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut current = String::new();
    for line in text.lines() {
        match line.strip_suffix('\\') {
            // An even number of backslashes is a row of escaped ones.
            Some(rest) if !rest.ends_with('\\') => current.push_str(rest),
            _ => {
                current.push_str(line);
                lines.push(std::mem::take(&mut current));
            }
        }
    }
    lines.push(current);
    lines
}

/// The name in `submodule "name"]`.
fn section_name(header: &str) -> Option<String> {
    let rest = header.trim_start();
    if !rest.get(..9)?.eq_ignore_ascii_case("submodule") {
        return None;
    }
    let quoted = rest[9..].trim_start().strip_prefix('"')?;
    let mut name = String::new();
    let mut chars = quoted.chars();
    loop {
        match chars.next()? {
            '"' => return Some(name),
            '\\' => name.push(chars.next()?),
            c => name.push(c),
        }
    }
}

/// A value without comment, quotes and escapes.
fn parse_value(text: &str) -> String {
    let mut value = String::new();
    let mut quoted = false;
    let mut solid = 0;
    let mut chars = text.trim_start().chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                quoted = !quoted;
                continue;
            }
            '#' | ';' if !quoted => break,
            '\\' => match chars.next() {
                Some('n') => value.push('\n'),
                Some('t') => value.push('\t'),
                Some(other) => value.push(other),
                None => break,
            },
            c => value.push(c),
        }
        // Blanks at the end count only within quotes.
        if quoted || !c.is_whitespace() {
            solid = value.len();
        }
    }
    value.truncate(solid);
    value
}

/// The address of a submodule, given its parent's.
///
/// # Errors
/// A description of what is wrong with the address.
pub fn resolve(parent: &RemoteUrl, url: &str) -> Result<RemoteUrl, String> {
    if !(url.starts_with("./") || url.starts_with("../")) {
        let resolved = RemoteUrl::parse_lenient(url).map_err(|error| error.to_string())?;
        // A repository from afar must not read this machine's files.
        return match (&resolved, parent) {
            (RemoteUrl::Local(_), RemoteUrl::Http(_) | RemoteUrl::Ssh(_)) => {
                Err(format!("local address `{url}` in a remote repository"))
            }
            _ => Ok(resolved),
        };
    }
    match parent {
        RemoteUrl::Http(parent) => {
            let mut resolved = parent.clone();
            let path = join(parent.path(), url)
                .ok_or_else(|| format!("address `{url}` leaves the server"))?;
            resolved.set_path(&path);
            Ok(RemoteUrl::Http(resolved))
        }
        RemoteUrl::Ssh(parent) => {
            let path = join(&parent.path, url)
                .ok_or_else(|| format!("address `{url}` leaves the server"))?;
            Ok(RemoteUrl::Ssh(crate::url::SshUrl {
                path,
                ..parent.clone()
            }))
        }
        RemoteUrl::Local(parent) => {
            let path = join(&parent.to_string_lossy(), url)
                .ok_or_else(|| format!("address `{url}` leaves the disk"))?;
            Ok(RemoteUrl::Local(path.into()))
        }
    }
}

fn join(base: &str, relative: &str) -> Option<String> {
    let mut parts: Vec<&str> = base.trim_end_matches('/').split('/').collect();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                if parts.len() <= 1 {
                    return None;
                }
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    Some(parts.join("/"))
}

/// The content of the `.git` file of a submodule: the way from `path` to where Git would keep the
/// submodule's repository below the root. `modules` are the names of this submodule and of those
/// that it is in, outermost first.
pub fn gitdir(path: &str, modules: &[&str]) -> String {
    let up = "../".repeat(path.split('/').filter(|name| !name.is_empty()).count());
    let within: String = modules
        .iter()
        .map(|name| format!("/modules/{name}"))
        .collect();
    format!("gitdir: {up}.git{within}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_as_git_reads_them() {
        let text = "# comment\n[core]\n\tpath = no\n[submodule \"lib\"]\n\tpath = vendor/lib\n\turl = ../lib.git\n\
                    [submodule \"a \\\"b\\\"\"] ; x\n path = \"with # hash\" # comment\n URL = https://host/\\\n  x.git  \n\
                    [submodule \"no-url\"]\n path = p\n";
        let entry = |name: &str, path: &str, url: &str| Submodule {
            name: name.into(),
            path: path.into(),
            url: url.into(),
        };
        assert_eq!(
            parse(text),
            [
                entry("lib", "vendor/lib", "../lib.git"),
                entry("a \"b\"", "with # hash", "https://host/  x.git")
            ]
        );
    }

    #[test]
    fn relative_addresses_start_at_the_parent() {
        let resolved = |parent: &str, url: &str| {
            resolve(&RemoteUrl::parse_lenient(parent).unwrap(), url).map(|url| url.to_string())
        };
        assert_eq!(
            resolved("https://host/org/app.git", "../lib.git").unwrap(),
            "https://host/org/lib.git"
        );
        assert_eq!(
            resolved("git@host:org/app.git", "../lib.git").unwrap(),
            "ssh://git@host/org/lib.git"
        );
        assert_eq!(
            resolved("/srv/app.git", "../lib.git").unwrap(),
            "file:///srv/lib.git"
        );
        assert_eq!(
            resolved("https://host/app", "https://other/lib").unwrap(),
            "https://other/lib"
        );
        assert!(resolved("https://host/app", "../../../etc").is_err());
        assert!(resolved("https://host/app", "/etc").is_err());
        assert!(resolved("/srv/app", "/srv/lib").is_ok());
    }

    #[test]
    fn the_git_file_points_to_where_git_keeps_the_submodule() {
        assert_eq!(
            gitdir("vendor/lib", &["lib"]),
            "gitdir: ../../.git/modules/lib\n"
        );
        assert_eq!(
            gitdir("a/b/c", &["a", "c"]),
            "gitdir: ../../../.git/modules/a/modules/c\n"
        );
    }
}
