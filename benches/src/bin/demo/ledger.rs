//! What each link did over its whole life. An appliance counts by session, and a link that was dialled again has a new
//! one, so the counters are read often and their growth is added up.

use benches::lab::{Lab, Site};
use benches::status::Status;

/// The growth of a counter that may start again from 0.
#[derive(Clone, Copy, Default)]
struct Growth {
    last: u64,
    sum: u64,
}

impl Growth {
    fn update(&mut self, value: u64) {
        self.sum += value.checked_sub(self.last).unwrap_or(value);
        self.last = value;
    }
}

/// One link seen from one site.
#[derive(Clone, Copy, Default)]
struct Page {
    sent: Growth,
    arrived: Growth,
    won: Growth,
}

/// One link in one direction.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    /// Copies the sending appliance handed over.
    pub(crate) sent: u64,
    /// Copies the other one received.
    pub(crate) arrived: u64,
    /// Those of them that came first.
    pub(crate) won: u64,
}

impl Entry {
    pub(crate) fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.arrived)
    }
}

/// All links of both sites.
pub(crate) struct Ledger {
    pages: Vec<[Page; 2]>,
}

impl Ledger {
    /// Counts from now on.
    pub(crate) fn open(lab: &Lab) -> Self {
        let mut ledger = Self {
            pages: vec![[Page::default(); 2]; lab.links().count()],
        };
        ledger.update(lab);
        for page in ledger.pages.as_flattened_mut() {
            for growth in [&mut page.sent, &mut page.arrived, &mut page.won] {
                growth.sum = 0;
            }
        }
        ledger
    }

    /// Reads both appliances; one that does not answer is read the next time.
    pub(crate) fn update(&mut self, lab: &Lab) {
        for site in Site::BOTH {
            if let Ok(status) = lab.status(site) {
                self.add(site, &status);
            }
        }
    }

    fn add(&mut self, site: Site, status: &Status) {
        for (index, pages) in self.pages.iter_mut().enumerate() {
            let Some(session) = status.link(index + 1) else {
                continue;
            };
            let page = &mut pages[site as usize];
            page.sent.update(session.sent_packets);
            page.arrived.update(session.received_packets);
            page.won.update(session.wins);
        }
    }

    /// Link `number` in the direction away from `from`.
    pub(crate) fn entry(&self, number: usize, from: Site) -> Entry {
        let pages = &self.pages[number - 1];
        let (sender, receiver) = (&pages[from as usize], &pages[from.other() as usize]);
        Entry {
            sent: sender.sent.sum,
            arrived: receiver.arrived.sum,
            won: receiver.won.sum,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_that_starts_again_goes_on_growing() {
        let mut growth = Growth::default();
        [5, 10, 3, 3, 7]
            .into_iter()
            .for_each(|value| growth.update(value));
        assert_eq!(growth.sum, 17);
    }
}
