//! What happens on the stage.

use std::io;
use std::time::{Duration, Instant};

use benches::emulator::Direction;
use benches::figure::grouped;
use benches::lab::{Lab, Site};
use benches::ping::{Ping, PingReport};
use benches::traffic::{Flow, FlowConfig, FlowReport};
use benches::transfer::{Transfer, TransferConfig, TransferReport};

use crate::interrupt::Interrupt;
use crate::ledger::Ledger;
use crate::screen::{Cell, Look, Screen, millis, percent};
use crate::{SET_UP_LIMIT, way};

/// Why the demonstration ended before its end.
pub(crate) enum Failure {
    Interrupted,
    Io(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The sites, and what flows between them.
pub(crate) struct Stage<'a> {
    lab: Lab,
    screen: &'a Screen,
    interrupt: &'a Interrupt,
    packets_per_s: u32,
}

/// A link is down for this long when the session is to survive, and for this long when it is to be given up
/// (`lcp-timeout` is 5 s in `configs/demo`) and dialled again.
const SHORT_CUT: Duration = Duration::from_secs(3);
const LONG_CUT: Duration = Duration::from_secs(8);

/// As long as the slowest line takes, and more.
const SETTLE: Duration = Duration::from_millis(300);

/// Longer than any path takes.
const DRAIN: Duration = Duration::from_secs(2);

const PROGRESS_EVERY: Duration = Duration::from_secs(2);

/// Application pace of the TCP transfer: it is to run along, not to fill the machine.
const TCP_OCTETS_PER_S: u64 = 400_000;

impl<'a> Stage<'a> {
    pub(crate) fn new(
        lab: Lab,
        screen: &'a Screen,
        interrupt: &'a Interrupt,
        packets_per_s: u32,
    ) -> Self {
        Self {
            lab,
            screen,
            interrupt,
            packets_per_s,
        }
    }

    /// Starts both appliances and waits until every link is up and the LAN hosts reach each other.
    pub(crate) fn set_up(&mut self) -> Result<(), Failure> {
        for site in Site::BOTH {
            self.lab.start(site)?;
        }
        self.screen
            .event("both appliances started; L2TP and PPP come up by themselves");
        let time = self.wait_for_all_links()?;
        let links = self.lab.links().count();
        self.screen.event(&format!(
            "{links} links up at both ends after {}",
            millis(time)
        ));
        let (head, remote) = (self.lab.host(Site::Head), self.lab.host(Site::Remote));
        let ping = Ping::run(head, remote.address, 5)?;
        if ping.received == 0 {
            return Err(io::Error::other("the LAN hosts do not reach each other").into());
        }
        let text = format!("ping between the LAN hosts: {:.1} ms", ping.mean_ms);
        self.screen.event(&text);
        Ok(())
    }

    /// Waits in steps short enough for Ctrl-C.
    fn wait_for_all_links(&mut self) -> Result<Duration, Failure> {
        let started = Instant::now();
        loop {
            self.check()?;
            match self.lab.wait_until_set_up(Duration::from_millis(500)) {
                Ok(_) => return Ok(started.elapsed()),
                Err(error) if error.kind() != io::ErrorKind::TimedOut => return Err(error.into()),
                Err(error) if started.elapsed() > SET_UP_LIMIT => return Err(error.into()),
                Err(_) => (),
            }
        }
    }

    fn check(&mut self) -> Result<(), Failure> {
        if self.interrupt.is_asked() {
            return Err(Failure::Interrupted);
        }
        for site in Site::BOTH {
            self.lab.assert_running(site)?;
        }
        Ok(())
    }

    pub(crate) fn show_logs(&self) {
        for site in Site::BOTH {
            let log = std::fs::read_to_string(self.lab.log(site)).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            self.screen
                .line(&format!("--- {} wrote last:", site.name()));
            self.screen
                .line(&lines[lines.len().saturating_sub(15)..].join("\n"));
        }
    }

