use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};

use super::*;
use crate::burst::Burst;
use crate::mempool::Mempool;
use crate::port::Port;
use crate::testing::{eal, port_config};

#[test]
fn the_driver_gets_frame_slots_that_hold_the_mtu() {
    let device = af_packet("eth0", 2, 9000).unwrap();
    assert_eq!(
        device.args,
        "iface=eth0,qpairs=2,blocksz=65536,framesz=16384,framecnt=512,qdisc_bypass=1"
    );
    assert_eq!(device.data_room, 16384 + 128);
    assert!(device.max_frame_octets >= 9014);
    let most = device.max_frame_octets - 14;
    assert!(af_packet("eth0", 1, most).is_ok());
    let mtu = most + 1;
    assert_eq!(
        af_packet("eth0", 1, mtu).unwrap_err(),
        Error::MtuTooLarge { mtu, most }
    );
}

#[test]
fn names_that_would_be_other_arguments_are_refused() {
    for name in ["", "eth0,framesz=64", "a b", "a/b", "sixteen-letters-"] {
        assert_eq!(
            af_packet(name, 1, 1500).unwrap_err(),
            Error::Name(name.to_owned())
        );
    }
    assert!(af_packet("fifteen-letters", 1, 1500).is_ok());
}

/// Runs a test in a thread with a network namespace of its own, which goes with the
/// thread. Needs root and `ip`.
fn in_namespace(test: impl FnOnce() + Send + 'static) {
    eal();
    let result = thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).expect("root, for a network namespace");
        test();
    })
    .join();
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn a_port_that_does_not_start_is_closed() {
    in_namespace(|| {
        ip("link set lo up");
        let args = af_packet("lo", 1, 1500).unwrap().args;
        let id = eal().attach_vdev("net_af_packet_small", &args).unwrap();
        // The driver refuses buffers smaller than its frame slots.
        let pool = crate::testing::pool("af_packet_small", 31);
        let error = Port::open(eal(), id, &port_config(&pool, 1)).unwrap_err();
        let function = "rte_eth_rx_queue_setup";
        assert!(
            matches!(&error, Error::Call { function: f, .. } if *f == function),
            "{error}"
        );
        // Its name is free, and nothing holds on to the pool.
        drop(pool);
        crate::testing::pool("af_packet_small", 31);
        eal().attach_vdev("net_af_packet_small", &args).unwrap();
    });
}

#[test]
fn long_frames_cross_a_veth_whole_and_too_long_ones_never_cut() {
    in_namespace(|| {
        ip("link add va mtu 16400 type veth peer name vb mtu 16400");
        for interface in ["va", "vb"] {
            // The kernel would say something of its own.
            let ipv6 = format!("/proc/sys/net/ipv6/conf/{interface}/disable_ipv6");
            let _ = fs::write(ipv6, "1");
            ip(&format!("link set {interface} up"));
        }
        cross_veth();
    });
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status();
    assert!(status.expect("ip is installed").success(), "ip {arguments}");
}

fn cross_veth() {
    let device = af_packet("va", 1, 9000).unwrap();
    let pool = Mempool::new(eal(), "af_packet", 255, 0, device.data_room).unwrap();
    let mut ends = ["va", "vb"].map(|interface| {
        let args = af_packet(interface, 1, 9000).unwrap().args;
        let id = eal()
            .attach_vdev(&format!("net_af_packet_{interface}"), &args)
            .unwrap();
        let config = crate::PortConfig {
            mtu: Some(9000),
            ..port_config(&pool, 1)
        };
        Port::open(eal(), id, &config).unwrap()
    });
    assert_eq!(ends[0].0.driver(), "net_af_packet");
    let [(first, _, tx), (second, rx, _)] = &mut ends;
    let (from, to) = (first.mac(), second.mac());
    assert_ne!(from, to);
    let longest = usize::from(device.max_frame_octets);
    // The last one is too long for a slot: it may be lost, but never come in part.
    for octets in [60, 1514, 9014, longest, usize::from(FRAME_OCTETS)] {
        let mut frame = vec![0xa5; octets];
        frame[..6].copy_from_slice(&to);
        frame[6..12].copy_from_slice(&from);
        frame[12..14].copy_from_slice(&[0x88, 0xb5]);
        let mut burst = Burst::new();
        assert!(pool.alloc_bulk(&mut burst, 1));
        assert!(burst[0].extend_from_slice(&frame));
        tx[0].tx_burst(&mut burst);
        burst.clear();
        let patience = if octets <= longest { 2000 } else { 50 };
        let deadline = Instant::now() + Duration::from_millis(patience);
        while rx[0].rx_burst(&mut burst) == 0 && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(burst.len(), usize::from(octets <= longest), "{octets}");
        assert!(burst.iter().all(|mbuf| mbuf[..] == frame), "{octets}");
    }
    drop(ends);
    assert_eq!(pool.available(), 255);
}

