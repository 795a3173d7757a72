"""The judge: a real server that enforces the schema of chat completions, and what comes of each answer it may give."""

import json

import pytest

from chat_server import KEY, ChatServer
from store.world import T0, World, spans_frame
from tocsin.app.chat import tokens_of
from tocsin.app.judging.judge import SETTLE_MS, Judge
from tocsin.app.judging.question import MOST_CHARS, SCORES, request, verdict
from tocsin.derive.evaluations import Evaluations
from tocsin.model.errors import BadInput
from tocsin.model.frame import SCHEMAS, Frame, FrameKind
from tocsin.selfmon.metrics import exposition
from tocsin.spec.llm import JudgeSpec
from tocsin.spec.load import parse_config
from tocsin.spec.packs import load_packs
from tocsin.spec.problem import BadSpec
from tocsin.store.answer_rows import AnswerRows
from tocsin.store.state import StateStore

GOOD = {"relevance": 0.9, "precision": 0.5, "faithfulness": 1, "hallucination": 0}


@pytest.fixture
def peer():
    found = ChatServer()
    found.say = lambda _: json.dumps(GOOD)
    yield found
    found.close()


class House:
    """A store with answers, and a judge behind its writer."""

    def __init__(self, path, world):
        self.world = world
        self.state = StateStore(f"sqlite:///{path / 'state.db'}")
        self.sent = []

    def judge(self, peer, **changes):
        spec = JudgeSpec.model_validate(
            {
                "url": peer.url,
                "model": "judge-1",
                "api_key": KEY,
                "sample_ratio": 1,
                "allow": ["127.0.0.0/8"],
                **changes,
            }
        )
        touched = self.world.writer.touched
        rows = AnswerRows(self.world.store.db)
        found = Judge(spec, rows, self.state, lambda: touched("spans"), self.take, self.world.clock)
        found.step()
        return found

    def take(self, tenant, batch):
        self.sent.append(Frame(FrameKind.LOGS, tenant, "judge", batch))

    def answered(self, *traces, documents=("The drawer.",), answer="In the drawer.", **call):
        rows = []
        for trace in traces:
            of = {"trace_id": trace.to_bytes(16, "big")}
            kept = {f"retrieval.documents.{n}.document.content": text for n, text in enumerate(documents)}
            found = {"openinference.span.kind": "RETRIEVER", **kept}
            said = {
                "gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.prompt": "Where is it?",
                "gen_ai.completion": answer,
            }  # fmt: skip
            rows += [
                {**of, "span_id": (2 * trace).to_bytes(8, "big"), "attributes": found, "time": T0 - 10},
                {**of, "span_id": (2 * trace + 1).to_bytes(8, "big"), "attributes": said, "time": T0, **call},
            ]
        self.world.clock.advance(10**9)
        self.world.input.append([spans_frame(rows)])
        self.world.writer.drain()
        self.world.clock.advance((SETTLE_MS + 1_000) * 10**6)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    made = World(tmp_path_factory.mktemp("judged"))
    yield made
    made.close()


@pytest.fixture
def house(tmp_path, world):
    made = House(tmp_path, world)
    yield made
    made.state.close()


def outcomes():
    name = "tocsin_cold_judged_answers_total{"
    lines = [line for line in exposition().decode().splitlines() if line.startswith(name)]
    return {line.split('outcome="')[1].split('"')[0]: float(line.rpartition(" ")[2]) for line in lines}


def since(before):
    return {key: value - before.get(key, 0) for key, value in outcomes().items() if value != before.get(key, 0)}


def test_a_verdict_becomes_evaluations_like_any_other(house, peer):
    judge, before = house.judge(peer), outcomes()
    house.answered(7)
    assert judge.step() == 1
    assert not peer.wrong
    asked = json.loads(peer.asked[0]["messages"][1]["content"])
    assert asked == {"question": "Where is it?", "documents": ["The drawer."], "answer": "In the drawer."}
    (frame,) = house.sent
    assert frame.batch.schema == SCHEMAS[FrameKind.LOGS]
    found = Evaluations(load_packs()).rows(frame).rows()
    assert {dict(row["attributes"])["gen_ai.evaluation.name"] for row in found} == set(SCORES)
    assert {row["trace_id"] for row in found} == {(7).to_bytes(16, "big")}
    assert {row["parent_id"] for row in found} == {(15).to_bytes(8, "big")}
    assert since(before) == {"judged": 1}
    # an answer is asked about once, after a restart as well
    assert judge.step() == house.judge(peer).step() == 0
    assert len(peer.asked) == 1


