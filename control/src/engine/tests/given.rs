//! One engine, and whoever gives it addresses: what it commands and sends, in order.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV6};
use std::time::Duration;

use dataplane::command::{Command, InterfaceId, NextHop, PortId, Prefix, TableId};
use dataplane::event::Event;
use dataplane::headers::ipv6;
use dhcproto::v6::{DhcpOption, DhcpOptions, IAPD, IAPrefix, Message, MessageType, OptionCode};
use dhcproto::{Decodable, Decoder, Encodable};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::world::{config, seconds};
use crate::addressing::Dhcpv6Settings;
use crate::config::{Advertisements, Config, Delegated, InterfaceAddress, Pppoe};
use crate::engine::{Engine, Output, PortFacts};
use crate::host::discovery::{ALL_NODES, frame, group_mac, message_packet};
use crate::host::link_local;
use crate::pppoe::model::{CLIENT_MAC, Model, SERVER_IP};

const LAN: PortId = PortId(0);
const ISP: PortId = PortId(1);
/// The logical one on it.
const LINE: PortId = PortId(4);
const LAN_TABLE: TableId = TableId(0);
const ISP_TABLE: TableId = TableId(1);
const ISP_INTERFACE: InterfaceId = InterfaceId(1);
const EVERYTHING: Prefix = Prefix {
    address: IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    length: 0,
};

/// The demo's remote, which dials nobody.
fn quiet() -> Config {
    let mut config = config("remote");
    config.l2tp.outgoing.clear();
    config
}

fn engine_of(config: Config) -> Engine {
    let port = |id: u16, carrier| PortFacts {
        id: PortId(id),
        mac: CLIENT_MAC,
        mtu: 1500,
        carrier,
    };
    let mut ports: Vec<_> = (0..4).map(|id| port(id, None)).collect();
    ports.push(port(LINE.0, Some(ISP)));
    let mut engine = Engine::new(Duration::ZERO, config, ports, [7; 32]);
    for id in 0..=LINE.0 {
        engine.handle_port_link(Duration::ZERO, PortId(id), true);
    }
    engine
}

/// A site whose ISP delegates a network to it, for its LAN.
struct Delegating {
    now: Duration,
    engine: Engine,
    /// The network that is delegated; what was before is so no more.
    network: Option<Ipv6Addr>,
    /// What the LAN was told last: the router's lifetime, and of each network how
    /// long it is preferred, seconds.
    told: Option<(u16, Vec<(Ipv6Addr, u32)>)>,
}

const PREFERRED_S: u32 = 1000;
const VALID_S: u32 = 2000;

fn network(number: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, number, 0x100, 0, 0, 0, 0)
}

/// The second network of 64 bits of it.
fn lan_network(number: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, number, 0x101, 0, 0, 0, 0)
}

impl Delegating {
    fn new() -> Self {
        let mut config = quiet();
        config.interfaces[1].asked.dhcpv6 = Some(Dhcpv6Settings {
            address: false,
            prefix: Some(56),
        });
        let lan = &mut config.interfaces[0];
        lan.delegated = Some(Delegated {
            from: 1,
            subnet: 1,
            interface_id: 1,
        });
        lan.advertisements = Some(Advertisements {
            default_router: true,
            interval: seconds(60),
            dns: Vec::new(),
            managed: false,
            other: false,
        });
        let mut site = Self {
            now: Duration::ZERO,
            engine: engine_of(config),
            network: Some(network(1)),
            told: None,
        };
        site.settle();
        site
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.engine.next_timeout().filter(|&due| due <= end) {
            assert!(due > self.now || due.is_zero(), "time stands still");
            self.now = due;
            self.engine.handle_timeout(due);
            self.settle();
        }
        self.now = end;
    }

