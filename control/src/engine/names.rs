//! The names of links and sets, by what the workers know them by.

use crate::capture::Wanted;
use crate::capture::names::{Link, Names, Set};

use super::Engine;
use super::link::Origin;
use crate::ha::SetInstance;

impl Engine {
    /// The names of what a capture sees; those of the ports are the shell's.
    #[must_use]
    pub fn capture_names(&self) -> Names {
        let link = |link: &super::link::Link| Link {
            id: link.id.0,
            name: self.link_name(link.id),
            tunnel: match link.origin {
                Origin::Outgoing(index) => self.config.l2tp.outgoing[index].name.clone(),
                Origin::Incoming { incoming, .. } => {
                    self.config.l2tp.incoming[incoming].name.clone()
                }
                Origin::Former => {
                    let names = link.former.as_ref();
                    names.map_or_else(String::new, |names| names.tunnel.clone())
                }
            },
            set: link.set.map(|set| set.0),
            peer: link.spec.peer,
            local_ids: (link.spec.local_tunnel, link.spec.local_session),
            peer_ids: (link.spec.peer_tunnel, link.spec.peer_session),
        };
        let sets = self.sets.iter().map(|instance| Set {
            id: instance.id.0,
            name: self.set_of(instance).to_owned(),
        });
        Names {
            ports: Vec::new(),
            links: self.links.values().map(link).collect(),
            sets: sets.collect(),
        }
    }

    /// The name of an instance's set: of a former one, what the peer was told.
    pub(super) fn set_of<'a>(&'a self, instance: &'a SetInstance) -> &'a str {
        match instance.key {
            Some(_) => &self.config.ha_sets[instance.set].name,
            None => &instance.ours.label,
        }
    }

    /// Whether the configuration has the sets and links that a capture is to be of.
    ///
    /// # Errors
    /// Names the first that it does not have, and some that it has.
    pub fn check_capture(&self, wanted: &Wanted) -> Result<(), String> {
        let sets = &self.config.ha_sets;
        for name in &wanted.sets {
            if !sets.iter().any(|set| set.name == *name) {
                let names: Vec<&str> = sets.iter().map(|set| set.name.as_str()).collect();
                let names = names.join(", ");
                return Err(format!("no HA set is called {name:?}; there are: {names}"));
            }
        }
        for name in &wanted.links {
            self.check_name(name)?;
        }
        Ok(())
    }
}
