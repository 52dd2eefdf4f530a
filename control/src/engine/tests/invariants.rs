//! What must hold of the sites of a [`World`], at any time or after a quiet one.

use std::collections::BTreeMap;

use dataplane::command::{SessionSpec, SetSpec};

use crate::engine::admitted::Admitted;
use crate::engine::group::GroupKey;
use crate::engine::link::Origin;
use crate::ha::instance::Key;

use super::world::{HEAD, REMOTE, World, milliseconds};
use crate::engine::Engine;
use crate::ppp::Family;

impl Engine {
    /// Whatever is masked, another link carries: of a set with HA one of the same instance, else
    /// one with the same families. And nothing is sent over what is masked.
    pub(super) fn assert_masks_are_covered(&self) {
        for group in self.groups.iter() {
            for session in group.sessions() {
                let link = &self.links[&session.id];
                assert_eq!(session.masked, link.mask.is_some());
                if !session.masked {
                    assert!(!link.spec.masked, "not taken though it is not masked");
                    continue;
                }
                assert_eq!(link.spec.masked, link.set.is_some());
                assert!(!group.carries(session.id), "sent over though it is masked");
                let stands_in = |id| {
                    let other = &self.links[&id];
                    let (fault, peer) = (other.hearing.fault(), other.hearing.peer());
                    let is_well = fault.is_none() && !peer.is_deaf && !peer.has_left;
                    is_well && other.mask.is_none() && !peer.is_masked
                };
                let others = group.sessions().filter(|other| other.set == session.set);
                let others: Vec<_> = others.filter(|other| stands_in(other.id)).collect();
                assert!(!others.is_empty(), "{:?} is masked alone", session.id);
                for family in [Family::Ipv4, Family::Ipv6] {
                    let is_needed = session.set.is_none() && session.networks.has(family);
                    let carries = others.iter().any(|other| other.networks.has(family));
                    assert!(carries || !is_needed, "{family} is carried by none");
                }
            }
        }
    }
}

impl World {
    pub(super) fn assert_all_delivered(&mut self, sent: &[Vec<u64>; 2]) {
        self.run_for(milliseconds(300));
        for (from, to) in [(HEAD, REMOTE), (REMOTE, HEAD)] {
            let delivered = &self.sites[to].delivered;
            let missing: Vec<_> = sent[from]
                .iter()
                .filter(|number| !delivered.contains_key(number))
                .collect();
            assert!(!sent[from].is_empty(), "traffic flowed");
            assert!(missing.is_empty(), "lost from site {from}: {missing:?}");
        }
        self.assert_none_twice();
    }

    pub(super) fn assert_none_twice(&self) {
        for (place, site) in self.sites.iter().enumerate() {
            let twice: Vec<_> = site.delivered.iter().filter(|&(_, &n)| n > 1).collect();
            assert!(twice.is_empty(), "delivered twice at {place}: {twice:?}");
        }
    }

    pub(super) fn assert_none_refused(&self) {
        for (place, site) in self.sites.iter().enumerate() {
            assert_eq!(site.refused, BTreeMap::new(), "refused at site {place}");
        }
    }

