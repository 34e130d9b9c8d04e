# SPDX-License-Identifier: Apache-2.0
"""Errors in the middle of the work: black holes, SQLSTATEs, locks, tables that change."""
import contextlib
import threading
import time

import psycopg2
import pytest

from support import daemon, pgproxy, postgres as postgres_support, sim as sims, tenant as tenants, wait

HASTY = {"connect_timeout": "1s", "statement_timeout": "500ms", "retry": {"base": "20ms", "cap": "200ms"}}
PASSING = ["40001", "40P01", "55P03", "57014", "53100", "53300", "08006", "57P01", "58030", "XX000", "25006"]
# Of a row, whatever is tried: the event becomes a dead letter, alone.
LASTING = ["22001", "22003", "22P02", "22007", "23502", "23503", "23505", "23514", "23P01", "P0001", "U0001"]


@pytest.fixture
def table(database):
    """The destination, there before the daemon starts."""
    database.query((daemon.ROOT / "sql" / "0002_default_table.sql").read_text())
    return database


def send(tenant, prefix, count, **changes):
    tenant.send(*[tenants.event(f"{prefix}-{i}", **changes) for i in range(count)])


def wait_count(database, count):
    wait.until(lambda: database.count() == count, 60, f"{count} rows")


def wait_reason(running, *texts):
    def said():
        text = " ".join(running.status()["reasons"])
        return text if all(part in text for part in texts) else None
    return wait.until(said, 30, f"a reason with {texts}")


def check_answers(running):
    """D9: the endpoints answer at once, whatever the database does."""
    start = time.monotonic()
    for path in ("/healthz", "/readyz", "/metrics", "/api/status"):
        running.get(path)
    assert time.monotonic() - start < 1 * wait.FACTOR


def retries(running, sqlstate):
    return running.metrics().get(f'cxsink_batch_retries_total{{sqlstate="{sqlstate}"}}', 0)


@contextlib.contextmanager
def holding(database, sql):
    """Another session that did `sql` in a transaction which stays open."""
    connection = psycopg2.connect(database.dsn)
    try:
        connection.cursor().execute(sql)
        yield connection
    finally:
        connection.close()


def proxied(database, proxy, **changes):
    dsn = f"host=127.0.0.1 port={proxy.port} user=postgres dbname={database.name}"
    return dsn, {"postgres": {**HASTY, "connections": 1, **changes}}


def test_black_holes(table, tenant, make_daemon):
    """D7, D9: nothing hangs on a connection that swallows everything; a COMMIT of unknown outcome changes nothing."""
    with pgproxy.Proxy(table.cluster.port) as proxy:
        dsn, changes = proxied(table, proxy)
        proxy.hole = "connect"
        d = make_daemon(daemon.config(dsn, tenant, **changes)).start().wait_up()
        tenant.wait_connected()
        send(tenant, "a", 100)
        wait_reason(d, "connect_timeout")
        check_answers(d)
        taken, proxy.hole = proxy.taken, "auth"
        wait.until(lambda: proxy.taken >= taken + 2, 30, "log-ins that were swallowed")
        check_answers(d)
        proxy.hole = None
        d.wait_ready()
        wait_count(table, 100)

        # The server commits; nobody hears of it. Bad events and good ones.
        taken, proxy.hole = proxy.taken, "commit"
        send(tenant, "b", 100)
        tenant.send(*[tenants.event(f"bad-{i}", type="voice") for i in range(10)])
        wait.until(lambda: proxy.taken > taken, 30, "a COMMIT whose answer was swallowed")
        wait.until(lambda: table.count() > 100, 30, "that was committed")
        wait_reason(d, "database")
        check_answers(d)
        proxy.hole = None
        wait_count(table, 200)
        wait.until(lambda: d.status()["spool"]["events"] == 0, 60, "an empty spool")
        assert table.dead() == ["schema.enum"] * 10
        assert retries(d, "connection") >= 1
        d.wait_ready()


