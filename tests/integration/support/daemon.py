# SPDX-License-Identifier: Apache-2.0
"""The daemon as a process, and its configuration."""
import copy
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess

from . import audit, wait

ROOT = pathlib.Path(__file__).resolve().parents[3]
SCHEMA = ROOT / "config" / "schemas" / "cxone-event.json"

COLUMNS = {
    "interaction_id": "/interactionId", "timestamp": "/timestamp", "type": "/type",
    "idempotency_key": "/idempotencyKey", "duration": "/attributes/duration",
    "disposition": "/attributes/disposition", "queue_name": "/attributes/queueName",
    "agent_id": "/attributes/agentId", "attributes": "/attributes",
}
UPDATE = ["timestamp", "duration", "disposition", "queue_name", "agent_id", "attributes"]


def config(dsn, tenant=None, **changes):
    """A configuration for one stream "main" of a tenant; changes are merged in by section."""
    made = {
        "shutdown_timeout": "20s",
        "log": {"level": "debug", "target": "text"},
        "auth": {"cxone": {"grant": "client_credentials", "token_url": tenant.url("/oauth/token"),
                           "client_id": "id", "client_secret": "secret", "scope": "data-actions:read"}}
        if tenant else {},
        "streams": {"main": {"url": tenant.ws_url("/stream/main"), "auth": "cxone", "schema": str(SCHEMA),
                             "table": "cxone_events",
                             "reconnect": {"base": "50ms", "cap": "500ms", "stable": "60s"}}}
        if tenant else {"main": {"url": "ws://127.0.0.1:9/none", "schema": str(SCHEMA), "table": "cxone_events",
                                 "reconnect": {"base": "1s", "cap": "5s", "stable": "60s"}}},
        "tables": {"cxone_events": {"columns": dict(COLUMNS), "key": ["idempotency_key"], "update": list(UPDATE),
                                    "newest_by": "timestamp", "touch": "updated_at"}},
        "spool": {"max_bytes": "1GiB", "segment_bytes": "64MiB", "when_full": "block", "sync": "always"},
        "postgres": {"dsn": dsn, "connections": 2, "retry": {"base": "50ms", "cap": "500ms"}},
        "admin": {"listen": "127.0.0.1:0"},
    }
    return merge(made, changes)


def merge(base, changes):
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            merge(base[key], value)
        else:
            base[key] = copy.deepcopy(value)
    return base


class Daemon:
    def __init__(self, build, home, settings, environment=None, wrapper=()):
        self.build = build
        self.home = pathlib.Path(home)
        self.home.mkdir(mode=0o755, parents=True, exist_ok=True)
        self.config = settings
        self.config.setdefault("state_dir", str(self.home / "state"))
        self.config.setdefault("runtime_dir", str(self.home / "run"))
        self.path = self.home / "cxsink.json"
        self.environment = environment or {}
        self.wrapper = list(wrapper)
        self.process = None
        self.write()

    def write(self):
        self.path.write_text(json.dumps(self.config, indent=2))

    # --- life ---

    def start(self):
        assert self.process is None
        log = open(self.home / "log", "ab")
        self.process = subprocess.Popen([*self.wrapper, str(self.build / "cxsink"), "run", "-c", str(self.path)],
                                        stdout=log, stderr=log, env={**os.environ, **self.environment})
        log.close()
        return self

    def wait_up(self):
        """Until the control socket answers."""
        wait.until(lambda: self.alive() and self.status(), 60, "the daemon answers")
        return self

    def wait_ready(self):
        def ready():
            assert self.alive(), f"the daemon ended:\n{self.log()[-4000:]}"
            return self.status()["ready"]
        try:
            wait.until(ready, 60, "the daemon is ready")
        except AssertionError as error:
            if not self.alive():
                raise
            raise AssertionError(f"{error}: {self.status()['reasons']}\n{self.log()[-4000:]}") from None
        return self

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def send_signal(self, number):
        self.process.send_signal(number)

    def reload(self):
        """It takes its configuration as it is now."""
        self.write()
        before = self.audit_events().count("config.reload")
        self.send_signal(signal.SIGHUP)
        wait.until(lambda: self.audit_events().count("config.reload") > before, 30, "it is reloaded")
        assert [e for e in self.audit() if e["event"] == "config.reload"][-1]["result"] == "taken"

    def stop(self, number=signal.SIGTERM, seconds=60):
        """Asks it to stop; returns its exit code."""
        self.process.send_signal(number)
        code = self.process.wait(seconds * wait.FACTOR)
        self.process = None
        return code

    def kill(self):
        self.process.kill()
        self.process.wait(60)
        self.process = None

    def end(self):
        """After the test: it must end in good order, and say nothing that a sanitizer says."""
        log = self.log()
        if self.alive():
            self.process.terminate()
            try:
                self.process.wait(45 * wait.FACTOR)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(60)
                raise AssertionError(f"the daemon did not stop:\n{log[-4000:]}")
            log = self.log()
        self.process = None
        audit.check_members(self.home.glob("state/audit*.jsonl"))
        shutil.rmtree(self.home, ignore_errors=True)
        for word in ("ERROR: AddressSanitizer", "runtime error:", "ERROR: LeakSanitizer"):
            assert word not in log, log[-8000:]

    # --- what it says ---

    def log(self):
        path = self.home / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def get(self, path, timeout=10):
        """(status, body) from the control socket."""
        connection = http.client.HTTPConnection("localhost", timeout=timeout)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(timeout)
        connection.sock.connect(str(pathlib.Path(self.config["runtime_dir"]) / "control.sock"))
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def status(self):
        return json.loads(self.get("/api/status")[1])

    def stream(self, name="main"):
        return next(s for s in self.status()["streams"] if s["name"] == name)

    def metrics(self):
        """{'name{label="x"}': value}"""
        values = {}
        for line in self.get("/metrics")[1].splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                values[name] = float(value)
        return values

    def audit(self):
        path = pathlib.Path(self.config["state_dir"]) / "audit.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines if line]

    def audit_events(self):
        return [entry["event"] for entry in self.audit()]

    def rss(self):
        """Resident bytes."""
        text = pathlib.Path(f"/proc/{self.process.pid}/statm").read_text()
        return int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE")
