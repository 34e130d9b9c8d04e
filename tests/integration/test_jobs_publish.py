# SPDX-License-Identifier: Apache-2.0
"""Jobs of kind "publish": a version goes to sandbox or production, or everything is as before."""
import hashlib
import uuid

import pytest

from support import daemon as daemons
from support import farside, jobworld
from support.farside import answer

VERSION = "/versions/"
# As in the tutorial.
CODE = """
exports.handler = function(event) {
const data = event.data || {};
return {
transformed: data.value * 2,
timestamp: new Date().toISOString()
};
};
"""
MATRIX = {"lodash": "4.17.21", "axios": "1.6.2"}
MIB = 1 << 20


@pytest.fixture(scope="module")
def world(build, shared_database, shared_far):
    common = {"kind": "publish", "api": "cxone", "action_id": farside.ACTION_ID,
              "allowed_versions": {"lodash": "^4.17.21", "axios": "^1.6.0"}, "blocked_packages": ["debug", "devtools"]}
    section = farside.jobs(shared_far, actions={
        "release": common,
        "once": {**common, "retry": {"max": 0}},
        "impatient": {**common, "retry": {"give_up_after": "1s"}},
        "sandboxed": {**common, "environments": ["sandbox"]},
        "moved": {**common, "paths": {"version": "/v9/{actionId}/{versionId}/state"}},
        "lost": {**common, "api": "lost", "retry": {"max": 0}},
    }, apis={"lost": {"base_url": shared_far.url("/lost"), "auth": "cxone", "breaker": {"failures": 1000}}})
    with jobworld.running(build, shared_database, shared_far, section) as running:
        yield running


def release(world, action="release", version=None, environment="production", code=CODE, **more):
    return world.job(action, version_id=version or f"v-{uuid.uuid4()}", environment=environment, code=code, **more)


def checksum(code):
    return hashlib.sha256(code.encode()).hexdigest()


def path(work, prefix=""):
    return f"{prefix}/api/v2/studio/data-actions/{farside.ACTION_ID}/versions/{work.params['version_id']}"


def before(work, **state):
    """What the far side has of the version so far."""
    work.world.far.versions[path(work)] = state
    return work


def methods(work):
    return [r["method"] for r in work.seen()]


# --- publishing ---

def test_the_tutorials_own_sample_is_published(world):
    work = release(world, version="v2.1.0-prod", dependencies=MATRIX)
    result = work.run()
    assert methods(work) == ["GET", "PATCH"]
    read, request = work.seen()
    assert read["path"] == request["path"] == path(work)
    assert request["json"] == {"published": True, "environment": "production", "checksum": checksum(CODE)}
    assert "Idempotency-Key" not in read["headers"] and read["body"] == b""
    assert request["headers"]["Idempotency-Key"] == work.record["idempotency_key"]
    assert request["headers"]["Content-Type"] == request["headers"]["Accept"] == "application/json"
    assert result["published"] is True and result["status"] == "published" and result["checksum"] == checksum(CODE)
    assert result["previous"] == {"published": False, "environment": "sandbox"}
    [ended] = work.audit("job.succeeded")
    assert (ended["version"], ended["environment"], ended["checksum"]) == ("v2.1.0-prod", "production", checksum(CODE))


def test_the_version_is_percent_encoded(world):
    work = release(world, version="1/2 ü?#%", environment="sandbox")
    work.run()
    assert {r["path"].rsplit("/", 1)[1] for r in work.seen()} == {"1%2F2%20%C3%BC%3F%23%25"}
    work = release(world, "moved", version="a/b")
    work.script("GET", "/state$", answer(200, {"published": True})).script("PATCH", "/state$", answer(200, {"published": True}))
    work.run()
    assert {r["path"] for r in work.seen()} == {f"/v9/{farside.ACTION_ID}/a%2Fb/state"}


@pytest.mark.parametrize("told", [{"status": "published"}, {"published": True}, {"published": True, "status": "live"}])
def test_it_is_done_when_the_answer_says_published(world, told):
    work = release(world).script("PATCH", VERSION, answer(200, told))
    work.run()
    assert methods(work) == ["GET", "PATCH"]


# --- checks before sending ---

