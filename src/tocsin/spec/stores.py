"""Where state and telemetry are kept when one machine is not enough: `state:` and `telemetry:` of tocsin.yaml."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from tocsin.spec.monitor import SECOND, Spec
from tocsin.spec.quantity import DurationNs

_NAME = r"^[A-Za-z0-9_.-]+$"


def _address(text: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    return parts.scheme in schemes and port != 0


# the texts may hold a password: no message repeats them


def _state_url(text: str) -> str:
    if text and not (_address(text, ("postgresql", "postgres")) and len(urlsplit(text).path) > 1):
        raise ValueError("not an address of PostgreSQL; write it like postgresql://user@host:5432/name")
    return text


def _telemetry_url(text: str) -> str:
    if text and not (_address(text, ("clickhouse", "clickhouses")) and urlsplit(text).hostname):
        raise ValueError(
            "not an address of ClickHouse; write it like clickhouse://user@host:8123, or clickhouses:// over TLS"
        )
    return text


class StateSpec(Spec):
    """PostgreSQL for incidents, the outbox, decisions and the audit trail; without it a file in the data directory.

    The password is better in `password_file`, or in the environment's PGPASSWORD, than in the address. The variable
    TOCSIN_STATE_URL has precedence over `url`. Read at the start only.
    """

    url: Annotated[str, AfterValidator(_state_url)] = ""
    password_file: str = ""  # read at every connect, so that it may change


class TierSpec(Spec):
    """Rows older than `after` are moved to a `volume` of the storage policy; `tables`: only of these kinds."""

    after: DurationNs = Field(ge=3600 * SECOND)
    volume: str = Field(pattern=_NAME)
    tables: list[str] = []


class TelemetrySpec(Spec):
    """A ClickHouse cluster for telemetry; without it chDB in the data directory.

    Tables are replicated and distributed over `cluster`, as its servers call it; how long rows are kept is said by
    `limits.retention`. Read at the start only.
    """

    url: Annotated[str, AfterValidator(_telemetry_url)] = ""
    cluster: str = Field(default="", pattern=r"^[A-Za-z0-9_.-]*$")
    password_file: str = ""
    ca_file: str = ""
    storage_policy: str = Field(default="", pattern=r"^[A-Za-z0-9_.-]*$")
    tiers: list[TierSpec] = []
    timeout: DurationNs = Field(default=120 * SECOND, ge=SECOND)  # of one statement, the answer included

    @model_validator(mode="after")
    def _whole(self) -> TelemetrySpec:
        if bool(self.url) != bool(self.cluster):
            raise ValueError("a cluster needs both its `url` and the name its servers have for it, `cluster`")
        if self.tiers and not self.storage_policy:
            raise ValueError("`tiers` move rows between the volumes of a `storage_policy`; name it")
        return self
