//! Git sources over our own HTTPS and SSH transports.
