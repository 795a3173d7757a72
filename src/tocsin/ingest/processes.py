"""Which programs use most of this machine's processors and memory, so that a hog can be named."""

from __future__ import annotations

from dataclasses import dataclass, field

import psutil

from tocsin.model.clock import SECOND

_TOP = 5
_FOLLOWED_MAX = 30
_FOLLOW_NS = 3600 * SECOND
_UNREADABLE = (psutil.Error, OSError)


@dataclass(slots=True)
class Usage:
    """What programs use: `cpu_utilization` as a share of all processors, 0 to 1; `memory_bytes` resident."""

    count: int = 0
    cpu_utilization: dict[str, float] = field(default_factory=dict)
    memory_bytes: dict[str, int] = field(default_factory=dict)


class TopProcesses:
    """The five greatest users of each, by the name of the executable (processes of one name together).

    Who was among them stays visible for an hour: a series that comes and goes with its rank can't be learned.
    """

    def __init__(self) -> None:
        self._cpu_s: dict[tuple[int, float], float] = {}
        self._read_at = 0
        self._cpu_followed: dict[str, int] = {}
        self._memory_followed: dict[str, int] = {}

    def read(self, now: int) -> Usage:
        """Usage since the last reading; the first gives no processor time. `now` in nanoseconds."""
        found = Usage()
        cpu_s: dict[tuple[int, float], float] = {}
        used_s: dict[str, float] = {}
        for process in psutil.process_iter():
            try:
                with process.oneshot():
                    name = process.name() or "unknown"
                    times, memory = process.cpu_times(), process.memory_info().rss
                    key = (process.pid, process.create_time())
            except _UNREADABLE:
                # it ended, or belongs to somebody else: neither is news
                continue
            found.count += 1
            cpu_s[key] = total = times.user + times.system
            # a process younger than the last reading spent all its time since then
            used_s[name] = used_s.get(name, 0.0) + max(total - self._cpu_s.get(key, 0.0), 0.0)
            found.memory_bytes[name] = found.memory_bytes.get(name, 0) + memory
        elapsed_s = (now - self._read_at) / SECOND
        if self._read_at and elapsed_s > 0:
            capacity_s = elapsed_s * (psutil.cpu_count() or 1)
            found.cpu_utilization = {name: min(used / capacity_s, 1.0) for name, used in used_s.items()}
        self._cpu_s, self._read_at = cpu_s, now
        found.cpu_utilization = _follow(found.cpu_utilization, self._cpu_followed, now)
        found.memory_bytes = {
            name: round(size) for name, size in _follow(dict(found.memory_bytes), self._memory_followed, now).items()
        }
        return found


def _follow(usage: dict[str, float] | dict[str, int], followed: dict[str, int], now: int) -> dict[str, float]:
    """The greatest users and those followed; `followed` is brought up to date."""
    ranked = sorted(usage, key=lambda name: (-usage[name], name))
    for name in ranked[:_TOP]:
        if usage[name] > 0:
            followed[name] = now
    oldest_first = sorted(followed, key=lambda name: (followed[name], name))
    for place, name in enumerate(oldest_first):
        if len(followed) > _FOLLOWED_MAX or now - followed[name] > _FOLLOW_NS:
            del followed[oldest_first[place]]
    return {name: float(usage[name]) for name in followed if name in usage}
