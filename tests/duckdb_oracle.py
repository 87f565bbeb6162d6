"""Attaches a lake read-only in DuckDB, runs each query given, prints rows tab-separated.

usage: duckdb_oracle.py HUILIU_DB [--snapshot N] QUERY...

The catalog is called `lake`. The two extensions come from the Python packages
duckdb-extension-ducklake and duckdb-extension-sqlite-scanner; nothing is downloaded.
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
    snapshot = None
    if rest and rest[0] == "--snapshot":
        snapshot = int(rest[1])
        rest = rest[2:]
    connection = duckdb.connect()
    for name in ("sqlite_scanner", "ducklake"):
        connection.execute(f"load '{extension(name)}'")
    options = "read_only" if snapshot is None else f"read_only, snapshot_version {snapshot}"
    connection.execute(f"attach 'ducklake:sqlite:{database}' as lake ({options})")
    for query in rest:
        for row in connection.execute(query).fetchall():
            print("\t".join("" if value is None else str(value) for value in row))


main(*sys.argv[1:])
