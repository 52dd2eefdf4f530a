//! From a request to its answer.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH,
};
use hyper::{Method, Request, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::answer::{Answer, Content, Refusal, json, ok};
use super::documents::{Document, Documents};
use super::graphs;
use super::metrics::Format;
use super::page::Asset;
use super::query::Query;
use super::routes::{self, Endpoint};
use super::server::Shared;
use super::stream;
use crate::engine::{LONGEST_MASK, MaskRefusal, SHORTEST_MASK};
use crate::management::request::{self, Asker, Question, Unanswered};
use crate::monitor::Event;

/// The description of all that is served, for people and programs.
const OPENAPI: Bytes = Bytes::from_static(include_bytes!("openapi.json"));
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");

/// Events that are given when nobody says how many, and at most.
const EVENTS: usize = 100;
const MOST_EVENTS: usize = 1000;
/// Links that are given at most.
const MOST_LINKS: usize = 1_000_000;
/// How long a link is masked when nobody says.
const USUAL_MASK_S: u64 = 60;

/// Whose requests are answered.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) address: IpAddr,
    /// Ends the connection at once.
    pub(super) hang_up: Arc<Notify>,
    pub(super) shared: Arc<Shared>,
}

/// The answer to a request, whatever it is.
pub(super) async fn answer(client: &Client, request: Request<Incoming>) -> Answer {
    let answered = client.answer(request).await;
    answered.unwrap_or_else(Answer::from)
}

/// What `kick` is sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct KickRequest {
    /// Of an `outgoing` or `incoming`, whose tunnels end, or the `graph` of a link, whose session ends.
    pub(super) name: String,
}

/// What `mask` is sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct MaskRequest {
    /// The `graph` of a link, or the name of an `outgoing` or `incoming`, whose links that are up are masked.
    pub(super) name: String,
    /// For how long: from 1 to 3600; 60 when it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) for_s: Option<u64>,
}

/// What `unmask` is sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct UnmaskRequest {
    /// As for `mask`.
    pub(super) name: String,
}

/// What `reload` is sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct ReloadRequest {
    /// Only say what would be done; false when it is absent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) dry_run: bool,
}

/// The newest events, the newest first.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct EventList {
    pub(super) events: Vec<Event>,
}

/// What `healthz` says.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Health {
    /// `ok`.
    pub(super) status: String,
}

impl Client {
    async fn answer(&self, request: Request<Incoming>) -> Result<Answer, Refusal> {
        let shared = &self.shared;
        let taken = shared
            .requests
            .take(Instant::now(), self.address, &shared.limits);
        taken.map_err(|wait| {
            let text = "this address asks too often";
            Refusal::new(StatusCode::TOO_MANY_REQUESTS, text)
                .retry_after_s(wait.as_secs().saturating_add(1))
        })?;
        shared.guard.host(request.uri(), request.headers())?;
        let endpoint = routes::find(request.method(), request.uri().path())?;
        let query = |known: &[&str]| Query::parse(request.uri().query(), known);
        if request.method() == Method::POST {
            query(&[])?;
            shared.guard.action(request.headers())?;
        }
        match endpoint {
            Endpoint::Links => self.links(&query(&["set", "skip", "most"])?),
            Endpoint::Events => self.events(&query(&["graph", "most"])?),
            Endpoint::Graphs => {
                query(&[])?;
                graphs::names(&shared.history)
            }
            Endpoint::Graph => {
                let query = query(&["last", "from", "to", "day"])?;
                graphs::graph(shared, request.uri().path(), &query).await
            }
            Endpoint::Page(asset) => {
                query(&[])?;
                Ok(page(asset, request.headers()))
            }
            Endpoint::Document(document) => {
                query(&[])?;
                Ok(json(self.documents()?.get(document)?))
            }
            Endpoint::Metrics => {
                query(&[])?;
                self.metrics(request.headers())
            }
            Endpoint::Stream => {
                query(&[])?;
                self.stream()
            }
            Endpoint::OpenApi => {
                query(&[])?;
                Ok(json(OPENAPI))
            }
            Endpoint::Health => {
                query(&[])?;
                self.health()
            }
            Endpoint::Kick => self.kick(request).await,
            Endpoint::Mask => self.mask(request).await,
            Endpoint::Unmask => self.unmask(request).await,
            Endpoint::Reload => self.reload(request).await,
        }
    }

