//! What a stranger sends who plays a site's provider: DHCP, neighbour discovery and PPPoE, seeded.
//!
//! He is on the wire before the site and knows its addresses and its provider's, but not what only those two have said to
//! each other: a transaction's number, a cookie, both ends of a session. What names all of these right ends a session by
//! PPPoE's and DHCP's own rules.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};

use dataplane::headers::ethernet::{
    BROADCAST, ETHER_TYPE_IPV4, ETHER_TYPE_PPPOE_DISCOVERY, ETHER_TYPE_PPPOE_SESSION,
};
use dataplane::headers::{icmpv6, ipv4};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::{damage, ethernet, neighbour_discovery, octets};

const DHCP_SERVER: u16 = 67;
const DHCP_CLIENT: u16 = 68;
/// The most octets of options that go into a frame.
const OPTIONS_MAX_OCTETS: usize = 1200;
const ROUTER_ADVERTISEMENT: u8 = 134;
/// Routers that advertise, now this and now that.
const ROUTERS: u16 = 16;

/// PPPoE's codes (RFC 2516, 5).
const PADO: u8 = 0x07;
const PADS: u8 = 0x65;
const PADT: u8 = 0xa7;

/// Whom it is sent to.
#[derive(Clone, Debug)]
pub struct Customer {
    pub mac: [u8; 6],
    /// What his DHCP server gave him, or would have.
    pub address: Ipv4Addr,
    pub server: Ipv4Addr,
    pub line: Line,
}

/// The session that a PPPoE line is in.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    pub access_concentrator: [u8; 6],
    pub session: u16,
}

kinds! {
    /// Good answers of a DHCP server, the customer's or another one, in a transaction that is not his.
    OtherTransactions,
    /// Answers to other customers.
    OtherCustomers,
    /// Answers that say of no server, or of one that none can be.
    Serverless,
    /// Answers with as many options as fit, the same one many times, or some in fields for names.
    HugeOptions,
    /// Answers, damaged behind their UDP header, whose checksum is right.
    DamagedAnswers,
    /// Answers of which the end is missing.
    TruncatedAnswers,
    /// Good advertisements of forged networks, by routers that come and go.
    Advertisements,
    /// The same, damaged, with right checksums.
    DamagedAdvertisements,
    /// Other messages of neighbour discovery, of random contents.
    Neighbours,
    /// PADO that nobody asked for.
    Offers,
    /// PADS with a forged source, or a random one.
    Confirmations,
    /// PADT of the session from elsewhere, or of another session from its access concentrator.
    Terminations,
    /// Discovery whose tags are no longer right, or whose end is missing.
    DamagedDiscovery,
    /// Frames of the session from elsewhere, or of another session from its access concentrator.
    Sessions,
    /// Frames of the session stage that cannot be right.
    DamagedSessions,
}

/// Makes junk for one customer.
pub struct ProviderJunk {
    rng: StdRng,
    customer: Customer,
}

impl ProviderJunk {
    #[must_use]
    pub fn new(seed: u64, customer: Customer) -> Self {
        Self {
            rng: StdRng::seed_from_u64(seed),
            customer,
        }
    }

    /// So many frames, each of any kind.
    pub fn frames(&mut self, count: usize) -> Vec<Vec<u8>> {
        (0..count)
            .map(|_| {
                let kind = *Kind::ALL.choose(&mut self.rng).expect("there are kinds");
                self.frame(kind)
            })
            .collect()
    }

