# SPDX-License-Identifier: Apache-2.0
"""What becomes of an event: a row, verbatim, or a dead letter with its exact reason. And what becomes
of a row when its key comes again: newest_by, touch, counts; and of the rows beside a refused one."""
import datetime
import hashlib
import json
import pathlib
import subprocess

import psycopg2
import pytest

from support import cases, daemon, postgres, tenant as tenants, wait

COLUMNS = list(daemon.COLUMNS)


# --- every accept and reject case, over the wire ---

def send_all(tenant, d, payloads):
    """Sends bytes as text messages, in one frame each, and waits until they are durable."""
    before = d.stream()["received"]
    for payload in payloads:
        tenant.send_fragments([payload])
    wait.until(lambda: d.stream()["received"] == before + len(payloads), 30, "all are received")


def rows_of(database):
    names = ", ".join(f'"{name}"' for name in COLUMNS)
    return {row[COLUMNS.index("idempotency_key")]: dict(zip(COLUMNS, row))
            for row in database.query(f"select {names} from cxone_events")}


def dead_letters(database, stream=None):
    """[{stream, reason, detail, payload, sha}] in order of arrival."""
    rows = database.query("select stream, reason, detail, payload, payload_sha256 from cxsink.dead_letters"
                          " where %s is null or stream = %s order by source_seq", (stream, stream))
    return [{"stream": row[0], "reason": row[1], "detail": row[2],
             "payload": None if row[3] is None else bytes(row[3]),
             "sha": None if row[4] is None else bytes(row[4])} for row in rows]


def check_letter(letter, case, stream="main"):
    assert (letter["reason"], letter["stream"]) == (case.reason, stream), case.name
    assert letter["payload"] == case.payload, case.name
    assert letter["sha"] == hashlib.sha256(case.payload).digest(), case.name
    first = letter["detail"][0]
    assert first["message"], case.name
    if case.keyword:
        assert (first["keyword"], first["instance"]) == (case.keyword, case.instance), (case.name, first)
        assert case.keyword in first["schema"], (case.name, first)
    elif case.instance is not None:
        assert first["instance"] == case.instance, (case.name, first)
    if case.column:
        assert first["column"] == case.column, (case.name, first)
    assert cases.MARK not in json.dumps(letter["detail"]), case.name


@pytest.mark.parametrize("target", ["text", "json"])
def test_every_accept_and_reject_case(database, tenant, make_daemon, target):
    """D5 and D14 among them: each case of the event's contract with its exact outcome, counted; not a
    word of a payload in the log."""
    settings = daemon.config(database.dsn, tenant, log={"level": "debug", "target": target})
    d = make_daemon(settings).start().wait_ready()
    accepted = cases.accepted()
    rejected = cases.rejected() + cases.not_utf8()
    payloads = [payload for payload, _ in accepted] + [case.payload for case in rejected]
    send_all(tenant, d, payloads)
    transcript, transcript_row = cases.transcript()
    size = len(transcript) // 5 + 1
    tenant.send_fragments([transcript[i * size:(i + 1) * size] for i in range(5)])  # cuts characters, too
    tenant.send(f"binary {cases.MARK}".encode())
    wanted = {made["idempotency_key"]: made for _, made in accepted + [(None, transcript_row)]}
    wanted_payloads = [payload for payload, _ in accepted] + [transcript]
    wait.until(lambda: d.stream()["received"] == len(payloads) + 2, 30, "all are received")
    wait.until(lambda: d.status()["spool"]["events"] == 0, 30, "the spool is empty")

    assert [letter["reason"] for letter in dead_letters(database) if letter["payload"] in wanted_payloads] == []
    rows = rows_of(database)
    assert rows.keys() == wanted.keys()
    for key, row in wanted.items():
        assert rows[key] == row, key
    letters = dead_letters(database)
    assert len(letters) == len(rejected) + 1
    for letter, case in zip(letters, rejected):
        check_letter(letter, case)
    binary = cases.Reject("binary", f"binary {cases.MARK}".encode(), "frame.binary")
    check_letter(letters[-1], binary)

    reasons = [case.reason for case in rejected + [binary]]
    metrics = d.metrics()
    for reason in set(reasons):
        name = f'cxsink_events_rejected_total{{stream="main",reason="{reason}"}}'
        assert metrics[name] == reasons.count(reason), name
    assert metrics['cxsink_events_received_total{stream="main"}'] == len(payloads) + 2
    total = sum(map(len, payloads)) + len(transcript) + len(binary.payload)
    assert metrics['cxsink_received_bytes_total{stream="main"}'] == total
    assert len(tenant.handshakes) == 1  # nothing of it ended the connection
    d.stop()
    log = d.log()
    assert cases.MARK not in log and "DROP TABLE" not in log and "interaction-" not in log
    if target == "json":
        assert all("message" in json.loads(line) or "MESSAGE" in json.loads(line) for line in log.splitlines())


