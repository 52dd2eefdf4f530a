//! What must hold of the sites of a [`World`], at any time or after a quiet one.

use std::collections::BTreeMap;

use dataplane::command::{SessionSpec, SetSpec};

use super::world::{HEAD, REMOTE, World, milliseconds};

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

    /// The workers have what the engine believes that they have.
    pub(super) fn assert_mirrored(&self, site: usize) {
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
            (ids, spec.local, spec.peer, spec.receive, spec.mtu, spec.set)
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
        assert_eq!(engine.links.keys().len(), links, "links at {site}");
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
        assert_eq!(engine.links.keys().len(), links, "links at {site}");
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
