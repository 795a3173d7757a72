"""C9 and H8: one variant of a model gets slow alone; half of its traffic moves to a stable one, is proven, or is taken back."""

import json

import numpy as np
import pytest

from acceptance.remedy_house import GREEN, Answers, House
from acceptance.stack import SECOND, play
from ticket_peers import JiraPeer, served
from tocsin.spec.packs import load_packs

pytestmark = pytest.mark.acceptance

STEP_S = 60
VARIANTS = ("llama-canary", "llama-blue", "stable")
LEARN, SLOW, AFTER = 75, 16, 45
"""Steps of a minute: normal, slow until something is done, and after that at most."""
CONFIG = """
monitors:
  - name: variant-p95
    signal: gen_ai.server.request.duration
    by: [service.name, gen_ai.request.model, http.route]
    aggregate: p95
    window: {{size: 15m, step: 1m, min_samples: 15}}
    detect: {{baseline: {{}}}}
    direction: up
    clear: 1m
    impact: {{users: high, revenue: high}}
  - {{name: cpu, signal: system.cpu.utilization, detect: {{threshold: {{above: 95%}}}}}}
destinations:
  - {{name: channel, type: slack, token: xoxb-1, channel: "#ml", url: "{slack}/api/chat.postMessage", allow: [127.0.0.0/8]}}
  - {{name: oncall, type: pagerduty, routing_key: R, url: "{pager}/v2/enqueue", allow: [127.0.0.0/8]}}
  - {{name: ticket, type: jira, url: "{jira}", project: OPS, email: a@b.c, token: T, allow: [127.0.0.0/8]}}
routes: [{{match: {{}}, to: [channel, oncall], cooldown: 0s}}]
context: [{{name: acme, type: status_page, url: "{status}/api/v2/summary.json", allow: [127.0.0.0/8]}}]
remediation: {{enabled: true}}
playbooks:
  - name: shift-traffic
    when: {{monitor: variant-p95, rise: 200%}}
    require:
      - {{signal: system.cpu.utilization, where: {{service.name: serving}}, below: 85%}}
      - {{signal: system.memory.utilization, where: {{service.name: serving}}, below: 90%}}
      - {{provider: acme}}
    conclusion: model-specific degradation
    approved: true
    action: {{type: traffic_weight, url: "{mesh}/weights", secret: s3, variant: "${{gen_ai.request.model}}", factor: 0.5, fallback: stable, allow: [127.0.0.0/8]}}
    verify: {{after: 30m, else: rollback, control: {{gen_ai.request.model: "llama-*"}}}}
    tell: [ticket]
"""


class Mesh:
    """Gives traffic to variants by weight; a key that it has seen it takes for done."""

    def __init__(self):
        self.weights = {"llama-canary": 40.0, "llama-blue": 20.0, "stable": 40.0}
        self.seen = set()
        self.history = []

    def reply(self, method, path, headers, told):
        key = headers["idempotency-key"]
        if key not in self.seen:
            self.seen.add(key)
            factor = told["factor"] if told["operation"] == "apply" else 1 / told["factor"]
            before = self.weights[told["variant"]]
            self.weights[told["variant"]] = before * factor
            self.weights[told["fallback"]] += before - before * factor
            self.history.append((told["operation"], dict(self.weights)))
        return 200, {"weights": self.weights}


class Scene:
    """All peers, and the world whose latency depends on what is done."""

    def __init__(self, path, jira_url, *, fixes, cpu=0.45, status=GREEN):
        self.mesh, self.fixes, self.cpu = Mesh(), fixes, cpu
        self.peers = {
            "mesh": Answers(self.mesh.reply),
            "slack": Answers(lambda *_: (200, {"ok": True, "ts": "17.1"})),
            "pager": Answers(lambda *_: (202, {"status": "success"})),
            "status": Answers(lambda *_: (200, status)),
        }
        urls = {name: each.url for name, each in self.peers.items()}
        packs = [each for each in load_packs() if each.status_pages]
        self.house = House(path, CONFIG.format(**urls, jira=jira_url), packs)
        self.rng = np.random.default_rng(9)
        self.minute = 0

    async def pass_minute(self):
        """Six calls of each variant and a reading of the platform, then a minute passes."""
        now = self.house.clock.now()
        points = [("system.cpu.utilization", (), now, self.cpu), ("system.memory.utilization", (), now, 0.61)]
        for name in VARIANTS:
            sick = name == "llama-canary" and self.minute >= LEARN
            relieved = self.fixes and self.mesh.weights["llama-canary"] <= 20.0
            scale = 5.0 if sick and not relieved else 1.0
            for k in range(6):
                labels = (("gen_ai.request.model", name), ("http.route", "/v1/chat/completions"))
                value = scale * float(self.rng.normal(1.0, 0.05))
                points.append(("gen_ai.server.request.duration", labels, now + k * 9 * SECOND, value))
        await self.house.batch("serving", points)
        await self.house.pass_by(STEP_S, stored=self.minute >= LEARN - 1)
        self.minute += 1

    async def until(self, done, most):
        for _ in range(most):
            await self.pass_minute()
            if done():
                return
        raise AssertionError([each.log[-1] for each in self.house.state.remedies("main")])

    def remedy(self):
        return next(iter(self.house.state.remedies("main")), None)

    def state(self):
        return self.remedy() and self.remedy().state

    async def close(self):
        await self.house.close()
        for each in self.peers.values():
            each.close()


