# SPDX-License-Identifier: Apache-2.0
"""What the daemon tells: the admin endpoint, the control socket, cxsink status; and the commands' help,
exit codes and migrations."""
import http.client
import json
import os
import pathlib
import re
import socket
import stat
import subprocess

import pytest

from support import commands, daemon, tenant as tenants, wait

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOKEN = "a-token-of-the-admin"
COMMANDS = ("run", "check", "migrate", "load", "validate", "status", "dead", "jobs", "spool", "names", "audit", "resume")


def request(port, path, method="GET", host=None, address="127.0.0.1", token=TOKEN, body=None):
    """(status, headers, body) over TCP."""
    connection = http.client.HTTPConnection(address, port, timeout=20)
    try:
        connection.putrequest(method, path, skip_host=host is not None)
        if host:
            connection.putheader("Host", host)
        if token:
            connection.putheader("Authorization", f"Bearer {token}")
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


def port_of(d):
    return int(d.status()["admin_port"])


@pytest.fixture
def busy(database, tenant, make_daemon):
    """A daemon that has seen rows, updates and dead letters."""
    settings = daemon.config(database.dsn, tenant, admin={"token": TOKEN})
    d = make_daemon(settings).start().wait_ready()
    events = [tenants.event(f"k{i}") for i in range(50)]
    tenant.send(*events, *events, "bad", tenants.event('quote"\\', extra=1))
    wait.until(lambda: d.stream()["received"] == 102, 30, "all is received")
    wait.until(lambda: d.status()["spool"]["events"] == 0, 30, "all is stored")
    return d


def test_metrics_are_well_formed(busy):
    """promtool takes them; the counts are right; every name has its help and type once."""
    status, headers, text = request(port_of(busy), "/metrics")
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    counted = {name: float(value) for name, value in values.items()}
    assert counted['cxsink_events_received_total{stream="main"}'] == 102
    results = ("inserted", "updated", "unchanged")
    committed = [counted.get(f'cxsink_events_committed_total{{stream="main",result="{result}"}}', 0)
                 for result in results]
    assert committed[0] == 50 and sum(committed) == 100
    assert counted['cxsink_events_rejected_total{stream="main",reason="json.syntax"}'] == 1
    assert counted['cxsink_commit_latency_seconds_count{stream="main"}'] == 100
    assert counted['cxsink_commit_latency_seconds_bucket{stream="main",le="+Inf"}'] == 100
    assert counted['cxsink_stream_connected{stream="main"}'] == 1
    assert counted['cxsink_token_refreshes_total{auth="cxone",result="ok"}'] == 1
    assert counted['cxsink_token_expiry_timestamp_seconds{auth="cxone"}'] > 1.7e9
    assert counted["cxsink_spool_events"] == 0
    assert counted["cxsink_spool_max_bytes"] == 1 << 30
    assert counted["process_resident_memory_bytes"] > 1 << 20 and counted["process_open_fds"] > 5
    helped = [line.split()[2] for line in text.splitlines() if line.startswith("# HELP")]
    typed = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert helped == typed and len(set(helped)) == len(helped)
    for name in ("cxsink_received_bytes_total", "cxsink_stream_connects_total", "cxsink_batches_total",
                 "cxsink_spool_bytes", "cxsink_spool_oldest_seconds", "cxsink_pg_connections", "cxsink_build_info",
                 "cxsink_batch_events", "cxsink_batch_seconds", "cxsink_spool_sync_seconds",
                 "cxsink_loop_stall_seconds", "process_cpu_seconds_total", "process_start_time_seconds"):
        assert name in helped, name


