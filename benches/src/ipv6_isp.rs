//! An ISP's IPv6 of others' making: Debian's radvd and ISC's dhcpd, which lends addresses and prefixes, on one line to a
//! customer. The line is a veth between two namespaces.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::netns::Namespace;
use crate::process::Process;

const RADVD: &str = "/usr/sbin/radvd";
const DHCPD: &str = "/usr/sbin/dhcpd";
const START_LIMIT: Duration = Duration::from_secs(10);
/// The ISP's end of a line of its own.
const LINE: &str = "line";
/// The laboratory's end towards the remote site.
const REMOTE: &str = "remote";
/// The customer's.
pub const CUSTOMER_INTERFACE: &str = "uplink";
/// What radvd says of the line's MTU.
pub const MTU: u16 = 1480;
/// How soon dhcpd wants to be asked again, and how soon anybody may be.
pub const RENEWAL_S: u64 = 3;
pub const REBINDING_S: u64 = 8;

/// The ISP's end, with its servers; dropping it kills them, and deletes what was made for them.
pub struct Ipv6Isp {
    isp: Namespace,
    interface: &'static str,
    /// The other end of a line of its own.
    pub customer: Option<Namespace>,
    directory: PathBuf,
    /// The line has 2001:db8:NETWORK::/64, and delegates from 2001:db8:NETWORK:100:: on.
    network: u16,
    /// What is on the line besides, for whoever has an address already.
    before: Option<u16>,
    radvd: Option<Process>,
    dhcpd: Option<Process>,
}

impl Ipv6Isp {
    /// Makes the line; no server runs yet.
    ///
    /// # Errors
    /// `NotFound` where a package is not installed; when a namespace cannot be made.
    pub fn build(name: &str, directory: &Path) -> io::Result<Self> {
        let customer = Namespace::named(format!("{name}-customer"));
        let this = Self {
            isp: Namespace::named(format!("{name}-isp")),
            interface: LINE,
            customer: Some(customer.clone()),
            directory: directory.to_owned(),
            network: 1,
            before: None,
            radvd: None,
            dhcpd: None,
        };
        this.prepare()?;
        this.isp.create()?;
        customer.create()?;
        // The customer's kernel is to keep out of it.
        customer.sysctl("ipv6/conf/default/disable_ipv6", "1")?;
        this.isp.sysctl("ipv6/conf/default/accept_dad", "0")?;
        this.isp.sysctl("ipv6/conf/all/forwarding", "1")?;
        let peer = format!("{CUSTOMER_INTERFACE} netns {}", customer.name());
        this.isp
            .ip(&format!("link add {LINE} type veth peer name {peer}"))?;
        this.isp.ip(&format!("link set {LINE} up"))?;
        customer.ip(&format!("link set {CUSTOMER_INTERFACE} up"))?;
        this.isp.switch_offloads_off(LINE)?;
        Ok(this)
    }

    /// In an ISP's namespace of the laboratory, for the remote site; no server runs yet. The head's packets reach the
    /// remote's network without a router.
    ///
    /// # Errors
    /// As [`Self::build`].
    pub fn in_lab(isp: &Namespace, directory: &Path) -> io::Result<Self> {
        let this = Self {
            isp: isp.clone(),
            interface: REMOTE,
            customer: None,
            directory: directory.join("ipv6-isp"),
            network: 1,
            before: None,
            radvd: None,
            dhcpd: None,
        };
        this.prepare()?;
        isp.sysctl("ipv6/conf/remote/accept_dad", "0")?;
        isp.sysctl("ipv6/conf/remote/disable_ipv6", "0")?;
        isp.sysctl("ipv6/conf/all/forwarding", "1")?;
        isp.switch_offloads_off(REMOTE)?;
        Ok(this)
    }

    fn prepare(&self) -> io::Result<()> {
        for (program, package) in [(RADVD, "radvd"), (DHCPD, "isc-dhcp-server")] {
            if !Path::new(program).is_file() {
                let text = format!("NOT TESTED: no {program} here (Debian's package {package})");
                return Err(io::Error::new(ErrorKind::NotFound, text));
            }
        }
        fs::create_dir_all(&self.directory)
    }

    /// The line's network; 64 bits.
    #[must_use]
    pub fn network(&self) -> Ipv6Addr {
        Ipv6Addr::new(0x2001, 0xdb8, self.network, 0, 0, 0, 0, 0)
    }

    /// Another ISP at the same line, or this one after it was renumbered: other networks, and nobody is known.
    ///
    /// # Errors
    /// When a server does not start.
    pub fn renumber(&mut self, network: u16) -> io::Result<()> {
        self.stop();
        self.isp
            .ip(&format!("addr flush dev {} scope global", self.interface))?;
        let leases = self.directory.join("leases");
        if leases.exists() {
            fs::remove_file(leases)?;
        }
        self.before = Some(std::mem::replace(&mut self.network, network));
        self.start()
    }

