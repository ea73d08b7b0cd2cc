"""Own a stream that speaks WebSocket: run trio-websocket's reader on it, and close it always.

trio-websocket starts a reader task in a nursery of ours. It waits for ever for a handshake that
fails before it is complete, closes no socket that the peer left, and lets odd errors of a hostile
peer out of its reader. So the reader gets a task of its own, where its errors end and which closes
the stream after it, and the stream is watched during the handshake.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final, TypeAlias, cast
from urllib.parse import urlsplit

import trio
from trio_websocket import (
    ConnectionClosed,
    ConnectionRejected,
    WebSocketConnection,
    WebSocketRequest,
    wrap_client_stream,
    wrap_server_stream,
)

from .._errors import RemoteProtocolError
from .._redact import redact_url
from .._types import MAX_MESSAGE_SIZE_BYTES
from ._state import INTERNAL_ERROR, NORMAL_CLOSURE, WebSocketRejected
from ._trio import TrioWebSocket

HANDSHAKE_TIMEOUT: Final = 10.0
"""Seconds for a whole handshake: several round trips and a lost packet, on any line that could
carry a call."""

_Shake: TypeAlias = Callable[
    [trio.Nursery, trio.abc.Stream], Awaitable[WebSocketConnection | WebSocketRequest]
]

_logger = logging.getLogger(__name__)


@asynccontextmanager
async def open_server_websocket(
    stream: trio.abc.Stream,
    *,
    max_message_size_bytes: int = MAX_MESSAGE_SIZE_BYTES,
    handshake_timeout: float = HANDSHAKE_TIMEOUT,
) -> AsyncGenerator[TrioWebSocket, None]:
    """Read a WebSocket handshake from ``stream``; the body accepts or rejects it.

    Leaving the body closes the WebSocket: with code 1000, with 1011 if the body raises, and without
    a close frame if it is cancelled. A handshake left unanswered is rejected with HTTP 403. The
    stream is closed in every case.

    Args:
        stream: owned from now on, also if the handshake fails.
        max_message_size_bytes: a larger message ends the connection with code 1009.
        handshake_timeout: seconds for the request to be complete.

    Raises:
        RemoteProtocolError: what came is no WebSocket handshake, or was not complete in time.
        trio.BrokenResourceError: the peer went away before its handshake was complete.
        What the body raises leaves as itself, never in a group.
    """

    async def shake(
        nursery: trio.Nursery, watched: trio.abc.Stream
    ) -> WebSocketConnection | WebSocketRequest:
        return await wrap_server_stream(nursery, watched, max_message_size=max_message_size_bytes)

    deadline = trio.current_time() + handshake_timeout
    async with _own(stream, shake, deadline) as websocket:
        yield websocket


@asynccontextmanager
async def open_client_websocket(
    url: str,
    *,
    extra_headers: Sequence[tuple[bytes, bytes]] = (),
    stream: trio.abc.Stream | None = None,
    max_message_size_bytes: int = MAX_MESSAGE_SIZE_BYTES,
    handshake_timeout: float = HANDSHAKE_TIMEOUT,
    ssl_context: ssl.SSLContext | None = None,
) -> AsyncGenerator[TrioWebSocket, None]:
    """Connect to a WebSocket server; the body gets the open WebSocket.

    Leaving the body closes it, as in ``open_server_websocket``.

    Args:
        url: ``ws://`` or ``wss://``; path and query are kept. It never appears in an error.
        extra_headers: sent with the request.
        stream: a connection to use instead of a new one (for wss:// with TLS on it); owned from now
            on.
        max_message_size_bytes: a larger message ends the connection with code 1009.
        handshake_timeout: seconds for connecting and for the handshake together.
        ssl_context: for wss://; by default one that trusts what the system trusts.

    Raises:
        ValueError: no usable ``url``.
        WebSocketRejected: the server answered with another status than 101.
        RemoteProtocolError: the answer is no WebSocket handshake, or did not come in time.
        trio.BrokenResourceError: no connection, or it broke during the handshake.
        What the body raises leaves as itself, never in a group.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss") or not parts.hostname or not url.isascii():
        raise ValueError(f"not a ws:// or wss:// URL in ASCII: {redact_url(url)}")
    if parts.scheme == "wss":
        default_port, context = 443, ssl_context or ssl.create_default_context()
    else:
        default_port, context = 80, None
    port = parts.port or default_port
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    host = name if port == default_port else f"{name}:{port}"
    resource = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    async def shake(
        nursery: trio.Nursery, watched: trio.abc.Stream
    ) -> WebSocketConnection | WebSocketRequest:
        return await wrap_client_stream(
            nursery,
            cast("trio.SocketStream", watched),  # annotated too narrowly; it takes any stream
            host,
            resource,
            extra_headers=list(extra_headers),
            max_message_size=max_message_size_bytes,
        )

    deadline = trio.current_time() + handshake_timeout
    if stream is None:
        stream = await _connect(parts.hostname, port, deadline, context)
    async with _own(stream, shake, deadline) as websocket:
        yield websocket


async def _connect(
    host: str, port: int, deadline: float, context: ssl.SSLContext | None
) -> trio.abc.Stream:
    try:
        with trio.CancelScope(deadline=deadline):
            if context is None:
                return await trio.open_tcp_stream(host, port)
            return await trio.open_ssl_over_tcp_stream(
                host, port, https_compatible=True, ssl_context=context
            )
    except OSError as error:
        raise trio.BrokenResourceError(f"cannot connect to {host}:{port}") from error
    raise trio.BrokenResourceError(f"no connection to {host}:{port} in time")


class _WatchedStream(trio.abc.Stream):
    """Hands everything through, and ends the handshake once the stream is of no more use."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self.handshake = trio.CancelScope()
        self.refused = False  # trio-websocket closed it

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        try:
            data = await self._stream.receive_some(max_bytes)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.handshake.cancel()
            raise
        if not data:
            self.handshake.cancel()
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        try:
            await self._stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.handshake.cancel()
            raise

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        self.refused = True
        self.handshake.cancel()
        await self._stream.aclose()


@asynccontextmanager
async def _own(
    stream: trio.abc.Stream, shake: _Shake, deadline: float
) -> AsyncGenerator[TrioWebSocket, None]:
    # What the body raises is carried round the nursery, which would wrap it in a group.
    leaving: BaseException | None = None
    websocket: TrioWebSocket | None = None
    try:
        async with trio.open_nursery() as nursery:
            try:
                websocket = await nursery.start(_run_reader, stream, shake, deadline)
                yield websocket
            except BaseException as error:
                leaving = error
            if websocket is not None:
                try:
                    await websocket.aclose(NORMAL_CLOSURE if leaving is None else INTERNAL_ERROR)
                except trio.Cancelled as cancelled:
                    leaving = leaving or cancelled
            # The shield keeps a cancellation from outside, which `leaving` holds, from being raised
            # a second time by the reader's task.
            nursery.cancel_scope.shield = True
            nursery.cancel_scope.cancel()
        if leaving is not None:
            raise leaving
    finally:
        del leaving  # its traceback holds this frame: a cycle
        await _close_now(stream)


async def _run_reader(
    stream: trio.abc.Stream,
    shake: _Shake,
    deadline: float,
    *,
    task_status: trio.TaskStatus[TrioWebSocket],
) -> None:
    """Shake hands, report the WebSocket, and stay until trio-websocket's reader has ended."""
    watched = _WatchedStream(stream)
    websocket: TrioWebSocket | None = None
    try:
        async with trio.open_nursery() as reader_nursery:
            watched.handshake.deadline = deadline
            with watched.handshake:
                shaken = await shake(reader_nursery, watched)
                websocket = TrioWebSocket(shaken, stream=stream)
            if websocket is None:
                raise _incomplete(watched, deadline)
            task_status.started(websocket)
    except BaseExceptionGroup as group:
        errors, others = group.split(Exception)
        if others is not None:
            raise others from None  # cancelled, or a KeyboardInterrupt
        error = _first_leaf(errors)
        if websocket is None:
            if isinstance(error, RemoteProtocolError | trio.BrokenResourceError):
                raise error from None
            raise _handshake_error(error) from error
        # A peer can bring trio-websocket's reader down with what it sends.
        _logger.debug("reader ended by %s", type(error).__name__)
    finally:
        if websocket is not None:
            websocket.note_reader_ended()
        await _close_now(stream)


def _incomplete(watched: _WatchedStream, deadline: float) -> Exception:
    if watched.refused:
        return RemoteProtocolError("not a WebSocket handshake")
    if trio.current_time() >= deadline:
        return RemoteProtocolError("WebSocket handshake not complete in time")
    return trio.BrokenResourceError("the peer went away during the WebSocket handshake")


def _handshake_error(error: BaseException) -> Exception:
    if isinstance(error, ConnectionRejected):
        return WebSocketRejected(error.status_code)
    if isinstance(error, ConnectionClosed):
        return trio.BrokenResourceError("the peer went away during the WebSocket handshake")
    return RemoteProtocolError("malformed WebSocket handshake")


def _first_leaf(error: BaseException | None) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert error is not None
    return error


async def _close_now(stream: trio.abc.Stream) -> None:
    with trio.CancelScope(shield=True), suppress(trio.BrokenResourceError):
        await trio.aclose_forcefully(stream)
