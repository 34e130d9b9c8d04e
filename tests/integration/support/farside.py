# SPDX-License-Identifier: Apache-2.0
"""The REST side of a tenant that is not our simulator: aiohttp, answering by the kinds' rules, with faults
scripted by the test.

`far.script(method, path_regex, *answers)`: each answer is used once, in order, before the usual one: a callable
(request) -> web.Response, None (the usual answer) or a coroutine; `far.always` repeats one. With `job`, a trace id,
they are for that job's requests alone. `far.requests` holds what came. Effects are counted by Idempotency-Key: one
that was seen gets the answer it got, and no second effect.
"""
import asyncio
import itertools
import json
import re
import threading
import time
import uuid

from aiohttp import web

from . import tenant as tenants
from . import wait

ACTION_ID = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"


class FarSide(tenants.Tenant):
    def __init__(self, **options):
        super().__init__(**options)
        self.requests = []  # {"at", "method", "path", "query", "headers", "body", "json", "peer"}
        self.scripts = []  # (method, compiled regex, trace id or None, iterator of answers)
        self.effects = {}  # Idempotency-Key: how often its effect happened
        self.answers = {}  # Idempotency-Key: the answer's JSON
        self.invocations = {}  # id: {"polls": until it completes, "status", "outputs"}
        self.polls = 0  # of a new invocation until it completes
        self.versions = {}  # path: state
        self.configured = {}  # id: what was PUT
        self.stored = []  # bodies PUT to /storage
        self.notified = []  # requests to /hook
        self.check_tokens = True
        self.lock = threading.Lock()

    async def _start(self):
        app = web.Application(client_max_size=1 << 26)
        app.router.add_post("/oauth/{path:.*token.*}", self._token)
        app.router.add_get("/stream/{path:.*}", self._stream)
        app.router.add_route("*", "/{path:.*}", self._rest)
        self._runner = web.AppRunner(app, access_log=None, max_field_size=1 << 16)
        await self._runner.setup()
        self._server = await asyncio.get_running_loop().create_server(
            self._runner.server, self.host, self.port or 0, ssl=self._context(), reuse_address=True, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    def _context(self):
        import ssl
        if not self.tls or isinstance(self.tls, ssl.SSLContext):
            return self.tls
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.tls)
        return context

    # --- scripts ---

    def script(self, method, path, *answers, job=None):
        self.scripts.append((method, re.compile(path), job, iter(answers)))

    def always(self, method, path, answer, job=None):
        self.scripts.append((method, re.compile(path), job, itertools.repeat(answer)))

    def _scripted_answer(self, request):
        for method, path, job, answers in self.scripts:
            if (method in (request.method, "*") and path.search(request.path)
                    and job in (request.headers.get("X-Request-Id"), None)):
                answer = next(answers, None)
                if answer is not None:
                    return answer
        return None

    async def _rest(self, request):
        body = await request.read()
        try:
            parsed = json.loads(body) if body else None
        except ValueError:
            parsed = None
        seen = {"at": time.monotonic(), "method": request.method, "path": request.rel_url.raw_path,
                "query": request.rel_url.raw_query_string, "headers": dict(request.headers), "body": body,
                "json": parsed, "peer": request.transport.get_extra_info("peername")}
        self.requests.append(seen)
        script = self._scripted_answer(request)
        if script is not None:
            answer = script(request)
            answer = await answer if asyncio.iscoroutine(answer) else answer
            if answer is not None:
                return answer
        if request.path.startswith("/hook"):
            self.notified.append(seen)
            return web.Response(status=204)
        if request.path.startswith("/storage"):
            self.stored.append(parsed)
            return web.Response(status=201)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.check_tokens and (token not in self.tokens or token in self.refused):
            return web.json_response({"message": "token refused"}, status=401)
        return self._usual(request, seen)

    def _once(self, seen, make):
        """The effect of a key happens once."""
        key = seen["headers"].get("Idempotency-Key", str(uuid.uuid4()))
        if key not in self.answers:
            self.effects[key] = self.effects.get(key, 0) + 1
            self.answers[key] = make()
        return self.answers[key]

    def _usual(self, request, seen):
        path, method = request.path, request.method
        if path.endswith("/api/v2/health"):
            return web.json_response({"status": "ok"})
        if path.endswith("/integrations/actions/invocations") and method == "POST":
            return web.json_response(self._once(seen, lambda: self._invoke(seen["json"])), status=201)
        if "/integrations/actions/invocations/" in path and method == "GET":
            return self._poll(path.rsplit("/", 1)[1])
        if path.endswith("/execute") and method == "POST":
            made = self._once(seen, lambda: {"executionId": str(uuid.uuid4()), "status": "QUEUED", "message": "taken"})
            return web.json_response(made, status=202)
        if "/versions/" in path:
            return self._version(method, path, seen)
        if path.endswith("/integrations/actions") and method == "PUT":
            self._once(seen, lambda: {})
            self.configured[seen["json"]["id"]] = seen["json"]
            return web.json_response({"id": seen["json"]["id"]})
        if "/integrations/actions/" in path and method == "GET":
            made = self.configured.get(request.match_info["path"].rsplit("/", 1)[1])
            return web.json_response(made or {}, status=200 if made else 404)
        return web.json_response({"message": "no such path"}, status=404)

    def unanswered(self, request):
        """A step of a script: what is asked for happens, and its answer never comes."""
        self._usual(request, self.requests[-1])
        return stall()(request)

    def _invoke(self, body):
        made = str(uuid.uuid4())
        self.invocations[made] = {"polls": self.polls, "status": "COMPLETED", "outputs": {"echo": body.get("inputs")}}
        return {"invocationId": made, "status": "RUNNING"}

    def _poll(self, name):
        entry = self.invocations.get(name)
        if entry is None:
            return web.json_response({"message": "no such invocation"}, status=404)
        entry["polls"] -= 1
        if entry["polls"] >= 0:
            return web.json_response({"invocationId": name, "status": "RUNNING"})
        return web.json_response({"invocationId": name, "status": entry["status"], "outputs": entry["outputs"],
                                  "errorMessage": entry.get("errorMessage"), "durationMs": 12})

    def _version(self, method, path, seen):
        state = self.versions.setdefault(path, {"published": False, "status": "draft", "environment": "sandbox"})
        if method == "PATCH":
            wanted = seen["json"]

            def apply():
                state.update(wanted, status="published" if wanted.get("published") else "draft")
                return dict(state)
            return web.json_response(self._once(seen, apply))
        return web.json_response(state)

    # --- looking ---

    def seen(self, method=None, path=""):
        return [r for r in list(self.requests)
                if (method is None or r["method"] == method) and re.search(path, r["path"])]

    def wait_seen(self, count, method=None, path="", seconds=30):
        wait.until(lambda: len(self.seen(method, path)) >= count, seconds, f"{count} requests {method} {path}")