def test_pattern_that_gives_up(database, tenant, make_daemon, workdir):
    """A pattern that would hold the loop is given up: a dead letter with a reason of its own, counted; the events
    around it are rows. The pattern stands in a file that the configuration registers by its URI."""
    schema = json.loads(daemon.SCHEMA.read_text())
    schema["properties"]["attributes"]["properties"]["queueName"] = {"$ref": "https://schemas.example/queue"}
    (workdir / "event.json").write_text(json.dumps(schema))
    (workdir / "queue.json").write_text('{"pattern": "^(a+)+$"}')
    settings = daemon.config(database.dsn, tenant, streams={"main": {"schema": str(workdir / "event.json")}},
                             schemas={"https://schemas.example/queue": str(workdir / "queue.json")})
    d = make_daemon(settings).start().wait_ready()
    runs_away = cases.Reject("runs-away", cases.members("runs-away", attributes={"queueName": "a" * 64 + "!"}),
                             "schema.pattern_limit", "/attributes/queueName")
    refused = cases.Reject("refused", cases.members("refused", attributes={"queueName": "b"}), "schema.pattern",
                           "/attributes/queueName")
    good = [cases.encode(cases.members(key, attributes={"queueName": "a"})) for key in ("before", "after")]
    send_all(tenant, d, [good[0], runs_away.payload, refused.payload, good[1]])
    wait.until(lambda: database.count() == 2 and len(database.dead()) == 2, 30, "all are stored")
    for letter, case, keyword in zip(dead_letters(database), (runs_away, refused), ("pattern_limit", "pattern")):
        assert (letter["reason"], letter["payload"]) == (case.reason, case.payload)
        first = letter["detail"][0]
        assert (first["keyword"], first["instance"]) == (keyword, case.instance)
        assert first["schema"].endswith("queue.json#/pattern")
        assert d.metrics()[f'cxsink_events_rejected_total{{stream="main",reason="{case.reason}"}}'] == 1
    assert "simpler" in dead_letters(database)[0]["detail"][0]["message"]
    assert d.stop() == 0


def test_message_over_the_limit(database, tenant, make_daemon):
    """S7, P5: a 2 MiB message, in one frame and in many, is a dead letter with its first 64 KiB, closes
    with 1009 and ends nothing else."""
    d = make_daemon(daemon.config(database.dsn, tenant)).start().wait_ready()
    large = cases.encode(cases.members("large", attributes={"text": cases.MARK * (2 << 20)}))[:2 << 20]
    exact = cases.encode(cases.members("exact", attributes={"text": ""}))
    exact = exact.replace(b'"text": ""', b'"text": "' + b"x" * ((1 << 20) - len(exact)) + b'"')
    tenant.send_fragments([exact])
    wait.until(lambda: database.count() == 1, 30, "a message of exactly max_message is a row")
    tenant.send_fragments([large])
    wait.until(lambda: len(tenant.handshakes) == 2 and d.stream()["connected"], 30, "it is connected again")
    tenant.send_fragments([large[i:i + 16384] for i in range(0, len(large), 16384)])
    wait.until(lambda: len(tenant.handshakes) == 3 and d.stream()["connected"], 30, "it is connected again")
    tenant.send(tenants.event("after"))
    wait.until(lambda: database.count() == 2 and len(database.dead()) == 2, 30, "all are stored")
    for letter in dead_letters(database):
        check_letter(letter, cases.Reject("large", large[:65536], "frame.too_large"))
    assert [code for code, in tenant.closes[:2]] == [1009, 1009]
    assert d.metrics()['cxsink_stream_disconnects_total{stream="main",code="too_large"}'] == 2
    ends = [entry["code"] for entry in d.audit() if entry["event"] == "stream.disconnected"]
    assert ends == ["too_large", "too_large"]
    assert cases.MARK not in d.log()


