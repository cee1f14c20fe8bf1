//! The log: to standard error, filtered by `OFFSHOOT_LOG`, or as is usual for the command.

use crate::Error;
use std::{
    env,
    io::{IsTerminal, stderr},
};
use tracing::{Level, Metadata};
use tracing_subscriber::{EnvFilter, filter::filter_fn, fmt, layer::SubscriberExt, registry, util::SubscriberInitExt};

pub(crate) fn init(usual: &str) -> Result<(), Error> {
    let filter = env::var("OFFSHOOT_LOG").ok().filter(|text| !text.is_empty());
    let filter = EnvFilter::builder().parse(filter.as_deref().unwrap_or(usual))?;
    let lines = fmt::layer().with_writer(stderr).with_ansi(stderr().is_terminal());
    // Whoever runs the server as a library may have a log of their own; theirs stays.
    registry().with(filter).with(filter_fn(may_be_shown)).with(lines).try_init().unwrap_or_default();
    Ok(())
}

/// Libraries tell all that they are given below `info`: a statement with a verifier in it, a page of the index. That is never shown, whatever is asked for.
fn may_be_shown(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::INFO || metadata.target().starts_with("offshoot")
}
