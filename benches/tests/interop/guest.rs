//! A guest kernel of Debian's `user-mode-linux` in a site's place: the peers that need Linux' PPP run in it, since the
//! host's kernel may have none.
//!
//! It boots within seconds, as an ordinary process. Its interfaces are raw sockets on the site's, its root is the host's file
//! system to be read only, and it does what is written to its console, line by line.
//!
//! Its programs are processes of the host, whose system calls it takes over by tracing them. Whoever kills it sets them
//! free, so it is locked in: no other processes, no network but the site's, nothing to write but its directory.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use benches::lab::{Lab, Site};

use super::process::Process;
use super::template;

const PROGRAM: &str = "/usr/bin/linux.uml";
const BOOT_LIMIT: Duration = Duration::from_secs(30);
const OFF_LIMIT: Duration = Duration::from_secs(5);
const COMMAND_LIMIT: Duration = Duration::from_secs(20);

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

pub(super) struct Guest {
    /// Shared with it, under the same name.
    directory: PathBuf,
    process: Process,
    commands: u32,
}

impl Guest {
    /// A router with the site's addresses. `ppp` are the files below `/etc/ppp`.
    pub(super) fn boot(lab: &Lab, site: Site, ppp: &[(&str, String)]) -> Self {
        assert!(
            Path::new(PROGRAM).is_file(),
            "NOT TESTED: no {PROGRAM} here (Debian's package user-mode-linux)"
        );
        let directory = lab.directory().join("guest");
        fs::create_dir_all(directory.join("ppp")).unwrap();
        for (file, text) in ppp {
            write_program(&directory.join("ppp").join(file), text);
        }
        let init = directory.join("init");
        write_program(&init, &template("guest-init"));
        let namespace = lab.namespace(site);
        for interface in ["isp1", "lan"] {
            namespace.switch_offloads_off(interface).unwrap();
            let ipv6 = format!("ipv6/conf/{interface}/disable_ipv6");
            namespace.sysctl(&ipv6, "1").unwrap();
        }
        let number = match site {
            Site::Head => 1,
            Site::Remote => 2,
        };
        let mut command = namespace.command("unshare");
        command.args([
            "--pid",
            "--mount",
            "--ipc",
            "--uts",
            "--fork",
            "--kill-child",
        ]);
        command.args(["--mount-proc", "sh", "-c", LOCK_IN, "guest"]);
        command.arg(&directory).arg(PROGRAM);
        command.args([
            "mem=96M",
            "quiet",
            "root=/dev/root",
            "rootfstype=hostfs",
            "rootflags=/",
            "ro",
            "con=null",
            "con0=fd:0,fd:1",
            "vec0:transport=raw,ifname=isp1,depth=128,gro=0",
            "vec1:transport=raw,ifname=lan,depth=128,gro=0",
            "umid=guest",
        ]);
        command.arg(format!("uml_dir={}/", directory.display()));
        command.arg(format!("init={}", init.display()));
        // What the kernel does not know it gives to the first process as its environment.
        command.arg(format!("DIRECTORY={}", directory.display()));
        command.arg(format!("ADDRESS=10.1.0.{number}/24"));
        command.arg(format!("LAN=192.168.{number}.1/24"));
        command.arg(format!("IPV6_LAN=2001:db8:{number}::1/64"));
        let mut guest = Self {
            process: Process::start(&mut command, &directory.join("console")).unwrap(),
            commands: 0,
            directory,
        };
        guest.wait_for_result(BOOT_LIMIT);
        guest
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Writes a file where it sees it.
    pub(super) fn write(&self, file: &str, text: &str) {
        fs::write(self.directory.join(file), text).unwrap();
    }

    /// What a file of that directory holds, or nothing.
    pub(super) fn read(&self, file: &str) -> String {
        let text = fs::read(self.directory.join(file)).unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Runs a line of shell in it to its end and says whether it went well.
    pub(super) fn run(&mut self, line: &str) -> bool {
        self.commands += 1;
        let input = self.process.input().unwrap();
        writeln!(input, "{line}").unwrap();
        self.wait_for_result(COMMAND_LIMIT)
    }

    fn wait_for_result(&mut self, limit: Duration) -> bool {
        let number = format!("guest: {} ", self.commands);
        let has_ended = |output: &str| output.contains(&number);
        self.process.wait_for(limit, has_ended).unwrap();
        self.process.output().contains(&format!("{number}0"))
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
fn write_program(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
}
