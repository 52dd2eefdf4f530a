//! What differs between the configuration that an appliance runs by and another one: what
//! it can follow while it runs, and where each entry that it knows by its place is then.
//!
//! Entries are the same when they have the same name. One is *kept* when nothing of it has
//! changed that its links were set up with; then they stay up, and what else has changed (its
//! `routes`, say) is *adjusted* under them. The links of what has *changed* otherwise are
//! ended, and set up anew.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::model::{Config, HaSet, Incoming, Interface, L2tp, Management, Match, Outgoing, Via};
use crate::alarms::Alarm;

/// Names that are told of one kind, at most; the documents of the interface have all.
const NAMES_TOLD: usize = 8;

/// Where an entry of the list before is in the list after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Kept(usize),
    /// There is one of its name, and it is another.
    Changed(usize),
    Gone,
}

impl Place {
    /// Where it is, if its links stay up.
    #[must_use]
    pub fn kept(self) -> Option<usize> {
        match self {
            Self::Kept(place) => Some(place),
            Self::Changed(_) | Self::Gone => None,
        }
    }

    /// Where the entry of its name is.
    #[must_use]
    pub fn named(self) -> Option<usize> {
        match self {
            Self::Kept(place) | Self::Changed(place) => Some(place),
            Self::Gone => None,
        }
    }
}

/// Where everything is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    pub ha_sets: Vec<Place>,
    pub outgoing: Vec<Place>,
    pub incoming: Vec<Place>,
    /// Those of each `incoming`. They are where they are also when that has changed.
    pub matches: Vec<Vec<Place>>,
}

/// Entries of one list, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Changes {
    pub added: Vec<String>,
    /// Their links end.
    pub removed: Vec<String>,
    /// Their links end, and are set up anew.
    pub changed: Vec<String>,
    /// They have changed, and their links stay up; of an `incoming`, those that it still lets in.
    pub adjusted: Vec<String>,
}

/// The answer to `reload`: what another configuration changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Reloaded {
    /// Nothing was done: this is what would be.
    pub dry_run: bool,
    /// The file says what it said before.
    pub unchanged: bool,
    pub outgoing: Changes,
    pub incoming: Changes,
    /// The `match`es of the `incoming`s that are neither new nor gone, by their `graph`.
    pub matches: Changes,
    pub ha_sets: Changes,
    pub alarms: Changes,
    /// Static routes that came, went or lead elsewhere.
    pub routes: usize,
    /// The same of static neighbours.
    pub neighbours: usize,
    /// `syslog` or its facility.
    pub syslog: bool,
    /// `limits` of `l2tp`.
    pub limits: bool,
    /// What is not as good in the file as it could be, as `hal2tp check` has it.
    pub warnings: Vec<String>,
}

/// Places of those whose links are there and were set up without IPv6. That of a `match` comes
/// after that of its `incoming`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WithoutIpv6 {
    pub outgoing: BTreeSet<usize>,
    pub matches: BTreeSet<(usize, usize)>,
}

/// What differs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    pub reloaded: Reloaded,
    pub places: Places,
    /// Keys whose change takes a restart.
    pub restarts: Vec<String>,
}

impl Changes {
    fn text(&self, what: &str) -> Option<String> {
        let verbs = [
            (&self.added, "added"),
            (&self.removed, "removed"),
            (&self.changed, "changed, set up anew"),
            (&self.adjusted, "adjusted in place"),
        ];
        let parts = verbs.iter().filter(|(names, _)| !names.is_empty());
        let parts: Vec<String> = parts
            .map(|(names, verb)| format!("{} {verb}", listed(names)))
            .collect();
        (!parts.is_empty()).then(|| format!("{what}: {}", parts.join("; ")))
    }
}

fn listed(names: &[String]) -> String {
    let told = names[..names.len().min(NAMES_TOLD)].join(", ");
    match names.len().saturating_sub(NAMES_TOLD) {
        0 => told,
        others => format!("{told} and {others} others"),
    }
}

impl Reloaded {
    /// For people, one line for each list in which something has changed.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let lists = [
            (&self.ha_sets, "ha-sets"),
            (&self.outgoing, "outgoing"),
            (&self.incoming, "incoming"),
            (&self.matches, "match"),
            (&self.alarms, "alarms"),
        ];
        let lists = lists.iter().filter_map(|(list, what)| list.text(what));
        let counts = [(self.routes, "routes"), (self.neighbours, "neighbours")];
        let counts = counts.iter().filter(|(count, _)| *count > 0);
        let counts = counts.map(|(count, what)| format!("{what}: {count} changed"));
        let others = [(self.syslog, "syslog"), (self.limits, "limits")];
        let others = others.iter().filter(|(changed, _)| *changed);
        let others = others.map(|(_, what)| format!("{what}: changed"));
        let mut lines: Vec<String> = lists.chain(counts).chain(others).collect();
        if lines.is_empty() {
            let nothing = if self.unchanged {
                "nothing has changed"
            } else {
                "nothing has changed but the order"
            };
            lines.push(nothing.to_owned());
        }
        lines
    }
}

