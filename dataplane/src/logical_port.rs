//! Logical ports: from the configuration's words to what the workers and the
//! control thread have of them.

use std::fmt;
use std::sync::Arc;

use log::info;

use crate::command::PortId;
use crate::config::{Config, Encapsulation, LogicalPortSpec};
use crate::counters::PortCounters;
use crate::handle::{PortInfo, RunningPort};
use crate::headers::vlan;
use crate::start::StartError;
use crate::worker::LogicalPort;

/// Tags that one frame may have: its buffer must have room for them.
const MAX_TAGS: usize = 2;

/// Why there can be no such logical port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogicalPortProblem {
    /// Its carrier comes behind it, or not at all.
    Carrier,
    /// Its VLAN identifier is none.
    Vlan(u16),
    /// Another logical port has this VLAN of its carrier.
    SameVlan(u16),
    /// It would be on more VLANs than two.
    TooManyTags,
    /// PPPoE carries IP packets alone.
    OnPppoe,
    /// Port ids end before it.
    TooMany,
}

impl fmt::Display for LogicalPortProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Carrier => write!(f, "the port that it is on must come before it"),
            Self::Vlan(identifier) => {
                write!(f, "VLAN {identifier}: VLAN identifiers are 1 to 4094")
            }
            Self::SameVlan(identifier) => {
                write!(f, "VLAN {identifier} of the same port is another one")
            }
            Self::TooManyTags => write!(f, "frames have at most {MAX_TAGS} VLAN tags"),
            Self::OnPppoe => write!(f, "a PPPoE session carries IP packets and no other port"),
            Self::TooMany => write!(f, "too many ports"),
        }
    }
}

/// A logical port of a running data plane.
pub(crate) struct RunningLogicalPort {
    pub(crate) info: PortInfo,
    pub(crate) spec: LogicalPortSpec,
    /// Place of the port with a device that carries it in the end.
    pub(crate) device: usize,
    /// One for each worker.
    pub(crate) counters: Vec<Arc<PortCounters>>,
}

impl RunningLogicalPort {
    /// A worker's part.
    pub(crate) fn share(&self, worker: usize) -> LogicalPort {
        LogicalPort {
            carrier: self.spec.carrier.0.into(),
            encapsulation: self.spec.encapsulation,
            counters: Arc::clone(&self.counters[worker]),
        }
    }
}

/// Finds what cannot be.
pub(crate) fn check_logical_ports(config: &Config) -> Result<(), StartError> {
    for (place, spec) in config.logical_ports.iter().enumerate() {
        let devices = config.ports.len();
        check(spec, &config.logical_ports[..place], devices).map_err(|problem| {
            StartError::LogicalPort {
                port: spec.name.clone(),
                problem,
            }
        })?;
    }
    Ok(())
}

/// Looks at one port, before which these come and so many devices.
fn check(
    spec: &LogicalPortSpec,
    before: &[LogicalPortSpec],
    devices: usize,
) -> Result<(), LogicalPortProblem> {
    if devices + before.len() >= usize::from(u16::MAX) {
        return Err(LogicalPortProblem::TooMany);
    }
    if usize::from(spec.carrier.0) >= devices + before.len() {
        return Err(LogicalPortProblem::Carrier);
    }
    let logical = |port: PortId| before.get(usize::from(port.0).checked_sub(devices)?);
    let carriers = || std::iter::successors(logical(spec.carrier), |on| logical(on.carrier));
    if carriers().any(|on| on.encapsulation == Encapsulation::Pppoe) {
        return Err(LogicalPortProblem::OnPppoe);
    }
    if let Encapsulation::Vlan(identifier) = spec.encapsulation {
        if !vlan::IDENTIFIERS.contains(&identifier) {
            return Err(LogicalPortProblem::Vlan(identifier));
        }
        let is_same = |other: &LogicalPortSpec| {
            (other.carrier, other.encapsulation) == (spec.carrier, spec.encapsulation)
        };
        if before.iter().any(is_same) {
            return Err(LogicalPortProblem::SameVlan(identifier));
        }
        if carriers().count() >= MAX_TAGS {
            return Err(LogicalPortProblem::TooManyTags);
        }
    }
    Ok(())
}

