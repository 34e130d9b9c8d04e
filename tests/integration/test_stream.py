# SPDX-License-Identifier: Apache-2.0
"""Streams of tenants that misbehave: what ends a connection, and what follows (S1 to S7)."""
import asyncio
import email.utils
import json
import os
import time

import pytest
from aiohttp import web

from support import daemon, peers, streams, tenant as tenants, wait

PROMPT = {"base": "30s", "cap": "30s", "stable": "60s"}  # what comes soon then, comes promptly
LIVELY = {"ping": {"interval": "200ms", "timeout": "600ms"}}


@pytest.fixture
def run(shared_database, tenant, make_daemon):
    """run({"name": {settings}}) -> Daemon that answers."""
    def start(wanted, own_tenant=None, **changes):
        made = streams.config(shared_database.dsn, own_tenant or tenant, wanted, **changes)
        return make_daemon(made).start().wait_up()
    return start


def wait_live(d, name="main", seconds=30):
    wait.until(lambda: d.stream(name)["state"] == "live", seconds, f"{name} is live")


def wait_ends(d, code, count=1, name="main", seconds=30):
    try:
        wait.until(lambda: streams.ends(d, code, name) >= count, seconds, f"{name} ends with {code}")
    except AssertionError as error:
        raise AssertionError(f"{error}\n{d.log()[-3000:]}") from None


def wait_rows(database, prefix, count, seconds=30):
    def rows():
        if database.value("select to_regclass('cxone_events') is null"):
            return 0
        return database.value("select count(*) from cxone_events where idempotency_key like %s", (prefix + "%",))
    wait.until(lambda: rows() == count, seconds, f"{count} rows {prefix}*, not {rows()}")


# --- down, deaf, half-open ---

def test_endpoint_down_for_many_attempts_then_up(run, tenant, shared_database):
    """S1"""
    tenant.stop_listening()
    d = run({"main": {"auth": None, "reconnect": {"base": "5ms", "cap": "20ms", "stable": "60s"}}})
    wait_ends(d, "connect", 60)
    assert streams.connected(d) == 0
    status, body = d.get("/readyz")
    assert status == 503 and "stream main is not connected" in body and "no connection to 127.0.0.1" in body
    tenant.listen_again()
    wait_live(d)
    assert streams.connected(d) == 1
    assert d.stream()["last_error"] is None
    tenant.send(tenants.event("s1-a"))
    wait_rows(shared_database, "s1-", 1)
    assert d.stop() == 0


def test_server_that_stops_ponging(run, tenant):
    """S2"""
    tenant.autoping = False
    d = run({"main": LIVELY})
    wait_ends(d, "ping_timeout", 2)
    tenant.autoping = True
    wait_live(d)
    ended, since = streams.ends(d), time.monotonic()
    # Several pings later it is still the same connection (or one more, opened before the change).
    wait.until(lambda: time.monotonic() - since > 1.5, 30)
    assert d.alive() and streams.ends(d) <= ended + 1
    wait_live(d)


def test_handshake_rejected_and_ignored_then_accepted(run, tenant):
    """S3"""
    async def ignored(_request):
        await asyncio.sleep(2)
        return web.Response(status=500)
    tenant.handshake_answers += [tenants.respond(500), tenants.respond(400), ignored, tenants.respond(404)]
    d = run({"main": {"connect_timeout": "300ms"}})
    wait_live(d)
    assert len(tenant.handshakes) >= 5
    for code in ("http_500", "http_400", "timeout", "http_404"):
        assert streams.ends(d, code) >= 1, code
    assert len(tenant.token_requests) == 1


def test_half_open_connection_is_found(run, tenant, shared_database):
    """S4"""
    with peers.TcpProxy(tenant.port) as proxy:
        d = run({"main": {**LIVELY, "url": f"ws://127.0.0.1:{proxy.port}/stream/main"}})
        wait_live(d)
        proxy.fall_silent()
        since = time.monotonic()
        wait_ends(d, "ping_timeout")
        assert time.monotonic() - since < (0.2 + 0.6 + 1) * wait.FACTOR
        wait.until(lambda: proxy.accepted == 2, 10, "a second connection")
        wait_live(d)
        tenant.send(tenants.event("s4-a"))
        wait_rows(shared_database, "s4-", 1)


def test_ponging_but_silent_server(run, tenant):
    """S5"""
    d = run({"main": {**LIVELY, "idle_timeout": "1s"}})
    wait_ends(d, "idle_timeout")
    assert streams.ends(d, "ping_timeout") == 0
    wait.until(lambda: (1001,) in tenant.closes, 10, "the server saw 1001")
    wait.until(lambda: streams.connects(d) >= 2, 10, "a second connection")


