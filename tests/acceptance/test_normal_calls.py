"""Normal worlds of applications that call language models: no incident, though prompts change; what is planted is found."""

import os
from itertools import groupby
from pathlib import Path

import pytest

from call_traffic import Application
from llm_world import MINUTE, folded, spans_frame
from tocsin.assess.answer_shape import Answers
from tocsin.assess.prompt_versions import LOOKS, Versions
from tocsin.spec.packs import load_packs

pytestmark = [pytest.mark.acceptance, pytest.mark.soak, pytest.mark.datasets, pytest.mark.timeout(1200)]
HOURS = 6


@pytest.fixture(scope="module")
def data():
    root = os.environ.get("TOCSIN_DATASETS")
    if root is None:
        pytest.skip("TOCSIN_DATASETS names no directory with servegen and llm_api_calls")
    return Path(root)


@pytest.fixture(scope="module")
def packs():
    return load_packs()


def lived(packs, app):
    """Incidents and findings of a world under all monitors that are on by default."""
    minutes = groupby(app.rows(), key=lambda row: (row[0] - 1) // MINUTE)
    incidents = {}
    found, _ = folded([spans_frame(list(rows)) for _, rows in minutes], packs, every=MINUTE, incidents=incidents)
    return list(incidents.values()), [each for _, each in found]


@pytest.mark.parametrize("seed", range(30))
def test_a_normal_world_of_calls_opens_nothing(packs, data, seed):
    incidents, _ = lived(packs, Application(data, seed, hours=HOURS))
    assert [each.title for each in incidents] == []


def test_versions_that_change_nothing_are_not_named_and_dear_ones_are(data):
    """What decides on versions and on answers, on sixty applications of twelve hours: none of 238 versions, no jump."""
    raised, moved, dear, found = 0, 0, 0, 0
    for seed in range(100, 160):
        versions: dict[str, Versions] = {}
        dearer: dict[str, Versions] = {}
        answers: dict[str, Answers] = {}
        for end, said, _ in Application(data, seed, hours=12).rows():
            asked = said.get("gen_ai.usage.input_tokens")
            if asked is None:
                continue
            model, version, customer = said["gen_ai.request.model"], said["gen_ai.prompt.version"], said["tenant.id"]
            versions.setdefault(model, Versions()).add(version, end, asked, limit=1.3, asker=customer)
            factor = 3.0 if version in {"v3", "v4"} else 1.0
            dearer.setdefault(model, Versions()).add(version, end, asked * factor, limit=1.3, asker=customer)
            told, finish = said["gen_ai.usage.output_tokens"], said["gen_ai.response.finish_reasons"][2:-2]
            shape = answers.setdefault(model, Answers())
            moved += shape.add(end, told, finish, refused=False, asker=customer, input_tokens=asked) is not None
        raised += sum(each.raised is not None for each in versions.values())
        for each in dearer.values():
            if "v3" in each.of and each.of["v3"].n >= LOOKS[-1]:
                dear += 1
                found += each.raised is not None and each.raised.version == "v3"
    assert (raised, moved) == (0, 0)
    assert found >= 0.8 * dear
