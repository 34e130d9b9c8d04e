# SPDX-License-Identifier: Apache-2.0
"""The REST side of cxsink-sim, asked by urllib, curl and aiohttp."""
import asyncio
import base64
import email.utils
import http.client
import json
import os
import socket
import subprocess
import time
import urllib.parse
import uuid

import aiohttp
import pytest

from support import sim, wait

ACTION = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
ACTIONS = "/api/v2/integrations/actions"
INVOKE = ACTIONS + "/invocations"
EXECUTE = f"/api/v2/data-actions/{ACTION}/execute"
VERSION = f"/api/v2/studio/data-actions/{ACTION}/versions/"
HEALTH = "/api/v2/health"


class Client:
    """One kept-alive connection with a token."""

    def __init__(self, server):
        self.connection = http.client.HTTPConnection(server.host, server.port, timeout=20)
        self.headers = {}
        _, answer = self.ask("POST", "/oauth/token", "grant_type=client_credentials")
        self.headers = {"Authorization": "Bearer " + answer["access_token"]}

    def full(self, method, path, body=None, **headers):
        text = body if isinstance(body, (str, bytes)) or body is None else json.dumps(body)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, path, text, {**self.headers, **named})
        answer = self.connection.getresponse()
        data = answer.read().decode()
        return answer.status, json.loads(data) if data else None, answer.headers

    def ask(self, method, path, body=None, **headers):
        return self.full(method, path, body, **headers)[:2]


@pytest.fixture
def server(build, tmp_path):
    with sim.Sim(build, tmp_path / "sim") as running:
        yield running


@pytest.fixture
def client(server):
    return Client(server)


def invocation(**inputs):
    return {"actionId": ACTION, "inputs": inputs, "correlationId": str(uuid.uuid4())}


def rest(server):
    return server.stats()["rest"]


def effect(server, key):
    return json.loads(subprocess.check_output(
        ["curl", "-s", server.url("/sim/effects?key=" + urllib.parse.quote(key))]))


# --- the operations ---

def test_invoke(server, client):
    status, made = client.ask("POST", INVOKE, invocation(a=1), Idempotency_Key="k-1")
    assert status == 201 and made["status"] == "RUNNING" and uuid.UUID(made["invocationId"]).version == 4
    status, got = client.ask("GET", f"{INVOKE}/{made['invocationId']}")
    assert status == 200 and got == {"invocationId": made["invocationId"], "status": "COMPLETED",
                                     "outputs": {"reference": "SIM-1"}, "errorMessage": None, "durationMs": 12}
    for name in (str(uuid.uuid4()), "x", made["invocationId"][:-1], made["invocationId"] + "0"):
        assert client.ask("GET", f"{INVOKE}/{name}")[0] == 404, name


@pytest.mark.parametrize("ending", ["COMPLETED", "FAILED", "CANCELLED"])
def test_polls_until_it_ends(server, client, ending):
    server.post(f"/sim/jobs?polls=2&invocation={ending}")
    _, made = client.ask("POST", INVOKE, invocation())
    path = f"{INVOKE}/{made['invocationId']}"
    assert [client.ask("GET", path)[1]["status"] for _ in range(4)] == ["RUNNING", "RUNNING", ending, ending]
    assert (client.ask("GET", path)[1]["outputs"] is None) == (ending != "COMPLETED")


