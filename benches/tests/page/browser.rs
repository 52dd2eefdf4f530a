//! A real browser, told what to do by WebDriver (W3C): Debian's chromium and chromedriver, inside a network namespace.

use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use benches::netns::{Namespace, joined};
use benches::process::Process;
use serde_json::{Value, json};

/// Where chromedriver listens, on the namespace's loopback.
const DRIVER: &str = "http://127.0.0.1:9515";
const START_LIMIT: Duration = Duration::from_secs(30);
/// What a machine does that has other things to do.
const PATIENCE: Duration = Duration::from_secs(60);

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// A request to an address inside a namespace: GET, or POST with a document.
pub(crate) fn request(
    namespace: &Namespace,
    url: &str,
    document: Option<&Value>,
) -> Outcome<String> {
    let (url, document) = (url.to_owned(), document.map(Value::to_string));
    let answer = joined(namespace.spawn(move || {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .build()
            .into();
        let answer = match document {
            None => agent.get(&url).call(),
            Some(document) => agent
                .post(&url)
                .content_type("application/json")
                .send(&document),
        };
        let read =
            |mut answer: ureq::http::Response<ureq::Body>| answer.body_mut().read_to_string();
        let text = answer.and_then(read);
        text.map_err(|error| std::io::Error::other(format!("{url}: {error}")))
    }));
    Ok(answer?)
}

/// One window. Dropping it ends the driver, and the browser with it.
pub(crate) struct Browser {
    namespace: Namespace,
    session: String,
    _driver: Process,
}

impl Browser {
    /// Starts it in a namespace; what it keeps goes into `directory`.
    pub(crate) fn start(namespace: &Namespace, directory: &Path) -> Outcome<Self> {
        let mut command: Command = namespace.command("chromedriver");
        command.args(["--port=9515", "--silent"]);
        let mut driver = Process::start(&mut command, &directory.join("chromedriver.log"))?;
        let deadline = Instant::now() + START_LIMIT;
        while request(namespace, &format!("{DRIVER}/status"), None).is_err() {
            if let Some(status) = driver.ended()? {
                return Err(format!("chromedriver ended: {status}: {}", driver.output()).into());
            }
            if Instant::now() > deadline {
                return Err("chromedriver does not answer".into());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let profile = directory.join("chromium");
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1280,900",
            &format!("--user-data-dir={}", profile.display()),
        ];
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let answer = request(namespace, &format!("{DRIVER}/session"), Some(&wanted))?;
        let answer: Value = serde_json::from_str(&answer)?;
        let session = answer["value"]["sessionId"].as_str();
        let session = session.ok_or("no session")?.to_owned();
        Ok(Self {
            namespace: namespace.clone(),
            session,
            _driver: driver,
        })
    }

    fn tell(&self, command: &str, document: &Value) -> Outcome<Value> {
        let url = format!("{DRIVER}/session/{}/{command}", self.session);
        let answer = request(&self.namespace, &url, Some(document))?;
        let mut answer: Value = serde_json::from_str(&answer)?;
        Ok(answer["value"].take())
    }

    pub(crate) fn open(&self, url: &str) -> Outcome<()> {
        self.tell("url", &json!({ "url": url })).map(drop)
    }

    /// What a piece of JavaScript returns.
    pub(crate) fn evaluate(&self, script: &str) -> Outcome<Value> {
        self.tell("execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Waits until a piece of JavaScript returns something that is true, and gives that.
    pub(crate) fn wait_for(&self, script: &str) -> Outcome<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let value = self.evaluate(script)?;
            if !matches!(value, Value::Null | Value::Bool(false)) {
                return Ok(value);
            }
            if Instant::now() > deadline {
                let seen = self.evaluate("return document.body.innerText")?;
                return Err(format!("never true: {script}\nthe page says: {seen}").into());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// A command of Chromium's own protocol.
    fn chromium(&self, command: &str, parameters: &Value) -> Outcome<Value> {
        let document = json!({ "cmd": command, "params": parameters });
        self.tell("goog/cdp/execute", &document)
    }

    /// The window as PNG.
    pub(crate) fn screenshot(&self) -> Outcome<Vec<u8>> {
        let shot = self.chromium("Page.captureScreenshot", &json!({}))?;
        let data = shot["data"].as_str().ok_or("no picture")?;
        Ok(BASE64_STANDARD.decode(data)?)
    }

    /// Has the user prefer `light` or `dark`.
    pub(crate) fn prefer(&self, scheme: &str) -> Outcome<()> {
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        let media = json!({ "features": [feature] });
        self.chromium("Emulation.setEmulatedMedia", &media)
            .map(drop)
    }

    /// Makes the window one of a small telephone.
    pub(crate) fn be_a_phone(&self) -> Outcome<()> {
        let phone = json!({ "width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": true });
        self.chromium("Emulation.setDeviceMetricsOverride", &phone)
            .map(drop)
    }

    /// What the page's scripts and the browser complained of.
    pub(crate) fn complaints(&self) -> Outcome<Vec<String>> {
        let log = self.tell("se/log", &json!({ "type": "browser" }))?;
        let lines = log.as_array().cloned().unwrap_or_default();
        let bad = lines.iter().filter(|line| line["level"] == "SEVERE");
        Ok(bad.map(|line| line["message"].to_string()).collect())
    }
}
