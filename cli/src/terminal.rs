//! What a command prints: data to standard output, progress to standard error.
//!
//! Pipelines read the former and people the latter, so that the two never mix.
//! A line of progress has a mark that says what kind of news it is.

use std::io::{self, Write};

/// The mark of an action that starts.
pub const ACTION: &str = "►";
/// The mark of something that is generated.
pub const GENERATING: &str = "✚";
/// The mark of a wait.
pub const WAITING: &str = "◎";
/// The mark of a success.
pub const SUCCESS: &str = "✔";
/// The mark of a warning.
pub const WARNING: &str = "⚠️";
/// The mark of a failure.
pub const FAILURE: &str = "✗";

/// Where a command prints.
pub struct Terminal {
    data: Box<dyn Write + Send>,
    progress: Box<dyn Write + Send>,
}

impl Terminal {
    /// The streams of the process.
    pub fn standard() -> Self {
        Self::new(Box::new(io::stdout()), Box::new(io::stderr()))
    }

    /// Other streams, for tests.
    pub fn new(data: Box<dyn Write + Send>, progress: Box<dyn Write + Send>) -> Self {
        Self { data, progress }
    }

    /// Prints data as it is.
    ///
    /// # Errors
    ///
    /// Fails when nobody reads the stream any more.
    pub fn print(&mut self, text: &str) -> io::Result<()> {
        self.data.write_all(text.as_bytes())?;
        self.data.flush()
    }

    /// Says that an action starts.
    pub fn action(&mut self, text: &str) {
        self.say(ACTION, text);
    }

    /// Says that something is generated.
    pub fn generating(&mut self, text: &str) {
        self.say(GENERATING, text);
    }

    /// Says what is waited for.
    pub fn waiting(&mut self, text: &str) {
        self.say(WAITING, text);
    }

    /// Says that something went well.
    pub fn success(&mut self, text: &str) {
        self.say(SUCCESS, text);
    }

    /// Says that something may not be as meant.
    pub fn warning(&mut self, text: &str) {
        self.say(WARNING, text);
    }

    /// Says that something went wrong.
    pub fn failure(&mut self, text: &str) {
        self.say(FAILURE, text);
    }

    fn say(&mut self, mark: &str, text: &str) {
        // Progress that nobody reads is no reason to stop.
        let _ = writeln!(self.progress, "{mark} {text}");
    }

    /// Asks a question that only `y` answers with yes; no answer means no.
    pub fn confirm(&mut self, question: &str) -> bool {
        let _ = write!(self.progress, "{question}? [y/N] ");
        let _ = self.progress.flush();
        let mut answer = String::new();
        if io::stdin().read_line(&mut answer).is_err() {
            return false;
        }
        matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
    }
}
