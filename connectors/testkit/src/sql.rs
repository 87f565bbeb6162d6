//! SQL that puts tables into systems that speak it.

use std::fmt::Write;

use arrow::datatypes::DataType;

use crate::Table;

/// Bytes of one statement.
const STATEMENT: usize = 4 << 20;

/// Rows of one statement.
const ROWS: usize = 500;

/// How a kind of database speaks.
#[derive(Debug, Clone, Copy)]
pub struct Dialect {
    /// What stands around a name.
    pub quote: char,
    /// The type of a column; true for one of the key.
    pub kind: fn(&DataType, bool) -> String,
    /// Bytes, of their hexadecimal digits.
    pub bytes: fn(&str) -> String,
    /// Text that is written as bytes, of their hexadecimal digits.
    pub text: fn(&str) -> String,
}

impl Dialect {
    /// A name that is nothing but a name.
    pub fn name(&self, name: &str) -> String {
        let quote = self.quote;
        format!("{quote}{}{quote}", name.replace(quote, &format!("{quote}{quote}")))
    }

    /// Makes the table without rows, in place of what was there. `more` stands behind the columns.
    pub fn create(&self, table: &Table, more: &str) -> String {
        let schema = table.batch.schema();
        let mut columns: Vec<String> = Vec::new();
        for field in schema.fields() {
            let name = field.name();
            let in_key = table.key.contains(name);
            let kind = match table.is_broken_text(name) {
                true => &DataType::Utf8,
                false => field.data_type(),
            };
            let not_null = if in_key { " not null" } else { "" };
            columns.push(format!("{} {}{not_null}", self.name(name), (self.kind)(kind, in_key)));
        }
        if !table.key.is_empty() {
            let key: Vec<String> = table.key.iter().map(|name| self.name(name)).collect();
            columns.push(format!("primary key ({})", key.join(", ")));
        }
        let name = self.name(&table.name);
        format!("drop table if exists {name}; create table {name} ({}{more})", columns.join(", "))
    }

    /// Inserts its rows, by statements of bounded size.
    pub fn insert(&self, table: &Table) -> Vec<String> {
        let names: Vec<String> = table.names().iter().map(|name| self.name(name)).collect();
        let head = format!("insert into {} ({}) values ", self.name(&table.name), names.join(", "));
        let schema = table.batch.schema();
        let (mut statements, mut sql, mut rows) = (Vec::new(), head.clone(), 0);
        for row in table.rows() {
            if rows > 0 && (rows == ROWS || sql.len() > STATEMENT) {
                statements.push(std::mem::replace(&mut sql, head.clone()));
                rows = 0;
            }
            sql.push_str(if rows == 0 { "(" } else { ", (" });
            for (index, (value, field)) in row.iter().zip(schema.fields()).enumerate() {
                if index > 0 {
                    sql.push_str(", ");
                }
                let is_text = table.is_broken_text(field.name());
                sql.push_str(&self.literal(value.as_deref(), field.data_type(), is_text));
            }
            sql.push(')');
            rows += 1;
        }
        if rows > 0 {
            statements.push(sql);
        }
        statements
    }

    fn literal(&self, value: Option<&str>, kind: &DataType, is_text: bool) -> String {
        let Some(value) = value else { return "null".to_owned() };
        match kind {
            DataType::Binary if is_text => (self.text)(value),
            DataType::Binary => (self.bytes)(value),
            DataType::Utf8 if value.contains(['\\', '\0']) => {
                let hex = value.bytes().fold(String::new(), |mut hex, byte| {
                    write!(hex, "{byte:02x}").expect("a text takes all");
                    hex
                });
                (self.text)(&hex)
            }
            DataType::Utf8 => format!("'{}'", value.replace('\'', "''")),
            // Digits without quotes are a float to some systems.
            DataType::Date32 | DataType::Decimal128(..) => format!("'{value}'"),
            DataType::Timestamp(..) => format!("'{}'", value.replace('T', " ")),
            DataType::Float64 => {
                format!("{:e}", value.parse::<f64>().expect("a float is a number"))
            }
            _ => value.to_owned(),
        }
    }
}
