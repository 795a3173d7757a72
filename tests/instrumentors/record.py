"""Records what real instrumentors send: `python tests/instrumentors/record.py [--in FOLDER] [NAME ...]`.

Makes an environment for each requirements file (kept in FOLDER), drives each provider's real SDK in it against a local
server, and writes the spans as OTLP/JSON to `tests/fixtures/genai/<instrumentor>-<version>/<provider>.json`, without
what belongs to this machine or this hour. Names choose among `<instrumentor>-<provider>`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from base64 import b64decode
from pathlib import Path

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

HERE = Path(__file__).parent
FIXTURES = HERE.parent / "fixtures" / "genai"
NEW, ANTHROPIC, OLDER = "requirements.txt", "requirements-anthropic.txt", "requirements-older.txt"
LANGCHAIN, RETRIES = "requirements-langchain.txt", "requirements-retries.txt"
TAKES = [
    *((NEW, "openlit", provider) for provider in ("openai", "anthropic", "cohere", "bedrock")),
    *((NEW, "traceloop", provider) for provider in ("openai", "anthropic", "bedrock")),
    *((NEW, "openinference", provider) for provider in ("openai", "cohere", "bedrock")),
    *((ANTHROPIC, instrumentor, "anthropic") for instrumentor in ("openinference", "none")),
    *((OLDER, "traceloop", provider) for provider in ("openai", "anthropic", "cohere")),
    *((LANGCHAIN, instrumentor, "langchain") for instrumentor in ("openinference", "traceloop-alone")),
    (RETRIES, "openinference-httpx", "openai"),
    *((OLDER, instrumentor, "openai") for instrumentor in ("openai-v2", "openinference")),
]
PACKAGES = {
    "openlit": "openlit",
    "traceloop": "traceloop-sdk",
    "traceloop-alone": "opentelemetry-instrumentation-{provider}",
    "openai-v2": "opentelemetry-instrumentation-openai-v2",
    "openinference": "openinference-instrumentation-{provider}",
    "openinference-httpx": "opentelemetry-instrumentation-httpx",
    "none": "{provider}",
}
NAMES = {"none": "{provider}-sdk", "openai-v2": "openai-v2", "traceloop-alone": "traceloop"}
EPOCH_NS = 1_795_000_000 * 10**9
OWN = {
    "service.instance.id",
    "host.name",
    "process.pid",
    "server.port",
    "net.peer.port",
    "exception.stacktrace",
    "thread.id",
}
ADDRESS = re.compile(r"127\.0\.0\.1:\d+")
PLACE = re.compile(r'File "[^"]*/(?:site-packages|lib/python3\.\d+|tests/instrumentors)/')
"""Where a program lies on one machine, in the tracebacks that some emitters send."""
DATE = re.compile(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT")


def python_of(folder: Path, requirements: str) -> Path:
    """The interpreter of an environment, made if it isn't there."""
    home = folder / Path(requirements).stem
    python = home / "bin" / "python"
    if not python.exists():
        subprocess.run(["uv", "venv", "-q", "--python", sys.executable, str(home)], check=True)
        subprocess.run(
            ["uv", "pip", "install", "-q", "--python", str(python), "-r", str(HERE / requirements)], check=True
        )
    return python


def take(python: Path, instrumentor: str, provider: str) -> None:
    """Record one instrumentor with one provider."""
    package = PACKAGES[instrumentor].format(provider=provider)
    told = subprocess.run(
        [python, "-c", f"import importlib.metadata as m; print(m.version({package!r}))"],
        check=True,
        capture_output=True,
        text=True,
    )
    name = f"{NAMES.get(instrumentor, instrumentor).format(provider=provider)}-{told.stdout.strip()}"
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            [sys.executable, str(HERE / "provider_server.py"), folder], stdout=subprocess.PIPE, text=True
        )
        try:
            port = server.stdout.readline().strip()
            drive = [python, str(HERE / "drive.py"), instrumentor, provider, f"http://127.0.0.1:{port}"]
            subprocess.run(drive, check=True, env={**os.environ, "PYTHONWARNINGS": "ignore"}, stderr=subprocess.DEVNULL)
        finally:
            server.terminate()
            server.wait()
        found = merged(Path(folder))
    folder = FIXTURES.with_name("genai_retries") if requirements_of(instrumentor) == RETRIES else FIXTURES
    target = folder / name / f"{provider}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    spans = sum(len(scope["spans"]) for one in found["resourceSpans"] for scope in one["scopeSpans"])
    print(f"{target.relative_to(FIXTURES.parent)}: {spans} spans", flush=True)


def requirements_of(instrumentor: str) -> str:
    """The file of requirements that an instrumentor is first recorded with."""
    return next(requirements for requirements, name, _ in TAKES if name == instrumentor)


def merged(folder: Path) -> dict:
    """All bodies of a folder as one, in order."""
    request = ExportTraceServiceRequest()
    for file in sorted(folder.glob("*.pb*")):
        body = file.read_bytes()
        request.MergeFromString(gzip.decompress(body) if file.suffix == ".gz" else body)
    spans = [span for one in request.resource_spans for scope in one.scope_spans for span in scope.spans]
    shift = EPOCH_NS - min(span.start_time_unix_nano for span in spans)
    for span in spans:
        span.start_time_unix_nano += shift
        span.end_time_unix_nano += shift
        for event in span.events:
            event.time_unix_nano += shift
    return scrubbed(MessageToDict(request))


def scrubbed(value):
    """OTLP/JSON (hex ids) without what belongs to one machine."""
    if isinstance(value, list):
        return [scrubbed(one) for one in value if not (isinstance(one, dict) and one.get("key") in OWN)]
    if isinstance(value, dict):
        return {
            key: b64decode(one).hex() if key in ("traceId", "spanId", "parentSpanId") else scrubbed(one)
            for key, one in value.items()
        }
    if isinstance(value, str):
        value = PLACE.sub('File "', ADDRESS.sub("127.0.0.1:8000", value))
        return DATE.sub("Sun, 22 Nov 2026 12:00:00 GMT", value)
    return value


def main() -> None:
    """Record what is asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--in", dest="folder", type=Path, help="where environments are kept (default: thrown away)")
    parser.add_argument("names", nargs="*")
    asked = parser.parse_args()
    folder = asked.folder or Path(tempfile.mkdtemp())
    try:
        for requirements, instrumentor, provider in TAKES:
            if not asked.names or f"{instrumentor}-{provider}" in asked.names:
                take(python_of(folder, requirements), instrumentor, provider)
    finally:
        if asked.folder is None:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
