//! Messages of DHCPv6 as a client writes and reads them (RFC 8415, 8 and 21).
//!
//! They are written by dhcproto. They are read here: dhcproto subtracts from
//! lengths of options that it has not looked at, and takes what is left of a list
//! of options that is cut short for the whole of it.

use std::net::{Ipv6Addr, SocketAddrV6};

use dataplane::command::Prefix;
use dataplane::headers::ipv6::{self, NEXT_UDP, udp_packet};
use dataplane::headers::udp;
use dhcproto::Encodable;
use dhcproto::v6::{
    DhcpOption, DhcpOptions, IAAddr, IANA, IAPD, IAPrefix, Message, MessageType, ORO, OptionCode,
};

use crate::host::discovery::{frame, group_mac};
use crate::host::link_local;

/// All_DHCP_Relay_Agents_and_Servers (RFC 8415, 7.1).
const ALL_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
const CLIENT_PORT: u16 = 546;
const SERVER_PORT: u16 = 547;

/// Of options (RFC 8415, 24.2, RFC 3646 and RFC 7083).
mod code {
    pub(super) const CLIENT_ID: u16 = 1;
    pub(super) const SERVER_ID: u16 = 2;
    pub(super) const IA_NA: u16 = 3;
    pub(super) const IA_ADDRESS: u16 = 5;
    pub(super) const PREFERENCE: u16 = 7;
    pub(super) const STATUS: u16 = 13;
    pub(super) const DNS_SERVERS: u16 = 23;
    pub(super) const IA_PD: u16 = 25;
    pub(super) const IA_PREFIX: u16 = 26;
    pub(super) const SOL_MAX_RT: u16 = 82;
}

/// Our identifier, made of the hardware address (RFC 8415, 11.4: DUID-LL), so
/// that it is the same after a restart.
pub(super) fn duid([a, b, c, d, e, f]: [u8; 6]) -> [u8; 10] {
    [0, 3, 0, 1, a, b, c, d, e, f]
}

/// The identifier of our identity associations, of which there is one of each
/// kind: the last octets of the hardware address.
pub(super) fn iaid([_, _, c, d, e, f]: [u8; 6]) -> u32 {
    u32::from_be_bytes([c, d, e, f])
}

/// A message of ours.
#[derive(Clone, Debug)]
pub(super) struct Outgoing<'a> {
    pub(super) kind: MessageType,
    pub(super) transaction: [u8; 3],
    /// Since the exchange began, in hundredths of a second.
    pub(super) elapsed_cs: u16,
    pub(super) server_id: Option<&'a [u8]>,
    /// Of the association of addresses, if it is to be there.
    pub(super) addresses: Option<Vec<Ipv6Addr>>,
    /// Of the association of prefixes, if it is to be there.
    pub(super) prefixes: Option<Vec<Prefix>>,
    /// Name servers are asked for.
    pub(super) asks_for_options: bool,
}

impl Outgoing<'_> {
    /// The frame in which the station `mac` sends it to all servers.
    pub(super) fn frame(&self, mac: [u8; 6]) -> Vec<u8> {
        let payload = self.options(mac).to_vec().unwrap_or_default();
        let source = SocketAddrV6::new(link_local(mac), CLIENT_PORT, 0, 0);
        let destination = SocketAddrV6::new(ALL_SERVERS, SERVER_PORT, 0, 0);
        let packet = udp_packet(source, destination, &payload);
        frame(mac, group_mac(ALL_SERVERS), &packet)
    }

    fn options(&self, mac: [u8; 6]) -> Message {
        let mut message = Message::new_with_id(self.kind, self.transaction);
        let options = message.opts_mut();
        options.insert(DhcpOption::ClientId(duid(mac).to_vec()));
        if let Some(server_id) = self.server_id {
            options.insert(DhcpOption::ServerId(server_id.to_vec()));
        }
        options.insert(DhcpOption::ElapsedTime(self.elapsed_cs));
        if self.asks_for_options {
            let opts = vec![OptionCode::DomainNameServers, OptionCode::SolMaxRt];
            options.insert(DhcpOption::ORO(ORO { opts }));
        }
        // Times of 0: the server is to choose (RFC 8415, 21.4 and 21.6).
        let (t1, t2, id) = (0, 0, iaid(mac));
        if let Some(addresses) = &self.addresses {
            let opts = addresses.iter().map(|&address| ia_address(address));
            let opts: DhcpOptions = opts.collect();
            options.insert(DhcpOption::IANA(IANA { id, t1, t2, opts }));
        }
        if let Some(prefixes) = &self.prefixes {
            let opts = prefixes.iter().filter_map(ia_prefix).collect();
            options.insert(DhcpOption::IAPD(IAPD { id, t1, t2, opts }));
        }
        message
    }
}

