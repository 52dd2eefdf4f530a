//! Strangers on an ISP's wire: frames as fast as they go, and an account of what comes back.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::prctl;

use crate::frame_socket::{BATCH, FrameSocket};
use crate::junk::{STRANGERS_MAC, ethernet, flags, l2tp_payload, message_type};
use crate::netns::{Namespace, joined};

/// An interface at the far end of an appliance's wire.
#[derive(Clone, Debug)]
pub struct Wire {
    pub namespace: Namespace,
    pub interface: String,
}

/// What is sent.
#[derive(Clone, Debug)]
pub struct FloodConfig {
    pub wire: Wire,
    /// Sent in their order, again and again.
    pub frames: Arc<Vec<Vec<u8>>>,
    /// No more than so many; how many go is the machine's affair.
    pub frames_per_s: u64,
}

/// A flood that goes on. Dropping it stops it.
pub struct Flood {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<FloodReport>>>,
}

/// What was sent, and what the appliance sent meanwhile on the same wire besides copies and reports.
#[derive(Clone, Copy, Debug, Default)]
pub struct FloodReport {
    pub sent_frames: u64,
    pub sent_octets: u64,
    pub elapsed: Duration,
    /// Everything that came, those below included, less what the appliance asked by ARP.
    pub answer_frames: u64,
    pub answer_octets: u64,
    /// L2TP control messages that offer a tunnel, and that refuse one.
    pub sccrps: u64,
    pub stop_ccns: u64,
    pub icmp_errors: u64,
    /// Neighbours that the appliance asked for, to answer them.
    pub asked: u64,
    /// The kernel lost some of what came, and the account is short.
    pub kernel_drops: u64,
}

impl Flood {
    pub fn start(config: FloodConfig) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&stop);
        let namespace = config.wire.namespace.clone();
        let thread = namespace.spawn(move || Sender::open(&config)?.run(&config, &is_over));
        Self {
            stop,
            thread: Some(thread),
        }
    }

    /// Ends it. What is answered a little later is counted.
    pub fn stop(mut self) -> io::Result<FloodReport> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread
            .take()
            .map_or_else(|| Ok(FloodReport::default()), joined)
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // An error here has nobody left to hear it.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Batches between two looks at what came back.
const BATCHES_A_LOOK: usize = 4;

/// How long answers are still waited for.
const LINGER: Duration = Duration::from_millis(300);

const TICK: Duration = Duration::from_micros(200);

struct Sender {
    socket: FrameSocket,
    report: FloodReport,
    /// Answers to the appliance's ARP requests.
    replies: Vec<Vec<u8>>,
}

impl Sender {
    fn open(config: &FloodConfig) -> io::Result<Self> {
        prctl::set_timerslack(1)?;
        Ok(Self {
            socket: FrameSocket::open(&config.wire.interface)?,
            report: FloodReport::default(),
            replies: Vec::new(),
        })
    }

    fn run(mut self, config: &FloodConfig, is_over: &AtomicBool) -> io::Result<FloodReport> {
        let started = Instant::now();
        let mut next = 0;
        while !is_over.load(Ordering::Relaxed) {
            let due =
                started.elapsed().as_nanos() * u128::from(config.frames_per_s) / 1_000_000_000;
            let mut due = due as u64;
            for _ in 0..BATCHES_A_LOOK {
                if self.report.sent_frames + BATCH as u64 > due {
                    thread::sleep(TICK);
                    break;
                }
                let batch = &config.frames[next..config.frames.len().min(next + BATCH)];
                let sent = self.send(batch)?;
                next = (next + sent) % config.frames.len();
                due = due.min(self.report.sent_frames + 4 * BATCH as u64);
            }
            self.look()?;
        }
        self.report.elapsed = started.elapsed();
        let last = Instant::now();
        while last.elapsed() < LINGER {
            self.look()?;
            thread::sleep(TICK);
        }
        self.report.kernel_drops = self.socket.kernel_drops();
        Ok(self.report)
    }

