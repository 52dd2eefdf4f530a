//! DPDK's environment abstraction layer: memory, devices, the clock.

use std::ffi::{CStr, CString, c_char};
use std::fs;
use std::mem;
use std::path::Path;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::af_packet::{self, Missed};
use crate::control::{self, Attachment};
use crate::error::{EalError, Error, last_errno};
use crate::port::PortId;
use crate::ring::RingPair;

/// Where packet memory comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HugePages {
    /// Hugepages when enough of them are free, else ordinary pages.
    #[default]
    Auto,
    Yes,
    No,
}

/// How to start the EAL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EalConfig {
    /// The program's name in DPDK's log.
    pub program: String,
    /// All memory for packets and queues, MiB.
    pub memory_mib: u32,
    pub hugepages: HugePages,
    /// PCI addresses of the devices that DPDK may take; no other is touched.
    pub pci_allow: Vec<String>,
    /// CPU of the main lcore, which runs nothing once started; the first allowed one by default.
    pub main_core: Option<u32>,
}

impl Default for EalConfig {
    fn default() -> Self {
        Self {
            program: "dpdk".to_owned(),
            memory_mib: 128,
            hugepages: HugePages::Auto,
            pci_allow: Vec::new(),
            main_core: None,
        }
    }
}

/// Proof that the EAL runs. There is one per process, and it lives as long as
/// the process: buffers may outlive every handle.
#[derive(Debug)]
pub struct Eal {
    hugepages: bool,
}

static STARTED: AtomicBool = AtomicBool::new(false);

impl Eal {
    /// Starts the EAL.
    ///
    /// # Errors
    /// When it was started before, when hugepages are demanded and missing, or
    /// when `rte_eal_init` refuses.
    pub fn init(config: &EalConfig) -> Result<Arc<Self>, EalError> {
        Self::init_with(config, &[])
    }

    /// As [`init`](Self::init), with further EAL arguments behind our own.
    /// `--telemetry` among them leaves the telemetry socket on. They are as
    /// trusted as the program itself: some make the EAL load code.
    ///
    /// # Errors
    /// As for `init`.
    pub fn init_with(config: &EalConfig, extra: &[&str]) -> Result<Arc<Self>, EalError> {
        let hugepages = choose_hugepages(config)?;
        let core = match config.main_core {
            Some(core) => core,
            None => first_allowed_cpu().ok_or(EalError::NoCpu)?,
        };
        let arguments = arguments(config, hugepages, core, extra);
        let strings = arguments
            .iter()
            .map(|argument| {
                CString::new(argument.as_str()).map_err(|_| EalError::Argument(argument.clone()))
            })
            .collect::<Result<Vec<_>, _>>()?;
        // SeqCst for simplicity: this happens once.
        if STARTED.swap(true, Ordering::SeqCst) {
            return Err(EalError::AlreadyStarted);
        }
        // In a thread of its own, because the EAL pins its caller to the main lcore for good.
        let result = thread::spawn(move || call_init(strings))
            .join()
            .unwrap_or(Err(libc::EFAULT));
        match result {
            Ok(()) => Ok(Arc::new(Self { hugepages })),
            Err(errno) => Err(EalError::Init {
                errno,
                arguments: arguments.join(" "),
            }),
        }
    }

    /// Whether packet memory is in hugepages.
    #[must_use]
    pub fn uses_hugepages(&self) -> bool {
        self.hugepages
    }

    /// DPDK's name and version, as "DPDK 22.11.11".
    #[must_use]
    pub fn version(&self) -> String {
        // SAFETY: returns a pointer to a static string.
        let text = unsafe { CStr::from_ptr(dpdk_sys::rte_version()) };
        text.to_string_lossy().into_owned()
    }

