//! Debian's xl2tpd with its pppd, as the LNS of our LAC and as a LAC of our LNS, in a guest kernel. xl2tpd moves packets
//! itself, through a terminal of pppd's, or has the kernel do it (l2tp_ppp).

use std::path::Path;

use benches::guest::{Guest, GuestConfig};
use benches::lab::{Lab, Site};

use super::{
    FAMILIES, assert_carries, assert_echoes_are_answered, build, template, wait_for_result,
    wait_until_down, wait_until_up,
};

/// Who moves the peer's packets.
#[derive(Clone, Copy, PartialEq)]
enum DataPath {
    Kernel,
    UserSpace,
}

struct Peer {
    guest: Guest,
}

/// What differs from case to case.
struct Settings<'a> {
    data_path: DataPath,
    /// More lines for its section of xl2tpd's file, and for pppd's.
    xl2tpd: &'a str,
    pppd: &'a str,
}

impl Peer {
    /// Boots a guest in the site's place and starts xl2tpd there.
    fn start(lab: &Lab, site: Site, settings: &Settings<'_>) -> Self {
        for program in ["/usr/sbin/xl2tpd", "/usr/sbin/pppd"] {
            assert!(
                Path::new(program).is_file(),
                "NOT TESTED: no {program} here"
            );
        }
        let (other, file) = match site {
            Site::Head => (2, "xl2tpd.conf"),
            Site::Remote => (1, "xl2tpd-lac.conf"),
        };
        let secrets = "remote.1 * link-secret *\n".to_owned();
        let up = |family, lan| format!("#!/bin/sh\nip {family} route replace {lan} dev \"$1\"\n");
        let ppp = [
            ("options", String::new()),
            ("chap-secrets", secrets.clone()),
            ("pap-secrets", secrets),
            ("ip-up", up("-4", format!("192.168.{other}.0/24"))),
            ("ipv6-up", up("-6", format!("2001:db8:{other}::/64"))),
        ];
        let guest = boot(lab, site, &ppp);
        let directory = guest.directory().display().to_string();
        let fill = |text: String, more: &str| {
            let userspace = match settings.data_path {
                DataPath::UserSpace => "yes",
                DataPath::Kernel => "no",
            };
            let text = text.replace("DIRECTORY", &directory);
            text.replace("USERSPACE", userspace) + more + "\n"
        };
        let files = [
            ("xl2tpd.conf", fill(template(file), settings.xl2tpd)),
            ("options", fill(template("ppp-options"), settings.pppd)),
            ("l2tp-secrets", "* * tunnel-secret\n".to_owned()),
        ];
        for (file, text) in files {
            guest.write(file, &text).unwrap();
        }
        let mut peer = Self { guest };
        peer.run_daemon();
        peer
    }

    fn run_daemon(&mut self) {
        let directory = self.guest.directory().display().to_string();
        let line = format!(
            "xl2tpd -D -c {directory}/xl2tpd.conf -p /run/xl2tpd.pid -C /run/l2tp-control >>{directory}/xl2tpd.log 2>&1 &"
        );
        assert!(self.guest.run(&line).unwrap());
    }

    /// xl2tpd ends its tunnels and itself.
    fn stop(&mut self) {
        assert!(self.guest.run("kill $(cat /run/xl2tpd.pid)").unwrap());
    }

    /// Both daemons are gone without a word.
    fn kill(&mut self) {
        assert!(self.guest.run("busybox killall -9 xl2tpd pppd").unwrap());
    }

    /// pppd asked for that and got it.
    fn assert_fields_are_compressed(&self) {
        let log = self.guest.read("pppd.log");
        let mut acks = log
            .lines()
            .filter(|line| line.starts_with("rcvd [LCP ConfAck"));
        assert!(acks.any(|line| line.contains("<pcomp> <accomp>")), "{log}");
    }

    /// What the kernel says of its sessions.
    fn kernel_sessions(&mut self) -> String {
        let directory = self.guest.directory().display().to_string();
        let line = format!("cat /proc/net/pppol2tp >{directory}/sessions");
        assert!(self.guest.run(&line).unwrap());
        self.guest.read("sessions")
    }

