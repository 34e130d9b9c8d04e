# SPDX-License-Identifier: Apache-2.0
"""The manual pages and the completion of shells: sound, and of one mind with what --help says."""
import os
import re
import shutil
import subprocess

import pytest

from support.daemon import ROOT

PAGES = sorted((ROOT / "config" / "man").glob("*.[15]"))
BASH = ROOT / "config" / "completion" / "cxsink.bash"
ZSH = ROOT / "config" / "completion" / "_cxsink"
COMMON = {"--help", "--version", "--config"}


def run(*argv, code=0, **options):
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=60, **options)
    assert done.returncode == code, (argv, done.returncode, done.stdout, done.stderr)
    return done.stdout


def options_of(text):
    return set(re.findall(r"(?:^|[\s\[|(`])(--[a-z][a-z-]*)", text))


@pytest.fixture(scope="module")
def helps(build):
    """What each command's --help says; "": of cxsink itself."""
    whole = run(build / "cxsink", "--help")
    commands = re.findall(r"^  ([a-z]+) ", whole.split("\nCommon options")[0], re.M)
    assert len(commands) >= 10
    return {"": whole, **{c: run(build / "cxsink", c, "--help") for c in commands}}


# --- manual pages ---

@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_page_is_sound(page):
    if shutil.which("mandoc") is None:
        pytest.skip("mandoc is not installed: the pages are not checked")
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", str(page)], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout == "", done.stdout


def test_all_pages_are_there():
    assert [p.name for p in PAGES] == ["cxsink-sim.1", "cxsink.1", "cxsink.json.5"]


def test_page_of_the_simulator_says_what_its_help_says(build):
    """Of cxsink(1), tests/unit/cli/manual_test.c sees to that."""
    said = run(build / "cxsink-sim", "--help")
    page = (ROOT / "config" / "man" / "cxsink-sim.1").read_text()
    written = {"-" + word for word in re.findall(r"\bFl (-[a-z-]+)", page)}
    assert options_of(said) - COMMON == written - COMMON
    assert set(re.findall(r"/sim/[a-z]+", said)) == set(re.findall(r"/sim/[a-z]+", page))
    for name in set(re.findall(r"\b([a-z_]+)=", said)):
        assert f"{name}=" in page, name


def test_page_names_exit_codes_and_variables(helps):
    page = (ROOT / "config" / "man" / "cxsink.1").read_text()
    status = page.split(".Sh EXIT STATUS")[1].split(".Sh ")[0]
    codes = set(re.findall(r"(?<=\b)(\d+) ", helps[""].split("Exit codes:")[1]))
    assert codes == set(re.findall(r"^\.It (\d+)$", status, re.M)) and len(codes) == 6
    sources = "".join(p.read_text() for p in (ROOT / "src").glob("*/*.c") if p.parent.name not in ("sim", "jscheck"))
    for name in set(re.findall(r'getenv\("([A-Z_]+)"\)', sources)):
        assert name in page, name


def test_example_of_the_page_is_a_configuration(build, tmp_path):
    page = (ROOT / "config" / "man" / "cxsink.json.5").read_text()
    example = page.split(".Bd -literal -offset indent\n")[1].split(".Ed")[0]
    (tmp_path / "cxsink.json").write_text(example)
    secrets = {"CXONE_CLIENT_ID": "i", "CXONE_CLIENT_SECRET": "s", "CXONE_STREAM_ID": "1", "CXSINK_PG_DSN": "dbname=x"}
    assert "all is well" in run(build / "cxsink", "check", "-c", tmp_path / "cxsink.json", env={**os.environ, **secrets})


def literals_of_sources():
    """The string literals of the sources, neighbours joined."""
    text = "\n".join(path.read_text() for path in sorted((ROOT / "src").glob("*/*.c")))
    text += "\n".join(path.read_text() for path in sorted((ROOT / "include").glob("*/*.h")))
    return re.sub(r'"\s*(?:FOR_A_DBA|PRIVATE_CA|POSITION_FILE)?\s*"', "", text).replace('\\"', '"')


def test_troubleshooting_has_the_words_of_the_program():
    """The first column of its tables is what one searches for: each part of it between what differs is in the sources."""
    page = (ROOT / "config" / "troubleshooting.md").read_text()
    words = literals_of_sources()
    rows = [row.split(" | ")[0] for row in re.findall(r"^\| (.*) \|$", page, re.M)]
    quoted = [quote for row in rows for quote in re.findall(r"`([^`]+)`", row)]
    assert len(quoted) > 50
    for quote in quoted:
        for part in re.split(r'…|\d|"|\b(?:KEYWORD|COLUMN|SQLSTATE|token|backoff|down|blocked)\b', quote):
            part = part.strip(" :,();")
            found = part in words or part.removeprefix("json.").removeprefix("schema.") in words
            assert len(part) < 6 or found, f"{part!r} of `{quote}` is not in the sources"


