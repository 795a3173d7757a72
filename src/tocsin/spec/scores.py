"""What is written back: which watched series, and to which receivers of Prometheus remote write."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tocsin.model.series import MAIN_TENANT
from tocsin.spec.monitor import SECOND, Spec
from tocsin.spec.quantity import DurationNs
from tocsin.spec.text import HttpUrl, Network


class RemoteWriteTarget(Spec):
    """A receiver of remote write; `allow` names the private networks it may be in, `labels` go on every series."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)
    url: HttpUrl
    version: Literal[1, 2] = 1
    tenant: str = MAIN_TENANT
    interval: DurationNs = Field(default=15 * SECOND, ge=SECOND)
    headers: dict[str, str] = {}
    labels: dict[str, str] = {}
    allow: list[Network] = []


class ScoresSpec(Spec):
    """Scores and verdicts that are written back, at `/metrics` and by remote write.

    Series in trouble always are; besides them those that `always` selects (globs by label, and `monitor`), and the
    `top` strangest of the last hour. Never more than `most` of one tenant, those in trouble before all others.
    """

    top: int = Field(default=100, ge=0, le=10_000)
    most: int = Field(default=1000, ge=1, le=100_000)
    always: list[dict[str, str]] = []
    remote_write: list[RemoteWriteTarget] = []
