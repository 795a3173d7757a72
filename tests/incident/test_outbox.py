import asyncio
from contextlib import asynccontextmanager

import pytest

from incident_world import MINUTE, SECOND, T0, World, finding
from tocsin.incident import outbox as outbox_module
from tocsin.incident.outbox import Outbox, backoff_ns
from tocsin.incident.policy import Policy
from tocsin.model.clock import ManualClock
from tocsin.model.destination import Receipt
from tocsin.model.errors import Refused, Retryable, Unreachable
from tocsin.model.transition import Transition
from tocsin.spec.destination import RouteSpec
from tocsin.store.state import StateStore

NOW = T0 + MINUTE


class Spy:
    """A destination that answers as told: an exception, a receipt, or an event to wait for."""

    resend_s = 0.0

    def __init__(self, name, *answers):
        self.name = name
        self.answers = list(answers)
        self.got = []
        self.closed = False

    async def send(self, message, thread, now):
        self.got.append((message.action, thread))
        answer = self.answers.pop(0) if self.answers else Receipt("ok")
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, asyncio.Event):
            await answer.wait()
            return Receipt("at last")
        return answer

    async def close(self):
        self.closed = True


class Desk:
    """A state store, a clock, and an incident whose steps are committed with their messages."""

    def __init__(self, path, *names, dry_run=False):
        self.store = StateStore(f"sqlite:///{path}/state.db")
        self.clock = ManualClock(NOW)
        self.policy = Policy([RouteSpec(to=list(names), cooldown=0)], dry_run=dry_run)
        self.incident = World().tick(NOW, finding())[0].incident
        self.offset = 0

    def step(self, action):
        self.offset += 1
        step = Transition(action, self.incident, self.clock.now(), self.offset)
        messages = self.policy.fold([step], self.clock.now(), tick=False)
        self.store.commit("incidents", self.offset, incidents=[self.incident], messages=messages)
        return messages

    def states(self, name):
        pages = self.store.pages("main", self.incident.id)
        return [(page.message.action, page.state) for page in pages if page.message.destination == name]

    def error(self):
        return self.store.pages("main", self.incident.id)[-1].last_error


@asynccontextmanager
async def outbox(desk, *destinations, **rest):
    box = Outbox(desk.store, {each.name: each for each in destinations}, desk.clock, **rest)
    try:
        yield box
    finally:
        await box.close()
        desk.store.close()


async def delivered(box):
    await box.drain()
    await box.idle()


def test_what_is_due_is_sent_once(tmp_path):
    async def scene():
        desk, hook = Desk(tmp_path, "hook"), Spy("hook")
        async with outbox(desk, hook) as box:
            desk.step("open")
            await delivered(box)
            await delivered(box)
            assert hook.got == [("trigger", "")]
            assert desk.states("hook") == [("trigger", "sent")]
            assert box.health["hook"].sent == 1
        assert hook.closed

    asyncio.run(scene())


def test_a_dead_destination_delays_nobody(tmp_path):
    async def scene():
        hang = asyncio.Event()
        desk, dead, good = Desk(tmp_path, "dead", "good"), Spy("dead", hang), Spy("good")
        async with outbox(desk, dead, good) as box:
            for action in ("open", "update", "resolve"):
                desk.step(action)
                await box.drain()
                await box._queues["good"].join()  # ends only if the hanging one is in nobody's way
                desk.clock.advance(SECOND)
            assert [action for action, _ in good.got] == ["trigger", "update", "resolve"]
            assert len(dead.got) == 1
            hang.set()
            await box.idle()
            assert [action for action, _ in dead.got] == ["trigger", "resolve"]

    asyncio.run(scene())


def test_failures_are_tried_again_with_growing_waits(tmp_path):
    async def scene():
        desk, hook = Desk(tmp_path, "hook"), Spy("hook", Retryable("503"), Retryable("503"))
        async with outbox(desk, hook) as box:
            desk.step("open")
            await delivered(box)
            assert desk.states("hook") == [("trigger", "pending")]
            assert (desk.error(), box.health["hook"].last_error) == ("503", "503")
            desk.clock.advance(SECOND - 1)
            await delivered(box)
            assert len(hook.got) == 1
            desk.clock.advance(1)
            await delivered(box)
            assert len(hook.got) == 2
            desk.clock.advance(SECOND)
            await delivered(box)
            assert len(hook.got) == 2
            desk.clock.advance(SECOND)
            await delivered(box)
            assert desk.states("hook") == [("trigger", "sent")]
            assert box.health["hook"].failing_since == 0

    asyncio.run(scene())


