//! Two sites, the links between them, and what a scenario has in store for them.

use std::collections::BTreeMap;
use std::time::Duration;

use dpdk::Mempool;
use rand::Rng;
use rand::rngs::StdRng;
use wan_model::impairment::Impairments;
use wan_model::path::Path;

use crate::instance::{Fault, GRACE};
use crate::ledger::{Ledger, Summary};
use crate::link::Call;
use crate::machine;
use crate::packets::{self, Copy};
use crate::process::Process;
use crate::scenario::{Loss, Outage, Restart, Scenario};

const BUFFERS: u32 = 8192;
/// Workers look at their queues this often; whatever comes in between comes together.
pub(crate) const POLL: Duration = Duration::from_micros(100);
/// And this often even when nothing comes in, where packets wait for their turn.
pub(crate) const TICK: Duration = Duration::from_millis(2);
/// Of the quickest link.
const DELAY: Duration = Duration::from_millis(5);
const TRAFFIC_STARTS: Duration = Duration::from_millis(500);
const TRAFFIC_ENDS: Duration = Duration::from_secs(8);
/// All that is on its way by then has come, and had its turn.
const TICKS_END: Duration = Duration::from_secs(9);
/// From the first outage's start, or the first restart.
const TROUBLE_STARTS: Duration = Duration::from_millis(1_500);
/// Bursts of packets come this often, on the mean.
const BURSTS_MS: u64 = 26;

/// What happens at its time.
#[derive(Clone, Copy, Debug)]
enum Step {
    Start {
        site: usize,
    },
    Stop {
        site: usize,
    },
    Dial {
        link: usize,
    },
    Open {
        site: usize,
        call: u16,
    },
    Leave {
        site: usize,
        link: usize,
    },
    /// What a process received for a grace time may be over.
    Retire {
        site: usize,
    },
    /// Packets come from a site's host.
    Burst {
        site: usize,
    },
    SkipNumbers {
        site: usize,
    },
    Outage {
        link: usize,
        on: bool,
    },
    Tick,
    /// The next link loses everything; the one before does not any more.
    LossMoves {
        link: usize,
    },
}

pub(crate) struct World {
    scenario: Scenario,
    fault: Fault,
    rng: StdRng,
    now: Duration,
    steps: BTreeMap<(Duration, u64), Step>,
    scheduled: u64,
    processes: [Option<Process>; 2],
    incarnations: [u32; 2],
    calls: u16,
    /// By link (the first is 1), then by the site that sends.
    paths: Vec<[Path; 2]>,
    mtus: Vec<u16>,
    /// By the site that sends.
    ledgers: [Ledger; 2],
    serials: [u64; 2],
    pool: Mempool,
    /// What the workers counted wrongly. The law comes first.
    miscounted: Result<(), String>,
}

impl World {
    /// Runs a scenario to its end, and says what came of each site's packets,
    /// or what was wrong.
    pub(crate) fn run(scenario: Scenario, fault: Fault) -> Result<[Summary; 2], String> {
        let mut world = Self::new(scenario, fault);
        world.write_script();
        while let Some(due) = world.next_due() {
            world.advance(due)?;
        }
        world.finish()
    }

    fn new(scenario: Scenario, fault: Fault) -> Self {
        let mut rng = scenario.rng(1);
        let outer_octets = if scenario.outer_ipv6 { 70 } else { 50 };
        let mtus = (0..scenario.links).map(|_| match scenario.small_links {
            true => rng.random_range(576 - 50..=1500 - outer_octets),
            false => 1500 - outer_octets,
        });
        Self {
            mtus: mtus.collect(),
            scenario,
            fault,
            now: Duration::ZERO,
            steps: BTreeMap::new(),
            scheduled: 0,
            processes: [None, None],
            incarnations: [0; 2],
            calls: 0,
            paths: (0..scenario.links)
                .map(|link| [0, 1].map(|site| path(&scenario, link, site)))
                .collect(),
            ledgers: [0, 1].map(|site| Ledger::new(scenario, site)),
            serials: [0; 2],
            pool: machine::pool(BUFFERS),
            miscounted: Ok(()),
            rng,
        }
    }

