"""Talks to a running server; whatever goes wrong says what, where and what to do next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tocsin.model.errors import BadInput, Overloaded, Refused, Unreachable
from tocsin.model.text import one_line

if TYPE_CHECKING:
    import ssl

    import httpx2

_TOO_BUSY = (429, 502, 503, 504)


class Server:
    """A running server, by address and key."""

    def __init__(self, url: str, key: str = "", *, timeout_s: float = 30.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadInput(f"{url!r} is not the address of a server; write it like http://127.0.0.1:8642")
        self._url = url.rstrip("/")
        self._headers = {"authorization": f"Bearer {key}"} if key else {}
        self._timeout_s = timeout_s

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """The JSON document at a path."""
        with self.stream("GET", path, params=params) as answer:
            return _json(answer)

    def post(self, path: str, body: object = None) -> Any:
        """What the server answers to a JSON body; None to an empty answer."""
        with self.stream("POST", path, json=body) as answer:
            return _json(answer) if answer.read() else None

    def put(self, path: str, body: object) -> Any:
        """What the server answers to a JSON body that takes the place of what is at a path."""
        with self.stream("PUT", path, json=body) as answer:
            return _json(answer)

    def delete(self, path: str) -> Any:
        """What the server answers to the deletion of what is at a path."""
        with self.stream("DELETE", path) as answer:
            return _json(answer)

    @contextmanager
    def stream(self, method: str, path: str, **request: Any) -> Iterator[httpx2.Response]:
        """An answer whose body is read by the caller.

        Raises
        ------
        Unreachable
            Nobody answers there, or the answer broke off.
        Overloaded, Refused
            The server can't now; or won't, and says why.
        """
        import httpx2  # noqa: PLC0415 - only commands that call a server need it

        try:
            with (
                httpx2.Client(timeout=self._timeout_s, headers=self._headers, verify=_roots(self._url)) as client,
                client.stream(method, self._url + path, **request) as answer,
            ):
                if answer.status_code >= 400:
                    answer.read()
                    self._complain(answer)
                yield answer
        except httpx2.TransportError as error:
            raise Unreachable(
                f"can't reach {self._url}: {one_line(str(error)) or type(error).__name__}; "
                "start a server with `tocsin serve`, or name another with --url"
            ) from None

    def _complain(self, answer: httpx2.Response) -> None:
        text = _reason(answer)
        if answer.status_code in _TOO_BUSY:
            raise Overloaded(f"{self._url} can't answer now ({answer.status_code}): {text}")
        if answer.status_code == 401:
            text += "; give a key with --key or TOCSIN_KEY"
        raise Refused(f"{self._url} refused ({answer.status_code}): {text}")


def _roots(url: str) -> ssl.SSLContext | bool:
    """Whom a connection to an address trusts: nobody has to be where it is not encrypted, and reading all roots takes time."""
    import ssl  # noqa: PLC0415 - as httpx2 above

    return True if url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _json(answer: httpx2.Response) -> Any:
    answer.read()
    try:
        return answer.json()
    except ValueError:
        raise Unreachable(f"{answer.url.host}:{answer.url.port} answers, but is no Tocsin server") from None


def _reason(answer: httpx2.Response) -> str:
    """The words of a problem document, or the start of whatever came."""
    try:
        body = answer.json()
    except ValueError:
        return one_line(answer.text) or answer.reason_phrase
    if not isinstance(body, dict):
        return answer.reason_phrase
    said = {name: body[name] for name in ("detail", "title", "message", "next") if isinstance(body.get(name), str)}
    if "detail" in said:
        said.pop("title", "")  # it only names the status
    parts = list(said.values())
    return one_line("; ".join(dict.fromkeys(parts)), 500) or answer.reason_phrase
