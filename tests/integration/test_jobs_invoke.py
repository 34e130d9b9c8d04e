# SPDX-License-Identifier: Apache-2.0
"""Jobs of kind "invoke": a data action is run, and its result asked for."""
import json
import uuid

import pytest

from support import daemon as daemons, farside, jobworld
from support.farside import answer

SEND = "/invocations$"
POLL = "/invocations/"
LIMIT = 524288


@pytest.fixture(scope="module")
def world(build, shared_database, shared_far):
    quick = {"interval": "50ms", "timeout": "20s"}
    common = {"kind": "invoke", "api": "cxone", "action_id": farside.ACTION_ID, "poll": quick}
    section = farside.jobs(shared_far, actions={
        "ticket": common,
        "limited": {**common, "allowed_inputs": ["customerId", "priority"]},
        "bare": {**common, "allowed_inputs": []},
        "called": {**common, "callback_url": "https://hooks.example.com/cxone?x=1"},
        "short": {**common, "poll": {"interval": "50ms", "timeout": "300ms"}},
        "small": {**common, "max_payload": "1KiB"},
        "once": {**common, "retry": {"max": 0}},
        "moved": {**common, "paths": {"invoke": "/v3/{actionId}/run", "status": "/v3/runs/{invocationId}/state"}},
    })
    with jobworld.running(build, shared_database, shared_far, section) as running:
        yield running


def seen_states(*states):
    """Answers to questions, one a state."""
    return [answer(200, {"status": state}) for state in states]


# --- the request ---

def test_the_request_is_what_the_api_takes(world):
    inputs = {"customerId": "c-1", "count": 2, "ratio": 1.5, "urgent": True, "agent": None, "name": "Zoë 😀 \"x\""}
    correlation = str(uuid.uuid4())
    work = world.job("ticket", inputs=inputs, correlation_id=correlation)
    work.run()
    [request] = work.seen("POST")
    assert request["path"] == "/api/v2/integrations/actions/invocations" and request["query"] == ""
    assert request["json"] == {"actionId": farside.ACTION_ID, "inputs": inputs, "correlationId": correlation}
    headers = request["headers"]
    assert headers["Content-Type"] == headers["Accept"] == "application/json"
    assert headers["Authorization"].removeprefix("Bearer ") in world.far.tokens
    assert uuid.UUID(headers["Idempotency-Key"])
    for poll in work.seen("GET"):
        assert poll["path"] == f"/api/v2/integrations/actions/invocations/{work.record['remote_id']}"
        assert poll["headers"]["X-Request-Id"] == work.trace and poll["body"] == b""
        assert "Idempotency-Key" not in poll["headers"] and "Content-Type" not in poll["headers"]


def test_a_missing_correlation_id_is_made_once(world):
    work = world.job("ticket", inputs={}).script("POST", SEND, answer(503))
    result = work.run()
    sent = {r["json"]["correlationId"] for r in work.seen("POST")}
    assert len(work.seen("POST")) == 2 and sent == {result["correlationId"]}
    assert uuid.UUID(result["correlationId"]).version == 4
    assert {e.get("correlationId") for e in work.audit("job.succeeded")} == sent


def test_a_job_without_inputs_sends_an_empty_object(world):
    work = world.job("ticket")
    work.run()
    assert work.seen("POST")[0]["json"]["inputs"] == {}


def test_the_callback_url_of_the_action_is_sent(world):
    work = world.job("called", inputs={})
    work.run()
    assert work.seen("POST")[0]["json"]["callbackUrl"] == "https://hooks.example.com/cxone?x=1"


def test_paths_are_the_actions_own(world):
    work = world.job("moved", inputs={})
    work.script("POST", "/run$", answer(200, {"invocationId": "a/b ü", "status": "RUNNING"}))
    work.script("GET", "/state$", answer(200, {"status": "COMPLETED", "outputs": {"x": 1}}))
    assert work.run()["outputs"] == {"x": 1}
    assert [r["path"] for r in work.seen()] == [f"/v3/{farside.ACTION_ID}/run", "/v3/runs/a%2Fb%20%C3%BC/state"]


# --- checks before sending ---

@pytest.mark.parametrize("params, pointer, words", [
    ({"inputs": {"a": [1]}}, "/inputs/a", "not an array"),
    ({"inputs": {"a": {"b": 1}}}, "/inputs/a", "not an object"),
    ({"inputs": [1]}, "/inputs", "object"),
    ({"inputs": {}, "correlation_id": "c-1"}, "/correlation_id", "not a UUID"),
    ({"inputs": {}, "correlation_id": 7}, "/correlation_id", "string"),
    ({"input": {}}, "/input", "inputs"),
])
def test_faulty_parameters_are_refused(world, params, pointer, words):
    faults = world.refused("ticket", params)
    assert list(faults) == [pointer] and words in faults[pointer]


