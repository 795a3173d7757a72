"""A member of the group of workers: how long it waits for partitions that it lost before it joins the group anew."""

from __future__ import annotations

import contextlib

from tocsin.journal.kafka import feed as feeds
from tocsin.journal.kafka.feed import GroupFeed
from tocsin.journal.kafka.topics import Topics
from tocsin.journal.kafka.writer import TopicWriter

SESSION_S = 6


class Taker:
    """Takes what is given to it, and lets go of what is lost."""

    def assigned(self, partitions):
        return dict.fromkeys(partitions, 0)

    def lost(self, partitions):
        assert partitions == []

    revoked = lost


class Clock:
    """Seconds that pass by hand."""

    now = 1000.0

    def monotonic(self):
        return self.now


def test_one_that_gets_nothing_back_joins_anew_more_and_more_rarely(monkeypatch):
    clock, joined = Clock(), []
    monkeypatch.setattr(feeds, "time", clock)
    monkeypatch.setattr(feeds, "POLL_S", 0.0)
    # nobody answers there: what the group says is told below
    topics = Topics({"bootstrap.servers": "127.0.0.1:1", "log_level": 0})
    with (
        contextlib.closing(TopicWriter(topics.settings)) as writer,
        contextlib.closing(GroupFeed(topics, "engine", 1000 * SESSION_S, writer, "here")) as feed,
    ):

        def rejoin():
            joined.append(clock.now)
            feed._alone_since = clock.now

        def live(seconds):
            for _ in range(seconds):
                clock.now += 1
                feed.poll(Taker(), {})
            return [round(at) for at in joined]

        monkeypatch.setattr(feed, "rejoin", rejoin)
        assert live(100) == []  # a new one waits for what the group says, and a spare one is told of nothing
        feed._lost(feed._consumer, [])
        assert live(100) == [1107, 1120, 1145, 1194]
        assert len(live(3600)) == 4 + 3 + 4  # 1.6, 3.2, 6.4 minutes, then every ten
        feed._assigned(feed._consumer, [])
        feed._lost(feed._consumer, [])
        joined.clear()
        assert live(400) == []  # as patient as before, as it got none
