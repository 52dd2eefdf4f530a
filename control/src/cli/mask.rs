//! `mask`: has links carry nothing for a while, to see what their failing would do.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use super::ask::ApplianceArguments;
use super::document::Drill;
use crate::config::parse_duration;
use crate::engine::{LONGEST_MASK, SHORTEST_MASK};
use crate::management::socket::{self, ClientError};

pub(super) const HELP: &str = "\
A masked link stays up: tunnel, PPP and echoes go on, and its routes stay. This end sends no
packet over it and drops those that come (`hal2tp drops` counts them as masked). The other end
sees a link that delivers nothing, and raises its alarm (not one of an older version, which
sends over it and is not told): that is part of the drill.

It ends by itself, with its session, and at once when no other link of the set is known to
carry, here or at the other end. A line that vanishes without a word is missed after 3 seconds
at most; until then a set of two has nothing. Where reports pass and packets do not, it takes
16 packets: in a quiet set that is longer. An older version at the other end cannot say that
nothing arrives there, nor that it needs the link.

What would leave a set without a link is refused. A peer without HA goes on to send over the
link, and that is taken: it comes over no other.

Examples:
    hal2tp mask head2                  the link of an outgoing, for a minute
    hal2tp mask L2TP-remote-2 --for 600s
    hal2tp mask head2 --undo";

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    appliance: ApplianceArguments,
    /// The `graph` of a link, or the name of an `outgoing` or `incoming`: all its links that are up.
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// How long, from 1s to 3600s.
    #[arg(long = "for", value_name = "TIME", default_value = "60s", value_parser = time)]
    for_s: u64,
    /// End the drill now.
    #[arg(long, conflicts_with = "for_s")]
    undo: bool,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

fn time(text: &str) -> Result<u64, String> {
    parse_duration(text)
        .filter(|it| (SHORTEST_MASK..=LONGEST_MASK).contains(it) && it.subsec_nanos() == 0)
        .map(|it| it.as_secs())
        .ok_or_else(|| "write whole seconds with their unit, from 1s to 3600s, as 60s".to_owned())
}

pub(super) fn mask(arguments: &Arguments) -> ExitCode {
    let Arguments { names, json, .. } = arguments;
    let ask = |path: &Path, name: &str| ask(path, name, arguments);
    arguments.appliance.asked_of_each(names, *json, ask, text)
}

fn ask(path: &Path, name: &str, arguments: &Arguments) -> Result<Drill, ClientError> {
    if arguments.undo {
        socket::unmask(path, name).map(Drill::Unmasked)
    } else {
        socket::mask(path, name, arguments.for_s).map(Drill::Masked)
    }
}

fn text(drill: &Drill) -> String {
    match drill {
        Drill::Masked(masked) => {
            let links = masked.links.join(", ");
            format!("{links}: masked for {} s\n", masked.for_s)
        }
        Drill::Unmasked(unmasked) if unmasked.links.is_empty() => {
            format!("{}: nothing was masked\n", unmasked.name)
        }
        Drill::Unmasked(unmasked) => format!("{}: carries again\n", unmasked.links.join(", ")),
    }
}
