#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""make demo: a private PostgreSQL, the simulator and the daemon under build/demo/, a live table once
a second, and at the end what was sent beside what SELECT finds, and what came of a job. Leaves no process behind.

DEMO_SECONDS ends it by itself (default: Ctrl-C); DEMO_RATE is in events/s (default 5000).
"""
import glob
import http.client
import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import psycopg2

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("CXSINK_BUILD", ROOT / "build")).resolve()
HOME = BUILD / "demo"
RATE = float(os.environ.get("DEMO_RATE", "5000"))
SECONDS = float(os.environ.get("DEMO_SECONDS", "0"))
PROCESSES = []


class Stop(Exception):
    pass


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start(command, log, **options):
    with open(log, "ab") as out:
        process = subprocess.Popen([str(part) for part in command], stdout=out, stderr=out, start_new_session=True,
                                   **options)
    PROCESSES.append(process)
    return process


def until(condition, seconds, what, process=None, log=None):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            result = condition()
            if result:
                return result
        except (OSError, psycopg2.Error, ValueError):
            pass
        if process is not None and process.poll() is not None:
            break
        time.sleep(0.05)
    tail = pathlib.Path(log).read_text(errors="replace")[-2000:] if log else ""
    sys.exit(f"demo: not so after {seconds} s: {what}\n{tail}")


class Postgres:
    """On a unix socket in a short path, as another user when we are root."""

    def __init__(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="cxsink-demo-pg."))
        self.port = free_port()
        self.user = {}
        if os.getuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.home, user.pw_uid, user.pw_gid)
            self.user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        self.home.chmod(0o755)
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
        if not found:
            sys.exit("demo: no PostgreSQL server is installed (/usr/lib/postgresql/*/bin)")
        binaries = pathlib.Path(found[-1])
        log = HOME / "postgres.log"
        subprocess.run([binaries / "initdb", "-D", self.home / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8",
                        "--locale=C.UTF-8"], check=True, stdout=subprocess.DEVNULL, cwd=self.home, **self.user)
        self.process = start([binaries / "postgres", "-D", self.home / "data", "-k", self.home, "-p", self.port,
                              "-clisten_addresses="], log, cwd=self.home, **self.user)
        until(lambda: self.query("select 1"), 30, "PostgreSQL answers", self.process, log)

    @property
    def dsn(self):
        return f"host={self.home} port={self.port} user=postgres dbname=postgres"

    def query(self, sql):
        connection = psycopg2.connect(self.dsn)
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall()
        finally:
            connection.close()


def write_config(postgres, sim_port):
    config = {
        "state_dir": str(HOME / "state"), "runtime_dir": str(HOME / "run"),
        "auth": {"demo": {"token_url": f"http://127.0.0.1:{sim_port}/oauth/token", "client_id": "demo",
                          "client_secret": {"env": "DEMO_SECRET"}, "scope": "data-actions:read"}},
        "streams": {"interactions": {"url": f"ws://127.0.0.1:{sim_port}/data-actions/v1/stream/demo", "auth": "demo",
                                     "schema": str(ROOT / "config/schemas/cxone-event.json"),
                                     "table": "cxone_events"}},
        "tables": {"cxone_events": {
            "columns": {"interaction_id": "/interactionId", "timestamp": "/timestamp", "type": "/type",
                        "idempotency_key": "/idempotencyKey", "duration": "/attributes/duration",
                        "disposition": "/attributes/disposition", "queue_name": "/attributes/queueName",
                        "agent_id": "/attributes/agentId", "attributes": "/attributes"},
            "key": ["idempotency_key"],
            "update": ["timestamp", "duration", "disposition", "queue_name", "agent_id", "attributes"],
            "newest_by": "timestamp", "touch": "updated_at"}},
        "postgres": {"dsn": postgres.dsn},
        "jobs": {
            "apis": {"demo": {"base_url": f"http://127.0.0.1:{sim_port}", "auth": "demo"}},
            "actions": {"open-ticket": {"kind": "invoke", "api": "demo",
                                        "action_id": "a1b2c3d4-e5f6-7890-abcd-ef1234567890",
                                        "allowed_inputs": ["customerId", "priority"]}},
            "queue": [{"id": "demo-ticket", "action": "open-ticket",
                       "inputs": {"customerId": "C-1042", "priority": 2}}]},
        "admin": {"listen": "127.0.0.1:0"},
    }
    path = HOME / "cxsink.json"
    path.write_text(json.dumps(config, indent=2))
    return path


def daemon_status():
    connection = http.client.HTTPConnection("localhost", timeout=5)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(5)
    connection.sock.connect(str(HOME / "run" / "control.sock"))
    connection.request("GET", "/api/status", headers={"Connection": "close"})
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer


def sim(port, path, post=False):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method="POST" if post else "GET")
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.loads(answer.read())


def print_line(status, last, elapsed):
    stream, spool = status["streams"][0], status["spool"]
    rate = (stream["committed"] - last.get("committed", 0)) / max(elapsed - last.get("elapsed", 0), 0.001)
    print(f"{elapsed:7.0f} s {stream['received']:12,.0f} {stream['committed']:12,.0f} {stream['rejected']:9,.0f}"
          f" {rate:10,.0f} {stream.get('commit_p99_seconds', 0) * 1000:8.0f} ms {spool['oldest_seconds']:7.2f} s"
          f" {spool['events']:9,.0f}  {'' if status['ready'] else 'not ready: ' + '; '.join(status['reasons'])[:80]}",
          flush=True)
    last.update(committed=stream["committed"], elapsed=elapsed)


def show_live():
    began, last, lines = time.monotonic(), {}, 0
    while SECONDS <= 0 or time.monotonic() - began < SECONDS:
        if lines % 20 == 0:
            print(f"{'time':>9} {'received':>12} {'committed':>12} {'rejected':>9} {'rows/s':>10} {'p99':>11}"
                  f" {'lag':>9} {'spool':>9}")
        lines += 1
        time.sleep(1)
        print_line(daemon_status(), last, time.monotonic() - began)


JOB = ("select action, kind, state, date_part('epoch', finished_at - started_at) * 1000, result -> 'outputs'"
       " from cxsink.jobs where finished_at is not null")


def show_job(postgres):
    """True when it succeeded."""
    action, kind, state, ms, outputs = postgres.query(JOB)[0]
    print(f"\n1 job: {kind} {action} {state} in {ms:.0f} ms: {json.dumps(outputs)}")
    return state == "succeeded"


def summary(postgres, port):
    """What was sent beside what SELECT finds. True when they are the same."""
    sent = sim(port, "/sim/stats")
    rows, keys = postgres.query("select count(*), count(distinct idempotency_key) from cxone_events")[0]
    dead = postgres.query("select count(*), count(distinct payload_sha256) from cxsink.dead_letters")[0]
    print(f"\n{'':28}{'sent':>12}{'in PostgreSQL':>16}")
    print(f"{'events':28}{sent['sent']:12,}")
    print(f"{'  with a key of their own':28}{sent['unique']:12,}{rows:16,}  rows ({keys:,} keys)")
    print(f"{'  the same again':28}{sent['duplicates']:12,}{'0':>16}  further rows")
    print(f"{'  older versions':28}{sent['older']:12,}{'0':>16}  further rows")
    print(f"{'  malformed':28}{sent['malformed']:12,}{dead[1]:16,}  dead letters")
    print("\nsome dead letters:")
    for row in postgres.query("select distinct on (reason) id, reason, coalesce(detail #>> '{0,instance}', ''),"
                              " coalesce(detail #>> '{0,message}', '') from cxsink.dead_letters order by reason, id"):
        print(f"  {row[0]:<8} {row[1]:28} {row[2]:18} {row[3][:70]}")
    same = rows == keys == sent["unique"] and dead[1] == sent["malformed"]
    print("\nnothing lost, nothing twice" if same else "\nTHE FIGURES DIFFER")
    return same


def run():
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True)
    print("demo: starting a private PostgreSQL, the simulator and cxsink under build/demo/", flush=True)
    postgres = Postgres()
    try:
        port_file = HOME / "sim.port"
        simulator = start([BUILD / "cxsink-sim", "--listen", "127.0.0.1:0", "--port-file", port_file, "--rate", RATE,
                           "--client-id", "demo", "--client-secret", "demo-secret", "--duplicates", "3", "--older",
                           "2", "--malformed", "0.02"], HOME / "sim.log")
        until(lambda: port_file.exists() and port_file.read_text().strip(), 10, "the simulator listens", simulator,
              HOME / "sim.log")
        port = int(port_file.read_text())
        config = write_config(postgres, port)
        sink = start([BUILD / "cxsink", "run", "-c", config], HOME / "cxsink.log",
                     env={**os.environ, "DEMO_SECRET": "demo-secret"})
        until(lambda: daemon_status()["ready"], 30, "cxsink is ready", sink, HOME / "cxsink.log")
        status = daemon_status()
        print(f"demo: status page http://127.0.0.1:{status['admin_port']:.0f}/, log in build/demo/cxsink.log\n"
              f"demo: psql '{postgres.dsn}'\n", flush=True)
        try:
            show_live()
        except (KeyboardInterrupt, Stop):
            print("\nstopping")
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        sim(port, "/sim/set?paused=1", post=True)

        def settled():
            s = daemon_status()
            return s["spool"]["events"] == 0 and s["streams"][0]["received"] >= sim(port, "/sim/stats")["sent"]
        until(settled, 60, "everything sent is committed", sink, HOME / "cxsink.log")
        until(lambda: postgres.query(JOB), 60, "the job is finished", sink, HOME / "cxsink.log")
        same = summary(postgres, port)
        same &= show_job(postgres)
        sink.send_signal(signal.SIGTERM)
        sink.wait(30)
        return 0 if same else 1
    finally:
        end_all()
        shutil.rmtree(postgres.home, ignore_errors=True)


def end_all():
    for process in reversed(PROCESSES):
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def on_signal(_number, _frame):
    raise Stop


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, on_signal)
    sys.exit(run())
