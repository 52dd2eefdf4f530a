//! A PPPoE client in each of its states, with the fuzzer as its segment: two
//! concentrators that answer as they should or not, and anything else.
#![no_main]

use std::time::Duration;

use control::ppp::{AuthProtocol, Timers, Wanted};
use control::pppoe::{PppoeAction, PppoeClient, PppoeSettings, PppoeState};
use control::secret::Secret;
use fuzz::Input;
use libfuzzer_sys::fuzz_target;
use rand::SeedableRng;
use rand::rngs::StdRng;

const OURS: [u8; 6] = [2, 0, 0, 0, 0, 1];
const SESSION: [u8; 2] = [0x12, 0x34];
const MOST_STEPS: usize = 300;

fuzz_target!(|octets: &[u8]| {
    let mut input = Input::new(octets);
    let mut line = Line::new(input.octet());
    for _ in 0..MOST_STEPS {
        if input.is_empty() {
            break;
        }
        line.step(&mut input);
        line.take_actions();
    }
});

/// The client, and what it has said.
struct Line {
    client: PppoeClient,
    now: Duration,
    host_uniq: Vec<u8>,
    /// The last LCP, authentication or NCP packet, from its protocol on.
    ppp: Vec<u8>,
    session: Option<[u8; 8]>,
}

impl Line {
    fn new(choices: u8) -> Self {
        let settings = PppoeSettings {
            username: "site".to_owned(),
            password: Secret::new("secret".to_owned()),
            service_name: (choices & 1 != 0).then(|| "isp".to_owned()),
            ac_name: (choices & 2 != 0).then(|| "ac".to_owned()),
            mtu: if choices & 4 != 0 { 1500 } else { 1492 },
            ipv6: choices & 8 != 0,
            lcp_rate: Duration::from_secs(1),
            lcp_timeout: Duration::from_secs(5),
            authentication: AuthProtocol::ALL.to_vec(),
            timers: Timers::default(),
            ignore_magic: choices & 16 != 0,
            wanted: Wanted {
                dns: true,
                nbns: false,
            },
        };
        let now = Duration::ZERO;
        let rng = StdRng::seed_from_u64(1);
        let mut line = Self {
            client: PppoeClient::new(now, OURS, settings, rng),
            now,
            host_uniq: Vec::new(),
            ppp: Vec::new(),
            session: None,
        };
        line.client.set_link(now, true);
        line.take_actions();
        line
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let choice = input.octet();
        let mac = [2, 0, 0, 0, 1, choice >> 7];
        match choice & 15 {
            0 => self.discovery(mac, 0x07, [0, 0], &self.offer(), input),
            1 => self.discovery(mac, 0x65, SESSION, &self.confirmation(), input),
            2 => self.discovery(mac, 0xa7, SESSION, &[], input),
            3 => {
                let tags = [&self.confirmation()[..], input.short()].concat();
                self.discovery(mac, 0x65, [0, input.octet() & 1], &tags, input);
            }
            4 => {
                let tags = [&self.offer()[..], input.short()].concat();
                self.discovery(mac, 0x07, [0, 0], &tags, input);
            }
            5 => self.client.handle_discovery(self.now, input.short()),
            6 => self.client.handle_session(self.now, input.short()),
            // Agreed: what it asked for comes back as an Ack, or another code.
            7 | 8 => {
                let mut ppp = self.ppp.clone();
                if let Some(code) = ppp.get_mut(2) {
                    *code = if choice & 15 == 7 {
                        2
                    } else {
                        input.octet() & 15
                    };
                }
                self.session(mac, &ppp, input);
            }
            9 => self.session(
                mac,
                &[&[0xc0, 0x21, 1, 1, 0, 4][..], input.short()].concat(),
                input,
            ),
            10 if choice & 0x10 == 0 => {
                self.session(mac, &[0x80, 0x21, 1, 1, 0, 10, 3, 6, 10, 0, 0, 1], input);
            }
            // An address for us.
            10 => {
                let id = self.ppp.get(3).copied().unwrap_or(0);
                self.session(mac, &[0x80, 0x21, 3, id, 0, 10, 3, 6, 10, 0, 0, 9], input);
            }
            11 => self.session(mac, input.short(), input),
            12 => {
                let up = choice & 0x40 != 0;
                self.client.set_link(self.now, up);
            }
            13 if choice & 0x70 == 0x70 => self.client.close(self.now),
            13 | 14 => self.now += input.time(),
            _ => {
                if let Some(next) = self.client.next_timeout() {
                    self.now = self.now.max(next);
                }
            }
        }
        self.client.handle_timeout(self.now);
        let next = self.client.next_timeout();
        assert!(next.is_none_or(|next| next > self.now), "time stands still");
    }

