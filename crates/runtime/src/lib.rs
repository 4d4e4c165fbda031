//! What every controller needs once: client, flags, queue, watches, conditions, events, probes, metrics.
