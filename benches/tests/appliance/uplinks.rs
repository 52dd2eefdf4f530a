//! Uplinks as ISPs deliver them: the remote's addresses come from others' servers, which change them, fall silent
//! and come back under traffic.

mod dhcp;
mod expiry;
mod hostile;
mod ipv6;
mod path;
mod pppoe;
mod relay;

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use benches::lab::{Lab, Site};

use crate::{sleep, status};

/// The address that the remote's tunnel of a link is dialled from, by the head's word.
fn peer(lab: &Lab, link: u32) -> Option<IpAddr> {
    let status = status(lab, Site::Head);
    let mut tunnels = status.tunnels.iter();
    let tunnel = tunnels.find(|tunnel| tunnel.table == link && tunnel.state == "established");
    tunnel?.peer_address.map(|peer| peer.ip())
}

fn wait_for_peer(lab: &Lab, link: u32, is_wanted: impl Fn(Ipv4Addr) -> bool) -> Duration {
    let since = Instant::now();
    loop {
        match peer(lab, link) {
            Some(IpAddr::V4(peer)) if is_wanted(peer) => return since.elapsed(),
            other => assert!(
                since.elapsed() < Duration::from_secs(30),
                "link {link} is still dialled from {other:?}"
            ),
        }
        sleep(0.05);
    }
}

/// The interface of a link in the remote's status.
fn interface(lab: &Lab, link: u8) -> serde_json::Value {
    let status = lab.status_json(Site::Remote).expect("the status");
    status["interfaces"]
        .as_array()
        .and_then(|all| all.iter().find(|it| it["name"] == format!("ISP{link}")))
        .cloned()
        .expect("the interface is there")
}
