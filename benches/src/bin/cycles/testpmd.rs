//! DPDK's own testpmd as the yardstick: 5tswap on one core.

use std::error::Error;
use std::time::Duration;

use benches::testpmd::{self, Settings};

/// What testpmd forwards on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Device {
    /// One net_ring port wired to itself: whole UDP packets in the same buffers, over and over, as in-process wires do.
    Ring,
    /// One net_null port that makes buffers, copies frames of this length (zeros) into them, and frees them again.
    Null { frame_octets: usize },
}

/// A running testpmd. It sleeps except in [`Testpmd::round`].
pub(crate) struct Testpmd {
    testpmd: testpmd::Testpmd,
    device: Device,
}

impl Testpmd {
    /// Starts it on a CPU, in hugepages or not.
    pub(crate) fn start(
        device: Device,
        core: u32,
        hugepages: bool,
    ) -> Result<Self, Box<dyn Error>> {
        let vdev = match device {
            Device::Ring => "net_ring0".to_owned(),
            Device::Null { frame_octets } => format!("net_null0,size={frame_octets},copy=1"),
        };
        let arguments = [
            "--forward-mode=5tswap",
            "--record-core-cycles",
            "--port-topology=loop",
            "--total-num-mbufs=8192",
        ];
        let settings = Settings {
            // Both lcores on one CPU: the main one only reads commands.
            lcores: format!("(0,1)@{core}"),
            hugepages,
            memory_mib: 64,
            vdevs: vec![vdev],
            arguments: arguments.map(str::to_owned).to_vec(),
            ..Settings::default()
        };
        Ok(Self {
            testpmd: testpmd::Testpmd::start(&settings)?,
            device,
        })
    }

    pub(crate) fn device(&self) -> Device {
        self.device
    }

    /// Forwards for this long and says how many TSC cycles one packet took, empty polls not counted.
    pub(crate) fn round(
        &mut self,
        frame_octets: usize,
        time: Duration,
    ) -> Result<f64, Box<dyn Error>> {
        if let Device::Ring = self.device {
            // The first burst goes round and round.
            self.testpmd.ask(&format!("set txpkts {frame_octets}"))?;
            return self.testpmd.round("start tx_first", time);
        }
        self.testpmd.round("start", time)
    }
}
