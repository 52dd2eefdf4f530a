//! Whoever asks for the whole status, and what is said of ports and workers in it.
//!
//! Tens of thousands of links take most of a second to write down, and who is not heard for so long loses echoes, links and set-ups. So
//! a status is written in slices, between which the control thread does its work.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dataplane::counters::{Drop, PortCounters};
use dataplane::{DeviceCounters, PortInfo};

use super::{Appliance, PortLink};
use crate::alarms::Alarms;
use crate::engine::{Snapshot, display_mac};
use crate::management::request::{Answer, Request};
use crate::management::status::{self, LinkState, Status};

/// What a slice may take at least, and at most: what comes meanwhile must fit the ring of the workers' events.
const SHORTEST_SLICE: Duration = Duration::from_micros(500);
const LONGEST_SLICE: Duration = Duration::from_millis(5);
/// Lines between two looks at the clock.
const LINES: u32 = 16;

/// Those who wait for a status.
#[derive(Default)]
pub(super) struct Askers {
    now: Vec<Request>,
    /// What is written for them, once it is begun.
    snapshot: Option<Snapshot>,
    /// Who asked after that: they may know of something that it does not say.
    next: Vec<Request>,
}

impl Askers {
    pub(super) fn ask(&mut self, request: Request) {
        let waiting = match self.snapshot {
            Some(_) => &mut self.next,
            None => &mut self.now,
        };
        waiting.push(request);
    }

    /// Whether anybody waits. Nothing is begun for those who have given up.
    fn are_waiting(&mut self) -> bool {
        if self.snapshot.is_none() {
            self.now.retain(Request::is_awaited);
        }
        !self.now.is_empty()
    }

    /// Has the status written on by `write`, which says when all is written. Then everybody is answered with what `complete`
    /// makes of it.
    fn go_on(
        &mut self,
        write: impl FnOnce(&mut Snapshot) -> bool,
        complete: impl FnOnce(Status) -> Status,
    ) {
        let mut snapshot = self.snapshot.take().unwrap_or_default();
        if !write(&mut snapshot) {
            self.snapshot = Some(snapshot);
            return;
        }
        let status = Arc::new(complete(snapshot.into_status()));
        let askers = std::mem::replace(&mut self.now, std::mem::take(&mut self.next));
        for asker in askers {
            asker.answer(Answer::Status(Arc::clone(&status)));
        }
    }
}

/// How long the status may be written after a turn that took so long: half of the time is its own, however much there is to do, as
/// long as turns are short.
fn slice(turn: Duration) -> Duration {
    turn.clamp(SHORTEST_SLICE, LONGEST_SLICE)
}

impl Appliance {
    /// Writes on at the status that somebody waits for, after a turn that took so long. Says whether there was anything to do.
    pub(super) fn write_status(
        &self,
        askers: &mut Askers,
        alarms: &Alarms,
        turn: Duration,
    ) -> bool {
        if !askers.are_waiting() {
            return false;
        }
        let now = self.started.elapsed();
        let until = Instant::now() + slice(turn);
        let mut lines = 0;
        let goes_on = || {
            lines += 1;
            lines % LINES != 0 || Instant::now() < until
        };
        askers.go_on(
            |snapshot| self.engine.continue_snapshot(now, snapshot, goes_on),
            |status| self.complete(status, alarms),
        );
        true
    }

    /// Adds what the engine does not know.
    fn complete(&self, mut status: Status, alarms: &Alarms) -> Status {
        status.dataplane = status::Dataplane {
            dpdk_version: self
                .dataplane
                .dpdk_version()
                .trim_start_matches("DPDK ")
                .to_owned(),
            hugepages: self.dataplane.uses_hugepages(),
            workers: self
                .workers
                .iter()
                .map(|&core| status::Worker { core })
                .collect(),
            drops: drops_of(&self.dataplane.control_counters()),
        };
        status.ports = self
            .ports
            .iter()
            .zip(self.dataplane.ports())
            .map(|(link, port)| self.port(link, port))
            .collect();
        status.history = self.history.status();
        status.events = alarms.counts();
        status.alarms = alarms.notifiers();
        status
    }

    fn port(&self, link: &PortLink, port: &PortInfo) -> status::Port {
        let workers = self.dataplane.port_counters(port.id);
        let total =
            |read: fn(&PortCounters) -> u64| workers.iter().map(|counters| read(counters)).sum();
        let mut drops = drops_of(workers);
        drops.extend(device_drops(self.dataplane.device_counters(port.id)));
        status::Port {
            name: port.name.clone(),
            device: link.device.clone(),
            driver: port.driver.clone(),
            mac: display_mac(port.mac),
            link: if link.up == Some(true) {
                LinkState::Up
            } else {
                LinkState::Down
            },
            mtu: port.mtu,
            received_packets: total(|counters| counters.received_packets.read()),
            received_octets: total(|counters| counters.received_octets.read()),
            sent_packets: total(|counters| counters.sent_packets.read()),
            sent_octets: total(|counters| counters.sent_octets.read()),
            punted_packets: total(|counters| counters.punted_packets.read()),
            reassembled_packets: total(|counters| counters.reassembled_packets.read()),
            reassembled_fragments: total(|counters| counters.reassembled_fragments.read()),
            drops,
            per_worker: workers
                .iter()
                .map(|worker| status::PortWorker {
                    drops: drops_of(std::slice::from_ref(worker)),
                })
                .collect(),
        }
    }
}

