//! `configs/grafana.json` against the metrics.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::web::metrics::{Format, tests};

/// Every query of a dashboard.
fn queries(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                match value {
                    Value::String(text)
                        if key == "expr" || key == "query" || key == "definition" =>
                    {
                        found.push(text.clone());
                    }
                    _ => queries(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| queries(item, found)),
        _ => {}
    }
}

#[test]
fn the_dashboard_asks_for_metrics_that_exist() {
    let dashboard: Value =
        serde_json::from_str(include_str!("../../../../configs/grafana.json")).unwrap();
    let mut found = Vec::new();
    queries(&dashboard, &mut found);
    let [_, text] = tests::written(Format::OpenMetrics);
    let families = tests::read(&text);
    let series: BTreeSet<&str> = families
        .values()
        .flat_map(|family| family.samples.keys())
        .filter_map(|series| series.split('{').next())
        .collect();
    let mut asked = 0;
    for query in &found {
        let is_letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        for word in query.split(|letter| !is_letter(letter)) {
            if word.starts_with("hal2tp_") {
                asked += 1;
                assert!(series.contains(word), "{word} of {query:?} does not exist");
            }
        }
    }
    assert!(asked >= 15, "only {asked} metrics are asked for");
}