    /// Act 1. Says whether every packet was delivered once.
    pub(crate) fn links_die(&mut self) -> Result<bool, Failure> {
        self.screen.title("Act 1: links die while traffic flows");
        let mut traffic = Traffic::start(&self.lab, self.packets_per_s, true)?;
        let rate = grouped(self.packets_per_s.into());
        self.screen.event(&format!(
            "UDP {rate} packets/s of 200 octets each way, one TCP transfer, ping"
        ));
        self.hold(&mut traffic, Duration::from_secs(3))?;
        self.cut_each(&mut traffic)?;
        self.flap(&mut traffic)?;
        self.leave_one(&mut traffic)?;
        self.screen.event("the end; waiting for what is on its way");
        let result = traffic.stop(&self.lab)?;
        self.report_first_act(&result)
    }

    fn cut_each(&mut self, traffic: &mut Traffic) -> Result<(), Failure> {
        self.screen.event("ISP 1: the cable is pulled at head");
        self.lab.interface_down(1, Site::Head)?;
        self.hold(traffic, SHORT_CUT)?;
        self.lab.interface_up(1, Site::Head)?;
        self.restored(traffic, 1)?;

        self.screen
            .event("ISP 2: the cable is pulled at remote, for longer than a session lives");
        self.lab.interface_down(2, Site::Remote)?;
        self.hold(traffic, LONG_CUT)?;
        self.lab.interface_up(2, Site::Remote)?;
        self.restored(traffic, 2)?;

        self.screen.event("ISP 3: the ISP's own end goes dark");
        self.lab.carrier_down(3, Site::Head)?;
        self.hold(traffic, SHORT_CUT)?;
        self.lab.carrier_up(3, Site::Head)?;
        self.restored(traffic, 3)?;

        self.screen
            .event("ISP 1: the emulator is killed; the cables look fine, frames go nowhere");
        self.lab.kill_emulator(1)?;
        self.hold(traffic, LONG_CUT)?;
        self.lab.start_emulator(1)?;
        self.restored(traffic, 1)
    }

    fn flap(&mut self, traffic: &mut Traffic) -> Result<(), Failure> {
        self.screen.event("ISP 1 comes and goes, twice a second");
        for _ in 0..8 {
            self.lab.set_outage(1, true)?;
            self.hold(traffic, Duration::from_millis(250))?;
            self.lab.set_outage(1, false)?;
            self.hold(traffic, Duration::from_millis(250))?;
        }
        self.restored(traffic, 1)
    }

    fn leave_one(&mut self, traffic: &mut Traffic) -> Result<(), Failure> {
        self.screen.event("ISP 1 fails");
        self.lab.set_outage(1, true)?;
        self.hold(traffic, Duration::from_secs(2))?;
        self.screen
            .event("ISP 2 fails too: ISP 3, the slowest, carries all");
        self.lab.interface_down(2, Site::Head)?;
        self.hold(traffic, LONG_CUT)?;
        self.screen.event("ISP 1 and ISP 2 come back");
        self.lab.set_outage(1, false)?;
        self.lab.interface_up(2, Site::Head)?;
        self.restored(traffic, 1)?;
        self.restored(traffic, 2)?;
        self.hold(traffic, Duration::from_secs(2))
    }

    /// Lets time pass; says how things stand now and then.
    fn hold(&mut self, traffic: &mut Traffic, time: Duration) -> Result<(), Failure> {
        let until = Instant::now() + time;
        loop {
            self.check()?;
            traffic.observe(self.screen);
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(Duration::from_millis(100)));
        }
    }

    /// Waits until a link is a member at both ends and really carries both ways, so that never all are dead at once.
    fn restored(&mut self, traffic: &mut Traffic, link: usize) -> Result<(), Failure> {
        let started = Instant::now();
        let before = self.carried(link);
        loop {
            self.hold(traffic, Duration::from_millis(200))?;
            let now = self.carried(link);
            let is_carrying = [0, 1]
                .into_iter()
                .all(|side| match (before[side], now[side]) {
                    (Some(before), Some(now)) => now != before,
                    (None, Some(now)) => now > 0,
                    (_, None) => false,
                });
            if is_carrying && self.all_links_live() {
                let text = format!(
                    "ISP {link} carries again after {}",
                    millis(started.elapsed())
                );
                self.screen.event(&text);
                return Ok(());
            }
            if started.elapsed() > SET_UP_LIMIT {
                let text = format!("link {link} did not come back within {SET_UP_LIMIT:?}");
                return Err(io::Error::new(io::ErrorKind::TimedOut, text).into());
            }
        }
    }

