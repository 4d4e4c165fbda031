//! Waiting for conditions.

use std::time::{Duration, Instant};

/// Longest wait for a condition. A wait that takes this long has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Asks again and again until `look` succeeds.
///
/// # Errors
/// It has not succeeded within [`PATIENCE`]; says why the last try failed.
pub async fn eventually<T, F, Fut>(what: &str, look: F) -> anyhow::Result<T>
where
    F: Fn() -> Fut,
    Fut: Future<Output = anyhow::Result<T>>,
{
    let started = Instant::now();
    // A poll, not a wait for a fixed time: conditions of two API servers have no common signal.
    let mut pause = tokio::time::interval(Duration::from_millis(20));
    loop {
        pause.tick().await;
        match look().await {
            Ok(found) => return Ok(found),
            Err(error) if started.elapsed() > PATIENCE => {
                return Err(error.context(format!("waited in vain for {what}")));
            }
            Err(_) => {}
        }
    }
}
