//! What every call of an `incoming` begins with, made once: there may be tens
//! of thousands of logins.

use crate::config::{Config, Incoming};
use crate::ppp;

#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) logins: ppp::Logins,
    /// Which login calls is not known before PPP; the sets of one `incoming`
    /// have the same numbering rules.
    pub(super) ha_set: Option<usize>,
    /// Whether any login carries IPv6.
    pub(super) ipv6: bool,
}

impl Admitted {
    pub(super) fn all(config: &Config) -> Vec<Self> {
        let incoming = config.l2tp.incoming.iter();
        incoming
            .map(|incoming| Self::new(config, incoming))
            .collect()
    }

    fn new(config: &Config, incoming: &Incoming) -> Self {
        let logins = incoming.matches.iter();
        Self {
            logins: logins
                .clone()
                .map(|login| ppp::Login {
                    username: login.username.clone(),
                    password: login.password.clone(),
                    remote_ip: login.remote_ip,
                })
                .collect(),
            ha_set: logins.clone().find_map(|login| login.ha_set),
            ipv6: logins.clone().any(|login| {
                config.carries_ipv6(incoming.payload_table, login.ha_set, login.routes.iter())
            }),
        }
    }
}
