//! Where `sluice up` shows its tree: a terminal that is redrawn, lines in a pipe, or JSON lines.

use std::io::{IsTerminal as _, Write as _};

use jiff::Timestamp;

use super::view::{self, Node, Paint};

/// Form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The tree, drawn anew at each change.
    Terminal(Paint),
    /// A line for each change.
    Lines,
    /// A JSON object for each change.
    Json,
}

impl Form {
    /// The form that suits standard output.
    pub fn of_stdout() -> Self {
        if !std::io::stdout().is_terminal() {
            return Self::Lines;
        }
        if std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
            return Self::Terminal(Paint::Plain);
        }
        Self::Terminal(Paint::Colour)
    }
}

/// The output, with what it shows at the moment.
#[derive(Debug)]
pub struct Screen {
    form: Form,
    shown: Vec<Node>,
    lines: usize,
}

impl Screen {
    /// An output that shows nothing yet.
    pub fn new(form: Form) -> Self {
        Self {
            form,
            shown: Vec::new(),
            lines: 0,
        }
    }

    /// Shows a tree.
    ///
    /// # Errors
    /// Nobody reads the output any more.
    pub fn show(&mut self, tree: Vec<Node>, now: Timestamp) -> std::io::Result<()> {
        let mut text = String::new();
        match self.form {
            Form::Terminal(paint) => {
                let (width, height) = size();
                // Up to the first line of the last drawing, then everything below is erased.
                if self.lines > 0 {
                    text.push_str(&format!("\x1b[{}F", self.lines));
                }
                text.push_str("\x1b[J");
                let drawn = view::draw(&tree, now, width, height.saturating_sub(2).max(3), paint);
                self.lines = drawn.lines().count();
                text.push_str(&drawn);
            }
            Form::Lines => {
                for line in view::changes(&self.shown, &tree, now) {
                    text.push_str(&line.text());
                    text.push('\n');
                }
            }
            Form::Json => {
                for line in view::changes(&self.shown, &tree, now) {
                    text.push_str(&serde_json::to_string(&line).unwrap_or_default());
                    text.push('\n');
                }
            }
        }
        self.shown = tree;
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    /// Whether showing the same tree again says something new: ages move on a terminal only.
    pub fn ticks(&self) -> bool {
        matches!(self.form, Form::Terminal(_))
    }

    /// What is shown.
    pub fn shown(&self) -> &[Node] {
        &self.shown
    }
}

/// Columns and rows of the terminal: what it says itself, else its variables, else 80 by 24.
fn size() -> (usize, usize) {
    if let Some((terminal_size::Width(width), terminal_size::Height(height))) =
        terminal_size::terminal_size()
    {
        return (usize::from(width), usize::from(height));
    }
    let number = |name: &str, otherwise| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(otherwise)
    };
    (number("COLUMNS", 80), number("LINES", 24))
}
