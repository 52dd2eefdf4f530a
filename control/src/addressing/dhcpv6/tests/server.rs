//! A small server: it reads and writes by dhcproto, and can be told to misbehave.

use dhcproto::Encodable;
use dhcproto::v6::{
    DhcpOptions, IAAddr, IANA, IAPD, IAPrefix, Status as Code, StatusCode, UnknownOption,
};

use super::*;

pub(super) struct Server {
    pub(super) number: u8,
    pub(super) preference: Option<u8>,
    /// Of the network that it lends from.
    pub(super) network: u16,
    pub(super) t1_s: u32,
    pub(super) t2_s: u32,
    pub(super) preferred_s: u32,
    pub(super) valid_s: u32,
    pub(super) has_addresses: bool,
    pub(super) has_prefixes: bool,
    /// Whether it has lent us anything.
    pub(super) knows_us: bool,
    /// Whether what is asked for by Confirm is of its link.
    pub(super) is_silent: bool,
    /// What it says, and nothing else, of messages of this type.
    pub(super) says: Option<(MessageType, Code)>,
    pub(super) name_servers: Vec<Ipv6Addr>,
    pub(super) sol_max_rt_s: Option<u32>,
    /// Number of the host whose address it lends.
    pub(super) host: u16,
    pub(super) declined: Vec<Ipv6Addr>,
    pub(super) released: u32,
}

