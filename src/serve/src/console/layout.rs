//! The frame of every page: head, navigation, crumbs, what was just done.

use huiliu_core::access::{Permission, Role};
use maud::{DOCTYPE, Markup, html};

use super::format::Times;
use super::icon::{Icon, mark};
use super::words::{Tone, role};
use crate::web::Language;

/// Where the style is.
pub(crate) const STYLE: &str = "/static/console.css";
/// Where the script is.
pub(crate) const SCRIPT: &str = "/static/console.js";
/// Where the sign of the hub is.
pub(crate) const SIGN: &str = "/static/huiliu.svg";

/// Who looks at a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reader {
    /// The name to sign in with.
    pub(crate) name: String,
    /// The name for people.
    pub(crate) title: String,
    /// What they may do.
    pub(crate) role: Role,
}

/// What was just done, or went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flash {
    /// How it went.
    pub(crate) tone: Tone,
    /// What happened.
    pub(crate) text: String,
}

/// Everything that pages need to know beside what they show.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    /// The language.
    pub(crate) language: Language,
    /// How times are written.
    pub(crate) times: Times,
    /// The office whose hub it is.
    pub(crate) office: String,
    /// Who looks; nobody before signing in.
    pub(crate) reader: Option<Reader>,
    /// What a form must bring along.
    pub(crate) csrf: String,
    /// The address of this page, with what is asked of it.
    pub(crate) here: String,
    /// What was just done.
    pub(crate) flash: Option<Flash>,
}

impl Page {
    /// The text of the reader's language.
    pub(crate) fn t<'a>(&self, en: &'a str, zh: &'a str) -> &'a str {
        self.language.pick(zh, en)
    }

    /// Whether the reader may do something.
    pub(crate) fn may(&self, permission: Permission) -> bool {
        self.reader.as_ref().is_some_and(|reader| reader.role.may(permission))
    }

    /// The path of this page.
    fn path(&self) -> &str {
        self.here.split('?').next().unwrap_or("/")
    }
}

/// A step on the way to a page: its name, and where it is.
pub(crate) type Crumb = (String, String);

/// What a page is.
pub(crate) struct Sheet {
    /// Its title, which is its heading too.
    pub(crate) title: String,
    /// What it is about, under the heading.
    pub(crate) lead: Markup,
    /// The pages it is under.
    pub(crate) crumbs: Vec<Crumb>,
    /// What can be done with the whole of it, beside the heading.
    pub(crate) actions: Markup,
    /// What it says.
    pub(crate) body: Markup,
    /// Seconds after which it is shown anew where no script does it.
    pub(crate) refresh: Option<u32>,
}

impl Sheet {
    /// A page with a title.
    pub(crate) fn new(title: impl Into<String>, body: Markup) -> Self {
        Self {
            title: title.into(),
            lead: html! {},
            crumbs: Vec::new(),
            actions: html! {},
            body,
            refresh: None,
        }
    }

    /// With a line under the heading.
    pub(crate) fn lead(self, lead: Markup) -> Self {
        Self { lead, ..self }
    }

    /// Under another page.
    pub(crate) fn under(mut self, name: impl Into<String>, path: impl Into<String>) -> Self {
        self.crumbs.push((name.into(), path.into()));
        self
    }

    /// With something that can be done.
    pub(crate) fn actions(self, actions: Markup) -> Self {
        Self { actions, ..self }
    }

    /// Shown anew after some seconds.
    pub(crate) fn refresh(self, seconds: u32) -> Self {
        Self { refresh: Some(seconds), ..self }
    }
}

/// A place of the console.
pub(crate) struct Place {
    /// Its address.
    pub(crate) path: &'static str,
    /// Its name in English.
    pub(crate) en: &'static str,
    /// Its name in Chinese.
    pub(crate) zh: &'static str,
    /// What it asks for.
    pub(crate) needs: Permission,
    icon: Icon,
}

const fn place(
    path: &'static str,
    (en, zh): (&'static str, &'static str),
    needs: Permission,
    icon: Icon,
) -> Place {
    Place { path, en, zh, needs, icon }
}

/// The places by what they have in common.
pub(crate) const PLACES: [(&str, &str, &[Place]); 4] = [
    (
        "Data",
        "数据",
        &[
            place("/", ("Today", "今日总览"), Permission::Operations, Icon::Day),
            place("/figures", ("Figures", "指标"), Permission::Figures, Icon::Figure),
            place(
                "/differences",
                ("Differences", "差异台账"),
                Permission::Records,
                Icon::Difference,
            ),
            place("/trace", ("Trace", "办件追踪"), Permission::Records, Icon::Trace),
            place("/sql", ("SQL", "SQL 查询"), Permission::Query, Icon::Query),
        ],
    ),
    (
        "Running",
        "运行",
        &[
            place("/systems", ("Systems", "系统登记"), Permission::Operations, Icon::System),
            place("/runs", ("Runs", "运行记录"), Permission::Operations, Icon::Run),
            place("/jobs", ("Jobs", "作业"), Permission::Operations, Icon::Job),
            place("/alerts", ("Alerts", "告警"), Permission::Operations, Icon::Alert),
        ],
    ),
    (
        "To handle",
        "处置",
        &[
            place("/quarantine", ("Quarantine", "隔离区"), Permission::Records, Icon::Quarantine),
            place("/pushes", ("Pushes", "推送与回执"), Permission::Operations, Icon::Push),
            place("/repairs", ("Repairs", "更正"), Permission::Records, Icon::Repair),
        ],
    ),
    (
        "Keeping",
        "管理",
        &[
            place("/users", ("Users", "用户"), Permission::Accounts, Icon::User),
            place("/tokens", ("Tokens", "令牌"), Permission::Accounts, Icon::Token),
            place("/audit", ("Audit", "审计"), Permission::Audit, Icon::Audit),
        ],
    ),
];

