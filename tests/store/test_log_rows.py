"""Log lines are stored with the shape that names their template, whatever the template becomes."""

import pyarrow as pa
import pytest

from store.world import SECOND, T0, World
from tocsin.model.frame import FrameKind, frame_of
from tocsin.model.log import Output
from tocsin.stats.log_mask import shapes

TRACE = bytes(range(16))
LINES = (
    ("shop", 9, "user alice logged in", TRACE),
    ("shop", 9, "user bob logged in", bytes(16)),
    ("shop", 17, "order 17 failed", TRACE),
    ("bot", 9, "user bob logged in", bytes(16)),
)


def logs_frame(at=T0):
    columns = {
        "time": [at + k * SECOND for k in range(len(LINES))],
        "severity": ["INFO" if line[1] == 9 else "ERROR" for line in LINES],
        "severity_number": [line[1] for line in LINES],
        "body": [line[2] for line in LINES],
        "event_name": [""] * len(LINES),
        "trace_id": [line[3] for line in LINES],
        "span_id": [bytes(8)] * len(LINES),
        "resource": [[("service.name", line[0])] for line in LINES],
        "attributes": [[("zone", "a")]] * len(LINES),
    }
    return frame_of(FrameKind.LOGS, "main", "otlp/shop", columns)


def templates_frame(at, **texts):
    """Templates of bodies, by id."""
    bodies = {body: key for key, of in texts.items() for body in of[1]}
    columns = {
        "time": [at] * len(bodies),
        "shape": shapes(pa.array(list(bodies))).tolist(),
        "template": list(bodies.values()),
        "text": [texts[key][0] for key in bodies.values()],
    }
    return frame_of(FrameKind.LOG_TEMPLATES, "main", "engine", columns)


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("store"))
    world.input.append([logs_frame(T0 - 3600 * SECOND), logs_frame()])
    first = templates_frame(
        T0,
        aa=("user alice logged in", ["user alice logged in"]),
        bb=("user bob logged in", ["user bob logged in"]),
        cc=("order <*> failed", ["order 17 failed"]),
    )
    later = templates_frame(T0 + SECOND, dd=("user <*> logged in", ["user alice logged in", "user bob logged in"]))
    world.output.append([Output(0, T0, True, (first,)), Output(1, T0 + SECOND, True, (later,))])
    world.writer.drain()
    yield world
    world.close()


def test_an_export_has_the_template_of_each_line_as_it_is_now(told):
    rows = told.rows("logs", start=T0)
    assert [row["template"] for row in rows] == [*["user <*> logged in"] * 2, "order <*> failed", "user <*> logged in"]
    assert "shape" not in rows[0]


@pytest.mark.parametrize("named", ["dd", "user <*> logged in"])
def test_lines_are_found_by_template(told, named):
    rows = told.store.logs("main", {"template": named}, T0, T0 + 60 * SECOND)
    assert sorted(row["body"] for row in rows) == ["user alice logged in", *["user bob logged in"] * 2]


def test_lines_are_found_by_service_severity_text_and_request(told):
    def bodies(where=(), **options):
        return [row["body"] for row in told.store.logs("main", where, T0, T0 + 60 * SECOND, **options)]

    assert bodies({"service": "bot"}) == ["user bob logged in"]
    assert bodies(least=17) == ["order 17 failed"]
    assert bodies(search="ALICE") == ["user alice logged in"]
    assert bodies({"trace_id": TRACE.hex().upper()}) == ["order 17 failed", "user alice logged in"]
    assert bodies({"zone": "a", "service": "shop"}, limit=1) == ["order 17 failed"]


def test_templates_are_counted_by_service_beside_as_long_a_time_before(told):
    rows = told.store.log_templates("main", T0, T0 + 3600 * SECOND)
    assert [(row["service"], row["template"], row["records"], row["before"], row["errors"]) for row in rows] == [
        ("shop", "dd", 2, 2, 0),
        ("bot", "dd", 1, 1, 0),
        ("shop", "cc", 1, 1, 1),
    ]
    assert rows[0]["sample"] == "user bob logged in"
    assert rows[0]["last_time"] == T0 + SECOND


def test_templates_are_found_by_service_and_text(told):
    found = told.store.log_templates("main", T0, T0 + 3600 * SECOND, "shop", "FAILED")
    assert [row["template"] for row in found] == ["cc"]


def test_other_tenants_see_nothing(told):
    assert told.store.logs("other") == []
    assert told.store.log_templates("other", T0, T0 + SECOND) == []
