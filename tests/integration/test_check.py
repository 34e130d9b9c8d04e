# SPDX-License-Identifier: Apache-2.0
"""cxsink check: every fault at once, where it is and what mends it; the same remedies from the daemon."""
import json
import os
import re
import resource
import signal
import socket
import time
import uuid

import pytest

from support import certificates, clocks, commands, daemon, tenant as tenants, wait

PASSWORD = "hunter2-swordfish"


def faults(done):
    """[(file, line, pointer, message)] as printed."""
    found = re.findall(r"^(.+?):(\d+): (\S+): (.+)$", done.stderr, re.M)
    assert len(found) == len(done.stderr.splitlines()), done.stderr
    return [(file, int(line), pointer, message) for file, line, pointer, message in found]


def remedies(done):
    return [sql for found in re.findall(r"(?:mend it with: |: (?=GRANT ))(.+)$", done.stderr, re.M)
            for sql in found.split("; ")]


# --- without servers ---

FAULTY = """{
  // a comment
  "shutdown_timout": "30s",
  "streams": {
    "one": { "url": "http://example.com/", "schema": "event.json", "table": "events",
             "max_message": "1 MB?" },
    "two": { "url": "wss://example.com/x",
             "auth": "nobody",
             "table": "event" }
  },
  "tables": {
    "events": {
      "columns": { "a": "a", "%s": "/b" },
      "key": ["c"]
    }
  },
  "spool": { "max_bytes": -1 }, /* another */
  "postgres": { "dsn": { "env": "NO_SUCH_VARIABLE_HERE" } }
}
""" % ("n" * 64)


def test_every_fault_at_once(cxsink, workdir):
    """D13 among them: file, line, pointer, and the remedy; the same as JSON; nothing half done."""
    path = workdir / "cxsink.json"
    path.write_text(FAULTY)
    done = cxsink("check", "-c", path)
    assert done.returncode == 78 and done.stdout == f"{path}: 10 faults\n"
    found = faults(done)
    assert {file for file, _, _, _ in found} == {str(path)}
    assert [line for _, line, _, _ in found] == sorted(line for _, line, _, _ in found)
    where = {pointer: (line, message) for _, line, pointer, message in found}
    for pointer, line, word in (("/shutdown_timout", 3, '"shutdown_timeout"'), ("/streams/one/url", 5, "ws"),
                                ("/streams/one/max_message", 6, "KiB"), ("/streams/two/auth", 8, "nobody"),
                                ("/streams/two/table", 9, '"events"'), ("/tables/events/columns/a", 13, "JSON Pointer"),
                                ("/tables/events/columns/" + "n" * 64, 13, "63 bytes"),
                                ("/tables/events/key/0", 14, "c"), ("/spool/max_bytes", 17, ""),
                                ("/postgres/dsn", 18, "NO_SUCH_VARIABLE_HERE")):
        assert pointer in where, (pointer, done.stderr)
        assert where[pointer][0] == line and word in where[pointer][1], where[pointer]
    as_json = cxsink("check", "-c", path, "--json")
    assert as_json.returncode == 78 and as_json.stderr == ""
    assert [(fault["file"], fault["line"], fault["pointer"], fault["message"])
            for fault in json.loads(as_json.stdout)] == found
    # The daemon says the same, and ends with the same code.
    ran = cxsink("run", "-c", path)
    assert ran.returncode == 78
    assert all(f"{path}:{line}: {pointer}: {message}" in ran.stderr for _, line, pointer, message in found)


def test_no_json(cxsink, workdir):
    path = workdir / "cxsink.json"
    for text, line in (("", 1), ("{\n\n", 3), ("{\n \"a\": 1,\n}", 2), ("[]", 1), ('{"a": "b\n"}', 1)):
        path.write_text(text)
        done = cxsink("check", "-c", path)
        assert done.returncode == 78
        assert faults(done)[0][1] == line, (text, done.stderr)
    assert "none.json" in cxsink("check", "-c", workdir / "none.json").stderr
    assert cxsink("check", "-c", workdir / "none.json").returncode == 78


