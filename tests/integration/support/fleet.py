# SPDX-License-Identifier: Apache-2.0
"""Daemons without streams that share one queue of jobs, and what the queue and the far side say of it."""
import json

from . import daemon as daemons
from . import farside, wait

UNFINISHED = "finished_at is null"


class Fleet:
    """`changes` are those of farside.jobs; each start() makes a daemon of its own home."""

    def __init__(self, make_daemon, database, far, **changes):
        self.make = make_daemon
        self.database = database
        self.far = far
        self.changes = {"concurrency": 16, **changes}

    def settings(self, **more):
        section = farside.jobs(self.far, **{**self.changes, **more})
        section["apis"]["cxone"]["max_connections"] = 64
        made = daemons.config(self.database.dsn, self.far, jobs=section)
        del made["streams"], made["tables"]
        return made

    def start(self, environment=None, **more):
        return self.make(self.settings(**more), environment=environment).start().wait_ready()

    # --- the queue ---

    def enqueue(self, action, params, count, prefix=None):
        """Many in one transaction; their ids are PREFIX-1 and so on."""
        self.database.query("select count(cxsink.enqueue(%s, %s::jsonb, %s || '-' || i)) from generate_series(1, %s) i",
                            (action, json.dumps(params), prefix or action, count))

    def count(self, condition="true"):
        return self.database.value(f"select count(*) from cxsink.jobs where {condition}")

    def column(self, what, condition="true"):
        """One value of each job, in the order of their ids."""
        return [row[0] for row in self.database.query(f"select {what} from cxsink.jobs where {condition} order by id")]

    def wait_done(self, seconds=60):
        """Until nothing is left to do."""
        try:
            wait.until(lambda: self.count(UNFINISHED) == 0, seconds, "every job is finished", poll=0.05)
        except AssertionError as error:
            rows = self.database.query("select id, state, step, attempt, failures, lease_losses, run_at, leased_until, "
                                       f"attempts from cxsink.jobs where {UNFINISHED} limit 5")
            raise AssertionError(f"{error}: {rows}") from None

    def let_leases_end(self):
        """As if their time had passed, and as if this were the first time: what ends a worker here is no job's fault."""
        self.database.query("update cxsink.jobs set leased_until = now() - interval '1 s', lease_losses = 0 "
                            "where leased_by is not null")

    def check_once(self, count):
        """Every job succeeded, and its effect happened once, by its own key."""
        states = self.database.query("select state, count(*) from cxsink.jobs group by state")
        assert states == [("succeeded", count)], (states, self.column("error", "state = 'failed'")[:5])
        keys = self.column("idempotency_key::text")
        assert len(set(keys)) == count
        assert {key: self.far.effects.get(key) for key in keys} == dict.fromkeys(keys, 1)
        assert len(self.far.effects) == count
        assert self.count("leased_by is not null") == 0
