"""An emulated Kubernetes API server: authentication, rights, schemas, versions with conflicts, dry runs, rollouts.

After https://kubernetes.io/docs/reference/using-api/api-concepts/: what it refuses, the real one refuses too.
"""

import contextlib
import copy
import json
from dataclasses import dataclass, field

from ticket_peers import Peer, Wrong

TOKEN = "of-the-service-account"
MERGE = "application/merge-patch+json"
RESTARTED = "kubectl.kubernetes.io/restartedAt"
APPS, GATEWAY, CORE = "/apis/apps/v1", "/apis/gateway.networking.k8s.io/v1", "/api/v1"


class Refusal(Exception):
    def __init__(self, status, reason, message):
        super().__init__(message)
        self.answer = {"kind": "Status", "status": "Failure", "code": status, "reason": reason, "message": message}


def merged(target, patch):
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    found = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            found.pop(key, None)
        else:
            found[key] = merged(found.get(key), value)
    return found


def deployment(name="llm", namespace="serving", replicas=3, ready=None, strategy="RollingUpdate"):
    ready = replicas if ready is None else ready
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "generation": 1},
        "spec": {
            "replicas": replicas,
            "strategy": {"type": strategy},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": name, "image": "x"}]}},
        },
        "status": {"observedGeneration": 1, "replicas": replicas, "readyReplicas": ready, "updatedReplicas": replicas},
    }


def node(name):
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": {}}


def route(name="chat", namespace="serving", weights=(("llama-new", 80), ("stable", 20))):
    rule = {"backendRefs": [{"name": each, "port": 80, "weight": weight} for each, weight in weights]}
    other = {"backendRefs": [{"name": "metrics", "port": 9090}]}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": namespace, "generation": 1},
        "spec": {"rules": [rule, other]},
    }


