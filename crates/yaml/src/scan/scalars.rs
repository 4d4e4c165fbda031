//! The text of scalars: plain, quoted and block.

use std::borrow::Cow;

use super::{BLANK, COLON, FLOW, Mark, ORDINARY, PLAIN_CLASS, Result, Scanner};

impl<'a> Scanner<'a> {
    // Plain scalars.

    /// Moves over the characters of a plain scalar up to white space or an
    /// indicator that ends it.
    #[inline]
    fn skip_plain_word(&mut self) {
        let flow = self.in_flow();
        loop {
            let byte = self.at(0);
            match PLAIN_CLASS[byte as usize] {
                ORDINARY => self.pos += 1,
                BLANK => return,
                COLON => {
                    if self.is_blankz(1) {
                        return;
                    }
                    if flow && matches!(self.at(1), b',' | b'?' | b'[' | b']' | b'{' | b'}') {
                        return;
                    }
                    self.pos += 1;
                }
                FLOW => {
                    if flow && (byte != b'?' || self.is_blankz(1)) {
                        return;
                    }
                    self.pos += 1;
                }
                _ => {
                    if self.break_len(0) > 0 {
                        return;
                    }
                    self.skip();
                }
            }
        }
    }

    pub(super) fn scan_plain(&mut self, start: Mark) -> Result<(Cow<'a, str>, Mark)> {
        let indent = self.indent + 1;
        let from = self.pos;
        let mut owned: Option<String> = None;
        let mut to = self.pos;
        let mut end = start;
        // White space and line breaks between the words, of which only what
        // is followed by another word counts.
        let mut blanks_from = self.pos;
        let mut first_break = String::new();
        let mut more_breaks = String::new();
        let mut leading_blanks = false;
        loop {
            if self.document_indicator().is_some() || self.at(0) == b'#' {
                break;
            }
            let word = self.pos;
            self.skip_plain_word();
            if self.pos > word {
                if leading_blanks {
                    let out = owned.get_or_insert_with(|| self.text[from..to].to_owned());
                    if first_break.starts_with('\n') {
                        if more_breaks.is_empty() {
                            out.push(' ');
                        } else {
                            out.push_str(&more_breaks);
                        }
                    } else {
                        out.push_str(&first_break);
                        out.push_str(&more_breaks);
                    }
                    first_break.clear();
                    more_breaks.clear();
                    leading_blanks = false;
                    out.push_str(&self.text[word..self.pos]);
                } else if let Some(out) = &mut owned {
                    out.push_str(&self.text[blanks_from..self.pos]);
                }
                to = self.pos;
                end = self.mark();
            }
            if !self.is_blank(0) && self.break_len(0) == 0 {
                break;
            }
            blanks_from = self.pos;
            loop {
                if self.is_blank(0) {
                    if leading_blanks && (self.column() as i64) < indent && self.at(0) == b'\t' {
                        return self
                            .error(start, "found a tab character that violates indentation");
                    }
                    self.pos += 1;
                } else if self.break_len(0) > 0 {
                    if leading_blanks {
                        self.read_break(&mut more_breaks);
                    } else {
                        self.read_break(&mut first_break);
                        leading_blanks = true;
                    }
                } else {
                    break;
                }
            }
            if !self.in_flow() && (self.column() as i64) < indent {
                break;
            }
        }
        if leading_blanks {
            self.key_allowed = true;
        }
        let text = match owned {
            Some(text) => Cow::Owned(text),
            None => Cow::Borrowed(&self.text[from..to]),
        };
        Ok((text, end))
    }

    // Quoted scalars.

