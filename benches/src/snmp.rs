//! What a host's kernel counted of packets that were too large for it.

use std::io;

use crate::netns::joined;
use crate::traffic::Host;

/// Counters of one namespace since it was made, of IPv4 and IPv6 together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TooLarge {
    /// Answers "fragmentation needed" and "packet too big", and any other ICMP "destination unreachable".
    pub refusals_received: u64,
    /// Fragments that this host made.
    pub fragments_sent: u64,
    /// Fragments that came in.
    pub fragments_received: u64,
}

/// Reads the counters of a host's kernel.
pub fn too_large(host: &Host) -> io::Result<TooLarge> {
    joined(host.namespace.spawn(|| {
        let read = |name: &str| std::fs::read_to_string(format!("/proc/thread-self/net/{name}"));
        Ok(parse(&read("snmp")?, &read("snmp6").unwrap_or_default()))
    }))
}

fn parse(snmp: &str, snmp6: &str) -> TooLarge {
    let v4 = |group: &str, name: &str| in_table(snmp, group, name).unwrap_or(0);
    let v6 = |name: &str| in_list(snmp6, name).unwrap_or(0);
    TooLarge {
        refusals_received: v4("Icmp:", "InDestUnreachs")
            + v6("Icmp6InPktTooBigs")
            + v6("Icmp6InDestUnreachs"),
        fragments_sent: v4("Ip:", "FragCreates") + v6("Ip6FragCreates"),
        fragments_received: v4("Ip:", "ReasmReqds") + v6("Ip6ReasmReqds"),
    }
}

/// `snmp` has a line of names and a line of values for each group.
fn in_table(text: &str, group: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter(|line| line.starts_with(group));
    let (names, values) = (lines.next()?, lines.next()?);
    let column = names.split_whitespace().position(|word| word == name)?;
    values.split_whitespace().nth(column)?.parse().ok()
}

/// `snmp6` has a name and a value on each line.
fn in_list(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().map(str::split_whitespace);
    lines.find_map(|mut words| (words.next()? == name).then(|| words.next()?.parse().ok())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_tables() {
        let snmp = "Ip: Forwarding ReasmReqds FragCreates\nIp: 2 7 5\n\
            Icmp: InMsgs InDestUnreachs\nIcmp: 9 3\n";
        let snmp6 = "Ip6FragCreates                  \t10\nIcmp6InPktTooBigs               \t20\n";
        let expected = TooLarge {
            refusals_received: 23,
            fragments_sent: 15,
            fragments_received: 7,
        };
        assert_eq!(parse(snmp, snmp6), expected);
    }
}
