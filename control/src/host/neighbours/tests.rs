use crate::seeds::seeds;
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use dataplane::command::{NextHop, Prefix, SetId, TableId};

use super::super::arp::{self, Arp, Operation};
use super::announcements::ANNOUNCE_INTERVAL;
use super::*;

mod ipv6;

const LAN: InterfaceId = InterfaceId(3);
const PORT: PortId = PortId(1);
const MAIN: TableId = TableId(0);
const OUR_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const HOST_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x10];
const OTHER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x11];
const OURS: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);
const HOST: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 16);
const OTHER: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 17);
/// The far appliance, behind the tunnel, in the LAN's own subnet.
const REMOTE: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 2);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn lan() -> Interface {
    Interface {
        id: LAN,
        port: PORT,
        table: MAIN,
        mac: OUR_MAC,
        addresses: vec![(OURS.into(), 24)],
        forward: true,
        point_to_point: false,
        on_link: Vec::new(),
    }
}

/// One interface, its announcements over.
fn neighbours() -> Neighbours {
    let mut neighbours = Neighbours::new();
    neighbours.add_interface(Duration::ZERO, lan());
    neighbours.handle_timeout(ANNOUNCE_INTERVAL);
    assert_eq!(drain(&mut neighbours).len(), 2);
    let route = Prefix::host(REMOTE);
    let tunnel = NextHop::Set(SetId(0));
    neighbours.proxy().set_route(MAIN, route, tunnel);
    neighbours
}

fn drain(neighbours: &mut Neighbours) -> Vec<Action> {
    std::iter::from_fn(|| neighbours.poll_output()).collect()
}

fn said(mac: [u8; 6], sender: Ipv4Addr, target: Ipv4Addr) -> Arp {
    Arp {
        operation: Operation::Request,
        sender_mac: mac,
        sender,
        target_mac: [0; 6],
        target,
    }
}

/// A request by a host.
fn request(mac: [u8; 6], sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    arp::request(mac, sender, target, None)
}

/// A host's answer to our request for it.
fn reply(mac: [u8; 6], sender: Ipv4Addr) -> Vec<u8> {
    arp::reply(mac, &said(OUR_MAC, OURS, sender))
}

fn send(frame: Vec<u8>) -> Action {
    Action::SendFrame { port: PORT, frame }
}

fn ask_all(target: Ipv4Addr) -> Action {
    send(request(OUR_MAC, OURS, target))
}

fn ask_one(target: Ipv4Addr, mac: [u8; 6]) -> Action {
    send(arp::request(OUR_MAC, OURS, target, Some(mac)))
}

fn install(address: impl Into<IpAddr>, mac: [u8; 6]) -> Action {
    Action::Install {
        interface: LAN,
        address: address.into(),
        mac,
    }
}

fn remove(address: impl Into<IpAddr>) -> Action {
    Action::Remove {
        interface: LAN,
        address: address.into(),
    }
}

fn send_packet(mac: [u8; 6], packet: &[u8]) -> Action {
    Action::SendPacket {
        interface: LAN,
        mac,
        packet: packet.to_vec(),
    }
}

fn unreachable(packet: &[u8]) -> Action {
    Action::Unreachable {
        interface: LAN,
        packet: packet.to_vec(),
    }
}

/// A host that has asked for us and so is known since `now`.
fn make_known(neighbours: &mut Neighbours, now: Duration, address: Ipv4Addr, mac: [u8; 6]) {
    neighbours.handle_arp(now, PORT, &request(mac, address, OURS));
    let actions = drain(neighbours);
    assert_eq!(actions[0], install(address, mac));
}

