//! Another configuration while everything runs: what has not changed is not touched, and what
//! the engine knows by its place in a list has its new place in the same step.
//!
//! What ends does so under the old configuration, and as if it had been kicked: it is said by
//! its old names, other links of its set carry on, and what is under way is received until the
//! grace time ends. Then all places change at once.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::time::Duration;

use dataplane::command::{Command, Prefix, SessionId, SetId, TableId};

use super::Engine;
use super::admitted::Admitted;
use super::calls::{endpoint_config, ordering};
use super::dialer::Dialer;
use super::group::GroupKey;
use super::happening::Ending;
use super::interfaces::interface_id;
use super::link::{FormerNames, Link, Origin};
use super::membership::key_in;
use super::rib::Source;
use crate::config::{Config, Difference, Incoming, Place, Places, WithoutIpv6};
use crate::ha::SetInstance;
use crate::ha::instance::Key;
use crate::l2tp::{self, TunnelId, TunnelState};

/// What the packet buffers were made for at the start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Provided {
    largest_packet_octets: u16,
    ordering: bool,
}

impl Provided {
    pub(super) fn of(config: &Config) -> Self {
        Self {
            largest_packet_octets: config.largest_packet_octets(),
            ordering: config.puts_into_order(),
        }
    }

    /// Keys of a configuration that wants more.
    fn lacking<'c>(&'c self, config: &'c Config) -> impl Iterator<Item = String> + 'c {
        config.ha_sets.iter().flat_map(|set| {
            let larger = set.mtu > self.largest_packet_octets;
            let orders = set.ordering.is_some() && !self.ordering;
            let keys = [(larger, "mtu"), (orders, "ordering")];
            let lacking = keys.into_iter().filter(|(lacks, _)| *lacks);
            lacking.map(|(_, key)| format!("ha-sets[{}].{key}", set.name))
        })
    }
}

/// Where everything is that the engine knows by its place.
struct Now<'a> {
    places: &'a Places,
    /// Where each `outgoing` is whose links have the name that they had.
    outgoing: Vec<Option<usize>>,
    /// The groups that the configuration has.
    groups: BTreeSet<GroupKey>,
    admitted: Vec<Admitted>,
    endpoint: l2tp::EndpointConfig,
}

impl<'a> Now<'a> {
    fn new(before: &Config, config: &Config, places: &'a Places) -> Self {
        let key = |origin| key_in(config, origin).map(|(key, _)| key);
        let outgoing = before.l2tp.outgoing.iter().zip(&places.outgoing);
        let outgoing = outgoing.map(|(of, place)| {
            let place = place.named()?;
            (config.l2tp.outgoing[place].graph == of.graph).then_some(place)
        });
        Self {
            places,
            outgoing: outgoing.collect(),
            groups: origins(config).filter_map(key).collect(),
            admitted: Admitted::all(config),
            endpoint: endpoint_config(config),
        }
    }

    /// Whose configuration a link follows, by name: of one that stays, the same.
    fn origin(&self, origin: Origin) -> Option<Origin> {
        match origin {
            Origin::Outgoing(place) => Some(Origin::Outgoing(self.outgoing[place]?)),
            Origin::Incoming { incoming, login } => Some(Origin::Incoming {
                incoming: self.places.incoming[incoming].named()?,
                login: match login {
                    Some(login) => Some(self.places.matches[incoming][login].named()?),
                    None => None,
                },
            }),
            Origin::Former => None,
        }
    }

    /// Whether nothing has changed that a link was set up with.
    fn keeps(&self, link: &Link) -> bool {
        match link.origin {
            Origin::Outgoing(place) => self.places.outgoing[place].kept().is_some(),
            Origin::Incoming {
                incoming,
                login: Some(login),
            } => self.places.matches[incoming][login].kept().is_some(),
            // It may turn out to be any of them.
            Origin::Incoming {
                incoming,
                login: None,
            } => {
                let place = self.places.incoming[incoming].kept();
                place.is_some_and(|place| !self.admitted[place].ipv6 || link.ppp.offers_ipv6())
            }
            Origin::Former => false,
        }
    }

    fn group(&self, key: GroupKey) -> Option<GroupKey> {
        let of_set = |set: usize| self.places.ha_sets[set].kept();
        let key = match key {
            GroupKey::Set { set } => GroupKey::Set { set: of_set(set)? },
            GroupKey::Outgoing { outgoing } => GroupKey::Outgoing {
                outgoing: self.places.outgoing[outgoing].kept()?,
            },
            GroupKey::Remote {
                incoming,
                set,
                remote_ip,
            } => GroupKey::Remote {
                incoming: self.places.incoming[incoming].kept()?,
                set: match set {
                    Some(set) => Some(of_set(set)?),
                    None => None,
                },
                remote_ip,
            },
            GroupKey::Former => return None,
        };
        self.groups.contains(&key).then_some(key)
    }

