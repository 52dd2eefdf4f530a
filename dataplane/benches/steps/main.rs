//! What each step of the packet path takes, by itself and with everything in
//! the caches: `cargo bench -p dataplane`. Neither root nor DPDK's devices.
//! What a worker takes for a packet as a whole, `scripts/bench` says.

mod frames;

use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use criterion::{Bencher, BenchmarkId, Criterion, criterion_group, criterion_main};
use dataplane::checksum;
use dataplane::command::{NextHop, Prefix, SessionId, SetId, TableId};
use dataplane::headers::decapsulation::Expected;
use dataplane::headers::encapsulation::{Fields, Template};
use dataplane::headers::ethernet;
use dataplane::headers::ha_frame::{BurstFields, HaFrame, Identifications};
use dataplane::headers::ppp::PROTOCOL_IPV4;
use dataplane::reassembly::{self, Key, Place, Reassembly};
use dataplane::reorder::{self, Owner, Patience, Release, Reorder};
use dataplane::tables::{Routes, WireIndex};
use dataplane::transform::split;
use dataplane::window::{Access, Group, Window};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use simd::Work;

use frames::{EPOCH, MAC};

/// Octets of the inner packet.
const SIZES: [usize; 3] = [64, 512, 1400];
const SESSIONS: [u32; 2] = [20, 20_000];
const ROUTES: [u32; 2] = [100, 100_000];
const NUMBERS: u64 = 1 << 16;
/// Lookups are of so many keys in random order.
const KEYS: usize = 1 << 14;
const BUFFERS: usize = 256;

/// What a worker compiles for the widest instructions that there are. To be
/// measured so, `step` has to be `#[inline(always)]`: a closure will not do.
trait Step {
    fn step(&mut self);
}

struct Steps<'a, S> {
    count: u64,
    of: &'a mut S,
}

impl<S: Step> Work for Steps<'_, S> {
    type Output = Duration;

    #[inline(always)]
    fn run(self) -> Duration {
        let started = Instant::now();
        for _ in 0..self.count {
            self.of.step();
        }
        started.elapsed()
    }
}

fn measure(bencher: &mut Bencher<'_>, mut step: impl Step) {
    bencher.iter_custom(|count| {
        let of = &mut step;
        simd::run(Steps { count, of })
    });
}

struct Recognise {
    expected: Expected,
    frame: Vec<u8>,
}

impl Step for Recognise {
    #[inline(always)]
    fn step(&mut self) {
        black_box(&mut self.frame);
        // The port has checked the UDP checksum: what that takes is `checksum`.
        black_box(self.expected.recognise(&self.frame, || true));
    }
}

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    for octets in SIZES {
        let inner = frames::inner(octets);
        let frame = frames::copy(&frames::session(false), &inner);
        let expected = Expected::new(&frames::session(false), MAC, EPOCH);
        assert_eq!(expected.recognise(&frame, || false), Some(frames::NUMBER));
        group.bench_function(BenchmarkId::new("recognised", octets), |bencher| {
            let frame = frame.clone();
            measure(bencher, Recognise { expected, frame });
        });
        for over_ipv6 in [false, true] {
            let frame = frames::copy(&frames::session(over_ipv6), &inner);
            assert_eq!(frames::parse(&frame), Some(frames::NUMBER));
            let name = match over_ipv6 {
                false => "any form, IPv4",
                true => "any form, IPv6",
            };
            group.bench_function(BenchmarkId::new(name, octets), |bencher| {
                bencher.iter(|| frames::parse(black_box(&frame)));
            });
        }
        group.bench_function(BenchmarkId::new("checksum", octets), |bencher| {
            bencher.iter(|| simd::sum(black_box(&inner)));
        });
    }
}

fn session_lookup(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("session lookup");
    for sessions in SESSIONS {
        let mut rng = StdRng::seed_from_u64(1);
        let ids: Vec<u32> = (0..sessions).map(|_| rng.random()).collect();
        let mut index = WireIndex::default();
        for (session, &ids) in (0..).zip(&ids) {
            index.insert(ids, SessionId(session));
        }
        let keys: Vec<u32> = (0..KEYS)
            .map(|_| ids[rng.random_range(0..ids.len())])
            .collect();
        let mut keys = keys.iter().cycle();
        group.bench_function(BenchmarkId::from_parameter(sessions), |bencher| {
            bencher.iter(|| index.get(*keys.next()?));
        });
    }
}