def test_schema_faults(build, workdir):
    """Each with the schema's own line, beside the line of the configuration that names it."""
    made = commands.Commands(build, workdir, daemon.config("", streams={"main": {"schema": "event.json"}}))
    (workdir / "event.json").write_text('{\n  "type": "objekt",\n  "properties": {\n'
                                        '    "a": { "pattern": "(" },\n    "b": { "minimum": "1" }\n  }\n}\n')
    done = made.run("check", code=78)
    found = faults(done)
    line = next(i for i, text in enumerate(made.path.read_text().splitlines(), 1) if "event.json" in text)
    assert {(file, at, pointer) for file, at, pointer, _ in found} == {
        (str(made.path), line, "/streams/main/schema")}
    for number, pointer in ((2, "/type"), (4, "/properties/a/pattern"), (5, "/properties/b/minimum")):
        assert any(message.startswith(f"{workdir}/event.json:{number}:") and f" {pointer}: " in message
                   for _, _, _, message in found), (pointer, done.stderr)
    (workdir / "event.json").unlink()
    assert "event.json" in made.run("check", code=78).stderr
    made.config["streams"]["main"]["schema"] = str(daemon.SCHEMA)
    made.write()
    assert "1 stream, 1 table, 0 credentials: all is well" in made.run("check").stdout
    assert json.loads(made.run("check", "--json").stdout) == []


def test_actions(build, workdir):
    """Ranges of versions that are none, and a missing helper, which only check minds."""
    publish = {"kind": "publish", "api": "cxone", "action_id": "a1b2c3d4-e5f6-7890-abcd-ef1234567890",
               "allowed_versions": {"axios": "^1.6.0", "@scope/x": "^1.x.3", "lodash": ">=4 || latest"}}
    made = commands.Commands(build, workdir, daemon.config("", auth={"rest": {"grant": "static", "token": "t"}}, jobs={
        "apis": {"cxone": {"base_url": "https://api.example.com", "auth": "rest"}}, "actions": {"release": publish}}))
    found = faults(made.run("check", code=78, env={"CXSINK_JSCHECK": "/nonexistent/jscheck"}))
    messages = [(pointer, message) for _, _, pointer, message in found]
    assert sorted(messages) == [
        ("/jobs/actions/release/allowed_versions",
         '@scope/x: "^1.x.3" is no range of versions: a number follows an x'),
        ("/jobs/actions/release/allowed_versions",
         'lodash: ">=4 || latest" is no range of versions: a number is missing'),
        ("/jobs/actions/release/kind", "publish needs cxsink-jscheck: install it or the package cxsink-jscheck; "
                                       "looked at /nonexistent/jscheck")]
    assert all(line > 1 for _, line, _, _ in found)
    assert "@scope/x" in made.run("run", code=78).stderr
    publish["allowed_versions"] = {"axios": "^1.6.0"}
    made.config["jobs"]["actions"]["release"] = publish
    made.write()
    assert "cxsink-jscheck" in made.run("check", code=78, env={"CXSINK_JSCHECK": "/nonexistent/jscheck"}).stderr
    made.run("check", env={"CXSINK_JSCHECK": "/bin/true"})


def test_how_schemas_are_read(build, workdir):
    """Draft, formats and strictness are the stream's to say."""
    made = commands.Commands(build, workdir, daemon.config("", streams={"main": {"schema": "event.json"}}))
    stream = made.config["streams"]["main"]
    (workdir / "event.json").write_text('{"items": [{"format": "no-such-format"}]}')
    assert "/items" in made.run("check", code=78).stderr
    stream.update(schema_draft="7", formats="annotate")
    made.write()
    made.run("check")
    stream.update(schema_draft="2020-12")
    made.write()
    assert "/items" in made.run("check", code=78).stderr
    (workdir / "event.json").write_text('{"requird": [], "vendor": 1}')
    for strict, told in (("typos", "requird"), ("all", "vendor"), ("off", None)):
        stream.update(schema_strict=strict)
        made.write()
        assert told is None or told in made.run("check", code=78).stderr
    made.run("check")


