//! The system's `iperf3` between two hosts, and its own account read.

use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::os::unix::process::CommandExt;
use std::process::{Child, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::netns::{Namespace, joined};
use crate::traffic::Host;

/// What to measure: from client to server, unless reversed.
#[derive(Clone, Debug)]
pub struct IperfConfig {
    pub client: Host,
    pub server: Host,
    /// Port of the server, one each.
    pub port: u16,
    pub seconds: u32,
    /// The server sends.
    pub is_reversed: bool,
    pub protocol: Protocol,
    pub tcp: Tcp,
}

/// How TCP sends; `None`: as the machine does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tcp {
    pub congestion_control: Option<&'static str>,
    /// At most, at an even pace.
    pub bits_per_s: Option<u64>,
}

/// What carries the octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// As fast as it goes.
    Tcp,
    /// Datagrams of one size at one rate; over IPv4 with DF set.
    Udp {
        payload_octets: u16,
        bits_per_s: u64,
    },
}

/// A running measurement. Dropping it ends both ends.
pub struct Iperf {
    server: Child,
    client: Option<Child>,
}

/// What iperf3 says at its end. UDP alone has packets, TCP alone has retransmits.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct IperfReport {
    pub sent_octets: u64,
    pub received_octets: u64,
    /// At the receiver.
    pub bits_per_s: f64,
    pub retransmits: u64,
    pub packets: u64,
    pub lost_packets: u64,
}

/// A server is given as long to listen.
const START_LIMIT: Duration = Duration::from_secs(5);

impl Iperf {
    /// Starts the server, waits until it listens, and starts the client.
    ///
    /// # Errors
    /// When there is no iperf3, and when the server does not listen in time.
    pub fn start(config: &IperfConfig) -> io::Result<Self> {
        let (server, port) = (&config.server, config.port);
        let address = server.address.to_string();
        let child = iperf3(&server.namespace)
            .args(["--server", "--one-off", "--bind", &address, "--port"])
            .arg(port.to_string())
            .stdout(Stdio::null())
            .spawn()?;
        let mut iperf = Self {
            server: child,
            client: None,
        };
        wait_until_listening(server, port)?;
        let mut client = iperf3(&config.client.namespace);
        client.args(["--json", "--client", &address, "--port", &port.to_string()]);
        client.args(["--time", &config.seconds.to_string()]);
        client.args(["--bind", &config.client.address.to_string()]);
        if config.is_reversed {
            client.arg("--reverse");
        }
        if let Some(name) = config.tcp.congestion_control {
            client.args(["--congestion", name]);
        }
        if let Some(rate) = config.tcp.bits_per_s {
            client.args(["--fq-rate", &rate.to_string()]);
        }
        if let Protocol::Udp {
            payload_octets,
            bits_per_s,
        } = config.protocol
        {
            client.args(["--udp", "--udp-counters-64bit"]);
            client.args(["--length", &payload_octets.to_string()]);
            client.args(["--bitrate", &bits_per_s.to_string()]);
            if server.address.is_ipv4() {
                client.arg("--dont-fragment");
            }
        }
        iperf.client = Some(client.stdout(Stdio::piped()).spawn()?);
        Ok(iperf)
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// What iperf3 says went wrong.
    pub fn finish(mut self) -> io::Result<IperfReport> {
        let client = self.client.take().ok_or(ErrorKind::NotFound)?;
        parsed(&client.wait_with_output()?)
    }
}

impl Drop for Iperf {
    fn drop(&mut self) {
        for child in self.client.iter_mut().chain([&mut self.server]) {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn iperf3(namespace: &Namespace) -> std::process::Command {
    let mut command = namespace.command("iperf3");
    command
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    command
}

fn wait_until_listening(server: &Host, port: u16) -> io::Result<()> {
    let table = match server.address {
        IpAddr::V4(_) => "tcp",
        IpAddr::V6(_) => "tcp6",
    };
    let is_listening = move |table: &str| {
        // Local address and port, remote ones, state: 0A is LISTEN.
        let local = format!(":{port:04X}");
        table.lines().any(|line| {
            let mut words = line.split_whitespace();
            words.nth(1).is_some_and(|word| word.ends_with(&local)) && words.nth(1) == Some("0A")
        })
    };
    let work = move || {
        let deadline = Instant::now() + START_LIMIT;
        while !is_listening(&std::fs::read_to_string(format!(
            "/proc/thread-self/net/{table}"
        ))?) {
            if Instant::now() > deadline {
                return Err(io::Error::new(
                    ErrorKind::TimedOut,
                    "iperf3 does not listen",
                ));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    };
    joined(server.namespace.spawn(work))
}

fn parsed(output: &Output) -> io::Result<IperfReport> {
    let text = String::from_utf8_lossy(&output.stdout);
    let failure = || io::Error::other(format!("iperf3: {} {text}", output.status));
    let answer: Answer = serde_json::from_str(&text).map_err(|_| failure())?;
    match answer {
        Answer {
            error: None,
            end:
                Some(End {
                    sum_sent: Some(sent),
                    sum_received: Some(received),
                }),
        } => Ok(IperfReport {
            sent_octets: sent.bytes,
            received_octets: received.bytes,
            bits_per_s: received.bits_per_second,
            retransmits: sent.retransmits,
            packets: received.packets,
            lost_packets: received.lost_packets,
        }),
        _ => Err(failure()),
    }
}

#[derive(Deserialize)]
struct Answer {
    error: Option<String>,
    end: Option<End>,
}

#[derive(Deserialize)]
struct End {
    sum_sent: Option<Sum>,
    sum_received: Option<Sum>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Sum {
    bytes: u64,
    bits_per_second: f64,
    retransmits: u64,
    packets: u64,
    lost_packets: u64,
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    fn output(text: &str) -> Output {
        Output {
            status: ExitStatus::from_raw(0),
            stdout: text.as_bytes().to_vec(),
            stderr: Vec::new(),
        }
    }

    #[test]
    fn reads_what_iperf3_writes() {
        let udp = r#"{"start":{},"end":{"sum_sent":{"bytes":2944,"packets":2},
            "sum_received":{"bytes":1472,"bits_per_second":1.5,"packets":2,"lost_packets":1}}}"#;
        let expected = IperfReport {
            sent_octets: 2944,
            received_octets: 1472,
            bits_per_s: 1.5,
            retransmits: 0,
            packets: 2,
            lost_packets: 1,
        };
        assert_eq!(parsed(&output(udp)).unwrap(), expected);
    }

    #[test]
    fn what_went_wrong_is_said() {
        let refused = r#"{"start":{},"end":{},"error":"unable to connect"}"#;
        let error = parsed(&output(refused)).unwrap_err();
        assert!(error.to_string().contains("unable to connect"), "{error}");
        assert!(parsed(&output("")).is_err());
    }
}
