"""Emulated peers that enforce what the real ones do: schemas, limits, authorisation, and what becomes of a ticket."""

import asyncio
import json
import uuid
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from urllib.parse import parse_qs, unquote, urlsplit


class Wrong(Exception):
    """What a peer refuses; the text is its reason."""


def need(condition, reason):
    if not condition:
        raise Wrong(reason)


@dataclass
class Peer:
    """Answers each request by `reply(method, path, query, headers, body)`; `busy` answers 429 so many times first."""

    busy: int = 0
    asked: list = field(default_factory=list)
    port: int = 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    async def handle(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {key.lower(): value for key, value in (line.split(": ", 1) for line in head[1:] if ": " in line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        status, answer, more = self.answer(method, urlsplit(target), headers, body)
        text = json.dumps(answer).encode() if answer is not None else b""
        lines = [f"HTTP/1.1 {status} X", f"content-length: {len(text)}", "connection: close", *more]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + text)
        await writer.drain()
        writer.close()

    def answer(self, method, target, headers, body):
        if self.busy:
            self.busy -= 1
            return 429, {"message": "too many"}, ["retry-after: 7"]
        self.asked.append((method, target.path))
        try:
            told = self.read(method, target.path, headers, body)
            status, answer = self.reply(method, unquote(target.path), parse_qs(target.query), headers, told)
        except Wrong as error:
            return self.refuse(str(error))
        return status, answer, []

    def read(self, method, path, headers, body):
        need(method == "GET" or headers.get("content-type", "").startswith("application/json"), "content type")
        return json.loads(body) if body else None

    def refuse(self, reason):
        return 400, {"errorMessages": [reason]}, []


def form_parts(content_type, body):
    """Parts of a multipart form, read by the standard library."""
    found = BytesParser().parsebytes(f"content-type: {content_type}\r\n\r\n".encode() + body)
    return [
        {"name": each.get_param("name", header="content-disposition"), "filename": each.get_filename(),
         "type": each.get_content_type(), "body": each.get_payload(decode=True)}
        for each in found.get_payload()
    ]  # fmt: skip


@asynccontextmanager
async def served(peer):
    listener = await asyncio.start_server(peer.handle, "127.0.0.1", 0)
    peer.port = listener.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        listener.close()


@dataclass
class Alerts(Peer):
    """Opsgenie's Alert API, and the integration events of Jira Service Management."""

    key: str = "K"
    alerts: dict = field(default_factory=dict)

    def reply(self, method, path, query, headers, told):
        need(headers.get("authorization") == f"GenieKey {self.key}", "key")
        need(method == "POST", "method")
        parts = path.split("/v2/alerts", 1)[1].strip("/").split("/")
        if parts == [""]:
            self.create(told)
            return 202, {"result": "Request will be processed", "requestId": "r"}
        alias, action = parts
        need(query.get("identifierType") == ["alias"], "identifierType")
        need(set(told) <= {"user", "source", "note"} and len(told.get("note", "")) <= 25_000, "body")
        alert = self.alerts.get(alias)
        if alert is not None:
            {"acknowledge": lambda: alert.update(status="acknowledged"), "close": lambda: alert.update(status="closed"),
             "notes": lambda: alert["notes"].append(told["note"])}[action]()  # fmt: skip
        return 202, {"result": "Request will be processed", "requestId": "r"}

    def create(self, told):
        known = {"message", "alias", "description", "responders", "visibleTo", "actions", "tags", "details", "entity"}
        need(set(told) <= known | {"source", "priority", "user", "note"}, f"unknown fields in {sorted(told)}")
        need(0 < len(told["message"]) <= 130, "message")
        need(len(told["alias"]) <= 512 and len(told["description"]) <= 15_000 and len(told["entity"]) <= 512, "length")
        need(told["priority"] in {"P1", "P2", "P3", "P4", "P5"}, "priority")
        need(len(told["tags"]) <= 20 and all(len(tag) <= 50 for tag in told["tags"]), "tags")
        need(all(isinstance(value, str) for value in told["details"].values()), "details")
        need(sum(len(key) + len(value) for key, value in told["details"].items()) <= 8000, "details")
        self.alerts.setdefault(told["alias"], {**told, "status": "open", "count": 0, "notes": []})["count"] += 1


@dataclass
class JiraPeer(Peer):
    """A Jira project: version 3 with documents (Cloud), or version 2 with plain text (Data Center)."""

    version: int = 3
    authorization: str = "Basic YUBiLmM6VA=="  # a@b.c:T
    issues: dict = field(default_factory=dict)
    attachments: bool = True

    def read(self, method, path, headers, body):
        return body if path.endswith("/attachments") else super().read(method, path, headers, body)

    def reply(self, method, path, query, headers, told):
        need(headers.get("authorization") == self.authorization, "authorization")
        root = f"/rest/api/{self.version}"
        need(path.startswith(root), "version")
        parts = path.removeprefix(root).strip("/").split("/")
        if parts[0] == "search":
            need(parts == (["search", "jql"] if self.version == 3 else ["search"]), "search")
            wanted = query["jql"][0].rsplit('"', 2)[1]
            found = [{"key": key} for key, each in self.issues.items() if wanted in each["labels"]]
            return 200, {"issues": found[: int(query["maxResults"][0])]}
        if parts == ["issue"]:
            return 201, {"id": "1", "key": self.create(told["fields"]), "self": ""}
        issue = self.issues[parts[1]]
        if parts[2] == "attachments":
            need(self.attachments, "attachments are disabled")
            need(headers.get("x-atlassian-token") == "no-check", "XSRF check failed")
            (part,) = form_parts(headers["content-type"], told)
            need((part["name"], part["filename"], part["type"]) == ("file", "chart.png", "image/png"), "part")
            issue.setdefault("attachments", []).append(part["body"])
            return 200, [{"id": "3", "filename": "chart.png"}]
        if parts[2] == "comment":
            self.text(told["body"])
            issue["comments"].append(told["body"])
            return 201, {"id": "2"}
        need(parts[2] == "transitions", "path")
        ways = [("11", "Start", "indeterminate"), ("31", "Done", "done"), ("41", "Won't fix", "done")]
        if method == "GET":
            return 200, {
                "transitions": [{"id": i, "name": n, "to": {"statusCategory": {"key": k}}} for i, n, k in ways]
            }
        issue["status"] = next(name for number, name, _ in ways if number == told["transition"]["id"])
        return 204, None

    def create(self, fields):
        need(fields["project"] == {"key": "OPS"} and fields["issuetype"]["name"] in {"Task", "Bug"}, "project, type")
        need(0 < len(fields["summary"]) <= 255 and "\n" not in fields["summary"], "summary")
        need(all(label and " " not in label and len(label) <= 255 for label in fields["labels"]), "labels")
        need(fields.get("priority", {"name": "High"})["name"] in {"Highest", "High", "Medium", "Low"}, "priority")
        self.text(fields["description"])
        key = f"OPS-{len(self.issues) + 1}"
        self.issues[key] = {**fields, "comments": [], "status": "To Do"}
        return key

    def text(self, told):
        if self.version == 2:
            need(isinstance(told, str) and 0 < len(told) <= 32_767, "text")
            return
        need((told["type"], told["version"]) == ("doc", 1) and told["content"], "doc")
        for paragraph in told["content"]:
            need(paragraph["type"] == "paragraph", "paragraph")
            for node in paragraph["content"]:
                need(node["type"] == "text" and node["text"] and "marks" not in node, "text")
        need(len(json.dumps(told)) <= 100_000, "size")


@dataclass
class LinearPeer(Peer):
    """Linear's GraphQL: the three mutations that are asked, by the types of their inputs."""

    issues: dict = field(default_factory=dict)
    errors_with: str = ""

    def reply(self, method, path, query, headers, told):
        need(headers.get("authorization") == "lin_api_1", "Authentication required")
        if self.errors_with:
            return 200, {"errors": [{"message": "slow down", "extensions": {"code": self.errors_with}}]}
        mutation, given = told["query"], told["variables"]
        if "issueCreate" in mutation:
            return 200, {"data": {"issueCreate": {"success": True, "issue": self.create(given["input"])}}}
        if "commentCreate" in mutation:
            need(set(given["input"]) == {"issueId", "body"}, "CommentCreateInput")
            need(given["input"]["issueId"] in self.issues, "Entity not found: Issue")
            self.issues[given["input"]["issueId"]]["comments"].append(given["input"]["body"])
            return 200, {"data": {"commentCreate": {"success": True}}}
        need("issueUpdate" in mutation and set(given["input"]) == {"stateId"}, "IssueUpdateInput")
        self.issues[given["id"]]["state"] = given["input"]["stateId"]
        return 200, {"data": {"issueUpdate": {"success": True}}}

    def create(self, told):
        need(set(told) <= {"id", "teamId", "title", "description", "priority", "labelIds"}, "IssueCreateInput")
        need(uuid.UUID(told["id"]).version == 4 and told["priority"] in range(5), "Argument Validation Error")
        need(0 < len(told["title"]) <= 255, "title")
        need(told["id"] not in self.issues, "conflict on insert of Issue")
        self.issues[told["id"]] = {**told, "comments": [], "state": ""}
        return {"id": told["id"], "identifier": f"ML-{len(self.issues)}"}

    def refuse(self, reason):
        return 200, {"errors": [{"message": reason, "extensions": {"code": "INVALID_INPUT"}}]}, []


@dataclass
class TeamsPeer(Peer):
    """A workflow that posts a card."""

    cards: list = field(default_factory=list)

    def reply(self, method, path, query, headers, told):
        need(int(headers["content-length"]) <= 28 * 1024, "RequestEntityTooLarge")
        need(told["type"] == "message" and len(told["attachments"]) == 1, "message")
        card = told["attachments"][0]
        need(card["contentType"] == "application/vnd.microsoft.card.adaptive", "contentType")
        content = card["content"]
        need((content["type"], content["version"]) == ("AdaptiveCard", "1.4"), "card")
        for element in content["body"]:
            if element["type"] == "Image":
                need(element["url"].startswith("data:image/png;base64,") and element["altText"], "image")
                continue
            need(element["type"] == "RichTextBlock" and element["inlines"], "element")
            for run in element["inlines"]:
                need(run["type"] == "TextRun" and run["text"], "text")
                need(run.get("color", "default") in {"default", "good", "warning", "attention"}, "colour")
        need(
            all(each["type"] == "Action.OpenUrl" and each["url"].startswith("https://") for each in content["actions"]),
            "action",
        )
        self.cards.append(content)
        return 202, None


@dataclass
class SlackPeer(Peer):
    """Slack's Web API: a channel with threads, and files that are put there in three steps."""

    messages: list = field(default_factory=list)
    files: dict = field(default_factory=dict)
    uploads: str = ""  # an error that the upload is answered with
    limited: int = 0  # so many answers of 200 that say `ratelimited` first

    def read(self, method, path, headers, body):
        if path == "/upload/F1":
            return body
        kind = headers.get("content-type", "")
        if path.endswith("/files.getUploadURLExternal"):
            need(kind == "application/x-www-form-urlencoded", "invalid_arguments")
            return {key: value for key, (value,) in parse_qs(body.decode(), strict_parsing=True).items()}
        need(kind == "application/json; charset=utf-8", "invalid_arguments")
        return json.loads(body)

    def refuse(self, reason):
        return 200, {"ok": False, "error": reason}, []

    def reply(self, method, path, query, headers, told):
        if path == "/upload/F1":
            need("authorization" not in headers, "the key is not for the place of files")
            need(len(told) == self.files["F1"]["length"], "length")
            self.files["F1"]["body"] = told
            return 200, None
        need(headers.get("authorization") == "Bearer xoxb", "invalid_auth")
        if self.limited:
            self.limited -= 1
            raise Wrong("ratelimited")
        return 200, {"ok": True} | getattr(self, path.rpartition("/")[2].replace(".", "_"))(told)

    def chat_postMessage(self, told):
        need(told["channel"] == "#ds", "channel_not_found")
        known = {"channel", "text", "blocks", "unfurl_links", "unfurl_media", "thread_ts", "reply_broadcast"}
        need(set(told) <= known and len(told["text"]) <= 40_000 and len(told["blocks"]) <= 50, "invalid_blocks")
        for block in told["blocks"]:
            texts = block["elements"] if block["type"] == "context" else [block["text"]]
            need(all(each["type"] == "mrkdwn" and 0 < len(each["text"]) <= 3000 for each in texts), "invalid_blocks")
        ts = f"17.{len(self.messages):06d}"
        need("thread_ts" not in told or told["thread_ts"] in {each["ts"] for each in self.messages}, "thread_not_found")
        self.messages.append({**told, "ts": ts})
        return {"channel": "C012AB3CD", "ts": ts}

    def files_getUploadURLExternal(self, told):
        need(not self.uploads, self.uploads)
        need(told["filename"] and int(told["length"]) > 0 and len(told["alt_txt"]) <= 1000, "invalid_arguments")
        self.files["F1"] = {"length": int(told["length"]), "alt": told["alt_txt"]}
        return {"upload_url": f"{self.url}/upload/F1", "file_id": "F1"}

    def files_completeUploadExternal(self, told):
        ((file),) = told["files"]
        need(told["channel_id"].startswith("C") and "body" in self.files[file["id"]], "invalid_channel")
        need(told["thread_ts"] in {each["ts"] for each in self.messages}, "invalid_thread_ts")
        self.files[file["id"]] |= {"thread": told["thread_ts"], "title": file["title"]}
        return {"files": [{"id": file["id"]}]}
