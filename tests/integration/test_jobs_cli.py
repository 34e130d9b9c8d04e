# SPDX-License-Identifier: Apache-2.0
"""cxsink jobs: submit, list, show, cancel and retry, against a real PostgreSQL and a far side."""
import base64
import json
import os
import pathlib
import pty
import re
import select
import signal
import subprocess
import time
import uuid

import psycopg2
import pytest

from support import commands, daemon, farside, wait

PDF = b"%PDF-1.7\n" + bytes(range(256)) * 16


class Jobs(commands.Commands):
    def __init__(self, build, home, database, far, **changes):
        self.database = database
        super().__init__(build, home, daemon.config(database.dsn if database else "host=127.0.0.1 port=9", far,
                                                    jobs=farside.jobs(far, **changes)))
        self.audit_file = pathlib.Path(self.config["state_dir"]) / "audit.jsonl"
        self.audit_file.parent.mkdir(exist_ok=True)

    def jobs(self, *args, **options):
        return self.run("jobs", *args, **options)

    def submit(self, *args, **options):
        """The ids that it prints."""
        return self.jobs("submit", *args, **options).stdout.split()

    def put(self, name, what):
        path = self.home / name
        path.write_text(what if isinstance(what, str) else json.dumps(what))
        return path

    def json(self, *args, **options):
        return [json.loads(line) for line in self.jobs(*args, "--json", **options).stdout.splitlines()]

    def job(self, name):
        return farside.job(self.database, name)

    def count(self):
        return self.database.value("select count(*) from cxsink.jobs")


@pytest.fixture
def offline(build, workdir, far):
    """Commands of a configuration whose database is not there."""
    return Jobs(build, workdir, None, far)


@pytest.fixture
def queue(build, workdir, database, far):
    """Commands with a database, and no daemon."""
    made = Jobs(build, workdir, database, far)
    made.run("migrate")
    return made


@pytest.fixture
def live(queue, make_daemon):
    """With a daemon that works on the queue."""
    settings = json.loads(json.dumps(queue.config))
    settings["state_dir"] = str(queue.home / "d-state")
    settings["runtime_dir"] = str(queue.home / "d-run")
    queue.daemon = make_daemon(settings).start().wait_ready()
    return queue


def ticket(**more):
    return {"action": "ticket", "inputs": {"customerId": "c-1"}, **more}


# --- usage ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("args, says", [
    ((), "submit, list, show"), (("dance",), 'no such thing as "dance"'), (("submit",), "submit what"),
    (("submit", "--wait", "--dry-run", "x"), "nothing to --wait"), (("submit", "--timeout", "5s", "x"), "with --wait"),
    (("submit", "--wait", "--timeout", "soon", "x"), "takes a duration"), (("submit", "--all", "x"), "--all does not go"),
    (("list", "id"), "takes filters"), (("list", "--state", "lost"), 'no state "lost"'), (("list", "--all"), "--all"),
    (("list", "--limit", "0"), "whole number above 0"), (("list", "--limit", "9x"), "whole number above 0"),
    (("list", "--stats", "--limit", "3"), "--stats goes"), (("list", "--schedules", "--action", "x"), "no filters"),
    (("show",), "one id"), (("show", "a", "b"), "one id"), (("show", "a", "--wait"), "--wait does not"),
    (("cancel",), "cancel what"), (("cancel", "a", "--all"), "not both"), (("retry", "a", "--limit", "1"), "not both"),
    (("retry",), "retry what"), (("list", "--colour"), "unknown option"),
])
def test_wrong_usage(offline, args, says):
    done = offline.jobs(*args, code=64)
    assert says in done.stderr and done.stdout == ""


def test_help_and_no_database(offline):
    text = offline.jobs("--help").stdout
    for word in ("submit", "list", "show", "cancel", "retry", "--dry-run", "--stats", "--schedules", "Exit codes"):
        assert word in text
    for args in (("list",), ("show", "x"), ("cancel", "x"), ("retry", "x"), ("submit", json.dumps(ticket()))):
        done = offline.jobs(*args, code=69)
        assert done.stderr.startswith("cxsink jobs") and "PostgreSQL" in done.stderr and done.stdout == ""


