//! Tables, the picture and the words around them.

use benches::figure::Figure;
use benches::plot::{Axis, BarPlot, Bars, Legend};
use benches::report::{Cell, Column, Picture, Section, Table};

use crate::run::Run;

use super::search::{LAST_TRIALS, SLOWER};
use super::{
    ATTEMPTS, BEHIND_TOLERANCE, Findings, Found, LAST_TRIAL, LOSS_TOLERANCE, NAME, Pains, Point,
    SETS_THAT_HIDE_LOSS,
};

/// Tables in their order: names and titles.
const TABLES: [(&str, &str); 4] = [
    ("memif", "One appliance, net_memif"),
    ("memif-pair", "A pair of appliances, net_memif"),
    ("vhost", "One appliance, vhost-user and virtio-user"),
    (
        "vhost-pair",
        "A pair of appliances, vhost-user and virtio-user towards the tester, net_memif between the two",
    ),
];
const PICTURE: &str = "throughput.svg";

pub(super) fn section(run: &Run, cpus: [u32; 2], pains: Pains, findings: Findings) -> Section {
    let Findings { points, mut notes } = findings;
    let mut tables: Vec<Table> = TABLES
        .iter()
        .filter_map(|(name, title)| beside_testpmd(name, title, &points))
        .collect();
    tables.extend(source_alone(&points));
    notes.splice(0..0, fixed_notes());
    let mut pictures = Vec::new();
    // There is nothing to draw when no search found a rate; the tables say so then.
    match plot(&points).write(&run.output().join(PICTURE)) {
        Ok(()) => pictures.push(Picture {
            file: PICTURE.to_owned(),
            caption:
                "Rate without loss over memif with a set of two links, and of testpmd in the same place."
                    .to_owned(),
        }),
        Err(problem) => notes.push(format!("No picture: {problem}.")),
    }
    Section {
        name: NAME.to_owned(),
        title: "Throughput without loss".to_owned(),
        introduction: introduction(cpus, pains),
        tables,
        pictures,
        notes,
        seconds: 0.0,
    }
}

fn introduction(cpus: [u32; 2], pains: Pains) -> String {
    let [tester, tested] = cpus;
    let Pains {
        rounds,
        trial,
        last_attempts,
    } = pains;
    let trial = trial.as_millis();
    let repeats = match rounds {
        1 => "once".to_owned(),
        _ => format!("in turns in {rounds} rounds, for each of which everything is started anew"),
    };
    let came_percent = (1.0 - BEHIND_TOLERANCE) * 100.0;
    let slower_percent = SLOWER * 100.0;
    let together = if tester == tested {
        "This machine has one CPU: everything shares it, and rates are what is left."
    } else {
        ""
    };
    format!(
        "The highest rate at which hal2tp loses next to nothing (at most {LOSS_TOLERANCE:e}; RFC 2544, 26.1), and beside it that of DPDK's testpmd in \
         its place: the same wires, the same source and sink, the same CPU, measured {repeats}; \
         figures are the median (least-most), ratios are of one round each. \
         testpmd is source and sink too, with one forwarding core on CPU {tester}; what is measured has one worker on \
         CPU {tested}. Two appliances (*pair*) share CPU {tested}, and each sleeps when it has nothing to do. \
         With *2 workers* the second one shares CPU {tester} with the tester, so does testpmd's second core. {together}\n\n\
         A packet into the LAN of *one appliance* leaves on every link of its set: it has to come out of all of them, \
         or it is lost. Its far end was there until the tunnels were up, and is stopped while this is measured. \
         Through a *pair* it goes from one LAN to the other. testpmd sends one frame for each that it takes, in place of a pair \
         twice (by a wire of its own). Rates are of frames into the LAN; frames are counted from the Ethernet header on \
         without checksum. IMIX is 7 frames of 64, 4 of 594 and 1 of 1400 octets.\n\n\
         A source is slowed down by an eBPF program that testpmd runs for each frame; the rate is measured in each trial: what came out, a second. \
         A trial lasts {trial} ms, the last one of a search, from which the figures are, {LAST_TRIAL} times as long. It passes when at most \
         {LOSS_TOLERANCE:e} of the frames were lost or found no room in the source's ring, and when at least {came_percent:.0} % as many came out a second \
         as went in, for rings hide thousands of frames for a while. \
         After a last trial that failed comes one that is {slower_percent:.0} % slower, then twice that, {LAST_TRIALS} at most. A virtual machine is stopped by its \
         host now and then for longer than any ring is deep; so a trial that fails by less than a quarter is made again before it counts: {ATTEMPTS} \
         times in all, the last one, which lasts longer, {last_attempts} times. The same goes for testpmd."
    )
}

