//! An appliance in a network namespace, its peers in another, and a veth between them:
//!
//! ```text
//! near             far
//! wan ──────────── line
//! ```
//!
//! Everything is removed when the [`Line`] is dropped and also when its process dies in any other way.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::lab::{Guard, Management};
use crate::netns::Namespace;
use crate::process::Process;

/// The two namespaces, and a folder for files.
pub struct Line {
    near: Namespace,
    far: Namespace,
    directory: PathBuf,
    // Last: fields are dropped in order, and it removes what the others used.
    _guard: Guard,
}

/// An appliance that runs at a near end. Dropping it kills it, as a power failure would.
pub struct Appliance {
    process: Process,
    management: Management,
}

impl Line {
    /// Both interfaces are up; the near one is the appliance's, the far one has this address.
    ///
    /// # Errors
    /// Needs root, `ip` and `ethtool`; what was made is removed again.
    pub fn build(name: &str, far_address: &str) -> io::Result<Self> {
        let prefix = format!("hal2tp-{name}-{}", std::process::id());
        let directory = std::env::temp_dir().join(&prefix);
        let [near, far] = ["near", "far"].map(|end| Namespace::named(format!("{prefix}-{end}")));
        std::fs::create_dir_all(&directory)?;
        let line = Self {
            _guard: Guard::start(&directory, &[near.clone(), far.clone()])?,
            near,
            far,
            directory,
        };
        line.near.create()?;
        line.far.create()?;
        line.near.ip(&format!(
            "link add wan type veth peer name line netns {}",
            line.far.name()
        ))?;
        for (namespace, interface) in [(&line.near, "wan"), (&line.far, "line")] {
            namespace.switch_offloads_off(interface)?;
            namespace.ip(&format!("link set dev {interface} up"))?;
        }
        line.far.ip(&format!("addr add {far_address} dev line"))?;
        Ok(line)
    }

    /// Where the peers are.
    pub fn far(&self) -> &Namespace {
        &self.far
    }

    /// Holds configuration, log and socket.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where the appliance's configuration has to say that its management socket is.
    pub fn socket(&self) -> PathBuf {
        self.directory.join("socket")
    }

    /// Starts an appliance by this file, and waits until it answers.
    ///
    /// # Errors
    /// With the end of its log when it ends, or has not answered after `limit`.
    pub fn start(&self, program: &Path, config: &Path, limit: Duration) -> io::Result<Appliance> {
        // Of one that was killed.
        let _ = std::fs::remove_file(self.socket());
        let mut command = self.near.command(program);
        command.args(["run", "-c"]).arg(config);
        let mut appliance = Appliance {
            process: Process::start(&mut command, &self.directory.join("log"))?,
            management: Management::new(program, self.socket()),
        };
        let deadline = Instant::now() + limit;
        while let Err(problem) = appliance.status() {
            // An ended one has an end in its log.
            if appliance.process.ends_within(Duration::from_millis(50)) || Instant::now() > deadline
            {
                let log = appliance.process.tail();
                return Err(io::Error::other(format!("{problem}\n{log}")));
            }
        }
        Ok(appliance)
    }
}

impl Appliance {
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What `hal2tp status --json` answers.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn status(&self) -> io::Result<Vec<u8>> {
        self.management.status_octets()
    }
}