    /// Copies received over a link, by site.
    fn carried(&self, link: usize) -> [Option<u64>; 2] {
        Site::BOTH.map(|site| Some(self.lab.status(site).ok()?.link(link)?.received_packets))
    }

    fn all_links_live(&self) -> bool {
        let all: Vec<usize> = self.lab.links().collect();
        Site::BOTH.into_iter().all(|site| {
            let status = self.lab.status(site);
            status.is_ok_and(|status| status.live_links() == all)
        })
    }

    fn report_first_act(&self, result: &Outcome) -> Result<bool, Failure> {
        let screen = self.screen;
        screen.title("Act 1, every packet accounted for");
        screen.table(
            &[
                "UDP",
                "sent",
                "received",
                "lost",
                "delivered twice",
                "mean",
                "p99",
                "longest gap",
            ],
            &Site::BOTH.map(|site| flow_row(&way(site), &result.flows[site as usize])),
        );
        if let (Some(transfer), Some(ping)) = (&result.transfer, &result.ping) {
            let rows = [transfer_row(transfer), ping_row(ping)];
            screen.table(&["also", "", "", ""], &rows);
        }
        self.report_links(&result.ledger);
        let faults: u64 = result
            .flows
            .iter()
            .map(|f| f.lost() + f.delivered_twice)
            .sum();
        let is_good = faults == 0 && result.is_rest_good();
        let drops: u64 = result.flows.iter().map(|flow| flow.receiver_drops).sum();
        if drops > 0 {
            screen.failure(&format!(
                "the measuring host itself dropped {drops} packets"
            ));
        }
        if is_good {
            screen.success("nothing was lost and nothing was delivered twice");
        } else {
            screen.failure("see the table");
        }
        Ok(is_good)
    }

    fn report_links(&self, ledger: &Ledger) {
        let mut rows = Vec::new();
        for from in Site::BOTH {
            let entries: Vec<_> = self
                .lab
                .links()
                .map(|link| ledger.entry(link, from))
                .collect();
            let wins: u64 = entries.iter().map(|entry| entry.won).sum();
            for (link, entry) in self.lab.links().zip(entries) {
                rows.push(vec![
                    Cell::plain(format!("ISP {link}, {}", way(from))),
                    Cell::count(entry.sent),
                    Cell::count(entry.arrived),
                    Cell::count(entry.lost()),
                    Cell::plain(percent(entry.lost(), entry.sent)),
                    Cell::count(entry.won),
                    Cell::plain(percent(entry.won, wins)),
                ]);
            }
        }
        let head = [
            "link",
            "copies sent",
            "carried",
            "lost",
            "",
            "came first",
            "",
        ];
        self.screen.table(&head, &rows);
    }

    /// Act 2: how much less is lost than on any link.
    pub(crate) fn links_lose(&mut self) -> Result<(), Failure> {
        self.screen
            .title("Act 2: links that lose packets all the time");
        self.screen
            .event("ISP 1 loses 2 %, ISP 2 loses 5 %, ISP 3 is switched off");
        self.lab.change_link(1, Direction::Both, "loss=2%")?;
        self.lab.change_link(2, Direction::Both, "loss=5%")?;
        self.lab.set_outage(3, true)?;
        let two = self.run_lossy(&[1, 2], Duration::from_secs(20))?;

        self.screen.event("ISP 3 is switched on and loses 10 %");
        self.lab.set_outage(3, false)?;
        self.lab.change_link(3, Direction::Both, "loss=10%")?;
        self.wait_for_all_links()?;
        let three = self.run_lossy(&[1, 2, 3], Duration::from_secs(20))?;
        self.lab
            .links()
            .try_for_each(|link| self.lab_perfect(link))?;

        self.screen
            .title("Act 2, loss of each link and what is left of it");
        let head = [
            "UDP",
            "sent",
            "ISP 1",
            "ISP 2",
            "ISP 3",
            "product",
            "lost after hal2tp",
            "",
        ];
        let rows: Vec<Vec<Cell>> = two.into_iter().chain(three).collect();
        self.screen.table(&head, &rows);
        Ok(())
    }

    fn lab_perfect(&mut self, link: usize) -> Result<(), Failure> {
        Ok(self.lab.change_link(link, Direction::Both, "loss=0")?)
    }

