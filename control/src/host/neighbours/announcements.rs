//! Own addresses are announced when their link comes up.

use std::net::IpAddr;
use std::time::Duration;

use dataplane::command::InterfaceId;

use super::{Action, Interface, Neighbours, Timer, ipv4, ipv6};

/// RFC 5227, 1.1: ANNOUNCE_NUM and ANNOUNCE_INTERVAL, which suit RFC 4861, 7.2.6, too.
const ANNOUNCEMENTS: u8 = 2;
pub(super) const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(2);

impl Neighbours {
    pub(super) fn start_announcing(&mut self, now: Duration, id: InterfaceId) {
        self.stop_announcing(id);
        if let Some(interface) = self.interfaces.get_mut(&id) {
            interface.announcements_left = ANNOUNCEMENTS;
        }
        self.announce(now, id);
    }

    pub(super) fn stop_announcing(&mut self, id: InterfaceId) {
        let Some(interface) = self.interfaces.get_mut(&id) else {
            return;
        };
        if let Some(at) = interface.announce_at.take() {
            self.timers.remove(&(at, Timer::Announce(id)));
        }
    }

    pub(super) fn announce(&mut self, now: Duration, id: InterfaceId) {
        self.stop_announcing(id);
        let Some(interface) = self.interfaces.get_mut(&id) else {
            return;
        };
        interface.announcements_left -= 1;
        if interface.announcements_left > 0 {
            let at = now + ANNOUNCE_INTERVAL;
            interface.announce_at = Some(at);
            self.timers.insert((at, Timer::Announce(id)));
        }
        let spec = interface.spec.clone();
        if spec.point_to_point {
            return;
        }
        for &(address, _) in &spec.addresses {
            self.send_announcement(&spec, address);
        }
        if spec.has_ipv6() {
            self.send_announcement(&spec, spec.link_local().into());
        }
    }

    pub(super) fn send_announcement(&mut self, interface: &Interface, address: IpAddr) {
        self.counters.announcements_sent += 1;
        let frame = match address {
            IpAddr::V4(address) => ipv4::announcement(interface, address),
            IpAddr::V6(address) => ipv6::announcement(interface, address),
        };
        let port = interface.port;
        self.actions.push_back(Action::SendFrame { port, frame });
    }
}
