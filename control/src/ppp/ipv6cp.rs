//! IPV6CP's options (RFC 5072 4): the identifiers of which the two ends make
//! their link-local addresses.
use std::net::Ipv6Addr;

use rand::Rng;
use rand::rngs::StdRng;

use super::layer::{Negotiator, Verdict};
use super::option::{self, ConfigOption};
use super::packet::{code, protocol};

const INTERFACE_IDENTIFIER: u8 = 1;

/// An identifier that is not the same everywhere has this bit clear (RFC 4291
/// 2.5.1: the universal bit, turned over).
const UNIVERSAL: u64 = 1 << 57;

/// IPV6CP's side of the negotiation, the same for client and server.
///
/// The peer need not have an identifier: nothing here is sent to its
/// link-local address. Compression is Rejected.
pub(super) struct Ipv6cp {
    rng: StdRng,
    /// What negotiation begins with: one by chance, or what the peer gave us before.
    first: u64,
    /// What we ask for; `None` once the peer rejected the option.
    local: Option<u64>,
    /// What the peer asked for and we acknowledged.
    remote: Option<u64>,
}

impl Ipv6cp {
    pub(super) fn new(rng: StdRng) -> Self {
        let mut ipv6cp = Self {
            rng,
            first: 0,
            local: None,
            remote: None,
        };
        ipv6cp.first = ipv6cp.new_identifier();
        ipv6cp.restart();
        ipv6cp
    }

    /// Our address; `::` when there is none.
    pub(super) fn local(&self) -> Ipv6Addr {
        link_local(self.local)
    }

    /// The peer's address; `::` when it named none.
    pub(super) fn remote(&self) -> Ipv6Addr {
        link_local(self.remote)
    }

    /// An identifier that neither end has, and not zero.
    fn new_identifier(&mut self) -> u64 {
        loop {
            let identifier = self.rng.random::<u64>() & !UNIVERSAL;
            let taken = [self.local, self.remote].contains(&Some(identifier));
            if identifier != 0 && !taken {
                return identifier;
            }
        }
    }
}

fn link_local(identifier: Option<u64>) -> Ipv6Addr {
    const PREFIX: u128 = 0xfe80 << 112;
    identifier.map_or(Ipv6Addr::UNSPECIFIED, |identifier| {
        Ipv6Addr::from_bits(PREFIX | u128::from(identifier))
    })
}

fn identifier(data: &[u8]) -> Option<u64> {
    data.try_into().ok().map(u64::from_be_bytes)
}

impl Negotiator for Ipv6cp {
    const PROTOCOL: u16 = protocol::IPV6CP;
    const LAST_CODE: u8 = code::CODE_REJECT;
    // The data plane must be ready before the peer may send.
    const UP_FIRST: bool = true;

    fn request(&self) -> Vec<u8> {
        let mut options = Vec::new();
        if let Some(local) = self.local {
            option::push(&mut options, INTERFACE_IDENTIFIER, &local.to_be_bytes());
        }
        options
    }

    fn judge(&mut self, option: &ConfigOption<'_>) -> Verdict {
        if option.kind != INTERFACE_IDENTIFIER {
            return Verdict::Reject;
        }
        match identifier(option.data) {
            Some(theirs) if theirs != 0 && Some(theirs) != self.local => Verdict::Ack,
            // None yet, or ours: another one is proposed.
            _ => Verdict::Nak(self.new_identifier().to_be_bytes().to_vec()),
        }
    }

    fn missing(&self, _: &[ConfigOption<'_>]) -> Vec<u8> {
        Vec::new()
    }

    fn acknowledged(&mut self, options: &[ConfigOption<'_>]) {
        self.remote = options
            .iter()
            .find(|option| option.kind == INTERFACE_IDENTIFIER)
            .and_then(|option| identifier(option.data));
    }

    fn naked(&mut self, options: &[ConfigOption<'_>]) {
        let mut named = options
            .iter()
            .filter(|option| option.kind == INTERFACE_IDENTIFIER)
            .map(|option| identifier(option.data));
        let Some(named) = named.next() else { return };
        let usable = named.filter(|&named| named != 0 && Some(named) != self.remote);
        self.first = usable.unwrap_or_else(|| self.new_identifier());
        self.local = Some(self.first);
    }

    fn rejected(&mut self, options: &[ConfigOption<'_>]) {
        if options
            .iter()
            .any(|option| option.kind == INTERFACE_IDENTIFIER)
        {
            self.local = None;
        }
    }

    fn restart(&mut self) {
        self.local = Some(self.first);
        self.remote = None;
    }

    fn echo_reply(&self, _: &[u8]) -> Vec<u8> {
        Vec::new()
    }
}
