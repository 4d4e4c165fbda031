//! The golden cases: what goes in, and what kustomize makes of it.
//!
//! A file holds many cases:
//!
//! ```text
//! === name_of_the_case
//! target: overlay             the directory to build, `.` when left out
//! args: --enable-helm         more arguments of the command
//! differs: why                the outcome is not kustomize's, on purpose
//! -- overlay/kustomization.yaml --
//! ...
//! -- overlay/f (no newline) --     also: (hex), (link), (dir)
//! ...
//! -- OUT --                   what is printed
//! -- ERR --                   what is reported instead
//! -- WARN --                  what is reported beside it
//! -- OURS --                  what we print or report, when it differs
//! ```
//!
//! The directory of a case is called `/R` in outcomes. `cargo xtask goldens
//! --verify` compares OUT, ERR and WARN with the real kustomize, `--update`
//! writes them.

/// One case.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Case {
    /// A claim.
    pub name: String,
    /// The directory to build.
    pub target: String,
    /// Further arguments of the command.
    pub args: Vec<String>,
    /// Why the outcome is not kustomize's.
    pub differs: Option<String>,
    /// What is read.
    pub files: Vec<File>,
    /// What is printed.
    pub out: Option<String>,
    /// What is reported instead.
    pub err: Option<String>,
    /// What is reported beside it.
    pub warn: Option<String>,
    /// What we print or report, when it differs.
    pub ours: Option<String>,
}

/// A file of a case.
#[derive(Debug, Clone, PartialEq)]
pub struct File {
    /// Below the directory of the case.
    pub path: String,
    /// What it holds.
    pub content: Content,
}

/// What a path holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// A file.
    Bytes(Vec<u8>),
    /// A symbolic link.
    Link(String),
    /// An empty directory.
    Directory,
}

/// Reads the cases of a file.
pub fn parse(text: &str) -> Vec<Case> {
    text.split("\n=== ")
        .map(|part| part.strip_prefix("=== ").unwrap_or(part))
        .filter(|part| !part.trim().is_empty() && !part.starts_with('#'))
        .map(parse_case)
        .collect()
}

fn parse_case(text: &str) -> Case {
    let mut case = Case {
        target: ".".to_owned(),
        ..Case::default()
    };
    let mut lines = text.lines();
    case.name = lines.next().unwrap_or_default().trim().to_owned();
    let mut section: Option<String> = None;
    let mut body = String::new();
    for line in lines {
        let header = line
            .strip_prefix("-- ")
            .and_then(|rest| rest.strip_suffix(" --"));
        if let Some(header) = header {
            close(&mut case, section.take(), &mut body);
            section = Some(header.to_owned());
        } else if section.is_some() {
            body.push_str(line);
            body.push('\n');
        } else if let Some((key, value)) = line.split_once(": ") {
            match key {
                "target" => case.target = value.to_owned(),
                "args" => case.args = value.split(' ').map(str::to_owned).collect(),
                "differs" => case.differs = Some(value.to_owned()),
                other => panic!("{}: unknown line `{other}`", case.name),
            }
        }
    }
    close(&mut case, section, &mut body);
    case
}

fn close(case: &mut Case, section: Option<String>, body: &mut String) {
    let Some(section) = section else { return };
    let body = std::mem::take(body);
    match section.as_str() {
        "OUT" => case.out = Some(body),
        "ERR" => case.err = Some(body),
        "WARN" => case.warn = Some(body),
        "OURS" => case.ours = Some(body),
        header => case.files.push(file(header, body)),
    }
}

fn file(header: &str, body: String) -> File {
    let (path, kind) = match header.split_once(" (") {
        Some((path, kind)) => (path, kind.trim_end_matches(')')),
        None => (header, ""),
    };
    let trimmed = || body.strip_suffix('\n').unwrap_or(&body);
    let content = match kind {
        "no newline" => Content::Bytes(trimmed().as_bytes().to_vec()),
        "hex" => Content::Bytes(hex(&body)),
        "link" => Content::Link(trimmed().to_owned()),
        "dir" => Content::Directory,
        _ => Content::Bytes(body.into_bytes()),
    };
    File {
        path: path.to_owned(),
        content,
    }
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    digits
        .chunks_exact(2)
        .map(|pair| (pair[0] * 16 + pair[1]) as u8)
        .collect()
}