def test_schemas_of_several_files(build, workdir):
    """What a schema refers to stands beside it, or is registered."""
    made = commands.Commands(build, workdir, daemon.config("", streams={"main": {"schema": "event.json"}}))
    (workdir / "event.json").write_text('{"$ref": "common/a.json", "items": {"$ref": "http://example.com/b"}}')
    (workdir / "common").mkdir()
    assert "common/a.json" in made.run("check", code=78).stderr
    (workdir / "common" / "a.json").write_text('{"requird": []}')
    done = made.run("check", code=78)
    assert f"{workdir}/common/a.json:1:" in done.stderr and "required" in done.stderr
    assert "no schema is known under" in done.stderr
    (workdir / "common" / "a.json").write_text('{"required": []}')
    made.config["schemas"] = {"http://example.com/": "common"}
    (workdir / "common" / "b.json").write_text("true")
    made.write()
    made.run("check")


# --- with servers ---

@pytest.fixture
def checks(build, workdir, database, tenant):
    made = commands.Commands(build, workdir, daemon.config(database.dsn, tenant))
    made.database = database
    made.tenant = tenant
    return made


def test_database_remedies(checks):
    """Each fault of a table comes with the SQL that mends it: run, all is well."""
    database = checks.database
    done = checks.run("check", "--connect", code=78)
    assert "cxsink migrate" in done.stderr
    checks.run("migrate")
    assert "all is well, and the servers answer" in checks.run("check", "--connect").stdout
    # The stream was opened, each time, and closed at once.
    assert len(checks.tenant.token_requests) == 2
    assert [(shake["path"], shake["token"]) for shake in checks.tenant.handshakes] == [
        ("/stream/main", "token-1"), ("/stream/main", "token-2")]
    wait.until(lambda: checks.tenant.closes == [(1001,), (1001,)], 30, "they are closed")

    for broken, said in (
            ("alter table cxone_events drop constraint cxone_events_idempotency_key_key", "no unique index"),
            ("alter table cxone_events drop column queue_name", 'no column "queue_name"'),
            ("alter table cxone_events drop column updated_at", 'no column "updated_at"'),
            ("alter table cxone_events add column other text not null", '"other"'),
            ("alter table cxone_events drop column duration,"
             " add column duration int generated always as (1) stored", "GENERATED ALWAYS"),
            ('alter table cxone_events drop column "timestamp", add column "timestamp" json', "newest_by"),
            ("drop table cxone_events", "missing"),
            # Several at once: each is told at once.
            ("alter table cxone_events drop constraint cxone_events_idempotency_key_key, drop column agent_id,"
             " drop column disposition", "no unique index")):
        database.query(broken)
        done = checks.run("check", "--connect", code=78)
        assert said in done.stderr, broken
        assert {pointer for _, _, pointer, _ in faults(done)} == {"/tables/cxone_events"}
        assert all(line > 1 for _, line, _, _ in faults(done))
        assert len(remedies(done)) == len(faults(done))
        for sql in remedies(done):
            database.query(sql)
        checks.run("check", "--connect")

    checks.config["tables"]["my table"] = {"columns": {"Id": "/id", "at": "/at"}, "key": ["Id"], "newest_by": "at"}
    checks.config["streams"]["main"]["table"] = "my table"
    checks.write()
    sql, = remedies(checks.run("check", "--connect", code=78))
    assert sql.startswith('CREATE TABLE "my table"')
    database.query(sql)
    checks.run("check", "--connect")
    database.query('alter table "my table" rename to kept; create view "my table" as select * from kept')
    assert "view" in checks.run("check", "--connect", code=78).stderr


