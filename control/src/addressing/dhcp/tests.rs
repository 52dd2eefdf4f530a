use dataplane::headers::{ethernet, ipv4, udp};
use dhcproto::v4::{
    Decodable, Decoder, DhcpOption, Encodable, Flags, Message, MessageType, Opcode, OptionCode,
};
use rand::SeedableRng;

use super::*;

mod hostile;
mod leases;
mod messages;
mod times;

pub(super) const MAC: [u8; 6] = [2, 0, 0, 0, 0x12, 0x34];
pub(super) const SERVER: Ipv4Addr = Ipv4Addr::new(100, 64, 0, 1);
const OTHER_SERVER: Ipv4Addr = Ipv4Addr::new(100, 64, 0, 2);
const ADDRESS: Ipv4Addr = Ipv4Addr::new(100, 64, 0, 77);
const OTHER_ADDRESS: Ipv4Addr = Ipv4Addr::new(100, 64, 0, 78);
const START: Duration = Duration::from_secs(1000);

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A message of the client, and how it went.
#[derive(Debug)]
pub(super) struct Sent {
    /// As a frame to everybody; otherwise as a packet that is routed.
    pub(super) is_frame: bool,
    pub(super) source: Ipv4Addr,
    pub(super) destination: Ipv4Addr,
    pub(super) message: Message,
}

impl Sent {
    /// Checks all headers.
    pub(super) fn read(action: &Action) -> Self {
        let (is_frame, packet) = match action {
            Action::Frame(frame) => {
                let header = ethernet::parse(frame).unwrap();
                assert_eq!((header.destination, header.source), ([0xff; 6], MAC));
                assert_eq!(header.ether_type, ethernet::ETHER_TYPE_IPV4);
                (true, &frame[ethernet::HEADER_OCTETS..])
            }
            Action::Packet(packet) => (false, &packet[..]),
            Action::Changed => panic!("nothing is sent"),
        };
        let header = ipv4::parse(packet).unwrap();
        assert_eq!(header.total_octets, packet.len());
        let udp = udp::parse(&header, packet).unwrap();
        assert_eq!((udp.source_port, udp.destination_port), (68, 67));
        let payload = &packet[udp.payload_range];
        assert!(payload.len() >= 300);
        let message = Message::decode(&mut Decoder::new(payload)).unwrap();
        assert_eq!(message.opcode(), Opcode::BootRequest);
        assert_eq!(message.chaddr(), MAC);
        Self {
            is_frame,
            source: header.source,
            destination: header.destination,
            message,
        }
    }

    pub(super) fn kind(&self) -> MessageType {
        self.message.opts().msg_type().unwrap()
    }

    pub(super) fn requested(&self) -> Option<Ipv4Addr> {
        match self.message.opts().get(OptionCode::RequestedIpAddress)? {
            DhcpOption::RequestedIpAddress(address) => Some(*address),
            _ => unreachable!(),
        }
    }

    pub(super) fn server(&self) -> Option<Ipv4Addr> {
        match self.message.opts().get(OptionCode::ServerIdentifier)? {
            DhcpOption::ServerIdentifier(address) => Some(*address),
            _ => unreachable!(),
        }
    }
}

/// A server's message.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) message: Message,
}

impl Answer {
    /// With what a lease of so many seconds needs, and a router.
    pub(super) fn new(kind: MessageType, xid: u32, address: Ipv4Addr, lease_s: u32) -> Self {
        let none = Ipv4Addr::UNSPECIFIED;
        let mut message = Message::new_with_id(xid, none, address, none, none, &MAC);
        message.set_opcode(Opcode::BootReply);
        message.set_flags(Flags::default().set_broadcast());
        let answer = Self { message };
        let answer = answer
            .with(DhcpOption::MessageType(kind))
            .with(DhcpOption::ServerIdentifier(SERVER));
        if kind == MessageType::Nak {
            return answer;
        }
        answer
            .with(DhcpOption::SubnetMask(Ipv4Addr::new(255, 255, 255, 0)))
            .with(DhcpOption::Router(vec![SERVER]))
            .with(DhcpOption::AddressLeaseTime(lease_s))
    }

    pub(super) fn with(mut self, option: DhcpOption) -> Self {
        self.message.opts_mut().insert(option);
        self
    }

    fn without(mut self, code: OptionCode) -> Self {
        self.message.opts_mut().remove(code);
        self
    }

    /// With an option of octets that dhcproto would not write.
    fn with_octets(self, code: OptionCode, octets: &[u8]) -> Self {
        let option = dhcproto::v4::UnknownOption::new(code, octets.to_vec());
        let mut answer = self.without(code);
        answer
            .message
            .opts_mut()
            .insert(DhcpOption::Unknown(option));
        answer
    }

