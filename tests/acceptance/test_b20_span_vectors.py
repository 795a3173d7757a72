"""B20, C5: what embeddings of spans say - a model that is silently another, questions of a new topic; ordinary weeks nothing."""

import json

import numpy as np
import pytest

from ingest_world import KeepAll
from llm_world import DAY, HOUR, MONDAY, S, folded, spans_frame
from tocsin.ingest.span_vectors import SpanVectors
from tocsin.model.finding import Phase
from tocsin.model.frame import FrameKind
from tocsin.spec.packs import load_packs

pytestmark = pytest.mark.acceptance

DIMENSIONS = 96
TOPICS = 6
CALM = 9
DAYS = 13
QUESTIONS, DOCUMENTS = "bot: embeddings of query", "bot: embeddings of documents"


class Embedder:
    """A model of embeddings: texts of a topic lie together, all of them a little on one side, as those of real ones do."""

    def __init__(self, seed, topics=TOPICS + 1):
        rng = np.random.default_rng([seed, 1])
        self.side = rng.normal(size=DIMENSIONS)
        self.topics = rng.normal(size=(topics, DIMENSIONS))

    def __call__(self, rng, topic):
        found = 0.6 * self.side + self.topics[topic] + 0.8 * rng.normal(size=DIMENSIONS)
        return found / np.linalg.norm(found)


def span(at, number, vectors, *, documents=False, answered="e-1"):
    asked = {"model": "e-1", "input_type": "search_document" if documents else "search_query"}
    told = {
        "openinference.span.kind": "EMBEDDING",
        "embedding.model_name": answered,
        "embedding.invocation_parameters": json.dumps(asked),
    }
    told |= {
        f"embedding.embeddings.{k}.embedding.vector": json.dumps([round(x, 6) for x in vector.tolist()])
        for k, vector in enumerate(vectors)
    }
    return at, told, {"name": "CreateEmbeddings", "trace": number + 1, "span": number + 1}


def day_of(rng, day, embed, shares, *, answered="e-1", n=600, batches=45):
    """One day: questions mostly by day, of topics that vary a little by the day, and documents in a batch at night."""
    rows, number = [], day * 10_000
    shares = rng.dirichlet(400 * shares)
    for hour in np.sort(24 * rng.beta(2.5, 2.5, n)):
        number += 1
        topic = rng.choice(len(shares), p=shares)
        rows.append(span(MONDAY + day * DAY + int(hour * HOUR), number, [embed[0](rng, topic)], answered=answered))
    for k in range(batches):
        number += 1
        vectors = [embed[1](rng, rng.integers(TOPICS)) for _ in range(12)]
        rows.append(span(MONDAY + day * DAY + 2 * HOUR + k * 20 * S, number, vectors, documents=True))
    hours = [[row for row in rows if row[0] // HOUR == (MONDAY + day * DAY) // HOUR + hour] for hour in range(24)]
    return [made for some in hours if some for made in SpanVectors(KeepAll()).frames([spans_frame(some)])]


USUAL = np.array([0.3, 0.25, 0.2, 0.1, 0.1, 0.05, 0.0])
NEW_TOPIC = np.array([0.2, 0.17, 0.13, 0.1, 0.07, 0.03, 0.3])


def told_of(seed, *, model=False, topic=False, answered="e-1", days=DAYS, calm=CALM):
    rng = np.random.default_rng(seed)
    before, after = Embedder(seed), Embedder(seed + 1000)
    frames = []
    for day in range(days):
        other = day >= calm
        frames += day_of(
            rng, day, (after if model and other else before, before), NEW_TOPIC if topic and other else USUAL,
            answered=answered if other else "e-1",
        )  # fmt: skip
    assert {frame.kind for frame in frames} == {FrameKind.SPANS, FrameKind.RECORDS}
    packs = [pack for pack in load_packs() if pack.name in ("models", "genai", "genai_rag")]
    incidents = {}
    found, _ = folded(frames, packs, incidents=incidents)
    return found, incidents


def first_of(found):
    """When the only finding was opened, of what, and what it says."""
    ((at, first),) = [(at, each) for at, each in found if each.phase is Phase.OPEN]
    return (at - MONDAY) / DAY, dict(first.series.labels)["model"], first


def test_a_model_of_embeddings_that_is_silently_another_is_found():
    found, incidents = told_of(3, model=True)
    day, model, first = first_of(found)
    assert (first.monitor, model) == ("model-drift", QUESTIONS)
    assert CALM < day <= CALM + 3  # three days in a row by default (`for`)
    assert first.start == MONDAY + CALM * DAY
    assert first.evidence["psi"] > 1
    assert len(incidents) == 1


def test_one_that_says_by_its_name_that_it_is_another_is_found_the_same_day():
    found, _ = told_of(3, model=True, answered="e-2", days=CALM + 1)
    day, model, first = first_of(found)
    assert (first.monitor, model) == ("model-data-quality", QUESTIONS)
    assert CALM < day < CALM + 1
    assert "e-2" in str(first.evidence)


def test_questions_of_a_new_topic_are_found():
    day, model, first = first_of(told_of(4, topic=True)[0])
    assert (first.monitor, model) == ("model-drift", QUESTIONS)
    assert CALM < day <= CALM + 3
    assert first.evidence["feature.1"] == "embedding"


@pytest.mark.parametrize("seed", range(2))
def test_ordinary_weeks_say_nothing(seed):
    assert told_of(10 + seed) == ([], {})
