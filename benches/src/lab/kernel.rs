//! A site without an appliance: its kernel has the addresses instead, and forwards between them.

use std::io;

use super::{Lab, Site};

impl Lab {
    /// Gives a site's kernel the addresses that the appliance would have in its LAN and on its links, and has it forward.
    /// There is no route to the other site's LAN yet: that is for whatever runs there.
    ///
    /// # Errors
    /// When `ip` or `ethtool` fail.
    pub fn hand_to_kernel(&self, site: Site) -> io::Result<()> {
        let kernel = self.namespace(site);
        kernel.sysctl("ipv4/ip_forward", "1")?;
        // What comes out of a tunnel may have left by any link.
        for scope in ["all", "default"] {
            kernel.sysctl(&format!("ipv4/conf/{scope}/rp_filter"), "0")?;
        }
        kernel.ip(&format!("addr add {}/24 dev lan", site.lan_gateway()))?;
        kernel.switch_offloads_off("lan")?;
        for link in self.links() {
            let (address, interface) = (site.link_address(link), format!("isp{link}"));
            kernel.ip(&format!("addr add {address}/24 dev {interface}"))?;
            kernel.switch_offloads_off(&interface)?;
        }
        Ok(())
    }
}