def test_retry_after_is_honoured(tmp_path):
    async def scene():
        desk, hook = Desk(tmp_path, "hook"), Spy("hook", Retryable("429", retry_after_s=60))
        async with outbox(desk, hook) as box:
            desk.step("open")
            await delivered(box)
            desk.clock.advance(59 * SECOND)
            await delivered(box)
            assert len(hook.got) == 1
            desk.clock.advance(SECOND)
            await delivered(box)
            assert len(hook.got) == 2

    asyncio.run(scene())


def test_backoff_grows_to_its_limit_without_overflow():
    waits = [backoff_ns(n) for n in range(1, 200)]
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (SECOND, 300 * SECOND)


@pytest.mark.parametrize("error", [Refused("no"), RuntimeError("a bug")])
def test_what_is_refused_or_broken_is_given_up_and_shown(tmp_path, error):
    async def scene():
        desk, hook = Desk(tmp_path, "hook"), Spy("hook", error)
        async with outbox(desk, hook) as box:
            desk.step("open")
            await delivered(box)
            assert desk.states("hook") == [("trigger", "failed")]
            assert str(error) in desk.error()
            assert box.health["hook"].failed == 1
            desk.step("update")
            await delivered(box)
            assert desk.states("hook")[-1] == ("update", "sent")  # the worker lives on

    asyncio.run(scene())


def test_a_message_is_given_up_after_the_stated_time(tmp_path):
    async def scene():
        desk, hook = Desk(tmp_path, "hook"), Spy("hook", *[Retryable("down")] * 9)
        async with outbox(desk, hook, give_up_ns=10 * SECOND) as box:
            desk.step("open")
            for _ in range(5):
                await delivered(box)
                desk.clock.advance(5 * SECOND)
            assert desk.states("hook") == [("trigger", "failed")]
            assert "given up after 3 attempts: down" in desk.error()

    asyncio.run(scene())


def test_dry_runs_are_recorded_and_never_sent(tmp_path):
    async def scene():
        desk, hook = Desk(tmp_path, "hook", dry_run=True), Spy("hook")
        async with outbox(desk, hook) as box:
            desk.step("open")
            await delivered(box)
            assert hook.got == []
            assert desk.states("hook") == [("trigger", "dropped")]
            assert desk.error() == "dry run"

    asyncio.run(scene())


def test_a_later_notice_overtakes_one_that_waits(tmp_path):
    async def scene():
        desk, hook = Desk(tmp_path, "hook"), Spy("hook", Retryable("down", retry_after_s=60))
        async with outbox(desk, hook) as box:
            desk.step("open")
            await delivered(box)
            desk.clock.advance(5 * SECOND)
            desk.step("resolve")
            await delivered(box)
            desk.clock.advance(60 * SECOND)
            await delivered(box)
            assert hook.got == [("trigger", ""), ("resolve", "")]
            assert desk.states("hook") == [("trigger", "dropped"), ("resolve", "sent")]

    asyncio.run(scene())


def test_order_holds_across_a_restart(tmp_path):
    async def scene():
        desk, hook = Desk(tmp_path, "hook"), Spy("hook", Retryable("down", retry_after_s=60))
        async with outbox(desk, hook) as box:
            desk.step("open")
            await delivered(box)
            desk.clock.advance(5 * SECOND)
            desk.step("resolve")
            await delivered(box)
            again = Outbox(desk.store, {"hook": hook}, desk.clock)
            desk.clock.advance(60 * SECOND)
            await delivered(again)
            await again.close()
            assert desk.states("hook") == [("trigger", "dropped"), ("resolve", "sent")]

    asyncio.run(scene())


def test_what_was_claimed_and_never_attempted_comes_again(tmp_path):
    async def scene():
        desk, hook = Desk(tmp_path, "hook"), Spy("hook")
        async with outbox(desk, hook) as box:
            desk.step("open")
            assert len(desk.store.claim(desk.clock.now())) == 1  # a process that died right after
            await delivered(box)
            assert hook.got == []
            desk.clock.advance(5 * MINUTE)
            await delivered(box)
            assert hook.got == [("trigger", "")]

    asyncio.run(scene())


