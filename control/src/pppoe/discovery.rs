//! The discovery stage of one session (RFC 2516 5): a concentrator is looked
//! for, and asked for a session.

use std::time::Duration;

use dataplane::headers::ethernet::BROADCAST;
use rand::Rng;
use rand::rngs::StdRng;

use super::PppoeCounters;
use super::packet::{Code, Packet, discovery_frame, tag};
use crate::ppp::peer_text;

/// Without RFC 4638, a PPP frame's largest payload: an Ethernet frame's, less
/// PPPoE's header and PPP's protocol field (RFC 2516 7).
pub(super) const PLAIN_PAYLOAD_OCTETS: u16 = 1492;

const FIRST_PAUSE_MS: u64 = 1_000;
const PAUSE_MAX_MS: u64 = 32_000;
/// So many PADRs without an answer, and discovery begins anew.
const MAX_REQUESTS: u32 = 4;

/// What is looked for.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) mac: [u8; 6],
    pub(super) service_name: Option<String>,
    pub(super) ac_name: Option<String>,
    /// The payload to ask for by RFC 4638; `None` when 1492 is enough.
    pub(super) max_payload: Option<u16>,
}

impl Wish {
    /// Without a name, any service will do: a tag of no octets says so.
    fn service_name(&self) -> &[u8] {
        self.service_name.as_deref().unwrap_or_default().as_bytes()
    }

    /// Whether a PADO has what is asked for. The service's name must be among
    /// those it names; that it has any service, not all of them say.
    fn is_met_by(&self, offer: &Packet<'_>) -> bool {
        let Some(name) = offer.tag(tag::AC_NAME) else {
            return false;
        };
        let has_service = self.service_name().is_empty()
            || offer
                .all(tag::SERVICE_NAME)
                .any(|service| service == self.service_name());
        let is_wanted = self
            .ac_name
            .as_ref()
            .is_none_or(|wanted| wanted.as_bytes() == name);
        has_service && is_wanted
    }

    fn initiation(&self, host_uniq: &[u8]) -> Option<Vec<u8>> {
        self.frame(BROADCAST, Code::Initiation, host_uniq, &[])
    }

    /// The PADR that takes an offer up: what the concentrator or a relay want
    /// back is in it. `None` when that does not fit a frame.
    fn request(&self, host_uniq: &[u8], offer: &Packet<'_>) -> Option<Vec<u8>> {
        let returned = [tag::AC_COOKIE, tag::RELAY_SESSION_ID].into_iter();
        let returned: Vec<_> = returned
            .filter_map(|kind| Some((kind, offer.tag(kind)?)))
            .collect();
        self.frame(offer.ethernet.source, Code::Request, host_uniq, &returned)
    }

    /// What is asked for, with what the concentrator wants back.
    fn frame(
        &self,
        destination: [u8; 6],
        code: Code,
        host_uniq: &[u8],
        returned: &[(u16, &[u8])],
    ) -> Option<Vec<u8>> {
        let payload = self.max_payload.map(u16::to_be_bytes);
        let mut tags = vec![
            (tag::SERVICE_NAME, self.service_name()),
            (tag::HOST_UNIQ, host_uniq),
        ];
        tags.extend(returned);
        tags.extend(payload.iter().map(|p| (tag::PPP_MAX_PAYLOAD, &p[..])));
        discovery_frame(self.mac, destination, code, 0, &tags)
    }

    /// The payload that a PADS grants, octets (RFC 4638 4).
    fn payload_granted_by(&self, confirmation: &Packet<'_>) -> u16 {
        let told = confirmation.tag(tag::PPP_MAX_PAYLOAD);
        let told = told.and_then(|value| value.try_into().ok());
        match (self.max_payload, told.map(u16::from_be_bytes)) {
            (Some(asked), Some(told)) => told.clamp(PLAIN_PAYLOAD_OCTETS, asked),
            _ => PLAIN_PAYLOAD_OCTETS,
        }
    }
}

