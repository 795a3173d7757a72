"""A server that speaks the HTTP APIs of OpenAI, Anthropic, Cohere and Bedrock, by their documented response schemas.

What is asked says what happens: `fail 429`, `fail 500`, `fail 503`, `fail context`, `be slow`, `use a tool`, `again once` and
`again twice` (429 and 503 before the answer). Every call takes the same: `WHOLE` tokens of prompt, of which `READ` come from a cache, and `ANSWER` tokens of answer.
Needs nothing but the standard library: it also runs where only instrumentors are installed.
"""

from __future__ import annotations

import binascii
import json
import struct
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

WHOLE, READ, WRITTEN, ANSWER, THOUGHT = 1200, 900, 100, 300, 64
SLOW_S = 3.0
TOO_LONG = (
    "This model's maximum context length is 128000 tokens. However, your messages resulted in 130012 tokens."
    " Please reduce the length of the messages."
)
WORDS = ["The ", "invoice ", "is ", "in ", "the ", "archive."]


class Provider(BaseHTTPRequestHandler):
    """One request of an SDK."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = unquote(self.path.split("?")[0])
        if path.startswith("/v1/traces"):
            self.server.record(body, self.headers)
            return self._send(200, b"", "application/x-protobuf")
        if path.startswith(("/v1/metrics", "/v1/logs")):
            return self._send(200, b"", "application/x-protobuf")
        told = json.loads(body or b"{}")
        said = json.dumps(told)
        if "be slow" in said:
            time.sleep(SLOW_S)
        failure = next((kind for kind in ("429", "500", "503", "context") if f"fail {kind}" in said), None)
        failure = self.server.again(said) or failure
        if path.endswith("/chat/completions"):
            return self._openai_chat(told, said, failure)
        if path.endswith("/embeddings"):
            return self._openai_embeddings(told)
        if path.endswith("/v1/messages"):
            return self._anthropic(told, said, failure)
        if path.endswith(("/v2/chat", "/v2/embed")):
            return self._cohere(path, told, said, failure)
        if path.startswith("/model/"):
            return self._bedrock(path, told, said, failure)
        return self._send(404, b'{"error": {"message": "no such address"}}')

    def do_GET(self):
        # openlit asks for its table of prices; it knows one model here, and reports a cost of 0 for the others
        prices = {"chat": {"gpt-4o-mini": {"promptPrice": 0.00015, "completionPrice": 0.0006}}}
        self._send(200, json.dumps(prices if self.path.startswith("/pricing") else {}).encode())

    # -- OpenAI ------------------------------------------------------------------------------------------------------

    def _openai_chat(self, told, said, failure):
        if failure:
            errors = {
                "429": ("Rate limit reached for requests", "requests", "rate_limit_exceeded"),
                "500": ("The server had an error while processing your request.", "server_error", None),
                "503": ("That model is currently overloaded with other requests.", "server_error", None),
                "context": (TOO_LONG, "invalid_request_error", "context_length_exceeded"),
            }
            message, kind, code = errors[failure]
            body = {"error": {"message": message, "type": kind, "param": None, "code": code}}
            return self._send(_status(failure), json.dumps(body).encode())
        model = "gpt-4o-mini-2024-07-18"
        usage = {
            "prompt_tokens": WHOLE,
            "completion_tokens": ANSWER,
            "total_tokens": WHOLE + ANSWER,
            "prompt_tokens_details": {"cached_tokens": READ, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": THOUGHT,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }
        head = {
            "id": self.server.next_id("chatcmpl-"),
            "created": 1795000000,
            "model": model,
            "system_fingerprint": "fp_1",
        }
        if told.get("stream"):
            chunk = {**head, "object": "chat.completion.chunk"}
            with_usage = (told.get("stream_options") or {}).get("include_usage")
            parts = [{"role": "assistant", "content": ""}, *({"content": word} for word in WORDS)]
            lines = [{**chunk, "choices": [_choice({"delta": part})]} for part in parts]
            lines.append({**chunk, "choices": [_choice({"delta": {}}, "stop")]})
            if with_usage:
                lines.append({**chunk, "choices": [], "usage": usage})
            return self._events([f"data: {json.dumps(line)}\n\n" for line in lines] + ["data: [DONE]\n\n"])
        message = {"role": "assistant", "content": "".join(WORDS), "refusal": None}
        reason = "stop"
        if "use a tool" in said:
            call = {"name": "find_invoice", "arguments": '{"number": 7}'}
            message |= {"content": None, "tool_calls": [{"id": "call_1", "type": "function", "function": call}]}
            reason = "tool_calls"
        choice = _choice({"message": message}, reason)
        body = {**head, "object": "chat.completion", "choices": [choice], "usage": usage}
        return self._send(200, json.dumps(body).encode(), headers={"x-request-id": "req_1"})

    def _openai_embeddings(self, told):
        body = {
            "object": "list",
            "data": [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2, 0.3]}],
            "model": told["model"],
            "usage": {"prompt_tokens": WHOLE, "total_tokens": WHOLE},
        }
        self._send(200, json.dumps(body).encode())

    # -- Anthropic ---------------------------------------------------------------------------------------------------

    def _anthropic(self, told, said, failure):
        if failure:
            errors = {
                "429": ("rate_limit_error", "This request would exceed your organization's rate limit"),
                "500": ("api_error", "Internal server error"),
                "503": ("overloaded_error", "Overloaded"),
                "context": ("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
            }
            kind, message = errors[failure]
            body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}
            return self._send(529 if failure == "503" else _status(failure), json.dumps(body).encode())
        usage = {
            "input_tokens": WHOLE - READ - WRITTEN,
            "cache_creation_input_tokens": WRITTEN,
            "cache_read_input_tokens": READ,
            "cache_creation": {"ephemeral_5m_input_tokens": WRITTEN, "ephemeral_1h_input_tokens": 0},
            "service_tier": "standard",
        }
        head = {
            "id": self.server.next_id("msg_"),
            "type": "message",
            "role": "assistant",
            "model": "claude-sonnet-4-5-20250929",
            "stop_sequence": None,
        }
        if told.get("stream"):
            begin = {**head, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
            lines = [
                {"type": "message_start", "message": begin},
                {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
                *(
                    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}}
                    for word in WORDS
                ),
                {"type": "content_block_stop", "index": 0},
                {
                    "type": "message_delta",
                    "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                    "usage": {"output_tokens": ANSWER},
                },
                {"type": "message_stop"},
            ]
            return self._events([f"event: {line['type']}\ndata: {json.dumps(line)}\n\n" for line in lines])
        content = [{"type": "text", "text": "".join(WORDS)}]
        if "use a tool" in said:
            content.append({"type": "tool_use", "id": "toolu_1", "name": "find_invoice", "input": {"number": 7}})
        body = {
            **head,
            "content": content,
            "stop_reason": "tool_use" if "use a tool" in said else "end_turn",
            "usage": {**usage, "output_tokens": ANSWER},
        }
        return self._send(200, json.dumps(body).encode(), headers={"request-id": "req_1"})

    # -- Cohere ------------------------------------------------------------------------------------------------------

    def _cohere(self, path, told, said, failure):
        if failure:
            messages = {
                "429": "You are using a Trial key, which is limited to 20 API calls / minute",
                "500": "internal server error",
                "503": "service unavailable",
                "context": "too many tokens: total number of tokens in the prompt cannot exceed 128000",
            }
            return self._send(_status(failure), json.dumps({"id": "err", "message": messages[failure]}).encode())
        if path.endswith("/v2/embed"):
            body = {
                "id": self.server.next_id("emb-"),
                "texts": told["texts"],
                "embeddings": {"float": [[0.1, 0.2, 0.3]]},
                "response_type": "embeddings_by_type",
                "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": WHOLE}},
            }
            return self._send(200, json.dumps(body).encode())
        took = {"input_tokens": WHOLE, "output_tokens": ANSWER}
        usage = {"billed_units": took, "tokens": took}
        ident = self.server.next_id("co-")
        if told.get("stream"):
            message = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
            lines = [
                {"type": "message-start", "id": ident, "delta": {"message": message}},
                _cohere_event("content-start", {"message": {"content": {"type": "text", "text": ""}}}),
                *(_cohere_event("content-delta", {"message": {"content": {"text": word}}}) for word in WORDS),
                {"type": "content-end", "index": 0},
                {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": usage}},
            ]
            return self._events([f"event: {line['type']}\ndata: {json.dumps(line)}\n\n" for line in lines])
        message = {"role": "assistant", "content": [{"type": "text", "text": "".join(WORDS)}]}
        body = {"id": ident, "finish_reason": "COMPLETE", "message": message, "usage": usage}
        return self._send(200, json.dumps(body).encode())

    # -- Bedrock -----------------------------------------------------------------------------------------------------

    def _bedrock(self, path, told, said, failure):
        if failure:
            errors = {
                "429": ("ThrottlingException", "Too many requests, please wait before trying again."),
                "500": ("InternalServerException", "The system encountered an unexpected error"),
                "503": ("ServiceUnavailableException", "Bedrock is unable to process your request."),
                "context": ("ValidationException", "Input is too long for requested model."),
            }
            kind, message = errors[failure]
            headers = {"x-amzn-ErrorType": kind}
            return self._send(_status(failure), json.dumps({"message": message}).encode(), headers=headers)
        if path.endswith("/converse"):
            body = {
                "output": {"message": {"role": "assistant", "content": [{"text": "".join(WORDS)}]}},
                "stopReason": "end_turn",
                "usage": {"inputTokens": WHOLE, "outputTokens": ANSWER, "totalTokens": WHOLE + ANSWER},
                "metrics": {"latencyMs": 40},
            }
            return self._send(200, json.dumps(body).encode())
        if path.endswith("/converse-stream"):
            usage = {"inputTokens": WHOLE, "outputTokens": ANSWER, "totalTokens": WHOLE + ANSWER}
            events = [
                ("messageStart", {"role": "assistant"}),
                *(("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": word}}) for word in WORDS),
                ("contentBlockStop", {"contentBlockIndex": 0}),
                ("messageStop", {"stopReason": "end_turn"}),
                ("metadata", {"usage": usage, "metrics": {"latencyMs": 40}}),
            ]
            frames = b"".join(_event_frame(name, body) for name, body in events)
            return self._send(200, frames, "application/vnd.amazon.eventstream")
        body = {
            "id": self.server.next_id("msg_bdrk_"),
            "type": "message",
            "role": "assistant",
            "model": "claude-3-haiku-20240307",
            "content": [{"type": "text", "text": "".join(WORDS)}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": WHOLE, "output_tokens": ANSWER},
        }
        headers = {"X-Amzn-Bedrock-Input-Token-Count": str(WHOLE), "X-Amzn-Bedrock-Output-Token-Count": str(ANSWER)}
        return self._send(200, json.dumps(body).encode(), headers=headers)

    # -- wire --------------------------------------------------------------------------------------------------------

    def _send(self, status, body, kind="application/json", headers=None):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(body)
        except BrokenPipeError:  # the SDK gave up waiting
            self.close_connection = True

    def _events(self, lines):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for line in lines:
            data = line.encode()
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            self.wfile.flush()
            time.sleep(0.01)
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    """Provider and recorder on one port; what is exported to `/v1/traces` is kept in `folder`."""

    def __init__(self, folder):
        super().__init__(("127.0.0.1", 0), Provider)
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._ids = 0
        self._bodies = 0
        self._tries = Counter()

    def again(self, said):
        """How this attempt fails, of what is answered only once it is asked again."""
        most = 2 if "again twice" in said else 1 if "again once" in said else 0
        with self._lock:
            self._tries[said] += 1
            return ("429", "503")[self._tries[said] - 1] if self._tries[said] <= most else None

    def next_id(self, prefix):
        with self._lock:
            self._ids += 1
            return f"{prefix}{self._ids:024d}"

    def record(self, body, headers):
        with self._lock:
            self._bodies += 1
            suffix = "json" if "json" in headers.get("Content-Type", "") else "pb"
            packed = ".gz" if headers.get("Content-Encoding") == "gzip" else ""
            (self.folder / f"{self._bodies:04d}.{suffix}{packed}").write_bytes(body)


def _status(failure):
    return 400 if failure == "context" else int(failure)


def _choice(part, reason=None):
    return {"index": 0, **part, "logprobs": None, "finish_reason": reason}


def _cohere_event(kind, delta):
    return {"type": kind, "index": 0, "delta": delta}


def _event_frame(name, body):
    """One message of Amazon's event stream encoding."""
    headers = b""
    for key, value in ((":event-type", name), (":content-type", "application/json"), (":message-type", "event")):
        headers += bytes([len(key)]) + key.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
    payload = json.dumps(body).encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    frame = prelude + struct.pack(">I", binascii.crc32(prelude)) + headers + payload
    return frame + struct.pack(">I", binascii.crc32(frame))


if __name__ == "__main__":
    server = Server(sys.argv[1])
    print(server.server_address[1], flush=True)
    server.serve_forever()
