# SPDX-License-Identifier: Apache-2.0
"""What others on the machine may see and change: modes of files, /proc, the control socket."""
import http.client
import os
import pathlib
import pwd
import re
import stat
import subprocess
import sys

import pytest

from support import commands, daemon, tenant as tenants, wait

SECRET = "s3cret-of-the-environment"

# Asks over the control socket; says the status, or that it may not.
ASK = """
import http.client, socket, sys
connection = http.client.HTTPConnection("localhost", timeout=20)
connection.sock = socket.socket(socket.AF_UNIX)
try:
    connection.sock.connect(sys.argv[1])
except PermissionError:
    sys.exit("may not")
connection.request(sys.argv[2], sys.argv[3])
print(connection.getresponse().status)
"""


def ask(d, method, path, **who):
    socket = pathlib.Path(d.config["runtime_dir"]) / "control.sock"
    done = subprocess.run([sys.executable, "-c", ASK, str(socket), method, path], capture_output=True, text=True,
                          timeout=60, cwd="/", **who)
    return done.stdout.strip() or done.stderr.strip()


def open_modes(directory):
    """Files and directories that anybody but their owner may use."""
    return {str(path.relative_to(directory)): oct(stat.S_IMODE(path.stat().st_mode))
            for path in [directory, *directory.rglob("*")] if path.lstat().st_mode & 0o077}


def test_files_and_proc(database, tenant, make_daemon, build, workdir):
    """Whatever the umask: what is kept is the owner's alone, the control socket the group's. Secrets are nowhere in
    /proc, logs and files; a core is never written."""
    settings = daemon.config(database.dsn, tenant, spool={"segment_bytes": "4KiB"})
    settings["auth"]["cxone"].update(client_secret={"env": "CXSINK_TEST_SECRET"}, client_id="${CXSINK_TEST_SECRET}-id")
    settings["postgres"]["dsn"] = {"env": "CXSINK_TEST_DSN"}
    settings["jobs"] = {"drop_dir": "drop"}
    (workdir / "d0").mkdir()
    (workdir / "d0" / "drop").mkdir()
    d = make_daemon(settings, environment={"CXSINK_TEST_SECRET": SECRET, "CXSINK_TEST_DSN": database.dsn},
                    wrapper=["sh", "-c", 'umask 0; exec "$@"', "sh"])
    d.start().wait_ready()
    tenant.send(*[tenants.event(f"k{i}") for i in range(50)], "not JSON")
    wait.until(lambda: database.count() == 50 and database.dead(), 30, "rows")
    cli = commands.Commands(build, d.home, d.config)
    for command in (("load", "--stream", "main", cli.file("more.ndjson", [tenants.event("more")])),
                    ("dead", "purge", "--all", "--yes")):
        cli.run(*command, env={**os.environ, **d.environment}, preexec_fn=lambda: os.umask(0))
    state, runtime = pathlib.Path(d.config["state_dir"]), pathlib.Path(d.config["runtime_dir"])
    assert (state / "spool").is_dir() and len(list(state.rglob("*"))) > 4
    assert open_modes(state) == {}
    assert [p.name for p in runtime.iterdir()] == ["control.sock"]
    assert stat.S_IMODE((runtime / "control.sock").stat().st_mode) == 0o660
    assert stat.S_IMODE(runtime.stat().st_mode) & 0o022 == 0

    proc = pathlib.Path(f"/proc/{d.process.pid}")
    for name in ("environ", "cmdline"):
        text = (proc / name).read_bytes()
        assert SECRET.encode() not in text and database.name.encode() not in text, name
    assert re.search(r"^Max core file size +0 +0 ", (proc / "limits").read_text(), re.M)
    d.reload()  # the environment's values are still there for it
    d.wait_ready()
    texts = [d.log(), *[p.read_text(errors="replace") for p in state.rglob("*") if p.is_file()]]
    assert all(SECRET not in text for text in texts)
    assert [r["form"]["client_secret"] for r in tenant.token_requests] == [SECRET]
    assert d.stop() == 0


def test_who_may_change(database, tenant, make_daemon, workdir):
    """Changes are taken over the control socket alone, from whom its mode lets; who it was is audited."""
    d = make_daemon(daemon.config(database.dsn, tenant)).start().wait_ready()
    port = d.status()["admin_port"]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("POST", "/api/resume", headers={"Content-Length": "0"})
    answer = connection.getresponse()
    assert answer.status == 405 and answer.headers["Allow"] == "GET, HEAD"
    connection.close()
    change = "/api/resume?all=true"
    for method, path, status in (("POST", change, "200"), ("POST", "/api/resume?stream=x&accept=true", "200"),
                                 ("POST", "/api/resume", "400"), ("POST", "/api/resume?stream=x&all=true", "400"),
                                 ("POST", "/api/resume?all=true&a=1&b=2&c=3&d=4", "400"),
                                 ("POST", "/api/resume?all=true&stream=" + "x" * 1000, "400"),
                                 ("POST", "/api/resume?" + "x" * 3000, "414"), ("PUT", change, "405"),
                                 ("POST", "/api/nothing", "404"), ("POST", "/metrics", "404"),
                                 ("GET", "/api/resume", "404")):
        assert ask(d, method, path) == status, (method, path)
    if os.getuid() != 0:
        pytest.skip("other users: not root, so nobody else can be tried")
    nobody = pwd.getpwnam("nobody")
    for path in (workdir, d.home, pathlib.Path(d.config["runtime_dir"])):
        path.chmod(0o755)
    assert ask(d, "POST", change, user="nobody", group=nobody.pw_gid, extra_groups=[]) == "may not"
    assert ask(d, "GET", "/api/status", user="nobody", group=nobody.pw_gid, extra_groups=[]) == "may not"
    # A member of the daemon's group may, and is named.
    assert ask(d, "POST", change, user="nobody", group=nobody.pw_gid, extra_groups=[os.getgid()]) == "200"
    asked = [e for e in d.audit() if e["event"] == "control.asked"]
    assert [e["what"] for e in asked] == ["/api/resume"] * 3
    assert asked[-1]["uid"] == str(nobody.pw_uid) and int(asked[-1]["pid"]) > 1
    assert d.stop() == 0
