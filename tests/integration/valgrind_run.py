# SPDX-License-Identifier: Apache-2.0
"""make valgrind: a life with everything in it, under valgrind. No leak, no invalid access. Minutes; not in check."""
import re
import shutil
import signal

import pytest

from support import daemon, numbered, postgres as postgres_support, tenant as tenants, wait

OPTIONS = ["--leak-check=full", "--show-leak-kinds=definite,indirect", "--errors-for-leak-kinds=definite,indirect",
           "--track-fds=yes", "--error-exitcode=99", "--num-callers=30"]


def reload(d, result):
    """A SIGHUP, and what became of it."""
    before = d.audit_events().count("config.reload")
    d.send_signal(signal.SIGHUP)
    wait.until(lambda: d.audit_events().count("config.reload") > before, 60, "the reload is done")
    assert [entry for entry in d.audit() if entry["event"] == "config.reload"][-1]["result"] == result


def flow(d, tenant, database, prefix, count=300):
    """Events, bad ones among them, to the end."""
    rejected = len(database.dead())
    tenant.send_raw(numbered.frames(prefix, range(count)))
    tenant.send("{", b"binary", tenants.event(""), tenants.event(f"{prefix}-x", type=None), "x" * 70000)
    wait.until(lambda: numbered.stored(database, prefix) == set(range(count)), 60, "rows")
    wait.until(lambda: len(database.dead()) == rejected + 5, 60, f"dead letters, after {rejected}")
    wait.until(lambda: d.stream()["connected"], 60, "connected again after what was too large")


def test_a_whole_life(own_cluster, tenant, make_daemon, workdir):
    if shutil.which("valgrind") is None:
        pytest.skip("valgrind is not installed")
    own_cluster.query("create database life")
    database = postgres_support.Database(own_cluster, "life")
    output = workdir / "valgrind"
    settings = daemon.config(database.dsn, tenant, spool={"segment_bytes": "64KiB"})
    settings["streams"]["main"].update(reconnect={"base": "10ms", "cap": "50ms", "stable": "60s"}, max_message="64KiB")
    d = make_daemon(settings, wrapper=["valgrind", f"--log-file={output}", *OPTIONS])
    d.start().wait_ready()
    tenant.wait_connected()
    flow(d, tenant, database, "begin")

    for end in (tenant.reset, lambda: tenant.close(1011), lambda: tenant.close(4001), lambda: tenant.send_raw(b"\xff" * 9)):
        seen = len(tenant.handshakes)
        end()
        wait.until(lambda: len(tenant.handshakes) > seen and len(tenant.sockets) == 1, 60, "connected again")
    tenant.refused.update(tenant.tokens)
    tenant.handshake_answers.append(tenants.respond(503, headers={"Retry-After": "1"}))
    tenant.reset()
    wait.until(lambda: tenant.handshakes[-1]["token"] not in tenant.refused and len(tenant.sockets) == 1, 60,
               "connected with another token")
    flow(d, tenant, database, "connected")

    d.config["streams"]["second"] = {**settings["streams"]["main"], "url": tenant.ws_url("/stream/second")}
    d.config["postgres"]["connections"] = 3
    d.write()
    reload(d, "taken")
    wait.until(lambda: len(tenant.sockets) == 2, 60, "two streams")
    good = d.path.read_text()
    d.path.write_text(good.replace('"wss', '"').replace('"newest_by"', '"newestby"').replace('"64KiB"', '"64 bits"'))
    reload(d, "refused")
    del d.config["streams"]["second"]
    d.write()
    reload(d, "taken")
    wait.until(lambda: len(tenant.sockets) == 1, 60, "one stream")
    d.wait_ready()
    flow(d, tenant, database, "reloaded")

    own_cluster.stop("immediate")
    wait.until(lambda: d.status()["database"]["state"] != "ready", 60, "the database is missed")
    received = d.stream()["received"]
    tenant.send_raw(numbered.frames("missed", range(300)))
    wait.until(lambda: d.stream()["received"] == received + 300, 60, "received meanwhile")
    own_cluster.start()
    d.wait_ready()
    wait.until(lambda: numbered.stored(database, "missed") == set(range(300)), 60, "delivered afterwards")
    flow(d, tenant, database, "restarted")
    for path in ("/", "/metrics", "/healthz", "/readyz", "/api/status", "/nothing"):
        d.get(path, timeout=60)
    assert d.stop(seconds=120) == 0, output.read_text()[-8000:]

    said = output.read_text()
    print(said[said.rindex("HEAP SUMMARY"):])
    assert re.search(r"ERROR SUMMARY: 0 errors", said), said
    for kind in ("definitely", "indirectly"):
        assert f"{kind} lost: 0 bytes" in said or "All heap blocks were freed" in said, said
    left = int(re.search(r"FILE DESCRIPTORS: (\d+) open", said)[1])
    assert left <= 4, said  # the three of every process, and valgrind's own log
