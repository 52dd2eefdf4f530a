//! What a router owes its networks, seen from kernel hosts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use benches::lab::{LabConfig, Site};
use benches::ping::Ping;
use benches::transfer::{Transfer, TransferConfig};
use benches::usage::CpuTime;
use nix::time::{ClockId, clock_gettime};

use super::{
    Traffic, assert_nothing_lost_nothing_twice, at_host, config, output, running, sleep, status,
};

/// An idle appliance takes no more than so many threads that sleep a millisecond at a time.
const MOST_SLEEPERS: f64 = 8.0;

#[test]
fn icmp_tells_the_truth() {
    let lab = running(config());
    let ping = |arguments: &[&str]| at_host(&lab, Site::Head, "ping", arguments);

    // The links carry 1450 octets inside, and the set all that Ethernet does.
    let whole = ping(&[
        "-c",
        "2",
        "-W",
        "2",
        "-M",
        "do",
        "-s",
        "1472",
        "192.168.2.10",
    ]);
    assert!(whole.contains("2 received"), "{whole}");
    let fragmented = ping(&[
        "-c",
        "3",
        "-W",
        "2",
        "-M",
        "dont",
        "-s",
        "3000",
        "192.168.2.10",
    ]);
    assert!(fragmented.contains("3 received"), "{fragmented}");

    let first_hop = ping(&["-c", "1", "-W", "2", "-t", "1", "192.168.2.10"]);
    assert!(
        first_hop.contains("From 192.168.1.1") && first_hop.contains("Time to live exceeded"),
        "{first_hop}"
    );
    let second_hop = ping(&["-c", "1", "-W", "2", "-t", "2", "192.168.2.10"]);
    assert!(
        second_hop.contains("From 192.168.2.1") && second_hop.contains("Time to live exceeded"),
        "{second_hop}"
    );
    let nowhere = ping(&["-c", "1", "-W", "2", "203.0.113.9"]);
    assert!(nowhere.contains("Destination Net Unreachable"), "{nowhere}");
    let nobody = ping(&["-c", "1", "-W", "5", "192.168.2.77"]);
    assert!(nobody.contains("Destination Host Unreachable"), "{nobody}");

    for own in ["192.168.1.1", "192.168.2.1"] {
        let answered = ping(&["-c", "2", "-W", "2", own]);
        assert!(answered.contains("2 received"), "{answered}");
    }
    // The remote end's PPP address stands in the head's LAN: proxy ARP answers for it.
    let proxied = ping(&["-c", "2", "-W", "2", "192.168.1.2"]);
    assert!(proxied.contains("2 received"), "{proxied}");
}

/// A TCP transfer whose ends believe in 1500 octets: the MSS is clamped, so no packet is too large, and it arrives intact.
#[test]
fn tcp_is_clamped_and_arrives_intact() {
    let lab = running(config());
    let (from, to) = (lab.host(Site::Remote).clone(), lab.host(Site::Head).clone());
    let transfer = TransferConfig {
        from,
        to,
        port: 6000,
        octets: 8 << 20,
        octets_per_s: None,
    };
    let report = Transfer::start(transfer).unwrap().finish().unwrap();
    assert!(report.is_intact, "the checksum of what arrived");
    println!("{} octets in {:?}", report.octets, report.elapsed);
    for site in Site::BOTH {
        let drops = &status(&lab, site).ports[0].drops;
        assert_eq!(
            drops.get("fragmentation-needed"),
            None,
            "no segment was too large: {drops:?}"
        );
    }
}

/// A peer that does not speak HA gets plain sessions: one carries, the others stand by, nothing comes twice.
#[test]
fn a_peer_without_ha_never_gets_a_duplicate() {
    let mut config = config();
    // Another vendor id at the head: neither end knows the other's AVP. Only its file has "incoming".
    config.head_edits.push((
        "  incoming:".to_owned(),
        "  vendor-id: 9\n  incoming:".to_owned(),
    ));
    let lab = running_plain(config);
    let traffic = Traffic::start(&lab, 1_000);
    sleep(5.0);
    assert_nothing_lost_nothing_twice(&lab, &traffic.stop());
    for site in Site::BOTH {
        let status = status(&lab, site);
        assert_eq!(status.sets[0].protection, "peer has no HA: no protection");
        let carrying: Vec<_> = status
            .sessions
            .iter()
            .filter(|session| session.sent_packets > 0)
            .collect();
        assert_eq!(
            carrying.len(),
            1,
            "one session carries: {:?}",
            status.sessions
        );
    }
}