    fn documents(&self) -> Result<Arc<Documents>, Refusal> {
        self.shared.shelf.newest().ok_or_else(|| {
            let text = "the appliance starts: nothing has been read yet";
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, text).retry_after_s(1)
        })
    }

    fn links(&self, query: &Query) -> Result<Answer, Refusal> {
        let set = query.text("set");
        let skip = query.number("skip", MOST_LINKS)?;
        let most = query.number("most", MOST_LINKS)?;
        let documents = self.documents()?;
        if set.is_none() && skip.is_none() && most.is_none() {
            return Ok(json(documents.get(Document::Links)?));
        }
        let sessions = documents.moment.status.sessions.iter();
        let of_set = sessions.filter(|it| set.is_none() || it.set.as_deref() == set);
        let some = of_set.skip(skip.unwrap_or(0));
        let some: Vec<_> = some.take(most.unwrap_or(MOST_LINKS)).collect();
        written(&some)
    }

    fn events(&self, query: &Query) -> Result<Answer, Refusal> {
        let graph = query.text("graph");
        let most = query.number("most", MOST_EVENTS)?.unwrap_or(EVENTS);
        let wanted = |event: &Event| graph.is_none_or(|graph| event.graph() == graph);
        let events = self.shared.events.newest(most, wanted);
        written(&EventList { events })
    }

    fn metrics(&self, headers: &HeaderMap) -> Result<Answer, Refusal> {
        let accepted = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
        let format = Format::accepted(accepted.unwrap_or_default());
        let document = match format {
            Format::OpenMetrics => Document::OpenMetrics,
            Format::Prometheus => Document::Prometheus,
        };
        let text = self.documents()?.get(document)?;
        let kind = HeaderValue::from_static(format.content_type());
        Ok(ok(kind, Content::Whole(Some(text))))
    }

    fn stream(&self) -> Result<Answer, Refusal> {
        let shared = &self.shared;
        let site = self.shared.shelf.newest();
        let site = site.and_then(|documents| documents.get(Document::Site).ok());
        let greeting = match &site {
            Some(site) => stream::message(&[], Some(site)),
            None => stream::SILENCE,
        };
        let hang_up = Arc::clone(&self.hang_up);
        let messages = shared.hub.listen(shared.limits.streams, greeting, hang_up);
        let messages = messages.ok_or_else(|| {
            let text = "too many clients listen already";
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, text).retry_after_s(10)
        })?;
        Ok(ok(EVENT_STREAM, Content::Stream(messages)))
    }

    fn health(&self) -> Result<Answer, Refusal> {
        let age = self.documents()?.seen.elapsed();
        if age > self.shared.limits.stale_after {
            let text = format!(
                "the control thread has not answered for {} s",
                age.as_secs()
            );
            return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, text));
        }
        written(&Health {
            status: "ok".to_owned(),
        })
    }

    async fn kick(&self, request: Request<Incoming>) -> Result<Answer, Refusal> {
        let wanted: KickRequest = self.wanted(request, "{ \"name\": NAME }").await?;
        log::info!("http: {} kicks {:?}", self.address, wanted.name);
        match self.control(Question::Kick(wanted.name)).await? {
            request::Answer::Kicked(kicked) => written(&kicked),
            other => Err(refusal(other)),
        }
    }

    async fn mask(&self, request: Request<Incoming>) -> Result<Answer, Refusal> {
        let form = "{ \"name\": NAME, \"for_s\": SECONDS }";
        let wanted: MaskRequest = self.wanted(request, form).await?;
        let (name, for_s) = (wanted.name, wanted.for_s.unwrap_or(USUAL_MASK_S));
        if !(SHORTEST_MASK..=LONGEST_MASK).contains(&Duration::from_secs(for_s)) {
            let text = MaskRefusal::Time.to_string();
            return Err(Refusal::new(StatusCode::BAD_REQUEST, text));
        }
        log::info!("http: {} masks {name:?} for {for_s} s", self.address);
        match self.control(Question::Mask { name, for_s }).await? {
            request::Answer::Masked(masked) => written(&masked),
            other => Err(refusal(other)),
        }
    }

    async fn unmask(&self, request: Request<Incoming>) -> Result<Answer, Refusal> {
        let wanted: UnmaskRequest = self.wanted(request, "{ \"name\": NAME }").await?;
        log::info!("http: {} unmasks {:?}", self.address, wanted.name);
        match self.control(Question::Unmask(wanted.name)).await? {
            request::Answer::Unmasked(unmasked) => written(&unmasked),
            other => Err(refusal(other)),
        }
    }

    async fn reload(&self, request: Request<Incoming>) -> Result<Answer, Refusal> {
        let wanted: ReloadRequest = self.wanted(request, "{ \"dry_run\": false }").await?;
        let how = if wanted.dry_run { ", to see" } else { "" };
        log::info!(
            "http: {} has the configuration read again{how}",
            self.address
        );
        let asked = self.asked(move |asker| asker.reload(wanted.dry_run));
        match asked.await? {
            request::Answer::Reloaded(reloaded) => written(&reloaded),
            request::Answer::Refused(why) => Err(Refusal::new(StatusCode::CONFLICT, why)),
            other => Err(refusal(other)),
        }
    }

    /// What an action is asked for, of this `form`.
    async fn wanted<T: DeserializeOwned>(
        &self,
        request: Request<Incoming>,
        form: &str,
    ) -> Result<T, Refusal> {
        let kind = request.headers().get(CONTENT_TYPE);
        let is_json = kind
            .and_then(|kind| kind.to_str().ok()?.split(';').next())
            .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
        if !is_json {
            return Err(Refusal::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "this takes `Content-Type: application/json`",
            ));
        }
        let body = self.body(request.into_body()).await?;
        serde_json::from_slice(&body).map_err(|error| {
            let text = format!("this takes {form}: {error}");
            Refusal::new(StatusCode::BAD_REQUEST, text)
        })
    }

    /// What the control thread answers.
    async fn control(&self, question: Question) -> Result<request::Answer, Refusal> {
        self.asked(move |asker| asker.try_ask(question)).await
    }

    async fn asked(
        &self,
        ask: impl FnOnce(&Asker) -> Result<request::Answer, Unanswered> + Send + 'static,
    ) -> Result<request::Answer, Refusal> {
        let asker = self.shared.asker.clone();
        match spawn_blocking(move || ask(&asker)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(unanswered)) => {
                let text = unanswered.to_string();
                Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, text).retry_after_s(1))
            }
            Err(error) => Err(Refusal::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                error.to_string(),
            )),
        }
    }

    /// A whole body, if it is small and comes soon.
    async fn body(&self, body: Incoming) -> Result<Bytes, Refusal> {
        let limits = &self.shared.limits;
        let whole = Limited::new(body, limits.body_octets).collect();
        let Ok(collected) = timeout(limits.body_patience, whole).await else {
            let text = "the body did not come in time";
            return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, text));
        };
        let collected = collected.map_err(|error| {
            if error.is::<LengthLimitError>() {
                let text = format!("the body has more than {} octets", limits.body_octets);
                return Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, text);
            }
            Refusal::new(StatusCode::BAD_REQUEST, error.to_string())
        })?;
        Ok(collected.to_bytes())
    }
}

