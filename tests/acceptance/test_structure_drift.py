"""A new edge of the service graph: after a rollout no alarm by itself, beside what gets slow it is in the incident."""

from __future__ import annotations

import copy

import pytest

from engine.graph_world import NAMES, Node, World
from fold_world import Fold, S, gauge
from tocsin.spec.load import parse_config
from tocsin.spec.packs import load_packs

pytestmark = pytest.mark.acceptance

NODES = {"shop": Node(calls=("cart",)), "cart": Node(), "ads": Node()}
CALM_S, AFTER_S, STEP_S = 3_000, 720, 30
CONFIG = """
monitors:
  - {name: slow-pages, signal: page.load.duration, aggregate: mean, window: {size: 60s, step: 30s},
     detect: {threshold: {above: 2}}, clear: 5m, direction: up}
"""


def lived(*, slow):
    """Incidents of a shop that was rolled out and asks another service since; pages get slow, or don't."""
    packs = [pack for pack in load_packs() if pack.name in NAMES]
    fold = Fold(parse_config(CONFIG, "tocsin.yaml", {}).config.engine_spec(packs))
    world = World(copy.deepcopy(NODES), root="shop", rate=1.2)
    shift = fold.now - (20_740 * 86_400 * S)
    for second in range(0, CALM_S + AFTER_S, STEP_S):
        if second == CALM_S:
            fold.events((fold.now, "deploy", "shop", "shop 2.0"))
            world.nodes["shop"].calls = ("cart", "ads")
        late = slow and second >= CALM_S + 60
        fold.points([gauge("page.load.duration", 3.0 if late else 0.5, "s", service__name="shop")])
        rows = [row for n in range(STEP_S) for row in world.second(second + n)]
        fold.spans([row | {"start": row["start"] + shift, "time": row["time"] + shift} for row in rows])
        fold.tick(STEP_S, "s", "t")
    return list(fold.incidents.values())


def test_a_new_edge_after_a_rollout_opens_nothing_by_itself():
    assert lived(slow=False) == []


def test_beside_pages_that_get_slow_the_new_edge_is_in_the_incident_and_the_rollout_its_first_cause():
    (incident,) = lived(slow=True)
    named = {each.monitor: dict(each.series.labels) for each in incident.findings}
    assert named["service-new-edge"] == {"service.name": "shop", "peer.service": "ads"}
    assert "slow-pages" in named
    assert (incident.causes[0].kind, incident.causes[0].entity) == ("deploy", "shop")
