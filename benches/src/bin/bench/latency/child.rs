//! The tester: a process of its own on one CPU, which sends stamped frames and looks for them without a pause.

use std::error::Error;
use std::io::{BufRead as _, Write as _};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};

use benches::histogram::Histogram;
use dpdk::{
    BURST, Burst, Eal, EalConfig, HEADROOM_OCTETS, HugePages, Mempool, Port, PortConfig, RxQueue,
    TxQueue, lcore, tsc, tsc_hz,
};

use super::TesterArguments;
use super::orders::{Order, Outcome, Pacing, SHARES, Spread, Trial};

const MEMORY_MIB: u32 = 256;
const BUFFERS: u32 = 32_768;
/// When nothing came for so long, nothing more will.
const PATIENCE_S: f64 = 0.2;
/// At the end of a frame: which trial, number, time. It fits behind the headers of a frame of 64 octets.
const STAMP_OCTETS: usize = 20;

/// Answers orders from standard input until it ends.
///
/// # Errors
/// When a port cannot be opened, or whoever gives the orders is gone.
pub(crate) fn serve(arguments: &TesterArguments) -> Result<(), Box<dyn Error>> {
    let TesterArguments { cpu, vdevs } = arguments;
    let cpu = *cpu;
    let (send, orders) = channel();
    // Before the EAL, so that it is not pinned with it.
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let order = line.and_then(|line| Ok(serde_json::from_str::<Order>(&line)?));
            if order.is_err() || send.send(order).is_err() {
                return;
            }
        }
    });
    let eal = Eal::init(&EalConfig {
        program: "tester".to_owned(),
        memory_mib: MEMORY_MIB,
        hugepages: HugePages::No,
        main_core: Some(cpu),
        ..EalConfig::default()
    })?;
    // Outlives the buffers, which go back to its caches.
    let _lcore = lcore::register(Some(cpu))?;
    let mut tester = Tester::open(&eal, vdevs)?;
    answer(&"ready")?;
    while let Ok(order) = orders.recv() {
        match order? {
            Order::Forward => {
                answer(&"forwarding")?;
                let Some(next) = tester.forward_until(&orders) else {
                    return Ok(());
                };
                match next? {
                    Order::Rest => answer(&"resting")?,
                    _ => return Err("told to do something else while forwarding".into()),
                }
            }
            Order::Rest => answer(&"resting")?,
            Order::Run(trial) => answer(&tester.run(&trial)?)?,
        }
    }
    Ok(())
}

fn answer<T: serde::Serialize>(what: &T) -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, what)?;
    writeln!(out)?;
    Ok(out.flush()?)
}

struct Tester {
    buffers: Mempool,
    ports: Vec<Open>,
    hz: f64,
    trials: u32,
}

struct Open {
    receive: RxQueue,
    send: TxQueue,
    _port: Port,
}

impl Tester {
    fn open(eal: &Arc<Eal>, vdevs: &[String]) -> Result<Self, Box<dyn Error>> {
        let room = 2048 + HEADROOM_OCTETS;
        let buffers = Mempool::new(eal, "tester", BUFFERS, 256, room)?;
        let config = PortConfig {
            rx_queues: 1,
            tx_queues: 1,
            rx_descriptors: 1024,
            tx_descriptors: 1024,
            mempool: buffers.clone(),
            mtu: None,
            promiscuous: true,
            rss: false,
        };
        let mut ports = Vec::new();
        for vdev in vdevs {
            let (name, arguments) = vdev.split_once(',').unwrap_or((vdev, ""));
            let id = eal.attach_vdev(name, arguments)?;
            let (port, receive, send) = Port::open(eal, id, &config)?;
            ports.push(Open {
                receive: receive.into_iter().next().ok_or("no receive queue")?,
                send: send.into_iter().next().ok_or("no send queue")?,
                _port: port,
            });
        }
        Ok(Self {
            buffers,
            ports,
            hz: tsc_hz(eal) as f64,
            trials: 0,
        })
    }

