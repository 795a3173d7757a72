"""C2: a provider's region that fails and is slow is told apart from the other, and from a provider that is well."""

import numpy as np
import pytest

from llm_world import HOUR, MINUTE, MONDAY, S, folded, genai_packs, spans_frame
from tocsin.model.finding import Phase

pytestmark = pytest.mark.acceptance
WATCHED = ("genai-latency-region", "genai-errors-region", "genai-latency-p50", "genai-error-class")
PLACES = (("aws.bedrock", "eu-west-1"), ("aws.bedrock", "us-east-1"), ("azure.ai.openai", "eu-west-1"))
CALM_MIN, ILL_MIN = 240, 30
ILL = ("aws.bedrock", "eu-west-1")


def traffic(seed, ill):
    """Frames of a minute each: ten calls a minute and place, of which one in two hundred fails, later a third of one place's."""
    rng = np.random.default_rng(seed)
    for minute in range(CALM_MIN + ILL_MIN):
        rows = []
        for provider, region in PLACES:
            bad = ill and minute >= CALM_MIN and (provider, region) == ILL
            for at in np.sort(rng.uniform(0, 60, rng.poisson(10))):
                failed = rng.random() < (1 / 3 if bad else 1 / 200)
                said = {
                    "gen_ai.operation.name": "chat", "gen_ai.provider.name": provider, "gen_ai.request.model": "claude",
                    "cloud.region": region, "gen_ai.usage.input_tokens": 500, "gen_ai.usage.output_tokens": 100,
                    **({"error.type": "503"} if failed else {}),
                }  # fmt: skip
                took = float(rng.lognormal(0.0, 0.4)) * (3.0 if bad else 1.0)
                more = {"took_s": took, "status": "error" if failed else "ok", "trace": int(rng.integers(1, 2**62))}
                rows.append((MONDAY + minute * MINUTE + int(at * S) + 1, said, more))
        yield spans_frame(sorted(rows, key=lambda row: row[0]))


def opened(seed, ill):
    found, _ = folded(traffic(seed, ill), genai_packs(*WATCHED), every=MINUTE)
    return [(at, each.monitor, dict(each.series.labels)) for at, each in found if each.phase is Phase.OPEN]


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.soak)])
def test_c2_the_region_that_is_ill_is_named_for_its_failures_and_its_latency_and_no_other(seed):
    found = opened(seed, ill=True)
    begun = MONDAY + CALM_MIN * MINUTE
    of_regions = [each for each in found if each[1].endswith("-region")]
    assert {monitor for _, monitor, _ in of_regions} == {"genai-latency-region", "genai-errors-region"}
    assert {(labels["gen_ai.provider.name"], labels["cloud.region"]) for _, _, labels in of_regions} == {ILL}
    assert all(begun < at <= begun + HOUR // 4 for at, _, _ in of_regions)
    assert {labels["error.class"] for _, monitor, labels in found if monitor == "genai-error-class"} <= {"unavailable"}


@pytest.mark.parametrize("seed", [3, pytest.param(4, marks=pytest.mark.soak)])
def test_c2_regions_that_are_well_are_told_nobody(seed):
    assert opened(seed, ill=False) == []
