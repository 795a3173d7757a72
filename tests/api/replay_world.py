"""Replays that judge nothing and remember what they were asked."""

from __future__ import annotations

from tocsin.model.errors import BadInput


class FakeReplays:
    """`tocsin.api.replay_ports.Replays` without an engine."""

    def __init__(self):
        self.asked = []
        self.held = []
        self.applied = []
        self.others = []

    def bundle(self, incident):
        yield f"bundle of {incident.id}".encode()

    def plan(self, tenant, text, days):
        self.asked.append(("plan", tenant, text, days))
        return {"changed": bool(text), "days": days, "parts": [], "monitors": [], "notes": [], "difference": None}

    def drill(self, tenant, days, **chosen):
        self.asked.append(("drill", tenant, days, chosen))
        return {"planted": 0, "found": 0, "recall": None, "delay_s": None, "by_shape": {}, "by_monitor": {}}

    def preview(self, incident, verdict, days):
        return {"incident": incident.id, "verdict": verdict, "days": days, "changes": False, "series": []}

    def label(self, incident, verdict, *, by):
        self.held = [{"incident": incident.id, "verdict": verdict, "by": by, "asks": []}]
        return self.held[0]

    def unlabel(self, incident_id, *, by):
        found = [each for each in self.held if each["incident"] == incident_id]
        self.held = []
        return bool(found)

    def labels(self):
        return self.held

    def put_alerts(self, tenant, alerts, *, by):
        self.others = list(alerts)

    def alerts(self, tenant):
        return self.others

    def dry_run(self):
        return True

    def apply(self, text):
        self.applied.append(text)
        return "0" * 64

    def before(self):
        if not self.applied:
            raise BadInput("no other configuration was in force before this one; nothing is changed")
        return self.applied[0]
