//! Whether anybody uses a server.

use crate::apply::{Admin, ApplyError, get};

/// What tells the use of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Activity {
    /// Whether a client does something right now.
    pub(crate) is_in_use: bool,
    /// How many sessions there were.
    sessions: i64,
    /// For how many milliseconds they did something.
    active_ms: i64,
    /// When a session that there is began or ended to do something last, in microseconds.
    last_change: i64,
}

/// The administrator's own sessions are in the database that is always there, or too short to count twice. Those of others in that database show only while
/// they last.
const QUERY: &str = "SELECT \
    EXISTS (SELECT FROM pg_stat_activity WHERE pid <> pg_backend_pid() \
            AND backend_type IN ('client backend', 'walsender') AND state <> 'idle'), \
    coalesce(sum(sessions), 0)::bigint, coalesce(sum(active_time), 0)::bigint, \
    (SELECT coalesce(max(extract(epoch FROM state_change)) * 1000000, 0)::bigint FROM pg_stat_activity \
     WHERE backend_type IN ('client backend', 'walsender') AND usename <> current_user) \
    FROM pg_stat_database WHERE datname <> 'postgres'";

impl Activity {
    /// Asks a server.
    pub(crate) async fn of(admin: &Admin) -> Result<Self, ApplyError> {
        let doing = "asking who uses the server";
        let rows = admin.connect().await?.rows(doing, QUERY, &[]).await?;
        let Some(row) = rows.first() else {
            return Ok(Self { is_in_use: true, sessions: 0, active_ms: 0, last_change: 0 });
        };
        Ok(Self {
            is_in_use: get(row, 0, doing)?,
            sessions: get(row, 1, doing)?,
            active_ms: get(row, 2, doing)?,
            last_change: get(row, 3, doing)?,
        })
    }

    /// Whether the server was used between two times of asking.
    pub(crate) fn differs(&self, earlier: &Self) -> bool {
        let uses = |seen: &Self| (seen.sessions, seen.active_ms, seen.last_change);
        uses(self) != uses(earlier)
    }
}
