//! hal2tp beside other tunnels.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use benches::report::{Cell, Name, Report};

use super::{Folder, command, number};

const SECTION: &str = "peers";

/// The section, with these adapters in the folder; and which process that was.
fn measure(folder: &Folder, adapters: &[(&str, String)]) -> (Output, u32) {
    std::fs::create_dir_all(&folder.0).unwrap();
    for (file, text) in adapters {
        std::fs::write(folder.0.join(file), text).unwrap();
    }
    let child = command(SECTION, &folder.0.join("report"))
        .arg("--peers")
        .arg(&folder.0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = child.id();
    (child.wait_with_output().unwrap(), pid)
}

fn adapter(file: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
    std::fs::read_to_string(folder.join(file)).unwrap()
}

const MISSING: &str = "\
name: somebody
what: a program that nobody has
traffic: ip
links: all
least-effort: smoke
needs: { hal2tp-no-such-program: no-such-package }
programs: { far: [], near: [], ready: 'true', stop: SIGTERM }
";

/// The kernel forwards; what was to do so has ended.
fn brief() -> String {
    let kernel = adapter("kernel.yaml").replace("name: kernel", "name: brief");
    let brief = kernel.replace("  near:\n", "  near:\n    - run: echo farewell\n");
    assert!(brief.contains("farewell"));
    brief
}

#[test]
fn a_cut_costs_hal2tp_nothing_and_one_link_everything_meanwhile() {
    let folder = Folder::new(SECTION);
    let adapters = [
        ("hal2tp.yaml", adapter("hal2tp.yaml")),
        ("kernel.yaml", adapter("kernel.yaml")),
        ("somebody.yaml", MISSING.to_owned()),
        ("brief.yaml", brief()),
    ];
    let (output, pid) = measure(&folder, &adapters);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let report = Report::read(&folder.0.join("report/report.json")).unwrap();
    let count = |row, column| number(&report, SECTION, "cut", row, column);
    for row in ["hal2tp", "kernel"] {
        let (sent, lost) = (count(row, "sent packets"), count(row, "lost packets"));
        assert!(sent > 0.0 && lost <= sent, "{row}: {lost} of {sent}");
        assert_eq!(count(row, "delivered twice"), 0.0, "{row}");
    }
    assert_eq!(count("hal2tp", "lost packets"), 0.0, "{errors}");
    assert!(count("kernel", "lost packets") > 0.0);
    assert!(count("hal2tp", "CPU s per million packets") > 0.0);
    for (row, reason) in [
        ("somebody", "not run: no package no-such-package"),
        ("brief", "ended by itself"),
    ] {
        let name = Name {
            section: SECTION,
            table: "cut",
            row,
            column: "offered packets/s",
        };
        let reason = Cell::Text(reason.to_owned());
        assert_eq!(report.cell(name), Some(&reason), "{errors}");
    }
    assert!(errors.contains("farewell"), "{errors}");
    assert!(folder.0.join("report/peers.svg").is_file());
    let left = Command::new("ip").args(["netns", "list"]).output().unwrap();
    let left = String::from_utf8_lossy(&left.stdout);
    assert!(!left.contains(&format!("hal2tp-{pid}-")), "{left}");
}

#[test]
fn a_file_that_is_no_adapter_is_named() {
    let wrong = MISSING.replace("what:", "waht:");
    let folder = Folder::new("wrong-peers");
    let (output, _) = measure(&folder, &[("somebody.yaml", wrong)]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    for part in ["somebody.yaml", "waht"] {
        assert!(errors.contains(part), "{errors}");
    }
}
