"""The one client for outgoing HTTP: checked addresses, no redirects, bounded time and size.

The name is resolved, every address is checked, and the connection goes to a checked address, so that a name
that resolves differently a moment later (DNS rebinding) reaches nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import httpcore2
import httpx2

from tocsin.model.errors import BadConfig, Refused, Retryable
from tocsin.model.text import one_line
from tocsin.selfmon.metrics import counter

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]

CONNECT_S = 5.0
READ_S = 10.0
MAX_ANSWER_BYTES = 256 * 1024
_RETRYABLE = frozenset({408, 425, 429})
_FORBIDDEN = tuple(
    ipaddress.ip_network(text)
    for text in (
        "100.64.0.0/10",
        "192.0.0.0/24",
        "198.18.0.0/15",
        "169.254.0.0/16",
        "64:ff9b::/96",
        "fd00:ec2::254/128",
    )
)
_BLOCKED = counter("tocsin_notify_blocked_total", "Outgoing connections refused by address")


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Networks of an `allow:` list.

    Raises
    ------
    BadConfig
        A text is no network.
    """
    try:
        return tuple(ipaddress.ip_network(text, strict=False) for text in texts)
    except ValueError as error:
        raise BadConfig(f"allow: {error}; write a network like 10.0.0.0/8") from error


def blocked(address: Address, allow: Sequence[Network]) -> str:
    """Why an address may not be reached, empty if it may.

    >>> from ipaddress import ip_address
    >>> blocked(ip_address("169.254.169.254"), ()), blocked(ip_address("93.184.216.34"), ())
    ('link-local', '')
    >>> blocked(ip_address("127.0.0.1"), networks(["127.0.0.0/8"]))
    ''
    """
    inner = _unwrapped(address)
    if any(inner in network for network in allow if network.version == inner.version):
        return ""
    kinds = (
        (inner.is_loopback, "loopback"),
        (inner.is_link_local, "link-local"),
        (inner.is_multicast, "multicast"),
        (inner.is_unspecified, "unspecified"),
        (inner.is_private, "private"),
        (inner.is_reserved, "reserved"),
        (any(inner in network for network in _FORBIDDEN if network.version == inner.version), "not public"),
    )
    return next((name for is_so, name in kinds if is_so), "")


def _unwrapped(address: Address) -> Address:
    # an IPv4 address inside an IPv6 one reaches the IPv4 host: it is judged as that
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is not None:
            return inner
        if address.teredo is not None:
            return address.teredo[1]
    return address


async def resolve_name(host: str, port: int) -> Sequence[str]:
    """Addresses of a name, in the order of the system."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


async def checked_addresses(host: str, port: int, allow: Sequence[Network], resolve: Resolve) -> list[str]:
    """Addresses of a host that may be reached.

    Raises
    ------
    Refused
        One of its addresses may not be reached: then none is.
    Retryable
        The name can't be resolved now.
    """
    try:
        texts = await asyncio.wait_for(resolve(host, port), CONNECT_S)
    except (OSError, UnicodeError, TimeoutError) as error:
        raise Retryable(f"{one_line(host, 100)} can't be resolved: {error or 'no answer in time'}") from error
    if not texts:
        raise Retryable(f"{one_line(host, 100)} has no address")
    for text in texts:
        why = blocked(ipaddress.ip_address(text.split("%")[0]), allow)
        if why:
            _BLOCKED.inc()
            raise Refused(
                f"{one_line(host, 100)} is at {text}, a {why} address: nothing is sent there; "
                f"if that is meant, add `allow: [{text.split('%')[0]}]` to the destination"
            )
    return list(texts)


class _GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Connects to checked addresses only."""

    def __init__(self, allow: Sequence[Network], resolve: Resolve) -> None:
        self._allow = allow
        self._resolve = resolve
        self._inner = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  the signature is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the first checked address that answers."""
        last: Exception | None = None
        for address in await checked_addresses(host, port, self._allow, self._resolve):
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                last = error
        raise last if last is not None else httpcore2.ConnectError(f"{host} has no address")

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109  the signature is httpcore's
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Never: a destination is on the network."""
        raise httpcore2.ConnectError(f"unix sockets are not reached: {path} after {timeout} {socket_options}")

    async def sleep(self, seconds: float) -> None:
        """Wait, as the connection pool asks."""
        await self._inner.sleep(seconds)


