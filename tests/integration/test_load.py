# SPDX-License-Identifier: Apache-2.0
"""cxsink load: files through the daemon's own path, stopped and resumed without losing or doubling."""
import contextlib
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import time

import psycopg2
import pytest

from support import cases, commands, daemon, tenant as tenants, wait

SUMMARY = re.compile(r"(\d+) inserted, (\d+) updated, (\d+) unchanged, (\d+) rejected in [\d.]+ s")


class Loads(commands.Commands):
    def __init__(self, build, home, database):
        self.database = database
        super().__init__(build, home, daemon.config(database.dsn))

    def load(self, *files, **options):
        return self.run("load", "--stream", "main", *files, **options)

    def start(self, *files, **options):
        return subprocess.Popen(self.argv("load", "--stream", "main", *files), text=True,
                                **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options})

    @contextlib.contextmanager
    def locked(self):
        """Nothing can be committed meanwhile."""
        self.run("migrate")
        connection = psycopg2.connect(self.database.dsn)
        try:
            connection.cursor().execute("lock table cxone_events in access exclusive mode")
            yield
        finally:
            connection.rollback()
            connection.close()

    def blocked(self):
        """Whether a batch waits for the lock."""
        return self.database.value("select count(*) from pg_locks where not granted and relation ="
                                   " 'cxone_events'::regclass") > 0

    def letters(self):
        return self.database.query("select reason, payload from cxsink.dead_letters order by source, source_seq")


@pytest.fixture
def loads(build, workdir, database):
    return Loads(build, workdir, database)


def summary(output):
    """[(inserted, updated, unchanged, rejected)] of each file."""
    return [tuple(map(int, found)) for found in SUMMARY.findall(output)]


def finish(process, code):
    out, err = process.communicate(timeout=60 * wait.FACTOR)
    assert process.returncode == code, (process.returncode, out, err)
    assert "Sanitizer" not in err and "runtime error" not in err, err
    return out, err


def test_files_with_every_kind_of_line(loads):
    """Every accept and reject case as a line; several files; blank lines, CRLF, no line feed at the end;
    again: nothing changes, no dead letter is doubled."""
    accepted, rejected = cases.accepted(), cases.rejected() + cases.not_utf8()
    # A line ends where a line feed is; the empty message is an empty line here, and no event.
    accepted = [(payload.strip(), row) for payload, row in accepted]
    rejected = [case for case in rejected if case.payload and b"\n" not in case.payload]
    first = loads.home / "first.ndjson"
    first.write_bytes(b"\n\r\n".join([payload for payload, _ in accepted] + [case.payload for case in rejected]))
    second = loads.home / "second file.ndjson"
    second.write_bytes(b"".join(json.dumps(tenants.event(f"crlf{i}")).encode() + b"\r\n" for i in range(3))
                       + json.dumps(tenants.event("last")).encode())
    empty = loads.file("empty.ndjson", [])
    done = loads.load(first, empty, second)
    assert summary(done.stdout) == [(len(accepted), 0, 0, len(rejected)), (0, 0, 0, 0), (4, 0, 0, 0)]
    assert "\r" not in done.stderr and "\033" not in done.stderr
    assert loads.database.count() == len(accepted) + 4
    assert [(reason, bytes(payload)) for reason, payload in loads.letters()] == [
        (case.reason, case.payload) for case in rejected]
    names = ", ".join(f'"{name}"' for name in daemon.COLUMNS)
    for _, row in accepted:
        assert loads.database.query(f"select {names} from cxone_events where idempotency_key = %s",
                                    (row["idempotency_key"],)) == [tuple(row[name] for name in daemon.COLUMNS)]
    done = loads.load(first, second)
    assert summary(done.stdout) == [(0, 0, len(accepted), 0), (0, 0, 4, 0)]
    assert len(loads.letters()) == len(rejected)
    assert cases.MARK not in done.stdout + done.stderr
    assert list(loads.home.glob("state/load/*")) == []


def test_changed_file_is_another_source(loads):
    """Another bad line at the offset of the one that was rejected before is another dead letter."""
    bad = loads.file("events.ndjson", ["bad 1", tenants.event("a")])
    assert summary(loads.load(bad).stdout) == [(1, 0, 0, 1)]
    bad.write_text("bad 2\n" + json.dumps(tenants.event("b")) + "\n")
    assert summary(loads.load(bad).stdout) == [(1, 0, 0, 1)]
    assert sorted(bytes(payload) for _, payload in loads.letters()) == [b"bad 1", b"bad 2"]


def test_standard_input(loads):
    lines = "".join(json.dumps(tenants.event(f"s{i}")) + "\n" for i in range(5000)) + "no event"
    done = loads.load("-", input=lines)
    assert summary(done.stdout) == [(5000, 0, 0, 1)] and done.stdout.startswith("-: ")
    # A pipe that is slow, and fed in pieces that cut lines.
    process = loads.start("-", stdin=subprocess.PIPE)
    whole = json.dumps(tenants.event("slow")) + "\n"
    process.stdin.write(whole + whole.replace("slow", "slow2")[:40])
    process.stdin.flush()
    process.stdin.write(whole.replace("slow", "slow2")[40:])
    out, _ = finish(process, 0)
    assert summary(out) == [(2, 0, 0, 0)]


def test_line_over_the_limit(loads):
    """A line over max_message is a dead letter with its first 64 KiB; the next one is a row."""
    event = json.dumps(tenants.event("large", attributes={"text": "x" * (3 << 20)}))
    done = loads.load(loads.file("large.ndjson", [event, tenants.event("next")]))
    assert summary(done.stdout) == [(1, 0, 0, 1)]
    assert [(reason, bytes(payload)) for reason, payload in loads.letters()] == [
        ("frame.too_large", event.encode()[:65536])]


