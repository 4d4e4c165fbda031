//! YAML as the Kubernetes tools read and write it.
