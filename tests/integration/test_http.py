# SPDX-License-Identifier: Apache-2.0
"""net/http against servers that are not ours: aiohttp, hypercorn, and HTTP/2 frame by frame."""
import asyncio
import hashlib
import json

import h2.errors
import h2.events
import pytest
from aiohttp import web

from support import certificates, wait
from support.http_peers import AiohttpPeer, H2Script, HypercornPeer, answer, digest, digest_asgi
from support.http_probe import Probe
from support.peers import RawPeer, read_request

LARGE = 14_000_000

# hypercorn's tasks, cancelled with their connections.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return certificates.Authority(tmp_path_factory.mktemp("ca") / "ca")


@pytest.fixture(scope="module")
def certificate(authority):
    return authority.issue("server", "DNS:localhost,IP:127.0.0.1")


@pytest.fixture
def probe(build):
    made = Probe(build)
    yield made
    assert made.end() == (0, "")


@pytest.fixture
def ca(authority):
    return {"ca": str(authority.pem)}


def pattern(size):
    """The sum of a probe's body of this size."""
    alphabet = b"abcdefghijklmnopqrstuvwxyz"
    return hashlib.sha256((alphabet * (size // 26 + 1))[:size]).hexdigest()


# --- HTTP/2 ---

async def echo(peer, scope, receive, send):
    await digest_asgi(scope, receive, send)


def test_http2_where_it_is_offered(probe, certificate, ca):
    with HypercornPeer(echo, certificate) as peer:
        said = probe.ask(peer.url(), **ca)
        assert (said["code"], json.loads(said["body"])["version"]) == ("ok", "2")
        assert json.loads(probe.ask(peer.url(), http1=True, **ca)["body"])["version"] == "1.1"
        assert json.loads(probe.ask(peer.url(), method="POST", body="x", **ca)["body"])["version"] == "2"
    with HypercornPeer(echo, certificate, protocols=("http/1.1",)) as peer:
        assert json.loads(probe.ask(peer.url(), **ca)["body"])["version"] == "1.1"


@pytest.mark.parametrize("http1", [False, True])
def test_large_uploads(probe, certificate, ca, http1):
    """Sources of many sizes arrive byte for byte, over both versions; several at a time."""
    with HypercornPeer(echo, certificate) as peer:
        sizes = [1, 16383, 16384, 16385, 65535, 65536, 65537, 1 << 20, LARGE, LARGE]
        asked = [(size, probe.start(peer.url(), method="POST", body_size=size, http1=http1, pool=4, **ca))
                 for size in sizes]
        for size, ident in asked:
            said = probe.result(ident, 60)
            got = json.loads(said["body"])
            assert (got["length"], got["sha256"]) == (size, pattern(size))
            assert got["version"] == ("1.1" if http1 else "2") and said["taken"] == size
        assert peer.most_busy <= 4


def test_the_cap_holds_for_streams(probe, certificate, ca):
    """At most three requests at a time, and no more connections, however many wait."""
    async def slow(peer, scope, receive, send):
        await asyncio.sleep(0.02)
        await answer(send, 200, b"done")

    with HypercornPeer(slow, certificate) as peer:
        asked = [probe.start(peer.url(f"/{i}"), pool=3, **ca) for i in range(40)]
        assert all(probe.result(i)["body"] == "done" for i in asked)
        assert peer.most_busy == 3 and len(peer.clients) <= 3
        for place, (version, _, path) in enumerate(peer.seen):  # first come, first served: three at a time
            assert version == "2" and abs(int(path[1:]) - place) < 3
        figures = probe.figures()
        assert (figures["active"], figures["waiting"]) == (0, 0)


@pytest.mark.parametrize("http1", [False, True])
def test_kinds_of_answers(probe, certificate, ca, http1):
    async def kinds(peer, scope, receive, send):
        path = scope["path"][1:]
        if path == "chunks":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"x-kind", b"chunked")]})
            for _ in range(100):
                await send({"type": "http.response.body", "body": b"0123456789", "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        elif path == "large":
            await answer(send, 200, bytes(5 << 20))
        elif path in ("204", "304"):
            await send({"type": "http.response.start", "status": int(path), "headers": [(b"x-kind", b"bare")]})
            await send({"type": "http.response.body", "body": b""})
        else:
            await answer(send, int(path), b"" if scope["method"] == "HEAD" else b"text", [(b"x-kind", path.encode())])

    with HypercornPeer(kinds, certificate) as peer:
        options = {"http1": http1, "header": "X-Kind", **ca}
        said = probe.ask(peer.url("/chunks"), **options)
        assert (said["status"], said["body"], said["header"]) == (200, "0123456789" * 100, "chunked")
        for status in (204, 304):
            said = probe.ask(peer.url(f"/{status}"), **options)
            assert (said["code"], said["status"], said["body"], said["header"]) == ("ok", status, "", "bare")
        said = probe.ask(peer.url("/200"), method="HEAD", **options)
        assert (said["status"], said["body_length"]) == (200, 0)
        for status in (201, 400, 401, 409, 413, 429, 500, 503):
            said = probe.ask(peer.url(f"/{status}"), method="PATCH", body="{}", **options)
            assert (said["code"], said["status"], said["body"]) == ("ok", status, "text"), said
        said = probe.ask(peer.url("/large"), **options)
        assert (said["code"], said["status"], said["body_length"]) == ("full", 200, 0), said
        assert probe.ask(peer.url("/large"), max_response=5 << 20, **options)["body_length"] == 5 << 20


def ask_early(probe, url, **options):
    """A server that resets the connection at once may do so amid a send: then there is no answer, and no wrong one."""
    for _ in range(10):
        said = probe.ask(url, method="POST", body_size=LARGE, **options)
        if said["code"] == "ok":
            return said
        assert said["code"] == "unavailable" and said["sent"], said
    raise AssertionError(f"never an answer: {said}")


@pytest.mark.parametrize("http1", [False, True])
def test_early_answers(probe, certificate, ca, http1):
    """The server answers and does not read the body; the next request is not disturbed."""
    async def refuse(peer, scope, receive, send):
        await answer(send, int(scope["path"][1:]), b"no way")

    with HypercornPeer(refuse, certificate) as peer:
        for status in (413, 401, 500, 413):
            said = ask_early(probe, peer.url(f"/{status}"), http1=http1, **ca)
            assert (said["status"], said["body"], said["sent"]) == (status, "no way", True)


@pytest.mark.parametrize("http1", [False, True])
def test_stalls(probe, certificate, ca, http1):
    async def stall(peer, scope, receive, send):
        if scope["path"] == "/body":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100")]})
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
        await asyncio.sleep(3600)

    with HypercornPeer(stall, certificate) as peer:
        said = probe.ask(peer.url("/"), response_ms=150, http1=http1, **ca)
        assert said["code"] == "timeout" and "no answer within 0.15 s" in said["detail"] and said["sent"]
        said = probe.ask(peer.url("/body"), idle_ms=150, http1=http1, **ca)
        assert said["code"] == "timeout" and "no byte moved for 0.15 s (reading the answer)" in said["detail"]
        said = probe.ask(peer.url("/body"), timeout_ms=200, http1=http1, **ca)
        assert said["code"] == "timeout" and "timeout after 0.2 s (reading the answer)" in said["detail"]
        said = probe.ask(peer.url("/"), method="POST", body_size=LARGE * 10, idle_ms=300, http1=http1, **ca)
        assert said["code"] == "timeout" and "no byte moved for 0.3 s (sending the request)" in said["detail"]
        started = probe.start(peer.url("/"), http1=http1, **ca)
        wait.until(lambda: peer.busy > 0, 10, "the request is there")
        probe.cancel(started)


def h2_answer(connection, stream):
    connection.send_headers(stream, [(":status", "200"), ("content-length", "2")])
    connection.send_data(stream, b"ok", end_stream=True)


def test_refused_streams_are_sent_again(probe, certificate, ca):
    """REFUSED_STREAM: the server has not looked at it, so it goes out once more, over another connection."""
    def script(connection, event, number):
        if isinstance(event, h2.events.StreamEnded):
            if number == 0:
                connection.reset_stream(event.stream_id, h2.errors.ErrorCodes.REFUSED_STREAM)
            else:
                h2_answer(connection, event.stream_id)

    with H2Script(script, certificate) as peer:
        said = probe.ask(peer.url(), method="POST", body="x", **ca)
        assert (said["code"], said["status"]) == ("ok", 200), said
        assert peer.accepted == 2


def test_servers_that_go_away(probe, certificate, ca):
    """GOAWAY before the stream, and streams refused for ever: unavailable, to be tried again by the caller."""
    def goaway(connection, event, number):
        if isinstance(event, h2.events.RequestReceived):
            connection.close_connection(h2.errors.ErrorCodes.NO_ERROR, last_stream_id=0)
            return "close"
        return None

    def refuse(connection, event, number):
        if isinstance(event, h2.events.StreamEnded):
            connection.reset_stream(event.stream_id, h2.errors.ErrorCodes.REFUSED_STREAM)

    def cancel(connection, event, number):
        if isinstance(event, h2.events.StreamEnded):
            connection.reset_stream(event.stream_id, h2.errors.ErrorCodes.INTERNAL_ERROR)

    for script in (goaway, refuse, cancel):
        with H2Script(script, certificate) as peer:
            said = probe.ask(peer.url(), method="POST", body="x", timeout_ms=5000, **ca)
            assert said["code"] == "unavailable" and said["sent"], (script, said)
            assert peer.streams <= 7, script
            once = probe.ask(peer.url(), method="POST", body="x", once=True, timeout_ms=5000, **ca)
            assert once["code"] == "unavailable"


def test_goaway_between_requests(probe, certificate, ca):
    """A server that ends its connection after each answer costs nothing but a new one."""
    def script(connection, event, number):
        if isinstance(event, h2.events.StreamEnded):
            h2_answer(connection, event.stream_id)
            connection.close_connection(last_stream_id=event.stream_id)

    with H2Script(script, certificate) as peer:
        for _ in range(10):
            assert probe.ask(peer.url(), method="POST", body="x", **ca)["status"] == 200
        assert peer.streams == 10


def test_kept_connections_that_die_under_a_request(probe, certificate, ca):
    """The server ends the connection when a second request comes: it is sent again over another, unless `once`."""
    def script(connection, event, number):
        if isinstance(event, h2.events.RequestReceived) and event.stream_id > 1:
            return "close"
        if isinstance(event, h2.events.StreamEnded):
            h2_answer(connection, event.stream_id)
        return None

    with H2Script(script, certificate) as peer:
        for i in range(20):
            said = probe.ask(peer.url(), method="POST", **({"body": "x"} if i % 2 else {"body_size": 100_000}), **ca)
            assert (said["code"], said["status"]) == ("ok", 200), (i, said)
        assert peer.streams == peer.accepted * 2 - 1 == 39
        said = probe.ask(peer.url(), method="POST", body="x", once=True, **ca)
        assert said["code"] == "unavailable" and said["sent"], said


# --- HTTP/1.1 ---

@pytest.mark.parametrize("tls", [False, True])
def test_aiohttp_uploads(probe, certificate, ca, tls):
    with AiohttpPeer(digest, certificate if tls else None) as peer:
        for method in ("POST", "PUT", "PATCH"):
            got = json.loads(probe.ask(peer.url("/a?b=c"), method=method, body_size=LARGE, **ca)["body"])
            assert got == {"method": method, "length": LARGE, "sha256": pattern(LARGE), "expect": None, "query": "b=c"}
        got = json.loads(probe.ask(peer.url(), method="POST", body_size=1 << 20, headers={"Expect": "100-continue"},
                                   **ca)["body"])
        assert got["length"] == 1 << 20 and got["expect"] == "100-continue"
        assert len(peer.connections) == 1


@pytest.mark.parametrize("tls", [False, True])
def test_aiohttp_early_answers(probe, certificate, ca, tls):
    async def refuse(request):
        return web.Response(status=413, text="too large")

    with AiohttpPeer(refuse, certificate if tls else None) as peer:
        for _ in range(10):
            said = ask_early(probe, peer.url(), **ca)
            assert (said["status"], said["body"]) == (413, "too large")


@pytest.mark.parametrize("tls", [False, True])
def test_idle_connections_that_the_server_ends(probe, certificate, ca, tls):
    """The server's idle time is so short that it ends connections as they are about to be used again."""
    with AiohttpPeer(digest, certificate if tls else None, keepalive_timeout=0.01) as peer:
        for i in range(150):
            said = probe.ask(peer.url(), method="POST", body="x", **ca)
            assert (said["code"], said["status"]) == ("ok", 200), (i, said)
            if i % 3 == 0:  # about as long as the idle time, so that both outcomes occur
                asyncio.run(asyncio.sleep(0.011))
        assert len(peer.connections) > 1


def test_redirects(probe, certificate, ca):
    async def redirect(request):
        if request.path == "/end":
            return await digest(request)
        kind, _, left = request.path[1:].partition("/")
        await request.read()
        return web.Response(status=int(kind), headers={"Location": f"/{kind}/{left[1:]}" if left else "/end?x=y"})

    with AiohttpPeer(redirect, certificate) as peer:
        said = probe.ask(peer.url("/307/aaaa"), method="POST", body_size=LARGE, redirects=5, timeout_ms=60000, **ca)
        got = json.loads(said["body"])
        assert (got["method"], got["length"], got["sha256"], got["query"]) == ("POST", LARGE, pattern(LARGE), "x=y")
        assert said["rewinds"] == 5
        said = probe.ask(peer.url("/307/aaaaa"), method="POST", body_size=10, redirects=5, **ca)
        assert said["code"] == "denied" and "more than 5 redirects" in said["detail"]
        got = json.loads(probe.ask(peer.url("/303/a"), method="POST", body="b", redirects=5, **ca)["body"])
        assert (got["method"], got["length"]) == ("GET", 0)


def test_resets_at_every_stage(probe, certificate, ca):
    """The connection is reset before, amid and behind the request, the head of the answer, and its body."""
    def script(connection, number):
        stage = number % 4
        if stage > 0:
            read_request(connection)
        if stage > 1:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n")
        if stage > 2:
            connection.sendall(b"\r\nhalf")

    with RawPeer(script) as peer:
        for _ in range(40):
            said = probe.ask(peer.url("/"), method="POST", body_size=200)
            assert said["code"] == "unavailable" and said["body_length"] == 0, said
    said = probe.ask(peer.url("/"))
    assert said["code"] == "unavailable" and not said["sent"]


# --- certificates ---

def test_which_check_failed(probe, authority, ca, tmp_path):
    stranger = certificates.Authority(tmp_path / "stranger", "Stranger")
    dates = {"old": ("20200101000000Z", "20210101000000Z"), "new": ("20480101000000Z", "20490101000000Z")}
    cases = [
        (authority.issue("other", "DNS:a.test,DNS:*.b.test,IP:127.0.0.9"),
         ["certificate is for another host (a.test, *.b.test, 127.0.0.9), not for 127.0.0.1"]),
        (authority.issue("old", dates=dates["old"]), ["\"old\" has expired on 2021-01-01T00:00:00Z", "clock"]),
        (authority.issue("new", dates=dates["new"]), ["\"new\" is not valid yet: it begins on 2048-01-01T00:00:00Z"]),
        (stranger.issue("strange"), ["\"strange\" is issued by \"Stranger\", which is unknown here", "tls.ca_file"]),
        ((stranger.pem, stranger.key), ["\"Stranger\" is self-signed", "tls.ca_file"]),
    ]
    for pair, words in cases:
        with AiohttpPeer(digest, pair) as peer:
            said = probe.ask(peer.url(), method="POST", body="secret", **ca)
            assert said["code"] == "denied" and not said["sent"] and said["status"] == 0, said
            assert all(word in said["detail"] for word in words), said["detail"]
            assert peer.seen == []


# --- names, and very many ---

def test_slow_names_hold_nothing_up(build, slow_resolver):
    with AiohttpPeer(digest) as peer:
        probe = Probe(build, slow_resolver)
        slow = probe.start(peer.url(host="slow.test"))
        late = probe.start(peer.url(host="slower.test"), connect_ms=200)
        for _ in range(50):
            assert probe.ask(peer.url())["status"] == 200
        assert not probe.answered(slow)
        said = probe.result(late)
        assert said["code"] == "timeout" and "looking the name up" in said["detail"] and not said["sent"]
        assert probe.result(slow)["status"] == 200
        assert probe.end()[0] == 0


def test_many(probe, certificate, ca):
    """Hundreds at a time over TLS, some cancelled on the way: no descriptor is left over."""
    async def slow(peer, scope, receive, send):
        await asyncio.sleep(0.01)
        await digest_asgi(scope, receive, send)

    with HypercornPeer(slow, certificate) as peer:
        probe.ask(peer.url(), **ca)
        files = probe.figures()["files"]
        for _ in range(3):
            asked = [probe.start(peer.url(), method="POST", body_size=1000, close=True, pool=16, **ca)
                     for _ in range(300)]
            cancelled = set(asked[::7])
            for ident in cancelled:
                probe.cancel(ident)
            for ident in asked:
                assert ident in cancelled or probe.result(ident)["status"] == 200
        wait.until(lambda: probe.figures()["files"] <= files, 10, "the connections are closed")
        assert probe.figures()["active"] == probe.figures()["waiting"] == 0
