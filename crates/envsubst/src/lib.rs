//! Variable substitution in manifests, as Flux's postBuild does it.
