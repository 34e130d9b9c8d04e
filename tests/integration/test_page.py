# SPDX-License-Identifier: Apache-2.0
"""The status page in a real browser: what it shows, how an outage looks, who may see it."""
import asyncio
import json
import os
import pathlib
import subprocess
import threading

import aiohttp
import pytest

from support import browser as browsers
from support import daemon, farside, postgres, tenant as tenants, wait

if not browsers.PROGRAM:
    pytest.skip("no chromium here", allow_module_level=True)

TOKEN = 'a "token" of the admin'
LEVEL = "document.getElementById('headline').dataset.level"
SHOTS = os.environ.get("CXSINK_SCREENSHOTS")  # a directory: pictures for people


@pytest.fixture(scope="module")
def browser():
    with browsers.Browser() as running:
        yield running


def open_page(browser, d, **options):
    page = browser.page(**options)
    return page.open(f"http://127.0.0.1:{d.status()['admin_port']}/")


def figures(page, title):
    """{name: text} of a table's first row, or of a list of facts."""
    return page.run(f"""Object.fromEntries([...document.querySelectorAll('#{title} tbody tr:first-child td')].map(
        (cell) => [cell.dataset.label, cell.innerText]).concat([...document.querySelectorAll('#{title} dt')].map(
        (term) => [term.innerText, term.nextElementSibling.innerText])))""")


def picture(page, name):
    if SHOTS:
        for width in (1280, 360):
            for scheme in ("light", "dark"):
                page.look(width, 900, scheme)
                page.screenshot(pathlib.Path(SHOTS) / f"{name}-{width}-{scheme}.png")


def contrast(page):
    """Texts whose colour is too near to their background: WCAG 2.1, 1.4.3."""
    return page.run("""(() => {
        const parse = (text) => text.match(/[\\d.]+/g).map(Number);
        const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map(
            (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4).reduce(
            (sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
        const behind = (e) => {
            for (; e; e = e.parentElement) {
                const c = parse(getComputedStyle(e).backgroundColor);
                if (c.length < 4 || c[3] === 1) return c;
            }
            return [255, 255, 255];
        };
        const faint = [];
        for (const e of document.querySelectorAll('main *, header *, footer *')) {
            const texts = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
            if (!texts || !e.checkVisibility()) continue;
            const svg = e instanceof SVGElement;
            const style = getComputedStyle(e);
            const a = light(parse(svg ? style.fill : style.color)), b = light(behind(e));
            const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
            if (ratio < 4.5) faint.push([e.tagName, e.className, e.textContent.slice(0, 30), ratio]);
        }
        return faint;
    })()""")


def overflow(page):
    return page.run("document.documentElement.scrollWidth - document.documentElement.clientWidth")


