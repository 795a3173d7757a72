"""A world for remediation: a real state store, incidents put there by hand, evidence as told, a manual clock."""

import asyncio
import shutil
from dataclasses import replace

import yaml

from incident_world import MINUTE, SECOND, T0, finding
from tocsin.app.responding import Responding
from tocsin.model.clock import ManualClock
from tocsin.model.finding import Phase
from tocsin.model.incident import Cause, Incident, IncidentState, Severity, incident_id
from tocsin.model.message import Message
from tocsin.respond.ports import Reading, Window
from tocsin.spec.config import Config
from tocsin.store.state import StateStore

NEW = {"gen_ai.request.model": "llama-new", "server.address": "gw-1", "k8s.deployment.name": "llm"}
OTHER = {**NEW, "gen_ai.request.model": "llama-old"}
STABLE = {**NEW, "gen_ai.request.model": "stable"}
MONITOR = "variant-p95"


def slow(labels=None, value=3.1, start=T0, monitor=MONITOR, **rest):
    evidence = {"times_expected": 3.3, "centre": 0.94} | rest.pop("evidence", {})
    signal = rest.pop("signal", "gen_ai.client.operation.duration")
    return finding(monitor, signal, NEW if labels is None else labels, start, value=value, unit="s",
                   expected=(0.5, 1.2), evidence=evidence, **rest)  # fmt: skip


def incident(*findings, **rest):
    found = findings or (slow(),)
    fields = {
        "id": incident_id("main", found[0].id), "tenant": "main", "title": "llama-new is slow",
        "state": IncidentState.OPEN, "severity": Severity.CRITICAL, "severity_arithmetic": "1", "findings": found,
        "causes": (Cause("model", "llama-new", "slow", 0.6),), "changes": (), "entities": ("llama-new",),
        "opened_at": T0 + MINUTE, "updated_at": T0 + MINUTE, "resolved_at": None, "dedup_key": "inc",
    }  # fmt: skip
    return Incident(**{**fields, **rest})


class FakeEvidence:
    """What is known is what was put here."""

    def __init__(self):
        self.values = {"system.cpu.utilization": [0.4], "system.memory.utilization": [0.5]}
        self.green = (True, "all is well")
        self.panes = []
        self.silence = ""

    def readings(self, tenant, signal, where, since):
        return [Reading((("host.name", f"h{i}"),), "1", each) for i, each in enumerate(self.values.get(signal, []))]

    def windows(self, tenant, monitor, since):
        return [each for each in self.panes if each]

    def distribution(self, finding, since, until):
        return {"count": 100.0, "p50": 0.9, "p95": finding.value}

    async def provider(self, name):
        return self.green

    def silenced(self, incident):
        return self.silence


class World:
    """Steps by hand."""

    def __init__(self, path, config, *, fresh=True):
        self.path = path
        self.clock = ManualClock(T0 + 2 * MINUTE)
        self.evidence = FakeEvidence()
        self.state = StateStore(f"sqlite:///{path}")
        self.offset = self.state.cursor("correlate")[0]
        self.config = Config.model_validate(yaml.safe_load(config) if isinstance(config, str) else config)
        self.responding = Responding(self.state, self.evidence, self.clock, self.config)

    def put(self, *incidents):
        """Incidents as the reducer would write them, each told to `ops`."""
        self.offset += 1
        told = [
            Message(f"m-{each.id}", "main", "ops", "trigger", each, each.dedup_key, each.updated_at, each.updated_at)
            for each in incidents
        ]
        self.state.commit("correlate", self.offset, incidents=list(incidents), messages=told)

    def close_finding(self, found, value=0.9, **changed):
        """The detector says that it is over; the incident is still open for a while."""
        (kept,) = self.state.incidents("main", limit=10)[:1]
        closed = tuple(
            replace(each, phase=Phase.CLOSE, value=value, time=self.clock.now(), **changed)
            if each.id == found.id
            else each
            for each in kept.findings
        )
        self.put(replace(kept, findings=closed, updated_at=self.clock.now()))

    async def step(self, seconds=0):
        self.clock.advance(seconds * SECOND)
        return await self.responding._step()

    def remedies(self):
        return self.state.remedies("main")

    def only(self):
        (found,) = self.remedies()
        return found

    def told(self):
        return [
            (page.message.destination, page.message.reason)
            for each in self.state.incidents("main")
            for page in self.state.pages("main", each.id)
            if page.message.reason
        ]

    async def close(self):
        self.responding._stale += self.responding._clients
        await self.responding._close()
        self.responding._loop.close()
        self.state.close()


def windows(labels, before, after, at):
    """One value before the action and one after it, each minute of ten."""
    times = [at + i * MINUTE for i in range(-10, 11)]
    return Window(tuple(sorted(labels.items())), times, [before if t <= at else after for t in times])


def template(tmp_path_factory):
    """A state store brought to its layout once."""
    path = tmp_path_factory.mktemp("state") / "state.db"
    StateStore(f"sqlite:///{path}").close()
    return path


def copied(source, tmp_path):
    target = tmp_path / "state.db"
    shutil.copy(source, target)
    return target


def play(coroutine):
    return asyncio.run(coroutine)
