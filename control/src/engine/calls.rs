//! From dialling to an open PPP session, on both ends.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use dataplane::command::{Command, Ordering, SessionId, SessionSpec, TableId};
use dataplane::headers::lcp::ECHO_REQUEST;
use dataplane::sequence::Sequence;

use super::dialer::Failure;
use super::happening::Ending;
use super::hearing::Hearing;
use super::link::{Link, Origin, Phase};
use super::membership::Admission;
use super::path_mtu::overhead;
use super::path_search::PathSearch;
use super::{Engine, Output, ppp_settings};
use crate::config::{Config, HaSet, Ppp, Server};
use crate::ha::Agreement;
use crate::ha::instance::{Key, SetParameters};
use crate::l2tp::{self, CallId, TunnelId, VendorAvp};
use crate::ppp;

/// Told to the peer in the Firmware Revision AVP: 0.1.
const FIRMWARE_REVISION: u16 = 0x0001;
/// A peer that has not answered by then, after repetitions at 1, 3 and 7 s, is
/// dialled anew: a line that comes back is found within four seconds.
const ESTABLISHMENT: Duration = Duration::from_secs(8);
/// PPP frames of LCP begin so; the code follows (RFC 1661, 5).
pub(super) const LCP: [u8; 2] = [0xc0, 0x21];

pub(super) fn endpoint_config(config: &Config) -> l2tp::EndpointConfig {
    let incoming = config.l2tp.incoming.iter().map(|incoming| l2tp::Incoming {
        name: incoming.name.clone(),
        remote_hostname: incoming.remote_hostname.clone(),
        local_hostname: incoming.local_hostname.clone(),
        secret: incoming.secret.clone(),
        listen: incoming.listen.clone(),
        table: incoming.table,
        allow: incoming.allow.clone(),
        peering: incoming.peering.clone(),
    });
    let mut endpoint =
        l2tp::EndpointConfig::new("hal2tp".to_owned(), FIRMWARE_REVISION, incoming.collect());
    endpoint.timing.establishment = ESTABLISHMENT;
    endpoint.limits = config.l2tp.limits.clone();
    endpoint
}

/// A tunnel that we dialled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dialled {
    /// Place in the configuration.
    pub(super) outgoing: usize,
    /// The one call that the tunnel is for, once it is placed.
    call: Option<CallId>,
}

impl Engine {
    pub(super) fn dial_due(&mut self, now: Duration) {
        if self.stopping {
            return;
        }
        while let Some(&(due, index)) = self.attempts.first()
            && due <= now
        {
            self.attempts.pop_first();
            if self.dialers[index].next_attempt() == Some(due) {
                self.dial(now, index);
            }
        }
        self.settle_endpoint(now);
    }

    fn dial(&mut self, now: Duration, index: usize) {
        match self.config.l2tp.outgoing[index].server.clone() {
            Server::Address(address) => self.dial_address(now, index, address),
            Server::Name(name) => {
                self.lookups += 1;
                self.dialers[index].resolving(self.lookups);
                self.outputs.push_back(Output::Resolve {
                    lookup: self.lookups,
                    name,
                });
            }
        }
    }

    /// Takes what became of an [`Output::Resolve`]: the addresses of the name, in
    /// the resolver's order, or what went wrong.
    pub fn handle_resolved(
        &mut self,
        now: Duration,
        lookup: u64,
        addresses: Result<Vec<IpAddr>, String>,
    ) {
        let mut dialers = self.dialers.iter();
        let Some(outgoing) = dialers.position(|dialer| dialer.awaits(lookup)) else {
            return;
        };
        if self.stopping {
            return;
        }
        let tunnel = &self.config.l2tp.outgoing[outgoing];
        let is_usable = |&address: &IpAddr| {
            let from = tunnel
                .source
                .or_else(|| self.own_address(now, tunnel.table, address));
            from.is_some_and(|from| from.is_ipv4() == address.is_ipv4())
        };
        let usable = addresses.map(|addresses| addresses.into_iter().filter(is_usable).collect());
        let chosen = usable.and_then(|usable: Vec<IpAddr>| {
            let chosen = self.dialers[outgoing].choose(&usable);
            chosen.ok_or_else(|| "no address of a family that we can send from".to_owned())
        });
        match chosen {
            Ok(address) => self.dial_address(now, outgoing, address),
            Err(error) => {
                let result = format!("{}: {error}", tunnel.server);
                log::info!("{}: {result}", tunnel.name);
                self.dial_again(now, outgoing, Failure::Silent, result);
            }
        }
        self.settle_endpoint(now);
    }

