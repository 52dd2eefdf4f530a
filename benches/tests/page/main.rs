//! "Is it working, and which ISP is to blame?": two appliances, a line that loses 3 % and another one of 80 ms, and what page, API,
//! metrics and graphs say of them, beside the emulators' own books.

mod browser;

use std::path::Path;
use std::time::Duration;

use benches::emulator::Direction;
use benches::lab::{Lab, LabConfig, Site};
use benches::traffic::{Flow, FlowConfig};
use benches::wan::DirectionStats;
use serde_json::Value;

use browser::{Browser, request};

const ADDRESS: &str = "http://127.0.0.1:8080";
const SET_UP_LIMIT: Duration = Duration::from_secs(20);
/// From a packet to settled figures, and to the reading after.
const SETTLE_S: f64 = 6.5;
/// Where pictures for the README are kept, if anywhere.
const PICTURES: &str = "HAL2TP_SCREENSHOTS";
/// The ISP that loses, and the slow one.
const LOSSY: usize = 2;
const SLOW: usize = 3;

fn sleep(seconds: f64) {
    std::thread::sleep(Duration::from_secs_f64(seconds));
}

/// Both serve HTTP, keep their history, and are patient with a line that loses echoes.
fn config() -> LabConfig {
    let links = ["delay=5ms", "delay=8ms", "delay=80ms"];
    let served = |site: &str| {
        let from = format!("management: {{ socket: /run/hal2tp/{site}.sock }}");
        let to = format!(
            "management: {{ socket: /run/hal2tp/{site}.sock, http: \"127.0.0.1:8080\", history: {{ directory: /run/hal2tp/{site}-history }} }}"
        );
        (from, to)
    };
    LabConfig {
        links: links.map(|words| words.parse().expect("words")).to_vec(),
        edits: vec![("lcp-timeout: 5".to_owned(), "lcp-timeout: 60".to_owned())],
        head_edits: vec![served("head")],
        remote_edits: vec![served("remote")],
        ..LabConfig::demo().expect("the workspace is built")
    }
}

fn running() -> Lab {
    let mut lab = Lab::build(config()).expect("the lab needs root");
    for site in Site::BOTH {
        lab.start(site).expect("the appliance starts");
    }
    lab.wait_until_set_up(SET_UP_LIMIT).expect("links come up");
    lab
}

fn text(lab: &Lab, site: Site, path: &str) -> String {
    let url = format!("{ADDRESS}{path}");
    request(lab.namespace(site), &url, None).expect("it is served")
}

fn json(lab: &Lab, site: Site, path: &str) -> Value {
    serde_json::from_str(&text(lab, site, path)).expect("JSON")
}

/// What an emulator did to frames towards a site.
fn towards(lab: &Lab, site: Site, link: usize) -> DirectionStats {
    let stats = lab.link_stats(link).expect("the emulator answers");
    match site.other().outbound() {
        Direction::AToB => stats.a_b,
        _ => stats.b_a,
    }
}

/// Numbered traffic both ways for so long, with 3 % loss on one line meanwhile.
fn lose_some(lab: &mut Lab, seconds: f64) {
    lab.change_link(LOSSY, Direction::Both, "loss=3%").unwrap();
    let flows: Vec<Flow> = Site::BOTH
        .into_iter()
        .map(|site| {
            let (from, to) = (lab.host(site), lab.host(site.other()));
            Flow::start(FlowConfig::new(from, to, 5001, 1_000)).expect("traffic")
        })
        .collect();
    sleep(seconds);
    for flow in flows {
        let report = flow.stop(Duration::from_secs(2)).expect("a report");
        assert_eq!(
            (report.lost(), report.delivered_twice),
            (0, 0),
            "{report:?}"
        );
    }
    lab.change_link(LOSSY, Direction::Both, "loss=0%").unwrap();
}

/// The value of a metric of a link.
fn metric(metrics: &str, name: &str, link: &str) -> f64 {
    let label = format!("link=\"{link}\"");
    let mut lines = metrics.lines();
    let line = lines.find(|line| {
        let rest = line.strip_prefix(name).filter(|rest| rest.starts_with('{'));
        rest.is_some_and(|rest| rest.contains(&label))
    });
    let line = line.unwrap_or_else(|| panic!("no {name} of {link} in\n{metrics}"));
    let value = line.rsplit_once(' ').expect("a value").1;
    value.parse().expect("a number")
}

/// What all one-second samples of a graph come to.
fn sum_of_graph(lab: &Lab, site: Site, link: &str, field: &str) -> f64 {
    let rows = json(lab, site, &format!("/api/v1/graphs/{link}.json?last=10m"));
    let rows = rows.as_array().expect("rows");
    assert!(rows.len() > 10, "{rows:?}");
    rows.iter().filter_map(|row| row[field].as_f64()).sum()
}

