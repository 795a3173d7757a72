"""What remediation knows of the world: newest values, judged windows, how values are spread, providers' pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final

from tocsin.app.status_pages import MAX_PAGE_BYTES
from tocsin.incident.matching import silenced_by
from tocsin.ingest.status_page import StatusPage
from tocsin.model.clock import SECOND, Clock
from tocsin.model.errors import Refused
from tocsin.model.finding import Finding
from tocsin.model.incident import Incident
from tocsin.notify.guard import GuardedClient
from tocsin.respond.ports import Reading, Window
from tocsin.spec.config import ContextSpec
from tocsin.spec.pack import PackSpec
from tocsin.store.latest_rows import LatestRows
from tocsin.store.spread import Spread
from tocsin.store.state import StateStore
from tocsin.store.telemetry import TelemetryStore

AHEAD_NS: Final = 600 * SECOND
MOST_SERIES: Final = 500
MOST_WORDS: Final = 3


class RemedyWorld:
    """`tocsin.respond.ports.Evidence` over the stores."""

    def __init__(
        self,
        telemetry: TelemetryStore,
        state: StateStore,
        clock: Clock,
        packs: Sequence[PackSpec],
        pages: Callable[[], Sequence[ContextSpec]],
        maintained: Callable[[Incident, int], str] = lambda *_: "",
    ) -> None:
        self._telemetry = telemetry
        self._latest = LatestRows(telemetry.db)
        self._spread = Spread(telemetry.db)
        self._state = state
        self._clock = clock
        self._packs = packs
        self._pages = pages
        self._maintained = maintained

    def readings(self, tenant: str, signal: str, where: Mapping[str, str], since: int) -> Sequence[Reading]:
        """Newest values since a time of series whose labels fit globs."""
        return [
            Reading(each.series.labels, each.series.signal.unit, each.value)
            for each in self._latest.newest(tenant, [signal], since, since)
            if each.value is not None and all(fnmatchcase(each.series.label(key), glob) for key, glob in where.items())
        ]

    def windows(self, tenant: str, monitor: str, since: int) -> Sequence[Window]:
        """Judged windows of a monitor since a time."""
        curves = self._telemetry.panes(tenant, monitor, None, since, max_series=MOST_SERIES)
        return [
            Window(tuple(sorted(each.series.labels.items())), each.time.tolist(), each.value.tolist())
            for each in curves
        ]

    def distribution(self, finding: Finding, since: int, until: int) -> Mapping[str, float]:
        """How the values of a finding's series were spread."""
        return self._spread.of(finding.tenant, finding.series.signal.name, dict(finding.series.labels), since, until)

    async def provider(self, name: str) -> tuple[bool, str]:
        """Whether all is well by a provider's page, read now.

        Raises
        ------
        Refused, Retryable, BadInput
            The page can't be read.
        """
        spec = next((each for each in self._pages() if each.name == name), None)
        if spec is None:
            raise Refused(f"no page is called {name} under `context:`")
        client = GuardedClient(spec.allow)
        try:
            answer = await client.get(spec.url, {"accept": "application/json"}, MAX_PAGE_BYTES)
        finally:
            await client.close()
        page = StatusPage(name, spec.entity, [page for pack in self._packs for page in pack.status_pages])
        # the first reading of a page tells all that is not as it should be
        rows = page.read(answer.body, self._clock.now(), AHEAD_NS)
        if rows:
            return False, "; ".join(str(row["what"]) for row in rows[:MOST_WORDS])
        return True, "its status page says that all is well"

    def silenced(self, incident: Incident) -> str:
        """The silence, or the maintenance, that an incident is under."""
        now = self._clock.now()
        found = silenced_by(incident, self._state.silences(incident.tenant, now), now)
        if found is not None:
            return found.id
        window = self._maintained(incident, now)
        return f"maintenance {window}" if window else ""