def test_links_between_the_pages_lead_somewhere():
    for page in [ROOT / "README.md", *(ROOT / "config").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


# --- completion ---

def complete_bash(build, line, cwd=None):
    """The words that bash offers behind `line`."""
    script = (f"source {BASH}; COMP_WORDS=({' '.join(repr(w) for w in line)}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); "
              "_cxsink; printf '%s\\n' \"${COMPREPLY[@]}\"")
    environment = {**os.environ, "PATH": f"{build}:{os.environ['PATH']}"}
    return {w for w in run("bash", "--norc", "-c", script, env=environment, cwd=cwd).split("\n") if w}


# What zsh would be asked to offer: its builtins of completion as functions that print.
ZSH_STUBS = r"""
compadd() { [[ $1 == -- ]] && shift; print -l -- $@ }
_describe() { [[ $1 == -o ]] && shift; print -l -- ${(P)2} }
_files() { print -l -- FILES $@ }
compset() { : }
"""


def complete_zsh(build, line, cwd=None):
    script = f"{ZSH_STUBS}; words=({' '.join(repr(w) for w in line)}); CURRENT=$#words; source {ZSH} || :"
    environment = {**os.environ, "PATH": f"{build}:{os.environ['PATH']}"}
    said = run("zsh", "-f", "-c", script, env=environment, cwd=cwd).split("\n")
    return {re.sub(r"(?<!\\):.*", "", w) for w in said if w and (w.startswith(line[-1]) or w in ("FILES", "-/"))}


@pytest.fixture(params=["bash", "zsh"])
def complete(request, build):
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed: its completion is not tried")
    function = {"bash": complete_bash, "zsh": complete_zsh}[request.param]
    return lambda *line, **options: function(build, line, **options)


def test_commands_and_options_complete(complete, helps):
    assert complete("cxsink", "") == set(helps) - {""}
    assert complete("cxsink", "mig") == {"migrate"}
    assert complete("cxsink", "-c", "x.json", "sta") == {"status"}
    for command, text in helps.items():
        assert complete("cxsink", *([command] if command else []), "--") == options_of(text) | {"--help"}, command
    assert complete("cxsink", "nonsense", "--") == set()


def test_verbs_complete(complete, helps):
    n = 0
    for command, text in helps.items():
        verbs = re.findall(rf"^(?:usage:|      ) cxsink {command} ([a-z|]+)(?: |$)", text, re.M) if command else []
        verbs = {verb for group in verbs for verb in group.split("|")}
        n += len(verbs)
        if verbs:
            assert complete("cxsink", command, "") == verbs
    assert n >= 15
    assert complete("cxsink", "jobs", "submit", "--w") == {"--wait"}


def test_values_complete(complete, build, tmp_path):
    (tmp_path / "cxsink.json").write_text('{"streams": {"one": {}, "two": {}}, "jobs": {"actions": {"three": {}}}}')
    assert complete("cxsink", "load", "-c", "cxsink.json", "--stream", "", cwd=tmp_path) == {"one", "two"}
    assert complete("cxsink", "load", "-c", "cxsink.json", "--stream", "t", cwd=tmp_path) == {"two"}
    assert complete("cxsink", "jobs", "list", "-c", "cxsink.json", "--action", "", cwd=tmp_path) == {"three"}
    assert complete("cxsink", "load", "-c", "missing.json", "--stream", "", cwd=tmp_path) == set()
    assert complete("cxsink", "jobs", "list", "--limit", "") == set()
    schema = ROOT / "config" / "schemas" / "cxone-event.json"
    for option in ("--draft", "--formats", "--output", "--strict"):
        values = complete("cxsink", "validate", option, "")
        assert len(values) >= 2
        for value in values:
            run(build / "cxsink", "validate", "--schema", schema, option, value, "/dev/null")
    states = complete("cxsink", "jobs", "list", "--state", "")
    assert states == {"queued", "running", "polling", "succeeded", "failed", "cancelled"}


def test_files_complete(complete, tmp_path):
    (tmp_path / "a.ndjson").touch()
    (tmp_path / "adir").mkdir()
    for line in (("load", "a"), ("validate", "a"), ("jobs", "submit", "a"), ("check", "-c", "a"), ("validate", "-s", "a")):
        assert complete("cxsink", *line, cwd=tmp_path) in ({"a.ndjson", "adir"}, {"FILES"}), line
    for line in (("spool", "stat", "--dir", "a"), ("status", "--runtime-dir", "a")):
        assert complete("cxsink", *line, cwd=tmp_path) in ({"adir"}, {"FILES", "-/"}), line
    assert complete("cxsink-sim", "--key", "a", cwd=tmp_path) in ({"a.ndjson", "adir"}, {"FILES"})
    assert complete("cxsink", "load", "--restart", "a", cwd=tmp_path) in ({"a.ndjson", "adir"}, {"FILES"})
    assert complete("cxsink", "dead", "show", "a", cwd=tmp_path) == set()


def test_simulator_completes(complete, build):
    assert complete("cxsink-sim", "--") == options_of(run(build / "cxsink-sim", "--help")) | {"--help"}
    assert complete("cxsink-sim", "") == set()


def test_completion_of_the_simulator_is_found_by_its_name():
    own = ROOT / "config" / "completion" / "cxsink-sim.bash"
    assert run("bash", "--norc", "-c", f"source {own}; complete -p cxsink-sim") == "complete -F _cxsink cxsink-sim\n"


def test_a_value_behind_an_equals_sign(build):
    """bash hands it over as three words."""
    assert complete_bash(build, ("cxsink", "validate", "--draft", "=")) == {"2020-12", "2019-09", "7", "6", "4"}
    assert complete_bash(build, ("cxsink", "validate", "--draft", "=", "2020")) == {"2020-12"}
