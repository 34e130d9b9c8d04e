# SPDX-License-Identifier: Apache-2.0
"""The audit log as config/audit.md says it is."""
import hashlib
import json
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[3]
ALWAYS = {"time", "event", "stream", "user", "key_id", "prev", "hash"}


def documented():
    """{event: its members}, from the table."""
    rows = re.findall(r"^\| `([a-z_.]+)` \| .* \| (.*) \|$", (ROOT / "config" / "audit.md").read_text(), re.MULTILINE)
    members = {name: set(re.findall(r"\w+", said)) for name, said in rows}
    return {name: said | members["job.running"] if "same" in said else said for name, said in members.items()}


def check_members(paths):
    """Each event is one of the table, with members of the table; what is no JSON was torn by a crash."""
    known = documented()
    for entry in (entry for path in paths for entry in entries(path)):
        assert entry["event"] in known, entry
        assert set(entry) - ALWAYS <= known[entry["event"]], entry


def make(path, lines):
    """A log without a key, as cxsink writes it."""
    previous = "0" * 64
    with open(path, "w") as log:
        for number in range(lines):
            body = f'{{"time":"2026-01-01T00:00:00.{number % 1000:03}Z","event":"stream.connected","stream":"main"'
            body += f',"prev":"{previous}"'
            previous = hashlib.sha256(body.encode()).hexdigest()
            log.write(f'{body},"hash":"{previous}"}}\n')


def entries(path):
    """Of the whole lines; what a crash tore is left out."""
    found = []
    for line in pathlib.Path(path).read_text(errors="replace").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            pass
    return found
