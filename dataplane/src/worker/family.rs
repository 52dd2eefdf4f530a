//! What differs between IPv4 and IPv6 on a packet's way through a worker. The
//! way itself is written once, and compiled for each.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::counters::Drop;
use crate::headers::ipv4::{self, Ipv4};
use crate::headers::ipv6::{self, Ipv6};
use crate::headers::udp::{self, Udp};
use crate::tables::Address;
use crate::transform::{may_be_syn, may_be_syn_ipv6};

/// Where a packet's upper layer starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Upper {
    pub(super) protocol: u8,
    pub(super) offset: usize,
    /// Of a fragment: the identification of its datagram.
    pub(super) fragment: Option<u32>,
}

/// A header of either version.
pub(super) trait Header: Copy {
    type Address: Address;
    /// Whether frames with packets of the usual form are recognised, and go by
    /// shortcuts when they are for us, too.
    const IS_RECOGNISED: bool;
    /// The UDP ports that DHCP by multicast or broadcast is to.
    const DHCP_GROUP: &'static [u16];
    /// The UDP port of a client, if servers write to it before it has an address.
    const DHCP_CLIENT: Option<u16>;

    /// The header of a packet that may not have been parsed: nothing is checked.
    fn known(packet: &[u8]) -> Option<Self>;
    /// Reads and checks the header at the start of a packet.
    fn parse(packet: &[u8]) -> Result<Self, Drop>;
    /// The same for the first octets of a packet whose end is elsewhere.
    fn parse_start(packet: &[u8]) -> Result<Self, Drop>;
    /// Header and payload.
    fn total_octets(&self) -> usize;
    fn source(&self) -> Self::Address;
    fn destination(&self) -> Self::Address;
    /// Time to live, or hop limit.
    fn hop_limit(&self) -> u8;
    /// Whether a router may cut the packet into fragments.
    fn may_be_fragmented(&self) -> bool;
    fn has_martian_source(&self) -> bool;
    /// Whether the source is the unspecified address.
    fn has_no_source(&self) -> bool;
    /// Why no packet is sent on to this destination, if so.
    fn bad_destination(&self) -> Option<Drop>;
    /// Whether the source means something on its link alone.
    fn has_link_local_source(&self) -> bool;
    fn has_link_local_destination(&self) -> bool;
    /// Takes one from the hop limit of a packet that was parsed.
    fn decrement_hop_limit(packet: &mut [u8]) -> bool;
    /// Where a checked packet goes, when nothing in it has to be looked at on the way.
    fn usual_destination(packet: &[u8]) -> Option<Self::Address>;
    /// Of a packet to us.
    fn upper(&self, packet: &[u8]) -> Result<Upper, Drop>;
    /// Reads the UDP header at `offset`. The checksum is looked at unless the
    /// port did so.
    fn udp(&self, offset: usize, packet: &[u8], checked_by_port: bool) -> Result<Udp, Drop>;
}

impl Header for Ipv4 {
    type Address = Ipv4Addr;
    const IS_RECOGNISED: bool = true;
    const DHCP_GROUP: &'static [u16] = &[udp::PORT_DHCP_SERVER, udp::PORT_DHCP_CLIENT];
    const DHCP_CLIENT: Option<u16> = Some(udp::PORT_DHCP_CLIENT);

    #[inline]
    fn known(packet: &[u8]) -> Option<Self> {
        ipv4::known(packet)
    }

    #[inline(always)]
    fn parse(packet: &[u8]) -> Result<Self, Drop> {
        ipv4::parse(packet)
    }

    #[inline]
    fn parse_start(packet: &[u8]) -> Result<Self, Drop> {
        ipv4::parse_start(packet)
    }

    #[inline]
    fn total_octets(&self) -> usize {
        self.total_octets
    }

    #[inline]
    fn source(&self) -> Ipv4Addr {
        self.source
    }

    #[inline]
    fn destination(&self) -> Ipv4Addr {
        self.destination
    }

    #[inline]
    fn hop_limit(&self) -> u8 {
        self.ttl
    }

    #[inline]
    fn may_be_fragmented(&self) -> bool {
        !self.dont_fragment
    }

    #[inline]
    fn has_martian_source(&self) -> bool {
        ipv4::is_martian_source(self.source)
    }

    fn has_no_source(&self) -> bool {
        self.source.is_unspecified()
    }

    #[inline]
    fn bad_destination(&self) -> Option<Drop> {
        if self.destination.is_multicast() || self.destination.is_broadcast() {
            Some(Drop::Multicast)
        } else if ipv4::is_martian_source(self.destination) {
            Some(Drop::MartianDestination)
        } else {
            None
        }
    }

