"""Values, errors and savepoints as psycopg sends them; prints `done`, or fails where something is not
as it should be. The door, the user and the token are in the environment."""

import datetime
from decimal import Decimal

import psycopg

PAYMENTS = "current.payments"


def count(db, condition, *values):
    query = f"select count(*) from {PAYMENTS} where {condition}"
    return db.execute(query, values or None).fetchone()[0]


def same(what, answer, expected):
    assert answer == expected, f"{what}: expected {expected!r}, got {answer!r}"


with psycopg.connect(autocommit=True) as db:
    for value, expected in [
        (240, 10),
        (240.25, 10),
        (240.2501, 9),
        (Decimal("240.25"), 10),
        (Decimal("240.2501"), 9),
        (Decimal("0.05"), 250),
        ("240.25", 10),
        (2**40, 0),
    ]:
        for binary in (False, True):
            sign = "%b" if binary and not isinstance(value, str) else "%s"
            same(f"fee {value!r} {sign}", count(db, f"fee >= {sign}", value), expected)
    for value in (datetime.datetime(2018, 1, 11), datetime.date(2018, 1, 11), "2018-01-11", "2018-01-11 00:00:00"):
        same(f"paid {value!r}", count(db, "paid >= %s", value), 10)
    for value in (datetime.date(2018, 1, 11), datetime.datetime(2018, 1, 11), "2018-01-11"):
        same(f"day {value!r}", count(db, "day >= %s", value), 10)
    same("a number beside all", count(db, "fee = %s", Decimal("1.2549")), 0)
    same("half a day", count(db, "day > %s", datetime.datetime(2018, 1, 10, 12)), 10)
    same("a truth", count(db, "done = %s", True), 125)
    same("a list", count(db, "id = any(%s)", ["P001", "P002", "none"]), 2)
    same("no list", count(db, "id = any(%s)", []), 0)
    same("a list of numbers", db.execute("select 2 = any(%s)", ([1, 2],)).fetchone(), (True,))
    same("not in a list", count(db, "id <> all(%s)", ["P001", "P002"]), 248)
    same("nothing", db.execute("select %s::text, %s::int", (None, None)).fetchone(), (None, None))

    for sql, error in [
        ("select 1 from nowhere", psycopg.errors.UndefinedTable),
        (f"select nothing from {PAYMENTS}", psycopg.errors.UndefinedColumn),
        ("select nothing(1)", psycopg.errors.UndefinedFunction),
        ("selec 1", psycopg.errors.SyntaxError),
        (f"select 1 / (fee - fee) from {PAYMENTS}", psycopg.errors.DivisionByZero),
        (f"select id::int from {PAYMENTS}", psycopg.errors.InvalidTextRepresentation),
        ("release savepoint a", psycopg.errors.NoActiveSqlTransaction),
    ]:
        for parameters in (None, ()):
            try:
                db.execute(sql, parameters, prepare=parameters is not None).fetchall()
                raise SystemExit(f"answered: {sql}")
            except error:
                same(sql, db.execute("select 1").fetchone(), (1,))

    with db.transaction():
        same("in a transaction", count(db, "true"), 250)
        try:
            with db.transaction():
                db.execute("select 1 from nowhere")
            raise SystemExit("answered")
        except psycopg.errors.UndefinedTable:
            same("after what failed in it", count(db, "true"), 250)
        with db.transaction():
            same("nested", count(db, "true"), 250)

# Subqueries have their meaning, or none at all.
with psycopg.connect(autocommit=True) as db:
    outward = f"select id, (select count(*) from {PAYMENTS} o where o.day = p.day) from {PAYMENTS} p where id = 'P249'"
    same("a subquery that looks outward", db.execute(outward).fetchone(), ("P249", 10))
    bound = f"select (select count(*) from {PAYMENTS} where fee >= %s)"
    same("a subquery with a parameter", db.execute(bound, (240,)).fetchone(), (10,))
    try:
        db.execute(f"select (select id from {PAYMENTS}) as one").fetchone()
        raise SystemExit("more than one row was taken for one")
    except psycopg.Error:
        pass

path = {"options": "-c search_path=current -c statement_timeout=7s"}
with psycopg.connect(autocommit=True, **path) as db:
    same("a schema", db.execute("select count(*) from payments").fetchone(), (250,))
    same("timeout", db.execute("show statement_timeout").fetchone(), ("7000ms",))
    told = db.execute("select current_schema(), current_user, pg_backend_pid()").fetchone()
    same("what it is", told, ("current", "analyst", db.info.backend_pid))
    db.execute("set search_path to codes, current")
    same("the first schema", db.execute("select count(*) > 5 from divisions").fetchone(), (True,))
    same("the second one", db.execute("with p as (select * from payments) select count(*) from p").fetchone(), (250,))
    db.execute("set search_path to standard")
    try:
        db.execute("select count(*) from payments")
        raise SystemExit("answered")
    except psycopg.errors.UndefinedTable:
        pass
print("done")
