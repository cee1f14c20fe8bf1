//! Lists of roles that were written for somebody, for the next who asks for the same.

use super::{RolesBody, bodies};
use crate::session::Written;
use offshoot_catalog::{Error, RolesAtHead, RolesVersion};
use quick_cache::{Weighter, sync::Cache};

/// How much of them is kept, in bytes.
const CAPACITY: u64 = 16 << 20;
/// About how long one is.
const TYPICAL_BYTES: u64 = 4 << 10;

/// Whole lists, by the version of the roles. A version never changes, so a list that is found is never stale; who may see it was
/// found out before, on the way to the version.
pub(crate) struct RoleLists(Cache<RolesVersion, Written, Length>);

#[derive(Clone)]
struct Length;

impl Weighter<RolesVersion, Written> for Length {
    fn weight(&self, _: &RolesVersion, list: &Written) -> u64 {
        // What a list costs besides its text, so that many short ones are not for free.
        256 + list.len() as u64
    }
}

impl Default for RoleLists {
    fn default() -> RoleLists {
        let items = usize::try_from(CAPACITY / TYPICAL_BYTES).unwrap_or_default();
        RoleLists(Cache::with_weighter(items, CAPACITY, Length))
    }
}

impl RoleLists {
    /// The list of all `roles`.
    pub(super) fn show(&self, roles: RolesAtHead<'_>) -> Result<serde_json::Result<Written>, Error> {
        if let Some(list) = self.0.get(roles.version()) {
            return Ok(Ok(list));
        }
        let version = roles.version().clone();
        let list = Written::new(&RolesBody { roles: bodies(roles.list()?), pagination: None });
        if let Ok(list) = &list {
            self.0.insert(version, list.clone());
        }
        Ok(list)
    }
}
