# SPDX-License-Identifier: Apache-2.0
"""Token requests of the daemon, as the server sees them, and what becomes of the answers."""
import asyncio
import base64
import email.utils
import json
import signal
import time
import urllib.parse

import pytest

from support import streams, tenant as tenants, wait

SECRET = "s=1+2&three ü/✓%41\"\\end"
IDENT = "id=a+b&c ö"


@pytest.fixture
def run(shared_database, tenant, make_daemon):
    """run({"name": {auth settings}}) -> Daemon; a stream for each credential, which asks /token/NAME."""
    def start(auths, **changes):
        settings = {}
        for name, own in auths.items():
            settings[name] = {"grant": "client_credentials", "token_url": tenant.url(f"/token/{name}"),
                              "client_id": "id", "client_secret": "secret", **own}
        wanted = {name: {"auth": name} for name in auths}
        made = streams.config(shared_database.dsn, tenant, wanted, auth=settings, **changes)
        del made["auth"]["cxone"]
        return make_daemon(made).start().wait_up()
    return start


def requests(tenant, name):
    return [r for r in tenant.token_requests if r["path"] == f"/token/{name}"]


def wait_live(d, *names):
    for name in names:
        wait.until(lambda: d.stream(name)["state"] == "live", 30, f"{name} is live")


def token_status(d, name):
    return next(t for t in d.status()["tokens"] if t["auth"] == name)


def query(request):
    return dict(urllib.parse.parse_qsl(request["raw_query"], keep_blank_values=True))


def basic(request):
    kind, value = request["headers"]["Authorization"].split(" ")
    assert kind == "Basic"
    return base64.b64decode(value).decode()


# --- the variants of cxone-api.md, section 1 ---

VARIANTS = {
    "000": {"client_auth": "basic", "params_in": "query", "refresh_margin": "5s",
            "scope": "integrations:actions:read integrations:actions:write"},
    "001": {"client_auth": "query", "params_in": "query", "headers": {"Content-Type": "application/json"},
            "scope": "integration:actions:write integration:actions:read"},
    "002": {},
    "003": {"client_auth": "basic", "scope": "data-actions:execute oauth:client-credentials"},
    "004": {"scope": None},
    "backend": {"grant": "password", "client_auth": "basic", "username": "key id", "password": "key=secret"},
    "backend-form": {"grant": "password", "username": "key id", "password": "key=secret", "scope": None},
    "userhub": {"grant": "access_key", "client_id": None, "client_secret": None, "username": "key id",
                "password": "key\"secret"},
    "extra": {"params": {"audience": "https://api.example/?a=b", "resource": "x y"}, "headers": {"X-Area": "na1"}},
    "static": {"grant": "static", "token": "a-static-token", "token_url": None, "client_id": None,
               "client_secret": None},
}


def test_variants(run, tenant):
    """Method, path, query, headers and body of every variant."""
    tenant.tokens.append("a-static-token")
    d = run({name: dict(own) for name, own in VARIANTS.items()})
    wait_live(d, *VARIANTS)
    seen = {}
    for name in VARIANTS:
        assert len(requests(tenant, name)) == (name != "static")
        seen[name] = requests(tenant, name)[0] if name != "static" else None
    for name in set(VARIANTS) - {"static"}:
        headers = seen[name]["headers"]
        assert headers["Accept"] == "application/json"
        assert "Expect" not in headers and headers["Content-Length"] == str(len(seen[name]["body"]))

    form = "application/x-www-form-urlencoded"
    grant = {"grant_type": "client_credentials"}
    client = {"client_id": "id", "client_secret": "secret"}
    assert (query(seen["000"]), seen["000"]["body"], basic(seen["000"])) == (
        {**grant, "scope": VARIANTS["000"]["scope"]}, "", "id:secret")
    assert (query(seen["001"]), seen["001"]["body"]) == ({**grant, **client, "scope": VARIANTS["001"]["scope"]}, "")
    assert seen["001"]["headers"]["Content-Type"] == "application/json" and "Authorization" not in seen["001"]["headers"]
    assert (seen["002"]["form"], seen["002"]["raw_query"]) == ({**grant, **client, "scope": "data-actions:read"}, "")
    assert seen["002"]["headers"]["Content-Type"] == form and "Authorization" not in seen["002"]["headers"]
    assert (seen["003"]["form"], basic(seen["003"])) == ({**grant, "scope": VARIANTS["003"]["scope"]}, "id:secret")
    assert seen["004"]["form"] == {**grant, **client}
    user = {"grant_type": "password", "username": "key id", "password": "key=secret"}
    assert (seen["backend"]["form"], basic(seen["backend"])) == (user, "id:secret")
    assert seen["backend-form"]["form"] == {**user, **client}
    assert json.loads(seen["userhub"]["body"]) == {"accessKeyId": "key id", "accessKeySecret": "key\"secret"}
    assert seen["userhub"]["headers"]["Content-Type"] == "application/json"
    assert "Authorization" not in seen["userhub"]["headers"]
    assert seen["extra"]["form"] == {**grant, **client, "scope": "data-actions:read", **VARIANTS["extra"]["params"]}
    assert seen["extra"]["headers"]["X-Area"] == "na1"
    assert streams.tokens_seen(tenant, "/stream/static") == ["a-static-token"]