def test_configuration_fault_and_no_migration(offline, build, workdir, database, far):
    bare = Jobs(build, workdir / "bare", database, far)
    for args in (("list",), ("submit", json.dumps(ticket()))):
        assert "cxsink migrate" in bare.jobs(*args, code=1).stderr
    offline.path.write_text("{")
    assert offline.jobs("list", code=78).stderr != ""


# --- submit --------------------------------------------------------------------------------------

def test_submit_forms(queue):
    """One job, an array, lines, standard input, an argument: one id a line, in their order."""
    one = queue.put("one.json", ticket(id="one"))
    array = queue.put("array.json", [ticket(id="a-1"), ticket(id="a-2", priority=3)])
    lines = queue.put("lines.ndjson", "\n".join(json.dumps(ticket(id=f"l-{i}")) for i in range(3)) + "\n")
    done = queue.jobs("submit", one, array, "-", lines, json.dumps(ticket()), json.dumps([ticket(id="i")]),
                      input=json.dumps(ticket(id="stdin")))
    ids = done.stdout.splitlines()
    assert ids[:7] == ["one", "a-1", "a-2", "stdin", "l-0", "l-1", "l-2"] and ids[8] == "i" and done.stderr == ""
    uuid.UUID(ids[7])
    assert queue.count() == 9
    rows = queue.database.query("select id, source, kind, state, priority, params from cxsink.jobs where id = 'a-2'")
    assert rows == [("a-2", "submit", "invoke", "queued", 3, {"inputs": {"customerId": "c-1"}})]
    assert queue.database.value("select count(distinct created_at) from cxsink.jobs") == 1  # one transaction


def test_submit_again(queue):
    """An id that is there is said to be, printed, and left alone."""
    assert queue.submit(json.dumps(ticket(id="x"))) == ["x"]
    done = queue.jobs("submit", json.dumps([ticket(id="x", inputs={"customerId": "other"}), ticket(id="y")]))
    assert done.stdout.split() == ["x", "y"] and "x is queued already (queued)" in done.stderr and "y is" not in done.stderr
    assert queue.job("x")["params"] == {"inputs": {"customerId": "c-1"}}
    assert queue.json("submit", json.dumps([ticket(id="y"), ticket(id="z")])) == [
        {"id": "y", "queued": False, "schedule": False}, {"id": "z", "queued": True, "schedule": False}]


def test_submit_faults(queue):
    """All faults of all files at once, and nothing is queued."""
    good = queue.put("good.json", ticket(id="good"))
    bad = queue.put("bad.json", [ticket(colour=1), {"action": "tickets"}, ticket(inputs={"a": [1]})])
    broken = queue.put("broken.json", '{"action": ')
    twice = queue.put("twice.json", ticket(id="good"))
    done = queue.jobs("submit", good, bad, broken, queue.home / "none.json", twice, code=1)
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert any(line.startswith(f"{bad}: /0/colour: ") for line in lines)
    assert any(line.startswith(f"{bad}: /1/action: ") and "ticket" in line for line in lines)
    assert any(line.startswith(f"{bad}: /2/inputs/a: ") for line in lines)
    assert any(line.startswith(f"{broken}: (root): ") and "line 1" in line for line in lines)
    assert any(line.startswith(f"{queue.home}/none.json: (root): cannot be read: No such file") for line in lines)
    assert any(line.startswith(f"{twice}: ") and str(good) in line for line in lines)
    assert lines[-1] == "cxsink jobs: nothing is queued"
    assert queue.count() == 0
    faults = queue.json("submit", good, bad, code=1)
    assert [(f["file"], f["pointer"]) for f in faults] == [(str(bad), "/0/colour"), (str(bad), "/1/action"),
                                                           (str(bad), "/2/inputs/a")]
    for name, text in (("empty", ""), ("number", "7"), ("none", "[]")):
        code = 0 if name == "none" else 1
        assert queue.jobs("submit", queue.put(name, text), code=code).stdout == ""
    directory = queue.jobs("submit", queue.home, code=1)
    assert "Is a directory" in directory.stderr
    control = queue.jobs("submit", '{"action": "ticket", "\\u001b[31m": 1}', code=1)
    assert "\x1b" not in control.stderr and "(argument): " in control.stderr