def test_cut_at_commit(table, tenant, make_daemon):
    """D7: the connection breaks right after COMMIT was sent, many times: rows and dead letters stay exact."""
    with pgproxy.Proxy(table.cluster.port) as proxy:
        dsn, changes = proxied(table, proxy)
        d = make_daemon(daemon.config(dsn, tenant, **changes)).start().wait_ready()
        for i in range(6):
            taken, proxy.hole = proxy.taken, "cut"
            send(tenant, f"k{i}", 50)
            tenant.send(*[tenants.event(f"bad-{i}-{n}", type="voice") for n in range(5)])
            wait.until(lambda: proxy.taken >= taken + 2, 30, "COMMITs that were cut off")
            proxy.hole = None
        wait.until(lambda: d.status()["spool"]["events"] == 0 and d.stream()["received"] == 330, 60, "an empty spool")
        wait_count(table, 300)
        assert len(table.dead()) == 30


def test_outage_without_log_storm(table, tenant, make_daemon):
    """D14: attempts are many, lines are few, and each failure of a batch is counted."""
    with pgproxy.Proxy(table.cluster.port) as proxy:
        dsn, changes = proxied(table, proxy, connections=4, retry={"base": "10ms", "cap": "10ms"})
        d = make_daemon(daemon.config(dsn, tenant, log={"level": "info"}, **changes)).start().wait_ready()
        opened, lines = proxy.opened, d.log().count("\n")
        proxy.hole = "refuse"
        proxy.reset_all()
        send(tenant, "k", 500)
        wait.until(lambda: proxy.opened > opened + 300, 30, "300 attempts")
        assert d.log().count("\n") - lines < 60
        assert not d.status()["ready"]
        proxy.hole = None
        wait_count(table, 500)
        d.wait_ready()


FAULTY = """
create table faults (sqlstate text, pattern text);
create function faulty() returns trigger language plpgsql as $$
declare code text;
begin
    select sqlstate into code from faults where new.idempotency_key like pattern limit 1;
    if code is not null then
        raise exception 'secret-payload %', new.idempotency_key using errcode = code;
    end if;
    return new;
end $$;
create trigger faulty before insert on cxone_events for each row execute function faulty();
"""


def test_sqlstates(table, tenant, make_daemon):
    """D11, D12, D14: what passes is retried, counted and loses nothing; what lasts costs that row alone."""
    table.query(FAULTY)
    d = make_daemon(daemon.config(table.dsn, tenant, postgres=HASTY)).start().wait_ready()
    for code in PASSING:
        table.query("insert into faults values (%s, %s)", (code, f"{code}-1_"))
        send(tenant, code, 100)
        wait.until(lambda: retries(d, code) >= 2, 30, f"{code} is retried")
        wait_reason(d, code)
        table.query("delete from faults")
        wait.until(lambda: table.value("select count(*) from cxone_events where idempotency_key like %s",
                                       (f"{code}-%",)) == 100, 30, f"all rows after {code}")
    assert table.dead() == []
    d.wait_ready()

    table.query("insert into faults select code, 'x-' || code || '-%%' from unnest(%s) as code", (LASTING,))
    bad = [f"x-{code}-{i}" for code in LASTING for i in range(3)]
    events = [tenants.event(key) for key in bad + [f"good-{i}" for i in range(300)]]
    events.sort(key=lambda event: hash(event["idempotencyKey"]))
    tenant.send(*events)
    wait_count(table, len(PASSING) * 100 + 300)
    wait.until(lambda: len(table.dead()) == len(bad), 30, "a dead letter for each bad row")
    letters = table.query("select reason, convert_from(payload, 'UTF8')::jsonb->>'idempotencyKey', detail::text"
                          " from cxsink.dead_letters")
    assert sorted((reason, key) for reason, key, _ in letters) == sorted((f"db.{key.split('-')[1]}", key) for key in bad)
    # What a trigger says may hold values: it is shown nowhere.
    assert not any("secret-payload" in detail for _, _, detail in letters)
    assert "secret-payload" not in d.log() + d.get("/api/status")[1]
    wait.until(lambda: d.status()["spool"]["events"] == 0, 30, "an empty spool")
    rejected = {name: value for name, value in d.metrics().items() if name.startswith("cxsink_events_rejected_total")}
    assert sum(rejected.values()) == len(bad)
    assert rejected['cxsink_events_rejected_total{stream="main",reason="db.23505"}'] == 3
    d.wait_ready()


