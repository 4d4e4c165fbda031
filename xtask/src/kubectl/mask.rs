//! What two servers that behave alike may print differently, replaced by words: identities, versions,
//! times, ages, addresses, ports, nodes and generated parts of names. Nothing else.

use std::sync::LazyLock;

use regex::Regex;

/// Letters of generated names: no vowels and nothing that looks like one.
const SAFE: &str = "[bcdfghjklmnpqrstvwxz2456789]";

/// Patterns and what replaces them, in this order.
static MASKS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let hash = format!("-{SAFE}{{7,10}}");
    let suffix = format!("-{SAFE}{{5}}");
    let masks: [(String, &str); 18] = [
        (
            r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b".into(),
            "UID",
        ),
        (
            r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| \+0000)".into(),
            "TIME",
        ),
        (
            r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000".into(),
            "TIME",
        ),
        (
            r#"(resourceVersion\\?"?: ?\\?"|Resource Version: +)\d+"#.into(),
            "${1}VERSION",
        ),
        // A line of kubectl's own log.
        (r"^[IWE]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ ".into(), "LOG "),
        (r"^(Duration: +)\d+s$".into(), "${1}AGE"),
        (r"eyJ[\w-]+\.[\w-]+\.[\w-]+".into(), "TOKEN"),
        (r"\b127\.0\.0\.1:\d+".into(), "SERVER"),
        (r"\b10\.\d+\.\d+\.\d+\b".into(), "IP"),
        (r"(:)3[0-2]\d{3}(/(?:TCP|UDP)\b)".into(), "${1}PORT$2"),
        (
            r#"(nodePort"?: ?|NodePort"?: +(?:<unset>|\w+) +)3[0-2]\d{3}"#.into(),
            "${1}PORT",
        ),
        (r"\S*/(LIVE|MERGED)-\d+".into(), "$1"),
        (r"\S*/kubectl-edit-\d+\.(yaml|json)".into(), "EDITED.$1"),
        (format!("{hash}{suffix}\\b"), "-HASH-SUFFIX"),
        (format!("{hash}\\b"), "-HASH"),
        (format!("{suffix}\\b"), "-SUFFIX"),
        (
            format!(r#"(pod-template-hash"?[=:] ?"?){SAFE}{{7,10}}\b"#),
            "${1}HASH",
        ),
        (r"\bnode-[12]\b".into(), "NODE"),
    ];
    masks
        .into_iter()
        .filter_map(|(pattern, word)| Some((Regex::new(&pattern).ok()?, word)))
        .collect()
});

/// Columns of tables that are times.
const AGES: &[&str] = &["AGE", "LAST SEEN", "DURATION", "LAST SCHEDULE", "Age"];

/// What a command printed, with words for what may differ.
pub fn mask(text: &str) -> String {
    let mut out: Vec<String> = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    let mut at = 0;
    while at < lines.len() {
        if let Some(header) = Header::read(lines[at]) {
            let rows = lines[at..]
                .iter()
                .take_while(|line| header.holds(line))
                .count();
            out.extend(header.lay_out(&lines[at..at + rows]));
            at += rows;
        } else {
            out.push(words(lines[at]));
            at += 1;
        }
    }
    out.iter().map(|line| format!("{line}\n")).collect()
}

fn words(line: &str) -> String {
    let mut line = line.to_owned();
    for (pattern, word) in MASKS.iter() {
        if let std::borrow::Cow::Owned(changed) = pattern.replace_all(&line, *word) {
            line = changed;
        }
    }
    line
}

/// The columns of a table: of `kubectl get`, or of the events of `kubectl describe`.
struct Header<'l> {
    indent: usize,
    /// Where each column starts, and its title.
    columns: Vec<(usize, &'l str)>,
    /// The least spaces between two columns.
    gap: usize,
}

impl<'l> Header<'l> {
    fn read(line: &'l str) -> Option<Self> {
        let trimmed = line.trim_start();
        let indent = line.len() - trimmed.len();
        let events = indent > 0 && trimmed.starts_with("Type ") && trimmed.contains(" Age ");
        let table = indent == 0
            && trimmed.contains("   ")
            && !trimmed.contains(|c: char| c.is_lowercase() || c == ':');
        if !events && !table {
            return None;
        }
        let gap = if events { 2 } else { 3 };
        let mut columns = Vec::new();
        let mut start = indent;
        while let Some(rest) = line.get(start..).filter(|rest| !rest.is_empty()) {
            let end = rest.find("  ").unwrap_or(rest.len());
            columns.push((start, &rest[..end]));
            let blank = rest[end..].len() - rest[end..].trim_start().len();
            start += end + blank;
        }
        (columns.len() > 1).then_some(Self {
            indent,
            columns,
            gap,
        })
    }

