//! TLS to servers that somebody else runs.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    thread,
};

use offshoot_catalog::EndpointId;
use offshoot_compute::{ExternalServers, ServerAddress, ServerList};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use crate::common::{Elsewhere, Fallible, TestResult, World, admin, log_in};

const PASSWORD: &str = "of-the-administrator";

/// A world whose endpoint has no server yet, and a server that lets an administrator in over TLS.
fn start(port: u16) -> Fallible<(World, Elsewhere, EndpointId)> {
    let elsewhere = Elsewhere::start(port)?;
    admin(&elsewhere.login, "postgres")?.run(&format!("CREATE ROLE dba SUPERUSER LOGIN PASSWORD '{PASSWORD}'"))?;
    let world = World::with_list(elsewhere.list())?;
    let endpoint = world.catalog.endpoint_list(&world.caller, &world.project)?.remove(0).id;
    Ok((world, elsewhere, endpoint))
}

/// The certificate of an authority, and what the authority makes for a name: a certificate, and its key.
fn vouched_for(name: &str) -> Fallible<(String, (String, String))> {
    let (mut authority, its_key) = (CertificateParams::new(Vec::new())?, KeyPair::generate()?);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = authority.self_signed(&its_key)?.pem();
    let (by, key) = (Issuer::new(authority, its_key), KeyPair::generate()?);
    let certificate = CertificateParams::new(vec![name.to_owned()])?.signed_by(&key, &by)?;
    Ok((root, (certificate.pem(), key.serialize_pem())))
}

fn self_signed(is_ca: IsCa) -> Fallible<(String, String)> {
    let (mut params, key) = (CertificateParams::new(vec!["127.0.0.1".to_owned()])?, KeyPair::generate()?);
    params.is_ca = is_ca;
    Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
}

/// Gives the server another certificate.
fn furnish(elsewhere: &Elsewhere, (certificate, key): &(String, String)) -> TestResult {
    fs::write(elsewhere.file("crt"), certificate)?;
    fs::write(elsewhere.file("tls"), key)?;
    admin(&elsewhere.login, "postgres")?.run("SELECT pg_reload_conf()")
}

/// Waits until an operation fails for this reason; no error ever shows a password.
fn expect_failure(world: &World, reason: &str) -> TestResult {
    let error = |operation: &offshoot_catalog::Operation| operation.error.clone().unwrap_or_default();
    let failed = world.wait_for(|operation| error(operation).contains(reason))?;
    let error = error(&failed);
    assert!(!error.contains(PASSWORD) && !error.contains("password="), "{error}");
    Ok(())
}

#[test]
fn a_server_whose_certificate_is_vouched_for_is_applied_to_and_shown_to_clients() -> TestResult {
    let (mut world, elsewhere, endpoint) = start(32_011)?;
    let main = world.main.clone();
    let (root, certificate) = vouched_for("db.example.com")?;
    furnish(&elsewhere, &certificate)?;
    let ca = elsewhere.write("ca.pem", &root)?;
    let by_name = format!("host=db.example.com hostaddr=127.0.0.1 user=dba password={PASSWORD}");
    elsewhere.give(&endpoint, &format!("{by_name} sslmode=verify-full sslrootcert='{}'", ca.display()))?;
    world.create_role(&main, "sally")?;
    world.settle()?;
    log_in(&elsewhere.login, "sally", &world.passwords[&main]["sally"], "neondb")?;

    let servers = ExternalServers::new(ServerList::File(elsewhere.list()), None)?;
    let port = elsewhere.login.port;
    let shown = |host: &str, has_tls| Some(ServerAddress { host: host.to_owned(), port, has_tls });
    assert_eq!(servers.address(&endpoint), shown("db.example.com", true));
    // A list that has changed is read again.
    elsewhere.give(&endpoint, &format!("hostaddr=127.0.0.1 user=dba password={PASSWORD}"))?;
    assert_eq!(servers.address(&endpoint), shown("127.0.0.1", false));
    assert_eq!(servers.address(&"ep-no-server-1".parse()?), None);
    Ok(())
}

#[test]
fn a_server_that_cannot_prove_who_it_is_is_refused_with_what_would_be_right() -> TestResult {
    let (mut world, elsewhere, endpoint) = start(32_012)?;
    let main = world.main.clone();
    let right = self_signed(IsCa::NoCa)?;
    furnish(&elsewhere, &right)?;
    let ca = elsewhere.write("ca.pem", &right.0)?;
    let other = elsewhere.write("other.pem", &self_signed(IsCa::NoCa)?.0)?;
    let connection = |host: &str, file: &std::path::Path, password: &str| {
        let (secured, file) = ("sslmode=require", file.display());
        format!("host={host} hostaddr=127.0.0.1 user=dba password={password} {secured} sslrootcert={file}")
    };
    for (server, reason) in [
        (connection("127.0.0.1", &other, PASSWORD), "none of the certificates that are trusted vouches for"),
        (connection("db.example.com", &ca, PASSWORD), "connect to a name that stands in the server's certificate"),
        (connection("127.0.0.1", &ca, "of-the-administrator-once"), "password authentication failed for user"),
        (connection("127.0.0.1", &elsewhere.list(), PASSWORD), "holds no certificate"),
        (connection("127.0.0.1", &ca.with_extension("missing"), PASSWORD), "ca.missing"),
    ] {
        elsewhere.give(&endpoint, &server)?;
        expect_failure(&world, reason)?;
    }
    // What libpq would take: the authority's own certificate.
    let authority = self_signed(IsCa::Ca(BasicConstraints::Unconstrained))?;
    furnish(&elsewhere, &authority)?;
    let file = elsewhere.write("authority.pem", &authority.0)?;
    elsewhere.give(&endpoint, &connection("127.0.0.1", &file, PASSWORD))?;
    expect_failure(&world, "basicConstraints CA:FALSE")?;

    furnish(&elsewhere, &right)?;
    elsewhere.give(&endpoint, &connection("127.0.0.1", &ca, PASSWORD))?;
    world.create_role(&main, "sally")?;
    world.settle()?;
    Ok(log_in(&elsewhere.login, "sally", &world.passwords[&main]["sally"], "neondb")?)
}

#[test]
fn a_server_without_tls_is_not_told_anything_where_tls_is_asked_for() -> TestResult {
    let (world, elsewhere, endpoint) = start(32_013)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(mut client) = client else { return };
            let mut asked = [0; 8];
            // Whoever goes on in clear text is waited for.
            let _ = client.read_exact(&mut asked).and_then(|()| client.write_all(b"N"));
            let mut rest = Vec::new();
            let _ = client.read_to_end(&mut rest);
            assert_eq!(rest, b"", "something was told in clear text");
        }
    });
    let connection = format!("{endpoint} postgresql://dba:{PASSWORD}@127.0.0.1:{port}/postgres?sslmode=verify-full\n");
    fs::write(elsewhere.list(), connection)?;
    expect_failure(&world, "turn its setting ssl on")
}
