"""What each detector costs: `python -m tests.detector_costs` prints bytes and microseconds a point, one core."""

import time

import numpy as np
from tests.onnx_files import mean_model

from tocsin.detect.registry import build, detectors
from tocsin.model.detection import Step

SERIES, WARM, MEASURED = 100, 300, 20
NEEDS = {"threshold": {"above": 18.0}, "onnx": {"model": mean_model(12, centre=50.0)}}


def costs(name):
    """Bytes a series, and microseconds to score and learn, and to give a band."""
    detector = build(name, NEEDS.get(name, {}))
    rows, noise = np.arange(SERIES, dtype="i4"), np.random.default_rng(1)
    spent = np.zeros(3)
    for k in range(WARM + MEASURED):
        step = Step(rows, np.full(SERIES, k * 60 * 10**9), 50 + noise.normal(size=SERIES))
        marks = [time.process_time()]
        detector.score(step)
        marks.append(time.process_time())
        detector.learn(step, np.ones(SERIES))
        marks.append(time.process_time())
        if k >= WARM - 1:
            detector.expect(step)
            marks.append(time.process_time())
        if k >= WARM:
            spent += np.diff(marks)
    score, learn, band = spent / (SERIES * MEASURED) * 1e6
    return detector.row_bytes(), score, learn, band


def main():
    for name in detectors():
        row_bytes, score, learn, band = costs(name)
        print(f"{name} | {row_bytes:,} B | score {score:.2g} us, learn {learn:.2g} us, band {band:.2g} us")


if __name__ == "__main__":
    main()
