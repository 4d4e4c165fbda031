//! What can go wrong while reading or writing YAML, worded as go-yaml words it.
//!
//! People search the web for these texts, and other tools match on them, so
//! the message of an error is the one that `sigs.k8s.io/yaml` gives for the
//! same input, including its habits with line numbers. The true position is
//! kept beside it.

use std::fmt;

/// A place in the source text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord, Hash)]
pub struct Mark {
    /// Byte offset from the start of the text.
    pub offset: u32,
    /// Line, counted from 0 (use [`Mark::line_number`] to show it).
    pub line: u32,
    /// Column in characters, counted from 0.
    pub column: u32,
}

impl Mark {
    /// The line as people count, from 1.
    pub fn line_number(self) -> usize {
        self.line as usize + 1
    }

    /// The column as people count, from 1.
    pub fn column_number(self) -> usize {
        self.column as usize + 1
    }
}

/// A stretch of the source text, from `start` up to but without `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Span {
    /// First character.
    pub start: Mark,
    /// Just behind the last character.
    pub end: Mark,
}

/// The stage in which reading or writing failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bytes are not text that YAML allows (encoding, control characters).
    Reader,
    /// The text is not a sequence of YAML tokens.
    Scanner,
    /// The tokens do not make a YAML document.
    Parser,
    /// Anchors, aliases, tags or merge keys make no sense.
    Composer,
    /// A key occurs twice in one mapping, or has the wrong type.
    Unmarshal,
    /// The document has no counterpart in JSON (key types, infinities).
    Json,
    /// One of [`Limits`](crate::Limits) was exceeded.
    Limit,
    /// A text cannot be written as YAML.
    Emitter,
}

/// An error with go-yaml's text and the place in the source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.message())]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Inner {
    kind: ErrorKind,
    problem: String,
    context: Option<Mark>,
    mark: Option<Mark>,
    names_context_first: bool,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, problem: impl Into<String>, mark: Option<Mark>) -> Self {
        Error(Box::new(Inner {
            kind,
            problem: problem.into(),
            context: None,
            mark,
            names_context_first: false,
        }))
    }

    pub(crate) fn in_context(
        kind: ErrorKind,
        problem: impl Into<String>,
        context: Mark,
        mark: Mark,
    ) -> Self {
        Error(Box::new(Inner {
            kind,
            problem: problem.into(),
            context: Some(context),
            mark: Some(mark),
            names_context_first: false,
        }))
    }

    /// The stage that failed.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Where the problem is, when one place can be named.
    pub fn mark(&self) -> Option<Mark> {
        self.0.mark
    }

    /// The line to show to a person, counted from 1.
    pub fn line(&self) -> Option<usize> {
        self.0.mark.map(Mark::line_number)
    }

    /// The bare problem, without `yaml: ` and line.
    pub fn problem(&self) -> &str {
        &self.0.problem
    }

    /// go-yaml v3 names the line where the broken construct began, v2 the
    /// one where it broke.
    pub(crate) fn of_go_yaml3(mut self) -> Self {
        self.0.names_context_first = true;
        self
    }

    fn message(&self) -> String {
        let marks = match self.0.names_context_first {
            true => [self.0.context, self.0.mark],
            false => [self.0.mark, self.0.context],
        };
        let problem = &self.0.problem;
        match self.0.kind {
            ErrorKind::Json => return problem.clone(),
            ErrorKind::Unmarshal => {
                return format!(
                    "yaml: unmarshal errors:\n  line {}: {problem}",
                    self.line().unwrap_or(0)
                );
            }
            ErrorKind::Scanner | ErrorKind::Parser => {}
            _ => return format!("yaml: {problem}"),
        }
        let line = marks
            .into_iter()
            .flatten()
            .map(|mark| mark.line as usize)
            .find(|&line| line != 0)
            .map(|line| line + usize::from(self.0.kind == ErrorKind::Scanner));
        match line {
            Some(line) => format!("yaml: line {line}: {problem}"),
            None => format!("yaml: {problem}"),
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line_number(), self.column_number())
    }
}
