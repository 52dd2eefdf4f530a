//! Ports: from the configuration's words to opened queues.

use std::collections::BTreeMap;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use dpdk::{Eal, HEADROOM_OCTETS, Limits, Mempool, Port, PortConfig, RxQueue, TxQueue};
use log::info;
use netdev::Claim;

use crate::config::{Config, Device, PortSpec};
use crate::start::{EVENTS, StartError};
use crate::worker::MAX_FRAGMENTS;

/// Data room of a device with ordinary frames, octets.
const ORDINARY_ROOM: u16 = 2048 + HEADROOM_OCTETS;
/// Of each ring, asked for of every device; one that has fewer gives those.
pub const DESCRIPTORS: u16 = 1024;
/// Frames that a queue pair may have under way besides descriptors: its TX ring.
const FRAMES_PER_QUEUE: u32 = 1024;
/// Of an mbuf besides its data room, octets: its header, the pool's, alignment.
const MBUF_OVERHEAD_OCTETS: u64 = 256;
/// The smallest pool that works.
const MIN_BUFFERS: u32 = 1024;
/// Buffers for what the control thread sends.
const CONTROL_BUFFERS: u32 = 2048;
const MAX_CACHE: u32 = 256;
/// Received pieces of packets, for each worker, that may wait for the others.
const REASSEMBLY_PIECES: u32 = 4096;
/// Received packets, for each worker, that may wait for those before them.
const ORDERED_PACKETS: u32 = 8192;
/// What AF_PACKET's slots hold besides the frame, when they are as the user said.
const SLOT_OVERHEAD_OCTETS: u16 = 66;

/// A device that DPDK has, not yet opened.
pub(crate) struct Attached {
    pub(crate) spec: PortSpec,
    id: dpdk::PortId,
    limits: Limits,
    queues: u16,
    data_room: u16,
    cut_octets: Option<u16>,
    claim: Option<Claim>,
}

/// A running port.
pub(crate) struct Opened {
    pub(crate) name: String,
    pub(crate) port: Port,
    pub(crate) receive: Vec<RxQueue>,
    pub(crate) send: Vec<TxQueue>,
    pub(crate) mtu: u16,
    pub(crate) cut_octets: Option<u16>,
    pub(crate) claim: Option<Claim>,
}

/// The pools of a data plane.
pub(crate) struct Pools {
    /// By data room.
    receive: BTreeMap<u16, Mempool>,
    pub(crate) copies: Mempool,
    pub(crate) control: Mempool,
    /// How many received buffers each worker may keep for reassembly.
    pub(crate) reassembly_pieces: usize,
    /// The same for ordering.
    pub(crate) ordered_packets: usize,
}

/// Finds or makes the device of a port, which may have to carry VLANs.
pub(crate) fn attach(
    eal: &Arc<Eal>,
    index: usize,
    spec: &PortSpec,
    workers: u16,
    carries_vlans: bool,
) -> Result<Attached, StartError> {
    let refused = |error| StartError::port(spec, error);
    let wanted = spec.queues.unwrap_or(workers).clamp(1, workers);
    let mut claim = None;
    let mut data_room = ORDINARY_ROOM;
    let mut cut_octets = None;
    let id = match &spec.device {
        Device::Pci(address) => eal.pci_port(address).map_err(refused)?,
        Device::Vdev(word) => {
            let (name, arguments) = word.split_once(',').unwrap_or((word, ""));
            if name.contains("af_packet") {
                let slot = slot_octets(arguments);
                data_room = data_room.max(slot.saturating_add(HEADROOM_OCTETS));
                cut_octets = Some(slot.saturating_sub(SLOT_OVERHEAD_OCTETS));
            }
            if name.contains("memif") {
                remove_stale_memif_socket(arguments);
            }
            eal.attach_vdev(name, arguments).map_err(refused)?
        }
        Device::Interface(interface) => {
            let refused_by_linux = |error| StartError::Interface {
                port: spec.name.clone(),
                error,
            };
            let mut taken = netdev::claim(interface).map_err(refused_by_linux)?;
            if carries_vlans {
                taken.hear_everything().map_err(refused_by_linux)?;
            }
            for change in taken.changes() {
                info!("port {}: {interface}: {change}", spec.name);
            }
            let driver = af_packet(interface, wanted, taken.mtu()).map_err(refused)?;
            data_room = driver.data_room;
            cut_octets = Some(driver.max_frame_octets);
            claim = Some(taken);
            let name = format!("net_af_packet{index}");
            eal.attach_vdev(&name, &driver.args).map_err(refused)?
        }
    };
    let limits = Port::limits(eal, id).map_err(refused)?;
    let queues = wanted
        .min(limits.max_rx_queues)
        .min(limits.max_tx_queues)
        .max(1);
    Ok(Attached {
        spec: spec.clone(),
        id,
        limits,
        queues,
        data_room,
        cut_octets,
        claim,
    })
}

