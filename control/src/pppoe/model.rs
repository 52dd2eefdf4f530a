//! An access concentrator to test the client with: RFC 2516's other side, and
//! [`ppp::Session`] as a server in each session. It watches that the client
//! does what RFC 2516 asks of it.

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::PppoeSettings;
use super::discovery::PLAIN_PAYLOAD_OCTETS;
use super::packet::{Code, Packet, discovery_frame, parse_session, session_frame, tag};
use crate::ppp::{self, AuthProtocol, LowerLayer, Output, Role};

pub(crate) const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub(crate) const SERVICE: &str = "internet";
pub(crate) const SERVER_IP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
pub(crate) const DNS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 53);

pub(crate) fn settings() -> PppoeSettings {
    PppoeSettings {
        username: "site".to_owned(),
        password: "secret".into(),
        service_name: None,
        ac_name: None,
        mtu: 1492,
        ipv6: false,
        lcp_rate: Duration::from_secs(1),
        lcp_timeout: Duration::from_secs(5),
        authentication: AuthProtocol::ALL.to_vec(),
        timers: ppp::Timers::default(),
        ignore_magic: false,
        wanted: ppp::Wanted {
            dns: true,
            nbns: false,
        },
    }
}

pub(crate) struct ServedSession {
    pub(crate) host_uniq: Vec<u8>,
    pub(crate) ppp: ppp::Session,
    /// The address that this session gives.
    pub(crate) address: Ipv4Addr,
    max_payload: u16,
}

pub(crate) struct Model {
    pub(crate) mac: [u8; 6],
    pub(crate) name: String,
    /// Tells of payloads of this size by RFC 4638, whatever is asked for.
    pub(crate) max_payload: Option<u16>,
    pub(crate) mru: u16,
    pub(crate) ipv6: bool,
    /// Answers PADR with this error and no session.
    pub(crate) refuses: Option<(u16, &'static str)>,
    /// Answers PADI and nothing else.
    pub(crate) is_dead_end: bool,
    pub(crate) sessions: BTreeMap<u16, ServedSession>,
    next_session: u16,
    /// The last octet of the next address.
    next_address: u8,
    pub(crate) requests: u32,
    rng: StdRng,
    output: VecDeque<Vec<u8>>,
}

impl Model {
    pub(crate) fn new(number: u8, rng: StdRng) -> Self {
        Self {
            mac: [2, 0, 0, 0, 1, number],
            name: format!("ac-{number}"),
            max_payload: None,
            mru: 1492,
            ipv6: false,
            refuses: None,
            is_dead_end: false,
            sessions: BTreeMap::new(),
            next_session: u16::from(number) << 8 | 1,
            next_address: 2,
            requests: 0,
            rng,
            output: VecDeque::new(),
        }
    }

    fn cookie(&self) -> [u8; 6] {
        self.mac.map(|octet| octet ^ 0x5a)
    }

    pub(crate) fn handle(&mut self, now: Duration, frame: &[u8]) {
        if let Ok(packet) = Packet::parse(frame) {
            self.handle_discovery(now, &packet);
        } else {
            self.handle_session(now, frame);
        }
        self.collect();
    }

    fn handle_discovery(&mut self, now: Duration, packet: &Packet<'_>) {
        assert_eq!(packet.ethernet.source, CLIENT_MAC);
        let to_all = packet.ethernet.destination == [0xff; 6];
        assert_eq!(to_all, packet.code == Code::Initiation);
        if packet.code == Code::Termination {
            self.sessions.remove(&packet.session);
            return;
        }
        assert_eq!(packet.session, 0);
        let services: Vec<&[u8]> = packet.all(tag::SERVICE_NAME).collect();
        assert_eq!(services.len(), 1, "exactly one");
        let host_uniq = packet.tag(tag::HOST_UNIQ).unwrap();
        let asked = packet.tag(tag::PPP_MAX_PAYLOAD).map(|value| {
            let value = u16::from_be_bytes(value.try_into().unwrap());
            assert!(value > PLAIN_PAYLOAD_OCTETS, "RFC 4638");
            value
        });
        let granted = asked.and(self.max_payload);
        let payload = granted.map(u16::to_be_bytes);
        let mut tags = vec![
            (tag::SERVICE_NAME, services[0]),
            (tag::HOST_UNIQ, host_uniq),
        ];
        tags.extend(payload.iter().map(|p| (tag::PPP_MAX_PAYLOAD, &p[..])));
        let (name, cookie) = (self.name.clone(), self.cookie());
        match packet.code {
            Code::Initiation if services[0].is_empty() || services[0] == SERVICE.as_bytes() => {
                tags.extend([
                    (tag::AC_NAME, name.as_bytes()),
                    (tag::AC_COOKIE, &cookie),
                    (tag::RELAY_SESSION_ID, b"relay"),
                ]);
                tags.extend(
                    services[0]
                        .is_empty()
                        .then_some((tag::SERVICE_NAME, SERVICE.as_bytes())),
                );
                self.send(Code::Offer, 0, &tags);
            }
            Code::Request => {
                assert_eq!(packet.tag(tag::AC_COOKIE), Some(&cookie[..]));
                assert_eq!(packet.tag(tag::RELAY_SESSION_ID), Some(&b"relay"[..]));
                self.requests += 1;
                tags.push((tag::RELAY_SESSION_ID, b"relay"));
                if self.is_dead_end {
                    return;
                }
                if let Some((kind, text)) = self.refuses {
                    tags.push((kind, text.as_bytes()));
                    return self.send(Code::Confirmation, 0, &tags);
                }
                let max_payload = asked
                    .zip(granted)
                    .map_or(PLAIN_PAYLOAD_OCTETS, |(asked, told)| {
                        told.clamp(PLAIN_PAYLOAD_OCTETS, asked)
                    });
                let id = self.serve(now, host_uniq, max_payload);
                self.send(Code::Confirmation, id, &tags);
            }
            _ => {}
        }
    }

