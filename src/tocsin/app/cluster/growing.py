"""From few partitions to more: shards move with all that they have learned, while nobody writes or folds.

Every step can be done again, so who is killed in the middle runs it once more. What is under way lies beside the
snapshots as `growth.json`; while it does, no worker starts.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, NamedTuple

from tocsin.app.cluster.links import topics_of
from tocsin.app.cluster.shelves import GROWTH, Shelves, shelves_of
from tocsin.engine.group import Group
from tocsin.engine.partition import divided
from tocsin.engine.passed import Stumbles
from tocsin.journal.dictionary import SeriesTexts
from tocsin.journal.kafka.envelope import headers_of
from tocsin.journal.kafka.findings import FindingsTopic
from tocsin.journal.kafka.rest import RestFeed
from tocsin.journal.kafka.topics import Topics, asker, bounds
from tocsin.journal.kafka.writer import Parcel, TopicWriter
from tocsin.journal.messages import pack_message
from tocsin.model.errors import BadConfig, Corrupt
from tocsin.model.log import Control
from tocsin.model.routed import ALL_SHARDS, GROWN
from tocsin.model.series import Catalog
from tocsin.spec.cluster import ClusterSpec

QUIET_S: Final = 3.0
"""Who takes telemetry in writes a tick a second; a log that stands this long has no writer."""
_DURABLE_S: Final = 60.0


class Grown(NamedTuple):
    """What was moved."""

    before: int
    after: int
    shards: int


@dataclass(frozen=True, slots=True)
class _Growth:
    """How far it has come: `ends` are known once the rest is folded, `laid` when new partitions have their snapshots."""

    before: int
    after: int
    ends: list[int] = field(default_factory=list)
    laid: bool = False


def grow(spec: ClusterSpec, *, pause: Callable[[float], None] = time.sleep) -> Grown | None:
    """Give log and findings as many partitions as the configuration says; None: they have them already.

    Raises
    ------
    BadConfig
        There are fewer or not a multiple, or somebody still writes or folds.
    Unreachable
        The brokers or the snapshots are away; it can be run again.
    """
    shelves, topics = shelves_of(spec), topics_of(spec)
    growth = _begun(shelves) or _first(topics)
    if growth is None:
        return None
    if growth.after != topics.partitions:
        raise BadConfig(
            f"shards are on their way to {growth.after} partitions, and `cluster: partitions` says {topics.partitions};"
            f" say {growth.after} and run it to its end, then go on from there"
        )
    _alone(topics, spec.group, pause)
    _note(shelves, growth)
    _alone(topics, spec.group, lambda _: None)  # a worker that did not see the note is a member by now
    if not growth.ends:
        growth = replace(growth, ends=_fold_rest(topics, shelves, growth, Stumbles(spec.tries, spec.passed_over)))
        _note(shelves, growth)
    if not growth.laid:
        _lay_down_new(shelves, growth)
        growth = replace(growth, laid=True)
        _note(shelves, growth)
    topics.enlarge()
    _begin_new(topics, growth)
    shards = _leave_old(shelves, growth)
    shelves.common().drop(GROWTH)
    return Grown(growth.before, growth.after, shards)


def _begun(shelves: Shelves) -> _Growth | None:
    try:
        return _Growth(**json.loads(shelves.common().read(GROWTH)))
    except FileNotFoundError:
        return None


def _note(shelves: Shelves, growth: _Growth) -> None:
    packed = json.dumps(asdict(growth)).encode()
    shelves.common().write(GROWTH, lambda file: file.write(packed))


def _first(topics: Topics) -> _Growth | None:
    known, wanted = topics.counts(), topics.partitions
    found = [known.get(name, 0) for name in (topics.log, topics.findings)]
    before = min(found)  # what was made larger by hand holds nothing there: no process starts on it
    if not before:
        raise BadConfig(f"there is no topic {topics.log}: a cluster that starts makes it with {wanted} partitions")
    if found == [wanted, wanted]:
        return None
    if max(found) > wanted or wanted % before:
        raise BadConfig(
            f"{topics.log} has {max(found)} partitions, and {wanted} are no multiple of that: {before * 2} or {before * 3} are;"
            " then each shard comes with all that went before it"
        )
    return _Growth(before, wanted)


def _alone(topics: Topics, group: str, pause: Callable[[float], None]) -> None:
    members = topics.members(group)
    if members is not None:
        who = f" ({', '.join(members)})" if members else ""
        raise BadConfig(
            f"workers are alive in group {group}{who}: stop them all; one that was killed counts until its session is over"
        )
    before = _ends(topics)
    pause(QUIET_S)
    if _ends(topics) != before:
        raise BadConfig(f"{topics.log} is still written to: stop all of `tocsin worker` and `tocsin control`")


def _ends(topics: Topics) -> Sequence[int]:
    consumer = asker(topics.settings, f"{topics.prefix}.growing")
    try:
        return [bounds(consumer, topics.log, number)[1] for number in range(topics.counts()[topics.log])]
    finally:
        consumer.close()


def _fold_rest(topics: Topics, shelves: Shelves, growth: _Growth, stumbles: Stumbles) -> list[int]:
    """Fold what is left as a worker would, and leave a snapshot of each old partition at its end; these ends."""
    old = replace(topics, partitions=growth.before)
    writer = TopicWriter(topics.settings)
    consumer = asker(topics.settings, f"{topics.prefix}.growing")
    try:
        feed = RestFeed(old, _ends(old)[: growth.before], writer)
        findings = FindingsTopic(old, writer, threading.Event())
        group = Group(feed, findings, shelves.of, lambda number: bounds(consumer, old.log, number), stumbles=stumbles)
        while not feed.done:
            group.step()
        states = group.states()
        for number, (offset, state) in states.items():
            shelves.of(number).save(offset, state)
        feed.close()
    finally:
        consumer.close()
        writer.close()
    return [states[number][0] for number in range(growth.before)]


def _lay_down_new(shelves: Shelves, growth: _Growth) -> None:
    for number, end in enumerate(growth.ends):
        for each, state in divided(_state(shelves, number, end), number, growth.before, growth.after).items():
            if each != number:
                snapshots = shelves.of(each)
                snapshots.save(0, state)
                snapshots.keep_only(0)


def _begin_new(topics: Topics, growth: _Growth) -> None:
    """Write into each new partition how far the old ones go before it, where that is not said yet."""
    said = Control.of(GROWN, json.dumps({"before": growth.before, "ends": growth.ends}).encode())
    value = pack_message(said, SeriesTexts(Catalog()))
    ends = _ends(topics)
    writer = TopicWriter(topics.settings)
    try:
        fresh = [number for number in range(growth.before, growth.after) if not ends[number]]
        headers = headers_of(ALL_SHARDS, "", None)
        writer.write([Parcel(topics.log, number, value, headers) for number in fresh]).result(_DURABLE_S)
    finally:
        writer.close()


def _leave_old(shelves: Shelves, growth: _Growth) -> int:
    """Take what has moved out of the old partitions; how many shards it was."""
    moved = 0
    for number, end in enumerate(growth.ends):
        state = _state(shelves, number, end)
        left = divided(state, number, growth.before, growth.after)[number]
        moved += len(state["shards"]) - len(left["shards"])
        snapshots = shelves.of(number)
        snapshots.save(end, left)
        snapshots.keep_only(end)  # older ones have the shards that went
    return moved


def _state(shelves: Shelves, number: int, end: int) -> dict[str, Any]:
    found = shelves.of(number).load(end)
    if found is None or found[0] != end:
        raise Corrupt(f"the snapshot of partition {number} at {end} is broken; restore it from a copy and run it again")
    return found[1]
