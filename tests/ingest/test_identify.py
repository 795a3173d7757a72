"""Identities and cardinality caps."""

import threading

from ingest_world import World, gauge_request
from tocsin.ingest.identify import OVERFLOW
from tocsin.ingest.otlp import OtlpReceiver
from tocsin.model.clock import SECOND
from tocsin.model.series import Series, Signal
from tocsin.selfmon.metrics import REGISTRY

CPU = Signal("cpu", "1")


def test_pairs_are_merged_sorted_and_redacted():
    identifier = World().edge.identifier
    world = World()
    identifier = world.edge.identifier
    ref = identifier.ref("main", "s", CPU, (("b", "1"), ("a", "1")), (("b", "2"),))
    assert world.catalog[ref] == Series.of("main", CPU, {"a": "1", "b": "2"})
    assert identifier.ref("main", "s", CPU, (("a", "1"),), (("b", "2"),)) == ref
    assert identifier.ref("other", "s", CPU, (("a", "1"),), (("b", "2"),)) != ref


def fill(world, n, source="s", key="user"):
    ref = world.edge.identifier.ref
    return [ref("main", source, CPU, (("host", "h"),), ((key, str(i)), ("two", str(i % 2)))) for i in range(n)]


def test_over_the_cap_points_go_to_one_overflow_series_and_the_label_is_named():
    world = World(series_per_source=50)
    refs = fill(world, 60)
    overflow = world.catalog[refs[-1]]
    assert (overflow.signal, overflow.labels) == (CPU, OVERFLOW)
    assert refs[50:] == [refs[-1]] * 10
    assert fill(world, 60) == refs
    [notice] = world.edge.identifier.notices()
    assert (notice.signal, notice.label, notice.values) == ("cpu", "user", 50)
    assert "label 'user' of 'cpu' has at least 50 values" in str(notice)
    assert fill(world, 3, source="other") == refs[:3]


def test_the_cap_of_a_tenant_counts_a_series_once():
    world = World(series_per_tenant=10)
    fill(world, 10)
    assert fill(world, 10, source="other") == list(range(10))
    assert world.catalog[fill(world, 11, source="other")[-1]].labels == OVERFLOW


def test_a_flood_of_metric_names_does_not_make_a_flood_of_overflow_series():
    world = World(series_per_source=5)
    refs = {world.edge.identifier.ref("main", "s", Signal(f"m{n}"), (), ()) for n in range(3000)}
    assert len(refs) == len(world.catalog) <= 5 + 1001


def test_series_that_are_gone_for_two_days_free_their_place():
    world = World(series_per_source=10)
    world.edge.tick()
    fill(world, 10)
    for _ in range(2):
        world.clock.advance(24 * 3600 * SECOND)
        world.edge.tick()
        fill(world, 2)
    assert not world.edge.identifier.notices()
    fresh = fill(world, 10, key="pod")
    assert [world.catalog[ref].labels == OVERFLOW for ref in fresh] == [False] * 8 + [True] * 2


def test_a_million_labels_scaled_down_through_otlp():
    world = World(series_per_source=1_000)
    receiver = OtlpReceiver(world.edge)
    body = gauge_request([float(n) for n in range(3_000)], service="exploding").SerializeToString()
    for _ in range(2):
        taken = receiver.take("metrics", body, "main")
        assert taken.rejected == 0
        assert "label 'n' of 'cpu'" in taken.message
    assert len(world.rows()) == 6_000
    assert len(world.catalog) == 1_001
    labels = {"tenant": "main", "source": "otlp/exploding"}
    assert REGISTRY.get_sample_value("tocsin_ingest_overflow_points_total", labels) == 4_000


def test_threads_get_the_same_numbers():
    world, found = World(), []

    def work():
        found.append(fill(world, 500))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [found[0]] * 4
    assert sorted(set(found[0])) == list(range(500))
