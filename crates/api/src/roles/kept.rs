//! Answers about roles that were written for somebody, for the next who asks for the same.

use super::{RoleOnlyBody, RolesBody, bodies};
use crate::session::Written;
use offshoot_catalog::{Error, RoleName, RolesAtHead, RolesVersion};
use quick_cache::{Weighter, sync::Cache};
use serde::Serialize;

/// How much of them is kept, in bytes.
const CAPACITY: u64 = 16 << 20;
/// About how long one is.
const TYPICAL_BYTES: u64 = 1 << 10;

/// A role, or the list of all, at a version of a branch's roles.
type Asked = (RolesVersion, Option<RoleName>);

/// Answers by version. A version never changes, so an answer that is found is never stale; who may see it was found out before, on the way to the
/// version.
pub(crate) struct KeptAnswers(Cache<Asked, Written, Length>);

#[derive(Clone)]
struct Length;

impl Weighter<Asked, Written> for Length {
    fn weight(&self, _: &Asked, answer: &Written) -> u64 {
        // What an answer costs besides its text, so that many short ones are not for free.
        256 + answer.len() as u64
    }
}

impl Default for KeptAnswers {
    fn default() -> KeptAnswers {
        let items = usize::try_from(CAPACITY / TYPICAL_BYTES).unwrap_or_default();
        KeptAnswers(Cache::with_weighter(items, CAPACITY, Length))
    }
}

impl KeptAnswers {
    /// The list of all `roles`.
    pub(super) fn list(&self, roles: RolesAtHead<'_>) -> Result<serde_json::Result<Written>, Error> {
        let asked = (roles.version().clone(), None);
        self.answer(asked, || Ok(RolesBody { roles: bodies(roles.list()?), pagination: None }))
    }

    /// One of `roles`.
    pub(super) fn one(&self, roles: RolesAtHead<'_>, name: &RoleName) -> Result<serde_json::Result<Written>, Error> {
        let asked = (roles.version().clone(), Some(name.clone()));
        self.answer(asked, || Ok(RoleOnlyBody { role: roles.get(name)?.into() }))
    }

    fn answer<B: Serialize>(
        &self,
        asked: Asked,
        body: impl FnOnce() -> Result<B, Error>,
    ) -> Result<serde_json::Result<Written>, Error> {
        if let Some(answer) = self.0.get(&asked) {
            return Ok(Ok(answer));
        }
        let answer = Written::new(&body()?);
        if let Ok(answer) = &answer {
            self.0.insert(asked, answer.clone());
        }
        Ok(answer)
    }
}