    /// Whatever is known by its place in the configuration is where it says.
    pub(super) fn assert_placed(&self, site: usize) {
        let engine = self.engine(site);
        let (l2tp, sets) = (&engine.config.l2tp, engine.config.ha_sets.len());
        let is_there = |origin: Origin| match origin {
            Origin::Outgoing(place) => place < l2tp.outgoing.len(),
            Origin::Incoming { incoming, login } => {
                let of = l2tp.incoming.get(incoming);
                of.is_some_and(|of| login.is_none_or(|login| login < of.matches.len()))
            }
            Origin::Former => false,
        };
        for link in engine.links.values() {
            let leaves = link.is_leaving() && link.former.is_some();
            assert!(is_there(link.origin) || leaves, "{:?}", link.origin);
            if link.is_leaving() {
                continue;
            }
            let key = engine.key_of(link.origin).map(|(key, _)| key);
            if let Some(group) = link.group {
                assert_eq!(Some(engine.groups.get(group).key), key);
            }
            if let Origin::Incoming {
                incoming,
                login: Some(login),
            } = link.origin
            {
                let login = &l2tp.incoming[incoming].matches[login];
                assert_eq!(login.username, link.username);
            }
            let instance = link
                .set
                .map(|set| engine.sets.get(set).expect("it is used"));
            assert!(instance.is_none_or(|it| it.key.is_some()));
            if let Some(dialled) = engine.by_tunnel.get(&link.tunnel) {
                assert_eq!(link.origin, Origin::Outgoing(dialled.outgoing));
            }
            let tunnel = engine.endpoint.tunnel(link.tunnel);
            if let (Origin::Incoming { incoming, .. }, Some(tunnel)) = (link.origin, tunnel) {
                assert_eq!(tunnel.incoming, Some(incoming));
            }
        }
        for (&origin, id) in &engine.online.0 {
            assert_eq!(engine.links[id].origin, origin);
        }
        let dialled = engine.by_tunnel.values().map(|dialled| dialled.outgoing);
        let due = engine.attempts.iter().map(|&(_, place)| place);
        assert!(dialled.chain(due).all(|place| place < l2tp.outgoing.len()));
        for (place, dialer) in engine.dialers.iter().enumerate() {
            let due = dialer.next_attempt().map(|at| (at, place));
            assert!(due.is_none_or(|due| engine.attempts.contains(&due)));
        }
        assert_eq!(engine.dialers.len(), l2tp.outgoing.len());
        let logins = |of: &Admitted| of.logins.len();
        assert_eq!(
            engine.admitted.iter().map(logins).collect::<Vec<_>>(),
            l2tp.incoming
                .iter()
                .map(|of| of.matches.len())
                .collect::<Vec<_>>(),
        );
        for group in engine.groups.iter() {
            let of_set = match group.key {
                GroupKey::Set { set } => Some(set),
                GroupKey::Remote { set, .. } => set,
                GroupKey::Outgoing { .. } => None,
                GroupKey::Former => {
                    let mut sets = engine.sets.iter();
                    let used = sets.any(|set| set.group == Some(group.id));
                    let links = engine.links.of_group(group.id);
                    assert!(used || links.count() > 0, "a group that nobody needs");
                    continue;
                }
            };
            assert!(of_set.is_none_or(|set| set < sets), "{:?}", group.key);
        }
        for instance in engine.sets.iter().filter(|it| it.key.is_some()) {
            assert!(instance.set < sets, "{:?}", instance.key);
            if let Some(Key::Incoming { incoming, set, .. }) = instance.key {
                assert_eq!(engine.admitted[incoming].ha_set, Some(set));
            }
        }
    }

    /// The workers have what the engine believes that they have.
    pub(super) fn assert_mirrored(&self, site: usize) {
        self.assert_placed(site);
        let (engine, of) = (self.engine(site), &self.sites[site]);
        let workers = &of.workers;
        assert_eq!((of.given, of.commands), (engine.commands, engine.commands));
        let link = |spec: &SessionSpec| {
            let ids = (
                spec.local_tunnel,
                spec.local_session,
                spec.peer_tunnel,
                spec.peer_session,
            );
            let taken = (spec.receive, spec.masked);
            (ids, spec.local, spec.peer, taken, spec.mtu, spec.set)
        };
        let ours = engine.links.values().map(|of| (of.id, link(&of.spec)));
        let theirs = workers.sessions.iter().map(|(&id, spec)| (id, link(spec)));
        assert_eq!(
            ours.collect::<BTreeMap<_, _>>(),
            theirs.collect(),
            "sessions at {site}"
        );
        let set = |spec: &SetSpec| {
            let epochs = spec
                .epochs
                .iter()
                .map(|epoch| epoch.epoch)
                .collect::<Vec<_>>();
            (spec.send_epoch, spec.members.clone(), epochs)
        };
        // One that nobody was ever admitted to is not the workers' concern.
        let known = engine
            .sets
            .iter()
            .filter(|set| set.received_epochs().count() > 0);
        let ours = known.map(|of| (of.id, set(&of.spec())));
        let theirs = workers.sets.iter().map(|(&id, spec)| (id, set(spec)));
        assert_eq!(
            ours.collect::<BTreeMap<_, _>>(),
            theirs.collect(),
            "sets at {site}"
        );
        let ours = engine
            .rib
            .routes()
            .map(|(table, prefix, _, hop)| ((table, prefix), hop));
        assert_eq!(
            ours.collect::<BTreeMap<_, _>>(),
            workers.routes,
            "routes at {site}"
        );
    }