    fn dial_address(&mut self, now: Duration, index: usize, server: IpAddr) {
        let outgoing = &self.config.l2tp.outgoing[index];
        let Some(source) = outgoing
            .source
            .or_else(|| self.own_address(now, outgoing.table, server))
        else {
            let result = format!("no own address in table {}", outgoing.table);
            self.dial_again(now, index, Failure::Silent, result);
            return;
        };
        log::debug!("{}: dialling {server} from {source}", outgoing.name);
        let tunnel = self.endpoint.dial(
            now,
            l2tp::Dial {
                hostname: outgoing.hostname.clone(),
                secret: outgoing.secret.clone(),
                table: outgoing.table,
                source: SocketAddr::new(source, l2tp::PORT),
                server: SocketAddr::new(server, l2tp::PORT),
                peering: outgoing.peering.clone(),
                tie_breaker: outgoing.tie_breaker,
            },
        );
        let dialled = Dialled {
            outgoing: index,
            call: None,
        };
        self.by_tunnel.insert(tunnel, dialled);
        self.dialers[index].dialled();
    }

    /// An attempt, or what came of it, has ended: the next one follows.
    fn dial_again(&mut self, now: Duration, index: usize, failure: Failure, result: String) {
        let dialer = &mut self.dialers[index];
        dialer.ended(now, failure, result, &mut self.rng);
        self.attempts
            .extend(dialer.next_attempt().map(|at| (at, index)));
    }

    /// Carries out what the L2TP endpoint wants, in its order.
    pub(super) fn settle_endpoint(&mut self, now: Duration) {
        if std::mem::replace(&mut self.settling, true) {
            return;
        }
        loop {
            match self.endpoint.poll_output() {
                Some(l2tp::Output::Transmit {
                    table,
                    source,
                    destination,
                    payload,
                }) => self.send_udp(TableId(table), source, destination, &payload),
                Some(l2tp::Output::Event(event)) => self.handle_l2tp(now, event),
                None => match self.connected.pop_front() {
                    Some((id, proxy)) => self.start_ppp(now, id, &proxy),
                    None => break,
                },
            }
        }
        self.settling = false;
    }

    fn handle_l2tp(&mut self, now: Duration, event: l2tp::Event) {
        match event {
            l2tp::Event::TunnelEstablished { tunnel, .. } => self.tunnel_established(now, tunnel),
            l2tp::Event::CallIncoming {
                tunnel,
                call,
                vendor_avps,
                ..
            } => {
                self.call_incoming(now, tunnel, call, &vendor_avps);
            }
            l2tp::Event::CallAnswered { call, vendor_avps } => {
                self.call_answered(now, call, &vendor_avps)
            }
            // Our ICCN may still be about to leave: PPP begins behind it.
            l2tp::Event::CallConnected {
                call,
                attributes,
                sequenced,
            } => {
                if let Some(&id) = self.by_call.get(&call) {
                    if sequenced {
                        self.sequence(id);
                    }
                    self.connected
                        .push_back((id, ppp_settings::proxy(&attributes)));
                }
            }
            // The tunnel's own end follows, and says why.
            l2tp::Event::CallClosed {
                cause: l2tp::CallCause::Tunnel,
                ..
            } => (),
            l2tp::Event::CallClosed { call, cause } => self.call_closed(now, call, cause),
            l2tp::Event::TunnelClosed { tunnel, cause } => {
                self.tunnel_ended(now, tunnel, &Ending::Tunnel(cause));
            }
        }
    }

    fn tunnel_established(&mut self, now: Duration, tunnel: TunnelId) {
        let Some(outgoing) = self.by_tunnel.get(&tunnel).map(|dialled| dialled.outgoing) else {
            return;
        };
        let avps = match self.config.l2tp.outgoing[outgoing].ha_set {
            Some(set) => vec![self.our_agreement(Key::Outgoing { set })],
            None => Vec::new(),
        };
        let call = self.endpoint.place_call(now, tunnel, avps);
        if let Some(dialled) = self.by_tunnel.get_mut(&tunnel) {
            dialled.call = Some(call);
        }
    }

