//! The management socket: a Unix stream socket (mode 0600) that takes one
//! request line and answers with one JSON document; a capture goes on behind it.
//!
//! A thread of its own accepts, reads and writes; the control thread is asked
//! through a channel, so that a slow or silent client costs it nothing. What others
//! know is not asked of it: [`Known`].

use std::fmt;
use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::events::{EventsWanted, Happened};
use super::history::{Graph, Graphs, HistoryQuestion};
use super::request::{ANSWER_TIMEOUT, Answer, Asker, Question};
use super::status::{Kicked, Masked, Status, Unmasked};
use crate::capture;
use crate::config::Reloaded;
use crate::monitor::{Events, History};

/// A client that says or takes nothing for so long is left alone.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a client waits: longer than the server's own limits, so that its reason arrives.
const PATIENCE: Duration = ANSWER_TIMEOUT.saturating_add(CLIENT_TIMEOUT);
/// A large file takes its time to be read and checked, and others may be before us.
const RELOAD_PATIENCE: Duration = Duration::from_secs(60);
/// Clients served at once; more wait in the listening socket's queue.
const MAX_CLIENTS: usize = 8;
/// A request is one word, and a name of the configuration, or what is to be captured.
const MAX_REQUEST_OCTETS: u64 = 16 << 10;
/// More than the status of the largest configuration takes.
const MAX_ANSWER_OCTETS: u64 = 64 << 20;
/// Pause between looks at whether the server is to stop.
const STOP_INTERVAL: Duration = Duration::from_millis(50);

/// Who answers.
#[derive(Clone, Debug)]
pub struct Known {
    /// Asks the control thread.
    pub asker: Asker,
    /// What happened.
    pub events: Arc<Events>,
    /// What was measured.
    pub history: History,
}

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Ask {
    /// Of the control thread.
    Control(Question),
    Reload {
        dry_run: bool,
    },
    Events(EventsWanted),
    History(HistoryQuestion),
}

impl Ask {
    /// Reads a request line: `status`, `kick NAME`, `mask SECONDS NAME`, `unmask NAME`, `reload`, `reload dry-run`, `events` and a JSON document, `graphs`, or
    /// `graph NAME FROM TO`.
    fn parse(line: &str) -> Option<Self> {
        match line.trim().split_once(' ') {
            None if line.trim() == "status" => Some(Self::Control(Question::Status)),
            None if line.trim() == "reload" => Some(Self::Reload { dry_run: false }),
            Some(("reload", "dry-run")) => Some(Self::Reload { dry_run: true }),
            None if line.trim() == "events" => Some(Self::Events(EventsWanted::default())),
            Some(("kick", name)) => Some(Self::Control(Question::Kick(name.trim().to_owned()))),
            Some(("mask", wanted)) => {
                let (for_s, name) = wanted.trim().split_once(' ')?;
                Some(Self::Control(Question::Mask {
                    name: name.trim().to_owned(),
                    for_s: for_s.parse().ok()?,
                }))
            }
            Some(("unmask", name)) => Some(Self::Control(Question::Unmask(name.trim().to_owned()))),
            Some(("events", wanted)) => serde_json::from_str(wanted).ok().map(Self::Events),
            _ => HistoryQuestion::parse(line.trim()).map(Self::History),
        }
    }

    fn line(&self) -> String {
        match self {
            Self::Control(Question::Status) => "status".to_owned(),
            Self::Control(Question::Kick(name)) => format!("kick {name}"),
            Self::Control(Question::Mask { name, for_s }) => format!("mask {for_s} {name}"),
            Self::Control(Question::Unmask(name)) => format!("unmask {name}"),
            Self::Reload { dry_run: false } => "reload".to_owned(),
            Self::Reload { dry_run: true } => "reload dry-run".to_owned(),
            // Asked for by the connection's own thread.
            Self::Control(_) => "capture".to_owned(),
            Self::Events(wanted) => format!("events {}", wanted.json()),
            Self::History(question) => question.line(),
        }
    }
}