    /// One frame.
    pub fn frame(&mut self, kind: Kind) -> Vec<u8> {
        match kind {
            Kind::OtherTransactions => {
                let (mac, options) = (self.customer.mac, self.options());
                let answer = self.answer(mac, &options);
                self.dhcp(&answer)
            }
            Kind::OtherCustomers => {
                let (mac, options) = (self.unicast_mac(), self.options());
                let answer = self.answer(mac, &options);
                self.dhcp(&answer)
            }
            Kind::Serverless => self.serverless(),
            Kind::HugeOptions => self.huge_options(),
            Kind::DamagedAnswers => {
                let (mac, options) = (self.customer.mac, self.options());
                let mut answer = self.answer(mac, &options);
                damage(&mut self.rng, &mut answer);
                self.dhcp(&answer)
            }
            Kind::TruncatedAnswers => {
                let (mac, options) = (self.customer.mac, self.options());
                let mut answer = self.answer(mac, &options);
                answer.truncate(self.rng.random_range(0..answer.len()));
                self.dhcp(&answer)
            }
            Kind::Advertisements => {
                let message = self.advertisement();
                self.by_router(message)
            }
            Kind::DamagedAdvertisements => {
                let mut message = self.advertisement();
                // It stays an advertisement.
                let mut body = message.split_off(4);
                damage(&mut self.rng, &mut body);
                message.extend(body);
                self.by_router(message)
            }
            Kind::Neighbours => {
                let kinds = [133, 135, 136, 137];
                let kind = *kinds.choose(&mut self.rng).expect("some");
                let mut message = vec![kind, 0, 0, 0];
                message.extend(octets(&mut self.rng, 4..80));
                self.by_router(message)
            }
            Kind::Offers => {
                let source = self.some_source();
                let tags = self.tags();
                self.discovery(source, PADO, 0, &tags)
            }
            Kind::Confirmations => {
                let (source, session) = (self.some_source(), self.rng.random());
                let tags = self.tags();
                self.discovery(source, PADS, session, &tags)
            }
            Kind::Terminations => {
                let (source, session) = self.almost_the_session();
                let tags = self.tags();
                self.discovery(source, PADT, session, &tags)
            }
            Kind::DamagedDiscovery => self.damaged_discovery(),
            Kind::Sessions => {
                let (source, session) = self.almost_the_session();
                let ppp = self.ppp();
                let payload = pppoe(0, session, &ppp);
                self.from(source, ETHER_TYPE_PPPOE_SESSION, &payload)
            }
            Kind::DamagedSessions => self.damaged_session(),
        }
    }

    fn chance(&mut self, one_in: u32) -> bool {
        self.rng.random_ratio(1, one_in)
    }

    fn unicast_mac(&mut self) -> [u8; 6] {
        let mut mac: [u8; 6] = self.rng.random();
        mac[0] = mac[0] & !1 | 2;
        mac
    }

    /// A frame to the customer.
    fn from(&self, source: [u8; 6], ether_type: u16, packet: &[u8]) -> Vec<u8> {
        let mut frame = ethernet(self.customer.mac, ether_type, packet);
        frame[6..12].copy_from_slice(&source);
        frame
    }
}

/// DHCP.
impl ProviderJunk {
    /// The customer's server, or another one of his network.
    fn some_server(&mut self) -> Ipv4Addr {
        if self.chance(2) {
            return self.customer.server;
        }
        let [a, b, c, _] = self.customer.server.octets();
        Ipv4Addr::new(a, b, c, self.rng.random_range(3..=90))
    }

    /// Everything that makes a lease, but for the end.
    fn options(&mut self) -> Vec<u8> {
        let server = self.some_server();
        let mut options = vec![53, 1];
        options.push(*[2, 5, 6].choose(&mut self.rng).expect("some"));
        options.extend([54, 4]);
        options.extend(server.octets());
        options.extend([51, 4]);
        options.extend(self.rng.random_range(1..7200_u32).to_be_bytes());
        options.extend([1, 4, 255, 255, 255, 0, 3, 4]);
        options.extend(server.octets());
        options.extend([26, 2]);
        options.extend(self.rng.random::<u16>().to_be_bytes());
        options
    }

    /// A message to the customer or to whoever has this address (RFC 2131, 2).
    fn answer(&mut self, chaddr: [u8; 6], options: &[u8]) -> Vec<u8> {
        let mut message = vec![2, 1, 6, 0];
        message.extend(self.rng.random::<[u8; 4]>());
        message.extend([0, 0, if self.chance(2) { 0x80 } else { 0 }, 0]);
        // ciaddr, yiaddr, siaddr, giaddr.
        message.extend([0; 4]);
        message.extend(self.some_address().octets());
        message.extend([0; 8]);
        message.extend(chaddr);
        // The rest of chaddr, sname and file.
        message.extend([0; 10 + 64 + 128]);
        message.extend([99, 130, 83, 99]);
        message.extend(options);
        message.push(255);
        message
    }