    /// A call is cleared. One that we placed may not have become a link yet:
    /// its tunnel is of no use any more.
    fn call_closed(&mut self, now: Duration, call: CallId, cause: l2tp::CallCause) {
        let why = Ending::Call(cause);
        if let Some(&id) = self.by_call.get(&call) {
            self.end_link(now, id, &why);
            return;
        }
        let placed = self
            .by_tunnel
            .iter()
            .find(|(_, dialled)| dialled.call == Some(call))
            .map(|(&tunnel, _)| tunnel);
        if let Some(tunnel) = placed {
            self.end_tunnel(now, tunnel, &why);
        }
    }

    /// ICRQ: the workers learn the session before ICRP leaves.
    fn call_incoming(&mut self, now: Duration, tunnel: TunnelId, call: CallId, avps: &[VendorAvp]) {
        let Some(incoming) = self
            .endpoint
            .tunnel(tunnel)
            .and_then(|tunnel| tunnel.incoming)
        else {
            self.endpoint.close_call(
                now,
                call,
                no_facilities("only the side that dialled places calls"),
            );
            return;
        };
        let config = &self.config.l2tp.incoming[incoming];
        let agreement = Agreement::find(self.vendor(), avps);
        let admitted = &self.admitted[incoming];
        let key = agreement
            .as_ref()
            .zip(admitted.ha_set)
            .map(|(agreement, set)| Key::Incoming {
                incoming,
                set,
                peer_instance: agreement.instance,
            });
        let settings = LinkSettings {
            origin: Origin::Incoming {
                incoming,
                login: None,
            },
            role: ppp_settings::server(config, admitted.logins.clone()),
            ppp: config.ppp.link.clone(),
            ipv6: admitted.ipv6,
            payload_table: config.payload_table,
            lcp_rate: config.lcp_rate,
            lcp_timeout: config.lcp_timeout,
            tcp_mss_fix: config.tcp_mss_fix,
            udp_checksum: config.udp_checksum,
            mtu: config.mtu,
            sequencing: config.peering.sequencing,
        };
        if self
            .add_link(now, tunnel, call, settings, key, agreement)
            .is_none()
        {
            self.endpoint
                .close_call(now, call, no_facilities("the tunnel is gone"));
            return;
        }
        let avps = key.map(|key| self.our_agreement(key)).into_iter().collect();
        self.endpoint.accept_call(now, call, avps);
    }

    /// ICRP: the workers learn the session before ICCN leaves.
    fn call_answered(&mut self, now: Duration, call: CallId, avps: &[VendorAvp]) {
        let Some(tunnel) = self.endpoint.call(call).map(|call| call.tunnel) else {
            return;
        };
        let Some(index) = self.by_tunnel.get(&tunnel).map(|dialled| dialled.outgoing) else {
            return;
        };
        let config = &self.config.l2tp.outgoing[index];
        let agreement = config
            .ha_set
            .and_then(|_| Agreement::find(self.vendor(), avps));
        let key = config
            .ha_set
            .filter(|_| agreement.is_some())
            .map(|set| Key::Outgoing { set });
        let settings = LinkSettings {
            origin: Origin::Outgoing(index),
            role: ppp_settings::client(config),
            ppp: config.ppp.link.clone(),
            ipv6: self.config.carries_ipv6(
                config.payload_table,
                config.ha_set,
                config.routes.iter(),
            ),
            payload_table: config.payload_table,
            lcp_rate: config.lcp_rate,
            lcp_timeout: config.lcp_timeout,
            tcp_mss_fix: config.tcp_mss_fix,
            udp_checksum: config.udp_checksum,
            mtu: config.mtu,
            sequencing: config.peering.sequencing,
        };
        if self
            .add_link(now, tunnel, call, settings, key, agreement)
            .is_some()
        {
            self.endpoint.connect_call(now, call);
        }
    }

