//! Why an interface cannot be had.

use std::fmt;
use std::net::IpAddr;

use nix::errno::Errno;

/// Why [`claim`](crate::claim) refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// There is no such interface in this network namespace.
    Missing { interface: String },
    /// Its frames are not Ethernet's: IP packets of a modem or a tunnel, or something else.
    NotEthernet {
        interface: String,
        /// By the numbers of `linux/if_arp.h`.
        hardware_type: u16,
    },
    /// The kernel uses the interface itself.
    Addressed {
        interface: String,
        addresses: Vec<IpAddr>,
    },
    /// Another port, mostly another appliance's, has it.
    InUse { interface: String },
    /// The kernel refused.
    System {
        interface: String,
        /// What was tried.
        action: String,
        errno: Errno,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { interface } => write!(
                f,
                "there is no interface {interface} here: `ip link` lists those that there are"
            ),
            Self::NotEthernet {
                interface,
                hardware_type,
            } => write!(
                f,
                "{interface} carries no Ethernet frames (hardware type {hardware_type}; raw IP of a modem has 519 or 65534): \
                 switch the modem to Ethernet (802.3) framing, or use an interface that has it"
            ),
            Self::Addressed {
                interface,
                addresses,
            } => {
                write!(f, "{interface} carries addresses of the kernel's (")?;
                for (index, address) in addresses.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{address}")?;
                }
                write!(
                    f,
                    "), and an AF_PACKET port must have its interface alone: \
                     `ip addr flush dev {interface}`, or use another interface"
                )
            }
            Self::InUse { interface } => write!(
                f,
                "{interface} is taken by another appliance: stop that one, or use another interface"
            ),
            Self::System {
                interface,
                action,
                errno,
            } => {
                write!(f, "{interface}: cannot {action}: {}", errno.desc())?;
                match errno {
                    Errno::EPERM | Errno::EACCES => write!(f, " (root or CAP_NET_ADMIN is needed)"),
                    _ => Ok(()),
                }
            }
        }
    }
}

impl std::error::Error for Error {}
