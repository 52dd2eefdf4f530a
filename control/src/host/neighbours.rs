//! The neighbour tables: who is where on each interface, of IPv4 (RFC 826, RFC
//! 1122 2.3.2, RFC 5227) and of IPv6 (RFC 4861). What becomes of an entry is the
//! same for both; `ipv4` and `ipv6` hold what ARP and neighbour discovery say.

mod announcements;
mod interface;
mod ipv4;
mod ipv6;
mod output;
mod queue;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use dataplane::command::{InterfaceId, PortId, Prefix};

use super::proxy::Proxy;

pub use interface::{Interface, link_local};
pub use output::{Action, Neighbour, NeighbourCounters, NeighbourState};

use queue::Queue;

/// Neighbours that one interface may have.
const TABLE_LIMIT: usize = 4096;
/// Requests for an unknown address, and for one being refreshed, before we give
/// up (RFC 4861, 10: MAX_MULTICAST_SOLICIT).
const ATTEMPTS: u8 = 3;
/// Time between two requests for one address (RFC 1122, 2.3.2.1: at most one a
/// second; RFC 4861, 10: RETRANS_TIMER).
const RETRY: Duration = Duration::from_secs(1);
/// How long an answer is trusted before the neighbour is asked again (RFC 4861,
/// 10: REACHABLE_TIME).
const REACHABLE: Duration = Duration::from_secs(30);
/// RFC 5227, 1.1: DEFEND_INTERVAL.
const DEFEND_INTERVAL: Duration = Duration::from_secs(10);
/// After a link comes back all its neighbours are asked, this far apart.
const REFRESH_SPACING: Duration = Duration::from_millis(1);
/// A worker that still misses a neighbour this long after it was installed is told again.
const REINSTALL: Duration = Duration::from_secs(1);

/// Every address there is, in the order of keys.
const ADDRESSES: (IpAddr, IpAddr) = (
    IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    IpAddr::V6(Ipv6Addr::from_bits(u128::MAX)),
);

type Key = (InterfaceId, IpAddr);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Incomplete { asked: u8 },
    Reachable { mac: [u8; 6] },
    Probe { mac: [u8; 6], asked: u8 },
    Static { mac: [u8; 6] },
}

impl State {
    fn told(self) -> NeighbourState {
        match self {
            Self::Incomplete { .. } => NeighbourState::Incomplete,
            Self::Reachable { .. } => NeighbourState::Reachable,
            Self::Probe { .. } => NeighbourState::Probe,
            Self::Static { .. } => NeighbourState::Static,
        }
    }

    fn mac(self) -> Option<[u8; 6]> {
        match self {
            Self::Incomplete { .. } => None,
            Self::Reachable { mac } | Self::Probe { mac, .. } | Self::Static { mac } => Some(mac),
        }
    }
}

#[derive(Debug)]
struct Entry {
    state: State,
    /// Traffic of ours asked for it, as opposed to it having asked for us.
    wanted: bool,
    deadline: Option<Duration>,
    installed_at: Duration,
}

impl Entry {
    fn new(state: State, wanted: bool, now: Duration) -> Self {
        Self {
            state,
            wanted,
            deadline: None,
            installed_at: now,
        }
    }
}

#[derive(Debug)]
struct InterfaceState {
    spec: Interface,
    link_up: bool,
    neighbours: usize,
    announcements_left: u8,
    announce_at: Option<Duration>,
    /// When each own address was last defended.
    defended: BTreeMap<IpAddr, Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Announce(InterfaceId),
    Neighbour(Key),
}

/// What a neighbour says of its own hardware address.
#[derive(Clone, Copy, Debug)]
struct Claim {
    mac: [u8; 6],
    /// It was said to us: as an answer, or because it wants something of us.
    to_us: bool,
    /// It wants something of us, so that its address will be needed.
    asks: bool,
    /// It may replace another hardware address that is known.
    overrides: bool,
}

/// The neighbours of all interfaces. Feed it what arrives and poll it for [`Action`]s.
#[derive(Debug, Default)]
pub struct Neighbours {
    interfaces: BTreeMap<InterfaceId, InterfaceState>,
    entries: BTreeMap<Key, Entry>,
    timers: BTreeSet<(Duration, Timer)>,
    queue: Queue,
    proxy: Proxy,
    actions: VecDeque<Action>,
    counters: NeighbourCounters,
}

