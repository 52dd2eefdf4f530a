//! Numbered UDP from one host to another, and an exact account of which numbers arrived.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::prctl;
use nix::sys::socket::{setsockopt, sockopt};

use crate::histogram::Histogram;
use crate::netns::{Namespace, joined};
use crate::traffic::receipt::Receipt;
use crate::traffic::timeline::Timeline;

mod receipt;
pub mod timeline;

/// An end host: where its kernel runs and what its address is.
#[derive(Clone, Debug)]
pub struct Host {
    pub namespace: Namespace,
    pub address: IpAddr,
}

/// What to send.
#[derive(Clone, Debug)]
pub struct FlowConfig {
    pub from: Host,
    pub to: Host,
    /// UDP port of the receiver; one flow each.
    pub port: u16,
    /// Where packets are sent instead, when a program takes them there and hands them to `to` at the other end.
    pub entry: Option<SocketAddr>,
    pub packets_per_s: u32,
    /// UDP payload, at least [`HEADER_OCTETS`].
    pub payload_octets: usize,
    /// The grain of [`FlowReport::timeline`].
    pub timeline_step: Duration,
    /// Several addresses of the receiver instead of the one in `to`.
    pub spread: Option<Spread>,
}

/// A splitter: packets of one flow, numbered and accounted for as one, go to several addresses of the receiver.
#[derive(Clone, Debug)]
pub struct Spread {
    /// At least one; of one family.
    pub addresses: Vec<IpAddr>,
    pub choice: Choice,
}

/// Which address a packet goes to.
#[derive(Clone, Debug)]
pub enum Choice {
    /// One after the other, packet by packet.
    InTurn,
    /// The one whose place among them stands here when the packet is sent.
    Selected(Arc<AtomicUsize>),
}

impl Spread {
    fn address(&self, number: u64) -> IpAddr {
        let place = match &self.choice {
            Choice::InTurn => number as usize,
            Choice::Selected(place) => place.load(Ordering::Relaxed),
        };
        self.addresses[place % self.addresses.len()]
    }
}

impl FlowConfig {
    /// 200 octets of payload.
    pub fn new(from: &Host, to: &Host, port: u16, packets_per_s: u32) -> Self {
        Self {
            from: from.clone(),
            to: to.clone(),
            port,
            entry: None,
            packets_per_s,
            payload_octets: 200,
            timeline_step: Duration::from_millis(100),
            spread: None,
        }
    }

    fn is_valid(&self) -> bool {
        let spread = self.spread.as_ref();
        self.payload_octets >= HEADER_OCTETS
            && self.packets_per_s > 0
            && spread.is_none_or(|spread| !spread.addresses.is_empty())
    }

    /// Where the receiver listens: at all its addresses when there are several.
    fn receiver_address(&self) -> SocketAddr {
        let address = match (&self.spread, self.to.address) {
            (None, address) => address,
            (Some(_), IpAddr::V4(_)) => Ipv4Addr::UNSPECIFIED.into(),
            (Some(_), IpAddr::V6(_)) => Ipv6Addr::UNSPECIFIED.into(),
        };
        SocketAddr::new(address, self.port)
    }

    fn destination(&self, number: u64) -> SocketAddr {
        let spread = self.spread.as_ref();
        let address = spread.map_or(self.to.address, |spread| spread.address(number));
        self.entry
            .unwrap_or_else(|| SocketAddr::new(address, self.port))
    }
}

/// Octets of a payload that carry something: magic 4, port 2, reserved 2, number 8, send time 8.
pub const HEADER_OCTETS: usize = 24;

/// A flow being sent and received. Dropping it stops both ends.
pub struct Flow {
    shared: Arc<Shared>,
    sender: Option<JoinHandle<io::Result<()>>>,
    receiver: Option<JoinHandle<io::Result<()>>>,
}