impl Known {
    /// Answers with one JSON document without a line end.
    fn answer(&self, line: &str) -> String {
        let refused = |why: String| Answer::Refused(why).json();
        match Ask::parse(line) {
            Some(Ask::Control(question)) => self.asker.ask(question).json(),
            Some(Ask::Reload { dry_run }) => match self.asker.reload(dry_run) {
                Ok(answer) => answer.json(),
                Err(unanswered) => refused(unanswered.to_string()),
            },
            Some(Ask::Events(wanted)) => wanted.of(&self.events).json(),
            Some(Ask::History(question)) => question.answer(&self.history).unwrap_or_else(refused),
            None => refused(
                "unknown request; known: status, kick NAME, mask SECONDS NAME, unmask NAME, reload, events {...}, graphs, graph NAME FROM TO, capture {...}".to_owned(),
            ),
        }
    }
}

/// Why the socket could not be opened.
#[derive(Debug)]
pub enum ServeError {
    /// Another process answers there.
    InUse(PathBuf),
    /// Something that is not a socket has this name.
    NotASocket(PathBuf),
    /// The socket, or its directory, cannot be made.
    Io(PathBuf, io::Error),
}

impl fmt::Display for ServeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse(path) => write!(
                formatter,
                "{}: another appliance answers on this socket; stop it, or give this one another `management: {{ socket: ... }}`",
                path.display()
            ),
            Self::NotASocket(path) => write!(
                formatter,
                "{}: this is not a socket; remove it, or choose another `management: {{ socket: ... }}`",
                path.display()
            ),
            Self::Io(path, error) if error.kind() == io::ErrorKind::PermissionDenied => write!(
                formatter,
                "{}: this user may not make the management socket there; run as root, or choose another `management: {{ socket: ... }}`",
                path.display()
            ),
            Self::Io(path, error) => write!(
                formatter,
                "{}: the management socket cannot be made there: {error}; choose another `management: {{ socket: ... }}`",
                path.display()
            ),
        }
    }
}

impl std::error::Error for ServeError {}

/// The listening socket and its thread. Dropping it ends both and removes the socket.
#[derive(Debug)]
pub struct Server {
    path: PathBuf,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Opens the socket and serves it.
    ///
    /// # Errors
    /// When the socket cannot be made, or somebody else has it.
    pub fn start(path: &Path, known: Known) -> Result<Self, ServeError> {
        let failed = |error| ServeError::Io(path.to_owned(), error);
        let listener = listen(path)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("management".to_owned())
            .spawn(move || accept(&listener, &known, &stopped))
            .map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic there was already printed; nothing is left to do about it.
            let _ = thread.join();
        }
        let _ = fs::remove_file(&self.path);
    }
}

/// Makes the directory when it is missing, takes away a socket nobody listens on, and binds.
fn listen(path: &Path) -> Result<UnixListener, ServeError> {
    let failed = |error| ServeError::Io(path.to_owned(), error);
    if let Some(directory) = path.parent() {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o755);
        builder.create(directory).map_err(failed)?;
    }
    remove_stale(path)?;
    bind_private(path).map_err(failed)
}

/// Binds with mode 0600 from the first moment: under another name, which
/// nobody knows, then renamed.
fn bind_private(path: &Path) -> io::Result<UnixListener> {
    let mut hidden = path.as_os_str().to_owned();
    hidden.push(format!(".{}", std::process::id()));
    let hidden = PathBuf::from(hidden);
    match fs::remove_file(&hidden) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&hidden)?;
    let placed = fs::set_permissions(&hidden, Permissions::from_mode(0o600))
        .and_then(|()| fs::rename(&hidden, path));
    if let Err(error) = placed {
        let _ = fs::remove_file(&hidden);
        return Err(error);
    }
    Ok(listener)
}

fn remove_stale(path: &Path) -> Result<(), ServeError> {
    let failed = |error| ServeError::Io(path.to_owned(), error);
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(ServeError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(ServeError::InUse(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed)
        }
        Err(error) => Err(failed(error)),
    }
}

