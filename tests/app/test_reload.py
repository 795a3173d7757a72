"""A bad file never replaces a running configuration."""

from __future__ import annotations

import queue

import pytest

from tocsin.app.reload import ConfigFile
from tocsin.app.settings import ServeSettings
from tocsin.model.errors import BadConfig
from tocsin.selfmon.metrics import REGISTRY
from tocsin.spec.problem import BadSpec


def settings(tmp_path, name="tocsin.yaml"):
    run = tmp_path / "run"
    run.mkdir(exist_ok=True)
    return ServeSettings(data_dir=tmp_path, run_dir=run, config_path=tmp_path / name if name else None)


def reloads(outcome: str) -> float:
    return REGISTRY.get_sample_value("tocsin_config_reloads_total", {"outcome": outcome}) or 0.0


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "tocsin.yaml"
    path.write_text("lateness: 1s\n")
    return path


def test_no_file_is_the_defaults(tmp_path):
    assert ConfigFile(settings(tmp_path, ""), {}).start().lateness == 0


def test_a_good_change_takes_effect_and_a_bad_one_does_not(tmp_path, file):
    held = ConfigFile(settings(tmp_path), {})
    assert held.start().lateness == 10**9
    applied: queue.Queue = queue.Queue()
    bad: queue.Queue = queue.Queue()
    held.watch(applied.put, every_s=60, refused=bad.put)
    try:
        file.write_text("lateness: 2s\n")
        held.poke()
        assert applied.get(timeout=20).lateness == 2 * 10**9
        refused = reloads("refused")
        file.write_text("latenes: 3s\n")
        held.poke()
        assert [p.message for p in bad.get(timeout=20)] == ["unknown key `latenes`; did you mean `lateness`?"]
        assert held.config.lateness == 2 * 10**9
        assert reloads("refused") == refused + 1
        assert REGISTRY.get_sample_value("tocsin_config_bad") == 1
        file.write_text("lateness: 4s\n")
        held.poke()
        assert applied.get(timeout=20).lateness == 4 * 10**9
        assert held.problems == ()
        assert REGISTRY.get_sample_value("tocsin_config_bad") == 0
    finally:
        held.close()


def test_a_change_that_can_not_be_put_into_force_is_taken_back(tmp_path, file):
    held = ConfigFile(settings(tmp_path), {})
    held.start()

    def refuse(_):
        raise BadConfig("no room for that")

    file.write_text("lateness: 9s\n")
    held._try(refuse, lambda _: None)
    assert held.config.lateness == 10**9
    assert held.problems[0].message == "no room for that"


def test_a_process_that_restarts_over_a_bad_file_takes_the_last_good_one(tmp_path, file):
    ConfigFile(settings(tmp_path), {}).start()
    file.write_text("nonsense: [\n")
    again = ConfigFile(settings(tmp_path), {})
    assert again.start().lateness == 10**9
    assert again.problems[0].line == 2


def test_a_first_start_over_a_bad_file_fails(tmp_path, file):
    file.write_text("nonsense: 1\n")
    with pytest.raises(BadSpec):
        ConfigFile(settings(tmp_path), {}).start()


def test_the_kept_copy_is_private(tmp_path, file):
    held = settings(tmp_path)
    ConfigFile(held, {}).start()
    assert (held.run_dir / "config.good").stat().st_mode & 0o077 == 0