impl Difference {
    /// What differs between two checked configurations. Links that are `without_ipv6` are
    /// changed when they are to carry it.
    #[must_use]
    pub fn between(before: &Config, after: &Config, without_ipv6: &WithoutIpv6) -> Self {
        let ha_sets = sets(before, after);
        let (outgoing, of_outgoing) = outgoing(before, after, &ha_sets, &without_ipv6.outgoing);
        let (incoming, matches, [of_incoming, of_matches]) =
            incoming(before, after, &ha_sets, &without_ipv6.matches);
        let reloaded = Reloaded {
            dry_run: false,
            unchanged: before == after,
            outgoing: of_outgoing,
            incoming: of_incoming,
            matches: of_matches,
            ha_sets: set_changes(before, after, &ha_sets),
            alarms: alarms(before, after),
            routes: routes(before, after),
            neighbours: neighbours(before, after),
            syslog: before.syslog != after.syslog,
            limits: before.l2tp.limits != after.l2tp.limits,
            warnings: Vec::new(),
        };
        Self {
            reloaded,
            places: Places {
                ha_sets,
                outgoing,
                incoming,
                matches,
            },
            restarts: restarts(before, after),
        }
    }
}

/// The keys that a running appliance cannot follow.
fn restarts(before: &Config, after: &Config) -> Vec<String> {
    // Whoever adds a key says here what its change takes.
    let Config {
        name,
        dataplane,
        management:
            Management {
                socket,
                history,
                http,
            },
        ports,
        interfaces,
        l2tp:
            L2tp {
                vendor_id,
                limits: _,
                outgoing: _,
                incoming: _,
            },
        ha_sets: _,
        routes: _,
        neighbours: _,
        alarms: _,
        syslog: _,
    } = before;
    let changed = [
        ("name", *name != after.name),
        ("dataplane", *dataplane != after.dataplane),
        ("management.socket", *socket != after.management.socket),
        ("management.history", *history != after.management.history),
        ("management.http", *http != after.management.http),
        ("ports", *ports != after.ports),
        (
            "interfaces",
            !same_interfaces(interfaces, &after.interfaces),
        ),
        ("l2tp.vendor-id", *vendor_id != after.l2tp.vendor_id),
    ];
    let changed = changed.into_iter().filter(|(_, changed)| *changed);
    changed.map(|(key, _)| key.to_owned()).collect()
}

/// Whether `forward` is all that differs: where the file does not say, it follows from the
/// tunnels.
fn same_interfaces(before: &[Interface], after: &[Interface]) -> bool {
    let same = |(before, after): (&Interface, &Interface)| {
        let forward = after.forward;
        Interface {
            forward,
            ..before.clone()
        } == *after
    };
    before.len() == after.len() && before.iter().zip(after).all(same)
}

/// Where the things of one list are in another; `is_kept` is given two places. Links may share
/// a name: those that are kept find each other first.
fn places<'a, T>(
    before: &'a [T],
    after: &'a [T],
    name: impl Fn(&'a T) -> &'a str,
    is_kept: impl Fn(usize, usize) -> bool,
) -> Vec<Place> {
    let mut named: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, of) in after.iter().enumerate() {
        named.entry(name(of)).or_default().push(place);
    }
    let mut places = vec![Place::Gone; before.len()];
    for (old, place) in places.iter_mut().enumerate() {
        if let Some(free) = named.get_mut(name(&before[old]))
            && let Some(found) = free.iter().position(|&new| is_kept(old, new))
        {
            *place = Place::Kept(free.remove(found));
        }
    }
    for (of, place) in before.iter().zip(&mut places) {
        if *place == Place::Gone
            && let Some(free) = named.get_mut(name(of)).filter(|free| !free.is_empty())
        {
            *place = Place::Changed(free.remove(0));
        }
    }
    places
}