/// A link's line of the site document.
fn site_link<'a>(document: &'a Value, graph: &str) -> &'a Value {
    let links = document["sets"][0]["links"].as_array().expect("links");
    let link = links.iter().find(|link| link["graph"] == graph);
    link.unwrap_or_else(|| panic!("no {graph} in {document}"))
}

#[test]
fn page_api_metrics_graphs_and_emulators_agree_which_isp_is_bad() {
    let mut lab = running();
    let site = Site::Head;
    let browser = Browser::start(lab.namespace(site), lab.directory()).expect("a browser");
    browser.open(ADDRESS).unwrap();
    lose_some(&mut lab, 15.0);
    sleep(SETTLE_S);

    let status = json(&lab, site, "/api/v1/status");
    let graph = |link: usize| format!("remote.{link}");
    let document = json(&lab, site, "/api/v1/site");
    let metrics = text(&lab, site, "/metrics");
    for link in lab.links() {
        let line = towards(&lab, site, link);
        assert_eq!(line.kernel_drops, 0, "the measurement is worthless");
        let lost = line.path.ha_data.lost as f64;
        let name = graph(link);
        let sessions = status["sessions"].as_array().unwrap();
        let session = sessions.iter().find(|it| it["name"] == *name).unwrap();
        println!(
            "{name}: {:?}\n{}",
            line.path.ha_data,
            site_link(&document, &name)
        );
        assert_eq!(session["lost_packets"].as_f64(), Some(lost), "{session}");
        let of_site = site_link(&document, &name);
        assert_eq!(of_site["lost_packets"].as_f64(), Some(lost));
        assert_eq!(of_site["minute"]["lost_packets"].as_f64(), Some(lost));
        assert_eq!(metric(&metrics, "hal2tp_link_lost_packets", &name), lost);
        assert_eq!(sum_of_graph(&lab, site, &name, "lost_packets"), lost);
        let received = line.path.ha_data.forwarded as f64;
        assert_eq!(
            sum_of_graph(&lab, site, &name, "received_packets"),
            received
        );
    }
    assert!(towards(&lab, site, LOSSY).path.ha_data.lost > 200);

    let latency = |link: usize| {
        let minute = &site_link(&document, &graph(link))["minute"];
        minute["latency_us"]["mean"].as_f64().unwrap() / 1e3
    };
    let (quick_ms, slow_ms) = (latency(1), latency(SLOW));
    assert!((10.0..40.0).contains(&quick_ms), "{quick_ms}");
    assert!((160.0..190.0).contains(&slow_ms), "{slow_ms}");
    let of_metrics = metric(
        &metrics,
        "hal2tp_link_minute_round_trip_seconds",
        &graph(SLOW),
    );
    assert!((0.16..0.19).contains(&of_metrics), "{of_metrics}");
    // Besides that they were off-line until they came up.
    let judged = |link: usize| {
        let link = site_link(&document, &graph(link));
        let reasons = link["reasons"].as_array().unwrap().iter();
        let reasons = reasons.filter_map(Value::as_str);
        let reasons: Vec<&str> = reasons
            .filter(|it| !it.starts_with("was off-line"))
            .collect();
        (
            link["verdict"].as_str().unwrap().to_owned(),
            reasons.join("; "),
        )
    };
    assert_eq!(judged(1).1, "");
    let (verdict, why) = judged(LOSSY);
    assert!(verdict == "bad" && why.starts_with("loses "), "{why}");
    let (verdict, why) = judged(SLOW);
    assert!(
        verdict == "degraded" && why.starts_with("its round trip takes 16"),
        "{why}"
    );
    assert_eq!(document["sets"][0]["lost_packets"], 0);

    the_page_says_so(&mut lab, &browser, &document);
}

/// JavaScript for the text of a link's row.
fn row_script(link: usize) -> String {
    format!(
        "const rows = [...document.querySelectorAll('table.links tbody tr')]; \
         return rows.find(row => row.innerText.includes('remote.{link}'))?.innerText;"
    )
}

/// Where pictures are kept: traffic for as long as they show, so that they show some.
fn picture_traffic(lab: &mut Lab) -> Vec<Flow> {
    if std::env::var_os(PICTURES).is_none() {
        return Vec::new();
    }
    lab.change_link(LOSSY, Direction::Both, "loss=3%").unwrap();
    let flows = Site::BOTH.map(|site| {
        let (from, to) = (lab.host(site), lab.host(site.other()));
        Flow::start(FlowConfig::new(from, to, 5002, 1_500)).expect("traffic")
    });
    sleep(75.0);
    flows.into()
}

