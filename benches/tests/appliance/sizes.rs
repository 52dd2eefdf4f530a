//! Packets of 1500 octets over links of 1500, 1400 and 1280, of hosts that forbid fragmentation.

use std::time::Duration;

use benches::iperf::{Iperf, IperfConfig, IperfReport, Protocol, Tcp};
use benches::lab::{Lab, LabConfig, Site};
use benches::snmp::{TooLarge, too_large};

use super::{
    Traffic, assert_nothing_lost_nothing_twice, at_host, config, drops_of, running, sleep, status,
    wait_for_all,
};

/// UDP payload of an IPv4 packet of 1500 octets.
const WHOLE_PAYLOAD_OCTETS: usize = 1472;
/// `lcp-timeout` in `configs/demo`, and time to notice.
const GIVEN_UP_S: f64 = 7.0;
const BACK: Duration = Duration::from_secs(15);

pub(super) fn mixed() -> LabConfig {
    LabConfig {
        mtus_octets: vec![1500, 1400, 1280],
        ..config()
    }
}

fn assert_nobody_was_told_of_a_smaller_mtu(lab: &Lab) {
    for site in Site::BOTH {
        let counters = too_large(lab.host(site)).unwrap();
        assert_eq!(counters, TooLarge::default(), "{}", site.name());
    }
}

fn iperf(lab: &Lab, from: Site, protocol: Protocol) -> IperfReport {
    let config = IperfConfig {
        client: lab.host(Site::Head).clone(),
        server: lab.host(Site::Remote).clone(),
        port: 5201,
        seconds: 2,
        is_reversed: from == Site::Remote,
        protocol,
        tcp: Tcp::default(),
    };
    let report = Iperf::start(&config).and_then(Iperf::finish);
    let report = report.unwrap_or_else(|error| panic!("{error}\n{}", drops_of(lab)));
    println!("from {}: {protocol:?} {report:?}", from.name());
    report
}

/// Without MSS clamping, so that TCP sends packets of 1500 octets too.
#[test]
fn whole_packets_pass_small_links_and_nobody_is_told_of_a_smaller_mtu() {
    let lab = running(LabConfig {
        edits: vec![(
            "tcp-mss-fix: true".to_owned(),
            "tcp-mss-fix: false".to_owned(),
        )],
        ..mixed()
    });
    for (site, far) in [(Site::Head, "192.168.2.10"), (Site::Remote, "192.168.1.10")] {
        let words = "-c 10 -i 0.05 -W 2 -M do -s 1472".split(' ');
        let arguments: Vec<&str> = words.chain([far]).collect();
        let ping = at_host(&lab, site, "ping", &arguments);
        assert!(ping.contains("10 received"), "{ping}\n{}", drops_of(&lab));
    }
    for from in Site::BOTH {
        let udp = Protocol::Udp {
            payload_octets: 1472,
            bits_per_s: 10_000_000,
        };
        let report = iperf(&lab, from, udp);
        assert!(report.packets > 1_500, "{report:?}");
        assert_eq!(report.lost_packets, 0, "{}", drops_of(&lab));
        let report = iperf(&lab, from, Protocol::Tcp);
        assert!(report.received_octets > 2 << 20, "{report:?}");
    }
    assert_nobody_was_told_of_a_smaller_mtu(&lab);
    for site in Site::BOTH {
        let set = &status(&lab, site).sets[0];
        assert!(set.split_packets > 2_000, "{set:?}");
        assert!(set.reassembled_packets > 2_000, "{set:?}");
    }
}

/// The smallest link is given up and comes back, so what fits whole changes under traffic; then each of the others.
fn small_links_come_and_go(config: LabConfig) {
    let mut lab = running(config);
    let traffic = Traffic::sized(&lab, 1_000, WHOLE_PAYLOAD_OCTETS);
    sleep(1.0);
    lab.set_outage(3, true).unwrap();
    sleep(GIVEN_UP_S);
    for site in Site::BOTH {
        assert_eq!(status(&lab, site).live_links(), [1, 2]);
    }
    lab.interface_down(1, Site::Remote).unwrap();
    sleep(1.0);
    lab.set_outage(3, false).unwrap();
    lab.interface_up(1, Site::Remote).unwrap();
    wait_for_all(&mut lab, BACK);
    sleep(1.0);
    lab.kill_emulator(2).unwrap();
    sleep(1.0);
    lab.start_emulator(2).unwrap();
    wait_for_all(&mut lab, BACK);
    assert_nothing_lost_nothing_twice(&lab, &traffic.stop());
    assert_nobody_was_told_of_a_smaller_mtu(&lab);
}

#[test]
fn whole_packets_survive_small_links_that_come_and_go() {
    small_links_come_and_go(mixed());
}

/// Pieces of one packet arrive at either worker, and are put together by one.
#[test]
fn whole_packets_survive_small_links_that_come_and_go_with_two_workers() {
    small_links_come_and_go(LabConfig {
        workers: Some(2),
        queues: Some(1),
        ..mixed()
    });
}

/// Every piece of a packet may come over another link.
#[test]
fn packets_are_put_together_from_pieces_of_any_link() {
    let mut lab = running(mixed());
    for link in [1, 2] {
        lab.change_link(link, benches::emulator::Direction::Both, "loss=20%")
            .unwrap();
    }
    let traffic = Traffic::sized(&lab, 1_000, WHOLE_PAYLOAD_OCTETS);
    sleep(5.0);
    // The third link loses nothing, and so nothing is lost.
    assert_nothing_lost_nothing_twice(&lab, &traffic.stop());
}
