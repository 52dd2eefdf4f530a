//! The system's `ping`, run in a host and its summary read.

use std::io;
use std::net::IpAddr;
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::traffic::Host;

/// A running `ping`. Dropping it ends it.
pub struct Ping {
    child: Option<Child>,
}

/// What `ping` says at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PingReport {
    pub sent: u64,
    pub received: u64,
    pub duplicates: u64,
    pub least_ms: f64,
    pub mean_ms: f64,
    pub most_ms: f64,
}

impl PingReport {
    pub fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.received)
    }
}

impl Ping {
    /// Pings `to` five times a second.
    pub fn start(from: &Host, to: IpAddr) -> io::Result<Self> {
        let child = from
            .namespace
            .command("ping")
            .args(["-n", "-i", "0.2", &to.to_string()])
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Self { child: Some(child) })
    }

    /// Sends `count` requests and waits for the end.
    pub fn run(from: &Host, to: IpAddr, count: u32) -> io::Result<PingReport> {
        let output = from
            .namespace
            .command("ping")
            .args([
                "-n",
                "-i",
                "0.2",
                "-W",
                "2",
                "-c",
                &count.to_string(),
                &to.to_string(),
            ])
            .env("LC_ALL", "C")
            .output()?;
        parsed(&output.stdout)
    }

    /// Ends it as Ctrl-C does and reads the summary. The last request may still have been on its way.
    pub fn stop(mut self) -> io::Result<PingReport> {
        let Some(child) = self.child.take() else {
            return Ok(PingReport::default());
        };
        kill(pid(&child), Signal::SIGINT)?;
        parsed(&child.wait_with_output()?.stdout)
    }
}

impl Drop for Ping {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id() as i32)
}

fn parsed(output: &[u8]) -> io::Result<PingReport> {
    let output = String::from_utf8_lossy(output);
    parse(&output).ok_or_else(|| io::Error::other(format!("ping said: {}", output.trim())))
}

fn parse(output: &str) -> Option<PingReport> {
    let counts = output
        .lines()
        .find(|line| line.contains("packets transmitted"))?;
    let count = |what: &str| {
        let part = counts.split(',').find(|part| part.contains(what))?;
        let number = part.split_whitespace().next()?;
        number.trim_start_matches('+').parse::<u64>().ok()
    };
    let times = output.lines().find(|line| line.starts_with("rtt"));
    let mut times = times
        .and_then(|line| line.split_once(" = "))
        .map_or("", |(_, times)| times)
        .split('/')
        .map(|time| time.parse::<f64>().unwrap_or_default());
    Some(PingReport {
        sent: count("packets transmitted")?,
        received: count("received")?,
        duplicates: count("duplicates").unwrap_or(0),
        least_ms: times.next().unwrap_or_default(),
        mean_ms: times.next().unwrap_or_default(),
        most_ms: times.next().unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_ping_writes() {
        let output = "\n--- 192.168.2.2 ping statistics ---\n\
            50 packets transmitted, 49 received, +3 duplicates, 2% packet loss, time 9810ms\n\
            rtt min/avg/max/mdev = 5.123/6.500/20.250/1.002 ms\n";
        let expected = PingReport {
            sent: 50,
            received: 49,
            duplicates: 3,
            least_ms: 5.123,
            mean_ms: 6.5,
            most_ms: 20.25,
        };
        assert_eq!(parse(output), Some(expected));
        assert_eq!(expected.lost(), 1);
    }

    #[test]
    fn no_answer_at_all_is_still_a_summary() {
        let report =
            parse("3 packets transmitted, 0 received, 100% packet loss, time 400ms\n").unwrap();
        assert_eq!((report.sent, report.received, report.mean_ms), (3, 0, 0.0));
        assert_eq!(parse("ping: unknown host"), None);
    }
}