#[test]
fn what_a_full_ring_had_no_room_for_is_counted() {
    const SENT: usize = 40 * 32;
    in_namespace(|| {
        ip("link add full0 type veth peer name full1");
        for interface in ["full0", "full1"] {
            let ipv6 = format!("/proc/sys/net/ipv6/conf/{interface}/disable_ipv6");
            let _ = fs::write(ipv6, "1");
            ip(&format!("link set {interface} up"));
        }
        let made = af_packet("full0", 1, 1500).unwrap();
        let pool = Mempool::new(eal(), "full-pool", 2048, 0, made.data_room).unwrap();
        let [(_first, _, mut send), (second, mut receive, _)] = ["full0", "full1"].map(|end| {
            let args = af_packet(end, 1, 1500).unwrap().args;
            let name = format!("net_af_packet_{end}");
            let id = eal().attach_vdev(&name, &args).unwrap();
            Port::open(eal(), id, &port_config(&pool, 1)).unwrap()
        });
        assert_eq!(second.stats().rx_missed, 0);
        let mut taken = 0;
        while taken < SENT {
            let mut burst = Burst::new();
            assert!(pool.alloc_bulk(&mut burst, 32));
            for frame in &mut burst {
                assert!(frame.extend_from_slice(&[0x55; 100]));
            }
            taken += send[0].tx_burst(&mut burst);
        }
        thread::sleep(Duration::from_millis(50));
        let missed = second.stats().rx_missed;
        assert!(missed > 0, "a ring of {FRAMES} slots holds {SENT} frames");
        let mut received = 0;
        loop {
            let mut burst = Burst::new();
            match receive[0].rx_burst(&mut burst) {
                0 => break,
                count => received += count as u64,
            }
        }
        assert_eq!(received + missed, taken as u64);
        assert_eq!(second.stats().rx_missed, missed, "asking changes nothing");
    });
}

#[test]
fn an_interface_that_is_slow_does_not_hold_its_worker_up() {
    in_namespace(|| {
        ip("link add slow0 type veth peer name slow1");
        ip("link set slow0 up");
        ip("link set slow1 up");
        ip("link add ifb0 type ifb");
        ip("link set ifb0 up");
        tc("qdisc add dev ifb0 root tbf rate 2mbit burst 10k limit 8mb");
        tc("qdisc add dev slow1 ingress");
        tc(
            "filter add dev slow1 parent ffff: protocol all u32 match u32 0 0 \
            action mirred egress redirect dev ifb0",
        );
        let made = af_packet("slow0", 1, 1500).unwrap();
        let pool = Mempool::new(eal(), "slow-pool", 2048, 0, made.data_room).unwrap();
        let port = eal().attach_vdev("net_af_packet_slow", &made.args).unwrap();
        let config = port_config(&pool, 1);
        let (_port, _receive, mut send) = Port::open(eal(), port, &config).unwrap();
        let mut longest = Duration::ZERO;
        let mut taken = 0;
        for _ in 0..100 {
            let mut burst = Burst::new();
            assert!(pool.alloc_bulk(&mut burst, 32));
            for frame in &mut burst {
                assert!(frame.extend_from_slice(&[0x55; 1400]));
            }
            let start = Instant::now();
            taken += send[0].tx_burst(&mut burst);
            longest = longest.max(start.elapsed());
        }
        println!("{taken} frames taken, {longest:?} for the longest burst");
        assert!(taken < 3200, "the interface was too slow for all of them");
        assert!(
            longest < Duration::from_millis(50),
            "{longest:?} in the driver"
        );
    });
}

