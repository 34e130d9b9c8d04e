# SPDX-License-Identifier: Apache-2.0
"""SIGHUP: what is taken, what is refused, what is left alone, and that nothing is lost on the way."""
import contextlib
import copy
import hashlib
import json
import os
import signal

import psycopg2
import pytest

from support import daemon, pgproxy, sim as sims, tenant as tenants, wait

QUICK = {"connect_timeout": "2s", "statement_timeout": "2s", "retry": {"base": "20ms", "cap": "200ms"}}


@pytest.fixture
def settings(database, tenant, workdir):
    """With the schema in a file of its own, which a test may change."""
    schema = workdir / "schema.json"
    schema.write_text(daemon.SCHEMA.read_text())
    made = daemon.config(database.dsn, tenant, postgres=QUICK)
    made["streams"]["main"]["schema"] = str(schema)
    return made


def reloads(running, result="taken"):
    return sum(entry["event"] == "config.reload" and entry["result"] == result for entry in running.audit())


def reload(running, result="taken"):
    """Writes the configuration, and waits until it was looked at."""
    before = reloads(running, result)
    running.write()
    running.send_signal(signal.SIGHUP)
    wait.until(lambda: reloads(running, result) > before, 20, f"a reload that is {result}")


def wait_count(database, count, table="cxone_events"):
    wait.until(lambda: database.count(table) == count, 60, f"{count} rows")


def send(tenant, prefix, count, path=None, **changes):
    tenant.send(*[tenants.event(f"{prefix}-{i}", **changes) for i in range(count)], **({"path": path} if path else {}))


def check_chain(running):
    """Each line's hash is that of its bytes up to `,"hash"`, which hold the hash of the line before."""
    previous = "0" * 64
    path = f"{running.config['state_dir']}/audit.jsonl"
    with open(path, "rb") as lines:
        for line in lines:
            entry = json.loads(line)
            assert entry["prev"] == previous
            head = line[:line.rindex(b',"hash"')]
            previous = hashlib.sha256(head).hexdigest()
            assert entry["hash"] == previous, line
    assert previous != "0" * 64


def test_what_changes_is_taken(database, tenant, settings, make_daemon, workdir):
    """Schema, mapping, log level, streams; an unchanged stream keeps its connection; the audit log tells."""
    d = make_daemon(settings).start().wait_ready()
    send(tenant, "a", 10)
    wait_count(database, 10)

    # A faulty file, and a faulty schema: the old ones stay, and the log says why.
    good = copy.deepcopy(d.config)
    d.config["streams"]["main"]["tabel"] = "cxone_events"
    reload(d, "refused")
    assert "/streams/main/tabel" in d.log() and "going on with the one in force" in d.log()
    d.config = good
    schema = json.loads((workdir / "schema.json").read_text())
    (workdir / "schema.json").write_text('{"type": "nothing"}')
    reload(d, "refused")
    assert "schema.json:1" in d.log()
    send(tenant, "b", 10)
    wait_count(database, 20)
    assert database.dead() == []

    # A schema that wants more.
    schema["properties"]["attributes"]["required"] = ["language"]
    (workdir / "schema.json").write_text(json.dumps(schema))
    reload(d)
    send(tenant, "c", 10)
    send(tenant, "d", 10, attributes={"language": "de"})
    wait_count(database, 30)
    wait.until(lambda: database.dead() == ["schema.required"] * 10, 20, "dead letters")

    # A column more, from the same events.
    database.query("alter table cxone_events add language text")
    d.config["tables"]["cxone_events"]["columns"]["language"] = "/attributes/language"
    d.config["tables"]["cxone_events"]["update"].append("language")
    reload(d)
    send(tenant, "e", 10, attributes={"language": "fr"})
    wait_count(database, 40)
    assert database.value("select count(*) from cxone_events where language = 'fr'") == 10

    # The log's level.
    d.config["log"]["level"] = "warn"
    reload(d)
    length = len(d.log())
    send(tenant, "f", 10, attributes={"language": "fr"})
    wait_count(database, 50)
    assert " debug " not in d.log()[length:] and " info " not in d.log()[length:]

    # One connection all the while; then streams come and go beside it.
    assert len(tenant.handshakes) == 1 and len(tenant.token_requests) == 1
    d.config["streams"]["second"] = {**d.config["streams"]["main"], "url": tenant.ws_url("/stream/second")}
    reload(d)
    wait.until(lambda: len(tenant.sockets) == 2, 20, "two streams")
    d.wait_ready()
    send(tenant, "g", 10, attributes={"language": "fr"})  # over the newest connection
    wait_count(database, 60)
    assert d.stream("second")["received"] == 10
    del d.config["streams"]["second"]
    reload(d)
    wait.until(lambda: len(tenant.sockets) == 1, 20, "one stream")
    assert [h["path"] for h in tenant.handshakes] == ["/stream/main", "/stream/second"]
    assert [s["name"] for s in d.status()["streams"]] == ["main"]
    send(tenant, "h", 10, attributes={"language": "fr"})
    wait_count(database, 70)
    assert d.stream()["received"] == 70

    assert d.stop() == 0
    check_chain(d)
    events = d.audit_events()
    assert events[0] == "daemon.started" and events[-1] == "daemon.stopped"
    assert events.count("stream.connected") == 2 and reloads(d) == 5 and reloads(d, "refused") == 2