/// What all workers dropped, by reason; reasons with none are left out.
fn drops_of(workers: &[Arc<PortCounters>]) -> BTreeMap<String, u64> {
    let count = |reason| -> u64 {
        let counters = workers.iter();
        counters.map(|counters| counters.drops.read(reason)).sum()
    };
    let named = |&reason: &Drop| (reason.name().to_owned(), count(reason));
    let all = Drop::ALL.iter().map(named);
    all.filter(|&(_, count)| count > 0).collect()
}

/// What the device dropped before a worker saw it, or after.
fn device_drops(counters: DeviceCounters) -> impl Iterator<Item = (String, u64)> {
    [
        ("device-receive-missed", counters.receive_missed_packets),
        ("device-receive-errors", counters.receive_errors),
        ("device-no-buffer", counters.receive_no_buffer),
        ("device-send-errors", counters.send_errors),
    ]
    .into_iter()
    .filter(|&(_, count)| count > 0)
    .map(|(name, count)| (name.to_owned(), count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::management::drops::reasons;
    use crate::management::request::{Question, channel};

    #[test]
    fn a_slice_is_as_long_as_the_turn_before_within_bounds() {
        let ms = Duration::from_millis;
        let slices = [0, 2, 1000].map(|turn_ms| slice(ms(turn_ms)));
        assert_eq!(slices, [SHORTEST_SLICE, ms(2), LONGEST_SLICE]);
    }

    /// What somebody did before they asked is in what they are told.
    #[test]
    fn who_asks_while_a_status_is_written_waits_for_the_next() {
        let (asker, requests) = channel();
        let ask = || {
            let asker = asker.clone();
            let asked = std::thread::spawn(move || asker.ask(Question::Status));
            (requests.recv().unwrap(), asked)
        };
        let told = |asked: std::thread::JoinHandle<Answer>| match asked.join().unwrap() {
            Answer::Status(status) => status.name.clone(),
            other => panic!("{other:?}"),
        };
        let named = |name: &'static str| {
            move |status| Status {
                name: name.to_owned(),
                ..status
            }
        };
        let mut askers = Askers::default();
        assert!(!askers.are_waiting());
        let [first, second, third] = [ask(), ask(), ask()];
        askers.ask(first.0);
        askers.ask(second.0);
        askers.go_on(|_| false, |_| panic!("it is not whole yet"));
        askers.ask(third.0);
        askers.go_on(|_| true, named("first"));
        assert_eq!([first.1, second.1].map(told), ["first", "first"]);
        assert!(askers.are_waiting());
        askers.go_on(|_| true, named("next"));
        assert_eq!(told(third.1), "next");
        assert!(!askers.are_waiting());
    }

    #[test]
    fn nothing_is_written_for_who_has_given_up() {
        let (asker, requests) = channel();
        let unanswered = asker.try_ask_for(Question::Status, Duration::ZERO);
        assert!(unanswered.is_err());
        let mut askers = Askers::default();
        askers.ask(requests.recv().unwrap());
        assert!(!askers.are_waiting());
    }

    #[test]
    fn what_a_device_drops_has_a_name() {
        let counters = DeviceCounters {
            receive_missed_packets: 7,
            send_errors: 2,
            ..DeviceCounters::default()
        };
        let drops: Vec<_> = device_drops(counters).collect();
        let expected = [("device-receive-missed", 7), ("device-send-errors", 2)];
        assert_eq!(
            drops,
            expected.map(|(name, count)| (name.to_owned(), count))
        );
        let all = device_drops(DeviceCounters {
            receive_missed_packets: 1,
            receive_errors: 1,
            receive_no_buffer: 1,
            send_errors: 1,
        });
        let words: Vec<String> = all.map(|(word, _)| word).collect();
        assert_eq!(words, reasons::DEVICE.map(|(word, _)| word));
    }

    #[test]
    fn drops_of_all_workers_are_added_up() {
        let workers: Vec<Arc<PortCounters>> = vec![Arc::default(), Arc::default()];
        workers[0].drops.add(Drop::NoRoute, 1);
        workers[1].drops.add(Drop::NoRoute, 2);
        workers[1].drops.add(Drop::TxRingFull, 4);
        let expected = [("no-route", 3), ("tx-ring-full", 4)];
        let expected = expected.map(|(name, count)| (name.to_owned(), count));
        assert_eq!(drops_of(&workers), expected.into());
    }
}
