//! The appliance that the LACs log in to.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use dataplane::arrivals::Arrivals;
use dataplane::command::Epoch;

use crate::fleet::Plan;

pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
pub(crate) const LACS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

/// How many log in, and as what.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) callers: usize,
    /// Callers of one set; plain sessions if not given.
    pub(crate) links: Option<usize>,
    /// Of each set, numbers.
    pub(crate) window: u32,
    /// The management socket.
    pub(crate) socket: PathBuf,
}

impl Layout {
    pub(crate) fn sets(&self) -> usize {
        self.links.map_or(0, |links| self.callers / links)
    }

    /// Which remote a caller is a link of.
    fn remote(&self, caller: usize) -> usize {
        caller / self.links.unwrap_or(1)
    }

    /// The configuration file of an appliance at 10.0.0.1.
    pub(crate) fn yaml(&self) -> String {
        let mut yaml = String::from("name: lns\n");
        let _ = writeln!(yaml, "management: {{ socket: {} }}", self.socket.display());
        if self.links.is_some() {
            let memory_mib = self.memory_mib();
            let _ = writeln!(
                yaml,
                "dataplane: {{ hugepages: false, memory: {memory_mib} }}"
            );
        }
        yaml.push_str(
            "ports:\n  - { name: wan, device: wan }\n\
             interfaces:\n  - { name: WAN, port: wan, table: 1, addresses: [10.0.0.1/16] }\n\
             l2tp:\n  limits: { tunnels: 65535, tunnels-per-source: 65535, half-open: 65535, half-open-per-source: 65535, sessions: 65535 }\n  incoming:\n    - name: lacs\n      remote-hostname: lacs\n      local-hostname: lns\n\
             \x20     secret: test\n      payload-table: 0\n      local-ip: 100.64.0.1\n      match:\n",
        );
        let ha_set = self.links.map_or("", |_| ", ha-set: S");
        for caller in 0..self.callers {
            let remote = self.remote(caller) as u32;
            let address = Ipv4Addr::from(u32::from(Ipv4Addr::new(100, 65, 0, 0)) + remote);
            let name = Plan::username(caller);
            let _ = writeln!(
                yaml,
                "        - {{ graph: {name}, username: {name}, password: secret, remote-ip: {address}{ha_set} }}"
            );
        }
        if self.links.is_some() {
            let window = self.window;
            let _ = writeln!(yaml, "ha-sets:\n  - {{ name: S, window: {window} }}");
        }
        yaml
    }

    /// As much as the file must promise: windows and books of two epochs take no more than half of it.
    fn memory_mib(&self) -> u64 {
        const LEAST_MIB: u64 = 128;
        let windows = self.sets() as u64 * Epoch::memory_octets(self.window.into());
        let books = self.callers as u64 * Arrivals::MEMORY_OCTETS;
        (4 * (windows + books)).div_ceil(1 << 20).max(LEAST_MIB)
    }
}
