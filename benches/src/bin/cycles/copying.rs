//! What copying by itself costs: the octets that a set's packets are copied, between buffers of the same pools, and nothing else.

use std::error::Error;

use dpdk::{BURST, Burst, tsc};

use crate::bed::Pools;

/// Bursts before the clock counts.
const WARM_UP: usize = 200;

/// Copies packets of so many octets as a set of `copies + 1` links must, and says how many cycles that takes for each
/// packet. The buffers go round as they do there: the packets were just written, the copies' buffers just freed.
pub(crate) fn round(
    pools: &Pools,
    octets: usize,
    copies: usize,
    bursts: usize,
    clock_cycles: u64,
) -> Result<f64, Box<dyn Error>> {
    let packet = vec![0x5a; octets];
    let mut cycles = 0;
    for burst in 0..WARM_UP + bursts {
        let mut packets = Burst::new();
        let mut fresh: Vec<Burst> = (0..copies).map(|_| Burst::new()).collect();
        let enough = pools.frames.alloc_bulk(&mut packets, BURST)
            && fresh
                .iter_mut()
                .all(|copies| pools.copies.alloc_bulk(copies, BURST));
        let written = packets
            .iter_mut()
            .all(|frame| frame.extend_from_slice(&packet));
        if !(enough && written) {
            return Err("no buffers for copies".into());
        }
        let start = tsc();
        let copied = fresh
            .iter_mut()
            .flat_map(|copies| copies.iter_mut().zip(&packets))
            .all(|(copy, packet)| copy.extend_from_slice(packet));
        let end = tsc();
        if !copied {
            return Err("copies do not fit their buffers".into());
        }
        if burst >= WARM_UP {
            cycles += (end - start).saturating_sub(clock_cycles);
        }
    }
    Ok(cycles as f64 / (bursts * BURST) as f64)
}
