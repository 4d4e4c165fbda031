//! Which files of a source stay out of its artifact: `.sourceignore` files, `spec.ignore`, and the
//! default exclusions.
//!
//! The syntax looks like `.gitignore` and means something else in places, because it is evaluated
//! as Flux's sourceignore library does. The differences that matter:
//!
//! * the last matching pattern decides, and an excluded folder does not hide what is below it, so
//!   `/*` with `!/deploy` keeps `deploy` and everything in it;
//! * a pattern with a slash matches when it fits the beginning of a path: `/docs` also excludes
//!   `docs/a/b`;
//! * `abc/**` matches `abc` as well, and a bare `/**` matches nothing;
//! * one pattern of the user's anywhere in the tree switches the default exclusions off, save those
//!   of version control.

/// Name of the files with patterns.
pub const FILE_NAME: &str = ".sourceignore";

/// Version control files; always excluded from Git and OCI artifacts.
const VCS: &[&str] = &[".git/", ".gitignore", ".gitmodules", ".gitattributes"];

/// Excluded as well as long as the user gives no pattern: media, CI and tool files.
const DEFAULTS: &[&str] = &[
    "*.jpg",
    "*.jpeg",
    "*.gif",
    "*.png",
    "*.wmv",
    "*.flv",
    "*.tar.gz",
    "*.zip",
    ".github/",
    ".circleci/",
    ".travis.yml",
    ".gitlab-ci.yml",
    "appveyor.yml",
    ".drone.yml",
    "cloudbuild.yaml",
    "codeship-services.yml",
    "codeship-steps.yml",
    "**/.goreleaser.yml",
    "**/.sops.yaml",
    "**/.flux.yaml",
];

/// What kind of entry a path leads to; some patterns are for folders only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Dir,
}

/// An ordered list of patterns.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    patterns: Vec<Pattern>,
}

impl Rules {
    /// The rules of a Git or OCI artifact.
    ///
    /// `files` are the `.sourceignore` files of the tree, each with the folder it lies in (split
    /// into names), the root's first and then depth-first in the order of names. `spec_ignore` is
    /// `spec.ignore`.
    pub fn for_artifact<'a>(
        files: impl IntoIterator<Item = (Vec<String>, &'a str)>,
        spec_ignore: Option<&str>,
    ) -> Rules {
        let own = Rules::from_user(files, spec_ignore).patterns;
        let builtin = VCS
            .iter()
            .chain(if own.is_empty() { DEFAULTS } else { &[] });
        let mut patterns: Vec<Pattern> = builtin.map(|line| Pattern::parse(line, &[])).collect();
        patterns.extend(own);
        Rules { patterns }
    }

    /// The user's patterns alone, without any default exclusion, as a Bucket has them.
    pub fn from_user<'a>(
        files: impl IntoIterator<Item = (Vec<String>, &'a str)>,
        spec_ignore: Option<&str>,
    ) -> Rules {
        let mut patterns = Vec::new();
        for (domain, text) in files {
            patterns.extend(parse_lines(text, &domain));
        }
        patterns.extend(parse_lines(spec_ignore.unwrap_or_default(), &[]));
        Rules { patterns }
    }

    /// Rules that exclude nothing.
    pub fn none() -> Rules {
        Rules::default()
    }

