//! Point by point of RFC 8415, 14, 15, 16 and 18.2, against a small server.

use std::net::{IpAddr, SocketAddrV6};

use dataplane::headers::ipv6::udp_packet;
use dataplane::headers::{ipv6, udp};
use dhcproto::v6::{DhcpOption, Message, OptionCode};
use dhcproto::{Decodable, Decoder};
use rand::SeedableRng;

use super::super::{Address, DelegatedPrefix};
use super::*;
use crate::host::link_local;

mod confirming;
mod hostile;
mod messages;
mod server;
mod simulation;
mod soliciting;
mod times;

use server::Server;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const BOTH: Dhcpv6Settings = Dhcpv6Settings {
    address: true,
    prefix: Some(56),
};
const ADDRESS: Dhcpv6Settings = Dhcpv6Settings {
    address: true,
    prefix: None,
};

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Our message in a frame, read by dhcproto.
fn read(frame: &[u8]) -> Message {
    let header = ipv6::parse(&frame[14..]).unwrap();
    assert_eq!(header.source, link_local(MAC));
    assert_eq!(header.destination, "ff02::1:2".parse::<Ipv6Addr>().unwrap());
    let udp = udp::parse_over_ipv6(&header, 40, &frame[14..]).unwrap();
    assert_eq!((udp.source_port, udp.destination_port), (546, 547));
    let payload = &frame[14..][udp.payload_range];
    Message::decode(&mut Decoder::new(payload)).unwrap()
}

struct Host {
    now: Duration,
    client: Dhcpv6Client,
    /// What was sent, and when.
    sent: Vec<(Duration, Message)>,
    changes: u32,
}

impl Host {
    /// With its link up since the start.
    fn new(settings: Dhcpv6Settings) -> Self {
        let rng = StdRng::seed_from_u64(1);
        let mut host = Self {
            now: Duration::ZERO,
            client: Dhcpv6Client::new(Duration::ZERO, MAC, settings, rng),
            sent: Vec::new(),
            changes: 0,
        };
        host.set_link(true);
        host
    }

    /// Was lent what it wants by this server.
    fn bound(settings: Dhcpv6Settings, server: &mut Server) -> Self {
        let mut host = Self::new(settings);
        host.pass_with(seconds(5), server);
        assert_eq!(host.client.state(), Dhcpv6State::Bound);
        assert!(host.take_changed());
        host.sent.clear();
        host
    }

    fn set_link(&mut self, up: bool) {
        self.client.set_link(self.now, up);
        self.poll();
    }

    fn poll(&mut self) {
        while let Some(action) = self.client.poll_action() {
            match action {
                Action::Changed => self.changes += 1,
                Action::Frame(frame) => self.sent.push((self.now, read(&frame))),
                Action::Packet(packet) => panic!("{packet:?}"),
            }
        }
    }

    fn receive(&mut self, packet: &[u8]) {
        self.client.handle_packet(self.now, packet);
        self.poll();
    }

    fn pass(&mut self, time: Duration) {
        self.pass_until(self.now + time, &mut []);
    }

    fn pass_with(&mut self, time: Duration, server: &mut Server) {
        self.pass_until(self.now + time, &mut [server]);
    }

    /// Time passes; servers answer at once, one after another.
    fn pass_until(&mut self, end: Duration, servers: &mut [&mut Server]) {
        loop {
            let next = self.client.next_timeout().filter(|at| *at <= end);
            let Some(at) = next else {
                break;
            };
            assert!(at > self.now, "a timer that does not go on: {at:?}");
            self.now = at;
            self.client.handle_timeout(at);
            self.poll();
            self.answer_by(servers);
        }
        self.now = end;
    }

    /// What was sent just now is answered.
    fn answer_by(&mut self, servers: &mut [&mut Server]) {
        let mut answered = self.sent.len() - usize::from(self.sent_now());
        while answered < self.sent.len() {
            let (_, message) = self.sent[answered].clone();
            answered += 1;
            for server in servers.iter_mut() {
                if let Some(packet) = server.answer(self.now, &message) {
                    self.receive(&packet);
                }
            }
        }
    }

    fn sent_now(&self) -> bool {
        self.sent.last().is_some_and(|(at, _)| *at == self.now)
    }

    fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changes) > 0
    }

    fn addresses(&self) -> Vec<IpAddr> {
        let addresses = self.client.assignment().addresses.iter();
        addresses.map(|own| own.address).collect()
    }

    fn delegated(&self) -> Vec<Prefix> {
        let delegated = self.client.assignment().delegated.iter();
        delegated.map(|it| it.prefix).collect()
    }

    fn kinds(&self) -> Vec<MessageType> {
        self.sent.iter().map(|(_, sent)| sent.msg_type()).collect()
    }

    /// The times between messages, in seconds.
    fn waits(&self) -> Vec<f64> {
        let pairs = self.sent.windows(2);
        pairs
            .map(|pair| (pair[1].0 - pair[0].0).as_secs_f64())
            .collect()
    }

    fn last(&self) -> &Message {
        &self.sent.last().unwrap().1
    }
}

/// Each wait is the one expected, a tenth more or less; of doubled ones the
/// tenths add up.
#[track_caller]
fn assert_waits(waits: &[f64], initial: f64, longest: f64) {
    let mut previous: Option<f64> = None;
    for &wait in waits {
        let (least, most) = match previous {
            None => (initial * 0.9, initial * 1.1),
            Some(previous) => (
                (previous * 1.9).min(longest * 0.9),
                (previous * 2.1).min(longest * 1.1),
            ),
        };
        assert!((least..=most).contains(&wait), "{wait} after {previous:?}");
        previous = Some(wait);
    }
}

fn options_of(message: &Message) -> Vec<OptionCode> {
    message.opts().iter().map(OptionCode::from).collect()
}
