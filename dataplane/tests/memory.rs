//! Too little memory is said in words that help, and nothing stays changed.

use std::process::Command as Process;

use dataplane::{Config, Dataplane, Device, HugePages, Poll, PortSpec, StartError};
use nix::sched::{CloneFlags, unshare};

fn ip(arguments: &str) -> String {
    let output = Process::new("ip").args(arguments.split(' ')).output();
    let output = output.expect("iproute2");
    assert!(output.status.success(), "ip {arguments}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn pools_that_do_not_fit_the_memory_name_it() {
    unshare(CloneFlags::CLONE_NEWNET).expect("root, for a network namespace");
    ip("link add port0 type veth peer name port1");
    let port = |name: &str| PortSpec {
        name: name.to_owned(),
        device: Device::Interface(name.to_owned()),
        queues: None,
    };
    let started = Dataplane::start(Config {
        program: "memory-test".to_owned(),
        workers: vec![None],
        poll: Poll::Adaptive,
        hugepages: HugePages::No,
        memory_mib: 64,
        largest_packet_octets: 1500,
        ordering: false,
        ports: vec![port("port0"), port("port1")],
        logical_ports: Vec::new(),
    });
    let error = started
        .err()
        .expect("64 MiB are too little for jumbo slots");
    assert!(
        matches!(error, StartError::Memory { memory_mib: 64 }),
        "{error:?}"
    );
    assert!(error.to_string().contains("64 MiB"), "{error}");
    for name in ["port0", "port1"] {
        let link = ip(&format!("link show {name}"));
        assert!(!link.contains(",UP"), "given back as it was: {link}");
    }
}
