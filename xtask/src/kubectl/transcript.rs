//! Transcripts: conversations as text, commands and what they printed.
//!
//! ```text
//! # Free text.
//! % kubectl wait ...           a preparation: repeated until it succeeds, its output does not matter
//! $ kubectl get deployments    a command, run once by `sh`
//! > --no-headers               a further line of it
//! | web   2/2   2   2   AGE    what it printed
//! ! warning: ...               what it complained
//! = 1                          its exit code, unless 0
//! ```

use std::fmt::Write as _;

use anyhow::{Context as _, bail};

/// How a command is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Until it succeeds; nothing is compared.
    Prepare,
    /// Once; everything is compared.
    Show,
}

/// What a command did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
    /// Its exit code.
    pub code: i32,
}

/// One command.
#[derive(Debug, Clone)]
pub struct Step {
    /// The line of the file, from 1.
    pub line: usize,
    /// Free text before it, with its line ends.
    pub before: String,
    /// How it is run.
    pub mode: Mode,
    /// The text given to `sh`.
    pub command: String,
    /// What it is known to do.
    pub outcome: Outcome,
}

/// A whole file.
#[derive(Debug, Clone)]
pub struct Transcript {
    /// The commands in order.
    pub steps: Vec<Step>,
    /// Free text after the last.
    pub after: String,
}

impl Transcript {
    /// Reads a file's text.
    ///
    /// # Errors
    /// A line that is neither a command, nor output of one, nor free text.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let mut steps: Vec<Step> = Vec::new();
        let mut free = String::new();
        for (index, line) in text.lines().enumerate() {
            let line_number = index + 1;
            let (mark, rest) = line.split_at_checked(1).unwrap_or_default();
            let rest = rest.strip_prefix(' ').unwrap_or(rest);
            let mode = match mark {
                "" | "#" => {
                    free.push_str(line);
                    free.push('\n');
                    continue;
                }
                "%" => Some(Mode::Prepare),
                "$" => Some(Mode::Show),
                _ => None,
            };
            if let Some(mode) = mode {
                steps.push(Step {
                    line: line_number,
                    before: std::mem::take(&mut free),
                    mode,
                    command: rest.to_owned(),
                    outcome: Outcome::default(),
                });
                continue;
            }
            let step = steps
                .last_mut()
                .filter(|_| free.is_empty())
                .with_context(|| format!("line {line_number} belongs to no command"))?;
            match mark {
                ">" => {
                    step.command.push('\n');
                    step.command.push_str(rest);
                }
                "|" => {
                    step.outcome.out.push_str(rest);
                    step.outcome.out.push('\n');
                }
                "!" => {
                    step.outcome.err.push_str(rest);
                    step.outcome.err.push('\n');
                }
                "=" => step.outcome.code = rest.trim().parse().context("an exit code")?,
                _ => bail!("line {line_number} begins with none of `#%$>|!=`"),
            }
        }
        Ok(Self { steps, after: free })
    }

    /// The text of a file.
    pub fn write(&self) -> String {
        let mut text = String::new();
        for step in &self.steps {
            text.push_str(&step.before);
            let mark = match step.mode {
                Mode::Prepare => '%',
                Mode::Show => '$',
            };
            for (index, line) in step.command.lines().enumerate() {
                put(&mut text, if index == 0 { mark } else { '>' }, line);
            }
            text.push_str(&step.outcome.lines());
        }
        text.push_str(&self.after);
        text
    }
}

impl Outcome {
    /// It as lines of a transcript.
    pub fn lines(&self) -> String {
        let mut text = String::new();
        for line in self.out.lines() {
            put(&mut text, '|', line);
        }
        for line in self.err.lines() {
            put(&mut text, '!', line);
        }
        if self.code != 0 {
            put(&mut text, '=', &self.code.to_string());
        }
        text
    }
}

/// A line with its mark; no space follows the mark of an empty line.
fn put(text: &mut String, mark: char, line: &str) {
    let space = if line.is_empty() { "" } else { " " };
    let _ = writeln!(text, "{mark}{space}{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transcript_is_written_as_it_was_read() {
        let text =
            "# About.\n\n% kubectl wait x\n$ echo a\n> echo\n| a\n|\n! b\n= 3\n\n# The end.\n";
        let transcript = Transcript::parse(text).unwrap();
        assert_eq!(transcript.write(), text);
        assert_eq!(transcript.steps[1].command, "echo a\necho");
        assert_eq!(
            transcript.steps[1].outcome,
            Outcome {
                out: "a\n\n".into(),
                err: "b\n".into(),
                code: 3
            }
        );
    }

    #[test]
    fn output_of_no_command_is_refused() {
        assert!(Transcript::parse("| a\n").is_err());
        assert!(Transcript::parse("$ a\n# b\n| a\n").is_err());
        assert!(Transcript::parse("kubectl get\n").is_err());
    }
}
