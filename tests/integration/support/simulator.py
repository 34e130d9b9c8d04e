# SPDX-License-Identifier: Apache-2.0
"""cxsink-sim as a process: many events at a known rate."""
import json
import pathlib
import subprocess
import urllib.request

from . import wait


class Simulator:
    def __init__(self, build, home, **options):
        """Options as on the command line, with underscores: count=20000, malformed=1, paused=True."""
        self.home = pathlib.Path(home)
        self.home.mkdir(parents=True, exist_ok=True)
        port_file = self.home / "sim.port"
        command = [str(build / "cxsink-sim"), "--listen", "127.0.0.1:0", "--port-file", str(port_file), "--no-auth"]
        for name, value in options.items():
            command += [f"--{name.replace('_', '-')}"] + ([] if value is True else [str(value)])
        self.log = self.home / "sim.log"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        wait.until(lambda: port_file.exists() and port_file.read_text().strip(), 30, "the simulator listens")
        self.port = int(port_file.read_text())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(20)

    def ws_url(self, path="/stream/main"):
        return f"ws://127.0.0.1:{self.port}{path}"

    def stats(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/sim/stats", timeout=20) as answer:
            return json.load(answer)

    def set(self, **values):
        query = "&".join(f"{name}={value}" for name, value in values.items())
        url = f"http://127.0.0.1:{self.port}/sim/set?{query}"
        urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=20).close()

    def wait_sent(self, count=None, seconds=60):
        """All of its events, or that many of them."""
        def sent():
            stats = self.stats()
            return stats if (stats["done"] if count is None else stats["sent"] >= count) else None
        return wait.until(sent, seconds, f"the simulator sent {count or 'everything'}", poll=0.05)
