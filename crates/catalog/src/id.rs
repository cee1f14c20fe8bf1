//! Ids: what the parts of a project are called in requests, answers and logs.

mod words;

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    entropy::{Entropy, EntropyError, draw_below, draw_bytes, draw_from},
    error::Error,
};

/// Ids of this form are looked up; any other text names nothing.
const MAX_TEXT_ID_BYTES: usize = 60;

fn is_text_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=MAX_TEXT_ID_BYTES).contains(&text.len()) && text.bytes().all(plain)
}

macro_rules! text_id {
    ($(#[$docs:meta])* $name:ident, $prefix:literal, $not_found:ident) => {
        $(#[$docs])*
        ///
        /// Parsing gives a "not found" error where no such id can exist.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Draws a new id: two words and eight digits.
            pub(crate) fn draw(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
                let adjective = draw_from(entropy, words::ADJECTIVES)?;
                let noun = draw_from(entropy, words::NOUNS)?;
                let digits = draw_below(entropy, 100_000_000)?;
                Ok(Self(format!(concat!($prefix, "{}-{}-{:08}"), adjective, noun, digits)))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                if is_text_id(text) { Ok(Self(text.to_owned())) } else { Err(Error::$not_found { id: text.to_owned() }) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// A project's id, such as `hidden-cell-76330194`.
    ProjectId, "", ProjectNotFound
);
text_id!(
    /// A branch's id, such as `br-blue-tooth-67158003`.
    BranchId, "br-", BranchNotFound
);
text_id!(
    /// An endpoint's id, such as `ep-aged-math-66828504`.
    EndpointId, "ep-", EndpointNotFound
);
text_id!(
    /// A snapshot's id, such as `snap-quiet-river-04417205`.
    SnapshotId, "snap-", SnapshotNotFound
);

macro_rules! number_id {
    ($(#[$docs:meta])* $name:ident) => {
        $(#[$docs])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u64);

        impl $name {
            /// The id with this number.
            pub const fn new(number: u64) -> Self {
                Self(number)
            }

            /// The id's number.
            pub const fn get(self) -> u64 {
                self.0
            }

            /// The id of what a commit at `instant` creates, unless it is taken.
            pub(crate) fn at(instant: DateTime<Utc>) -> Self {
                Self(instant.timestamp_micros().unsigned_abs())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number_id!(
    /// An account's id.
    AccountId
);
number_id!(
    /// An API key's id; it tells nothing of the key's secret.
    ApiKeyId
);

/// An operation's id: a UUID of version 7, so that ids sort by the instant at which operations were scheduled.
///
/// After the milliseconds and the version come the microseconds, after the variant the operation's place among those of
/// the same commit (14 bits), then 48 random bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(Uuid);

impl OperationId {
    /// How many operations one commit can schedule.
    pub(crate) const MAX_PLACES: usize = 1 << 14;
    /// How many leading bytes of an id all operations of one commit share.
    pub(crate) const COMMIT_BYTES: usize = 8;

    /// Draws the id of the operation at `place` among those that a commit schedules.
    pub(crate) fn draw(entropy: &dyn Entropy, instant: DateTime<Utc>, place: u16) -> Result<Self, EntropyError> {
        let mut random = [0; 8];
        random[2..].copy_from_slice(&draw_bytes::<6>(entropy)?);
        let rest = (0b10 << 62) | (u64::from(place & 0x3fff) << 48) | u64::from_be_bytes(random);
        Ok(Self(Uuid::from_u64_pair(Self::commit_part(instant), rest)))
    }

    /// An id that comes right before all that are drawn at an instant or later, and after all others.
    pub(crate) fn first_at(instant: DateTime<Utc>) -> Self {
        Self(Uuid::from_u64_pair(Self::commit_part(instant), 0))
    }

    fn commit_part(instant: DateTime<Utc>) -> u64 {
        let micros = instant.timestamp_micros().unsigned_abs();
        ((micros / 1000) << 16) | 0x7000 | (micros % 1000)
    }

    /// The id with these bytes.
    pub(crate) fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The id's bytes, in the order of scheduling.
    pub(crate) fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The leading bytes, which the operations of the same commit share, and no others.
    pub(crate) fn commit(&self) -> [u8; Self::COMMIT_BYTES] {
        self.0.as_u64_pair().0.to_be_bytes()
    }

    /// When the operation was scheduled.
    pub(crate) fn instant(&self) -> DateTime<Utc> {
        let commit = self.0.as_u64_pair().0;
        let micros = (commit >> 16) * 1000 + (commit & 0x0fff);
        // 48 bits of milliseconds always fit, and lie within what a date can be.
        i64::try_from(micros).ok().and_then(DateTime::from_timestamp_micros).unwrap_or_default()
    }

    /// The id as a UUID.
    pub fn as_uuid(&self) -> &Uuid {
        &self.0
    }
}

impl FromStr for OperationId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Uuid::try_parse(text).map(Self).map_err(|_| Error::OperationNotFound { id: text.to_owned() })
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::SeededEntropy;

    #[test]
    fn ids_look_like_neons() -> Result<(), Error> {
        let entropy = SeededEntropy::new(7);
        for _ in 0..1000 {
            let project = ProjectId::draw(&entropy)?;
            assert_eq!(project.as_str().split('-').count(), 3);
            let branch = BranchId::draw(&entropy)?;
            let after_prefix = branch.as_str().strip_prefix("br-").map(|rest| rest.split('-').collect::<Vec<_>>());
            assert!(matches!(after_prefix.as_deref(), Some([_, _, digits]) if digits.len() == 8));
            assert!(EndpointId::draw(&entropy)?.as_str().starts_with("ep-"));
            assert_eq!(branch.as_str().parse::<BranchId>()?, branch);
        }
        Ok(())
    }

    #[test]
    fn a_text_that_cannot_be_an_id_is_not_found() {
        for text in ["", "A", "a b", "a/b", "é", "a\0", &"a".repeat(61)] {
            assert!(matches!(text.parse::<ProjectId>(), Err(Error::ProjectNotFound { id }) if id == text));
            assert!(matches!(text.parse::<OperationId>(), Err(Error::OperationNotFound { .. })));
        }
    }

    #[test]
    fn operation_ids_sort_by_instant_then_place_and_are_version_7() -> Result<(), Error> {
        let entropy = SeededEntropy::new(7);
        let at = |micros| DateTime::from_timestamp_micros(micros).unwrap();
        let mut last = OperationId::draw(&entropy, at(1_700_000_000_000_000), 0)?;
        for (micros, place) in [(1_700_000_000_000_000, 1), (1_700_000_000_000_999, 0), (1_700_000_000_001_000, 16_383)]
        {
            let next = OperationId::draw(&entropy, at(micros), place)?;
            assert!(next > last);
            assert!(
                OperationId::first_at(at(micros)) < next && (place > 0 || OperationId::first_at(at(micros)) > last)
            );
            assert_eq!(next.instant(), at(micros));
            assert_eq!((next.as_uuid().get_version_num(), next.as_uuid().get_variant()), (7, uuid::Variant::RFC4122));
            last = next;
        }
        Ok(())
    }
}