def test_how_a_schema_is_read(database, tenant, settings, make_daemon, workdir):
    """The same file, with another setting of the stream that concerns it."""
    schema = json.loads((workdir / "schema.json").read_text())
    schema["properties"]["attributes"] = {"properties": {"language": {"format": "ipv4"}}}
    (workdir / "schema.json").write_text(json.dumps(schema))
    settings["streams"]["main"]["formats"] = "annotate"
    d = make_daemon(settings).start().wait_ready()
    send(tenant, "a", 1, attributes={"language": "de"})
    wait_count(database, 1)
    d.config["streams"]["main"]["formats"] = "assert"
    reload(d)
    send(tenant, "b", 1, attributes={"language": "de"})
    wait.until(lambda: database.dead() == ["schema.format"], 20, "the dead letter")
    assert d.stop() == 0


def test_not_held_back_by_an_open_batch(database, tenant, settings, make_daemon):
    """L2: a batch that waits for its linger does not delay a reload, and its events are not lost."""
    settings["postgres"] = {**settings["postgres"], "batch": {"linger": "60s"}}
    d = make_daemon(settings).start().wait_ready()
    send(tenant, "a", 10)
    wait.until(lambda: d.status()["database"]["events_open"] == 10, 20, "an open batch")
    d.config["postgres"]["batch"]["linger"] = "10ms"
    reload(d)
    wait.until(lambda: database.count() == 10, 2, "rows, without waiting for the old linger")
    d.wait_ready()


def test_bursts_under_load(database, build, make_daemon, workdir):
    """L1: reloads during reloads, with and without changes, under load: the last one counts, nothing is lost."""
    options = ["--count", 12000, "--rate", 4000, "--malformed", 1, "--duplicates", 2]
    with sims.Sim(build, workdir / "sim", "--no-auth", *options) as sim:
        settings = daemon.config(database.dsn, postgres=QUICK, log={"level": "info"})
        settings["streams"]["main"]["url"] = sim.ws_url("/stream/main")
        d = make_daemon(settings).start().wait_ready()
        for i in range(8):
            d.config["postgres"]["connections"] = 1 + i % 3
            d.write()
            before = reloads(d)
            for _ in range(10):
                d.send_signal(signal.SIGHUP)
            wait.until(lambda: reloads(d) > before, 20, "a reload")
            batches = d.status()["database"]["batches"]
            wait.until(lambda: d.status()["database"]["batches"] > batches or sim.stats()["done"], 20, "batches go on")
        stats = wait.until(lambda: sim.stats()["done"] and sim.stats(), 60, "everything is sent", poll=0.05)
        wait_count(database, stats["unique"])
        wait.until(lambda: d.status()["spool"]["events"] == 0, 60, "an empty spool")
        assert len(database.dead()) == stats["malformed"]
        d.wait_ready()
        assert d.status()["database"]["connections"] == 2
        assert stats["connections"] == 1, "the stream's connection was left alone"
        assert d.stop() == 0
        check_chain(d)


