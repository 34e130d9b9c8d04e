# SPDX-License-Identifier: Apache-2.0
"""A daemon with jobs, which the tests of a file share: each test tells its own jobs apart by their trace ids."""
import contextlib
import json
import pathlib
import subprocess
import uuid

from . import daemon as daemons
from . import farside, wait


def short(record):
    """A record for people."""
    return {name: str(value)[:300] for name, value in record.items()}


class Work:
    """One job, its requests and what becomes of it."""

    def __init__(self, world, action, params):
        self.world = world
        self.action = action
        self.params = params
        self.trace = str(uuid.uuid4())
        self.id = None

    def script(self, method, path, *answers):
        self.world.far.script(method, path, *answers, job=self.trace)
        return self

    def always(self, method, path, answer):
        self.world.far.always(method, path, answer, job=self.trace)
        return self

    def queue(self, **more):
        self.id = farside.enqueue(self.world.database, self.action, self.params, trace_id=self.trace, **more)
        return self

    def done(self, state="succeeded", seconds=30):
        """The record, once it is in this state, and a final one is told."""
        def there():
            daemon, record = self.world.daemon, self.record
            assert daemon.alive(), f"the daemon ended:\n{daemon.log()[-4000:]}"
            ended = record["finished_at"] is not None
            assert not ended or state == record["state"], f"job {self.id} is {record['state']}: {short(record)}"
            told = not ended or self.audit("job." + state)
            return record if told and record["state"] == state else None
        try:
            return wait.until(there, seconds, f"job {self.id} is {state}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{short(self.record)}") from None

    def run(self):
        """Its result."""
        return self.queue().done()["result"]

    def fail(self):
        """Its error."""
        return self.queue().done("failed")["error"]

    @property
    def record(self):
        """Without its parameters, which may be megabytes."""
        return self.world.database.value("""
            select to_jsonb(r) from (select id, state, step, attempt, failures, lease_losses, idempotency_key, remote_id,
                                            progress, attempts, cancel_requested, result, error, finished_at
                                     from cxsink.jobs where id = %s) r""", (self.id,))

    def seen(self, method=None, path=""):
        return [r for r in self.world.far.seen(method, path) if r["headers"].get("X-Request-Id") == self.trace]

    def wait_seen(self, count, method=None, path="", seconds=30):
        wait.until(lambda: len(self.seen(method, path)) >= count, seconds, f"{count} requests {method} {path}")
        return self.seen(method, path)

    def audit(self, event=None):
        return [e for e in self.world.daemon.audit() if e.get("job") == self.id and event in (e["event"], None)]


class World:
    def __init__(self, daemon, database, far):
        self.daemon = daemon
        self.database = database
        self.far = far
        self.home = daemon.home

    def job(self, action, **params):
        return Work(self, action, params)

    def file(self, name, data):
        path = self.home / name
        path.write_bytes(data)
        return str(path)

    def reload(self):
        """The daemon takes its configuration as it is now."""
        self.daemon.reload()

    def refused(self, action, params, *words):
        """The faults of parameters that are refused before anything is sent, as {pointer: message}."""
        work = self.job(action, **params)
        error = work.fail()
        assert not work.seen(), "something was sent"
        assert "nothing was sent" in error["message"]
        text = json.dumps(error["faults"])
        for word in words:
            assert word in text, (word, error)
        return {f["pointer"]: f["message"] for f in error["faults"]}


@contextlib.contextmanager
def running(build, database, far, section, **changes):
    """A daemon with this "jobs" section, and further changes of the configuration."""
    home = pathlib.Path(subprocess.check_output(["mktemp", "-d", "/tmp/cxs.XXXXXX"], text=True).strip())
    daemon = daemons.Daemon(build, home / "d", daemons.config(database.dsn, far, jobs=section, **changes))
    try:
        daemon.start().wait_ready()
        yield World(daemon, database, far)
    finally:
        daemon.end()
        home.rmdir()
