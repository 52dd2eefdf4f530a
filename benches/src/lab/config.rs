//! What a lab is built from: programs, configuration files and the ISPs' properties.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::{Site, access, addresses, router};
use wan_model::impairment::Impairments;

/// Where the executables are.
#[derive(Clone, Debug)]
pub struct Programs {
    pub hal2tp: PathBuf,
    pub wan: PathBuf,
}

impl Programs {
    /// Those that were built together with the running program: beside it, or one directory up for a test.
    ///
    /// # Errors
    /// `NotFound` when `wan` is not there. Whether `hal2tp` is there shows when an appliance is started.
    pub fn find() -> io::Result<Self> {
        let running = std::env::current_exe()?;
        let beside = running.parent().unwrap_or_else(|| Path::new("."));
        let candidates = [Some(beside), beside.parent()].into_iter().flatten();
        let directory = candidates
            .into_iter()
            .find(|directory| directory.join("wan").is_file())
            .ok_or_else(|| {
                let text = format!("no `wan` beside {}: build the workspace", running.display());
                io::Error::new(ErrorKind::NotFound, text)
            })?;
        Ok(Self {
            hal2tp: directory.join("hal2tp"),
            wan: directory.join("wan"),
        })
    }
}

/// What to build. Start from [`LabConfig::demo`].
#[derive(Clone, Debug)]
pub struct LabConfig {
    pub programs: Programs,
    /// Where `head.yaml` and `remote.yaml` are; only read when an appliance is started.
    pub configs: PathBuf,
    /// The files themselves, the head's and the remote's, instead of those in `configs`.
    pub texts: Option<[String; 2]>,
    /// One ISP each; both directions get the same.
    pub links: Vec<Impairments>,
    /// The MTU of each link's wires from end to end, octets; of links beyond the last: 1500. An appliance sees it on its
    /// interface; what only the ISP knows is the word `mtu` of [`Impairments`].
    pub mtus_octets: Vec<u16>,
    /// Links, from 1, whose tunnel goes over IPv6.
    pub ipv6_links: Vec<usize>,
    /// Whether the LANs have IPv6 besides IPv4.
    pub has_ipv6_lans: bool,
    /// Whether the LANs' wires keep the order of what goes over them, as cables do. A veth does not where the machine is
    /// disturbed: what waits at one processor is overtaken by what its sender, moved to another, sends from there.
    pub are_lans_ordered: bool,
    /// Every chance of every emulator follows from it.
    pub seed: u64,
    /// Replaces `workers` of both sites.
    pub workers: Option<u16>,
    /// Sets `queues` of every port of both sites.
    pub queues: Option<u16>,
    /// More words for the set, in both files: `ordering: { max-delay: 30ms }`.
    pub set_words: Option<String>,
    /// More words for a link, from 1, in both files: `(2, "speed: 10mbit")`. Several words: several entries.
    pub link_words: Vec<(usize, String)>,
    /// Texts to replace in both files, each of which must be there: `("lcp-timeout: 5", "lcp-timeout: 3")`.
    pub edits: Vec<(String, String)>,
    /// The same for the head's file alone.
    pub head_edits: Vec<(String, String)>,
    /// The same for the remote's file alone.
    pub remote_edits: Vec<(String, String)>,
    /// Links, from 1, at whose remote end a router with NAT stands; the remote's file is changed to suit.
    pub routers: Vec<usize>,
    /// Links, from 1, at whose remote end an access concentrator stands; the remote's file is changed to suit. With 1508
    /// among `mtus_octets`, packets of 1500 octets pass its sessions.
    pub concentrators: Vec<usize>,
}

impl LabConfig {
    /// Three ISPs of 5, 20 and 60 ms, with jitter.
    ///
    /// # Errors
    /// As [`Programs::find`].
    pub fn demo() -> io::Result<Self> {
        Self::with_programs(Programs::find()?)
    }

    pub(super) fn with_programs(programs: Programs) -> io::Result<Self> {
        let links = [
            "delay=5ms jitter=1ms",
            "delay=20ms jitter=4ms",
            "delay=60ms jitter=10ms",
        ];
        let links = links.map(|words| words.parse().map_err(io::Error::other));
        Ok(Self {
            programs,
            configs: Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/demo"),
            texts: None,
            links: links.into_iter().collect::<io::Result<_>>()?,
            mtus_octets: Vec::new(),
            ipv6_links: Vec::new(),
            has_ipv6_lans: false,
            are_lans_ordered: false,
            seed: 1,
            workers: None,
            queues: None,
            set_words: None,
            link_words: Vec::new(),
            edits: Vec::new(),
            head_edits: Vec::new(),
            remote_edits: Vec::new(),
            routers: Vec::new(),
            concentrators: Vec::new(),
        })
    }

