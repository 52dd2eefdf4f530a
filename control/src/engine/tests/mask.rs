//! Drills: a masked link carries nothing and costs nothing, and is there at once when
//! it is needed.

use std::time::Duration;

use dataplane::command::{NextHop, PortId};

use super::world::{HEAD, LINKS, REMOTE, World, config, extend, host, milliseconds, seconds};
use crate::engine::{Fault, MaskRefusal, Unmasking, What};
use crate::management::status::{Session, Set};

const FIRST: &str = "L2TP-remote-1";
const SECOND: &str = "L2TP-remote-2";
const THIRD: &str = "L2TP-remote-3";

fn up_world(seed: u64) -> World {
    let mut world = World::new(seed);
    world.run_for(seconds(5));
    assert!(world.all_up());
    world
}

/// Sites with the first two lines alone.
fn two_links(seed: u64) -> World {
    let mut world = World::new(seed);
    world.lines[2].cut = true;
    world.run_for(seconds(5));
    assert_eq!((world.members(HEAD), world.members(REMOTE)), (2, 2));
    world
}

fn mask(
    world: &mut World,
    site: usize,
    name: &str,
    time: Duration,
) -> Result<Vec<String>, MaskRefusal> {
    let now = world.clock(site);
    let masked = world.engine_mut(site).mask(now, name, time);
    world.carry_out(site);
    masked.map(|masked| masked.links)
}

fn refused(world: &mut World, site: usize, name: &str) -> String {
    match mask(world, site, name, seconds(60)) {
        Err(MaskRefusal::NotNow(why)) => why,
        other => panic!("{name}: {other:?}"),
    }
}

fn link(world: &World, site: usize, link: usize) -> Session {
    let status = world.engine(site).status(world.clock(site));
    status.sessions[link].clone()
}

/// What was said of masks.
fn told(world: &World, site: usize) -> Vec<What> {
    let mut told = world.sites[site].told.all();
    told.retain(|what| matches!(what, What::LinkMasked { .. } | What::LinkUnmasked(_)));
    told
}

/// From either end, under traffic: nothing is lost, the link carries nothing, its books
/// have no loss of it, it raises no alarm here and is known there, and it is back when
/// the time is up.
#[test]
fn a_drill_loses_nothing_and_undoes_itself() {
    for (site, other, name) in [(REMOTE, HEAD, SECOND), (HEAD, REMOTE, "remote.2")] {
        let mut world = up_world(21);
        world.lag = milliseconds(20);
        let mut sent = world.traffic_for(seconds(4));
        let before = [site, other].map(|of| link(&world, of, 1));
        let drilled = mask(&mut world, site, name, seconds(10));
        assert_eq!(drilled, Ok(vec![name.to_owned()]));
        assert_eq!(world.members(site), 2);
        extend(&mut sent, world.traffic_for(seconds(5)));
        let (here, there) = (link(&world, site, 1), link(&world, other, 1));
        assert_eq!((here.masked_for_s, &*here.state), (Some(5), "standby"));
        assert_eq!((here.alarm, there.masked_for_s), (None, None));
        assert!(here.sent_packets <= before[0].sent_packets + 5);
        let alarm = there.alarm.expect("it delivers nothing there");
        assert_eq!(alarm.text, Fault::PeerMasked.text());
        assert!(world.sites[site].masked_copies > 500);
        assert_eq!(world.sites[other].masked_copies, 0);
        extend(&mut sent, world.traffic_for(seconds(6)));
        assert!(world.all_up());
        let ended = What::LinkUnmasked(Unmasking::Time);
        let began = What::LinkMasked { time: seconds(10) };
        assert_eq!(told(&world, site), [began, ended]);
        assert_eq!(told(&world, other), []);
        extend(&mut sent, world.traffic_for(seconds(6)));
        world.assert_all_delivered(&sent);
        world.assert_none_refused();
        let after = [site, other].map(|of| link(&world, of, 1));
        for (before, after) in before.iter().zip(&after) {
            assert_eq!((after.lost_packets, after.longest_outage_packets), (0, 0));
            assert!(after.alarm.is_none() && after.masked_for_s.is_none());
            // It delivers as before: some 200 packets in a second of traffic.
            assert!(
                after.unique_packets > before.unique_packets + 1000,
                "{after:?}"
            );
        }
        // Those under way, for some 20 ms, were not taken: it is not known.
        assert!((1..10).contains(&after[0].unknown_packets), "{after:?}");
        assert_eq!(after[1].unknown_packets, 0, "the farewell says it all");
    }
}

