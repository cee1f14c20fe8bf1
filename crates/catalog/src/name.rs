//! Names that people choose, checked once.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use thiserror::Error;

/// What a name names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NameKind {
    /// An account.
    Account,
    /// An API key.
    ApiKey,
    /// A project.
    Project,
    /// A branch.
    Branch,
    /// A role.
    Role,
    /// A database.
    Database,
    /// An endpoint.
    Endpoint,
    /// A snapshot.
    Snapshot,
}

impl fmt::Display for NameKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Account => "account",
            Self::ApiKey => "API key",
            Self::Project => "project",
            Self::Branch => "branch",
            Self::Role => "role",
            Self::Database => "database",
            Self::Endpoint => "endpoint",
            Self::Snapshot => "snapshot",
        })
    }
}

/// What a name's length is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LengthUnit {
    /// Bytes of UTF-8.
    Bytes,
    /// Unicode characters.
    Characters,
}

impl fmt::Display for LengthUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bytes => "bytes",
            Self::Characters => "characters",
        })
    }
}

/// Why a name is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NameError {
    /// The name has no characters.
    #[error("the {kind} name is empty; give it 1 to {limit} {unit}")]
    Empty {
        /// What it should have named.
        kind: NameKind,
        /// The greatest length.
        limit: usize,
        /// What lengths are counted in.
        unit: LengthUnit,
    },
    /// The name is too long.
    #[error("the {kind} name has {length} {unit}, and at most {limit} {unit} are allowed")]
    TooLong {
        /// What it should have named.
        kind: NameKind,
        /// The name's length.
        length: usize,
        /// The greatest length.
        limit: usize,
        /// What lengths are counted in.
        unit: LengthUnit,
    },
    /// The name contains the character NUL.
    #[error("the {kind} name contains a NUL character; leave it out")]
    Nul {
        /// What it should have named.
        kind: NameKind,
    },
    /// The system keeps the name for itself.
    #[error("the {kind} name {name:?} is reserved ({rule}); choose another")]
    Reserved {
        /// What it should have named.
        kind: NameKind,
        /// The name.
        name: String,
        /// Which names are reserved.
        rule: &'static str,
    },
}

impl NameError {
    /// What the name should have named.
    pub fn kind(&self) -> NameKind {
        match self {
            Self::Empty { kind, .. }
            | Self::TooLong { kind, .. }
            | Self::Nul { kind }
            | Self::Reserved { kind, .. } => *kind,
        }
    }
}

fn check(kind: NameKind, unit: LengthUnit, limit: usize, text: &str) -> Result<(), NameError> {
    let length = match unit {
        LengthUnit::Bytes => text.len(),
        LengthUnit::Characters => text.chars().count(),
    };
    if length == 0 {
        return Err(NameError::Empty { kind, limit, unit });
    }
    if length > limit {
        return Err(NameError::TooLong { kind, length, limit, unit });
    }
    if text.contains('\0') {
        return Err(NameError::Nul { kind });
    }
    Ok(())
}

