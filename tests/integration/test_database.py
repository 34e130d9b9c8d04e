# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL that comes late, goes away, changes roles, or lets nobody in."""
import contextlib
import json
import os
import signal
import socket
import subprocess
import uuid

import psycopg2
import pytest

from support import daemon, postgres as postgres_support, sim as sims, tenant as tenants, wait

# Short, so that a test takes seconds.
HASTY = {"connect_timeout": "2s", "statement_timeout": "2s", "retry": {"base": "20ms", "cap": "200ms"}}


@pytest.fixture(scope="module")
def rough_cluster(tmp_path_factory):
    """A server for this file, which a test may stop and kill, one at a time."""
    server = postgres_support.Postgres(tmp_path_factory.mktemp("pg"))
    server.start()
    yield server
    server.destroy()


@pytest.fixture
def rough(rough_cluster):
    """An empty database on it."""
    if rough_cluster.process is None:
        rough_cluster.start()
    name = "t" + uuid.uuid4().hex[:12]
    rough_cluster.query(f"create database {name}")
    yield postgres_support.Database(rough_cluster, name)
    if rough_cluster.process is None:
        rough_cluster.start()
    rough_cluster.query(f"drop database if exists {name} with (force)")


@pytest.fixture
def role(database):
    """A role that may log in, and nothing else."""
    name = "r" + uuid.uuid4().hex[:12]
    database.query(f"create role {name} login")
    yield name
    database.query(f"drop owned by {name} cascade")
    database.query(f"drop role {name}")


def patiently(question, seconds, what):
    """wait.until for questions to a server that may be away."""
    def ask():
        try:
            return question()
        except psycopg2.Error:
            return None
    return wait.until(ask, seconds, what, poll=0.05)


def from_simulator(dsn, sim, **changes):
    settings = daemon.config(dsn, postgres=HASTY, log={"level": "info"}, **changes)
    settings["streams"]["main"]["url"] = sim.ws_url("/stream/main")
    return settings


def reasons(running):
    return " ".join(running.status()["reasons"])


def wait_reason(running, *texts):
    """Until the reasons why it is not ready hold all the texts; returns them."""
    def said():
        text = reasons(running)
        return text if all(part in text for part in texts) else None
    return wait.until(said, 30, f"a reason with {texts}")


def wait_sent(sim):
    return wait.until(lambda: sim.stats()["done"] and sim.stats(), 60, "the simulator sent everything", poll=0.05)


def check_exact(database, stats):
    """What stands in the database is what the simulator sent: nothing lost, nothing twice."""
    patiently(lambda: database.count() == stats["unique"] and len(database.dead()) == stats["malformed"], 60,
              f"{stats['unique']} rows and {stats['malformed']} dead letters")
    assert database.value("select count(distinct source_seq) from cxsink.dead_letters") == stats["malformed"]


@contextlib.contextmanager
def notify_socket(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(path))
        s.setblocking(False)
        yield s


def drain_notifications(s, seen):
    with contextlib.suppress(BlockingIOError):
        while True:
            seen.append(s.recv(4096).decode())
    return "\n".join(seen)


def test_absent_at_start(rough, tenant, make_daemon, workdir):
    """D8: alive, spooling, and saying why it is not ready; also over a stop."""
    rough.cluster.stop("fast")
    seen = []
    with notify_socket(workdir / "notify") as notified:
        d = make_daemon(daemon.config(rough.dsn, tenant, postgres=HASTY, log={"level": "info"}),
                        environment={"NOTIFY_SOCKET": str(workdir / "notify")}).start().wait_up()
        tenant.wait_connected()
        tenant.send(*[tenants.event(f"before-{i}") for i in range(500)])
        wait.until(lambda: d.stream()["received"] == 500, 30, "received without a database")
        status = d.status()
        assert not status["ready"] and status["database"]["state"] == "down"
        assert status["spool"]["events"] == 500
        wait_reason(d, "database down", ".s.PGSQL")
        code, body = d.get("/readyz")
        assert code == 503 and "database down" in body
        assert d.get("/healthz")[0] == 200
        wait.until(lambda: "database down" in drain_notifications(notified, seen), 30, "systemd's STATUS says so")
        # Without a database there is nothing to drain for, and the spool keeps what came.
        assert d.stop() == 0
        wait.until(lambda: not tenant.sockets, 20, "the stream is closed")
        d.start().wait_up()
        tenant.wait_connected()
        tenant.send(*[tenants.event(f"after-{i}") for i in range(100)])
        wait.until(lambda: d.status()["spool"]["events"] == 600, 30, "the spool of before, and more")
        pid = d.process.pid
        rough.cluster.start()
        d.wait_ready()
        assert d.process.pid == pid
        wait.until(lambda: rough.count() == 600, 30, "all rows")
        wait.until(lambda: d.status()["spool"]["events"] == 0, 30, "an empty spool")
        assert rough.value("select committed_events from cxsink.stream_state") == 600
        assert d.get("/readyz")[0] == 200


