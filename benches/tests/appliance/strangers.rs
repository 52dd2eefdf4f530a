//! Junk at full speed, forged and real addresses, against live HA traffic: no tunnel drops, nothing is lost or
//! delivered twice, memory stays flat, answers stay bounded, and every frame ends in a counter.

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use benches::flood::{Flood, FloodConfig, FloodReport, Wire};
use benches::frame_socket::FrameSocket;
use benches::junk::{Junk, Target, l2tp_payload, message_type};
use benches::lab::{Lab, LabConfig, Site};
use benches::netns::joined;
use benches::snmp;
use benches::status::{Port, Session, Status};

use super::{
    SET_UP_LIMIT, Traffic, assert_honest, config, dropped, drops_of, make_neighbours, output,
    sleep, status,
};

const SEED: u64 = 1;
const FRAMES_PER_S: u64 = 200_000;
/// Different frames for each link and site.
const FRAMES: usize = 30_000;
const PHASE_S: f64 = 4.0;
const PACKETS_PER_S: u32 = 1_000;
/// `status` answers, however much the control thread is told.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// What strangers may make an appliance hold: half-open tunnels, neighbours, queues.
pub(super) const GROWTH_KIB: u64 = 24 << 10;
/// From the end of the first flood on, the limits being reached.
const LATER_GROWTH_KIB: u64 = 8 << 10;
/// Drops of what leaves by a port; all others are of what arrived.
const OUTBOUND_DROPS: [&str; 6] = [
    "tx-ring-full",
    "port-down",
    "over-speed",
    "no-buffer",
    "no-member",
    "link-too-small",
];

/// The port's ring had no room.
pub(super) const RING_FULL: &str = "device-receive-missed";

/// Every address of the links' networks but the two ends is a stranger's.
fn with_strangers() -> LabConfig {
    let wide = |end: u8| {
        let address = move |link: u8| format!("10.{link}.0.{end}");
        (1..=3).map(move |link| {
            let address = address(link);
            (format!("{address}/24"), format!("{address}/16"))
        })
    };
    LabConfig {
        head_edits: wide(1).collect(),
        remote_edits: wide(2).collect(),
        ..config()
    }
}

/// What the peer of `site` sends over a link, from now on.
struct Overhearing {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<Vec<Vec<u8>>>>,
}

impl Overhearing {
    fn start(lab: &Lab, site: Site, link: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&stop);
        let interface = site.other().name();
        let thread = lab.isp(link).spawn(move || {
            let mut socket = FrameSocket::open(interface)?;
            let mut frames = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                while socket.receive(&mut |frame| frames.push(frame.to_vec()))? > 0 {}
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(frames)
        });
        Self { stop, thread }
    }

    fn stop(self) -> Vec<Vec<u8>> {
        self.stop.store(true, Ordering::Relaxed);
        joined(self.thread).expect("the wire can be heard")
    }
}

fn target(lab: &Lab, site: Site, link: usize, overheard: Vec<Vec<u8>>) -> Target {
    let file = format!("/sys/class/net/isp{link}/address");
    let mac = output(lab.namespace(site).command("cat").arg(file));
    let ends = [1, 2].map(|end| Ipv4Addr::new(10, link as u8, 0, end));
    let (address, peer) = match site {
        Site::Head => (ends[0], ends[1]),
        Site::Remote => (ends[1], ends[0]),
    };
    Target {
        mac: hardware_address(&mac),
        address,
        peer,
        overheard,
    }
}

pub(super) fn hardware_address(text: &str) -> [u8; 6] {
    let octets = text.trim().split(':');
    let octets = octets.map(|octet| u8::from_str_radix(octet, 16).expect("a hardware address"));
    let octets: Vec<u8> = octets.collect();
    octets.try_into().expect("six octets")
}

/// One flood: a site, some of its links, and what became of it.
struct Phase {
    site: Site,
    links: Vec<usize>,
    /// Numbers of the packets sent towards the site meanwhile.
    numbers: Range<u64>,
    reports: Vec<FloodReport>,
    /// Frames that the wire lost, by link.
    missed: Vec<u64>,
}

struct Strangers {
    frames: BTreeMap<(usize, usize), Arc<Vec<Vec<u8>>>>,
}

