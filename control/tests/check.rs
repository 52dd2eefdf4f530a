//! What `hal2tp check` says: of broken files, whole and line by line; of the
//! maker's example as it stands; and of two ends that do not fit.

mod common;

use std::path::{Path, PathBuf};

use common::{HEAD, REMOTE, changed};
use control::config::{self, Config};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files")
}

/// Checks files of `tests/files` and compares all that is said with a file there.
fn golden(files: &[&str], expected: &str) {
    let paths: Vec<PathBuf> = files.iter().map(|file| directory().join(file)).collect();
    let mut text = String::new();
    for problem in config::check_files(&paths) {
        text.push_str(&format!("{problem}\n"));
    }
    let text = text.replace(&format!("{}/", directory().display()), "");
    let path = directory().join(expected);
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let wanted = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text, wanted, "\n{text}");
}

#[test]
fn ten_mistakes_and_more_are_told_at_once_with_their_lines() {
    golden(&["broken.yaml"], "broken.expected");
    // The lines of the expected file are those where the words stand.
    let expected = std::fs::read_to_string(directory().join("broken.expected")).unwrap();
    let broken = std::fs::read_to_string(directory().join("broken.yaml")).unwrap();
    let line = |what: &str| 1 + broken.lines().position(|line| line.contains(what)).unwrap();
    for (what, key) in [
        ("workers: two", "dataplane.workers"),
        ("poll: fast", "dataplane.poll"),
        ("name: isp2, device: eth1", "ports[isp2].device"),
        ("198.51.101.1", "interfaces[ISP1].gateway"),
        ("ips2", "interfaces[ISP2].port"),
        ("sever:", "l2tp.outgoing[head1].sever"),
        ("192.168.1.1/24", "l2tp.outgoing[head1].routes[1]"),
        ("[whisper]", "l2tp.outgoing[head2].password"),
        ("tcp-mss-fix: yes", "l2tp.outgoing[head2].tcp-mss-fix"),
        ("ha-set: B", "l2tp.outgoing[head2].ha-set"),
        ("window: 100000", "ha-sets[A].window"),
    ] {
        let start = format!("broken.yaml:{}:", line(what));
        let told = |row: &str| row.starts_with(&start) && row.contains(&format!(" {key}: "));
        assert!(
            expected.lines().any(told),
            "{what}: no {start} with {key} in\n{expected}"
        );
    }
    for secret in ["0123", "hush-hush", "whisper"] {
        assert!(!expected.contains(secret), "a secret is shown");
    }
}

#[test]
fn the_makers_example_is_explained() {
    golden(&["maker-head.yaml", "maker-remote.yaml"], "maker.expected");
    let expected = std::fs::read_to_string(directory().join("maker.expected")).unwrap();
    for explained in [
        "l2tp.outgoing[head1].server: there is no value",
        "l2tp.outgoing[head2].server: there is no value",
        "the password cannot match",
        "the far end has no secret",
        "match[remote.1].remote-ip: there is no value",
    ] {
        assert!(expected.contains(explained), "{explained}");
    }
}

#[test]
fn the_makers_example_made_right_is_right() {
    let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs");
    for pair in [
        ["head.yaml", "remote.yaml"],
        ["demo/head.yaml", "demo/remote.yaml"],
    ] {
        let files: Vec<PathBuf> = pair.iter().map(|file| configs.join(file)).collect();
        assert_eq!(config::check_files(&files), []);
    }
}

#[test]
fn secrets_are_taken_as_they_stand_and_never_shown() {
    for password in [
        "0123",
        "1e3",
        "true",
        "null",
        "~",
        "0x10",
        "1_000",
        "'quoted: #'",
        "\" \"",
    ] {
        let text = changed(
            REMOTE,
            &[("password: secret\n", &format!("password: {password}\n"))],
        );
        let (config, _) = Config::parse("f", &text).unwrap();
        let wanted = password.trim_matches(['\'', '"']);
        assert_eq!(
            config.l2tp.outgoing[0].password.as_bytes(),
            wanted.as_bytes()
        );
        assert!(!format!("{config:?}").contains(&format!("password: {wanted:?}")));
    }
}

