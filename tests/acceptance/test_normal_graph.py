"""Normal worlds of services: a day and more of requests with a daily season, retries and callees of all kinds tell nothing."""

import math

import numpy as np
import pytest

from engine.graph_world import Node, World, lived, opened

pytestmark = [pytest.mark.acceptance, pytest.mark.soak, pytest.mark.timeout(1200)]
HOURS = 28


def normal(seed):
    """Four to seven services that call later ones, one after the other or at once, quick and slow, some of which try again."""
    rng = np.random.default_rng(seed)
    names = [f"s{k}" for k in range(rng.integers(4, 8))]
    nodes = {}
    for k, name in enumerate(names):
        later = names[k + 1 :]
        calls = rng.choice(later, size=min(len(later), rng.integers(0, 3)), replace=False).tolist() if later else []
        if k == 0 and not calls:
            calls = later[:1]
        nodes[name] = Node(
            own=math.exp(rng.uniform(math.log(0.002), math.log(0.2))),
            fails=float(rng.choice([0.0, 0.001, 0.01, 0.03])),
            calls=calls,
            together=bool(rng.random() < 0.4),
            tries=int(rng.choice([1, 2, 3])),
            passes_on=bool(rng.random() < 0.7),
            transit=math.exp(rng.uniform(math.log(0.0002), math.log(0.02))),
            lost=float(rng.choice([0.0, 0.0, 0.002])),
        )
    return World(
        nodes,
        root=names[0],
        seed=seed,
        rate=float(rng.uniform(0.4, 0.8)),
        season=float(rng.uniform(0.1, 0.6)),
        load=float(rng.uniform(0.0, 0.6)),
        noise=float(rng.uniform(0.1, 0.7)),
    )


@pytest.mark.parametrize("seed", range(30))
def test_a_normal_world_of_services_tells_nothing(seed):
    assert opened(lived(normal(seed), HOURS, every=120)) == []
