//! Points in time as Kubernetes writes them in objects: RFC 3339, UTC, whole
//! seconds. Reading the clock is the caller's business.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A time of day and date with the precision that the API keeps, one second.
///
/// `k8s_openapi`'s own type keeps and writes fractions, which Flux never does
/// and which would make two writes of the same condition differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(Timestamp);

impl Time {
    /// Takes a timestamp and drops its fraction of a second.
    pub fn new(timestamp: Timestamp) -> Self {
        // Whole seconds of a valid timestamp are in range, save for a fraction
        // before the first one, which no clock gives.
        Self(Timestamp::from_second(timestamp.as_second()).unwrap_or(timestamp))
    }

    /// The same time as a `jiff` timestamp.
    pub fn timestamp(self) -> Timestamp {
        self.0
    }
}

impl Default for Time {
    /// The Unix epoch, which stands for "never set" as in an object without it.
    fn default() -> Self {
        Self(Timestamp::UNIX_EPOCH)
    }
}

impl From<Timestamp> for Time {
    fn from(timestamp: Timestamp) -> Self {
        Self::new(timestamp)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0}", self.0)
    }
}

impl FromStr for Time {
    type Err = jiff::Error;

    /// Reads RFC 3339, with any offset; a fraction of a second is dropped.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self::new(text.parse()?))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'_, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Time {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_whole_seconds_of_utc() {
        let cases = [
            ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
            ("2026-01-02T03:04:05.999999999Z", "2026-01-02T03:04:05Z"),
            ("2026-01-02T03:04:05+02:00", "2026-01-02T01:04:05Z"),
        ];
        for (input, output) in cases {
            let time: Time = input.parse().unwrap();
            assert_eq!(serde_json::to_value(time).unwrap(), output, "{input}");
            let back: Time = serde_json::from_value(output.into()).unwrap();
            assert_eq!(back, time);
        }
    }

    #[test]
    fn a_text_that_is_no_time_is_refused() {
        assert!(serde_json::from_value::<Time>("yesterday".into()).is_err());
    }
}
