//! The console at `/`: pages of our own, embedded, which use the public API and nothing else.
//!
//! Every address of a page gets the same document, which shows what the address says. Nothing is loaded from elsewhere, and
//! the Content-Security-Policy lets the browser run and ask nothing but what this server gives.

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};
use std::{io::Write, sync::Arc};

/// A file as it is served.
struct Served {
    bytes: &'static [u8],
    gzipped: Bytes,
    content_type: HeaderValue,
    tag: HeaderValue,
}

/// A file.
struct Asset {
    name: &'static str,
    bytes: &'static [u8],
}

macro_rules! assets {
    ($($name:literal),* $(,)?) => {
        &[$(Asset { name: $name, bytes: include_bytes!(concat!("../console/", $name)) }),*]
    };
}

/// The document that every page begins with.
const DOCUMENT: Asset = Asset { name: "index.html", bytes: include_bytes!("../console/index.html") };

/// What the document loads, from `/console/`.
const ASSETS: &[Asset] = assets![
    "icon.svg",
    "lib/api.js",
    "lib/dialog.js",
    "lib/dom.js",
    "lib/env.js",
    "lib/format.js",
    "lib/icons.js",
    "lib/names.js",
    "lib/operations.js",
    "lib/picker.js",
    "lib/point.js",
    "lib/project.js",
    "lib/roles.js",
    "lib/router.js",
    "lib/session.js",
    "lib/theme-button.js",
    "lib/ui.js",
    "main.js",
    "picture.css",
    "picture/histories.js",
    "picture/layout.js",
    "picture/picture.js",
    "picture/scale.js",
    "style.css",
    "theme.js",
    "views/branch-dialogs.js",
    "views/branches.js",
    "views/changes.js",
    "views/computes.js",
    "views/databases.js",
    "views/deleted.js",
    "views/general.js",
    "views/inspector.js",
    "views/keys.js",
    "views/operations.js",
    "views/password.js",
    "views/projects.js",
    "views/signin.js",
    "views/users.js",
];

/// The addresses of pages.
const PAGES: [&str; 4] = ["/", "/projects", "/projects/{*page}", "/keys"];

/// Headers of every file besides those about the file.
const HEADERS: [(HeaderName, HeaderValue); 7] = [
    (header::VARY, HeaderValue::from_static("accept-encoding")),
    // Kept, but asked about each time: an upgraded server's pages and modules must fit each other.
    (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
        ),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];

/// Builds the console's routes: `/`, `/projects/…` and `/keys` are pages, and below `/console/` is what they load.
///
/// Merge it with [`router`](crate::router), on the same origin: the pages call `/api/v2`. It needs no key, for it shows nothing
/// by itself.
///
/// ```
/// # use offshoot_api::{ApiOptions, console, router};
/// # fn with_console(catalog: offshoot_catalog::Catalog) -> axum::Router {
/// router(catalog, ApiOptions::default()).merge(console())
/// # }
/// ```
pub fn console() -> Router {
    let document = serving(&DOCUMENT);
    let pages = PAGES.iter().fold(Router::new(), |router, page| router.route(page, document.clone()));
    ASSETS.iter().fold(pages, |router, asset| router.route(&format!("/console/{}", asset.name), serving(asset)))
}

fn serving(asset: &Asset) -> MethodRouter {
    let served = Arc::new(Served::new(asset));
    get(move |headers: HeaderMap| async move { served.answer(&headers) })
}

impl Served {
    fn new(asset: &Asset) -> Served {
        Served { bytes: asset.bytes, gzipped: gzip(asset.bytes), content_type: asset.content_type(), tag: asset.tag() }
    }

    /// The file, or 304 to a browser that has it already.
    fn answer(&self, request: &HeaderMap) -> Response {
        let known = request.get_all(header::IF_NONE_MATCH).iter().any(|known| matches(known, &self.tag));
        let mut response = if known {
            StatusCode::NOT_MODIFIED.into_response()
        } else if takes_gzip(request) {
            ([(header::CONTENT_ENCODING, "gzip")], self.gzipped.clone()).into_response()
        } else {
            self.bytes.into_response()
        };
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, self.content_type.clone());
        headers.insert(header::ETAG, self.tag.clone());
        for (name, value) in HEADERS {
            headers.insert(name, value);
        }
        response
    }
}

fn takes_gzip(request: &HeaderMap) -> bool {
    let accepted = request.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|coding| {
        let (coding, quality) = coding.split_once(';').unwrap_or((coding, ""));
        coding.trim().eq_ignore_ascii_case("gzip") && quality.trim() != "q=0"
    })
}

fn gzip(bytes: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    // Writing to memory cannot fail.
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.unwrap_or_default().into()
}

/// Whether one of the tags in an `If-None-Match` header is `tag`.
fn matches(known: &HeaderValue, tag: &HeaderValue) -> bool {
    let (Ok(known), Ok(tag)) = (known.to_str(), tag.to_str()) else { return false };
    known.split(',').map(str::trim).any(|known| known == "*" || known == tag)
}