    /// Whether the entry at `path` (split into names, never empty) is left out.
    pub fn excludes(&self, path: &[&str], kind: Kind) -> bool {
        self.patterns
            .iter()
            .rev()
            .find(|pattern| pattern.matches(path, kind))
            .is_some_and(|pattern| pattern.effect == Effect::Exclude)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Exclude,
    Include,
}

#[derive(Debug, Clone)]
struct Pattern {
    /// The folder that the pattern is relative to.
    domain: Vec<String>,
    effect: Effect,
    /// Matches folders only.
    dir_only: bool,
    shape: Shape,
}

#[derive(Debug, Clone)]
enum Shape {
    /// No slash: tried on each name of the path.
    Name(Glob),
    /// With a slash: tried on the path from its beginning.
    Path(Vec<Segment>),
}

#[derive(Debug, Clone)]
enum Segment {
    /// `**`: any number of names.
    Any,
    /// Exactly one name.
    One(Glob),
}

fn parse_lines<'a>(text: &'a str, domain: &'a [String]) -> impl Iterator<Item = Pattern> + 'a {
    text.split('\n')
        .map(|line| line.strip_suffix('\r').unwrap_or(line))
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .map(move |line| Pattern::parse(line, domain))
}

impl Pattern {
    fn parse(line: &str, domain: &[String]) -> Pattern {
        let (effect, rest) = match line.strip_prefix('!') {
            Some(rest) => (Effect::Include, rest),
            None => (Effect::Exclude, line),
        };
        let rest = if rest.ends_with("\\ ") {
            rest
        } else {
            rest.trim_end_matches(' ')
        };
        let (dir_only, rest) = match rest.strip_suffix('/') {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let shape = if rest.contains('/') {
            Shape::Path(
                rest.split('/')
                    .filter(|segment| !segment.is_empty())
                    .map(|segment| match segment {
                        "**" => Segment::Any,
                        // Two stars beside something else never match, unlike within a name pattern.
                        _ if segment.contains("**") => Segment::One(Glob::nothing()),
                        _ => Segment::One(Glob::parse(segment)),
                    })
                    .collect(),
            )
        } else {
            Shape::Name(Glob::parse(rest))
        };
        Pattern {
            domain: domain.to_vec(),
            effect,
            dir_only,
            shape,
        }
    }

    fn matches(&self, path: &[&str], kind: Kind) -> bool {
        let Some((above, path)) = path.split_at_checked(self.domain.len()) else {
            return false;
        };
        if path.is_empty()
            || above
                .iter()
                .zip(&self.domain)
                .any(|(name, want)| name != want)
        {
            return false;
        }
        // `consumed`: how many names the pattern took; whatever follows lies below the match.
        let consumed = match &self.shape {
            Shape::Name(glob) => path
                .iter()
                .position(|name| glob.matches(name))
                .map(|at| at + 1),
            Shape::Path(segments) => consume(segments, path),
        };
        match consumed {
            None => false,
            Some(n) => !(self.dir_only && n == path.len() && kind == Kind::File),
        }
    }
}

/// Fits `segments` to the beginning of `path` and returns how many names they took.
///
/// Takes the first name that fits after `**` and never tries a later one, as the reference does.
fn consume(segments: &[Segment], path: &[&str]) -> Option<usize> {
    let mut at = 0;
    let mut fitted = false;
    let mut skip = false;
    for segment in segments {
        match segment {
            Segment::Any => skip = true,
            Segment::One(glob) => {
                let rest = path.get(at..).filter(|rest| !rest.is_empty())?;
                let found = if skip {
                    rest.iter().position(|name| glob.matches(name))?
                } else if glob.matches(rest[0]) {
                    0
                } else {
                    return None;
                };
                at += found + 1;
                fitted = true;
                skip = false;
            }
        }
    }
    fitted.then_some(at)
}

/// A shell glob for one name: `*`, `?`, `[a-z]`, `[^a]` and `\` escapes.
#[derive(Debug, Clone)]
struct Glob(Option<Vec<Token>>);

#[derive(Debug, Clone)]
enum Token {
    Char(char),
    AnyChar,
    AnyRun,
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Glob {
    /// A glob that matches no name.
    fn nothing() -> Glob {
        Glob(None)
    }

    /// Parses a glob; a malformed one matches nothing.
    fn parse(text: &str) -> Glob {
        Glob(parse_tokens(text))
    }

    fn matches(&self, name: &str) -> bool {
        let Some(tokens) = &self.0 else { return false };
        let name: Vec<char> = name.chars().collect();
        // The usual two-pointer match: on a mismatch go back to the last star and let it take one
        // character more. Linear in practice and quadratic at worst.
        let (mut t, mut n) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        loop {
            match tokens.get(t) {
                Some(Token::AnyRun) => {
                    star = Some((t, n));
                    t += 1;
                    continue;
                }
                Some(token) if n < name.len() && token.takes(name[n]) => {
                    t += 1;
                    n += 1;
                    continue;
                }
                None if n == name.len() => return true,
                _ => {}
            }
            match star {
                Some((at, taken)) if taken < name.len() => {
                    star = Some((at, taken + 1));
                    t = at + 1;
                    n = taken + 1;
                }
                _ => return false,
            }
        }
    }
}

impl Token {
    fn takes(&self, c: char) -> bool {
        match self {
            Token::Char(want) => *want == c,
            Token::AnyChar => true,
            Token::AnyRun => false,
            Token::Class { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated
            }
        }
    }
}

fn parse_tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        tokens.push(match c {
            '*' => Token::AnyRun,
            '?' => Token::AnyChar,
            '\\' => Token::Char(chars.next()?),
            '[' => {
                let negated = chars.next_if_eq(&'^').is_some();
                let mut ranges = Vec::new();
                loop {
                    if !ranges.is_empty() && chars.next_if_eq(&']').is_some() {
                        break;
                    }
                    let low = class_char(&mut chars)?;
                    let high = match chars.next_if_eq(&'-') {
                        Some(_) => class_char(&mut chars)?,
                        None => low,
                    };
                    ranges.push((low, high));
                }
                Token::Class { negated, ranges }
            }
            other => Token::Char(other),
        });
    }
    Some(tokens)
}

/// One bound of a range; `-` and `]` have to be escaped.
fn class_char(chars: &mut impl Iterator<Item = char>) -> Option<char> {
    match chars.next()? {
        '-' | ']' => None,
        '\\' => chars.next(),
        c => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn excluded(rules: &Rules, path: &str) -> bool {
        let (path, kind) = match path.strip_suffix('/') {
            Some(path) => (path, Kind::Dir),
            None => (path, Kind::File),
        };
        rules.excludes(&path.split('/').collect::<Vec<_>>(), kind)
    }

    fn own(spec: &str) -> Rules {
        Rules::from_user([], Some(spec))
    }

    /// `+path` has to be kept and `-path` excluded; a trailing slash marks a folder.
    fn check(rules: &Rules, expectations: &[&str]) {
        for expectation in expectations {
            let (want, path) = expectation.split_at(1);
            assert_eq!(excluded(rules, path), want == "-", "{path}");
        }
    }

    #[test]
    fn defaults_hold_until_the_user_gives_a_pattern() {
        let defaults = Rules::for_artifact([], Some("# only a comment\n\n"));
        check(
            &defaults,
            &[
                "-.git/",
                "-.gitignore",
                "-a/.gitmodules",
                "+a/.git",
                "-a/b.png",
                "-.github/workflows/x",
                "-.sops.yaml",
                "-a/.sops.yaml",
                "-a/.travis.yml",
                "+a.yaml",
                "+.sourceignore",
                "-x.tar.gz",
            ],
        );
        let own = Rules::for_artifact([(vec!["sub".to_owned()], "/nothing\n")], None);
        check(
            &own,
            &[
                "-.git/",
                "-.gitignore",
                "+a/b.png",
                "+.github/workflows/x",
                "+.sops.yaml",
            ],
        );
    }

    #[test]
    fn an_allow_list_keeps_what_lies_below_an_excluded_folder() {
        let rules = own("# all but app/sub\n/*\n!/app/sub\n");
        check(
            &rules,
            &[
                "-app/",
                "+app/sub/",
                "+app/sub/deep/c.yaml",
                "-app.txt",
                "-app/subway",
            ],
        );
    }

    #[test]
    fn double_stars_follow_the_reference() {
        check(&own("/**\n"), &["+a", "+a/b"]);
        check(&own("docs/**\n"), &["-docs/", "-docs/a/b", "+a/docs/b"]);
        check(&own("**/x/y\n"), &["-a/x/y", "-x/y/z", "+x/a/x/y"]);
        check(&own("a**/b\n"), &["+aa/b", "+a/b"]);
        check(&own("**\n"), &["-a", "-a/b"]);
        check(&own("app/**/x\n"), &["-app/a/x", "-app/x", "+app/y"]);
    }

    #[test]
    fn names_folders_and_escapes() {
        check(
            &own("docs/\n"),
            &["-docs/", "-a/docs/b", "+docs", "+a/docs"],
        );
        check(&own("/a/b/\n"), &["-a/b/", "-a/b/c", "+a/b"]);
        check(&own("[a-n]*.md\n"), &["-c.md", "-x/c.md", "+readme.md"]);
        check(
            &own("[^a]b\n\\!c\n\\#d\n#e\n"),
            &["-bb", "+ab", "-!c", "-#d", "+#e"],
        );
        check(&own("a \nb\\ \n c\n"), &["-a", "-b ", "+c", "- c"]);
        check(&own("a\r\nb\n"), &["-a", "-b"]);
        check(&own("[\n[a\n[]\n[-a]\n\\\n"), &["+[", "+[a", "+[]", "+a"]);
        check(&own("?é\n"), &["-aé", "+é"]);
        check(
            &own("*.md\n!keep.md\n"),
            &["-a.md", "+keep.md", "+x/keep.md"],
        );
    }

    #[test]
    fn a_nested_file_rules_its_own_folder_only() {
        let rules = Rules::for_artifact(
            [
                (vec![], "/docs/\n"),
                (vec!["app".into(), "sub".into()], "/deep/*.yaml\n"),
            ],
            Some("!/docs/keep\n"),
        );
        check(
            &rules,
            &[
                "-app/sub/deep/c.yaml",
                "+app/sub/deep/c.md",
                "+deep/c.yaml",
                "-docs/a",
                "+docs/keep",
                "+app/sub/",
            ],
        );
    }

    proptest! {
        #[test]
        fn no_pattern_and_no_path_can_panic(line in "[a*?!#\\[\\]^\\\\/ -]{0,12}", path in "[a*/é\\[]{1,12}") {
            let rules = own(&line);
            let names: Vec<&str> = path.split('/').collect();
            rules.excludes(&names, Kind::File);
            rules.excludes(&names, Kind::Dir);
        }

        #[test]
        fn stars_match_as_a_backtracking_matcher_would(glob in "[ab*?]{0,8}", name in "[ab]{0,8}") {
            fn slow(glob: &[u8], name: &[u8]) -> bool {
                match (glob.split_first(), name.split_first()) {
                    (None, None) => true,
                    (Some((b'*', rest)), _) => slow(rest, name) || name.split_first().is_some_and(|(_, n)| slow(glob, n)),
                    (Some((b'?', rest)), Some((_, n))) => slow(rest, n),
                    (Some((g, rest)), Some((c, n))) => g == c && slow(rest, n),
                    _ => false,
                }
            }
            prop_assert_eq!(Glob::parse(&glob).matches(&name), slow(glob.as_bytes(), name.as_bytes()));
        }
    }
}
