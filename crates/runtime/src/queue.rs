//! The work queue of a controller: one entry per key, delays, per-key exponential back-off.
//!
//! A key is worked on by at most one worker at a time; an addition that arrives meanwhile is
//! remembered and the key is handed out again afterwards, so no trigger is ever lost. Waiting is a
//! deadline in this queue and holds no worker. The queue is bounded by the number of distinct keys.
//! The behaviour matches the rate-limiting work queue that Flux's controllers use
//! (`--min-retry-delay`, `--max-retry-delay`).

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// Delays of failed work: doubled from `min` for each failure in a row, never above `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Delay after the first failure.
    pub min: Duration,
    /// Upper limit of the delay.
    pub max: Duration,
}

impl Backoff {
    /// The delay after `failures` failures in a row, the first one counted as 0.
    pub fn delay(self, failures: u32) -> Duration {
        let factor = 2u32.checked_pow(failures).unwrap_or(u32::MAX);
        self.min
            .checked_mul(factor)
            .map_or(self.max, |delay| delay.min(self.max))
    }
}

/// A queue of keys; see the module's documentation.
#[derive(Debug)]
pub struct Queue<K> {
    backoff: Backoff,
    state: Mutex<State<K>>,
    changed: Notify,
}

#[derive(Debug)]
struct State<K> {
    /// Keys that can be handed out now, in order of arrival.
    ready: VecDeque<K>,
    /// The same keys, to add each only once.
    queued: HashSet<K>,
    /// Keys with a worker.
    working: HashSet<K>,
    /// Keys that were added while a worker had them.
    again: HashSet<K>,
    /// Keys that wait for a moment; each at most once, with its earliest moment.
    timers: BTreeSet<(Instant, u64)>,
    timer_of: HashMap<K, (Instant, u64)>,
    key_of: HashMap<u64, K>,
    next_timer: u64,
    failures: HashMap<K, u32>,
    closed: bool,
}

impl<K: Clone + Eq + Hash> Queue<K> {
    /// An empty queue.
    pub fn new(backoff: Backoff) -> Self {
        Self {
            backoff,
            state: Mutex::new(State {
                ready: VecDeque::new(),
                queued: HashSet::new(),
                working: HashSet::new(),
                again: HashSet::new(),
                timers: BTreeSet::new(),
                timer_of: HashMap::new(),
                key_of: HashMap::new(),
                next_timer: 0,
                failures: HashMap::new(),
                closed: false,
            }),
            changed: Notify::new(),
        }
    }

    /// Makes `key` due now. A waiting timer of the key is dropped.
    pub fn add(&self, key: K) {
        let mut state = self.lock();
        state.drop_timer(&key);
        state.make_ready(key);
        drop(state);
        self.changed.notify_one();
    }

    /// Makes `key` due after `delay`, or at the moment it is due already if that is earlier.
    pub fn add_after(&self, key: K, delay: Duration) {
        if delay.is_zero() {
            return self.add(key);
        }
        let mut state = self.lock();
        state.set_timer(key, Instant::now() + delay);
        drop(state);
        self.changed.notify_one();
    }

    /// Makes `key` due after its back-off delay, which grows with each call until [`Queue::forget`].
    /// Returns the delay.
    pub fn add_failed(&self, key: K) -> Duration {
        let mut state = self.lock();
        let failures = state.failures.entry(key.clone()).or_insert(0);
        let delay = self.backoff.delay(*failures);
        *failures = failures.saturating_add(1);
        state.set_timer(key, Instant::now() + delay);
        drop(state);
        self.changed.notify_one();
        delay
    }

    /// Resets the back-off of `key`.
    pub fn forget(&self, key: &K) {
        self.lock().failures.remove(key);
    }

    /// How many keys are due and have no worker yet.
    pub fn depth(&self) -> usize {
        self.lock().ready.len()
    }

    /// Waits for a due key and gives it to the caller, who must call [`Queue::done`] afterwards.
    /// `None` once the queue is closed.
    pub async fn next(&self) -> Option<K> {
        loop {
            let deadline = {
                let mut state = self.lock();
                if state.closed {
                    self.changed.notify_one();
                    return None;
                }
                state.ring(Instant::now());
                if let Some(key) = state.ready.pop_front() {
                    state.queued.remove(&key);
                    state.working.insert(key.clone());
                    if !state.ready.is_empty() {
                        self.changed.notify_one();
                    }
                    return Some(key);
                }
                state.timers.first().map(|(at, _)| *at)
            };
            match deadline {
                Some(at) => {
                    let _ = tokio::time::timeout_at(at, self.changed.notified()).await;
                }
                None => self.changed.notified().await,
            }
        }
    }