impl Strangers {
    fn flood(&self, lab: &Lab, site: Site, links: &[usize], traffic: &Traffic) -> Phase {
        let towards = |traffic: &Traffic| traffic.sent()[site.other() as usize];
        let (from, before) = (towards(traffic), missed(lab, site, links));
        let floods: Vec<Flood> = links
            .iter()
            .map(|&link| {
                Flood::start(FloodConfig {
                    wire: Wire {
                        namespace: lab.isp(link).clone(),
                        interface: site.name().to_owned(),
                    },
                    frames: Arc::clone(&self.frames[&(site as usize, link)]),
                    frames_per_s: FRAMES_PER_S / links.len() as u64,
                })
            })
            .collect();
        sleep(PHASE_S / 2.0);
        let asked = Instant::now();
        assert_eq!(status(lab, site).live_links(), [1, 2, 3]);
        assert!(asked.elapsed() < ANSWER_LIMIT, "{:?}", asked.elapsed());
        sleep(PHASE_S / 2.0);
        let reports: Vec<FloodReport> = floods
            .into_iter()
            .map(|flood| flood.stop().expect("the flood goes on to its end"))
            .collect();
        sleep(0.5);
        let after = missed(lab, site, links);
        let phase = Phase {
            site,
            links: links.to_vec(),
            numbers: from..towards(traffic),
            reports,
            missed: before
                .iter()
                .zip(after)
                .map(|(before, after)| after - before)
                .collect(),
        };
        phase.print();
        phase
    }
}

impl Phase {
    fn print(&self) {
        for ((link, report), missed) in self.links.iter().zip(&self.reports).zip(&self.missed) {
            let seconds = report.elapsed.as_secs_f64();
            println!(
                "{} by link {link}: {:.0} frames/s, {:.1} Mbit/s, {missed} of {} lost on the wire; \
                 {} answers ({} octets for {}), {} SCCRP, {} StopCCN, {} ICMP errors, {} asked for",
                self.site.name(),
                report.sent_frames as f64 / seconds,
                report.sent_octets as f64 * 8.0 / seconds / 1e6,
                report.sent_frames,
                report.answer_frames,
                report.answer_octets,
                report.sent_octets,
                report.sccrps,
                report.stop_ccns,
                report.icmp_errors,
                report.asked,
            );
        }
    }

    /// Packets that may be lost: none while a link is not flooded, or lost nothing.
    fn excused(&self, all_links: usize) -> u64 {
        let least = self.missed.iter().min().copied().unwrap_or(0);
        if self.links.len() < all_links {
            0
        } else {
            least
        }
    }
}

/// Frames that never came to the appliance: its ring was full, or the kernel's queue before it.
fn missed(lab: &Lab, site: Site, links: &[usize]) -> Vec<u64> {
    let status = status(lab, site);
    links
        .iter()
        .map(|&link| {
            dropped(&status, &format!("isp{link}"), RING_FULL)
                + kernel_counter(lab.isp(link), site.name(), "tx_dropped")
        })
        .collect()
}

/// Frames that a link's interface took from the wire.
fn arrived(lab: &Lab, site: Site, link: usize) -> u64 {
    kernel_counter(lab.namespace(site), &format!("isp{link}"), "rx_packets")
}

pub(super) fn kernel_counter(
    namespace: &benches::netns::Namespace,
    interface: &str,
    counter: &str,
) -> u64 {
    let file = format!("/sys/class/net/{interface}/statistics/{counter}");
    let text = output(namespace.command("cat").arg(file));
    text.trim()
        .parse()
        .unwrap_or_else(|_| panic!("{counter} of {interface}: {text}"))
}

/// Resident memory of an appliance, KiB, without DPDK's: its buffers are all there
/// from the start, and ordinary pages of them count from when they are first used.
pub(super) fn resident_kib(lab: &Lab, site: Site) -> u64 {
    const DPDK_KIB: u64 = 200 << 10;
    let file = format!("/proc/{}/smaps", lab.pid(site).expect("running"));
    let text = std::fs::read_to_string(file).expect("the process runs");
    let figures = |name: &'static str| {
        let lines = text.lines().filter_map(move |line| line.strip_prefix(name));
        lines.map(|rest| -> u64 {
            let word = rest.split_whitespace().next();
            word.and_then(|word| word.parse().ok()).expect("a number")
        })
    };
    let mappings = figures("Size:").zip(figures("Rss:"));
    let others = mappings.filter(|&(size, _)| size < DPDK_KIB);
    others.map(|(_, resident)| resident).sum()
}

/// Whatever goes on over the links, such as echoes and neighbours that are asked again, stops before the account is
/// read.
pub(super) fn cut_all(lab: &mut Lab) {
    for link in lab.links() {
        lab.set_outage(link, true).expect("the emulator answers");
    }
    sleep(0.5);
}

/// One appliance at a moment at which nothing was on its way through its uplinks.
pub(super) struct Moment {
    pub(super) status: Status,
    /// Frames that each link's interface took from the wire.
    arrived: Vec<u64>,
}

pub(super) fn moment(lab: &Lab, site: Site) -> Moment {
    let arrived = || -> Vec<u64> {
        let links = lab.links();
        links.map(|link| arrived(lab, site, link)).collect()
    };
    for _ in 0..200 {
        let before = arrived();
        sleep(0.005);
        let status = status(lab, site);
        if arrived() == before {
            return Moment {
                status,
                arrived: before,
            };
        }
    }
    panic!("the uplinks of {} never rest", site.name());
}

