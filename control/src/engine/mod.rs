//! The control plane as one sans-IO machine: tunnels, PPP, HA sets, routes and
//! neighbours. It takes the workers' events and the time, and is polled for
//! what is to be commanded and sent.
//!
//! Outputs are strictly in order, and that order carries the protocol's one
//! great rule: what lets a peer send (ICRP, ICCN, CHAP's Success, the last
//! Configure-Ack) comes after the commands that make the workers ready for it.
//! Whoever carries the outputs out must hold a packet back until every worker
//! has applied the commands before it.

mod admitted;
mod answers;
mod bookkeeping;
mod calls;
mod carried;
mod clients;
mod dialer;
mod group;
mod happening;
mod hearing;
mod interfaces;
mod kick;
mod link;
mod links;
mod mask;
mod membership;
mod names;
mod nat;
mod path_mtu;
mod path_search;
mod ppp_settings;
mod reload;
mod report;
mod rib;
mod skew;
mod snapshot;
mod telling;
mod uplink;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::ops::Deref;
use std::time::Duration;

use dataplane::command::{
    Command, InterfaceId, NextHop, PortId, Prefix, SessionId, SetId, TableId,
};
use dataplane::event::Event;
use dataplane::headers::{ipv4, ipv6};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::config::{Config, DEFAULT_ROUTE_IPV6, Via};
use crate::ha::{Books, Sets};
use crate::host::{Icmp, Neighbours};
use crate::l2tp::{self, CallId, Endpoint, TunnelId};
use crate::ppp::Proxy;
use crate::slots::Slots;
use admitted::Admitted;
use answers::is_link_local;
use calls::Dialled;
use dialer::Dialer;
use group::Groups;
use interfaces::{InterfaceState, interface_id};
use links::Links;
use reload::Provided;
use rib::{Rib, Source};
use telling::Online;

pub use happening::{Ending, Fault, FaultEnd, Happening, SetName, Unmasking, What};
pub use mask::{LONGEST_MASK, MaskRefusal, SHORTEST_MASK};
pub use snapshot::Snapshot;

/// Link-local addresses are in networks of 64 bits (RFC 4291, 2.5.6).
const LINK_LOCAL_LENGTH: u8 = 64;

/// A port as the engine must know it.
#[derive(Clone, Debug)]
pub struct PortFacts {
    pub id: PortId,
    pub mac: [u8; 6],
    /// Largest IP packet that the port carries, octets.
    pub mtu: u16,
    /// The port that carries it, if it is a logical one.
    pub carrier: Option<PortId>,
}

/// What the engine wants done, strictly in order.
#[derive(Debug)]
pub enum Output {
    /// For every worker.
    Command(Command),
    /// An IP packet of ours, to be routed in a table.
    Ip { table: TableId, packet: Vec<u8> },
    /// A whole Ethernet frame.
    Frame { port: PortId, frame: Vec<u8> },
    /// A whole Ethernet frame of a PPPoE line, which may let the far end send: behind
    /// the commands before it.
    LineFrame { port: PortId, frame: Vec<u8> },
    /// Look up the name of an outgoing tunnel's server, in whatever time it takes:
    /// [`Engine::handle_resolved`] is told, with the number of the question.
    Resolve { lookup: u64, name: String },
    /// A packet that waited for its neighbour.
    Neighbour {
        interface: InterfaceId,
        mac: [u8; 6],
        packet: Vec<u8>,
    },
    /// Something that is to be known, for nobody to answer.
    Happened(Box<Happening>),
}

