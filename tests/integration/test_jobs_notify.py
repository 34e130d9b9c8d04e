# SPDX-License-Identifier: Apache-2.0
"""Notifications of finished jobs: signed, repeated, never to private addresses unasked, and never in a job's way."""
import hashlib
import hmac
import json
import time
import uuid

import pytest

from support import daemon as daemons, farside, jobworld, wait
from support.farside import answer

SECRET = "s3cret-ü"
PLACES = {
    "loopback": ("https://127.0.0.1:{port}/hook", "loopback"), "loopback6": ("https://[::1]:{port}/hook", "loopback"),
    "link-local": ("https://169.254.169.254/latest/meta-data", "link-local"), "private": ("https://10.1.2.3/hook", "private"),
    "private16": ("https://192.168.0.1/hook", "private"), "private12": ("https://172.16.0.1/hook", "private"),
    "mapped": ("https://[::ffff:127.0.0.1]:{port}/hook", ""), "name": ("https://localhost:{port}/hook", "loopback"),
    "any": ("https://0.0.0.0:{port}/hook", ""), "number": ("https://2130706433:{port}/hook", ""),
}


@pytest.fixture(scope="module")
def world(build, shared_database, shared_far):
    def action(kind, hook, **more):
        return {"kind": kind, "api": "cxone", "action_id": farside.ACTION_ID, "notify_url": shared_far.url("/hook/" + hook),
                "allow_private": True, **more}

    quick = {"interval": "20ms"}
    actions = {
        "ticket": action("invoke", "ticket", notify_secret=SECRET, poll=quick),
        "unsigned": action("invoke", "unsigned", poll=quick),
        "slow": action("invoke", "slow", poll=quick),
        "scan": action("execute", "scan", notify_secret=SECRET),
        "timeouts": action("configure", "timeouts", notify_secret=SECRET),
        "release": {**action("publish", "release"), "webhook_url": shared_far.url("/hook/webhook"), "notify_secret": SECRET},
    }
    for name, (url, _) in PLACES.items():
        actions[name] = {"kind": "invoke", "api": "cxone", "action_id": farside.ACTION_ID, "poll": quick,
                         "notify_url": url.format(port=shared_far.port)}
    with jobworld.running(build, shared_database, shared_far, farside.jobs(shared_far, actions=actions)) as running:
        yield running


def told(work, count=1, hook="/hook/"):
    """The requests that told of this job; each names its trace."""
    def there():
        found = [r for r in work.world.far.seen("POST", hook) if work.trace in r["body"].decode()]
        return found if len(found) >= count else None
    return wait.until(there, 30, f"{count} notifications of {work.action}")


def outbox(work):
    row = work.world.database.query("select attempt, finished_at is not null, error from cxsink.job_notifications"
                                    " where job_id = %s", (work.id,))
    return row[0] if row else None


def hurry(work):
    """What waits for its next attempt is due now."""
    work.world.database.query("update cxsink.job_notifications set run_at = now() where job_id = %s", (work.id,))
    work.world.database.query("select pg_notify('cxsink_jobs', '')")


def check_signature(request, secret=SECRET):
    headers = request["headers"]
    stamp = headers["X-Cxsink-Timestamp"]
    assert abs(int(stamp) - time.time()) < 300
    made = hmac.new(secret.encode(), stamp.encode() + b"." + request["body"], hashlib.sha256).hexdigest()
    assert headers["X-Cxsink-Signature"] == "sha256=" + made
    assert uuid.UUID(headers["X-Cxsink-Delivery"]) and headers["Content-Type"] == "application/json"
    assert "Authorization" not in headers


# --- what is told ---

def test_an_invocation_is_told_and_signed(world):
    work = world.job("ticket", inputs={"name": "Zoë 😀"})
    result = work.run()
    [request] = told(work)
    check_signature(request)
    log = world.daemon.log() + json.dumps(world.daemon.audit())
    assert SECRET not in log and request["headers"]["X-Cxsink-Signature"] not in log and "Zoë" not in log
    assert request["json"] == {"jobId": work.id, "action": "ticket", "state": "succeeded", "traceId": work.trace, **result}
    wait.until(lambda: outbox(work)[1], 10, "it is settled")
    assert outbox(work)[2] is None
    wait.until(lambda: work.audit("notification.delivered"), 10, "it is audited")


def test_a_failure_is_told(world):
    work = world.job("ticket", inputs={}).script("POST", "/invocations$", answer(400, {"message": "no"}))
    error = work.fail()
    [request] = told(work)
    check_signature(request)
    assert request["json"]["state"] == "failed" and request["json"]["message"] == error["message"]
    assert "inputs" not in request["json"]


def test_an_execution_is_told_without_its_data(world):
    work = world.job("scan", data="bWFya2VyLTQ3MTE=", encoding="base64", content_type="application/octet-stream")
    result = work.run()
    [request] = told(work)
    check_signature(request)
    assert request["json"]["executionId"] == result["executionId"] and b"bWFya2Vy" not in request["body"]


def test_a_configuration_is_told(world):
    work = world.job("timeouts", timeout_ms=15000)
    work.run()
    [request] = told(work)
    check_signature(request)
    assert request["json"] == {"type": "CONFIG_SYNC_SUCCESS", "traceId": work.trace, "payload": work.seen("PUT")[0]["json"],
                               "result": {"id": farside.ACTION_ID}}
    work = world.job("timeouts", timeout_ms=15000).script("GET", "/health$", answer(404))
    error = work.fail()
    [request] = told(work)
    assert request["json"] == {"type": "CONFIG_SYNC_FAILURE", "traceId": work.trace, "error": error["message"]}


