# SPDX-License-Identifier: Apache-2.0
"""TLS of streams and of token endpoints: what is trusted, what is refused, and in which words."""
import contextlib
import signal

import pytest

from support import certificates, streams, tenant as tenants, wait

EXPIRED = ("20200101000000Z", "20200201000000Z")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return certificates.Authority(tmp_path_factory.mktemp("tls") / "own")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """Another CA; it even has the same name."""
    return certificates.Authority(tmp_path_factory.mktemp("tls") / "strange")


@pytest.fixture(scope="module")
def servers(authority, stranger):
    """Tenants by what is special about their certificates."""
    address = authority.issue("address", "IP:127.0.0.1")
    made = {
        "address": address,
        "name": authority.issue("name", "DNS:localhost"),
        "strange": stranger.issue("strange", "IP:127.0.0.1,DNS:localhost"),
        "other": authority.issue("other", "IP:127.0.0.2,DNS:other.test"),
        "expired": authority.issue("expired", "IP:127.0.0.1", EXPIRED),
        "early": authority.issue("early", "IP:127.0.0.1", ("20480101000000Z", "20490101000000Z")),
        "mutual": certificates.demanding(address, authority),
    }
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(tenants.Tenant(tls)) for name, tls in made.items()}


@pytest.fixture(scope="module")
def client(authority):
    pem, key = authority.issue("client", "DNS:client.test")
    return {"cert_file": str(pem), "key_file": str(key)}


def localhost(url):
    return url.replace("127.0.0.1", "localhost")


def cases(servers, authority, client):
    """name: (tenant, TLS settings, by name, words of the refusal or None)"""
    own = {"ca_file": str(authority.pem)}
    return {
        "good-address": (servers["address"], own, False, None),
        "good-name": (servers["name"], own, True, None),
        "good-mutual": (servers["mutual"], {**own, **client}, False, None),
        "no-ca": (servers["address"], {}, False, "issuer is not trusted"),
        "wrong-ca": (servers["strange"], own, False, "issuer is not trusted"),
        "wrong-address": (servers["other"], own, False, "not for this host"),
        "address-for-name": (servers["name"], own, False, "not for this host"),
        "wrong-name": (servers["other"], own, True, "not for this host"),
        "expired": (servers["expired"], own, False, "has expired"),
        "early": (servers["early"], own, False, "not valid yet"),
        "no-client-certificate": (servers["mutual"], own, False, ""),
    }


def test_streams(shared_database, tenant, make_daemon, servers, authority, client):
    """Each stream with its own trust; the refused ones say why, in status, readiness and log."""
    wanted, table = {}, cases(servers, authority, client)
    for name, (server, tls, by_name, _) in table.items():
        url = server.ws_url(f"/stream/{name}")
        wanted[name] = {"url": localhost(url) if by_name else url, "tls": tls, "auth": None}
    d = make_daemon(streams.config(shared_database.dsn, tenant, wanted)).start().wait_up()
    for name, (server, _, _, words) in table.items():
        if words is None:
            wait.until(lambda: d.stream(name)["state"] == "live", 20, f"{name} is live")
            server.send(tenants.event(f"tls-{name}"), to=f"/stream/{name}")
            continue
        wait.until(lambda: streams.ends(d, stream=name) >= 2, 20, f"{name} is refused")
        # Where localhost is ::1, too, every other attempt meets nobody there.
        wait.until(lambda: (error := d.stream(name)["last_error"]) and words in error, 20, f"{name} says why")
        if name != "no-client-certificate":  # TLS 1.3: the server says no after the handshake
            assert set(streams.codes(d, name)) - {"connect"} == {"tls"}
        assert streams.connects(d, name) == 0 and streams.handshakes(server, f"/stream/{name}") == []
    assert d.get("/readyz")[0] == 503
    for words in ("issuer is not trusted; set tls.ca_file", "not for this host", "has expired", "clock"):
        wait.until(lambda: words in d.get("/readyz")[1], 20, words)
    wait.until(lambda: all(d.stream(n)["committed"] == 1 for n in table if n.startswith("good")), 20, "rows")
    assert d.stop() == 0


