"""A process that responds to what is in a state store until it is killed: `python act_child.py STATE_DB CONFIG`."""

import asyncio
import sys
import time
from pathlib import Path

from remedy_world import World


class Wall:
    """Time of the machine, shifted to that of the world."""

    def __init__(self, start):
        self._ahead = start - time.time_ns()

    def now(self):
        return time.time_ns() + self._ahead


async def respond(path, config):
    world = World(path, config)
    wall = Wall(world.clock.now())
    while True:
        world.clock.advance(max(0, wall.now() - world.clock.now()))
        await world.step()
        await asyncio.sleep(0.01)


if __name__ == "__main__":
    print("up", flush=True)
    asyncio.run(respond(Path(sys.argv[1]), Path(sys.argv[2]).read_text()))