    /// 169.254.0.0/16 is routed as any other network, as it always was.
    #[inline]
    fn has_link_local_source(&self) -> bool {
        false
    }

    #[inline]
    fn has_link_local_destination(&self) -> bool {
        false
    }

    #[inline]
    fn decrement_hop_limit(packet: &mut [u8]) -> bool {
        ipv4::decrement_ttl(packet)
    }

    #[inline(always)]
    fn usual_destination(packet: &[u8]) -> Option<Ipv4Addr> {
        let (first, destination) = ipv4::first_and_destination(packet)?;
        let usual = first == ipv4::FIRST_OCTET && !may_be_syn(packet);
        usual.then_some(destination)
    }

    #[inline]
    fn upper(&self, _packet: &[u8]) -> Result<Upper, Drop> {
        Ok(Upper {
            protocol: self.protocol,
            offset: self.header_octets,
            fragment: self.is_fragment().then_some(self.identification.into()),
        })
    }

    #[inline]
    fn udp(&self, _offset: usize, packet: &[u8], checked_by_port: bool) -> Result<Udp, Drop> {
        if checked_by_port {
            udp::parse_checked_by_port(self, packet)
        } else {
            udp::parse(self, packet)
        }
    }
}

impl Header for Ipv6 {
    type Address = Ipv6Addr;
    const IS_RECOGNISED: bool = false;
    const DHCP_GROUP: &'static [u16] = &[udp::PORT_DHCPV6_SERVER];
    // It has a link-local one.
    const DHCP_CLIENT: Option<u16> = None;

    #[inline]
    fn known(packet: &[u8]) -> Option<Self> {
        ipv6::known(packet)
    }

    #[inline(always)]
    fn parse(packet: &[u8]) -> Result<Self, Drop> {
        ipv6::parse(packet)
    }

    #[inline]
    fn parse_start(packet: &[u8]) -> Result<Self, Drop> {
        ipv6::parse_start(packet)
    }

    #[inline]
    fn total_octets(&self) -> usize {
        self.total_octets
    }

    #[inline]
    fn source(&self) -> Ipv6Addr {
        self.source
    }

    #[inline]
    fn destination(&self) -> Ipv6Addr {
        self.destination
    }

    #[inline]
    fn hop_limit(&self) -> u8 {
        self.hop_limit
    }

    #[inline]
    fn may_be_fragmented(&self) -> bool {
        false
    }

    #[inline]
    fn has_martian_source(&self) -> bool {
        ipv6::is_martian_source(self.source)
    }

    fn has_no_source(&self) -> bool {
        self.source.is_unspecified()
    }

    #[inline]
    fn bad_destination(&self) -> Option<Drop> {
        if self.destination.is_multicast() {
            Some(Drop::Multicast)
        } else if ipv6::is_martian_destination(self.destination) {
            Some(Drop::MartianDestination)
        } else {
            None
        }
    }

    #[inline]
    fn has_link_local_source(&self) -> bool {
        self.source.is_unicast_link_local()
    }

    #[inline]
    fn has_link_local_destination(&self) -> bool {
        self.destination.is_unicast_link_local()
    }

    #[inline]
    fn decrement_hop_limit(packet: &mut [u8]) -> bool {
        ipv6::decrement_hop_limit(packet)
    }

    #[inline]
    fn usual_destination(packet: &[u8]) -> Option<Ipv6Addr> {
        let header = ipv6::known(packet)?;
        let usual =
            packet[0] >> 4 == 6 && !header.has_link_local_source() && !may_be_syn_ipv6(packet);
        usual.then_some(header.destination)
    }

    fn upper(&self, packet: &[u8]) -> Result<Upper, Drop> {
        let upper = ipv6::upper_layer(self, packet)?;
        if upper.is_refused {
            return Err(Drop::BadIpv6);
        }
        let fragment = upper.fragment.filter(|_| upper.is_fragment());
        Ok(Upper {
            protocol: upper.protocol,
            offset: upper.offset,
            fragment: fragment.map(|fragment| fragment.identification),
        })
    }

    #[inline]
    fn udp(&self, offset: usize, packet: &[u8], checked_by_port: bool) -> Result<Udp, Drop> {
        if checked_by_port {
            udp::parse_over_ipv6_checked_by_port(self, offset, packet)
        } else {
            udp::parse_over_ipv6(self, offset, packet)
        }
    }
}
