# SPDX-License-Identifier: Apache-2.0
"""cxsink-sim itself, and the daemon against its faults and its load."""
import base64
import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from support import certificates, daemon, sim, streams, wait


@pytest.fixture
def make_sim(build, tmp_path):
    """make_sim(option, ...) -> Sim that listens; they end with the test."""
    running = []

    def make(*options):
        running.append(sim.Sim(build, tmp_path / f"sim{len(running)}", *options).__enter__())
        return running[-1]

    yield make
    for tenant in running:
        tenant.__exit__()


def ask(url, body=b"", headers=None, method="POST"):
    """(status, headers, JSON or text)"""
    request = urllib.request.Request(url, data=body, headers=headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            status, got, text = answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        status, got, text = error.code, error.headers, error.read().decode()
    return status, got, json.loads(text) if text.startswith("{") else text


# --- the program ---

def test_help_and_wrong_usage(build):
    def run(*options):
        return subprocess.run([str(build / "cxsink-sim"), *options], capture_output=True, text=True, timeout=30)
    said = run("--help")
    assert said.returncode == 0 and said.stdout.startswith("usage: cxsink-sim")
    for option in ("--rate", "--duplicates", "--exit-when-done", "/sim/stats", "/sim/silence"):
        assert option in said.stdout
    assert all(len(line) <= 100 for line in said.stdout.splitlines())
    for wrong in (["--nonsense"], ["--rate", "fast"], ["--duplicates", "101"], ["--listen", "here"], ["--cert", "x"],
                  ["--client-id", "x"], ["argument"], ["--count", "-1"]):
        done = run(*wrong)
        assert done.returncode == 64 and done.stderr, wrong
    done = run("--listen", "127.0.0.1:0", "--cert", "/nonexistent", "--key", "/nonexistent")
    assert done.returncode == 69 and "cannot listen" in done.stderr
    done = run("--listen", "127.0.0.1:0", "--port-file", "/nonexistent/port")
    assert done.returncode == 70 and "/nonexistent/port" in done.stderr


def test_a_port_that_is_taken(build, make_sim):
    port = make_sim().port
    done = subprocess.run([str(build / "cxsink-sim"), "--listen", f"127.0.0.1:{port}"], capture_output=True, text=True,
                          timeout=30)
    assert done.returncode == 69 and str(port) in done.stderr


@pytest.mark.parametrize("address", ["192.0.2.1:8080", "lo:8080", "localhost:8080"])
def test_an_address_that_is_not_ours(build, address):
    """libwebsockets 4.3 tries the first for ever."""
    done = subprocess.run([str(build / "cxsink-sim"), "--listen", address], capture_output=True, text=True, timeout=30)
    assert done.returncode == 69 and "cannot listen" in done.stderr


def test_token_variants(make_sim):
    """Every place where a client's id and secret may stand; a wrong one is refused, with words."""
    server = make_sim("--client-id", "the id", "--client-secret", "s=1&2+", "--expires-in", "60")
    url, form = server.url("/oauth/token"), {"Content-Type": "application/x-www-form-urlencoded"}
    client = "client_id=the+id&client_secret=s%3D1%262%2B"
    basic = {"Authorization": "Basic " + base64.b64encode(b"the%20id:s%3D1%262%2B").decode()}
    good = [
        (url, f"grant_type=client_credentials&{client}&scope=a%20b", form),
        (url, "grant_type=client_credentials", {**form, **basic}),
        (f"{url}?grant_type=client_credentials&{client}", "", {}),
        (f"{url}?grant_type=client_credentials&scope=x", "", basic),
        (url, json.dumps({"accessKeyId": "the id", "accessKeySecret": "s=1&2+"}), {"Content-Type": "application/json"}),
        (url, json.dumps({"client_id": "the id", "client_secret": "s=1&2+"}), {"Content-Type": "application/json"}),
        (url, "grant_type=password&username=the+id&password=s%3D1%262%2B", form),
        (url, "grant_type=refresh_token&refresh_token=refresh-1", form),
    ]
    tokens = set()
    for where, body, headers in good:
        status, _, answer = ask(where, body.encode(), headers)
        assert status == 200, (where, body, answer)
        assert answer["token_type"].lower() == "bearer" and answer["expires_in"] == 60
        tokens.add(answer["access_token"])
        if "scope=a%20b" in body:
            assert answer["scope"] == "a b"
        assert ("refresh_token" in answer) == ("grant_type=password" in body)
    assert len(tokens) == len(good) == server.stats()["tokens"]
    for where, body, headers in ((url, client[:-1], form), (url, "", {}), (url, "client_id=the+id", form),
                                 (url, "", {"Authorization": "Basic !!!"}), (url, "{", {})):
        status, _, answer = ask(where, body.encode(), headers)
        assert status == 401 and answer["error"] == "invalid_client" and answer["error_description"], body


def test_controls_that_are_none(make_sim):
    server = make_sim()
    assert ask(server.url("/sim/nothing"))[0] == 404
    assert ask(server.url("/sim/close"), None, method="GET")[0] == 405
    assert ask(server.url("/elsewhere"))[0] == 404
    assert ask(server.url("/sim/stats"), None, method="GET")[2]["sent"] == 0


# --- its faults, against the daemon ---

def settings(database, server, **changes):
    made = daemon.config(database.dsn, server, **changes)
    made["streams"]["main"]["reconnect"] = {"base": "10ms", "cap": "50ms", "stable": "60s"}
    return made


def test_faults_on_request(shared_database, make_daemon, make_sim):
    """401, 429 with Retry-After, close 4001, reset, garbage, silence, a token endpoint that is slow to say 503: the
    daemon comes back from each, and every event is there."""
    server = make_sim("--seed", 101, "--rate", 1000)
    server.post("/sim/token?status=503&retry_after=1&times=1&delay=0.3&body=busy")
    since = time.monotonic()
    d = make_daemon(settings(shared_database, server, streams={"main": {
        "ping": {"interval": "200ms", "timeout": "800ms"}}})).start().wait_up()

    def back(connects):
        wait.until(lambda: streams.connects(d) >= connects and d.stream()["state"] == "live", 30,
                   f"connection {connects}")
    back(1)
    assert time.monotonic() - since >= 1.3 and "answered 503: busy" in d.log()

    before = streams.connects(d), server.stats()["tokens"]
    server.post("/sim/stream?status=401&times=1")
    server.post("/sim/reset")
    back(before[0] + 1)
    assert streams.ends(d, "http_401") == 1 and server.stats()["tokens"] == before[1] + 1
    connects, since = streams.connects(d), time.monotonic()
    server.post("/sim/stream?status=429&retry_after=1&times=1")
    server.post("/sim/close?code=1012&reason=restart")
    back(connects + 1)
    assert streams.ends(d, "http_429") == 1 and time.monotonic() - since >= 1

    tokens = server.stats()["tokens"]
    server.post("/sim/close?code=4001&reason=expired")
    back(connects + 2)
    assert streams.ends(d, "4001") == 1 and server.stats()["tokens"] > tokens

    for action, code in (("garbage", None), ("silence", "ping_timeout"), ("reset", "1006")):
        connects = streams.connects(d)
        server.post(f"/sim/{action}")
        back(connects + 1)
        assert code is None or streams.ends(d, code) >= 1, action
    stats = server.stats()
    assert stats["connections"] == streams.connects(d) and stats["refused"] >= 2

    server.post(f"/sim/set?count={server.stats()['sent'] + 500}")
    wait.until(lambda: server.stats()["done"], 30, "the last event")
    total = server.stats()["sent"]
    wait.until(lambda: shared_database.value(
        "select count(*) from cxone_events where idempotency_key like 'sim101-%%'") == total, 30, f"{total} rows")


def test_expired_tokens_are_refused(shared_database, make_daemon, make_sim):
    """S6: tokens that really end, refreshed in time: no handshake is refused, whenever it comes."""
    server = make_sim("--seed", 102, "--rate", 200, "--expires-in", "1")
    d = make_daemon(settings(shared_database, server)).start().wait_up()
    for connects in range(1, 6):
        wait.until(lambda: streams.connects(d) >= connects and d.stream()["state"] == "live", 20)
        seen = server.stats()["tokens"]
        wait.until(lambda: server.stats()["tokens"] > seen, 20, "a refresh")
        server.post("/sim/reset")
    assert streams.ends(d, "http_401") == 0 and server.stats()["refused"] == 0


def test_tls(shared_database, make_daemon, tmp_path, build):
    """TLS for stream and tokens."""
    authority = certificates.Authority(tmp_path / "ca")
    pem, key = authority.issue("sim")
    with sim.Sim(build, tmp_path / "sim", "--cert", pem, "--key", key, "--count", 2000, "--seed", 103) as server:
        tls = {"ca_file": str(authority.pem)}
        made = settings(shared_database, server, auth={"cxone": {"tls": tls}}, streams={"main": {"tls": tls}})
        d = make_daemon(made).start().wait_ready()
        wait.until(lambda: d.stream()["committed"] == 2000, 30, "all of it")


# --- its load ---

def test_shares_are_exact(shared_database, make_daemon, make_sim):
    """Duplicates, older versions and malformed events: rows and dead letters are what /sim/stats says."""
    count = 20_000
    server = make_sim("--seed", 104, "--count", count, "--duplicates", 10, "--older", 5, "--malformed", 3)
    dead_before = len(shared_database.dead())
    d = make_daemon(settings(shared_database, server)).start().wait_ready()
    wait.until(lambda: d.stream()["committed"] + d.stream()["rejected"] == count, 60, "all of it")
    stats = server.stats()
    assert stats["sent"] == stats["unique"] + stats["duplicates"] + stats["older"] + stats["malformed"] == count
    assert stats["done"] and stats["resent"] == 0
    for share, percent in (("duplicates", 10), ("older", 5), ("malformed", 3)):
        assert 0.8 * percent < stats[share] / count * 100 < 1.2 * percent, share
    main = d.stream()
    assert main["inserted"] == stats["unique"] and main["rejected"] == stats["malformed"]
    assert main["updated"] + main["unchanged"] == stats["duplicates"] + stats["older"]
    rows = shared_database.query(
        "select count(*), count(*) filter (where \"timestamp\" = timestamptz '2026-01-01 00:00:00Z'"
        " + substr(idempotency_key, 8)::bigint * interval '1 millisecond')"
        " from cxone_events where idempotency_key like 'sim104-%%'")
    assert rows == [(stats["unique"], stats["unique"])]  # and no older version overwrote one
    reasons = shared_database.dead()[dead_before:]
    assert len(reasons) == stats["malformed"]
    assert {"json.syntax", "text.nul", "schema.enum", "schema.pattern", "schema.format", "schema.required",
            "schema.additionalProperties", "schema.minLength"} == set(reasons)


def test_newer_versions_and_the_end(shared_database, make_daemon, make_sim):
    """--shift-ms brings every row up to date; --exit-when-done ends the program."""
    for shift, column in ((0, "inserted"), (1000, "updated")):
        server = make_sim("--seed", 105, "--count", 1000, "--shift-ms", shift, "--exit-when-done")
        d = make_daemon(settings(shared_database, server)).start().wait_up()
        wait.until(lambda: d.stream()[column] == 1000, 30, f"1,000 {column}")
        assert d.stop() == 0
        assert server.process.wait(20) == 0


MARK = b'"idempotencyKey"'


def test_how_fast_it_sends(make_sim):
    """Printed only: a client that does nothing but read."""
    count = 500_000
    server = make_sim("--no-auth", "--paused", "--count", count)
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        key = base64.b64encode(os.urandom(16)).decode()
        connection.sendall((f"GET /stream HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nUpgrade: websocket\r\n"
                            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
                            ).encode())
        assert b" 101 " in connection.recv(4096)
        server.post("/sim/set?paused=0")
        since, size, seen, rest = time.monotonic(), 0, 0, b""
        connection.settimeout(10 * wait.FACTOR)
        while seen < count:
            data = connection.recv(1 << 20)
            size += len(data)
            data = rest + data
            seen += data.count(MARK)
            rest = data[-len(MARK) + 1:]  # it may be cut in two
        seconds = time.monotonic() - since
    print(f"{count / seconds:.0f} events/s, {size / seconds / 2**20:.0f} MiB/s, {size / count:.0f} bytes each")
    assert server.stats()["sent"] == count
