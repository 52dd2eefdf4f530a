//! DPDK's own testpmd as the yardstick: 5tswap on one core, driven through its prompt.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

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
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    device: Device,
}

impl Testpmd {
    /// Starts it on a CPU, in hugepages or not.
    pub(crate) fn start(
        device: Device,
        core: u32,
        hugepages: bool,
    ) -> Result<Self, Box<dyn Error>> {
        let memory: &[&str] = if hugepages {
            &["--in-memory"]
        } else {
            &["--no-huge", "--no-shconf"]
        };
        let vdev = match device {
            Device::Ring => "net_ring0".to_owned(),
            Device::Null { frame_octets } => format!("net_null0,size={frame_octets},copy=1"),
        };
        // Both lcores on one CPU: the main one only reads commands. To a pipe testpmd would write by the block.
        let mut child = Command::new("stdbuf")
            .args(["-oL", "dpdk-testpmd"])
            .args(memory)
            .args(["--no-pci", "--no-telemetry", "-m", "64"])
            .args(["--lcores", &format!("(0,1)@{core}")])
            .args(["--vdev", &vdev, "--", "-i", "--forward-mode=5tswap"])
            .args(["--record-core-cycles", "--port-topology=loop"])
            .arg("--total-num-mbufs=8192")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|problem| format!("dpdk-testpmd: {problem}"))?;
        let (Some(commands), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("dpdk-testpmd: no pipes".into());
        };
        Ok(Self {
            child,
            commands,
            answers: BufReader::new(answers),
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
            writeln!(self.commands, "set txpkts {frame_octets}\nstart tx_first")?;
        } else {
            writeln!(self.commands, "start")?;
        }
        self.wait_for("packets/burst=")?;
        thread::sleep(time);
        writeln!(self.commands, "stop")?;
        let line = self.wait_for("CPU cycles/packet=")?;
        self.wait_for("Done.")?;
        cycles(&line).ok_or_else(|| format!("dpdk-testpmd: not understood: {line}").into())
    }

    fn wait_for(&mut self, part: &str) -> Result<String, Box<dyn Error>> {
        let mut line = String::new();
        loop {
            line.clear();
            if self.answers.read_line(&mut line)? == 0 {
                return Err(format!("dpdk-testpmd ended before it said {part:?}").into());
            }
            if line.contains(part) {
                return Ok(line);
            }
        }
    }
}

impl Drop for Testpmd {
    fn drop(&mut self) {
        // stdbuf has become testpmd, so this is its own id. Its memory is anonymous: there is nothing to put in order.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn cycles(line: &str) -> Option<f64> {
    let (_, rest) = line.split_once("CPU cycles/packet=")?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_testpmd_says() {
        let line = "  CPU cycles/packet=33.21 (total cycles=20066415 / total 5tswap packets=604288) at 2600 MHz Clock\n";
        assert_eq!(cycles(line), Some(33.21));
        assert_eq!(cycles("Done."), None);
    }
}
