"""C5: retrieval finds less and less that fits, the index is old: findings, one incident, and a playbook that has it indexed anew."""

import json

import numpy as np
import pytest

from acceptance.llm_spans import SECOND, Spans, chat
from acceptance.remedy_house import House
from acceptance.stack import Hook, play
from tocsin.model.incident import IncidentState
from tocsin.notify.webhook import SIGNATURE_HEADER, TIMESTAMP_HEADER, sign
from tocsin.spec.packs import load_packs

pytestmark = pytest.mark.acceptance

DAY_S = 86_400
STEP_S = 120
CALM, BAD = 50, 20
PER_STEP = 8
WANTED = {"rag-similarity", "rag-hallucination", "rag-stale", "genai-evaluations"}


@pytest.fixture
def hooks():
    found = {name: Hook() for name in ("reindex", "ops")}
    yield found
    for hook in found.values():
        hook.close()


def config(hooks):
    return f"""
destinations: [{{name: ops, type: webhook, url: "{hooks["ops"].url}", allow: [127.0.0.0/8]}}]
remediation: {{enabled: true}}
playbooks:
  - name: index-anew
    when: {{monitor: rag-stale, labels: {{gen_ai.data_source.id: handbook}}}}
    approved: true
    action:
      type: reindex
      url: "{hooks["reindex"].url}/${{gen_ai.data_source.id}}"
      collection: "${{gen_ai.data_source.id}}"
      secret: s3cret
      allow: [127.0.0.0/8]
    verify: {{after: 6h, else: keep}}
"""


def packs():
    """All that is known, and the monitors that this story is about."""
    found = [
        pack.model_copy(update={"monitors": [each for each in pack.monitors if each.name in WANTED]})
        for pack in load_packs()
    ]
    assert {each.name for pack in found for each in pack.monitors} == WANTED
    return found


def answer(spans, rng, number, now, age_s, *, bad):
    """One question: what was retrieved for it, the call of the model, and what a judge of the application said."""
    end = now - int(rng.integers(1, STEP_S * SECOND))
    best = float(np.clip(rng.normal(0.55 if bad else 0.82, 0.05), 0, 1))
    documents = json.dumps([{"id": f"d{n}", "score": best * 0.9**n, "content": "The drawer."} for n in range(4)])
    retrieval = {
        "gen_ai.operation.name": "retrieval",
        "gen_ai.data_source.id": "handbook",
        "gen_ai.retrieval.documents": documents,
        "knowledge_base.age": age_s,
    }
    spans.add("retrieve handbook", end - 2 * SECOND, retrieval, trace=number, took_s=float(rng.gamma(9, 0.01)))
    told = [
        ("Faithfulness", float(np.clip(rng.normal(0.5 if bad else 0.9, 0.05), 0, 1))),
        ("hallucination", float(rng.random() < (0.4 if bad else 0.04))),
    ]
    events = [
        ("gen_ai.evaluation.result", {"gen_ai.evaluation.name": name, "gen_ai.evaluation.score.value": score})
        for name, score in told
    ]
    spans.add("chat gpt-4o", end, chat(), trace=number, events=events)


async def story(path, hooks, *, first_age_s):
    """A hundred minutes of good answers, about which nobody is called, then forty of bad ones."""
    rng = np.random.default_rng(5)
    stack, spans, number = House(path, config(hooks), packs()), Spans("docs-bot"), 0
    try:
        for step in range(CALM + BAD):
            stack.clock.advance((STEP_S - 1) * SECOND)
            for _ in range(PER_STEP):
                number += 1
                age_s = first_age_s + step * STEP_S
                answer(spans, rng, number, stack.clock.now(), age_s, bad=step >= CALM)
            await spans.send(stack)
            await stack.pass_by(1)
            if step == CALM - 1:
                assert not stack.incidents()
                assert not hooks["reindex"].posts + hooks["ops"].posts
        return stack.incidents()
    finally:
        await stack.close()


def test_c5_a_stale_index_is_found_and_indexed_anew(tmp_path, hooks):
    # 12 minutes after answers begin to fall the index is thirty days old
    incidents = play(story(tmp_path, hooks, first_age_s=30 * DAY_S - (CALM + 6) * STEP_S))
    (incident,) = incidents
    found = {}
    for each in incident.findings:
        found.setdefault(each.monitor, each)
    assert set(found) == WANTED
    assert (found["rag-similarity"].direction, found["rag-hallucination"].direction) == ("down", "up")
    evaluated = {
        each.series.label("gen_ai.evaluation.name") for each in incident.findings if each.monitor == "genai-evaluations"
    }
    assert evaluated == {"faithfulness"}
    assert found["rag-similarity"].series.label("gen_ai.data_source.id") == "handbook"
    assert incident.state is IncidentState.OPEN
    assert [post[2]["action"] for post in hooks["ops"].posts].count("trigger") == 1
    ((path, headers, body),) = hooks["reindex"].posts
    assert path == "/hook/handbook"
    assert (body["action"], body["operation"], body["collection"]) == ("reindex", "apply", "handbook")
    assert body["incident"]["id"] == incident.id
    named = {name.lower(): value for name, value in headers.items()}
    raw = json.dumps(body, separators=(",", ":")).encode()
    assert named[SIGNATURE_HEADER] == sign("s3cret", named[TIMESTAMP_HEADER], raw)