def test_token_endpoints(shared_database, tenant, make_daemon, servers, authority, client):
    """The same for https token endpoints: no secret goes where the certificate is not good."""
    auths, wanted, table = {}, {}, cases(servers, authority, client)
    for name, (server, tls, by_name, _) in table.items():
        url = server.url(f"/token/{name}")
        auths[name] = {"grant": "client_credentials", "token_url": localhost(url) if by_name else url,
                       "client_id": "id", "client_secret": "secret", "tls": tls}
        wanted[name] = {"auth": name}
    d = make_daemon(streams.config(shared_database.dsn, tenant, wanted, auth=auths)).start().wait_up()
    words = {"no-ca": "tls.ca_file", "wrong-ca": "", "wrong-address": "another host", "wrong-name": "another host",
             "address-for-name": "another host", "expired": "clock", "early": "clock", "no-client-certificate": ""}
    for name, (server, _, _, refused) in table.items():
        asked = [r for r in server.token_requests if r["path"] == f"/token/{name}"]
        if refused is None:
            wait.until(lambda: len(streams.handshakes(tenant, f"/stream/{name}")) >= 1, 20, f"{name} has a token")
            continue
        def error():
            return next(t for t in d.status()["tokens"] if t["auth"] == name)["last_error"]
        wait.until(error, 20, f"{name} says why")
        assert "the token request failed" in error() and words[name] in error(), (name, error())
        assert asked == []
    assert "secret" not in d.log()
    assert d.stop() == 0


@pytest.fixture
def files(tmp_path, authority):
    """Files that cannot be used, and the words that say so."""
    pem, key = authority.issue("pair")
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    return {"missing": ({"ca_file": "/nonexistent/ca.pem"}, "/nonexistent/ca.pem"),
            "text": ({"ca_file": str(text)}, "must hold certificates"),
            "pair": ({"cert_file": str(pem), "key_file": str(authority.key)}, "the certificate's key")}


def test_files_that_cannot_be_used(tenant, cxsink, make_daemon, files):
    """`check` names each of them, at once and without connecting; `run` does not start."""
    streams_of = {n: {"url": "wss://127.0.0.1:1/x", "tls": tls, "auth": None} for n, (tls, _) in files.items()}
    made = streams.config("host=/nonexistent", tenant, streams_of, auth={"cxone": {"tls": files["missing"][0]}})
    d = make_daemon(made)
    done = cxsink("check", "-c", d.path)
    assert done.returncode == 78
    for name, (_, words) in files.items():
        line = next(line for line in done.stderr.splitlines() if f"/streams/{name}/tls" in line)
        assert words in line and ":0:" not in line
    assert "/auth/cxone/tls" in done.stderr
    run = cxsink("run", "-c", d.path)
    assert run.returncode == 78 and "/streams/pair/tls" in run.stderr


def test_reload_of_certificates(shared_database, tenant, make_daemon, servers, authority, stranger, tmp_path, files):
    """SIGHUP: a wrong file changes nothing; a renewed one under the same name is taken."""
    pem, key = tmp_path / "client.pem", tmp_path / "client.key"
    for new, old in zip((pem, key), stranger.issue("wrong", "DNS:client.test")):
        new.write_bytes(old.read_bytes())
    own = {"ca_file": str(authority.pem)}
    wanted = {"renewed": {"url": servers["mutual"].ws_url("/stream/renewed"), "auth": None,
                          "tls": {**own, "cert_file": str(pem), "key_file": str(key)}},
              "steady": {"url": servers["address"].ws_url("/stream/steady"), "auth": None, "tls": own}}
    d = make_daemon(streams.config(shared_database.dsn, tenant, wanted)).start().wait_up()
    wait.until(lambda: d.stream("steady")["state"] == "live", 20, "steady is live")
    wait.until(lambda: streams.ends(d, stream="renewed") >= 1, 20, "refused with the wrong certificate")

    d.config["streams"]["steady"]["tls"] = files["missing"][0]
    d.write()
    d.send_signal(signal.SIGHUP)
    reloads = wait.until(lambda: [e["result"] for e in d.audit() if e["event"] == "config.reload"], 20, "the reload")
    assert reloads == ["refused"]
    assert "/nonexistent/ca.pem" in d.log()

    d.config["streams"]["steady"]["tls"] = own
    d.write()
    for new, good in zip((pem, key), authority.issue("right", "DNS:client.test")):
        new.write_bytes(good.read_bytes())
    d.send_signal(signal.SIGHUP)
    wait.until(lambda: d.stream("renewed")["state"] == "live", 20, "live with the renewed certificate")
    assert d.stream("steady")["state"] == "live" and streams.connects(d, "steady") == 1
    assert streams.ends(d, stream="steady") == 0
