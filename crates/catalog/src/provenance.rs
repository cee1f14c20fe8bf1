//! Who made a version, and what for.

use crate::{
    catalog::Caller,
    codec::{self, ProvenanceRecord},
    error::{Error, Result},
    id::{AccountId, ApiKeyId},
};

/// The record's fields besides the texts take at most 32 bytes; with these limits it fits a version's metadata of 256
/// bytes.
pub(crate) const MAX_REQUEST_BYTES: usize = 64;
const MAX_ACTION_BYTES: usize = 160;

/// Who made a version, and what for, as its metadata tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// The account that asked for it.
    pub account: AccountId,
    /// The API key that was used, if any.
    pub key: Option<ApiKeyId>,
    /// The id of the request, if it had one.
    pub request: Option<String>,
    /// What was done to what, such as `role_create sally`; cut off where it is long.
    pub action: String,
}

impl Provenance {
    pub(crate) fn new(caller: &Caller, action: &str, subject: &str) -> Self {
        let action = clipped(&format!("{action} {subject}"), MAX_ACTION_BYTES).to_owned();
        let request = caller.request.as_deref().map(|request| clipped(request, MAX_REQUEST_BYTES).to_owned());
        Self { account: caller.account, key: caller.key, request, action }
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        let Self { account, key, request, action } = self.clone();
        codec::encode(&ProvenanceRecord { account, key, request, action }).map_err(unreadable)
    }

    /// Reads a version's metadata.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when the catalog didn't write it.
    pub fn decode(metadata: &[u8]) -> Result<Self> {
        let ProvenanceRecord { account, key, request, action } = codec::decode(metadata).map_err(unreadable)?;
        Ok(Self { account, key, request, action })
    }
}

fn unreadable(reason: String) -> Error {
    Error::Corrupt { table: "versions", key: "metadata".to_owned(), reason }
}

/// The longest beginning of `text` that is whole characters and at most `bytes` long.
pub(crate) fn clipped(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_provenance_fits_a_versions_metadata() -> Result<()> {
        let caller = Caller {
            account: AccountId::new(u64::MAX),
            key: Some(ApiKeyId::new(u64::MAX)),
            request: Some("é".repeat(500)),
        };
        let provenance = Provenance::new(&caller, "role_create", &"é".repeat(500));
        let metadata = provenance.encode()?;
        assert!(metadata.len() <= offshoot_engine::MAX_METADATA_BYTES, "{} bytes", metadata.len());
        assert_eq!(Provenance::decode(&metadata)?, provenance);
        Ok(())
    }

    #[test]
    fn metadata_of_others_is_an_error() {
        assert!(matches!(Provenance::decode(b"someone"), Err(Error::Corrupt { .. })));
        assert!(matches!(Provenance::decode(b""), Err(Error::Corrupt { .. })));
    }
}