# --- many tables, one daemon ---

def _event_table(name, extra="", duration="double precision"):
    return (f"create table {name} (id bigint generated always as identity primary key,"
            ' interaction_id varchar(255) not null, "timestamp" timestamptz not null, type varchar(50) not null,'
            f" idempotency_key varchar(255) unique not null, duration {duration}, disposition varchar(255),"
            " queue_name varchar(255), agent_id varchar(255), attributes jsonb,"
            f" created_at timestamptz default now(), updated_at timestamptz default now(){extra});")


ODD_TABLE = 'Odd "Name" ü'
ODD_COLUMN = 'Select "x"; -- Ü'

TABLES = "".join([
    # The seed's: duration integer, no attributes.
    "create table seed_events (id serial primary key, interaction_id varchar(255) not null,"
    ' "timestamp" timestamptz not null, type varchar(50) not null, idempotency_key varchar(255) unique not null,'
    " duration integer, disposition varchar(255), queue_name varchar(255), agent_id varchar(255),"
    " created_at timestamptz default now(), updated_at timestamptz default now());",
    _event_table("newest"), _event_table("latest"), _event_table("shared"),
    _event_table("checked", ", constraint short check (duration < 1000)"),
    _event_table("second", ", unique (agent_id)"),
    _event_table("many"),
    "create table all_key (a text not null, b integer not null, c timestamptz not null, unique (a, b, c));",
    "create table composite (a text not null, b integer not null, v text, n numeric(6, 2), unique (b, a));",
    'create schema "Odd Schema"; create table "Odd Schema"."Odd ""Name"" ü"'
    ' ("Key" text primary key, "Select ""x""; -- Ü" text, "ORDER" timestamptz);',
    "create table anything (k text primary key, v jsonb, whole jsonb, t text);",
])


def _events_table(**changes):
    return {"columns": dict(daemon.COLUMNS), "key": ["idempotency_key"], "update": list(daemon.UPDATE),
            "newest_by": "timestamp", "touch": "updated_at", **changes}


def _zoo_config(dsn, tenant):
    seed = {name: pointer for name, pointer in daemon.COLUMNS.items() if name != "attributes"}
    tables = {
        "seed_events": _events_table(columns=seed, update=[name for name in daemon.UPDATE if name != "attributes"]),
        "newest": _events_table(), "latest": _events_table(newest_by=None), "shared": _events_table(),
        "checked": _events_table(), "second": _events_table(), "public.many": _events_table(),
        "all_key": {"columns": {"a": "/a", "b": "/b", "c": "/c"}, "key": ["a", "b", "c"]},
        "composite": {"columns": {"a": "/a", "b": "/b", "v": "/v", "n": "/n"}, "key": ["a", "b"]},
        f"Odd Schema.{ODD_TABLE}": {"columns": {"Key": "/k", ODD_COLUMN: "/a~1b/~0c", "ORDER": "/o"},
                                    "key": ["Key"], "newest_by": "ORDER"},
        "anything": {"columns": {"k": "/k", "v": "/v", "whole": "", "t": "/t"}, "key": ["k"]},
    }
    streams = {"seed": "seed_events", "newest": "newest", "latest": "latest", "shared.a": "shared",
               "shared.b": "shared", "checked": "checked", "second": "second", "many": "public.many",
               "all_key": "all_key", "composite": "composite", "odd": f"Odd Schema.{ODD_TABLE}",
               "anything": "anything"}
    raw = ("all_key", "composite", "odd", "anything")  # these have no schema
    settings = daemon.config(dsn, tenant, tables=tables)
    base = settings["streams"].pop("main")
    del settings["tables"]["cxone_events"]
    for name, table in streams.items():
        settings["streams"][name] = {**base, "url": tenant.ws_url(f"/stream/{name}"), "table": table,
                                     "schema": None if name in raw else base["schema"]}
        if name in raw:
            del settings["streams"][name]["schema"]
    settings["postgres"]["batch"] = {"events": 12000, "bytes": "16MiB", "linger": "20ms"}
    return settings


