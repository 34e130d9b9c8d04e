# SPDX-License-Identifier: Apache-2.0
"""The daemon as a service: stopping, what it tells systemd, its logs, its unit, faults at its start."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import psycopg2
import pytest

from support import daemon, numbered, tenant as tenants, wait

ROOT = pathlib.Path(__file__).resolve().parents[2]
AWAY = "host=/nonexistent dbname=none"  # a database that is never there


def unacknowledged(cxsink, d):
    done = cxsink("spool", "stat", "--json", "-c", d.path)
    return json.loads(done.stdout)["unacknowledged"]


def begin(d, tenant):
    wait.until(lambda: not tenant.sockets, 30, "the connection of before is gone")
    d.start()
    tenant.wait_connected()
    return d.wait_up()


# --- stopping ---

@contextlib.contextmanager
def locked(database):
    """Nobody writes to the table meanwhile; the server answers all the same."""
    connection = psycopg2.connect(database.dsn)
    try:
        connection.cursor().execute("lock table cxone_events in access exclusive mode")
        yield
    finally:
        connection.close()


def test_an_orderly_stop_commits_what_was_received(database, tenant, make_daemon, cxsink, sanitized):
    """SIGTERM and SIGINT in the middle of a flood: exit 0, nothing is left in the spool."""
    d = make_daemon(daemon.config(database.dsn, tenant))
    events = 5000 if sanitized else 20000
    for number in (signal.SIGTERM, signal.SIGINT):
        begin(d, tenant).wait_ready()
        tenant.send_raw(numbered.frames(number.name, range(events)))
        received = wait.until(lambda: d.stream()["received"], 30, "some are received", poll=0.001)
        assert d.stop(number, seconds=20) == 0, d.log()[-4000:]
        assert "everything received is committed" in d.log()
        assert unacknowledged(cxsink, d) == 0
        rows = numbered.stored(database, number.name)
        assert len(rows) >= received and rows == set(range(len(rows))), "the first ones, without a gap"
    assert d.audit_events().count("daemon.stopping") == d.audit_events().count("daemon.stopped") == 2
    wait.until(lambda: not tenant.sockets, 30, "the streams are closed")


def test_stops_that_cannot_drain(database, tenant, make_daemon, cxsink):
    """Without a database: at once. With one that does not answer: until the second signal, or shutdown_timeout."""
    d = make_daemon(daemon.config(AWAY, tenant, shutdown_timeout="300s"))
    begin(d, tenant)
    tenant.send_raw(numbered.frames("kept", range(1000)))
    wait.until(lambda: d.stream()["received"] == 1000, 30, "received")
    assert d.stop(seconds=20) == 0
    assert "the database is not ready; the spool keeps" in d.log()
    assert unacknowledged(cxsink, d) == 1000

    d.config["postgres"]["dsn"] = database.dsn
    d.write()
    begin(d, tenant).wait_ready()
    wait.until(lambda: database.count() == 1000, 30, "kept, and delivered now")
    first, second = signal.SIGTERM, signal.SIGINT
    for i in range(2):
        wait.until(lambda: d.status()["spool"]["events"] == 0, 30, "the daemon knows it, too")
        with locked(database):
            tenant.send_raw(numbered.frames(f"held{i}", range(1000)))
            wait.until(lambda: d.stream()["received"] >= 1000, 30, "received")
            d.send_signal(first)
            wait.until(lambda: d.status()["state"] == "stopping", 30, "it drains")
            assert "stopping" in d.status()["reasons"] and d.get("/readyz")[0] == 503
            assert d.stop(second, seconds=20) == 0
        assert "asked again; the spool keeps" in d.log()
        assert unacknowledged(cxsink, d) == 1000
        begin(d, tenant).wait_ready()
        wait.until(lambda: numbered.stored(database, f"held{i}") == set(range(1000)), 30, "delivered after the restart")
        first, second = second, first

    d.config["shutdown_timeout"] = "1s"
    d.write()
    d.send_signal(signal.SIGHUP)
    wait.until(lambda: "config.reload" in d.audit_events(), 30, "reloaded")
    d.wait_ready()
    with locked(database):
        tenant.send_raw(numbered.frames("late", range(1000)))
        wait.until(lambda: d.stream()["received"] >= 1000, 30, "received")
        began = time.monotonic()
        assert d.stop(seconds=20) == 0
        assert time.monotonic() - began >= 1
    assert "shutdown_timeout is over; the spool keeps" in d.log()
    begin(d, tenant).wait_ready()
    wait.until(lambda: numbered.stored(database, "late") == set(range(1000)), 30, "delivered after the restart")
    assert d.stop() == 0
    assert database.count() == 4000 and unacknowledged(cxsink, d) == 0


# --- systemd ---

class Datagrams:
    """A socket of the test's that the daemon sends to; read all the time, for a full one would hold the sender."""

    def __init__(self, path):
        self.path = path
        self.seen = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self):
        self._reader.start()
        return self

    def __exit__(self, *_):
        self._socket.shutdown(socket.SHUT_RD)
        self._reader.join(10)
        self._socket.close()

    def _read(self):
        while data := self._socket.recv(1 << 18):
            self.seen.append(data.decode())

    def wait_for(self, pattern, after=0, seconds=30):
        """Index of the first message from `after` on that matches."""
        def found():
            return next((i + 1 for i, text in enumerate(self.seen) if i >= after and re.search(pattern, text)), None)
        return wait.until(found, seconds, f"a message {pattern}") - 1


