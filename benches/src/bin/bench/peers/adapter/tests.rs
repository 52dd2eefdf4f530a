use super::*;

const GOOD: &str = "\
name: example
what: an example
traffic: udp
links: all
least-effort: full
needs: { relay: relay-tools, helper: relay-tools, ip: iproute2 }
programs:
  far:
    - run: exec relay {far_link_1} {exit}
  near:
    - do: ip route add {far_network} via {far_link_1}
    - wait: test -e {folder}/socket
    - run: exec relay {entry} {far_link_1}
  ready: grep -q connected {folder}/near.log
  stop: SIGINT
";

fn problem(text: &str) -> String {
    let problem = Adapter::parse("peers/example.yaml", text).unwrap_err();
    problem.to_string()
}

#[test]
fn a_file_is_read() {
    let adapter = Adapter::parse("peers/example.yaml", GOOD).unwrap();
    assert_eq!(adapter.name, "example");
    assert_eq!(adapter.traffic, Traffic::Udp);
    assert_eq!(adapter.least_effort, Effort::Full);
    let programs = adapter.programs.as_ref().unwrap();
    let wait = Step::Wait("test -e {folder}/socket".to_owned());
    assert_eq!(programs.near[1], wait);
    assert_eq!(programs.stop.signal(), Signal::SIGINT);
    assert!(adapter.is_in_table("skew") && adapter.is_in_table("cut"));
    let only_skew = GOOD.replace("needs:", "tables: [skew]\nneeds:");
    let only_skew = Adapter::parse("peers/example.yaml", &only_skew).unwrap();
    assert!(only_skew.is_in_table("skew") && !only_skew.is_in_table("cut"));
}

#[test]
fn who_is_told_of_a_buffer_has_one() {
    let has_buffer = |text: &str| {
        let adapter = Adapter::parse("peers/example.yaml", text).unwrap();
        adapter.has_buffer()
    };
    assert!(!has_buffer(GOOD));
    assert!(has_buffer(&GOOD.replace("{exit}", "{exit} {buffer_ms}")));
}

#[test]
fn what_is_missing_is_told_by_its_package_once() {
    let adapter = Adapter::parse("peers/example.yaml", GOOD).unwrap();
    assert_eq!(adapter.missing_packages(|_| true), [""; 0]);
    assert_eq!(
        adapter.missing_packages(|program| program == "ip"),
        ["relay-tools"]
    );
}

/// Every problem names the file.
#[test]
fn what_is_wrong_is_told() {
    for (from, to, parts) in [
        ("links: all", "link: all", &["link"][..]),
        ("links: all\n", "", &["links"]),
        ("links: all", "links: many", &["many"]),
        ("least-effort: full", "least-effort: some", &["some"]),
        ("traffic: udp", "traffic: tcp", &["tcp"]),
        ("stop: SIGINT", "stop: SIGHUP", &["SIGHUP"]),
        ("- wait:", "- sleep:", &["sleep"]),
        (
            "  ready: grep -q connected {folder}/near.log\n",
            "",
            &["ready"],
        ),
        (
            "{folder}/socket",
            "{fodler}/socket",
            &["near, line 2: no placeholder {fodler}", "{folder}"],
        ),
        ("{folder}/near.log", "{log}", &["ready, line 1", "{log}"]),
        ("{entry}", "1.2.3.4:5", &["no line of `near` has {entry}"]),
        ("{exit}", "1.2.3.4:5", &["no line of `far` has {exit}"]),
        (
            "programs:",
            "appliance: { window: 65536 }\nprograms:",
            &["either"],
        ),
    ] {
        assert!(GOOD.contains(from), "{from}");
        let problem = problem(&GOOD.replace(from, to));
        for part in ["peers/example.yaml"].iter().chain(parts) {
            assert!(problem.contains(part), "{part} in {problem}");
        }
    }
    let neither = "name: a\nwhat: a\ntraffic: ip\nlinks: all\nleast-effort: full\n";
    assert!(problem(neither).contains("either `appliance` or `programs`"));
    let appliance = format!("{neither}appliance: {{ window: 65536 }}\n");
    assert!(Adapter::parse("a", &appliance).is_ok());
    assert!(problem(&appliance.replace("traffic: ip", "traffic: udp")).contains("no socket"));
}

#[test]
fn braces_of_the_shell_stay() {
    let value = |name: &str| (name == "far_lan").then(|| "10.0.0.1".to_owned());
    for (line, filled) in [
        ("ping {far_lan}", "ping 10.0.0.1"),
        ("{far_lan}{far_lan}", "10.0.0.110.0.0.1"),
        ("awk '{ print }' {}", "awk '{ print }' {}"),
        ("{ a; } {", "{ a; } {"),
        ("{{far_lan}", "{10.0.0.1"),
    ] {
        assert_eq!(fill(line, value).as_deref(), Ok(filled), "{line}");
    }
    assert!(fill("{near_lan}", value).is_err());
}

/// The published adapters.
#[test]
fn our_own_files_are_adapters() {
    let adapters = Adapter::read_all(&super::super::folder()).unwrap();
    let names: Vec<&str> = adapters
        .iter()
        .map(|adapter| adapter.name.as_str())
        .collect();
    for name in ["hal2tp", "kernel", "rist", "srt", "wireguard"] {
        assert!(names.contains(&name), "{name} among {names:?}");
    }
}

#[test]
fn two_adapters_of_one_name_could_not_be_told_apart() {
    let folder = std::env::temp_dir().join(format!("hal2tp-adapters-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for file in ["a.yaml", "b.yaml"] {
        std::fs::write(folder.join(file), GOOD).unwrap();
    }
    let problem = Adapter::read_all(&folder).unwrap_err().to_string();
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(
        problem.contains("two adapters named \"example\""),
        "{problem}"
    );
    assert!(Adapter::read_all(&folder).is_err());
}