    fn send(&mut self, code: Code, session: u16, tags: &[(u16, &[u8])]) {
        let frame = discovery_frame(self.mac, CLIENT_MAC, code, session, tags);
        self.output.push_back(frame.unwrap());
    }

    /// A new session, as every PADR makes one.
    fn serve(&mut self, now: Duration, host_uniq: &[u8], max_payload: u16) -> u16 {
        let id = self.next_session;
        self.next_session += 1;
        let session = self.link(now, host_uniq.to_vec(), max_payload);
        self.sessions.insert(id, session);
        id
    }

    /// PPP begins anew in all sessions, each with another address.
    pub(crate) fn renegotiate(&mut self, now: Duration) {
        for (id, before) in std::mem::take(&mut self.sessions) {
            let session = self.link(now, before.host_uniq, before.max_payload);
            self.sessions.insert(id, session);
        }
        self.collect();
    }

    fn link(&mut self, now: Duration, host_uniq: Vec<u8>, max_payload: u16) -> ServedSession {
        let address = Ipv4Addr::new(10, 0, 0, self.next_address);
        self.next_address = self.next_address % 200 + 2;
        let login = ppp::Login {
            username: "site".to_owned(),
            password: "secret".into(),
            remote_ip: address,
        };
        let config = ppp::Config {
            role: Role::Server {
                name: self.name.clone(),
                logins: [login].into(),
                local_ip: SERVER_IP,
                protocols: vec![AuthProtocol::Chap],
                rechallenge: None,
                name_servers: ppp::NameServers {
                    dns: vec![DNS],
                    nbns: Vec::new(),
                },
                proxy: ppp::ProxyPolicy::default(),
            },
            lower_layer: LowerLayer::Pppoe,
            ipv6: self.ipv6,
            mru: self.mru.min(max_payload),
            lcp_rate: Duration::from_secs(3),
            lcp_timeout: Duration::from_secs(20),
            ignore_magic: false,
            timers: ppp::Timers::default(),
        };
        let mut ppp = ppp::Session::new(config, StdRng::from_rng(&mut self.rng));
        ppp.start(now);
        ServedSession {
            host_uniq,
            ppp,
            address,
            max_payload,
        }
    }

    fn handle_session(&mut self, now: Duration, frame: &[u8]) {
        let (ethernet, id, ppp) = parse_session(frame).unwrap();
        assert_eq!(ethernet.source, CLIENT_MAC);
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        assert_ne!(ppp[..2], [0xff, 0x03], "RFC 2516 7");
        if let [0xc0, 0x21, 1, _, _, _, options @ ..] = ppp {
            watch_lcp(options, session.max_payload);
        }
        session.ppp.handle_frame(now, ppp);
    }

    /// Takes what its sessions want sent; one that has closed is over.
    fn collect(&mut self) {
        let mut over = Vec::new();
        for (id, session) in &mut self.sessions {
            while let Some(output) = session.ppp.poll_output() {
                match output {
                    Output::Frame(frame) => {
                        self.output
                            .push_back(session_frame(self.mac, CLIENT_MAC, *id, &frame));
                    }
                    Output::Event(ppp::Event::Closed { .. }) => over.push(*id),
                    Output::Event(_) => {}
                }
            }
        }
        for id in over {
            self.end(id, &[]);
        }
    }

    fn end(&mut self, id: u16, tags: &[(u16, &[u8])]) {
        self.sessions.remove(&id);
        self.send(Code::Termination, id, tags);
    }

    /// Ends all sessions by PADT.
    pub(crate) fn terminate(&mut self, tags: &[(u16, &[u8])]) {
        let ids: Vec<u16> = self.sessions.keys().copied().collect();
        for id in ids {
            self.end(id, tags);
        }
    }

    /// Forgets everything, and says nothing.
    pub(crate) fn restart(&mut self) {
        self.sessions.clear();
        self.output.clear();
    }

    pub(crate) fn handle_timeout(&mut self, now: Duration) {
        for session in self.sessions.values_mut() {
            session.ppp.handle_timeout(now);
        }
        self.collect();
    }

    pub(crate) fn next_timeout(&self) -> Option<Duration> {
        let sessions = self.sessions.values();
        sessions
            .filter_map(|session| session.ppp.next_timeout())
            .min()
    }

    pub(crate) fn poll(&mut self) -> Option<Vec<u8>> {
        self.output.pop_front()
    }
}

/// RFC 2516 7, RFC 4638 5: of LCP's options only some may be asked for.
fn watch_lcp(mut options: &[u8], max_payload: u16) {
    while let [kind, octets, ..] = *options {
        let (option, rest) = options.split_at(octets.into());
        match kind {
            1 => {
                let mru = u16::from_be_bytes([option[2], option[3]]);
                assert!(mru <= max_payload, "an MRU of {mru}");
            }
            3 | 5 => {}
            _ => panic!("option {kind} is asked for"),
        }
        options = rest;
    }
}

/// A discovery frame as a concentrator would send it to the client.
pub(super) fn from(mac: [u8; 6], code: Code, session: u16, tags: &[(u16, &[u8])]) -> Vec<u8> {
    discovery_frame(mac, CLIENT_MAC, code, session, tags).unwrap()
}
