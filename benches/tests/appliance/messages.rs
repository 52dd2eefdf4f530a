//! What a newcomer reads when the appliance does not start: one line that says what to do, and exit code 1.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use benches::lab::Programs;
use benches::netns::{Namespace, checked};

use super::sleep;

const CONFIG: &str = "\
name: newcomer
dataplane: { workers: 1, memory: 256, hugepages: false }
management: { socket: DIRECTORY/a.sock }
ports:
  - { name: lan, device: a1 }
  - { name: isp, device: b1 }
interfaces:
  - { name: LAN, port: lan, table: 0, addresses: [192.168.2.1/24] }
  - { name: ISP, port: isp, table: 1, addresses: [10.1.0.2/24] }
";
/// Of DPDK's own, and the log's beginning.
const MAX_OTHER_LINES: usize = 12;
const END_LIMIT: Duration = Duration::from_secs(20);

/// A namespace with two pairs of interfaces, and a directory; both go with it.
struct Place {
    namespace: Namespace,
    directory: PathBuf,
}

impl Place {
    fn new(name: &str) -> Self {
        let name = format!("hal2tp-{}-{name}", std::process::id());
        let directory = std::env::temp_dir().join(&name);
        std::fs::create_dir_all(&directory).unwrap();
        let namespace = Namespace::named(name);
        namespace.create().expect("root, for a network namespace");
        let place = Self {
            namespace,
            directory,
        };
        for pair in ["a1 type veth peer name a2", "b1 type veth peer name b2"] {
            place.namespace.ip(&format!("link add {pair}")).unwrap();
        }
        for interface in ["a1", "a2", "b1", "b2"] {
            let up = format!("link set dev {interface} up");
            place.namespace.ip(&up).unwrap();
        }
        place
    }

    /// `hal2tp run` with these changes to the file.
    fn command(&self, edits: &[(&str, &str)]) -> Command {
        let mut text = CONFIG.to_owned();
        for (from, to) in edits {
            assert!(text.contains(from), "{from}");
            text = text.replace(from, to);
        }
        let text = text.replace("DIRECTORY", &self.directory.display().to_string());
        let file = self.directory.join("newcomer.yaml");
        std::fs::write(&file, text).unwrap();
        let mut command = self.namespace.command(Programs::find().unwrap().hal2tp);
        command.args(["run", "-c"]).arg(file);
        command
    }

