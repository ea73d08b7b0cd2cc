"""How a carrier reaches the server under test: over sockets, or by calling it in memory."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, Protocol, TypeAlias
from urllib.parse import urlsplit

import httpx
import trio

from .._errors import RemoteProtocolError
from .._websocket import CLOSE_TIMEOUT, WebSocket, WebSocketRejected, open_client_websocket
from ._memory_websocket import MemoryWebSocket, memory_websocket_pair

Headers: TypeAlias = list[tuple[bytes, bytes]]
HandleWebhook: TypeAlias = Callable[[Headers, bytes], Awaitable[int]]
HandleMedia: TypeAlias = Callable[[MemoryWebSocket, str, Headers], Awaitable[None]]


DOWNLOAD_TIMEOUT: Final = 10.0
"""Seconds to fetch an audio file. Telnyx publishes none."""

MAX_DOWNLOAD_BYTES: Final = 20_000_000
"""Of an audio file: three minutes of uncompressed stereo at 48 kHz and more."""


class MediaRefused(Exception):
    """The media socket could not be opened; the text says why, as Telnyx's webhook would."""


class DownloadFailed(Exception):
    """A file could not be fetched.

    Args:
        detail: why, without the URL.
        missing: whether there is no such file.
    """

    def __init__(self, detail: str, *, missing: bool = False) -> None:
        super().__init__(detail)
        self.missing = missing


class Link(Protocol):
    """What a carrier needs of an open transport."""

    async def post_webhook(self, url: str, headers: Headers, body: bytes) -> int | None:
        """Deliver one webhook; returns the HTTP status, None when no answer came."""

    async def download(self, url: str) -> bytes:
        """Fetch an audio file.

        Raises:
            DownloadFailed: it cannot be had.
        """

    def open_media(self, url: str, headers: Headers) -> AbstractAsyncContextManager[WebSocket]:
        """Open a media socket, close it when left.

        Raises:
            MediaRefused: on entering, when nobody takes it.
        """

    async def cut(self, websocket: WebSocket) -> None:
        """Lose a media socket of this link without a close frame, as when a network fails."""


class Transport(Protocol):
    """A way to the server under test.

    Attributes:
        listens: whether the REST side is served on a port.
        webhook_url: where webhooks go when nothing was set.
    """

    @property
    def listens(self) -> bool: ...

    @property
    def webhook_url(self) -> str | None: ...

    def open(self) -> AbstractAsyncContextManager[Link]:
        """Open what all calls share, such as a connection pool."""


class SocketTransport:
    """Real sockets: webhooks by HTTP, media by WebSocket.

    Args:
        ssl_context: for https:// and wss://; by default one that trusts what the system trusts, or
            what ``SSL_CERT_FILE`` says.
    """

    listens: Final = True
    webhook_url: Final = None

    def __init__(self, *, ssl_context: ssl.SSLContext | None = None) -> None:
        self._ssl_context = ssl_context

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Link]:
        """Open the HTTP connection pool."""
        # Deadlines are the caller's; proxies of the environment are none of a simulator's business.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
        context = self._ssl_context or ssl.create_default_context()
        async with httpx.AsyncClient(
            timeout=None, limits=limits, trust_env=False, verify=context
        ) as client:
            yield _SocketLink(client, context)


class _Body(httpx.AsyncByteStream):
    """A request body that leaves no unfinished generator when sending it breaks off."""

    def __init__(self, body: bytes) -> None:
        self._parts = [body]

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self._parts:
            raise StopAsyncIteration
        return self._parts.pop()


