//! Texts by name, kept as they were given.

use std::collections::BTreeMap;

use crate::error::{Error, Result};

/// Texts by name that the catalog keeps and doesn't interpret: the settings of projects and endpoints, each of which is
/// a JSON text for an API to read, and annotations of branches.
///
/// At most 50 entries, and 8 KiB in all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextMap(BTreeMap<String, String>);

const MAX_ENTRIES: usize = 50;
const MAX_BYTES: usize = 8 * 1024;

impl TextMap {
    /// Checks that the texts can be kept.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] where they are too many or too long.
    pub fn new(texts: impl IntoIterator<Item = (String, String)>) -> Result<Self> {
        let map: BTreeMap<String, String> = texts.into_iter().collect();
        let refuse = |field, given: usize, allowed| {
            Err(Error::OutOfRange { field, given: i64::try_from(given).unwrap_or(i64::MAX), allowed })
        };
        if map.len() > MAX_ENTRIES {
            return refuse("the number of settings or annotations", map.len(), "0 to 50");
        }
        let bytes = map.iter().map(|(name, text)| name.len() + text.len()).sum();
        if bytes > MAX_BYTES {
            return refuse("the length of all settings or annotations in bytes", bytes, "0 to 8192");
        }
        Ok(Self(map))
    }

    /// These texts with those of `changes` in their place, or added to them.
    ///
    /// # Errors
    ///
    /// As of [`TextMap::new`].
    pub fn merged(&self, changes: &Self) -> Result<Self> {
        Self::new(self.0.clone().into_iter().chain(changes.0.clone()))
    }

    /// The texts by name.
    pub fn as_map(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(count: usize, length: usize) -> Result<TextMap> {
        TextMap::new((0..count).map(|number| (number.to_string(), "x".repeat(length))))
    }

    #[test]
    fn a_map_is_bounded_in_number_and_in_bytes() -> Result<()> {
        texts(50, 100)?;
        assert!(matches!(texts(51, 1), Err(Error::OutOfRange { given: 51, .. })));
        assert!(matches!(texts(1, 8192), Err(Error::OutOfRange { given: 8193, .. })));
        Ok(())
    }

    #[test]
    fn a_change_replaces_what_has_its_name_and_keeps_the_rest() -> Result<()> {
        let map = |texts: &[(&str, &str)]| {
            TextMap::new(texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())))
        };
        let merged = map(&[("a", "1"), ("b", "2")])?.merged(&map(&[("b", "3"), ("c", "4")])?)?;
        assert_eq!(merged, map(&[("a", "1"), ("b", "3"), ("c", "4")])?);
        Ok(())
    }
}