def leaks(text, secret):
    """Whether any usual spelling of the secret stands in the text."""
    spelled = {secret, urllib.parse.quote(secret, safe=""), urllib.parse.quote_plus(secret), json.dumps(secret)[1:-1],
               json.dumps(secret, ensure_ascii=False)[1:-1], base64.b64encode(secret.encode()).decode()[:-4]}
    return [form for form in spelled if form in text]


def test_special_characters_arrive_and_nothing_leaks(run, tenant, cxsink):
    """= + & and non-ASCII, wherever they go; and no secret or token in log, status, metrics, audit, page."""
    places = {"form": {}, "query": {"params_in": "query"}, "json": {"params_in": "json"}, "basic": {}, "basic_raw": {}}
    auths = {name: {"client_auth": name, "client_id": IDENT, "client_secret": SECRET, **own}
             for name, own in places.items()}
    auths["password"] = {"grant": "password", "client_auth": "none", "username": IDENT, "password": SECRET}
    echo = f"client_secret={urllib.parse.quote(SECRET, safe='')} of {SECRET} is wrong"
    tenant.path_answers["/token/form"] = [tenants.respond(500, {"error": echo})]
    tenant.path_answers["/token/query"] = [tenants.respond(500, text=echo)]
    d = run(auths)
    wait_live(d, *auths)
    expected = {"client_id": IDENT, "client_secret": SECRET}
    assert expected.items() <= requests(tenant, "form")[0]["form"].items()
    assert expected.items() <= query(requests(tenant, "query")[0]).items()
    assert expected.items() <= json.loads(requests(tenant, "json")[0]["body"]).items()
    encoded = [urllib.parse.quote(part, safe="") for part in (IDENT, SECRET)]
    assert basic(requests(tenant, "basic")[0]) == ":".join(encoded)
    assert basic(requests(tenant, "basic_raw")[0]) == f"{IDENT}:{SECRET}"
    assert requests(tenant, "password")[0]["form"]["password"] == SECRET

    tenant.close(1011, "internal " + streams.tokens_seen(tenant, "/stream/form")[0], to="/stream/form")
    wait.until(lambda: streams.connects(d, "form") == 2, 20, "form again")
    audit = (d.home / "state" / "audit.jsonl").read_text()
    status = cxsink("status", "-c", d.path)
    texts = {"status": d.get("/api/status")[1], "metrics": d.get("/metrics")[1], "audit": audit, "log": d.log(),
             "ready": d.get("/readyz")[1], "page": d.get("/")[1], "command": status.stdout + status.stderr,
             "argv": open(f"/proc/{d.process.pid}/cmdline").read()}
    for where, text in texts.items():
        assert leaks(text, SECRET) == [], (where, text)
    # The far side's close reason is quoted; a token of ours that it echoes must not be.
    for where, text in texts.items():
        assert not [t for t in tenant.tokens if f"{t} " in text or f"{t}\"" in text], (where, text)
    assert "***" in texts["log"]


# --- their lives ---

