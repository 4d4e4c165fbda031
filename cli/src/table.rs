//! Tables as `flux` prints them, which scripts cut by column.
//!
//! Cells are padded to the width of their column and separated by tabs. A row
//! of data ends with a tab, the heading does not.

/// The fewest hexadecimal digits that are taken for a digest.
const SHORTEST_DIGEST: usize = 40;
/// The most hexadecimal digits that are taken for a digest.
const LONGEST_DIGEST: usize = 128;
/// How many digits of a digest are shown.
const SHOWN_DIGITS: usize = 8;

/// Whether a table has a heading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heading {
    /// It has.
    Shown,
    /// It has none.
    Hidden,
}

/// Sets a table. Headings are written in capitals; a cell may have several lines.
pub fn render(headings: &[&str], rows: &[Vec<String>], heading: Heading) -> String {
    let headings: Vec<_> = headings.iter().map(|text| text.to_uppercase()).collect();
    let shown = match heading {
        Heading::Shown => headings.as_slice(),
        Heading::Hidden => &[],
    };
    let widths: Vec<usize> = (0..headings.len())
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            let lines = cells.chain(shown.get(column)).flat_map(|cell| lines(cell));
            lines.map(|line| line.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut table = String::new();
    if heading == Heading::Shown {
        let cells: Vec<_> = headings
            .iter()
            .zip(&widths)
            .map(|(text, width)| format!("{text:width$}"))
            .collect();
        table.push_str(&cells.join("\t"));
        table.push('\n');
    }
    for row in rows {
        let height = row
            .iter()
            .map(|cell| lines(cell).count())
            .max()
            .unwrap_or(1);
        for index in 0..height {
            for (cell, width) in row.iter().zip(&widths) {
                let line = lines(cell).nth(index).unwrap_or_default();
                table.push_str(&format!("{line:width$}\t"));
            }
            table.push('\n');
        }
    }
    table
}

fn lines(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('\n')
}

/// Cuts every digest in a text to its first digits.
pub fn shorten_digests(text: &str) -> String {
    let mut shortened = String::with_capacity(text.len());
    for word in words(text) {
        let is_digest = (SHORTEST_DIGEST..=LONGEST_DIGEST).contains(&word.len())
            && word
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        shortened.push_str(if is_digest {
            &word[..SHOWN_DIGITS]
        } else {
            word
        });
    }
    shortened
}

/// Splits a text where a word character (letter, digit, underscore) stands
/// beside another one. All pieces together are the text.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let end = rest
            .find(|character| is_word(character) != is_word(first))
            .unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after;
        Some(word)
    })
}

/// A table with its blanks to be seen: a tab as `|`, the end of a line as `$`.
#[cfg(test)]
pub fn visible(table: &str) -> String {
    table.replace('\t', "|").replace('\n', "$\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|cell| String::from(*cell)).collect()
    }

    #[test]
    fn cells_are_padded_and_rows_end_with_a_tab() {
        let rows = [row(&["a", "True", "done"]), row(&["longer", "False", ""])];
        assert_eq!(
            render(&["Name", "Ready", "Message"], &rows, Heading::Shown),
            "NAME  \tREADY\tMESSAGE\n\
             a     \tTrue \tdone   \t\n\
             longer\tFalse\t       \t\n"
        );
    }

    #[test]
    fn without_a_heading_its_words_take_no_room() {
        let rows = [row(&["a", "True"])];
        assert_eq!(
            render(&["Name", "Ready"], &rows, Heading::Hidden),
            "a\tTrue\t\n"
        );
    }

    #[test]
    fn a_cell_with_several_lines_takes_several_rows() {
        let rows = [row(&["a", "first\nsecond line"])];
        assert_eq!(
            render(&["Name", "Message"], &rows, Heading::Shown),
            "NAME\tMESSAGE    \n\
             a   \tfirst      \t\n    \tsecond line\t\n"
        );
    }

    #[test]
    fn digests_are_cut_and_nothing_else() {
        let sha1 = "67e2c98a".repeat(5);
        let sha256 = "0123456789abcdef".repeat(4);
        let cases = [
            (format!("main@sha1:{sha1}"), "main@sha1:67e2c98a"),
            (
                format!("Applied revision: v1@sha256:{sha256}"),
                "Applied revision: v1@sha256:01234567",
            ),
            (format!("{sha1}."), "67e2c98a."),
            (
                format!("sha1:{}", &sha1[..39]),
                &format!("sha1:{}", &sha1[..39]),
            ),
            (format!("g{sha1}"), &format!("g{sha1}")),
            (format!("_{sha1}"), &format!("_{sha1}")),
            ("\u{e9}t\u{e9}".to_owned(), "\u{e9}t\u{e9}"),
        ];
        for (text, shown) in &cases {
            assert_eq!(&shorten_digests(text), shown);
        }
    }
}
