//! The connections of the API: a task for each, with a limit to how long a client may take over the head of a request.
//!
//! Bodies have their own limit, in the API itself.

use axum::{Router, body::Body, extract::ConnectInfo, http::Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use std::{future::Future, io, net::SocketAddr, pin::pin, time::Duration};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

/// How long the head of a request may take to arrive, and how long a connection may be idle between two.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long to wait where a connection cannot be accepted: most likely there are too many already.
const PATIENCE: Duration = Duration::from_secs(1);

/// Serves connections as [`serve`](crate::serve()) does, until `stopped`, and then until the requests that have begun are answered.
///
/// Requests carry the client's address, as [`ConnectInfo`].
pub async fn serve_connections(listener: TcpListener, app: Router, stopped: impl Future<Output = ()>) {
    serve(listener, app, HEAD_TIMEOUT, stopped).await;
}

/// Serves connections until `stopped`, and then until the requests that have begun are answered.
///
/// Requests carry the client's address, as [`ConnectInfo`].
async fn serve(listener: TcpListener, app: Router, head_timeout: Duration, stopped: impl Future<Output = ()>) {
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(head_timeout);
    let open = GracefulShutdown::new();
    let mut stopped = pin!(stopped);
    loop {
        let (stream, client) = tokio::select! {
            accepted = accept(&listener) => accepted,
            () = &mut stopped => break,
        };
        let app = app.clone();
        let answer = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(client));
            app.clone().oneshot(request.map(Body::new))
        });
        let connection = open.watch(server.serve_connection(TokioIo::new(stream), answer));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%client, %error, "a connection broke off");
            }
        });
    }
    drop(listener);
    open.shutdown().await;
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, client)) => {
                // Answers are small, and complete when they are sent.
                let _ = stream.set_nodelay(true);
                return (stream, client);
            }
            Err(error) if concerns_one_client(&error) => {}
            Err(error) => {
                tracing::error!(%error, "cannot accept a connection; trying again");
                tokio::time::sleep(PATIENCE).await;
            }
        }
    }
}

fn concerns_one_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        sync::oneshot,
    };

    /// A server that tells clients their address, with the sender that stops it.
    async fn start(
        head_timeout: Duration,
    ) -> io::Result<(SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<()>)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let app = Router::new()
            .route("/", get(|ConnectInfo(client): ConnectInfo<SocketAddr>| async move { client.to_string() }));
        let (stop, stopped) = oneshot::channel();
        let stopped = async {
            let _ = stopped.await;
        };
        Ok((address, stop, tokio::spawn(serve(listener, app, head_timeout, stopped))))
    }

    #[tokio::test]
    async fn a_client_that_does_not_end_its_head_is_left() -> io::Result<()> {
        let (address, _stop, _server) = start(Duration::from_millis(1)).await?;
        for begun in ["", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nhost: x\r\nx-slow: "] {
            let mut client = TcpStream::connect(address).await?;
            client.write_all(begun.as_bytes()).await?;
            let mut answer = Vec::new();
            // However it ends, it ends.
            let _ = client.read_to_end(&mut answer).await;
            assert!(!String::from_utf8_lossy(&answer).contains("200"), "{begun:?}");
        }
        Ok(())
    }

    #[tokio::test]
    async fn a_request_is_answered_with_the_clients_address() -> io::Result<()> {
        let (address, _stop, _server) = start(HEAD_TIMEOUT).await?;
        let mut client = TcpStream::connect(address).await?;
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        client.read_to_string(&mut answer).await?;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(&client.local_addr()?.to_string()), "{answer}");
        Ok(())
    }

    #[tokio::test]
    async fn a_server_that_is_stopped_leaves_no_connection() -> io::Result<()> {
        let (address, stop, server) = start(HEAD_TIMEOUT).await?;
        let mut idle = TcpStream::connect(address).await?;
        idle.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await?;
        idle.readable().await?;
        drop(stop);
        server.await?;
        let mut answer = String::new();
        idle.read_to_string(&mut answer).await?;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(TcpStream::connect(address).await.is_err());
        Ok(())
    }
}
