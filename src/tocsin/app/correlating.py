"""The loop of the cold process that turns findings into incidents and messages, exactly once."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from tocsin.app.weighing import Weighing
from tocsin.correlate.lanes import HISTORY_NS
from tocsin.correlate.reducer import Reducer, human_action, regrouped
from tocsin.incident.policy import Policy
from tocsin.model.incident import Incident, IncidentState
from tocsin.model.log import Control, LogRecord, Output
from tocsin.model.message import Message
from tocsin.model.series import Catalog
from tocsin.model.transition import Regroup, Transition
from tocsin.selfmon.metrics import gauge
from tocsin.store.rows import IncidentEvent
from tocsin.store.state import StateStore

CURSOR = "correlate"
BATCH = 256
COMMIT_EVERY_NS = 5 * 10**9
REMEMBERED = 50_000
"""Records that are read again at most when the fold goes on."""
ACTS = 10_000
ACTS_NS = 24 * 3600 * 10**9
_ACTIONS = {IncidentState.ACKNOWLEDGED: "ack", IncidentState.RESOLVED: "resolve"}
_LAG = gauge("tocsin_correlate_lag_records", "Output log records not yet folded into incidents")
_KINDS = {
    "open": "opened",
    "update": "updated",
    "acknowledge": "acknowledged",
    "resolve": "resolved",
    "reopen": "reopened",
    "merge": "merged",
}


class Reader(Protocol):
    """The reading half of the output log."""

    def read(self, offset: int, limit: int = 1024) -> Sequence[LogRecord]:
        """Durable records from `offset` on."""

    def first(self) -> int:
        """Smallest offset still kept."""

    def end(self) -> int:
        """Offset that the next record will get."""


def _nobody(_: Output, __: Catalog) -> None:
    """Nobody else wants to hear."""


def _nothing(_: Incident, __: int) -> None:
    """Nothing is kept."""


class Correlating:
    """Reads the output log from its cursor, folds, and commits cursor, incidents and messages together.

    `hear` gets every record as well, for what is no part of incidents; `keep` gets each incident that opens, with the
    offset of the input record it opened by; `weighing` puts into incidents what was counted of them.
    """

    def __init__(
        self,
        reader: Reader,
        catalog: Catalog,
        state: StateStore,
        reducer: Reducer,
        policy: Policy,
        hear: Callable[[Output, Catalog], None] = _nobody,
        keep: Callable[[Incident, int], None] = _nothing,
        weighing: Weighing | None = None,
    ) -> None:
        self._hear = hear
        self._keep = keep
        self._weighing = weighing
        self._reader = reader
        self._catalog = catalog
        self._state = state
        self._reducer = reducer
        self._policy = policy
        self._acts: deque[Control] = deque()
        self._confirmed: deque[tuple[Incident, str]] = deque()
        offset, blob = state.cursor(CURSOR)
        if blob is not None:
            saved = json.loads(blob)
            reducer.restore(saved["reducer"].encode())
            policy.restore(saved["policy"])
        self.offset = max(offset, reader.first())
        self._remember()
        self._committed_at = 0
        self._received = 0
        self._transitions: list[Transition] = []
        self._messages: list[Message] = []

    def _remember(self) -> None:
        """Let the fold see again what was measured shortly before the place where it goes on."""
        last = self._reader.read(self.offset - 1, 1) if self.offset > self._reader.first() else ()
        if not last or not isinstance(last[0].entry, Output):
            return
        since = last[0].entry.received - HISTORY_NS
        low, high = max(self._reader.first(), self.offset - REMEMBERED), self.offset
        while low < high:
            middle = (low + high) // 2
            found = self._reader.read(middle, 1)
            if found and isinstance(found[0].entry, Output) and found[0].entry.received < since:
                low = middle + 1
            else:
                high = middle
        while low < self.offset and (records := self._reader.read(low, min(BATCH, self.offset - low))):
            for record in records:
                if isinstance(record.entry, Output):
                    self._reducer.remember(record.entry)
            low = records[-1].offset + 1

    def act(self, incident: Incident, action: str, by: str, at: int) -> None:
        """Tell the fold what a person decided; thread-safe, taken in by the next step."""
        self._acts.append(human_action(incident.tenant, incident.id, action, by=by, at=at))

    def confirm(self, incident: Incident, by: str) -> None:
        """Tell the policy that a person called an incident real; thread-safe, taken in by the next step."""
        self._confirmed.append((incident, by))

    def regroup(self, tenant: str, incident: str, change: Regroup, by: str) -> None:
        """Tell the fold what a person said of which findings belong together; thread-safe, taken in by the next step."""
        self._acts.append(regrouped(tenant, incident, change, by=by))

    def recall(self, now: int) -> None:
        """Tell the fold again what people of any tenant decided just before a crash: it may not have heard of it.

        Telling it twice changes nothing; decisions from over a day before `now` (ns) have long reached it.
        """
        held = self._state.incidents(None, IncidentState.ACKNOWLEDGED, limit=ACTS)
        held += self._state.incidents(None, IncidentState.RESOLVED, since=now - ACTS_NS, limit=ACTS)
        for incident in held:
            events = self._state.incident_events(incident.tenant, incident.id)
            said = [each for each in events if each.by and each.kind == incident.state.value]
            if said:
                self.act(incident, _ACTIONS[incident.state], said[-1].by, said[-1].time)
        for tenant, name, change, by in self._state.regroupings(now - ACTS_NS):
            self.regroup(tenant, name, change, by)
        lately = self._state.incidents(None, since=now - ACTS_NS, limit=ACTS) if self._policy.asks_people else ()
        for incident in lately:
            verdicts = self._state.feedback(incident.tenant, incident.id)
            if verdicts and verdicts[-1].verdict == "real_problem":
                self.confirm(incident, verdicts[-1].by)

    def adopt(self, control: Control) -> None:
        """Put a new spec into force; thread-safe, taken in by the next step."""
        self._acts.append(control)

    def step(self) -> int:
        """Fold at most one batch; how many records it was.

        Raises
        ------
        TocsinError
            What was folded can't be committed now (disk full, ...); the next step begins with that.
        """
        if self._transitions or self._messages:
            self._commit()
        transitions, messages = self._transitions, self._messages
        records = self._reader.read(self.offset, BATCH)
        while records and self._acts:  # with records, so that the cursor moves and the commit counts
            said = self._weighed(self._reducer.fold(self._acts.popleft(), self._catalog), tick=False)
            transitions += said
            messages += self._policy.fold(said, self._received, tick=False)
        while records and self._confirmed:
            messages += self._policy.confirm(*self._confirmed.popleft(), self._received)
        for record in records:
            entry = record.entry
            assert isinstance(entry, Output)
            self._received = entry.received
            self._hear(entry, self._catalog)
            said = self._weighed(self._reducer.fold(entry, self._catalog), tick=entry.tick)
            for step in said:
                if step.action == "open":
                    self._keep(step.incident, entry.cause)
            silences = [
                s
                for t in sorted({x.incident.tenant for x in said} | self._policy.tenants())
                for s in self._state.silences(t, entry.received)
            ]
            messages += self._policy.fold(said, entry.received, tick=entry.tick, silences=silences)
            transitions += said
            self.offset = record.offset + 1
        if records and (transitions or messages or self._received - self._committed_at >= COMMIT_EVERY_NS):
            self._commit()
        _LAG.set(self._reader.end() - self.offset)
        return len(records)

    def _weighed(self, said: list[Transition], *, tick: bool) -> list[Transition]:
        return said if self._weighing is None else self._weighing.fold(said, self._received, tick=tick)

    def _commit(self) -> None:
        latest = {(t.incident.tenant, t.incident.id): t.incident for t in self._transitions}
        events = [
            IncidentEvent(t.incident.tenant, t.incident.id, t.at, _KINDS[t.action], t.by, _note(t))
            for t in self._transitions
            if t.action in _KINDS and not t.by  # what people did is written down when they do it
        ]
        blob = json.dumps({"reducer": self._reducer.snapshot().decode(), "policy": self._policy.snapshot()}).encode()
        self._state.commit(
            CURSOR, self.offset, incidents=list(latest.values()), events=events, messages=self._messages, state=blob
        )
        self._transitions, self._messages = [], []
        self._committed_at = self._received


def _note(step: Transition) -> str:
    if step.into:
        return f"merged into {step.into}"
    return step.incident.title if step.incident.state is not IncidentState.RESOLVED else ""
