//! The turns of a loop, and what a running template has at hand.

use super::*;

/// The turns of one range.
pub(super) struct Turns<'t> {
    pub(super) branch: &'t Branch,
    pub(super) mark: usize,
    pub(super) ran: bool,
}

impl<'t> Turns<'t> {
    pub(super) fn turn<H: Host>(
        &mut self,
        run: &mut Run<'_, H>,
        frame: &mut Frame<'t>,
        index: impl FnOnce() -> Operand,
        item: Operand,
        out: &mut Vec<u8>,
    ) -> Exec<Flow> {
        self.ran = true;
        let pipe = &self.branch.pipe;
        let set_top = |frame: &mut Frame<'_>, from_top: usize, value: Operand| {
            let at = frame.variables.len() - from_top;
            frame.variables[at].1 = value;
        };
        match (pipe.declared.as_slice(), pipe.is_assign) {
            ([], _) => {}
            ([one], true) => frame.assign(one, item.clone())?,
            ([_], false) => set_top(frame, 1, item.clone()),
            ([first, second, ..], true) => {
                frame.assign(first, index())?;
                frame.assign(second, item.clone())?;
            }
            ([_, _, ..], false) => {
                set_top(frame, 1, item.clone());
                set_top(frame, 2, index());
            }
        }
        let flow = run.walk(frame, &item, &self.branch.body, out)?;
        frame.variables.truncate(self.mark);
        Ok(match flow {
            Flow::Continue => Flow::Next,
            other => other,
        })
    }
}

impl<'t> Frame<'t> {
    pub(crate) fn set_at(&mut self, at: At<'t>) {
        self.at = at;
    }

    pub(super) fn value_of(&self, name: &Str) -> Exec<Operand> {
        self.variables
            .iter()
            .rev()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
            .or_else(|| (**name == *b"$").then_some(&self.root))
            .cloned()
            .ok_or_else(|| self.error(format!("undefined variable: {name}")))
    }

    pub(super) fn assign(&mut self, name: &Str, value: Operand) -> Exec<()> {
        match self
            .variables
            .iter_mut()
            .rev()
            .find(|(known, _)| known == name)
        {
            Some((_, slot)) => {
                *slot = value;
                Ok(())
            }
            None if **name == *b"$" => {
                self.root = value;
                Ok(())
            }
            None => Err(self.error(format!("undefined variable: {name}"))),
        }
    }

    pub(super) fn not_a_function(&self, args: &[Expr], last: &Final) -> Exec<()> {
        if args.len() > 1 || last.is_some() {
            let shown = args.first().map(ToString::to_string).unwrap_or_default();
            return Err(self.error(format!("can't give argument to non-function {shown}")));
        }
        Ok(())
    }

    pub(crate) fn error(&self, message: impl Into<String>) -> Box<ExecError> {
        self.fail(Problem::Message(message.into()))
    }

    pub(crate) fn limit(&self, limit: Limit) -> Box<ExecError> {
        self.fail(Problem::Limit(limit))
    }

    pub(crate) fn fail(&self, problem: Problem) -> Box<ExecError> {
        let (pos, context) = match self.at {
            At::Nowhere => (0, String::new()),
            At::Action(action) => (action.pos, action.to_string()),
            At::Branch(branch, word) => (branch.pos, format!("{{{{{word} {}}}}}", branch.pipe)),
            At::Call(call) => (call.pos, call.to_string()),
            At::Pipe(pipe) => (pipe.pos, pipe.to_string()),
            At::Command(command) => (command.pos, command.to_string()),
            At::Expr(expr) => (expr.pos, expr.to_string()),
        };
        let before = &self.tree.source.text[..pos];
        let line_start = before
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(0, |at| at + 1);
        Box::new(ExecError {
            file: self.tree.source.name.to_string(),
            line: 1 + crate::lex::newlines(before),
            column: pos - line_start,
            template: self.tree.name.to_text().into_owned(),
            context,
            problem,
        })
    }
}

/// Whether a value is an integer of either sign, for Go's conversions.
pub(crate) fn is_integer(value: &Value) -> bool {
    matches!(
        value.kind(),
        Kind::Int | Kind::Int32 | Kind::Int64 | Kind::Uint8 | Kind::Uint32 | Kind::Uint64
    )
}