/// Takes clients in until told to stop; each is served in a thread of its own.
fn accept(listener: &UnixListener, known: &Known, stop: &AtomicBool) {
    let mut clients: Vec<JoinHandle<()>> = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        clients.retain(|client| !client.is_finished());
        if clients.len() >= MAX_CLIENTS {
            thread::sleep(STOP_INTERVAL);
            continue;
        }
        match listener.accept() {
            Ok((stream, _)) => {
                let known = known.clone();
                let served =
                    thread::Builder::new()
                        .name("management".to_owned())
                        .spawn(move || {
                            if let Err(error) = serve(&stream, &known) {
                                log::debug!("management client: {error}");
                            }
                        });
                match served {
                    Ok(client) => clients.push(client),
                    Err(error) => log::warn!("management client not served: {error}"),
                }
            }
            // Nothing to accept, or out of descriptors: both pass.
            Err(_) => thread::sleep(STOP_INTERVAL),
        }
    }
}

/// One client: one line in, one line out, or a capture.
fn serve(stream: &UnixStream, known: &Known) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(CLIENT_TIMEOUT))?;
    stream.set_write_timeout(Some(CLIENT_TIMEOUT))?;
    let mut line = String::new();
    BufReader::new(stream.take(MAX_REQUEST_OCTETS)).read_line(&mut line)?;
    if let Some(wanted) = line.strip_prefix("capture ") {
        return capture::serve(stream, &known.asker, wanted);
    }
    let mut answer = known.answer(&line);
    answer.push('\n');
    let mut stream = stream;
    stream.write_all(answer.as_bytes())
}

/// Why there is no answer.
#[derive(Debug)]
pub enum ClientError {
    /// Nothing listens there.
    NotRunning(PathBuf),
    /// The socket belongs to somebody else.
    NotAllowed(PathBuf),
    Io(PathBuf, io::Error),
    /// The appliance could not answer, and says why.
    Refused(String),
    /// The answer is not what this version reads.
    NotUnderstood(serde_json::Error),
}

impl fmt::Display for ClientError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRunning(path) => write!(
                formatter,
                "no appliance answers on {}\n    start it with `hal2tp run -c FILE`, or name its socket with -c FILE or --socket PATH",
                path.display()
            ),
            Self::NotAllowed(path) => write!(
                formatter,
                "{}: not allowed\n    ask as the user the appliance runs as (root)",
                path.display()
            ),
            Self::Io(path, error) => write!(formatter, "{}: {error}", path.display()),
            Self::Refused(text) => write!(formatter, "the appliance says: {text}"),
            Self::NotUnderstood(error) => {
                write!(formatter, "the appliance's answer cannot be read: {error}")
            }
        }
    }
}

impl std::error::Error for ClientError {}

/// Sends one request and gives the answer as it came, one line of JSON.
///
/// # Errors
/// When nothing listens, the answer takes too long, or is a refusal.
pub fn request(path: &Path, command: &Question) -> Result<String, ClientError> {
    let patience = command.patience() + CLIENT_TIMEOUT;
    let line = Ask::Control(command.clone()).line();
    send(path, &line, patience)
}

fn failure(path: &Path, error: io::Error) -> ClientError {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            ClientError::NotRunning(path.to_owned())
        }
        io::ErrorKind::PermissionDenied => ClientError::NotAllowed(path.to_owned()),
        _ => ClientError::Io(path.to_owned(), error),
    }
}

/// A connection to an appliance.
pub(crate) fn connect(path: &Path) -> Result<UnixStream, ClientError> {
    UnixStream::connect(path).map_err(|error| failure(path, error))
}

/// What an answer says if it is not what was asked for.
pub(crate) fn refusal(answer: &str) -> Option<ClientError> {
    // A whole status may be large: nothing else of it is kept.
    #[derive(serde::Deserialize)]
    struct Refusal {
        error: Option<serde_json::Value>,
    }
    let read = if answer.trim_start().starts_with('{') {
        serde_json::from_str(answer).map(|Refusal { error }| error)
    } else {
        serde_json::from_str(answer).map(|_: serde::de::IgnoredAny| None)
    };
    match read {
        Ok(error) => Some(ClientError::Refused(error?.as_str()?.to_owned())),
        Err(error) => Some(ClientError::NotUnderstood(error)),
    }
}

