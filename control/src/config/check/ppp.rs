//! Checks of the `ppp` parts.

use super::{Checker, incoming};
use crate::config::model::Incoming;
use crate::ppp::{AuthProtocol, ProxyLcp};

impl Checker<'_, '_, '_> {
    pub(super) fn ppp(&mut self, index: usize, tunnel: &Incoming) {
        let path = incoming(index).key("ppp");
        let ppp = &tunnel.ppp;
        let sound = |key: &str| self.problems.sound(&path.key(key));
        let only_pap = ppp.link.authentication == [AuthProtocol::Pap];
        if ppp.rechallenge.is_some() && only_pap && sound("rechallenge") && sound("authentication")
        {
            self.problems.error(
                &path.key("rechallenge"),
                "pap is the only way to log in here, and it asks once",
                "add chap or ms-chap-v2 to `authentication`, or take `rechallenge` away",
            );
        }
        let key = path.key("proxy-authentication");
        if ppp.proxy.authentication && tunnel.secret.is_none() && self.problems.sound(&path) {
            self.problems.error(
                &key,
                "there is no `secret`: whoever has seen one login can repeat it",
                "add `secret` to this tunnel and to the LACs, or take this key away",
            );
        }
        let no_proxy = ppp.proxy.lcp == ProxyLcp::Renegotiate;
        if no_proxy && self.says(&key) && self.problems.sound(&path) {
            self.problems.error(
                &key,
                "LCP is always negotiated anew here, and authentication with it",
                "add `proxy-lcp: on-mismatch` or `proxy-lcp: accept`, or take this key away",
            );
        }
    }
}
