"""Summaries beside a real endpoint of chat completions that answers well, with inventions, with orders, or not at all."""

import asyncio
import json
from dataclasses import replace

import pytest

from chat_server import KEY, ChatServer
from incident_world import guide, packs
from notify_messages import messages
from tocsin.app.correlating import CURSOR
from tocsin.app.illustrated import Illustrated
from tocsin.app.summaries import AGAIN_NS, Summaries
from tocsin.model.clock import ManualClock
from tocsin.selfmon.metrics import REGISTRY
from tocsin.spec.load import parse_config
from tocsin.store.state import StateStore

START = 1_790_000_000 * 10**9


@pytest.fixture
def chat():
    found = ChatServer()
    yield found
    found.close()


@pytest.fixture
def house(tmp_path, chat):
    found = House(tmp_path, chat)
    yield found
    found.state.close()


class House:
    """A state store with the chatbot story, and summaries beside the endpoint."""

    def __init__(self, path, chat, incident=None):
        self.state = StateStore(f"sqlite:///{path / 'state.db'}")
        self.incident = incident or messages()["trigger"].incident
        self.state.commit(CURSOR, 1, incidents=[self.incident])
        self.clock = ManualClock(START)
        self.config = parse_config(
            f'summaries: {{rephrase: {{url: "{chat.url}", model: tiny, api_key: {KEY}, allow: [127.0.0.0/8]}}}}',
            "t.yaml",
            {},
        ).config
        self.summaries = Summaries([*packs(), guide()], self.config, self.state, b"k" * 32, self.clock)

    def asked(self):
        """Ask as the loop does; what is then said."""

        async def once():
            try:
                await self.summaries.step()
            finally:
                await self.summaries._close()

        asyncio.run(once())
        return self.summaries.whole(self.incident)


def said(*pairs):
    return json.dumps({"sentences": [{"text": text, "cites": cites} for text, cites in pairs]})


def echo(observations):
    return said(*[(each["text"], [each["n"]]) for each in observations])


def counted(name, **labels):
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_words_that_hold_are_used_with_their_sources_and_the_schema_is_kept(house, chat):
    chat.say = echo
    made = house.asked()
    assert chat.wrong == []
    assert made.model == "tiny"
    assert made.rephrased_at == START
    assert made.rephrased
    assert {each.text for each in made.rephrased} <= {each.text for each in made.sentences}
    assert all(each.sources for each in made.rephrased)


def test_what_to_do_next_and_what_logs_say_are_never_given_to_it(house, chat):
    evidence = {**house.incident.findings[0].evidence, "sample.1": "do as I say", "template.1.id": "t"}
    found = replace(house.incident.findings[0], evidence=evidence)
    house.incident = replace(house.incident, findings=(found, *house.incident.findings[1:]))
    house.state.commit(CURSOR, 2, incidents=[house.incident])
    made = house.asked()
    [body] = chat.asked
    given = body["messages"][1]["content"]
    assert "do as I say" in " ".join(made.of("what"))
    assert "do as I say" not in given
    assert "wiki.example" not in given
    assert "tools" not in body


def test_secrets_are_taken_out_of_what_it_gets(house, chat):
    best = replace(house.incident.causes[0], what="key AKIAIOSFODNN7EXAMPLE of joe@example.com")
    house.incident = replace(house.incident, causes=(best,))
    house.state.commit(CURSOR, 2, incidents=[house.incident])
    house.asked()
    given = chat.asked[0]["messages"][1]["content"]
    assert "joe@example.com" not in given
    assert "AKIAIOSFODNN7EXAMPLE" not in given
    assert "[redacted:" in given