class _SocketLink:
    def __init__(self, client: httpx.AsyncClient, ssl_context: ssl.SSLContext) -> None:
        self._client = client
        self._ssl_context = ssl_context

    async def post_webhook(self, url: str, headers: Headers, body: bytes) -> int | None:
        try:
            request = self._client.build_request("POST", url, headers=headers, content=body)
            request.stream = _Body(body)
            response = await self._client.send(request)
        except (httpx.HTTPError, httpx.InvalidURL):
            return None
        return response.status_code

    async def download(self, url: str) -> bytes:
        content = bytearray()
        size_bytes = 0
        try:
            with trio.fail_after(DOWNLOAD_TIMEOUT):
                async with self._client.stream("GET", url, follow_redirects=True) as response:
                    if response.status_code != 200:
                        missing = response.status_code in (404, 410)
                        raise DownloadFailed(f"HTTP {response.status_code}", missing=missing)
                    # Read to its end, come what may: httpx leaves what is cut short unfinished.
                    async for part in response.aiter_bytes():
                        size_bytes += len(part)
                        if size_bytes <= MAX_DOWNLOAD_BYTES:
                            content += part
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise DownloadFailed(f"download failed: {type(error).__name__}") from error
        except trio.TooSlowError as error:
            raise DownloadFailed("download failed: timeout") from error
        if size_bytes > MAX_DOWNLOAD_BYTES:
            raise DownloadFailed("the file is too large")
        return bytes(content)

    @asynccontextmanager
    async def open_media(self, url: str, headers: Headers) -> AsyncIterator[WebSocket]:
        opened = False
        try:
            async with open_client_websocket(
                url, extra_headers=headers, ssl_context=self._ssl_context
            ) as websocket:
                opened = True
                yield websocket
        except WebSocketRejected as error:
            if opened:
                raise
            raise MediaRefused(f"connection_failed: HTTP {error.status}") from error
        except (RemoteProtocolError, ValueError, trio.BrokenResourceError) as error:
            if opened:
                raise
            raise MediaRefused(f"connection_failed: {type(error).__name__}") from error

    async def cut(self, websocket: WebSocket) -> None:
        with trio.CancelScope() as scope:
            # The seam's promise: cancelled, it frees the socket and sends nothing.
            scope.cancel()
            await websocket.aclose()


class MemoryTransport:
    """No sockets at all: the server under test is two async functions.

    Both run in the carrier's nursery, so an error that leaves one of them ends the carrier, as a
    bug in a test should. A webhook that is not answered in time is cancelled.

    Args:
        handle_webhook: takes headers and body, returns the HTTP status.
        handle_media: takes the server's end of a media WebSocket that is not accepted yet, the path
            with its query, and the headers of the handshake. When it returns, the WebSocket is
            closed.
        webhook_url: delivered to, as far as the webhooks say.
        files: what a playback can fetch, by URL.
    """

    listens: Final = False

    def __init__(
        self,
        handle_webhook: HandleWebhook,
        handle_media: HandleMedia,
        *,
        webhook_url: str = "http://server.invalid/telnyx/events",
        files: Mapping[str, bytes] | None = None,
    ) -> None:
        self.webhook_url: str | None = webhook_url
        self._handle_webhook = handle_webhook
        self._handle_media = handle_media
        self._files = files if files is not None else {}

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Link]:
        """Open the nursery of the media handlers."""
        async with trio.open_nursery() as nursery:
            yield _MemoryLink(self._handle_webhook, self._handle_media, self._files, nursery)
            nursery.cancel_scope.cancel()


class _MemoryLink:
    def __init__(
        self,
        handle_webhook: HandleWebhook,
        handle_media: HandleMedia,
        files: Mapping[str, bytes],
        nursery: trio.Nursery,
    ) -> None:
        self._handle_webhook = handle_webhook
        self._handle_media = handle_media
        self._files = files
        self._nursery = nursery

    async def post_webhook(self, url: str, headers: Headers, body: bytes) -> int | None:
        return await self._handle_webhook(headers, body)

    async def download(self, url: str) -> bytes:
        await trio.lowlevel.checkpoint()
        if url not in self._files:
            raise DownloadFailed("HTTP 404", missing=True)
        return self._files[url]

    @asynccontextmanager
    async def open_media(self, url: str, headers: Headers) -> AsyncIterator[WebSocket]:
        parts = urlsplit(url)
        path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
        client, server = memory_websocket_pair(path=path, headers=headers)
        self._nursery.start_soon(self._serve_media, server, path, headers)
        try:
            try:
                await client.wait_accepted()
            except WebSocketRejected as error:
                raise MediaRefused(f"connection_failed: HTTP {error.status}") from error
            except trio.BrokenResourceError as error:
                raise MediaRefused("connection_failed: gone during the handshake") from error
            yield client
        finally:
            await client.aclose()

    async def cut(self, websocket: WebSocket) -> None:
        await trio.lowlevel.checkpoint()
        if isinstance(websocket, MemoryWebSocket):
            websocket.vanish()

    async def _serve_media(self, websocket: MemoryWebSocket, path: str, headers: Headers) -> None:
        try:
            await self._handle_media(websocket, path, headers)
        finally:
            with trio.move_on_after(CLOSE_TIMEOUT, shield=True):
                await websocket.aclose()
