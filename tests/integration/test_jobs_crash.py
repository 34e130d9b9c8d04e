# SPDX-License-Identifier: Apache-2.0
"""Daemons that die while they work at jobs: whatever they were doing, its effect happens once."""
import asyncio
import base64
import json
import os
import random
import signal
import time
import uuid

import pytest

from support import farside, wait
from support.farside import answer, stall
from support.fleet import Fleet

SMALL = {"data": base64.b64encode(b"small").decode(), "encoding": "base64", "content_type": "application/octet-stream"}
CODE = "exports.handler = () => 1;\n"
TAKEN_OVER = 15  # seconds after which a dead worker's jobs are at work again


class Case:
    """A job that the far side keeps waiting at one of its requests. `requests`: their methods, those before the
    daemon died | those after it."""

    def __init__(self, name, action, params, requests, *script, state="succeeded"):
        self.name, self.action, self.params, self.script, self.state = name, action, params, script, state
        self.before, self.after = (part.split() for part in requests.split("|"))
        self.trace, self.key = str(uuid.uuid4()), str(uuid.uuid4())

    def queue(self, database, far):
        for method, path, *answers in self.script:
            far.script(method, path, *answers, job=None if path == "/storage" else self.trace)
        database.query("select cxsink.enqueue(%s, %s::jsonb, %s, idempotency_key => %s::uuid, trace_id => %s::uuid)",
                       (self.action, json.dumps(self.params), self.name, self.key, self.trace))

    def seen(self, far):
        return [r for r in far.seen() if r["headers"].get("X-Request-Id") == self.trace
                or r["headers"].get("Idempotency-Key") == self.key]

    def methods(self, far):
        return [r["method"] for r in self.seen(far)]


def cases(far):
    """Every request of every kind: the daemon dies before the far side has acted, or after it."""
    def release(name, requests, *script, state="succeeded"):
        params = {"version_id": name.replace(" ", "-"), "environment": "sandbox", "code": CODE}
        return Case(name, "release", params, requests, *script, state=state)

    def timeouts(name, requests, *script):
        return Case(name, name.replace(" ", "-"), {"timeout_ms": 9000}, requests, *script)

    invoke, status, version = "/invocations$", "/invocations/", "/versions/"
    refused = answer(422, {"message": "no"})
    return [
        Case("invoke before", "ticket", {"inputs": {}}, "POST | POST GET", ("POST", invoke, stall())),
        Case("invoke after", "ticket", {"inputs": {}}, "POST | POST GET", ("POST", invoke, far.unanswered)),
        Case("invoke asks", "ticket", {"inputs": {}}, "POST GET | GET", ("GET", status, stall())),
        Case("execute before", "scan", SMALL, "POST | POST", ("POST", "/execute$", stall())),
        Case("execute after", "scan", SMALL, "POST | POST", ("POST", "/execute$", far.unanswered)),
        Case("execute stores", "put", SMALL, "POST PUT | PUT", ("PUT", "/storage", stall())),
        release("publish reads", "GET | GET PATCH", ("GET", version, stall())),
        release("publish before", "GET PATCH | PATCH", ("PATCH", version, stall())),
        release("publish after", "GET PATCH | PATCH", ("PATCH", version, far.unanswered)),
        release("restore before", "GET PATCH PATCH | PATCH", ("PATCH", version, refused, stall()), state="failed"),
        release("restore after", "GET PATCH PATCH | PATCH", ("PATCH", version, refused, far.unanswered),
                state="failed"),
        timeouts("configure asks", "GET | GET PUT GET", ("GET", "/health$", stall())),
        timeouts("configure before", "GET PUT | PUT GET", ("PUT", "/actions$", stall())),
        timeouts("configure after", "GET PUT | PUT GET", ("PUT", "/actions$", far.unanswered)),
        timeouts("configure reads", "GET PUT GET | GET", ("GET", "/actions/", stall())),
    ]


