import os

import pytest

from tocsin.testing.journal_child import JournalVictim
from tocsin.testing.kill import kill_repeatedly

KILLS = int(os.environ.get("TOCSIN_KILLS", "5"))


@pytest.mark.parametrize("disk_name", ["real", "power"])
def test_nothing_acknowledged_is_lost_and_nothing_doubled(disk_name, tmp_path):
    kills = KILLS if disk_name == "real" else -(-KILLS // 2)
    report = kill_repeatedly(JournalVictim(tmp_path / "log", disk_name=disk_name), kills, seed=1)
    assert report.passed, str(report)
    assert report.acknowledged > 10 * kills


@pytest.mark.soak
@pytest.mark.parametrize("disk_name", ["real", "power"])
def test_fifty_kills(disk_name, tmp_path):
    report = kill_repeatedly(JournalVictim(tmp_path / "log", disk_name=disk_name), max(KILLS, 50), seed=2)
    print(report)
    assert report.passed, str(report)


@pytest.mark.parametrize(
    ("disk_name", "mutant"), [("real", "early"), ("power", "early"), ("no-sync", "none"), ("no-directory-sync", "none")]
)
def test_the_harness_catches_mutants(disk_name, mutant, tmp_path):
    # a kill must fall between the early acknowledgement and the write: chance has to offer that, and soon does
    victims = (JournalVictim(tmp_path / str(seed), disk_name=disk_name, mutant=mutant) for seed in range(3, 15))
    reports = (kill_repeatedly(victim, 2, seed=seed) for seed, victim in enumerate(victims, 3))
    assert any(report.lost for report in reports), "not caught"
