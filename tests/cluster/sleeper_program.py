"""A worker that stops itself (SIGSTOP) between folding and writing: python sleeper_program.py SPEC.json TICK_NS

It does so once, when it has read the tick of that time; who wakes it says how long it slept.
"""

import os
import signal
import sys

from tocsin.app.bench.cluster_worker import main
from tocsin.app.cluster import engines
from tocsin.journal.kafka.feed import GroupFeed
from tocsin.model.log import Tick


class Sleeper(GroupFeed):
    """Sleeps after it has read, so that the next thing it does is to write what it folded."""

    sleeps_at = 0

    def poll(self, owner, catalogs):
        found = super().poll(owner, catalogs)
        ticks = [record.entry.received for _, record in found if isinstance(record.entry, Tick)]
        if self.sleeps_at and max(ticks, default=0) >= self.sleeps_at:
            Sleeper.sleeps_at = 0
            os.kill(os.getpid(), signal.SIGSTOP)
        return found


if __name__ == "__main__":
    Sleeper.sleeps_at = int(sys.argv[2])
    engines.GroupFeed = Sleeper
    main(sys.argv[1])