def test_what_it_tells_systemd(database, tenant, make_daemon, workdir):
    """sd_notify(3): READY, STATUS, WATCHDOG, RELOADING with its time, STOPPING."""
    with Datagrams(workdir / "notify") as told:
        d = make_daemon(daemon.config(database.dsn, tenant, log={"target": "json"}),
                        environment={"NOTIFY_SOCKET": str(told.path), "WATCHDOG_USEC": "200000"})
        d.start()
        ready = told.wait_for(r"^READY=1$")
        assert not any("READY=1" in text for text in told.seen[:ready])
        d.wait_ready()
        tenant.send(tenants.event("one"), tenants.event(""))
        status = told.wait_for(r"^STATUS=1 of 1 streams connected, database ready, 0 events spooled$", ready)
        last = ready
        for _ in range(3):
            last = told.wait_for(r"^WATCHDOG=1$", last + 1)
        for faulty in (False, True):
            if faulty:
                d.path.write_text("{")
            before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            seen = len(told.seen)
            d.send_signal(signal.SIGHUP)
            reloading = told.wait_for(r"^RELOADING=1\n", seen)
            finished = told.wait_for(r"^READY=1$", reloading + 1)
            at = int(re.search(r"^MONOTONIC_USEC=(\d+)$", told.seen[reloading], re.MULTILINE)[1])
            assert before <= at <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            told.wait_for(r"^WATCHDOG=1$", finished)
        assert d.stream()["received"] == 2, "the faulty configuration changed nothing"
        seen = len(told.seen)
        assert d.stop() == 0
        assert status < told.wait_for(r"^STOPPING=1", seen)

    lines = [json.loads(line) for line in d.log().splitlines()]
    assert all({"time", "level", "message"} <= line.keys() for line in lines)
    assert {"error", "warn", "info", "debug"} >= {line["level"] for line in lines}
    assert any(line.get("stream") == "main" and line.get("audit") == "stream.connected" for line in lines)
    assert any(line.get("stream") == "main" and "rejected (schema.pattern)" in line["message"] for line in lines)
    assert any(line["level"] == "error" and "cxsink.json:1" in line["message"] for line in lines)
    assert "token-1" not in d.log() and "agent-7" not in d.log() and '"secret"' not in d.log()


def test_the_journal_gets_fields(database, tenant, make_daemon, workdir):
    """log.target auto: structured entries when systemd connected stderr to the journal (JOURNAL_STREAM)."""
    private = ["unshare", "-m", "--propagation", "private"]
    if os.getuid() != 0 or subprocess.run([*private, "true"], capture_output=True).returncode != 0:
        pytest.skip("a journal of the test's own takes a mount namespace (needs root and CAP_SYS_ADMIN)")
    (workdir / "journal").mkdir()
    with Datagrams(workdir / "journal" / "socket") as journal:
        mounts = (f"mount -t tmpfs none /run && mkdir -p /run/systemd/journal &&"
                  f" mount --bind {workdir}/journal /run/systemd/journal && exec \"$@\"")
        d = make_daemon(daemon.config(database.dsn, tenant, log={"target": "auto"}),
                        wrapper=[*private, "sh", "-c", mounts, "sh"])
        log = (d.home / "log")
        log.touch()
        d.environment["JOURNAL_STREAM"] = f"{log.stat().st_dev}:{log.stat().st_ino}"
        d.start().wait_ready()
        tenant.send(tenants.event(""))
        entry = journal.seen[journal.wait_for("rejected")]
        for field in ("MESSAGE=1 event rejected", "PRIORITY=4", "SYSLOG_IDENTIFIER=cxsink", "CXSINK_STREAM=main",
                      "CODE_FILE="):
            assert re.search(f"^{field}", entry, re.MULTILINE), entry
        audit = journal.seen[journal.wait_for("CXSINK_AUDIT=stream.connected")]
        assert "CXSINK_STREAM=main" in audit
        hashes = {e["hash"] for e in d.audit()}
        assert re.search(r"^CXSINK_AUDIT_HASH=(\w+)$", audit, re.MULTILINE)[1] in hashes
        ids = set(re.findall(r"^MESSAGE_ID=(\w+)$", "\n".join(journal.seen), re.MULTILINE))
        catalog = (ROOT / "systemd" / "cxsink.catalog").read_text()
        subjects = {re.search(rf"^-- {i}\nSubject: (.*)$", catalog, re.MULTILINE)[1] for i in ids}
        assert {"cxsink is running", "A stream is connected", "Events became dead letters",
                "PostgreSQL takes writes"} <= subjects
        assert d.log() == "", "stderr stays quiet"
        assert d.stop() == 0


# --- faults at the start ---

