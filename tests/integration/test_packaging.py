# SPDX-License-Identifier: Apache-2.0
"""What is installed beside the programs, and runs them: `make install`, the units of systemd. What the
Debian packages do is seen by `make check-deb`."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
UNITS = ("cxsink.service", "cxsink@.service")


def make(build, *arguments):
    """make with a build that is there already, not as a child of the make that may run this."""
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES")}
    done = subprocess.run(["make", "-s", "-C", str(ROOT), "-o", "all", f"BUILD={build}", *arguments], env=environment,
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def files_below(path):
    return {str(found.relative_to(path)) for found in path.rglob("*") if not found.is_dir()}


def systemd_analyze(*arguments):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    return subprocess.run(["systemd-analyze", *map(str, arguments)], capture_output=True, text=True, timeout=60)


def instance_of(unit, directory):
    """A copy to judge: of a template an instance."""
    return pathlib.Path(shutil.copy(unit, directory / unit.name.replace("@", "@acme")))


def verify(unit):
    verified = systemd_analyze("verify", "--man=no", unit)
    assert verified.returncode == 0 and "cxsink" not in verified.stderr, verified.stderr


def test_installation(build, workdir):
    """DESTDIR and PREFIX; units that are valid where they are, an example that is a valid configuration; and away."""
    stage = workdir / "stage"
    make(build, "install", f"DESTDIR={stage}", "PREFIX=/opt/cxsink")
    prefix = stage / "opt/cxsink"
    expected = {"bin/cxsink", "bin/cxsink-sim", "share/cxsink/cxsink.json", "share/cxsink/cxsink.schema.json",
                "share/cxsink/cxsink-jobs.json", "share/cxsink/jobs/publish.json", "share/cxsink/settings.md",
                "share/cxsink/schemas/cxone-event.json", "lib/systemd/system/cxsink.service",
                "lib/systemd/system/cxsink@.service", "lib/sysusers.d/cxsink.conf"}
    if (build / "cxsink-jscheck").exists():
        expected.add("libexec/cxsink/cxsink-jscheck")
    for page in ROOT.glob("config/man/*.[1-8]"):
        expected.add(f"share/man/man{page.suffix[1:]}/{page.name}")
    assert expected <= files_below(prefix)
    assert [path.name for path in stage.iterdir()] == ["opt"]
    for path in prefix.rglob("*"):
        program = path.is_dir() or path.parent.name == "bin" or "libexec" in path.parts
        assert path.stat().st_mode & 0o777 == (0o755 if program else 0o644), path
    for unit in UNITS:
        assert "ExecStart=/opt/cxsink/bin/cxsink run" in (prefix / "lib/systemd/system" / unit).read_text()
    environment = {**os.environ, "CXONE_CLIENT_ID": "id", "CXONE_CLIENT_SECRET": "secret", "CXSINK_PG_DSN": "",
                   "CXONE_STREAM_ID": "stream"}
    done = subprocess.run([str(prefix / "bin/cxsink"), "check", "-c", str(prefix / "share/cxsink/cxsink.json")],
                          capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 0, done.stderr
    (prefix / "share/cxsink/mine.json").write_text("")
    make(build, "uninstall", f"DESTDIR={stage}", "PREFIX=/opt/cxsink")
    assert files_below(prefix) == {"share/cxsink/mine.json"}, "what it did not install stays"


def test_installed_units(build, workdir):
    """What they start is there; a systemd that can tells the end of a reload, the other gets a signal sent."""
    make(build, "install", f"PREFIX={workdir}/prefix")
    new = subprocess.run(["pkg-config", "--exists", "libsystemd >= 253"], check=False).returncode == 0
    for unit in UNITS:
        installed = workdir / "prefix/lib/systemd/system" / unit
        text = installed.read_text()
        assert len(re.findall(r"^Type=", text, re.M)) == 1
        assert ("\nType=notify-reload\n" in text, "\nExecReload=" in text) == (new, not new)
        verify(instance_of(installed, workdir))


@pytest.mark.parametrize("name", UNITS)
def test_the_unit_is_sound(build, workdir, name):
    """systemd accepts it, and finds little to expose (at most 1.5 of 10)."""
    unit = instance_of(ROOT / "systemd" / name, workdir)
    text = unit.read_text()
    assert "ExecStart=/usr/bin/cxsink run" in text
    unit.write_text(text.replace("/usr/bin/cxsink", str(build / "cxsink")))
    verify(unit)
    judged = systemd_analyze("security", "--offline=yes", "--no-pager", "--threshold=15", unit)
    if "unrecognized option" in judged.stderr or "invalid option" in judged.stderr:
        pytest.skip("this systemd-analyze cannot judge a file")
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", judged.stdout)
    assert judged.returncode == 0 and float(level[1]) <= 1.5, judged.stdout[-300:]


def settings(name):
    """(section, line) of what is said, without comments."""
    section, found = None, []
    for line in (ROOT / "systemd" / name).read_text().splitlines():
        if line.startswith("["):
            section = line
        elif line and not line.startswith("#"):
            found.append((section, line))
    return found


def test_the_units_are_the_same_but_for_their_places():
    """What the template says otherwise has the instance's name in it; the rest is one text."""
    one, template = (settings(name) for name in UNITS)
    own = [(section, line.replace("/%i.json", "/cxsink.json").replace("/%i.environment", "/environment")
            .replace("/%i", "").replace(" (%i)", "")) for section, line in template]
    assert [entry for entry in one if entry[1] != "RuntimeDirectoryPreserve=yes"] == own
    assert ("[Service]", "RuntimeDirectoryPreserve=yes") in one, "its end would take the instances' directories"


def test_restarts():
    """For ever after a passing fault, never after a configuration fault, not after an orderly end."""
    said = dict(line.split("=", 1) for _, line in settings("cxsink.service"))
    assert (said["Restart"], said["StartLimitIntervalSec"], said["RestartPreventExitStatus"]) == ("on-failure", "0",
                                                                                               "78")
