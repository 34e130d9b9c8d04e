# SPDX-License-Identifier: Apache-2.0
"""The spool as the daemon uses it: damage, bounds, a full disk, memory, descriptors, durability."""
import hashlib
import json
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

from support import daemon, numbered, sim as sims, tenant as tenants, wait

AWAY = "host=/nonexistent dbname=none"  # a database that is never there
QUICK = {"base": "10ms", "cap": "100ms", "stable": "60s"}


def config(dsn, tenant, **changes):
    made = daemon.config(dsn, tenant, log={"level": "info"})
    made["streams"]["main"]["reconnect"] = dict(QUICK)
    return daemon.merge(made, changes)


def use(d, dsn):
    """Another database for the daemon's next start."""
    d.config["postgres"]["dsn"] = dsn
    d.write()


def spool_dir(d):
    return pathlib.Path(d.config["state_dir"]) / "spool"


def segments(d):
    return sorted(spool_dir(d).glob("*.seg"))


def report(cxsink, d, action="verify"):
    """(exit code, report) of `cxsink spool`."""
    done = cxsink("spool", action, "--json", "-c", d.path)
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def check_chain(d):
    """The audit log's hashes (README of the audit log: SHA-256 of the line up to its own hash)."""
    last = "0" * 64
    for line in (pathlib.Path(d.config["state_dir"]) / "audit.jsonl").read_text().splitlines():
        entry = json.loads(line)
        assert entry["prev"] == last, line
        last = entry["hash"]
        assert hashlib.sha256(line[:line.index(',"hash"')].encode()).hexdigest() == last, line


def fill(d, tenant, prefix, numbers):
    """Sends events to a daemon that runs, until it has them: a commit for each hundred at least."""
    before = d.stream()["received"]
    for first in range(0, len(numbers), 100):
        tenant.send_raw(numbered.frames(prefix, numbers[first:first + 100]))
        wanted = before + min(first + 100, len(numbers))
        wait.until(lambda: d.stream()["received"] == wanted, 60, f"{wanted} events are received", poll=0.001)


def begin(d, tenant):
    wait.until(lambda: not tenant.sockets, 30, "the connection of before is gone")
    d.start()
    tenant.wait_connected()
    return d.wait_up()


def overwrite(path, offset, data):
    with open(path, "r+b") as file:
        file.seek(offset if offset >= 0 else path.stat().st_size + offset)
        file.write(data)


# --- damage ---