def test_only_allowed_inputs_are_sent(world):
    faults = world.refused("limited", {"inputs": {"customerId": "c", "password": "hunter2", "role": 1}})
    assert sorted(faults) == ["/inputs/password", "/inputs/role"]
    assert "allowed_inputs" in faults["/inputs/role"] and "hunter2" not in json.dumps(faults)
    assert list(world.refused("bare", {"inputs": {"a": 1}})) == ["/inputs/a"]
    world.job("limited", inputs={"customerId": "c"}).run()
    world.job("bare", inputs={}).run()


def test_all_faults_are_told_at_once(world):
    faults = world.refused("limited", {"inputs": {"x": [1], "customerId": {}}, "correlation_id": "no"})
    assert set(faults) == {"/inputs/x", "/inputs/customerId", "/correlation_id"}


@pytest.mark.parametrize("letter", ["a", "é", "😀"])
def test_the_body_is_at_most_512_kib_of_utf8(world, letter):
    size = len(letter.encode())
    empty = json.dumps({"actionId": farside.ACTION_ID, "inputs": {"text": ""}, "correlationId": str(uuid.uuid4())},
                       separators=(",", ":"))
    count, rest = divmod(LIMIT - len(empty), size)
    text = letter * count + "x" * rest
    fits = world.job("ticket", inputs={"text": text})
    faults = world.refused("ticket", {"inputs": {"text": text + "x"}})
    assert str(LIMIT + 1) in faults["/inputs"] and str(LIMIT) in faults["/inputs"]
    fits.run()
    [request] = fits.seen("POST")
    assert len(request["body"]) == LIMIT and request["json"]["inputs"]["text"] == text


def test_a_smaller_limit_of_the_action_holds(world):
    assert list(world.refused("small", {"inputs": {"text": "x" * 1000}})) == ["/inputs"]


@pytest.mark.parametrize("change, words", [
    ({"action_id": "crm"}, "/jobs/actions/ticket/action_id"),
    ({"callback_url": "http://hooks.example.com/"}, "/jobs/actions/ticket/callback_url"),
    ({"callback_url": "hooks"}, "/jobs/actions/ticket/callback_url"),
    ({"content_types": ["image/png"]}, "/jobs/actions/ticket/content_types"),
    ({"paths": {"execute": "/x"}}, "/jobs/actions/ticket/paths/execute"),
    ({"notify_url": "http://hooks.example.com/"}, "/jobs/actions/ticket/notify_url"),
])
def test_faulty_actions_are_refused_by_check(cxsink, world, tmp_path, change, words):
    config = daemons.config("", world.far, jobs=farside.jobs(world.far, actions={"ticket": change}))
    path = tmp_path / "cxsink.json"
    path.write_text(json.dumps(config))
    done = cxsink("check", "-c", path)
    assert done.returncode == 78 and words in done.stdout + done.stderr


# --- the answer to the request ---

@pytest.mark.parametrize("told, words", [
    (answer(200, {"status": "RUNNING"}), "HTTP 200 came without an invocationId"),
    (answer(200, {"invocationId": "", "status": "RUNNING"}), "without an invocationId"),
    (answer(200, {"invocationId": 7}), "without an invocationId"),
    (answer(202, text=""), "HTTP 202 came without an invocationId"),
    (answer(200, text="<html>welcome</html>"), "without an invocationId"),
    (answer(200, {"invocationId": ".."}), "without an invocationId"),
], ids=["none", "empty", "number", "no body", "no json", "dots"])
def test_a_success_without_invocation_id_fails(world, told, words):
    """And is not sent again: the action may have been invoked."""
    work = world.job("ticket", inputs={}).script("POST", SEND, told)
    error = work.fail()
    assert words in error["message"] and "may have been invoked" in error["message"]
    assert len(work.seen()) == 1


@pytest.mark.parametrize("status", [400, 403, 404, 413, 422])
def test_a_refusal_is_final_and_told(world, status):
    work = world.job("ticket", inputs={"secret": "marker-4711"})
    error = work.script("POST", SEND, answer(status, {"message": "no such action"})).fail()
    assert error["message"] == f"the action was not invoked: HTTP {status}: no such action"
    assert error["status"] == status and error["answer"] == {"message": "no such action"}
    assert len(work.seen()) == 1 and "marker-4711" not in json.dumps(error)


def test_429_is_retried_three_times_with_the_same_key(world):
    again = answer(429, headers={"Retry-After": "0"})
    work = world.job("ticket", inputs={}).always("POST", SEND, again)
    error = work.fail()
    assert "429" in error["message"] and error["status"] == 429
    requests = work.seen("POST")
    assert len(requests) == 4 and len({r["headers"]["Idempotency-Key"] for r in requests}) == 1
    assert work.record["failures"] == 0  # of the step that it ended in
    work = world.job("ticket", inputs={}).script("POST", SEND, again, again, again)
    work.run()
    assert len(work.seen("POST")) == 4


