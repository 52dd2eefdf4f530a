//! A DHCP server of others' making: Debian's dnsmasq, in an ISP's namespace, where it serves one interface.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::netns::Namespace;
use crate::process::Process;

const PROGRAM: &str = "/usr/sbin/dnsmasq";
const START_LIMIT: Duration = Duration::from_secs(10);
/// Of every network here.
const PREFIX_LENGTH: u8 = 24;

/// What a server gives.
#[derive(Clone, Debug)]
pub struct DhcpServerConfig {
    pub namespace: Namespace,
    pub interface: String,
    /// For its files and its log.
    pub directory: PathBuf,
    /// The server's own, which the interface is given besides those it has.
    pub address: Ipv4Addr,
    /// The first and the last address that clients get; of the server's network, with 24 bits.
    pub range: (Ipv4Addr, Ipv4Addr),
    /// dnsmasq gives none of less than 120 s.
    pub lease_s: u32,
    /// When clients renew and when they rebind, seconds, in place of a half and seven eighths; dnsmasq says less than 3
    /// to nobody.
    pub renewal_s: Option<u32>,
    pub rebinding_s: Option<u32>,
    pub router: Option<Ipv4Addr>,
    pub mtu: Option<u16>,
    /// Answers always go to everybody, whatever a client asks for.
    pub always_broadcast: bool,
    /// Clients that it does not know, or whose address is not its to give, are refused; otherwise it keeps silent.
    pub authoritative: bool,
}

impl DhcpServerConfig {
    /// Ten addresses of `10.N.0.0/24` behind the emulator's interface towards the remote site, and the head as router.
    #[must_use]
    pub fn of_isp(number: u8, namespace: &Namespace, directory: &Path) -> Self {
        let address = |host| Ipv4Addr::new(10, number, 0, host);
        Self {
            namespace: namespace.clone(),
            interface: "remote".to_owned(),
            directory: directory.join(format!("dnsmasq{number}")),
            address: address(254),
            range: (address(100), address(109)),
            lease_s: 120,
            renewal_s: None,
            rebinding_s: None,
            router: Some(address(1)),
            mtu: None,
            always_broadcast: false,
            authoritative: true,
        }
    }

    fn arguments(&self) -> Vec<String> {
        let mut arguments = vec![
            // In the foreground, and no file of this machine's.
            "--keep-in-foreground".to_owned(),
            "--conf-file=/dev/null".to_owned(),
            "--user=root".to_owned(),
            // No DNS.
            "--port=0".to_owned(),
            format!("--interface={}", self.interface),
            "--except-interface=lo".to_owned(),
            "--bind-interfaces".to_owned(),
            format!("--dhcp-leasefile={}", self.leases_file().display()),
            format!("--pid-file={}", self.directory.join("pid").display()),
            "--log-dhcp".to_owned(),
            "--log-facility=-".to_owned(),
            // Whether an address is taken is for the clients to say here; it would ping for three seconds.
            "--no-ping".to_owned(),
            format!(
                "--dhcp-range={},{},255.255.255.0,{}",
                self.range.0, self.range.1, self.lease_s
            ),
        ];
        match self.router {
            Some(router) => arguments.push(format!("--dhcp-option=option:router,{router}")),
            None => arguments.push("--dhcp-option=option:router".to_owned()),
        }
        let numbers = [
            ("26", self.mtu.map(u32::from)),
            ("option:T1", self.renewal_s),
            ("option:T2", self.rebinding_s),
        ];
        for (option, number) in numbers {
            arguments.extend(number.map(|number| format!("--dhcp-option={option},{number}")));
        }
        if self.always_broadcast {
            arguments.push("--dhcp-broadcast".to_owned());
        }
        if self.authoritative {
            arguments.push("--dhcp-authoritative".to_owned());
        }
        arguments
    }

    /// Loses the books, as a new box in the old one's place.
    ///
    /// # Errors
    /// When there are none.
    pub fn forget(&self) -> io::Result<()> {
        fs::remove_file(self.leases_file())
    }

    fn leases_file(&self) -> PathBuf {
        self.directory.join("leases")
    }
}

/// A running server. Dropping it kills it, as a power failure would; it leaves its leases, which another of the same
/// directory finds.
pub struct DhcpServer {
    config: DhcpServerConfig,
    process: Process,
}

impl DhcpServer {
    /// Gives the interface its address and starts the server.
    ///
    /// # Errors
    /// `NotFound` where the package is not installed; when it does not serve within some seconds, with its log.
    pub fn start(config: DhcpServerConfig) -> io::Result<Self> {
        if !Path::new(PROGRAM).is_file() {
            let text = format!("NOT TESTED: no {PROGRAM} here (Debian's package dnsmasq-base)");
            return Err(io::Error::new(ErrorKind::NotFound, text));
        }
        fs::create_dir_all(&config.directory)?;
        let (address, interface) = (config.address, &config.interface);
        let network = format!("addr replace {address}/{PREFIX_LENGTH} dev {interface}");
        config.namespace.ip(&network)?;
        // Or its checksums were left to hardware that is not there.
        config.namespace.switch_offloads_off(interface)?;
        let log = config.directory.join("log");
        // What an earlier one wrote is not taken for this one's.
        fs::write(&log, "")?;
        let mut command: Command = config.namespace.command(PROGRAM);
        command.args(config.arguments());
        let mut process = Process::start(&mut command, &log)?;
        process.wait_for(START_LIMIT, |log| log.contains("sockets bound exclusively"))?;
        Ok(Self { config, process })
    }

    /// Kills it and starts one that gives something else, or the same.
    pub fn restart(self, change: impl FnOnce(&mut DhcpServerConfig)) -> io::Result<Self> {
        let mut config = self.kill();
        change(&mut config);
        Self::start(config)
    }

    /// What it takes to start it again.
    pub fn kill(self) -> DhcpServerConfig {
        self.config
    }

    /// What it wrote since its start.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.output()
    }

    /// How many messages of a kind it has received or sent since its start: `DHCPREQUEST`, `DHCPACK` and so on.
    #[must_use]
    pub fn count(&self, kind: &str) -> usize {
        let word = format!(" {kind}(");
        self.log()
            .lines()
            .filter(|line| line.contains(&word))
            .count()
    }

    /// The addresses that are on its books.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn leases(&self) -> io::Result<Vec<Ipv4Addr>> {
        // Lines of expiry, hardware address, address, name and client identifier.
        let leases = fs::read_to_string(self.config.leases_file())?;
        let address = |line: &str| line.split_whitespace().nth(2)?.parse().ok();
        Ok(leases.lines().filter_map(address).collect())
    }
}
