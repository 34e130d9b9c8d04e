# SPDX-License-Identifier: Apache-2.0
"""make soak: SOAK_EVENTS events (10 million) as fast as they go, with disturbances; memory is printed. Not in check."""
import itertools
import os
import signal
import time

from support import daemon, postgres as postgres_support, sim as sims, wait

EVENTS = int(float(os.environ.get("SOAK_EVENTS", "1e7")))
SAMPLE = float(os.environ.get("SOAK_SAMPLE", "5"))  # seconds between two lines
MIB = 2**20


def descriptors(d):
    return len(os.listdir(f"/proc/{d.process.pid}/fd"))


def show(d, began):
    status = d.status()
    stream, spool = status["streams"][0], status["spool"]
    seconds = time.monotonic() - began
    print(f"{seconds:8.0f} s {stream['received']:12,.0f} {stream['committed']:12,.0f} {stream['rejected']:8,.0f}"
          f" {spool['events']:10,} {spool['bytes'] / MIB:8.1f} MiB {descriptors(d):5} {d.rss() / MIB:9.1f} MiB"
          f"  {'' if status['ready'] else '; '.join(status['reasons'])[:60]}", flush=True)
    return d.rss()


def test_soak(own_cluster, build, make_daemon, workdir):
    own_cluster.query("create database soak")
    database = postgres_support.Database(own_cluster, "soak")
    options = ["--count", EVENTS, "--duplicates", 60, "--older", 10, "--malformed", 0.01]
    with sims.Sim(build, workdir / "sim", *options) as sim:
        d = make_daemon(daemon.config(database.dsn, sim, log={"level": "info"})).start().wait_ready()
        disturbances = itertools.cycle([
            lambda: sim.post("/sim/reset"), lambda: d.send_signal(signal.SIGHUP), lambda: sim.post("/sim/close?code=1011"),
            lambda: (own_cluster.stop("fast"), own_cluster.start(wait_for_it=False))])
        print(f"\n{'time':>10} {'received':>12} {'committed':>12} {'rejected':>8} {'spool':>10} {'spool':>12} {'fds':>5}"
              f" {'resident':>13}")
        began, samples = time.monotonic(), []

        def done():
            return sim.stats()["done"] and d.status()["spool"]["events"] == 0
        while not done():
            samples.append(show(d, began))
            if len(samples) % 4 == 0:
                next(disturbances)()
            time.sleep(SAMPLE)  # the pace of the samples
            assert d.alive() and time.monotonic() - began < 60 + EVENTS / 1000, d.log()[-4000:]
        d.wait_ready()
        samples.append(show(d, began))
        stats = wait.until(lambda: sim.stats(), 30)
        print(stats, f"resident: most {max(samples) / MIB:.1f} MiB, at the end {samples[-1] / MIB:.1f} MiB")
        rows, keys = database.query("select count(*), count(distinct idempotency_key) from cxone_events")[0]
        dead = database.value("select count(distinct payload_sha256) from cxsink.dead_letters")
        assert (rows, keys, dead) == (stats["unique"], stats["unique"], stats["malformed"])
        assert max(samples) < 64 * MIB and descriptors(d) < 40
        assert d.stop() == 0
