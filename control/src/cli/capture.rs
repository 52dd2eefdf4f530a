//! `capture`: frames of a running appliance, into a file for Wireshark.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clap::Args;
use dataplane::capture::MOST_SNAP_OCTETS;

use super::ask::ApplianceArguments;
use super::{complain, plural};
use crate::capture::client::{self, Output};
use crate::capture::filter::Filter;
use crate::capture::{self, Ended, Wanted};
use crate::config::parse_duration;

/// Below the options of `capture`.
pub(super) const HELP: &str = "\
A filter has the words of tcpdump: host ADDRESS, net PREFIX and port NUMBER, after src or dst if wanted;
udp, tcp, icmp, arp, l2tp; and, or, not, ( ). `inner` before host, net or port is the packet that is carried,
in a tunnel or on a LAN, `outer` the one that carries it. By what became of a frame: first, duplicate, late, dropped.

    hal2tp capture --set A -w a.pcapng 'inner host 192.0.2.7 and udp port 5004'
    hal2tp capture --port isp1 --for 10s -w - dropped | wireshark -k -i -";

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    appliance: ApplianceArguments,
    /// The file (pcapng), which its owner alone may read; - for standard output.
    #[arg(short, long, value_name = "FILE")]
    write: PathBuf,
    /// Frames of this HA set only; again for another one.
    #[arg(long, value_name = "NAME")]
    set: Vec<String>,
    /// Frames of this link only: name of an `outgoing` or `incoming`, or the `graph` of a session.
    #[arg(long, value_name = "NAME")]
    link: Vec<String>,
    /// Frames at this port only.
    #[arg(long, value_name = "NAME")]
    port: Vec<String>,
    /// End after so many frames.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End after this time, as 500ms or 10s.
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    time: Option<Duration>,
    /// Keep so many octets of each frame.
    #[arg(long, value_name = "OCTETS", default_value_t = capture::SNAP_OCTETS,
          value_parser = clap::value_parser!(u16).range(64..=i64::from(MOST_SNAP_OCTETS)))]
    snap: u16,
    /// Which frames, as words: see below.
    #[arg(value_name = "FILTER")]
    filter: Vec<String>,
}

pub(super) fn capture(arguments: &Arguments) -> ExitCode {
    match try_capture(arguments) {
        Ok(ended) => {
            complain(&summary(&ended));
            ExitCode::SUCCESS
        }
        Err(text) => {
            complain(&text);
            ExitCode::FAILURE
        }
    }
}

fn try_capture(arguments: &Arguments) -> Result<Ended, String> {
    let filter = arguments.filter.join(" ");
    // Here too, so that a typo is seen without an appliance.
    Filter::parse(&filter).map_err(|error| error.to_string())?;
    let wanted = Wanted {
        sets: arguments.set.clone(),
        links: arguments.link.clone(),
        ports: arguments.port.clone(),
        filter,
        snap_octets: arguments.snap,
        most_packets: arguments.count.unwrap_or(0),
    };
    let output = match arguments.write.as_os_str() {
        name if name == "-" && std::io::stdout().is_terminal() => {
            return Err(
                "a capture is no text: write it to a file, or into `wireshark -k -i -`".to_owned(),
            );
        }
        name if name == "-" => Output::Standard,
        _ => Output::File(arguments.write.clone()),
    };
    let path = arguments.appliance.socket_path()?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // The second time at once, should the appliance not answer.
        signal_hook::flag::register_conditional_default(signal, Arc::clone(&stop))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)))
            .map_err(|error| format!("cannot watch for signals: {error}"))?;
    }
    client::capture(&path, &wanted, &output, arguments.time, &stop)
        .map_err(|error| error.to_string())
}

/// What a capture came to.
fn summary(ended: &Ended) -> String {
    let mut text = format!("{} captured", plural(ended.packets as usize, "frame"));
    if ended.missed_packets > 0 {
        let missed = plural(ended.missed_packets as usize, "frame");
        text += &format!(
            "; {missed} not captured: this command, its disk or the processor was too slow"
        );
    }
    if let Some(because) = &ended.because {
        text += &format!("\n{because}");
    }
    text
}

fn time(text: &str) -> Result<Duration, String> {
    parse_duration(text)
        .filter(|time| !time.is_zero())
        .ok_or_else(|| "write a time with its unit, as 500ms or 10s".to_owned())
}