def test_peer_of_the_websockets_library(run, tenant, shared_database):
    """S2, S6: another implementation: it pings, compresses where it may, and closes with a reason."""
    with peers.WebsocketsPeer(ping_interval=0.2, ping_timeout=2) as peer:
        d = run({"main": {"url": peer.url("/stream/main"), "reconnect": PROMPT}})
        wait_live(d)
        peer.send(*[tenants.event(f"lib-{i}") for i in range(200)])
        peer.send(["{", '"interactionId":"f","timestamp":"2026-03-14T09:26:53Z",', "",
                   '"type":"call","idempotencyKey":"lib-fragments"}'])
        wait_rows(shared_database, "lib-", 201)
        since = time.monotonic()
        wait.until(lambda: time.monotonic() - since > 1, 30)  # several of its pings
        assert streams.ends(d) == 0 and peer.opened == 1
        peer.close(4001, "token expired")
        wait_ends(d, "4001")
        wait.until(lambda: peer.opened == 2, 10, "a prompt second connection")
        assert len(tenant.token_requests) == 2
        assert "token expired" in str(d.audit())


# --- tokens that end ---

def test_token_refused_on_reconnect_is_never_sent_again(run, tenant):
    """S6: handshake 401, 403, and both in a row."""
    d = run({"main": {}})
    wait_live(d)
    for i, refusal in enumerate((401, 403, 401), 1):
        stale = f"token-{i}"
        if refusal == 401:
            tenant.refused.add(stale)
        else:
            tenant.handshake_answers.append(tenants.respond(403))
        tenant.reset()
        wait.until(lambda: tenant.handshakes[-1]["token"] != stale, 20, "a new token")
        wait_live(d)
    assert streams.tokens_seen(tenant, "/stream/main") == [
        "token-1", "token-1", "token-2", "token-2", "token-3", "token-3", "token-4"]
    assert streams.ends(d, "http_401") == 2 and streams.ends(d, "http_403") == 1
    assert len(tenant.token_requests) == 4


def test_refused_again_and_again(run, tenant):
    """S6: every token is refused: a fresh one each time, ever more slowly, and the reason is told."""
    tenant.handshake_answers += [tenants.respond(401)] * 3
    d = run({"main": {}})
    wait.until(lambda: "was refused" in d.get("/readyz")[1] or "fresh tokens" in d.get("/readyz")[1], 20, "the reason")
    wait.until(lambda: "401" in d.get("/readyz")[1] or len(tenant.handshakes) > 3, 20, "the reason")
    wait_live(d, seconds=60)
    seen = streams.tokens_seen(tenant, "/stream/main")
    assert len(seen) == len(set(seen)) == 4, seen


def test_close_codes_that_mean_the_token(run, tenant):
    """S6: 4001, 1008 and a configured 4401: the token is dropped and the reconnect is prompt."""
    codes = {"a": (4001, {}), "b": (1008, {}), "c": (4401, {"token_close_codes": [4401, 4407]})}
    auths = {f"auth-{n}": {"grant": "client_credentials", "token_url": tenant.url(f"/token/{n}"),
                           "client_id": "id", "client_secret": "secret"} for n in codes}
    d = run({n: {"auth": f"auth-{n}", "reconnect": PROMPT, **own} for n, (_, own) in codes.items()}, auth=auths)
    for name, (code, _) in codes.items():
        path = f"/stream/{name}"
        wait_live(d, name)
        tenant.close(code, "token expired", to=path)
        wait.until(lambda: len(streams.handshakes(tenant, path)) == 2, 15, f"a prompt reconnect after {code}")
        wait_live(d, name)
        first, second = streams.tokens_seen(tenant, path)
        assert first != second
        assert streams.ends(d, code, name) == 1
    assert len(tenant.token_requests) == 6


def test_other_close_codes_keep_the_token(run, tenant):
    """S6: 4401 is a code like any other where it is not configured."""
    d = run({"main": {}})
    for count, code in enumerate((4401, 1001, 1011), 1):
        wait_live(d)
        tenant.close(code)
        wait.until(lambda: len(tenant.handshakes) == count + 1, 20, f"reconnect after {code}")
    wait_live(d)
    assert len(tenant.token_requests) == 1