class Zoo:
    def __init__(self, database, tenant, running):
        self.database = database
        self.tenant = tenant
        self.daemon = running

    def send(self, stream, *events):
        self.tenant.send(*events, to=f"/stream/{stream}")

    def counted(self, stream):
        """{inserted, updated, unchanged, rejected} of a stream."""
        found = self.daemon.stream(stream)
        return {name: int(found[name]) for name in ("inserted", "updated", "unchanged", "rejected")}

    def send_wait(self, stream, *events):
        """Sends and waits until each of them is a row or a dead letter; returns what the counts grew by."""
        before = self.counted(stream)
        self.send(stream, *events)

        def grown():
            after = self.counted(stream)
            found = {name: after[name] - before[name] for name in after}
            return found if sum(found.values()) >= len(events) else None
        found = wait.until(grown, 60, f"{len(events)} events of {stream} are stored")
        assert sum(found.values()) == len(events)
        return {name: count for name, count in found.items() if count}

    def rejected(self, stream):
        return dead_letters(self.database, stream)


@pytest.fixture(scope="module")
def zoo(build, cluster):
    """One daemon with a stream for each kind of table."""
    cluster.query("create database zoo")
    database = postgres.Database(cluster, "zoo")
    database.query(TABLES)
    home = pathlib.Path(subprocess.check_output(["mktemp", "-d", "/tmp/cxs.XXXXXX"], text=True).strip())
    with tenants.Tenant() as tenant:
        d = daemon.Daemon(build, home / "d", _zoo_config(database.dsn, tenant))
        try:
            d.start().wait_ready()
            yield Zoo(database, tenant, d)
        finally:
            d.end()
            subprocess.run(["rm", "-rf", str(home)], check=False)
    cluster.query("drop database zoo with (force)")


def _at(second, key, **attributes):
    return tenants.event(key, timestamp=f"2026-03-14T09:26:{second:02}Z", attributes=attributes)


def test_existing_table_of_the_tutorial(zoo):
    """duration is an integer and there is no attributes: 12.5 becomes a dead letter, the rest rows."""
    events = [tenants.event(f"s{i}", attributes={"duration": value, "agentId": "a"})
              for i, value in enumerate((412, 12.5, 0, 7.0, 2147483648, None, 1.2e1))]
    assert zoo.send_wait("seed", *events) == {"inserted": 5, "rejected": 2}
    assert zoo.database.query("select idempotency_key, duration, agent_id from seed_events order by 1") == [
        ("s0", 412, "a"), ("s2", 0, "a"), ("s3", 7, "a"), ("s5", None, "a"), ("s6", 12, "a")]
    letters = zoo.rejected("seed")
    assert [letter["reason"] for letter in letters] == ["column.duration"] * 2
    assert [letter["detail"][0]["column"] for letter in letters] == ["duration"] * 2
    assert [json.loads(letter["payload"]) for letter in letters] == [events[1], events[4]]


