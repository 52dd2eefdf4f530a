//! An access concentrator of others' making: Debian's `pppoe-server` (rp-pppoe) with its pppd, in a guest kernel.
//!
//! Subscribers log in by CHAP and get addresses from a pool, one after the other. Debian's server is built for sessions
//! whose packets go through a program and a terminal; a script in pppd's place lets the kernel move them instead.

use std::fmt::Write;
use std::io::{self, ErrorKind};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use crate::guest::{Guest, GuestConfig};
use crate::netns::Namespace;

const PROGRAMS: [&str; 3] = [
    "/usr/sbin/pppoe-server",
    "/usr/sbin/pppoe",
    "/usr/sbin/pppd",
];
/// Subscribers at a time.
const SESSIONS: u32 = 50;

/// In pppd's place: what was to go through a terminal to `pppoe -I INTERFACE -e SESSION:MAC` goes to the kernel's session.
const KERNEL_PPPD: &str = r#"#!/bin/sh
[ "$1" = pty ] || exit 1
interface=$(echo "$2" | sed -n 's/.* -I \([^ ]*\).*/\1/p')
session=$(echo "$2" | sed -n 's/.* -e \([^ ]*\).*/\1/p')
shift 2
exec /usr/sbin/pppd plugin rp-pppoe.so "nic-$interface" rp_pppoe_sess "$session" "$@"
"#;

/// Who moves the subscribers' packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataPath {
    /// Also more than 1492 octets, by RFC 4638, if the interface has 1508.
    Kernel,
    /// A program for each session; 1492 octets at most.
    UserSpace,
}

/// What a concentrator is.
#[derive(Clone, Debug)]
pub struct ConcentratorConfig<'a> {
    /// Where its interfaces are.
    pub namespace: &'a Namespace,
    /// For its files and logs.
    pub directory: PathBuf,
    /// The interface at which subscribers are.
    pub access: &'a str,
    /// Its MTU, octets: 1500, or 1508 for packets of 1500 in a session.
    pub access_mtu: u16,
    /// The interface to the rest of the world with the concentrator's address there, `10.1.0.2/24`: what a subscriber gets
    /// is to be of the same network, in which the concentrator answers for it.
    pub uplink: Option<(&'a str, &'a str)>,
    pub data_path: DataPath,
    /// What it calls itself.
    pub name: &'a str,
    /// The one service that it offers.
    pub service: &'a str,
    /// The concentrator's address in the sessions.
    pub local: Ipv4Addr,
    /// Names and passwords of its subscribers.
    pub logins: &'a [(&'a str, &'a str)],
    /// More lines for pppd's file.
    pub pppd: &'a str,
}

/// A running guest. The server in it is started, ended and started again.
pub struct AccessConcentrator {
    guest: Guest,
    /// The server's command, but for the pool.
    command: String,
}

impl AccessConcentrator {
    /// Boots the guest; the server does not run yet.
    ///
    /// # Errors
    /// `NotFound` where a package is not installed; as [`Guest::boot`].
    pub fn boot(config: &ConcentratorConfig<'_>) -> io::Result<Self> {
        for program in PROGRAMS {
            if !Path::new(program).is_file() {
                let text = format!("NOT TESTED: no {program} here (Debian's package pppoe)");
                return Err(io::Error::new(ErrorKind::NotFound, text));
            }
        }
        let mut interfaces = vec![(config.access, config.access_mtu)];
        interfaces.extend(config.uplink.map(|(interface, _)| (interface, 1500)));
        let guest = Guest::boot(&GuestConfig {
            namespace: config.namespace,
            interfaces: &interfaces,
            directory: config.directory.clone(),
            modules: &["ipv6", "ppp_async", "pppoe"],
            ppp: &[
                ("options", String::new()),
                ("pppoe-server-options", config.pppd_options()),
                ("chap-secrets", config.secrets()),
                ("pap-secrets", config.secrets()),
                ("kernel-pppd", KERNEL_PPPD.to_owned()),
            ],
        })?;
        let mut concentrator = Self {
            guest,
            command: config.command(),
        };
        concentrator.set_up(config)?;
        Ok(concentrator)
    }

