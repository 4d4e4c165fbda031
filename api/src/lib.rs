//! The custom resources that Sluice's controllers share: types, conditions, reasons, keys.
