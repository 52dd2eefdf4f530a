//! Graphs by name, time and form.

use std::ops::Range;

use hyper::StatusCode;
use hyper::header::HeaderValue;
use percent_encoding::percent_decode_str;
use tokio::task::spawn_blocking;

use super::answer::{Answer, Content, Refusal, ok};
use super::handler::written;
use super::query::Query;
use super::routes::GRAPHS;
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

/// One graph, read and drawn by a thread that may take its time.
pub(super) async fn graph(history: &History, path: &str, query: &Query) -> Result<Answer, Refusal> {
    let file = path.strip_prefix(GRAPHS).unwrap_or_default();
    let file = percent_decode_str(file).decode_utf8();
    let file = file.map_err(|_| bad("the name of the graph is not UTF-8"))?;
    let Some((name, form)) = Form::of_file(&file) else {
        let endings = Form::ENDINGS.map(|(ending, _)| ending).join(", ");
        let text = format!("write the name of a graph, and one of these behind its dot: {endings}");
        return Err(Refusal::new(StatusCode::NOT_FOUND, text));
    };
    let range_s = range(query, unix_time_s())?;
    let (name, history) = (name.to_owned(), history.clone());
    let drawn = spawn_blocking(move || {
        let part = Part::read(&history, &name, &range_s)?;
        Ok(drawing::drawn(
            &drawing::graph(&name, &range_s, &part),
            form,
        ))
    });
    let failed = |error: tokio::task::JoinError| {
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    };
    let drawn: Result<Vec<u8>, HistoryError> = drawn.await.map_err(failed)?;
    let kind = HeaderValue::from_static(form.content_type());
    Ok(ok(kind, Content::Whole(Some(drawn?.into()))))
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