    /// Runs it to its end, which is exit code 1 with a line that has all of `words`.
    fn assert_refused(&self, edits: &[(&str, &str)], words: &[&str]) {
        refused(self.command(edits), words);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.namespace.delete();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn refused(mut command: Command, words: &[&str]) {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut running = Running(child);
    let started = Instant::now();
    let status = loop {
        if let Some(status) = running.0.try_wait().unwrap() {
            break status;
        }
        assert!(started.elapsed() < END_LIMIT, "it started: {words:?}");
        sleep(0.02);
    };
    let stderr = running.0.stderr.take().unwrap();
    let text = std::io::read_to_string(stderr).unwrap();
    println!("{text}");
    assert_eq!(status.code(), Some(1), "{text}");
    assert!(!text.contains("panicked"), "{text}");
    let says_all = |line: &&str| words.iter().all(|word| line.contains(word));
    // A problem of the file has its remedy on a second line.
    let lines: Vec<&str> = text.lines().collect();
    let pairs: Vec<String> = lines.windows(2).map(|pair| pair.join(" ")).collect();
    let pairs = pairs.iter().map(String::as_str);
    assert!(
        lines
            .iter()
            .copied()
            .chain(pairs)
            .any(|line| says_all(&line)),
        "{words:?} in:\n{text}"
    );
    let others = lines.iter().filter(|line| !line.contains("/proc/sys/net/"));
    assert!(others.count() <= MAX_OTHER_LINES, "too many words:\n{text}");
}

/// Killed when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_interface_that_cannot_be_had() {
    let place = Place::new("interface");
    place.assert_refused(
        &[("device: a1", "device: nope")],
        &["ERROR", "port lan", "no interface nope", "ip link"],
    );
    place.namespace.ip("addr add 10.9.9.9/24 dev a1").unwrap();
    place.assert_refused(
        &[],
        &["ERROR", "port lan", "10.9.9.9", "ip addr flush dev a1"],
    );
    place.namespace.ip("addr flush dev a1").unwrap();
    place.assert_refused(
        &[("device: b1", "device: a1")],
        &[
            "error",
            "ports[isp].device",
            "taken by line 5",
            "a device of its own",
        ],
    );
    place.assert_refused(
        &[("port: isp", "port: lan")],
        &["error", "interfaces[ISP].port", "use another port"],
    );
}

#[test]
fn a_device_that_dpdk_does_not_make() {
    let place = Place::new("device");
    place.assert_refused(
        &[("device: b1", "device: net_nothing0")],
        &[
            "ERROR",
            "port isp",
            "net_nothing0",
            "DPDK driver",
            "net_memif0,role=server",
        ],
    );
    let client = "device: \"net_memif0,role=client,socket=DIRECTORY/m.sock,socket-abstract=no\"";
    place.assert_refused(
        &[("device: b1", client)],
        &["ERROR", "port isp", "server of a memif must run before"],
    );
    place.assert_refused(
        &[("device: b1", "device: \"0000:7f:1f.7\"")],
        &["ERROR", "port isp", "0000:7f:1f.7", "vfio-pci"],
    );
    place.assert_refused(
        &[("workers: 1", "workers: [1000]")],
        &["ERROR", "worker 0", "core 1000", "workers"],
    );
}

#[test]
fn too_little_memory() {
    let place = Place::new("memory");
    place.assert_refused(
        &[("memory: 256", "memory: 64"), ("workers: 1", "workers: 8")],
        &["ERROR", "memory", "these ports and workers"],
    );
}

#[test]
fn a_socket_that_cannot_be_had() {
    let place = Place::new("socket");
    let socket = "socket: DIRECTORY/a.sock";
    for elsewhere in [
        "socket: /proc/nowhere/a.sock",
        "socket: DIRECTORY/newcomer.yaml/a.sock",
    ] {
        place.assert_refused(
            &[(socket, elsewhere)],
            &["ERROR", "a.sock", "management socket", "choose another"],
        );
    }
    place.assert_refused(
        &[(socket, "socket: DIRECTORY/newcomer.yaml")],
        &["ERROR", "newcomer.yaml", "not a socket", "choose another"],
    );
}

#[test]
fn not_root() {
    let place = Place::new("nobody");
    // Readable and executable for everybody, wherever it was built.
    let program = place.directory.join("hal2tp");
    std::fs::copy(Programs::find().unwrap().hal2tp, &program).unwrap();
    checked(Command::new("chmod").arg("755").arg(&place.directory)).unwrap();
    drop(place.command(&[]));
    let run = |file: PathBuf, words: &[&str]| {
        let mut command = place.namespace.command("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        command.arg(&program).args(["run", "-c"]).arg(file);
        refused(command, words);
    };
    let file = place.directory.join("newcomer.yaml");
    run(file.clone(), &["ERROR", "a.sock", "run as root"]);
    checked(Command::new("chmod").arg("777").arg(&place.directory)).unwrap();
    run(file, &["ERROR", "port lan", "root or CAP_NET_ADMIN"]);
}

/// A second appliance on an interface would answer every frame twice.
#[test]
fn a_second_appliance() {
    let place = Place::new("second");
    let log = place.directory.join("first.log");
    let first = place
        .command(&[])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let first = Running(first);
    let started = Instant::now();
    while !std::fs::read_to_string(&log).unwrap().contains("link up") {
        assert!(started.elapsed() < END_LIMIT, "the first one starts");
        sleep(0.05);
    }
    place.assert_refused(
        &[("device: a1", "device: a2"), ("device: b1", "device: b2")],
        &[
            "ERROR",
            "a.sock",
            "another appliance answers",
            "another `management",
        ],
    );
    let other_socket = ("DIRECTORY/a.sock", "DIRECTORY/b.sock");
    place.assert_refused(
        &[other_socket],
        &["ERROR", "port lan", "a1 is taken by another appliance"],
    );
    drop(first);
    // However it ended, its interfaces are free again: a missing one is now what is wrong.
    place.assert_refused(
        &[other_socket, ("device: b1", "device: nope")],
        &["ERROR", "port isp", "no interface nope"],
    );
}
