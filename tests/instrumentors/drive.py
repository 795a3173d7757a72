"""Drives one provider's SDK under one instrumentor: `drive.py INSTRUMENTOR PROVIDER ADDRESS`, in an environment of theirs.

Every scene is a trace of its own under a span `scene NAME`.
"""

from __future__ import annotations

import contextlib
import os
import sys

INSTRUMENTOR, PROVIDER, ADDRESS = sys.argv[1:4]
os.environ.update(
    OTEL_EXPORTER_OTLP_ENDPOINT=ADDRESS,
    OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
    OTEL_SERVICE_NAME="assistant",
    OTEL_RESOURCE_ATTRIBUTES="cloud.region=eu-west-1",
    TRACELOOP_TRACE_CONTENT="true",
    TRACELOOP_TELEMETRY="false",
    OPENAI_API_KEY="key",
    ANTHROPIC_API_KEY="key",
    AWS_ACCESS_KEY_ID="key",
    AWS_SECRET_ACCESS_KEY="secret",
    AWS_DEFAULT_REGION="eu-west-1",
    AWS_EC2_METADATA_DISABLED="true",
)
if len(sys.argv) > 4:
    os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = sys.argv[4]

from opentelemetry import trace  # noqa: E402 - reads the environment set above

SYSTEM = "You find invoices."
TOOL = {"type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]}
SCENES = ("plain", "stream", "tool", "fail 429", "fail 500", "fail 503", "fail context", "timeout")
AGAIN = "again"


def instrument():
    """Switch the instrumentor on and give the span processor that exports."""
    if INSTRUMENTOR == "openlit":
        import openlit

        openlit.init(
            otlp_endpoint=ADDRESS,
            application_name="assistant",
            environment="test",
            disable_metrics=True,
            pricing_json=f"{ADDRESS}/pricing.json",
        )
        return
    if INSTRUMENTOR == "traceloop":
        from traceloop.sdk import Traceloop

        Traceloop.init(app_name="assistant", api_endpoint=ADDRESS, disable_batch=True, telemetry_enabled=False)
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    if INSTRUMENTOR == "openai-v2":
        from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor

        OpenAIInstrumentor().instrument()
    elif INSTRUMENTOR == "traceloop-alone":
        from opentelemetry.instrumentation.langchain import LangchainInstrumentor

        LangchainInstrumentor().instrument()
    elif INSTRUMENTOR in ("openinference", "openinference-httpx"):
        import importlib

        module = importlib.import_module(f"openinference.instrumentation.{PROVIDER}")
        names = {
            "openai": "OpenAI",
            "anthropic": "Anthropic",
            "bedrock": "Bedrock",
            "cohere": "Cohere",
            "langchain": "LangChain",
        }
        getattr(module, names[PROVIDER] + "Instrumentor")().instrument()
    if INSTRUMENTOR == "openinference-httpx":
        from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor

        HTTPXClientInstrumentor().instrument()


def text(scene):
    """What the user asks in a scene."""
    asked = scene.startswith("fail") or AGAIN in scene
    wanted = {"tool": "use a tool", "timeout": "be slow"}.get(scene, scene if asked else "")
    return f"Where is invoice 7? {wanted}".strip()


def openai(scene):
    """One scene with OpenAI's SDK."""
    import openai as sdk

    client = sdk.OpenAI(base_url=f"{ADDRESS}/v1", max_retries=2 if AGAIN in scene else 0, timeout=1.0)
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": text(scene)}]
    if scene == "embeddings":
        return client.embeddings.create(model="text-embedding-3-small", input="Where is invoice 7?")
    more = {}
    if scene == "tool":
        function = {"name": "find_invoice", "description": "Finds one", "parameters": TOOL}
        more["tools"] = [{"type": "function", "function": function}]
    if scene == "stream":
        more |= {"stream": True, "stream_options": {"include_usage": True}}
    found = client.chat.completions.create(model="gpt-4o-mini", messages=messages, user="user-7", **more)
    return list(found) if scene == "stream" else found


def anthropic(scene):
    """One scene with Anthropic's SDK."""
    import anthropic as sdk

    client = sdk.Anthropic(base_url=ADDRESS, max_retries=0, timeout=1.0)
    more = {}
    if scene == "tool":
        more["tools"] = [{"name": "find_invoice", "description": "Finds one", "input_schema": TOOL}]
    if scene == "stream":
        more["stream"] = True
    messages = [{"role": "user", "content": text(scene)}]
    found = client.messages.create(model="claude-sonnet-4-5", max_tokens=512, system=SYSTEM, messages=messages, **more)
    return list(found) if scene == "stream" else found


def langchain(scene):
    """One scene with LangChain over OpenAI's SDK; one retrieves documents first."""
    from langchain_core.documents import Document
    from langchain_core.embeddings import DeterministicFakeEmbedding
    from langchain_core.vectorstores import InMemoryVectorStore
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model="gpt-4o-mini", base_url=f"{ADDRESS}/v1", max_retries=0, timeout=1.0, stream_usage=True)
    question = text(scene)
    if scene in ("rag", "nothing found"):
        store = InMemoryVectorStore(DeterministicFakeEmbedding(size=8))
        titles = ["Invoice 7 is in the second drawer.", "Invoices are kept for ten years.", "Drawers are locked."]
        store.add_documents([Document(each, metadata={"source": "handbook"}) for each in titles if scene == "rag"])
        found = store.as_retriever(search_kwargs={"k": 3}).invoke(question)
        question = f"{question} Known: {' '.join(each.page_content for each in found)}"
    if scene == "tool":
        function = {"name": "find_invoice", "description": "Finds one", "parameters": TOOL}
        model = model.bind_tools([{"type": "function", "function": function}])
    messages = [("system", SYSTEM), ("user", question)]
    return list(model.stream(messages)) if scene == "stream" else model.invoke(messages)


