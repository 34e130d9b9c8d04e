# SPDX-License-Identifier: Apache-2.0
"""A command on a terminal of a given size, and what it would show."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

from . import wait

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    def __init__(self, argv, columns=80, rows=24, environment=None):
        self.written = ""
        pid, self.fd = pty.fork()
        if pid == 0:
            # The size is set before the program looks at it.
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.execve(argv[0], argv, {**os.environ, "TERM": "xterm", **(environment or {})})
        self.pid = pid

    def resize(self, columns, rows):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, seconds=0.1):
        """What came meanwhile is added to `written`; False at the end."""
        ready, _, _ = select.select([self.fd], [], [], seconds)
        if not ready:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        self.written += data.decode(errors="replace")
        return bool(data)

    def wait_for(self, pattern, what, seconds=30):
        """Until the newest picture matches."""
        def there():
            self.read()
            return re.search(pattern, self.picture(), re.S)
        return wait.until(there, seconds, what)

    def picture(self):
        """The last whole one, without colours."""
        frames = self.written.split("\x1b[H")
        whole = [frame for frame in frames[1:] if frame.endswith("\x1b[J") or "\x1b[J\x1b" in frame]
        return ESCAPES.sub("", whole[-1] if whole else self.written if len(frames) == 1 else "").replace("\r", "")

    def interrupt(self):
        """Ctrl-C, as typed."""
        os.write(self.fd, b"\x03")

    def end(self, seconds=30):
        """Reads to the end; the exit code. Kills what does not end."""
        limit = time.monotonic() + seconds * wait.FACTOR
        while self.read() and time.monotonic() < limit:
            pass
        if time.monotonic() >= limit:
            os.kill(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)
