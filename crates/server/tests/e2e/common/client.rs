//! A small HTTP client, in the terms of the walk. Every answer is held against the OpenAPI document.

use offshoot_api::testing::Document;
use serde_json::{Value, json};
use std::sync::LazyLock;
use ureq::{
    Agent,
    http::{HeaderMap, Request},
};

static DOCUMENT: LazyLock<Document> = LazyLock::new(Document::new);

/// Speaks to one server with one key.
#[derive(Clone)]
pub(crate) struct Client {
    agent: Agent,
    base: String,
    key: Option<String>,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// `null` where the answer had no body.
    pub(crate) body: Value,
}

impl Client {
    pub(crate) fn new(url: &str, key: Option<&str>) -> Client {
        let config = Agent::config_builder().http_status_as_error(false).build();
        Client { agent: config.into(), base: url.to_owned(), key: key.map(str::to_owned) }
    }

    /// Sends a request to a path below `/api/v2`.
    pub(crate) fn send(&self, method: &str, path: &str, body: Option<&str>) -> Result<Answer, ureq::Error> {
        self.send_with(method, path, body, &[])
    }

    pub(crate) fn send_with(
        &self,
        method: &str,
        path: &str,
        body: Option<&str>,
        headers: &[(&str, &str)],
    ) -> Result<Answer, ureq::Error> {
        let mut request = Request::builder().method(method).uri(format!("{}/api/v2{path}", self.base));
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = match body {
            Some(body) => self.agent.run(request.body(body.to_owned())?)?,
            None => self.agent.run(request.body(())?)?,
        };
        let text = response.body_mut().read_to_string()?;
        let body =
            if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap_or(Value::String(text)) };
        let status = response.status().as_u16();
        DOCUMENT.check(method, path, status, &body).unwrap_or_else(|problem| panic!("{problem}"));
        Ok(Answer { status, headers: response.headers().clone(), body })
    }

    /// The status of `GET /healthz`.
    pub(crate) fn healthz(&self) -> Result<u16, ureq::Error> {
        Ok(self.agent.get(format!("{}/healthz", self.base)).call()?.status().as_u16())
    }

    /// The answer to a request that must have this status.
    pub(crate) fn expect(&self, status: u16, method: &str, path: &str, body: Option<Value>) -> Value {
        let body = body.map(|body| body.to_string());
        let answer = self.send(method, path, body.as_deref()).expect("the server answers");
        assert_eq!(answer.status, status, "{method} {path} answered {}", answer.body);
        answer.body
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        self.expect(200, "GET", path, None)
    }

    pub(crate) fn delete(&self, path: &str) -> Value {
        self.expect(200, "DELETE", path, None)
    }

    /// Creates something.
    pub(crate) fn create(&self, path: &str, body: Value) -> Value {
        self.expect(201, "POST", path, Some(body))
    }

    /// Creates a project and gives the answer with the path of its root branch.
    pub(crate) fn create_project(&self) -> (Value, String) {
        let created = self.create("/projects", json!({ "project": {} }));
        let path = branch_path(&created);
        (created, path)
    }

    /// Creates a branch and gives the answer with the branch's path.
    pub(crate) fn create_branch(&self, project: &str, branch: Value) -> (Value, String) {
        let created = self.create(&format!("/projects/{project}/branches"), json!({ "branch": branch }));
        let path = branch_path(&created);
        (created, path)
    }

    pub(crate) fn create_role(&self, branch: &str, name: &str) -> Value {
        self.create(&format!("{branch}/roles"), json!({ "role": { "name": name } }))
    }

    /// The names of a branch's roles, in the order listed.
    pub(crate) fn role_names(&self, branch: &str) -> Vec<String> {
        let listed = self.get(&format!("{branch}/roles"));
        listed["roles"].as_array().expect("a list").iter().map(|role| text(&role["name"])).collect()
    }

    /// Waits until all operations of a project are finished.
    pub(crate) fn poll_until_settled(&self, project: &str) -> Value {
        self.poll(&format!("/projects/{project}/operations?limit=1000"), |answer| {
            let operations = answer["operations"].as_array().expect("a list");
            operations.iter().all(|operation| operation["status"] == "finished")
        })
    }

    /// Asks for `path` until its answer satisfies `done`; the server's own progress is all that is waited for.
    pub(crate) fn poll(&self, path: &str, done: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        for _ in 0..2000 {
            last = self.get(path);
            if done(&last) {
                return last;
            }
        }
        panic!("GET {path} still answers {last}");
    }
}

fn branch_path(created: &Value) -> String {
    format!("/projects/{}/branches/{}", text(&created["branch"]["project_id"]), text(&created["branch"]["id"]))
}

/// The text of a JSON string.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is not a string")).to_owned()
}
