//! What is measured: ways of packets through the worker, and what one round of them costs.

use std::error::Error;
use std::fmt;
use std::net::SocketAddrV4;

use dataplane::headers::encapsulation::{Fields, HA_OCTETS, Template};
use dataplane::headers::ethernet::{self, Ethernet};
use dataplane::headers::{ipv4, ppp, udp};
use dpdk::{BURST, Burst, Mbuf, Mempool, tsc};

use crate::bed::{Bed, LINKS, SetKind, far_end, lan_host, mac, neighbour_mac, plain_host};
use crate::wire::Wire;

/// Bursts before the clock counts, in every round.
const WARM_UP: usize = 200;

/// Which way packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the LAN to the first uplink, without a tunnel.
    Plain,
    /// From the LAN into a set.
    Send(SetKind),
    /// Every link's copies out of a set, the first ones to the LAN.
    Receive(SetKind),
}

/// One thing that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) way: Way,
    /// Of the inner IPv4 packet.
    pub(crate) inner_octets: usize,
}

impl Case {
    /// Length of the frames in the tunnels, octets without FCS; testpmd gets the same.
    pub(crate) fn outer_frame_octets(self) -> usize {
        let tunnel = if self.way == Way::Plain { 0 } else { HA_OCTETS };
        ethernet::HEADER_OCTETS + tunnel + self.inner_octets
    }

    /// What the cycles are counted per.
    pub(crate) fn unit(self) -> &'static str {
        match self.way {
            Way::Plain => "packet",
            Way::Send(_) => "inner packet",
            Way::Receive(_) => "copy",
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, kind) = match self.way {
            Way::Plain => return write!(f, "forward, no tunnel"),
            Way::Send(kind) => ("send", kind),
            Way::Receive(kind) => ("receive", kind),
        };
        let plural = if kind.links == 1 { "" } else { "s" };
        write!(f, "{name}, {} link{plural}", kind.links)?;
        if kind.udp_checksum {
            write!(f, ", UDP checksum")?;
        }
        Ok(())
    }
}

/// What one round cost, TSC cycles per packet in the case's unit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// The worker alone.
    pub(crate) worker: f64,
    /// Making the frames and freeing what came out, which is not the worker's.
    pub(crate) equipment: f64,
}

/// One case on its bed, with the frames that it sends.
pub(crate) struct Walk {
    pub(crate) case: Case,
    inputs: Vec<Input>,
    /// Frames and octets that each wire must deliver for one burst on every input.
    expected: [(u64, u64); LINKS + 1],
}

/// A burst of frames for one port.
struct Input {
    wire: usize,
    ethernet: [u8; ethernet::HEADER_OCTETS],
    packets: Vec<Vec<u8>>,
    tunnel: Option<(Template, u32)>,
}

impl Walk {
    pub(crate) fn new(case: Case) -> Self {
        let burst = BURST as u64;
        let inner = (ethernet::HEADER_OCTETS + case.inner_octets) as u64;
        let outer = case.outer_frame_octets() as u64;
        let mut expected = [(0, 0); LINKS + 1];
        let inputs = match case.way {
            Way::Plain => {
                expected[1] = (burst, burst * inner);
                vec![Input::new(0, packets(case, plain_host, false), None)]
            }
            Way::Send(kind) => {
                expected[1..=kind.links].fill((burst, burst * outer));
                let packets = packets(case, |number| kind.host(number), false);
                vec![Input::new(0, packets, None)]
            }
            Way::Receive(kind) => {
                expected[0] = (burst, burst * inner);
                let packets = packets(case, |number| kind.host(number), true);
                let input = |link| Input::new(link + 1, packets.clone(), Some(far_end(kind, link)));
                (0..kind.links).map(input).collect()
            }
        };
        Self {
            case,
            inputs,
            expected,
        }
    }

    /// Sends this many bursts through the worker and says what one packet cost.
    pub(crate) fn round(
        &self,
        bed: &mut Bed,
        bursts: usize,
        clock_cycles: u64,
    ) -> Result<Cost, Box<dyn Error>> {
        let mut drained = [(0, 0); LINKS + 1];
        let (mut worker, mut equipment) = (0, 0);
        for burst in 0..WARM_UP + bursts {
            let start = tsc();
            self.refill(bed)?;
            let refilled = tsc();
            bed.worker.poll_once(refilled);
            let polled = tsc();
            for (sum, wire) in drained.iter_mut().zip(&mut bed.wires) {
                let (frames, octets) = wire.drain();
                *sum = (sum.0 + frames, sum.1 + octets);
            }
            let end = tsc();
            if burst >= WARM_UP {
                worker += (polled - refilled).saturating_sub(clock_cycles);
                equipment += (refilled - start) + (end - polled);
            }
        }
        let times = (WARM_UP + bursts) as u64;
        let expected = self
            .expected
            .map(|(frames, octets)| (frames * times, octets * times));
        if drained != expected || bed.events() > 0 {
            return Err(format!(
                "{}: the wires delivered {drained:?} frames and octets, not {expected:?}",
                self.case
            )
            .into());
        }
        let packets = (bursts * BURST * self.inputs.len()) as f64;
        Ok(Cost {
            worker: worker as f64 / packets,
            equipment: equipment as f64 / packets,
        })
    }

