//! Ethernet ports.

use std::ffi::CStr;
use std::fmt;
use std::ptr;
use std::sync::Arc;

use dpdk_sys::{rte_eth_conf, rte_eth_dev_info, rte_mempool};

use crate::control;
use crate::eal::{Eal, c_name};
use crate::error::Error;
use crate::mempool::{HEADROOM_OCTETS, Mempool};
use crate::queue::{RxQueue, TxQueue};

/// Ethernet header and FCS, octets.
const FRAME_OVERHEAD_OCTETS: u32 = dpdk_sys::RTE_ETHER_HDR_LEN + dpdk_sys::RTE_ETHER_CRC_LEN;

/// The shortest Ethernet frame, octets with FCS.
const LEAST_FRAME_OCTETS: u16 = 64;

const RX_CHECKSUMS: u64 = dpdk_sys::SHIM_RX_OFFLOAD_IPV4_CKSUM
    | dpdk_sys::SHIM_RX_OFFLOAD_UDP_CKSUM
    | dpdk_sys::SHIM_RX_OFFLOAD_TCP_CKSUM;

const TX_CHECKSUMS: u64 =
    dpdk_sys::SHIM_TX_OFFLOAD_IPV4_CKSUM | dpdk_sys::SHIM_TX_OFFLOAD_UDP_CKSUM;

/// DPDK's number of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortId(pub u16);

impl fmt::Display for PortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How to open a port.
#[derive(Clone, Debug)]
pub struct PortConfig {
    pub rx_queues: u16,
    pub tx_queues: u16,
    /// Descriptors per queue; the driver's limits apply.
    pub rx_descriptors: u16,
    pub tx_descriptors: u16,
    /// Where received frames go.
    pub mempool: Mempool,
    /// Largest packet inside a frame, octets; the driver's own when `None`. A
    /// driver that cannot set it keeps its own: see [`Port::mtu`].
    pub mtu: Option<u16>,
    /// Also receive frames to other hardware addresses; ignored by drivers that always do.
    pub promiscuous: bool,
    /// Spread flows over the receive queues, where the device can.
    pub rss: bool,
}

/// What a device can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    pub driver: String,
    pub max_rx_queues: u16,
    pub max_tx_queues: u16,
    /// Longest frame that it says it receives, octets with FCS.
    pub max_rx_packet_octets: u32,
    pub min_mtu: u16,
    pub max_mtu: u16,
    pub max_rx_descriptors: u16,
    pub max_tx_descriptors: u16,
    /// Whether it spreads IP flows over queues.
    pub rss: bool,
    /// Whether it verifies IPv4, UDP and TCP checksums.
    pub rx_checksums: bool,
    /// Whether it fills in IPv4 and UDP checksums.
    pub tx_checksums: bool,
}

/// What a device counted since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortStats {
    pub rx_packets: u64,
    pub tx_packets: u64,
    pub rx_octets: u64,
    pub tx_octets: u64,
    /// Dropped by the device because its receive queues were full.
    pub rx_missed: u64,
    pub rx_errors: u64,
    pub tx_errors: u64,
    /// Not received because the pool was empty.
    pub rx_no_mbuf: u64,
}

/// A running port. It stops and closes when this and its queues are gone.
#[derive(Debug)]
pub struct Port(Arc<OpenPort>);

impl Port {
    /// Configures and starts a port. Checksum offloads are on where the device has
    /// them. Frames are freed one by one after sending, never in bulk
    /// (`MBUF_FAST_FREE`): buffers of several pools meet at a port.
    ///
    /// # Errors
    /// When there is no such port, it is open already, or the device refuses.
    pub fn open(
        _eal: &Arc<Eal>,
        id: PortId,
        config: &PortConfig,
    ) -> Result<(Self, Vec<RxQueue>, Vec<TxQueue>), Error> {
        let (port, failure) = {
            let mut control = control::lock();
            let info = device_info(id)?;
            check_queues(&info, config)?;
            let attachment = control.attachments.get(&id.0);
            let blind_octets = attachment.map_or(0, |attachment| attachment.blind_octets);
            check_data_room(&config.mempool, blind_octets)?;
            if !control.open_ports.insert(id.0) {
                return Err(Error::PortInUse(id.0));
            }
            let mut port = OpenPort::new(id, &info, config);
            let failure = port.start(&info, config).err();
            (Arc::new(port), failure)
        };
        if let Some(failure) = failure {
            // Closes the half-open port: its queues may hold on to the pool.
            drop(port);
            return Err(failure);
        }
        let receive = (0..config.rx_queues).map(|queue| RxQueue::new(&port, queue));
        let send = (0..config.tx_queues).map(|queue| TxQueue::new(&port, queue));
        Ok((Self(Arc::clone(&port)), receive.collect(), send.collect()))
    }

