#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""make bench: cxsink beside a Node service and beside what PostgreSQL itself can take, in one run on
one machine, the simulator and PostgreSQL on the same cores.

BENCH chooses parts (default: all but viewers): end node limit updates drain latency viewers
BENCH_EVENTS (1,000,000), BENCH_NODE_EVENTS (30,000), BENCH_BACKLOG (BENCH_EVENTS), BENCH_RUNS (3: the
median of so many runs of `end` and `limit`, in turn).
"""
import asyncio
import contextlib
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import time
import urllib.request

import aiohttp

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "integration"))
from support import daemon as daemons  # noqa: E402
from support import http_peers as peers  # noqa: E402
from support import postgres as postgreses  # noqa: E402
from support import wait  # noqa: E402

BUILD = pathlib.Path(os.environ.get("CXSINK_BUILD", ROOT / "build")).resolve()
HOME = BUILD / "bench"
EVENTS = int(os.environ.get("BENCH_EVENTS", "1000000"))
NODE_EVENTS = int(os.environ.get("BENCH_NODE_EVENTS", "30000"))
BACKLOG = int(os.environ.get("BENCH_BACKLOG", str(EVENTS)))
RUNS = int(os.environ.get("BENCH_RUNS", "3"))
TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def peak_mib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0


class Sim:
    def __init__(self, *options):
        port_file = HOME / "sim.port"
        port_file.unlink(missing_ok=True)
        self.process = subprocess.Popen([str(BUILD / "cxsink-sim"), "--listen", "127.0.0.1:0", "--port-file",
                                         str(port_file), *map(str, options)], stdout=subprocess.DEVNULL)
        self.port = int(wait.until(lambda: port_file.exists() and port_file.read_text().strip(), 10, "sim listens"))

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def ws_url(self, path):
        return f"ws://127.0.0.1:{self.port}{path}"

    def post(self, path):
        urllib.request.urlopen(urllib.request.Request(self.url(path), method="POST"), timeout=10).read()

    def stats(self):
        return json.loads(urllib.request.urlopen(self.url("/sim/stats"), timeout=10).read())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)


def fresh(cluster):
    """An empty destination table and no dead letters."""
    subprocess.run([str(BUILD / "cxsink"), "migrate", "-c", str(HOME / "d" / "cxsink.json")], check=True,
                   stdout=subprocess.DEVNULL)
    cluster.query("truncate cxone_events, cxsink.dead_letters, cxsink.stream_lanes")
    cluster.query("checkpoint")


def make_daemon(cluster, sim):
    subprocess.run(["rm", "-rf", str(HOME / "d")], check=True)
    config = daemons.config(cluster.dsn(), sim, log={"level": "info", "target": "text"},
                            streams={"main": {"reconnect": {"base": "100ms", "cap": "1s"}}})
    return daemons.Daemon(BUILD, HOME / "d", config)


def committed(daemon):
    return daemon.stream()["committed"] + daemon.stream()["rejected"]


def run_until(daemon, count, seconds=900):
    """Seconds until `count` events are committed."""
    began = time.monotonic()
    wait.until(lambda: committed(daemon) >= count, seconds, f"{count} events are committed", poll=0.01)
    return time.monotonic() - began


class Viewers(peers.Threaded):
    """Twenty open status pages, and a Prometheus that scrapes every second."""

    def __init__(self, daemon):
        self.url = f"http://127.0.0.1:{daemon.status()['admin_port']}"
        self.snapshots = self.scrapes = 0

    async def _start(self):
        self._session = aiohttp.ClientSession()
        sockets = [await self._session.ws_connect(self.url + "/api/live", max_msg_size=0) for _ in range(20)]
        self._tasks = [asyncio.ensure_future(self._view(socket)) for socket in sockets]
        self._tasks.append(asyncio.ensure_future(self._scrape()))

    async def _stop(self):
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._session.close()

    async def _view(self, socket):
        while (await socket.receive()).type is aiohttp.WSMsgType.TEXT:
            self.snapshots += 1

    async def _scrape(self):
        while True:
            async with self._session.get(self.url + "/metrics") as answer:
                await answer.read()
            self.scrapes += 1
            await asyncio.sleep(1)


def stream_run(cluster, sim_options, events, truncate=True, viewed=False):
    """One whole run from the first frame to the last COMMIT."""
    with Sim("--count", events, "--paused", *sim_options) as sim:
        daemon = make_daemon(cluster, sim)
        if truncate:
            fresh(cluster)
        daemon.start().wait_ready()
        with Viewers(daemon) if viewed else contextlib.nullcontext():
            before = cpu_seconds(daemon.process.pid)
            began = time.monotonic()
            sim.post("/sim/set?paused=0")
            run_until(daemon, events)
            took = time.monotonic() - began
            cpu = cpu_seconds(daemon.process.pid) - before
        peak = peak_mib(daemon.process.pid)
        daemon.stop()
    rows = cluster.query("select count(*) from cxone_events")[0][0]
    assert rows == events, f"{rows} rows of {events} events"
    return {"rate": events / took, "cpu_us": cpu / events * 1e6, "peak_mib": peak}


def limit_run(cluster, shift=0, truncate=True):
    if truncate:
        cluster.query("truncate cxone_events")
        cluster.query("checkpoint")
    out = subprocess.check_output([str(HOME / "bench_limit"), cluster.dsn(), str(EVENTS), str(shift)], text=True)
    rows, seconds, cpu = map(float, out.split())
    return {"rate": rows / seconds, "cpu_us": cpu / rows * 1e6}


def median(runs, key):
    return statistics.median(run[key] for run in runs)


def show(name, result):
    print(f"{name:52} {result['rate']:10,.0f} events/s {result.get('cpu_us', 0):8.2f} us CPU/event"
          + (f" {result['peak_mib']:7.1f} MiB peak RSS" if "peak_mib" in result else ""), flush=True)


def bench_end_and_limit(cluster, parts):
    ours, limits = [], []
    for _ in range(RUNS):
        if "end" in parts:
            ours.append(stream_run(cluster, [], EVENTS))
        if "limit" in parts:
            limits.append(limit_run(cluster))
    results = {}
    for name, runs, text in (("a", ours, "a cxsink, first frame to last COMMIT"),
                             ("c", limits, "c the limit: bare libpq, unnest, 2 connections")):
        if runs:
            results[name] = {key: median(runs, key) for key in runs[0]}
            show(f"{text} (median of {len(runs)})", results[name])
    return results


def bench_node(cluster):
    modules = HOME / "node"
    subprocess.run(["cp", "-r", str(ROOT / "tests" / "bench" / "node"), str(HOME)], check=True)
    subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund"], cwd=modules, check=True,
                   stdout=subprocess.DEVNULL)
    cluster.query("truncate cxone_events")
    dsn = json.dumps({"host": str(cluster.home), "port": cluster.port, "user": "postgres", "database": "postgres"})
    with Sim("--count", NODE_EVENTS, "--paused") as sim:
        node = subprocess.Popen(["node", "sink.js", sim.ws_url("/stream/main"), sim.url("/oauth/token"), dsn,
                                 str(daemons.SCHEMA)], cwd=modules, stdout=subprocess.PIPE, text=True)
        assert "connected" in node.stdout.readline()
        before = cpu_seconds(node.pid)
        began = time.monotonic()
        sim.post("/sim/set?paused=0")
        wait.until(lambda: cluster.query("select count(*) from cxone_events")[0][0] >= NODE_EVENTS, 600, "all rows",
                   poll=0.1)
        took = time.monotonic() - began
        result = {"rate": NODE_EVENTS / took, "cpu_us": (cpu_seconds(node.pid) - before) / NODE_EVENTS * 1e6,
                  "peak_mib": peak_mib(node.pid)}
        node.terminate()
        node.wait(10)
    show(f"b the same through Node ({NODE_EVENTS:,} events)", result)
    return result


def bench_updates(cluster):
    """Every key is there; every event is a newer version."""
    stream_run(cluster, [], EVENTS)
    cluster.query("vacuum analyze cxone_events")
    ours = stream_run(cluster, ["--shift-ms", 86400000], EVENTS, truncate=False)
    show("d updates only", ours)
    limit_run(cluster)
    cluster.query("vacuum analyze cxone_events")
    limit = limit_run(cluster, 86400000, truncate=False)
    show("d' updates only, the limit", limit)
    return ours, limit


def bench_drain(cluster):
    """A backlog from an outage: received while there was no database, then drained."""
    with Sim("--count", BACKLOG, "--paused") as sim:
        daemon = make_daemon(cluster, sim)
        daemon.config["spool"]["max_bytes"] = "4GiB"
        daemon.write()
        fresh(cluster)
        cluster.stop()
        daemon.start().wait_up()
        wait.until(lambda: daemon.stream()["connected"], 30, "the stream is connected")
        sim.post("/sim/set?paused=0")
        began = time.monotonic()
        wait.until(lambda: daemon.stream()["received"] >= BACKLOG, 600, "the backlog is spooled", poll=0.01)
        took = time.monotonic() - began
        spooled_cpu = cpu_seconds(daemon.process.pid)
        show(f"e receiving {BACKLOG:,} events without a database", {"rate": BACKLOG / took,
             "cpu_us": spooled_cpu / BACKLOG * 1e6, "peak_mib": peak_mib(daemon.process.pid)})
        cluster.start()
        wait.until(lambda: committed(daemon) > 0, 60, "the drain begins", poll=0.002)
        first = committed(daemon)
        before = cpu_seconds(daemon.process.pid)
        took = run_until(daemon, BACKLOG)
        result = {"rate": (BACKLOG - first) / took,
                  "cpu_us": (cpu_seconds(daemon.process.pid) - before) / (BACKLOG - first) * 1e6,
                  "peak_mib": peak_mib(daemon.process.pid)}
        daemon.stop()
    show(f"e draining that backlog of {BACKLOG:,}", result)
    return result


def bench_viewers(cluster):
    """What it costs the events to be looked at: runs in turn, with and without; and the CPU time alone."""
    plain, viewed = [], []
    for _ in range(RUNS):
        plain.append(stream_run(cluster, [], EVENTS))
        viewed.append(stream_run(cluster, [], EVENTS, viewed=True))
    results = [{key: median(runs, key) for key in runs[0]} for runs in (plain, viewed)]
    show("g with nobody looking", results[0])
    show("g with 20 status pages and /metrics every second", results[1])
    print(f"g {'rate':24} {results[1]['rate'] / results[0]['rate']:8.3f}\n"
          f"g {'CPU time an event':24} {results[1]['cpu_us'] / results[0]['cpu_us']:8.3f}", flush=True)
    seconds, used = 20, []
    with Sim("--paused") as sim:
        daemon = make_daemon(cluster, sim)
        daemon.start().wait_ready()
        for context in (contextlib.nullcontext(), Viewers(daemon)):
            with context:
                time.sleep(1)  # the first snapshots, which are larger, are not part of it
                before = cpu_seconds(daemon.process.pid)
                time.sleep(seconds)  # the length of the measurement
                used.append((cpu_seconds(daemon.process.pid) - before) / seconds)
        print(f"g CPU of an idle daemon: {used[0]:.2%} of a core, looked at {used[1]:.2%} "
              f"({context.snapshots} snapshots, {context.scrapes} scrapes)", flush=True)
        daemon.stop()


def quantile(before, after, q):
    """From the histogram cxsink_commit_latency_seconds, linear within a bucket."""
    buckets = []
    for name, value in after.items():
        if name.startswith("cxsink_commit_latency_seconds_bucket"):
            bound = name.split('le="')[1].split('"')[0]
            buckets.append((float("inf") if bound == "+Inf" else float(bound), value - before.get(name, 0)))
    buckets.sort()
    rank = q * buckets[-1][1]
    lower, below = 0.0, 0.0
    for bound, cumulated in buckets:
        if cumulated >= rank:
            if bound == float("inf"):
                return lower
            inside = cumulated - below
            return lower + (bound - lower) * ((rank - below) / inside if inside else 0)
        lower, below = bound, cumulated
    return lower


def bench_latency(cluster, rate):
    seconds = 20
    with Sim("--rate", rate, "--paused") as sim:
        daemon = make_daemon(cluster, sim)
        fresh(cluster)
        daemon.start().wait_ready()
        sim.post("/sim/set?paused=0")
        wait.until(lambda: committed(daemon) > rate, 60, "it runs")
        before, cpu = daemon.metrics(), cpu_seconds(daemon.process.pid)
        time.sleep(seconds)  # the length of the measurement
        after = daemon.metrics()
        cpu = cpu_seconds(daemon.process.pid) - cpu
        done = after["cxsink_commit_latency_seconds_count{stream=\"main\"}"] \
            - before["cxsink_commit_latency_seconds_count{stream=\"main\"}"]
        daemon.stop()
    print(f"{f'f at {rate:,.0f} events/s: frame to COMMIT':52} p50 {quantile(before, after, .5) * 1000:6.1f} ms  "
          f"p99 {quantile(before, after, .99) * 1000:6.1f} ms  {done / seconds:10,.0f} events/s "
          f"{cpu / max(done, 1) * 1e6:6.2f} us CPU/event", flush=True)


def main():
    parts = sys.argv[1:] or ["end", "limit", "node", "updates", "drain", "latency"]
    subprocess.run(["rm", "-rf", str(HOME)], check=True)
    HOME.mkdir(parents=True)
    pg = subprocess.check_output(["pkg-config", "--cflags", "--libs", "libpq"], text=True).split()
    subprocess.run(["gcc", "-std=gnu11", "-D_GNU_SOURCE", "-O2", str(ROOT / "tests/bench/bench_limit.c"), "-o",
                    str(HOME / "bench_limit"), *pg], check=True)
    cluster = postgreses.Postgres(HOME, {"fsync": "on", "shared_buffers": "256MB", "max_wal_size": "4GB"}.items())
    try:
        cluster.start()
        with Sim() as sim:
            make_daemon(cluster, sim)  # writes the configuration that migrate reads
        fresh(cluster)
        print(f"PostgreSQL {cluster.query('show server_version')[0][0]}, {os.cpu_count()} cores, "
              f"{EVENTS:,} events of about 230 bytes\n", flush=True)
        results = bench_end_and_limit(cluster, parts)
        if "node" in parts:
            results["b"] = bench_node(cluster)
        if "updates" in parts:
            bench_updates(cluster)
        if "drain" in parts:
            bench_drain(cluster)
        if "viewers" in parts:
            bench_viewers(cluster)
        if "latency" in parts:
            bench_latency(cluster, 1000)
            if "a" in results:
                bench_latency(cluster, round(results["a"]["rate"] / 2, -3))
        print()
        for one, other, text in (("a", "b", "cxsink / Node"), ("a", "c", "cxsink / the limit")):
            if one in results and other in results:
                print(f"{text:24} {results[one]['rate'] / results[other]['rate']:8.2f}")
    finally:
        cluster.destroy()


if __name__ == "__main__":
    main()
