//! What goes wrong while templates are read and run, in Go's words.

use std::fmt;

use crate::strconv::quote;

/// A template text that does not parse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("template: {file}:{line}: {message}")]
pub struct ParseError {
    /// The name under which the text was parsed.
    pub file: String,
    /// The line, from 1, that was being read.
    pub line: usize,
    /// What is wrong, in the words of Go's text/template.
    pub message: String,
}

/// A template run that failed, with the place where it did.
///
/// Prints as Go does: `template: FILE:LINE:COL: executing "NAME" at <NODE>: …`,
/// and for a failing function everything that failed inside it.
#[derive(Debug, Clone)]
pub struct ExecError {
    /// The name of the file that holds the failing node.
    pub file: String,
    /// Line from 1.
    pub line: usize,
    /// Bytes from the start of the line, from 0.
    pub column: usize,
    /// The name of the template that was executing.
    pub template: String,
    /// The failing node as template text.
    pub context: String,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong in an [`ExecError`].
#[derive(Debug, Clone)]
pub enum Problem {
    /// The executor itself refused to go on.
    Message(String),
    /// A function returned an error or panicked.
    Call {
        /// The function's name.
        function: String,
        /// What it said.
        cause: Box<CallError>,
    },
    /// The run was stopped by one of its limits.
    Limit(Limit),
}

/// Which limit stopped a run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Limit {
    /// Too many steps.
    #[error("template run stopped after {0} steps")]
    Steps(u64),
    /// Too many bytes made.
    #[error("template run stopped after making {0} bytes")]
    Bytes(u64),
    /// Templates nested too deeply.
    #[error("exceeded maximum template depth ({0})")]
    Depth(usize),
    /// The caller's deadline passed.
    #[error("template run stopped: its time is up")]
    Time,
}

/// What a function, method or nested run failed with.
#[derive(Debug, Clone)]
pub enum CallError {
    /// A plain error or a panic.
    Text(String),
    /// A run inside the function failed.
    Exec(Box<ExecError>),
    /// An error that wraps another one.
    Wrapped {
        /// What stands before the inner error, without the colon between them.
        context: String,
        /// The inner error.
        cause: Box<CallError>,
    },
    /// One of the run's limits was hit.
    Limit(Limit),
}

impl CallError {
    /// Makes a plain error.
    pub fn new(text: impl Into<String>) -> Self {
        CallError::Text(text.into())
    }

    /// Wraps this error: `context: error`.
    pub fn within(self, context: impl Into<String>) -> Self {
        CallError::Wrapped {
            context: context.into(),
            cause: Box::new(self),
        }
    }

    /// Returns the limit that is at the root of the error, if one is.
    pub fn limit(&self) -> Option<&Limit> {
        let mut at = self;
        loop {
            match at {
                CallError::Text(_) => return None,
                CallError::Limit(limit) => return Some(limit),
                CallError::Wrapped { cause, .. } => at = cause,
                CallError::Exec(exec) => match &exec.problem {
                    Problem::Message(_) => return None,
                    Problem::Limit(limit) => return Some(limit),
                    Problem::Call { cause, .. } => at = cause,
                },
            }
        }
    }
}

impl ExecError {
    /// Returns `FILE:LINE:COL`.
    pub fn location(&self) -> String {
        format!("{}:{}:{}", self.file, self.line, self.column)
    }

    /// Returns the error that a function inside this run failed with.
    pub fn cause(&self) -> Option<&CallError> {
        match &self.problem {
            Problem::Call { cause, .. } => Some(cause),
            Problem::Message(_) | Problem::Limit(_) => None,
        }
    }

    /// Returns the limit that is at the root of the error, if one is.
    pub fn limit(&self) -> Option<&Limit> {
        match &self.problem {
            Problem::Limit(limit) => Some(limit),
            Problem::Call { cause, .. } => cause.limit(),
            Problem::Message(_) => None,
        }
    }
}

impl fmt::Display for ExecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "template: {}:{}:{}: executing {} at <{}>: ",
            self.file,
            self.line,
            self.column,
            quote(self.template.as_bytes()),
            self.context
        )?;
        match &self.problem {
            Problem::Message(message) => f.write_str(message),
            Problem::Call { function, cause } => write!(f, "error calling {function}: {cause}"),
            Problem::Limit(limit) => write!(f, "{limit}"),
        }
    }
}

impl std::error::Error for ExecError {}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Text(text) => f.write_str(text),
            CallError::Exec(exec) => write!(f, "{exec}"),
            CallError::Wrapped { context, cause } => write!(f, "{context}: {cause}"),
            CallError::Limit(limit) => write!(f, "{limit}"),
        }
    }
}

impl std::error::Error for CallError {}

impl From<ExecError> for CallError {
    fn from(error: ExecError) -> Self {
        CallError::Exec(Box::new(error))
    }
}

impl From<Limit> for CallError {
    fn from(limit: Limit) -> Self {
        CallError::Limit(limit)
    }
}