fn route(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("route");
    let next_hop = NextHop::Set(SetId(1));
    for count in ROUTES {
        let mut rng = StdRng::seed_from_u64(2);
        let mut routes = Routes::default();
        let table = routes.slot(TableId(0));
        let networks: Vec<u32> = (0..count).map(|_| rng.random()).collect();
        for &network in &networks {
            let length = rng.random_range(16..=24);
            let ipv4 = Prefix::new(std::net::Ipv4Addr::from(network), length);
            routes.set(TableId(0), ipv4, next_hop);
            let ipv6 = Prefix::new(ipv6(network), length + 32);
            routes.set(TableId(0), ipv6, next_hop);
        }
        let pick = |_| networks[rng.random_range(0..networks.len())] | 1;
        let keys: Vec<u32> = (0..KEYS).map(pick).collect();
        let mut next = keys.iter().cycle();
        group.bench_function(BenchmarkId::new("IPv4", count), |bencher| {
            bencher.iter(|| routes.longest_match(table, (*next.next()?).into()));
        });
        let mut next = keys.iter().cycle();
        group.bench_function(BenchmarkId::new("IPv6", count), |bencher| {
            bencher.iter(|| routes.longest_match_ipv6(table, ipv6(*next.next()?)));
        });
    }
}

fn ipv6(network: u32) -> std::net::Ipv6Addr {
    (u128::from(network) << 64 | 0x2001_0db8 << 96 | 1).into()
}

/// For each copy; the numbers of a burst lie in one slot or two.
fn elimination(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("elimination");
    for (name, access) in [("alone", Access::Alone), ("shared", Access::Shared)] {
        let window = Window::new(NUMBERS);
        let mut number = 0;
        group.bench_function(format!("1 thread, {name}"), |bencher| {
            bencher.iter(|| {
                number += 1;
                window.mark(Group::of(number), access).of(number)
            });
        });
    }
    let window = Window::new(NUMBERS);
    let mut index = 0;
    group.bench_function("1 thread, shared, 32 at once", |bencher| {
        bencher.iter_custom(|copies| {
            let started = Instant::now();
            for _ in 0..copies.div_ceil(32) {
                index += 1;
                black_box(window.mark(
                    Group {
                        index,
                        bits: u32::MAX,
                    },
                    Access::Shared,
                ));
            }
            started.elapsed()
        });
    });
    for (name, burst) in [("2 threads", 1), ("2 threads, 32 at once", 32)] {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|copies| two_threads(copies, burst));
        });
    }
}

/// Both threads offer every number, as two workers do that receive a link each.
/// The time that both take for `copies` each, divided by two: that of one copy
/// when the work is shared.
fn two_threads(copies: u64, burst: u64) -> Duration {
    let window = Window::new(NUMBERS);
    let barrier = Barrier::new(2);
    let run = || {
        barrier.wait();
        let started = Instant::now();
        for step in 0..copies.div_ceil(burst) {
            let group = match burst {
                1 => Group::of(step),
                _ => Group {
                    index: step,
                    bits: u32::MAX,
                },
            };
            black_box(window.mark(group, Access::Shared));
        }
        started.elapsed()
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(run);
        let took = run();
        took.max(other.join().expect("it does not panic")) / 2
    })
}

fn encapsulate(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encapsulate");
    let mut header = [0; 128];
    for octets in SIZES {
        let packet = frames::inner(octets);
        for over_ipv6 in [false, true] {
            let template = Template::new(&frames::session(over_ipv6)).expect("one family");
            let name = match over_ipv6 {
                false => "any form, IPv4",
                true => "any form, IPv6",
            };
            group.bench_function(BenchmarkId::new(name, octets), |bencher| {
                bencher.iter(|| {
                    let packet = black_box(&packet);
                    let fields = Fields {
                        inner_octets: packet.len(),
                        inner_sum: checksum::sum(packet),
                        protocol: PROTOCOL_IPV4,
                        flags: 0,
                        epoch: EPOCH,
                        number: frames::NUMBER,
                        identification: 7,
                    };
                    template.write(&mut header, &fields);
                    black_box(&header);
                });
            });
        }
        group.bench_function(BenchmarkId::new("prebuilt", octets), |bencher| {
            measure(bencher, Replicate::new(&packet, 1));
        });
    }
}

/// A packet to every link, without taking and sending the buffers: one sum, then
/// for each link the headers, and for all but the last a copy of the packet.
struct Replicate<'a> {
    packet: &'a [u8],
    links: Vec<HaFrame>,
    fields: BurstFields,
    buffers: Vec<[u8; 2048]>,
    next: usize,
}

