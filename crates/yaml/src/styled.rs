//! Single scalars as go-yaml v3 writes them, which keeps the style of the
//! source where the text allows it and never folds lines.

use crate::emit::{Analysis, Emitter, is_blank_or_break, is_break};
use crate::scan::ScalarStyle;

/// Where a scalar stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spot {
    /// A value in block style.
    Block,
    /// A value or key in `[]` or `{}`.
    Flow,
    /// A key in block style.
    Key,
}

/// Appends a scalar in the wanted style, or in the next best that its text
/// allows. `indent` is that of the enclosing block, in blanks; a block scalar
/// ends with its last line, without a line break.
pub fn write_styled(text: &str, wanted: ScalarStyle, spot: Spot, indent: usize, out: &mut String) {
    let analysis = Analysis::of(text);
    let line = out.rfind('\n').map_or(0, |at| at + 1);
    let mut emitter = Emitter { out, line };
    let inner = indent + 2;
    match fitting(text, wanted, spot, &analysis) {
        ScalarStyle::Plain => emitter.plain(text, inner, false),
        ScalarStyle::SingleQuoted => emitter.single(text, inner, false),
        ScalarStyle::DoubleQuoted => emitter.double(text, inner, false),
        ScalarStyle::Literal => emitter.literal(text, inner),
        ScalarStyle::Folded => folded(text, inner, emitter.out),
    }
}

fn fitting(text: &str, wanted: ScalarStyle, spot: Spot, analysis: &Analysis) -> ScalarStyle {
    let mut style = wanted;
    if spot == Spot::Key && analysis.multiline {
        return ScalarStyle::DoubleQuoted;
    }
    if style == ScalarStyle::Plain {
        let allowed = match spot {
            Spot::Flow => analysis.flow_plain,
            Spot::Key => analysis.plain && !text.is_empty(),
            Spot::Block => analysis.plain,
        };
        if !allowed {
            style = ScalarStyle::SingleQuoted;
        }
    }
    if style == ScalarStyle::SingleQuoted && !analysis.single {
        style = ScalarStyle::DoubleQuoted;
    }
    let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
    if block && (spot != Spot::Block || !analysis.block_with_tabs) {
        style = ScalarStyle::DoubleQuoted;
    }
    style
}

/// A `>` block. A line break of the text needs an empty line between two lines
/// that could be joined; go-yaml looks at the start of the whole text to tell
/// whether the next line can be, and so do we.
fn folded(text: &str, indent: usize, out: &mut String) {
    out.push('>');
    if text.starts_with([' ', '\n']) {
        out.push('2');
    }
    if !text.ends_with('\n') {
        out.push('-');
    } else if text.ends_with("\n\n") || text == "\n" {
        out.push('+');
    }
    out.push('\n');
    let first = text.trim_start_matches(is_break).chars().next();
    let may_join = first.is_some_and(|c| !is_blank_or_break(c));
    let mut after_break = true;
    let mut after_blank_line = true;
    for c in text.chars() {
        if is_break(c) {
            if c == '\n' && !after_break && !after_blank_line && may_join {
                out.push('\n');
            }
            out.push(c);
            after_break = true;
            continue;
        }
        if after_break {
            out.extend(std::iter::repeat_n(' ', indent));
            after_blank_line = c == ' ' || c == '\t';
        }
        out.push(c);
        after_break = false;
    }
    // The caller ends the last line.
    if out.ends_with('\n') {
        out.pop();
    }
}
