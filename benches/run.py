#!/usr/bin/env python3
"""Measures the hub beside psql, DuckDB and deltalake on one machine, in one go.

  cargo build --release && python3 benches/run.py            all workloads, 5 rounds, 5 M rows
  python3 benches/run.py --rows 200000 --rounds 1 w1         a try-out

W1      a PostgreSQL table of 22 columns into the lake
W2      50 times 50,000 upserts and 5,000 deletes into that table
probes  10,000 changed rows in tables of two sizes: what finding them costs
W3      two tables of two fifths of it, reconciled from the lake: who lacks what, what differs
W3PG    the same two tables, straight from two databases
W3MORE  four systems beside two; and as many rows as 4 GB on the wire under the hub's memory limit
W4      ratios and distinct counts by division and month over twice the table
W5      a fifth of the table from the lake into a PostgreSQL table
WIRE    the same SELECTs of psql to PostgreSQL and to the hub's Postgres wire, over a fifth of the table

Each round runs every tool once, one after the other; what is printed are medians and the ratios
of each round's times. A private PostgreSQL without fsync is made in the work folder, as are the
Python packages of the peers. Every result is checked by content.
"""

import argparse
import json
import os
import pathlib
import re
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
parser.add_argument("workloads", nargs="*", default=[], help="prepare, w1, w2, probes, w3, w3pg, w4, w3more, w5, wire (default: all that are measured)")
parser.add_argument("--rows", type=int, default=5_000_000)
parser.add_argument("--rounds", type=int, default=5)
# Root's home is closed to the user the server runs as.
DEFAULT_WORK = "/var/tmp/huiliu-benches" if os.getuid() == 0 else pathlib.Path.home() / ".cache/huiliu/benches"
parser.add_argument("--work", type=pathlib.Path, default=DEFAULT_WORK)
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
    if not PYTHON.exists():
        say("installing the peers")
        subprocess.run([sys.executable, "-m", "venv", WORK / "venv"], check=True)
        subprocess.run([PYTHON, "-m", "pip", "install", "-q", *PEERS], check=True)
    if psql("select 1 from pg_database where datname = 'bench'", "postgres") != "1":
        psql("create database bench", "postgres")
    have = psql("select coalesce((select reltuples::bigint from pg_class where relname = 'cases'), 0)")
    if abs(int(have) - args.rows) > args.rows // 50:
        say(f"making {args.rows} rows")
        psql(f"""drop table if exists cases, batch, small, timed, timed_small cascade;
          create unlogged table cases ({cases.COLUMNS});
          insert into cases {cases.rows(1, args.rows)};
          create unlogged table small as select * from cases where right(case_no, 12)::bigint <= {args.rows // 5};
          create unlogged table timed ({cases.COLUMNS});
          insert into timed {cases.rows(1, args.rows, timed=True)};
          create unlogged table timed_small as select * from timed where right(case_no, 14)::bigint <= {args.rows // 5};
          vacuum analyze cases; vacuum analyze small; vacuum analyze timed; vacuum analyze timed_small;""")
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
        subprocess.run([program(), "init", str(root)], check=True, stdout=subprocess.DEVNULL)
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


def report(title, rounds, *bases):
    """Medians, and medians of the ratios within each round."""
    print(f"\n### {title}\n\n| tool | wall s | CPU s | MiB |" + "".join(f" / {base} |" for base in bases))
    print("|---|--:|--:|--:|" + "--:|" * len(bases))
    for tool in rounds[0]:
        median = lambda key: statistics.median(r[tool][key] for r in rounds)
        ratios = [statistics.median(r[tool]["wall"] / r[base]["wall"] for r in rounds) for base in bases]
        print(f"| {tool} | {median('wall'):.2f} | {median('cpu'):.2f} | {median('mib'):.0f} |"
              + "".join(f" {ratio:.2f} |" for ratio in ratios))
    sys.stdout.flush()


# --- the workloads ---------------------------------------------------------------------------

