//! Two sites and their ISPs on one machine, in network namespaces:
//!
//! ```text
//! head-lan          head                isp1..n               remote           remote-lan
//! eth0 ──────── lan      isp1 ──── head  [wan]  remote ──── isp1      lan ──────── eth0
//! 192.168.1.10  .1.1     10.1.0.1                      10.1.0.2     .2.1  192.168.2.10
//! ```
//!
//! The LAN hosts are ordinary kernels, with `.10` because the tunnels' own addresses stand below it. IPv6 is there where a
//! [`LabConfig`] asks for it, and so is a router or an access concentrator before the remote's interface. The interfaces in
//! `head` and `remote` belong to the appliance, which is started there as `hal2tp run -c FILE`; the addresses are in
//! its file. Everything is removed when the [`Lab`] is dropped and also when its process dies in any other way.

use std::io::{self, ErrorKind};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::concentrator::AccessConcentrator;
use crate::emulator::{Direction, Emulator, EmulatorConfig};
use crate::netns::Namespace;
use crate::process::tail;
use crate::status::Status;
use crate::traffic::Host;
use crate::wan::Stats;
use wan_model::impairment::Impairments;

pub use appliance::Management;
pub use config::{LabConfig, Programs};
pub use guard::Guard;

use access::Access;
use appliance::Appliance;
use router::Router;

mod access;
mod addresses;
mod appliance;
mod blockade;
mod config;
mod guard;
mod kernel;
mod router;

/// One of the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Site {
    /// The incoming end (LNS).
    Head,
    /// The outgoing end (LAC).
    Remote,
}

impl Site {
    pub const BOTH: [Self; 2] = [Self::Head, Self::Remote];

