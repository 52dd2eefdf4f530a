//! What stands on the wire, in the eyes of another's decoder.

use std::process::{Command, Stdio};

use benches::lab::{Lab, Site};

use super::{SET_UP_LIMIT, at_host, config, output, sleep};

/// All packets of a capture that a display filter selects, one line each.
fn decoded(capture: &str, filter: &str) -> Vec<String> {
    let text = output(Command::new("tshark").args(["-n", "-r", capture, "-Y", filter]));
    text.lines()
        .filter(|line| line.contains("->") || line.contains('→'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn tshark_decodes_everything_without_an_error() {
    let mut lab = Lab::build(config()).unwrap();
    let capture = lab.directory().join("isp1.pcap");
    let capture = capture.to_str().expect("a plain path").to_owned();
    let mut tcpdump = lab
        .isp(1)
        .command("tcpdump")
        .args(["-i", "head", "-U", "-w", &capture])
        .stderr(Stdio::null())
        .spawn()
        .expect("tcpdump is installed");
    sleep(1.0);
    for site in Site::BOTH {
        lab.start(site).unwrap();
    }
    lab.wait_until_set_up(SET_UP_LIMIT).unwrap();
    let ping = at_host(
        &lab,
        Site::Head,
        "ping",
        &["-c", "5", "-i", "0.2", "192.168.2.10"],
    );
    assert!(ping.contains("5 received"), "{ping}");
    sleep(2.0);
    for site in Site::BOTH {
        assert!(lab.stop(site).unwrap().success());
    }
    sleep(0.5);
    tcpdump.kill().unwrap();
    tcpdump.wait().unwrap();

    for (what, filter, least) in [
        ("SCCRQ", "l2tp.avp.message_type == 1", 1),
        ("SCCRP", "l2tp.avp.message_type == 2", 1),
        ("SCCCN", "l2tp.avp.message_type == 3", 1),
        ("StopCCN", "l2tp.avp.message_type == 4", 1),
        ("ICRQ", "l2tp.avp.message_type == 10", 1),
        ("ICRP", "l2tp.avp.message_type == 11", 1),
        ("ICCN", "l2tp.avp.message_type == 12", 1),
        ("LCP Configure-Ack", "lcp && ppp.code == 2", 2),
        ("LCP Echo-Reply", "lcp && ppp.code == 10", 2),
        ("CHAP Challenge", "chap.code == 1", 1),
        ("CHAP Response", "chap.code == 2", 1),
        ("CHAP Success", "chap.code == 3", 1),
        ("IPCP Configure-Ack", "ipcp && ppp.code == 2", 2),
        (
            "HA data with the inner ping",
            "l2tp.offset == 12 && icmp.type == 8",
            5,
        ),
        (
            "HA data with the inner answer",
            "l2tp.offset == 12 && icmp.type == 0",
            5,
        ),
        ("HA reports", "l2tp.offset > 12", 2),
    ] {
        let packets = decoded(&capture, filter);
        assert!(
            packets.len() >= least,
            "{what}: {packets:#?}\n{:#?}",
            decoded(&capture, "l2tp")
        );
    }
    let errors = decoded(
        &capture,
        "_ws.malformed || _ws.expert.severity >= \"Error\" || udp.checksum.status == \"Bad\"",
    );
    assert!(errors.is_empty(), "{errors:#?}");
    // When an appliance has ended, the kernel behind its interface speaks IPv6 again.
    let others = decoded(&capture, "!l2tp && !arp && !icmpv6");
    assert!(
        others.is_empty(),
        "nothing else is on the wire: {others:#?}"
    );
}
