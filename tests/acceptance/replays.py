"""A stack that keeps what the verdicts of its incidents need, and a spike for it to find."""

import numpy as np

from acceptance.stack import Stack, play
from tocsin.app.replays.captures import Captures

NORMAL_S = 480


class Kept(Stack):
    """The stack with captures, as the cold process has them."""

    def __init__(self, path, text="{}"):
        super().__init__(path, text, snapshots=True)
        self.captures = Captures(path)
        self.correlating._keep = self.captures.keep


async def _spike(path, seed, after_s):
    rng = np.random.default_rng(seed)
    stack = Kept(path)
    names = [(f"app.{kind}", (("zone", zone),)) for kind in ("load", "latency") for zone in "ab"]
    try:
        for second in range(1, NORMAL_S + after_s + 1):
            high = second > NORMAL_S
            values = {
                name: 100.0 * (6.0 if high and name[0] == "app.latency" else 1.0) * (1 + 0.1 * rng.standard_normal())
                for name in names
            }
            await stack.gauges("api", values)
            await stack.second()
        return stack.incidents()
    finally:
        await stack.close()


def spiked(path, *, seed=1, after_s=60):
    """A stopped server's data directory (without a telemetry store) that saw a spike; gives its incidents."""
    return play(_spike(path, seed, after_s))
