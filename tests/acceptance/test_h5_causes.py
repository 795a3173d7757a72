"""H5: from a prompt's version, and from a GPU's heat, to users who wait: one incident each, whose cause is right.

A bot asks an emulated model server with the prompts of real clients, for longer than an hour. Then a version of its
prompt that is four times as long; or the GPU gets hot, lowers its clock, and makes tokens at a third of the speed.
"""

import numpy as np
import pytest

from llm_world import spans_frame
from serving_world import GPU, House, S, Server, gauge
from tocsin.spec.packs import load_packs

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]

NAMES = {"serving", "vllm", "gpu", "dcgm", "llm_edges", "resources", "prometheus", "families", "genai", "genai_spend"}
EVERY = 30 * S
TIMEOUT_S = 60.0
CALM_CLOCK_MHZ, HOT_CLOCK_MHZ = 1980, 660


class Application(House):
    """The server, and the bot that asks it: each answered request is a span of the bot."""

    version = "v1"
    hot = 0.0

    def __init__(self, packs, server=None):
        super().__init__(packs, server)
        self.others = {"otlp/bot"}

    def alike(self):
        return Application(self.packs)

    def beat(self):
        done, self.server.done = self.server.done, []
        if done:
            self.feed(spans_frame([self.span(each) for each in done]))
        super().beat()

    def span(self, request):
        took = (request.ended - request.asked) / S
        late = took > TIMEOUT_S
        said = {
            "gen_ai.operation.name": "chat", "gen_ai.provider.name": "vllm", "gen_ai.request.model": "llama",
            "gen_ai.response.model": "llama", "gen_ai.prompt.name": "answer", "gen_ai.prompt.version": self.version,
            "gen_ai.usage.input_tokens": request.input_tokens, "gen_ai.usage.output_tokens": request.output_tokens,
            "gen_ai.server.time_to_first_token": (request.begun - request.asked) / S + 0.1,
            "k8s.pod.name": "llama-0", **({"error.type": "timeout"} if late else {}),
        }  # fmt: skip
        return request.ended, said, {"took_s": took + 0.3, "status": "error" if late else "ok"}

    def pages(self):
        pages = super().pages()
        rng = np.random.default_rng([self.now // S, 3])
        clock = CALM_CLOCK_MHZ - (CALM_CLOCK_MHZ - HOT_CLOCK_MHZ) * self.hot
        dcgm = [row for row in pages["dcgm"] if row[0].name != "DCGM_FI_DEV_GPU_TEMP"]
        temperature = 62 + 26 * self.hot + rng.normal(0, 1)
        dcgm += [
            gauge("DCGM_FI_DEV_GPU_TEMP", GPU, round(temperature)),
            gauge("DCGM_FI_DEV_SM_CLOCK", GPU, round(clock + rng.normal(0, 8))),
        ]
        return pages | {"dcgm": dcgm}


@pytest.fixture(scope="module")
def calm():
    house = Application(
        [pack for pack in load_packs() if pack.name in NAMES], Server(5, ("chunk-69",), 0.5, kv_tokens=24_000)
    )
    house.live(4800, every=EVERY)
    assert [each.title for each in house.incidents.values()] == []
    return house, house.freeze()


def test_h5_a_longer_prompt_is_the_cause_of_waiting_users(calm):
    house, frozen = calm
    house = house.after(frozen)
    house.version, house.server.longer = "v2", 4.0
    house.live(1500, every=EVERY)
    (incident,) = house.incidents.values()
    cause = incident.causes[0]
    assert (cause.kind, cause.entity) == ("prompt", "bot")
    monitors = {each.monitor for each in incident.findings}
    assert monitors >= {"prompt-bloat", "genai-time-to-first-token-p95", "vllm-queue", "genai-errors"}
    assert "version v2" in incident.statement


def test_h5_a_hot_gpu_is_the_cause_of_waiting_users(calm):
    house, frozen = calm
    house = house.after(frozen)
    house.hot, house.server.slower = 1.0, 0.33
    house.live(1500, every=EVERY)
    (incident,) = house.incidents.values()
    assert (incident.causes[0].kind, incident.causes[0].entity) == ("gpu", "GPU-1")
    assert {each.monitor for each in incident.findings} >= {"thermal_pressure", "gpu-clock", "genai-latency-p95"}