def test_a_deployment_is_told_to_the_webhook(world):
    code = "exports.run = () => 'marker-4711';"
    params = {"version_id": "v1", "environment": "production", "code": code}
    work = world.job("release", **params)
    work.run()
    [request] = told(work)
    check_signature(request)
    assert request["path"] == "/hook/webhook" and b"marker-4711" not in request["body"]
    made = request["json"]
    assert set(made) == {"type", "metrics", "audit", "latencyMs"} and made["type"] == "DEPLOYMENT_SUCCESS"
    assert made["metrics"]["success"] == 1 and made["metrics"]["failure"] == 0 and made["latencyMs"] >= 0
    audit = made["audit"]
    assert (audit["versionId"], audit["environment"], audit["success"]) == ("v1", "production", True)
    assert audit["checksum"] == hashlib.sha256(code.encode()).hexdigest() and audit["jobId"] == work.id
    work = world.job("release", **params).script("PATCH", "/versions/", answer(422, {"message": "no"}))
    error = work.fail()
    made = told(work)[0]["json"]
    assert made["type"] == "DEPLOYMENT_FAILURE" and made["metrics"]["failure"] == 1
    assert made["audit"]["error"] == error["message"] and made["audit"]["restored"] is True


def test_without_a_secret_there_is_no_signature(world):
    work = world.job("unsigned", inputs={})
    work.run()
    headers = told(work)[0]["headers"]
    assert "X-Cxsink-Signature" not in headers and "X-Cxsink-Timestamp" in headers and "X-Cxsink-Delivery" in headers


# --- delivery ---

def test_it_is_repeated_until_it_is_taken(world):
    """The same delivery each time, with a new timestamp and signature; the job has long ended."""
    faults = [answer(500), answer(404), answer(302, headers={"Location": "/hook/elsewhere"}), farside.broken]
    world.far.script("POST", "/hook/unsigned$", *faults)
    work = world.job("unsigned", inputs={})
    work.run()
    before = None
    for count in range(1, len(faults) + 1):
        told(work, count)
        # Each says something else: what this one came to is stored, and not what the last one did.
        wait.until(lambda: outbox(work)[2] not in (before, None), 30, "it is tried again later")
        before = outbox(work)[2]
        assert outbox(work)[:2] == (count, False)
        hurry(work)
    requests = told(work, len(faults) + 1)
    wait.until(lambda: outbox(work)[1], 10, "it is settled")
    assert len(requests) == len(faults) + 1 and outbox(work)[2] is None
    assert len({r["headers"]["X-Cxsink-Delivery"] for r in requests}) == 1 and len({r["body"] for r in requests}) == 1
    assert work.record["state"] == "succeeded" and not world.far.seen(path="/hook/elsewhere")


def test_it_is_repeated_by_itself(world):
    world.far.script("POST", "/hook/unsigned$", answer(500))
    work = world.job("unsigned", inputs={})
    work.run()
    first, second = told(work, 2)
    assert second["at"] - first["at"] >= 5


def test_what_is_never_taken_is_given_up_and_told(database, far, make_daemon):
    section = farside.jobs(far, actions={"ticket": {"notify_url": far.url("/hook/never"), "allow_private": True}})
    daemon = make_daemon(daemons.config(database.dsn, far, jobs=section)).start().wait_ready()
    work = jobworld.World(daemon, database, far).job("ticket", inputs={})
    far.always("POST", "/hook/never$", answer(500))
    work.run()
    wait.until(lambda: outbox(work)[2], 10, "the first attempt failed")
    database.query("update cxsink.job_notifications set attempt = 9 where job_id = %s", (work.id,))
    hurry(work)
    [given_up] = wait.until(lambda: work.audit("notification.failed"), 30, "it is audited")
    assert given_up["detail"] == "HTTP 500" and "its notification is given up: HTTP 500" in daemon.log()
    wait.until(lambda: outbox(work)[1], 10, "it is settled")
    assert outbox(work)[2] == "HTTP 500" and work.record["state"] == "succeeded"
    hurry(work)
    work.world.job("ticket", inputs={}).run()
    assert len(told(work)) == 2


def test_a_receiver_that_stalls_holds_no_job(world):
    world.far.always("POST", "/hook/slow$", farside.stall())
    slow = [world.job("slow", inputs={}).queue() for _ in range(20)]
    for work in slow:
        work.done()
    other = world.job("scan", data="", encoding="base64", content_type="application/octet-stream")
    other.run()
    told(other)
    assert "5" in wait.until(lambda: next((o[2] for o in map(outbox, slow) if o[2]), None), 30, "one took too long")


@pytest.mark.parametrize("place", PLACES)
def test_private_addresses_are_refused(world, place):
    """The job is done all the same; nothing is sent there."""
    work = world.job(place, inputs={})
    work.run()
    wait.until(lambda: work.audit("notification.failed"), 30, "it is given up")
    detail = work.audit("notification.failed")[0]["detail"]
    assert PLACES[place][1] in detail and "address" in detail, detail
    assert work.record["state"] == "succeeded"
    wait.until(lambda: outbox(work)[1], 10, "it is settled")
