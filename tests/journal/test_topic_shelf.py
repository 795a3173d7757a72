"""A shelf in a compacted topic of a real broker: what writers leave, what compaction takes, and brokers that are away.

The broker of the tests never compacts. What a reader meets in a topic that was compacted is shown to it instead: the same
records at the same offsets, without those that are gone.
"""

import itertools
import threading

import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from structlog.testing import capture_logs

import brokers
from brokers import PREFIX, KafkaBroker
from cluster.wire import Wire
from tocsin.engine.snapshot import SNAPSHOT_FAILURES, Keeper, Snapshots
from tocsin.journal.kafka import shelf as shelves
from tocsin.journal.kafka import topics as clients
from tocsin.journal.kafka.files import MOST_BYTES, ORPHANED_MS, PART_BYTES, FileIndex, Manifest, part_key
from tocsin.journal.kafka.reader import PlacesReader
from tocsin.journal.kafka.shelf import FileTopic, TopicShelf
from tocsin.journal.kafka.topics import Topics
from tocsin.model.errors import Corrupt, TooLarge, Unreachable

_names = itertools.count()
THREE = b"abc" * PART_BYTES


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    broker = KafkaBroker(tmp_path_factory.mktemp("kafka"))
    yield broker
    broker.close()


@pytest.fixture
def topics(broker):
    topics = Topics({"bootstrap.servers": broker.address}, f"{PREFIX}files{next(_names)}")
    topics.make_snapshots()
    return topics


def opened(topics):
    """A process of its own that looks at the topic."""
    return FileTopic(topics.settings, topics.snapshots)


def shelf(topics):
    return TopicShelf(opened(topics)).at("0")


def filled(content):
    return lambda file: file.write(content)


def records(topics):
    """All records: offset, key and whether it is a tombstone."""
    reader, found, quiet = PlacesReader(topics.settings, {(topics.snapshots, 0): 0}), [], 0
    while quiet < 10:
        messages = reader.read(100, 0.1)
        quiet = 0 if messages else quiet + 1
        found += [(each.offset(), each.key().decode(), each.value() is None) for each in messages]
    reader.close()
    return found


def living(topics):
    """Keys that compaction keeps for good."""
    last = {key: gone for _, key, gone in records(topics)}
    return sorted(key for key, gone in last.items() if not gone)


def outlived(topics, *, tombstones):
    """Offsets that compaction takes, with tombstones once they are a day old."""
    said = records(topics)
    last = {key: offset for offset, key, _ in said}
    return {offset for offset, key, gone in said if offset != last[key] or (gone and tombstones)}


@pytest.fixture
def compacted(monkeypatch):
    """Offsets that readers find no more."""
    gone = set()

    class Compacted:
        def __init__(self, consumer):
            self._consumer = consumer

        def poll(self, wait_s):
            message = self._consumer.poll(wait_s)
            lost = message is not None and message.error() is None and message.offset() in gone
            return None if lost else message

        def __getattr__(self, name):
            return getattr(self._consumer, name)

    real = shelves.asker
    monkeypatch.setattr(shelves, "asker", lambda *given: Compacted(real(*given)))
    return gone


@pytest.mark.system
def test_what_is_written_anew_dropped_or_renamed_leaves_nothing_behind(topics):
    here = shelf(topics)
    here.write("1.snap", filled(THREE))
    assert len(living(topics)) == 4
    here.write("1.snap", filled(b"short"))
    here.write("2.snap", filled(THREE))
    here.rename("2.snap", "2.broken")
    file, part = living(topics)[:2]
    assert (file, part.partition("#")[0]) == ("0/1.snap", "0/1.snap")
    assert [key for key in living(topics) if "#" not in key] == ["0/1.snap", "0/2.broken"]
    assert len(living(topics)) == 2 + 4
    for name in here.names():
        here.drop(name)
    assert living(topics) == []


@pytest.mark.system
def test_processes_see_each_others_files(topics):
    one, other = shelf(topics), shelf(topics)
    one.write("1.snap", filled(b"one"))
    assert other.read("1.snap") == b"one"
    other.write("1.snap", filled(THREE))
    assert one.read("1.snap") == THREE
    one.drop("1.snap")
    assert list(other.names()) == []
    with pytest.raises(FileNotFoundError):
        other.read("1.snap")


