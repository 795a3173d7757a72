"""One series through a detector, and what a detector holds of it."""

import numpy as np

from tocsin.detect.registry import build
from tocsin.model.detection import Step

MINUTE = 60 * 10**9


def at(k, value):
    return Step(np.zeros(1, "i4"), np.array([k * MINUTE]), np.array([float(value)]))


def scores(detector, values):
    """Score of each value before it is learned."""
    out = []
    for k, value in enumerate(values):
        step = at(k, value)
        out.append(float(detector.score(step).value[0]))
        detector.learn(step, np.ones(1))
    return np.array(out)


def raw(detector, values):
    """Raw distance of each value before it is learned, of a detector on shingles."""
    out = []
    for k, value in enumerate(values):
        step = at(k, value)
        detector.reserve(step.rows)
        out.append(float(detector._raw(step.rows, step.value)[0]))
        detector.learn(step, np.ones(1))
    return np.array(out)


def band(detector, k, limit):
    found = detector.expect(at(k, 0.0), np.array([float(limit)]))
    return float(found.lower[0]), float(found.centre[0]), float(found.upper[0])


def taught(name, values, **params):
    detector = build(name, params)
    scores(detector, values)
    return detector


def assert_band_is_where_it_is_calm(detector, k, limit=4.0, exactly=True):
    """Values just inside score at most the limit, just outside more (`exactly`), or no less than inside."""
    lower, centre, upper = band(detector, k, limit)
    width = upper - lower
    assert width > 0
    edges = {lower + 1e-3 * width: True, upper - 1e-3 * width: True}
    edges |= {lower - 2e-2 * width: False, upper + 2e-2 * width: False}
    for value, calm in edges.items():
        score = float(detector.score(at(k, value)).value[0])
        if calm or exactly:
            assert (score <= limit * (1 + 1e-9)) == calm, (value, score, (lower, centre, upper))
