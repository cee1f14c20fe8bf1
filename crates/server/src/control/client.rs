//! A command's end of the control socket.

use super::SocketName;
use bytes::{Buf, Bytes};
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    client::conn::http1::{SendRequest, handshake},
};
use hyper_util::rt::TokioIo;
use std::{
    io::{self, Read},
    path::Path,
};
use tokio::{net::UnixStream, runtime::Runtime};

/// Why a running server did not do what a command asked it for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// Nobody listens on the socket.
    #[error("nobody answers on its control socket")]
    Unreachable(#[source] io::Error),
    /// The server does not know, or does not want, what was asked for.
    #[error("the server answered {0}; is it of another release?")]
    Status(StatusCode),
    /// The connection failed.
    #[error("the connection to the server failed")]
    Failed(#[from] hyper::Error),
    /// What was asked, or answered, is not what the other side knows.
    #[error("the server is of another release")]
    Unknown(#[from] serde_json::Error),
}

/// Asks the server that has the store in `data_dir` open for `path`.
pub(crate) fn get(data_dir: &Path, path: &str) -> Result<Answer, ControlError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(ControlError::Unreachable)?;
    let (response, connection) = runtime.block_on(ask(data_dir, Method::GET, path, Vec::new()))?;
    match response.status() {
        StatusCode::OK => {
            Ok(Answer { body: response.into_body(), rest: Bytes::new(), _connection: connection, runtime })
        }
        status => Err(ControlError::Status(status)),
    }
}

/// Sends `body` to `path` of the server that has the store in `data_dir` open. The inner error is what the server says when it refuses.
pub(crate) fn post(data_dir: &Path, path: &str, body: Vec<u8>) -> Result<Result<Vec<u8>, String>, ControlError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(ControlError::Unreachable)?;
    runtime.block_on(async {
        let (response, _connection) = ask(data_dir, Method::POST, path, body).await?;
        let status = response.status();
        let answer = response.into_body().collect().await?.to_bytes().to_vec();
        match status {
            StatusCode::OK => Ok(Ok(answer)),
            StatusCode::UNPROCESSABLE_ENTITY => Ok(Err(String::from_utf8_lossy(&answer).into_owned())),
            status => Err(ControlError::Status(status)),
        }
    })
}

type Connection = SendRequest<Full<Bytes>>;

async fn ask(
    data_dir: &Path,
    method: Method,
    path: &str,
    body: Vec<u8>,
) -> Result<(Response<Incoming>, Connection), ControlError> {
    let name = SocketName::new(data_dir).map_err(ControlError::Unreachable)?;
    let stream = UnixStream::connect(&name.path).await.map_err(ControlError::Unreachable)?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let mut request = Request::new(Full::new(Bytes::from(body)));
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().unwrap_or_default();
    request.headers_mut().insert("host", hyper::header::HeaderValue::from_static("offshoot"));
    Ok((sender.send_request(request).await?, sender))
}

/// The body of an answer, to be read as it comes. An error, if it ends before the server said that it has ended.
pub(crate) struct Answer {
    body: Incoming,
    rest: Bytes,
    _connection: Connection,
    /// Works for the connection only while somebody reads.
    runtime: Runtime,
}

impl Read for Answer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.runtime.block_on(self.body.frame()) {
                None => return Ok(0),
                Some(frame) => self.rest = frame.map_err(io::Error::other)?.into_data().unwrap_or_default(),
            }
        }
        (&mut self.rest).reader().read(buffer)
    }
}
