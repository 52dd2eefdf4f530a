//! The router's side of router discovery (RFC 4861, 6.2), for one interface to a
//! LAN.

use std::collections::VecDeque;
use std::net::Ipv6Addr;
use std::time::Duration;

use dataplane::command::Prefix;
use dataplane::headers::ipv6::DEFAULT_HOP_LIMIT;
use rand::Rng;
use rand::rngs::StdRng;
use serde::Serialize;

use crate::host::discovery::ALL_NODES;

use super::Action;
use super::known::LIMIT;
use super::router_message::{
    self, Message, Preference, PrefixInformation, Refused, RouterAdvertisement, RouterOption,
    advertise,
};
use super::shape::is_ahead;

/// RFC 4861, 10: MAX_INITIAL_RTR_ADVERTISEMENTS and MAX_INITIAL_RTR_ADVERT_INTERVAL.
const INITIAL_ADVERTISEMENTS: u32 = 3;
const INITIAL_INTERVAL: Duration = Duration::from_secs(16);
/// RFC 4861, 10: MIN_DELAY_BETWEEN_RAS and MAX_RA_DELAY_TIME.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(3);
const ANSWER_DELAY: Duration = Duration::from_millis(500);
/// What RFC 9096, 4, recommends at most, so that hosts of a network that is gone
/// without a word are not left with it for days.
const LONGEST_PREFERRED: Duration = Duration::from_secs(2700);
const LONGEST_VALID: Duration = Duration::from_secs(5400);
/// How long a network that went away is still spoken of (RFC 7084, L-13; RFC
/// 4862, 5.5.3 e: hosts do not believe less).
const LEAVE: Duration = Duration::from_secs(2 * 3600);

/// How an interface advertises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdvertiserSettings {
    /// Time between two advertisements that nobody asked for: by chance, from
    /// `min_interval` to `max_interval` (RFC 4861, 6.2.1).
    pub min_interval: Duration,
    pub max_interval: Duration,
    /// How long hosts may use us as their default router; whole seconds, 9000 at
    /// most.
    pub router_lifetime: Duration,
    pub mtu: Option<u16>,
    pub dns: Vec<Ipv6Addr>,
    /// Addresses, or other information, are to be had by DHCPv6.
    pub managed: bool,
    pub other: bool,
}

/// A network of 64 bits whose hosts are to give themselves addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdvertisedPrefix {
    pub prefix: Prefix,
    pub preferred_until: Option<Duration>,
    pub valid_until: Option<Duration>,
}

/// What has been counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AdvertiserCounters {
    pub advertisements_sent: u64,
    pub solicitations: u64,
    /// Frames that are no messages as RFC 4861, 6.1 wants them.
    pub malformed: u64,
    /// Not for us, from us, or of neighbours.
    pub ignored: u64,
    /// Advertisements of other routers.
    pub others: u64,
    /// Those of `others` that say something else than we do (RFC 4861, 6.2.7).
    pub inconsistent: u64,
    /// Networks for which there was no room in an advertisement.
    pub table_full: u64,
}

/// Router advertisements on one interface.
///
/// A network that is no longer to be advertised is spoken of for up to two
/// hours more, as one that is not to be used for anything new.
#[derive(Debug)]
pub struct Advertiser {
    mac: [u8; 6],
    settings: AdvertiserSettings,
    rng: StdRng,
    link_up: bool,
    is_default_router: bool,
    prefixes: Vec<AdvertisedPrefix>,
    /// Those that went away, and until when they are spoken of.
    leaving: Vec<AdvertisedPrefix>,
    next_at: Option<Duration>,
    last_sent_at: Option<Duration>,
    /// Advertisements that still come at the intervals of a start.
    initial_left: u32,
    actions: VecDeque<Action>,
    counters: AdvertiserCounters,
}

impl Advertiser {
    /// For the interface with this hardware address; its link is down, and we
    /// are no default router.
    #[must_use]
    pub fn new(_now: Duration, mac: [u8; 6], settings: AdvertiserSettings, rng: StdRng) -> Self {
        Self {
            mac,
            settings,
            rng,
            link_up: false,
            is_default_router: false,
            prefixes: Vec::new(),
            leaving: Vec::new(),
            next_at: None,
            last_sent_at: None,
            initial_left: 0,
            actions: VecDeque::new(),
            counters: AdvertiserCounters::default(),
        }
    }

