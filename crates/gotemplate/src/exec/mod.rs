//! Runs templates.
//!
//! The rules of typing and every error text are those of Go's text/template:
//! an operand carries its static type (here: whether it sits in an
//! `interface {}`), and an error names the node that was looked at last.

mod turns;

use std::sync::Arc;

use crate::ast::{Action, Branch, Call, Command, Expr, ExprKind, Node, Number, Pipe, Tree};
use crate::call::Final;
use crate::error::{CallError, ExecError, Limit, Problem};
use crate::printing::{sprint_value, write_value};
use crate::set::{Functions, MissingKey, TemplateSet};
use crate::strconv::quote;
use crate::text::Str;
use crate::types::{Kind, Type, Under};
use crate::value::{IntType, Value};

use turns::Turns;
pub(crate) use turns::is_integer;

/// How many steps pass between two looks at the caller's deadline.
const STEPS_PER_LOOK: u64 = 256;

/// What a host gives to its templates besides functions.
pub trait Host {
    /// Whether the run should stop, because its time is up or nobody waits for
    /// it any more. Asked every few hundred steps.
    fn interrupted(&self) -> bool {
        false
    }
}

impl Host for () {}

/// What one run may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Nodes and loop turns, over all templates of the run.
    pub steps: u64,
    /// Bytes made: output, and what functions return.
    pub bytes: u64,
    /// Levels of templates, control structures and parentheses inside each
    /// other. One level takes up to about 4 KiB of stack in an optimised build
    /// and about 16 KiB in a debug build, which the caller's thread must have.
    pub depth: usize,
}

/// Levels that must be left for one template to call another.
const TEMPLATE_HEADROOM: usize = 16;

impl Default for Limits {
    fn default() -> Self {
        Limits {
            steps: 100_000_000,
            bytes: 1 << 30,
            depth: 12_000,
        }
    }
}

/// An operand: a value, and whether its static type is `interface {}`.
#[derive(Clone, Debug)]
pub(crate) struct Operand {
    pub value: Value,
    pub boxed: bool,
}

impl Operand {
    pub(crate) fn plain(value: Value) -> Self {
        Operand {
            value,
            boxed: false,
        }
    }

    pub(crate) fn of(value: Value, declared: Type) -> Self {
        Operand {
            value,
            boxed: matches!(declared, Type::Any),
        }
    }

    /// No value at all, as opposed to an interface that holds nil.
    pub(crate) fn invalid() -> Self {
        Operand::plain(Value::Nil)
    }

    pub(crate) fn is_valid(&self) -> bool {
        self.boxed || !self.value.is_nil()
    }

    /// The name of the static type.
    pub(crate) fn type_name(&self) -> String {
        if self.boxed {
            Type::Any.to_string()
        } else {
            self.value.type_name()
        }
    }

    fn unboxed(mut self) -> Self {
        self.boxed = false;
        self
    }
}

/// One run of templates: its host, its limits, and what was used of them.
pub struct Run<'r, H> {
    /// The host's own state.
    pub host: &'r mut H,
    pub(crate) functions: &'r Functions<H>,
    set: Arc<TemplateSet>,
    limits: Limits,
    steps: u64,
    bytes: u64,
    depth: usize,
    /// Maps that functions changed, which may hold themselves by now.
    changed: Vec<crate::value::Map>,
}

/// The state of one executing template.
pub(crate) struct Frame<'t> {
    tree: &'t Tree,
    /// What `$` is unless a variable of that name is declared.
    root: Operand,
    variables: Vec<(Str, Operand)>,
    at: At<'t>,
}