def test_terminated_under_load(table, build, make_daemon, workdir):
    """57P01: sessions that an administrator ends again and again, and a lock in between (57014)."""
    settings = daemon.config(table.dsn, postgres=HASTY, log={"level": "info"})
    options = ["--count", 12000, "--rate", 4000, "--malformed", 1, "--duplicates", 2]
    with sims.Sim(build, workdir / "sim", "--no-auth", *options) as sim:
        settings["streams"]["main"]["url"] = sim.ws_url("/stream/main")
        d = make_daemon(settings).start().wait_up()
        done = threading.Event()

        ours = " from pg_stat_activity where application_name = 'cxsink' and datname = current_database()"
        # Once for sure in the middle of a batch; later wherever it meets them.
        with holding(table, "lock table cxone_events in access exclusive mode"):
            wait.until(lambda: table.query(f"select pg_terminate_backend(pid){ours} and wait_event_type = 'Lock'"),
                       30, "a batch that waits for the lock")
            wait.until(lambda: retries(d, "57P01") >= 1, 10, "a retry after the session's end")

        def terminate():
            while not done.wait(0.03):
                table.query(f"select pg_terminate_backend(pid){ours}")
        thread = threading.Thread(target=terminate)
        thread.start()
        try:
            stats = wait.until(lambda: sim.stats()["done"] and sim.stats(), 60, "everything is sent", poll=0.05)
        finally:
            done.set()
            thread.join()
        wait_count(table, stats["unique"])
        wait.until(lambda: d.status()["spool"]["events"] == 0, 30, "an empty spool")
        assert len(table.dead()) == stats["malformed"]
        d.wait_ready()


def test_locked_table(table, tenant, make_daemon):
    """D9: while another session holds the table, the daemon is not ready and says so; afterwards nothing is missing."""
    d = make_daemon(daemon.config(table.dsn, tenant, postgres=HASTY)).start().wait_ready()
    with holding(table, "lock table cxone_events in access exclusive mode"):
        send(tenant, "k", 300)
        wait_reason(d, "database retrying", "57014")
        assert d.get("/readyz")[0] == 503
        check_answers(d)
        wait.until(lambda: retries(d, "57014") >= 2, 30, "the lock is longer than statement_timeout")
    wait_count(table, 300)
    d.wait_ready()
    assert table.dead() == []


def test_stuck_without_an_error(table, tenant, make_daemon):
    """D9: a statement that just takes its time makes the daemon not ready too, long before its timeout."""
    patient = {**HASTY, "statement_timeout": "5m"}
    d = make_daemon(daemon.config(table.dsn, tenant, postgres=patient)).start().wait_ready()
    with holding(table, "lock table cxone_events in access exclusive mode"):
        send(tenant, "k", 10)
        wait_reason(d, "database", "no answer for")
        check_answers(d)
    wait_count(table, 10)
    d.wait_ready()


