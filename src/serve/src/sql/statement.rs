//! What a statement is, by its syntax: the first half of the read-only gate.
//!
//! Only what is listed here passes; everything else is refused by name. What passes as a reading
//! statement is checked once more by its plan, in the engine.

use datafusion::sql::sqlparser::ast::{
    DiscardObject, ObjectName, Reset, Set, Statement, TransactionAccessMode, TransactionMode,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer, Whitespace};
use huiliu_sdk::{Error, ErrorKind, Result};

/// What a client may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    /// Rows: a query, an explanation, a description.
    Read,
    /// A transaction begins; there is nothing to commit, but it reads one snapshot.
    Begin,
    /// It ends.
    Commit,
    /// It ends.
    Rollback,
    /// A place in it to which it may go back. What only reads has nothing to take back, but clients
    /// go on there after an error.
    Savepoint(String),
    /// Forgets such a place.
    Release(String),
    /// Goes back to it.
    RollbackTo(String),
    /// A setting of the connection.
    Set {
        /// The setting.
        name: String,
        /// Its value as text.
        value: String,
    },
    /// Takes a setting of the connection back, or all.
    Reset(Option<String>),
    /// Takes everything of the connection back.
    Discard,
    /// Asks for a setting.
    Show(String),
    /// Forgets a prepared statement, or all.
    Deallocate(Option<String>),
    /// Chatter that changes nothing, with the tag to answer.
    Nothing(&'static str),
}

/// The longest text of a query, in bytes.
const MAX_BYTES: usize = 1 << 20;
/// The most words and signs of a query. An expression can be nested half as deep as it has signs,
/// and what walks through it needs stack for each level; see `threads::STACK`.
const MAX_TOKENS: usize = 4_000;

/// Refuses text too long or too deep to be handled safely.
pub(crate) fn check_size(sql: &str) -> Result<()> {
    let fits = sql.len() <= MAX_BYTES
        && Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize().map_or(true, |tokens| {
            let signs = tokens.iter().filter(|token| !matches!(token, Token::Whitespace(_)));
            signs.count() <= MAX_TOKENS
        });
    if fits {
        return Ok(());
    }
    let message = format!("the statement has more than {MAX_TOKENS} words and signs");
    Err(Error::new(ErrorKind::Config, "E-SQL-SIZE", message)
        .hint("ask for it in parts, or join a table instead of a long list"))
}

/// Classifies a statement, or says why it is refused.
pub(crate) fn classify(statement: &Statement) -> Result<Request> {
    match statement {
        Statement::Query(_)
        | Statement::ExplainTable { .. }
        | Statement::ShowTables { .. }
        | Statement::ShowColumns { .. } => Ok(Request::Read),
        Statement::Explain { statement, .. } if matches!(**statement, Statement::Query(_)) => {
            Ok(Request::Read)
        }
        Statement::StartTransaction { modes, statements, .. } if statements.is_empty() => {
            reading(modes).map(|()| Request::Begin)
        }
        Statement::Commit { .. } => Ok(Request::Commit),
        Statement::Rollback { savepoint: None, .. } => Ok(Request::Rollback),
        Statement::Rollback { savepoint: Some(name), chain: false } => {
            Ok(Request::RollbackTo(name.value.clone()))
        }
        Statement::Savepoint { name } => Ok(Request::Savepoint(name.value.clone())),
        Statement::ReleaseSavepoint { name } => Ok(Request::Release(name.value.clone())),
        Statement::Set(set) => classify_set(set, statement),
        Statement::ShowVariable { variable } => {
            let words: Vec<&str> = variable.iter().map(|word| word.value.as_str()).collect();
            Ok(Request::Show(words.join(" ").to_lowercase()))
        }
        Statement::Reset(reset) => match &reset.reset {
            Reset::ALL => Ok(Request::Reset(None)),
            Reset::ConfigurationParameter(name) => Ok(Request::Reset(Some(setting_name(name)))),
        },
        Statement::Discard { object_type: DiscardObject::ALL } => Ok(Request::Discard),
        Statement::Deallocate { name, .. } => {
            let all = name.quote_style.is_none() && name.value.eq_ignore_ascii_case("all");
            Ok(Request::Deallocate((!all).then(|| name.value.clone())))
        }
        _ => Err(refused(statement)),
    }
}

fn classify_set(set: &Set, statement: &Statement) -> Result<Request> {
    match set {
        Set::SingleAssignment { hivevar: false, variable, values, .. } => {
            let values: Vec<String> =
                values.iter().map(|value| plain(&value.to_string())).collect();
            let name = setting_name(variable);
            Ok(Request::Set { name, value: values.join(", ") })
        }
        Set::SetTimeZone { value, .. } => {
            Ok(Request::Set { name: "timezone".into(), value: plain(&value.to_string()) })
        }
        Set::SetNames { charset_name, .. } => {
            Ok(Request::Set { name: "client_encoding".into(), value: charset_name.value.clone() })
        }
        Set::SetTransaction { modes, snapshot: None, .. } => {
            reading(modes).map(|()| Request::Nothing("SET"))
        }
        _ => Err(refused(statement)),
    }
}