    /// A site holds what its open links need and no more; of tunnels only if
    /// those that died before they had a call had the time to be missed.
    pub(super) fn assert_only(&self, site: usize, links: usize, tunnels_too: bool) {
        let engine = self.engine(site);
        assert_eq!(engine.links.ids().count(), links, "links at {site}");
        assert_eq!(engine.by_call.len(), links, "calls at {site}");
        assert_eq!(engine.deadlines.len(), links, "deadlines at {site}");
        let tunnels = engine.endpoint.tunnels();
        let tunnels: Vec<_> = tunnels
            .filter_map(|id| engine.endpoint.tunnel(id))
            .collect();
        let are_right = tunnels.len() == links || !tunnels_too;
        assert!(are_right, "tunnels at {site}: {tunnels:?}");
        let dialled = if site == HEAD { 0 } else { links };
        assert_eq!(engine.by_tunnel.len(), dialled, "dialled at {site}");
        assert!(
            engine.connected.is_empty() && engine.outputs.is_empty() && engine.moving.is_empty()
        );
        for link in engine.links.values() {
            assert_eq!(link.scheduled, link.next_timeout(), "timer at {site}");
        }
        let remotes = self.sites.len() - 1;
        let sets = engine.sets.iter().count();
        assert!(sets <= remotes, "{sets} sets at {site}");
        let epochs = engine.sets.iter().map(|set| set.received_epochs().count());
        assert!(epochs.max() <= Some(1), "epochs at {site}");
        assert!(engine.books.len() <= sets, "books at {site}");
        let members = engine.groups.iter().map(|group| group.sessions().count());
        assert_eq!(members.sum::<usize>(), links, "open in groups at {site}");
    }

    /// Nothing is left of any link. A remote's set keeps its numbering.
    pub(super) fn assert_empty(&self, site: usize, prefixes: usize) {
        self.assert_only(site, 0, true);
        let (engine, workers) = (self.engine(site), &self.sites[site].workers);
        assert!(engine.endpoint.is_empty(), "endpoint at {site}");
        assert!(workers.sessions.is_empty(), "workers' sessions at {site}");
        assert!(workers.sets.values().all(|set| set.members.is_empty()));
        assert_eq!(workers.routes.len(), prefixes, "routes at {site}");
        assert!(engine.links.is_empty(), "indexes at {site}");
    }

    /// After a quiet time, a site holds what its open links need and no more.
    pub(super) fn assert_nothing_leaked(&self, site: usize, links: usize, sets: usize) {
        let (engine, workers) = (self.engine(site), &self.sites[site].workers);
        assert_eq!(engine.links.ids().count(), links, "links at {site}");
        assert_eq!(engine.by_call.len(), links, "calls at {site}");
        assert_eq!(engine.deadlines.len(), links, "deadlines at {site}");
        let tunnels = engine.endpoint.tunnels();
        let in_use = |id| engine.endpoint.tunnel(id).is_some_and(|of| of.calls > 0);
        let tunnels = tunnels.filter(|&id| in_use(id)).count();
        assert_eq!(tunnels, links, "tunnels at {site}");
        let dialled = if site == HEAD { 0 } else { links };
        assert_eq!(engine.by_tunnel.len(), dialled, "dialled at {site}");
        assert_eq!(engine.sets.iter().count(), sets, "sets at {site}");
        assert_eq!(workers.sessions.len(), links, "workers' sessions at {site}");
        assert_eq!(workers.sets.len(), sets, "workers' sets at {site}");
        let epochs = workers.sets.values().map(|set| set.epochs.len());
        assert!(epochs.clone().all(|count| count == 1), "epochs at {site}");
        assert!(engine.connected.is_empty() && engine.outputs.is_empty());
        for link in engine.links.values() {
            assert_eq!(link.scheduled, link.next_timeout(), "timer at {site}");
        }
    }
}
