//! The daily page: what it says is gathered here, how it looks is in `huiliu_page`.

mod differences;
mod figures;
mod moment;
mod schedule;
mod steps;

use std::path::{Path, PathBuf};

use huiliu_page::Daily;
use huiliu_sdk::{Error, ErrorKind, Result};
use huiliu_store::RunState;

use crate::hub::{Hub, sync_folder};
use moment::Today;
pub(crate) use moment::end_of;

/// The node that writes the page.
pub(crate) const NODE: &str = "reports.daily";

impl Hub {
    /// What the daily page says now. `current` is the run that asks, and how it has gone so far.
    pub async fn daily_page(&self, current: Option<(i64, RunState)>) -> Result<Daily> {
        let today = Today::of(self);
        let steps = self.daily_steps(&today, current).await?;
        Ok(Daily {
            office: self.project.hub.name.clone(),
            day: today.day().to_string(),
            is_workday: self.project.calendar.is_workday(today.day()).ok(),
            written_at: today.text_of(&self.now()),
            snapshot: self.lake().latest_snapshot().await?,
            run: steps.run,
            figures: self.daily_figures(&today).await?,
            streams: steps.streams,
            stopped: steps.stopped,
            differences: self.daily_differences(&today).await?,
            pushes: steps.pushes,
        })
    }

    /// All figures as they are stored, in the order of pages, each with how it stood at the end of
    /// each of the last 30 days that is known.
    pub async fn figures_with_trends(&self) -> Result<Vec<huiliu_page::Figure>> {
        self.daily_figures(&Today::of(self)).await
    }

    /// Writes the page where `config/hub.toml` says, for the run that asks.
    pub(crate) async fn write_daily_page(&self, run: i64, state: RunState) -> Result<PathBuf> {
        let config = self.project.hub.daily_page.as_ref();
        let config = config.ok_or_else(|| Error::internal("no daily page is configured"))?;
        let page = self.daily_page(Some((run, state))).await?;
        let file = self.data.join(config.file.replace("{date}", &page.day));
        write_page(&file, page.html().as_bytes())?;
        Ok(file)
    }
}

/// Now, for people.
pub(crate) fn moment_text(hub: &Hub) -> String {
    let today = Today::of(hub);
    today.text_of(&hub.now())
}

/// Writes a page so that whoever opens the file sees the old one or the new one, whole.
pub fn write_page(file: &Path, content: &[u8]) -> Result<()> {
    let Some(name) = file.file_name().map(|name| name.to_string_lossy().into_owned()) else {
        return Err(unwritten(file).hint("name a file, such as reports/daily.html"));
    };
    let beside = file.with_file_name(format!(".{name}.{}", std::process::id()));
    replace(file, &beside, content).map_err(|cause| {
        // It may not be there; what matters is why the page could not be written.
        drop(std::fs::remove_file(&beside));
        unwritten(file)
            .hint("check the folder, who may write there and the room on the disk")
            .cause(cause)
    })
}

fn unwritten(file: &Path) -> Error {
    let message = format!("the page {} cannot be written", file.display());
    Error::new(ErrorKind::Permission, "E-REPORT", message)
}

fn replace(file: &Path, beside: &Path, content: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder {
        std::fs::create_dir_all(folder)?;
    }
    let mut new = std::fs::File::create(beside)?;
    new.write_all(content)?;
    new.sync_all()?;
    drop(new);
    std::fs::rename(beside, file)?;
    sync_folder(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_replaces_the_old_one_whole_or_leaves_it() {
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("a/b/daily.html");
        write_page(&file, "一".as_bytes()).unwrap();
        write_page(&file, "二".as_bytes()).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "二");
        let taken = folder.path().join("a/b");
        let error = write_page(&taken, "三".as_bytes()).unwrap_err();
        assert_eq!(error.code(), "E-REPORT");
        // Nothing half-written stays, neither beside a page nor beside what could not become one.
        let names = |folder: &Path| std::fs::read_dir(folder).unwrap().count();
        assert_eq!((names(&taken), names(&folder.path().join("a"))), (1, 1));
        assert_eq!(write_page(Path::new("/"), b"").unwrap_err().code(), "E-REPORT");
    }
}
