# SPDX-License-Identifier: Apache-2.0
"""Events over a real WebSocket stand in a real PostgreSQL."""
from support import daemon, tenant as tenants, wait


def test_events_become_rows(database, tenant, make_daemon):
    d = make_daemon(daemon.config(database.dsn, tenant)).start().wait_ready()
    tenant.send(*[tenants.event(f"k{i}") for i in range(1000)])
    wait.until(lambda: database.count() == 1000, 30, "1,000 rows")
    assert database.dead() == []
    assert database.query("select interaction_id, type, duration, disposition, queue_name, agent_id, attributes"
                          " from cxone_events where idempotency_key = 'k7'") == [
        ("interaction-k7", "call", 12.5, "resolved", "support", "agent-7",
         {"duration": 12.5, "disposition": "resolved", "queueName": "support", "agentId": "agent-7"})]
    wait.until(lambda: d.status()["spool"]["events"] == 0, 10, "the spool is empty")
    assert d.stream()["received"] == 1000
    assert d.stop() == 0