    fn offer(&self) -> Vec<u8> {
        let tags = [
            1, 1, 0, 3, b'i', b's', b'p', 1, 2, 0, 2, b'a', b'c', 1, 4, 0, 1, 9,
        ];
        [&self.confirmation()[..], &tags].concat()
    }

    fn confirmation(&self) -> Vec<u8> {
        let length = self.host_uniq.len() as u8;
        let payload = [1, 0x20, 0, 2, 5, 0xdc];
        [&[1, 3, 0, length][..], &self.host_uniq, &payload].concat()
    }

    fn discovery(
        &mut self,
        mac: [u8; 6],
        code: u8,
        session: [u8; 2],
        tags: &[u8],
        input: &mut Input<'_>,
    ) {
        let length = (tags.len() as u16).to_be_bytes();
        let head = [&[0x88, 0x63, 0x11, code][..], &session, &length].concat();
        let frame = [&OURS[..], &mac, &head, tags].concat();
        for frame in input.deliver(frame) {
            self.client.handle_discovery(self.now, &frame);
        }
    }

    fn session(&mut self, mac: [u8; 6], ppp: &[u8], input: &mut Input<'_>) {
        let length = (ppp.len() as u16).to_be_bytes();
        let head = [&[0x88, 0x64, 0x11, 0][..], &SESSION, &length].concat();
        let frame = [&OURS[..], &mac, &head, ppp].concat();
        for frame in input.deliver(frame) {
            self.client.handle_session(self.now, &frame);
        }
    }

    /// The order that the workers rely on, and what may be sent at all.
    fn take_actions(&mut self) {
        while let Some(action) = self.client.poll_action() {
            match action {
                PppoeAction::Frame(frame) => self.watch(&frame),
                PppoeAction::SessionUp {
                    id,
                    access_concentrator,
                } => {
                    let mut session = [0; 8];
                    session[..6].copy_from_slice(&access_concentrator);
                    session[6..].copy_from_slice(&id.to_be_bytes());
                    assert_eq!(self.session.replace(session), None);
                }
                PppoeAction::SessionDown => assert!(self.session.take().is_some()),
                PppoeAction::Changed => {}
            }
        }
        assert_eq!(self.client.concentrator().is_some(), self.session.is_some());
        let is_open = self.client.state() == PppoeState::Open;
        assert_eq!(is_open, self.client.assignment().mtu.is_some());
        assert!(!is_open || self.session.is_some());
    }

    fn watch(&mut self, frame: &[u8]) {
        assert!((20..=1514).contains(&frame.len()));
        assert_eq!(frame[6..12], OURS);
        if frame[13] == 0x64 {
            let session = [&frame[..6], &frame[16..18]].concat();
            assert_eq!(self.session.map(Vec::from), Some(session));
            assert_ne!(frame[20..22], [0xff, 0x03]);
            self.ppp = frame[20..].to_vec();
        } else if frame[15] == 0x09 {
            let host_uniq = frame[20..]
                .windows(12)
                .find(|tag| tag[..4] == [1, 3, 0, 8])
                .map(|tag| tag[4..].to_vec());
            self.host_uniq = host_uniq.expect("a PADI has one");
        }
    }
}
