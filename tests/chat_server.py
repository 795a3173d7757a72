"""A real HTTP server of OpenAI's chat completions: refuses what the schema does not allow, and answers as told."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = "sk-test"
_FIELDS = {
    "model": str,
    "messages": list,
    "temperature": (int, float),
    "max_completion_tokens": int,
    "response_format": dict,
}
_ROLES = {"system", "user", "assistant"}


def _wrong(path, headers, body):
    if path != "/v1/chat/completions":
        return 404, f"unknown path {path}"
    if headers.get("authorization") != f"Bearer {KEY}":
        return 401, "incorrect API key"
    if headers.get("content-type") != "application/json":
        return 415, "not JSON"
    extra = set(body) - set(_FIELDS)
    if extra:
        return 400, f"unrecognised: {sorted(extra)}"
    bad = [name for name, kind in _FIELDS.items() if name in body and not isinstance(body[name], kind)]
    if bad or not body.get("model") or not body.get("messages"):
        return 400, f"bad: {bad}"
    for message in body["messages"]:
        if (
            set(message) != {"role", "content"}
            or message["role"] not in _ROLES
            or not isinstance(message["content"], str)
        ):
            return 400, "bad message"
    if body.get("response_format") == {"type": "json_object"} and not any(
        "JSON" in each["content"] for each in body["messages"]
    ):
        return 400, "messages must contain the word JSON to use this format"
    return 0, ""


class ChatServer:
    """`say` makes the content of an answer from the observations; `status` other than 200 fails."""

    def __init__(self):
        self.say = lambda _: ""
        self.status = 200
        self.calls_tools = False
        self.hold = threading.Event()
        self.hold.set()
        self.came = threading.Event()
        self.asked = []
        self.wrong = []
        outer = self

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.asked.append(body)
                outer.came.set()
                outer.hold.wait(60)
                status, why = _wrong(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
                if status:
                    outer.wrong.append(why)
                    return self.answer(status, {"error": {"message": why}})
                if outer.status != 200:
                    return self.answer(outer.status, {"error": {"message": "not now"}})
                message = {"role": "assistant", "content": outer.say(json.loads(body["messages"][1]["content"]))}
                if outer.calls_tools:
                    call = {"id": "1", "type": "function", "function": {"name": "resolve_incident", "arguments": "{}"}}
                    message["tool_calls"] = [call]
                choice = {"index": 0, "finish_reason": "stop", "message": message}
                usage = {"prompt_tokens": 400, "completion_tokens": 40, "total_tokens": 440}
                return self.answer(200, {"id": "x", "object": "chat.completion", "choices": [choice], "usage": usage})

            def answer(self, status, body):
                raw = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.hold.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
