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

/// Pulls the cable of a link out of the remote, and waits until the remote knows: the kernel may tell of a lost carrier a
/// second later, and does not tell at all if it is back by then.
fn pull(lab: &Lab, link: u8) {
    lab.carrier_down(link.into(), Site::Remote)
        .expect("the carrier goes");
    let since = Instant::now();
    let port = interface(lab, link)["port"].clone();
    let state = || of_status(lab, "ports", &port)["link"].clone();
    while state() != "down" {
        assert!(since.elapsed() < Duration::from_secs(3), "{link}");
        sleep(0.05);
    }
}

/// The interface of a link in the remote's status.
fn interface(lab: &Lab, link: u8) -> serde_json::Value {
    of_status(lab, "interfaces", &format!("ISP{link}").into())
}

/// What has this name, of those of its kind in the remote's status.
fn of_status(lab: &Lab, kind: &str, name: &serde_json::Value) -> serde_json::Value {
    let status = lab.status_json(Site::Remote).expect("the status");
    status[kind]
        .as_array()
        .and_then(|all| all.iter().find(|it| it["name"] == *name))
        .cloned()
        .expect("it is there")
}
