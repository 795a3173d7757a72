"""Holding samples of one source until its watermark has passed, then letting them go in order, once."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tocsin.model.samples import Samples


@dataclass(slots=True)
class Reorder:
    """Samples of one source that wait for its watermark.

    `released` is the event time up to which all was let go; what comes later with an earlier stamp is late.
    """

    released: int = 0
    late: int = 0
    repeated: int = 0
    _waiting: list[Samples] = field(default_factory=list)

    def push(self, samples: Samples) -> Samples:
        """Take samples in any order; gives those at or before `released`, counted late and left out."""
        late = samples.time <= self.released
        count = int(late.sum())
        if count:
            self.late += count
            behind, samples = samples.take(late), samples.take(~late)
        else:
            behind = Samples.empty()
        if len(samples):
            self._waiting.append(samples)
        return behind

    def release(self, watermark: int) -> Samples:
        """All samples up to `watermark`, sorted by series and time, repeats of (series, time, uid) taken out.

        Of two different values for one (series, time, uid) the larger stays, so that order of arrival can't matter.
        """
        if watermark <= self.released:
            return Samples.empty()
        waiting = Samples.concat(self._waiting)
        ripe = waiting.time <= watermark
        self.released = watermark
        rest = waiting.take(~ripe)
        self._waiting = [rest] if len(rest) else []
        found = waiting.take(ripe).sorted()
        if len(found) > 1:
            same = (found.row[:-1] == found.row[1:]) & (found.time[:-1] == found.time[1:])
            same &= found.uid[:-1] == found.uid[1:]
            if same.any():
                self.repeated += int(same.sum())
                found = found.take(np.r_[~same, True])
        return found

    def waiting(self) -> Samples:
        """What is still held, for a snapshot."""
        return Samples.concat(self._waiting)

    @staticmethod
    def of(released: int, late: int, repeated: int, waiting: Samples) -> Reorder:
        """A buffer back from a snapshot."""
        return Reorder(released, late, repeated, [waiting] if len(waiting) else [])
