//! testpmd in the appliance's place: it takes each frame from one wire, looks at its headers and sends it by another.

use std::error::Error;
use std::path::{Path, PathBuf};

use benches::testpmd::{Settings, Testpmd};
use dataplane::DESCRIPTORS;

use crate::bed::Wire;

const MEMORY_MIB: u32 = 128;
const BUFFERS: u32 = 16_384;

/// What it does to a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Nothing: source, wire and sink alone.
    Io,
    /// Exchanges both hardware addresses, both IP addresses and both ports.
    FiveTupleSwap,
    /// Writes hardware addresses.
    Mac,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::Io => "io",
            Self::FiveTupleSwap => "5tswap",
            Self::Mac => "mac",
        }
    }
}

/// Where it runs, and between what.
pub(super) struct Place<'a> {
    pub(super) folder: &'a Path,
    pub(super) wire: Wire,
    /// One forwarding core on each; all of them poll.
    pub(super) cpus: &'a [u32],
    /// Each frame is forwarded twice, with a memif in between, as by a pair of appliances.
    pub(super) is_pair: bool,
    pub(super) hugepages: bool,
}

pub(super) struct Comparator {
    testpmd: Testpmd,
    /// How often it forwards each frame.
    times: usize,
}

/// Of its wires.
const ADDRESSES: [[u8; 6]; 2] = [[2, 0, 0, 0, 0, 0xd1], [2, 0, 0, 0, 0, 0xd2]];

impl Comparator {
    /// Starts it, without waiting until it is there: with vhost-user it waits for its tester.
    pub(super) fn start(place: &Place<'_>) -> Result<Self, Box<dyn Error>> {
        let sockets = sockets(place.folder);
        let end = |index: usize| place.wire.waiting(index, &sockets[index], ADDRESSES[index]);
        let mut vdevs = vec![end(0)];
        if place.is_pair {
            let between = place.folder.join("comparator-between.sock");
            vdevs.push(Wire::Memif.waiting(2, &between, ADDRESSES[0]));
            vdevs.push(Wire::Memif.calling(3, &between, ADDRESSES[1]));
        }
        vdevs.push(end(1));
        // The first lcore only reads commands.
        let others = place.cpus.iter().enumerate().skip(1);
        let lcores = others.map(|(index, cpu)| format!(",{}@{cpu}", index + 1));
        let first = place.cpus.first().copied().unwrap_or(0);
        let cores = place.cpus.len();
        let eal_arguments = place.hugepages.then(|| "--single-file-segments".to_owned());
        let testpmd = Testpmd::start(&Settings {
            lcores: format!("(0,1)@{first}{}", lcores.collect::<String>()),
            hugepages: place.hugepages,
            memory_mib: MEMORY_MIB,
            vdevs,
            eal_arguments: eal_arguments.into_iter().collect(),
            arguments: vec![
                "--record-core-cycles".to_owned(),
                format!("--total-num-mbufs={BUFFERS}"),
                format!("--nb-cores={cores}"),
                format!("--rxq={cores}"),
                format!("--txq={cores}"),
                // As hal2tp does. Of memif's rings the wires say how long they are.
                format!("--rxd={DESCRIPTORS}"),
                format!("--txd={DESCRIPTORS}"),
            ],
        })?;
        Ok(Self {
            testpmd,
            times: if place.is_pair { 2 } else { 1 },
        })
    }

    /// Of its process.
    pub(super) fn id(&self) -> u32 {
        self.testpmd.id()
    }

    /// Waits until it reads commands.
    pub(super) fn prepare(&mut self) -> Result<(), Box<dyn Error>> {
        self.testpmd.ask("stop")?;
        Ok(())
    }

    /// Forwards from now on.
    pub(super) fn forward(&mut self, mode: Mode) -> Result<(), Box<dyn Error>> {
        self.testpmd.ask(&format!("set fwd {}", mode.name()))?;
        self.testpmd.ask("start")?;
        Ok(())
    }

    /// Sleeps.
    pub(super) fn stop(&mut self) -> Result<(), Box<dyn Error>> {
        self.testpmd.ask("stop")?;
        Ok(())
    }

    pub(super) fn clear_cycles(&mut self) -> Result<(), Box<dyn Error>> {
        self.testpmd.ask("clear fwd stats all")?;
        Ok(())
    }

    /// For each frame from one end to the other.
    pub(super) fn cycles_per_frame(&mut self) -> Result<f64, Box<dyn Error>> {
        Ok(self.testpmd.cycles_per_packet()? * self.times as f64)
    }
}

/// The tester's ends of its wires: in and out.
pub(super) fn tester_wires(wire: Wire, folder: &Path, first_index: usize) -> Vec<String> {
    let sockets = sockets(folder);
    let ends = sockets.iter().zip(ADDRESSES).enumerate();
    ends.map(|(index, (socket, mac))| wire.calling(first_index + index, socket, mac))
        .collect()
}

fn sockets(folder: &Path) -> [PathBuf; 2] {
    ["in", "out"].map(|name| folder.join(format!("comparator-{name}.sock")))
}