    pub(super) fn scan_quoted(&mut self, single: bool, start: Mark) -> Result<Cow<'a, str>> {
        let quote = if single { b'\'' } else { b'"' };
        self.skip();
        // Most quoted scalars are one stretch of text without escapes.
        let from = self.pos;
        let mut at = self.pos;
        loop {
            match self.bytes.get(at) {
                Some(&b) if b == quote => {
                    if single && self.bytes.get(at + 1) == Some(&b'\'') {
                        break;
                    }
                    self.pos = at + 1;
                    return Ok(Cow::Borrowed(&self.text[from..at]));
                }
                Some(b'\\') if !single => break,
                Some(b' '..=b'~' | b'\t') => at += 1,
                _ => break,
            }
        }
        let mut out = String::new();
        loop {
            if self.document_indicator().is_some() {
                return self.error(start, "found unexpected document indicator");
            }
            if self.at(0) == 0 {
                return self.error(start, "found unexpected end of stream");
            }
            let mut leading_blanks = false;
            while !self.is_blankz(0) {
                let byte = self.at(0);
                if single && byte == b'\'' && self.at(1) == b'\'' {
                    out.push('\'');
                    self.pos += 2;
                } else if byte == quote {
                    break;
                } else if !single && byte == b'\\' && self.break_len(1) > 0 {
                    self.pos += 1;
                    self.skip_break();
                    leading_blanks = true;
                    break;
                } else if !single && byte == b'\\' {
                    self.scan_escape(start, &mut out)?;
                } else {
                    let at = self.pos;
                    self.skip();
                    out.push_str(&self.text[at..self.pos]);
                }
            }
            if self.at(0) == quote {
                self.skip();
                return Ok(Cow::Owned(out));
            }
            let mut blanks_from = self.pos;
            let mut first_break = String::new();
            let mut more_breaks = String::new();
            loop {
                if self.is_blank(0) {
                    if leading_blanks {
                        blanks_from = self.pos + 1;
                    }
                    self.pos += 1;
                } else if self.break_len(0) > 0 {
                    if leading_blanks {
                        self.read_break(&mut more_breaks);
                    } else {
                        blanks_from = self.pos;
                        self.read_break(&mut first_break);
                        leading_blanks = true;
                    }
                } else {
                    break;
                }
            }
            if !leading_blanks {
                out.push_str(&self.text[blanks_from..self.pos]);
            } else if first_break.starts_with('\n') {
                if more_breaks.is_empty() {
                    out.push(' ');
                } else {
                    out.push_str(&more_breaks);
                }
            } else {
                out.push_str(&first_break);
                out.push_str(&more_breaks);
            }
        }
    }

    fn scan_escape(&mut self, start: Mark, out: &mut String) -> Result<()> {
        let digits = match self.at(1) {
            b'0' => return self.simple_escape(out, '\0'),
            b'a' => return self.simple_escape(out, '\u{7}'),
            b'b' => return self.simple_escape(out, '\u{8}'),
            b't' | b'\t' => return self.simple_escape(out, '\t'),
            b'n' => return self.simple_escape(out, '\n'),
            b'v' => return self.simple_escape(out, '\u{b}'),
            b'f' => return self.simple_escape(out, '\u{c}'),
            b'r' => return self.simple_escape(out, '\r'),
            b'e' => return self.simple_escape(out, '\u{1b}'),
            b' ' => return self.simple_escape(out, ' '),
            b'"' => return self.simple_escape(out, '"'),
            b'\'' => return self.simple_escape(out, '\''),
            b'\\' => return self.simple_escape(out, '\\'),
            b'N' => return self.simple_escape(out, '\u{85}'),
            b'_' => return self.simple_escape(out, '\u{a0}'),
            b'L' => return self.simple_escape(out, '\u{2028}'),
            b'P' => return self.simple_escape(out, '\u{2029}'),
            b'x' => 2,
            b'u' => 4,
            b'U' => 8,
            _ => return self.error(start, "found unknown escape character"),
        };
        self.pos += 2;
        let mut value = 0u32;
        for at in 0..digits {
            match (self.at(at) as char).to_digit(16) {
                Some(digit) => value = (value << 4) | digit,
                None => return self.error(start, "did not find expected hexdecimal number"),
            }
        }
        match char::from_u32(value) {
            Some(c) => out.push(c),
            None => return self.error(start, "found invalid Unicode character escape code"),
        }
        self.pos += digits;
        Ok(())
    }

    fn simple_escape(&mut self, out: &mut String, value: char) -> Result<()> {
        out.push(value);
        self.pos += 2;
        Ok(())
    }

    // Block scalars.

    pub(super) fn scan_block_scalar(
        &mut self,
        literal: bool,
        start: Mark,
    ) -> Result<(Cow<'a, str>, Mark)> {
        self.skip();
        let mut chomping = 0i8;
        let mut increment = 0i64;
        if matches!(self.at(0), b'+' | b'-') {
            chomping = if self.at(0) == b'+' { 1 } else { -1 };
            self.skip();
            if self.at(0).is_ascii_digit() {
                increment = self.scan_indent_digit(start)?;
            }
        } else if self.at(0).is_ascii_digit() {
            increment = self.scan_indent_digit(start)?;
            if matches!(self.at(0), b'+' | b'-') {
                chomping = if self.at(0) == b'+' { 1 } else { -1 };
                self.skip();
            }
        }
        while self.is_blank(0) {
            self.skip();
        }
        if self.at(0) == b'#' {
            self.skip_comment();
        }
        if !self.is_blankz(0) {
            return self.error(start, "did not find expected comment or line break");
        }
        if self.break_len(0) > 0 {
            self.skip_break();
        }
        let mut end = self.mark();
        let mut indent = if increment > 0 {
            increment + self.indent.max(0)
        } else {
            0
        };
        let mut breaks = String::new();
        self.scan_block_breaks(&mut indent, &mut breaks, start, &mut end)?;

        let mut out = String::new();
        let mut leading_break = String::new();
        let mut leading_blank = false;
        while self.column() as i64 == indent && self.at(0) != 0 {
            let trailing_blank = self.is_blank(0);
            if !literal && leading_break.starts_with('\n') && !leading_blank && !trailing_blank {
                if breaks.is_empty() {
                    out.push(' ');
                }
            } else {
                out.push_str(&leading_break);
            }
            leading_break.clear();
            out.push_str(&breaks);
            breaks.clear();
            leading_blank = self.is_blank(0);
            let from = self.pos;
            self.skip_to_break();
            out.push_str(&self.text[from..self.pos]);
            if self.break_len(0) > 0 {
                self.read_break(&mut leading_break);
            }
            end = self.mark();
            self.scan_block_breaks(&mut indent, &mut breaks, start, &mut end)?;
        }
        if chomping != -1 {
            out.push_str(&leading_break);
        }
        if chomping == 1 {
            out.push_str(&breaks);
        }
        Ok((Cow::Owned(out), end))
    }

    fn scan_indent_digit(&mut self, start: Mark) -> Result<i64> {
        if self.at(0) == b'0' {
            return self.error(start, "found an indentation indicator equal to 0");
        }
        let digit = i64::from(self.at(0) - b'0');
        self.skip();
        Ok(digit)
    }

    fn skip_to_break(&mut self) {
        loop {
            match self.at(0) {
                b'\n' | b'\r' | 0 => return,
                0x80.. => {
                    if self.break_len(0) > 0 {
                        return;
                    }
                    self.skip();
                }
                _ => self.pos += 1,
            }
        }
    }

    /// Skips the indentation and empty lines of a block scalar; finds out its
    /// indentation when it is not known.
    fn scan_block_breaks(
        &mut self,
        indent: &mut i64,
        breaks: &mut String,
        start: Mark,
        end: &mut Mark,
    ) -> Result<()> {
        *end = self.mark();
        let mut deepest = 0i64;
        loop {
            while (*indent == 0 || (self.column() as i64) < *indent) && self.at(0) == b' ' {
                self.pos += 1;
            }
            deepest = deepest.max(self.column() as i64);
            if (*indent == 0 || (self.column() as i64) < *indent) && self.at(0) == b'\t' {
                return self.error(
                    start,
                    "found a tab character where an indentation space is expected",
                );
            }
            if self.break_len(0) == 0 {
                break;
            }
            self.read_break(breaks);
            *end = self.mark();
        }
        if *indent == 0 {
            *indent = deepest.max(self.indent + 1).max(1);
        }
        Ok(())
    }
}
