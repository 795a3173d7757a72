"""The stores of a process, where the configuration and the environment say they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from tocsin.spec.config import Config
from tocsin.store.cluster import Cluster, Tier
from tocsin.store.lead import Lead
from tocsin.store.state import StateStore
from tocsin.store.telemetry import TelemetryStore

_log = structlog.get_logger(__name__)
STATE_URL: Final = "TOCSIN_STATE_URL"
TELEMETRY_URL: Final = "TOCSIN_TELEMETRY_URL"
_SECOND: Final = 10**9
STATE_FILE: Final = "state.db"


@dataclass(frozen=True, slots=True)
class StatePlace:
    """Where the state store is; every process of one installation must be told the same."""

    url: str
    password_file: Path | None = None

    @property
    def embedded(self) -> bool:
        """Whether it is a file of this machine."""
        return self.url.startswith("sqlite:")

    def open(self) -> StateStore:
        """The state store, brought to this program's tables.

        Raises
        ------
        Unreachable, Corrupt, BadConfig
            See `StateStore`.
        """
        return StateStore(self.url, self.password_file)

    def lead(self, name: str) -> Lead:
        """The lead in one thing among all processes that share the store."""
        return Lead(self.url, name, self.password_file)


def state_place(config: Config, env: Mapping[str, str], data_dir: Path) -> StatePlace:
    """Where state is: TOCSIN_STATE_URL, else `state.url` of the configuration, else a file in the data directory.

    >>> state_place(Config(), {}, Path("/d")).url
    'sqlite:////d/state.db'
    """
    url = env.get(STATE_URL, "") or config.state.url
    if not url:
        return StatePlace(f"sqlite:///{data_dir / STATE_FILE}")
    return StatePlace(url, Path(config.state.password_file) if config.state.password_file else None)


def cluster_of(config: Config, env: Mapping[str, str]) -> Cluster | None:
    """The cluster that keeps telemetry, None for chDB; TOCSIN_TELEMETRY_URL has precedence over `telemetry.url`."""
    spec = config.telemetry
    if not spec.cluster:
        return None
    return Cluster(
        env.get(TELEMETRY_URL, "") or spec.url,
        spec.cluster,
        Path(spec.password_file) if spec.password_file else None,
        Path(spec.ca_file) if spec.ca_file else None,
        spec.storage_policy,
        tuple(Tier(tier.after // _SECOND, tier.volume, tuple(tier.tables)) for tier in spec.tiers),
        spec.timeout / _SECOND,
    )


def open_telemetry(
    config: Config, env: Mapping[str, str], data_dir: Path, *, read_only: bool = False
) -> TelemetryStore:
    """The telemetry store: a cluster where the configuration names one, else chDB in the data directory.

    Raises
    ------
    Unreachable, Corrupt, BadConfig
        See `TelemetryStore`.
    """
    kept = config.limits.retention
    retention = {"points": kept.points, "spans": kept.spans, "logs": kept.logs, "panes": kept.panes}
    cluster = cluster_of(config, env)
    return TelemetryStore(data_dir / "store", retention=retention, read_only=read_only, cluster=cluster)


def warn_of_move(began_with: Config, config: Config) -> None:
    """Say so where a changed configuration names other stores: they are opened at the start only."""
    for name in ("state", "telemetry"):
        if getattr(began_with, name) != getattr(config, name):
            _log.warning("another store takes effect at the next start", setting=name)
