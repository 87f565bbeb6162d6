//! Progress bars, only where a person looks: on a terminal, beside text output.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};

use huiliu_runner::{Progress, Silent};
use huiliu_store::StepRow;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::output::Printer;

struct Bars {
    all: MultiProgress,
    open: Mutex<BTreeMap<String, ProgressBar>>,
}

/// What listens to a run: bars on a terminal, else nothing.
pub(crate) fn listener(printer: Printer) -> Arc<dyn Progress> {
    if printer.is_json() || !std::io::stderr().is_terminal() {
        return Arc::new(Silent);
    }
    Arc::new(Bars { all: MultiProgress::new(), open: Mutex::default() })
}

impl Progress for Bars {
    fn started(&self, node: &str) {
        let bar = self.all.add(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {msg}") {
            bar.set_style(style);
        }
        bar.set_prefix(node.to_owned());
        bar.enable_steady_tick(std::time::Duration::from_millis(120));
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.insert(node.to_owned(), bar);
    }

    fn rows(&self, node: &str, rows: u64) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = open.get(node) {
            bar.set_message(rows.to_string());
        }
    }

    fn finished(&self, step: &StepRow) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = open.remove(&step.node) {
            bar.finish_and_clear();
        }
    }
}
