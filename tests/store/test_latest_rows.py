"""The newest value of each series, and when those that fell silent were last heard of."""

from __future__ import annotations

from store.world import SECOND, T0, World
from tocsin.store.latest_rows import LatestRows


def test_the_newest_value_of_each_series_is_told(world: World):
    one, two, other = world.ref(host_name="a"), world.ref(host_name="b"), world.ref("load", host_name="a")
    times = [T0, T0 + 10 * SECOND, T0 + 5 * SECOND]
    world.input.append([world.points([one, one, two], times, [1.0, 2.0, 3.0]), world.points([other], [T0], [9.0])])
    world.writer.step()
    rows = LatestRows(world.store.db)
    assert rows.signals("main") == ["cpu", "load"]
    found = {dict(each.series.labels)["host.name"]: each for each in rows.newest("main", ["cpu"], T0, T0)}
    assert {name: (each.time, each.value) for name, each in found.items()} == {
        "a": (times[1], 2.0),
        "b": (times[2], 3.0),
    }
    assert rows.newest("main", ["cpu"], T0 + 60 * SECOND, T0 + 60 * SECOND) == []
    assert rows.newest("other", ["cpu"], T0, T0) == rows.newest("main", [], T0, T0) == []
