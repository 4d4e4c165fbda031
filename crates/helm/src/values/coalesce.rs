//! User values over the defaults of a chart and of the charts below it.
//!
//! The work is done on shared maps, because the original shares: the tables
//! inside of `global` are the same for a chart and for those below it, and what
//! one of them drops or gains, the others drop or gain.

use sluice_gotemplate::strconv::quote;
use sluice_gotemplate::{ANY_MAP, Entries, Map, Str, Value};

use super::{Table, from_template, show_value, table_to_template, to_template};
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
    coalesce_shared(chart, user, nulls, warnings).map(|map| from_template(&map))
}

/// As [`coalesce`], with the maps shared as templates will see them.
pub(crate) fn coalesce_shared(
    chart: &Chart,
    user: &Table,
    nulls: Nulls,
    warnings: &mut Vec<String>,
) -> Result<Map, ValuesError> {
    let mut merger = Merger { nulls, warnings };
    let values = table_to_template(user, ANY_MAP);
    merger.chart(chart, &values, "", Mode::Coalesce)?;
    Ok(values)
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
    let values = table_to_template(user, ANY_MAP);
    merger.chart(chart, &values, "", Mode::Merge)?;
    Ok(from_template(&values))
}

/// Lays one table over another, keeping nulls, as import-values and reused
/// values do.
pub fn coalesce_tables(over: &Table, under: &Table, warnings: &mut Vec<String>) -> Table {
    let mut merger = Merger {
        nulls: Nulls::Helm4,
        warnings,
    };
    let result = table_to_template(over, ANY_MAP);
    merger.tables(&result, &table_to_template(under, ANY_MAP), "", Mode::Merge);
    from_template(&result)
}

fn joined(prefix: &str, key: &str) -> String {
    if prefix.is_empty() {
        key.to_owned()
    } else {
        format!("{prefix}.{key}")
    }
}

/// Removes nulls at every depth of tables.
fn drop_nulls(table: &Map) {
    for (key, value) in table.snapshot() {
        match value {
            Value::Nil => {
                table.remove(&key);
            }
            Value::Map(inner) => drop_nulls(&inner),
            _ => {}
        }
    }
}

/// Copies one level; what is inside stays shared.
fn shallow(table: &Map) -> Map {
    let entries: Entries = table.snapshot().into_iter().collect();
    Map::typed(ANY_MAP, entries)
}

