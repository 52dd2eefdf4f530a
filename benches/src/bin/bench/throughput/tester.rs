//! The source and the sink: one testpmd with one forwarding core, all of whose ports are there from the start.
//!
//! Frames from a file go out by one port and what comes back by others is freed. Two programs see each frame: one at the
//! file's port, which lets none through between two trials, and one at the port that sends, which sets the pace. So what
//! is counted of a trial is exact: nothing flows while a program is exchanged. Rates are what testpmd says of its ports while
//! frames flow, from one look to the next.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use benches::testpmd::{self, Settings, Testpmd, ebpf, pcap};

use super::search::Trial;

/// Of all sizes together: each queue of a file's port holds its frames twice.
const BUFFERS: u32 = 65_536;
const MEMORY_MIB: u32 = 320;
/// For what comes back: ports that free it.
const SINKS: usize = 4;
const LINKS_LIMIT: Duration = Duration::from_secs(20);
/// What is on its way when a trial ends is waited for as long as something comes, but not for ever: an appliance also
/// sends frames of its own.
const DRAIN_LIMIT: Duration = Duration::from_millis(100);
const DRAIN_INTERVAL: Duration = Duration::from_millis(10);
const DRAIN_LOOKS: usize = 3;
/// For the cost of one step of the pace.
const CALIBRATION_PACE: u32 = 1000;
const CALIBRATION_TIME: Duration = Duration::from_millis(40);

/// What a tester is made of.
pub(super) struct Parts<'a> {
    /// For files.
    pub(super) folder: &'a Path,
    /// On which it runs.
    pub(super) cpu: u32,
    pub(super) queues: usize,
    pub(super) hugepages: bool,
    /// Ports that lead somewhere.
    pub(super) wires: Vec<String>,
    /// Of each kind of traffic.
    pub(super) traffic: Vec<Vec<Vec<u8>>>,
}

pub(super) struct Tester {
    testpmd: Testpmd,
    folder: PathBuf,
    queues: usize,
    wires: usize,
    traffic: usize,
    /// Nanoseconds that a step of the pace adds to a frame.
    step_ns: f64,
    way: Option<Way>,
}

/// Which way frames go: into one wire and out of others, all of which bring each of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) traffic: usize,
    pub(super) into: usize,
    pub(super) out_of: Vec<usize>,
}

impl Tester {
    /// Starts it. It is there when [`Tester::prepare`] says so: some wires wait for their other ends.
    pub(super) fn start(parts: Parts<'_>) -> Result<Self, Box<dyn Error>> {
        let (wires, traffic) = (parts.wires.len(), parts.traffic.len());
        let mut vdevs = parts.wires;
        vdevs.extend((0..SINKS).map(|index| format!("net_null{index},no-rx=1")));
        for (index, frames) in parts.traffic.iter().enumerate() {
            let file = parts.folder.join(format!("traffic{index}.pcap"));
            pcap::write(&file, frames)?;
            let queues = format!(",rx_pcap={}", file.display()).repeat(parts.queues);
            vdevs.push(format!("net_pcap{index}{queues},infinite_rx=1"));
        }
        fs::write(parts.folder.join("valve.o"), ebpf::drop_all())?;
        let queues = parts.queues;
        let arguments = [
            "--forward-mode=io".to_owned(),
            // Before anything is asked of a file's port it would be emptied.
            "--no-flush-rx".to_owned(),
            format!("--total-num-mbufs={BUFFERS}"),
            format!("--rxq={queues}"),
            format!("--txq={queues}"),
        ];
        // In whose memory the rings are, its other end maps, and can do so with few pieces only.
        let eal_arguments = parts.hugepages.then(|| "--single-file-segments".to_owned());
        let testpmd = Testpmd::start(&Settings {
            lcores: format!("(0,1)@{}", parts.cpu),
            hugepages: parts.hugepages,
            memory_mib: MEMORY_MIB,
            vdevs,
            eal_arguments: eal_arguments.into_iter().collect(),
            arguments: arguments.to_vec(),
        })?;
        Ok(Self {
            testpmd,
            folder: parts.folder.to_owned(),
            queues,
            wires,
            traffic,
            step_ns: 1.0,
            way: None,
        })
    }

    /// Of its process.
    pub(super) fn id(&self) -> u32 {
        self.testpmd.id()
    }

    /// Waits until it reads commands, shuts the valves and measures what a step of the pace costs.
    pub(super) fn prepare(&mut self) -> Result<(), Box<dyn Error>> {
        for traffic in 0..self.traffic {
            self.shut(traffic)?;
        }
        let sink = self.wires;
        let mut frame_ns = [0.0; 2];
        for (pace, frame_ns) in [0, CALIBRATION_PACE].into_iter().zip(&mut frame_ns) {
            self.forward(&[self.source(0), sink])?;
            let (sent_pps, _) = self.flow(0, sink, &[], pace, CALIBRATION_TIME)?;
            *frame_ns = 1e9 / sent_pps.max(1.0);
            self.testpmd.ask("stop")?;
        }
        self.set_pace(sink, None)?;
        self.step_ns = ((frame_ns[1] - frame_ns[0]) / f64::from(CALIBRATION_PACE)).max(0.1);
        Ok(())
    }

    /// Forwards between wires, in pairs of neighbours.
    pub(super) fn connect(&mut self, wires: usize) -> Result<(), Box<dyn Error>> {
        let ports: Vec<usize> = (0..wires).collect();
        self.testpmd.wait_for_links(&ports, LINKS_LIMIT)?;
        self.way = None;
        self.forward(&ports)
    }