    fn at(&mut self, time: Duration, step: Step) {
        self.scheduled += 1;
        self.steps.insert((time, self.scheduled), step);
    }

    fn after_ms(&mut self, range: std::ops::Range<u64>, step: Step) {
        let wait = Duration::from_millis(self.rng.random_range(range));
        self.at(self.now + wait, step);
    }

    fn write_script(&mut self) {
        for site in [0, 1] {
            self.at(Duration::ZERO, Step::Start { site });
            self.at(TRAFFIC_STARTS, Step::Burst { site });
            if self.scenario.number_gaps {
                self.at(TRAFFIC_STARTS, Step::SkipNumbers { site });
            }
        }
        if self.scenario.ordering_ms.is_some() {
            self.at(TRAFFIC_STARTS, Step::Tick);
        }
        self.write_outages();
        self.write_restarts();
        if self.scenario.loss == Loss::AlternatingBursts {
            self.at(TRAFFIC_STARTS, Step::LossMoves { link: 1 });
        }
    }

    fn write_outages(&mut self) {
        let start = TROUBLE_STARTS;
        let links = self.scenario.links;
        match self.scenario.outage {
            Outage::None => (),
            Outage::One => {
                let link = self.rng.random_range(1..=links);
                self.outage(link, start, Duration::from_secs(3));
                for site in [0, 1] {
                    let noticed = Duration::from_millis(self.rng.random_range(800..1200));
                    self.at(start + noticed, Step::Leave { site, link });
                }
                let over = start + Duration::from_millis(3_100);
                self.at(over, Step::Dial { link });
            }
            Outage::Rotating => {
                let turn = Duration::from_millis(500);
                for round in 0..10 {
                    let link = 1 + round as usize % links;
                    self.outage(link, start + round * turn, turn * 4 / 5);
                }
            }
            Outage::All => {
                for link in 1..=links {
                    self.outage(link, start, Duration::from_secs(5));
                }
            }
        }
    }

    fn outage(&mut self, link: usize, start: Duration, length: Duration) {
        self.at(start, Step::Outage { link, on: true });
        self.at(start + length, Step::Outage { link, on: false });
    }

    fn write_restarts(&mut self) {
        let sites: &[usize] = match self.scenario.restart {
            Restart::None => &[],
            Restart::Dialling => &[0],
            Restart::Dialled => &[1],
            Restart::Both => &[0, 1],
        };
        for &site in sites {
            let down_ms = if self.scenario.quick_restart {
                1..20
            } else {
                100..700
            };
            let stop = self.rng.random_range(1_000..2_000);
            let start = stop + self.rng.random_range(down_ms);
            let at = |ms| TROUBLE_STARTS + Duration::from_millis(ms);
            self.at(at(stop), Step::Stop { site });
            self.at(at(start), Step::Start { site });
        }
    }

    fn next_due(&self) -> Option<Duration> {
        let step = self.steps.first_key_value().map(|((at, _), _)| *at);
        let paths = self.paths.iter().flatten().filter_map(Path::next_due);
        paths.chain(step).min()
    }

