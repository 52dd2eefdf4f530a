//! The configuration is read again under traffic: what has not changed loses nothing.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use benches::lab::{Lab, Site};

use super::{
    Traffic, assert_nothing_lost_nothing_twice, config, running, sleep, status, wait_for_all,
};

const PACKETS_PER_S: u32 = 1_000;
const BACK: Duration = Duration::from_secs(10);

fn reload(lab: &Lab, site: Site, arguments: &[&str]) -> Output {
    let mut command = Command::new(&lab.config().programs.hal2tp);
    let command = command.arg("reload").arg("--socket").arg(lab.socket(site));
    command.args(arguments).output().expect("it runs")
}

/// What a reload says of a file with this text.
fn reloaded(lab: &Lab, site: Site, text: &str) -> String {
    std::fs::write(lab.config_file(site), text).unwrap();
    let output = reload(lab, site, &[]);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The ids of a link's session at both its ends: another session has others.
fn ids(lab: &Lab, link: usize) -> (u16, u16) {
    let status = status(lab, Site::Remote);
    let session = status.link(link).expect("the link is up");
    (session.local_session_id, session.peer_session_id)
}

/// The file without one of its tunnels, which stands before another.
fn without(text: &str, tunnel: &str, next: &str) -> String {
    let place = |name: &str| text.find(&format!("    - name: {name}\n")).unwrap();
    text[..place(tunnel)].to_owned() + &text[place(next)..]
}

fn wait_for_log(lab: &Lab, site: Site, words: &str) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !std::fs::read_to_string(lab.log(site))
        .unwrap()
        .contains(words)
    {
        assert!(Instant::now() < deadline, "{words} is not in the log");
        sleep(0.05);
    }
}

#[test]
fn a_reload_under_traffic_touches_nothing_that_has_not_changed() {
    let mut lab = running(config());
    let whole = std::fs::read_to_string(lab.config_file(Site::Remote)).unwrap();
    let traffic = Traffic::start(&lab, PACKETS_PER_S);
    sleep(1.0);
    let before = [1, 2, 3].map(|link| ids(&lab, link));

    let said = reloaded(&lab, Site::Remote, &whole);
    assert_eq!(said, "nothing has changed\n");

    let said = reloaded(&lab, Site::Remote, &without(&whole, "head2", "head3"));
    assert_eq!(said, "outgoing: head2 removed\n");
    sleep(3.0);
    for site in Site::BOTH {
        assert_eq!(status(&lab, site).live_links(), [1, 3]);
    }

    // It comes back, and another's echoes have another pace.
    let place = whole.find("    - name: head3\n").unwrap();
    let (others, third) = whole.split_at(place);
    let third = third.replacen("lcp-rate: 1", "lcp-rate: 2", 1);
    let said = reloaded(&lab, Site::Remote, &format!("{others}{third}"));
    assert_eq!(said, "outgoing: head2 added; head3 changed, set up anew\n");
    wait_for_all(&mut lab, BACK);
    sleep(1.0);
    let after = [1, 2, 3].map(|link| ids(&lab, link));
    assert_eq!(before[0], after[0], "nobody touched it");
    assert!(before[1] != after[1] && before[2] != after[2]);

    // With a typo nothing is done, and it is said where it is.
    let wrong = whole.replacen("      server:", "      sever:", 1);
    let line = 1 + wrong[..wrong.find("sever:").unwrap()].matches('\n').count();
    std::fs::write(lab.config_file(Site::Remote), &wrong).unwrap();
    let refused = reload(&lab, Site::Remote, &[]);
    let why = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let place = format!("remote.yaml:{line}:7: error: l2tp.outgoing[head1].sever: ");
    assert!(why.contains(&place), "{why}");

    // Nor where something else needs a restart.
    let moved = without(&whole, "head2", "head3").replacen("memory: 256", "memory: 257", 1);
    std::fs::write(lab.config_file(Site::Remote), &moved).unwrap();
    let refused = reload(&lab, Site::Remote, &[]);
    let why = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        why.ends_with("dataplane: changed, which takes a restart; nothing was applied\n"),
        "{why}"
    );

    // A signal does the same, at the other end and without anybody who is told.
    let head = std::fs::read_to_string(lab.config_file(Site::Head)).unwrap();
    let one = "graph: remote.1,";
    assert!(head.contains(one));
    let commented = head.replacen(one, "graph: remote.1, comment: by ISP 1,", 1);
    std::fs::write(lab.config_file(Site::Head), commented).unwrap();
    let pid = lab.pid(Site::Head).unwrap().to_string();
    let sent = Command::new("kill").args(["-HUP", &pid]).status().unwrap();
    assert!(sent.success());
    wait_for_log(
        &lab,
        Site::Head,
        "reload: match: remote.1 adjusted in place",
    );
    wait_for_log(&lab, Site::Remote, "event=reload-refused");

    sleep(1.0);
    assert_eq!(after, [1, 2, 3].map(|link| ids(&lab, link)));
    for site in Site::BOTH {
        assert_eq!(status(&lab, site).live_links(), [1, 2, 3]);
    }
    let reports = traffic.stop();
    assert_nothing_lost_nothing_twice(&lab, &reports);
}
