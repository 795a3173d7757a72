"""A hog under a name of its own: `python hog.py NAME SECONDS [MEBIBYTES]` burns a processor or holds memory."""

import ctypes
import os
import sys
import time

PR_SET_NAME = 15
PR_SET_PDEATHSIG = 1


def main(name, seconds, mebibytes=0):
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_NAME, name.encode(), 0, 0, 0)
    libc.prctl(PR_SET_PDEATHSIG, 9, 0, 0, 0)
    end = time.monotonic() + seconds
    if mebibytes:
        held = [os.urandom(1 << 20) for _ in range(mebibytes)]
        while time.monotonic() < end and held:
            time.sleep(0.2)
        return
    while time.monotonic() < end:
        pass


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0)
