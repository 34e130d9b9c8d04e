# SPDX-License-Identifier: Apache-2.0
"""What holds jobs back and costs them nothing: tokens, 429, breakers, rates; and what gives them up."""
import email.utils
import time

import pytest

from support import farside, jobworld, wait
from support.farside import answer

SEND = "/invocations$"
DOWN = 10000  # answers


@pytest.fixture(scope="module")
def world(build, shared_database, shared_far):
    apis = {
        "cxone": {}, "other": {}, "refreshed": {}, "refused": {}, "tokenless": {}, "misconfigured": {}, "revoked": {},
        "seconds": {}, "date": {}, "growing": {},
        "counting": {"breaker": {"failures": 3, "reset": "500ms"}}, "half": {"breaker": {"failures": 3, "reset": "200ms"}},
        "outage": {"breaker": {"failures": 3, "reset": "100ms"}}, "mixed": {"breaker": {"failures": 3, "reset": "100ms"}},
        "limited": {"rate_limit": "10/s"},
    }
    auths = {}
    for name in ("refreshed", "refused", "tokenless", "misconfigured", "revoked"):
        auths[name] = {"grant": "client_credentials", "token_url": shared_far.url(f"/oauth/{name}/token"), "client_id": "id",
                       "client_secret": "secret", "scope": "data-actions:read"}
    for name, api in apis.items():
        api.setdefault("breaker", {"failures": 1000, "reset": "200ms"})
        api.update(base_url=shared_far.url("/" + name), auth=name if name in auths else "cxone", max_connections=8)
    actions = {name: {"kind": "invoke", "api": name, "action_id": farside.ACTION_ID, "poll": {"interval": "20ms"}}
               for name in apis}
    actions["counting"]["retry"] = {"max": 0}
    actions["outage"]["retry"] = {"max": 1}
    actions["poison"] = {**actions["mixed"], "retry": {"max": 20}}
    actions["aged"] = {**actions["other"], "retry": {"max": 20, "give_up_after": "1s"}}
    section = farside.jobs(shared_far, apis=apis, actions=actions)
    with jobworld.running(build, shared_database, shared_far, section, auth=auths) as running:
        yield running


def jobs(world, action, count):
    return [world.job(action, inputs={"n": n}) for n in range(count)]


def costs_nothing_but_requests(work):
    """An attempt is a request that was sent."""
    record = work.record
    assert record["attempt"] == len([a for a in record["attempts"] if a["step"] == "send"]) == len(work.seen("POST"))


def breaker(world, api):
    return world.daemon.metrics().get(f'cxsink_breaker_state{{api="{api}"}}')


def tokens(world, name):
    return [r for r in world.far.token_requests if r["path"] == f"/oauth/{name}/token"]


# --- tokens ---

def test_one_token_request_for_all_jobs_that_met_401(world):
    world.job("refreshed", inputs={}).run()
    [first] = tokens(world, "refreshed")
    gate = farside.Gate(answer(401))
    works = [work.script("POST", SEND, gate).queue() for work in jobs(world, "refreshed", 8)]
    gate.wait_held(8)
    used = {work.seen("POST")[0]["headers"]["Authorization"] for work in works}
    assert len(used) == 1
    gate.open()
    for work in works:
        record = work.done()
        assert (record["attempt"], record["failures"]) == (1, 0)
        refused, repeated = work.seen("POST")
        assert refused["headers"]["Idempotency-Key"] == repeated["headers"]["Idempotency-Key"]
        assert refused["headers"]["Authorization"] in used and repeated["headers"]["Authorization"] not in used
    assert len(tokens(world, "refreshed")) == 2


def test_401_again_is_final(world):
    work = world.job("refused", inputs={}).always("POST", SEND, answer(401))
    error = work.fail()
    assert "401: the API refuses the token" in error["message"] and error["status"] == 401
    assert len(work.seen("POST")) == 2 and len(tokens(world, "refused")) == 2