    /// Follows the link. When it comes up hosts are told soon.
    pub fn set_link(&mut self, now: Duration, up: bool) {
        if self.link_up == up {
            return;
        }
        self.link_up = up;
        self.next_at = None;
        if up {
            self.tell_soon(now);
        }
    }

    /// Says what is to be advertised. Hosts are told soon when it is other
    /// networks; new lifetimes of the same ones come with the next advertisement.
    pub fn set_prefixes(&mut self, now: Duration, prefixes: &[AdvertisedPrefix]) {
        let surplus = prefixes.len().saturating_sub(LIMIT);
        self.counters.table_full += surplus as u64;
        let prefixes = prefixes[..prefixes.len() - surplus].to_vec();
        let is_in = |list: &[AdvertisedPrefix], prefix| list.iter().any(|it| it.prefix == prefix);
        let gone = self.prefixes.iter();
        let gone =
            gone.filter(|old| !is_in(&prefixes, old.prefix) && is_ahead(old.valid_until, now));
        let leaving: Vec<_> = gone
            .map(|old| AdvertisedPrefix {
                prefix: old.prefix,
                preferred_until: Some(now),
                valid_until: Some(
                    old.valid_until
                        .map_or(now + LEAVE, |end| end.min(now + LEAVE)),
                ),
            })
            .collect();
        let has_new = prefixes.iter().any(|it| !is_in(&self.prefixes, it.prefix));
        let has_changed = has_new || !leaving.is_empty();
        self.leaving.extend(leaving);
        self.leaving.retain(|it| !is_in(&prefixes, it.prefix));
        // The latest are spoken of.
        let surplus = self.leaving.len().saturating_sub(LIMIT);
        self.counters.table_full += surplus as u64;
        self.leaving.drain(..surplus);
        self.prefixes = prefixes;
        if has_changed {
            self.tell_soon(now);
        }
    }

    /// Says whether hosts may use us as their default router.
    pub fn set_router(&mut self, now: Duration, default: bool) {
        if self.is_default_router != default {
            self.is_default_router = default;
            self.tell_soon(now);
        }
    }

    /// Takes a message of neighbour discovery, from its Ethernet header on.
    pub fn handle_frame(&mut self, now: Duration, frame: &[u8]) {
        match router_message::parse(self.mac, frame) {
            Ok(Message::Solicitation) => self.handle_solicitation(now),
            Ok(Message::Advertisement(told)) => {
                self.counters.others += 1;
                self.counters.inconsistent += u64::from(!self.is_consistent(&told));
            }
            Err(Refused::NotForUs) => self.counters.ignored += 1,
            Err(Refused::Malformed) => self.counters.malformed += 1,
        }
    }

    pub fn handle_timeout(&mut self, now: Duration) {
        if self.next_at.is_none_or(|at| now < at) {
            return;
        }
        let told = self.advertisement(now);
        self.send(&told);
        self.last_sent_at = Some(now);
        self.initial_left = self.initial_left.saturating_sub(1);
        let least = self.settings.min_interval.max(SHORTEST_INTERVAL);
        let most = self.settings.max_interval.max(least);
        let mut interval = self.rng.random_range(least..=most);
        if self.initial_left > 0 {
            interval = interval.min(INITIAL_INTERVAL);
        }
        self.next_at = Some(now + interval);
    }

