//! Thousands of LACs in one process, sans-IO: each has a tunnel with a session or
//! several, every one with a PPP login, over the protocol machines of hal2tp itself.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use control::l2tp::{self, CallId, Endpoint, EndpointConfig, TunnelId};
use control::ppp;
use control::secret::Secret;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::member::{self, Member, REPORT_PERIOD};

/// Flags and version of a data message without optional fields (RFC 2661, 3.1).
const DATA_FLAGS: u16 = 0x0002;
const PRIORITY: u16 = 0x0100;
const DATA_HEADER_OCTETS: usize = 6;
/// Flags and version of what has an offset: with these peers the reports of sets, and their packets.
const OFFSET_FLAGS: u16 = 0x0202;
/// HDLC address and control, which a peer may send or leave out (RFC 1661, 6.6).
const ADDRESS_CONTROL: [u8; 2] = [0xff, 0x03];
const MRU: u16 = 1450;
/// Before a LAC that failed is dialled again.
const PAUSE: Duration = Duration::from_secs(1);

/// What all LACs of a fleet have in common.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) server: SocketAddr,
    /// Where the LACs are: the first has the first, and so on, round and round.
    pub(crate) sources: Vec<SocketAddr>,
    pub(crate) lacs: usize,
    /// Of all LACs: the first has the first, and so on, round and round.
    pub(crate) callers: usize,
    /// So many callers in a row are the links of a set; plain sessions if not given.
    pub(crate) links: Option<usize>,
    /// What they say of their elimination windows, numbers.
    pub(crate) window: u32,
    /// Set-ups that may be under way at a time.
    pub(crate) at_once: usize,
    pub(crate) hostname: String,
    pub(crate) secret: Option<String>,
    pub(crate) password: String,
    /// Time between two LCP echoes of a LAC; none when zero.
    pub(crate) echo_interval: Duration,
    /// A LAC whose echoes were not answered for so long is dialled anew.
    pub(crate) echo_timeout: Duration,
}

impl Plan {
    /// The name by which a caller logs in.
    pub(crate) fn username(caller: usize) -> String {
        format!("lac-{caller}")
    }

    fn set_of(&self, caller: usize) -> Option<usize> {
        Some(caller / self.links?)
    }

    fn lac_of(&self, caller: usize) -> usize {
        caller % self.lacs
    }

    fn callers_of(&self, lac: usize) -> impl Iterator<Item = usize> + use<> {
        (lac..self.callers).step_by(self.lacs)
    }
}

/// A UDP datagram of a LAC.
#[derive(Debug)]
pub(crate) struct Datagram {
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    pub(crate) payload: Vec<u8>,
}

/// Where a set-up is.
#[derive(Clone, Debug, Default)]
struct Lac {
    dialled_at: Duration,
    tunnel: Option<TunnelId>,
    /// Callers that are not open yet.
    under_way: usize,
}

/// Somebody who logs in over a LAC.
#[derive(Default)]
struct Caller {
    link: Option<Link>,
    scheduled: Option<Duration>,
    open: bool,
}

/// A session, and the tunnel and session ids in what is received and sent.
struct Link {
    call: CallId,
    local: (u16, u16),
    peer: (u16, u16),
    ppp: ppp::Session,
    /// What it has besides when it is a link of a set.
    member: Member,
}

/// What became of the fleet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Now.
    pub(crate) open: usize,
    /// Times from SCCRQ to an open IPCP, in the order in which they ended.
    pub(crate) setup_times: Vec<Duration>,
    /// Why set-ups or sessions ended, and how often.
    pub(crate) failures: HashMap<String, u64>,
    /// When the last of all callers was open.
    pub(crate) complete_at: Option<Duration>,
    /// Reports that came on links of sets.
    pub(crate) reports: u64,
    /// Data messages for no session of the fleet.
    pub(crate) strays: u64,
}

/// The LACs. Feed it datagrams and the time, and poll it for [`Datagram`]s.
pub(crate) struct Fleet {
    plan: Plan,
    endpoint: Endpoint,
    rng: StdRng,
    lacs: Vec<Lac>,
    callers: Vec<Caller>,
    /// LACs waiting to be dialled, and from when on, the next one first.
    idle: VecDeque<(Duration, usize)>,
    under_way: usize,
    by_tunnel: HashMap<TunnelId, usize>,
    /// Callers.
    by_call: HashMap<CallId, usize>,
    by_ids: HashMap<(u16, u16), usize>,
    timers: BTreeSet<(Duration, usize)>,
    /// Callers that are links of sets, and when they report, the next one first.
    reports: VecDeque<(Duration, usize)>,
    outbox: VecDeque<Datagram>,
    tally: Tally,
}

