//! The `hal2tp` command as a user meets it: exit codes, and what goes where.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

use control::management::request::{Answer, Question, Request, channel};
use control::management::socket::Server;
use control::management::status::{Kicked, Session, Set, Status, Tunnel};

fn hal2tp(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hal2tp"))
        .args(arguments)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .output()
        .unwrap()
}

fn text(octets: &[u8]) -> &str {
    std::str::from_utf8(octets).unwrap()
}

#[test]
fn a_good_file_is_ok() {
    let output = hal2tp(&["check", "configs/head.yaml", "configs/remote.yaml"]);
    assert_eq!(text(&output.stdout), "ok\n");
    assert!(output.status.success());
}

#[test]
fn a_broken_file_fails_and_its_errors_are_counted() {
    let output = hal2tp(&["check", "control/tests/files/broken.yaml"]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.ends_with("\n12 errors\n"), "{said}");
    assert!(
        said.starts_with("control/tests/files/broken.yaml:3:12: error: "),
        "{said}"
    );
}

#[test]
fn run_refuses_a_broken_file_before_it_touches_anything() {
    let output = hal2tp(&["run", "-c", "control/tests/files/broken.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("broken.yaml:3:12: error: "));
}

#[test]
fn the_version_is_the_packages() {
    let output = hal2tp(&["version"]);
    let wanted = format!("hal2tp {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(text(&output.stdout), wanted);
}

#[test]
fn status_asks_the_socket_that_the_file_names() {
    let place = std::env::temp_dir().join(format!("hal2tp-cli-{}", std::process::id()));
    std::fs::create_dir_all(&place).unwrap();
    let path: PathBuf = place.join("x.sock");
    let file = place.join("x.yaml");
    let yaml = include_str!("../../configs/head.yaml");
    let yaml = yaml.replace("/run/hal2tp/head.sock", &path.display().to_string());
    std::fs::write(&file, yaml).unwrap();
    let status = Status {
        name: "head".to_owned(),
        sets: vec![Set {
            name: "A".to_owned(),
            protection: Set::HA.to_owned(),
            ..Set::default()
        }],
        ..Status::default()
    };
    let (asker, questions) = channel();
    let server = Server::start(&path, asker).unwrap();
    let answer = Answer::Status(Box::new(status.clone()));
    let control = thread::spawn(move || {
        for question in questions {
            question.answer(answer.clone());
        }
    });
    let file = file.display().to_string();
    let json = hal2tp(&["status", "-c", &file, "--json"]);
    assert!(json.status.success());
    assert_eq!(
        serde_json::from_slice::<Status>(&json.stdout).unwrap(),
        status
    );
    let shown = hal2tp(&["status", "--socket", &path.display().to_string()]);
    assert!(text(&shown.stdout).contains("HA SETS"), "{shown:?}");
    assert!(
        !text(&shown.stdout).contains('\x1b'),
        "colours although no terminal"
    );
    drop(server);
    control.join().unwrap();

    let output = hal2tp(&["status", "-c", &file]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("no appliance answers on"),
        "{output:?}"
    );
    std::fs::remove_dir_all(&place).unwrap();
}

/// Answers as an appliance with one tunnel that is refused, and one session.
fn appliance(questions: impl Iterator<Item = Request>) {
    let status = Status {
        tunnels: vec![Tunnel {
            name: "head1".to_owned(),
            state: "waiting".to_owned(),
            last_result: Some("the peer: not authorised (4): wrong secret".to_owned()),
            next_attempt_s: Some(3),
            ..Tunnel::default()
        }],
        sessions: vec![Session {
            name: "L2TP-remote-1".to_owned(),
            tunnel: "head1".to_owned(),
            state: "dialling".to_owned(),
            ..Session::default()
        }],
        ..Status::default()
    };
    for question in questions {
        let answer = match &question.command {
            Question::Status => Answer::Status(Box::new(status.clone())),
            Question::Kick(name) if name == "head1" => Answer::Kicked(Kicked {
                name: name.clone(),
                tunnels: 1,
                sessions: 0,
            }),
            Question::Kick(_) => Answer::Refused("no tunnel or session is called so".to_owned()),
        };
        question.answer(answer);
    }
}

#[test]
fn tunnels_and_sessions_are_shown_and_kicked_by_name() {
    let place = std::env::temp_dir().join(format!("hal2tp-views-{}", std::process::id()));
    let path = place.join("x.sock");
    let (asker, questions) = channel();
    let server = Server::start(&path, asker).unwrap();
    let control = thread::spawn(move || appliance(questions.into_iter()));
    let socket = path.display().to_string();
    let ask = |arguments: &[&str]| hal2tp(&[arguments, &["--socket", &socket]].concat());

    let shown = ask(&["tunnels"]);
    let said = text(&shown.stdout);
    assert!(said.starts_with("TUNNELS\n"), "{said}");
    assert!(
        said.contains("again in 3 s  the peer: not authorised (4): wrong secret"),
        "{said}"
    );
    assert!(!said.contains("SESSIONS"), "{said}");
    let json = ask(&["tunnels", "--json"]);
    let tunnels: Vec<Tunnel> = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(tunnels[0].next_attempt_s, Some(3));

    let shown = ask(&["sessions"]);
    assert!(text(&shown.stdout).contains("dialling"), "{shown:?}");
    let json = ask(&["sessions", "--json"]);
    let sessions: Vec<Session> = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(sessions[0].tunnel, "head1");

    let kicked = ask(&["kick", "head1"]);
    assert_eq!(text(&kicked.stdout), "head1: 1 tunnel, 0 sessions\n");
    let wrong = ask(&["kick", "head1", "haed2"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(
        text(&wrong.stderr).contains("no tunnel or session is called so"),
        "{wrong:?}"
    );
    drop(server);
    control.join().unwrap();
    std::fs::remove_dir_all(&place).unwrap();
}
