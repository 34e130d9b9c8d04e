# SPDX-License-Identifier: Apache-2.0
"""cxsink-jscheck alone: what it accepts, what it says, and what it cannot do."""
import json
import os
import pathlib
import resource
import signal
import subprocess

import pytest

from support import wait

MIB = 1 << 20


@pytest.fixture(scope="module")
def helper(build):
    path = build / "cxsink-jscheck"
    if not path.exists():
        pytest.skip("cxsink-jscheck is not built: JavaScriptCore or libseccomp is missing")
    return path


def run(helper, *arguments, code=b"", **options):
    """(exit code, standard output, standard error)"""
    options = {"env": {}, "timeout": 60, **options}
    done = subprocess.run([helper, *arguments], input=code, capture_output=True, **options)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def verdict(helper, mode, code):
    code = code if isinstance(code, bytes) else code.encode()
    status, out, err = run(helper, mode, code=code)
    assert err == ""
    assert out.endswith("}\n") and out.count("\n") == 1 and len(out) < 4096
    answer = json.loads(out)
    assert status == (0 if answer["ok"] else 1)
    return answer


MODERN = [
    "exports.handler = function(event) { return { a: (event.data || {}).value * 2 }; };",
    "async function f() { await g(); for await (const x of y) { yield_(x); } }",
    "a?.b?.[c]?.(d); a ??= b; a ||= b; a &&= b; 1_000n ** 2n;",
    "class A extends B { #p = 1; static #q() {} get p() { return #p in this; } static { 1; } }",
    r"/(?<year>\d{4})\k<year>(?<=a)\p{L}/v; `a${`b${c}`}`; String.raw`\u`;",
    "const { a, ...b } = { ...c }; let [d = 1, ...e] = f; function* g() { yield* h; }",
    "label: for (;;) { break label; } try { } catch { } finally { }",
    "while (1) { }",
    "for (;;) ;",
    "(a => { while (true) a(); })(() => process.exit());",
    "var привет = '😀', \\u0061b;",
    "#!/usr/bin/env node\n1;",
    "\ufeffvar a;",
    "",
]


@pytest.mark.parametrize("code", MODERN)
@pytest.mark.parametrize("mode", ["script", "module"])
def test_accepts(helper, mode, code):
    assert verdict(helper, mode, code) == {"ok": True}


def test_modules_and_scripts_differ(helper):
    module = "import a, { b as c } from 'x'; export default await a(c); export * as d from 'y'; import.meta.url;"
    assert verdict(helper, "module", module)["ok"]
    assert not verdict(helper, "script", module)["ok"]
    sloppy = "with (a) { b = 010; }"
    assert verdict(helper, "script", sloppy)["ok"]
    assert not verdict(helper, "module", sloppy)["ok"]


def test_nothing_is_run(helper):
    # Each of these would be seen: as an exception, as no end, as an import that fails.
    for code in ["throw new Error('run')", "(() => { for (;;) ; })()", "a.b.c()"]:
        assert verdict(helper, "script", code) == {"ok": True}
    assert verdict(helper, "module", "import 'file:///nonexistent.js'; throw 1") == {"ok": True}


@pytest.mark.parametrize("code, line, words", [
    ("let a;\nlet b;\n  let let;\n", 3, "let"),
    ("a\r\nb\r\n)", 3, ")"),
    ("function f() {\n\n\n", 4, "end of script"),
    ("'abc\n'", 1, ""),
    ("`abc\n\n", 3, ""),
    ("/* ...\n", 2, "comment"),
    ("return 1", 1, "Return"),
    ("a\nlet b; let b", 2, "twice"),
    ("/(/", 1, "regular expression"),
    ("\n\n'use strict'; delete a;", 3, "strict"),
    ("a\n\n\nawait b", 4, ""),
    ('"\\u{110000}"', 1, ""),
])
def test_names_the_line(helper, code, line, words):
    answer = verdict(helper, "script", code)
    assert (answer["ok"], answer["kind"], answer["line"]) == (False, "syntax", line), answer
    assert words in answer["message"]


@pytest.mark.parametrize("code, kind, line", [
    (b"a\n\xff", "not_utf8", 2),
    (b"\xc3", "not_utf8", 1),
    (b"var a = '\xed\xa0\x80'", "not_utf8", 1),
    (b"'\xc0\xaf'", "not_utf8", 1),
    ("var é".encode("latin-1"), "not_utf8", 1),
    ("var a".encode("utf-16"), "not_utf8", 1),
    (b"a\nb\n\0)", "nul", 3),
    (b"\0", "nul", 1),
])
def test_looks_at_the_bytes_first(helper, code, kind, line):
    for mode in ["script", "module"]:
        answer = verdict(helper, mode, code)
        assert (answer["ok"], answer["kind"], answer["line"]) == (False, kind, line)


