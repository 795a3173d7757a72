"""`PackSpec`: all that is known about one kind of system, as data."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from tocsin.spec.call_lines import CallLinesSpec
from tocsin.spec.health import WindowTermSpec
from tocsin.spec.joint import JointSpec, PlaceSpec, ReadingSpec
from tocsin.spec.llm import ModelSpec, ScopeSpec
from tocsin.spec.mapping import MappingSpec
from tocsin.spec.monitor import MonitorSpec, Spec
from tocsin.spec.text import Pattern
from tocsin.spec.wire import LogChangeSpec, StatusPageSpec, WebhookSpec, WireSpec


def _labelled(by: object) -> object:
    """A list of labels reads the fields of the same names."""
    return {str(label): str(label) for label in by} if isinstance(by, list) else by


class SpanSignalSpec(Spec):
    """A signal derived from spans: one point per matching span, at its end.

    `value` is `duration` (seconds), `count` (1), `error` (1 when the status is error, else 0) or a canonical
    field that holds a number. `where` values are exact texts, or `*` for "has one". With `model_call` only spans count
    whose tokens and cost belong to a sum: calls of models, each once.
    """

    name: str
    unit: str = "1"
    where: dict[str, str] = {}
    model_call: bool = False
    value: str = "duration"
    by: Annotated[dict[str, str], BeforeValidator(_labelled)] = {"service.name": "service.name"}  # label: field


class ShareSignalSpec(Spec):
    """A signal derived from counters and histograms: of all that those named `of` (glob) counted, the share of a kind.

    A series is of the kind if any of `where` holds (label: glob). Every label in `by` that is there is kept.
    """

    name: str
    of: str
    where: dict[str, str]
    by: list[str] = ["service.name"]


class ChangeSpec(Spec):
    """A change event found in telemetry: a value of `field` that this entity never showed before.

    A first value is no change; `settle` spans with the new value are needed, so that one stray span is none.
    """

    kind: str
    field: str
    entity: str = "service.name"
    settle: int = Field(default=3, ge=1)


class EdgeSpec(Spec):
    """A causal edge between signals (globs) or kinds of change: cause -> effect."""

    cause: str
    effect: str
    within: Literal["entity", "anywhere"] = "entity"


class AccessLogSpec(Spec):
    """Lines of access logs: those that contain a text and match a pattern (RE2) with named groups.

    Groups are of `client principal endpoint code tool country`; `-` is none.
    """

    contains: str = Field(min_length=1)
    pattern: Pattern


class GuideSpec(Spec):
    """What to look at next where the likeliest cause, or a finding, is of a kind; `{entity}` and `{what}` are the cause's.

    With `monitor` instead of `cause`: where a finding is of that monitor, and `{entity}` is what that finding is about.
    """

    cause: str = ""
    monitor: str = ""
    checks: list[Annotated[str, Field(min_length=1, max_length=300)]]

    @model_validator(mode="after")
    def _one(self) -> GuideSpec:
        if bool(self.cause) == bool(self.monitor):
            raise ValueError("a guide is for a `cause` or for a `monitor`; write one of them")
        return self


class FamilySpec(Spec):
    """Signals that are one kind of quantity, by unit (UCUM, exact case) and name, both globs.

    `share` lies in 0..1 and `percent` in 0..100: where their noise shrinks towards a bound they are judged by what is
    left to it. `duration` is judged on a log scale, `count` and `plain` on the scale that fits the data. `least` is a
    robust sd that none falls below: in the signal's unit, of durations as a share of the level.
    """

    family: Literal["share", "percent", "duration", "count", "plain"]
    units: list[str] = ["*"]
    names: list[str] = ["*"]
    least: float = Field(default=0.0, ge=0)


class PackSpec(Spec):
    """One file in `packs/`."""

    name: str
    version: int
    description: str = ""
    entities: list[list[str]] = []  # label keys that name an entity, most specific first
    relations: list[list[str]] = []  # pairs of label keys: first runs on / belongs to second
    mappings: list[MappingSpec] = []
    span_scopes: list[ScopeSpec] = []
    first_token_events: list[str] = []  # names of span events that come with the first token of an answer
    models: list[ModelSpec] = []
    model_table: str = ""  # lines of JSON, see packs/llm_prices.yaml
    span_signals: list[SpanSignalSpec] = []
    label_values: dict[str, int] = {}  # field: how many values of it each service may have as a label of such signals
    share_signals: list[ShareSignalSpec] = []
    readings: list[ReadingSpec] = []
    places: list[PlaceSpec] = []
    peers: list[str] = []  # fields of calling spans that name whom they call, where that sends no spans
    joint_signals: list[JointSpec] = []
    changes: list[ChangeSpec] = []
    segments: list[str] = []  # tags of inference records whose values are watched on their own
    clients: list[str] = []  # tags of inference records whose values name who asks, or who tells what was right
    groups: list[str] = []  # tags of inference records whose values are groups that must be treated alike
    health: list[WindowTermSpec] = []
    monitors: list[MonitorSpec] = []
    edges: list[EdgeSpec] = []
    guide: list[GuideSpec] = []
    access_logs: list[AccessLogSpec] = []
    feeds: list[str] = []  # labels that tell whose telemetry a series is
    targets: list[str] = []  # labels that tell which copy of it sends
    unseen: list[str] = []  # what no telemetry of this kind can show, in words
    families: list[FamilySpec] = []
    wires: list[WireSpec] = []
    webhooks: list[WebhookSpec] = []
    log_changes: list[LogChangeSpec] = []
    call_lines: CallLinesSpec | None = None
    status_pages: list[StatusPageSpec] = []