    /// What the device can do, opened or not.
    ///
    /// # Errors
    /// When there is no such port.
    pub fn limits(_eal: &Arc<Eal>, id: PortId) -> Result<Limits, Error> {
        let _control = control::lock();
        let info = device_info(id)?;
        Ok(Limits {
            driver: driver_name(&info),
            max_rx_queues: info.max_rx_queues,
            max_tx_queues: info.max_tx_queues,
            max_rx_packet_octets: info.max_rx_pktlen,
            min_mtu: info.min_mtu,
            max_mtu: info.max_mtu,
            max_rx_descriptors: info.rx_desc_lim.nb_max,
            max_tx_descriptors: info.tx_desc_lim.nb_max,
            rss: rss_types(&info) != 0,
            rx_checksums: info.rx_offload_capa & RX_CHECKSUMS == RX_CHECKSUMS,
            tx_checksums: info.tx_offload_capa & TX_CHECKSUMS == TX_CHECKSUMS,
        })
    }

    #[must_use]
    pub fn id(&self) -> PortId {
        self.0.id
    }

    /// Its hardware address; zeros when the device has none.
    #[must_use]
    pub fn mac(&self) -> [u8; 6] {
        let _control = control::lock();
        let mut address = dpdk_sys::rte_ether_addr::default();
        // SAFETY: the port is open; the result is written by the call only.
        unsafe { dpdk_sys::rte_eth_macaddr_get(self.0.id.0, &mut address) };
        address.addr_bytes
    }

    /// Whether the link is up. Does not wait.
    #[must_use]
    pub fn link_up(&self) -> bool {
        let _control = control::lock();
        // SAFETY: the port is open.
        unsafe { dpdk_sys::shim_eth_link_up(self.0.id.0) == 1 }
    }

    /// What the device counted; zeros when it does not count.
    #[must_use]
    pub fn stats(&self) -> PortStats {
        let mut control = control::lock();
        let attachment = control.attachments.get_mut(&self.0.id.0);
        let missed = attachment.map_or(0, |attachment| attachment.missed.read());
        let mut stats = dpdk_sys::rte_eth_stats::default();
        // SAFETY: the port is open; the result is written by the call only.
        unsafe { dpdk_sys::rte_eth_stats_get(self.0.id.0, &mut stats) };
        PortStats {
            rx_packets: stats.ipackets,
            tx_packets: stats.opackets,
            rx_octets: stats.ibytes,
            tx_octets: stats.obytes,
            rx_missed: stats.imissed + missed,
            rx_errors: stats.ierrors,
            tx_errors: stats.oerrors,
            rx_no_mbuf: stats.rx_nombuf,
        }
    }

    #[must_use]
    pub fn driver(&self) -> &str {
        &self.0.driver
    }

    /// The MTU that DPDK has for the port, octets. Drivers differ in what they make of it.
    #[must_use]
    pub fn mtu(&self) -> Option<u16> {
        let _control = control::lock();
        let mut mtu = 0;
        // SAFETY: the port is open; the result is written by the call only.
        let result = unsafe { dpdk_sys::rte_eth_dev_get_mtu(self.0.id.0, &mut mtu) };
        (result == 0).then_some(mtu)
    }

    /// Whether the port fills in IPv4 header and UDP checksums when asked.
    #[must_use]
    pub fn offloads_tx_checksums(&self) -> bool {
        self.0.tx_checksums
    }

    /// Whether flows are spread over the receive queues.
    #[must_use]
    pub fn spreads_flows(&self) -> bool {
        self.0.rss
    }
}

/// A port from its first configuration on; shared by the handle and the queues.
#[derive(Debug)]
pub(crate) struct OpenPort {
    id: PortId,
    driver: String,
    tx_checksums: bool,
    rss: bool,
    /// The device's receive queues hold on to it until the port is closed.
    mempool: Mempool,
}

