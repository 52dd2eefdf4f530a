//! `hal2tp capture` beside traffic: every frame has its fate, and none is lost for it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use benches::lab::{Lab, Site};
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
use pcap_file::pcapng::{Block, PcapNgReader};

use super::{Traffic, assert_nothing_lost_nothing_twice, config, running, sleep};

const PACKETS_PER_S: u32 = 500;

fn capture(lab: &Lab, site: Site, arguments: &[&str]) -> Command {
    let mut command = Command::new(&lab.config().programs.hal2tp);
    command.arg("capture").arg("--socket").arg(lab.socket(site));
    command.args(arguments).stderr(Stdio::piped());
    command
}

fn begin(lab: &Lab, site: Site, arguments: &[&str]) -> Child {
    capture(lab, site, arguments).spawn().expect("it is built")
}

fn end(child: Child) -> String {
    said(&child.wait_with_output().expect("it was started"))
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Interface and comment of every frame in a file.
fn frames(path: &Path) -> Vec<(String, String)> {
    let file = std::fs::read(path).expect("a file");
    let mut reader = PcapNgReader::new(&file[..]).expect("pcapng");
    let (mut names, mut frames) = (Vec::new(), Vec::new());
    while let Some(block) = reader.next_block() {
        match block.expect("a block") {
            Block::InterfaceDescription(port) => names.extend(port.options.iter().find_map(|it| {
                use pcap_file::pcapng::blocks::interface_description::InterfaceDescriptionOption::IfName;
                match it {
                    IfName(name) => Some(name.to_string()),
                    _ => None,
                }
            })),
            Block::EnhancedPacket(packet) => {
                let comment = packet.options.iter().find_map(|it| match it {
                    EnhancedPacketOption::Comment(text) => Some(text.to_string()),
                    _ => None,
                });
                let name: &String = &names[packet.interface_id as usize];
                frames.push((name.clone(), comment.expect("every frame has one")));
            }
            _ => {}
        }
    }
    frames
}

fn file(lab: &Lab, name: &str) -> (PathBuf, String) {
    let path = lab.directory().join(name);
    let text = path.display().to_string();
    (path, text)
}

#[test]
fn every_frame_has_its_fate_and_none_is_lost_for_it() {
    let lab = running(config());
    let (path, name) = file(&lab, "all.pcapng");
    let traffic = Traffic::start(&lab, PACKETS_PER_S);
    sleep(0.5);
    let capture = begin(&lab, Site::Remote, &["-w", &name, "--for", "3s"]);
    let said = end(capture);
    assert!(said.ends_with(" frames captured\n"), "{said}");
    assert_nothing_lost_nothing_twice(&lab, &traffic.stop());
    let frames = frames(&path);
    let count = |port: &str, begins: &str, has: &str| {
        let of_port = frames.iter().filter(|(name, _)| name.starts_with(port));
        of_port
            .filter(|(_, comment)| comment.starts_with(begins) && comment.contains(has))
            .count()
    };
    let firsts = count("isp", "first copy; link", "; forwarded to port lan");
    let about = 3 * PACKETS_PER_S as usize;
    assert!(firsts.abs_diff(about) < about / 4, "{firsts} first copies");
    assert_eq!(
        count("isp", "first copy", ""),
        firsts,
        "all went on at once"
    );
    // The two slower links' copies, but for those whose first came before the capture.
    let behind = count(
        "isp",
        "duplicate, ",
        " µs behind the first copy, which link",
    );
    assert!(behind > firsts, "{behind} duplicates");
    let numbered = count("lan", "into set A as number", "");
    assert!(
        numbered.abs_diff(about) < about / 4,
        "{numbered} into the set"
    );
    let over = |link| count("lan", "into set A", &format!("by port isp{link}"));
    assert_eq!([1, 2, 3].map(over), [numbered; 3], "a copy over each link");
    let copies = count("isp", "sent over link", ", set A, number");
    assert!(copies.abs_diff(3 * numbered) < 10, "{copies} copies");
}

#[test]
fn a_filter_a_count_and_a_client_that_is_killed() {
    let lab = running(config());
    let traffic = Traffic::start(&lab, PACKETS_PER_S);
    let (path, name) = file(&lab, "some.pcapng");
    let endless = |name| begin(&lab, Site::Head, &["-w", name]);
    let mut first = endless("/dev/null");
    sleep(0.5);
    let second = end(endless("/dev/null"));
    assert_eq!(
        second,
        "the appliance says: another capture is on, and there is one at a time\n"
    );
    first.kill().expect("it runs");
    first.wait().expect("it was started");
    sleep(1.5);
    let arguments = ["--set", "A", "--count", "50", "-w", &name];
    let words = ["inner", "udp", "and", "duplicate"];
    // `inner` stands before host, net or port alone.
    let wrong = end(begin(&lab, Site::Head, &[&arguments[..], &words].concat()));
    assert_eq!(
        wrong,
        "\"udp\" stands where `host`, `net` or `port` should\n"
    );
    let said = end(begin(
        &lab,
        Site::Head,
        &[&arguments[..], &words[1..]].concat(),
    ));
    assert_eq!(said, "50 frames captured\n");
    let frames = frames(&path);
    assert_eq!(frames.len(), 50);
    assert!(
        frames
            .iter()
            .all(|(_, comment)| comment.starts_with("duplicate")),
        "{frames:?}"
    );
    for (option, what) in [
        ("--set", "HA set"),
        ("--port", "port"),
        ("--link", "tunnel or session"),
    ] {
        let said = end(begin(
            &lab,
            Site::Head,
            &[option, "nobody", "-w", "/dev/null"],
        ));
        let expected = format!("the appliance says: no {what} is called \"nobody\"; there are: ");
        assert!(said.starts_with(&expected), "{said}");
    }
    assert_nothing_lost_nothing_twice(&lab, &traffic.stop());
}
