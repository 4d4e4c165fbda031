//! How a command ends badly: what is printed, and the exit code.

use std::fmt;
use std::io;

/// The end of a command that did not do what was asked.
#[derive(Debug)]
pub enum Failure {
    /// Something went wrong: exit code 1.
    Error(String),
    /// An end with an exit code of its own. Code 1 is then no failure but news.
    Status(u8, String),
    /// Nobody reads the output any more: a quiet end.
    OutputClosed,
}

/// What commands return.
pub type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// An error with this text.
    pub fn new(message: impl Into<String>) -> Self {
        Self::Error(message.into())
    }

    /// The exit code of the process.
    pub fn code(&self) -> u8 {
        match self {
            Self::Error(_) => 1,
            Self::Status(code, _) => *code,
            Self::OutputClosed => 0,
        }
    }

    /// What to say, if anything.
    pub fn news(&self) -> Option<News<'_>> {
        match self {
            Self::Status(1, message) => Some(News::Warning(message)),
            Self::Error(message) | Self::Status(_, message) => Some(News::Failure(message)),
            Self::OutputClosed => None,
        }
    }
}

/// How the end of a command is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News<'a> {
    /// Something went wrong.
    Failure(&'a str),
    /// Something is to be known.
    Warning(&'a str),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(message) | Self::Status(_, message) => f.write_str(message),
            Self::OutputClosed => f.write_str("the output was closed"),
        }
    }
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        Self::Error(describe(&error))
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Error(format!("{error:#}"))
    }
}

impl From<sluice_yaml::Error> for Failure {
    fn from(error: sluice_yaml::Error) -> Self {
        Self::Error(error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Error(error.to_string()),
        }
    }
}

/// The text of an error of the API: the server's own words where it answered,
/// else what went wrong and why.
pub fn describe(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error
        && !status.message.is_empty()
    {
        return status.message.clone();
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text
}

/// Whether the server says that the object is not there.
pub fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}
