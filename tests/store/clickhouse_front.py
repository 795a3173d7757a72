"""ClickHouse's HTTP interface, as clickhouse-connect uses it, before one chDB: run as `clickhouse_front.py DIR PORT`.

There is no ClickHouse server here and no Keeper, so what only they can do is checked and then done the plain way: a
statement ON CLUSTER must parse as it is, and runs here; a replicated table must have its macros, and is a plain one
that remembers tokens. Distributed tables are real ones, over a cluster of one shard. Every query is planned a second
time over a cluster of two shards, where the engine refuses what only one shard can answer.

`POST /_fault` takes a JSON object with what goes wrong next: see `Faults`.
"""

from __future__ import annotations

import base64
import json
import re
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

USER, PASSWORD, CLUSTER, POLICY = "tocsin", "front-secret", "one", "tiered"
_CONFIG = """<clickhouse><tcp_port>9000</tcp_port><macros><shard>01</shard><replica>a</replica></macros>
<storage_configuration><disks><cold><path>{path}/cold/</path></cold></disks><policies><tiered><volumes>
<hot><disk>default</disk></hot><cold><disk>cold</disk></cold></volumes></tiered></policies></storage_configuration>
<remote_servers><one>{shard}</one><two>{shard}{shard}</two></remote_servers></clickhouse>"""
_SHARD = """<shard><internal_replication>true</internal_replication>
<replica><host>127.0.0.1</host><port>9000</port></replica></shard>"""
_ON = re.compile(r" ON CLUSTER `(\w+)`")
_REPLICATED = re.compile(
    r"ENGINE = Replicated(\w*MergeTree)\('/clickhouse/tables/one/\{shard\}/[^']+', '\{replica\}'(?:, )?([^)]*)\)"
)
_INSERT = re.compile(r"(INSERT INTO \S+ \([^)]*\)) FORMAT (\w+)\s*$", re.DOTALL)
_FORMAT = re.compile(r"\s+FORMAT\s+(\w+)\s*;?\s*$")
_CODE = re.compile(r"Code: (\d+)")
_OF_TRANSPORT = {
    "query",
    "database",
    "query_id",
    "session_id",
    "compress",
    "wait_end_of_query",
    "client_protocol_version",
}
_OF_TRANSPORT |= {
    "send_progress_in_http_headers",
    "http_headers_progress_interval_ms",
    "enable_http_compression",
    "role",
}


@dataclass
class Faults:
    """What goes wrong with the next inserts, or from now on."""

    lose_answers: int = 0  # done, but the connection is cut before anybody hears of it
    no_keeper: int = 0  # refused, as when Keeper is lost
    refuse: str = ""  # a table whose rows are never taken
    hang_s: float = 0.0  # before every answer


