//! Log sequence numbers.

use std::{fmt, str::FromStr};

/// A log sequence number: a position in a branch's history, strictly increasing along a lineage.
///
/// Printed and parsed as PostgreSQL does: two hexadecimal halves of 32 bits, `0/16B3748`.
///
/// ```
/// use offshoot_engine::Lsn;
///
/// let lsn: Lsn = "0/16B3748".parse()?;
/// assert_eq!(lsn, Lsn::new(0x16B_3748));
/// assert_eq!(lsn.to_string(), "0/16B3748");
/// # Ok::<(), offshoot_engine::ParseLsnError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(u64);

impl Lsn {
    /// The LSN at this byte position.
    pub const fn new(position: u64) -> Self {
        Self(position)
    }

    /// This LSN's byte position.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The LSN that follows, or `None` after the last one.
    pub const fn checked_next(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(next) => Some(Self(next)),
            None => None,
        }
    }
}

impl Lsn {
    /// The LSN before, or `None` before the first one.
    pub(crate) const fn checked_before(self) -> Option<Self> {
        match self.0.checked_sub(1) {
            Some(before) => Some(Self(before)),
            None => None,
        }
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & u64::from(u32::MAX))
    }
}

impl fmt::Debug for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not an LSN.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed LSN: expected two hexadecimal numbers of 1 to 8 digits with a slash between, such as 0/16B3748")]
pub struct ParseLsnError;

impl FromStr for Lsn {
    type Err = ParseLsnError;

    fn from_str(text: &str) -> Result<Self, ParseLsnError> {
        let (high, low) = text.split_once('/').ok_or(ParseLsnError)?;
        Ok(Self(u64::from(half(high)?) << 32 | u64::from(half(low)?)))
    }
}

fn half(digits: &str) -> Result<u32, ParseLsnError> {
    // `from_str_radix` alone would take a sign.
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(ParseLsnError);
    }
    u32::from_str_radix(digits, 16).map_err(|_| ParseLsnError)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn malformed_text_is_refused() {
        for text in
            ["", "/", "0", "0/", "/0", "0/0/0", "123456789/0", "0/123456789", "+1/0", "0/-1", "0/G", " 0/0", "0/0 "]
        {
            assert_eq!(text.parse::<Lsn>(), Err(ParseLsnError), "{text:?}");
        }
    }

    #[test]
    fn lower_case_and_leading_zeroes_are_read() {
        assert_eq!("0000000a/00ff".parse(), Ok(Lsn::new(0xA_0000_00FF)));
    }

    proptest! {
        #[test]
        fn text_round_trips(position: u64) {
            let lsn = Lsn::new(position);
            prop_assert_eq!(lsn.to_string().parse(), Ok(lsn));
        }
    }
}
