# SPDX-License-Identifier: Apache-2.0
"""Configurations of many streams, and what their metrics say."""
import copy
import re

from . import daemon

QUICK = {"base": "10ms", "cap": "100ms", "stable": "60s"}


def config(dsn, tenant, streams, **changes):
    """One stream for each name, at /stream/NAME of the tenant; `streams` has the settings that differ."""
    made = daemon.config(dsn, tenant, **changes)
    base = made["streams"].pop("main")
    for name, own in streams.items():
        plain = {**copy.deepcopy(base), "url": tenant.ws_url(f"/stream/{name}"), "reconnect": dict(QUICK)}
        made["streams"][name] = daemon.merge(plain, own)
    return made


def codes(d, stream="main"):
    """{code: how many attempts and connections ended with it}, of one moment."""
    pattern = re.compile(r'cxsink_stream_disconnects_total\{stream="([^"]*)",code="([^"]*)"\}')
    found = [(pattern.fullmatch(name), value) for name, value in d.metrics().items()]
    return {match[2]: value for match, value in found if match and match[1] == stream}


def ends(d, code=None, stream="main"):
    """How many attempts and connections ended (with this code)."""
    return sum(value for name, value in codes(d, stream).items() if code is None or name == str(code))


def connects(d, stream="main"):
    return d.metrics().get(f'cxsink_stream_connects_total{{stream="{stream}"}}', 0)


def connected(d, stream="main"):
    return d.metrics().get(f'cxsink_stream_connected{{stream="{stream}"}}')


def handshakes(tenant, path):
    return [h for h in tenant.handshakes if h["path"] == path]


def tokens_seen(tenant, path):
    return [h["token"] for h in handshakes(tenant, path)]