    /// Starts both servers.
    ///
    /// # Errors
    /// When one does not serve within some seconds, with its log.
    pub fn start(&mut self) -> io::Result<()> {
        let own = Ipv6Addr::from_bits(self.network().to_bits() | 1);
        self.isp.ip(&format!(
            "addr replace {own}/64 dev {} nodad",
            self.interface
        ))?;
        self.start_dhcpd()?;
        let configuration = self.written("radvd.conf", &self.radvd_configuration())?;
        let mut command = self.isp.command(RADVD);
        command.args(["--nodaemon", "--logmethod", "stderr", "--username", "root"]);
        command.arg("--config").arg(configuration);
        command
            .arg("--pidfile")
            .arg(self.directory.join("radvd.pid"));
        let log = self.written("radvd.log", "")?;
        let mut radvd = Process::start(&mut command, &log)?;
        radvd.wait_for(START_LIMIT, |log| log.contains("started"))?;
        self.radvd = Some(radvd);
        Ok(())
    }

    /// Starts the DHCPv6 server, which finds the leases that an earlier one left.
    ///
    /// # Errors
    /// When it does not serve within some seconds, with its log.
    pub fn start_dhcpd(&mut self) -> io::Result<()> {
        let configuration = self.written("dhcpd.conf", &self.dhcpd_configuration())?;
        let leases = self.directory.join("leases");
        if !leases.exists() {
            fs::write(&leases, "")?;
        }
        let mut command = self.isp.command(DHCPD);
        command.args(["-6", "-f", "-d", "--no-pid"]);
        command.arg("-cf").arg(configuration);
        command.arg("-lf").arg(leases).arg(self.interface);
        let log = self.written("dhcpd.log", "")?;
        let mut dhcpd = Process::start(&mut command, &log)?;
        dhcpd.wait_for(START_LIMIT, |log| log.contains("Server starting service"))?;
        self.dhcpd = Some(dhcpd);
        Ok(())
    }

    /// Kills the DHCPv6 server, as a power failure would.
    pub fn kill_dhcpd(&mut self) {
        self.dhcpd = None;
    }

    /// Kills both servers.
    pub fn stop(&mut self) {
        self.radvd = None;
        self.dhcpd = None;
    }

    /// What the DHCPv6 server wrote since its start.
    #[must_use]
    pub fn dhcpd_log(&self) -> String {
        self.dhcpd.as_ref().map(Process::output).unwrap_or_default()
    }

    fn written(&self, name: &str, text: &str) -> io::Result<PathBuf> {
        let path = self.directory.join(name);
        fs::write(&path, text)?;
        Ok(path)
    }

    fn radvd_configuration(&self) -> String {
        let (network, interface) = (self.network(), self.interface);
        let before = self.before.map_or_else(String::new, |network| {
            format!("prefix 2001:db8:{network}::/64 {{ AdvOnLink on; AdvAutonomous off; }};")
        });
        format!(
            "interface {interface} {{
                AdvSendAdvert on;
                MinRtrAdvInterval 3;
                MaxRtrAdvInterval 4;
                AdvDefaultLifetime 30;
                AdvManagedFlag on;
                AdvLinkMTU {MTU};
                prefix {network}/64 {{
                    AdvOnLink on;
                    AdvAutonomous on;
                    AdvPreferredLifetime 300;
                    AdvValidLifetime 600;
                }};
                {before}
                RDNSS 2001:db8::53 {{ AdvRDNSSLifetime 60; }};
            }};
            "
        )
    }

    fn dhcpd_configuration(&self) -> String {
        let network = self.network;
        format!(
            "default-lease-time 60;
            preferred-lifetime 30;
            option dhcp-renewal-time {RENEWAL_S};
            option dhcp-rebinding-time {REBINDING_S};
            option dhcp6.name-servers 2001:db8::54;
            authoritative;
            subnet6 2001:db8:{network}::/64 {{
                range6 2001:db8:{network}::100 2001:db8:{network}::1ff;
                prefix6 2001:db8:{network}:100:: 2001:db8:{network}:f00:: /56;
            }}
            "
        )
    }
}

impl Drop for Ipv6Isp {
    fn drop(&mut self) {
        self.stop();
        let Some(customer) = &self.customer else {
            return;
        };
        for namespace in [&self.isp, customer] {
            if let Err(error) = namespace.delete() {
                eprintln!("{} is still there: {error}", namespace.name());
            }
        }
        // What was said is shown by then, should something have failed.
        let _ = fs::remove_dir_all(&self.directory);
    }
}
