# SPDX-License-Identifier: Apache-2.0
"""What the requests of all kinds of job have in common: connections, redirects, TLS, broken answers, what is told of
them, and what is not."""
import contextlib
import json
import socket
import ssl
import threading
import warnings

import pytest

from support import certificates, farside, jobworld, wait
from support.farside import answer

SEND, POLL = "/invocations$", "/invocations/"
LIMIT = 4 << 20


def self_signed(home):
    pem, key = home / "self.pem", home / "self.key"
    certificates.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                         "-subj", "/CN=self", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", pem)
    return pem, key


def old_tls(side):
    """Nothing newer than TLS 1.1."""
    context = ssl.SSLContext(side)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


class OldServer:
    """Handshakes, and nothing more. Not by asyncio, which closes before the alert is sent."""

    def __init__(self, pair):
        self.context = old_tls(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*pair)
        self.outcomes = []  # a protocol's name, or why there is no connection

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def _serve(self):
        with contextlib.suppress(OSError):  # closed
            while True:
                peer = self.listener.accept()[0]
                try:
                    with self.context.wrap_socket(peer, server_side=True) as made:
                        self.outcomes.append(made.version())
                except ssl.SSLError as error:
                    self.outcomes.append(error.reason)

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    """Far sides by what is special about them, and the CA that their configuration names."""
    home = tmp_path_factory.mktemp("tls")
    own = certificates.Authority(home / "own")
    stranger = certificates.Authority(home / "strange", "Strange CA")
    address = own.issue("address", "IP:127.0.0.1")
    made = {
        "good": address, "name": own.issue("name", "DNS:other.test"),
        "expired": own.issue("expired", "IP:127.0.0.1", ("20200101000000Z", "20200201000000Z")),
        "strange": stranger.issue("strange", "IP:127.0.0.1"), "self": self_signed(home), "plain": None,
    }
    with contextlib.ExitStack() as stack:
        far = {name: stack.enter_context(farside.FarSide(tls=tls)) for name, tls in made.items()}
        for each in far.values():
            each.check_tokens = False
        yield far, own.pem, stack.enter_context(OldServer(address))


@pytest.fixture(scope="module")
def world(build, shared_database, shared_far, servers):
    far, authority, old = servers
    addresses = {**{name: server.url("") for name, server in far.items()}, "old": old.url}
    apis = {"cxone": {}, "kept": {}, "few": {"max_connections": 2}, "short": {"timeout": "500ms"}, "told": {}}
    for name, api in apis.items():
        api.update(base_url=shared_far.url("/" + name), auth="cxone", breaker={"failures": 1000})
    for name, url in addresses.items():
        apis["tls-" + name] = {"base_url": url, "auth": "cxone", "breaker": {"failures": 1000},
                               "tls": {"ca_file": str(authority)}}
    actions = {name: {"kind": "invoke", "api": name, "action_id": farside.ACTION_ID, "poll": {"interval": "20ms"}}
               for name in apis}
    for name in addresses:
        actions["tls-" + name]["retry"] = {"max": 0}
    for kind, members in {"execute": {}, "publish": {}, "configure": {}}.items():
        actions[kind] = {"kind": kind, "api": "cxone", "action_id": farside.ACTION_ID, **members}
    section = farside.jobs(shared_far, apis=apis, actions=actions)
    with jobworld.running(build, shared_database, shared_far, section) as running:
        yield running


def invoke(world, api="cxone", **inputs):
    return world.job(api, inputs=inputs)


def execute(world, data="bWFya2VyLTQ3MTE="):
    return world.job("execute", data=data, encoding="base64", content_type="application/octet-stream")


# --- connections ---

def test_connections_are_kept(world):
    for n in range(5):
        invoke(world, "kept", n=n).run()
    requests = world.far.seen(path="^/kept/")
    assert len(requests) >= 10 and len({r["peer"] for r in requests}) == 1