impl Asset {
    /// The file's entity tag: a weak one, for it is the same whether the file is sent compressed or not.
    fn tag(&self) -> HeaderValue {
        let digest = Sha256::digest(self.bytes);
        let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        // Hexadecimal digits in quotes are always a valid header value.
        HeaderValue::from_str(&format!("W/\"{hex}\"")).unwrap_or(HeaderValue::from_static("W/\"\""))
    }

    fn content_type(&self) -> HeaderValue {
        let extension = self.name.rsplit('.').next().unwrap_or_default();
        HeaderValue::from_static(match extension {
            "html" => "text/html; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "svg" => "image/svg+xml",
            _ => "application/octet-stream",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{
        body::{Body, to_bytes},
        http::{Method, Request},
    };
    use flate2::read::GzDecoder;
    use std::{
        collections::BTreeSet,
        error::Error,
        fs,
        io::Read,
        path::{Path, PathBuf},
    };
    use tower::ServiceExt;

    type TestResult = Result<(), Box<dyn Error>>;

    async fn ask(request: Request<Body>) -> Result<Response, Box<dyn Error>> {
        Ok(console().oneshot(request).await?)
    }

    async fn get_page(path: &str) -> Result<Response, Box<dyn Error>> {
        ask(Request::get(path).body(Body::empty())?).await
    }

    fn files_below(dir: &Path, found: &mut Vec<PathBuf>) -> TestResult {
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.is_dir() { files_below(&path, found)? } else { found.push(path) }
        }
        Ok(())
    }

    #[test]
    fn every_file_of_the_directory_is_embedded() -> TestResult {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("console");
        let mut files = Vec::new();
        files_below(&root, &mut files)?;
        let there: BTreeSet<String> =
            files.iter().filter_map(|file| Some(file.strip_prefix(&root).ok()?.to_str()?.to_owned())).collect();
        let embedded = ASSETS.iter().chain([&DOCUMENT]).map(|asset| asset.name.to_owned()).collect();
        assert_eq!(there, embedded);
        Ok(())
    }

    #[tokio::test]
    async fn every_address_of_a_page_has_the_document_under_a_strict_policy() -> TestResult {
        for path in ["/", "/projects", "/projects/p/settings/users?branch=b", "/projects/a%2Fb", "/keys"] {
            let response = get_page(path).await?;
            assert_eq!(response.status(), 200, "{path}");
            assert_eq!(response.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
            let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str()?;
            assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
            assert_eq!(to_bytes(response.into_body(), usize::MAX).await?, DOCUMENT.bytes);
        }
        Ok(())
    }

    #[tokio::test]
    async fn a_browser_that_has_a_file_does_not_get_it_again() -> TestResult {
        let first = get_page("/console/main.js").await?;
        let tag = first.headers()[header::ETAG].clone();
        let several = format!("\"other\", {}", tag.to_str()?);
        for known in [tag, several.parse()?, "*".parse()?] {
            let request = Request::get("/console/main.js").header(header::IF_NONE_MATCH, known);
            let again = ask(request.body(Body::empty())?).await?;
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
            assert!(to_bytes(again.into_body(), usize::MAX).await?.is_empty());
        }
        let other = Request::get("/console/main.js").header(header::IF_NONE_MATCH, "\"other\"");
        assert_eq!(ask(other.body(Body::empty())?).await?.status(), StatusCode::OK);
        Ok(())
    }

    #[tokio::test]
    async fn files_are_compressed_for_those_who_take_that() -> TestResult {
        for (accepted, compressed) in
            [("gzip, br", true), ("deflate, GZIP;q=0.5", true), ("gzip;q=0", false), ("br", false)]
        {
            let request = Request::get("/console/style.css").header(header::ACCEPT_ENCODING, accepted);
            let response = ask(request.body(Body::empty())?).await?;
            assert_eq!(response.headers().contains_key(header::CONTENT_ENCODING), compressed, "{accepted}");
            let sent = to_bytes(response.into_body(), usize::MAX).await?;
            let mut text = Vec::new();
            if compressed {
                GzDecoder::new(&sent[..]).read_to_end(&mut text)?;
            } else {
                text.extend_from_slice(&sent);
            }
            assert_eq!(text, include_bytes!("../console/style.css"));
        }
        Ok(())
    }

    #[tokio::test]
    async fn pages_take_nothing_but_reading() -> TestResult {
        for method in [Method::POST, Method::PUT, Method::DELETE] {
            let request = Request::builder().method(method).uri("/projects");
            assert_eq!(ask(request.body(Body::empty())?).await?.status(), StatusCode::METHOD_NOT_ALLOWED);
        }
        Ok(())
    }

    #[test]
    fn the_document_has_no_script_or_style_of_its_own() -> TestResult {
        let text = std::str::from_utf8(DOCUMENT.bytes)?;
        assert!(!text.contains("<style") && !text.contains("style=") && !text.contains(" on"), "{text}");
        assert_eq!(
            text.matches("<script").count(),
            text.matches("<script src=").count() + text.matches("<script type=\"module\" src=").count()
        );
        Ok(())
    }
}
