//! The console in a real browser over the demo's data: every page in both languages, wide and
//! narrow, and what people do there.

use std::collections::BTreeSet;

use huiliu_serve::console_routes;
use huiliu_serve::web::Route;
use serde_json::json;

use crate::browser::Browser;
use crate::hub::Hub;
use crate::serve::Service;
use crate::stop::terminate;

const PASSWORD: &str = "Lotus-kettle-9-orbit";
const OTHER: &str = "Copper-meadow-7-tide";

/// How wide and high windows are.
const SIZES: [(u32, u32); 2] = [(1440, 900), (390, 844)];
/// What the console answers to that is no page: its files, the choice of a language, a run as it goes.
const NO_PAGES: [&str; 5] =
    ["page_style", "page_script", "page_sign", "page_language", "page_run_live"];
/// More stops than any page has before its filter.
const STOPS: usize = 80;

/// The row of the console that answers to a path.
fn page_of(path: &str) -> &'static str {
    let path = path.split('?').next().unwrap_or_default();
    let parts: Vec<&str> = path.split('/').collect();
    let fits = |route: &&Route| {
        let own: Vec<&str> = route.path.split('/').collect();
        let same = |(own, part): (&&str, &&str)| own == part || own.starts_with('{');
        route.method == "GET" && own.len() == parts.len() && own.iter().zip(&parts).all(same)
    };
    let mut found: Vec<&Route> = console_routes().iter().filter(fits).collect();
    // A row without what varies is meant before one with it.
    found.sort_by_key(|route| route.path.contains('{'));
    found.first().unwrap_or_else(|| panic!("no page answers to {path}")).name
}

/// Somebody with a role, looking at the hub.
struct Desk {
    browser: Browser,
    base: String,
    /// The pages that were looked at.
    looked: BTreeSet<&'static str>,
}

impl Desk {
    fn new(service: &Service, language: &str) -> Self {
        let mut browser = Browser::start(language);
        browser.size(1440, 900);
        Self { browser, base: format!("http://{}", service.web), looked: BTreeSet::new() }
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
        self.change_password();
    }

    fn change_password(&mut self) {
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
        self.looked.insert(page_of(path));
        // As one value of the address.
        let to = path.replace('%', "%25").replace('&', "%26").replace('+', "%2B");
        for language in ["zh", "en"] {
            for (width, height) in SIZES {
                self.browser.size(width, height);
                self.open(&format!("/language/{language}?to={to}"));
                assert_eq!(self.path(), path, "it leads elsewhere");
                let html = self.browser.ask("document.documentElement.lang");
                assert!(html.as_str().unwrap().starts_with(language), "{path} in {language}");
                self.whole(&format!("{name}-{language}"), width);
            }
        }
        self.browser.size(1440, 900);
        self.open(&format!("/language/zh?to={to}"));
        assert_eq!(self.browser.complaints(), [""; 0], "{path}");
    }

    /// Looks at the page as it stands, which no address leads to, wide and narrow.
    fn stay(&mut self, name: &str) {
        for (width, height) in SIZES {
            self.browser.size(width, height);
            self.whole(name, width);
        }
        self.browser.size(1440, 900);
    }

    fn whole(&mut self, name: &str, width: u32) {
        let heading = self.browser.ask("document.querySelectorAll('h1').length");
        assert_eq!(heading, 1, "{name} has one heading");
        assert!(self.browser.overhang() <= 0, "{name} is wider than {width} pixels");
        if let Some(folder) = std::env::var_os("HUILIU_TEST_PICTURES") {
            let file = format!("{name}-{width}.png");
            self.browser.picture(&std::path::Path::new(&folder).join(file));
        }
    }