def test_no_more_connections_than_configured(world):
    gate = farside.Gate()
    world.far.always("POST", "^/few/", gate)
    works = [invoke(world, "few", n=n).queue() for n in range(20)]
    gate.wait_held(2)
    invoke(world).run()  # another API does not wait for this one
    assert gate.most == 2
    gate.open()
    for work in works:
        work.done()
    requests = world.far.seen(path="^/few/")
    assert gate.most == 2 and len({r["peer"] for r in requests}) == 2


# --- failures that pass ---

def test_5xx_is_retried_three_times_by_every_kind(world):
    """After 1, 2 and 4 s and a little; side effects with the same key and body."""
    works = {"invoke": invoke(world), "execute": execute(world), "configure": world.job("configure", timeout_ms=1),
             "publish": world.job("publish", version_id="v1", environment="sandbox", code="x")}
    for n, work in enumerate(works.values()):
        work.always("*", "", answer(500 + n)).queue()
    for name, work in works.items():
        error = work.done("failed")["error"]
        requests = work.seen()
        assert "HTTP 50" in error["message"] and len(requests) == 4, name
        assert len({(r["method"], r["path"], r["body"], r["headers"].get("Idempotency-Key")) for r in requests}) == 1
        at = [r["at"] for r in requests]
        assert all(b - a >= 2**i for i, (a, b) in enumerate(zip(at, at[1:]))), at
        assert [e["event"] for e in work.audit()].count("job.retry") == 3


