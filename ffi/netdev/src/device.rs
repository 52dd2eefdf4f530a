//! The kernel's requests about one interface (netdevice(7), ethtool).

use std::mem::size_of;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc::{self, c_char, c_short, c_ulong, ifreq};
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

/// Numbers of `linux/ethtool.h`.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub(crate) enum EthtoolCommand {
    GetFlags = 0x25,
    SetFlags = 0x26,
    GetGro = 0x2b,
    SetGro = 0x2c,
}

/// `ETH_FLAG_LRO`: frames are merged by the device.
pub(crate) const FLAG_LRO: u32 = 1 << 15;

/// `struct ethtool_value`.
#[repr(C)]
struct EthtoolValue {
    command: u32,
    data: u32,
}

/// An interface, and a socket in its network namespace to talk about it.
#[derive(Debug)]
pub(crate) struct Device {
    name: [c_char; libc::IFNAMSIZ],
    socket: OwnedFd,
}

impl Device {
    /// # Errors
    /// `ENODEV` when the name cannot be an interface's.
    pub(crate) fn new(interface: &str) -> Result<Self, Errno> {
        let mut name = [0; libc::IFNAMSIZ];
        // The last octet stays 0.
        if interface.is_empty()
            || interface.len() >= name.len()
            || interface.contains(['/', '\0'])
            || interface == "."
            || interface == ".."
        {
            return Err(Errno::ENODEV);
        }
        for (to, from) in name.iter_mut().zip(interface.bytes()) {
            *to = from as c_char;
        }
        let kind = SockType::Datagram;
        let socket = socket(AddressFamily::Inet, kind, SockFlag::SOCK_CLOEXEC, None)?;
        Ok(Self { name, socket })
    }

    pub(crate) fn mtu(&self) -> Result<u16, Errno> {
        let mut request = self.request();
        self.ioctl(libc::SIOCGIFMTU, &mut request)?;
        // SAFETY: the kernel answers this request with the MTU.
        let mtu = unsafe { request.ifr_ifru.ifru_mtu };
        Ok(u16::try_from(mtu).unwrap_or(u16::MAX))
    }

    pub(crate) fn mac(&self) -> Result<[u8; 6], Errno> {
        let mut request = self.request();
        self.ioctl(libc::SIOCGIFHWADDR, &mut request)?;
        // SAFETY: the kernel answers this request with the hardware address.
        let address = unsafe { request.ifr_ifru.ifru_hwaddr };
        Ok(std::array::from_fn(|index| address.sa_data[index] as u8))
    }

    /// What its frames are, by the numbers of `linux/if_arp.h`.
    pub(crate) fn hardware_type(&self) -> Result<u16, Errno> {
        let mut request = self.request();
        self.ioctl(libc::SIOCGIFHWADDR, &mut request)?;
        // SAFETY: the kernel answers this request with the hardware address.
        Ok(unsafe { request.ifr_ifru.ifru_hwaddr }.sa_family)
    }

    pub(crate) fn is_up(&self) -> Result<bool, Errno> {
        Ok(self.flags()? & libc::IFF_UP as c_short != 0)
    }

    /// Whether it is up and has a carrier.
    pub(crate) fn is_running(&self) -> Result<bool, Errno> {
        let both = (libc::IFF_UP | libc::IFF_RUNNING) as c_short;
        Ok(self.flags()? & both == both)
    }

    pub(crate) fn set_up(&self, up: bool) -> Result<(), Errno> {
        let flags = self.flags()?;
        let mut request = self.request();
        request.ifr_ifru.ifru_flags = match up {
            true => flags | libc::IFF_UP as c_short,
            false => flags & !(libc::IFF_UP as c_short),
        };
        self.ioctl(libc::SIOCSIFFLAGS, &mut request)
    }

    /// Lets all multicast frames in for as long as the socket that it gives is
    /// open. No frame is received by the socket itself.
    pub(crate) fn hear_multicast(&self) -> Result<OwnedFd, Errno> {
        self.hear(libc::PACKET_MR_ALLMULTI)
    }

    /// The same for all frames.
    pub(crate) fn hear_everything(&self) -> Result<OwnedFd, Errno> {
        self.hear(libc::PACKET_MR_PROMISC)
    }

    fn hear(&self, membership: libc::c_int) -> Result<OwnedFd, Errno> {
        let index = if_nametoindex(self.text().as_str())?;
        let kind = SockType::Datagram;
        let socket = socket(AddressFamily::Packet, kind, SockFlag::SOCK_CLOEXEC, None)?;
        let request = libc::packet_mreq {
            mr_ifindex: libc::c_int::try_from(index).map_err(|_| Errno::ENODEV)?,
            mr_type: membership as u16,
            mr_alen: 0,
            mr_address: [0; 8],
        };
        // SAFETY: the option takes this structure, of this size, and copies it.
        let result = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_ADD_MEMBERSHIP,
                (&raw const request).cast(),
                size_of::<libc::packet_mreq>() as libc::socklen_t,
            )
        };
        Errno::result(result).map(|_| socket)
    }

    fn text(&self) -> String {
        let octets = self.name.iter().take_while(|&&octet| octet != 0);
        let octets = octets.map(|&octet| octet as u8).collect();
        // It was made of a string.
        String::from_utf8(octets).unwrap_or_default()
    }

    /// Carries out an ethtool command with one number; gives the number in its answer.
    pub(crate) fn ethtool(&self, command: EthtoolCommand, data: u32) -> Result<u32, Errno> {
        let mut value = EthtoolValue {
            command: command as u32,
            data,
        };
        let mut request = self.request();
        request.ifr_ifru.ifru_data = (&raw mut value).cast();
        self.ioctl(libc::SIOCETHTOOL, &mut request)?;
        Ok(value.data)
    }

    fn flags(&self) -> Result<c_short, Errno> {
        let mut request = self.request();
        self.ioctl(libc::SIOCGIFFLAGS, &mut request)?;
        // SAFETY: the kernel answers this request with the flags.
        Ok(unsafe { request.ifr_ifru.ifru_flags })
    }

    fn request(&self) -> ifreq {
        // SAFETY: the structure is numbers and a pointer, for which zeros are a value.
        let mut request: ifreq = unsafe { std::mem::zeroed() };
        request.ifr_name = self.name;
        request
    }

    fn ioctl(&self, code: c_ulong, request: &mut ifreq) -> Result<(), Errno> {
        // SAFETY: all requests used here take an `ifreq`; SIOCETHTOOL follows the
        // pointer in it, to a value that `ethtool` keeps until the call is over.
        let result = unsafe { libc::ioctl(self.socket.as_raw_fd(), code as _, request) };
        Errno::result(result).map(drop)
    }
}