    pub(super) fn mtu_octets(&self, link: usize) -> u16 {
        self.mtus_octets.get(link - 1).copied().unwrap_or(1500)
    }

    /// A site's file with this lab's changes; what it has below `/run/hal2tp`, edits included, goes below `directory`.
    pub(super) fn site_file(&self, site: Site, directory: &Path) -> io::Result<String> {
        let text = self.site_text(site)?;
        self.rewrite(&text, directory, &self.site_edits(site))
    }

    fn site_text(&self, site: Site) -> io::Result<String> {
        if let Some(texts) = &self.texts {
            return Ok(texts[site.index()].clone());
        }
        let path = self.configs.join(format!("{}.yaml", site.name()));
        std::fs::read_to_string(&path)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
    }

    fn site_edits(&self, site: Site) -> Vec<(String, String)> {
        let mut edits = match site {
            Site::Head => self.head_edits.clone(),
            Site::Remote => {
                let routers = self.routers.iter().map(|&link| router::edit(link));
                let lines = self.concentrators.iter().map(|&link| access::edit(link));
                let edits = self.remote_edits.iter().cloned();
                edits.chain(routers).chain(lines).collect()
            }
        };
        if self.has_ipv6_lans {
            edits.extend(addresses::ipv6_lan_edits(site));
        }
        for &link in &self.ipv6_links {
            edits.extend(addresses::ipv6_link_edits(site, link));
        }
        for (link, words) in &self.link_words {
            edits.push(addresses::link_edit(site, *link, words));
        }
        edits.extend(self.set_words.as_deref().map(addresses::set_edit));
        edits
    }

    fn rewrite(
        &self,
        text: &str,
        directory: &Path,
        of_site: &[(String, String)],
    ) -> io::Result<String> {
        let mut text = text.to_owned();
        if let Some(workers) = self.workers {
            text = map_lines(&text, |line| replace_value(line, "workers:", workers));
        }
        if let Some(queues) = self.queues {
            text = map_lines(&text, |line| {
                add_to_port(line, &format!("queues: {queues}"))
            });
        }
        for (from, to) in self.edits.iter().chain(of_site) {
            if !text.contains(from) {
                return Err(io::Error::other(format!(
                    "no {from:?} in the configuration"
                )));
            }
            text = text.replace(from, to);
        }
        Ok(text.replace("/run/hal2tp/", &format!("{}/", directory.display())))
    }
}

fn map_lines(text: &str, change: impl Fn(&str) -> String) -> String {
    text.lines().map(|line| change(line) + "\n").collect()
}

/// `  workers: 1  # comment` with another value; other lines as they are.
fn replace_value(line: &str, key: &str, value: u16) -> String {
    match line.split_once(key) {
        Some((before, _)) if before.trim().is_empty() => format!("{before}{key} {value}"),
        _ => line.to_owned(),
    }
}

/// `- { name: lan, device: lan }` with one more word.
fn add_to_port(line: &str, word: &str) -> String {
    match line.rsplit_once('}') {
        Some((port, rest)) if port.contains("device:") => {
            format!("{}, {word} }}{rest}", port.trim_end())
        }
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rewrites_what_it_is_told_and_nothing_else() {
        let programs = Programs {
            hal2tp: PathBuf::new(),
            wan: PathBuf::new(),
        };
        let config = LabConfig {
            workers: Some(2),
            queues: Some(4),
            edits: vec![("lcp-timeout: 5".to_owned(), "lcp-timeout: 3".to_owned())],
            ..LabConfig::with_programs(programs).unwrap()
        };
        let text = "dataplane:\n  workers: 1 # how many\nmanagement: { socket: /run/hal2tp/head.sock }\n\
            ports:\n  - { name: lan,  device: lan }\n      lcp-timeout: 5\n";
        let expected = "dataplane:\n  workers: 2\nmanagement: { socket: /tmp/x/head.sock }\n\
            ports:\n  - { name: lan,  device: lan, queues: 4 }\n      lcp-timeout: 3\n";
        let directory = Path::new("/tmp/x");
        assert_eq!(config.rewrite(text, directory, &[]).unwrap(), expected);
        assert!(config.rewrite("name: head\n", directory, &[]).is_err());
    }
}
