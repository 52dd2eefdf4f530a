//! What is known of the appliance: how it is, and the last minutes of each link and set.

use std::collections::HashMap;

use super::trace::Trace;
use crate::management::status::Skew;
use crate::monitor::Moment;
use crate::monitor::site::{Site, SiteLink, SiteSet, Verdict};

#[derive(Debug, Default)]
pub(super) struct Picture {
    site: Option<Site>,
    /// By graph.
    traces: HashMap<String, Trace>,
    skews: HashMap<String, Skew>,
    /// Loss of each set in the last minute.
    losses: HashMap<String, f64>,
    /// What is wrong, the worst first, and how many links are how.
    pub(super) problems: Vec<Problem>,
    pub(super) counts: [usize; 4],
    nothing: Trace,
}

/// What is wrong with one link or set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) verdict: Verdict,
    /// `link` or `set`, and its name.
    pub(super) who: String,
    pub(super) why: String,
}

/// A set or a link of the picture.
#[derive(Clone, Copy, Debug)]
pub(super) enum Row<'p> {
    Set(&'p SiteSet),
    /// With the set that it is of.
    Link(&'p SiteLink, Option<&'p SiteSet>),
}

impl<'p> Row<'p> {
    pub(super) fn graph(self) -> &'p str {
        match self {
            Row::Set(set) => &set.graph,
            Row::Link(link, _) => &link.graph,
        }
    }

    pub(super) const fn verdict(self) -> Verdict {
        match self {
            Row::Set(set) => set.verdict,
            Row::Link(link, _) => link.verdict,
        }
    }
}

impl Picture {
    /// Takes over what was seen last.
    pub(super) fn take(&mut self, moment: &Moment, site: Site) {
        let readings = moment.readings.iter();
        let mut before = std::mem::take(&mut self.traces);
        // Links that are gone take their past with them.
        self.traces = readings
            .map(|reading| {
                let mut trace = before.remove(&reading.graph).unwrap_or_default();
                trace.add(&reading.sample);
                (reading.graph.clone(), trace)
            })
            .collect();
        let sessions = moment.status.sessions.iter();
        self.skews = sessions
            .filter(|it| it.skew.samples > 0)
            .map(|it| (it.name.clone(), it.skew.clone()))
            .collect();
        self.losses = losses_of_sets(moment);
        self.problems = problems(&site);
        self.counts = counts(&site);
        self.site = Some(site);
    }

    /// Of the newest second.
    pub(super) fn number(&self) -> u64 {
        self.site.as_ref().map_or(0, |site| site.number)
    }

    /// In the last minute, if it was measured.
    pub(super) fn loss_of_set(&self, graph: &str) -> Option<f64> {
        self.losses.get(graph).copied()
    }

    /// None before the first look.
    pub(super) const fn site(&self) -> Option<&Site> {
        self.site.as_ref()
    }

    pub(super) fn trace(&self, graph: &str) -> &Trace {
        self.traces.get(graph).unwrap_or(&self.nothing)
    }

    /// Of a link's whole life, if it was measured.
    pub(super) fn skew(&self, graph: &str) -> Option<&Skew> {
        self.skews.get(graph)
    }
}

fn losses_of_sets(moment: &Moment) -> HashMap<String, f64> {
    let minutes = moment.readings.iter().zip(&moment.minutes);
    let sets = minutes.skip(moment.status.sessions.len());
    let settled = sets.filter(|(_, minute)| minute.settled_packets > 0);
    settled
        .map(|(reading, minute)| {
            let lost = minute.lost_packets.max(0) as f64;
            let ratio = lost / minute.settled_packets as f64;
            (reading.graph.clone(), ratio.min(1.0))
        })
        .collect()
}

fn links(site: &Site) -> impl Iterator<Item = &SiteLink> {
    let of_sets = site.sets.iter().flat_map(|set| &set.links);
    of_sets.chain(&site.links)
}

/// Links by verdict.
fn counts(site: &Site) -> [usize; 4] {
    let mut counts = [0; 4];
    links(site).for_each(|link| counts[link.verdict as usize] += 1);
    counts
}

/// The links that are not good, and the sets that have more to say than their links.
fn problems(site: &Site) -> Vec<Problem> {
    let told = |set: &&SiteSet| set.verdict >= Verdict::Bad || set.alarm.is_some();
    let sets = site.sets.iter().filter(told).map(|set| Problem {
        verdict: set.verdict,
        who: format!("set {} {}", set.name, set.remote),
        why: set.reasons.join(", "),
    });
    let links = links(site).filter(|link| link.verdict > Verdict::Good);
    let links = links.map(|link| Problem {
        verdict: link.verdict,
        who: format!("link {}", link.graph),
        why: why(link),
    });
    let mut problems: Vec<Problem> = sets.chain(links).collect();
    problems.sort_by_key(|problem| std::cmp::Reverse(problem.verdict));
    problems
}

/// Why a link is not good; of one that is down, what ended it too.
pub(super) fn why(link: &SiteLink) -> String {
    let mut reasons = link.reasons.clone();
    if link.verdict == Verdict::Down {
        reasons.extend(link.last_result.clone());
    }
    reasons.join(", ")
}