def test_privileges(checks):
    """A role that may not write: the GRANT that it needs, for tables and for what is cxsink's own."""
    database = checks.database
    role = "writer_" + uuid.uuid4().hex[:8]
    checks.run("migrate")
    database.query(f"create role {role} login")
    try:
        checks.config["postgres"]["dsn"] = database.cluster.dsn(database.name, user=role)
        checks.write()
        for _ in range(10):  # what is hidden behind a missing privilege may show afterwards
            done = checks.run("check", "--connect", code=None)
            if done.returncode == 0:
                break
            assert done.returncode == 78 and remedies(done), done.stderr
            for sql in remedies(done):
                assert sql.startswith("GRANT ") and role in sql
                database.query(sql)
        assert done.returncode == 0, done.stderr
        file = checks.file("events.ndjson", [tenants.event("a"), tenants.event("a"), "bad"])
        checks.run("load", "--stream", "main", file)
        assert database.count() == 1 and database.dead() == ["json.syntax"]
        database.query(f"revoke update on cxone_events from {role}; revoke insert (duration) on cxone_events from {role}")
        database.query(f"revoke insert on cxone_events from {role}")
        done = checks.run("check", "--connect", code=78)
        assert "lacks INSERT, UPDATE" in done.stderr
        # With jobs, what is theirs, and what another table's default needs; all of it at once.
        checks.config["jobs"] = {"concurrency": 1}
        checks.write()
        database.query("alter table cxone_events alter id drop identity; create sequence seq;"
                       "alter table cxone_events alter id set default nextval('seq')")
        found = remedies(checks.run("check", "--connect", code=78))
        assert f"GRANT USAGE ON SEQUENCE public.seq TO \"{role}\"" in found
        assert [sql for sql in found if "cxsink.job" in sql] == [
            f"GRANT SELECT, INSERT, UPDATE{delete} ON cxsink.job{what} TO {role}"
            for what, delete in (("_locks", ", DELETE"), ("_notifications", ""), ("_schedules", ", DELETE"),
                                 ("s", ", DELETE"))]
        for sql in found:
            database.query(sql)
        checks.run("check", "--connect")
    finally:
        database.query(f"drop owned by {role}; drop role {role}")


@pytest.fixture(scope="module")
def guarded(cluster):
    """A role whose password is asked for."""
    rules = cluster.data / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text("host all guarded 127.0.0.1/32 scram-sha-256\n" + before)
    cluster.query(f"create role guarded login superuser password '{PASSWORD}'; select pg_reload_conf()")
    yield "guarded"
    rules.write_text(before)
    cluster.query("select pg_reload_conf()")
    cluster.query("drop role guarded")


def test_passwords_are_never_shown(checks, guarded, make_daemon):
    """D16: in any form of DSN, wrong or misspelt, by any command and by the daemon, its log, status and audit."""
    cluster = checks.database.cluster
    where = f"127.0.0.1:{cluster.port}/{checks.database.name}"
    right = f"host=127.0.0.1 port={cluster.port} dbname={checks.database.name} user={guarded} password={PASSWORD}"
    wrong = PASSWORD + "-not"
    checks.config["postgres"]["dsn"] = right
    checks.write()
    checks.run("migrate")
    checks.run("check", "--connect")
    checks.config["streams"]["main"]["url"] += f"?token={PASSWORD}"
    for dsn in (right.replace(PASSWORD, wrong), right + " no_such_option=1", right + f" sslmode={PASSWORD}",
                f"postgresql://{guarded}:{wrong}@{where}", f"postgresql://{guarded}@{where}?password={wrong}",
                f"postgresql://{guarded}:{wrong}/x@{where}", right.replace("password=", "pasword="),
                right.replace(f"dbname={checks.database.name}", "dbname=nowhere"), right + f" sslpassword={wrong}x 'x"):
        checks.config["postgres"]["dsn"] = dsn
        checks.write()
        # An option's value that libpq refuses looks like a server that does not answer.
        done = checks.run("check", "--connect", code=69 if "sslmode" in dsn else 78)
        assert PASSWORD not in done.stderr + done.stdout, done.stderr.replace(PASSWORD, "<PASSWORD>")
        assert "/postgres/dsn" in done.stderr
    for command in (("dead", "list"), ("migrate",), ("load", "--stream", "main", "-")):
        checks.config["postgres"]["dsn"] = right.replace(PASSWORD, wrong)
        checks.write()
        done = checks.run(*command, code=78, input="")
        assert PASSWORD not in done.stderr + done.stdout, command

    d = make_daemon({**checks.config, "log": {"level": "debug", "target": "text"}, "state_dir": str(checks.home / "s"),
                     "runtime_dir": str(checks.home / "r"), "admin": {"listen": "127.0.0.1:0", "token": PASSWORD + "a"}})
    d.start()
    wait.until(lambda: any("28P01" in reason for reason in d.status()["reasons"]), 30, "it says that it may not in")
    assert "28P01" in d.get("/readyz")[1]
    d.config["postgres"]["dsn"] = right
    d.write()
    shown = [d.get(path)[1] for path in ("/readyz", "/api/status", "/metrics")]
    d.send_signal(signal.SIGHUP)
    d.wait_ready()
    assert f"?token={PASSWORD}" in checks.tenant.handshakes[-1]["path"]
    d.stop()
    for text in (*shown, d.log(), json.dumps(d.audit())):
        assert PASSWORD not in text, [line for line in text.splitlines() if PASSWORD in line]


