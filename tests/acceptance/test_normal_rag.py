"""Thirty normal worlds of retrieval, judged answers and vector stores: their default monitors open nothing."""

import json

import numpy as np
import pytest

from acceptance.test_b20_vector_stores import STORES, watched
from llm_world import HOUR, MINUTE, MONDAY, folded, genai_packs, spans_frame

pytestmark = [pytest.mark.acceptance, pytest.mark.soak, pytest.mark.timeout(1200)]

WATCHED = (
    "rag-similarity", "rag-hallucination", "rag-stale", "rag-retrieval-latency", "genai-evaluations",
    "genai-retrieved-documents",
)  # fmt: skip
HOURS = 10


def life(seed):
    """Ten hours of questions, more by day than by night, judged by a model that is rarely wrong."""
    rng = np.random.default_rng(seed)
    rate, level, wrong = rng.uniform(1, 6), rng.uniform(0.4, 0.85), rng.uniform(0.0, 0.12)
    spread, most = rng.uniform(0.02, 0.15), int(rng.integers(3, 11))
    trace = 0
    for minute in range(HOURS * 60):
        rows = []
        for _ in range(rng.poisson(rate * (1 + 0.6 * np.sin(2 * np.pi * minute / (HOURS * 60))))):
            trace += 1
            at = MONDAY + minute * MINUTE + int(rng.integers(1, MINUTE))
            retrieval = {
                "gen_ai.operation.name": "retrieval",
                "gen_ai.retrieval.document_count": int(rng.binomial(most, 0.8)),
                "top_similarity_score": float(np.clip(rng.normal(level, spread), 0, 1)),
                "knowledge_base.age": 86_400 + minute * 60,
            }
            said = [("faithfulness", rng.beta(9, 1.5)), ("hallucination", float(rng.random() < wrong))]
            events = [
                {
                    "name": "gen_ai.evaluation.result", "time": at,
                    "attributes": {"gen_ai.evaluation.name": name, "gen_ai.evaluation.score.value": repr(float(score))},
                }
                for name, score in said
            ]  # fmt: skip
            answer = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}
            rows += [(at, retrieval, {"trace": trace}), (at, answer, {"trace": trace, "events": events})]
        if rows:
            yield spans_frame(rows)


@pytest.mark.parametrize("seed", range(30))
def test_normal_retrieval_opens_nothing(seed):
    found, _ = folded(list(life(seed)), genai_packs(*WATCHED), every=MINUTE)
    assert json.dumps([(each.monitor, each.value, (now - MONDAY) / HOUR) for now, each in found]) == "[]"


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("name", STORES)
def test_normal_stores_open_nothing(name, seed):
    assert watched(name, seed=seed, calm=6 * 60) == set()