    /// Everything that is due by the first look at the queues after `due`.
    fn advance(&mut self, due: Duration) -> Result<(), String> {
        let polls = due.as_nanos().div_ceil(POLL.as_nanos());
        self.now = self.now.max(POLL * polls as u32);
        while let Some(entry) = self.steps.first_entry() {
            if entry.key().0 > self.now {
                break;
            }
            let step = entry.remove();
            self.step(step);
        }
        self.carry();
        for site in [0, 1] {
            self.let_work(site)?;
        }
        Ok(())
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Start { site } => self.start(site),
            Step::Stop { site } => self.stop(site),
            Step::Dial { link } => self.dial(link),
            Step::Open { site, call } => self.open(site, call),
            Step::Leave { site, link } => self.leave(site, link),
            Step::Retire { site } => {
                if let Some(process) = &mut self.processes[site] {
                    process.retire(self.now);
                }
            }
            Step::Burst { site } => self.burst(site),
            Step::SkipNumbers { site } => self.skip_numbers(site),
            Step::Outage { link, on } => {
                for path in &mut self.paths[link - 1] {
                    let outage = on;
                    let settings = path.settings().clone();
                    path.set(Impairments { outage, ..settings });
                }
            }
            Step::LossMoves { link } => self.move_loss(link),
            Step::Tick => {
                if self.now < TICKS_END {
                    self.at(self.now + TICK, Step::Tick);
                }
            }
        }
    }

    fn start(&mut self, site: usize) {
        self.incarnations[site] += 1;
        self.processes[site] = Some(Process::new(
            self.scenario,
            self.fault,
            site,
            self.incarnations[site],
            self.pool.clone(),
        ));
        let wait_ms = if self.scenario.quick_restart { 50 } else { 300 };
        for link in 1..=self.scenario.links {
            self.after_ms(0..wait_ms, Step::Dial { link });
        }
    }

    fn stop(&mut self, site: usize) {
        if let Some(process) = self.processes[site].take() {
            self.ledgers[1 - site].ends(self.now, process.incarnation);
            self.audited(process.audit());
        }
    }

    fn audited(&mut self, outcome: Result<(), String>) {
        if self.miscounted.is_ok() {
            self.miscounted = outcome;
        }
    }

    fn dial(&mut self, link: usize) {
        let [Some(dialling), Some(dialled)] = &mut self.processes else {
            // Whoever starts dials.
            return;
        };
        if self.paths[link - 1][0].settings().outage {
            self.after_ms(400..600, Step::Dial { link });
            return;
        }
        self.calls += 1;
        let rng = &mut self.rng;
        let call = Call {
            id: self.calls,
            link,
            incarnations: [dialling.incarnation, dialled.incarnation],
            epochs: [
                dialling.epoch_for(dialled.incarnation, rng),
                dialled.epoch_for(dialling.incarnation, rng),
            ],
            mtu: self.mtus[link - 1],
        };
        for process in [dialling, dialled] {
            process.admit(call);
            // Nothing that lets the peer send leaves before this is done.
            process.poll(self.now, rng);
        }
        for site in [0, 1] {
            let call = call.id;
            self.after_ms(1..100, Step::Open { site, call });
        }
    }

    fn open(&mut self, site: usize, call: u16) {
        if let Some(process) = &mut self.processes[site] {
            process.open(self.now, call);
            self.retire_later(site);
        }
    }

    fn leave(&mut self, site: usize, link: usize) {
        let Some(process) = &mut self.processes[site] else {
            return;
        };
        if let Some(call) = process.call_on(link) {
            process.leave(self.now, call);
            self.retire_later(site);
        }
    }

    fn retire_later(&mut self, site: usize) {
        self.at(self.now + GRACE, Step::Retire { site });
    }

    fn burst(&mut self, site: usize) {
        let packets = match self.rng.random_range(0..10) {
            0..7 => self.rng.random_range(1..=4),
            _ => self.rng.random_range(1..=32),
        };
        if let Some(process) = &mut self.processes[site] {
            for _ in 0..packets {
                let packet = packets::packet(&self.scenario, site, self.serials[site]);
                self.serials[site] += 1;
                process.offer(0, &packets::from_host(site, &packet), &mut self.rng);
            }
        }
        if self.now < TRAFFIC_ENDS {
            self.after_ms(0..2 * BURSTS_MS, Step::Burst { site });
        }
    }

    fn skip_numbers(&mut self, site: usize) {
        let count = self.rng.random_range(0..60_000);
        if let Some(process) = &mut self.processes[site] {
            process.skip_numbers(count);
        }
        if self.now < TRAFFIC_ENDS {
            self.after_ms(0..200, Step::SkipNumbers { site });
        }
    }

    fn move_loss(&mut self, link: usize) {
        for (index, paths) in self.paths.iter_mut().enumerate() {
            for path in paths {
                let loss = if index + 1 == link { 1.0 } else { 0.0 };
                let settings = path.settings().clone();
                path.set(Impairments { loss, ..settings });
            }
        }
        if self.now < TRAFFIC_ENDS {
            let link = link % self.scenario.links + 1;
            self.after_ms(20..120, Step::LossMoves { link });
        }
    }

    /// Brings in what comes out of the links. The workers may have turns in between.
    fn carry(&mut self) {
        for link in 1..=self.scenario.links {
            for sender in [0, 1] {
                while let Some(frame) = self.paths[link - 1][sender].take_due(self.now) {
                    self.bring_in(link, sender, &frame);
                }
            }
        }
    }

    fn bring_in(&mut self, link: usize, sender: usize, frame: &[u8]) {
        let Some(process) = &mut self.processes[1 - sender] else {
            return;
        };
        let ledger = &mut self.ledgers[sender];
        if let Some((copy, whole)) = ledger.copy(frame) {
            let takes = process.take_in(&copy, whole);
            ledger.arrives(self.now, process.incarnation, &copy, takes);
        } else if let (Fault::MarksBeforeChecking, Some(copy)) = (self.fault, Copy::read(frame)) {
            process.mark(&copy);
        }
        process.offer(link, frame, &mut self.rng);
        if self.rng.random_ratio(1, 8) {
            process.poll_one(self.now, &mut self.rng);
        }
    }

    fn let_work(&mut self, site: usize) -> Result<(), String> {
        let Some(process) = &mut self.processes[site] else {
            return Ok(());
        };
        process.poll(self.now, &mut self.rng);
        for link in 1..=self.scenario.links {
            for frame in process.take(link) {
                let copy = Copy::read(&frame).ok_or("what left is no copy")?;
                self.ledgers[site].leaves(&copy, &frame)?;
                process.left(&copy);
                self.paths[link - 1][site].offer(self.now, frame);
            }
        }
        for frame in process.take(0) {
            let packet = packets::to_host(site, &frame)?;
            self.ledgers[1 - site].delivered(self.now, packet)?;
        }
        let settled = process.settle();
        self.audited(settled);
        Ok(())
    }

    fn finish(mut self) -> Result<[Summary; 2], String> {
        let [there, back] = &self.ledgers;
        let summaries = [there.judge()?, back.judge()?];
        for site in [0, 1] {
            self.stop(site);
        }
        self.miscounted?;
        if self.pool.available() != BUFFERS {
            return Err(format!("{} buffers came back", self.pool.available()));
        }
        Ok(summaries)
    }
}

/// One direction of a link, as it is without outages.
fn path(scenario: &Scenario, link: usize, site: usize) -> Path {
    let skew = Duration::from_millis(scenario.skew_ms);
    let share = |percent: u8| f64::from(percent) / 100.0;
    let settings = Impairments {
        delay: DELAY + skew * link as u32 / (scenario.links as u32 - 1),
        jitter: Duration::from_millis(1),
        loss: match scenario.loss {
            Loss::Percent(percent) => share(percent),
            Loss::AlternatingBursts => 0.0,
        },
        reorder: if scenario.reorder { 0.1 } else { 0.0 },
        reorder_by: Duration::from_millis(20),
        duplicate: if scenario.noise { 0.02 } else { 0.0 },
        corrupt: if scenario.noise { 0.02 } else { 0.0 },
        ..Impairments::default()
    };
    Path::new(
        settings,
        scenario.derived_seed(0x20 + 2 * link as u64 + site as u64),
    )
}