# --- asking for the result ---

def test_it_asks_until_there_is_a_result(world):
    work = world.job("ticket", inputs={})
    work.script("GET", POLL, *seen_states("RUNNING", "QUEUED", "SOMETHING_NEW", "RUNNING"),
                answer(200, {"status": "COMPLETED", "outputs": {"total": 12.5}, "errorMessage": None}))
    result = work.run()
    assert set(result) == {"correlationId", "invocationId", "status", "outputs", "errorMessage", "durationMs"}
    assert result["status"] == "COMPLETED" and result["outputs"] == {"total": 12.5}
    assert result["errorMessage"] is None and result["durationMs"] >= 200
    assert len(work.seen("POST")) == 1
    polls = [r["at"] for r in work.seen("GET")]
    assert len(polls) == 5 and all(b - a >= 0.045 for a, b in zip(polls, polls[1:]))
    assert work.record["attempt"] == 1
    assert [e["event"] for e in work.audit()] == ["job.queued", "job.running", "job.polling", "job.succeeded"]


@pytest.mark.parametrize("state, words", [("FAILED", "the invocation failed: no agent"),
                                          ("CANCELLED", "the invocation was cancelled by the far side: no agent")])
def test_an_invocation_that_failed_fails_the_job(world, state, words):
    work = world.job("ticket", inputs={})
    work.script("GET", POLL, answer(200, {"status": state, "errorMessage": "no agent", "outputs": {"code": 7}}))
    error = work.fail()
    assert error["message"] == words and error["status"] == state and error["outputs"] == {"code": 7}
    assert error["errorMessage"] == "no agent" and error["invocationId"] == work.record["remote_id"]
    assert len(work.seen("POST")) == len(work.seen("GET")) == 1


def test_it_asks_for_so_long_and_no_longer(world):
    work = world.job("short", inputs={}).always("GET", POLL, answer(200, {"status": "RUNNING"}))
    error = work.fail()
    assert 'still "RUNNING"' in error["message"] and "poll.timeout" in error["message"]
    assert error["invocationId"] == work.record["remote_id"]
    assert len(work.seen("POST")) == 1 and len(work.seen("GET")) > 2
    assert work.seen("GET")[-1]["at"] - work.seen("POST")[0]["at"] >= 0.3  # the last question is not before the end


def test_questions_survive_what_any_request_meets(world):
    """One job each, at the same time; none is invoked twice."""
    faults = {
        "401": answer(401), "429": answer(429, headers={"Retry-After": "0"}), "500": answer(500), "503": answer(503),
        "reset": farside.reset, "404": answer(404, {"message": "not yet"}), "no json": answer(200, text="<html>"),
        "no status": answer(200, {"ok": True}), "array": answer(200, text="[]"), "empty": answer(204, text=""),
        "half": farside.begin(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", b'{"status"', "reset"),
    }
    works = {name: world.job("ticket", inputs={"name": name}).script("GET", POLL, fault).queue()
             for name, fault in faults.items()}
    for name, work in works.items():
        assert work.done()["result"]["outputs"] == {"echo": {"name": name}}, name
        assert len(work.seen("POST")) == 1 and len(work.seen("GET")) >= 2, name


def test_a_question_that_is_refused_for_good(world):
    work = world.job("ticket", inputs={}).script("GET", POLL, answer(403, {"error": "not yours"}))
    error = work.fail()
    assert error["message"] == "the action was invoked, and its result cannot be asked for: HTTP 403: not yours"
    assert error["invocationId"] == work.record["remote_id"] and len(work.seen("POST")) == 1


def test_a_send_that_broke_off_says_that_it_may_have_arrived(world):
    # Always: a request on a kept connection that breaks off is repeated at once over another.
    error = world.job("once", inputs={}).always("POST", SEND, farside.reset).fail()
    assert "the action was not invoked" in error["message"] and "may have arrived" in error["message"]


def test_a_send_that_broke_off_is_repeated_with_the_same_key(world):
    async def lost(request):
        """It happens, and its answer does not arrive."""
        key = request.headers["Idempotency-Key"]
        world.far.effects[key] = world.far.effects.get(key, 0) + 1
        world.far.answers[key] = world.far._invoke({"inputs": {"a": 1}})
        request.transport.abort()
        return answer(500)(request)

    work = world.job("ticket", inputs={"a": 1}).script("POST", SEND, lost)
    assert work.run()["outputs"] == {"echo": {"a": 1}}
    requests = work.seen("POST")
    assert len(requests) == 2 and len({r["headers"]["Idempotency-Key"] for r in requests}) == 1
    assert len({r["body"] for r in requests}) == 1
    assert world.far.effects[requests[0]["headers"]["Idempotency-Key"]] == 1
