# SPDX-License-Identifier: Apache-2.0
"""What README.md has a newcomer type, typed: from a directory of one's own to rows in one's own PostgreSQL."""
import os
import re
import signal
import subprocess

import pytest

from support import wait
from support.daemon import ROOT
from support.postgres import free_port

CHAPTER = (ROOT / "README.md").read_text().split("## Into your own PostgreSQL", 1)[1].split("\n## ")[0]
SERVER, FIRST, SECOND = re.findall(r"```sh\n(.*?)```", CHAPTER, re.S)


def test_the_commands_are_well_formed():
    """All that is tried of those that need root."""
    for script in (SERVER, FIRST, SECOND):
        subprocess.run(["bash", "-n", "-c", script], check=True)


class Newcomer:
    """In the clone, with a home directory of one's own. The build and the database are there already, the ports are
    free ones."""

    def __init__(self, home, build, database):
        self.clone = home / "clone"
        self.clone.mkdir()
        (self.clone / "config").symlink_to(ROOT / "config")
        (self.clone / "build").symlink_to(build)
        self.environment = {**{k: v for k, v in os.environ.items() if not k.startswith(("CX", "PG"))},
                            "HOME": str(home)}
        self.dsn = database.dsn
        self.simulator, self.admin = free_port(), free_port()

    def start(self, script, log):
        script = script.replace("8080", str(self.simulator)).replace("dbname=contact_centre", self.dsn)
        return subprocess.Popen(["bash", "--norc", "-e", "-c", script], cwd=self.clone, env=self.environment,
                                text=True, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)

    def prepared(self):
        """The first block, with what makes it fit for a test."""
        script = FIRST.replace("make packages && make\n", "")
        script = script.replace(". ~/cxsink/env\n", f". ~/cxsink/env\nsed -i s/9464/{self.admin}/ ~/cxsink/cxsink.json\n")
        listens = f"until (: </dev/tcp/127.0.0.1/{self.simulator}) 2>/dev/null; do sleep 0.05; done\n"
        script = re.sub(r"^cxsink-sim (.*)$", rf"cxsink-sim --listen 127.0.0.1:{self.simulator} \1\n{listens}", script,
                        flags=re.M)
        assert listens in script
        return re.sub(r"^cxsink run", "exec cxsink run", script, flags=re.M)


@pytest.fixture
def newcomer(workdir, build, database):
    return Newcomer(workdir, build, database)


def test_into_ones_own_postgresql(newcomer, database, workdir):
    with open(workdir / "log", "w") as log:
        daemon = newcomer.start(newcomer.prepared(), log)
    said = (workdir / "log").read_text
    try:
        def events():
            assert daemon.poll() is None, said()
            return "sink: connecting -> ready" in said() and database.count() > 50
        wait.until(events, 60, "events arrive")
        assert said().count("all is well") == 2 and "brought to version" in said()
        second = newcomer.start(SECOND, subprocess.PIPE)
        out, _ = second.communicate(timeout=60 * wait.FACTOR)
        assert second.returncode == 0, out
        assert "ready" in out and "callback" in out and "what" in out
        daemon.send_signal(signal.SIGINT)
        assert daemon.wait(60 * wait.FACTOR) == 0, said()
    finally:
        os.killpg(daemon.pid, signal.SIGKILL)  # and the simulator
    assert "Sanitizer" not in said()
