# SPDX-License-Identifier: Apache-2.0
"""Sudden deaths of the daemon and of PostgreSQL, at random moments and under load.

CXSINK_TEST_SEED repeats the moments of a run; a failing test shows the seed that it had.
"""
import contextlib
import os
import random
import signal
import time

import psycopg2

from support import daemon, numbered, postgres as postgres_support, sim as sims, wait


def dice():
    seed = int(os.environ.get("CXSINK_TEST_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"CXSINK_TEST_SEED={seed}")
    return random.Random(seed)


def received(d):
    """What the daemon says that it has made durable; 0 while it does not answer."""
    try:
        return int(d.stream()["received"])
    except (OSError, ValueError, StopIteration):
        return 0


def compare(database, d, sim, seconds=120):
    """Waits until all that was sent is stored; then nothing is lost and nothing stands twice."""
    sim.post("/sim/set?paused=1")
    sent = sim.stats()["sent"]  # what it sends again after a broken connection may not be through yet
    sim.post(f"/sim/set?rate=0&count={sent}&paused=0")

    def settled():
        stats = sim.stats()
        return (stats["done"] and d.status()["spool"]["events"] == 0
                and database.count() >= stats["unique"] and stats)
    try:
        stats = wait.until(settled, seconds, "everything is stored", poll=0.1)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{sim.stats()}\nrows: {database.count()}\n{d.status()}") from None
    rows, keys = database.query("select count(*), count(distinct idempotency_key) from cxone_events")[0]
    dead, records, payloads = database.query(
        "select count(*), count(distinct (source, source_seq)), count(distinct payload_sha256)"
        " from cxsink.dead_letters")[0]
    assert (rows, keys, payloads) == (stats["unique"], stats["unique"], stats["malformed"])
    assert dead == records >= payloads  # the stream sends a malformed event again, too
    return stats


def committed(database):
    """Records that became a row, a version of one, or a dead letter, by the database itself.

    One that was committed when a crash hid it is counted again; one that was lost never is.
    """
    return database.value("select (select coalesce(sum(committed_events), 0) from cxsink.stream_state)"
                          " + (select count(*) from cxsink.dead_letters)")


def test_daemon_and_database_die_at_random(own_cluster, build, make_daemon, workdir, sanitized):
    """P2, D7, D8, D11: fifty times kill -9 of the daemon, and PostgreSQL up and down meanwhile."""
    chance = dice()
    own_cluster.query("create database crash")
    database = postgres_support.Database(own_cluster, "crash")
    options = ["--rate", 10000 if sanitized else 40000, "--size", 1000, "--duplicates", 3, "--older", 3,
               "--malformed", 0.1, "--seed", chance.randrange(1000)]
    promised = []
    with sims.Sim(build, workdir / "sim", *options) as sim:
        settings = daemon.config(database.dsn, sim, log={"level": "info"}, spool={"segment_bytes": "4MiB"})
        settings["streams"]["main"]["reconnect"] = {"base": "10ms", "cap": "50ms", "stable": "60s"}
        d = make_daemon(settings)
        for death in range(50):
            # Down for a life or two, then up again, the recovery of its own included.
            if death % 5 == 2:
                own_cluster.stop("immediate")
            elif death % 5 == 4 or (death % 5 == 3 and chance.random() < 0.5):
                if own_cluster.process is None:
                    own_cluster.start(wait_for_it=False)
            d.start()
            time.sleep(chance.uniform(0.05, 0.6) * (2 if sanitized else 1))  # a random moment, not a wait
            promised.append(received(d))
            assert d.alive(), d.log()[-4000:]
            d.kill()
        if own_cluster.process is None:
            own_cluster.start(wait_for_it=False)
        wait.until(own_cluster.answers, 60, "PostgreSQL answers")
        d.start().wait_ready()
        compare(database, d, sim)
        print(f"received before each death: {promised}")
        assert sum(count > 0 for count in promised) >= 10, promised
        print(f"committed: {committed(database)}, promised: {sum(promised)}")
        assert committed(database) >= sum(promised) + received(d)
        assert [entry["event"] for entry in d.audit()].count("spool.corrupt") <= 50
        assert d.stop() == 0


def test_received_before_a_kill_is_stored(database, tenant, make_daemon, sanitized):
    """P9, D11: the source sends each event once, so that only the spool can bring it back."""
    chance = dice()
    away = "host=/nonexistent dbname=none"
    settings = daemon.config(away, tenant, log={"level": "info"})
    settings["streams"]["main"]["reconnect"] = {"base": "10ms", "cap": "50ms", "stable": "60s"}
    d = make_daemon(settings)
    batch = 4000 if sanitized else 20000
    promised = set()
    for life in range(10):
        d.config["postgres"]["dsn"] = database.dsn if life % 3 else away
        d.write()
        wait.until(lambda: not tenant.sockets, 30, "the connection of before is gone")
        d.start()
        tenant.wait_connected()
        first = life * batch
        for start in range(first, first + batch, 500):
            tenant.send_raw(numbered.frames("once", range(start, start + 500)))
        threshold = chance.randrange(1, batch)
        wait.until(lambda: received(d) >= threshold, 60, "some are received", poll=0.001)
        count = received(d)
        d.kill()
        promised |= set(range(first, first + count))
    d.config["postgres"]["dsn"] = database.dsn
    d.write()
    wait.until(lambda: not tenant.sockets, 30, "the connection of before is gone")
    d.start().wait_ready()
    wait.until(lambda: d.status()["spool"]["events"] == 0, 60, "an empty spool")
    rows = numbered.stored(database, "once")
    lost = promised - rows
    assert not lost, f"{len(lost)} of {len(promised)} events that counted as received are lost: {sorted(lost)[:10]}"
    assert database.count() == len(rows) and database.dead() == []
    assert d.stop() == 0


def backends(cluster):
    """The daemon's server processes, the busy ones first."""
    try:
        return [row[0] for row in cluster.query(
            "select pid from pg_stat_activity where datname = 'crash' and pid <> pg_backend_pid()"
            " order by state <> 'active'")]
    except psycopg2.Error:
        return []


def test_backends_killed_in_mid_batch(own_cluster, build, make_daemon, workdir, sanitized):
    """D7, D11: kill -9 of a server process, ten times; PostgreSQL ends every session and recovers."""
    own_cluster.query("create database crash")
    database = postgres_support.Database(own_cluster, "crash")
    options = ["--rate", 4000 if sanitized else 20000, "--duplicates", 3, "--older", 3, "--malformed", 0.1]
    with sims.Sim(build, workdir / "sim", *options) as sim:
        d = make_daemon(daemon.config(database.dsn, sim, log={"level": "info"})).start().wait_ready()
        for _ in range(10):
            before = d.status()["database"]["batches"]
            wait.until(lambda: d.status()["database"]["batches"] > before + 3, 60, "batches are written")
            victims = wait.until(lambda: backends(own_cluster), 30, "the daemon's sessions", poll=0.005)
            with contextlib.suppress(ProcessLookupError):
                os.kill(victims[0], signal.SIGKILL)
        stats = compare(database, d, sim)
        assert stats["connections"] == 1 and stats["resent"] == 0, "the stream was not disturbed"
        assert received(d) == stats["sent"]
        assert committed(database) >= stats["sent"]
        assert d.stop() == 0
