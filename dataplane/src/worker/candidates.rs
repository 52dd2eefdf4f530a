//! The copies of one burst that wait for their verdict.

use std::ops::Range;

use dpdk::{BURST, Burst, Mbuf};

use crate::command::{SessionId, SetId};
use crate::headers::decapsulation::{self, Expected};
use crate::reassembly::Place;
use crate::window::Group;

/// A copy with everything right, apart from the others of its burst and cut out of its frame.
pub(super) struct Candidate {
    /// The inner packet, its header right and nothing behind its end; or a
    /// piece of it.
    pub(super) packet: Mbuf,
    /// Of a piece, where it belongs; `None` for a whole packet.
    pub(super) place: Option<Place>,
    /// The port that it came in by.
    pub(super) port: u16,
    /// The session that it came over.
    pub(super) session: SessionId,
    pub(super) set: SetId,
    /// One of the two that are received.
    pub(super) epoch: u32,
    pub(super) number: u64,
}

/// Where copies came from: what those of a [`Run`] have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) session: SessionId,
    pub(super) set: SetId,
    pub(super) epoch: u32,
    pub(super) port: u16,
    /// A piece is a run of its own.
    pub(super) place: Option<Place>,
}

impl Origin {
    pub(super) const NOWHERE: Self = Self {
        session: SessionId(0),
        set: SetId(0),
        epoch: 0,
        port: 0,
        place: None,
    };

    pub(super) fn candidate(&self, packet: Mbuf, number: u64) -> Candidate {
        Candidate {
            packet,
            place: self.place,
            port: self.port,
            session: self.session,
            set: self.set,
            epoch: self.epoch,
            number,
        }
    }
}

/// Consecutive copies of one origin whose numbers share a slot of the window:
/// they are judged and counted together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) origin: Origin,
    pub(super) packets: usize,
    /// Of the inner packets.
    pub(super) octets: u64,
    /// What still stands before the inner packets: only the first copies are cut.
    pub(super) headers_octets: usize,
    pub(super) group: Group,
}

impl Run {
    /// What is in a place that was not used.
    const NONE: Self = Self {
        origin: Origin::NOWHERE,
        packets: 0,
        octets: 0,
        headers_octets: 0,
        group: Group { index: 0, bits: 0 },
    };

    #[inline(always)]
    pub(super) fn of(origin: Origin, number: u64, octets: usize, headers_octets: usize) -> Self {
        Self {
            origin,
            packets: 1,
            octets: octets as u64,
            headers_octets,
            group: Group::of(number),
        }
    }

    /// Adds a copy of the same origin. False, and no change, when its number is
    /// to be judged apart.
    #[inline(always)]
    pub(super) fn add(&mut self, number: u64, octets: usize) -> bool {
        let added = self.group.add(number);
        if added {
            self.packets += 1;
            self.octets += octets as u64;
        }
        added
    }
}

/// So many copies are recognised where they are: a call would cost more than it saves.
const FEW: usize = 2;

/// Packets, numbers and runs apart, so that what is eliminated is freed as it
/// lies there.
pub(super) struct Candidates {
    packets: Burst,
    /// Of each packet.
    numbers: [u64; BURST],
    /// Of each inner packet that was recognised.
    octets: [u32; BURST],
    runs: [Run; BURST],
    run_count: usize,
    /// What the window said of the last ones. Numbers and runs are there as long as
    /// no others come.
    pub(super) judged: Option<Judged>,
}

/// What the window said of the copies of a burst.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judged {
    /// The places of first copies, as bits.
    pub(super) firsts: u64,
    /// How many are too late.
    pub(super) too_late: u64,
}

/// The recognition of one session's copies among frames, for the processor at hand:
/// a loop by itself.
struct Recognition<'a> {
    expected: &'a Expected,
    frames: &'a [Mbuf],
    /// Of as many.
    numbers: &'a mut [u64],
    octets: &'a mut [u32],
}

impl simd::Work for Recognition<'_> {
    type Output = usize;

    #[inline(always)]
    fn run(self) -> usize {
        let Self {
            expected,
            frames,
            numbers,
            octets,
        } = self;
        let count = frames.len();
        let (numbers, octets) = (&mut numbers[..count], &mut octets[..count]);
        let mut recognised = 0;
        // By one index: of zipped iterators the compiler keeps several.
        while recognised < count {
            let frame = &frames[recognised];
            let Some(word) = expected.recognise_word(frame, || frame.l4_checksum_good()) else {
                break;
            };
            numbers[recognised] = word;
            octets[recognised] = (frame.len() - decapsulation::HEADERS_OCTETS) as u32;
            recognised += 1;
        }
        match &mut numbers[..recognised] {
            [word] => *word = decapsulation::number(*word),
            // Several with one instruction.
            words => {
                for word in words {
                    *word = decapsulation::number(*word);
                }
            }
        }
        recognised
    }
}

