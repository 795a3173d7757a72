"""Jira issues: one for an incident, with comments for what is new, moved to done when it is over.

Reference: https://developer.atlassian.com/cloud/jira/platform/rest/v3/ (Cloud; documents in the Atlassian Document
Format) and https://docs.atlassian.com/software/jira/docs/api/REST/ version 2 (Data Center; plain text).
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any, Final
from urllib.parse import quote

from tocsin.model.destination import Receipt
from tocsin.model.errors import Retryable
from tocsin.model.message import Message, Picture
from tocsin.notify.base import Context, Notifier, headline, text_body
from tocsin.notify.guard import Answer, GuardedClient
from tocsin.notify.picture import beside
from tocsin.spec.destination import JiraDestination

SUMMARY_CHARS: Final = 255
TEXT_CHARS: Final = 32_000


def label(message: Message) -> str:
    """The label by which the issue of an incident is found again."""
    return f"tocsin-{hashlib.blake2b(message.dedup_key.encode('utf-8', 'replace'), digest_size=12).hexdigest()}"


def document(text: str) -> dict[str, Any]:
    """Text as a document of plain paragraphs: nothing in it is markup."""
    lines = [line for line in text[:TEXT_CHARS].splitlines() if line.strip()]
    paragraphs = [{"type": "paragraph", "content": [{"type": "text", "text": line}]} for line in lines]
    return {"type": "doc", "version": 1, "content": paragraphs}


def issue(message: Message, spec: JiraDestination, base_url: str) -> dict[str, Any]:
    """The issue of an incident."""
    text = text_body(message, base_url)
    fields: dict[str, Any] = {
        "project": {"key": spec.project},
        "issuetype": {"name": spec.issue_type},
        "summary": headline(message)[:SUMMARY_CHARS],
        "description": document(text) if spec.email else text[:TEXT_CHARS],
        "labels": ["tocsin", label(message), *spec.labels],
    }
    wanted = {str(name): told for name, told in spec.priorities.items()}.get(message.incident.severity.name.lower())
    if wanted:
        fields["priority"] = {"name": wanted}
    return {"fields": fields}


class Jira(Notifier[JiraDestination]):
    """Opens issues in a project; one that was opened before an answer got lost is found again by its label."""

    name = "jira"

    def __init__(self, spec: JiraDestination, context: Context) -> None:
        super().__init__(spec, context)
        self._client = GuardedClient(spec.allow, resolve=context.resolve)
        self._root = f"{spec.url.rstrip('/')}/rest/api/{3 if spec.email else 2}"
        secret = base64.b64encode(f"{spec.email}:{spec.token}".encode()).decode()
        self._headers = {
            "authorization": f"Basic {secret}" if spec.email else f"Bearer {spec.token}",
            "accept": "application/json",
            "content-type": "application/json",
        }

    async def send(self, message: Message, thread: str, now: int) -> Receipt:
        """Open the issue, or say in it what is new; a resolved incident's is moved to done where that is possible."""
        key = thread or await self._found(message)
        if not key:
            made = _object(await self._post("/issue", issue(message, self.spec, self.context.base_url)))
            key = str(made.get("key", ""))[:64]
            said = ""
            if message.picture is not None and key:
                said = await beside(self.name, self._attach(key, message.picture))
            return Receipt(f"{key} at {now}{said}", key)
        text = text_body(message, self.context.base_url)
        await self._post(f"/issue/{quote(key, safe='')}/comment", {"body": self._text(text)})
        moved = await self._done(key) if message.action == "resolve" else ""
        return Receipt(f"{key} {moved or 'commented'} at {now}", key)

    async def _attach(self, key: str, picture: Picture) -> None:
        """Attach the chart to the issue."""
        edge = hashlib.blake2b(picture.png, digest_size=16).hexdigest()
        head = f'--{edge}\r\ncontent-disposition: form-data; name="file"; filename="chart.png"\r\n'
        body = f"{head}content-type: image/png\r\n\r\n".encode() + picture.png + f"\r\n--{edge}--\r\n".encode()
        sent = {"content-type": f"multipart/form-data; boundary={edge}", "x-atlassian-token": "no-check"}
        await self._client.post(f"{self._root}/issue/{quote(key, safe='')}/attachments", body, self._headers | sent)

    def _text(self, text: str) -> dict[str, Any] | str:
        return document(text) if self.spec.email else text[:TEXT_CHARS]

    async def _found(self, message: Message) -> str:
        jql = quote(f'project = "{self.spec.project}" AND labels = "{label(message)}"', safe="")
        where = "/search/jql" if self.spec.email else "/search"
        found = _object(await self._get(f"{where}?jql={jql}&fields=status&maxResults=1")).get("issues") or []
        return str(found[0].get("key", ""))[:64] if isinstance(found, list) and found else ""

    async def _done(self, key: str) -> str:
        """Move an issue to done, by the transition that is named or the first that leads there."""
        path = f"/issue/{quote(key, safe='')}/transitions"
        ways = [each for each in _object(await self._get(path)).get("transitions") or [] if isinstance(each, dict)]
        named = [each for each in ways if str(each.get("name", "")).lower() == self.spec.resolve_transition.lower()]
        done = [each for each in ways if each.get("to", {}).get("statusCategory", {}).get("key") == "done"]
        chosen = next(iter(named if self.spec.resolve_transition else done), None)
        if chosen is None:
            return ""
        await self._post(path, {"transition": {"id": str(chosen.get("id", ""))}})
        return "done"

    async def _get(self, path: str) -> Answer:
        return await self._client.get(f"{self._root}{path}", self._headers)

    async def _post(self, path: str, body: dict[str, Any]) -> Answer:
        return await self._client.post(f"{self._root}{path}", json.dumps(body).encode(), self._headers)

    async def close(self) -> None:
        """Close connections."""
        await self._client.close()


def _object(answer: Answer) -> dict[str, Any]:
    try:
        found = json.loads(answer.body)
    except ValueError as error:
        raise Retryable("Jira's answer is no JSON") from error
    if not isinstance(found, dict):
        raise Retryable("Jira's answer is no object")
    return found
