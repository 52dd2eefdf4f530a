//! What can go wrong outside the packet loop.

use std::ffi::CStr;
use std::fmt;

/// Why the EAL did not start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EalError {
    /// There is one EAL per process, and it cannot be started again.
    AlreadyStarted,
    /// An argument contains a NUL octet.
    Argument(String),
    /// `hugepages: true`, but too little of them is free.
    NoHugePages { needed_mib: u32, free_mib: u64 },
    /// The process may not run on any CPU, or the kernel does not say on which.
    NoCpu,
    /// `rte_eal_init` failed; DPDK's log on stderr says more.
    Init { errno: i32, arguments: String },
}

impl fmt::Display for EalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyStarted => write!(f, "DPDK's EAL was already started in this process"),
            Self::Argument(argument) => write!(f, "{argument:?} cannot be an EAL argument"),
            Self::NoHugePages {
                needed_mib,
                free_mib,
            } => write!(
                f,
                "{needed_mib} MiB of hugepages needed and {free_mib} MiB free: \
                 raise /proc/sys/vm/nr_hugepages, or do without hugepages"
            ),
            Self::NoCpu => write!(f, "no CPU to run the EAL's main lcore on"),
            Self::Init { errno, arguments } => write!(
                f,
                "it does not start: {}: it needs root, and as much free memory as -m says (MiB); \
                 its arguments were {arguments}",
                describe(*errno)
            ),
        }
    }
}

impl std::error::Error for EalError {}

/// Why something of DPDK could not be made or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// A DPDK function refused.
    Call {
        function: &'static str,
        /// What it was about: a device, a pool, a port.
        subject: String,
        errno: i32,
    },
    /// A name or argument that DPDK cannot take.
    Name(String),
    /// No port has this number or device name.
    NoSuchPort(String),
    /// The port is already open.
    PortInUse(u16),
    /// More queues than the device has.
    TooManyQueues {
        direction: &'static str,
        asked: u16,
        most: u16,
    },
    /// A frame of this MTU does not fit the buffers or the device's frame slots.
    MtuTooLarge { mtu: u16, most: u16 },
    /// The pool's buffers cannot hold a frame of the device's behind their headroom.
    DataRoomTooSmall { octets: u16, least: u16 },
    /// The thread already has an lcore.
    AlreadyRegistered,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call {
                function,
                subject,
                errno,
            } => write!(f, "{subject}: {function}: {}", describe(*errno)),
            Self::Name(name) => write!(f, "{name:?} cannot be a name of DPDK"),
            Self::NoSuchPort(name) => write!(
                f,
                "DPDK has no port {name}: is there such a device, and is it bound to vfio-pci?"
            ),
            Self::PortInUse(port) => write!(f, "port {port} is already open"),
            Self::TooManyQueues {
                direction,
                asked,
                most,
            } => write!(f, "{asked} {direction} queues asked, the device has {most}"),
            Self::MtuTooLarge { mtu, most } => {
                write!(f, "an MTU of {mtu} is asked, at most {most} fits")
            }
            Self::DataRoomTooSmall { octets, least } => write!(
                f,
                "the pool's buffers have {octets} octets, at least {least} are needed"
            ),
            Self::AlreadyRegistered => write!(f, "the thread already has an lcore"),
        }
    }
}

impl std::error::Error for Error {}

impl Error {
    /// Whether there was too little memory: pools say so in either word.
    #[must_use]
    pub fn is_out_of_memory(&self) -> bool {
        matches!(self, Self::Call { errno, .. } if [libc::ENOMEM, libc::ENOBUFS].contains(errno))
    }

    /// From a return value of DPDK's: 0 or more is success, less is `-errno`.
    pub(crate) fn check(
        function: &'static str,
        subject: impl fmt::Display,
        result: i32,
    ) -> Result<i32, Self> {
        if result >= 0 {
            return Ok(result);
        }
        Err(Self::Call {
            function,
            subject: subject.to_string(),
            errno: -result,
        })
    }

    /// From `rte_errno`, for functions that return a pointer or -1.
    pub(crate) fn last(function: &'static str, subject: impl fmt::Display) -> Self {
        Self::Call {
            function,
            subject: subject.to_string(),
            errno: last_errno(),
        }
    }
}

/// `rte_errno` of the calling thread.
pub(crate) fn last_errno() -> i32 {
    // SAFETY: reads a thread-local variable.
    unsafe { dpdk_sys::shim_errno() }
}

fn describe(errno: i32) -> String {
    // Drivers return a bare -1 for whatever went wrong, which would read as EPERM.
    if errno == 1 {
        return "failed; DPDK's own lines above may say why".to_owned();
    }
    // SAFETY: returns a pointer to a string that is static or of this thread,
    // which is copied before the next call.
    let text = unsafe { CStr::from_ptr(dpdk_sys::rte_strerror(errno)) };
    format!("{} ({errno})", text.to_string_lossy())
}
