# SPDX-License-Identifier: Apache-2.0
"""Where jobs come from: the configuration, the drop directory, schedules; and how long they stay."""
import base64
import json
import os

import pytest

from support import farside, pgproxy, wait
from support.fleet import Fleet

SMALL = {"data": base64.b64encode(b"small").decode(), "encoding": "base64", "content_type": "application/octet-stream"}
SCAN = {"action": "scan", **SMALL}


@pytest.fixture
def fleet(make_daemon, database, far):
    return Fleet(make_daemon, database, far)


# --- the configuration ---

def test_a_job_of_the_configuration_runs_once(fleet, database, far):
    """By its id: over restarts, reloads and retention, and whatever becomes of its parameters."""
    daemon = fleet.start(queue=[{"id": "once", **SCAN}, {"id": "twin", **SCAN}])
    for name in ("once", "twin"):
        farside.wait_job(database, name)
    farside.enqueue(database, "scan", SMALL, id="other")
    farside.wait_job(database, "other")
    daemon.reload()
    assert daemon.stop() == 0
    database.query("update cxsink.jobs set finished_at = now() - interval '2 d'")
    daemon.config["jobs"]["retention"] = "1d"
    daemon.config["jobs"]["queue"] = [{"id": "once", **SCAN, "metadata": {"page": 2}}, {"id": "twin", **SCAN},
                                      {"id": "new", **SCAN}]
    daemon.write()
    daemon.start().wait_ready()
    farside.wait_job(database, "new")
    wait.until(lambda: farside.job(database, "other") is None, 30, "what is old is deleted")
    wait.until(lambda: 'with other parameters, and not again: "once";' in daemon.log(), 30, "it is said")
    assert "deleted 1 finished jobs that were older than jobs.retention" in daemon.log()
    daemon.reload()
    farside.enqueue(database, "scan", SMALL, id="last")
    farside.wait_job(database, "last")
    assert sorted(fleet.column("id")) == ["last", "new", "once", "twin"]
    assert len(far.seen("POST", "/execute$")) == 5
    assert fleet.column("source") == ["sql", "config", "config", "config"]


# --- schedules ---

def test_schedules(fleet, database, far):
    """Every second, but not while the last one runs; and by the clocks of a time zone."""
    far.script("POST", "/execute$", gate := farside.Gate())
    daemon = fleet.start(queue=[
        {"id": "often", "every": "1s", **SCAN},
        {"id": "daily", "cron": "30 2 * * *", "time_zone": "Europe/Berlin", **SCAN},
        {"id": "utc", "cron": "*/5 9-17 * * mon-fri", **SCAN}])
    gate.wait_held(1)
    wait.until(lambda: "schedule often: its previous job is unfinished; this time is left out" in daemon.log(), 30,
               "one is left out")
    assert fleet.count("schedule_id = 'often'") == 1
    gate.open()
    wait.until(lambda: fleet.count("schedule_id = 'often' and state = 'succeeded'") >= 3, 30, "it comes again")
    times = dict((name, (zone, shown)) for name, zone, shown in database.query(
        "select id, time_zone, to_char(next_at at time zone time_zone, 'HH24:MI') from cxsink.job_schedules"))
    assert times["daily"] == ("Europe/Berlin", "02:30") and times["utc"][0] == "UTC"
    # When its time comes, whoever is there queues it.
    database.query("update cxsink.job_schedules set next_at = now() where id = 'daily'")
    wait.until(lambda: fleet.count("schedule_id = 'daily' and state = 'succeeded'") == 1, 30, "the daily one is done")
    assert database.value("select next_at > now() and to_char(next_at at time zone 'Europe/Berlin', 'HH24:MI') = '02:30' "
                          "from cxsink.job_schedules where id = 'daily'")
    # What the configuration has no more comes no more.
    daemon.config["jobs"]["queue"] = daemon.config["jobs"]["queue"][1:]
    daemon.reload()
    wait.until(lambda: sorted(r[0] for r in database.query("select id from cxsink.job_schedules")) == ["daily", "utc"],
               30, "the schedule is gone")


def test_two_daemons_queue_a_time_once(fleet, database, far):
    queue = [{"id": "often", "every": "1s", **SCAN}]
    for _ in range(2):
        fleet.start(queue=queue)
    wait.until(lambda: fleet.count("state = 'succeeded'") >= 4, 30, "some times pass")
    times = fleet.column("extract(epoch from date_trunc('second', created_at))::bigint")
    assert len(times) == len(set(fleet.column("id"))) and len(far.effects) >= 4
    assert max(far.effects.values()) == 1
    assert database.value("""select min(gap) > interval '0.5 s' from (
        select created_at - lag(created_at) over (order by created_at) as gap from cxsink.jobs) g""")


# --- the drop directory ---

def drop(directory, name, content):
    """As a program that is careful: written elsewhere, then moved."""
    made = directory.parent / f"{name}.made"
    made.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    made.chmod(0o644)
    made.rename(directory / name)


def wait_taken(directory, seconds=30):
    wait.until(lambda: not [n for n in os.listdir(directory) if n.endswith(".json")], seconds, "every file is taken")


@pytest.fixture
def dropped(fleet, workdir):
    """The directory, with a daemon that watches it."""
    directory = workdir / "jobs.d"
    fleet.changes["drop_dir"] = str(directory)
    fleet.daemon = fleet.start()
    wait.until(directory.exists, 30, "the directory is made")
    wait.until(lambda: (directory / "failed").exists(), 30, "failed/ is made")
    return directory


