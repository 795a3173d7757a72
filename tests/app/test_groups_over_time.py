"""Groups of a model over days: what is counted, who is the positive one, and how often fair worlds are told unfair."""

from __future__ import annotations

import numpy as np
import pytest

from store.world import SECOND, T0, World
from tocsin.app.model_health.groups_over_time import OTHERS, over_time
from tocsin.ingest.records import record_row, rows_frame
from tocsin.model.frame import FrameKind
from tocsin.store.group_rows import Cell, GroupRows

DAY_S = 86_400


class Cells:
    """Counts as a store would give them."""

    def __init__(self, said=(), came=()):
        self._said, self._came = list(said), list(came)

    def said(self, *_):
        return self._said

    def came(self, *_):
        return self._came


def world(rng, days, sizes, rates, right=0.8):
    """Days of groups with these sizes (groups,) and rates (days, groups); truths that come the same day."""
    said, came = [], []
    for day in range(days):
        for number, size in enumerate(sizes):
            name = f"g{number}"
            yes = int(rng.binomial(size, rates[day][number]))
            said += [Cell(day, name, "true", "", yes, None), Cell(day, name, "false", "", size - yes, None)]
            for prediction, rows in (("true", yes), ("false", size - yes)):
                good = int(rng.binomial(rows, right))
                other = "false" if prediction == "true" else "true"
                came += [
                    Cell(day, name, prediction, prediction, good, None),
                    Cell(day, name, prediction, other, rows - good, None),
                ]
    return Cells([cell for cell in said if cell.rows], [cell for cell in came if cell.rows])


def judged(source, days):
    return over_time(source, "main", "loans", "tag", 0, days - 1)


def test_in_fair_worlds_at_most_the_level_is_ever_told():
    """30 worlds of 15 days with three groups, one of them small: a change, or a loop, is told in at most 5 %."""
    rng = np.random.default_rng(1)
    days, told = 15, 0
    for _ in range(30):
        found = judged(world(rng, days, (400, 150, 12), np.tile([0.5, 0.35, 0.6], (days, 1))), days)
        told += any(drift.since is not None for rate in found.rates for drift in rate.drifts)
        told += any(loop.suspected for loop in found.loops)
    assert told <= 2


def test_a_change_is_told_of_the_group_and_the_rate_it_is_in():
    rng = np.random.default_rng(2)
    rates = np.tile([0.5, 0.5, 0.5], (12, 1))
    rates[8:, 1] = 0.3
    found = judged(world(rng, 12, (1000, 1000, 1000), rates), 12)
    selection = found.rates[0]
    assert [drift.since for drift in selection.drifts][1] == 8
    assert ("selection_rate", "g1") in [(rate, drift.group) for rate, drift in found.changed()]


def test_a_small_group_is_judged_by_its_interval():
    rates = np.full((10, 2), 0.5)
    rates[5:, 1] = 0.0
    found = judged(world(np.random.default_rng(3), 10, (1000, 3), rates), 10)
    assert not found.changed()
    change = found.rates[0].drifts[1].change
    assert change.high - change.low > 1


def test_a_loop_is_suspected_where_a_group_is_chosen_less_and_comes_less():
    rng = np.random.default_rng(4)
    days = 14
    said = []
    for day in range(days):
        for name, size, rate in (("a", 4000, 0.5), ("b", 4000 - 200 * day, 0.5 - 0.02 * day)):
            yes = int(rng.binomial(size, rate))
            said += [Cell(day, name, "1", "", yes, None), Cell(day, name, "0", "", size - yes, None)]
    found = judged(Cells(said), days)
    assert [loop.group for loop in found.suspected()] == ["b"]


@pytest.mark.parametrize(
    ("predictions", "scores", "asked", "found"),
    [
        (("true", "false"), (None, None), "", "true"),
        (("1", "0"), (None, None), "", "1"),
        (('"fraud"', '"ok"'), (0.9, 0.2), "", '"fraud"'),
        (('"yes"', '"no"'), (0.1, 0.9), "", '"yes"'),
        (('"fraud"', '"ok"'), (None, None), "ok", '"ok"'),
    ],
)
def test_who_is_selected(predictions, scores, asked, found):
    cells = [Cell(0, "a", text, "", 10, score) for text, score in zip(predictions, scores, strict=True)]
    assert over_time(Cells(cells), "t", "m", "g", 0, 0, positive=asked).positive == found


@pytest.mark.parametrize(
    ("cells", "asked", "words"),
    [
        ([], "", "no prediction carries the tag"),
        ([Cell(0, "a", '"p"', "", 5, None), Cell(0, "a", '"q"', "", 5, None)], "", "it is not known which"),
        ([Cell(0, "a", f'"{c}"', "", 5, 0.5) for c in "xyz"], "", "says something else"),
        ([Cell(0, "a", "3.5", "", 5, None)], "", "says something else"),
        ([Cell(0, "a", "true", "", 5, None)], "maybe", "nobody predicted maybe"),
    ],
)
def test_what_can_not_be_compared_says_why(cells, asked, words):
    found = over_time(Cells(cells), "t", "m", "g", 0, 0, positive=asked)
    assert words in found.why_not
    assert not found.rates


def test_of_many_groups_the_small_ones_are_one():
    cells = [Cell(0, f"g{n}", "true", "", 100 - n, None) for n in range(40)]
    found = over_time(Cells(cells), "t", "m", "g", 0, 0)
    assert (len(found.names), found.names[-1]) == (21, OTHERS)
    assert found.rates[0].tallies[0, -1, 0] == sum(100 - n for n in range(20, 40))


def test_the_store_counts_by_day_and_truth_by_the_day_it_is_known(tmp_path):
    made = World(tmp_path / "store")
    try:
        day = T0 // SECOND // DAY_S

        def store(rows):
            frame = [record_row(row, T0 + 400 * DAY_S * SECOND, 0) for row in rows]
            made.clock.advance(SECOND)
            made.input.append([rows_frame(FrameKind.RECORDS, "main", "records", frame)])
            made.writer.drain()

        store(
            [
                {
                    "prediction_id": f"{k}-{n}", "time": T0 / 1e9 + k * DAY_S, "model": "loans", "prediction": n % 2 == 0,
                    "tags": {"gender": "fm"[n % 2], "region": "eu"},
                }
                for k in range(2) for n in range(10)
            ]
            + [{"prediction_id": "x", "time": T0 / 1e9, "model": "other", "prediction": True, "tags": {"gender": "f"}}]
        )  # fmt: skip
        store([{"prediction_id": "0-0", "truth": True}, {"prediction_id": "0-1", "truth": True}])
        store([{"prediction_id": "0-0", "truth": False}])
        rows = GroupRows(made.store.db)
        said = rows.said("main", "loans", "gender", day, day + 1)
        assert {(c.day - day, c.group, c.prediction, c.rows) for c in said} == {
            (0, "f", "true", 5), (0, "m", "false", 5), (1, "f", "true", 5), (1, "m", "false", 5),
        }  # fmt: skip
        known = made.clock.now() // SECOND // DAY_S
        came = rows.came("main", "loans", "gender", known - 1, known)
        assert {(c.group, c.prediction, c.truth, c.rows) for c in came} == {
            ("f", "true", "true", 1), ("m", "false", "true", 1),
        }  # fmt: skip
        end = T0 + 2 * DAY_S * SECOND
        assert rows.tagged("main", ["gender", "age"], T0, end) == [("loans", "gender"), ("other", "gender")]
        assert rows.tagged("other", ["gender"], T0, end) == []
    finally:
        made.close()
