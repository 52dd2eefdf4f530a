//! Everything that happened to one site's packets on their way to the other,
//! and the law: a packet that any link delivered is delivered once.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::time::Duration;

use dataplane::window::Window;

use crate::packets::{self, Copy, MORE, NOT_FIRST};
use crate::scenario::Scenario;
use crate::world::{POLL, TICK};

/// The elimination window of every epoch.
pub(crate) const WINDOW_NUMBERS: u64 = Window::MIN_NUMBERS;
/// The pieces of a packet that come within this time of each other are put together.
const REASSEMBLY: Duration = Duration::from_millis(1_900);

/// Whether a receiver takes a copy that comes now, from what it was commanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    Surely,
    /// Its session or epoch is being given up right now.
    Perhaps,
    No,
}

/// What was sent under a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sent {
    flags: u8,
    content: u64,
    /// Of a whole packet and of a first piece.
    serial: Option<u64>,
}

/// A copy that came, of a number that was sent.
struct Arrival {
    at: Duration,
    /// Which process of the receiver's it was.
    incarnation: u32,
    epoch: u32,
    number: u64,
    takes: Takes,
}

/// When the copies of one number came: the first that had to be taken, and the
/// first that could be.
#[derive(Clone, Copy, Debug, Default)]
struct Came {
    surely: Option<Duration>,
    perhaps: Option<Duration>,
}

impl Came {
    fn first(self) -> Option<Duration> {
        self.perhaps.into_iter().chain(self.surely).min()
    }
}

/// Numbers of one epoch, as one process of the receiver's saw them.
type Numbers = BTreeMap<u64, Came>;

/// By the process of the receiver's and the epoch.
type Seen = HashMap<(u32, u32), Numbers>;

/// What became of a site's packets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Summary {
    pub(crate) delivered: usize,
    /// Copies that came when the window was past them.
    pub(crate) too_late: usize,
}

pub(crate) struct Ledger {
    scenario: Scenario,
    site: usize,
    sent: BTreeMap<(u32, u64), Sent>,
    /// Digests of all frames sent, and of what their datagrams carry.
    frames: HashSet<u64>,
    messages: HashSet<u64>,
    arrivals: Vec<Arrival>,
    /// When processes of the receiver's ended.
    ends: BTreeMap<u32, Duration>,
    /// In their order.
    deliveries: Vec<(u64, Duration)>,
}

impl Ledger {
    pub(crate) fn new(scenario: Scenario, site: usize) -> Self {
        Self {
            scenario,
            site,
            sent: BTreeMap::new(),
            frames: HashSet::new(),
            messages: HashSet::new(),
            arrivals: Vec::new(),
            ends: BTreeMap::new(),
            deliveries: Vec::new(),
        }
    }

    /// A copy left on a link, in this frame.
    pub(crate) fn leaves(&mut self, copy: &Copy<'_>, frame: &[u8]) -> Result<(), String> {
        self.frames.insert(digest(frame));
        self.messages.insert(digest(packets::message(frame)));
        let first = copy.flags & NOT_FIRST == 0;
        let sent = Sent {
            flags: copy.flags,
            content: digest(copy.content),
            serial: first.then(|| packets::serial(copy.content)).flatten(),
        };
        let before = *self.sent.entry((copy.epoch, copy.number)).or_insert(sent);
        if before != sent {
            return Err(format!(
                "copies differ: {before:?} and {sent:?} as {copy:?}"
            ));
        }
        Ok(())
    }