    pub fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Remote => "remote",
        }
    }

    pub fn other(self) -> Self {
        match self {
            Self::Head => Self::Remote,
            Self::Remote => Self::Head,
        }
    }

    /// The emulators' direction away from this site.
    pub fn outbound(self) -> Direction {
        match self {
            Self::Head => Direction::AToB,
            Self::Remote => Direction::BToA,
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

/// The sites, their ISPs and what runs in them. Links are numbered from 1, as the interfaces are.
pub struct Lab {
    sites: [SiteState; 2],
    links: Vec<Link>,
    directory: PathBuf,
    config: LabConfig,
    // Last: fields are dropped in order, and it removes what the others used.
    _guard: Guard,
}

struct SiteState {
    namespace: Namespace,
    host: Host,
    /// The same kernel by its other address.
    host_ipv6: Host,
    appliance: Option<Appliance>,
}

struct Link {
    namespace: Namespace,
    /// At the remote end.
    router: Option<Router>,
    /// In the same place.
    access: Option<Access>,
    emulator: Option<Emulator>,
    start: EmulatorConfig,
    /// What a restarted emulator is told, a-b and b-a.
    settings: [Impairments; 2],
}

impl Lab {
    /// Builds networks and starts the emulators. Appliances are started by [`Lab::start`].
    ///
    /// # Errors
    /// Needs root, `ip`, `ethtool` and the program `wan`; what was made is removed again.
    pub fn build(config: LabConfig) -> io::Result<Self> {
        static LABS: AtomicU32 = AtomicU32::new(0);
        let count = LABS.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("hal2tp-{}-{count}", std::process::id());
        let directory = std::env::temp_dir().join(&prefix);
        std::fs::create_dir_all(&directory)?;
        let sites = Site::BOTH.map(|site| SiteState::planned(site, &prefix));
        let links: Vec<Link> = (1..=config.links.len())
            .map(|number| Link::planned(number, &prefix, &directory, &config))
            .collect();
        let hosts = sites.iter().map(|site| site.host.namespace.clone());
        let appliances = sites.iter().map(|site| site.namespace.clone());
        let isps = links.iter().map(|link| link.namespace.clone());
        let routers = links.iter().filter_map(|link| link.router.as_ref());
        let routers = routers.map(|router| router.namespace.clone());
        let accesses = links.iter().filter_map(|link| link.access.as_ref());
        let accesses = accesses.map(|access| access.namespace.clone());
        let isps = isps.chain(routers).chain(accesses);
        let namespaces: Vec<Namespace> = hosts.chain(appliances).chain(isps).collect();
        let mut lab = Self {
            _guard: Guard::start(&directory, &namespaces)?,
            sites,
            links,
            directory,
            config,
        };
        for namespace in &namespaces {
            namespace.create()?;
        }
        Site::BOTH
            .into_iter()
            .try_for_each(|site| lab.build_lan(site))?;
        for number in 1..=lab.links.len() {
            lab.build_link(number)?;
            lab.start_emulator(number)?;
        }
        Ok(lab)
    }

    fn build_lan(&self, site: Site) -> io::Result<()> {
        let SiteState {
            namespace, host, ..
        } = &self.sites[site.index()];
        // In the appliance's own namespace IPv6 stays on: switching it off is the appliance's business.
        host.namespace
            .sysctl("ipv6/conf/default/disable_ipv6", "1")?;
        host.namespace.sysctl("ipv6/conf/default/accept_ra", "0")?;
        let appliance = namespace.name();
        let kernel = &host.namespace;
        kernel.ip(&format!(
            "link add eth0 type veth peer name lan netns {appliance}"
        ))?;
        kernel.ip(&format!("addr add {}/24 dev eth0", host.address))?;
        kernel.ip("link set dev eth0 up")?;
        namespace.ip("link set dev lan up")?;
        kernel.ip(&format!("route add default via {}", site.lan_gateway()))?;
        kernel.switch_offloads_off("eth0")?;
        if self.config.are_lans_ordered {
            kernel.receive_on_one_cpu("eth0")?;
            namespace.receive_on_one_cpu("lan")?;
        }
        if self.config.has_ipv6_lans {
            self.add_ipv6_to_lan(site)?;
        }
        Ok(())
    }

    fn add_ipv6_to_lan(&self, site: Site) -> io::Result<()> {
        let Host { namespace, address } = self.host_ipv6(site);
        namespace.sysctl("ipv6/conf/eth0/disable_ipv6", "0")?;
        let length = addresses::IPV6_LENGTH;
        // Usable at once, without asking whether somebody else has it.
        namespace.ip(&format!("addr add {address}/{length} dev eth0 nodad"))?;
        let gateway = site.lan_gateway_ipv6();
        namespace.ip(&format!("route add default via {gateway} dev eth0"))
    }

    fn build_link(&mut self, number: usize) -> io::Result<()> {
        let mtu = self.config.mtu_octets(number);
        let Self { sites, links, .. } = self;
        let Link {
            namespace: isp,
            router,
            access,
            ..
        } = &mut links[number - 1];
        isp.sysctl("ipv6/conf/default/disable_ipv6", "1")?;
        for site in Site::BOTH {
            let (appliance, end) = (&sites[site.index()].namespace, site.name());
            match (site, &router, &mut *access) {
                (Site::Remote, Some(router), _) => router.build(appliance, isp, mtu)?,
                (Site::Remote, None, Some(access)) => access.build(appliance, isp, mtu)?,
                _ => {
                    // What more the line before a concentrator has is for PPPoE.
                    let mtu = access.as_ref().map_or(mtu, |_| mtu.min(1500));
                    isp.ip(&format!(
                        "link add {end} mtu {mtu} type veth peer name isp{number} mtu {mtu} netns {}",
                        appliance.name()
                    ))?;
                    isp.ip(&format!("link set dev {end} up"))?;
                    appliance.ip(&format!("link set dev isp{number} up"))?;
                }
            }
        }
        Ok(())
    }

    /// Where the appliance of a site runs.
    pub fn namespace(&self, site: Site) -> &Namespace {
        &self.sites[site.index()].namespace
    }

    /// The kernel host in a site's LAN.
    pub fn host(&self, site: Site) -> &Host {
        &self.sites[site.index()].host
    }

    /// The same host by its IPv6 address, which it has when [`LabConfig::has_ipv6_lans`].
    pub fn host_ipv6(&self, site: Site) -> &Host {
        &self.sites[site.index()].host_ipv6
    }

    /// Where a link's emulator runs, between interfaces `head` and `remote`.
    pub fn isp(&self, link: usize) -> &Namespace {
        &self.link(link).namespace
    }

    pub fn links(&self) -> RangeInclusive<usize> {
        1..=self.links.len()
    }

    /// Holds the configuration files, logs and sockets.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub fn config(&self) -> &LabConfig {
        &self.config
    }

    fn link(&self, number: usize) -> &Link {
        &self.links[number - 1]
    }

    fn link_mut(&mut self, number: usize) -> &mut Link {
        &mut self.links[number - 1]
    }
}

/// Appliances.
impl Lab {
    /// Writes the site's file and starts its appliance. It is not yet set up when this returns.
    pub fn start(&mut self, site: Site) -> io::Result<()> {
        let config = self.config_file(site);
        std::fs::write(&config, self.config.site_file(site, &self.directory)?)?;
        let (program, log) = (&self.config.programs.hal2tp, self.log(site));
        let state = &mut self.sites[site.index()];
        state.appliance = Some(Appliance::start(program, &state.namespace, &config, &log)?);
        Ok(())
    }

    /// Ends an appliance by SIGTERM.
    pub fn stop(&mut self, site: Site) -> io::Result<ExitStatus> {
        self.take_appliance(site)?.stop()
    }

    /// Ends an appliance by SIGKILL, as a power failure would.
    pub fn kill(&mut self, site: Site) -> io::Result<()> {
        self.take_appliance(site)?.kill()
    }

    fn take_appliance(&mut self, site: Site) -> io::Result<Appliance> {
        let appliance = self.sites[site.index()].appliance.take();
        appliance.ok_or_else(|| io::Error::other(format!("{} does not run", site.name())))
    }

    /// The process id of a running appliance.
    pub fn pid(&self, site: Site) -> Option<u32> {
        let appliance = self.sites[site.index()].appliance.as_ref();
        appliance.map(Appliance::pid)
    }

    pub fn config_file(&self, site: Site) -> PathBuf {
        self.directory.join(format!("{}.yaml", site.name()))
    }

    /// The management socket.
    pub fn socket(&self, site: Site) -> PathBuf {
        self.directory.join(format!("{}.sock", site.name()))
    }

    /// What the appliance wrote, over all its starts.
    pub fn log(&self, site: Site) -> PathBuf {
        self.directory.join(format!("{}.log", site.name()))
    }

    /// The answer of `hal2tp status --json` as it is.
    pub fn status_json(&self, site: Site) -> io::Result<serde_json::Value> {
        self.management(site).status_json()
    }

    pub fn status(&self, site: Site) -> io::Result<Status> {
        self.management(site).status()
    }

    /// For whoever asks a site's appliance while the lab is somebody else's.
    pub fn management(&self, site: Site) -> Management {
        Management::new(&self.config.programs.hal2tp, self.socket(site))
    }

    /// Waits until exactly these links carry traffic at both sites, and says how long that took.
    ///
    /// # Errors
    /// `TimedOut` after `limit`, with what there was instead; at once when an appliance ended by itself.
    pub fn wait_for_links(&mut self, links: &[usize], limit: Duration) -> io::Result<Duration> {
        let started = Instant::now();
        loop {
            let live = Site::BOTH.map(|site| self.status(site).map(|status| status.live_links()));
            if live.iter().flatten().filter(|live| *live == links).count() == live.len() {
                return Ok(started.elapsed());
            }
            for site in Site::BOTH {
                self.assert_running(site)?;
            }
            if started.elapsed() > limit {
                let text = format!("links {links:?} not up after {limit:?}: {live:?}");
                return Err(io::Error::new(ErrorKind::TimedOut, text));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// As [`Lab::wait_for_links`] with all links.
    pub fn wait_until_set_up(&mut self, limit: Duration) -> io::Result<Duration> {
        let all: Vec<usize> = self.links().collect();
        self.wait_for_links(&all, limit)
    }

    /// An error, with the end of its log, when a started appliance has ended by itself.
    pub fn assert_running(&mut self, site: Site) -> io::Result<()> {
        let log = self.log(site);
        let Some(appliance) = &mut self.sites[site.index()].appliance else {
            return Ok(());
        };
        match appliance.ended()? {
            None => Ok(()),
            Some(status) => Err(io::Error::other(format!(
                "{} ended, {status}:\n{}",
                site.name(),
                tail(&log, 20)
            ))),
        }
    }
}

/// Links.
impl Lab {
    /// Both directions lose everything, or no longer.
    pub fn set_outage(&mut self, link: usize, is_out: bool) -> io::Result<()> {
        self.change_link(
            link,
            Direction::Both,
            if is_out { "outage=on" } else { "outage=off" },
        )
    }

    /// Changes what a link does to frames: `delay=20ms loss=2%`, see [`Impairments`]. A restarted emulator keeps it.
    pub fn change_link(&mut self, link: usize, way: Direction, words: &str) -> io::Result<()> {
        let link = self.link_mut(link);
        let sides = match way {
            Direction::AToB => 0..1,
            Direction::BToA => 1..2,
            Direction::Both => 0..2,
        };
        for settings in &mut link.settings[sides] {
            settings.apply(words).map_err(io::Error::other)?;
        }
        match &link.emulator {
            Some(emulator) => emulator.change(way, words),
            None => Ok(()),
        }
    }

    /// Pulls the cable out of an appliance: its interface goes down.
    pub fn interface_down(&self, link: usize, site: Site) -> io::Result<()> {
        self.namespace(site)
            .ip(&format!("link set dev isp{link} down"))
    }

    pub fn interface_up(&self, link: usize, site: Site) -> io::Result<()> {
        self.namespace(site)
            .ip(&format!("link set dev isp{link} up"))
    }

    /// Pulls the cable at the ISP's end: the appliance's interface loses its carrier.
    pub fn carrier_down(&self, link: usize, site: Site) -> io::Result<()> {
        self.isp(link)
            .ip(&format!("link set dev {} down", site.name()))
    }

    pub fn carrier_up(&self, link: usize, site: Site) -> io::Result<()> {
        self.isp(link)
            .ip(&format!("link set dev {} up", site.name()))
    }

    /// What the appliance of a site sends on a link is neither delivered nor taken from its TX ring, or no longer. When that
    /// ends, what had waited is gone.
    ///
    /// # Errors
    /// Needs `tc` and the kernel's `ifb`; when an emulator does not answer.
    pub fn set_transmit_blocked(
        &mut self,
        link: usize,
        site: Site,
        is_blocked: bool,
    ) -> io::Result<()> {
        let way = site.outbound();
        if is_blocked {
            // The emulator sees frames before they come to a standstill.
            self.change_link(link, way, "outage=on")?;
            blockade::begin(self.isp(link), site.name())
        } else {
            blockade::end(self.isp(link), site.name())?;
            self.change_link(link, way, "outage=off")
        }
    }

    /// The router at a link's remote end forgets its mappings; new ones get a UDP port among `ports`.
    ///
    /// # Errors
    /// When there is no router on that link.
    pub fn remap(&self, link: usize, ports: &RangeInclusive<u16>) -> io::Result<()> {
        let router = self.link(link).router.as_ref();
        let router =
            router.ok_or_else(|| io::Error::other(format!("link {link} has no router")))?;
        router.remap(ports)
    }

    /// The access concentrator at a link's remote end.
    ///
    /// # Errors
    /// When there is none on that link.
    pub fn concentrator(&mut self, link: usize) -> io::Result<&mut AccessConcentrator> {
        let access = self.link_mut(link).access.as_mut();
        let concentrator = access.and_then(Access::concentrator);
        concentrator.ok_or_else(|| no_concentrator(link))
    }

    /// The network before the access concentrator at a link's remote end: `lan` is its interface towards the site.
    ///
    /// # Errors
    /// When there is none on that link.
    pub fn access(&self, link: usize) -> io::Result<&Namespace> {
        let access = self.link(link).access.as_ref();
        let access = access.ok_or_else(|| no_concentrator(link))?;
        Ok(&access.namespace)
    }

    /// Ends an emulator by SIGKILL: frames go nowhere.
    pub fn kill_emulator(&mut self, link: usize) -> io::Result<()> {
        let emulator = self.link_mut(link).emulator.take();
        emulator.ok_or_else(|| no_emulator(link))?.kill()
    }

    /// Starts an emulator again with the settings the link last had; its counters begin anew.
    pub fn start_emulator(&mut self, link: usize) -> io::Result<()> {
        let link = self.link_mut(link);
        link.emulator = Some(Emulator::start(&link.start, &link.settings)?);
        Ok(())
    }

    /// `a_b` is from head to remote.
    pub fn link_stats(&self, link: usize) -> io::Result<Stats> {
        let emulator = self.link(link).emulator.as_ref();
        emulator.ok_or_else(|| no_emulator(link))?.stats()
    }

    /// The emulator's control socket, for commands by hand.
    pub fn link_control(&self, link: usize) -> &Path {
        &self.link(link).start.control
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for site in Site::BOTH {
            let log = tail(&self.log(site), 40);
            if std::thread::panicking() && !log.is_empty() {
                eprintln!("--- {} wrote last:\n{log}", site.name());
            }
        }
        for site in &mut self.sites {
            // One that does not end in time is killed; nobody is left to hear of it.
            let _ = site.appliance.take().map(Appliance::stop);
        }
    }
}

impl SiteState {
    fn planned(site: Site, prefix: &str) -> Self {
        let namespace = |role: &str| Namespace::named(format!("{prefix}-{role}"));
        let kernel = namespace(&format!("{}-lan", site.name()));
        Self {
            namespace: namespace(site.name()),
            host: Host {
                namespace: kernel.clone(),
                address: site.host_address().into(),
            },
            host_ipv6: Host {
                namespace: kernel,
                address: site.host_address_ipv6().into(),
            },
            appliance: None,
        }
    }
}

impl Link {
    fn planned(number: usize, prefix: &str, directory: &Path, config: &LabConfig) -> Self {
        let namespace = Namespace::named(format!("{prefix}-isp{number}"));
        let settings = &config.links[number - 1];
        Self {
            start: EmulatorConfig {
                program: config.programs.wan.clone(),
                namespace: namespace.clone(),
                interfaces: Site::BOTH.map(|site| site.name().to_owned()),
                control: directory.join(format!("isp{number}.sock")),
                seed: config.seed.wrapping_add(number as u64),
            },
            namespace,
            router: config
                .routers
                .contains(&number)
                .then(|| Router::planned(number, prefix)),
            access: config
                .concentrators
                .contains(&number)
                .then(|| Access::planned(number, prefix, directory)),
            emulator: None,
            settings: [settings.clone(), settings.clone()],
        }
    }
}

fn no_concentrator(link: usize) -> io::Error {
    io::Error::other(format!("link {link} has no concentrator"))
}

fn no_emulator(link: usize) -> io::Error {
    io::Error::other(format!("the emulator of link {link} does not run"))
}
