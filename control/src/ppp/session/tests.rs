//! Sessions against a peer that follows a script.
use super::super::*;
use super::*;

mod authentication;
mod conformance;
mod ipv6;
mod name_servers;
mod negotiation;
mod network;
mod proxy;
mod rechallenge;

/// Names of the codes, for scripts.
const REQUEST: u8 = code::CONFIGURE_REQUEST;
const ACK: u8 = code::CONFIGURE_ACK;
const NAK: u8 = code::CONFIGURE_NAK;
const REJECT: u8 = code::CONFIGURE_REJECT;

const LOCAL: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const REMOTE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

/// The magic number of the scripted peer.
const MAGIC: [u8; 6] = [5, 6, 1, 2, 3, 4];

fn config(role: Role) -> Config {
    Config {
        role,
        lower_layer: LowerLayer::L2tp,
        ipv6: false,
        mru: 1500,
        lcp_rate: Duration::from_secs(1),
        lcp_timeout: Duration::from_secs(5),
        ignore_magic: false,
        timers: Timers::default(),
    }
}

fn client() -> Config {
    config(Role::Client {
        username: "me".into(),
        password: "secret".into(),
        local_ip: None,
        protocols: AuthProtocol::ALL.to_vec(),
        wanted: Wanted::default(),
    })
}

fn server(protocols: &[AuthProtocol]) -> Config {
    let login = Login {
        username: "me".into(),
        password: "secret".into(),
        remote_ip: REMOTE,
    };
    config(Role::Server {
        name: "head".into(),
        logins: [login].into(),
        local_ip: LOCAL,
        protocols: protocols.to_vec(),
        rechallenge: None,
        name_servers: NameServers::default(),
        proxy: ProxyPolicy::default(),
    })
}

/// A session and the time its script has reached.
struct Script {
    session: Session,
    now: Duration,
    /// Every event so far.
    events: Vec<Event>,
}

/// A frame as a script sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    protocol: u16,
    code: u8,
    id: u8,
    data: Vec<u8>,
}

fn seen(frame: &[u8]) -> Seen {
    let (protocol, information) = packet::split(frame).unwrap();
    let Packet { code, id, data } = Packet::parse(information).unwrap();
    Seen {
        protocol,
        code,
        id,
        data: data.to_vec(),
    }
}

impl Script {
    fn new(config: Config) -> Self {
        let session = Session::new(config, StdRng::seed_from_u64(5));
        let mut script = Self {
            session,
            now: Duration::from_secs(50),
            events: Vec::new(),
        };
        script.session.start(script.now);
        script
    }

    /// What the session has to say, in order.
    fn outputs(&mut self) -> Vec<Output> {
        let outputs: Vec<_> = std::iter::from_fn(|| self.session.poll_output()).collect();
        let events = outputs.iter().filter_map(|output| match output {
            Output::Event(event) => Some(event.clone()),
            Output::Frame(_) => None,
        });
        self.events.extend(events);
        outputs
    }

    /// The frames among it.
    fn frames(&mut self) -> Vec<Seen> {
        let frame = |output| match output {
            Output::Frame(frame) => Some(seen(&frame)),
            Output::Event(_) => None,
        };
        self.outputs().into_iter().filter_map(frame).collect()
    }

    /// The one frame among it.
    fn frame(&mut self) -> Seen {
        let frames = self.frames();
        assert_eq!(frames.len(), 1, "{frames:?}");
        frames[0].clone()
    }

    fn send(&mut self, protocol: u16, code: u8, id: u8, data: &[u8]) {
        self.session
            .handle_frame(self.now, &packet::frame(protocol, code, id, data));
    }

    fn lcp(&mut self, code: u8, id: u8, data: &[u8]) {
        self.send(protocol::LCP, code, id, data);
    }