    /// Has frames go another way from now on.
    pub(super) fn take(&mut self, way: Way) -> Result<(), Box<dyn Error>> {
        if self.way.as_ref() == Some(&way) {
            return Ok(());
        }
        let ports: Vec<usize> = way.out_of.iter().copied().chain([way.into]).collect();
        self.testpmd.wait_for_links(&ports, LINKS_LIMIT)?;
        let mut list = vec![self.source(way.traffic), way.into];
        for (index, wire) in way.out_of.iter().enumerate() {
            list.extend([self.wires + index, *wire]);
        }
        self.forward(&list)?;
        // What stood in the rings.
        self.testpmd.ask("clear port stats all")?;
        self.drained(&way)?;
        self.way = Some(way);
        Ok(())
    }

    pub(super) fn step_ns(&self) -> f64 {
        self.step_ns
    }

    /// Offers frames for this long at a pace. `at_valve` is called before the valve opens and when it is shut again
    /// and everything that was under way has come.
    pub(super) fn trial(
        &mut self,
        pace: u32,
        time: Duration,
        mut at_valve: impl FnMut() -> Result<(), Box<dyn Error>>,
    ) -> Result<Trial, Box<dyn Error>> {
        let way = self.way.clone().ok_or("the tester has no way to send")?;
        self.testpmd.ask("clear port stats all")?;
        let refused_before = self.testpmd.refused_packets(way.into)?;
        at_valve()?;
        let (accepted_pps, delivered_pps) =
            self.flow(way.traffic, way.into, &way.out_of, pace, time)?;
        let (accepted, received) = self.drained(&way)?;
        at_valve()?;
        let refused = self.testpmd.refused_packets(way.into)? - refused_before;
        let ways = way.out_of.len() as u64;
        let lost = (accepted * ways).saturating_sub(received);
        let offered = accepted + refused;
        Ok(Trial {
            pace,
            offered,
            refused,
            lost: lost.div_ceil(ways.max(1)),
            offered_pps: accepted_pps * offered as f64 / (accepted as f64).max(1.0),
            accepted_pps,
            delivered_pps,
        })
    }

    /// Opens a valve for this long. Frames a second that the wire took, and that came out of each of the others in the mean.
    fn flow(
        &mut self,
        traffic: usize,
        into: usize,
        out_of: &[usize],
        pace: u32,
        time: Duration,
    ) -> Result<(f64, f64), Box<dyn Error>> {
        self.set_pace(into, Some(pace))?;
        let source = self.source(traffic);
        for queue in 0..self.queues {
            self.testpmd.unload_program("rx", [source, queue])?;
        }
        let ports: Vec<usize> = [into].iter().chain(out_of).copied().collect();
        self.testpmd.counters(&ports)?;
        thread::sleep(time);
        let counters = self.testpmd.counters(&ports)?;
        self.shut(traffic)?;
        let sent_pps = counters.first().map_or(0, |it| it.sent_pps);
        let received_pps: u64 = counters.iter().skip(1).map(|it| it.received_pps).sum();
        Ok((
            sent_pps as f64,
            received_pps as f64 / (out_of.len() as f64).max(1.0),
        ))
    }

    fn shut(&mut self, traffic: usize) -> Result<(), Box<dyn Error>> {
        let source = self.source(traffic);
        let file = self.folder.join("valve.o");
        for queue in 0..self.queues {
            self.testpmd.load_program("rx", [source, queue], &file)?;
        }
        Ok(())
    }

    /// While a valve is shut.
    fn set_pace(&mut self, port: usize, pace: Option<u32>) -> Result<(), Box<dyn Error>> {
        let file = self.folder.join("pace.o");
        if let Some(pace) = pace {
            fs::write(&file, ebpf::delay(pace))?;
        }
        for queue in 0..self.queues {
            match pace {
                Some(_) => self.testpmd.load_program("tx", [port, queue], &file)?,
                None => self.testpmd.unload_program("tx", [port, queue])?,
            }
        }
        Ok(())
    }

    /// Waits until everything that was sent has come by all ways, or nothing comes any more, or for too long. Frames that
    /// the wire took, and those that came.
    fn drained(&mut self, way: &Way) -> Result<(u64, u64), Box<dyn Error>> {
        let ports: Vec<usize> = [way.into].iter().chain(&way.out_of).copied().collect();
        let deadline = Instant::now() + DRAIN_LIMIT;
        let (mut last, mut same) = (None, 0);
        loop {
            let counters = self.testpmd.counters(&ports)?;
            let accepted = counters.first().map_or(0, |it| it.sent_packets);
            let received = counters.iter().skip(1).map(|it| it.received_packets).sum();
            same = if last == Some(received) { same + 1 } else { 0 };
            last = Some(received);
            let has_all = accepted > 0 && received >= accepted * way.out_of.len() as u64;
            if has_all || same == DRAIN_LOOKS || Instant::now() > deadline {
                return Ok((accepted, received));
            }
            thread::sleep(DRAIN_INTERVAL);
        }
    }

    fn forward(&mut self, ports: &[usize]) -> Result<(), Box<dyn Error>> {
        let list: Vec<String> = ports.iter().map(usize::to_string).collect();
        self.testpmd.ask("stop")?;
        self.testpmd
            .ask(&format!("set portlist {}", list.join(",")))?;
        let answer = self.testpmd.ask("start")?;
        if answer.contains("packets/burst=") {
            return Ok(());
        }
        Err(format!("testpmd does not forward between {list:?}: {answer}").into())
    }

    /// The port of a file.
    fn source(&self, traffic: usize) -> usize {
        self.wires + SINKS + traffic
    }
}

/// Whether testpmd is there.
pub(super) fn check() -> Result<(), Box<dyn Error>> {
    testpmd::find()?;
    Ok(())
}
