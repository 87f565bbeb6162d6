//! Which files of a table are worth being written anew. Pure: numbers in, file ids out.
//!
//! A deleted row costs every reader until its file is rewritten, and a rewrite costs all other
//! rows of the file. With random updates, files that are rewritten when a share `s` of their rows
//! is deleted cost `1 / s` written rows for each deleted one, so a few files are rewritten when
//! the table as a whole has too many deleted rows, the worst first, rather than all of them.

/// A live data file, as the catalog describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileFacts {
    /// Its id.
    pub data_file_id: i64,
    /// Rows in it, deleted ones included.
    pub rows: i64,
    /// Its size.
    pub bytes: i64,
    /// Deleted rows in it.
    pub deleted: i64,
}

/// When files are rewritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompactionPolicy {
    /// A file with fewer live rows is small, if it is also below `small_bytes`.
    pub small_rows: i64,
    /// See `small_rows`.
    pub small_bytes: i64,
    /// This many small files are joined.
    pub small_files: usize,
    /// Rows at which a new file is full.
    pub full_rows: i64,
    /// Bytes at which a new file is full.
    pub full_bytes: i64,
    /// Per cent of deleted rows from which a file is rewritten.
    pub file_percent: i64,
    /// Per cent of deleted rows of the whole table from which its worst files are rewritten.
    pub table_percent: i64,
    /// Fewer deleted rows than this are no reason for anything.
    pub deleted_rows: i64,
    /// More delete files than this, and those that pay best are done away with.
    pub delete_files: usize,
    /// Rows rewritten in one pass; what is left waits for the next one.
    pub rows_per_pass: i64,
}

/// Rows a full file should have at least.
const TARGET_ROWS: i64 = 1 << 19;
/// Bytes a full file should have.
const TARGET_BYTES: i64 = 256 << 20;

impl Default for CompactionPolicy {
    fn default() -> Self {
        Self {
            small_rows: TARGET_ROWS / 4,
            small_bytes: TARGET_BYTES / 4,
            small_files: 8,
            full_rows: 2 * TARGET_ROWS,
            full_bytes: TARGET_BYTES,
            file_percent: 30,
            table_percent: 12,
            deleted_rows: 8192,
            delete_files: 16,
            rows_per_pass: 4 << 20,
        }
    }
}

/// Why a table is compacted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Many small files.
    SmallFiles,
    /// Many deleted rows.
    DeletedRows,
    /// Many delete files.
    DeleteFiles,
}

impl Reason {
    /// The words it is told in.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SmallFiles => "small files",
            Self::DeletedRows => "deleted rows",
            Self::DeleteFiles => "delete files",
        }
    }
}

/// What to do with the files of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompactionPlan {
    /// Why.
    pub reasons: Vec<Reason>,
    /// Small files that become as few as possible, in the order of their ids.
    pub join: Vec<i64>,
    /// Large files that are each written anew by themselves, so that they keep their bounds.
    pub rewrite: Vec<i64>,
}

impl CompactionPlan {
    /// The files in the order in which they are read.
    pub fn files(&self) -> impl Iterator<Item = i64> {
        self.join.iter().chain(&self.rewrite).copied()
    }
}

impl FileFacts {
    fn live(&self) -> i64 {
        (self.rows - self.deleted).max(0)
    }

    fn is_small(&self, policy: &CompactionPolicy) -> bool {
        let live_bytes = self.bytes / self.rows.max(1) * self.live();
        self.live() < policy.small_rows && live_bytes < policy.small_bytes
    }

    /// Whether more than `percent` of the rows are deleted.
    fn has_deleted(&self, percent: i64) -> bool {
        self.deleted * 100 > self.rows * percent
    }
}

/// Share of `table_percent` down to which a table is brought. One file is usually enough, so that
/// no upsert pays for several.
const LOW_WATER_PERCENT: i64 = 90;
/// Below this share of deleted rows a file is not rewritten to be rid of its delete file.
const WORTH_PERCENT: i64 = 5;