impl OpenPort {
    fn new(id: PortId, info: &rte_eth_dev_info, config: &PortConfig) -> Self {
        Self {
            id,
            driver: driver_name(info),
            tx_checksums: info.tx_offload_capa & TX_CHECKSUMS == TX_CHECKSUMS,
            rss: config.rss && config.rx_queues > 1 && rss_types(info) != 0,
            mempool: config.mempool.clone(),
        }
    }

    pub(crate) fn id(&self) -> u16 {
        self.id.0
    }

    pub(crate) fn mempool(&self) -> *mut rte_mempool {
        self.mempool.as_ptr()
    }

    pub(crate) fn tx_checksums(&self) -> bool {
        self.tx_checksums
    }

    /// Whether the driver delivers the very buffers that were sent.
    pub(crate) fn passes_buffers(&self) -> bool {
        self.driver == "net_ring"
    }

    fn check(&self, function: &'static str, result: i32) -> Result<i32, Error> {
        Error::check(
            function,
            format_args!("port {} ({})", self.id, self.driver),
            result,
        )
    }

    /// The caller holds the control lock.
    fn start(&mut self, info: &rte_eth_dev_info, config: &PortConfig) -> Result<(), Error> {
        let port = self.id.0;
        let conf = self.configuration(info, config);
        // SAFETY: the port exists and is not open; the configuration lives through the call.
        let result = unsafe {
            dpdk_sys::rte_eth_dev_configure(port, config.rx_queues, config.tx_queues, &conf)
        };
        self.check("rte_eth_dev_configure", result)?;
        self.set_mtu(config);
        self.set_up_queues(config)?;
        // SAFETY: configured, with all its queues set up.
        let result = unsafe { dpdk_sys::rte_eth_dev_start(port) };
        self.check("rte_eth_dev_start", result)?;
        // IPv6 asks for neighbours by multicast (RFC 2464, 7). Drivers without
        // the call receive it as it is, or have their interface told.
        // SAFETY: the port is started.
        unsafe { dpdk_sys::rte_eth_allmulticast_enable(port) };
        if config.promiscuous {
            // Drivers without the call receive everything as it is.
            // SAFETY: the port is started.
            unsafe { dpdk_sys::rte_eth_promiscuous_enable(port) };
        }
        // Drivers that cannot reset them count from their making.
        // SAFETY: the port is started.
        unsafe { dpdk_sys::rte_eth_stats_reset(port) };
        Ok(())
    }

    fn configuration(&self, info: &rte_eth_dev_info, config: &PortConfig) -> rte_eth_conf {
        let mut conf = rte_eth_conf::default();
        let mut rx_offloads = RX_CHECKSUMS;
        conf.rxmode.mq_mode = dpdk_sys::SHIM_MQ_RX_NONE;
        if self.rss {
            conf.rxmode.mq_mode = dpdk_sys::SHIM_MQ_RX_RSS;
            conf.rx_adv_conf.rss_conf.rss_hf = rss_types(info);
            rx_offloads |= dpdk_sys::SHIM_RX_OFFLOAD_RSS_HASH;
        }
        // Without it many drivers refuse buffers that are smaller than a frame.
        let room = u32::from(config.mempool.data_room().saturating_sub(HEADROOM_OCTETS));
        if u32::from(config.mtu.unwrap_or(1500)) + FRAME_OVERHEAD_OCTETS > room {
            rx_offloads |= dpdk_sys::SHIM_RX_OFFLOAD_SCATTER;
        }
        conf.rxmode.offloads = rx_offloads & info.rx_offload_capa;
        if self.tx_checksums {
            conf.txmode.offloads = TX_CHECKSUMS;
        }
        conf
    }

    fn set_mtu(&self, config: &PortConfig) {
        let Some(mtu) = config.mtu else { return };
        // That driver would change the interface's MTU, and believes in 1518 octets at most.
        if self.driver == "net_af_packet" {
            return;
        }
        // Many drivers cannot: then the caller's own MTU is what counts.
        // SAFETY: the port is configured.
        unsafe { dpdk_sys::rte_eth_dev_set_mtu(self.id.0, mtu) };
    }

