"""Slack: an incoming webhook, or `chat.postMessage` of a bot with later news in the same thread."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from tocsin.model.destination import Receipt
from tocsin.model.errors import Refused, Retryable
from tocsin.model.lineage import lineage_of_all
from tocsin.model.message import ROLES, Message, Picture
from tocsin.model.text import one_line
from tocsin.notify.base import (
    DONE_LINES,
    MAX_LINES,
    Context,
    Notifier,
    actions_link,
    answers,
    finding_line,
    finding_link,
    first_steps,
    headline,
    link,
    page_of,
    trace_link,
)
from tocsin.notify.guard import Answer, GuardedClient
from tocsin.notify.picture import beside
from tocsin.spec.destination import SlackDestination

API = "https://slack.com/api/chat.postMessage"
_TEXT_CHARS = 2900
_TRY_AGAIN = frozenset(
    {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}
)


def escape(text: str) -> str:
    """Escape what Slack reads as markup, so that no telemetry can mention or link.

    >>> escape("<!channel> a & b")
    '&lt;!channel&gt; a &amp; b'
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def payload(message: Message, base_url: str) -> dict[str, Any]:
    """Text and blocks of a notice."""
    incident = message.incident
    head = escape(headline(message))
    if message.action == "digest":
        parts = [f"*<{page_of(message, base_url)}|{head}>*", escape(incident.statement)]
        return _posted(head, parts, "")
    lines = [_linked(finding_line(each), finding_link(each, incident, base_url)) for each in incident.findings[:5]]
    causes = [
        f"• {cause.score:.2f} *{cause.kind}* {escape(one_line(cause.entity, 80))}: {escape(one_line(cause.what, 160))}"
        for cause in incident.causes[:3]
    ]
    steps = [f"• {escape(step)}" for step in first_steps(message)]
    # an address of lineage is a plain one: nothing in it ends the link early
    origins = [
        f"• <{escape(each.link)}|{escape(each.words)}>" if each.link else f"• {escape(each.words)}"
        for each in lineage_of_all(incident.findings)[:MAX_LINES]
    ]
    traces = [
        f"• <{trace_link(each, base_url)}|{ROLES.get(each.role, each.role)}>: {escape(one_line(each.operation, 80))} of"
        f" {escape(one_line(each.service, 60))}, {each.duration_ns / 1e9:.3g} s"
        for each in message.traces
    ]
    done = [f"• {escape(one_line(each, 400))}" for each in message.done[-DONE_LINES:]]
    if done:
        done.append(f"<{actions_link(incident, base_url)}|Find out why, and see what is to be taken back>")
    sections = [
        f"*<{link(incident, base_url)}|{head}>*",
        escape(incident.statement),
        "*Out of line*\n" + "\n".join(lines) if lines else "",
        "*Compared with*\n" + "\n".join(origins) if origins else "",
        "*Likely causes*\n" + "\n".join(causes) if causes else "",
        "*Done about it*\n" + "\n".join(done) if done else "",
        "*Example traces*\n" + "\n".join(traces) if traces else "",
        "*Start here*\n" + "\n".join(steps),
        " · ".join(f"<{url}|{words}>" for words, url in answers(message, base_url)),
    ]
    foot = f"{incident.id} · {incident.severity_arithmetic}" + (f" · {message.reason}" if message.reason else "")
    return _posted(head, sections, foot)


def _linked(line: str, address: str) -> str:
    """A finding whose monitor's name leads to where it is seen."""
    name, colon, rest = line.partition(": ")
    return f"• <{escape(address)}|{escape(name.replace('|', ' '))}>{escape(colon + rest)}"


def _posted(head: str, sections: Sequence[str], foot: str) -> dict[str, Any]:
    blocks: list[dict[str, Any]] = [
        {"type": "section", "text": _mrkdwn(text[:_TEXT_CHARS])} for text in sections if text
    ]
    if foot:
        blocks.append({"type": "context", "elements": [_mrkdwn(escape(one_line(foot, 1000)))]})
    return {"text": head, "blocks": blocks, "unfurl_links": False, "unfurl_media": False}


def _mrkdwn(text: str) -> dict[str, Any]:
    # verbatim: Slack must not turn addresses and names that telemetry brought into links and mentions
    return {"type": "mrkdwn", "text": text, "verbatim": True}


class Slack(Notifier[SlackDestination]):
    """Posts to a channel."""

    name = "slack"

    def __init__(self, spec: SlackDestination, context: Context) -> None:
        super().__init__(spec, context)
        self._client = GuardedClient(spec.allow, resolve=context.resolve)

    async def send(self, message: Message, thread: str, now: int) -> Receipt:
        """Post the notice, in the incident's thread where the bot knows it."""
        body = payload(message, self.context.base_url)
        headers = {"content-type": "application/json; charset=utf-8"}
        if not self.spec.token:
            answer = await self._client.post(self.spec.url or "", _json(body), headers)
            return Receipt(f"{answer.status} at {now}")
        body["channel"] = self.spec.channel
        if thread:
            body["thread_ts"] = thread
            body["reply_broadcast"] = message.action == "resolve"
        headers["authorization"] = f"Bearer {self.spec.token}"
        posted = _answered(await self._client.post(self.spec.url or API, _json(body), headers))
        ts = thread or str(posted.get("ts", ""))[:64]
        said = ""
        if message.picture is not None and not thread:
            said = await beside(self.name, self._upload(message.picture, str(posted.get("channel", "")), ts))
        return Receipt(f"posted{said}", ts)

    async def _upload(self, picture: Picture, channel: str, thread: str) -> None:
        """Put the chart into the thread that the notice began, as a file that Slack keeps itself.

        References
        ----------
        https://docs.slack.dev/messaging/working-with-files#upload
        """
        root = (self.spec.url or API).rpartition("/")[0]
        bearer = {"authorization": f"Bearer {self.spec.token}"}
        asked = {"filename": "chart.png", "length": str(len(picture.png)), "alt_txt": picture.caption}
        form = {"content-type": "application/x-www-form-urlencoded"} | bearer
        where = await self._client.post(f"{root}/files.getUploadURLExternal", urlencode(asked).encode(), form)
        place = _answered(where)
        url = str(place.get("upload_url", ""))
        await self._client.post(url, picture.png, {"content-type": "application/octet-stream"})
        done = {
            "files": [{"id": str(place.get("file_id", ""))[:64], "title": picture.caption}],
            "channel_id": channel,
            "thread_ts": thread,
        }
        headers = {"content-type": "application/json; charset=utf-8"} | bearer
        _answered(await self._client.post(f"{root}/files.completeUploadExternal", _json(done), headers))

    async def close(self) -> None:
        """Close connections."""
        await self._client.close()


def _json(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")


def _answered(answer: Answer) -> dict[str, Any]:
    """What Slack answers, where it says that all is well."""
    try:
        found = json.loads(answer.body)
    except ValueError as error:
        raise Retryable("Slack's answer is no JSON") from error
    if not isinstance(found, dict) or not found.get("ok"):
        reason = one_line(str(found.get("error", "no reason given")), 100) if isinstance(found, dict) else "no object"
        if reason in _TRY_AGAIN:
            raise Retryable(f"Slack: {reason}")
        raise Refused(f"Slack refuses the message: {reason}")
    return found