/// Whether there are VLANs on a port with a device.
pub(crate) fn carries_vlans(config: &Config, port: usize) -> bool {
    config.logical_ports.iter().any(|spec| {
        let is_vlan = matches!(spec.encapsulation, Encapsulation::Vlan(_));
        is_vlan && usize::from(spec.carrier.0) == port
    })
}

/// Makes the logical ports of a configuration that was checked, on these ports.
pub(crate) fn logical_ports(
    ports: &[RunningPort],
    config: &Config,
    workers: usize,
) -> Vec<RunningLogicalPort> {
    let mut made: Vec<RunningLogicalPort> = Vec::with_capacity(config.logical_ports.len());
    for spec in &config.logical_ports {
        let carrier = usize::from(spec.carrier.0);
        let (of_carrier, device, is_device) = match carrier.checked_sub(ports.len()) {
            Some(place) => (&made[place].info, made[place].device, false),
            None => (&ports[carrier].info, carrier, true),
        };
        let info = PortInfo {
            id: PortId((ports.len() + made.len()) as u16),
            name: spec.name.clone(),
            mtu: of_carrier.mtu.saturating_sub(less(spec, is_device)),
            ..of_carrier.clone()
        };
        info!(
            "port {}: {} on port {}, MTU {}",
            info.name, spec.encapsulation, of_carrier.name, info.mtu
        );
        made.push(RunningLogicalPort {
            info,
            spec: spec.clone(),
            device,
            counters: (0..workers).map(|_| Arc::default()).collect(),
        });
    }
    made
}

/// By how much its MTU is below its carrier's, octets. What carries frames of an
/// MTU carries them with one tag (IEEE 802.3, 3.2.7), but not with two.
fn less(spec: &LogicalPortSpec, on_device: bool) -> u16 {
    match spec.encapsulation {
        Encapsulation::Vlan(_) if on_device => 0,
        encapsulation => encapsulation.octets() as u16,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Behind two ports with devices.
    fn problem(ports: &[(u16, Encapsulation)]) -> Option<LogicalPortProblem> {
        let specs: Vec<LogicalPortSpec> = ports
            .iter()
            .map(|&(carrier, encapsulation)| LogicalPortSpec {
                name: String::new(),
                carrier: PortId(carrier),
                encapsulation,
            })
            .collect();
        let (last, before) = specs.split_last().expect("a port");
        check(last, before, 2).err()
    }

    #[test]
    fn logical_ports_that_cannot_be_are_refused() {
        use Encapsulation::{Pppoe, Vlan};
        assert_eq!(problem(&[(0, Vlan(1)), (2, Vlan(4094))]), None);
        assert_eq!(problem(&[(0, Vlan(7)), (2, Vlan(7)), (3, Pppoe)]), None);
        assert_eq!(problem(&[(0, Vlan(7)), (1, Vlan(7))]), None);
        assert_eq!(problem(&[(1, Pppoe), (1, Pppoe)]), None, "two accounts");
        for (ports, expected) in [
            (&[(2, Vlan(7))][..], LogicalPortProblem::Carrier),
            (&[(0, Vlan(0))], LogicalPortProblem::Vlan(0)),
            (&[(0, Vlan(4095))], LogicalPortProblem::Vlan(4095)),
            (
                &[(0, Vlan(7)), (0, Vlan(7))],
                LogicalPortProblem::SameVlan(7),
            ),
            (&[(0, Pppoe), (2, Vlan(7))], LogicalPortProblem::OnPppoe),
            (&[(0, Pppoe), (2, Pppoe)], LogicalPortProblem::OnPppoe),
            (
                &[(0, Vlan(7)), (2, Vlan(7)), (3, Vlan(7))],
                LogicalPortProblem::TooManyTags,
            ),
        ] {
            assert_eq!(problem(ports), Some(expected), "{ports:?}");
        }
    }
}