fn fixed_notes() -> Vec<String> {
    [
        "*cycles a packet* of hal2tp is CPU time of its workers (Linux's account, with what polls found nothing until they slept) \
         times the TSC's rate; of testpmd what `--record-core-cycles` says, which leaves out polls that found nothing.",
        "*as quick as the source*: took all that the source and the sink could do on their CPU, so its figure is *at least* that, and a ratio to it at \
         most, if it is testpmd's, or at least, if it is hal2tp's.",
        &format!(
            "Frames that hal2tp sends by itself (reports, two a second at most on each link of each set) count as received. With \
             {SETS_THAT_HIDE_LOSS} sets and more that hides what is lost after the source's ring: *not seen*."
        ),
        "The same rings stand on both sides; a gap of some milliseconds fills them at high rates, and is then loss.",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn columns() -> Vec<Column> {
    vec![
        Column::new("Mpps", 2),
        Column::new("Gb/s (inner, layer 2)", 2),
        Column::new("cycles a packet", 0),
        Column::new("lost of a million", 1),
        Column::new("lost of a million at half the rate", 1),
        Column::new("testpmd 5tswap Mpps", 2),
        Column::new("testpmd 5tswap cycles a packet", 0),
        Column::new("testpmd mac Mpps", 2),
        Column::new("testpmd mac cycles a packet", 0),
        Column::ratio("of 5tswap"),
        Column::ratio("of mac"),
        Column::new("as quick as the source", 0),
    ]
}

fn beside_testpmd(name: &str, title: &str, points: &[Point]) -> Option<Table> {
    let mut table = Table::new(name, title, "frames, links", columns());
    for point in points.iter().filter(|point| point.table == name) {
        let Point {
            appliance,
            five_tuple_swap,
            mac,
            hides_loss,
            ..
        } = point;
        let seen = |loss: Cell| match loss {
            Cell::Value(_) | Cell::Figure(_) if *hides_loss => Cell::Text("not seen".to_owned()),
            loss => loss,
        };
        let octets = point.traffic.mean_octets();
        let cells = vec![
            mpps(appliance),
            gigabits(appliance, octets),
            figure(appliance, |it| it.cycles),
            seen(figure(appliance, |it| it.loss * 1e6)),
            seen(values(&point.lost_at_half)),
            mpps(five_tuple_swap),
            figure(five_tuple_swap, |it| it.cycles),
            mpps(mac),
            figure(mac, |it| it.cycles),
            ratio(appliance, five_tuple_swap),
            ratio(appliance, mac),
            Cell::Text(as_quick_as_source(point)),
        ];
        table.push(&point.row, cells);
    }
    (!table.rows.is_empty()).then_some(table)
}

/// What the tester can do at all.
fn source_alone(points: &[Point]) -> Option<Table> {
    let columns = vec![
        Column::new("Mpps", 2),
        Column::new("Gb/s (inner, layer 2)", 2),
        Column::new("cycles a packet", 0),
        Column::new("as quick as the source", 0),
    ];
    let title = "testpmd io in the appliance's place: what source, wire and sink can do (of a pair's, each frame is forwarded twice)";
    let mut table = Table::new("source", title, "frames, wire", columns);
    for point in points.iter().filter(|point| !point.source.is_empty()) {
        let row = format!("{}, {}", point.traffic.name(), point.table);
        let cells = vec![
            mpps(&point.source),
            gigabits(&point.source, point.traffic.mean_octets()),
            figure(&point.source, |it| it.cycles),
            Cell::Text(yes_or_no(&point.source).to_owned()),
        ];
        table.push(&row, cells);
    }
    (!table.rows.is_empty()).then_some(table)
}

fn as_quick_as_source(point: &Point) -> String {
    let all = [
        ("hal2tp", &point.appliance),
        ("5tswap", &point.five_tuple_swap),
        ("mac", &point.mac),
    ];
    let quick = all.iter().filter(|(_, found)| yes_or_no(found) == "yes");
    let quick: Vec<&str> = quick.map(|(name, _)| *name).collect();
    if quick.is_empty() {
        return "none".to_owned();
    }
    quick.join(", ")
}

/// In any round.
fn yes_or_no(found: &[Option<Found>]) -> &'static str {
    let is_quick = found.iter().flatten().any(|it| it.is_all_of_source);
    if is_quick { "yes" } else { "no" }
}

fn mpps(found: &[Option<Found>]) -> Cell {
    figure(found, |it| it.pps / 1e6)
}

fn gigabits(found: &[Option<Found>], octets: f64) -> Cell {
    figure(found, |it| it.pps * octets * 8.0 / 1e9)
}

fn figure(found: &[Option<Found>], value: impl Fn(&Found) -> f64) -> Cell {
    let figures: Vec<f64> = found.iter().flatten().map(value).collect();
    values(&figures)
}

/// Of the rounds in which both were found.
fn ratio(found: &[Option<Found>], beside: &[Option<Found>]) -> Cell {
    let both = found.iter().zip(beside);
    let ratios: Vec<f64> = both
        .filter_map(|(found, beside)| Some((*found)?.pps / (*beside)?.pps))
        .collect();
    values(&ratios)
}

fn values(values: &[f64]) -> Cell {
    match values {
        [] => Cell::Text("no rate without loss".to_owned()),
        [value] => Cell::Value(*value),
        _ => Cell::Figure(Figure::new(values)),
    }
}

/// The ordinary case of every size.
fn plot(points: &[Point]) -> BarPlot {
    let of_table = |table: &'static str| {
        let points = points.iter().filter(move |point| point.table == table);
        points.filter(|point| point.row == format!("{}, 2 links", point.traffic.name()))
    };
    let bars = |name: &str, table, rounds: &dyn Fn(&Point) -> &[Option<Found>]| {
        let figures: Vec<Option<Figure>> = of_table(table)
            .map(|point| {
                let pps = rounds(point).iter().flatten();
                let mpps: Vec<f64> = pps.map(|it| it.pps / 1e6).collect();
                (!mpps.is_empty()).then(|| Figure::new(&mpps))
            })
            .collect();
        let spreads = figures
            .iter()
            .map(|it| it.map_or(0.0..0.0, |it| it.least..it.most));
        Bars {
            name: name.to_owned(),
            values: figures
                .iter()
                .map(|it| it.map_or(0.0, |it| it.median))
                .collect(),
            spreads: spreads.collect(),
        }
    };
    BarPlot {
        title: "Frames a second without loss, memif, one CPU".to_owned(),
        x_label: "frames into the LAN; hal2tp sends each on 2 links".to_owned(),
        y: Axis::linear("Mpps"),
        cases: of_table("memif")
            .map(|point| point.traffic.name())
            .collect(),
        series: vec![
            bars("hal2tp, one appliance", "memif", &|it| &it.appliance),
            bars("hal2tp, a pair", "memif-pair", &|it| &it.appliance),
            bars("testpmd 5tswap", "memif", &|it| &it.five_tuple_swap),
            bars("testpmd mac", "memif", &|it| &it.mac),
        ],
        legend: Legend::UpperRight,
    }
}
