//! The HA header, the report and the agreement.
#![no_main]

use control::ha::Agreement;
use control::ha::agreement::ATTRIBUTE;
use control::l2tp::VendorAvp;
use dataplane::headers::ha::{HaHeader, Report};
use dataplane::headers::l2tp::{self, L2tp};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    if let Ok(header) = HaHeader::parse(octets) {
        assert_eq!(header.octets()[..], octets[..12]);
    }
    if let Ok(report) = Report::parse(octets) {
        // We always tell, if only that nothing was heard.
        let report = Report {
            heard_probe_us: report.heard_probe_us.or(Some(0)),
            ..report
        };
        assert_eq!(Report::parse(&report.encode()), Ok(report));
        let message = report.message(1, 2, 3, octets.len());
        let Ok(L2tp::Data(data)) = l2tp::parse(&message) else {
            panic!("a report is a data message");
        };
        assert_eq!(Report::parse(&message[data.padding_range]), Ok(report));
    }
    let avp = VendorAvp {
        vendor: 1,
        kind: ATTRIBUTE,
        value: octets.to_vec(),
    };
    if let Some(agreement) = Agreement::find(1, &[avp]) {
        let again = agreement.to_avp(1);
        assert!(Agreement::find(1, &[again]).is_some());
    }
});
