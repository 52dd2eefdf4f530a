//! What can be asked for, and where.

use hyper::{Method, StatusCode};

use super::answer::Refusal;
use super::documents::Document;
use super::page::{self, Asset};

/// What answers a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Endpoint {
    /// A document as it is.
    Document(Document),
    /// The links, all or some.
    Links,
    Events,
    Graphs,
    Graph,
    Stream,
    Kick,
    Mask,
    Unmask,
    Reload,
    OpenApi,
    Metrics,
    Health,
    /// A file of the status page.
    Page(&'static Asset),
}

/// What the address of a graph begins with; then its name and form.
pub(super) const GRAPHS: &str = "/api/v1/graphs/";

/// A path, and the one method that it takes (`HEAD` where it takes `GET`).
#[derive(Debug)]
pub(super) struct Route {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) endpoint: Endpoint,
}

const fn get(path: &'static str, endpoint: Endpoint) -> Route {
    Route {
        method: Method::GET,
        path,
        endpoint,
    }
}

/// `openapi.json` describes each of them.
pub(super) static ROUTES: [Route; 18] = [
    get("/api/v1/status", Endpoint::Document(Document::Status)),
    get("/api/v1/site", Endpoint::Document(Document::Site)),
    get("/api/v1/sets", Endpoint::Document(Document::Sets)),
    get("/api/v1/links", Endpoint::Links),
    get("/api/v1/tunnels", Endpoint::Document(Document::Tunnels)),
    get("/api/v1/ports", Endpoint::Document(Document::Ports)),
    get("/api/v1/drops", Endpoint::Document(Document::Drops)),
    get("/api/v1/events", Endpoint::Events),
    get("/api/v1/graphs", Endpoint::Graphs),
    get("/api/v1/graphs/{file}", Endpoint::Graph),
    get("/api/v1/stream", Endpoint::Stream),
    get("/api/v1/openapi.json", Endpoint::OpenApi),
    get("/metrics", Endpoint::Metrics),
    get("/healthz", Endpoint::Health),
    Route {
        method: Method::POST,
        path: "/api/v1/kick",
        endpoint: Endpoint::Kick,
    },
    Route {
        method: Method::POST,
        path: "/api/v1/mask",
        endpoint: Endpoint::Mask,
    },
    Route {
        method: Method::POST,
        path: "/api/v1/unmask",
        endpoint: Endpoint::Unmask,
    },
    Route {
        method: Method::POST,
        path: "/api/v1/reload",
        endpoint: Endpoint::Reload,
    },
];

/// Who answers.
///
/// # Errors
/// When nothing has this path, or it does not take this method.
pub(super) fn find(method: &Method, path: &str) -> Result<Endpoint, Refusal> {
    let is_meant = |route: &&Route| match route.endpoint {
        Endpoint::Graph => path.starts_with(GRAPHS),
        _ => route.path == path,
    };
    let found = ROUTES.iter().find(is_meant);
    let found = found.map(|route| (route.endpoint, route.method == Method::GET));
    let asset = || page::ASSETS.iter().find(|asset| asset.path == path);
    let found = found.or_else(|| Some((Endpoint::Page(asset()?), true)));
    let Some((endpoint, reads)) = found else {
        return Err(Refusal::new(
            StatusCode::NOT_FOUND,
            "there is nothing here; /api/v1/openapi.json says what there is",
        ));
    };
    let fits = match reads {
        true => matches!(*method, Method::GET | Method::HEAD),
        false => *method == Method::POST,
    };
    if fits {
        return Ok(endpoint);
    }
    let allowed = if reads { "GET, HEAD" } else { "POST" };
    let text = format!("{path} takes {allowed}");
    Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, text).allow(allowed))
}
