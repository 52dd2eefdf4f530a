use super::*;

fn plot() -> LinePlot {
    LinePlot {
        title: "Latency while link 1 stands still".to_owned(),
        x: Axis::linear("time, s"),
        y: Axis::logarithmic("latency, ms"),
        series: vec![
            Series {
                name: "unstalled".to_owned(),
                points: vec![
                    (0.0, 5.0),
                    (1.0, 6.0),
                    (2.0, f64::NAN),
                    (3.0, 5.0),
                    (4.0, 7.0),
                ],
            },
            Series {
                name: "stalled <1>".to_owned(),
                points: vec![(0.0, 5.0), (4.0, 300.0)],
            },
        ],
        spans: [1.0..2.0, 3.0..3.5]
            .map(|range| Span {
                name: "stall".to_owned(),
                range,
            })
            .to_vec(),
        legend: Legend::UpperLeft,
    }
}

#[test]
fn lines_have_their_title_axes_and_names() {
    let svg = plot().svg().unwrap();
    for text in [
        "Latency while link 1 stands still",
        "time, s",
        "latency, ms",
        "unstalled",
        "stalled &lt;1&gt;",
    ] {
        assert!(svg.contains(text), "{text} in\n{svg}");
    }
    assert_eq!(
        svg.matches("stall\n").count(),
        1,
        "both spans have one name:\n{svg}"
    );
    // The first series is broken in two.
    assert_eq!(svg.matches("stroke=\"#0072B2\"").count(), 2, "{svg}");
    assert_eq!(svg.matches("stroke=\"#D55E00\"").count(), 1, "{svg}");
}

#[test]
fn bars_stand_on_nought_with_their_numbers_above() {
    let bars = BarPlot {
        title: "Goodput".to_owned(),
        x_label: "loss on link 1".to_owned(),
        y: Axis::linear("Mbit/s"),
        cases: vec!["0 %".to_owned(), "1 %".to_owned()],
        series: vec![
            Bars {
                name: "without ordering".to_owned(),
                values: vec![90.0, 12.5],
                spreads: vec![88.0..93.0, 10.0..17.0],
            },
            Bars {
                name: "with ordering".to_owned(),
                values: vec![91.0, 88.0],
                spreads: Vec::new(),
            },
        ],
        legend: Legend::default(),
    };
    let svg = bars.svg().unwrap();
    for text in ["0 %", "1 %", "12.5", "91", "without ordering", "Mbit/s"] {
        assert!(svg.contains(text), "{text} in\n{svg}");
    }
    let lines = |plot: &BarPlot| plot.svg().unwrap().matches("<polyline").count();
    let mut without = bars.clone();
    without.series[0].spreads.clear();
    assert_eq!(
        lines(&bars),
        lines(&without) + 2,
        "one mark for each spread"
    );
    let crowded = BarPlot {
        cases: vec![String::new(); 20],
        ..bars.clone()
    };
    assert!(!crowded.svg().unwrap().contains("12.5"));
    let nothing = BarPlot {
        series: Vec::new(),
        ..bars
    };
    assert!(nothing.svg().is_err());
}

/// A tenth part of the value is a decade less of height.
#[test]
fn bars_on_a_logarithmic_axis_stand_on_its_lower_end() {
    let heights = |values: [f64; 2]| {
        let plot = BarPlot {
            title: "Gap".to_owned(),
            x_label: "fault".to_owned(),
            y: Axis::logarithmic("ms").over(1.0..1000.0),
            cases: vec!["cut".to_owned(), "stall".to_owned()],
            series: vec![Bars {
                name: "set".to_owned(),
                values: values.to_vec(),
                spreads: Vec::new(),
            }],
            legend: Legend::default(),
        };
        let svg = plot.svg().unwrap();
        let bars = svg
            .lines()
            .filter(|line| line.starts_with("<rect") && line.contains("#0072B2"));
        let height = |bar: &str| {
            let rest = bar.split("height=\"").nth(1).unwrap();
            rest.split('"').next().unwrap().parse::<i32>().unwrap()
        };
        // The last one is in the legend.
        let heights: Vec<i32> = bars.map(height).collect();
        [heights[0], heights[1]]
    };
    let [hundred, ten] = heights([100.0, 10.0]);
    assert!((hundred - 2 * ten).abs() <= 2, "{hundred} {ten}");
    assert_eq!(heights([0.0, 1.0])[0], heights([0.0, 1.0])[1]);
}

#[test]
fn a_cumulative_distribution_ends_at_one() {
    let values = (1..=1000).rev().map(f64::from).collect();
    let points = cumulative(values, 4);
    assert_eq!(
        points,
        [(250.0, 0.25), (500.0, 0.5), (750.0, 0.75), (1000.0, 1.0)]
    );
    assert!(cumulative(Vec::new(), 4).is_empty());
}
