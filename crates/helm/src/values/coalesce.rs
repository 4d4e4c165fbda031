//! User values over the defaults of a chart and of the charts below it.

use serde_json::Value as Json;
use sluice_gotemplate::strconv::quote;

use super::{Table, show};
use crate::chart::Chart;

/// How nulls are treated, which changed in Helm 4.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Nulls {
    /// As Helm 4.2: nulls in defaults vanish, a user's null without a default
    /// stays.
    #[default]
    Helm4,
    /// As Helm 3: nulls in defaults stay.
    Helm3,
}

/// Values that do not fit a chart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValuesError {
    /// The values of a chart below are no table. The text is Go's, format
    /// artefact included.
    #[error("type mismatch on {chart}: {shown}")]
    NotATable {
        /// The chart's name.
        chart: String,
        /// What was there instead.
        shown: String,
    },
}

/// Whether nulls delete (coalescing) or are kept (merging).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Coalesce,
    Merge,
}

struct Merger<'w> {
    nulls: Nulls,
    warnings: &'w mut Vec<String>,
}

/// Lays `user` over the defaults of `chart` and of everything below it, and
/// hands globals down. What cannot be merged is noted in `warnings`.
///
/// # Errors
/// [`ValuesError`] when the values of a chart below are no table.
pub fn coalesce(
    chart: &Chart,
    user: &Table,
    nulls: Nulls,
    warnings: &mut Vec<String>,
) -> Result<Table, ValuesError> {
    let mut merger = Merger { nulls, warnings };
    merger.chart(chart, user.clone(), "", Mode::Coalesce)
}

/// As [`coalesce`], but keeps nulls; import-values are taken from the result.
///
/// # Errors
/// As [`coalesce`].
pub fn merge_with_chart(
    chart: &Chart,
    user: &Table,
    nulls: Nulls,
    warnings: &mut Vec<String>,
) -> Result<Table, ValuesError> {
    let mut merger = Merger { nulls, warnings };
    merger.chart(chart, user.clone(), "", Mode::Merge)
}

/// Lays one table over another, keeping nulls (`merge`) as import-values and
/// reused values do.
pub fn coalesce_tables(over: Table, under: Table, warnings: &mut Vec<String>) -> Table {
    let mut merger = Merger {
        nulls: Nulls::Helm4,
        warnings,
    };
    let mut result = over;
    merger.tables(&mut result, under, "", Mode::Merge);
    result
}

fn joined(prefix: &str, key: &str) -> String {
    if prefix.is_empty() {
        key.to_owned()
    } else {
        format!("{prefix}.{key}")
    }
}

/// Removes nulls at every depth of tables.
fn without_nulls(table: &mut Table) {
    table.retain(|_, value| !value.is_null());
    for value in table.values_mut() {
        if let Json::Object(inner) = value {
            without_nulls(inner);
        }
    }
}