fn ia_address(address: Ipv6Addr) -> DhcpOption {
    DhcpOption::IAAddr(IAAddr {
        addr: address,
        preferred_life: 0,
        valid_life: 0,
        opts: DhcpOptions::new(),
    })
}

fn ia_prefix(prefix: &Prefix) -> Option<DhcpOption> {
    let std::net::IpAddr::V6(address) = prefix.address else {
        return None;
    };
    Some(DhcpOption::IAPrefix(IAPrefix {
        preferred_lifetime: 0,
        valid_lifetime: 0,
        prefix_len: prefix.length,
        prefix_ip: address,
        opts: DhcpOptions::new(),
    }))
}

/// Status codes that mean something to a client (RFC 8415, 21.13).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Status {
    #[default]
    Success,
    NoAddrsAvail,
    NoBinding,
    NotOnLink,
    UseMulticast,
    NoPrefixAvail,
    /// UnspecFail, and what nobody knows.
    Failed,
}

impl From<u16> for Status {
    fn from(code: u16) -> Self {
        match code {
            0 => Self::Success,
            2 => Self::NoAddrsAvail,
            3 => Self::NoBinding,
            4 => Self::NotOnLink,
            5 => Self::UseMulticast,
            6 => Self::NoPrefixAvail,
            _ => Self::Failed,
        }
    }
}

/// An address (a prefix of 128 bits) or a prefix in an identity association.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lent {
    pub(super) prefix: Prefix,
    pub(super) preferred_s: u32,
    pub(super) valid_s: u32,
}

/// An identity association of ours, as a server tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Association {
    pub(super) t1_s: u32,
    pub(super) t2_s: u32,
    pub(super) status: Status,
    pub(super) lent: Vec<Lent>,
}

/// A message of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Incoming<'a> {
    pub(super) source: Ipv6Addr,
    pub(super) kind: MessageType,
    pub(super) transaction: [u8; 3],
    pub(super) client_id: Option<&'a [u8]>,
    pub(super) server_id: Option<&'a [u8]>,
    pub(super) preference: u8,
    pub(super) status: Status,
    pub(super) addresses: Option<Association>,
    pub(super) prefixes: Option<Association>,
    pub(super) name_servers: Vec<Ipv6Addr>,
    pub(super) sol_max_rt_s: Option<u32>,
    /// What cannot be, among what is well-formed.
    pub(super) refused: u64,
}

/// Why a packet means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Malformed,
    /// No packet for a DHCPv6 client.
    NotForUs,
}

/// Reads an IPv6 packet, from its header on, that came to the station `mac`.
pub(super) fn parse(mac: [u8; 6], packet: &[u8]) -> Result<Incoming<'_>, Refused> {
    let malformed = |_| Refused::Malformed;
    let header = ipv6::parse(packet).map_err(malformed)?;
    let upper = ipv6::upper_layer(&header, packet).map_err(malformed)?;
    if upper.protocol != NEXT_UDP || upper.is_fragment() || upper.is_refused {
        return Err(Refused::NotForUs);
    }
    let udp = udp::parse_over_ipv6(&header, upper.offset, packet).map_err(malformed)?;
    if udp.destination_port != CLIENT_PORT || ipv6::is_martian_source(header.source) {
        return Err(Refused::NotForUs);
    }
    let payload = packet.get(udp.payload_range).ok_or(Refused::Malformed)?;
    message(mac, header.source, payload).ok_or(Refused::Malformed)
}

fn message(mac: [u8; 6], source: Ipv6Addr, payload: &[u8]) -> Option<Incoming<'_>> {
    let (&[kind, x0, x1, x2], octets) = payload.split_first_chunk()?;
    let mut incoming = Incoming {
        source,
        kind: kind.into(),
        transaction: [x0, x1, x2],
        client_id: None,
        server_id: None,
        preference: 0,
        status: Status::Success,
        addresses: None,
        prefixes: None,
        name_servers: Vec::new(),
        sol_max_rt_s: None,
        refused: 0,
    };
    for option in options(octets) {
        let (code, data) = option?;
        match code {
            code::CLIENT_ID => incoming.client_id = Some(data),
            code::SERVER_ID => incoming.server_id = Some(data),
            code::PREFERENCE => incoming.preference = *data.first()?,
            code::STATUS => incoming.status = status(data)?,
            code::SOL_MAX_RT => {
                incoming.sol_max_rt_s = Some(u32::from_be_bytes(*data.first_chunk()?));
            }
            code::DNS_SERVERS => incoming.read_name_servers(data)?,
            code::IA_NA | code::IA_PD => incoming.read_association(mac, code, data)?,
            _ => {}
        }
    }
    Some(incoming)
}

