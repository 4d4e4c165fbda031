//! Which of the charts below take part, and what values they lend.

use serde_json::Value as Json;
use sluice_gotemplate::strconv::quote;

use crate::chart::{Chart, Dependency, version_fits};
use crate::values::{Nulls, Table, ValuesError, coalesce, coalesce_tables, merge_with_chart};
use crate::values::{show, table_at, value_at};

/// Switches dependencies on and off by tags and conditions, renames them by
/// their aliases, and takes over the values they export.
///
/// `user` are the values of the user; `warnings` receives what Helm would log.
/// A chart whose metadata has no dependencies keeps what is below it as it is.
///
/// # Errors
/// [`ValuesError`] when values do not fit.
pub fn process_dependencies(
    chart: &mut Chart,
    user: &Table,
    nulls: Nulls,
    warnings: &mut Vec<String>,
) -> Result<(), ValuesError> {
    choose(chart, user, "", nulls, warnings)?;
    import(chart, nulls, warnings)
}

fn choose(
    chart: &mut Chart,
    user: &Table,
    path: &str,
    nulls: Nulls,
    warnings: &mut Vec<String>,
) -> Result<(), ValuesError> {
    let Some(listed) = chart.metadata.dependencies.take() else {
        return Ok(());
    };
    let mut listed: Vec<Dependency> = listed.into_iter().flatten().collect();
    let fits = |entry: &Dependency, c: &Chart| {
        c.name() == entry.name && version_fits(&entry.version, &c.metadata.version)
    };
    // Charts that no entry asks for stay, before those that are asked for.
    let (loaded, mut kept): (Vec<Chart>, Vec<Chart>) = std::mem::take(&mut chart.dependencies)
        .into_iter()
        .partition(|c| listed.iter().any(|entry| fits(entry, c)));
    let places: Vec<Option<usize>> = listed
        .iter()
        .map(|entry| loaded.iter().position(|c| fits(entry, c)))
        .collect();
    let mut loaded: Vec<Option<Chart>> = loaded.into_iter().map(Some).collect();
    for (i, entry) in listed.iter_mut().enumerate() {
        if let Some(place) = places[i] {
            // Several entries may ask for one chart, under different aliases.
            let found = match places[i + 1..].contains(&Some(place)) {
                true => loaded[place].clone(),
                false => loaded[place].take(),
            };
            if let Some(mut found) = found {
                if !entry.alias.is_empty() {
                    found.metadata.name.clone_from(&entry.alias);
                }
                kept.push(found);
            }
        }
        if !entry.alias.is_empty() {
            entry.name.clone_from(&entry.alias);
        }
        entry.enabled = true;
    }
    chart.dependencies = kept;
    let values = coalesce(chart, user, nulls, warnings)?;
    apply_tags(&mut listed, &values, warnings);
    apply_conditions(&mut listed, &values, path, warnings);
    let disabled: Vec<String> = listed
        .iter()
        .filter(|entry| !entry.enabled)
        .map(|entry| entry.name.clone())
        .collect();
    chart
        .dependencies
        .retain(|c| !disabled.iter().any(|name| name == c.name()));
    listed.retain(|entry| !disabled.contains(&entry.name));
    for child in &mut chart.dependencies {
        let inner = format!("{path}{}.", child.name());
        choose(child, &values, &inner, nulls, warnings)?;
    }
    chart.metadata.dependencies = if listed.is_empty() {
        None
    } else {
        Some(listed.into_iter().map(Some).collect())
    };
    Ok(())
}

fn apply_tags(entries: &mut [Dependency], values: &Table, warnings: &mut Vec<String>) {
    let Some(tags) = table_at(values, "tags") else {
        return;
    };
    for entry in entries {
        let (mut on, mut off) = (false, false);
        for tag in &entry.tags {
            match tags.get(tag) {
                None => {}
                Some(Json::Bool(true)) => on = true,
                Some(Json::Bool(false)) => off = true,
                Some(_) => warnings.push(format!(
                    "level=WARN msg=\"returned non-bool value\" tag={tag} chart={}",
                    entry.name
                )),
            }
        }
        entry.enabled = on || !off;
    }
}

fn apply_conditions(
    entries: &mut [Dependency],
    values: &Table,
    path: &str,
    warnings: &mut Vec<String>,
) {
    for entry in entries {
        for condition in entry.condition.trim().split(',').filter(|c| !c.is_empty()) {
            match value_at(values, &format!("{path}{condition}")) {
                Some(Json::Bool(enabled)) => {
                    entry.enabled = *enabled;
                    break;
                }
                Some(_) => warnings.push(format!(
                    "level=WARN msg=\"returned non-bool value\" path={condition} chart={}",
                    entry.name
                )),
                None => {}
            }
        }
    }
}

fn import(chart: &mut Chart, nulls: Nulls, warnings: &mut Vec<String>) -> Result<(), ValuesError> {
    for child in &mut chart.dependencies {
        import(child, nulls, warnings)?;
    }
    let Some(mut entries) = chart.metadata.dependencies.take() else {
        return Ok(());
    };
    let values = merge_with_chart(chart, &Table::new(), nulls, warnings)?;
    let mut imported = Table::new();
    for entry in entries.iter_mut().flatten() {
        let mut normalised = Vec::new();
        for import in &entry.import_values {
            let (child, parent) = match import {
                Json::String(name) => (format!("exports.{name}"), ".".to_owned()),
                Json::Object(map) => (shown(map.get("child")), shown(map.get("parent"))),
                _ => continue,
            };
            normalised.push(serde_json::json!({"child": child, "parent": parent}));
            let Some(table) = table_at(&values, &format!("{}.{child}", entry.name)) else {
                let missing = first_missing(&values, &entry.name, &child);
                let error = format!("{} is not a table", quote(missing.as_bytes()));
                let error = quote(error.as_bytes());
                warnings.push(match import {
                    Json::String(_) => {
                        format!("level=WARN msg=\"ImportValues missing table\" error={error}")
                    }
                    _ => format!(
                        "level=WARN msg=\"ImportValues missing table from chart\" chart={} \
                         error={error}",
                        entry.name
                    ),
                });
                continue;
            };
            let lent = nested(&parent, table.clone());
            imported = coalesce_tables(&imported, &lent, warnings);
        }
        entry.import_values = normalised;
    }
    chart.metadata.dependencies = Some(entries);
    chart.values = coalesce_tables(&values, &imported, warnings);
    Ok(())
}

/// The first part of a path that leads to no table.
fn first_missing<'p>(values: &Table, chart: &'p str, path: &'p str) -> &'p str {
    let mut at = Some(values);
    for part in std::iter::once(chart).chain(path.split('.')) {
        at = at.and_then(|table| table.get(part)?.as_object());
        if at.is_none() {
            return part;
        }
    }
    path
}

fn shown(value: Option<&Json>) -> String {
    match value {
        Some(value) => show(value),
        None => "<nil>".to_owned(),
    }
}

/// Puts a table at a dotted path; `.` is the root.
fn nested(path: &str, table: Table) -> Table {
    if path == "." {
        return table;
    }
    path.rsplit('.').fold(table, |inner, part| {
        let mut outer = Table::new();
        outer.insert(part.to_owned(), Json::Object(inner));
        outer
    })
}
