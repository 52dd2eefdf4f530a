//! Taking an interface from the kernel, and giving it back.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::libc;
use nix::net::if_::if_nametoindex;

use crate::addresses::kernel_addresses;
use crate::device::{Device, EthtoolCommand, FLAG_LRO};
use crate::error::Error;

/// What is switched for an interface under `/proc/sys/net`: in this order, before it goes up.
const SETTINGS: [(&str, &str, &str); 3] = [
    // No link-local address, no router solicitation, no answers.
    ("ipv6", "disable_ipv6", "1"),
    // The kernel does not route what we receive.
    ("ipv4", "forwarding", "0"),
    // ARP requests for addresses of the kernel's other interfaces stay unanswered.
    ("ipv4", "arp_ignore", "8"),
];

/// An interface taken from the kernel. Dropping it restores what was changed.
#[derive(Debug)]
pub struct Claim {
    interface: String,
    device: Device,
    mtu: u16,
    mac: [u8; 6],
    changes: Vec<Change>,
    /// While they are open, more frames come in than to the interface's own address:
    /// first those by multicast, by which IPv6 asks for neighbours. The kernel
    /// forgets it with the process, however that ends.
    memberships: Vec<OwnedFd>,
    /// Dropped last: until everything is restored, nobody else may take the interface.
    _lock: UnixDatagram,
}

/// Something changed, and how it was before.
#[derive(Debug)]
enum Change {
    Setting {
        /// Kept open, since it stands for the namespace that it was opened in.
        file: File,
        name: String,
        before: String,
        now: &'static str,
    },
    Gro {
        before: u32,
    },
    /// All flags of ethtool's, large receive offload among them.
    Lro {
        before: u32,
    },
    Up,
}

/// Takes an interface: sets it up, lets multicast frames in, and switches off what
/// the kernel would do with its frames: IPv6, answering ARP, IPv4 forwarding, merging frames (GRO, LRO).
///
/// # Errors
/// When it is missing, when its frames are not Ethernet's, when it carries an IPv4 address or an IPv6 address that
/// somebody gave it, when another process has it, or when the kernel refuses. Nothing stays changed then.
pub fn claim(interface: &str) -> Result<Claim, Error> {
    let failed = |action: &str, errno| match errno {
        Errno::ENODEV => Error::Missing {
            interface: interface.to_owned(),
        },
        errno => system(interface, action, errno),
    };
    let device = Device::new(interface).map_err(|errno| failed("open a socket", errno))?;
    let mtu = device
        .mtu()
        .map_err(|errno| failed("read the MTU", errno))?;
    let mac = device
        .mac()
        .map_err(|errno| failed("read the hardware address", errno))?;
    let hardware_type = device
        .hardware_type()
        .map_err(|errno| failed("read the hardware type", errno))?;
    if hardware_type != libc::ARPHRD_ETHER {
        return Err(Error::NotEthernet {
            interface: interface.to_owned(),
            hardware_type,
        });
    }
    let addresses =
        kernel_addresses(interface).map_err(|errno| failed("read the addresses", errno))?;
    if !addresses.is_empty() {
        return Err(Error::Addressed {
            interface: interface.to_owned(),
            addresses,
        });
    }
    let lock = lock(interface)?;
    let multicast = device
        .hear_multicast()
        .map_err(|errno| failed("let multicast frames in", errno))?;
    let mut claim = Claim {
        interface: interface.to_owned(),
        device,
        mtu,
        mac,
        changes: Vec::new(),
        memberships: vec![multicast],
        _lock: lock,
    };
    // A failure drops the claim, which restores what was changed so far.
    claim.quieten()?;
    Ok(claim)
}

impl Claim {
    /// Largest IP packet of the interface when it was taken, octets.
    #[must_use]
    pub fn mtu(&self) -> u16 {
        self.mtu
    }

