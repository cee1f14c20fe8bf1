//! The executor with real PostgreSQL servers.

mod common;
mod databases;
mod external;
mod faults;
mod lifecycle;
mod logins;
mod many_roles;
mod names;
mod removal;
mod roles;
mod tls;
mod wake;