def test_submit_relative_paths(queue, workdir):
    """Files of a job are found beside the job's file; of standard input, from the working directory."""
    home = queue.home / "sub"
    home.mkdir()
    (home / "scan.pdf").write_bytes(PDF)
    scan = {"action": "scan", "file": "scan.pdf", "content_type": "application/pdf"}
    inside = queue.put("sub/job.json", scan)
    [name] = queue.submit(inside)
    assert queue.job(name)["params"]["file"] == str(home.resolve() / "scan.pdf")
    [name] = queue.submit("-", input=json.dumps(scan), cwd=home)
    assert queue.job(name)["params"]["file"] == str(home.resolve() / "scan.pdf")
    assert "scan.pdf" in queue.jobs("submit", "-", input=json.dumps(scan), cwd=queue.home, code=1).stderr


def test_submit_without_an_answer(queue):
    """Whether they are queued is not known then, and it says how to find out."""
    connection = psycopg2.connect(queue.database.dsn)
    with connection.cursor() as cursor:
        cursor.execute("lock table cxsink.jobs in share mode")
        done = queue.jobs("submit", "--wait", "--timeout", "300ms", json.dumps(ticket(id="x")), code=69)
    connection.rollback()
    connection.close()
    assert done.stdout == "" and "is not known" in done.stderr and "cxsink jobs show x" in done.stderr


def test_unknown_time_zone(queue):
    done = queue.jobs("submit", json.dumps(ticket(cron="@daily", time_zone="Mars/Olympus")), code=1)
    assert "time_zone" in done.stderr and "nothing is queued" in done.stderr and queue.count() == 0


# --- dry run -------------------------------------------------------------------------------------

def test_dry_run(offline, far):
    """The requests of each kind, in order, without database and network; no token is shown."""
    offline.config["jobs"]["apis"]["cxone"]["headers"] = {"X-Api-Key": "hidden-1", "X-Org": "org-1"}
    offline.write()
    (offline.home / "scan.pdf").write_bytes(PDF)
    path = offline.put("all.json", [
        ticket(id="t", correlation_id="a1b2c3d4-e5f6-7890-abcd-ef1234567890"),
        {"id": "s", "action": "scan", "file": "scan.pdf", "content_type": "application/pdf", "metadata": {"p": 1}},
        {"id": "r", "action": "release", "version_id": "v 1", "environment": "sandbox", "code": "1;"},
        {"id": "c", "action": "timeouts", "timeout_ms": 15000}])
    made = offline.json("submit", "--dry-run", path)
    assert far.requests == []
    steps = [(m["job"], m["step"], m["method"], m["undo"]) for m in made]
    assert steps == [("t", "send", "POST", False), ("t", "poll", "GET", False), ("s", "send", "POST", False),
                     ("r", "read", "GET", False), ("r", "publish", "PATCH", False), ("r", "restore", "PATCH", True),
                     ("c", "health", "GET", False), ("c", "put", "PUT", False), ("c", "read", "GET", False)]
    base = far.url("")
    send = made[0]
    assert send["url"] == base + "/api/v2/integrations/actions/invocations"
    assert send["body"] == {"actionId": farside.ACTION_ID, "inputs": {"customerId": "c-1"},
                            "correlationId": "a1b2c3d4-e5f6-7890-abcd-ef1234567890"}
    assert send["headers"]["Authorization"] == "Bearer ***" and send["headers"]["X-Api-Key"] == "***"
    assert send["headers"]["X-Org"] == "org-1" and send["headers"]["Content-Type"] == "application/json"
    uuid.UUID(send["headers"]["Idempotency-Key"])
    assert "Idempotency-Key" not in made[1]["headers"] and made[1]["body"] is None
    real = (offline.home / "scan.pdf").resolve()
    assert made[2]["body"]["inputs"] == {"metadata": {"p": 1}, "binaryPayload": {
        "value": f"<base64 of {real}, {len(PDF)} bytes>", "contentType": "application/pdf"}}
    assert made[4]["url"].endswith("/versions/v%201") and made[4]["body"]["published"] is True
    assert made[5]["headers"]["Idempotency-Key"] != made[4]["headers"]["Idempotency-Key"]
    assert made[7]["body"]["configuration"]["requestTimeout"] == 15000
    text = offline.jobs("submit", "--dry-run", path).stdout
    assert "hidden-1" not in text and "Authorization: Bearer ***\n" in text
    assert "# t, ticket, send\nPOST " + base in text
    assert "# r, release, check: the syntax of the code, 2 bytes, is checked as a script" in text
    assert "# r, release, lock: takes the lock " in text and "restore (only to undo what went wrong)" in text
    assert '\n{"actionId":"' in text


