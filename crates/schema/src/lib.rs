//! Kubernetes object schemas: OpenAPI tables, server-side apply, strategic merge, defaults, validation.
