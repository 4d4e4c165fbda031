//! Clusters behind a kubeconfig.
