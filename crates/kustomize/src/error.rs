//! What a build reports when it fails.

use std::fmt;

/// One problem, in kustomize's words, with its place where one is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// What is wrong.
    pub message: String,
    /// The file, as an absolute path.
    pub file: Option<String>,
    /// The line in the file, from 1.
    pub line: Option<usize>,
}

impl Error {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Error {
            message: message.into(),
            file: None,
            line: None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(f, " ({file}:{line})"),
            (Some(file), None) => write!(f, " ({file})"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

/// Every problem that one pass found; the first is the one that kustomize
/// would report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errors {
    /// The problems.
    pub errors: Vec<Error>,
    /// What kustomize would say on standard error beside them.
    pub warnings: Vec<String>,
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, error) in self.errors.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}