    /// `None` when there will be no more orders.
    fn forward_until<T>(&mut self, orders: &Receiver<T>) -> Option<T> {
        let mut burst = Burst::new();
        loop {
            match orders.try_recv() {
                Ok(order) => return Some(order),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => {}
            }
            for port in 0..self.ports.len() {
                self.ports[port].receive.rx_burst(&mut burst);
                if let Some(other) = self.ports.get_mut(port ^ 1) {
                    other.send.tx_burst(&mut burst);
                }
                burst.clear();
            }
        }
    }

    fn run(&mut self, trial: &Trial) -> Result<Outcome, Box<dyn Error>> {
        self.trials += 1;
        let packets = (trial.rate * trial.milliseconds as f64 / 1000.0).max(1.0) as u64;
        let step = match trial.pacing {
            Pacing::Singles => 1,
            Pacing::Bursts => BURST as u64,
        };
        // What earlier trials left.
        let mut account = Account::new(self.trials, packets, trial.receive.len());
        self.collect(trial, &mut account);
        let cycles_a_packet = self.hz / trial.rate;
        let (mut sent, mut refused) = (0, 0);
        let mut burst = Burst::new();
        let start = tsc();
        let (mut looked, mut longest_gap) = (start, 0);
        while sent < packets {
            let now = tsc();
            longest_gap = longest_gap.max(now - looked);
            looked = now;
            let due = ((now - start) as f64 / cycles_a_packet) as u64 + 1;
            let due = due.min(packets).div_ceil(step) * step;
            let count = due.min(packets).saturating_sub(sent).min(BURST as u64);
            if count > 0 {
                self.fill(&mut burst, trial, sent, count)?;
                sent += count;
                self.ports[trial.send].send.tx_burst(&mut burst);
                refused += burst.len() as u64;
                burst.clear();
            }
            self.collect(trial, &mut account);
        }
        let end = tsc();
        let patience = (PATIENCE_S * self.hz) as u64;
        while !account.is_complete() {
            let now = tsc();
            if now.saturating_sub(account.last_at.max(end)) > patience {
                break;
            }
            longest_gap = longest_gap.max(now - looked);
            looked = now;
            self.collect(trial, &mut account);
        }
        let ns = |cycles: u64| (cycles as f64 * 1e9 / self.hz) as u64;
        let drained = account.last_at.saturating_sub(end);
        Ok(Outcome {
            sent,
            refused,
            is_late: (end - start) as f64 > packets as f64 * cycles_a_packet * 1.02,
            drain_ns: ns(drained),
            longest_gap_ns: ns(longest_gap),
            ..account.outcome(self.hz)
        })
    }

    fn fill(
        &self,
        burst: &mut Burst,
        trial: &Trial,
        first: u64,
        count: u64,
    ) -> Result<(), Box<dyn Error>> {
        if !self.buffers.alloc_bulk(burst, count as usize) {
            return Err("the tester has no buffers left".into());
        }
        let body = trial.frame.len() - STAMP_OCTETS;
        for frame in burst.iter_mut() {
            if !frame.extend_from_slice(&trial.frame[..body]) {
                return Err("a frame longer than a buffer".into());
            }
        }
        let now = tsc();
        for (number, frame) in (first..).zip(burst.iter_mut()) {
            let mut stamp = [0; STAMP_OCTETS];
            stamp[..4].copy_from_slice(&mark(self.trials));
            stamp[4..12].copy_from_slice(&number.to_be_bytes());
            stamp[12..].copy_from_slice(&now.to_be_bytes());
            if !frame.extend_from_slice(&stamp) {
                return Err("a frame longer than a buffer".into());
            }
        }
        Ok(())
    }

    fn collect(&mut self, trial: &Trial, account: &mut Account) {
        let mut burst = Burst::new();
        for (place, &port) in trial.receive.iter().enumerate() {
            if self.ports[port].receive.rx_burst(&mut burst) == 0 {
                continue;
            }
            let now = tsc();
            for frame in &burst {
                account.note(frame, place, now);
            }
            burst.clear();
        }
    }
}

