# SPDX-License-Identifier: Apache-2.0
"""Numbered events, sent once: what an event's number says about loss."""
import json

from . import peers, tenant as tenants


def key(prefix, number):
    return f"{prefix}-{number:07d}"


def frames(prefix, numbers):
    """The WebSocket frames of these events, as bytes for Tenant.send_raw()."""
    mark = "@" * len(key(prefix, 0))
    shape = peers.frame(json.dumps(tenants.event(mark)))
    return b"".join(shape.replace(mark.encode(), key(prefix, n).encode()) for n in numbers)


def stored(database, prefix):
    """The numbers that are rows."""
    rows = database.query("select idempotency_key from cxone_events where idempotency_key like %s", (prefix + "-%",))
    return {int(row[0].rsplit("-", 1)[1]) for row in rows}