@dataclass
class KubernetesPeer(Peer):
    """`rights` are (verb, resource) that the token has; `meddle` is called before each write, as others' work is."""

    objects: dict = field(default_factory=dict)
    rights: set = field(
        default_factory=lambda: (
            {
                (verb, what)
                for verb in ("get", "patch")
                for what in ("deployments", "deployments/scale", "statefulsets", "nodes", "httproutes")
            }
            | {("list", "nodes")}
        )
    )
    version: int = 100
    writes: list = field(default_factory=list)
    dry_runs: int = 0
    meddle: object = None
    down: int = 0

    async def handle(self, reader, writer):
        await super().handle(reader, writer)
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    def add(self, *found):
        for each in found:
            plural = {"Deployment": "deployments", "Node": "nodes", "HTTPRoute": "httproutes"}[each["kind"]]
            group = {"deployments": APPS, "nodes": CORE, "httproutes": GATEWAY}[plural]
            namespace = each["metadata"].get("namespace")
            where = f"/namespaces/{namespace}" if namespace else ""
            self._store(f"{group}{where}/{plural}/{each['metadata']['name']}", each)
        return self

    def _store(self, path, found):
        self.version += 1
        found["metadata"]["resourceVersion"] = str(self.version)
        self.objects[path] = found

    def touch(self, path, change):
        """Somebody else writes."""
        self._store(path, merged(self.objects[path], change))

    def answer(self, method, target, headers, body):
        try:
            self._up()
            return 200, self._answer(method, target.path, target.query, headers, body), []
        except Refusal as error:
            return error.answer["code"], error.answer, []
        except Wrong as error:
            return 422, {"kind": "Status", "code": 422, "reason": "Invalid", "message": str(error)}, []

    def _up(self):
        if self.down:
            self.down -= 1
            raise Refusal(503, "ServiceUnavailable", "etcdserver: leader changed")

    def _answer(self, method, path, query, headers, body):
        if headers.get("authorization") != f"Bearer {TOKEN}":
            raise Refusal(401, "Unauthorized", "Unauthorized")
        scale = path.endswith("/scale")
        base = path.removesuffix("/scale")
        parts = base.strip("/").split("/")
        listing = parts[-1] in ("nodes", "deployments", "httproutes")
        resource = (parts[-1] if listing else parts[-2]) + ("/scale" if scale else "")
        verb = "list" if listing and method == "GET" else method.lower()
        if (verb, resource) not in self.rights:
            raise Refusal(403, "Forbidden", f'cannot {verb} resource "{resource}"')
        if listing:
            return {"kind": "List", "items": [each for key, each in self.objects.items() if key.startswith(base + "/")]}
        if base not in self.objects:
            raise Refusal(404, "NotFound", f'{resource} "{parts[-1]}" not found')
        if method == "GET":
            return self._seen(base, scale=scale)
        if method != "PATCH":
            raise Refusal(405, "MethodNotAllowed", method)
        if headers.get("content-type") != MERGE:
            raise Refusal(415, "UnsupportedMediaType", headers.get("content-type", ""))
        if self.meddle is not None:
            self.meddle(self, base)
        return self._patched(base, query, json.loads(body), scale=scale)

    def _seen(self, path, *, scale):
        found = copy.deepcopy(self.objects[path])
        if scale:
            spec = {"replicas": found["spec"]["replicas"]}
            return {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": found["metadata"], "spec": spec}
        return found

    def _patched(self, path, query, patch, *, scale):
        old = self.objects[path]
        wanted = patch.get("metadata", {}).get("resourceVersion")
        if wanted is not None and wanted != old["metadata"]["resourceVersion"]:
            text = "the object has been modified; please apply your changes to the latest version and try again"
            raise Refusal(409, "Conflict", text)
        new = merged(copy.deepcopy(old), patch)
        if scale and set(patch) - {"metadata", "spec"}:
            raise Refusal(400, "BadRequest", "unknown field")
        checked(new)
        dry = "dryRun=All" in query.split("&")
        if dry:
            self.dry_runs += 1
            return self._seen(path, scale=scale)
        if new["spec"] != old["spec"]:
            new["metadata"]["generation"] = old["metadata"].get("generation", 1) + 1
        self.writes.append((path, patch))
        self._store(path, new)
        return self._seen(path, scale=scale)

    def roll(self, path):
        """Let the controller catch up."""
        found = self.objects[path]
        wanted = found["spec"]["replicas"]
        generation = found["metadata"]["generation"]
        status = {
            "observedGeneration": generation,
            "replicas": wanted,
            "readyReplicas": wanted,
            "updatedReplicas": wanted,
        }
        self.touch(path, {"status": status})


FIELDS = {
    "Deployment": {"replicas", "strategy", "template", "paused", "selector"},
    "Node": {"unschedulable", "taints", "podCIDR"},
    "HTTPRoute": {"rules", "hostnames", "parentRefs"},
}


def checked(found):
    """The schema of what is written."""
    spec, kind = found["spec"], found["kind"]
    unknown = set(spec) - FIELDS[kind]
    if unknown:
        raise Refusal(400, "BadRequest", f'strict decoding error: unknown field "spec.{min(unknown)}"')
    if kind == "Deployment":
        replicas = spec["replicas"]
        if type(replicas) is not int or replicas < 0:
            raise Wrong("spec.replicas: Invalid value: must be greater than or equal to 0")
        annotations = spec["template"]["metadata"].get("annotations", {})
        if not all(isinstance(value, str) for value in annotations.values()):
            raise Wrong("annotations: must be strings")
    if kind == "Node" and type(spec.get("unschedulable", False)) is not bool:
        raise Wrong("spec.unschedulable: must be a boolean")
    if kind == "HTTPRoute":
        for rule in spec["rules"]:
            for ref in rule["backendRefs"]:
                weight = ref.get("weight", 1)
                if type(weight) is not int or not 0 <= weight <= 1_000_000 or set(ref) - {"name", "port", "weight"}:
                    raise Wrong("spec.rules.backendRefs.weight: Invalid value")