def fleet_of_all(make_daemon, database, far, store):
    common = {"api": "cxone", "action_id": farside.ACTION_ID}
    return Fleet(make_daemon, database, far, concurrency=32, apis={"cxone": {"timeout": "60s"}}, actions={
        "put": {"kind": "execute", **common, "storage": {"url": far.url("/storage")}, "allow_private": True},
        "keep": {"kind": "execute", **common, "max_bytes": "9MiB", "storage": {"dir": str(store), "include_data": True}},
        "slow": {"kind": "invoke", **common, "poll": {"interval": "10s", "timeout": "2h"}},
        **{f"configure-{name}": {"kind": "configure", "api": "cxone", "action_id": f"crm-{name}"}
           for name in ("asks", "before", "after", "reads")}})


class Checker:
    """A cxsink-jscheck that is at work as long as the file `busy` is there."""

    def __init__(self, build, workdir):
        self.busy, self.path = workdir / "busy", workdir / "jscheck"
        self.path.write_text(f'#!/bin/sh\nwhile [ -e {self.busy} ]; do sleep 0.02; done\n'
                             f'exec {build}/cxsink-jscheck "$@"\n')
        self.path.chmod(0o755)
        self.environment = {"CXSINK_JSCHECK": str(self.path)}


@pytest.fixture
def checker(build, workdir):
    made = Checker(build, workdir)
    yield made
    made.busy.unlink(missing_ok=True)


def check_effects(far, every, database):
    """Of each key one effect; what was sent again was the same."""
    assert set(far.effects.values()) == {1}
    for case in every:
        assert case.methods(far) == case.before + case.after, case.name
        record = farside.job(database, case.name)
        assert record["state"] == case.state, (case.name, record["error"])
        assert record["lease_losses"] == 1, case.name
        last, again = case.seen(far)[len(case.before) - 1], case.seen(far)[len(case.before)]
        for member in ("path", "body"):
            assert last[member] == again[member], case.name
        assert last["headers"].get("Idempotency-Key") == again["headers"].get("Idempotency-Key"), case.name


def check_versions(far, database):
    """Published, or as it was; the restored ones say so."""
    versions = {path.rsplit("/", 1)[1]: state for path, state in far.versions.items()}
    for name in ("publish-reads", "publish-before", "publish-after", "checked"):
        assert versions[name]["published"] is True, name
    for name in ("restore-before", "restore-after"):
        assert versions[name]["published"] is False, name
        error = farside.job(database, name.replace("-", " "))["error"]
        assert error["restored"] is True and "HTTP 422: no" in error["message"]


def test_killed_at_every_request_of_every_kind(make_daemon, database, far, workdir, checker):
    scan, store, every = workdir / "scan", workdir / "store", cases(far)
    scan.write_bytes(os.urandom(8 << 20))
    scan.chmod(0o644)
    fleet = fleet_of_all(make_daemon, database, far, store)
    killed = fleet.start(environment=checker.environment)
    for case in every:
        case.queue(database, far)
    for case in every:
        wait.until(lambda: len(case.methods(far)) == len(case.before), 30, f"{case.name} waits")
    # Those that no request holds: one that polls now and then, one whose code is checked, one that is being stored.
    far.polls = 10**9
    farside.enqueue(database, "slow", {"inputs": {}}, id="polls")
    farside.wait_job(database, "polls", "polling")
    far.polls = 0
    checker.busy.touch()
    farside.enqueue(database, "release", {"version_id": "checked", "environment": "sandbox", "code": CODE}, id="checks")
    wait.until(lambda: fleet.count("id = 'checks' and state = 'running'") == 1, 30, "its code is checked")
    farside.enqueue(database, "keep", {"file": str(scan), "content_type": "application/octet-stream"}, id="keeps")
    wait.until(lambda: store.exists() and os.listdir(store), 30, "it is being stored", poll=0.001)
    killed.kill()
    died = time.monotonic()
    checker.busy.unlink()
    assert fleet.count("state = 'running'") >= len(every)

    after = len(far.requests)
    for invocation in far.invocations.values():
        invocation["polls"] = 0
    successor = fleet.start()
    wait.until(lambda: fleet.count("lease_losses > 0") >= len(every) + 1, TAKEN_OVER, "they are taken over")
    wait.until(lambda: len({r["headers"].get("X-Request-Id") for r in far.requests[after:]} & {c.trace for c in every})
               >= len(every) - 1, 30, "they are at work again")
    assert time.monotonic() - died < TAKEN_OVER * wait.FACTOR
    fleet.wait_done()
    check_effects(far, every, database)
    check_versions(far, database)
    # The one that polled goes on polling, and lost nothing; the stored file is there once and whole.
    polled = farside.job(database, "polls")
    assert polled["state"] == "succeeded" and polled["lease_losses"] == 0 and polled["attempt"] == 1
    assert os.listdir(store) == ["keeps.json"]
    kept = json.loads((store / "keeps.json").read_text())
    assert base64.b64decode(kept["encodedData"]) == scan.read_bytes()
    assert kept["executionId"] == farside.job(database, "keeps")["remote_id"]
    assert [body["executionId"] for body in far.stored] == [farside.job(database, "execute stores")["remote_id"]]
    assert "goes on: the worker that held it let its lease run out" in successor.log()