    /// Time passes, in as many steps as the session asks for.
    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.session.next_timeout().filter(|at| *at <= end) {
            self.now = at;
            self.session.handle_timeout(at);
        }
        self.now = end;
    }

    /// LCP opens: the peer asks for `options`, and acknowledges what we ask for.
    fn open_lcp(&mut self, options: &[u8]) {
        let ours = self.frame();
        assert_eq!((ours.protocol, ours.code), (protocol::LCP, REQUEST));
        self.lcp(REQUEST, 1, options);
        assert_eq!(
            self.frame(),
            Seen {
                protocol: protocol::LCP,
                code: ACK,
                id: 1,
                data: options.to_vec()
            }
        );
        self.lcp(ACK, ours.id, &ours.data);
    }

    /// IPCP opens after LCP and authentication.
    fn open_ipcp(&mut self) {
        let ours = self
            .frames()
            .into_iter()
            .find(|f| f.protocol == protocol::IPCP)
            .unwrap();
        self.finish_ipcp(&ours);
    }

    /// IPCP opens after this request of ours.
    fn finish_ipcp(&mut self, ours: &Seen) {
        assert_eq!(ours.code, REQUEST);
        let (local, remote) = match self.session.role {
            Role::Client { .. } => (REMOTE, LOCAL),
            Role::Server { .. } => (LOCAL, REMOTE),
        };
        let local = [&[3, 6][..], &local.octets()].concat();
        let mut id = ours.id;
        if ours.data != local {
            self.send(protocol::IPCP, NAK, ours.id, &local);
            id = self.frame().id;
        }
        self.send(protocol::IPCP, ACK, id, &local);
        self.send(
            protocol::IPCP,
            REQUEST,
            1,
            &[&[3, 6][..], &remote.octets()].concat(),
        );
        assert!(self.session.is_open());
    }

    /// A client that is up; the server asked for no authentication.
    fn open_client() -> Self {
        let mut script = Self::new(client());
        script.open_lcp(&MAGIC);
        script.open_ipcp();
        script.outputs();
        script
    }

    /// A server that is up; the peer logged in by PAP.
    fn open_server() -> Self {
        let mut script = Self::new(server(&[AuthProtocol::Pap]));
        script.open_lcp(&MAGIC);
        script.send(protocol::PAP, 1, 1, b"\x02me\x06secret");
        script.open_ipcp();
        script.outputs();
        script
    }

    /// Time passes, and the peer answers echoes after 30 ms. Returns what else was sent.
    fn lcp_answers_for(&mut self, time: Duration) -> Vec<Seen> {
        let end = self.now + time;
        let mut others = Vec::new();
        while let Some(at) = self.session.next_timeout().filter(|at| *at <= end) {
            self.now = at;
            self.session.handle_timeout(at);
            for frame in self.frames() {
                if (frame.protocol, frame.code) == (protocol::LCP, code::ECHO_REQUEST) {
                    let reply =
                        packet::frame(protocol::LCP, code::ECHO_REPLY, frame.id, &[1, 2, 3, 4]);
                    self.session
                        .handle_frame(at + Duration::from_millis(30), &reply);
                } else {
                    others.push(frame);
                }
            }
        }
        self.now = end;
        others
    }

    fn closed(&mut self) -> Option<CloseReason> {
        self.outputs();
        match self.events.last() {
            Some(Event::Closed { reason }) => {
                assert_eq!(self.session.next_timeout(), None, "a timer is left");
                Some(reason.clone())
            }
            _ => None,
        }
    }
}

/// As it is, with IPv6 besides.
fn with_ipv6(config: Config) -> Config {
    Config {
        ipv6: true,
        ..config
    }
}

fn opened(local: Ipv4Addr, remote: Ipv4Addr) -> Event {
    Event::Opened(Network::Ipv4 { local, remote })
}

fn authenticated(login: Option<usize>) -> Event {
    Event::Authenticated {
        username: "me".into(),
        login,
    }
}

fn frame_of(output: &Output) -> Option<Seen> {
    match output {
        Output::Frame(frame) => Some(seen(frame)),
        Output::Event(_) => None,
    }
}
