"""C16: an agent that repeats itself is named within a minute of its third identical call, before its run ends."""

import pytest

from acceptance.llm_spans import SECOND, Spans, chat, tool
from acceptance.stack import Stack, play
from tocsin.spec.packs import load_packs

pytestmark = pytest.mark.acceptance

RUN = "run.id"


async def travel_agent(path):
    """Two agents at work: one asks for different flights, the other for the same one over and over."""
    stack = Stack(path, packs=[pack for pack in load_packs() if pack.name.startswith("genai")])
    spans = Spans("travel-agent")
    calls, named_after, verdicts = 0, None, []
    try:
        for second in range(1, 130):
            now = stack.clock.now()
            if second % 20 == 0:
                calls += 1
                for run, to in (("good", f"CITY{calls}"), ("stuck", "ROM")):
                    told = {RUN: run, "gen_ai.agent.name": "booking"}
                    spans.add("chat", now, chat(cost=0.01, **told), trace=1 if run == "good" else 2)
                    spans.add("tool", now, tool("search_flights", f'{{"to": "{to}"}}', **told), trace=calls)
                await spans.send(stack)
            if calls == 3 and second % 20 == 0:
                third = now
            await stack.second()
            if stack.incidents() and named_after is None:
                named_after = (stack.clock.now() - third) / SECOND
            verdicts.append(stack.runner.pipeline.calls.verdict("main", "stuck")["verdict"])
        good, stuck = (stack.runner.pipeline.calls.verdict("main", run) for run in ("good", "stuck"))
        return named_after, verdicts, good, stuck, stack.incidents()
    finally:
        await stack.close()


def test_c16_a_looping_agent_is_named_within_sixty_seconds_of_its_third_identical_call(tmp_path):
    named_after, verdicts, good, stuck, incidents = play(travel_agent(tmp_path))
    assert named_after is not None
    assert named_after <= 60, named_after
    assert verdicts[:60] == ["unknown"] * verdicts.index("ok") + ["ok"] * (60 - verdicts.index("ok"))
    assert "stop" in verdicts[60 : 60 + 30]
    assert good["verdict"] == "ok"
    assert (good["calls"], good["tool_calls"]) == (10, 5)
    assert good["cost_usd"] == pytest.approx(0.05)
    assert stuck["verdict"] == "stop"
    assert stuck["reasons"][0]["monitor"] == "agent-loop"
    assert "search_flights" in stuck["reasons"][0]["what"]
    (incident,) = incidents
    (finding,) = incident.findings
    assert finding.monitor == "agent-loop"
    assert finding.evidence["tool"] == "search_flights"
    assert finding.evidence["run"] == "stuck"
    assert "travel-agent" in incident.title
    assert "ROM" not in str(incident)