    /// Says how many of the batch went.
    fn send(&mut self, batch: &[Vec<u8>]) -> io::Result<usize> {
        let sent = match self.socket.send(batch) {
            Ok(sent) => sent,
            Err(Errno::EAGAIN | Errno::ENOBUFS | Errno::EINTR) => 0,
            Err(error) => return Err(error.into()),
        };
        self.report.sent_frames += sent as u64;
        let octets: usize = batch[..sent].iter().map(Vec::len).sum();
        self.report.sent_octets += octets as u64;
        Ok(sent)
    }

    /// Counts what came, and answers for all strangers.
    fn look(&mut self) -> io::Result<()> {
        let Self {
            socket,
            report,
            replies,
        } = self;
        while socket.receive(&mut |frame| report.take(frame, replies))? > BATCH {}
        let replies = std::mem::take(&mut self.replies);
        for batch in replies.chunks(BATCH) {
            self.send(batch)?;
        }
        Ok(())
    }
}

impl FloodReport {
    fn take(&mut self, frame: &[u8], replies: &mut Vec<Vec<u8>>) {
        if let Some(reply) = arp_reply(frame) {
            self.asked += 1;
            replies.push(reply);
            return;
        }
        let payload = l2tp_payload(frame);
        if payload.is_some_and(|payload| flags(payload) == 0x0202) {
            return;
        }
        self.answer_frames += 1;
        self.answer_octets += frame.len() as u64;
        match payload.and_then(message_type) {
            Some(2) => self.sccrps += 1,
            Some(4) => self.stop_ccns += 1,
            _ => {}
        }
        // Destination unreachable, time exceeded, parameter problem.
        let is_icmp = frame.get(12..14) == Some(&[8, 0]) && frame.get(23) == Some(&1);
        if is_icmp && matches!(frame.get(34), Some(3 | 11 | 12)) {
            self.icmp_errors += 1;
        }
    }
}

/// The answer to an ARP request for a stranger: the third octet of all others' addresses is 0.
fn arp_reply(frame: &[u8]) -> Option<Vec<u8>> {
    let request = frame.strip_prefix(frame.get(..12)?)?;
    let request = request.strip_prefix(&[8, 6, 0, 1, 8, 0, 6, 4, 0, 1])?;
    let (asker, asked) = (request.get(..10)?, request.get(16..20)?);
    if asked[2] == 0 {
        return None;
    }
    let mut packet = vec![0, 1, 8, 0, 6, 4, 0, 2];
    packet.extend(STRANGERS_MAC);
    packet.extend(asked);
    packet.extend(asker);
    Some(ethernet(asker.first_chunk().copied()?, 0x0806, &packet))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_are_answered_for_and_nobody_else() {
        let request = |last: [u8; 2]| {
            let mut packet = vec![0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 9, 10, 1, 0, 1];
            packet.extend([0, 0, 0, 0, 0, 0, 10, 1, last[0], last[1]]);
            ethernet([0xff; 6], 0x0806, &packet)
        };
        assert_eq!(arp_reply(&request([0, 2])), None);
        let reply = arp_reply(&request([7, 8])).expect("a stranger's");
        assert_eq!(reply[..6], [2, 0, 0, 0, 0, 9]);
        assert_eq!(reply[20..22], [0, 2]);
        assert_eq!(reply[28..32], [10, 1, 7, 8]);
        assert_eq!(reply[38..42], [10, 1, 0, 1]);
        assert_eq!(arp_reply(&reply), None);
    }

    #[test]
    fn answers_are_counted_by_what_they_are() {
        let mut report = FloodReport::default();
        let mut take = |frame: &[u8]| report.take(frame, &mut Vec::new());
        take(&ethernet([1; 6], 0x0806, &[0, 1, 8, 0, 6, 4, 0, 2]));
        let mut unreachable = vec![0x45; 20];
        unreachable[9] = 1;
        unreachable.extend([3, 1]);
        take(&ethernet([1; 6], 0x0800, &unreachable));
        assert_eq!((report.answer_frames, report.icmp_errors), (2, 1));
        assert_eq!((report.answer_octets, report.asked), (120, 0));
    }
}
