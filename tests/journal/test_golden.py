"""Segment files of past formats must be read for ever; `python tests/journal/test_golden.py` writes a new one."""

import json
from pathlib import Path

import numpy as np
import pytest

from tocsin.journal import SegmentLog, SegmentReader
from tocsin.journal.blocks import FORMAT
from tocsin.model.clock import ManualClock
from tocsin.model.frame import FrameKind, frame_of, points_frame
from tocsin.model.log import Control, Output, Tick
from tocsin.model.series import Catalog, Kind, Series, Signal, identity

GOLDEN = Path(__file__).parent.parent / "golden" / "journal"


def golden_entries(catalog: Catalog):
    sums = Signal("requests_total", "1", Kind.SUM, monotonic=True, cumulative=True)
    refs = np.array([catalog.intern(Series.of("main", sums, {"host": f"h{i}", "zone": "é"})) for i in range(50)], "i4")
    points = points_frame("main", "scrape/node", refs, np.arange(50) + 10**18, np.arange(50) / 3, np.zeros(50, "i8"))
    logs = {
        "time": [5],
        "severity": ["ERROR"],
        "severity_number": [17],
        "body": ["no route to host"],
        "event_name": [""],
        "trace_id": [b"t" * 16],
        "span_id": [b"s" * 8],
        "resource": [[("service.name", "api")]],
        "attributes": [[]],
    }
    states = {"series": [int(refs[3])], "time": [9], "state": ["stale"], "since": [8], "cadence": [7]}
    return [
        points,
        frame_of(FrameKind.LOGS, "main", "otlp/api", logs),
        Tick(10**18, {("main", "otlp/api"): 10**18 - 1}),
        Control.of("spec", b'{"monitors":[]}'),
        Output(0, 10**18, False, (frame_of(FrameKind.STATES, "main", "engine", states),)),
        Output(2, 10**18, True, ()),
    ]


def said(entry, catalog):
    """An entry as JSON."""
    if isinstance(entry, Tick):
        return ["tick", entry.received, [[*key, mark] for key, mark in entry.watermarks.items()]]
    if isinstance(entry, Control):
        return ["control", entry.kind, entry.sha256, entry.body.decode()]
    if isinstance(entry, Output):
        return ["output", entry.cause, entry.received, entry.tick, [said(frame, catalog) for frame in entry.frames]]
    rows = entry.rows()
    for row in rows:
        if "series" in row:
            one = catalog[row["series"]]
            assert one.id == identity(one.tenant, one.signal.name, one.labels)
            row["series"] = [one.id.hex(), one.signal.name, one.signal.unit, one.signal.kind.value, dict(one.labels)]
    text = json.dumps(rows, default=bytes.hex)
    return ["frame", entry.kind.value, entry.tenant, entry.source, json.loads(text)]


@pytest.mark.parametrize("version", range(1, FORMAT + 1))
def test_a_golden_segment_is_read_as_it_was_written(version):
    catalog = Catalog()
    reader = SegmentReader(GOLDEN / f"format-{version}", catalog)
    found = [said(record.entry, catalog) for record in reader.read(0)]
    reader.close()
    assert found == json.loads((GOLDEN / f"format-{version}.json").read_text())


def write() -> None:
    """Write the golden files of this format."""
    catalog = Catalog()
    log = SegmentLog(
        GOLDEN / f"format-{FORMAT}", catalog, ManualClock(10**18), versions={"decoder": "1", "redactor": "1"}
    )
    log.append(golden_entries(catalog)).result()
    texts = [said(record.entry, catalog) for record in log.read(0)]
    log.close()
    (GOLDEN / f"format-{FORMAT}.json").write_text(json.dumps(texts, indent=1) + "\n")


if __name__ == "__main__":
    write()
