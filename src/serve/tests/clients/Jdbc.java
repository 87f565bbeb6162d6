import java.math.BigDecimal;
import java.sql.Array;
import java.sql.Connection;
import java.sql.Date;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.sql.Timestamp;
import java.sql.Types;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Properties;

/** Looks around and asks as tools over JDBC do; prints `done`, or all that is not as it should be. */
public class Jdbc {
    private static final String PAYMENTS = "current.payments";
    private static final List<String> WRONG = new ArrayList<>();

    private interface Ask {
        Object answer() throws Exception;
    }

    private interface Bind {
        void to(PreparedStatement statement) throws Exception;
    }

    private static void same(String what, Object expected, Ask ask) {
        Object answer;
        try {
            answer = ask.answer();
        } catch (Exception e) {
            String state = e instanceof SQLException s ? s.getSQLState() + " " : "";
            answer = "failed: " + state + e.getMessage();
        }
        if (!Objects.equals(expected, answer)) {
            WRONG.add(what + "\n  expected " + expected + "\n  got      " + answer);
        }
    }

    /** The columns of all rows, each row in one text. */
    private static List<String> rows(ResultSet set, String... columns) throws SQLException {
        List<String> rows = new ArrayList<>();
        while (set.next()) {
            StringBuilder row = new StringBuilder();
            for (String column : columns) {
                row.append(row.isEmpty() ? "" : " ").append(set.getString(column));
            }
            rows.add(row.toString());
        }
        return rows;
    }

    private static int count(ResultSet set) throws SQLException {
        int count = 0;
        while (set.next()) {
            for (int column = 1; column <= set.getMetaData().getColumnCount(); column++) {
                set.getObject(column);
            }
            count++;
        }
        return count;
    }

    private static Object one(Connection db, String sql) throws SQLException {
        try (Statement statement = db.createStatement(); ResultSet set = statement.executeQuery(sql)) {
            set.next();
            return set.getObject(1);
        }
    }

    /** How many payments meet a condition. */
    private static Object counted(Connection db, String condition, Bind bind) throws Exception {
        String sql = "select count(*) from " + PAYMENTS + " where " + condition;
        try (PreparedStatement statement = db.prepareStatement(sql)) {
            bind.to(statement);
            ResultSet set = statement.executeQuery();
            set.next();
            return set.getLong(1);
        }
    }

    private static String state(Connection db, String sql) {
        try (Statement statement = db.createStatement()) {
            statement.execute(sql);
            return "answered";
        } catch (SQLException e) {
            return e.getSQLState();
        }
    }

    public static void main(String[] arguments) throws Exception {
        Properties properties = new Properties();
        properties.setProperty("user", System.getenv("PGUSER"));
        properties.setProperty("password", System.getenv("PGPASSWORD"));
        String url = "jdbc:postgresql://127.0.0.1:" + System.getenv("PGPORT") + "/huiliu";
        try (Connection db = DriverManager.getConnection(url, properties)) {
            metadata(db);
        }
        try (Connection db = DriverManager.getConnection(url, properties)) {
            values(db);
            // From the first time on with values in the binary format.
            db.unwrap(org.postgresql.PGConnection.class).setPrepareThreshold(1);
            values(db);
            values(db);
        }
        try (Connection db = DriverManager.getConnection(url, properties)) {
            fetching(db);
            errors(db);
            settings(db);
        }
        properties.setProperty("autosave", "always");
        properties.setProperty("currentSchema", "current");
        properties.setProperty("options", "-c statement_timeout=7s");
        try (Connection db = DriverManager.getConnection(url, properties)) {
            db.setAutoCommit(false);
            same("the schema of a connection", 250L, () -> one(db, "select count(*) from payments"));
            same("a wrong statement", "42P01", () -> state(db, "select nothing from nowhere"));
            same("the statement after it", 250L, () -> one(db, "select count(*) from payments"));
            same("options", "7000ms", () -> one(db, "show statement_timeout"));
        }
        if (!WRONG.isEmpty()) {
            WRONG.forEach(System.err::println);
            System.exit(1);
        }
        System.out.println("done");
    }