impl CompactionPolicy {
    /// A policy under which every file with a deleted row, and every two small files, are due.
    pub fn everything() -> Self {
        Self {
            small_files: 2,
            file_percent: 0,
            deleted_rows: 1,
            rows_per_pass: i64::MAX,
            ..Self::default()
        }
    }

    /// What to do with `files`, the live files of one table; nothing when none is due.
    pub fn plan(&self, files: &[FileFacts]) -> Option<CompactionPlan> {
        let mut worst: Vec<&FileFacts> = files.iter().filter(|file| file.deleted > 0).collect();
        worst.sort_by(|a, b| {
            let (left, right) = (a.deleted * b.rows.max(1), b.deleted * a.rows.max(1));
            right.cmp(&left).then(a.data_file_id.cmp(&b.data_file_id))
        });
        let mut picked: Vec<&FileFacts> = Vec::new();
        let mut reasons = Vec::new();
        if self.pick_deleted(files, &worst, &mut picked) {
            reasons.push(Reason::DeletedRows);
        }
        if self.pick_delete_files(&worst, &mut picked) {
            reasons.push(Reason::DeleteFiles);
        }
        let small: Vec<&FileFacts> = files.iter().filter(|file| file.is_small(self)).collect();
        let few_become_one = small.len() >= self.small_files.max(2);
        let mut budget = self.rows_per_pass;
        let mut within = |file: &&FileFacts| {
            let fits = budget == self.rows_per_pass || file.rows <= budget;
            budget = if fits { budget - file.rows.min(budget) } else { 0 };
            fits
        };
        let mut join: Vec<i64> = Vec::new();
        if few_become_one {
            reasons.push(Reason::SmallFiles);
            join.extend(small.iter().copied().filter(&mut within).map(|file| file.data_file_id));
        } else {
            let alone = picked.iter().copied().filter(|file| file.is_small(self));
            join.extend(alone.filter(&mut within).map(|file| file.data_file_id));
        }
        let large = picked.iter().copied().filter(|file| !file.is_small(self));
        let mut rewrite: Vec<i64> = large.filter(&mut within).map(|f| f.data_file_id).collect();
        if join.is_empty() && rewrite.is_empty() {
            return None;
        }
        join.sort_unstable();
        rewrite.sort_unstable();
        reasons.sort_unstable();
        Some(CompactionPlan { reasons, join, rewrite })
    }

    /// Picks files for their deleted rows: those that have too many themselves, then the worst
    /// ones until the table as a whole has few enough.
    fn pick_deleted<'a>(
        &self,
        files: &[FileFacts],
        worst: &[&'a FileFacts],
        picked: &mut Vec<&'a FileFacts>,
    ) -> bool {
        let rows: i64 = files.iter().map(|file| file.rows).sum();
        let deleted: i64 = files.iter().map(|file| file.deleted).sum();
        let too_many = |deleted: i64, percent: i64| {
            deleted >= self.deleted_rows && deleted * 100 > rows * percent
        };
        let table_is_due = too_many(deleted, self.table_percent);
        let low_water = self.table_percent * LOW_WATER_PERCENT;
        let mut left = deleted;
        for file in worst {
            let file_is_due =
                file.deleted >= self.deleted_rows && file.has_deleted(self.file_percent);
            let table_needs_it = table_is_due && left * 100 * 100 > rows * low_water;
            if file_is_due || table_needs_it {
                left -= file.deleted;
                picked.push(file);
            }
        }
        !picked.is_empty()
    }

    /// Picks files for their delete files, those with the most deleted rows first.
    fn pick_delete_files<'a>(
        &self,
        worst: &[&'a FileFacts],
        picked: &mut Vec<&'a FileFacts>,
    ) -> bool {
        let mut left = worst.len() - picked.len();
        let before = picked.len();
        for file in worst {
            let chosen = picked.iter().any(|other| other.data_file_id == file.data_file_id);
            if left <= self.delete_files || !file.has_deleted(WORTH_PERCENT) {
                break;
            }
            if !chosen {
                left -= 1;
                picked.push(file);
            }
        }
        picked.len() > before
    }
}

#[cfg(test)]
mod tests;