    /// What an instance is found by, and the place of its set; its group's key is the old one.
    fn instance(&self, instance: &SetInstance, group: Option<GroupKey>) -> Option<(Key, usize)> {
        if let Some(group) = group {
            self.group(group)?;
        }
        let set = self.places.ha_sets.get(instance.set)?.kept()?;
        let key = match instance.key? {
            // Without a tunnel it has no place to be routed in; the next one may say another.
            Key::Outgoing { .. } => {
                let is_dialled = self.groups.contains(&GroupKey::Set { set });
                is_dialled.then_some(Key::Outgoing { set })?
            }
            // Callers are expected to be of the first set, whichever that is.
            Key::Incoming {
                incoming,
                peer_instance,
                ..
            } => {
                let incoming = self.places.incoming[incoming].kept()?;
                Key::Incoming {
                    incoming,
                    set: self.admitted[incoming].ha_set?,
                    peer_instance,
                }
            }
        };
        Some((key, set))
    }
}

/// Every link of a configuration.
fn origins(config: &Config) -> impl Iterator<Item = Origin> {
    let outgoing = (0..config.l2tp.outgoing.len()).map(Origin::Outgoing);
    let incoming = config.l2tp.incoming.iter().enumerate();
    let logins = incoming.flat_map(|(incoming, of): (usize, &Incoming)| {
        (0..of.matches.len()).map(move |login| Origin::Incoming {
            incoming,
            login: Some(login),
        })
    });
    outgoing.chain(logins)
}

/// Static routes by who offers them.
type Statics = BTreeSet<(TableId, Prefix, Source)>;

impl Engine {
    /// What another configuration would change.
    ///
    /// # Errors
    /// Names the keys that cannot change while the appliance runs.
    pub fn difference(&self, config: &Config) -> Result<Difference, String> {
        let mut difference = Difference::between(&self.config, config, &self.without_ipv6());
        difference.restarts.extend(self.provided.lacking(config));
        if difference.restarts.is_empty() {
            return Ok(difference);
        }
        let keys = difference.restarts.join(", ");
        Err(format!(
            "{keys}: changed, which takes a restart; nothing was applied"
        ))
    }

    fn without_ipv6(&self) -> WithoutIpv6 {
        let mut without = WithoutIpv6::default();
        let links = self.links.values();
        for link in links.filter(|link| !link.is_leaving() && !link.ppp.offers_ipv6()) {
            match link.origin {
                Origin::Outgoing(place) => without.outgoing.insert(place),
                Origin::Incoming {
                    incoming,
                    login: Some(login),
                } => without.matches.insert((incoming, login)),
                Origin::Incoming { login: None, .. } | Origin::Former => continue,
            };
        }
        without
    }

    /// Follows another configuration from now on; `difference` is what [`Self::difference`]
    /// has just said of it.
    pub fn reload(&mut self, now: Duration, config: Config, difference: &Difference) {
        let of = Now::new(&self.config, &config, &difference.places);
        self.end_what_is_not_kept(now, &of);
        let statics = self.statics();
        self.renumber_links(&of);
        self.renumber_dialers(now, &of, config.l2tp.outgoing.len());
        self.renumber_groups(&of);
        let incoming = &of.places.incoming;
        self.endpoint
            .follow(of.endpoint, |place| incoming[place].kept());
        self.admitted = of.admitted;
        let before = mem::replace(&mut self.config, config);
        self.reloads += 1;
        self.forget_former();
        self.follow_graphs();
        self.follow_sets();
        self.follow_interfaces(now, &before);
        self.follow_routes(now, &statics);
        self.settle_neighbours(now);
        self.tell_lans(now);
    }

    fn end_what_is_not_kept(&mut self, now: Duration, of: &Now<'_>) {
        let before = endpoint_config(&self.config).incoming;
        let tunnels = self.endpoint.tunnels();
        let tunnels = tunnels.filter(|&tunnel| !self.keeps_tunnel(tunnel, &before, of));
        let tunnels: Vec<TunnelId> = tunnels.collect();
        for tunnel in tunnels {
            self.end_tunnel(now, tunnel, &Ending::Reconfigured);
        }
        let stays = |link: &Link| {
            let instance = link.set.and_then(|set| self.sets.get(set));
            let has_set = instance.is_none_or(|it| of.instance(it, self.group_of(it)).is_some());
            link.is_leaving() || (of.keeps(link) && has_set)
        };
        let links = self.links.values().filter(|link| !stays(link));
        let links: Vec<SessionId> = links.map(|link| link.id).collect();
        for id in links {
            self.end_link(now, id, &Ending::Reconfigured);
        }
        self.settle_endpoint(now);
        let groups = self.groups.iter();
        let former = groups.filter(|group| of.group(group.key).is_none());
        let former: Vec<u32> = former.map(|group| group.id).collect();
        for group in former {
            self.end_conflict(group, false);
        }
    }

