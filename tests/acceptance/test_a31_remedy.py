"""A31 to its end: what is wrong with the chatbot is put right by playbooks, each approved, proven, or taken back."""

import json

import pytest

from acceptance.chatbot_house import PAST_STEP_S, SERVER, STEP_S, Chatbot, Prompts, serving
from acceptance.remedy_house import Answers
from acceptance.stack import SECOND, play
from kubernetes_peer import RESTARTED, TOKEN
from ticket_peers import served
from tocsin.api.trace_tree import tree_of
from tocsin.correlate.summary import Summariser
from tocsin.model.incident import IncidentState
from tocsin.store.trace_rows import TraceAsked, TraceRows

pytestmark = [pytest.mark.acceptance, pytest.mark.soak]  # its parts: test_d12_told.py, test_c9_variant.py

PAST_S, CALM_S = 9_000, 300
CONFIG = """
monitors:
  - name: slow-answers
    signal: service.request.duration
    by: [service.name]
    aggregate: p95
    window: {{size: 2m, step: 20s, min_samples: 5}}
    detect: {{threshold: {{above: 12s}}}}
    for: 60s
    clear: 60s
    direction: up
    impact: {{users: high}}
destinations:
  - {{name: channel, type: slack, token: xoxb-1, channel: "#ml", url: "{slack}/api/chat.postMessage", allow: [127.0.0.0/8]}}
routes: [{{match: {{}}, to: [channel], cooldown: 0s}}]
remediation:
  enabled: true
  at_once: 3
  kubernetes: {{url: "{cluster}", token: {token}, namespaces: [serving], allow: [127.0.0.0/8]}}
playbooks:
  - name: scale-out
    when: {{monitor: slow-answers, labels: {{service.name: support-bot}}, cause: prompt}}
    action: {{type: scale, namespace: serving, name: model-server, by: 2, most: 4}}
    verify: {{after: 8m, else: rollback, control: {{service.name: billing}}}}
    cooldown: 0s
  - name: free-memory
    when: {{monitor: gpu-memory, labels: {{Hostname: gpu-node-1}}, also: [engine-kv-cache-given-requests]}}
    action: {{type: rolling_restart, namespace: serving, name: model-server, least_ready: 1}}
    verify: {{after: 8m, control: {{Hostname: gpu-node-9}}, better_by: 0.02}}
  - name: earlier-prompt
    when: {{monitor: genai-token-usage, labels: {{gen_ai.token.type: input}}, cause: prompt}}
    action: {{type: webhook, url: "{prompts}/prompts/support-answer/v41", undo: "{prompts}/prompts/support-answer/v42", allow: [127.0.0.0/8]}}
    verify: {{after: 12m, else: rollback, control: {{gen_ai.token.type: output}}}}
"""


