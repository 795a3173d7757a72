"""What the control API needs to replay: verdicts of incidents, and what is stored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from tocsin.model.incident import Incident


class Replays(Protocol):
    """Replays, as `app` fills them."""

    def bundle(self, incident: Incident) -> Iterator[bytes]:
        """The bundle that gives the verdict of an incident again, as a tar file.

        Raises
        ------
        BadInput
            What it needs is gone, or would be too large.
        """
