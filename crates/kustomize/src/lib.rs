//! kustomize build, native: a pure function from files to objects.
