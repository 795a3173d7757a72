"""A real HTTP server that keeps what is posted to it, with the moment when it came."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from system.server import LOOPBACK


class Hook:
    """`posts` holds (monotonic s, headers, body) of everything that came."""

    def __init__(self):
        self.posts = []
        hook = self

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self):
                came = time.monotonic()
                body = self.rfile.read(int(self.headers["content-length"]))
                hook.posts.append((came, dict(self.headers), json.loads(body)))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Answer)
        self.url = f"http://{LOOPBACK}:{self._server.server_port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self):
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
