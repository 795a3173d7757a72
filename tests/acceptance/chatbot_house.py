"""The chatbot's world in the house with remediation: what is done in the cluster changes the world, and nothing else does."""

import json

import cramjam
import numpy as np
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource

from acceptance.llm_spans import Spans
from acceptance.remedy_house import Answers, House
from acceptance.stack import SECOND
from kubernetes_peer import APPS, RESTARTED, KubernetesPeer, deployment
from tocsin.demo.bot import World
from tocsin.demo.conditions import FAULTS
from tocsin.demo.engine_page import Family, RemoteWrite, families
from tocsin.demo.meters import ServiceMeters
from tocsin.demo.spans import BotSpans
from tocsin.spec.packs import load_packs

SERVICES = ("support-bot", "api-gateway", "billing")
SERVER_KIND = 2
SERVER = f"{APPS}/namespaces/serving/deployments/model-server"
PROTOBUF = {"content-type": "application/x-protobuf"}
SNAPPY = {**PROTOBUF, "content-encoding": "snappy", "x-prometheus-remote-write-version": "0.1.0"}
PAST_STEP_S, STEP_S = 45, 15
SAMPLE_S = 15
"""How often an engine is read; its histograms are left out: the services' own tell the same, at a tenth of the cost."""
PACKS = frozenset(
    [
        "resources",
        "families",
        "guide",
        "llm_edges",
        "genai",
        "genai_calls",
        "genai_spend",
        "service",
        "logs",
        "vllm",
        "serving",
        "dcgm",
    ]
)
"""Those that know what is in this world; with all of them the story up to its incident is told by `tocsin demo`."""
EMBEDDER = (("Hostname", "gpu-node-9"), ("UUID", "GPU-embedder"), ("gpu", "0"), ("modelName", "NVIDIA L4"))


def serving():
    """A cluster with one replica of the model server."""
    return KubernetesPeer().add(deployment("model-server", replicas=1))


class Prompts:
    """A registry of prompts, over HTTP: which version is in use."""

    def __init__(self):
        self.version, self.asked = "v42", []
        self.server = Answers(self._reply)

    def _reply(self, _method, path, headers, _told):
        self.asked.append((path, headers["idempotency-key"]))
        self.version = path.rsplit("/", 1)[-1]
        return 200, {"version": self.version}


class Aside:
    """What nobody touches: another service, traced too, and the GPU of a model that makes embeddings."""

    def __init__(self, seed):
        self._rng = np.random.default_rng([seed, 0xA51])
        self._spans, self._write, self._traces = Spans("billing"), RemoteWrite("embedder:9400"), 0

    async def tell(self, house, now_s, step_s):
        for at_s in sorted(now_s - step_s * self._rng.random(self._rng.poisson(0.06 * step_s))):
            self._traces += 1
            took_s = float(self._rng.lognormal(-3.2, 0.45))
            asked = {"http.request.method": "GET", "http.route": "/invoices", "http.response.status_code": 200}
            self._spans.add(
                "GET /invoices", int(at_s * SECOND), asked, trace=self._traces, took_s=took_s, kind=SERVER_KIND
            )
        await self._spans.send(house)
        used = [("", EMBEDDER, round(9_120 + self._rng.normal(0, 3)))]
        self._write.add([Family("DCGM_FI_DEV_FB_USED", "gauge", used)], round(now_s * 1000))
        return self._write.take()


class Chatbot:
    """The demo's world, its cluster, its registry of prompts, and Tocsin watching it."""

    def __init__(self, path, config, cluster, prompts, seed):
        self.house = House(path, config, [pack for pack in load_packs() if pack.name in PACKS])
        self.cluster, self.prompts = cluster, prompts
        self.world = World(seed, self.now_s)
        resources = {
            name: Resource(
                {"service.name": name, "service.instance.id": f"{name}-0", "deployment.environment.name": "demo"}
            )
            for name in SERVICES
        }
        self._spans, self._meters = BotSpans(resources["support-bot"], seed), ServiceMeters(resources)
        self._writes, self._turns, self._aside = [], [], Aside(seed)
        self._restarted = ""
        self.rolled_out_s = None
        self.gpus_free = True

    @property
    def now_s(self):
        return self.house.clock.now() / SECOND

    async def pass_by(self, step_s=STEP_S, *, stored=True):
        """The world goes on, tells what it measured, and Tocsin looks."""
        self._obey()
        self.house.clock.advance((step_s - 1) * SECOND)
        for left_s in range(step_s - SAMPLE_S, -1, -SAMPLE_S):
            self._turns += self.world.advance(self.now_s - left_s)
            self._read_engines()
        self._meters.sample(self.world, float(step_s))
        await self._tell(step_s)
        await self.house.pass_by(1, stored=stored)

    def _read_engines(self):
        for replica in range(len(self.world.fleet.servers)):
            if replica == len(self._writes):
                self._writes.append(RemoteWrite(f"model-server-{replica}:8000"))
            found = [each for each in families(self.world, replica) if each.kind != "histogram"]
            self._writes[replica].add(found, round(self.world.now_s * 1000))

    def _obey(self):
        """What the cluster and the registry were asked to do is done; pods for which no GPU is free stay pending."""
        wanted = self.cluster.objects[SERVER]
        if self.gpus_free and wanted["status"]["replicas"] != wanted["spec"]["replicas"]:
            self.world.fleet.scale(wanted["spec"]["replicas"], self.world.now_s)
            self.cluster.roll(SERVER)
        restarted = wanted["spec"]["template"]["metadata"].get("annotations", {}).get(RESTARTED, "")
        if restarted != self._restarted:
            self._restarted = restarted
            self.world.fleet.restart(self.world.now_s)
            self.cluster.roll(SERVER)
        if self.rolled_out_s is not None:
            FAULTS["prompt"](self.world.conditions, self.now_s - self.rolled_out_s)
            if self.prompts.version != "v42":
                self.world.conditions.next_share = 0.0

    async def _tell(self, step_s):
        turns, self._turns = self._turns, []
        for exported in self._meters.export().values():
            await self._post("/v1/metrics", encode_metrics(exported).SerializeToString(), PROTOBUF)
        if spans := self._spans.spans(turns):
            await self._post("/v1/traces", encode_spans(spans).SerializeToString(), PROTOBUF)
        if logs := self._spans.logs(turns):
            await self._post("/v1/logs", encode_logs(logs).SerializeToString(), PROTOBUF)
        written = [write.take() for write in self._writes]
        written.append(await self._aside.tell(self.house, self.now_s, step_s))
        for raw in filter(None, written):
            await self._post("/api/v1/write", bytes(cramjam.snappy.compress_raw(raw)), SNAPPY)

    async def announce(self, kind, entity, what):
        told = {"kind": kind, "entity": entity, "what": what, "time": self.now_s}
        await self._post("/api/events", json.dumps(told).encode(), {"content-type": "application/json"})

    async def _post(self, path, body, headers):
        answer = await self.house.http.post(path, content=body, headers=headers)
        assert answer.status_code < 300, (path, answer.text)

    async def close(self):
        await self.house.close()
