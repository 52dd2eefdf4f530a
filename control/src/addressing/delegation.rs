//! Networks for LANs out of a delegated one (RFC 7084, 4.3, L-2).

use std::net::{IpAddr, Ipv6Addr};

use dataplane::command::Prefix;

/// Bits of a LAN's network (RFC 4291, 2.5.1).
const LAN_BITS: u8 = 64;

/// Our address, and its prefix length, in the LAN's network with this number
/// among those of a delegated one: with these last 64 bits. `None` when there is
/// no network of 64 bits with this number.
#[must_use]
pub fn delegated_address(
    delegated: Prefix,
    subnet: u64,
    interface_id: u64,
) -> Option<(Ipv6Addr, u8)> {
    let IpAddr::V6(network) = delegated.address else {
        return None;
    };
    let subnet_bits = LAN_BITS.checked_sub(delegated.length)?;
    // Of 64 bits every number fits.
    let fits = subnet.checked_shr(subnet_bits.into()).unwrap_or(0) == 0;
    let address = network.to_bits() | u128::from(subnet) << LAN_BITS | u128::from(interface_id);
    fits.then_some((Ipv6Addr::from_bits(address), LAN_BITS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(address: &str, length: u8) -> Prefix {
        Prefix::new(address.parse::<Ipv6Addr>().unwrap(), length)
    }

    #[test]
    fn lans_are_numbered_within_what_was_delegated() {
        let cases = [
            ("2001:db8:0:100::", 56, 0, 1, "2001:db8:0:100::1"),
            ("2001:db8:0:100::", 56, 255, 1, "2001:db8:0:1ff::1"),
            ("2001:db8::", 48, 0xffff, 5, "2001:db8:0:ffff::5"),
            ("2001:db8::", 32, 0xffff_ffff, 1, "2001:db8:ffff:ffff::1"),
            (
                "2001:db8:1:2::",
                64,
                0,
                u64::MAX,
                "2001:db8:1:2:ffff:ffff:ffff:ffff",
            ),
            ("2001:db8:1:2::", 63, 1, 1, "2001:db8:1:3::1"),
            ("2000::", 3, 7, 1, "2000:0:0:7::1"),
            ("::", 0, u64::MAX, 1, "ffff:ffff:ffff:ffff::1"),
        ];
        for (delegated, length, subnet, id, own) in cases {
            let address = delegated_address(prefix(delegated, length), subnet, id);
            let expected = (own.parse().unwrap(), 64);
            assert_eq!(address, Some(expected), "{delegated}/{length} {subnet}");
        }
    }

    #[test]
    fn what_does_not_fit_is_none() {
        let delegated = prefix("2001:db8:0:100::", 56);
        assert_eq!(delegated_address(delegated, 256, 1), None);
        assert_eq!(delegated_address(delegated, u64::MAX, 1), None);
        assert_eq!(delegated_address(prefix("2001:db8::", 64), 1, 1), None);
        assert_eq!(delegated_address(prefix("2001:db8::", 65), 0, 1), None);
        let ipv4 = Prefix::new(std::net::Ipv4Addr::new(10, 0, 0, 0), 8);
        assert_eq!(delegated_address(ipv4, 0, 1), None);
    }
}