def test_restarts_under_load(rough, build, make_daemon, workdir):
    """D7, D8, D11: ten immediate shutdowns and two fast ones, when batches are in flight."""
    options = ["--rate", 4000, "--duplicates", 3, "--older", 3, "--malformed", 1]
    with sims.Sim(build, workdir / "sim", "--no-auth", "--paused", *options) as sim:
        d = make_daemon(from_simulator(rough.dsn, sim)).start().wait_ready()
        sim.post("/sim/set?paused=0")
        for i in range(12):
            before = d.status()["database"]["batches"]
            wait.until(lambda: d.status()["database"]["batches"] > before + 3, 30, "batches are written")
            with contextlib.suppress(AssertionError):
                wait.until(lambda: d.status()["database"]["events_in_flight"], 0.3, "in flight", poll=0.001)
            rough.cluster.stop("fast" if i % 6 == 5 else "immediate")
            rough.cluster.start(wait_for_it=False)
        sim.finish(20000)
        stats = wait_sent(sim)
        check_exact(rough, stats)
        d.wait_ready()
        wait.until(lambda: d.status()["spool"]["events"] == 0, 30, "an empty spool")
        metrics = d.metrics()
        assert sum(value for name, value in metrics.items() if name.startswith("cxsink_batch_retries_total")) >= 1
        assert d.stream()["received"] == stats["sent"]
        assert d.stop() == 0


class Standby(postgres_support.Postgres):
    """Follows another server until it is promoted."""

    def __init__(self, path, primary):
        super().__init__(path)
        subprocess.run(["rm", "-rf", str(self.data)], check=True)
        self._run(["pg_basebackup", "-D", str(self.data), "-R", "-c", "fast", "--no-sync", "-d", primary.dsn()])


def set_read_only(server, yes):
    server.query(f"alter system set default_transaction_read_only = {'on' if yes else 'off'}")
    server.query("select pg_reload_conf()")


def test_failover(rough, tmp_path, tenant, make_daemon):
    """D6: the daemon follows the server that takes writes, there and back; an old session gets 25006."""
    old, dead_port = rough.cluster, postgres_support.free_port()
    new = Standby(tmp_path, old)
    try:
        new.start()
        hosts = f"127.0.0.1,{new.home},{old.home}"
        ports = f"{dead_port},{new.port},{old.port}"
        dsn = f"host={hosts} port={ports} user=postgres dbname={rough.name} target_session_attrs=read-write"
        d = make_daemon(daemon.config(dsn, tenant, postgres=HASTY)).start().wait_ready()
        tenant.send(*[tenants.event(f"one-{i}") for i in range(300)])
        wait.until(lambda: rough.count() == 300, 30, "rows at the third host of the list")
        standby = postgres_support.Database(new, rough.name)
        patiently(lambda: standby.count() == 300, 30, "rows at the standby")

        set_read_only(old, True)
        new.query("select pg_promote()")
        tenant.send(*[tenants.event(f"two-{i}") for i in range(300)])
        patiently(lambda: standby.count() == 600, 30, "rows at the server that was promoted")
        assert rough.count() == 300
        assert d.metrics()['cxsink_batch_retries_total{sqlstate="25006"}'] >= 1
        d.wait_ready()

        set_read_only(old, False)
        set_read_only(new, True)
        tenant.send(*[tenants.event(f"three-{i}") for i in range(300)])
        wait.until(lambda: rough.count() == 600, 30, "rows at the old server again")
        assert standby.count() == 600 and rough.dead() == []
        d.wait_ready()
        assert d.stop() == 0
    finally:
        set_read_only(old, False)
        new.destroy()