/// The account of a flow.
#[derive(Clone, Debug, Default)]
pub struct FlowReport {
    /// Numbers handed to the sender's kernel: 0 up to this.
    pub sent: u64,
    /// Different numbers that arrived.
    pub received: u64,
    /// Packets that arrived although their number already had.
    pub delivered_twice: u64,
    /// Packets overtaken by one sent later.
    pub out_of_order: u64,
    /// Longest time between two new numbers, or from the last one (when nothing came: from the first sending) to the last
    /// sending.
    pub longest_gap: Duration,
    pub latency: Latency,
    /// All latencies, ns.
    pub latencies: Histogram,
    /// Latency by the time of sending.
    pub timeline: Timeline,
    /// Numbers that did not arrive, ascending.
    pub missing: Vec<Range<u64>>,
    /// Packets the receiving socket dropped since its buffer was full: the test's own fault.
    pub receiver_drops: u64,
    /// Packets that were not ours, or damaged.
    pub foreign: u64,
    /// Attempts to send that the kernel refused; the number was sent later.
    pub send_errors: u64,
}

/// How long packets took, over first arrivals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    pub least: Duration,
    pub mean: Duration,
    /// Half of all took no longer (within 1 %, as those below).
    pub p50: Duration,
    pub p99: Duration,
    pub p999: Duration,
    pub most: Duration,
}

impl FlowReport {
    pub fn lost(&self) -> u64 {
        self.lost_in(0..self.sent)
    }

    /// How many numbers of `numbers` are missing.
    pub fn lost_in(&self, numbers: Range<u64>) -> u64 {
        let overlap = |range: &Range<u64>| {
            let (start, end) = (range.start.max(numbers.start), range.end.min(numbers.end));
            end.saturating_sub(start)
        };
        self.missing.iter().map(overlap).sum()
    }

    /// Lost packets as a share of those sent.
    pub fn loss(&self) -> f64 {
        self.lost() as f64 / self.sent.max(1) as f64
    }
}

impl Flow {
    /// Starts the receiver, then the sender.
    pub fn start(config: FlowConfig) -> io::Result<Self> {
        if !config.is_valid() {
            return Err(ErrorKind::InvalidInput.into());
        }
        let shared = Arc::new(Shared {
            receipt: Mutex::new(Receipt::new(config.timeline_step)),
            ..Shared::default()
        });
        let receiver = Arc::clone(&shared);
        let (bound, is_bound) = mpsc::channel();
        let (namespace, at) = (&config.to.namespace, config.receiver_address());
        let receiver = namespace.spawn(move || receiver.receive(at, &bound));
        if is_bound.recv().is_err() {
            // It ended before it was bound: with an error.
            joined(receiver)?;
            return Err(ErrorKind::AddrNotAvailable.into());
        }
        let sender = Arc::clone(&shared);
        let sender = config
            .from
            .namespace
            .clone()
            .spawn(move || sender.send(&config));
        Ok(Self {
            shared,
            sender: Some(sender),
            receiver: Some(receiver),
        })
    }

    /// Numbers sent so far.
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::Relaxed)
    }

    /// Different numbers received so far.
    pub fn received(&self) -> u64 {
        self.shared.receipt().received()
    }

    pub fn delivered_twice(&self) -> u64 {
        self.shared.receipt().delivered_twice()
    }

    /// The account of the numbers below `settled`, read while traffic goes on.
    pub fn lost_below(&self, settled: u64) -> u64 {
        let missing = self.shared.receipt().missing(settled);
        missing.iter().map(|range| range.end - range.start).sum()
    }

    /// Stops sending but goes on receiving, so that several flows can end together.
    pub fn stop_sending(&self) {
        self.shared.stop_sending.store(true, Ordering::Relaxed);
    }

    /// Stops sending, waits until everything has arrived, at most `drain`, and gives the account.
    pub fn stop(mut self, drain: Duration) -> io::Result<FlowReport> {
        self.stop_sending();
        self.sender.take().map_or(Ok(()), joined)?;
        let deadline = Instant::now() + drain;
        while self.received() < self.sent() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
        // A second copy may come later than the first.
        thread::sleep(drain.min(Duration::from_millis(200)));
        self.shared.stop_receiving.store(true, Ordering::Relaxed);
        self.receiver.take().map_or(Ok(()), joined)?;
        Ok(self.shared.report())
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.stop_sending();
        self.shared.stop_receiving.store(true, Ordering::Relaxed);
        for thread in [self.sender.take(), self.receiver.take()] {
            // An error here has nobody left to hear it.
            let _ = thread.map(JoinHandle::join);
        }
    }
}

