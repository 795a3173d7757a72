"""A14: a version of a prompt that makes calls dearer opens one incident that names it, with before and after."""

import numpy as np
import pytest

from llm_world import HOUR, MINUTE, MONDAY, S, folded, spans_frame
from serving_world import CLIENTS, tokens
from tocsin.spec.packs import load_packs

pytestmark = pytest.mark.acceptance

EVERY = 30 * S
VERSIONS = (("v1", 0, 1.0), ("v2", 400, 1.0), ("v3", 900, 1.0), ("v4", 1200, 1.0))
"""Version, its first call, and the factor that it puts on the length of prompts."""


def world(factors, *, seed=3):
    """Calls of a bot for 14 hours whose prompts and answers are as long as those of three real clients."""
    rng = np.random.default_rng(seed)
    clients = [CLIENTS[name] for name in ("chunk-0", "chunk-16", "chunk-69")]
    rows = []
    for k in range(1680):
        told = clients[k % len(clients)]
        version = [name for name, first, _ in VERSIONS if k >= first][-1]
        said = {
            "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o",
            "gen_ai.response.model": "gpt-4o-2024-08-06", "gen_ai.prompt.name": "answer", "gen_ai.prompt.version": version,
            "gen_ai.usage.input_tokens": round(tokens(rng, told, "input") * factors.get(version, 1.0)),
            "gen_ai.usage.output_tokens": tokens(rng, told, "output"), "gen_ai.response.finish_reasons": '["stop"]',
        }  # fmt: skip
        rows.append((MONDAY + (k + 1) * EVERY, said, {}))
    return [spans_frame(rows[k : k + 10]) for k in range(0, len(rows), 10)]


def lived(factors):
    incidents = {}
    packs = [
        pack
        for pack in load_packs()
        if pack.name.startswith(("genai", "llm")) or pack.name in {"resources", "families"}
    ]
    found, _ = folded(world(factors), packs, every=5 * MINUTE, incidents=incidents)
    return found, list(incidents.values())


def test_a14_a_dearer_version_opens_one_incident_that_names_it():
    found, incidents = lived({"v3": 2.2, "v4": 2.3})
    (incident,) = incidents
    (cost,) = [each for each in incident.findings if each.monitor == "prompt-cost"]
    assert (cost.evidence["prompt.version_before"], cost.evidence["prompt.version"]) == ("v2", "v3")
    assert cost.start == MONDAY + 901 * EVERY
    assert cost.evidence["after"] / cost.evidence["before"] > 1.3
    assert min(at for at, each in found if each.monitor == "prompt-bloat") <= cost.start + HOUR + 5 * MINUTE
    assert min(at for at, each in found if each.monitor == "prompt-cost") <= cost.start + 200 * EVERY + 5 * MINUTE
    assert "version v3" in incident.statement
    assert (incident.causes[0].kind, incident.causes[0].entity) == ("prompt", "bot")
    assert "v3" in incident.causes[0].what


@pytest.mark.soak
def test_a14_versions_that_change_nothing_open_nothing():
    found, incidents = lived({})
    assert not [each for _, each in found if each.monitor.startswith("prompt-")]
    assert [each.title for each in incidents] == []
