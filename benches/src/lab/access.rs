//! An access concentrator between a remote site's interface and an ISP: the site's line is PPPoE.
//!
//! ```text
//! remote                  concentrator                    isp1
//! isp1 ──────────────── lan          wan ──────────────── remote
//! 10.1.0.100..  10.1.0.2          10.1.0.2
//! ```
//!
//! In the ISP's network the concentrator answers for the addresses that it gives.

use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use crate::concentrator::{AccessConcentrator, ConcentratorConfig, DataPath};
use crate::netns::Namespace;

const USERNAME: &str = "site@isp.example";
const PASSWORD: &str = "line-secret";
/// The last octet of the first address that is given.
const FIRST: u8 = 100;

pub(super) struct Access {
    pub(super) namespace: Namespace,
    link: usize,
    directory: PathBuf,
    concentrator: Option<AccessConcentrator>,
}

impl Access {
    pub(super) fn planned(link: usize, prefix: &str, directory: &Path) -> Self {
        Self {
            namespace: Namespace::named(format!("{prefix}-access{link}")),
            link,
            directory: directory.join(format!("access{link}")),
            concentrator: None,
        }
    }

    /// Makes the wires to the appliance and the ISP, boots the concentrator and starts its server.
    pub(super) fn build(
        &mut self,
        appliance: &Namespace,
        isp: &Namespace,
        mtu_octets: u16,
    ) -> io::Result<()> {
        let (access, link) = (&self.namespace, self.link);
        access.ip(&format!(
            "link add lan mtu {mtu_octets} type veth peer name isp{link} mtu {mtu_octets} netns {}",
            appliance.name()
        ))?;
        access.ip(&format!(
            "link add wan type veth peer name remote netns {}",
            isp.name()
        ))?;
        access.ip("link set dev lan up")?;
        access.ip("link set dev wan up")?;
        isp.ip("link set dev remote up")?;
        appliance.ip(&format!("link set dev isp{link} up"))?;
        let mut concentrator = AccessConcentrator::boot(&ConcentratorConfig {
            namespace: access,
            directory: self.directory.clone(),
            access: "lan",
            access_mtu: mtu_octets,
            uplink: Some(("wan", &format!("10.{link}.0.2/24"))),
            data_path: DataPath::Kernel,
            name: "bras",
            service: "internet",
            local: address(link, 2),
            logins: &[(USERNAME, PASSWORD)],
            pppd: "",
        })?;
        concentrator.start(address(link, FIRST))?;
        self.concentrator = Some(concentrator);
        Ok(())
    }

    pub(super) fn concentrator(&mut self) -> Option<&mut AccessConcentrator> {
        self.concentrator.as_mut()
    }
}

fn address(link: usize, host: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, link as u8, 0, host)
}

/// The remote's file for a link behind its concentrator: where it stands in one without, and what stands there instead.
pub(super) fn edit(link: usize) -> (String, String) {
    (
        format!("addresses: [10.{link}.0.2/24]"),
        format!(
            "pppoe: {{ username: {USERNAME}, password: {PASSWORD}, lcp-rate: 1, lcp-timeout: 4 }}"
        ),
    )
}