    pub(super) fn packet(&self) -> Vec<u8> {
        packet(&self.message.to_vec().unwrap())
    }
}

/// From a server's port to a client's.
fn packet(payload: &[u8]) -> Vec<u8> {
    let address = |address, port| std::net::SocketAddrV4::new(address, port);
    ipv4::udp_packet(
        address(SERVER, 67),
        address(Ipv4Addr::BROADCAST, 68),
        payload,
        1,
    )
}

/// A client and the time.
struct Bench {
    client: DhcpClient,
    now: Duration,
}

impl Bench {
    /// Its link is up, and nothing has been taken from it yet.
    fn new() -> Self {
        let rng = StdRng::seed_from_u64(7);
        let client = DhcpClient::new(START, MAC, DhcpSettings::default(), rng);
        let mut bench = Self { client, now: START };
        bench.client.set_link(START, true);
        bench
    }

    /// Holds a lease of so many seconds, which starts now.
    fn bound(lease_s: u32) -> Self {
        let mut bench = Self::new();
        bench.bind(ADDRESS, lease_s);
        bench
    }

    /// From the DHCPDISCOVER that has been sent on.
    fn bind(&mut self, address: Ipv4Addr, lease_s: u32) {
        let kind = MessageType::Discover;
        let xid = self.sent(kind).message.xid();
        self.answer(MessageType::Offer, xid, address, lease_s);
        self.sent(MessageType::Request);
        self.answer(MessageType::Ack, xid, address, lease_s);
        assert_eq!(self.client.poll_action(), Some(Action::Changed));
        self.assert_quiet();
        assert_eq!(self.client.state(), DhcpState::Bound);
        assert_eq!(self.held(), Some(address));
    }

    fn answer(&mut self, kind: MessageType, xid: u32, address: Ipv4Addr, lease_s: u32) {
        self.hear(&Answer::new(kind, xid, address, lease_s));
    }

    fn hear(&mut self, answer: &Answer) {
        self.client.handle_packet(self.now, &answer.packet());
    }

    /// The next action is this message.
    #[track_caller]
    fn sent(&mut self, kind: MessageType) -> Sent {
        let action = self.client.poll_action().expect("something is sent");
        let sent = Sent::read(&action);
        assert_eq!(sent.kind(), kind);
        sent
    }

    #[track_caller]
    fn assert_changed(&mut self) {
        assert_eq!(self.client.poll_action(), Some(Action::Changed));
    }

    #[track_caller]
    fn assert_quiet(&mut self) {
        assert_eq!(self.client.poll_action(), None);
    }

    /// Goes on to the next timeout; how long that took.
    fn wait(&mut self) -> Duration {
        let before = self.now;
        self.now = self.client.next_timeout().unwrap();
        assert!(self.now > before, "time stands still");
        self.client.handle_timeout(self.now);
        self.now - before
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.client.handle_timeout(self.now);
    }

    fn cut(&mut self, time: Duration) {
        self.client.set_link(self.now, false);
        self.assert_quiet();
        self.pass(time);
        self.client.set_link(self.now, true);
    }

    fn held(&self) -> Option<Ipv4Addr> {
        match self.client.assignment().addresses[..] {
            [] => None,
            [
                super::super::Address {
                    address: std::net::IpAddr::V4(address),
                    ..
                },
            ] => Some(address),
            _ => panic!("one address at most"),
        }
    }

    fn xid(&self) -> u32 {
        self.client.xid
    }
}

