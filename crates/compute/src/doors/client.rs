//! One who connects to a compute that sleeps.

use std::{io, net::Ipv4Addr, time::Duration};

use offshoot_catalog::{Catalog, EndpointId, Wake};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy, copy_bidirectional, sink},
    net::TcpStream,
    sync::watch,
    task::spawn_blocking,
    time::timeout,
};

use super::{News, Patience};
use crate::error_chain;

/// How a client begins: with a length and what it asks for.
type Opening = [u8; 8];

/// What a client asks for that wants TLS, or encryption by GSSAPI, before it says who it is.
const ENCRYPTION: [u32; 2] = [80_877_103, 80_877_104];

/// The longest that PostgreSQL takes of who a client is.
const MAX_STARTUP_BYTES: u32 = 10_000;

/// How long somebody who was refused may take to hang up, and how much may still come.
const GOODBYE: Duration = Duration::from_secs(1);
const GOODBYE_BYTES: u64 = 64 << 10;

#[derive(Clone)]
pub(super) struct Client {
    pub(super) catalog: Catalog,
    pub(super) endpoint: EndpointId,
    pub(super) port: u16,
    pub(super) patience: Patience,
}

/// Why a client isn't connected to its compute.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("endpoint {0} is disabled; enable it over the API")]
    Disabled(EndpointId),
    #[error("endpoint {0} is deleted")]
    Gone(EndpointId),
    #[error("the compute of endpoint {0} could not be started; its operations say why")]
    Failed(EndpointId),
    #[error("the compute of endpoint {0} takes long to start; try again")]
    TooLong(EndpointId),
}

impl Refusal {
    fn code(&self) -> &'static str {
        match self {
            Self::Disabled(_) | Self::Gone(_) => "55000",
            Self::Failed(_) | Self::TooLong(_) => "57P03",
        }
    }
}

impl Client {
    /// Wakes the compute, and connects the client to it.
    pub(super) async fn attend(self, mut stream: TcpStream, mut news: watch::Receiver<News>) {
        let mut opening = Opening::default();
        // Whoever says nothing, or something else, wakes nobody.
        match timeout(self.patience.first_bytes, stream.read_exact(&mut opening)).await {
            Ok(Ok(_)) if wants_a_session(opening) => {}
            _ => return,
        }
        let waited = timeout(self.patience.start, self.wait(&mut news)).await;
        let ended = match waited.unwrap_or_else(|_| Err(Refusal::TooLong(self.endpoint.clone()))) {
            Ok(()) => self.pass_on(&mut stream, &opening).await,
            Err(refusal) => refuse(&mut stream, &refusal).await,
        };
        if let Err(error) = ended {
            tracing::debug!(
                endpoint = self.endpoint.as_str(),
                error = error_chain(&error),
                "a client's connection ended"
            );
        }
    }

    /// Waits until the compute runs.
    async fn wait(&self, news: &mut watch::Receiver<News>) -> Result<(), Refusal> {
        let failed = || Refusal::Failed(self.endpoint.clone());
        // Others may have woken it while this one was silent.
        if news.has_changed().is_ok_and(|has_changed| has_changed) && *news.borrow_and_update() == News::Runs {
            return Ok(());
        }
        let (catalog, endpoint) = (self.catalog.clone(), self.endpoint.clone());
        match spawn_blocking(move || catalog.endpoint_wake(&endpoint)).await {
            Ok(Ok(Wake::Starts)) => {}
            Ok(Ok(Wake::Disabled)) => return Err(Refusal::Disabled(self.endpoint.clone())),
            Ok(Ok(Wake::Gone)) => return Err(Refusal::Gone(self.endpoint.clone())),
            Ok(Err(error)) => {
                tracing::error!(
                    endpoint = self.endpoint.as_str(),
                    error = error_chain(&error),
                    "cannot wake a compute"
                );
                return Err(failed());
            }
            Err(_) => return Err(failed()),
        }
        news.changed().await.map_err(|_| failed())?;
        if *news.borrow() == News::Runs { Ok(()) } else { Err(failed()) }
    }

    /// Connects the client to the compute's server, until one of them hangs up.
    async fn pass_on(&self, stream: &mut TcpStream, opening: &Opening) -> io::Result<()> {
        let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?;
        for stream in [&server, stream] {
            stream.set_nodelay(true)?;
        }
        server.write_all(opening).await?;
        copy_bidirectional(stream, &mut server).await?;
        Ok(())
    }
}

/// Whether somebody begins as who wants a session of PostgreSQL: with their name, or by asking for encryption before, or
/// with TLS at once. Who wants to cancel a query wants none.
fn wants_a_session(opening: Opening) -> bool {
    let [a, b, c, d, e, f, g, h] = opening;
    let (length, asked) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
    let is_hello = (a, b, f) == (0x16, 3, 1);
    let is_startup = asked >> 16 == 3 && (8..=MAX_STARTUP_BYTES).contains(&length);
    is_hello || is_startup || (length == 8 && ENCRYPTION.contains(&asked))
}

/// Tells a client in PostgreSQL's words why it isn't let in, and hangs up. One that has asked for encryption takes that for
/// an answer, too, as PostgreSQL gives it when it is out of memory, though it may not show it.
async fn refuse(stream: &mut TcpStream, refusal: &Refusal) -> io::Result<()> {
    let fields = format!("SFATAL\0VFATAL\0C{}\0M{refusal}\0\0", refusal.code());
    let length = u32::try_from(fields.len() + 4).unwrap_or(u32::MAX);
    let message = [b"E", &length.to_be_bytes()[..], fields.as_bytes()].concat();
    stream.write_all(&message).await?;
    stream.shutdown().await?;
    // Closed before all was read, the connection would lose what was written.
    let (mut rest, mut nowhere) = (stream.take(GOODBYE_BYTES), sink());
    let read = timeout(GOODBYE, copy(&mut rest, &mut nowhere)).await;
    read.map_or(Ok(()), |read| read.map(drop))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opening(length: u32, asked: u32) -> bool {
        let [a, b, c, d] = length.to_be_bytes();
        let [e, f, g, h] = asked.to_be_bytes();
        wants_a_session([a, b, c, d, e, f, g, h])
    }

    #[test]
    fn only_who_begins_as_clients_of_postgres_do_wants_a_session() {
        assert!(opening(8, ENCRYPTION[0]) && opening(8, ENCRYPTION[1]));
        assert!(opening(40, 3 << 16) && opening(10_000, 3 << 16 | 2));
        assert!(wants_a_session([0x16, 3, 1, 2, 0, 1, 0, 1]));
        for (length, asked) in
            [(9, ENCRYPTION[0]), (16, 80_877_102), (10_001, 3 << 16), (7, 3 << 16), (40, 2 << 16), (0, 0)]
        {
            assert!(!opening(length, asked), "{length} {asked}");
        }
        assert!(!wants_a_session(*b"GET / HT") && !wants_a_session(*b"SSH-2.0-"));
    }
}