def test_read_only_single_host(database, tenant, make_daemon):
    """D6: also where the only server is read-only for a while, and a session is never stuck with it."""
    d = make_daemon(daemon.config(database.dsn, tenant, postgres=HASTY)).start().wait_ready()
    database.query(f"alter database {database.name} set default_transaction_read_only = on")
    database.query("select pg_terminate_backend(pid) from pg_stat_activity"
                   " where application_name = 'cxsink' and datname = current_database()")
    tenant.send(*[tenants.event(f"k{i}") for i in range(50)])
    wait_reason(d, "25006")
    with contextlib.closing(psycopg2.connect(database.dsn)) as connection:
        connection.autocommit = True
        connection.cursor().execute("set default_transaction_read_only = off")
        connection.cursor().execute(f"alter database {database.name} reset default_transaction_read_only")
    wait.until(lambda: database.count() == 50, 30, "rows")
    d.wait_ready()


def test_wrong_password_mended_by_reload(rough, tenant, make_daemon, workdir):
    """28P01 needs a person; a corrected secret is taken by SIGHUP; neither password is ever shown (D16)."""
    cluster, user = rough.cluster, "p" + uuid.uuid4().hex[:10]
    rules = cluster.data / "pg_hba.conf"
    before = rules.read_text()
    secret = workdir / "dsn"
    cluster.query(f"create role {user} login superuser password 'Right-Pa55word'")
    try:
        rules.write_text(f"local all {user} scram-sha-256\n{before}")
        cluster.query("select pg_reload_conf()")
        dsn = cluster.dsn(rough.name, user=user)
        secret.write_text(f"{dsn} password=Wrong-Pa55word\n")
        secret.chmod(0o600)
        d = make_daemon(daemon.config({"file": str(secret)}, tenant, postgres=HASTY)).start().wait_up()
        tenant.wait_connected()
        tenant.send(*[tenants.event(f"k{i}") for i in range(20)])
        wait_reason(d, "database blocked", "28P01", user)
        assert "this needs a person" in d.log()
        secret.write_text(f"{dsn} password=Right-Pa55word\n")
        d.send_signal(signal.SIGHUP)
        d.wait_ready()
        wait.until(lambda: rough.count() == 20, 30, "rows")
        said = d.log() + json.dumps(d.status()) + d.get("/metrics")[1] + json.dumps(d.audit())
        assert "Pa55word" not in said
        assert d.stop() == 0
    finally:
        rules.write_text(before)
        cluster.query("select pg_reload_conf()")
        rough.query(f"drop owned by {user} cascade")
        cluster.query(f"drop role {user}")


