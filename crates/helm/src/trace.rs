//! How Helm words the failure of a template.
//!
//! What the executor itself refuses is shown as one block per level of
//! templates; what a function failed with is shown as Go wrote it; `fail` and
//! `required` show nothing but their text and where it happened.

use sluice_gotemplate::{CallError, Problem};

use crate::funcs::{WARN_END, WARN_START};

/// Returns Helm's text for a failed template.
pub(crate) fn template_error(error: &CallError) -> String {
    if let Some(text) = asked_for(error) {
        return text;
    }
    match blocks(error) {
        Some(text) => text,
        None => error.to_string(),
    }
}

/// The text of `fail` or `required`, with the place of the outermost action.
fn asked_for(error: &CallError) -> Option<String> {
    let whole = error.to_string();
    let start = whole.find(WARN_START)? + WARN_START.len();
    let end = whole.rfind(WARN_END)?;
    let CallError::Exec(outermost) = error else {
        return None;
    };
    Some(format!(
        "execution error at ({}): {}",
        outermost.location(),
        whole.get(start..end)?
    ))
}

/// One block per level, if every level is of the executor's making.
fn blocks(error: &CallError) -> Option<String> {
    let mut out = String::new();
    let mut at = Some(error);
    while let Some(level) = at {
        match level {
            CallError::Exec(exec) => {
                let (message, cause) = match &exec.problem {
                    Problem::Message(message) => (message.clone(), None),
                    Problem::Limit(limit) => (limit.to_string(), None),
                    Problem::Call { function, cause } => {
                        (format!("error calling {function}:"), Some(cause.as_ref()))
                    }
                };
                let text = format!("at <{}>: {message}", exec.context);
                // The original cuts texts at these marks, also where they are
                // part of what the template says.
                let (context, message) = text.split_once(">: ")?;
                let message = message.split(" template: ").next().unwrap_or_default();
                let name = sluice_gotemplate::strconv::quote(exec.template.as_bytes());
                out.push_str(&format!(
                    "{}\n  executing {name} {context}>:\n    {message}\n",
                    exec.location()
                ));
                at = cause;
            }
            CallError::Limit(limit) => {
                out.push_str(&format!("{limit}\n"));
                at = None;
            }
            CallError::Text(text) if is_missing_template(text) => {
                out.push_str(text);
                out.push('\n');
                at = None;
            }
            CallError::Text(_) | CallError::Wrapped { .. } => return None,
        }
    }
    Some(out.trim().to_owned())
}

fn is_missing_template(text: &str) -> bool {
    text.starts_with("template: no template ") && text.contains(" associated with template ")
}
