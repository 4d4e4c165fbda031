//! What needs several rooms at once: scenarios, conversations, faults.
