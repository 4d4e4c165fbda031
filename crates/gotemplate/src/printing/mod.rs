//! Go's fmt: `print`, `println`, `printf`, and how an action prints its value.

pub(crate) mod format;

use crate::error::Limit;
use crate::strconv::{QuoteTo, format_float_with, quote_rune, quote_with};
use crate::text::{Str, decode_rune, push_rune, rune_count, runes};
use crate::types::{BYTES, Under};
use crate::value::Value;
use format::*;

/// Values nested deeper than this are not printed; only a map that holds itself
/// gets there.
const MAX_DEPTH: usize = 1000;

/// Widths and precisions beyond this are refused, as in Go.
const MAX_WIDTH: i64 = 1_000_000;

/// Appends `value` as `%v` prints it.
///
/// # Errors
/// [`Limit`] when the output grows beyond `limit` bytes or the value nests
/// without end.
pub fn write_value(out: &mut Vec<u8>, value: &Value, limit: usize) -> Result<(), Limit> {
    match value {
        Value::Str(s) => out.extend_from_slice(s),
        _ => Printer::new(out, limit).arg(value, 'v')?,
    }
    Ok(())
}

/// Returns `value` as `%v` prints it.
///
/// # Errors
/// As [`write_value`].
pub fn sprint_value(value: &Value, limit: usize) -> Result<Str, Limit> {
    if let Value::Str(s) = value {
        return Ok(s.clone());
    }
    let mut out = Vec::new();
    write_value(&mut out, value, limit)?;
    Ok(Str::from(out))
}

/// Appends `value` in Go syntax, `%#v`; used by debug output.
pub(crate) fn write_go_syntax(out: &mut Vec<u8>, value: &Value) {
    let mut printer = Printer::new(out, 1 << 20);
    printer.flags.sharp_v = true;
    // A debug text that is cut short is still a debug text.
    let _ = printer.arg(value, 'v');
}

/// Go's `fmt.Sprint`: a space between two operands when neither is a string.
///
/// # Errors
/// As [`write_value`].
pub fn sprint<'v>(
    values: impl IntoIterator<Item = &'v Value>,
    limit: usize,
) -> Result<Vec<u8>, Limit> {
    let mut out = Vec::with_capacity(SHORT);
    let mut previous_string = true;
    for (i, value) in values.into_iter().enumerate() {
        let is_string = matches!(value, Value::Str(_));
        if i > 0 && !is_string && !previous_string {
            out.push(b' ');
        }
        write_value(&mut out, value, limit)?;
        previous_string = is_string;
    }
    Ok(out)
}

/// Room for most texts that are printed.
const SHORT: usize = 64;

/// Go's `fmt.Sprintln`: spaces always, a newline at the end.
///
/// # Errors
/// As [`write_value`].
pub fn sprintln(values: &[Value], limit: usize) -> Result<Vec<u8>, Limit> {
    let mut out = Vec::new();
    for (i, value) in values.iter().enumerate() {
        if i > 0 {
            out.push(b' ');
        }
        write_value(&mut out, value, limit)?;
    }
    out.push(b'\n');
    Ok(out)
}

/// Go's `fmt.Sprintf`.
///
/// # Errors
/// As [`write_value`].
pub fn sprintf(format: &[u8], args: &[Value], limit: usize) -> Result<Vec<u8>, Limit> {
    let mut out = Vec::new();
    Printer::new(&mut out, limit).printf(format, args)?;
    Ok(out)
}

#[derive(Clone, Copy, Default)]
struct Flags {
    width: Option<usize>,
    precision: Option<usize>,
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    plus_v: bool,
    sharp_v: bool,
}

struct Printer<'o> {
    out: &'o mut Vec<u8>,
    limit: usize,
    flags: Flags,
    depth: usize,
}

type Done = Result<(), Limit>;

impl<'o> Printer<'o> {
    fn new(out: &'o mut Vec<u8>, limit: usize) -> Self {
        Printer {
            out,
            limit,
            flags: Flags::default(),
            depth: 0,
        }
    }