    /// A copy in a frame that came out of a link, unless it was damaged so that
    /// it must be found out. With it, whether it is as it was sent: damage that
    /// no checksum covers does no harm.
    pub(crate) fn copy<'a>(&self, frame: &'a [u8]) -> Option<(Copy<'a>, bool)> {
        let whole = self.frames.contains(&digest(frame));
        if !whole && !self.messages.contains(&digest(packets::message(frame))) {
            return None;
        }
        Some((Copy::read(frame)?, whole))
    }

    /// A copy came to a process of the receiver's, which takes it or does not.
    pub(crate) fn arrives(
        &mut self,
        at: Duration,
        incarnation: u32,
        copy: &Copy<'_>,
        takes: Takes,
    ) {
        self.arrivals.push(Arrival {
            at,
            incarnation,
            epoch: copy.epoch,
            number: copy.number,
            takes,
        });
    }

    /// A process of the receiver's ends, and with it whatever waits there.
    pub(crate) fn ends(&mut self, at: Duration, incarnation: u32) {
        self.ends.insert(incarnation, at);
    }

    /// A packet reached the host behind the receiver.
    pub(crate) fn delivered(&mut self, at: Duration, packet: &[u8]) -> Result<(), String> {
        let serial = packets::serial(packet).ok_or("no packet of ours was delivered")?;
        let expected = packets::packet(&self.scenario, self.site, serial);
        if packet != packets::delivered(expected) {
            return Err(format!("packet {serial} was changed on its way"));
        }
        self.deliveries.push((serial, at));
        Ok(())
    }

    /// The law.
    pub(crate) fn judge(&self) -> Result<Summary, String> {
        self.check_numbers()?;
        let (seen, too_late) = self.seen();
        let mut delivered: BTreeMap<u64, Vec<Duration>> = BTreeMap::new();
        for &(serial, at) in &self.deliveries {
            delivered.entry(serial).or_default().push(at);
        }
        let packets = self.packets()?;
        let mut summary = Summary {
            too_late,
            ..Summary::default()
        };
        let mut all_came = BTreeMap::new();
        for (serial, run) in packets {
            let came = self.came(&run, &seen);
            let delivered = delivered.remove(&serial).unwrap_or_default();
            self.judge_packet(came, &delivered).map_err(|problem| {
                format!("packet {serial} of site {}, {run:?}: {problem}", self.site)
            })?;
            summary.delivered += delivered.len();
            all_came.insert(serial, (run, came));
        }
        if !delivered.is_empty() {
            return Err(format!("delivered, but never sent: {delivered:?}"));
        }
        if self.scenario.ordering_ms.is_some() {
            self.judge_order(&all_came)?;
        }
        Ok(summary)
    }

    /// When some process of the receiver's had a packet whole.
    fn came(&self, run: &Run, seen: &Seen) -> Came {
        let mut all = Came::default();
        for (&(incarnation, epoch), numbers) in seen {
            if epoch != run.epoch {
                continue;
            }
            let came = run.came(numbers);
            let end = self.ends.get(&incarnation).copied();
            let in_time = |&at: &Duration| end.is_none_or(|end| at + self.patience() < end);
            let surely = came.surely.filter(in_time);
            all.surely = all.surely.into_iter().chain(surely).min();
            all.perhaps = all.perhaps.into_iter().chain(came.first()).min();
        }
        all
    }

    /// How long a packet that came may wait for its turn.
    fn patience(&self) -> Duration {
        self.scenario.ordering_ms.map_or(Duration::ZERO, |ms| {
            Duration::from_millis(ms.into()) + TICK + POLL
        })
    }

    fn judge_packet(&self, came: Came, delivered: &[Duration]) -> Result<(), String> {
        let patience = self.patience();
        let fails = |what: &str| Err(format!("{what}: {came:?}, delivered at {delivered:?}"));
        match (came.first(), delivered) {
            (_, [_, _, ..]) => fails("delivered twice"),
            (None, [_]) => fails("delivered, but never came"),
            (Some(first), &[at]) if at < first => fails("delivered before it came"),
            (_, &[at]) if came.surely.is_some_and(|it| at > it + patience) => fails("held up"),
            (_, []) if came.surely.is_some() => fails("never delivered"),
            _ => Ok(()),
        }
    }

    /// No packet that was there when a higher number left may leave after it.
    fn judge_order(&self, all_came: &BTreeMap<u64, (Run, Came)>) -> Result<(), String> {
        // Of each epoch, the highest number that has left, and when.
        let mut highest: HashMap<u32, (u64, Duration)> = HashMap::new();
        for &(serial, at) in &self.deliveries {
            let Some((run, came)) = all_came.get(&serial) else {
                continue;
            };
            let (number, left_at) = highest.entry(run.epoch).or_insert((run.first, at));
            if run.first > *number {
                (*number, *left_at) = (run.first, at);
            } else if came.surely.is_some_and(|came| came < *left_at) {
                return Err(format!(
                    "packet {serial} of site {} left behind number {number}: {run:?}, {came:?}",
                    self.site
                ));
            }
        }
        Ok(())
    }

    /// The packets that were sent, by their serial numbers.
    fn packets(&self) -> Result<BTreeMap<u64, Run>, String> {
        let mut runs = BTreeMap::new();
        let mut open: Option<(u64, Run)> = None;
        for (&(epoch, number), sent) in &self.sent {
            let (serial, mut run) = match (sent.serial, open.take()) {
                (Some(serial), _) => (serial, Run::new(epoch, number)),
                (None, Some((serial, run))) if (run.epoch, run.end()) == (epoch, number) => {
                    (serial, run)
                }
                // Its first piece was withheld on all links.
                (None, _) => continue,
            };
            run.numbers += 1;
            run.complete = sent.flags & MORE == 0;
            if run.complete {
                if runs.insert(serial, run).is_some() {
                    return Err(format!("packet {serial} was sent under two numbers"));
                }
            } else {
                open = Some((serial, run));
            }
        }
        Ok(runs)
    }

    /// Numbers that were never sent would look like losses to the other end.
    fn check_numbers(&self) -> Result<(), String> {
        let numbers: Vec<_> = self.sent.keys().collect();
        let gap = |pair: &&[&(u32, u64)]| {
            let [one, next] = pair else { return false };
            one.0 == next.0 && one.1 + 1 != next.1
        };
        match numbers.windows(2).find(gap) {
            // A slow link may for a while be the only one.
            Some(gap) if !self.scenario.number_gaps && !self.scenario.slow_link => {
                Err(format!("a gap: {gap:?}"))
            }
            _ => Ok(()),
        }
    }

    /// What each process of the receiver's had to take, and could; and how many
    /// copies were too late.
    fn seen(&self) -> (Seen, usize) {
        let mut all: HashMap<_, (u64, Numbers)> = HashMap::new();
        let mut too_late = 0;
        for together in self.arrivals.chunk_by(|one, other| one.at == other.at) {
            let taken = || together.iter().filter(|it| it.takes != Takes::No);
            // Workers may see what comes at once in any order.
            for arrival in taken() {
                let key = (arrival.incarnation, arrival.epoch);
                let (newest, _) = all.entry(key).or_default();
                *newest = arrival.number.max(*newest);
            }
            for arrival in taken() {
                let key = (arrival.incarnation, arrival.epoch);
                let Some((newest, numbers)) = all.get_mut(&key) else {
                    continue;
                };
                let inside = *newest - arrival.number <= WINDOW_NUMBERS - 32;
                let came = numbers.entry(arrival.number).or_default();
                too_late += usize::from(!inside);
                if inside && arrival.takes == Takes::Surely {
                    came.surely.get_or_insert(arrival.at);
                } else {
                    came.perhaps.get_or_insert(arrival.at);
                }
            }
        }
        let numbers = |(key, (_, numbers))| (key, numbers);
        (all.into_iter().map(numbers).collect(), too_late)
    }
}