def make_certificate(home, owner):
    """A certificate for "localhost" that is its own authority, and its key, for the server's user."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", home / "tls.key", "-out", home / "tls.crt", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost"], check=True, stderr=subprocess.DEVNULL)
    (home / "tls.key").chmod(0o600)
    if owner is not None:
        os.chown(home / "tls.key", owner.pw_uid, owner.pw_gid)
    return home / "tls.crt", home / "tls.key"


def test_tls_verify_full(rough, tenant, make_daemon):
    """sslmode=verify-full: a name that the certificate has not is refused, the right one is taken."""
    cluster = rough.cluster
    certificate, key = make_certificate(cluster.home, cluster.user)
    for setting in (f"ssl_cert_file = '{certificate}'", f"ssl_key_file = '{key}'", "ssl = on"):
        cluster.query(f"alter system set {setting}")
    cluster.query("select pg_reload_conf()")
    try:
        end = f"port={cluster.port} user=postgres dbname={rough.name} sslmode=verify-full sslrootcert={certificate}"
        d = make_daemon(daemon.config(f"host=127.0.0.1 {end}", tenant, postgres=HASTY)).start().wait_up()
        tenant.wait_connected()
        tenant.send(*[tenants.event(f"k{i}") for i in range(20)])
        wait_reason(d, "127.0.0.1", "certificate")
        assert rough.count() == 0
        d.config["postgres"]["dsn"] = f"host=localhost {end}"
        d.write()
        d.send_signal(signal.SIGHUP)
        d.wait_ready()
        wait.until(lambda: rough.count() == 20, 30, "rows")
        assert rough.query("select distinct ssl from pg_stat_ssl join pg_stat_activity using (pid)"
                           " where application_name = 'cxsink' and datname = current_database()") == [(True,)]
        assert d.stop() == 0
    finally:
        cluster.query("alter system reset all")
        cluster.query("select pg_reload_conf()")


def test_a_role_gets_its_rights_one_by_one(database, role, tenant, make_daemon):
    """53300 at start, then no right to create, then none to write (42501): each is said, and mended live."""
    dsn = database.cluster.dsn(database.name, user=role)
    database.query(f"alter role {role} connection limit 0")
    d = make_daemon(daemon.config(dsn, tenant, postgres=HASTY)).start().wait_up()
    tenant.wait_connected()
    tenant.send(*[tenants.event(f"a{i}") for i in range(50)])
    wait_reason(d, "53300")

    database.query(f"alter role {role} connection limit -1")
    wait_reason(d, "database blocked", "42501")
    assert "this needs a person" in d.log()

    database.query(f"grant create on database {database.name} to {role}")
    database.query(f"grant create, usage on schema public to {role}")
    d.wait_ready()
    wait.until(lambda: database.count() == 50, 30, "rows")

    database.query(f"revoke insert, update on cxone_events from {role}")
    tenant.send(*[tenants.event(f"b{i}") for i in range(50)])
    wait_reason(d, "database blocked", "GRANT")
    assert d.status()["spool"]["events"] == 50
    database.query(f"grant insert, update on cxone_events to {role}")
    wait.until(lambda: database.count() == 100, 30, "rows that waited for the right")
    d.wait_ready()
    assert database.dead() == []
    assert d.metrics()['cxsink_batch_retries_total{sqlstate="42501"}'] >= 1


@pytest.fixture
def bouncer(rough, workdir):
    with postgres_support.bouncer(rough, workdir) as made:
        yield made


def test_pgbouncer(rough, bouncer, build, make_daemon, workdir):
    """Through PgBouncer in transaction mode, with rows that the server refuses, and kills of the bouncer."""
    # The table is there before, with a rule that some of the events break.
    rough.query((daemon.ROOT / "sql" / "0002_default_table.sql").read_text())
    rough.query("alter table cxone_events add constraint few check (hashtext(idempotency_key) % 1000 <> 0)")
    options = ["--rate", 6000, "--malformed", 1]
    with sims.Sim(build, workdir / "sim", "--no-auth", "--paused", *options) as sim:
        d = make_daemon(from_simulator(bouncer.dsn, sim)).start().wait_ready()
        sim.post("/sim/set?paused=0")
        for _ in range(3):
            before = d.status()["database"]["batches"]
            wait.until(lambda: d.status()["database"]["batches"] > before + 5, 30, "batches are written")
            bouncer.kill()
            bouncer.start()
        sim.finish(20000)
        stats = wait_sent(sim)
        wait.until(lambda: d.status()["spool"]["events"] == 0, 60, "an empty spool")
        dead = rough.dead()
        refused = dead.count("db.23514")
        assert refused > 5 and len(dead) == stats["malformed"] + refused
        assert rough.count() == stats["unique"] - refused
        assert rough.value("select count(*) from cxsink.dead_letters where reason = 'db.23514' and hashtext("
                           "convert_from(payload, 'UTF8')::jsonb->>'idempotencyKey') % 1000 = 0") == refused
        assert d.stop() == 0


def test_migrations(rough, build, make_daemon, cxsink):
    """Two daemons at once on an empty database; "check" says what to do, and goes on when it is done."""
    both = [make_daemon(daemon.config(rough.dsn, postgres=HASTY)) for _ in range(2)]
    for d in both:
        d.start()
    for d in both:
        d.wait_up()
        wait.until(lambda: d.status()["database"]["state"] == "ready", 30, "the database is ready")
    versions = rough.query("select version from cxsink.migrations order by version")
    assert versions == [(i + 1,) for i in range(len(versions))] and versions
    for d in both:
        d.stop()
    rough.query("drop schema cxsink cascade")
    rough.query("drop table cxone_events")

    d = make_daemon(daemon.config(rough.dsn, postgres={**HASTY, "migrate": "check"})).start().wait_up()
    wait_reason(d, "database blocked", "cxsink migrate")
    assert rough.value("select to_regnamespace('cxsink') is null")
    done = cxsink("migrate", "-c", d.path)
    assert done.returncode == 0, done.stderr
    wait.until(lambda: d.status()["database"]["state"] == "ready", 30, "the database is ready")
