//! The Helm engine: charts, values, rendering, release records.
