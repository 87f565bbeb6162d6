//! The console in a real browser over the demo's data: every page in both languages, wide and
//! narrow, and what people do there.

use crate::browser::Browser;
use crate::hub::Hub;
use crate::service::Service;

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
        Self { browser, base: service.web.clone() }
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
