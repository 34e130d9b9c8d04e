# SPDX-License-Identifier: Apache-2.0
"""The audit log of a daemon: over files, keys, crashes and other processes, and what verifying finds in it."""
import json
import os
import pathlib
import re
import signal
import subprocess

import pytest
from support import audit, commands, daemon, wait

ROOT = pathlib.Path(__file__).resolve().parents[2]
KEY, OTHER = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"


@pytest.fixture
def audited(make_daemon, database, tenant):
    """A daemon with a key, and a full log of before there was one."""
    d = make_daemon(daemon.config(database.dsn, tenant, log={"target": "json", "level": "error"},
                                  audit={"max_bytes": "64KiB", "keep": 3, "key": {"file": "audit.key"}}))
    d.log_path = pathlib.Path(d.config["state_dir"]) / "audit.jsonl"
    d.log_path.parent.mkdir(mode=0o700)
    audit.make(d.log_path, 400)
    (d.home / "audit.key").write_text(KEY + "\n")
    (d.home / "old.key").write_text(KEY + "\n")
    return d.start().wait_ready()


def logged(d, event):
    """Entries of all files that there are."""
    files = sorted(d.log_path.parent.glob("audit*.jsonl*"))
    return [entry for path in files for entry in audit.entries(path) if entry["event"] == event]


def reload(d):
    before = len(logged(d, "config.reload"))
    d.send_signal(signal.SIGHUP)
    wait.until(lambda: len(logged(d, "config.reload")) == before + 1, 30, "it is reloaded")


def test_one_chain(audited, tenant, cxsink):
    """Renamed by itself and by logrotate, another key, a command beside the daemon, kill -9: verified each time."""
    d = audited

    def verify(*options, code=0):
        done = cxsink("audit", "verify", "-c", d.path, "--json", *options)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return json.loads(done.stdout)

    # A full file is renamed, and with a key the chain goes on under that.
    [renamed] = d.log_path.parent.glob("audit-*.jsonl")
    assert re.fullmatch(r"audit-\d{8}-\d{6}\.jsonl", renamed.name)
    [begun] = [e for e in audit.entries(d.log_path) if e["event"] == "audit.rotated"]
    assert begun["file"] == renamed.name and begun["last"] == audit.entries(renamed)[-1]["hash"]
    assert {"token.refreshed", "stream.connected", "daemon.started"} <= {e["event"] for e in audit.entries(d.log_path)}
    assert logged(d, "database.state")[-1]["to"] == "ready"
    told = verify()
    assert told["files"] == 2 and told["without_key"] >= 400 and told["faults"] == []
    assert "audit.key" in {e["event"] for e in audit.entries(renamed)}

    # logrotate: a rename, and SIGHUP.
    os.rename(d.log_path, f"{d.log_path}.1")
    reload(d)
    assert verify()["files"] == 3
    [reloaded] = [e for e in audit.entries(d.log_path) if e["event"] == "config.reload"]
    assert (reloaded["uid"], reloaded["pid"]) == (str(os.getuid()), str(os.getpid()))

    # Another key is taken by a reload; the lines of before need the old one.
    (d.home / "audit.key").write_text(OTHER + "\n")
    reload(d)
    assert verify(code=1)["faults"][0]["message"].startswith("from here on the lines have the key")
    old = ("--key-file", d.home / "old.key")
    assert verify(*old)["faults"] == []

    # A command adds to the chain of the running daemon.
    tenant.send("no event at all")
    wait.until(lambda: d.stream()["rejected"] == 1, 30, "it is a dead letter")
    purged = cxsink("dead", "purge", "-c", d.path, "--all", "--yes")
    assert purged.returncode == 0, purged.stderr
    [by] = logged(d, "dead.purged")
    assert by["user"].split(" as ")[-1] == "root" or os.getuid() != 0
    tenant.close(4001)
    wait.until(lambda: logged(d, "stream.disconnected"), 30, "the daemon adds to it, too")
    assert verify(*old)["faults"] == []

    # The log has them all, too, whatever its level, with the hashes of their lines.
    said = {json.loads(line).get("audit_hash") for line in d.log().splitlines() if line.startswith("{")}
    written = {e["hash"] for e in audit.entries(f"{d.log_path}.1") if e["event"].startswith("daemon.")}
    assert written and written <= said

    # Killed, and lines cut off at the end while nothing runs: the journal's hash is the witness.
    d.kill()
    assert verify(*old)["faults"] == []
    d.start().wait_ready()
    assert verify(*old)["faults"] == []
    shown = cxsink("audit", "tail", "-c", d.path, "-n", "100", "--event", "daemon.*")
    assert shown.returncode == 0 and len(re.findall(" daemon.started version=", shown.stdout)) == 2

    # Lines cut off while it runs, and altered ones.
    whole = d.log_path.read_text()
    d.log_path.write_text(whole[:whole.rindex("\n", 0, -1) + 1])
    assert verify(*old)["faults"] == [], "the chain alone does not show it"
    reload(d)
    [cut] = logged(d, "audit.truncated")
    assert int(cut["from"]) > int(cut["to"])
    number = 1 + [entry["event"] for entry in audit.entries(d.log_path)].index("audit.truncated")
    [fault] = verify(*old, code=1)["faults"]
    assert (fault["file"], fault["line"]) == (str(d.log_path), number)
    assert "was removed or altered" in fault["message"]
    d.log_path.write_text(d.log_path.read_text().replace('"result":"taken"', '"result":"refused"', 1))
    assert any("altered: its hash" in fault["message"] for fault in verify(*old, code=1)["faults"])


def test_a_user_who_may_not_write_it_is_told(make_daemon, tenant, database, build):
    """What a command does goes to the journal alone then, or to stderr where there is none."""
    if os.getuid() != 0:
        pytest.skip("another user takes root")
    d = make_daemon(daemon.config(database.dsn, tenant))
    d.home.parent.chmod(0o755)
    d.start().wait_ready()
    program = commands.for_others(build, d.home.parent) / "cxsink"
    done = subprocess.run([program, "dead", "purge", "-c", d.path, "--all", "--yes"],
                          capture_output=True, text=True, timeout=60, user=65534, group=65534, extra_groups=[])
    assert "cannot open" in done.stderr and "what is done is told to" in done.stderr, done.stderr
    if "to stderr alone" in done.stderr:
        assert '"audit":"dead.purge"' in done.stderr, done.stderr


def test_the_events_are_those_of_the_table():
    """What the sources write is documented, and what is documented is written."""
    name = r'"((?:daemon|config|control|stream|token|spool|database|dead|job|api|breaker|notification|audit)\.[a-z_]+)"'
    others = {"stream.unknown", "database.h"}  # a reason of dead letters; a header
    sources = [p for p in (ROOT / "src").rglob("*.c") if p.parent.name not in ("config", "sim", "jscheck")]
    written = {found for p in sources for found in re.findall(name, p.read_text())} - others
    assert written == set(audit.documented())