/// A whole page, with navigation for who has signed in.
pub(crate) fn document(page: &Page, sheet: &Sheet) -> Markup {
    let name = page.t("Huiliu", "汇流");
    let body = html! {
        @if page.reader.is_some() {
            a.skip href="#main" { (page.t("Skip to the content", "跳到正文")) }
            div.shell {
                (side(page))
                main #main tabindex="-1" {
                    (crumbs(page, sheet))
                    (flash(page))
                    div.head {
                        div.headline {
                            h1 { (sheet.title) }
                            div.lead { (sheet.lead) }
                        }
                        div.actions { (sheet.actions) }
                    }
                    (sheet.body)
                }
            }
        } @else {
            main.door #main {
                div.doorhead {
                    (mark())
                    p.brandname { (name) }
                    p.office { (page.office) }
                }
                div.doorcard {
                    h1 { (sheet.title) }
                    (flash(page))
                    div.lead { (sheet.lead) }
                    (sheet.body)
                }
                div.doorfoot { (languages(page)) }
            }
        }
    };
    html! {
        (DOCTYPE)
        html lang=(page.language.tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light";
                meta name="referrer" content="same-origin";
                @if let Some(seconds) = sheet.refresh {
                    noscript { meta http-equiv="refresh" content=(seconds); }
                }
                title { (sheet.title) " · " (name) }
                link rel="icon" href=(SIGN) type="image/svg+xml";
                link rel="stylesheet" href=(STYLE);
                script src=(SCRIPT) defer {}
            }
            body { (body) }
        }
    }
}

fn side(page: &Page) -> Markup {
    html! {
        header.side {
            a.brand href=(home(page)) {
                (mark())
                span { b { (page.t("Huiliu", "汇流")) } small { (page.office) } }
            }
            // Opens the navigation where there is no room for it; without a script too.
            input.menu #menu type="checkbox" aria-controls="nav" aria-label=(page.t("Navigation", "导航菜单"));
            label.menulabel for="menu" aria-hidden="true" { (page.t("Menu", "菜单")) }
            div.sidebody #nav {
                nav aria-label=(page.t("Main", "主导航")) {
                    @for (en, zh, places) in PLACES {
                        @let mine: Vec<&Place> = places.iter().filter(|place| page.may(place.needs)).collect();
                        @if !mine.is_empty() {
                            p.navgroup { (page.t(en, zh)) }
                            ul {
                                @for place in mine { li { (nav_link(page, place)) } }
                            }
                        }
                    }
                }
                (reader(page))
            }
        }
    }
}

/// The first place that the reader may see.
pub(crate) fn home(page: &Page) -> &'static str {
    let mut places = PLACES.iter().flat_map(|(_, _, places)| places.iter());
    places.find(|place| page.may(place.needs)).map_or("/", |place| place.path)
}

fn nav_link(page: &Page, place: &Place) -> Markup {
    let path = page.path();
    let is_here = path == place.path
        || (place.path != "/"
            && path.starts_with(place.path)
            && path[place.path.len()..].starts_with('/'));
    html! {
        a href=(place.path) aria-current=[is_here.then_some("page")] {
            (place.icon.draw()) (page.t(place.en, place.zh))
        }
    }
}

fn reader(page: &Page) -> Markup {
    let Some(reader) = &page.reader else { return html! {} };
    let title = if reader.title.is_empty() { &reader.name } else { &reader.title };
    html! {
        div.reader {
            p { b { (title) } " " span.soft { (role(reader.role, page.language)) } }
            p.readerlinks {
                a href="/account" { (page.t("My account", "我的账号")) }
                (languages(page))
            }
            form method="post" action="/logout" {
                (token(page))
                button.quiet type="submit" { (page.t("Sign out", "退出登录")) }
            }
        }
    }
}

/// The hidden field that shows that a form is ours.
pub(crate) fn token(page: &Page) -> Markup {
    html! { input type="hidden" name="csrf" value=(page.csrf); }
}

fn languages(page: &Page) -> Markup {
    let (other, name) = match page.language {
        Language::Zh => (Language::En, "English"),
        Language::En => (Language::Zh, "中文"),
    };
    let back: String = form_urlencoded::byte_serialize(page.here.as_bytes()).collect();
    html! {
        a.language href=(format!("/language/{}?to={back}", word(other))) lang=(other.tag())
            hreflang=(other.tag()) { (name) }
    }
}

/// The word of a language in an address and a cookie.
pub(crate) fn word(language: Language) -> &'static str {
    language.pick("zh", "en")
}

fn crumbs(page: &Page, sheet: &Sheet) -> Markup {
    html! {
        @if !sheet.crumbs.is_empty() {
            nav.crumbs aria-label=(page.t("You are here", "当前位置")) {
                ol {
                    @for (name, path) in &sheet.crumbs { li { a href=(path) { (name) } } }
                    li aria-current="page" { (sheet.title) }
                }
            }
        }
    }
}

fn flash(page: &Page) -> Markup {
    html! {
        @if let Some(flash) = &page.flash {
            div.flash.(flash.tone.class()) role="status" {
                span.sign aria-hidden="true" { (flash.tone.sign()) }
                p { (flash.text) }
            }
        }
    }
}