def test_newest_by(zoo):
    """An older delivery overwrites nothing, of equal ones the later arrival wins, also when they come out
    of order over two connections of the stream."""
    def row():
        return zoo.database.query("select disposition, duration, updated_at > created_at from newest"
                                  " where idempotency_key = 'n'")[0]
    assert zoo.send_wait("newest", _at(10, "n", disposition="first", duration=1)) == {"inserted": 1}
    assert row() == ("first", 1, False)
    assert zoo.send_wait("newest", _at(9, "n", disposition="older", duration=9)) == {"unchanged": 1}
    assert row() == ("first", 1, False)
    assert zoo.send_wait("newest", _at(10, "n", disposition="equal", duration=1)) == {"updated": 1}
    assert row() == ("equal", 1, True)
    assert zoo.send_wait("newest", _at(10, "n", disposition="equal", duration=1)) == {"unchanged": 1}
    zoo.tenant.reset(to="/stream/newest")
    wait.until(lambda: zoo.daemon.metrics()['cxsink_stream_connects_total{stream="newest"}'] == 2
               and zoo.daemon.stream("newest")["connected"], 30, "it is connected again")
    assert zoo.send_wait("newest", _at(12, "n", disposition="newer")) == {"updated": 1}
    assert zoo.send_wait("newest", _at(11, "n", disposition="late")) == {"unchanged": 1}
    assert row() == ("newer", None, True)
    # The same in one batch, where the last is not the newest.
    events = [_at(s, "m", disposition=f"at {s}") for s in (3, 5, 4, 5, 1)]
    events[3]["attributes"]["queueName"] = "later of two equals"
    counts = zoo.send_wait("newest", *events)
    assert counts["inserted"] == 1 and sum(counts.values()) == 5
    assert zoo.database.query("select disposition, queue_name from newest where idempotency_key = 'm'") == [
        ("at 5", "later of two equals")]


def test_without_newest_by_the_later_arrival_wins(zoo):
    assert zoo.send_wait("latest", _at(10, "l", disposition="first")) == {"inserted": 1}
    assert zoo.send_wait("latest", _at(9, "l", disposition="older")) == {"updated": 1}
    assert zoo.send_wait("latest", _at(9, "l", disposition="older")) == {"unchanged": 1}
    assert zoo.database.query("select disposition, \"timestamp\" from latest") == [
        ("older", datetime.datetime(2026, 3, 14, 9, 26, 9, tzinfo=datetime.timezone.utc))]


def test_touch_only_when_something_changes(zoo):
    """touch is set by an update, not by an insert, nor by a delivery that changes nothing."""
    def times():
        return zoo.database.query("select created_at, updated_at from latest where idempotency_key = 't'")[0]
    zoo.send_wait("latest", _at(1, "t", duration=1))
    created, updated = times()
    assert created == updated
    zoo.send_wait("latest", _at(1, "t", duration=1))
    assert times() == (created, updated)
    zoo.send_wait("latest", _at(1, "t", duration=2))
    assert times()[0] == created and times()[1] > updated


def test_duplicates_within_a_batch(zoo):
    """D1, D2: keys that come several times at once cost nobody a row."""
    events = [_at(i % 60, f"d{i % 40}", duration=i) for i in range(400)]
    with_lock = _locked(zoo, "newest", "newest", events)
    assert with_lock["inserted"] == 40 and with_lock.get("rejected") is None
    wanted = {}
    for event in events:  # the newest; of equals the last
        key = event["idempotencyKey"]
        if key not in wanted or event["timestamp"] >= wanted[key]["timestamp"]:
            wanted[key] = event
    assert dict(zoo.database.query("select idempotency_key, duration from newest where idempotency_key ~ '^d'")) == {
        key: event["attributes"]["duration"] for key, event in wanted.items()}


def _locked(zoo, stream, table, events):
    """Sends while the table is locked, so that everything waits in the spool and comes in large batches."""
    connection = psycopg2.connect(zoo.database.dsn)
    try:
        connection.cursor().execute(f"lock table {table} in access exclusive mode")
        before = zoo.counted(stream)
        received = zoo.daemon.stream(stream)["received"]
        zoo.send(stream, *events)
        wait.until(lambda: zoo.daemon.stream(stream)["received"] == received + len(events), 60, "all are spooled")
    finally:
        connection.rollback()
        connection.close()

    def grown():
        after = zoo.counted(stream)
        found = {name: after[name] - before[name] for name in after}
        return found if sum(found.values()) >= len(events) else None
    found = wait.until(grown, 60, f"{len(events)} events of {stream} are stored")
    return {name: count for name, count in found.items() if count}