/// An interface with an MTU above what the driver carries is used as far as it
/// goes; longer frames are dropped by name.
fn af_packet(interface: &str, queues: u16, mtu: u16) -> Result<dpdk::AfPacket, dpdk::Error> {
    match dpdk::af_packet(interface, queues, mtu) {
        Err(dpdk::Error::MtuTooLarge { most, .. }) => dpdk::af_packet(interface, queues, most),
        made => made,
    }
}

/// Takes the socket file of a memif server away that a killed process left:
/// the driver would find the address in use. A live one stays, and is refused.
fn remove_stale_memif_socket(arguments: &str) {
    let value = |key: &str| {
        let mut pairs = arguments.split(',').filter_map(|pair| pair.split_once('='));
        pairs.find(|pair| pair.0 == key).map(|pair| pair.1)
    };
    let (Some("server"), Some("no"), Some(path)) =
        (value("role"), value("socket-abstract"), value("socket"))
    else {
        return;
    };
    let is_socket =
        std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket());
    // A listening memif socket is of another type, which is another error.
    let nobody_listens = || {
        UnixStream::connect(path)
            .is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
    };
    if is_socket && nobody_listens() {
        match std::fs::remove_file(path) {
            Ok(()) => info!("{path}: removed, it was of a process that is gone"),
            Err(error) => info!("{path}: left by a process that is gone, not removed: {error}"),
        }
    }
}

/// The driver's frame slots as the arguments say, or as the driver has them.
fn slot_octets(arguments: &str) -> u16 {
    arguments
        .split(',')
        .find_map(|argument| argument.strip_prefix("framesz=")?.parse().ok())
        .unwrap_or(2048)
}

impl Attached {
    fn descriptors(&self) -> (u16, u16) {
        let within = |most: u16| {
            if most == 0 {
                DESCRIPTORS
            } else {
                DESCRIPTORS.min(most)
            }
        };
        (
            within(self.limits.max_rx_descriptors),
            within(self.limits.max_tx_descriptors),
        )
    }

    fn mtu(&self) -> u16 {
        let of_interface = self.claim.as_ref().map(Claim::mtu);
        let ethernet_octets = crate::headers::ethernet::HEADER_OCTETS as u16;
        let fits = self
            .cut_octets
            .map_or(u16::MAX, |cut| cut.saturating_sub(ethernet_octets));
        of_interface.unwrap_or(1500).min(fits)
    }

    pub(crate) fn open(self, eal: &Arc<Eal>, pools: &Pools) -> Result<Opened, StartError> {
        let refused = |error| StartError::port(&self.spec, error);
        let (rx_descriptors, tx_descriptors) = self.descriptors();
        let pool = pools
            .receive
            .get(&self.data_room)
            .unwrap_or(&pools.copies)
            .clone();
        let config = PortConfig {
            rx_queues: self.queues,
            tx_queues: self.queues,
            rx_descriptors,
            tx_descriptors,
            mempool: pool,
            mtu: None,
            promiscuous: false,
            rss: self.queues > 1,
        };
        let (port, receive, send) = Port::open(eal, self.id, &config).map_err(refused)?;
        let mtu = match &self.claim {
            Some(_) => self.mtu(),
            None => port.mtu().unwrap_or(1500),
        };
        Ok(Opened {
            name: self.spec.name,
            port,
            receive,
            send,
            mtu,
            cut_octets: self.cut_octets,
            claim: self.claim,
        })
    }
}

