//! The `hal2tp` command as a user meets it: exit codes, and what goes where.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

use control::management::socket::Server;
use control::management::status::{Set, Status};

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
    let (server, questions) = Server::start(&path).unwrap();
    let answer = serde_json::to_string(&status).unwrap();
    let control = thread::spawn(move || {
        for question in questions {
            let _ = question.reply.try_send(answer.clone());
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
