# SPDX-License-Identifier: Apache-2.0
"""Peers that misbehave below HTTP and WebSocket: bytes on a TCP connection, as the test says."""
import asyncio
import base64
import hashlib
import json
import re
import socket
import struct
import threading


class RawPeer:
    """Serves each connection by script(connection, number) in a thread; it is closed afterwards."""

    def __init__(self, script):
        self.script = script
        self.accepted = 0
        self.ending = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open = []

    def ws_url(self, path="/raw"):
        return f"ws://127.0.0.1:{self.port}{path}"

    def url(self, path="/token"):
        return f"http://127.0.0.1:{self.port}{path}"

    def __enter__(self):
        threading.Thread(target=self._run, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        for connection in [self._listener, *self._open]:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            connection.close()

    def _run(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection, self.accepted), daemon=True).start()
            self.accepted += 1

    def _serve(self, connection, number):
        try:
            self.script(connection, number)
        except OSError:
            pass
        connection.close()

    def hold(self, connection, seconds=60):
        """Reads and says nothing until the far side leaves or the test ends."""
        connection.settimeout(seconds)
        while not self.ending.is_set() and connection.recv(65536):
            pass


def read_request(connection):
    """The handshake's request, up to its empty line."""
    text = b""
    while b"\r\n\r\n" not in text:
        more = connection.recv(65536)
        if not more:
            raise OSError("the client left")
        text += more
    return text.decode("latin-1")


def switching(request, accept=None):
    """The answer that RFC 6455 section 4.2.2 asks for."""
    key = re.search(r"(?im)^sec-websocket-key:\s*(\S+)", request)[1]
    digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
    accept = accept or base64.b64encode(digest).decode()
    return ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n").encode()


def frame(payload, opcode=0x1, final=True, first_byte=None):
    """A frame as a server sends it (RFC 6455 section 5.2)."""
    payload = payload if isinstance(payload, bytes) else payload.encode()
    first = first_byte if first_byte is not None else (0x80 if final else 0) | opcode
    if len(payload) < 126:
        return bytes([first, len(payload)]) + payload
    if len(payload) < 65536:
        return bytes([first, 126]) + struct.pack(">H", len(payload)) + payload
    return bytes([first, 127]) + struct.pack(">Q", len(payload)) + payload


class TcpProxy:
    """Forwards to host:port; can fall silent as a broken path does: nothing arrives, nothing ends."""

    def __init__(self, port, host="127.0.0.1", listen_port=0):
        self.target = (host, port)
        self.port = listen_port
        self.accepted = 0
        self._connections = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        self._call(self._start())
        return self

    def __exit__(self, *_):
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    async def _start(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self):
        self._server.close()
        for connection in self._connections:
            connection["task"].cancel()
        await asyncio.gather(*(c["task"] for c in self._connections), return_exceptions=True)

    async def _serve(self, reader, writer):
        self.accepted += 1
        connection = {"silent": False, "task": asyncio.current_task()}
        self._connections.append(connection)
        far = None
        try:
            far_reader, far = await asyncio.open_connection(*self.target)
            await asyncio.gather(self._pump(connection, reader, far), self._pump(connection, far_reader, writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for end in (writer, far):
                if end is not None:
                    end.transport.abort()

    async def _pump(self, connection, reader, writer):
        while data := await reader.read(65536):
            if not connection["silent"]:
                writer.write(data)
                await writer.drain()
        if connection["silent"]:
            await asyncio.sleep(3600)  # the end does not get through either
        raise OSError("one side left")

    def fall_silent(self):
        """The connections that are there; new ones work."""
        async def run():
            for connection in self._connections:
                connection["silent"] = True
        self._call(run())


class WebsocketsPeer:
    """A server of the websockets library."""

    def __init__(self, **options):
        self.options = options
        self.opened = 0
        self.requests = []  # headers of the handshakes
        self._sockets = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        self._call(self._start())
        return self

    def __exit__(self, *_):
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    async def _start(self):
        import websockets
        self._server = await websockets.serve(self._serve, "127.0.0.1", 0, **self.options)
        self.port = list(self._server.sockets)[0].getsockname()[1]

    async def _stop(self):
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, websocket):
        self.opened += 1
        self._sockets.append(websocket)
        await websocket.wait_closed()

    def url(self, path):
        return f"ws://127.0.0.1:{self.port}{path}"

    def send(self, *messages):
        """Dicts as JSON, lists as fragments, others as they are."""
        async def run():
            for message in messages:
                await self._sockets[-1].send(json.dumps(message) if isinstance(message, dict) else message)
        self._call(run())

    def close(self, code, reason=""):
        self._call(self._sockets[-1].close(code, reason))