    /// pppd asked for it, and was told that we have no such protocol.
    fn assert_compression_was_refused(&self) {
        let log = self.guest.read("pppd.log");
        for text in ["sent [CCP ConfReq", "rcvd [LCP ProtRej"] {
            assert!(log.contains(text), "no {text:?}");
        }
    }

    /// xl2tpd knows why its tunnel was ended.
    fn assert_was_told(&self, text: &str) {
        let log = self.guest.read("xl2tpd.log");
        assert!(log.contains(text), "no {text:?}");
    }

    fn logs(&self) -> String {
        self.guest.read("xl2tpd.log") + &self.guest.read("pppd.log")
    }
}

/// A router in a site's place, with its addresses. `ppp` are the files below `/etc/ppp`.
fn boot(lab: &Lab, site: Site, ppp: &[(&str, String)]) -> Guest {
    let config = GuestConfig {
        namespace: lab.namespace(site),
        interfaces: &[("isp1", 1500), ("lan", 1500)],
        directory: lab.directory().join("guest"),
        modules: &[
            "ipv6",
            "ppp_async",
            "ppp_deflate",
            "bsd_comp",
            "ppp_mppe",
            "l2tp_ppp",
        ],
        ppp,
    };
    let mut guest = Guest::boot(&config).unwrap();
    let number = match site {
        Site::Head => 1,
        Site::Remote => 2,
    };
    let lines = [
        format!("ip addr add 10.1.0.{number}/24 dev vec0"),
        format!("ip addr add 192.168.{number}.1/24 dev vec1"),
        format!("ip addr add 2001:db8:{number}::1/64 dev vec1 nodad"),
        "ip link set dev vec0 up && ip link set dev vec1 up".to_owned(),
        "echo 1 >/proc/sys/net/ipv4/ip_forward".to_owned(),
        "echo 1 >/proc/sys/net/ipv6/conf/all/forwarding".to_owned(),
        "mkdir -p /run/xl2tpd".to_owned(),
    ];
    guest.run_all(lines.iter().map(String::as_str)).unwrap();
    guest
}

impl Drop for Peer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {}", self.logs());
        }
    }
}

/// CHAP, a challenge of its own, compression offered and refused; then each end goes away in its own manner, and comes back.
#[test]
fn xl2tpd_as_lns_in_the_kernel_carries_data_and_comes_back() {
    let mut lab = build(Site::Remote, &[]);
    let settings = Settings {
        data_path: DataPath::Kernel,
        xl2tpd: "",
        pppd: "require-chap\ndeflate 15,15\nbsdcomp 15,15",
    };
    let mut lns = Peer::start(&lab, Site::Head, &settings);
    lab.start(Site::Remote).unwrap();
    wait_until_up(&mut lab, Site::Remote, &FAMILIES);
    assert_carries(&lab, &FAMILIES);
    assert_echoes_are_answered(&lab, Site::Remote);
    lns.assert_compression_was_refused();

    // We end it.
    assert!(lab.stop(Site::Remote).unwrap().success());
    lns.assert_was_told("the appliance stops");
    lab.start(Site::Remote).unwrap();
    wait_until_up(&mut lab, Site::Remote, &FAMILIES);

    // It ends it.
    lns.stop();
    wait_for_result(&lab, "closed by the peer");
    lns.run_daemon();
    wait_until_up(&mut lab, Site::Remote, &FAMILIES);

    // It dies.
    lns.kill();
    wait_until_down(&lab, Site::Remote);
    lns.run_daemon();
    wait_until_up(&mut lab, Site::Remote, &FAMILIES);
    assert_carries(&lab, &["IPv4"]);
}

/// The kernel as LNS with numbers on: it drops what has none.
#[test]
fn xl2tpd_as_lns_in_the_kernel_gets_the_numbers_that_it_wants() {
    let mut lab = build(Site::Remote, &[]);
    let settings = Settings {
        data_path: DataPath::Kernel,
        xl2tpd: "",
        pppd: "require-chap\npppol2tp_recv_seq\npppol2tp_send_seq",
    };
    let mut lns = Peer::start(&lab, Site::Head, &settings);
    lab.start(Site::Remote).unwrap();
    wait_until_up(&mut lab, Site::Remote, &FAMILIES);
    assert_carries(&lab, &FAMILIES);
    let sessions = lns.kernel_sessions();
    assert!(sessions.contains("/R/S/LNS"), "{sessions}");
}