def test_damage_is_stepped_over(database, tenant, make_daemon, cxsink):
    """P1, P7: whatever is damaged, the daemon starts, says what and where, and delivers the rest."""
    d = begin(make_daemon(config(AWAY, tenant, spool={"segment_bytes": "32KiB"})), tenant)
    fill(d, tenant, "damage", range(3000))
    d.kill()
    files = [file for file in segments(d)[:-1] if file.stat().st_size > 20000][:3] + segments(d)[-1:]
    assert len(files) == 4
    flipped = files[0].read_bytes()[16384]
    overwrite(files[0], 16384, bytes([flipped ^ 1]))
    overwrite(files[1], 10000, bytes(4096))
    overwrite(files[2], 0, bytes(64))  # its header
    os.truncate(files[-1], files[-1].stat().st_size - 10)
    (spool_dir(d) / "notes.txt").write_text("not ours")
    (spool_dir(d) / "0000000000000001.seg.bak").write_text("not ours")
    (spool_dir(d) / "old").mkdir()

    code, found = report(cxsink, d)
    assert code == 1 and found["corrupt_places"] >= 3 and found["corrupt_bytes"] > 4096
    assert {files[0].name, files[1].name} <= {place["file"] for place in found["damage"]}
    assert report(cxsink, d, "stat")[0] == 0, "only verify judges"
    text = cxsink("spool", "verify", "-c", d.path)
    assert text.returncode == 1 and re.search(rf"{files[0].name}: offset \d+: \d+ bytes", text.stdout)

    use(d, database.dsn)
    begin(d, tenant).wait_ready()
    wait.until(lambda: d.status()["spool"]["events"] == 0, 60, "the rest is delivered")
    lost = set(range(3000)) - numbered.stored(database, "damage")
    # A flipped bit costs its record, the zeros those that they touch, the cut the last one.
    assert 2999 in lost and 3 <= len(lost) <= 4096 / 250 + 5, sorted(lost)
    assert d.metrics()["cxsink_spool_corrupt_total"] == d.status()["spool"]["corrupt"] >= 3
    told = [entry for entry in d.audit() if entry["event"] == "spool.corrupt"]
    assert {files[0].name, files[1].name, files[-1].name} <= {entry["file"] for entry in told}
    assert all(re.fullmatch(r"\d+ bytes at offset \d+", entry["where"]) for entry in told)
    fill(d, tenant, "damage", range(3000, 3100))
    wait.until(lambda: numbered.stored(database, "damage") >= set(range(3000, 3100)), 30, "new events")
    for name in ("notes.txt", "0000000000000001.seg.bak", "old"):
        assert (spool_dir(d) / name).exists(), "what is not ours stays"
    assert d.stop() == 0
    assert report(cxsink, d)[0] == 0, "damage is gone with the segments"

    # A tail that was never written: what file systems leave after a power cut.
    use(d, AWAY)
    fill(begin(d, tenant), tenant, "zeroed", range(500))
    d.kill()
    last = segments(d)[-1]
    overwrite(last, -100, bytes(100))
    with open(last, "ab") as file:
        file.write(bytes(8192))
    use(d, database.dsn)
    begin(d, tenant).wait_ready()
    wait.until(lambda: d.status()["spool"]["events"] == 0, 60, "the rest is delivered")
    assert numbered.stored(database, "zeroed") == set(range(499))
    assert d.metrics()["cxsink_spool_corrupt_total"] >= 1
    check_chain(d)
    assert d.stop(signal.SIGINT) == 0


def test_second_daemon_is_refused(database, tenant, make_daemon, build, cxsink):
    """One state directory, one daemon: the second says which process has it, and changes nothing."""
    d = make_daemon(config(database.dsn, tenant)).start().wait_ready()
    fill(d, tenant, "one", range(100))
    second = {**d.config, "runtime_dir": str(d.home / "run2")}
    path = d.home / "second.json"
    path.write_text(json.dumps(second))
    for _ in range(2):
        refused = cxsink("run", "-c", path)
        assert refused.returncode == 78, refused.stderr
        assert re.search(rf"in use by process {d.process.pid}\b", refused.stderr), refused.stderr
    fill(d, tenant, "one", range(100, 200))
    wait.until(lambda: numbered.stored(database, "one") == set(range(200)), 30, "the first goes on")
    assert d.stop() == 0
    check_chain(d)
    assert d.audit_events().count("daemon.started") == d.audit_events().count("daemon.stopped") == 1


# --- size, descriptors, memory ---

def drained_position(cxsink, d):
    found = report(cxsink, d, "stat")[1]
    return found["unacknowledged"] == 0 and found


