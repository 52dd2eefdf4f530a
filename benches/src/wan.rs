//! The WAN emulator: carries frames between two interfaces, each direction through a [`Path`].
//!
//! One thread, one poll loop. After a batch it rests for [`REST`] before it looks for more, so that a busy link costs
//! a few thousand wake-ups a second instead of one for each frame; a frame's delay is therefore right to about that
//! time. Frames are never dropped here but for the reasons counted in [`Stats`].
//!
//! Control: a Unix stream socket, one command a line, one line of answer each (`ok`, `error: ...` or JSON):
//!
//! ```text
//! set a-b|b-a|both KEY=VALUE ...   change settings (see Impairments)
//! outage on|off [a-b|b-a]          the same as `set ... outage=on`
//! reset a-b|b-a|both               a perfect wire again
//! settings                         -> JSON
//! stats                            -> JSON, see Stats
//! ```

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path as FilePath, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::time::TimeSpec;
use serde::{Deserialize, Serialize};

use crate::frame_socket::{BATCH, FrameSocket};
use wan_model::impairment::{Impairments, SettingError};
use wan_model::path::{Path, PathCounters};

/// How long the loop leaves arriving frames alone after a batch.
pub const REST: Duration = Duration::from_micros(100);

/// Batches taken from one side before the other has its turn.
const BATCHES_A_TURN: usize = 8;

/// A control client that sends a longer line is cut off.
const MAX_LINE_OCTETS: usize = 4096;

/// What `stats` answers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Stats {
    #[serde(rename = "a-b")]
    pub a_b: DirectionStats,
    #[serde(rename = "b-a")]
    pub b_a: DirectionStats,
}

/// One direction. `forwarded` counts frames handed to the interface, those it refused (`send_errors`) too.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct DirectionStats {
    #[serde(flatten)]
    pub path: PathCounters,
    pub in_flight: u64,
    /// Frames the interface refused: it is down or was taken away.
    pub send_errors: u64,
    /// Frames the kernel dropped before this program saw them. More than 0 makes a measurement worthless.
    pub kernel_drops: u64,
    /// Frames longer than any carried.
    pub oversized: u64,
}

/// What the emulator is started with.
pub struct Config {
    /// The two interfaces, in the namespace of the calling thread.
    pub interfaces: [String; 2],
    /// Where the control socket is made; removed at the end.
    pub control: Option<PathBuf>,
    pub seed: u64,
    /// Control lines carried out before the first frame.
    pub initial: Vec<String>,
}

/// Why the emulator does not run.
#[derive(Debug)]
pub enum Error {
    Interface(String, Errno),
    Control(PathBuf, io::Error),
    Command(String, CommandError),
    System(Errno),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interface(name, error) => write!(f, "interface {name}: {error}"),
            Self::Control(path, error) => write!(f, "control socket {}: {error}", path.display()),
            Self::Command(line, error) => write!(f, "{line}: {error}"),
            Self::System(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<Errno> for Error {
    fn from(error: Errno) -> Self {
        Self::System(error)
    }
}

/// Why a control line was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandError {
    Unknown,
    Direction(String),
    Setting(SettingError),
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => write!(f, "expected set, outage on|off, reset, settings or stats"),
            Self::Direction(word) => write!(f, "{word}: expected a-b, b-a or both"),
            Self::Setting(error) => error.fmt(f),
        }
    }
}

impl From<SettingError> for CommandError {
    fn from(error: SettingError) -> Self {
        Self::Setting(error)
    }
}

/// The running emulator.
pub struct Wan {
    /// Side a, side b.
    sockets: [FrameSocket; 2],
    /// From a to b, from b to a.
    paths: [Path; 2],
    /// What is due but not yet sent, for the same directions.
    outboxes: [Vec<Vec<u8>>; 2],
    send_errors: [u64; 2],
    control: Option<Control>,
    started: Instant,
}