    fn settle(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            let Output::Frame { port, frame } = output else {
                continue;
            };
            if frame[12..14] != [0x86, 0xdd] {
                continue;
            }
            let packet = &frame[14..];
            if port == LAN && packet.get(40) == Some(&134) {
                self.told = Some(told(&packet[40..]));
            } else if port == ISP && packet.get(42..44) == Some(&[0x02, 0x23]) {
                self.answer(&packet[48..]);
            }
        }
    }

    /// RFC 8415, 18.3.
    fn answer(&mut self, asked: &[u8]) {
        let asked = Message::decode(&mut Decoder::new(asked)).expect("our own message");
        let kind = match asked.msg_type() {
            MessageType::Solicit => MessageType::Advertise,
            _ => MessageType::Reply,
        };
        let Some(network) = self.network else {
            return;
        };
        let lent = |prefix_ip, preferred_lifetime, valid_lifetime| {
            DhcpOption::IAPrefix(IAPrefix {
                preferred_lifetime,
                valid_lifetime,
                prefix_len: 56,
                prefix_ip,
                opts: DhcpOptions::new(),
            })
        };
        let Some(DhcpOption::IAPD(wanted)) = asked.opts().get(OptionCode::IAPD) else {
            return;
        };
        let mut prefixes = vec![lent(network, PREFERRED_S, VALID_S)];
        for named in wanted.opts.iter() {
            if let DhcpOption::IAPrefix(named) = named
                && named.prefix_ip != network
                && !named.prefix_ip.is_unspecified()
            {
                prefixes.push(lent(named.prefix_ip, 0, 0));
            }
        }
        let mut reply = Message::new_with_id(kind, asked.xid());
        let client_id = asked.opts().get(OptionCode::ClientId).expect("it has one");
        let options = reply.opts_mut();
        options.insert(client_id.clone());
        options.insert(DhcpOption::ServerId(vec![0, 3, 0, 1, 2, 0, 0, 0, 9, 9]));
        options.insert(DhcpOption::IAPD(IAPD {
            id: wanted.id,
            t1: 0,
            t2: 0,
            opts: prefixes.into_iter().collect(),
        }));
        let server = SocketAddrV6::new("fe80::9".parse().expect("an address"), 547, 0, 0);
        let client = SocketAddrV6::new(link_local(CLIENT_MAC), 546, 0, 0);
        let payload = reply.to_vec().expect("our own message");
        let event = Event::Local {
            table: ISP_TABLE,
            interface: Some(ISP_INTERFACE),
            packet: ipv6::udp_packet(server, client, &payload),
        };
        self.engine.handle_event(self.now, event);
    }

    fn told(&self) -> (u16, Vec<(Ipv6Addr, u32)>) {
        self.told.clone().expect("the LAN was told something")
    }

    fn preferred_s(&self, network: Ipv6Addr) -> Option<u32> {
        let (_, networks) = self.told();
        let mut networks = networks.iter().filter(|it| it.0 == network);
        networks.next().map(|it| it.1)
    }
}

/// The router's lifetime and the networks of an advertisement (RFC 4861, 4.2, 4.6.2).
fn told(advertisement: &[u8]) -> (u16, Vec<(Ipv6Addr, u32)>) {
    const NETWORK: u8 = 3;
    let lifetime = u16::from_be_bytes([advertisement[6], advertisement[7]]);
    let (mut networks, mut options) = (Vec::new(), &advertisement[16..]);
    while let [kind, eights, ..] = *options {
        let (option, rest) = options.split_at(usize::from(eights) * 8);
        if kind == NETWORK {
            let preferred = option[8..12].try_into().expect("four octets");
            let address: [u8; 16] = option[16..32].try_into().expect("an address");
            networks.push((address.into(), u32::from_be_bytes(preferred)));
        }
        options = rest;
    }
    (lifetime, networks)
}

#[test]
fn a_lan_has_its_network_for_as_long_as_the_delegation_is_renewed() {
    let mut site = Delegating::new();
    site.run_for(seconds(30));
    let preferred_s = site.preferred_s(lan_network(1)).expect("it is advertised");
    assert!(
        (PREFERRED_S - 40..=PREFERRED_S).contains(&preferred_s),
        "{preferred_s}"
    );
    // Renewed after half the time, and again.
    for _ in 0..50 {
        site.run_for(seconds(100));
        let preferred_s = site.preferred_s(lan_network(1)).expect("it is advertised");
        assert!(preferred_s >= PREFERRED_S / 2 - 70, "{preferred_s}");
    }
}

