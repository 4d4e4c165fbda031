//! Parsed templates, and how Go prints their nodes in error texts.

use std::fmt::{self, Display, Write};
use std::sync::Arc;

use crate::strconv::quote;
use crate::text::Str;

/// A template text under its name, kept for positions in errors.
#[derive(Debug)]
pub(crate) struct Source {
    pub name: Str,
    pub text: Str,
}

/// One template: a whole text, or a `define` or `block` in it.
#[derive(Debug)]
pub(crate) struct Tree {
    pub name: Str,
    pub source: Arc<Source>,
    pub root: Vec<Node>,
}

#[derive(Debug)]
pub(crate) enum Node {
    Text { start: usize, end: usize },
    Action(Action),
    If(Box<Branch>),
    With(Box<Branch>),
    Range(Box<Branch>),
    Template(Box<Call>),
    Break,
    Continue,
}

#[derive(Debug)]
pub(crate) struct Action {
    pub pos: usize,
    pub pipe: Pipe,
}

#[derive(Debug)]
pub(crate) struct Branch {
    pub pos: usize,
    pub pipe: Pipe,
    pub body: Vec<Node>,
    pub otherwise: Option<Vec<Node>>,
}

/// `{{template "name" pipe}}`.
#[derive(Debug)]
pub(crate) struct Call {
    pub pos: usize,
    pub name: Str,
    pub pipe: Option<Pipe>,
}

#[derive(Debug)]
pub(crate) struct Pipe {
    pub pos: usize,
    pub declared: Vec<Str>,
    pub is_assign: bool,
    pub commands: Vec<Command>,
}

#[derive(Debug)]
pub(crate) struct Command {
    pub pos: usize,
    pub args: Vec<Expr>,
}

#[derive(Debug)]
pub(crate) struct Expr {
    pub pos: usize,
    pub kind: ExprKind,
}

#[derive(Debug)]
pub(crate) enum ExprKind {
    Dot,
    Nil,
    Bool(bool),
    Number(Box<Number>),
    /// The literal as written, and its value.
    String(Str, Str),
    Identifier(FuncRef),
    Field(Vec<Str>),
    Variable(Str, Vec<Str>),
    /// A parenthesised pipeline or an identifier with fields behind it.
    Chain(Box<Expr>, Vec<Str>),
    Pipe(Box<Pipe>),
}

/// A function by name, and its place in the table it was parsed against.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FuncRef {
    pub name: &'static str,
    pub index: usize,
}

/// A number literal: everything it can be taken for.
#[derive(Debug, Clone)]
pub(crate) struct Number {
    pub text: String,
    pub int: Option<i64>,
    pub uint: Option<u64>,
    pub float: Option<f64>,
    pub complex: Option<(f64, f64)>,
}

/// Whether a body prints nothing: Go lets such a template be redefined, and
/// does not let it redefine another.
pub(crate) fn is_empty(nodes: &[Node], text: &[u8]) -> bool {
    nodes.iter().all(|node| match node {
        Node::Text { start, end } => {
            crate::text::runes(&text[*start..*end]).all(|(rune, _)| crate::text::is_space(rune))
        }
        _ => false,
    })
}

impl Display for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.declared.is_empty() {
            for (i, name) in self.declared.iter().enumerate() {
                if i > 0 {
                    f.write_str(", ")?;
                }
                write!(f, "{name}")?;
            }
            f.write_str(if self.is_assign { " = " } else { " := " })?;
        }
        for (i, command) in self.commands.iter().enumerate() {
            if i > 0 {
                f.write_str(" | ")?;
            }
            write!(f, "{command}")?;
        }
        Ok(())
    }
}

impl Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, arg) in self.args.iter().enumerate() {
            if i > 0 {
                f.write_char(' ')?;
            }
            match &arg.kind {
                ExprKind::Pipe(pipe) => write!(f, "({pipe})")?,
                _ => write!(f, "{arg}")?,
            }
        }
        Ok(())
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Dot => f.write_char('.'),
            ExprKind::Nil => f.write_str("nil"),
            ExprKind::Bool(b) => write!(f, "{b}"),
            ExprKind::Number(number) => f.write_str(&number.text),
            ExprKind::String(literal, _) => write!(f, "{literal}"),
            ExprKind::Identifier(func) => f.write_str(func.name),
            ExprKind::Field(names) => write_fields(f, names),
            ExprKind::Variable(name, names) => {
                write!(f, "{name}")?;
                write_fields(f, names)
            }
            ExprKind::Chain(inner, names) => {
                match &inner.kind {
                    ExprKind::Pipe(pipe) => write!(f, "({pipe})")?,
                    _ => write!(f, "{inner}")?,
                }
                write_fields(f, names)
            }
            ExprKind::Pipe(pipe) => write!(f, "{pipe}"),
        }
    }
}

fn write_fields(f: &mut fmt::Formatter<'_>, names: &[Str]) -> fmt::Result {
    for name in names {
        write!(f, ".{name}")?;
    }
    Ok(())
}

impl Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{{template {}", quote(&self.name))?;
        if let Some(pipe) = &self.pipe {
            write!(f, " {pipe}")?;
        }
        f.write_str("}}")
    }
}

impl Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{{{}}}}}", self.pipe)
    }
}
