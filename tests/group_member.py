"""A worker that does nothing but take its time: what a consumer group itself costs when a member dies, leaves or comes.

It loads (sleeps) for each partition it is given, goes on from the offset committed last, sleeps what folding would take,
and commits as often as a worker takes snapshots. Each record is told on stdout: when it was folded, its partition, its
offset, and when it was written.
"""

import json
import signal
import sys
import time

from confluent_kafka import Consumer, KafkaException


def main():
    told = json.loads(sys.argv[1])
    consumer = Consumer({
        "bootstrap.servers": told["bootstrap"],
        "group.id": told["group"],
        "session.timeout.ms": int(told["session_s"] * 1000),
        "heartbeat.interval.ms": int(told["heartbeat_s"] * 1000),
        "partition.assignment.strategy": "cooperative-sticky",
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "fetch.wait.max.ms": 50,
        "log_level": 0,
    })  # fmt: skip
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))

    def given(_, partitions):
        time.sleep(told["restore_s"] * len(partitions))
        consumer.incremental_assign(partitions)

    def taken(_, partitions):
        time.sleep(told["save_s"] * len(partitions))
        commit()

    def commit():
        try:
            consumer.commit(asynchronous=False)
        except KafkaException:  # nothing to commit, or the partitions are gone
            return

    consumer.subscribe([told["topic"]], on_assign=given, on_revoke=taken)
    last = time.monotonic()
    while not ended:
        messages = [each for each in consumer.consume(told["batch"], told["poll_s"]) if each.error() is None]
        time.sleep(len(messages) / told["service_per_s"])
        now = time.time()
        for each in messages:
            sys.stdout.write(f"{now:.3f} {each.partition()} {each.offset()} {each.timestamp()[1] / 1000:.3f}\n")
        sys.stdout.flush()
        if time.monotonic() - last > told["snapshot_every_s"]:
            last = time.monotonic()
            commit()
    consumer.close()


if __name__ == "__main__":
    main()
