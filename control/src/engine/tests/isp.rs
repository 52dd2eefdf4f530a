//! An ISP that gives a site its address by DHCP (RFC 2131), with one for each line.

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};

use dataplane::command::{InterfaceId, PortId, TableId};
use dataplane::event::Event;
use dataplane::headers::{ipv4, udp};
use dhcproto::v4::{DhcpOption, Flags, Message, MessageType, Opcode, OptionCode};
use dhcproto::{Decodable, Decoder, Encodable};

use super::world::World;

pub(super) const DHCP_SERVER: u16 = 67;
const DHCP_CLIENT: u16 = 68;
const ETHERNET_OCTETS: usize = 14;

pub(super) struct Isp {
    /// What the site gets; nobody answers when there is none.
    pub(super) address: Option<Ipv4Addr>,
    pub(super) gateway: Ipv4Addr,
    pub(super) lease_s: u32,
    /// Option 26.
    pub(super) mtu: Option<u16>,
    /// Requests that were heard.
    pub(super) requests: u32,
}

impl Isp {
    /// Of a line that is counted from 1.
    pub(super) fn new(line: u8, host: u8) -> Self {
        Self {
            address: Some(Ipv4Addr::new(10, line, 0, host)),
            gateway: Ipv4Addr::new(10, line, 0, 254),
            lease_s: 600,
            mtu: None,
            requests: 0,
        }
    }

    /// Answers a DHCP message, and says whether it lends the address by that.
    fn answer(&mut self, packet: &[u8]) -> Option<(Message, bool)> {
        let header = ipv4::parse(packet).ok()?;
        let udp = udp::parse(&header, packet).ok()?;
        let asked = Message::decode(&mut Decoder::new(&packet[udp.payload_range])).ok()?;
        self.requests += 1;
        let address = self.address?;
        let wanted = match asked.opts().get(OptionCode::RequestedIpAddress) {
            Some(DhcpOption::RequestedIpAddress(wanted)) => *wanted,
            _ => asked.ciaddr(),
        };
        let kind = match asked.opts().msg_type()? {
            MessageType::Discover => MessageType::Offer,
            MessageType::Request if wanted == address => MessageType::Ack,
            MessageType::Request => MessageType::Nak,
            _ => return None,
        };
        let none = Ipv4Addr::UNSPECIFIED;
        let yours = if kind == MessageType::Nak {
            none
        } else {
            address
        };
        let hardware = asked.chaddr();
        let mut reply = Message::new_with_id(asked.xid(), none, yours, none, none, hardware);
        reply.set_opcode(Opcode::BootReply);
        reply.set_flags(Flags::default().set_broadcast());
        let options = reply.opts_mut();
        options.insert(DhcpOption::MessageType(kind));
        options.insert(DhcpOption::ServerIdentifier(self.gateway));
        if kind != MessageType::Nak {
            options.insert(DhcpOption::SubnetMask(Ipv4Addr::new(255, 255, 255, 0)));
            options.insert(DhcpOption::Router(vec![self.gateway]));
            options.insert(DhcpOption::AddressLeaseTime(self.lease_s));
            if let Some(mtu) = self.mtu {
                options.insert(DhcpOption::InterfaceMtu(mtu));
            }
        }
        Some((reply, kind == MessageType::Ack))
    }
}

impl World {
    /// Has a site ask for the addresses of its lines, which are on the ports from 1
    /// on. To be called before it is started.
    pub(super) fn ask_isps(&mut self, site: usize) {
        for (place, interface) in self.sites[site]
            .config
            .interfaces
            .iter_mut()
            .enumerate()
            .skip(1)
        {
            for own in interface.addresses.drain(..) {
                let IpAddr::V4(address) = own.address else {
                    panic!("only IPv4 is given");
                };
                let [_, line, _, host] = address.octets();
                let port = PortId(u16::try_from(place).expect("few interfaces"));
                self.site_of.remove(&own.address);
                self.isps.insert((site, port), Isp::new(line, host));
            }
            interface.asked.dhcp = Some(crate::addressing::DhcpSettings::default());
        }
    }

    /// One of a site's interfaces has other addresses from one moment to the next,
    /// whoever gave them: the place of those that stand in the configuration. Says
    /// whether anybody was there to be told.
    pub(super) fn readdress(
        &mut self,
        site: usize,
        place: usize,
        other: impl Fn(IpAddr) -> IpAddr,
    ) -> bool {
        let now = self.clock(site);
        let of = &mut self.sites[site];
        let (Some(engine), None) = (&mut of.engine, &of.asleep) else {
            return false;
        };
        let addresses = &mut of.config.interfaces[place].addresses;
        for own in &mut *addresses {
            self.site_of.remove(&own.address);
            own.address = other(own.address);
            self.site_of.insert(own.address, site);
        }
        engine.config.interfaces[place]
            .addresses
            .clone_from(addresses);
        engine.refresh_interface(now, place);
        self.carry_out(site);
        true
    }

    pub(super) fn set_link(&mut self, site: usize, port: PortId, up: bool) {
        let now = self.clock(site);
        self.engine_mut(site).handle_port_link(now, port, up);
        self.carry_out(site);
    }

    /// The ISP gives the site another address, and notices nothing of the one before
    /// any more; the modem's restart has the site ask.
    pub(super) fn renumber(&mut self, site: usize, port: PortId, address: Ipv4Addr) {
        let isp = self.isps.get_mut(&(site, port)).expect("it has one");
        if let Some(before) = isp.address.replace(address) {
            self.site_of.remove(&before.into());
        }
        for up in [false, true] {
            self.set_link(site, port, up);
        }
    }

    /// A frame of a site that may be for its ISP's DHCP server.
    pub(super) fn ask_isp(&mut self, site: usize, port: PortId, frame: &[u8]) {
        if frame.get(12..14) == Some(&[0x08, 0x00]) {
            self.ask(site, port, &frame[ETHERNET_OCTETS..], None);
        }
    }

    /// The same of a packet to one server.
    pub(super) fn ask_server(&mut self, site: usize, server: IpAddr, packet: &[u8]) {
        let mut isps = self.isps.iter();
        let of = isps.find(|&(&(of, _), isp)| of == site && server == isp.gateway);
        if let Some((&(_, port), _)) = of {
            self.ask(site, port, packet, Some(InterfaceId(port.0)));
        }
    }

    fn ask(&mut self, site: usize, port: PortId, packet: &[u8], of: Option<InterfaceId>) {
        let Some(isp) = self.isps.get_mut(&(site, port)) else {
            return;
        };
        let Some((reply, lends)) = isp.answer(packet) else {
            return;
        };
        let to = of.and(isp.address).unwrap_or(Ipv4Addr::BROADCAST);
        if let Some(address) = isp.address.filter(|_| lends) {
            self.site_of.insert(address.into(), site);
        }
        let source = SocketAddrV4::new(isp.gateway, DHCP_SERVER);
        let destination = SocketAddrV4::new(to, DHCP_CLIENT);
        let payload = reply.to_vec().expect("our own message");
        let packet = ipv4::udp_packet(source, destination, &payload, 1);
        let event = match of {
            Some(interface) => Event::Local {
                table: TableId(port.0.into()),
                interface: Some(interface),
                packet,
            },
            None => Event::Dhcp { port, packet },
        };
        let now = self.clock(site);
        self.engine_mut(site).handle_event(now, event);
    }
}
