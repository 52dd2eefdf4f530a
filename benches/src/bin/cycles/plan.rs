//! Which cases there are, and on which beds.

use std::error::Error;
use std::sync::Arc;

use dpdk::Eal;

use crate::bed::{Bed, Pools};
use crate::network::{Family, Kind, LINKS, Network};
use crate::walk::{Case, Direction, Far};

/// Of the inner packet, octets.
pub(crate) const SIZES: [usize; 2] = [64, 1400];
/// The path that is too small for whole packets, and a packet that does not fit it, octets.
const SMALL_PATH_MTU: u16 = 1400;
const FULL_SIZE: usize = 1500;
/// TCP's, without options.
const ACKNOWLEDGEMENT: usize = 40;
/// Among which the packets of one burst are, several for each.
const SETS_OF_A_BURST: usize = 4;
/// The same where all links are by one port.
const SETS_BY_ONE_PORT: usize = 2;

/// Sets of two links, as few as fit any cache and as many as there may be, beside plain sessions.
const FEW_SETS: usize = 32;
const CROWD_SETS: usize = 4_000;
/// Plain sessions for each set, where both are mixed.
const SESSIONS_A_SET: usize = 3;

/// What is configured around a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setting {
    /// Sets of one to three links, with and without UDP checksum.
    Few,
    /// Whatever is out of the ordinary, and 32 sets with 96 plain sessions.
    Unusual,
    /// A set of two links whose uplinks are VLANs.
    Vlans,
    /// 4 000 sets and 20 000 sessions.
    Crowd,
}

impl Setting {
    fn kinds(self) -> Vec<Kind> {
        let mixed = |sets| {
            (0..sets).flat_map(|_| {
                let sessions = std::iter::repeat_n(Kind::session(), SESSIONS_A_SET);
                std::iter::once(Kind::set(2)).chain(sessions)
            })
        };
        match self {
            Self::Few => kinds().collect(),
            Self::Unusual => mixed(FEW_SETS).chain(unusual_sets()).collect(),
            Self::Vlans => vec![on_vlans()],
            Self::Crowd => mixed(CROWD_SETS).collect(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Few => "few",
            Self::Unusual => "unusual",
            Self::Vlans => "vlans",
            Self::Crowd => "crowd",
        }
    }
}

fn kinds() -> impl Iterator<Item = Kind> {
    [true, false].into_iter().flat_map(|udp_checksum| {
        (1..=LINKS).map(move |links| Kind {
            udp_checksum,
            ..Kind::set(links)
        })
    })
}

fn over_ipv6() -> Kind {
    Kind {
        outer: Family::Ipv6,
        ..Kind::set(2)
    }
}

fn over_small_path() -> Kind {
    Kind {
        path_mtu: SMALL_PATH_MTU,
        ..Kind::set(2)
    }
}

fn ordered() -> Kind {
    Kind {
        ordered: true,
        ..Kind::set(2)
    }
}

fn on_vlans() -> Kind {
    Kind {
        on_vlans: true,
        ..Kind::set(2)
    }
}

fn by_one_port() -> Kind {
    Kind {
        by_one_port: true,
        ..Kind::set(2)
    }
}

fn unusual_sets() -> impl Iterator<Item = Kind> {
    let by_one_port = std::iter::repeat_n(by_one_port(), SETS_BY_ONE_PORT);
    [over_ipv6(), over_small_path(), ordered()]
        .into_iter()
        .chain(by_one_port)
}

/// A case in its setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) setting: Setting,
    pub(crate) case: Case,
}

impl Place {
    fn new(setting: Setting, case: Case) -> Self {
        Self { setting, case }
    }

    /// For people, and for the file of instruction counts.
    pub(crate) fn name(&self) -> String {
        format!("{}, {} octets", self.case, self.case.inner_octets)
    }
}

/// What stands beside testpmd: a set at its most ordinary.
pub(crate) fn ordinary() -> Vec<Place> {
    let case = |inner_octets| {
        let sets = kinds().flat_map(move |kind| {
            [Direction::Send, Direction::Receive]
                .map(|direction| Case::new(direction, kind, inner_octets))
        });
        std::iter::once(Case::plain(inner_octets)).chain(sets)
    };
    let cases = SIZES.into_iter().flat_map(case);
    cases.map(|case| Place::new(Setting::Few, case)).collect()
}

