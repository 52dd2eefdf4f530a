//! What the ISPs do while a peer is measured, and what it has to carry.

use std::ops::Range;
use std::time::Duration;

use crate::run::Effort;

/// One column of figures for every peer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Situation {
    /// Of its own: `clean-2000`, `skew-450`.
    pub(super) name: String,
    /// Of the table it is in.
    pub(super) table: &'static str,
    pub(super) title: String,
    /// What the emulators of the two links are told, both directions.
    pub(super) links: [String; 2],
    pub(super) packets_per_s: u32,
    pub(super) payload_octets: usize,
    pub(super) duration: Duration,
    /// When link 1, the quicker one, carries nothing.
    pub(super) cut: Option<Range<Duration>>,
}

/// The table of links that are apart.
pub(super) const SKEW: &str = "skew";
/// Seven packets of an MPEG transport stream, what programs for media put into a datagram.
const MEDIA_OCTETS: usize = 1316;
/// Little, so that many packets a second are no load for the emulators.
const SMALL_OCTETS: usize = 64;
/// 450 ms of it are 9 000 packets: more than the 8 192 that WireGuard's window spans.
const SKEW_PACKETS_PER_S: u32 = 20_000;
const SLOW_PACKETS_PER_S: u32 = 2000;
const FAST_PACKETS_PER_S: u32 = 10_000;

/// Those of a run, in the order in which each peer goes through them: first what leaves the links up.
pub(super) fn all(effort: Effort) -> Vec<Situation> {
    let ms = Duration::from_millis;
    match effort {
        Effort::Smoke => vec![cut(ms(200)..ms(600), ms(800))],
        Effort::Quick => vec![
            clean(SLOW_PACKETS_PER_S, ms(1500)),
            cut(ms(500)..ms(2500), ms(3000)),
        ],
        Effort::Full => {
            let clean = [SLOW_PACKETS_PER_S, FAST_PACKETS_PER_S].map(|rate| clean(rate, ms(1500)));
            let loss = [2, 5].map(|percent| loss(percent, ms(2000)));
            let skew = [0, 20, 100, 450].map(|skew_ms| skew(skew_ms, ms(1500)));
            let cut = [cut(ms(750)..ms(2750), ms(3500))];
            clean
                .into_iter()
                .chain(loss)
                .chain(skew)
                .chain(cut)
                .collect()
        }
    }
}

fn links(loss_percent: [u8; 2], delay_ms: [u16; 2]) -> [String; 2] {
    let words = |loss, delay| format!("delay={delay}ms jitter=1ms loss={loss}% outage=off");
    let [[loss_1, delay_1], [loss_2, delay_2]] =
        [0, 1].map(|link| [u16::from(loss_percent[link]), delay_ms[link]]);
    [words(loss_1, delay_1), words(loss_2, delay_2)]
}

fn clean(packets_per_s: u32, duration: Duration) -> Situation {
    let (table, title) = match packets_per_s {
        SLOW_PACKETS_PER_S => (
            "clean-2000",
            "Nothing happens to the links, 2 000 packets/s",
        ),
        _ => (
            "clean-10000",
            "Nothing happens to the links, 10 000 packets/s",
        ),
    };
    Situation {
        name: table.to_owned(),
        table,
        title: title.to_owned(),
        links: links([0, 0], [10, 25]),
        packets_per_s,
        payload_octets: MEDIA_OCTETS,
        duration,
        cut: None,
    }
}

fn loss(percent: u8, duration: Duration) -> Situation {
    let table = if percent == 2 { "loss-2" } else { "loss-5" };
    Situation {
        name: table.to_owned(),
        table,
        title: format!("Each link loses {percent} % at random, 10 000 packets/s"),
        links: links([percent, percent], [10, 25]),
        ..clean(FAST_PACKETS_PER_S, duration)
    }
}

fn cut(range: Range<Duration>, duration: Duration) -> Situation {
    let length = (range.end - range.start).as_secs_f64();
    Situation {
        name: "cut".to_owned(),
        table: "cut",
        title: format!("The quicker link is cut for {length} s, 2 000 packets/s"),
        cut: Some(range),
        ..clean(SLOW_PACKETS_PER_S, duration)
    }
}

fn skew(skew_ms: u16, duration: Duration) -> Situation {
    Situation {
        name: format!("skew-{skew_ms}"),
        table: SKEW,
        title: format!("{skew_ms} ms"),
        links: links([10, 0], [10, 10 + skew_ms]),
        packets_per_s: SKEW_PACKETS_PER_S,
        payload_octets: SMALL_OCTETS,
        ..clean(SLOW_PACKETS_PER_S, duration)
    }
}

#[cfg(test)]
mod tests {
    use wan_model::impairment::Impairments;

    use super::*;

    #[test]
    fn every_situation_has_a_name_and_links_that_the_emulator_understands() {
        for effort in [Effort::Smoke, Effort::Quick, Effort::Full] {
            let all = all(effort);
            for (index, situation) in all.iter().enumerate() {
                let twin = all[..index].iter().find(|it| it.name == situation.name);
                assert_eq!(twin, None);
                for words in &situation.links {
                    words.parse::<Impairments>().unwrap();
                }
                if let Some(cut) = &situation.cut {
                    assert!(cut.start < cut.end && cut.end < situation.duration);
                }
            }
        }
    }

    #[test]
    fn the_largest_skew_is_more_than_a_window_of_8192_packets_and_less_than_the_smallest_of_ours() {
        let packets = SKEW_PACKETS_PER_S * 450 / 1000;
        assert!((8192..65_536).contains(&packets));
    }
}