    /// When [`Self::handle_timeout`] is to be called.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Duration> {
        self.next_at
    }

    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Tells the hosts that we are no router any more (RFC 4861, 6.2.5), and
    /// nothing else until the link comes up again or something changes.
    pub fn cease(&mut self, now: Duration) {
        if self.link_up {
            let last = RouterAdvertisement {
                lifetime_s: 0,
                options: Vec::new(),
                ..self.advertisement(now)
            };
            self.send(&last);
        }
        self.next_at = None;
        self.is_default_router = false;
    }

    #[must_use]
    pub fn counters(&self) -> &AdvertiserCounters {
        &self.counters
    }

    /// RFC 4861, 6.2.6: all hosts get the answer, so that it serves for several.
    fn handle_solicitation(&mut self, now: Duration) {
        self.counters.solicitations += 1;
        // When nothing is to come at all, we ceased.
        if self.next_at.is_some() {
            self.tell_by(now);
        }
    }

    /// Something changed, so that it is said three times (RFC 4861, 6.2.4).
    fn tell_soon(&mut self, now: Duration) {
        self.initial_left = INITIAL_ADVERTISEMENTS;
        if self.link_up {
            self.tell_by(now);
        }
    }

    /// The next advertisement comes within the delay of an answer, as far as the
    /// shortest interval allows.
    fn tell_by(&mut self, now: Duration) {
        let delay = self.rng.random_range(Duration::ZERO..=ANSWER_DELAY);
        let earliest = self.last_sent_at.map_or(now, |at| at + SHORTEST_INTERVAL);
        let at = earliest.max(now) + delay;
        self.next_at = Some(self.next_at.map_or(at, |next| next.min(at)));
    }

    fn send(&mut self, told: &RouterAdvertisement) {
        let frame = advertise(self.mac, ALL_NODES, told);
        self.counters.advertisements_sent += 1;
        self.actions.push_back(Action::Frame(frame));
    }

    fn advertisement(&mut self, now: Duration) -> RouterAdvertisement {
        self.leaving.retain(|it| is_ahead(it.valid_until, now));
        let settings = &self.settings;
        let lifetime_s = u16::try_from(settings.router_lifetime.as_secs()).unwrap_or(u16::MAX);
        let prefixes = self.prefixes.iter().chain(&self.leaving);
        let mut options: Vec<_> = prefixes
            .filter_map(|it| prefix_information(it, now))
            .map(RouterOption::Prefix)
            .collect();
        options.extend(settings.mtu.map(|mtu| RouterOption::Mtu(mtu.into())));
        if !settings.dns.is_empty() {
            // RFC 8106, 5.1: three times the longest interval.
            let lifetime = settings.max_interval * 3;
            options.push(RouterOption::RecursiveDns {
                servers: settings.dns.clone(),
                lifetime_s: u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX),
            });
        }
        RouterAdvertisement {
            source: Ipv6Addr::UNSPECIFIED,
            hop_limit: DEFAULT_HOP_LIMIT,
            managed: settings.managed,
            other: settings.other,
            preference: Preference::Medium,
            lifetime_s: if self.is_default_router {
                lifetime_s
            } else {
                0
            },
            options,
            options_refused: 0,
        }
    }

    /// RFC 4861, 6.2.7: what all routers of a link have to say alike.
    fn is_consistent(&self, told: &RouterAdvertisement) -> bool {
        let mtu = told.options.iter().find_map(|option| match option {
            RouterOption::Mtu(mtu) => Some(*mtu),
            _ => None,
        });
        let ours = self.settings.mtu.map(u32::from);
        let mtu_agrees = mtu.is_none() || ours.is_none() || mtu == ours;
        let hop_limit_agrees = [0, DEFAULT_HOP_LIMIT].contains(&told.hop_limit);
        mtu_agrees
            && hop_limit_agrees
            && told.managed == self.settings.managed
            && told.other == self.settings.other
    }
}

/// Nothing when it has run out, or is no IPv6.
fn prefix_information(known: &AdvertisedPrefix, now: Duration) -> Option<PrefixInformation> {
    let std::net::IpAddr::V6(prefix) = known.prefix.address else {
        return None;
    };
    let left_s = |until: Option<Duration>, longest: Duration| {
        let left = until.map_or(longest, |until| until.saturating_sub(now));
        left.min(longest).as_secs() as u32
    };
    let valid_s = left_s(known.valid_until, LONGEST_VALID);
    (valid_s > 0).then(|| PrefixInformation {
        prefix,
        length: known.prefix.length,
        on_link: true,
        autonomous: true,
        valid_s,
        preferred_s: left_s(known.preferred_until, LONGEST_PREFERRED).min(valid_s),
    })
}

#[cfg(test)]
mod tests;
