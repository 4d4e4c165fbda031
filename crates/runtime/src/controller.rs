//! The work loop of one reconciled kind: workers, deadlines of waiting keys, panics, metrics.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::informer::ObjectKey;
use crate::metrics::{Metrics, ObjectLabels};
use crate::queue::Queue;

/// What happens to a key after its turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Nothing until something triggers it.
    Wait,
    /// The object is no more: nothing follows, and its series end.
    Gone,
    /// Another turn after this time, or earlier when triggered.
    After(Duration),
    /// Another turn soon, through the back-off.
    Soon,
    /// It failed in a way that no condition tells: another turn through the back-off, logged.
    Failed(String),
}

/// What the loop needs to know of a kind.
#[derive(Debug, Clone)]
pub struct Kind {
    /// `Kustomization`.
    pub kind: &'static str,
    /// `kustomize.toolkit.fluxcd.io`.
    pub group: &'static str,
    /// Lower-case kind: the name of the controller in metrics and logs.
    pub controller: &'static str,
}

/// Works through `queue` with `concurrency` workers until `stop`, giving each key to `reconcile`.
///
/// A panic in `reconcile` is caught, logged and retried with back-off: it never ends the process nor
/// another object's work. On `stop` the running turns are dropped at their next await: every effect
/// of a reconciler must be safe to cut off there.
pub async fn run<F, Fut>(
    kind: Kind,
    queue: Arc<Queue<ObjectKey>>,
    concurrency: usize,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
    reconcile: F,
) where
    F: Fn(ObjectKey) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Next> + Send,
{
    let active = Arc::new(AtomicI64::new(0));
    let max = i64::try_from(concurrency).unwrap_or(i64::MAX);
    metrics.announce(kind.controller, max);
    let mut workers = JoinSet::new();
    for _ in 0..concurrency.max(1) {
        let (kind, queue, metrics) = (kind.clone(), queue.clone(), metrics.clone());
        let (stop, reconcile, active) = (stop.clone(), reconcile.clone(), active.clone());
        workers.spawn(async move {
            loop {
                let key = tokio::select! {
                    () = stop.cancelled() => return,
                    key = queue.next() => match key { Some(key) => key, None => return },
                };
                let depth = i64::try_from(queue.depth()).unwrap_or(i64::MAX);
                let busy = active.fetch_add(1, Ordering::Relaxed) + 1;
                metrics.workers(kind.controller, busy, max, depth);
                let turn = turn(&kind, &queue, &metrics, key, &reconcile);
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = turn => {}
                }
                let busy = active.fetch_sub(1, Ordering::Relaxed) - 1;
                metrics.workers(kind.controller, busy, max, depth);
            }
        });
    }
    while workers.join_next().await.is_some() {}
}

async fn turn<F, Fut>(
    kind: &Kind,
    queue: &Queue<ObjectKey>,
    metrics: &Metrics,
    key: ObjectKey,
    reconcile: &F,
) where
    F: Fn(ObjectKey) -> Fut,
    Fut: Future<Output = Next>,
{
    let id = format!("{:016x}", fastrand::u64(..));
    let span = tracing::info_span!(
        "reconcile",
        controller = kind.controller,
        controllerGroup = kind.group,
        controllerKind = kind.kind,
        name = key.name,
        namespace = key.namespace,
        reconcileID = id,
    );
    let started = Instant::now();
    let outcome = AssertUnwindSafe(reconcile(key.clone()).instrument(span.clone()))
        .catch_unwind()
        .await;
    let labels = ObjectLabels {
        kind: kind.kind.to_owned(),
        name: key.name.clone(),
        namespace: key.namespace.clone(),
    };
    let next = outcome.unwrap_or_else(|panic| Next::Failed(panic_text(panic.as_ref())));
    match next {
        Next::Gone => metrics.forget_object(&labels),
        _ => metrics.observe_reconcile(&labels, started.elapsed()),
    }
    let result = match next {
        Next::Wait | Next::Gone => {
            queue.forget(&key);
            "success"
        }
        Next::After(delay) => {
            queue.forget(&key);
            queue.add_after(key.clone(), delay);
            "requeue_after"
        }
        Next::Soon => {
            queue.add_failed(key.clone());
            "requeue"
        }
        Next::Failed(error) => {
            let _entered = span.enter();
            tracing::error!(error, "Reconciler error");
            queue.add_failed(key.clone());
            "error"
        }
    };
    metrics.count_result(kind.controller, result);
    queue.done(&key);
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    format!("panic: {text} [recovered]")
}

/// `interval` moved by up to `percent` to either side, so that many objects of one interval spread out.
pub fn jittered(interval: Duration, percent: u8) -> Duration {
    let share = f64::from(percent.min(99)) / 100.0;
    interval.mul_f64(1.0 + share * (fastrand::f64() * 2.0 - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::Backoff;

    fn setup() -> (Kind, Arc<Queue<ObjectKey>>, Arc<Metrics>, CancellationToken) {
        let kind = Kind {
            kind: "Kustomization",
            group: "kustomize.toolkit.fluxcd.io",
            controller: "kustomization",
        };
        let backoff = Backoff {
            min: Duration::from_millis(750),
            max: Duration::from_secs(900),
        };
        (
            kind,
            Arc::new(Queue::new(backoff)),
            Arc::default(),
            CancellationToken::new(),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_panicking_object_is_retried_and_delays_no_other() {
        let (kind, queue, metrics, stop) = setup();
        queue.add(ObjectKey::new("apps", "bad"));
        queue.add(ObjectKey::new("apps", "good"));
        let (sender, mut turns) = tokio::sync::mpsc::unbounded_channel();
        let end = stop.clone();
        let work = tokio::spawn(run(kind, queue, 1, metrics, stop, move |key: ObjectKey| {
            let sender = sender.clone();
            async move {
                sender.send(key.name.clone()).expect("test listens");
                assert!(key.name != "bad", "on purpose");
                Next::Wait
            }
        }));
        let mut seen = Vec::new();
        for _ in 0..3 {
            seen.push(turns.recv().await.expect("a turn"));
        }
        assert_eq!(seen, ["bad", "good", "bad"]);
        end.cancel();
        work.await.expect("ends cleanly");
    }

    #[test]
    fn jitter_stays_within_its_share() {
        for _ in 0..1000 {
            let delay = jittered(Duration::from_secs(100), 5).as_secs_f64();
            assert!((95.0..=105.0).contains(&delay));
        }
        assert_eq!(
            jittered(Duration::from_secs(60), 0),
            Duration::from_secs(60)
        );
    }
}
