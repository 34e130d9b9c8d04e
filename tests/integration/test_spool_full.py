# SPDX-License-Identifier: Apache-2.0
"""A full spool: back-pressure that loses nothing, or drops that are told of (P8)."""
import json
import threading
import time

import pytest

from support import daemon, peers, postgres, sim, streams, tenant as tenants, wait

SMALL = {"max_bytes": "2MiB", "segment_bytes": "256KiB"}
EVENT = {"attributes": {"note": "x" * 1000}}


def away(database, port):
    """A DSN of a server that is not there yet, at this port."""
    return f"host=127.0.0.1 port={port} user=postgres dbname={database.name}"


@pytest.fixture
def send(tenant):
    """send(prefix, count, **changes): in a thread, because the stream will stop taking it."""
    threads = []

    def start(prefix, count, **changes):
        texts = [json.dumps(tenants.event(f"{prefix}{i:06}", **changes)) for i in range(count)]
        thread = threading.Thread(target=lambda: tenant.send(*texts, timeout=300), daemon=True)
        threads.append(thread)
        thread.start()
        return thread

    yield start
    for thread in threads:
        thread.join(60)


def keys(database, prefix):
    return [row[0] for row in database.query(
        "select idempotency_key from cxone_events where idempotency_key like %s order by 1", (prefix + "%",))]


def test_block_outlasts_the_pings(shared_database, cluster, tenant, make_daemon, send):
    """Paused longer than pings need, on one connection; then everything that was sent is there."""
    port, count = postgres.free_port(), 20_000
    made = daemon.config(away(shared_database, port), tenant, spool={**SMALL, "when_full": "block"},
                         streams={"main": {"ping": {"interval": "1s", "timeout": "1s"}}})
    d = make_daemon(made).start().wait_up()
    tenant.wait_connected()
    sending = send("block-", count, **EVENT)
    wait.until(lambda: d.stream()["state"] == "paused", 30, "the stream pauses")
    since = time.monotonic()
    wait.until(lambda: time.monotonic() - since > 3.5, 30)
    status = d.status()
    assert status["streams"][0]["state"] == "paused" and status["streams"][0]["connected"]
    assert status["spool"]["full"] and status["spool"]["bytes"] <= 2 << 20 and sending.is_alive()
    code, body = d.get("/readyz")  # a stream waits from seven eighths on, and 90 % are told of
    assert code == 503 and ("the spool holds" in body or status["spool"]["bytes"] < (2 << 20) * 0.9)
    assert d.get("/healthz")[0] == 200
    with peers.TcpProxy(cluster.port, listen_port=port):
        wait.until(lambda: d.stream()["committed"] == count, 60, "all of it")
        assert len(keys(shared_database, "block-")) == count
        wait.until(lambda: d.get("/readyz")[0] == 200, 20, "ready")
        assert len(tenant.handshakes) == 1 and streams.ends(d) == 0
        assert d.stream()["received"] == count and d.stream()["dropped"] == 0
        assert "the spool is full" in d.log()
        assert d.stop() == 0


@pytest.mark.parametrize("policy", ["drop_newest", "drop_oldest"])
def test_drops_are_counted_and_audited(shared_database, cluster, tenant, make_daemon, send, policy):
    """P8: what is dropped is counted exactly, by stream and policy, and the audit log says so."""
    port, count, prefix = postgres.free_port(), 6000, policy + "-"
    made = daemon.config(away(shared_database, port), tenant, spool={**SMALL, "when_full": policy})
    d = make_daemon(made).start().wait_up()
    tenant.wait_connected()
    send(prefix, count, **EVENT).join(60)
    series = f'cxsink_events_dropped_total{{stream="main",policy="{policy}"}}'

    def settled():
        stream = d.stream()
        kept = d.status()["spool"]["events"]
        return stream["dropped"] > 0 and kept + stream["dropped"] == count and (kept, stream["dropped"])
    kept, dropped = wait.until(settled, 30, "all of it is taken or dropped")
    assert d.metrics()[series] == dropped
    assert d.stream()["state"] == "live"
    audited = [e for e in d.audit() if e["event"] == "spool.dropped"]
    assert audited and audited[0]["policy"] == policy and audited[0]["stream"] == "main"
    assert len(audited) <= dropped // 1000 + 2  # thinned out
    assert len(d.log().splitlines()) < 500  # and no line for each of them
    status = d.status()
    assert status["spool"]["dropped"] == dropped and status["spool"]["bytes"] <= 2 << 20
    assert not status["ready"] and status["spool"]["bytes"] > 1 << 20
    with peers.TcpProxy(cluster.port, listen_port=port):
        wait.until(lambda: d.stream()["committed"] == kept, 60, "the rest is committed")
        rows = keys(shared_database, prefix)
        all_keys = [f"{prefix}{i:06}" for i in range(count)]
        assert rows == (all_keys[:kept] if policy == "drop_newest" else all_keys[-kept:])
        assert d.stop() == 0


def test_burst_beyond_the_database(build, shared_database, make_daemon, tmp_path, sanitized):
    """Far more than PostgreSQL takes, as fast as it can be sent: memory is bounded, nothing is lost."""
    count = 60_000 if sanitized else 300_000
    with sim.Sim(build, tmp_path / "sim", "--count", count, "--no-auth", "--paused", "--seed", 77) as tenant:
        made = daemon.config(shared_database.dsn, tenant, spool={"max_bytes": "1MiB", "when_full": "block"},
                             streams={"main": {"auth": None}})
        made["log"]["level"] = "warn"
        d = make_daemon(made).start().wait_ready()
        most = d.rss()
        since = time.monotonic()
        tenant.post("/sim/set?paused=0")

        def done():
            nonlocal most
            most = max(most, d.rss())
            return d.stream()["committed"] == count
        wait.until(done, 90, "all of it", poll=0.1)
        seconds = time.monotonic() - since
        print(f"{count / seconds:.0f} events/s into rows, at most {most / 2**20:.1f} MiB resident")
        assert d.stream()["dropped"] == 0 and streams.ends(d) == 0
        assert shared_database.value("select count(*) from cxone_events where idempotency_key like 'sim077-%'") == count
        assert shared_database.dead() == []
        assert tenant.stats()["resent"] == 0
        if not sanitized:
            assert most < 72 << 20 and "the spool is full" in d.log()


def test_failing_tokens_do_not_stop_the_drain(shared_database, cluster, tenant, make_daemon, send):
    """S6: the spool is emptied while no stream gets a token."""
    port = postgres.free_port()
    d = make_daemon(daemon.config(away(shared_database, port), tenant)).start().wait_up()
    tenant.wait_connected()
    send("drain-", 2000).join(60)
    wait.until(lambda: d.stream()["received"] == 2000, 30, "they are received")
    tenant.token_answers += [tenants.respond(401, {"error": "invalid_client"})] * 1000
    tenant.refused.update(tenant.tokens)
    tenant.close(4001, "expired")
    wait.until(lambda: "invalid_client" in d.get("/readyz")[1], 20, "the reason")
    with peers.TcpProxy(cluster.port, listen_port=port):
        wait.until(lambda: d.status()["spool"]["events"] == 0, 30, "the spool is empty")
        assert len(keys(shared_database, "drain-")) == 2000
        assert not d.stream()["connected"]
        assert d.stop() == 0
