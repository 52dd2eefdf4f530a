//! A kernel router with NAT between a remote site's interface and an ISP: what stands in most customers' cellars.
//!
//! ```text
//! remote                     router                       isp1
//! isp1 ──────────────── lan          wan ──────────────── remote
//! 10.1.1.2          10.1.1.1        10.1.0.2
//! ```

use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::process::Stdio;

use crate::netns::Namespace;

/// UDP ports of a router's first mappings.
const FIRST_PORTS: RangeInclusive<u16> = 20_000..=20_100;

pub(super) struct Router {
    pub(super) namespace: Namespace,
    link: usize,
}

impl Router {
    pub(super) fn planned(link: usize, prefix: &str) -> Self {
        Self {
            namespace: Namespace::named(format!("{prefix}-router{link}")),
            link,
        }
    }

    /// Makes it between the appliance's interface and the ISP's.
    pub(super) fn build(
        &self,
        appliance: &Namespace,
        isp: &Namespace,
        mtu_octets: u16,
    ) -> io::Result<()> {
        let (router, link) = (&self.namespace, self.link);
        router.sysctl("ipv6/conf/default/disable_ipv6", "1")?;
        router.sysctl("ipv4/ip_forward", "1")?;
        router.ip(&format!(
            "link add lan mtu {mtu_octets} type veth peer name isp{link} mtu {mtu_octets} netns {}",
            appliance.name()
        ))?;
        router.ip(&format!(
            "link add wan mtu {mtu_octets} type veth peer name remote mtu {mtu_octets} netns {}",
            isp.name()
        ))?;
        router.ip(&format!("addr add 10.{link}.1.1/24 dev lan"))?;
        router.ip(&self.wan_address("add"))?;
        for interface in ["lan", "wan"] {
            router.switch_offloads_off(interface)?;
            router.ip(&format!("link set dev {interface} up"))?;
        }
        isp.ip("link set dev remote up")?;
        appliance.ip(&format!("link set dev isp{link} up"))?;
        self.nft(
            "table ip nat {\n chain post {\n type nat hook postrouting priority 100;\n }\n }",
        )?;
        self.masquerade(&FIRST_PORTS)
    }

    /// Gives what leaves from now on a port among these, and forgets every mapping.
    pub(super) fn remap(&self, ports: &RangeInclusive<u16>) -> io::Result<()> {
        self.masquerade(ports)?;
        // The kernel forgets an address's masquerading together with the address.
        self.namespace.ip(&self.wan_address("del"))?;
        self.namespace.ip(&self.wan_address("add"))
    }

    fn wan_address(&self, verb: &str) -> String {
        format!("addr {verb} 10.{}.0.2/24 dev wan", self.link)
    }

    fn masquerade(&self, ports: &RangeInclusive<u16>) -> io::Result<()> {
        let (first, last) = (ports.start(), ports.end());
        self.nft(&format!(
            "flush chain ip nat post\n\
             add rule ip nat post oifname \"wan\" ip protocol udp masquerade to :{first}-{last}\n"
        ))
    }

    fn nft(&self, rules: &str) -> io::Result<()> {
        let mut nft = self.namespace.command("nft");
        let mut child = nft.args(["-f", "-"]).stdin(Stdio::piped()).spawn()?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(rules.as_bytes())?;
        }
        match child.wait()? {
            status if status.success() => Ok(()),
            status => Err(io::Error::other(format!("nft: {status}: {rules}"))),
        }
    }
}

/// The remote's file for a link behind its router: where it stands in one without, and what stands there instead.
pub(super) fn edit(link: usize) -> (String, String) {
    (
        format!("addresses: [10.{link}.0.2/24]"),
        format!("addresses: [10.{link}.1.2/24], gateway: 10.{link}.1.1"),
    )
}