impl Merger<'_> {
    fn warn(&mut self, text: String) {
        let text = sluice_gotemplate::strconv::quote(text.as_bytes());
        self.warnings.push(format!("level=INFO msg={text}"));
    }

    fn chart(
        &mut self,
        chart: &Chart,
        values: &Map,
        prefix: &str,
        mode: Mode,
    ) -> Result<(), ValuesError> {
        self.defaults(chart, values, prefix, mode);
        let inner_prefix = joined(prefix, chart.name());
        for child in &chart.dependencies {
            let name = child.name();
            let inner = match values.get(name.as_bytes()) {
                None => {
                    let inner = Map::new();
                    values.insert(name, inner.clone());
                    inner
                }
                Some(Value::Map(inner)) => inner,
                Some(other) => {
                    return Err(ValuesError::NotATable {
                        chart: name.to_owned(),
                        shown: bad_verb(&other),
                    });
                }
            };
            self.globals(&inner, values, &inner_prefix);
            self.chart(child, &inner, &inner_prefix, mode)?;
        }
        Ok(())
    }

    /// Puts the chart's own defaults below the values.
    fn defaults(&mut self, chart: &Chart, values: &Map, prefix: &str, mode: Mode) {
        let prefix = joined(prefix, chart.name());
        let drops = mode == Mode::Coalesce && self.nulls == Nulls::Helm4;
        for (name, default) in &chart.values {
            let key = Str::from(name.as_str());
            let default = to_template(default);
            let Some(own) = values.get(&key) else {
                match &default {
                    Value::Nil if drops => continue,
                    Value::Map(table) if drops => drop_nulls(table),
                    _ => {}
                }
                values.insert(key, default);
                continue;
            };
            match (own, default) {
                (Value::Nil, _) if mode == Mode::Coalesce => {
                    values.remove(&key);
                }
                (Value::Map(own), Value::Map(default)) => {
                    let names_child = chart.dependencies.iter().any(|c| c.name() == name);
                    let mode = if names_child { Mode::Merge } else { mode };
                    if drops && mode == Mode::Coalesce {
                        drop_nulls(&default);
                    }
                    self.tables(&own, &default, &joined(&prefix, name), mode);
                }
                (Value::Map(_), Value::Nil) => {}
                (Value::Map(_), _) => self.warn(format!(
                    "warning: skipped value for {prefix}.{name}: Not a table."
                )),
                _ => {}
            }
        }
    }

    /// Puts `under` below `over`.
    fn tables(&mut self, over: &Map, under: &Map, prefix: &str, mode: Mode) {
        // A null on top hides what is below it, wherever that came from.
        let mut hidden: Vec<(Str, bool)> = Vec::new();
        for (key, value) in over.snapshot() {
            if value.is_nil() {
                let below = under.get(&key);
                hidden.push((key.clone(), below.is_some_and(|v| !v.is_nil())));
                under.insert(key, Value::Nil);
            }
        }
        for (key, value) in under.snapshot() {
            let path = joined(prefix, &key.to_text());
            match (over.get(&key), value) {
                (Some(Value::Nil), _) if mode == Mode::Coalesce => {
                    let had_value = hidden.iter().any(|(k, had)| *k == key && *had);
                    if had_value || self.nulls == Nulls::Helm3 {
                        over.remove(&key);
                    }
                }
                (None, value) => over.insert(key, value),
                (Some(Value::Map(inner)), Value::Map(below)) => {
                    self.tables(&inner, &below, &path, mode);
                }
                (Some(_), value @ Value::Map(_)) => self.warn(format!(
                    "warning: cannot overwrite table with non table for {path} ({})",
                    show_value(&value)
                )),
                (Some(Value::Map(_)), value) if !value.is_nil() => self.warn(format!(
                    "warning: destination for {path} is a table. Ignoring non-table value ({})",
                    show_value(&value)
                )),
                (Some(_), _) => {}
            }
        }
    }

    /// Hands the globals of `parent` down to `child`; the parent's win.
    fn globals(&mut self, child: &Map, parent: &Map, prefix: &str) {
        let own = match child.get(b"global") {
            None => Map::new(),
            Some(Value::Map(own)) => own,
            Some(_) => {
                self.warn(
                    "warning: skipping globals because destination global is not a table."
                        .to_owned(),
                );
                return;
            }
        };
        let handed = match parent.get(b"global") {
            None => Map::new(),
            Some(Value::Map(handed)) => handed,
            Some(_) => {
                self.warn(
                    "warning: skipping globals because source global is not a table.".to_owned(),
                );
                return;
            }
        };
        for (key, value) in handed.snapshot() {
            match (value, own.get(&key)) {
                (Value::Map(table), Some(Value::Map(below))) => {
                    let merged = shallow(&table);
                    self.tables(
                        &merged,
                        &below,
                        &joined(prefix, &key.to_text()),
                        Mode::Merge,
                    );
                    own.insert(key, merged);
                }
                (Value::Map(_), Some(_)) => self.warn(format!(
                    "Conflict: cannot merge map onto non-map for {}. Skipping.",
                    quote(&key)
                )),
                (Value::Map(table), None) => own.insert(key, shallow(&table)),
                (_, Some(Value::Map(_))) => {
                    self.warn(format!("key {key} is table. Skipping"));
                }
                (value, _) => own.insert(key, value),
            }
        }
        child.insert("global", own);
    }
}

/// Go's complaint about `%t` with something that is no boolean.
fn bad_verb(value: &Value) -> String {
    sluice_gotemplate::printing::sprintf(b"%t", std::slice::from_ref(value), 1 << 16)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::read_table;
    use super::*;
    use crate::chart::{File, load_files};
    use serde_json::Value as Json;

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
