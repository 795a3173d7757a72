"""A kill harness: spawn a program, load it, kill -9 it at a random moment, look at what is left; again and again.

The core knows nothing of what it kills: a `Victim` says how to start it, how to load it until it dies, and what
it can still tell afterwards. The load gives each thing it sends a number of its own and notes which were
acknowledged; nothing acknowledged may be missing, and nothing may be there twice.
"""

from __future__ import annotations

import random  # noqa: TID251 - this is a test tool: when to kill is drawn from a seed
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol


class Victim(Protocol):
    """A program under test that keeps what it acknowledges."""

    def start(self) -> subprocess.Popen[bytes]:
        """Start it on the same data as before."""

    def load(self, process: subprocess.Popen[bytes], acknowledge: Callable[[int], None]) -> None:
        """Send numbered things (never used before) until the process is gone; report each acknowledgement."""

    def kept(self) -> Iterable[int]:
        """Numbers of everything that is there now, after it died (mending what a start would mend)."""


@dataclass(slots=True)
class KillReport:
    """What many kills did."""

    kills: int = 0
    acknowledged: int = 0
    kept: int = 0
    lost: set[int] = field(default_factory=set)
    doubled: set[int] = field(default_factory=set)

    @property
    def passed(self) -> bool:
        """Whether every kill met a loaded program, nothing was lost and nothing doubled."""
        return self.acknowledged > 0 and not self.lost and not self.doubled

    def __str__(self) -> str:
        return (
            f"{self.kills} kills, {self.acknowledged} acknowledged, {self.kept} kept, "
            f"{len(self.lost)} lost, {len(self.doubled)} doubled"
        )


def kill_repeatedly(victim: Victim, kills: int, seed: int, delay_s: tuple[float, float] = (0.01, 0.25)) -> KillReport:
    """Kill -9 a victim under load `kills` times; each moment is drawn from its first acknowledgement on."""
    rng = random.Random(seed)
    acknowledged: set[int] = set()
    for _ in range(kills):
        process = victim.start()
        loaded = threading.Event()

        def acknowledge(number: int, loaded: threading.Event = loaded) -> None:
            acknowledged.add(number)
            loaded.set()

        load = threading.Thread(target=victim.load, args=(process, acknowledge), daemon=True)
        load.start()
        met = loaded.wait(60)
        threading.Event().wait(rng.uniform(*delay_s))
        process.send_signal(signal.SIGKILL)
        process.wait()
        load.join(60)
        assert met, "the victim acknowledged nothing for 60 s"
    counts = Counter(victim.kept())
    doubled = {number for number, times in counts.items() if times > 1}
    return KillReport(kills, len(acknowledged), len(counts), acknowledged - counts.keys(), doubled)
