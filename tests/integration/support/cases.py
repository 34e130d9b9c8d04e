# SPDX-License-Identifier: Apache-2.0
"""Events that must become rows, and messages that must become dead letters, each with its code.

What is sent is bytes, exactly; MARK in a payload must never be seen in a log.
"""
import datetime
import json

MARK = "mArKeR"
UTC = datetime.timezone.utc
MOMENT = datetime.datetime(2026, 3, 14, 9, 26, 53, 589000, UTC)
VERBATIM = "a\\b\"c\n\t';DROP TABLE x;--"
TRANSCRIPT = f"{MARK} " + "Grüße, こんにちは. " * 8000  # some 200 KiB of UTF-8


def members(key, **changes):
    """The members of a valid event; None as a change leaves one out."""
    made = {"interactionId": f"{MARK}-{key}", "timestamp": "2026-03-14T09:26:53.589Z", "type": "call",
            "idempotencyKey": key,
            "attributes": {"duration": 1.5, "disposition": "d", "queueName": "q", "agentId": "a"}}
    made.update(changes)
    return {name: value for name, value in made.items() if value is not ...}


def encode(event, ascii_only=False):
    return json.dumps(event, ensure_ascii=ascii_only).encode()


def row(key, **changes):
    """The row of members(key), without created_at and updated_at."""
    made = {"interaction_id": f"{MARK}-{key}", "timestamp": MOMENT, "type": "call", "idempotency_key": key,
            "duration": 1.5, "disposition": "d", "queue_name": "q", "agent_id": "a",
            "attributes": {"duration": 1.5, "disposition": "d", "queueName": "q", "agentId": "a"}}
    made.update(changes)
    return made


def _with(key, **attributes):
    """An event with these attributes alone, and its row."""
    columns = {"duration": "duration", "disposition": "disposition", "queue_name": "queueName",
               "agent_id": "agentId"}
    return (encode(members(key, attributes=attributes)),
            row(key, attributes=attributes,
                **{column: attributes.get(member) for column, member in columns.items()}))


def accepted():
    """[(payload, row)]"""
    cases = [_with(f"duration-{name}", duration=value)
             for name, value in (("null", None), ("12.5", 12.5), ("0", 0), ("minus-1", -1))]
    cases = [(payload.replace(b"duration-12.5", b"duration-12_5"), dict(made, idempotency_key=made["idempotency_key"].replace(".", "_"),
              interaction_id=made["interaction_id"].replace(".", "_"))) for payload, made in cases]
    cases.append((encode(members("no-attributes", attributes=...)),
                  row("no-attributes", attributes=None, duration=None, disposition=None, queue_name=None,
                      agent_id=None)))
    cases.append(_with("empty-agent", agentId=""))
    cases.append(_with("emoji", agentId="👩‍👩‍👧‍👦🇩🇪", disposition="漢字かな한글", queueName="e\u0301a\u0308o\u0302"))
    payload, made = _with("emoji-escaped", agentId="👍", disposition="漢", queueName="e\u0301")
    cases.append((encode(json.loads(payload), ascii_only=True), made))
    cases.append(_with("four-byte-255", agentId="𝒳" * 255))
    cases.append(_with("verbatim", agentId=VERBATIM, disposition=VERBATIM, queueName=VERBATIM))
    cases.append(_with("proto", __proto__={"polluted": True}, constructor={"prototype": 1}))
    cases.append((encode(members("offset", timestamp="2026-03-14T09:26:53.123456+05:45")),
                  row("offset", timestamp=datetime.datetime(2026, 3, 14, 3, 41, 53, 123456, UTC))))
    cases.append((encode(members("leap", timestamp="2016-12-31T23:59:60Z")),
                  row("leap", timestamp=datetime.datetime(2017, 1, 1, tzinfo=UTC))))
    cases.append((encode(members("lower-case", timestamp="2026-03-14t09:26:53.589z")), row("lower-case")))
    for kind in ("chat", "email", "callback"):
        cases.append((encode(members(f"type-{kind}", type=kind)), row(f"type-{kind}", type=kind)))
    cases.append((encode(members("k" * 255, interactionId="i")), row("k" * 255, interaction_id="i")))
    cases.append((b" \t\r\n" + encode(members("white-space")) + b"\r\n ", row("white-space")))
    return cases


def transcript():
    return _with("transcript", transcript=TRANSCRIPT, duration=3)


class Reject:
    def __init__(self, name, payload, reason, instance=None, keyword=None, column=None):
        self.name = name
        self.payload = payload if isinstance(payload, bytes) else encode(payload)
        self.reason = reason
        self.instance = instance
        self.keyword = keyword if keyword or not reason.startswith("schema.") else reason[7:]
        self.column = column if column or not reason.startswith("column.") else reason[7:]


def _raw(name, old, new):
    """A valid event with some bytes of it replaced."""
    whole = encode(members(name))
    assert old in whole
    return whole.replace(old, new, 1)