    private static void metadata(Connection db) throws Exception {
        DatabaseMetaData meta = db.getMetaData();
        same("product", "PostgreSQL", meta::getDatabaseProductName);
        same("version", true, () -> meta.getDatabaseProductVersion().startsWith("16.6 (huiliu "));
        same("catalogs", List.of("huiliu"), () -> rows(meta.getCatalogs(), "TABLE_CAT"));
        List<String> schemas = List.of("audits", "codes", "current", "history", "metrics", "ops",
            "pg_catalog", "quarantine", "raw", "reconciled", "standard");
        same("schemas", schemas, () -> rows(meta.getSchemas(), "TABLE_SCHEM"));
        same("some schemas", List.of("codes", "current"),
            () -> rows(meta.getSchemas(null, "c%"), "TABLE_SCHEM"));
        same("kinds", true, () -> rows(meta.getTableTypes(), "TABLE_TYPE").containsAll(List.of("TABLE", "VIEW")));
        String[] kinds = {"TABLE", "VIEW"};
        same("tables", List.of("current cases TABLE", "current payments TABLE", "current people TABLE"),
            () -> rows(meta.getTables(null, "current", "%", kinds), "TABLE_SCHEM", "TABLE_NAME", "TABLE_TYPE"));
        same("views", List.of("cases VIEW", "payments VIEW", "people VIEW"),
            () -> rows(meta.getTables(null, "raw", "%", kinds), "TABLE_NAME", "TABLE_TYPE"));
        same("a table anywhere", List.of("metrics figures"),
            () -> rows(meta.getTables(null, null, "figures", null), "TABLE_SCHEM", "TABLE_NAME"));
        same("no table", List.of(), () -> rows(meta.getTables(null, "current", "nothing", null), "TABLE_NAME"));
        List<String> columns = List.of(
            "id text 12 1 YES null", "paid timestamp 93 2 YES null", "day date 91 3 YES null",
            "fee numeric 2 4 YES null", "done bool -7 5 YES null", "note text 12 6 YES null");
        same("columns", columns, () -> rows(meta.getColumns(null, "current", "payments", "%"),
            "COLUMN_NAME", "TYPE_NAME", "DATA_TYPE", "ORDINAL_POSITION", "IS_NULLABLE", "COLUMN_DEF")
            .subList(0, 6));
        same("some columns", List.of("day"),
            () -> rows(meta.getColumns(null, "current", "payments", "d_y"), "COLUMN_NAME"));
        same("primary key", 0, () -> count(meta.getPrimaryKeys(null, "current", "payments")));
        same("imported keys", 0, () -> count(meta.getImportedKeys(null, "current", "payments")));
        same("exported keys", 0, () -> count(meta.getExportedKeys(null, "current", "payments")));
        same("cross reference", 0, () -> count(
            meta.getCrossReference(null, "current", "payments", null, "current", "cases")));
        same("indexes", 0, () -> count(meta.getIndexInfo(null, "current", "payments", false, true)));
        same("best row", 0, () -> count(meta.getBestRowIdentifier(
            null, "current", "payments", DatabaseMetaData.bestRowSession, true)));
        same("types of users", 0, () -> count(meta.getUDTs(null, null, "%", null)));
        same("functions", 0, () -> count(meta.getFunctions(null, null, "%")));
        same("procedures", 0, () -> count(meta.getProcedures(null, null, "%")));
        same("columns of functions", 0, () -> count(meta.getFunctionColumns(null, null, "%", "%")));
        same("rights to a table", 0, () -> count(meta.getTablePrivileges(null, "current", "payments")));
        same("rights to columns", 0, () -> count(
            meta.getColumnPrivileges(null, "current", "payments", "%")));
        same("types", true, () -> rows(meta.getTypeInfo(), "TYPE_NAME").containsAll(
            List.of("bool", "bytea", "date", "int8", "numeric", "text", "timestamp", "timestamptz")));
        same("keywords", true, () -> meta.getSQLKeywords().contains("limit"));
        same("longest name", 63, meta::getMaxColumnNameLength);
    }

