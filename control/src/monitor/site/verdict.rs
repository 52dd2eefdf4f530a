//! How a link or a set is, in one word, and why.

use history::Sample;
use serde::{Deserialize, Serialize};

use super::{Race, SiteLink};
use crate::management::status::{Session, Set};

/// From the best to the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Good,
    Degraded,
    Bad,
    Down,
}

/// Of a thousand packets or echoes, the lost ones from which on a link is degraded, and bad.
const DEGRADED_PER_MILLE: u64 = 1;
const BAD_PER_MILLE: u64 = 20;
/// One lost echo of few says nothing yet.
const LEAST_LOST_FOR_BAD: u64 = 2;
/// A link that was off-line for longer in the minute is bad.
const BAD_OFFLINE_S: u32 = 5;
/// A link's round trip may take twice as long as its set's quickest link's, and so much more.
const LATENCY_ALLOWANCE_US: u64 = 30_000;

/// What was found, with the text for people.
type Finding = (Verdict, String);

/// The verdict on a link by its last minute; `race` is that of its set.
pub(super) fn of_link(
    session: &Session,
    minute: &Sample,
    race: Option<&Race>,
) -> (Verdict, Vec<String>) {
    if !session.is_open() {
        return (Verdict::Down, vec![format!("is {}", session.state)]);
    }
    let alarm = session.alarm.as_ref();
    let alarm = alarm.map(|alarm| (Verdict::Bad, alarm.text.clone()));
    let lost = u64::try_from(minute.lost_packets).unwrap_or(0);
    let masked = session.masked_for_s;
    let masked = masked.map(|left_s| {
        let text = format!("masked for a drill, {left_s} s left");
        (Verdict::Degraded, text)
    });
    let findings = [
        masked,
        alarm,
        loss(lost, minute.settled_packets, "packets"),
        loss(minute.echoes_lost, minute.echoes_sent, "echoes"),
        offline(minute),
        latency(minute, race),
    ];
    worst(findings.into_iter().flatten())
}

/// The verdict on a set by its last minute and those on its links.
pub(super) fn of_set(set: &Set, minute: &Sample, links: &[SiteLink]) -> (Verdict, Vec<String>) {
    if set.protection == Set::DOWN {
        return (Verdict::Down, vec!["no link carries it".to_owned()]);
    }
    let lost = (minute.lost_packets > 0).then(|| {
        let text = format!(
            "lost {} of the last minute's packets on every link",
            minute.lost_packets
        );
        (Verdict::Bad, text)
    });
    let unprotected =
        (set.protection != Set::HA).then(|| (Verdict::Degraded, set.protection.clone()));
    let alarm = set.alarm.as_ref();
    let alarm = alarm.map(|alarm| (Verdict::Degraded, alarm.text.clone()));
    let weak = links.iter().filter(|link| link.verdict >= Verdict::Bad);
    let weak = weak.map(|link| {
        let reasons = link.reasons.join(", ");
        (Verdict::Degraded, format!("{} {reasons}", link.graph))
    });
    let masked = links.iter().filter(|link| link.masked_for_s.is_some());
    let masked = masked.map(|link| {
        let text = format!("one link less: {} is masked for a drill", link.graph);
        (Verdict::Degraded, text)
    });
    let findings = [lost, unprotected, alarm].into_iter().flatten();
    worst(findings.chain(masked).chain(weak))
}

fn worst(findings: impl Iterator<Item = Finding>) -> (Verdict, Vec<String>) {
    findings.fold((Verdict::Good, Vec::new()), |(worst, mut texts), found| {
        texts.push(found.1);
        (worst.max(found.0), texts)
    })
}

fn loss(lost: u64, of: u64, what: &str) -> Option<Finding> {
    let reaches = |per_mille: u64| {
        lost > 0 && u128::from(lost) * 1000 >= u128::from(of) * u128::from(per_mille)
    };
    let verdict = if reaches(BAD_PER_MILLE) && lost >= LEAST_LOST_FOR_BAD {
        Verdict::Bad
    } else if reaches(DEGRADED_PER_MILLE) {
        Verdict::Degraded
    } else {
        return None;
    };
    let percent = 100.0 * lost as f64 / of.max(lost) as f64;
    Some((verdict, format!("loses {percent:.1} % of its {what}")))
}

fn offline(minute: &Sample) -> Option<Finding> {
    let verdict = match minute.offline_s {
        0 => return None,
        offline_s if offline_s > BAD_OFFLINE_S => Verdict::Bad,
        _ => Verdict::Degraded,
    };
    let text = format!(
        "was off-line for {} s of the last {} s",
        minute.offline_s, minute.measured_s
    );
    Some((verdict, text))
}

fn latency(minute: &Sample, race: Option<&Race>) -> Option<Finding> {
    let mean_us = minute.latency?.mean_us();
    let best_us = race?.best_latency_us?;
    let most_us = best_us
        .saturating_mul(2)
        .saturating_add(LATENCY_ALLOWANCE_US);
    (mean_us > most_us).then(|| {
        let text = format!(
            "its round trip takes {} ms, that of the quickest link {} ms",
            mean_us / 1000,
            best_us / 1000
        );
        (Verdict::Degraded, text)
    })
}
