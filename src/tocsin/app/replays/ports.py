"""`tocsin.api.replay_ports.Replays` over the data directory of the running server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tocsin.app.replays.bundle import export_incident
from tocsin.model.incident import Incident


class Replays:
    """Replays of one server."""

    def __init__(self, data_dir: Path) -> None:
        self._data = data_dir

    def bundle(self, incident: Incident) -> Iterator[bytes]:
        """The bundle that gives the verdict of an incident again, as a tar file."""
        return export_incident(self._data, incident)