def test_token_endpoint(checks):
    """A token endpoint that refuses is a fault of the configuration; one that is not there is not."""
    checks.run("migrate")
    checks.tenant.token_answers += [tenants.respond(401, {"error": "invalid_client",
                                                          "error_description": "no such client"})]
    done = checks.run("check", "--connect", code=78)
    (_, line, pointer, message), = faults(done)
    assert pointer == "/auth/cxone" and "401" in message and "no such client" in message and line > 1
    assert "secret" not in message.replace("client_secret", "")
    assert "next try" not in message
    checks.tenant.token_answers += [tenants.respond(200, {"access_token": "x", "token_type": "bearer",
                                                          "expires_in": 60, "scope": "something:else"})]
    # The stream does not want that token.
    scope, stream = faults(checks.run("check", "--connect", code=78))
    assert scope[2] == "/auth/cxone/scope" and "data-actions:read" in scope[3]
    assert stream[2] == "/streams/main/auth" and "401" in stream[3] and "scope" in stream[3]
    checks.tenant.token_answers += [tenants.respond(503)]
    (_, _, pointer, _), = faults(checks.run("check", "--connect", code=69))
    assert pointer == "/auth/cxone"


def test_streams_are_tried(checks):
    """What the handshake meets: a wrong path, a token that is not good for it, a server that is busy."""
    checks.run("migrate")
    for status, code, pointer, words in ((404, 78, "url", "stream's URL"), (403, 78, "auth", "scope"),
                                         (302, 78, "url", "final address"), (503, 69, "url", "503")):
        checks.tenant.handshake_answers += [tenants.respond(status)]
        (_, _, at, message), = faults(checks.run("check", "--connect", code=code))
        assert at == f"/streams/main/{pointer}" and str(status) in message and words in message
    del checks.config["streams"]["main"]["auth"]
    checks.tenant.handshake_answers += [tenants.respond(401)]
    checks.write()
    (_, _, at, message), = faults(checks.run("check", "--connect", code=78))
    assert at == "/streams/main/auth" and "a credential is needed" in message


def test_clocks(checks, tmp_path):
    """This machine's clock against the token endpoint's and the database's; to the minute."""
    checks.run("migrate")
    hour_ago = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() - 3600))
    checks.tenant.token_answers += [tenants.respond(401, headers={"Date": hour_ago})]
    refused, clock = faults(checks.run("check", "--connect", code=78))
    assert refused[2] == "/auth/cxone" and clock[2] == "/auth/cxone/token_url"
    assert re.search(r"clock is 36\d\d s ahead of that of the token endpoint: .*timedatectl", clock[3])
    for shift, code in ((-7200, 78), (30, 0)):
        done = checks.run("check", "--connect", code=code,
                          env={**os.environ, **clocks.shifted_environment(tmp_path, shift)})
        if code:
            token, database = faults(done)
            assert token[2] == "/auth/cxone/token_url" and "s behind that of the token endpoint" in token[3]
            assert database[2] == "/postgres" and "behind that of the database server at" in database[3]


