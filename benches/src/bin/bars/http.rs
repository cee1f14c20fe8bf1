//! The API over HTTP: reads against a constant answer, and new roles against what they can't do without.

use std::{cell::Cell, fs::File, hint::black_box, net::SocketAddr, path::Path, rc::Rc, sync::Arc, thread};

use axum::{Router, http::header, routing::get};
use offshoot_api::ApiOptions;
use offshoot_benches::{
    Outcome,
    bars::{Bar, Limit},
    commits,
    http::{self, Request},
    open,
    rounds::{Candidate, interleaved},
    trees,
};
use offshoot_catalog::{Caller, Catalog, NewProject, OsEntropy, PasswordKeys, RoleLogin, ScramVerifier};
use offshoot_compute::Executor;
use offshoot_engine::{Engine, SledOptions, SledStore};
use offshoot_server::serve_connections;
use secrecy::{ExposeSecret, SecretString};
use tokio::{net::TcpListener, runtime::Runtime};
use tracing_subscriber::filter::LevelFilter;

use crate::{CACHE_BYTES, ROUNDS};

/// How many connections read at once.
const READERS: usize = 32;
/// How many connections create roles at once, and how many threads commit at once.
const WRITERS: usize = 64;
/// How many roles a list has.
const LISTED: usize = 20;

/// Reads against a constant answer of the same server, and new roles against the slower of what limits them.
pub(crate) fn http() -> Outcome<Vec<Bar>> {
    /// Each takes about a second.
    const READS: u64 = 20_000;
    const CREATED: u64 = 2_000;
    const COMMITTED: u64 = 6_000;
    const VERIFIERS: u64 = 500;
    const ROLES: u64 = 1_000;
    log_to_nowhere()?;
    let directory = tempfile::tempdir()?;
    let server = Server::start(&directory.path().join("data"))?;
    let (one, list) = (server.get("/roles/casey"), server.get("/roles"));
    let (body_one, body_list) = (http::body(server.address, &one(0), 200)?, http::body(server.address, &list(0), 200)?);
    let constant_one = server.constant(&body_one, offshoot_api::with_request_ids)?;
    let constant_list = server.constant(&body_list, offshoot_api::with_request_ids)?;
    let (bare_one, bare_list) = (server.constant(&body_one, |app| app)?, server.constant(&body_list, |app| app)?);
    let create = server.create();
    let plain: Request = Rc::new(|_| request("GET", "/", "", ""));
    let read = |address, request| http::send(address, READERS, 0..READS, 200, request);

    let engine = open(&directory.path().join("engine"), CACHE_BYTES)?;
    let branch = [trees::root(&engine, ROLES)?];
    let password = SecretString::from("as long as passwords are");
    let (created, committed) = (Cell::new(0), Cell::new(0));
    let times = interleaved(
        ROUNDS,
        &mut [
            Candidate::new("one role", || read(server.address, &one)),
            Candidate::new("constant", || read(constant_one, &plain)),
            Candidate::new("20 roles", || read(server.address, &list)),
            Candidate::new("constant", || read(constant_list, &plain)),
            Candidate::new("new role", || {
                let (first, before) = (created.get(), server.commits());
                http::send(server.address, WRITERS, first..first + CREATED, 201, &create)?;
                created.set(first + CREATED);
                committed.set(committed.get() + server.commits() - before);
                Ok(CREATED)
            }),
            Candidate::new("commit", || commits::commit(&engine, &branch, WRITERS, ROLES, COMMITTED)),
            Candidate::new("verifier", || {
                for _ in 0..VERIFIERS {
                    black_box(ScramVerifier::compute(&password, black_box([7; 16])));
                }
                Ok(VERIFIERS)
            }),
            Candidate::new("bare constant", || read(bare_one, &plain)),
            Candidate::new("bare constant", || read(bare_list, &plain)),
        ],
    )?;
    let commits_per_role = committed.get() as f64 / created.get() as f64;
    let by_commits = (format!("commits / {commits_per_role:.2}"), times[5].mul_f64(commits_per_role));
    let by_cores = ("cores / SCRAM".to_owned(), times[6] / u32::try_from(thread::available_parallelism()?.get())?);
    let (limit, slower) = if by_commits.1 > by_cores.1 { by_commits } else { by_cores };
    let bar = |name: &str, of: usize, to: (&str, std::time::Duration), limit| {
        Bar::rates(name, ("offshoot", times[of]), to, limit)
    };
    let at_least = || Limit::AtLeast(0.6);
    Ok(vec![
        bar("GET one role: to a constant answer", 0, ("constant", times[1]), at_least()),
        bar("GET one role: to a bare constant answer", 0, ("bare constant", times[7]), Limit::None),
        bar("GET 20 roles: to a constant answer", 2, ("constant", times[3]), at_least()),
        bar("GET 20 roles: to a bare constant answer", 2, ("bare constant", times[8]), Limit::None),
        bar("POST role, 64 clients: to the slower of its limits", 4, (&limit, slower), at_least()),
    ])
}

