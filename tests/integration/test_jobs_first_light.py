# SPDX-License-Identifier: Apache-2.0
"""One job of each kind, from the queue to the far side and back."""
import base64
import hashlib

from support import daemon, farside, wait


def start(make_daemon, database, far, **changes):
    return make_daemon(daemon.config(database.dsn, far, jobs=farside.jobs(far, **changes))).start().wait_ready()


def test_invoke(database, far, make_daemon):
    d = start(make_daemon, database, far)
    name = farside.enqueue(database, "ticket", {"inputs": {"customerId": "c-1", "priority": 2}})
    made = farside.wait_job(database, name)
    assert made["result"]["outputs"] == {"echo": {"customerId": "c-1", "priority": 2}}
    assert made["attempt"] == 1 and made["kind"] == "invoke"
    [request] = far.seen("POST", "invocations$")
    assert request["headers"]["Idempotency-Key"] == made["idempotency_key"]
    assert request["headers"]["X-Request-Id"] == made["trace_id"]
    assert [a["status"] for a in made["attempts"]] == [201, 200]
    events = [e["event"] for e in d.audit() if e.get("job") == name]
    assert events[:2] == ["job.queued", "job.running"] and events[-1] == "job.succeeded"
    assert d.stop() == 0


def test_polling_survives_a_restart(database, far, make_daemon):
    far.polls = 10**9
    d = start(make_daemon, database, far)
    name = farside.enqueue(database, "ticket", {"inputs": {}})
    farside.wait_job(database, name, "polling")
    d.kill()
    for entry in far.invocations.values():
        entry["polls"] = 0
    d.start().wait_ready()
    farside.wait_job(database, name)
    assert len(far.seen("POST", "invocations$")) == 1


def test_execute(database, far, make_daemon, workdir):
    data = b"%PDF-1.7\n" + bytes(range(256)) * 4096
    path = workdir / "scan.pdf"
    path.write_bytes(data)
    path.chmod(0o644)
    start(make_daemon, database, far)
    name = farside.enqueue(database, "scan", {"file": str(path), "content_type": "application/pdf",
                                              "metadata": {"page": 1}})
    made = farside.wait_job(database, name)
    [request] = far.seen("POST", "/execute$")
    sent = request["json"]["inputs"]
    assert base64.b64decode(sent["binaryPayload"]["value"]) == data
    assert sent["binaryPayload"]["contentType"] == "application/pdf"
    assert sent["metadata"] == {"page": 1}
    assert made["remote_id"] == made["result"]["executionId"]


def test_publish(database, far, make_daemon):
    code = "export const run = async (x) => x?.y ?? 1;\n"
    start(make_daemon, database, far)
    name = farside.enqueue(database, "release", {"version_id": "v 1/2", "environment": "sandbox", "code": code,
                                                 "source": "module", "dependencies": {"axios": "1.6.2"}})
    farside.wait_job(database, name)
    [request] = far.seen("PATCH")
    assert request["path"].endswith("/versions/v%201%2F2")
    assert request["json"] == {"published": True, "environment": "sandbox",
                               "checksum": hashlib.sha256(code.encode()).hexdigest()}


def test_configure(database, far, make_daemon):
    start(make_daemon, database, far)
    name = farside.enqueue(database, "timeouts", {"timeout_ms": 15000})
    farside.wait_job(database, name)
    assert [r["method"] for r in far.seen()] == ["GET", "PUT", "GET"]
    assert far.configured["crm"]["configuration"]["requestTimeout"] == 15000


def test_jobs_without_streams(database, far, make_daemon):
    settings = daemon.config(database.dsn, far, jobs=farside.jobs(far))
    del settings["streams"], settings["tables"]
    d = make_daemon(settings).start().wait_ready()
    name = farside.enqueue(database, "ticket", {"inputs": {}})
    farside.wait_job(database, name)
    assert d.status()["streams"] == []
    wait.until(lambda: d.status()["jobs"]["states"]["succeeded"] == 1, 20, "the counts are looked at")
    assert d.metrics()['cxsink_jobs_finished_total{action="ticket",state="succeeded"}'] == 1
    assert d.stop() == 0


def test_status_shows_jobs_and_breakers(database, far, make_daemon, cxsink):
    d = start(make_daemon, database, far,
              apis={"cxone": {"breaker": {"failures": 1, "reset": "60s"}}})
    far.script("POST", "invocations$", farside.answer(503))
    farside.enqueue(database, "ticket", {"inputs": {}})
    wait.until(lambda: "breaker.open" in d.audit_events(), 20,
               "the breaker is open")
    wait.until(lambda: d.status()["jobs"]["states"]["queued"] == 1, 20, "the counts are looked at")
    text = cxsink("status", "-c", d.path).stdout
    assert "1 queued, 0 running" in text
    assert "cxone: breaker open for " in text
    assert d.metrics()['cxsink_breaker_state{api="cxone"}'] == 2