impl Neighbours {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an interface, with its link up, and announces its addresses. An
    /// interface with the same id is replaced and its neighbours forgotten,
    /// the static ones too.
    pub fn add_interface(&mut self, now: Duration, interface: Interface) {
        let id = interface.id;
        self.remove_interface(id);
        let state = InterfaceState {
            spec: interface,
            link_up: true,
            neighbours: 0,
            announcements_left: 0,
            announce_at: None,
            defended: BTreeMap::new(),
        };
        self.interfaces.insert(id, state);
        self.start_announcing(now, id);
    }

    /// Forgets an interface and its neighbours; what waits for them is dropped.
    pub fn remove_interface(&mut self, id: InterfaceId) {
        self.stop_announcing(id);
        for key in self.keys(id) {
            self.remove(key);
        }
        self.interfaces.remove(&id);
    }

    /// Gives an interface other addresses and neighbouring networks. Addresses that are new are announced, and
    /// neighbours of a network that went are forgotten.
    pub fn set_addresses(
        &mut self,
        now: Duration,
        id: InterfaceId,
        addresses: Vec<(IpAddr, u8)>,
        on_link: Vec<Prefix>,
    ) {
        let Some(interface) = self.interfaces.get_mut(&id) else {
            return;
        };
        interface.spec.on_link = on_link;
        let before = std::mem::replace(&mut interface.spec.addresses, addresses);
        let spec = interface.spec.clone();
        let link_up = interface.link_up;
        for key in self.keys(id) {
            let is_static = matches!(self.entries[&key].state, State::Static { .. });
            if !is_static && (spec.own_address_towards(key.1).is_none() || spec.owns(key.1)) {
                self.remove(key);
            }
        }
        if link_up && spec.addresses.iter().any(|own| !before.contains(own)) {
            self.start_announcing(now, id);
        }
    }

    /// Whether packets that arrive at an interface may be routed onwards now. Hosts of IPv6 are
    /// told at once whether we are a router (RFC 4861, 7.2.5).
    pub fn set_forward(&mut self, now: Duration, id: InterfaceId, forward: bool) {
        let Some(interface) = self.interfaces.get_mut(&id) else {
            return;
        };
        interface.spec.forward = forward;
        if interface.link_up && interface.spec.has_ipv6() {
            self.start_announcing(now, id);
        }
    }

    /// Follows a port's link. When it comes up the own addresses are announced
    /// and all neighbours asked again; until they fail to answer they stay in use.
    pub fn set_link(&mut self, now: Duration, port: PortId, up: bool) {
        let Some(interface) = self.interface_on(port) else {
            return;
        };
        let id = interface.spec.id;
        if interface.link_up == up {
            return;
        }
        interface.link_up = up;
        if up {
            self.start_announcing(now, id);
            self.refresh_all(now, id);
        } else {
            self.stop_announcing(id);
            self.freeze_all(id);
        }
    }

    /// Sets a neighbour that never ages and that nothing it says changes.
    pub fn set_static(
        &mut self,
        now: Duration,
        interface: InterfaceId,
        address: IpAddr,
        mac: [u8; 6],
    ) {
        let Some(state) = self.interfaces.get_mut(&interface) else {
            return;
        };
        let key = (interface, address);
        self.entries.entry(key).or_insert_with(|| {
            // Not refused by a full table: there are as many as the configuration has.
            state.neighbours += 1;
            Entry::new(State::Static { mac }, true, now)
        });
        self.set_state(now, key, State::Static { mac }, None);
    }

    /// Takes a static neighbour away; when it is needed it will be asked for.
    pub fn remove_static(&mut self, interface: InterfaceId, address: IpAddr) {
        let key = (interface, address);
        let state = self.entries.get(&key).map(|entry| entry.state);
        if matches!(state, Some(State::Static { .. })) {
            self.remove(key);
        }
    }

    /// The routes by which addresses are answered for; to be told of every
    /// route that the workers get.
    pub fn proxy(&mut self) -> &mut Proxy {
        &mut self.proxy
    }

    /// Takes a packet for `next_hop` whose hardware address the workers do not
    /// know; it waits until the neighbour answers or is given up.
    pub fn handle_missing(
        &mut self,
        now: Duration,
        interface: InterfaceId,
        next_hop: IpAddr,
        packet: Vec<u8>,
    ) {
        let Some(state) = self.interfaces.get(&interface) else {
            self.counters.no_host_dropped += 1;
            return;
        };
        let key = (interface, next_hop);
        if let Some(mac) = self.entries.get(&key).and_then(|entry| entry.state.mac()) {
            self.handle_missing_known(now, key, mac, packet);
        } else if state.spec.own_address_towards(next_hop).is_none() || state.spec.owns(next_hop) {
            self.counters.no_host_dropped += 1;
        } else if !state.link_up {
            let unreachable = Action::Unreachable { interface, packet };
            self.actions.push_back(unreachable);
        } else {
            if self.insert(now, key, true) {
                self.ask(now, key);
            }
            self.enqueue(key, packet);
        }
    }