def test_takes_a_mebibyte_and_no_more(helper):
    assert verdict(helper, "script", b"x" * MIB)["ok"]
    for size in [MIB + 1, 10 * MIB]:
        answer = verdict(helper, "script", b"x" * size)
        assert (answer["ok"], answer["kind"]) == (False, "too_large")


@pytest.mark.parametrize("piece", ["[", "{", "(", "`${", "a=>", "if(a)", "a?", "({a:", "(a,", "async()=>{", "a="])
def test_survives_a_million_brackets(helper, piece):
    code = piece * (1_000_000 // len(piece))
    if piece in ("[", "({a:") and run(helper, "script", code=code.encode())[:2] == (-signal.SIGKILL, ""):
        return  # newer engines take exponential time for patterns in patterns: its limit of CPU time ended it
    answer = verdict(helper, "script", code)
    assert (answer["ok"], answer["kind"]) == (False, "too_complex")
    assert "nested" in answer["message"]


def test_bounds_the_message(helper):
    answer = verdict(helper, "script", "let a; " + '"\\u00e9' * 5 + "x" * 500_000 + ' ' + "é" * 200_000)
    assert not answer["ok"] and len(answer["message"]) <= 511


def peak_memory(helper, code):
    """MiB resident at most, beyond what starting takes."""
    process = subprocess.Popen(["/bin/sh", "-c", '"$0" script >/dev/null', helper], stdin=subprocess.PIPE, env={})
    process.stdin.write(code)
    process.stdin.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_maxrss / 1024


@pytest.mark.parametrize("piece, end", [("a+", "a"), ("[],", "1"), ("!", "a"), ("()=>1,", "1"), ("x;", "")])
def test_real_code_stays_within_the_memory(helper, build, piece, end):
    if "asan" in str(build):
        pytest.skip("the sanitizer's own memory would be counted")
    code = piece * ((MIB - 1) // len(piece)) + end
    assert peak_memory(helper, code.encode()) < 256


def test_can_do_nothing_else(helper):
    status, out, err = run(helper, "--self-test")
    tried = json.loads(out)
    assert {"open", "create", "socket", "fork", "exec", "thread", "kill", "executable_memory"} <= set(tried)
    assert set(tried.values()) == {"EPERM"}
    assert (status, err) == (0, "")


def test_takes_nothing_with_it(helper, tmp_path):
    """A descriptor and an environment that it inherits, and its limits, seen while it waits for code."""
    with open(tmp_path / "secret", "w") as secret:
        process = subprocess.Popen([helper, "script"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   pass_fds=[secret.fileno()], cwd=tmp_path)
        try:
            status = pathlib.Path(f"/proc/{process.pid}/status")
            wait.until(lambda: "Seccomp:\t2" in status.read_text())
            # That these can be read at all shows that the parent may watch it.
            names = {os.readlink(f"/proc/{process.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{process.pid}/fd")}
            assert not [name for name in names if "secret" in name]
            assert os.readlink(f"/proc/{process.pid}/cwd") == "/"
            for thread in os.listdir(f"/proc/{process.pid}/task"):
                fields = open(f"/proc/{process.pid}/task/{thread}/status").read()
                assert "Seccomp:\t2" in fields and "NoNewPrivs:\t1" in fields
            for limit in [resource.RLIMIT_CORE, resource.RLIMIT_FSIZE]:
                assert resource.prlimit(process.pid, limit) == (0, 0)
            assert resource.prlimit(process.pid, resource.RLIMIT_CPU)[1] <= 5
            out, _ = process.communicate(b"let a", timeout=60)
            assert json.loads(out) == {"ok": True}
        finally:
            process.kill()
            process.wait()


def test_ends_itself_without_a_parent_that_watches(helper):
    """An exponential parse, which the daemon ends after three seconds, ends here by its CPU time."""
    status, out, _ = run(helper, "script", code=b"(a={b:" * 170_000)
    assert (status, out) == (-signal.SIGKILL, "")


@pytest.mark.parametrize("arguments, status", [([], 64), (["code"], 64), (["script", "module"], 64), (["--help"], 0),
                                               (["--version"], 0)])
def test_usage(helper, arguments, status):
    got, out, err = run(helper, *arguments)
    assert got == status
    assert ("usage: cxsink-jscheck" in err) == (status == 64)
    assert (out != "") == (status == 0)


def test_says_when_it_cannot_answer(helper, tmp_path):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([helper, "script"], input=b"a", stdout=full, stderr=subprocess.PIPE, timeout=60, env={})
    assert done.returncode == 70 and b"cannot write the verdict" in done.stderr
    directory = os.open(tmp_path, os.O_RDONLY)
    done = subprocess.run([helper, "script"], stdin=directory, capture_output=True, timeout=60, env={})
    os.close(directory)
    assert done.returncode == 70 and b"cannot read the code" in done.stderr
