//! What is measured: beds, and the traffic on each of them.

use crate::bed::{Plan, Poll, Shape, Site, Wire};
use crate::run::Effort;

/// Frames of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Traffic {
    /// All so long, without the checksum at their end.
    Octets(usize),
    /// See [`IMIX`].
    Imix,
}

/// 7 of 64 octets, 4 of 594, 1 of 1400. The largest of the usual mix, 1518, would leave in two pieces.
const IMIX: [usize; 12] = [64, 594, 64, 64, 594, 64, 1400, 64, 594, 64, 594, 64];
/// Frames of a file at least, so that a burst is of different buffers.
const LEAST_FRAMES: usize = 60;

/// A bed, and what goes over it.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) plan: Plan,
    pub(super) traffic: Vec<Traffic>,
    /// Whether source and sink are measured alone, too.
    pub(super) with_source: bool,
}

impl Traffic {
    pub(super) fn name(self) -> String {
        match self {
            Self::Octets(octets) => format!("{octets} octets"),
            Self::Imix => "IMIX".to_owned(),
        }
    }

    fn sizes(self) -> Vec<usize> {
        match self {
            Self::Octets(octets) => vec![octets],
            Self::Imix => IMIX.to_vec(),
        }
    }

    pub(super) fn mean_octets(self) -> f64 {
        let sizes = self.sizes();
        sizes.iter().sum::<usize>() as f64 / sizes.len() as f64
    }

    /// One frame after the other, each to another set, as often as it takes for each set to get each size.
    pub(super) fn frames(self, sets: usize) -> Vec<Vec<u8>> {
        let sizes = self.sizes();
        let whole = sets * sizes.len();
        let count = whole * LEAST_FRAMES.div_ceil(whole);
        let frames = (0..count).map(|index| {
            let set = index % sets + 1;
            let size = sizes[index / sets % sizes.len()];
            Site::A.flow(set).frame(size)
        });
        frames.collect()
    }
}

impl Setup {
    /// Of the table in which it stands.
    pub(super) fn table(&self) -> &'static str {
        match (self.plan.wire, self.plan.shape) {
            (Wire::Memif, Shape::Pair) => "memif-pair",
            (Wire::Memif, _) => "memif",
            (Wire::Vhost, Shape::Pair) => "vhost-pair",
            (Wire::Vhost, _) => "vhost",
        }
    }

    pub(super) fn row(&self, traffic: Traffic) -> String {
        let Plan {
            shape, links, sets, ..
        } = self.plan;
        let mut name = traffic.name();
        match (shape, links) {
            (Shape::Forward, _) => name += ", no tunnel",
            (_, 1) => name += ", 1 link",
            _ => name += &format!(", {links} links"),
        }
        if sets > 1 {
            name += &format!(", {sets} sets");
        }
        if self.plan.workers.len() > 1 {
            name += &format!(", {} workers", self.plan.workers.len());
        }
        name
    }
}

/// All beds in their order. `tested` is the CPU of what is measured, `tester` the other one.
pub(super) fn setups(effort: Effort, [tester, tested]: [u32; 2]) -> Vec<Setup> {
    use Traffic::{Imix, Octets};
    let setup = |shape, wire, traffic: &[Traffic]| Setup {
        plan: Plan {
            workers: vec![tested],
            peer_workers: vec![tested],
            poll: Poll::Adaptive,
            ..Plan::new(shape, wire)
        },
        traffic: traffic.to_vec(),
        with_source: true,
    };
    let all = [Octets(64), Octets(128), Octets(512), Octets(1400), Imix];
    let few = [Octets(64), Octets(1400), Imix];
    let ends = [Octets(64), Octets(1400)];
    let least = [Octets(64)];
    let of_alone = effort.pick(&least[..], &ends[..], &all[..]);
    let of_pair = effort.pick(&least[..], &least[..], &all[..]);
    let of_vhost = effort.pick(&[][..], &least[..], &few[..]);
    let of_vhost_pair = effort.pick(&[][..], &[][..], &few[..]);
    let mut setups = vec![
        setup(Shape::Alone, Wire::Memif, of_alone),
        setup(Shape::Pair, Wire::Memif, of_pair),
        setup(Shape::Alone, Wire::Vhost, of_vhost),
        setup(Shape::Pair, Wire::Vhost, of_vhost_pair),
    ];
    setups.retain(|setup| !setup.traffic.is_empty());
    for setup in &mut setups {
        let is_pair = setup.plan.shape == Shape::Pair;
        setup.with_source = effort != Effort::Smoke || !is_pair;
    }
    if effort != Effort::Full {
        return setups;
    }
    let alone = |traffic: &[Traffic]| Setup {
        with_source: false,
        ..setup(Shape::Alone, Wire::Memif, traffic)
    };
    let change = |mut setup: Setup, change: &dyn Fn(&mut Plan)| {
        change(&mut setup.plan);
        setup
    };
    for links in [1, 3, 4] {
        setups.push(change(alone(&ends), &|plan| plan.links = links));
    }
    for sets in [100, 4000] {
        setups.push(change(alone(&least), &|plan| plan.sets = sets));
    }
    setups.push(change(alone(&ends), &|plan| {
        plan.workers = vec![tested, tester];
    }));
    setups.push(change(alone(&ends), &|plan| plan.shape = Shape::Forward));
    setups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_gets_every_size_equally_often() {
        let frames = Traffic::Imix.frames(5);
        assert_eq!(frames.len(), 60);
        for set in 1..=5 {
            let destination = Site::A.flow(set).destination.octets();
            let of_set = frames.iter().filter(|frame| frame[30..34] == destination);
            let mut sizes: Vec<usize> = of_set.map(Vec::len).collect();
            sizes.sort_unstable();
            let mut wanted = IMIX.to_vec();
            wanted.sort_unstable();
            assert_eq!(sizes, wanted);
        }
        assert_eq!(Traffic::Octets(64).frames(4000).len(), 4000);
        let mean = Traffic::Imix.mean_octets();
        assert!((mean - 352.0).abs() < 1e-9, "{mean}");
    }

    #[test]
    fn rows_have_names_of_their_own() {
        let mut names = Vec::new();
        for setup in setups(Effort::Full, [0, 1]) {
            for &traffic in &setup.traffic {
                names.push((setup.table(), setup.row(traffic)));
            }
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
