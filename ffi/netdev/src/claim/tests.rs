//! Each test has a network namespace of its own, which goes with its thread. They
//! need root and `ip`.

use std::net::IpAddr;
use std::process::Command;
use std::thread;

use nix::sched::{CloneFlags, unshare};

use super::*;

/// Runs a test in a thread with a new network namespace that has a veth pair `va`, `vb`.
fn with_veth(test: impl FnOnce() + Send + 'static) {
    let result = thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).expect("root, for a network namespace");
        ip("link add va mtu 1400 address 02:00:00:00:00:0a type veth peer name vb");
        test();
    })
    .join();
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}

/// A child has the namespace of the thread that starts it.
fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status();
    assert!(status.expect("ip is installed").success(), "ip {arguments}");
}

fn setting(family: &str, name: &str) -> String {
    let path = format!("/proc/sys/net/{family}/conf/va/{name}");
    // The file of the calling thread's own namespace.
    std::fs::read_to_string(path).unwrap().trim().to_owned()
}

/// What a claim may change, as it is now.
fn state() -> (String, String, String, u32, bool) {
    let device = Device::new("va").unwrap();
    (
        setting("ipv6", "disable_ipv6"),
        setting("ipv4", "forwarding"),
        setting("ipv4", "arp_ignore"),
        device.ethtool(EthtoolCommand::GetGro, 0).unwrap(),
        device.is_up().unwrap(),
    )
}

#[test]
fn a_claim_quietens_the_interface_and_restores_it() {
    with_veth(|| {
        std::fs::write("/proc/sys/net/ipv4/conf/va/forwarding", "1").unwrap();
        let device = Device::new("va").unwrap();
        device.ethtool(EthtoolCommand::SetGro, 1).unwrap();
        let before = state();
        assert_eq!(before, ("0".into(), "1".into(), "0".into(), 1, false));
        let claimed = claim("va").unwrap();
        assert_eq!(state(), ("1".into(), "0".into(), "8".into(), 0, true));
        assert_eq!(claimed.mtu(), 1400);
        assert_eq!(claimed.mac(), [2, 0, 0, 0, 0, 10]);
        assert_eq!(claimed.changes().len(), 5, "{:?}", claimed.changes());
        drop(claimed);
        assert_eq!(state(), before);
    });
}

/// Whether the kernel has this flag set for `va`. Those that are counted stand in
/// sysfs alone, which shows the namespace of who mounted it.
fn has_flag(flag: i32) -> bool {
    let shown = Command::new("unshare")
        .args(["-m", "sh", "-c"])
        .arg("mount -t sysfs sysfs /sys && cat /sys/class/net/va/flags")
        .output()
        .expect("unshare is installed");
    assert!(shown.status.success(), "{shown:?}");
    let flags = String::from_utf8(shown.stdout).unwrap();
    let flags = flags.trim().trim_start_matches("0x");
    i32::from_str_radix(flags, 16).unwrap() & flag != 0
}

fn lets_all_multicast_in() -> bool {
    has_flag(libc::IFF_ALLMULTI)
}

#[test]
fn multicast_comes_in_while_an_interface_is_claimed() {
    with_veth(|| {
        assert!(!lets_all_multicast_in());
        let claimed = claim("va").unwrap();
        assert!(lets_all_multicast_in());
        drop(claimed);
        assert!(!lets_all_multicast_in());
    });
}

#[test]
fn everything_comes_in_when_asked_for_and_while_an_interface_is_claimed() {
    with_veth(|| {
        let mut claimed = claim("va").unwrap();
        assert!(!has_flag(libc::IFF_PROMISC));
        claimed.hear_everything().unwrap();
        assert!(has_flag(libc::IFF_PROMISC));
        drop(claimed);
        assert!(!has_flag(libc::IFF_PROMISC));
    });
}