def cohere(scene):
    """One scene with Cohere's SDK."""
    import cohere as sdk

    client = sdk.ClientV2(api_key="key", base_url=ADDRESS, timeout=1.0)
    if scene == "embeddings":
        return client.embed(
            model="embed-v4.0", texts=["Where is invoice 7?"], input_type="search_query", embedding_types=["float"]
        )
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": text(scene)}]
    options = {"request_options": {"max_retries": 0, "timeout_in_seconds": 1}}
    if scene == "stream":
        return list(client.chat_stream(model="command-r-08-2024", messages=messages, **options))
    return client.chat(model="command-r-08-2024", messages=messages, **options)


def bedrock(scene):
    """One scene with boto3's client of Bedrock."""
    import json

    import boto3
    from botocore.config import Config

    config = Config(retries={"max_attempts": 0}, read_timeout=1, connect_timeout=1)
    client = boto3.client("bedrock-runtime", endpoint_url=ADDRESS, config=config)
    model = "anthropic.claude-3-haiku-20240307-v1:0"
    if scene == "invoke":
        messages = [{"role": "user", "content": text(scene)}]
        body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 512, "system": SYSTEM, "messages": messages}
        return json.loads(client.invoke_model(modelId=model, body=json.dumps(body))["body"].read())
    messages = [{"role": "user", "content": [{"text": text(scene)}]}]
    asked = {
        "modelId": model,
        "messages": messages,
        "system": [{"text": SYSTEM}],
        "inferenceConfig": {"maxTokens": 512},
    }
    if scene == "stream":
        return list(client.converse_stream(**asked)["stream"])
    return client.converse(**asked)


def main():
    """All scenes of the provider, then what waits is exported."""
    instrument()
    tracer = trace.get_tracer("scenes")
    known = {"openai": openai, "anthropic": anthropic, "cohere": cohere, "bedrock": bedrock, "langchain": langchain}
    play = known[PROVIDER]
    more = {
        "openai": ["embeddings"], "cohere": ["embeddings"], "bedrock": ["invoke"], "langchain": ["rag", "nothing found"],
    }.get(PROVIDER, [])  # fmt: skip
    if INSTRUMENTOR == "openinference-httpx":  # what is of interest here are the requests of a call that is tried again
        scenes = ("plain", "again once", "again twice", "fail 503 again")
    else:
        scenes = (*SCENES, *more)
    for scene in scenes:
        if scene == "tool" and PROVIDER in ("cohere", "bedrock"):
            continue
        with tracer.start_as_current_span(f"scene {scene}"):
            try:
                play(scene)
            except Exception as error:  # noqa: BLE001 - what SDKs raise is what is recorded
                print(f"{scene}: {type(error).__name__}: {str(error)[:200]}", file=sys.stderr)
    with contextlib.suppress(AttributeError):
        trace.get_tracer_provider().force_flush()
        trace.get_tracer_provider().shutdown()


if __name__ == "__main__":
    main()