STALLS = {
    "nothing": farside.stall(), "within the status": farside.begin(b"HTTP/1."),
    "within the headers": farside.begin(b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n"),
    "after the headers": farside.begin(b"HTTP/1.1 201 Created\r\nContent-Length: 50\r\n\r\n"),
    "within the body": farside.begin(b"HTTP/1.1 201 Created\r\nContent-Length: 50\r\n\r\n", b'{"invocationId": "x"'),
    "within a chunk": farside.begin(b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n", b'20\r\n{"invocationId": "x"'),
}


def test_an_answer_that_stalls_is_a_timeout_and_sent_for_again(world):
    works = {name: invoke(world, "short", name=name).script("POST", SEND, stall).queue() for name, stall in STALLS.items()}
    for name, work in works.items():
        record = work.done()
        first, second = work.seen("POST")
        assert first["headers"]["Idempotency-Key"] == second["headers"]["Idempotency-Key"] and first["body"] == second["body"]
        assert "timeout after 0.5 s" in record["attempts"][0]["error"], name
        assert record["attempts"][0].get("status", 0) in (0, 201) and record["attempt"] == 2


def test_an_answer_that_breaks_off_is_none(world):
    beginnings = {name: farside.begin(head, body, "reset") for name, head, body in (
        ("status", b"HTTP/1.", b""), ("headers", b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n", b""),
        ("body", b"HTTP/1.1 201 Created\r\nContent-Length: 50\r\n\r\n", b'{"invocationId": "x"}'),
        ("chunk", b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n", b'15\r\n{"invocationId": "x"}\r\n'))}
    works = {name: invoke(world, name=name).script("POST", SEND, fault).queue() for name, fault in beginnings.items()}
    for name, work in works.items():
        assert work.done()["result"]["outputs"] == {"echo": {"name": name}}
        assert len({r["headers"]["Idempotency-Key"] for r in work.seen("POST")}) == 1


# --- answers ---

def test_an_answer_has_at_most_4_mib(world):
    empty = json.dumps({"status": "COMPLETED", "outputs": {"text": ""}})
    fits = json.dumps({"status": "COMPLETED", "outputs": {"text": "x" * (LIMIT - len(empty))}})
    assert len(fits) == LIMIT
    work = invoke(world).script("GET", POLL, answer(200, text=fits))
    assert len(work.run()["outputs"]["text"]) == LIMIT - len(empty)
    for more in (answer(200, text=fits + " "), farside.begin(b"HTTP/1.1 200 OK\r\n\r\n", fits.encode() + b" ")):
        work = invoke(world).script("GET", POLL, more)
        error = work.fail()
        assert f"larger than {LIMIT} bytes" in error["message"] and len(work.seen("GET")) == 1


def test_an_answer_of_megabytes_to_an_effect_is_not_repeated(world):
    work = execute(world).script("POST", "/execute$", answer(202, text="x" * (LIMIT + 1)))
    error = work.fail()
    assert "larger than" in error["message"] and "may have arrived" in error["message"] and len(work.seen()) == 1


def test_what_an_error_keeps_of_an_answer_is_bounded(world):
    text = "<p>\x1b[31m" + "é" * 100000
    error = invoke(world).script("POST", SEND, answer(400, text=text)).fail()
    assert len(error["message"]) < 1000 and "\x1b" not in error["message"]
    assert 10000 < len(error["answer"].encode()) <= 70000


# --- redirects ---

@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_within_the_host_is_followed(world, status):
    work = invoke(world).script("POST", SEND, answer(status, headers={"Location": "/cxone/moved/invocations?x=1"}))
    work.script("POST", "/moved/", answer(200, {"invocationId": "i-1"}))
    work.script("GET", POLL, answer(302, headers={"Location": world.far.url("/cxone/elsewhere")}))
    work.script("GET", "/elsewhere$", answer(200, {"status": "COMPLETED"}))
    work.run()
    first, second = work.seen("POST")
    assert second["path"] == "/cxone/moved/invocations" and second["query"] == "x=1" and second["body"] == first["body"]
    for name in ("Authorization", "Idempotency-Key", "X-Request-Id"):
        assert first["headers"][name] == second["headers"][name]
    assert [r["path"] for r in work.seen("GET")][-1] == "/cxone/elsewhere"


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("target", ["plain", "good", "scheme", "name"])
def test_a_redirect_to_another_host_is_refused(world, servers, method, target):
    """The token goes nowhere else; nothing goes there at all."""
    far, *_ = servers
    urls = {"plain": far["plain"].url("/stolen"), "good": far["good"].url("/stolen"),
            "scheme": world.far.url("/x").replace("http:", "https:"),
            "name": world.far.url("/cxone/x").replace("127.0.0.1", "localhost")}
    before = len(world.far.requests)
    path = SEND if method == "POST" else POLL
    work = invoke(world).script(method, path, answer(307, headers={"Location": urls[target]}))
    error = work.fail()
    assert "another server" in error["message"] and "307" in error["message"]
    assert len(work.seen(method)) == 1 and len(world.far.requests) - before == len(work.seen())
    assert not far["plain"].seen(path="stolen") and not far["good"].seen(path="stolen")


def test_at_most_five_redirects(world):
    def to(n):
        return answer(307, headers={"Location": f"/cxone/hop{n}/integrations/actions/invocations"})

    fits = invoke(world).script("POST", SEND, *[to(n) for n in range(5)])
    fits.run()
    assert len(fits.seen("POST")) == 6
    more = invoke(world).script("POST", SEND, *[to(n) for n in range(6)])
    assert "more than 5 redirects" in more.fail()["message"] and len(more.seen()) == 6


def test_an_effect_is_not_turned_into_a_reading(world):
    work = invoke(world).script("POST", SEND, answer(302, headers={"Location": "/cxone/other"}))
    assert "may not be sent again" in work.fail()["message"] and len(work.seen()) == 1


# --- TLS ---

def test_a_good_certificate_is_taken(world, servers):
    far, *_ = servers
    work = invoke(world, "tls-good")
    work.run()
    assert [r["method"] for r in far["good"].seen() if r["headers"]["X-Request-Id"] == work.trace] == ["POST", "GET"]


@pytest.mark.parametrize("server, words", [
    ("name", "certificate is for another host (other.test), not for 127.0.0.1"),
    ("expired", 'certificate "expired" has expired on 2020-02-01'),
    ("strange", 'issued by "Strange CA", which is unknown here'), ("self", 'certificate "self" is self-signed'),
])
def test_a_bad_certificate_is_refused_and_told(world, servers, server, words):
    far, *_ = servers
    work = invoke(world, "tls-" + server, marker="x")
    error = work.fail()
    assert words in error["message"] and "may have arrived" not in error["message"]
    assert words in work.record["attempts"][0]["error"] and far[server].requests == []
    assert words in work.audit("job.failed")[0]["detail"]


def test_tls_1_1_is_refused(world, servers):
    *_, old = servers
    client = old_tls(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(old.listener.getsockname()) as plain, client.wrap_socket(plain):
        wait.until(lambda: old.outcomes == ["TLSv1.1"], 10, "the server would do for others")
    error = invoke(world, "tls-old").fail()
    assert "protocol version" in error["message"] and "may have arrived" not in error["message"]
    wait.until(lambda: old.outcomes[1:] == ["UNSUPPORTED_PROTOCOL"], 10, "the server did not take it either")


# --- what is told, and what is not ---

def test_metrics_count_jobs_and_requests(world):
    for _ in range(3):
        invoke(world, "told").run()
    invoke(world, "told").script("POST", SEND, answer(400)).fail()
    invoke(world, "told").script("POST", SEND, answer(503)).run()
    work = invoke(world, "told").script("POST", SEND, farside.broken).queue()
    work.done()
    metrics = world.daemon.metrics()
    assert metrics['cxsink_jobs_finished_total{action="told",state="succeeded"}'] == 5
    assert metrics['cxsink_jobs_finished_total{action="told",state="failed"}'] == 1
    assert metrics['cxsink_job_seconds_count{action="told"}'] == 6
    assert metrics['cxsink_job_seconds_sum{action="told"}'] >= 2  # two waited a second
    requests = {name: value for name, value in metrics.items() if name.startswith('cxsink_http_requests_total{api="told"')}
    for status, count in (("201", 5), ("400", 1), ("503", 1), ("unavailable", 1)):
        assert requests[f'cxsink_http_requests_total{{api="told",status="{status}"}}'] == count, requests
    assert sum(requests.values()) == len(world.far.seen(path="^/told/"))
    assert metrics['cxsink_breaker_state{api="told"}'] == 0
    wait.until(lambda: world.daemon.metrics()['cxsink_jobs{state="succeeded"}'] >= 5, 30, "the queue is counted")


def test_the_audit_tells_every_state(world):
    work = invoke(world, "told").script("POST", SEND, answer(503)).script("GET", POLL, answer(200, {"status": "RUNNING"}))
    work.run()
    lines = work.audit()
    assert [e["event"] for e in lines] == ["job.queued", "job.running", "job.retry", "job.running",
                                           "job.polling", "job.succeeded"]
    ended = lines[-1]
    assert (ended["kind"], ended["action"], ended["trace_id"]) == ("invoke", "told", work.trace)
    assert {e["event"]: e.get("status") for e in lines if "status" in e} == {"job.retry": "503", "job.succeeded": "200"}
    assert ended["remote_id"] == work.record["remote_id"] and ended["attempt"] == "2"
    assert ended["correlationId"] == work.record["result"]["correlationId"] and int(ended["latency_ms"]) >= 1000
    assert "HTTP 503" in lines[2]["detail"] and "time" in ended


def test_inputs_data_code_and_secrets_stay_out(world):
    """Of the log (at level debug), the audit log, and what the table says of a failure."""
    marker = "marker-4711"
    works = [invoke(world, secret=marker), execute(world), world.job("publish", version_id="v1", environment="sandbox",
                                                                     code=f"let a = '{marker}';"),
             world.job("publish", version_id="v1", environment="sandbox", code=f"let {marker} = ;")]
    for work in works:
        for method, path in (("POST", SEND), ("POST", "/execute$"), ("PATCH", "/versions/")):
            work.script(method, path, answer(401), answer(503), answer(422, {"message": "no"}))
        work.queue()
    for work in works:
        record = work.done("failed")
        said = json.dumps([record["error"], record["attempts"], record["progress"]])
        assert marker not in said and "bWFya2Vy" not in said
    everywhere = world.daemon.log() + json.dumps(world.daemon.audit())
    assert works[0].id in everywhere
    for secret in [marker, "bWFya2Vy", "Bearer ", *world.far.tokens]:
        assert secret not in everywhere, secret
