//! A TCP transfer of known content, checked by a digest at both ends.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::netns::joined;
use crate::traffic::Host;

/// What to transfer.
#[derive(Clone, Debug)]
pub struct TransferConfig {
    pub from: Host,
    pub to: Host,
    /// TCP port of the receiver.
    pub port: u16,
    /// It ends after these, or by [`Transfer::finish_now`].
    pub octets: u64,
    /// The application's own pace; `None`: as fast as TCP goes.
    pub octets_per_s: Option<u64>,
}

/// A transfer on its way.
pub struct Transfer {
    enough: Arc<AtomicBool>,
    done_octets: Arc<AtomicU64>,
    sender: JoinHandle<io::Result<Sent>>,
    receiver: JoinHandle<io::Result<u64>>,
    give_up: Arc<AtomicBool>,
}

/// How a transfer went.
#[derive(Clone, Copy, Debug)]
pub struct TransferReport {
    pub octets: u64,
    pub elapsed: Duration,
    /// Both ends computed the same digest over the same number of octets.
    pub is_intact: bool,
}

struct Sent {
    octets: u64,
    digest: u64,
    elapsed: Duration,
}

const CHUNK_OCTETS: usize = 16 * 1024;

/// Neither end waits longer than this without any progress.
const STALL: Duration = Duration::from_secs(30);

impl Transfer {
    pub fn start(config: TransferConfig) -> io::Result<Self> {
        let to = &config.to;
        let at = SocketAddr::new(to.address, config.port);
        let listener = joined(to.namespace.spawn(move || TcpListener::bind(at)))?;
        listener.set_nonblocking(true)?;
        let done_octets = Arc::new(AtomicU64::new(0));
        let give_up = Arc::new(AtomicBool::new(false));
        let (done, given_up) = (Arc::clone(&done_octets), Arc::clone(&give_up));
        let receiver = to
            .namespace
            .spawn(move || receive(&listener, &done, &given_up));
        let enough = Arc::new(AtomicBool::new(false));
        let is_enough = Arc::clone(&enough);
        let namespace = config.from.namespace.clone();
        let sender = namespace.spawn(move || send(at, &config, &is_enough));
        Ok(Self {
            enough,
            done_octets,
            sender,
            receiver,
            give_up,
        })
    }

    /// Octets that have arrived.
    pub fn done_octets(&self) -> u64 {
        self.done_octets.load(Ordering::Relaxed)
    }

    pub fn is_finished(&self) -> bool {
        self.sender.is_finished() && self.receiver.is_finished()
    }

    /// Sends no more than it has, and waits for the end as [`Transfer::finish`].
    pub fn finish_now(self) -> io::Result<TransferReport> {
        self.enough.store(true, Ordering::Relaxed);
        self.finish()
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// When an end made no progress for 30 s, and what the sockets return.
    pub fn finish(self) -> io::Result<TransferReport> {
        let sent = joined(self.sender);
        self.give_up.store(sent.is_err(), Ordering::Relaxed);
        let received = joined(self.receiver);
        let (sent, received) = match (sent, received) {
            (Ok(sent), Ok(received)) => (sent, received),
            (sent, received) => return Err(both_ends(sent.err(), received.err())),
        };
        Ok(TransferReport {
            octets: sent.octets,
            elapsed: sent.elapsed,
            is_intact: sent.digest == received,
        })
    }
}

/// One end's error is often the cause of the other's.
fn both_ends(sender: Option<io::Error>, receiver: Option<io::Error>) -> io::Error {
    let text =
        |error: Option<io::Error>| error.map_or_else(|| "ok".to_owned(), |error| error.to_string());
    io::Error::other(format!(
        "sender: {}; receiver: {}",
        text(sender),
        text(receiver)
    ))
}

/// Sends, then waits for the receiver's digest: only then has everything arrived.
fn send(to: SocketAddr, config: &TransferConfig, enough: &AtomicBool) -> io::Result<Sent> {
    let started = Instant::now();
    let mut stream = TcpStream::connect_timeout(&to, STALL)?;
    stream.set_write_timeout(Some(STALL))?;
    stream.set_read_timeout(Some(STALL))?;
    let mut pattern = Pattern(config.octets | 1);
    let mut digest = Digest::default();
    let mut octets = 0;
    let mut chunk = vec![0; CHUNK_OCTETS];
    while octets < config.octets && !enough.load(Ordering::Relaxed) {
        let size = (config.octets - octets).min(CHUNK_OCTETS as u64) as usize;
        pattern.fill(&mut chunk[..size]);
        digest.add(&chunk[..size]);
        stream.write_all(&chunk[..size])?;
        octets += size as u64;
        if let Some(rate) = config.octets_per_s {
            let due = Duration::from_secs_f64(octets as f64 / rate as f64);
            std::thread::sleep(due.saturating_sub(started.elapsed()));
        }
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut end = [0; 1];
    stream.read_exact(&mut end)?;
    Ok(Sent {
        octets,
        digest: digest.0,
        elapsed: started.elapsed(),
    })
}

fn receive(listener: &TcpListener, done: &AtomicU64, given_up: &AtomicBool) -> io::Result<u64> {
    let mut stream = accept(listener, given_up)?;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(STALL))?;
    let mut digest = Digest::default();
    let mut chunk = vec![0; CHUNK_OCTETS];
    loop {
        let octets = match stream.read(&mut chunk) {
            // A read with a time limit is not restarted by the kernel.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            result => result?,
        };
        if octets == 0 {
            stream.write_all(&[0])?;
            return Ok(digest.0);
        }
        digest.add(&chunk[..octets]);
        done.fetch_add(octets as u64, Ordering::Relaxed);
    }
}

fn accept(listener: &TcpListener, given_up: &AtomicBool) -> io::Result<TcpStream> {
    while !given_up.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((stream, _)) => return Ok(stream),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// Content that does not repeat: xorshift64.
struct Pattern(u64);

impl Pattern {
    fn fill(&mut self, chunk: &mut [u8]) {
        for octets in chunk.chunks_mut(8) {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            octets.copy_from_slice(&self.0.to_le_bytes()[..octets.len()]);
        }
    }
}

/// FNV-1a over all octets and so over their order and number.
struct Digest(u64);

impl Default for Digest {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Digest {
    fn add(&mut self, octets: &[u8]) {
        for octet in octets {
            self.0 = (self.0 ^ u64::from(*octet)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}