def test_what_is_no_verdict_is_counted_and_nothing_else(house, peer):
    judge, before = house.judge(peer), outcomes()
    said = [
        "certainly!", "[]", "{}", {**GOOD, "precision": "0.5"}, {**GOOD, "faithfulness": 1.2}, {**GOOD, "relevance": True},
        '{"relevance": NaN, "precision": 1, "faithfulness": 1, "hallucination": 0}', "[" * 5000,
    ]  # fmt: skip
    for number, says in enumerate(said):
        peer.say = lambda _, says=says: says if isinstance(says, str) else json.dumps(says)
        house.answered(20 + number)
        assert judge.step() == 0, says
    assert not house.sent
    assert since(before) == {"no_verdict": len(said)}


def test_a_judge_that_fails_delays_nothing(house, peer):
    judge = house.judge(peer)
    for number, (status, outcome) in enumerate([(500, "unreachable"), (429, "unreachable"), (401, "refused")]):
        before, peer.status = outcomes(), status
        house.answered(40 + number)
        assert judge.step() == 0
        assert since(before) == {outcome: 1}
    peer.status = 200
    house.answered(49)
    assert judge.step() == 1


def test_rate_budget_and_what_was_not_kept(house, peer):
    before = outcomes()
    judge = house.judge(peer, calls_per_minute=2, tokens_per_day=1_300)
    house.answered(1, 2, 3)
    assert judge.step() == 2
    assert since(before) == {"judged": 2, "over_rate": 1}
    house.world.clock.advance(60 * 10**9)
    house.answered(4)  # 880 of 1,300 tokens are spent, and it may take more than are left
    assert judge.step() == 0
    assert since(before) == {"judged": 2, "over_rate": 1, "over_budget": 1}
    house.world.clock.advance(86_400 * 10**9)
    house.answered(5)
    assert judge.step() == 1
    house.answered(6, documents=())
    assert judge.step() == 0
    assert since(before)["nothing_kept"] == 1


def test_the_sample_is_one_of_traces_and_always_the_same(house, peer):
    after = house.world.writer.touched("spans")
    house.answered(*range(1_001, 1_401))
    rows, upto = AnswerRows(house.world.store.db), house.world.writer.touched("spans")
    some = {row["trace"] for row in rows.between(after, upto, 0.2, 1_000)}
    assert 40 < len(some) < 130
    assert some == {row["trace"] for row in rows.between(after, upto, 0.2, 1_000)}
    assert some < {row["trace"] for row in rows.between(after, upto, 0.5, 1_000)}
    assert rows.count(after, upto, 0.2) == len(some)


def test_failed_calls_are_not_judged_and_nobody_is_asked_by_default(house, peer):
    judge = house.judge(peer)
    house.answered(60, status="error")
    assert judge.step() == 0
    judge.adopt(None)
    house.answered(61)
    assert judge.step() == 0
    judge.adopt(JudgeSpec.model_validate({"url": peer.url, "model": "m"}))
    assert judge.step() == 0
    assert not peer.asked


def test_long_texts_are_cut():
    spec = JudgeSpec.model_validate({"url": "https://api.example/v1", "model": "m", "temperature": None})
    body = json.loads(request(spec, "q" * 10**6, ["d" * 10**6] * 4, "a" * 10**6))
    told = json.loads(body["messages"][1]["content"])
    assert (len(told["question"]), len(told["answer"])) == (MOST_CHARS, MOST_CHARS)
    assert sum(map(len, told["documents"])) == MOST_CHARS
    assert "temperature" not in body


@pytest.mark.parametrize(
    "answer", [b"", b"x", b"[]", b'{"choices": []}', b'{"choices": [{"message": {"content": null}}]}']
)
def test_answers_that_are_none(answer):
    assert tokens_of(answer) is None
    with pytest.raises(BadInput):
        verdict(answer)


def test_a_judge_needs_texts():
    with pytest.raises(BadSpec, match=r"redaction\.keep_content"):
        parse_config("llm: {judge: {url: 'https://api.example/v1', model: m}}\n", "tocsin.yaml", {})
    text = "llm: {judge: {url: 'https://api.example/v1', model: m}}\nredaction: {keep_content: true}\n"
    assert parse_config(text, "tocsin.yaml", {}).config.llm.judge.sample_ratio == 0.01
