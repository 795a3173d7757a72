"""Asking the status pages of `context:` on a fixed beat, and telling what changed there as change events."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import structlog

from tocsin.ingest.edge import Edge
from tocsin.ingest.records import EVENTS_SOURCE, rows_frame
from tocsin.ingest.status_page import StatusPage
from tocsin.model.clock import SECOND
from tocsin.model.errors import BadInput, Overloaded, Refused, Retryable
from tocsin.model.frame import FrameKind
from tocsin.model.series import MAIN_TENANT
from tocsin.notify.guard import GuardedClient
from tocsin.selfmon.metrics import counter
from tocsin.spec.config import ContextSpec
from tocsin.spec.pack import PackSpec

MAX_PAGE_BYTES = 4 << 20
_POLLS = counter("tocsin_app_status_page_polls_total", "Readings of status pages, by outcome", ["name", "outcome"])
_log = structlog.get_logger(__name__)

Sleep = Callable[[float], Awaitable[None]]


class StatusPages:
    """Reads one page until cancelled; an address that may not be reached is told once, and asked no more often.

    What it said is kept in the file `kept`, so that a restart tells nothing again.
    """

    def __init__(
        self,
        spec: ContextSpec,
        packs: Sequence[PackSpec],
        edge: Edge,
        sleep: Sleep,
        kept: Path,
        client: GuardedClient | None = None,
    ) -> None:
        self._spec = spec
        self._edge = edge
        self._sleep = sleep
        self._client = client or GuardedClient(spec.allow)
        pages = [page for pack in packs for page in pack.status_pages]
        self._page = StatusPage(spec.name, spec.entity, pages)
        self._kept = kept
        self._recall()
        self._complaint = ""

    async def run(self) -> None:
        """Read the page now and every `interval`."""
        try:
            while True:
                await self.poll()
                await self._sleep(self._spec.interval / SECOND)
        finally:
            await self._client.close()

    async def poll(self) -> None:
        """Read the page once; what is wrong is counted, and logged when it is new."""
        before = self._page.remembered()
        try:
            answer = await self._client.get(self._spec.url, {"accept": "application/json"}, MAX_PAGE_BYTES)
            rows = self._page.read(answer.body, self._edge.received(), self._edge.limits.ahead_ns)
            if rows:
                await self._edge.accept([rows_frame(FrameKind.EVENTS, MAIN_TENANT, EVENTS_SOURCE, rows)])
        except (Refused, Retryable, BadInput, Overloaded) as error:
            self._page.remember(before)  # what was not taken in is told when it can be
            _POLLS.labels(self._spec.name, error.code).inc()
            if str(error) != self._complaint:
                self._complaint = str(error)
                _log.warning("a status page can't be read", page=self._spec.name, reason=self._complaint)
            return
        self._complaint = ""
        _POLLS.labels(self._spec.name, "read").inc()
        if self._page.remembered() != before:
            self._keep()

    def _keep(self) -> None:
        text = json.dumps({"url": self._spec.url, "said": self._page.remembered()})
        try:
            self._kept.parent.mkdir(parents=True, exist_ok=True)
            new = self._kept.with_suffix(".new")
            new.write_text(text, encoding="utf-8")
            new.replace(self._kept)
        except OSError as error:
            _POLLS.labels(self._spec.name, "not_kept").inc()
            _log.warning("what a status page said can't be kept", page=self._spec.name, reason=str(error))

    def _recall(self) -> None:
        try:
            found = json.loads(self._kept.read_text(encoding="utf-8"))
            if found["url"] == self._spec.url:  # another page knows nothing of this one's parts
                self._page.remember(found["said"])
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            _log.warning("what a status page said is not known any more", page=self._spec.name, reason=str(error))
