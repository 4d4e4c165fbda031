//! Metrics under the names of Flux's dashboards and alerts.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Labels of an object's own series.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ObjectLabels {
    /// Kind of the object.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
}

/// Labels of a controller's series.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ControllerLabels {
    /// Lower-case kind that the controller reconciles.
    pub controller: String,
}

/// Labels of a controller's results.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ResultLabels {
    /// Lower-case kind that the controller reconciles.
    pub controller: String,
    /// `success`, `error`, `requeue` or `requeue_after`.
    pub result: String,
}

/// Labels of an outbox' series.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutboxLabels {
    /// `sent`, `failed` or `dropped`.
    pub result: String,
}

/// All metrics of one process. Cheap to clone through an `Arc`.
#[derive(Debug)]
pub struct Metrics {
    registry: std::sync::Mutex<Registry>,
    reconcile_duration: Family<ObjectLabels, Histogram, fn() -> Histogram>,
    reconciles: Family<ResultLabels, Counter>,
    active_workers: Family<ControllerLabels, Gauge>,
    max_workers: Family<ControllerLabels, Gauge>,
    depth: Family<ControllerLabels, Gauge>,
    events: Family<OutboxLabels, Counter>,
}

/// Ten buckets from 10 ms to half an hour, evenly spaced in the logarithm. They are written out to the
/// last digit that Flux exposes, since the bounds are part of a series' identity.
const DURATION_BUCKETS: [f64; 10] = [
    0.01,
    0.038_363_583_488_692_544,
    0.147_176_453_809_388_3,
    0.564_621_617_328_616_9,
    2.166_090_855_590_701,
    8.309_900_738_254_731,
    31.879_757_075_478_317,
    122.302_172_216_434_93,
    469.194_959_467_365_44,
    1_799.999_999_999_998_6,
];

fn duration_histogram() -> Histogram {
    Histogram::new(DURATION_BUCKETS)
}

/// Puts the bucket's bound behind the other labels and prints it as Go's client does.
fn bound_last(line: &str) -> String {
    let moved = line.split_once("{le=\"").and_then(|(name, rest)| {
        let (bound, rest) = rest.split_once("\",")?;
        let (labels, value) = rest.rsplit_once('}')?;
        // Printed anew: the encoder's digits are not always the shortest ones.
        let bound = match bound.parse::<f64>() {
            Ok(number) if number.is_finite() => number.to_string(),
            _ => bound.to_owned(),
        };
        Some(format!("{name}{{{labels},le=\"{bound}\"}}{value}\n"))
    });
    moved.unwrap_or_else(|| format!("{line}\n"))
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let reconcile_duration =
            Family::<_, _, fn() -> Histogram>::new_with_constructor(duration_histogram);
        registry.register(
            "gotk_reconcile_duration_seconds",
            "The duration in seconds of a GitOps Toolkit resource reconciliation",
            reconcile_duration.clone(),
        );
        let reconciles = Family::<ResultLabels, Counter>::default();
        registry.register(
            "controller_runtime_reconcile",
            "Total number of reconciliations per controller",
            reconciles.clone(),
        );
        let active_workers = Family::<ControllerLabels, Gauge>::default();
        registry.register(
            "controller_runtime_active_workers",
            "Number of currently used workers per controller",
            active_workers.clone(),
        );
        let max_workers = Family::<ControllerLabels, Gauge>::default();
        registry.register(
            "controller_runtime_max_concurrent_reconciles",
            "Maximum number of concurrent reconciles per controller",
            max_workers.clone(),
        );
        let depth = Family::<ControllerLabels, Gauge>::default();
        registry.register(
            "workqueue_depth",
            "Current depth of workqueue",
            depth.clone(),
        );
        let events = Family::<OutboxLabels, Counter>::default();
        registry.register(
            "sluice_events",
            "Events given to the outbox, by what became of them",
            events.clone(),
        );
        // Series of the credential cache, which Flux's controllers show from the start.
        registry.register(
            "gotk_token_cached_items",
            "Total number of items in the cache",
            Gauge::<i64>::default(),
        );
        registry.register(
            "gotk_token_cache_evictions",
            "Total number of cache evictions",
            Counter::<u64>::default(),
        );
        Self {
            registry: std::sync::Mutex::new(registry),
            reconcile_duration,
            reconciles,
            active_workers,
            max_workers,
            depth,
            events,
        }
    }
}