/// What a link loses after a drill counts as it did before.
#[test]
fn the_books_go_on_after_a_drill() {
    let mut world = up_world(22);
    world.traffic_for(seconds(3));
    mask(&mut world, REMOTE, SECOND, seconds(3)).expect("others carry");
    world.traffic_for(seconds(6));
    world.fates.clear();
    let before = link(&world, REMOTE, 1);
    assert_eq!(before.lost_packets, 0);
    world.lines[1].loss = 0.1;
    world.traffic_for(seconds(10));
    world.lines[1].loss = 0.0;
    world.traffic_for(seconds(4));
    let after = link(&world, REMOTE, 1);
    let fate = world.fates[&(REMOTE, 1)];
    assert!(fate.lost > 100);
    assert_eq!(after.lost_packets, fate.lost);
    assert_eq!(after.unknown_packets, before.unknown_packets);
}

/// The farewell is lost, and the report behind it: the next one says the same. None of
/// them takes off again what the link had been refused before.
#[test]
fn a_lost_farewell_is_made_up_for() {
    for lost in [false, true] {
        let mut world = two_links(37);
        world.lines[1].loss = 0.1;
        world.traffic_for(seconds(10));
        world.lines[1].loss = 0.0;
        let withheld = 50;
        let engine = world.engine(REMOTE);
        let mut links = engine.links.values();
        let second = links.find(|link| engine.link_name(link.id) == SECOND);
        let counters = second.expect("it is up").spec.counters[0].clone();
        counters.over_speed_packets.add(withheld);
        world.traffic_for(seconds(5));
        let before = link(&world, HEAD, 1);
        let sole = link(&world, HEAD, 0).sole_packets;
        let fate = world.fates[&(HEAD, 1)];
        assert_eq!(before.lost_packets + withheld, fate.lost);
        // No report has told of these but those of the drill.
        let last = 20;
        counters.over_speed_packets.add(last);
        world.lines[1].ha_cut = lost;
        mask(&mut world, REMOTE, SECOND, seconds(10)).expect("the first carries");
        world.traffic_for(milliseconds(800));
        world.lines[1].ha_cut = false;
        let sent = world.traffic_for(seconds(15));
        world.assert_all_delivered(&sent);
        assert_eq!(world.members(REMOTE), 2);
        let after = link(&world, HEAD, 1);
        assert_eq!(after.lost_packets + last, before.lost_packets);
        assert_eq!(after.unknown_packets, before.unknown_packets);
        let outage = |link: &Session| (link.longest_outage_packets, link.longest_outage_ms);
        assert_eq!(outage(&after), outage(&before));
        assert_eq!(link(&world, HEAD, 0).sole_packets, sole);
    }
}

/// Neither end takes what the others bring during drills for what they saved, whether the
/// other end hears of them in time or not; and the link has its old place afterwards.
#[test]
fn drills_in_turn_save_nothing() {
    for (site, late) in [(REMOTE, false), (HEAD, false), (REMOTE, true), (HEAD, true)] {
        let mut world = two_links(40);
        world.traffic_for(seconds(4));
        for place in [0, 1] {
            let name = link(&world, site, place).name;
            world.lines[place].ha_cut = late;
            mask(&mut world, site, &name, seconds(8)).expect("the other one carries");
            world.traffic_for(milliseconds(2400));
            world.lines[place].ha_cut = false;
            world.traffic_for(seconds(10));
        }
        let saved =
            |world: &World, site: usize| world.engine(site).status(world.now).sets[0].saved_packets;
        assert_eq!([saved(&world, HEAD), saved(&world, REMOTE)], [0, 0]);
        // What the first loses now, the second saves.
        world.fates.clear();
        world.lines[0].loss = 0.2;
        world.traffic_for(seconds(5));
        world.lines[0].loss = 0.0;
        world.lines[1].loss = 0.2;
        world.traffic_for(seconds(10));
        world.lines[1].loss = 0.0;
        world.traffic_for(seconds(5));
        for site in [HEAD, REMOTE] {
            let lost = [0, 1].map(|line| world.fates[&(site, line)].lost);
            let by_both = world.engine(site).status(world.now).sets[0].lost_packets;
            assert_eq!(by_both, 0, "never both at once");
            assert!(lost[0] > 100 && lost[0] < lost[1]);
            assert_eq!(saved(&world, site), lost[0], "of the best link");
        }
    }
}

