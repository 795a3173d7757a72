"""Followed files: complete lines once, over rotation, truncation and restarts; JSON lines; rules on log lines."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prometheus_wire import NOW_MS, Bench
from tocsin.ingest.decoded import Unusable
from tocsin.ingest.follow import Follow
from tocsin.ingest.jsonl import follow_jsonl, point_of
from tocsin.ingest.logfile import LineRules, LineSignal, decode_lines, follow_log, line_time
from tocsin.ingest.tail import Tail
from tocsin.model.errors import BadConfig, Overloaded
from tocsin.model.frame import FrameKind
from tocsin.model.series import Kind

NOW = NOW_MS * 10**6


def append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "app.log"


def tail_of(log: Path, *, from_end: bool = False) -> Tail:
    return Tail(log, log.parent / "state" / "app.json", "test", from_end=from_end)


def drain(tail: Tail) -> list[bytes]:
    found: list[bytes] = []
    while lines := tail.poll():
        found += lines
    # a rotation is seen by one empty poll, the new file by the next
    found += tail.poll()
    return found


def test_only_complete_lines(log: Path) -> None:
    tail = tail_of(log)
    assert drain(tail) == []  # no file yet
    append(log, "one\ntw")
    assert drain(tail) == [b"one"]
    append(log, "o\r\nthree\n")
    assert drain(tail) == [b"two", b"three"]
    tail.close()


def test_rotation_by_renaming_loses_nothing(log: Path) -> None:
    tail = tail_of(log)
    append(log, "one\n")
    assert drain(tail) == [b"one"]
    append(log, "two\nthree without end")
    log.rename(log.with_suffix(".log.1"))
    append(log, "four\n")
    assert drain(tail) == [b"two", b"three without end", b"four"]
    tail.close()


def test_truncation_starts_anew(log: Path) -> None:
    tail = tail_of(log)
    append(log, "one\ntwo\n")
    assert drain(tail) == [b"one", b"two"]
    log.write_text("3\n")
    assert drain(tail) == [b"3"]
    tail.close()


def test_restart_goes_on_where_it_was_committed(log: Path) -> None:
    tail = tail_of(log)
    append(log, "one\n")
    assert drain(tail) == [b"one"]
    tail.commit()
    append(log, "two\n")
    assert drain(tail) == [b"two"]
    tail.close()  # not committed: at least once
    again = tail_of(log)
    assert drain(again) == [b"two"]
    again.commit()
    again.close()
    append(log, "three\n")
    log.rename(log.with_suffix(".log.1"))  # rotated while nobody looked
    append(log, "four\n")
    third = tail_of(log)
    assert drain(third) == [b"three", b"four"]
    third.close()


def test_another_file_in_its_place_is_read_from_its_start(log: Path) -> None:
    tail = tail_of(log)
    append(log, "one\ntwo\n")
    drain(tail)
    tail.commit()
    tail.close()
    # the same inode, longer, and other bytes: the digest of its beginning tells
    log.write_text("other\nbytes\nall\n")
    again = tail_of(log)
    assert drain(again) == [b"other", b"bytes", b"all"]
    again.close()


def test_broken_state_starts_anew(log: Path) -> None:
    append(log, "one\n")
    (log.parent / "state").mkdir()
    (log.parent / "state" / "app.json").write_text("{nonsense")
    tail = tail_of(log)
    assert drain(tail) == [b"one"]
    tail.close()


def test_from_end_only_the_first_time(log: Path) -> None:
    append(log, "old\nhalf")
    tail = tail_of(log, from_end=True)
    assert drain(tail) == []
    append(log, " a line\nnew\n")
    assert drain(tail) == [b"half a line", b"new"]
    tail.commit()
    tail.close()
    append(log, "later\n")
    again = tail_of(log, from_end=True)
    assert drain(again) == [b"later"]
    again.close()


def test_endless_line_is_skipped_in_bounded_memory(log: Path) -> None:
    append(log, "a\n" + "x" * (5 << 20) + "\nb\n")
    tail = tail_of(log)
    assert drain(tail) == [b"a", b"b"]
    tail.close()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["line", "rotate", "restart", "poll"]), max_size=30))
def test_any_order_of_events_gives_each_line_once(tmp_path_factory: pytest.TempPathFactory, events: list[str]) -> None:
    log = tmp_path_factory.mktemp("tail") / "app.log"
    log.touch()
    tail, wrote, got, turned = tail_of(log), [], [], 0
    drain(tail)
    for number, event in enumerate([*events, "poll"]):
        if event == "line":
            append(log, f"line {number}\n")
            wrote.append(f"line {number}".encode())
        elif event == "rotate":
            got += drain(tail)  # one rotation at a time between two looks
            tail.commit()
            turned += 1
            log.rename(log.with_name(f"app.log.{turned}"))
            log.touch()
        elif event == "restart":
            tail.commit()
            tail.close()
            tail = tail_of(log)
        else:
            got += drain(tail)
            tail.commit()
    got += drain(tail)
    tail.close()
    assert got == wrote


def steps(follow: Follow, count: int, *, last: bool = True) -> list[bool]:
    async def run() -> list[bool]:
        return [await follow.step() for _ in range(count)]

    try:
        return asyncio.run(run())
    finally:
        if last:
            follow._tail.close()


def test_json_lines_become_points(tmp_path: Path) -> None:
    bench = Bench()
    path = tmp_path / "points.jsonl"
    good = {"timestamp": NOW_MS - 1000, "metric": "cpu", "value": 0.5, "labels": {"host": "a", "n": 3}}
    path.write_text(
        "\n".join([json.dumps(good), "{broken", "", json.dumps(good | {"timestamp": "2025-11-21T00:00:00Z"})]) + "\n"
    )
    follow = follow_jsonl("lines", path, bench.edge, tmp_path / "state", resource={"region": "eu"})
    assert steps(follow, 2) == [True, False]
    first, second = bench.rows()
    assert (first["name"], first["labels"], first["value"], first["time"]) == (
        "cpu",
        {"host": "a", "n": "3", "region": "eu"},
        0.5,
        NOW - 10**9,
    )
    assert second["time"] == 1763683200 * 10**9
    assert {frame.source for frame in bench.frames()} == {"jsonl/lines"}
    assert json.loads((tmp_path / "state" / "lines.json").read_text())["offset"] == path.stat().st_size


def test_position_moves_only_when_durable(tmp_path: Path) -> None:
    bench = Bench()
    path = tmp_path / "points.jsonl"
    path.write_text(json.dumps({"metric": "cpu", "value": 1}) + "\n")
    follow = follow_jsonl("lines", path, bench.edge, tmp_path / "state")
    naps = []

    async def nap(seconds: float) -> None:
        naps.append(seconds)
        assert not (tmp_path / "state" / "lines.json").exists()
        bench.log.refuse = None

    follow._sleep = nap  # type: ignore[assignment]
    bench.log.refuse = Overloaded("full", retry_after_s=3)
    assert steps(follow, 1) == [True]
    assert naps == [3]
    assert len(bench.rows()) == 1
    assert (tmp_path / "state" / "lines.json").exists()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"[1]", "bad_json"),
        (b"\xff", "bad_json"),
        (b"[" * 100_000, "bad_json"),
        (b'{"value": 1}', "no_name"),
        (b'{"metric": "a", "value": "1"}', "no_number"),
        (b'{"metric": "a", "value": true}', "no_number"),
        (b'{"metric": "a", "value": 1' + b"0" * 400 + b"}", "no_number"),
        (b'{"metric": "a", "value": 1, "labels": {"a": {}}}', "bad_field"),
        (b'{"metric": "a", "value": 1, "labels": []}', "bad_field"),
        (b'{"metric": "a", "value": 1, "timestamp": 5}', "too_old"),
        (b'{"metric": "a", "value": 1, "timestamp": 4102444800000}', "too_far_ahead"),
        (b'{"metric": "a", "value": 1, "timestamp": 1e999}', "bad_field"),
        (b'{"metric": "a", "value": 1, "timestamp": "yesterday"}', "bad_time"),
    ],
)
def test_bad_json_lines(line: bytes, reason: str) -> None:
    with pytest.raises(Unusable) as caught:
        point_of(line, NOW, 0)
    assert caught.value.reason == reason


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=100)
    | st.recursive(
        st.none() | st.floats() | st.text(),
        lambda inner: st.dictionaries(st.sampled_from(["metric", "value", "timestamp", "labels", "unit"]), inner),
    ).map(lambda found: json.dumps(found).encode())
)
def test_no_line_breaks_it(line: bytes) -> None:
    try:
        point_of(line, NOW, 0)
    except Unusable:
        return


RULES = [
    LineSignal("api.latency", r"(?P<method>GET|POST) .* took (?P<value>[0-9.]+) ms", "ms"),
    LineSignal("api.errors", r"(?i)\berror\b"),
]


def test_rules_turn_numbers_into_points() -> None:
    bench = Bench()
    lines = [
        b"2025-11-21T23:37:30.5Z INFO GET /a took 12.5 ms",
        b"something ERROR happened to joe@example.com",
        b"GET / took 1.2.3 ms",
        b"",
        b"\xff\xfe binary",
    ]
    found = decode_lines(lines, LineRules(RULES), bench.edge, "main", "file/api", NOW, (("service.name", "api"),))
    asyncio.run(bench.edge.accept(found.frames))
    logs, points = bench.frames()
    assert (logs.kind, len(logs)) == (FrameKind.LOGS, 4)
    first, second, third, _ = logs.rows()
    assert (first["severity"], first["severity_number"]) == ("INFO", 9)
    assert first["time"] == 1763768250 * 10**9 + 5 * 10**8
    assert (second["severity"], second["body"]) == ("ERROR", "something ERROR happened to [redacted:email]")
    assert (second["time"], third["severity"]) == (NOW, "")
    latency, errors = ((bench.catalog[row["series"]], row["value"]) for row in points.rows())  # type: ignore[index]
    assert (latency[0].signal.name, latency[0].signal.unit, latency[1]) == ("api.latency", "ms", 12.5)
    assert dict(latency[0].labels) == {"method": "GET", "service.name": "api"}
    assert (errors[0].signal.kind, errors[0].signal.cumulative, errors[1]) == (Kind.SUM, False, 1.0)


def test_log_file_is_followed_from_its_end(tmp_path: Path) -> None:
    bench = Bench()
    path = tmp_path / "api.log"
    path.write_text("GET / took 1 ms\n")
    follow = follow_log("api", str(path), RULES, bench.edge, tmp_path / "state", resource={"service.name": "api"})
    assert steps(follow, 1, last=False) == [False]
    append(path, "GET / took 2 ms\n")
    assert steps(follow, 1) == [True]
    assert [row["value"] for frame in bench.frames() if frame.kind is FrameKind.POINTS for row in frame.rows()] == [2.0]


def test_bad_rule_is_named() -> None:
    with pytest.raises(BadConfig, match="google-re2"):
        LineRules([LineSignal("x", "(?=a)")])


@pytest.mark.parametrize(
    ("line", "time"),
    [
        ("2025-11-21T23:37:30Z x", 1763768250 * 10**9),
        ("[2025-11-21 23:37:30,250+0100] x", 1763764650 * 10**9 + 250 * 10**6),
        ("2025-11-21T23:37:30 no zone", NOW),
        ("2025-99-99T23:37:30Z nonsense", NOW),
        ("2099-01-01T00:00:00Z future", NOW),
        ("x 2025-11-21T23:37:30Z not in front", NOW),
    ],
)
def test_time_of_a_line(line: str, time: int) -> None:
    assert line_time(line, NOW, 0) == time


def test_copied_and_truncated_and_grown_beyond_its_old_end(log: Path) -> None:
    tail = tail_of(log)
    append(log, "first line\n")
    assert drain(tail) == [b"first line"]
    log.write_text("another beginning\nand more than there was before\n")
    assert drain(tail) == [b"another beginning", b"and more than there was before"]
    tail.close()


def bodies(bench: Bench) -> list[str]:
    return [str(row["body"]) for frame in bench.frames() if frame.kind is FrameKind.LOGS for row in frame.rows()]


def test_files_of_a_pattern_are_followed_whatever_is_done_to_them(tmp_path: Path) -> None:
    """Old lines are left, later files read whole, a renamed one is no new one, packed ones are not read."""
    bench = Bench()
    (tmp_path / "a.log").write_text("old\n")
    follow = follow_log("apps", str(tmp_path / "*.log*"), [], bench.edge, tmp_path / "state")
    looks = 21

    async def rounds() -> None:
        for _ in range(looks):
            while await follow.step():
                pass

    def let() -> None:
        asyncio.run(rounds())

    let()
    append(tmp_path / "a.log", "one\n")
    append(tmp_path / "b.log", "two\n")  # comes later: from its first line
    (tmp_path / "c.log.gz").write_text("packed\n")
    let()
    assert sorted(bodies(bench)) == ["one", "two"]
    append(tmp_path / "a.log", "three\nhalf")
    (tmp_path / "a.log").rename(tmp_path / "a.log.1")
    append(tmp_path / "a.log", "four\n")
    let()
    (tmp_path / "b.log").unlink()
    let()
    append(tmp_path / "b.log", "five\n")
    let()
    follow.close()
    assert sorted(bodies(bench)) == ["five", "four", "half", "one", "three", "two"]
    names = {dict(row["resource"])["log.file.name"] for frame in bench.frames() for row in frame.rows()}  # type: ignore[call-overload]
    assert names == {"a.log", "b.log"}
    again = follow_log("apps", str(tmp_path / "*.log*"), [], bench.edge, tmp_path / "state")
    append(tmp_path / "a.log", "six\n")
    assert [asyncio.run(again.step()) for _ in range(2)] == [True, False]
    again.close()
    assert bodies(bench).count("six") == 1


def test_a_stack_trace_is_one_record_and_its_lines_still_meet_the_rules() -> None:
    bench = Bench()
    lines = [
        b"2025-11-21T23:37:30Z ERROR payment failed",
        b"java.lang.IllegalStateException: no card",
        b"\tat shop.Pay.charge(Pay.java:31)",
        b"    at shop.Cart.buy(Cart.java:9)",
        b"Caused by: java.net.SocketTimeoutException: GET /pay took 12 ms",
        b"\t... 12 more",
        b"2025-11-21T23:37:31Z INFO go on",
    ]
    found = decode_lines(lines, LineRules(RULES), bench.edge, "main", "file/api", NOW)
    asyncio.run(bench.edge.accept(found.frames))
    logs, points = bench.frames()
    first, second, third = (str(row["body"]).split("\n") for row in logs.rows())
    assert (len(first), len(second), len(third)) == (1, 5, 1)
    assert second[0].startswith("java.lang.IllegalState")
    values = {bench.catalog[row["series"]].signal.name: row["value"] for row in points.rows()}  # type: ignore[index]
    assert values == {"api.errors": 1.0, "api.latency": 12.0}
