"""Calls of models and tools, one by one: what watching agents, spending and prompt versions needs of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from tocsin.derive.fields import Coded, Fields, coded, joined
from tocsin.model.frame import Frame

TEXT_FIELDS: Final = (
    "service.name",
    "operation",
    "agent_name",
    "run_id",
    "conversation_id",
    "user",
    "tenant",
    "provider",
    "request_model",
    "response_model",
    "prompt_name",
    "prompt_version",
    "tool_name",
    "tool_arguments",
    "finish_reason",
    "refusal",
    "prompt_said",
    "response_said",
    "system_fingerprint",
    "canary",
)
NUMBER_FIELDS: Final = ("input_tokens", "output_tokens", "cost_usd")
LATER_FIELDS: Final = ("region", "topic")
"""Texts behind the numbers: snapshots of before end there."""
_LONGEST: Final = 200
_TOOL: Final = "execute_tool"


class Call(NamedTuple):
    """One span of a model, a tool or an agent; a text that it has not is "", a number NaN.

    `counted` says that its tokens and cost belong to sums: no other span told of the same call before. `arguments`,
    `prompt_said` and `said` are only compared: contents come here as marks with a keyed digest.
    """

    time: int
    start: int
    trace: str
    span: str
    parent: str
    failed: bool
    counted: bool
    service: str
    operation: str
    agent: str
    run: str
    session: str
    user: str
    customer: str
    provider: str
    model: str
    answered: str
    prompt: str
    version: str
    tool: str
    arguments: str
    finish: str
    refusal: str
    prompt_said: str
    said: str
    fingerprint: str
    canary: str
    input_tokens: float
    output_tokens: float
    cost_usd: float
    region: str = ""
    topic: str = ""

    def place(self) -> tuple[int, str, str]:
        """What calls are put in order by."""
        return self.time, self.trace, self.span

    @property
    def is_tool(self) -> bool:
        """Whether it is a call of a tool."""
        return bool(self.tool) and self.operation in (_TOOL, "")

    @property
    def is_model(self) -> bool:
        """Whether it is a call of a model."""
        return bool(self.model or self.answered)

    @property
    def tokens(self) -> float:
        """Tokens of prompt and answer together, 0 where none are told."""
        return sum(each for each in (self.input_tokens, self.output_tokens) if each >= 0)


def calls_of(frames: Sequence[Frame], fields: Fields) -> list[list[Call]]:
    """Calls in frames of spans of one tenant, by frame, in the order of their rows."""
    found: list[list[Call]] = [[] for _ in frames]
    texts = [fields[name] for name in TEXT_FIELDS]
    signs = [fields[name] for name in ("operation", "request_model", "response_model", "tool_name", "agent_name")]
    at = np.flatnonzero(np.logical_or.reduce([each.code >= 0 for each in signs]))
    if not len(at):
        return found
    number = np.repeat(np.arange(len(frames)), [len(frame) for frame in frames])[at].tolist()
    ids = [
        [raw.hex() for raw in joined(frames, name).take(at).to_pylist()]
        for name in ("trace_id", "span_id", "parent_id")
    ]
    status = coded(joined(frames, "status"))
    failed = np.isin(status.code[at], status.is_text("error")).tolist()
    counted = fields.calls.counted[at].tolist() if fields.calls is not None else [False] * len(at)
    times = [np.concatenate([frame.i8(name) for frame in frames])[at].tolist() for name in ("time", "start")]
    said = [_texts(column, at) for column in texts]
    told = [fields.numbers(name)[at].tolist() for name in NUMBER_FIELDS]
    later = [_texts(fields[name], at) for name in LATER_FIELDS]
    for place, *rest in zip(number, *times, *ids, failed, counted, *said, *told, *later, strict=True):
        found[place].append(Call(*rest))
    return found


def _texts(column: Coded, at: np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[str]:
    known = [*(text[:_LONGEST] for text in column.texts), ""]
    return [known[code] for code in column.code[at].tolist()]