#[test]
fn masking_again_sets_the_time_anew_and_the_operator_may_end_it() {
    let mut world = up_world(23);
    mask(&mut world, REMOTE, "head2", seconds(10)).expect("a tunnel's name will do");
    world.run_for(seconds(8));
    mask(&mut world, REMOTE, SECOND, seconds(10)).expect("it is masked already");
    world.run_for(seconds(8));
    assert_eq!(link(&world, REMOTE, 1).masked_for_s, Some(2));
    let now = world.now;
    let undone = world.engine_mut(REMOTE).unmask(now, SECOND);
    assert_eq!(undone.map(|it| it.links), Ok(vec![SECOND.to_owned()]));
    world.run_for(seconds(0));
    assert!(world.all_up());
    let again = world.engine_mut(REMOTE).unmask(now, "head2");
    assert_eq!(again.map(|it| it.links), Ok(vec![]));
    let masked = What::LinkMasked { time: seconds(10) };
    let ended = What::LinkUnmasked(Unmasking::Operator);
    assert_eq!(told(&world, REMOTE), [masked, ended], "each thing once");
}

#[test]
fn what_would_cut_a_set_off_is_refused_and_says_why() {
    let mut world = up_world(24);
    let (short, long) = (milliseconds(999), seconds(3601));
    for time in [short, long] {
        let why = mask(&mut world, REMOTE, FIRST, time);
        assert_eq!(why, Err(MaskRefusal::Time));
    }
    let why = mask(&mut world, REMOTE, "haed1", seconds(60));
    assert!(matches!(why, Err(MaskRefusal::UnknownName(why)) if why.contains("\"haed1\"")));
    let incoming = world.sites[HEAD].config.l2tp.incoming[0].name.clone();
    let why = refused(&mut world, HEAD, &incoming);
    assert!(why.contains("carries set A; remote."), "{why}");
    assert!(told(&world, HEAD).is_empty(), "all of them or none");
    mask(&mut world, REMOTE, FIRST, seconds(60)).expect("two others carry");
    mask(&mut world, REMOTE, SECOND, seconds(60)).expect("one other carries");
    let why = refused(&mut world, REMOTE, THIRD);
    assert_eq!(
        why,
        "L2TP-remote-3 is the only link that carries set A; L2TP-remote-1: is masked; L2TP-remote-2: is masked"
    );
    world.lines[0].cut = true;
    world.run_for(seconds(8));
    let why = refused(&mut world, REMOTE, FIRST);
    assert_eq!(why, "L2TP-remote-1 is not up: there is nothing to rehearse");
    assert_eq!(
        told(&world, REMOTE).last(),
        Some(&What::LinkUnmasked(Unmasking::LinkDown))
    );
    // A link of no set.
    let mut alone = config("remote");
    alone.l2tp.outgoing.truncate(1);
    alone.l2tp.outgoing[0].ha_set = None;
    let mut world = World::of(24, vec![config("head"), alone]);
    world.run_for(seconds(5));
    let why = refused(&mut world, REMOTE, FIRST);
    assert!(why.contains("is in no set"), "{why}");
}

/// Each end knows what the other one has masked, and relies on nothing else; also when
/// both do it at the same time.
#[test]
fn two_ends_never_mask_what_the_other_relies_on() {
    let mut world = two_links(25);
    mask(&mut world, HEAD, "remote.1", seconds(60)).expect("the second carries");
    world.run_for(seconds(1));
    let why = refused(&mut world, REMOTE, SECOND);
    assert_eq!(
        why,
        "L2TP-remote-2 is the only link that carries set A; L2TP-remote-1: masked at the other end, for a drill"
    );
    // The same link is another matter.
    mask(&mut world, REMOTE, FIRST, seconds(60)).expect("the second carries");
    let sent = world.traffic_for(seconds(1));
    world.assert_all_delivered(&sent);

    let mut world = two_links(26);
    world.traffic_for(seconds(1));
    mask(&mut world, HEAD, "remote.1", seconds(60)).expect("the second carries");
    mask(&mut world, REMOTE, SECOND, seconds(60)).expect("it has not heard yet");
    world.traffic_for(milliseconds(200));
    for site in [HEAD, REMOTE] {
        assert_eq!(world.members(site), 2, "within a round trip");
        let needed = What::LinkUnmasked(Unmasking::Needed);
        assert_eq!(told(&world, site).last(), Some(&needed));
    }
    let sent = world.traffic_for(seconds(2));
    world.assert_all_delivered(&sent);
}

