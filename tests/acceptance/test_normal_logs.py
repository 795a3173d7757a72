"""Twenty normal worlds of eight hours of a service's log lines: all that is on by default opens nothing."""

import pytest

from log_world import Log, LogWorld
from tocsin.correlate.reducer import Reducer
from tocsin.engine.pipeline import Pipeline
from tocsin.incident.severity import grader
from tocsin.model.series import Catalog
from tocsin.spec.engine import EngineSpec
from tocsin.spec.packs import load_packs

pytestmark = [pytest.mark.acceptance, pytest.mark.soak, pytest.mark.timeout(1200)]
MINUTES = 8 * 60


@pytest.fixture(scope="module")
def spec():
    return EngineSpec(packs=load_packs())


@pytest.mark.parametrize("seed", range(20))
def test_a_normal_world_of_logs_opens_nothing(spec, seed):
    catalog = Catalog()
    log = Log(Pipeline(catalog), [LogWorld(seed, per_s=0.15 + 0.1 * (seed % 5))])
    log.put(spec.control())
    log.run(MINUTES)
    reducer = Reducer(spec, grader())
    opened = [step.incident for output in log.outputs for step in reducer.fold(output, catalog)]
    assert [incident.title for incident in opened] == []
