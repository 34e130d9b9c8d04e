# SPDX-License-Identifier: Apache-2.0
"""What `cxsink run` says where it cannot start, and where it can but the database is not as it should be: one
clear line, with the remedy, and the exit code of the interface."""
import os
import re
import signal
import socket

import pytest

from support import commands, daemon, wait


def problems(log):
    """The lines of the log that an operator has to act on."""
    return [line for line in log.splitlines() if re.match(r"\S+ (error|warn) ", line)]


def unprivileged(uid):
    return {"user": 65534, "group": 65534, "extra_groups": []} if uid == 0 else {}


def refused(made, code=78, **options):
    """The one line with which it ends."""
    line, = made.run("run", code=code, **options).stderr.splitlines()
    return line


def test_directories(build, workdir):
    """Each is named with its setting: not there, not writable, no directory."""
    workdir.chmod(0o755)
    closed = workdir / "closed"
    closed.mkdir(mode=0o555)
    (workdir / "open").mkdir()
    (workdir / "open").chmod(0o777)
    (workdir / "file").touch()
    made = commands.Commands(build, workdir, daemon.config(""))
    for setting, path, words in (("state_dir", closed / "new", "cannot create directory"),
                                 ("state_dir", closed, "cannot write in"),
                                 ("state_dir", workdir / "file", "Not a directory"),
                                 ("runtime_dir", closed, "cannot write in")):
        made.config.update(state_dir=str(workdir / "open" / "state"), runtime_dir=str(workdir / "open" / "run"))
        made.config[setting] = str(path)
        made.write()
        line = refused(made, cwd="/", **unprivileged(os.geteuid()))
        assert words in line and f'set "{setting}" to a directory' in line and str(path) in line, line
    assert "/nonexistent.json" in made.run("run", "-c", "/nonexistent.json", code=78).stderr


def test_what_is_taken(build, workdir, make_daemon):
    """Another daemon has the spool, the control socket, the port: it is named, and goes on undisturbed."""
    d = make_daemon(daemon.config("host=127.0.0.1 port=1")).start().wait_up()
    made = commands.Commands(build, workdir / "second", daemon.config("host=127.0.0.1 port=1"))
    own = dict(made.config)
    for changes, words in (({"state_dir": d.config["state_dir"]}, f"in use by process {d.process.pid}; stop that one"),
                           ({"runtime_dir": d.config["runtime_dir"]}, "another cxsink answers on the control socket"),
                           ({"admin": {"listen": f"127.0.0.1:{d.status()['admin_port']}"}}, "set admin.listen")):
        made.config = {**own, **changes}
        made.write()
        assert words in refused(made)
        assert d.status()["pid"] == d.process.pid
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        made.config = {**own, "admin": {"listen": f"127.0.0.1:{s.getsockname()[1]}"}}
        made.write()
        assert "Address already in use" in refused(made)


@pytest.fixture
def strict(cluster):
    """Roles that must not in, and that may do nothing."""
    rules = cluster.data / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text("host all locked 127.0.0.1/32 scram-sha-256\nhost all shut 127.0.0.1/32 reject\n" + before)
    cluster.query("create role locked login password 'right'; create role shut login; create role poor login;"
                  "select pg_reload_conf()")
    yield cluster
    rules.write_text(before)
    cluster.query("select pg_reload_conf(); drop role locked; drop role shut; drop role poor")


def test_database(strict, database, make_daemon):
    """It starts, spools and tries again; each trouble is told once, and what mends it, in log, status and /readyz."""
    def dsn(user="postgres", name=database.name, port=strict.port, **more):
        return " ".join(f"{key}={value}" for key, value in
                        {"host": "127.0.0.1", "port": port, "dbname": name, "user": user, **more}.items())

    d = make_daemon(daemon.config(dsn(port=1), log={"level": "info", "target": "text"})).start().wait_up()
    for where, state, words in (
            (dsn(port=1), "down", ("Connection refused", "check host and port of postgres.dsn")),
            (dsn("locked", password="wrong"), "blocked", ("28P01", "check user and password of postgres.dsn")),
            (dsn("shut"), "blocked", ("28000", "pg_hba.conf")),
            (dsn(name="nowhere"), "blocked", ("3D000", "CREATE DATABASE")),
            (dsn("poor"), "blocked", ("42501", "GRANT CREATE ON DATABASE"))):
        if d.config["postgres"]["dsn"] != where:
            d.config["postgres"]["dsn"] = where
            d.write()
            d.send_signal(signal.SIGHUP)

        def told():
            reasons = [reason for reason in d.status()["reasons"] if reason.startswith(f"database {state}: ")]
            return reasons and all(word in reasons[0] for word in words)
        wait.until(told, 30, f"it says {words}")
        assert d.alive() and d.get("/readyz")[0] == 503
        lines = [line for line in problems(d.log()) if words[0] in line]
        assert len(lines) == 1 and words[1] in lines[0] and (state == "down" or "needs a person" in lines[0]), lines
    d.config["postgres"]["dsn"] = dsn()
    d.write()
    d.send_signal(signal.SIGHUP)
    wait.until(lambda: d.status()["database"]["state"] == "ready", 30, "it writes once it may")
    assert "database ready" in d.log()