def test_streams_that_share_a_token_drop_it_once(run, tenant):
    """S6, J5: both are told that it expired; one request brings the next one for both."""
    d = run({"a": {}, "b": {}})
    wait_live(d, "a")
    wait_live(d, "b")
    tenant.close(4001, to="/stream/a")
    tenant.close(4001, to="/stream/b")
    for name in ("a", "b"):
        wait.until(lambda: streams.connects(d, name) == 2, 20, f"{name} again")
    assert len(tenant.token_requests) == 2
    assert sorted(tenant.tokens) == ["token-1", "token-2"]


def test_server_that_closes_at_expiry(run, tenant):
    """S6: by then there is a newer token, and that one is used."""
    tenant.token_life = 1
    d = run({"main": {"reconnect": PROMPT}})
    wait_live(d)
    wait.until(lambda: len(tenant.token_requests) >= 2, 20, "a refresh in time")
    current = len(tenant.tokens)
    tenant.close(4001, "expired")
    wait.until(lambda: len(tenant.handshakes) == 2, 15, "a prompt reconnect")
    assert tenant.handshakes[1]["token"] in tenant.tokens[current - 1:]
    assert streams.ends(d, "http_401") == 0


def test_token_endpoint_that_fails_for_a_while(run, tenant, make_daemon):
    """S6: errors of every kind, each at an endpoint of its own, then tokens."""
    def dropped(request):
        request.transport.abort()
        return web.Response()
    faults = {"http500": tenants.respond(500, {"error": "later"}), "dropped": dropped,
              "text": tenants.respond(200, text="<html>maintenance</html>"),
              "empty": tenants.respond(200, {"access_token": "", "expires_in": 60}),
              "notype": tenants.respond(200, {"access_token": "x", "token_type": "mac"})}
    auths = {n: {"grant": "client_credentials", "token_url": tenant.url(f"/token/{n}"), "client_id": "id",
                 "client_secret": "secret"} for n in faults}
    for name, fault in faults.items():
        tenant.path_answers[f"/token/{name}"] = [fault]
    d = run({n: {"auth": n} for n in faults}, auth=auths)
    for name in faults:
        wait_live(d, name)
        assert len([r for r in tenant.token_requests if r["path"] == f"/token/{name}"]) == 2
        assert d.metrics()[f'cxsink_token_refreshes_total{{auth="{name}",result="error"}}'] == 1
    assert d.audit_events().count("token.failed") == 5


# --- "not now" and "not here" ---

def test_retry_after(run, tenant):
    """429 and 503 with seconds and with a date, for handshakes and for tokens."""
    def date(_request):
        return web.Response(status=503, headers={"Retry-After": email.utils.formatdate(time.time() + 2.99, usegmt=True)})
    answers = {"h429": tenants.respond(429, headers={"Retry-After": "1"}), "h503": date}
    token_answers = {"t429": tenants.respond(429, headers={"Retry-After": "1"}), "t503": date}
    auths = {n: {"grant": "client_credentials", "token_url": tenant.url(f"/token/{n}"), "client_id": "id",
                 "client_secret": "secret"} for n in token_answers}
    for name, answer in answers.items():
        tenant.path_answers[f"/stream/{name}"] = [answer]
    for name, answer in token_answers.items():
        tenant.path_answers[f"/token/{name}"] = [answer]
    d = run({**{n: {} for n in answers}, **{n: {"auth": n} for n in token_answers}}, auth=auths)
    least = {"h429": 1, "t429": 1, "h503": 1.9, "t503": 1.9}
    for name in least:
        wait_live(d, name)
        requests = tenant.handshakes if name in answers else tenant.token_requests
        path = f"/stream/{name}" if name in answers else f"/token/{name}"
        first, second = [r["at"] for r in requests if r["path"] == path]
        assert least[name] <= second - first, name
        if name in answers:
            assert streams.ends(d, f"http_{name[1:]}", name) == 1


@pytest.mark.parametrize("status", [302, 307])
def test_redirects_do_not_carry_the_token_away(run, tenant, status):
    with tenants.Tenant() as elsewhere:
        away = tenants.respond(status, headers={"Location": elsewhere.url("/stream/main")})
        token_away = tenants.respond(status, headers={"Location": elsewhere.url("/oauth/token")})
        tenant.path_answers["/stream/moved"] = [away] * 3
        tenant.path_answers["/token/moved"] = [token_away] * 3
        auth = {"moved": {"grant": "client_credentials", "token_url": tenant.url("/token/moved"),
                          "client_id": "id", "client_secret": "secret"}}
        d = run({"moved": {}, "unlucky": {"auth": "moved"}}, auth=auth)
        wait_ends(d, f"http_{status}", 2, "moved")
        assert "redirects are not followed" in d.log()
        wait_live(d, "moved")
        wait.until(lambda: d.status()["tokens"][1]["last_error"], 20, "the token's error")
        assert str(status) in d.status()["tokens"][1]["last_error"]
        assert elsewhere.handshakes == [] and elsewhere.token_requests == []