/// Writes the log that the server writes, to where nobody reads it.
fn log_to_nowhere() -> Outcome<()> {
    let nowhere = File::options().write(true).open("/dev/null")?;
    let log = tracing_subscriber::fmt().with_max_level(LevelFilter::INFO).with_ansi(false);
    log.with_writer(nowhere).try_init()
}

/// The text of a request.
fn request(method: &str, path: &str, key: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// A server as `offshoot serve --compute none` is, with a branch of 20 roles, and one in another project that gets new ones.
struct Server {
    address: SocketAddr,
    key: String,
    /// The paths of the branches.
    listed: String,
    growing: String,
    store: Arc<SledStore>,
    runtime: Runtime,
    _executor: Executor,
}

impl Server {
    fn start(directory: &Path) -> Outcome<Self> {
        let store = Arc::new(SledStore::open(directory, &SledOptions::default())?);
        let engine = Engine::open(Arc::clone(&store), offshoot_engine::Options::default())?;
        let keys = PasswordKeys::generate(&OsEntropy)?;
        let catalog = Catalog::open(engine, offshoot_catalog::Options::default().with_password_keys(keys))?;
        let account = catalog.account_create(&"casey".parse()?)?.id;
        let key = catalog.key_create(account, &"bars".parse()?)?.secret.expose_secret().to_owned();
        let caller = Caller::new(account);
        let branch = || -> Outcome<_> {
            let created = catalog.project_create(&caller, NewProject::default())?;
            Ok((created.project.id, created.branch.id))
        };
        let (listed, growing) = (branch()?, branch()?);
        for number in catalog.role_list(&caller, &listed.0, &listed.1)?.len()..LISTED {
            let name = format!("member_{number}").parse()?;
            catalog.role_create(&caller, &listed.0, &listed.1, name, RoleLogin::Password)?;
        }
        let path = |(project, branch)| format!("/api/v2/projects/{project}/branches/{branch}");
        let (listed, growing) = (path(listed), path(growing));
        let runtime = Runtime::new()?;
        let executor = Executor::start_without_computes(catalog.clone())?;
        let address = serve(&runtime, offshoot_api::router(catalog, ApiOptions::default()))?;
        Ok(Self { address, key, listed, growing, store, runtime, _executor: executor })
    }

    /// A server of the same kind that has nothing but this answer, in the given layers.
    fn constant(&self, body: &[u8], layers: impl FnOnce(Router) -> Router) -> Outcome<SocketAddr> {
        let body = bytes::Bytes::copy_from_slice(body);
        let answer = get(move || async move { ([(header::CONTENT_TYPE, "application/json")], body) });
        serve(&self.runtime, layers(Router::new().route("/", answer)))
    }

    fn get(&self, path: &str) -> Request {
        let request = request("GET", &format!("{}{path}", self.listed), &self.key, "");
        Rc::new(move |_| request.clone())
    }

    fn create(&self) -> Request {
        let (path, key) = (format!("{}/roles", self.growing), self.key.clone());
        Rc::new(move |number| request("POST", &path, &key, &format!(r#"{{"role": {{"name": "user_{number}"}}}}"#)))
    }

    /// How many commits there were.
    fn commits(&self) -> u64 {
        self.store.status().durable.number()
    }
}

/// Serves in the way of `offshoot serve`. Gives the address.
fn serve(runtime: &Runtime, app: Router) -> Outcome<SocketAddr> {
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let address = listener.local_addr()?;
    runtime.spawn(serve_connections(listener, app, std::future::pending()));
    Ok(address)
}