/// The names behind places; `is_same` says whether something kept is the same to the last word.
fn changes<'a, T>(
    before: &'a [T],
    after: &'a [T],
    places: &[Place],
    name: impl Fn(&'a T) -> &'a str,
    is_same: impl Fn(&'a T, &'a T) -> bool,
) -> Changes {
    let mut changes = Changes::default();
    let mut is_new = vec![true; after.len()];
    for (of, &place) in before.iter().zip(places) {
        if let Some(place) = place.named() {
            is_new[place] = false;
        }
        let list = match place {
            Place::Kept(place) if is_same(of, &after[place]) => continue,
            Place::Kept(_) => &mut changes.adjusted,
            Place::Changed(_) => &mut changes.changed,
            Place::Gone => &mut changes.removed,
        };
        list.push(name(of).to_owned());
    }
    let new = after.iter().zip(is_new).filter(|(_, is_new)| *is_new);
    changes.added = new.map(|(of, _)| name(of).to_owned()).collect();
    changes
}

fn sets(before: &Config, after: &Config) -> Vec<Place> {
    let (old_tables, new_tables) = (tables_of_sets(before), tables_of_sets(after));
    let (old, new) = (&before.ha_sets, &after.ha_sets);
    places(
        old,
        new,
        |set| &set.name,
        |at, now| {
            // What both ends have agreed on, and where what comes out is routed.
            let tables = old_tables[at].zip(new_tables[now]);
            old[at].window == new[now].window && tables.is_none_or(|(old, new)| old == new)
        },
    )
}

/// Where the traffic inside of each set that we dial is routed.
fn tables_of_sets(config: &Config) -> Vec<Option<u32>> {
    let mut tables = vec![None; config.ha_sets.len()];
    for outgoing in &config.l2tp.outgoing {
        if let Some(set) = outgoing.ha_set {
            tables[set].get_or_insert(outgoing.payload_table);
        }
    }
    tables
}

fn set_changes(before: &Config, after: &Config, places: &[Place]) -> Changes {
    let (old, new) = (&before.ha_sets, &after.ha_sets);
    changes(
        old,
        new,
        places,
        |set: &HaSet| &set.name,
        |old, new| old == new,
    )
}

/// Whether links are still in the set that they were in, and that has been kept.
fn same_set(before: Option<usize>, after: Option<usize>, sets: &[Place]) -> bool {
    match before {
        Some(before) => after.is_some() && sets[before].kept() == after,
        None => after.is_none(),
    }
}

fn outgoing(
    before: &Config,
    after: &Config,
    sets: &[Place],
    without_ipv6: &BTreeSet<usize>,
) -> (Vec<Place>, Changes) {
    let (old, new) = (&before.l2tp.outgoing, &after.l2tp.outgoing);
    let ipv6 = |of: &Outgoing| after.carries_ipv6(of.payload_table, of.ha_set, of.routes.iter());
    let places = places(
        old,
        new,
        |of| &of.name,
        |at, now| {
            let (old, new) = (&old[at], &new[now]);
            let followed = Outgoing {
                ha_set: new.ha_set,
                routes: new.routes.clone(),
                comment: new.comment.clone(),
                ..old.clone()
            };
            same_set(old.ha_set, new.ha_set, sets)
                && !(without_ipv6.contains(&at) && ipv6(new))
                && followed == *new
        },
    );
    let is_same =
        |old: &Outgoing, new: &Outgoing| old.routes == new.routes && old.comment == new.comment;
    let changes = changes(old, new, &places, |of| &of.name, is_same);
    (places, changes)
}

/// Places of the `incoming`s and of their matches, and what is said of both.
fn incoming(
    before: &Config,
    after: &Config,
    sets: &[Place],
    without_ipv6: &BTreeSet<(usize, usize)>,
) -> (Vec<Place>, Vec<Vec<Place>>, [Changes; 2]) {
    let (old, new) = (&before.l2tp.incoming, &after.l2tp.incoming);
    // Who may come in is looked at tunnel by tunnel; the speed is that of the matches. Where the
    // file does not say `local-ip`, the first match may decide: whose link is up keeps its own.
    let followed = |old: &Incoming, new: &Incoming| Incoming {
        local_ip: match new.local_ip_given {
            true => old.local_ip,
            false => new.local_ip,
        },
        local_ip_given: new.local_ip_given,
        listen: new.listen.clone(),
        allow: new.allow.clone(),
        table: new.table,
        remote_hostname: new.remote_hostname.clone(),
        comment: new.comment.clone(),
        speed: new.speed,
        matches: Vec::new(),
        ..without_matches(old)
    };
    let in_places = places(
        old,
        new,
        |of| &of.name,
        |at, now| followed(&old[at], &new[now]) == without_matches(&new[now]),
    );
    let is_same = |old: &Incoming, new: &Incoming| without_matches(old) == without_matches(new);
    let of_incoming = changes(old, new, &in_places, |of| &of.name, is_same);
    let (mut all, mut of_matches) = (Vec::new(), Changes::default());
    for (old_place, (of, &place)) in old.iter().zip(&in_places).enumerate() {
        let Some(named) = place.named() else {
            all.push(vec![Place::Gone; of.matches.len()]);
            continue;
        };
        let now = &new[named];
        let ipv6 = |login: &Match| {
            after.carries_ipv6(now.payload_table, login.ha_set, login.routes.iter())
        };
        let places = places(
            &of.matches,
            &now.matches,
            |login| &login.graph,
            |at, here| {
                let (old, new) = (&of.matches[at], &now.matches[here]);
                let followed = Match {
                    ha_set: new.ha_set,
                    routes: new.routes.clone(),
                    comment: new.comment.clone(),
                    ..old.clone()
                };
                place.kept().is_some()
                    && same_set(old.ha_set, new.ha_set, sets)
                    && !(without_ipv6.contains(&(old_place, at)) && ipv6(new))
                    && followed == *new
            },
        );
        let is_same =
            |old: &Match, new: &Match| old.routes == new.routes && old.comment == new.comment;
        let more = changes(
            &of.matches,
            &now.matches,
            &places,
            |login| &login.graph,
            is_same,
        );
        of_matches.added.extend(more.added);
        of_matches.removed.extend(more.removed);
        of_matches.changed.extend(more.changed);
        of_matches.adjusted.extend(more.adjusted);
        all.push(places);
    }
    (in_places, all, [of_incoming, of_matches])
}

