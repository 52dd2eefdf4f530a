//! One appliance process.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::netns::Namespace;
use crate::status::Status;

/// An appliance that was started and not yet waited for. Dropping it kills it.
pub(super) struct Appliance {
    child: Child,
}

/// A clean end, with its CDN and StopCCN exchanges, takes at most this long.
const STOP_LIMIT: Duration = Duration::from_secs(10);

impl Appliance {
    pub(super) fn start(
        program: &Path,
        namespace: &Namespace,
        config: &Path,
        log: &Path,
    ) -> io::Result<Self> {
        if !program.is_file() {
            let text = format!("no {}: build the workspace", program.display());
            return Err(io::Error::new(ErrorKind::NotFound, text));
        }
        let log: File = OpenOptions::new().create(true).append(true).open(log)?;
        let child = namespace
            .command(program)
            .args(["run", "-c"])
            .arg(config)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C is for the lab, which then ends everything in order.
            .process_group(0)
            .spawn()?;
        Ok(Self { child })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    pub(super) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// SIGTERM; SIGKILL and an error when that does not help in time.
    pub(super) fn stop(mut self) -> io::Result<ExitStatus> {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM)?;
        let deadline = Instant::now() + STOP_LIMIT;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(io::Error::new(
            ErrorKind::TimedOut,
            format!("an appliance did not end within {STOP_LIMIT:?} of SIGTERM"),
        ))
    }

    /// SIGKILL.
    pub(super) fn kill(mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a running appliance is asked.
#[derive(Clone, Debug)]
pub struct Management {
    program: PathBuf,
    socket: PathBuf,
}

impl Management {
    pub(crate) fn new(program: &Path, socket: PathBuf) -> Self {
        Self {
            program: program.to_owned(),
            socket,
        }
    }

    /// The answer of `hal2tp status --json`, not yet read.
    ///
    /// # Errors
    /// When there is none, with what the program said instead.
    pub fn status_octets(&self) -> io::Result<Vec<u8>> {
        let output = Command::new(&self.program)
            .args(["status", "--json", "--socket"])
            .arg(&self.socket)
            .stdin(Stdio::null())
            .output()?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(io::Error::other(text));
        }
        Ok(output.stdout)
    }

    /// The same as it is.
    pub fn status_json(&self) -> io::Result<serde_json::Value> {
        Ok(serde_json::from_slice(&self.status_octets()?)?)
    }

    pub fn status(&self) -> io::Result<Status> {
        Ok(serde_json::from_value(self.status_json()?)?)
    }
}
