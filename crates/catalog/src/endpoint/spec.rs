//! What an endpoint is to be: as asked for, or by default.

use offshoot_engine::{NamespaceId, Transaction};

use super::{ComputeState, Endpoint, EndpointKind};
use crate::{
    catalog::{Catalog, FoundProject, draw_free, now},
    codec::{EndpointDefaultsRecord, EndpointIdRecord, EndpointRecord},
    error::{Error, Result},
    id::{BranchId, EndpointId},
    name::EndpointName,
    tables::{pair, project, system},
    text_map::TextMap,
    units::ComputeUnits,
};

/// An endpoint to be created. What isn't given is as the project's [defaults](EndpointDefaults) say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSpec {
    /// What it can do.
    pub kind: EndpointKind,
    /// What people call it.
    pub name: Option<EndpointName>,
    /// After how many seconds without use its compute is suspended: 60 to 604800, 0 for the default, -1 for never. The
    /// default where none is given.
    pub suspend_timeout_seconds: Option<i64>,
    /// How small its compute may get; one unit where nothing says otherwise.
    pub min_cu: Option<ComputeUnits>,
    /// How large its compute may get; one unit, or the smallest size where that is larger.
    pub max_cu: Option<ComputeUnits>,
    /// Whether its compute is kept from being started.
    pub disabled: bool,
    /// Whether connections go through a pooler unless they ask for something else.
    pub pooler_enabled: bool,
    /// Whether it may be reached without a password, where a proxy offers that.
    pub passwordless_access: bool,
    /// Settings by name, kept as they are.
    pub settings: TextMap,
}

impl EndpointSpec {
    /// An endpoint of this kind, with all else as it is by default.
    pub fn new(kind: EndpointKind) -> Self {
        Self {
            kind,
            name: None,
            suspend_timeout_seconds: None,
            min_cu: None,
            max_cu: None,
            disabled: false,
            pooler_enabled: false,
            passwordless_access: true,
            settings: TextMap::default(),
        }
    }
}

/// What a project's new endpoints get where the request says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointDefaults {
    /// The suspend timeout: see [`EndpointSpec`].
    pub suspend_timeout_seconds: Option<i64>,
    /// How small their computes may get.
    pub min_cu: Option<ComputeUnits>,
    /// How large their computes may get.
    pub max_cu: Option<ComputeUnits>,
    /// Settings by name, kept as they are.
    pub settings: TextMap,
}

impl EndpointDefaults {
    pub(crate) fn check(&self) -> Result<()> {
        check_suspend_timeout(self.suspend_timeout_seconds)?;
        sizes(self.min_cu, self.max_cu).map(drop)
    }

    /// These with those of `changes` in their place.
    pub(crate) fn merged(self, changes: Self) -> Result<Self> {
        Ok(Self {
            suspend_timeout_seconds: changes.suspend_timeout_seconds.or(self.suspend_timeout_seconds),
            min_cu: changes.min_cu.or(self.min_cu),
            max_cu: changes.max_cu.or(self.max_cu),
            settings: self.settings.merged(&changes.settings)?,
        })
    }
}

impl From<EndpointDefaultsRecord> for EndpointDefaults {
    fn from(record: EndpointDefaultsRecord) -> Self {
        let EndpointDefaultsRecord { suspend_timeout_seconds, min_cu, max_cu, settings } = record;
        Self { suspend_timeout_seconds, min_cu, max_cu, settings }
    }
}

impl From<EndpointDefaults> for EndpointDefaultsRecord {
    fn from(defaults: EndpointDefaults) -> Self {
        let EndpointDefaults { suspend_timeout_seconds, min_cu, max_cu, settings } = defaults;
        Self { suspend_timeout_seconds, min_cu, max_cu, settings }
    }
}

/// How many endpoints one request can create.
const MAX_SPECS: usize = 32;

