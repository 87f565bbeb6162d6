//! Errors and hints in the reader's language.
//!
//! Messages are written in English where they arise; each stable code also has a Chinese
//! sentence and, where something can be done, a Chinese hint. Details stay as they are.

mod phrase;
mod table;

use huiliu_core::config::Faults;

use crate::cli::Language;

/// An error as it is printed.
pub(crate) fn failure(code: &str, message: &str, hint: Option<&str>, to: Language) -> String {
    let line = |label: &str, text: &str| match text {
        "" => String::new(),
        text => format!("  {label}{text}\n"),
    };
    let said = hint.unwrap_or_default();
    match (to, table::find(code)) {
        (Language::Zh, Some((_, meaning, todo))) => {
            let (todo, rest) = (line("建议：", todo), line("补充：", &phrase::particulars(said)));
            format!("错误[{code}]：{meaning}\n  详情：{message}\n{todo}{rest}")
        }
        (Language::Zh, None) => format!("错误[{code}]：{message}\n{}", line("建议：", said)),
        (Language::En, _) => format!("error[{code}]: {message}\n{}", line("hint: ", said)),
    }
}

/// What a code means and what can be done, in Chinese.
pub(crate) fn meaning(code: &str) -> Option<(&'static str, &'static str)> {
    table::find(code).map(|(_, meaning, todo)| (*meaning, *todo))
}

/// The faults of the configuration as they are printed.
pub(crate) fn faults(faults: &Faults, to: Language) -> String {
    if to == Language::En {
        return faults.render();
    }
    let mut faults = faults.clone();
    for fault in &mut faults.0 {
        fault.message = phrase::fault(&fault.message);
        fault.hint = fault.hint.as_deref().map(phrase::fault);
    }
    // Lines of the files themselves are printed behind their number, so a label at the
    // beginning of a line is never a part of them.
    let mut out = String::new();
    for line in faults.render().lines() {
        if let Some(rest) = line.strip_prefix("error: ") {
            out.push_str("配置错误：");
            out.push_str(rest);
        } else if let Some(rest) = line.strip_prefix("  hint: ") {
            out.push_str("  建议：");
            out.push_str(rest);
        } else {
            out.push_str(line);
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests;
