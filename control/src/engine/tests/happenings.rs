//! What engines say of what happens. Every test of a [`World`] also shows, after each of an
//! engine's steps, that what it has said is what it is, and that it says nothing twice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::network::Line;
use super::remotes::two_remotes;
use super::world::{HEAD, LINKS, REMOTE, World, seconds};
use crate::engine::{Ending, Engine, Fault, FaultEnd, Happening, SetName, Unmasking, What};
use crate::management::status::Set;
use crate::ppp::CloseReason;
use dataplane::command::PortId;

/// What an engine is gets looked at when it has said something, and once in so many steps.
const LOOK_EVERY: u64 = 8;
/// Its whole status, once in so many.
const STATUS_EVERY: u64 = 64;

/// What a site has said, and what it is by that.
#[derive(Default)]
pub(super) struct Told {
    all: Vec<(Duration, Happening)>,
    up: BTreeSet<String>,
    faulty: BTreeSet<String>,
    masked: BTreeSet<String>,
    sets: BTreeMap<SetName, &'static str>,
    conflicts: BTreeSet<SetName>,
    steps: u64,
    /// Something was said since the last look.
    fresh: bool,
}

impl Told {
    pub(super) fn take(&mut self, now: Duration, happening: Happening) {
        let Happening { link, set, what } = &happening;
        let link = link.clone().unwrap_or_default();
        let set = set.clone();
        let of_set = || set.clone().expect("it happened to a set");
        let news = match what {
            What::LinkUp { .. } => self.up.insert(link),
            What::LinkDown(_) => {
                assert!(!self.faulty.contains(&link), "its fault has ended before");
                assert!(!self.masked.contains(&link), "its mask has ended before");
                self.up.remove(&link)
            }
            What::FaultBegan(_) => {
                let is_looked_at = self.up.contains(&link) && !self.masked.contains(&link);
                is_looked_at && self.faulty.insert(link)
            }
            What::LinkMasked { .. } => {
                assert!(!self.faulty.contains(&link), "its fault has ended before");
                self.up.contains(&link) && self.masked.insert(link)
            }
            What::LinkUnmasked(_) => self.masked.remove(&link),
            What::FaultEnded { .. } => self.faulty.remove(&link),
            What::ConflictBegan => self.conflicts.insert(of_set()),
            What::ConflictEnded { .. } => self.conflicts.remove(&of_set()),
            What::SetProtected { links } => *links > 1 && self.is_now(of_set(), Set::HA),
            What::SetOneLink { .. } => self.is_now(of_set(), Set::ONE_LINK),
            What::SetUnprotected => self.is_now(of_set(), Set::NO_HA),
            What::SetDown { .. } => self.is_now(of_set(), Set::DOWN),
            // The shell says so, not the engine.
            What::Reloaded(_) | What::ReloadRefused(_) => false,
        };
        assert!(news, "said though it was so before: {happening:?}");
        self.all.push((now, happening));
        self.fresh = true;
    }

    fn is_now(&mut self, set: SetName, protection: &'static str) -> bool {
        let before = self.sets.insert(set, protection);
        before.unwrap_or(Set::DOWN) != protection
    }

    pub(super) fn assert_agrees(&mut self, now: Duration, engine: &Engine) {
        self.steps += 1;
        if !std::mem::take(&mut self.fresh) && !self.steps.is_multiple_of(LOOK_EVERY) {
            return;
        }
        let open = engine.links.values().filter(|link| link.is_open());
        let open: BTreeSet<String> = open.map(|link| engine.link_name(link.id)).collect();
        assert_eq!(
            open, self.up,
            "links that are up, and those that were said to be"
        );
        let open = engine.links.values().filter(|link| link.is_open());
        let faulty = open.filter(|link| link.hearing.fault().is_some());
        let faulty: BTreeSet<String> = faulty.map(|link| engine.link_name(link.id)).collect();
        assert_eq!(faulty, self.faulty);
        let masked = engine.links.values().filter(|link| link.mask.is_some());
        let masked: BTreeSet<String> = masked.map(|link| engine.link_name(link.id)).collect();
        assert_eq!(masked, self.masked);
        engine.assert_masks_are_covered();
        for group in engine.groups.iter() {
            let Some(name) = engine.set_name(group.key) else {
                continue;
            };
            let told = self.sets.get(&name).copied().unwrap_or(Set::DOWN);
            assert_eq!(group.protection().text(), told, "{name:?}");
            let conflict = group.conflict.is_some();
            assert_eq!(conflict, self.conflicts.contains(&name), "{name:?}");
        }
        if self.steps.is_multiple_of(STATUS_EVERY) {
            self.assert_status_agrees(now, engine);
        }
    }