impl EndpointSpec {
    /// Refuses what can't be created together on one branch.
    pub(crate) fn check(specs: &[Self]) -> Result<()> {
        if specs.len() > MAX_SPECS {
            let given = i64::try_from(specs.len()).unwrap_or(i64::MAX);
            return Err(Error::OutOfRange { field: "the number of endpoints", given, allowed: "0 to 32" });
        }
        for spec in specs {
            check_suspend_timeout(spec.suspend_timeout_seconds)?;
        }
        if specs.iter().filter(|spec| spec.kind == EndpointKind::ReadWrite).count() > 1 {
            return Err(Error::EndpointAlreadyExists);
        }
        Ok(())
    }

    /// The record of a new endpoint at `place` among those of the same commit.
    fn record(&self, tx: &Transaction<'_>, place: u16, defaults: &EndpointDefaultsRecord) -> Result<EndpointRecord> {
        let timeout = self.suspend_timeout_seconds.or(defaults.suspend_timeout_seconds);
        let (min_cu, max_cu) = sizes(self.min_cu.or(defaults.min_cu), self.max_cu.or(defaults.max_cu))?;
        Ok(EndpointRecord {
            place,
            kind: self.kind,
            state: ComputeState::Init,
            suspend_timeout_seconds: timeout.unwrap_or(0),
            created_at: now(tx),
            updated_at: now(tx),
            name: self.name.clone(),
            min_cu,
            max_cu,
            disabled: self.disabled,
            pooler_enabled: self.pooler_enabled,
            passwordless_access: self.passwordless_access,
            settings: defaults.settings.merged(&self.settings)?,
            pending_state: (!self.disabled).then_some(ComputeState::Active),
            started_at: None,
            suspended_at: None,
        })
    }
}

pub(super) fn check_suspend_timeout(given: Option<i64>) -> Result<()> {
    let given = given.unwrap_or(0);
    if matches!(given, -1 | 0 | 60..=604_800) {
        return Ok(());
    }
    Err(Error::OutOfRange { field: "suspend_timeout_seconds", given, allowed: "-1, 0 or 60 to 604800" })
}

/// The smallest and the largest size where one of them may be missing.
pub(super) fn sizes(min: Option<ComputeUnits>, max: Option<ComputeUnits>) -> Result<(ComputeUnits, ComputeUnits)> {
    let one = ComputeUnits::ONE;
    let (min, max) = match (min, max) {
        (Some(min), Some(max)) => (min, max),
        (Some(min), None) => (min, one.max(min)),
        (None, Some(max)) => (one.min(max), max),
        (None, None) => (one, one),
    };
    if min > max { Err(Error::ComputeLimitsReversed { min, max }) } else { Ok((min, max)) }
}

impl Catalog {
    /// Creates endpoints of a branch.
    pub(crate) fn endpoints_create(
        &self,
        tx: &mut Transaction<'_>,
        project: &FoundProject,
        branch: &BranchId,
        specs: &[EndpointSpec],
    ) -> Result<Vec<Endpoint>> {
        let create = |(place, spec): (u16, &EndpointSpec)| {
            let taken = |id: &EndpointId, tx: &mut Transaction<'_>| {
                Ok(system::ENDPOINT_IDS.get(tx, NamespaceId::SYSTEM, id.as_str().as_bytes())?.is_some())
            };
            let id = draw_free(|| Ok(EndpointId::draw(self.entropy())?), |id| taken(id, tx))?;
            let record = spec.record(tx, place, &project.record.endpoint_defaults)?;
            project::ENDPOINTS.put(tx, project.namespace(), &pair(branch.as_str(), id.as_str()), &record)?;
            let place = EndpointIdRecord { project: project.id.clone(), branch: branch.clone() };
            system::ENDPOINT_IDS.put(tx, NamespaceId::SYSTEM, id.as_str().as_bytes(), &place)?;
            let port = self.port_draw(tx, &id)?;
            Ok(Endpoint::from_record(id, &project.id, branch, &record, port))
        };
        (0..).zip(specs).map(create).collect()
    }
}
