# SPDX-License-Identifier: Apache-2.0
"""A tenant that is not our simulator: aiohttp serves tokens and WebSocket streams, scripted by the test.

Runs its own event loop in a thread; every method here may be called from the test's thread.
"""
import asyncio
import json
import ssl
import threading
import time
import urllib.parse

from aiohttp import WSMsgType, web

from . import wait


class Tenant:
    def __init__(self, tls=None, host="127.0.0.1"):
        self.tls = tls  # (certificate file, key file), or an SSLContext
        self.host = host
        self.port = None
        self.token_requests = []  # {"at", "path", "query", "headers", "body"}
        self.token_answers = []  # callables(request) -> web.Response, used up one by one; then the default
        self.token_life = 3600
        self.tokens = []  # handed out
        self.refused = set()  # tokens that a handshake answers with 401
        self.handshakes = []  # {"at", "path", "headers", "token"}
        self.handshake_answers = []  # callables(request) -> web.Response or None (go on)
        self.path_answers = {}  # path: such callables, for tokens and handshakes of that path alone
        self.autoping = True
        self.sockets = []  # open ones, newest last
        self.received = []  # messages that a client sent
        self.closes = []  # (code,) of connections that the client ended
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    # --- life ---

    def __enter__(self):
        self._thread.start()
        self._call(self._start())
        return self

    def __exit__(self, *_):
        self._call(self._stop())
        self._call(self._cancel_rest())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def stop_listening(self):
        """The endpoint is down: connections are refused."""
        self._call(self._stop())

    def listen_again(self):
        self._call(self._start())

    async def _start(self):
        app = web.Application(client_max_size=1 << 26)
        app.router.add_post("/{path:.*token.*}", self._token)
        app.router.add_get("/{path:.*}", self._stream)
        self._runner = web.AppRunner(app, access_log=None, max_field_size=1 << 16)  # long tokens
        await self._runner.setup()
        context = self.tls if isinstance(self.tls, ssl.SSLContext) else None
        if self.tls and context is None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.tls)
        # A server of asyncio's own: the arguments of aiohttp's sites differ between its versions.
        self._server = await asyncio.get_running_loop().create_server(
            self._runner.server, self.host, self.port or 0, ssl=context, reuse_address=True)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self):
        self._server.close()
        for socket in list(self.sockets):
            if socket._req is not None and socket._req.transport is not None:
                socket._req.transport.abort()
        await self._runner.cleanup()

    async def _cancel_rest(self):
        """Answers that are still being waited for."""
        rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    def _call(self, coroutine, timeout=30):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout)

    def url(self, path):
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}{path}"

    def ws_url(self, path):
        return f"{'wss' if self.tls else 'ws'}://{self.host}:{self.port}{path}"

    async def _scripted(self, request, answers):
        answers = self.path_answers.get(request.path) or answers
        answer = answers.pop(0)(request) if answers else None
        return await answer if asyncio.iscoroutine(answer) else answer

    # --- tokens ---

    async def _token(self, request):
        body = await request.text()
        self.token_requests.append({"at": time.monotonic(), "path": request.path, "query": dict(request.query), "raw_query": request.rel_url.raw_query_string,
                                    "headers": dict(request.headers), "body": body,
                                    "form": dict(urllib.parse.parse_qsl(body))})
        answer = await self._scripted(request, self.token_answers)
        if answer is not None:
            return answer
        token = f"token-{len(self.tokens) + 1}"
        self.tokens.append(token)
        return web.json_response({"access_token": token, "token_type": "bearer", "expires_in": self.token_life,
                                  "scope": "data-actions:read"})

    # --- stream ---

    async def _stream(self, request):
        header = request.headers.get("Authorization", "")
        token = header.removeprefix("Bearer ")
        self.handshakes.append({"at": time.monotonic(), "path": request.path_qs, "headers": dict(request.headers), "token": token})
        answer = await self._scripted(request, self.handshake_answers)
        if answer is not None:
            return answer
        if token in self.refused or (token and token not in self.tokens):
            return web.Response(status=401)
        socket = web.WebSocketResponse(autoping=self.autoping, max_msg_size=0, compress=False)
        await socket.prepare(request)
        socket["path"] = request.path
        self.sockets.append(socket)
        try:
            async for message in socket:
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    self.received.append(message.data)
        finally:
            self.closes.append((socket.close_code,))
            self.sockets.remove(socket)
        return socket

    def wait_connected(self, count=1, seconds=30):
        wait.until(lambda: len(self.sockets) >= count, seconds, f"{count} streams are connected")

    @property
    def socket(self):
        return self.sockets[-1]

    def newest(self, to=None):
        """The newest connection, of the path `to` if it is given."""
        return [s for s in self.sockets if to is None or s._req.path == to][-1]

    def send(self, *events, to=None, timeout=120):
        """Texts as they are, dicts as JSON, bytes as binary messages, over the newest connection."""
        async def run():
            socket = self.newest(to)
            for event in events:
                if isinstance(event, bytes):
                    await socket.send_bytes(event)
                else:
                    await socket.send_str(event if isinstance(event, str) else json.dumps(event))
        self._call(run(), timeout)

    def send_fragments(self, parts, opcode=0x1, to=None):
        """One message in several frames (RFC 6455 section 5.4), bytes each."""
        async def run():
            writer = self.newest(to)._writer.transport
            for i, part in enumerate(parts):
                final = 0x80 if i == len(parts) - 1 else 0
                head = bytes([final | (opcode if i == 0 else 0)])
                if len(part) < 126:
                    head += bytes([len(part)])
                elif len(part) < 65536:
                    head += bytes([126]) + len(part).to_bytes(2, "big")
                else:
                    head += bytes([127]) + len(part).to_bytes(8, "big")
                writer.write(head + part)
        self._call(run())

    def send_raw(self, data, to=None):
        """Bytes on the wire, frames or not."""
        async def run():
            self.newest(to)._writer.transport.write(data)
        self._call(run())

    def close(self, code=1000, reason="", to=None):
        """A close frame. Not by aiohttp's close(), which says 1000 whatever it is told."""
        payload = code.to_bytes(2, "big") + reason.encode()
        self.send_raw(bytes([0x88, len(payload)]) + payload, to)

    def reset(self, to=None):
        """Drops the connection without a close frame."""
        async def run():
            self.newest(to)._req.transport.abort()
        self._call(run())


def respond(status=200, body=None, headers=None, text=None):
    """For token_answers and handshake_answers."""
    def answer(_request):
        if text is not None:
            return web.Response(status=status, text=text, headers=headers)
        return web.json_response(body if body is not None else {}, status=status, headers=headers)
    return answer


def event(key, **changes):
    """A valid event."""
    made = {"interactionId": f"interaction-{key}", "timestamp": "2026-03-14T09:26:53.589Z", "type": "call",
            "idempotencyKey": key,
            "attributes": {"duration": 12.5, "disposition": "resolved", "queueName": "support", "agentId": "agent-7"}}
    made.update(changes)
    return made
