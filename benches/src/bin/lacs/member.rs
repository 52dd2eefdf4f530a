//! Callers that are links of sets: what they agree on, their reports, and packets that write every ring.

use std::time::Duration;

use control::config::DEFAULT_VENDOR_ID;
use control::ha::Agreement;
use control::l2tp::VendorAvp;
use dataplane::headers::ha::{HaHeader, Kind, Report};
use dataplane::headers::l2tp::{FLAG_OFFSET, VERSION};

/// Between two reports of a link.
pub(crate) const REPORT_PERIOD: Duration = Duration::from_secs(1);
/// One number on every page of a link's ring and of a set's first times, which hold 65 536 numbers: eight octets for each
/// 32 of them. A window is written from one end to the other when it is made.
pub(crate) const NUMBERS: [u64; 4] = [0, 16_384, 32_768, 49_152];
/// Packets to nobody: what counts is that their numbers are marked.
const INNER_OCTETS: usize = 28;
const PROTOCOL_IPV4: [u8; 2] = [0x00, 0x21];
/// Offset size, HA header.
const OFFSET_OCTETS: u16 = 12;

/// What is particular about one link of a set.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Member {
    /// The peer's clock in its last report, and when that came.
    theirs: Option<(u64, Duration)>,
    heard_probe_us: u64,
    has_written: bool,
}

/// The AVP that makes a call a link of this set.
pub(crate) fn agreement(set: usize, window: u32) -> VendorAvp {
    let agreement = Agreement {
        features: 0,
        epoch: epoch(set),
        // Each set has an instance of its own, of one process.
        instance: 1 + set as u64,
        window,
        label: "S".to_owned(),
    };
    agreement.to_avp(DEFAULT_VENDOR_ID as u16)
}

fn epoch(set: usize) -> u32 {
    0x5ca1_0000 + set as u32
}

impl Member {
    /// Takes a report. False when it is none.
    pub(crate) fn take(&mut self, now: Duration, padding: &[u8]) -> bool {
        let Ok(report) = Report::parse(padding) else {
            return false;
        };
        self.theirs = Some((report.sent_at_us, now));
        if report.is_probe {
            self.heard_probe_us = report.sent_at_us;
        }
        true
    }

    /// What the link tells: so far it carried one packet for each of [`NUMBERS`], or nothing, and kept the others to itself.
    pub(crate) fn report(&self, now: Duration, set: usize, peer: (u16, u16)) -> Vec<u8> {
        let (next_number, copies) = match self.has_written {
            true => (NUMBERS[NUMBERS.len() - 1] + 1, NUMBERS.len() as u64),
            false => (0, 0),
        };
        let (echo_us, heard_at) = self.theirs.unwrap_or((0, now));
        let report = Report {
            epoch: epoch(set),
            next_number,
            joined_number: 0,
            copies,
            sent_at_us: micros(now),
            echo_us,
            echo_delay_us: micros(now.saturating_sub(heard_at)) as u32,
            over_speed: 0,
            not_sent: next_number - copies,
            is_last: false,
            is_probe: false,
            heard_probe_us: Some(self.heard_probe_us),
            is_masked: false,
            is_deaf: false,
            is_needed: false,
        };
        report.message(peer.0, peer.1, 0, 0)
    }

    /// Packets whose numbers write to every page that the link has.
    pub(crate) fn packets(&mut self, set: usize, peer: (u16, u16)) -> Vec<Vec<u8>> {
        self.has_written = true;
        let packet = |number| packet(set, peer, number);
        NUMBERS.into_iter().map(packet).collect()
    }
}

/// A data message of a set.
fn packet(set: usize, (tunnel, session): (u16, u16), number: u64) -> Vec<u8> {
    let header = HaHeader {
        kind: Kind::Data,
        flags: 0,
        epoch: epoch(set),
        number,
    };
    let mut message = Vec::new();
    message.extend((FLAG_OFFSET | VERSION).to_be_bytes());
    message.extend(tunnel.to_be_bytes());
    message.extend(session.to_be_bytes());
    message.extend(OFFSET_OCTETS.to_be_bytes());
    message.extend(header.octets());
    message.extend(PROTOCOL_IPV4);
    message.extend(inner());
    message
}

/// An IPv4 packet with UDP in it.
fn inner() -> [u8; INNER_OCTETS] {
    let mut packet = [0; INNER_OCTETS];
    packet[..12].copy_from_slice(&[0x45, 0, 0, INNER_OCTETS as u8, 0, 0, 0, 0, 64, 17, 0, 0]);
    packet[12..16].copy_from_slice(&[100, 127, 0, 1]);
    packet[16..20].copy_from_slice(&[203, 0, 113, 1]);
    packet[20..].copy_from_slice(&[0x10, 0, 0x10, 0, 0, 8, 0, 0]);
    let words = packet[..20].chunks(2);
    let sum: u32 = words
        .map(|word| u32::from(word[0]) << 8 | u32::from(word[1]))
        .sum();
    let checksum = !((sum & 0xffff) + (sum >> 16)) as u16;
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    packet
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
