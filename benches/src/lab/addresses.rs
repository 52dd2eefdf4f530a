//! Who has which address in a lab, and what that makes of the sites' files, which know IPv4 only.
//!
//! | | IPv4 | IPv6 |
//! |---|---|---|
//! | host in the head's LAN | 192.168.1.10 | 2001:db8:1::10 |
//! | its gateway: the head | 192.168.1.1 | 2001:db8:1::1 |
//! | host in the remote's LAN | 192.168.2.10 | 2001:db8:2::10 |
//! | its gateway: the remote | 192.168.2.1 | 2001:db8:2::1 |
//! | the head on link n | 10.n.0.1 | fd10:n::1 |
//! | the remote on link n | 10.n.0.2 | fd10:n::2 |

use std::net::{Ipv4Addr, Ipv6Addr};

use super::Site;

/// Length of the LANs' and links' IPv6 networks.
pub(super) const IPV6_LENGTH: u8 = 64;

impl Site {
    /// The LAN's number in its addresses.
    fn number(self) -> u8 {
        self.index() as u8 + 1
    }

    /// The site's own address in its LAN.
    pub fn lan_gateway(self) -> Ipv4Addr {
        [192, 168, self.number(), 1].into()
    }

    /// The site's own address on a link, from 1.
    ///
    /// # Panics
    /// With a number that no link has.
    pub fn link_address(self, link: usize) -> Ipv4Addr {
        let link = u8::try_from(link).expect("a link's number");
        [10, link, 0, self.number()].into()
    }

    pub fn lan_gateway_ipv6(self) -> Ipv6Addr {
        in_lan_ipv6(self, 1)
    }

    pub(super) fn host_address(self) -> Ipv4Addr {
        [192, 168, self.number(), 10].into()
    }

    pub(super) fn host_address_ipv6(self) -> Ipv6Addr {
        in_lan_ipv6(self, 0x10)
    }
}

fn in_lan_ipv6(site: Site, host: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, u16::from(site.number()), 0, 0, 0, 0, host)
}

/// What to replace, and by what.
type Edit = (String, String);

/// The LANs have IPv6 too, in the file of `site`.
pub(super) fn ipv6_lan_edits(site: Site) -> [Edit; 2] {
    let (own, other) = (site.number(), site.other().number());
    [
        (
            format!("addresses: [192.168.{own}.1/24]"),
            format!("addresses: [192.168.{own}.1/24, \"2001:db8:{own}::1/64\"]"),
        ),
        (
            format!("routes: [192.168.{other}.0/24]"),
            format!("routes: [192.168.{other}.0/24, \"2001:db8:{other}::/64\"]"),
        ),
    ]
}

/// A link's tunnel goes over IPv6, in the file of `site`.
pub(super) fn ipv6_link_edits(site: Site, link: usize) -> Vec<Edit> {
    let own = site.number();
    let mut edits = vec![(
        format!("addresses: [10.{link}.0.{own}/24]"),
        format!("addresses: [\"fd10:{link}::{own}/64\"]"),
    )];
    if site == Site::Remote {
        edits.push((
            format!("server: 10.{link}.0.1\n"),
            format!("server: \"fd10:{link}::1\"\n"),
        ));
    }
    edits
}

/// More words for a link, in the file of `site`: before its `graph`, on whichever line that stands.
pub(super) fn link_edit(site: Site, link: usize, words: &str) -> Edit {
    match site {
        Site::Head => {
            let graph = format!("graph: remote.{link},");
            (graph.clone(), format!("{words}, {graph}"))
        }
        Site::Remote => {
            let graph = format!("      graph: L2TP-remote-{link}\n");
            (graph.clone(), format!("      {words}\n{graph}"))
        }
    }
}

/// More words for the set, in either file.
pub(super) fn set_edit(words: &str) -> Edit {
    let set = "{ name: A,".to_owned();
    (set.clone(), format!("{set} {words},"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::lab::{LabConfig, Programs};

    use super::*;

    fn demo() -> LabConfig {
        let programs = Programs {
            hal2tp: Default::default(),
            wan: Default::default(),
        };
        LabConfig::with_programs(programs).unwrap()
    }

    /// Every edit finds its place in the files, and the plain words of the result are where they belong.
    #[test]
    fn the_files_take_every_change() {
        let config = LabConfig {
            has_ipv6_lans: true,
            ipv6_links: vec![1, 3],
            set_words: Some("mtu: 1500".to_owned()),
            link_words: vec![(2, "mtu: 1350".to_owned())],
            ..demo()
        };
        let directory = Path::new("/tmp/x");
        let [head, remote] = Site::BOTH.map(|site| config.site_file(site, directory).unwrap());
        for (text, parts) in [
            (
                &head,
                [
                    "addresses: [192.168.1.1/24, \"2001:db8:1::1/64\"]",
                    "addresses: [\"fd10:1::1/64\"]",
                    "addresses: [10.2.0.1/24]",
                    "{ mtu: 1350, graph: remote.2, username: remote.2,",
                    "routes: [192.168.2.0/24, \"2001:db8:2::/64\"]",
                    "{ name: A, mtu: 1500, window",
                ],
            ),
            (
                &remote,
                [
                    "addresses: [192.168.2.1/24, \"2001:db8:2::1/64\"]",
                    "server: \"fd10:3::1\"\n",
                    "server: 10.2.0.1\n",
                    "      mtu: 1350\n      graph: L2TP-remote-2\n",
                    "routes: [192.168.1.0/24, \"2001:db8:1::/64\"]",
                    "{ name: A, mtu: 1500, window",
                ],
            ),
        ] {
            for part in parts {
                assert!(text.contains(part), "{part} in\n{text}");
            }
        }
        assert_eq!(head.matches("2001:db8:2::/64").count(), 3);
    }
}