pub(super) fn port(status: &Status, link: usize) -> &Port {
    let mut ports = status.ports.iter();
    let name = format!("isp{link}");
    ports
        .find(|port| port.name == name)
        .expect("the port is there")
}

/// What became of all frames that a port received. `session` is the one whose copies come by it.
pub(super) fn accounted(port: &Port, session: Option<&Session>) -> u64 {
    let inbound =
        |reason: &str| !reason.starts_with("device-") && !OUTBOUND_DROPS.contains(&reason);
    let drops = port.drops.iter().filter(|(reason, _)| inbound(reason));
    let drops: u64 = drops.map(|(_, count)| count).sum();
    let taken = session.map_or(0, |session| session.wins + session.echo_answered);
    drops + port.punted_packets + taken + port.reassembled_fragments - port.reassembled_packets
}

/// Tunnels and sessions of the links, by their ids.
pub(super) fn connections(status: &Status) -> Vec<[u16; 4]> {
    let tunnels = status
        .tunnels
        .iter()
        .filter(|tunnel| tunnel.state == "established");
    let mut tunnels: Vec<_> = tunnels.collect();
    tunnels.sort_by_key(|tunnel| tunnel.table);
    let sessions = (1..=3).map(|link| status.link(link).expect("the session is there"));
    let ids = tunnels.iter().zip(sessions);
    ids.map(|(tunnel, session)| {
        [
            tunnel.local_tunnel_id,
            tunnel.peer_tunnel_id,
            session.local_session_id,
            session.peer_session_id,
        ]
    })
    .collect()
}

fn assert_answers_are_bounded(phase: &Phase, punted: u64) {
    let sum = |of: fn(&FloodReport) -> u64| phase.reports.iter().map(of).sum::<u64>();
    let seconds = phase
        .reports
        .iter()
        .map(|report| report.elapsed.as_secs_f64());
    let seconds = seconds.fold(0.0, f64::max).ceil() as u64 + 1;
    assert_eq!(
        sum(|report| report.kernel_drops),
        0,
        "all answers were counted"
    );
    assert!(
        sum(|report| report.answer_frames) <= punted,
        "one answer at most for what the control thread saw: {punted}"
    );
    assert!(sum(|report| report.answer_octets) < sum(|report| report.sent_octets));
    // RFC.md, Abuse: ten refusals a second in all.
    assert!(sum(|report| report.stop_ccns) <= 10 * seconds);
    // `host/icmp.rs`: seven causes, 100 a second each, 50 at once.
    assert!(sum(|report| report.icmp_errors) <= 7 * (100 * seconds + 50));
    if phase.site == Site::Head {
        assert!(sum(|report| report.sccrps) > 0, "requests were heard");
    }
}

