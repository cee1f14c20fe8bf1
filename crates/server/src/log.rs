//! The log: to standard error, filtered by `OFFSHOOT_LOG`, or as is usual for the command.

use crate::Error;
use std::{
    env,
    io::{IsTerminal, stderr},
};
use tracing_subscriber::EnvFilter;

pub(crate) fn init(usual: &str) -> Result<(), Error> {
    let filter = env::var("OFFSHOOT_LOG").ok().filter(|text| !text.is_empty());
    let filter = EnvFilter::builder().parse(filter.as_deref().unwrap_or(usual))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr).with_ansi(stderr().is_terminal());
    // Whoever runs the server as a library may have a log of their own; theirs stays.
    log.try_init().unwrap_or_default();
    Ok(())
}
