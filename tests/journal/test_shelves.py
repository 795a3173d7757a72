"""Shelves for files of state, on a disk, in a real store that speaks S3 and on a real broker: whole or not at all, whoever fails."""

import itertools

import pytest

from brokers import PREFIX, KafkaBroker
from objectstore import ACCESS, SECRET, ObjectStore
from tocsin.engine.snapshot import KEEP, Snapshots
from tocsin.journal.bucket import BucketShelf, open_store
from tocsin.journal.directory import Directory
from tocsin.journal.kafka.shelf import FileTopic, TopicShelf
from tocsin.journal.kafka.topics import Topics
from tocsin.model.errors import BadConfig, Unreachable

pytestmark = pytest.mark.system
_names = itertools.count()
LARGE = 12 << 20  # more than one part of an upload


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = ObjectStore(tmp_path_factory.mktemp("s3"))
    store.client().create_dir("state")
    yield store
    store.close()


def bucket(store, path="state/a"):
    return BucketShelf(open_store("", store.endpoint, str(store.credentials), ""), path)


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    broker = KafkaBroker(tmp_path_factory.mktemp("kafka"))
    yield broker
    broker.close()


def topic(broker):
    topics = Topics({"bootstrap.servers": broker.address}, f"{PREFIX}shelf{next(_names)}")
    topics.make_snapshots()
    return TopicShelf(FileTopic(topics.settings, topics.snapshots))


@pytest.fixture(params=["directory", "bucket", "topic"])
def shelf(request, tmp_path):
    if request.param == "directory":
        return Directory(tmp_path / "shelf")
    if request.param == "bucket":
        return bucket(request.getfixturevalue("store"), f"state/{tmp_path.name}")
    return topic(request.getfixturevalue("broker")).at("a")


def filled(content):
    return lambda file: file.write(content)


@pytest.mark.parametrize("content", [b"", b"small", bytes(range(256)) * (LARGE // 256)], ids=["none", "small", "large"])
def test_what_was_written_is_read_and_what_is_written_anew_takes_its_place(shelf, content):
    assert list(shelf.names()) == []
    shelf.write("1.snap", filled(b"before"))
    shelf.write("1.snap", filled(content))
    assert list(shelf.names()) == ["1.snap"]
    assert shelf.read("1.snap") == content


def test_a_writer_that_fails_leaves_what_was_there(shelf):
    def torn(file):
        file.write(b"half of")
        raise OSError("the writer fell over")

    shelf.write("1.snap", filled(b"whole"))
    with pytest.raises(OSError, match="fell over"):
        shelf.write("1.snap", torn)
    with pytest.raises(OSError, match="fell over"):
        shelf.write("2.snap", torn)
    assert shelf.read("1.snap") == b"whole"
    with pytest.raises(FileNotFoundError):
        shelf.read("2.snap")


def test_files_get_other_names_and_go_and_what_is_gone_stays_so(shelf):
    for name in ("1.snap", "2.snap"):
        shelf.write(name, filled(name.encode()))
    shelf.rename("1.snap", "1.broken")
    assert sorted(shelf.names()) == ["1.broken", "2.snap"]
    assert shelf.read("1.broken") == b"1.snap"
    for _ in range(2):
        shelf.drop("2.snap")
        shelf.rename("2.snap", "2.broken")
    shelf.drop("1.broken")
    assert list(shelf.names()) == []
    with pytest.raises(FileNotFoundError):
        shelf.read("1.broken")


def test_the_newest_whole_snapshot_is_found_and_old_ones_go(shelf):
    snapshots = Snapshots(shelf)
    for offset in range(1, KEEP + 3):
        snapshots.save(offset, {"offset": offset})
    newest = f"{KEEP + 2:020d}"
    shelf.write(f"{newest}.snap", filled(shelf.read(f"{newest}.snap")[:-1]))
    assert snapshots.load(1000) == (KEEP + 1, {"offset": KEEP + 1})
    assert sorted(shelf.names()) == [f"{KEEP + 1:020d}.snap", f"{newest}.broken"]
    assert snapshots.load(KEEP) is None


def test_a_snapshot_that_goes_while_it_is_looked_for_gives_way_to_the_newer_one(shelf):
    class Busy:
        """A shelf on which another worker writes between two looks."""

        def __init__(self):
            self.looks = 0

        def names(self):
            found = shelf.names()
            self.looks += 1
            if self.looks == 1:
                Snapshots(shelf).save(3, {"offset": 3})
                shelf.drop(f"{2:020d}.snap")
            return found

        def __getattr__(self, name):
            return getattr(shelf, name)

    Snapshots(shelf).save(2, {"offset": 2})
    assert Snapshots(Busy()).load(1000) == (3, {"offset": 3})


@pytest.mark.parametrize("kind", ["bucket", "topic"])
def test_partitions_lie_apart(request, kind):
    whole = bucket(request.getfixturevalue("store"), "state/parts/") if kind == "bucket" else None
    whole = whole or topic(request.getfixturevalue("broker"))
    whole.at("tocsin", "0").write("1.snap", filled(b"zero"))
    whole.at("tocsin", "10").write("2.snap", filled(b"ten"))
    assert list(whole.at("tocsin", "1").names()) == []
    assert list(whole.at("tocsin", "0").names()) == ["1.snap"]
    assert whole.at("tocsin", "10").read("2.snap") == b"ten"
    assert list(whole.names()) == []  # what lies deeper is not here


def test_credentials_come_from_the_environment_where_no_file_says_them(store, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    shelf = BucketShelf(open_store("eu-central-1", store.endpoint, "", ""), "state/env")
    shelf.check()
    shelf.write("1.snap", filled(b"x"))
    assert bucket(store, "state/env").read("1.snap") == b"x"
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "guessed")
    with pytest.raises(Unreachable, match=r"docs/cluster\.md for address and credentials") as refused:
        BucketShelf(open_store("", store.endpoint, "", ""), "state/env").check()
    assert "guessed" not in str(refused.value)


def test_a_bucket_that_is_not_there_and_a_store_that_is_away_are_said_and_it_comes_back(store):
    with pytest.raises(BadConfig, match="there is no bucket elsewhere"):
        bucket(store, "elsewhere/a").check()
    shelf = bucket(store, "state/away")
    shelf.write("1.snap", filled(b"before"))
    store.stop()
    for asked in (shelf.names, shelf.check, lambda: shelf.read("1.snap"), lambda: shelf.write("1.snap", filled(b"x"))):
        with pytest.raises(Unreachable, match="s3://state/away"):
            asked()
    store.start()
    assert shelf.read("1.snap") == b"before"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "No such file"),
        ("no sections", "not a file of sections"),
        ("[other]\naws_access_key_id = a\n", r"needs a section \[default\]"),
        ("[default]\naws_access_key_id = a\n", "aws_secret_access_key"),
    ],
)
def test_a_file_of_credentials_that_is_none_is_refused_in_words(tmp_path, text, told):
    path = tmp_path / "credentials"
    if text is not None:
        path.write_text(text)
    with pytest.raises(BadConfig, match=told):
        open_store("", "", str(path), "")