pub struct Engine {
    config: Config,
    provided: Provided,
    /// Those of the configuration, then the logical ones.
    ports: Vec<PortFacts>,
    interfaces: Vec<InterfaceState>,
    workers: usize,
    rng: StdRng,
    endpoint: Endpoint,
    dialers: Vec<Dialer>,
    /// Names that were to be looked up.
    lookups: u64,
    /// When they dial next.
    attempts: BTreeSet<(Duration, usize)>,
    /// Of each `incoming`.
    admitted: Vec<Admitted>,
    links: Links,
    by_call: HashMap<CallId, SessionId>,
    /// The tunnels that we dialled.
    by_tunnel: HashMap<TunnelId, Dialled>,
    /// Links whose PPP begins when what the endpoint has to say has been said.
    connected: VecDeque<(SessionId, Proxy)>,
    /// The endpoint's outputs are being carried out: whoever adds to them need not.
    settling: bool,
    session_slots: Slots,
    deadlines: BTreeSet<(Duration, SessionId)>,
    groups: Groups,
    /// What was said of links.
    online: Online,
    /// Groups of which a conflict was said.
    conflicts: BTreeSet<u32>,
    ports_down: BTreeSet<PortId>,
    sets: Sets,
    /// What was received of each epoch of a set instance.
    books: BTreeMap<(SetId, u32), Books>,
    next_look: Option<Duration>,
    next_skew_look: Duration,
    rib: Rib,
    /// Tables whose default route of IPv6 came or went: their LANs are to be told.
    lead_changed: BTreeSet<TableId>,
    neighbours: Neighbours,
    icmp: Icmp,
    /// What earlier sessions of each link carried, by graph name.
    history: HashMap<String, carried::Carried>,
    /// Times that another configuration was followed.
    reloads: u64,
    /// Commands that were given.
    commands: u64,
    /// Links that join or leave their sets, each behind so many commands.
    moving: VecDeque<(u64, SessionId)>,
    outputs: VecDeque<Output>,
    identification: u16,
    stopping: bool,
}

impl Engine {
    /// The engine of a checked configuration. `seed` must be unpredictable in
    /// the running appliance: ids and challenges come from it.
    #[must_use]
    pub fn new(now: Duration, config: Config, ports: Vec<PortFacts>, seed: [u8; 32]) -> Self {
        let mut rng = StdRng::from_seed(seed);
        let endpoint = Endpoint::new(calls::endpoint_config(&config), StdRng::from_rng(&mut rng));
        let dialers: Vec<Dialer> = config
            .l2tp
            .outgoing
            .iter()
            .map(|_| Dialer::new(now))
            .collect();
        let workers = config.dataplane.workers.len();
        let interfaces = interfaces::states(&config);
        let mut engine = Self {
            admitted: Admitted::all(&config),
            interfaces,
            provided: Provided::of(&config),
            config,
            ports,
            workers,
            rng,
            endpoint,
            attempts: (0..dialers.len()).map(|index| (now, index)).collect(),
            dialers,
            lookups: 0,
            links: Links::default(),
            by_call: HashMap::new(),
            by_tunnel: HashMap::new(),
            connected: VecDeque::new(),
            settling: false,
            session_slots: Slots::default(),
            deadlines: BTreeSet::new(),
            groups: Groups::default(),
            online: Online::default(),
            conflicts: BTreeSet::new(),
            ports_down: BTreeSet::new(),
            sets: Sets::default(),
            books: BTreeMap::new(),
            next_look: None,
            next_skew_look: Duration::ZERO,
            rib: Rib::default(),
            lead_changed: BTreeSet::new(),
            neighbours: Neighbours::default(),
            icmp: Icmp::default(),
            history: HashMap::new(),
            reloads: 0,
            commands: 0,
            moving: VecDeque::new(),
            outputs: VecDeque::new(),
            identification: 0,
            stopping: false,
        };
        engine.ask_networks(now);
        engine.install_interfaces(now);
        engine.install_static_routes();
        engine
    }

