//! Those who want to hear of everything as it happens: server-sent events (WHATWG HTML, 9.2).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::body::Bytes;
use tokio::sync::Notify;
use tokio::sync::mpsc::{self, Receiver, Sender, error::TrySendError};

use crate::monitor::Event;

/// Messages that wait for a client at most. They are shared by all clients.
const MOST_WAITING: usize = 8;

/// The clients that listen.
#[derive(Debug, Default)]
pub(super) struct Hub(Mutex<Vec<Listener>>);

#[derive(Debug)]
struct Listener {
    messages: Sender<Bytes>,
    /// Ends the connection at once.
    hang_up: Arc<Notify>,
}

impl Hub {
    /// One more client, whose first message is `greeting`; none when `most` are there.
    pub(super) fn listen(
        &self,
        most: usize,
        greeting: Bytes,
        hang_up: Arc<Notify>,
    ) -> Option<Receiver<Bytes>> {
        let mut listeners = self.held();
        listeners.retain(|listener| !listener.messages.is_closed());
        if listeners.len() >= most {
            return None;
        }
        let (messages, receiver) = mpsc::channel(MOST_WAITING);
        // A new channel has room.
        let _ = messages.try_send(greeting);
        listeners.push(Listener { messages, hang_up });
        Some(receiver)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held().is_empty()
    }

    /// Tells everybody. Who does not keep up is left: it may come again, and learns then how things are.
    pub(super) fn tell(&self, message: &Bytes) {
        self.held().retain(
            |listener| match listener.messages.try_send(message.clone()) {
                Ok(()) => true,
                Err(TrySendError::Full(_)) => {
                    log::debug!("http: a client of the stream is too slow, and is left");
                    listener.hang_up.notify_one();
                    false
                }
                Err(TrySendError::Closed(_)) => false,
            },
        );
    }

    /// Ends all streams; what waits is still sent.
    pub(super) fn close(&self) {
        self.held().clear();
    }

    /// Nothing is half done when a holder panics.
    fn held(&self) -> MutexGuard<'_, Vec<Listener>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A comment, which clients skip. It keeps the connection alive.
pub(super) const SILENCE: Bytes = Bytes::from_static(b": nothing new\n\n");

/// The events, and the site, as one message. JSON has no line ends in it.
pub(super) fn message(events: &[Event], site: Option<&Bytes>) -> Bytes {
    let mut text = Vec::new();
    let mut add = |kind: &str, data: &[u8]| {
        text.extend_from_slice(b"event: ");
        text.extend_from_slice(kind.as_bytes());
        text.extend_from_slice(b"\ndata: ");
        text.extend_from_slice(data);
        text.extend_from_slice(b"\n\n");
    };
    for event in events {
        if let Ok(event) = serde_json::to_vec(event) {
            add("event", &event);
        }
    }
    if let Some(site) = site {
        add("site", site);
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_does_not_keep_up_is_left() {
        let (hub, slow) = (Hub::default(), Arc::new(Notify::new()));
        let greeting = Bytes::from_static(b"hello");
        let waiting = hub.listen(2, greeting.clone(), Arc::clone(&slow)).unwrap();
        let mut quick = hub.listen(2, greeting.clone(), Arc::default()).unwrap();
        assert!(hub.listen(2, greeting.clone(), Arc::default()).is_none());
        for _ in 1..=MOST_WAITING {
            assert_eq!(hub.held().len(), 2);
            quick.try_recv().unwrap();
            hub.tell(&SILENCE);
        }
        assert_eq!(hub.held().len(), 1);
        assert_eq!(waiting.len(), MOST_WAITING);
        quick.try_recv().unwrap();
        drop(quick);
        assert!(
            hub.listen(1, greeting, Arc::default()).is_some(),
            "who went makes room"
        );
    }

    #[test]
    fn a_message_has_the_form_of_server_sent_events() {
        let site = Bytes::from_static(b"{}");
        assert_eq!(message(&[], Some(&site)), "event: site\ndata: {}\n\n");
    }
}
