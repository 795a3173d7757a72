"""C15: another model behind the same name is a dated change event and a finding, whatever gives it away."""

import numpy as np
import pytest

from llm_world import HOUR, MONDAY, S, folded, genai_packs, spans_frame

pytestmark = pytest.mark.acceptance

MONITORS = ("model-replaced", "model-fingerprint", "model-canary", "model-answers")
CHANGED = 1000
"""Calls before the change; one every thirty seconds."""


def world(**told):
    """Calls of one model for 12 hours; what is told changes in the ninth."""
    rng = np.random.default_rng(2)
    rows = []
    for k in range(1440):
        after = k >= CHANGED
        tokens = told.get("tokens", (180, 180))[after]
        said = {
            "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o",
            "gen_ai.usage.input_tokens": 500, "gen_ai.usage.output_tokens": round(tokens * rng.lognormal(0, 0.6)) + 1,
            "gen_ai.response.finish_reasons": '["stop"]',
        }  # fmt: skip
        if "answered" in told:
            said["gen_ai.response.model"] = told["answered"][after]
        if "fingerprint" in told:
            said["openai.response.system_fingerprint"] = told["fingerprint"][after]
        if "canary" in told and k % 40 == 0:
            said |= {"canary.name": "count to ten", "gen_ai.output.messages": told["canary"][after]}
        rows.append((MONDAY + (k + 1) * 30 * S, said, {}))
    return [spans_frame(rows[k : k + 120]) for k in range(0, len(rows), 120)]


@pytest.mark.parametrize(
    ("told", "monitor", "shown"),
    [
        ({"answered": ("gpt-4o-2024-08-06", "gpt-4o-2024-11-20")}, "model-replaced", "gpt-4o-2024-11-20"),
        ({"fingerprint": ("fp_44709d6fcb", "fp_6b68a8204b")}, "model-fingerprint", "fp_6b68a8204b"),
        ({"canary": ("[content dropped: 40 chars, sha aa]", "[content dropped: 44 chars, sha bb]")}, "model-canary", "sha bb"),
        ({"tokens": (180, 60)}, "model-answers", "output tokens"),
    ],
)  # fmt: skip
def test_c15_a_silent_change_of_model_is_dated_and_named(told, monitor, shown):
    incidents = {}
    found, changes = folded(world(**told), genai_packs(*MONITORS), incidents=incidents)
    assert {each.monitor for _, each in found} == {monitor}
    assert shown in found[0][1].evidence["deviation"]
    if monitor == "model-fingerprint":  # that is only the provider's word for a change of its own
        assert incidents == {}
    else:
        (incident,) = incidents.values()
        assert "->" in incident.statement
    (change,) = changes
    assert (change["kind"], change["entity"]) == ("model", "bot")
    moment = MONDAY + (CHANGED + 1) * 30 * S
    assert abs(change["time"] - moment) <= HOUR
    assert abs(found[0][1].start - moment) <= HOUR


def test_c15_a_model_that_stays_the_same_says_nothing():
    same = {"answered": ("a", "a"), "fingerprint": ("f", "f"), "canary": ("x", "x")}
    assert folded(world(**same), genai_packs(*MONITORS)) == ([], [])


def test_c15_other_work_is_no_other_model():
    """Answers get shorter, but prompts as well; or only for one customer of three."""
    rng = np.random.default_rng(4)
    worlds = [[], []]
    for k in range(1440):
        later = k >= CHANGED
        customer = k % 3
        for rows, moved, prompt in (
            (worlds[0], later, 2000 if later else 500),
            (worlds[1], later and customer == 0, 500),
        ):
            said = {
                "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o",
                "gen_ai.usage.input_tokens": round(prompt * rng.lognormal(0, 0.2)), "tenant.id": f"c{customer}",
                "gen_ai.usage.output_tokens": round((40 if moved else 180) * rng.lognormal(0, 0.4)) + 1,
                "gen_ai.response.finish_reasons": '["stop"]',
            }  # fmt: skip
            rows.append((MONDAY + (k + 1) * 30 * S, said, {}))
    for rows in worlds:
        frames = [spans_frame(rows[k : k + 120]) for k in range(0, len(rows), 120)]
        assert folded(frames, genai_packs(*MONITORS)) == ([], [])
