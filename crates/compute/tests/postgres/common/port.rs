//! Clients that come by way of an endpoint's port, as those of users do.

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    sync::Arc,
    thread,
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio_postgres::{Config, config::SslMode, tls::MakeTlsConnect};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    Fallible, Login,
    clients::{Connected, RUNTIME, told},
};

/// A connection that nothing was said over yet.
pub(crate) fn knock(login: &Login) -> Fallible<TcpStream> {
    Ok(TcpStream::connect((Ipv4Addr::LOCALHOST, login.port))?)
}

/// A connection, as soon as somebody listens.
pub(crate) fn knock_until_heard(login: &Login) -> TcpStream {
    loop {
        match knock(login) {
            Ok(stream) => return stream,
            Err(_) => thread::yield_now(),
        }
    }
}

/// Logs in over a connection, with TLS and SCRAM.
pub(crate) fn log_in_over(stream: TcpStream, login: &Login, role: &str, password: &str) -> Fallible<Connected> {
    let certificate = fs::read(login.socket.parent().ok_or("no directory")?.with_extension("crt"))?;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&certificate)?)?;
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let tls = tls.with_safe_default_protocol_versions()?.with_root_certificates(roots).with_no_client_auth();
    let mut tls = MakeRustlsConnect::new(tls);
    let mut config = Config::new();
    config.user(role).password(password).dbname("neondb").ssl_mode(SslMode::Require);
    stream.set_nonblocking(true)?;
    RUNTIME.block_on(async {
        let stream = tokio::net::TcpStream::from_std(stream)?;
        let tls = MakeTlsConnect::<tokio::net::TcpStream>::make_tls_connect(&mut tls, "127.0.0.1")?;
        let (client, connection) = config.connect_raw(stream, tls).await.map_err(told)?;
        tokio::spawn(connection);
        Ok(Connected::new(client))
    })
}

/// What comes back for `bytes` until the other side hangs up.
pub(crate) fn say(mut stream: TcpStream, bytes: &[u8]) -> Fallible<String> {
    stream.write_all(bytes)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