#[test]
fn an_address_is_found_asked_for_and_held() {
    let mut bench = Bench::new();
    assert_eq!(bench.client.state(), DhcpState::Selecting);
    let discover = bench.sent(MessageType::Discover);
    assert!(discover.is_frame && discover.message.flags().broadcast());
    assert_eq!(discover.source, Ipv4Addr::UNSPECIFIED);
    assert_eq!(discover.destination, Ipv4Addr::BROADCAST);
    assert_eq!((discover.requested(), discover.server()), (None, None));
    bench.assert_quiet();

    let xid = discover.message.xid();
    bench.now += Duration::from_millis(300);
    bench.answer(MessageType::Offer, xid, ADDRESS, 600);
    assert_eq!(bench.client.state(), DhcpState::Requesting);
    assert_eq!(bench.held(), None, "offered is not given");
    let request = bench.sent(MessageType::Request);
    assert!(request.is_frame && request.message.flags().broadcast());
    assert_eq!(request.source, Ipv4Addr::UNSPECIFIED);
    assert_eq!(request.message.xid(), xid);
    assert_eq!(request.message.ciaddr(), Ipv4Addr::UNSPECIFIED);
    assert_eq!(request.requested(), Some(ADDRESS));
    assert_eq!(request.server(), Some(SERVER));
    bench.assert_quiet();

    let asked_at = bench.now;
    bench.now += Duration::from_millis(300);
    let answer = Answer::new(MessageType::Ack, xid, ADDRESS, 600)
        .with(DhcpOption::InterfaceMtu(1492))
        .with(DhcpOption::DomainNameServer(vec![SERVER, OTHER_SERVER]));
    bench.hear(&answer);
    bench.assert_changed();
    bench.assert_quiet();
    let until = Some(asked_at + s(600));
    let expected = Assignment {
        addresses: vec![super::super::Address {
            address: ADDRESS.into(),
            prefix_length: 24,
            preferred_until: until,
            valid_until: until,
        }],
        routers: vec![super::super::Router {
            address: SERVER.into(),
            valid_until: until,
        }],
        mtu: Some(1492),
        name_servers: vec![SERVER.into(), OTHER_SERVER.into()],
        server: Some(SERVER.into()),
        ..Assignment::default()
    };
    assert_eq!(*bench.client.assignment(), expected);
    assert_eq!(bench.client.renewal(), Some(asked_at + s(300)));
    let counters = DhcpCounters {
        sent_discover: 1,
        sent_request: 1,
        received_offer: 1,
        received_ack: 1,
        ..DhcpCounters::default()
    };
    assert_eq!(*bench.client.counters(), counters);
}

#[test]
fn nothing_is_sent_on_a_link_that_is_down() {
    let rng = StdRng::seed_from_u64(7);
    let mut client = DhcpClient::new(START, MAC, DhcpSettings::default(), rng);
    assert_eq!((client.next_timeout(), client.poll_action()), (None, None));

    let mut bench = Bench::new();
    bench.sent(MessageType::Discover);
    bench.client.set_link(bench.now, false);
    assert_eq!(bench.client.state(), DhcpState::Init);
    assert_eq!(bench.client.next_timeout(), None);
    let xid = bench.xid();
    bench.answer(MessageType::Offer, xid, ADDRESS, 600);
    bench.assert_quiet();
    assert_eq!(bench.client.counters().unexpected, 1);

    // What is held runs out all the same.
    let mut bench = Bench::bound(600);
    bench.client.set_link(bench.now, false);
    assert_eq!(bench.wait(), s(600));
    bench.assert_changed();
    bench.assert_quiet();
    assert_eq!((bench.held(), bench.client.next_timeout()), (None, None));
    bench.client.set_link(bench.now, true);
    let discover = bench.sent(MessageType::Discover);
    assert_eq!(discover.requested(), Some(ADDRESS));
}

#[test]
fn after_a_cut_the_address_is_asked_for_again() {
    let mut bench = Bench::bound(600);
    bench.cut(s(10));
    assert_eq!(bench.client.state(), DhcpState::InitReboot);
    let request = bench.sent(MessageType::Request);
    assert!(request.is_frame && request.message.flags().broadcast());
    assert_eq!(request.source, Ipv4Addr::UNSPECIFIED);
    assert_eq!(request.message.ciaddr(), Ipv4Addr::UNSPECIFIED);
    assert_eq!(
        (request.requested(), request.server()),
        (Some(ADDRESS), None)
    );
    assert_eq!(bench.held(), Some(ADDRESS), "held until somebody objects");
    bench.answer(MessageType::Ack, request.message.xid(), OTHER_ADDRESS, 600);
    assert_eq!(bench.client.counters().other_address, 1);
    bench.answer(MessageType::Ack, request.message.xid(), ADDRESS, 600);
    bench.assert_quiet();
    assert_eq!(bench.client.state(), DhcpState::Bound);
    assert_eq!(bench.client.renewal(), Some(bench.now + s(300)));
}

#[test]
fn another_network_behind_the_cable_gives_another_address() {
    // Its server objects.
    let mut bench = Bench::bound(600);
    bench.cut(s(10));
    let xid = bench.sent(MessageType::Request).message.xid();
    bench.answer(MessageType::Nak, xid, Ipv4Addr::UNSPECIFIED, 0);
    bench.assert_changed();
    assert_eq!(bench.held(), None);
    let discover = bench.sent(MessageType::Discover);
    assert_eq!(discover.requested(), None);
    assert_ne!(discover.message.xid(), xid);

    // Or it keeps silent about what it does not know.
    let mut bench = Bench::bound(600);
    bench.cut(s(10));
    bench.sent(MessageType::Request);
    let waited = bench.wait();
    assert!(waited <= s(5), "{waited:?}");
    assert_eq!(bench.held(), Some(ADDRESS));
    bench.bind(OTHER_ADDRESS, 600);
}

