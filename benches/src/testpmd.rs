//! DPDK's own testpmd, driven through its prompt: the yardstick, and the source and the sink around what is measured.
//!
//! A testpmd that is told nothing sleeps. It ends when its input does, so with the process that started it.

use std::collections::VecDeque;
use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

pub mod ebpf;
pub mod pcap;

const PROGRAM: &str = "dpdk-testpmd";
/// Longer than any command takes, on a machine with much else to do too.
const PATIENCE: Duration = Duration::from_secs(30);
/// Of what it printed, what an error shows.
const SHOWN_LINES: usize = 12;

/// How to start one.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// As EAL takes them: `(0,1)@1` is two lcores on CPU 1, the first of which only reads commands. testpmd wants two.
    pub lcores: String,
    pub hugepages: bool,
    pub memory_mib: u32,
    /// Devices with their arguments, which become ports 0, 1, ...
    pub vdevs: Vec<String>,
    /// More arguments of EAL.
    pub eal_arguments: Vec<String>,
    /// testpmd's own arguments, besides `-i`.
    pub arguments: Vec<String>,
}

/// A running testpmd.
pub struct Testpmd {
    child: Child,
    commands: ChildStdin,
    lines: Receiver<String>,
    last_lines: VecDeque<String>,
    asked: u64,
}

/// What a port counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortCounters {
    pub received_packets: u64,
    pub sent_packets: u64,
    /// In the time since this was last asked.
    pub received_pps: u64,
    /// In the same time.
    pub sent_pps: u64,
}

/// Where the program is.
///
/// # Errors
/// When it is not installed, with the package that has it.
pub fn find() -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(PROGRAM))
        .find(|file| file.is_file())
        .ok_or_else(|| format!("no {PROGRAM} here: it is in Debian's package dpdk-dev"))
}

impl Settings {
    /// What starts it. It becomes testpmd itself, with the same process id.
    ///
    /// # Errors
    /// When it is not installed.
    pub fn command(&self) -> Result<Command, String> {
        let memory: &[&str] = if self.hugepages {
            &["--in-memory"]
        } else {
            &["--no-huge", "--no-shconf"]
        };
        // To a pipe or a file it would write by the block.
        let mut command = Command::new("stdbuf");
        command.arg("-oL").arg(find()?).args(memory);
        command.args(["--no-pci", "--no-telemetry"]);
        command.args(["-m", &self.memory_mib.to_string()]);
        command.args(["--lcores", &self.lcores]);
        for vdev in &self.vdevs {
            command.args(["--vdev", vdev]);
        }
        command.args(&self.eal_arguments).args(["--", "-i"]);
        command.args(&self.arguments);
        Ok(command)
    }
}

