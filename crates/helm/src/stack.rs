//! Threads with enough stack for what nests deeply.

use std::cell::Cell;

/// Bytes of stack that one level of nesting may take.
const STACK_PER_LEVEL: usize = if cfg!(debug_assertions) {
    24 << 10
} else {
    6 << 10
};

thread_local! {
    /// For how many levels the thread was made.
    static LEVELS: Cell<usize> = const { Cell::new(0) };
}

/// Runs `body` on a thread that has stack for `depth` levels. Only what is used
/// of it takes memory.
///
/// Renderings do so by themselves. A program that renders one chart and ends had
/// better do all of its work inside, reading the chart included: memory that one
/// thread gives back is not used by others.
///
/// # Errors
/// A text: the thread could not start, or panicked.
pub fn on_deep_stack<T: Send>(depth: usize, body: impl FnOnce() -> T + Send) -> Result<T, String> {
    if LEVELS.get() >= depth {
        return Ok(body());
    }
    let size = (4 << 20) + depth * STACK_PER_LEVEL;
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("helm".to_owned())
            .stack_size(size)
            .spawn_scoped(scope, || {
                LEVELS.set(depth);
                body()
            })
            .map_err(|error| format!("cannot start a thread: {error}"))?
            .join()
            .map_err(|_| "a thread of the engine panicked".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_on_a_deep_stack_stays_there() {
        let thread = || std::thread::current().id();
        let (outer, same, deeper) = on_deep_stack(100, || {
            let same = on_deep_stack(100, thread);
            let deeper = on_deep_stack(101, thread);
            (thread(), same.expect("runs"), deeper.expect("runs"))
        })
        .expect("runs");
        assert_ne!(outer, thread());
        assert_eq!(outer, same);
        assert_ne!(outer, deeper);
    }

    #[test]
    fn panics_end_as_errors() {
        let outcome = on_deep_stack(10, || on_deep_stack(10, || panic!("on purpose")));
        assert!(outcome.is_err());
    }
}
