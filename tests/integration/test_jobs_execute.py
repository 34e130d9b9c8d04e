# SPDX-License-Identifier: Apache-2.0
"""Jobs of kind "execute": a file, or base64 text, is sent to a data action."""
import base64
import json
import pathlib
import stat
import uuid

import pytest

from support import farside, jobworld
from support.farside import answer

SEND = "/execute$"
LIMIT = 10 << 20
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF"
OCTETS = "application/octet-stream"


@pytest.fixture(scope="module")
def world(build, shared_database, shared_far, tmp_path_factory):
    home = tmp_path_factory.mktemp("execute")
    (home / "file").write_text("not a directory")
    (home / "inbox").mkdir()
    common = {"kind": "execute", "api": "cxone", "action_id": farside.ACTION_ID}
    storage = shared_far.url("/storage/records")
    section = farside.jobs(shared_far, actions={
        "scan": common,
        "small": {**common, "max_bytes": "16B", "content_types": ["text/plain", "image/png"]},
        "boxed": {**common, "file_dir": str(home / "inbox")},
        "kept": {**common, "storage": {"dir": str(home / "kept/deep")}},
        "whole": {**common, "storage": {"dir": str(home / "whole"), "include_data": True}},
        "unkept": {**common, "storage": {"dir": str(home / "file/deep")}},
        "put": {**common, "storage": {"url": storage, "include_data": True}, "allow_private": True},
        "private": {**common, "storage": {"url": storage.replace("http:", "https:")}},
    })
    with jobworld.running(build, shared_database, shared_far, section) as running:
        running.kept = home
        yield running


def data(raw, kind=OCTETS, **more):
    """Parameters with base64 text."""
    return {"data": base64.b64encode(raw).decode(), "encoding": "base64", "content_type": kind, **more}


def payload(work):
    """What was sent, decoded strictly."""
    return base64.b64decode(work.seen("POST")[0]["json"]["inputs"]["binaryPayload"]["value"], validate=True)


# --- the request ---

def test_the_request_is_what_the_api_takes(world):
    metadata = {"source": "scanner 7", "pages": [1, 2], "nested": {"ok": True}, "ü": None}
    work = world.job("scan", **data(PDF, "application/pdf", metadata=metadata))
    result = work.run()
    [request] = work.seen()
    assert request["method"] == "POST" and request["path"] == f"/api/v2/data-actions/{farside.ACTION_ID}/execute"
    value = base64.b64encode(PDF).decode()
    assert request["json"] == {"inputs": {"binaryPayload": {"value": value, "contentType": "application/pdf"},
                                          "metadata": metadata}}
    headers = request["headers"]
    assert headers["Content-Type"] == headers["Accept"] == "application/json"
    assert headers["Authorization"].startswith("Bearer ") and headers["X-Request-Id"] == work.trace
    assert str(uuid.UUID(headers["Idempotency-Key"])) == result["requestId"] == work.record["idempotency_key"]
    assert result["executionId"] == work.record["remote_id"]
    assert (result["status"], result["message"]) == ("QUEUED", "taken")
    [ended] = work.audit("job.succeeded")
    assert (ended["mimeType"], ended["originalSize"], ended["encodedSize"]) == (
        "application/pdf", str(len(PDF)), str(len(value)))


def test_metadata_is_an_object_that_may_be_left_out(world):
    work = world.job("scan", **data(b"x"))
    work.run()
    assert work.seen()[0]["json"]["inputs"]["metadata"] == {}
    assert list(world.refused("scan", data(b"x", metadata=[1]))) == ["/metadata"]


@pytest.mark.parametrize("told, result", [
    (answer(202, text=""), (None, None, None)),
    (answer(204, text=""), (None, None, None)),
    (answer(200, {"executionId": "e-1", "status": "DONE", "message": "ok"}), ("e-1", "DONE", "ok")),
    (answer(201, {"executionId": "e-2"}), ("e-2", None, None)),
    (answer(202, text="queued"), (None, None, None)),
], ids=["202 empty", "204", "200", "201", "no json"])
def test_any_2xx_is_a_success(world, told, result):
    work = world.job("scan", **data(b"x")).script("POST", SEND, told)
    made = work.run()
    assert (made["executionId"], made["status"], made["message"]) == result
    assert work.record["remote_id"] == result[0] and len(work.seen()) == 1