/// Nothing in the kernel but PPP's terminal, which wants PPP's fields compressed. It hides what its L2TP messages say.
#[test]
fn xl2tpd_as_lns_by_itself_takes_ms_chap_v2_and_hides_avps() {
    let mut lab = build(Site::Remote, &[]);
    let settings = Settings {
        data_path: DataPath::UserSpace,
        xl2tpd: "hidden bit = yes",
        pppd: "require-mschap-v2",
    };
    let lns = Peer::start(&lab, Site::Head, &settings);
    lab.start(Site::Remote).unwrap();
    wait_until_up(&mut lab, Site::Remote, &FAMILIES);
    assert_carries(&lab, &FAMILIES);
    lns.assert_compression_was_refused();
    lns.assert_fields_are_compressed();
}

/// CHAP, a challenge of its own, compression offered and refused; then each end goes away in its own manner, and comes back.
#[test]
fn xl2tpd_as_lac_in_the_kernel_carries_data_and_comes_back() {
    let mut lab = build(Site::Head, &[]);
    let settings = Settings {
        data_path: DataPath::Kernel,
        xl2tpd: "",
        pppd: "noauth\nuser remote.1\ndeflate 15,15",
    };
    lab.start(Site::Head).unwrap();
    let mut lac = Peer::start(&lab, Site::Remote, &settings);
    wait_until_up(&mut lab, Site::Head, &FAMILIES);
    assert_carries(&lab, &FAMILIES);
    assert_echoes_are_answered(&lab, Site::Head);
    lac.assert_compression_was_refused();

    // We end it.
    assert!(lab.stop(Site::Head).unwrap().success());
    lac.assert_was_told("the appliance stops");
    lab.start(Site::Head).unwrap();
    wait_until_up(&mut lab, Site::Head, &FAMILIES);

    // It ends it.
    lac.stop();
    wait_until_down(&lab, Site::Head);
    lac.run_daemon();
    wait_until_up(&mut lab, Site::Head, &FAMILIES);

    // It dies.
    lac.kill();
    wait_until_down(&lab, Site::Head);
    lac.run_daemon();
    wait_until_up(&mut lab, Site::Head, &FAMILIES);
    assert_carries(&lab, &["IPv4"]);
}

/// It numbers once we do.
#[test]
fn xl2tpd_as_lac_in_the_kernel_numbers_packets_as_we_do() {
    let ours = ("lcp-rate: 1", "sequencing: true\n      lcp-rate: 1");
    let mut lab = build(Site::Head, &[ours]);
    let settings = Settings {
        data_path: DataPath::Kernel,
        xl2tpd: "",
        pppd: "noauth\nuser remote.1",
    };
    lab.start(Site::Head).unwrap();
    let mut lac = Peer::start(&lab, Site::Remote, &settings);
    wait_until_up(&mut lab, Site::Head, &FAMILIES);
    assert_carries(&lab, &FAMILIES);
    let sessions = lac.kernel_sessions();
    assert!(sessions.contains("/-/S/LAC"), "{sessions}");
}

/// The same as a LAC, with PAP.
#[test]
fn xl2tpd_as_lac_by_itself_logs_in_by_pap_and_hides_avps() {
    let ours = (
        "lcp-rate: 1",
        "ppp: { authentication: [pap] }\n      lcp-rate: 1",
    );
    let mut lab = build(Site::Head, &[ours]);
    let settings = Settings {
        data_path: DataPath::UserSpace,
        xl2tpd: "hidden bit = yes",
        pppd: "noauth\nuser remote.1",
    };
    lab.start(Site::Head).unwrap();
    let lac = Peer::start(&lab, Site::Remote, &settings);
    wait_until_up(&mut lab, Site::Head, &FAMILIES);
    assert_carries(&lab, &FAMILIES);
    lac.assert_compression_was_refused();
    lac.assert_fields_are_compressed();
}
