//! What every reconciled kind of this controller shares: how a pass ends, how conditions are drafted
//! and summed up, and how its events look. Pure.

pub mod conditions;
pub mod failure;
pub mod note;
