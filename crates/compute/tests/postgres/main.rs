//! The executor with real PostgreSQL servers.

mod common;
mod logins;
