# SPDX-License-Identifier: Apache-2.0
"""Ends of jobs that no worker brings about as usual: given up because the workers died, cancelled before they began.
Each is audited, counted and notified once. And how each job came onto the queue."""
import base64
import json

import pytest

from support import farside, wait
from support.farside import stall
from support.fleet import Fleet
from test_jobs_crash import CODE

SMALL = {"data": base64.b64encode(b"small").decode(), "encoding": "base64", "content_type": "application/octet-stream"}
PUBLISH = {"version_id": "v1", "environment": "production", "code": CODE}
VERSION = f"/api/v2/studio/data-actions/{farside.ACTION_ID}/versions/v1"


@pytest.fixture
def fleet(make_daemon, database, far):
    """Every action of it notifies."""
    hooks = {"release": {"webhook_url": far.url("/hook/release")}}
    notify = {name: {"notify_url": far.url("/hook/" + name), "allow_private": True}
              for name in ("ticket", "scan", "release", "timeouts")}
    return Fleet(make_daemon, database, far, actions={name: {**more, **hooks.get(name, {})} for name, more in notify.items()})


def notified(far, name):
    return [r["json"] for r in far.seen("POST", "/hook/" + name)]


def end_leases(database):
    database.query("update cxsink.jobs set leased_until = now() where leased_by is not null")


def audited(daemons, name, job):
    return [e for d in daemons for e in d.audit() if e["event"] == name and e.get("job") == job]


def die_again_and_again(daemon, database, far, method, path):
    """Five times at this request."""
    far.always(method, path, stall())
    for n in range(1, 6):
        far.wait_seen(n, method, path)
        daemon.kill()
        end_leases(database)
        if n == 5:
            far.scripts.clear()
        daemon.start().wait_up()


def test_a_publish_that_kills_its_workers_is_restored(fleet, database, far):
    """The next worker takes it over to restore what was there, and drops its lock."""
    far.versions[VERSION] = {"published": True, "environment": "sandbox", "status": "published"}
    daemon = fleet.start()
    farside.enqueue(database, "release", PUBLISH, id="p")
    die_again_and_again(daemon, database, far, "PATCH", VERSION)
    error = farside.wait_job(database, "p", "failed")["error"]
    assert error["restored"] is True and error["previous"] == {"published": True, "environment": "sandbox"}
    assert error["message"] == ('given up: 5 workers died while they held it, the last one in step "publish"; '
                                "the state before was restored")
    assert far.versions[VERSION]["published"] is True and far.versions[VERSION]["environment"] == "sandbox"
    assert [r["json"]["environment"] for r in far.seen("PATCH")] == ["production"] * 5 + ["sandbox"]
    assert database.value("select count(*) from cxsink.job_locks") == 0
    [hook] = wait.until(lambda: notified(far, "release"), 30, "it is notified")
    assert hook["type"] == "DEPLOYMENT_FAILURE" and hook["audit"]["restored"] is True
    assert len(audited([daemon], "job.restoring", "p")) == len(audited([daemon], "job.failed", "p")) == 1


def test_one_that_kills_those_that_restore_it(fleet, database, far):
    """It is not tried for ever: in the end it is failed as it is, and told all the same."""
    far.versions[VERSION] = {"published": True, "environment": "sandbox", "status": "published"}
    daemon = fleet.start()
    farside.enqueue(database, "release", PUBLISH, id="p")
    far.always("PATCH", VERSION, stall())
    far.wait_seen(1, "PATCH")
    daemon.kill()
    database.query("update cxsink.jobs set leased_until = now(), lease_losses = 4")
    daemon.start().wait_up()
    far.wait_seen(2, "PATCH")
    assert [r["json"]["environment"] for r in far.seen("PATCH")] == ["production", "sandbox"]
    daemon.kill()
    database.query("update cxsink.jobs set leased_until = now(), lease_losses = 8")  # and three others
    daemon.start().wait_up()
    far.wait_seen(3, "PATCH")
    assert far.seen("PATCH")[2]["body"] == far.seen("PATCH")[1]["body"]
    daemon.kill()
    end_leases(database)
    daemon.start().wait_up()
    error = farside.wait_job(database, "p", "failed")["error"]
    assert error["outcome"] == "unknown" and "given up: 10 workers died while they held it" in error["message"]
    assert "by hand" in error["message"]
    [hook] = wait.until(lambda: notified(far, "release"), 30, "it is notified")
    assert hook["type"] == "DEPLOYMENT_FAILURE" and "by hand" in hook["audit"]["error"]
    [ended] = wait.until(lambda: audited([daemon], "job.failed", "p"), 30, "it is audited")
    assert ended["kind"] == "publish" and ended["version"] == "v1" and "10 workers died" in ended["detail"]
    assert daemon.metrics()['cxsink_jobs_finished_total{action="release",state="failed"}'] == 1
    assert database.value("select count(*) from cxsink.job_locks") == 0


