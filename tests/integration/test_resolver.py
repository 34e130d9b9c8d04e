# SPDX-License-Identifier: Apache-2.0
"""A resolver that takes seconds holds nothing up: names are looked up beside the loop."""
import time

import pytest

from support import daemon, names, streams, tenant as tenants, wait

SLOW = names.SECONDS


def slow(url):
    return url.replace("127.0.0.1", "slow.test")


def test_slow_names_of_streams_and_tokens(shared_database, tenant, make_daemon, slow_resolver):
    """While a stream's and a token endpoint's names are looked up, another stream's events are committed and
    status answers."""
    auth = {"slow": {"grant": "client_credentials", "token_url": slow(tenant.url("/token/slow")),
                     "client_id": "id", "client_secret": "secret"}}
    made = streams.config(shared_database.dsn, tenant, {
        "fast": {}, "slow": {"url": slow(tenant.ws_url("/stream/slow"))}, "token": {"auth": "slow"}}, auth=auth)
    d = make_daemon(made, environment=slow_resolver).start().wait_up()
    wait.until(lambda: d.stream("slow")["state"] == "resolving", 20, "the lookup")
    wait.until(lambda: d.stream("fast")["state"] == "live", 20, "the other stream")
    answers, sent = [], 0
    while d.stream("slow")["state"] == "resolving":
        tenant.send(tenants.event(f"resolve-{sent}"), to="/stream/fast")
        sent += 1
        wait.until(lambda: d.stream("fast")["committed"] == sent, 20, "the event is committed meanwhile")
        before = time.monotonic()
        d.status()
        answers.append(time.monotonic() - before)
    assert len(answers) > 5 and max(answers) < 0.5 * wait.FACTOR, answers
    for name in ("slow", "token"):
        wait.until(lambda: d.stream(name)["state"] == "live", 30, f"{name} is live")
    assert tenant.handshakes[-1]["headers"]["Host"] in (f"slow.test:{tenant.port}", f"127.0.0.1:{tenant.port}")
    hosts = {h["path"]: h["headers"]["Host"] for h in tenant.handshakes}
    assert hosts["/stream/slow"] == f"slow.test:{tenant.port}"
    assert d.stop() == 0


def test_slow_name_of_the_database(shared_database, cluster, tenant, make_daemon, slow_resolver):
    """While the database's name is looked up, events are received and made durable."""
    dsn = f"host=slow.test port={cluster.port} user=postgres dbname={shared_database.name}"
    d = make_daemon(daemon.config(dsn, tenant), environment=slow_resolver).start().wait_up()
    wait.until(lambda: d.stream()["state"] == "live", 20, "the stream")
    tenant.send(*[tenants.event(f"resolvedb-{i}") for i in range(100)])
    wait.until(lambda: d.stream()["received"] == 100, 20, "they are received")
    assert d.status()["database"]["connections_ready"] == 0
    wait.until(lambda: d.stream()["committed"] == 100, 30, "they are committed")


def test_stop_during_a_lookup(tenant, make_daemon, slow_resolver):
    """An orderly stop does not wait for the resolver."""
    made = daemon.config("host=/nonexistent", tenant, streams={"main": {"url": slow(tenant.ws_url("/stream/main"))}})
    d = make_daemon(made, environment={**slow_resolver, "SLOW_SECONDS": "20"}).start().wait_up()
    wait.until(lambda: d.stream()["state"] == "resolving", 20, "the lookup")
    before = time.monotonic()
    assert d.stop() == 0
    assert time.monotonic() - before < 5 * wait.FACTOR
