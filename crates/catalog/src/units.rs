//! Sizes of computes.

use std::fmt;

use crate::error::{Error, Result};

/// How large a compute is, in compute units: 0.25 to 224, in steps of 0.25.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ComputeUnits(u16);

const MAX_QUARTERS: u16 = 224 * 4;

impl ComputeUnits {
    /// One compute unit.
    pub const ONE: Self = Self(4);

    /// The size of this many units.
    ///
    /// # Errors
    ///
    /// [`Error::ComputeUnitsInvalid`] for a number that is no size.
    pub fn new(units: f64) -> Result<Self> {
        let quarters = (1..=MAX_QUARTERS).find(|quarters| f64::from(*quarters) == units * 4.0);
        quarters.map(Self).ok_or(Error::ComputeUnitsInvalid { given: units })
    }

    pub(crate) fn from_quarters(quarters: u16) -> Option<Self> {
        (1..=MAX_QUARTERS).contains(&quarters).then_some(Self(quarters))
    }

    pub(crate) fn quarters(self) -> u16 {
        self.0
    }

    /// The size in units.
    pub fn get(self) -> f64 {
        f64::from(self.0) / 4.0
    }
}

impl fmt::Display for ComputeUnits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_come_in_quarters() -> Result<()> {
        for units in [0.25, 0.5, 1.0, 7.75, 224.0] {
            assert_eq!(ComputeUnits::new(units)?.get(), units);
        }
        for units in [0.0, -1.0, 0.3, 224.25, f64::NAN, f64::INFINITY] {
            assert!(matches!(ComputeUnits::new(units), Err(Error::ComputeUnitsInvalid { .. })), "{units}");
        }
        assert_eq!(ComputeUnits::new(0.25)?.to_string(), "0.25");
        Ok(())
    }
}