def test_who_is_served(busy):
    """Foreign Host headers and missing tokens are refused; nothing is changed over TCP; the control socket
    needs neither, and is for its group alone."""
    port = port_of(busy)
    assert request(port, "/healthz", token=None)[0] == 200
    for path in ("/metrics", "/readyz", "/api/status", "/nothing"):
        status, headers, body = request(port, path, token=None)
        assert (status, headers["WWW-Authenticate"]) == (401, "Bearer") and "cxsink_" not in body, path
        assert request(port, path, token=TOKEN[:-1])[0] == 401
        assert request(port, path, token=TOKEN + "x")[0] == 401
    for host in ("localhost", f"localhost:{port}", "127.0.0.1", f"127.0.0.1:{port}", "[::1]:80", "127.1.2.3"):
        assert request(port, "/readyz", host=host)[0] == 200, host
    for host in ("example.com", f"example.com:{port}", "localhost.example.com", "127.0.0.1.example.com", "10.0.0.1", "x"):
        status, _, body = request(port, "/readyz", host=host)
        assert status == 403 and "ready" not in body, host
        assert request(port, "/healthz", host=host)[0] == 403
    for method in ("POST", "PUT", "DELETE"):
        assert request(port, "/readyz", method=method, body=b"{}")[0] == 405, method
    assert request(port, "/nothing")[0] == 404 and request(port, "/api/../readyz")[0] in (200, 404)
    status, headers, body = request(port, "/metrics", method="HEAD")
    assert status == 200 and body == "" and int(headers["Content-Length"]) > 1000
    mode = os.stat(pathlib.Path(busy.config["runtime_dir"]) / "control.sock")
    assert stat.S_ISSOCK(mode.st_mode) and stat.S_IMODE(mode.st_mode) == 0o660
    assert busy.get("/metrics")[0] == 200 and busy.get("/nothing")[0] == 404
    assert TOKEN not in busy.log()


def test_another_address(database, tenant, make_daemon, cxsink, workdir):
    """The configured address is served under its name; one that is not loopback needs a token."""
    d = make_daemon(daemon.config(database.dsn, tenant, admin={"listen": "127.0.0.2:0", "token": TOKEN})).start()
    d.wait_up()
    port = port_of(d)
    assert request(port, "/healthz", address="127.0.0.2")[0] == 200
    assert request(port, "/api/status", address="127.0.0.2")[0] == 200
    assert request(port, "/api/status", address="127.0.0.2", token=None)[0] == 401
    with pytest.raises(OSError):
        request(port, "/healthz", address="127.0.0.1")
    with socket.create_connection(("127.0.0.2", port)) as idle:  # keeps nobody waiting
        idle.sendall(b"GET /metrics HTTP/1.1\r\nHost: loc")
        assert request(port, "/healthz", address="127.0.0.2")[0] == 200
    for listen in ("0.0.0.0:9464", "192.0.2.7:9464", "[::]:9464"):
        path = workdir / "open.json"
        path.write_text(json.dumps(daemon.config("", admin={"listen": listen})))
        done = cxsink("check", "-c", path)
        assert done.returncode == 78 and "token" in done.stderr, listen
    taken = dict(d.config, admin={"listen": f"127.0.0.2:{port}"}, state_dir=str(workdir / "s"),
                 runtime_dir=str(workdir / "r"))
    path.write_text(json.dumps(taken))
    done = cxsink("run", "-c", path)
    assert done.returncode == 78 and f"127.0.0.2 port {port}" in done.stderr


def test_readiness(database, tenant, make_daemon):
    """Ready only with streams and database; otherwise every reason, while /healthz stays well."""
    tenant.handshake_answers += [tenants.respond(503, headers={"Retry-After": "1"})]
    d = make_daemon(daemon.config("host=127.0.0.1 port=1", tenant)).start()
    wait.until(lambda: len(d.status()["reasons"]) == 2 and "503" in d.get("/readyz")[1], 30, "both reasons are there")
    status, body = d.get("/readyz")
    told = json.loads(body)
    assert status == 503 and told["ready"] is False and d.get("/healthz")[0] == 200
    assert any(reason.startswith("stream main is not connected") for reason in told["reasons"])
    assert any(reason.startswith("database ") for reason in told["reasons"])
    wait.until(lambda: d.stream()["connected"], 30, "the stream is connected")
    assert len(d.status()["reasons"]) == 1
    tenant.send(tenants.event("kept"))
    wait.until(lambda: d.status()["spool"]["events"] == 1, 30, "the event is spooled")
    d.config["postgres"]["dsn"] = database.dsn
    d.write()
    d.send_signal(1)
    d.wait_ready()
    assert d.get("/readyz") == (200, '{"ready":true,"reasons":[]}\n')
    wait.until(lambda: database.count() == 1, 30, "the event is a row")


