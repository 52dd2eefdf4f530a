//! IPCP's options (RFC 1332 3, RFC 1877 1).
use std::net::Ipv4Addr;

use super::layer::{Negotiator, Verdict};
use super::option::{self, ConfigOption};
use super::packet::{code, protocol};

const IP_ADDRESS: u8 = 3;

/// IPCP's side of the negotiation.
///
/// Header compression, the obsolete IP-Addresses, and name servers (129 to
/// 132: we have none to give) are Rejected.
pub(super) struct Ipcp {
    /// What negotiation begins with: the configured address, or the one that
    /// the server gave before.
    first: Ipv4Addr,
    /// The address we ask for; `None` once the peer rejected the option.
    local: Option<Ipv4Addr>,
    /// Whether a Nak may change our address (a client's).
    takes_address: bool,
    /// The address the peer must have (a server's), else whatever it has.
    assigned: Option<Ipv4Addr>,
    remote: Ipv4Addr,
}

impl Ipcp {
    /// A client: `configured` may be 0.0.0.0, which asks the server for one.
    pub(super) fn client(configured: Ipv4Addr) -> Self {
        Self::new(configured, true, None)
    }

    /// A server, which assigns `remote`.
    pub(super) fn server(local: Ipv4Addr, remote: Ipv4Addr) -> Self {
        Self::new(local, false, Some(remote))
    }

    fn new(configured: Ipv4Addr, takes_address: bool, assigned: Option<Ipv4Addr>) -> Self {
        let mut ipcp = Self {
            first: configured,
            local: None,
            takes_address,
            assigned,
            remote: Ipv4Addr::UNSPECIFIED,
        };
        ipcp.restart();
        ipcp
    }

    /// Our address; 0.0.0.0 when there is none.
    pub(super) fn local(&self) -> Ipv4Addr {
        self.local.unwrap_or(self.first)
    }

    /// The peer's address; 0.0.0.0 when it named none.
    pub(super) fn remote(&self) -> Ipv4Addr {
        self.assigned.unwrap_or(self.remote)
    }
}

fn address(data: &[u8]) -> Option<Ipv4Addr> {
    <[u8; 4]>::try_from(data).ok().map(Ipv4Addr::from)
}

impl Negotiator for Ipcp {
    const PROTOCOL: u16 = protocol::IPCP;
    const LAST_CODE: u8 = code::CODE_REJECT;
    // The data plane must be ready before the peer may send.
    const UP_FIRST: bool = true;

    fn request(&self) -> Vec<u8> {
        let mut options = Vec::new();
        if let Some(local) = self.local {
            option::push(&mut options, IP_ADDRESS, &local.octets());
        }
        options
    }

    fn judge(&mut self, option: &ConfigOption<'_>) -> Verdict {
        if option.kind != IP_ADDRESS {
            return Verdict::Reject;
        }
        match (self.assigned, address(option.data)) {
            (Some(assigned), Some(theirs)) if theirs == assigned => Verdict::Ack,
            (Some(assigned), _) => Verdict::Nak(assigned.octets().to_vec()),
            (None, Some(theirs)) if !theirs.is_unspecified() => Verdict::Ack,
            // It asks for an address, and we have none to give.
            (None, _) => Verdict::Reject,
        }
    }

    fn missing(&self, options: &[ConfigOption<'_>]) -> Vec<u8> {
        let mut naks = Vec::new();
        if let Some(assigned) = self
            .assigned
            .filter(|_| options.iter().all(|o| o.kind != IP_ADDRESS))
        {
            option::push(&mut naks, IP_ADDRESS, &assigned.octets());
        }
        naks
    }

    fn acknowledged(&mut self, options: &[ConfigOption<'_>]) {
        let named = options
            .iter()
            .find(|o| o.kind == IP_ADDRESS)
            .and_then(|o| address(o.data));
        self.remote = named.unwrap_or(Ipv4Addr::UNSPECIFIED);
    }

    fn naked(&mut self, options: &[ConfigOption<'_>]) {
        let named = options
            .iter()
            .filter(|o| o.kind == IP_ADDRESS)
            .find_map(|o| address(o.data));
        if let Some(named) = named.filter(|named| self.takes_address && !named.is_unspecified()) {
            self.local = Some(named);
            self.first = named;
        }
    }

    fn rejected(&mut self, options: &[ConfigOption<'_>]) {
        if options.iter().any(|o| o.kind == IP_ADDRESS) {
            self.local = None;
        }
    }

    fn restart(&mut self) {
        self.local = Some(self.first).filter(|local| self.takes_address || !local.is_unspecified());
        self.remote = Ipv4Addr::UNSPECIFIED;
    }

    fn echo_reply(&self, _: &[u8]) -> Vec<u8> {
        Vec::new()
    }
}
