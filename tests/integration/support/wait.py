# SPDX-License-Identifier: Apache-2.0
"""Waiting for conditions, with a deadline."""
import os
import time

# Sanitizers and busy machines are slow; no test asserts on this.
FACTOR = float(os.environ.get("CXSINK_WAIT_FACTOR", "1"))


def until(condition, seconds=30, what="", poll=0.02):
    """Returns the first true result of condition(); fails with what it last saw."""
    end = time.monotonic() + seconds * FACTOR
    last = None
    while time.monotonic() < end:
        try:
            last = condition()
            if last:
                return last
        except (OSError, ValueError, KeyError, ConnectionError) as error:
            last = error
        time.sleep(poll)
    raise AssertionError(f"not within {seconds * FACTOR:.0f} s: {what or condition}; last: {last!r}")