fn send(path: &Path, line: &str, patience: Duration) -> Result<String, ClientError> {
    let failed = |error| failure(path, error);
    let mut stream = connect(path)?;
    let patience = Some(patience);
    stream.set_read_timeout(patience).map_err(failed)?;
    stream.set_write_timeout(patience).map_err(failed)?;
    stream
        .write_all(format!("{line}\n").as_bytes())
        .map_err(failed)?;
    let mut answer = String::new();
    stream
        .take(MAX_ANSWER_OCTETS)
        .read_to_string(&mut answer)
        .map_err(failed)?;
    match refusal(&answer) {
        Some(error) => Err(error),
        None => Ok(answer.trim_end().to_owned()),
    }
}

/// Asks for the status.
///
/// # Errors
/// As [`request`], or when the answer cannot be read.
pub fn status(path: &Path) -> Result<Status, ClientError> {
    let answer = request(path, &Question::Status)?;
    serde_json::from_str(&answer).map_err(ClientError::NotUnderstood)
}

/// Asks what happened.
///
/// # Errors
/// As [`request`], or when the answer cannot be read.
pub fn events(path: &Path, wanted: &EventsWanted) -> Result<Happened, ClientError> {
    asked(path, &Ask::Events(wanted.clone()))
}

/// Asks for the names of the graphs.
///
/// # Errors
/// As [`request`], or when the answer cannot be read.
pub fn graphs(path: &Path) -> Result<Graphs, ClientError> {
    asked(path, &Ask::History(HistoryQuestion::Graphs))
}

/// Asks for a part of a graph, in seconds since 1970.
///
/// # Errors
/// As [`request`], or when the answer cannot be read. Refused when there is no such graph.
pub fn graph(path: &Path, name: &str, range_s: Range<u64>) -> Result<Graph, ClientError> {
    let name = name.to_owned();
    asked(
        path,
        &Ask::History(HistoryQuestion::Graph { name, range_s }),
    )
}

fn asked<T: DeserializeOwned>(path: &Path, question: &Ask) -> Result<T, ClientError> {
    let patience = match question {
        Ask::Reload { .. } => RELOAD_PATIENCE,
        _ => PATIENCE,
    };
    let answer = send(path, &question.line(), patience)?;
    serde_json::from_str(&answer).map_err(ClientError::NotUnderstood)
}

/// Ends what has this name.
///
/// # Errors
/// As [`request`], or when the answer cannot be read. Refused when nothing has
/// this name.
pub fn kick(path: &Path, name: &str) -> Result<Kicked, ClientError> {
    let answer = request(path, &Question::Kick(name.to_owned()))?;
    serde_json::from_str(&answer).map_err(ClientError::NotUnderstood)
}

/// Has what has this name carry nothing for so long.
///
/// # Errors
/// As [`kick`]. Refused also when nothing else would carry.
pub fn mask(path: &Path, name: &str, for_s: u64) -> Result<Masked, ClientError> {
    let name = name.to_owned();
    let answer = request(path, &Question::Mask { name, for_s })?;
    serde_json::from_str(&answer).map_err(ClientError::NotUnderstood)
}

/// Has what has this name carry again.
///
/// # Errors
/// As [`kick`].
pub fn unmask(path: &Path, name: &str) -> Result<Unmasked, ClientError> {
    let answer = request(path, &Question::Unmask(name.to_owned()))?;
    serde_json::from_str(&answer).map_err(ClientError::NotUnderstood)
}

/// Has the configuration read again, and followed unless it is a dry run.
///
/// # Errors
/// As [`request`], or when the answer cannot be read. Refused when something is wrong with
/// the file, or a change in it takes a restart.
pub fn reload(path: &Path, dry_run: bool) -> Result<Reloaded, ClientError> {
    asked(path, &Ask::Reload { dry_run })
}

/// The sockets in a directory: those of running appliances, and stale ones.
#[must_use]
pub fn sockets_in(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let is_socket = |path: &PathBuf| {
        path.extension()
            .is_some_and(|extension| extension == "sock")
            && fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
    };
    let mut sockets: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(is_socket)
        .collect();
    sockets.sort();
    sockets
}

#[cfg(test)]
mod tests;
