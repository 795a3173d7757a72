"""A configuration is put into force by way of the server's file, and the one before is found again."""

import hashlib

import pytest

from tocsin.app.backtest.service import Backtests
from tocsin.app.reload import ConfigFile
from tocsin.app.replays.ports import Replays
from tocsin.app.settings import ServeSettings
from tocsin.app.views import CONFIG
from tocsin.model.clock import ManualClock
from tocsin.model.errors import BadConfig, BadInput
from tocsin.store.state import StateStore

FIRST, SECOND = "dry_run: true\n", "dry_run: false\n"


@pytest.fixture
def state(tmp_path):
    store = StateStore(f"sqlite:///{tmp_path / 'state.db'}")
    yield store
    store.close()


def replays(tmp_path, state, path):
    settings = ServeSettings(data_dir=tmp_path, run_dir=tmp_path, config_path=path)
    file = ConfigFile(settings, {}, ())
    file.start()
    backtests = Backtests(None, state, ())
    return file, Replays(settings, file, state, backtests, ManualClock(5), env={}, packs=(), send=lambda *_: None)


def note(state, text, at):
    state.add_spec("main", CONFIG, text.encode(), hashlib.sha256(text.encode()).hexdigest(), by="t", at=at)


def test_a_good_text_is_written_and_the_one_before_found_again(tmp_path, state):
    path = tmp_path / "tocsin.yaml"
    path.write_text(FIRST)
    path.chmod(0o640)
    file, held = replays(tmp_path, state, path)
    note(state, FIRST, 1)
    with pytest.raises(BadInput, match="no other configuration"):
        held.before()
    assert held.apply(SECOND) == hashlib.sha256(SECOND.encode()).hexdigest()
    assert path.read_text() == SECOND
    assert path.stat().st_mode & 0o777 == 0o640
    assert file.check()
    note(state, SECOND, 2)
    assert held.before() == FIRST
    assert not held.dry_run()


def test_a_bad_text_changes_nothing(tmp_path, state):
    path = tmp_path / "tocsin.yaml"
    path.write_text(FIRST)
    _, held = replays(tmp_path, state, path)
    with pytest.raises(BadConfig):
        held.apply("dry_runn: true\n")
    assert path.read_text() == FIRST
    assert [each.name for each in tmp_path.glob(".*")] == []


def test_without_a_file_there_is_nothing_to_write(tmp_path, state):
    _, held = replays(tmp_path, state, None)
    with pytest.raises(BadConfig, match="--config"):
        held.apply(SECOND)


def test_what_others_alerted_on_is_kept_by_tenant(tmp_path, state):
    _, held = replays(tmp_path, state, None)
    held.put_alerts("a", [{"name": "x"}], by="ann")
    assert list(held.alerts("a")) == [{"name": "x"}]
    assert list(held.alerts("b")) == []
