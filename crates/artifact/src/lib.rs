//! Artifacts: reproducible archives, digests, the content-addressed store, its file server, and safe fetching.