def test_while_the_database_is_stuck(database, tenant, settings, make_daemon):
    """L1: reloads while the database is locked or away are taken at once, and SIGTERM still stops the daemon."""
    settings["postgres"]["statement_timeout"] = "5m"
    d = make_daemon(settings).start().wait_ready()
    connection = psycopg2.connect(database.dsn)
    with contextlib.closing(connection):
        connection.cursor().execute("lock table cxone_events in access exclusive mode")
        send(tenant, "a", 10)
        wait.until(lambda: d.status()["database"]["events_in_flight"] == 10, 20, "a batch that waits")
        for _ in range(3):
            reload(d)
        d.config["postgres"]["dsn"] = "host=127.0.0.1 port=1 user=nobody dbname=none"
        reload(d)
        wait.until(lambda: "port=1" in " ".join(d.status()["reasons"]) or "127.0.0.1" in
                   " ".join(d.status()["reasons"]), 20, "the new address is in use")
    for _ in range(3):
        reload(d)
    assert d.status()["spool"]["events"] == 10
    assert d.stop(seconds=10) == 0
    d.config["postgres"]["dsn"] = database.dsn
    d.write()
    d.start().wait_ready()
    wait_count(database, 10)


def test_a_reload_does_not_hold_up_a_stop(database, tenant, settings, make_daemon):
    """SIGHUP while the daemon drains: nothing new is begun, and the drain ends as if it had not come."""
    settings["postgres"]["statement_timeout"] = "5m"
    settings["shutdown_timeout"] = "5m"
    d = make_daemon(settings).start().wait_ready()
    with contextlib.closing(psycopg2.connect(database.dsn)) as connection:
        connection.cursor().execute("lock table cxone_events in access exclusive mode")
        send(tenant, "a", 10)
        wait.until(lambda: d.status()["database"]["events_in_flight"] == 10, 20, "a batch that waits")
        d.send_signal(signal.SIGTERM)
        wait.until(lambda: d.status()["state"] == "stopping", 20, "draining")
        d.config["streams"]["main"]["url"] = tenant.ws_url("/stream/other")
        d.write()
        d.send_signal(signal.SIGHUP)
        wait.until(lambda: "not reloading" in d.log(), 20, "that it does not reload")
    assert d.process.wait(20 * wait.FACTOR) == 0
    assert database.count() == 10 and len(tenant.handshakes) == 1


def test_removed_stream_with_events_in_the_spool(database, tenant, settings, make_daemon):
    """Events of a stream that a reload removed are kept as dead letters, and said."""
    good = settings["postgres"]["dsn"]
    settings["postgres"]["dsn"] = "host=127.0.0.1 port=1 user=nobody dbname=none"
    d = make_daemon(settings).start().wait_up()
    tenant.wait_connected()
    send(tenant, "a", 10)
    wait.until(lambda: d.status()["spool"]["events"] == 10, 20, "spooled")
    d.config["streams"]["other"] = {**d.config["streams"].pop("main"), "url": tenant.ws_url("/stream/other")}
    d.config["postgres"]["dsn"] = good
    reload(d)
    wait.until(lambda: database.dead() == ["stream.unknown"] * 10, 30, "dead letters")
    assert database.value("select count(payload) from cxsink.dead_letters where stream = 'main'") == 10
    d.wait_ready()
    send(tenant, "b", 10)
    wait_count(database, 10)