impl Candidates {
    pub(super) fn new() -> Self {
        Self {
            packets: Burst::new(),
            numbers: [0; BURST],
            octets: [0; BURST],
            runs: [Run::NONE; BURST],
            run_count: 0,
            judged: None,
        }
    }

    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Adds a copy; it is dropped when there are as many as a burst has packets.
    pub(super) fn push(&mut self, packet: Mbuf, origin: Origin, number: u64) {
        let octets = packet.len();
        let place = self.packets.len();
        if self.packets.push(packet).is_err() {
            return;
        }
        self.numbers[place % BURST] = number;
        if let Some(run) = self.runs[..self.run_count].last_mut()
            && run.origin == origin
            && origin.place.is_none()
            && run.headers_octets == 0
            && run.add(number, octets)
        {
            return;
        }
        self.push_run(Run::of(origin, number, octets, 0));
    }

    /// Takes over the first packets of a burst, whose numbers and runs are here
    /// already.
    #[inline(always)]
    pub(super) fn take(&mut self, burst: &mut Burst, count: usize) {
        debug_assert!(self.is_empty(), "their places are taken");
        if count == burst.len() {
            std::mem::swap(&mut self.packets, burst);
            return;
        }
        for packet in burst.drain(..count) {
            // There is room for a burst.
            let _ = self.packets.push(packet);
        }
    }

    /// Recognises the copies of one session among the frames of a burst, in these places,
    /// as long as there is nothing else, and notes their numbers and runs. Says how many they are.
    #[inline(always)]
    pub(super) fn recognise(
        &mut self,
        expected: &Expected,
        origin: Origin,
        frames: &[Mbuf],
        places: Range<usize>,
    ) -> usize {
        let (start, few) = (places.start, places.len() <= FEW);
        let (Some(frames), Some(numbers), Some(octets)) = (
            frames.get(places.clone()),
            self.numbers.get_mut(places.clone()),
            self.octets.get_mut(places),
        ) else {
            return 0;
        };
        let recognition = Recognition {
            expected,
            frames,
            numbers,
            octets,
        };
        let recognised = if few {
            simd::Work::run(recognition)
        } else {
            simd::run(recognition)
        };
        self.push_runs(
            origin,
            decapsulation::HEADERS_OCTETS,
            start..start + recognised,
        );
        recognised
    }

    /// Adds the runs of recognised copies of one origin, which are in these places.
    #[inline(always)]
    fn push_runs(&mut self, origin: Origin, headers_octets: usize, mut places: Range<usize>) {
        if places.len() == 1 {
            // Where many sessions take turns.
            let (number, octets) = (self.number(places.start), self.octets[places.start % BURST]);
            self.push_run(Run::of(origin, number, octets as usize, headers_octets));
            return;
        }
        while let Some(numbers @ [_, ..]) = self.numbers.get(places.clone()) {
            let (group, packets) = Group::of_first(numbers);
            let end = places.start + packets;
            let octets = self.octets.get(places.start..end).unwrap_or(&[]);
            self.push_run(Run {
                origin,
                packets,
                octets: octets.iter().sum::<u32>().into(),
                headers_octets,
                group,
            });
            places.start = end;
        }
    }

    #[inline(always)]
    pub(super) fn number(&self, place: usize) -> u64 {
        self.numbers[place % BURST]
    }

    #[inline(always)]
    pub(super) fn push_run(&mut self, run: Run) {
        self.runs[self.run_count % BURST] = run;
        self.run_count += 1;
    }

    #[inline(always)]
    pub(super) fn runs(&self) -> usize {
        self.run_count
    }

    /// Octets of all packets, with what stands before them.
    #[inline(always)]
    pub(super) fn frame_octets(&self) -> u64 {
        let runs = (0..self.run_count).map(|index| self.run(index));
        runs.map(|run| run.octets + (run.packets * run.headers_octets) as u64)
            .sum()
    }

    #[inline(always)]
    pub(super) fn run(&self, index: usize) -> &Run {
        &self.runs[index % BURST]
    }

    /// Places of a run's packets, of which the first is at `start`, whose
    /// numbers are among these: a bit for each place of the burst.
    #[inline(always)]
    pub(super) fn places(&self, run: &Run, start: usize, numbers: u32) -> u64 {
        if numbers == 0 {
            return 0;
        }
        if numbers == run.group.bits {
            return (u64::MAX >> (64 - run.packets)) << start;
        }
        let places = start..start + run.packets;
        places.fold(0, |places, place| {
            let bit = numbers >> (self.number(place) % 32) & 1;
            places | u64::from(bit) << place
        })
    }

    /// Octets of a run's inner packets, of which the first is at `start`, whose numbers are among these.
    pub(super) fn octets_of(&self, run: &Run, start: usize, numbers: u32) -> u64 {
        let places = self.places(run, start, numbers);
        let packets = self.packets.iter().enumerate();
        let there = packets.filter(|&(place, _)| places >> place & 1 == 1);
        there
            .map(|(_, packet)| (packet.len() - run.headers_octets) as u64)
            .sum()
    }

    /// Frees all.
    #[inline(always)]
    pub(super) fn clear(&mut self) {
        self.run_count = 0;
        self.packets.clear();
    }

    /// Takes all packets out. Their numbers and runs stay until others come.
    #[inline(always)]
    pub(super) fn take_packets(&mut self) -> Burst {
        self.run_count = 0;
        std::mem::take(&mut self.packets)
    }
}
