//! Text to expressions. Knows the grammar, no values.

use crate::{ErrorKind, is_name_char};

/// A failure and the byte offset of the expression it belongs to.
pub(crate) type Failure = (ErrorKind, usize);

/// A piece of the text, or of a default.
#[derive(Debug)]
pub(crate) enum Part<'t> {
    /// Goes to the output as it is.
    Text(&'t str),
    /// Is replaced.
    Expression(Expression<'t>),
}

/// `${name…}`.
#[derive(Debug)]
pub(crate) struct Expression<'t> {
    pub name: &'t str,
    pub operator: Operator<'t>,
    /// Byte offset of its `${`.
    pub offset: usize,
}

/// What follows the name.
#[derive(Debug)]
pub(crate) enum Operator<'t> {
    Value,
    Length,
    Case(&'t str),
    Default(Vec<Part<'t>>),
    Substring {
        start: Argument<'t>,
        length: Option<Argument<'t>>,
    },
    Strip {
        end: End,
        reach: Reach,
        pattern: Argument<'t>,
    },
    Replace {
        what: Replace,
        pattern: Argument<'t>,
        with: Option<Argument<'t>>,
    },
}

/// The side of a value that a pattern is matched at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Prefix,
    Suffix,
}

/// Which of several matches counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    Shortest,
    Longest,
}

/// Which occurrences `/` replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Replace {
    First,
    All,
    At(End),
}

