"""An entry that can be read and not folded: workers on a real broker try it, keep it as a dead letter, and go on."""

import re
import threading

import pytest
from structlog.testing import capture_logs

from cluster.fleet import Fleet, World, spec_of_world
from spoilt import spoilt_points, spoilt_spans
from tocsin.app.cluster.engines import WorkerEngine
from tocsin.app.cluster.links import Links
from tocsin.app.cluster.shelves import shelves_of
from tocsin.engine.passed import TooManyPassed
from tocsin.journal.dictionary import SeriesTexts
from tocsin.journal.kafka.envelope import headers_of, routed_of
from tocsin.journal.kafka.reader import PlacesReader
from tocsin.journal.kafka.writer import Parcel, TopicWriter
from tocsin.journal.messages import pack_message
from tocsin.model.series import Catalog
from tocsin.spec.packs import load_packs

pytestmark = pytest.mark.system
SECONDS = 120


@pytest.fixture
def fleet(tmp_path):
    fleet = Fleet(tmp_path / "fleet")
    yield fleet
    fleet.close()


def write(fleet, catalog, frame, shard):
    """Put a frame into the log as an edge does."""
    writer = TopicWriter(fleet.topics.settings)
    value, headers = pack_message(frame, SeriesTexts(catalog)), headers_of(shard, "edge", None)
    offset = writer.write([Parcel(fleet.topics.log, shard % fleet.topics.partitions, value, headers)]).result(30)
    writer.close()
    return f"{fleet.topics.log}/{shard % fleet.topics.partitions}/{offset}"


def letters(fleet):
    """Dead letters by their origin: why, and what they hold."""
    reader, found, quiet = PlacesReader(fleet.topics.settings, {(fleet.topics.dead, 0): 0}), {}, 0
    while quiet < 10:
        messages = reader.read(100, 0.1)
        quiet = 0 if messages else quiet + 1
        for each in messages:
            headers = dict(each.headers())
            entry = routed_of(0, each.value(), each.headers(), Catalog()).entry
            found[headers["tocsin-origin"].decode()] = headers["tocsin-reason"].decode(), entry.kind
    reader.close()
    return found


def test_workers_pass_over_what_fails_and_find_what_one_machine_finds_also_when_relieved(fleet):
    world, wrote = World(SECONDS), []
    fleet.start(2)

    def spoil():
        catalog = Catalog()
        wrote.append(write(fleet, catalog, spoilt_points(catalog), 1))
        wrote.append(write(fleet, catalog, spoilt_points(catalog), 2))

    def relieve():
        fleet.living()[0].kill()
        fleet.start()

    fleet.send(world, per_second=8, at=[(40, spoil), (80, relieve)])
    found, _ = fleet.heard(world.seconds[-1][1].received)
    assert found == world.alone()
    kept = letters(fleet)
    assert sorted(kept) == sorted(wrote)
    assert all(re.match("TypeError: ", reason) for reason, _ in kept.values())
    assert fleet.said(last=0).count("can't be folded; the state is restored") == 2 * fleet.spec.tries


def test_a_tick_that_fails_passes_over_what_came_since_the_one_before(fleet):
    world = World(60)
    world.control = spec_of_world().model_copy(update={"packs": load_packs()}).control()  # they say which spans matter
    spoilt = spoilt_spans(tenant="e", at=world.seconds[30][1].received)
    fleet.start()
    fleet.send(world, at=[(30, lambda: write(fleet, Catalog(), spoilt, 3))])
    fleet.heard(world.seconds[-1][1].received)  # every partition goes on
    assert {kind.value for _, kind in letters(fleet).values()} >= {"spans"}


def test_a_worker_that_would_pass_over_too_much_ends_and_says_so(tmp_path):
    fleet = Fleet(tmp_path / "strict", partitions=1, passed_over=0, tries=2)
    links = Links(fleet.spec, Catalog(), threading.Event())
    catalog = Catalog()
    write(fleet, catalog, spoilt_points(catalog), 0)
    engine = WorkerEngine(links, shelves_of(fleet.spec).of)
    with capture_logs() as logs, pytest.raises(TooManyPassed, match="0 are already, 1 more would be, and 0 may be"):
        engine.run()
    assert len([each for each in logs if "can't be folded" in each["event"]]) == fleet.spec.tries
    assert letters(fleet) == {}
    links.close()
    fleet.close()
