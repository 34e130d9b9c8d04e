# SPDX-License-Identifier: Apache-2.0
"""Ends that are not quite orderly, and commands as an operator meets them."""
import asyncio
import hashlib
import json
import resource
import signal
import subprocess
import time
import urllib.request

import aiohttp
import pytest

from support import certificates, commands, daemon, sim, tenant as tenants, wait

NOWHERE = "host=127.0.0.1 port=9 user=nobody dbname=none"


def check_chain(d):
    """Every line of the audit log names the hash of the one before."""
    previous = "0" * 64
    for line in (d.home / "state" / "audit.jsonl").read_text().splitlines():
        body, mark, seal = line.rpartition(',"hash":"')
        assert mark and json.loads(line)["prev"] == previous, line
        previous = hashlib.sha256(body.encode()).hexdigest()
        assert seal == previous + '"}', line


def unacknowledged(build, d):
    done = subprocess.run([str(build / "cxsink"), "spool", "stat", "--json", "-c", str(d.path)],
                                   capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["unacknowledged"]


# --- stopping ---

def test_refused_start_leaves_the_audit_log_alone(database, tenant, make_daemon, cxsink):
    """A second daemon on the same state directory writes nothing into the first one's chain."""
    d = make_daemon(daemon.config(database.dsn, tenant)).start().wait_ready()
    second = d.home / "second.json"
    second.write_text(json.dumps({**d.config, "runtime_dir": str(d.home / "run2")}))
    assert cxsink("run", "-c", second).returncode == 78
    assert d.stop() == 0
    check_chain(d)
    events = d.audit_events()
    assert events.count("daemon.started") == events.count("daemon.stopped") == 1 and events[-1] == "daemon.stopped"


@pytest.fixture
def failing(make_daemon, tenant):
    """A daemon without a database whose spool cannot be written for now, with 5 events; mend() ends that."""
    d = make_daemon(daemon.config(NOWHERE, tenant, log={"level": "info"}), wrapper=["env", "--ignore-signal=XFSZ"])
    d.start().wait_up()
    wait.until(lambda: d.stream()["connected"], 30, "the stream is connected")
    tenant.send(tenants.event("before", attributes={"transcript": "x" * 300000}))
    wait.until(lambda: d.stream()["received"] == 1, 20)
    # No file may grow beyond this, and only the segment is larger.
    limit = resource.prlimit(d.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(d.process.pid, resource.RLIMIT_FSIZE, (200000, limit[1]))
    tenant.send(*[tenants.event(f"pending-{i}") for i in range(5)])
    wait.until(lambda: d.status()["spool"]["write_failing"] and d.status()["spool"]["pending"] == 5, 20,
               "the spool cannot be written")
    d.mend = lambda: resource.prlimit(d.process.pid, resource.RLIMIT_FSIZE, limit)
    return d


def test_stop_waits_for_a_failing_spool(failing, build):
    """What was taken off the socket and is not on disk yet is tried again until shutdown_timeout."""
    d = failing
    d.send_signal(signal.SIGTERM)
    wait.until(lambda: d.status()["state"] == "stopping" and d.stream()["state"] == "stopped", 20)
    time.sleep(0.2)  # ten looks whether it is drained: none may end it
    assert d.alive()
    d.mend()
    assert d.process.wait(30 * wait.FACTOR) == 0
    assert unacknowledged(build, d) == 6
    assert "spool.lost" not in d.audit_events()


def test_what_a_failing_spool_loses_is_told(failing, build):
    """A second SIGTERM ends it at once; how many events that costs is told, and the exit code says so."""
    d = failing
    d.send_signal(signal.SIGTERM)
    wait.until(lambda: d.status()["state"] == "stopping", 20)
    d.send_signal(signal.SIGTERM)
    assert d.process.wait(30 * wait.FACTOR) == 70
    assert [entry["events"] for entry in d.audit() if entry["event"] == "spool.lost"] == ["5"]
    assert d.audit_events()[-1] == "daemon.stopped" and "5 events" in d.log()
    assert unacknowledged(build, d) == 1
    check_chain(d)


# --- the command line ---

def test_common_options(cxsink):
    """Of all commands, before or behind the command."""
    for args in (["--version"], ["check", "--version"], ["--version", "dead"], ["run", "-c", "x", "--version"]):
        done = cxsink(*args)
        assert done.returncode == 0 and done.stdout.startswith("cxsink 0."), args
    for args in (["--help"], ["-h"], ["help"]):
        done = cxsink(*args)
        assert done.returncode == 0 and "Commands:" in done.stdout and done.stderr == "", args
    listed = [line.split()[0] for line in cxsink("--help").stdout.split("Commands:")[1].split("\n\n")[0].splitlines()
              if line]
    assert "run" in listed and "dead" in listed
    for command in listed:
        done = cxsink(command, "--help")
        assert done.returncode == 0 and done.stdout.startswith(f"usage: cxsink {command}"), command
        assert "Exit codes" in done.stdout or command == "run", command
    for args in ([], ["nonsense"], ["-x"], ["--nonsense"], ["-c", "x"], ["run", "--nonsense"], ["run", "x"]):
        done = cxsink(*args)
        assert done.returncode == 64 and "cxsink" in done.stderr and done.stdout == "", args


def test_check_of_an_address_in_capitals(build, workdir, database):
    """WSS:// is wss://: checked over TLS."""
    authority = certificates.Authority(workdir / "ca")
    with tenants.Tenant(tls=authority.issue("localhost", "DNS:localhost"), host="localhost") as tenant:
        settings = daemon.config(database.dsn, streams={"main": {"tls": {"ca_file": str(authority.pem)}}})
        made = commands.Commands(build, workdir / "c", settings)
        made.config["streams"]["main"]["url"] = tenant.ws_url("/stream/main").replace("wss:", "WSS:")
        made.write()
        made.run("migrate")
        made.run("check", "--connect")
        made.config["streams"]["main"]["tls"] = {}
        made.write()
        assert "certificate" in made.run("check", "--connect", code=78).stderr


# --- load ---

def test_load_of_many_files_goes_on_in_the_middle(build, workdir, database):
    """What was loaded of a command that was stopped is not loaded again, until all of it is done."""
    made = commands.Commands(build, workdir, daemon.config(database.dsn))
    first = made.file("first.ndjson", [tenants.event(f"a{i}") for i in range(5)] + ["", ""])
    missing = workdir / "second.ndjson"
    load = ("load", "--stream", "main", first, missing)
    assert "5 inserted" in made.run(*load, code=1).stdout
    done = made.run(*load, code=1)
    assert "0 inserted, 0 updated, 0 unchanged" in done.stdout and "going on at byte" in done.stderr
    made.file("second.ndjson", [tenants.event("b")])
    assert "1 inserted" in made.run(*load).stdout
    assert list(workdir.glob("state/load/*")) == []
    assert "5 unchanged" in made.run(*load).stdout


# --- dead letters ---

def test_dead_letters_of_any_bytes(build, workdir, database):
    """Shown as they were received, but for what would steer the terminal; the exact bytes are in --json."""
    made = commands.Commands(build, workdir, daemon.config(database.dsn))
    path = workdir / "events.ndjson"
    path.write_bytes(json.dumps(tenants.event("a", **{"\u001b[31m\n": 1})).encode() + b"\n"
                     + 'back\\slash Grüße \u009b31m'.encode() + b" \x1b[2J \xff\n")
    made.run("load", "--stream", "main", path)
    listed = made.run("dead", "list").stdout
    assert len(listed.splitlines()) == 3 and "\x1b" not in listed and "\\x1b[31m\\x0a" in listed
    ids = dict(database.query("select reason, id from cxsink.dead_letters"))
    shown = made.run("dead", "show", ids["schema.additionalProperties"]).stdout
    assert json.dumps(tenants.event("a", **{"\u001b[31m\n": 1})) in shown
    shown = made.run("dead", "show", ids["json.syntax"]).stdout
    assert "back\\slash Grüße \\xc2\\x9b31m \\x1b[2J \\xff\n" in shown and "\x1b" not in shown
    database.query("update cxsink.dead_letters set payload = null, payload_sha256 = null")
    assert "none was kept" in made.run("dead", "show", ids["json.syntax"]).stdout


def test_dead_replay_of_some(build, workdir, database):
    """--limit is kept over pages; the stream's last event stays when it was received, not when it was replayed."""
    made = commands.Commands(build, workdir, daemon.config(database.dsn))
    schema = json.loads(daemon.SCHEMA.read_text())
    schema["properties"]["type"]["enum"].append("voice")
    (workdir / "event.json").write_text(json.dumps(schema))
    made.run("load", "--stream", "main", made.file("events.ndjson", [
        tenants.event("good"), *[tenants.event(f"v{i:03}", type="voice") for i in range(300)]]))
    made.config["streams"]["main"]["schema"] = "event.json"
    made.write()
    received = database.value("select max(received_at) from cxsink.dead_letters")
    assert "250 replayed, 0 refused" in made.run("dead", "replay", "--all", "--limit", 250).stdout
    assert database.count() == 251
    assert "1 replayed, 0 refused" in made.run("dead", "replay", "--stream", "main", "--limit", 1).stdout
    assert database.count() == 252
    assert database.value("select last_event_at from cxsink.stream_state where stream = 'main'") <= received
    assert "1 replayed before" in made.run("dead", "replay", 1, "--limit", 1).stdout


# --- reloads ---

@pytest.fixture
def reload():
    """reload(d, "taken" or "refused"): writes the configuration, and waits for what becomes of it."""
    def run(d, result="taken"):
        def count():
            return sum(entry["event"] == "config.reload" and entry["result"] == result for entry in d.audit())
        before = count()
        d.write()
        d.send_signal(signal.SIGHUP)
        wait.until(lambda: count() > before, 30, f"the reload is {result}")
    return run


def test_settings_that_wait_for_a_restart(database, tenant, make_daemon, reload):
    """Named at each reload for as long as they differ from what is in force."""
    d = make_daemon(daemon.config(database.dsn, tenant)).start().wait_up()
    for listen, told in (("127.0.0.1:1", 1), ("127.0.0.1:1", 2), ("127.0.0.1:0", 2)):
        d.config["admin"]["listen"] = listen
        reload(d)
        assert d.log().count("only by a restart: /admin/listen") == told


@pytest.mark.parametrize("url", ["ws://127.0.0.1/" + "x" * 2100, f"wss://{'a' * 60}.{'b' * 60}.example/", "ws://a%20b/"],
                         ids=["long", "host", "name"])
def test_addresses_that_no_stream_can_have(database, tenant, make_daemon, cxsink, reload, url):
    """Found by check, and before a reload takes the stream away that is there."""
    d = make_daemon(daemon.config(database.dsn, tenant)).start().wait_ready()
    d.config["streams"]["main"]["url"] = url
    reload(d, "refused")
    assert "/streams/main/url" in d.log()
    tenant.send(tenants.event("after"))
    wait.until(lambda: database.count() == 1, 20, "the stream goes on")
    for command in ("check", "run"):
        done = cxsink(command, "-c", d.path)
        assert done.returncode == 78 and "/streams/main/url: the URL" in done.stderr, done.stderr
        assert "x" * 100 not in done.stderr


def test_what_a_reload_removes(database, tenant, make_daemon, reload):
    """A stream that goes is disconnected, a credential that goes has no expiry; both are told."""
    d = make_daemon(daemon.config(database.dsn, tenant, streams={"other": {
        "url": tenant.ws_url("/stream/other"), "table": "cxone_events"}})).start().wait_ready()
    expiry = 'cxsink_token_expiry_timestamp_seconds{auth="cxone"}'
    assert d.metrics()[expiry] > time.time()
    del d.config["auth"], d.config["streams"]["main"]
    reload(d)
    ended = [entry for entry in d.audit() if entry["event"] == "stream.disconnected"]
    assert [(entry["stream"], entry["code"]) for entry in ended] == [("main", "reload")]
    metrics = d.metrics()
    assert metrics[expiry] == 0 and metrics['cxsink_stream_connected{stream="main"}'] == 0
    assert metrics['cxsink_stream_disconnects_total{stream="main",code="reload"}'] == 1
    assert metrics['cxsink_stream_connected{stream="other"}'] == 1


# --- the simulator ---

def test_simulated_count_that_is_passed_already(build, tmp_path):
    """A smaller count than was sent is the end of it."""
    async def run(server):
        async with aiohttp.ClientSession() as session, session.ws_connect(server.ws_url("/s")) as socket:
            for _ in range(100):
                await socket.receive(timeout=20)
            server.post("/sim/set?count=50")
            server.post("/sim/close?code=1000")
            return (await socket.receive(timeout=20)).type
    with sim.Sim(build, tmp_path, "--no-auth", "--count", 100) as server:
        assert asyncio.run(run(server)) == aiohttp.WSMsgType.CLOSE
        assert server.stats()["sent"] == 100


def test_simulated_token_that_is_late(build, tmp_path):
    """A delay alone is no wrong answer."""
    with sim.Sim(build, tmp_path) as server:
        server.post("/sim/token?delay=0.3&times=1")
        since = time.monotonic()
        with urllib.request.urlopen(server.url("/token"), data=b"grant_type=client_credentials", timeout=20) as answer:
            assert "access_token" in json.loads(answer.read())
        assert time.monotonic() - since >= 0.3
