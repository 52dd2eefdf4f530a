//! A DHCP client in every state, with the fuzzer as its servers, its cable and its
//! clock; and a relay that gets the same packets.
#![no_main]

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use control::addressing::{Action, Assignment, DhcpClient, DhcpSettings, DhcpState, Relay};
use dataplane::headers::ipv4;
use fuzz::Input;
use libfuzzer_sys::fuzz_target;
use rand::SeedableRng;
use rand::rngs::StdRng;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const SERVER: Ipv4Addr = Ipv4Addr::new(100, 64, 0, 1);
const RELAY: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);
const MOST_STEPS: usize = 200;
/// Ethernet, IPv4 and UDP stand before a message in a frame.
const HEADERS_OCTETS: usize = 14 + 20 + 8;

struct Bench {
    client: DhcpClient,
    relay: Relay,
    now: Duration,
    link_is_up: bool,
    xid: [u8; 4],
}

fuzz_target!(|octets: &[u8]| {
    let mut input = Input::new(octets);
    let rng = StdRng::seed_from_u64(1);
    let now = Duration::ZERO;
    let mut bench = Bench {
        client: DhcpClient::new(now, MAC, DhcpSettings::default(), rng),
        relay: Relay::new(vec![SERVER]),
        now,
        link_is_up: false,
        xid: [0; 4],
    };
    bench.set_link(true);
    for _ in 0..MOST_STEPS {
        if input.is_empty() {
            break;
        }
        bench.step(&mut input);
    }
    bench.client.release(bench.now);
    bench.settle();
    assert_eq!(bench.client.next_timeout(), None);
    assert_eq!(*bench.client.assignment(), Assignment::default());
});

impl Bench {
    fn step(&mut self, input: &mut Input<'_>) {
        let choice = input.octet();
        match choice % 8 {
            0 => self.hear(input.short()),
            1 => {
                let count = input.number() % 1024;
                let payload = input.octets(count.into());
                self.hear(&packet(67 + u16::from(choice >> 3 & 1), payload));
            }
            2..=4 => {
                let payload = self.message(choice, input);
                self.hear(&packet(68 - u16::from(choice >> 3 & 1), &payload));
            }
            5 => self.set_link(choice & 8 == 0),
            6 if choice & 8 == 0 => {
                if let Some(next) = self.client.next_timeout() {
                    self.now = self.now.max(next);
                }
            }
            6 if choice & 16 != 0 => self.client.verify(self.now),
            6 => {
                let held = self.client.assignment().addresses.first();
                if let Some(IpAddr::V4(address)) = held.map(|held| held.address) {
                    self.client.handle_conflict(self.now, address);
                }
            }
            _ => self.now += input.time(),
        }
        self.client.handle_timeout(self.now);
        let next = self.client.next_timeout();
        assert!(next.is_none_or(|next| next > self.now), "time stands still");
        self.settle();
    }

    /// A message of the client's transaction: an offer, an ack or a nak with what a
    /// lease needs, or only some of it, and the fuzzer's options.
    fn message(&self, choice: u8, input: &mut Input<'_>) -> Vec<u8> {
        let kind = [2, 5, 6][usize::from(choice % 8 - 2)];
        let mut payload = vec![0; 240];
        payload[..4].copy_from_slice(&[2, 1, 6, 0]);
        payload[4..8].copy_from_slice(&self.xid);
        payload[16..20].copy_from_slice(&[100, 64, 0, input.octet()]);
        payload[24..28].copy_from_slice(&RELAY.octets());
        payload[28..34].copy_from_slice(&MAC);
        if choice & 16 != 0 {
            // The fields that options may go on in.
            for field in [44..108, 108..236] {
                let octets = input.short();
                let octets = &octets[..octets.len().min(field.len())];
                payload[field][..octets.len()].copy_from_slice(octets);
            }
        }
        payload[236..].copy_from_slice(&[99, 130, 83, 99]);
        payload.extend([53, 1, kind]);
        if choice & 32 == 0 {
            payload.extend([54, 4, 100, 64, 0, 1, 1, 4, 255, 255, 255, 0]);
        }
        if choice & 64 == 0 {
            payload.extend([51, 4, 0, 0, input.octet(), input.octet()]);
        }
        payload.extend(input.short());
        payload
    }

    fn hear(&mut self, packet: &[u8]) {
        self.client.handle_packet(self.now, packet);
        for action in self.relay.handle_client(&[RELAY], packet) {
            assert!(matches!(&action, Action::Packet(relayed) if relayed.len() >= 28 + 240));
        }
        if let Some(action) = self.relay.handle_server(&[RELAY], MAC, packet) {
            assert!(matches!(&action, Action::Frame(frame) if frame.len() >= 42 + 240));
        }
    }

    fn set_link(&mut self, up: bool) {
        self.link_is_up = up;
        self.client.set_link(self.now, up);
        self.settle();
    }

    /// Takes what the client wants, and looks at what it holds.
    fn settle(&mut self) {
        while let Some(action) = self.client.poll_action() {
            let sent = match &action {
                Action::Frame(frame) => &frame[HEADERS_OCTETS..],
                Action::Packet(packet) => &packet[HEADERS_OCTETS - 14..],
                Action::Changed => continue,
            };
            assert!(self.link_is_up, "sent on a link that is down");
            self.xid.copy_from_slice(&sent[4..8]);
        }
        let assignment = self.client.assignment();
        let Some(held) = assignment.addresses.first() else {
            assert_eq!(*assignment, Assignment::default());
            let state = self.client.state();
            assert!(!matches!(state, DhcpState::Bound | DhcpState::Renewing));
            return;
        };
        let IpAddr::V4(address) = held.address else {
            panic!("{held:?}");
        };
        assert!(!ipv4::is_martian_source(address) && (1..=32).contains(&held.prefix_length));
        assert!(held.valid_until.is_none_or(|until| until > self.now));
        assert!(assignment.mtu.is_none_or(|mtu| mtu >= 576));
        let is_other = |router: &control::addressing::Router| router.address != held.address;
        assert!(assignment.routers.iter().all(is_other));
    }
}

/// To the client, or to the relay.
fn packet(port: u16, payload: &[u8]) -> Vec<u8> {
    ipv4::udp_packet(
        SocketAddrV4::new(SERVER, 67),
        SocketAddrV4::new(Ipv4Addr::BROADCAST, port),
        payload,
        1,
    )
}