    fn assert_status_agrees(&self, now: Duration, engine: &Engine) {
        let status = engine.status(now);
        for set in &status.sets {
            let name = SetName {
                name: set.name.clone(),
                remote: set.remote.clone(),
            };
            let told = self.sets.get(&name).copied().unwrap_or(Set::DOWN);
            assert_eq!(set.protection, told, "{name:?}");
        }
        for link in &status.sessions {
            let is_faulty = self.faulty.contains(&link.name);
            assert!(is_faulty || link.alarm.is_none(), "{}", link.name);
            assert_eq!(
                link.masked_for_s.is_some(),
                self.masked.contains(&link.name)
            );
            let is_up = link.is_open();
            assert!(!is_up || self.up.contains(&link.name), "{}", link.name);
        }
    }

    /// After a stop, all links and sets are down: those that were up when so much had been said,
    /// because of it.
    pub(super) fn assert_stopped(&self, said_before: usize) {
        for (_, happening) in &self.all[said_before..] {
            let of_a_stop = match &happening.what {
                What::LinkDown(why) => *why == Ending::Shutdown,
                What::SetDown { stopping } => *stopping,
                What::FaultEnded { how, .. } => *how == FaultEnd::LinkDown,
                What::LinkUnmasked(why) => *why == Unmasking::LinkDown,
                _ => false,
            };
            assert!(of_a_stop, "{happening:?}");
        }
        assert!(self.up.is_empty() && self.faulty.is_empty() && self.masked.is_empty());
        assert!(
            self.sets
                .values()
                .all(|&protection| protection == Set::DOWN)
        );
    }

    /// All that was said, in order.
    pub(super) fn all(&self) -> Vec<What> {
        let all = self.all.iter();
        all.map(|(_, happening)| happening.what.clone()).collect()
    }

    /// How often each link went down, and why.
    fn downs(&self) -> Vec<(String, Ending)> {
        let of = |(_, happening): &(Duration, Happening)| match &happening.what {
            What::LinkDown(why) => Some((happening.link.clone()?, why.clone())),
            _ => None,
        };
        self.all.iter().filter_map(of).collect()
    }

    fn forget(&mut self) {
        self.all.clear();
    }
}

fn up_world(seed: u64) -> World {
    let mut world = World::new(seed);
    world.run_for(seconds(5));
    assert!(world.all_up());
    world
}

fn forget(world: &mut World) {
    for site in &mut world.sites {
        site.told.forget();
    }
}

#[test]
fn links_come_up_one_by_one_and_their_set_with_them() {
    let world = up_world(41);
    let told = world.sites[REMOTE].told.all();
    let link_up = What::LinkUp {
        network: told
            .iter()
            .find_map(|what| match what {
                What::LinkUp { network, .. } => Some(network.clone()),
                _ => None,
            })
            .expect("a link came up"),
        ha: true,
    };
    let is_up = |what: &&What| matches!(what, What::LinkUp { ha: true, .. });
    assert_eq!(told.iter().filter(is_up).count(), LINKS);
    assert!(
        told[0] == link_up && matches!(told[1], What::SetOneLink { .. }),
        "{told:?}"
    );
    let protected: Vec<_> = told
        .iter()
        .filter(|what| matches!(what, What::SetProtected { .. }))
        .collect();
    assert_eq!(protected, [&What::SetProtected { links: 2 }]);
    assert_eq!(told.len(), LINKS + 2, "{told:?}");
    let happening = &world.sites[HEAD].told.all[0].1;
    let set = happening.set.as_ref().expect("the link has a set");
    assert_eq!(
        (set.name.as_str(), set.remote.as_str()),
        ("A", "192.168.1.2")
    );
}

#[test]
fn a_line_that_is_cut_is_missed_by_its_echoes_or_by_its_port() {
    for port_down in [false, true] {
        let mut world = up_world(42);
        forget(&mut world);
        world.lines[1].cut = true;
        let port = PortId(2);
        if port_down {
            let now = world.now;
            world.engine_mut(REMOTE).handle_port_link(now, port, false);
        }
        world.run_for(seconds(12));
        let [(link, why)] = &world.sites[REMOTE].told.downs()[..] else {
            panic!("{:?}", world.sites[REMOTE].told.downs());
        };
        assert_eq!(link, "L2TP-remote-2");
        let noticed = Ending::Ppp(CloseReason::EchoTimeout);
        if port_down {
            let name = world.sites[REMOTE].config.ports[2].name.clone();
            let noticed = Box::new(noticed);
            assert_eq!(
                *why,
                Ending::PortDown {
                    port: name,
                    noticed
                }
            );
            assert_eq!(why.word(), "port-down");
        } else {
            assert_eq!((why.word(), why), ("lcp-timeout", &noticed));
        }
    }
}

