"""Maintenance windows that people planned on the page, kept beside those of the configuration; each tenant its own."""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import ValidationError

from tocsin.incident.holding import maintenance_ends, under_maintenance
from tocsin.incident.matching import facts, matches
from tocsin.model.errors import BadInput
from tocsin.model.incident import Incident
from tocsin.spec.config import Config
from tocsin.spec.routing import MaintenanceSpec, wall_ns
from tocsin.store.state import StateStore

MAINTENANCE: Final = "maintenance"
"""Kind of the windows that people planned, in the state store: all of a tenant each time one is added or ended."""
MOST: Final = 200
"""Windows of a tenant; those that are over make room."""


class MaintenanceView:
    """`tocsin.api.routing_ports.Maintenance` over the state store, and who the policy asks; read anew each time it is asked."""

    def __init__(self, config: Callable[[], Config], state: StateStore) -> None:
        self._config = config
        self._state = state
        self._lock = threading.Lock()

    def planned(self, tenant: str) -> list[MaintenanceSpec]:
        """Windows that people of a tenant planned."""
        return [_spec(each) for each in self._rows(tenant)]

    def _rows(self, tenant: str) -> list[dict[str, Any]]:
        kept = self._state.specs(tenant, MAINTENANCE, 1)
        found: list[dict[str, Any]] = json.loads(kept[0].body) if kept else []
        return found

    def holding(self, incident: Incident, now: int) -> str:
        """The name of the window that an incident is in; empty: none."""
        known = facts(incident, self._config().teams)
        windows = [*self._config().maintenance, *self.planned(incident.tenant)]
        return next((each.name for each in windows if matches(each.match, known) and under_maintenance(each, now)), "")

    def all(self, tenant: str, now: int) -> list[dict[str, Any]]:
        """Windows of a tenant that are not over, those of people first; `ends_at` (ns) of one that holds now."""
        own = [(each, _spec(each)) for each in self._rows(tenant)]
        stated: list[tuple[Mapping[str, Any], MaintenanceSpec]] = [({}, each) for each in self._config().maintenance]
        return [_row(found, spec, now) for found, spec in [*own, *stated] if not _over(spec, now)]

    def add(self, tenant: str, given: Mapping[str, Any], *, by: str, note: str, at: int) -> dict[str, Any]:
        """Plan a window.

        Raises
        ------
        BadInput
            It can't be one, is over already, or there are too many.
        """
        try:
            spec = MaintenanceSpec.model_validate(dict(given))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(step) for step in first["loc"])
            raise BadInput(f"{where or 'the window'}: {first['msg'].removeprefix('Value error, ')}") from None
        if spec.ical is not None:
            raise BadInput(
                "a window that is planned here has a time; files of calendars are named in the configuration"
            )
        if _over(spec, at):
            raise BadInput(f"{spec.name} would be over already: it must end after now")
        row = {"id": f"mnt-{secrets.token_hex(6)}", "by": by, "note": note, "spec": spec.model_dump(mode="json")}
        with self._lock:
            rows = [each for each in self._rows(tenant) if not _over(_spec(each), at)]
            if len(rows) >= MOST:
                raise BadInput(f"there are {MOST} windows already; end one, or write them into the configuration")
            self._keep(tenant, [*rows, row], by, at)
        return _row(row, spec, at)

    def end(self, tenant: str, window_id: str, *, by: str, at: int) -> bool:
        """End a window now, or call off what is planned; False: there is none of this id that people planned."""
        with self._lock:
            rows = self._rows(tenant)
            rest = [each for each in rows if each["id"] != window_id]
            if len(rest) == len(rows):
                return False
            self._keep(tenant, rest, by, at)
        return True

    def _keep(self, tenant: str, rows: list[dict[str, Any]], by: str, at: int) -> None:
        body = json.dumps(rows, sort_keys=True).encode()
        self._state.add_spec(tenant, MAINTENANCE, body, hashlib.sha256(body).hexdigest(), by=by, at=at)


def _spec(row: Mapping[str, Any]) -> MaintenanceSpec:
    return MaintenanceSpec.model_validate(row["spec"])


def _over(spec: MaintenanceSpec, now: int) -> bool:
    if spec.starts is None or spec.lasts is None or spec.every is not None:
        return False
    return wall_ns(spec.starts, spec.time_zone) + spec.lasts <= now


def _row(row: Mapping[str, Any], spec: MaintenanceSpec, now: int) -> dict[str, Any]:
    holds = under_maintenance(spec, now)
    return {
        "id": row.get("id", ""), "by": row.get("by", ""), "note": row.get("note", ""), "name": spec.name,
        "match": {key: list(values) for key, values in spec.match.items()}, "time_zone": spec.time_zone,
        "starts": "" if spec.starts is None else spec.starts.isoformat(timespec="minutes"),
        "lasts_ns": spec.lasts, "every": spec.every, "calendar": spec.ical is not None, "holds": holds,
        "ends_at": maintenance_ends(spec, now) if holds else None,
    }  # fmt: skip
