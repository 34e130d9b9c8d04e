# SPDX-License-Identifier: Apache-2.0
"""Thousands of jobs at once, against the simulator."""
import json

from support import daemon, farside, sim, wait

COUNT = 4000


def test_many_jobs_at_once(build, database, make_daemon, tmp_path):
    """Each once; more may be leased than the API has connections for, and the queue does not stand still for that (a
    minute would be too short); and a claim reads what it may take, not the whole queue, also in a table that was never analyzed."""
    with sim.Sim(build, tmp_path / "sim", "--paused") as server:
        jobs = farside.jobs(server, concurrency=16, apis={"cxone": {"rate_limit": "1000000/s"}})
        d = make_daemon(daemon.config(database.dsn, server, log={"level": "warn"}, jobs=jobs)).start().wait_ready()
        database.query("alter table cxsink.jobs set (autovacuum_enabled = false)")
        database.query("select count(cxsink.enqueue('ticket', %s::jsonb)) from generate_series(1, %s)",
                       (json.dumps({"inputs": {"priority": 2}}), COUNT))
        wait.until(lambda: database.query("select state, count(*) from cxsink.jobs group by state")
                   == [("succeeded", COUNT)], 60, f"{COUNT} jobs succeed")
        rest = server.stats()["rest"]
        assert rest["effects"]["invoke"] == rest["requests"]["invoke"] == COUNT and rest["duplicates"] == 0
        assert database.value("select count(distinct remote_id) from cxsink.jobs") == COUNT
        assert d.stop() == 0  # its connection is closed, so that what it read is told
    read = wait.until(lambda: database.value("select idx_tup_read from pg_stat_user_indexes"
                                             " where indexrelname = 'jobs_waiting'"), 30, "statistics")
    assert read < 40 * COUNT, f"{read / COUNT} index entries read a job"
