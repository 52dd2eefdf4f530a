//! A sender restarts: its new epoch is taken up and copies of the old one are
//! still on their way. The control thread gives every worker the new epoch
//! beside the old one, and lets the peer send in it once all of them have said
//! that they know it. Orders and copies come to a worker by rings of their own,
//! so it may see either first.

use std::collections::VecDeque;

use dataplane::command::{Epoch, Epochs};
use dataplane::window::Verdict;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;

use super::NUMBERS;
use super::elimination::check_unordered;

const OLD: u32 = 10;
const NEW: u32 = 11;

/// What the control thread could get wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// Each worker makes the new epoch's window for itself.
    WindowOfEachWorker,
    /// The old epoch gets a fresh window with the new list.
    FreshWindow,
    /// Both epochs are looked up in one window.
    OneWindow,
    /// The old epoch goes as soon as there is a new one.
    OldForgotten,
    /// The peer may send when the first worker knows, not the last.
    ReleasedEarly,
}

type Copy = (u32, u64);

/// What a worker shares with the control thread and the network.
#[derive(Default)]
struct Channel {
    orders: Mutex<VecDeque<Epochs>>,
    copies: Mutex<VecDeque<Copy>>,
    applied: AtomicU64,
}

struct Worker {
    channel: Arc<Channel>,
    epochs: Epochs,
    changes: u64,
    log: Vec<(Copy, Verdict)>,
}

impl Worker {
    /// As a worker polls: what is ordered, then what came in.
    fn poll(&mut self) {
        let order = self.channel.orders.lock().unwrap().pop_front();
        if let Some(epochs) = order {
            self.epochs = epochs;
            self.changes += 1;
            self.channel.applied.store(self.changes, Ordering::Release);
        }
        let copy = self.channel.copies.lock().unwrap().pop_front();
        if let Some((epoch, number)) = copy {
            let known = self.epochs.get(epoch);
            // An epoch that is not known is dropped like a number that is too old.
            let verdict = known.map_or(Verdict::TooLate, |it| it.window.observe(number));
            self.log.push(((epoch, number), verdict));
        }
    }
}

/// The lists for the two workers, of which the second may be wrong.
fn lists(old: &Epoch, fault: Fault) -> [Vec<Epoch>; 2] {
    let new = Epoch::new(NEW, NUMBERS);
    let right = vec![new.clone(), old.clone()];
    let list = match fault {
        Fault::None | Fault::ReleasedEarly => right,
        Fault::WindowOfEachWorker => {
            return [right, vec![Epoch::new(NEW, NUMBERS), old.clone()]];
        }
        Fault::FreshWindow => vec![new, Epoch::new(OLD, NUMBERS)],
        Fault::OneWindow => vec![
            Epoch {
                epoch: NEW,
                ..old.clone()
            },
            old.clone(),
        ],
        Fault::OldForgotten => vec![new],
    };
    [list.clone(), list]
}

/// The peer may send: its first packet comes to both workers.
fn release(channels: &[Arc<Channel>]) {
    for channel in channels {
        channel.copies.lock().unwrap().push_back((NEW, 5));
    }
}

fn may_release(channels: &[Arc<Channel>], fault: Fault) -> bool {
    let applied = |channel: &Arc<Channel>| channel.applied.load(Ordering::Acquire) == 1;
    match fault {
        Fault::ReleasedEarly => channels.iter().any(applied),
        _ => channels.iter().all(applied),
    }
}

/// Two workers take up an epoch while copies of the old one arrive at both.
pub(super) fn model(fault: Fault) {
    loom::model(move || {
        let channels: Vec<Arc<Channel>> = (0..2).map(|_| Arc::default()).collect();
        let old = Epoch::new(OLD, NUMBERS);
        let threads: Vec<_> = channels
            .iter()
            .map(|channel| {
                channel.copies.lock().unwrap().push_back((OLD, 5));
                let mut worker = Worker {
                    channel: Arc::clone(channel),
                    epochs: Epochs::newest(std::slice::from_ref(&old)),
                    changes: 0,
                    log: Vec::new(),
                };
                thread::spawn(move || {
                    worker.poll();
                    worker.poll();
                    worker
                })
            })
            .collect();
        for (channel, list) in channels.iter().zip(lists(&old, fault)) {
            channel
                .orders
                .lock()
                .unwrap()
                .push_back(Epochs::newest(&list));
        }
        let mut released = may_release(&channels, fault);
        if released {
            release(&channels);
        }
        let mut log = Vec::new();
        for thread in threads {
            let mut worker = thread.join().expect("the thread does not panic");
            // What it had no time for.
            worker.poll();
            log.push(worker);
        }
        if !released {
            released = may_release(&channels, fault);
            assert!(released, "both have polled since");
            release(&channels);
        }
        let mut all = Vec::new();
        for mut worker in log {
            while !worker.channel.copies.lock().unwrap().is_empty() {
                worker.poll();
            }
            all.append(&mut worker.log);
        }
        for epoch in [OLD, NEW] {
            let of_epoch = all.iter().filter(|((of, _), _)| *of == epoch);
            let log: Vec<_> = of_epoch
                .map(|&((_, number), verdict)| (number, verdict))
                .collect();
            assert_eq!(log.len(), 2, "nothing was left lying");
            check_unordered(&log, NUMBERS);
        }
    });
}
