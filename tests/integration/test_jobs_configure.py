# SPDX-License-Identifier: Apache-2.0
"""Jobs of kind "configure": an action's timeouts are set, and read back."""
import copy
import json
import re
import uuid

import pytest

from support import farside, jobworld, wait
from support.farside import answer

HEALTH, PUT, READ = "/health$", "/integrations/actions$", "/integrations/actions/"


@pytest.fixture(scope="module")
def world(build, shared_database, shared_far):
    common = {"kind": "configure", "api": "cxone", "action_id": "crm timeouts/1"}
    section = farside.jobs(shared_far, actions={
        "timeouts": common,
        "shared": {**common, "action_id": "shared"},
        "once": {**common, "retry": {"max": 0}},
        "moved": {**common, "paths": {"health": "/up", "update": "/v3/set/{actionId}", "read": "/v3/get/{actionId}"}},
    })
    with jobworld.running(build, shared_database, shared_far, section) as running:
        yield running


def configure(world, action="timeouts", **params):
    """A job that reads back what it itself has put, whatever others do meanwhile."""
    work = world.job(action, **{"timeout_ms": 15000, **params})
    work.read = lambda: copy.deepcopy(work.seen("PUT")[-1]["json"])
    work.always("GET", READ, lambda request: answer(200, work.read())(request))
    return work


# --- the request ---

