//! Where endpoints are reached.

use crate::{projects::PROXY_HOST, session::ApiState};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use offshoot_catalog::{Endpoint, EndpointId};
use std::{convert::Infallible, fmt, net::Ipv6Addr, sync::Arc};

/// The port that clients of PostgreSQL take where none is named.
const USUAL_PORT: u16 = 5432;

/// Where clients reach an endpoint whose server runs elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The server's host, by name or by address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether clients are to insist on TLS.
    pub requires_tls: bool,
}

type Lookup = dyn Fn(&EndpointId) -> Option<Address> + Send + Sync;

/// Knows where endpoints are reached whose servers run elsewhere. It is asked for each answer that shows an endpoint.
#[derive(Clone, Default)]
pub struct Addresses(Option<Arc<Lookup>>);

impl Addresses {
    /// Addresses that a function knows.
    pub fn new(lookup: impl Fn(&EndpointId) -> Option<Address> + Send + Sync + 'static) -> Addresses {
        Addresses(Some(Arc::new(lookup)))
    }

    pub(crate) fn place(&self, endpoint: &Endpoint) -> Place {
        match self.0.as_ref().and_then(|lookup| lookup(&endpoint.id)) {
            Some(address) => Place::elsewhere(address),
            None => Place::here(endpoint),
        }
    }
}

impl fmt::Debug for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Addresses").field(&self.0.is_some()).finish()
    }
}

impl FromRequestParts<ApiState> for Addresses {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, state: &ApiState) -> Result<Self, Infallible> {
        Ok(state.options.addresses.clone())
    }
}

/// How answers show where an endpoint is reached; each host has its port with it.
pub(crate) struct Place {
    pub(crate) host: String,
    pub(crate) pooler_host: String,
    pub(crate) proxy_host: String,
    pub(crate) host_in_uri: String,
    pub(crate) pooler_host_in_uri: String,
    pub(crate) sslmode: &'static str,
}

impl Place {
    /// On this machine, or where there is no server. Clients derive other hosts from the id in the host.
    ///
    /// Not every system resolves names below `localhost`, so the address stands in their place in a URI, which a client takes as it is.
    fn here(endpoint: &Endpoint) -> Place {
        let named = |name: String| endpoint.port.map_or(name.clone(), |port| format!("{name}:{port}"));
        let host = named(format!("{}.{PROXY_HOST}", endpoint.id));
        let pooler_host = named(format!("{}-pooler.{PROXY_HOST}", endpoint.id));
        let by_address = endpoint.port.map(|port| format!("127.0.0.1:{port}"));
        Place {
            host_in_uri: by_address.clone().unwrap_or_else(|| host.clone()),
            pooler_host_in_uri: by_address.unwrap_or_else(|| pooler_host.clone()),
            host,
            pooler_host,
            proxy_host: PROXY_HOST.to_owned(),
            sslmode: "require",
        }
    }

    /// At somebody else's server, which has no pooler that is known.
    fn elsewhere(Address { host: name, port, requires_tls }: Address) -> Place {
        let name = if name.parse::<Ipv6Addr>().is_ok() { format!("[{name}]") } else { name };
        let host = if port == USUAL_PORT { name.clone() } else { format!("{name}:{port}") };
        Place {
            host_in_uri: host.clone(),
            pooler_host_in_uri: host.clone(),
            pooler_host: host.clone(),
            host,
            proxy_host: name,
            sslmode: if requires_tls { "require" } else { "prefer" },
        }
    }
}