@pytest.mark.system
def test_two_who_write_the_same_name_leave_one_of_both_whole_and_nothing_of_the_other(topics):
    contents = [bytes([number]) * (PART_BYTES + 1) for number in range(4)]
    places = [shelf(topics) for _ in range(2)]
    many = [
        threading.Thread(target=places[n % 2].write, args=("1.snap", filled(each))) for n, each in enumerate(contents)
    ]
    for each in many:
        each.start()
    for each in many:
        each.join()
    fresh = shelf(topics)
    assert fresh.read("1.snap") in contents
    assert places[0].read("1.snap") == places[1].read("1.snap") == fresh.read("1.snap")
    fresh.write("2.snap", filled(b"x"))  # who comes last sweeps
    assert len(living(topics)) == 3 + 2


@pytest.mark.system
def test_a_writer_that_dies_before_the_manifest_leaves_no_file_and_its_parts_are_swept_in_an_hour(broker):
    # stamps of the test's own, which a broker keeps if the topic says so
    topics = Topics({"bootstrap.servers": broker.address}, f"{PREFIX}files{next(_names)}")
    config = {"cleanup.policy": "compact", "message.timestamp.type": "CreateTime"}
    admin = AdminClient({**topics.settings})
    made = admin.create_topics([NewTopic(topics.snapshots, 1, 1, config=config)])
    made[topics.snapshots].result(30)
    producer = broker.producer(**{"batch.num.messages": 1})
    now = 1_700_000_000_000
    ages = {"0/1.snap#old/0": ORPHANED_MS + 60_000, "1/1.snap#old/0": ORPHANED_MS + 60_000, "0/1.snap#new/0": 60_000}
    for key, age in ages.items():
        producer.produce(topics.snapshots, b"part", key, 0, timestamp=now - age)
    producer.produce(topics.snapshots, b"foreign", "0/foreign", 0, timestamp=now)
    assert producer.flush(30) == 0
    here = shelf(topics)
    assert list(here.names()) == []
    with here._topic.index() as index:
        assert index.leftovers("0") == ["0/1.snap#old/0"]
        assert index.leftovers("1") == ["1/1.snap#old/0"]
    with pytest.raises(FileNotFoundError):
        here.read("1.snap")


def test_parts_without_a_file_are_swept_by_the_stamps_of_the_topic_alone():
    index = FileIndex()
    index.take(part_key("0/a", "dead", 0), b"x", 0, 1000)
    index.take(part_key("0/a", "dead", 1), b"x", 1, 2000)
    index.take(part_key("0/b", "live", 0), b"x", 2, 2000)
    index.take("0/b", Manifest.of("live", b"x").packed(), 3, 2000)
    assert index.leftovers("0") == []
    index.take("1/c", None, 4, 2000 + ORPHANED_MS)
    assert index.leftovers("0") == []
    index.take("1/c", None, 5, 2001 + ORPHANED_MS)
    assert index.leftovers("0") == [part_key("0/a", "dead", 0), part_key("0/a", "dead", 1)]
    index.take("0/b", Manifest.of("next", b"y").packed(), 6, 2001)  # written anew: at once
    assert part_key("0/b", "live", 0) in index.leftovers("0")


@pytest.mark.parametrize("tombstones", [False, True])
@pytest.mark.system
def test_a_compacted_topic_reads_the_same(topics, compacted, tombstones):
    here, stale = shelf(topics), shelf(topics)
    for number in range(3):
        here.write(f"{number}.snap", filled(THREE))
        assert list(stale.names()) == [f"{number - n}.snap" for n in (1, 0) if number >= n]
        if number:
            here.drop(f"{number - 1}.snap")
    here.write("2.snap", filled(b"short"))
    compacted |= outlived(topics, tombstones=tombstones)
    for each in (shelf(topics),) if tombstones else (shelf(topics), stale):
        assert each.read("2.snap") == b"short"
        assert list(each.names()) == ["2.snap"]


@pytest.mark.system
def test_who_has_slept_through_a_drop_that_nothing_tells_of_finds_the_file_gone(topics, compacted, monkeypatch):
    here, slept, looks_again = shelf(topics), shelf(topics), shelf(topics)
    here.write("1.snap", filled(THREE))
    assert list(slept.names()) == list(looks_again.names()) == ["1.snap"]
    here.drop("1.snap")
    compacted |= outlived(topics, tombstones=True)
    with pytest.raises(FileNotFoundError):
        slept.read("1.snap")
    assert list(slept.names()) == []
    assert list(looks_again.names()) == ["1.snap"]
    monkeypatch.setattr(shelves, "STALE_S", 0)
    assert list(looks_again.names()) == []