impl Merger<'_> {
    fn warn(&mut self, text: String) {
        self.warnings.push(text);
    }

    fn chart(
        &mut self,
        chart: &Chart,
        values: Table,
        prefix: &str,
        mode: Mode,
    ) -> Result<Table, ValuesError> {
        let mut values = values;
        self.defaults(chart, &mut values, prefix, mode);
        let inner_prefix = joined(prefix, chart.name());
        for child in &chart.dependencies {
            let mut inner = match values.remove(child.name()) {
                None => Table::new(),
                Some(Json::Object(inner)) => inner,
                Some(other) => {
                    return Err(ValuesError::NotATable {
                        chart: child.name().to_owned(),
                        shown: bad_verb(&other),
                    });
                }
            };
            self.globals(&mut inner, &values, &inner_prefix);
            let inner = self.chart(child, inner, &inner_prefix, mode)?;
            values.insert(child.name().to_owned(), Json::Object(inner));
        }
        Ok(values)
    }

    /// Puts the chart's own defaults below the values.
    fn defaults(&mut self, chart: &Chart, values: &mut Table, prefix: &str, mode: Mode) {
        let prefix = joined(prefix, chart.name());
        let drops = mode == Mode::Coalesce && self.nulls == Nulls::Helm4;
        for (key, default) in &chart.values {
            let names_child = chart.dependencies.iter().any(|c| c.name() == key);
            match values.get_mut(key) {
                None => {
                    let mut default = default.clone();
                    if drops {
                        if default.is_null() {
                            continue;
                        }
                        if let Json::Object(table) = &mut default {
                            without_nulls(table);
                        }
                    }
                    values.insert(key.clone(), default);
                }
                Some(Json::Null) if mode == Mode::Coalesce => {
                    values.remove(key);
                }
                Some(Json::Object(own)) => match default {
                    Json::Object(default) => {
                        let mode = if names_child { Mode::Merge } else { mode };
                        let mut default = default.clone();
                        if drops && mode == Mode::Coalesce {
                            without_nulls(&mut default);
                        }
                        let mut taken = std::mem::take(own);
                        self.tables(&mut taken, default, &joined(&prefix, key), mode);
                        values.insert(key.clone(), Json::Object(taken));
                    }
                    Json::Null => {}
                    _ => self.warn(format!(
                        "warning: skipped value for {prefix}.{key}: Not a table."
                    )),
                },
                Some(_) => {}
            }
        }
    }

    /// Puts `under` below `over`.
    fn tables(&mut self, over: &mut Table, under: Table, prefix: &str, mode: Mode) {
        let mut under = under;
        // A null on top hides what is below it, wherever that came from.
        let nulled: Vec<(String, bool)> = over
            .iter()
            .filter(|(_, value)| value.is_null())
            .map(|(key, _)| (key.clone(), under.get(key).is_some_and(|v| !v.is_null())))
            .collect();
        for (key, had_value) in nulled {
            under.remove(&key);
            let drops = mode == Mode::Coalesce && (had_value || self.nulls == Nulls::Helm3);
            if drops {
                over.remove(&key);
            }
        }
        for (key, value) in under {
            let path = joined(prefix, &key);
            match (over.get_mut(&key), value) {
                (None, value) => {
                    over.insert(key, value);
                }
                (Some(Json::Object(inner)), Json::Object(below)) => {
                    let mut taken = std::mem::take(inner);
                    self.tables(&mut taken, below, &path, mode);
                    over.insert(key, Json::Object(taken));
                }
                (Some(_), value @ Json::Object(_)) => self.warn(format!(
                    "warning: cannot overwrite table with non table for {path} ({})",
                    show(&value)
                )),
                (Some(Json::Object(_)), value) if !value.is_null() => self.warn(format!(
                    "warning: destination for {path} is a table. Ignoring non-table value ({})",
                    show(&value)
                )),
                (Some(_), _) => {}
            }
        }
    }

    /// Hands the globals of `parent` down to `child`; the parent's win.
    fn globals(&mut self, child: &mut Table, parent: &Table, prefix: &str) {
        let mut own = match child.get("global") {
            None => Table::new(),
            Some(Json::Object(own)) => own.clone(),
            Some(_) => {
                self.warn(
                    "warning: skipping globals because destination global is not a table."
                        .to_owned(),
                );
                return;
            }
        };
        let empty = Table::new();
        let handed = match parent.get("global") {
            None => &empty,
            Some(Json::Object(handed)) => handed,
            Some(_) => {
                self.warn(
                    "warning: skipping globals because source global is not a table.".to_owned(),
                );
                return;
            }
        };
        for (key, value) in handed {
            match (value, own.get(key)) {
                (Json::Object(table), Some(Json::Object(below))) => {
                    let mut merged = table.clone();
                    let below = below.clone();
                    self.tables(&mut merged, below, &joined(prefix, key), Mode::Merge);
                    own.insert(key.clone(), Json::Object(merged));
                }
                (Json::Object(_), Some(_)) => self.warn(format!(
                    "Conflict: cannot merge map onto non-map for {}. Skipping.",
                    quote(key.as_bytes())
                )),
                (Json::Object(table), None) => {
                    own.insert(key.clone(), Json::Object(table.clone()));
                }
                (_, Some(Json::Object(_))) => {
                    self.warn(format!("key {key} is table. Skipping"));
                }
                (value, _) => {
                    own.insert(key.clone(), value.clone());
                }
            }
        }
        child.insert("global".to_owned(), Json::Object(own));
    }
}