#[test]
fn while_nobody_answers_the_address_stays_until_its_lease_ends() {
    let mut bench = Bench::bound(600);
    bench.cut(s(10));
    bench.sent(MessageType::Request);
    loop {
        bench.wait();
        if bench.now >= START + s(600) {
            break;
        }
        assert_eq!(bench.held(), Some(ADDRESS));
        bench.sent(MessageType::Discover);
        bench.assert_quiet();
    }
    assert_eq!(bench.now, START + s(600));
    bench.assert_changed();
    assert_eq!((bench.held(), bench.client.counters().expired), (None, 1));
    while bench.client.poll_action().is_some() {}
    bench.wait();
    bench.bind(ADDRESS, 600);
}

#[test]
fn in_doubt_what_is_held_is_asked_for_again_but_not_over_and_over() {
    for state in [DhcpState::Bound, DhcpState::Renewing, DhcpState::Rebinding] {
        let mut bench = Bench::bound(600);
        while bench.client.state() != state {
            bench.wait();
            while bench.client.poll_action().is_some() {}
        }
        bench.client.verify(bench.now);
        assert_eq!(bench.client.state(), DhcpState::InitReboot);
        let request = bench.sent(MessageType::Request);
        assert!(request.is_frame && request.message.flags().broadcast());
        assert_eq!(request.requested(), Some(ADDRESS));
        // A second sign before there is an answer.
        bench.client.verify(bench.now);
        assert_eq!(bench.client.state(), DhcpState::Selecting);
        bench.sent(MessageType::Discover);
        let due = bench.client.next_timeout();
        bench.client.verify(bench.now);
        bench.assert_quiet();
        assert_eq!(bench.client.next_timeout(), due);
        assert_eq!(bench.held(), Some(ADDRESS));
    }
    // Waits are waited to their end, and nothing is sent on a link that is down.
    let mut bench = Bench::bound(600);
    bench.client.handle_conflict(bench.now, ADDRESS);
    while bench.client.poll_action().is_some() {}
    bench.client.verify(bench.now);
    bench.assert_quiet();
    assert_eq!(bench.wait(), s(10));
    let mut bench = Bench::bound(600);
    bench.client.set_link(bench.now, false);
    bench.client.verify(bench.now);
    bench.assert_quiet();
    assert_eq!(bench.client.state(), DhcpState::Init);
}

#[test]
fn a_conflict_is_declined_and_waited_after() {
    let mut bench = Bench::bound(600);
    bench.client.handle_conflict(bench.now, OTHER_ADDRESS);
    bench.assert_quiet();
    bench.client.handle_conflict(bench.now, ADDRESS);
    bench.assert_changed();
    assert_eq!(bench.held(), None);
    let decline = bench.sent(MessageType::Decline);
    assert!(decline.is_frame);
    assert_eq!(decline.source, Ipv4Addr::UNSPECIFIED);
    assert_eq!(decline.message.ciaddr(), Ipv4Addr::UNSPECIFIED);
    assert_eq!(
        (decline.requested(), decline.server()),
        (Some(ADDRESS), Some(SERVER))
    );
    bench.assert_quiet();
    assert_eq!(bench.client.state(), DhcpState::Init);
    assert_eq!(bench.wait(), s(10));
    assert_eq!(bench.sent(MessageType::Discover).requested(), None);
    assert_eq!(bench.client.counters().declined, 1);
}

#[test]
fn what_is_released_is_released_for_ever() {
    let mut bench = Bench::bound(600);
    bench.client.release(bench.now);
    let release = bench.sent(MessageType::Release);
    assert!(!release.is_frame);
    assert_eq!((release.source, release.destination), (ADDRESS, SERVER));
    assert_eq!(release.message.ciaddr(), ADDRESS);
    assert_eq!(
        (release.requested(), release.server()),
        (None, Some(SERVER))
    );
    bench.assert_changed();
    assert_eq!((bench.held(), bench.client.next_timeout()), (None, None));
    bench.client.set_link(bench.now, true);
    bench.client.release(bench.now);
    bench.assert_quiet();

    let mut bench = Bench::new();
    bench.sent(MessageType::Discover);
    bench.client.release(bench.now);
    bench.assert_quiet();
    assert_eq!(bench.client.counters().sent_release, 0);
}