    fn keeps_tunnel(&self, tunnel: TunnelId, before: &[l2tp::Incoming], of: &Now<'_>) -> bool {
        let Some(info) = self.endpoint.tunnel(tunnel) else {
            return true;
        };
        if info.state == TunnelState::Closed {
            return true;
        }
        if let Some(dialled) = self.by_tunnel.get(&tunnel) {
            return of.places.outgoing[dialled.outgoing].kept().is_some();
        }
        let Some(incoming) = info.incoming else {
            return true;
        };
        // One that came by a NAT may be somewhere now where none was let in from before either.
        let place = of.places.incoming[incoming].kept();
        place.is_some_and(|place| {
            of.endpoint.incoming[place].takes(&info) || !before[incoming].takes(&info)
        })
    }

    fn group_of(&self, instance: &SetInstance) -> Option<GroupKey> {
        instance.group.map(|group| self.groups.get(group).key)
    }

    fn renumber_links(&mut self, of: &Now<'_>) {
        let former: BTreeMap<SessionId, FormerNames> = self
            .links
            .values()
            .filter(|link| link.origin != Origin::Former && of.origin(link.origin).is_none())
            .map(|link| (link.id, self.names_of(link)))
            .collect();
        let ids: Vec<SessionId> = self.links.ids().collect();
        for id in ids {
            let before = self.links[&id].origin;
            let origin = of.origin(before).unwrap_or(Origin::Former);
            self.links.set_origin(id, origin);
            let Some(link) = self.links.get_mut(&id) else {
                continue;
            };
            if let Some(names) = former.get(&id) {
                link.former = Some(Box::new(names.clone()));
            }
            if let (Origin::Incoming { incoming: old, .. }, Origin::Incoming { incoming, .. }) =
                (before, origin)
            {
                let (logins, places) = (&of.admitted[incoming].logins, &of.places.matches[old]);
                link.ppp.set_logins(logins, |login| places[login].named());
            }
        }
        self.online.renumber(|origin| of.origin(origin));
    }

    fn names_of(&self, link: &Link) -> FormerNames {
        let tunnels = &self.config.l2tp;
        FormerNames {
            graph: self.link_name(link.id),
            tunnel: match link.origin {
                Origin::Outgoing(place) => tunnels.outgoing[place].name.clone(),
                Origin::Incoming { incoming, .. } => tunnels.incoming[incoming].name.clone(),
                Origin::Former => String::new(),
            },
            is_graph_known: false,
        }
    }

    fn renumber_dialers(&mut self, now: Duration, of: &Now<'_>, count: usize) {
        let mut dialers: Vec<Dialer> = (0..count).map(|_| Dialer::new(now)).collect();
        for (dialer, place) in self.dialers.drain(..).zip(&of.places.outgoing) {
            match *place {
                Place::Kept(place) => dialers[place] = dialer,
                Place::Changed(place) => dialers[place].last_result = dialer.last_result,
                Place::Gone => {}
            }
        }
        let attempts = dialers.iter().enumerate();
        self.attempts = attempts
            .filter_map(|(place, dialer)| Some((dialer.next_attempt()?, place)))
            .collect();
        self.dialers = dialers;
        self.by_tunnel.retain(|_, dialled| {
            let place = of.places.outgoing[dialled.outgoing].kept();
            dialled.outgoing = place.unwrap_or(dialled.outgoing);
            place.is_some()
        });
    }

    fn renumber_groups(&mut self, of: &Now<'_>) {
        let groups = &self.groups;
        self.sets.rekey(|instance| {
            let group = instance.group.map(|group| groups.get(group).key);
            of.instance(instance, group)
        });
        self.groups.rekey(|key| of.group(key));
    }