    /// Ends the work on `key`; it is due again at once if it was added meanwhile.
    pub fn done(&self, key: &K) {
        let mut state = self.lock();
        state.working.remove(key);
        if state.again.remove(key) {
            state.make_ready(key.clone());
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Ends the queue: [`Queue::next`] returns `None` from now on.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl<K: Clone + Eq + Hash> State<K> {
    fn make_ready(&mut self, key: K) {
        if self.working.contains(&key) {
            self.again.insert(key);
        } else if self.queued.insert(key.clone()) {
            self.ready.push_back(key);
        }
    }

    fn set_timer(&mut self, key: K, at: Instant) {
        if let Some((earlier, _)) = self.timer_of.get(&key)
            && *earlier <= at
        {
            return;
        }
        self.drop_timer(&key);
        let timer = self.next_timer;
        self.next_timer += 1;
        self.timers.insert((at, timer));
        self.timer_of.insert(key.clone(), (at, timer));
        self.key_of.insert(timer, key);
    }

    fn drop_timer(&mut self, key: &K) {
        if let Some(entry) = self.timer_of.remove(key) {
            self.timers.remove(&entry);
            self.key_of.remove(&entry.1);
        }
    }

    /// Makes the keys ready whose moment has come.
    fn ring(&mut self, now: Instant) {
        while let Some(entry) = self.timers.first().copied()
            && entry.0 <= now
        {
            self.timers.remove(&entry);
            if let Some(key) = self.key_of.remove(&entry.1) {
                self.timer_of.remove(&key);
                self.make_ready(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff {
        min: Duration::from_millis(750),
        max: Duration::from_secs(900),
    };

    fn queue() -> Queue<&'static str> {
        Queue::new(BACKOFF)
    }

    #[test]
    fn backoff_doubles_up_to_its_limit() {
        let delays: Vec<_> = [0, 1, 2, 10, 11, 40]
            .map(|n| BACKOFF.delay(n).as_millis())
            .into();
        assert_eq!(delays, [750, 1500, 3000, 768_000, 900_000, 900_000]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_is_queued_once() {
        let queue = queue();
        queue.add("a");
        queue.add("a");
        queue.add("b");
        assert_eq!(queue.next().await, Some("a"));
        assert_eq!(queue.next().await, Some("b"));
        assert_eq!(queue.depth(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn an_addition_during_the_work_is_not_lost_and_not_concurrent() {
        let queue = queue();
        queue.add("a");
        let key = queue.next().await.expect("open");
        queue.add("a");
        assert_eq!(queue.depth(), 0);
        queue.done(&key);
        assert_eq!(queue.next().await, Some("a"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_delay_holds_and_the_earliest_moment_wins() {
        let queue = queue();
        let start = Instant::now();
        queue.add_after("a", Duration::from_secs(30));
        queue.add_after("a", Duration::from_secs(10));
        queue.add_after("a", Duration::from_secs(60));
        queue.add_after("b", Duration::from_secs(20));
        assert_eq!(queue.next().await, Some("a"));
        assert_eq!(start.elapsed().as_secs(), 10);
        queue.done(&"a");
        assert_eq!(queue.next().await, Some("b"));
        assert_eq!(start.elapsed().as_secs(), 20);
    }

    #[tokio::test(start_paused = true)]
    async fn an_immediate_addition_replaces_the_timer() {
        let queue = queue();
        queue.add_after("a", Duration::from_secs(30));
        queue.add("a");
        assert_eq!(queue.next().await, Some("a"));
        queue.done(&"a");
        queue.add_after("b", Duration::from_secs(60));
        assert_eq!(queue.next().await, Some("b"), "no second turn for a");
    }

    #[tokio::test(start_paused = true)]
    async fn failures_back_off_until_forgotten() {
        let queue = queue();
        assert_eq!(queue.add_failed("a").as_millis(), 750);
        queue.next().await;
        queue.done(&"a");
        assert_eq!(queue.add_failed("a").as_millis(), 1500);
        queue.forget(&"a");
        assert_eq!(queue.next().await, Some("a"));
        queue.done(&"a");
        assert_eq!(queue.add_failed("a").as_millis(), 750);
    }

    #[tokio::test(start_paused = true)]
    async fn closing_ends_every_worker() {
        let queue = std::sync::Arc::new(queue());
        let waits: Vec<_> = (0..3)
            .map(|_| {
                let queue = queue.clone();
                tokio::spawn(async move { queue.next().await })
            })
            .collect();
        tokio::task::yield_now().await;
        queue.close();
        for wait in waits {
            assert_eq!(wait.await.expect("no panic"), None);
        }
    }
}
