"""Client library for inference records: standard library only, never blocks and never breaks its caller.

>>> from tocsin import sdk
>>> sdk.configure(url="http://127.0.0.1:9")  # without: TOCSIN_URL and TOCSIN_KEY of the environment
>>> sdk.log(prediction_id="42", model="churn", version="3", prediction="stays", score=0.91, features={"age": 41})
>>> sdk.truth("42", "left")
>>> sdk.feedback("42", clicked=True)
>>> sdk.stats()["logged"]
3
>>> sdk.close(timeout_s=0.0)
False

Rows wait in a bounded queue and are sent by a thread of their own, many at once, gzipped, tried again where that
helps. What can't be kept or sent is counted in `stats()`, and told by the logger `tocsin.sdk` at most once a minute.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from tocsin.sdk.client import Client

__all__ = ["Client", "close", "configure", "feedback", "flush", "log", "log_bulk", "stats", "truth"]

_lock = threading.Lock()
_client: Client | None = None


def configure(url: str | None = None, key: str | None = None, **options: Any) -> None:
    """Send to this server from now on; `options` are those of `Client`. Rows of an earlier one are still sent."""
    global _client
    before, _client = _client, Client(url, key, **options)
    if before is not None:
        before.retire()


def _ours() -> Client:
    global _client  # noqa: PLW0603 - the one client of this process
    if _client is None:
        with _lock:
            if _client is None:
                _client = Client()
    return _client


def log(
    *,
    prediction_id: str | None = None,
    model: str | None = None,
    version: str | None = None,
    prediction: Any = None,
    score: float | None = None,
    features: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    embedding: Any = None,
    attributions: Mapping[str, float] | None = None,
    attention: Any = None,
    time: Any = None,
    **more: Any,
) -> None:
    """Log one prediction; see `Client.log`."""
    _ours().log(
        prediction_id=prediction_id,
        model=model,
        version=version,
        prediction=prediction,
        score=score,
        features=features,
        tags=tags,
        embedding=embedding,
        attributions=attributions,
        attention=attention,
        time=time,
        **more,
    )


def log_bulk(frame: Any, **options: Any) -> None:
    """Log the rows of a DataFrame, an Arrow table or dictionaries; see `Client.log_bulk`."""
    _ours().log_bulk(frame, **options)


def feedback(
    prediction_id: str, value: Any = None, *, time: Any = None, tags: Mapping[str, Any] | None = None, **named: Any
) -> None:
    """Log what became of a prediction: one value, or several by name; see `Client.feedback`."""
    _ours().feedback(prediction_id, value, time=time, tags=tags, **named)


def truth(prediction_id: str, value: Any, *, time: Any = None, tags: Mapping[str, Any] | None = None) -> None:
    """Log what was right; see `Client.truth`."""
    _ours().truth(prediction_id, value, time=time, tags=tags)


def flush(timeout_s: float = 10.0) -> bool:
    """Wait until all that was logged is sent or given up; whether that was so in time."""
    return _ours().flush(timeout_s)


def close(timeout_s: float = 5.0) -> bool:
    """Send what waits and stop; whether all of it could be sent in time. The next call starts anew."""
    global _client
    client, _client = _client, None
    return client is None or client.close(timeout_s)


def stats() -> dict[str, int]:
    """Counts of rows since the client was made; see `Client.stats`."""
    return _ours().stats()