/// An idle appliance costs little, and forwards what comes at once.
#[test]
fn an_idle_appliance_sleeps_and_wakes_in_time() {
    let lab = running(config());
    sleep(1.0);
    let pids = Site::BOTH.map(|site| lab.pid(site).expect("running"));
    // What a hypervisor takes from a machine counts as its processes' time, and waking costs more on some machines than on
    // others: so the appliances are measured against a thread that does nothing but sleep a millisecond at a time, as each of
    // their threads does that has nothing to do. Whoever does not sleep takes all of every second.
    let sleeper = Sleeper::start();
    let cpu_time = |pid| CpuTime::of(pid).expect("it runs").all;
    let seconds = (0..6).map(|_| {
        let before = pids.map(cpu_time);
        let slept = sleeper.cpu_time();
        sleep(1.0);
        let slept = sleeper.cpu_time() - slept;
        [0, 1].map(|place| (cpu_time(pids[place]) - before[place], slept))
    });
    let seconds: Vec<_> = seconds.collect();
    println!("CPU time of head and remote in each second, and of a sleeper: {seconds:?}");
    for (place, site) in Site::BOTH.into_iter().enumerate() {
        let used: Duration = seconds.iter().map(|second| second[place].0).sum();
        let slept: Duration = seconds.iter().map(|second| second[place].1).sum();
        let ratio = used.as_secs_f64() / slept.as_secs_f64();
        println!("{}: as much as {ratio:.1} sleepers", site.name());
        assert!(
            ratio < MOST_SLEEPERS,
            "{} uses {used:?} in 6 s, a sleeper {slept:?}",
            site.name()
        );
    }
    // 10 ms of the fastest link's delay and up to 2 ms of its jitter there and back; four forwardings.
    let ping = Ping::run(lab.host(Site::Head), lab.host(Site::Remote).address, 20).unwrap();
    println!(
        "ping over 10 to 12 ms of line: least {} ms, mean {} ms",
        ping.least_ms, ping.mean_ms
    );
    assert_eq!((ping.received, ping.duplicates), (20, 0));
    assert!(
        ping.least_ms < 15.0,
        "each of four forwardings takes about 1 ms at most: {} ms",
        ping.least_ms
    );
}

/// What the appliance changed on the interfaces it took is as before when it ends.
#[test]
fn interfaces_are_given_back_as_they_were() {
    let mut lab = benches::lab::Lab::build(config()).unwrap();
    let state = |lab: &benches::lab::Lab| {
        let namespace = lab.namespace(Site::Remote);
        let sysctls = [
            "net.ipv6.conf.isp1.disable_ipv6",
            "net.ipv4.conf.isp1.forwarding",
            "net.ipv4.conf.isp1.arp_ignore",
        ];
        output(namespace.command("ethtool").args(["-k", "isp1"]))
            + &output(namespace.command("sysctl").args(sysctls))
            + &output(namespace.command("cat").arg("/sys/class/net/isp1/flags"))
    };
    let before = state(&lab);
    for site in Site::BOTH {
        lab.start(site).unwrap();
    }
    lab.wait_until_set_up(super::SET_UP_LIMIT).unwrap();
    assert_ne!(
        state(&lab),
        before,
        "something was switched off while it ran"
    );
    assert!(lab.stop(Site::Remote).unwrap().success());
    assert_eq!(state(&lab), before);
}

/// As [`running`], where no link is ever a member of a set.
fn running_plain(config: LabConfig) -> benches::lab::Lab {
    let mut lab = benches::lab::Lab::build(config).unwrap();
    for site in Site::BOTH {
        lab.start(site).unwrap();
    }
    let all_up = |lab: &benches::lab::Lab| {
        Site::BOTH.into_iter().all(|site| {
            lab.status(site).is_ok_and(|status| {
                status.sessions.len() == 3
                    && status
                        .sessions
                        .iter()
                        .all(|session| ["up", "standby"].contains(&&*session.state))
            })
        })
    };
    let started = std::time::Instant::now();
    while !all_up(&lab) {
        assert!(
            started.elapsed() < super::SET_UP_LIMIT,
            "{}",
            super::drops_of(&lab)
        );
        sleep(0.1);
    }
    lab
}

/// A thread that sleeps a millisecond at a time.
struct Sleeper {
    stop: Arc<AtomicBool>,
    used_ns: Arc<AtomicU64>,
}

impl Sleeper {
    fn start() -> Self {
        let sleeper = Self {
            stop: Arc::default(),
            used_ns: Arc::default(),
        };
        let (stop, used_ns) = (Arc::clone(&sleeper.stop), Arc::clone(&sleeper.used_ns));
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(1));
                let used = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("a clock");
                used_ns.store(Duration::from(used).as_nanos() as u64, Ordering::Relaxed);
            }
        });
        sleeper
    }

    fn cpu_time(&self) -> Duration {
        Duration::from_nanos(self.used_ns.load(Ordering::Relaxed))
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
