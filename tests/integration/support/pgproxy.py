# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy before PostgreSQL that turns into a black hole at a chosen moment.

A black hole keeps the connection open, takes what is sent, and never answers.
"""
import asyncio
import re
import socket
import threading


class Proxy:
    """`hole` is looked at by each connection while it lives:

    None        passes everything on
    "connect"   taken, and nothing more
    "auth"      the answer to the startup packet never comes
    "commit"    COMMIT gets through, its answer does not
    "silence"   nothing gets through any more, in either direction
    "cut"       COMMIT gets through, then the connection is reset
    "deaf"      the server gets what is sent, its answers do not get back
    bytes       the same, from when the server is sent them
    "refuse"    reset at once
    """

    def __init__(self, port):
        self.target = port
        self.hole = None
        self.version = None  # two digits: the server's, as clients see it
        self.taken = 0  # connections that a hole swallowed
        self.opened = 0
        self._writers = set()
        self._tasks = set()
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
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)

    def reset_all(self):
        """Every open connection."""
        async def run():
            for writer in self._writers:
                writer.transport.abort()
        self._call(run())

    async def _start(self):
        self._server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self):
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connection(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        self._writers.add(writer)
        self.opened += 1
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        state = {"swallow": False, "deaf": False}
        if self.hole == "connect":
            self._swallow(state)
        if self.hole == "refuse":
            writer.transport.abort()
            return
        upstream, up = await asyncio.open_connection("127.0.0.1", self.target)
        self._writers.add(up)
        try:
            await asyncio.gather(self._to_server(reader, up, writer, state), self._to_client(upstream, writer, state))
        except (ConnectionError, OSError):
            pass
        finally:
            writer.transport.abort()
            up.transport.abort()

    def _swallow(self, state):
        if not state["swallow"]:
            state["swallow"] = True
            self.taken += 1

    async def _to_server(self, reader, up, writer, state):
        tail = b""
        while data := await reader.read(65536):
            if self.hole == "silence":
                self._swallow(state)
            if state["swallow"]:
                continue
            # The startup packet names the user; an SSLRequest before it does not.
            if self.hole == "auth" and b"user\0" in data:
                self._swallow(state)
            committing = b"COMMIT\0" in tail + data
            tail = data[-6:]
            if committing and self.hole in ("commit", "cut"):
                self._swallow(state)
            state["deaf"] |= isinstance(self.hole, bytes) and self.hole in data
            up.write(data)
            await up.drain()
            if committing and self.hole == "cut":
                await asyncio.sleep(0.02)  # the server reads it
                writer.transport.abort()
                return
        if not state["swallow"]:
            up.write_eof()

    async def _to_client(self, upstream, writer, state):
        while data := await upstream.read(65536):
            if state["deaf"] or self.hole in ("silence", "deaf"):
                self._swallow(state)
            if self.version is not None:
                data = re.sub(rb"(server_version\0)\d\d", rb"\g<1>" + self.version, data)
            if not state["swallow"]:
                writer.write(data)
                await writer.drain()
        # A server that closes is not seen behind a black hole.
        if state["swallow"]:
            await asyncio.Event().wait()
        writer.transport.abort()