/// The other line is cut: what is masked carries as soon as that is felt, in one step
/// with what ends.
#[test]
fn a_masked_link_carries_when_the_others_fail() {
    let mut world = two_links(27);
    world.traffic_for(seconds(3));
    mask(&mut world, REMOTE, SECOND, seconds(60)).expect("the first carries");
    let sent = world.traffic_for(seconds(2));
    world.assert_all_delivered(&sent);
    world.lines[0].cut = true;
    world.traffic_for(seconds(3));
    let needed = What::LinkUnmasked(Unmasking::Needed);
    assert_eq!(told(&world, REMOTE).last(), Some(&needed));
    let sent = world.traffic_for(seconds(5));
    world.assert_all_delivered(&sent);
    // Whoever ends the last other link by hand loses nothing at all.
    let mut world = two_links(28);
    mask(&mut world, REMOTE, SECOND, seconds(60)).expect("the first carries");
    let mut sent = world.traffic_for(seconds(2));
    let now = world.now;
    world
        .engine_mut(REMOTE)
        .kick(now, FIRST)
        .expect("it is there");
    world.carry_out(REMOTE);
    assert_eq!(told(&world, REMOTE).last(), Some(&needed));
    extend(&mut sent, world.traffic_for(seconds(2)));
    world.assert_all_delivered(&sent);
}

/// The port that the others go by loses its link: that is known at once.
#[test]
fn a_port_that_goes_down_ends_the_drill() {
    let mut world = two_links(29);
    mask(&mut world, REMOTE, SECOND, seconds(60)).expect("the first carries");
    let now = world.now;
    let engine = world.engine_mut(REMOTE);
    engine.handle_port_link(now, PortId(1), false);
    world.carry_out(REMOTE);
    assert_eq!(link(&world, REMOTE, 1).masked_for_s, None);
    let why = refused(&mut world, REMOTE, SECOND);
    assert!(why.ends_with("L2TP-remote-1: its port is down"), "{why}");
}

/// The other end's port of the line that stands in goes down, its operator ends that
/// line, or it hears nothing over it: it says so over the masked one.
#[test]
fn the_other_end_gets_back_what_is_masked_here() {
    let port_down = |world: &mut World, now| {
        world.lines[0].cut = true;
        world
            .engine_mut(HEAD)
            .handle_port_link(now, PortId(1), false);
    };
    let kicked = |world: &mut World, now| {
        let kicked = world.engine_mut(HEAD).kick(now, "remote.1");
        assert_eq!(kicked.map(|it| it.sessions), Ok(1));
    };
    let cases: [fn(&mut World, Duration); 2] = [port_down, kicked];
    for happens in cases {
        let mut world = two_links(38);
        mask(&mut world, REMOTE, SECOND, seconds(60)).expect("the first carries");
        let mut sent = world.traffic_for(seconds(2));
        world.run_for(milliseconds(10));
        let now = world.clock(HEAD);
        happens(&mut world, now);
        world.carry_out(HEAD);
        let said = world.engine(HEAD);
        assert!(said.links.values().any(|link| link.said_needed));
        // There and back, with what the line adds.
        world.traffic_for(milliseconds(46));
        let needed = What::LinkUnmasked(Unmasking::Needed);
        assert_eq!(told(&world, REMOTE).last(), Some(&needed));
        extend(&mut sent, world.traffic_for(seconds(2)));
        // The drill is over, and with it that need.
        let said = world.engine(HEAD);
        assert!(said.links.values().all(|link| !link.said_needed));
        world.assert_all_delivered(&sent);
    }
}