def test_backlog_comes_and_goes(database, build, make_daemon, workdir, cxsink):
    """P3, P6, P7: many segments, few descriptors; trimmed after COMMIT; nothing is sent twice."""
    with sims.Sim(build, workdir / "sim", "--rate", 20000, "--malformed", 0.05) as sim:
        d = make_daemon(config(AWAY, sim, spool={"segment_bytes": "64KiB"}))
        d.start().wait_up()
        # A segment takes more than its size from a busy machine, which writes much at a time.
        wait.until(lambda: d.status()["spool"]["segments"] > 50, 60, "many segments")
        sim.finish()
        sent = sim.stats()["sent"]
        wait.until(lambda: d.stream()["received"] == sent, 60, "the backlog is there")
        full = d.status()["spool"]
        assert full["events"] == sent
        assert d.metrics()["process_open_fds"] < 40
        code, found = report(cxsink, d)  # while the daemon runs
        assert code == 0 and found["unacknowledged"] == found["records"] == sent
        assert found["segments"] == full["segments"]
        assert d.stop() == 0
        sim.post("/sim/set?paused=1")

        use(d, database.dsn)
        d.start().wait_ready()
        wait.until(lambda: d.status()["spool"]["events"] == 0, 60, "the backlog is delivered")
        stats = sim.stats()
        assert database.count() == stats["unique"] and len(database.dead()) == stats["malformed"]
        empty = wait.until(lambda: d.status()["spool"]["segments"] <= 1 and d.status()["spool"], 10, "trimmed")
        assert empty["bytes"] < 65536 + 16384
        assert sum(file.stat().st_size for file in segments(d)) < 65536 + 16384
        assert d.metrics()["process_open_fds"] < 40
        wait.until(lambda: drained_position(cxsink, d), 30, "the position is stored")
        d.kill()
        for orderly in (False, True):  # after a crash, and after a stop
            d.start().wait_ready()
            status = d.status()
            assert (status["spool"]["events"], status["streams"][0]["committed"]) == (0, 0), orderly
            assert [status["database"][name] for name in ("inserted", "updated", "unchanged", "dead_letters")] == [
                0, 0, 0, 0]
            assert d.stop() == 0


def peak(d):
    """Most bytes that were ever resident (proc(5), VmHWM)."""
    text = pathlib.Path(f"/proc/{d.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", text)[1]) * 1024


def test_memory_does_not_follow_the_backlog(database, build, make_daemon, workdir, sanitized):
    """P4: 300,000 events wait; starting on them, and delivering them, takes no more than a few MiB."""
    count = 40000 if sanitized else 300000
    with sims.Sim(build, workdir / "sim", "--count", count) as sim:
        d = make_daemon(config(AWAY, sim)).start().wait_up()
        wait.until(lambda: d.stream()["received"] >= count, 120, "the backlog is there")
        filling = peak(d)
        assert d.status()["spool"]["bytes"] > 200 * count
        sim.post("/sim/set?paused=1")
        d.kill()
        use(d, database.dsn)
        d.start().wait_ready()
        middle = []
        wait.until(lambda: middle.append(d.rss()) or d.status()["spool"]["events"] == 0, 240, "delivered", poll=0.1)
        assert database.count() == sim.stats()["unique"] == count
        mib = [round(n / 2**20, 1) for n in (filling, middle[0], max(middle), d.rss(), peak(d))]
        print("MiB resident: peak while filling {}, start {}, highest seen {}, end {}, peak {}".format(*mib))
        if not sanitized:
            assert max(filling, peak(d)) < 64 * 2**20, mib
            late = middle[len(middle) // 2:]
            assert max(late) - min(late) < 16 * 2**20, "flat while it drains"
        assert d.stop() == 0


# --- bounds ---

def reload(d, taken=True):
    """Writes the configuration and waits until the daemon has read it."""
    before = d.audit_events().count("config.reload")
    d.write()
    d.send_signal(signal.SIGHUP)
    wait.until(lambda: d.audit_events().count("config.reload") > before, 30, "the reload is done")
    assert [e for e in d.audit() if e["event"] == "config.reload"][-1]["result"] == ("taken" if taken else "refused")


def refill(d, tenant, prefix, count):
    """More than the spool can take. Returns the figures before, and how many came to an end so far."""
    before = d.stream()
    tenant.send_raw(numbered.frames(prefix, range(count)))

    def taken():
        now = d.stream()
        newest = d.config["spool"]["when_full"] == "drop_newest"  # what drop_oldest drops was received before
        return now["received"] - before["received"] + (now["dropped"] - before["dropped"] if newest else 0)
    return before, taken


def test_full_spool_does_what_it_is_told(database, tenant, make_daemon):
    """P3, P8: drop_newest, drop_oldest and block; every drop is counted and audited."""
    d = make_daemon(config(AWAY, tenant, spool={"max_bytes": "256KiB", "segment_bytes": "32KiB",
                                                "when_full": "drop_newest"}))
    begin(d, tenant)
    events = 3000
    for policy in ("drop_newest", "drop_oldest"):
        d.config["spool"]["when_full"] = policy
        d.config["postgres"]["dsn"] = AWAY
        reload(d)
        before, taken = refill(d, tenant, policy, events)
        wait.until(lambda: taken() >= events, 60, "all are received or dropped")
        status = d.status()
        dropped = status["streams"][0]["dropped"] - before["dropped"]
        assert 0 < dropped < events
        assert not status["ready"] and status["spool"]["bytes"] <= 256 * 1024
        if policy == "drop_newest":  # the other one makes room by whole segments
            assert status["spool"]["full"] and any("the spool holds" in reason for reason in status["reasons"])
        metrics = d.metrics()
        assert metrics[f'cxsink_events_dropped_total{{stream="main",policy="{policy}"}}'] == dropped
        told = [entry for entry in d.audit() if entry["event"] == "spool.dropped" and entry["policy"] == policy]
        assert told and told[0]["stream"] == "main"
        d.config["postgres"]["dsn"] = database.dsn
        reload(d)
        wait.until(lambda: d.status()["ready"] and d.status()["spool"]["events"] == 0, 60, "the rest is delivered")
        rows = numbered.stored(database, policy)
        assert len(rows) == events - dropped
        assert (0 in rows) == (policy == "drop_newest") and (events - 1 in rows) == (policy == "drop_oldest")

    d.config["spool"]["when_full"] = "block"
    d.config["postgres"]["dsn"] = AWAY
    reload(d)
    before, taken = refill(d, tenant, "block", events)
    wait.until(lambda: d.stream()["state"] == "paused", 60, "the stream pauses")
    assert taken() < events
    d.config["postgres"]["dsn"] = database.dsn
    reload(d)
    wait.until(lambda: numbered.stored(database, "block") == set(range(events)), 60, "every one of them")
    assert d.stream()["dropped"] == before["dropped"]

    # A stream that waits takes another policy at once.
    d.config["postgres"]["dsn"] = AWAY
    reload(d)
    before, taken = refill(d, tenant, "turn", events)
    wait.until(lambda: d.stream()["state"] == "paused", 60, "the stream pauses")
    d.config["spool"]["when_full"] = "drop_oldest"
    reload(d)
    wait.until(lambda: taken() >= events, 60, "it goes on")  # all of them, and the older ones dropped
    assert d.stream()["dropped"] > before["dropped"]
    assert d.stop() == 0


@pytest.fixture
def small_disk(workdir):
    """16 MiB of file system."""
    path = workdir / "disk"
    path.mkdir()
    mounted = os.getuid() == 0 and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "none", str(path)], capture_output=True).returncode == 0
    if not mounted:
        pytest.skip("a file system of 16 MiB cannot be mounted here (needs root and CAP_SYS_ADMIN)")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)


