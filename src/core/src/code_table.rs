//! Code tables: what a source's code means in the hub, read from CSV files.
//!
//! Each file is one scheme, because the same digits mean different things in two schemes. The
//! columns are `code,value`, then any further ones that say more about the code.

use std::collections::{BTreeMap, HashMap};

use huiliu_sdk::{Error, ErrorKind, Result};

/// All code tables by name, the file name without `.csv`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CodeTables {
    tables: BTreeMap<String, CodeTable>,
}

/// One scheme of codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeTable {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    by_code: HashMap<String, usize>,
}

impl CodeTables {
    /// Reads each file's text; the first of a pair is the table's name.
    pub fn from_files(files: Vec<(String, String)>) -> Result<Self> {
        let mut tables = BTreeMap::new();
        for (name, text) in files {
            let table = CodeTable::parse(&name, &text)?;
            if tables.insert(name.clone(), table).is_some() {
                return Err(code_error(format!("code table `{name}` is given twice")));
            }
        }
        Ok(Self { tables })
    }

    /// The names of the tables in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tables.keys().map(String::as_str)
    }

    /// The table called `name`; the error lists the names there are.
    pub fn get(&self, name: &str) -> Result<&CodeTable> {
        self.tables.get(name).ok_or_else(|| {
            let names: Vec<&str> = self.names().collect();
            let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            code_error(format!("no code table is called `{name}`"))
                .hint(format!("use one of: {known}; or add config/codes/{name}.csv"))
        })
    }
}

impl CodeTable {
    /// Reads one file; `name` is used in messages.
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let at = |line: u64, what: String| code_error(format!("{name}.csv:{line}: {what}"));
        let mut reader =
            csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
        let headers = reader
            .headers()
            .map_err(|cause| at(1, "the header cannot be read".to_owned()).cause(cause))?;
        let columns: Vec<String> = headers.iter().map(str::to_owned).collect();
        if columns.first().map(String::as_str) != Some("code")
            || columns.get(1).map(String::as_str) != Some("value")
        {
            return Err(at(1, "the first columns must be `code,value`".to_owned()));
        }

        let mut rows = Vec::new();
        let mut by_code = HashMap::new();
        for row in reader.records() {
            let row = row.map_err(|cause| {
                let line = cause.position().map_or(0, csv::Position::line);
                at(line, "the row cannot be read".to_owned()).cause(cause)
            })?;
            let line = row.position().map_or(0, csv::Position::line);
            let row: Vec<String> = row.iter().map(str::to_owned).collect();
            if row[0].is_empty() || row[1].is_empty() {
                return Err(at(line, "code and value must not be empty".to_owned()));
            }
            if by_code.insert(row[0].clone(), rows.len()).is_some() {
                return Err(at(line, format!("code `{}` is listed twice", row[0])));
            }
            rows.push(row);
        }
        Ok(Self { columns, rows, by_code })
    }

    /// What `code` means, or nothing if the table does not have it.
    pub fn value(&self, code: &str) -> Option<&str> {
        self.by_code.get(code).map(|row| self.rows[*row][1].as_str())
    }

    /// Another column of the row of `code`.
    pub fn field(&self, code: &str, column: &str) -> Option<&str> {
        let column = self.columns.iter().position(|name| name == column)?;
        self.by_code.get(code).map(|row| self.rows[*row][column].as_str())
    }

    /// The names of all columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// All rows in the order of the file, each as long as [`Self::columns`].
    pub fn rows(&self) -> impl Iterator<Item = &[String]> {
        self.rows.iter().map(Vec::as_slice)
    }
}

fn code_error(message: String) -> Error {
    Error::new(ErrorKind::Config, "E-CODE-TABLE", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! shipped {
        ($($name:literal),*) => {
            vec![$((
                $name.to_owned(),
                include_str!(concat!("../../../config/codes/", $name, ".csv")).to_owned(),
            )),*]
        };
    }

    #[test]
    fn shipped_tables_map_into_known_hub_states() {
        let tables = CodeTables::from_files(shipped!(
            "case_status",
            "dept_case_state",
            "divisions",
            "done_result_2018",
            "done_result_2020",
            "item_type",
            "use_level"
        ))
        .unwrap();
        let states = tables.get("case_status").unwrap();
        for name in ["dept_case_state", "done_result_2018", "done_result_2020"] {
            for row in tables.get(name).unwrap().rows() {
                assert!(states.value(&row[1]).is_some(), "{name}: {}", row[1]);
            }
        }
        let early = tables.get("done_result_2018").unwrap();
        let late = tables.get("done_result_2020").unwrap();
        assert_eq!((early.value("1"), late.value("1")), (Some("52"), Some("51")));
        assert_eq!((early.value("5"), late.value("6")), (Some("52"), Some("31")));
        assert_eq!(states.field("56", "counts_as_case"), Some("0"));
        assert_eq!(tables.get("item_type").unwrap().value("01"), Some("行政许可"));
        assert_eq!(tables.get("item_type").unwrap().value("1"), None);

        let divisions = tables.get("divisions").unwrap();
        assert_eq!(divisions.rows().count(), 72);
        for row in divisions.rows().skip(1) {
            let parent = divisions.field(&row[0], "parent").unwrap();
            assert!(divisions.value(parent).is_some(), "{parent}");
        }
    }

    #[test]
    fn faults_name_file_and_line_and_unknown_tables_list_the_known() {
        let parse = |text: &str| CodeTable::parse("t", text).unwrap_err().message().to_owned();
        assert!(parse("value,code\n").starts_with("t.csv:1:"));
        assert!(parse("code,value\n1,a\n1,b\n").starts_with("t.csv:3: code `1`"));
        assert!(parse("code,value\n1,\n").starts_with("t.csv:2:"));
        assert!(parse("code,value\n1,a,b\n").starts_with("t.csv:2:"));

        let files = vec![("a".to_owned(), "code,value\n".to_owned())];
        let tables = CodeTables::from_files(files).unwrap();
        let error = tables.get("b").unwrap_err();
        assert!(error.message().contains("`b`"));
        assert!(error.hint_text().unwrap().contains("one of: a;"));
    }
}
