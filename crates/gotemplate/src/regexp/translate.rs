//! From Go's expressions to those of the regex crate.

use super::*;

/// Rewrites a Go expression in Rust's syntax.
///
/// # Errors
/// [`RegexpError`] where Go would refuse the expression.
pub fn translate(expression: &str) -> Result<String, RegexpError> {
    translate_with_names(expression).map(|(rust, _)| rust)
}

pub(super) fn translate_with_names(
    expression: &str,
) -> Result<(String, Vec<Option<String>>), RegexpError> {
    let mut translator = Translator {
        whole: expression,
        rest: expression,
        out: String::with_capacity(expression.len() + 16),
        names: vec![None],
        depth: 0,
        multi_line: vec![false],
    };
    translator.alternatives()?;
    if translator.rest.starts_with(')') {
        return Err(RegexpError {
            kind: "unexpected )",
            part: expression.to_owned(),
        });
    }
    Ok((translator.out, translator.names))
}

struct Translator<'e> {
    whole: &'e str,
    rest: &'e str,
    out: String,
    names: Vec<Option<String>>,
    depth: usize,
    /// Whether `(?m)` holds, per open group.
    multi_line: Vec<bool>,
}

type Step = Result<(), RegexpError>;

fn refuse<T>(kind: &'static str, part: impl Into<String>) -> Result<T, RegexpError> {
    Err(RegexpError {
        kind,
        part: part.into(),
    })
}

