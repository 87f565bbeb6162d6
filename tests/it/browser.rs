//! A real Chromium without a window, told what to do over a pipe.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// How long the browser may say nothing.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser with one page open.
pub(crate) struct Browser {
    process: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    session: Option<String>,
    number: u64,
    /// Events that came while something else was waited for.
    events: Vec<Value>,
    folder: TempDir,
}

impl Browser {
    /// Starts it with an empty profile, for `language` such as `zh-CN`.
    pub(crate) fn start(language: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // The pipe is at the numbers 3 and 4, to which the shell puts what it was given.
        let script = "exec chromium --headless --no-sandbox --disable-gpu --no-first-run \
                      --disable-dev-shm-usage --disable-background-networking --hide-scrollbars \
                      --user-data-dir=\"$0\" --lang=\"$1\" --accept-lang=\"$1\" \
                      --remote-debugging-pipe 3<&0 4>&1 </dev/null >/dev/null 2>&1";
        let mut command = Command::new("sh");
        command.args(["-c", script]).arg(folder.path()).arg(language);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().expect("chromium is missing; ./test installs it");
        let to = process.stdin.take().unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap());
        let (sender, from) = channel();
        std::thread::spawn(move || {
            let mut message = Vec::new();
            while said.read_until(0, &mut message).is_ok_and(|length| length > 0) {
                let text = message.strip_suffix(&[0]).unwrap_or(&message);
                let Ok(value) = serde_json::from_slice(text) else { return };
                if sender.send(value).is_err() {
                    return;
                }
                message.clear();
            }
        });
        let (session, number, events) = (None, 0, Vec::new());
        let mut browser = Self { process, to, from, session, number, events, folder };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", attach);
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        // Keys go to the page although no window has the focus.
        browser.call("Emulation.setFocusEmulationEnabled", json!({ "enabled": true }));
        let downloads = json!({ "behavior": "allow", "downloadPath": browser.downloads(), "eventsEnabled": true });
        browser.call("Browser.setDownloadBehavior", downloads);
        browser
    }

    /// Where files go that are downloaded.
    pub(crate) fn downloads(&self) -> String {
        self.folder.path().join("downloads").display().to_string()
    }

    /// How large the page is, in pixels of the style.
    pub(crate) fn size(&mut self, width: u32, height: u32) {
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600,
        });
        self.call("Emulation.setDeviceMetricsOverride", size);
    }

    fn send(&mut self, method: &str, parameters: Value) -> u64 {
        self.number += 1;
        let mut message = json!({ "id": self.number, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        self.to.write_all(format!("{message}\0").as_bytes()).unwrap();
        self.to.flush().unwrap();
        self.number
    }

    /// The next message, which is noted if it is an event.
    fn hear(&mut self) -> Value {
        let message = self.from.recv_timeout(PATIENCE).expect("the browser says nothing");
        if message.get("method").is_some() {
            self.events.push(message.clone());
        }
        message
    }

    fn call(&mut self, method: &str, parameters: Value) -> Value {
        let number = self.send(method, parameters);
        loop {
            let message = self.hear();
            if message["id"] == number {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].clone();
            }
        }
    }

    /// Waits for an event of this name that comes after `from` noted ones.
    fn wait(&mut self, event: &str, from: usize) -> Value {
        let mut at = from;
        loop {
            while let Some(seen) = self.events.get(at) {
                if seen["method"] == event {
                    return seen["params"].clone();
                }
                at += 1;
            }
            self.hear();
        }
    }

    /// Opens an address and waits until it is there.
    pub(crate) fn open(&mut self, address: &str) {
        let from = self.events.len();
        self.call("Page.navigate", json!({ "url": address }));
        self.wait("Page.loadEventFired", from);
    }

    /// What an expression of the page's script comes to.
    pub(crate) fn ask(&mut self, expression: &str) -> Value {
        let asked =
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.call("Runtime.evaluate", asked);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Text of the page.
    pub(crate) fn text(&mut self) -> String {
        self.ask("document.body.innerText").as_str().unwrap_or_default().to_owned()
    }

    /// Writes into the field of this name.
    pub(crate) fn write(&mut self, name: &str, value: &str) {
        let script = format!(
            "document.querySelector({}).value = {}",
            json!(format!("main [name={name}]")),
            json!(value)
        );
        self.ask(&script);
    }

    /// Clicks what a selector of the style finds first, and waits for the page that follows.
    pub(crate) fn click(&mut self, selector: &str) {
        let from = self.events.len();
        let script = format!("document.querySelector({}).click()", json!(selector));
        self.ask(&script);
        self.wait("Page.loadEventFired", from);
    }

    /// Presses Tab or Enter.
    pub(crate) fn press(&mut self, key: &str) {
        let (number, text) = match key {
            "Tab" => (9, None),
            "Enter" => (13, Some("\r")),
            other => panic!("{other} is not pressed here"),
        };
        let mut event = json!({
            "type": "rawKeyDown", "key": key, "code": key,
            "windowsVirtualKeyCode": number, "nativeVirtualKeyCode": number,
        });
        if let Some(text) = text {
            event["type"] = "keyDown".into();
            event["text"] = text.into();
        }
        self.call("Input.dispatchKeyEvent", event.clone());
        event["type"] = "keyUp".into();
        if let Some(event) = event.as_object_mut() {
            event.remove("text");
        }
        self.call("Input.dispatchKeyEvent", event);
    }

    /// Presses Enter, and waits for the page that follows.
    pub(crate) fn enter(&mut self) {
        let from = self.events.len();
        self.press("Enter");
        self.wait("Page.loadEventFired", from);
    }

    /// Writes where the focus is.
    pub(crate) fn insert(&mut self, text: &str) {
        self.call("Input.insertText", json!({ "text": text }));
    }

    /// Waits until an expression is true. It is asked again whenever the browser tells anything;
    /// a page that is being left has no answer yet.
    pub(crate) fn until(&mut self, expression: &str) {
        loop {
            let asked = json!({ "expression": expression, "returnByValue": true });
            let number = self.send("Runtime.evaluate", asked);
            let answer = loop {
                let message = self.hear();
                if message["id"] == number {
                    break message;
                }
            };
            if answer["result"]["result"]["value"] == true {
                return;
            }
            self.hear();
        }
    }

    /// Clicks what brings a file, and gives its content.
    pub(crate) fn download(&mut self, selector: &str) -> Vec<u8> {
        let from = self.events.len();
        let script = format!("document.querySelector({}).click()", json!(selector));
        self.ask(&script);
        let begun = self.wait("Browser.downloadWillBegin", from);
        loop {
            let from = self.events.len();
            let done = self.events.iter().any(|event| {
                event["method"] == "Browser.downloadProgress"
                    && event["params"]["guid"] == begun["guid"]
                    && event["params"]["state"] == "completed"
            });
            if done {
                break;
            }
            self.wait("Browser.downloadProgress", from);
        }
        let name = begun["suggestedFilename"].as_str().unwrap();
        std::fs::read(Path::new(&self.downloads()).join(name)).unwrap()
    }

    /// Everything that went wrong within pages since the last time one asked.
    pub(crate) fn complaints(&mut self) -> Vec<String> {
        // What happened before this answer has been told before it.
        self.ask("1");
        let mut found = Vec::new();
        for event in self.events.drain(..) {
            let params = &event["params"];
            match event["method"].as_str() {
                Some("Runtime.exceptionThrown") => found.push(params.to_string()),
                Some("Runtime.consoleAPICalled") if params["type"] == "error" => {
                    found.push(params.to_string());
                }
                Some("Log.entryAdded") if params["entry"]["level"] == "error" => {
                    found.push(params["entry"].to_string());
                }
                _ => {}
            }
        }
        found
    }

    /// By how many pixels the page is wider than the window.
    pub(crate) fn overhang(&mut self) -> i64 {
        let script = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
        self.ask(script).as_i64().unwrap()
    }

    /// Keeps a picture of the whole page.
    pub(crate) fn picture(&mut self, file: &Path) {
        use base64::Engine as _;
        let asked = json!({ "format": "png", "captureBeyondViewport": true });
        let answer = self.call("Page.captureScreenshot", asked);
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(answer["data"].as_str().unwrap())
            .unwrap();
        std::fs::write(file, bytes).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
