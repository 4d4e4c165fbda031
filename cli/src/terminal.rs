//! What a command prints: data to standard output, progress to standard error.
//!
//! Pipelines read the former and people the latter, so that the two never mix.
//! A line of progress has a mark that says what kind of news it is.

use std::io::{self, IsTerminal as _, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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

/// What a line of data is about, as far as colours tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Nothing special.
    Plain,
    /// Something that comes into being: green.
    New,
    /// Something that ceases to be: red.
    Gone,
}

type Stream = Arc<Mutex<Box<dyn Write + Send>>>;

/// Where a command prints. Clones print to the same streams.
#[derive(Clone)]
pub struct Terminal {
    data: Stream,
    progress: Stream,
    is_coloured: bool,
    is_watched: bool,
}

impl Terminal {
    /// The streams of the process.
    pub fn standard() -> Self {
        Self {
            is_coloured: io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
            is_watched: io::stderr().is_terminal(),
            ..Self::new(Box::new(io::stdout()), Box::new(io::stderr()))
        }
    }

    /// Other streams, for tests.
    pub fn new(data: Box<dyn Write + Send>, progress: Box<dyn Write + Send>) -> Self {
        Self {
            data: Arc::new(Mutex::new(data)),
            progress: Arc::new(Mutex::new(progress)),
            is_coloured: false,
            is_watched: false,
        }
    }

    /// Text in the colour of its tone, if the data goes to a terminal.
    pub fn painted(&self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::New => 32,
            Tone::Gone => 31,
            Tone::Plain => return text.to_owned(),
        };
        match self.is_coloured {
            true => format!("\x1b[{code}m{}\x1b[0m\n", text.trim_end_matches('\n')),
            false => text.to_owned(),
        }
    }

    /// Says that something takes a while, to somebody who watches.
    pub fn patience(&mut self, text: &str) {
        if self.is_watched {
            self.say(WAITING, text);
        }
    }

    /// Prints data as it is.
    ///
    /// # Errors
    ///
    /// Fails when nobody reads the stream any more.
    pub fn print(&mut self, text: &str) -> io::Result<()> {
        let mut data = lock(&self.data);
        data.write_all(text.as_bytes())?;
        data.flush()
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
        let _ = writeln!(lock(&self.progress), "{mark} {text}");
    }

    /// Asks a question that only `y` answers with yes; no answer means no.
    pub fn confirm(&mut self, question: &str) -> bool {
        let mut progress = lock(&self.progress);
        let _ = write!(progress, "{question}? [y/N] ");
        let _ = progress.flush();
        drop(progress);
        let mut answer = String::new();
        if io::stdin().read_line(&mut answer).is_err() {
            return false;
        }
        matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
    }
}

fn lock(stream: &Stream) -> MutexGuard<'_, Box<dyn Write + Send>> {
    stream.lock().unwrap_or_else(PoisonError::into_inner)
}