#[test]
fn another_delegation_withdraws_the_network_before_from_the_lan() {
    let mut site = Delegating::new();
    site.run_for(seconds(30));
    site.network = Some(network(2));
    // When it is renewed.
    site.run_for(seconds(510));
    assert_eq!(site.preferred_s(lan_network(1)), Some(0));
    assert!(site.preferred_s(lan_network(2)).expect("it is advertised") > 900);
    let own = &site.engine.interfaces[0].addresses;
    let ipv6: Vec<IpAddr> = own
        .iter()
        .map(|it| it.address)
        .filter(IpAddr::is_ipv6)
        .collect();
    assert_eq!(
        ipv6,
        [IpAddr::from(
            "2001:db8:2:101::1".parse::<Ipv6Addr>().unwrap()
        )]
    );
    // Nobody renews: the network is to be left, and goes with the delegation.
    site.network = None;
    site.run_for(seconds(u64::from(PREFERRED_S) + 70));
    assert_eq!(site.preferred_s(lan_network(2)), Some(0));
    site.run_for(seconds(u64::from(VALID_S - PREFERRED_S)));
    assert_eq!(site.preferred_s(lan_network(2)), None);
    let own = &site.engine.interfaces[0].addresses;
    assert!(own.iter().all(|it| it.address.is_ipv4()), "{own:?}");
}

fn next_hop(engine: &Engine, network: Prefix) -> Option<NextHop> {
    let mut routes = engine.rib.routes();
    let found = routes.find(|&(table, prefix, ..)| (table, prefix) == (ISP_TABLE, network));
    found.map(|(_, _, _, next_hop)| next_hop)
}

/// RFC 7084, WPD-5: what is on no LAN goes not back to the ISP.
#[test]
fn what_was_delegated_leads_nowhere_but_to_lans() {
    let mut site = Delegating::new();
    let delegated = Prefix::new(network(1), 56);
    assert_eq!(next_hop(&site.engine, delegated), None);
    site.run_for(seconds(30));
    let found = next_hop(&site.engine, delegated);
    assert_eq!(found, Some(NextHop::Blackhole));
    site.network = Some(network(2));
    site.run_for(seconds(510));
    assert_eq!(next_hop(&site.engine, delegated), None);
}

/// RFC 4861, 6.3.4: the L flag says so, whether or not an own address is made of it.
#[test]
fn a_network_on_the_link_is_connected_without_an_address_in_it() {
    let mut config = quiet();
    let isp = &mut config.interfaces[1];
    isp.asked.router_advertisements = true;
    isp.addresses.push(InterfaceAddress {
        address: network(4).into(),
        prefix_length: 128,
    });
    let mut engine = engine_of(config);
    let on_link = Prefix::new(network(3), 64);
    let mut message = vec![0; 48];
    (message[0], message[4]) = (134, 64);
    message[16..20].copy_from_slice(&[3, 4, 64, 0x80]);
    message[20..28].fill(0xff);
    message[32..].copy_from_slice(&network(3).octets());
    let router = [2, 0, 0, 0, 0, 9];
    let packet = message_packet(link_local(router), ALL_NODES, &message);
    let advertisement = Event::NeighbourDiscovery {
        port: ISP,
        frame: frame(router, group_mac(ALL_NODES), &packet),
    };
    engine.handle_event(seconds(1), advertisement);
    let connected = NextHop::Interface {
        interface: ISP_INTERFACE,
        via: None,
    };
    assert_eq!(next_hop(&engine, on_link), Some(connected));
    while engine.poll_output().is_some() {}
    let neighbour = Ipv6Addr::from_bits(network(3).to_bits() | 9);
    let missing = Event::NeighbourMissing {
        interface: ISP_INTERFACE,
        next_hop: neighbour.into(),
        packet: vec![0x60; 40],
    };
    engine.handle_event(seconds(2), missing);
    let asked = matches!(engine.poll_output(), Some(Output::Frame { port: ISP, .. }));
    assert!(asked, "its hosts are neighbours");
}

