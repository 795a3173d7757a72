"""Findings, events and outputs for tests of correlation."""

import functools
import importlib.resources

import yaml

from tocsin.correlate.reducer import Reducer
from tocsin.model.codec import findings_frame
from tocsin.model.finding import Finding, Phase, finding_id
from tocsin.model.frame import FrameKind, frame_of
from tocsin.model.incident import Severity
from tocsin.model.log import Output
from tocsin.model.series import Catalog, Series, Signal
from tocsin.model.transition import Grade
from tocsin.spec.engine import EngineSpec
from tocsin.spec.pack import PackSpec

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C is ten times faster
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
T0 = 1_762_000_000 * SECOND

BOT = {"service.name": "support-bot", "gen_ai.request.model": "llama-70b"}
VLLM = {"model_name": "llama-70b", "instance": "gpu-1:8000", "job": "vllm"}
GPU = {"UUID": "GPU-1", "Hostname": "gpu-1", "gpu": "0", "instance": "gpu-1:9400", "job": "dcgm"}
CART = {"service.name": "cart"}


@functools.cache
def packs():
    folder = importlib.resources.files("tocsin.packs")
    names = ("resources.yaml", "llm_edges.yaml")
    return [PackSpec.model_validate(yaml.load(folder.joinpath(name).read_text(), LOADER)) for name in names]


@functools.cache
def guide():
    text = importlib.resources.files("tocsin.packs").joinpath("guide.yaml").read_text()
    return PackSpec.model_validate(yaml.load(text, LOADER))


def grade(findings, impact):
    return Grade(Severity.ERROR, f"{len(findings)} findings", dict(impact))


def finding(
    monitor="input-tokens",
    signal="gen_ai.client.token.usage",
    labels=None,
    start=T0,
    phase=Phase.OPEN,
    time=None,
    value=3100.0,
    expected=(900.0, 1100.0),
    tenant="main",
    direction="up",
    evidence=None,
    unit="{token}",
):
    series = Series.of(tenant, Signal(signal, unit), BOT if labels is None else labels)
    return Finding(
        id=finding_id(tenant, monitor, series.id, start),
        phase=phase,
        tenant=tenant,
        monitor=monitor,
        series=series,
        start=start,
        end=start + MINUTE,
        time=start + MINUTE if time is None else time,
        value=value,
        expected=expected,
        log10_p=-12.0,
        n_eff=1000.0,
        level=-6.0,
        direction=direction,
        evidence=evidence or {},
    )


def latency(**rest):
    return finding("p95-latency", "gen_ai.client.operation.duration", BOT, **rest)


def kv_cache(**rest):
    return finding("kv-cache", "vllm:kv_cache_usage_perc", VLLM, **rest)


def gpu_memory(**rest):
    return finding("gpu-memory", "DCGM_FI_DEV_FB_USED", GPU, **rest)


def event(kind, entity, what, time, **attributes):
    return {
        "time": time,
        "kind": kind,
        "entity": entity,
        "what": what,
        "source": "x",
        "attributes": list(attributes.items()),
    }


def prompt_change(time, entity="support-bot"):
    return event(
        "prompt", entity, "prompt_version v1 -> v2", time, field="prompt_version", old="v1", new="v2", seen="3"
    )


class World:
    """Feeds a reducer with output records."""

    def __init__(self, monitors=(), catalog=None):
        self.spec = EngineSpec(monitors=list(monitors), packs=packs())
        self.reducer = Reducer(self.spec, grade)
        self.catalog = catalog or Catalog()
        self.cause = 0

    def output(self, *findings, events=(), at=None, tick=False, states=()):
        self.cause += 1
        frames = []
        if findings:
            for tenant in sorted({each.tenant for each in findings}):
                mine = [each for each in findings if each.tenant == tenant]
                frames.append(findings_frame(mine, self.catalog, tenant))
        if events:
            columns = {
                key: [row[key] for row in events] for key in ("time", "kind", "entity", "what", "source", "attributes")
            }
            frames.append(frame_of(FrameKind.EVENTS, "main", "engine", columns))
        if states:
            columns = {
                "series": [self.catalog.intern(series) for series, _ in states],
                "time": [at] * len(states),
                "state": [state for _, state in states],
                "since": [at] * len(states),
                "cadence": [SECOND] * len(states),
            }
            frames.append(frame_of(FrameKind.STATES, "main", "engine", columns))
        received = at if at is not None else max((each.time for each in findings), default=T0)
        return Output(self.cause, received, tick, tuple(frames))

    def fold(self, *findings, **rest):
        return self.reducer.fold(self.output(*findings, **rest), self.catalog)

    def tick(self, at, *findings, **rest):
        return self.fold(*findings, at=at, tick=True, **rest)