    /// Takes what a worker reported.
    pub fn handle_event<F: Deref<Target = [u8]>>(&mut self, now: Duration, event: Event<F>) {
        match event {
            Event::Arp { port, frame } => self.neighbours.handle_arp(now, port, &frame),
            Event::NeighbourDiscovery { port, frame } => {
                if !self.handle_router_discovery(now, port, &frame) {
                    self.neighbours.handle_discovery(now, port, &frame);
                }
            }
            Event::Dhcp { port, packet } => self.handle_dhcp(now, port, &packet),
            Event::PppoeDiscovery { port, frame } => {
                self.handle_pppoe_discovery(now, port, &frame);
            }
            Event::PppoeSession { port, frame } => self.handle_pppoe_session(now, port, &frame),
            Event::Local {
                table,
                interface,
                packet,
            } => {
                let is_taken = self.handle_too_big(now, &packet)
                    || self.handle_local_dhcp(now, interface, &packet);
                if !is_taken && let Some(reply) = self.icmp.handle_local(now, &packet) {
                    self.send_ip(now, table, interface, reply);
                }
            }
            Event::L2tpControl {
                table,
                source,
                destination,
                payload,
            } => {
                // No table leads to who asks for a tunnel between link-local addresses.
                if is_link_local(destination.ip()) || (self.stopping && is_unaddressed(&payload)) {
                    return;
                }
                self.endpoint
                    .handle_datagram(now, table.0, source, destination, &payload);
                self.settle_endpoint(now);
            }
            Event::Ppp {
                session,
                source,
                frame,
            } => self.handle_ppp(now, session, source, &frame),
            Event::Report {
                session,
                source,
                frame,
            } => self.handle_report(now, session, source, &frame),
            Event::NeighbourMissing {
                interface,
                next_hop,
                packet,
            } => self
                .neighbours
                .handle_missing(now, interface, next_hop, packet.to_vec()),
            Event::Icmp {
                cause,
                table,
                interface,
                packet,
            } => self.send_icmp(now, cause, table, interface, &packet),
            Event::PeerMoved { session, source } => self.peer_moved(now, session, source),
        }
        self.settle_neighbours(now);
        self.tell_lans(now);
    }

    /// Follows a port's link.
    pub fn handle_port_link(&mut self, now: Duration, port: PortId, up: bool) {
        if up {
            self.ports_down.remove(&port);
        } else {
            self.ports_down.insert(port);
        }
        self.command(Command::SetPortLink { port, up });
        self.neighbours.set_link(now, port, up);
        self.settle_neighbours(now);
        self.set_uplink_link(now, port, up);
        if !up {
            self.guard_masks(now);
        }
        self.tell_lans(now);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.note_heard(now);
        self.endpoint.handle_timeout(now);
        self.settle_endpoint(now);
        while let Some(&(due, session)) = self.deadlines.first()
            && due <= now
        {
            self.link_timeout(now, session);
        }
        self.dial_due(now);
        self.retire_epochs(now);
        self.forget_conflicts(now);
        self.keep_books(now);
        self.neighbours.handle_timeout(now);
        self.settle_neighbours(now);
        self.uplink_timeouts(now);
        self.tell_lans(now);
    }

    /// A HELLO is for a peer of whom nothing came (RFC 2661, 5.5): what the
    /// workers have taken or answered by themselves counts as well.
    fn note_heard(&mut self, now: Duration) {
        let due: Vec<TunnelId> = self.endpoint.hellos_due(now).collect();
        for tunnel in due {
            if self.links.take_heard(tunnel) {
                self.endpoint.note_data(now, tunnel);
            }
        }
    }