def test_an_effect_happens_once(server, client):
    answers = [client.ask("POST", INVOKE, invocation(), Idempotency_Key="the same") for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    others = [client.ask("POST", INVOKE, invocation()) for _ in range(2)]  # without a key, each is one
    assert others[0] != others[1]
    assert rest(server)["effects"]["invoke"] == 3 and rest(server)["duplicates"] == 2
    assert rest(server)["requests"]["invoke"] == 5
    assert effect(server, "the same") == {"effects": 1, "requests": 3}
    assert effect(server, "another") == {"effects": 0, "requests": 0}
    # a key is its surface's own
    payload = {"inputs": {"binaryPayload": {"value": "QUJD", "contentType": "text/plain"}}}
    assert client.ask("POST", EXECUTE, payload, Idempotency_Key="the same")[0] == 202
    assert rest(server)["effects"]["execute"] == 1


def test_execute(server, client):
    for size in (0, 1, 2, 3, 10 << 20):
        value = base64.b64encode(bytes(size)).decode()
        status, made = client.ask("POST", EXECUTE, {"inputs": {"binaryPayload": {
            "value": value, "contentType": "application/pdf"}, "metadata": {}}})
        assert status == 202 and made["status"] == "QUEUED" and uuid.UUID(made["executionId"])
        assert made["message"] == f"{size} bytes taken"
    for wrong in ({"inputs": {"binaryPayload": {"value": "QUJ"}}}, {"inputs": {}}, {}, [], "{", ""):
        status, made = client.ask("POST", EXECUTE, wrong)
        assert status == 400 and made["message"], wrong
    assert client.ask("POST", EXECUTE, b"x" * (16 << 20))[0] == 400  # read whole, and no JSON
    assert client.ask("POST", EXECUTE, b"x" * ((16 << 20) + 1))[0] == 413
    assert client.ask("GET", HEALTH)[0] == 200  # over the same connection


def test_publish(server, client):
    path = VERSION + "v%201%2F2"
    assert client.ask("GET", path)[1] == {"versionId": "v 1/2", "published": False, "status": "draft",
                                          "environment": None, "checksum": None}
    wanted = {"published": True, "environment": "sandbox", "checksum": "ab" * 32}
    status, made = client.ask("PATCH", path, wanted, Idempotency_Key="p-1")
    assert status == 200 and made == {"versionId": "v 1/2", "status": "published", **wanted}
    assert client.ask("GET", path)[1] == made
    assert client.ask("PATCH", path, {**wanted, "published": False}, Idempotency_Key="p-2")[1]["status"] == "draft"
    assert client.ask("GET", VERSION + "other")[1]["published"] is False
    # again the first: the answer, but no effect
    assert client.ask("PATCH", path, wanted, Idempotency_Key="p-1")[1] == made
    assert client.ask("GET", path)[1]["published"] is False
    server.post("/sim/jobs?publish=pending")
    assert client.ask("PATCH", path, wanted)[1] == {"versionId": "v 1/2", "published": False, "status": "pending"}
    server.post("/sim/jobs?publish=")
    assert client.ask("PATCH", path, wanted)[1]["published"] is True
    assert client.ask("PATCH", path, {**wanted, "environment": "x" * 70000})[0] == 413


def test_configure(server, client):
    assert client.ask("GET", HEALTH) == (200, {"status": "ok"})
    assert client.ask("GET", f"{ACTIONS}/crm")[0] == 404
    body = {"id": "crm", "configuration": {"requestTimeout": 15000, "idleTimeout": 3}}
    assert client.ask("PUT", ACTIONS, body) == (200, {"id": "crm"})
    assert client.ask("GET", f"{ACTIONS}/crm") == (200, body)
    server.post("/sim/jobs?wrong_reads=2")
    wrong = {"id": "crm", "configuration": {"requestTimeout": 1, "idleTimeout": 3}}
    assert [client.ask("GET", f"{ACTIONS}/crm")[1] for _ in range(3)] == [wrong, wrong, body]
    client.ask("PUT", ACTIONS, {"id": "bare"})
    server.post("/sim/jobs?wrong_reads=1")
    assert client.ask("GET", f"{ACTIONS}/bare") == (200, {})
    assert client.ask("PUT", ACTIONS, {})[0] == 400
    assert client.ask("PUT", ACTIONS, "nothing")[0] == 400
    assert client.ask("PUT", ACTIONS, {"id": "x" * 70000})[0] == 413


def test_what_is_no_operation(server, client):
    assert client.ask("POST", "/prefix" + INVOKE, invocation())[0] == 201
    for method, path in (("GET", INVOKE), ("DELETE", f"{INVOKE}/1"), ("PUT", EXECUTE), ("POST", ACTIONS),
                         ("PUT", VERSION + "1"), ("POST", HEALTH), ("PUT", f"{ACTIONS}/crm")):
        assert client.ask(method, path, b"{}")[0] == 405, (method, path)
    for path in ("/api", ACTIONS + "x", "/healthy"):
        assert client.ask("GET", path)[0] == 404, path
    for wrong in ("", "[]", "{}", '{"actionId":1}'):
        assert client.ask("POST", INVOKE, wrong)[0] == 400


def test_tokens(server, client, build, tmp_path):
    assert client.ask("GET", HEALTH)[0] == 200
    for header in ("", "Bearer x", "Basic eA==", "Bearer sim-9-99999999999999"):
        assert client.ask("GET", HEALTH, Authorization=header)[0] == 401, header
    server.post("/sim/revoke")
    assert client.ask("GET", HEALTH)[0] == 401
    assert Client(server).ask("GET", HEALTH)[0] == 200
    assert rest(server)["refused"] == 5
    with sim.Sim(build, tmp_path / "open", "--no-auth") as other:
        assert Client(other).ask("GET", HEALTH, Authorization="")[0] == 200


# --- its bounds ---

def test_the_oldest_documents_go(server, client):
    for i in range(1025):
        assert client.ask("PUT", ACTIONS, {"id": f"a{i}"})[0] == 200
    assert client.ask("GET", f"{ACTIONS}/a0")[0] == 404
    assert client.ask("GET", f"{ACTIONS}/a1")[0] == client.ask("GET", f"{ACTIONS}/a1024")[0] == 200


# --- faults ---

def test_statuses_on_request(server, client):
    server.post("/sim/rest?surface=invoke&status=429&retry_after=7&times=2&skip=1&body=%7B%22a%22%3A1%7D")
    seen = [client.full("POST", INVOKE, invocation()) for _ in range(4)]
    assert [status for status, _, _ in seen] == [201, 429, 429, 201]
    assert seen[1][1] == {"a": 1} and seen[1][2]["Retry-After"] == "7" and "Retry-After" not in seen[3][2]
    assert rest(server)["effects"]["invoke"] == 2 and rest(server)["faults"] == 2
    server.post("/sim/rest?status=503&retry_at=3")  # every operation, once each
    for method, path in (("GET", HEALTH), ("GET", f"{ACTIONS}/x")):
        status, answer, headers = client.full(method, path)
        assert status == 503 and answer == {"message": "simulated"}
        ahead = email.utils.parsedate_to_datetime(headers["Retry-After"]).timestamp() - time.time()
        assert 1.5 < ahead <= 4.5
    assert client.ask("GET", HEALTH)[0] == 200
    server.post("/sim/rest?surface=health&status=204")
    assert client.ask("GET", HEALTH) == (204, None)
    server.post("/sim/rest?surface=status&status=401")
    assert client.ask("GET", INVOKE + "/x")[0] == 401
    assert client.ask("GET", INVOKE + "/x")[0] == 404
    server.post("/sim/rest?surface=health&body=not+json")
    with pytest.raises(ValueError):
        client.ask("GET", HEALTH)
    server.post("/sim/rest?surface=health&status=500&times=9")
    server.post("/sim/rest?surface=health&times=0")
    assert client.ask("GET", HEALTH)[0] == 200


def test_redirects(server, client):
    server.post("/sim/rest?surface=health&status=307&location=" + urllib.parse.quote(server.url("/other/health")))
    status, _, headers = client.full("GET", HEALTH)
    assert status == 307 and headers["Location"] == server.url("/other/health")
    server.post("/sim/rest?surface=health&status=307&location=/other/health")
    token = "Authorization: " + client.headers["Authorization"]
    assert subprocess.check_output(["curl", "-sL", "-H", token, server.url(HEALTH)]) == b'{"status":"ok"}'


def test_an_effect_whose_answer_is_lost(server, client):
    """The same key again does not do it again."""
    server.post("/sim/rest?surface=invoke&end=reset")
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        client.ask("POST", INVOKE, invocation(), Idempotency_Key="lost")
    client.connection.close()
    server.post("/sim/rest?surface=invoke&status=500&effect=1")
    assert client.ask("POST", INVOKE, invocation(), Idempotency_Key="lost")[0] == 500
    assert client.ask("POST", INVOKE, invocation(), Idempotency_Key="lost")[0] == 201
    assert rest(server)["effects"]["invoke"] == 1 and effect(server, "lost") == {"effects": 1, "requests": 3}
    server.post("/sim/rest?surface=invoke&end=reset&effect=0")
    with pytest.raises((http.client.HTTPException, ConnectionResetError)):
        client.ask("POST", INVOKE, invocation(), Idempotency_Key="never")
    assert effect(server, "never")["effects"] == 0


def raw(server, client, path, method="GET", head="", body=b""):
    connection = socket.create_connection((server.host, server.port), timeout=10)
    connection.sendall((f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {client.headers['Authorization']}\r\n"
                        f"{head}\r\n").encode() + body)
    return connection


def read_head(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(4096)
        assert more, data
        data += more
    return data


def test_headers_and_then_nothing(server, client):
    server.post("/sim/rest?surface=health&end=stall")
    with raw(server, client, HEALTH) as connection:
        head = read_head(connection)
        assert head.startswith(b"HTTP/1.1 200") and b"Content-Length: 15" in head and head.endswith(b"\r\n\r\n")
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        assert Client(server).ask("GET", HEALTH)[0] == 200  # others are answered
    server.post("/sim/rest?surface=health&delay=0.3")
    since = time.monotonic()
    assert client.ask("GET", HEALTH)[0] == 200 and time.monotonic() - since >= 0.3
    server.post("/sim/rest?surface=health&delay=3600")
    with raw(server, client, HEALTH):
        wait.until(lambda: rest(server)["faults"] == 3, 10, "it was read")
    # nobody waits for it any more
    assert client.ask("GET", HEALTH)[0] == 200


def test_bodies_that_are_announced_otherwise(server, client):
    with raw(server, client, INVOKE, "POST", "Transfer-Encoding: chunked\r\n", b"2\r\n{}\r\n0\r\n\r\n") as connection:
        assert read_head(connection).startswith(b"HTTP/1.1 411")
    with raw(server, client, INVOKE, "POST", "Expect: 100-continue\r\nContent-Length: 2\r\n") as connection:
        assert read_head(connection).startswith(b"HTTP/1.1 100")
        connection.sendall(b"{}")
        assert read_head(connection).startswith(b"HTTP/1.1 400")
    with raw(server, client, INVOKE, "POST", "Content-Length: 99\r\n", b"{") as connection:
        connection.close()  # in the middle
    assert client.ask("GET", HEALTH)[0] == 200
    assert rest(server)["requests"]["invoke"] == 1


# --- clients ---

def test_curl(server, client, tmp_path):
    """A large body, with Expect: 100-continue, over a connection that is kept."""
    payload = tmp_path / "payload.json"
    payload.write_text(json.dumps({"inputs": {"binaryPayload": {
        "value": base64.b64encode(os.urandom(3 << 20)).decode(), "contentType": "image/png"}}}))
    token = "Authorization: " + client.headers["Authorization"]
    said = subprocess.check_output(["curl", "-sS", "-v", "-H", token, "-H", "Expect: 100-continue", "--data-binary",
                                    f"@{payload}", server.url(EXECUTE), server.url(EXECUTE)],
                                   stderr=subprocess.STDOUT, text=True, timeout=60)
    assert said.count('"status":"QUEUED"') == 2 and said.count("Connected to") == 1


def test_aiohttp(server, client):
    """Many at once, each over one of a few kept connections."""
    async def run():
        connector = aiohttp.TCPConnector(limit=16)
        async with aiohttp.ClientSession(server.url(""), connector=connector, headers=client.headers) as session:
            async def one(i):
                headers = {"Idempotency-Key": f"a{i % 500}"}
                async with session.post(INVOKE, json=invocation(i=i), headers=headers) as answer:
                    assert answer.status == 201
                    name = (await answer.json())["invocationId"]
                async with session.get(f"{INVOKE}/{name}") as answer:
                    assert (await answer.json())["status"] == "COMPLETED"
                return name
            return await asyncio.gather(*(one(i) for i in range(1000)))
    assert len(set(asyncio.run(run()))) == 500
    assert rest(server)["effects"]["invoke"] == rest(server)["duplicates"] == 500
