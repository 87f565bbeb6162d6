//! The language of an answer.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT_LANGUAGE, COOKIE};
use axum::http::request::Parts;

/// The cookie by which a person chose a language; it says nothing else.
const CHOSEN: &str = "lang";

/// The language of an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Language {
    /// 中文.
    #[default]
    Zh,
    /// English.
    En,
}

impl Language {
    /// The text of this language.
    pub fn pick<'t>(self, zh: &'t str, en: &'t str) -> &'t str {
        match self {
            Self::Zh => zh,
            Self::En => en,
        }
    }

    /// Its tag, for `lang` of a page.
    pub fn tag(self) -> &'static str {
        self.pick("zh-CN", "en")
    }

    /// What a request asks for: the language a person chose, else the first of the two that
    /// `Accept-Language` names, else Chinese.
    pub fn of(headers: &HeaderMap) -> Self {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let chosen = cookies
            .flat_map(|text| text.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(name, _)| *name == CHOSEN);
        match chosen {
            Some((_, "en")) => return Self::En,
            Some((_, "zh")) => return Self::Zh,
            _ => {}
        }
        let accepted = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let first = accepted.unwrap_or_default().split(',').find_map(|part| {
            let word = part.trim().to_ascii_lowercase();
            match word.get(..2) {
                Some("zh") => Some(Self::Zh),
                Some("en") => Some(Self::En),
                _ => None,
            }
        });
        first.unwrap_or_default()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Language {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::of(&parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_comes_before_what_the_browser_says() {
        let of = |accept: &str, cookie: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_LANGUAGE, accept.parse().unwrap());
            headers.insert(COOKIE, cookie.parse().unwrap());
            Language::of(&headers)
        };
        assert_eq!(of("zh-CN,zh;q=0.9,en;q=0.8", "a=b"), Language::Zh);
        assert_eq!(of("en-GB,en;q=0.9", "a=b"), Language::En);
        assert_eq!(of("de", ""), Language::Zh);
        assert_eq!(of("en", "x=1; lang=zh"), Language::Zh);
    }
}
