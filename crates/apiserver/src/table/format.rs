//! Texts that several printers share.

use jiff::Timestamp;
use serde_json::Value;

/// A duration for people: `5m`, `2h30m`, `3d4h`.
pub(super) fn human_duration(seconds: i64) -> String {
    let pair = |a: i64, x: &str, b: i64, y: &str| {
        if b == 0 {
            format!("{a}{x}")
        } else {
            format!("{a}{x}{b}{y}")
        }
    };
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match seconds {
        ..-1 => "<invalid>".into(),
        -1 => "0s".into(),
        _ if seconds < 120 => format!("{seconds}s"),
        _ if minutes < 10 => pair(minutes, "m", seconds % 60, "s"),
        _ if minutes < 180 => format!("{minutes}m"),
        _ if hours < 8 => pair(hours, "h", minutes % 60, "m"),
        _ if hours < 48 => format!("{hours}h"),
        _ if hours < 192 => pair(hours / 24, "d", hours % 24, "h"),
        _ if hours < 24 * 365 * 2 => format!("{}d", hours / 24),
        _ if hours < 24 * 365 * 8 => pair(hours / 24 / 365, "y", hours / 24 % 365, "d"),
        _ => format!("{}y", hours / 24 / 365),
    }
}

/// The seconds between a time of the API and now.
pub(super) fn seconds_since(value: &Value, now: Timestamp) -> Option<i64> {
    let then: Timestamp = value.as_str()?.parse().ok()?;
    Some(now.as_second() - then.as_second())
}

/// How long ago a time of the API was.
pub(super) fn since(value: &Value, now: Timestamp) -> String {
    seconds_since(value, now).map_or_else(|| "<unknown>".into(), human_duration)
}

/// How old an object is.
pub(super) fn age(object: &Value, now: Timestamp) -> Value {
    since(&object["metadata"]["creationTimestamp"], now).into()
}

/// The name of an object.
pub(super) fn name(object: &Value) -> Value {
    text(&object["metadata"]["name"]).into()
}

/// A text, or the empty one.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A text, or `other` where there is none.
pub(super) fn or<'a>(value: &'a Value, other: &'a str) -> &'a str {
    value
        .as_str()
        .filter(|text| !text.is_empty())
        .unwrap_or(other)
}

/// A number, or 0.
pub(super) fn number(value: &Value) -> Value {
    value.as_i64().unwrap_or(0).into()
}

/// The items of a list.
pub(super) fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// How many items a list or map has.
pub(super) fn size(value: &Value) -> Value {
    value
        .as_array()
        .map(Vec::len)
        .or_else(|| value.as_object().map(serde_json::Map::len))
        .unwrap_or(0)
        .into()
}

/// A list of texts, joined.
pub(super) fn joined(texts: impl IntoIterator<Item = String>, separator: &str) -> String {
    texts.into_iter().collect::<Vec<_>>().join(separator)
}

/// `a=1,b=2`, or `<none>`.
pub(super) fn labels(map: &Value) -> String {
    let all = map
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", text(value)));
    let text = joined(all, ",");
    if text.is_empty() {
        "<none>".into()
    } else {
        text
    }
}

/// A label selector as text, or `<none>`.
pub(super) fn selector(value: &Value) -> String {
    let mut terms: Vec<(String, String)> = value["matchLabels"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.clone(), format!("{key}={}", text(value))))
        .collect();
    for expression in items(&value["matchExpressions"]) {
        let key = text(&expression["key"]);
        let mut values: Vec<&str> = items(&expression["values"]).map(text).collect();
        values.sort_unstable();
        let values = values.join(",");
        terms.push((
            key.to_owned(),
            match text(&expression["operator"]) {
                "In" => format!("{key} in ({values})"),
                "NotIn" => format!("{key} notin ({values})"),
                "Exists" => key.to_owned(),
                _ => format!("!{key}"),
            },
        ));
    }
    terms.sort();
    let text = joined(terms.into_iter().map(|(_, text)| text), ",");
    if text.is_empty() {
        "<none>".into()
    } else {
        text
    }
}

/// Names and images of the containers of a pod spec.
pub(super) fn containers(spec: &Value) -> (Value, Value) {
    let of = |key: &str| {
        joined(
            items(&spec["containers"]).map(|one| text(&one[key]).to_owned()),
            ",",
        )
    };
    (of("name").into(), of("image").into())
}

/// Access modes of a volume, short.
pub(super) fn access_modes(modes: &Value) -> String {
    let has = |name: &str| items(modes).any(|mode| mode == name);
    let short = [
        ("ReadWriteOnce", "RWO"),
        ("ReadOnlyMany", "ROX"),
        ("ReadWriteMany", "RWX"),
        ("ReadWriteOncePod", "RWOP"),
    ];
    joined(
        short
            .iter()
            .filter(|(name, _)| has(name))
            .map(|(_, short)| (*short).to_owned()),
        ",",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_kubectl() {
        let table = [
            (-5, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (660, "11m"),
            (3 * 3600 - 1, "179m"),
            (3 * 3600, "3h"),
            (3 * 3600 + 120, "3h2m"),
            (9 * 3600, "9h"),
            (49 * 3600, "2d1h"),
            (200 * 3600, "8d"),
            (3 * 365 * 86400 + 86400, "3y1d"),
            (9 * 365 * 86400, "9y"),
        ];
        for (seconds, expected) in table {
            assert_eq!(human_duration(seconds), expected, "{seconds}");
        }
    }
}
