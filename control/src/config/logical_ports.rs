//! The ports that interfaces are on: those of the file, then one for each VLAN and
//! each PPPoE line on them.

use dataplane::command::PortId;
use dataplane::{Encapsulation, LogicalPortSpec};

use super::model::Config;

/// All logical ports, and on which port each interface is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    pub logical: Vec<LogicalPortSpec>,
    /// Of each of [`Config::interfaces`], the place among [`Config::ports`] with
    /// the logical ones behind them.
    pub of_interface: Vec<usize>,
}

impl Config {
    /// The logical ports that the interfaces need, always in the same order.
    #[must_use]
    pub fn logical_ports(&self) -> Ports {
        let mut ports = Ports::default();
        for interface in &self.interfaces {
            let mut place = interface.port;
            let mut name = self.ports[place].name.clone();
            if let Some(vlan) = interface.vlan {
                name = format!("{name}.{vlan}");
                place = self.port_for(&mut ports, &name, place, Encapsulation::Vlan(vlan));
            }
            if interface.pppoe.is_some() {
                let name = format!("{name}.pppoe");
                place = self.port_for(&mut ports, &name, place, Encapsulation::Pppoe);
            }
            ports.of_interface.push(place);
        }
        ports
    }

    /// The place of a logical port, which is added when it is the first use of it.
    fn port_for(
        &self,
        ports: &mut Ports,
        name: &str,
        carrier: usize,
        encapsulation: Encapsulation,
    ) -> usize {
        let wanted = LogicalPortSpec {
            name: name.to_owned(),
            carrier: PortId(
                u16::try_from(carrier).expect("`check` lets no file have so many ports"),
            ),
            encapsulation,
        };
        let known = ports.logical.iter().position(|port| *port == wanted);
        let place = known.unwrap_or_else(|| {
            ports.logical.push(wanted);
            ports.logical.len() - 1
        });
        self.ports.len() + place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "
name: van
ports:
  - { name: a, device: eth0 }
  - { name: b, device: eth1 }
interfaces:
  - { name: A, port: a, table: 0, addresses: [192.0.2.1/24] }
  - { name: A7, port: a, vlan: 7, table: 1, addresses: dhcp }
  - { name: DSL, port: b, vlan: 7, table: 2, pppoe: { username: u, password: p } }
  - { name: MODEM, port: b, vlan: 7, table: 3, addresses: [192.168.1.2/24] }
  - { name: LINE, port: b, table: 4, pppoe: { username: u, password: p } }
";

    #[test]
    fn every_vlan_and_line_has_a_port_of_its_own() {
        let (config, _) = Config::parse("van.yaml", FILE).expect("a good file");
        let ports = config.logical_ports();
        let port = |name: &str, carrier, encapsulation| LogicalPortSpec {
            name: name.to_owned(),
            carrier: PortId(carrier),
            encapsulation,
        };
        assert_eq!(
            ports.logical,
            [
                port("a.7", 0, Encapsulation::Vlan(7)),
                port("b.7", 1, Encapsulation::Vlan(7)),
                port("b.7.pppoe", 3, Encapsulation::Pppoe),
                port("b.pppoe", 1, Encapsulation::Pppoe),
            ]
        );
        assert_eq!(ports.of_interface, [0, 2, 4, 3, 5]);
    }
}