/// The numbers of one packet: one, or one for each piece.
#[derive(Clone, Copy, Debug)]
struct Run {
    epoch: u32,
    first: u64,
    numbers: u64,
    /// The last piece was sent, too.
    complete: bool,
}

impl Run {
    fn new(epoch: u32, first: u64) -> Self {
        Self {
            epoch,
            first,
            numbers: 0,
            complete: false,
        }
    }

    fn end(&self) -> u64 {
        self.first + self.numbers
    }

    /// When the packet was there whole.
    fn came(&self, numbers: &Numbers) -> Came {
        let pieces: Option<Vec<Came>> = (self.first..self.end())
            .map(|number| numbers.get(&number).copied())
            .collect();
        let Some(pieces) = pieces.filter(|_| self.complete) else {
            return Came::default();
        };
        let last = |of: fn(Came) -> Option<Duration>| -> Option<Duration> {
            let times: Option<Vec<_>> = pieces.iter().map(|&piece| of(piece)).collect();
            times?.into_iter().max()
        };
        let began = pieces.iter().filter_map(|piece| piece.first()).min();
        let together = |&last: &Duration| began.is_some_and(|began| last - began < REASSEMBLY);
        Came {
            surely: last(|piece| piece.surely).filter(together),
            perhaps: last(Came::first),
        }
    }
}

fn digest(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
