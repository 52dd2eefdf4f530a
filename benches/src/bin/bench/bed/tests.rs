//! Whole beds, with testpmd for a tester that only forwards.

use super::*;

/// Forwards between the tester's ports, pair by pair.
fn testpmd(bed: &Bed) -> (Process, Watched) {
    let mut command = Command::new("dpdk-testpmd");
    command
        .args(["--no-huge", "--no-shconf", "-m", "256", "--no-pci"])
        .args(["--no-telemetry", "--lcores", "(0,1)@0"]);
    for port in bed.tester_ports() {
        command.args(["--vdev", &port.vdev]);
    }
    command.args(["--", "-i", "--auto-start", "--forward-mode=io"]);
    command.args(["--port-topology=paired", "--total-num-mbufs=32768"]);
    let process = Process::start(&mut command, &bed.file("testpmd.log")).unwrap();
    let watched = bed.watch(process.pid()).unwrap();
    (process, watched)
}

fn comes_up(plan: &Plan) {
    let mut bed = Bed::start(&Programs::find().unwrap(), plan).unwrap();
    let tester = testpmd(&bed);
    let took = bed.wait_until_set_up(Duration::from_secs(30));
    let took = took
        .unwrap_or_else(|problem| panic!("{problem}\n{}\n{}", bed.log(Site::A), tester.0.output()));
    println!("{plan:?}: {took:?}");
    assert_eq!(
        bed.worker_threads(Site::A).unwrap().len(),
        plan.workers.len()
    );
    if plan.shape == Shape::Alone {
        bed.freeze_peer().unwrap();
        // The tunnels stay, also when the tester is another.
        drop(tester);
        let _tester = testpmd(&bed);
        std::thread::sleep(Duration::from_secs(12));
        let sets = bed.status(Site::A).unwrap().sets;
        assert!(
            sets.iter().all(|set| set.members.len() == plan.links),
            "{sets:?}"
        );
    }
}

#[test]
#[ignore = "starts real processes that want the whole machine"]
fn tunnels_come_up_on_every_shape_of_memif() {
    for shape in [Shape::Alone, Shape::Pair, Shape::Forward] {
        comes_up(&Plan::new(shape, Wire::Memif));
    }
}

#[test]
#[ignore = "starts real processes that want the whole machine"]
fn tunnels_come_up_on_every_shape_of_vhost() {
    for shape in [Shape::Pair, Shape::Forward, Shape::Alone] {
        comes_up(&Plan::new(shape, Wire::Vhost));
    }
}

#[test]
#[ignore = "starts real processes that want the whole machine"]
fn four_thousand_sets_come_up() {
    let plan = Plan {
        sets: 4000,
        ..Plan::new(Shape::Alone, Wire::Memif)
    };
    comes_up(&plan);
}

#[test]
fn a_frame_is_what_it_says() {
    let frame = Site::A.flow(3).frame(64);
    assert_eq!(frame.len(), 64);
    assert_eq!(frame[..6], Site::A.lan_mac());
    assert_eq!(frame[26..34], [10, 64, 3, 2, 10, 128, 3, 2]);
    let header = &frame[14..34];
    let sum: u32 = header
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]))
        .sum();
    assert_eq!(
        (sum & 0xffff) + (sum >> 16),
        0xffff,
        "an IPv4 header adds up to ones"
    );
}
