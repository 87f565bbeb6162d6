//! The console in a real browser over the demo's data: every page in both languages, wide and
//! narrow, and what people do there.

use crate::browser::Browser;
use crate::hub::Hub;
use crate::serve::Service;
use crate::stop::terminate;

const PASSWORD: &str = "Lotus-kettle-9-orbit";
const OTHER: &str = "Copper-meadow-7-tide";

/// Somebody with a role, looking at the hub.
struct Desk {
    browser: Browser,
    base: String,
}

impl Desk {
    fn new(service: &Service, language: &str) -> Self {
        let mut browser = Browser::start(language);
        browser.size(1440, 900);
        Self { browser, base: format!("http://{}", service.web) }
    }

    fn open(&mut self, path: &str) {
        let address = format!("{}{path}", self.base);
        self.browser.open(&address);
    }

    fn path(&mut self) -> String {
        let path = self.browser.ask("location.pathname + location.search");
        path.as_str().unwrap().to_owned()
    }

    fn sign_in(&mut self, name: &str, password: &str) {
        self.open("/login");
        self.browser.write("name", name);
        self.browser.write("password", password);
        self.browser.click("main button.primary");
    }

    /// Signs in for the first time, when the password must be changed.
    fn begin(&mut self, name: &str) {
        self.sign_in(name, PASSWORD);
        assert_eq!(self.path(), "/password", "{}", self.browser.text());
        self.browser.write("old", PASSWORD);
        self.browser.write("new", OTHER);
        self.browser.write("again", OTHER);
        self.browser.click("main button.primary");
    }

    fn says(&mut self, words: &str) {
        let text = self.browser.text();
        assert!(text.contains(words), "{words} is not in: {text}");
    }

    /// Looks at a page in both languages, wide and narrow. Nothing within it may go wrong, and it
    /// may not be wider than the window.
    fn look(&mut self, path: &str, name: &str) {
        for language in ["zh", "en"] {
            for (width, height) in [(1440, 900), (390, 844)] {
                self.browser.size(width, height);
                self.open(&format!("/language/{language}?to={path}"));
                let html = self.browser.ask("document.documentElement.lang");
                assert!(html.as_str().unwrap().starts_with(language), "{path} in {language}");
                let heading = self.browser.ask("document.querySelectorAll('h1').length");
                assert_eq!(heading, 1, "{path} has one heading");
                assert!(self.browser.overhang() <= 0, "{path} is wider than {width} pixels");
                if let Some(folder) = std::env::var_os("HUILIU_TEST_PICTURES") {
                    let file = format!("{name}-{language}-{width}.png");
                    self.browser.picture(&std::path::Path::new(&folder).join(file));
                }
            }
        }
        self.browser.size(1440, 900);
        self.open(&format!("/language/zh?to={path}"));
        assert_eq!(self.browser.complaints(), [""; 0], "{path}");
    }

    /// The address of the first link of the page that a selector finds.
    fn link(&mut self, selector: &str) -> String {
        let asked = format!("(document.querySelector({selector:?}) || {{}}).pathname || ''");
        let path = self.browser.ask(&asked).as_str().unwrap().to_owned();
        assert!(!path.is_empty(), "{selector} is not on {}: {}", self.path(), self.browser.text());
        path
    }
}

