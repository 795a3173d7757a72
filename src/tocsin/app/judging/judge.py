"""`Judge`: asks a language model about a sample of answers, within a rate and a budget, and hands what it says on as evaluations."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import pyarrow as pa
import structlog

from tocsin.app.chat import ChatEndpoint, tokens_of
from tocsin.app.handover import Send
from tocsin.app.judging.question import most_tokens, request, verdict
from tocsin.ingest.retrieved import Retrieved
from tocsin.ingest.token_counts import said_in
from tocsin.model.clock import Clock
from tocsin.model.errors import BadInput, Refused, Retryable
from tocsin.model.frame import SCHEMAS, FrameKind
from tocsin.selfmon.metrics import counter
from tocsin.spec.llm import JudgeSpec
from tocsin.store.answer_rows import AnswerRows, Row
from tocsin.store.state import StateStore

CURSOR: Final = "judge"
EVENT: Final = "gen_ai.evaluation.result"
SETTLE_MS: Final = 30_000
"""So long after an answer was stored it is judged: what was retrieved for it may be stored after it."""
MOST_AT_ONCE: Final = 20
_MINUTE_MS: Final = 60_000
_DAY_MS: Final = 86_400_000
_MS: Final = 1_000_000
_JUDGED = counter(
    "tocsin_cold_judged_answers_total", "Answers of the judge's sample, by what came of them", ["outcome"]
)
_TOKENS = counter("tocsin_cold_judge_tokens_total", "Tokens that the judge took, by its usage or a high guess")
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Spent:
    """What was spent of the rate and the budget: of a minute and of a day."""

    minute: int = 0
    calls: int = 0
    day: int = 0
    tokens: int = 0

    def now(self, now_ms: int) -> None:
        """Begin a new minute or day if it is one."""
        if now_ms // _MINUTE_MS != self.minute:
            self.minute, self.calls = now_ms // _MINUTE_MS, 0
        if now_ms // _DAY_MS != self.day:
            self.day, self.tokens = now_ms // _DAY_MS, 0


class Judge:
    """Goes over the store behind its writer, with a cursor in the state store; an answer is asked about at most once.

    What is beyond the rate or the budget is left out, not kept for later: a sample is a sample. It calls no tool and
    sends no text that redaction did not see.
    """

    def __init__(
        self,
        spec: JudgeSpec | None,
        answers: AnswerRows,
        state: StateStore,
        stored: Callable[[], int],
        send: Send,
        clock: Clock,
    ) -> None:
        self._answers, self._state, self._stored, self._send, self._clock = answers, state, stored, send, clock
        self._cursor, blob = state.cursor(CURSOR)
        self._spent = _Spent(**json.loads(blob)) if blob else _Spent()
        self._retrieved = Retrieved()
        self._complaint = ""
        self._spec, self._fresh = spec, spec

    def adopt(self, spec: JudgeSpec | None) -> None:
        """Take another judge, or none; thread-safe, in force from the next step on."""
        self._fresh = spec

    def step(self) -> int:
        """Judge what the sample has of what was stored since the last step; how many answers were judged.

        Raises
        ------
        Unreachable
            The hot process takes nothing now.
        """
        self._spec = self._fresh
        now_ms = self._clock.now() // _MS
        upto = min(self._stored(), now_ms - SETTLE_MS)
        if self._spec is None or not self._cursor:
            self._cursor = max(upto, 1)  # what was before there was a judge is not judged
            return 0
        if upto <= self._cursor:
            return 0
        after, self._cursor = self._cursor, upto
        self._spent.now(now_ms)
        room = min(MOST_AT_ONCE, self._spec.calls_per_minute - self._spent.calls)
        ratio = self._spec.sample_ratio
        rows = self._answers.between(after, upto, ratio, room) if room > 0 else []
        left_out = self._answers.count(after, upto, ratio) - len(rows)
        _JUDGED.labels("over_rate").inc(max(0, left_out))
        # noted before anybody is asked: after a crash nothing is paid for twice
        self._spent.calls += len(rows)
        self._note()
        found = asyncio.run(self._ask(self._spec, rows)) if rows else []
        self._hand_over(found)
        return len(found)

    def _note(self) -> None:
        self._state.commit(CURSOR, self._cursor, state=json.dumps(asdict(self._spent)).encode())

    async def _ask(self, spec: JudgeSpec, rows: list[Row]) -> list[tuple[Row, Mapping[str, float]]]:
        endpoint = ChatEndpoint(spec)
        found = []
        try:
            for row in rows:
                scores, outcome = await self._judged(spec, endpoint, row)
                _JUDGED.labels(outcome).inc()
                if scores is not None:
                    found.append((row, scores))
        finally:
            await endpoint.close()
        return found

    async def _judged(
        self, spec: JudgeSpec, endpoint: ChatEndpoint, row: Row
    ) -> tuple[Mapping[str, float] | None, str]:
        question, answer = said_in(dict(row["attributes"]))
        documents = [text for each in self._answers.retrievals(row) for text in self._retrieved.texts(each)]
        if not (question and answer and documents):
            return None, "nothing_kept"
        body = request(spec, question, documents, answer)
        if self._spent.tokens + most_tokens(body) > spec.tokens_per_day:
            return None, "over_budget"
        try:
            told = await endpoint.ask(body)
        except (Retryable, Refused) as error:
            self._complain(str(error))
            return None, "unreachable" if isinstance(error, Retryable) else "refused"
        took = tokens_of(told)
        took = most_tokens(body) if took is None else took
        self._spent.tokens += took
        _TOKENS.inc(took)
        try:
            scores = verdict(told)
        except BadInput as bad:
            self._complain(str(bad))
            return None, "no_verdict"
        self._complaint = ""
        return scores, "judged"

    def _complain(self, text: str) -> None:
        if text != self._complaint:
            self._complaint = text
            _log.warning("an answer could not be judged", reason=text)

    def _hand_over(self, found: list[tuple[Row, Mapping[str, float]]]) -> None:
        assert self._spec is not None
        by_tenant: dict[str, list[dict[str, Any]]] = {}
        now = self._clock.now()
        for row, scores in found:
            by_tenant.setdefault(row["tenant"], []).extend(_evaluations(row, scores, now, self._spec.model))
        for tenant, rows in sorted(by_tenant.items()):
            self._send(tenant, pa.RecordBatch.from_pylist(rows, schema=SCHEMAS[FrameKind.LOGS]))


def _evaluations(row: Row, scores: Mapping[str, float], now: int, model: str) -> Iterator[dict[str, Any]]:
    for name, score in scores.items():
        attributes = {
            "gen_ai.evaluation.name": name,
            "gen_ai.evaluation.score.value": repr(score),
            "gen_ai.evaluation.judge.model": model,
        }
        yield {
            "time": now,
            "severity": "INFO",
            "severity_number": 9,
            "body": "",
            "event_name": EVENT,
            "trace_id": bytes.fromhex(row["trace"]),
            "span_id": bytes.fromhex(row["span"]),
            "resource": list({"service.name": row["service"]}.items()),
            "attributes": list(attributes.items()),
        }