class Front:
    """One chDB directory; a connection for every set of settings."""

    def __init__(self, path: Path) -> None:
        import chdb

        self._connect = chdb.connect
        path.mkdir(parents=True, exist_ok=True)
        config = path / "config.xml"
        config.write_text(_CONFIG.format(path=path, shard=_SHARD))
        self._where = f"{path / 'data'}?config-file={config}"
        self._connections: dict[tuple[tuple[str, str], ...], object] = {}
        self._lock = threading.Lock()
        self.faults = Faults()

    def _connection(self, settings: dict[str, str]):
        key = tuple(sorted(settings.items()))
        if key not in self._connections:
            made = self._connect(self._where)
            for name, value in key:
                made.query(f"SET {name} = '{value}'")
            self._connections[key] = made
        return self._connections[key]

    def run(self, sql: str, body: bytes, settings: dict[str, str], params: dict[str, str]) -> bytes:
        with self._lock:
            token = settings.pop("insert_deduplication_token", "")
            connection = self._connection(settings)
            insert = _INSERT.match(sql)
            if insert:
                return self._insert(connection, insert, body, token)
            found = _FORMAT.search(sql)
            form = found[1] if found else "TabSeparated"
            sql = sql[: found.start()] if found else sql
            if _ON.search(sql):
                return self._on_cluster(connection, sql)
            assert "Replicated" not in sql or sql.lstrip().startswith("SELECT"), sql
            if "tocsin." in sql and sql.lstrip().startswith(("SELECT", "WITH")):
                connection.query(f"EXPLAIN {sql.replace('tocsin.', 'tocsin_two.')}", "TabSeparated", params=params)
            return connection.query(sql, form, params=params).bytes() or b""

    def _insert(self, connection, insert: re.Match[str], body: bytes, token: str) -> bytes:
        if self.faults.refuse and f".{self.faults.refuse} " in insert[1].replace("`", ""):
            raise RuntimeError("Code: 27. DB::Exception: Cannot parse input. (CANNOT_PARSE_INPUT_ASSERTION_FAILED)")
        if self.faults.no_keeper:
            self.faults.no_keeper -= 1
            raise RuntimeError("Code: 999. Coordination::Exception: Session expired. (KEEPER_EXCEPTION)")
        with tempfile.NamedTemporaryFile(suffix=".in") as file:
            file.write(body)
            file.flush()
            tail = f" SETTINGS insert_deduplication_token = '{token}'" if token else ""
            connection.query(f"{insert[1]} FROM INFILE '{file.name}'{tail} FORMAT {insert[2]}")
        if self.faults.lose_answers:
            self.faults.lose_answers -= 1
            raise ConnectionAbortedError
        return b""

    def _on_cluster(self, connection, sql: str) -> bytes:
        assert _ON.findall(sql) == [CLUSTER], sql
        connection.query(f"EXPLAIN AST {sql}")  # the statement as a cluster would get it
        plain = _ON.sub("", sql)
        plain, replicated = _REPLICATED.subn(lambda m: f"ENGINE = {m[1]}({m[2]})", plain)
        if replicated:
            plain += ", non_replicated_deduplication_window = 10000"
        assert "Replicated" not in plain, sql
        plain = plain.removesuffix(" SYNC")  # it would wait for handles that are kept here
        connection.query(plain)
        if plain.startswith("DROP DATABASE"):
            connection.query(plain.replace(" tocsin", " tocsin_two"))
        elif plain.startswith("CREATE DATABASE"):
            connection.query("CREATE DATABASE IF NOT EXISTS tocsin_two")
        elif "Distributed('one'" in plain or (plain.startswith("ALTER TABLE") and "_local " not in plain):
            connection.query(plain.replace("TABLE IF NOT EXISTS tocsin.", "TABLE IF NOT EXISTS tocsin_two.")
                             .replace("ALTER TABLE tocsin.", "ALTER TABLE tocsin_two.").replace("'one'", "'two'"))  # fmt: skip
        return b""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    front: Front

    def do_GET(self) -> None:
        if urlsplit(self.path).path == "/ping":
            self._answer(200, b"Ok.\n")
        else:
            self.do_POST()

    def do_POST(self) -> None:
        body = self._body()
        if self.path == "/_fault":
            self.front.faults = Faults(**json.loads(body))
            self._answer(200, b"")
            return
        parts = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        expected = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") != expected:
            self._fail("Code: 516. DB::Exception: Authentication failed. (AUTHENTICATION_FAILED)")
            return
        params = {key[6:]: value for key, value in parts.items() if key.startswith("param_")}
        settings = {k: v for k, v in parts.items() if k not in _OF_TRANSPORT and not k.startswith("param_")}
        sql = parts.get("query") or body.decode()
        try:
            found = self.front.run(sql.strip(), body, settings, params)
        except ConnectionAbortedError:
            self.close_connection = True
            self.connection.close()
            return
        except Exception as error:  # noqa: BLE001  the engine's own words go to the client, as a server's would
            self._fail(str(error))
            return
        time.sleep(self.front.faults.hang_s)
        self._answer(200, found)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "") == "chunked":
            chunks = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _fail(self, text: str) -> None:
        code = _CODE.search(text)
        self._answer(500, text.encode(), {"X-ClickHouse-Exception-Code": code[1] if code else "1"})

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"X-ClickHouse-Timezone": "UTC", "X-ClickHouse-Summary": "{}", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


def main() -> None:
    Handler.front = Front(Path(sys.argv[1]))
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Handler)
    server.daemon_threads = True
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
