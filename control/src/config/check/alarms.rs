//! Whether alarms are for links that there are.

use super::super::decode::suggest;
use super::super::tree::printable;
use super::{Checker, top};

impl Checker<'_, '_, '_> {
    pub(super) fn alarms(&mut self) {
        let config = self.config;
        if !self.problems.sound(&top("l2tp")) {
            return;
        }
        let outgoing = config.l2tp.outgoing.iter().map(|of| (&of.graph, of.ha_set));
        let incoming = config.l2tp.incoming.iter().flat_map(|of| &of.matches);
        let incoming = incoming.map(|login| (&login.graph, login.ha_set));
        let links: Vec<_> = outgoing.chain(incoming).collect();
        for (index, alarm) in config.alarms.iter().enumerate() {
            let key = top("alarms").index(index).key("link");
            let Some(name) = alarm.link.as_ref().filter(|_| self.problems.sound(&key)) else {
                continue;
            };
            let Some((_, set)) = links.iter().find(|(graph, _)| *graph == name) else {
                let all: Vec<&str> = links.iter().map(|(graph, _)| graph.as_str()).collect();
                self.problems.error(
                    &key,
                    format!("there is no link \"{}\"", printable(name)),
                    suggest(name, &all, "the file has"),
                );
                continue;
            };
            let set = set.map(|set| &config.ha_sets[set].name);
            if alarm.set.is_some() && alarm.set.as_ref() != set {
                self.problems.error(
                    &key,
                    "this link is not in the `set` of the alarm: nothing would be told",
                    "take one of the two away",
                );
            }
        }
    }
}