impl Testpmd {
    /// Starts it. It reads commands when its ports are there; the first one waits for that.
    ///
    /// # Errors
    /// When it is not installed.
    pub fn start(settings: &Settings) -> Result<Self, Box<dyn Error>> {
        let mut child = settings
            .command()?
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|problem| format!("stdbuf {PROGRAM}: {problem}"))?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(commands), Some(answers), Some(complaints)) = pipes else {
            return Err(format!("{PROGRAM}: no pipes").into());
        };
        let (sender, lines) = mpsc::channel();
        pass_on(answers, sender.clone());
        pass_on(complaints, sender);
        Ok(Self {
            child,
            commands,
            lines,
            last_lines: VecDeque::new(),
            asked: 0,
        })
    }

    /// Of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Has it carry out a command, or several on a line each, and returns all that it said meanwhile.
    ///
    /// # Errors
    /// When it ends, or does not come to an end with the command.
    pub fn ask(&mut self, command: &str) -> Result<String, Box<dyn Error>> {
        self.asked += 1;
        // A comment does nothing, and is repeated when it is read: after all that the command has to say.
        let mark = format!("# answered {}", self.asked);
        writeln!(self.commands, "{command}\n{mark}")
            .map_err(|problem| self.failure(command, &problem.to_string()))?;
        let deadline = Instant::now() + PATIENCE;
        let mut answer = String::new();
        loop {
            let time = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(time) {
                Ok(line) if line.contains(&mark) => return Ok(answer),
                Ok(line) => {
                    if self.last_lines.len() == SHOWN_LINES {
                        self.last_lines.pop_front();
                    }
                    answer.push_str(&line);
                    answer.push('\n');
                    self.last_lines.push_back(line);
                }
                Err(RecvTimeoutError::Timeout) => {
                    return Err(self.failure(command, "no answer").into());
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(self.failure(command, "it has ended").into());
                }
            }
        }
    }

    fn failure(&mut self, command: &str, what: &str) -> String {
        let rest: Vec<String> = self.lines.try_iter().collect();
        let lines: Vec<&str> = self
            .last_lines
            .iter()
            .chain(&rest)
            .map(|it| &**it)
            .collect();
        format!("{PROGRAM}, asked {command:?}: {what}\n{}", lines.join("\n"))
    }

    /// Loads a program that sees every frame that a queue sends or receives (`tx` or `rx`), in place of the last one.
    ///
    /// # Errors
    /// When it is refused.
    pub fn load_program(
        &mut self,
        direction: &str,
        [port, queue]: [usize; 2],
        file: &std::path::Path,
    ) -> Result<(), Box<dyn Error>> {
        let command = format!("bpf-load {direction} {port} {queue} J {}", file.display());
        let answer = self.ask(&command)?;
        if answer.contains("0:Success") {
            return Ok(());
        }
        Err(format!("{PROGRAM}: {command}: {}", answer.trim()).into())
    }

    /// Does without the program of a queue, from one frame to the next.
    ///
    /// # Errors
    /// When it ends.
    pub fn unload_program(
        &mut self,
        direction: &str,
        [port, queue]: [usize; 2],
    ) -> Result<(), Box<dyn Error>> {
        self.ask(&format!("bpf-unload {direction} {port} {queue}"))?;
        Ok(())
    }

    /// What ports have counted.
    ///
    /// # Errors
    /// When there is no such port.
    pub fn counters(&mut self, ports: &[usize]) -> Result<Vec<PortCounters>, Box<dyn Error>> {
        let commands: Vec<String> = ports
            .iter()
            .map(|port| format!("show port stats {port}"))
            .collect();
        let answer = self.ask(&commands.join("\n"))?;
        let counters = ports.iter().map(|port| {
            let title = format!("NIC statistics for port {port} ");
            let (_, text) = answer.split_once(&title)?;
            Some(PortCounters {
                received_packets: number(text, "RX-packets:")?,
                sent_packets: number(text, "TX-packets:")?,
                received_pps: number(text, "Rx-pps:")?,
                sent_pps: number(text, "Tx-pps:")?,
            })
        });
        let counters: Option<Vec<PortCounters>> = counters.collect();
        counters.ok_or_else(|| format!("{PROGRAM}: not understood: {answer}").into())
    }

    /// Frames for a port that were thrown away because it did not take them, since the start of forwarding.
    ///
    /// # Errors
    /// When the port forwards nothing.
    pub fn refused_packets(&mut self, port: usize) -> Result<u64, Box<dyn Error>> {
        let answer = self.ask("show fwd stats all")?;
        let title = format!("Forward statistics for port {port} ");
        let of_port = answer.split_once(&title).map(|(_, rest)| rest);
        // testpmd leaves out the port of which there is nothing to tell.
        let refused = of_port.map_or(Some(0), |text| number(text, "TX-dropped:"));
        refused.ok_or_else(|| format!("{PROGRAM}: not understood: {answer}").into())
    }

    /// TSC cycles for one packet since the start of forwarding or the last `clear fwd stats all`, empty polls not
    /// counted. Needs `--record-core-cycles`.
    ///
    /// # Errors
    /// When it has forwarded nothing.
    pub fn cycles_per_packet(&mut self) -> Result<f64, Box<dyn Error>> {
        let answer = self.ask("show fwd stats all")?;
        cycles(&answer).ok_or_else(|| format!("{PROGRAM}: not understood: {answer}").into())
    }

    /// Forwards for this long and says how many TSC cycles one packet took, empty polls not counted. Needs
    /// `--record-core-cycles`. `how`: `start`, or `start tx_first`.
    ///
    /// # Errors
    /// When it has forwarded nothing.
    pub fn round(&mut self, how: &str, time: Duration) -> Result<f64, Box<dyn Error>> {
        self.ask(how)?;
        thread::sleep(time);
        let answer = self.ask("stop")?;
        cycles(&answer).ok_or_else(|| format!("{PROGRAM}: not understood: {answer}").into())
    }

    /// Whether each of its ports has a link, from port 0 on.
    ///
    /// # Errors
    /// When it has ended.
    pub fn links(&mut self) -> Result<Vec<bool>, Box<dyn Error>> {
        let answer = self.ask("show port summary all")?;
        Ok(links(&answer))
    }

    /// Waits until these ports have a link.
    ///
    /// # Errors
    /// When one of them has none in time.
    pub fn wait_for_links(
        &mut self,
        ports: &[usize],
        limit: Duration,
    ) -> Result<(), Box<dyn Error>> {
        let deadline = Instant::now() + limit;
        loop {
            let links = self.links()?;
            let mut down = ports.iter().filter(|port| links.get(**port) != Some(&true));
            let Some(first) = down.next() else {
                return Ok(());
            };
            if Instant::now() > deadline {
                return Err(format!("{PROGRAM}: port {first} has no link").into());
            }
            thread::sleep(Duration::from_millis(20));
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

/// Sends on every line of an output.
fn pass_on(from: impl Read + Send + 'static, to: Sender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            if to.send(line).is_err() {
                return;
            }
        }
    });
}