    fn check(&self) -> Done {
        if self.out.len() > self.limit {
            return Err(Limit::Bytes(self.limit as u64));
        }
        Ok(())
    }

    fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    // The format string.

    fn printf(&mut self, format: &[u8], args: &[Value]) -> Done {
        let mut at = 0;
        let mut arg = 0;
        let mut reordered = false;
        while at < format.len() {
            self.check()?;
            let literal = format[at..]
                .iter()
                .position(|b| *b == b'%')
                .unwrap_or(format.len() - at);
            self.out.extend_from_slice(&format[at..at + literal]);
            at += literal;
            if at >= format.len() {
                break;
            }
            at += 1;
            self.flags = Flags::default();
            let mut spec = Spec {
                format,
                at,
                arg,
                args,
                good_index: true,
                after_index: false,
                reordered: false,
            };
            self.read_flags(&mut spec);
            spec.index();
            self.read_width(&mut spec);
            self.read_precision(&mut spec);
            if !spec.after_index {
                spec.index();
            }
            at = spec.at;
            arg = spec.arg;
            reordered |= spec.reordered;
            let Some((verb, width)) = decode_rune(&format[at..]) else {
                self.raw("%!(NOVERB)");
                break;
            };
            at += width;
            if verb == '%' {
                self.out.push(b'%');
            } else if !spec.good_index {
                self.bad_index(verb);
            } else if let Some(value) = args.get(arg) {
                arg += 1;
                if verb == 'v' {
                    self.flags.sharp_v = std::mem::take(&mut self.flags.sharp);
                    self.flags.plus_v = std::mem::take(&mut self.flags.plus);
                }
                self.arg(value, verb)?;
            } else {
                self.raw("%!");
                push_rune(self.out, verb);
                self.raw("(MISSING)");
            }
        }
        self.flags = Flags::default();
        if !reordered && arg < args.len() {
            self.raw("%!(EXTRA ");
            for (i, value) in args[arg..].iter().enumerate() {
                if i > 0 {
                    self.raw(", ");
                }
                if value.is_nil() {
                    self.raw("<nil>");
                } else {
                    self.raw(&value.type_name());
                    self.out.push(b'=');
                    self.arg(value, 'v')?;
                }
            }
            self.out.push(b')');
        }
        self.check()
    }

    fn bad_index(&mut self, verb: char) {
        self.raw("%!");
        push_rune(self.out, verb);
        self.raw("(BADINDEX)");
    }

    fn read_flags(&mut self, spec: &mut Spec<'_>) {
        while let Some(b) = spec.format.get(spec.at) {
            match b {
                b'#' => self.flags.sharp = true,
                b'0' => self.flags.zero = true,
                b'+' => self.flags.plus = true,
                b'-' => self.flags.minus = true,
                b' ' => self.flags.space = true,
                _ => break,
            }
            spec.at += 1;
        }
    }

    fn read_width(&mut self, spec: &mut Spec<'_>) {
        if spec.star() {
            match spec.int_arg() {
                Some(n) => {
                    if n < 0 {
                        self.flags.minus = true;
                        self.flags.zero = false;
                    }
                    self.flags.width = Some(n.unsigned_abs() as usize);
                }
                None => self.raw("%!(BADWIDTH)"),
            }
            spec.after_index = false;
            return;
        }
        let width = spec.number();
        if width.is_some() && spec.after_index {
            spec.good_index = false;
        }
        self.flags.width = width;
    }

    fn read_precision(&mut self, spec: &mut Spec<'_>) {
        if spec.format.get(spec.at) != Some(&b'.') {
            return;
        }
        spec.at += 1;
        if spec.after_index {
            spec.good_index = false;
        }
        spec.index();
        if spec.star() {
            match spec.int_arg() {
                Some(n) if n >= 0 => self.flags.precision = Some(n as usize),
                Some(_) => self.flags.precision = None,
                None => self.raw("%!(BADPREC)"),
            }
            spec.after_index = false;
        } else {
            self.flags.precision = Some(spec.number().unwrap_or(0));
        }
    }

