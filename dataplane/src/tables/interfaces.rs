//! Interfaces and the ports that they are on.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use crate::command::{InterfaceId, InterfaceSpec};

use super::TableSlot;

#[derive(Debug)]
pub(crate) struct Interface {
    pub(crate) spec: Arc<InterfaceSpec>,
    pub(crate) table: TableSlot,
}

impl Interface {
    fn connects(&self, address: Ipv4Addr) -> bool {
        self.networks()
            .any(|(own, length)| (u32::from(own) ^ u32::from(address)) & mask(length) == 0)
    }

    fn owns(&self, address: Ipv4Addr) -> bool {
        self.networks().any(|(own, _)| own == address)
    }

    /// Own addresses of IPv4, each with its prefix length.
    fn networks(&self) -> impl Iterator<Item = (Ipv4Addr, u8)> {
        let of_ipv4 = |&(own, length): &(IpAddr, u8)| match own {
            IpAddr::V4(own) => Some((own, length)),
            IpAddr::V6(_) => None,
        };
        self.spec.addresses.iter().filter_map(of_ipv4)
    }

    /// Whether it is the broadcast address of a connected network, in the form
    /// of today or the obsolete one of all zeros (RFC 1812, 4.2.2.11 and 5.3.5.2).
    /// A network of two addresses or one has none (RFC 3021).
    pub(super) fn is_broadcast(&self, address: Ipv4Addr) -> bool {
        self.networks().any(|(own, length)| {
            let hosts = !mask(length);
            let host = u32::from(address) & hosts;
            length < 31
                && (u32::from(own) ^ u32::from(address)) & mask(length) == 0
                && (host == hosts || host == 0)
        })
    }
}

fn mask(length: u8) -> u32 {
    u32::MAX
        .checked_shl(32_u32.saturating_sub(u32::from(length)))
        .unwrap_or(0)
}

#[derive(Debug, Default)]
pub(super) struct Interfaces {
    slots: Vec<Option<Interface>>,
    /// For each port, the interfaces on it, in the order of their ids.
    by_port: Vec<Vec<InterfaceId>>,
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
    }

    pub(super) fn remove(&mut self, id: InterfaceId) {
        if let Some(slot) = self.slots.get_mut(usize::from(id.0)) {
            *slot = None;
        }
        for on_port in &mut self.by_port {
            on_port.retain(|&other| other != id);
        }
    }

    pub(super) fn get(&self, id: InterfaceId) -> Option<&Interface> {
        self.slots.get(usize::from(id.0))?.as_ref()
    }

    /// With several interfaces on a port: the one that has the destination as
    /// its own address, else the one whose network the source is in, else the first.
    #[inline]
    pub(super) fn arrival(
        &self,
        port: usize,
        source: Ipv4Addr,
        destination: Ipv4Addr,
    ) -> Option<&Interface> {
        match self.by_port.get(port)?.as_slice() {
            &[only] => self.get(only),
            several => {
                let all = || several.iter().filter_map(|&id| self.get(id));
                all()
                    .find(|interface| interface.owns(destination))
                    .or_else(|| all().find(|interface| interface.connects(source)))
                    .or_else(|| all().next())
            }
        }
    }
}
