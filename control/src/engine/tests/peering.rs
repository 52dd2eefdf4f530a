//! What the file says about peers reaches the endpoint.

use std::net::Ipv4Addr;
use std::time::Duration;

use dataplane::command::Prefix;
use dataplane::headers::ipv4;

use super::world::{HEAD, REMOTE, World, config, seconds};
use crate::engine::Output;
use crate::engine::calls::endpoint_config;
use crate::l2tp::Limits;
use crate::l2tp::avp::Attribute;
use crate::l2tp::header::ControlHeader;
use crate::l2tp::message::Message;

#[test]
fn limits_and_allowed_networks_are_the_files() {
    let mut head = config("head");
    let allowed = vec![Prefix::new(Ipv4Addr::new(192, 0, 2, 0), 24)];
    head.l2tp.limits.half_open = 7;
    head.l2tp.incoming[0].allow = allowed.clone();
    let endpoint = endpoint_config(&head);
    let limits = Limits {
        half_open: 7,
        ..Limits::default()
    };
    assert_eq!(endpoint.limits, limits);
    assert_eq!(endpoint.incoming[0].allow, allowed);
}

/// What the first packet of a remote holds.
fn has_tie_breaker(tie_breaker: bool) -> bool {
    let mut remote = config("remote");
    remote.l2tp.outgoing[0].tie_breaker = tie_breaker;
    let secret = remote.l2tp.outgoing[0].secret.clone();
    let mut world = World::stopped(1, vec![config("head"), remote]);
    world.start(REMOTE);
    let engine = world.engine_mut(REMOTE);
    engine.handle_timeout(Duration::ZERO);
    let sent = std::iter::from_fn(|| engine.poll_output());
    let mut packets = sent.filter_map(|output| match output {
        Output::Ip { packet, .. } => Some(packet),
        _ => None,
    });
    let packet = packets.next().expect("a request");
    let payload = &packet[ipv4::HEADER_OCTETS + 8..];
    let (_, body) = ControlHeader::parse(payload).expect("a control message");
    let secret = secret.as_ref().map(crate::secret::Secret::as_bytes);
    let request = Message::decode(body, secret).expect("a request");
    let is_one = |attribute: &Attribute| matches!(attribute, Attribute::TieBreaker(_));
    request.attributes().iter().any(is_one)
}

#[test]
fn a_tie_breaker_is_sent_if_the_file_says_so() {
    assert!(has_tie_breaker(true));
    assert!(!has_tie_breaker(false));
}

/// What has no effect is counted where the operator sees it.
#[test]
fn who_is_not_allowed_is_counted_in_the_status() {
    let mut head = config("head");
    head.l2tp.incoming[0].allow = vec![Prefix::new(Ipv4Addr::new(192, 0, 2, 0), 24)];
    let mut world = World::of(2, vec![head, config("remote")]);
    world.run_for(seconds(5));
    let status = world.engine(HEAD).status(world.now);
    assert!(
        status.l2tp_drops["not-allowed"] >= 3,
        "{:?}",
        status.l2tp_drops
    );
    assert_eq!(world.members(HEAD), 0);
}
