//! Events to an HTTP server.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::document;
use super::errands::{Errands, Outcome, Runner};
use super::settings::Webhook;
use crate::monitor::Event;

/// From looking up the host to the answer's head.
const TIME_LIMIT: Duration = Duration::from_secs(5);

pub(super) struct Hook {
    appliance: String,
    webhook: Webhook,
    agent: ureq::Agent,
}

impl Hook {
    pub(super) fn new(appliance: &str, webhook: &Webhook) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            // Whoever is sent elsewhere is to be told by the operator.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .max_idle_connections(0)
            .user_agent(concat!("hal2tp/", env!("CARGO_PKG_VERSION")));
        Self {
            appliance: appliance.to_owned(),
            webhook: webhook.clone(),
            agent: config.build().into(),
        }
    }

    fn post(&self, event: &Event, time: Duration) -> Result<u16, String> {
        let request = self
            .agent
            .post(self.webhook.url.whole())
            .config()
            .timeout_global(Some(time))
            .build()
            .header("content-type", "application/json");
        let request = match &self.webhook.token_file {
            Some(path) => request.header("authorization", format!("Bearer {}", token(path)?)),
            None => request,
        };
        let answer = request.send(document(&self.appliance, event));
        answer
            .map(|answer| answer.status().as_u16())
            .map_err(|error| match error {
                // It would show the address.
                ureq::Error::BadUri(_) => "the address cannot be used".to_owned(),
                error => error.to_string(),
            })
    }
}

impl Runner for Hook {
    fn tell(&mut self, event: &Event, errands: &Errands) -> Outcome {
        let place = self.webhook.url.place();
        match self.post(event, errands.time_left(TIME_LIMIT)) {
            Ok(200..=299) => Outcome::Told,
            // RFC 9110, 15.5.9; RFC 6585, 4: it may go better later.
            Ok(status @ (408 | 429 | 500..)) => {
                Outcome::TryAgain(format!("{place} answers with status {status}"))
            }
            Ok(status) => Outcome::GivenUp(format!("{place} answers with status {status}")),
            Err(why) => Outcome::TryAgain(format!("{place}: {why}")),
        }
    }
}

fn token(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let text = fs::read_to_string(path).map_err(|error| format!("{shown}: {error}"))?;
    let token = text.trim();
    let is_token = !token.is_empty() && token.bytes().all(|octet| octet.is_ascii_graphic());
    if is_token {
        Ok(token.to_owned())
    } else {
        Err(format!(
            "{shown}: there is no token in it: one word is needed"
        ))
    }
}
