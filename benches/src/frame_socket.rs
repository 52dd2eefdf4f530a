//! A packet socket (AF_PACKET) on one Linux interface: whole Ethernet frames in and out, in batches.
//!
//! It receives what arrives on the interface; what leaves by it, whoever sent that, is not shown.
//! Untagged frames only: the kernel takes VLAN tags out of frames before a packet socket sees them.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::process::Command;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, MultiHeaders, SockFlag, SockProtocol,
    SockType, bind, recvmmsg, recvmsg, sendmmsg, setsockopt, socket, sockopt,
};

/// Frames moved by one system call.
pub const BATCH: usize = 64;

/// The largest frame carried: 9216 octets of payload behind an Ethernet header.
pub const MAX_FRAME_OCTETS: usize = 9216 + 14;

/// What the kernel may queue for us while we are not scheduled: 64 MiB is several seconds at 20 000 frames a second.
const SOCKET_BUFFER_OCTETS: usize = 64 << 20;

/// A packet socket bound to one interface.
pub struct FrameSocket {
    fd: OwnedFd,
    interface: String,
    buffers: Vec<Vec<u8>>,
    receive_headers: MultiHeaders<()>,
    send_headers: MultiHeaders<()>,
    restore_promiscuous: bool,
    kernel_drops: u64,
    oversized: u64,
}

impl FrameSocket {
    /// Opens a socket on `interface` and makes the interface promiscuous (given back when dropped).
    ///
    /// # Errors
    /// `ENODEV` when there is no such interface, `EPERM` without CAP_NET_RAW, and what the system calls return.
    pub fn open(interface: &str) -> Result<Self, Errno> {
        let address = link_address(interface)?;
        let fd = socket(
            AddressFamily::Packet,
            SockType::Raw,
            SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC,
            SockProtocol::EthAll,
        )?;
        setsockopt(&fd, sockopt::RcvBufForce, &SOCKET_BUFFER_OCTETS)?;
        setsockopt(&fd, sockopt::SndBufForce, &SOCKET_BUFFER_OCTETS)?;
        setsockopt(&fd, sockopt::RxqOvfl, &1)?;
        netdev::ignore_outgoing(&fd)?;
        bind(fd.as_raw_fd(), &address)?;
        let mut socket = Self {
            fd,
            interface: interface.to_owned(),
            buffers: vec![vec![0; MAX_FRAME_OCTETS]; BATCH],
            receive_headers: MultiHeaders::preallocate(BATCH, None),
            send_headers: MultiHeaders::preallocate(BATCH, None),
            restore_promiscuous: set_promiscuous(interface),
            kernel_drops: 0,
            oversized: 0,
        };
        // Between socket() and bind() it heard every interface of the namespace.
        while socket.receive(&mut |_| ())? > 0 {}
        Ok(socket)
    }

    /// Passes the frames waiting, at most `BATCH + 1`, to `take` and says how many there were.
    ///
    /// # Errors
    /// `ENETDOWN` once when the interface went down; it works again when the interface is back.
    pub fn receive(&mut self, take: &mut dyn FnMut(&[u8])) -> Result<usize, Errno> {
        // The first frame goes alone, since only recvmsg gives the drop counter reliably: recvmmsg keeps the shortened
        // length of the control buffer from call to call.
        if !self.receive_one(take)? {
            return Ok(0);
        }
        let Self {
            fd,
            buffers,
            receive_headers,
            oversized,
            ..
        } = self;
        let mut slices: Vec<_> = buffers
            .iter_mut()
            .map(|buffer| [IoSliceMut::new(buffer)])
            .collect();
        let received = recvmmsg(
            fd.as_raw_fd(),
            receive_headers,
            slices.iter_mut(),
            MsgFlags::MSG_DONTWAIT,
            None,
        );
        let messages = match received {
            Ok(messages) => messages,
            Err(Errno::EAGAIN) => return Ok(1),
            Err(error) => return Err(error),
        };
        let mut count = 1;
        for message in messages {
            count += 1;
            if message.flags.contains(MsgFlags::MSG_TRUNC) {
                *oversized += 1;
            } else {
                message.iovs().for_each(&mut *take);
            }
        }
        Ok(count)
    }

    fn receive_one(&mut self, take: &mut dyn FnMut(&[u8])) -> Result<bool, Errno> {
        let mut control = cmsg_space!(u32);
        let mut slice = [IoSliceMut::new(&mut self.buffers[0])];
        let received = recvmsg::<()>(
            self.fd.as_raw_fd(),
            &mut slice,
            Some(&mut control),
            MsgFlags::MSG_DONTWAIT,
        );
        let message = match received {
            Ok(message) => message,
            Err(Errno::EAGAIN) => return Ok(false),
            Err(error) => return Err(error),
        };
        for extra in message.cmsgs()? {
            if let ControlMessageOwned::RxqOvfl(drops) = extra {
                self.kernel_drops = u64::from(drops);
            }
        }
        if message.flags.contains(MsgFlags::MSG_TRUNC) {
            self.oversized += 1;
        } else {
            let octets = message.bytes;
            take(&self.buffers[0][..octets]);
        }
        Ok(true)
    }

    /// Sends from the front of `frames`, at most [`BATCH`], and says how many went.
    ///
    /// # Errors
    /// `EAGAIN` when the socket's buffer is full, `ENETDOWN` while the interface is down; nothing was sent then.
    pub fn send(&mut self, frames: &[Vec<u8>]) -> Result<usize, Errno> {
        let batch = &frames[..frames.len().min(BATCH)];
        let slices: Vec<_> = batch.iter().map(|frame| [IoSlice::new(frame)]).collect();
        let nowhere: [Option<()>; BATCH] = [None; BATCH];
        let sent = sendmmsg(
            self.fd.as_raw_fd(),
            &mut self.send_headers,
            &slices,
            &nowhere[..batch.len()],
            [],
            MsgFlags::MSG_DONTWAIT,
        )?;
        Ok(sent.count())
    }

    pub fn interface(&self) -> &str {
        &self.interface
    }

    /// Frames the kernel dropped since this socket's buffer was full, as known when the newest frame was queued.
    pub fn kernel_drops(&self) -> u64 {
        self.kernel_drops
    }

    /// Frames dropped here since they were longer than [`MAX_FRAME_OCTETS`].
    pub fn oversized(&self) -> u64 {
        self.oversized
    }
}

impl AsFd for FrameSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for FrameSocket {
    fn drop(&mut self) {
        if self.restore_promiscuous {
            ip_link(&["set", "dev", &self.interface, "promisc", "off"]);
        }
    }
}

/// The interface's packet-socket address. There is no safe way to build one, but the kernel hands them out.
fn link_address(interface: &str) -> Result<LinkAddr, Errno> {
    getifaddrs()?
        .filter(|entry| entry.interface_name == interface)
        .find_map(|entry| entry.address?.as_link_addr().copied())
        .ok_or(Errno::ENODEV)
}

/// Says whether this changed anything. A veth hears everything anyway; a real NIC without it would hear little.
fn set_promiscuous(interface: &str) -> bool {
    let flags = std::fs::read_to_string(format!("/sys/class/net/{interface}/flags"));
    let is_set = flags
        .ok()
        .and_then(|flags| u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16).ok())
        .is_some_and(|flags| flags & libc::IFF_PROMISC as u32 != 0);
    !is_set && ip_link(&["set", "dev", interface, "promisc", "on"])
}

fn ip_link(arguments: &[&str]) -> bool {
    Command::new("ip")
        .arg("link")
        .args(arguments)
        .status()
        .is_ok_and(|status| status.success())
}
