# SPDX-License-Identifier: Apache-2.0
"""cxsink dead: finding dead letters, looking at one, and sending them again once the cause is mended."""
import base64
import contextlib
import hashlib
import json
import os
import pty
import signal
import subprocess

import pytest

from support import commands, daemon, tenant as tenants, wait

VOICE = tenants.event("voice", type="voice")
EXTRA = tenants.event("extra", extra=1)
LONG_CALL = tenants.event("long-call", attributes={"duration": 5000})
LONG_AGENT = tenants.event("long-agent", attributes={"agentId": "a" * 300})
LINES = [tenants.event("good"), EXTRA, VOICE, LONG_CALL, LONG_AGENT, "not JSON: é"]
REASONS = ["schema.additionalProperties", "schema.enum", "db.23514", "column.agent_id", "json.syntax"]


class Letters(commands.Commands):
    """A database with the dead letters of LINES, made by a load, and a schema that can be mended."""

    def __init__(self, build, home, database):
        self.database = database
        self.schema = json.loads(daemon.SCHEMA.read_text())
        super().__init__(build, home, daemon.config(database.dsn, streams={"main": {"schema": "event.json"}}))
        self.write_schema()

    def write_schema(self):
        (self.home / "event.json").write_text(json.dumps(self.schema))

    def load(self, lines, name="events.ndjson", code=0):
        return self.run("load", "--stream", "main", self.file(name, lines), code=code)

    def add_check(self):
        self.run("migrate")
        self.database.query("alter table cxone_events add constraint short check (duration < 1000)")

    def drop_check(self):
        self.database.query("alter table cxone_events drop constraint short")

    def list(self, *args):
        return [json.loads(line) for line in self.run("dead", "list", "--json", *args).stdout.splitlines()]

    def audited(self):
        path = self.home / "state" / "audit.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def ids(self):
        return dict(self.database.query("select reason, id from cxsink.dead_letters"))

    def replayed(self):
        return {row[0] for row in self.database.query(
            "select reason from cxsink.dead_letters where replayed_at is not null")}

    def keys(self):
        return sorted(row[0] for row in self.database.query("select idempotency_key from cxone_events"))