impl Server {
    pub(super) fn new(number: u8) -> Self {
        Self {
            number,
            preference: None,
            network: number.into(),
            t1_s: 0,
            t2_s: 0,
            preferred_s: 3000,
            valid_s: 6000,
            has_addresses: true,
            has_prefixes: true,
            knows_us: false,
            is_silent: false,
            says: None,
            name_servers: vec![Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x53)],
            sol_max_rt_s: None,
            host: 1,
            declined: Vec::new(),
            released: 0,
        }
    }

    pub(super) fn id(&self) -> Vec<u8> {
        vec![0, 3, 0, 1, 2, 0, 0, 0, 0xff, self.number]
    }

    pub(super) fn source(&self) -> Ipv6Addr {
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xff, self.number.into())
    }

    pub(super) fn address(&self) -> Ipv6Addr {
        Ipv6Addr::new(0x2001, 0xdb8, self.network, 0, 0, 0, 0, self.host)
    }

    /// A /56.
    pub(super) fn prefix(&self) -> Prefix {
        let address = Ipv6Addr::new(0x2001, 0xdb8, self.network, 0x100, 0, 0, 0, 0);
        Prefix::new(address, 56)
    }

    pub(super) fn packet(&self, message: &Message) -> Vec<u8> {
        let source = SocketAddrV6::new(self.source(), 547, 0, 0);
        let destination = SocketAddrV6::new(link_local(MAC), 546, 0, 0);
        udp_packet(source, destination, &message.to_vec().unwrap())
    }

    /// Answers a message, if it does.
    pub(super) fn answer(&mut self, _now: Duration, asked: &Message) -> Option<Vec<u8>> {
        self.reply(asked).map(|reply| self.packet(&reply))
    }

    /// RFC 8415, 18.3.
    pub(super) fn reply(&mut self, asked: &Message) -> Option<Message> {
        if self.is_silent || !self.is_asked(asked) {
            return None;
        }
        let kind = match asked.msg_type() {
            MessageType::Solicit => MessageType::Advertise,
            _ => MessageType::Reply,
        };
        let mut reply = Message::new_with_id(kind, asked.xid());
        let client_id = asked.opts().get(OptionCode::ClientId).unwrap().clone();
        reply.opts_mut().insert(client_id);
        reply.opts_mut().insert(DhcpOption::ServerId(self.id()));
        if let Some(preference) = self.preference {
            let preference = DhcpOption::Preference(preference);
            reply.opts_mut().insert(preference);
        }
        if let Some(sol_max_rt_s) = self.sol_max_rt_s {
            let octets = sol_max_rt_s.to_be_bytes().to_vec();
            let option = UnknownOption::new(OptionCode::SolMaxRt, octets);
            reply.opts_mut().insert(DhcpOption::Unknown(option));
        }
        match self.says {
            Some((kind, code)) if kind == asked.msg_type() => {
                reply.opts_mut().insert(status(code));
            }
            _ => self.fill(asked, &mut reply),
        }
        Some(reply)
    }

    fn is_asked(&self, asked: &Message) -> bool {
        match asked.opts().get(OptionCode::ServerId) {
            Some(DhcpOption::ServerId(id)) => *id == self.id(),
            _ => true,
        }
    }

    fn fill(&mut self, asked: &Message, reply: &mut Message) {
        let kind = asked.msg_type();
        match kind {
            MessageType::Confirm => {
                let is_ours = addresses(asked).iter().all(|own| self.is_of_link(*own));
                let code = if is_ours {
                    Code::Success
                } else {
                    Code::NotOnLink
                };
                reply.opts_mut().insert(status(code));
                return;
            }
            MessageType::Decline => {
                self.declined.extend(addresses(asked));
                self.host += 1;
                return;
            }
            MessageType::Release => {
                self.released += 1;
                self.knows_us = false;
                return;
            }
            MessageType::Request => self.knows_us = true,
            _ => {}
        }
        let extends = matches!(kind, MessageType::Renew | MessageType::Rebind);
        let is_unknown = extends && !self.knows_us;
        if let Some(DhcpOption::IANA(asked)) = asked.opts().get(OptionCode::IANA) {
            let opts = if is_unknown {
                vec![status(Code::NoBinding)]
            } else if self.has_addresses {
                self.lent_addresses(&asked.opts)
            } else {
                vec![status(Code::NoAddrsAvail)]
            };
            reply.opts_mut().insert(DhcpOption::IANA(IANA {
                id: asked.id,
                t1: self.t1_s,
                t2: self.t2_s,
                opts: opts.into_iter().collect(),
            }));
        }
        if let Some(DhcpOption::IAPD(asked)) = asked.opts().get(OptionCode::IAPD) {
            let opts = if is_unknown {
                vec![status(Code::NoBinding)]
            } else if self.has_prefixes {
                self.lent_prefixes(&asked.opts)
            } else {
                vec![status(Code::NoPrefixAvail)]
            };
            reply.opts_mut().insert(DhcpOption::IAPD(IAPD {
                id: asked.id,
                t1: self.t1_s,
                t2: self.t2_s,
                opts: opts.into_iter().collect(),
            }));
        }
        let servers = DhcpOption::DomainNameServers(self.name_servers.clone());
        reply.opts_mut().insert(servers);
    }

    fn is_of_link(&self, address: Ipv6Addr) -> bool {
        Prefix::new(self.address(), 64).contains(address)
    }

    /// Its address and, with lifetimes of 0, those that were named and are not.
    fn lent_addresses(&self, asked: &DhcpOptions) -> Vec<DhcpOption> {
        let lent = |addr, preferred_life, valid_life| {
            DhcpOption::IAAddr(IAAddr {
                addr,
                preferred_life,
                valid_life,
                opts: DhcpOptions::new(),
            })
        };
        let mut all = vec![lent(self.address(), self.preferred_s, self.valid_s)];
        for named in asked.iter() {
            match named {
                DhcpOption::IAAddr(named) if named.addr != self.address() => {
                    all.push(lent(named.addr, 0, 0));
                }
                _ => {}
            }
        }
        all
    }

    fn lent_prefixes(&self, asked: &DhcpOptions) -> Vec<DhcpOption> {
        let lent = |prefix: Prefix, preferred_lifetime, valid_lifetime| {
            let IpAddr::V6(prefix_ip) = prefix.address else {
                panic!("{prefix}");
            };
            DhcpOption::IAPrefix(IAPrefix {
                preferred_lifetime,
                valid_lifetime,
                prefix_len: prefix.length,
                prefix_ip,
                opts: DhcpOptions::new(),
            })
        };
        let mut all = vec![lent(self.prefix(), self.preferred_s, self.valid_s)];
        for named in asked.iter() {
            let DhcpOption::IAPrefix(named) = named else {
                continue;
            };
            let prefix = Prefix::new(named.prefix_ip, named.prefix_len);
            if prefix != self.prefix() && !named.prefix_ip.is_unspecified() {
                all.push(lent(prefix, 0, 0));
            }
        }
        all
    }
}

pub(super) fn status(status: Code) -> DhcpOption {
    let msg = String::from("because");
    DhcpOption::StatusCode(StatusCode { status, msg })
}

/// The addresses that a message names.
pub(super) fn addresses(message: &Message) -> Vec<Ipv6Addr> {
    let Some(DhcpOption::IANA(association)) = message.opts().get(OptionCode::IANA) else {
        return Vec::new();
    };
    let named = association.opts.iter();
    named
        .filter_map(|option| match option {
            DhcpOption::IAAddr(named) => Some(named.addr),
            _ => None,
        })
        .collect()
}

/// The prefixes that a message names.
pub(super) fn prefixes(message: &Message) -> Vec<Prefix> {
    let Some(DhcpOption::IAPD(association)) = message.opts().get(OptionCode::IAPD) else {
        return Vec::new();
    };
    let named = association.opts.iter();
    named
        .filter_map(|option| match option {
            DhcpOption::IAPrefix(named) => Some(Prefix::new(named.prefix_ip, named.prefix_len)),
            _ => None,
        })
        .collect()
}
