import time

from tocsin.selfmon.clock import ScaledClock, SystemClock


def test_scaled_clock_multiplies_what_passed_since_its_origin():
    before = time.time_ns()
    clock = ScaledClock(origin_ns=1_000, wall_ns=before - 5_000_000_000, speed=20.0)
    now = clock.now()
    after = time.time_ns()
    assert 1_000 + 100_000_000_000 <= now <= 1_000 + (after - before + 5_000_000_000) * 20


def test_system_clock_is_wall_time():
    before = time.time_ns()
    assert before <= SystemClock().now() <= time.time_ns()
