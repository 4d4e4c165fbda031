//! Object sets: identity, staging, normalisation, drift, inventory, health.