class Story:
    """Steps of the story, and what is looked at between them; `slack` is told."""

    def __init__(self, bot, slack):
        self.bot, self.slack = bot, slack
        self.state = bot.house.state

    async def until(self, done, most_s):
        for step in range(most_s // STEP_S):
            await self.bot.pass_by(stored=step % 3 == 0)
            if done():
                return
        said = [
            (each.playbook, each.state, [step.what for step in each.log[-3:]]) for each in self.state.remedies("main")
        ]
        raise AssertionError((said, [each.title for each in self.bot.house.incidents()]))

    def remedies(self, playbook):
        """The oldest first."""
        found = [each for each in self.state.remedies("main") if each.playbook == playbook]
        return sorted(found, key=lambda each: each.created_at)

    def states(self, playbook):
        return [each.state for each in self.remedies(playbook)]

    def say(self, word, playbook, by):
        return self.bot.house.responding.say("main", self.remedies(playbook)[-1].id, word, by=by, note="")

    def incident(self):
        (incident,) = self.bot.house.incidents()
        return incident


async def lived(bot):
    """Hours of ordinary life, two innocent changes, and a prompt that nobody announced."""
    for _ in range(PAST_S // PAST_STEP_S):
        await bot.pass_by(PAST_STEP_S, stored=False)
    assert bot.house.incidents() == []
    await bot.announce("deploy", "billing", "billing 2.14.3")
    for _ in range(CALM_S // STEP_S):
        await bot.pass_by(stored=False)
    await bot.announce("flag", "support-bot", "new-greeting on for 10 %")
    bot.rolled_out_s = bot.now_s


def names_prompt_and_memory(incident):
    assert (incident.causes[0].kind, incident.causes[0].entity) == ("prompt", "support-bot")
    assert "v41 -> v42" in incident.causes[0].what
    monitors = {each.monitor for each in incident.findings}
    assert {"genai-token-usage", "gpu-memory", "engine-kv-cache-given-requests", "vllm-queue"} <= monitors
    assert monitors & {"genai-latency-p50", "genai-latency-p95", "service-latency-p95"}, "beyond its baseline"


async def no_gpu_is_free(story):
    """More replicas that stay pending help nobody: the number is put back, and all is said."""
    bot = story.bot
    bot.gpus_free = False
    await story.until(lambda: story.states("scale-out") == ["waiting"], 1200)
    assert bot.cluster.writes == [], "nothing before a second person said so"
    assert bot.cluster.dry_runs
    story.say("approve", "scale-out", "lena")
    await story.until(lambda: story.states("scale-out") != ["waiting"], 60)
    await story.until(lambda: bot.cluster.objects[SERVER]["spec"]["replicas"] == 3, 60)
    await story.until(lambda: story.states("scale-out") == ["rolled_back"], 1200)
    assert bot.cluster.objects[SERVER]["spec"]["replicas"] == 1
    said = [each.what for each in story.remedies("scale-out")[0].log]
    assert any("slow-answers is still out of line" in each for each in said), "\n".join(said)
    bot.gpus_free = True


async def put_right(story):
    """Two more replicas, a restart of all, and the earlier prompt: each waits for its word, and is proven."""
    bot = story.bot
    again = bot.house.responding.propose("main", story.incident().id, "scale-out", by="lena", note="a GPU is free now")
    await story.until(lambda: story.states("scale-out") == ["rolled_back", "waiting"], 120)
    with pytest.raises(Exception, match="somebody else has to approve it"):
        story.say("approve", "scale-out", "lena")
    for playbook in ("scale-out", "free-memory", "earlier-prompt"):
        assert story.states(playbook)[-1] == "waiting"
        story.say("approve", playbook, "omar")
    names = ("scale-out", "free-memory", "earlier-prompt")
    await story.until(lambda: all(story.states(name)[-1] == "succeeded" for name in names), 1500)
    assert story.state.remedy("main", again.id).proposer == "lena"
    assert bot.cluster.objects[SERVER]["spec"]["replicas"] == len(bot.world.fleet.servers) == 3
    assert bot.cluster.objects[SERVER]["spec"]["template"]["metadata"]["annotations"][RESTARTED]
    assert bot.prompts.asked == [("/prompts/support-answer/v41", story.remedies("earlier-prompt")[0].id)]
    for name in names:
        assert "untouched" in story.remedies(name)[-1].log[-1].what, "beside a control"


def validated_on_the_trace(story, before_s):
    """An engineer compares a trace of while it lasted with one of now: prompt, documents, and where the time goes."""
    rows = TraceRows(story.bot.house.telemetry.db)

    def looked(start_s, end_s):
        asked = TraceAsked(
            int(start_s * SECOND), int(end_s * SECOND), service="support-bot", operation="POST /chat", status="unset"
        )
        trace = rows.search("main", asked)[0]
        tree = tree_of(rows.spans("main", trace["id"])[1])
        longest = max(tree.nodes, key=lambda node: node.path_ns)
        told = [rows.span("main", trace["id"], node.row["span_id"])[0]["attributes"] for node in tree.nodes]
        attributes = {key: value for each in told for key, value in dict(each).items()}
        return attributes, longest.row["name"], longest.path_ns / SECOND

    was, where, slow_s = looked(before_s - 240, before_s)
    now, _, fast_s = looked(story.bot.now_s - 240, story.bot.now_s)
    assert (was["gen_ai.prompt.version"], now["gen_ai.prompt.version"]) == ("v42", "v41")
    assert where.startswith("chat ")
    assert slow_s > 2 * fast_s
    documents = "gen_ai.retrieval.document_count"
    assert int(was[documents]) > 2 * int(now[documents])


async def played(path):
    cluster, prompts, slack = serving(), Prompts(), Answers(lambda *_: (200, {"ok": True, "ts": "17.1"}))
    async with served(cluster):
        config = CONFIG.format(cluster=cluster.url, token=TOKEN, prompts=prompts.server.url, slack=slack.url)
        story = Story(Chatbot(path, config, cluster, prompts, 7), slack)
        try:
            await lived(story.bot)
            await no_gpu_is_free(story)
            names_prompt_and_memory(story.incident())
            before_s = story.bot.now_s
            steps = Summariser(story.bot.house.packs).of(story.incident()).of("next")
            assert any("restart its replicas one after another" in each for each in steps)
            await put_right(story)
            await story.until(lambda: story.incident().state is IncidentState.RESOLVED, 900)
            validated_on_the_trace(story, before_s)
            all_is_told(story)
        finally:
            await story.bot.close()
            prompts.server.close()
            slack.close()


def all_is_told(story):
    """In one thread, and in the ledger."""
    told = [json.dumps(body) for *_, body in story.slack.got]
    assert {body.get("thread_ts") for *_, body in story.slack.got[1:]} == {"17.1"}
    for part in ("taken back", "it helped", "Done about it"):
        assert any(part in each for each in told), part
    remedies = story.state.remedies("main")
    assert len(remedies) == 4
    assert story.state.verify_audit() == sum(len(each.log) for each in remedies)


@pytest.mark.timeout(1000)
def test_a31_what_does_not_help_is_taken_back_and_what_helps_ends_the_one_incident(tmp_path):
    play(played(tmp_path))
