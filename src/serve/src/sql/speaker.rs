//! What a statement means only by the connection that it comes from: tables without a schema, and
//! functions that tell who asks.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::mem;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, FunctionArguments, Ident, ObjectNamePart, Query, Select, SelectItem,
    TableFactor, Value, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use huiliu_core::access::Limits;
use huiliu_sdk::Result;

use super::dialect::{last_name, own_queries};
use super::{DATABASE, Gate};

/// The schema of a table without one, unless a connection says otherwise.
pub(crate) const USUAL: &str = "standard";
/// The functions that tell who asks.
const TELLING: [&str; 3] = ["current_schema", "pg_backend_pid", "session_user"];

/// Who speaks over a connection, and where tables are looked for.
#[derive(Debug, Clone)]
pub(crate) struct Speaker {
    pub(crate) user: String,
    /// The number of the connection.
    pub(crate) process: i32,
    /// The schemas in which a table without one is looked for; at least one.
    pub(crate) path: Vec<String>,
}

impl Gate {
    /// A statement as anybody would have to write it whom it should mean the same.
    pub(crate) async fn resolve(
        &self,
        speaker: &Speaker,
        limits: &Limits,
        sql: &str,
    ) -> Result<String> {
        let is_plain = speaker.path == [USUAL] && !TELLING.iter().any(|name| sql.contains(name));
        if is_plain {
            return Ok(sql.to_owned());
        }
        // Where there is only one schema to look into, nobody has to look.
        let session = if speaker.path.len() > 1 { Some(self.session(limits).await?) } else { None };
        let catalog = session.and_then(|session| session.context().catalog(DATABASE));
        let has = |schema: &str, table: &str| {
            let schema = catalog.as_ref().and_then(|catalog| catalog.schema(schema));
            schema.is_some_and(|schema| schema.table_exist(table))
        };
        Ok(speaker.resolve(sql, has))
    }
}

impl Speaker {
    fn resolve(&self, sql: &str, has: impl Fn(&str, &str) -> bool) -> String {
        let Ok(mut statements) = Parser::parse_sql(&PostgreSqlDialect {}, sql) else {
            return sql.to_owned();
        };
        let [statement] = statements.as_mut_slice() else { return sql.to_owned() };
        let mut resolver = Resolver { speaker: self, queries: BTreeSet::new(), has };
        let ControlFlow::Continue(()) = statement.visit(&mut resolver);
        statement.to_string()
    }

    /// What a function tells of this connection, and the column it tells it in.
    fn told(&self, expr: &Expr) -> Option<(Expr, &'static str)> {
        let Expr::Function(function) = expr else { return None };
        let asks = match &function.args {
            FunctionArguments::None => true,
            FunctionArguments::List(list) => list.args.is_empty(),
            FunctionArguments::Subquery(_) => false,
        };
        let text = |text: &str| Expr::Value(Value::SingleQuotedString(text.to_owned()).into());
        match last_name(&function.name)?.as_str() {
            "session_user" if asks => Some((text(&self.user), "current_user")),
            "current_schema" if asks => Some((text(self.path.first()?), "current_schema")),
            "pg_backend_pid" if asks => {
                let number = Value::Number(self.process.to_string(), false);
                let process = Expr::Cast {
                    kind: CastKind::Cast,
                    expr: Box::new(Expr::Value(number.into())),
                    data_type: DataType::Int(None),
                    array: false,
                    format: None,
                };
                Some((process, "pg_backend_pid"))
            }
            _ => None,
        }
    }
}

struct Resolver<'a, F> {
    speaker: &'a Speaker,
    /// The names of the statement's own queries.
    queries: BTreeSet<String>,
    has: F,
}

impl<F: Fn(&str, &str) -> bool> VisitorMut for Resolver<'_, F> {
    type Break = Infallible;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Infallible> {
        self.queries.extend(own_queries(query));
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Infallible> {
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) = item
                && let Some((told, column)) = self.speaker.told(expr)
            {
                *item = SelectItem::ExprWithAlias { expr: told, alias: Ident::new(column) };
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Infallible> {
        if let Some((told, _)) = self.speaker.told(expr) {
            *expr = told;
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Infallible> {
        if let TableFactor::Table { name, args: None, .. } = factor
            && let [ObjectNamePart::Identifier(table)] = name.0.as_slice()
        {
            let table = match table.quote_style {
                Some(_) => table.value.clone(),
                None => table.value.to_lowercase(),
            };
            let path = &self.speaker.path;
            let schema = path.iter().find(|schema| (self.has)(schema, &table)).or(path.first());
            if let Some(schema) = schema.filter(|_| !self.queries.contains(&table)) {
                let only = mem::take(&mut name.0);
                let schema = ObjectNamePart::Identifier(Ident::with_quote('"', schema.as_str()));
                name.0 = std::iter::once(schema).chain(only).collect();
            }
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(path: &[&str], sql: &str) -> String {
        let path = path.iter().map(|schema| (*schema).to_owned()).collect();
        let speaker = Speaker { user: "o'hara".into(), process: 42, path };
        speaker.resolve(sql, |schema, table| (schema, table) == ("codes", "divisions"))
    }

    #[test]
    fn tables_without_a_schema_are_those_of_the_path() {
        for (sql, expected) in [
            (
                "SELECT a.id FROM Cases a, raw.cases, generate_series(1, 2)",
                "SELECT a.id FROM \"current\".Cases a, raw.cases, generate_series(1, 2)",
            ),
            (
                "WITH own AS (SELECT 1) SELECT * FROM own",
                "WITH own AS (SELECT 1) SELECT * FROM own",
            ),
            (
                "SELECT * FROM divisions WHERE EXISTS (SELECT 1 FROM \"X\")",
                "SELECT * FROM \"codes\".divisions WHERE EXISTS (SELECT 1 FROM \"current\".\"X\")",
            ),
        ] {
            assert_eq!(resolved(&["current", "codes"], sql), expected);
        }
    }

    #[test]
    fn a_connection_tells_what_it_is() {
        let sql = "SELECT session_user, current_schema(), pg_backend_pid() AS p FROM raw.cases \
                   WHERE id = session_user";
        let expected = "SELECT 'o''hara' AS current_user, 'current' AS current_schema, \
                        CAST(42 AS INT) AS p FROM raw.cases WHERE id = 'o''hara'";
        assert_eq!(resolved(&["current"], sql), expected);
    }
}
