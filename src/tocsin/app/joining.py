"""Truth and feedback, joined to their predictions in the cold process and handed back to the hot one to be watched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pyarrow as pa

from tocsin.app.handover import Send
from tocsin.model.clock import Clock
from tocsin.model.frame import SCHEMAS, FrameKind
from tocsin.selfmon.metrics import counter, gauge, histogram
from tocsin.store.outcomes import MOST_WAITING, Outcomes
from tocsin.store.state import StateStore

CURSOR: Final = "outcomes"
MOST_ROWS: Final = 10_000
_MS: Final = 1_000_000
_JOINED = counter(
    "tocsin_cold_records_joined_total", "Truth and feedback joined to their predictions and watched", ["when"]
)
_UNKNOWN = counter(
    "tocsin_cold_records_without_prediction_total", "Truth and feedback whose prediction was not known when they came"
)
_REPEATED = counter(
    "tocsin_cold_records_repeated_total",
    "Predictions whose id came within ten minutes before, and truths that correct one",
    ["kind"],
)
_FORGOTTEN = counter(
    "tocsin_cold_records_waiting_dropped_total",
    f"Ids beyond {MOST_WAITING} that wait for a prediction: joined in exports, watched no more",
)
_WAITING = gauge("tocsin_cold_waiting_records", "Ids that have truth or feedback and wait for their prediction")
_DELAY = histogram(
    "tocsin_cold_records_truth_delay_seconds",
    "From a prediction to its truth or feedback",
    buckets=(1, 60, 3600, 6 * 3600, 86_400, 7 * 86_400, 30 * 86_400, 90 * 86_400),
)


class Joining:
    """Goes over the store batch by batch, behind its writer; one cursor, in the state store.

    A batch that was handed over and not noted, because the process died between, is handed over again with the same
    times and ids: the engine takes repeats out.
    """

    def __init__(
        self, outcomes: Outcomes, state: StateStore, stored: Callable[[], int], send: Send, clock: Clock
    ) -> None:
        self._outcomes, self._state, self._stored, self._send = outcomes, state, stored, send
        self._cursor = state.cursor(CURSOR)[0]
        self._clock = clock
        self._recalled = False

    def step(self) -> int:
        """Join what was stored since the last step; how many outcomes were handed over.

        Raises
        ------
        Unreachable
            The hot process takes nothing now; the same is tried again by the next step.
        """
        upto = self._stored()
        if upto <= self._cursor:
            return 0
        if not self._recalled:
            self._outcomes.recall(self._clock.now() // _MS, self._cursor)
            self._recalled = True
        forgotten = self._outcomes.forgotten
        found = self._outcomes.between(self._cursor, upto)
        count = 0
        for tenant, rows in sorted(found.rows.items()):
            for start in range(0, len(rows), MOST_ROWS):
                part = rows[start : start + MOST_ROWS]
                self._send(tenant, pa.RecordBatch.from_pylist(part, schema=SCHEMAS[FrameKind.RECORDS]))
                count += len(part)
        self._state.commit(CURSOR, upto)
        self._cursor = upto
        _JOINED.labels("early").inc(found.early)
        _JOINED.labels("after").inc(count - found.early)
        _UNKNOWN.inc(found.unknown)
        _REPEATED.labels("prediction").inc(found.repeated)
        _REPEATED.labels("truth").inc(found.corrected)
        _FORGOTTEN.inc(self._outcomes.forgotten - forgotten)
        _WAITING.set(self._outcomes.waiting)
        for delay in found.delays_s:
            _DELAY.observe(delay)
        return count
