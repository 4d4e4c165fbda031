//! Builds trees from template text.
//!
//! The grammar and every error text are those of Go's text/template/parse. The
//! line of an error is the line of the token read last, as there.

mod numbers;
mod trees;

use std::sync::Arc;

use crate::ast::{
    Action, Branch, Call, Command, Expr, ExprKind, FuncRef, Node, Pipe, Source, Tree, is_empty,
};
use crate::error::ParseError;
use crate::lex::{Delimiters, Kind, Lexer, Token};
use crate::strconv::{self, quote};
use crate::text::Str;

use numbers::read_number;
use trees::Trees;

/// How deep parentheses and control structures may nest. Go's own limit lies
/// beyond what a thread's stack would hold here; no real template comes near.
const MAX_NESTING: usize = 1000;

/// What a text is written in.
pub(crate) struct Language<'l> {
    pub delimiters: &'l Delimiters,
    /// Finds a function by its name.
    pub function: &'l dyn Fn(&str) -> Option<FuncRef>,
    /// Whether `break` and `continue` are words of the language.
    pub loop_words: bool,
}

/// Parses one text into its trees, the outer one last.
pub(crate) fn parse(
    name: Str,
    text: Str,
    language: &Language<'_>,
) -> Result<Vec<Tree>, ParseError> {
    let mut lexer = Lexer::new(&text, language.delimiters);
    lexer.loop_words = language.loop_words;
    let mut parser = Parser {
        lexer,
        buffered: Vec::with_capacity(3),
        last_line: 1,
        source: Arc::new(Source {
            name: name.clone(),
            text: text.clone(),
        }),
        function: language.function,
        trees: Trees::default(),
        scope: Scope::default(),
        nesting: 0,
    };
    parser.top_level(name)?;
    Ok(parser.trees.list)
}

type Parse<T> = Result<T, ParseError>;

struct Parser<'a> {
    lexer: Lexer<'a>,
    /// Tokens that were read and put back, the next one last.
    buffered: Vec<Token<'a>>,
    last_line: usize,
    source: Arc<Source>,
    function: &'a dyn Fn(&str) -> Option<FuncRef>,
    trees: Trees,
    scope: Scope,
    nesting: usize,
}

/// How many parts most nodes have; room for them is made at once.
const FEW: usize = 2;

/// Gives back the room of a list that is complete, if there is some to speak of.
fn trim<T>(list: &mut Vec<T>) {
    if list.capacity() - list.len() >= FEW {
        list.shrink_to_fit();
    }
}

/// What a `define` or `block` starts afresh. `$` is known everywhere.
#[derive(Default)]
struct Scope {
    variables: Vec<Str>,
    range_depth: usize,
    action_line: usize,
}

/// What ended a list of nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    End,
    Else,
}

impl Ending {
    fn text(self) -> &'static str {
        match self {
            Ending::End => "{{end}}",
            Ending::Else => "{{else}}",
        }
    }
}

enum Item {
    Node(Node),
    Ending(Ending),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Control {
    If,
    With,
    Range,
}

impl Control {
    fn word(self) -> &'static str {
        match self {
            Control::If => "if",
            Control::With => "with",
            Control::Range => "range",
        }
    }

    fn node(self, branch: Box<Branch>) -> Node {
        match self {
            Control::If => Node::If(branch),
            Control::With => Node::With(branch),
            Control::Range => Node::Range(branch),
        }
    }
}

impl<'a> Parser<'a> {
    // Tokens.

