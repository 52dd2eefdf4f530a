//! Addresses by which the kernel uses an interface itself.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv6Addr};

use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;

/// The calling thread's network namespace's IPv6 addresses, a line each: address, interface's index, prefix length, scope,
/// flags, all in hexadecimal, and the interface's name (`if6_seq_show` in Linux's `net/ipv6/addrconf.c`).
const IPV6_ADDRESSES: &str = "/proc/thread-self/net/if_inet6";
/// Of `linux/if_addr.h`: it has no end.
const IFA_F_PERMANENT: u8 = 0x80;
/// What an interface identifier is appended to (RFC 4862, 5.5.3).
const AUTOCONFIGURED_BITS: u8 = 64;

/// The addresses that somebody gave the interface. Those that the kernel makes of its own accord are not among them, and
/// go with its IPv6: link-local ones, which every interface that is up has, and those made of what routers advertise,
/// which every line with a router has before anybody claims it.
pub(crate) fn kernel_addresses(interface: &str) -> Result<Vec<IpAddr>, Errno> {
    let all = getifaddrs()?;
    // Read last: what the kernel makes in between is not in the other list.
    let autoconfigured = autoconfigured_addresses(interface)?;
    let mut addresses = Vec::new();
    for entry in all.filter(|entry| entry.interface_name == interface) {
        let Some(address) = entry.address else {
            continue;
        };
        if let Some(ipv4) = address.as_sockaddr_in() {
            addresses.push(ipv4.ip().into());
        } else if let Some(ipv6) = address.as_sockaddr_in6()
            && !ipv6.ip().is_unicast_link_local()
            && !autoconfigured.contains(&ipv6.ip())
        {
            addresses.push(ipv6.ip().into());
        }
    }
    Ok(addresses)
}

fn autoconfigured_addresses(interface: &str) -> Result<Vec<Ipv6Addr>, Errno> {
    match fs::read_to_string(IPV6_ADDRESSES) {
        Ok(shown) => Ok(shown
            .lines()
            .filter_map(|line| autoconfigured(line, interface))
            .collect()),
        // A kernel without IPv6.
        Err(problem) if problem.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(problem) => Err(problem.raw_os_error().map_or(Errno::EIO, Errno::from_raw)),
    }
}

/// The line's address, if it is one of the interface's that ends unless a router goes on advertising its network.
fn autoconfigured(line: &str, interface: &str) -> Option<Ipv6Addr> {
    let mut words = line.split_ascii_whitespace();
    let address = u128::from_str_radix(words.next()?, 16).ok()?;
    let mut octets = words.by_ref().skip(1);
    let mut octet = || u8::from_str_radix(octets.next()?, 16).ok();
    let (length, _scope, flags) = (octet()?, octet()?, octet()?);
    let is_it = words.next() == Some(interface)
        && length == AUTOCONFIGURED_BITS
        && flags & IFA_F_PERMANENT == 0;
    is_it.then(|| address.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_shows_is_understood() {
        let line = |length, flags, name| {
            format!("20010db8000100000000000000000005 0c {length} 00 {flags}     {name}")
        };
        let address = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 5);
        let found = |line: &str| autoconfigured(line, "eth1");
        assert_eq!(found(&line("40", "00", "eth1")), Some(address));
        // Also a temporary one (RFC 8981), and one that is tentative or no longer preferred.
        assert_eq!(found(&line("40", "61", "eth1")), Some(address));
        assert_eq!(found(&line("40", "80", "eth1")), None);
        assert_eq!(found(&line("80", "00", "eth1")), None);
        assert_eq!(found(&line("40", "00", "eth10")), None);
        for other in ["", "nonsense", "2001:db8::1 0c 40 00 00 eth1", "1 2 40 00"] {
            assert_eq!(found(other), None, "{other}");
        }
    }
}