def refused(cxsink, d, code=78, **environment):
    done = cxsink("run", "-c", d.path, env={**os.environ, **environment})
    assert done.returncode == code, (done.returncode, done.stderr)
    return done.stderr


def test_every_fault_of_a_configuration(make_daemon, cxsink):
    """Exit 78, and all faults at once: where each one is, and what it is."""
    d = make_daemon(daemon.config(AWAY))
    d.config["spool"]["max_bytes"] = "many"
    d.config["postgres"]["conections"] = 3
    d.config["streams"]["main"]["schema"] = "/nonexistent/schema.json"
    d.config["streams"]["main"]["table"] = "nowhere"
    d.config["streams"]["main"]["reconnect"]["base"] = "-1s"
    d.config["shutdown_timeout"] = 5
    d.write()
    said = refused(cxsink, d)
    for pointer in ("/spool/max_bytes", "/postgres/conections", "/streams/main/table",
                    "/streams/main/reconnect/base", "/shutdown_timeout"):
        assert re.search(rf"{re.escape(str(d.path))}:\d+: {pointer}: ", said), (pointer, said)
    assert '"connections"' in said, "the nearest known key"
    assert not pathlib.Path(d.config["state_dir"]).exists(), "nothing was begun"

    d.path.write_text('{\n  "streams": {\n    "a": [\n')
    assert re.search(rf"{re.escape(str(d.path))}:\d+: ", refused(cxsink, d))
    d.path.unlink()
    assert str(d.path) in refused(cxsink, d)

    d.config = daemon.config(AWAY, state_dir=str(d.home / "state"), runtime_dir=str(d.home / "run"))
    (d.home / "schema.json").write_text('{"type": "objekt", "minLength": -1}')
    d.config["streams"]["main"]["schema"] = str(d.home / "schema.json")
    d.write()
    said = refused(cxsink, d)
    assert "/type" in said and "/minLength" in said and "schema.json" in said, "a schema's faults, too"


def test_places_that_cannot_be_used(make_daemon, cxsink):
    """A port that is taken, directories that are none: exit 78, and which setting to change."""
    d = make_daemon(daemon.config(AWAY))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        d.config["admin"]["listen"] = f"127.0.0.1:{port}"
        d.write()
        said = refused(cxsink, d)
        assert f"port {port}" in said and "admin.listen" in said
    (d.home / "file").write_text("")
    for setting in ("state_dir", "runtime_dir"):
        kept = d.config[setting]
        d.config[setting] = str(d.home / "file" / "below")
        d.write()
        said = refused(cxsink, d)
        assert str(d.home / "file") in said and "Not a directory" in said and setting in said, said
        d.config[setting] = kept
    d.config["admin"]["listen"] = "127.0.0.1:0"
    d.write()
    d.start().wait_up()
    assert d.stop() == 0


def test_directories_of_systemd(tenant, make_daemon):
    """$STATE_DIRECTORY and $RUNTIME_DIRECTORY, where the configuration names none."""
    d = make_daemon(daemon.config(AWAY, tenant))
    d.path.write_text(json.dumps({key: value for key, value in d.config.items() if not key.endswith("_dir")}))
    d.config["state_dir"], d.config["runtime_dir"] = str(d.home / "lib"), str(d.home / "r")
    d.environment.update(STATE_DIRECTORY=d.config["state_dir"], RUNTIME_DIRECTORY=d.config["runtime_dir"])
    d.start().wait_up()
    tenant.wait_connected()
    tenant.send(tenants.event("one"))
    wait.until(lambda: d.stream()["received"] == 1, 30, "received")
    assert sorted(os.listdir(d.config["state_dir"])) == ["audit.jsonl", "spool"]
    assert os.listdir(d.config["runtime_dir"]) == ["control.sock"]
    assert (pathlib.Path(d.config["state_dir"]) / "audit.jsonl").stat().st_mode & 0o777 == 0o600
    assert (pathlib.Path(d.config["runtime_dir"]) / "control.sock").stat().st_mode & 0o777 == 0o660
    assert d.stop() == 0


# --- the source ---

def test_a_fresh_clone_builds(workdir, sanitized):
    """`make clean && make` needs nothing but the repository, and leaves it as it was."""
    if sanitized:
        pytest.skip("the run without sanitizers does it")
    git = ["git", "-c", "safe.directory=*"]
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("this is no git repository, or git is missing")
    clone = workdir / "clone"
    subprocess.run([*git, "clone", "-q", str(ROOT), str(clone)], check=True)
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "CXSINK"))}
    for command in (["make", "clean"], ["make", "-j2"]):
        done = subprocess.run(command, cwd=clone, env=plain, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-4000:]
    assert "warning:" not in done.stderr
    for program in ("cxsink", "cxsink-sim"):
        assert (clone / "build" / program).exists()
    assert subprocess.run([str(clone / "build" / "cxsink"), "--version"], capture_output=True).returncode == 0
    changed = subprocess.run([*git, "status", "--porcelain"], cwd=clone, capture_output=True, text=True, check=True)
    assert changed.stdout == ""
