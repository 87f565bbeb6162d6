#!/usr/bin/env python3
"""Sixty jobs a minute over half an hour: how memory and open files of the service move.

    cargo build --release && python3 benches/soak.py [--minutes 30] [--binary target/release/huiliu]

Makes a project of one SQLite system with sixty streams, each read by a job of its own every minute.
Ends with 1 when memory grows by more than 1 MiB a minute, files stay open, or a job fails.
"""

import argparse
import pathlib
import sqlite3
import subprocess
import tempfile
import threading
import time
import urllib.request

STREAM = '[[streams]]\nname = "t{n}"\ntable = "cases"\nkey = ["id"]\nread = "full"\n'
JOB = '[[jobs]]\nname = "j{n}"\ncron = "* * * * *"\nrun = "office.t{n}"\n'
SYSTEM = 'version = 1\nkind = "sqlite"\ntitle = "soak"\nowner = "soak"\nstage = "live"\npath = "office.db"\n'


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=int, default=30)
    parser.add_argument("--binary", default="target/release/huiliu")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return soak(pathlib.Path(folder), pathlib.Path(options.binary).resolve(), options.minutes)


def soak(folder: pathlib.Path, binary: pathlib.Path, minutes: int) -> int:
    project, data = folder / "project", folder / "data"
    subprocess.run([binary, "init", project], check=True, capture_output=True)
    streams = "".join(STREAM.format(n=n) for n in range(60))
    (project / "config/systems/office.toml").write_text(SYSTEM + streams)
    jobs = "version = 1\n" + "".join(JOB.format(n=n) for n in range(60))
    (project / "config/jobs.toml").write_text(jobs)
    with sqlite3.connect(project / "office.db") as source:
        source.execute("create table cases (id integer primary key, name text)")
        source.executemany("insert into cases values (?, 'x')", ((n,) for n in range(1000)))
    command = [binary, "--project", project, "--data", data, "serve"]
    command += [part for door in ("--pgwire", "--metrics") for part in (door, "127.0.0.1:0")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as service:
        try:
            address = next(line.strip() for line in service.stderr if line.endswith("/metrics\n"))
            # Nobody may block on a full pipe.
            threading.Thread(target=service.stderr.read, daemon=True).start()
            samples = []
            begin = time.monotonic()
            while (passed := (time.monotonic() - begin) / 60) < minutes:
                time.sleep(10)
                figures = read(address)
                samples.append((passed, figures))
                print(f"{passed:6.1f} min  {figures['memory'] / 2**20:8.1f} MiB  {figures['files']:4.0f} files"
                      f"  {figures['done']:6.0f} done  {figures['bad']:3.0f} not", flush=True)
        finally:
            service.terminate()
    # The first quarter fills caches.
    steady = samples[len(samples) // 4:]
    growth = slope([(at, figures["memory"]) for at, figures in steady]) / 2**20
    files = steady[-1][1]["files"] - steady[0][1]["files"]
    bad = samples[-1][1]["bad"]
    print(f"memory {growth:+.3f} MiB a minute, open files {files:+.0f}, jobs that failed {bad:.0f}")
    return int(growth > 1 or files > 4 or bad > 0)


def read(address: str) -> dict:
    with urllib.request.urlopen(address, timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    value = lambda start: [float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(start)]
    states = [line for line in lines if line.startswith("huiliu_job_occurrences{")]
    count = lambda words: sum(float(l.rsplit(" ", 1)[1]) for l in states if any(w in l for w in words))
    return {
        "memory": value("process_resident_memory_bytes ")[0],
        "files": value("process_open_fds ")[0],
        "done": count(['state="done"']),
        "bad": count(['state="failed"', 'state="skipped"', 'state="parked"']),
    }


def slope(points: list) -> float:
    """Of the straight line that fits best."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    over = sum((x - mean_x) ** 2 for x, _ in points) or 1
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / over


if __name__ == "__main__":
    raise SystemExit(main())