#[test]
fn frames_are_those_of_rfc_826() {
    let mut neighbours = Neighbours::new();
    neighbours.add_interface(Duration::ZERO, lan());
    neighbours.handle_missing(seconds(1), LAN, HOST.into(), vec![1]);
    neighbours.handle_arp(seconds(1), PORT, &request(OTHER_MAC, OTHER, OURS));
    let mut announcement = vec![0xff; 6];
    announcement.extend([2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
    announcement.extend([2, 0, 0, 0, 0, 1, 192, 168, 1, 1]);
    announcement.extend([0, 0, 0, 0, 0, 0, 192, 168, 1, 1]);
    announcement.resize(60, 0);
    let mut question = announcement.clone();
    question[41] = 16;
    let mut answer = vec![2, 0, 0, 0, 0, 0x11, 2, 0, 0, 0, 0, 1, 8, 6];
    answer.extend([0, 1, 8, 0, 6, 4, 0, 2, 2, 0, 0, 0, 0, 1, 192, 168, 1, 1]);
    answer.extend([2, 0, 0, 0, 0, 0x11, 192, 168, 1, 17]);
    answer.resize(60, 0);
    let expected = vec![
        send(announcement),
        send(question),
        install(OTHER, OTHER_MAC),
        send(answer),
    ];
    assert_eq!(drain(&mut neighbours), expected);
}

#[test]
fn packets_wait_and_leave_in_order() {
    let mut neighbours = neighbours();
    neighbours.handle_missing(seconds(5), LAN, HOST.into(), vec![1]);
    neighbours.handle_missing(seconds(5), LAN, HOST.into(), vec![2]);
    assert_eq!(drain(&mut neighbours), [ask_all(HOST)]);
    neighbours.handle_arp(seconds(5), PORT, &reply(HOST_MAC, HOST));
    let expected = [
        install(HOST, HOST_MAC),
        send_packet(HOST_MAC, &[1]),
        send_packet(HOST_MAC, &[2]),
    ];
    assert_eq!(drain(&mut neighbours), expected);
    // One that was under way when the entry went in.
    neighbours.handle_missing(seconds(5), LAN, HOST.into(), vec![3]);
    assert_eq!(drain(&mut neighbours), [send_packet(HOST_MAC, &[3])]);
    // A worker that still does not know it is told again.
    neighbours.handle_missing(seconds(7), LAN, HOST.into(), vec![4]);
    let expected = [install(HOST, HOST_MAC), send_packet(HOST_MAC, &[4])];
    assert_eq!(drain(&mut neighbours), expected);
}

#[test]
fn nobody_answers() {
    let mut neighbours = neighbours();
    let start = seconds(5);
    neighbours.handle_missing(start, LAN, HOST.into(), vec![1]);
    neighbours.handle_missing(start, LAN, HOST.into(), vec![2]);
    for second in 1..3 {
        assert_eq!(drain(&mut neighbours), [ask_all(HOST)]);
        assert_eq!(neighbours.next_timeout(), Some(start + seconds(second)));
        neighbours.handle_timeout(start + seconds(second));
    }
    assert_eq!(drain(&mut neighbours), [ask_all(HOST)]);
    neighbours.handle_timeout(start + seconds(3));
    let expected = [unreachable(&[1]), unreachable(&[2])];
    assert_eq!(drain(&mut neighbours), expected);
    assert_eq!(neighbours.next_timeout(), None);
    assert_eq!(neighbours.neighbours().count(), 0);
    assert_eq!(neighbours.counters().unanswered, 1);
    // The next packet asks anew.
    neighbours.handle_missing(start + seconds(4), LAN, HOST.into(), vec![3]);
    assert_eq!(drain(&mut neighbours), [ask_all(HOST)]);
}

#[test]
fn with_other_addresses_neighbours_of_the_old_network_are_forgotten() {
    let mut neighbours = neighbours();
    make_known(&mut neighbours, seconds(5), HOST, HOST_MAC);
    neighbours.handle_missing(seconds(5), LAN, OTHER.into(), vec![1]);
    assert_eq!(drain(&mut neighbours), [ask_all(OTHER)]);
    let (new, beside) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
    neighbours.set_addresses(seconds(6), LAN, vec![(new.into(), 24)], Vec::new());
    let announcement = send(arp::request(OUR_MAC, new, new, None));
    assert_eq!(drain(&mut neighbours), [remove(HOST), announcement.clone()]);
    assert_eq!(neighbours.neighbours().count(), 0);
    assert_eq!(neighbours.counters().queue_dropped, 1, "what waited");
    neighbours.handle_timeout(seconds(6) + ANNOUNCE_INTERVAL);
    assert_eq!(drain(&mut neighbours), [announcement]);
    assert_eq!(neighbours.next_timeout(), None);
    // Fewer addresses are no news, and whoever is still beside them stays.
    neighbours.handle_arp(seconds(9), PORT, &request(HOST_MAC, beside, new));
    drain(&mut neighbours);
    let both = vec![(new.into(), 24), (OURS.into(), 24)];
    neighbours.set_addresses(seconds(9), LAN, both, Vec::new());
    neighbours.handle_timeout(seconds(9) + ANNOUNCE_INTERVAL);
    drain(&mut neighbours);
    neighbours.set_addresses(seconds(12), LAN, vec![(new.into(), 24)], Vec::new());
    assert_eq!(drain(&mut neighbours), []);
    assert_eq!(neighbours.neighbours().count(), 1);
}

#[test]
fn a_full_queue_loses_its_oldest() {
    let mut neighbours = neighbours();
    for number in 0..70 {
        neighbours.handle_missing(seconds(5), LAN, HOST.into(), vec![number]);
    }
    assert_eq!(neighbours.counters().queue_dropped, 6);
    drain(&mut neighbours);
    neighbours.handle_arp(seconds(5), PORT, &reply(HOST_MAC, HOST));
    let actions = drain(&mut neighbours);
    assert_eq!(actions.len(), 65);
    assert_eq!(actions[1], send_packet(HOST_MAC, &[6]));
    assert_eq!(actions[64], send_packet(HOST_MAC, &[69]));
}

#[test]
fn the_sum_of_all_queues_is_bounded() {
    let mut neighbours = neighbours();
    for host in 10..30 {
        for number in 0..60 {
            let address = Ipv4Addr::new(192, 168, 1, host).into();
            neighbours.handle_missing(seconds(5), LAN, address, vec![host, number]);
        }
    }
    assert_eq!(neighbours.counters().queue_dropped, 20 * 60 - 1024);
    drain(&mut neighbours);
    // 176 were pushed out: all of the first two hosts, 56 of the third.
    neighbours.handle_timeout(seconds(6));
    neighbours.handle_timeout(seconds(7));
    drain(&mut neighbours);
    neighbours.handle_timeout(seconds(8));
    let actions = drain(&mut neighbours);
    assert_eq!(actions.len(), 1024);
    assert_eq!(actions[0], unreachable(&[12, 56]));
    assert_eq!(neighbours.queue.len(), 0);
}

#[test]
fn an_answering_neighbour_never_disappears() {
    for seed in seeds(3) {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut neighbours = neighbours();
        make_known(&mut neighbours, seconds(5), HOST, HOST_MAC);
        let mut asked = 0;
        while let Some(now) = neighbours.next_timeout().filter(|&now| now < seconds(4000)) {
            neighbours.handle_timeout(now);
            for action in drain(&mut neighbours) {
                let Action::SendFrame { .. } = action else {
                    panic!("seed {seed}, {now:?}: {action:?}");
                };
                // One of three frames is lost, but never three in a row: the
                // peer does answer.
                asked += 1;
                if asked == 3 || rng.random_bool(2.0 / 3.0) {
                    let delay = Duration::from_millis(rng.random_range(0..900));
                    neighbours.handle_arp(now + delay, PORT, &reply(HOST_MAC, HOST));
                    asked = 0;
                }
            }
            let known = neighbours.neighbours().next().and_then(|known| known.mac);
            assert_eq!(known, Some(HOST_MAC), "seed {seed}, {now:?}");
        }
        assert!(neighbours.counters().requests_sent > 120, "seed {seed}");
        assert_eq!(neighbours.counters().expired, 0, "seed {seed}");
    }
}

#[test]
fn a_silent_neighbour_is_asked_three_times_and_removed() {
    let mut neighbours = neighbours();
    make_known(&mut neighbours, seconds(5), HOST, HOST_MAC);
    for second in [35, 36] {
        assert_eq!(neighbours.next_timeout(), Some(seconds(second)));
        neighbours.handle_timeout(seconds(second));
        assert_eq!(drain(&mut neighbours), [ask_one(HOST, HOST_MAC)]);
    }
    neighbours.handle_timeout(seconds(37));
    assert_eq!(drain(&mut neighbours), [ask_all(HOST)]);
    neighbours.handle_timeout(seconds(38));
    assert_eq!(drain(&mut neighbours), [remove(HOST)]);
    assert_eq!(neighbours.next_timeout(), None);
}

#[test]
fn new_hardware_is_taken_over() {
    let mut neighbours = neighbours();
    make_known(&mut neighbours, seconds(5), HOST, HOST_MAC);
    // A gratuitous announcement: believed, but asked for.
    neighbours.handle_arp(seconds(6), PORT, &arp::announcement(OTHER_MAC, HOST));
    let expected = [install(HOST, OTHER_MAC), ask_one(HOST, OTHER_MAC)];
    assert_eq!(drain(&mut neighbours), expected);
    // An answer to us.
    neighbours.handle_arp(seconds(7), PORT, &reply(HOST_MAC, HOST));
    assert_eq!(drain(&mut neighbours), [install(HOST, HOST_MAC)]);
    assert_eq!(neighbours.next_timeout(), Some(seconds(37)));
    assert_eq!(neighbours.counters().mac_changes, 2);
}

#[test]
fn strangers_talk_is_not_learned() {
    let mut neighbours = neighbours();
    let frames = [
        request(HOST_MAC, HOST, OTHER),
        arp::announcement(HOST_MAC, HOST),
        reply(HOST_MAC, HOST),
        request([0xff; 6], HOST, OURS),
        request([0; 6], HOST, OURS),
        request([1, 0, 0x5e, 0, 0, 1], HOST, OURS),
        request(OUR_MAC, HOST, OURS),
    ];
    for frame in frames {
        neighbours.handle_arp(seconds(5), PORT, &frame);
        assert_eq!(drain(&mut neighbours), [], "{frame:x?}");
    }
    // Answered (RFC 826 asks no questions), but not learned: not a host of the subnet.
    for sender in [[10, 0, 0, 1], [192, 168, 1, 255], [192, 168, 1, 0], [0; 4]] {
        neighbours.handle_arp(seconds(5), PORT, &request(HOST_MAC, sender.into(), OURS));
        assert_eq!(drain(&mut neighbours).len(), 1, "{sender:?}");
    }
    assert_eq!(neighbours.neighbours().count(), 0);
    // To another station's hardware address.
    let stray = arp::request(HOST_MAC, HOST, OURS, Some(OTHER_MAC));
    neighbours.handle_arp(seconds(5), PORT, &stray);
    assert_eq!(drain(&mut neighbours), []);
}

#[test]
fn addresses_behind_a_tunnel_are_answered_for() {
    let mut neighbours = neighbours();
    let asked = said(HOST_MAC, HOST, REMOTE);
    neighbours.handle_arp(seconds(5), PORT, &request(HOST_MAC, HOST, REMOTE));
    let expected = [install(HOST, HOST_MAC), send(arp::reply(OUR_MAC, &asked))];
    assert_eq!(drain(&mut neighbours), expected);
    assert_eq!(neighbours.counters().proxy_replies_sent, 1);

    // Not a probe, not an announcement of it, not for a host of the LAN, nor
    // for what a default route into the tunnel would reach.
    let everything = Prefix::new(Ipv4Addr::UNSPECIFIED, 0);
    let tunnel = NextHop::Set(SetId(0));
    neighbours.proxy().set_route(MAIN, everything, tunnel);
    let connected = Prefix::new(Ipv4Addr::new(192, 168, 1, 0), 24);
    let out_of_lan = NextHop::Interface {
        interface: LAN,
        via: None,
    };
    neighbours.proxy().set_route(MAIN, connected, out_of_lan);
    for (sender, target) in [
        (Ipv4Addr::UNSPECIFIED, REMOTE),
        (REMOTE, REMOTE),
        (HOST, OTHER),
        (HOST, Ipv4Addr::new(8, 8, 8, 8)),
    ] {
        neighbours.handle_arp(seconds(6), PORT, &request(HOST_MAC, sender, target));
        assert_eq!(drain(&mut neighbours), [], "{sender} asks for {target}");
    }

    // Nor when the route is withdrawn, nor where nothing is forwarded.
    let remote = Prefix::host(REMOTE);
    neighbours.proxy().remove_route(MAIN, remote);
    neighbours.handle_arp(seconds(7), PORT, &request(HOST_MAC, HOST, REMOTE));
    assert_eq!(drain(&mut neighbours), []);
    neighbours.proxy().set_route(MAIN, remote, tunnel);
    for (forward, answers) in [(false, 0), (true, 1)] {
        neighbours.set_forward(seconds(8), LAN, forward);
        assert_eq!(drain(&mut neighbours), []);
        neighbours.handle_arp(seconds(8), PORT, &request(HOST_MAC, HOST, REMOTE));
        assert_eq!(drain(&mut neighbours).len(), answers, "{forward}");
    }
    let isp = Interface {
        forward: false,
        ..lan()
    };
    neighbours.add_interface(seconds(8), isp);
    drain(&mut neighbours);
    neighbours.handle_arp(seconds(8), PORT, &request(HOST_MAC, HOST, REMOTE));
    assert_eq!(drain(&mut neighbours), []);
}

#[test]
fn a_conflict_is_reported_and_the_address_defended_now_and_then() {
    let mut neighbours = neighbours();
    let thief = arp::announcement(HOST_MAC, OURS);
    let mut reports = 0;
    for second in 5..26 {
        neighbours.handle_arp(seconds(second), PORT, &thief);
        let actions = drain(&mut neighbours);
        if actions.is_empty() {
            continue;
        }
        let conflict = Action::Conflict {
            interface: LAN,
            address: OURS.into(),
            mac: HOST_MAC,
        };
        assert_eq!(actions, [conflict, send(arp::announcement(OUR_MAC, OURS))]);
        reports += 1;
    }
    assert_eq!(reports, 3, "at 5, 15 and 25 s");
    assert_eq!(neighbours.counters().conflicts, 21);
    assert_eq!(neighbours.neighbours().count(), 0, "never learned");
}

#[test]
fn static_neighbours_neither_age_nor_change() {
    let mut neighbours = neighbours();
    neighbours.handle_missing(seconds(5), LAN, HOST.into(), vec![1]);
    drain(&mut neighbours);
    neighbours.set_static(seconds(5), LAN, HOST.into(), HOST_MAC);
    let expected = [install(HOST, HOST_MAC), send_packet(HOST_MAC, &[1])];
    assert_eq!(drain(&mut neighbours), expected);
    neighbours.handle_arp(seconds(6), PORT, &arp::announcement(OTHER_MAC, HOST));
    neighbours.handle_timeout(seconds(600));
    assert_eq!(drain(&mut neighbours), []);
    assert_eq!(neighbours.next_timeout(), None);
    neighbours.remove_static(LAN, HOST.into());
    assert_eq!(drain(&mut neighbours), [remove(HOST)]);
    // One outside every subnet, as an ISP with an unnumbered gateway needs it.
    let gateway = Ipv4Addr::new(10, 0, 0, 1);
    neighbours.set_static(seconds(601), LAN, gateway.into(), HOST_MAC);
    drain(&mut neighbours);
    neighbours.handle_missing(seconds(601), LAN, gateway.into(), vec![2]);
    assert_eq!(drain(&mut neighbours), [send_packet(HOST_MAC, &[2])]);
}

#[test]
fn a_link_that_comes_back_is_announced_on_and_its_neighbours_asked() {
    let mut neighbours = neighbours();
    make_known(&mut neighbours, seconds(5), HOST, HOST_MAC);
    neighbours.handle_missing(seconds(6), LAN, OTHER.into(), vec![1]);
    drain(&mut neighbours);
    neighbours.set_link(seconds(6), PORT, false);
    assert_eq!(drain(&mut neighbours), [unreachable(&[1])]);
    neighbours.handle_missing(seconds(6), LAN, OTHER.into(), vec![2]);
    assert_eq!(drain(&mut neighbours), [unreachable(&[2])]);
    // An hour later the neighbour is still known, so no packet has to wait.
    assert_eq!(neighbours.next_timeout(), None);
    let back = seconds(3600);
    neighbours.set_link(back, PORT, true);
    neighbours.handle_timeout(back);
    let announcement = send(arp::announcement(OUR_MAC, OURS));
    let expected = [announcement.clone(), ask_one(HOST, HOST_MAC)];
    assert_eq!(drain(&mut neighbours), expected);
    neighbours.handle_arp(back, PORT, &reply(HOST_MAC, HOST));
    neighbours.handle_timeout(back + ANNOUNCE_INTERVAL);
    assert_eq!(drain(&mut neighbours), [announcement]);
}

#[test]
fn no_host_is_not_asked_for() {
    let mut neighbours = neighbours();
    for address in [
        [10, 0, 0, 1_u8],
        [192, 168, 1, 0],
        [192, 168, 1, 255],
        [192, 168, 1, 1],
        [224, 0, 0, 1],
        [255, 255, 255, 255],
    ] {
        neighbours.handle_missing(seconds(5), LAN, IpAddr::from(address), vec![1]);
        assert_eq!(drain(&mut neighbours), [], "{address:?}");
    }
    assert_eq!(neighbours.counters().no_host_dropped, 6);
}

#[test]
fn subnets_of_31_and_32_bits() {
    let with = |length| Interface {
        addresses: vec![(Ipv4Addr::new(10, 0, 0, 4).into(), length)],
        ..lan()
    };
    let next = Ipv4Addr::new(10, 0, 0, 5).into();
    assert!(with(31).own_address_towards(next).is_some());
    assert!(with(32).own_address_towards(next).is_none());
    assert!(with(30).own_address_towards(next).is_some());
    assert!(with(0).own_address_towards(next).is_some());
    let network = Ipv4Addr::new(10, 0, 0, 4).into();
    assert!(with(31).own_address_towards(network).is_some());
    assert!(with(30).own_address_towards(network).is_none());
}

fn large() -> Interface {
    Interface {
        addresses: vec![(Ipv4Addr::new(10, 1, 0, 1).into(), 16)],
        ..lan()
    }
}

fn large_host(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(10, 1, 1, 0).to_bits() + number)
}

#[test]
fn a_sweep_over_a_large_subnet_harms_only_itself() {
    let mut neighbours = Neighbours::new();
    neighbours.add_interface(Duration::ZERO, large());
    let ours = Ipv4Addr::new(10, 1, 0, 1);
    let gateway = Ipv4Addr::new(10, 1, 0, 2);
    neighbours.handle_arp(seconds(1), PORT, &request(HOST_MAC, gateway, ours));
    for number in 0..6000 {
        let now = seconds(1) + Duration::from_micros(u64::from(number) * 100);
        neighbours.handle_missing(now, LAN, large_host(number).into(), vec![1]);
    }
    assert_eq!(neighbours.neighbours().count(), 4096);
    assert_eq!(neighbours.counters().table_full, 6001 - 4096);
    let mut all = neighbours.neighbours();
    assert_eq!(all.next().and_then(|first| first.mac), Some(HOST_MAC));
}

#[test]
fn requests_from_many_senders_do_not_push_out_traffic() {
    let mut neighbours = Neighbours::new();
    neighbours.add_interface(Duration::ZERO, large());
    let ours = Ipv4Addr::new(10, 1, 0, 1);
    for number in 0..5000 {
        let frame = request(HOST_MAC, large_host(number), ours);
        neighbours.handle_arp(seconds(1), PORT, &frame);
    }
    assert_eq!(neighbours.neighbours().count(), 4096);
    drain(&mut neighbours);
    // Traffic of ours pushes one of them out.
    let wanted = Ipv4Addr::new(10, 1, 200, 1);
    neighbours.handle_missing(seconds(2), LAN, wanted.into(), vec![1]);
    let actions = drain(&mut neighbours);
    assert_eq!(actions[0], remove(large_host(0)));
    assert_eq!(actions.len(), 2);
    assert_eq!(neighbours.neighbours().count(), 4096);
}

#[test]
fn an_interface_that_goes_takes_everything_with_it() {
    let mut neighbours = neighbours();
    make_known(&mut neighbours, seconds(5), HOST, HOST_MAC);
    neighbours.handle_missing(seconds(5), LAN, OTHER.into(), vec![1]);
    drain(&mut neighbours);
    neighbours.remove_interface(LAN);
    assert_eq!(drain(&mut neighbours), [remove(HOST)]);
    assert_eq!(neighbours.next_timeout(), None);
    assert_eq!(neighbours.queue.len(), 0);
}

#[derive(Clone, Debug)]
enum Input {
    Arp {
        mac: u8,
        sender: u8,
        target: u8,
        reply: bool,
    },
    Frame(Vec<u8>),
    Missing(u8),
    Static(u8),
    RemoveStatic(u8),
    Link(bool),
    Wait(u16),
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        6 => (0..6_u8, 0..6_u8, 0..6_u8, any::<bool>())
            .prop_map(|(mac, sender, target, reply)| Input::Arp { mac, sender, target, reply }),
        1 => prop::collection::vec(any::<u8>(), 0..70).prop_map(Input::Frame),
        4 => (0..6_u8).prop_map(Input::Missing),
        1 => (1..6_u8).prop_map(Input::Static),
        1 => (0..6_u8).prop_map(Input::RemoveStatic),
        1 => any::<bool>().prop_map(Input::Link),
        4 => (0..5000_u16).prop_map(Input::Wait),
    ]
}

