//! `GET /dump`: a dump of the running server's store, as it is made.
//!
//! A thread makes the dump, which waits for the disk, and a task hands it on piece by piece. What neither has to hold is a whole dump.

use crate::error::chain;
use axum::{body::Body, extract::State};
use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};
use offshoot_engine::{SledStore, dump::DumpError};
use std::{
    io::{self, Write},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::mpsc, time::timeout};

/// How many pieces of about 64 KiB may wait in each of two places for the client to take them.
const WAITING: usize = 8;

/// How long a client may take for one piece. As long as a dump is being made, the store keeps in memory what is overwritten.
const PATIENCE: Duration = Duration::from_secs(60);

type Piece = io::Result<Bytes>;

pub(super) async fn dump(State(store): State<Arc<SledStore>>) -> Body {
    let (pieces, made) = mpsc::channel(WAITING);
    let (sender, body) = Channel::new(WAITING);
    tokio::task::spawn_blocking(move || make(&store, pieces));
    tokio::spawn(hand_on(made, sender, PATIENCE));
    Body::new(body)
}

/// Makes the dump. Where that fails, the last piece is the error, so that the client cannot take what it has for a whole dump.
fn make(store: &SledStore, pieces: mpsc::Sender<Piece>) {
    tracing::info!("a dump begins");
    let mut out = Pieces(pieces);
    match store.dump(&mut out, &mut |_| {}) {
        Ok(info) => {
            tracing::info!(commit = %info.sequence, entries = info.entries, bytes = info.bytes, "a dump was made");
        }
        Err(DumpError::Io { .. }) => {
            tracing::warn!("a dump ended early: the client went away, or took nothing for too long")
        }
        Err(error) => {
            let error = chain(&error);
            tracing::error!(error, "a dump failed");
            // Where nobody is there any more, nobody has to know.
            let _ = out.0.blocking_send(Err(io::Error::other(error)));
        }
    }
}

/// Hands pieces on until there are no more, or the client is gone. That ends the dump too: it has nowhere to go then.
async fn hand_on(mut made: mpsc::Receiver<Piece>, mut client: Sender<Bytes, io::Error>, patience: Duration) {
    while let Some(piece) = made.recv().await {
        let failure = match piece {
            Err(failure) => failure,
            Ok(piece) => match timeout(patience, client.send_data(piece)).await {
                Ok(Ok(())) => continue,
                Ok(Err(_)) => return,
                Err(_) => io::ErrorKind::TimedOut.into(),
            },
        };
        return client.abort(failure);
    }
}

/// Sends what is written.
struct Pieces(mpsc::Sender<Piece>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    fn piece(text: &'static str) -> Piece {
        Ok(Bytes::from_static(text.as_bytes()))
    }

    #[tokio::test]
    async fn pieces_arrive_in_their_order() {
        let ((pieces, made), (sender, body)) = (mpsc::channel(9), Channel::new(9));
        for text in ["one ", "two ", "three"] {
            assert!(pieces.try_send(piece(text)).is_ok());
        }
        drop(pieces);
        hand_on(made, sender, PATIENCE).await;
        let whole = body.collect().await.map(|whole| whole.to_bytes()).map_err(|error| error.kind());
        assert_eq!(whole, Ok(Bytes::from_static(b"one two three")));
    }

    #[tokio::test]
    async fn a_failure_of_the_store_is_no_end_of_a_dump() {
        let ((pieces, made), (sender, body)) = (mpsc::channel(9), Channel::new(9));
        assert!(pieces.try_send(piece("one")).is_ok() && pieces.try_send(Err(io::Error::other("damaged"))).is_ok());
        hand_on(made, sender, PATIENCE).await;
        assert!(body.collect().await.is_err());
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_or_goes_away_ends_the_dump() {
        let ((pieces, made), (sender, body)) = (mpsc::channel(9), Channel::new(1));
        for text in ["taken", "too much", "never sent"] {
            assert!(pieces.try_send(piece(text)).is_ok());
        }
        hand_on(made, sender, Duration::ZERO).await;
        assert!(pieces.is_closed());
        assert!(body.collect().await.is_err());

        let ((pieces, made), (sender, body)) = (mpsc::channel(9), Channel::<Bytes, io::Error>::new(1));
        drop(body);
        assert!(pieces.try_send(piece("for nobody")).is_ok());
        hand_on(made, sender, PATIENCE).await;
        assert!(pieces.is_closed());
    }
}