/// What stands beside something more ordinary: both.
pub(crate) fn unusual() -> Vec<(Place, Place)> {
    let mut pairs = Vec::new();
    let mut add_in = |setting, case, beside| {
        pairs.push((Place::new(setting, case), Place::new(Setting::Few, beside)));
    };
    let mut add = |case, beside| add_in(Setting::Unusual, case, beside);
    let plain_ipv6 = Case {
        inner: Family::Ipv6,
        ..Case::plain(64)
    };
    add(plain_ipv6, Case::plain(64));
    for direction in [Direction::Send, Direction::Receive] {
        let of = |kind, octets| Case::new(direction, kind, octets);
        let both_ipv6 = Case {
            inner: Family::Ipv6,
            ..of(over_ipv6(), 64)
        };
        add(of(Kind::session(), 64), of(Kind::set(1), 64));
        add(both_ipv6, of(Kind::set(2), 64));
        add(of(over_ipv6(), 64), of(Kind::set(2), 64));
        add(of(over_small_path(), FULL_SIZE), of(Kind::set(2), 1400));
    }
    let receive = |kind| Case::new(Direction::Receive, kind, 64);
    add(receive(ordered()), receive(Kind::set(2)));
    for direction in [Direction::Send, Direction::Receive] {
        let of = |kind| Case::new(direction, kind, 64);
        add_in(Setting::Vlans, of(on_vlans()), of(Kind::set(2)));
        add_in(Setting::Unusual, of(by_one_port()), of(Kind::set(2)));
    }
    pairs
}

/// Sets and sessions in random order, and what stands beside each: one set, or fewer of both.
pub(crate) fn crowd() -> Vec<(Place, Place)> {
    [Direction::Send, Direction::Receive]
        .into_iter()
        .flat_map(|direction| {
            let one = Case::new(direction, Kind::set(2), 64);
            let place = |setting, far| Place::new(setting, Case { far, ..one });
            let many = |sets| Far::Many(Kind::set(2), sets);
            let mixed = |sets| Far::Mixed {
                sets,
                sessions: sets * SESSIONS_A_SET,
            };
            let one = Place::new(Setting::Few, one);
            [
                (place(Setting::Unusual, many(FEW_SETS)), one),
                (place(Setting::Crowd, many(CROWD_SETS)), one),
                (
                    place(Setting::Crowd, mixed(CROWD_SETS)),
                    place(Setting::Unusual, mixed(FEW_SETS)),
                ),
            ]
        })
        .collect()
}

/// Whose instructions are counted: every way, with small packets where there is a choice; large and very short ones, and bursts that few sets share, on two links.
pub(crate) fn counted() -> Vec<Place> {
    let usual = |case: Case| match case.far {
        Far::One(kind) => kind.udp_checksum && (case.inner_octets == 64 || kind == Kind::set(2)),
        _ => case.inner_octets == 64,
    };
    let ordinary = ordinary().into_iter().filter(|place| usual(place.case));
    let unusual = unusual().into_iter().map(|(place, _)| place);
    // The crowd takes long to set up; among few it is the same code.
    let random = crowd()
        .into_iter()
        .flat_map(|(place, beside)| [place, beside]);
    let random = random.filter(|place| place.setting == Setting::Unusual);
    let by_the_way = [Direction::Send, Direction::Receive]
        .into_iter()
        .flat_map(|direction| {
            let short = Case::new(direction, Kind::set(2), ACKNOWLEDGEMENT);
            let shared = |kind, sets| Case {
                far: Far::Many(kind, sets),
                ..Case::new(direction, kind, 64)
            };
            [
                Place::new(Setting::Few, short),
                Place::new(Setting::Unusual, shared(Kind::set(2), SETS_OF_A_BURST)),
                Place::new(Setting::Unusual, shared(by_one_port(), SETS_BY_ONE_PORT)),
            ]
        });
    ordinary
        .chain(by_the_way)
        .chain(unusual)
        .chain(random)
        .collect()
}

/// Every case that is timed, once.
pub(crate) fn all() -> Vec<Place> {
    let mut all = ordinary();
    for (place, beside) in unusual().into_iter().chain(crowd()) {
        for place in [beside, place] {
            if !all.contains(&place) {
                all.push(place);
            }
        }
    }
    all
}

/// How much there is in a setting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    pub(crate) sets: usize,
    pub(crate) sessions: usize,
    /// Windows and books, octets.
    pub(crate) window_octets: u64,
}

/// The beds, made when they are needed.
pub(crate) struct Beds {
    eal: Arc<Eal>,
    pub(crate) pools: Pools,
    made: Vec<(Setting, Bed, Extent)>,
}

impl Beds {
    pub(crate) fn new(eal: &Arc<Eal>) -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            eal: Arc::clone(eal),
            pools: Pools::new(eal)?,
            made: Vec::new(),
        })
    }

    pub(crate) fn bed(&mut self, setting: Setting) -> Result<&mut Bed, Box<dyn Error>> {
        let made = self.made.iter().position(|(other, ..)| *other == setting);
        let at = match made {
            Some(at) => at,
            None => {
                let network = Network::new(setting.kinds(), 1);
                let bed = Bed::new(&self.eal, setting.name(), &self.pools, &network, 0)?;
                let extent = Extent {
                    sets: network.sets(),
                    sessions: network.sessions(),
                    window_octets: network.window_octets(),
                };
                self.made.push((setting, bed, extent));
                self.made.len() - 1
            }
        };
        Ok(&mut self.made[at].1)
    }

    /// Of a bed that was made.
    pub(crate) fn extent(&self, setting: Setting) -> Option<Extent> {
        let made = self.made.iter().find(|(other, ..)| *other == setting);
        made.map(|&(_, _, extent)| extent)
    }
}
