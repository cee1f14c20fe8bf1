//! Instants, and points of a branch's history, as the wire has them.

use crate::error::{ApiError, Code};
use chrono::{DateTime, SecondsFormat, Utc};
use offshoot_engine::{Lsn, Point};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

/// An instant in an answer: RFC 3339 in UTC, truncated to the second, with `Z`.
#[derive(Clone, Copy, ToSchema)]
#[schema(value_type = String, format = DateTime)]
pub(crate) struct Timestamp(DateTime<Utc>);

impl From<DateTime<Utc>> for Timestamp {
    fn from(instant: DateTime<Utc>) -> Timestamp {
        Timestamp(instant)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_rfc3339_opts(SecondsFormat::Secs, true))
    }
}

/// Reads an instant from a request: RFC 3339 with any offset and fraction.
pub(crate) fn parse(field: &str, text: &str) -> Result<DateTime<Utc>, ApiError> {
    DateTime::parse_from_rfc3339(text).map(|instant| instant.to_utc()).map_err(|error| {
        let message = format!("{field} is not a time ({error}); write it as in 2026-01-31T23:59:59Z");
        ApiError::new(Code::TimestampInvalid, message)
    })
}

/// A point of a branch's history, as a request names it: its head unless an LSN or a time is given. `names` are the fields'.
pub(crate) fn point(names: (&str, &str), lsn: Option<&str>, timestamp: Option<&str>) -> Result<Point, ApiError> {
    match (lsn, timestamp) {
        (None, None) => Ok(Point::Head),
        (Some(lsn), None) => lsn.parse::<Lsn>().map(Point::Lsn).map_err(|_| {
            let (name, _) = names;
            let message = format!("{name} {lsn:?} is not an LSN; write it as two hexadecimal numbers, as in 0/16B3748");
            ApiError::new(Code::LsnInvalid, message)
        }),
        (None, Some(timestamp)) => parse(names.1, timestamp).map(Point::Time),
        (Some(_), Some(_)) => {
            let message = format!("both {} and {} are given; give one of them", names.0, names.1);
            Err(ApiError::new(Code::PointAmbiguous, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_shown_truncated_to_the_second() -> Result<(), Box<dyn std::error::Error>> {
        let instant: DateTime<Utc> = "2023-01-04T20:35:48.999999Z".parse()?;
        assert_eq!(serde_json::to_string(&Timestamp::from(instant))?, r#""2023-01-04T20:35:48Z""#);
        Ok(())
    }

    #[test]
    fn offsets_and_fractions_are_read() -> Result<(), Box<dyn std::error::Error>> {
        let expected: DateTime<Utc> = "2023-01-04T20:35:48.250Z".parse()?;
        assert_eq!(parse("parent_timestamp", "2023-01-04T22:35:48.25+02:00").ok(), Some(expected));
        Ok(())
    }

    #[test]
    fn a_time_without_a_zone_or_a_date_is_refused() {
        for text in ["", "yesterday", "2023-01-04", "2023-01-04T20:35:48", "2023-13-04T20:35:48Z"] {
            assert!(parse("parent_timestamp", text).is_err(), "{text:?}");
        }
    }
}
