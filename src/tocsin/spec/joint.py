"""Joint signals: what several readings of one engine, device or host say together; names and limits are data."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias, get_args

from pydantic import Field, model_validator

from tocsin.spec.monitor import SECOND, Spec, ThresholdSpec
from tocsin.spec.quantity import DurationNs

Reading: TypeAlias = Literal[
    "engine.running",
    "engine.waiting",
    "engine.kv_utilization",
    "engine.input_tokens",
    "engine.output_tokens",
    "engine.steps",
    "engine.finished",
    "engine.preempted",
    "engine.cache_hits",
    "engine.cache_queries",
    "engine.cache_hit_ratio",
    "engine.queue_seconds",
    "engine.request_seconds",
    "engine.first_token",
    "demand.active",
    "demand.arrived",
    "device.memory_used",
    "device.memory_free",
    "device.memory_total",
    "device.memory_ratio",
    "device.utilization",
    "device.temperature",
    "device.power",
    "device.clock",
    "device.error_code",
    "device.engine_memory",
    "host.alive",
]
"""What products tell, under one name: requests, tokens, ratios (0 to 1), By, Cel, W, MHz, codes."""
READINGS: tuple[str, ...] = get_args(Reading)
UNITS = {
    "device.memory_used": "By",
    "device.memory_free": "By",
    "device.memory_total": "By",
    "device.temperature": "Cel",
    "device.power": "W",
    "device.clock": "MHz",
}
Place: TypeAlias = Literal["device", "rank", "model", "instance", "pod", "host"]


class ReadingSpec(Spec):
    """The names in the wild of one reading; the first rule that matches a series holds.

    `factor` brings a value to the reading's unit (a percentage to a ratio: 0.01, MiB to By: 1048576).
    """

    reading: Reading
    names: list[str] = Field(min_length=1)
    factor: float = 1.0
    where: dict[str, str] = {}
    unless: dict[str, str] = {}


class PlaceSpec(Spec):
    """Labels that say which thing a series is about, or where that thing is; keys as in `entities`."""

    place: Place
    keys: list[str] = Field(min_length=1)


class AllOfSpec(Spec):
    """1 while every reading named is beyond its limit, else 0; nothing while one of them is not known.

    With `unless_engine` a device that a serving engine runs on, or may run on, is left out.
    """

    kind: Literal["all_of"]
    name: str
    of: Literal["engine", "device"]
    when: dict[Reading, ThresholdSpec] = Field(min_length=1)
    unless_engine: bool = False

    @model_validator(mode="after")
    def _own_readings(self) -> AllOfSpec:
        for reading in self.when:
            if not reading.startswith(f"{self.of}."):
                raise ValueError(f"`{reading}` is no reading of a {self.of}")
        return self


class RatioSpec(Spec):
    """What one thing counted is of another, in the time between two readings; nothing while the other stands still."""

    kind: Literal["ratio"]
    name: str
    part: Reading
    whole: Reading
    unit: str = "1"


class StalledSpec(Spec):
    """Seconds for which an engine has held requests and done nothing, once that is proven; else 0."""

    kind: Literal["stalled"]
    name: str


class LeakSpec(Spec):
    """Share of a whole by which a reading grows in a day at equal load, at the least; else 0."""

    kind: Literal["leak"]
    name: str
    reading: Literal["device.memory_ratio", "engine.kv_utilization"]


class MissingSpec(Spec):
    """Devices of a host that should be there and are not."""

    kind: Literal["missing"]
    name: str


class CodeSpec(Spec):
    """The last error code of a device while it is news: for `hold` after it changed; else 0.

    `codes` are those meant, or with `other` all but those.
    """

    kind: Literal["code"]
    name: str
    codes: list[int] = Field(min_length=1)
    other: bool = False
    hold: DurationNs = Field(default=600 * SECOND, ge=SECOND)


class GivenSpec(Spec):
    """A reading as a share of what others usually tell of it, learned; nothing where they tell little.

    1 is as usual. What usually moves together and does no more is far from 1, though each may be within its range. An
    engine's devices count as one: the mean of what is known of them.
    """

    kind: Literal["given"]
    name: str
    reading: Reading
    given: list[Reading] = Field(min_length=1, max_length=3)


JointSpec: TypeAlias = Annotated[
    AllOfSpec | RatioSpec | StalledSpec | LeakSpec | MissingSpec | CodeSpec | GivenSpec, Field(discriminator="kind")
]
"""A joint signal of any kind."""


class InventorySpec(Spec):
    """How many devices each host whose name matches `host` (glob) must have; what is not said is learned."""

    host: str
    devices: int = Field(ge=0, le=1024)