fn without_matches(of: &Incoming) -> Incoming {
    // There may be tens of thousands: they are not copied first.
    let Incoming {
        name,
        listen,
        allow,
        table,
        local_ip,
        local_ip_given,
        remote_hostname,
        local_hostname,
        secret,
        payload_table,
        lcp_rate,
        lcp_timeout,
        tcp_mss_fix,
        matches: _,
        peering,
        udp_checksum,
        comment,
        mtu,
        speed,
        ppp,
    } = of;
    Incoming {
        name: name.clone(),
        listen: listen.clone(),
        allow: allow.clone(),
        table: *table,
        local_ip: *local_ip,
        local_ip_given: *local_ip_given,
        remote_hostname: remote_hostname.clone(),
        local_hostname: local_hostname.clone(),
        secret: secret.clone(),
        payload_table: *payload_table,
        lcp_rate: *lcp_rate,
        lcp_timeout: *lcp_timeout,
        tcp_mss_fix: *tcp_mss_fix,
        matches: Vec::new(),
        peering: peering.clone(),
        udp_checksum: *udp_checksum,
        comment: comment.clone(),
        mtu: *mtu,
        speed: *speed,
        ppp: ppp.clone(),
    }
}

/// Names of alarms need not differ: those that are the same in all are the same.
fn alarms(before: &Config, after: &Config) -> Changes {
    let mut changes = Changes::default();
    let mut new: Vec<_> = after.alarms.iter().collect();
    let mut take = |is_meant: &dyn Fn(&Alarm) -> bool| {
        let place = new.iter().position(|alarm| is_meant(alarm));
        place.map(|place| new.remove(place)).is_some()
    };
    let others = before.alarms.iter();
    let others: Vec<_> = others.filter(|old| !take(&|new| new == *old)).collect();
    for old in others {
        let list = match take(&|new| new.name == old.name) {
            true => &mut changes.changed,
            false => &mut changes.removed,
        };
        list.push(old.name.clone());
    }
    changes.added = new.iter().map(|alarm| alarm.name.clone()).collect();
    changes
}

/// A static route into a set leads to the set of that name.
fn routes(before: &Config, after: &Config) -> usize {
    let of = |config: &Config| -> BTreeMap<_, _> {
        let routes = config.routes.iter();
        let set = |via: &Via| match *via {
            Via::HaSet(set) => Some(config.ha_sets[set].name.clone()),
            _ => None,
        };
        routes
            .map(|route| {
                let set = set(&route.via);
                let elsewhere = set.is_none().then_some(route.via);
                ((route.table, route.to), (elsewhere, set))
            })
            .collect()
    };
    differing(&of(before), &of(after))
}

fn neighbours(before: &Config, after: &Config) -> usize {
    let of = |config: &Config| -> BTreeMap<_, _> {
        let all = config.neighbours.iter();
        all.map(|one| ((one.interface, one.address), one.mac))
            .collect()
    };
    differing(&of(before), &of(after))
}

/// How many keys came, went, or have another value.
fn differing<K: Ord, V: PartialEq>(before: &BTreeMap<K, V>, after: &BTreeMap<K, V>) -> usize {
    let gone = before.keys().filter(|key| !after.contains_key(key));
    let new = after
        .iter()
        .filter(|(key, value)| before.get(key) != Some(value));
    gone.count() + new.count()
}

#[cfg(test)]
mod tests;