impl Fleet {
    pub(crate) fn new(plan: Plan, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let config = EndpointConfig::new("hal2tp-lacs".to_owned(), 1, Vec::new());
        Self {
            endpoint: Endpoint::new(config, StdRng::from_rng(&mut rng)),
            rng,
            lacs: vec![Lac::default(); plan.lacs],
            callers: (0..plan.callers).map(|_| Caller::default()).collect(),
            idle: (0..plan.lacs).map(|lac| (Duration::ZERO, lac)).collect(),
            under_way: 0,
            by_tunnel: HashMap::new(),
            by_call: HashMap::new(),
            by_ids: HashMap::new(),
            timers: BTreeSet::new(),
            reports: VecDeque::new(),
            outbox: VecDeque::new(),
            tally: Tally::default(),
            plan,
        }
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    pub(crate) fn poll_output(&mut self) -> Option<Datagram> {
        self.outbox.pop_front()
    }

    /// Does what is due, and dials as many as may be under way.
    pub(crate) fn handle_timeout(&mut self, now: Duration) {
        self.endpoint.handle_timeout(now);
        while let Some(&(at, caller)) = self.timers.first()
            && at <= now
        {
            self.timers.pop_first();
            self.callers[caller].scheduled = None;
            if let Some(link) = &mut self.callers[caller].link {
                link.ppp.handle_timeout(now);
            }
            self.settle_caller(now, caller);
        }
        while let Some(&(due, caller)) = self.reports.front()
            && due <= now
        {
            self.reports.pop_front();
            self.report(now, caller);
        }
        while self.under_way < self.plan.at_once
            && let Some(&(due, lac)) = self.idle.front()
            && due <= now
        {
            self.idle.pop_front();
            self.dial(now, lac);
        }
        self.settle(now);
    }

    /// Takes what the server sent to `destination`.
    pub(crate) fn handle_datagram(
        &mut self,
        now: Duration,
        destination: SocketAddr,
        payload: &[u8],
    ) {
        if payload.first().is_some_and(|flags| flags & 0x80 != 0) {
            self.endpoint
                .handle_datagram(now, 0, self.plan.server, destination, payload);
            self.settle(now);
            return;
        }
        if self.take_report(now, payload) {
            return;
        }
        let Some((caller, frame)) = self.frame_of(payload) else {
            self.tally.strays += 1;
            return;
        };
        if let Some(link) = &mut self.callers[caller].link {
            link.ppp.handle_frame(now, frame);
        }
        self.settle_caller(now, caller);
    }

    fn frame_of<'p>(&self, payload: &'p [u8]) -> Option<(usize, &'p [u8])> {
        let (header, frame) = payload.split_first_chunk::<DATA_HEADER_OCTETS>()?;
        let [f0, f1, t0, t1, s0, s1] = *header;
        // Echoes have P, which changes nothing in the header.
        if u16::from_be_bytes([f0, f1]) & !PRIORITY != DATA_FLAGS {
            return None;
        }
        let ids = (u16::from_be_bytes([t0, t1]), u16::from_be_bytes([s0, s1]));
        let frame = frame.strip_prefix(&ADDRESS_CONTROL).unwrap_or(frame);
        Some((*self.by_ids.get(&ids)?, frame))
    }

    /// False when it is no report for a link of a set.
    fn take_report(&mut self, now: Duration, payload: &[u8]) -> bool {
        let Some((&[f0, f1, t0, t1, s0, s1, o0, o1], rest)) = payload.split_first_chunk() else {
            return false;
        };
        if u16::from_be_bytes([f0, f1]) != OFFSET_FLAGS {
            return false;
        }
        let ids = (u16::from_be_bytes([t0, t1]), u16::from_be_bytes([s0, s1]));
        let link = self.by_ids.get(&ids);
        let link = link.and_then(|&caller| self.callers[caller].link.as_mut());
        let padding = rest.get(..u16::from_be_bytes([o0, o1]).into());
        let (Some(link), Some(padding)) = (link, padding) else {
            return false;
        };
        let is_report = link.member.take(now, padding);
        self.tally.reports += u64::from(is_report);
        is_report
    }