    /// Forgets what only the old configuration had, as far as no link needs it.
    fn forget_former(&mut self) {
        let instances = self.sets.iter().filter(|instance| instance.key.is_none());
        let instances: Vec<SetId> = instances.map(|instance| instance.id).collect();
        for set in instances {
            self.remove_set_if_unused(set);
        }
        let groups = self.groups.iter();
        let groups = groups.filter(|group| group.key == GroupKey::Former);
        let groups: Vec<u32> = groups.map(|group| group.id).collect();
        for group in groups {
            self.remove_group_if_unused(group);
        }
    }

    /// What was carried under a name that no link has is forgotten: a link that gets that name
    /// later has not carried it.
    fn follow_graphs(&mut self) {
        let tunnels = &self.config.l2tp;
        let outgoing = tunnels.outgoing.iter().map(|of| &of.graph);
        let logins = tunnels.incoming.iter().flat_map(|of| &of.matches);
        let graphs: BTreeSet<&str> = outgoing
            .chain(logins.map(|login| &login.graph))
            .map(String::as_str)
            .collect();
        self.history.retain(|graph, _| graphs.contains(&**graph));
        for link in self.links.values_mut() {
            if let Some(names) = &mut link.former {
                names.is_graph_known = graphs.contains(&*names.graph);
            }
        }
    }

    /// What a set can be without its links' knowing.
    fn follow_sets(&mut self) {
        let mut changed = Vec::new();
        let fixing = self.config.l2tp.outgoing.iter().filter(|of| of.tcp_mss_fix);
        let fixing: BTreeSet<usize> = fixing.filter_map(|of| of.ha_set).collect();
        for instance in self.sets.iter_mut().filter(|it| it.key.is_some()) {
            let set = &self.config.ha_sets[instance.set];
            instance.grace = set.grace;
            // Links that fix say so when they are admitted: here the last one may have gone.
            let is_fixed = match instance.key {
                Some(Key::Outgoing { set }) => fixing.contains(&set),
                _ => instance.tcp_mss_fix,
            };
            let tcp_mss_fix = instance.tcp_mss_fix && is_fixed;
            let now = (set.mtu, ordering(set), tcp_mss_fix);
            if now != (instance.mtu, instance.ordering, instance.tcp_mss_fix) {
                (instance.mtu, instance.ordering, instance.tcp_mss_fix) = now;
                // The workers have those that somebody was admitted to.
                let is_known = instance.received_epochs().next().is_some();
                changed.extend(is_known.then(|| instance.spec()));
            }
        }
        for spec in changed {
            self.command(Command::SetSet(spec));
        }
    }

    fn follow_interfaces(&mut self, now: Duration, before: &Config) {
        for place in 0..self.interfaces.len() {
            if before.interfaces[place] != self.config.interfaces[place] {
                self.refresh_interface(now, place);
            }
        }
        let neighbours = self.config.neighbours.clone();
        for old in &before.neighbours {
            let same = |new: &crate::config::Neighbour| {
                (new.interface, new.address) == (old.interface, old.address)
            };
            if !neighbours.iter().any(same) {
                self.neighbours
                    .remove_static(interface_id(old.interface), old.address);
            }
        }
        for new in neighbours {
            if !before.neighbours.contains(&new) {
                let interface = interface_id(new.interface);
                self.neighbours
                    .set_static(now, interface, new.address, new.mac);
            }
        }
    }

    fn statics(&self) -> Statics {
        let own = self.static_routes().into_iter();
        let own = own.map(|(table, prefix, _)| (table, prefix, Source::Static));
        let into_sets = self.groups.iter().flat_map(|group| {
            let routes = self.static_routes_into(group.id).into_iter();
            routes.map(|(table, prefix)| (table, prefix, Source::StaticInto(group.id)))
        });
        own.chain(into_sets).collect()
    }

    /// What is new is offered before what is old is withdrawn: a prefix that only leads
    /// elsewhere is never without a route. (One that led to what has ended was.)
    fn follow_routes(&mut self, now: Duration, before: &Statics) {
        for (table, prefix, next_hop) in self.static_routes() {
            self.offer(table, prefix, Source::Static, next_hop);
        }
        let groups = self.groups.iter();
        let groups: Vec<u32> = groups.map(|group| group.id).collect();
        for &group in &groups {
            let open = self.groups.get(group).sessions();
            let open: Vec<_> = open.map(|open| (open.id, open.networks)).collect();
            let open = open.into_iter();
            let open = open.map(|(id, networks)| self.open_session(id, networks));
            let open = open.collect();
            self.groups.get_mut(group).reopen(open);
            self.offer_routes_into(group);
        }
        for group in groups {
            self.refresh_group(now, group);
        }
        let after = self.statics();
        for &(table, prefix, source) in before.difference(&after) {
            self.withdraw(table, prefix, source);
        }
    }
}
