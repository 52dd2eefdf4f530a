//! Graphs by name, time and form.

use std::ops::Range;
use std::sync::Arc;

use hyper::StatusCode;
use hyper::header::HeaderValue;
use percent_encoding::percent_decode_str;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::answer::{Answer, Content, Refusal, ok};
use super::handler::written;
use super::query::Query;
use super::routes::GRAPHS;
use super::server::Shared;
use crate::management::drawing::{self, Form};
use crate::management::history::{self, Graphs, HistoryError, Part, unix_time_s};
use crate::management::span;
use crate::monitor::History;

/// What is shown when nobody says of which time.
const USUAL: &str = "1h";
/// Times may be so far after 1970, in seconds: a thousand years.
const LATEST_S: usize = 32_000_000_000;

impl From<HistoryError> for Refusal {
    fn from(error: HistoryError) -> Self {
        let status = match error {
            HistoryError::NoGraph(_) => StatusCode::NOT_FOUND,
            HistoryError::NoRange(_) => StatusCode::BAD_REQUEST,
            HistoryError::NotReady => StatusCode::SERVICE_UNAVAILABLE,
            HistoryError::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let is_busy = error == HistoryError::NotReady;
        let refusal = Self::new(status, error.to_string());
        if is_busy {
            refusal.retry_after_s(1)
        } else {
            refusal
        }
    }
}

/// The names that there are.
pub(super) fn names(history: &History) -> Result<Answer, Refusal> {
    let graphs = history::names(history)?;
    written(&Graphs { graphs })
}

/// One graph, read and drawn by a thread that may take its time. A disk that stands still keeps that thread, and not the client.
pub(super) async fn graph(shared: &Shared, path: &str, query: &Query) -> Result<Answer, Refusal> {
    let file = path.strip_prefix(GRAPHS).unwrap_or_default();
    let file = percent_decode_str(file).decode_utf8();
    let file = file.map_err(|_| bad("the name of the graph is not UTF-8"))?;
    let Some((name, form)) = Form::of_file(&file) else {
        let endings = Form::ENDINGS.map(|(ending, _)| ending).join(", ");
        let text = format!("write the name of a graph, and one of these behind its dot: {endings}");
        return Err(Refusal::new(StatusCode::NOT_FOUND, text));
    };
    let range_s = range(query, unix_time_s())?;
    let drawn = drawn(shared, name.to_owned(), range_s, form);
    let Ok(drawn) = timeout(shared.limits.draw_patience, drawn).await else {
        let text = "the graph was not drawn in time: the disk is slow, or many ask";
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, text).retry_after_s(10));
    };
    let kind = HeaderValue::from_static(form.content_type());
    Ok(ok(kind, Content::Whole(Some(drawn?.into()))))
}

/// Waits for a place among those who draw, and draws. Who goes while waiting is not drawn for.
async fn drawn(
    shared: &Shared,
    name: String,
    range_s: Range<u64>,
    form: Form,
) -> Result<Vec<u8>, Refusal> {
    let failed = |error: String| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error);
    let place = Arc::clone(&shared.drawn).acquire_owned().await;
    let place = place.map_err(|error| failed(error.to_string()))?;
    let history = shared.history.clone();
    let drawn = spawn_blocking(move || {
        let _place = place;
        let part = Part::read(&history, &name, &range_s)?;
        let graph = drawing::graph(&name, &range_s, &part);
        Ok(drawing::drawn(&graph, form))
    });
    let drawn = drawn.await.map_err(|error| failed(error.to_string()))?;
    drawn.map_err(|error: HistoryError| error.into())
}

/// `last`, or `day`, or `from` and `to`.
fn range(query: &Query, now_s: u64) -> Result<Range<u64>, Refusal> {
    let from = query.number("from", LATEST_S)?;
    let to = query.number("to", LATEST_S)?;
    match (query.text("last"), query.text("day"), from, to) {
        (last, None, None, None) => span::last(last.unwrap_or(USUAL), now_s).map_err(bad),
        (None, Some(day), None, None) => span::day(day, now_s).map_err(bad),
        (None, None, Some(from), to) => Ok(from as u64..to.map_or(now_s, |to| to as u64)),
        _ => Err(bad(
            "write `last`, or `day`, or `from` with or without `to`",
        )),
    }
}

fn bad(text: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, text)
}