def test_status_command(busy, cxsink, build):
    """For people and as JSON, with the configuration or only the directory; 69 once it is stopped."""
    done = cxsink("status", "-c", busy.path, "--json")
    assert done.returncode == 0
    told = json.loads(done.stdout)
    assert told["ready"] is True and told["pid"] == busy.process.pid and told["version"] in cxsink("--version").stdout
    stream, = told["streams"]
    assert (stream["name"], stream["received"], stream["inserted"], stream["rejected"]) == ("main", 102, 50, 2)
    assert told["database"]["dead_letters"] == 2 and told["spool"]["max_bytes"] == 1 << 30
    assert told["tokens"][0]["state"] == "valid" and "token-1" not in done.stdout
    for arguments in (("-c", busy.path), ("--runtime-dir", busy.config["runtime_dir"])):
        text = cxsink("status", *arguments).stdout
        assert re.match(rf"cxsink \S+: ready, up \d+ s, process {busy.process.pid}\n", text)
        assert re.search(r"^main +live +102 +100 +2 +\d+ ms +\d+ s$", text, re.M), text
        assert re.search(r"^spool +\.{10} 0 events, .* of 1\.0 GiB$", text, re.M)
        assert re.search(r"^database  ready, 2 of 2 connections, .*\n +50 inserted, ", text, re.M)
        assert re.search(r"^token +cxone valid for \d+ min more$", text, re.M) and "\x1b" not in text
    done = cxsink("status", "-c", busy.path, "--ready")
    assert (done.returncode, done.stdout) == (0, "ready\n")
    busy.stop()
    for arguments in (("-c", busy.path), ("--runtime-dir", busy.config["runtime_dir"], "--json"),
                      ("-c", busy.path, "--ready")):
        done = cxsink("status", *arguments)
        assert done.returncode == 69 and done.stdout == "" and "is it running" in done.stderr
    assert cxsink("status", "--runtime-dir", "/tmp/" + "x" * 120).returncode == 69


def test_status_of_trouble(tenant, make_daemon, cxsink):
    """D9: what is stuck is said to be, and the command answers at once."""
    d = make_daemon(daemon.config("host=127.0.0.1 port=1", tenant)).start()
    wait.until(lambda: d.stream()["connected"], 30, "the stream is connected")
    tenant.send(*[tenants.event(f"k{i}") for i in range(10)])
    wait.until(lambda: d.status()["spool"]["events"] == 10, 30, "they are spooled")
    text = cxsink("status", "-c", d.path).stdout
    assert "NOT READY" in text and re.search(r"^! database down: .*127\.0\.0\.1", text, re.M), text
    assert re.search(r"^spool     \.{10} 10 events", text, re.M)
    done = cxsink("status", "-c", d.path, "--ready")
    assert done.returncode == 1 and re.match(r"not ready\n! database down: ", done.stdout), done.stdout
    done = cxsink("status", "-c", d.path, "--ready", "--json")
    assert done.returncode == 1 and json.loads(done.stdout)["ready"] is False