def test_lives(run, tenant):
    """Refreshed before the end; the margin is never more than half the life; a missing or odd expires_in. S6: a
    refresh that fails leaves the present token in use."""
    odd = {"missing": {"access_token": "odd-1"}, "text": {"access_token": "odd-2", "expires_in": "1800"},
           "camel": {"accessToken": "odd-3", "expiresIn": 900, "tokenType": "BEARER"}}
    odd["custom"] = {"access_token": "odd-4", "token_type": "bearer"}
    tenant.tokens += ["odd-1", "odd-2", "odd-3", "odd-4", "keeps"]
    tenant.path_answers["/token/keeps"] = [tenants.respond(200, {"access_token": "keeps", "expires_in": 6})]
    tenant.path_answers["/token/keeps"] += [tenants.respond(500, {"error": "no more"})] * 1000
    for name, body in odd.items():
        tenant.path_answers[f"/token/{name}"] = [tenants.respond(200, body)]
    tenant.token_life = 2
    d = run({"half": {"refresh_margin": "30s"}, "late": {"refresh_margin": "300ms"}, **{n: {} for n in odd},
             "custom": {"default_expires_in": "120s"}, "keeps": {}})
    wait_live(d, "half", "late", *odd, "keeps")
    metrics = d.metrics()
    for name, life in (("missing", 3600), ("text", 1800), ("camel", 900), ("custom", 120)):
        left = metrics[f'cxsink_token_expiry_timestamp_seconds{{auth="{name}"}}'] - time.time()
        assert life - 60 < left <= life + 1, name
    told = {e["auth"]: e["detail"] for e in d.audit() if e["event"] == "token.lifetime"}
    assert set(told) == {"missing", "custom"} and "3600 s" in told["missing"] and "120 s" in told["custom"]
    for name in ("half", "late"):
        wait.until(lambda: len(requests(tenant, name)) >= 3, 30, f"{name} is refreshed")
    gaps = {n: [b["at"] - a["at"] for a, b in zip(requests(tenant, n), requests(tenant, n)[1:])] for n in ("half", "late")}
    assert min(gaps["half"]) > 0.95 and min(gaps["late"]) > 1.6, gaps
    assert min(gaps["half"]) < 1.6 and (min(gaps["late"]) < 2 or wait.FACTOR > 1), gaps
    assert d.audit_events().count("token.refreshed") >= 7
    # The connection is not disturbed by a new token.
    assert streams.connects(d, "half") == 1
    # A reconnect takes the newest one, which is still good.
    tenant.reset("/stream/half")
    wait.until(lambda: streams.connects(d, "half") == 2, 20, "half again")
    assert streams.ends(d, "http_401", "half") == 0

    error = wait.until(lambda: token_status(d, "keeps")["last_error"], 20, "the refresh that fails")
    assert "answered 500: no more" in error and "the present token is good for" in error
    assert token_status(d, "keeps")["state"] == "valid"
    tenant.reset("/stream/keeps")
    wait.until(lambda: streams.connects(d, "keeps") == 2, 20, "keeps again")
    assert set(streams.tokens_seen(tenant, "/stream/keeps")) == {"keeps"}


def test_password_grant_refreshes_and_falls_back(run, tenant):
    """refresh_token where one came; 400 or 401 to it: the password again, at once."""
    def answer(number, **more):
        tenant.tokens.append(f"user-{number}")
        return tenants.respond(200, {"access_token": f"user-{number}", "expires_in": 1, **more})
    tenant.path_answers["/token/user"] = [
        answer(1, refresh_token="refresh+1"), answer(2, refresh_token="refresh+2"),
        tenants.respond(400, {"error": "invalid_grant"}), answer(3), answer(4)]
    d = run({"user": {"grant": "password", "username": "me", "password": "pw"}})
    wait_live(d, "user")
    wait.until(lambda: len(requests(tenant, "user")) >= 5, 30, "five requests")
    forms = [r["form"] for r in requests(tenant, "user")]
    assert [f["grant_type"] for f in forms[:5]] == ["password", "refresh_token", "refresh_token", "password", "password"]
    assert [f.get("refresh_token") for f in forms[1:3]] == ["refresh+1", "refresh+2"]
    assert "password" not in forms[1] and forms[1]["client_id"] == "id"
    assert requests(tenant, "user")[3]["at"] - requests(tenant, "user")[2]["at"] < 0.4 * wait.FACTOR


def test_one_request_for_many_streams(shared_database, tenant, make_daemon):
    """J5: while the first request is slow, every stream waits for the same one."""
    async def slow(_request):
        await asyncio.sleep(0.5)
    tenant.token_answers.append(slow)
    names = [f"s{i}" for i in range(12)]
    d = make_daemon(streams.config(shared_database.dsn, tenant, {n: {} for n in names})).start().wait_up()
    wait_live(d, *names)
    assert len(tenant.token_requests) == 1
    assert {h["token"] for h in tenant.handshakes} == {"token-1"}


# --- answers that are none ---

FAULTS = {
    # name: (answer, words in the status)
    "description": (tenants.respond(400, {"error": "invalid_scope", "error_description": "the scope is unknown"}),
                    "answered 400: the scope is unknown; check the grant"),
    "camel": (tenants.respond(401, {"errorDescription": "bad client", "code": 7}), "answered 401: bad client"),
    "message": (tenants.respond(403, {"message": "not from here"}), "answered 403: not from here"),
    "error": (tenants.respond(400, {"error": "unauthorized_client"}), "answered 400: unauthorized_client"),
    "code": (tenants.respond(500, {"code": "E42"}), "answered 500: E42"),
    "nested": (tenants.respond(502, {"error": {"message": "upstream"}}), "answered 502: upstream"),
    "bytes": (tenants.respond(503, text="<h1>Down for\nmaintenance</h1>"), "answered 503: <h1>Down for maintenance"),
    "none": (tenants.respond(404, text=""), "answered 404: no explanation; check token_url"),
    "empty": (tenants.respond(200, {"access_token": ""}), "has no access_token"),
    "missing": (tenants.respond(200, {"token": "x"}), "has no access_token"),
    "type": (tenants.respond(200, {"access_token": "x", "token_type": "mac"}), "token_type is not Bearer"),
    "html": (tenants.respond(200, text="<html>"), "is not JSON"),
    "header": (tenants.respond(200, {"access_token": "a\r\nX: b"}), "no header can carry"),
    "big": (tenants.respond(200, text="[" + "1," * 800_000 + "1]"), "failed"),
}
CONFIGURATION = ("description", "camel", "message", "error")


