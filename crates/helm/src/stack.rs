//! Threads with enough stack for what nests deeply.

/// Bytes of stack that one level of nesting may take.
const STACK_PER_LEVEL: usize = if cfg!(debug_assertions) {
    24 << 10
} else {
    6 << 10
};

/// Runs `body` on a thread that has stack for `depth` levels. Only what is used
/// of it takes memory.
///
/// The error is a text: the thread could not start, or panicked.
pub(crate) fn on_deep_stack<T: Send>(
    depth: usize,
    body: impl FnOnce() -> T + Send,
) -> Result<T, String> {
    let size = (4 << 20) + depth * STACK_PER_LEVEL;
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("helm".to_owned())
            .stack_size(size)
            .spawn_scoped(scope, body)
            .map_err(|error| format!("cannot start a thread: {error}"))?
            .join()
            .map_err(|_| "a thread of the engine panicked".to_owned())
    })
}
