//! Errors and hints in the reader's language.
//!
//! Messages are written in English where they arise; each stable code also has a Chinese
//! sentence and, where something can be done, a Chinese hint. Details stay as they are.

use huiliu_core::config::Faults;

use crate::cli::Language;

/// One code: what it means, what to do.
type Entry = (&'static str, &'static str, &'static str);

const CHINESE: &[Entry] = &[];

/// An error as it is printed.
pub(crate) fn failure(code: &str, message: &str, hint: Option<&str>, to: Language) -> String {
    let hint_line = hint.map(|hint| format!("  hint: {hint}\n")).unwrap_or_default();
    match (to, CHINESE.iter().find(|entry| entry.0 == code)) {
        (Language::Zh, Some((_, meaning, todo))) => {
            let todo = if todo.is_empty() { String::new() } else { format!("  建议：{todo}\n") };
            format!("错误[{code}]：{meaning}\n  详情：{message}\n{todo}")
        }
        (Language::Zh, None) => format!("错误[{code}]：{message}\n{hint_line}"),
        (Language::En, _) => format!("error[{code}]: {message}\n{hint_line}"),
    }
}

/// The faults of the configuration as they are printed.
pub(crate) fn faults(faults: &Faults, to: Language) -> String {
    let text = faults.render();
    match to {
        Language::En => text,
        Language::Zh => text.replace("error: ", "配置错误：").replace("  hint: ", "  建议："),
    }
}