#[derive(Default)]
struct Shared {
    stop_sending: AtomicBool,
    stop_receiving: AtomicBool,
    sent: AtomicU64,
    /// When the first number was sent, and when the last one was, as [`now_ns`] has it.
    first_sent_ns: AtomicU64,
    last_sent_ns: AtomicU64,
    send_errors: AtomicU64,
    receiver_drops: AtomicU64,
    receipt: Mutex<Receipt>,
}

const MAGIC: [u8; 4] = *b"h2tp";

/// Large enough for several seconds of any rate used here.
const SOCKET_BUFFER_OCTETS: usize = 64 << 20;

const TICK: Duration = Duration::from_millis(1);

impl Shared {
    fn receipt(&self) -> MutexGuard<'_, Receipt> {
        self.receipt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self) -> FlowReport {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let sending_ns = load(&self.first_sent_ns)..load(&self.last_sent_ns);
        FlowReport {
            receiver_drops: load(&self.receiver_drops),
            send_errors: load(&self.send_errors),
            ..self.receipt().report(load(&self.sent), sending_ns)
        }
    }

    fn send(&self, config: &FlowConfig) -> io::Result<()> {
        // Not connected: an ICMP error of the past must not fail a packet of now. Linux sets DF on what fits the path MTU
        // it knows; `icmp` tells whether it ever came to know a smaller one.
        let socket = UdpSocket::bind((config.from.address, 0))?;
        setsockopt(&socket, sockopt::SndBufForce, &SOCKET_BUFFER_OCTETS)?;
        prctl::set_timerslack(1)?;
        let mut payload = vec![0; config.payload_octets];
        payload[..4].copy_from_slice(&MAGIC);
        payload[4..6].copy_from_slice(&config.port.to_be_bytes());
        let rate = u64::from(config.packets_per_s);
        // After a stall it catches up at no more than four times the rate, not in one burst that nothing can hold.
        let most_a_tick = (4 * rate / 1000).max(4);
        let started = Instant::now();
        let mut number = 0;
        while !self.stop_sending.load(Ordering::Relaxed) {
            let due = (started.elapsed().as_nanos() * u128::from(rate) / 1_000_000_000) as u64;
            for _ in 0..due.saturating_sub(number).min(most_a_tick) {
                payload[8..16].copy_from_slice(&number.to_be_bytes());
                let now_ns = now_ns();
                payload[16..24].copy_from_slice(&now_ns.to_be_bytes());
                if socket
                    .send_to(&payload, config.destination(number))
                    .is_err()
                {
                    self.send_errors.fetch_add(1, Ordering::Relaxed);
                    break;
                }
                if number == 0 {
                    self.first_sent_ns.store(now_ns, Ordering::Relaxed);
                }
                self.last_sent_ns.store(now_ns, Ordering::Relaxed);
                number += 1;
                self.sent.store(number, Ordering::Relaxed);
            }
            thread::sleep(TICK);
        }
        Ok(())
    }

    fn receive(&self, at: SocketAddr, bound: &mpsc::Sender<()>) -> io::Result<()> {
        let socket = UdpSocket::bind(at)?;
        setsockopt(&socket, sockopt::RcvBufForce, &SOCKET_BUFFER_OCTETS)?;
        socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        // The starter may have given up; the stop flag tells.
        let _ = bound.send(());
        let mut buffer = vec![0; 65_536];
        while !self.stop_receiving.load(Ordering::Relaxed) {
            match socket.recv(&mut buffer) {
                Ok(octets) => self.take(at.port(), &buffer[..octets]),
                Err(error) if is_timeout(&error) => (),
                Err(error) => return Err(error),
            }
        }
        let drops = socket_drops(at.port())?;
        self.receiver_drops.store(drops, Ordering::Relaxed);
        Ok(())
    }

    fn take(&self, port: u16, payload: &[u8]) {
        let now_ns = now_ns();
        match parse(port, payload) {
            Some((number, sent_at_ns)) => self.receipt().take(number, sent_at_ns, now_ns),
            None => self.receipt().take_foreign(),
        }
    }
}

