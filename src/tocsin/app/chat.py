"""Asking an endpoint of OpenAI's chat completions: no tools, an answer in JSON, and what it took."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tocsin.model.clock import SECOND
from tocsin.model.errors import Retryable
from tocsin.notify.guard import GuardedClient
from tocsin.spec.chat import ChatSpec


class ChatEndpoint:
    """One endpoint, asked through the client that guards addresses."""

    def __init__(self, spec: ChatSpec) -> None:
        self._spec = spec
        self._client = GuardedClient(spec.allow, read_s=spec.timeout / SECOND)

    async def ask(self, body: bytes) -> bytes:
        """The answer to a `chat_request`, as it came.

        Raises
        ------
        Retryable
            It does not answer now, or not in time.
        Refused
            It will never answer this.
        """
        spec = self._spec
        headers = {"content-type": "application/json", "accept": "application/json", "user-agent": "tocsin"}
        if spec.api_key:
            headers["authorization"] = f"Bearer {spec.api_key}"
        try:
            async with asyncio.timeout(spec.timeout / SECOND):
                return (await self._client.post(spec.url.rstrip("/") + "/chat/completions", body, headers)).body
        except TimeoutError as late:
            raise Retryable("no answer in time") from late

    async def close(self) -> None:
        """Let go of its connections."""
        await self._client.close()


def chat_request(spec: ChatSpec, task: str, told: str, most_tokens: int) -> bytes:
    """Body of a request: the task as the system's message, what was observed as the user's."""
    body: dict[str, Any] = {
        "model": spec.model,
        "messages": [{"role": "system", "content": task}, {"role": "user", "content": told}],
        "response_format": {"type": "json_object"},
        "max_completion_tokens": most_tokens,
    }
    if spec.temperature is not None:
        body["temperature"] = spec.temperature
    return json.dumps(body).encode()


def content_of(answer: bytes) -> str | None:
    """Text of the first choice of an answer, None where there is none; calls of tools are no text.

    >>> content_of(b'{"choices": [{"message": {"content": "yes"}}]}'), content_of(b"[]")
    ('yes', None)
    """
    try:
        message = json.loads(answer)["choices"][0]["message"]
        content = message["content"]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return None
    return content if isinstance(content, str) and not message.get("tool_calls") else None


def tokens_of(answer: bytes) -> int | None:
    """Tokens that an answer says it took; None if it tells none."""
    try:
        told = json.loads(answer)["usage"]["total_tokens"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return told if isinstance(told, int) and not isinstance(told, bool) and 0 <= told < 10**9 else None
