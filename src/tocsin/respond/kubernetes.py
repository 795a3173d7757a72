"""The Kubernetes API as far as actions need it: read, patch against a read version, dry run.

Reference: https://kubernetes.io/docs/reference/using-api/api-concepts/ (resource versions, dry run).
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from tocsin.model.errors import Refused, Retryable
from tocsin.model.text import one_line
from tocsin.respond.ports import Http, Reply
from tocsin.spec.playbook import KubernetesSpec, plain_name

Json = dict[str, Any]
ATTEMPTS: Final = 5
MERGE: Final = "application/merge-patch+json"
MANAGER: Final = "tocsin"


class Conflict(Retryable):
    """Somebody changed the object between reading and writing."""

    code = "conflict"


class Kubernetes:
    """One API server, with one identity."""

    def __init__(self, http: Http, spec: KubernetesSpec, token: Callable[[], str]) -> None:
        self._http = http
        self._spec = spec
        self._token = token

    def path(self, group: str, kind: str, name: str, namespace: str | None, part: str = "") -> str:
        """Where an object is, such as `/apis/apps/v1/namespaces/NS/deployments/NAME`.

        Raises
        ------
        Refused
            A name is none, or the namespace may not be touched.
        """
        for each in (name, *([namespace] if namespace is not None else [])):
            if not plain_name(each):
                raise Refused(f"{one_line(each, 60)!r} is no name of anything in Kubernetes")
        if namespace is None and not self._spec.nodes:
            raise Refused("nodes may not be touched; `remediation: {kubernetes: {nodes: true}}` allows it")
        if namespace is not None and namespace not in self._spec.namespaces:
            raise Refused(f"the namespace {namespace} is not among `remediation.kubernetes.namespaces`")
        root = "/api/v1" if group == "core/v1" else f"/apis/{group}"
        where = "" if namespace is None else f"/namespaces/{namespace}"
        return f"{root}{where}/{kind}/{name}{part}"

    async def get(self, path: str) -> Json:
        """An object as it is now."""
        return self._object(await self._ask("GET", path, None, {}))

    async def patch(self, path: str, version: str, change: Mapping[str, Any], *, dry_run: bool = False) -> Json:
        """Change an object that is still as it was read; `dry_run` has all of it checked and changes nothing.

        Raises
        ------
        Conflict
            It is of another version now.
        """
        body = {**change, "metadata": {**change.get("metadata", {}), "resourceVersion": version}}
        query = f"?fieldManager={MANAGER}" + ("&dryRun=All" if dry_run else "")
        return self._object(await self._ask("PATCH", path + query, json.dumps(body).encode(), {"content-type": MERGE}))

    async def _ask(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Reply:
        told = {"accept": "application/json", "user-agent": "tocsin", **headers}
        if token := self._token():
            told["authorization"] = f"Bearer {token}"
        return await self._http.ask(method, self._spec.url.rstrip("/") + path, body, told)

    @staticmethod
    def _object(reply: Reply) -> Json:
        try:
            found = json.loads(reply.body)
        except ValueError:
            found = None
        said = found.get("message", "") if isinstance(found, dict) else reply.text()
        text = f"Kubernetes answered {reply.status}: {one_line(str(said), 200)}"
        if reply.status == 409:
            raise Conflict(text)
        if reply.status in (408, 429) or reply.status >= 500:
            raise Retryable(text)
        if not 200 <= reply.status < 300 or not isinstance(found, dict):
            raise Refused(text)
        return found


async def settle(change: Callable[[], Awaitable[str]]) -> str:
    """Make a change that reads and writes, anew after each conflict, a few times.

    Raises
    ------
    Retryable
        Somebody changed it each time.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return await change()
        except Conflict:
            continue
    return await change()
