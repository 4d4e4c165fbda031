//! Builds, applies, prunes and health-checks what Kustomizations describe.