def not_root(done_by):
    """Arguments of subprocess.run for a process that may not write everywhere."""
    return {"user": 65534, "group": 65534, "extra_groups": []} if done_by == 0 else {}


def test_the_machine(checks):
    """Room for the spool, directories, descriptors: all at once, each with its line."""
    checks.run("migrate")
    home = checks.home
    (home / "file").touch()
    for name in ("bare", "closed"):
        (home / name).mkdir()
    os.chmod(home, 0o755)
    (home / "closed").chmod(0o555)
    os.environ.setdefault("HOME", "/")
    checks.config.update({
        "state_dir": str(home / "closed"), "runtime_dir": str(home / "closed" / "run"),
        "auth": {**checks.config["auth"], "rest": {"grant": "static", "token": "t"}},
        "jobs": {"drop_dir": str(home / "file"), "concurrency": 16,
                 "apis": {"far": {"base_url": checks.tenant.url(""), "auth": "rest"}},
                 "actions": {"pay": {"kind": "execute", "api": "far", "action_id": "pay",
                                     "storage": {"dir": str(home / "closed" / "kept")}}}}})
    checks.config["spool"]["max_bytes"] = "16TiB"
    limit = (120, 120)
    checks.build = commands.for_others(checks.build, home)
    (home / "event.json").write_bytes(daemon.SCHEMA.read_bytes())
    checks.config["streams"]["main"]["schema"] = "event.json"
    checks.write()
    done = checks.run("check", "--connect", "--json", code=78, cwd="/", **not_root(os.geteuid()),
                      preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, limit))
    found = {fault["pointer"]: fault for fault in json.loads(done.stdout)}
    for pointer, severity, words in (
            ("", "fault", "may open 120 files here, and this configuration may need"),
            ("/state_dir", "fault", "may not write in"), ("/runtime_dir", "warning", "RuntimeDirectory="),
            ("/spool/max_bytes", "fault", "16TiB"), ("/jobs/drop_dir", "fault", "Not a directory"),
            ("/jobs/actions/pay/storage/dir", "warning", "is missing")):
        fault = found.pop(pointer)
        assert fault["severity"] == severity and words in fault["message"] and fault["line"] >= 1, fault
    assert not found, found
    # The limit that the daemon itself can raise is none.
    checks.config.update({"state_dir": str(home / "state"), "runtime_dir": str(home / "bare"), "jobs": {}})
    del checks.config["spool"]["max_bytes"]
    checks.write()
    checks.run("check", "--connect", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (100, 4096)))


def test_apis_are_reached(checks):
    """Of an API only TLS is looked at: nothing is invoked."""
    checks.run("migrate")
    authority = certificates.Authority(checks.home / "ca")
    with tenants.Tenant(tls=authority.issue("localhost", "DNS:localhost"), host="localhost") as far, \
            socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        api = {"base_url": far.url("/rest")}
        checks.config["jobs"] = {"apis": {
            "unknown": api, "known": {**api, "tls": {"ca_file": str(authority.pem)}},
            "down": {"base_url": f"http://127.0.0.1:{unused.getsockname()[1]}"}}}
        checks.write()
        found = faults(checks.run("check", "--connect", code=78))
        assert {pointer for _, _, pointer, _ in found} == {"/jobs/apis/unknown/base_url", "/jobs/apis/down/base_url"}
        assert any("tls.ca_file" in message for _, _, _, message in found)
        assert not far.handshakes and not far.token_requests