def scenario(path, story, **rest):
    async def run():
        jira = JiraPeer()
        async with served(jira):
            scene = Scene(path, jira.url, **rest)
            try:
                for _ in range(LEARN):
                    await scene.pass_minute()
                assert scene.house.incidents() == []
                await story(scene, jira)
            finally:
                await scene.close()

    play(run())


def test_c9_a_slow_variant_gives_half_of_its_traffic_to_the_stable_one_and_all_are_told(tmp_path):
    async def story(scene, jira):
        await scene.until(lambda: scene.state() == "verifying", SLOW)
        remedy = scene.remedy()
        ((_, _, headers, body),) = scene.peers["mesh"].got
        # what is asked carries model id, endpoint and the spread of latency, and the platform as it was found
        assert (body["variant"], body["factor"], body["fallback"]) == ("llama-canary", 0.5, "stable")
        told = body["context"]
        assert (told["model"], told["endpoint"]) == ("llama-canary", "/v1/chat/completions")
        assert told["finding"]["rise_ratio"] >= 2
        assert told["distribution"]["before"]["p95"] < 1.3 < 4 < told["distribution"]["now"]["p95"]
        assert {each["signal"]: each["value"] for each in told["platform"]} == {
            "system.cpu.utilization": 0.45, "system.memory.utilization": 0.61,
        }  # fmt: skip
        assert scene.peers["status"].got[-1][1] == "/api/v2/summary.json"
        assert headers["idempotency-key"] == remedy.id
        assert scene.mesh.history == [("apply", {"llama-canary": 20.0, "llama-blue": 20.0, "stable": 60.0})]
        assert remedy.conclusion == "model-specific degradation"
        assert remedy.log[0].what.startswith("model-specific degradation: system.cpu.utilization is normal")
        # the same detector, beside a variant that nobody touched
        await scene.until(lambda: scene.state() != "verifying", AFTER)
        assert scene.state() == "succeeded"
        assert "untouched" in scene.remedy().log[-1].what
        assert len(scene.peers["mesh"].got) == 1
        slack = [json.dumps(body) for *_, body in scene.peers["slack"].got]
        assert any("Done about it" in each and "llama-canary" in each for each in slack)
        assert {body.get("thread_ts") for *_, body in scene.peers["slack"].got[1:]} == {"17.1"}
        pages = [body for *_, body in scene.peers["pager"].got]
        assert {each["dedup_key"] for each in pages} == {remedy.incident_id}
        assert any(
            "model-specific degradation" in str(each["payload"]["custom_details"])
            for each in pages
            if "payload" in each
        )
        (ticket,) = jira.issues.values()
        text = json.dumps([ticket["description"], ticket["comments"]])
        for part in (
            f"/incidents/{remedy.incident_id}",
            "Done about it",
            "times 0.5, the rest to stable",
            "Find out why",
        ):
            assert part in text, part
        assert scene.house.state.verify_audit() == len(scene.remedy().log)

    scenario(tmp_path, story, fixes=True)


@pytest.mark.soak
def test_h8_a_fix_that_does_not_help_is_taken_back(tmp_path):
    async def story(scene, jira):
        await scene.until(lambda: scene.state() == "rolled_back", SLOW + AFTER)
        assert [operation for operation, _ in scene.mesh.history] == ["apply", "undo"]
        assert scene.mesh.weights == {"llama-canary": 40.0, "llama-blue": 20.0, "stable": 40.0}
        assert any("variant-p95 is still out of line" in each.what for each in scene.remedy().log)
        assert "taken back" in json.dumps(next(iter(jira.issues.values()))["comments"])

    scenario(tmp_path, story, fixes=False)


@pytest.mark.soak
@pytest.mark.parametrize(
    ("world", "said"),
    [
        ({"cpu": 0.93}, "0.93 is not below 85.0%"),
        (
            {"status": {**GREEN, "components": [{"id": "1", "name": "API", "status": "major_outage"}]}},
            "API is major_outage",
        ),
    ],
)
def test_c9_a_busy_platform_or_a_provider_in_trouble_holds_it_back(tmp_path, world, said):
    async def story(scene, jira):
        await scene.until(lambda: scene.state() == "held", SLOW)
        assert said in scene.remedy().log[-1].what
        assert scene.peers["mesh"].got == []

    scenario(tmp_path, story, fixes=False, **world)