def test_others_are_notified_when_they_are_given_up(fleet, database, far):
    daemon = fleet.start()
    farside.enqueue(database, "ticket", {"inputs": {}}, id="t")
    die_again_and_again(daemon, database, far, "POST", "/invocations$")
    made = farside.wait_job(database, "t", "failed")
    assert made["error"]["outcome"] == "unknown" and made["lease_losses"] == 5
    [hook] = wait.until(lambda: notified(far, "ticket"), 30, "it is notified")
    assert hook["jobId"] == "t" and hook["state"] == "failed" and hook["outcome"] == "unknown"
    assert hook["traceId"] == made["trace_id"] and "5 workers died" in hook["message"]
    assert len(far.seen("POST", "/invocations$")) == 5 and database.value("select count(*) from cxsink.job_locks") == 0


def test_cancelled_before_it_began(fleet, database, far):
    """By SQL: one of two daemons tells of it, once, with its notification."""
    both = [fleet.start() for _ in range(2)]
    later = "now() + interval '1 day'"
    for name, action, params in (("i", "ticket", {"inputs": {}}), ("p", "release", PUBLISH), ("u", "unknown", {})):
        database.query(f"select cxsink.enqueue('{action}', %s::jsonb, '{name}', 0, {later})", (json.dumps(params),))
    for name in ("i", "p", "u"):
        assert database.value("select cxsink.cancel_job(%s)", (name,)) == "cancelled"
    wait.until(lambda: notified(far, "ticket") and notified(far, "release"), 30, "they are notified")
    wait.until(lambda: fleet.count("untold") == 1, 30, "it is stored that they are told")
    [hook] = notified(far, "ticket")
    assert hook == {"jobId": "i", "action": "ticket", "state": "cancelled", "traceId": None,
                    "message": "cancelled before it began"}
    [hook] = notified(far, "release")
    assert hook["type"] == "DEPLOYMENT_FAILURE" and hook["latencyMs"] == 0
    assert hook["audit"]["error"] == "cancelled before it began" and hook["audit"]["versionId"] == "v1"
    # Of an action that nobody here knows the end is told after a while, without a notification.
    database.query("update cxsink.jobs set finished_at = now() - interval '1 hour' where id = 'u'")
    wait.until(lambda: fleet.count("untold") == 0, 30, "the unknown one is told")
    for name, action in (("i", "ticket"), ("p", "release"), ("u", "unknown")):
        [queued] = wait.until(lambda: audited(both, "job.queued", name), 30, "queued is audited")
        [ended] = wait.until(lambda: audited(both, "job.cancelled", name), 30, "cancelled is audited")
        assert queued["source"] == "sql" and queued["action"] == ended["action"] == action
        assert ended["detail"] == "cancelled before it began"
    counted = [d.metrics().get('cxsink_jobs_finished_total{action="ticket",state="cancelled"}', 0) for d in both]
    assert sum(counted) == 1 and not far.seen("POST", "/invocations$")
    # What is queued again is told again.
    assert database.value("select cxsink.retry_job('i')") is True
    farside.wait_job(database, "i")
    assert sorted(e["source"] for e in audited(both, "job.queued", "i")) == ["retry", "sql"]


def test_how_each_job_came_onto_the_queue(fleet, database, far):
    """One event "job.queued" a job, whatever queued it."""
    fleet.changes["queue"] = [{"id": "configured", "action": "scan", **SMALL},
                              {"id": "clockwork", "action": "timeouts", "timeout_ms": 1000, "every": "1h"}]
    settings = fleet.settings()
    daemon = fleet.make(settings)
    settings["jobs"]["drop_dir"] = str(daemon.home / "drop")
    daemon.write()
    daemon.start().wait_ready()
    drop = daemon.home / "drop"
    wait.until(drop.is_dir, 30, "the drop directory is there")
    many = [{"id": f"drop-{n}", "action": "scan", **SMALL} for n in range(130)]
    (drop / ".jobs.tmp").write_text(json.dumps(many))
    (drop / ".jobs.tmp").rename(drop / "jobs.json")
    farside.enqueue(database, "scan", SMALL, id="by-sql")
    wait.until(lambda: fleet.count() >= 133, 30, "they are queued")
    fleet.wait_done()
    queued = [e for e in daemon.audit() if e["event"] == "job.queued"]
    assert len(queued) == len({e["job"] for e in queued}) == fleet.count()
    sources = dict(database.query("select id, source from cxsink.jobs"))
    assert {e["job"]: e["source"] for e in queued} == sources
    assert set(sources.values()) == {"config", "drop", "sql", "schedule"}
    assert {(e["action"], e["kind"]) for e in queued} == {("scan", "execute"), ("timeouts", "configure")}
    # Queued before it is at work; and not again by a restart, which queues the configuration's once more.
    events = [e["event"] for e in daemon.audit() if e.get("job") == "configured"]
    assert events[:3] == ["job.queued", "job.running", "job.succeeded"]
    assert daemon.stop() == 0
    daemon.start().wait_ready()
    farside.wait_job(database, farside.enqueue(database, "scan", SMALL, id="then"))
    assert [e["job"] for e in daemon.audit() if e["event"] == "job.queued"][len(queued):] == ["then"]
