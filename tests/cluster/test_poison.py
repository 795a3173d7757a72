"""Messages that nobody can read: each worker keeps each of them once in its life."""

import time

import pytest

from cluster.fleet import Fleet
from tocsin.journal.kafka import feed as kafka_feed
from tocsin.journal.kafka.feed import GroupFeed
from tocsin.journal.kafka.reader import PlacesReader
from tocsin.journal.kafka.writer import TopicWriter
from tocsin.model.series import Catalog

pytestmark = pytest.mark.system


@pytest.fixture
def fleet(tmp_path):
    fleet = Fleet(tmp_path / "fleet")
    yield fleet
    fleet.close()


class FromTheStart:
    """An owner that has folded nothing whenever partitions come."""

    def assigned(self, partitions):
        return dict.fromkeys(partitions, 0)

    def revoked(self, partitions):
        pass

    lost = revoked


def read_until(feed, count, fleet):
    """Poll until so many messages were counted as unreadable."""
    catalogs, owner = {n: Catalog() for n in range(fleet.topics.partitions)}, FromTheStart()
    end = time.monotonic() + 60
    while kafka_feed._POISON._value.get() < count:
        assert time.monotonic() < end
        feed.poll(owner, catalogs)


def kept(fleet, writer):
    """How many messages are in the dead topic."""
    writer._producer.flush(30)
    reader, found, quiet = PlacesReader(fleet.topics.settings, {(fleet.topics.dead, 0): 0}), 0, 0
    while quiet < 10:
        came = len(reader.read(100, 0.1))
        found, quiet = found + came, 0 if came else quiet + 1
    reader.close()
    return found


def test_what_is_read_again_is_not_kept_again_in_one_life(fleet):
    writer = TopicWriter(fleet.topics.settings)
    before = kafka_feed._POISON._value.get()
    four = fleet.topics.partitions
    feed = GroupFeed(fleet.topics, "readers", 6000, writer, "one")
    fleet.poison()
    read_until(feed, before + four, fleet)
    feed.rejoin()
    fleet.poison()  # behind the first, which come anew before it
    read_until(feed, before + 2 * four, fleet)
    feed.close()
    assert kept(fleet, writer) == 2 * four == len(fleet.buried())
    other = GroupFeed(fleet.topics, "readers", 6000, writer, "two")
    read_until(other, before + 4 * four, fleet)
    other.close()
    assert kept(fleet, writer) == 4 * four
    assert len(fleet.buried()) == 2 * four  # by their origin
    writer.close()