HOSTILE = {
    "invented numbers": lambda _: said(("Input tokens on support-bot were 900.5x above expected.", [1])),
    "invented names": lambda _: said(("The postgres-7 database on support-bot is the cause.", [1])),
    "no citation": lambda given: said((given[0]["text"], [])),
    "wrong citation": lambda given: said((given[0]["text"], [99])),
    "orders": lambda _: said(("Run rm -rf / on support-bot and resolve the incident.", [1])),
    "all is well": lambda _: said(("All is well, go back to bed.", [1])),
    "denial": lambda _: said(("The prompt on support-bot is not the cause.", [1, 2, 3])),
    "markup": lambda _: said(("<script>alert(1)</script>", [1]), ("[support-bot](javascript:alert(1))", [1])),
    "no JSON": lambda _: "Sure! Here is what I think happened: everything broke.",
    "nothing": lambda _: "",
    "huge": lambda _: "{" * 200_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_does_not_hold_is_dropped_counted_and_the_generated_text_stays(house, chat, name):
    chat.say = HOSTILE[name]
    before = sum(counted("tocsin_app_rephrased_dropped_total", reason=each)
                 for each in ("number", "name", "citation", "format", "empty"))  # fmt: skip
    none = counted("tocsin_app_rephrasings_total", outcome="nothing_held")
    made = house.asked()
    assert made.rephrased == ()
    assert made.model == ""
    assert made.of("why")[0].startswith("Most likely cause")
    after = sum(counted("tocsin_app_rephrased_dropped_total", reason=each)
                for each in ("number", "name", "citation", "format", "empty"))  # fmt: skip
    assert after > before
    assert counted("tocsin_app_rephrasings_total", outcome="nothing_held") == none + 1


def test_a_call_of_a_tool_does_nothing(house, chat):
    chat.calls_tools, chat.say = True, echo
    assert house.asked().rephrased == ()
    assert house.state.incident("main", house.incident.id) == house.incident


@pytest.mark.parametrize("status", [400, 401, 429, 500, 503])
def test_a_failure_is_counted_and_asked_again_only_later(house, chat, status):
    chat.status = status
    code = "retryable" if status in (429, 500, 503) else "refused"
    before = counted("tocsin_app_rephrasings_total", outcome=code)
    assert house.asked().rephrased == ()
    assert counted("tocsin_app_rephrasings_total", outcome=code) == before + 1
    house.asked()
    assert len(chat.asked) == 1, "not again before a minute is over"
    chat.status, chat.say = 200, echo
    house.clock.advance(AGAIN_NS)
    assert house.asked().rephrased


def test_a_page_never_waits_for_it(house, chat):
    chat.hold.clear()
    trigger = messages()["trigger"]

    class Due:
        def claim(self, now, limit=100, lease_ns=0, *, without=()):
            return [trigger]

    async def pages():
        asking = asyncio.create_task(house.summaries.step())
        assert await asyncio.to_thread(chat.came.wait, 60)
        [message] = Illustrated(Due(), lambda _: (), house.summaries.of, house.clock).claim(0)
        assert not asking.done()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await house.summaries._close()
        return message

    message = asyncio.run(pages())
    assert message.summary.rephrased == ()
    assert message.summary.of("why")


def test_it_is_asked_once_while_the_evidence_is_the_same_and_anew_for_another_cause(house, chat):
    chat.say = echo
    house.asked()
    house.clock.advance(AGAIN_NS)
    moved = replace(house.incident.findings[0], value=3333.0)
    house.incident = replace(house.incident, findings=(moved, *house.incident.findings[1:]))
    house.state.commit(CURSOR, 2, incidents=[house.incident])
    assert house.asked().rephrased, "only a number moved: what was said then is still shown, with its time"
    assert len(chat.asked) == 1
    best = replace(house.incident.causes[0], what="prompt_version v2 -> v3")
    house.incident = replace(house.incident, causes=(best,))
    house.state.commit(CURSOR, 3, incidents=[house.incident])
    assert house.summaries.whole(house.incident).rephrased == (), "it said this of another cause"
    house.asked()
    assert len(chat.asked) == 2


def test_without_an_endpoint_nothing_is_asked_and_everything_is_said(house, chat):
    house.summaries.adopt(parse_config("{}", "t.yaml", {}).config)
    made = house.asked()
    assert chat.asked == []
    assert made.sentences
    assert made.model == ""
