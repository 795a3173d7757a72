"""`AnswerWatch`: another model behind the same name - told by its own name, its fingerprint, its answers."""

from __future__ import annotations

from typing import Any, Final

from tocsin.assess.answer_shape import LENGTH, Answers, Moved
from tocsin.derive.calls import Call
from tocsin.derive.changes import Found
from tocsin.engine.call_episodes import Episodes
from tocsin.model.series import Signal
from tocsin.model.text import one_line

REPLACED: Final = Signal("gen_ai.model.replaced", "1")
FINGERPRINT: Final = Signal("gen_ai.model.fingerprint", "1")
CANARY: Final = Signal("gen_ai.model.canary", "1")
ANSWERS: Final = Signal("gen_ai.model.answers", "1")
MOST_MODELS: Final = 500
"""Models (by service, provider and name), and canary prompts, that are followed."""
MOST_VALUES: Final = 16
SETTLE: Final = 3
"""So many calls must show a value before it counts: one stray answer is no change."""
_REFUSED: Final = "1"
_KIND: Final = "model"
_Of = tuple[str, str, str, str]
"""Tenant, service, provider, model asked for."""


class AnswerWatch:
    """Pure: what it says depends on the calls and their order alone; `events` are changes found since last asked."""

    def __init__(self, episodes: Episodes) -> None:
        self._episodes = episodes
        self._known: dict[tuple[str, ...], dict[str, list[int]]] = {}
        self._answers: dict[_Of, Answers] = {}
        self.events: list[Found] = []

    def take(self, tenant: str, call: Call) -> None:
        """Take a call in."""
        if not call.is_model or call.failed or not call.counted:
            return
        of = (tenant, call.service, call.provider, call.model)
        shown = ((REPLACED, call.answered), (FINGERPRINT, call.fingerprint))
        for signal, value in shown:
            if value and call.model:
                self._show(signal, of, "", value, call)
        if call.canary:
            if call.said:
                self._show(CANARY, of, call.canary, call.said, call)
            return  # prompts that are always the same say nothing of usual answers
        if call.output_tokens > 0:
            self._shape(of, call)

    def _show(self, signal: Signal, of: _Of, canary: str, value: str, call: Call) -> None:
        key = (*of, signal.name, canary)
        values = self._known.get(key)
        if values is None:
            if len(self._known) >= 3 * MOST_MODELS:
                return
            values = self._known[key] = {}
        entry = values.get(value)
        if entry is None:
            if len(values) >= MOST_VALUES:
                del values[min(values, key=lambda each: (values[each][1], each))]
            entry = values[value] = [call.start, call.time, 0]
        entry[1] = max(entry[1], call.time)
        entry[2] += 1
        before = [(-told[1], each) for each, told in values.items() if each != value and told[2] >= SETTLE]
        if entry[2] == SETTLE and before:
            self._replaced(signal, of, canary, min(before)[1], value, entry[0], call.time)

    def _replaced(self, signal: Signal, of: _Of, canary: str, old: str, new: str, since: int, at: int) -> None:
        """Another value than before: an event, and a finding."""
        field = {REPLACED: "response model", FINGERPRINT: "system fingerprint", CANARY: "answer to a canary"}[signal]
        old, new = one_line(old, 80), one_line(new, 80)
        where = f" to `{one_line(canary, 40)}`" if canary else ""
        evidence: dict[str, float | str] = {
            "deviation": f"as {one_line(of[3], 40)}: {field}{where} {old} -> {new}",
            "field": field,
            "before": old,
            "after": new,
            **({"canary": one_line(canary, 80)} if canary else {}),
        }
        self._episodes.tell(of[0], signal, self._labels(of), at, 1.0, evidence, start=since)
        if signal is not REPLACED:  # that the name of what answers has changed is seen by the rules of packs
            self.events.append(Found(since, of[0], _KIND, of[1], f"{field}{where} of {of[3]}", (old,), new, SETTLE))

    def _shape(self, of: _Of, call: Call) -> None:
        answers = self._answers.get(of)
        if answers is None:
            if len(self._answers) >= MOST_MODELS:
                return
            answers = self._answers[of] = Answers()
        moved = answers.add(
            call.time, call.output_tokens, call.finish, refused=call.refusal == _REFUSED,
            asker=call.customer or call.prompt or call.user, input_tokens=call.input_tokens,
        )  # fmt: skip
        if moved is not None:
            self._told(of, moved, call.time)

    def _told(self, of: _Of, moved: Moved, at: int) -> None:
        before, after = _amount(moved, moved.before), _amount(moved, moved.after)
        what = moved.what.replace("_", " ")
        evidence: dict[str, float | str] = {
            "deviation": f"from {one_line(of[3], 40)}: {what} {before} -> {after}, with no change of name",
            "field": what,
            "before": moved.before,
            "after": moved.after,
            "deviates": round(moved.deviates, 1),
        }
        self._episodes.tell(of[0], ANSWERS, self._labels(of), at, abs(moved.deviates), evidence, start=moved.since)
        found = Found(moved.since, of[0], _KIND, of[1], f"answers of {of[3]}: {what}", (before,), after, 2)
        self.events.append(found)

    @staticmethod
    def _labels(of: _Of) -> dict[str, str]:
        told = {"service.name": of[1], "gen_ai.provider.name": of[2], "gen_ai.request.model": of[3]}
        return {key: value for key, value in told.items() if value}

    def changes(self) -> list[Found]:
        """Changes found since this was last asked."""
        found, self.events = self.events, []
        return found

    def snapshot(self) -> dict[str, Any]:
        """All state, as a tree; events are handed out at every tick."""
        return {
            "known": [[list(key), {v: list(e) for v, e in values.items()}] for key, values in self._known.items()],
            "shapes": [[*of, answers.snapshot()] for of, answers in self._answers.items()],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take a snapshot back."""
        self._known = {tuple(key): {v: list(e) for v, e in values.items()} for key, values in state["known"]}
        self._answers = {(a, b, c, d): Answers.of(told) for a, b, c, d, told in state["shapes"]}


def _amount(moved: Moved, value: float) -> str:
    return f"{value:,.0f}" if moved.what == LENGTH else f"{100 * value:.3g} %"