BAD = {
    "syntax.json": (b'{"action": "scan",}', ["line 1"]),
    "empty.json": (b"", ["holds no job"]),
    "blank.json": (b" \n", ["holds no job"]),
    "unknown.json": ({"action": "scam", **SMALL}, ["/action", "scam", "scan"]),
    "faulty.json": ([SCAN, {"action": "scan", "data": "!", "encoding": "base64", "content_type": "a/b", "more": 1},
                     {"action": "ticket", "inputs": {"a": [1]}, "correlation_id": "x"}],
                    ["/1/data", "/1/content_type", "/1/more", "/2/inputs/a", "/2/correlation_id"]),
    "latin1.json": ('{"action": "sc\u00e4n"}'.encode("latin-1"), ["UTF-8"]),
    "binary.json": (bytes(range(256)), []),
    "number.json": (b"42", []),
    "lines.json": (b'{"action": "none"}\n{"action": "scan"}\n', ["/0/action", "/1"]),
    "zone.json": ({"action": "scan", "cron": "0 0 * * *", "time_zone": "Europe/Nowhere", "id": "z", **SMALL}, ["time_zone"]),
}


def test_good_and_bad_files(fleet, dropped, database, far):
    for name, (content, _) in BAD.items():
        drop(dropped, name, content)
    (dropped.parent / "target").write_text(json.dumps(SCAN))
    (dropped / "link.json").symlink_to(dropped.parent / "target")
    os.mkfifo(dropped / "fifo.json")
    (dropped / "directory.json").mkdir()
    with open(dropped / "huge.json", "wb") as file:
        file.truncate((1 << 20) + 1)
    drop(dropped, "one.json", {"id": "one", **SCAN})
    drop(dropped, "list.json", [{"id": "two", **SCAN}, {"id": "three", **SCAN}])
    drop(dropped, "lines2.json", b"".join(json.dumps({"id": f"l{n}", **SCAN}).encode() + b"\n" for n in range(3)))
    drop(dropped, "notes.txt", b"not for us")
    wait_taken(dropped)
    assert sorted(os.listdir(dropped / "done")) == ["lines2.json", "list.json", "one.json"]
    failed = dropped / "failed"
    others = {"link.json": ["symbolic link"], "fifo.json": ["no regular file"], "directory.json": ["no regular file"],
              "huge.json": ["larger than 1 MiB"]}
    names = [*BAD, *others]
    assert sorted(os.listdir(failed)) == sorted([*names, *(f"{name}.error" for name in names)])
    for name, words in [*((name, words) for name, (_, words) in BAD.items()), *others.items()]:
        text = (failed / f"{name}.error").read_text()
        assert text.endswith("\n"), name
        for word in words:
            assert word in text, (name, word, text)
    assert (dropped / "notes.txt").exists()
    fleet.wait_done()
    assert fleet.column("id") == ["l0", "l1", "l2", "one", "three", "two"]
    fleet.check_once(6)
    log = fleet.daemon.log()
    assert "faulty.json is refused: 5 faults, see failed/faulty.json.error" in log


def test_a_file_that_is_still_written_is_not_taken(fleet, dropped, database):
    text = json.dumps({"id": "slow", **SCAN}).encode()
    with open(dropped / "slow.json", "wb") as file:
        file.write(text[:20])
        file.flush()
        drop(dropped, "quick.json", {"id": "quick", **SCAN})
        farside.wait_job(database, "quick")
        assert farside.job(database, "slow") is None and (dropped / "slow.json").exists()
        file.write(text[20:])
    farside.wait_job(database, "slow")
    wait_taken(dropped)
    assert os.listdir(dropped / "failed") == []


def test_many_files_at_once(fleet, dropped):
    for n in range(500):
        drop(dropped, f"f{n}.json", {"id": f"j{n}", **SCAN} if n % 2 else SCAN)
    wait_taken(dropped, 60)
    assert len(os.listdir(dropped / "done")) == 500 and os.listdir(dropped / "failed") == []
    fleet.wait_done()
    fleet.check_once(500)


def test_dying_between_queueing_and_moving(fleet, make_daemon, database, cluster, far, workdir):
    """The server has the jobs, the daemon does not know it: they are found again, and not twice."""
    directory = workdir / "jobs.d"
    fleet.changes["drop_dir"] = str(directory)
    with pgproxy.Proxy(cluster.port) as proxy:
        settings = fleet.settings()
        settings["postgres"]["dsn"] = f"host=127.0.0.1 port={proxy.port} user=postgres dbname={database.name}"
        daemon = make_daemon(settings).start().wait_ready()
        wait.until(lambda: (directory / "failed").exists(), 30, "failed/ is made")
        proxy.hole = b"named"
        drop(directory, "list.json", [SCAN, {"id": "named", **SCAN}])
        wait.until(lambda: fleet.count() == 2, 30, "they are queued")
        assert os.listdir(directory / "done") == []
        daemon.kill()
        proxy.hole = None
        drop(directory, "also.json", [{"id": "also", **SCAN}])  # while nobody looks
        daemon.start().wait_ready()
        fleet.let_leases_end()
        wait_taken(directory)
        fleet.wait_done()
        assert sorted(os.listdir(directory / "done")) == ["also.json", "list.json"]
        fleet.check_once(3)


def test_a_reload_takes_another_directory(fleet, dropped, database, workdir):
    """What waits in the old one is taken when it is looked at again."""
    other = workdir / "other.d"
    fleet.daemon.config["jobs"]["drop_dir"] = str(other)
    fleet.daemon.reload()
    wait.until(lambda: (other / "failed").exists(), 30, "it is made")
    drop(dropped, "old.json", {"id": "old", **SCAN})
    drop(other, "new.json", {"id": "new", **SCAN})
    farside.wait_job(database, "new")
    assert farside.job(database, "old") is None and (dropped / "old.json").exists()
    fleet.daemon.config["jobs"]["drop_dir"] = str(dropped)
    fleet.daemon.reload()
    farside.wait_job(database, "old")
