"""How large the benches are: as published, or small enough for a test."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sizes:
    """Numbers of series, rounds and repeats; a round is one reading of every series, 10 s apart in event time."""

    series: int
    rounds: int
    events: int
    rows_per_request: int
    connections: int
    window_series: int
    warm_steps: int
    steps: int
    copy_bytes: int
    breaches: int
    spacing_s: float
    memory_series: int
    memory_rounds: int
    stationary_series: int
    stationary_weeks: int
    entity_rows: int
    beside_series: int
    beside_steps: int
    made_series: int
    drift_repeats: int
    drift_rows: int
    cluster_series: int
    cluster_seconds: int
    cluster_moved: int
    cluster_workers: tuple[int, ...]
    kinds: tuple[str, ...] = ("points", "spans", "logs", "samples")
    own_cache: bool = True  # kernels are compiled anew, as after an installation


FULL = Sizes(
    series=5_000,
    rounds=60,
    events=150_000,
    rows_per_request=1_000,
    connections=4,
    window_series=100_000,
    warm_steps=48,
    steps=20,
    copy_bytes=1 << 28,
    breaches=20,
    spacing_s=7.0,
    memory_series=10_000,
    memory_rounds=6,
    stationary_series=2_000,
    stationary_weeks=20,
    entity_rows=0,
    beside_series=10_000,
    beside_steps=96,
    made_series=30,
    drift_repeats=400,
    drift_rows=100_000,
    cluster_series=20_000,
    cluster_seconds=200,
    cluster_moved=100_000,
    cluster_workers=(1, 2, 4),
)
SMALL = Sizes(
    series=40,
    rounds=3,
    events=100,
    rows_per_request=20,
    connections=2,
    window_series=200,
    warm_steps=48,
    steps=6,
    copy_bytes=1 << 22,
    breaches=2,
    spacing_s=2.0,
    memory_series=50,
    memory_rounds=2,
    stationary_series=70,
    stationary_weeks=2,
    entity_rows=400,
    beside_series=2,
    beside_steps=8,
    made_series=3,
    drift_repeats=3,
    drift_rows=2_000,
    cluster_series=800,
    cluster_seconds=10,
    cluster_moved=1_600,
    cluster_workers=(1, 2),
    own_cache=False,
)