    /// Sends one packet of the burst, over every link, as one that was made now. What a wire has no room for is lost.
    pub(crate) fn send_one(
        &self,
        index: usize,
        number: u64,
        frames: &Mempool,
        wires: &mut [Wire],
    ) -> Result<(), &'static str> {
        let mut burst = Burst::new();
        for input in &self.inputs {
            input
                .fill_one(&mut burst, frames, index, number)
                .ok_or("no buffers for frames")?;
            if !wires[input.wire].send(&mut burst) {
                burst.clear();
            }
        }
        Ok(())
    }

    /// How many frames come out for one packet.
    pub(crate) fn frames_a_packet(&self) -> u64 {
        let frames = self.expected.iter().map(|(frames, _)| frames);
        frames.sum::<u64>() / BURST as u64
    }

    fn refill(&self, bed: &mut Bed) -> Result<(), &'static str> {
        for input in &self.inputs {
            let mut burst = Burst::new();
            input
                .fill(&mut burst, &bed.frames, bed.number)
                .ok_or("no buffers for frames")?;
            if !bed.wires[input.wire].send(&mut burst) {
                return Err("a wire is full");
            }
        }
        bed.number += BURST as u64;
        Ok(())
    }
}

impl Input {
    fn new(wire: usize, packets: Vec<Vec<u8>>, tunnel: Option<(Template, u32)>) -> Self {
        let ethernet = Ethernet {
            destination: mac(wire),
            source: neighbour_mac(wire),
            ether_type: ethernet::ETHER_TYPE_IPV4,
        };
        Self {
            wire,
            ethernet: ethernet.octets(),
            packets,
            tunnel,
        }
    }

    /// Makes one burst of frames, numbered from `first` if they are in a tunnel.
    fn fill(&self, burst: &mut Burst, pool: &Mempool, first: u64) -> Option<()> {
        if !pool.alloc_bulk(burst, self.packets.len()) {
            return None;
        }
        for ((frame, packet), number) in burst.iter_mut().zip(&self.packets).zip(first..) {
            frame.extend_from_slice(packet).then_some(())?;
            self.wrap(frame, number)?;
        }
        Some(())
    }

    /// Makes one frame that ends in the time at which it is made.
    fn fill_one(&self, burst: &mut Burst, pool: &Mempool, index: usize, number: u64) -> Option<()> {
        pool.alloc_bulk(burst, 1).then_some(())?;
        let frame = &mut burst[0];
        frame
            .extend_from_slice(&self.packets[index])
            .then_some(())?;
        *frame.last_chunk_mut()? = tsc().to_be_bytes();
        self.wrap(frame, number)
    }

    /// Writes the headers around a packet.
    fn wrap(&self, frame: &mut Mbuf, number: u64) -> Option<()> {
        if let Some((template, epoch)) = &self.tunnel {
            let fields = Fields {
                inner_octets: frame.len(),
                inner_sum: dataplane::checksum::sum(frame),
                protocol: ppp::PROTOCOL_IPV4,
                flags: 0,
                epoch: *epoch,
                number,
                identification: number as u16,
            };
            let header = frame.prepend(template.octets())?;
            template.write(header, &fields).then_some(())?;
        }
        frame
            .prepend(self.ethernet.len())?
            .copy_from_slice(&self.ethernet);
        Some(())
    }
}

/// One burst of inner packets between a LAN host and the hosts on the other side: a flow for each.
fn packets(case: Case, far: impl Fn(u8) -> std::net::Ipv4Addr, inwards: bool) -> Vec<Vec<u8>> {
    let payload = vec![0x5a; case.inner_octets - ipv4::HEADER_OCTETS - udp::HEADER_OCTETS];
    let packet = |number| {
        let near = SocketAddrV4::new(lan_host(number), 5000);
        let far = SocketAddrV4::new(far(number), 6000);
        let (source, destination) = if inwards { (far, near) } else { (near, far) };
        ipv4::udp_packet(source, destination, &payload, u16::from(number))
    };
    (0..BURST as u8).map(packet).collect()
}