fn tc(arguments: &str) {
    let status = Command::new("tc")
        .args(arguments.split_whitespace())
        .status();
    assert!(status.expect("iproute2").success(), "tc {arguments}");
}

/// The checksum of RFC 1071, word by word.
fn internet_checksum(octets: &[u8]) -> u16 {
    let words = octets.chunks(2);
    let mut sum: u32 = words
        .map(|word| u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Ethernet and IP headers (without the checksum of IPv4), UDP with the sum of
/// the pseudo-header, and seven octets.
fn unfinished(ipv6: bool) -> (Vec<u8>, usize) {
    const UDP_OCTETS: u8 = 15;
    let mut frame = vec![0xff; 6];
    frame.extend([2, 0, 0, 0, 0, 1]);
    if ipv6 {
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, UDP_OCTETS, 17, 64]);
        frame.extend([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        frame.extend([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    } else {
        frame.extend([8, 0, 0x45, 0, 0, 20 + UDP_OCTETS, 0, 7, 0, 0, 64, 17, 0, 0]);
        frame.extend([192, 0, 2, 1, 192, 0, 2, 2]);
    }
    let udp = frame.len();
    let addresses = if ipv6 { 22 } else { 26 };
    let pseudo_header = [&frame[addresses..], &[0, 17, 0, UDP_OCTETS]].concat();
    frame.extend([6, 0xa5, 6, 0xa5, 0, UDP_OCTETS]);
    frame.extend((!internet_checksum(&pseudo_header)).to_be_bytes());
    frame.extend(b"payload");
    (frame, udp)
}

#[test]
fn a_port_fills_in_the_checksums_that_are_asked_for() {
    in_namespace(|| {
        let made = eal()
            .attach_vdev("net_tap_checksums", "iface=dtap7")
            .unwrap();
        let pool = Mempool::new(eal(), "checksums", 2047, 0, 2048 + 128).unwrap();
        let (port, _receive, mut send) = Port::open(eal(), made, &port_config(&pool, 1)).unwrap();
        assert!(port.offloads_tx_checksums() && send[0].offloads_checksums());
        fs::write("/proc/sys/net/ipv6/conf/dtap7/disable_ipv6", "1").unwrap();
        ip("link set dtap7 up");
        // What the kernel gets is looked at by another port.
        let args = af_packet("dtap7", 1, 1500).unwrap();
        let room = Mempool::new(eal(), "checksums-rx", 255, 0, args.data_room).unwrap();
        let looker = eal()
            .attach_vdev("net_af_packet_checksums", &args.args)
            .unwrap();
        let (_looker, mut receive, _) = Port::open(eal(), looker, &port_config(&room, 1)).unwrap();
        for ipv6 in [false, true] {
            let (octets, udp) = unfinished(ipv6);
            let mut frame = pool.alloc().unwrap();
            assert!(frame.extend_from_slice(&octets));
            assert!(match ipv6 {
                true => frame.request_checksum_ipv6(14, 40),
                false => frame.request_checksums(14, 20),
            });
            let mut burst = Burst::new();
            burst.push(frame).unwrap();
            assert_eq!(send[0].tx_burst(&mut burst), 1);
            let deadline = Instant::now() + Duration::from_secs(2);
            while receive[0].rx_burst(&mut burst) == 0 && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(1));
            }
            let got = burst.pop().expect("the frame comes");
            let mut rest = got.to_vec();
            rest[udp + 6..udp + 8].copy_from_slice(&octets[udp + 6..udp + 8]);
            if !ipv6 {
                rest[24..26].fill(0);
            }
            assert_eq!(rest, octets, "nothing else is touched");
            if !ipv6 {
                assert_eq!(internet_checksum(&got[14..34]), 0);
            }
            let addresses = if ipv6 { 22 } else { 26 };
            let pseudo_header = [&octets[addresses..udp], &[0, 17, 0, 15]].concat();
            let covered = [&pseudo_header, &got[udp..]].concat();
            assert_eq!(internet_checksum(&covered), 0, "IPv6 {ipv6}");
        }
    });
}
