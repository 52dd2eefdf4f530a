//! The command's side of a capture: the file.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write};
use std::net::Shutdown;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::{Chunk, Ended, Wanted};
use crate::management::socket::{self, ClientError};

/// Between two looks at whether it is to end.
const LOOK: Duration = Duration::from_millis(100);
/// How long the appliance has to hand over the rest.
const ENDING: Duration = Duration::from_secs(5);
/// Longer than the appliance takes to say that it begins.
const BEGINNING: Duration = Duration::from_secs(10);
/// An answer is one short line.
const MAX_ANSWER_OCTETS: u64 = 1 << 16;

/// Where the file goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    Standard,
    File(PathBuf),
}

impl fmt::Display for Output {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standard => write!(formatter, "standard output"),
            Self::File(path) => write!(formatter, "{}", path.display()),
        }
    }
}

impl Output {
    /// Opens it. A file is for its owner alone: it holds other people's traffic. So it is always a new one; who has an old one
    /// of this name open reads on in that.
    fn open(&self) -> io::Result<Box<dyn Write>> {
        let Self::File(path) = self else {
            return Ok(Box::new(io::stdout()));
        };
        match fs::symlink_metadata(path).map(|there| there.file_type()) {
            Ok(kind) if kind.is_symlink() => {
                return Err(io::Error::other(
                    "this is a symbolic link; name the file that is meant, or - for standard output",
                ));
            }
            Ok(kind) if kind.is_file() => fs::remove_file(path)?,
            // A pipe, say, from which Wireshark reads.
            Ok(_) => return Ok(Box::new(OpenOptions::new().write(true).open(path)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600);
        Ok(Box::new(file.open(path)?))
    }
}

/// Why a capture failed.
#[derive(Debug)]
pub enum CaptureError {
    /// It could not be asked for.
    Client(ClientError),
    /// The file cannot be written.
    Output(Output, io::Error),
    /// The appliance ended, or something else is wrong with what it sends.
    Broken(Output),
}

impl fmt::Display for CaptureError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(error) => write!(formatter, "{error}"),
            Self::Output(output, error) => write!(formatter, "{output}: {error}"),
            Self::Broken(output) => write!(
                formatter,
                "the appliance has ended, or has given this command up as too slow\n    {output} holds what came before"
            ),
        }
    }
}

impl std::error::Error for CaptureError {}

impl From<ClientError> for CaptureError {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

/// Captures until `stop` is set, so much time has gone, the appliance has sent
/// what was asked for, or nobody reads the output any more.
///
/// # Errors
/// When nothing answers or the appliance refuses, when the file cannot be
/// written, and when the appliance ends.
pub fn capture(
    path: &Path,
    wanted: &Wanted,
    output: &Output,
    most_time: Option<Duration>,
    stop: &Arc<AtomicBool>,
) -> Result<Ended, CaptureError> {
    let failed = |error| ClientError::Io(path.to_owned(), error);
    let stream = socket::connect(path)?;
    let request = serde_json::to_string(wanted).map_err(ClientError::NotUnderstood)?;
    writeln!(&stream, "capture {request}").map_err(failed)?;
    stream.set_read_timeout(Some(BEGINNING)).map_err(failed)?;
    let mut reader = BufReader::new(&stream);
    begun(&mut reader, path)?;
    stream.set_read_timeout(Some(LOOK)).map_err(failed)?;
    // Not before: a capture that is refused costs no file.
    let out = output
        .open()
        .map_err(|error| CaptureError::Output(output.clone(), error))?;
    let mut incoming = Incoming {
        stream: &stream,
        reader,
        until: most_time.map(|time| Instant::now() + time),
        stop,
        ending: None,
    };
    match incoming.copy(out) {
        Ok(Some(ended)) => Ok(ended),
        Ok(None) => Err(CaptureError::Broken(output.clone())),
        // Who looked on has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Ended::default()),
        Err(error) => Err(CaptureError::Output(output.clone(), error)),
    }
}

/// Reads the line by which the appliance begins, or says why not.
fn begun(reader: &mut BufReader<&UnixStream>, path: &Path) -> Result<(), ClientError> {
    let mut line = String::new();
    reader
        .by_ref()
        .take(MAX_ANSWER_OCTETS)
        .read_line(&mut line)
        .map_err(|error| ClientError::Io(path.to_owned(), error))?;
    socket::refusal(&line).map_or(Ok(()), Err)
}

/// What the appliance sends.
struct Incoming<'a> {
    stream: &'a UnixStream,
    reader: BufReader<&'a UnixStream>,
    /// When it is to end.
    until: Option<Instant>,
    stop: &'a AtomicBool,
    /// The appliance was asked to end; it has until then.
    ending: Option<Instant>,
}

