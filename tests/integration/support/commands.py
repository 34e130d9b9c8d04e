# SPDX-License-Identifier: Apache-2.0
"""cxsink's commands with a configuration of their own, as processes."""
import json
import pathlib
import shutil
import subprocess

from . import wait


def for_others(build, home):
    """A folder with cxsink in it that other users reach, wherever the build lies; `home` is open to them."""
    folder = home / "bin"
    folder.mkdir()
    folder.chmod(0o755)
    shutil.copy(build / "cxsink", folder)
    return folder


class Commands:
    def __init__(self, build, home, settings):
        self.build = build
        self.home = pathlib.Path(home)
        self.home.mkdir(parents=True, exist_ok=True)
        self.config = settings
        self.config.setdefault("state_dir", str(self.home / "state"))
        self.config.setdefault("runtime_dir", str(self.home / "run"))
        self.path = self.home / "cxsink.json"
        self.write()

    def write(self):
        self.path.write_text(json.dumps(self.config, indent=2))

    def argv(self, command, *args):
        return [str(self.build / "cxsink"), command, "-c", str(self.path), *map(str, args)]

    def run(self, command, *args, code=0, **options):
        """Runs a command to its end, which must be this exit code; None: any."""
        options.setdefault("timeout", 60 * wait.FACTOR)
        done = subprocess.run(self.argv(command, *args), capture_output=True, text=True, **options)
        assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr
        assert code is None or done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done

    def file(self, name, lines):
        """An NDJSON file of texts and events; returns its path."""
        path = self.home / name
        path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
        return path
