#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""make bench-jobs: REST jobs against the simulator, PostgreSQL and it on the same cores.

BENCH_JOBS (10,000 invoke jobs a run, each one request and one poll), BENCH_EVENTS (500,000 events a run beside
them), BENCH_RUNS (3: medians of so many), BENCH_STATEMENTS=1 (prints each statement's share). Stalls are wall time and
rates wait for the disk's fsync: on a machine that does other things they say little.
"""
import base64
import json
import os
import statistics
import subprocess
import sys
import time

import bench
from bench import BUILD, HOME, Sim, cpu_seconds, daemons, median, postgreses, wait

JOBS = int(os.environ.get("BENCH_JOBS", "10000"))
EVENTS = int(os.environ.get("BENCH_EVENTS", "500000"))
RUNS = int(os.environ.get("BENCH_RUNS", "3"))
ACTION_ID = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
PAYLOAD = 10 << 20


def make_daemon(cluster, sim, concurrency, connections):
    subprocess.run(["rm", "-rf", str(HOME / "d")], check=True)
    jobs = {
        "concurrency": concurrency,
        "apis": {"cxone": {"base_url": sim.url(""), "auth": "cxone", "max_connections": connections,
                           "rate_limit": "1000000/s"}},
        "actions": {
            "ticket": {"kind": "invoke", "api": "cxone", "action_id": ACTION_ID, "poll": {"interval": "10ms"}},
            "scan": {"kind": "execute", "api": "cxone", "action_id": ACTION_ID}},
    }
    config = daemons.config(cluster.dsn(), sim, log={"level": "warn", "target": "text"}, jobs=jobs)
    daemon = daemons.Daemon(BUILD, HOME / "d", config)
    bench.fresh(cluster)
    cluster.query("truncate cxsink.jobs cascade")
    return daemon


def enqueue(cluster, count, action="ticket", params='{"inputs": {"customerId": "c-1", "priority": 2}}'):
    """All of them due at once, with their COMMIT."""
    cluster.query("select count(cxsink.enqueue(%s, %s::jsonb)) from generate_series(1, %s)",
                  args=(action, params, count))


def finished(cluster):
    return dict(cluster.query("select state, count(*) from cxsink.jobs group by state"))


def wait_finished(cluster, sim, count):
    """Asks the simulator first, which costs the database nothing."""
    def seen():
        return sum(sim.stats()["rest"]["requests"][name] for name in ("status", "execute"))
    wait.until(lambda: seen() >= count, 900, f"{count} jobs were answered", poll=0.01)
    wait.until(lambda: finished(cluster) == {"succeeded": count}, 60, f"{count} jobs succeeded", poll=0.01)


def statements(cluster):
    """(all that the daemon sent, those that change records, text of the shares)"""
    rows = cluster.query("select calls, rows, total_exec_time, query from pg_stat_statements where query not like '%%pg_stat%%'"
                         " and query not like '%%generate_series%%' and query not like '%%group by state%%'"
                         " order by total_exec_time desc")
    changing = sum(calls for calls, _, _, query in rows if "UPDATE" in query or "INSERT" in query or "DELETE" in query)
    shares = "\n".join(f"    {calls:8} calls {got:8} rows {ms:10.1f} ms  {query[:80]}" for calls, got, ms, query in rows[:12])
    return sum(calls for calls, *_ in rows), changing, shares


def jobs_run(cluster, concurrency):
    with Sim("--paused") as sim:
        daemon = make_daemon(cluster, sim, concurrency, concurrency)
        daemon.start().wait_ready()
        cluster.query("checkpoint")
        cluster.query("select pg_stat_statements_reset()")
        cpu, database_cpu = cpu_seconds(daemon.process.pid), database_seconds(cluster)
        began = time.monotonic()
        enqueue(cluster, JOBS)
        queued = time.monotonic()
        wait_finished(cluster, sim, JOBS)
        took = time.monotonic() - queued
        cpu = cpu_seconds(daemon.process.pid) - cpu
        database_cpu = database_seconds(cluster) - database_cpu
        sent, changing, shares = statements(cluster)
        rest = sim.stats()["rest"]
        daemon.stop()
    assert rest["effects"]["invoke"] == JOBS and rest["duplicates"] == 0, rest
    if os.environ.get("BENCH_STATEMENTS"):
        print(shares)
    return {"rate": JOBS / took, "cpu_us": cpu / JOBS * 1e6, "statements": sent / JOBS, "changing": changing / JOBS,
            "database_us": database_cpu / JOBS * 1e6, "queueing": JOBS / (queued - began)}


def database_seconds(cluster):
    """CPU of the server's processes that live; those that ended are its own."""
    total = 0
    for pid in [cluster.process.pid, *children(cluster.process.pid)]:
        try:
            total += cpu_seconds(pid)
        except OSError:
            pass
    return total


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(word) for word in file.read().split()]


def polled(sim):
    return sim.stats()["rest"]["requests"]["status"]


def events_run(cluster, jobs):
    """Events a second beside so many jobs, which were queued before and are more than can be done meanwhile."""
    with Sim("--count", EVENTS, "--paused") as sim:
        daemon = make_daemon(cluster, sim, 8, 8)
        daemon.start().wait_ready()
        if jobs:
            enqueue(cluster, jobs)
            wait.until(lambda: polled(sim) > 100, 60, "jobs run")
        done, cpu, began = polled(sim), cpu_seconds(daemon.process.pid), time.monotonic()
        sim.post("/sim/set?paused=0")
        took = bench.run_until(daemon, EVENTS)
        done = polled(sim) - done
        figures = {"rate": EVENTS / took, "jobs": done / (time.monotonic() - began),
                   "cpu": (cpu_seconds(daemon.process.pid) - cpu) / took}
        if jobs:
            assert polled(sim) < jobs, "the queue ran dry"
            figures |= spent(cluster)
        daemon.stop()
    return figures


