//! What each link did during an act: the growth of both appliances' counters between two quiet moments. `status` counts
//! by link over all its sessions, so a link that was dialled again goes on where it was.

use std::io;

use benches::lab::{Lab, Site};
use benches::status::Status;

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

/// All links of both sites, by site.
pub(crate) struct Ledger {
    opened: [Status; 2],
    closed: [Status; 2],
}

impl Ledger {
    /// Counts from now on. Nothing must be on its way.
    pub(crate) fn open(lab: &Lab) -> io::Result<Self> {
        let opened = read(lab)?;
        Ok(Self {
            closed: opened.clone(),
            opened,
        })
    }

    /// Counts up to now. Nothing must be on its way.
    pub(crate) fn close(&mut self, lab: &Lab) -> io::Result<()> {
        self.closed = read(lab)?;
        Ok(())
    }

    /// Link `number` in the direction away from `from`.
    pub(crate) fn entry(&self, number: usize, from: Site) -> Entry {
        let grown = |site: Site, read: fn(&benches::status::Session) -> u64| {
            let value = |status: &[Status; 2]| status[site as usize].link(number).map_or(0, read);
            value(&self.closed).saturating_sub(value(&self.opened))
        };
        Entry {
            sent: grown(from, |session| session.sent_packets),
            arrived: grown(from.other(), |session| session.received_packets),
            won: grown(from.other(), |session| session.wins),
        }
    }
}

fn read(lab: &Lab) -> io::Result<[Status; 2]> {
    Ok([lab.status(Site::Head)?, lab.status(Site::Remote)?])
}