def test_help_and_usage(cxsink):
    """Every command has its help; what is misspelt is 64 and names the way out."""
    overview = cxsink("--help")
    assert overview.returncode == 0 and overview.stderr == "" and cxsink("-h").stdout == overview.stdout
    for command in COMMANDS:
        assert re.search(rf"^  {command} +\S", overview.stdout, re.M), command
        for option in ("--help", "-h"):
            done = cxsink(command, option)
            assert done.returncode == 0 and done.stderr == "", command
            assert f"cxsink {command}" in done.stdout and "usage:" in done.stdout
        done = cxsink(command, "--no-such-option")
        assert done.returncode == 64 and done.stdout == "" and "--help" in done.stderr, command
    listed = re.findall(r"^  (\w+) +\S", overview.stdout.split("Common options")[0], re.M)
    assert set(listed) == set(COMMANDS), "a command without a test"
    for arguments in ((), ("fly",), ("check", "file"), ("status", "now"), ("run", "fast"), ("migrate", "up"), ("--wat",)):
        done = cxsink(*arguments)
        assert done.returncode == 64 and done.stdout == "" and "--help" in done.stderr + overview.stdout, arguments
    assert re.fullmatch(r"cxsink \d+\.\d+\.\d+\n", cxsink("--version").stdout)


def test_configuration_is_found(cxsink, workdir):
    """-c before or behind the command, else $CXSINK_CONFIG."""
    path = workdir / "here.json"
    path.write_text("[]")
    for arguments, environment in ((("check", "-c", path), None), (("-c", path, "check"), None),
                                   (("--config", path, "check"), None), (("check", f"--config={path}"), None),
                                   (("check",), {"CXSINK_CONFIG": str(path)})):
        done = cxsink(*arguments, env={**os.environ, **(environment or {})})
        assert done.returncode == 78 and done.stderr.startswith(f"{path}:1:"), (arguments, done.stderr)
    bare = {name: value for name, value in os.environ.items() if name != "CXSINK_CONFIG"}
    if not os.path.exists("/etc/cxsink/cxsink.json"):
        assert "/etc/cxsink/cxsink.json" in cxsink("check", env=bare).stderr


def dump(database):
    """The schema of a database, as pg_dump writes it, and the applied migrations."""
    cluster = database.cluster
    done = subprocess.run([str(cluster.bin / "pg_dump"), "--schema-only", cluster.dsn(database.name)],
                          capture_output=True, text=True, check=True, timeout=60)
    text = "\n".join(line for line in done.stdout.splitlines() if not line.startswith(("\\restrict", "\\unrestrict")))
    return text, database.query("select version, name, sha256 from cxsink.migrations order by 1")


def test_migrations_by_a_dba(build, workdir, database, shared_database, cxsink):
    """What `migrate --print` prints does the same as `migrate`; each again changes nothing."""
    printed = cxsink("migrate", "--print")
    assert printed.returncode == 0 and printed.stderr == ""
    made = commands.Commands(build, workdir, daemon.config(database.dsn))
    assert "by" in made.run("migrate").stdout
    by_command = dump(database)
    for _ in range(2):
        subprocess.run([str(database.cluster.bin / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", shared_database.dsn],
                       input=printed.stdout, text=True, check=True, capture_output=True, timeout=60)
        assert dump(shared_database) == by_command
    assert "up to date" in made.run("migrate").stdout and dump(database) == by_command
    told = json.loads(made.run("migrate", "--json").stdout)
    assert told["result"] == "ok" and told["applied"] == 0
    made.config["postgres"]["dsn"] = "host=127.0.0.1 port=1"
    made.write()
    made.run("migrate", code=69)


def test_example_and_its_schema_agree(cxsink, build, workdir):
    """config/cxsink.schema.json takes the shipped example, by the project's own validator."""
    example = "\n".join(line for line in (ROOT / "config/cxsink.json").read_text().splitlines())
    bare = re.sub(r'("(?:[^"\\]|\\.)*")|//[^\n]*|/\*.*?\*/', lambda found: found.group(1) or "", example, flags=re.S)
    line = workdir / "example.ndjson"
    line.write_text(json.dumps(json.loads(bare)) + "\n")
    schema = ROOT / "config/cxsink.schema.json"
    done = cxsink("validate", "--schema", schema, line)
    assert done.returncode == 0, done.stdout + done.stderr
    line.write_text(json.dumps(dict(json.loads(bare), shutdown_timout="3s")) + "\n")
    assert cxsink("validate", "--schema", schema, line).returncode == 1