    #[must_use]
    pub fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// Lets all frames in as long as this is held, whichever VLAN they are on and
    /// whomever they are to: a device that sorts frames by VLAN knows of none that
    /// the kernel has none of, and drops them.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn hear_everything(&mut self) -> Result<(), Error> {
        let membership = self
            .device
            .hear_everything()
            .map_err(|errno| system(&self.interface, "let all frames in", errno))?;
        self.memberships.push(membership);
        Ok(())
    }

    /// Whether the interface is up and has a carrier; false when it is gone.
    /// The AF_PACKET driver itself says that its link is always up.
    #[must_use]
    pub fn link_up(&self) -> bool {
        self.device.is_running().unwrap_or(false)
    }

    #[must_use]
    pub fn interface(&self) -> &str {
        &self.interface
    }

    /// What was changed, one line each, for the log.
    #[must_use]
    pub fn changes(&self) -> Vec<String> {
        self.changes.iter().map(Change::describe).collect()
    }

    fn quieten(&mut self) -> Result<(), Error> {
        for (family, name, value) in SETTINGS {
            let path = format!("/proc/sys/net/{family}/conf/{}/{name}", self.interface);
            self.set(path.into(), value)
                .map_err(|problem| self.failed(&format!("set {family} {name}"), errno(&problem)))?;
        }
        self.stop_merging()?;
        self.set_up()
    }

    /// Changes a setting, unless it is as wanted or the kernel does not have it.
    fn set(&mut self, path: PathBuf, now: &'static str) -> io::Result<()> {
        let mut file = match OpenOptions::new().read(true).write(true).open(&path) {
            // A kernel without IPv6.
            Err(problem) if problem.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened?,
        };
        let mut before = String::new();
        file.read_to_string(&mut before)?;
        let before = before.trim().to_owned();
        if before == now {
            return Ok(());
        }
        write_setting(&mut file, now)?;
        self.changes.push(Change::Setting {
            file,
            name: path.display().to_string(),
            before,
            now,
        });
        Ok(())
    }

    fn stop_merging(&mut self) -> Result<(), Error> {
        let gro = self.read(EthtoolCommand::GetGro)?;
        if gro != 0 {
            self.write("switch GRO off", EthtoolCommand::SetGro, 0)?;
            self.changes.push(Change::Gro { before: gro });
        }
        let flags = self.read(EthtoolCommand::GetFlags)?;
        if flags & FLAG_LRO != 0 {
            let without = flags & !FLAG_LRO;
            self.write("switch LRO off", EthtoolCommand::SetFlags, without)?;
            self.changes.push(Change::Lro { before: flags });
        }
        Ok(())
    }

    fn set_up(&mut self) -> Result<(), Error> {
        let up = self.device.is_up();
        if !up.map_err(|errno| self.failed("read its flags", errno))? {
            let result = self.device.set_up(true);
            result.map_err(|errno| self.failed("set it up", errno))?;
            self.changes.push(Change::Up);
        }
        Ok(())
    }

    /// Reads a number of ethtool's; 0 for a device that does not have it.
    fn read(&self, command: EthtoolCommand) -> Result<u32, Error> {
        match self.device.ethtool(command, 0) {
            Err(Errno::EOPNOTSUPP) => Ok(0),
            result => result.map_err(|errno| self.failed("read its offloads", errno)),
        }
    }

    fn write(&self, action: &str, command: EthtoolCommand, data: u32) -> Result<(), Error> {
        let result = self.device.ethtool(command, data);
        result.map(drop).map_err(|errno| self.failed(action, errno))
    }

    fn failed(&self, action: &str, errno: Errno) -> Error {
        system(&self.interface, action, errno)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // The last change first. What fails stays as it is: the interface may be gone.
        while let Some(change) = self.changes.pop() {
            let _ = change.undo(&self.device);
        }
    }
}

impl Change {
    fn describe(&self) -> String {
        match self {
            Self::Setting {
                name, before, now, ..
            } => format!("{name} set to {now} (was {before})"),
            Self::Gro { .. } => "generic receive offload switched off".to_owned(),
            Self::Lro { .. } => "large receive offload switched off".to_owned(),
            Self::Up => "interface set up".to_owned(),
        }
    }

    fn undo(self, device: &Device) -> io::Result<()> {
        match self {
            Self::Setting {
                mut file, before, ..
            } => write_setting(&mut file, &before)?,
            Self::Gro { before } => drop(device.ethtool(EthtoolCommand::SetGro, before)?),
            Self::Lro { before } => drop(device.ethtool(EthtoolCommand::SetFlags, before)?),
            Self::Up => device.set_up(false)?,
        }
        Ok(())
    }
}

fn write_setting(file: &mut File, value: &str) -> io::Result<()> {
    file.rewind()?;
    file.write_all(value.as_bytes())
}

/// Keeps other processes from claiming the interface: two appliances on one would answer every frame twice.
///
/// An abstract socket's name is unique in its network namespace, as the interface's
/// index is, and the kernel frees it however its process ends.
fn lock(interface: &str) -> Result<UnixDatagram, Error> {
    let failed = |errno| system(interface, "reserve it", errno);
    let index = if_nametoindex(interface).map_err(failed)?;
    SocketAddr::from_abstract_name(format!("hal2tp-interface-{index}"))
        .and_then(|name| UnixDatagram::bind_addr(&name))
        .map_err(|problem| match problem.kind() {
            io::ErrorKind::AddrInUse => Error::InUse {
                interface: interface.to_owned(),
            },
            _ => failed(errno(&problem)),
        })
}

fn system(interface: &str, action: &str, errno: Errno) -> Error {
    Error::System {
        interface: interface.to_owned(),
        action: action.to_owned(),
        errno,
    }
}

fn errno(problem: &io::Error) -> Errno {
    problem.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

#[cfg(test)]
mod tests;