@pytest.mark.parametrize("package, version, words", [
    ("axios", "1.5.9", "not in ^1.6.0"), ("axios", "2.0.0", "not in ^1.6.0"), ("axios", "1.6.0-beta.1", "not in ^1.6.0"),
    ("lodash", "4.17.20", "not in ^4.17.21"), ("axios", "latest", "latest"), ("left-pad", "1.2", "1.2"),
    ("debug", "4.3.4", "blocks this package"), ("axios", 1, "as a string"),
])
def test_dependencies_are_in_the_allowed_ranges(world, package, version, words):
    params = {**release(world).params, "dependencies": {package: version}}
    faults = world.refused("release", params)
    assert list(faults) == [f"/dependencies/{package}"] and words in faults[f"/dependencies/{package}"]


@pytest.mark.parametrize("version", ["1.6.0", "1.6.2", "1.10.0", "1.6.2+build.7"])
def test_dependencies_compare_as_versions_and_not_as_text(world, version):
    release(world, dependencies={"axios": version, "unnamed": "0.0.1-rc.1"}).run()


def test_all_faults_are_told_at_once(world):
    faults = world.refused("sandboxed", {
        "version_id": "", "environment": "production", "code": CODE, "checksum": "00", "source": "typescript",
        "on_conflict": "hope", "dependencies": {"debug": "1.0.0", "axios": "0.1.0", "lodash": "4.17.21"}})
    assert set(faults) == {"/version_id", "/environment", "/checksum", "/source", "/on_conflict", "/dependencies/debug",
                           "/dependencies/axios"}
    assert "sandbox" in faults["/environment"]


