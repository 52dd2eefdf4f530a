//! One link is cut, and three stand still by turns.

use super::{Folder, measured, number};

const SECTION: &str = "resilience";
const LOST: &str = "lost packets, worse direction";

#[test]
fn a_cut_costs_hal2tp_nothing_and_the_others_something() {
    let folder = Folder::new(SECTION);
    let report = measured(SECTION, &folder.0);

    // What else the machine did to the traffic.
    let notes = report.sections[0].notes.join("\n");
    let fault = |way: &str, column: &str| {
        let row = format!("cut, {way}");
        number(&report, SECTION, "faults", &row, column)
    };
    assert_eq!(fault("hal2tp", LOST), 0.0, "{notes}");
    for way in ["hal2tp", "one link", "balanced pair", "standby pair"] {
        assert_eq!(fault(way, "packets delivered twice"), 0.0, "{way}");
        // More than three seconds of 1000 a second each way, less what a machine that is busy with other things puts off.
        assert!(
            fault(way, "sent packets, both directions") > 3000.0,
            "{way}"
        );
    }
    for way in ["one link", "balanced pair", "standby pair"] {
        for to in ["to the remote", "to the head"] {
            assert!(
                fault(way, &format!("lost packets {to}")) > 0.0,
                "{way} {to}"
            );
        }
    }
    // The one link is gone for two seconds.
    assert!(fault("one link", "longest gap, µs") >= 1.9e6);
    assert!(fault("one link", LOST) > fault("balanced pair", LOST));

    for links in ["jitter", "jitter and stalls"] {
        let set = |column: &str| {
            let row = format!("{links}, set");
            number(&report, SECTION, "fastest-wins", &row, column)
        };
        assert!(set("sent packets, all rounds") > 0.0, "{links}");
        let lost = set("lost packets, all rounds");
        assert_eq!(lost, 0.0, "{links}: {notes}");
    }
    for picture in &report.sections[0].pictures {
        assert!(folder.0.join(&picture.file).is_file(), "{}", picture.file);
    }
}