impl Metrics {
    /// Records one reconciliation of an object.
    pub fn observe_reconcile(&self, object: &ObjectLabels, duration: Duration) {
        self.reconcile_duration
            .get_or_create(object)
            .observe(duration.as_secs_f64());
    }

    /// Drops the series of an object that is gone.
    pub fn forget_object(&self, object: &ObjectLabels) {
        self.reconcile_duration.remove(object);
    }

    /// Shows the series of a controller before it has done anything, as Flux's controllers do.
    pub fn announce(&self, controller: &str, max: i64) {
        self.workers(controller, 0, max, 0);
        for result in ["success", "error", "requeue", "requeue_after"] {
            // Held, the guard would lock the family.
            drop(self.reconciles.get_or_create(&ResultLabels {
                controller: controller.to_owned(),
                result: result.to_owned(),
            }));
        }
    }

    pub(crate) fn count_result(&self, controller: &str, result: &str) {
        self.reconciles
            .get_or_create(&ResultLabels {
                controller: controller.to_owned(),
                result: result.to_owned(),
            })
            .inc();
    }

    pub(crate) fn workers(&self, controller: &str, active: i64, max: i64, depth: i64) {
        let labels = ControllerLabels {
            controller: controller.to_owned(),
        };
        self.active_workers.get_or_create(&labels).set(active);
        self.max_workers.get_or_create(&labels).set(max);
        self.depth.get_or_create(&labels).set(depth);
    }

    pub(crate) fn count_event(&self, result: &str) {
        self.events
            .get_or_create(&OutboxLabels {
                result: result.to_owned(),
            })
            .inc();
    }

    /// Adds a metric of a controller's own.
    pub fn register<M: prometheus_client::registry::Metric>(
        &self,
        name: &str,
        help: &str,
        metric: M,
    ) {
        self.lock().register(name, help, metric);
    }

    /// The exposition text, OpenMetrics 1.0.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing into a String cannot fail; an encoder that does leaves what it had written.
        let _ = encode(&mut text, &self.lock());
        text.lines().map(bound_last).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Registry> {
        self.registry
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_duration_series_have_flux_names_labels_and_buckets() {
        let metrics = Metrics::default();
        let object = ObjectLabels {
            kind: "Kustomization".into(),
            name: "app".into(),
            namespace: "apps".into(),
        };
        metrics.observe_reconcile(&object, Duration::from_millis(50));
        let text = metrics.render();
        let series: Vec<_> = text
            .lines()
            .filter(|l| l.starts_with("gotk_reconcile_duration_seconds_bucket"))
            .collect();
        assert_eq!(
            series[1],
            "gotk_reconcile_duration_seconds_bucket{kind=\"Kustomization\",name=\"app\",namespace=\"apps\",le=\"0.038363583488692544\"} 0"
        );
        assert!(series[9].contains("le=\"1799.9999999999986\""), "{text}");
        assert!(text.contains("gotk_token_cache_evictions_total 0"));
        metrics.forget_object(&object);
        assert!(!metrics.render().contains("Kustomization"));
        metrics.announce("kustomization", 4);
        let text = metrics.render();
        assert!(text.contains(
            "controller_runtime_max_concurrent_reconciles{controller=\"kustomization\"} 4"
        ));
        assert!(text.contains(
            "controller_runtime_reconcile_total{controller=\"kustomization\",result=\"error\"} 0"
        ));
    }
}