    /// Whether a line belongs to the table, whose header it may be.
    fn holds(&self, line: &str) -> bool {
        !line.trim().is_empty() && line.starts_with(&" ".repeat(self.indent))
    }

    /// The lines of the table with words in the cells and columns as wide as these need.
    fn lay_out(&self, lines: &[&str]) -> Vec<String> {
        let rows: Vec<Vec<String>> = lines
            .iter()
            .enumerate()
            .map(|(number, line)| self.cells(line, number == 0))
            .collect();
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|column| {
                let longest = rows.iter().map(|row| row[column].chars().count()).max();
                longest.unwrap_or(0) + self.gap
            })
            .collect();
        rows.iter()
            .map(|row| {
                let cells: String = row
                    .iter()
                    .zip(&widths)
                    .map(|(cell, width)| format!("{cell:width$}"))
                    .collect();
                format!("{}{}", " ".repeat(self.indent), cells.trim_end())
            })
            .collect()
    }

    fn cells(&self, line: &str, is_header: bool) -> Vec<String> {
        // Columns are counted in characters, which the header has one a byte of.
        let offset = |column: usize| {
            line.char_indices()
                .nth(column)
                .map_or(line.len(), |(at, _)| at)
        };
        let ends = self.columns.iter().skip(1).map(|(start, _)| *start);
        self.columns
            .iter()
            .zip(ends.chain([usize::MAX]))
            .map(|((start, title), end)| {
                let cell = line[offset(*start)..offset(end)].trim_end();
                if AGES.contains(title) && !is_header {
                    ages(cell)
                } else {
                    words(cell)
                }
            })
            .collect()
    }
}

/// A cell of times: `12s`, `5m3s (x2 over 6m)`. How often a controller has tried again by then is a matter of
/// time too.
fn ages(cell: &str) -> String {
    static AGE: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"\b(\d+y)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?\b").ok());
    let cell = cell.split_once(" (x").map_or(cell, |(age, _)| age);
    match AGE.as_ref() {
        Some(age) if cell.chars().any(|c| c.is_ascii_digit()) => age
            .replace_all(
                cell,
                |found: &regex::Captures<'_>| {
                    if found[0].is_empty() { "" } else { "AGE" }
                },
            )
            .into_owned(),
        _ => cell.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_laid_out_again() {
        let text = "\
NAME                       READY   AGE     NODE     NOTE
web-5d4b8c7f9-bcdfg        1/1     12s     node-1
web-5d4b8c7f99-bcdfg       1/1     2m12s   node-2   a
";
        assert_eq!(
            mask(text),
            "\
NAME              READY   AGE   NODE   NOTE
web-HASH-SUFFIX   1/1     AGE   NODE
web-HASH-SUFFIX   1/1     AGE   NODE   a
"
        );
    }

    #[test]
    fn what_a_server_does_not_choose_stays() {
        for text in [
            "timeoutSeconds: 30s\n",
            "image: nginx:1.27\n",
            "Labels:  app=web\n",
            "port: 8080\n",
            "NAME\nconfigmap-basic\n",
        ] {
            assert_eq!(mask(text), text);
        }
    }

    #[test]
    fn times_versions_and_identities_are_words() {
        assert_eq!(
            mask("uid: 01234567-89ab-cdef-0123-456789abcdef\n"),
            "uid: UID\n"
        );
        assert_eq!(
            mask("{\"resourceVersion\": \"12\", \"t\": \"2026-11-25T09:12:00Z\"}\n"),
            "{\"resourceVersion\": \"VERSION\", \"t\": \"TIME\"}\n"
        );
        assert_eq!(
            mask(
                "  Type    Reason  Age                From\n  Normal  Made    3s (x2 over 15s)   me\n"
            ),
            "  Type    Reason  Age  From\n  Normal  Made    AGE  me\n"
        );
    }
}