impl Wan {
    pub fn new(config: Config) -> Result<Self, Error> {
        let [a, b] = config.interfaces;
        let open = |name: String| FrameSocket::open(&name).map_err(|e| Error::Interface(name, e));
        let mut wan = Self {
            sockets: [open(a)?, open(b)?],
            // Directions must not see the same chances.
            paths: [0, 1].map(|side| {
                let seed = config.seed.wrapping_mul(2).wrapping_add(side);
                Path::new(Impairments::default(), seed)
            }),
            outboxes: [Vec::new(), Vec::new()],
            send_errors: [0; 2],
            control: None,
            started: Instant::now(),
        };
        for line in config.initial {
            wan.command(&line)
                .map_err(|error| Error::Command(line, error))?;
        }
        // Last: whoever waits for the socket may rely on frames being carried.
        wan.control = config.control.map(Control::listen).transpose()?;
        Ok(wan)
    }

    /// Runs until SIGTERM or SIGINT, which the caller's thread must not have been told to ignore.
    pub fn run(&mut self) -> Result<(), Error> {
        let mut ending = SigSet::empty();
        ending.add(Signal::SIGTERM);
        ending.add(Signal::SIGINT);
        ending.thread_block()?;
        let signals =
            SignalFd::with_flags(&ending, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        // The default slack of 50 us is half of our precision.
        prctl::set_timerslack(1)?;
        while signals.read_signal()?.is_none() {
            let was_busy = self.carry();
            self.serve_control();
            self.wait(&signals, was_busy)?;
        }
        Ok(())
    }

    /// Moves what there is to move; says whether frames arrived.
    fn carry(&mut self) -> bool {
        let mut was_busy = false;
        for side in 0..2 {
            for _ in 0..BATCHES_A_TURN {
                let now = self.started.elapsed();
                let path = &mut self.paths[side];
                let mut take = |frame: &[u8]| path.offer(now, frame.to_vec());
                // An error means that the interface is down; it is counted by what cannot be sent.
                let count = self.sockets[side].receive(&mut take).unwrap_or(0);
                was_busy |= count > 0;
                if count <= BATCH {
                    break;
                }
            }
        }
        for side in 0..2 {
            let now = self.started.elapsed();
            while let Some(frame) = self.paths[side].take_due(now) {
                self.outboxes[side].push(frame);
            }
            self.send(side);
        }
        was_busy
    }

    fn send(&mut self, side: usize) {
        let outbox = &mut self.outboxes[side];
        let mut done = 0;
        while done < outbox.len() {
            match self.sockets[1 - side].send(&outbox[done..]) {
                Ok(sent) => done += sent,
                Err(Errno::EAGAIN | Errno::EINTR) => break,
                Err(_) => {
                    self.send_errors[side] += 1;
                    done += 1;
                }
            }
        }
        outbox.drain(..done);
    }

    fn serve_control(&mut self) {
        let Some(mut control) = self.control.take() else {
            return;
        };
        control.serve(&mut |line| match self.command(line) {
            Ok(answer) => answer,
            Err(error) => format!("error: {error}"),
        });
        self.control = Some(control);
    }

    fn wait(&self, signals: &SignalFd, was_busy: bool) -> Result<(), Errno> {
        let mut until = [&self.paths[0], &self.paths[1]]
            .into_iter()
            .filter_map(Path::next_due)
            .min()
            .map(|due| due.saturating_sub(self.started.elapsed()));
        let has_unsent = self.outboxes.iter().any(|outbox| !outbox.is_empty());
        if was_busy || has_unsent {
            until = Some(until.map_or(REST, |until| until.min(REST)));
        }
        let mut fds = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        if let Some(control) = &self.control {
            control.add_to(&mut fds);
        }
        if !was_busy {
            for socket in &self.sockets {
                fds.push(PollFd::new(socket.as_fd(), PollFlags::POLLIN));
            }
        }
        match ppoll(&mut fds, until.map(TimeSpec::from_duration), None) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Carries out one control line and gives its answer.
    pub fn command(&mut self, line: &str) -> Result<String, CommandError> {
        let line = line.trim();
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb {
            "set" => {
                let (direction, words) = rest.split_once(' ').unwrap_or((rest, ""));
                self.set(direction, words)
            }
            "outage" => {
                let (state, direction) = rest.split_once(' ').unwrap_or((rest, "both"));
                self.set(direction, &format!("outage={state}"))
            }
            "reset" => {
                for side in sides(rest)? {
                    self.paths[side].set(Impairments::default());
                }
                Ok("ok".to_owned())
            }
            "settings" => {
                let [a_b, b_a] = &self.paths;
                let settings = serde_json::json!({ "a-b": a_b.settings(), "b-a": b_a.settings() });
                Ok(settings.to_string())
            }
            "stats" => Ok(serde_json::json!(self.stats()).to_string()),
            _ => Err(CommandError::Unknown),
        }
    }

    fn set(&mut self, direction: &str, words: &str) -> Result<String, CommandError> {
        for side in sides(direction)? {
            let mut settings = self.paths[side].settings().clone();
            settings.apply(words)?;
            self.paths[side].set(settings);
        }
        Ok("ok".to_owned())
    }

    pub fn stats(&self) -> Stats {
        let direction = |side: usize| DirectionStats {
            path: self.paths[side].counters(),
            in_flight: self.paths[side].in_flight() as u64,
            send_errors: self.send_errors[side],
            kernel_drops: self.sockets[side].kernel_drops(),
            oversized: self.sockets[side].oversized(),
        };
        Stats {
            a_b: direction(0),
            b_a: direction(1),
        }
    }
}

/// The paths a direction word names: 0 is a-b, 1 is b-a.
fn sides(direction: &str) -> Result<std::ops::Range<usize>, CommandError> {
    match direction {
        "a-b" => Ok(0..1),
        "b-a" => Ok(1..2),
        "both" => Ok(0..2),
        other => Err(CommandError::Direction(other.to_owned())),
    }
}

struct Control {
    listener: UnixListener,
    path: PathBuf,
    clients: Vec<Client>,
}

struct Client {
    stream: UnixStream,
    pending: Vec<u8>,
}

impl Control {
    fn listen(path: PathBuf) -> Result<Self, Error> {
        let listen = |path: &FilePath| {
            // A socket left by a killed predecessor.
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => (),
            }
            let listener = UnixListener::bind(path)?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        match listen(&path) {
            Ok(listener) => Ok(Self {
                listener,
                path,
                clients: Vec::new(),
            }),
            Err(error) => Err(Error::Control(path, error)),
        }
    }

    fn add_to<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        fds.push(PollFd::new(self.listener.as_fd(), PollFlags::POLLIN));
        for client in &self.clients {
            fds.push(PollFd::new(client.stream.as_fd(), PollFlags::POLLIN));
        }
    }

    fn serve(&mut self, answer: &mut dyn FnMut(&str) -> String) {
        while let Ok((stream, _)) = self.listener.accept() {
            if stream.set_nonblocking(true).is_ok() {
                let pending = Vec::new();
                self.clients.push(Client { stream, pending });
            }
        }
        self.clients
            .retain_mut(|client| client.serve(answer).is_ok());
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // Nothing to be done about a socket file that somebody else removed.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Client {
    /// Answers the whole lines that have come in; an error ends the connection.
    fn serve(&mut self, answer: &mut dyn FnMut(&str) -> String) -> io::Result<()> {
        let mut chunk = [0; 1024];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(octets) => self.pending.extend_from_slice(&chunk[..octets]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
            while let Some(end) = self.pending.iter().position(|octet| *octet == b'\n') {
                let line: Vec<u8> = self.pending.drain(..=end).collect();
                let reply = answer(String::from_utf8_lossy(&line).trim());
                self.stream.write_all(format!("{reply}\n").as_bytes())?;
            }
            if self.pending.len() > MAX_LINE_OCTETS {
                return Err(ErrorKind::InvalidData.into());
            }
        }
    }
}