def spent(cluster):
    """Milliseconds of a finished job, and of its requests."""
    [[job, requests]] = cluster.query(
        "select avg(extract(epoch from finished_at - started_at)) * 1000,"
        " avg((select sum((a ->> 'latency_ms')::float8) from jsonb_array_elements(attempts) a))"
        " from cxsink.jobs where state = 'succeeded'")
    return {"job_ms": float(job), "requests_ms": float(requests)}


def stall(before, after):
    """Upper bound in seconds of the highest bucket that grew."""
    highest, name = 0.0, "cxsink_loop_stall_seconds_bucket"
    bounds = sorted((float("inf") if "+Inf" in key else float(key.split('le="')[1].split('"')[0]),
                     value - before.get(key, 0)) for key, value in after.items() if key.startswith(name))
    below = 0
    for bound, cumulated in bounds:
        if cumulated > below:
            highest = bound
        below = cumulated
    return highest


def stall_run(cluster, path, by_file):
    with Sim("--paused") as sim:
        daemon = make_daemon(cluster, sim, 8, 8)
        daemon.start().wait_ready()
        params = {"content_type": "application/octet-stream"}
        if by_file:
            params["file"] = str(path)
        else:
            params |= {"data": base64.b64encode(path.read_bytes()).decode(), "encoding": "base64"}
        text = json.dumps(params)
        before = daemon.metrics()
        enqueue(cluster, 1, "scan", text)
        wait_finished(cluster, sim, 1)
        after = daemon.metrics()
        daemon.stop()
    return stall(before, after)


def show(name, figure, aim):
    print(f"{name:64} {figure:>16} {aim:>14}", flush=True)


def bench_rate(cluster):
    for concurrency in (8, 64):
        runs = [jobs_run(cluster, concurrency) for _ in range(RUNS)]
        show(f"invoke jobs, {concurrency} at once", f"{median(runs, 'rate'):,.0f} jobs/s", "2,000 jobs/s")
        show("  daemon CPU a job", f"{median(runs, 'cpu_us'):,.0f} us", "")
        show("  PostgreSQL CPU a job", f"{median(runs, 'database_us'):,.0f} us", "")
        show("  statements a job", f"{median(runs, 'statements'):.2f}", "4")
        show("  of them changing records", f"{median(runs, 'changing'):.2f}", "")


def bench_events(cluster):
    """Each alone, then both. What both take of the machine is more than it has, so that each gets a part."""
    jobs, events, both = [], [], []
    for _ in range(RUNS):
        jobs.append(jobs_run(cluster, 8))
        events.append(events_run(cluster, 0))
        both.append(events_run(cluster, 5 * JOBS))
    events_part = median(both, "rate") / median(events, "rate") * 100
    jobs_part = median(both, "jobs") / median(jobs, "rate") * 100
    show("jobs alone, 8 at once", f"{median(jobs, 'rate'):,.0f} jobs/s", "")
    show("events alone", f"{median(events, 'rate'):,.0f} events/s", "")
    show("  daemon CPU", f"{median(events, 'cpu') * 100:.0f} % of a core", "")
    show("events beside jobs", f"{median(both, 'rate'):,.0f} events/s", "")
    show("  of those alone", f"{events_part:.0f} %", "80 %")
    show("jobs beside events", f"{median(both, 'jobs'):,.0f} jobs/s", "")
    show("  of those alone", f"{jobs_part:.0f} %", "")
    show("  daemon CPU", f"{median(both, 'cpu') * 100:.0f} % of a core", "")
    show("  a job takes", f"{median(both, 'job_ms'):.1f} ms", "")
    show("  of that its requests", f"{median(both, 'requests_ms'):.1f} ms", "")


def bench_stall(cluster):
    path = HOME / "payload.bin"
    path.write_bytes(os.urandom(PAYLOAD))
    for by_file, text in ((True, "from a file"), (False, "as base64 in the job")):
        longest = statistics.median(stall_run(cluster, path, by_file) for _ in range(RUNS))
        show(f"longest stall of the loop, execute of 10 MiB {text}", f"<= {longest * 1000:g} ms", "5 ms")


PARTS = {"rate": bench_rate, "events": bench_events, "stall": bench_stall}


def main():
    parts = sys.argv[1:] or list(PARTS)
    subprocess.run(["rm", "-rf", str(HOME)], check=True)
    HOME.mkdir(parents=True)
    cluster = postgreses.Postgres(HOME, {"fsync": "on", "shared_buffers": "256MB", "max_wal_size": "4GB",
                                         "shared_preload_libraries": "pg_stat_statements"}.items())
    try:
        cluster.start()
        cluster.query("create extension pg_stat_statements")
        with Sim() as sim:
            bench.make_daemon(cluster, sim)  # writes the configuration that migrate reads
        bench.fresh(cluster)
        print(f"PostgreSQL {cluster.query('show server_version')[0][0]}, {os.cpu_count()} cores, {JOBS:,} jobs a run,"
              f" medians of {RUNS}\n", flush=True)
        show("", "measured", "aim")
        for part in parts:
            PARTS[part](cluster)
    finally:
        cluster.destroy()


if __name__ == "__main__":
    main()
