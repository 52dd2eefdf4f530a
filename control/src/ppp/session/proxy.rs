//! Beginning in the middle: a LAC has negotiated LCP and perhaps
//! authenticated the peer before (RFC 2661 4.4.5).
use std::time::Duration;

use super::{Phase, Session};
use crate::ppp::auth::{Auth, Step};
use crate::ppp::layer::Negotiator;
use crate::ppp::proxy::{Proxy, ProxyAuthentication, ProxyLcp, ProxyPolicy};
use crate::ppp::{AuthProtocol, Role, option};

/// An authentication that needs only to be told.
pub(super) struct Judged {
    auth: Auth,
    step: Step,
}

impl Session {
    /// Whether what a LAC tells may make a difference: until then the session
    /// is not to be started, and frames are kept.
    pub fn awaits_proxy(&self) -> bool {
        self.phase == Phase::Dead && self.policy().lcp != ProxyLcp::Renegotiate
    }

    fn policy(&self) -> ProxyPolicy {
        match &self.role {
            Role::Client { .. } => ProxyPolicy::default(),
            Role::Server { proxy, .. } => *proxy,
        }
    }

    /// The L2TP session is there, and this is what the LAC tells.
    ///
    /// # Errors
    /// Why LCP begins anew: the LAC's does not stand.
    pub fn start_after(&mut self, now: Duration, proxy: &Proxy) -> Result<(), &'static str> {
        if self.phase != Phase::Dead {
            return Ok(());
        }
        let adopted = self.adopt(now, proxy);
        if let Err(why) = adopted {
            self.lcp.negotiator.restart();
            self.start(now);
            return Err(why);
        }
        self.phase = Phase::Establish;
        self.login_deadline = Some(now + self.timers.login);
        self.pump(now);
        Ok(())
    }

    fn adopt(&mut self, now: Duration, proxy: &Proxy) -> Result<(), &'static str> {
        let ProxyPolicy {
            lcp: mode,
            authentication: judge,
        } = self.policy();
        if mode == ProxyLcp::Renegotiate {
            return Err("it is not wanted");
        }
        let (Some(sent), Some(received)) = (&proxy.last_sent, &proxy.last_received) else {
            return Err("it told nothing");
        };
        let (Ok(sent), Ok(options)) = (option::parse(sent), option::parse(received)) else {
            return Err("its options cannot be read");
        };
        let strict = mode == ProxyLcp::OnMismatch;
        self.lcp.negotiator.adopt(&sent, &options, strict)?;
        if let Some(told) = proxy.authentication.as_ref().filter(|_| judge) {
            self.judged = self.judge(now, told)?;
        }
        self.lcp.adopt(received.clone());
        Ok(())
    }

    /// Judges what the peer has answered to the LAC; `None` where the peer is
    /// to be asked again, since the LAC tells of another protocol than it
    /// negotiated.
    fn judge(
        &mut self,
        now: Duration,
        told: &ProxyAuthentication,
    ) -> Result<Option<Judged>, &'static str> {
        let party = Self::party(&self.role);
        let is_pap = matches!(told, ProxyAuthentication::Pap { .. });
        let agreed = |protocol: &AuthProtocol| (*protocol == AuthProtocol::Pap) == is_pap;
        let Some(protocol) = self.lcp.negotiator.demanded().filter(agreed) else {
            return Ok(None);
        };
        let mut auth = Auth::new(protocol, &party, &self.timers, &mut self.rng);
        match auth.receive_proxy(now, told, &party) {
            step @ Step::Accepted { .. } => Ok(Some(Judged { auth, step })),
            _ => Err("its authentication of the peer is wrong"),
        }
    }

    /// LCP is up, and the peer has authenticated itself before.
    pub(super) fn tell_judged(&mut self, now: Duration, judged: Judged) {
        self.phase = Phase::Authenticate;
        self.auth = judged.auth;
        self.authentication_step(now, judged.step);
    }
}
