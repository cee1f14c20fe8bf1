//! `--compute`: what runs the computes of endpoints.

use crate::{ComputeDriver, ComputeOptions, Error, StoreKind};
use offshoot_api::{Address, Addresses};
use offshoot_catalog::Catalog;
use offshoot_compute::{
    Clusters, DriverError, Executor, ExecutorError, ExecutorOptions, ExternalServers, PostgresOptions, Programs,
    ServerAddress,
};
use std::path::Path;

/// The directory with the clusters, in the data directory.
const CLUSTERS: &str = "pg";

/// What runs computes.
pub(crate) enum Computes {
    None,
    Postgres(Box<Clusters>),
    External(ExternalServers),
}

impl Computes {
    /// What the options say, or where they leave it open, PostgreSQL if that can be; says in the log which, and why.
    pub(crate) fn choose(options: &ComputeOptions, store: StoreKind, data_dir: &Path) -> Result<Computes, Error> {
        match options.compute {
            ComputeDriver::None => {
                tracing::info!("compute driver: none, as --compute says; nothing is applied to a PostgreSQL server");
                Ok(Computes::None)
            }
            ComputeDriver::Postgres => {
                let clusters = clusters(options, store, data_dir)?;
                tracing::info!("compute driver: postgres, as --compute says");
                Ok(Computes::Postgres(Box::new(clusters)))
            }
            ComputeDriver::External => {
                let list = options.server_list().ok_or(Error::NoServers)?;
                let servers = ExternalServers::new(list, options.servers_ca.clone())?;
                tracing::info!("compute driver: external, as --compute says");
                Ok(Computes::External(servers))
            }
            ComputeDriver::Auto => match clusters(options, store, data_dir) {
                Ok(clusters) => {
                    tracing::info!(
                        "compute driver: postgres, since PostgreSQL is installed; --compute none goes without"
                    );
                    Ok(Computes::Postgres(Box::new(clusters)))
                }
                Err(reason) => {
                    tracing::info!("compute driver: none, since {reason}; nothing is applied to a PostgreSQL server");
                    Ok(Computes::None)
                }
            },
        }
    }

    /// How the catalog has to be opened for this.
    pub(crate) fn catalog_options(
        &self,
        catalog: offshoot_catalog::Options,
        options: &ComputeOptions,
    ) -> offshoot_catalog::Options {
        match self {
            Computes::Postgres(clusters) => catalog
                .with_compute_ports(options.compute_ports.0.clone())
                .with_pg_versions(u8::try_from(clusters.major())),
            Computes::None | Computes::External(_) => catalog,
        }
    }

    /// Where endpoints are reached whose servers run elsewhere.
    pub(crate) fn addresses(&self) -> Addresses {
        let Computes::External(servers) = self else { return Addresses::default() };
        let servers = servers.clone();
        Addresses::new(move |endpoint| {
            let ServerAddress { host, port, has_tls } = servers.address(endpoint)?;
            Some(Address { host, port, requires_tls: has_tls })
        })
    }

    /// Starts to do operations.
    pub(crate) fn start(self, catalog: Catalog, options: &ComputeOptions) -> Result<Executor, ExecutorError> {
        let executor =
            ExecutorOptions { privileged_role: options.privileged_role.clone(), ..ExecutorOptions::default() };
        match self {
            Computes::None => Executor::start_without_computes(catalog),
            Computes::Postgres(clusters) => Executor::start(catalog, *clusters, executor),
            Computes::External(servers) => Executor::start(catalog, servers, executor),
        }
    }
}

fn clusters(options: &ComputeOptions, store: StoreKind, data_dir: &Path) -> Result<Clusters, DriverError> {
    if store == StoreKind::Memory {
        let reason = "what is in memory is gone when the server ends, and clusters would be left behind";
        return Err(DriverError::Unfit(reason.into()));
    }
    Clusters::new(PostgresOptions {
        dir: data_dir.join(CLUSTERS),
        programs: Programs::find(options.postgres_bin.as_deref())?,
        user: options.compute_user.clone(),
        is_durable: true,
    })
}