    // Values.

    /// Prints one operand; `depth` is 0 for operands themselves.
    fn arg(&mut self, value: &Value, verb: char) -> Done {
        self.check()?;
        match verb {
            'T' => {
                let name = value.type_name();
                self.text(name.as_bytes(), 's');
                return Ok(());
            }
            'p' => {
                // An address, which nobody can rely on.
                if matches!(value, Value::List(_) | Value::Map(_) | Value::Bytes(_)) {
                    self.pad(b"0xc000010000");
                    return Ok(());
                }
                return self.bad_verb(value, verb);
            }
            _ => {}
        }
        if value.is_nil() {
            if verb == 'v' {
                self.pad(b"<nil>");
                return Ok(());
            }
            return self.bad_verb(value, verb);
        }
        self.value(value, verb)
    }

    fn value(&mut self, value: &Value, verb: char) -> Done {
        if self.depth > MAX_DEPTH {
            return Err(Limit::Depth(MAX_DEPTH));
        }
        if matches!(verb, 'v' | 's' | 'x' | 'X' | 'q')
            && !self.flags.sharp_v
            && let Some(text) = value.own_text()
        {
            self.text(text.as_bytes(), verb);
            return Ok(());
        }
        match value {
            Value::Nil => {
                // An interface that holds nothing, inside a container.
                if self.flags.sharp_v {
                    self.raw("interface {}(nil)");
                } else {
                    self.raw("<nil>");
                }
                Ok(())
            }
            Value::Bool(b) => match verb {
                't' | 'v' => {
                    self.pad(if *b { b"true" } else { b"false" });
                    Ok(())
                }
                _ => self.bad_verb(value, verb),
            },
            Value::Int(_, n) => self.integer(value, n.unsigned_abs(), *n < 0, true, verb),
            Value::Uint(_, n) => self.integer(value, *n, false, false, verb),
            Value::Float(f) => self.float(value, *f, verb),
            Value::Complex(re, im) => self.complex(value, *re, *im, verb),
            Value::Str(s) => match verb {
                'v' | 's' | 'x' | 'X' | 'q' => {
                    self.text(s, verb);
                    Ok(())
                }
                _ => self.bad_verb(value, verb),
            },
            Value::Bytes(bytes) => self.bytes(value, bytes, verb),
            Value::List(list) => self.list(value, list.items(), list.is_nil(), verb),
            Value::Map(map) => self.map(value, &map.snapshot(), map.is_nil(), verb),
            Value::Object(object) => match object.named().under {
                Under::Type(_) => {
                    let plain = object.plain();
                    match &plain {
                        Value::Map(map) => self.map(value, &map.snapshot(), false, verb),
                        Value::List(list) => self.list(value, list.items(), false, verb),
                        other => self.value(other, verb),
                    }
                }
                Under::Struct => self.structure(value, verb, ""),
                Under::Pointer if self.depth == 0 => self.structure(value, verb, "&"),
                Under::Pointer => {
                    self.raw("0xc000010000");
                    Ok(())
                }
            },
        }
    }

    fn structure(&mut self, value: &Value, verb: char, prefix: &str) -> Done {
        let Value::Object(object) = value else {
            return Ok(());
        };
        self.raw(prefix);
        if self.flags.sharp_v {
            self.raw(value.type_name().trim_start_matches('*'));
        }
        self.out.push(b'{');
        self.depth += 1;
        for (i, (name, field)) in object.fields().iter().enumerate() {
            if i > 0 {
                self.raw(if self.flags.sharp_v { ", " } else { " " });
            }
            if self.flags.sharp_v || self.flags.plus_v {
                self.raw(name);
                self.out.push(b':');
            }
            self.check()?;
            self.value(field, verb)?;
        }
        self.depth -= 1;
        self.out.push(b'}');
        Ok(())
    }

