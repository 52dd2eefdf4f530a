//! A guest kernel of Debian's `user-mode-linux`: what needs Linux' PPP runs in it, since the host's kernel may have none.
//!
//! It boots within seconds, as an ordinary process. Its interfaces are raw sockets on those of a namespace, its root is the
//! host's file system to be read only, and it does what is written to its console, line by line.
//!
//! Its programs are processes of the host, whose system calls it takes over by tracing them. Whoever kills it sets them
//! free, so it is locked in: no other processes, no network but the namespace's, nothing to write but its directory.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::netns::Namespace;
use crate::process::Process;

const PROGRAM: &str = "/usr/bin/linux.uml";
const INIT: &str = include_str!("guest/init");
const BOOT_LIMIT: Duration = Duration::from_secs(30);
const OFF_LIMIT: Duration = Duration::from_secs(5);
const COMMAND_LIMIT: Duration = Duration::from_secs(20);
/// Under traffic a guest misses one line in some ten until more comes: without this, one was not read for 100 s.
const WAKE_INTERVAL: Duration = Duration::from_millis(500);

/// Arguments: the directory, and the command. The shell stays, as the first process, with which all others end.
const LOCK_IN: &str = r#"
directory=$1
shift
mount --bind "$directory" "$directory" &&
    mount -o remount,bind,ro / &&
    mount -t tmpfs run /run &&
    export TMPDIR=/run &&
    "$@"
exit
"#;

/// What a guest is given.
pub struct GuestConfig<'a> {
    pub namespace: &'a Namespace,
    /// The namespace's interfaces that are its own `vec0`, `vec1` and so on, each with its MTU in octets. They keep none of
    /// the offloads, and no IPv6.
    pub interfaces: &'a [(&'a str, u16)],
    /// Shared with it, under the same name; made if need be.
    pub directory: PathBuf,
    /// Modules to load, those that others need first.
    pub modules: &'a [&'a str],
    /// The files below `/etc/ppp`, all of them programs if need be.
    pub ppp: &'a [(&'a str, String)],
}

pub struct Guest {
    directory: PathBuf,
    process: Process,
    commands: u32,
}

impl Guest {
    /// Boots it. Its interfaces are down, and without addresses.
    ///
    /// # Errors
    /// `NotFound` where the package is not installed; when it does not boot, with the end of its console.
    pub fn boot(config: &GuestConfig<'_>) -> io::Result<Self> {
        if !Path::new(PROGRAM).is_file() {
            let text = format!("NOT TESTED: no {PROGRAM} here (Debian's package user-mode-linux)");
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
        let directory = &config.directory;
        fs::create_dir_all(directory.join("ppp"))?;
        for (file, text) in config.ppp {
            write_program(&directory.join("ppp").join(file), text)?;
        }
        let init = directory.join("init");
        write_program(&init, INIT)?;
        let mut command = config.namespace.command("unshare");
        command.args([
            "--pid",
            "--mount",
            "--ipc",
            "--uts",
            "--fork",
            "--kill-child",
        ]);
        command.args(["--mount-proc", "sh", "-c", LOCK_IN, "guest"]);
        command.arg(directory).arg(PROGRAM);
        command.args([
            "mem=96M",
            "quiet",
            "root=/dev/root",
            "rootfstype=hostfs",
            "rootflags=/",
            "ro",
            "con=null",
            "con0=fd:0,fd:1",
            "umid=guest",
        ]);
        for (number, (interface, mtu)) in config.interfaces.iter().enumerate() {
            config.namespace.switch_offloads_off(interface)?;
            let ipv6 = format!("ipv6/conf/{interface}/disable_ipv6");
            config.namespace.sysctl(&ipv6, "1")?;
            command.arg(format!(
                "vec{number}:transport=raw,ifname={interface},depth=128,gro=0,mtu={mtu}"
            ));
        }
        command.arg(format!("uml_dir={}/", directory.display()));
        command.arg(format!("init={}", init.display()));
        // What the kernel does not know it gives to the first process as its environment.
        command.arg(format!("DIRECTORY={}", directory.display()));
        command.arg(format!("MODULES={}", config.modules.join(",")));
        let mut guest = Self {
            process: Process::start(&mut command, &directory.join("console"))?,
            commands: 0,
            directory: directory.clone(),
        };
        guest.wait_for_result(BOOT_LIMIT)?;
        Ok(guest)
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Writes a file where it sees it.
    pub fn write(&self, file: &str, text: &str) -> io::Result<()> {
        fs::write(self.directory.join(file), text)
    }

    /// What a file of that directory holds, or nothing.
    pub fn read(&self, file: &str) -> String {
        let text = fs::read(self.directory.join(file)).unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Runs a line of shell in it to its end and says whether it went well.
    ///
    /// # Errors
    /// When it takes too long, or the guest has ended.
    pub fn run(&mut self, line: &str) -> io::Result<bool> {
        self.commands += 1;
        let input = self.process.input();
        let input = input.ok_or_else(|| io::Error::other("the guest has no console"))?;
        writeln!(input, "{line}")?;
        self.wait_for_result(COMMAND_LIMIT)
    }

    /// Runs lines of shell, all of which must go well.
    ///
    /// # Errors
    /// As [`Guest::run`], and with the line that did not go well.
    pub fn run_all<'a>(&mut self, lines: impl IntoIterator<Item = &'a str>) -> io::Result<()> {
        for line in lines {
            if !self.run(line)? {
                return Err(io::Error::other(format!("in the guest: {line}")));
            }
        }
        Ok(())
    }

    fn wake(&mut self) -> io::Result<()> {
        let input = self.process.input();
        let input = input.ok_or(io::ErrorKind::BrokenPipe)?;
        writeln!(input)
    }

    fn wait_for_result(&mut self, limit: Duration) -> io::Result<bool> {
        let number = format!("guest: {} ", self.commands);
        // The console brings a line octet by octet: its end shows that the result is whole.
        let result = |output: &str| {
            let (_, result) = output.split_once(&number)?;
            let (result, _) = result.split_once('\n')?;
            Some(result.trim() == "0")
        };
        let deadline = Instant::now() + limit;
        loop {
            let waited = self
                .process
                .wait_for(WAKE_INTERVAL, |output| result(output).is_some());
            match waited {
                Ok(()) => return Ok(result(&self.process.output()) == Some(true)),
                Err(problem) if Instant::now() > deadline || self.wake().is_err() => {
                    let text = format!("no result within {limit:?}, or ended; {problem}");
                    return Err(io::Error::other(text));
                }
                Err(_) => {}
            }
        }
    }
}

impl Drop for Guest {
    /// Switches it off, so that its programs end with it.
    fn drop(&mut self) {
        let has_heard = self
            .process
            .input()
            .map(|input| writeln!(input, "busybox poweroff -f"));
        if !matches!(has_heard, Some(Ok(()))) || !self.process.ends_within(OFF_LIMIT) {
            eprintln!("the guest does not end: killed");
        }
    }
}

/// A file that may be executed.
fn write_program(path: &Path, text: &str) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
}