/// Go's complaint about `%t` with something that is no boolean.
fn bad_verb(value: &Json) -> String {
    match value {
        Json::Bool(b) => b.to_string(),
        other => {
            let value = super::to_template(other);
            sluice_gotemplate::printing::sprintf(b"%t", &[value], 1 << 16)
                .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
                .unwrap_or_default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::read_table;
    use super::*;
    use crate::chart::{File, load_files};

    fn chart(values: &str, children: &[(&str, &str)]) -> Chart {
        let mut files = vec![
            File::new(
                "Chart.yaml",
                &b"apiVersion: v2\nname: app\nversion: 1.0.0\n"[..],
            ),
            File::new("values.yaml", values.as_bytes()),
        ];
        for (name, values) in children {
            let metadata = format!("apiVersion: v2\nname: {name}\nversion: 1.0.0\n");
            files.push(File::new(
                format!("charts/{name}/Chart.yaml"),
                metadata.into_bytes(),
            ));
            files.push(File::new(
                format!("charts/{name}/values.yaml"),
                values.as_bytes(),
            ));
        }
        load_files(files).expect("a chart")
    }

    fn case(defaults: &str, children: &[(&str, &str)], user: &str, nulls: Nulls) -> String {
        let user = read_table(user.as_bytes()).expect("values");
        let mut warnings = Vec::new();
        let result = coalesce(&chart(defaults, children), &user, nulls, &mut warnings);
        match result {
            Ok(values) => {
                let value = super::super::to_template(&Json::Object(values));
                let json = crate::funcs::to_json_value(&value, 0).expect("json");
                format!("{json}")
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn nulls_are_treated_as_helm_4_2_does() {
        for (defaults, user, want) in [
            ("a: null", "", "{}"),
            ("q: {r: null, s: 1}", "", r#"{"q":{"s":1}}"#),
            ("x: 1", "x: null", "{}"),
            ("q: {r: 1, s: 2}", "q: {r: null}", r#"{"q":{"s":2}}"#),
            ("", "m: null", r#"{"m":null}"#),
            ("nest: {a: 1}", "nest: 5", r#"{"nest":5}"#),
            ("s: 1", "s: {a: 1}", r#"{"s":{"a":1}}"#),
            ("l: [1, 2]", "l: [3]", r#"{"l":[3]}"#),
        ] {
            assert_eq!(
                case(defaults, &[], user, Nulls::Helm4),
                want,
                "{defaults} / {user}"
            );
        }
    }

    #[test]
    fn children_take_their_part_and_the_globals() {
        let sub: &[(&str, &str)] = &[("sub", "a: 1\nglobal: {own: 1}")];
        for (defaults, user, want) in [
            (
                "global: {g: 1}",
                "",
                r#"{"global":{"g":1},"sub":{"a":1,"global":{"g":1,"own":1}}}"#,
            ),
            (
                "sub: {a: null}",
                "",
                r#"{"sub":{"a":1,"global":{"own":1}}}"#,
            ),
            ("", "sub: {a: null}", r#"{"sub":{"global":{"own":1}}}"#),
            ("", "sub: 5", "type mismatch on sub: %!t(float64=5)"),
        ] {
            assert_eq!(
                case(defaults, sub, user, Nulls::Helm4),
                want,
                "{defaults} / {user}"
            );
        }
    }

    #[test]
    fn helm_3_keeps_nulls_of_defaults() {
        assert_eq!(case("a: null", &[], "", Nulls::Helm3), r#"{"a":null}"#);
        assert_eq!(
            case("sub: {a: null}", &[("sub", "a: 1")], "", Nulls::Helm3),
            r#"{"sub":{"global":{}}}"#
        );
    }
}