LINES = 30000


@pytest.fixture
def large(loads):
    return loads.file("large.ndjson", ["bad"] + [tenants.event(f"l{i}") for i in range(LINES)] + ["bad"])


def test_stop_and_resume(loads, large):
    """SIGINT in the middle: what is in flight is committed, exit code 1; the same command goes on, and
    nothing is missing or doubled. --restart begins anew."""
    with loads.locked():
        process = loads.start(large)
        wait.until(loads.blocked, 30, "a batch waits for the table")
        process.send_signal(signal.SIGINT)
    out, err = finish(process, 1)
    first = summary(out)[0]
    assert 0 < first[0] < LINES and "run it again to go on" in out
    assert loads.database.count() == first[0]
    done = loads.load(large)
    assert re.search(r"going on at byte [1-9]\d* of \d+", done.stderr)
    second = summary(done.stdout)[0]
    assert first[0] + second[0] == LINES and second[1] == 0
    assert second[2] < LINES / 2, "most of it is not sent again"
    assert first[3] + second[3] == 2
    assert loads.database.count() == LINES and len(loads.letters()) == 2
    done = loads.load("--restart", large)
    assert summary(done.stdout) == [(0, 0, LINES, 0)] and "going on" not in done.stderr


def test_killed_and_resumed(loads, large):
    """kill -9 in the middle, and the server's death of a connection: every line is there once."""
    with loads.locked():
        process = loads.start(large)
        wait.until(loads.blocked, 30, "a batch waits for the table")
        process.kill()
        process.communicate()
    with loads.locked():
        process = loads.start(large)
        wait.until(loads.blocked, 30, "a batch waits for the table")
        loads.database.query("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()"
                             " and application_name = 'cxsink'")
    out, _ = finish(process, 0)
    assert sum(summary(out)[0][:3]) == LINES
    assert loads.database.count() == LINES and len(loads.letters()) == 2


def test_progress(loads, large):
    """A bar on a terminal, plain lines elsewhere."""
    small = loads.file("small.ndjson", [tenants.event("small")])
    master, slave = pty.openpty()
    shown = b""
    with loads.locked():
        process = loads.start(large, stderr=slave)
        with open(loads.home / "plain", "w") as file:
            plain = loads.start(small, stderr=file)
        os.close(slave)
        text = ""
        end = time.monotonic() + 60 * wait.FACTOR
        while (b"ETA" not in shown or "bytes" not in text) and time.monotonic() < end:
            if select.select([master], [], [], 0.1)[0]:
                shown += os.read(master, 65536)
            text = (loads.home / "plain").read_text()
    out = process.stdout.read()
    while True:
        try:
            shown += os.read(master, 65536)
        except OSError:  # EIO: the other end is closed
            break
    os.close(master)
    assert process.wait(60) == 0
    bar = shown.decode()
    assert re.search(r"\r\[[#.]{28}\] +0 %  0 rows  \d+/s  ETA --:--", bar)
    assert bar.endswith("\r\033[K"), "the bar goes before the summary comes"
    assert re.match(r"cxsink load: \S+small\.ndjson: \d+ of \d+ bytes, 0 rows, \d rejected, \d+/s\n", text), text
    assert sum(summary(out)[0][:3]) == LINES
    plain.stdout.read()
    assert plain.wait(60) == 0
    assert loads.database.count() == LINES + 1


def test_no_database(loads):
    """While nobody answers it waits, and can be interrupted; a server that refuses for good is told at
    once, with the remedy."""
    file = loads.file("events.ndjson", [tenants.event("a")])
    with socket.create_server(("127.0.0.1", 0)) as mute:
        loads.config["postgres"]["dsn"] = f"host=127.0.0.1 port={mute.getsockname()[1]} password=hunter2"
        loads.write()
        process = loads.start(file)
        accepted, _ = mute.accept()  # it is trying
        process.send_signal(signal.SIGINT)
        out, err = finish(process, 1)
        accepted.close()
    assert "hunter2" not in out + err and "run it again" in out
    loads.config["postgres"]["dsn"] = "host=127.0.0.1 port=1"
    loads.write()
    process = loads.start(file)
    assert re.search(r"127\.0\.0\.1.*; trying again for at most 30 s$", process.stderr.readline().strip())
    process.send_signal(signal.SIGINT)
    finish(process, 1)
    loads.config["postgres"]["dsn"] = loads.database.dsn
    loads.write()
    loads.run("migrate")
    loads.database.query("alter table cxone_events drop constraint cxone_events_idempotency_key_key")
    done = loads.load(file, code=78)
    assert 'CREATE UNIQUE INDEX ON "public"."cxone_events" ("idempotency_key")' in done.stderr
    loads.database.query('create unique index on "public"."cxone_events" ("idempotency_key")')
    assert summary(loads.load(file).stdout) == [(1, 0, 0, 0)]


def test_exit_codes(loads):
    file = loads.file("events.ndjson", [tenants.event("a")])
    assert "--help" in loads.run("load", file, code=64).stderr
    assert "--help" in loads.run("load", "--stream", "main", code=64).stderr
    assert "--help" in loads.run("load", "--stream", "main", "--fast", file, code=64).stderr
    assert "usage: cxsink load" in loads.run("load", "--help").stdout
    assert 'no stream "mian" (did you mean "main"?)' in loads.run("load", "--stream", "mian", file, code=78).stderr
    assert "none.ndjson" in loads.load(loads.home / "none.ndjson", file, code=1).stderr
    assert "a directory" in loads.load(loads.home, code=1).stderr
    assert loads.database.count() == 0