/// Takes a picture of the window; it is kept where [`PICTURES`] says.
fn shoot(browser: &Browser, name: &str) {
    // What moved has come to rest.
    sleep(1.0);
    let picture = browser.screenshot().unwrap();
    assert!(picture.starts_with(b"\x89PNG"), "{name}");
    if let Some(directory) = std::env::var_os(PICTURES) {
        let file = Path::new(&directory).join(format!("{name}.png"));
        std::fs::write(file, picture).expect("a file");
    }
}

/// In words at the top, in the links' rows, and when one of them is opened.
fn the_page_says_so(lab: &mut Lab, browser: &Browser, document: &Value) {
    let headline = browser
        .wait_for("const t = document.getElementById('verdict').textContent; return /remote\\.2/.test(t) && t;")
        .unwrap();
    println!("the page says: {headline}");
    assert!(headline.as_str().unwrap().contains("bad"), "{headline}");
    let row = |link: usize| {
        let text = browser.wait_for(&row_script(link)).unwrap();
        text.as_str().unwrap().to_owned()
    };
    let lossy = row(LOSSY);
    println!("{lossy}\n{}", row(SLOW));
    assert!(lossy.contains("bad"), "{lossy}");
    let lost = site_link(document, "remote.2")["minute"]["lost_packets"].to_string();
    let digits: String = lossy.chars().filter(char::is_ascii_digit).collect();
    assert!(digits.contains(&lost), "{lost} lost: {lossy}");
    assert!(
        row(SLOW).contains("16") || row(SLOW).contains("17"),
        "{}",
        row(SLOW)
    );

    browser
        .open(&format!("{ADDRESS}/#/graph/remote.2"))
        .unwrap();
    let picture = browser.wait_for(
        "const i = [...document.querySelectorAll('img')].find(i => i.src.includes('/api/v1/graphs/')); \
         return i && i.complete && i.naturalWidth > 0 && i.src;",
    );
    println!("the picture: {}", picture.unwrap());
    let events = json(lab, Site::Head, "/api/v1/events?graph=remote.2");
    let why = events["events"][0]["text"].as_str().expect("it came up");
    let script = format!(
        "return document.body.innerText.includes({});",
        Value::from(why)
    );
    browser.wait_for(&script).unwrap();
    let _for_the_pictures = picture_traffic(lab);
    shoot(browser, "link");
    browser.open(&format!("{ADDRESS}/#/")).unwrap();
    browser.wait_for(&row_script(LOSSY)).unwrap();
    shoot(browser, "page");
    browser.prefer("dark").unwrap();
    shoot(browser, "page-dark");
    browser.be_a_phone().unwrap();
    let (wide, window) = ("document.documentElement.scrollWidth", "window.innerWidth");
    let fits = browser
        .evaluate(&format!("return {wide} <= {window};"))
        .unwrap();
    assert_eq!(fits, true, "a phone scrolls sideways");
    shoot(browser, "page-phone");
    assert_eq!(browser.complaints().unwrap(), Vec::<String>::new());
}

/// An appliance that is stopped, or killed, goes on with the graphs that it had.
#[test]
fn the_history_survives_a_stop_and_a_kill() {
    let mut lab = running();
    let site = Site::Remote;
    let graph = "L2TP-remote-1";
    let name = format!("/api/v1/graphs/{graph}.json?last=10m");
    let measured = |lab: &Lab| {
        let rows = json(lab, site, &name);
        let rows = rows.as_array().unwrap();
        let measured = rows
            .iter()
            .filter(|row| row["measured_s"].as_u64() > Some(0));
        measured.count()
    };
    sleep(15.0);
    let before_stop = measured(&lab);
    assert!(before_stop >= 12, "{before_stop}");
    assert!(lab.stop(site).unwrap().success());
    lab.start(site).unwrap();
    lab.wait_until_set_up(SET_UP_LIMIT).unwrap();
    let after_stop = measured(&lab);
    assert!(
        after_stop >= before_stop,
        "{after_stop} of {before_stop} and more"
    );
    sleep(25.0);
    let before_kill = measured(&lab);
    assert!(before_kill >= after_stop + 20, "{before_kill}");
    lab.kill(site).unwrap();
    lab.start(site).unwrap();
    lab.wait_until_set_up(SET_UP_LIMIT).unwrap();
    let after_kill = measured(&lab);
    // What a crash may cost.
    assert!(
        after_kill + 10 >= before_kill,
        "{after_kill} of {before_kill}"
    );
    let events = json(&lab, site, &format!("/api/v1/events?graph={graph}&most=50"));
    let ups = events["events"].as_array().unwrap().iter();
    let ups = ups.filter(|event| event["event"] == "link-up").count();
    assert_eq!(ups, 3, "one of each start: {events}");
}
