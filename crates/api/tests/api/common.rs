//! The router in this process, without a network. Every answer is held against the OpenAPI document.

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode},
};
use offshoot_api::{ApiOptions, router, testing::Document};
use offshoot_catalog::{Caller, Catalog, ComputeState, Options, OsEntropy, Outcome, PasswordKeys};
use offshoot_engine::{Engine, MemoryStore, storage::Store};
use secrecy::SecretString;
use serde_json::{Value, json};
use std::{error::Error, sync::LazyLock};
use tower::ServiceExt;

/// What a test answers with, so that it can use `?`.
pub(crate) type TestResult = Result<(), Box<dyn Error>>;

pub(crate) const KEY: &str = "osk_a-key-for-tests-0123456789";

static DOCUMENT: LazyLock<Document> = LazyLock::new(Document::new);

/// A router over a catalog with the account `casey`.
pub(crate) struct App {
    pub(crate) router: Router,
    pub(crate) catalog: Catalog,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Null where there was none.
    pub(crate) body: Value,
}

impl App {
    pub(crate) fn new() -> Result<App, Box<dyn Error>> {
        App::with(ApiOptions::default(), storing_passwords()?)
    }

    pub(crate) fn with(api: ApiOptions, options: Options) -> Result<App, Box<dyn Error>> {
        App::over(MemoryStore::new(), api, options)
    }

    /// Over a store of the test's own.
    pub(crate) fn over(store: impl Store, api: ApiOptions, options: Options) -> Result<App, Box<dyn Error>> {
        let engine = Engine::open(store, offshoot_engine::Options::default())?;
        let catalog = Catalog::open(engine, options)?;
        let app = App { router: router(catalog.clone(), api), catalog };
        app.add_account("casey", KEY)?;
        Ok(app)
    }

    /// Makes an account with this key.
    pub(crate) fn add_account(&self, name: &str, key: &str) -> Result<Caller, Box<dyn Error>> {
        let account = self.catalog.account_create(&name.parse()?)?;
        self.catalog.key_import(account.id, &"tests".parse()?, &SecretString::from(key))?;
        Ok(Caller::new(account.id))
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: impl Into<Body>) -> Result<Answer, Box<dyn Error>> {
        self.send_as(Some(KEY), method, path, body).await
    }

    /// Sends a request to a path below `/api/v2` with a key, or none.
    pub(crate) async fn send_as(
        &self,
        key: Option<&str>,
        method: &str,
        path: &str,
        body: impl Into<Body>,
    ) -> Result<Answer, Box<dyn Error>> {
        let mut request = Request::builder().method(method).uri(format!("/api/v2{path}"));
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        self.send_request(request.body(body.into())?).await
    }

    pub(crate) async fn send_request(&self, request: Request<Body>) -> Result<Answer, Box<dyn Error>> {
        let (method, uri) = (request.method().to_string(), request.uri().to_string());
        let response = self.router.clone().oneshot(request).await?;
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await?;
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes)? };
        if let Some(path) = uri.strip_prefix("/api/v2") {
            DOCUMENT.check(&method, path, parts.status.as_u16(), &body)?;
        }
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }

    /// The body of an answer that must be a success.
    pub(crate) async fn ok(&self, method: &str, path: &str, body: Value) -> Result<Value, Box<dyn Error>> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.send(method, path, body).await?;
        assert!(answer.status.is_success(), "{method} {path} answered {}", answer.body);
        Ok(answer.body)
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value, Box<dyn Error>> {
        self.ok("GET", path, Value::Null).await
    }

    /// The body of a refusal with this status and code.
    pub(crate) async fn refused(
        &self,
        (status, code): (u16, &str),
        method: &str,
        path: &str,
        body: Value,
    ) -> Result<String, Box<dyn Error>> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.send(method, path, body).await?;
        assert_eq!(
            (answer.status.as_u16(), &answer.body["code"]),
            (status, &json!(code)),
            "{method} {path}: {}",
            answer.body
        );
        Ok(text(&answer.body["message"]).to_owned())
    }

    /// Creates a role, and gives its password.
    pub(crate) async fn role(&self, branch: &str, name: &str) -> Result<String, Box<dyn Error>> {
        let created = self.ok("POST", &format!("{branch}/roles"), json!({ "role": { "name": name } })).await?;
        Ok(text(&created["role"]["password"]).to_owned())
    }

    /// Creates a branch, and gives the answer with the branch's path.
    pub(crate) async fn branch(&self, project: &str, branch: Value) -> Result<(Value, String), Box<dyn Error>> {
        let created = self.ok("POST", &format!("{project}/branches"), json!({ "branch": branch })).await?;
        let path = format!("{project}/branches/{}", id(&created["branch"]));
        Ok((created, path))
    }

    /// Creates a project, and gives the answer with the paths of the project and of its root branch.
    pub(crate) async fn project(&self) -> Result<(Value, String, String), Box<dyn Error>> {
        let created = self.ok("POST", "/projects", Value::Null).await?;
        let project = format!("/projects/{}", id(&created["project"]));
        let main = format!("{project}/branches/{}", id(&created["branch"]));
        Ok((created, project, main))
    }

    /// Finishes all operations, and leaves computes in `state`.
    pub(crate) fn settle(&self, state: ComputeState) -> TestResult {
        loop {
            let due = self.catalog.operations_due(100)?;
            if due.is_empty() {
                return Ok(());
            }
            for due in due {
                let compute = due.operation.endpoint.is_some().then_some(state);
                self.catalog.operations_finish(&[(due.project, due.operation.id, Outcome::Finished { compute })])?;
            }
        }
    }
}

/// Options with which projects store passwords.
pub(crate) fn storing_passwords() -> Result<Options, Box<dyn Error>> {
    Ok(Options::default().with_password_keys(PasswordKeys::generate(&OsEntropy)?))
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is not a string"))
}

pub(crate) fn id(value: &Value) -> &str {
    text(&value["id"])
}

pub(crate) fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("{value} is not a list"))
}

/// One field of each element of a list.
pub(crate) fn each(value: &Value, field: &str) -> Vec<String> {
    list(value).iter().map(|item| text(&item[field]).to_owned()).collect()
}