impl Pools {
    /// Makes pools that the ports can do with, within the configured memory.
    pub(crate) fn new(
        eal: &Arc<Eal>,
        ports: &[Attached],
        config: &Config,
    ) -> Result<Self, StartError> {
        let workers = config.workers.len() as u32;
        let ordered = if config.ordering { ORDERED_PACKETS } else { 0 };
        // In caches, in the hands of the control thread, and waiting: for other
        // pieces, for other fragments, for other packets.
        let waiting = REASSEMBLY_PIECES + MAX_FRAGMENTS + ordered;
        let spare = workers * (2 * MAX_CACHE + EVENTS as u32 + waiting) + MIN_BUFFERS;
        let mut wanted: BTreeMap<u16, u32> = BTreeMap::new();
        let mut copies = workers * 2 * MAX_CACHE + MIN_BUFFERS;
        let mut copy_room = config
            .largest_packet_octets
            .saturating_add(HEADROOM_OCTETS)
            .max(ORDINARY_ROOM);
        for port in ports {
            let (receive, send) = port.descriptors();
            let queues = u32::from(port.queues);
            // AF_PACKET copies into the kernel's rings and keeps no buffers.
            let held = if port.cut_octets.is_some() {
                0
            } else {
                u32::from(receive) + u32::from(send)
            };
            *wanted.entry(port.data_room).or_insert(spare) += queues * (held + FRAMES_PER_QUEUE);
            copies += queues * (u32::from(send) + FRAMES_PER_QUEUE);
            let room = port
                .mtu()
                .saturating_add(HEADROOM_OCTETS)
                .saturating_add(64);
            copy_room = copy_room.max(room);
        }
        let octets =
            |room: u16, count: u32| (u64::from(room) + MBUF_OVERHEAD_OCTETS) * u64::from(count);
        let total = octets(copy_room, copies + CONTROL_BUFFERS)
            + wanted
                .iter()
                .map(|(&room, &count)| octets(room, count))
                .sum::<u64>();
        // The rest is for queues and what DPDK needs itself.
        let memory_mib = config.memory_mib;
        let budget = u64::from(memory_mib) * (1 << 20) / 10 * 7;
        let part_of = |count: u32| {
            let within = u64::from(count) * budget.min(total) / total;
            u32::try_from(within).unwrap_or(count)
        };
        let scaled = |count: u32| {
            let within = part_of(count);
            if within < MIN_BUFFERS {
                return Err(StartError::Memory { memory_mib });
            }
            Ok(within)
        };
        let make = |name: String, count: u32, room: u16| {
            let cache = MAX_CACHE.min(count / (4 * workers.max(1)));
            Mempool::new(eal, &name, count, cache, room).map_err(|error| {
                if error.is_out_of_memory() {
                    StartError::Memory { memory_mib }
                } else {
                    StartError::Pool(error)
                }
            })
        };
        let mut receive = BTreeMap::new();
        for (room, count) in wanted {
            let pool = make(format!("receive-{room}"), scaled(count)?, room)?;
            receive.insert(room, pool);
        }
        Ok(Self {
            receive,
            copies: make("copies".to_owned(), scaled(copies)?, copy_room)?,
            control: make("control".to_owned(), CONTROL_BUFFERS, copy_room)?,
            reassembly_pieces: part_of(REASSEMBLY_PIECES) as usize,
            ordered_packets: part_of(ordered) as usize,
        })
    }
}