def test_normal_close(run, tenant):
    """1000: stops the stream that is told so, and only that; the rest goes on."""
    d = run({"stops": {"on_normal_close": "stop"}, "returns": {}})
    for name in ("stops", "returns"):
        wait_live(d, name)
        tenant.close(1000, "done", to=f"/stream/{name}")
    wait.until(lambda: d.stream("stops")["state"] == "stopped", 10, "stopped")
    wait.until(lambda: streams.connects(d, "returns") == 2, 20, "connected again")
    wait_live(d, "returns")
    assert len(streams.handshakes(tenant, "/stream/stops")) == 1
    assert streams.ends(d, 1000, "stops") == streams.ends(d, 1000, "returns") == 1
    assert not d.status()["ready"] and d.alive()
    assert d.stop() == 0


def test_server_that_restarts(run, tenant):
    """1012, 1013 (which libwebsockets 4.1 shows as 1002), no code, and a reset."""
    d = run({"main": {}})
    wait_live(d)
    for count, code in enumerate((1012, 1013, None, "reset", "reset"), 1):
        if code == "reset":
            tenant.reset()
        elif code is None:
            tenant.send_raw(bytes([0x88, 0]))
        else:
            tenant.close(code, "service restart")
        wait.until(lambda: streams.connects(d) == count + 1, 20, f"connected again after {code}")
        wait_live(d)
    assert streams.ends(d, 1002) + streams.ends(d, 1012) + streams.ends(d, 1013) == 2
    assert streams.ends(d, 1005) == 1 and streams.ends(d, 1006) == 2
    assert d.audit_events().count("stream.disconnected") == 5
    assert len(tenant.token_requests) == 1


# --- bytes that are no protocol ---

GARBAGE = {
    "reserved opcode": peers.frame("x", opcode=0x3), "reserved control": peers.frame("x", opcode=0xB),
    "reserved bit": peers.frame("x", first_byte=0xC1), "long ping": peers.frame("x" * 126, opcode=0x9),
    "fragmented ping": peers.frame("x", opcode=0x9, final=False), "noise": os.urandom(64).replace(b"\x81", b"\xff"),
    "http": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    "length with the top bit": bytes([0x81, 127]) + b"\xff" * 8,
    "close with one byte": bytes([0x88, 1, 3]), "close with a wild code": peers.frame(b"\x00\x01", opcode=0x8),
}


def test_garbage_instead_of_frames(run, tenant, shared_database):
    """Whatever it is, the connection ends and the next one works."""
    d = run({"main": {**LIVELY, "idle_timeout": "1s"}})
    for number, (name, garbage) in enumerate(GARBAGE.items()):
        wait_live(d)
        connects = streams.connects(d)
        tenant.send_raw(garbage)
        wait.until(lambda: streams.connects(d) > connects, 30, f"connected again after {name}")
        wait_live(d)
    tenant.send(tenants.event("garbage-end"))
    wait_rows(shared_database, "garbage-", 1)
    assert d.alive()


ANSWERS = {
    "truncated status": (b"HTTP/1.1 10", None),
    "truncated headers": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websoc", None),
    "no upgrade": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "http_200"),
    "noise": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", None),
    "long header": (b"HTTP/1.1 101 Switching Protocols\r\nX: " + b"x" * 60000 + b"\r\n\r\n", None),
    "nothing": (b"", None),
}


def test_broken_handshakes_then_an_early_frame(run, shared_database, tenant):
    """Truncated, wrong and unending answers; a wrong accept key; at last a 101 with frames in its packet, and FIN
    right behind them."""
    last = len(ANSWERS) + 2

    def script(connection, number):
        request = peers.read_request(connection)
        if number < len(ANSWERS):
            connection.sendall(list(ANSWERS.values())[number][0])
        elif number == len(ANSWERS):
            connection.sendall(peers.switching(request, accept="AAAAAAAAAAAAAAAAAAAAAAAAAAA="))
        elif number == len(ANSWERS) + 1:
            raw.hold(connection)
        elif number == last:
            body = b"".join(peers.frame(json.dumps(tenants.event(f"early-{i}"))) for i in range(100))
            connection.sendall(peers.switching(request) + body)
        else:
            connection.sendall(peers.switching(request))
            raw.hold(connection)

    with peers.RawPeer(script) as raw:
        d = run({"main": {"url": raw.ws_url(), "connect_timeout": "1s"}})
        wait.until(lambda: raw.accepted > last + 1, 60, "all of them")
        wait_live(d)
        wait_rows(shared_database, "early-", 100)
        assert streams.ends(d, "timeout") >= 1 and streams.ends(d, "1006") == 1
        assert streams.ends(d) == last + 1
        assert streams.connects(d) == 2


