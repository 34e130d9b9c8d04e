# SPDX-License-Identifier: Apache-2.0
"""reject_guard: a stream whose events are refused in bulk is held, its events stay in the spool, and nothing is
lost or written twice when it goes on."""
import json
import os
import subprocess

import pytest

from support import commands, daemon, numbered, sim as sims, streams, tenant as tenants, wait

QUICK = {"connect_timeout": "2s", "statement_timeout": "5s", "retry": {"base": "20ms", "cap": "200ms"}}
WINDOW = {"share": 0.5, "events": 100}


class World:
    """A daemon of two streams whose schemas a test may change; no event is written twice (a trigger counts)."""

    def __init__(self, make_daemon, database, tenant, workdir, **changes):
        self.database, self.tenant = database, tenant
        self.schema = workdir / "schema.json"
        self.write_schema()
        own = {"schema": str(self.schema), "reject_guard": dict(WINDOW)}
        settings = streams.config(database.dsn, tenant, {"main": own, "other": {}}, postgres=QUICK, **changes)
        self.d = make_daemon(settings)
        self.cli = None

    def start(self):
        self.d.start().wait_ready()
        self.database.query("create table if not exists twice (key text); "
                            "create or replace function note() returns trigger language plpgsql as $$ begin insert "
                            "into twice values (new.idempotency_key); return null; end $$; "
                            "create or replace trigger note after update on cxone_events for each row "
                            "execute function note()")
        return self

    def write_schema(self, **properties):
        schema = json.loads(daemon.SCHEMA.read_text())
        schema["properties"].update(properties)
        self.schema.write_text(json.dumps(schema))

    def break_schema(self):
        self.write_schema(type={"enum": ["fax"]})

    def send(self, prefix, numbers, to="main"):
        self.tenant.send(*[tenants.event(numbered.key(prefix, n)) for n in numbers], to=f"/stream/{to}")

    def rows(self, prefix):
        return len(numbered.stored(self.database, prefix))

    def wait_rows(self, prefix, count):
        wait.until(lambda: self.rows(prefix) == count, 60, f"{count} rows of {prefix}")

    def wait_held(self, held=True, stream="main"):
        wait.until(lambda: self.d.stream(stream)["held"] == held, 30, f"{stream} held: {held}")

    def wait_spool(self, events=0):
        wait.until(lambda: self.d.status()["spool"]["events"] == events, 30, f"{events} events in the spool")

    def resume(self, build, *args, code=0):
        done = subprocess.run([str(build / "cxsink"), "resume", "-c", str(self.d.path), *args], capture_output=True,
                              text=True, timeout=60)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done.stdout + done.stderr

    def events(self, name):
        return [e for e in self.d.audit() if e["event"] == name]


@pytest.fixture
def world(make_daemon, database, tenant, workdir):
    return World(make_daemon, database, tenant, workdir).start()


def test_held_and_told(world, build):
    """A bad schema comes with a reload: the stream is held, the other goes on; the mended schema brings every row,
    once, and a restart in between changes nothing of it."""
    d = world.d
    world.send("a", range(50))
    world.wait_rows("a", 50)
    world.break_schema()
    d.reload()
    world.send("b", range(500))
    world.wait_held()
    world.send("o", range(300), to="other")
    world.wait_rows("o", 300)
    # Where it is told.
    status, body = d.get("/readyz")
    assert status == 503 and "stream main is held" in body and "schema.enum" in body and "cxsink resume" in body
    assert d.metrics()['cxsink_stream_held{stream="main"}'] == 1
    assert d.metrics()['cxsink_stream_held{stream="other"}'] == 0
    assert "its events stay in the spool" in d.log()
    held, = world.events("stream.held")
    assert held["stream"] == "main" and held["reason"] == "schema.enum" and int(held["refused"]) > 5
    dead = len(world.database.dead())
    assert dead <= WINDOW["events"] and world.rows("b") == 0
    # Receiving goes on, and what is committed of the other stream is kept behind what is held.
    world.send("b", range(500, 600))
    wait.until(lambda: d.stream()["received"] == 650, 30, "received")
    assert len(world.database.dead()) == dead
    assert d.status()["spool"]["events"] >= 600 - dead

    # A stop is not held up; after the start it is held again before the table fills.
    assert d.stop() == 0
    assert "the spool keeps the streams that are held" in d.log()
    world.d.start().wait_up()
    world.wait_held()
    world.send("o", range(300, 400), to="other")
    world.wait_rows("o", 400)
    again = len(world.database.dead())
    assert again - dead <= WINDOW["events"]

    # Asked to go on as it is: held again. Who asked is audited.
    assert "1 stream goes on" in world.resume(build)
    wait.until(lambda: len(world.events("stream.held")) == 3, 30, "held again")
    last = len(world.database.dead())
    assert last - again <= WINDOW["events"]
    by = world.events("stream.resumed")[-1]
    assert by["accept"] == "false" and f"control socket, uid {os.getuid()}, gid {os.getgid()}, process" in by["by"]
    assert "no stream nobody is held" in world.resume(build, "--stream", "nobody", code=1)

    # Mended: all of it, once. What was refused meanwhile is replayed.
    world.database.query("truncate twice")  # the other stream's events came again with the restart
    world.write_schema()
    d.reload()
    world.wait_rows("b", 600 - last)
    d.wait_ready()
    world.wait_spool()
    assert d.metrics()['cxsink_stream_held{stream="main"}'] == 0
    assert world.events("stream.resumed")[-1]["by"] == "reload"
    cli = commands.Commands(build, d.home, d.config)
    assert f"{last} replayed, 0 refused" in cli.run("dead", "replay", "--all").stdout
    assert world.rows("b") == 600 and world.rows("o") == 400 and world.rows("a") == 50
    assert world.database.count("twice") == 0
    world.send("c", range(10))
    world.wait_rows("c", 10)
    world.wait_spool()
    assert d.stop() == 0


