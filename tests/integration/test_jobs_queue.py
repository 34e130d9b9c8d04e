# SPDX-License-Identifier: Apache-2.0
"""The queue of jobs under faults of its database and of the far side, at reloads and at the end of a daemon."""
import base64
import contextlib
import signal
import subprocess
import time

import psycopg2
import pytest

from support import daemon as daemons
from support import farside, pgproxy, wait
from support import postgres as postgres_support
from support.farside import answer, stall
from support.fleet import Fleet
from test_database import set_read_only

SMALL = {"data": base64.b64encode(b"small").decode(), "encoding": "base64", "content_type": "application/octet-stream"}


@pytest.fixture
def fleet(make_daemon, database, far):
    return Fleet(make_daemon, database, far)


@pytest.fixture
def rough(own_cluster):
    """A database whose server the test may kill."""
    own_cluster.query("create database rough")
    return postgres_support.Database(own_cluster, "rough")


# --- wakes, order and times ---

def test_a_job_starts_when_its_transaction_commits(fleet, database, far):
    """Three times out of four within a second: it is the notification and not the poll."""
    fleet.start()
    farside.wait_job(database, farside.enqueue(database, "scan", SMALL))
    took = []
    for n in range(4):
        connection = psycopg2.connect(database.dsn)
        with connection, connection.cursor() as cursor:
            cursor.execute("select cxsink.enqueue('scan', %s::jsonb, %s)", (farside.json.dumps(SMALL), f"j{n}"))
            assert len(far.seen("POST", "/execute$")) == n + 1  # not before it commits
        at = time.monotonic()
        connection.close()
        far.wait_seen(n + 2, "POST", "/execute$")
        took.append(far.requests[-1]["at"] - at)
        farside.wait_job(database, f"j{n}")
    assert sorted(took)[2] < wait.FACTOR
    connection = psycopg2.connect(database.dsn)
    with connection.cursor() as cursor:
        cursor.execute("select cxsink.enqueue('scan', '{}', 'never')")
    connection.rollback()
    connection.close()
    database.query("insert into cxsink.jobs (id, action, params) values ('inserted', 'scan', %s::jsonb)",
                   (farside.json.dumps(SMALL),))
    farside.wait_job(database, "inserted")
    assert farside.job(database, "never") is None and len(far.seen()) == 6


def test_priority_then_time(fleet, database, far):
    """One at a time, in the order of priority, then of run_at; not before run_at."""
    fleet.start(concurrency=1)
    gate = farside.Gate()
    far.script("POST", "/execute$", gate)
    farside.enqueue(database, "scan", SMALL, id="first")
    gate.wait_held(1)
    # One more may be leased already, and keeps its place.
    farside.enqueue(database, "scan", SMALL, id="leased", priority=-9)
    wait.until(lambda: fleet.count("leased_by is not null") == 2, 30, "it is leased ahead")
    for name, priority, delay in (("low", -1, "0 s"), ("old", 0, "-1 h"), ("new", 0, "0 s"), ("high", 5, "0 s"),
                                  ("soon", 9, "1500 ms"), ("late", 9, "1 d")):
        database.query("select cxsink.enqueue('scan', %s::jsonb, %s, %s, now() + %s::interval)",
                       (farside.json.dumps(SMALL), name, priority, delay))
    due = database.value("select run_at from cxsink.jobs where id = 'soon'")
    gate.open()
    farside.wait_job(database, "soon")
    ended = [row[0] for row in database.query("select id from cxsink.jobs where finished_at is not null "
                                              "and id <> 'soon' order by finished_at")]
    assert ended == ["first", "leased", "high", "old", "new", "low"]
    assert database.value("select started_at >= %s and started_at < %s + interval '1 s' from cxsink.jobs "
                          "where id = 'soon'", (due, due))
    assert farside.job(database, "late")["state"] == "queued"


# --- the far side's troubles are not the jobs' (J3, J4, J5) ---

def test_an_outage_kills_no_job(fleet, database, far):
    """Longer than any job would be tried: the breaker's probes find that out, and no job pays for them."""
    jobs = 20
    fleet.start(apis={"cxone": {"breaker": {"failures": 3, "reset": "100ms"}}})
    down = {"now": True}
    far.always("POST", "/execute$", lambda r: answer(503)(r) if down["now"] else None)
    fleet.enqueue("scan", SMALL, jobs)
    # A first burst goes out together; then one probe at a time.
    far.wait_seen(16 + 20, "POST", "/execute$")
    assert fleet.count("state = 'failed'") == 0 and fleet.count("failures > 3") == 0
    down["now"] = False
    fleet.wait_done()
    fleet.check_once(jobs)