    /// Traffic over lossy links: one table row for each direction.
    fn run_lossy(&mut self, links: &[usize], time: Duration) -> Result<Vec<Vec<Cell>>, Failure> {
        let before = links
            .iter()
            .map(|link| self.lab.link_stats(*link))
            .collect::<io::Result<Vec<_>>>()?;
        let mut traffic = Traffic::start(&self.lab, self.packets_per_s, false)?;
        self.hold(&mut traffic, time)?;
        let result = traffic.stop(&self.lab)?;
        let after = links
            .iter()
            .map(|link| self.lab.link_stats(*link))
            .collect::<io::Result<Vec<_>>>()?;
        let mut rows = Vec::new();
        for site in Site::BOTH {
            let flow = &result.flows[site as usize];
            let mut row = vec![Cell::plain(way(site)), Cell::count(flow.sent)];
            let mut product = 1.0;
            for link in 0..3 {
                let Some((before, after)) = before.get(link).zip(after.get(link)) else {
                    row.push(Cell("off".to_owned(), Look::Faint));
                    continue;
                };
                let [before, after] = [before, after].map(|stats| match site {
                    Site::Head => stats.a_b.path,
                    Site::Remote => stats.b_a.path,
                });
                let (lost, of) = (after.lost - before.lost, after.received - before.received);
                product *= lost as f64 / of.max(1) as f64;
                row.push(Cell::plain(percent(lost, of)));
            }
            row.push(Cell::plain(format!("{:.3} %", 100.0 * product)));
            let left = format!("{:.3} %", 100.0 * flow.loss());
            row.push(Cell(left, Look::Good));
            row.push(Cell::plain(format!("{} packets", grouped(flow.lost()))));
            rows.push(row);
        }
        Ok(rows)
    }

