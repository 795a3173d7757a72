"""The support bot and its neighbours: retrieval, model calls, and what each service measures of itself."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from tocsin.demo import histogram as h
from tocsin.demo.conditions import Conditions
from tocsin.demo.fleet import Fleet
from tocsin.demo.histogram import Cumulative, Level
from tocsin.demo.serving import Call, ModelServer
from tocsin.demo.traffic import Question, Traffic

MODEL = "support-8b-instruct"
PROMPT = "support-answer"
TRACED = 8
"""One request of so many is traced, as a sampler at the head would do."""
_TEMPLATE_TOKENS = 310
_DOCUMENT_TOKENS = 205
_ERRORS = 0.0015
_BILLING_PER_S = 0.5


@dataclass(slots=True)
class Turn:
    """One question and everything that happened to it; times are seconds of event time."""

    question: Question
    prompt_version: str
    documents: int
    retrieved_s: float
    fails: bool
    traced: bool
    call: Call
    end_s: float = 0.0


class Meters:
    """Histograms of the instrumented services, all since the start of the world."""

    def __init__(self) -> None:
        self.chat_seconds = Cumulative(h.GENAI_SECONDS)
        self.input_tokens = Cumulative(h.GENAI_TOKENS)
        self.output_tokens = Cumulative(h.GENAI_TOKENS)
        self.bot_seconds = Cumulative(h.SECONDS)
        self.gateway_seconds = Cumulative(h.SECONDS)
        self.billing_seconds = Cumulative(h.SECONDS)


class World:
    """The chatbot, its model server and the unrelated billing service, moved on in event time."""

    def __init__(self, seed: int, start_s: float, requests_per_s: float = 0.55) -> None:
        seeds = np.random.SeedSequence(seed).spawn(5)
        self.conditions = Conditions()
        self.fleet = Fleet(self.conditions, seeds[1])
        self.meters = Meters()
        self.start_s = self.now_s = start_s
        self._traffic = Traffic(seeds[0], requests_per_s, start_s)
        self._rng = np.random.default_rng(seeds[2])
        self._billing = Traffic(seeds[3], _BILLING_PER_S, start_s)
        self._side = np.random.default_rng(seeds[4])
        self.invoices = Level(self._side, 140.0, 12.0, 600.0)
        self.pool = Level(self._side, 9.0, 1.2, 120.0)
        self._numbers = itertools.count()
        self._turns: list[Turn] = []

    @property
    def server(self) -> ModelServer:
        """The first replica of the model server."""
        return self.fleet.servers[0]

    def advance(self, until_s: float) -> list[Turn]:
        """Let everything happen before `until_s`; gives the turns that ended, by their end."""
        for question in self._traffic.until(until_s):
            turn = self._ask(question)
            self.fleet.submit(turn.call)
        for question in self._billing.until(until_s):
            self.meters.billing_seconds.record(float(self._side.lognormal(-3.2, 0.45)) * (1 + 0.1 * question.appetite))
        self.fleet.advance(until_s)
        for call in self.fleet.done():
            assert isinstance(call.note, Turn)
            self._answer(call.note)
        ended = sorted((turn for turn in self._turns if turn.end_s < until_s), key=lambda turn: turn.end_s)
        self._turns = [turn for turn in self._turns if turn.end_s >= until_s]
        for turn in ended:
            self._measure(turn)
        self.now_s = until_s
        return ended

    def _ask(self, question: Question) -> Turn:
        """Retrieve documents, fill the template, call the model."""
        world, draw = self.conditions, self._rng.random(3)
        new = draw[0] < world.next_share
        version = world.next_prompt_version if new else world.prompt_version
        wanted = world.next_documents if new else world.documents
        documents = max(1, round(wanted * min(1.0, question.appetite)))
        texts = self._rng.lognormal(0.0, 0.18)
        tokens = _TEMPLATE_TOKENS + question.length_tokens + int(documents * _DOCUMENT_TOKENS * texts)
        retrieved_s = float(self._rng.lognormal(-3.0, 0.25)) + 0.002 * documents
        number = next(self._numbers)
        # the server sees calls in the order of its clock, so retrieval counts into the client's time only
        call = Call(question.at_s, tokens, question.answer_tokens, number)
        turn = Turn(question, version, documents, retrieved_s, draw[1] < _ERRORS, number % TRACED == 0, call)
        call.note = turn
        return turn

    def _answer(self, turn: Turn) -> None:
        turn.end_s = turn.call.end_s + turn.retrieved_s + 0.012
        self._turns.append(turn)

    def _measure(self, turn: Turn) -> None:
        call, meters = turn.call, self.meters
        took_s = call.end_s - call.at_s
        meters.bot_seconds.record(turn.end_s - call.at_s)
        meters.gateway_seconds.record(turn.end_s - call.at_s + float(self._rng.gamma(4.0, 0.0012)))
        meters.chat_seconds.record(took_s)
        meters.input_tokens.record(call.input_tokens)
        if not call.timed_out:
            meters.output_tokens.record(call.output_tokens)
            assert call.by is not None
            call.by.answered.record(call)