macro_rules! name {
    ($(#[$docs:meta])* $name:ident, $limit:literal $unit:ident, $kind:ident) => {
        $(#[$docs])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Checks `text` and makes it a name.
            ///
            /// # Errors
            ///
            /// [`NameError`] when it is empty, too long or contains a NUL.
            pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
                let text = text.into();
                check(NameKind::$kind, LengthUnit::$unit, $limit, &text)?;
                Ok(Self(text))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// An account's name: 1 to 256 characters.
    AccountName, 256 Characters, Account
);
name!(
    /// An API key's name, which says what it is for: 1 to 64 characters.
    KeyName, 64 Characters, ApiKey
);
name!(
    /// A project's name: 1 to 256 characters. Several projects may have the same.
    ProjectName, 256 Characters, Project
);
name!(
    /// A branch's name: 1 to 256 characters, unique in its project.
    BranchName, 256 Characters, Branch
);
name!(
    /// A role's name: 1 to 63 bytes of UTF-8, unique on its branch, case-sensitive.
    ///
    /// Names that the system keeps for itself can be looked up, but not created.
    RoleName, 63 Bytes, Role
);
name!(
    /// A database's name: 1 to 63 bytes of UTF-8, unique on its branch, case-sensitive.
    ///
    /// Names that the system keeps for itself can be looked up, but not created.
    DatabaseName, 63 Bytes, Database
);
name!(
    /// An endpoint's name: 1 to 64 characters. Several endpoints may have the same.
    EndpointName, 64 Characters, Endpoint
);
name!(
    /// A snapshot's name: 1 to 256 characters. Several snapshots may have the same.
    SnapshotName, 256 Characters, Snapshot
);

const RESERVED_ROLES: &[&str] = &[
    "neon_superuser",
    "cloud_admin",
    "zenith_admin",
    "public",
    "none",
    "postgres",
    "web_access",
    "neon_service",
    "neon_auth",
];
const RESERVED_ROLE_PREFIXES: &[&str] = &["pg_", "databricks_"];
const RESERVED_DATABASES: &[&str] = &["postgres", "template0", "template1"];

impl RoleName {
    /// The system role that every branch has.
    pub fn web_access() -> Self {
        Self("web_access".to_owned())
    }

    /// The group whose members the roles of branches are, unless an operator names another.
    pub fn neon_superuser() -> Self {
        Self("neon_superuser".to_owned())
    }

    /// Refuses names that nobody may create.
    pub(crate) fn check_not_reserved(&self) -> Result<(), NameError> {
        let reserved = RESERVED_ROLES.contains(&self.as_str())
            || RESERVED_ROLE_PREFIXES.iter().any(|prefix| self.as_str().starts_with(prefix));
        if !reserved {
            return Ok(());
        }
        Err(NameError::Reserved {
            kind: NameKind::Role,
            name: self.0.clone(),
            rule: "names that begin with pg_ or databricks_, and neon_superuser, cloud_admin, zenith_admin, public, none, postgres, \
                   web_access, neon_service and neon_auth, belong to the system",
        })
    }

    /// The default role of a new project: named after the account, or where that can't be, after its database.
    pub(crate) fn default_for(account: &AccountName, database: &DatabaseName) -> Self {
        const SUFFIX: &str = "_owner";
        let mut end = database.as_str().len().min(63 - SUFFIX.len());
        while !database.as_str().is_char_boundary(end) {
            end -= 1;
        }
        let candidates = [account.as_str().to_owned(), format!("{}{SUFFIX}", &database.as_str()[..end])];
        let fits = |text| Self::new(text).ok().filter(|name| name.check_not_reserved().is_ok());
        candidates.into_iter().find_map(fits).unwrap_or_else(|| Self(format!("neondb{SUFFIX}")))
    }
}

impl DatabaseName {
    /// The database of a new project.
    pub(crate) fn neondb() -> Self {
        Self("neondb".to_owned())
    }

    /// Refuses names that nobody may create.
    pub(crate) fn check_not_reserved(&self) -> Result<(), NameError> {
        if !RESERVED_DATABASES.contains(&self.as_str()) {
            return Ok(());
        }
        Err(NameError::Reserved {
            kind: NameKind::Database,
            name: self.0.clone(),
            rule: "postgres, template0 and template1 belong to the system",
        })
    }
}

impl BranchName {
    /// The root branch of a new project.
    pub(crate) fn main() -> Self {
        Self("main".to_owned())
    }

    /// The name of a branch whose place another one takes at `instant`, when that gets this name.
    pub(crate) fn outdated(&self, instant: DateTime<Utc>) -> Self {
        let suffix = format!("_old_{}", instant.format("%Y-%m-%dT%H:%M:%S%.6fZ"));
        let kept: String = self.0.chars().take(256 - suffix.len()).collect();
        Self(kept + &suffix)
    }
}

macro_rules! name_from_id {
    ($name:ident, $id:ident) => {
        impl From<&crate::id::$id> for $name {
            /// Names something after its id.
            fn from(id: &crate::id::$id) -> Self {
                Self(id.as_str().to_owned())
            }
        }
    };
}

name_from_id!(ProjectName, ProjectId);
name_from_id!(BranchName, BranchId);
name_from_id!(SnapshotName, SnapshotId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_names_are_counted_in_bytes() {
        assert!(RoleName::new("x".repeat(63)).is_ok());
        let unit = LengthUnit::Bytes;
        let too_long = |length| Err(NameError::TooLong { kind: NameKind::Role, length, limit: 63, unit });
        assert_eq!(RoleName::new("x".repeat(64)), too_long(64));
        assert_eq!(RoleName::new("é".repeat(32)), too_long(64));
        assert!(RoleName::new("é".repeat(31)).is_ok());
    }

    #[test]
    fn branch_names_are_counted_in_characters() {
        assert!(BranchName::new("é".repeat(256)).is_ok());
        assert!(matches!(BranchName::new("é".repeat(257)), Err(NameError::TooLong { length: 257, .. })));
    }

    #[test]
    fn an_empty_name_and_one_with_a_nul_are_refused() {
        assert!(matches!(RoleName::new(""), Err(NameError::Empty { .. })));
        assert_eq!(RoleName::new("a\0b"), Err(NameError::Nul { kind: NameKind::Role }));
    }

    #[test]
    fn names_of_the_system_are_reserved_in_lower_case_only() -> Result<(), NameError> {
        for name in ["pg_x", "pg_", "public", "none", "postgres", "web_access", "neon_superuser", "databricks_x"] {
            assert!(matches!(RoleName::new(name)?.check_not_reserved(), Err(NameError::Reserved { .. })), "{name}");
        }
        for name in ["pg", "Public", "web_access2", "sally", "PG_x"] {
            RoleName::new(name)?.check_not_reserved()?;
        }
        assert!(DatabaseName::new("template0")?.check_not_reserved().is_err());
        DatabaseName::new("pg_x")?.check_not_reserved()
    }

    #[test]
    fn the_default_role_is_named_after_the_account_where_that_can_be() -> Result<(), NameError> {
        let default = |account: &str, database: &str| -> Result<String, NameError> {
            Ok(RoleName::default_for(&AccountName::new(account)?, &DatabaseName::new(database)?).to_string())
        };
        assert_eq!(default("casey", "neondb")?, "casey");
        assert_eq!(default("postgres", "neondb")?, "neondb_owner");
        assert_eq!(default(&"x".repeat(64), "app")?, "app_owner");
        assert_eq!(default("public", &"é".repeat(31))?, format!("{}_owner", "é".repeat(28)));
        assert_eq!(default("public", "pg_x")?, "neondb_owner");
        Ok(())
    }

    #[test]
    fn messages_say_what_would_be_right() {
        let message = RoleName::new("x".repeat(64)).unwrap_err().to_string();
        assert_eq!(message, "the role name has 64 bytes, and at most 63 bytes are allowed");
    }
}