#[test]
fn whoever_ends_a_link_is_named() {
    let words = |world: &World, site: usize| -> BTreeSet<&'static str> {
        let downs = world.sites[site].told.downs();
        downs.iter().map(|(_, why)| why.word()).collect()
    };
    let mut world = up_world(43);
    forget(&mut world);
    let now = world.now;
    world
        .engine_mut(REMOTE)
        .kick(now, "head1")
        .expect("it is there");
    world.run_for(seconds(3));
    assert_eq!(words(&world, REMOTE), ["kicked"].into());
    assert_eq!(words(&world, HEAD), ["peer-closed"].into());
    forget(&mut world);
    world.shut_down(REMOTE);
    assert_eq!(words(&world, REMOTE), ["shutdown"].into());
    let told = world.sites[REMOTE].told.all();
    let of_set: Vec<_> = told[..]
        .iter()
        .filter(|what| !matches!(what, What::LinkDown(_)))
        .collect();
    assert_eq!(
        of_set,
        [&What::SetDown { stopping: true }],
        "no other alarm"
    );
    world.run_for(seconds(1));
    assert_eq!(words(&world, HEAD), ["peer-shutdown"].into());
    // A new process of the peer.
    let mut world = up_world(44);
    forget(&mut world);
    world.kill(REMOTE);
    world.start(REMOTE);
    world.run_for(seconds(5));
    assert_eq!(words(&world, HEAD), ["displaced"].into());
    assert_eq!(world.sites[HEAD].told.downs().len(), LINKS);
}

#[test]
fn the_last_link_and_none_are_told_of_the_set() {
    let mut world = up_world(45);
    forget(&mut world);
    world.cut([true, true, false]);
    world.run_for(seconds(10));
    let last = |world: &World| world.sites[HEAD].told.all().pop();
    let link = world.sites[HEAD].config.l2tp.incoming[0].matches[2]
        .graph
        .clone();
    assert_eq!(last(&world), Some(What::SetOneLink { link }));
    world.cut([true; LINKS]);
    world.run_for(seconds(10));
    assert_eq!(last(&world), Some(What::SetDown { stopping: false }));
}

/// A fault begins once and ends once, also when another takes its place, and when the link
/// itself goes down meanwhile.
#[test]
fn a_fault_ends_once_by_itself_or_with_its_link() {
    for goes_down in [false, true] {
        let mut world = up_world(46);
        world.traffic_for(seconds(2));
        forget(&mut world);
        world.lines[1].data_cut = true;
        world.traffic_for(seconds(4));
        world.lines[1].ha_cut = true;
        world.traffic_for(seconds(4));
        let alarm = world.engine(HEAD).status(world.now).sessions[1]
            .alarm
            .clone();
        assert_eq!(
            alarm.map(|alarm| alarm.text).as_deref(),
            Some(Fault::Silent.text())
        );
        let faults = |world: &World| -> Vec<What> {
            let mut told = world.sites[HEAD].told.all();
            told.retain(|what| matches!(what, What::FaultBegan(_) | What::FaultEnded { .. }));
            told
        };
        assert_eq!(faults(&world), [What::FaultBegan(Fault::NoData)]);
        if goes_down {
            world.lines[1].cut = true;
        } else {
            world.lines[1] = Line::default();
        }
        world.traffic_for(seconds(10));
        let [_, What::FaultEnded { how, lasted }] = faults(&world)[..] else {
            panic!("{:?}", faults(&world));
        };
        assert_eq!(how == FaultEnd::LinkDown, goes_down);
        assert!((seconds(4)..seconds(14)).contains(&lasted), "{lasted:?}");
    }
}

/// A second box that gives up is forgotten, by a timer of its own.
#[test]
fn a_conflict_ends_when_the_second_box_comes_no_more() {
    let configs = vec![
        super::world::config("head"),
        super::world::config("remote"),
        super::world::remote_at(3, 2),
    ];
    let mut world = World::stopped(47, configs);
    world.start(HEAD);
    world.start(REMOTE);
    world.run_for(seconds(5));
    world.start(2);
    world.run_for(seconds(20));
    let conflicts = |world: &World| -> Vec<What> {
        let mut told = world.sites[HEAD].told.all();
        told.retain(|what| matches!(what, What::ConflictBegan | What::ConflictEnded { .. }));
        told
    };
    assert_eq!(conflicts(&world), [What::ConflictBegan]);
    world.kill(2);
    world.run_for(seconds(170));
    assert_eq!(conflicts(&world).len(), 1, "not yet");
    world.run_for(seconds(20));
    let taken_over = false;
    assert_eq!(conflicts(&world)[1..], [What::ConflictEnded { taken_over }]);
}

#[test]
fn remotes_of_one_set_are_told_apart() {
    let mut world = World::of(48, two_remotes());
    world.run_for(seconds(5));
    forget(&mut world);
    world.kill(REMOTE);
    world.run_for(seconds(10));
    let told = &world.sites[HEAD].told.all;
    let down = told.last().expect("a set went down");
    assert_eq!(down.1.what, What::SetDown { stopping: false });
    let remote = &down.1.set.as_ref().expect("of a set").remote;
    assert_eq!(remote, "192.168.1.2");
}
