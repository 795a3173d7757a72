"""Metrics of this machine's GPUs, by NVIDIA's management library, under the names of OpenTelemetry where it has some."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import structlog

from tocsin.ingest.edge import Edge
from tocsin.ingest.gpu_library import NoDriver, Reading, Session
from tocsin.ingest.host import Sleep
from tocsin.ingest.scrape import next_beat
from tocsin.model.clock import SECOND, Clock
from tocsin.model.errors import Overloaded
from tocsin.model.frame import NO_VALUE, Frame, points_frame
from tocsin.model.series import MAIN_TENANT, Labels, Signal, canonical
from tocsin.selfmon.metrics import counter, gauge

SOURCE = "gpu"
UP: Final = Signal("hw.gpu.driver.up", "1")
COUNT: Final = Signal("hw.gpu.count", "{gpu}")
ANSWER_S: Final = 10.0
"""A driver that takes longer to answer hangs."""
RETRY_NS: Final = 300 * SECOND
"""Where there never was a driver it is looked for this often."""
STATES: Final = ("running", "no_library", "no_driver", "no_gpu", "no_permission", "mismatch", "failed", "hangs")
_STATE = gauge("tocsin_ingest_gpu_state_up", "How this machine's GPUs are read: 1 for the state that holds.", ["state"])
_FAILED = counter("tocsin_ingest_gpu_failures_total", "Times that the GPUs could not be read, by reason.", ["reason"])
_log = structlog.get_logger(__name__)


class Gpus:
    """Reads the GPUs on a fixed beat until cancelled.

    A machine without a driver is left alone: the state says so, and nothing is sent, unless the source was asked for
    (`wanted`) or the driver was there before: then `hw.gpu.driver.up` is 0 until it answers again.
    """

    def __init__(
        self,
        edge: Edge,
        clock: Clock,
        interval_ns: int = 10 * SECOND,
        *,
        session: Session | None = None,
        wanted: bool = False,
        host_name: str | None = None,
        resource: Mapping[str, str] = MappingProxyType({}),
        tenant: str = MAIN_TENANT,
        sleep: Sleep = asyncio.sleep,
        answer_s: float = ANSWER_S,
    ) -> None:
        self._edge = edge
        self._clock = clock
        self._interval_ns = interval_ns
        self._session = session or Session()
        self._wanted = wanted
        self._resource = canonical({"host.name": host_name or socket.gethostname(), **resource})
        self._tenant = tenant
        self._sleep = sleep
        self._answer_s = answer_s
        self._asked: asyncio.Future[Any] | None = None
        self._present: set[tuple[Signal, Labels]] = set()
        self.state = ""

    async def run(self) -> None:
        """Read and hand in until cancelled."""
        try:
            while True:
                now = self._clock.now()
                interval = self._interval_ns if self._wanted else RETRY_NS
                beat = next_beat(now, interval, 0) if self.state else now
                await self._sleep((beat - now) / SECOND)
                frame = await self.collect(beat)
                if frame is None:
                    continue
                try:
                    await self._edge.accept([frame])
                except Overloaded:
                    self._edge.refuse(self._tenant, SOURCE, "overloaded", len(frame))
        finally:
            if self._asked is None:
                self._session.close()

    async def collect(self, now: int) -> Frame | None:
        """All readings of this moment (ns); None where there is nothing to say."""
        readings: list[Reading] = []
        try:
            readings = await self._ask()
            self._be("running" if self._session.gpus else "no_gpu", "")
            self._wanted = self._wanted or bool(self._session.gpus)
            readings += [(UP, (), 1.0), (COUNT, (), float(sum(not gpu.lost for gpu in self._session.gpus)))]
        except NoDriver as error:
            self._be(error.state, str(error))
            readings = [(UP, (), 0.0)]
        return self._frame(readings, now) if self._wanted else None

    async def _ask(self) -> list[Reading]:
        """Read in a thread of its own: a driver that hangs must hold up neither the loop nor the end of the program."""
        if self._asked is None:
            self._asked = _in_thread(self._read)
        try:
            found: list[Reading] = await asyncio.wait_for(asyncio.shield(self._asked), self._answer_s)
        except TimeoutError:
            raise NoDriver("hangs", f"the driver of the GPUs does not answer within {self._answer_s:g} s") from None
        except NoDriver:
            self._asked = None
            raise
        self._asked = None
        return found

    def _read(self) -> list[Reading]:
        self._session.open()
        return self._session.read()

    def _be(self, state: str, text: str) -> None:
        if state not in {"running", "no_gpu"}:
            _FAILED.labels(state).inc()
        if state == self.state:
            return
        bad = state != "running" and (self._wanted or self.state == "running")
        (_log.warning if bad else _log.info)("GPUs", state=state, detail=text, gpus=len(self._session.gpus))
        self.state = state
        for each in STATES:
            _STATE.labels(each).set(float(each == state))

    def _frame(self, readings: list[Reading], now: int) -> Frame:
        present = {(signal, labels) for signal, labels, _ in readings}
        gone = sorted(self._present - present, key=lambda one: (one[0].name, one[1]))
        self._present = present
        series = [(signal, labels) for signal, labels, _ in readings] + gone
        identifier = self._edge.identifier
        refs = [identifier.ref(self._tenant, SOURCE, signal, self._resource, labels) for signal, labels in series]
        values = np.array([value for _, _, value in readings] + [np.nan] * len(gone), np.float64)
        flags = np.array([0] * len(readings) + [NO_VALUE] * len(gone), np.uint8)
        times = np.full(len(refs), now, np.int64)
        return points_frame(self._tenant, SOURCE, np.array(refs, np.int32), times, values, None, flags)


def _in_thread(work: Callable[[], Any]) -> asyncio.Future[Any]:
    """Run `work` in a thread that nobody waits for when the program ends."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:
        if future.cancelled():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def go() -> None:
        result, failed = None, None
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - whatever it is belongs to who asked
            failed = error
        with contextlib.suppress(RuntimeError):  # the loop may have ended meanwhile
            loop.call_soon_threadsafe(settle, result, failed)

    threading.Thread(target=go, name="gpus", daemon=True).start()
    return future
