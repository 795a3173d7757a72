"""Summaries of incidents: made of evidence at once, and said in other words by a language model where one is configured.

The model is asked beside everything else, an incident at a time, and what it says is used once it is there: no page,
message or command ever waits for it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, NamedTuple, TypeVar

import structlog

from tocsin.app.chat import ChatEndpoint, chat_request, content_of
from tocsin.correlate.rephrased import INSTRUCTION, observations, proven
from tocsin.correlate.summary import Summariser
from tocsin.ingest.redact import Redactor, Rule
from tocsin.model.clock import SECOND, Clock
from tocsin.model.errors import Refused, Retryable, TocsinError
from tocsin.model.incident import Incident, IncidentState
from tocsin.model.message import TraceExample
from tocsin.model.summary import Sentence, Summary
from tocsin.selfmon.metrics import counter
from tocsin.spec.config import Config
from tocsin.spec.pack import PackSpec
from tocsin.spec.summaries import RephraseSpec
from tocsin.store.state import StateStore

POLL_S: Final = 2.0
AGAIN_NS: Final = 60 * SECOND
"""An incident that changes all the time is asked about no more often; after a failure nothing is asked for so long."""
KEPT: Final = 200
_WATCHED: Final = 50
_QUOTED: Final = frozenset({"log", "trace"})
"""What logs and spans say is quoted by code and never given to a model to say in its words."""
_ASKED = counter("tocsin_app_rephrasings_total", "Summaries sent to a language model, by outcome", ["outcome"])
_DROPPED = counter("tocsin_app_rephrased_dropped_total", "Sentences of a language model that did not hold", ["reason"])
_log = structlog.get_logger(__name__)

V = TypeVar("V")
Examples = Callable[[Incident], Sequence[TraceExample]]


class _Said(NamedTuple):
    """What held of a model's words, for which evidence, and since when (ns)."""

    digest: str
    sentences: tuple[Sentence, ...]
    model: str
    at: int


class Summaries:
    """Gives summaries from any thread; `run` asks the endpoint, if there is one, until cancelled."""

    def __init__(
        self,
        packs: Sequence[PackSpec],
        config: Config,
        state: StateStore,
        redaction_key: bytes,
        clock: Clock,
        examples: Examples = lambda _: (),
    ) -> None:
        self._summariser = Summariser(packs)
        self._state = state
        self._clock = clock
        self._key = redaction_key
        self._examples = examples
        self._said: OrderedDict[str, _Said] = OrderedDict()
        self._asked_at: OrderedDict[str, int] = OrderedDict()
        self._resume_at = 0
        self._endpoint: ChatEndpoint | None = None
        self._spec: RephraseSpec | None = None
        self._config = config

    def adopt(self, config: Config) -> None:
        """Put a configuration into force; thread-safe: taken in by the next look."""
        self._config = config

    def of(self, incident: Incident, traces: Sequence[TraceExample]) -> Summary:
        """What is said of an incident with these example traces; other words for it only while they fit the evidence."""
        made = self._summariser.of(incident, traces)
        said = self._said.get(_place(incident))
        if self._config.summaries.rephrase is None or said is None or said.digest != _digest(made):
            return made
        return replace(made, rephrased=said.sentences, model=said.model, rephrased_at=said.at)

    def whole(self, incident: Incident) -> Summary:
        """What is said of an incident, its example traces looked up."""
        try:
            traces = self._examples(incident)
        except TocsinError:
            traces = ()  # the store tells of its own troubles; what else is known is said all the same
        return self.of(incident, traces)

    async def run(self) -> None:
        """Ask about incidents as they open and change."""
        try:
            while True:
                await self.step()
                await asyncio.sleep(POLL_S)
        finally:
            await self._close()

    async def step(self) -> int:
        """Ask about every open incident whose words are missing or old; how many were asked about."""
        spec = self._config.summaries.rephrase
        if spec != self._spec:
            await self._close()
            self._spec, self._resume_at = spec, 0
            self._said.clear()
            self._asked_at.clear()
        if spec is None or self._clock.now() < self._resume_at:
            return 0
        asked = 0
        states = (IncidentState.OPEN, IncidentState.ACKNOWLEDGED)
        for incident in await asyncio.to_thread(self._state.incidents, None, states, limit=_WATCHED):
            made = self._summariser.of(incident)
            said = self._said.get(_place(incident))
            known = said is not None and said.digest == _digest(made)
            if known or self._clock.now() - self._asked_at.get(_place(incident), -AGAIN_NS) < AGAIN_NS:
                continue
            asked += 1
            if not await self._ask(spec, incident, made):
                break
        return asked

    async def _ask(self, spec: RephraseSpec, incident: Incident, made: Summary) -> bool:
        """Ask about one incident; False when the endpoint does not work now."""
        _keep(self._asked_at, _place(incident), self._clock.now())
        given = [each for each in made.sentences if _sayable(each)]
        rules = [Rule(rule.name, rule.pattern, rule.replacement) for rule in self._config.redaction.rules]
        redactor = Redactor(rules, keep_content=False, token_key=self._key)
        texts = [redactor.text(each.text) for each in given]
        if self._endpoint is None:
            self._endpoint = ChatEndpoint(spec)
        try:
            answer = await self._endpoint.ask(chat_request(spec, INSTRUCTION, observations(texts), spec.most_tokens))
        except (Refused, Retryable) as error:
            _ASKED.labels(error.code).inc()
            self._resume_at = self._clock.now() + AGAIN_NS
            _log.warning("summaries are not rephrased", model=spec.model, reason=str(error))
            return False
        content = content_of(answer)
        sentences, dropped = ([], {"format": 1}) if content is None else proven(content, given, texts)
        for reason, count in dropped.items():
            _DROPPED.labels(reason).inc(count)
        _ASKED.labels("used" if sentences else "nothing_held").inc()
        model, at = (spec.model, self._clock.now()) if sentences else ("", 0)
        _keep(self._said, _place(incident), _Said(_digest(made), tuple(sentences), model, at))
        return True

    async def _close(self) -> None:
        if self._endpoint is not None:
            await self._endpoint.close()
            self._endpoint = None


def _place(incident: Incident) -> str:
    return f"{incident.tenant}/{incident.id}"


def _sayable(sentence: Sentence) -> bool:
    """What to do next stays as people wrote it, and what telemetry says in its own words stays quoted."""
    return sentence.part != "next" and not any(each.kind in _QUOTED for each in sentence.sources)


def _digest(summary: Summary) -> str:
    """Which evidence it is, whatever its latest numbers are: those move with every window."""
    refs = sorted({f"{one.kind} {one.ref}" for each in summary.sentences if _sayable(each) for one in each.sources})
    return hashlib.sha256("\n".join(refs).encode()).hexdigest()


def _keep(kept: OrderedDict[str, V], place: str, value: V) -> None:
    kept[place] = value
    kept.move_to_end(place)
    while len(kept) > KEPT:
        kept.popitem(last=False)
