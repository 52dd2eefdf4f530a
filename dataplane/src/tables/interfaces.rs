//! Interfaces and the ports that they are on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use crate::command::{InterfaceId, InterfaceSpec, Prefix};

use super::{Address, TableSlot};

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
/// Of DHCPv6 (RFC 8415, 7.1).
const ALL_RELAYS_AND_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
const SOLICITED_NODE: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 0);

#[derive(Debug)]
pub(crate) struct Interface {
    pub(crate) spec: Arc<InterfaceSpec>,
    pub(crate) table: TableSlot,
}

impl Interface {
    fn connects(&self, address: IpAddr) -> bool {
        self.spec
            .addresses
            .iter()
            .any(|&(own, length)| Prefix::new(own, length).contains(address))
    }

    pub(crate) fn owns(&self, address: IpAddr) -> bool {
        self.spec.addresses.iter().any(|&(own, _)| own == address)
    }

    /// Whether it is the broadcast address of a connected network, in the form
    /// of today or the obsolete one of all zeros (RFC 1812, 4.2.2.11 and 5.3.5.2).
    /// A network of two addresses or one has none (RFC 3021), and none of IPv6 has.
    pub(super) fn is_broadcast(&self, address: IpAddr) -> bool {
        self.spec.addresses.iter().any(|&(own, length)| {
            let network = Prefix::new(own, length);
            address.is_ipv4()
                && length < 31
                && (address == network.address || address == network.last())
        })
    }
}

/// The group in which who has this address is asked for (RFC 4291, 2.7.1).
fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    Ipv6Addr::from_bits(SOLICITED_NODE.to_bits() | address.to_bits() & 0xff_ffff)
}

#[derive(Debug, Default)]
pub(super) struct Interfaces {
    slots: Vec<Option<Interface>>,
    /// For each port, the interfaces on it, in the order of their ids.
    by_port: Vec<Vec<InterfaceId>>,
    /// For each port, the table of its only interface, and whether that forwards.
    only: Vec<Option<(TableSlot, bool)>>,
}

impl Interfaces {
    pub(super) fn set(&mut self, spec: Arc<InterfaceSpec>, table: TableSlot) {
        let (id, port) = (spec.id, usize::from(spec.port.0));
        self.remove(id);
        let slot = usize::from(id.0);
        if self.slots.len() <= slot {
            self.slots.resize_with(slot + 1, || None);
        }
        self.slots[slot] = Some(Interface { spec, table });
        if self.by_port.len() <= port {
            self.by_port.resize_with(port + 1, Vec::new);
        }
        self.by_port[port].push(id);
        self.by_port[port].sort_unstable();
        self.find_only();
    }

    pub(super) fn remove(&mut self, id: InterfaceId) {
        if let Some(slot) = self.slots.get_mut(usize::from(id.0)) {
            *slot = None;
        }
        for on_port in &mut self.by_port {
            on_port.retain(|&other| other != id);
        }
        self.find_only();
    }

    fn find_only(&mut self) {
        let only = |on_port: &Vec<InterfaceId>| match on_port.as_slice() {
            &[only] => self.get(only),
            _ => None,
        };
        let table = |on_port| only(on_port).map(|only| (only.table, only.spec.forward));
        self.only = self.by_port.iter().map(table).collect();
    }

    #[inline]
    pub(super) fn only_table(&self, port: usize) -> Option<(TableSlot, bool)> {
        *self.only.get(port)?
    }

    /// All nodes and all routers hear it, and of other addresses those of the
    /// port and their solicited-node groups (RFC 4291, 2.7.1 and 2.8). Where
    /// packets are routed onwards all such groups are heard, as ARP is: the
    /// control thread answers for addresses behind a tunnel, too (RFC 4861, 7.2.8).
    pub(super) fn hears_discovery(&self, port: usize, destination: Ipv6Addr) -> bool {
        let on_port = self.by_port.get(port).map_or(&[][..], Vec::as_slice);
        let interfaces = || on_port.iter().filter_map(|&id| self.get(id));
        let mut own = interfaces().flat_map(|interface| &interface.spec.addresses);
        let is_solicited_node = destination == solicited_node(destination);
        destination == ALL_NODES
            || destination == ALL_ROUTERS
            || (is_solicited_node && interfaces().any(|interface| interface.spec.forward))
            || own.any(|&(own, _)| match own {
                IpAddr::V6(own) => own == destination || solicited_node(own) == destination,
                IpAddr::V4(_) => false,
            })
    }

    /// Where there is an interface, all that is to all stations is heard: of IPv4 also
    /// what is to those of one of its networks.
    pub(super) fn hears_dhcp(&self, port: usize, destination: IpAddr) -> bool {
        let on_port = self.by_port.get(port).map_or(&[][..], Vec::as_slice);
        let mut interfaces = on_port.iter().filter_map(|&id| self.get(id));
        match destination {
            IpAddr::V4(Ipv4Addr::BROADCAST) => !on_port.is_empty(),
            IpAddr::V6(group) => group == ALL_RELAYS_AND_SERVERS && !on_port.is_empty(),
            IpAddr::V4(_) => interfaces.any(|interface| interface.is_broadcast(destination)),
        }
    }

    /// Whether an interface in the table has this address.
    pub(super) fn own(&self, table: TableSlot, address: IpAddr) -> bool {
        let mut all = self.slots.iter().flatten();
        all.any(|interface| interface.table == table && interface.owns(address))
    }

    pub(super) fn get(&self, id: InterfaceId) -> Option<&Interface> {
        self.slots.get(usize::from(id.0))?.as_ref()
    }

    /// With several interfaces on a port: the one that has the destination as
    /// its own address, else the one whose network the source is in, else the first.
    #[inline]
    pub(super) fn arrival<A: Address>(
        &self,
        port: usize,
        source: A,
        destination: A,
    ) -> Option<&Interface> {
        match self.by_port.get(port)?.as_slice() {
            &[only] => self.get(only),
            several => {
                let (source, destination) = (source.into(), destination.into());
                let all = || several.iter().filter_map(|&id| self.get(id));
                all()
                    .find(|interface| interface.owns(destination))
                    .or_else(|| all().find(|interface| interface.connects(source)))
                    .or_else(|| all().next())
            }
        }
    }
}