def test_waiting_uses_no_attempt(fleet, database, far):
    """For a 429 that another job met, for the breaker, and for the token."""
    daemon = fleet.start(concurrency=1)
    far.script("POST", "/execute$", answer(429, headers={"Retry-After": "1"}))
    fleet.enqueue("scan", SMALL, 10)
    fleet.wait_done()
    tries = sorted(database.query("select attempt, failures, jsonb_array_length(attempts) from cxsink.jobs"))
    assert tries[:9] == [(1, 0, 1)] * 9 and tries[9][0] == 2 and tries[9][2] == 2
    assert "api.held" in daemon.audit_events()
    held, following = [r["at"] for r in far.seen("POST", "/execute$")][:2]
    assert following - held >= 0.99  # the whole API was held back

    # The token is refused for every job at once: one more is fetched, and asking for it may fail.
    far.token_answers += [answer(500)] * 2
    far.refused.update(far.tokens)
    before = len(far.token_requests)
    fleet.enqueue("scan", SMALL, 10, prefix="again")
    fleet.wait_done()
    assert len(far.token_requests) == before + 3
    assert fleet.count("id like 'again-%' and (attempt, failures) <> (1, 0)") == 0
    fleet.check_once(20)


def test_a_token_endpoint_that_is_down_fails_no_kind(fleet, database, far):
    """Jobs of all kinds wait, and one request for a token at a time is made; none pays for it."""
    far.token_answers += [answer(503)] * 1000
    fleet.start()
    publish = {"version_id": "v1", "environment": "sandbox", "code": "a();"}
    for action, params in (("scan", SMALL), ("ticket", {"inputs": {}}), ("release", publish), ("timeouts", {"timeout_ms": 5})):
        fleet.enqueue(action, params, 1)
    wait.until(lambda: len(far.token_requests) >= 4, 60, "the token is asked for again and again")
    assert fleet.count("finished_at is not null") == 0 and not far.seen()
    far.token_answers.clear()
    fleet.wait_done()
    fleet.check_once(4)
    assert fleet.count("failures > 0") == 0


def test_a_job_that_is_retried_keeps_its_history(fleet, database, far):
    fleet.start()
    far.script("POST", "/execute$", answer(400, {"message": "not yet"}))
    farside.enqueue(database, "scan", SMALL, id="again")
    first = farside.wait_job(database, "again", "failed")
    assert database.value("select cxsink.retry_job('again')") is True
    second = farside.wait_job(database, "again")
    assert [a["status"] for a in second["attempts"]] == [400, 202] and second["attempt"] == 2
    assert second["attempts"][0] == first["attempts"][0]
    assert second["idempotency_key"] != first["idempotency_key"] and second["error"] is None


# --- the database's troubles ---

