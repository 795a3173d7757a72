"""A discrete-event simulation of workers in a Kafka consumer group: lag, moves of partitions, recovery.

Arrivals are a steady stream; workers poll, fold a batch, and go on; the group notices a dead worker when its session is
over, tells the others at their next heartbeat, and gives them its partitions; they load a snapshot and fold again
what came after it. As in librdkafka, a worker folds nothing while it loads. There is no chance in it: where a fault
strikes between heartbeats and snapshots is varied instead (`outcomes`).
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias

from tocsin.app.scale.scenario import Fault, Outcome, Scenario
from tocsin.model.errors import BadInput

try:
    import simpy
except ModuleNotFoundError as error:  # an extra: who only watches needs none of it
    raise BadInput("simulations need simpy: pip install 'tocsin[scale]'") from error

Events: TypeAlias = Generator[simpy.Event, Any, None]

BEHIND_S: Final = 1.0
"""A partition whose oldest record waits longer is behind."""
LOOK_S: Final = 0.5
"""How often lag is looked at."""


class Shard:
    """A partition of the log: what came, what is folded, and who folds it."""

    def __init__(self, number: int, scenario: Scenario) -> None:
        self.number = number
        self.folded = 0.0
        self.snapshot = 0.0
        self.wanted_from: float | None = None
        self.resumed_s: float | None = None
        self._scenario = scenario
        self._rate = scenario.arrival_per_s / scenario.partitions

    def came(self, now_s: float) -> float:
        """Records that were written until now."""
        s = self._scenario
        surge_s = min(max(0.0, now_s - s.fault_s), s.surge_for_s)
        return self._rate * (now_s + (s.surge - 1.0) * surge_s)

    def waiting(self, now_s: float) -> float:
        """Records that are not folded."""
        return self.came(now_s) - self.folded

    def delay_s(self, now_s: float) -> float:
        """Age of the oldest record that waits."""
        s = self._scenario
        if self.waiting(now_s) < 1.0:
            return 0.0
        written_s = self.folded / self._rate
        if written_s > s.fault_s:
            within = min((written_s - s.fault_s) / s.surge, s.surge_for_s)
            written_s -= (s.surge - 1.0) * within
        return now_s - written_s


class Worker:
    """Folds its partitions, one batch after another."""

    def __init__(self, group: Simulation, phase_s: float) -> None:
        self.shards: list[Shard] = []
        self.loading: list[Shard] = []
        self.alive = True
        self._group = group
        self._phase_s = phase_s
        self.process = group.env.process(self._run())

    def last_heartbeat_s(self, now_s: float) -> float:
        """When it last spoke up."""
        every = self._group.scenario.heartbeat_s
        return now_s - (now_s - self._phase_s) % every

    def hears_s(self, now_s: float) -> float:
        """How long until it speaks up again and hears of a new generation."""
        return self.last_heartbeat_s(now_s) + self._group.scenario.heartbeat_s - now_s

    def _run(self) -> Events:
        env, scenario = self._group.env, self._group.scenario
        while self.alive:
            while self.loading:
                shard = self.loading.pop(0)
                yield env.timeout(scenario.restore_s)
                if self.alive:
                    self._group.twice += max(0.0, shard.folded - shard.snapshot)
                    shard.folded = min(shard.folded, shard.snapshot)
                    self.shards.append(shard)
            if sum(shard.waiting(env.now) for shard in self.shards) < scenario.batch:
                yield env.timeout(scenario.poll_s)  # a poll waits for a full batch that long
            waiting = sum(shard.waiting(env.now) for shard in self.shards)
            if waiting < 1.0:
                continue
            share = min(1.0, scenario.batch / waiting)
            taken = [(shard, share * shard.waiting(env.now)) for shard in self.shards]
            yield env.timeout(share * waiting / scenario.service_per_s)
            if self.alive:
                self._folded(taken)

    def _folded(self, taken: Iterable[tuple[Shard, float]]) -> None:
        now = self._group.env.now
        for shard, count in taken:
            if shard not in self.shards:
                continue
            shard.folded += count
            if shard.wanted_from is not None and shard.resumed_s is None:
                shard.resumed_s = now - shard.wanted_from


class Simulation:
    """A group of workers, with its coordinator, a fault and an autoscaler."""

    def __init__(self, scenario: Scenario, phase: float = 0.5) -> None:
        self.env = simpy.Environment()
        self.scenario = scenario
        self.twice = 0.0
        self._phase = phase
        self._shards = [Shard(number, scenario) for number in range(scenario.partitions)]
        self._workers = [Worker(self, self._phase_of(number)) for number in range(scenario.workers)]
        for shard in self._shards:
            self._workers[shard.number % scenario.workers].shards.append(shard)
        self._moved: set[int] = set()
        self._peak_lag = self._peak_delay_s = 0.0
        self._behind_s = scenario.fault_s
        self._coming = 0
        for process in (self._snapshots(), self._looks(), self._fault(), self._scales()):
            self.env.process(process)

    def _phase_of(self, number: int) -> float:
        return ((number + self._phase) / max(1, self.scenario.workers)) % 1.0 * self.scenario.heartbeat_s

    def run(self) -> Outcome:
        """Let the time pass, and say what was seen."""
        s = self.scenario
        self.env.run(s.until_s)
        resumed = [shard.resumed_s for shard in self._shards if shard.wanted_from is not None]
        late = any(seen is None for seen in resumed)
        never = self._behind_s > s.until_s - 2 * LOOK_S
        return Outcome(
            moved=len(self._moved),
            resumed_s=math.inf if late else max((seen for seen in resumed if seen is not None), default=0.0),
            caught_up_s=math.inf if never else self._behind_s - s.fault_s,
            peak_lag=self._peak_lag,
            peak_delay_s=self._peak_delay_s,
            folded_twice=self.twice,
            workers=len(self._alive()),
        )

    def _alive(self) -> list[Worker]:
        return [worker for worker in self._workers if worker.alive]

    # -- what goes on beside the workers ----------------------------------------------------------------------------

    def _snapshots(self) -> Events:
        every = self.scenario.snapshot_every_s
        yield self.env.timeout(every * self._phase)
        while True:
            for worker in self._alive():
                for shard in worker.shards:
                    shard.snapshot = shard.folded
            yield self.env.timeout(every)

    def _looks(self) -> Events:
        yield self.env.timeout(self.scenario.fault_s)
        while True:
            now = self.env.now
            delay = max(shard.delay_s(now) for shard in self._shards)
            self._peak_delay_s = max(self._peak_delay_s, delay)
            self._peak_lag = max(self._peak_lag, sum(shard.waiting(now) for shard in self._shards))
            if delay > BEHIND_S:
                self._behind_s = now
            yield self.env.timeout(LOOK_S)

    def _fault(self) -> Events:
        yield self.env.timeout(self.scenario.fault_s)
        if self.scenario.fault == Fault.KILL:
            yield from self._kill(self._workers[0])
        elif self.scenario.fault == Fault.LEAVE:
            yield from self._leave(self._workers[0])
        elif self.scenario.fault == Fault.JOIN:
            yield from self._join()

    def _scales(self) -> Events:
        scaling = self.scenario.scaling
        while scaling is not None:
            yield self.env.timeout(scaling.every_s)
            lag = sum(shard.waiting(self.env.now) for shard in self._shards)
            there = len(self._alive()) + self._coming
            wanted = min(math.ceil(lag / scaling.lag_per_worker), scaling.most, there + max(2, there // 2))
            for _ in range(max(0, wanted - there)):
                self._coming += 1
                self.env.process(self._started(scaling.start_s))

    def _started(self, start_s: float) -> Events:
        yield self.env.timeout(start_s)
        yield from self._join()

    # -- the group --------------------------------------------------------------------------------------------------

    def _kill(self, worker: Worker) -> Events:
        worker.alive = False
        orphans, worker.shards = worker.shards + worker.loading, []
        self._want(orphans)
        over = worker.last_heartbeat_s(self.env.now) + self.scenario.session_s
        yield self.env.timeout(max(0.0, over - self.env.now))
        yield from self._round()
        self._give(orphans)

    def _leave(self, worker: Worker) -> Events:
        orphans, worker.shards = worker.shards + worker.loading, []
        self._want(orphans)
        worker.alive = False
        yield self.env.timeout(self.scenario.save_s * len(orphans))
        for shard in orphans:
            shard.snapshot = shard.folded
        yield from self._round()
        self._give(orphans)

    def _join(self) -> Events:
        worker, began_s = Worker(self, self._phase_of(len(self._workers))), self.env.now
        yield from self._round()
        self._workers.append(worker)
        self._coming = max(0, self._coming - 1)
        share = self.scenario.partitions // len(self._alive())
        gone: list[Shard] = []
        longest = 0
        for other in self._alive():
            leaving = other.shards[share:] if other is not worker else []
            leaving = leaving[: max(0, share - len(gone))]
            other.shards = [shard for shard in other.shards if shard not in leaving]
            gone += leaving
            longest = max(longest, len(leaving))
        self._want(gone, began_s)
        yield self.env.timeout(self.scenario.save_s * longest)
        for shard in gone:
            shard.snapshot = shard.folded
        yield from self._round()
        self._give(gone)

    def _round(self) -> Events:
        hears = max((worker.hears_s(self.env.now) for worker in self._alive()), default=0.0)
        yield self.env.timeout(hears + self.scenario.join_s)

    def _want(self, shards: Sequence[Shard], since_s: float | None = None) -> None:
        for shard in shards:
            shard.wanted_from, shard.resumed_s = self.env.now if since_s is None else since_s, None
            self._moved.add(shard.number)

    def _give(self, shards: Sequence[Shard]) -> None:
        for shard in shards:
            poorest = min(self._alive(), key=lambda worker: len(worker.shards) + len(worker.loading), default=None)
            if poorest is not None:
                poorest.loading.append(shard)


def simulate(scenario: Scenario, phase: float = 0.5) -> Outcome:
    """What happens to a group; `phase` in [0, 1) is where between heartbeats and snapshots the fault strikes.

    >>> simulate(Scenario(8, 4, 100.0, 50.0)).moved
    0
    """
    return Simulation(scenario, phase).run()


def outcomes(scenario: Scenario, phases: int = 4) -> list[Outcome]:
    """Outcomes of faults that strike at different moments between heartbeats and between snapshots."""
    found = []
    for number in range(phases):
        later = replace(scenario, fault_s=scenario.fault_s + scenario.snapshot_every_s * number / phases)
        found.append(simulate(later, (number * 0.618) % 1.0))
    return found