/// A link that the other end has taken leave of is not relied on, though our end is open.
#[test]
fn a_link_that_the_other_end_has_left_is_not_relied_on() {
    let mut world = two_links(39);
    world.traffic_for(seconds(1));
    let now = world.clock(HEAD);
    world.dropped_message_type = Some(14);
    let kicked = world.engine_mut(HEAD).kick(now, "remote.1");
    assert!(kicked.is_ok());
    world.carry_out(HEAD);
    world.run_for(milliseconds(30));
    let why = refused(&mut world, REMOTE, SECOND);
    assert!(
        why.ends_with("L2TP-remote-1: the other end sends nothing over it"),
        "{why}"
    );
}

/// A line that carries too little from now on gets no copies: it does not stand in.
#[test]
fn a_line_that_becomes_too_small_ends_the_drill() {
    let mut world = two_links(41);
    world.traffic_for(seconds(1));
    mask(&mut world, REMOTE, SECOND, seconds(60)).expect("the first carries");
    let now = world.clock(REMOTE);
    let engine = world.engine_mut(REMOTE);
    let mut ids = engine.links.values().map(|link| link.id);
    let first = ids.find(|&id| engine.link_name(id) == FIRST);
    engine.set_whole_mtu(now, first.expect("it is up"), 500);
    world.carry_out(REMOTE);
    let needed = What::LinkUnmasked(Unmasking::Needed);
    assert_eq!(told(&world, REMOTE).last(), Some(&needed));
    let why = refused(&mut world, REMOTE, SECOND);
    assert!(why.ends_with("L2TP-remote-1: carries too little"), "{why}");
}

/// Data that vanishes in one direction only, of which this end cannot know.
#[test]
fn a_link_over_which_the_other_end_hears_nothing_is_not_relied_on() {
    for masked_before in [true, false] {
        let mut world = two_links(30);
        world.traffic_for(seconds(2));
        if masked_before {
            mask(&mut world, REMOTE, SECOND, seconds(60)).expect("the first carries");
        }
        let engine = world.engine(REMOTE);
        let mut links = engine.links.values();
        let first = links.find(|link| engine.link_name(link.id) == FIRST);
        world.lines[0].data_cut_to = first.map(|link| link.spec.peer.ip());
        world.traffic_for(seconds(3));
        assert_eq!(link(&world, REMOTE, 0).alarm, None);
        if masked_before {
            assert_eq!(link(&world, REMOTE, 1).masked_for_s, None);
        }
        let sent = world.traffic_for(seconds(1));
        world.assert_all_delivered(&sent);
        let why = refused(&mut world, REMOTE, SECOND);
        let weak = "L2TP-remote-1: nothing arrives at the other end";
        assert!(why.ends_with(weak), "{why}");
    }
}

fn undo(world: &mut World, site: usize, name: &str) {
    let now = world.clock(site);
    let undone = world.engine_mut(site).unmask(now, name);
    assert!(undone.is_ok_and(|it| it.links == [name]));
    world.carry_out(site);
}

/// A drill makes nobody forget that a link delivered nothing before it.
#[test]
fn a_link_that_was_dead_before_its_drill_is_not_relied_on_after_it() {
    for fault in [Fault::Silent, Fault::NoData] {
        let mut world = two_links(34);
        world.traffic_for(seconds(2));
        world.lines[0].ha_cut = fault == Fault::Silent;
        world.lines[0].data_cut = fault == Fault::NoData;
        world.traffic_for(seconds(4));
        let alarm = link(&world, REMOTE, 0).alarm.expect("it delivers nothing");
        assert_eq!(alarm.text, fault.text());
        mask(&mut world, REMOTE, FIRST, seconds(60)).expect("the second carries");
        world.traffic_for(seconds(5));
        undo(&mut world, REMOTE, FIRST);
        for _ in 0..40 {
            let why = refused(&mut world, REMOTE, SECOND);
            assert!(why.contains("; L2TP-remote-1: "), "{why}");
            world.traffic_for(milliseconds(100));
        }
        world.lines[0].ha_cut = false;
        world.lines[0].data_cut = false;
        world.traffic_for(seconds(2));
        mask(&mut world, REMOTE, SECOND, seconds(60)).expect("the first delivers again");
    }
}