    private static void values(Connection db) {
        same("a row", "P003 2018-01-01T03:00 2018-01-01 3.25 true null 3.50", () -> {
            String sql = "select id, paid, day, fee, done, note, fee + cast(? as decimal(4, 2)) as more from "
                + PAYMENTS + " where id = ?";
            PreparedStatement statement = db.prepareStatement(sql);
            statement.setBigDecimal(1, new BigDecimal("0.25"));
            statement.setString(2, "P003");
            ResultSet set = statement.executeQuery();
            set.next();
            return set.getString("id") + " " + set.getTimestamp("paid").toLocalDateTime() + " "
                + set.getDate("day") + " " + set.getBigDecimal("fee") + " " + set.getBoolean("done") + " "
                + set.getString("note") + " " + set.getBigDecimal("more");
        });
        same("int", 10L, () -> counted(db, "fee >= ?", s -> s.setInt(1, 240)));
        same("long", 10L, () -> counted(db, "fee >= ?", s -> s.setLong(1, 240)));
        same("double", 10L, () -> counted(db, "fee >= ?", s -> s.setDouble(1, 240.25)));
        same("decimal", 9L, () -> counted(db, "fee >= ?",
            s -> s.setBigDecimal(1, new BigDecimal("240.2501"))));
        same("a small decimal", 250L, () -> counted(db, "fee > ?",
            s -> s.setBigDecimal(1, new BigDecimal("0.05"))));
        same("string", 1L, () -> counted(db, "id = ?", s -> s.setString(1, "P007")));
        same("text for a time", 10L, () -> counted(db, "paid >= ?",
            s -> s.setObject(1, "2018-01-11 00:00:00", Types.OTHER)));
        same("text for a day", 10L, () -> counted(db, "paid >= ?",
            s -> s.setObject(1, "2018-01-11", Types.OTHER)));
        same("timestamp", 10L, () -> counted(db, "paid >= ?",
            s -> s.setTimestamp(1, Timestamp.valueOf("2018-01-11 00:00:00"))));
        same("local time", 10L, () -> counted(db, "paid >= ?",
            s -> s.setObject(1, LocalDateTime.of(2018, 1, 11, 0, 0))));
        same("date", 10L, () -> counted(db, "day >= ?", s -> s.setDate(1, Date.valueOf("2018-01-11"))));
        same("local date", 10L, () -> counted(db, "day >= ?",
            s -> s.setObject(1, LocalDate.of(2018, 1, 11))));
        same("boolean", 125L, () -> counted(db, "done = ?", s -> s.setBoolean(1, true)));
        same("null", 250L, () -> counted(db, "note = ? or ? is null", s -> {
            s.setNull(1, Types.VARCHAR);
            s.setNull(2, Types.VARCHAR);
        }));
        same("array", 2L, () -> counted(db, "id = any(?)", s -> {
            Array ids = db.createArrayOf("text", new Object[] {"P001", "P002", "none"});
            s.setArray(1, ids);
        }));
        same("pattern", 75L, () -> counted(db, "note like ?", s -> s.setString(1, "备注1%")));
        same("escaped pattern", 0L, () -> counted(db, "note like ? escape '!'", s -> s.setString(1, "备注!%%")));
        same("part", List.of("P005", "P006"), () -> {
            PreparedStatement statement =
                db.prepareStatement("select id from " + PAYMENTS + " order by id limit ? offset ?");
            statement.setInt(1, 2);
            statement.setInt(2, 5);
            return rows(statement.executeQuery(), "id");
        });
        same("again and again", List.of(0L, 1L, 2L, 3L, 4L, 5L, 6L, 7L), () -> {
            List<Object> counts = new ArrayList<>();
            String sql = "select count(*) from " + PAYMENTS + " where fee < ?";
            try (PreparedStatement statement = db.prepareStatement(sql)) {
                for (int fee = 0; fee < 8; fee++) {
                    statement.setInt(1, fee);
                    ResultSet set = statement.executeQuery();
                    set.next();
                    counts.add(set.getLong(1));
                }
            }
            return counts;
        });
        same("columns of a statement", List.of("fee numeric", "done bool"), () -> {
            String sql = "select fee, done from " + PAYMENTS + " where id = ?";
            ResultSetMetaData meta = db.prepareStatement(sql).getMetaData();
            return Arrays.asList(meta.getColumnName(1) + " " + meta.getColumnTypeName(1),
                meta.getColumnName(2) + " " + meta.getColumnTypeName(2));
        });
    }