    /// What the customer has, or something else.
    fn some_address(&mut self) -> Ipv4Addr {
        if self.chance(2) {
            return self.customer.address;
        }
        let [a, b, c, _] = self.customer.address.octets();
        Ipv4Addr::new(a, b, c, self.rng.random_range(160..=250))
    }

    fn serverless(&mut self) -> Vec<u8> {
        let mut options = vec![53, 1, 5, 51, 4, 0, 0, 14, 16, 1, 4, 255, 255, 255, 0];
        let none = [
            Ipv4Addr::UNSPECIFIED,
            Ipv4Addr::BROADCAST,
            Ipv4Addr::LOCALHOST,
            Ipv4Addr::new(224, 0, 0, 9),
        ];
        if self.chance(2) {
            options.extend([54, 4]);
            options.extend(none.choose(&mut self.rng).expect("some").octets());
        }
        let answer = self.answer(self.customer.mac, &options);
        self.dhcp(&answer)
    }

    fn huge_options(&mut self) -> Vec<u8> {
        let mut options = self.options();
        let same = self.rng.random();
        let is_one = self.chance(2);
        while options.len() < OPTIONS_MAX_OCTETS - 257 {
            let value = octets(&mut self.rng, 0..256);
            let code = if is_one { same } else { self.rng.random() };
            options.extend([code, value.len() as u8]);
            options.extend(value);
        }
        let mut answer = self.answer(self.customer.mac, &options);
        if self.chance(2) {
            // Option 52: file and sname hold options, too, of anything.
            answer.splice(240..240, [52, 1, 3]);
            let names = octets(&mut self.rng, 192..193);
            answer[44..236].copy_from_slice(&names);
        }
        self.dhcp(&answer)
    }

    /// To everybody, to the customer, or to an address that is nobody's yet.
    fn dhcp(&mut self, message: &[u8]) -> Vec<u8> {
        let server = SocketAddrV4::new(self.some_server(), DHCP_SERVER);
        let (mac, address) = match self.rng.random_range(0..4) {
            0 => (BROADCAST, Ipv4Addr::BROADCAST),
            1 => (self.customer.mac, Ipv4Addr::BROADCAST),
            2 => (self.customer.mac, self.customer.address),
            _ => (self.customer.mac, self.some_address()),
        };
        let to = SocketAddrV4::new(address, DHCP_CLIENT);
        let packet = ipv4::udp_packet(server, to, message, self.rng.random());
        ethernet(mac, ETHER_TYPE_IPV4, &packet)
    }
}

