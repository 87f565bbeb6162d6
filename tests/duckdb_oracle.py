"""Attaches a lake read-only in DuckDB, runs each query given, prints rows tab-separated.

usage: duckdb_oracle.py HUILIU_DB [--schema SCHEMA] [--snapshot N] QUERY...

HUILIU_DB is a file of SQLite, or with --schema the address of a Postgres database. The catalog is
called `lake`. The extensions come from the Python packages duckdb-extension-ducklake,
duckdb-extension-sqlite-scanner and duckdb-extension-postgres-scanner; nothing is downloaded.
"""

import importlib.util
import pathlib
import sys

import duckdb


def extension(name):
    package = importlib.util.find_spec(f"duckdb_extension_{name}").submodule_search_locations[0]
    return next(pathlib.Path(package).rglob(f"{name}.duckdb_extension"))


def main(database, *rest):
    rest = list(rest)
    kind, options = "sqlite", ["read_only"]
    if rest and rest[0] == "--schema":
        kind = "postgres"
        options.append(f"metadata_schema '{rest[1]}'")
        rest = rest[2:]
    if rest and rest[0] == "--snapshot":
        options.append(f"snapshot_version {int(rest[1])}")
        rest = rest[2:]
    connection = duckdb.connect()
    for name in (f"{kind}_scanner", "ducklake"):
        connection.execute(f"load '{extension(name)}'")
    connection.execute(f"attach 'ducklake:{kind}:{database}' as lake ({', '.join(options)})")
    for query in rest:
        for row in connection.execute(query).fetchall():
            print("\t".join("" if value is None else str(value) for value in row))


main(*sys.argv[1:])
