//! APIs of Kubernetes that are on their way out.

use std::sync::LazyLock;

/// One kind of one API version that is deprecated.
struct Deprecated {
    api_version: &'static str,
    kind: &'static str,
    /// The minor version of Kubernetes 1 that deprecated it.
    since: u64,
    /// The minor version that dropped it or will.
    gone: Option<u64>,
    instead: Option<&'static str>,
}

/// `apiVersion kind since gone instead`, one a line.
const TABLE: &str = include_str!("deprecations.txt");

static DEPRECATED: LazyLock<Vec<Deprecated>> = LazyLock::new(|| {
    TABLE
        .lines()
        .filter_map(|line| {
            let mut words = line.splitn(5, ' ');
            Some(Deprecated {
                api_version: words.next()?,
                kind: words.next()?,
                since: words.next()?.parse().ok()?,
                gone: words.next()?.parse().ok(),
                instead: words.next(),
            })
        })
        .collect()
});

/// Returns what is to be said about an API in Kubernetes `1.minor`.
pub(super) fn warning(api_version: &str, kind: &str, minor: u64) -> Option<String> {
    let found = DEPRECATED
        .iter()
        .find(|d| d.api_version == api_version && d.kind == kind && d.since <= minor)?;
    let mut text = format!("{api_version} {kind} is deprecated in v1.{}+", found.since);
    if let Some(gone) = found.gone {
        text.push_str(&format!(", unavailable in v1.{gone}+"));
    }
    if let Some(instead) = found.instead {
        text.push_str(&format!("; use {instead}"));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_read() {
        assert_eq!(DEPRECATED.len(), TABLE.lines().count());
        assert_eq!(
            warning("batch/v1beta1", "CronJob", 21).as_deref(),
            Some(
                "batch/v1beta1 CronJob is deprecated in v1.21+, unavailable in v1.25+; use batch/v1 CronJob"
            )
        );
        assert_eq!(warning("batch/v1beta1", "CronJob", 20), None);
        assert_eq!(
            warning("v1", "ComponentStatus", 36).as_deref(),
            Some("v1 ComponentStatus is deprecated in v1.19+")
        );
    }
}
