"""Linear issues by its GraphQL API: one for an incident, comments for what is new, a state when it is over.

Reference: https://linear.app/developers/graphql
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from typing import Any, Final

from tocsin.model.destination import Receipt
from tocsin.model.errors import Refused, Retryable
from tocsin.model.incident import Severity
from tocsin.model.message import Message
from tocsin.model.text import one_line
from tocsin.notify.base import Context, Notifier, headline, link, text_body
from tocsin.notify.guard import GuardedClient
from tocsin.spec.destination import LinearDestination

TITLE_CHARS: Final = 255
PRIORITY: Final = {Severity.CRITICAL: 1, Severity.ERROR: 2, Severity.WARNING: 3, Severity.INFO: 4}
CREATE: Final = "mutation($input: IssueCreateInput!) { issueCreate(input: $input) { success issue { id identifier } } }"
COMMENT: Final = "mutation($input: CommentCreateInput!) { commentCreate(input: $input) { success } }"
MOVE: Final = "mutation($id: String!, $input: IssueUpdateInput!) { issueUpdate(id: $id, input: $input) { success } }"
_FENCE: Final = re.compile("`{3,}")
_THERE: Final = re.compile("conflict|already exist|duplicate", re.IGNORECASE)
_TRY_AGAIN: Final = ("RATELIMITED", "INTERNAL_SERVER_ERROR")


def issue_id(message: Message) -> str:
    """The id that an incident's issue has: told by us, so that it is never opened twice."""
    told = hashlib.blake2b(message.dedup_key.encode("utf-8", "replace"), digest_size=16).digest()
    return str(uuid.UUID(bytes=told, version=4))


def markdown(message: Message, base_url: str) -> str:
    """The notice as a block of plain text under a link: nothing in it is markup."""
    text = _FENCE.sub("``", text_body(message, base_url))
    return f"[Incident in Tocsin]({link(message.incident, base_url)})\n\n```text\n{text}\n```"


class Linear(Notifier[LinearDestination]):
    """Opens issues in a team."""

    name = "linear"

    def __init__(self, spec: LinearDestination, context: Context) -> None:
        super().__init__(spec, context)
        self._client = GuardedClient(spec.allow, resolve=context.resolve)

    async def send(self, message: Message, thread: str, now: int) -> Receipt:
        """Open the issue, or say in it what is new."""
        text = markdown(message, self.context.base_url)
        if not thread:
            made = await self._create(message, text)
            if made is not None:
                return Receipt(f"{made} at {now}", issue_id(message))
        key = thread or issue_id(message)
        await self._ask(COMMENT, {"input": {"issueId": key, "body": text}})
        if message.action == "resolve" and self.spec.resolved_state:
            await self._ask(MOVE, {"id": key, "input": {"stateId": self.spec.resolved_state}})
        return Receipt(f"commented at {now}", key)

    async def _create(self, message: Message, text: str) -> str | None:
        """Number of the new issue; None if it was there already."""
        asked = {
            "id": issue_id(message),
            "teamId": self.spec.team,
            "title": headline(message)[:TITLE_CHARS],
            "description": text,
            "priority": PRIORITY[message.incident.severity],
            "labelIds": list(self.spec.labels),
        }
        try:
            found = await self._ask(CREATE, {"input": asked})
        except Refused as error:
            if _THERE.search(str(error)):
                return None
            raise
        made = found.get("issueCreate", {}).get("issue") or {}
        return one_line(str(made.get("identifier", "")), 40)

    async def _ask(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        headers = {"content-type": "application/json", "authorization": self.spec.api_key}
        answer = await self._client.post(self.spec.url, body, headers)
        try:
            found = json.loads(answer.body)
        except ValueError as error:
            raise Retryable("Linear's answer is no JSON") from error
        errors = found.get("errors") if isinstance(found, dict) else [{"message": "no object"}]
        if errors:
            first = errors[0] if isinstance(errors, list) and isinstance(errors[0], dict) else {}
            code = str((first.get("extensions") or {}).get("code", ""))
            said = one_line(str(first.get("message", "no reason given")), 160)
            if code in _TRY_AGAIN:
                raise Retryable(f"Linear: {said}")
            raise Refused(f"Linear refuses the request: {said}")
        data = found.get("data")
        return data if isinstance(data, dict) else {}

    async def close(self) -> None:
        """Close connections."""
        await self._client.close()
