"""What a simulation of a group of workers is told, and what it tells."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """What happens to the first worker of a group."""

    NONE = "none"
    KILL = "kill"
    """It ends at once; the group notices after its session."""
    LEAVE = "leave"
    """It hands its partitions over and goes."""
    JOIN = "join"
    """Another worker comes."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """An autoscaler on lag, as KEDA and the horizontal pod autoscaler work together.

    Parameters
    ----------
    lag_per_worker : records that one worker may be behind
    most : workers at most
    every_s : how often lag is looked at
    start_s : from the decision until a worker asks for partitions: scheduling, image, compiling
    """

    lag_per_worker: float
    most: int
    every_s: float = 15.0
    start_s: float = 90.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """A group of workers on a log, and what befalls it.

    Parameters
    ----------
    partitions, workers : how many
    arrival_per_s : records of all partitions together
    service_per_s : records that one worker folds
    session_s : silence after which the group takes a worker for dead
    heartbeat_s : how often a worker speaks up, and learns that there is a new generation
    join_s : a round of joining and assigning, at the broker
    restore_s : loading the snapshot of one partition
    save_s : writing the snapshot of one partition that is handed over
    snapshot_every_s : how old a snapshot gets
    batch : records of a poll at most
    poll_s : how long a worker waits where there is nothing
    fault, fault_s : what happens, and when
    surge : factor of arrivals from `fault_s` on, for `surge_for_s`
    until_s : length of the simulation
    """

    partitions: int
    workers: int
    arrival_per_s: float
    service_per_s: float
    session_s: float = 30.0
    heartbeat_s: float = 3.0
    join_s: float = 0.5
    restore_s: float = 0.2
    save_s: float = 0.2
    snapshot_every_s: float = 60.0
    batch: int = 500
    poll_s: float = 0.05
    fault: Fault = Fault.NONE
    fault_s: float = 60.0
    surge: float = 1.0
    surge_for_s: float = 0.0
    until_s: float = 300.0
    scaling: Scaling | None = None

    def load_ratio(self) -> float:
        """Arrivals over what all workers fold; above 1 lag grows.

        >>> Scenario(8, 4, 100.0, 50.0).load_ratio()
        0.5
        """
        return self.arrival_per_s / (self.workers * self.service_per_s)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a group did; seconds count from the fault.

    Parameters
    ----------
    moved : partitions that went to another worker
    resumed_s : until the first entry of every moved partition was folded again; 0 where none moved
    caught_up_s : until no partition was more than a second behind for good; infinite where that never came
    peak_lag : most records of all partitions together that waited
    peak_delay_s : oldest record that waited
    folded_twice : records that were folded again after a snapshot; their outputs are held back
    workers : workers at the end
    """

    moved: int
    resumed_s: float
    caught_up_s: float
    peak_lag: float
    peak_delay_s: float
    folded_twice: float
    workers: int