/// Head and remote in files of their own, the one or the other changed.
fn pair(name: &str, head: &[(&str, &str)], remote: &[(&str, &str)]) -> Vec<config::Problem> {
    let place = std::env::temp_dir().join(format!("hal2tp-check-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&place).unwrap();
    let files = [place.join("head.yaml"), place.join("remote.yaml")];
    std::fs::write(&files[0], changed(HEAD, head)).unwrap();
    std::fs::write(&files[1], changed(REMOTE, remote)).unwrap();
    let problems = config::check_files(&files);
    std::fs::remove_dir_all(&place).unwrap();
    problems
}

#[test]
fn the_two_ends_must_fit_together() {
    let one =
        |name: &str, head: &[(&str, &str)], remote: &[(&str, &str)], key: &str, message: &str| {
            let problems = pair(name, head, remote);
            let found = problems
                .iter()
                .find(|p| p.key == key && p.message.contains(message));
            assert!(
                found.is_some_and(|p| p.file.ends_with("remote.yaml")),
                "{name}: {problems:?}"
            );
            assert!(
                problems
                    .iter()
                    .all(|p| p.key == key || p.key.contains("head2")),
                "{name}: {problems:?}"
            );
        };
    one(
        "password",
        &[("password: secret", "password: other")],
        &[],
        "l2tp.outgoing[head1].password",
        "cannot match",
    );
    one(
        "secret",
        &[("secret: test ", "secret: toast ")],
        &[],
        "l2tp.outgoing[head1].secret",
        "is not the far end's",
    );
    one(
        "hostname",
        &[("remote-hostname: remote ", "remote-hostname: branch ")],
        &[],
        "l2tp.outgoing[head1].hostname",
        "accepts the host name \"remote\"",
    );
    one(
        "username",
        &[],
        &[("username: remote.1", "username: remote.9")],
        "l2tp.outgoing[head1].username",
        "no `match` for the username \"remote.9\"",
    );
    one(
        "server",
        &[],
        &[("server: 203.0.113.1 ", "server: 203.0.113.2 ")],
        "l2tp.outgoing[head1].server",
        "no other file here has the address 203.0.113.2",
    );
    one(
        "authentication",
        &[(
            "    - name: remote\n",
            "    - name: remote\n      ppp: { authentication: [chap] }\n",
        )],
        &[(
            "    - name: head1\n",
            "    - name: head1\n      ppp: { authentication: [pap] }\n",
        )],
        "l2tp.outgoing[head1].ppp.authentication",
        "takes none of these ways to log in",
    );
    one(
        "mtu",
        &[("{ name: A, window", "{ name: A, mtu: 1400, window")],
        &[],
        "ha-sets[A].mtu",
        "of up to 1500 octets go into the set here, and of up to 1400 at the far end",
    );
    assert_eq!(pair("right", &[], &[]), []);
}

/// IPv6 at one end of the links only.
#[test]
fn the_two_ends_must_carry_the_same_families() {
    let here = [
        (
            "routes: [192.168.1.0/24]  #",
            "routes: [192.168.1.0/24, 2001:db8:1::/64]  #",
        ),
        (
            "routes: [192.168.1.0/24]\n",
            "routes: [192.168.1.0/24, 2001:db8:1::/64]\n",
        ),
    ];
    let there = [(
        "routes: [192.168.2.0/24]",
        "routes: [192.168.2.0/24, 2001:db8:2::/64]",
    ); 2];
    let told = |name: &str, head: &[(&str, &str)], remote: &[(&str, &str)], message: &str| {
        let problems = pair(name, head, remote);
        assert_eq!(problems.len(), 2, "{problems:?}");
        for (problem, link) in problems.iter().zip(["head1", "head2"]) {
            assert_eq!(problem.key, format!("l2tp.outgoing[{link}].routes"));
            assert!(problem.message.contains(message), "{problem}");
        }
    };
    told("six-here", &[], &here, "the far end has none");
    told("six-there", &there, &[], "there is none here");
    assert_eq!(pair("six-both", &there, &here), []);
    // Addresses on the far end's LAN are enough.
    let lan = [("[192.168.1.1/24]", "[192.168.1.1/24, 2001:db8:1::1/64]")];
    assert_eq!(pair("six-lan", &lan, &here), []);
}

#[test]
fn what_cannot_be_read_is_said_so() {
    let problems = Config::load(Path::new("/nonexistent/x.yaml")).unwrap_err();
    assert!(
        problems[0]
            .to_string()
            .starts_with("/nonexistent/x.yaml: error: cannot be read"),
        "{}",
        problems[0]
    );
    for (text, line, message) in [
        ("", 1, "the file is empty"),
        ("# nothing\n", 1, "the file is empty"),
        ("name: a\nports: [\n", 2, "not YAML"),
        ("name: &a x\nports: *a\n", 2, "aliases"),
        ("name: !!str x\n", 1, "tags"),
        ("name: x\n---\nname: y\n", 2, "a second document"),
        ("- a\n", 1, "a list stands where keys"),
    ] {
        let problems = Config::parse("f", text).unwrap_err();
        let found = problems.iter().find(|p| p.message.contains(message));
        assert!(
            found.is_some_and(|p| p.line == line),
            "{text:?}: {problems:?}"
        );
    }
}