@pytest.mark.parametrize("change, pointer, words", [
    ({"version_id": None}, "/version_id", "missing"), ({"version_id": ".."}, "/version_id", "names no version"),
    ({"environment": None}, "/environment", "missing"), ({"environment": "staging"}, "/environment", "production"),
    ({"code": None}, "/code", "missing"), ({"code": ""}, "/code", "empty"), ({"code": 7}, "/code", "string"),
    ({"code": "x" * (MIB + 1)}, "/code", str(MIB)), ({"code": "é" * (MIB // 2) + "x"}, "/code", str(MIB)),
    ({"checksum": "0" * 64}, "/checksum", checksum(CODE)), ({"checksum": "abc"}, "/checksum", "SHA-256"),
    ({"dependencies": ["axios"]}, "/dependencies", "object"), ({"versionId": "v1"}, "/versionId", "version_id"),
])
def test_faulty_parameters_are_refused(world, change, pointer, words):
    params = {name: value for name, value in {**release(world).params, **change}.items() if value is not None}
    faults = world.refused("release", params)
    assert list(faults) == [pointer] and words in faults[pointer]


def test_a_given_checksum_is_compared(world):
    release(world, checksum=checksum(CODE)).run()
    work = release(world, checksum=checksum(CODE).upper())
    work.run()
    assert work.seen("PATCH")[0]["json"]["checksum"] == checksum(CODE)


def test_code_may_have_one_mebibyte(world):
    code = "/* " + "é" * ((MIB - 6) // 2) + " */"
    assert len(code.encode()) == MIB
    work = release(world, code=code)
    work.run()
    assert work.seen("PATCH")[0]["json"]["checksum"] == checksum(code)


@pytest.mark.parametrize("code, source, line, words", [
    ("let a = 1;\nlet b = ;\n", "script", 2, "Unexpected token"), ("\n\n\nfoo(", None, None, "nexpected"),
    ("export const a = 1;", "script", 1, "export"), ("import x from 'y';\n", None, 1, "import"),
    ("a = 1;\nwith (a) { b }", "module", 2, "with"),
])
def test_faulty_code_is_told_with_its_line(world, code, source, line, words):
    work = release(world, code=code, **({"source": source} if source else {}))
    error = work.fail()
    assert work.seen() == [] and "nothing was sent" in error["message"] and words in error["message"]
    assert error["line"] >= 1 and f"the code, line {error['line']}: " in error["message"]
    assert line is None or error["line"] == line
    assert error["checksum"] == checksum(code) and error["version"] == work.params["version_id"]


def test_a_module_may_export(world):
    release(world, code="import x from 'y';\nexport const run = async () => await x();\nawait run();\n", source="module").run()


def test_code_that_is_too_deep_is_refused(world):
    work = release(world, code="[" * 500000)
    assert "the code" in work.fail()["message"] and work.seen() == []


# --- the state before ---

@pytest.mark.parametrize("told, words", [
    (answer(404, {"message": "no such version"}), "HTTP 404: no such version"), (answer(403), "HTTP 403"),
    (answer(200, {"version": "v1"}), "does not tell whether it is published"), (answer(200, text="<html>"), "does not tell"),
    (answer(204, text=""), "does not tell"),
])
def test_a_state_that_cannot_be_read_ends_it(world, told, words):
    work = release(world).script("GET", VERSION, told)
    error = work.fail()
    assert methods(work) == ["GET"] and words in error["message"] and "nothing was sent" in error["message"]


def test_reading_the_state_is_tried_again(world):
    work = release(world).script("GET", VERSION, answer(503), answer(429, headers={"Retry-After": "0"}))
    work.run()
    assert methods(work) == ["GET", "GET", "GET", "PATCH"]


HELPER = """#!/bin/sh
echo >>{0}
[ "$(wc -l <{0})" -gt {1} ] || exit 1
exec {2}/cxsink-jscheck "$@"
"""


@pytest.mark.parametrize("deaths", [2, 99])
def test_a_helper_that_dies_says_nothing_of_the_code(make_daemon, build, workdir, database, far, deaths):
    """The code is checked again; the job fails only when that goes on."""
    helper = workdir / "jscheck"
    helper.write_text(HELPER.format(workdir / "runs", deaths, build))
    helper.chmod(0o755)
    action = {"kind": "publish", "api": "cxone", "action_id": farside.ACTION_ID, "retry": {"max": 2}}
    make_daemon(daemons.config(database.dsn, far, jobs=farside.jobs(far, actions={"release": action})),
                environment={"CXSINK_JSCHECK": str(helper)}).start().wait_ready()
    farside.enqueue(database, "release", {"version_id": "v", "environment": "sandbox", "code": CODE}, id="j")
    farside.wait_job(database, "j", "succeeded" if deaths == 2 else "failed")
    assert len((workdir / "runs").read_text()) == 3
    if deaths == 99:
        assert farside.job(database, "j")["error"]["message"].endswith("; nothing was sent") and not far.requests


# --- restoring ---

FAILURES = {
    "422": answer(422, {"message": "checksum differs"}), "400": answer(400), "403": answer(403),
    "not published": answer(200, {"published": False, "status": "draft"}), "no json": answer(200, text="<html>"),
    "204": answer(204, text=""), "500": answer(500), "broken": farside.broken,
    "429": answer(429, headers={"Retry-After": "0"}),
}


@pytest.mark.parametrize("state", [
    {"published": True, "environment": "sandbox", "checksum": "c" * 64}, {"published": False, "environment": "sandbox"},
    {"published": False}, {"status": "published"}, {"status": "draft"}],
    ids=["published", "not published", "bare", "status published", "status draft"])
def test_a_failure_after_sending_restores_the_state_before(world, state):
    works = {}
    for name, failure in FAILURES.items():
        work = works[name] = before(release(world, "once"), **state)
        work.script("PATCH", VERSION, failure).queue()
    for name, work in works.items():
        error = work.done("failed")["error"]
        assert "not published: " in error["message"] and "the state before was restored" in error["message"], name
        assert error["restored"] is True and error["cause"]["message"].startswith("not published: "), name
        sent, restored = work.seen("PATCH")[0], work.seen("PATCH")[-1]
        published = state.get("published", state.get("status") == "published")
        kept = {name: state[name] for name in ("environment", "checksum") if name in state}
        assert restored["json"] == {"published": published, **kept} == error["previous"], name
        # To the far side it is another request, and it happens.
        assert restored["headers"]["Idempotency-Key"] != sent["headers"]["Idempotency-Key"], name
        assert world.far.effects[restored["headers"]["Idempotency-Key"]] == 1
        assert world.far.versions[path(work)]["published"] == published
        assert world.far.versions[path(work)]["status"] == ("published" if published else "draft")
        assert methods(work)[:2] == ["GET", "PATCH"] and methods(work)[-1] == "PATCH"


def test_the_far_side_published_before_it_failed(world):
    """What was done, though the answer says otherwise, is undone."""
    def late(request):
        world.far.versions[request.path].update(published=True, status="published")
        return answer(500)(request)

    work = before(release(world, "once"), published=False, status="draft").script("PATCH", VERSION, late)
    work.fail()
    assert world.far.versions[path(work)]["published"] is False


def test_a_conflict_rolls_nothing_back(world):
    work = before(release(world), published=True).script("PATCH", VERSION, answer(409, {"message": "locked by ci-7"}))
    error = work.fail()
    assert methods(work) == ["GET", "PATCH"] and error["message"] == "not published: HTTP 409: locked by ci-7"
    assert "restored" not in error and error["answer"] == {"message": "locked by ci-7"}


def test_a_failure_before_sending_rolls_nothing_back(world):
    """The far side goes away between the reading and the PATCH."""
    work = release(world, "lost")
    gone = farside.FarSide()
    with gone:
        world.daemon.config["jobs"]["apis"]["lost"]["base_url"] = gone.url("")
        world.reload()
        gone.check_tokens = False
        gate = farside.Gate(answer(200, {"published": True}, {"Connection": "close"}))
        gone.script("GET", VERSION, gate)
        work.queue()
        gate.wait_held(1)
        gone._loop.call_soon_threadsafe(gone._server.close)
        farside.wait.until(lambda: not gone._server.is_serving(), 30, "it listens no more")
        gate.open()
        error = work.done("failed")["error"]
        assert error["message"].startswith("not published: ") and "restored" not in error
        assert [r["method"] for r in gone.requests] == ["GET"]
        assert [(a["step"], a.get("status")) for a in work.record["attempts"]] == [("read", 200), ("publish", None)]


def test_restoring_is_tried_again_and_audited(world):
    work = before(release(world), published=True)
    work.script("PATCH", VERSION, answer(422), answer(500), answer(401))
    error = work.fail()
    assert error["restored"] is True and methods(work) == ["GET", "PATCH", "PATCH", "PATCH", "PATCH"]
    keys = [r["headers"]["Idempotency-Key"] for r in work.seen("PATCH")]
    assert keys[0] != keys[1] and len(set(keys[1:])) == 1
    assert len({r["body"] for r in work.seen("PATCH")[1:]}) == 1
    events = [e["event"] for e in work.audit()]
    assert "job.restoring" in events and events[-1] == "job.failed"
    assert "restored" in work.audit("job.failed")[0]["detail"]


def test_a_job_that_is_given_up_is_restored_all_the_same(world):
    """Its age ends the tries to publish, and not those to restore."""
    restores = iter([answer(500), answer(500)])

    def never_published(request):
        """Whether the age ends the tries at once or later, depends on how busy the machine is."""
        body = [r["json"] for r in work.seen("PATCH")][-1]
        return answer(500)(request) if "checksum" in body else next(restores, lambda _request: None)(request)

    work = before(release(world, "impatient"), published=True).always("PATCH", VERSION, never_published)
    error = work.fail()
    assert error["restored"] is True
    assert [r["json"] for r in work.seen("PATCH")][-3:] == [{"published": True}] * 3


def test_a_restore_that_fails_is_told_loudly(world):
    work = before(release(world, "once"), published=True)
    work.script("PATCH", VERSION, answer(422, {"message": "first"}), answer(403, {"message": "second"}))
    error = work.fail()
    assert error["restored"] is False and error["previous"] == {"published": True}
    assert "HTTP 422: first" in error["message"] and "HTTP 403: second" in error["message"]
    assert "by hand" in error["message"] and error["cause"]["status"] == 422
    assert "by hand" in work.audit("job.failed")[0]["detail"]


def test_cancelling_after_the_patch_restores(world):
    gate = farside.Gate()
    work = before(release(world), published=False).script("PATCH", VERSION, gate).queue()
    gate.wait_held(1)
    assert world.database.value("select cxsink.cancel_job(%s)", (work.id,)) == "requested"
    farside.wait.until(lambda: work.record["cancel_requested"], 10, "it is asked for")
    gate.open()
    error = work.done("cancelled")["error"]
    assert error["restored"] is True and work.seen("PATCH")[-1]["json"] == {"published": False}
    assert world.far.versions[path(work)]["published"] is False


# --- two publishers ---

def test_the_second_publisher_of_a_version_waits(world):
    gate = farside.Gate()
    first = release(world).script("PATCH", VERSION, gate).queue()
    gate.wait_held(1)
    version = first.params["version_id"]
    second = release(world, version=version).queue()
    third = release(world, version=version, on_conflict="fail").queue()
    other = release(world).queue()
    error = third.done("failed")["error"]
    assert "conflict" in error["message"] and first.id in error["message"] and "nothing was sent" in error["message"]
    other.done()
    assert second.record["finished_at"] is None and third.seen() == second.seen() == []
    gate.open()
    first.done()
    made = second.done()
    assert made["attempt"] <= 1 and made["failures"] == 0  # waiting is no attempt
    assert second.seen()[0]["at"] > first.seen()[-1]["at"]
    assert world.database.value("select count(*) from cxsink.job_locks") == 0
