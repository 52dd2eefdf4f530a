//! The vendor AVP by which both ends of a call agree that it is a member of an
//! HA set. It travels in ICRQ and ICRP with M = 0, so that a peer which does
//! not know it ignores it (RFC 2661, 4.1); only when both ends sent it is the
//! session a member.
//!
//! Value, 20 octets and a label:
//!
//! ```text
//! octet 0       HA version, 1
//! octet 1       reserved, 0
//! octets 2-3    feature bits (none is defined yet; unknown ones are ignored)
//! octets 4-7    epoch of the sender's numbering
//! octets 8-15   the sender's set instance, random
//! octets 16-19  the sender's elimination window, numbers
//! octets 20-    label: the set's name, UTF-8, at most 64 octets
//! ```

use crate::l2tp::VendorAvp;

/// Attribute type of the agreement under the configured vendor id.
pub const ATTRIBUTE: u16 = 1;
/// The HA version that this code speaks.
pub const VERSION: u8 = 1;

const FIXED_OCTETS: usize = 20;
const LABEL_OCTETS_MAX: usize = 64;

/// What one end says about its incarnation of the set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    pub features: u16,
    pub epoch: u32,
    pub instance: u64,
    /// Numbers that the sender's elimination window holds.
    pub window: u32,
    pub label: String,
}

impl Agreement {
    /// The AVP to put into ICRQ or ICRP.
    #[must_use]
    pub fn to_avp(&self, vendor: u16) -> VendorAvp {
        let mut value = Vec::with_capacity(FIXED_OCTETS + self.label.len());
        value.extend_from_slice(&[VERSION, 0]);
        value.extend_from_slice(&self.features.to_be_bytes());
        value.extend_from_slice(&self.epoch.to_be_bytes());
        value.extend_from_slice(&self.instance.to_be_bytes());
        value.extend_from_slice(&self.window.to_be_bytes());
        value.extend_from_slice(truncated(&self.label).as_bytes());
        VendorAvp {
            vendor,
            kind: ATTRIBUTE,
            value,
        }
    }

    /// Finds the agreement among a message's vendor AVPs. `None` when there is
    /// none of our version: then the session is an ordinary one.
    #[must_use]
    pub fn find(vendor: u16, avps: &[VendorAvp]) -> Option<Self> {
        avps.iter()
            .filter(|avp| avp.vendor == vendor && avp.kind == ATTRIBUTE)
            .find_map(|avp| Self::parse(&avp.value))
    }

    fn parse(value: &[u8]) -> Option<Self> {
        let (fixed, label) = value.split_first_chunk::<FIXED_OCTETS>()?;
        if fixed[0] != VERSION || label.len() > LABEL_OCTETS_MAX {
            return None;
        }
        Some(Self {
            features: u16::from_be_bytes([fixed[2], fixed[3]]),
            epoch: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            instance: u64::from_be_bytes([
                fixed[8], fixed[9], fixed[10], fixed[11], fixed[12], fixed[13], fixed[14],
                fixed[15],
            ]),
            window: u32::from_be_bytes([fixed[16], fixed[17], fixed[18], fixed[19]]),
            label: String::from_utf8_lossy(label).into_owned(),
        })
    }
}

fn truncated(label: &str) -> &str {
    let mut end = label.len().min(LABEL_OCTETS_MAX);
    while !label.is_char_boundary(end) {
        end -= 1;
    }
    &label[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn agreement() -> Agreement {
        Agreement {
            features: 0,
            epoch: 0x0102_0304,
            instance: 0x1112_1314_1516_1718,
            window: 262_144,
            label: "A".into(),
        }
    }

    #[test]
    fn stands_on_the_wire_as_documented() {
        let avp = agreement().to_avp(32473);
        assert_eq!((avp.vendor, avp.kind), (32473, 1));
        assert_eq!(
            avp.value,
            [
                1, 0, 0, 0, 1, 2, 3, 4, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0, 4, 0, 0,
                b'A'
            ]
        );
    }

    #[test]
    fn another_vendor_type_or_version_is_no_agreement() {
        let avp = agreement().to_avp(32473);
        let changed = |change: fn(&mut VendorAvp)| {
            let mut avp = avp.clone();
            change(&mut avp);
            Agreement::find(32473, &[avp])
        };
        assert_eq!(changed(|_| ()), Some(agreement()));
        assert_eq!(changed(|avp| avp.vendor = 9), None);
        assert_eq!(changed(|avp| avp.kind = 2), None);
        assert_eq!(changed(|avp| avp.value[0] = 2), None);
        assert_eq!(changed(|avp| avp.value.truncate(19)), None);
        assert_eq!(changed(|avp| avp.value.extend([b'x'; 64])), None);
    }

    #[test]
    fn a_long_label_is_cut_between_characters() {
        let long = Agreement {
            label: "ä".repeat(40),
            ..agreement()
        };
        let found = Agreement::find(7, &[long.to_avp(7)]).expect("the cut label is legal");
        assert_eq!(found.label, "ä".repeat(32));
    }

    proptest! {
        #[test]
        fn any_value_parses_or_not_without_panic(value in proptest::collection::vec(any::<u8>(), 0..100)) {
            let avp = VendorAvp { vendor: 1, kind: ATTRIBUTE, value: value.clone() };
            let found = Agreement::find(1, &[avp]);
            prop_assert_eq!(found.is_some(), value.len() >= 20 && value.len() <= 84 && value[0] == 1);
        }
    }
}
