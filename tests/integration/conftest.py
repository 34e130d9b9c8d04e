# SPDX-License-Identifier: Apache-2.0
"""Fixtures: the real binary, a real PostgreSQL on a unix socket, a tenant that is not ours (aiohttp).

CXSINK_BUILD names the build directory (default: build). Everything lives in a temporary directory of
the test and ends with it; each wait has a deadline; ports are free ones on 127.0.0.1.
"""
import os
import pathlib
import subprocess
import uuid

import pytest

from support import daemon as daemon_support
from support import farside as farside_support
from support import names
from support import postgres as postgres_support
from support import tenant as tenant_support

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def build():
    path = pathlib.Path(os.environ.get("CXSINK_BUILD", ROOT / "build")).resolve()
    assert (path / "cxsink").exists(), f"{path}/cxsink is missing: run make first"
    return path


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """One PostgreSQL server for the whole run of a worker."""
    server = postgres_support.Postgres(tmp_path_factory.mktemp("pg"))
    server.start()
    yield server
    server.destroy()


@pytest.fixture
def database(cluster):
    """An empty database of its own for a test."""
    name = "t" + uuid.uuid4().hex[:12]
    cluster.query(f"create database {name}")
    yield postgres_support.Database(cluster, name)
    cluster.query(f"drop database if exists {name} with (force)")


@pytest.fixture(scope="module")
def shared_database(cluster):
    """One database for the tests of a file, which then keep their keys and streams apart."""
    name = "m" + uuid.uuid4().hex[:12]
    cluster.query(f"create database {name}")
    yield postgres_support.Database(cluster, name)
    cluster.query(f"drop database if exists {name} with (force)")


@pytest.fixture(scope="session")
def sanitized(build):
    """Whether the binary is built with AddressSanitizer: slow, and its memory says nothing."""
    return b"__asan_init" in (build / "cxsink").read_bytes()


@pytest.fixture
def own_cluster(tmp_path):
    """A server that a test may stop, kill and start again."""
    server = postgres_support.Postgres(tmp_path / "pg")
    server.start()
    yield server
    server.destroy()


@pytest.fixture
def tenant():
    with tenant_support.Tenant() as running:
        yield running


@pytest.fixture
def far():
    """The tenant with its REST side."""
    with farside_support.FarSide() as running:
        yield running


@pytest.fixture(scope="module")
def shared_far():
    """One for the tests of a file, which script it for their own jobs alone."""
    with farside_support.FarSide() as running:
        yield running


@pytest.fixture
def workdir(tmp_path):
    """A short path: unix sockets take 107 bytes."""
    path = pathlib.Path(subprocess.check_output(["mktemp", "-d", "/tmp/cxs.XXXXXX"], text=True).strip())
    yield path
    subprocess.run(["rm", "-rf", str(path)], check=False)


@pytest.fixture
def make_daemon(build, workdir):
    """make_daemon(config) -> Daemon; all of them are ended after the test."""
    daemons = []

    def make(config, **options):
        made = daemon_support.Daemon(build, workdir / f"d{len(daemons)}", config, **options)
        daemons.append(made)
        return made

    yield make
    for made in daemons:
        made.end()


@pytest.fixture
def cxsink(build):
    """cxsink("check", "-c", ...) -> CompletedProcess."""

    def run(*args, **options):
        options.setdefault("timeout", 60)
        return subprocess.run([str(build / "cxsink"), *map(str, args)], capture_output=True, text=True, **options)

    return run


@pytest.fixture
def slow_resolver(tmp_path):
    """The environment in which names that start with "slow" take seconds to look up."""
    return names.slow_environment(tmp_path)