/// So that nothing else looks like a stamp.
fn mark(trial: u32) -> [u8; 4] {
    (trial ^ 0x5ca1_ab1e).to_be_bytes()
}

/// What came of a trial.
struct Account {
    mark: [u8; 4],
    /// For each packet a bit for each port that it came out of.
    seen: Vec<u8>,
    all: u8,
    complete: u64,
    received: u64,
    twice: u64,
    last_at: u64,
    first: Histogram,
    last: Histogram,
}

impl Account {
    fn new(trial: u32, packets: u64, ports: usize) -> Self {
        Self {
            mark: mark(trial),
            seen: vec![0; packets as usize],
            all: ((1u16 << ports) - 1) as u8,
            complete: 0,
            received: 0,
            twice: 0,
            last_at: 0,
            first: Histogram::default(),
            last: Histogram::default(),
        }
    }

    fn note(&mut self, frame: &[u8], place: usize, now: u64) {
        let Some(stamp) = frame.last_chunk::<STAMP_OCTETS>() else {
            return;
        };
        let (mark, rest) = stamp.split_at(4);
        let (number, sent_at) = rest.split_at(8);
        if mark != self.mark {
            return;
        }
        let value = |octets: &[u8]| octets.iter().fold(0, |sum, &of| sum << 8 | u64::from(of));
        let Some(seen) = self.seen.get_mut(value(number) as usize) else {
            return;
        };
        let bit = 1 << place;
        if *seen & bit != 0 {
            self.twice += 1;
            return;
        }
        let took = now.saturating_sub(value(sent_at));
        if *seen == 0 {
            self.first.record(took);
        }
        *seen |= bit;
        self.received += 1;
        if *seen == self.all {
            self.last.record(took);
            self.complete += 1;
        }
        self.last_at = now;
    }

    fn is_complete(&self) -> bool {
        self.complete == self.seen.len() as u64
    }

    fn outcome(&self, hz: f64) -> Outcome {
        let missing = |seen: &u8| u64::from((self.all & !seen).count_ones());
        Outcome {
            received_copies: self.received,
            lost_copies: self.seen.iter().map(missing).sum(),
            twice: self.twice,
            first: spread(&self.first, hz),
            last: spread(&self.last, hz),
            ..Outcome::default()
        }
    }
}

fn spread(cycles: &Histogram, hz: f64) -> Spread {
    let ns = |cycles: u64| (cycles as f64 * 1e9 / hz) as u64;
    let quantile = |&share: &f64| ns(cycles.quantile(share));
    Spread {
        count: cycles.count(),
        quantiles: SHARES.iter().map(quantile).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(trial: u32, number: u64, sent_at: u64) -> Vec<u8> {
        let mut frame = vec![0; 44];
        frame.extend(mark(trial));
        frame.extend(number.to_be_bytes());
        frame.extend(sent_at.to_be_bytes());
        frame
    }

    #[test]
    fn every_copy_is_accounted_for_once() {
        let mut account = Account::new(7, 3, 2);
        account.note(&frame(7, 0, 100), 0, 110);
        account.note(&frame(7, 0, 100), 1, 130);
        account.note(&frame(7, 0, 100), 1, 140);
        account.note(&frame(7, 2, 200), 1, 205);
        // Another trial's, a number that was never sent, and something else.
        account.note(&frame(6, 1, 100), 0, 110);
        account.note(&frame(7, 3, 100), 0, 110);
        account.note(&[1, 2, 3], 0, 110);
        let outcome = account.outcome(1e9);
        let counts = [outcome.received_copies, outcome.lost_copies, outcome.twice];
        assert_eq!(counts, [3, 3, 1]);
        assert_eq!((outcome.first.count, outcome.last.count), (2, 1));
        assert_eq!(outcome.first.quantile_us(1.0), Some(0.01));
        assert_eq!(outcome.last.quantile_us(0.5), Some(0.03));
        let nothing = Account::new(8, 3, 2).outcome(1e9);
        assert_eq!(nothing.first.quantile_us(0.5), None);
        assert!(!account.is_complete());
    }
}