proptest! {
    /// What the workers were told is what the table says, every packet comes
    /// out at most once, and time always moves on.
    #[test]
    fn workers_and_table_agree(inputs in prop::collection::vec(input(), 1..200)) {
        let address = |number: u8| Ipv4Addr::new(192, 168, 1, number + 1);
        let mut neighbours = neighbours();
        let mut now = seconds(5);
        let mut workers: BTreeMap<IpAddr, [u8; 6]> = BTreeMap::new();
        let mut packets_in = 0_u32;
        let mut packets_out = BTreeSet::new();
        for input in inputs {
            match input {
                Input::Arp { mac, sender, target, reply } => {
                    let mac = [2, 0, 0, 0, 0, mac + 1];
                    let frame = if reply {
                        arp::reply(mac, &said(OUR_MAC, address(target), address(sender)))
                    } else {
                        request(mac, address(sender), address(target))
                    };
                    neighbours.handle_arp(now, PORT, &frame);
                }
                Input::Frame(frame) => neighbours.handle_arp(now, PORT, &frame),
                Input::Missing(number) => {
                    let packet = packets_in.to_be_bytes().to_vec();
                    packets_in += 1;
                    neighbours.handle_missing(now, LAN, address(number).into(), packet);
                }
                Input::Static(number) => {
                    neighbours.set_static(now, LAN, address(number).into(), HOST_MAC);
                }
                Input::RemoveStatic(number) => neighbours.remove_static(LAN, address(number).into()),
                Input::Link(up) => neighbours.set_link(now, PORT, up),
                Input::Wait(ms) => {
                    now += Duration::from_millis(ms.into());
                    neighbours.handle_timeout(now);
                }
            }
            neighbours.handle_timeout(now);
            for action in drain(&mut neighbours) {
                match action {
                    Action::Install { address, mac, .. } => {
                        prop_assert!(address != OURS && is_station(mac));
                        workers.insert(address, mac);
                    }
                    Action::Remove { address, .. } => {
                        prop_assert!(workers.remove(&address).is_some());
                    }
                    Action::SendPacket { packet, mac, .. } => {
                        prop_assert!(packets_out.insert(packet));
                        prop_assert!(workers.values().any(|&known| known == mac));
                    }
                    Action::Unreachable { packet, .. } => {
                        prop_assert!(packets_out.insert(packet));
                    }
                    Action::SendFrame { frame, .. } => prop_assert_eq!(frame.len(), 60),
                    Action::Conflict { address, .. } => prop_assert_eq!(address, IpAddr::from(OURS)),
                }
            }
            let table: BTreeMap<_, _> = neighbours
                .neighbours()
                .filter_map(|known| Some((known.address, known.mac?)))
                .collect();
            prop_assert_eq!(&workers, &table);
            let count = neighbours.neighbours().count();
            prop_assert_eq!(neighbours.interfaces[&LAN].neighbours, count);
            prop_assert!(neighbours.next_timeout().is_none_or(|next| next > now));
        }
        let waiting = neighbours.queue.len();
        prop_assert!(packets_out.len() + waiting <= packets_in as usize);
    }
}