fn parse(port: u16, payload: &[u8]) -> Option<(u64, u64)> {
    let payload = payload.strip_prefix(&MAGIC)?;
    let payload = payload.strip_prefix(&port.to_be_bytes())?;
    let number = payload.get(2..10)?.try_into().ok()?;
    let sent_at_ns = payload.get(10..18)?.try_into().ok()?;
    Some((u64::from_be_bytes(number), u64::from_be_bytes(sent_at_ns)))
}

/// Time since the first call in this process: sender and receiver are threads of one process.
fn now_ns() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

/// The drop counter of the UDP socket on `port`, in the calling thread's namespace.
fn socket_drops(port: u16) -> io::Result<u64> {
    let mut table = std::fs::read_to_string("/proc/thread-self/net/udp")?;
    table += &std::fs::read_to_string("/proc/thread-self/net/udp6")?;
    let suffix = format!(":{port:04X}");
    let drops = |line: &str| {
        let mut words = line.split_whitespace();
        words.nth(1)?.ends_with(&suffix).then_some(())?;
        words.next_back()?.parse::<u64>().ok()
    };
    Ok(table.lines().filter_map(drops).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_gets_nothing_has_a_gap_from_the_first_sending_to_the_last() {
        // Bound so that the port is nobody else's; what comes is not read.
        let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let at = receiver.local_addr().unwrap();
        let host = Host {
            namespace: Namespace::named("not entered"),
            address: at.ip(),
        };
        let config = FlowConfig::new(&host, &host, at.port(), 1000);
        let shared = Arc::new(Shared::default());
        let sender = Arc::clone(&shared);
        let sender = thread::spawn(move || sender.send(&config));
        // More than one burst, or an end by an error.
        while shared.sent.load(Ordering::Relaxed) < 20 && !sender.is_finished() {
            thread::sleep(TICK);
        }
        shared.stop_sending.store(true, Ordering::Relaxed);
        joined(sender).unwrap();
        let report = shared.report();
        assert_eq!(report.lost(), report.sent);
        let times = [&shared.first_sent_ns, &shared.last_sent_ns];
        let [first_ns, last_ns] = times.map(|time| time.load(Ordering::Relaxed));
        // At most four in a tick.
        assert!(last_ns - first_ns >= 4 * TICK.as_nanos() as u64);
        let sending = Duration::from_nanos(last_ns - first_ns);
        assert_eq!(report.longest_gap, sending);
    }

    #[test]
    fn a_splitter_sends_in_turn_or_where_it_is_told() {
        let addresses: Vec<IpAddr> = ["10.0.0.1", "10.0.0.2"]
            .map(|address| address.parse().unwrap())
            .to_vec();
        let chosen = |spread: &Spread| [0, 1, 2, 3].map(|number| spread.address(number));
        let (first, second) = (addresses[0], addresses[1]);
        let in_turn = Spread {
            addresses: addresses.clone(),
            choice: Choice::InTurn,
        };
        assert_eq!(chosen(&in_turn), [first, second, first, second]);
        let place = Arc::new(AtomicUsize::new(0));
        let selected = Spread {
            addresses,
            choice: Choice::Selected(Arc::clone(&place)),
        };
        assert_eq!(chosen(&selected), [first; 4]);
        place.store(1, Ordering::Relaxed);
        assert_eq!(chosen(&selected), [second; 4]);
    }
}
