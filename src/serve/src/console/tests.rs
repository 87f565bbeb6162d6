//! What holds for every page, whatever it shows and whoever looks.

mod every;
mod sample;

use huiliu_core::access::Role;

use self::every::pages;
use self::sample::Look;
use super::ROUTES;
use super::layout::{Page, Sheet, document};
use crate::web::{Language, Need};

const EVIL: &str = "<img src=x onerror=alert(1)>\"'&";

fn look(role: Option<Role>, language: Language) -> Page {
    Look { role, language }.page()
}

/// All pages as text, with their names.
fn rendered(role: Option<Role>, language: Language, text: &str) -> Vec<(&'static str, String)> {
    let page = look(role, language);
    let all = pages(&page, text).into_iter();
    all.map(|(name, sheet)| (name, whole(&page, &sheet))).collect()
}

fn whole(page: &Page, sheet: &Sheet) -> String {
    document(page, sheet).into_string()
}

#[test]
fn every_page_has_a_title_one_heading_and_its_language() {
    for language in [Language::Zh, Language::En] {
        for (name, html) in rendered(Some(Role::Operator), language, "text") {
            let start = format!("<!DOCTYPE html><html lang=\"{}\">", language.tag());
            assert!(html.starts_with(&start), "{name}");
            assert_eq!(html.matches("<h1>").count(), 1, "{name}");
            assert!(!html.contains("<title> ·"), "{name} has a title");
            assert!(
                html.contains("<main") && html.contains("class=\"skip\" href=\"#main\""),
                "{name}"
            );
        }
    }
}

#[test]
fn nothing_in_the_data_becomes_markup() {
    for (name, html) in rendered(Some(Role::Operator), Language::Zh, EVIL) {
        assert!(!html.contains("<img"), "{name}: {html}");
        assert!(!html.contains("onerror=alert(1)>\""), "{name}");
    }
}

#[test]
fn pages_hold_no_style_no_script_and_no_other_site() {
    for role in Role::ALL {
        for (name, html) in rendered(Some(role), Language::Zh, "text") {
            for outside in [
                " style=",
                "<style",
                "javascript:",
                "http://",
                "https://",
                "url(",
                " onclick",
                " onload",
            ] {
                assert!(!html.contains(outside), "{name} has {outside}");
            }
            assert_eq!(html.matches("<script").count(), 1, "{name}");
            assert!(html.contains("<script src=\"/static/console.js\" defer></script>"), "{name}");
        }
    }
}

#[test]
fn english_pages_have_no_chinese_word_and_chinese_ones_do() {
    let is_han = |letter: char| {
        ('\u{3400}'..='\u{9fff}').contains(&letter) || "，。：；、（）".contains(letter)
    };
    for role in Role::ALL {
        for (name, html) in rendered(Some(role), Language::En, "text") {
            // The switch to the other language is in that language.
            let html = html.replace("中文", "");
            let at = html.find(is_han).unwrap_or(html.len());
            let around: String = html.get(at..).unwrap_or_default().chars().take(30).collect();
            assert_eq!(around, "", "{name}");
        }
        for (name, html) in rendered(Some(role), Language::Zh, "text") {
            assert!(html.contains(is_han), "{name}");
        }
    }
}

/// What stands between `begin` and the next quote, everywhere.
fn each<'h>(html: &'h str, begin: &'h str) -> impl Iterator<Item = &'h str> {
    html.split(begin).skip(1).filter_map(|rest| rest.split('"').next())
}

/// The need of the row that answers to a path; none when there is no such row.
fn need(method: &str, path: &str) -> Option<Need> {
    let parts: Vec<&str> = path.split(['?', '#']).next()?.split('/').collect();
    let fits = |row: &&crate::web::Route| {
        let row_parts: Vec<&str> = row.path.split('/').collect();
        row.method == method
            && row_parts.len() == parts.len()
            && row_parts
                .iter()
                .zip(&parts)
                .all(|(row, part)| row == part || (row.starts_with('{') && !part.is_empty()))
    };
    // A row without what varies is meant before one with it.
    let mut rows: Vec<&crate::web::Route> = ROUTES.iter().filter(fits).collect();
    rows.sort_by_key(|row| row.path.contains('{'));
    rows.first().map(|row| row.need)
}

#[test]
fn links_and_forms_lead_where_the_reader_may_go() {
    for role in Role::ALL {
        for (name, html) in rendered(Some(role), Language::Zh, "text") {
            // Pages that the role never sees are drawn here all the same; their links are judged
            // where the role has them.
            let is_seen = need("GET", sample::path_of(name)).is_some_and(|need| is_for(need, role));
            if !is_seen {
                continue;
            }
            for path in each(&html, "<a href=\"")
                .chain(each(&html, "\" href=\""))
                .filter(|p| p.starts_with('/'))
            {
                let need = need("GET", path);
                let need = need.unwrap_or_else(|| panic!("{name} links to {path}"));
                assert!(is_for(need, role), "{name} shows {role} a link to {path}");
            }
            for path in each(&html, "method=\"post\" action=\"").chain(each(&html, "formaction=\""))
            {
                let need = need("POST", path).unwrap_or_else(|| panic!("{name} posts to {path}"));
                assert!(is_for(need, role), "{name} shows {role} a form to {path}");
            }
        }
    }
}

fn is_for(need: Need, role: Role) -> bool {
    match need {
        Need::Permission(permission) => role.may(permission),
        Need::Nothing | Need::Login | Need::User => true,
    }
}

#[test]
fn forms_that_change_something_bring_their_token_and_fields_have_labels() {
    for role in Role::ALL {
        for (name, html) in rendered(Some(role), Language::Zh, "text") {
            for form in html.split("<form").skip(1) {
                let form = form.split("</form>").next().unwrap_or_default();
                if form.starts_with(" method=\"post\"") || form.contains(" method=\"post\"") {
                    assert!(form.contains("name=\"csrf\" value=\"token\""), "{name}: {form}");
                }
                for field in form.split("<input").skip(1) {
                    let field = field.split('>').next().unwrap_or_default();
                    let is_named = field.contains("type=\"hidden\"")
                        || field.contains("aria-label")
                        || field.contains("type=\"checkbox\"")
                        || each(field, "id=\"").any(|id| form.contains(&format!("for=\"{id}\"")));
                    assert!(is_named, "{name}: {field}");
                }
            }
        }
    }
}

#[test]
fn no_two_things_on_a_page_have_one_id() {
    for (name, html) in rendered(Some(Role::Operator), Language::Zh, "text") {
        let mut seen = std::collections::BTreeSet::new();
        for id in each(&html, " id=\"") {
            assert!(seen.insert(id.to_owned()), "{name} has two of {id}");
        }
    }
}

#[test]
fn each_row_is_named_once_and_its_path_answers_once_to_a_method() {
    let mut names = std::collections::BTreeSet::new();
    let mut paths = std::collections::BTreeSet::new();
    for row in ROUTES {
        assert!(names.insert(row.name), "{}", row.name);
        assert!(paths.insert((row.method, row.path)), "{} {}", row.method, row.path);
    }
}

#[test]
fn the_door_shows_nothing_of_the_inside() {
    for (name, html) in rendered(None, Language::Zh, "text") {
        if ["login", "setup", "password", "mistake"].contains(&name) {
            assert!(!html.contains("<nav"), "{name}");
        }
    }
}
