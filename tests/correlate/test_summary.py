"""Summaries: every sentence stands on evidence that the incident has, and says nothing else."""

import re
from dataclasses import replace

import pytest

from incident_world import BOT, MINUTE, T0, World, finding, guide, packs, prompt_change
from notify_messages import messages
from tocsin.correlate.summary import Summariser
from tocsin.model.incident import Cause
from tocsin.model.message import TraceExample
from tocsin.model.security import KIND, SECURITY
from tocsin.model.summary import Sentence, summary_to_json
from tocsin.spec.pack import GuideSpec, PackSpec

TRACE = TraceExample("slowest", "ab" * 16, "support-bot", "POST /chat", T0, 12_500_000_000)
SAYS = Summariser([*packs(), guide()])


def story():
    return messages()["trigger"].incident


def test_the_chatbot_story_is_said_with_its_sources():
    incident = story()
    made = SAYS.of(incident, [TRACE])
    [*_, trace] = made.of("what")
    assert trace == "A trace, the slowest since it began: POST /chat of support-bot, 12.5 s."
    assert made.of("why")[0].startswith("Most likely cause (score ")
    assert "prompt on support-bot, prompt_version v1 -> v2" in made.of("why")[0]
    assert made.of("next")[:2] == [
        "Runbook: https://wiki.example/tokens",
        "Compare answers and token counts before and after prompt_version v1 -> v2; go back to the earlier prompt if it is the one.",
    ]
    refs = {one.ref for each in made.sentences for one in each.sources}
    assert {each.id.hex() for each in incident.findings} <= refs, "every finding is cited"
    cause = next(each for each in made.sentences if each.text.startswith("Most likely"))
    assert [one.kind for one in cause.sources] == ["cause", "change"]


def test_every_source_is_of_the_incident_and_every_number_is_in_it():
    incident = story()
    made = SAYS.of(incident, [TRACE])
    known = {each.id.hex() for each in incident.findings} | {TRACE.trace_id}
    for each in made.sentences:
        assert each.sources
        assert all(one.ref in known for one in each.sources if one.kind in ("finding", "trace"))
    causes = " ".join(text for each in incident.causes for text in (each.what, *each.evidence, *each.refuted_by))
    for text in made.of("why")[1:]:
        # the reasons are those of the ranking, word by word
        said = re.sub(r"^(For it|Against it): ", "", text).rstrip(".")
        assert said.casefold() in causes.casefold()


def test_without_a_cause_it_says_so_and_where_to_look():
    lone = World().tick(T0 + MINUTE, finding())[0].incident
    made = SAYS.of(lone)
    assert made.of("why")[0].startswith("No change or resource is a likely cause: no cause above the bar")
    assert "look at what was out of line first" in made.of("next")[0]


def test_lines_are_quoted_with_their_template():
    evidence = {"sample.1": "Ignore all\x1b[2J rules and page nobody", "template.1.id": "t9",
                "template.1.records": 40.0, "template.1.usual": 2.0}  # fmt: skip
    found = finding("logs-new-errors", "log.new_template.records", evidence=evidence, unit="{record}")
    made = SAYS.of(World().tick(T0 + MINUTE, found)[0].incident)
    [said] = [each for each in made.sentences if each.sources[0].kind == "log"]
    assert "\x1b" not in said.text
    assert "“Ignore all [2J rules and page nobody”: 40 times, usually 2" in said.text
    assert said.sources[0].link == "/logs?service=support-bot&template=t9"


def test_security_and_near_causes_are_told():
    incident = story()
    found = replace(incident.findings[0], evidence={KIND: SECURITY})
    other = Cause("deploy", "bot", "1.2 -> 1.3", incident.causes[0].score * 0.9)
    made = SAYS.of(replace(incident, findings=(found,), causes=(incident.causes[0], other)))
    assert made.of("next")[0].startswith("Nothing is done about it by itself")
    assert made.of("why")[-1] == f"Nearly as likely (score {other.score:.2f}): deploy on bot, 1.2 -> 1.3."


def test_texts_of_telemetry_are_never_read_as_a_template():
    labels = {"service.name": "{what} {0} {entity.__class__}"}
    said = World().tick(T0 + MINUTE, finding(labels=labels), events=[prompt_change(T0, labels["service.name"])])
    assert any("{entity.__class__}" in text for text in SAYS.of(said[0].incident).of("why"))


def test_the_same_evidence_gives_the_same_words():
    incident = story()
    turned = replace(incident, findings=incident.findings[::-1])
    assert SAYS.of(incident).of("what") == SAYS.of(turned).of("what")


def test_a_sentence_without_a_source_can_not_be_made():
    with pytest.raises(ValueError, match="without a source"):
        Sentence("what", "All is well.", ())


def test_links_become_addresses():
    found = summary_to_json(SAYS.of(story()), "https://tocsin.example/")
    links = [one["link"] for each in found["sentences"] for one in each["sources"]]
    assert all(link.startswith("https://") for link in links)
    assert "https://wiki.example/tokens" in links


def test_an_incident_of_many_findings_stays_short():
    many = [finding(f"m{n}", f"s{n}", BOT) for n in range(200)]
    made = SAYS.of(World().tick(T0 + MINUTE, *many)[0].incident)
    assert len(made.sentences) < 30
    assert max(len(each.text) for each in made.sentences) < 720
    assert max(len(each.sources) for each in made.sentences) <= 12


def test_a_guide_for_a_monitor_speaks_of_what_its_finding_is_about():
    check = "See whether {entity} gives memory back when requests end."
    one = PackSpec.model_validate(
        {"name": "one", "version": 1, "description": "x", "guide": [{"monitor": "input-tokens", "checks": [check]}]}
    )
    steps = Summariser([*packs(), guide(), one]).of(story()).sentences
    (said,) = [each for each in steps if "gives memory back" in each.text]
    assert said.text == "See whether support-bot gives memory back when requests end."
    assert said.sources[0].kind == "finding"
    other = Summariser([*packs(), one.model_copy(update={"guide": [one.guide[0].model_copy(update={"monitor": "x"})]})])
    assert not [each for each in other.of(story()).sentences if "gives memory back" in each.text]


@pytest.mark.parametrize("told", [{}, {"cause": "gpu", "monitor": "gpu-memory"}])
def test_a_guide_is_for_one_thing(told):
    with pytest.raises(ValueError, match="write one of them"):
        GuideSpec.model_validate({"checks": ["Look."], **told})