    /// When [`Self::handle_timeout`] is to be called next.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Duration> {
        let dial = || self.attempts.first().map(|&(due, _)| due);
        [
            self.endpoint.next_timeout(),
            self.deadlines.first().map(|&(due, _)| due),
            if self.stopping { None } else { dial() },
            self.sets.next_timeout(),
            self.next_forgotten_conflict(),
            self.neighbours.next_timeout(),
            self.next_look,
            self.next_uplink_timeout(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Clears every tunnel (StopCCN) and dials no more.
    pub fn shutdown(&mut self, now: Duration) {
        self.stopping = true;
        let ids: Vec<SessionId> = self.links.ids().collect();
        for id in ids {
            self.leave(now, id, &Ending::Shutdown);
        }
        let tunnels: Vec<TunnelId> = self.endpoint.tunnels().collect();
        for tunnel in tunnels {
            self.endpoint.close_tunnel(now, tunnel, shutting_down());
        }
        self.settle_endpoint(now);
    }

    /// Whether the peers have acknowledged that their tunnels are gone.
    #[must_use]
    pub fn is_shut_down(&self) -> bool {
        self.stopping && self.endpoint.is_quiet()
    }

    fn install_static_routes(&mut self) {
        for (table, prefix, next_hop) in self.static_routes() {
            self.offer(table, prefix, Source::Static, next_hop);
        }
    }

    /// Routes into a set follow the set: they are offered when it comes up.
    fn static_routes(&self) -> Vec<(TableId, Prefix, NextHop)> {
        let routes = self.config.routes.iter().filter_map(|route| {
            let next_hop = match route.via {
                Via::Gateway { interface, address } => NextHop::Interface {
                    interface: interface_id(interface),
                    via: Some(address),
                },
                Via::Interface(interface) => NextHop::Interface {
                    interface: interface_id(interface),
                    via: None,
                },
                Via::Blackhole => NextHop::Blackhole,
                Via::HaSet(_) => return None,
            };
            Some((TableId(route.table), route.to, next_hop))
        });
        routes.collect()
    }

    fn command(&mut self, command: Command) {
        self.commands += 1;
        self.outputs.push_back(Output::Command(command));
    }

    fn offer(&mut self, table: TableId, prefix: Prefix, source: Source, next_hop: NextHop) {
        let change = self.rib.offer(table, prefix, source, next_hop);
        self.change_route(change);
    }

    fn withdraw(&mut self, table: TableId, prefix: Prefix, source: Source) {
        let change = self.rib.withdraw(table, prefix, source);
        self.change_route(change);
    }

    /// Who is answered for on a LAN follows from the routes that the workers have.
    fn change_route(&mut self, change: Option<Command>) {
        let Some(change) = change else { return };
        if let Command::SetRoute { table, prefix, .. } | Command::RemoveRoute { table, prefix } =
            change
            && prefix == DEFAULT_ROUTE_IPV6
        {
            self.lead_changed.insert(table);
        }
        let proxy = self.neighbours.proxy();
        match change {
            Command::SetRoute {
                table,
                prefix,
                next_hop,
            } => proxy.set_route(table, prefix, next_hop),
            Command::RemoveRoute { table, prefix } => proxy.remove_route(table, prefix),
            _ => return,
        }
        self.command(change);
    }

    /// Sends a UDP datagram of a tunnel.
    fn send_udp(
        &mut self,
        table: TableId,
        source: SocketAddr,
        destination: SocketAddr,
        payload: &[u8],
    ) {
        let packet = self.udp_packet(source, destination, payload);
        self.outputs
            .extend(packet.map(|packet| Output::Ip { table, packet }));
    }

    /// The same of one that no router is to fragment.
    fn send_whole(
        &mut self,
        table: TableId,
        source: SocketAddr,
        destination: SocketAddr,
        payload: &[u8],
    ) {
        let Some(mut packet) = self.udp_packet(source, destination, payload) else {
            return;
        };
        if source.is_ipv4() {
            ipv4::forbid_fragmentation(&mut packet);
        }
        self.outputs.push_back(Output::Ip { table, packet });
    }

    fn udp_packet(
        &mut self,
        source: SocketAddr,
        destination: SocketAddr,
        payload: &[u8],
    ) -> Option<Vec<u8>> {
        Some(match (source, destination) {
            (SocketAddr::V4(source), SocketAddr::V4(destination)) => {
                self.identification = self.identification.wrapping_add(1);
                ipv4::udp_packet(source, destination, payload, self.identification)
            }
            (SocketAddr::V6(source), SocketAddr::V6(destination)) => {
                ipv6::udp_packet(source, destination, payload)
            }
            // The two ends of a tunnel are of one family.
            _ => return None,
        })
    }

    /// Tells the timer queue when a link is due next.
    fn reschedule(&mut self, id: SessionId) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let due = link.next_timeout();
        if due == link.scheduled {
            return;
        }
        if let Some(before) = std::mem::replace(&mut link.scheduled, due) {
            self.deadlines.remove(&(before, id));
        }
        if let Some(due) = due {
            self.deadlines.insert((due, id));
        }
    }
}

/// Whether a control message is for tunnel 0: who sends one wants a new tunnel
/// (RFC 2661, 3.1).
fn is_unaddressed(payload: &[u8]) -> bool {
    payload.get(4..6) == Some(&[0, 0])
}

fn shutting_down() -> l2tp::TunnelClose {
    l2tp::TunnelClose::new(
        l2tp::StopResult::SHUTTING_DOWN,
        l2tp::ErrorCode::NONE,
        "the appliance stops",
    )
}

/// A hardware address as people write it.
pub(crate) fn display_mac(mac: [u8; 6]) -> String {
    mac.map(|octet| format!("{octet:02x}")).join(":")
}
