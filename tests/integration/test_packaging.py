# SPDX-License-Identifier: Apache-2.0
"""What is installed beside the programs, and runs them: `make install`, the units of systemd. What the
Debian packages do is seen by `make check-deb`."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sysconfig

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
    environment = {**os.environ, **EXAMPLE}
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


# --- containers ---

EXAMPLE = {"CXONE_CLIENT_ID": "id", "CXONE_CLIENT_SECRET": "secret", "CXONE_STREAM_ID": "s", "CXSINK_PG_DSN": ""}


def instructions():
    """[(instruction, arguments)] of the Containerfile."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Containerfile").read_text(), flags=re.M).replace("\\\n", " ")
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]


def stages():
    """{name: instructions} in order; the last, without a name, is what is built by itself."""
    found = {}
    for instruction, arguments in instructions():
        if instruction == "FROM":
            name = arguments.split(" AS ")[1] if " AS " in arguments else ""
            found[name] = []
        elif found:
            found[list(found)[-1]].append((instruction, arguments))
    return found


def test_the_containerfile(build):
    """What it copies is there, no stage that runs is root's, and the health check is a command of ours."""
    image = stages()
    assert list(image) == ["build", "daemon", "jobs", ""] and image[""] == []
    assert instructions()[-1] == ("FROM", "daemon")
    for instruction, arguments in (entry for stage in image.values() for entry in stage):
        if instruction == "COPY" and not arguments.startswith("--from="):
            for source in arguments.split()[:-1]:
                assert (ROOT / source).exists(), source
        assert instruction != "ADD" and "curl " not in arguments
    for name in ("daemon", "jobs"):
        users = [arguments for instruction, arguments in image[name] if instruction == "USER"]
        assert users[-1] == "10001:10001", name
    daemon = dict(image["daemon"])
    assert daemon["STOPSIGNAL"] == "SIGTERM"
    assert json.loads(daemon["ENTRYPOINT"]) + json.loads(daemon["CMD"]) == ["cxsink", "run"]
    assert set(json.loads(daemon["VOLUME"])) == {"/var/lib/cxsink", "/run/cxsink"}
    health = json.loads(daemon["HEALTHCHECK"].split("CMD ")[1])
    assert subprocess.run([str(build / health[0]), *health[1:]], capture_output=True).returncode in (0, 69)


def test_the_libraries_of_the_image(build, sanitized):
    """The packages that the stages install are those of the libraries that the programs name."""
    if sanitized or shutil.which("dpkg-query") is None or "VERSION_ID=\"12\"" not in \
            pathlib.Path("/etc/os-release").read_text():
        pytest.skip("the image is made of Debian 12's packages, without sanitizers")
    image = stages()
    always = {"libc6", "libgcc-s1", "libstdc++6"}
    machine = sysconfig.get_config_var("MULTIARCH")
    for stage, program in (("daemon", "cxsink"), ("jobs", "cxsink-jscheck")):
        if not (build / program).exists():
            continue
        dynamic = subprocess.run(["readelf", "-d", str(build / program)], capture_output=True, text=True, check=True)
        needed = set()
        for library in re.findall(r"\(NEEDED\).*\[(\S+)\]", dynamic.stdout):
            owner = subprocess.run(["dpkg-query", "-S", f"*/{machine}/{library}"], capture_output=True, text=True,
                                   check=True)
            needed.add(owner.stdout.split(":")[0])
        installed = re.search(r"--no-install-recommends ([^&]+)", " ".join(a for _, a in image[stage]))[1].split()
        assert set(installed) - {"ca-certificates"} == needed - always, stage


def test_the_configuration_of_the_image_is_sound(cxsink, workdir):
    """config/cxsink.json with the environment of the Containerfile: JSON lines."""
    shutil.copytree(ROOT / "config", workdir / "etc")
    environment = dict(a.split("=") for i, a in stages()["daemon"] if i == "ENV")
    assert environment == {"CXSINK_LOG_TARGET": "json"}
    path = workdir / "etc/cxsink.json"
    done = cxsink("check", "-c", path, env={**os.environ, **EXAMPLE, **environment})
    assert done.returncode == 0, done.stderr
    done = cxsink("check", "-c", path, env={**os.environ, **EXAMPLE, "CXSINK_LOG_TARGET": "paper"})
    assert done.returncode == 78 and "/log/target" in done.stderr


def test_compose(cxsink):
    """Not root, read-only, and the environment that the configuration asks for."""
    yaml = pytest.importorskip("yaml")
    compose = yaml.safe_load((ROOT / "config/compose.yaml").read_text())
    service = compose["services"]["cxsink"]
    assert set(service["environment"]) == set(EXAMPLE)
    assert service["read_only"] is True and service["cap_drop"] == ["ALL"]
    assert (ROOT / service["build"]["dockerfile"]).exists()
    assert {volume.split(":")[0] for volume in service["volumes"]} <= set(compose["volumes"])
    assert [place.split(":")[0] for place in service["tmpfs"]] == ["/run/cxsink"]
    assert service["stop_grace_period"] == "60s"


def test_kubernetes(cxsink, workdir):
    """One replica, its own volume, probes that are commands of ours, and a ConfigMap that `cxsink check` takes."""
    yaml = pytest.importorskip("yaml")
    made = {thing["kind"]: thing for thing in yaml.safe_load_all((ROOT / "config/kubernetes.yaml").read_text())}
    assert set(made) == {"Secret", "ConfigMap", "StatefulSet"}
    assert set(made["Secret"]["stringData"]) == set(EXAMPLE)
    spec = made["StatefulSet"]["spec"]
    pod = spec["template"]["spec"]
    container, = pod["containers"]
    assert spec["replicas"] == 1 and pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                            "capabilities": {"drop": ["ALL"]}}
    version = re.search(r"^VERSION := (\S+)", (ROOT / "Makefile").read_text(), re.M)[1]
    assert container["image"] == f"cxsink:{version}"
    volumes = {volume["name"] for volume in pod["volumes"]} | {claim["metadata"]["name"]
                                                               for claim in spec["volumeClaimTemplates"]}
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert set(mounts) == volumes
    for probe in ("livenessProbe", "readinessProbe"):
        command = container[probe]["exec"]["command"]
        assert command[0] == "cxsink" and cxsink(*command[1:]).returncode == 69, "no daemon is there"
    text = made["ConfigMap"]["data"]["cxsink.json"]
    path = workdir / "cxsink.json"
    path.write_text(text.replace("/etc/cxsink/schemas", str(ROOT / "config/schemas")))
    done = cxsink("check", "-c", path, env={**os.environ, **EXAMPLE})
    assert done.returncode == 0, done.stderr
    assert container["args"] == ["run", "-c", f"{mounts['config']}/cxsink.json"]
    config = json.loads(re.sub(r"^\s*//.*\n", "", text, flags=re.M))
    assert (config["state_dir"], config["runtime_dir"]) == (mounts["spool"], mounts["runtime"])
