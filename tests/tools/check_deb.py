#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""make check-deb: the Debian packages in clean trees of Debian 12 and 13, from nothing to a purge.

For each suite a tree of debootstrap's builds them (twice: byte for byte the same), judges them (lintian)
and runs `make demo`; another, clean one installs, runs, upgrades, removes and purges them, with the
services under a systemd of the tree's own, in namespaces. Needs root, debootstrap and a Debian mirror
($MIRROR, else the machine's own), some 3 GB in $TMPDIR and ten minutes a suite. $BASES names a folder
of trees that debootstrap made before, by suite; with $KEEP the trees stay. Not part of make check.
"""
import contextlib
import hashlib
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
NEW_VERSION = "99.0.0"
# What a tree sees of the machine: its network, nothing else. What is started in it ends with it.
ENTER = r"""
set -e
mount --bind "$1" "$1"; cd "$1"; shift
mount -t proc proc proc
mount --bind proc/sys proc/sys; mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=755 tmpfs dev
for d in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0; do
    mknod -m 666 "dev/${d%%:*}" c $(echo "${d#*:}" | tr : ' ')
done
ln -s /proc/self/fd dev/fd
mkdir -p dev/pts dev/shm dev/mqueue dev/hugepages .old
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts; ln -s pts/ptmx dev/ptmx
mount -t tmpfs -o mode=1777 tmpfs dev/shm
pivot_root . .old; cd /; umount -l /.old; rmdir /.old
"""
RUN = ENTER + r"""exec "$@" """
BOOT = ENTER + r"""
: >dev/console
mount --make-rshared /
mount -t tmpfs tmpfs run; mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t cgroup2 cgroup2 sys/fs/cgroup
for path in /lib/systemd/systemd /usr/lib/systemd/systemd; do
    [ ! -x $path ] || exec $path --show-status=false --log-target=journal --unit=multi-user.target
done
"""
CLEAN_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8",
                     "DEBIAN_FRONTEND": "noninteractive", "container": "lxc"}
APT = ("apt-get", "install", "-y", "-q", "--no-install-recommends")


def fail(text):
    sys.exit(f"check-deb: {text}")


def until(condition, what, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.2)
    return fail(f"not so after {seconds} s: {what}")


class Tree:
    """A directory with a Debian in it."""

    def __init__(self, path, suite):
        self.path = pathlib.Path(path)
        self.suite = suite
        self.init = None  # of a systemd that runs in it
        self.policy = None  # a file that keeps packages from starting services

    def prepare(self):
        shutil.copy("/etc/resolv.conf", self.path / "etc/resolv.conf")
        self.policy = self.path / "usr/sbin/policy-rc.d"
        self.policy.write_text("#!/bin/sh\nexit 101\n")
        self.policy.chmod(0o755)

    def run(self, *command, code=0, **options):
        """In the tree: on its own, or beside its systemd where one runs."""
        if self.init is None:
            inside = ["unshare", "-fpmu", "--kill-child", "--propagation", "private", "sh", "-c", RUN, "sh",
                      str(self.path)]
        else:
            inside = ["nsenter", "-t", str(self.init), "-m", "-p", "-C", "-u", "-r", "-w"]
        environment = {**CLEAN_ENVIRONMENT, **options.pop("environment", {})}
        done = subprocess.run([*inside, *map(str, command)], env=environment, capture_output=True, text=True,
                              timeout=3600, check=False, **options)
        if code is not None and done.returncode != code:
            fail(f"{self.suite}: {' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout[-6000:]}"
                 f"\n{done.stderr[-6000:]}")
        return done

    def shell(self, text, code=0, **options):
        return self.run("sh", "-ec", text, code=code, **options)

    @contextlib.contextmanager
    def booted(self):
        """With systemd as the first process of the tree, and packages that start and stop services."""
        self.policy.unlink()
        host = subprocess.Popen(["unshare", "-fpmCu", "--kill-child", "--propagation", "private", "sh", "-c", BOOT,
                                 "sh", str(self.path)], env=CLEAN_ENVIRONMENT)
        try:
            children = pathlib.Path(f"/proc/{host.pid}/task/{host.pid}/children")
            self.init = until(lambda: children.read_text().split(), "the tree's first process", 10)[0]
            until(lambda: self.run("systemctl", "is-system-running", code=None).stdout.strip()
                  in ("running", "degraded"), "systemd runs in the tree")
            yield
        finally:
            self.init = None
            host.kill()
            host.wait()


def mirror():
    """$MIRROR, else the first of Debian's in the machine's own sources."""
    if os.environ.get("MIRROR"):
        return os.environ["MIRROR"]
    for path in [pathlib.Path("/etc/apt/sources.list"), *sorted(pathlib.Path("/etc/apt/sources.list.d").glob("*"))]:
        found = re.search(r"^(?:deb|URIs:)\s.*?(https?://\S+/debian)/?\s", path.read_text() if path.exists() else "",
                          re.M)
        if found:
            return found[1]
    return "http://deb.debian.org/debian"


def debootstrap(work, suite):
    tree = Tree(work / suite, suite)
    ready = pathlib.Path(os.environ.get("BASES", "/nonexistent")) / suite
    log = work / f"{suite}.log"
    command = ["cp", "-a", ready, tree.path] if ready.exists() else [
        "debootstrap", "--variant=minbase", suite, tree.path, mirror()]
    with log.open("w") as out:
        done = subprocess.run(list(map(str, command)), stdout=out, stderr=out, check=False)
    if done.returncode != 0:
        fail(f"debootstrap {suite} failed:\n{log.read_text()[-3000:]}")
    tree.prepare()
    tree.run("apt-get", "update", "-q")
    return tree


def copy_source(tree):
    """What git knows, or all but the build."""
    listed = subprocess.run(["git", "-c", "safe.directory=*", "ls-files", "-z"], cwd=ROOT, capture_output=True,
                            check=False)
    names = listed.stdout if listed.returncode == 0 else b"\0".join(
        os.fsencode(path.name) for path in ROOT.iterdir() if path.name not in ("build", ".git"))
    target = tree.path / "src"
    target.mkdir()
    subprocess.run(f"tar -c --null -T - | tar -x -C {target}", shell=True, cwd=ROOT, input=names, check=True)


# --- building ---

def build(tree, version=None, out="build"):
    """The packages by name, of this version."""
    given = [f"VERSION={version}"] if version else []
    epoch = {"SOURCE_DATE_EPOCH": "1750000000"}
    tree.run("make", "-C", "/src", "deb", f"BUILD={out}", *given, environment=epoch)
    return {path.name.split("_")[0]: path for path in sorted((tree.path / "src" / out / "deb").glob("*.deb"))}


def hashes(packages):
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in packages.items()}


def check_contents(packages):
    """Each file where it belongs; the programs, the configuration and the units with their modes."""
    wanted = {
        "cxsink": {r"-rwxr-xr-x ./usr/bin/cxsink", r"-rw-r----- ./etc/cxsink/cxsink.json",
                   r"-rw-r--r-- ./etc/cxsink/schemas/cxone-event.json", r"drwxr-x--- ./etc/cxsink/",
                   r"-rw-r--r-- \./(usr/)?lib/systemd/system/cxsink.service",
                   r"-rw-r--r-- \./(usr/)?lib/systemd/system/cxsink@.service",
                   r"-rw-r--r-- ./usr/lib/sysusers.d/cxsink.conf", r"-rw-r--r-- ./usr/share/cxsink/cxsink.schema.json",
                   r"-rw-r--r-- ./usr/share/cxsink/cxsink-jobs.json"},
        "cxsink-jscheck": {r"-rwxr-xr-x ./usr/libexec/cxsink/cxsink-jscheck"},
        "cxsink-sim": {r"-rwxr-xr-x ./usr/bin/cxsink-sim"}}
    for page in ROOT.glob("config/man/*.[1-8]"):
        owner = page.stem if page.stem in wanted else "cxsink"
        wanted[owner].add(rf"-rw-r--r-- ./usr/share/man/man{page.suffix[1:]}/{page.name}.gz")
    if list(ROOT.glob("systemd/*.catalog")):
        wanted["cxsink"].add(r"-rw-r--r-- ./usr/lib/systemd/catalog/\S+.catalog")
    for name, patterns in wanted.items():
        listed = subprocess.run(["dpkg-deb", "-c", str(packages[name])], capture_output=True, text=True, check=True)
        have = []
        for line in listed.stdout.splitlines():
            mode, owner, _, _, _, path = line.split()[:6]
            have.append(f"{mode} {path}")
            if owner != "root/root" or not re.match(r"\./$|\./usr/$|\./(usr/(bin|lib|libexec|share)|lib|etc)/", path):
                fail(f"{name}: {line}")
        missing = [pattern for pattern in patterns if not any(re.fullmatch(pattern, entry) for entry in have)]
        if missing:
            fail(f"{name} lacks {missing}; it has\n" + "\n".join(have))


def check_building(tree):
    """Packages of this version and of a later one."""
    tree.run(*APT, "make", "lintian")
    packages = build(tree)
    again = build(tree, out="again")
    if hashes(packages) != hashes(again):
        fail(f"{tree.suite}: two builds of one source differ: {hashes(packages)} {hashes(again)}")
    check_contents(packages)
    judged = tree.shell("lintian --allow-root --fail-on error /src/build/deb/*.changes")
    print(f"{tree.suite}: built twice, the same; lintian finds no error\n{judged.stdout.strip()}", flush=True)
    return packages, build(tree, NEW_VERSION, out="newer")


# --- installing, running ---

CONFIG = {
    "auth": {"sim": {"token_url": "http://127.0.0.1:PORT/oauth/token", "client_id": "demo",
                     "client_secret": {"credential": "secret"}}},
    "streams": {"main": {"url": "ws://127.0.0.1:PORT/data-actions/v1/stream/demo", "auth": "sim",
                         "schema": "schemas/cxone-event.json", "table": "cxone_events"}},
    "tables": {"cxone_events": {
        "columns": {"interaction_id": "/interactionId", "timestamp": "/timestamp", "type": "/type",
                    "idempotency_key": "/idempotencyKey", "attributes": "/attributes"},
        "key": ["idempotency_key"], "update": ["timestamp", "attributes"], "newest_by": "timestamp"}},
    "postgres": {"dsn": "host=/nonexistent dbname=none"}, "admin": {"listen": "127.0.0.1:0"}}
ACME = {"state_dir": "/var/lib/cxsink/acme", "runtime_dir": "/run/cxsink/acme"}
OF_ACME = ("-c", "/etc/cxsink/acme.json")


class Installed:
    """The packages in a clean tree, and what is done with them."""

    def __init__(self, tree, packages, newer):
        self.tree = tree
        self.packages = packages
        self.newer = newer
        for path in (*packages.values(), *newer.values()):
            shutil.copy(path, tree.path / "root" / path.name)

    def install(self, packages, *options):
        names = [f"/root/{packages[name].name}" for name in ("cxsink", "cxsink-jscheck", "cxsink-sim")]
        return self.tree.run(*APT, *options, *names)

    def stat(self, path):
        return self.tree.run("stat", "-c", "%a %U:%G", path).stdout.strip()

    def here(self, path):
        return self.tree.shell(f"[ -e {path} ]", code=None).returncode == 0

    def status(self, *arguments, code=0):
        return json.loads(self.tree.run("cxsink", "status", "--json", *arguments, code=code).stdout)

    def spooled(self, directory="/var/lib/cxsink/spool"):
        told = self.tree.run("cxsink", "spool", "stat", "--json", "--dir", directory).stdout
        return json.loads(told)["unacknowledged"]

    def expect(self, condition, what):
        if not condition:
            fail(f"{self.tree.suite}: {what}")

    def configure(self, name, port, **more):
        config = json.loads(json.dumps(CONFIG).replace("PORT", str(port)))
        path = self.tree.path / f"etc/cxsink/{name}.json"
        path.write_text(json.dumps({**config, **more}))
        self.tree.run("chown", "root:cxsink", f"/etc/cxsink/{name}.json")
        path.chmod(0o640)


def check_installation(it):
    it.install(it.packages)
    it.expect(it.stat("/etc/cxsink") == "750 root:cxsink", it.stat("/etc/cxsink"))
    it.expect(it.stat("/etc/cxsink/cxsink.json") == "640 root:cxsink", it.stat("/etc/cxsink/cxsink.json"))
    user = it.tree.run("getent", "passwd", "cxsink").stdout
    it.expect(re.match(r"cxsink:[^:]*:\d{2,3}:\d{2,3}:.*:/usr/sbin/nologin$", user.strip()), user)
    conffiles = it.tree.run("dpkg-query", "-W", "-f", "${Conffiles}", "cxsink").stdout
    it.expect({line.split()[0] for line in conffiles.splitlines() if line} ==
              {"/etc/cxsink/cxsink.json", "/etc/cxsink/schemas/cxone-event.json"}, conffiles)
    example = {"CXONE_CLIENT_ID": "i", "CXONE_CLIENT_SECRET": "s", "CXONE_STREAM_ID": "s", "CXSINK_PG_DSN": ""}
    it.tree.run("runuser", "-u", "cxsink", "--", "cxsink", "check", environment=example)
    it.tree.run("cxsink", "check", code=78)
    it.tree.run("/usr/libexec/cxsink/cxsink-jscheck", "script", input="let a = 1;")
    for unit in ("cxsink.service", "cxsink@acme.service"):
        it.tree.run("systemd-analyze", "verify", "--man=no", unit)
        it.tree.shell("systemd-analyze security --offline=true --no-pager --threshold=15"
                      f" $(dpkg -L cxsink | grep '/{unit.replace('acme', '')}$')")


def check_by_hand(it):
    """The daemon as user cxsink, without systemd: the spool takes what no database is there for."""
    it.configure("hand", 19555, state_dir="/var/lib/cxsink", runtime_dir="/tmp/hand")
    it.tree.shell("""
        install -d -o cxsink -g cxsink -m 0700 /var/lib/cxsink
        printf demo-secret >/etc/cxsink/secret
        cxsink-sim --listen 127.0.0.1:0 --port-file /tmp/port --rate 200 --client-id demo \
            --client-secret demo-secret >/tmp/sim.log 2>&1 & sim=$!
        while [ ! -s /tmp/port ]; do sleep 0.1; done
        sed -i "s/19555/$(cat /tmp/port)/g" /etc/cxsink/hand.json
        CREDENTIALS_DIRECTORY=/etc/cxsink; export CREDENTIALS_DIRECTORY
        setpriv --reuid=cxsink --regid=cxsink --init-groups \
            cxsink run -c /etc/cxsink/hand.json >/tmp/hand.log 2>&1 & daemon=$!
        n=0
        until cxsink spool stat --json --dir /var/lib/cxsink/spool | grep -qE '"unacknowledged":[1-9][0-9]{2}'; do
            n=$((n + 1)); [ $n -lt 300 ] || { cat /tmp/hand.log; exit 1; }; sleep 0.1
        done
        kill -TERM $daemon; wait $daemon
        kill $sim; wait $sim || true
        rm /etc/cxsink/hand.json""")
    it.expect(it.spooled() >= 100, "the spool keeps what was received")


def start_sim(it, name):
    """Under systemd, too; its port."""
    it.tree.run("systemd-run", "-q", f"--unit=sim-{name}", "cxsink-sim", "--listen", "127.0.0.1:0", "--port-file",
                f"/tmp/{name}.port", "--rate", "200", "--client-id", "demo", "--client-secret", "demo-secret")
    return until(lambda: it.tree.run("cat", f"/tmp/{name}.port", code=None).stdout.strip(), "the simulator listens")


def properties(it, unit):
    shown = it.tree.run("systemctl", "show", unit, "-p", "ActiveState,Result,NRestarts,MainPID,ExecMainStatus").stdout
    return dict(line.split("=", 1) for line in shown.splitlines())


def check_services(it):
    """Both units under systemd in their sandbox, reload, restart after a kill, no loop after a fault."""
    it.configure("cxsink", start_sim(it, "cxsink"))
    it.configure("acme", start_sim(it, "acme"), **ACME)
    for unit in ("cxsink", "cxsink@"):
        drop_in = it.tree.path / f"etc/systemd/system/{unit}.service.d"
        drop_in.mkdir(parents=True, exist_ok=True)
        (drop_in / "secret.conf").write_text("[Service]\nLoadCredential=secret:/etc/cxsink/secret\n")
    (it.tree.path / "etc/cxsink/secret").chmod(0o600)
    it.tree.run("systemctl", "daemon-reload")
    before = it.spooled()
    it.tree.run("systemctl", "enable", "--now", "cxsink", "cxsink@acme")
    until(lambda: it.status()["spool"]["events"] > before, "events of now are spooled behind those of before")
    until(lambda: it.status(*OF_ACME)["spool"]["events"] > 0, "the instance has its own")
    it.tree.run("runuser", "-u", "cxsink", "--", "cxsink", "status", *OF_ACME, "--ready", code=1)
    it.tree.run("systemctl", "reload", "cxsink", "cxsink@acme")
    until(lambda: "config.reload" in it.tree.run("journalctl", "-u", "cxsink").stdout, "the reload is taken")
    it.tree.run("systemctl", "kill", "-s", "KILL", "cxsink")
    until(lambda: (p := properties(it, "cxsink"))["ActiveState"] == "active" and p["NRestarts"] == "1",
          "started again after a kill")
    good = (it.tree.path / "etc/cxsink/acme.json").read_text()
    (it.tree.path / "etc/cxsink/acme.json").write_text("{")
    it.tree.run("systemctl", "restart", "cxsink@acme", code=1)
    time.sleep(3)  # longer than RestartSec: it must not come
    after = properties(it, "cxsink@acme")
    it.expect((after["ActiveState"], after["ExecMainStatus"], after["NRestarts"]) == ("failed", "78", "0"), after)
    (it.tree.path / "etc/cxsink/acme.json").write_text(good)
    it.tree.run("systemctl", "restart", "cxsink@acme")
    check_helper_in_sandbox(it)


def check_helper_in_sandbox(it):
    """cxsink-jscheck with the sandbox of the unit around it."""
    unit = it.tree.run("systemctl", "cat", "cxsink").stdout
    unit = re.sub(r"^(Type|ExecStart|ExecReload|WatchdogSec|Restart|LoadCredential)=.*$", "", unit, flags=re.M)
    for verdict, text in ((0, "let a = 1;"), (1, "let a = ;")):
        (it.tree.path / "etc/systemd/system/jscheck-test.service").write_text(
            unit + "\n[Service]\nType=oneshot\nStandardInput=data\n"
            f"StandardInputText={text}\nExecStart=/usr/libexec/cxsink/cxsink-jscheck script\n")
        it.tree.run("systemctl", "daemon-reload")
        it.tree.run("systemctl", "start", "jscheck-test", code=verdict)
        it.expect(properties(it, "jscheck-test")["ExecMainStatus"] == str(verdict), properties(it, "jscheck-test"))
    (it.tree.path / "etc/systemd/system/jscheck-test.service").unlink()


def check_upgrade(it):
    """What runs is the new version then, configuration and spool are as they were."""
    pids = {unit: properties(it, unit)["MainPID"] for unit in ("cxsink", "cxsink@acme")}
    config = (it.tree.path / "etc/cxsink/cxsink.json").read_text()
    spooled = it.status()["spool"]["events"]
    it.install(it.newer, "-o", "Dpkg::Options::=--force-confold")
    for unit, arguments in (("cxsink", ()), ("cxsink@acme", OF_ACME)):
        until(lambda u=unit: properties(it, u)["MainPID"] not in (pids[u], "0"), f"{unit} is restarted")
        it.expect(it.status(*arguments)["version"] == NEW_VERSION, f"{unit} is the new version")
    it.expect((it.tree.path / "etc/cxsink/cxsink.json").read_text() == config, "the configuration is as it was")
    it.expect(it.stat("/etc/cxsink/cxsink.json") == "640 root:cxsink", "and its mode")
    it.expect(it.status()["spool"]["events"] >= spooled, "the spool is as it was")


def check_removal(it):
    """Removed: configuration and state stay. Purged with nobody to ask: what is not delivered stays, and it is said."""
    it.tree.run("apt-get", "remove", "-y", "-q", "cxsink")
    it.expect(it.tree.run("systemctl", "is-active", "cxsink", "cxsink@acme", code=None).stdout.split() ==
              ["inactive", "inactive"], "the services are stopped")
    it.expect(not it.here("/usr/bin/cxsink") and it.here("/etc/cxsink/cxsink.json"), "the configuration stays")
    done = it.tree.run("apt-get", "purge", "-y", "-q", "cxsink")
    it.expect("kept /var/lib/cxsink" in done.stdout + done.stderr, f"it says what it kept: {done}")
    it.expect(it.here("/var/lib/cxsink/spool") and not it.here("/etc/cxsink/cxsink.json"), "state stays, settings go")
    it.install(it.newer)
    spooled = it.spooled()
    it.expect(spooled > 0, "they are there still")
    it.tree.shell("cp -a /var/lib/cxsink /root/state; echo 'cxsink cxsink/purge-undelivered boolean true'"
                  " | debconf-set-selections")
    it.tree.run("apt-get", "purge", "-y", "-q", "cxsink")
    it.expect(not it.here("/var/lib/cxsink"), "the answer yes removes them")
    it.tree.shell("mv /root/state /var/lib/cxsink")
    it.install(it.newer)
    it.expect(it.spooled() == spooled, "put back for the next test")
    return spooled


def check_delivery(it, spooled):
    """A database at last: all is delivered, and a purge need not ask."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (it.tree.path / "etc/postgresql-common").mkdir()
    (it.tree.path / "etc/postgresql-common/createcluster.conf").write_text("create_main_cluster = false\n")
    it.tree.run(*APT, "postgresql")
    it.tree.shell(f"""
        version=$(ls /usr/lib/postgresql)
        pg_createcluster -p {port} --locale=C.UTF-8 -o listen_addresses= $version main
        systemctl daemon-reload
        systemctl start postgresql@$version-main
        runuser -u postgres -- createuser -p {port} cxsink
        runuser -u postgres -- createdb -p {port} -O cxsink events""")
    for name, places in (("cxsink", {}), ("acme", ACME)):
        it.configure(name, 9, postgres={"dsn": f"host=/var/run/postgresql port={port} dbname=events"}, **places)
    it.tree.run("systemctl", "start", "cxsink", "cxsink@acme")
    for arguments in ((), OF_ACME):
        until(lambda a=arguments: it.status(*a)["spool"]["events"] == 0, "the spool is delivered")
    told = it.status()["database"]
    delivered = told["inserted"] + told["updated"] + told["unchanged"]
    it.expect((delivered, told["dead_letters"]) == (spooled, 0), f"{told} of {spooled} events")
    done = it.tree.run("apt-get", "purge", "-y", "-q", "cxsink")
    it.expect(not it.here("/var/lib/cxsink") and "kept" not in done.stderr, "nothing is left that is needed")
    it.expect(not it.here("/etc/cxsink/cxsink.json"), "nor settings")


def check_installed(tree, packages, newer):
    it = Installed(tree, packages, newer)
    check_installation(it)
    check_by_hand(it)
    print(f"{tree.suite}: installed; run by hand as user cxsink", flush=True)
    with tree.booted():
        check_services(it)
        print(f"{tree.suite}: both units run under systemd "
              f"{tree.run('systemctl', '--version').stdout.split()[1]}, in their sandbox", flush=True)
        check_upgrade(it)
        spooled = check_removal(it)
        check_delivery(it, spooled)
    print(f"{tree.suite}: upgraded, removed, purged, with and without events that no database has", flush=True)


def check_demo(tree):
    done = tree.run("make", "-C", "/src", "demo", environment={"DEMO_SECONDS": "5"})
    if "nothing lost, nothing twice" not in done.stdout:
        fail(f"{tree.suite}: make demo:\n{done.stdout[-3000:]}")
    print(f"{tree.suite}: make demo runs", flush=True)


def check_suite(work, suite):
    began = time.monotonic()
    print(f"{suite}: debootstrap from {mirror()}", flush=True)
    clean = debootstrap(work, suite)
    builder = Tree(work / f"{suite}.build", suite)
    subprocess.run(["cp", "-a", str(clean.path), str(builder.path)], check=True)
    copy_source(builder)
    packages, newer = check_building(builder)
    check_installed(clean, packages, newer)
    check_demo(builder)
    print(f"{suite}: passed in {time.monotonic() - began:.0f} s", flush=True)


def main(suites):
    if os.getuid() != 0 or shutil.which("debootstrap") is None:
        fail("it needs root, debootstrap (apt-get install debootstrap) and a Debian mirror")
    work = pathlib.Path(tempfile.mkdtemp(prefix="cxsink-deb."))
    try:
        for suite in suites or ("bookworm", "trixie"):
            check_suite(work, suite)
    finally:
        if os.environ.get("KEEP"):
            print(f"check-deb: kept {work}")
        else:
            subprocess.run(["rm", "-rf", "--one-file-system", str(work)], check=False)
    print("check-deb: passed")


if __name__ == "__main__":
    main(sys.argv[1:])