/// An offer that is taken up, or might be.
#[derive(Debug)]
struct Offer {
    mac: [u8; 6],
    ac_name: String,
    /// The PADR for it.
    request: Vec<u8>,
}

/// What discovery comes to.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) mac: [u8; 6],
    pub(super) ac_name: String,
    pub(super) session: u16,
    /// The largest PPP payload, octets.
    pub(super) max_payload: u16,
    pub(super) host_uniq: [u8; 8],
    /// PADRs that may yet be answered: each may have made a session.
    pub(super) spare_requests: u32,
}

/// What is to be done next.
#[derive(Debug)]
pub(super) enum Step {
    Nothing,
    Send(Vec<u8>),
    /// Somebody said no; others may not.
    Refused(String),
    Found(Found),
    /// Begin anew, later.
    Failed {
        concentrator: [u8; 6],
        why: String,
    },
}

/// One attempt to get a session.
#[derive(Debug)]
pub(super) struct Discovery {
    /// Ours alone, so that answers to others and to earlier attempts are told apart.
    host_uniq: [u8; 8],
    /// A concentrator that failed us: taken if nobody else answers.
    avoided: Option<[u8; 6]>,
    second_choice: Option<Offer>,
    chosen: Option<Offer>,
    /// PADIs, or PADRs, so far.
    sent: u32,
    due: Duration,
}

impl Discovery {
    /// Begins, with the first PADI.
    pub(super) fn begin(
        now: Duration,
        wish: &Wish,
        avoided: Option<[u8; 6]>,
        rng: &mut StdRng,
        counters: &mut PppoeCounters,
    ) -> (Self, Step) {
        let mut discovery = Self {
            host_uniq: rng.random(),
            avoided,
            second_choice: None,
            chosen: None,
            sent: 0,
            due: now,
        };
        let step = discovery.handle_timeout(now, wish, rng, counters);
        (discovery, step)
    }

    /// Whether a session is asked for, and no longer a concentrator looked for.
    pub(super) fn is_requesting(&self) -> bool {
        self.chosen.is_some()
    }

    pub(super) fn due(&self) -> Duration {
        self.due
    }

    /// Whether nobody has answered the PADIs sent so far.
    pub(super) fn is_unanswered(&self) -> bool {
        self.chosen.is_none() && self.sent > 1
    }

    /// Sends again what was not answered.
    pub(super) fn handle_timeout(
        &mut self,
        now: Duration,
        wish: &Wish,
        rng: &mut StdRng,
        counters: &mut PppoeCounters,
    ) -> Step {
        if now < self.due {
            return Step::Nothing;
        }
        if let Some(offer) = self.second_choice.take() {
            return self.choose(now, offer, rng, counters);
        }
        let frame = match &self.chosen {
            Some(offer) if self.sent >= MAX_REQUESTS => {
                return Step::Failed {
                    concentrator: offer.mac,
                    why: format!("access concentrator \"{}\" gives no session", offer.ac_name),
                };
            }
            Some(offer) => {
                counters.requests_sent += 1;
                Some(offer.request.clone())
            }
            None => {
                counters.initiations_sent += 1;
                wish.initiation(&self.host_uniq)
            }
        };
        self.wait(now, rng);
        frame.map_or(Step::Nothing, Step::Send)
    }

    /// The pause doubles; a quarter of spread keeps the hosts of a segment
    /// from asking in step.
    fn wait(&mut self, now: Duration, rng: &mut StdRng) {
        let pause_ms = (FIRST_PAUSE_MS << self.sent.min(10)).min(PAUSE_MAX_MS);
        let jittered_ms = pause_ms - rng.random_range(0..=pause_ms / 4);
        self.due = now + Duration::from_millis(jittered_ms);
        self.sent = self.sent.saturating_add(1);
    }