    fn set_up_queues(&self, config: &PortConfig) -> Result<(), Error> {
        let port = self.id.0;
        let mut rx_descriptors = config.rx_descriptors;
        let mut tx_descriptors = config.tx_descriptors;
        // SAFETY: the port is configured; both numbers are adjusted in place.
        let result = unsafe {
            dpdk_sys::rte_eth_dev_adjust_nb_rx_tx_desc(
                port,
                &mut rx_descriptors,
                &mut tx_descriptors,
            )
        };
        self.check("rte_eth_dev_adjust_nb_rx_tx_desc", result)?;
        // SAFETY: the port is configured.
        let socket = unsafe { dpdk_sys::rte_eth_dev_socket_id(port) } as u32;
        for queue in 0..config.rx_queues {
            // SAFETY: the port has this queue; `self` keeps the pool until the port is closed.
            let result = unsafe {
                dpdk_sys::rte_eth_rx_queue_setup(
                    port,
                    queue,
                    rx_descriptors,
                    socket,
                    ptr::null(),
                    self.mempool(),
                )
            };
            self.check("rte_eth_rx_queue_setup", result)?;
        }
        for queue in 0..config.tx_queues {
            // SAFETY: the port has this queue.
            let result = unsafe {
                dpdk_sys::rte_eth_tx_queue_setup(port, queue, tx_descriptors, socket, ptr::null())
            };
            self.check("rte_eth_tx_queue_setup", result)?;
        }
        Ok(())
    }
}

impl Drop for OpenPort {
    fn drop(&mut self) {
        let port = self.id.0;
        let mut control = control::lock();
        // SAFETY: handle and queues are gone, so nobody sends or receives.
        unsafe {
            dpdk_sys::rte_eth_dev_stop(port);
            dpdk_sys::rte_eth_dev_close(port);
        }
        control.open_ports.remove(&port);
        if let Some(attachment) = control.attachments.remove(&port)
            && let Ok(device) = c_name(&attachment.device)
        {
            // SAFETY: the name lives through the call; the device's port is closed.
            unsafe { dpdk_sys::rte_vdev_uninit(device.as_ptr()) };
        }
        control.reclaim();
    }
}

/// Some drivers take the headroom off without looking, and net_null writes its
/// frames without looking.
fn check_data_room(mempool: &Mempool, blind_octets: u16) -> Result<(), Error> {
    let octets = mempool.data_room();
    let least = HEADROOM_OCTETS.saturating_add(LEAST_FRAME_OCTETS.max(blind_octets));
    if octets < least {
        return Err(Error::DataRoomTooSmall { octets, least });
    }
    Ok(())
}

fn check_queues(info: &rte_eth_dev_info, config: &PortConfig) -> Result<(), Error> {
    let counts = [
        ("receive", config.rx_queues, info.max_rx_queues),
        ("transmit", config.tx_queues, info.max_tx_queues),
    ];
    for (direction, asked, most) in counts {
        if asked > most {
            return Err(Error::TooManyQueues {
                direction,
                asked,
                most,
            });
        }
    }
    Ok(())
}

/// The caller holds the control lock.
fn device_info(id: PortId) -> Result<rte_eth_dev_info, Error> {
    // SAFETY: takes any number.
    if unsafe { dpdk_sys::rte_eth_dev_is_valid_port(id.0) } == 0 {
        return Err(Error::NoSuchPort(id.to_string()));
    }
    let mut info = rte_eth_dev_info::default();
    // SAFETY: the port exists; the result is written by the call only.
    let result = unsafe { dpdk_sys::rte_eth_dev_info_get(id.0, &mut info) };
    Error::check("rte_eth_dev_info_get", format_args!("port {id}"), result)?;
    Ok(info)
}

fn driver_name(info: &rte_eth_dev_info) -> String {
    if info.driver_name.is_null() {
        return String::new();
    }
    // SAFETY: a string that the driver, which is never unloaded, owns.
    let name = unsafe { CStr::from_ptr(info.driver_name) };
    name.to_string_lossy().into_owned()
}

fn rss_types(info: &rte_eth_dev_info) -> u64 {
    info.flow_type_rss_offloads & dpdk_sys::SHIM_RSS_IP_UDP_TCP
}

#[cfg(test)]
mod tests;