def test_server_that_accepts_and_says_nothing(run, tenant):
    """connect_timeout, for plain WebSocket and for TLS."""
    def silent(connection, _number):
        raw.hold(connection)
    with peers.RawPeer(silent) as raw:
        d = run({"plain": {"url": raw.ws_url(), "connect_timeout": "200ms"},
                 "tls": {"url": raw.ws_url().replace("ws:", "wss:"), "connect_timeout": "200ms"}})
        for name in ("plain", "tls"):
            wait_ends(d, "timeout", 3, name)
            wait.until(lambda: "connect_timeout" in (d.stream(name)["last_error"] or ""), 10, "the reason")
        assert raw.accepted >= 6


# --- messages ---

def test_fragments_beyond_the_limit(run, tenant, shared_database, sanitized):
    """S7: 1009, one dead letter of 64 KiB each time, reconnect, memory flat."""
    d = run({"main": {"max_message": "256KiB"}})
    part = b"x" * 1024

    def dead():
        if shared_database.value("select to_regclass('cxsink.dead_letters') is null"):
            return []
        return shared_database.query("select octet_length(payload), payload_sha256 from cxsink.dead_letters"
                                     " where reason = 'frame.too_large'")

    def overflow(count):
        wait_live(d)
        tenant.send_fragments([part] * 4096)
        wait.until(lambda: streams.connects(d) == count + 1, 30, "connected again")
        wait.until(lambda: len(dead()) == count, 30, f"{count} dead letters")

    overflow(1)
    assert dead()[0][0] == 65536
    wait.until(lambda: (1009,) in tenant.closes, 10, "the server saw 1009")
    overflow(2)
    before = d.rss()
    for count in range(3, 13):
        overflow(count)
    assert streams.ends(d, "too_large") == 12
    if not sanitized:
        assert d.rss() - before < 4 << 20
    # Under the limit fragments are fine, however many.
    big = tenants.event("s7-fits", attributes={"transcript": "y" * 200_000})
    text = json.dumps(big).encode()
    tenant.send_fragments([text[i:i + 50] for i in range(0, len(text), 50)])
    wait_rows(shared_database, "s7-", 1)
    assert streams.connects(d) == 13


def test_headers_and_long_tokens(run, tenant):
    """Configured headers reach the server; a token of 8 KiB does too."""
    token = "T" * 8192
    tenant.tokens.append(token)
    tenant.path_answers["/oauth/token"] = [tenants.respond(200, {"access_token": token, "expires_in": 3600})]
    d = run({"main": {"headers": {"Accept": "application/json", "X-Tenant": "a b; c=\"d\"", "User-Agent": "mine/1"}}})
    wait_live(d)
    seen = tenant.handshakes[-1]
    assert seen["token"] == token
    assert seen["headers"]["X-Tenant"] == "a b; c=\"d\"" and seen["headers"]["Accept"] == "application/json"
    assert seen["headers"]["User-Agent"] == "mine/1"
    assert "Sec-WebSocket-Extensions" not in seen["headers"]
    assert token[:64] not in d.log()


# --- many, and one that fails ---

def test_twenty_streams_and_one_that_fails(run, tenant, shared_database):
    """The one that is refused all the time holds nobody up; one token serves them all."""
    names = [f"n{i:02}" for i in range(20)]
    tenant.path_answers["/stream/n07"] = [tenants.respond(500)] * 100_000
    d = run({n: {"reconnect": {"base": "2ms", "cap": "5ms", "stable": "60s"}} for n in names})
    wait.until(lambda: len(tenant.sockets) == 19, 30, "19 streams")
    good = [n for n in names if n != "n07"]
    for name in good:
        tenant.send(*[tenants.event(f"many-{name}-{i}") for i in range(50)], to=f"/stream/{name}")
    wait_rows(shared_database, "many-", 50 * 19)
    wait_ends(d, "http_500", 20, "n07")
    for name in good:
        assert d.stream(name)["committed"] == 50 and streams.connects(d, name) == 1, name
    assert d.get("/readyz")[0] == 503 and "n07" in d.get("/readyz")[1] and "n08" not in d.get("/readyz")[1]
    assert len(tenant.token_requests) == 1
    assert d.stop() == 0