fn reading(modes: &[TransactionMode]) -> Result<()> {
    let write = TransactionMode::AccessMode(TransactionAccessMode::ReadWrite);
    if modes.contains(&write) {
        let message = "cannot set transaction read-write mode: this door only reads";
        return Err(Error::new(ErrorKind::Permission, "E-SQL-READ-ONLY", message)
            .hint("leave out READ WRITE"));
    }
    Ok(())
}

fn setting_name(name: &ObjectName) -> String {
    name.to_string().replace('"', "").to_lowercase()
}

/// A value without its quotes.
fn plain(value: &str) -> String {
    let value = value.trim();
    let quoted = value
        .strip_prefix('\'')
        .and_then(|rest| rest.strip_suffix('\''))
        .or_else(|| value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')));
    quoted.unwrap_or(value).to_owned()
}

/// Why a statement is refused that is not on the list.
pub(super) fn refused(statement: &Statement) -> Error {
    let text = statement.to_string();
    let verb = text.split_whitespace().next().unwrap_or("this").to_uppercase();
    let verb = verb.trim_matches(|c: char| !c.is_ascii_alphabetic());
    let message = format!("cannot execute {verb}: this door only reads");
    Error::new(ErrorKind::Permission, "E-SQL-READ-ONLY", message)
        .hint("only SELECT, EXPLAIN and SHOW are answered here")
}

/// The text of a statement with `?` in the place of values, which may be personal.
pub(super) fn shape(sql: &str) -> String {
    let Ok(tokens) = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize() else {
        return String::new();
    };
    let mut text = String::new();
    for token in tokens {
        match token {
            Token::Word(_) | Token::Whitespace(Whitespace::Space | Whitespace::Tab) => {
                text.push_str(&token.to_string());
            }
            Token::Whitespace(_) => text.push(' '),
            Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::DollarQuotedString(_)
            | Token::EscapedStringLiteral(_)
            | Token::UnicodeStringLiteral(_)
            | Token::NationalStringLiteral(_)
            | Token::HexStringLiteral(_)
            | Token::DoubleQuotedString(_)
            | Token::Char(_) => text.push('?'),
            other => text.push_str(&other.to_string()),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion_postgres::datafusion_pg_catalog::sql::PostgresCompatibilityParser;

    fn ask(sql: &str) -> Result<Request> {
        let statements = PostgresCompatibilityParser::new().parse(sql).unwrap();
        assert_eq!(statements.len(), 1, "{sql}");
        classify(&statements[0])
    }

    #[test]
    fn reading_and_client_chatter_pass() {
        assert_eq!(ask("select 1").unwrap(), Request::Read);
        assert_eq!(ask("explain select 1").unwrap(), Request::Read);
        assert_eq!(ask("begin").unwrap(), Request::Begin);
        assert_eq!(ask("start transaction read only").unwrap(), Request::Begin);
        assert_eq!(ask("end").unwrap(), Request::Commit);
        assert_eq!(ask("savepoint a").unwrap(), Request::Savepoint("a".into()));
        assert_eq!(ask("release a").unwrap(), Request::Release("a".into()));
        assert_eq!(ask("release savepoint a").unwrap(), Request::Release("a".into()));
        assert_eq!(ask("rollback to savepoint a").unwrap(), Request::RollbackTo("a".into()));
        assert_eq!(ask("rollback to a").unwrap(), Request::RollbackTo("a".into()));
        let set = Request::Set { name: "client_encoding".into(), value: "UTF8".into() };
        assert_eq!(ask("set client_encoding to 'UTF8'").unwrap(), set);
        assert_eq!(ask("SET NAMES 'UTF8'").unwrap(), set);
        assert_eq!(
            ask("show transaction isolation level").unwrap(),
            Request::Show("transaction isolation level".into())
        );
        assert_eq!(ask("deallocate all").unwrap(), Request::Deallocate(None));
        assert_eq!(ask("deallocate \"all\"").unwrap(), Request::Deallocate(Some("all".into())));
    }

    #[test]
    fn what_is_not_listed_is_refused_by_name() {
        for sql in [
            "begin read write",
            "set role postgres",
            "set session authorization default",
            "explain analyze delete from current.a",
            "vacuum",
            "declare c cursor for select 1",
        ] {
            assert_eq!(ask(sql).unwrap_err().code(), "E-SQL-READ-ONLY", "{sql}");
        }
    }

    #[test]
    fn no_value_is_in_the_shape_of_a_statement() {
        let sql = "select a, $1 from t where n = '张三' and id in (42, E'x') /* 李四 */ -- 王五\n";
        assert_eq!(shape(sql), "select a, $1 from t where n = ? and id in (?, ?)    ");
    }
}