    /// Leaves everything up until Ctrl-C.
    pub(crate) fn stay(&mut self) -> Result<(), Failure> {
        self.screen
            .title("The two sites stay up until Ctrl-C. In another terminal, as root, try:");
        for (what, command) in self.suggestions() {
            self.screen.line(&format!("  {what}"));
            self.screen.line(&format!("      {command}"));
        }
        self.screen.line("");
        loop {
            match self.check() {
                Err(Failure::Interrupted) => break,
                result => result?,
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        self.screen.event("taking the sites down");
        Ok(())
    }

    fn suggestions(&self) -> Vec<(&'static str, String)> {
        let lab = &self.lab;
        let programs = &lab.config().programs;
        let (hal2tp, wan) = (programs.hal2tp.display(), programs.wan.display());
        let isp = lab.link_control(2).display();
        let head = lab.namespace(Site::Head).name();
        let head_lan = lab.host(Site::Head).namespace.name();
        let remote = lab.host(Site::Remote).address;
        let socket = lab.socket(Site::Head);
        vec![
            (
                "ping across",
                format!("ip netns exec {head_lan} ping {remote}"),
            ),
            (
                "watch the head end",
                format!("{hal2tp} status --watch --socket {}", socket.display()),
            ),
            (
                "pull a cable",
                format!("ip -n {head} link set dev isp1 down"),
            ),
            ("put it back", format!("ip -n {head} link set dev isp1 up")),
            ("let an ISP fail", format!("{wan} tell {isp} outage on")),
            ("let it come back", format!("{wan} tell {isp} outage off")),
            (
                "make it bad",
                format!("{wan} tell {isp} set both delay=200ms jitter=50ms loss=20%"),
            ),
            ("see what it did", format!("{wan} tell {isp} stats")),
            (
                "read the log",
                format!("tail -f {}", lab.log(Site::Head).display()),
            ),
        ]
    }
}

/// Everything that flows during an act.
struct Traffic {
    /// By sending site.
    flows: [Flow; 2],
    transfer: Option<Transfer>,
    ping: Option<Ping>,
    ledger: Ledger,
    progress_at: Instant,
    /// Numbers sent when the last progress line was written: old enough by the next one to be counted as lost.
    settled: [u64; 2],
}

/// What came of it.
struct Outcome {
    flows: [FlowReport; 2],
    transfer: Option<io::Result<TransferReport>>,
    ping: Option<PingReport>,
    ledger: Ledger,
}

impl Traffic {
    fn start(lab: &Lab, packets_per_s: u32, has_company: bool) -> Result<Self, Failure> {
        let [head, remote] = Site::BOTH.map(|site| lab.host(site));
        // Each host is to know its gateway before the first number: what a kernel queues for ARP is short.
        Ping::run(head, remote.address, 1)?;
        // Until the copies of that ping have come over the slowest link.
        std::thread::sleep(SETTLE);
        let ledger = Ledger::open(lab)?;
        let (transfer, ping) = if has_company {
            let transfer = Transfer::start(TransferConfig {
                from: remote.clone(),
                to: head.clone(),
                port: 5003,
                octets: u64::MAX,
                octets_per_s: Some(TCP_OCTETS_PER_S),
            })?;
            (Some(transfer), Some(Ping::start(head, remote.address)?))
        } else {
            (None, None)
        };
        let flow = |from, to, port| Flow::start(FlowConfig::new(from, to, port, packets_per_s));
        Ok(Self {
            flows: [flow(head, remote, 5001)?, flow(remote, head, 5002)?],
            transfer,
            ping,
            ledger,
            progress_at: Instant::now(),
            settled: [0; 2],
        })
    }

    fn observe(&mut self, screen: &Screen) {
        if self.progress_at.elapsed() < PROGRESS_EVERY {
            return;
        }
        self.progress_at = Instant::now();
        let mut text = String::new();
        for (site, flow) in Site::BOTH.into_iter().zip(&self.flows) {
            let settled = std::mem::replace(&mut self.settled[site as usize], flow.sent());
            text += &format!(
                "{} {}, lost {}, twice {} | ",
                way(site),
                grouped(settled),
                grouped(flow.lost_below(settled)),
                grouped(flow.delivered_twice())
            );
        }
        screen.progress(text.trim_end_matches(" | "));
    }

    fn stop(mut self, lab: &Lab) -> Result<Outcome, Failure> {
        self.flows.iter().for_each(Flow::stop_sending);
        let transfer = self.transfer.map(Transfer::finish_now);
        let ping = self.ping.map(Ping::stop).transpose()?;
        let [head, remote] = self.flows;
        let flows = [head.stop(DRAIN)?, remote.stop(DRAIN)?];
        self.ledger.close(lab)?;
        Ok(Outcome {
            flows,
            transfer,
            ping,
            ledger: self.ledger,
        })
    }
}

impl Outcome {
    /// TCP arrived whole, ping was answered; its last request may still have been on its way when it was ended.
    fn is_rest_good(&self) -> bool {
        let is_intact =
            |result: &io::Result<TransferReport>| result.as_ref().is_ok_and(|t| t.is_intact);
        self.transfer.as_ref().is_none_or(is_intact)
            && self
                .ping
                .is_none_or(|ping| ping.lost() <= 1 && ping.duplicates == 0)
    }
}

fn flow_row(name: &str, flow: &FlowReport) -> Vec<Cell> {
    vec![
        Cell::plain(name),
        Cell::count(flow.sent),
        Cell::count(flow.received),
        Cell::fault(flow.lost()),
        Cell::fault(flow.delivered_twice),
        Cell::plain(millis(flow.latency.mean)),
        Cell::plain(millis(flow.latency.p99)),
        Cell::plain(millis(flow.longest_gap)),
    ]
}

fn transfer_row(result: &io::Result<TransferReport>) -> Vec<Cell> {
    let transfer = match result {
        Ok(transfer) => transfer,
        Err(error) => return vec![Cell::plain("TCP"), Cell(error.to_string(), Look::Bad)],
    };
    let (state, look) = match transfer.is_intact {
        true => ("intact", Look::Good),
        false => ("damaged", Look::Bad),
    };
    vec![
        Cell::plain("TCP"),
        Cell::plain(format!("{:.1} MB", transfer.octets as f64 / 1e6)),
        Cell::plain(format!("in {:.1} s", transfer.elapsed.as_secs_f64())),
        Cell(state.to_owned(), look),
    ]
}

fn ping_row(ping: &PingReport) -> Vec<Cell> {
    vec![
        Cell::plain("ping"),
        Cell::plain(format!("{} requests", ping.sent)),
        Cell::plain(format!("{} answered", ping.received)),
        Cell::plain(format!("{:.1} ms mean", ping.mean_ms)),
    ]
}