def test_a_day_of_it(browser, own_cluster, far, make_daemon):
    """It renders, moves, shows an outage and its end, in both themes, on wide and narrow screens, and never
    asks for anything elsewhere."""
    own_cluster.query("create database page")
    dsn = own_cluster.dsn("page")
    d = make_daemon(daemon.config(dsn, far, jobs=farside.jobs(far))).start().wait_ready()
    page = open_page(browser, d)
    page.wait(f"{LEVEL} === 'good'", what="all is well")
    assert page.text("#headline-text") == "All is well" and page.run("document.title") == "cxsink: all is well"
    far.send(*[tenants.event(f"k{i}") for i in range(100)])
    page.wait("document.querySelector('#streams tbody td:nth-child(5)')?.innerText === '100'", what="it moves")
    assert figures(page, "streams")["Stream"] == "main" and figures(page, "database")["Inserted"] == "100"
    far.send("bad", tenants.event("x", extra="<img src=x onerror=alert(1)>"))
    page.wait(f"{LEVEL} === 'warn'", what="the dead letters are told")
    assert "2 events of the last 15 minutes are dead letters" in page.text("#problems")
    assert "json.syntax" in page.text("#rejects") and "onerror" not in page.run("document.body.innerHTML")
    page.wait("document.querySelector('.plot .line.one').getAttribute('d').length > 20", what="the chart has a line")
    assert page.text("#tokens").count("cxone") >= 1 and "daemon.started" in page.text("#audit")
    farside.enqueue(postgres.Database(own_cluster, "page"), "ticket", {"inputs": {"customerId": "c-1"}})
    page.wait("document.querySelector('#actions tbody td:nth-child(2)')?.innerText === '1'", what="a job is done")
    assert "succeeded" in page.text("#job-states") and figures(page, "apis")["Breaker"] == "closed"
    done = subprocess.run(["promtool", "check", "metrics"], input=d.get("/metrics")[1], capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {"cxsink_job_seconds_count", "cxsink_jobs", "cxsink_breaker_state", "cxsink_jobs_finished_total"} <= {
        name.split("{")[0] for name in d.metrics()}
    for width, scheme in ((1280, "light"), (1280, "dark"), (320, "light"), (320, "dark")):
        page.look(width, 900, scheme, motion="reduce")
        assert overflow(page) <= 0, (width, scheme)
        assert contrast(page) == [], (width, scheme)
    assert page.run("getComputedStyle(document.querySelector('.dot')).animationName") == "none"
    page.look(1280, 900, "light")
    picture(page, "well")

    own_cluster.stop()
    page.wait(f"{LEVEL} === 'bad'", 60, "the outage is told")
    assert "database cannot be written" in page.text("#headline-text")
    assert "PostgreSQL" in page.text("#problems") and "nothing is lost" in page.text("#problems")
    far.send(*[tenants.event(f"later{i}") for i in range(5)])
    page.wait("document.querySelector('#spool dd:nth-of-type(2)').innerText === '5'", what="they wait in the spool")
    picture(page, "outage")
    own_cluster.start()
    page.wait(f"{LEVEL} === 'warn'", 60, "the outage is over")
    page.wait("document.querySelector('#streams tbody td:nth-child(5)').innerText === '105'", what="they are stored")

    d.kill()
    page.wait("document.body.classList.contains('stale')", what="the daemon's end is told")
    assert page.text("#headline-text").startswith("No connection to cxsink since ")
    assert page.text("#headline-text").endswith(", retrying") and LEVEL
    picture(page, "gone")
    assert all("ERR_CONNECTION_REFUSED" in error for error in page.errors), page.errors
    origin = page.run("location.origin")
    assert all(url.startswith((origin, origin.replace("http", "ws"))) for url in page.requests), page.requests
    assert d.audit_events().count("daemon.started") == 1
    page.close()


def test_it_comes_back_by_itself(browser, database, tenant, make_daemon):
    d = make_daemon(daemon.config(database.dsn, tenant)).start().wait_ready()
    d.config["admin"]["listen"] = f"127.0.0.1:{d.status()['admin_port']}"
    d.write()
    page = open_page(browser, d)
    page.wait(f"{LEVEL} === 'good'")
    d.kill()
    page.wait("document.body.classList.contains('stale')")
    d.start().wait_ready()
    page.wait(f"!document.body.classList.contains('stale') && {LEVEL} === 'good'", 60, "it is back")
    page.close()


def test_the_keyboard_is_enough(browser, database, tenant, make_daemon):
    """Every control is reached by Tab, shows it, and works; a screen reader finds landmarks, headings, tables."""
    d = make_daemon(daemon.config(database.dsn, tenant)).start().wait_ready()
    page = open_page(browser, d)
    page.wait(f"{LEVEL} === 'good'")
    tenant.send(*[tenants.event(f"k{i}") for i in range(10)])
    page.wait("document.querySelectorAll('#streams tbody tr').length === 1")
    seen = []
    for _ in range(12):
        page.keys("Tab")
        seen.append(page.run("""(({tagName, id, type, className}, style) => [tagName, id || type || className?.baseVal,
            style.outlineStyle])(document.activeElement, getComputedStyle(document.activeElement))"""))
    reached = [what for _, what, _ in seen]
    assert seen[0][0] == "A" and "radio" in reached and reached.count("plot") == 4 and "audit" in reached, seen
    assert all(outline != "none" or tag == "BODY" for tag, _, outline in seen), seen  # BODY: past the last one
    page.run("document.querySelectorAll('.plot')[0].focus()")
    page.wait("+document.querySelectorAll('.plot')[0].getAttribute('aria-valuemax') > 2", what="there are samples")
    page.keys("ArrowLeft", "ArrowLeft")
    told = page.run("document.querySelectorAll('.plot')[0].getAttribute('aria-valuetext')")
    assert "received" in told and ":" in told and page.text(".chart .when") != ""
    page.run("document.querySelector('input[name=range]').focus()")
    page.keys("ArrowRight")
    assert page.run("document.querySelector('input[name=range]:checked').value") == "minutes"
    tree = page.accessibility()
    roles = [role for role, _ in tree]
    for role in ("banner", "main", "contentinfo", "table", "columnheader", "radio", "slider", "status"):
        assert role in roles, role
    assert ("slider", "Events a second") in tree
    assert page.errors == []
    page.close()


CHART = """(async () => {
    const { Chart } = await import('/chart.js');
    const box = document.body.appendChild(document.createElement('div'));
    const lines = [{column: 'a', name: 'a', kind: 'one', area: true}, {column: 'b', name: 'b', kind: 'two', peak: true},
                   {column: 'c', name: 'c', kind: 'three', sparse: true}];
    const chart = new Chart(box, {title: 't', lines, show: String, axis: String, least: 1});
    const samples = [];
    for (let i = 0; i < %d; i++) samples.push({at: 1e9 + i * %d, a: i %% 7, b: i === 30 ? 500 : 1, c: i === 40 ? 1 : 0});
    samples.splice(%s);
    chart.set(samples, '%s', samples.at(-1).at);
    const told = [...box.querySelectorAll('.plot .line')].map((path) => path.getAttribute('d'));
    box.remove();
    return {told, top: chart.top};
})()"""


def test_charts(browser, database, tenant, make_daemon):
    """One line where nothing is missing, pieces where something is; a peak stays in sight among more samples than
    there is room for; of what is rare each one is a dot."""
    d = make_daemon(daemon.config(database.dsn, tenant)).start().wait_ready()
    page = open_page(browser, d, width=700)
    for count, step, missing, length, pieces in ((900, 1, "0, 0", "seconds", 1), (1440, 60, "0, 0", "minutes", 1),
                                                 (900, 1, "500, 40", "seconds", 2), (1440, 60, "700, 9", "minutes", 2),
                                                 (100, 1, "0, 0", "seconds", 1), (2, 1, "0, 0", "seconds", 1)):
        drawn = page.run(CHART % (count, step, missing, length))
        a, b, c = drawn["told"]
        assert a.count("M") == pieces and "NaN" not in a + b + c, (count, length, a[:200])
        assert a.count("L") < 700, "more points than pixels"
        if count >= 100:
            assert drawn["top"] >= 500 and min(float(xy.split()[1]) for xy in b[1:].replace("M", "L").split("L")) < 60
            assert c.count("a1.5") == 2  # one dot: two arcs
    assert page.errors == []
    page.close()


def test_the_token(browser, database, tenant, make_daemon):
    """The page asks for it, takes the right one, keeps it for the tab alone; nothing is shown before."""
    d = make_daemon(daemon.config(database.dsn, tenant, admin={"token": TOKEN})).start().wait_ready()
    page = open_page(browser, d)
    shown = "!document.getElementById('login').hidden && document.activeElement.id === 'token'"
    page.wait(shown, what="it asks for the token")
    assert page.run("document.getElementById('data').hidden") and "main" not in page.text("#streams")

    def give(token):
        page.run(f"document.getElementById('token').value = {json.dumps(token)}")
        page.keys("Enter")

    picture(page, "token")
    give("wrong")
    page.wait("document.getElementById('login-error').innerText !== ''", what="it is told to be wrong")
    give(TOKEN)
    page.wait(f"document.getElementById('login').hidden && {LEVEL} === 'good'", what="the right one is taken")
    page.open(page.run("location.href"))
    page.wait(f"document.getElementById('login').hidden && {LEVEL} === 'good'", what="the tab still has it")
    page.run("document.getElementById('forget').click()")
    page.wait(shown, what="it is forgotten")
    other = open_page(browser, d)
    other.wait(shown, what="another tab does not have it")
    assert page.errors == [] and TOKEN not in d.log()
    page.close()
    other.close()


def test_viewers_see_the_same(database, tenant, make_daemon):
    """Twenty viewers of /api/live: everything at first, then what is new, once a second; nothing of a payload."""
    d = make_daemon(daemon.config(database.dsn, tenant)).start().wait_ready()
    port = d.status()["admin_port"]

    async def watch():
        async with aiohttp.ClientSession() as session:
            sockets = [await session.ws_connect(f"ws://127.0.0.1:{port}/api/live", max_msg_size=0) for _ in range(20)]
            snapshots = [[json.loads((await ws.receive(30)).data) for _ in range(4)] for ws in sockets]
            for ws in sockets:
                await ws.close()
            return snapshots

    tenant.send(*[tenants.event(f"secret-payload-{i}") for i in range(20)])
    wait.until(lambda: d.stream()["committed"] == 20, 30, "all is stored")
    for first, *rest in asyncio.run(watch()):
        assert first["status"]["streams"][0]["received"] == 20
        assert [e["event"] for e in first["audit"]][0] == "daemon.started"
        assert len(first["history"]["seconds"]) >= 0 and first["history"]["columns"][0] == "at"
        assert sum(len(s["history"]["seconds"]) for s in rest) <= 5 and all(s["audit"] == [] for s in rest)
        assert "secret-payload" not in json.dumps([first, *rest])