/// Of an answer that is not the one that was asked for.
fn refusal(answer: request::Answer) -> Refusal {
    match answer {
        request::Answer::Refused(why) => Refusal::new(StatusCode::NOT_FOUND, why),
        request::Answer::NotNow(why) => Refusal::new(StatusCode::CONFLICT, why),
        _ => {
            let text = "the control thread answered something else";
            Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, text)
        }
    }
}

/// A file of the page: whole, or not at all where it is known already.
fn page(asset: &'static Asset, headers: &HeaderMap) -> Answer {
    let etag = asset.etag();
    let known = headers.get(IF_NONE_MATCH).and_then(|it| it.to_str().ok());
    let is_known = known.is_some_and(|known| known.split(',').any(|it| it.trim() == etag));
    let body = (!is_known).then(|| Bytes::from_static(asset.body));
    let kind = HeaderValue::from_static(asset.content_type);
    let mut answer = ok(kind, Content::Whole(body));
    if is_known {
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = answer.headers_mut();
    // It is asked each time whether it is still the same: the appliance may be a newer one.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(ETAG, etag);
    }
    answer
}

pub(super) fn written(value: &impl Serialize) -> Result<Answer, Refusal> {
    let text = serde_json::to_vec(value);
    let text =
        text.map_err(|error| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok(json(text.into()))
}
