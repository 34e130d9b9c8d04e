# SPDX-License-Identifier: Apache-2.0
"""cxsink-sim as a process."""
import json
import subprocess
import urllib.request

from . import wait


class Sim:
    def __init__(self, build, home, *options):
        home.mkdir(exist_ok=True)
        self.port_file = home / "sim.port"
        self.log_file = home / "sim.log"
        self.tls = "--cert" in options
        self.host = "127.0.0.1"
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(
                [str(build / "cxsink-sim"), "--listen", "127.0.0.1:0", "--port-file", str(self.port_file),
                 *map(str, options)], stdout=log, stderr=log)

    def __enter__(self):
        try:
            self.port = wait.until(self._port, 20, "the simulator listens")
        except AssertionError:
            self.process.kill()
            self.process.wait(60)
            raise
        return self

    def _port(self):
        assert self.process.poll() is None, self.log()
        text = self.port_file.read_text() if self.port_file.exists() else ""
        return int(text) if text.endswith("\n") else None

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(60)
        log = self.log()
        for word in ("ERROR: AddressSanitizer", "runtime error:", "ERROR: LeakSanitizer"):
            assert word not in log, log[-8000:]

    def log(self):
        return self.log_file.read_text(errors="replace")

    def url(self, path):
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}{path}"

    def ws_url(self, path):
        return f"{'wss' if self.tls else 'ws'}://{self.host}:{self.port}{path}"

    def post(self, path):
        request = urllib.request.Request(self.url(path), method="POST")
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read())

    def finish(self, count=1):
        """One that sends without an end ends at so many events, or at once when it has sent them."""
        self.post(f"/sim/set?count={max(count, self.stats()['sent'])}")

    def stats(self):
        with urllib.request.urlopen(self.url("/sim/stats"), timeout=20) as answer:
            return json.loads(answer.read())