impl<'e> Translator<'e> {
    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next()?;
        self.rest = chars.as_str();
        Some(c)
    }

    /// Everything up to the end or the closing parenthesis. Returns how often,
    /// at most, counted repetitions inside each other repeat something.
    fn alternatives(&mut self) -> Result<u32, RegexpError> {
        let mut largest = 1;
        let mut element = 1;
        let mut last_repeat: Option<&'e str> = None;
        let mut repeatable = false;
        while let Some(c) = self.rest.chars().next() {
            let here = self.rest;
            let mut this_repeat = None;
            match c {
                ')' => return Ok(largest),
                '|' => {
                    self.next();
                    self.out.push('|');
                    repeatable = false;
                }
                '(' => {
                    (repeatable, element) = self.group()?;
                }
                '[' => {
                    self.class()?;
                    repeatable = true;
                }
                '^' | '.' => {
                    self.next();
                    self.out.push(c);
                    repeatable = true;
                }
                '$' => {
                    self.next();
                    self.out.push('$');
                    repeatable = true;
                }
                '*' | '+' | '?' => {
                    self.next();
                    if !repeatable {
                        return refuse("missing argument to repetition operator", c.to_string());
                    }
                    let lazy = self.take_lazy();
                    let whole = &here[..here.len() - self.rest.len()];
                    if let Some(before) = last_repeat {
                        let both = format!("{before}{whole}");
                        return refuse("invalid nested repetition operator", both);
                    }
                    self.out.push(c);
                    self.out.push_str(lazy);
                    this_repeat = Some(whole);
                }
                '{' => match self.counted() {
                    None => {
                        self.next();
                        self.out.push_str("\\{");
                        repeatable = true;
                    }
                    Some((min, max, length)) => {
                        self.rest = &self.rest[length..];
                        if !repeatable {
                            return refuse(
                                "missing argument to repetition operator",
                                &here[..length],
                            );
                        }
                        let lazy = self.take_lazy();
                        let whole = &here[..here.len() - self.rest.len()];
                        let most = max.unwrap_or(min);
                        let too_large = min > MAX_REPEAT
                            || max.is_some_and(|max| max > MAX_REPEAT || max < min);
                        if too_large {
                            return refuse("invalid repeat count", &here[..length]);
                        }
                        element = most.max(1).saturating_mul(element);
                        if most >= 2 && element > MAX_REPEAT {
                            return refuse("invalid repeat count", whole);
                        }
                        if let Some(before) = last_repeat {
                            let both = format!("{before}{whole}");
                            return refuse("invalid nested repetition operator", both);
                        }
                        self.out.push_str(&match max {
                            None => format!("{{{min},}}"),
                            Some(max) => format!("{{{min},{max}}}"),
                        });
                        self.out.push_str(lazy);
                        this_repeat = Some(whole);
                    }
                },
                '\\' => {
                    self.escape()?;
                    repeatable = true;
                }
                _ => {
                    self.next();
                    push_literal(&mut self.out, c);
                    repeatable = true;
                }
            }
            if this_repeat.is_none() && c != '(' {
                element = 1;
            }
            largest = largest.max(element);
            last_repeat = this_repeat;
        }
        Ok(largest)
    }

    fn take_lazy(&mut self) -> &'static str {
        match self.rest.strip_prefix('?') {
            Some(rest) => {
                self.rest = rest;
                "?"
            }
            None => "",
        }
    }

    /// Reads `{n}`, `{n,}` or `{n,m}`; anything else is a literal brace.
    fn counted(&self) -> Option<(u32, Option<u32>, usize)> {
        let close = self.rest.find('}')?;
        let inner = &self.rest[1..close];
        let number = |text: &str| -> Option<u32> {
            let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            if !plain || (text.len() > 1 && text.starts_with('0')) {
                return None;
            }
            Some(text.parse().unwrap_or(u32::MAX))
        };
        let (min, max) = match inner.split_once(',') {
            None => {
                let n = number(inner)?;
                (n, Some(n))
            }
            Some((min, "")) => (number(min)?, None),
            Some((min, max)) => (number(min)?, Some(number(max)?)),
        };
        Some((min, max, close + 1))
    }

    /// Reads a group; returns whether something to repeat came out of it, and
    /// what [`alternatives`](Self::alternatives) said about it.
    fn group(&mut self) -> Result<(bool, u32), RegexpError> {
        if self.depth >= MAX_DEPTH {
            return refuse("expression nests too deeply", self.whole);
        }
        let start = self.rest;
        let outer_multi_line = self.multi_line.last().copied().unwrap_or(false);
        if let Some(body) = start.strip_prefix("(?") {
            let named = body
                .strip_prefix("P<")
                .map(|rest| ("(?P<", rest))
                .or_else(|| body.strip_prefix('<').map(|rest| ("(?<", rest)));
            if let Some((opening, rest)) = named {
                return self
                    .named_group(start, opening, rest)
                    .map(|count| (true, count));
            }
            return self.flags(start, body, outer_multi_line);
        }
        self.next();
        self.names.push(None);
        self.out.push('(');
        let count = self.inside_group(outer_multi_line)?;
        Ok((true, count))
    }

    fn inside_group(&mut self, multi_line: bool) -> Result<u32, RegexpError> {
        self.depth += 1;
        self.multi_line.push(multi_line);
        let count = self.alternatives()?;
        self.multi_line.pop();
        self.depth -= 1;
        if self.next() != Some(')') {
            return refuse("missing closing )", self.whole);
        }
        self.out.push(')');
        Ok(count)
    }

    fn named_group(
        &mut self,
        start: &'e str,
        opening: &str,
        rest: &'e str,
    ) -> Result<u32, RegexpError> {
        let Some(end) = rest.find('>') else {
            return refuse("invalid named capture", start);
        };
        let name = &rest[..end];
        let whole = &start[..opening.len() + end + 1];
        let valid = !name.is_empty()
            && name
                .chars()
                .all(|c| c == '_' || crate::text::is_letter(c) || crate::text::is_digit(c));
        if !valid {
            return refuse("invalid named capture", whole);
        }
        self.names.push(Some(name.to_owned()));
        self.rest = &rest[end + 1..];
        self.out.push('(');
        let multi_line = self.multi_line.last().copied().unwrap_or(false);
        self.inside_group(multi_line)
    }

    /// Reads `(?flags)` or `(?flags:…)`.
    fn flags(
        &mut self,
        start: &'e str,
        body: &'e str,
        outer: bool,
    ) -> Result<(bool, u32), RegexpError> {
        let mut on = String::new();
        let mut off = String::new();
        let mut negative = false;
        let mut seen = false;
        let mut multi_line = outer;
        for (at, c) in body.char_indices() {
            let upto = &start[..2 + at + c.len_utf8()];
            match c {
                'i' | 's' | 'U' | 'm' => {
                    if c == 'm' {
                        multi_line = !negative;
                    }
                    if negative { &mut off } else { &mut on }.push(c);
                    seen = true;
                }
                '-' if !negative => {
                    negative = true;
                    seen = false;
                }
                ':' | ')' if !negative || seen => {
                    self.rest = &body[at + 1..];
                    let minus = if off.is_empty() { "" } else { "-" };
                    if c == ')' {
                        if !on.is_empty() || !off.is_empty() {
                            self.out.push_str(&format!("(?{on}{minus}{off})"));
                        }
                        if let Some(top) = self.multi_line.last_mut() {
                            *top = multi_line;
                        }
                        return Ok((false, 1));
                    }
                    self.out.push_str(&format!("(?{on}{minus}{off}:"));
                    let count = self.inside_group(multi_line)?;
                    return Ok((true, count));
                }
                _ => return refuse("invalid or unsupported Perl syntax", upto),
            }
        }
        refuse("invalid or unsupported Perl syntax", start)
    }

    fn escape(&mut self) -> Step {
        let start = self.rest;
        self.next();
        let Some(c) = self.rest.chars().next() else {
            return refuse("trailing backslash at end of expression", "");
        };
        let perl = match c {
            'A' => Some(r"\A"),
            'z' => Some(r"\z"),
            'b' => Some(r"(?-u:\b)"),
            'B' => Some(r"(?-u:\B)"),
            'd' => Some("[0-9]"),
            'D' => Some("[^0-9]"),
            's' => Some(r"[\t\n\x0C\r ]"),
            'S' => Some(r"[^\t\n\x0C\r ]"),
            'w' => Some("[0-9A-Za-z_]"),
            'W' => Some("[^0-9A-Za-z_]"),
            _ => None,
        };
        if let Some(rust) = perl {
            self.next();
            self.out.push_str(rust);
            return Ok(());
        }
        if c == 'Q' {
            self.next();
            let (literal, rest) = match self.rest.find(r"\E") {
                Some(at) => (&self.rest[..at], &self.rest[at + 2..]),
                None => (self.rest, ""),
            };
            for c in literal.chars() {
                push_literal(&mut self.out, c);
            }
            self.rest = rest;
            return Ok(());
        }
        if let 'p' | 'P' = c {
            let class = self.unicode_class(start)?;
            self.out.push_str(&class);
            return Ok(());
        }
        let rune = self.escaped_rune(start)?;
        push_literal(&mut self.out, rune);
        Ok(())
    }

    /// Reads what follows a backslash that stands for one rune.
    fn escaped_rune(&mut self, start: &'e str) -> Result<char, RegexpError> {
        let invalid = |rest: &str| {
            refuse(
                "invalid escape sequence",
                &start[..start.len() - rest.len()],
            )
        };
        let Some(c) = self.next() else {
            return refuse("trailing backslash at end of expression", "");
        };
        match c {
            '1'..='7' if !self.rest.starts_with(|c: char| c.is_digit(8)) => invalid(self.rest),
            '0'..='7' => {
                let mut code = c as u32 - '0' as u32;
                for _ in 0..2 {
                    let Some(digit) = self.rest.chars().next().and_then(|c| c.to_digit(8)) else {
                        break;
                    };
                    code = code * 8 + digit;
                    self.next();
                }
                char::from_u32(code).map_or_else(|| invalid(self.rest), Ok)
            }
            'x' => {
                let Some(first) = self.next() else {
                    return invalid("");
                };
                let mut code = 0u32;
                if first == '{' {
                    let mut count = 0;
                    loop {
                        let Some(c) = self.next() else {
                            return invalid(self.rest);
                        };
                        if c == '}' {
                            break;
                        }
                        let Some(digit) = c.to_digit(16) else {
                            return invalid(self.rest);
                        };
                        code = code.saturating_mul(16).saturating_add(digit);
                        if code > 0x10FFFF {
                            return invalid(self.rest);
                        }
                        count += 1;
                    }
                    if count == 0 {
                        return invalid(self.rest);
                    }
                } else {
                    let Some(high) = first.to_digit(16) else {
                        return invalid(self.rest);
                    };
                    let Some(low) = self.next().and_then(|c| c.to_digit(16)) else {
                        return invalid(self.rest);
                    };
                    code = high * 16 + low;
                }
                char::from_u32(code).map_or_else(|| invalid(self.rest), Ok)
            }
            'a' => Ok('\x07'),
            'f' => Ok('\x0c'),
            'n' => Ok('\n'),
            'r' => Ok('\r'),
            't' => Ok('\t'),
            'v' => Ok('\x0b'),
            c if c.is_ascii_punctuation() => Ok(c),
            _ => invalid(self.rest),
        }
    }

    /// Reads `\pN` or `\p{Name}`; `start` begins with the backslash.
    fn unicode_class(&mut self, start: &'e str) -> Result<String, RegexpError> {
        let negated = self.next() == Some('P');
        let whole_range = |rest: &str| start[..start.len() - rest.len()].to_owned();
        let Some(c) = self.next() else {
            return refuse("invalid character class range", start);
        };
        let mut name = if c == '{' {
            let Some(end) = self.rest.find('}') else {
                return refuse("invalid character class range", start);
            };
            let name = &self.rest[..end];
            self.rest = &self.rest[end + 1..];
            name.to_owned()
        } else {
            c.to_string()
        };
        let mut negated = negated;
        if let Some(rest) = name.strip_prefix('^') {
            negated = !negated;
            name = rest.to_owned();
        }
        let class = if name == "Any" {
            if negated { r"[^\s\S]" } else { r"[\s\S]" }.to_owned()
        } else {
            format!("\\{}{{{name}}}", if negated { 'P' } else { 'p' })
        };
        // Go takes general categories and scripts by their exact names only.
        let plausible = name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.chars().all(|c| c.is_ascii_alphabetic() || c == '_');
        if !plausible || Regex::new(&class).is_err() {
            return refuse("invalid character class range", whole_range(self.rest));
        }
        Ok(class)
    }

    fn class(&mut self) -> Step {
        let start = self.rest;
        self.next();
        self.out.push('[');
        if self.rest.starts_with('^') {
            self.next();
            self.out.push('^');
        }
        let mut first = true;
        loop {
            let Some(c) = self.rest.chars().next() else {
                return refuse("missing closing ]", start);
            };
            if c == ']' && !first {
                self.next();
                self.out.push(']');
                return Ok(());
            }
            first = false;
            if self.rest.starts_with("[:")
                && let Some(end) = self.rest.find(":]")
            {
                let name = &self.rest[..end + 2];
                if !is_posix_class(name) {
                    return refuse("invalid character class range", name);
                }
                self.out.push_str(name);
                self.rest = &self.rest[end + 2..];
                continue;
            }
            if self.rest.starts_with('\\') {
                let escaped = self.rest.chars().nth(1);
                let perl = match escaped {
                    Some('d') => Some("0-9"),
                    Some('D') => Some("[^0-9]"),
                    Some('s') => Some(r"\t\n\x0C\r\x20"),
                    Some('S') => Some(r"[^\t\n\x0C\r\x20]"),
                    Some('w') => Some("0-9A-Za-z_"),
                    Some('W') => Some("[^0-9A-Za-z_]"),
                    _ => None,
                };
                if let Some(rust) = perl {
                    self.rest = &self.rest[2..];
                    self.out.push_str(rust);
                    continue;
                }
                if let Some('p' | 'P') = escaped {
                    let from = self.rest;
                    self.next();
                    let class = self.unicode_class(from)?;
                    self.out.push_str(&class);
                    continue;
                }
            }
            let from = self.rest;
            let low = self.class_rune(start)?;
            let mut high = low;
            if self.rest.starts_with('-') && !self.rest.starts_with("-]") && self.rest.len() > 1 {
                self.next();
                high = self.class_rune(start)?;
                if high < low {
                    let range = &from[..from.len() - self.rest.len()];
                    return refuse("invalid character class range", range);
                }
            }
            push_class_rune(&mut self.out, low);
            if high != low {
                self.out.push('-');
                push_class_rune(&mut self.out, high);
            }
        }
    }

    fn class_rune(&mut self, class: &'e str) -> Result<char, RegexpError> {
        if self.rest.starts_with('\\') {
            let start = self.rest;
            self.next();
            return self.escaped_rune(start);
        }
        match self.next() {
            Some(c) => Ok(c),
            None => refuse("missing closing ]", class),
        }
    }
}

fn is_posix_class(name: &str) -> bool {
    let inner = name.trim_start_matches("[:").trim_end_matches(":]");
    matches!(
        inner.strip_prefix('^').unwrap_or(inner),
        "alnum"
            | "alpha"
            | "ascii"
            | "blank"
            | "cntrl"
            | "digit"
            | "graph"
            | "lower"
            | "print"
            | "punct"
            | "space"
            | "upper"
            | "word"
            | "xdigit"
    )
}

/// Writes a rune so that Rust takes it literally outside of classes.
fn push_literal(out: &mut String, c: char) {
    if c.is_ascii_punctuation() || c.is_ascii_whitespace() || c.is_control() {
        out.push_str(&format!("\\x{{{:X}}}", c as u32));
    } else {
        out.push(c);
    }
}

/// Writes a rune so that Rust takes it literally inside a class.
fn push_class_rune(out: &mut String, c: char) {
    if c.is_alphanumeric() {
        out.push(c);
    } else {
        out.push_str(&format!("\\x{{{:X}}}", c as u32));
    }
}