def test_hundred_reloads(database, build, make_daemon, workdir, sanitized):
    """Under full load, a third of them without the database: nothing is lost, nothing leaks, each is taken at once."""
    options = ["--count", 24000, "--rate", 2000, "--malformed", 1, "--duplicates", 2, "--paused"]
    with pgproxy.Proxy(database.cluster.port) as proxy, sims.Sim(build, workdir / "sim", "--no-auth", *options) as sim:
        schema, secret = workdir / "schema.json", workdir / "secret"
        schema.write_text(daemon.SCHEMA.read_text())
        secret.write_text("one")
        base = daemon.config(f"host=127.0.0.1 port={proxy.port} user=postgres dbname={database.name}", postgres=QUICK)
        base["streams"]["main"].update(url=sim.ws_url("/stream/main"), schema=str(schema))
        base["auth"]["spare"] = {"token_url": "http://127.0.0.1:9/token", "client_id": "i",
                                 "client_secret": {"file": str(secret)}}
        base["log"]["level"] = "warn"
        d = make_daemon(base).start().wait_ready()
        sim.post("/sim/set?paused=0")

        def reload_as(number):
            changed = copy.deepcopy(base)
            changed["postgres"].update(connections=1 + number % 3, batch={"events": 100 + number, "linger": "5ms"})
            changed["tables"]["cxone_events"]["newest_by"] = "timestamp" if number % 2 else None
            changed["log"]["level"] = ("warn", "error")[number % 2]
            if number % 4 == 0:
                changed["streams"]["extra"] = {**base["streams"]["main"], "url": "ws://127.0.0.1:9/", "auth": "spare"}
            secret.write_text(f"secret {number % 5}")
            schema.write_text(json.dumps({**json.loads(daemon.SCHEMA.read_text()), "description": f"{number}"}))
            d.config = changed if number >= 0 else copy.deepcopy(base)
            before = d.audit_events().count("config.reload")
            d.write()
            d.send_signal(signal.SIGHUP)
            wait.until(lambda: d.audit_events().count("config.reload") > before, 20, "a reload", poll=0.005)

        def settled():
            """Descriptors and memory with the first configuration, once it is in use."""
            d.config = base
            reload_as(-1)
            d.wait_ready()
            seen = []
            wait.until(lambda: seen.append(len(os.listdir(f"/proc/{d.process.pid}/fd"))) or seen[-3:] == [seen[-1]] * 3,
                       20, "as many descriptors for a while", poll=0.1)
            return seen[-1], d.rss()

        for number in range(20):
            reload_as(number)
        before = settled()
        for number in range(20, 100):
            if number in (30, 60):
                proxy.hole = "refuse" if number == 30 else None
                proxy.reset_all()
            reload_as(number)
        after = settled()
        assert {e["result"] for e in d.audit() if e["event"] == "config.reload"} == {"taken"}
        stats = wait.until(lambda: sim.stats()["done"] and sim.stats(), 60, "everything is sent", poll=0.05)
        wait_count(database, stats["unique"])
        wait.until(lambda: d.status()["spool"]["events"] == 0, 60, "an empty spool")
        assert len(database.dead()) == stats["malformed"] and stats["connections"] == 1
        assert after[0] <= before[0], "descriptors"
        assert sanitized or after[1] - before[1] < 8 << 20, f"{(after[1] - before[1]) >> 10} KiB more"
        assert d.stop() == 0
        check_chain(d)


def test_credentials_are_read_again(database, tenant, settings, make_daemon, workdir):
    """Secrets from files and credentials: a reload takes what they hold now, and lets the old token go; a value that
    did not change keeps token and connection. What only a restart takes is named, with its pointer."""
    credentials = workdir / "credentials"
    credentials.mkdir()
    (workdir / "id").write_text("first-id\n")
    (credentials / "secret").write_text("first-secret")
    settings["auth"]["cxone"].update(client_id={"file": str(workdir / "id")}, client_secret={"credential": "secret"})
    d = make_daemon(settings, environment={"CREDENTIALS_DIRECTORY": str(credentials)}).start().wait_ready()
    reload(d)
    assert len(tenant.token_requests) == 1 and len(tenant.handshakes) == 1
    (credentials / "secret").write_text("second-secret")
    reload(d)
    wait.until(lambda: len(tenant.handshakes) == 2, 20, "the stream connects with another token")
    (workdir / "id").write_text("second-id\n")
    reload(d)
    wait.until(lambda: len(tenant.handshakes) == 3, 20, "the stream connects with another token")
    asked = [(r["form"]["client_id"], r["form"]["client_secret"]) for r in tenant.token_requests]
    assert asked == [("first-id", "first-secret"), ("first-id", "second-secret"), ("second-id", "second-secret")]
    assert [h["token"] for h in tenant.handshakes] == tenant.tokens
    d.wait_ready()
    # One that is gone refuses the reload, and changes nothing.
    (credentials / "secret").unlink()
    reload(d, "refused")
    assert "/auth/cxone/client_secret" in d.log()
    (credentials / "secret").write_text("second-secret")
    # Not by a reload: named, and the rest is taken.
    d.config["state_dir"], before = str(workdir / "elsewhere"), d.config["state_dir"]
    d.config["admin"] = {"listen": "127.0.0.1:1", "token": "another"}
    d.config["postgres"]["batch"] = {"linger": "20ms"}
    d.write()
    d.send_signal(signal.SIGHUP)
    wait.until(lambda: "only by a restart: /state_dir, /admin/listen, /admin/token" in d.log(), 20, "what is named")
    d.config["state_dir"] = before
    send(tenant, "a", 5)
    wait_count(database, 5)
    assert d.stop() == 0 and not (workdir / "elsewhere").exists()
