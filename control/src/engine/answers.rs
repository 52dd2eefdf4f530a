//! What the appliance says as a host and router of its networks: ICMP, and
//! what the neighbour tables want done.

use std::net::IpAddr;
use std::time::Duration;

use dataplane::command::{Command, InterfaceId, TableId};
use dataplane::event::IcmpCause;
use dataplane::headers::{ipv4, ipv6};

use super::{Engine, Output, display_mac};
use crate::host::{Action, link_local};

impl Engine {
    /// Sends an IP packet of ours. One to a link-local address, which no table
    /// knows, leaves by the interface that it is about.
    pub(super) fn send_ip(
        &mut self,
        now: Duration,
        table: TableId,
        interface: Option<InterfaceId>,
        packet: Vec<u8>,
    ) {
        match (addresses(&packet), interface) {
            (Some((_, destination)), Some(interface)) if is_link_local(destination) => {
                self.neighbours.send(now, interface, destination, packet);
            }
            _ => self.outputs.push_back(Output::Ip { table, packet }),
        }
    }

    /// Tells the sender of a packet why it was not forwarded.
    pub(super) fn send_icmp(
        &mut self,
        now: Duration,
        cause: IcmpCause,
        table: TableId,
        interface: Option<InterfaceId>,
        packet: &[u8],
    ) {
        let Some((sender, _)) = addresses(packet) else {
            return;
        };
        let source = match sender {
            IpAddr::V6(address) if address.is_unicast_link_local() => {
                interface.map(|id| link_local(self.interface_mac(id)).into())
            }
            _ => self.own_address(now, table.0, sender),
        };
        let Some(source) = source else { return };
        if let Some(error) = self.icmp.handle_cause(now, cause, packet, source) {
            self.send_ip(now, table, interface, error);
        }
    }

    fn interface_mac(&self, id: InterfaceId) -> [u8; 6] {
        let interface = &self.interfaces[usize::from(id.0)];
        self.ports[interface.port].mac
    }

    /// Carries out what the neighbour tables want, in their order.
    pub(super) fn settle_neighbours(&mut self, now: Duration) {
        while let Some(action) = self.neighbours.poll_output() {
            match action {
                Action::SendFrame { port, frame } => {
                    self.outputs.push_back(Output::Frame { port, frame })
                }
                Action::Install {
                    interface,
                    address,
                    mac,
                } => {
                    self.command(Command::SetNeighbour {
                        interface,
                        address,
                        mac,
                    });
                }
                Action::Remove { interface, address } => {
                    self.command(Command::RemoveNeighbour { interface, address });
                    self.gateway_lost(now, interface, address);
                }
                Action::SendPacket {
                    interface,
                    mac,
                    packet,
                } => {
                    self.outputs.push_back(Output::Neighbour {
                        interface,
                        mac,
                        packet,
                    });
                }
                Action::Unreachable { interface, packet } => {
                    let table = TableId(self.config.interfaces[usize::from(interface.0)].table);
                    let cause = IcmpCause::HostUnreachable;
                    self.send_icmp(now, cause, table, Some(interface), &packet);
                }
                Action::Conflict {
                    interface,
                    address,
                    mac,
                } => {
                    let name = &self.config.interfaces[usize::from(interface.0)].name;
                    log::warn!(
                        "{name}: {} also uses our address {address}",
                        display_mac(mac)
                    );
                    self.uplink_conflict(now, usize::from(interface.0), address);
                }
            }
        }
    }
}

pub(super) fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

/// Source and destination of an IP packet.
fn addresses(packet: &[u8]) -> Option<(IpAddr, IpAddr)> {
    if packet.first()? >> 4 == 6 {
        let header = ipv6::known(packet)?;
        Some((header.source.into(), header.destination.into()))
    } else {
        let header = ipv4::known(packet)?;
        Some((header.source.into(), header.destination.into()))
    }
}