def test_batch_of_more_values_than_a_statement_has_parameters(zoo):
    """D4: 9 columns of some 10,000 rows in a statement are more than 65,535 values."""
    assert _locked(zoo, "many", "many", [_at(i % 60, f"b{i}", duration=i) for i in range(20000)]) == {
        "inserted": 20000}
    assert zoo.database.value("select count(distinct duration) from many") == 20000
    below = zoo.daemon.metrics()
    largest = below["cxsink_batch_events_count"] - below['cxsink_batch_events_bucket{le="5000"}']
    assert largest >= 1, "no batch was large enough to show it"


def test_two_streams_into_one_table(zoo):
    """Both write the same rows; each is counted and rejected under its own name."""
    assert zoo.send_wait("shared.a", _at(1, "x", disposition="a"), _at(1, "a")) == {"inserted": 2}
    assert zoo.send_wait("shared.b", _at(2, "x", disposition="b"), _at(1, "b"), "{}") == {
        "inserted": 1, "updated": 1, "rejected": 1}
    assert zoo.database.query("select idempotency_key, disposition from shared order by 1") == [
        ("a", None), ("b", None), ("x", "b")]
    assert zoo.rejected("shared.a") == [] and len(zoo.rejected("shared.b")) == 1
    state = dict(zoo.database.query("select stream, committed_events from cxsink.stream_state"
                                    " where stream like 'shared.%'"))
    assert state == {"shared.a": 2, "shared.b": 2}


def test_refused_rows_are_isolated(zoo):
    """2,000 good rows and 3 that a CHECK refuses: the three alone become dead letters."""
    events = [_at(1, f"c{i}", duration=i % 999) for i in range(2003)]
    for bad in (0, 1234, 2002):
        events[bad]["attributes"]["duration"] = 1000 + bad
    assert _locked(zoo, "checked", "checked", events) == {"inserted": 2000, "rejected": 3}
    letters = zoo.rejected("checked")
    assert [letter["reason"] for letter in letters] == ["db.23514"] * 3
    assert [json.loads(letter["payload"])["idempotencyKey"] for letter in letters] == ["c0", "c1234", "c2002"]
    for letter in letters:
        assert letter["detail"][0]["sqlstate"] == "23514" and "short" in json.dumps(letter["detail"])
        assert letter["sha"] == hashlib.sha256(letter["payload"]).digest()
    assert zoo.database.value("select count(*) from checked") == 2000


def test_second_unique_index(zoo):
    """D15: a row that another unique index refuses is a dead letter, its neighbours are rows."""
    events = [_at(1, f"u{i}", agentId=f"agent-{i}") for i in range(10)]
    events[7]["attributes"]["agentId"] = "agent-2"
    assert zoo.send_wait("second", *events) == {"inserted": 9, "rejected": 1}
    letter, = zoo.rejected("second")
    assert letter["reason"] == "db.23505" and json.loads(letter["payload"])["attributes"]["agentId"] == "agent-2"
    assert zoo.database.value("select count(*) from second") == 9
    # The one that was refused fits once the other has given the value up.
    refused = json.loads(letter["payload"])["idempotencyKey"]
    there = {"u2": "u7", "u7": "u2"}[refused]
    assert zoo.send_wait("second", _at(1, there)) == {"updated": 1}
    assert zoo.send_wait("second", _at(1, refused, agentId="agent-2")) == {"inserted": 1}


def test_every_column_in_the_key(zoo):
    """D3: there is nothing to update, which is no reason to fail."""
    event = {"a": "x", "b": 1, "c": "2026-03-14T09:26:53Z"}
    assert zoo.send_wait("all_key", event) == {"inserted": 1}
    assert zoo.send_wait("all_key", event, {**event, "b": 2}, event, {**event, "c": "2026-03-14T10:26:53+01:00"}) == {
        "inserted": 1, "unchanged": 3}
    assert zoo.send_wait("all_key", {"a": "x", "b": 3}) == {"rejected": 1}
    assert [letter["reason"] for letter in zoo.rejected("all_key")] == ["column.c"]