    /// Sends a link's report, and plans the next one.
    fn report(&mut self, now: Duration, caller: usize) {
        let of = &self.callers[caller];
        let (Some(link), true, Some(set)) = (&of.link, of.open, self.plan.set_of(caller)) else {
            return;
        };
        let message = link.member.report(now, set, link.peer);
        self.push(caller, message);
        self.reports.push_back((now + REPORT_PERIOD, caller));
    }

    /// Has one caller's link carry packets that write to all memory that the appliance has for it and for its set.
    pub(crate) fn write_rings(&mut self, caller: usize) {
        let Some(set) = self.plan.set_of(caller) else {
            return;
        };
        let link = self.callers[caller].link.as_mut();
        let packets = link.map(|link| link.member.packets(set, link.peer));
        for packet in packets.into_iter().flatten() {
            self.push(caller, packet);
        }
    }

    fn dial(&mut self, now: Duration, lac: usize) {
        let secret = self.plan.secret.clone();
        let tunnel = self.endpoint.dial(
            now,
            l2tp::Dial {
                hostname: self.plan.hostname.clone(),
                secret: secret.map(Secret::new),
                table: 0,
                source: self.source(lac),
                server: self.plan.server,
                peering: l2tp::Peering::default(),
                tie_breaker: false,
            },
        );
        self.by_tunnel.insert(tunnel, lac);
        let of = &mut self.lacs[lac];
        *of = Lac {
            dialled_at: now,
            tunnel: Some(tunnel),
            under_way: self.plan.callers_of(lac).count(),
        };
        self.under_way += 1;
    }

    fn source(&self, lac: usize) -> SocketAddr {
        self.plan.sources[lac % self.plan.sources.len()]
    }