def test_what_a_full_queue_can_not_take_is_neither_read_again_and_again_nor_lost(tmp_path, monkeypatch):
    monkeypatch.setattr(outbox_module, "QUEUE", 2)

    async def scene():
        never = asyncio.Event()
        desk, hook, other = Desk(tmp_path, "hook", "other"), Spy("hook", never), Spy("other")
        read = []
        claim = desk.store.claim
        desk.store.claim = lambda *a, **k: read.append(len(found := claim(*a, **k))) or found
        async with outbox(desk, hook, other) as box:
            for _ in range(6):
                desk.clock.advance(SECOND)
                desk.incident = World().tick(NOW, finding())[0].incident
                desk.step("update")
                await box.drain()
                await box.idle("other")
            assert len(other.got) == 6
            assert len(hook.got) == 1
            # the first is on its way and two wait: from then on only the other's are read
            assert read[-2:] == [1, 1]
            attempts = [each.message.attempts for each in desk.store.pages("main", desk.incident.id)]
            never.set()
            for _ in range(4):
                desk.clock.advance(5 * MINUTE)
                await delivered(box)
            assert [state for _, state in desk.states("hook")].count("pending") == 0
            assert max(attempts) == 1

    asyncio.run(scene())


def test_the_thread_of_the_first_notice_is_kept(tmp_path):
    async def scene():
        desk, slack = Desk(tmp_path, "slack"), Spy("slack", Receipt("ok", "17.5"))
        async with outbox(desk, slack) as box:
            for action in ("open", "update", "resolve"):
                desk.step(action)
                await delivered(box)
                desk.clock.advance(SECOND)
            assert slack.got == [("trigger", ""), ("update", "17.5"), ("resolve", "17.5")]

    asyncio.run(scene())


def test_a_destination_that_is_gone_is_said_so(tmp_path):
    async def scene():
        desk = Desk(tmp_path, "gone")
        async with outbox(desk, Spy("hook")) as box:
            desk.step("open")
            await delivered(box)
            assert desk.states("gone") == [("trigger", "failed")]
            assert "no destination is called 'gone'" in desk.error()

    asyncio.run(scene())


def test_run_delivers_when_woken(tmp_path):
    async def scene():
        sent = asyncio.Event()

        class Telling(Spy):
            async def send(self, message, thread, now):
                sent.set()
                return await super().send(message, thread, now)

        desk, hook = Desk(tmp_path, "hook"), Telling("hook")
        box = Outbox(desk.store, {"hook": hook}, desk.clock)
        task = asyncio.create_task(box.run(poll_s=3600))
        desk.step("open")
        box.wake()
        await sent.wait()
        await box.idle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert hook.closed
        desk.store.close()

    asyncio.run(scene())


def test_what_was_sent_is_written_down_when_the_store_is_back_and_not_sent_again(tmp_path, monkeypatch):
    monkeypatch.setattr("tocsin.incident.outbox.SETTLE_AGAIN_S", 0.01)

    async def scene():
        desk, hook = Desk(tmp_path, "hook"), Spy("hook")
        settle, failures = desk.store.settle, [Unreachable("locked")] * 3

        def shaky(*args, **rest):
            if failures:
                raise failures.pop()
            settle(*args, **rest)

        desk.store.settle = shaky
        async with outbox(desk, hook) as box:
            desk.step("open")
            await delivered(box)
            assert desk.states("hook") == [("trigger", "sent")]
            desk.clock.advance(5 * MINUTE)
            await delivered(box)
            assert len(hook.got) == 1

    asyncio.run(scene())


def test_nothing_is_claimed_where_another_process_sends(tmp_path):
    async def scene():
        desk, hook = Desk(tmp_path, "hook"), Spy("hook")
        terms = iter([0, 1, 1])
        box = Outbox(desk.store, {"hook": hook}, desk.clock, term=lambda: next(terms))
        desk.step("open")
        assert await box.drain() == 0
        assert await box.drain() == 1
        await box.idle()
        assert desk.states("hook") == [("trigger", "sent")]
        await box.close()
        desk.store.close()

    asyncio.run(scene())
