//! DHCP messages with their UDP, IPv4 and Ethernet headers (RFC 2131, 2), by
//! dhcproto's formats.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use dataplane::headers::ethernet::{ETHER_TYPE_IPV4, Ethernet};
use dataplane::headers::ipv4::{self, Ipv4};
use dataplane::headers::udp;
use dhcproto::v4::borrowed::{DhcpOptionIterator, Message as ReceivedMessage};
use dhcproto::v4::{
    CLIENT_PORT, DhcpOption, Encodable, Flags, HType, MAGIC, MIN_PACKET_SIZE, Message, MessageType,
    Opcode, OptionCode, SERVER_PORT,
};

use super::counters::Refusal;

/// The largest message we take: what fits a packet of Ethernet's MTU (RFC 2132, 9.10).
const MAX_MESSAGE_OCTETS: u16 = 1472;
/// The fixed fields, with the magic cookie.
const FIXED_OCTETS: usize = 240;
const SNAME: std::ops::Range<usize> = 44..108;
const FILE: std::ops::Range<usize> = 108..236;
const COOKIE: std::ops::Range<usize> = 236..FIXED_OCTETS;

/// What we ask for. 121 stands before 3, as RFC 3442 wants it.
const REQUESTED: [OptionCode; 7] = [
    OptionCode::ClasslessStaticRoute,
    OptionCode::SubnetMask,
    OptionCode::Router,
    OptionCode::DomainNameServer,
    OptionCode::InterfaceMtu,
    OptionCode::Renewal,
    OptionCode::Rebinding,
];

/// What stands in every message of a client.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) mac: [u8; 6],
    pub(super) client_id: Vec<u8>,
    pub(super) hostname: Option<String>,
    pub(super) vendor_class: Option<String>,
}

/// A message of ours; what is `None` or unspecified is not in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outgoing {
    pub(super) kind: MessageType,
    pub(super) xid: u32,
    /// Since the client began to ask, seconds.
    pub(super) seconds: u16,
    /// Answers are to come by broadcast: our address does not receive yet.
    pub(super) broadcast: bool,
    pub(super) client_address: Ipv4Addr,
    pub(super) requested: Option<Ipv4Addr>,
    pub(super) server: Option<Ipv4Addr>,
}

impl Outgoing {
    /// The UDP payload. Which option goes with which message: RFC 2131, table 5.
    pub(super) fn payload(&self, identity: &Identity) -> Vec<u8> {
        let mut message = Message::new_with_id(
            self.xid,
            self.client_address,
            Ipv4Addr::UNSPECIFIED,
            Ipv4Addr::UNSPECIFIED,
            Ipv4Addr::UNSPECIFIED,
            &identity.mac,
        );
        message.set_secs(self.seconds);
        if self.broadcast {
            message.set_flags(Flags::default().set_broadcast());
        }
        let options = message.opts_mut();
        options.insert(DhcpOption::MessageType(self.kind));
        options.insert(DhcpOption::ClientIdentifier(identity.client_id.clone()));
        if let Some(address) = self.requested {
            options.insert(DhcpOption::RequestedIpAddress(address));
        }
        if let Some(server) = self.server {
            options.insert(DhcpOption::ServerIdentifier(server));
        }
        if matches!(self.kind, MessageType::Discover | MessageType::Request) {
            options.insert(DhcpOption::ParameterRequestList(REQUESTED.to_vec()));
            options.insert(DhcpOption::MaxMessageSize(MAX_MESSAGE_OCTETS));
            if let Some(hostname) = &identity.hostname {
                options.insert(DhcpOption::Hostname(hostname.clone()));
            }
            if let Some(class) = &identity.vendor_class {
                options.insert(DhcpOption::ClassIdentifier(class.clone().into_bytes()));
            }
        }
        // Nothing in it is too long for its field, so this does not fail.
        let mut payload = message.to_vec().unwrap_or_default();
        // Relay agents drop shorter ones (RFC 1542, 2.1).
        payload.resize(payload.len().max(MIN_PACKET_SIZE), 0);
        payload
    }

    /// The IPv4 packet that carries it.
    pub(super) fn packet(
        &self,
        identity: &Identity,
        source: Ipv4Addr,
        destination: Ipv4Addr,
        identification: u16,
    ) -> Vec<u8> {
        ipv4::udp_packet(
            SocketAddrV4::new(source, CLIENT_PORT),
            SocketAddrV4::new(destination, SERVER_PORT),
            &self.payload(identity),
            identification,
        )
    }
}

/// The Ethernet frame that carries an IPv4 packet.
pub(in crate::addressing) fn frame(
    destination: [u8; 6],
    source: [u8; 6],
    packet: &[u8],
) -> Vec<u8> {
    let header = Ethernet {
        destination,
        source,
        ether_type: ETHER_TYPE_IPV4,
    };
    let mut frame = header.octets().to_vec();
    frame.extend(packet);
    frame
}

/// What a server may say to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Offer,
    Ack,
    Nak,
}