#[test]
fn strangers_at_full_speed_disturb_nothing() {
    println!("seed {SEED}");
    let mut lab = Lab::build(with_strangers()).expect("the lab needs root");
    let places: Vec<(Site, usize)> = Site::BOTH
        .into_iter()
        .flat_map(|site| lab.links().map(move |link| (site, link)))
        .collect();
    let overhearing: Vec<_> = places
        .iter()
        .map(|&(site, link)| Overhearing::start(&lab, site, link))
        .collect();
    sleep(0.2);
    for site in Site::BOTH {
        lab.start(site).expect("the appliance starts");
    }
    lab.wait_until_set_up(SET_UP_LIMIT)
        .expect("all links come up");
    make_neighbours(&lab);
    cut_all(&mut lab);
    let started = Site::BOTH.map(|site| moment(&lab, site));
    let emulated = lab.links().map(|link| lab.link_stats(link).unwrap());
    let emulated: Vec<_> = emulated.collect();
    for link in lab.links() {
        lab.set_outage(link, false).expect("the emulator answers");
    }
    let traffic = Traffic::start(&lab, PACKETS_PER_S);
    sleep(1.5);
    let overheard: Vec<_> = overhearing.into_iter().map(Overhearing::stop).collect();
    let strangers = Strangers {
        frames: places
            .iter()
            .zip(&overheard)
            .map(|(&(site, link), of_peer)| {
                // Only the remote asks for tunnels; the head's requests are those.
                let all = places.iter().zip(&overheard);
                let requests = all
                    .filter(|(place, _)| place.1 == link)
                    .flat_map(|(_, frames)| frames)
                    .filter(|frame| l2tp_payload(frame).and_then(message_type) == Some(1));
                let overheard = of_peer.iter().chain(requests).cloned().collect();
                let target = target(&lab, site, link, overheard);
                let seed = SEED + 10 * link as u64 + site as u64;
                let frames = Junk::new(seed, target).frames(FRAMES);
                ((site as usize, link), Arc::new(frames))
            })
            .collect(),
    };
    let connected = Site::BOTH.map(|site| connections(&status(&lab, site)));
    assert!(connected.iter().all(|ids| ids.len() == 3), "{connected:?}");
    let memory = Site::BOTH.map(|site| resident_kib(&lab, site));

    let mut phases = Vec::new();
    let mut first_memory = memory;
    for (site, links) in [
        (Site::Head, vec![1]),
        (Site::Remote, vec![1]),
        (Site::Head, vec![2]),
        (Site::Head, vec![3]),
        (Site::Head, vec![1, 2, 3]),
        (Site::Remote, vec![1, 2, 3]),
    ] {
        let punted = |status: &Status| -> u64 {
            links
                .iter()
                .map(|&link| port(status, link).punted_packets)
                .sum()
        };
        let before = punted(&status(&lab, site));
        let phase = strangers.flood(&lab, site, &links, &traffic);
        assert_answers_are_bounded(&phase, punted(&status(&lab, site)) - before);
        phases.push(phase);
        if phases.len() == 2 {
            first_memory = Site::BOTH.map(|site| resident_kib(&lab, site));
        }
    }

    let last_memory = Site::BOTH.map(|site| resident_kib(&lab, site));
    println!("resident KiB: {memory:?}, {first_memory:?} after the first floods, {last_memory:?}");
    let reports = traffic.stop();
    for (site, report) in Site::BOTH.into_iter().zip(&reports) {
        println!(
            "from {}: {} of {} lost",
            site.name(),
            report.lost(),
            report.sent
        );
        assert_honest(report);
        assert_eq!(
            (report.delivered_twice, report.foreign),
            (0, 0),
            "from {}",
            site.name()
        );
        let towards = phases.iter().filter(|phase| phase.site == site.other());
        let mut excused = 0;
        for phase in towards {
            let lost = report.lost_in(phase.numbers.clone());
            let most = phase.excused(lab.links().count());
            assert!(
                lost <= most,
                "{lost} lost while links {:?} of {} were flooded, {most} excused\n{}",
                phase.links,
                phase.site.name(),
                drops_of(&lab)
            );
            excused += lost;
        }
        assert_eq!(report.lost(), excused, "nothing was lost at any other time");
    }
    for index in 0..2 {
        assert!(last_memory[index] <= memory[index] + GROWTH_KIB, "{index}");
        assert!(
            last_memory[index] <= first_memory[index] + LATER_GROWTH_KIB,
            "{index}"
        );
    }

    cut_all(&mut lab);
    for (site, (before, ids)) in Site::BOTH.into_iter().zip(started.iter().zip(&connected)) {
        let now = moment(&lab, site);
        assert_eq!(
            connections(&now.status),
            *ids,
            "the tunnels of {}",
            site.name()
        );
        let mut kept = 0;
        for link in lab.links() {
            let name = format!("{}, link {link}", site.name());
            let (port_now, port_before) = (port(&now.status, link), port(&before.status, link));
            println!(
                "{name}: {:?}, {} punted",
                port_now.drops, port_now.punted_packets
            );
            assert_eq!(
                port_now.received_packets,
                accounted(port_now, now.status.link(link)),
                "{name}: {port_now:?}"
            );
            let received = port_now.received_packets - port_before.received_packets;
            let missed = dropped(&now.status, &port_now.name, RING_FULL);
            let arrived = now.arrived[link - 1] - before.arrived[link - 1];
            kept += arrived - received - missed;
            let stats = lab.link_stats(link).unwrap();
            let (after, before) = match site {
                Site::Head => (stats.b_a, emulated[link - 1].b_a),
                Site::Remote => (stats.a_b, emulated[link - 1].a_b),
            };
            assert_eq!(after.kernel_drops, 0, "{name}: the emulator kept up");
            let carried = after.path.forwarded - before.path.forwarded;
            let flooded = phases
                .iter()
                .filter(|phase| phase.site == site)
                .flat_map(|phase| {
                    phase
                        .links
                        .iter()
                        .zip(&phase.reports)
                        .filter(|(of, _)| **of == link)
                });
            let flooded: u64 = flooded.map(|(_, report)| report.sent_frames).sum();
            let kernel_lost = kernel_counter(lab.isp(link), site.name(), "tx_dropped");
            assert_eq!(
                flooded + carried - kernel_lost,
                arrived,
                "{name}: what was sent"
            );
        }
        // The kernel puts fragments together before a ring sees them.
        let fragments = snmp::fragments_kept(lab.namespace(site)).unwrap();
        assert_eq!(kept, fragments, "{}: what the kernel kept", site.name());
    }
}