def down_and_up(world, name, fault):
    """Jobs without a token: they wait, others go on, and none has lost anything by it."""
    path = f"/oauth/{name}/token"
    world.far.path_answers[path] = [fault] * DOWN
    works = [work.queue() for work in jobs(world, name, 12)]
    wait.until(lambda: len(tokens(world, name)) >= 2, 30, "the token is asked for again")
    for work in jobs(world, "other", 3):
        work.run()
    assert not any(work.record["finished_at"] for work in works)
    asked = len(tokens(world, name))
    world.far.path_answers[path].clear()
    for work in works:
        record = work.done(seconds=60)
        assert (record["attempt"], record["failures"], len(work.seen("POST"))) == (1, 0, 1)
    assert len(tokens(world, name)) == asked + 1


def test_a_token_endpoint_that_is_down_fails_no_job(world):
    down_and_up(world, "tokenless", answer(503))


def test_refused_credentials_fail_no_job(world):
    down_and_up(world, "misconfigured", answer(401, {"error": "invalid_client"}, {"Retry-After": "1"}))


def test_jobs_without_a_token_leave_their_places_to_others(world):
    """They were at work when the API refused the token, and there is no other."""
    world.job("revoked", inputs={}).run()
    gate = farside.Gate(answer(401))
    world.far.script("POST", "^/revoked/", *[gate] * 8)
    works = [work.queue() for work in jobs(world, "revoked", 20)]
    gate.wait_held(8)  # all places
    path = "/oauth/revoked/token"
    world.far.path_answers[path] = [answer(503)] * DOWN
    world.far.refused.update(r["headers"]["Authorization"].removeprefix("Bearer ") for r in world.far.seen("POST", "^/revoked/"))
    gate.open()
    for work in jobs(world, "other", 3):
        work.run()
    assert not any(work.record["finished_at"] for work in works)
    world.far.path_answers[path].clear()
    for work in works:
        record = work.done(seconds=60)
        assert record["failures"] == 0 and world.far.effects[record["idempotency_key"]] == 1


# --- 429 ---

@pytest.mark.parametrize("api, header, least", [
    ("seconds", lambda: "2", 2), ("date", lambda: email.utils.formatdate(time.time() + 3, usegmt=True), 1.9)])
def test_429_holds_the_api_and_not_the_job_alone(world, api, header, least):
    work = world.job(api, inputs={}).script("POST", SEND, lambda _: answer(429, headers={"Retry-After": header()})(_)).queue()
    refused = work.wait_seen(1)[0]
    wait.until(lambda: work.record["failures"] == 1, 10, "the refusal is stored")
    rest = [w.queue() for w in jobs(world, api, 5)]
    held = next(a for a in world.daemon.status()["jobs"]["apis"] if a["name"] == api)
    assert held["held_for_seconds"] > 0
    world.job("other", inputs={}).run()
    assert len(world.far.seen(path=f"^/{api}/")) == 1, "the other API's job had to wait"
    for w in [work, *rest]:
        w.done()
    assert world.far.seen(path=f"^/{api}/")[1]["at"] - refused["at"] >= least
    assert (work.record["attempt"], [w.record["attempt"] for w in rest]) == (2, [1] * 5)
    assert "api.held" in [e["event"] for e in world.daemon.audit() if e.get("api") == api]


def test_429_without_retry_after_waits_longer_each_time(world):
    """2^n seconds and up to a half."""
    work = world.job("growing", inputs={}).always("POST", SEND, answer(429))
    work.fail()
    at = [r["at"] for r in work.seen("POST")]
    assert len(at) == 4 and all(b - a >= 2**n for n, (a, b) in enumerate(zip(at, at[1:])))


# --- the breaker ---