    /// Makes a virtual device, for example `net_null0` with `size=64,copy=1`.
    ///
    /// # Errors
    /// When the driver is missing or refuses its arguments.
    pub fn attach_vdev(self: &Arc<Self>, name: &str, args: &str) -> Result<PortId, Error> {
        // That driver follows an address that it is given as text.
        if is_driver(name, "ring") && args.contains("internal") {
            return Err(Error::Name(format!("{name},{args}")));
        }
        let blind_octets = null_frame_octets(name, args)?;
        let device = c_name(name)?;
        let args = c_name(args)?;
        let mut control = control::lock();
        let before = af_packet::packet_sockets();
        // SAFETY: both strings live through the call, which copies them.
        let result = unsafe { dpdk_sys::rte_vdev_init(device.as_ptr(), args.as_ptr()) };
        Error::check("rte_vdev_init", name, result)?;
        let mut missed = Missed::default();
        if is_driver(name, "af_packet") {
            let mut made = af_packet::packet_sockets();
            made.retain(|socket| !before.contains(socket));
            af_packet::widen_send_buffers(&made);
            missed = Missed::of(&made);
        }
        let found = port_by_name(name, &device);
        match found {
            Ok(port) => {
                let attachment = Attachment {
                    device: name.to_owned(),
                    blind_octets,
                    missed,
                    _rings: None,
                };
                control.attachments.insert(port.0, attachment);
            }
            // SAFETY: as above. A device without a port is of no use.
            Err(_) => unsafe {
                dpdk_sys::rte_vdev_uninit(device.as_ptr());
            },
        }
        found
    }

    /// The port of a PCI device that [`EalConfig::pci_allow`] names.
    ///
    /// # Errors
    /// When no driver of DPDK took the device.
    pub fn pci_port(self: &Arc<Self>, address: &str) -> Result<PortId, Error> {
        // DPDK's names have the domain in them.
        let name = match address.matches(':').count() {
            1 => format!("0000:{address}"),
            _ => address.to_owned(),
        };
        let device = c_name(&name)?;
        let _control = control::lock();
        port_by_name(&name, &device)
    }

    /// Two ports wired crosswise inside the process: what is sent on queue N of
    /// one is received from queue N of the other, the buffers themselves, uncopied.
    /// Each queue holds at least `depth` frames.
    ///
    /// # Errors
    /// When the rings or ports cannot be made, for example because the name is taken.
    pub fn ring_pair(
        self: &Arc<Self>,
        name: &str,
        queues: u16,
        depth: u32,
    ) -> Result<(PortId, PortId), Error> {
        let mut control = control::lock();
        let rings = Arc::new(RingPair::new(name, queues, depth)?);
        let mut ports = [PortId(0); 2];
        for (side, port) in ports.iter_mut().enumerate() {
            let (id, device) = rings.port(name, side)?;
            let attachment = Attachment {
                device,
                blind_octets: 0,
                missed: Missed::default(),
                _rings: Some(Arc::clone(&rings)),
            };
            control.attachments.insert(id.0, attachment);
            *port = id;
        }
        Ok((ports[0], ports[1]))
    }
}

/// The time stamp counter.
#[must_use]
pub fn tsc() -> u64 {
    // SAFETY: reads a register.
    unsafe { dpdk_sys::shim_rdtsc() }
}

/// How fast [`tsc`] counts, Hz.
#[must_use]
pub fn tsc_hz(_eal: &Eal) -> u64 {
    // SAFETY: reads a variable that the EAL set when it started.
    unsafe { dpdk_sys::rte_get_tsc_hz() }
}

pub(crate) fn c_name(name: &str) -> Result<CString, Error> {
    CString::new(name).map_err(|_| Error::Name(name.to_owned()))
}

/// Looks a port up. The caller holds the lock.
fn port_by_name(name: &str, device: &CStr) -> Result<PortId, Error> {
    let mut port = 0;
    // SAFETY: the string and the result live through the call.
    let result = unsafe { dpdk_sys::rte_eth_dev_get_port_by_name(device.as_ptr(), &mut port) };
    match result {
        0 => Ok(PortId(port)),
        _ => Err(Error::NoSuchPort(name.to_owned())),
    }
}

/// Whether a device of this name gets that driver, by its name or its older one.
fn is_driver(device: &str, driver: &str) -> bool {
    let rest = device
        .strip_prefix("net_")
        .or_else(|| device.strip_prefix("eth_"));
    rest.is_some_and(|rest| rest.starts_with(driver))
}