# --- checks before sending ---

def test_a_file_is_at_most_10_mib(world):
    raw = PDF + bytes(LIMIT - len(PDF))
    fits = world.job("scan", file=world.file("fits.pdf", raw), content_type="application/pdf").queue()
    faults = world.refused("scan", {"file": world.file("more.pdf", raw + b"x"), "content_type": "application/pdf"})
    assert str(LIMIT + 1) in faults["/file"] and str(LIMIT) in faults["/file"]
    fits.done()
    assert payload(fits) == raw


def test_base64_text_is_at_most_10_mib_raw(world):
    raw = bytes(range(256)) * (LIMIT // 256)
    fits = world.job("scan", **data(raw)).queue()
    faults = world.refused("scan", data(raw + b"x"))
    assert str(LIMIT + 1) in faults["/data"]
    fits.done()
    assert payload(fits) == raw


@pytest.mark.parametrize("text, raw", [
    ("aGVsbG8gd29ybGQ=", b"hello world"), ("aGVsbG8gd29ybGQ", b"hello world"), ("aGVs\r\nbG8g\nd29ybGQ=\r\n", b"hello world"),
    ("aGVsbG8gd29ybA==", b"hello worl"), ("aGVsbG8gd29ybA", b"hello worl"), ("aGVsbG8gd29ybA\r\n", b"hello worl"),
    ("aGVsbG8gd29y", b"hello wor"), ("", b""), ("+/+/", b"\xfb\xff\xbf"),
])
def test_base64_text_may_be_broken_into_lines_and_lack_padding(world, text, raw):
    work = world.job("scan", data=text, encoding="base64", content_type=OCTETS)
    result = work.run()
    assert payload(work) == raw and result["originalSize"] == len(raw)
    assert result["encodedSize"] == len(base64.b64encode(raw))


@pytest.mark.parametrize("text, words", [
    ("aGVs!G8=", "offset 4"), ("aGVs bG8=", "offset 4"), ("aGVs\r\nb*8=", "offset 7"), ("aG-_", "offset 2"),
    ("=aGV", "offset 0"), ("aG=V", "offset 3"), ("aGVsé", "offset 4"), ("aGVs====", "offset 4"),
    ("aGVsb", "within a group of four"), ("a", "within a group of four"), ("data:image/png;base64,aGVs", "offset 4"),
])
def test_other_characters_are_refused_with_their_offset(world, text, words):
    faults = world.refused("scan", {"data": text, "encoding": "base64", "content_type": OCTETS})
    assert list(faults) == ["/data"] and words in faults["/data"]


@pytest.mark.parametrize("raw, kind, words", [
    (PNG, "application/pdf", "like image/png"), (JPEG, "image/png", "like image/jpeg"), (PDF, "image/jpeg", "like application/pdf"),
    (b"plain text", "application/pdf", "does not begin like application/pdf"), (b"", "image/png", "does not begin"),
    (PNG[:7], "image/png", "does not begin like image/png"),
])
def test_the_signature_agrees_with_the_content_type(world, raw, kind, words):
    assert words in world.refused("scan", data(raw, kind))["/content_type"]
    path = world.file("signed", raw)
    assert words in world.refused("scan", {"file": path, "content_type": kind})["/content_type"]


@pytest.mark.parametrize("raw, kind", [(PNG, "image/png"), (JPEG, "image/jpeg"), (PDF, "application/pdf"), (PNG, OCTETS),
                                       (b"\n\n" + PDF, "application/pdf"), (b"text", OCTETS), (PNG, "Image/PNG")])
def test_what_agrees_is_sent(world, raw, kind):
    work = world.job("scan", **data(raw, kind))
    work.run()
    assert payload(work) == raw and work.seen()[0]["json"]["inputs"]["binaryPayload"]["contentType"] == kind


def test_content_types_are_those_of_the_action(world):
    assert "only application/pdf, image/png, image/jpeg" in world.refused("scan", data(b"x", "text/html"))["/content_type"]
    assert "only text/plain, image/png" in world.refused("small", data(b"x"))["/content_type"]
    world.job("small", **data(b"x" * 16, "text/plain")).run()
    assert "17 bytes, more than the 16" in world.refused("small", data(b"x" * 17, "text/plain"))["/data"]


def test_all_faults_are_told_at_once(world):
    faults = world.refused("small", {"data": base64.b64encode(b"x" * 17).decode(), "encoding": "hex", "content_type": "image/gif",
                                     "metadata": 1})
    assert set(faults) == {"/data", "/encoding", "/content_type", "/metadata"}


@pytest.mark.parametrize("params, pointer", [
    ({"content_type": OCTETS}, "/file"), ({"data": "", "content_type": OCTETS}, "/encoding"),
    ({"file": "/nowhere/x", "content_type": OCTETS}, "/file"), ({"file": "/tmp", "content_type": OCTETS}, "/file"),
    ({"file": "/dev/zero", "content_type": OCTETS}, "/file"), ({"file": "relative", "content_type": OCTETS}, "/file"),
    ({"data": "", "encoding": "base64"}, "/content_type"),
    ({"file": "/etc/hostname", "data": "", "encoding": "base64", "content_type": OCTETS}, "/data"),
])
def test_faulty_parameters_are_refused(world, params, pointer):
    assert list(world.refused("scan", params)) == [pointer]


def test_files_are_below_the_directory_of_the_action(world):
    inside = world.kept / "inbox/a.bin"
    inside.write_bytes(b"in")
    outside = world.kept / "outside.bin"
    outside.write_bytes(b"out")
    (world.kept / "inbox/link.bin").symlink_to(outside)
    (world.kept / "inbox.bin").write_bytes(b"beside")
    work = world.job("boxed", file=str(inside), content_type=OCTETS)
    work.run()
    assert payload(work) == b"in"
    for path in (outside, world.kept / "inbox/link.bin", world.kept / "inbox/../outside.bin", world.kept / "inbox.bin"):
        faults = world.refused("boxed", {"file": str(path), "content_type": OCTETS})
        assert "not below" in faults["/file"], path


# --- the answer ---

@pytest.mark.parametrize("status", [400, 403, 404, 409, 413, 422])
def test_a_refusal_is_final_and_told(world, status):
    work = world.job("scan", **data(b"marker-4711")).script("POST", SEND, answer(status, {"errorDescription": "no"}))
    error = work.fail()
    assert error["message"] == f"not executed: HTTP {status}: no" and error["status"] == status
    assert error["requestId"] == work.record["idempotency_key"] and len(work.seen()) == 1
    assert base64.b64encode(b"marker-4711").decode() not in json.dumps(error)
    [ended] = work.audit("job.failed")
    assert (ended["mimeType"], ended["originalSize"], ended["encodedSize"]) == (OCTETS, "11", "16")


def test_429_is_retried_four_times_with_the_same_key_and_body(world):
    again = answer(429, headers={"Retry-After": "0"})
    work = world.job("scan", **data(b"x")).always("POST", SEND, again)
    assert "429" in work.fail()["message"]
    requests = work.seen()
    assert len(requests) == 5 and len({(r["headers"]["Idempotency-Key"], r["body"]) for r in requests}) == 1
    work = world.job("scan", **data(b"x")).script("POST", SEND, again, again, again, again)
    work.run()
    assert len(work.seen()) == 5


def test_a_file_is_sent_again_from_its_start(world):
    raw = bytes(range(256)) * 2000
    path = world.file("again.bin", raw)
    faults = (answer(401), answer(429, headers={"Retry-After": "0"}), farside.reset, answer(503))
    work = world.job("scan", file=path, content_type=OCTETS).script("POST", SEND, *faults)
    work.run()
    bodies = {r["body"] for r in work.seen()}
    assert len(work.seen()) == 5 and len(bodies) == 1 and payload(work) == raw
    assert world.far.effects[work.record["idempotency_key"]] == 1


def test_a_file_that_went_away_between_two_tries(world):
    path = pathlib.Path(world.file("brief.bin", b"x"))

    def fail(request):
        path.unlink()
        return answer(503)(request)

    work = world.job("scan", file=str(path), content_type=OCTETS).script("POST", SEND, fail)
    error = work.fail()
    assert str(path) in error["message"] and "No such file" in error["message"]
    assert "may have arrived" in error["message"] and len(work.seen()) == 1


# --- storage ---

def records(directory):
    return {p.name: json.loads(p.read_text()) for p in directory.iterdir()}


def test_the_record_is_a_file_for_us_alone(world):
    work = world.job("kept", **data(PDF, "application/pdf", metadata={"page": 1})).queue(id="kept 1/../x")
    result = work.done()["result"]
    [(name, record)] = records(world.kept / "kept/deep").items()
    path = world.kept / "kept/deep" / name
    assert record == {"requestId": result["requestId"], "executionId": result["executionId"], "metadata": {"page": 1}}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and not name.startswith(".")
    assert path.stat().st_nlink == 1


def test_the_record_holds_the_data_only_when_asked_for(world):
    raw = PDF + bytes(range(256)) * 3000
    files = world.job("whole", file=world.file("whole.pdf", raw), content_type="application/pdf").queue(id="from-file")
    texts = world.job("whole", **data(raw, "application/pdf", metadata={"a": 1})).queue(id="from-text")
    files.done()
    texts.done()
    made = records(world.kept / "whole")
    assert set(made) == {"from-file.json", "from-text.json"}
    for record in made.values():
        assert set(record) == {"requestId", "executionId", "encodedData", "metadata"}
        assert base64.b64decode(record["encodedData"], validate=True) == raw
    assert made["from-text.json"]["executionId"] == texts.record["remote_id"]


def test_a_record_that_cannot_be_stored_fails_the_job(world):
    work = world.job("unkept", **data(b"x"))
    error = work.fail()
    assert error["message"].startswith("executed, but the record could not be stored: ") and "Not a directory" in error["message"]
    assert error["executionId"] == work.record["remote_id"] and len(work.seen("POST")) == 1


def test_the_record_is_put(world):
    """Repeated after 5xx, without executing again."""
    raw = bytes(range(256)) * 1000
    world.far.script("PUT", "/storage", answer(500))
    work = world.job("put", **data(raw, metadata={"a": 1}))
    result = work.run()
    puts = [r for r in world.far.seen("PUT", "/storage") if r["json"]["requestId"] == result["requestId"]]
    assert len(puts) == 2 and len(work.seen("POST")) == 1 and puts[0]["body"] == puts[1]["body"]
    assert puts[1]["json"] == {"requestId": result["requestId"], "executionId": result["executionId"],
                               "encodedData": base64.b64encode(raw).decode(), "metadata": {"a": 1}}
    assert "Authorization" not in puts[1]["headers"]  # the API's token is not the storage's


def test_a_storage_that_refuses_fails_the_job(world):
    world.far.script("PUT", "/storage", answer(403, {"message": "full"}))
    work = world.job("put", **data(b"x"))
    error = work.fail()
    assert "the storage answered HTTP 403" in error["message"] and error["executionId"] == work.record["remote_id"]
    assert len(work.seen("POST")) == 1


def test_a_private_storage_is_refused(world):
    before = len(world.far.seen("PUT"))
    error = world.job("private", **data(b"x")).fail()
    assert "could not be stored" in error["message"] and "loopback address" in error["message"]
    assert len(world.far.seen("PUT")) == before