def on_terminal(argv, answer, code):
    """What it says when its standard input and errors are a terminal, on which this is answered."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said = b""
    os.write(ours, answer.encode())
    with contextlib.suppress(OSError):  # EIO: it has ended
        while part := os.read(ours, 4096):
            said += part
    os.close(ours)
    assert process.wait(60) == code, said
    return said.decode()


@pytest.fixture
def letters(build, workdir, database):
    made = Letters(build, workdir, database)
    made.add_check()
    made.load(LINES)
    assert sorted(made.ids()) == sorted(REASONS) and made.keys() == ["good"]
    return made


def test_list_and_show(letters):
    """Filters, order, both forms of output; a list never shows a payload."""
    found = letters.list()
    ids = letters.ids()
    assert [letter["id"] for letter in found] == sorted(ids.values(), reverse=True)
    sent = dict(zip(REASONS, LINES[1:]))
    for letter in found:
        line = sent[letter["reason"]]
        payload = (line if isinstance(line, str) else json.dumps(line)).encode()
        assert letter == {"id": ids[letter["reason"]], "received_at": letter["received_at"], "stream": "main",
                          "reason": letter["reason"], "detail": letter["detail"], "payload_bytes": len(payload),
                          "payload_sha256": hashlib.sha256(payload).hexdigest(), "replayed_at": None,
                          "refusals": 1}
    received = letters.database.value("select received_at::text from cxsink.dead_letters where reason = 'db.23514'")
    for arguments, count in ((("--reason", "schema.%"), 2), (("--reason", "db.23514"), 1), (("--reason", "schema"), 0),
                             (("--stream", "main"), 5), (("--stream", "other"), 0), (("--limit", "2"), 2),
                             (("--since", received), 5), (("--until", "2026-01-01"), 0), (("--until", "tomorrow"), 5),
                             (("--since", "tomorrow"), 0), (("--reason", "json.%", "--stream", "main"), 1),
                             (("--replayed",), 5), (("--since", "1h"), 5), (("--until", "1h"), 0),
                             ((ids["schema.enum"], ids["json.syntax"]), 2),
                             ((ids["schema.enum"], "--reason", "json.%"), 0)):
        assert len(letters.list(*arguments)) == count, arguments
    text = letters.run("dead", "list").stdout
    lines = text.splitlines()
    assert len(lines) == 6 and lines[0].split()[0] == "id"
    assert all(letter["reason"] in line for letter, line in zip(found, lines[1:]))
    assert "voice" not in text and "long-call" not in text

    shown = json.loads(letters.run("dead", "show", ids["json.syntax"], "--json").stdout)
    assert base64.b64decode(shown["payload_base64"]) == LINES[5].encode()
    assert shown["reason"] == "json.syntax" and "byte" in shown["detail"][0]["message"]
    text = letters.run("dead", "show", ids["schema.enum"]).stdout
    assert json.dumps(VOICE) in text and "/type" in text and "schema.enum" in text
    assert "there is no dead letter 999" in letters.run("dead", "show", 999, code=1).stderr


def test_replay_after_mending(letters):
    """One by its id, some by a filter, all; what is refused again keeps its new reason."""
    ids = letters.ids()
    # Nothing is mended yet: refused again, for the same reasons.
    done = letters.run("dead", "replay", ids["schema.enum"], ids["db.23514"], code=1)
    assert "0 replayed, 2 refused again" in done.stdout
    assert letters.ids() == ids and letters.replayed() == set()
    # The table is mended: one by its id. Again: it is done already.
    letters.drop_check()
    assert "1 replayed, 0 refused" in letters.run("dead", "replay", ids["db.23514"]).stdout
    assert letters.keys() == ["good", "long-call"] and letters.replayed() == {"db.23514"}
    done = letters.run("dead", "replay", ids["db.23514"])
    assert "0 replayed, 0 refused again, 1 replayed before" in done.stdout
    assert "1 of these ids" in letters.run("dead", "replay", ids["db.23514"], 987654321, code=1).stderr
    assert "1 replayed, 0 refused" in letters.run("dead", "replay", "--replayed", ids["db.23514"]).stdout
    # The schema is mended, by a filter.
    letters.schema["additionalProperties"] = True
    letters.schema["properties"]["type"]["enum"].append("voice")
    letters.write_schema()
    assert "2 replayed, 0 refused" in letters.run("dead", "replay", "--reason", "schema.%").stdout
    assert letters.keys() == ["extra", "good", "long-call", "voice"]
    assert letters.database.value("select type from cxone_events where idempotency_key = 'voice'") == "voice"
    # Now refused elsewhere: the schema says so first.
    letters.schema["properties"]["attributes"]["properties"]["agentId"]["maxLength"] = 255
    letters.write_schema()
    done = letters.run("dead", "replay", "--all", code=1)
    assert "0 replayed, 2 refused again" in done.stdout
    after = {letter["reason"]: letter for letter in letters.list()}
    assert after.keys() == {"schema.maxLength", "json.syntax"}
    assert after["schema.maxLength"]["id"] == ids["column.agent_id"]
    assert after["schema.maxLength"]["detail"][0]["instance"] == "/attributes/agentId"
    assert len(letters.list("--replayed")) == 5
    assert [letter["reason"] for letter in letters.list() if letter["replayed_at"]] == []
    # Each refusal is told: those of the first replay, too.
    assert after["schema.maxLength"]["refusals"] == 2 and after["json.syntax"]["refusals"] == 2
    shown = json.loads(letters.run("dead", "show", ids["column.agent_id"], "--json").stdout)
    assert [(h["reason"], bool(h["detail"][0]["message"])) for h in shown["history"]] == \
        [("column.agent_id", True), ("schema.maxLength", True)]
    assert shown["history"][0]["at"] < shown["history"][1]["at"]
    text = letters.run("dead", "show", ids["column.agent_id"]).stdout
    assert text.index("column.agent_id") < text.rindex("schema.maxLength") < text.index("\npayload\n")
    enum = json.loads(letters.run("dead", "show", ids["schema.enum"], "--json").stdout)
    assert [h["reason"] for h in enum["history"]] == ["schema.enum"] * 2 and enum["replayed_at"]


def test_history_is_bounded(letters):
    """The first refusal stays, and the newest ones; a report as JSON says what came of it."""
    one = letters.ids()["json.syntax"]
    letters.database.query("""update cxsink.dead_letters set history = (select jsonb_agg(jsonb_build_object(
        'at', now(), 'reason', 'n' || n, 'detail', '[]'::jsonb) order by n) from generate_series(1, 50) n)
        where id = %s""", (one,))
    report = json.loads(letters.run("dead", "replay", "--json", one, code=1).stdout)
    assert report == {"replayed": 0, "refused": 1, "left_alone": 0, "replayed_before": 0, "missing": 0, "refusals":
                      [{"stream": "main", "reason": "json.syntax", "count": 1, "example": one}]}
    history = json.loads(letters.run("dead", "show", one, "--json").stdout)["history"]
    assert [h["reason"] for h in history] == ["n1", *[f"n{n}" for n in range(3, 51)], "json.syntax"]


def test_purge(letters):
    """Only what is meant, only when it is meant, and all that was counted."""
    ids = letters.ids()
    letters.drop_check()
    letters.run("dead", "replay", ids["db.23514"])
    # Without --yes it says no where nobody can be asked, and asks on a terminal.
    assert "--yes" in letters.run("dead", "purge", "--all", code=64).stderr
    assert letters.run("dead", "purge", "--all", "--dry-run").stdout == "5 would be deleted, 4 of them never replayed\n"
    for answer, code in (("n\n", 1), ("\n", 1), ("maybe\n", 1)):
        said = on_terminal(letters.argv("dead", "purge", "--all"), answer, code)
        assert "Delete 5 dead letters for ever, 4 of them never replayed? [y/N]" in said and "nothing was" in said
    assert len(letters.ids()) == 5
    assert "1 deleted, 1 of them" in on_terminal(letters.argv("dead", "purge", ids["json.syntax"]), "y\n", 0)
    # Filters as list has them; the replayed ones alone.
    assert letters.run("dead", "purge", "--until", "1h", "--yes").stdout == "0 deleted, 0 of them never replayed\n"
    assert letters.run("dead", "purge", "--stream", "other", "--yes").stdout.startswith("0 deleted")
    assert letters.run("dead", "purge", "--replayed", "--yes").stdout == "1 deleted, 0 of them never replayed\n"
    assert sorted(letters.ids()) == ["column.agent_id", "schema.additionalProperties", "schema.enum"]
    done = letters.run("dead", "purge", "--reason", "schema.%", "--limit", "1", "--yes", "--json")
    assert json.loads(done.stdout) == {"deleted": 1, "never_replayed": 1}
    assert min(ids["schema.enum"], ids["schema.additionalProperties"]) not in letters.ids().values()
    letters.run("dead", "purge", "--all", "--yes")
    assert letters.ids() == {} and letters.keys() == ["good", "long-call"]
    # Who did what, with which filters; what was only asked for is not there.
    audited = letters.audited()
    assert [e["event"] for e in audited] == ["dead.replay", "dead.replayed"] + ["dead.purge", "dead.purged"] * 6
    assert all(e["user"] for e in audited)
    assert audited[0]["ids"] == str(ids["db.23514"]) and (audited[1]["replayed"], audited[1]["refused"]) == ("1", "0")
    limited = audited[-4:-2]
    assert limited[0].items() >= {"reason": "schema.%", "limit": "1", "count": "1", "which": "any"}.items()
    assert limited[1].items() >= {"deleted": "1", "never_replayed": "1"}.items()
    # PostgreSQL refuses: nothing is said to be deleted.
    letters.load([EXTRA], "again.ndjson")
    letters.database.query("create function no() returns trigger language plpgsql as "
                           "$$ begin raise exception 'kept for the auditors'; end $$; create trigger no before delete "
                           "on cxsink.dead_letters for each row execute function no()")
    done = letters.run("dead", "purge", "--all", "--yes", code=1)
    assert "P0001" in done.stderr and done.stdout == "0 deleted, 0 of them never replayed\n"


def test_replay_changes_nothing_newer(letters):
    """A replayed event is an older delivery like any other; a second replay does nothing."""
    letters.load([dict(VOICE, type="chat", timestamp="2026-03-15T00:00:00Z")], "newer.ndjson")
    letters.schema["properties"]["type"]["enum"].append("voice")
    letters.write_schema()
    before = letters.database.query("select type, updated_at from cxone_events where idempotency_key = 'voice'")
    assert "1 replayed" in letters.run("dead", "replay", "--reason", "schema.enum").stdout
    assert "0 replayed" in letters.run("dead", "replay", "--reason", "schema.enum").stdout
    assert letters.database.query("select type, updated_at from cxone_events where idempotency_key = 'voice'") == before


def test_replay_of_many_and_of_what_cannot_be(build, workdir, database):
    """More than a page of them; one that was cut, and one of a stream that is gone, are left alone."""
    letters = Letters(build, workdir, database)
    letters.config["streams"]["main"]["max_message"] = "100KiB"
    letters.write()
    lines = [tenants.event(f"v{i}", type="voice") for i in range(450)]
    large = tenants.event("large", attributes={"text": "x" * 200000})
    letters.load([*lines, large])
    assert len(letters.list("--limit", 1000)) == 451
    cut, = letters.list("--reason", "frame.too_large")
    assert cut["payload_bytes"] == 65536
    letters.schema["properties"]["type"]["enum"].append("voice")
    letters.write_schema()
    done = letters.run("dead", "replay", "--all", code=1)
    assert "450 replayed, 0 refused again, 1 left alone" in done.stdout
    assert database.count() == 450 and len(letters.list()) == 1
    letters.load([tenants.event("other", type="other")], "other.ndjson")
    letters.config["streams"]["renamed"] = letters.config["streams"].pop("main")
    letters.write()
    assert "0 replayed, 0 refused again, 2 left alone" in letters.run("dead", "replay", "--all", code=1).stdout


def many(letters, count, size=0):
    """Dead letters as a faulty schema would have left them."""
    letters.run("migrate")
    letters.database.query("""insert into cxsink.dead_letters (source, source_seq, stream, received_at, reason, payload)
        select gen_random_uuid(), n, 'main', now(), 'schema.enum', convert_to(json_build_object(
        'interactionId', 'i', 'timestamp', '2026-03-14T09:26:53Z', 'type', 'call', 'idempotencyKey', 'k' || n,
        'attributes', json_build_object('text', repeat('x', %s)))::text, 'utf8') from generate_series(1, %s) n""",
                           (size, count))


def test_replay_killed_half_way(build, workdir, database):
    """Run again it does the rest: no letter is missed, no row is written a second time."""
    letters = Letters(build, workdir, database)
    many(letters, 12000)
    database.query("create table twice (key text); create function note() returns trigger language plpgsql as "
                   "$$ begin insert into twice values (new.idempotency_key); return null; end $$; "
                   "create trigger note after update on cxone_events for each row execute function note()")

    def replayed():
        return database.value("select count(*) from cxsink.dead_letters where replayed_at is not null")

    for least in (1, 6000):
        process = subprocess.Popen(letters.argv("dead", "replay", "--all"), stdout=subprocess.PIPE)
        wait.until(lambda: replayed() >= least, 60, "some are replayed", poll=0.001)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
    wait.until(lambda: database.value("select count(*) from pg_stat_activity where application_name = 'cxsink'") == 0,
               30, "its connections are gone")
    done = replayed()
    assert database.count() == done
    assert f"{12000 - done} replayed, 0 refused again" in letters.run("dead", "replay", "--all").stdout
    assert database.count() == 12000 == replayed() and database.count("twice") == 0


def test_replay_of_large_ones(build, workdir, database, sanitized):
    """Its memory does not grow with what is to be replayed; on a terminal it says how far it is."""
    letters = Letters(build, workdir, database)
    many(letters, 60, 1000000)
    process = subprocess.Popen(letters.argv("dead", "replay", "--all", "--limit", 50), stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0 and database.count() == 50
    assert sanitized or usage.ru_maxrss < 100000, f"{usage.ru_maxrss} KiB for payloads of 50 MB"
    said = on_terminal(letters.argv("dead", "replay", "--all"), "", 0)
    assert "0 of 10 replayed, 0 refused again" in said and "\n10 replayed" in said.replace("\r\x1b[K", "\n")


def test_exit_codes(letters, workdir):
    """64 for wrong usage, which names the way out; 69 without a server; 78 for a faulty configuration; 1
    where PostgreSQL says no."""
    for arguments in ((), ("burn",), ("show",), ("show", "1", "2"), ("show", "x"), ("replay",),
                      ("replay", "1", "--all"), ("list", "--all"), ("show", "1", "--stream", "main"), ("purge",), ("purge", "--yes"), ("purge", "1"), ("purge", "x", "--yes"), ("replay", "-1"), ("list", "--limit", "none"), ("list", "--unknown")):
        done = letters.run("dead", *arguments, code=64)
        assert "--help" in done.stderr and done.stdout == "", arguments
    assert "usage: cxsink dead" in letters.run("dead", "--help").stdout
    done = letters.run("dead", "list", "--since", "the day before", code=64)
    assert "22007" in done.stderr and done.stdout == ""
    letters.database.query("drop schema cxsink cascade")
    for arguments in (("list",), ("show", "1"), ("replay", "1")):
        done = letters.run("dead", *arguments, code=1)
        assert "cxsink migrate" in done.stderr, arguments
    letters.config["postgres"]["dsn"] = "host=127.0.0.1 port=1 user=nobody password=hunter2"
    letters.write()
    done = letters.run("dead", "list", code=69)
    assert "hunter2" not in done.stderr and "; check host and port of postgres.dsn" in done.stderr
    letters.config["streams"]["main"]["max_mesage"] = "1MiB"
    letters.write()
    assert "max_message" in letters.run("dead", "list", code=78).stderr
    assert os.listdir(workdir).count("core") == 0
