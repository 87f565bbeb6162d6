#!/usr/bin/env python3
"""Measures the hub beside psql, DuckDB and deltalake on one machine, in one go.

  cargo build --release && python3 benches/run.py            all workloads, 5 rounds, 5 M rows
  python3 benches/run.py --rows 200000 --rounds 1 w1         a try-out

W1  a PostgreSQL table of 22 columns into the lake
W2  50,000 upserts and 5,000 deletes into that table
W5  a fifth of it from the lake into a PostgreSQL table

Each round runs every tool once, one after the other; what is printed are medians and the ratios
of each round's times. A private PostgreSQL without fsync is made in the work folder, as are the
Python packages of the peers. Every result is checked by content.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

import cases

HERE = pathlib.Path(__file__).resolve().parent
PORT = 55433
PEERS = ["duckdb==1.5.5", "duckdb-extension-postgres-scanner==1.5.5", "deltalake", "pyarrow"]
UPSERTS, DELETES = 0.01, 0.001

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("workloads", nargs="*", default=[], help="w1, w2, w5 (default: all)")
parser.add_argument("--rows", type=int, default=5_000_000)
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path.home() / ".cache/huiliu/benches")
parser.add_argument("--huiliu", default=None, help="the program (default: target/release/huiliu)")
args = parser.parse_args()
WORK = args.work.resolve()
DSN = f"postgresql://bench@127.0.0.1:{PORT}/bench"
PYTHON = WORK / "venv/bin/python"


def say(text):
    print(text, file=sys.stderr, flush=True)


def program():
    if args.huiliu:
        return pathlib.Path(args.huiliu).resolve()
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent / "target"))
    return (target / "release/huiliu").resolve()


# --- the server ------------------------------------------------------------------------------

def as_server(command):
    if os.getuid() == 0:
        command = ["su", "postgres", "-s", "/bin/bash", "-c", command]
    else:
        command = ["bash", "-c", command]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def server_tools():
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        sys.exit("the PostgreSQL server is missing: apt-get install postgresql")
    return found[-1].parent


def start_server():
    data, tools = WORK / "postgres", server_tools()
    if not (data / "data/PG_VERSION").exists():
        data.mkdir(parents=True, exist_ok=True)
        if os.getuid() == 0:
            shutil.chown(data, "postgres")
        as_server(f"{tools}/initdb -D {data}/data -U bench --auth=trust -E UTF8 --locale=C.UTF-8")
        # One backend's speed is measured, not the disk of a server that stands elsewhere.
        with open(data / "data/postgresql.conf", "a") as settings:
            settings.write(
                f"port={PORT}\nlisten_addresses='127.0.0.1'\nunix_socket_directories=''\n"
                "shared_buffers=2GB\nmax_wal_size=8GB\nfsync=off\nsynchronous_commit=off\n"
                "max_parallel_workers_per_gather=0\n")
    as_server(f"{tools}/pg_ctl -D {data}/data -l {data}/log -w start")


def stop_server():
    as_server(f"{server_tools()}/pg_ctl -D {WORK}/postgres/data -m fast -w stop")


def psql(sql, database="bench"):
    done = subprocess.run(
        ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", DSN.rsplit("/", 1)[0] + "/" + database],
        input=sql, text=True, capture_output=True)
    if done.returncode:
        sys.exit(f"psql: {done.stderr}")
    return done.stdout.strip()


def prepare():
    WORK.mkdir(parents=True, exist_ok=True)
    if not PYTHON.exists():
        say("installing the peers")
        subprocess.run([sys.executable, "-m", "venv", WORK / "venv"], check=True)
        subprocess.run([PYTHON, "-m", "pip", "install", "-q", *PEERS], check=True)
    start_server()
    if psql("select 1 from pg_database where datname = 'bench'", "postgres") != "1":
        psql("create database bench", "postgres")
    have = psql("select coalesce((select reltuples::bigint from pg_class where relname = 'cases'), 0)")
    if abs(int(have) - args.rows) > args.rows // 50:
        say(f"making {args.rows} rows")
        psql(f"""drop table if exists cases, batch, small;
          create unlogged table cases ({cases.COLUMNS});
          insert into cases {cases.rows(1, args.rows)};
          create unlogged table small as select * from cases order by ctid limit {args.rows // 5};
          vacuum analyze cases; vacuum analyze small;""")
        make_batches()


def make_batches():
    """Fifty batches; each changes one row in a hundred, adds a few, and deletes some."""
    upserts, deletes = int(args.rows * UPSERTS), int(args.rows * DELETES)
    changed = upserts * 4 // 5
    psql(f"create unlogged table batch (like cases); alter table batch add column batch int, add column gone boolean")
    for number in range(50):
        step = args.rows // changed
        old = cases.rows(1, changed, number + 1, f", {number}, false").replace(
            "generate_series(1::bigint", f"generate_series(1::bigint").replace(
            "as s(n)", f"as i(i), lateral (select i * {step} - {number % step} as n) as s")
        new = cases.rows(args.rows + 1 + number * (upserts - changed), args.rows + (number + 1) * (upserts - changed),
                         number + 1, f", {number}, false")
        gone = cases.rows(1, deletes, 0, f", {number}, true").replace(
            "as s(n)", f"as i(i), lateral (select i * {args.rows // deletes} - {50 + number} as n) as s")
        psql(f"insert into batch {old}; insert into batch {new}; insert into batch {gone}")
    psql("create index on batch (batch); vacuum analyze batch")


# --- measuring -------------------------------------------------------------------------------

def measured(command, **options):
    """Runs a command; gives wall seconds, CPU seconds and peak memory in MiB."""
    begin = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **options)
    errors = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.monotonic() - begin
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"{command[0]} ended with {child.returncode}: {errors.decode()[-2000:]}")
    return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "mib": usage.ru_maxrss / 1024}


def python(code, *arguments):
    return measured([str(PYTHON), "-c", code, *map(str, arguments)])


DUCK = """
import duckdb, importlib.util, pathlib, sys
def scanner(c):
    folder = importlib.util.find_spec('duckdb_extension_postgres_scanner').submodule_search_locations[0]
    c.execute(f"load '{next(pathlib.Path(folder).rglob('*.duckdb_extension'))}'")
"""


def project(name, streams, pushes=""):
    """A project with one PostgreSQL system."""
    root = WORK / name
    if not (root / "config").exists():
        subprocess.run([program(), "init", str(root), "--empty"], check=True, stdout=subprocess.DEVNULL)
    (root / "config/systems").mkdir(parents=True, exist_ok=True)
    (root / "config/systems/bench.toml").write_text(
        f'version = 1\nkind = "postgres"\ntitle = "基准库"\nowner = "数据室"\nurl = "{DSN}"\n{streams}{pushes}')
    return root


STREAM = """
[[streams]]
name = "cases"
table = "{table}"
key = ["case_no"]
write = "upsert"
{more}
"""


def huiliu(root, *arguments):
    return measured([str(program()), "--project", str(root), "--data", str(root / "data"), *arguments])


def lake_query(root, sql):
    done = subprocess.run(
        [program(), "--project", root, "--data", root / "data", "query", sql, "--output", "json"],
        capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"query: {done.stderr}")
    return json.loads(done.stdout)


def report(title, rounds, base):
    print(f"\n### {title}\n\n| tool | wall s | CPU s | MiB | wall / {base} |\n|---|--:|--:|--:|--:|")
    for tool in rounds[0]:
        median = lambda key: statistics.median(r[tool][key] for r in rounds)
        ratio = statistics.median(r[tool]["wall"] / r[base]["wall"] for r in rounds)
        print(f"| {tool} | {median('wall'):.2f} | {median('cpu'):.2f} | {median('mib'):.0f} | {ratio:.2f} |")
    sys.stdout.flush()