/// A server's message to us.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) kind: Kind,
    pub(super) xid: u32,
    /// yiaddr.
    pub(super) address: Ipv4Addr,
    pub(super) server: Ipv4Addr,
    pub(super) options: Options,
}

/// Reads an IPv4 packet from its header on.
pub(super) fn parse(packet: &[u8], identity: &Identity) -> Result<Reply, Refusal> {
    let (_, payload) = payload_to(CLIENT_PORT, packet).ok_or(Refusal::Malformed)?;
    let message = ReceivedMessage::new(payload).map_err(|_| Refusal::Malformed)?;
    // The length before `chaddr`, which counts on it.
    if message.opcode() != Opcode::BootReply
        || message.htype() != HType::Eth
        || usize::from(message.hlen()) != identity.mac.len()
        || payload.get(COOKIE) != Some(&MAGIC[..])
    {
        return Err(Refusal::Malformed);
    }
    if message.chaddr() != identity.mac {
        return Err(Refusal::OtherHardware);
    }
    let options = Options::read(payload);
    let kind = match options.get(OptionCode::MessageType) {
        Some([2]) => Kind::Offer,
        Some([5]) => Kind::Ack,
        Some([6]) => Kind::Nak,
        _ => return Err(Refusal::Malformed),
    };
    // RFC 6842, 3: one that names another client is not for us.
    if options
        .get(OptionCode::ClientIdentifier)
        .is_some_and(|id| id != identity.client_id)
    {
        return Err(Refusal::OtherClientId);
    }
    let server = options
        .address(OptionCode::ServerIdentifier)
        .filter(|&server| is_unicast(server))
        .ok_or(Refusal::NoServerId)?;
    Ok(Reply {
        kind,
        xid: message.xid(),
        address: message.yiaddr(),
        server,
        options,
    })
}

/// The header and the UDP payload of a whole packet to this port, its checksums right.
pub(in crate::addressing) fn payload_to(port: u16, packet: &[u8]) -> Option<(Ipv4, &[u8])> {
    let ipv4 = ipv4::parse(packet).ok()?;
    if ipv4.protocol != ipv4::PROTOCOL_UDP || ipv4.is_fragment() {
        return None;
    }
    let udp = udp::parse(&ipv4, packet).ok()?;
    let payload = packet.get(udp.payload_range)?;
    (udp.destination_port == port).then_some((ipv4, payload))
}

/// Whether a station may have this address.
pub(in crate::addressing) fn is_unicast(address: Ipv4Addr) -> bool {
    !ipv4::is_martian_source(address)
}

/// The options of a message by their codes. What a server has split is put
/// together (RFC 3396), from the fields `file` and `sname` too.
#[derive(Debug, Default)]
pub(super) struct Options(BTreeMap<u8, Vec<u8>>);

impl Options {
    /// Of a message that has its fixed fields. An option that the message does
    /// not hold whole ends the list.
    fn read(message: &[u8]) -> Self {
        let mut options = Self::default();
        options.add(message.get(FIXED_OCTETS..));
        let overload = match options.get(OptionCode::OptionOverload) {
            Some(&[overload]) => overload,
            _ => 0,
        };
        // In this order (RFC 3396, 5).
        if overload & 1 != 0 {
            options.add(message.get(FILE));
        }
        if overload & 2 != 0 {
            options.add(message.get(SNAME));
        }
        options
    }

    fn add(&mut self, field: Option<&[u8]>) {
        for option in DhcpOptionIterator::new(field.unwrap_or_default()) {
            let octets = self.0.entry(option.code().into()).or_default();
            octets.extend(option.data());
        }
    }

    pub(super) fn get(&self, code: OptionCode) -> Option<&[u8]> {
        self.0.get(&u8::from(code)).map(Vec::as_slice)
    }

    /// An option of one address; `None` too when it has another length.
    pub(super) fn address(&self, code: OptionCode) -> Option<Ipv4Addr> {
        self.number(code).map(Ipv4Addr::from_bits)
    }

    /// An option of 32 bits.
    pub(super) fn number(&self, code: OptionCode) -> Option<u32> {
        let octets = self.get(code)?.try_into().ok()?;
        Some(u32::from_be_bytes(octets))
    }

    /// An option of 16 bits.
    pub(super) fn short_number(&self, code: OptionCode) -> Option<u16> {
        let octets = self.get(code)?.try_into().ok()?;
        Some(u16::from_be_bytes(octets))
    }

    /// The stations in a list of addresses, in its order; none twice.
    pub(super) fn stations(&self, code: OptionCode) -> Vec<Ipv4Addr> {
        let mut stations = Vec::new();
        let octets = self.get(code).unwrap_or_default();
        for &[a, b, c, d] in octets.as_chunks().0 {
            let station = Ipv4Addr::new(a, b, c, d);
            if is_unicast(station) && !stations.contains(&station) {
                stations.push(station);
            }
        }
        stations
    }
}
