# SPDX-License-Identifier: Apache-2.0
"""HTTP servers that are not ours: aiohttp (1.1), hypercorn (2 and 1.1), and scripted HTTP/2 over the h2 library.

Each runs in a thread of its own. `seen` holds what arrived, `connections` how many there were.
"""
import asyncio
import hashlib
import json
import socket
import ssl
import threading

from aiohttp import web


def server_context(certificate, protocols=()):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


class Threaded:
    """An asyncio loop in a thread, with `_start` and `_stop` of the class."""

    def __enter__(self):
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(lambda *_: None)  # clients leave in the middle of things here
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.call(self._start())
        return self

    def __exit__(self, *_):
        self.call(self._stop())
        self.call(self._cancel_rest())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _cancel_rest(self):
        rest = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)


class AiohttpPeer(Threaded):
    """handler(request) -> web.StreamResponse for every path; as long as the test lives."""

    def __init__(self, handler, certificate=None, **options):
        self.handler = handler
        self.certificate = certificate
        self.options = options
        self.seen = []
        self.connections = set()

    async def _start(self):
        async def handle(request):
            self.seen.append((request.method, request.path))
            self.connections.add(request.transport)
            return await self.handler(request)

        app = web.Application(client_max_size=1 << 26)
        app.router.add_route("*", "/{path:.*}", handle)
        self._runner = web.AppRunner(app, access_log=None, **self.options)
        await self._runner.setup()
        context = server_context(self.certificate) if self.certificate else None
        self._server = await asyncio.get_running_loop().create_server(self._runner.server, "127.0.0.1", 0, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self):
        self._server.close()
        for transport in self.connections:
            transport.abort()
        await self._runner.cleanup()

    def url(self, path="/", host="127.0.0.1"):
        return f"http{'s' if self.certificate else ''}://{host}:{self.port}{path}"


async def digest(request):
    """What came, as JSON; the body is read bit by bit."""
    total, sha = 0, hashlib.sha256()
    async for chunk in request.content.iter_any():
        total += len(chunk)
        sha.update(chunk)
    return web.json_response({"method": request.method, "length": total, "sha256": sha.hexdigest(),
                              "expect": request.headers.get("Expect"), "query": request.query_string})


class HypercornPeer(Threaded):
    """app(scope, receive, send) of ASGI over TLS, HTTP/2 and 1.1 by ALPN."""

    def __init__(self, app, certificate, protocols=("h2", "http/1.1"), **options):
        self.app = app
        self.certificate = certificate
        self.protocols = protocols
        self.options = options
        self.seen = []  # (version, method, path)
        self.busy = self.most_busy = 0
        self.clients = set()  # (address, port): connections

    async def _serve(self, scope, receive, send):
        if scope["type"] != "http":
            raise RuntimeError("HTTP alone")  # hypercorn goes on without a lifespan
        self.seen.append((scope["http_version"], scope["method"], scope["path"]))
        self.clients.add(tuple(scope["client"]))
        self.busy += 1
        self.most_busy = max(self.most_busy, self.busy)
        try:
            await self.app(self, scope, receive, send)
        finally:
            self.busy -= 1

    async def _start(self):
        from hypercorn.asyncio import serve
        from hypercorn.config import Config
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        config = Config()
        config.bind = [f"fd://{self._socket.detach()}"]
        config.certfile, config.keyfile = map(str, self.certificate)
        config.alpn_protocols = list(self.protocols)
        config.errorlog = config.accesslog = None
        config.graceful_timeout = 0.1
        for name, value in self.options.items():
            setattr(config, name, value)
        self._ending = asyncio.Event()
        self._task = asyncio.ensure_future(serve(self._serve, config, shutdown_trigger=self._ending.wait))

    async def _stop(self):
        self._ending.set()
        await asyncio.wait({self._task}, timeout=5)
        if self._task.done() and not self._task.cancelled():
            self._task.exception()  # of connections that a client left in the middle of things

    def url(self, path="/", host="127.0.0.1"):
        return f"https://{host}:{self.port}{path}"


async def answer(send, status=200, body=b"", headers=()):
    await send({"type": "http.response.start", "status": status,
                "headers": [(b"content-length", str(len(body)).encode()), *headers]})
    await send({"type": "http.response.body", "body": body})


async def digest_asgi(scope, receive, send):
    total, sha = 0, hashlib.sha256()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return
        total += len(message.get("body", b""))
        sha.update(message.get("body", b""))
        if not message.get("more_body"):
            break
    await answer(send, 200, json.dumps({"version": scope["http_version"], "method": scope["method"], "length": total,
                                        "sha256": sha.hexdigest()}).encode())


class H2Script(Threaded):
    """HTTP/2 frame by frame: script(connection: h2.connection.H2Connection, event, number of the TCP connection)
    is called for every event; what it puts into the connection is sent. Returning "close" ends the connection."""

    def __init__(self, script, certificate):
        self.script = script
        self.certificate = certificate
        self.accepted = 0
        self.streams = 0
        self._writers = []

    async def _start(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0,
                                                  ssl=server_context(self.certificate, ["h2"]))
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self):
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    def url(self, path="/"):
        return f"https://127.0.0.1:{self.port}{path}"

    async def _serve(self, reader, writer):
        import h2.config
        import h2.connection
        import h2.events
        number, self.accepted = self.accepted, self.accepted + 1
        self._writers.append(writer)
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        connection.initiate_connection()
        writer.write(connection.data_to_send())
        while data := await reader.read(65536):
            for event in connection.receive_data(data):
                self.streams += isinstance(event, h2.events.RequestReceived)
                if isinstance(event, h2.events.DataReceived):
                    connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                if self.script(connection, event, number) == "close":
                    writer.write(connection.data_to_send())
                    writer.close()
                    return
            writer.write(connection.data_to_send())
