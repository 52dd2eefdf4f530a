//! What is answered, written once for each moment and shared by all who ask for it.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use hyper::StatusCode;
use hyper::body::Bytes;
use serde::Serialize;

use super::answer::Refusal;
use super::metrics::{self, Format};
use crate::monitor::site::Site;
use crate::monitor::{Board, Moment};

/// A whole document about a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Document {
    Status,
    Site,
    Sets,
    Links,
    Tunnels,
    Ports,
    Drops,
    OpenMetrics,
    Prometheus,
}

const DOCUMENTS: usize = Document::Prometheus as usize + 1;

/// The documents of a moment, each written when it is first asked for.
#[derive(Debug)]
pub(super) struct Documents {
    pub(super) moment: Arc<Moment>,
    /// When the moment was first seen here.
    pub(super) seen: Instant,
    site: OnceLock<Site>,
    written: [OnceLock<Result<Bytes, String>>; DOCUMENTS],
}

impl Documents {
    fn new(moment: Arc<Moment>) -> Self {
        Self {
            moment,
            seen: Instant::now(),
            site: OnceLock::new(),
            written: Default::default(),
        }
    }

    fn site(&self) -> &Site {
        self.site.get_or_init(|| Site::of(&self.moment))
    }

    /// A document's text.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub(super) fn get(&self, document: Document) -> Result<Bytes, Refusal> {
        let written = self.written[document as usize].get_or_init(|| self.write(document));
        written
            .clone()
            .map_err(|text| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, text))
    }

    fn write(&self, document: Document) -> Result<Bytes, String> {
        let status = &*self.moment.status;
        match document {
            Document::Status => json(status),
            Document::Site => json(self.site()),
            Document::Sets => json(&status.sets),
            Document::Links => json(&status.sessions),
            Document::Tunnels => json(&status.tunnels),
            Document::Ports => json(&status.ports),
            Document::Drops => json(&self.moment.drops),
            Document::OpenMetrics => Ok(self.metrics(Format::OpenMetrics)),
            Document::Prometheus => Ok(self.metrics(Format::Prometheus)),
        }
    }

    fn metrics(&self, format: Format) -> Bytes {
        metrics::write(&self.moment, self.site(), format).into()
    }
}

fn json(value: &impl Serialize) -> Result<Bytes, String> {
    let written = serde_json::to_vec(value).map(Bytes::from);
    written.map_err(|error| error.to_string())
}

/// Keeps the documents of the newest moment.
#[derive(Debug)]
pub(super) struct Shelf {
    board: Arc<Board>,
    newest: Mutex<Option<Arc<Documents>>>,
}

impl Shelf {
    pub(super) fn new(board: Arc<Board>) -> Self {
        Self {
            board,
            newest: Mutex::new(None),
        }
    }

    /// Of the newest moment; none before the first.
    pub(super) fn newest(&self) -> Option<Arc<Documents>> {
        let latest = self.board.latest()?;
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(documents) = newest.as_ref()
            && Arc::ptr_eq(&documents.moment, &latest)
        {
            return Some(Arc::clone(documents));
        }
        let documents = Arc::new(Documents::new(latest));
        *newest = Some(Arc::clone(&documents));
        Some(documents)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use crate::management::status::Status;

    #[test]
    fn a_document_is_written_once_for_a_moment() {
        let board = Arc::new(Board::default());
        let shelf = Shelf::new(Arc::clone(&board));
        assert!(shelf.newest().is_none());
        let asked = || shelf.newest().unwrap().get(Document::Site).unwrap();
        board.pin(Moment::new(Duration::ZERO, Status::default(), None));
        let (first, again) = (asked(), asked());
        assert_eq!(first.as_ptr(), again.as_ptr());
        board.pin(Moment::new(
            Duration::ZERO,
            Status::default(),
            board.latest().as_deref(),
        ));
        assert!(asked() != first, "the next moment has a number of its own");
    }
}
