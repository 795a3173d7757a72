"""What a call of the SDK costs its caller, in CPU time of its thread: `python -m tests.sdk_cost`."""

import statistics
import time

from tocsin.sdk.client import Client

CALLS, RUNS = 3_000, 10


def main():
    client = Client("http://127.0.0.1:1", most_rows=10**6, linger_s=60.0, batch_rows=10**9)
    row = {"model": "m", "version": "1", "prediction": "yes", "score": 0.5}
    features = {f"feature_{n}": n * 0.5 for n in range(20)}
    calls = {
        "log": lambda n: client.log(prediction_id=str(n), **row),
        "log, 20 features and 2 tags": lambda n: client.log(
            prediction_id=str(n), **row, features=features, tags={"region": "eu", "team": "x"}
        ),
        "truth": lambda n: client.truth(str(n), True),
    }
    for name, call in calls.items():
        runs = []
        for _ in range(RUNS):
            started = time.thread_time()
            for n in range(CALLS):
                call(n)
            runs.append((time.thread_time() - started) / CALLS * 1e6)
        print(f"{name}: {min(runs):.1f} us at best, {statistics.median(runs):.1f} us in the median")
    client.close(0.0)


if __name__ == "__main__":
    main()