/// RFC 7084, G-4: who leads nowhere is no default router.
#[test]
fn a_lan_has_a_default_router_while_there_is_a_default_route() {
    let mut site = Delegating::new();
    site.run_for(seconds(30));
    assert_eq!(site.told().0, 0);
    let source = super::super::rib::Source::Static;
    let next_hop = NextHop::Interface {
        interface: ISP_INTERFACE,
        via: None,
    };
    site.engine.offer(LAN_TABLE, EVERYTHING, source, next_hop);
    site.run_for(seconds(70));
    assert_eq!(site.told().0, 180);
    site.engine.withdraw(LAN_TABLE, EVERYTHING, source);
    site.run_for(seconds(70));
    assert_eq!(site.told().0, 0);
}

/// Networks of each other's, which no configuration should have, end in no loop.
#[test]
fn interfaces_that_have_their_networks_from_each_other_are_looked_at_once() {
    let mut config = quiet();
    for (place, from) in [(0, 1), (1, 0), (2, 2)] {
        config.interfaces[place].asked.dhcpv6 = Some(Dhcpv6Settings {
            address: false,
            prefix: Some(56),
        });
        config.interfaces[place].delegated = Some(Delegated {
            from,
            subnet: 0,
            interface_id: 1,
        });
    }
    let engine = engine_of(config);
    assert!(
        engine.interfaces[2]
            .addresses
            .iter()
            .all(|it| it.address.is_ipv4())
    );
}

/// A site on a PPPoE line, and what became of it in order.
struct OnLine {
    now: Duration,
    engine: Engine,
    concentrator: Model,
    log: Vec<Did>,
}

#[derive(Debug)]
enum Did {
    Command(Command),
    /// In the session.
    Session,
    Discovery,
    /// IPv6 to the line, without a session's header.
    Ipv6,
}

impl OnLine {
    fn new() -> Self {
        let ppp = config("remote").l2tp.outgoing[0].ppp.clone();
        let mut config = quiet();
        let isp = &mut config.interfaces[1];
        isp.addresses.clear();
        isp.pppoe = Some(Pppoe {
            username: "site".to_owned(),
            password: crate::secret::Secret::new("secret".to_owned()),
            service_name: None,
            access_concentrator: None,
            mtu: 1492,
            lcp_rate: seconds(1),
            lcp_timeout: seconds(5),
            ppp,
        });
        isp.asked.router_advertisements = true;
        let mut concentrator = Model::new(1, StdRng::seed_from_u64(1));
        concentrator.ipv6 = true;
        let mut line = Self {
            now: Duration::ZERO,
            engine: engine_of(config),
            concentrator,
            log: Vec::new(),
        };
        line.settle();
        line
    }

    fn settle(&mut self) {
        loop {
            if let Some(output) = self.engine.poll_output() {
                self.carry_out(output);
            } else if let Some(frame) = self.concentrator.poll() {
                let event = match frame[12..14] {
                    [0x88, 0x63] => Event::PppoeDiscovery { port: ISP, frame },
                    _ => Event::PppoeSession { port: LINE, frame },
                };
                self.engine.handle_event(self.now, event);
            } else {
                break;
            }
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Command(command) => self.log.push(Did::Command(command)),
            Output::LineFrame { port, frame } => {
                assert_eq!(port, LINE);
                self.log.push(match frame[12..14] {
                    [0x88, 0x63] => Did::Discovery,
                    _ => Did::Session,
                });
                self.concentrator.handle(self.now, &frame);
            }
            Output::Frame { port, frame } if port == LINE => {
                assert_eq!(frame[12..14], [0x86, 0xdd]);
                self.log.push(Did::Ipv6);
            }
            _ => {}
        }
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let due = [self.engine.next_timeout(), self.concentrator.next_timeout()];
            let Some(due) = due.into_iter().flatten().min().filter(|&due| due <= end) else {
                break;
            };
            self.now = self.now.max(due);
            self.concentrator.handle_timeout(self.now);
            self.engine.handle_timeout(self.now);
            self.settle();
        }
        self.now = end;
    }

    fn place(&self, is_it: impl Fn(&Did) -> bool) -> Option<usize> {
        self.log.iter().position(is_it)
    }

    /// The address that PPP has agreed on.
    fn address(&self) -> Option<Ipv4Addr> {
        let own = self.engine.interfaces[1].addresses.iter();
        let mut ipv4 = own.filter_map(|own| match own.address {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        });
        ipv4.next()
    }

    fn default_route(&self) -> Option<NextHop> {
        let everything = Prefix::new(Ipv4Addr::UNSPECIFIED, 0);
        let mut routes = self.engine.rib.routes();
        routes
            .find(|&(table, prefix, ..)| (table, prefix) == (ISP_TABLE, everything))
            .map(|(.., next_hop)| next_hop)
    }
}