    fn next(&mut self) -> Token<'a> {
        if let Some(token) = self.buffered.pop() {
            return token;
        }
        let token = self.lexer.next_token();
        self.last_line = token.line;
        token
    }

    fn put_back(&mut self, token: Token<'a>) {
        self.buffered.push(token);
    }

    fn peek(&mut self) -> &Token<'a> {
        if self.buffered.is_empty() {
            let token = self.next();
            self.put_back(token);
        }
        &self.buffered[self.buffered.len() - 1]
    }

    fn next_non_space(&mut self) -> Token<'a> {
        loop {
            let token = self.next();
            if token.kind != Kind::Space {
                return token;
            }
        }
    }

    fn peek_non_space(&mut self) -> &Token<'a> {
        let token = self.next_non_space();
        self.put_back(token);
        self.peek()
    }

    fn error<T>(&self, message: impl Into<String>) -> Parse<T> {
        Err(ParseError {
            file: self.source.name.to_string(),
            line: self.last_line,
            message: message.into(),
        })
    }

    fn unexpected<T>(&self, token: &Token<'_>, context: &str) -> Parse<T> {
        if token.kind == Kind::Error {
            let message = self.lexer.problem.clone().unwrap_or_default();
            let started = self.scope.action_line;
            if started != 0 && started != token.line {
                let place = format!(" started at {}:{started}", self.source.name);
                if message.ends_with(" action") {
                    return self.error(format!("{message}{place}"));
                }
                return self.error(format!("{message} in action{place}"));
            }
            return self.error(message);
        }
        self.error(format!("unexpected {} in {context}", show(token)))
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Parse<Token<'a>> {
        let token = self.next_non_space();
        if token.kind == kind {
            return Ok(token);
        }
        self.unexpected(&token, context)
    }

    // Templates.

    fn top_level(&mut self, name: Str) -> Parse<()> {
        let mut root = Vec::with_capacity(FEW);
        while self.peek().kind != Kind::Eof {
            if self.peek().kind == Kind::LeftDelim {
                let delimiter = self.next();
                let word = self.next_non_space();
                if word.kind == Kind::Define {
                    self.definition()?;
                    continue;
                }
                self.put_back(word);
                self.put_back(delimiter);
            }
            match self.text_or_action()? {
                Item::Node(node) => root.push(node),
                Item::Ending(ending) => {
                    return self.error(format!("unexpected {}", ending.text()));
                }
            }
        }
        self.add(name, root)
    }

    fn definition(&mut self) -> Parse<()> {
        const CONTEXT: &str = "define clause";
        let token = self.next_non_space();
        if !matches!(token.kind, Kind::String | Kind::RawString) {
            return self.unexpected(&token, CONTEXT);
        }
        let name = self.unquote(&token)?;
        self.expect(Kind::RightDelim, CONTEXT)?;
        let outer = std::mem::take(&mut self.scope);
        let (body, ending) = self.item_list()?;
        if ending != Ending::End {
            return self.error(format!("unexpected {} in {CONTEXT}", ending.text()));
        }
        self.add(name, body)?;
        self.scope = outer;
        Ok(())
    }

    fn add(&mut self, name: Str, mut root: Vec<Node>) -> Parse<()> {
        trim(&mut root);
        let tree = Tree {
            name,
            source: Arc::clone(&self.source),
            root,
        };
        let text = &self.source.text;
        match self.trees.find(&tree.name) {
            Some(at) if is_empty(&self.trees.list[at].root, text) => self.trees.list[at] = tree,
            Some(_) if is_empty(&tree.root, text) => {}
            Some(_) => {
                return self.error(format!(
                    "template: multiple definition of template {}",
                    quote(&tree.name)
                ));
            }
            None => self.trees.push(tree),
        }
        Ok(())
    }

    fn item_list(&mut self) -> Parse<(Vec<Node>, Ending)> {
        if self.nesting >= MAX_NESTING {
            return self.error("max expression depth exceeded");
        }
        self.nesting += 1;
        let mut nodes = Vec::with_capacity(FEW);
        while self.peek_non_space().kind != Kind::Eof {
            match self.text_or_action()? {
                Item::Node(node) => nodes.push(node),
                Item::Ending(ending) => {
                    self.nesting -= 1;
                    trim(&mut nodes);
                    return Ok((nodes, ending));
                }
            }
        }
        self.error("unexpected EOF")
    }

    fn text_or_action(&mut self) -> Parse<Item> {
        let token = self.next_non_space();
        match token.kind {
            Kind::Text => Ok(Item::Node(Node::Text {
                start: token.pos,
                end: token.pos + token.text.len(),
            })),
            Kind::LeftDelim => {
                self.scope.action_line = token.line;
                let item = self.action()?;
                self.scope.action_line = 0;
                Ok(item)
            }
            _ => self.unexpected(&token, "input"),
        }
    }

    fn action(&mut self) -> Parse<Item> {
        let token = self.next_non_space();
        let node = match token.kind {
            Kind::Block => self.block()?,
            Kind::Break | Kind::Continue => self.loop_word(token.kind)?,
            Kind::Else => {
                if !matches!(self.peek_non_space().kind, Kind::If | Kind::With) {
                    self.expect(Kind::RightDelim, "else")?;
                }
                return Ok(Item::Ending(Ending::Else));
            }
            Kind::End => {
                self.expect(Kind::RightDelim, "end")?;
                return Ok(Item::Ending(Ending::End));
            }
            Kind::If => self.control(Control::If)?,
            Kind::Range => self.control(Control::Range)?,
            Kind::With => self.control(Control::With)?,
            Kind::Template => self.template()?,
            _ => {
                self.put_back(token);
                let pos = self.peek().pos;
                let pipe = self.pipeline("command", Kind::RightDelim)?;
                Node::Action(Action { pos, pipe })
            }
        };
        Ok(Item::Node(node))
    }

    fn loop_word(&mut self, kind: Kind) -> Parse<Node> {
        let (word, node) = match kind {
            Kind::Break => ("{{break}}", Node::Break),
            _ => ("{{continue}}", Node::Continue),
        };
        let token = self.next_non_space();
        if token.kind != Kind::RightDelim {
            return self.unexpected(&token, word);
        }
        if self.scope.range_depth == 0 {
            return self.error(format!("{word} outside {{{{range}}}}"));
        }
        Ok(node)
    }

    fn control(&mut self, control: Control) -> Parse<Node> {
        let visible = self.scope.variables.len();
        let pipe = self.pipeline(control.word(), Kind::RightDelim)?;
        if control == Control::Range {
            self.scope.range_depth += 1;
        }
        let (body, ending) = self.item_list()?;
        if control == Control::Range {
            self.scope.range_depth -= 1;
        }
        let otherwise = match ending {
            Ending::End => None,
            Ending::Else => Some(self.otherwise(control)?),
        };
        self.scope.variables.truncate(visible);
        Ok(control.node(Box::new(Branch {
            pos: pipe.pos,
            pipe,
            body,
            otherwise,
        })))
    }

    /// `{{else if}}` is `{{else}}{{if}}` whose end is shared.
    fn otherwise(&mut self, control: Control) -> Parse<Vec<Node>> {
        let chained = matches!(
            (control, self.peek().kind),
            (Control::If, Kind::If) | (Control::With, Kind::With)
        );
        if chained {
            self.next();
            if self.nesting >= MAX_NESTING {
                return self.error("max expression depth exceeded");
            }
            self.nesting += 1;
            let node = self.control(control)?;
            self.nesting -= 1;
            return Ok(vec![node]);
        }
        let (nodes, ending) = self.item_list()?;
        if ending != Ending::End {
            return self.error(format!("expected end; found {}", ending.text()));
        }
        Ok(nodes)
    }

    fn block(&mut self) -> Parse<Node> {
        const CONTEXT: &str = "block clause";
        let token = self.next_non_space();
        let name = self.template_name(&token, CONTEXT)?;
        let pipe = self.pipeline(CONTEXT, Kind::RightDelim)?;
        let outer = std::mem::take(&mut self.scope);
        let (body, ending) = self.item_list()?;
        if ending != Ending::End {
            return self.error(format!("unexpected {} in {CONTEXT}", ending.text()));
        }
        self.add(name.clone(), body)?;
        self.scope = outer;
        Ok(Node::Template(Box::new(Call {
            pos: token.pos,
            name,
            pipe: Some(pipe),
        })))
    }

    fn template(&mut self) -> Parse<Node> {
        const CONTEXT: &str = "template clause";
        let token = self.next_non_space();
        let name = self.template_name(&token, CONTEXT)?;
        let next = self.next_non_space();
        let pipe = if next.kind == Kind::RightDelim {
            None
        } else {
            self.put_back(next);
            Some(self.pipeline(CONTEXT, Kind::RightDelim)?)
        };
        Ok(Node::Template(Box::new(Call {
            pos: token.pos,
            name,
            pipe,
        })))
    }

    fn template_name(&mut self, token: &Token<'a>, context: &str) -> Parse<Str> {
        match token.kind {
            Kind::String | Kind::RawString => self.unquote(token),
            _ => self.unexpected(token, context),
        }
    }

    fn unquote(&self, token: &Token<'_>) -> Parse<Str> {
        match strconv::unquote(&String::from_utf8_lossy(token.text)) {
            Some(bytes) => Ok(Str::from(bytes)),
            None => self.error("invalid syntax"),
        }
    }

    // Pipelines.

    fn pipeline(&mut self, context: &str, end: Kind) -> Parse<Pipe> {
        let mut pipe = Pipe {
            pos: self.peek_non_space().pos,
            declared: Vec::new(),
            is_assign: false,
            commands: Vec::with_capacity(FEW),
        };
        self.declarations(context, &mut pipe)?;
        loop {
            let token = self.next_non_space();
            if token.kind == end {
                self.check_pipeline(&pipe, context)?;
                trim(&mut pipe.commands);
                return Ok(pipe);
            }
            match token.kind {
                Kind::Bool
                | Kind::CharConstant
                | Kind::Complex
                | Kind::Dot
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::Nil
                | Kind::RawString
                | Kind::String
                | Kind::Variable
                | Kind::LeftParen => {
                    self.put_back(token);
                    let command = self.command()?;
                    pipe.commands.push(command);
                }
                _ => return self.unexpected(&token, context),
            }
        }
    }

    /// Reads `$x :=`, `$x =`, and for range also `$x, $y :=`.
    fn declarations(&mut self, context: &str, pipe: &mut Pipe) -> Parse<()> {
        loop {
            if self.peek_non_space().kind != Kind::Variable {
                return Ok(());
            }
            let variable = self.next();
            // `$x foo` and `$x := foo` part only at the third token.
            let after = self.next();
            let next = if after.kind == Kind::Space {
                self.next_non_space()
            } else {
                after
            };
            let name = Str::from(variable.text);
            match next.kind {
                Kind::Assign | Kind::Declare => {
                    pipe.is_assign = next.kind == Kind::Assign;
                    self.declare(pipe, name);
                    return Ok(());
                }
                Kind::Char if *next.text == *b"," => {
                    self.declare(pipe, name);
                    if context == "range" && pipe.declared.len() < 2 {
                        match self.peek_non_space().kind {
                            Kind::Variable | Kind::RightDelim | Kind::RightParen => continue,
                            _ => return self.error("range can only initialize variables"),
                        }
                    }
                    return self.error(format!("too many declarations in {context}"));
                }
                _ => {
                    let spaced = after.kind == Kind::Space;
                    self.put_back(next);
                    if spaced {
                        self.put_back(after);
                    }
                    self.put_back(variable);
                    return Ok(());
                }
            }
        }
    }

    fn declare(&mut self, pipe: &mut Pipe, name: Str) {
        self.scope.variables.push(name.clone());
        pipe.declared.push(name);
    }

    fn check_pipeline(&self, pipe: &Pipe, context: &str) -> Parse<()> {
        if pipe.commands.is_empty() {
            return self.error(format!("missing value for {context}"));
        }
        for (i, command) in pipe.commands.iter().enumerate().skip(1) {
            if let ExprKind::Bool(_)
            | ExprKind::Dot
            | ExprKind::Nil
            | ExprKind::Number(_)
            | ExprKind::String(..) = command.args[0].kind
            {
                return self.error(format!(
                    "non executable command in pipeline stage {}",
                    i + 1
                ));
            }
        }
        Ok(())
    }

    fn command(&mut self) -> Parse<Command> {
        let pos = self.peek_non_space().pos;
        let mut args = Vec::with_capacity(FEW);
        loop {
            self.peek_non_space();
            if let Some(operand) = self.operand()? {
                args.push(operand);
            }
            let token = self.next();
            match token.kind {
                Kind::Space => continue,
                Kind::RightDelim | Kind::RightParen => self.put_back(token),
                Kind::Pipe => {}
                _ => return self.unexpected(&token, "operand"),
            }
            break;
        }
        if args.is_empty() {
            return self.error("empty command");
        }
        trim(&mut args);
        Ok(Command { pos, args })
    }

    fn operand(&mut self) -> Parse<Option<Expr>> {
        let Some(term) = self.term()? else {
            return Ok(None);
        };
        if self.peek().kind != Kind::Field {
            return Ok(Some(term));
        }
        // Go gives the chain the place of its first field behind the term.
        let pos = self.peek().pos;
        let kind = match term.kind {
            ExprKind::Field(names) => ExprKind::Field(self.fields(names)),
            ExprKind::Variable(name, names) => ExprKind::Variable(name, self.fields(names)),
            ExprKind::Bool(_)
            | ExprKind::String(..)
            | ExprKind::Number(_)
            | ExprKind::Nil
            | ExprKind::Dot => {
                self.fields(Vec::new());
                let term = quote(term.to_string().as_bytes());
                return self.error(format!("unexpected . after term {term}"));
            }
            ExprKind::Identifier(_) | ExprKind::Chain(..) | ExprKind::Pipe(_) => {
                ExprKind::Chain(Box::new(term), self.fields(Vec::new()))
            }
        };
        Ok(Some(Expr { pos, kind }))
    }

    /// Reads the fields that stand next, behind those that are known.
    fn fields(&mut self, mut names: Vec<Str>) -> Vec<Str> {
        while self.peek().kind == Kind::Field {
            names.push(Str::from(&self.next().text[1..]));
        }
        trim(&mut names);
        names
    }

    fn term(&mut self) -> Parse<Option<Expr>> {
        let token = self.next_non_space();
        let pos = token.pos;
        let kind = match token.kind {
            Kind::Identifier => {
                let name = String::from_utf8_lossy(token.text);
                match (self.function)(&name) {
                    Some(function) => ExprKind::Identifier(function),
                    None => {
                        let name = quote(name.as_bytes());
                        return self.error(format!("function {name} not defined"));
                    }
                }
            }
            Kind::Dot => ExprKind::Dot,
            Kind::Nil => ExprKind::Nil,
            Kind::Variable => {
                let name = Str::from(token.text);
                if *name != *b"$" && !self.scope.variables.contains(&name) {
                    return self.error(format!("undefined variable {}", quote(&name)));
                }
                ExprKind::Variable(name, Vec::new())
            }
            Kind::Field => {
                let mut names = Vec::with_capacity(FEW);
                names.push(Str::from(&token.text[1..]));
                ExprKind::Field(names)
            }
            Kind::Bool => ExprKind::Bool(*token.text == *b"true"),
            Kind::CharConstant | Kind::Complex | Kind::Number => {
                let text = String::from_utf8_lossy(token.text);
                match read_number(&text, token.kind) {
                    Ok(number) => ExprKind::Number(Box::new(number)),
                    Err(message) => return self.error(message),
                }
            }
            Kind::LeftParen => {
                if self.nesting >= MAX_NESTING {
                    return self.error("max expression depth exceeded");
                }
                self.nesting += 1;
                let pipe = self.pipeline("parenthesized pipeline", Kind::RightParen)?;
                self.nesting -= 1;
                return Ok(Some(Expr {
                    pos: pipe.pos,
                    kind: ExprKind::Pipe(Box::new(pipe)),
                }));
            }
            Kind::String | Kind::RawString => {
                let value = self.unquote(&token)?;
                ExprKind::String(Str::from(token.text), value)
            }
            _ => {
                self.put_back(token);
                return Ok(None);
            }
        };
        Ok(Some(Expr { pos, kind }))
    }
}

/// Prints a token as Go's parser does in its errors.
fn show(token: &Token<'_>) -> String {
    match token.kind {
        Kind::Eof => "EOF".to_owned(),
        kind if kind.is_keyword() => format!("<{}>", String::from_utf8_lossy(token.text)),
        _ if token.text.len() > 10 => {
            let (mut end, mut count) = (0, 0);
            for (_, raw) in crate::text::runes(token.text) {
                if count == 10 {
                    break;
                }
                end += raw.len();
                count += 1;
            }
            format!("{}...", quote(&token.text[..end]))
        }
        _ => quote(token.text),
    }
}