def test_table_refuses(world):
    """Refusals of PostgreSQL count before their batch commits; nothing of it is in the dead letters."""
    d = world.d
    world.database.query("alter table cxone_events add constraint never check (type <> 'call')")
    world.send("a", range(400))
    world.wait_held()
    held, = world.events("stream.held")
    assert held["reason"] == "db.23514"
    assert len(world.database.dead()) <= WINDOW["events"]
    dead = len(world.database.dead())
    world.database.query("alter table cxone_events drop constraint never")
    d.reload()
    world.wait_rows("a", 400 - dead)
    d.wait_ready()
    world.wait_spool()
    assert world.database.count("twice") == 0


def test_accepted(world, build):
    """--accept: what is refused becomes dead letters, until the stream is well again; then it is guarded again."""
    world.break_schema()
    world.d.reload()
    world.send("a", range(400))
    world.wait_held()
    assert world.resume(build, "--stream", "main", "--accept", "--json") == '{"resumed":1}\n'
    wait.until(lambda: len(world.database.dead()) == 400, 60, "dead letters")
    world.wait_spool()
    world.wait_held(False)
    world.send("b", range(200))
    wait.until(lambda: len(world.database.dead()) == 600, 60, "dead letters")
    world.d.wait_ready()


def test_gives_way_to_a_full_spool(make_daemon, database, tenant, workdir):
    """What is held costs no event for want of room: at four fifths of the spool it becomes dead letters."""
    world = World(make_daemon, database, tenant, workdir, spool={"max_bytes": "256KiB", "segment_bytes": "16KiB"})
    world.start()
    world.break_schema()
    world.d.reload()
    world.send("a", range(300))
    world.wait_held()
    dead = len(database.dead())
    assert dead <= WINDOW["events"]
    world.send("b", range(1500))
    wait.until(lambda: len(database.dead()) == 1800, 60, "dead letters")
    world.wait_spool()
    assert world.events("stream.resumed")[-1].items() >= {"by": "the spool is nearly full", "accept": "true"}.items()
    assert not [e for e in world.d.audit_events() if e == "spool.dropped"]
    assert world.d.stop() == 0


def test_under_load(database, build, make_daemon, workdir):
    """A bad schema deployed by a reload under load: held within its window; the mended one brings all rows, once."""
    options = ["--count", 20000, "--rate", 5000]
    with sims.Sim(build, workdir / "sim", "--no-auth", *options) as sim:
        settings = daemon.config(database.dsn, postgres=QUICK, log={"level": "info"})
        schema = workdir / "schema.json"
        schema.write_text(daemon.SCHEMA.read_text())
        settings["streams"]["main"].update(url=sim.ws_url("/stream/main"), schema=str(schema))
        d = make_daemon(settings).start().wait_ready()
        wait.until(lambda: database.count() > 2000, 60, "rows")
        schema.write_text('{"type": "string"}')
        d.reload()
        wait.until(lambda: d.stream()["held"], 60, "held")
        wait.until(lambda: sim.stats()["done"], 60, "everything is sent")
        wait.until(lambda: d.stream()["received"] == 20000, 60, "received")
        dead = database.dead()
        assert set(dead) <= {"schema.type"} and len(dead) <= 1000
        assert database.count() + len(dead) + d.status()["spool"]["events"] >= 20000
        schema.write_text(daemon.SCHEMA.read_text())
        d.reload()
        wait.until(lambda: database.count() == 20000 - len(dead), 60, "rows")
        d.wait_ready()
        wait.until(lambda: d.status()["spool"]["events"] == 0, 30, "an empty spool")
        assert database.dead() == dead and database.count() == 20000 - len(dead)
        assert d.stop() == 0
