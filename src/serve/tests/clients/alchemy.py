"""Reflects and asks as tools over SQLAlchemy do; prints `done`, or fails where something is not as it
should be. The driver is the argument; the door, the user and the token are in the environment."""

import datetime
import sys
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, ProgrammingError

URL = f"postgresql+{sys.argv[1]}://"
ENGINE = sa.create_engine(URL)
INTERNAL = ["_run", "_seq", "_op", "_received_at", "_source_pos", "_row_hash"]


def same(what, answer, expected):
    assert answer == expected, f"{what}: expected {expected!r}, got {answer!r}"


def reflect(db):
    look = sa.inspect(db)
    same("default schema", look.default_schema_name, "standard")
    same("version", ENGINE.dialect.server_version_info[:2], (16, 6))
    schemas = ["audits", "codes", "current", "history", "metrics", "ops", "quarantine", "raw"]
    same("schemas", look.get_schema_names(), [*schemas, "reconciled", "standard"])
    tables = ["cases", "payments", "people"]
    same("tables", sorted(look.get_table_names(schema="current")), tables)
    same("no tables", look.get_table_names(schema="raw"), [])
    same("views", sorted(look.get_view_names(schema="raw")), tables)
    same("no views", look.get_view_names(schema="current"), [])
    same("stored views", look.get_materialized_view_names(schema="raw"), [])
    same("foreign tables", look.get_foreign_table_names(schema="current"), [])
    same("has a table", look.has_table("payments", schema="current"), True)
    same("has a view", look.has_table("payments", schema="raw"), True)
    same("has no table", look.has_table("nothing", schema="current"), False)

    columns = look.get_columns("payments", schema="current")
    types = [(column["name"], str(column["type"])) for column in columns]
    own = [
        ("id", "TEXT"),
        ("paid", "TIMESTAMP"),
        ("day", "DATE"),
        ("fee", "NUMERIC"),
        ("done", "BOOLEAN"),
        ("note", "TEXT"),
    ]
    same("columns", types[:6], own)
    same("columns of the hub", [name for name, _ in types[6:]], INTERNAL)
    for column in columns:
        same("a column", (column["nullable"], column["default"], column["comment"]), (True, None, None))
    same("zone", [column["type"].timezone for column in columns if str(column["type"]) == "TIMESTAMP"],
         [False, True])

    where = {"table_name": "payments", "schema": "current"}
    same("key", look.get_pk_constraint(**where)["constrained_columns"], [])
    same("foreign keys", look.get_foreign_keys(**where), [])
    same("indexes", look.get_indexes(**where), [])
    same("unique", look.get_unique_constraints(**where), [])
    same("checks", look.get_check_constraints(**where), [])
    same("comment", look.get_table_comment(**where), {"text": None})
    same("options", look.get_table_options(**where), {})
    same("enums", look.get_enums(), [])
    same("domains", look.get_domains(), [])
    same("sequences", look.get_sequence_names(schema="current"), [])

    whole = sa.MetaData()
    whole.reflect(bind=db, schema="raw", views=True)
    same("all of a schema", sorted(whole.tables), [f"raw.{name}" for name in tables])
    same("a view's columns", "_superseded" in whole.tables["raw.payments"].c, True)
    return sa.Table("payments", sa.MetaData(), schema="current", autoload_with=db)


def ask(db, payments):
    def count(*conditions):
        chosen = sa.select(sa.func.count()).select_from(payments)
        return db.execute(chosen.where(*conditions)).scalar_one()

    c = payments.c
    same("all", count(), 250)
    same("a number", count(c.fee >= 240), 10)
    same("a decimal", count(c.fee >= Decimal("240.2501")), 9)
    same("a time", count(c.paid >= datetime.datetime(2018, 1, 11)), 10)
    same("a day", count(c.day >= datetime.date(2018, 1, 11)), 10)
    same("a truth", count(c.done.is_(True)), 125)
    same("nothing", count(c.note.is_(None)), 84)
    same("a list", count(c.id.in_(["P001", "P002", "none"])), 2)
    same("a part", count(c.note.contains("注1", autoescape=True)), 75)
    same("a sign of patterns", count(c.note.contains("%", autoescape=True)), 0)
    same("a comparison without letters' size", count(c.id.ilike("p00_")), 10)
    row = db.execute(sa.select(payments).where(c.id == "P003")).one()
    first = datetime.datetime(2018, 1, 1, 3)
    same("a row", tuple(row[:6]), ("P003", first, first.date(), Decimal("3.25"), True, None))
    part = sa.select(c.id).order_by(c.id.desc()).limit(2).offset(1)
    same("a part of the rows", db.execute(part).scalars().all(), ["P248", "P247"])
    month = sa.func.date_trunc(sa.literal_column("'month'"), c.paid)
    grouped = sa.select(month, sa.func.sum(c.fee)).group_by(month)
    same("groups", db.execute(grouped).all(), [(datetime.datetime(2018, 1, 1), Decimal("31187.50"))])
    later = sa.alias(payments)
    same(
        "a subquery that looks outward",
        db.execute(
            sa.select(
                c.id,
                sa.select(sa.func.count()).where(later.c.day == c.day).scalar_subquery(),
            ).where(c.id.in_(["P000", "P249"])).order_by(c.id)
        ).all(),
        [("P000", 24), ("P249", 10)],
    )


def fail(db, payments):
    def refused(statement, state):
        try:
            db.execute(sa.text(statement)).all()
        except DBAPIError as error:
            told = getattr(error.orig, "sqlstate", None) or error.orig.pgcode
            same(statement, told, state)
            return error
        raise AssertionError(f"answered: {statement}")

    everything = sa.select(sa.func.count()).select_from(payments)
    error = refused("select 1 from nowhere", "42P01")
    assert isinstance(error, ProgrammingError), error
    refused("select 1", "25P02")
    db.rollback()
    same("after it", db.execute(everything).scalar_one(), 250)
    with db.begin_nested():
        same("nested", db.execute(everything).scalar_one(), 250)
    try:
        with db.begin_nested():
            refused("select nothing from current.payments", "42703")
            raise KeyError
    except KeyError:
        pass
    same("after a nested one", db.execute(everything).scalar_one(), 250)
    db.rollback()
    refused("delete from current.payments", "25006")
    db.rollback()


with ENGINE.connect() as db:
    payments = reflect(db)
    ask(db, payments)
    fail(db, payments)
with ENGINE.execution_options(isolation_level="AUTOCOMMIT").connect() as db:
    ask(db, payments)
    same("isolation", db.get_isolation_level(), "REPEATABLE READ")
in_schema = sa.create_engine(URL, connect_args={"options": "-c search_path=current"})
with in_schema.connect() as db:
    same("a schema", sa.inspect(db).default_schema_name, "current")
    same("its table", db.execute(sa.text("select count(*) from payments")).scalar_one(), 250)
print("done")
