//! Network namespaces by name, for threads and for commands.

use std::fs::File;
use std::io;
use std::process::{Command, Output};
use std::thread::{self, JoinHandle};

use nix::sched::{CloneFlags, setns};

const OFFLOADS: [&str; 5] = ["tx", "sg", "tso", "gso", "gro"];

/// A named network namespace. A handle only: [`crate::lab::Lab`] makes and deletes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Makes the namespace, with its loopback up.
    pub fn create(&self) -> io::Result<()> {
        checked(Command::new("ip").args(["netns", "add", &self.name]))?;
        self.ip("link set lo up")
    }

    /// Deletes it; processes in it go on until they end.
    pub fn delete(&self) -> io::Result<()> {
        checked(Command::new("ip").args(["netns", "del", &self.name])).map(drop)
    }

    /// Moves the calling thread, and the threads it will start, into the namespace.
    pub fn enter(&self) -> io::Result<()> {
        let file = File::open(format!("/run/netns/{}", self.name))?;
        Ok(setns(file, CloneFlags::CLONE_NEWNET)?)
    }

    /// Runs `work` in a new thread inside the namespace.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> JoinHandle<io::Result<T>> {
        let namespace = self.clone();
        thread::spawn(move || {
            namespace.enter()?;
            work()
        })
    }

    /// A command that will run inside the namespace. `ip` becomes the program, so the child's pid is the program's.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// `ip -n NAMESPACE` with these blank-separated words.
    pub fn ip(&self, words: &str) -> io::Result<()> {
        checked(
            Command::new("ip")
                .args(["-n", &self.name])
                .args(words.split_whitespace()),
        )
        .map(drop)
    }

    /// Switches off what a NIC would do for the kernel: a veth hands over frames as they are, so the checksums must be
    /// whole and the segments small.
    pub fn switch_offloads_off(&self, interface: &str) -> io::Result<()> {
        let words = OFFLOADS.map(|offload| [offload, "off"]);
        let mut ethtool = self.command("ethtool");
        checked(ethtool.args(["-K", interface]).args(words.as_flattened())).map(drop)
    }

    /// Lets one processor receive all that comes by an interface, whichever it was sent from: in the order of sending.
    pub fn receive_on_one_cpu(&self, interface: &str) -> io::Result<()> {
        let file = format!("/sys/class/net/{interface}/queues/rx-0/rps_cpus");
        // `ip netns exec` shows the namespace's own /sys.
        let mut write = self.command("sh");
        checked(write.args(["-c", "echo 1 > \"$0\"", &file])).map(drop)
    }

    /// Writes a file below `/proc/sys/net` of the namespace.
    pub fn sysctl(&self, path: &str, value: &str) -> io::Result<()> {
        let path = format!("/proc/sys/net/{path}");
        let value = value.to_owned();
        joined(self.spawn(move || std::fs::write(path, value)))
    }
}

/// Waits for a thread and passes its panic on.
pub fn joined<T>(thread: JoinHandle<T>) -> T {
    match thread.join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Runs a command to its end; an exit code other than 0 is an error that carries what it said.
pub fn checked(command: &mut Command) -> io::Result<Output> {
    let output = command.output().map_err(|error| {
        io::Error::new(error.kind(), format!("{}: {error}", described(command)))
    })?;
    if output.status.success() {
        return Ok(output);
    }
    Err(io::Error::other(format!(
        "{}: {} {}",
        described(command),
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    )))
}

fn described(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}