/// Neighbour discovery.
impl ProviderJunk {
    /// One network to three, and perhaps an MTU and a name server (RFC 4861, 4.2).
    fn advertisement(&mut self) -> Vec<u8> {
        let lifetime_s = if self.chance(3) { 0 } else { 1800_u16 };
        let flags = self.rng.random::<u8>() & 0xd8;
        let mut message = vec![ROUTER_ADVERTISEMENT, 0, 0, 0, 64, flags];
        message.extend(lifetime_s.to_be_bytes());
        message.extend([0; 8]);
        for _ in 0..self.rng.random_range(1..4) {
            // On-link and autonomous, for longer or not any more.
            message.extend([3, 4, 64, 0xc0]);
            let valid_s = *[0, 7200, 86_400_u32].choose(&mut self.rng).expect("some");
            message.extend(valid_s.to_be_bytes());
            message.extend((valid_s / 2).to_be_bytes());
            message.extend([0; 4]);
            message.extend([0x20, 1, 0xd, 0xb8, 0xbb, 0, 0]);
            message.push(self.rng.random_range(0..32));
            message.extend([0; 8]);
        }
        if self.chance(2) {
            message.extend([5, 1, 0, 0]);
            let octets = *[0, 1279, 1280, 1400, 1500, u32::MAX]
                .choose(&mut self.rng)
                .expect("some");
            message.extend(octets.to_be_bytes());
        }
        if self.chance(2) {
            message.extend([25, 3, 0, 0, 0, 0, 7, 8]);
            message.extend([0x20, 1, 0xd, 0xb8, 0xbb, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            message.push(self.rng.random());
        }
        message
    }

    /// From one of the routers, or from somebody who is no neighbour.
    fn by_router(&mut self, message: Vec<u8>) -> Vec<u8> {
        let host = self.rng.random_range(1..=ROUTERS);
        let prefix = if self.chance(16) { 0x2001 } else { 0xfe80 };
        let source = Ipv6Addr::new(prefix, 0, 0, 0, 0, 0, 0, host);
        let limit = icmpv6::NEIGHBOUR_DISCOVERY_HOP_LIMIT;
        let hop_limit = if self.chance(16) { 64 } else { limit };
        neighbour_discovery(source, hop_limit, message)
    }
}

/// PPPoE.
impl ProviderJunk {
    /// The access concentrator, or anybody.
    fn some_source(&mut self) -> [u8; 6] {
        if self.chance(2) {
            self.customer.line.access_concentrator
        } else {
            self.unicast_mac()
        }
    }

    /// One of the two ends of the session is right.
    fn almost_the_session(&mut self) -> ([u8; 6], u16) {
        let line = self.customer.line;
        if self.chance(2) {
            let change: u16 = self.rng.random_range(1..=u16::MAX);
            (line.access_concentrator, line.session ^ change)
        } else {
            (self.unicast_mac(), line.session)
        }
    }

    fn tags(&mut self) -> Vec<u8> {
        let mut tags = vec![1, 1, 0, 0, 1, 2, 0, 4];
        tags.extend(b"bras");
        // Host-Uniq, AC-Cookie, Relay-Session-Id, and an error.
        for kind in [0x0103_u16, 0x0104, 0x0110, 0x0203] {
            if self.chance(2) {
                let value = octets(&mut self.rng, 0..40);
                tags.extend(kind.to_be_bytes());
                tags.extend((value.len() as u16).to_be_bytes());
                tags.extend(value);
            }
        }
        tags
    }

    fn discovery(&mut self, source: [u8; 6], code: u8, session: u16, tags: &[u8]) -> Vec<u8> {
        let packet = pppoe(code, session, tags);
        self.from(source, ETHER_TYPE_PPPOE_DISCOVERY, &packet)
    }

    fn damaged_discovery(&mut self) -> Vec<u8> {
        let (source, session) = self.almost_the_session();
        let code = *[PADO, PADS, PADT].choose(&mut self.rng).expect("some");
        let mut tags = self.tags();
        if self.chance(2) {
            // A tag that goes past the end of the others.
            tags.extend([1, 4, 0xff, 0xff]);
            return self.discovery(source, code, session, &tags);
        }
        let mut packet = pppoe(code, session, &tags);
        // The code and the session stay: what is damaged may still be good.
        let mut rest = packet.split_off(4);
        damage(&mut self.rng, &mut rest);
        packet.extend(rest);
        self.from(source, ETHER_TYPE_PPPOE_DISCOVERY, &packet)
    }

    /// LCP, IPCP or IP of anything.
    fn ppp(&mut self) -> Vec<u8> {
        let protocols = [0xc021_u16, 0xc223, 0x8021, 0x8057, 0x0021, 0x0057];
        let protocol = *protocols.choose(&mut self.rng).expect("some");
        let mut ppp = protocol.to_be_bytes().to_vec();
        // Terminate-Request or Configure-Request more often than not.
        ppp.push(
            *[1, 5, self.rng.random()]
                .choose(&mut self.rng)
                .expect("some"),
        );
        ppp.extend([self.rng.random(), 0, 4]);
        ppp.extend(octets(&mut self.rng, 0..60));
        ppp
    }

    /// Wrong version, type, code or length, with both ends of the session right.
    fn damaged_session(&mut self) -> Vec<u8> {
        let line = self.customer.line;
        let ppp = self.ppp();
        let mut packet = pppoe(0, line.session, &ppp);
        match self.rng.random_range(0..3) {
            0 => packet[0] ^= self.rng.random_range(1..=255),
            1 => packet[1] = self.rng.random_range(1..=255),
            _ => {
                packet[4..6].copy_from_slice(&self.rng.random_range(1600..=u16::MAX).to_be_bytes())
            }
        }
        self.from(line.access_concentrator, ETHER_TYPE_PPPOE_SESSION, &packet)
    }
}

/// A packet of either stage, from its own header on (RFC 2516, 4).
fn pppoe(code: u8, session: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x11, code];
    packet.extend(session.to_be_bytes());
    packet.extend((payload.len() as u16).to_be_bytes());
    packet.extend(payload);
    packet
}

#[cfg(test)]
mod tests;
