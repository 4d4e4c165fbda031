//! `helm show`: what a chart says about itself.

use crate::chart::Chart;
use crate::package::metadata_yaml;

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Everything.
    All,
    /// Chart.yaml, written anew.
    Chart,
    /// values.yaml as it stands.
    Values,
    /// The README.
    Readme,
    /// The custom resource definitions.
    Crds,
}

/// Names of a README, compared without case.
const READMES: &[&str] = &["readme.md", "readme.txt", "readme"];

/// Writes a part of a chart, or all of it with separators between the parts.
pub fn show(chart: &Chart, part: Part) -> String {
    let wants = |one: Part| part == one || part == Part::All;
    let separator = if part == Part::All { "---\n" } else { "" };
    let mut text = String::new();
    let mut add = |separator: &str, data: &[u8]| {
        text.push_str(separator);
        text.push_str(&String::from_utf8_lossy(data));
        text.push('\n');
    };
    if wants(Part::Chart) {
        add("", metadata_yaml(&chart.metadata).as_bytes());
    }
    if wants(Part::Values) {
        for file in chart.raw.iter().filter(|f| f.name == "values.yaml") {
            add(separator, &file.data);
        }
    }
    if wants(Part::Readme) {
        let readme = chart
            .files
            .iter()
            .find(|f| READMES.contains(&f.name.to_lowercase().as_str()));
        if let Some(readme) = readme {
            add(separator, &readme.data);
        }
    }
    if wants(Part::Crds) {
        for (_, file) in chart.crds() {
            let marked = file.data.starts_with(b"---");
            add(if marked { "" } else { "---\n" }, &file.data);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::{File, load_files};

    fn chart() -> Chart {
        load_files(vec![
            File::new(
                "Chart.yaml",
                &b"version: 0.1.0\nname: c\napiVersion: v2\n"[..],
            ),
            File::new("values.yaml", &b"# kept\na: 1\n"[..]),
            File::new("README.md", &b"# c"[..]),
            File::new("crds/a.yaml", &b"kind: A\n"[..]),
            File::new("crds/b.yaml", &b"---\nkind: B"[..]),
        ])
        .expect("loads")
    }

    #[test]
    fn all_parts_stand_between_separators() {
        assert_eq!(
            show(&chart(), Part::All),
            "apiVersion: v2\nname: c\nversion: 0.1.0\n\n---\n# kept\na: 1\n\n---\n# c\n---\nkind: \
             A\n\n---\nkind: B\n"
        );
    }

    #[test]
    fn one_part_stands_alone() {
        assert_eq!(show(&chart(), Part::Values), "# kept\na: 1\n\n");
        assert_eq!(show(&chart(), Part::Readme), "# c\n");
        assert_eq!(show(&chart(), Part::Crds), "---\nkind: A\n\n---\nkind: B\n");
    }
}