    private static void fetching(Connection db) throws SQLException {
        db.setAutoCommit(false);
        same("a few rows at a time", "240 31140.00", () -> {
            PreparedStatement statement =
                db.prepareStatement("select fee from " + PAYMENTS + " where fee >= ? order by fee");
            statement.setFetchSize(7);
            statement.setInt(1, 10);
            ResultSet set = statement.executeQuery();
            BigDecimal sum = BigDecimal.ZERO;
            int count = 0;
            for (; set.next(); count++) {
                sum = sum.add(set.getBigDecimal(1));
            }
            return count + " " + sum;
        });
        same("two at a time", "P000 P249 P001 P248 P002 P247 P003 P246", () -> {
            PreparedStatement up = db.prepareStatement("select id from " + PAYMENTS + " order by id");
            PreparedStatement down = db.prepareStatement("select id from " + PAYMENTS + " order by id desc");
            up.setFetchSize(3);
            down.setFetchSize(2);
            ResultSet first = up.executeQuery();
            ResultSet second = down.executeQuery();
            List<String> ids = new ArrayList<>();
            for (int row = 0; row < 4 && first.next() && second.next(); row++) {
                ids.addAll(List.of(first.getString(1), second.getString(1)));
            }
            first.close();
            second.close();
            return String.join(" ", ids);
        });
        same("no more rows than wanted", 5, () -> {
            try (Statement statement = db.createStatement()) {
                statement.setMaxRows(5);
                return count(statement.executeQuery("select * from " + PAYMENTS));
            }
        });
        db.commit();
        db.setAutoCommit(true);
    }

    private static void errors(Connection db) throws SQLException {
        String[][] statements = {
            {"select nothing from " + PAYMENTS, "42703"},
            {"select 1 from nowhere", "42P01"},
            {"select nothing(1)", "42883"},
            {"selec 1", "42601"},
            {"select 1 / (fee - fee) from " + PAYMENTS, "22012"},
            {"select cast(id as int) from " + PAYMENTS, "22P02"},
            {"delete from " + PAYMENTS, "25006"},
            {"savepoint a", "25P01"},
        };
        for (String[] statement : statements) {
            same(statement[0], statement[1], () -> state(db, statement[0]));
            same("after " + statement[0], 1, () -> ((Number) one(db, "select 1")).intValue());
        }
        db.setAutoCommit(false);
        same("in a transaction", "42P01", () -> state(db, "select 1 from nowhere"));
        same("which is aborted", "25P02", () -> state(db, "select 1"));
        db.rollback();
        same("and goes on", 250L, () -> one(db, "select count(*) from " + PAYMENTS));
        same("with a place to go back to", 250L, () -> {
            Savepoint place = db.setSavepoint("a place");
            state(db, "select 1 from nowhere");
            db.rollback(place);
            Object counted = one(db, "select count(*) from " + PAYMENTS);
            db.releaseSavepoint(place);
            return counted;
        });
        same("which is gone", "3B001", () -> state(db, "rollback to savepoint \"a place\""));
        db.rollback();
        db.setAutoCommit(true);
    }

    private static void settings(Connection db) throws SQLException {
        db.setReadOnly(true);
        same("reads", true, () -> db.isValid(5));
        same("schema", "standard", db::getSchema);
        db.setSchema("current");
        same("another schema", "current", db::getSchema);
        same("its table", 250L, () -> one(db, "select count(*) from payments"));
        same("no schema", "22023", () -> state(db, "set search_path to main"));
        same("user", "analyst", () -> one(db, "select current_user"));
        same("isolation", Connection.TRANSACTION_REPEATABLE_READ, db::getTransactionIsolation);
        same("several statements", List.of(1, 2), () -> {
            try (Statement statement = db.createStatement()) {
                statement.execute("select 1 as n; select 2 as n");
                List<Integer> numbers = new ArrayList<>();
                do {
                    ResultSet set = statement.getResultSet();
                    set.next();
                    numbers.add(set.getInt(1));
                } while (statement.getMoreResults());
                return numbers;
            }
        });
    }
}
