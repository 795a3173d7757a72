"""`DriftWatch`: the records of all models, waiting for their watermark, put into chunks, and judged when these are over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias

from tocsin.assess.heavy_hitters import HeavyHitters
from tocsin.engine.client_watch import ClientWatch
from tocsin.engine.model_drift import SEGMENTS, ModelDrift
from tocsin.engine.model_reference import ModelReference
from tocsin.engine.record_sample import Arrival, RecordRow, arrivals
from tocsin.model.finding import Finding
from tocsin.model.frame import Frame
from tocsin.model.lineage import lineage_evidence
from tocsin.model.log import SourceKey
from tocsin.spec.drift import DriftReference, DriftSpec, policy_of

MODELS: Final = 100
"""Versions of models, of all tenants, that are followed; what comes beyond is counted."""
PIECES_PER_TICK: Final = 4
"""Pieces of chunks whose data are judged at one tick."""
PER_TICK: Final = 2
"""Chunks that are judged at one tick: at midnight those of many models end together, and ticks must stay short."""
MOST_OPEN: Final = 8
"""Chunks of a version that wait; where history is replayed more are over at a tick, and are judged at once."""
SEGMENT_STATES: Final = 200
"""Segments of all versions together that are followed."""
COUNTED: Final = 64
"""Values of a tag that are counted, to know the most frequent."""
LEAST_SEEN: Final = 100
"""Rows by which a value shows that it is a segment."""
_Key: TypeAlias = tuple[str, ...]
"""Tenant, model, version; of a segment tag and value too."""


class DriftWatch:
    """Pure: what it says depends on records, watermarks and policies alone, not on how records were batched."""

    def __init__(self) -> None:
        self.states: dict[_Key, ModelDrift] = {}
        self.left_out = 0
        self.late = 0
        self._policies: Sequence[DriftSpec] = ()
        self._waiting: dict[SourceKey, list[Arrival]] = {}
        self._sources: dict[SourceKey, None] = {}
        self._tags: frozenset[str] = frozenset()
        self._seen: dict[_Key, HeavyHitters] = {}
        self._client_tags: frozenset[str] = frozenset()
        self.clients = ClientWatch()

    def adopt(self, policies: Sequence[DriftSpec], clients: Iterable[str] = ()) -> None:
        """Put policies into force; a model whose reference or chunk is another now learns anew.

        `clients` are the tags that name who sends. A file that could not be read this time is what was read of it before.
        """
        read = {each.reference.file: each.reference for each in self._policies if each.reference.given is not None}
        self._policies = tuple(_with_file(each, read) for each in policies)
        policies = self._policies
        self._client_tags = frozenset(clients)
        self._tags = frozenset(tag for each in policies for tag in each.segments)
        for key, state in list(self.states.items()):
            policy = policy_of(state.model, policies)
            if (policy.reference, policy.chunk) == (state.policy.reference, state.policy.chunk):
                state.adopt(policy)
            else:
                self.states[key] = _new(key, policy, state)

    def hold(self, key: SourceKey, watermark: int, frame: Frame) -> None:
        """Take a frame of records in; those at or before the watermark are late."""
        self._sources.setdefault(key)
        waiting = self._waiting.setdefault(key, [])
        waiting += [each for each in arrivals(frame, self._tags | self._client_tags) if each.row.time > watermark]

    def release(self, key: SourceKey, watermark: int) -> None:
        """Put what a source's watermark has passed into chunks, once each."""
        waiting = self._waiting.get(key)
        if not waiting:
            return
        ripe = sorted((each for each in waiting if each.row.time <= watermark), key=_order)
        self._waiting[key] = [each for each in waiting if each.row.time > watermark]
        before: tuple[Any, ...] = ()
        self._count(key[0], ripe)
        for each in ripe:
            same = (each.outcome, each.model, each.version, each.row.rank, each.row.time)
            if same != before:
                self.left_out += not self.clients.take(key[0], each, self._client_tags)
                self._take(key[0], each)
            before = same

    def _count(self, tenant: str, ripe: Sequence[Arrival]) -> None:
        """Count the values of tags, to know the most frequent ones."""
        counts: dict[_Key, Counter[str]] = {}
        for each in ripe:
            for tag, value in each.tags if not each.outcome else ():
                if tag not in self._tags:
                    continue
                counts.setdefault((tenant, each.model, each.version, tag), Counter())[value] += 1
        for key, found in counts.items():
            if key in self._seen or len(self._seen) < MODELS * len(self._tags):
                self._seen.setdefault(key, HeavyHitters(COUNTED)).add(found)

    def _take(self, tenant: str, arrival: Arrival) -> None:
        key: _Key = (tenant, arrival.model, arrival.version)
        state = self.states.get(key)
        if state is None:
            if sum(len(each) == len(key) for each in self.states) >= MODELS:
                self.left_out += 1
                return
            state = self.states[key] = _new(key, policy_of(arrival.model, self._policies))
        self.late += not state.take(arrival, self._other(state))
        for tag, value in arrival.tags:
            part = self._segment(key, tag, value, state.policy)
            if part is not None:  # that it is late is counted already
                part.take(arrival, self._other(part))

    def _segment(self, key: _Key, tag: str, value: str, policy: DriftSpec) -> ModelDrift | None:
        """The state of a segment, if its value is one of the most frequent and its policy wants it."""
        if tag not in policy.segments:
            return None
        found = self.states.get((*key, tag, value))
        seen = self._seen.get((*key, tag))
        if found is not None or seen is None or seen.counts.get(value, 0) < LEAST_SEEN:
            return found
        segments = [each for each in self.states if len(each) > len(key)]
        if len(segments) >= SEGMENT_STATES or sum(each[:4] == (*key, tag) for each in segments) >= SEGMENTS:
            return None
        found = self.states[*key, tag, value] = _new((*key, tag, value), policy)
        return found

    def close(self, watermarks: Mapping[SourceKey, int], received: int) -> list[Finding]:
        """Judge chunks that are over, as many as a tick has time for, the oldest first."""
        passed: dict[str, int] = {}
        for source in self._sources:
            mark = watermarks.get(source, 0)
            passed[source[0]] = min(mark, passed.get(source[0], mark))
        found: list[Finding] = self._inspect(passed, received)
        for key in sorted(self.states):
            state = self.states[key]
            found += state.silent(passed.get(key[0], 0), received)
            if state.forgettable(passed.get(key[0], 0)) and key[2] != state.policy.reference.version:
                del self.states[key]
                self._seen = {each: seen for each, seen in self._seen.items() if each[:3] != key}
        for key in sorted(self.states):
            state, mark = self.states[key], passed.get(key[0], 0)
            while len(state.chunks) > MOST_OPEN and (start := state.due(mark)) is not None:
                found += state.close(start, received, self._other(state))
        for start, key in sorted(self._due(passed))[:PER_TICK]:
            found += self.states[key].close(start, received, self._other(self.states[key]))
        return [self._traced(each) for each in found] + self.clients.close(passed, received)

    def _traced(self, finding: Finding) -> Finding:
        """A finding with what its reference stems from."""
        policy = policy_of(dict(finding.series.labels).get("model", ""), self._policies)
        told = lineage_evidence(policy.lineage.origins)
        return replace(finding, evidence={**finding.evidence, **told}) if told else finding

    def _inspect(self, passed: Mapping[str, int], received: int) -> list[Finding]:
        """Judge the data of pieces that are over, the oldest first, and tell of records that have stopped."""
        due = []
        newest: dict[_Key, int] = {}
        for key, state in self.states.items():
            start = state.quality.due(passed.get(key[0], 0))
            due += [] if start is None else [(start, key)]
            newest[key[:2]] = max(newest.get(key[:2], 0), state.quality.last)
        found: list[Finding] = []
        for start, key in sorted(due)[:PIECES_PER_TICK]:
            found += self.states[key].inspect(start, received, self._other(self.states[key]))
        for key in sorted(self.states):
            state, mark = self.states[key], passed.get(key[0], 0)
            found += state.stale(mark, newest[key[:2]], received, self._other(state))
        return found

    def _due(self, passed: Mapping[str, int]) -> Iterator[tuple[int, _Key]]:
        """The first chunk of each version that is over; the next waits for the next tick."""
        for key, state in self.states.items():
            start = state.due(passed.get(key[0], 0))
            if start is not None:
                yield start, key

    def _other(self, state: ModelDrift) -> ModelReference | None:
        """The reference of the version that others are compared with, if it has one."""
        named = state.policy.reference.version
        found = self.states.get((state.tenant, state.model, named, *state.key[3:])) if named else None
        return found.reference if found is not None else None

    def snapshot(self) -> dict[str, Any]:
        """All state, as a tree."""
        return {
            "states": [state.snapshot() for state in self.states.values()],
            "sources": [list(key) for key in self._sources],
            "waiting": [
                [list(key), [[*each[:3], list(each.row), [list(tag) for tag in each.tags]] for each in waiting]]
                for key, waiting in self._waiting.items()
                if waiting
            ],
            "seen": [[list(key), each.counts, each.lost, each.total] for key, each in self._seen.items()],
            "left_out": self.left_out,
            "late": self.late,
            "clients": self.clients.snapshot(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take a snapshot back, under the policies in force."""
        states = [ModelDrift.of(each, policy_of(each["of"][1], self._policies)) for each in state["states"]]
        self.states = {each.key: each for each in states}
        self._seen = {
            tuple(key): HeavyHitters(COUNTED, dict(counts), lost, total)
            for key, counts, lost, total in state.get("seen", ())
        }
        self._sources = {(key[0], key[1]): None for key in state["sources"]}
        self._waiting = {(key[0], key[1]): [_arrival(each) for each in waiting] for key, waiting in state["waiting"]}
        self.left_out, self.late = state["left_out"], state["late"]
        self.clients = ClientWatch()
        if "clients" in state:  # snapshots of before had none
            self.clients.restore(state["clients"])


def _with_file(policy: DriftSpec, read: Mapping[str, DriftReference]) -> DriftSpec:
    known = read.get(policy.reference.file)
    if known is None or policy.reference.given is not None:
        return policy
    return policy.model_copy(update={"reference": known})


def _new(key: _Key, policy: DriftSpec, before: ModelDrift | None = None) -> ModelDrift:
    """A state that knows nothing yet; what was open before is closed once it has."""
    tenant, model, version, *segment = key
    place = (segment[0], segment[1]) if segment else ("", "")
    found = ModelDrift(tenant, model, version, policy, segment=place)
    if before is not None:
        found.episode, found.quality.episode = before.episode, before.quality.episode
    return found


def _arrival(state: Sequence[Any]) -> Arrival:
    outcome, model, version, row, *tags = state  # snapshots of before had no tags
    held = tuple((tag, value) for tag, value in (tags[0] if tags else ()))
    return Arrival(outcome, model, version, RecordRow(*row), held)


def _order(arrival: Arrival) -> tuple[Any, ...]:
    row = arrival.row
    said = (row.prediction, row.features, row.truth, row.embedding, row.score is None, row.score or 0.0)
    return (arrival.outcome, arrival.model, arrival.version, row.time, row.rank, *said)
