//! Intervals and timeouts of a Kustomization, and durations as Go prints them.

use std::time::Duration;

use sluice_api::duration::{DurationText, GoDuration};
use sluice_api::kustomize::KustomizationSpec;

/// No wait for health is shorter.
const MIN_TIMEOUT: Duration = Duration::from_secs(30);

fn value(text: &DurationText) -> Duration {
    text.parse().map(GoDuration::to_std).unwrap_or_default()
}

/// The time between two reconciliations; zero means never again by itself.
pub fn interval(spec: &KustomizationSpec) -> Duration {
    value(&spec.interval)
}

/// The time after which a failed reconciliation is tried again.
pub fn retry_interval(spec: &KustomizationSpec) -> Duration {
    spec.retry_interval
        .as_ref()
        .map_or_else(|| interval(spec), value)
}

/// How long health checks and terminations are waited for.
pub fn timeout(spec: &KustomizationSpec) -> Duration {
    let given = spec.timeout.as_ref().map(value);
    given
        .unwrap_or_else(|| interval(spec).saturating_sub(MIN_TIMEOUT))
        .max(MIN_TIMEOUT)
}

/// A duration as Go prints it: `1h0m0s`, `1.5s`.
pub fn go(duration: Duration) -> String {
    GoDuration::from(duration).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_never_below_thirty_seconds() {
        let spec = |interval: &str, timeout: Option<&str>| KustomizationSpec {
            interval: interval.into(),
            timeout: timeout.map(Into::into),
            ..KustomizationSpec::default()
        };
        for (interval, timeout, expected) in [
            ("1h", None, "59m30s"),
            ("10s", None, "30s"),
            ("1h", Some("1s"), "30s"),
            ("1h", Some("2m"), "2m0s"),
            ("0s", None, "30s"),
        ] {
            assert_eq!(
                go(super::timeout(&spec(interval, timeout))),
                expected,
                "{interval} {timeout:?}"
            );
        }
        assert_eq!(retry_interval(&spec("5m", None)), Duration::from_secs(300));
    }
}