def test_three_failures_in_a_row_open_it(world):
    def run(status):
        work = world.job("counting", inputs={})
        work.script("POST", SEND, answer(status)).fail()

    for status in (500, 503, 404, 500, 502, 400, 403, 409, 500, 500):  # others end a row
        run(status)
    for _ in range(4):
        world.refused("counting", {"inputs": [1]})
    assert breaker(world, "counting") == 0
    # From here on the API has failed, and not the job, though its action allows it no retry.
    work = world.job("counting", inputs={}).script("POST", SEND, answer(500)).queue()
    wait.until(lambda: breaker(world, "counting") == 2, 10, "it is open")
    [told] = [e for e in world.daemon.audit() if e["event"] == "breaker.open" and e["api"] == "counting"]
    assert told["detail"] == "HTTP 500"
    other = world.job("counting", inputs={})
    other.run()
    work.done()
    for w in (work, other):
        assert w.seen("POST")[-1]["at"] - work.seen("POST")[0]["at"] >= 0.5
        costs_nothing_but_requests(w)
    assert breaker(world, "counting") == 0
    assert [e["event"] for e in world.daemon.audit() if e.get("api") == "counting"] == ["breaker.open", "breaker.closed"]


def test_half_open_lets_one_request_through_whoever_waits(world):
    gate = farside.Gate()
    answers = {"now": answer(503)}
    world.far.always("POST", "^/half/", lambda request: answers["now"](request))
    works = [work.queue() for work in jobs(world, "half", 50)]
    wait.until(lambda: breaker(world, "half") == 2, 30, "it is open")
    answers["now"] = gate
    gate.wait_held(1)
    sent = len(world.far.seen(path="^/half/"))
    assert breaker(world, "half") == 1
    end = time.monotonic() + 1.5  # several reset times
    wait.until(lambda: time.monotonic() > end or gate.held != 1)
    assert gate.most == gate.held == 1 and len(world.far.seen(path="^/half/")) == sent
    answers["now"] = farside.usual
    gate.open()
    for work in works:
        work.done()
        costs_nothing_but_requests(work)
    assert breaker(world, "half") == 0


def test_an_outage_longer_than_the_retries_fails_no_job(world):
    """The breaker's jobs wait for the API, however often it is found still down."""
    answers = {"now": answer(503)}
    world.far.always("POST", "^/outage/", lambda request: answers["now"](request))
    works = [work.queue() for work in jobs(world, "outage", 40)]
    wait.until(lambda: len(world.far.seen(path="^/outage/")) >= 25, 60, "it was probed many times")
    assert {work.record["state"] for work in works} <= {"queued", "running"}
    answers["now"] = farside.reset
    wait.until(lambda: len(world.far.seen(path="^/outage/")) >= 35, 60, "it was probed many times more")
    answers["now"] = farside.usual
    for work in works:
        work.done(seconds=60)
        assert len({r["headers"]["Idempotency-Key"] for r in work.seen("POST")}) == 1
        assert world.far.effects[work.record["idempotency_key"]] == 1


# --- failures of a job ---

def test_a_job_that_always_fails_starves_nobody(world):
    poison = world.job("poison", inputs={}).always("POST", SEND, answer(500)).queue(priority=100)
    for work in [w.queue() for w in jobs(world, "mixed", 60)]:
        assert work.done()["attempt"] == 1
    poison.wait_seen(2)
    assert poison.record["finished_at"] is None
    world.database.query("select cxsink.cancel_job(%s)", (poison.id,))
    poison.done("cancelled")


def test_a_job_is_given_up_by_its_age(world):
    work = world.job("aged", inputs={}).always("POST", SEND, answer(503))
    error = work.fail()
    assert "HTTP 503" in error["message"] and error["status"] == 503
    at = [r["at"] for r in work.seen("POST")]
    assert 2 <= len(at) < 5 and at[-1] - at[0] >= 1


# --- rates ---

def test_a_rate_is_kept(world):
    """A period's requests at once, then at an even pace."""
    works = [work.queue() for work in jobs(world, "limited", 15)]
    for work in works:
        work.done()
        costs_nothing_but_requests(work)
    at = sorted(r["at"] for r in world.far.seen(path="^/limited/"))
    assert len(at) == 30 and at[-1] - at[0] >= (30 - 10) * 0.1 * 0.95
