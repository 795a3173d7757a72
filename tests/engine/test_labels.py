"""What labels ask for holds in the fold, survives a restart, and ends when it is taken back."""

import numpy as np
import pytest

from tocsin.engine.labels import Labels
from tocsin.engine.pipeline import Pipeline
from tocsin.model.codec import findings_of
from tocsin.model.errors import BadInput
from tocsin.model.finding import Phase
from tocsin.model.frame import FrameKind, points_frame
from tocsin.model.log import Control, LogRecord, Tick
from tocsin.model.series import Catalog, Series, Signal
from tocsin.spec.engine import EngineSpec
from tocsin.spec.monitor import MonitorSpec, WindowSpec

MINUTE = 60 * 10**9
AT = 1_790_000_000 * 10**9
SERIES = Series.of("main", Signal("app.latency", "ms"), {"zone": "a"})
SPEC = EngineSpec(
    monitors=[MonitorSpec(name="latency", signal="app.latency", window=WindowSpec.model_validate({"step": "60s"}))]
)


class Fold:
    def __init__(self, state=None):
        self.catalog = Catalog()
        self.pipeline = Pipeline(self.catalog)
        self.ref = self.catalog.intern(SERIES)
        self.opened = []
        if state is None:
            self.put(SPEC.control())
        else:
            self.pipeline.restore(state)

    def put(self, entry):
        output = self.pipeline.fold(LogRecord(0, entry))
        for frame in () if output is None else output.frames:
            if frame.kind is FrameKind.FINDINGS:
                self.opened += [each for each in findings_of(frame, self.catalog) if each.phase is Phase.OPEN]

    def live(self, minutes):
        rng = np.random.default_rng(5)
        for minute in range(240):
            level = 130.0 if minute >= 200 else 100.0
            noise = float(rng.standard_normal())
            if minute in minutes:
                end = AT + (minute + 1) * MINUTE
                self.put(
                    points_frame("main", "s", np.array([self.ref], "i4"), np.array([end]), np.array([level + noise]))
                )
                self.put(Tick(end, {("main", "s"): end}))


def asks(level):
    return Labels({"latency": {SERIES.id: level}}).control()


def test_a_series_must_be_as_far_out_of_line_as_labels_ask_over_restarts_until_they_are_taken_back():
    free, held = Fold(), Fold()
    held.put(asks(-200.0))
    for each in (free, held):
        each.live(range(210))
    assert len(free.opened) == 1
    assert held.opened == []
    again = Fold(held.pipeline.snapshot())
    assert again.pipeline.labels == held.pipeline.labels
    again.live(range(210, 215))
    assert again.opened == []
    again.put(Labels().control())
    again.live(range(215, 220))
    assert len(again.opened) == 1


def test_what_asks_for_less_than_the_budget_asks_for_nothing():
    one, other = Fold(), Fold()
    other.put(asks(-0.5))
    for each in (one, other):
        each.live(range(205))
    assert [(each.start, each.level) for each in one.opened] == [(each.start, each.level) for each in other.opened]


@pytest.mark.parametrize("body", [b"{}", b"no", b'{"asks": [["m", "zz", 1]]}', b'{"asks": [["m", "00", null]]}'])
def test_a_record_that_asks_for_nothing_that_can_be_is_refused(body):
    with pytest.raises(BadInput):
        Labels.of(Control.of("feedback", body))