def test_dry_run_of_storage_and_data(offline):
    scan = {"action": "scan", "data": base64.b64encode(PDF).decode(), "encoding": "base64",
            "content_type": "application/pdf"}
    action = offline.config["jobs"]["actions"]["scan"]
    action["storage"] = {"dir": str(offline.home / "kept")}
    offline.write()
    text = offline.jobs("submit", "--dry-run", json.dumps(scan)).stdout
    assert "<base64 of the job's data, " in text and f"writes the record to a file in {offline.home}/kept" in text
    action["storage"] = {"url": "https://store.example/x", "include_data": True}
    offline.write()
    made = offline.json("submit", "--dry-run", json.dumps(scan))
    assert [(m["step"], m["method"]) for m in made] == [("send", "POST"), ("store", "PUT")]
    assert made[1]["url"] == "https://store.example/x" and made[1]["body"]["encodedData"].startswith("<base64")
    action["notify_url"] = "https://hook.example/hidden-1"
    action["storage"]["url"] += "?sig=hidden-2"
    offline.write()
    text = offline.jobs("submit", "--dry-run", json.dumps(scan)).stdout
    assert "PUT https://store.example/x?***\n" in text and "the outcome is POSTed to https://hook.example\n" in text
    assert "hidden" not in text
    assert len(offline.json("submit", "--dry-run", json.dumps(scan))) == 2


def test_dry_run_is_what_is_sent(live, far):
    """Byte for byte but for what is made anew."""
    job = ticket(correlation_id=str(uuid.uuid4()), id="same")
    [shown, _] = live.json("submit", "--dry-run", json.dumps(job))
    live.submit("--wait", json.dumps(job))
    [sent] = far.seen("POST", "invocations$")
    assert shown["url"] == far.url(sent["path"]) and shown["body"] == sent["json"]
    for name in shown["headers"]:
        assert name in sent["headers"], name
    text = live.jobs("submit", "--dry-run", json.dumps(job)).stdout
    assert "\n" + sent["body"].decode() + "\n" in text


# --- wait ----------------------------------------------------------------------------------------

def test_wait(live, far):
    """Until all are finished; 1 when one failed."""
    done = live.jobs("submit", "--wait", json.dumps([ticket(id=f"w-{i}") for i in range(5)]))
    assert done.stdout.split() == [f"w-{i}" for i in range(5)]
    assert sorted(done.stderr.splitlines()) == [f"w-{i}: succeeded" for i in range(5)]
    assert all(live.job(f"w-{i}")["state"] == "succeeded" for i in range(5))
    far.script("POST", "invocations$", farside_refusal)
    made = live.json("submit", "--wait", json.dumps([ticket(id="bad")]), code=1)
    assert made[0] == {"id": "bad", "queued": True, "schedule": False}
    assert made[1]["state"] == "failed" and "no such action" in made[1]["error"]["message"]
    again = live.jobs("submit", "--wait", json.dumps(ticket(id="w-1")))  # there already, and finished
    assert "queued already (succeeded)" in again.stderr and "w-1: succeeded" in again.stderr


def farside_refusal(_request):
    from aiohttp import web
    return web.json_response({"message": "no such action"}, status=400)


