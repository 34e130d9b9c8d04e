# SPDX-License-Identifier: Apache-2.0
"""cxsink status on a terminal and elsewhere, once and with --watch."""
import json
import os
import re
import signal
import subprocess

import pytest

from support import daemon, tenant as tenants, terminal, wait


@pytest.fixture(scope="module")
def workdir():
    path = subprocess.check_output(["mktemp", "-d", "/tmp/cxs.XXXXXX"], text=True).strip()
    yield path
    subprocess.run(["rm", "-rf", path], check=False)


@pytest.fixture(scope="module")
def troubled(build, workdir):
    """A daemon without a database, one of whose streams has a wrong path."""
    with tenants.Tenant() as tenant:
        settings = daemon.config("host=127.0.0.1 port=1", tenant)
        settings["streams"]["a-stream-whose-name-takes-more-than-half-of-a-line"] = {
            **settings["streams"]["main"], "url": tenant.ws_url("/none")}
        tenant.path_answers["/none"] = [tenants.respond(404)] * 10000
        d = daemon.Daemon(build, f"{workdir}/d", settings).start()
        try:
            wait.until(lambda: d.wait_up().stream()["connected"] and len(d.status()["reasons"]) == 2, 30, "both are told")
            yield d
        finally:
            d.end()


@pytest.fixture
def command(build, troubled):
    return [str(build / "cxsink"), "status", "--runtime-dir", troubled.config["runtime_dir"]]


@pytest.mark.parametrize("columns, environment, colours", [
    (80, {"NO_COLOR": ""}, True), (120, {}, True), (80, {"NO_COLOR": "1"}, False), (80, {"TERM": "dumb"}, False)])
def test_it_fits(command, columns, environment, colours):
    """What is wrong first; no line is longer than the window; colours where they are wanted."""
    shown = terminal.Terminal(command, columns, 24, environment)
    assert shown.end() == 0
    assert ("\x1b[" in shown.written) == colours
    lines = terminal.ESCAPES.sub("", shown.written).replace("\r", "").splitlines()
    assert "NOT READY" in lines[0] and lines[1].startswith("! ")
    assert max(map(len, lines)) <= columns, lines
    name, = [line.split()[0] for line in lines if line.startswith("a-stream")]
    assert name.endswith("~" if columns == 80 else "line")


def test_watch_on_a_terminal(command, troubled):
    """It follows, also the window and a restart, and leaves all clean, however it is ended."""
    watch = terminal.Terminal([*command, "--watch", "100ms"])
    watch.wait_for("NOT READY.*per s", "it shows the status")
    watch.resize(100, 6)
    watch.wait_for(r"\A(?:[^\n]*\n){5}[^\n]*\Z", "it fits the new window")
    watch.resize(100, 40)
    watch.wait_for("\ntoken ", "all of it is there again")
    troubled.stop()
    watch.wait_for(r"no answer since \d{4}-.*: no daemon answers", "it says that nobody answers")
    troubled.start().wait_up()
    watch.wait_for("NOT READY.*per s", "it shows the status again")
    watch.interrupt()
    assert watch.end() == 0
    assert watch.written.startswith("\x1b[?1049h\x1b[?25l") and watch.written.endswith("\x1b[?25h\x1b[?1049l")
    watch = terminal.Terminal([*command, "--watch"])
    watch.wait_for("NOT READY", "it shows the status")
    os.kill(watch.pid, signal.SIGTSTP)  # Ctrl-Z: the shell gets its screen back
    wait.until(lambda: watch.read() and watch.written.endswith("\x1b[?25h\x1b[?1049l"), 30, "it left the screen")
    os.kill(watch.pid, signal.SIGCONT)
    wait.until(lambda: watch.read() and watch.written.count("\x1b[?1049h") == 2, 30, "it came back")
    os.kill(watch.pid, signal.SIGTERM)
    assert watch.end() == 0 and watch.written.endswith("\x1b[?25h\x1b[?1049l")


def test_watch_elsewhere(command):
    """Block after block, or a line of JSON each time, until the reader leaves or a signal comes."""
    with subprocess.Popen([*command, "--watch", "100ms"], stdout=subprocess.PIPE, text=True) as process:
        text = ""
        while text.count("\n--- 2") < 2:
            text += process.stdout.readline()
        assert text.startswith("--- 2") and "\x1b" not in text and text.count("NOT READY") == 2
        process.stdout.close()
        assert process.wait(30) == 0
    with subprocess.Popen([*command, "--watch", "100ms", "--json"], stdout=subprocess.PIPE, text=True) as process:
        assert len({json.loads(process.stdout.readline())["pid"] for _ in range(3)}) == 1
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.wait(30) == 0
    with subprocess.Popen([*command[:2], "--runtime-dir", "/nonexistent", "--watch", "100ms", "--json"],
                          stdout=subprocess.PIPE, text=True) as process:
        told = json.loads(process.stdout.readline())
        assert told["ready"] is False and re.search("no daemon answers", told["reasons"][0])
        process.terminate()
        process.stdout.read()
        assert process.wait(30) == 0