    fn add_link(
        &mut self,
        now: Duration,
        tunnel: TunnelId,
        call: CallId,
        settings: LinkSettings,
        key: Option<Key>,
        peer_agreement: Option<Agreement>,
    ) -> Option<SessionId> {
        let ends = self.endpoint.tunnel(tunnel)?;
        let ids = self.endpoint.call(call)?;
        self.free_ids(now, ends.local_id, ids.local_id);
        let set = key.map(|key| self.set_for(key));
        let id = SessionId(self.session_slots.take());
        let mtu = self.link_mtu(ends.table, ends.local.ip(), set.is_some(), &settings);
        let spec = SessionSpec {
            id,
            table: TableId(ends.table),
            local: ends.local,
            peer: ends.peer,
            local_tunnel: ends.local_id,
            local_session: ids.local_id,
            peer_tunnel: ends.peer_id,
            peer_session: ids.peer_id,
            payload_table: TableId(settings.payload_table),
            receive: false,
            tcp_mss_fix: settings.tcp_mss_fix,
            mtu,
            udp_checksum: settings.udp_checksum,
            address_control: settings.ppp.address_control,
            set: None,
            masked: false,
            sequence: Arc::new(match settings.origin {
                Origin::Outgoing(_) => Sequence::as_the_peer(),
                // An LNS decides: a LAC that asks for numbers is obeyed below.
                Origin::Incoming { .. } | Origin::Former => Sequence::default(),
            }),
            echo: None,
            speed: None,
            counters: (0..self.workers).map(|_| Arc::default()).collect(),
            arrivals: Vec::new(),
        };
        let ppp_config = ppp::Config {
            role: settings.role,
            lower_layer: ppp::LowerLayer::L2tp,
            ipv6: settings.ipv6,
            mru: mtu,
            lcp_rate: settings.lcp_rate,
            lcp_timeout: settings.lcp_timeout,
            ignore_magic: settings.ppp.ignore_magic,
            timers: settings.ppp.timers,
        };
        let ppp = ppp::Session::new(ppp_config, rand::SeedableRng::from_rng(&mut self.rng));
        self.command(Command::SetSession(Arc::new(spec.clone())));
        self.by_call.insert(call, id);
        let link = Link {
            id,
            call,
            tunnel,
            origin: settings.origin,
            former: None,
            group: None,
            phase: Phase::Calling,
            mask: None,
            ppp,
            spec,
            set,
            peer_agreement,
            username: String::new(),
            joined: None,
            said_needed: false,
            next_report: None,
            reported: None,
            peer_report: None,
            hearing: Hearing::default(),
            heard: 0,
            skew: None,
            path: PathSearch::new(mtu, mtu),
            heard_probe_us: 0,
            lowered: None,
            candidate: None,
            scheduled: None,
            answered_echo_sent_at: None,
        };
        self.links.insert(link);
        Some(id)
    }

    /// A closed call's ids may be given out again before its grace time is
    /// over: what comes with them is the new call's.
    fn free_ids(&mut self, now: Duration, local_tunnel: u16, local_session: u16) {
        let ids = (local_tunnel, local_session);
        let before = self.links.of_ids(ids).find(|link| link.is_leaving());
        let before = before.map(|link| link.id);
        if let Some(before) = before {
            self.remove_link(now, before);
        }
    }

    /// Largest inner packet that fits the path of a tunnel whole.
    fn link_mtu(&self, table: u32, local: IpAddr, ha: bool, settings: &LinkSettings) -> u16 {
        let place = self.interface_of(table, local);
        let path = place.map_or(DEFAULT_PATH_MTU, |place| self.interfaces[place].mtu);
        let fits = path.saturating_sub(overhead(local, ha, settings.sequencing));
        settings.mtu.map_or(fits, |mtu| mtu.min(fits))
    }