def test_the_request_is_what_the_api_takes(world):
    retry = {"enabled": False, "max_retries": 5, "backoff": "linear", "retry_on_status": [429, 503]}
    work = configure(world, timeout_ms=30000, connection_timeout_ms=2000, idle_timeout_ms=60000, retry=retry)
    work.run()
    assert [(r["method"], r["path"]) for r in work.seen()] == [
        ("GET", "/api/v2/health"), ("PUT", "/api/v2/integrations/actions"),
        ("GET", "/api/v2/integrations/actions/crm%20timeouts%2F1")]
    [request] = work.seen("PUT")
    metadata = request["json"].pop("metadata")
    assert request["json"] == {"id": "crm timeouts/1", "configuration": {
        "requestTimeout": 30000, "connectionTimeout": 2000, "idleTimeout": 60000,
        "retryPolicy": {"enabled": False, "maxRetries": 5, "backoffStrategy": "linear", "retryOnStatus": [429, 503]},
        "connectionPoolLimits": {"maxSockets": 50, "keepAlive": True}}}
    assert set(metadata) == {"requestId", "configurationVersion", "auditTraceId", "generatedAt"}
    assert metadata["configurationVersion"] == "2.1" and metadata["auditTraceId"] == work.trace
    assert str(uuid.UUID(metadata["requestId"])) == work.record["idempotency_key"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", metadata["generatedAt"])
    assert request["headers"]["Idempotency-Key"] == work.record["idempotency_key"]
    assert all(r["headers"]["Authorization"].startswith("Bearer ") for r in work.seen())


def test_what_is_left_out_has_defaults(world):
    work = configure(world, timeout_ms=1)
    work.run()
    made = work.seen("PUT")[0]["json"]["configuration"]
    assert made["requestTimeout"] == 1 and made["connectionPoolLimits"] == {"maxSockets": 30, "keepAlive": True}
    assert made["retryPolicy"] == {"enabled": True, "maxRetries": 3, "backoffStrategy": "exponential",
                                   "retryOnStatus": [429, 500, 502, 503, 504]}


@pytest.mark.parametrize("retries, sockets", [(0, 0), (1, 10), (5, 50)])
def test_sockets_follow_the_retries(world, retries, sockets):
    work = configure(world, retry={"max_retries": retries})
    work.run()
    assert work.seen("PUT")[0]["json"]["configuration"]["connectionPoolLimits"]["maxSockets"] == sockets


def test_paths_are_the_actions_own(world):
    work = configure(world, "moved").script("GET", "/up$", answer(200)).script("PUT", "/v3/set", answer(204, text=""))
    work.always("GET", "/v3/get", lambda request: answer(200, work.read())(request))
    work.run()
    assert [r["path"] for r in work.seen()] == ["/up", "/v3/set/crm%20timeouts%2F1", "/v3/get/crm%20timeouts%2F1"]


# --- checks before sending ---

@pytest.mark.parametrize("params, pointer, words", [
    ({}, "/timeout_ms", "missing"), ({"timeout_ms": 30001}, "/timeout_ms", "30000"), ({"timeout_ms": 0}, "/timeout_ms", "from 1"),
    ({"timeout_ms": "15s"}, "/timeout_ms", "whole number"), ({"timeout_ms": 1.5}, "/timeout_ms", "whole number"),
    ({"timeout_ms": 1, "connection_timeout_ms": 0}, "/connection_timeout_ms", "from 1"),
    ({"timeout_ms": 1, "idle_timeout_ms": -1}, "/idle_timeout_ms", "from 1"),
    ({"timeout_ms": 1, "retry": {"max_retries": 6}}, "/retry/max_retries", "0 to 5"),
    ({"timeout_ms": 1, "retry": {"max_retries": -1}}, "/retry/max_retries", "0 to 5"),
    ({"timeout_ms": 1, "retry": {"backoff": "random"}}, "/retry/backoff", "exponential"),
    ({"timeout_ms": 1, "retry": {"enabled": 1}}, "/retry/enabled", "true or false"),
    ({"timeout_ms": 1, "retry": {"retry_on_status": [429, 42]}}, "/retry/retry_on_status/1", "100 to 599"),
    ({"timeout_ms": 1, "retry": {"maxRetries": 2}}, "/retry/maxRetries", "max_retries"),
    ({"timeout_ms": 1, "retries": 2}, "/retries", "retry"),
])
def test_faulty_parameters_are_refused(world, params, pointer, words):
    faults = world.refused("timeouts", params)
    assert list(faults) == [pointer] and words in faults[pointer], faults


@pytest.mark.parametrize("backoff", ["exponential", "linear", "fixed"])
def test_backoff_has_three_ways(world, backoff):
    configure(world, retry={"backoff": backoff}).run()


# --- several at once ---

def test_jobs_of_one_action_do_not_read_each_others(world):
    """One after the other: the second waits for the lock until the first has read back what it sent."""
    gate = farside.Gate()
    first = world.job("shared", timeout_ms=1000).script("GET", READ, gate).queue()
    gate.wait_held(1)
    second = world.job("shared", timeout_ms=2000).queue()
    wait.until(lambda: second.record["step"] == "lock" or second.seen(), 30, "the second waits")
    assert not second.seen()
    gate.open()
    assert first.done()["result"]["verified"] and second.done()["result"]["verified"]
    assert world.far.configured["shared"]["configuration"]["requestTimeout"] == 2000
    assert world.database.value("select count(*) from cxsink.job_locks") == 0


# --- health ---

@pytest.mark.parametrize("told", [answer(201), answer(204, text=""), answer(404), answer(503), farside.broken],
                         ids=["201", "204", "404", "503", "broken"])
def test_nothing_is_sent_unless_health_is_200(world, told):
    work = configure(world, "once").script("GET", HEALTH, told)
    error = work.fail()
    assert "not healthy, so nothing was sent" in error["message"] and len(work.seen()) == 1


def test_nothing_is_sent_when_health_takes_five_seconds(world):
    work = configure(world, "once").script("GET", HEALTH, farside.stall())
    error = work.fail()
    assert "not healthy, so nothing was sent" in error["message"] and "5" in error["message"]
    assert len(work.seen()) == 1 and work.record["attempts"][0]["latency_ms"] >= 4900


# --- the answer ---

@pytest.mark.parametrize("status", [400, 403, 404, 409])
def test_a_refusal_is_final_and_told(world, status):
    work = configure(world).script("PUT", PUT, answer(status, {"message": "no"}))
    error = work.fail()
    assert error["message"] == f"not configured: HTTP {status}: no" and error["status"] == status
    assert [r["method"] for r in work.seen()] == ["GET", "PUT"]


def test_429_is_retried_three_times_with_the_same_body(world):
    again = answer(429, headers={"Retry-After": "0"})
    work = configure(world).always("PUT", PUT, again)
    assert "429" in work.fail()["message"]
    requests = work.seen("PUT")
    assert len(requests) == 4 and len({(r["headers"]["Idempotency-Key"], r["body"]) for r in requests}) == 1
    work = configure(world).script("PUT", PUT, again, again, again)
    work.run()
    assert len(work.seen("PUT")) == 4 and len({r["body"] for r in work.seen("PUT")}) == 1


# --- reading back ---

FIELDS = ["/id", "/metadata/requestId", "/metadata/configurationVersion", "/metadata/auditTraceId", "/metadata/generatedAt",
          "/configuration/requestTimeout", "/configuration/connectionTimeout", "/configuration/idleTimeout",
          "/configuration/retryPolicy/enabled", "/configuration/retryPolicy/maxRetries",
          "/configuration/retryPolicy/backoffStrategy", "/configuration/retryPolicy/retryOnStatus",
          "/configuration/connectionPoolLimits/maxSockets", "/configuration/connectionPoolLimits/keepAlive"]


def changed(document, pointer, *value):
    """A copy with another value at the pointer, or without it."""
    made = copy.deepcopy(document)
    *names, last = pointer[1:].split("/")
    place = made
    for name in names:
        place = place[name]
    del place[last]
    if value:
        place[last] = value[0]
    return made


def differing(world, pointer, *value):
    work = configure(world, "once")
    whole = work.read
    work.read = lambda: changed(whole(), pointer, *value)
    return work.queue()


def test_each_field_that_reads_back_otherwise_is_named(world):
    """One field a job, with another value, and missing."""
    works = [(pointer, differing(world, pointer, *value)) for pointer in FIELDS for value in (("other",), ())]
    for pointer, work in works:
        error = work.done("failed")["error"]
        assert "sent, but it does not read back equal: " in error["message"] and pointer in error["message"]
        [difference] = error["differences"]
        assert difference["pointer"] == pointer and "sent" in difference
        assert len(work.seen("PUT")) == 1


def test_differences_are_exact(world):
    """In kind, in order, in length."""
    statuses = "/configuration/retryPolicy/retryOnStatus"
    cases = [("/configuration/requestTimeout", "15000"), ("/configuration/requestTimeout", 15001),
             ("/configuration/requestTimeout", None), ("/configuration/retryPolicy/enabled", 1),
             ("/configuration/retryPolicy/backoffStrategy", "Exponential"), (statuses, [500, 429, 502, 503, 504]),
             (statuses, [429, 500, 502, 503]), (statuses, [429, 500, 502, 503, 504, 505])]
    works = [(pointer, value, differing(world, pointer, value)) for pointer, value in cases]
    for pointer, value, work in works:
        [difference] = work.done("failed")["error"]["differences"]
        assert (difference["pointer"], difference["read"]) == (pointer, value)


def test_what_means_the_same_is_equal(world):
    """Another spelling of a number, another order of members, further members."""
    work = configure(world)

    def other(request):
        made = {"extra": [1], **dict(reversed(work.seen("PUT")[0]["json"].items()))}
        text = json.dumps(made).replace('"requestTimeout": 15000', '"requestTimeout": 1.5e4')
        assert "1.5e4" in text
        return answer(200, text=text)(request)

    work.read = None
    world.far.scripts.pop()
    work.always("GET", READ, other)
    work.run()


def test_reading_back_is_tried_again(world):
    """The far side may take a moment to show what it took."""
    work = world.job("timeouts", timeout_ms=15000)
    work.script("GET", READ, answer(200, {"id": "crm timeouts/1"}))
    work.always("GET", READ, lambda request: answer(200, work.seen("PUT")[0]["json"])(request))
    assert work.run()["verified"] is True
    assert [r["method"] for r in work.seen()] == ["GET", "PUT", "GET", "GET"]


@pytest.mark.parametrize("told, words", [(answer(403, {"message": "no"}), "it cannot be read back: HTTP 403: no"),
                                         (answer(200, text="<html>"), "without a JSON object"),
                                         (answer(200, text="[]"), "without a JSON object")])
def test_what_cannot_be_read_back_fails(world, told, words):
    work = world.job("once", timeout_ms=15000).always("GET", READ, told)
    error = work.fail()
    assert error["message"].startswith("sent, but it cannot be read back: ") and words in error["message"]
    assert len(work.seen("PUT")) == 1