def answer(status=200, body=None, headers=None, text=None):
    return tenants.respond(status, body, headers, text)


def stall(seconds=3600):
    """Never answers (until the far side stops)."""
    async def run(_request):
        await asyncio.sleep(seconds)
        return web.Response(status=500)
    return run


def usual(_request):
    """The answer that comes without a script, as a step of one."""
    return None


def reset(_request):
    """Drops the connection without an answer."""
    _request.transport.abort()
    return web.Response()


def begin(head, body=b"", then="stall"):
    """The beginning of an answer, as bytes; then nothing more comes, or ("reset") the connection breaks."""
    async def run(request):
        request.transport.write(head + body)
        if then == "reset":
            await asyncio.sleep(0.05)  # so that it is read before the reset
            request.transport.abort()
        else:
            await asyncio.sleep(3600)
        return web.Response()
    return run


def broken(request):
    """Breaks off within the answer. A reset before it may be taken for a kept connection that died."""
    return begin(b"HTTP/1.1 200 OK\r\n", then="reset")(request)


class Gate:
    """An answer that waits until the gate opens, and is `then` the usual one; `held` says how many wait."""

    def __init__(self, then=usual):
        self.then = then
        self.held = 0
        self.most = 0
        self._open = threading.Event()

    def open(self):
        self._open.set()

    def wait_held(self, count, seconds=30):
        wait.until(lambda: self.held >= count, seconds, f"{count} requests are held")

    async def __call__(self, request):
        self.held += 1
        self.most = max(self.most, self.held)
        try:
            while not self._open.is_set():
                await asyncio.sleep(0.005)
        finally:
            self.held -= 1
        return self.then(request)


def jobs(far, **changes):
    """A "jobs" section with one action of each kind of the far side, quick enough for tests."""
    made = {
        "concurrency": 8,
        "apis": {"cxone": {"base_url": far.url(""), "auth": "cxone", "connect_timeout": "2s", "timeout": "10s",
                           "max_connections": 8, "breaker": {"failures": 1000, "reset": "200ms"}}},
        "actions": {
            "ticket": {"kind": "invoke", "api": "cxone", "action_id": ACTION_ID,
                       "poll": {"interval": "100ms", "timeout": "20s"}},
            "scan": {"kind": "execute", "api": "cxone", "action_id": ACTION_ID},
            "release": {"kind": "publish", "api": "cxone", "action_id": ACTION_ID},
            "timeouts": {"kind": "configure", "api": "cxone", "action_id": "crm"},
        },
        "queue": [],
    }
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(made.get(key), dict):
            for name, entry in value.items():
                if isinstance(entry, dict) and isinstance(made[key].get(name), dict):
                    made[key][name].update(entry)
                else:
                    made[key][name] = entry
        else:
            made[key] = value
    return made


def enqueue(database, action, params, **more):
    """By SQL, as any application may; returns the id."""
    names = {"id": None, "priority": 0, "trace_id": None, **more}
    return database.query("select cxsink.enqueue(%s, %s::jsonb, id => %s, priority => %s, trace_id => %s::uuid)",
                          (action, json.dumps(params), names["id"], names["priority"], names["trace_id"]))[0][0]


def job(database, name):
    """The record, as a dict."""
    row = database.query("select to_jsonb(j) from cxsink.jobs j where id = %s", (name,))
    return row[0][0] if row else None


def wait_job(database, name, state="succeeded", seconds=30):
    final = ("succeeded", "failed", "cancelled")

    def there():
        made = job(database, name)
        if made and made["state"] != state and made["state"] in final and state in final:
            raise AssertionError(f"job {name} is {made['state']}: {made['error'] or made['result']}")
        return made is not None and made["state"] == state
    try:
        wait.until(there, seconds, f"job {name} is {state}")
    except AssertionError as error:
        raise AssertionError(f"{error}: {job(database, name)}") from None
    return job(database, name)