    /// From now on every data message has a sequence number.
    fn sequence(&mut self, id: SessionId) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        link.spec.sequence = Arc::new(Sequence::always());
        let spec = Arc::new(link.spec.clone());
        self.command(Command::SetSession(spec));
    }

    fn start_ppp(&mut self, now: Duration, id: SessionId, proxy: &ppp::Proxy) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        if link.phase == Phase::Calling {
            link.phase = Phase::Negotiating;
            let awaited = link.ppp.awaits_proxy();
            let negotiated = link.ppp.start_after(now, proxy);
            if awaited {
                let what = negotiated.map_or_else(
                    |why| format!("does not stand: {why}"),
                    |()| "stands".to_owned(),
                );
                log::info!("{}: LCP of the LAC {what}", self.link_name(id));
            }
        }
        self.settle_link(now, id);
    }

    /// A PPP frame of a session. Only the peer is listened to, and an address
    /// that is being proved, if it answers our echo.
    pub(super) fn handle_ppp(
        &mut self,
        now: Duration,
        id: SessionId,
        source: SocketAddr,
        frame: &[u8],
    ) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        if link.is_leaving() {
            return;
        }
        if source != link.spec.peer {
            self.handle_ppp_from_elsewhere(now, id, source, frame);
            return;
        }
        self.endpoint.note_data(now, link.tunnel);
        if link.phase == Phase::Calling && !link.ppp.awaits_proxy() {
            // The peer's ICCN is late or lost, its LCP is here: RFC 2661 lets it
            // begin as soon as it has sent ICCN.
            link.phase = Phase::Negotiating;
            link.ppp.start(now);
        }
        link.handle_frame(now, frame);
        self.settle_link(now, id);
    }

    /// Carries out what a link's PPP wants, in its order.
    pub(super) fn settle_link(&mut self, now: Duration, id: SessionId) {
        while let Some(link) = self.links.get_mut(&id)
            && !matches!(link.phase, Phase::Held { .. } | Phase::Leaving { .. })
            && let Some(output) = link.ppp.poll_output()
        {
            match output {
                ppp::Output::Frame(frame) => self.send_ppp(now, id, &frame),
                ppp::Output::Event(event) => self.handle_ppp_event(now, id, event),
            }
        }
        self.reschedule(id);
    }

    fn send_ppp(&mut self, now: Duration, id: SessionId, frame: &[u8]) {
        let Some(link) = self.links.get(&id) else {
            return;
        };
        let payload = link.encapsulate(frame);
        let (table, local, peer) = (link.spec.table, link.spec.local, link.spec.peer);
        let is_echo = frame.get(..3) == Some(&[LCP[0], LCP[1], ECHO_REQUEST]);
        let candidate = link
            .candidate
            .filter(|candidate| is_echo && candidate.probed_at == now);
        self.send_udp(table, local, peer, &payload);
        if let Some(candidate) = candidate {
            self.send_udp(table, local, candidate.address, &payload);
        }
    }

    fn handle_ppp_event(&mut self, now: Duration, id: SessionId, event: ppp::Event) {
        match event {
            ppp::Event::Authenticated { username, login } => {
                self.authenticated(now, id, username, login)
            }
            ppp::Event::Opened(network) => self.opened(now, id, network),
            ppp::Event::NetworkDown(family) => self.network_down(now, id, family),
            ppp::Event::Suspended => self.suspend(now, id),
            ppp::Event::Closed { reason } => self.end_link(now, id, &Ending::Ppp(reason)),
        }
    }

    fn authenticated(
        &mut self,
        now: Duration,
        id: SessionId,
        username: String,
        login: Option<usize>,
    ) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        link.username = username;
        if let Origin::Incoming { incoming, .. } = link.origin {
            let origin = Origin::Incoming { incoming, login };
            self.links.set_origin(id, origin);
        }
        match self.admission(now, id) {
            Admission::Now => self.admit(now, id),
            Admission::AskPresent => self.hold(now, id),
            Admission::Refused(why) => self.end_link(now, id, &Ending::Refused(why)),
        }
    }

    /// Ends a link for a reason of ours or the peer's: it stops sending, its
    /// call is cleared, and a tunnel that has served its purpose with it.
    pub(super) fn end_link(&mut self, now: Duration, id: SessionId, why: &Ending) {
        let Some(link) = self.links.get(&id) else {
            return;
        };
        if link.is_leaving() {
            return;
        }
        let (tunnel, call) = (link.tunnel, link.call);
        self.leave(now, id, why);
        self.endpoint.close_call(
            now,
            call,
            l2tp::CallClose::new(
                match why.failure() {
                    Failure::Silent => l2tp::CallResult::CARRIER_LOST,
                    Failure::Refused | Failure::Kicked => l2tp::CallResult::ADMINISTRATIVE,
                },
                l2tp::ErrorCode::NONE,
                &why.to_string(),
            ),
        );
        let empty = |info: l2tp::TunnelInfo| info.calls == 0;
        if self.by_tunnel.contains_key(&tunnel) || self.endpoint.tunnel(tunnel).is_none_or(empty) {
            self.end_tunnel(now, tunnel, why);
        }
        self.settle_endpoint(now);
    }

    pub(super) fn end_tunnel(&mut self, now: Duration, tunnel: TunnelId, why: &Ending) {
        let code = match why.failure() {
            Failure::Silent | Failure::Kicked => l2tp::StopResult::GENERAL,
            Failure::Refused => l2tp::StopResult::NOT_AUTHORISED,
        };
        let close = l2tp::TunnelClose::new(code, l2tp::ErrorCode::NONE, &why.to_string());
        self.endpoint.close_tunnel(now, tunnel, close);
        self.tunnel_ended(now, tunnel, why);
    }

    /// A tunnel is gone: its links leave, and one that we dialled is dialled again.
    fn tunnel_ended(&mut self, now: Duration, tunnel: TunnelId, why: &Ending) {
        let links: Vec<SessionId> = self
            .links
            .of_tunnel(tunnel)
            .filter(|link| !link.is_leaving())
            .map(|link| link.id)
            .collect();
        for id in links {
            self.leave(now, id, why);
        }
        if let Some(dialled) = self.by_tunnel.remove(&tunnel) {
            self.dial_again(now, dialled.outgoing, why.failure(), why.to_string());
        }
    }

    fn our_agreement(&mut self, key: Key) -> VendorAvp {
        let id = self.set_for(key);
        let vendor = self.vendor();
        self.sets
            .get(id)
            .expect("it was just made or found")
            .ours
            .to_avp(vendor)
    }

    fn set_for(&mut self, key: Key) -> dataplane::command::SetId {
        let (set, payload_table) = match key {
            Key::Outgoing { set } => {
                let mut links = self.config.l2tp.outgoing.iter();
                let link = links.find(|link| link.ha_set == Some(set));
                (set, link.map_or(0, |link| link.payload_table))
            }
            Key::Incoming { incoming, set, .. } => {
                (set, self.config.l2tp.incoming[incoming].payload_table)
            }
        };
        let config = &self.config.ha_sets[set];
        let parameters = SetParameters {
            label: config.name.clone(),
            window: u32::try_from(config.window).expect("checked to be at most 2^24"),
            mtu: config.mtu,
            payload_table: TableId(payload_table),
            ordering: ordering(config),
            grace: config.grace,
            workers: self.workers,
        };
        self.sets.instance_for(key, &parameters, &mut self.rng).id
    }

    fn vendor(&self) -> u16 {
        // A vendor id of the wire has 16 bits (RFC 2661, 4.1); `check` refuses larger ones.
        u16::try_from(self.config.l2tp.vendor_id).unwrap_or(u16::MAX)
    }

    /// The link's name for the operator: its graph, once it is known.
    pub(super) fn link_name(&self, id: SessionId) -> String {
        let Some(link) = self.links.get(&id) else {
            return "?".to_owned();
        };
        match link.origin {
            Origin::Outgoing(index) => self.config.l2tp.outgoing[index].graph.clone(),
            Origin::Incoming {
                incoming,
                login: Some(login),
            } => self.config.l2tp.incoming[incoming].matches[login]
                .graph
                .clone(),
            Origin::Incoming {
                incoming,
                login: None,
            } => {
                format!(
                    "{} (not authenticated)",
                    self.config.l2tp.incoming[incoming].name
                )
            }
            Origin::Former => link
                .former
                .as_ref()
                .map_or_else(|| "?".to_owned(), |names| names.graph.clone()),
        }
    }
}

/// How what comes out of a set is put into order.
pub(super) fn ordering(set: &HaSet) -> Option<Ordering> {
    set.ordering.map(|ordering| Ordering {
        max_delay_us: u32::try_from(ordering.max_delay.as_micros())
            .expect("checked to be at most a second"),
        adaptive: ordering.adaptive,
    })
}

/// The path MTU of a tunnel whose interface is not known.
const DEFAULT_PATH_MTU: u16 = 1500;

/// What a new link takes from the configuration.
struct LinkSettings {
    origin: Origin,
    role: ppp::Role,
    ppp: Ppp,
    ipv6: bool,
    payload_table: u32,
    lcp_rate: Duration,
    lcp_timeout: Duration,
    tcp_mss_fix: bool,
    udp_checksum: bool,
    mtu: Option<u16>,
    /// Data has sequence numbers from the start.
    sequencing: bool,
}

fn no_facilities(why: &str) -> l2tp::CallClose {
    l2tp::CallClose::new(l2tp::CallResult::NO_FACILITIES, l2tp::ErrorCode::NONE, why)
}