/// The administrator makes the first account with the token, and then those of the others.
fn make_accounts(service: &Service) -> Desk {
    let mut admin = Desk::new(service, "zh-CN");
    admin.open("/");
    assert_eq!(admin.path(), "/setup", "nobody is let in, and there is nobody yet");
    admin.look("/setup", "setup");
    admin.browser.write("token", "wrong");
    admin.browser.write("name", "guan");
    admin.browser.write("password", OTHER);
    admin.browser.write("again", OTHER);
    admin.browser.click("main button.primary");
    admin.says("创建第一个账号");
    // Two answers that were no success: the wrong token, and nothing else.
    admin.browser.complaints();
    admin.browser.write("token", service.first.as_deref().unwrap());
    admin.browser.write("password", OTHER);
    admin.browser.write("again", OTHER);
    admin.browser.click("main button.primary");
    admin.says("管理员");
    for (name, role) in [("cao", "operator"), ("fen", "analyst"), ("shen", "auditor")] {
        admin.open("/users");
        admin.browser.write("name", name);
        admin.browser.write("title", "测试");
        admin.browser.write("role", role);
        admin.browser.write("password", PASSWORD);
        admin.browser.click("main form[action='/users'] button.primary");
        admin.says("账号已创建");
    }
    admin
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_whole_in_both_languages_wide_and_narrow() {
    let hub = Hub::edited();
    hub.demo(61);
    let mut service = Service::start(&hub).await;
    let mut admin = make_accounts(&service);
    for (path, name) in [
        ("/", "overview-admin"),
        ("/users", "users"),
        ("/users/cao", "user"),
        ("/tokens", "tokens"),
        ("/account", "account"),
    ] {
        admin.look(path, name);
    }

    let mut operator = Desk::new(&service, "zh-CN");
    operator.begin("cao");
    operator.look("/", "overview");
    operator.look("/figures", "figures");
    operator.look("/figures/online_able_ratio", "metric");
    operator.look("/figures/online_able_ratio/rows", "metric-rows");
    operator.look("/figures/online_able_ratio/change", "metric-change");
    operator.look("/differences", "differences");
    operator.look("/trace", "trace-empty");
    operator.look("/systems", "systems");
    operator.look("/systems/city_cases", "system");
    operator.look("/runs", "runs");
    operator.look("/runs/1", "run");
    operator.look("/jobs", "jobs");
    let job = operator.link("main table a[href^='/jobs/']");
    operator.look(&job, "job");
    operator.look("/alerts", "alerts");
    operator.look("/quarantine", "quarantine");
    let row = operator.link("main table a[href^='/quarantine/']");
    operator.look(&row, "quarantine-row");
    operator.look("/pushes", "pushes");
    let push = operator.link("main table a[href^='/pushes/']");
    operator.look(&push, "push");
    operator.look("/repairs", "repairs");
    operator.look("/repairs/plan", "repair-plan");
    operator.look("/account", "account-operator");

    let mut analyst = Desk::new(&service, "en-GB");
    analyst.begin("fen");
    analyst.look("/sql", "sql");
    let mut auditor = Desk::new(&service, "zh-CN");
    auditor.begin("shen");
    let first = auditor.path();
    assert!(first.starts_with("/audit"), "the first page is one that the role has: {first}");
    auditor.look("/audit", "audit");
    auditor.browser.click("form[action='/audit/verify'] button");
    auditor.says("链条完整");

    // What a role may not see is not there for it, by whatever way it comes.
    for (desk, path) in [(&mut auditor, "/"), (&mut admin, "/figures"), (&mut analyst, "/users")] {
        desk.open(path);
        assert_eq!(desk.browser.ask("document.querySelectorAll('.trouble').length"), 1, "{path}");
        assert!(desk.browser.text().contains("E-FORBIDDEN"), "{path}");
    }
    operator.open("/nothing-here");
    operator.says("E-NO-PAGE");
    operator.open("/figures/nothing");
    operator.says("E-METRIC");
    assert_eq!(terminate(&mut service.process).await, Some(143));
}

#[tokio::test(flavor = "multi_thread")]
async fn people_do_their_work_there() {
    let hub = Hub::edited();
    hub.demo(61);
    let mut service = Service::start(&hub).await;
    let _admin = make_accounts(&service);
    let mut operator = Desk::new(&service, "zh-CN");
    operator.sign_in("cao", "not the password");
    operator.says("登录");
    assert_eq!(operator.path(), "/login");
    operator.begin("cao");
    operator.says("需要处理");

    // From the ledger, through a filter that stays in the address, to the life of a case.
    operator.open("/differences");
    operator.browser.write("rule", "missing_in_province");
    operator.browser.click("form.filters button");
    assert!(operator.path().contains("rule=missing_in_province"), "{}", operator.path());
    operator.browser.click("main table a.key-link");
    assert!(operator.path().starts_with("/trace?of="), "{}", operator.path());
    let steps = operator.browser.ask("document.querySelectorAll('.timeline li').length");
    assert!(steps.as_i64().unwrap() > 1, "{}", operator.browser.text());
    operator.says("省平台");

    // From a figure to the rows it counts.
    operator.open("/figures");
    operator.browser.click("a[href='/figures/online_able_ratio']");
    operator.says("口径细则");
    operator.browser.click("a[href='/figures/online_able_ratio/rows']");
    let rows = operator.browser.ask("document.querySelectorAll('main .scroll tbody tr').length");
    assert_eq!(rows, 50);
    operator.browser.click("a[rel=next]");
    assert!(operator.path().contains("cursor="));

    // Rows of quarantine are tried again, and a run is followed to its end.
    operator.open("/quarantine");
    operator.browser.ask("document.querySelector('main [name=id]').checked = true");
    operator.browser.write("reason", "once more");
    operator.browser.click("main .choicebar button.primary");
    operator.says("重新处理 1 行");
    operator.open("/runs");
    operator.browser.write("selector", "reconciled.cases");
    operator.browser.ask(
        "document.querySelector('main form[action=\"/runs\"] [name=reason]').value = 'a look'",
    );
    operator.browser.click("main form[action='/runs'] button.primary");
    assert!(operator.path().starts_with("/runs/"), "{}", operator.path());
    // The script loads the page anew when the run has ended.
    operator
        .browser
        .until("document.readyState == 'complete' && !document.querySelector('[data-live]')");
    operator.says("平衡");
    assert_eq!(operator.browser.complaints().len(), 1, "only the wrong password was refused");

    // A query, its answer, and the same as a file in which no text is a formula.
    let mut analyst = Desk::new(&service, "en-GB");
    analyst.begin("fen");
    analyst.open("/sql");
    let sql = "select key, '=1+1' as formula from metrics.figures where key = 'items_total'";
    analyst.browser.write("sql", sql);
    analyst.browser.click("main button[value=run]");
    analyst.says("items_total");
    let csv = String::from_utf8(analyst.browser.download("main button[value=csv]")).unwrap();
    let lines: Vec<&str> = csv.trim_start_matches('\u{feff}').lines().collect();
    assert_eq!(lines[..2], ["key,formula", "items_total,'=1+1"]);
    assert!(lines[2].starts_with("fen "), "the last line says who took it: {lines:?}");
    let book = analyst.browser.download("main button[value=xlsx]");
    assert!(book.starts_with(b"PK"));
    analyst.browser.write("sql", "delete from metrics.figures");
    analyst.browser.click("main button[value=run]");
    analyst.says("E-SQL");
    assert_eq!(terminate(&mut service.process).await, Some(143));
}
