# SPDX-License-Identifier: Apache-2.0
"""What is shipped for Prometheus and Grafana: the rules raise their alerts, every expression can be parsed, and
both speak of metrics that there are."""
import json
import pathlib
import re
import subprocess

import yaml

CONFIG = pathlib.Path(__file__).resolve().parents[2] / "config"
TABLE = CONFIG.parent / "include" / "core" / "counter.h"
PROCESS = {"cpu_seconds_total", "open_fds", "max_fds", "virtual_memory_bytes", "resident_memory_bytes",
           "start_time_seconds"}


def promtool(*arguments):
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def metrics():
    """{name as it is scraped}"""
    names = set()
    for kind, name in re.findall(r"X\(\w+, (\w+), \w+, \"(\w+)\"", re.sub(r"\\\n\s*", " ", TABLE.read_text())):
        names |= {name + end for end in ("_bucket", "_sum", "_count")} if kind == "HISTOGRAM" else {name}
    assert len(names) > 30
    return names | {"process_" + name for name in PROCESS}


def named_in(expressions):
    return {name for text in expressions for name in re.findall(r"\b(?:cxsink|process)_\w+", re.sub(r'"[^"]*"', "", text))}


def rules():
    group, = yaml.safe_load((CONFIG / "alerts.rules.yml").read_text())["groups"]
    return group["rules"]


def panels():
    return [panel for panel in json.loads((CONFIG / "grafana-dashboard.json").read_text())["panels"]
            if panel["type"] != "row"]


def test_alerts_are_raised():
    """Each by the figures of its test; none while all is well; each says what is wrong and what to do."""
    promtool("check", "rules", CONFIG / "alerts.rules.yml")
    promtool("test", "rules", CONFIG / "alerts.test.yml")
    tested = {case["name"] for case in yaml.safe_load((CONFIG / "alerts.test.yml").read_text())["tests"]}
    for rule in rules():
        assert rule["alert"] in tested, rule["alert"]
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert len(rule["annotations"]["summary"]) > 20 and len(rule["annotations"]["description"]) > 40
    assert named_in(rule["expr"] for rule in rules()) <= metrics()


def test_the_dashboard_shows_every_metric(tmp_path):
    """Its expressions can be parsed, panels do not lie over each other, and no metric is left out."""
    expressions = [target["expr"] for panel in panels() for target in panel["targets"]]
    plain = [text.replace("$__rate_interval", "5m") for text in expressions]
    assert not any("$__" in text for text in plain)
    generated = tmp_path / "dashboard.rules.yml"
    generated.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": [
        {"record": f"panel:{i}", "expr": text} for i, text in enumerate(plain)]}]}))
    assert f"{len(plain)} rules found" in promtool("check", "rules", generated)
    shown = named_in(expressions)
    assert shown <= metrics()
    left_out = {re.sub(r"_(bucket|sum|count)$", "", name) for name in metrics()} - {
        re.sub(r"_(bucket|sum|count)$", "", name) for name in shown}
    assert left_out == set()
    taken = set()
    for panel in panels():
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24 and not cells & taken, panel["title"]
        taken |= cells
