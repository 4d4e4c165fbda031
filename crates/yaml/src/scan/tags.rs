//! Tags and the directives that abbreviate them.

use std::borrow::Cow;

use super::{Mark, Result, Scanner, Tok, is_name_byte};

impl<'a> Scanner<'a> {
    // Tags.

    pub(super) fn fetch_tag(&mut self) -> Result<()> {
        self.save_key()?;
        self.key_allowed = false;
        let start = self.mark();
        let (handle, suffix): (Cow<'a, str>, Cow<'a, str>);
        if self.at(1) == b'<' {
            self.pos += 2;
            suffix = self.scan_tag_uri("", start)?;
            if self.at(0) != b'>' {
                return self.error(start, "did not find the expected '>'");
            }
            self.skip();
            handle = Cow::Borrowed("");
        } else {
            let scanned = self.scan_tag_handle(false, start)?;
            if scanned.len() > 1 && scanned.ends_with('!') {
                suffix = self.scan_tag_uri("", start)?;
                handle = Cow::Borrowed(scanned);
            } else {
                let rest = self.scan_tag_uri(scanned, start)?;
                if rest.is_empty() {
                    // The tag `!` alone.
                    handle = Cow::Borrowed("");
                    suffix = Cow::Borrowed("!");
                } else {
                    handle = Cow::Borrowed("!");
                    suffix = rest;
                }
            }
        }
        let ends = self.is_blankz(0) || (self.in_flow() && self.at(0) == b',');
        if !ends {
            return self.error(start, "did not find expected whitespace or line break");
        }
        self.push(Tok::Tag(handle, suffix), start);
        Ok(())
    }

    fn scan_tag_handle(&mut self, directive: bool, start: Mark) -> Result<&'a str> {
        if self.at(0) != b'!' {
            return self.error(start, "did not find expected '!'");
        }
        let from = self.pos;
        self.skip();
        while is_name_byte(self.at(0)) {
            self.pos += 1;
        }
        if self.at(0) == b'!' {
            self.skip();
        } else if directive && &self.text[from..self.pos] != "!" {
            return self.error(start, "did not find expected '!'");
        }
        Ok(&self.text[from..self.pos])
    }

    /// Scans the rest of a tag; `head` is what was scanned as a handle but is
    /// none.
    fn scan_tag_uri(&mut self, head: &'a str, start: Mark) -> Result<Cow<'a, str>> {
        let mut out = String::new();
        if head.len() > 1 {
            out.push_str(&head[1..]);
        }
        let had_head = !head.is_empty();
        let mut bytes = Vec::new();
        loop {
            let byte = self.at(0);
            if byte == b'%' {
                let hex = |b: u8| (b as char).to_digit(16);
                let (Some(high), Some(low)) = (hex(self.at(1)), hex(self.at(2))) else {
                    return self.error(start, "did not find URI escaped octet");
                };
                bytes.push((high * 16 + low) as u8);
                self.pos += 3;
            } else if is_name_byte(byte)
                || matches!(
                    byte,
                    b';' | b'/'
                        | b'?'
                        | b':'
                        | b'@'
                        | b'&'
                        | b'='
                        | b'+'
                        | b'$'
                        | b','
                        | b'.'
                        | b'!'
                        | b'~'
                        | b'*'
                        | b'\''
                        | b'('
                        | b')'
                        | b'['
                        | b']'
                )
            {
                bytes.push(byte);
                self.pos += 1;
            } else {
                break;
            }
        }
        match String::from_utf8(bytes) {
            Ok(text) => out.push_str(&text),
            Err(_) => return self.error(start, "found an incorrect leading UTF-8 octet"),
        }
        if !had_head && out.is_empty() {
            return self.error(start, "did not find expected tag URI");
        }
        Ok(Cow::Owned(out))
    }

    // Directives.

    pub(super) fn fetch_directive(&mut self) -> Result<()> {
        self.unroll_indent(-1);
        self.remove_key()?;
        self.key_allowed = false;
        let start = self.mark();
        self.skip();
        let from = self.pos;
        while is_name_byte(self.at(0)) {
            self.pos += 1;
        }
        let name = &self.text[from..self.pos];
        if name.is_empty() {
            return self.error(start, "could not find expected directive name");
        }
        if !self.is_blankz(0) {
            return self.error(start, "found unexpected non-alphabetical character");
        }
        while self.is_blank(0) {
            self.skip();
        }
        let tok = match name {
            "YAML" => {
                let major = self.scan_version_number(start)?;
                if self.at(0) != b'.' {
                    return self.error(start, "did not find expected digit or '.' character");
                }
                self.skip();
                let minor = self.scan_version_number(start)?;
                Tok::Version(major, minor)
            }
            "TAG" => {
                let handle = self.scan_tag_handle(true, start)?;
                if !self.is_blank(0) {
                    return self.error(start, "did not find expected whitespace");
                }
                while self.is_blank(0) {
                    self.skip();
                }
                let prefix = self.scan_tag_uri("", start)?;
                if !self.is_blankz(0) {
                    return self.error(start, "did not find expected whitespace or line break");
                }
                Tok::TagHandle(handle, prefix)
            }
            _ => return self.error(start, "found unknown directive name"),
        };
        self.push(tok, start);
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
        Ok(())
    }

    fn scan_version_number(&mut self, start: Mark) -> Result<u32> {
        let mut value = 0u32;
        let mut length = 0;
        while self.at(0).is_ascii_digit() {
            length += 1;
            if length > 2 {
                return self.error(start, "found extremely long version number");
            }
            value = value * 10 + u32::from(self.at(0) - b'0');
            self.skip();
        }
        if length == 0 {
            return self.error(start, "did not find expected version number");
        }
        Ok(value)
    }
}