def test_the_server_restarts_and_ends_sessions(make_daemon, rough, far):
    """Three ways, while two daemons work; each effect happens once, and nothing is left."""
    jobs = 600
    fleet = Fleet(make_daemon, rough, far)
    both = [fleet.start() for _ in range(2)]
    fleet.enqueue("scan", SMALL, jobs // 2)
    fleet.enqueue("ticket", {"inputs": {}}, jobs // 2)
    for n, how in enumerate(("immediate", "fast", "terminate", "terminate", "terminate", "immediate"), start=1):
        wait.until(lambda: len(far.effects) >= n * jobs // 8, 60, "they work on", poll=0.002)
        if how == "terminate":
            rough.query("select pg_terminate_backend(pid) from pg_stat_activity where datname = 'rough' "
                        "and pid <> pg_backend_pid()")
        else:
            rough.cluster.stop(how)
            rough.cluster.start()
    fleet.wait_done()
    fleet.check_once(jobs)
    for daemon in both:
        assert "jobs: the queue's database: " in daemon.log()
        assert daemon.stop() == 0


def test_commits_whose_answer_is_lost(make_daemon, database, cluster, far):
    """The connection breaks when the server has what was sent, and its answers do not come back."""
    jobs = 300
    with pgproxy.Proxy(cluster.port) as proxy:
        fleet = Fleet(make_daemon, database, far)
        settings = fleet.settings()
        settings["postgres"]["dsn"] = f"host=127.0.0.1 port={proxy.port} user=postgres dbname={database.name}"
        daemon = make_daemon(settings).start().wait_ready()
        fleet.enqueue("scan", SMALL, jobs)
        for n in range(1, 11):
            wait.until(lambda: len(far.effects) >= n * jobs // 12, 60, "they work on", poll=0.002)
            taken = proxy.taken
            proxy.hole = "deaf"
            wait.until(lambda: proxy.taken > taken, 30, "an answer is lost", poll=0.001)
            proxy.hole = None
            proxy.reset_all()
        fleet.wait_done()
        fleet.check_once(jobs)
        ended = [e["job"] for e in daemon.audit() if e["event"] == "job.succeeded"]
        assert sorted(ended) == sorted(fleet.column("id"))
        assert daemon.stop() == 0


def test_a_failover_to_a_standby_and_back(make_daemon, rough, far):
    """25006, while jobs run: what they came to is stored when there is a server again that takes it."""
    fleet = Fleet(make_daemon, rough, far)
    daemon = fleet.start(concurrency=4)
    gate = farside.Gate()
    far.script("POST", "/execute$", *[gate] * 4)
    fleet.enqueue("scan", SMALL, 30)
    gate.wait_held(4)
    set_read_only(rough.cluster, True)
    gate.open()
    wait.until(lambda: "25006" in daemon.log(), 30, "it meets 25006")
    wait.until(lambda: "25006" in (daemon.status()["jobs"]["last_error"] or ""), 30, "it is in the status")
    assert fleet.count("finished_at is not null") == 0
    set_read_only(rough.cluster, False)
    fleet.wait_done()
    fleet.check_once(30)
    wait.until(lambda: daemon.status()["jobs"]["last_error"] is None, 30, "the error is gone")
    ended = [e["job"] for e in daemon.audit() if e["event"] == "job.succeeded"]
    assert sorted(ended) == sorted(fleet.column("id"))


def test_through_pgbouncer(make_daemon, rough, far, workdir):
    """In transaction mode nobody is notified: the poll finds the jobs."""
    with postgres_support.bouncer(rough, workdir) as bouncer:
        fleet = Fleet(make_daemon, rough, far)
        settings = fleet.settings()
        settings["postgres"]["dsn"] = bouncer.dsn
        daemons_ = [make_daemon(dict(settings)).start().wait_ready() for _ in range(2)]
        for n in range(3):
            fleet.enqueue("scan", SMALL, 100, prefix=f"p{n}")
            wait.until(lambda: len(far.effects) > 100 * n + 20, 30, "they are found", poll=0.002)
            bouncer.kill()
            bouncer.start()
        fleet.wait_done()
        fleet.check_once(300)
        farside.enqueue(rough, "scan", SMALL, id="alone")
        farside.wait_job(rough, "alone", seconds=5)
        for daemon in daemons_:
            assert daemon.stop() == 0


def test_without_its_tables_events_go_on(make_daemon, database, far):
    """It says what to do, and works when that is done."""
    settings = daemons.config(database.dsn, far, jobs=farside.jobs(far))
    settings["postgres"]["migrate"] = "off"
    daemon = make_daemon(settings)
    migrate = [str(daemon.build / "cxsink"), "migrate", "-c", str(daemon.path)]
    subprocess.run(migrate, check=True, capture_output=True, timeout=60)
    database.query("alter table cxsink.jobs rename to elsewhere")
    daemon.start()
    far.wait_connected()
    wait.until(lambda: "jobs: the queue's database: " in daemon.log(), 30, "it is said")
    [said, *_] = [line for line in daemon.log().splitlines() if "jobs: the queue's database: " in line]
    assert "cxsink.jobs" in said and "cxsink migrate" in said, said
    far.send(*[farside.tenants.event(f"k{n}") for n in range(100)])
    wait.until(lambda: database.count() == 100, 30, "events are written")
    assert daemon.status()["jobs"]["connected"] is False or daemon.status()["jobs"]["last_error"]
    database.query("alter table cxsink.elsewhere rename to jobs")
    farside.wait_job(database, farside.enqueue(database, "scan", SMALL))
    wait.until(lambda: daemon.status()["jobs"]["last_error"] is None, 30, "the error is gone")


def test_a_server_that_is_too_old_is_told(make_daemon, database, cluster, far, cxsink):
    """Plainly, by whatever meets it; events go on."""
    with pgproxy.Proxy(cluster.port) as proxy:
        proxy.version = b"12"
        dsn = f"host=127.0.0.1 port={proxy.port} user=postgres dbname={database.name}"
        daemon = make_daemon(daemons.config(dsn, far, jobs=farside.jobs(far)))
        words = "jobs need PostgreSQL 13 or later, and this server is 12."
        migrated = cxsink("migrate", "-c", daemon.path)
        assert migrated.returncode == 0 and "note: " + words in migrated.stdout
        checked = cxsink("check", "--connect", "-c", daemon.path)
        assert checked.returncode != 0 and words in checked.stdout + checked.stderr
        daemon.start()
        far.wait_connected()
        far.send(farside.tenants.event("k"))
        wait.until(lambda: database.count() == 1, 30, "events are written")
        assert words in wait.until(lambda: daemon.status()["jobs"]["last_error"], 30, "it is in the status")
        proxy.version = None
        farside.wait_job(database, farside.enqueue(database, "scan", SMALL))


def test_events_flow_while_a_far_side_stalls(make_daemon, database, far):
    settings = daemons.config(database.dsn, far, jobs=farside.jobs(far, concurrency=8))
    daemon = make_daemon(settings).start().wait_ready()
    gate = farside.Gate()
    far.always("POST", "/execute$", gate)
    for n in range(50):
        farside.enqueue(database, "scan", SMALL, id=f"j{n}")
    gate.wait_held(8)
    far.send(*[farside.tenants.event(f"k{n}") for n in range(3000)])
    wait.until(lambda: database.count() == 3000, 30, "events are written")
    assert gate.held == 8
    gate.open()
    wait.until(lambda: database.value("select count(*) from cxsink.jobs where state = 'succeeded'") == 50, 30)
    assert daemon.stop() == 0


# --- reload ---

def test_reload_with_jobs_in_every_state(fleet, database, far):
    fleet.changes["concurrency"] = 2
    daemon = fleet.start(actions={"slow": {"kind": "invoke", "api": "cxone", "action_id": farside.ACTION_ID,
                                           "poll": {"interval": "1s", "timeout": "60s"}}})
    far.polls = 2
    farside.enqueue(database, "slow", {"inputs": {}}, id="polling")
    farside.wait_job(database, "polling", "polling")
    gate = farside.Gate()
    far.script("POST", "/execute$", gate, gate)
    for name in ("running", "going"):
        farside.enqueue(database, "scan", SMALL, id=name)
    gate.wait_held(2)
    farside.enqueue(database, "timeouts", {"timeout_ms": 5000}, id="leased")
    wait.until(lambda: fleet.count("id = 'leased' and leased_by is not null") == 1, 30, "it is leased ahead")
    database.query("select cxsink.enqueue('release', '{}', 'later', 0, now() + interval '1 d')")

    section = daemon.config["jobs"]
    del section["actions"]["scan"], section["actions"]["slow"]
    section["concurrency"] = 6
    section["actions"]["timeouts"]["action_id"] = "other"
    section["actions"]["fresh"] = {"kind": "execute", "api": "cxone", "action_id": farside.ACTION_ID}
    daemon.config["auth"]["cxone"]["client_id"] = "another"
    daemon.reload()
    # What runs ends under the old configuration; what is gone is not leased, and said; what is new works.
    farside.enqueue(database, "scan", SMALL, id="unknown")
    fresh = farside.Gate()
    far.script("POST", "/execute$", *[fresh] * 4)
    for n in range(6):
        farside.enqueue(database, "fresh", SMALL, id=f"fresh-{n}")
    fresh.wait_held(4)  # beside the two
    gate.open()
    fresh.open()
    for name in ("running", "going", "leased", *(f"fresh-{n}" for n in range(6))):
        farside.wait_job(database, name)
    # An invocation whose action is gone waits, and is asked for when the action is there again.
    wait.until(lambda: "name actions that no configuration here has: " in daemon.log(), 30, "it is said")
    assert farside.job(database, "unknown")["state"] == "queued" and farside.job(database, "unknown")["attempt"] == 0
    assert any("client_id=another" in r["body"] for r in far.token_requests)
    section["actions"]["scan"] = {"kind": "execute", "api": "cxone", "action_id": farside.ACTION_ID}
    section["actions"]["slow"] = {"kind": "invoke", "api": "cxone", "action_id": farside.ACTION_ID,
                                  "poll": {"interval": "200ms", "timeout": "60s"}}
    daemon.reload()
    for name in ("unknown", "polling"):
        farside.wait_job(database, name)
    assert len(far.seen("POST", "/invocations$")) == 1
    assert farside.job(database, "later")["state"] == "queued"


def test_a_reload_changes_the_rate(fleet, database, far):
    daemon = fleet.start(apis={"cxone": {"rate_limit": "2/h"}})
    fleet.enqueue("scan", SMALL, 10)
    wait.until(lambda: fleet.count("state = 'succeeded'") == 2, 30, "two of an hour")
    wait.until(lambda: daemon.status()["jobs"]["apis"][0]["held_for_seconds"] > 60, 30, "the rest waits")
    assert len(far.seen()) == 2
    daemon.config["jobs"]["apis"]["cxone"]["rate_limit"] = "1000/s"
    daemon.reload()
    fleet.wait_done()
    assert fleet.count("attempt > 1") == 0
    fleet.check_once(10)


def test_reloads_under_load(fleet, far):
    daemon = fleet.start()
    fleet.enqueue("scan", SMALL, 400)
    fleet.enqueue("ticket", {"inputs": {}}, 200)
    for n in range(20):
        wait.until(lambda: len(far.effects) >= n * 25, 60, "they work on", poll=0.002)
        daemon.config["jobs"]["concurrency"] = 4 + n % 9
        daemon.config["auth"]["cxone"]["client_id"] = f"id-{n % 3}"
        daemon.reload()
    fleet.wait_done()
    fleet.check_once(600)
    assert fleet.count("attempt > 1 or lease_losses > 0") == 0


# --- the end of a daemon ---

def test_a_stop_drains_and_gives_back(fleet, database, far):
    """What runs ends; what was leased ahead is another daemon's at once."""
    leaving = fleet.start(concurrency=4)
    gate = farside.Gate()
    far.script("POST", "/execute$", *[gate] * 4)
    fleet.enqueue("scan", SMALL, 30)
    gate.wait_held(4)
    wait.until(lambda: fleet.count("leased_by is not null") == 5, 30, "one more is leased ahead")
    staying = fleet.start(concurrency=4)
    wait.until(lambda: fleet.count("state = 'succeeded'") == 25, 30, "the other daemon does what is left")
    leaving.send_signal(signal.SIGTERM)
    wait.until(lambda: fleet.count("state = 'succeeded'") == 26, 30, "the one that was given back is done")
    assert gate.held == 4 and leaving.alive()
    gate.open()
    assert leaving.process.wait(20) == 0
    fleet.wait_done()
    fleet.check_once(30)
    assert fleet.count("attempt > 1 or lease_losses > 0") == 0
    assert staying.stop() == 0


def stop_twice(daemon):
    daemon.send_signal(signal.SIGTERM)
    wait.until(lambda: "asked to stop" in daemon.log(), 30, "it drains")
    at = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - at < 15 * wait.FACTOR  # its shutdown_timeout is 20 s


def test_a_stop_does_not_wait_for_ever_nor_for_a_second_signal(fleet, database, far):
    """A far side that never answers is given up at the end of shutdown_timeout: its job goes on elsewhere at once.
    At a second signal likewise, but it does not wait for a database that does not answer."""
    settings = fleet.settings()
    settings["shutdown_timeout"] = "2s"
    leaving, hasty = fleet.make(settings).start().wait_ready(), None
    far.script("POST", "/execute$", stall(), stall(), stall())
    farside.enqueue(database, "scan", SMALL, id="a")
    far.wait_seen(1, "POST", "/execute$")
    assert leaving.stop() == 0
    assert fleet.count("leased_by is null and state = 'queued'") == 1
    hasty = fleet.start()
    far.wait_seen(2, "POST", "/execute$")
    stop_twice(hasty)
    left = farside.job(database, "a")
    assert (left["state"], left["leased_by"], left["lease_losses"]) == ("queued", None, 0)
    # Nobody knows whether they were carried out.
    assert [(a["step"], a["sent"]) for a in left["attempts"]] == [("send", True)] * 2
    cut_off = fleet.start()
    far.wait_seen(3, "POST", "/execute$")
    connection = psycopg2.connect(database.dsn)
    with contextlib.closing(connection):
        connection.cursor().execute("lock table cxsink.jobs in access exclusive mode")
        stop_twice(cut_off)
        connection.rollback()
    fleet.let_leases_end()  # unless the server still does what waited for the lock
    fleet.start()
    farside.wait_job(database, "a")
    fleet.check_once(1)
    assert len(far.seen("POST", "/execute$")) == 4