def test_nothing_hangs(checks):
    """Servers that take a connection and say nothing: each is named when the time is over."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(50)
        port = silent.getsockname()[1]
        checks.config["auth"]["cxone"].update(token_url=f"http://127.0.0.1:{port}/token", timeout="60s")
        checks.config["streams"]["free"] = {**checks.config["streams"]["main"], "url": f"ws://127.0.0.1:{port}/s",
                                            "connect_timeout": "60s"}
        del checks.config["streams"]["free"]["auth"]
        checks.config["postgres"].update(dsn=f"host=127.0.0.1 port={port}", connect_timeout="10m")
        checks.config["jobs"] = {"apis": {"far": {"base_url": f"https://127.0.0.1:{port}", "connect_timeout": "60s"}}}
        checks.write()
        began = time.monotonic()
        done = checks.run("check", "--connect", "--timeout", "1s", code=69)
        assert time.monotonic() - began < 30
        told = {pointer: message for _, _, pointer, message in faults(done)}
        # The stream of the token that never came was reached, and waits for it.
        assert set(told) == {"/auth/cxone", "/streams/main/url", "/streams/free/url", "/postgres/dsn",
                             "/jobs/apis/far/base_url"}, done.stderr
        assert all("no answer in all the time there was" in message for message in told.values()), told
    assert "--connect" in checks.run("check", "--timeout", "1s", code=64).stderr


def test_servers_that_cannot_be_reached(checks):
    """69 when this is all that is wrong; 78 beside a fault of the configuration; all of them at once."""
    checks.run("migrate")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # taken, and nobody listens
        port = unused.getsockname()[1]
        checks.config["auth"]["cxone"]["token_url"] = f"http://127.0.0.1:{port}/token"
        checks.config["streams"]["main"]["url"] = f"ws://127.0.0.1:{port}/stream"
        checks.config["postgres"]["dsn"] = f"host=127.0.0.1 port={port} password={PASSWORD}"
        checks.write()
        done = checks.run("check", "--connect", code=69)
        assert [pointer for _, _, pointer, _ in faults(done)] == ["/auth/cxone", "/streams/main/url", "/postgres/dsn"]
        assert "3 faults (3 of a server that cannot be reached)" in done.stdout
        assert PASSWORD not in done.stderr
        checks.config["postgres"]["dsn"] = checks.database.dsn
        checks.write()
        checks.database.query("drop table cxone_events")
        done = checks.run("check", "--connect", code=78)
        assert [pointer for _, _, pointer, _ in faults(done)] == [
            "/auth/cxone", "/streams/main/url", "/tables/cxone_events"]
        assert [fault["pointer"] for fault in json.loads(checks.run("check", "--connect", "--json", code=78).stdout)] == [
            "/auth/cxone", "/streams/main/url", "/tables/cxone_events"]


def test_certificates(build, workdir, database):
    """An authority nobody knows, and a certificate of another host, are faults with a remedy."""
    authority = certificates.Authority(workdir / "ca")
    other = certificates.Authority(workdir / "other")
    with tenants.Tenant(tls=authority.issue("localhost", "DNS:localhost"), host="localhost") as tenant:
        made = commands.Commands(build, workdir / "c", daemon.config(database.dsn, tenant))
        made.run("migrate")
        done = made.run("check", "--connect", code=78)
        assert [pointer for _, _, pointer, _ in faults(done)] == ["/auth/cxone", "/streams/main/url"]
        assert done.stderr.count("tls.ca_file") == 2
        for section in (made.config["auth"]["cxone"], made.config["streams"]["main"]):
            section["tls"] = {"ca_file": str(authority.pem)}
        made.write()
        made.run("check", "--connect")
        made.config["streams"]["main"]["tls"] = {"ca_file": str(other.pem)}
        made.config["auth"]["cxone"]["token_url"] = tenant.url("/token").replace("localhost", "127.0.0.1")
        made.write()
        done = made.run("check", "--connect", code=78)
        assert [pointer for _, _, pointer, _ in faults(done)] == ["/auth/cxone", "/streams/main/url"]
        assert "host name" in done.stderr
        made.config["streams"]["main"]["tls"] = {"ca_file": str(workdir / "none.pem")}
        made.write()
        assert "none.pem" in made.run("check", code=78).stderr
        # What is faulty is not tried, and is told once; the rest is.
        done = made.run("check", "--connect", code=78)
        assert [pointer for _, _, pointer, _ in faults(done)] == ["/auth/cxone", "/streams/main/tls"]
        # A certificate of the server's that has 10 days left is a warning: all works.
        soon = time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + 10 * 86400 + 3600))
        with tenants.Tenant(tls=authority.issue("soon", "DNS:localhost", ("20200101000000Z", soon)), host="localhost") as t:
            made.config["auth"]["cxone"]["token_url"] = t.url("/token")
            made.config["streams"]["main"].update(url=t.ws_url("/s"), tls={"ca_file": str(authority.pem)})
            made.write()
            done = made.run("check", "--connect")
            assert [pointer for _, _, pointer, _ in faults(done)] == ["/auth/cxone/token_url", "/streams/main/url"]
            assert done.stderr.count(": warning: the server's certificate expires in 10 days") == 2
            assert "all is well, and the servers answer, 2 warnings" in done.stdout
            told = json.loads(made.run("check", "--connect", "--json").stdout)
            assert [fault["severity"] for fault in told] == ["warning", "warning"]
            # So is one of one's own; one that has expired is a fault.
            for name, end, code, words in (("mine", soon, 0, "expires in 10 days"),
                                           ("old", "20210101000000Z", 78, "has expired on 2021-01-01")):
                pem, key = authority.issue(name, dates=("20200101000000Z", end))
                made.config["streams"]["main"]["tls"].update(cert_file=str(pem), key_file=str(key))
                made.write()
                done = made.run("check", "--connect", code=code)
                assert re.search(f"/streams/main/tls/cert_file: .*this certificate {words}", done.stderr)


def test_daemon_waits_for_the_remedy(checks, make_daemon):
    """Without its unique index the daemon keeps spooling and says the SQL; once that ran it drains by itself."""
    checks.run("migrate")
    checks.database.query("alter table cxone_events drop constraint cxone_events_idempotency_key_key")
    sql, = remedies(checks.run("check", "--connect", code=78))
    d = make_daemon(daemon.config(checks.database.dsn, checks.tenant)).start()
    wait.until(lambda: d.stream()["connected"], 30, "the stream is connected")
    # A stream that the running daemon has is not opened a second time: the two might share its events.
    checks.config["runtime_dir"] = d.config["runtime_dir"]
    checks.write()
    done = checks.run("check", "--connect", code=78)
    assert "not opened, as the running daemon is connected or cannot be asked: main" in done.stdout
    d.send_signal(signal.SIGSTOP)
    done = checks.run("check", "--connect", code=78)
    d.send_signal(signal.SIGCONT)
    assert "cannot be asked: main" in done.stdout
    checks.tenant.send(*[tenants.event(f"k{i}") for i in range(500)], "bad")
    wait.until(lambda: d.status()["spool"]["events"] == 501, 30, "everything is spooled")
    wait.until(lambda: d.status()["database"]["state"] == "blocked", 30, "the table was looked at")
    status, body = d.get("/readyz")
    assert status == 503 and sql in json.loads(body)["reasons"][0]
    assert sql in d.log() and d.get("/healthz")[0] == 200
    assert checks.database.count() == 0
    checks.database.query(sql)
    d.wait_ready()
    wait.until(lambda: d.status()["spool"]["events"] == 0, 30, "the spool is drained")
    assert checks.database.count() == 500 and checks.database.dead() == ["json.syntax"]
    # And when it goes while the daemon runs.
    checks.database.query("drop index cxone_events_idempotency_key_idx")
    checks.tenant.send(*[tenants.event(f"l{i}") for i in range(500)])
    wait.until(lambda: sql in "".join(d.status()["reasons"]), 30, "it says the SQL again")
    checks.database.query(sql)
    d.wait_ready()
    wait.until(lambda: checks.database.count() == 1000, 30, "the rest is there")
    assert len(checks.tenant.handshakes) == 2  # one of check, one of the daemon