def test_altered_table(table, tenant, make_daemon):
    """D10: the table changes while the daemon runs."""
    table.query("alter table cxone_events alter duration type integer, drop attributes")
    table.query("alter table cxone_events add attributes jsonb")
    d = make_daemon(daemon.config(table.dsn, tenant, postgres=HASTY)).start().wait_ready()
    whole = {"duration": 7}
    send(tenant, "a", 20, attributes=whole)
    wait_count(table, 20)

    table.query("alter table cxone_events add extra text default 'x'")
    send(tenant, "b", 20, attributes=whole)
    wait_count(table, 40)

    index = table.value("select conname from pg_constraint where conrelid = 'cxone_events'::regclass"
                        " and contype = 'u'")
    table.query(f"alter table cxone_events drop constraint {index}")
    send(tenant, "c", 20, attributes=whole)
    remedy = wait_reason(d, "database blocked", "CREATE UNIQUE INDEX")
    assert d.status()["spool"]["events"] == 20
    statement = remedy[remedy.index("CREATE UNIQUE INDEX"):].split(";")[0]
    table.query(statement)
    wait_count(table, 60)

    table.query("alter table cxone_events rename agent_id to agent")
    send(tenant, "d", 20, attributes=whole)
    wait_reason(d, "database blocked", "agent_id")
    table.query("alter table cxone_events rename agent to agent_id")
    wait_count(table, 80)

    # A column that nothing fills is a fault of the table, not of thousands of events.
    table.query("alter table cxone_events add must integer not null default 1")
    table.query("alter table cxone_events alter must drop default")
    send(tenant, "m", 20, attributes=whole)
    wait_reason(d, "database blocked", "must")
    table.query("alter table cxone_events drop must")
    wait_count(table, 100)

    table.query("alter table cxone_events rename to elsewhere")
    send(tenant, "e", 20, attributes=whole)
    wait_reason(d, "database blocked", "cxone_events")
    table.query("alter table elsewhere rename to cxone_events")
    wait_count(table, 120)
    assert table.dead() == []

    # Types, both ways: what fits is stored exactly, what does not is a dead letter, nothing is rounded.
    table.query("alter table cxone_events alter duration type double precision")
    send(tenant, "f", 20, attributes={"duration": 12.5})
    wait_count(table, 140)
    assert table.value("select count(*) from cxone_events where duration = 12.5") == 20
    table.query("alter table cxone_events alter duration type integer using 12")
    send(tenant, "g", 20, attributes={"duration": 12.5})
    wait.until(lambda: len(table.dead()) == 20, 30, "dead letters")
    assert set(table.dead()) == {"column.duration"} and table.count() == 140

    # What a column was too narrow for, it takes once it is wider.
    table.query("alter table cxone_events alter disposition type varchar(500)")
    send(tenant, "h", 20, attributes={"duration": 1, "disposition": "x" * 400})
    wait_count(table, 160)
    assert len(table.dead()) == 20
    d.wait_ready()


def test_localised_server(tmp_path, tenant, make_daemon, monkeypatch):
    """D10: decisions come from SQLSTATEs, never from English text."""
    monkeypatch.setenv("LANGUAGE", "de")
    server = postgres_support.Postgres(tmp_path, settings={"lc_messages": "C.UTF-8"}.items())
    try:
        server.start()
        with pytest.raises(psycopg2.Error) as caught:
            server.query("select 1 / 0")
        if "division by zero" in str(caught.value):
            pytest.skip("the server's translations are not installed")
        database = postgres_support.Database(server, "postgres")
        d = make_daemon(daemon.config(database.dsn, tenant, postgres=HASTY)).start().wait_ready()
        database.query("alter table cxone_events rename agent_id to agent")
        send(tenant, "a", 20)
        wait_reason(d, "database blocked", "agent_id")
        database.query("alter table cxone_events rename agent to agent_id")
        wait_count(database, 20)
        with holding(database, "lock table cxone_events in access exclusive mode"):
            send(tenant, "b", 20)
            wait_reason(d, "database retrying", "57014")
        wait_count(database, 40)
        server.stop("fast")
        send(tenant, "c", 20)
        wait_reason(d, "database down")
        server.start()
        wait_count(database, 60)
        assert database.dead() == []
        d.wait_ready()
    finally:
        server.destroy()