def rejected():
    duration = b'"duration": 1.5'
    disposition = b'"disposition": "d"'

    def schema(name, keyword, instance, **changes):
        return Reject(name, members(name, **changes), f"schema.{keyword}", instance)

    def attribute(name, keyword, instance, value):
        return schema(name, keyword, instance, attributes=value)

    cases = [
        schema("no-interaction", "required", "", interactionId=...),
        schema("empty-interaction", "minLength", "/interactionId", interactionId=""),
        schema("number-interaction", "type", "/interactionId", interactionId=7001),
        schema("no-timestamp", "required", "", timestamp=...),
        schema("no-key", "required", "", idempotencyKey=...),
        schema("no-type", "required", "", type=...),
        schema("extra-member", "additionalProperties", "/extra", extra=MARK),
        attribute("attributes-array", "type", "/attributes", [MARK]),
        attribute("attributes-string", "type", "/attributes", MARK),
        attribute("duration-text", "type", "/attributes/duration", {"duration": "412"}),
        attribute("agent-number", "type", "/attributes/agentId", {"agentId": 5}),
    ]
    times = {"space": "2025-03-14 09:26:53", "february": "2025-02-30T00:00:00Z", "hour": "2025-03-14T25:00:00Z",
             "no-offset": "2025-03-14T09:26:53", "leap-noon": "2016-12-31T12:59:60Z", "empty": ""}
    cases += [schema(f"time-{name}", "format", "/timestamp", timestamp=text) for name, text in times.items()]
    cases.append(schema("time-epoch", "type", "/timestamp", timestamp=1741944413))
    cases += [schema(f"type-{value}", "enum", "/type", type=value) for value in ("Call", "voice", "")]
    cases.append(schema("type-null", "type", "/type", type=None))
    keys = {"colon": "a:b", "space": "a b", "empty": "", "line-feed": "abc\n", "umlaut": "ä"}
    cases += [schema(f"key-{name}", "pattern", "/idempotencyKey", idempotencyKey=key) for name, key in keys.items()]
    cases.append(Reject("key-256", members("k" * 256, interactionId="i"), "column.idempotency_key"))
    cases.append(Reject("agent-256", members("agent-256", attributes={"agentId": "𝒳" * 256}), "column.agent_id"))
    cases.append(Reject("duration-1e309", _raw("duration-1e309", duration, b'"duration": 1e309'), "column.duration"))

    cases += [Reject(name, text, "schema.type", "")
              for name, text in (("array", b"[]"), ("string", b'"ping"'), ("number", b"42"), ("null", b"null"))]

    cases += [Reject(name, payload, "json.syntax") for name, payload in {
        "empty": b"",
        "two-objects": encode(members("two")) + encode(members("objects")),
        "trailing-comma": _raw("trailing-comma", disposition, disposition + b","
                               ).replace(b'"agentId": "a"}', b'"agentId": "a",}'),
        "nan": _raw("nan", duration, b'"duration": NaN'),
        "infinity": _raw("infinity", duration, b'"duration": -Infinity'),
        "leading-zero": _raw("leading-zero", duration, b'"duration": 012'),
        "byte-order-mark": b"\xef\xbb\xbf" + encode(members("byte-order-mark")),
        "cut": encode(members("cut"))[:-1],
        "single-quotes": encode(members("single-quotes")).replace(b'"', b"'"),
        "control-character": _raw("control-character", disposition, b'"disposition": "a\tb"'),
    }.items()]
    cases += [
        Reject("lone-surrogate", _raw("lone-surrogate", disposition, b'"disposition": "\\ud800"'), "json.encoding"),
        Reject("low-surrogate", _raw("low-surrogate", disposition, b'"disposition": "x\\udc00y"'), "json.encoding"),
        Reject("nul", members("nul", attributes={"agentId": f"{MARK}\0b"}), "text.nul", "/attributes/agentId"),
        Reject("nul-elsewhere", members("nul-elsewhere", attributes={"further": {"deep": [1, f"{MARK}\0"]}}),
               "text.nul", "/attributes/further/deep/1"),
        Reject("duplicate-member", _raw("duplicate-member", duration, duration + b', "duration": 2.5'),
               "json.duplicate_member"),
        Reject("duplicate-escaped", _raw("duplicate-escaped", duration, duration + b', "dur\\u0061tion": 2.5'),
               "json.duplicate_member"),
        Reject("depth", _raw("depth", disposition, b'"disposition": "d", "deep": ' + b"[" * 10000 + b"]" * 10000),
               "json.depth"),
    ]
    return cases


def not_utf8():
    """[Reject] of text messages that are no UTF-8: no library sends these."""
    broken = {"lone-byte": b"\xff", "overlong": b"\xc0\xaf", "surrogate": b"\xed\xa0\x80", "beyond": b"\xf4\x90\x80\x80",
              "cut": b"\xe2\x82"}
    return [Reject(f"utf8-{name}", _raw(f"utf8-{name}", b'"disposition": "d"', b'"disposition": "' + some + b'"'),
                   "json.encoding") for name, some in broken.items()]
