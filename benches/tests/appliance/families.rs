//! IPv6 inside the tunnels and around them.

use std::time::Duration;

use benches::lab::{LabConfig, Site};
use benches::ping::Ping;
use benches::snmp::{TooLarge, too_large};
use benches::transfer::{Transfer, TransferConfig};

use super::{
    Traffic, assert_nothing_lost_nothing_twice, config, drops_of, running, sleep, status,
    wait_for_all,
};

const PACKETS_PER_S: u32 = 1_500;
/// Shorter than `lcp-timeout`: the sessions live through it.
const SHORT_S: f64 = 2.0;
const BACK: Duration = Duration::from_secs(15);
/// UDP payload of packets of 1500 octets, over IPv4 and over IPv6.
const WHOLE_PAYLOADS_OCTETS: [usize; 2] = [1472, 1452];

/// Both families at once, in packets of every size up to 1500 octets, while each link is cut in another way.
fn cuts_cost_neither_family_anything(config: LabConfig) {
    let mut lab = running(LabConfig {
        has_ipv6_lans: true,
        ..config
    });
    let [head, remote] = Site::BOTH.map(|site| lab.host_ipv6(site).clone());
    let ping = Ping::run(&head, remote.address, 3).unwrap();
    assert_eq!(ping.received, 3, "{ping:?}\n{}", drops_of(&lab));
    let traffic = [
        Traffic::start(&lab, PACKETS_PER_S),
        Traffic::ipv6(&lab, 5100, PACKETS_PER_S, 200),
        Traffic::on_port(&lab, 5200, PACKETS_PER_S / 3, WHOLE_PAYLOADS_OCTETS[0]),
        Traffic::ipv6(&lab, 5300, PACKETS_PER_S / 3, WHOLE_PAYLOADS_OCTETS[1]),
    ];
    let transfer = Transfer::start(TransferConfig {
        from: remote,
        to: head,
        port: 6000,
        octets: u64::MAX,
        octets_per_s: Some(1 << 20),
    });
    let transfer = transfer.unwrap();
    sleep(1.0);
    lab.set_outage(1, true).unwrap();
    sleep(SHORT_S);
    lab.set_outage(1, false).unwrap();
    wait_for_all(&mut lab, BACK);
    sleep(1.0);
    lab.interface_down(2, Site::Head).unwrap();
    sleep(SHORT_S);
    lab.interface_up(2, Site::Head).unwrap();
    wait_for_all(&mut lab, BACK);
    sleep(1.0);
    lab.kill_emulator(3).unwrap();
    sleep(SHORT_S);
    lab.start_emulator(3).unwrap();
    wait_for_all(&mut lab, BACK);
    sleep(1.0);
    let transfer = transfer.finish_now().unwrap();
    assert!(
        transfer.is_intact && transfer.octets > 5 << 20,
        "{transfer:?}"
    );
    for traffic in traffic {
        assert_nothing_lost_nothing_twice(&lab, &traffic.stop());
    }
    for site in Site::BOTH {
        let counters = too_large(lab.host(site)).unwrap();
        assert_eq!(counters, TooLarge::default(), "{}", site.name());
        for link in lab.links() {
            let status = status(&lab, site);
            let session = status.link(link).expect("the link is up");
            assert!(session.received_packets > 1_000, "{session:?}");
        }
    }
}

#[test]
fn both_families_inside_ipv4_tunnels() {
    cuts_cost_neither_family_anything(config());
}

#[test]
fn both_families_inside_ipv6_tunnels() {
    cuts_cost_neither_family_anything(LabConfig {
        ipv6_links: vec![1, 2, 3],
        ..config()
    });
}

/// A set does not care what its links are: the third carries the least that IPv6 allows.
#[test]
fn one_set_over_both_families_and_small_links() {
    cuts_cost_neither_family_anything(LabConfig {
        ipv6_links: vec![1, 3],
        mtus_octets: vec![1500, 1400, 1280],
        ..config()
    });
}
