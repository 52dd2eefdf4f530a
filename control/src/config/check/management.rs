//! Whether the HTTP interface is safe where it listens.

use std::collections::BTreeSet;

use super::{Checker, top};

impl Checker<'_, '_, '_> {
    pub(super) fn http(&mut self) {
        let Some(http) = &self.config.management.http else {
            return;
        };
        let place = top("management").key("http");
        let listen = place.key("listen");
        let at = if self.says(&listen) {
            listen
        } else {
            place.clone()
        };
        if !self.problems.sound(&place) {
            return;
        }
        if http.listen.is_empty() {
            let remedy =
                "list an address with its port, as \"127.0.0.1:8080\", or take `http` away";
            self.problems.error(&at, "it listens nowhere", remedy);
        }
        let mut seen = BTreeSet::new();
        let twice = http.listen.iter().find(|&&address| !seen.insert(address));
        if let Some(address) = twice {
            let message = format!("{address} stands there twice");
            self.problems.error(&at, message, "list it once");
        }
        let exposed = http.listen.iter().find(|it| !it.ip().is_loopback());
        if let Some(address) = exposed.filter(|_| http.token_file.is_none()) {
            self.problems.error(
                &at,
                format!("{address} is reached from other machines, and there is no token"),
                "write `http: { listen: ADDRESS, token-file: PATH }` with a file that holds a secret of 16 letters or more, or listen on 127.0.0.1 or [::1]",
            );
        }
    }
}