    fn set_up(&mut self, config: &ConcentratorConfig<'_>) -> io::Result<()> {
        let mut lines = vec![
            "ip link set dev vec0 up".to_owned(),
            "echo 1 >/proc/sys/net/ipv4/ip_forward".to_owned(),
            "echo 1 >/proc/sys/net/ipv6/conf/all/forwarding".to_owned(),
        ];
        if let Some((_, address)) = config.uplink {
            lines.push(format!("ip addr add {address} dev vec1"));
            lines.push("ip link set dev vec1 up".to_owned());
        }
        self.guest.run_all(lines.iter().map(String::as_str))
    }

    /// Starts the server. Subscribers get addresses from `first` on.
    ///
    /// # Errors
    /// As [`Guest::run`]. That the server ends by itself shows in [`AccessConcentrator::log`].
    pub fn start(&mut self, first: Ipv4Addr) -> io::Result<()> {
        let line = format!(
            "{} -R {first} >>{}/server.log 2>&1 &",
            self.command,
            self.directory()
        );
        self.guest.run_all([line.as_str()])
    }

    /// Ends the server in order: it ends its sessions by PADT.
    ///
    /// # Errors
    /// As [`Guest::run`], and when it does not run.
    pub fn stop(&mut self) -> io::Result<()> {
        self.guest.run_all(["busybox killall pppoe-server"])
    }

    /// Ends all pppds in order: subscribers are told by LCP, then by PADT. The server stays.
    ///
    /// # Errors
    /// As [`Guest::run`], and when there are none.
    pub fn hang_up(&mut self) -> io::Result<()> {
        self.guest.run_all(["busybox killall pppd"])
    }

    /// Everything is gone without a word.
    ///
    /// # Errors
    /// As [`Guest::run`], and when it does not run.
    pub fn kill(&mut self) -> io::Result<()> {
        // A session of the kernel's outlives nobody, but says so: nothing leaves any more before it ends.
        let lines = [
            "ip link set dev vec0 down",
            "busybox killall -9 pppoe-server",
            "busybox killall -9 pppd; busybox killall -9 pppoe; true",
            "ip link set dev vec0 up",
        ];
        self.guest.run_all(lines)
    }

    /// What the server and its pppds wrote.
    pub fn log(&self) -> String {
        self.guest.read("server.log") + &self.guest.read("pppd.log")
    }

    /// For whatever else is to be done in it.
    pub fn guest(&mut self) -> &mut Guest {
        &mut self.guest
    }

    fn directory(&self) -> String {
        self.guest.directory().display().to_string()
    }
}

impl Drop for AccessConcentrator {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- access concentrator:\n{}", self.log());
        }
    }
}

impl ConcentratorConfig<'_> {
    fn secrets(&self) -> String {
        self.logins
            .iter()
            .fold(String::new(), |mut lines, (name, password)| {
                let _ = writeln!(lines, "\"{name}\" * \"{password}\" *");
                lines
            })
    }

    fn pppd_options(&self) -> String {
        let proxy = if self.uplink.is_some() {
            "proxyarp\n"
        } else {
            ""
        };
        format!(
            "debug\nlogfile {}/pppd.log\nauth\nrequire-chap\n{proxy}lcp-echo-interval 2\nlcp-echo-failure 4\n{}\n",
            self.directory.display(),
            self.pppd
        )
    }

    fn command(&self) -> String {
        let mut command = format!(
            "pppoe-server -F -I vec0 -C {} -S {} -L {} -N {SESSIONS}",
            self.name, self.service, self.local
        );
        if self.data_path == DataPath::Kernel {
            command += " -q /etc/ppp/kernel-pppd";
        }
        command
    }
}
