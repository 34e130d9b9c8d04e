# SPDX-License-Identifier: Apache-2.0
"""cxsink validate: files of any size, processes, terminals, what stops in the middle."""
import contextlib
import json
import os
import pathlib
import pty
import resource
import select
import signal
import subprocess
import time

import pytest

from support import wait

SHARED = pathlib.Path(os.environ.get("CXSINK_SHARED_DATA",
                                      pathlib.Path(__file__).resolve().parents[3] / "shared" / "data"))
SCHEMA = {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}


class Validator:
    def __init__(self, build, home):
        self.binary = build / "cxsink"
        self.home = home
        self.schema = self.file("schema.json", json.dumps(SCHEMA))

    def file(self, name, text):
        path = self.home / name
        path.write_text(text)
        return path

    def argv(self, *args):
        return [str(self.binary), "validate", "--schema", str(self.schema), *map(str, args)]

    def start(self, *args, **options):
        return subprocess.Popen(self.argv(*args), **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options})

    def run(self, *args, code=0, **options):
        done = subprocess.run(self.argv(*args), capture_output=True, text=True, timeout=120 * wait.FACTOR, **options)
        assert done.returncode == code, (done.returncode, done.stdout[:1000], done.stderr)
        return done


@pytest.fixture
def validator(build, workdir):
    return Validator(build, workdir)


def lines(n, bad_every=0):
    """Some 100 bytes each."""
    text = "x" * 75
    return "".join(f'{{"id": {i}, "text": "{text}"}}\n' if bad_every and i % bad_every == 0 else
                   f'{{"id": "{i}", "text": "{text}"}}\n' for i in range(1, n + 1))


def test_exit_codes_and_forms(validator):
    good = validator.file("good.ndjson", lines(3))
    bad = validator.file("bad.ndjson", lines(4, bad_every=2))
    assert validator.run(good).stdout == ""
    done = validator.run(good, bad, code=1)
    assert done.stdout == "".join(f"{bad}:{i}: /id: expected string, found number (type at /properties/id/type)\n"
                                  for i in (2, 4))
    assert done.stderr == ""
    assert validator.run("--quiet", bad, code=1).stdout == ""
    first = json.loads(validator.run("--output", "basic", bad, code=1).stdout.splitlines()[0])
    assert first == {"file": str(bad), "line": 2, "valid": False, "errors": [
        {"valid": False, "keywordLocation": "/properties/id/type", "instanceLocation": "/id",
         "absoluteKeywordLocation": f"file://{validator.schema}#/properties/id/type",
         "error": "expected string, found number"}]}
    reported = [json.loads(line) for line in validator.run("--json", bad, code=1).stdout.splitlines()]
    assert [(fault["line"], fault["keyword"]) for fault in reported] == [(2, "type"), (4, "type")]
    assert "cannot open" in validator.run(validator.home / "none.ndjson", code=64).stderr
    validator.schema.write_text('{\n  "type": "objekt"\n}')
    assert f"{validator.schema}:2:" in validator.run(good, code=78).stderr


def output_cases(draft):
    """The standard's tests of the "basic" form, where something is not valid."""
    for path in sorted((SHARED / "json-schema-test-suite" / "output-tests" / draft / "content").glob("*.json")):
        for group in json.loads(path.read_text()):
            for case in group["tests"]:
                basic = case["output"].get("basic")
                if basic and "errors" in basic.get("required", []):
                    yield group["schema"], case["data"], basic


@pytest.mark.parametrize("draft", ["draft2019-09", "draft2020-12"])
def test_the_standards_output_tests(validator, draft):
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is not there")
    form = json.loads((SHARED / "json-schema-test-suite" / "output-tests" / draft / "output-schema.json").read_text())
    seen = 0
    for schema, data, basic in output_cases(draft):
        validator.schema.write_text(json.dumps(schema))
        told = validator.run("--output", "basic", "-", input=json.dumps(data), code=1).stdout
        validator.schema.write_text(json.dumps({"$schema": form["$schema"], "$defs": {"form": form}, **basic}))
        validator.run("-", input=told)
        seen += 1
    assert seen >= 3


def test_standard_input(validator):
    bad = validator.file("bad.ndjson", lines(100000, bad_every=50000))
    expected = ["-:50000: /id: expected string, found number (type at /properties/id/type)",
                "-:100000: /id: expected string, found number (type at /properties/id/type)"]
    with open(bad, "rb") as file:  # a file, divided
        assert validator.run("-j", 2, stdin=file, code=1).stdout.splitlines() == expected
    assert validator.run("-j", 2, "-", input=bad.read_text(), code=1).stdout.splitlines() == expected  # a pipe
    with open(bad, "rb") as file:  # from where it stands
        size = len(lines(49999))
        assert os.lseek(file.fileno(), size, os.SEEK_SET) == size
        assert validator.run("-j", 3, stdin=file, code=1).stdout.splitlines()[0].startswith("-:1: ")


def test_files_and_pipes_in_their_order(validator):
    """What only one process can read stands between what several do."""
    large = validator.file("large.ndjson", lines(100000, bad_every=30000))
    fifo = validator.home / "fifo"
    os.mkfifo(fifo)
    writer = subprocess.Popen(["sh", "-c", f"printf '[]\\n1\\n' >'{fifo}'"])
    done = validator.run("--jobs", 2, large, fifo, large, code=1)
    assert writer.wait(30) == 0
    told = [line.split(": ")[0] for line in done.stdout.splitlines()]
    of_large = [f"{large}:{i}" for i in (30000, 60000, 90000)]
    assert told == of_large + [f"{fifo}:1", f"{fifo}:2"] + of_large