def test_full_disk(database, build, make_daemon, workdir, small_disk, cxsink):
    """P5, P8: the stream waits, the reason is told, a restart is no way to lose, room lets it go on."""
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(12 << 20))
    with sims.Sim(build, workdir / "sim", "--count", 45000, "--duplicates", 2) as sim:
        d = make_daemon(config(AWAY, sim, state_dir=str(small_disk / "state"),
                               spool={"segment_bytes": "1MiB"})).start().wait_up()

        def stuck():
            status = d.status()
            return status["spool"]["write_failing"] and status["streams"][0]["state"] == "paused" and status
        status = wait.until(stuck, 60, "the disk is full and the stream paused")
        assert status["spool"]["no_space"] and not status["ready"]
        assert "the spool's file system is full: make room" in status["reasons"]
        assert d.get("/readyz")[0] == 503 and d.get("/healthz")[0] == 200
        assert re.search(r"spool.write_failed.*No space left", d.log())
        received = status["streams"][0]["received"]
        assert received < 45000

        d.kill()  # the disk is full when it comes back, too
        d.start().wait_up()
        wait.until(stuck, 60, "full again")
        assert d.status()["spool"]["events"] >= received
        assert cxsink("spool", "stat", "-c", d.path).returncode == 0

        ballast.unlink()
        wait.until(lambda: not d.status()["spool"]["write_failing"], 30, "it goes on by itself")
        wait.until(lambda: d.stream()["state"] == "live" or stuck(), 30, "it reads again")
        use(d, database.dsn)
        d.send_signal(signal.SIGHUP)
        wait.until(lambda: sim.stats()["done"] and d.status()["ready"] and d.status()["spool"]["events"] == 0,
                   60, "everything is delivered")
        assert database.count() == sim.stats()["unique"]
        assert "spool.recovered" in d.audit_events()
        assert d.stop() == 0
        check_chain(d)