def test_faults_say_what_is_wrong(run, tenant):
    """Each in words, with its time of the next try; 400, 401, 403 slowly, as they are the configuration's."""
    for name, (answer, _) in FAULTS.items():
        tenant.path_answers[f"/token/{name}"] = [answer] * 1000
    d = run({name: {} for name in FAULTS})
    for name, (_, words) in FAULTS.items():
        error = wait.until(lambda: token_status(d, name)["last_error"], 30, f"{name} has failed")
        assert words in error, (name, error)
        assert "next try in" in error
        assert d.metrics()[f'cxsink_token_refreshes_total{{auth="{name}",result="error"}}'] >= 1
    for name in CONFIGURATION:
        assert len(requests(tenant, name)) <= 3
    status, reasons = d.get("/readyz")
    assert status == 503
    for name in FAULTS:
        assert f"stream {name} is not connected" in reasons
    assert "the scope is unknown" in reasons
    assert "a\r\nX" not in d.log() and d.stop() == 0


def test_retry_after_holds_for_tokens(run, tenant):
    """429 and 503: seconds and dates; a 429 without any: 5 s."""
    later = email.utils.formatdate(time.time() + 600, usegmt=True)
    for name, answer in {"seconds": tenants.respond(429, headers={"Retry-After": "500"}),
                         "date": tenants.respond(503, headers={"Retry-After": later}),
                         "without": tenants.respond(429)}.items():
        tenant.path_answers[f"/token/{name}"] = [answer] * 1000
    d = run({"seconds": {}, "date": {}, "without": {}})
    for name, least, most in (("seconds", 400, 501), ("date", 400, 601), ("without", 1, 6)):
        wait.until(lambda: token_status(d, name)["state"] == "waiting", 20, f"{name} waits")
        assert least < token_status(d, name)["retry_in_seconds"] <= most, name
        assert len(requests(tenant, name)) == 1


def test_scope_that_was_not_granted(run, tenant):
    """A warning that is audited and names the missing part; more than was asked for is fine."""
    for name, granted in (("lacks", "a:read c:read"), ("more", "c:read b:write a:read x"), ("none", "")):
        tenant.tokens.append(f"scoped-{name}")
        tenant.path_answers[f"/token/{name}"] = [
            tenants.respond(200, {"access_token": f"scoped-{name}", "expires_in": 3600, "scope": granted})]
    d = run({n: {"scope": "a:read b:write c:read"} for n in ("lacks", "more", "none")})
    wait_live(d, "lacks", "more", "none")
    told = {e["auth"]: e["detail"] for e in d.audit() if e["event"] == "token.scope"}
    assert set(told) == {"lacks", "none"}
    assert 'lacks "b:write"' in told["lacks"] and 'lacks "a:read b:write c:read"' in told["none"]
    assert 'lacks "b:write"' in d.log()


def test_secrets_from_files_and_the_environment(shared_database, tenant, make_daemon, tmp_path):
    """And a reload takes a changed one (the credential that did not change keeps its token)."""
    path = tmp_path / "secret"
    path.write_text("first secret\n")
    auth = {"a": {"grant": "client_credentials", "token_url": tenant.url("/token/a"), "client_id": {"env": "MY_ID"},
                  "client_secret": {"file": str(path)}},
            "b": {"grant": "client_credentials", "token_url": tenant.url("/token/b"), "client_id": "id",
                  "client_secret": "secret"}}
    made = streams.config(shared_database.dsn, tenant, {"a": {"auth": "a"}, "b": {"auth": "b"}}, auth=auth)
    d = make_daemon(made, environment={"MY_ID": "the id"}).start().wait_up()
    wait_live(d, "a", "b")
    assert {"client_id": "the id", "client_secret": "first secret"}.items() <= requests(tenant, "a")[0]["form"].items()
    path.write_text("second secret\n")
    d.send_signal(signal.SIGHUP)
    wait.until(lambda: len(requests(tenant, "a")) == 2, 20, "a request with the new secret")
    assert requests(tenant, "a")[1]["form"]["client_secret"] == "second secret"
    wait_live(d, "a", "b")
    assert len(requests(tenant, "b")) == 1 and streams.connects(d, "b") == 1
