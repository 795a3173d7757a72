"""What a worker of a fleet says at its own /metrics."""

import urllib.request

from prometheus_client.parser import text_string_to_metric_families

LAG = "tocsin_engine_partition_lag_records"


class WorkerMetrics:
    """Of one worker that was started; make it once."""

    def __init__(self, worker):
        self._url = f"http://127.0.0.1:{int(worker.stdout.readline())}/metrics"

    def total(self, name):
        """Sum of a metric over its labels; waits for a worker that is stopped."""
        with urllib.request.urlopen(self._url, timeout=60) as answer:
            families = list(text_string_to_metric_families(answer.read().decode()))
        found = [sample.value for family in families for sample in family.samples if sample.name == name]
        return sum(found)