#[test]
fn a_link_that_dies_during_its_drill_is_not_relied_on_after_it() {
    let mut world = two_links(35);
    world.traffic_for(seconds(2));
    mask(&mut world, REMOTE, FIRST, seconds(60)).expect("the second carries");
    world.traffic_for(seconds(2));
    world.lines[0].ha_cut = true;
    world.traffic_for(seconds(4));
    undo(&mut world, REMOTE, FIRST);
    let why = refused(&mut world, REMOTE, SECOND);
    assert!(why.ends_with(Fault::Silent.text()), "{why}");
    world.traffic_for(milliseconds(200));
    let alarm = link(&world, REMOTE, 0).alarm.expect("known at once");
    assert_eq!(alarm.text, Fault::Silent.text());
}

/// Our end of a link may be open before the other one is, which sends over the others
/// until then.
#[test]
fn a_link_that_nothing_came_over_yet_is_not_relied_on() {
    let mut world = World::new(36);
    world.cut([false, true, true]);
    world.run_for(seconds(5));
    world.cut([false, false, true]);
    world.lines[1].ha_cut = true;
    let opened = world.run_until(seconds(30), |world| world.members(REMOTE) == 2);
    assert!(opened.is_some());
    let why = refused(&mut world, REMOTE, FIRST);
    assert!(
        why.ends_with("L2TP-remote-2: nothing has come over it yet"),
        "{why}"
    );
    world.lines[1].ha_cut = false;
    world.run_for(milliseconds(1200));
    mask(&mut world, REMOTE, FIRST, seconds(60)).expect("the second carries");
}

/// What a peer without HA sends comes over one link: that is taken all the same.
#[test]
fn without_ha_the_next_one_sends_and_nothing_is_refused() {
    let mut head = config("head");
    for login in &mut head.l2tp.incoming[0].matches {
        login.ha_set = None;
    }
    let mut world = World::of(31, vec![head, config("remote")]);
    world.run_for(seconds(5));
    let hop = |world: &World| world.sites[REMOTE].workers.route(host(1));
    let first = hop(&world);
    assert!(matches!(first, Some(NextHop::Session(_))));
    mask(&mut world, REMOTE, FIRST, seconds(3)).expect("two stand by");
    assert!(matches!(hop(&world), Some(NextHop::Session(_))) && hop(&world) != first);
    let status = world.engine(REMOTE).status(world.now);
    assert_eq!(status.sets[0].protection, Set::NO_HA);
    let mut sent = world.traffic_for(seconds(2));
    extend(&mut sent, world.traffic_for(seconds(2)));
    world.assert_all_delivered(&sent);
    world.assert_none_refused();
    assert_eq!(hop(&world), first);
    let why = refused(&mut world, HEAD, "remote.1");
    assert!(why.contains("is in no set"), "{why}");
}

/// Packets that are to show what the path carries are answered during a drill.
#[test]
fn the_search_of_the_path_goes_on_at_the_other_end() {
    let mut world = up_world(32);
    world.run_for(seconds(30));
    let before = link(&world, HEAD, 1);
    assert!(before.path_mtu.is_some());
    mask(&mut world, REMOTE, SECOND, seconds(120)).expect("others carry");
    world.traffic_every(milliseconds(100), seconds(110));
    let during = link(&world, HEAD, 1);
    assert_eq!((during.path_mtu, during.mtu), (before.path_mtu, before.mtu));
    world.run_for(seconds(15));
    assert!(world.all_up());
    for site in [HEAD, REMOTE] {
        let after = link(&world, site, 1);
        assert_eq!((after.path_mtu, after.mtu), (before.path_mtu, before.mtu));
    }
}

#[test]
fn a_session_that_ends_takes_its_mask_along() {
    let mut world = up_world(33);
    mask(&mut world, REMOTE, SECOND, seconds(60)).expect("others carry");
    world.run_for(seconds(1));
    let now = world.now;
    world
        .engine_mut(REMOTE)
        .kick(now, SECOND)
        .expect("it is there");
    world.run_for(seconds(4));
    assert!(world.all_up(), "its next session is not masked");
    let ended = What::LinkUnmasked(Unmasking::LinkDown);
    assert_eq!(told(&world, REMOTE).last(), Some(&ended));
    assert_eq!(LINKS, world.members(REMOTE));
    // Nor does a process know of those of the one before.
    mask(&mut world, REMOTE, SECOND, seconds(60)).expect("others carry");
    world.run_for(seconds(1));
    world.kill(REMOTE);
    world.start(REMOTE);
    world.run_for(seconds(6));
    assert!(world.all_up());
}