    /// Sends a packet of ours to `next_hop` now, or when its hardware address is
    /// known.
    pub fn send(
        &mut self,
        now: Duration,
        interface: InterfaceId,
        next_hop: IpAddr,
        packet: Vec<u8>,
    ) {
        let entry = self.entries.get(&(interface, next_hop));
        match entry.and_then(|entry| entry.state.mac()) {
            Some(mac) => self.actions.push_back(Action::SendPacket {
                interface,
                mac,
                packet,
            }),
            None => self.handle_missing(now, interface, next_hop, packet),
        }
    }

    /// Carries out what is due at `now`.
    pub fn handle_timeout(&mut self, now: Duration) {
        while let Some(&(deadline, timer)) = self.timers.first() {
            if deadline > now {
                return;
            }
            match timer {
                Timer::Announce(id) => self.announce(now, id),
                Timer::Neighbour(key) => self.handle_neighbour_timeout(now, key),
            }
        }
    }

    /// When [`Self::handle_timeout`] is to be called next.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Duration> {
        self.timers.first().map(|&(deadline, _)| deadline)
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    #[must_use]
    pub fn counters(&self) -> &NeighbourCounters {
        &self.counters
    }

    /// All neighbours, by interface and address.
    pub fn neighbours(&self) -> impl Iterator<Item = Neighbour> + '_ {
        self.entries
            .iter()
            .map(|(&(interface, address), entry)| Neighbour {
                interface,
                address,
                mac: entry.state.mac(),
                state: entry.state.told(),
            })
    }

    /// Where one neighbour stands, if it was ever asked for or has asked.
    #[must_use]
    pub fn state(&self, interface: InterfaceId, address: IpAddr) -> Option<NeighbourState> {
        let entry = self.entries.get(&(interface, address))?;
        Some(entry.state.told())
    }

    fn interface_on(&mut self, port: PortId) -> Option<&mut InterfaceState> {
        let mut interfaces = self.interfaces.values_mut();
        interfaces.find(|interface| interface.spec.port == port)
    }

    fn keys(&self, id: InterfaceId) -> Vec<Key> {
        let all = (id, ADDRESSES.0)..=(id, ADDRESSES.1);
        self.entries.range(all).map(|(&key, _)| key).collect()
    }

    /// RFC 826, "Packet Reception", and RFC 4861, 7.2.3 and 7.2.5: what is known
    /// of a neighbour is brought up to date, and who wants something of us is
    /// added.
    fn learn(&mut self, now: Duration, key: Key, claim: Claim) {
        if claim.asks && !self.entries.contains_key(&key) {
            self.insert(now, key, false);
        }
        let Some(entry) = self.entries.get(&key) else {
            return;
        };
        match entry.state {
            State::Static { .. } => {}
            State::Incomplete { .. } => self.confirm(now, key, claim.mac),
            State::Reachable { mac } | State::Probe { mac, .. } if mac == claim.mac => {
                if claim.to_us {
                    self.confirm(now, key, mac);
                }
            }
            State::Reachable { .. } | State::Probe { .. } if claim.overrides => {
                self.counters.mac_changes += 1;
                self.confirm(now, key, claim.mac);
                if !claim.to_us {
                    // It was said to others: taken over, but asked for at once.
                    self.probe(now, key, claim.mac, 0);
                }
            }
            // Not believed, but a reason to ask.
            State::Reachable { mac } => self.probe(now, key, mac, 0),
            State::Probe { .. } => {}
        }
    }

    /// Whether we answer for the target because it lives behind a tunnel. Not
    /// when its asker says that it has the address itself, nor when it has none
    /// yet: who uses the address is not ours to say.
    fn is_proxied(&self, interface: &Interface, asker: IpAddr, target: IpAddr) -> bool {
        interface.forward
            && target != asker
            && !is_link_local(target)
            && interface.own_address_towards(asker).is_some()
            && interface.own_address_towards(target).is_some()
            && self.proxy.leads_into_tunnel(interface.table, target)
    }

    /// RFC 5227, 2.4 (b): defend the address once in ten seconds.
    fn handle_conflict(
        &mut self,
        now: Duration,
        interface: &Interface,
        address: IpAddr,
        mac: [u8; 6],
    ) {
        self.counters.conflicts += 1;
        let Some(state) = self.interfaces.get_mut(&interface.id) else {
            return;
        };
        let last = state.defended.get(&address).copied();
        if last.is_some_and(|last| now < last + DEFEND_INTERVAL) {
            return;
        }
        state.defended.insert(address, now);
        self.actions.push_back(Action::Conflict {
            interface: interface.id,
            address,
            mac,
        });
        self.send_announcement(interface, address);
    }

    fn handle_missing_known(&mut self, now: Duration, key: Key, mac: [u8; 6], packet: Vec<u8>) {
        let (interface, address) = key;
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.wanted = true;
            // A packet may have been under way when the entry was installed,
            // but not for this long.
            if now >= entry.installed_at + REINSTALL {
                entry.installed_at = now;
                self.actions.push_back(Action::Install {
                    interface,
                    address,
                    mac,
                });
            }
        }
        self.actions.push_back(Action::SendPacket {
            interface,
            mac,
            packet,
        });
    }

    fn handle_neighbour_timeout(&mut self, now: Duration, key: Key) {
        let Some(entry) = self.entries.get(&key) else {
            return;
        };
        match entry.state {
            State::Static { .. } => self.set_deadline(key, None),
            State::Incomplete { asked } if asked < ATTEMPTS => self.ask(now, key),
            State::Incomplete { .. } => self.give_up(key),
            State::Reachable { mac } => self.probe(now, key, mac, 0),
            State::Probe { mac, asked } if asked < ATTEMPTS => self.probe(now, key, mac, asked),
            State::Probe { .. } => {
                self.counters.expired += 1;
                self.remove(key);
            }
        }
    }

    /// Asks everybody for an unknown neighbour.
    fn ask(&mut self, now: Duration, key: Key) {
        let Some(entry) = self.entries.get_mut(&key) else {
            return;
        };
        if let State::Incomplete { asked } = &mut entry.state {
            *asked += 1;
        }
        self.set_deadline(key, Some(now + RETRY));
        self.send_request(key, None);
    }

    /// Asks a known neighbour again: itself, and at last everybody, because
    /// there are hosts that do not answer otherwise and because its address
    /// may have moved to other hardware.
    fn probe(&mut self, now: Duration, key: Key, mac: [u8; 6], asked: u8) {
        let asked = asked + 1;
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.state = State::Probe { mac, asked };
        }
        self.set_deadline(key, Some(now + RETRY));
        self.send_request(key, (asked < ATTEMPTS).then_some(mac));
    }

    fn confirm(&mut self, now: Duration, key: Key, mac: [u8; 6]) {
        self.set_state(now, key, State::Reachable { mac }, Some(now + REACHABLE));
    }

    /// Gives an entry a state with a hardware address: the workers are told
    /// when that is news, and what waited is sent.
    fn set_state(&mut self, now: Duration, key: Key, state: State, deadline: Option<Duration>) {
        self.set_deadline(key, deadline);
        let (interface, address) = key;
        let (Some(entry), Some(mac)) = (self.entries.get_mut(&key), state.mac()) else {
            return;
        };
        let static_is_new = matches!(state, State::Static { .. });
        if entry.state.mac() != Some(mac) || static_is_new {
            entry.installed_at = now;
            self.actions.push_back(Action::Install {
                interface,
                address,
                mac,
            });
        }
        entry.state = state;
        for packet in self.queue.take(key) {
            self.actions.push_back(Action::SendPacket {
                interface,
                mac,
                packet,
            });
        }
    }

    /// Nobody answered: the entry goes, and what waited is unreachable.
    fn give_up(&mut self, key: Key) {
        self.counters.unanswered += 1;
        let interface = key.0;
        for packet in self.queue.take(key) {
            let unreachable = Action::Unreachable { interface, packet };
            self.actions.push_back(unreachable);
        }
        self.remove(key);
    }

    /// Adds an incomplete entry, unless it is there. False when it was or when
    /// there is no room for it.
    fn insert(&mut self, now: Duration, key: Key, wanted: bool) -> bool {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.wanted |= wanted;
            return false;
        }
        let interface = self.interfaces.get(&key.0);
        let Some(neighbours) = interface.map(|interface| interface.neighbours) else {
            return false;
        };
        if neighbours >= TABLE_LIMIT {
            self.counters.table_full += 1;
            // Who merely asked for us does not push others out.
            if !wanted || !self.evict(key.0) {
                return false;
            }
        }
        if let Some(interface) = self.interfaces.get_mut(&key.0) {
            interface.neighbours += 1;
        }
        let state = State::Incomplete { asked: 0 };
        self.entries.insert(key, Entry::new(state, wanted, now));
        true
    }

    /// Makes room on an interface: an unanswered entry goes first (so that a
    /// sweep over a large subnet harms only itself), then one that no traffic
    /// of ours asked for, then any but the static ones; among equals the one
    /// heard of longest ago.
    fn evict(&mut self, id: InterfaceId) -> bool {
        let all = (id, ADDRESSES.0)..=(id, ADDRESSES.1);
        let victim = self
            .entries
            .range(all)
            .filter_map(|(&key, entry)| {
                let rank = match entry.state {
                    State::Static { .. } => return None,
                    State::Incomplete { .. } => 0,
                    _ if !entry.wanted => 1,
                    _ => 2,
                };
                Some((rank, entry.deadline, key))
            })
            .min();
        match victim {
            Some((0, _, key)) => self.give_up(key),
            Some((_, _, key)) => self.remove(key),
            None => return false,
        }
        true
    }

    /// Removes an entry; what waits for it is dropped, and counted.
    fn remove(&mut self, key: Key) {
        self.set_deadline(key, None);
        self.counters.queue_dropped += self.queue.take(key).len() as u64;
        let Some(entry) = self.entries.remove(&key) else {
            return;
        };
        let (interface, address) = key;
        if let Some(state) = self.interfaces.get_mut(&interface) {
            state.neighbours -= 1;
        }
        if entry.state.mac().is_some() {
            self.actions
                .push_back(Action::Remove { interface, address });
        }
    }

    fn enqueue(&mut self, key: Key, packet: Vec<u8>) {
        // Without an entry the table is full of static neighbours.
        if !self.entries.contains_key(&key) || self.queue.push(key, packet) {
            self.counters.queue_dropped += 1;
        }
    }

    fn set_deadline(&mut self, key: Key, deadline: Option<Duration>) {
        let Some(entry) = self.entries.get_mut(&key) else {
            return;
        };
        let timer = Timer::Neighbour(key);
        if let Some(old) = std::mem::replace(&mut entry.deadline, deadline) {
            self.timers.remove(&(old, timer));
        }
        if let Some(new) = deadline {
            self.timers.insert((new, timer));
        }
    }

    /// After the link came up: are they still the same?
    fn refresh_all(&mut self, now: Duration, id: InterfaceId) {
        let mut at = now;
        for key in self.keys(id) {
            let state = self.entries.get(&key).map(|entry| entry.state);
            if !matches!(state, Some(State::Static { .. }) | None) {
                self.set_deadline(key, Some(at));
                at += REFRESH_SPACING;
            }
        }
    }

    /// The link went down: who is being asked cannot answer, and who is known
    /// stays known until the link is back.
    fn freeze_all(&mut self, id: InterfaceId) {
        for key in self.keys(id) {
            let state = self.entries.get(&key).map(|entry| entry.state);
            match state {
                Some(State::Incomplete { .. }) => self.give_up(key),
                Some(State::Probe { mac, .. }) => {
                    if let Some(entry) = self.entries.get_mut(&key) {
                        entry.state = State::Reachable { mac };
                    }
                    self.set_deadline(key, None);
                }
                _ => self.set_deadline(key, None),
            }
        }
    }

    /// Asks for a neighbour: everybody, or only who had the address before.
    fn send_request(&mut self, key: Key, destination: Option<[u8; 6]>) {
        let (interface, target) = key;
        let Some(state) = self.interfaces.get(&interface) else {
            return;
        };
        let interface = &state.spec;
        let frame = match target {
            IpAddr::V4(target) => ipv4::request(interface, target, destination),
            IpAddr::V6(target) => Some(ipv6::request(interface, target, destination)),
        };
        let Some(frame) = frame else { return };
        let port = interface.port;
        self.counters.requests_sent += 1;
        self.actions.push_back(Action::SendFrame { port, frame });
    }
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

/// Whether a hardware address can belong to one station.
fn is_station(mac: [u8; 6]) -> bool {
    // The group bit covers broadcast as well.
    mac[0] & 1 == 0 && mac != [0; 6]
}