/// The size of the frames that a net_null device makes up, octets; 0 for other devices.
fn null_frame_octets(name: &str, args: &str) -> Result<u16, Error> {
    if !is_driver(name, "null") {
        return Ok(0);
    }
    let mut pairs = args.split(',').filter_map(|arg| arg.split_once('='));
    // The last one counts.
    let Some((_, size)) = pairs.rfind(|(key, _)| key.trim() == "size") else {
        return Ok(64);
    };
    // The driver takes hexadecimal and octal too; whoever wants that writes it decimally.
    match size.parse() {
        Ok(octets) if !size.starts_with('0') => Ok(octets),
        _ => Err(Error::Name(format!("{name},{args}"))),
    }
}

fn call_init(strings: Vec<CString>) -> Result<(), i32> {
    // The EAL keeps pointers into its arguments, so they stay for ever.
    let argv = strings
        .into_iter()
        .map(CString::into_raw)
        .chain([ptr::null_mut::<c_char>()])
        .collect::<Vec<_>>()
        .leak();
    let count = i32::try_from(argv.len() - 1).map_err(|_| libc::E2BIG)?;
    // SAFETY: `argv` holds `count` writable strings and a NULL, none of which is ever freed;
    // STARTED lets only one thread come here.
    let result = unsafe { dpdk_sys::rte_eal_init(count, argv.as_mut_ptr()) };
    if result < 0 {
        return Err(last_errno());
    }
    Ok(())
}

fn arguments(config: &EalConfig, hugepages: bool, core: u32, extra: &[&str]) -> Vec<String> {
    let mut arguments = vec![
        config.program.clone(),
        // One lcore, which may be any CPU: the workers register themselves.
        "--lcores".to_owned(),
        format!("0@{core}"),
        "-m".to_owned(),
        config.memory_mib.to_string(),
        "--log-level=warning".to_owned(),
    ];
    let memory: &[&str] = if hugepages {
        // virtio-user can tell its peer about few regions only, hence single files.
        &["--in-memory", "--single-file-segments"]
    } else {
        // `--in-memory` is refused together with `--no-huge`.
        &["--no-huge", "--no-shconf"]
    };
    arguments.extend(memory.iter().map(|&flag| flag.to_owned()));
    if config.pci_allow.is_empty() {
        arguments.push("--no-pci".to_owned());
    }
    for address in &config.pci_allow {
        arguments.extend(["-a".to_owned(), address.clone()]);
    }
    if !extra.contains(&"--telemetry") {
        arguments.push("--no-telemetry".to_owned());
    }
    arguments.extend(extra.iter().map(|&flag| flag.to_owned()));
    arguments
}

fn choose_hugepages(config: &EalConfig) -> Result<bool, EalError> {
    let free_mib = match config.hugepages {
        HugePages::No => return Ok(false),
        _ => free_hugepages_mib(Path::new("/sys/kernel/mm/hugepages")),
    };
    let enough = free_mib >= u64::from(config.memory_mib);
    if config.hugepages == HugePages::Yes && !enough {
        return Err(EalError::NoHugePages {
            needed_mib: config.memory_mib,
            free_mib,
        });
    }
    Ok(enough)
}

/// Hugepages of all sizes that are free and not promised to anyone, MiB.
fn free_hugepages_mib(directory: &Path) -> u64 {
    let Ok(sizes) = fs::read_dir(directory) else {
        return 0;
    };
    sizes
        .flatten()
        .map(|size| {
            let name = size.file_name();
            let page_kib = name
                .to_str()
                .and_then(|name| name.strip_prefix("hugepages-")?.strip_suffix("kB"))
                .and_then(|digits| digits.parse::<u64>().ok())
                .unwrap_or(0);
            let read = |file: &str| {
                fs::read_to_string(size.path().join(file))
                    .ok()
                    .and_then(|text| text.trim().parse::<u64>().ok())
                    .unwrap_or(0)
            };
            let pages = read("free_hugepages").saturating_sub(read("resv_hugepages"));
            pages * page_kib / 1024
        })
        .sum()
}

fn first_allowed_cpu() -> Option<u32> {
    // SAFETY: a CPU set is an array of integers, for which zeros are a value.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: the set is as large as said, and written by the call only.
    let result = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set) };
    if result != 0 {
        return None;
    }
    // SAFETY: every index is below the set's size.
    (0..libc::CPU_SETSIZE as usize)
        .find(|&cpu| unsafe { libc::CPU_ISSET(cpu, &set) })
        .and_then(|cpu| u32::try_from(cpu).ok())
}

#[cfg(test)]
mod tests;
