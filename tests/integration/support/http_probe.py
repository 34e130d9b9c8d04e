# SPDX-License-Identifier: Apache-2.0
"""build/test/http_probe: net/http under the test's control (its protocol: tests/integration/probe/http_probe.c)."""
import json
import queue
import subprocess
import threading

from . import wait


class Probe:
    def __init__(self, build, environment=None):
        self._process = subprocess.Popen([str(build / "test" / "http_probe")], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        self._next = 0
        self._results = {}
        self._figures = queue.Queue()
        self._change = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self._process.stdout:
            said = json.loads(line)
            if "id" not in said:
                self._figures.put(said)
                continue
            with self._change:
                assert said["id"] not in self._results, "a second answer"
                self._results[said["id"]] = said
                self._change.notify_all()

    def _say(self, what):
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()

    def start(self, url, **options):
        self._next += 1
        self._say({"id": self._next, "url": url, **options})
        return self._next

    def cancel(self, ident):
        self._say({"cancel": ident})

    def answered(self, ident):
        with self._change:
            return ident in self._results

    def result(self, ident, seconds=30):
        with self._change:
            assert self._change.wait_for(lambda: ident in self._results, seconds * wait.FACTOR), f"no answer to {ident}"
            return self._results[ident]

    def ask(self, url, **options):
        return self.result(self.start(url, **options))

    def figures(self):
        self._say({"stat": True})
        return self._figures.get(timeout=30 * wait.FACTOR)

    def end(self):
        """Its exit code and what it wrote to stderr (a sanitizer's report)."""
        self._process.stdin.close()
        self._reader.join(30 * wait.FACTOR)
        try:
            code = self._process.wait(30 * wait.FACTOR)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        errors = self._process.stderr.read()
        self._process.stdout.close()
        self._process.stderr.close()
        return code, errors
