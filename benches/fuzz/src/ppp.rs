//! A client and a server of PPP.

use std::net::Ipv4Addr;
use std::time::Duration;

use control::ppp::{
    AuthProtocol, Config, Login, LowerLayer, NameServers, Output, Proxy, ProxyAuthentication, ProxyLcp,
    ProxyPolicy, Role, Session, Timers, Wanted,
};
use control::secret::Secret;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::Input;

/// Two ends and the time.
pub struct Link {
    /// The client, the server.
    pub ends: [Session; 2],
    pub now: Duration,
}

impl Link {
    /// A link that has just started; `choices` has a bit for each thing that may be otherwise.
    #[must_use]
    pub fn new(choices: u8) -> Self {
        let password = |is_right: bool| {
            let text = if is_right { "secret" } else { "guess" };
            Secret::new(text.to_owned())
        };
        let client = Role::Client {
            username: "remote.1".to_owned(),
            password: password(choices & 1 == 0),
            local_ip: (choices & 2 != 0).then_some(Ipv4Addr::new(10, 0, 0, 9)),
            protocols: AuthProtocol::ALL.to_vec(),
            wanted: Wanted {
                dns: choices & 64 != 0,
                nbns: choices & 64 != 0,
            },
        };
        let login = Login {
            username: "remote.1".to_owned(),
            password: password(true),
            remote_ip: Ipv4Addr::new(192, 168, 1, 2),
        };
        let server = Role::Server {
            name: "head".to_owned(),
            logins: [login].into(),
            local_ip: Ipv4Addr::new(192, 168, 1, 1),
            protocols: match choices & (4 | 64) {
                0 => vec![AuthProtocol::Chap, AuthProtocol::Pap],
                4 => vec![AuthProtocol::Pap],
                _ => vec![AuthProtocol::MsChapV2, AuthProtocol::Chap],
            },
            rechallenge: (choices & 64 != 0).then_some(Duration::from_secs(10)),
            name_servers: NameServers {
                dns: vec![Ipv4Addr::new(192, 168, 1, 53)],
                nbns: Vec::new(),
            },
            proxy: ProxyPolicy {
                lcp: if choices & 128 == 0 {
                    ProxyLcp::Renegotiate
                } else {
                    ProxyLcp::Accept
                },
                authentication: true,
            },
        };
        let session = |role, seed| {
            let config = Config {
                role,
                lower_layer: LowerLayer::L2tp,
                // Both ends, or the client alone.
                ipv6: choices & 16 != 0 && (seed == 1 || choices & 32 != 0),
                mru: if choices & 8 == 0 { 1500 } else { 1400 },
                lcp_rate: Duration::from_secs(1),
                lcp_timeout: Duration::from_secs(5),
                ignore_magic: false,
                timers: Timers::default(),
            };
            Session::new(config, StdRng::seed_from_u64(seed))
        };
        let mut ends = [session(client, 1), session(server, 2)];
        for end in &mut ends {
            if !end.awaits_proxy() {
                end.start(Duration::ZERO);
            }
        }
        Self {
            ends,
            now: Duration::ZERO,
        }
    }

    /// The LAC of a server that waits for it tells something.
    pub fn tell(&mut self, input: &mut Input<'_>) {
        let mut octets = || input.short().to_vec();
        let proxy = Proxy {
            last_sent: Some(octets()),
            last_received: Some(octets()),
            authentication: Some(ProxyAuthentication::Chap {
                name: b"remote.1".to_vec(),
                challenge: octets(),
                id: 7,
                response: octets(),
            }),
        };
        let _ = self.ends[1].start_after(self.now, &proxy);
    }

    /// A frame arrives at an end.
    pub fn arrive(&mut self, end: usize, frame: &[u8]) {
        self.ends[end].handle_frame(self.now, frame);
    }

    /// Time passes.
    pub fn pass(&mut self, time: Duration) {
        self.now += time;
        for end in &mut self.ends {
            end.handle_timeout(self.now);
        }
    }

    /// Time passes until an end has something to do.
    pub fn pass_to_timeout(&mut self, end: usize) {
        self.ends[end].handle_timeout(self.now);
        let Some(next) = self.ends[end].next_timeout() else {
            return;
        };
        assert!(next > self.now, "time stands still at {:?}", self.now);
        self.pass(next - self.now);
    }
}

/// Carries up to so many frames to and fro; `input` decides what becomes of each.
pub fn run(link: &mut Link, input: &mut Input<'_>, mut frames: usize) {
    while frames > 0 {
        let outputs = [0, 1].map(|end| link.ends[end].poll_output());
        if outputs.iter().all(Option::is_none) {
            return;
        }
        for (end, output) in outputs.into_iter().enumerate() {
            if let Some(Output::Frame(frame)) = output {
                frames = frames.saturating_sub(1);
                for arrived in input.deliver(frame) {
                    link.arrive(1 - end, &arrived);
                }
            }
        }
    }
}