def w1():
    """The table into the lake, every guarantee on."""
    sums = "select count(*), sum(fee), sum(online_depth), count(finish_time) from {}"
    expected = psql(sums.format("cases")).split("|")
    for rows, table in [(args.rows, "cases"), (args.rows // 5, "small")]:
        root = project("w1", STREAM.format(table=table, more=""))
        rounds = []
        for number in range(args.rounds):
            shutil.rmtree(root / "data", ignore_errors=True)
            (WORK / "w1.parquet").unlink(missing_ok=True)
            rounds.append({
                "psql COPY binary to /dev/null": measured(
                    ["psql", "-Xq", DSN, "-c", f"\\copy (select * from {table}) to /dev/null (format binary)"]),
                "DuckDB scanner to Parquet": python(DUCK + f"""
c = duckdb.connect(); scanner(c); c.execute("attach '{DSN}' as p (type postgres, read_only)")
c.execute("copy (select * from p.{table}) to '{WORK}/w1.parquet' (format parquet, compression zstd)")"""),
                "huiliu run": huiliu(root, "run", "bench.cases"),
            })
            say(f"w1 {table} round {number + 1}: " + ", ".join(f"{k} {v['wall']:.2f} s {v['mib']:.0f} MiB" for k, v in rounds[-1].items()))
        if table == "cases":
            row = lake_query(root, sums.format("current.bench_cases"))[0]
            got = [str(value) for value in (row.values() if isinstance(row, dict) else row)]
            if [float(x) for x in got] != [float(x) for x in expected]:
                sys.exit(f"the lake holds {got}, the source {expected}")
        report(f"W1, {rows:,} rows", rounds, "psql COPY binary to /dev/null", "DuckDB scanner to Parquet")


def w2():
    """Fifty batches of changes into the table."""
    batch = STREAM.format(table="batch_now", more='deletes = "soft"\ndeleted = "gone"\n'
                          'guard = { delete_percent = 100 }')
    psql("create or replace view batch_now as select * from cases, lateral (select 0 as batch, false as gone) as b limit 0")
    root = project("w2", STREAM.format(table="cases", more=""))
    shutil.rmtree(root / "data", ignore_errors=True)
    huiliu(root, "run", "bench.cases")
    scan = "select division_code, count(*), sum(fee), count(distinct dept_code) from current.bench_cases group by 1"
    fresh = [huiliu(root, "query", scan)["wall"] for _ in range(args.rounds)]
    project("w2", batch)
    prepare_w2_peers()
    rounds, runs = [], []
    for number in range(50):
        psql(f"create or replace view batch_now as select * from batch where batch = {number}")
        # A run does the maintenance that is due, so it is in its time.
        took = {"huiliu run": huiliu(root, "run", "bench.cases")}
        runs.append(took["huiliu run"]["wall"])
        if number < args.rounds:
            took["deltalake MERGE"] = python(DELTA, WORK, DSN, number)
            took["DuckDB DELETE + INSERT"] = python(DUCK + DUCK_MERGE, WORK, DSN, number)
            rounds.append(took)
        say(f"w2 batch {number}: " + ", ".join(f"{k} {v['wall']:.2f} s {v['mib']:.0f} MiB" for k, v in took.items()))
    expected = psql(f"""select count(*), sum(fee), count(finish_time) from (
      select distinct on (case_no) * from (
        select *, -1 as batch, false as gone from cases union all select * from batch
      ) as versions order by case_no, batch desc) as newest where not gone""").split("|")
    after = [huiliu(root, "query", scan)["wall"] for _ in range(args.rounds)]
    row = lake_query(root, "select count(*), sum(fee), count(finish_time) from current.bench_cases")[0]
    if [float(value) for value in row.values()] != [float(value) for value in expected]:
        sys.exit(f"after all batches the lake holds {list(row.values())}, not {expected}")
    report("W2, one batch", rounds, "deltalake MERGE", "DuckDB DELETE + INSERT")
    upkeep = huiliu(root, "maintain")["wall"]
    fresh, after = statistics.median(fresh), statistics.median(after)
    mean = (sum(runs) + upkeep) / len(runs)
    merge, duck = (statistics.median(r[k]["wall"] for r in rounds) for k in ("deltalake MERGE", "DuckDB DELETE + INSERT"))
    print(f"\nMean of 50 batches, maintenance included: {mean:.2f} s = {mean / merge:.2f} of MERGE, {mean / duck:.2f} of "
          f"DuckDB (median {statistics.median(runs):.2f} s, longest {max(runs):.2f} s; the last `huiliu maintain` "
          f"{upkeep:.2f} s). A query over the table: {fresh:.2f} s fresh, {after:.2f} s after them, ratio {after / fresh:.2f}.")


def probes():
    """The same number of changed rows in two sizes of table: keys in no order, and recent keys of
    a table whose keys rise with time."""
    count = args.rows // 500
    print("\n### W2, how an upsert grows with the table\n\n| keys | table rows | changed rows | wall s | CPU s |\n|---|--:|--:|--:|--:|")
    for keys, tables in (("in no order", ("small", "cases")), ("rising, recent ones", ("timed_small", "timed"))):
        for table, rows in zip(tables, (args.rows // 5, args.rows)):
            root = project("probe", STREAM.format(table=table, more=""))
            shutil.rmtree(root / "data", ignore_errors=True)
            huiliu(root, "run", "bench.cases")
            project("probe", STREAM.format(table="probe_now", more=""))
            took = []
            for number in range(args.rounds):
                if keys == "in no order":
                    step = args.rows // 5 // count
                    changed = cases.rows(1, count, number + 1).replace(
                        "as s(n)", f"as i(i), lateral (select i * {step} as n) as s")
                else:
                    changed = cases.rows(rows - count + 1, rows, number + 1, timed=True)
                psql(f"drop table if exists probe_now; create unlogged table probe_now ({cases.COLUMNS}); "
                     f"insert into probe_now {changed}; analyze probe_now")
                took.append(huiliu(root, "run", "bench.cases"))
            said = lake_query(root, "select count(*) as n from current.bench_cases")[0]
            if list(said.values()) != [rows]:
                sys.exit(f"the lake holds {said}, not {rows} rows: a key was not found")
            median = lambda key: statistics.median(t[key] for t in took)
            print(f"| {keys} | {rows:,} | {count:,} | {median('wall'):.2f} | {median('cpu'):.2f} |")
            sys.stdout.flush()


DELTA = """
import sys, duckdb, importlib.util, pathlib, pyarrow as pa
from deltalake import DeltaTable
work, dsn, number = sys.argv[1:]
import pyarrow.parquet as pq
batch = pq.read_table(f'{work}/batch-{number}.parquet')
table = DeltaTable(f'{work}/delta')
keys = batch.column_names
columns = [name for name in keys if name not in ('batch', 'gone')]
values = {name: f's.{name}' for name in columns}
(table.merge(batch, 't.case_no = s.case_no', source_alias='s', target_alias='t')
    .when_matched_delete('s.gone').when_matched_update(values, 'not s.gone')
    .when_not_matched_insert(values, 'not s.gone').execute())
"""

DUCK_MERGE = """
work, dsn, number = sys.argv[1:]
c = duckdb.connect(f'{work}/cases.duckdb')
c.execute('begin')
c.execute(f"delete from cases where case_no in (select case_no from '{work}/batch-{number}.parquet')")
c.execute(f"insert into cases select * exclude (batch, gone) from '{work}/batch-{number}.parquet' where not gone")
c.execute('commit')
"""


def prepare_w2_peers():
    """The same table and batches for the peers, made once; not measured."""
    done = WORK / f"w2-{args.rows}"
    if done.exists():
        return
    for name in ("delta", "cases.duckdb"):
        shutil.rmtree(WORK / name, ignore_errors=True) if (WORK / name).is_dir() else (WORK / name).unlink(missing_ok=True)
    python(DUCK + f"""
c = duckdb.connect('{WORK}/cases.duckdb'); scanner(c); c.execute("attach '{DSN}' as p (type postgres, read_only)")
c.execute("create table cases as select * from p.cases")
for number in range({args.rounds}):
    c.execute(f"copy (select * from p.batch where batch = {{number}}) to '{WORK}/batch-{{number}}.parquet'")
c.execute("copy cases to '{WORK}/cases.parquet'"); c.execute("checkpoint")
""")
    python("""
import sys, pyarrow.dataset as ds
from deltalake import write_deltalake
write_deltalake(sys.argv[1] + '/delta', ds.dataset(sys.argv[1] + '/cases.parquet').scanner(batch_size=65536).to_reader(), target_file_size=64 << 20)
""", WORK)
    done.touch()


RECONCILE = """version = 1
entity = "pair{number}"
title = "两库核对"
key = ["case_no"]
golden = {golden}
"""

DUCK_COMPARE = """
import sys
work, *columns = sys.argv[1:]
c = duckdb.connect(); c.execute("set preserve_insertion_order = false")
def side(name):
    return f"(select case_no, hash({', '.join(columns)}) as h from '{work}/w3/data/lake/current/bench_{name}/*.parquet')"
c.execute(f'''copy (
  select coalesce(a.case_no, b.case_no) as case_no,
    case when b.h is null then 'missing_in_b' when a.h is null then 'missing_in_a' else 'mismatch' end as class
  from {side('a')} as a full join {side('b')} as b using (case_no) where a.h is distinct from b.h
) to '{work}/w3.parquet' ''')
"""


def pairs(rows):
    """Two tables that differ in one row of a thousand each way."""
    few = rows // 1000
    if psql("select count(*) from pg_class where relname in ('pair_a', 'pair_b')") != "2":
        say(f"making 2 x {rows} rows")
        changed = cases.rows(1, few, 1).replace("as s(n)", "as i(i), lateral (select i * 1000 - 1 as n) as s")
        psql(f"create unlogged table pair_a ({cases.COLUMNS}); create unlogged table pair_b ({cases.COLUMNS}); "
             f"insert into pair_a {cases.rows(1, rows)}; "
             f"insert into pair_b {cases.rows(few + 1, rows + few)} where n % 1000 <> 999 or n > {rows}; "
             f"insert into pair_b {changed} where n > {few}; vacuum analyze pair_a; vacuum analyze pair_b")


def w3():
    """Two systems with a thousandth of their rows missing on either side, and as many that differ."""
    rows = args.rows * 2 // 5
    few = rows // 1000
    pairs(rows)
    columns = [column.split()[0] for column in cases.COLUMNS.replace("(12,2)", "").split(",")]
    streams = "".join(STREAM.format(table=f"pair_{name}", more="").replace('"cases"', f'"{name}"') for name in "ab")
    root = project("w3", streams)
    if not (root / "data/huiliu.db").exists():
        huiliu(root, "run", "bench.*")
    # Of the rows that differ, those that only one side has do not count.
    expected = {"missing_in_a": few, "missing_in_b": few, "mismatch": sum(1 for n in range(999, rows, 1000) if n > few)}
    rounds = []
    for number in range(args.rounds):
        took = {"DuckDB, hashes first": python(DUCK + DUCK_COMPARE, WORK, *columns[1:])}
        for what, golden in (("huiliu run, classes and ledger", "false"), ("huiliu run, golden table too", "true")):
            took[what] = reconciled(root, "ab", columns, expected, golden)
        rounds.append(took)
        say(f"w3 round {number + 1}: " + ", ".join(f"{k} {v['wall']:.2f} s {v['mib']:.0f} MiB" for k, v in took.items()))
    report(f"W3, 2 x {rows:,} rows", rounds, "DuckDB, hashes first")


def names_of_columns():
    return [column.split()[0] for column in cases.COLUMNS.replace("(12,2)", "").split(",")]


def reconciled(root, systems, columns, expected, golden="false"):
    """Reconciles tables of the lake; what it took."""
    # What was reconciled once is not read again, so each time has a name of its own.
    name = f"pair{time.time_ns()}"
    text = RECONCILE.format(number=name.removeprefix("pair"), golden=golden)
    text += "".join(f'\n[systems.{x}]\ntable = "current.bench_{x}"\nowner = "甲"\n' for x in systems)
    text += "".join(f"\n[fields.{column}]\n" for column in columns[1:])
    file = root / f"pipelines/reconcile/{name}.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    took = huiliu(root, "run", f"reconciled.{name}s")
    found = {row["class"]: int(row["keys"]) for row in lake_query(root, f"select class, keys from reconciled.{name}_classes")}
    file.unlink()
    if {name: found.get(name) for name in expected} != expected:
        sys.exit(f"found {found}, there are {expected}")
    return took


DUCK_COMPARE_PG = """
import sys
work, dsn, *columns = sys.argv[1:]
c = duckdb.connect(); scanner(c); c.execute("set preserve_insertion_order = false")
for name in 'ab':
    c.execute(f"attach '{dsn}_{name}' as {name} (type postgres, read_only)")
def side(name):
    return f"(select case_no, hash({', '.join(columns)}) as h from {name}.cases)"
c.execute(f'''copy (
  select coalesce(a.case_no, b.case_no) as case_no,
    case when b.h is null then 'missing_in_b' when a.h is null then 'missing_in_a' else 'mismatch' end as class
  from {side('a')} as a full join {side('b')} as b using (case_no) where a.h is distinct from b.h
) to '{work}/w3pg.parquet' ''')
"""


def w3pg():
    """The two tables of W3 in two databases, compared without taking them in."""
    rows = args.rows * 2 // 5
    few = rows // 1000
    pairs(rows)
    for name in "ab":
        database = f"bench_{name}"
        if psql(f"select 1 from pg_database where datname = '{database}'") != "1":
            psql(f"create database {database}")
            psql(f"create unlogged table cases ({cases.COLUMNS})", database)
            copy = (f"psql -Xq {DSN} -c '\\copy pair_{name} to stdout (format binary)' | "
                    f"psql -Xq {DSN}_{name} -c '\\copy cases from stdin (format binary)'")
            subprocess.run(["bash", "-c", copy], check=True)
            psql("vacuum analyze cases", database)
    root = project("w3pg", "")
    shutil.rmtree(root / "data", ignore_errors=True)
    (root / "config/systems/bench.toml").unlink()
    for name in "ab":
        (root / f"config/systems/{name}.toml").write_text(
            f'version = 1\nkind = "postgres"\ntitle = "{name}"\nowner = "甲"\nurl = "{DSN}_{name}"\n'
            + STREAM.format(table="cases", more=""))
    columns = names_of_columns()
    text = RECONCILE.format(number="", golden="false")
    text += "".join(f'\n[systems.{x}]\ntable = "current.{x}_cases"\nowner = "甲"\n' for x in "ab")
    text += "".join(f"\n[fields.{column}]\n" for column in columns[1:])
    (root / "pipelines/reconcile").mkdir(parents=True, exist_ok=True)
    (root / "pipelines/reconcile/pair.toml").write_text(text)
    expected = {"missing_in_a": few, "missing_in_b": few, "mismatch": sum(1 for n in range(999, rows, 1000) if n > few)}
    copies = [f"psql -Xq {DSN}_{name} -c '\\copy cases to /dev/null (format binary)'" for name in "ab"]
    out = WORK / "w3pg.json"
    command = [str(program()), "--project", str(root), "--data", str(root / "data"), "plan", "--live", "--output", "json"]
    rounds = []
    for number in range(args.rounds):
        rounds.append({
            "psql COPY binary of both at once": measured(["bash", "-c", " & ".join(copies) + " & wait"]),
            "DuckDB, hashes first": python(DUCK + DUCK_COMPARE_PG, WORK, DSN, *columns[1:]),
            "huiliu plan --live": measured(["bash", "-c", 'out=$1; shift; exec "$@" > "$out"', "bash", str(out), *command]),
        })
        tables = json.loads(out.read_text())["tables"]
        found = next(table for table in tables if table["kind"] == "reconcile")["reconcile"]["classes_after"]
        if {name: found.get(name) for name in expected} != expected:
            sys.exit(f"found {found}, there are {expected}")
        say(f"w3pg round {number + 1}: " + ", ".join(f"{k} {v['wall']:.2f} s {v['mib']:.0f} MiB" for k, v in rounds[-1].items()))
    report(f"W3 from two databases, 2 x {rows:,} rows", rounds, "psql COPY binary of both at once", "DuckDB, hashes first")


def w3more():
    """Four systems beside two; and more rows than the memory limit has room for."""
    rows = args.rows * 2 // 5
    few = rows // 1000
    columns = names_of_columns()
    root = project("w3four", "".join(
        STREAM.format(table=f"pair_{table}", more="").replace('"cases"', f'"{name}"')
        for name, table in zip("abcd", "abab")))
    if not (root / "data/huiliu.db").exists():
        huiliu(root, "run", "bench.*")
    # c has what a has and d what b has; a key is of the class of the first system that lacks it.
    expected = {"missing_in_a": few, "missing_in_b": few}
    rounds = []
    for number in range(args.rounds):
        rounds.append({
            "two systems": reconciled(root, "ab", columns, expected),
            "four systems": reconciled(root, "abcd", columns, expected),
        })
        say(f"w3more round {number + 1}: " + ", ".join(f"{k} {v['wall']:.2f} s {v['mib']:.0f} MiB" for k, v in rounds[-1].items()))
    report(f"W3 with more systems, {rows:,} rows each", rounds, "two systems")
    # About 29 rows are on a page.
    pages = args.rows * 3 // 2 // 29
    psql(f"create or replace view big_a as select * from many where ctid < '({pages},1)'::tid")
    psql("create or replace view big_b as select * from big_a where right(case_no, 3) <> '777'")
    each, missing = (int(n) for n in psql("select count(*), count(*) filter (where right(case_no, 3) = '777') from big_a").split("|"))
    wire = int(psql("select sum(pg_column_size(b.*)) / 1000000 from big_a as b"))
    root = project("w3big", "".join(
        STREAM.format(table=f"big_{name}", more="").replace('"cases"', f'"{name}"') for name in "ab"))
    if not (root / "data/huiliu.db").exists():
        huiliu(root, "run", "bench.*")
    took = reconciled(root, "ab", columns, {"missing_in_b": missing})
    print(f"\n2 x {each:,} rows, {2 * wire:,} MB, reconciled in {took['wall']:.1f} s, {took['mib']:.0f} MiB at most.")


METRICS = """select division_code, date_trunc('month', accept_time) as month, count(*) as cases,
  count(distinct applicant_id) as people, count(distinct item_code) as items, count(finish_time) as finished,
  sum(case when cast(finish_time as date) <= promise_due then 1 else 0 end) as on_time,
  avg(case when online_depth >= 3 then 1.0 else 0.0 end) as online_ratio, sum(fee) as fees
from {} where not deleted group by 1, 2 order by 1, 2"""


def w4():
    """Figures by division and month with exact distinct counts."""
    rows = args.rows * 2
    if psql("select count(*) from pg_class where relname = 'many'") != "1":
        say(f"making {rows} rows")
        psql(f"create unlogged table many ({cases.COLUMNS}); insert into many {cases.rows(1, rows)}; vacuum analyze many")
    root = project("w4", STREAM.format(table="many", more=""))
    if not (root / "data/huiliu.db").exists():
        huiliu(root, "run", "bench.cases")
    files = f"read_parquet('{root}/data/lake/current/bench_cases/*.parquet')"
    sums = ("select count(*), sum(cases)::bigint, sum(people)::bigint, sum(items)::bigint, sum(finished)::bigint, "
            "sum(on_time)::bigint, sum(fees)::varchar from ({}) as m")
    rounds = []
    for number in range(args.rounds):
        rounds.append({
            "DuckDB": python(DUCK + f"""
duckdb.connect().execute('''copy ({METRICS.format(files)}) to '{WORK}/w4.parquet' ''')"""),
            "huiliu query": huiliu(root, "query", METRICS.format("current.bench_cases"), "--limit", "1000000"),
        })
        say(f"w4 round {number + 1}: " + ", ".join(f"{k} {v['wall']:.2f} s {v['mib']:.0f} MiB" for k, v in rounds[-1].items()))
    ours = lake_query(root, sums.format(METRICS.format("current.bench_cases")))[0]
    theirs = subprocess.run([PYTHON, "-c", DUCK + f"""
print(*duckdb.connect().execute(\"\"\"{sums.format(f"select * from '{WORK}/w4.parquet'")}\"\"\").fetchone(), sep='|')"""],
        capture_output=True, text=True, check=True).stdout.strip().split("|")
    if [str(value) for value in ours.values()] != theirs:
        sys.exit(f"ours {list(ours.values())}, DuckDB's {theirs}")
    report(f"W4, {rows:,} rows", rounds, "DuckDB")


def w5():
    """A table from the lake into PostgreSQL."""
    push = ('\n[[pushes]]\nname = "back"\nfrom = "current.bench_cases"\nto = "{}"\nkey = ["case_no"]\nload = "replace"\n')
    root = project("w5", STREAM.format(table="small", more=""))
    if not (root / "data/huiliu.db").exists():
        huiliu(root, "run", "bench.cases")
    psql(f"drop table if exists w5_hub, w5_psql, w5_duck")
    for name in ("hub", "psql", "duck"):
        psql(f"create unlogged table w5_{name} ({cases.COLUMNS})")
    dump = WORK / "small.bin"
    measured(["psql", "-Xq", DSN, "-c", f"\\copy small to '{dump}' (format binary)"])
    python(DUCK + f"""
c = duckdb.connect(); scanner(c); c.execute("attach '{DSN}' as p (type postgres, read_only)")
c.execute("copy (select * from p.small) to '{WORK}/small.parquet'")""")
    rounds = []
    for number in range(args.rounds):
        psql("truncate w5_hub, w5_psql, w5_duck")
        # A load of an unchanged table is left out, so each round sends to a push of its own name.
        project("w5", STREAM.format(table="small", more=""), push.format("w5_hub").replace('"back"', f'"back{time.time_ns()}"'))
        rounds.append({
            "psql \\copy binary": measured(["psql", "-Xq", DSN, "-c", f"\\copy w5_psql from '{dump}' (format binary)"]),
            "DuckDB": python(DUCK + f"""
c = duckdb.connect(); scanner(c); c.execute("attach '{DSN}' as p (type postgres)")
c.execute("insert into p.w5_duck select * from '{WORK}/small.parquet'")"""),
            "huiliu run": huiliu(root, "run", "push.bench.*"),
        })
        say(f"w5 round {number + 1}: " + ", ".join(f"{k} {v['wall']:.2f} s" for k, v in rounds[-1].items()))
    for name in ("hub", "duck"):
        if psql(f"select count(*) from (select * from small except select * from w5_{name}) as d") != "0":
            sys.exit(f"w5_{name} differs from its source")
    report(f"W5, {args.rows // 5:,} rows", rounds, "psql \\copy binary", "DuckDB")


WIRE_PORT = PORT + 1
WIRE_SELECTS = {
    "all rows, 6 columns": "select case_no, division_code, dept_code, status, fee, accept_time from {}",
    "all rows, all columns": "select * from {}",
    "counted by division and month": "select division_code, date_trunc('month', accept_time) as month, count(*), sum(fee), "
                                     "count(distinct dept_code) from {} group by 1, 2 order by 1, 2",
}


def wire():
    """SELECTs over the Postgres wire, by the same client."""
    root = project("w5", STREAM.format(table="small", more=""))
    if not (root / "data/huiliu.db").exists():
        huiliu(root, "run", "bench.cases")
    columns = psql("select string_agg(column_name, ', ' order by ordinal_position) from information_schema.columns "
                   "where table_name = 'small'")
    def owner(*arguments):
        done = subprocess.run([program(), "--project", root, "--data", root / "data", *arguments],
                              capture_output=True, text=True)
        return done.stdout + done.stderr
    owner("user", "add", "bench.wire", "--title", "Bench", "--role", "analyst")
    token = re.search(r"hl_\w+", owner("user", "token", "create", "bench.wire", "--title", "wire", "--scope", "query"))[0]
    served = subprocess.Popen(
        [program(), "--project", root, "--data", root / "data", "serve", "--pgwire", f"127.0.0.1:{WIRE_PORT}", "--flight", "off",
         "--web", "off", "--metrics", "off"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        hub = f"postgresql://bench.wire:{token}@127.0.0.1:{WIRE_PORT}/huiliu"
        until = time.monotonic() + 60
        while subprocess.run(["psql", "-Xq", hub, "-c", "select 1"], capture_output=True).returncode:
            if time.monotonic() > until:
                sys.exit("the hub does not answer")
            time.sleep(0.2)
        for title, select in WIRE_SELECTS.items():
            rounds = []
            for number in range(args.rounds):
                rounds.append({
                    name: measured(["psql", "-XqAt", address, "-c", select.replace("*", columns, select.startswith("select *")).format(table)])
                    for name, address, table in (("PostgreSQL", DSN, "small"), ("huiliu serve", hub, "current.bench_cases"))})
            say(f"wire {title}: " + ", ".join(f"{k} {v['wall']:.2f} s" for k, v in rounds[-1].items()))
            report(f"Wire, {args.rows // 5:,} rows, {title}", rounds, "PostgreSQL")
    finally:
        served.terminate()
        served.wait()


def main():
    if args.workloads != ["prepare"] and not program().exists():
        sys.exit(f"{program()} is missing: cargo build --release")
    WORK.mkdir(parents=True, exist_ok=True)
    start_server()
    try:
        prepare()
        for name in args.workloads or ["w1", "w2", "probes", "w3", "w3pg", "w4", "w3more", "w5", "wire"]:
            {"prepare": lambda: None, "w1": w1, "w2": w2, "probes": probes, "w3": w3, "w3pg": w3pg, "w3more": w3more,
             "w4": w4, "w5": w5, "wire": wire}[name]()
    finally:
        stop_server()


main()
