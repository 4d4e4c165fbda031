//! Version constraints as Masterminds semver v3 reads them.