# --- durability ---

def test_sync_modes(database, tenant, make_daemon):
    """Each mode delivers, and a reload changes it without a restart."""
    d = begin(make_daemon(config(database.dsn, tenant, spool={"sync": "off"})), tenant)
    for i, mode in enumerate(("off", "interval:20ms", "always", "off", "interval:20ms")):
        d.config["spool"]["sync"] = mode
        reload(d)
        fill(d, tenant, "sync", range(i * 200, i * 200 + 200))
        wait.until(lambda: database.count() == i * 200 + 200, 30, f"rows with {mode}")
    assert len(tenant.handshakes) == 1, "no reload broke the stream"
    d.kill()  # only processes die here: the kernel still writes what was not synced
    begin(d, tenant).wait_ready()
    assert d.stop() == 0
    assert database.count() == 1000


class Strace:
    """Follows a process that runs."""

    def __init__(self, pid, output, *options):
        self.output = output
        self.process = subprocess.Popen(["strace", "-f", "-tt", "-y", "-s", "200000", "-o", str(output), "-p", str(pid),
                                         *options], stderr=subprocess.PIPE, text=True)
        line = self.process.stderr.readline()
        if "attached" not in line:
            self.process.wait(20)
            pytest.skip(f"strace cannot follow a process here: {line.strip()}")

    def end(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)
        return self.output.read_text(errors="replace").splitlines()


def test_received_means_synced(database, tenant, make_daemon, workdir):
    """P9: no counter moves, and nobody is told, before fdatasync() returned without an error."""
    d = begin(make_daemon(config(AWAY, tenant)), tenant)
    fill(d, tenant, "synced", range(10))
    trace = Strace(d.process.pid, workdir / "order", "-e", "trace=read,recvfrom,write,pwrite64,pwritev,sendto,fdatasync")
    tenant.send(tenants.event("synced-0000010"))
    wait.until(lambda: d.stream()["received"] == 11, 30, "it is received")
    lines = trace.end()

    def first(pattern, after=0):
        return next((i for i, line in enumerate(lines) if i >= after and re.search(pattern, line)), None)
    arrived = first(r"(read|recvfrom)\(.*synced-0000010")
    written = first(r"(pwrite64|pwritev2?)\([^,]*\.seg>.*synced-0000010")
    assert arrived is not None and written is not None, lines[-20:]
    synced = first(r"fdatasync\(\d+<[^>]*\.seg>\) *= 0", written)
    told = first(r'(write|sendto)\(.*received\\":11\b')
    assert arrived < written < synced < told, (arrived, written, synced, told)

    # What cannot be synced does not count, however often it is tried.
    trace = Strace(d.process.pid, workdir / "fault", "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO")
    tenant.send_raw(numbered.frames("synced", range(11, 20)))
    wait.until(lambda: d.status()["spool"]["write_failing"], 30, "the fault is seen")
    wait.until(lambda: (workdir / "fault").read_text().count("EIO") >= 2, 30, "it is tried again")
    status = d.status()
    assert status["streams"][0]["received"] == 11 and "the spool cannot be written" in status["reasons"]
    trace.end()
    wait.until(lambda: d.stream()["received"] == 20, 30, "the disk is well again")
    assert {"spool.write_failed", "spool.recovered"} <= set(d.audit_events())
    d.kill()
    use(d, database.dsn)
    begin(d, tenant).wait_ready()
    wait.until(lambda: numbered.stored(database, "synced") == set(range(20)), 30, "all of them, once")
    assert database.count() == 20
    assert d.stop() == 0
