//! .helmignore.
//!
//! The rules look like Git's, but `!` does not: a negated pattern that does not
//! match ignores at once, so it leaves nothing but what it names.

use sluice_gotemplate::strconv::quote;

/// A .helmignore that does not parse. The texts are Helm's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IgnoreError {
    /// `**` is not supported.
    #[error("double-star (**) syntax is not supported")]
    DoubleStar,
    /// A pattern is not a glob.
    #[error("syntax error in pattern {}", quote(.0.as_bytes()))]
    Pattern(String),
}

/// The rules of one .helmignore.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IgnoreRules {
    patterns: Vec<Pattern>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    glob: String,
    matches: Matches,
    negated: bool,
    folders_only: bool,
}

/// What of a path a pattern is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Matches {
    FullPath,
    BaseName,
}

/// Whether a path is a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathKind {
    /// A folder.
    Folder,
    /// Anything else.
    File,
}

impl IgnoreRules {
    /// Reads the rules and adds the one that always holds: what starts with a
    /// dot in `templates` is ignored.
    ///
    /// # Errors
    /// [`IgnoreError`] with Helm's text.
    pub fn parse(text: &str) -> Result<Self, IgnoreError> {
        let mut rules = IgnoreRules::default();
        for line in text.lines() {
            rules.add(line)?;
        }
        rules.add("templates/.?*")?;
        Ok(rules)
    }

    fn add(&mut self, line: &str) -> Result<(), IgnoreError> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if line.contains("**") {
            return Err(IgnoreError::DoubleStar);
        }
        if glob_matches(line, "abc").is_none() {
            return Err(IgnoreError::Pattern(line.to_owned()));
        }
        let (negated, rest) = match line.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, line),
        };
        let (folders_only, rest) = match rest.strip_suffix('/') {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let (matches, glob) = match rest.strip_prefix('/') {
            Some(anchored) => (Matches::FullPath, anchored),
            None if rest.contains('/') => (Matches::FullPath, rest),
            None => (Matches::BaseName, rest),
        };
        self.patterns.push(Pattern {
            glob: glob.to_owned(),
            matches,
            negated,
            folders_only,
        });
        Ok(())
    }

    /// Whether a path relative to the chart is ignored; an ignored folder is
    /// ignored with everything in it.
    pub fn ignores(&self, path: &str, kind: PathKind) -> bool {
        if path.is_empty() || path == "." || path == "./" {
            return false;
        }
        for pattern in &self.patterns {
            let subject = match pattern.matches {
                Matches::FullPath => path,
                Matches::BaseName => path.rsplit('/').next().unwrap_or(path),
            };
            let hit = glob_matches(&pattern.glob, subject).unwrap_or(false);
            if pattern.negated {
                if pattern.folders_only && kind != PathKind::Folder {
                    return true;
                }
                if !hit {
                    return true;
                }
                continue;
            }
            if pattern.folders_only && kind != PathKind::Folder {
                continue;
            }
            if hit {
                return true;
            }
        }
        false
    }
}

/// Go's `filepath.Match`; `None` for a pattern that is not well formed.
pub fn glob_matches(pattern: &str, name: &str) -> Option<bool> {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    match_here(&pattern, &name)
}

fn match_here(pattern: &[char], name: &[char]) -> Option<bool> {
    let (mut p, mut n) = (0, 0);
    // Where to go on after the last star.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let stepped = match pattern.get(p) {
            None if n == name.len() => return Some(true),
            None => false,
            Some('*') => {
                retry = Some((p + 1, n));
                p += 1;
                continue;
            }
            Some(_) => {
                let (hit, length) = match_one(&pattern[p..], name.get(n).copied())?;
                if hit {
                    p += length;
                    n += 1;
                }
                hit
            }
        };
        if stepped {
            continue;
        }
        match retry {
            Some((after_star, from)) if from < name.len() && name[from] != '/' => {
                retry = Some((after_star, from + 1));
                p = after_star;
                n = from + 1;
            }
            _ => {
                // The rest of the pattern must still be well formed.
                well_formed(&pattern[p.min(pattern.len())..])?;
                return Some(false);
            }
        }
    }
}

fn well_formed(mut pattern: &[char]) -> Option<()> {
    while let Some(first) = pattern.first() {
        if *first == '*' {
            pattern = &pattern[1..];
            continue;
        }
        let (_, length) = match_one(pattern, None)?;
        pattern = &pattern[length..];
    }
    Some(())
}

/// Matches one element of a pattern against one rune: whether it fits, and how
/// long the element is.
fn match_one(pattern: &[char], rune: Option<char>) -> Option<(bool, usize)> {
    match pattern[0] {
        '?' => Some((rune.is_some_and(|r| r != '/'), 1)),
        '\\' => {
            let literal = pattern.get(1)?;
            Some((rune == Some(*literal), 2))
        }
        '[' => {
            let mut at = 1;
            let negated = pattern.get(at) == Some(&'^');
            if negated {
                at += 1;
            }
            let mut hit = false;
            let mut count = 0;
            loop {
                if pattern.get(at) == Some(&']') && count > 0 {
                    at += 1;
                    break;
                }
                let low = class_rune(pattern, &mut at)?;
                let mut high = low;
                if pattern.get(at) == Some(&'-') {
                    at += 1;
                    high = class_rune(pattern, &mut at)?;
                }
                hit |= rune.is_some_and(|r| low <= r && r <= high);
                count += 1;
            }
            Some((rune.is_some() && hit != negated, at))
        }
        literal => Some((rune == Some(literal), 1)),
    }
}

fn class_rune(pattern: &[char], at: &mut usize) -> Option<char> {
    let mut c = *pattern.get(*at)?;
    if c == '-' || c == ']' {
        return None;
    }
    if c == '\\' {
        *at += 1;
        c = *pattern.get(*at)?;
    }
    *at += 1;
    // The class must be closed somewhere behind.
    pattern.get(*at)?;
    Some(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_ignore_what_helm_ignores() {
        let rules = IgnoreRules::parse(
            "# comment\n*.txt\n/top.md\nsub/x.yaml\nbuild/\n  spaced  \n[a-c].y\n",
        )
        .expect("valid");
        for (path, kind, want) in [
            ("a.txt", PathKind::File, true),
            ("deep/a.txt", PathKind::File, true),
            ("top.md", PathKind::File, true),
            ("deep/top.md", PathKind::File, false),
            ("sub/x.yaml", PathKind::File, true),
            ("deep/sub/x.yaml", PathKind::File, false),
            ("build", PathKind::Folder, true),
            ("build", PathKind::File, false),
            ("spaced", PathKind::File, true),
            ("b.y", PathKind::File, true),
            ("d.y", PathKind::File, false),
            ("templates/.hidden", PathKind::File, true),
            ("templates/a.yaml", PathKind::File, false),
            ("Chart.yaml", PathKind::File, false),
        ] {
            assert_eq!(rules.ignores(path, kind), want, "{path}");
        }
    }

    #[test]
    fn negation_keeps_only_what_it_names() {
        let rules = IgnoreRules::parse("!*.yaml").expect("valid");
        assert!(rules.ignores("README.md", PathKind::File));
        assert!(!rules.ignores("a.yaml", PathKind::File));
    }

    #[test]
    fn wrong_patterns_are_refused() {
        assert_eq!(IgnoreRules::parse("a/**"), Err(IgnoreError::DoubleStar));
        for bad in ["[a", "a\\", "[]a]"] {
            assert!(IgnoreRules::parse(bad).is_err(), "{bad}");
        }
    }
}