    fn settle(&mut self, now: Duration) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                l2tp::Output::Transmit {
                    source,
                    destination,
                    payload,
                    ..
                } => self.outbox.push_back(Datagram {
                    source,
                    destination,
                    payload,
                }),
                l2tp::Output::Event(event) => self.handle_event(now, event),
            }
        }
    }

    fn handle_event(&mut self, now: Duration, event: l2tp::Event) {
        match event {
            l2tp::Event::TunnelEstablished { tunnel, .. } => {
                if let Some(&lac) = self.by_tunnel.get(&tunnel) {
                    for caller in self.plan.callers_of(lac) {
                        let set = self.plan.set_of(caller);
                        let agreement = set.map(|set| member::agreement(set, self.plan.window));
                        let avps = agreement.into_iter().collect();
                        let call = self.endpoint.place_call(now, tunnel, avps);
                        self.by_call.insert(call, caller);
                    }
                }
            }
            l2tp::Event::CallAnswered { call, .. } => self.endpoint.connect_call(now, call),
            l2tp::Event::CallConnected { call, .. } => self.begin_ppp(now, call),
            // The tunnel's own end follows, and says why.
            l2tp::Event::CallClosed {
                cause: l2tp::CallCause::Tunnel,
                ..
            } => {}
            l2tp::Event::CallClosed { call, cause } => {
                if let Some(caller) = self.by_call.remove(&call) {
                    self.hang_up(now, self.plan.lac_of(caller), &cause.to_string());
                }
            }
            l2tp::Event::TunnelClosed { tunnel, cause } => {
                if let Some(lac) = self.by_tunnel.remove(&tunnel) {
                    self.ended(now, lac, &cause.to_string());
                }
            }
            l2tp::Event::CallIncoming { .. } => {}
        }
    }

    fn begin_ppp(&mut self, now: Duration, call: CallId) {
        let Some(&caller) = self.by_call.get(&call) else {
            return;
        };
        let Some(info) = self.endpoint.call(call) else {
            return;
        };
        let Some(tunnel) = self.endpoint.tunnel(info.tunnel) else {
            return;
        };
        let config = ppp::Config {
            role: ppp::Role::Client {
                username: Plan::username(caller),
                password: Secret::new(self.plan.password.clone()),
                local_ip: None,
                protocols: ppp::AuthProtocol::ALL.to_vec(),
                wanted: ppp::Wanted::default(),
            },
            lower_layer: ppp::LowerLayer::L2tp,
            ipv6: false,
            mru: MRU,
            lcp_rate: self.plan.echo_interval,
            lcp_timeout: self.plan.echo_timeout,
            ignore_magic: false,
            timers: ppp::Timers::default(),
        };
        let mut ppp = ppp::Session::new(config, StdRng::from_rng(&mut self.rng));
        ppp.start(now);
        let local = (tunnel.local_id, info.local_id);
        self.by_ids.insert(local, caller);
        self.callers[caller].link = Some(Link {
            call,
            local,
            peer: (tunnel.peer_id, info.peer_id),
            ppp,
            member: Member::default(),
        });
        self.settle_caller(now, caller);
    }

    /// Carries out what a caller's PPP wants, and sets its timer.
    fn settle_caller(&mut self, now: Duration, caller: usize) {
        while let Some(link) = &mut self.callers[caller].link
            && let Some(output) = link.ppp.poll_output()
        {
            match output {
                ppp::Output::Frame(frame) => self.send(caller, &frame),
                ppp::Output::Event(ppp::Event::Opened(_)) => self.opened(now, caller),
                ppp::Output::Event(ppp::Event::Closed { reason }) => {
                    self.hang_up(now, self.plan.lac_of(caller), &reason.to_string());
                }
                ppp::Output::Event(_) => {}
            }
        }
        let of = &mut self.callers[caller];
        let next = of.link.as_ref().and_then(|link| link.ppp.next_timeout());
        if of.scheduled != next {
            if let Some(at) = of.scheduled {
                self.timers.remove(&(at, caller));
            }
            self.timers.extend(next.map(|at| (at, caller)));
            of.scheduled = next;
        }
    }

    fn send(&mut self, caller: usize, frame: &[u8]) {
        let Some(link) = &self.callers[caller].link else {
            return;
        };
        let (tunnel, session) = link.peer;
        let mut payload = Vec::with_capacity(DATA_HEADER_OCTETS + 2 + frame.len());
        payload.extend_from_slice(&DATA_FLAGS.to_be_bytes());
        payload.extend_from_slice(&tunnel.to_be_bytes());
        payload.extend_from_slice(&session.to_be_bytes());
        payload.extend_from_slice(&ADDRESS_CONTROL);
        payload.extend_from_slice(frame);
        self.push(caller, payload);
    }

    fn push(&mut self, caller: usize, payload: Vec<u8>) {
        self.outbox.push_back(Datagram {
            source: self.source(self.plan.lac_of(caller)),
            destination: self.plan.server,
            payload,
        });
    }

    fn opened(&mut self, now: Duration, caller: usize) {
        if std::mem::replace(&mut self.callers[caller].open, true) {
            return;
        }
        let lac = &mut self.lacs[self.plan.lac_of(caller)];
        lac.under_way -= 1;
        if lac.under_way == 0 {
            self.under_way -= 1;
        }
        self.tally.open += 1;
        if self.plan.links.is_some() {
            self.reports.push_back((now + REPORT_PERIOD, caller));
        }
        self.tally.setup_times.push(now - lac.dialled_at);
        if self.tally.open == self.callers.len() {
            self.tally.complete_at.get_or_insert(now);
        }
    }

    /// A call or its PPP is over: its LAC begins anew, with all its callers.
    fn hang_up(&mut self, now: Duration, lac: usize, why: &str) {
        let Some(tunnel) = self.lacs[lac].tunnel.take() else {
            return;
        };
        let close = l2tp::TunnelClose::new(l2tp::StopResult::GENERAL, l2tp::ErrorCode::NONE, why);
        self.endpoint.close_tunnel(now, tunnel, close);
        self.by_tunnel.remove(&tunnel);
        self.ended(now, lac, why);
    }

    /// A LAC has no tunnel any more, and is dialled again when its turn comes.
    fn ended(&mut self, now: Duration, lac: usize, why: &str) {
        *self.tally.failures.entry(why.to_owned()).or_default() += 1;
        for caller in self.plan.callers_of(lac) {
            let of = &mut self.callers[caller];
            if let Some(link) = of.link.take() {
                self.by_ids.remove(&link.local);
                self.by_call.remove(&link.call);
            }
            if std::mem::take(&mut of.open) {
                self.tally.open -= 1;
            }
        }
        let of = &mut self.lacs[lac];
        if std::mem::take(&mut of.under_way) > 0 {
            self.under_way -= 1;
        }
        self.idle.push_back((now + PAUSE, lac));
    }
}