#[test]
fn a_line_is_ready_before_its_far_end_may_send_and_gone_with_its_session() {
    let mut line = OnLine::new();
    line.run_for(seconds(3));
    let ready = line.place(|did| {
        matches!(
            did,
            Did::Command(Command::SetPppoe {
                port: LINE,
                session: Some(_)
            })
        )
    });
    let first = line.place(|did| matches!(did, Did::Session));
    assert!(ready.is_some() && ready < first, "{:?}", line.log);
    assert!(line.address().is_some());
    let via = Some(SERVER_IP.into());
    let next_hop = NextHop::Interface {
        interface: ISP_INTERFACE,
        via,
    };
    assert_eq!(line.default_route(), Some(next_hop));
    let mac = line.concentrator.mac;
    let neighbour = line.place(|did| {
        matches!(did, Did::Command(Command::SetNeighbour { interface: ISP_INTERFACE, address, mac: at })
            if Some(*address) == via && *at == mac)
    });
    assert!(neighbour.is_some());
    line.log.clear();
    line.concentrator.is_dead_end = true;
    line.concentrator.terminate(&[]);
    line.settle();
    assert_eq!((line.address(), line.default_route()), (None, None));
    let told = |is_it: fn(&Command) -> bool| {
        line.place(|did| matches!(did, Did::Command(command) if is_it(command)))
    };
    let no_session = |command: &Command| {
        matches!(
            command,
            Command::SetPppoe {
                port: LINE,
                session: None
            }
        )
    };
    assert!(told(no_session).is_some(), "{:?}", line.log);
    assert!(told(|it| matches!(it, Command::RemoveNeighbour { .. })).is_some());
    assert!(told(|it| matches!(it, Command::RemoveRoute { .. })).is_some());
}

/// Nobody hears a question of IPv6 on a line without a session. Asked in vain for
/// long, the client would hardly ask any more when there is one.
#[test]
fn routers_are_asked_for_when_the_line_has_a_session() {
    let mut line = OnLine::new();
    line.concentrator.is_dead_end = true;
    line.concentrator.terminate(&[]);
    line.settle();
    line.run_for(seconds(2000));
    line.log.clear();
    line.run_for(seconds(1000));
    assert!(line.place(|did| matches!(did, Did::Ipv6)).is_none());
    assert!(line.place(|did| matches!(did, Did::Discovery)).is_some());
    line.concentrator.is_dead_end = false;
    line.run_for(seconds(200));
    assert!(line.address().is_some(), "no session");
    line.concentrator.terminate(&[]);
    line.log.clear();
    line.settle();
    line.run_for(seconds(6));
    assert!(line.address().is_some(), "no session");
    assert!(line.place(|did| matches!(did, Did::Ipv6)).is_some());
}

#[test]
fn status_shows_how_a_line_answers_and_what_routers_say_of_dhcpv6() {
    let mut line = OnLine::new();
    line.run_for(seconds(6));
    let seen = line.engine.status(line.now).interfaces.swap_remove(1);
    let pppoe = seen.pppoe.unwrap();
    assert!((3..=6).contains(&pppoe.echo_sent), "{pppoe:?}");
    assert_eq!((pppoe.echo_lost, pppoe.round_trip.last_us), (0, Some(0)));
    let routers = &seen.clients["ra"];
    assert_eq!((routers.managed, routers.other), (Some(false), Some(false)));
    line.concentrator.is_dead_end = true;
    line.concentrator.terminate(&[]);
    line.settle();
    let mut seen = line.engine.status(line.now).interfaces;
    let pppoe = seen.swap_remove(1).pppoe.unwrap();
    assert_eq!((pppoe.echo_sent, pppoe.round_trip.last_us), (0, None));
}
