//! Feature gates: `--feature-gates=A=true,B=false`.

use std::collections::BTreeMap;

/// The gates that a controller knows, with their values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureGates(BTreeMap<&'static str, bool>);

/// Why a `--feature-gates` value was refused. Controllers exit on it, as Flux's do.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum GateError {
    /// The entry has no `=`.
    #[error("missing bool value for feature gate `{0}`")]
    NoValue(String),
    /// The value is neither true nor false.
    #[error("invalid value of feature gate `{name}`: `{value}`, use true or false")]
    NotBool {
        /// Name of the gate.
        name: String,
        /// What was given.
        value: String,
    },
    /// The controller has no such gate.
    #[error("feature-gate `{name}` not supported, the gates are {known}")]
    Unknown {
        /// Name given.
        name: String,
        /// The gates there are.
        known: String,
    },
}

impl FeatureGates {
    /// Reads `text` over the given defaults.
    ///
    /// # Errors
    /// An entry that is not `name=bool` or names an unknown gate.
    pub fn parse(defaults: &[(&'static str, bool)], text: &str) -> Result<Self, GateError> {
        let mut gates: BTreeMap<_, _> = defaults.iter().copied().collect();
        for entry in text.split(',').map(str::trim).filter(|e| !e.is_empty()) {
            let (name, value) = entry
                .split_once('=')
                .ok_or_else(|| GateError::NoValue(entry.to_owned()))?;
            let value = match value.trim() {
                "true" | "True" | "TRUE" | "t" | "T" | "1" => true,
                "false" | "False" | "FALSE" | "f" | "F" | "0" => false,
                other => {
                    return Err(GateError::NotBool {
                        name: name.to_owned(),
                        value: other.to_owned(),
                    });
                }
            };
            let Some(gate) = gates.get_mut(name.trim()) else {
                return Err(GateError::Unknown {
                    name: name.trim().to_owned(),
                    known: gates.keys().copied().collect::<Vec<_>>().join(", "),
                });
            };
            *gate = value;
        }
        Ok(Self(gates))
    }

    /// Whether the gate is on; a gate that the controller does not have is off.
    pub fn enabled(&self, name: &str) -> bool {
        self.0.get(name).copied().unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULTS: &[(&str, bool)] = &[("Additive", false), ("Strict", true)];

    #[test]
    fn defaults_hold_until_overridden() {
        let gates = FeatureGates::parse(DEFAULTS, "").expect("empty");
        assert!(!gates.enabled("Additive"));
        assert!(gates.enabled("Strict"));
        let gates = FeatureGates::parse(DEFAULTS, "Additive=true, Strict=false").expect("valid");
        assert!(gates.enabled("Additive"));
        assert!(!gates.enabled("Strict"));
    }

    #[test]
    fn bad_entries_are_refused_with_the_reason() {
        let refused = |text| {
            FeatureGates::parse(DEFAULTS, text)
                .expect_err("refused")
                .to_string()
        };
        assert_eq!(
            refused("Additive"),
            "missing bool value for feature gate `Additive`"
        );
        assert_eq!(
            refused("Strict=maybe"),
            "invalid value of feature gate `Strict`: `maybe`, use true or false"
        );
        assert_eq!(
            refused("Nope=true"),
            "feature-gate `Nope` not supported, the gates are Additive, Strict"
        );
    }
}
