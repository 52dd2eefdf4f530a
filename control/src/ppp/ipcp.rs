//! IPCP's options (RFC 1332 3), name servers among them (RFC 1877 1).
use std::net::Ipv4Addr;

use super::layer::{Negotiator, Verdict};
use super::option::{self, ConfigOption};
use super::packet::{code, protocol};
use super::{NameServers, Wanted};

const IP_ADDRESS: u8 = 3;
const PRIMARY_DNS: u8 = 129;
const PRIMARY_NBNS: u8 = 130;
const SECONDARY_DNS: u8 = 131;
const SECONDARY_NBNS: u8 = 132;

/// Name servers by their options; there are no others.
const NAME_SERVERS: [u8; 4] = [PRIMARY_DNS, PRIMARY_NBNS, SECONDARY_DNS, SECONDARY_NBNS];

type ByOption = [Option<Ipv4Addr>; NAME_SERVERS.len()];

fn place(kind: u8) -> Option<usize> {
    NAME_SERVERS.iter().position(|server| *server == kind)
}

impl NameServers {
    fn by_option(&self) -> ByOption {
        let [dns, nbns] = [&self.dns, &self.nbns];
        [dns.first(), nbns.first(), dns.get(1), nbns.get(1)].map(|server| server.copied())
    }

    fn of_options(options: &ByOption) -> Self {
        let known = |places: [usize; 2]| {
            let all = places.map(|place| options[place]).into_iter().flatten();
            all.filter(|address| !address.is_unspecified()).collect()
        };
        Self {
            dns: known([0, 2]),
            nbns: known([1, 3]),
        }
    }
}

/// IPCP's side of the negotiation.
///
/// Header compression, the obsolete IP-Addresses, and name servers that we
/// have not got are Rejected.
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
    /// The name servers that a client may have.
    given: ByOption,
    /// Those that we ask for; `None` where we do not, or the peer has none.
    asked: ByOption,
}

impl Ipcp {
    /// A client: `configured` may be 0.0.0.0, which asks the server for one.
    pub(super) fn client(configured: Ipv4Addr, wanted: Wanted) -> Self {
        let ask = |wanted: bool| wanted.then_some(Ipv4Addr::UNSPECIFIED);
        let (dns, nbns) = (ask(wanted.dns), ask(wanted.nbns));
        Self {
            asked: [dns, nbns, dns, nbns],
            ..Self::new(configured, true, None)
        }
    }

    /// A server, which assigns `remote`, and tells these name servers to
    /// whoever asks.
    pub(super) fn server(local: Ipv4Addr, remote: Ipv4Addr, given: &NameServers) -> Self {
        Self {
            given: given.by_option(),
            ..Self::new(local, false, Some(remote))
        }
    }

    fn new(configured: Ipv4Addr, takes_address: bool, assigned: Option<Ipv4Addr>) -> Self {
        let mut ipcp = Self {
            first: configured,
            local: None,
            takes_address,
            assigned,
            remote: Ipv4Addr::UNSPECIFIED,
            given: ByOption::default(),
            asked: ByOption::default(),
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

    /// The name servers that the peer has told us.
    pub(super) fn name_servers(&self) -> NameServers {
        NameServers::of_options(&self.asked)
    }

    fn judge_name_server(&self, place: usize, asked: &[u8]) -> Verdict {
        match self.given[place] {
            Some(server) if address(asked) == Some(server) => Verdict::Ack,
            Some(server) => Verdict::Nak(server.octets().to_vec()),
            None => Verdict::Reject,
        }
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
        for (kind, asked) in NAME_SERVERS.into_iter().zip(self.asked) {
            if let Some(asked) = asked {
                option::push(&mut options, kind, &asked.octets());
            }
        }
        options
    }

    fn judge(&mut self, option: &ConfigOption<'_>) -> Verdict {
        if let Some(place) = place(option.kind) {
            return self.judge_name_server(place, option.data);
        }
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
        // What we did not ask for is nothing to us; none is asked for no more.
        for option in options {
            if let Some(asked) = place(option.kind).map(|place| &mut self.asked[place])
                && asked.is_some()
            {
                *asked = address(option.data).filter(|server| !server.is_unspecified());
            }
        }
    }

    fn rejected(&mut self, options: &[ConfigOption<'_>]) {
        if options.iter().any(|o| o.kind == IP_ADDRESS) {
            self.local = None;
        }
        for place in options.iter().filter_map(|option| place(option.kind)) {
            self.asked[place] = None;
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
