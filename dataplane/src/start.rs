//! Starting a data plane: EAL, ports, pools, workers.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use dpdk::{Eal, EalConfig, EalError, RxQueue, TxQueue, tsc_hz};
use log::info;

use crate::command::PortId;
use crate::config::{Config, Device, PortSpec};
use crate::counters::PortCounters;
use crate::handle::{Dataplane, PortInfo, RunningPort};
use crate::logical_port::{LogicalPortProblem, carries_vlans, check_logical_ports, logical_ports};
use crate::port::{Opened, Pools, attach};
use crate::worker::run::{Task, Thread};
use crate::worker::{Channel, HandOver, Inbox, Outlet, Parts, Worker, WorkerPort, fragment_table};

/// Orders that fit a worker's ring; more wait in the handle.
const ORDERS: usize = 4096;
/// Events that fit a worker's ring; more are dropped by name.
pub(crate) const EVENTS: usize = 4096;
/// Bursts that workers may have handed over to the owner of one TX queue.
const HAND_OVER_BURSTS: usize = 128;

/// Why a data plane did not start.
#[derive(Debug)]
pub enum StartError {
    /// Without a worker nothing moves.
    NoWorkers,
    Eal(EalError),
    /// A port's device could not be had.
    Port {
        port: String,
        device: Device,
        error: dpdk::Error,
    },
    /// A port's Linux interface could not be had.
    Interface {
        port: String,
        error: netdev::Error,
    },
    /// A logical port that cannot be.
    LogicalPort {
        port: String,
        problem: LogicalPortProblem,
    },
    /// The ports' buffers do not fit the configured memory.
    Memory {
        memory_mib: u32,
    },
    Pool(dpdk::Error),
    /// A worker thread could not be made, or not be pinned to its core.
    Worker {
        worker: usize,
        problem: String,
    },
}

impl StartError {
    pub(crate) fn port(spec: &PortSpec, error: dpdk::Error) -> Self {
        Self::Port {
            port: spec.name.clone(),
            device: spec.device.clone(),
            error,
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoWorkers => write!(f, "dataplane: workers: there must be at least one"),
            Self::Eal(error) => write!(f, "DPDK: {error}"),
            Self::Port {
                port,
                device,
                error,
            } => {
                let (Device::Pci(word) | Device::Interface(word) | Device::Vdev(word)) = device;
                write!(f, "port {port} ({word}): {error}{}", hint(device, error))
            }
            Self::Interface { port, error } => write!(f, "port {port}: {error}"),
            Self::LogicalPort { port, problem } => write!(f, "port {port}: {problem}"),
            Self::Memory { memory_mib } => write!(
                f,
                "dataplane: memory: {memory_mib} MiB are too little for these ports and workers; \
                 write more (512 is the default)"
            ),
            Self::Pool(error) => write!(
                f,
                "{error}: these ports and workers need more `dataplane: {{ memory: ... }}`"
            ),
            Self::Worker { worker, problem } => write!(
                f,
                "worker {worker}: {problem}: `dataplane: {{ workers: ... }}` must be a number, or CPUs that this process may use"
            ),
        }
    }
}

/// What to do about a device that DPDK refuses without a reason.
fn hint(device: &Device, error: &dpdk::Error) -> &'static str {
    match (device, error) {
        (Device::Vdev(word), dpdk::Error::Call { function, .. }) => match *function {
            "rte_vdev_init" => {
                ": a virtual device is written as its DPDK driver, a number and that driver's arguments, such as `net_memif0,role=server,socket=/run/memif.sock`"
            }
            "rte_eth_dev_start" if word.contains("memif") => {
                ": the server of a memif must run before its client (`role=client`, the default)"
            }
            _ => "",
        },
        _ => "",
    }
}

impl std::error::Error for StartError {}