def test_memory_does_not_grow_with_the_file(validator, sanitized):
    if sanitized:
        pytest.skip("the memory of a sanitized binary says nothing")
    small = validator.file("small.ndjson", lines(1000, bad_every=2))
    large = validator.file("large.ndjson", lines(400000, bad_every=2))

    def peak(*args):
        process = validator.start(*args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 1
        return usage.ru_maxrss

    assert peak(large) < peak(small) + 2048  # KiB; 40 MB of lines
    assert peak("-j", 3, large) < peak(small) + 40960  # what a part tells


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(child) for child in file.read().split()]


@contextlib.contextmanager
def held(validator, *args):
    """A run whose output nobody takes, so that it stands still in the middle."""
    process = validator.start(*args)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_process_that_dies_is_a_fault(validator):
    large = validator.file("large.ndjson", lines(200000, bad_every=1))
    with held(validator, "--jobs", 3, large) as process:
        workers = wait.until(lambda: len(children(process.pid)) == 3 and children(process.pid))
        select.select([process.stdout], [], [], 30 * wait.FACTOR)
        os.kill(workers[1], signal.SIGKILL)
        out, err = process.communicate(timeout=120 * wait.FACTOR)
        assert process.returncode == 70
        assert f"process {workers[1]} was ended by signal 9" in err.decode()
        assert "there is no answer" in err.decode()
        # what was told before is right, in order, and ends with a whole line
        told = out.decode().splitlines()
        assert [int(line.split(":")[1]) for line in told] == list(range(1, len(told) + 1))
        assert out.endswith(b")\n")
        assert not any(os.path.exists(f"/proc/{worker}") for worker in workers)


def test_a_process_that_cannot_start_is_a_fault(validator):
    """Without descriptors for all processes there is no answer, and those that run already are ended."""
    files = [validator.file(f"{i}.ndjson", lines(1)) for i in range(16)]
    done = validator.run("--jobs", 16, *files, code=70,
                         preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (12, 12)))
    assert done.stderr == "cxsink validate: cannot start a process: Too many open files\n"
    assert done.stdout == ""


def test_processes_end_with_their_parent(validator):
    large = validator.file("large.ndjson", lines(200000, bad_every=1))
    with held(validator, "--jobs", 2, large) as process:
        workers = wait.until(lambda: len(children(process.pid)) == 2 and children(process.pid))
        select.select([process.stdout], [], [], 30 * wait.FACTOR)
        process.kill()
        process.wait()

    def gone(pid):
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii") as file:
                return file.read().rsplit(")", 1)[1].split()[0] == "Z"  # init is to reap it
        except FileNotFoundError:
            return True

    wait.until(lambda: all(gone(worker) for worker in workers))


def test_a_reader_that_leaves(validator):
    """Nobody wants the rest: it ends soon, and says so."""
    large = validator.file("large.ndjson", lines(200000, bad_every=1))
    for jobs in (1, 2):
        process = validator.start("--jobs", jobs, large)
        assert process.stdout.readline().startswith(str(large).encode() + b":1: ")
        process.stdout.close()
        assert process.wait(60 * wait.FACTOR) == 70
        assert b"cannot write" in process.stderr.read()
        process.stderr.close()


def read_all(terminal):
    shown = b""
    while True:
        try:
            more = os.read(terminal, 65536)
        except OSError:  # the other end is closed
            return shown
        if not more:
            return shown
        shown += more


def test_progress_of_a_pipe_on_a_terminal(validator):
    terminal, slave = pty.openpty()
    process = validator.start("-", stdin=subprocess.PIPE, stderr=slave)
    os.close(slave)
    shown = b""
    fed = 0
    end = time.monotonic() + 60 * wait.FACTOR
    while b"invalid" not in shown and time.monotonic() < end:
        process.stdin.write(lines(1000, bad_every=500).encode())
        process.stdin.flush()
        fed += 1
        if select.select([terminal], [], [], 0.02)[0]:
            shown += os.read(terminal, 65536)
    out = process.communicate(timeout=60 * wait.FACTOR)[0]
    shown += read_all(terminal)
    os.close(terminal)
    assert process.returncode == 1
    assert b" MB  " in shown and b" MB/s\033[K" in shown
    # the line is wiped before the summary, and nothing of it is in the output
    assert shown.split(b" MB/s\033[K")[-1] == f"\r\033[K{fed * 1000} lines, {fed * 2} invalid\r\n".encode()
    assert len(out.splitlines()) == fed * 2 and b"\033" not in out


def test_progress_of_files_on_a_terminal(validator):
    """All on one screen: the line of progress gives way to faults."""
    large = validator.file("large.ndjson", lines(300000, bad_every=100000))
    terminal, slave = pty.openpty()
    process = validator.start("--jobs", 2, large, large, large, large, stdout=slave, stderr=slave)
    os.close(slave)
    shown = read_all(terminal)
    os.close(terminal)
    assert process.wait(60 * wait.FACTOR) == 1
    visible = [line.split(b"\r\033[K")[-1].split(b"\033[K")[-1] for line in shown.replace(b"\r\n", b"\n").split(b"\n")]
    assert visible == [f"{large}:{i}: /id: expected string, found number (type at /properties/id/type)".encode()
                       for i in (100000, 200000, 300000)] * 4 + [b"1200000 lines, 12 invalid", b""]


def test_no_progress_without_a_terminal_or_when_quiet(validator):
    large = validator.file("large.ndjson", lines(200000))
    assert validator.run("--jobs", 2, large).stderr == ""
    terminal, slave = pty.openpty()
    process = validator.start("--quiet", large, large, stderr=slave)
    os.close(slave)
    assert read_all(terminal) == b""
    os.close(terminal)
    assert process.wait(60 * wait.FACTOR) == 0
    process.stdout.close()
