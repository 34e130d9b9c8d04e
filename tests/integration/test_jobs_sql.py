# SPDX-License-Identifier: Apache-2.0
"""The queue's SQL functions: what applications and daemons call (sql/0003_jobs.sql)."""
import datetime
import json
import random
import subprocess
import uuid
import zoneinfo

import psycopg2
import pytest

from support import postgres as postgres_support

UTC = datetime.timezone.utc
MINUTE = datetime.timedelta(minutes=1)


@pytest.fixture(scope="module")
def queue(cluster, build):
    """A database with cxsink's schema, owned by a role that owns nothing else."""
    name = "q" + uuid.uuid4().hex[:12]
    cluster.query(f"create role {name} login")
    cluster.query(f"create database {name}")
    cluster.query(f"create schema cxsink authorization {name}", name)
    database = Owned(cluster, name)
    script = subprocess.run([str(build / "cxsink"), "migrate", "--print"], capture_output=True, text=True, check=True)
    subprocess.run([str(cluster.bin / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", database.dsn], input=script.stdout,
                   text=True, check=True, capture_output=True, timeout=60)
    yield database
    cluster.query(f"drop database {name} with (force)")
    cluster.query(f"drop role {name}")


class Owned(postgres_support.Database):
    @property
    def dsn(self):
        return self.cluster.dsn(self.name, user=self.name)

    def query(self, sql, args=None):
        connection = psycopg2.connect(self.dsn, connect_timeout=10)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql, args)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()


# --- enqueue, cancel, retry ----------------------------------------------------------------------

def test_enqueue(queue):
    made = queue.value("select cxsink.enqueue('a')")
    uuid.UUID(made)
    assert queue.query("select action, params, priority, state, source, run_at <= now(), first_run_at = run_at,"
                       " attempt, step from cxsink.jobs where id = %s", (made,)) == [
                           ("a", {}, 0, "queued", "sql", True, True, 0, "")]
    key, trace = str(uuid.uuid4()), str(uuid.uuid4())
    assert queue.value("select cxsink.enqueue('b', '{\"n\": 1}', 'enq-1', 7, '2100-01-01Z', %s, %s)",
                       (key, trace)) == "enq-1"
    row = queue.query("select params, priority, run_at = '2100-01-01Z', idempotency_key::text, trace_id::text"
                      " from cxsink.jobs where id = 'enq-1'")
    assert row == [({"n": 1}, 7, True, key, trace)]
    assert queue.value("select cxsink.enqueue('other', '{}', 'enq-1')") == "enq-1"  # there already
    assert queue.value("select action from cxsink.jobs where id = 'enq-1'") == "b"
    nulls = queue.value("select cxsink.enqueue('a', null, null, null, null)")
    assert queue.query("select params, priority, run_at <= now() from cxsink.jobs where id = %s",
                       (nulls,)) == [({}, 0, True)]


@pytest.mark.parametrize("sql", [
    "select cxsink.enqueue('a', '[1]')", "select cxsink.enqueue('a', '{}', '')", "select cxsink.enqueue(null)",
    "select cxsink.enqueue('a', '{}', repeat('x', 256))",
    "insert into cxsink.jobs (id, action, state) values ('bad', 'a', 'running')",
    "insert into cxsink.jobs (id, action, state) values ('bad', 'a', 'failed')",
    "insert into cxsink.jobs (id, action, state) values ('bad', 'a', 'paused')",
    "select cxsink.enqueue('a', '{}', null, 0, '-infinity')", "select cxsink.enqueue('a', run_at => 'infinity')",
    "insert into cxsink.jobs (id, action, leased_by) values ('bad', 'a', gen_random_uuid())",
])
def test_refuses_what_makes_no_sense(queue, sql):
    with pytest.raises(psycopg2.IntegrityError):
        queue.query(sql)


def test_enqueue_is_part_of_the_transaction_and_notifies(queue):
    listener = psycopg2.connect(queue.dsn)
    listener.autocommit = True
    listener.cursor().execute("listen cxsink_jobs")

    def heard():
        listener.cursor().execute("select 1")
        payloads = [n.payload for n in listener.notifies if n.channel == "cxsink_jobs"]
        listener.notifies.clear()
        return payloads

    connection = psycopg2.connect(queue.dsn)
    with connection.cursor() as cursor:
        cursor.execute("select cxsink.enqueue('a', '{}', 'tx-1')")
    assert heard() == []
    connection.rollback()
    assert heard() == [] and queue.value("select count(*) from cxsink.jobs where id = 'tx-1'") == 0
    with connection.cursor() as cursor:
        cursor.execute("select cxsink.enqueue('a', '{}', 'tx-' || n) from generate_series(1, 100) n")
    connection.commit()
    connection.close()
    assert heard() == [""]  # one, however many
    queue.query("update cxsink.jobs set state = 'polling', step = 'poll' where id = 'tx-2'")
    assert queue.value("select cxsink.cancel_job('tx-2')") == "requested"
    assert heard() == ["cancel"]
    queue.query("update cxsink.jobs set state = 'failed', finished_at = now() where id = 'tx-3'")
    assert queue.value("select cxsink.retry_job('tx-3')")
    assert heard() == [""]
    listener.close()


def test_enqueue_with_few_rights(queue):
    """An application needs USAGE and INSERT, nothing else."""
    role = queue.name + "_app"
    queue.cluster.query(f"create role {role} login")
    try:
        queue.query(f"grant usage on schema cxsink to {role}; grant insert on cxsink.jobs to {role}")
        connection = psycopg2.connect(queue.cluster.dsn(queue.name, user=role))
        with connection, connection.cursor() as cursor:
            for _ in range(2):
                cursor.execute("select cxsink.enqueue('a', '{}', 'few-1')")
        connection.close()
        assert queue.value("select count(*) from cxsink.jobs where id = 'few-1'") == 1
    finally:
        queue.cluster.query(f"drop owned by {role}", queue.name)
        queue.cluster.query(f"drop role {role}")


def test_cancel(queue):
    queue.query("select cxsink.enqueue('a', '{}', 'can-' || n, 0, '2100-01-01Z') from generate_series(1, 4) n")
    assert queue.value("select cxsink.cancel_job('nothing')") is None
    assert queue.value("select cxsink.cancel_job('can-1')") == "cancelled"
    assert queue.query("select state, error->>'message', finished_at is not null from cxsink.jobs where id = 'can-1'"
                       ) == [("cancelled", "cancelled before it began", True)]
    assert queue.value("select cxsink.cancel_job('can-1')") == "cancelled"
    # Begun, and waiting for its next try: a daemon ends it, at once.
    queue.query("update cxsink.jobs set step = 'send' where id = 'can-2'")
    assert queue.value("select cxsink.cancel_job('can-2')") == "requested"
    assert queue.query("select state, cancel_requested, run_at <= now() from cxsink.jobs where id = 'can-2'"
                       ) == [("queued", True, True)]
    # Leased: left to the one who has it.
    queue.query("update cxsink.jobs set state = 'running', leased_by = gen_random_uuid(),"
                " leased_until = now() + interval '1 minute' where id = 'can-3'")
    assert queue.value("select cxsink.cancel_job('can-3')") == "requested"
    assert queue.query("select state, cancel_requested, leased_by is not null from cxsink.jobs where id = 'can-3'"
                       ) == [("running", True, True)]
    queue.query("update cxsink.jobs set state = 'succeeded', finished_at = now() where id = 'can-4'")
    assert queue.value("select cxsink.cancel_job('can-4')") == "succeeded"


def test_retry(queue):
    queue.query("select cxsink.enqueue('a', '{}', 'ret-' || n) from generate_series(1, 3) n")
    assert queue.value("select cxsink.retry_job('ret-1')") is False  # not finished
    assert queue.value("select cxsink.retry_job('nothing')") is False
    queue.query("update cxsink.jobs set state = 'failed', finished_at = now(), step = 'poll', failures = 4, attempt = 4,"
                " remote_id = 'r', error = '{}', progress = '{}', idempotency_key = gen_random_uuid(),"
                " cancel_requested = true, lease_losses = 5 where id = 'ret-1'")
    queue.query("update cxsink.jobs set state = 'succeeded', finished_at = now() where id = 'ret-2'")
    assert queue.value("select cxsink.retry_job('ret-1')") is True
    assert queue.value("select cxsink.retry_job('ret-2')") is False
    assert queue.query("select state, step, failures, attempt, lease_losses, cancel_requested, remote_id, error, progress,"
                       " idempotency_key, finished_at from cxsink.jobs where id = 'ret-1'") == [
                           ("queued", "", 0, 4, 0, False, None, None, None, None, None)]


@pytest.mark.parametrize("kind, state, step, error, keeps", [
    ("invoke", "failed", "failed", {"outcome": "unknown"}, True), ("invoke", "failed", "failed", {"message": "no"}, False),
    ("execute", "cancelled", "send", {}, True), ("invoke", "cancelled", "", {}, False),
    ("publish", "cancelled", "restored", {}, False), (None, "cancelled", "", None, False)])
def test_retry_keeps_the_key_of_an_unknown_outcome(queue, kind, state, step, error, keeps):
    name, key = queue.value("select cxsink.enqueue('a')"), str(uuid.uuid4())
    queue.query("update cxsink.jobs set state = %s, kind = %s, step = %s, error = %s, idempotency_key = %s,"
                " finished_at = now() where id = %s", (state, kind, step, json.dumps(error) if error else None, key, name))
    assert queue.value("select cxsink.retry_job(%s)", (name,)) is True
    assert queue.value("select idempotency_key::text from cxsink.jobs where id = %s", (name,)) == (key if keeps else None)


# --- cron ----------------------------------------------------------------------------------------

ALL = {"minutes": range(60), "hours": range(24), "days": range(1, 32), "months": range(1, 13), "weekdays": range(7)}


def cron_next(queue, after, zone, either=False, **fields):
    sets = [list(fields.get(name, ALL[name])) for name in ALL]
    found = queue.value("select cxsink.cron_next(%s, %s, %s, %s, %s, %s, %s, %s)", (*sets, either, zone, after))
    return found and found.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


@pytest.mark.parametrize("after, zone, fields, expected", [
    ("2026-01-01 00:00Z", "UTC", {}, "2026-01-01 00:01"),
    ("2026-01-01 00:00:59.9Z", "UTC", {}, "2026-01-01 00:01"),
    ("2026-12-31 23:59Z", "UTC", {"minutes": [0], "hours": [0]}, "2027-01-01 00:00"),
    ("2026-01-31 12:00Z", "UTC", {"minutes": [0], "hours": [0], "days": [31]}, "2026-03-31 00:00"),
    ("2026-03-01 00:00Z", "UTC", {"minutes": [0], "hours": [0], "days": [29], "months": [2]}, "2028-02-29 00:00"),
    ("2096-03-01 00:00Z", "UTC", {"minutes": [0], "hours": [0], "days": [29], "months": [2]}, "2104-02-29 00:00"),
    # A 29 February that is a Monday.
    ("2028-01-01 00:00Z", "UTC", {"minutes": [0], "hours": [0], "days": [29], "months": [2], "weekdays": [1]},
     "2044-02-29 00:00"),
    ("2026-01-01 00:00Z", "UTC", {"days": [30], "months": [2]}, None),
    ("2026-01-01 00:00Z", "UTC", {"minutes": [30, 5, 5], "hours": [9, 1]}, "2026-01-01 01:05"),  # any order
    # Half-hour and quarter-hour zones.
    ("2026-01-01 00:00Z", "Asia/Kolkata", {"minutes": [0], "hours": [9]}, "2026-01-01 03:30"),
    ("2026-01-01 00:00Z", "Asia/Kathmandu", {"minutes": [0], "hours": [9]}, "2026-01-01 03:15"),
    # New York skips 02:00 to 03:00 on 2026-03-08 (07:00Z)...
    ("2026-03-08 00:00Z", "America/New_York", {"minutes": [30], "hours": [2]}, "2026-03-08 07:00"),
    ("2026-03-08 07:00Z", "America/New_York", {"minutes": [30], "hours": [2]}, "2026-03-09 06:30"),
    ("2026-03-08 06:59Z", "America/New_York", {"minutes": range(0, 60, 10), "hours": [2, 3]}, "2026-03-08 07:00"),
    ("2026-03-08 07:00Z", "America/New_York", {"minutes": range(0, 60, 10), "hours": [2, 3]}, "2026-03-08 07:10"),
    # ... and shows 01:00 to 02:00 twice on 2026-11-01 (from 05:00Z and from 06:00Z).
    ("2026-11-01 04:00Z", "America/New_York", {"minutes": [30], "hours": [1]}, "2026-11-01 05:30"),
    ("2026-11-01 05:30Z", "America/New_York", {"minutes": [30], "hours": [1]}, "2026-11-02 06:30"),
    ("2026-11-01 06:10Z", "America/New_York", {"minutes": [30], "hours": [1]}, "2026-11-02 06:30"),
    # Gaps at midnight: Sao Paulo 2018-11-04 (03:00Z), Beirut 2024-03-31 (2024-03-30 22:00Z).
    ("2018-11-03 12:00Z", "America/Sao_Paulo", {"minutes": [0], "hours": [0]}, "2018-11-04 03:00"),
    ("2018-11-04 03:00Z", "America/Sao_Paulo", {"minutes": [0], "hours": [0]}, "2018-11-05 02:00"),
    ("2024-03-30 12:00Z", "Asia/Beirut", {"minutes": [15], "hours": [0]}, "2024-03-30 22:00"),
    # Midnight twice: Sao Paulo 2018-02-18 went back to 23:00 of the 17th at 02:00Z.
    ("2018-02-17 12:00Z", "America/Sao_Paulo", {"minutes": [30], "hours": [23]}, "2018-02-18 01:30"),
    ("2018-02-18 01:45Z", "America/Sao_Paulo", {"minutes": [30], "hours": [23]}, "2018-02-19 02:30"),
    # Lord Howe moves by half an hour: skips 02:00 to 02:30 on 2026-10-04 (2026-10-03 15:30Z).
    ("2026-10-03 12:00Z", "Australia/Lord_Howe", {"minutes": [10], "hours": [2]}, "2026-10-03 15:30"),
    # Samoa skipped 2011-12-30 whole.
    ("2011-12-29 23:00Z", "Pacific/Apia", {"minutes": [0], "hours": [12], "days": [30]}, "2011-12-30 10:00"),
])
def test_cron_next(queue, after, zone, fields, expected):
    assert cron_next(queue, after, zone, **fields) == expected


def test_cron_either_day(queue):
    fields = {"minutes": [0], "hours": [0], "days": [15], "weekdays": [1]}
    assert cron_next(queue, "2026-06-02 00:00Z", "UTC", either=True, **fields) == "2026-06-08 00:00"  # a Monday
    assert cron_next(queue, "2026-06-09 00:00Z", "UTC", either=True, **fields) == "2026-06-15 00:00"
    assert cron_next(queue, "2026-06-16 00:00Z", "UTC", either=False, **fields) == "2027-02-15 00:00"


def test_cron_unknown_time_zone(queue):
    with pytest.raises(psycopg2.errors.InvalidParameterValue):
        cron_next(queue, "2026-01-01Z", "Europe/Nowhere")


def by_hand(after, zone, fields):
    """Minute by minute: what the clocks show anew, or skip, since the moment before."""
    zone = zoneinfo.ZoneInfo(zone)
    moment = after - datetime.timedelta(days=3)
    highest = moment.astimezone(zone).replace(tzinfo=None)
    while True:
        moment += MINUTE
        shown = moment.astimezone(zone).replace(tzinfo=None)
        while highest < shown:
            highest += MINUTE
            if moment > after and highest.minute in fields["minutes"] and highest.hour in fields["hours"] and \
                    highest.day in fields["days"] and highest.isoweekday() % 7 in fields["weekdays"]:
                return moment.strftime("%Y-%m-%d %H:%M")


@pytest.mark.parametrize("zone, around", [
    ("America/New_York", "2026-03-08 07:00"), ("America/New_York", "2026-11-01 06:00"),
    ("Australia/Lord_Howe", "2026-10-03 15:30"), ("Australia/Lord_Howe", "2026-04-04 15:00"),
    ("America/Sao_Paulo", "2018-11-04 03:00"), ("America/Sao_Paulo", "2018-02-18 02:00"),
    ("Africa/Casablanca", "2026-02-15 02:00"), ("Europe/Dublin", "2026-03-29 01:00"),
    ("Pacific/Apia", "2011-12-30 10:00"), ("Asia/Kathmandu", "2026-05-05 00:00"),
])
def test_cron_next_by_hand(queue, zone, around):
    """Random sets around changes of the clocks, against a count of every minute."""
    chance = random.Random(zone + around)
    change = datetime.datetime.fromisoformat(around).replace(tzinfo=UTC)
    for _ in range(25):
        fields = {"minutes": chance.sample(range(60), chance.randint(1, 6)),
                  "hours": chance.sample(range(24), chance.randint(1, 24)) + [0, 1, 2, 3] * chance.randint(0, 1),
                  "days": list(range(1, 32)),
                  "weekdays": chance.choice([list(range(7)), chance.sample(range(7), 5)])}
        after = change + MINUTE * chance.randint(-300, 300)
        assert cron_next(queue, after, zone, **fields) == by_hand(after, zone, fields), (after, zone, fields)


# --- schedules -----------------------------------------------------------------------------------

def fire(queue, most=100):
    return queue.query("select * from cxsink.fire_schedules(%s)", (most,))


def test_fire_every(queue):
    queue.query("insert into cxsink.job_schedules (id, action, params, priority, source, every, next_at) values"
                " ('e', 'act', '{\"x\": 1}', 3, 'config', '1 hour', date_trunc('minute', now()) - interval '150 min')")
    due = queue.value("select to_char(next_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
                      " from cxsink.job_schedules where id = 'e'")
    assert fire(queue) == [("e", "e@" + due, None)]  # once, though two times more have passed
    assert queue.query("select action, params, priority, source, schedule_id from cxsink.jobs where id = %s",
                       ("e@" + due,)) == [("act", {"x": 1}, 3, "schedule", "e")]
    assert queue.value("select next_at - (%s)::timestamptz from cxsink.job_schedules where id = 'e'",
                       (due,)) == datetime.timedelta(hours=3)
    assert fire(queue) == []
    # The previous one is unfinished.
    queue.query("update cxsink.job_schedules set next_at = now() where id = 'e'")
    assert fire(queue) == [("e", None, None)]
    assert queue.value("select next_at > now() from cxsink.job_schedules where id = 'e'")
    queue.query("update cxsink.jobs set state = 'failed', finished_at = now() where schedule_id = 'e'")
    queue.query("update cxsink.job_schedules set next_at = '2026-01-02T03:04:05.25Z' where id = 'e'")
    assert fire(queue) == [("e", "e@2026-01-02T03:04:05.25Z", None)]
    queue.query("delete from cxsink.job_schedules")


def test_fire_cron(queue):
    schedule = ("insert into cxsink.job_schedules (id, action, source, cron, minutes, hours, days, months, weekdays,"
                " either_day, time_zone, next_at) select %s, 'act', 'config', 'x', '{0}', '{0}',"
                " array_agg(n), array_agg(n), array_agg(n), false, %s, now() from generate_series(0, 31) n")
    queue.query(schedule, ("c", "Europe/Berlin"))
    queue.query(schedule, ("lost", "Europe/Nowhere"))
    fired = {row[0]: row for row in fire(queue)}
    assert fired["c"][1] is not None and fired["c"][2] is None
    assert fired["lost"][1] is not None and "Europe/Nowhere" in fired["lost"][2]
    assert queue.value("select (next_at at time zone 'Europe/Berlin')::time = '00:00' and next_at > now()"
                       " from cxsink.job_schedules where id = 'c'")
    assert queue.value("select next_at > now() from cxsink.job_schedules where id = 'lost'")
    queue.query("delete from cxsink.job_schedules")


def test_two_fire_at_once(queue):
    """Who comes second finds the schedules locked, and leaves them."""
    queue.query("insert into cxsink.job_schedules (id, action, source, every, next_at)"
                " select 'two-' || n, 'a', 'config', '1 day', now() from generate_series(1, 5) n")
    first = psycopg2.connect(queue.dsn)
    with first.cursor() as cursor:
        cursor.execute("select job from cxsink.fire_schedules(3)")
        assert len(cursor.fetchall()) == 3
        assert len(fire(queue)) == 2
    first.commit()
    first.close()
    assert queue.value("select count(*) from cxsink.jobs where schedule_id like 'two-%'") == 5
    queue.query("delete from cxsink.job_schedules")


# --- a million finished jobs ---

def test_what_is_asked_often_reads_no_more_than_it_tells(queue):
    """The newest jobs, the ends that are not told, and what retention may delete: each by an index."""
    queue.query("insert into cxsink.jobs (id, action, state, created_at, finished_at) select 'old-' || n, 'a', 'succeeded',"
                " now() - n * interval '1 s', now() - n * interval '1 s' from generate_series(1, 20000) n")
    queue.query("analyze cxsink.jobs")
    for index, sql in (
            ("jobs_created_at", "select id from cxsink.jobs order by created_at desc, id desc limit 50"),
            ("jobs_untold", "select id from cxsink.jobs where untold and (action = any ('{a}') or finished_at < now() - "
                            "interval '1 minute') order by finished_at limit 10"),
            ("jobs_finished", "select id from cxsink.jobs where finished_at < now() - interval '30 days' and state in "
                              "('succeeded', 'failed', 'cancelled') and source <> 'config' limit 500")):
        plan = "\n".join(row[0] for row in queue.query("explain " + sql))
        assert index in plan and "Seq Scan" not in plan, plan
    queue.query("delete from cxsink.jobs where id like 'old-%'")