    /// A PADO or PADS to us.
    pub(super) fn handle(
        &mut self,
        now: Duration,
        packet: &Packet<'_>,
        wish: &Wish,
        rng: &mut StdRng,
        counters: &mut PppoeCounters,
    ) -> Step {
        if packet.tag(tag::HOST_UNIQ) != Some(&self.host_uniq) {
            counters.wrong_host_uniq += 1;
            return Step::Nothing;
        }
        match (packet.code, &self.chosen) {
            (Code::Offer, None) => self.handle_offer(now, packet, wish, rng, counters),
            (Code::Confirmation, Some(offer)) if offer.mac == packet.ethernet.source => {
                counters.confirmations_received += 1;
                confirmed(offer, packet, wish, self.host_uniq, self.sent)
            }
            (Code::Confirmation, Some(_)) => {
                counters.wrong_source += 1;
                Step::Nothing
            }
            _ => {
                counters.unexpected += 1;
                Step::Nothing
            }
        }
    }

    fn handle_offer(
        &mut self,
        now: Duration,
        packet: &Packet<'_>,
        wish: &Wish,
        rng: &mut StdRng,
        counters: &mut PppoeCounters,
    ) -> Step {
        counters.offers_received += 1;
        if let Some(error) = error_of(packet) {
            counters.offers_refused += 1;
            return Step::Refused(error);
        }
        let request = wish.request(&self.host_uniq, packet);
        let Some(request) = request.filter(|_| packet.session == 0 && wish.is_met_by(packet))
        else {
            counters.offers_refused += 1;
            return Step::Nothing;
        };
        let offer = Offer {
            mac: packet.ethernet.source,
            ac_name: ac_name_of(packet),
            request,
        };
        if self.avoided == Some(offer.mac) {
            self.second_choice = Some(offer);
            return Step::Nothing;
        }
        self.choose(now, offer, rng, counters)
    }

    fn choose(
        &mut self,
        now: Duration,
        offer: Offer,
        rng: &mut StdRng,
        counters: &mut PppoeCounters,
    ) -> Step {
        counters.requests_sent += 1;
        self.sent = 0;
        self.wait(now, rng);
        self.second_choice = None;
        let offer = self.chosen.insert(offer);
        Step::Send(offer.request.clone())
    }
}

/// What a PADS of the chosen concentrator says.
fn confirmed(
    offer: &Offer,
    packet: &Packet<'_>,
    wish: &Wish,
    host_uniq: [u8; 8],
    requests: u32,
) -> Step {
    let why = match packet.session {
        // Both stand for no session (RFC 2516 4).
        0 | 0xffff => Some(error_of(packet).unwrap_or_else(|| "no session id".to_owned())),
        _ => error_of(packet),
    };
    if let Some(why) = why {
        return Step::Failed {
            concentrator: offer.mac,
            why: format!("access concentrator \"{}\": {why}", offer.ac_name),
        };
    }
    Step::Found(Found {
        mac: offer.mac,
        ac_name: offer.ac_name.clone(),
        session: packet.session,
        max_payload: wish.payload_granted_by(packet),
        host_uniq,
        spare_requests: requests.saturating_sub(1),
    })
}

fn ac_name_of(packet: &Packet<'_>) -> String {
    peer_text(packet.tag(tag::AC_NAME).unwrap_or_default())
}

/// The first of a packet's error tags, for the operator.
pub(super) fn error_of(packet: &Packet<'_>) -> Option<String> {
    let kinds = [
        (tag::SERVICE_NAME_ERROR, "service is refused"),
        (tag::AC_SYSTEM_ERROR, "access concentrator has a fault"),
        (tag::GENERIC_ERROR, "error"),
    ];
    kinds.into_iter().find_map(|(kind, meaning)| {
        let text = peer_text(packet.tag(kind)?);
        let text = text.trim_end_matches('\u{fffd}');
        Some(if text.is_empty() {
            meaning.to_owned()
        } else {
            format!("{meaning}: {text}")
        })
    })
}