def test_composite_key(zoo):
    """A key of two columns, in another order than the index; what numeric(6,2) cannot hold is refused."""
    assert zoo.send_wait("composite", *[{"a": a, "b": b, "v": a + str(b)} for a in "xy" for b in (1, 2)]) == {
        "inserted": 4}
    assert zoo.send_wait("composite", {"a": "x", "b": 2, "v": "new", "n": 1234.567}, {"a": "x", "b": 2.5},
                         {"b": 1}, {"a": "y", "b": 1, "n": 99999}) == {"updated": 1, "rejected": 3}
    assert zoo.database.query("select a, b, v, n::text from composite order by 1, 2") == [
        ("x", 1, "x1", None), ("x", 2, "new", "1234.57"), ("y", 1, "y1", None), ("y", 2, "y2", None)]
    assert [letter["reason"] for letter in zoo.rejected("composite")] == ["column.b", "column.a", "column.n"]


def test_names_that_need_quotes(zoo):
    """Upper case, spaces, quotes, key words: as identifiers of schema, table and column."""
    event = {"k": "1", "a/b": {"~c": "first"}, "o": "2026-03-14T09:26:53Z"}
    assert zoo.send_wait("odd", event) == {"inserted": 1}
    assert zoo.send_wait("odd", {**event, "a/b": {"~c": "second"}}) == {"updated": 1}
    assert zoo.send_wait("odd", {**event, "a/b": {"~c": "old"}, "o": "2025-01-01T00:00:00Z"}) == {"unchanged": 1}
    assert zoo.database.query('select * from "Odd Schema"."Odd ""Name"" ü"') == [
        ("1", "second", datetime.datetime(2026, 3, 14, 9, 26, 53, tzinfo=datetime.timezone.utc))]


def test_jsonb_takes_any_value(zoo):
    """Of any type, as it is written: numbers keep all their digits; the whole event under pointer ""."""
    values = ["0", "-1.5e-7", "123456789012345678901234567890.10", "true", "false", '""', '"é\\u00e9\\n\\ud83d\\ude00"',
              "[]", "{}", '[1, [2, {"a": null}]]', '{"b": 1, "a": {"__proto__": 0}}', "null"]
    events = [f'{{"k": "{i}", "v": {value}, "t": "{i}"}}' for i, value in enumerate(values)]
    assert zoo.send_wait("anything", *events) == {"inserted": len(values)}
    for i, value in enumerate(values):
        found = zoo.database.query("select v = %s::jsonb, v is null, whole = %s::jsonb, v::text, t from anything"
                                   " where k = %s", (value, events[i], str(i)))
        if value == "null":
            assert found == [(None, True, True, None, "11")]
        else:
            assert found[0][:3] == (True, False, True) and found[0][4] == str(i), value
    assert zoo.database.value("select v::text from anything where k = '2'") == values[2]
    # A message need not be an object: what is mapped is missing, the key too.
    assert zoo.send_wait("anything", "[]", '"x"', '{"k": "nul", "v": "\\u0000"}') == {"rejected": 3}
    assert [letter["reason"] for letter in zoo.rejected("anything")] == ["column.k", "column.k", "text.nul"]


def test_counts_agree(zoo):
    """What the metrics say, the database says; everything that was received is accounted for."""
    wait.until(lambda: zoo.daemon.status()["spool"]["events"] == 0, 30, "the spool is empty")
    metrics = zoo.daemon.metrics()
    for stream in zoo.daemon.status()["streams"]:
        name = stream["name"]
        results = {result: metrics.get(f'cxsink_events_committed_total{{stream="{name}",result="{result}"}}', 0)
                   for result in ("inserted", "updated", "unchanged")}
        assert results == {result: stream[result] for result in results}, name
        assert sum(results.values()) + stream["rejected"] == stream["received"], name
        assert len(zoo.rejected(name)) == stream["rejected"], name
    assert zoo.daemon.status()["database"]["dead_letters"] == zoo.database.value(
        "select count(*) from cxsink.dead_letters")