    /// Goes by Tab alone to what a selector finds. Whatever has the focus on the way can be seen, and
    /// where it ends it is marked.
    fn tab_to(&mut self, selector: &str) {
        let asked = format!(
            "(() => {{ const at = document.activeElement, box = at.getBoundingClientRect();
               const style = getComputedStyle(at);
               return {{ isThere: at.matches({selector}), isPage: at === document.body,
                 isSeen: box.width > 0 && box.height > 0 && style.visibility === 'visible',
                 isMarked: style.outlineStyle !== 'none', html: at.outerHTML.slice(0, 200) }}; }})()",
            selector = json!(selector)
        );
        for _ in 0..STOPS {
            self.browser.press("Tab");
            let at = self.browser.ask(&asked);
            assert!(at["isPage"] == true || at["isSeen"] == true, "the focus is hidden: {at}");
            if at["isThere"] == true {
                assert_eq!(at["isMarked"], true, "the focus is not marked: {at}");
                return;
            }
        }
        panic!("Tab never comes to {selector} on {}", self.path());
    }

    /// The address of the first link that a selector finds, with what is asked.
    fn address(&mut self, selector: &str) -> String {
        let path = self.link(selector);
        let asked = format!("document.querySelector({}).search", json!(selector));
        format!("{path}{}", self.browser.ask(&asked).as_str().unwrap())
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
    hub.prepared(61);
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

    let mut nobody = Desk::new(&service, "zh-CN");
    nobody.look("/login", "login");
    let mut operator = Desk::new(&service, "zh-CN");
    operator.sign_in("cao", PASSWORD);
    operator.look("/password", "password");
    operator.change_password();
    operator.look("/", "overview");
    operator.look("/figures", "figures");
    operator.look("/figures/online_able_ratio", "metric");
    operator.look("/figures/online_able_ratio/rows", "metric-rows");
    operator.look("/figures/online_able_ratio/change", "metric-change");
    operator.look("/differences", "differences");
    operator.look("/trace", "trace-empty");
    operator.open("/differences?rule=missing_in_province");
    let life = operator.address("main table a.key-link");
    operator.look(&life, "trace");
    let steps = operator.browser.ask("document.querySelectorAll('.timeline li').length");
    assert!(steps.as_i64().unwrap() > 1, "{}", operator.browser.text());
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
    operator.browser.ask("document.querySelector('main details.starter').open = true");
    operator.browser.write("title", "看板");
    operator.browser.click("main form[action='/account/tokens'] button.primary");
    operator.says("hl_");
    operator.stay("token-made");
    assert_eq!(operator.browser.complaints(), [""; 0]);

    let mut analyst = Desk::new(&service, "en-GB");
    analyst.begin("fen");
    analyst.look("/sql", "sql");
    for language in ["en", "zh"] {
        analyst.open(&format!("/language/{language}?to=/sql"));
        let rows = "select key, title, value, definition from metrics.figures order by key";
        analyst.browser.write("sql", rows);
        analyst.browser.click("main button[value=run]");
        analyst.says("items_total");
        analyst.stay(&format!("sql-rows-{language}"));
        assert_eq!(analyst.browser.complaints(), [""; 0]);
        analyst.browser.write("sql", "select nothing from metrics.figures");
        analyst.browser.click("main button[value=run]");
        analyst.says("E-SQL");
        analyst.stay(&format!("sql-error-{language}"));
        assert_eq!(analyst.browser.complaints().len(), 1, "only the statement was refused");
    }
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
    by_keyboard(&service);

    let desks = [&nobody, &admin, &operator, &analyst, &auditor];
    let looked: BTreeSet<&str> = desks.iter().flat_map(|desk| desk.looked.clone()).collect();
    let pages = console_routes().iter().filter(|route| route.method == "GET");
    let pages: BTreeSet<&str> =
        pages.map(|route| route.name).filter(|name| !NO_PAGES.contains(name)).collect();
    assert_eq!(looked, pages, "every page is looked at");
    assert_eq!(terminate(&mut service.process).await, Some(143));
}

/// Somebody without a mouse logs in, finds one case in the ledger and opens its life.
fn by_keyboard(service: &Service) {
    let mut desk = Desk::new(service, "zh-CN");
    desk.open("/login");
    if desk.browser.ask("document.activeElement.name") != "name" {
        desk.tab_to("main [name=name]");
    }
    desk.browser.insert("cao");
    desk.tab_to("main [name=password]");
    desk.browser.insert(OTHER);
    desk.browser.enter();
    assert_eq!(desk.path(), "/", "{}", desk.browser.text());
    desk.tab_to("nav a[href='/differences']");
    desk.browser.enter();
    assert_eq!(desk.path(), "/differences");
    desk.open("/differences?rule=missing_in_province");
    let first = "document.querySelector('main table a.key-link').textContent.trim()";
    let key = desk.browser.ask(first).as_str().unwrap().to_owned();
    desk.tab_to("form.filters [name=key]");
    desk.browser.insert(&key);
    desk.browser.enter();
    assert!(desk.path().contains(&format!("key={key}")), "{}", desk.path());
    let others = format!(
        "[...document.querySelectorAll('main table a.key-link')]\
         .filter(link => link.textContent.trim() !== {}).length",
        json!(key)
    );
    assert_eq!(desk.browser.ask(&others), 0, "{}", desk.browser.text());
    desk.tab_to("main table a.key-link");
    desk.browser.enter();
    assert!(desk.path().starts_with("/trace?of="), "{}", desk.path());
    assert_eq!(desk.browser.complaints(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_do_their_work_there() {
    let hub = Hub::edited();
    hub.prepared(61);
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