impl Incoming<'_> {
    /// Copies the file to where it belongs. `None` when it ends without the last
    /// word; an error is one of the output.
    fn copy(&mut self, mut out: impl Write) -> io::Result<Option<Ended>> {
        let mut octets = Vec::new();
        loop {
            let mut header = [0; Chunk::HEADER_OCTETS];
            if !self.fill(&mut header) {
                return Ok(None);
            }
            let Some((chunk, length)) = Chunk::parse(header) else {
                return Ok(None);
            };
            octets.resize(length, 0);
            if !self.fill(&mut octets) {
                return Ok(None);
            }
            match chunk {
                Chunk::File => {
                    out.write_all(&octets)?;
                    // Somebody may be looking on.
                    out.flush()?;
                }
                Chunk::End => return Ok(serde_json::from_slice(&octets).ok()),
            }
        }
    }

    /// Reads as much as there is room for. False when the appliance is gone.
    fn fill(&mut self, mut room: &mut [u8]) -> bool {
        while !room.is_empty() {
            self.end_in_time();
            match self.reader.read(room) {
                Ok(0) => return false,
                Ok(octets) => room = &mut room[octets..],
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock
                    | io::ErrorKind::TimedOut
                    | io::ErrorKind::Interrupted => {
                        if self.ending.is_some_and(|ending| Instant::now() >= ending) {
                            return false;
                        }
                    }
                    _ => return false,
                },
            }
        }
        true
    }

    /// Asks the appliance to end when it is time.
    fn end_in_time(&mut self) {
        let is_over = self.until.is_some_and(|until| Instant::now() >= until);
        if self.ending.is_none() && (is_over || self.stop.load(Ordering::Relaxed)) {
            self.ending = Some(Instant::now() + ENDING);
            // It is gone already when this fails.
            let _ = self.stream.shutdown(Shutdown::Write);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    /// What was open before, and who may read it, is no matter of the capture.
    #[test]
    fn a_file_is_always_a_new_one_for_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("c.pcapng");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let mut old = File::open(&path).unwrap();

        let mut output = Output::File(path.clone()).open().unwrap();
        output.write_all(b"secret").unwrap();
        output.flush().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"secret");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let mut seen = String::new();
        old.read_to_string(&mut seen).unwrap();
        assert_eq!(seen, "old");
    }

    #[test]
    fn a_link_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let (target, link) = (directory.path().join("t"), directory.path().join("l"));
        fs::write(&target, "theirs").unwrap();
        symlink(&target, &link).unwrap();
        let refused = Output::File(link.clone()).open().err().unwrap();
        assert!(refused.to_string().contains("symbolic link"), "{refused}");
        assert_eq!(fs::read(&target).unwrap(), b"theirs");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn a_pipe_is_written_to_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let reading = path.clone();
        let reader = std::thread::spawn(move || fs::read(reading).unwrap());
        let mut output = Output::File(path).open().unwrap();
        output.write_all(b"frames").unwrap();
        drop(output);
        assert_eq!(reader.join().unwrap(), b"frames");
    }
}