def test_wait_ends_early(queue):
    """By --timeout, by a signal: said, exit 1, and the jobs stay on the queue."""
    done = queue.jobs("submit", "--wait", "--timeout", "300ms", json.dumps(ticket(id="late")), code=1)
    assert "the time is up: 1 of 1 are not finished" in done.stderr and done.stdout == "late\n"
    for number in (signal.SIGINT, signal.SIGTERM):
        process = subprocess.Popen(queue.argv("jobs", "submit", "--wait", json.dumps(ticket())), text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        name = process.stdout.readline().strip()
        wait.until(lambda: signals_blocked(process.pid), 30, "it waits")
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 1 and "interrupted: 1 of 1" in said
        assert queue.job(name)["state"] == "queued"


def waiting_for(queue, name):
    """A process that has submitted a job and waits for it."""
    process = subprocess.Popen(queue.argv("jobs", "submit", "--wait", json.dumps(ticket(id=name))), text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == f"{name}\n"
    wait.until(lambda: signals_blocked(process.pid), 30, "it waits")
    return process


def signals_blocked(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        blocked = int(re.search(r"SigBlk:\s*(\w+)", status.read()).group(1), 16)
    return blocked >> (signal.SIGINT - 1) & 1


def test_wait_for_schedules_and_the_vanished(queue):
    done = queue.jobs("submit", "--wait", json.dumps(ticket(id="often", every="1h")))
    assert "often comes again" in done.stderr and done.stdout == "often\n"
    process = waiting_for(queue, "lost")
    queue.database.query("delete from cxsink.jobs where id = 'lost'")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1 and "lost: gone" in said


def test_wait_survives_the_database(build, workdir, far, own_cluster):
    from support import postgres
    own_cluster.query("create database w")
    queue = Jobs(build, workdir, postgres.Database(own_cluster, "w"), far)
    queue.run("migrate")
    process = waiting_for(queue, "j")
    own_cluster.stop()
    assert "waiting for it" in process.stderr.readline()
    own_cluster.start()
    assert "is back" in process.stderr.readline()
    queue.database.query("update cxsink.jobs set state = 'cancelled', finished_at = now(),"
                         " error = '{\"message\": \"by hand\"}'")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1 and said == "j: cancelled: by hand\n"


def test_wait_ends_where_a_person_must_mend(queue):
    process = waiting_for(queue, "j")
    queue.database.query("alter table cxsink.jobs rename to elsewhere")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1 and "PostgreSQL refuses" in said and "no more is known: 1 of 1" in said


def test_wait_on_a_terminal(queue):
    """A line of progress that is wiped at the end."""
    primary, secondary = pty.openpty()
    process = subprocess.Popen(queue.argv("jobs", "submit", "--wait", json.dumps([ticket(id="p"), ticket(id="q")])),
                               stdout=subprocess.PIPE, stderr=secondary)
    os.close(secondary)
    seen = read_until(primary, b"0 of 2 done")
    queue.database.query("update cxsink.jobs set state = 'failed', finished_at = now(),"
                         " error = '{\"message\": \"x\\u001by\"}' where id = 'p'")
    seen += read_until(primary, b"1 of 2 done, 1 failed")
    queue.database.query("update cxsink.jobs set state = 'succeeded', finished_at = now() where id = 'q'")
    seen += read_until(primary, b"q: succeeded")
    assert process.wait(60) == 1 and b"p: failed: x\\x1by" in seen
    process.stdout.close()
    os.close(primary)


def read_until(fd, text, seconds=30):
    seen, end = b"", time.monotonic() + seconds * wait.FACTOR
    while text not in seen and time.monotonic() < end:
        if select.select([fd], [], [], 1)[0]:
            seen += os.read(fd, 4096)
    assert text in seen, seen
    return seen


# --- list and show -------------------------------------------------------------------------------

def test_list(queue):
    for i in range(4):
        queue.submit(json.dumps(ticket(id=f"n-{i}")))
    queue.submit(json.dumps({"id": "c", "action": "timeouts", "timeout_ms": 1000, "run_at": "2100-01-01T00:00:00Z"}))
    queue.database.query("update cxsink.jobs set state = 'failed', finished_at = now(), started_at = now(),"
                         " error = '{\"message\": \"no\\u001bgood\"}' where id = 'n-1'")
    assert [j["id"] for j in queue.json("list")] == ["c", "n-3", "n-2", "n-1", "n-0"]
    for args, ids in ((("--state", "failed"), ["n-1"]), (("--action", "timeouts"), ["c"]),
                      (("--limit", "2"), ["c", "n-3"]), (("--since", "tomorrow"), []), (("--until", "tomorrow"), 5),
                      (("--action", "ticket", "--state", "queued"), ["n-3", "n-2", "n-0"])):
        found = [j["id"] for j in queue.json("list", *args)]
        assert found == ids or len(found) == ids, args
    lines = queue.jobs("list").stdout.splitlines()
    assert lines[0].split()[:3] == ["id", "action", "state"] and len(lines) == 6
    assert lines[1].startswith("c ") and lines[1].endswith("at 2100-01-01T00:00:00Z")
    assert "no\\x1bgood" in lines[4]
    assert "params" not in queue.json("list")[0]
    assert queue.jobs("list", "--since", "no time", code=64).stderr != ""


def test_stats(queue):
    """Rates and percentiles by action, and in total."""
    assert queue.json("list", "--stats") == [
        {"action": None, "runs": 0, "succeeded": 0, "failed": 0, "cancelled": 0, "unfinished": 0,
         "success_rate": None, "avg_ms": None, "p50_ms": None, "p95_ms": None, "p99_ms": None}]
    queue.database.query(
        "insert into cxsink.jobs (id, action, state, started_at, finished_at) select 's-' || n, 'ticket',"
        " case when n % 10 = 0 then 'failed' else 'succeeded' end, now(), now() + n * interval '10 ms'"
        " from generate_series(1, 100) n")
    queue.database.query("insert into cxsink.jobs (id, action, state, finished_at) values"
                         " ('x', 'scan', 'cancelled', now()), ('f', 'scan', 'failed', now())")
    queue.submit(json.dumps(ticket(id="open")))
    scan, ticket_, total = queue.json("list", "--stats")
    assert ticket_ == {"action": "ticket", "runs": 100, "succeeded": 90, "failed": 10, "cancelled": 0,
                       "unfinished": 1, "success_rate": 90.0, "avg_ms": 505.0, "p50_ms": 505.0, "p95_ms": 950.5,
                       "p99_ms": 990.1}
    assert (scan["runs"], scan["failed"], scan["cancelled"], scan["success_rate"]) == (1, 1, 1, 0.0)
    assert total["action"] is None and total["runs"] == 101 and total["succeeded"] == 90
    lines = queue.jobs("list", "--stats", "--action", "ticket").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["action", "ticket", "(all)"] and "950.5" in lines[1]


def test_show(live, far):
    [name] = live.submit("--wait", json.dumps(ticket(id="seen")))
    text = live.jobs("show", name).stdout
    for word in ("id               seen\n", "state            succeeded", "HTTP 201", "HTTP 200", '"customerId": "c-1"',
                 '"outputs"', "idempotency_key", "trace_id"):
        assert word in text, text
    for secret in far.tokens:
        assert secret not in text
    [made] = live.json("show", name)
    assert made["state"] == "succeeded" and made["latency_ms"] > 0 and len(made["attempts"]) == 2
    assert made["params"] == {"inputs": {"customerId": "c-1"}} and made["notifications"] is None
    done = live.jobs("show", "none", code=1)
    assert 'no job and no schedule "none"' in done.stderr and done.stdout == ""


def test_show_is_plain_and_bounded(queue):
    queue.submit(json.dumps([ticket(id="esc", inputs={"a": "\x1b[31m"}), ticket(id="big", inputs={"a": "x" * 20000})]))
    queue.database.query("update cxsink.jobs set state = 'failed', finished_at = now(), cancel_requested = true,"
                         " lease_losses = 2, error = '{\"message\": \"bad\\u009b\"}' where id = 'esc'")
    text = queue.jobs("show", "esc").stdout
    assert "\x1b" not in text and "\x9b" not in text and "lease_losses     2" in text and "cancelling" not in text
    assert "bytes, which --json prints" in queue.jobs("show", "big").stdout
    assert queue.json("show", "big")[0]["params"]["inputs"]["a"] == "x" * 20000


# --- cancel and retry ----------------------------------------------------------------------------

def test_cancel_queued(queue):
    queue.submit(json.dumps([ticket(id="a"), ticket(id="b"), ticket(id="c")]))
    done = queue.jobs("cancel", "a", "none", code=1)
    assert done.stdout == "a: cancelled\n" and done.stderr == "none: there is no such job\n"
    queue.database.query("update cxsink.jobs set state = 'succeeded', finished_at = now() where id = 'b'")
    assert queue.jobs("cancel", "b", code=1).stderr == "b: is succeeded\n"
    assert queue.json("cancel", "c") == [{"id": "c", "outcome": "cancelled", "state": "cancelled"}]
    assert {queue.job(name)["state"] for name in "ac"} == {"cancelled"}
    queue.submit(json.dumps([ticket(id="d"), {"id": "e", "action": "timeouts", "timeout_ms": 5}]))
    assert queue.jobs("cancel", "--action", "timeouts").stdout == "e: cancelled\n"
    assert queue.jobs("cancel", "--all").stdout == "d: cancelled\n"
    assert queue.jobs("cancel", "--all").stderr == "cxsink jobs: there is none to cancel\n"


def test_cancel_running(live, far):
    """One that is at work is ended by its daemon."""
    far.polls = 10**9
    [name] = live.submit(json.dumps(ticket()))
    farside.wait_job(live.database, name, "polling")
    assert live.jobs("cancel", name).stdout == f"{name}: has begun; its daemon ends it\n"
    farside.wait_job(live.database, name, "cancelled")


def test_retry(live, far):
    """From the beginning, with its history and a new key: the old answer does not come again."""
    far.script("POST", "invocations$", farside_refusal)
    live.jobs("submit", "--wait", json.dumps(ticket(id="r")), code=1)
    first = live.job("r")
    assert live.jobs("retry", "r").stdout == "r: queued again\n"
    second = farside.wait_job(live.database, "r")
    assert second["idempotency_key"] != first["idempotency_key"] and second["trace_id"] == first["trace_id"]
    assert [a["status"] for a in second["attempts"]] == [400, 201, 200] and second["error"] is None
    done = live.jobs("retry", "r", "none", code=1)
    assert done.stderr.splitlines() == ["r: is succeeded", "none: there is no such job"]


def test_retry_of_an_unknown_outcome(build, workdir, database, far, make_daemon):
    """Nobody knows whether the request was carried out: it keeps its key, and the effect is one."""
    queue = Jobs(build, workdir, database, far, actions={"ticket": {"retry": {"max": 0}}},
                 apis={"cxone": {"timeout": "300ms"}})
    queue.run("migrate")
    made = make_daemon(json.loads(json.dumps(queue.config)))
    made.start().wait_ready()

    async def carry_out_and_stall(request):
        far._once({"headers": dict(request.headers)}, lambda: far._invoke(await_json))
        return await farside.stall()(request)
    await_json = {"inputs": {}}
    far.script("POST", "invocations$", carry_out_and_stall)
    queue.jobs("submit", "--wait", json.dumps(ticket(id="u")), code=1)
    first = queue.job("u")
    assert first["error"]["outcome"] == "unknown"
    queue.jobs("retry", "u")
    second = farside.wait_job(database, "u")
    assert second["idempotency_key"] == first["idempotency_key"]
    assert far.effects == {first["idempotency_key"]: 1}


def test_retry_keeps_its_notification(build, workdir, database, far, make_daemon):
    """J4: the second end is told as the first was."""
    queue = Jobs(build, workdir, database, far, actions={"ticket": {"notify_url": "https://hooks.invalid/x"}})
    queue.run("migrate")
    make_daemon(json.loads(json.dumps(queue.config))).start().wait_ready()
    far.script("POST", "invocations$", farside_refusal)
    queue.jobs("submit", "--wait", json.dumps(ticket(id="n")), code=1)
    queue.jobs("retry", "n")
    farside.wait_job(database, "n")
    states = database.query("select body ->> 'state' from cxsink.job_notifications where job_id = 'n' order by id")
    assert states == [("failed",), ("succeeded",)]
    assert "notification     " in queue.jobs("show", "n").stdout and len(queue.json("show", "n")[0]["notifications"]) == 2


def test_retry_by_filter(queue):
    queue.database.query(
        "insert into cxsink.jobs (id, action, state, finished_at) values ('f1', 'ticket', 'failed', now()),"
        " ('f2', 'scan', 'failed', now()), ('c1', 'ticket', 'cancelled', now()), ('s1', 'ticket', 'succeeded', now())")
    assert queue.jobs("retry", "--action", "ticket").stdout == "f1: queued again\n"
    assert queue.jobs("retry", "--all").stdout == "f2: queued again\n"
    assert queue.jobs("retry", "--state", "cancelled").stdout == "c1: queued again\n"
    assert queue.jobs("retry", "--all").stderr == "cxsink jobs: there is none to retry\n"
    assert queue.jobs("retry", "--state", "succeeded", code=1).stderr == "s1: is succeeded\n"
    assert queue.database.value("select count(*) from cxsink.jobs where state = 'queued'") == 3


def test_a_retry_of_an_unknown_action_says_so(queue):
    queue.database.query("insert into cxsink.jobs (id, action, state, finished_at) values ('u', 'gone', 'failed', now()),"
                         " ('k', 'ticket', 'failed', now())")
    done = queue.jobs("retry", "--all")
    assert sorted(done.stdout.splitlines()) == ["k: queued again", "u: queued again"]
    assert done.stderr == ('cxsink jobs: u: this configuration has no action "gone"; the job waits for a daemon whose '
                           "configuration has it\n")


def test_what_commands_do_is_audited(queue):
    """Who asked for what, in the same chain as the daemon's events; without the file on stderr."""
    queue.submit(json.dumps([ticket(id="a"), ticket(id="b"), ticket(id="s", every="1h")]))
    queue.submit(json.dumps(ticket(id="a")))  # is there already
    queue.jobs("cancel", "a", "s", "none", code=1)
    queue.jobs("retry", "a", "b", code=1)
    events = [json.loads(line) for line in queue.audit_file.read_text().splitlines()]
    assert [(e["event"], e["job"], e.get("source", e.get("outcome"))) for e in events] == [
        ("job.queued", "a", "submit"), ("job.queued", "b", "submit"), ("job.cancel", "a", "cancelled"),
        ("job.cancel", "s", "stopped"), ("job.requeue", "a", "queued again")]
    assert all(e["user"] for e in events) and events[0]["action"] == "ticket"
    assert [e["prev"] for e in events[1:]] == [e["hash"] for e in events[:-1]]
    queue.audit_file.unlink()
    queue.audit_file.parent.rmdir()
    said = queue.jobs("cancel", "b").stderr
    assert "what is done is told to" in said and ("job.cancel" in said or "the journal alone" in said)


# --- schedules -----------------------------------------------------------------------------------

def test_schedules(queue):
    queue.submit(json.dumps([ticket(id="hourly", every="1h"),
                             ticket(id="nightly", cron="30 3 * * *", time_zone="Europe/Berlin")]))
    found = queue.json("list", "--schedules")
    assert {s["id"] for s in found} == {"hourly", "nightly"} and all(s["next_at"] for s in found)
    text = queue.jobs("list", "--schedules").stdout
    assert "every 01:00:00" in text and "cron 30 3 * * * Europe/Berlin" in text
    again = queue.jobs("submit", json.dumps(ticket(id="hourly", every="2h")))
    assert "hourly is a schedule already" in again.stderr and again.stdout == "hourly\n"
    assert "cron             30 3 * * *" in queue.jobs("show", "nightly").stdout
    assert queue.json("show", "hourly")[0]["params"] == {"inputs": {"customerId": "c-1"}}
    assert queue.jobs("cancel", "hourly").stdout == "hourly: schedule stopped; it queues no more jobs\n"
    queue.database.query("update cxsink.job_schedules set source = 'config'")
    assert "remove it from jobs.queue" in queue.jobs("cancel", "nightly", code=1).stderr
    assert [s["id"] for s in queue.json("list", "--schedules")] == ["nightly"]