impl Incoming<'_> {
    fn read_name_servers(&mut self, data: &[u8]) -> Option<()> {
        let (servers, rest) = data.as_chunks::<16>();
        if !rest.is_empty() {
            return None;
        }
        for server in servers.iter().copied().map(Ipv6Addr::from) {
            if ipv6::is_martian_source(server) {
                self.refused += 1;
            } else {
                self.name_servers.push(server);
            }
        }
        Some(())
    }

    /// RFC 8415, 21.4 and 21.21; of others' associations nothing is taken.
    fn read_association(&mut self, mac: [u8; 6], code: u16, data: &[u8]) -> Option<()> {
        let (id, data) = data.split_first_chunk()?;
        let (t1, data) = data.split_first_chunk()?;
        let (t2, octets) = data.split_first_chunk()?;
        let mut association = Association {
            t1_s: u32::from_be_bytes(*t1),
            t2_s: u32::from_be_bytes(*t2),
            ..Association::default()
        };
        for option in options(octets) {
            let (inner, data) = option?;
            match (code, inner) {
                (_, code::STATUS) => association.status = status(data)?,
                (code::IA_NA, code::IA_ADDRESS) => {
                    let lent = address(data)?;
                    self.take_lent(&mut association, lent);
                }
                (code::IA_PD, code::IA_PREFIX) => {
                    let lent = prefix(data)?;
                    self.take_lent(&mut association, lent);
                }
                _ => {}
            }
        }
        let is_ours = u32::from_be_bytes(*id) == iaid(mac);
        let times_are_right = association.t1_s <= association.t2_s || association.t2_s == 0;
        if !is_ours || !times_are_right {
            self.refused += 1;
            return Some(());
        }
        let place = match code {
            code::IA_NA => &mut self.addresses,
            _ => &mut self.prefixes,
        };
        // There is one of each kind; a second one is nobody's.
        if place.is_some() {
            self.refused += 1;
        } else {
            *place = Some(association);
        }
        Some(())
    }

    fn take_lent(&mut self, association: &mut Association, lent: Lent) {
        // RFC 8415, 21.6 and 21.22: lifetimes the wrong way round.
        let std::net::IpAddr::V6(address) = lent.prefix.address else {
            return;
        };
        if lent.preferred_s > lent.valid_s
            || ipv6::is_martian_source(address)
            || address.is_unicast_link_local()
        {
            self.refused += 1;
        } else {
            association.lent.push(lent);
        }
    }
}

fn status(data: &[u8]) -> Option<Status> {
    let &code = data.first_chunk()?;
    Some(u16::from_be_bytes(code).into())
}

/// RFC 8415, 21.6. A status in it says nothing that its lifetimes do not.
fn address(data: &[u8]) -> Option<Lent> {
    let (address, data) = data.split_first_chunk::<16>()?;
    let (preferred, data) = data.split_first_chunk()?;
    let (valid, octets) = data.split_first_chunk()?;
    options(octets)
        .all(|option| option.is_some())
        .then_some(())?;
    Some(Lent {
        prefix: Prefix::host(Ipv6Addr::from(*address)),
        preferred_s: u32::from_be_bytes(*preferred),
        valid_s: u32::from_be_bytes(*valid),
    })
}

/// RFC 8415, 21.22.
fn prefix(data: &[u8]) -> Option<Lent> {
    let (preferred, data) = data.split_first_chunk()?;
    let (valid, data) = data.split_first_chunk()?;
    let (&[length], data) = data.split_first_chunk()?;
    let (address, octets) = data.split_first_chunk::<16>()?;
    options(octets)
        .all(|option| option.is_some())
        .then_some(())?;
    (length <= 128).then(|| Lent {
        prefix: Prefix::new(Ipv6Addr::from(*address), length),
        preferred_s: u32::from_be_bytes(*preferred),
        valid_s: u32::from_be_bytes(*valid),
    })
}

/// Options, each with its code, one after another; `None`, and no more, for one
/// that is longer than what is there (RFC 8415, 21.1).
fn options(mut octets: &[u8]) -> impl Iterator<Item = Option<(u16, &[u8])>> {
    std::iter::from_fn(move || {
        if octets.is_empty() {
            return None;
        }
        let option = first_option(octets);
        octets = option.map_or(&[][..], |(_, _, rest)| rest);
        Some(option.map(|(code, data, _)| (code, data)))
    })
}

fn first_option(octets: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (&[c0, c1, l0, l1], rest) = octets.split_first_chunk()?;
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    let (data, rest) = rest.split_at_checked(length)?;
    Some((u16::from_be_bytes([c0, c1]), data, rest))
}