/// The first number that stands after a name.
fn number(text: &str, name: &str) -> Option<u64> {
    let (_, rest) = text.split_once(name)?;
    rest.split_whitespace().next()?.parse().ok()
}

fn cycles(text: &str) -> Option<f64> {
    let (_, rest) = text.split_once("CPU cycles/packet=")?;
    rest.split_whitespace().next()?.parse().ok()
}

/// Of a table of ports, the column `Link` or `Status`: rows begin with the port's number.
fn links(summary: &str) -> Vec<bool> {
    let rows = summary.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        words.next()?.parse::<usize>().ok()?;
        Some(words.any(|word| word == "up"))
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_testpmd_says() {
        let line = "  CPU cycles/packet=33.21 (total cycles=20066415 / total 5tswap packets=604288) at 2600 MHz Clock\n";
        assert_eq!(cycles(line), Some(33.21));
        assert_eq!(cycles("Done."), None);
        let counters = "  RX-packets: 7          RX-missed: 0          RX-bytes:  0\n  Rx-pps:          930\n  Tx-pps:     14170958\n";
        assert_eq!(number(counters, "RX-packets:"), Some(7));
        assert_eq!(number(counters, "Rx-pps:"), Some(930));
        assert_eq!(number(counters, "Tx-pps:"), Some(14_170_958));
        assert_eq!(number(counters, "TX-packets:"), None);
    }

    #[test]
    fn reads_which_ports_have_a_link() {
        let summary = "Number of available ports: 2\n\
            Port MAC Address       Name         Driver         Status   Link\n\
            0    02:70:63:61:70:00 net_pcap0    net_pcap       up       10 Gbps\n\
            1    6E:CF:E2:3A:88:87 net_memif0   net_memif      down     10 Gbps\n";
        assert_eq!(links(summary), [true, false]);
    }
}