#[test]
fn what_is_as_wanted_stays_so() {
    with_veth(|| {
        for (family, name, value) in SETTINGS {
            std::fs::write(format!("/proc/sys/net/{family}/conf/va/{name}"), value).unwrap();
        }
        let device = Device::new("va").unwrap();
        device.ethtool(EthtoolCommand::SetGro, 0).unwrap();
        device.set_up(true).unwrap();
        let wanted = ("1".into(), "0".into(), "8".into(), 0, true);
        assert_eq!(state(), wanted);
        let claimed = claim("va").unwrap();
        assert_eq!(claimed.changes(), Vec::<String>::new());
        drop(claimed);
        assert_eq!(state(), wanted);
    });
}

#[test]
fn a_claim_dropped_in_another_namespace_restores_its_own() {
    with_veth(|| {
        let before = state();
        let claimed = claim("va").unwrap();
        thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            drop(claimed);
        })
        .join()
        .unwrap();
        assert_eq!(state(), before);
    });
}

#[test]
fn an_interface_with_addresses_is_refused_untouched() {
    for address in [
        "192.0.2.1/24",
        "2001:db8::1/64",
        // As DHCPv6's clients give it.
        "2001:db8::1/128 valid_lft 600 preferred_lft 300",
    ] {
        with_veth(move || {
            ip("link set va up");
            ip(&format!("addr add {address} dev va"));
            // What is no obstacle alone is none here.
            ip("addr add 2001:db8:1::1/64 dev va valid_lft 600 preferred_lft 300");
            let before = state();
            let error = claim("va").unwrap_err();
            let expected: IpAddr = address.split('/').next().unwrap().parse().unwrap();
            let Error::Addressed { addresses, .. } = &error else {
                panic!("{error:?}");
            };
            assert_eq!(addresses, &[expected]);
            assert!(
                error.to_string().contains("ip addr flush dev va"),
                "{error}"
            );
            assert_eq!(state(), before);
        });
    }
}

#[test]
fn a_link_local_address_is_no_obstacle() {
    with_veth(|| {
        ip("link set vb up");
        ip("link set va up");
        ip("addr add fe80::1/64 dev va nodad");
        claim("va").unwrap();
    });
}

/// The kernel makes them again when it has the interface again, as long as routers advertise.
#[test]
fn an_address_made_of_what_a_router_advertises_is_no_obstacle() {
    with_veth(|| {
        ip("link set vb up");
        ip("link set va up");
        ip("addr add 2001:db8::1/64 dev va valid_lft 600 preferred_lft 300 nodad");
        // Another interface's.
        ip("addr add 2001:db8::2/64 dev vb");
        assert_eq!(kernel_addresses("vb").unwrap().len(), 1);
        let claimed = claim("va").unwrap();
        let of_loopback_and_vb = std::fs::read_to_string("/proc/thread-self/net/if_inet6").unwrap();
        assert!(!of_loopback_and_vb.contains("va"), "{of_loopback_and_vb}");
        drop(claimed);
    });
}

#[test]
fn a_missing_interface_is_named() {
    with_veth(|| {
        for name in ["nope", "", "a-name-of-sixteen", "../va", "."] {
            let interface = name.to_owned();
            assert_eq!(claim(name).unwrap_err(), Error::Missing { interface });
        }
    });
}

#[test]
fn an_interface_is_claimed_once() {
    with_veth(|| {
        let first = claim("va").unwrap();
        let before = state();
        let refused = claim("va").unwrap_err();
        assert_eq!(
            refused,
            Error::InUse {
                interface: "va".into()
            }
        );
        assert_eq!(state(), before, "the first keeps what it changed");
        let _other = claim("vb").unwrap();
        drop(first);
        drop(claim("va").unwrap());
    });
}

#[test]
fn what_carries_no_ethernet_is_refused_by_name() {
    with_veth(|| {
        ip("tuntap add mode tun name wwan0");
        for (interface, hardware_type) in [("wwan0", 65534), ("lo", 772)] {
            let error = claim(interface).unwrap_err();
            let expected = Error::NotEthernet {
                interface: interface.to_owned(),
                hardware_type,
            };
            assert_eq!(error, expected);
            assert!(error.to_string().contains("no Ethernet frames"), "{error}");
        }
    });
}