class _Body(httpx2.AsyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._stream:
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()


class _GuardedTransport(httpx2.AsyncBaseTransport):
    """httpx2's transport over a connection pool with the guarded backend; no proxy is ever used."""

    def __init__(self, allow: Sequence[Network], resolve: Resolve, verify: ssl.SSLContext) -> None:
        backend = _GuardedBackend(allow, resolve)
        self._pool = httpcore2.AsyncConnectionPool(ssl_context=verify, network_backend=backend, max_connections=10)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request."""
        url = request.url
        answer = await self._pool.handle_async_request(
            httpcore2.Request(
                method=request.method,
                url=httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx2.Response(answer.status, headers=answer.headers, stream=_Body(answer.stream))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._pool.aclose()


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: status and a bounded body."""

    status: int
    body: bytes

    def text(self) -> str:
        """Start of the body on one line, for messages."""
        return one_line(self.body[:400].decode("utf-8", "replace"), 160)


class GuardedClient:
    """Posts bodies to addresses that may be reached, and turns what comes back into the errors of destinations."""

    def __init__(
        self,
        allow: Sequence[str] = (),
        *,
        resolve: Resolve = resolve_name,
        verify: ssl.SSLContext | None = None,
        read_s: float = READ_S,
    ) -> None:
        timeout = httpx2.Timeout(read_s, connect=CONNECT_S)
        transport = _GuardedTransport(networks(allow), resolve, verify or ssl.create_default_context())
        self._client = httpx2.AsyncClient(transport=transport, timeout=timeout, follow_redirects=False, trust_env=False)

    async def get(self, url: str, headers: Mapping[str, str], limit_bytes: int = MAX_ANSWER_BYTES) -> Answer:
        """Fetch what is at an address, at most `limit_bytes` of it; a 2xx answer is given back.

        Raises
        ------
        Retryable, Refused
            As with `post`.
        """
        return await self._ask("GET", url, None, headers, limit_bytes)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Post a body; a 2xx answer is given back.

        Raises
        ------
        Retryable
            No connection, no answer in time, 408, 425, 429 or 5xx; `Retry-After` is passed on.
        Refused
            The address may not be reached, or any other status, redirects among them.
        """
        return await self._ask("POST", url, body, headers, MAX_ANSWER_BYTES)

    async def ask(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        """Send one request; an answer of any status is given back.

        Raises
        ------
        Retryable
            No connection, or no answer in time.
        Refused
            The address may not be reached.
        """
        return (await self._exchange(method, url, body, headers, MAX_ANSWER_BYTES))[0]

    async def _ask(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str], limit_bytes: int
    ) -> Answer:
        answer, retry_after = await self._exchange(method, url, body, headers, limit_bytes)
        if 200 <= answer.status < 300:
            return answer
        text = f"{_host(url)} answered {answer.status}: {answer.text()}"
        if 300 <= answer.status < 400:
            text = f"{_host(url)} answered {answer.status}, a redirect, and none is followed; write the address it leads to"
        if answer.status in _RETRYABLE or answer.status >= 500:
            raise Retryable(text, retry_after_s=_seconds(retry_after))
        raise Refused(text)

    async def _exchange(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str], limit_bytes: int
    ) -> tuple[Answer, str]:
        """An answer, and what it says of when to ask again."""
        try:
            async with self._client.stream(method, url, content=body, headers=dict(headers)) as response:
                answer = Answer(response.status_code, await _bounded(response, limit_bytes))
                return answer, response.headers.get("retry-after", "")
        except (httpcore2.TimeoutException, httpx2.TimeoutException) as error:
            raise Retryable(f"{_host(url)}: no answer in time ({type(error).__name__})") from error
        except (httpcore2.NetworkError, httpcore2.ProtocolError, httpx2.TransportError) as error:
            raise Retryable(f"{_host(url)}: {error or type(error).__name__}") from error
        except (httpcore2.UnsupportedProtocol, httpx2.InvalidURL) as error:
            raise Refused(f"{_host(url)}: {error}") from error

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


async def _bounded(response: httpx2.Response, limit_bytes: int) -> bytes:
    got = bytearray()
    async for part in response.aiter_raw():  # raw: a compressed bomb stays small
        got += part
        if len(got) > limit_bytes:
            break
    return bytes(got[:limit_bytes])


def _seconds(text: str) -> float | None:
    # the date form needs a clock on both sides to agree: the usual backoff serves as well
    return float(text) if text.isascii() and text.isdigit() and len(text) < 8 else None


def _host(url: str) -> str:
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        return "address"
    # paths and queries of hooks are secrets
    return f"{parsed.scheme}://{parsed.host}"
