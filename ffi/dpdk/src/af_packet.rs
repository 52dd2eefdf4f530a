//! Arguments for DPDK's driver of Linux interfaces, which cuts long frames
//! silently unless its frame slots are large enough.

use std::ffi::c_int;
use std::fs;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

use crate::error::Error;
use crate::mempool::HEADROOM_OCTETS;

/// Octets of one frame slot in the ring shared with the kernel.
const FRAME_OCTETS: u16 = 16384;
/// Octets of one block, which holds whole slots.
const BLOCK_OCTETS: u32 = 65536;
/// Slots per ring: 8 MiB, for each direction of each queue.
const FRAMES: u32 = 512;
/// What a slot holds besides the frame: the kernel's header, the address and its
/// alignment, a VLAN tag that the driver puts back, rounded up generously.
const SLOT_OVERHEAD_OCTETS: u16 = 128;
const ETHERNET_HEADER_OCTETS: u16 = 14;

/// What a socket may have under way, octets: more than twice what all slots
/// of a ring hold, with the kernel's own costs. A limit, not memory taken.
const SEND_BUFFER_OCTETS: c_int = 32 << 20;

/// How to make a port of a Linux interface.
///
/// What to know about the driver (22.11 to 24.11):
/// - It joins a fanout group that reassembles IPv4 fragments, even with one queue:
///   fragments arrive as one frame, which is cut at [`max_frame_octets`](Self::max_frame_octets).
///   A frame shorter than its IP header says was cut.
/// - It frees frames longer than that on sending, without a word.
/// - It says that frames are at most 1518 octets long, which is not true; DPDK's
///   MTU is therefore left alone by [`Port::open`](crate::Port::open).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AfPacket {
    /// Arguments for [`Eal::attach_vdev`](crate::Eal::attach_vdev) of a device `net_af_packetN`.
    pub args: String,
    /// What the buffers of the port's pool must at least hold, headroom included.
    pub data_room: u16,
    /// The longest frame that fits, octets without FCS.
    pub max_frame_octets: u16,
}

/// Arguments for a port of `interface` with this many queues each way.
///
/// # Errors
/// When frames of the MTU do not fit, or the name cannot be an interface's.
pub fn af_packet(interface: &str, queues: u16, mtu: u16) -> Result<AfPacket, Error> {
    // The kernel's own rules (IFNAMSIZ, no white space or slash), and the argument list's.
    let strange = |c: char| c.is_whitespace() || c.is_control() || "/,=[]".contains(c);
    if interface.is_empty() || interface.len() > 15 || interface.contains(strange) {
        return Err(Error::Name(interface.to_owned()));
    }
    let max_frame_octets = FRAME_OCTETS - SLOT_OVERHEAD_OCTETS;
    let most = max_frame_octets - ETHERNET_HEADER_OCTETS;
    if mtu > most {
        return Err(Error::MtuTooLarge { mtu, most });
    }
    Ok(AfPacket {
        args: format!(
            "iface={interface},qpairs={queues},blocksz={BLOCK_OCTETS},framesz={FRAME_OCTETS},\
             framecnt={FRAMES},qdisc_bypass=1"
        ),
        data_room: FRAME_OCTETS + HEADROOM_OCTETS,
        max_frame_octets,
    })
}

/// The sockets of AF_PACKET that this process has.
pub(crate) fn packet_sockets() -> Vec<RawFd> {
    let Ok(descriptors) = fs::read_dir(Path::new("/proc/self/fd")) else {
        return Vec::new();
    };
    descriptors
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|&socket| option(socket, libc::SO_DOMAIN) == Some(libc::AF_PACKET))
        .collect()
}

/// Lets the driver's sockets have a whole ring under way. With the kernel's
/// default (208 KiB, less than a hundred frames) an interface that sends more
/// slowly than it is given frames leaves the last of them lying in the ring
/// until the next ones come, and a full ring makes the driver wait for it
/// in poll(2), and with it the worker and all its other ports.
pub(crate) fn widen_send_buffers(sockets: &[RawFd]) {
    for &socket in sockets {
        // The first needs CAP_NET_ADMIN, the second goes as far as the system lets it.
        if !set_option(socket, libc::SO_SNDBUFFORCE, SEND_BUFFER_OCTETS) {
            set_option(socket, libc::SO_SNDBUF, SEND_BUFFER_OCTETS);
        }
    }
}

/// Frames that the kernel dropped because a ring was full. Drivers before DPDK
/// 24.11 do not ask.
#[derive(Default)]
pub(crate) struct Missed {
    /// The driver's sockets, by descriptors of our own.
    sockets: Vec<OwnedFd>,
    count: u64,
}

impl Missed {
    /// Of these sockets, which are open as long as the caller holds the lock of
    /// the control functions.
    pub(crate) fn of(sockets: &[RawFd]) -> Self {
        let own = |&socket: &RawFd| {
            // SAFETY: it was open when it was found, and only the driver, which
            // runs under the lock, closes it.
            unsafe { BorrowedFd::borrow_raw(socket) }.try_clone_to_owned()
        };
        Self {
            // Without a descriptor of ours its drops stay uncounted.
            sockets: sockets.iter().flat_map(own).collect(),
            count: 0,
        }
    }

    /// All so far.
    pub(crate) fn read(&mut self) -> u64 {
        // The kernel begins anew whenever it is asked.
        let new = self.sockets.iter().map(drops);
        self.count += new.sum::<u64>();
        self.count
    }
}

/// Frames dropped since this was last asked.
fn drops(socket: &OwnedFd) -> u64 {
    let mut statistics = libc::tpacket_stats {
        tp_packets: 0,
        tp_drops: 0,
    };
    let mut octets = size_of::<libc::tpacket_stats>() as libc::socklen_t;
    // SAFETY: structure and length live through the call, which writes no more than said.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            (&raw mut statistics).cast(),
            &raw mut octets,
        )
    };
    if result == 0 {
        statistics.tp_drops.into()
    } else {
        0
    }
}

fn option(socket: RawFd, name: c_int) -> Option<c_int> {
    let mut value: c_int = 0;
    let mut octets = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: value and length live through the call, which writes no more than said.
    let result = unsafe {
        libc::getsockopt(
            socket,
            libc::SOL_SOCKET,
            name,
            (&raw mut value).cast(),
            &raw mut octets,
        )
    };
    (result == 0).then_some(value)
}

fn set_option(socket: RawFd, name: c_int, value: c_int) -> bool {
    // SAFETY: the value lives through the call, and its length is right.
    let result = unsafe {
        libc::setsockopt(
            socket,
            libc::SOL_SOCKET,
            name,
            (&raw const value).cast(),
            size_of::<c_int>() as libc::socklen_t,
        )
    };
    result == 0
}

#[cfg(test)]
mod tests;
