# SPDX-License-Identifier: Apache-2.0
"""A private PostgreSQL server on a unix socket, run as another user when we are root."""
import contextlib
import glob
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile

import psycopg2

from . import wait


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Postgres:
    def __init__(self, path, settings=()):
        # The data must be reachable for the other user, and the socket's path short.
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="cxpg.", dir="/tmp"))
        self.data = self.home / "data"
        self.bin = pathlib.Path(sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1])
        self.port = free_port()
        self.settings = settings
        self.process = None
        self.user = None
        if os.getuid() == 0:
            self.user = pwd.getpwnam("postgres")
            os.chown(self.home, self.user.pw_uid, self.user.pw_gid)
        self.home.chmod(0o755)
        self._run(["initdb", "-D", str(self.data), "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8",
                   "--locale=C.UTF-8"])

    def _as_user(self):
        if self.user is None:
            return {}
        return {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}

    def _run(self, command):
        command[0] = str(self.bin / command[0])
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self.home, **self._as_user())

    def start(self, wait_for_it=True):
        settings = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": self.home,
                    "fsync": "off", "max_connections": 60, "log_min_messages": "warning",
                    "shared_buffers": "64MB", **dict(self.settings)}
        arguments = [f"-c{name}={value}" for name, value in settings.items()]
        log = open(self.home / "log", "ab")
        self.process = subprocess.Popen([str(self.bin / "postgres"), "-D", str(self.data), *arguments],
                                        stdout=log, stderr=log, cwd=self.home, start_new_session=True,
                                        **self._as_user())
        log.close()
        if wait_for_it:
            wait.until(self.answers, 60, "PostgreSQL answers")

    def answers(self):
        try:
            self.query("select 1")
            return True
        except psycopg2.Error:
            return False

    def stop(self, how="fast"):
        """smart, fast or immediate."""
        if self.process is None:
            return
        signals = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
        self.process.send_signal(signals[how])
        self.process.wait(60)
        self.process = None

    def destroy(self):
        self.stop("immediate")
        shutil.rmtree(self.home, ignore_errors=True)

    def dsn(self, database="postgres", tcp=False, user="postgres"):
        host = "127.0.0.1" if tcp else self.home
        return f"host={host} port={self.port} user={user} dbname={database}"

    def query(self, sql, database="postgres", args=None):
        """Rows of one statement, autocommitted; [] when it returns none."""
        connection = psycopg2.connect(self.dsn(database), connect_timeout=10)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql, args)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()


class Database:
    def __init__(self, cluster, name):
        self.cluster = cluster
        self.name = name

    @property
    def dsn(self):
        return self.cluster.dsn(self.name)

    def query(self, sql, args=None):
        return self.cluster.query(sql, self.name, args)

    def value(self, sql, args=None):
        return self.query(sql, args)[0][0]

    def count(self, table="cxone_events"):
        """Rows of a table; 0 while it is not there."""
        if self.value("select to_regclass(%s) is null", (table,)):
            return 0
        return self.value(f"select count(*) from {table}")

    def dead(self):
        """reason of every dead letter, in order of arrival."""
        if self.value("select to_regclass('cxsink.dead_letters') is null"):
            return []
        return [row[0] for row in self.query("select reason from cxsink.dead_letters order by source_seq")]


@contextlib.contextmanager
def bouncer(database, home):
    """PgBouncer in transaction mode before the database's server; start() and kill() it."""
    made = Bouncer(database, home / "bouncer")
    try:
        yield made
    finally:
        made.kill()


class Bouncer:
    def __init__(self, database, home):
        self.database, self.home, self.port = database, home, free_port()
        self.dsn = f"host=127.0.0.1 port={self.port} user=postgres dbname={database.name}"
        home.mkdir()
        home.parent.chmod(0o755)
        (home / "ini").write_text(f"""[databases]
* = host={database.cluster.home} port={database.cluster.port} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 4
ignore_startup_parameters = extra_float_digits
""")
        self.start()

    def start(self):
        log = open(self.home / "log", "ab")
        self.process = subprocess.Popen(["/usr/sbin/pgbouncer", str(self.home / "ini")], stdout=log, stderr=log,
                                        cwd="/", **self.database.cluster._as_user())
        log.close()

    def kill(self):
        self.process.kill()
        self.process.wait(20)