@pytest.mark.system
def test_a_file_that_is_written_anew_while_it_is_read_is_read_anew(topics, compacted):
    here, other = shelf(topics), shelf(topics)
    here.write("1.snap", filled(THREE))
    fetched, busy = here._topic.fetched, []

    def overtaken(places):
        if not busy:
            busy.append(True)
            other.write("1.snap", filled(b"new"))
            compacted.update(outlived(topics, tombstones=False))
        return fetched(places)

    here._topic.fetched = overtaken
    assert here.read("1.snap") == b"new"


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.system
def test_a_snapshot_whose_part_is_gone_is_put_aside_and_the_one_before_it_is_loaded(topics, compacted, known):
    here = shelf(topics)
    snapshots = Snapshots(here)
    for offset in (1, 2):
        snapshots.save(offset, {"blob": THREE, "offset": offset})
    found = shelf(topics) if not known else here
    compacted.add(next(offset for offset, key, _ in records(topics) if key.startswith(f"0/{2:020d}.snap#")))
    with pytest.raises(Corrupt, match="are gone or are not what was written"):
        found.read(f"{2:020d}.snap")
    assert Snapshots(found).load(10)[0] == 1
    assert list(found.names()) == [f"{1:020d}.snap"]


@pytest.mark.system
def test_a_topic_that_ends_before_what_was_read_is_another_and_is_read_anew(topics, monkeypatch):
    # to delete it in earnest makes librdkafka 2.16 crash on the broker of the tests
    here = shelf(topics)
    here.write("1.snap", filled(THREE))
    monkeypatch.setattr(shelves, "bounds", lambda *_: (0, 0))
    assert list(here.names()) == []
    monkeypatch.undo()
    assert here.read("1.snap") == THREE


@pytest.mark.system
def test_a_file_over_the_limit_is_refused_with_the_next_step_and_one_near_it_is_told(topics):
    here = shelf(topics)
    with capture_logs() as said:
        here.write("1.snap", filled(bytes(MOST_BYTES)))
    assert [each["log_level"] for each in said] == ["warning"]
    assert here.read("1.snap") == bytes(MOST_BYTES)
    with pytest.raises(TooLarge, match="keep snapshots in a bucket or a shared directory"):
        here.write("1.snap", filled(bytes(MOST_BYTES + 1)))
    assert here.read("1.snap") == bytes(MOST_BYTES)
    before = SNAPSHOT_FAILURES._value.get()
    keeper = Keeper(Snapshots(here))
    with pytest.MonkeyPatch.context() as patched, capture_logs() as said:
        patched.setattr(shelves, "MOST_BYTES", 10)
        keeper.save(2, {"blob": b"x" * 100})
        keeper.wait()
    assert SNAPSHOT_FAILURES._value.get() == before + 1
    assert "in a bucket" in said[-1]["cause"]


@pytest.mark.system
def test_writers_of_one_process_do_not_get_into_each_others_way(topics):
    topic = opened(topics)
    places = [TopicShelf(topic, str(number)) for number in range(6)]

    def busy(number):
        for offset in range(3):
            Snapshots(places[number]).save(offset, {"blob": bytes([number]) * PART_BYTES * 2, "offset": offset})

    many = [threading.Thread(target=busy, args=(number,)) for number in range(6)]
    for each in many:
        each.start()
    for each in many:
        each.join()
    for number in range(6):
        offset, state = Snapshots(TopicShelf(opened(topics), str(number))).load(10)
        assert (offset, state["blob"][:1]) == (2, bytes([number]))


@pytest.fixture
def cut_off(tmp_path):
    """A broker that clients come to by a wire, and the wire; it is always one of the tests' own."""
    wires = []

    def wired(port):
        wires.append(Wire(port))
        return wires[0].address

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(brokers, "BOOTSTRAP", "")
        broker = KafkaBroker(tmp_path, through=wired)
    yield broker, wires[0]
    broker.close()
    wires[0].close()


@pytest.mark.system
def test_brokers_that_are_away_are_said_and_when_they_are_back_all_goes_on(cut_off, monkeypatch):
    broker, wire = cut_off
    topics = Topics({"bootstrap.servers": broker.address}, f"{PREFIX}files{next(_names)}")
    topics.make_snapshots()
    monkeypatch.setattr(shelves, "SETTINGS", {**shelves.SETTINGS, "message.timeout.ms": 1000})
    here = shelf(topics)
    here.write("1.snap", filled(THREE))
    wire.cut()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(shelves, "PATIENCE_S", 0)
        patched.setattr(clients, "WAIT_S", 1)
        asked = (here.names, lambda: here.read("1.snap"), lambda: here.drop("1.snap"))
        for each in (*asked, lambda: here.write("1.snap", filled(b"x"))):
            with pytest.raises(Unreachable, match=topics.snapshots):
                each()
    wire.mend()
    assert here.read("1.snap") == THREE
    here.write("1.snap", filled(b"after"))
    assert here.read("1.snap") == b"after"
