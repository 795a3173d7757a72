"""Redaction: no planted secret survives in any frame, and what is no secret does."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.ingest.redact import Redactor, Rule
from tocsin.ingest.redact_rules import card_number, luhn
from tocsin.model.errors import BadConfig
from tocsin.model.frame import SCHEMAS, Frame, FrameKind, frame_of, points_frame
from tocsin.selfmon.metrics import REGISTRY

KEY = b"0123456789abcdef"
PLAIN = Redactor((), keep_content=False, token_key=KEY)
KEEPING = Redactor((), keep_content=True, token_key=KEY)
KINDS = [FrameKind.SPANS, FrameKind.LOGS, FrameKind.RECORDS, FrameKind.EVENTS]

SECRETS = {
    "joe.doe+x@example.co.uk": "email",
    "анна@пример.рф": "email",
    "4111111111111111": "card",
    "5555 5555 5555 4444": "card",
    "3782-822463-10005": "card",
    "+49 30 901820-22": "phone",
    "(415) 555-2671": "phone",
    "415-555-2671": "phone",
    "sk-proj-Abcdef0123456789Abcdef": "provider_key",
    "ghp_abcdefghijklmnopqrstuvwxyz0123456789": "provider_key",
    "xoxb-123456789012-abcdefGHIJKL": "provider_key",
    "AKIAIOSFODNN7EXAMPLE": "provider_key",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N": "jwt",
    "Bearer mF_9.B5f-4.1JqM": "bearer",
    "password=hunter2": "credential",
    'api_key: "abcDEF123456"': "credential",
    "client_secret=zZ9!kfjw": "credential",
    "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\n-----END PRIVATE KEY-----": "pem",
    "postgres://app:s3cr3tpw@db.internal/orders": "credential",
}
# what must be gone: the part that is the secret itself
CORE = {text: text for text in SECRETS} | {
    "Bearer mF_9.B5f-4.1JqM": "mF_9.B5f-4.1JqM",
    "password=hunter2": "hunter2",
    'api_key: "abcDEF123456"': "abcDEF123456",
    "client_secret=zZ9!kfjw": "zZ9!kfjw",
    "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\n-----END PRIVATE KEY-----": "MIIEvQIBADANBg",
    "postgres://app:s3cr3tpw@db.internal/orders": "s3cr3tpw",
}
HARMLESS = [
    "2026-11-21T23:37:34.123456789+01:00",
    "1763768254123456789",
    "1763768254123",
    "10.0.0.1:8080",
    "192.168.100.200",
    "fe80::1ff:fe23:4567:890a",
    "4bf92f3577b34da6a3ce929d0e0e4736",
    "550e8400-e29b-41d4-a716-446655440000",
    "0.4111111111111111",
    "4.111111111111111e-05",
    "0.27310000000000001",
    "gen_ai.usage.input_tokens=123456",
    "max_tokens: 4096 token=100",
    "GET /v1/chat/completions HTTP/1.1 200",
    "risk-assessment-document-v2",
    "task-scheduler-worker-thread-17",
    "registry.example/app@sha256:9f86d081884c7d659a2feaa0c55ad015",
    "bearer of bad news",
    "password: null",
    "gpt-4o-mini-2026-07-18",
    "took 4012 ms, 1 234 567 rows, 99.95 %",
    "v1.2.3-rc.4+build.567",
    "ORD-555-123-4567-A",
    "sizes 100 200 3000 4000",
    '{"a":1,"b":[0.1,2.5e-7,"x\\ny"]}',
    "naïve façade 日本語",
]


def make_frame(kind: FrameKind, text: str, rows: int = 1) -> Frame:
    """A frame with the text in every text field."""
    columns: dict[str, list[object]] = {}
    for field in SCHEMAS[kind]:
        value: object = 0
        if pa.types.is_map(field.type):
            value = [("some.key", text), ("n", "1")]
        elif pa.types.is_list(field.type):
            value = [0.5]
        elif pa.types.is_string(field.type):
            value = text
        elif pa.types.is_fixed_size_binary(field.type):
            value = b"\1" * field.type.byte_width
        columns[field.name] = [value] * rows
    return frame_of(kind, "main", "otlp/x", columns)


def serialized(frame: Frame) -> str:
    return repr(frame.rows()) + frame.source


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_survives_in_any_text_field(kind: FrameKind, secret: str) -> None:
    for around in ("{}", "before {} after", "({})", "x={};", "line\n{}\nline"):
        for redactor in (PLAIN, KEEPING):
            text = serialized(redactor.frame(make_frame(kind, around.format(secret))))
            assert repr(CORE[secret])[1:-1] not in text, (around, text)


@pytest.mark.parametrize("secret", SECRETS)
def test_secret_in_json_leaves_json(secret: str) -> None:
    for text in (
        json.dumps({"a": [{"b": f"x\n{secret}\ty"}], "n": 1.5, "ok": True}),
        json.dumps([{"name": "e", "time": 3, "attributes": {"k": secret}}], ensure_ascii=False),
        json.dumps({"a": "".join(f"\\u{ord(c):04x}" for c in secret)}).replace("\\\\u", "\\u"),
        json.dumps({"deep": json.dumps({"k": secret})}),
    ):
        row = PLAIN.frame(make_frame(FrameKind.SPANS, text)).rows()[0]
        assert CORE[secret] not in str(json.loads(str(row["events"])))
        assert repr(CORE[secret])[1:-1] not in repr(row)
        found = json.loads(str(row["events"]))
        if isinstance(found, dict) and "n" in found:
            assert (found["n"], found["ok"]) == (1.5, True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_text_survives(kind: FrameKind, text: str) -> None:
    frame = make_frame(kind, text)
    assert PLAIN.frame(frame).rows() == frame.rows()
    assert PLAIN.labels((("k", text),)) == (("k", text),)


def test_marks_name_the_rule_and_are_counted() -> None:
    for secret, rule in SECRETS.items():
        before = REGISTRY.get_sample_value("tocsin_ingest_redactions_total", {"rule": rule}) or 0.0
        assert f"[redacted:{rule}]" in PLAIN.text(f"a {secret} b"), secret
        assert REGISTRY.get_sample_value("tocsin_ingest_redactions_total", {"rule": rule}) == before + 1


def test_frame_without_secrets_is_returned_as_it_is() -> None:
    frame = make_frame(FrameKind.LOGS, "all is well")
    assert PLAIN.frame(frame) is frame
    points = points_frame("main", "x", *(pa.array([1], t).to_numpy() for t in (pa.int32(), pa.int64(), pa.float64())))
    assert PLAIN.frame(points) is points


def test_card_is_found_before_its_check_code_and_beside_another() -> None:
    text = "card 4111 1111 1111 1111 123, 4111-1111-1111-1111 5555555555554444;x=(4012888888881881)"
    assert PLAIN.text(text) == "card [redacted:card] 123, [redacted:card] [redacted:card];x=([redacted:card])"


def test_only_rows_with_a_secret_change() -> None:
    rows = [f"row {i}" for i in range(200)]
    rows[77] = "mail a@b.example"
    columns = {
        field.name: [row[field.name] for row in make_frame(FrameKind.LOGS, "x", 200).rows()]
        for field in SCHEMAS[FrameKind.LOGS]
    }
    bodies = [
        row["body"] for row in PLAIN.frame(frame_of(FrameKind.LOGS, "main", "s", columns | {"body": rows})).rows()
    ]
    assert bodies[77] == "mail [redacted:email]"
    assert [body for at, body in enumerate(bodies) if at != 77] == [row for at, row in enumerate(rows) if at != 77]


def test_labels_become_keyed_tokens_that_never_merge() -> None:
    mails = [f"user{i}@example.com" for i in range(2000)]
    found = {PLAIN.labels((("user", mail),)) for mail in mails}
    assert len(found) == len(mails)
    token = PLAIN.labels((("user", mails[0]),))[0][1]
    assert token.startswith("email:")
    assert PLAIN.labels((("user", mails[0]),)) == PLAIN.labels((("user", mails[0]),))
    assert Redactor((), keep_content=False, token_key=KEY[::-1]).labels((("user", mails[0]),))[0][1] != token
    assert PLAIN.labels((("db.password", "hunter2"),))[0][1].startswith("credential:")
    assert PLAIN.labels((("a@b.example", "x"), ("c@d.example", "x"))) != PLAIN.labels((("a@b.example", "x"),))


def test_resource_and_ids_stay_distinct() -> None:
    a, b = (PLAIN.frame(make_frame(FrameKind.RECORDS, f"{who}@example.com")).rows()[0] for who in ("joe", "ann"))
    assert a["prediction_id"] != b["prediction_id"]
    assert a["prediction"] == b["prediction"] == "[redacted:email]"


def span_with(attributes: dict[str, str], events: str = "[]") -> Frame:
    columns = {name: [value] for name, value in make_frame(FrameKind.SPANS, "x").rows()[0].items()}
    return frame_of(
        FrameKind.SPANS, "main", "s", columns | {"attributes": [list(attributes.items())], "events": [events]}
    )


def attributes_of(redactor: Redactor, attributes: dict[str, str]) -> dict[str, str]:
    return dict(redactor.frame(span_with(attributes)).rows()[0]["attributes"])  # type: ignore[call-overload]


CONTENT_KEYS = [
    "gen_ai.prompt",
    "gen_ai.completion",
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.system_instructions",
    "gen_ai.prompt.12.content",
    "traceloop.entity.input",
    "llm.input_messages.0.message.content",
    "input.value",
    "output.value",
    "gen_ai.tool.call.arguments",
    "retrieval.documents.3.document.content",
]


@pytest.mark.parametrize("key", CONTENT_KEYS)
def test_content_is_dropped_unless_asked_for(key: str) -> None:
    found = attributes_of(PLAIN, {key: "what is my balance", "gen_ai.request.model": "gpt-4o"})
    assert found[key].startswith("[content dropped: 18 chars, sha ")
    assert found["gen_ai.request.model"] == "gpt-4o"
    other = attributes_of(PLAIN, {key: "what is my balanse"})
    assert other[key] != found[key]
    assert attributes_of(PLAIN, {key: "what is my balance"})[key] == found[key]
    kept = attributes_of(KEEPING, {key: "what is my balance, joe@example.com"})
    assert kept[key] == "what is my balance, [redacted:email]"


def test_content_in_span_events_and_log_bodies_is_dropped() -> None:
    events = json.dumps([{"name": "gen_ai.content.prompt", "time": 1, "attributes": {"gen_ai.prompt": "tell me all"}}])
    assert "tell me all" not in serialized(PLAIN.frame(span_with({}, events)))
    assert "tell me all" in serialized(KEEPING.frame(span_with({}, events)))
    row = make_frame(FrameKind.LOGS, "x").rows()[0]
    by_field = row | {"event_name": "gen_ai.user.message", "body": '{"content": "tell me all"}'}
    by_attribute = row | {"body": "tell me all", "attributes": [("event.name", "gen_ai.choice")]}
    for one in (by_field, by_attribute):
        frame = frame_of(FrameKind.LOGS, "main", "s", {name: [value] for name, value in one.items()})
        assert "tell me all" not in serialized(PLAIN.frame(frame))
        assert "tell me all" in serialized(KEEPING.frame(frame))


@pytest.mark.parametrize(
    "attributes",
    [
        {"gen_ai.system_instructions": "You are kind"},
        {"traceloop.prompt.template": "You are kind"},
        {"gen_ai.prompt.0.role": "system", "gen_ai.prompt.0.content": "You are kind"},
        {"llm.input_messages.0.message.role": "system", "llm.input_messages.0.message.content": "You are kind"},
        {"gen_ai.input.messages": '[{"role":"system","parts":["You are kind"]},{"role":"user","content":"hi"}]'},
    ],
)
def test_prompt_version_falls_back_to_a_keyed_hash(attributes: dict[str, str]) -> None:
    found = attributes_of(PLAIN, attributes)
    assert found["prompt.version"].startswith("h:")
    assert len(found["prompt.version"]) == 10
    assert found["prompt.version"] == attributes_of(KEEPING, attributes)["prompt.version"]
    changed = {key: value.replace("kind", "terse") for key, value in attributes.items()}
    assert attributes_of(PLAIN, changed)["prompt.version"] != found["prompt.version"]
    other_key = Redactor((), keep_content=False, token_key=b"another key 1234")
    assert attributes_of(other_key, attributes)["prompt.version"] != found["prompt.version"]
    assert attributes_of(PLAIN, attributes | {"gen_ai.prompt.version": "7"}).get("prompt.version") is None
    assert "prompt.version" not in attributes_of(
        PLAIN, {"gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "hi"}
    )


def test_user_prompt_does_not_change_the_version() -> None:
    pair = [
        attributes_of(
            PLAIN,
            {
                "gen_ai.input.messages": json.dumps(
                    [{"role": "system", "content": "S"}, {"role": "user", "content": text}]
                )
            },
        )
        for text in ("one", "two")
    ]
    assert pair[0]["prompt.version"] == pair[1]["prompt.version"]


def test_own_rules_run_too() -> None:
    own = Redactor(
        [Rule("staff", r"EMP-\d{6}"), Rule("badge", r"^badge \w+$", "(badge)")], keep_content=False, token_key=KEY
    )
    row = own.frame(make_frame(FrameKind.LOGS, "by EMP-123456")).rows()[0]
    assert row["body"] == "by [redacted:staff]"
    assert own.frame(make_frame(FrameKind.LOGS, "badge abc")).rows()[0]["body"] == "(badge)"
    assert own.labels((("who", "EMP-123456"),))[0][1].startswith("staff:")
    # a replacement without a name in it must not make two series one
    assert own.labels((("who", "badge abc"),)) != own.labels((("who", "badge abd"),))


@pytest.mark.parametrize("pattern", ["(", "(?=x)y", "a*", ""])
def test_bad_own_rule_is_refused_by_name(pattern: str) -> None:
    with pytest.raises(BadConfig, match="'mine'"):
        Redactor([Rule("mine", pattern)], keep_content=False, token_key=KEY)


def test_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="16"):
        Redactor((), keep_content=False, token_key=b"short")


def test_sliced_and_null_columns() -> None:
    whole = make_frame(FrameKind.SPANS, "a@b.example", 5)
    part = Frame(whole.kind, whole.tenant, whole.source, whole.batch.slice(1, 3))
    assert "a@b.example" not in serialized(PLAIN.frame(part))
    assert len(PLAIN.frame(part)) == 3
    rows = whole.rows()[:2]
    rows[1] = rows[1] | {"attributes": None, "status_message": None, "resource": [("k", None)]}
    batch = pa.RecordBatch.from_pylist(rows, schema=SCHEMAS[FrameKind.SPANS])
    found = PLAIN.frame(Frame(FrameKind.SPANS, "main", "s", batch))
    assert "a@b.example" not in serialized(found)


def test_hostile_text_takes_linear_time() -> None:
    # each of these was quadratic in a first version; with a million characters that would be hours
    for text in (
        "token=" * 150_000,
        "sk-" * 300_000,
        "4" * 1_000_000,
        "a@" * 400_000,
        "+1 " * 300_000,
        "[" * 500_000,
        '{"a":' * 200_000,
    ):
        assert isinstance(PLAIN.text(text), str)
        PLAIN.frame(make_frame(FrameKind.LOGS, text))
    many = ["-----BEGIN PRIVATE KEY----- x"] * 1 + [f'password="{i}' for i in range(3000)]
    base = {
        field.name: [make_frame(FrameKind.LOGS, "x").rows()[0][field.name]] * len(many)
        for field in SCHEMAS[FrameKind.LOGS]
    }
    PLAIN.frame(frame_of(FrameKind.LOGS, "main", "s", base | {"body": many}))


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=12)


@settings(max_examples=150, deadline=None)
@given(before=WORDS, after=WORDS, secret=st.sampled_from(sorted(SECRETS)), kind=st.sampled_from(KINDS))
def test_planted_secrets_are_gone_whatever_stands_around(before: str, after: str, secret: str, kind: FrameKind) -> None:
    text = f"{before} {secret} {after}"
    found = PLAIN.frame(make_frame(kind, text))
    assert repr(CORE[secret])[1:-1] not in serialized(found)
    # a second pass finds nothing new
    assert PLAIN.frame(found).rows() == found.rows()


@settings(max_examples=100, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=20), st.sampled_from(sorted(SECRETS)), st.data())
def test_neighbours_in_a_column_hide_nothing(texts: list[str], secret: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(texts)))
    bodies = [*texts[:at], secret, *texts[at:]]
    base = {name: [value] * len(bodies) for name, value in make_frame(FrameKind.LOGS, "x").rows()[0].items()}
    frame = PLAIN.frame(frame_of(FrameKind.LOGS, "main", "s", base | {"body": bodies}))
    assert [row["body"] for row in frame.rows()] == [PLAIN.text(body) for body in bodies]


@given(st.integers(10**14, 10**15 - 1))
def test_luhn_finds_every_single_digit_error(number: int) -> None:
    text = "4" + str(number)[1:]
    check = next(digit for digit in "0123456789" if luhn(text + digit))
    good = text + check
    assert card_number(good) == (len(set(good)) > 1)
    for at in range(1, 16):
        wrong = good[:at] + str((int(good[at]) + 1) % 10) + good[at + 1 :]
        assert not card_number(wrong)