impl<'a> Replicate<'a> {
    fn new(packet: &'a [u8], links: usize) -> Self {
        let template = Template::new(&frames::session(false)).expect("one family");
        let ethernet = [0; ethernet::HEADER_OCTETS];
        let frame = HaFrame::new(&template, &ethernet, EPOCH).expect("over IPv4");
        Self {
            packet,
            links: vec![frame; links],
            fields: BurstFields::default(),
            buffers: vec![[0; 2048]; BUFFERS],
            next: 0,
        }
    }
}

impl Step for Replicate<'_> {
    #[inline(always)]
    fn step(&mut self) {
        let packet = black_box(self.packet);
        let sum = simd::sum_inline(packet);
        let fields = &mut self.fields;
        fields.describe(0, packet.len(), sum);
        fields.set_protocol(0, PROTOCOL_IPV4);
        fields.show(1, frames::NUMBER);
        for (link, frame) in self.links.iter().enumerate() {
            self.next = (self.next + 1) % BUFFERS;
            let buffer = &mut self.buffers[self.next];
            let (header, rest) = buffer.split_first_chunk_mut().expect("it is longer");
            if link + 1 < self.links.len() {
                rest[..packet.len()].copy_from_slice(packet);
            }
            let first = self.next as u16;
            frame.fill_in(fields, Identifications { first, step: 1 });
            frame.write(header, fields, 0);
            black_box(buffer);
        }
    }
}

fn replicate(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("replicate");
    for octets in SIZES {
        let packet = frames::inner(octets);
        for links in 1..=4 {
            let id = BenchmarkId::new(format!("{octets} octets"), links);
            group.bench_function(id, |bencher| {
                measure(bencher, Replicate::new(&packet, links));
            });
        }
    }
}

fn split_and_reassemble(criterion: &mut Criterion) {
    let packet = frames::inner(1500);
    let mut group = criterion.benchmark_group("pieces of 1500 octets");
    for (pieces, mtu) in [(2, 1230), (3, 526)] {
        group.bench_function(BenchmarkId::new("split", pieces), |bencher| {
            bencher.iter(|| {
                let cut = split(black_box(packet.len()), mtu);
                cut.map(|pieces| pieces.map(|piece| piece.range.len()).sum::<usize>())
            });
        });
        let cut: Vec<(Place, &[u8])> = split(packet.len(), mtu)
            .expect("it does not fit")
            .map(|piece| (piece.place, &packet[piece.range]))
            .collect();
        assert_eq!(cut.len(), pieces);
        let mut reassembly = Reassembly::new(reassembly::Limits {
            pieces: 4096,
            timeout_ticks: u64::MAX,
        });
        let mut whole = Vec::with_capacity(pieces);
        let mut number = 0;
        group.bench_function(BenchmarkId::new("reassemble", pieces), |bencher| {
            bencher.iter(|| {
                whole.clear();
                for &(place, piece) in &cut {
                    number += 1;
                    let refuse = &mut |_, _| panic!("nothing is wrong with it");
                    reassembly.insert(number, key(number), place, piece, &mut whole, refuse);
                }
                assert_eq!(whole.len(), pieces);
            });
        });
    }
}

fn key(number: u64) -> Key {
    Key {
        set: SetId(1),
        epoch: EPOCH,
        number,
    }
}

/// Lets everything go.
struct Sink;

impl Owner<u64> for Sink {
    fn patience(&self, _: SetId, _: u32) -> Patience {
        Patience {
            hold_ticks: 1_000_000,
            passed: 0,
        }
    }

    fn has_room(&self, _: SetId) -> bool {
        true
    }

    fn release(&mut self, packet: u64, _: Release) -> bool {
        black_box(packet);
        true
    }
}

/// For each packet, when it is in order, and when each gap closes a packet later.
fn reorder(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("reorder");
    for (name, swapped) in [("in order", 0), ("neighbours swapped", 1)] {
        let mut reorder = Reorder::new(reorder::Limits {
            packets: 4096,
            take_any_ticks: u64::MAX,
            settle_ticks: 1,
        });
        reorder.set_epochs(0, SetId(1), &[EPOCH], &mut Sink);
        let mut step = 1;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                step += 1;
                let number = step ^ swapped;
                reorder.push(step, key(number), 1, number, &mut Sink);
                if reorder.is_due(step) {
                    reorder.check(step, &mut Sink);
                }
            });
        });
        assert!(reorder.len() <= 1);
    }
}

criterion_group! {
    name = steps;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = parse, session_lookup, route, elimination, encapsulate, replicate, split_and_reassemble, reorder
}
criterion_main!(steps);
