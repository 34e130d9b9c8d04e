#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""make bench-schema: parsing and validating beside Ajv (JSON.parse and validate) and the Blaze validator, in one run:
the default event, and the schemas with instances of ../shared/data/jsonschema-benchmark ($CXSINK_SHARED_DATA).

One process at a time; each figure is the best of several rounds, for that is what the machine can do undisturbed.
Validation alone repeats each instance on end, as Blaze's own benchmark does; parsing goes over all lines in turn.
Formats are asserted by all three.
"""
import json
import math
import os
import pathlib
import re
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("CXSINK_BUILD", ROOT / "build")).resolve()
HOME = BUILD / "bench" / "others"
DATA = pathlib.Path(os.environ.get("CXSINK_SHARED_DATA", ROOT / ".." / "shared" / "data"))
DEFAULT_SCHEMA = ROOT / "config" / "schemas" / "cxone-event.json"
BLAZE_RUNS, BLAZE_LOOP = 5, 1000


def run(*command, **options):
    return subprocess.run([str(part) for part in command], text=True, capture_output=True, **options)


def ours(schema, instances=None):
    """{what: (figure, the rest of the line)} as bench_schema prints it, or the fault as a string."""
    done = run(BUILD / "bench" / "bench_schema", schema, *([instances] if instances else []))
    if done.returncode != 0:
        return done.stderr.strip().removeprefix("bench_schema: ").removeprefix(f"{schema}:")
    lines = [re.split(r"  +", line.strip()) for line in done.stdout.splitlines()]
    return {what: (float(figure.split()[0]), rest) for what, figure, *rest in lines}


def ajv(schema, instances):
    done = run("node", "ajv.js", schema, instances, cwd=HOME)
    return json.loads(done.stdout) if done.returncode == 0 else None


def blaze(schema, instances):
    """Microseconds an instance: of each instance the best of several runs."""
    best = {}
    for _ in range(BLAZE_RUNS):
        done = run(HOME / "node_modules" / ".bin" / "jsonschema", "validate", schema, instances, "--benchmark", "--fast",
                   "--format-assertion", "--loop", BLAZE_LOOP)
        for name, us in re.findall(r"^(.*): PASS ([0-9.]+) ", done.stdout, re.MULTILINE):
            best[name] = min(best.get(name, math.inf), float(us))
        if done.returncode != 0:
            return None
    return sum(best.values()) / len(best) if best else None


def install_others():
    """True when Ajv and Blaze are there."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        print("Node and npm are not installed (Debian: nodejs npm): no Ajv and no Blaze\n")
        return False
    shutil.copytree(ROOT / "tests" / "bench" / "others", HOME, dirs_exist_ok=True)
    done = run("npm", "install", "--silent", "--no-audit", "--no-fund", cwd=HOME)
    if done.returncode != 0:
        print(f"npm cannot install Ajv and Blaze: {done.stderr.strip()[:200]}\n")
    return done.returncode == 0


def cases():
    """(name, schema, instances); the default event first."""
    event = BUILD / "bench" / "default-event.jsonl"
    text = run(BUILD / "bench" / "bench_schema", "--event").stdout
    event.write_text(text)
    yield "default event", DEFAULT_SCHEMA, event
    folder = DATA / "jsonschema-benchmark" / "schemas"
    if not folder.is_dir():
        print(f"no {folder}: only the default event is measured\n")
        return
    for schema in sorted(folder.iterdir()):
        yield schema.name, schema / "schema.json", schema / "instances.jsonl"


def mean(values):
    return math.exp(sum(math.log(value) for value in values) / len(values))


def cell(value, form="{:9.3f}"):
    return "        -" if value is None else form.format(value)


def row(name, schema, instances, others):
    """Prints one; returns the two ratios, None where there is none."""
    mine = ours(schema, instances)
    if isinstance(mine, str):
        print(f"{name:14} unsupported: {mine[:120]}")
        return None, None
    a = ajv(schema, instances) if others else None
    b = blaze(schema, instances) if others else None
    us = {what: mine[what][0] for what in ("parse", "validate", "parse + validate", "compile")}
    speed = mine["parse + validate"][1][0].removesuffix(" MB/s")
    to_blaze = us["validate"] / b if b else None
    to_ajv = a["both_us"] / us["parse + validate"] if a else None
    print(f"{name:14}{us['parse']:9.3f}{us['validate']:9.3f}{cell(b)}{cell(to_blaze, '{:9.2f}')}"
          f"{us['parse + validate']:9.3f}{speed:>8}{cell(a and a['both_us'])}{cell(to_ajv, '{:9.1f}')}"
          f"{us['compile']:9.2f}{mine['memory'][1][0].removesuffix(' times the text'):>7}", flush=True)
    return to_blaze, to_ajv


def main():
    others = install_others()
    done = ours(DEFAULT_SCHEMA)
    print("the default event")
    for what, (figure, rest) in done.items():
        print(f"  {what:30} {figure:9.3f} {'ms' if what == 'compile' else 'bytes' if what == 'memory' else 'us'}  "
              f"{'  '.join(rest)}")
    print("\n" + " " * 14 + "    parse validate    Blaze    ratio    parse             Ajv    times  compile memory\n"
          + " " * 14 + "       us       us       us  (to us) +val. us    MB/s       us   faster       ms  /text", flush=True)
    ratios = [row(*case, others) for case in cases()]
    to_blaze, to_ajv = ([ratio for ratio in column if ratio] for column in zip(*ratios))
    if to_blaze:
        print(f"\nvalidation alone, ours / Blaze, geometric mean of {len(to_blaze)}: {mean(to_blaze):.2f}")
    if to_ajv:
        print(f"parse and validate, Ajv / ours, geometric mean of {len(to_ajv)}: {mean(to_ajv):.1f}")


if __name__ == "__main__":
    main()
