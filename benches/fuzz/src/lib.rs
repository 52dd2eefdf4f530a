//! What the fuzz targets share: reading decisions from the fuzzer's octets,
//! and a wire between two engines on which the fuzzer sits.
#![forbid(unsafe_code)]

pub mod ppp;

use std::net::Ipv6Addr;
use std::time::Duration;

/// The fuzzer's octets, taken from the front; zeros and emptiness when there are no more.
#[derive(Debug)]
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    #[must_use]
    pub const fn new(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn octet(&mut self) -> u8 {
        self.octets(1).first().copied().unwrap_or(0)
    }

    pub fn number(&mut self) -> u16 {
        u16::from_be_bytes([self.octet(), self.octet()])
    }

    /// Up to `count` octets.
    pub fn octets(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Up to 255 octets, after a length.
    pub fn short(&mut self) -> &'a [u8] {
        let count = self.octet();
        self.octets(count.into())
    }

    /// Some time, from none to more than an hour.
    pub fn time(&mut self) -> Duration {
        let octet = self.octet();
        let unit = match octet >> 6 {
            0 => Duration::from_millis(1),
            1 => Duration::from_millis(100),
            2 => Duration::from_secs(1),
            _ => Duration::from_secs(60),
        };
        unit * u32::from(octet & 0x3f)
    }

    /// What becomes of something sent: it arrives, damaged or not, once,
    /// twice, or never.
    pub fn deliver(&mut self, sent: Vec<u8>) -> Vec<Vec<u8>> {
        match self.octet() % 16 {
            0..=8 => vec![sent],
            9 => vec![],
            10 => vec![sent.clone(), sent],
            11 => vec![self.damaged(sent)],
            12 => {
                let count = usize::from(self.octet()).min(sent.len());
                vec![sent[..count].to_vec()]
            }
            13 => {
                let damaged = self.damaged(sent);
                vec![self.damaged(damaged)]
            }
            14 => {
                let mut longer = sent;
                longer.extend(self.short());
                vec![longer]
            }
            _ => {
                // The start stays, so that it finds its way; the rest is the fuzzer's.
                let kept = usize::from(self.octet() & 0x1f).min(sent.len());
                let mut changed = sent[..kept].to_vec();
                changed.extend(self.short());
                vec![changed]
            }
        }
    }

    fn damaged(&mut self, mut sent: Vec<u8>) -> Vec<u8> {
        let at = usize::from(self.octet());
        let octet = self.octet();
        if let Some(damaged) = sent.get_mut(at) {
            *damaged = octet;
        }
        sent
    }
}

/// A frame with an ICMPv6 message from a neighbour, its checksum made right.
#[must_use]
pub fn neighbour_message(
    macs: [[u8; 6]; 2],
    [source, destination]: [Ipv6Addr; 2],
    mut message: Vec<u8>,
) -> Vec<u8> {
    let [high, low] = (message.len() as u16).to_be_bytes();
    let mut pseudo = source.octets().to_vec();
    pseudo.extend(destination.octets());
    pseudo.extend([high, low, 0, 58]);
    pseudo.extend(&message);
    let words = pseudo.chunks(2);
    let sum: u32 = words
        .map(|word| u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0)))
        .sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    message[2..4].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    let [source_mac, destination_mac] = macs;
    let mut frame = [destination_mac, source_mac].concat();
    frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, high, low, 58, 255]);
    frame.extend(source.octets());
    frame.extend(destination.octets());
    frame.extend(message);
    frame
}
