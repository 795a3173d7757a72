"""Frames of what the engine says beside panes and findings: states of series, and changes found in telemetry."""

from __future__ import annotations

from tocsin.derive.changes import Found
from tocsin.engine.report import ENGINE
from tocsin.model.frame import Frame, FrameKind, frame_of
from tocsin.model.rows import Rows
from tocsin.window.presence import Changed, Presence


def state_frames(changed: Changed, rows: Rows, received: int) -> list[Frame]:
    """Series whose state changed, one frame per tenant."""
    by_tenant: dict[str, list[int]] = {}
    for i, row in enumerate(changed.rows.tolist()):
        by_tenant.setdefault(rows.series(row).tenant, []).append(i)
    return [
        frame_of(
            FrameKind.STATES,
            tenant,
            ENGINE,
            {
                "series": rows.refs(changed.rows[at]).tolist(),
                "time": [received] * len(at),
                "state": [Presence(s).name.lower() for s in changed.state[at].tolist()],
                "since": changed.since[at].tolist(),
                "cadence": changed.cadence[at].tolist(),
            },
        )
        for tenant, at in sorted(by_tenant.items())
    ]


def change_frame(found: Found) -> Frame:
    """A change found in telemetry as an event."""
    was = ", ".join(found.old)
    return frame_of(
        FrameKind.EVENTS,
        found.tenant,
        ENGINE,
        {
            "time": [found.time],
            "kind": [found.kind],
            "entity": [found.entity],
            "what": [f"{found.field} {was} -> {found.new}"],
            "source": ["telemetry"],
            "attributes": [{"field": found.field, "old": was, "new": found.new, "seen": str(found.seen)}],
        },
    )
