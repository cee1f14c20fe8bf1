//! What is done from time to time: computes that ended by themselves are started again, those that nobody uses are
//! suspended, those whose endpoints are gone are removed, clients of those that sleep are listened for, and old operations
//! are forgotten.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::Utc;
use offshoot_catalog::{Catalog, ComputeState, EndpointId, Error};
use tokio::time::{interval, timeout};

use super::Core;
use crate::{
    activity::Activity,
    driver::{Driver, StartedServer},
    error_chain,
};

/// How many computes are removed in one go.
const BATCH: usize = 64;

/// How often old operations are forgotten.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);

/// How long a server may take to say whether anybody uses it.
const ASK_TIMEOUT: Duration = Duration::from_secs(10);

/// When a server was last seen in use.
struct Use {
    seen: Activity,
    at: Instant,
}

pub(super) async fn run<D: Driver>(core: Arc<Core<D>>) {
    let mut uses = HashMap::new();
    let mut pruned: Option<Instant> = None;
    let mut ticks = interval(core.options.upkeep_every);
    loop {
        ticks.tick().await;
        if let Err(error) = look_after(&core, &mut uses).await {
            tracing::error!(error = error_chain(&error), "cannot look after the computes; trying again");
        }
        if pruned.is_none_or(|at| at.elapsed() >= PRUNE_EVERY) {
            pruned = Some(Instant::now());
            prune(&core).await;
        }
    }
}

/// Schedules that all computes are started that are to run, as after the machine was started. Those that run still are
/// looked at and taken over.
pub(super) fn restart_all(catalog: &Catalog) -> Result<(), Error> {
    let active: Vec<EndpointId> = catalog.computes_active()?.into_iter().map(|endpoint| endpoint.id).collect();
    catalog.computes_restart(&active)
}

async fn look_after<D: Driver>(core: &Core<D>, uses: &mut HashMap<EndpointId, Use>) -> Result<(), Error> {
    // What fails here must not keep computes from being suspended and started.
    for (step, done) in
        [("remove computes that are gone", remove_gone(core).await), ("open doors", open_doors(core).await)]
    {
        if let Err(error) = done {
            tracing::error!(error = error_chain(&error), "cannot {step}; trying again");
        }
    }
    let started = core.driver.started();
    let known: HashSet<&EndpointId> = started.iter().map(|server| &server.endpoint).collect();
    uses.retain(|endpoint, _| known.contains(endpoint));
    let (mut ended, mut unused) = (Vec::new(), Vec::new());
    for server in &started {
        let endpoint = &server.endpoint;
        if !core.driver.is_running(endpoint).await {
            tracing::warn!(endpoint = endpoint.as_str(), "a compute ended by itself");
            ended.push(endpoint.clone());
        } else if is_unused(core, server, uses).await? {
            tracing::info!(endpoint = endpoint.as_str(), "nobody uses a compute; it is suspended");
            uses.remove(endpoint);
            unused.push(endpoint.clone());
        }
    }
    core.blocking(move |catalog| catalog.computes_restart(&ended)).await?;
    core.blocking(move |catalog| catalog.computes_suspend(&unused)).await
}

/// Whether a server was not used for as long as its endpoint says.
async fn is_unused<D: Driver>(
    core: &Core<D>,
    server: &StartedServer,
    uses: &mut HashMap<EndpointId, Use>,
) -> Result<bool, Error> {
    let id = server.endpoint.clone();
    let endpoint = core.blocking(move |catalog| catalog.compute_endpoint(&id)).await?;
    let Some(endpoint) = endpoint.filter(|endpoint| endpoint.state == ComputeState::Active) else { return Ok(false) };
    let after = match endpoint.suspend_timeout_seconds {
        0 => u64::from(core.options.suspend_after_seconds),
        seconds => match u64::try_from(seconds) {
            Ok(seconds) => seconds,
            Err(_) => return Ok(false),
        },
    };
    let seen = match timeout(ASK_TIMEOUT, Activity::of(&server.admin)).await {
        Ok(Ok(seen)) => seen,
        // One that has no connection left is in use.
        Ok(Err(_)) | Err(_) => return Ok(false),
    };
    let now = Instant::now();
    let last = uses.entry(endpoint.id).or_insert_with(|| Use { seen: seen.clone(), at: now });
    if seen.is_in_use || seen.differs(&last.seen) {
        *last = Use { seen, at: now };
    }
    Ok(now - last.at >= Duration::from_secs(after))
}

/// Listens for clients of computes that sleep.
async fn open_doors<D: Driver>(core: &Core<D>) -> Result<(), Error> {
    if core.driver.leaves_ports() {
        for (endpoint, port) in core.blocking(Catalog::endpoints_asleep).await? {
            if !core.driver.is_running(&endpoint).await {
                core.doors.open(&endpoint, port);
            }
        }
    }
    Ok(())
}

async fn remove_gone<D: Driver>(core: &Core<D>) -> Result<(), Error> {
    let gone = core.blocking(|catalog| catalog.computes_gone(BATCH)).await?;
    let mut removed = Vec::new();
    for endpoint in gone {
        core.doors.close(&endpoint).await;
        match core.driver.remove(&endpoint).await {
            Ok(()) => removed.push(endpoint),
            Err(error) => tracing::warn!(
                endpoint = endpoint.as_str(),
                error = error_chain(&error),
                "cannot remove a compute; trying again"
            ),
        }
    }
    if removed.is_empty() { Ok(()) } else { core.blocking(move |catalog| catalog.computes_forget(&removed)).await }
}

async fn prune<D: Driver>(core: &Core<D>) {
    let before = Utc::now() - core.options.keep_finished;
    match core.blocking(move |catalog| catalog.operations_prune(before)).await {
        Ok(0) => {}
        Ok(pruned) => tracing::info!(pruned, "forgot old operations"),
        Err(error) => tracing::error!(error = error_chain(&error), "cannot forget old operations"),
    }
}
