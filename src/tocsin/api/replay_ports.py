"""What the control API needs to replay: verdicts of incidents, and what is stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from tocsin.model.codec import Json
from tocsin.model.decision import Verdict
from tocsin.model.incident import Incident


class Replays(Protocol):
    """Replays and configurations, as `app` fills them; what judges history takes as long as that takes."""

    def bundle(self, incident: Incident) -> Iterator[bytes]:
        """The bundle that gives the verdict of an incident again, as a tar file.

        Raises
        ------
        BadInput
            What it needs is gone, or would be too large.
        """

    def plan(self, tenant: str, text: str, days: float) -> Json:
        """What a text of configuration would have come to in the last days.

        Raises
        ------
        BadConfig
            It can't take effect.
        """

    def drill(self, tenant: str, days: float, **chosen: object) -> Json:
        """How many planted anomalies are found in shadow copies of the last days, and after how long."""

    def preview(self, incident: Incident, verdict: Verdict, days: float) -> Json:
        """What a label would change in the last days, before it takes effect."""

    def label(self, incident: Incident, verdict: Verdict, *, by: str) -> Json:
        """Put a label into force."""

    def unlabel(self, incident_id: str, *, by: str) -> bool:
        """Take a label's effect back; False: it has none."""

    def labels(self) -> Sequence[Json]:
        """Labels in force, in the order in which they were put there."""

    def put_alerts(self, tenant: str, alerts: Sequence[Json], *, by: str) -> None:
        """Keep what others alerted on, in place of what was kept before."""

    def alerts(self, tenant: str) -> Sequence[Json]:
        """What others alerted on, as it was kept."""

    def dry_run(self) -> bool:
        """Whether messages are recorded and not sent."""

    def apply(self, text: str) -> str:
        """Put a text of configuration into force; gives its digest.

        Raises
        ------
        BadConfig
            It can't take effect, or there is no file for it.
        """

    def before(self) -> str:
        """The text of the configuration that was in force before the one that is.

        Raises
        ------
        BadInput
            There was none.
        """
