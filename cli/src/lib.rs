//! Sluice, a GitOps toolkit for Kubernetes: the command line.