def test_killed_again_and_again_under_load(make_daemon, database, far):
    """30 times, at any moment."""
    kills, jobs = 30, 900
    # Each of its own, since two at once would not read back what they sent.
    configures = [f"configure-{n}" for n in range(50)]
    fleet = Fleet(make_daemon, database, far, actions={
        name: {"kind": "configure", "api": "cxone", "action_id": name} for name in configures})
    daemon = fleet.start()
    moments = random.Random(20261121)
    fleet.enqueue("scan", SMALL, jobs // 3)
    fleet.enqueue("ticket", {"inputs": {"n": 1}}, jobs // 3)
    fleet.enqueue("release", {"version_id": "v1", "environment": "sandbox", "code": CODE}, 10)
    for name in configures:
        fleet.enqueue(name, {"timeout_ms": 5000, "retry": {"enabled": True, "max_retries": 2}}, 1)
    fleet.enqueue("scan", SMALL, jobs - 2 * (jobs // 3) - 10 - len(configures), prefix="more")
    for _ in range(kills):
        goal = len(far.effects) + moments.randrange(1, 30)
        wait.until(lambda: len(far.effects) >= min(goal, jobs), 30, "it works on", poll=moments.uniform(0.0005, 0.01))
        daemon.kill()
        fleet.let_leases_end()
        daemon.start().wait_up()
    fleet.wait_done()
    fleet.check_once(jobs)


def test_killed_while_one_waits_for_the_lock_of_another(make_daemon, database, far):
    """Both go on, one after the other."""
    fleet = Fleet(make_daemon, database, far)
    daemon = fleet.start()
    far.script("PATCH", "/versions/v1$", stall())
    for name in ("holds", "waits"):
        farside.enqueue(database, "release", {"version_id": "v1", "environment": "sandbox", "code": CODE}, id=name)
        wait.until(lambda: len(far.seen("PATCH")) == 1, 30, "one publishes")
    wait.until(lambda: "job waits (release): another job holds its lock" in daemon.log(), 30, "the other waits")
    daemon.kill()
    assert database.query("select job_id from cxsink.job_locks") == [("holds",)]
    fleet.let_leases_end()
    fleet.start()
    fleet.wait_done()
    fleet.check_once(2)
    keys = dict(database.query("select id, idempotency_key::text from cxsink.jobs"))
    sent = [r["headers"]["Idempotency-Key"] for r in far.seen("PATCH")]
    assert sent == [keys["holds"], keys["holds"], keys["waits"]]
    assert database.value("select count(*) from cxsink.job_locks") == 0


def test_killed_while_it_sends_a_notification(make_daemon, database, far):
    """It is sent again, as the same delivery; the job's end is one."""
    fleet = Fleet(make_daemon, database, far,
                  actions={"scan": {"notify_url": far.url("/hook/scan"), "allow_private": True}})
    daemon = fleet.start()
    far.script("POST", "/hook/scan", stall())
    farside.enqueue(database, "scan", SMALL, id="a")
    far.wait_seen(1, "POST", "/hook/scan")
    daemon.kill()
    database.query("update cxsink.job_notifications set run_at = now()")  # as if its minute had passed
    daemon.start().wait_up()
    far.wait_seen(2, "POST", "/hook/scan")
    wait.until(lambda: database.query("select attempt, finished_at is not null, error from cxsink.job_notifications")
               == [(2, True, None)], 30, "it is delivered")
    first, second = far.seen("POST", "/hook/scan")
    assert first["body"] == second["body"] and json.loads(first["body"])["jobId"] == "a"
    assert first["headers"]["X-Cxsink-Delivery"] == second["headers"]["X-Cxsink-Delivery"]
    fleet.check_once(1)
    assert [e["event"] for e in daemon.audit() if e.get("job") == "a"].count("job.succeeded") == 1


def test_one_dies_and_one_is_stopped_beyond_its_lease(make_daemon, database, far):
    """Three daemons on one queue; one goes on with all of it, and what the stopped one stores later is void."""
    jobs = 1000
    fleet = Fleet(make_daemon, database, far)
    daemons = dead, stopped, last = [fleet.start() for _ in range(3)]
    gate = farside.Gate()
    for _ in range(24):
        far.script("POST", "/execute$", gate)
    fleet.enqueue("scan", SMALL, jobs)
    gate.wait_held(24)  # among 48 places: of each daemon eight at least, unless one has nothing at all
    holders = database.value("select count(distinct leased_by) from cxsink.jobs")
    stopped.send_signal(signal.SIGSTOP)
    dead.kill()
    gate.open()
    try:
        fleet.wait_done(TAKEN_OVER + 10)
        assert holders >= 2
        lost = fleet.count("lease_losses > 0")
        assert lost > 0 and fleet.count("lease_losses > 1") == 0
        before = database.query("select id, lease, result, attempts, finished_at from cxsink.jobs order by id")
    finally:
        stopped.send_signal(signal.SIGCONT)
    wait.until(lambda: "its lease is lost; another daemon has it" in stopped.log() or stopped.status()["jobs"]["active"] == 0,
               30, "it learns of it")
    farside.enqueue(database, "scan", SMALL, id="then")
    farside.wait_job(database, "then")
    assert database.query("select id, lease, result, attempts, finished_at from cxsink.jobs where id <> 'then' "
                          "order by id") == before
    fleet.check_once(jobs + 1)
    for daemon in (stopped, last):
        assert daemon.stop() == 0
    ended = [e["job"] for daemon in daemons for e in daemon.audit() if e["event"] == "job.succeeded"]
    assert len(ended) == len(set(ended)) and len(ended) >= jobs + 1 - 24


async def slowly(_request):
    """As long as it takes to find out who killed a worker, and to do it again."""
    await asyncio.sleep(0.06)


def test_a_job_that_kills_its_workers_is_given_up(make_daemon, database, far):
    """It alone, and none of those that were at work beside it."""
    fleet = Fleet(make_daemon, database, far)
    daemon = fleet.start()
    trace, killer = str(uuid.uuid4()), "the last one at its beginning"
    far.always("POST", "/execute$", stall(), job=trace)
    far.always("POST", "/invocations$", slowly)
    farside.enqueue(database, "scan", SMALL, id="killer", trace_id=trace, priority=1)
    fleet.enqueue("ticket", {"inputs": {}}, 10)
    for n in range(1, 6):
        far.wait_seen(n, "POST", "/execute$")
        daemon.kill()
        database.query("update cxsink.jobs set leased_until = now() where leased_by is not null")
        daemon.start().wait_up()
    made = farside.wait_job(database, "killer", "failed")
    assert made["lease_losses"] == 5 and "5 workers died while they held it" in made["error"]["message"]
    assert made["error"]["message"].endswith(killer)
    assert "job killer (scan) failed: given up: 5 workers died while they held it" in daemon.log()
    [ended] = [e for e in daemon.audit() if e["event"] == "job.failed"]
    assert ended["job"] == "killer" and ended["detail"].endswith(killer)
    assert daemon.metrics()['cxsink_jobs_finished_total{action="scan",state="failed"}'] == 1
    fleet.wait_done()
    assert fleet.column("id", "state <> 'succeeded'") == ["killer"] and set(far.effects.values()) == {1}
    # A person may want it again.
    far.scripts.clear()
    assert database.value("select cxsink.retry_job('killer')") is True
    farside.wait_job(database, "killer")
    assert len(far.seen("POST", "/execute$")) == 6
