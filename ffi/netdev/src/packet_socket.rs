//! What a packet socket may be told that no safe wrapper has (packet(7)).

use std::mem::size_of_val;
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;
use nix::libc::{self, c_int, socklen_t};

/// `PACKET_IGNORE_OUTGOING` of `linux/if_packet.h`.
const PACKET_IGNORE_OUTGOING: c_int = 23;

/// Keeps the socket from being shown what leaves by its interface: frames of
/// the kernel and of other packet sockets.
///
/// # Errors
/// What setsockopt(2) returns; `ENOPROTOOPT` before Linux 4.20, or when it is no packet socket.
pub fn ignore_outgoing(socket: &impl AsFd) -> Result<(), Errno> {
    let on: c_int = 1;
    // SAFETY: the option takes an int, of this size, and copies it.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_PACKET,
            PACKET_IGNORE_OUTGOING,
            (&raw const on).cast(),
            size_of_val(&on) as socklen_t,
        )
    };
    Errno::result(result).map(drop)
}