/// The node looked at last.
#[derive(Clone, Copy)]
pub(crate) enum At<'t> {
    Nowhere,
    Action(&'t Action),
    Branch(&'t Branch, &'static str),
    Call(&'t Call),
    Pipe(&'t Pipe),
    Command(&'t Command),
    Expr(&'t Expr),
}

/// How a list of nodes ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

pub(crate) type Exec<T> = Result<T, Box<ExecError>>;

impl<'r, H: Host> Run<'r, H> {
    /// Prepares a run over `set`.
    pub fn new(
        set: Arc<TemplateSet>,
        functions: &'r Functions<H>,
        host: &'r mut H,
        limits: Limits,
    ) -> Self {
        Run {
            host,
            functions,
            set,
            limits,
            steps: 0,
            bytes: 0,
            depth: 0,
            changed: Vec::new(),
        }
    }

    /// Returns the set that runs now.
    pub fn set(&self) -> &Arc<TemplateSet> {
        &self.set
    }

    /// Runs `body` with another set in place, for `tpl`.
    pub fn with_set<T>(&mut self, set: Arc<TemplateSet>, body: impl FnOnce(&mut Self) -> T) -> T {
        let outer = std::mem::replace(&mut self.set, set);
        let result = body(self);
        self.set = outer;
        result
    }

    /// Returns the functions of the run, for parsing further texts.
    pub fn functions(&self) -> &'r Functions<H> {
        self.functions
    }

    /// Returns how many bytes the run may still make.
    pub fn bytes_left(&self) -> usize {
        usize::try_from(self.limits.bytes.saturating_sub(self.bytes)).unwrap_or(usize::MAX)
    }

    /// Counts bytes that a function is about to make.
    ///
    /// # Errors
    /// [`CallError::Limit`] when that is more than the run may make.
    pub fn charge(&mut self, bytes: usize) -> Result<(), CallError> {
        self.spend(bytes).map_err(CallError::from)
    }

    /// Notes that a function put something into `map`. Such maps are emptied at
    /// the end of the run, lest one that holds itself stay in memory for ever.
    pub fn note_changed(&mut self, map: &crate::value::Map) {
        self.changed.push(map.clone());
    }

    /// Runs the template `name` with `data` as dot, appending to `out`.
    ///
    /// # Errors
    /// [`CallError`]: a text when there is no such template, otherwise the
    /// failure of the run.
    pub fn execute(
        &mut self,
        name: &[u8],
        data: &Value,
        out: &mut Vec<u8>,
    ) -> Result<(), CallError> {
        let Some(tree) = self.set.lookup(name).map(Arc::clone) else {
            return Err(CallError::Text(format!(
                "template: no template {} associated with template {}",
                quote(name),
                quote(self.set.name())
            )));
        };
        self.execute_tree(&tree, Operand::plain(data.clone()), out)
            .map_err(CallError::Exec)
    }

    fn execute_tree(&mut self, tree: &Tree, dot: Operand, out: &mut Vec<u8>) -> Exec<()> {
        let mut frame = Frame {
            tree,
            root: dot.clone(),
            variables: Vec::new(),
            at: At::Nowhere,
        };
        self.walk(&mut frame, &dot, &tree.root, out)?;
        Ok(())
    }

    // Accounting.

    fn spend(&mut self, bytes: usize) -> Result<(), Limit> {
        self.bytes = self.bytes.saturating_add(bytes as u64);
        if self.bytes > self.limits.bytes {
            return Err(Limit::Bytes(self.limits.bytes));
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), Limit> {
        self.steps += 1;
        if self.steps > self.limits.steps {
            return Err(Limit::Steps(self.limits.steps));
        }
        if self.steps.is_multiple_of(STEPS_PER_LOOK) && self.host.interrupted() {
            return Err(Limit::Time);
        }
        Ok(())
    }

    pub(crate) fn enter(&mut self, frame: &Frame<'_>) -> Exec<()> {
        self.step().map_err(|l| frame.limit(l))?;
        if self.depth >= self.limits.depth {
            return Err(frame.limit(Limit::Depth(self.limits.depth)));
        }
        self.depth += 1;
        Ok(())
    }

    pub(crate) fn leave(&mut self) {
        self.depth -= 1;
    }

    pub(crate) fn spend_at(&mut self, frame: &Frame<'_>, bytes: usize) -> Exec<()> {
        self.spend(bytes).map_err(|l| frame.limit(l))
    }

    pub(crate) fn missing_key(&self) -> MissingKey {
        self.set.missing_key()
    }

    // Nodes.

    fn walk<'t>(
        &mut self,
        frame: &mut Frame<'t>,
        dot: &Operand,
        nodes: &'t [Node],
        out: &mut Vec<u8>,
    ) -> Exec<Flow> {
        self.enter(frame)?;
        for node in nodes {
            self.step().map_err(|l| frame.limit(l))?;
            let flow = match node {
                Node::Text { start, end } => {
                    let text = &frame.tree.source.text[*start..*end];
                    self.spend_at(frame, text.len())?;
                    out.extend_from_slice(text);
                    Flow::Next
                }
                Node::Action(action) => {
                    frame.at = At::Action(action);
                    let value = self.pipeline(frame, dot, &action.pipe)?;
                    if action.pipe.declared.is_empty() {
                        frame.at = At::Action(action);
                        self.print(frame, &value, out)?;
                    }
                    Flow::Next
                }
                Node::If(branch) => {
                    frame.at = At::Branch(branch, "if");
                    let mark = frame.variables.len();
                    let value = self.pipeline(frame, dot, &branch.pipe)?;
                    let flow = self.branch(frame, branch, value.value.is_true(), dot, dot, out)?;
                    frame.variables.truncate(mark);
                    flow
                }
                Node::With(branch) => {
                    frame.at = At::Branch(branch, "with");
                    let mark = frame.variables.len();
                    let value = self.pipeline(frame, dot, &branch.pipe)?;
                    let flow =
                        self.branch(frame, branch, value.value.is_true(), &value, dot, out)?;
                    frame.variables.truncate(mark);
                    flow
                }
                Node::Range(branch) => {
                    frame.at = At::Branch(branch, "range");
                    let mark = frame.variables.len();
                    let flow = self.range(frame, dot, branch, out)?;
                    frame.variables.truncate(mark);
                    flow
                }
                Node::Template(call) => {
                    frame.at = At::Call(call);
                    self.call_template(frame, dot, call, out)?;
                    Flow::Next
                }
                Node::Break => Flow::Break,
                Node::Continue => Flow::Continue,
            };
            if flow != Flow::Next {
                self.leave();
                return Ok(flow);
            }
        }
        self.leave();
        Ok(Flow::Next)
    }

    fn branch<'t>(
        &mut self,
        frame: &mut Frame<'t>,
        branch: &'t Branch,
        truth: bool,
        then_dot: &Operand,
        else_dot: &Operand,
        out: &mut Vec<u8>,
    ) -> Exec<Flow> {
        if truth {
            return self.walk(frame, then_dot, &branch.body, out);
        }
        match &branch.otherwise {
            Some(nodes) => self.walk(frame, else_dot, nodes, out),
            None => Ok(Flow::Next),
        }
    }

    fn range<'t>(
        &mut self,
        frame: &mut Frame<'t>,
        dot: &Operand,
        branch: &'t Branch,
        out: &mut Vec<u8>,
    ) -> Exec<Flow> {
        let mut value = self.pipeline(frame, dot, &branch.pipe)?.value;
        if let Value::Object(object) = &value
            && let Under::Type(_) = object.named().under
        {
            value = object.plain();
        }
        let mark = frame.variables.len();
        let mut turns = Turns {
            branch,
            mark,
            ran: false,
        };
        match &value {
            Value::Nil => {}
            Value::List(list) => {
                let element = list.slice_type().element();
                for (i, item) in list.items().iter().enumerate() {
                    let item = Operand::of(item.clone(), element);
                    let index = || Operand::plain(Value::int(i as i64));
                    if turns.turn(self, frame, index, item, out)? == Flow::Break {
                        break;
                    }
                }
            }
            Value::Bytes(bytes) => {
                for (i, b) in bytes.iter().enumerate() {
                    let item =
                        Operand::plain(Value::Uint(crate::value::UintType::Uint8, u64::from(*b)));
                    let index = || Operand::plain(Value::int(i as i64));
                    if turns.turn(self, frame, index, item, out)? == Flow::Break {
                        break;
                    }
                }
            }
            Value::Map(map) => {
                let element = map.map_type().element();
                for (key, item) in map.snapshot() {
                    let item = Operand::of(item, element);
                    let key = || Operand::plain(Value::Str(key));
                    if turns.turn(self, frame, key, item, out)? == Flow::Break {
                        break;
                    }
                }
            }
            Value::Int(..) | Value::Uint(..) => {
                if branch.pipe.declared.len() > 1 {
                    let shown = self.show(frame, &value)?;
                    return Err(frame.error(format!(
                        "can't use {shown} to iterate over more than one variable"
                    )));
                }
                let (end, of) = match &value {
                    Value::Int(of, n) => (u64::try_from(*n).unwrap_or(0), Ok(*of)),
                    Value::Uint(of, n) => (*n, Err(*of)),
                    _ => (0, Ok(IntType::Int)),
                };
                for i in 0..end {
                    let item = Operand::plain(match of {
                        Ok(of) => Value::Int(of, i as i64),
                        Err(of) => Value::Uint(of, i),
                    });
                    if turns.turn(self, frame, Operand::invalid, item, out)? == Flow::Break {
                        break;
                    }
                }
            }
            Value::Bool(_)
            | Value::Float(_)
            | Value::Complex(..)
            | Value::Str(_)
            | Value::Object(_) => {
                let shown = self.show(frame, &value)?;
                return Err(frame.error(format!("range can't iterate over {shown}")));
            }
        }
        if turns.ran {
            return Ok(Flow::Next);
        }
        match &branch.otherwise {
            // Go swallows a break that stands in the else of a range.
            Some(nodes) => match self.walk(frame, dot, nodes, out)? {
                Flow::Break => Ok(Flow::Next),
                other => Ok(other),
            },
            None => Ok(Flow::Next),
        }
    }

    fn show(&self, frame: &Frame<'_>, value: &Value) -> Exec<Str> {
        sprint_value(value, self.bytes_left()).map_err(|l| frame.limit(l))
    }

    fn call_template<'t>(
        &mut self,
        frame: &mut Frame<'t>,
        dot: &Operand,
        call: &'t Call,
        out: &mut Vec<u8>,
    ) -> Exec<()> {
        let Some(tree) = self.set.lookup(&call.name).map(Arc::clone) else {
            return Err(frame.error(format!("template {} not defined", quote(&call.name))));
        };
        // Checked here already, so that the error names the action and not what
        // happens to be the last straw inside of it.
        if self.depth.saturating_add(TEMPLATE_HEADROOM) >= self.limits.depth {
            return Err(frame.limit(Limit::Depth(self.limits.depth)));
        }
        let dot = match &call.pipe {
            Some(pipe) => self.pipeline(frame, dot, pipe)?,
            None => Operand::invalid(),
        };
        self.enter(frame)?;
        self.execute_tree(&tree, dot, out)?;
        self.leave();
        Ok(())
    }

    fn print(&mut self, frame: &Frame<'_>, operand: &Operand, out: &mut Vec<u8>) -> Exec<()> {
        let before = out.len();
        match &operand.value {
            Value::Nil if !operand.boxed => out.extend_from_slice(b"<no value>"),
            Value::Str(s) => out.extend_from_slice(s),
            value => match value.action_text() {
                Some(text) => out.extend_from_slice(text.as_bytes()),
                None => {
                    let limit = before.saturating_add(self.bytes_left());
                    write_value(out, value, limit).map_err(|l| frame.limit(l))?;
                }
            },
        }
        self.spend_at(frame, out.len() - before)
    }

    // Pipelines and operands.

    pub(crate) fn pipeline<'t>(
        &mut self,
        frame: &mut Frame<'t>,
        dot: &Operand,
        pipe: &'t Pipe,
    ) -> Exec<Operand> {
        self.enter(frame)?;
        frame.at = At::Pipe(pipe);
        let mut value = Operand::invalid();
        for (i, command) in pipe.commands.iter().enumerate() {
            let last = if i == 0 { None } else { Some(value) };
            value = self.command(frame, dot, command, last)?.unboxed();
        }
        for name in &pipe.declared {
            if pipe.is_assign {
                frame.assign(name, value.clone())?;
            } else {
                frame.variables.push((name.clone(), value.clone()));
            }
        }
        self.leave();
        Ok(value)
    }

    fn command<'t>(
        &mut self,
        frame: &mut Frame<'t>,
        dot: &Operand,
        command: &'t Command,
        last: Final,
    ) -> Exec<Operand> {
        let first = &command.args[0];
        match &first.kind {
            ExprKind::Field(names) => {
                frame.at = At::Expr(first);
                self.field_chain(frame, dot, dot.clone(), first, names, &command.args, last)
            }
            ExprKind::Chain(inner, names) => {
                self.chain(frame, dot, first, inner, names, &command.args, last)
            }
            ExprKind::Variable(name, names) => {
                self.variable(frame, dot, first, name, names, &command.args, last)
            }
            ExprKind::Identifier(func) => {
                frame.at = At::Expr(first);
                self.function(frame, dot, At::Command(command), func, &command.args, last)
            }
            ExprKind::Pipe(pipe) => {
                frame.not_a_function(&command.args, &last)?;
                self.pipeline(frame, dot, pipe)
            }
            constant => {
                frame.at = At::Expr(first);
                frame.not_a_function(&command.args, &last)?;
                match constant {
                    ExprKind::Dot => Ok(dot.clone()),
                    ExprKind::Bool(b) => Ok(Operand::plain(Value::Bool(*b))),
                    ExprKind::Number(number) => self.ideal(frame, number),
                    ExprKind::String(_, text) => Ok(Operand::plain(Value::Str(text.clone()))),
                    _ => Err(frame.error("nil is not a command")),
                }
            }
        }
    }

    /// The value of a number literal where nothing says which type is wanted.
    pub(crate) fn ideal(&self, frame: &Frame<'_>, number: &Number) -> Exec<Operand> {
        if let Some((re, im)) = number.complex {
            return Ok(Operand::plain(Value::Complex(re, im)));
        }
        let text = number.text.as_str();
        let hex = text.len() > 2
            && text.starts_with("0x") | text.starts_with("0X")
            && !text.contains(['p', 'P']);
        let rune = text.starts_with('\'');
        if let Some(float) = number.float
            && !hex
            && !rune
            && text.contains(['.', 'e', 'E', 'p', 'P'])
        {
            return Ok(Operand::plain(Value::Float(float)));
        }
        match number.int {
            Some(int) => Ok(Operand::plain(Value::int(int))),
            None => Err(frame.error(format!("{text} overflows int"))),
        }
    }

    #[allow(clippy::too_many_arguments)]
    pub(crate) fn chain<'t>(
        &mut self,
        frame: &mut Frame<'t>,
        dot: &Operand,
        node: &'t Expr,
        inner: &'t Expr,
        names: &'t [Str],
        args: &'t [Expr],
        last: Final,
    ) -> Exec<Operand> {
        frame.at = At::Expr(node);
        let receiver = self.untyped(frame, dot, inner)?;
        self.field_chain(frame, dot, receiver, node, names, args, last)
    }

    #[allow(clippy::too_many_arguments)]
    pub(crate) fn variable<'t>(
        &mut self,
        frame: &mut Frame<'t>,
        dot: &Operand,
        node: &'t Expr,
        name: &'t Str,
        names: &'t [Str],
        args: &'t [Expr],
        last: Final,
    ) -> Exec<Operand> {
        frame.at = At::Expr(node);
        let value = frame.value_of(name)?;
        if names.is_empty() {
            frame.not_a_function(args, &last)?;
            return Ok(value);
        }
        self.field_chain(frame, dot, value, node, names, args, last)
    }

    /// Follows `.a.b.c`; only the last may be a method with arguments.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn field_chain<'t>(
        &mut self,
        frame: &mut Frame<'t>,
        dot: &Operand,
        mut receiver: Operand,
        node: &'t Expr,
        names: &'t [Str],
        args: &'t [Expr],
        last: Final,
    ) -> Exec<Operand> {
        let Some((end, path)) = names.split_last() else {
            return Ok(receiver);
        };
        for name in path {
            receiver = self.field(frame, dot, receiver, node, name, &[], None)?;
        }
        self.field(frame, dot, receiver, node, end, args, last)
    }

    #[allow(clippy::too_many_arguments)]
    fn field<'t>(
        &mut self,
        frame: &mut Frame<'t>,
        dot: &Operand,
        receiver: Operand,
        node: &'t Expr,
        name: &'t Str,
        args: &'t [Expr],
        last: Final,
    ) -> Exec<Operand> {
        if receiver.value.is_nil() {
            if receiver.boxed {
                return Err(frame.error(format!(
                    "nil pointer evaluating {}.{name}",
                    receiver.type_name()
                )));
            }
            if self.missing_key() == MissingKey::Error {
                return Err(frame.error(format!("nil data; no entry for key {}", quote(name))));
            }
            return Ok(Operand::invalid());
        }
        if let Some(method) = receiver.value.method(name) {
            return self.method(frame, dot, node, method, &receiver.value, args, last);
        }
        let has_args = args.len() > 1 || last.is_some();
        let map = match &receiver.value {
            Value::Map(map) => Some(map.clone()),
            Value::Object(object) => match object.named().under {
                Under::Struct | Under::Pointer => {
                    if let Some(field) = object.field(&name.to_text()) {
                        if has_args {
                            return Err(frame.error(format!(
                                "{name} has arguments but cannot be invoked as function"
                            )));
                        }
                        return Ok(Operand::plain(field));
                    }
                    None
                }
                Under::Type(_) => match object.plain() {
                    Value::Map(map) => Some(map),
                    _ => None,
                },
            },
            _ => None,
        };
        let Some(map) = map else {
            return Err(frame.error(format!(
                "can't evaluate field {name} in type {}",
                receiver.type_name()
            )));
        };
        if has_args {
            return Err(frame.error(format!("{name} is not a method but has arguments")));
        }
        let element = map.map_type().element();
        if let Some(value) = map.get(name) {
            return Ok(Operand::of(value, element));
        }
        match self.missing_key() {
            MissingKey::Invalid => Ok(Operand::invalid()),
            MissingKey::Zero => Ok(Operand::of(Value::zero(element), element)),
            MissingKey::Error => {
                Err(frame.error(format!("map has no entry for key {}", quote(name))))
            }
        }
    }
}

impl<H> Drop for Run<'_, H> {
    fn drop(&mut self) {
        for map in &self.changed {
            map.take();
        }
    }
}