    fn list(&mut self, value: &Value, items: &[Value], is_nil: bool, verb: char) -> Done {
        let (open, separator, close) = if self.flags.sharp_v {
            self.raw(&value.type_name());
            if is_nil {
                self.raw("(nil)");
                return Ok(());
            }
            ("{", ", ", "}")
        } else {
            ("[", " ", "]")
        };
        self.raw(open);
        self.depth += 1;
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                self.raw(separator);
            }
            self.check()?;
            self.value(item, verb)?;
        }
        self.depth -= 1;
        self.raw(close);
        Ok(())
    }

    fn map(&mut self, value: &Value, entries: &[(Str, Value)], is_nil: bool, verb: char) -> Done {
        let (separator, close) = if self.flags.sharp_v {
            self.raw(&value.type_name());
            if is_nil {
                self.raw("(nil)");
                return Ok(());
            }
            self.out.push(b'{');
            (", ", "}")
        } else {
            self.raw("map[");
            (" ", "]")
        };
        self.depth += 1;
        for (i, (key, item)) in entries.iter().enumerate() {
            if i > 0 {
                self.raw(separator);
            }
            self.check()?;
            self.value(&Value::Str(key.clone()), verb)?;
            self.out.push(b':');
            self.value(item, verb)?;
        }
        self.depth -= 1;
        self.raw(close);
        Ok(())
    }

    fn bytes(&mut self, value: &Value, bytes: &Str, verb: char) -> Done {
        match verb {
            'v' | 'd' => {
                let sharp = self.flags.sharp_v;
                if sharp {
                    self.raw(&BYTES.to_string().replace("uint8", "byte"));
                }
                self.out.push(if sharp { b'{' } else { b'[' });
                for (i, b) in bytes.iter().enumerate() {
                    if i > 0 {
                        self.raw(if sharp { ", " } else { " " });
                    }
                    self.check()?;
                    if sharp {
                        self.raw(&format!("{b:#x}"));
                    } else {
                        self.digits(u64::from(*b), false, false, 10, verb);
                    }
                }
                self.out.push(if sharp { b'}' } else { b']' });
                Ok(())
            }
            's' | 'x' | 'X' | 'q' => {
                self.text(bytes, verb);
                Ok(())
            }
            _ => self.bad_verb(value, verb),
        }
    }

    fn bad_verb(&mut self, value: &Value, verb: char) -> Done {
        self.raw("%!");
        push_rune(self.out, verb);
        self.out.push(b'(');
        if value.is_nil() {
            self.raw("<nil>");
        } else {
            self.raw(&value.type_name());
            self.out.push(b'=');
            // Flags stay as they are, as in Go; only methods are not asked again.
            match value {
                Value::Object(_) if self.depth > MAX_DEPTH => {}
                _ => self.value(value, 'v')?,
            }
        }
        self.out.push(b')');
        Ok(())
    }

    // Basic kinds.

    fn integer(
        &mut self,
        value: &Value,
        magnitude: u64,
        negative: bool,
        signed: bool,
        verb: char,
    ) -> Done {
        match verb {
            'v' if self.flags.sharp_v && !signed => {
                self.flags.sharp = true;
                self.digits(magnitude, negative, false, 16, 'x');
                self.flags.sharp = false;
            }
            'v' | 'd' => self.digits(magnitude, negative, signed, 10, verb),
            'b' => self.digits(magnitude, negative, signed, 2, verb),
            'o' | 'O' => self.digits(magnitude, negative, signed, 8, verb),
            'x' | 'X' => self.digits(magnitude, negative, signed, 16, verb),
            'c' => {
                let rune = rune_of(magnitude, negative);
                let mut buffer = Vec::new();
                push_rune(&mut buffer, rune);
                self.pad(&buffer);
            }
            'q' => {
                let to = self.quote_to();
                let text = quote_rune(rune_of(magnitude, negative) as u32, to);
                self.pad(text.as_bytes());
            }
            'U' => {
                let digits = self.flags.precision.unwrap_or(4).max(4);
                let code = if negative {
                    magnitude.wrapping_neg()
                } else {
                    magnitude
                };
                let mut text = format!("U+{code:0digits$X}");
                if self.flags.sharp
                    && let Some(rune) = u32::try_from(code).ok().and_then(char::from_u32)
                    && crate::text::is_print(rune)
                {
                    text.push_str(&format!(" '{rune}'"));
                }
                let zero = std::mem::take(&mut self.flags.zero);
                self.pad(text.as_bytes());
                self.flags.zero = zero;
            }
            _ => return self.bad_verb(value, verb),
        }
        Ok(())
    }

    fn digits(&mut self, magnitude: u64, negative: bool, _signed: bool, base: u32, verb: char) {
        let mut least = 0;
        match self.flags.precision {
            Some(0) if magnitude == 0 => {
                let zero = std::mem::take(&mut self.flags.zero);
                self.padding(self.flags.width.unwrap_or(0));
                self.flags.zero = zero;
                return;
            }
            Some(precision) => least = precision,
            None if self.flags.zero && !self.flags.minus => {
                if let Some(width) = self.flags.width {
                    let sign = negative || self.flags.plus || self.flags.space;
                    least = width.saturating_sub(usize::from(sign));
                }
            }
            None => {}
        }
        let mut text = match base {
            2 => format!("{magnitude:b}"),
            8 => format!("{magnitude:o}"),
            16 if verb == 'X' => format!("{magnitude:X}"),
            16 => format!("{magnitude:x}"),
            _ => magnitude.to_string(),
        };
        if text.len() < least {
            text.insert_str(0, &"0".repeat(least - text.len()));
        }
        if self.flags.sharp {
            match base {
                2 => text.insert_str(0, "0b"),
                8 if !text.starts_with('0') => text.insert(0, '0'),
                16 if verb == 'X' => text.insert_str(0, "0X"),
                16 => text.insert_str(0, "0x"),
                _ => {}
            }
        }
        if verb == 'O' {
            text.insert_str(0, "0o");
        }
        if negative {
            text.insert(0, '-');
        } else if self.flags.plus {
            text.insert(0, '+');
        } else if self.flags.space {
            text.insert(0, ' ');
        }
        let zero = std::mem::take(&mut self.flags.zero);
        self.pad(text.as_bytes());
        self.flags.zero = zero;
    }

    fn float(&mut self, value: &Value, number: f64, verb: char) -> Done {
        match verb {
            'v' => self.float_digits(number, 'g', None),
            'g' | 'G' | 'x' | 'X' => self.float_digits(number, verb, None),
            'e' | 'E' | 'f' => self.float_digits(number, verb, Some(6)),
            'F' => self.float_digits(number, 'f', Some(6)),
            'b' => {
                let text = binary_exponent(number);
                self.float_text(text, verb, None);
            }
            _ => return self.bad_verb(value, verb),
        }
        Ok(())
    }

    fn float_digits(&mut self, number: f64, verb: char, default: Option<usize>) {
        let precision = self.flags.precision.or(default);
        let text = if matches!(verb, 'x' | 'X') {
            hex_float(number, precision, verb)
        } else {
            format_float_with(number, verb, precision)
        };
        self.float_text(text, verb, precision);
    }

    /// Adds sign, decimal point and padding to the digits of a float.
    fn float_text(&mut self, text: String, verb: char, precision: Option<usize>) {
        let (sign, mut digits) = match text.strip_prefix(['+', '-']) {
            Some(rest) => (text.as_bytes()[0], rest.to_owned()),
            None => (b'+', text),
        };
        let shown = if self.flags.space && sign == b'+' && !self.flags.plus {
            b' '
        } else {
            sign
        };
        if digits.starts_with(['I', 'N']) {
            let zero = std::mem::take(&mut self.flags.zero);
            let bare = digits.starts_with('N') && !self.flags.space && !self.flags.plus;
            let whole = if bare {
                digits
            } else {
                format!("{}{digits}", char::from(shown))
            };
            self.pad(whole.as_bytes());
            self.flags.zero = zero;
            return;
        }
        if self.flags.sharp && verb != 'b' {
            digits = with_point(&digits, verb, precision);
        }
        if self.flags.plus || shown != b'+' {
            let whole = format!("{}{digits}", char::from(shown));
            match self.flags.width {
                Some(width) if self.flags.zero && !self.flags.minus && width > whole.len() => {
                    self.out.push(shown);
                    self.padding(width - whole.len());
                    self.raw(&digits);
                }
                _ => self.pad(whole.as_bytes()),
            }
            return;
        }
        self.pad(digits.as_bytes());
    }

    fn complex(&mut self, value: &Value, re: f64, im: f64, verb: char) -> Done {
        if !matches!(
            verb,
            'v' | 'b' | 'g' | 'G' | 'x' | 'X' | 'f' | 'F' | 'e' | 'E'
        ) {
            return self.bad_verb(value, verb);
        }
        let plus = self.flags.plus;
        self.out.push(b'(');
        self.float(value, re, verb)?;
        self.flags.plus = true;
        self.float(value, im, verb)?;
        self.raw("i)");
        self.flags.plus = plus;
        Ok(())
    }

    fn text(&mut self, bytes: &[u8], verb: char) {
        match verb {
            'v' if self.flags.sharp_v => self.quoted(bytes),
            'q' => self.quoted(bytes),
            'x' | 'X' => self.hex(bytes, verb),
            _ => {
                let cut = self.truncate(bytes);
                let (start, end) = (0, cut);
                self.pad(&bytes[start..end]);
            }
        }
    }

    fn quoted(&mut self, bytes: &[u8]) {
        let bytes = &bytes[..self.truncate(bytes)];
        if self.flags.sharp && can_backquote(bytes) {
            let mut text = vec![b'`'];
            text.extend_from_slice(bytes);
            text.push(b'`');
            self.pad(&text);
            return;
        }
        let text = quote_with(bytes, '"', self.quote_to());
        self.pad(text.as_bytes());
    }

    fn quote_to(&self) -> QuoteTo {
        if self.flags.plus {
            QuoteTo::Ascii
        } else {
            QuoteTo::Unicode
        }
    }

    fn hex(&mut self, bytes: &[u8], verb: char) {
        let length = self
            .flags
            .precision
            .map_or(bytes.len(), |p| p.min(bytes.len()));
        let prefix = match (self.flags.sharp, verb) {
            (false, _) => "",
            (true, 'X') => "0X",
            (true, _) => "0x",
        };
        let mut text = String::with_capacity(length * 2 + 2);
        for (i, b) in bytes[..length].iter().enumerate() {
            if i == 0 {
                text.push_str(prefix);
            } else if self.flags.space {
                text.push(' ');
                text.push_str(prefix);
            }
            text.push_str(&if verb == 'X' {
                format!("{b:02X}")
            } else {
                format!("{b:02x}")
            });
        }
        self.pad(text.as_bytes());
    }

    /// Returns the length in bytes to which the precision cuts a text.
    fn truncate(&self, bytes: &[u8]) -> usize {
        match self.flags.precision {
            None => bytes.len(),
            Some(precision) => runes(bytes).take(precision).map(|(_, raw)| raw.len()).sum(),
        }
    }

    fn pad(&mut self, bytes: &[u8]) {
        let width = self.flags.width.unwrap_or(0);
        let missing = if width == 0 {
            0
        } else {
            width.saturating_sub(rune_count(bytes))
        };
        if !self.flags.minus {
            self.padding(missing);
        }
        self.out.extend_from_slice(bytes);
        if self.flags.minus {
            self.padding(missing);
        }
    }

    fn padding(&mut self, count: usize) {
        let fill = if self.flags.zero && !self.flags.minus {
            b'0'
        } else {
            b' '
        };
        self.out.resize(self.out.len() + count, fill);
    }
}

#[cfg(test)]
mod tests;