impl Dataplane {
    /// Starts DPDK, opens all ports and sets the workers going. Once per process.
    ///
    /// # Errors
    /// See [`StartError`]; everything that was changed is restored, but DPDK
    /// itself stays started.
    pub fn start(config: Config) -> Result<Self, StartError> {
        if config.workers.is_empty() {
            return Err(StartError::NoWorkers);
        }
        check_logical_ports(&config)?;
        let eal = start_eal(&config)?;
        let count = config.workers.len();
        let attached = config
            .ports
            .iter()
            .enumerate()
            .map(|(index, spec)| {
                let carries_vlans = carries_vlans(&config, index);
                attach(&eal, index, spec, count as u16, carries_vlans)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let pools = Pools::new(&eal, &attached, &config)?;
        let opened = attached
            .into_iter()
            .map(|port| port.open(&eal, &pools))
            .collect::<Result<Vec<_>, _>>()?;
        let (ports, shares) = divide(opened, count);
        let logical_ports = logical_ports(&ports, &config, count);
        let inboxes = Inbox::for_workers(count);
        let channels: Vec<Channel> = (0..count).map(|_| Channel::new(ORDERS, EVENTS)).collect();
        let mut threads = Vec::with_capacity(count);
        let stop = Arc::new(AtomicBool::new(false));
        for (index, ports) in shares.into_iter().enumerate() {
            let worker = Worker::new(Parts {
                index,
                workers: count,
                ports,
                logical_ports: (logical_ports.iter())
                    .map(|port| port.share(index))
                    .collect(),
                copies: pools.copies.clone(),
                inboxes: inboxes.clone(),
                fragments: fragment_table(&eal, tsc_hz(&eal)).map_err(StartError::Pool)?,
                reassembly_pieces: pools.reassembly_pieces,
                ordered_packets: pools.ordered_packets,
                tsc_hz: tsc_hz(&eal),
                channel: channels[index].clone(),
            });
            let task = Task {
                worker,
                poll: config.poll,
                core: config.workers[index],
                tsc_hz: tsc_hz(&eal),
            };
            threads.push(spawn(index, task, &stop)?);
        }
        let ports = (ports, logical_ports);
        Ok(Self::new(eal, ports, channels, pools.control, threads))
    }
}

fn start_eal(config: &Config) -> Result<Arc<Eal>, StartError> {
    let pci_allow = config
        .ports
        .iter()
        .filter_map(|port| match &port.device {
            Device::Pci(address) => Some(address.clone()),
            _ => None,
        })
        .collect();
    let eal = Eal::init(&EalConfig {
        program: config.program.clone(),
        memory_mib: config.memory_mib,
        hugepages: config.hugepages.into(),
        pci_allow,
        main_core: None,
    })
    .map_err(StartError::Eal)?;
    let pages = if eal.uses_hugepages() {
        "hugepages"
    } else {
        "ordinary pages, no hugepages: slower"
    };
    info!("{}, {} MiB of {pages}", eal.version(), config.memory_mib);
    Ok(eal)
}

/// Starts a worker's thread and waits until it is an lcore.
fn spawn(index: usize, task: Task, stop: &Arc<AtomicBool>) -> Result<Thread, StartError> {
    let failed = |problem: String| StartError::Worker {
        worker: index,
        problem,
    };
    let (report, reported): (_, Receiver<Result<(), String>>) = channel();
    let stop = Arc::clone(stop);
    let of_thread = Arc::clone(&stop);
    let handle = thread::Builder::new()
        .name(format!("worker-{index}"))
        .spawn(move || task.run(&of_thread, &report))
        .map_err(|problem| failed(problem.to_string()))?;
    // From here on dropping the thread's handle stops it.
    let thread = Thread::new(handle, stop);
    match reported.recv() {
        Ok(Ok(())) => Ok(thread),
        Ok(Err(problem)) => Err(failed(problem)),
        Err(_) => Err(failed("ended before it began".to_owned())),
    }
}

/// Deals the queues out: queue q of port p belongs to worker (q + p) mod
/// workers. A worker without a queue of a port hands its frames over to one
/// that has.
fn divide(opened: Vec<Opened>, workers: usize) -> (Vec<RunningPort>, Vec<Vec<WorkerPort>>) {
    let mut shares: Vec<Vec<WorkerPort>> = (0..workers).map(|_| Vec::new()).collect();
    let mut ports = Vec::with_capacity(opened.len());
    for (index, port) in opened.into_iter().enumerate() {
        let queues = port.send.len();
        let counters: Vec<Arc<PortCounters>> = (0..workers).map(|_| Arc::default()).collect();
        let info = PortInfo {
            id: PortId(index as u16),
            name: port.name,
            mac: port.port.mac(),
            mtu: port.mtu,
            queues: queues as u16,
            driver: port.port.driver().to_owned(),
        };
        info!(
            "port {}: {}, {queues} queue pairs, MTU {}",
            info.name, info.driver, info.mtu
        );
        let rings: Vec<Arc<HandOver>> = (0..queues)
            .map(|_| Arc::new(HandOver::new(HAND_OVER_BURSTS)))
            .collect();
        let mut pairs: Vec<Option<(RxQueue, TxQueue)>> =
            port.receive.into_iter().zip(port.send).map(Some).collect();
        for (worker, share) in shares.iter_mut().enumerate() {
            // The queue q with (q + p) mod workers = worker.
            let queue = (worker + workers - index % workers) % workers;
            let pair = pairs.get_mut(queue).and_then(Option::take);
            let (receive, send) = match pair {
                Some((receive, send)) => {
                    let handed_over = Arc::clone(&rings[queue]);
                    let own = Outlet::Own {
                        queue: send,
                        handed_over,
                    };
                    (vec![receive], own)
                }
                None => {
                    let ring = Arc::clone(&rings[queue % queues]);
                    (Vec::new(), Outlet::HandOver(ring))
                }
            };
            share.push(WorkerPort {
                mac: info.mac,
                // Until the control thread, which follows the links, says otherwise.
                up: true,
                receive,
                send,
                counters: Arc::clone(&counters[worker]),
                cut_octets: port.cut_octets,
                fills_in_checksums: port.port.offloads_tx_checksums(),
            });
        }
        ports.push(RunningPort {
            info,
            port: port.port,
            counters,
            claim: port.claim,
        });
    }
    (ports, shares)
}
