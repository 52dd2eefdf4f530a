//! What a host's kernel counted: packets that were too large for it, and TCP segments.

use std::io;

use crate::netns::{Namespace, joined};
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

/// TCP's counters of one namespace since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpSegments {
    /// With those sent again (`OutSegs` counts them apart).
    pub sent: u64,
    pub received: u64,
    pub retransmitted: u64,
    /// Of those, the ones that the far end says it had already (DSACK, RFC 2883).
    pub retransmitted_in_vain: u64,
    /// Segments that came before one that was sent earlier.
    pub received_out_of_order: u64,
    /// How often loss recovery made the congestion window smaller.
    pub recoveries: u64,
}

/// Reads the counters of a host's kernel.
pub fn too_large(host: &Host) -> io::Result<TooLarge> {
    joined(host.namespace.spawn(|| {
        let snmp6 = own_table("snmp6").unwrap_or_default();
        Ok(parse(&own_table("snmp")?, &snmp6))
    }))
}

/// Reads the counters of a host's kernel.
pub fn tcp_segments(host: &Host) -> io::Result<TcpSegments> {
    let tables = || Ok(parse_tcp(&own_table("snmp")?, &own_table("netstat")?));
    joined(host.namespace.spawn(tables))
}

/// Packets that the kernel of a namespace dropped since it was made, as whoever was to take them was too slow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueDrops {
    /// A UDP socket's buffer was full.
    pub at_sockets: u64,
    /// An interface's queue was full, a TUN interface's for one.
    pub at_interfaces: u64,
}

/// Reads the counters of a namespace. Those of packet sockets are not among them.
pub fn queue_drops(namespace: &Namespace) -> io::Result<QueueDrops> {
    joined(namespace.spawn(|| {
        Ok(QueueDrops {
            at_sockets: in_table(&own_table("snmp")?, "Udp:", "RcvbufErrors").unwrap_or(0),
            at_interfaces: transmit_drops(&own_table("dev")?),
        })
    }))
}

/// Of all interfaces: the fourth column of the second half, behind the name.
fn transmit_drops(dev: &str) -> u64 {
    let columns = dev.lines().filter_map(|line| line.split_once(':'));
    let drops = columns.filter_map(|(_, columns)| columns.split_whitespace().nth(11));
    drops.filter_map(|column| column.parse::<u64>().ok()).sum()
}

/// Fragments over IPv4 that the kernel of a namespace took and did not give on as a whole packet: it puts together what
/// an AF_PACKET port receives.
pub fn fragments_kept(namespace: &Namespace) -> io::Result<u64> {
    let count = |snmp: &str| {
        let of_ip = |name: &str| in_table(snmp, "Ip:", name).unwrap_or(0);
        of_ip("ReasmReqds") - of_ip("ReasmOKs")
    };
    joined(namespace.spawn(move || Ok(count(&own_table("snmp")?))))
}

/// Of the calling thread's namespace.
fn own_table(table: &str) -> io::Result<String> {
    std::fs::read_to_string(format!("/proc/thread-self/net/{table}"))
}

fn parse_tcp(snmp: &str, netstat: &str) -> TcpSegments {
    let of_tcp = |name: &str| in_table(snmp, "Tcp:", name).unwrap_or(0);
    let more = |name: &str| in_table(netstat, "TcpExt:", name).unwrap_or(0);
    TcpSegments {
        sent: of_tcp("OutSegs") + of_tcp("RetransSegs"),
        received: of_tcp("InSegs"),
        retransmitted: of_tcp("RetransSegs"),
        retransmitted_in_vain: more("TCPDSACKRecvSegs"),
        received_out_of_order: more("TCPOFOQueue"),
        recoveries: more("TCPSackRecovery") + more("TCPRenoRecovery") + more("TCPTimeouts"),
    }
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
    fn reads_what_tcp_counted() {
        let snmp = "Tcp: InSegs OutSegs RetransSegs\nTcp: 90 100 7\n";
        let netstat = "TcpExt: TCPSackRecovery TCPOFOQueue TCPDSACKRecvSegs TCPTimeouts\n\
            TcpExt: 4 30 5 1\nIpExt: InOctets\nIpExt: 5\n";
        let expected = TcpSegments {
            sent: 107,
            received: 90,
            retransmitted: 7,
            retransmitted_in_vain: 5,
            received_out_of_order: 30,
            recoveries: 5,
        };
        assert_eq!(parse_tcp(snmp, netstat), expected);
    }

    #[test]
    fn reads_what_interfaces_had_no_room_for() {
        let dev = "Inter-|   Receive    |  Transmit\n face |bytes packets errs drop|bytes packets errs drop\n\
            lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n  wg0: 1 2 3 4 5 6 7 8 9 10 11 30 13 14 15 16\n";
        assert_eq!(transmit_drops(dev), 42);
    }

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