/// An argument: one literal run or one expression, never a mixture.
#[derive(Debug)]
pub(crate) enum Argument<'t> {
    Literal(std::borrow::Cow<'t, str>),
    Expression(Box<Expression<'t>>),
}

/// Splits `text` into literal pieces and expressions at most `depth` levels deep.
pub(crate) fn parse(text: &str, depth: usize) -> Result<Vec<Part<'_>>, Failure> {
    let mut parser = Parser { text, at: 0, depth };
    let mut parts = Vec::new();
    let mut literal = 0;
    while let Some(dollar) = text[parser.at..].find('$').map(|i| i + parser.at) {
        match text.as_bytes().get(dollar + 1) {
            // The first dollar stays, the second goes, and neither starts anything.
            Some(b'$') => {
                parts.push(Part::Text(&text[literal..=dollar]));
                parser.at = dollar + 2;
                literal = parser.at;
            }
            Some(b'{') => {
                parts.push(Part::Text(&text[literal..dollar]));
                parser.at = dollar;
                parts.push(Part::Expression(parser.expression(0)?));
                literal = parser.at;
            }
            _ => parser.at = dollar + 1,
        }
    }
    parts.push(Part::Text(&text[literal..]));
    Ok(parts)
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Takes the longest run of characters that `wanted` accepts.
    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Parses from `${` to behind its `}`.
    fn expression(&mut self, level: usize) -> Result<Expression<'t>, Failure> {
        let offset = self.at;
        let fail = |kind| Err((kind, offset));
        if level >= self.depth {
            return fail(ErrorKind::TooDeep(self.depth));
        }
        self.at += 2;
        if self.take(b'#') {
            let name = self.take_while(is_name_char);
            return match !name.is_empty() && self.take(b'}') {
                true => Ok(Expression {
                    name,
                    operator: Operator::Length,
                    offset,
                }),
                false => fail(ErrorKind::BadSubstitution),
            };
        }
        let name = self.take_while(is_name_char);
        if name.is_empty() {
            return fail(ErrorKind::VariableName);
        }
        let operator = match self.peek() {
            Some(b'=') => {
                self.at += 1;
                self.default(level, offset)?
            }
            Some(b':')
                if matches!(
                    self.text.as_bytes().get(self.at + 1),
                    Some(b'=' | b'-' | b'?' | b'+')
                ) =>
            {
                self.at += 2;
                self.default(level, offset)?
            }
            Some(b':') => self.substring(level, offset)?,
            Some(b',' | b'^') => {
                let rest = self.rest();
                let length = rest
                    .bytes()
                    .take(2)
                    .take_while(|c| matches!(c, b',' | b'^'))
                    .count();
                self.at += length;
                Operator::Case(&rest[..length])
            }
            Some(b'#') => self.strip(b'#', End::Prefix, level, offset)?,
            Some(b'%') => self.strip(b'%', End::Suffix, level, offset)?,
            Some(b'/') => self.replace(level, offset)?,
            Some(b'}') => Operator::Value,
            _ => return fail(ErrorKind::MissingClosingBrace),
        };
        if self.take(b'}') {
            Ok(Expression {
                name,
                operator,
                offset,
            })
        } else {
            fail(ErrorKind::BadSubstitution)
        }
    }

    /// A default: literal runs and expressions up to the `}`, in which `\` and `$$` mean themselves.
    fn default(&mut self, level: usize, offset: usize) -> Result<Operator<'t>, Failure> {
        let mut parts = Vec::new();
        loop {
            let rest = self.rest();
            if rest.starts_with("${") {
                parts.push(Part::Expression(self.expression(level + 1)?));
                continue;
            }
            let end = [rest.find('}'), rest.find("${")]
                .into_iter()
                .flatten()
                .min();
            match end {
                Some(0) => return Ok(Operator::Default(parts)),
                Some(end) => {
                    parts.push(Part::Text(&rest[..end]));
                    self.at += end;
                }
                None => return Err((ErrorKind::FunctionArgument, offset)),
            }
        }
    }

    fn substring(&mut self, level: usize, offset: usize) -> Result<Operator<'t>, Failure> {
        self.at += 1;
        let start = self.argument(|c| c != ':' && c != '}', Escapes::None, level, offset)?;
        if self.peek() != Some(b':') {
            return Ok(Operator::Substring {
                start,
                length: None,
            });
        }
        self.take_while(|c| c == ':');
        let length = self.argument(|c| c != '}', Escapes::None, level, offset)?;
        Ok(Operator::Substring {
            start,
            length: Some(length),
        })
    }

    fn strip(
        &mut self,
        sign: u8,
        end: End,
        level: usize,
        offset: usize,
    ) -> Result<Operator<'t>, Failure> {
        self.at += 1;
        let reach = if self.take(sign) {
            Reach::Longest
        } else {
            Reach::Shortest
        };
        let pattern = self.argument(|c| c != '}', Escapes::None, level, offset)?;
        Ok(Operator::Strip {
            end,
            reach,
            pattern,
        })
    }

    fn replace(&mut self, level: usize, offset: usize) -> Result<Operator<'t>, Failure> {
        self.at += 1;
        let what = match self.peek() {
            Some(b'/') => Replace::All,
            Some(b'#') => Replace::At(End::Prefix),
            Some(b'%') => Replace::At(End::Suffix),
            _ => Replace::First,
        };
        self.at += usize::from(what != Replace::First);
        // A pattern that is not closed by a slash goes on beyond the brace.
        let pattern = self.argument(|c| c != '/', Escapes::Slash, level, offset)?;
        if self.take_while(|c| c == '/').is_empty() {
            return Err((ErrorKind::BadSubstitution, offset));
        }
        let with = match self.peek() {
            Some(b'}') => None,
            _ => Some(self.argument(|c| c != '}', Escapes::Slash, level, offset)?),
        };
        Ok(Operator::Replace {
            what,
            pattern,
            with,
        })
    }

    /// One literal run of wanted characters (at least one), or one expression.
    fn argument(
        &mut self,
        wanted: impl Fn(char) -> bool,
        escapes: Escapes,
        level: usize,
        offset: usize,
    ) -> Result<Argument<'t>, Failure> {
        if self.rest().starts_with("${") {
            return Ok(Argument::Expression(Box::new(self.expression(level + 1)?)));
        }
        let mut literal = std::borrow::Cow::Borrowed("");
        let mut run = self.at;
        let mut skipped = false;
        while let Some(c) = self.rest().chars().next() {
            if escapes == Escapes::Slash
                && matches!(
                    self.rest().as_bytes(),
                    [b'\\', b'/' | b'\\', ..] | [b'$', b'$', ..]
                )
            {
                // The first of the two characters goes, the second means itself.
                let kept = self.text.as_bytes()[self.at + usize::from(c == '\\')];
                literal.to_mut().push_str(&self.text[run..self.at]);
                literal.to_mut().push(char::from(kept));
                self.at += 2;
                run = self.at;
                skipped = true;
                continue;
            }
            if self.rest().starts_with("${") || !wanted(c) {
                break;
            }
            self.at += c.len_utf8();
        }
        if skipped {
            literal.to_mut().push_str(&self.text[run..self.at]);
        } else {
            literal = std::borrow::Cow::Borrowed(&self.text[run..self.at]);
        }
        match literal.is_empty() {
            true => Err((ErrorKind::FunctionArgument, offset)),
            false => Ok(Argument::Literal(literal)),
        }
    }
}

/// Whether `\/`, `\\` and `$$` stand for one character.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Escapes {
    None,
    Slash,
}
