use super::*;
use crate::testing::{affinity, eal};

fn config() -> EalConfig {
    EalConfig {
        program: "hal2tp".to_owned(),
        memory_mib: 64,
        hugepages: HugePages::No,
        pci_allow: Vec::new(),
        main_core: Some(1),
    }
}

#[test]
fn without_hugepages_memory_is_ordinary_and_nothing_is_shared() {
    let expected = "hal2tp --lcores 0@1 -m 64 --log-level=warning --no-huge --no-shconf \
                    --no-pci --no-telemetry";
    assert_eq!(arguments(&config(), false, 1, &[]).join(" "), expected);
}

#[test]
fn with_hugepages_no_file_system_is_needed() {
    let expected = "hal2tp --lcores 0@3 -m 64 --log-level=warning --in-memory \
                    --single-file-segments --no-pci --no-telemetry";
    assert_eq!(arguments(&config(), true, 3, &[]).join(" "), expected);
}

#[test]
fn only_allowed_devices_are_probed() {
    let config = EalConfig {
        pci_allow: vec!["0000:03:00.0".to_owned(), "04:00.1".to_owned()],
        ..config()
    };
    let arguments = arguments(&config, false, 0, &["--telemetry"]).join(" ");
    assert!(arguments.ends_with("--no-shconf -a 0000:03:00.0 -a 04:00.1 --telemetry"));
    assert!(!arguments.contains("--no-pci"));
}

#[test]
fn free_hugepages_of_all_sizes_count_and_reserved_ones_do_not() {
    let directory = std::env::temp_dir().join(format!("hugepages-test-{}", std::process::id()));
    for (size, free, reserved) in [("2048kB", 100, 10), ("1048576kB", 2, 1)] {
        let size = directory.join(format!("hugepages-{size}"));
        fs::create_dir_all(&size).unwrap();
        fs::write(size.join("free_hugepages"), format!("{free}\n")).unwrap();
        fs::write(size.join("resv_hugepages"), format!("{reserved}\n")).unwrap();
    }
    let free = free_hugepages_mib(&directory);
    fs::remove_dir_all(&directory).unwrap();
    assert_eq!(free, 90 * 2 + 1024);
    assert_eq!(free_hugepages_mib(&directory), 0);
}

#[test]
fn hugepages_that_are_missing_are_an_error_only_when_demanded() {
    let mut config = config();
    config.memory_mib = u32::MAX;
    config.hugepages = HugePages::Auto;
    assert_eq!(choose_hugepages(&config), Ok(false));
    config.hugepages = HugePages::Yes;
    let error = choose_hugepages(&config).unwrap_err();
    assert!(matches!(
        error,
        EalError::NoHugePages {
            needed_mib: u32::MAX,
            ..
        }
    ));
    assert!(error.to_string().contains("nr_hugepages"));
}

#[test]
fn it_starts_once_and_leaves_the_callers_affinity_alone() {
    let before = affinity();
    let eal = eal();
    assert_eq!(affinity(), before);
    assert!(!eal.uses_hugepages());
    assert!(eal.version().starts_with("DPDK 2"), "{}", eal.version());
    assert_eq!(Eal::init(&config()).unwrap_err(), EalError::AlreadyStarted);
    let nul = EalConfig {
        program: "a\0b".to_owned(),
        ..config()
    };
    assert_eq!(
        Eal::init(&nul).unwrap_err(),
        EalError::Argument("a\0b".to_owned())
    );
}

#[test]
fn the_clock_has_a_plausible_frequency() {
    let hz = tsc_hz(eal());
    assert!((100_000_000..10_000_000_000).contains(&hz), "{hz}");
    let before = tsc();
    thread::sleep(std::time::Duration::from_millis(10));
    // Sleeping takes at least as long as asked; how much longer is luck.
    assert!(tsc() - before > hz / 110, "{hz}");
}

#[test]
fn devices_that_cannot_be_made_are_errors() {
    let eal = eal();
    let error = eal.attach_vdev("net_nothing0", "").unwrap_err();
    assert!(matches!(&error, Error::Call { subject, .. } if subject == "net_nothing0"));
    let error = eal.attach_vdev("net_null\0", "").unwrap_err();
    assert_eq!(error, Error::Name("net_null\0".to_owned()));
    let error = eal.attach_vdev("net_ring_x", "internal=0x10").unwrap_err();
    assert!(matches!(error, Error::Name(_)));
    for args in ["size=0x1000", "size=070000", "size=70000", "copy=1,size=x"] {
        let error = eal.attach_vdev("net_null_size", args).unwrap_err();
        assert!(matches!(error, Error::Name(_)), "{error:?}");
    }
    let error = eal.pci_port("03:00.0").unwrap_err();
    assert_eq!(error, Error::NoSuchPort("0000:03:00.0".to_owned()));
}
